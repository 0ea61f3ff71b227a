//! What happens in a run, as data: neutral ground between the run and everything that shows or keeps it.
//!
//! An event is self-sufficient: it carries names and counts, so that a journal replays through the same sinks without a
//! plan. It is the only type that is serialised; [`VERSION`] and the rules in `journal` say how it may grow:
//! new fields have defaults, new kinds are ignored by old readers, nothing changes its meaning.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::base::{Map, PlayId, RunId, TaskId};

#[cfg(test)]
pub(crate) mod fixture;
mod names;

/// The version of the events' form.
pub(crate) const VERSION: u32 = 1;

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    /// Wall clock, milliseconds since 1970.
    pub(crate) at: u64,
    /// Since the run began, milliseconds.
    pub(crate) elapsed: u64,
    /// What happened.
    #[serde(flatten)]
    pub(crate) kind: EventKind,
}

/// Which task of which batch of which play.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct TaskKey {
    /// The play.
    pub(crate) play: PlayId,
    /// The batch, from 0.
    pub(crate) batch: u32,
    /// The task.
    pub(crate) task: TaskId,
    /// How often this task ran before in this batch (a handler flushed again, an include in a loop), from 0.
    #[serde(default)]
    pub(crate) pass: u32,
}

/// One step as it is announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepLine {
    /// What it does, for "would …".
    pub(crate) summary: String,
    /// Before and after, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) diff: Option<StepDiff>,
    /// Its effect can't be known beforehand.
    #[serde(default)]
    pub(crate) opaque: bool,
}

/// A text or state before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepDiff {
    /// What the first is called.
    pub(crate) before_header: String,
    /// What the second is called.
    pub(crate) after_header: String,
    /// The text before.
    pub(crate) before: String,
    /// The text after.
    pub(crate) after: String,
}

/// What a host's task came to. A remote failure is a value, not an error of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// As wanted, nothing changed.
    Ok,
    /// Changed (in check mode: would change).
    Changed,
    /// Its condition was false, or it has nothing to do.
    Skipped,
    /// It failed.
    Failed,
    /// It failed, and `ignore_errors` lets the host go on.
    Ignored,
    /// The host could not be reached.
    Unreachable,
    /// The line broke while it ran: nobody knows whether it was done.
    Unknown,
    /// In check mode: it can't be known what it would do.
    Unpredictable,
    /// A bug of ours was caught.
    Bug,
}

impl Status {
    /// Whether the host is out of the play after it.
    pub(crate) fn ends_host(self) -> bool {
        matches!(self, Self::Failed | Self::Unreachable | Self::Unknown | Self::Bug)
    }
}

/// Ansible's counts for one host, and ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Tasks that are as wanted, changed ones included.
    pub(crate) ok: u32,
    /// Tasks that changed something.
    pub(crate) changed: u32,
    /// Times it could not be reached.
    pub(crate) unreachable: u32,
    /// Failed tasks.
    pub(crate) failed: u32,
    /// Skipped tasks.
    pub(crate) skipped: u32,
    /// Failures that a rescue section took.
    pub(crate) rescued: u32,
    /// Failures that were ignored.
    pub(crate) ignored: u32,
    /// Check mode: tasks of which nobody can say what they would do.
    #[serde(default)]
    pub(crate) unpredictable: u32,
}

/// A play before it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedPlay {
    /// Its name, or its pattern.
    pub(crate) name: String,
    /// How many hosts its pattern matches now.
    pub(crate) hosts: u32,
    /// `12 at a time, one rack at a time`, for people; may be empty.
    pub(crate) order: String,
}

/// Why a play was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Halt {
    /// The guard: `max_fail_percentage`, `any_errors_fatal`, `max_fail`, `gate`, `serial` (first failure), …
    pub(crate) guard: String,
    /// The host that made it fire, when there is one.
    pub(crate) host: Option<String>,
    /// The value, for people: `1 of 3 hosts failed, 0 allowed`.
    pub(crate) value: String,
}

/// What happened. Past tense.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum EventKind {
    /// The run began.
    RunStarted {
        /// [`VERSION`].
        version: u32,
        /// The run.
        run: RunId,
        /// stagger's version.
        program: String,
        /// What is run: playbook paths, or the pattern and module of `exec`.
        title: String,
        /// Inventory sources.
        inventory: Vec<String>,
        /// `user@bastion`.
        operator: String,
        /// Whether it is a preview.
        check: bool,
        /// Digests of playbooks, inventory and variables: what a resume compares.
        #[serde(default)]
        pinned: BTreeMap<String, String>,
        /// The words of the command line, the program's name first: what the next command is made of.
        #[serde(default)]
        command: Vec<String>,
        /// The plays to come, as far as they are known beforehand, in order; the place in the list is the play's id.
        #[serde(default)]
        plays: Vec<PlannedPlay>,
    },
    /// A play began.
    PlayStarted {
        /// Which.
        play: PlayId,
        /// Its name, or its pattern.
        name: String,
        /// Its hosts in order.
        hosts: Vec<String>,
        /// How many batches, when all that is left goes as planned.
        batches: u32,
        /// `one at a time, leader last`, for people; may be empty.
        order: String,
        /// How many tasks each host has, as far as that is known beforehand; 0 when it is not. For progress only.
        #[serde(default)]
        tasks: u32,
    },
    /// A play has no hosts.
    PlaySkipped {
        /// Which.
        play: PlayId,
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// A batch began.
    BatchStarted {
        /// The play.
        play: PlayId,
        /// Which, from 0.
        batch: u32,
        /// Of how many.
        batches: u32,
        /// Its hosts in order.
        hosts: Vec<String>,
    },
    /// A task began on the first of its hosts.
    TaskStarted {
        /// Which.
        key: TaskKey,
        /// Its name.
        name: String,
        /// Its module.
        module: String,
        /// Whether it is a handler.
        handler: bool,
        /// `file:line` where it stands.
        place: String,
        /// How many hosts it is for.
        hosts: u32,
    },
    /// A host began a task. Written before anything is done.
    HostStarted {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
    },
    /// A host is about to be changed. Written and synced before the act.
    ActStarted {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
        /// The loop item's index, from 0; 0 without a loop.
        item: u32,
        /// The steps, in order.
        steps: Vec<StepLine>,
    },
    /// The steps were done, or failed.
    ActFinished {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
        /// The loop item's index.
        item: u32,
        /// Whether they were.
        done: bool,
    },
    /// One item of a loop came to an end.
    ItemFinished {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
        /// The item as people see it.
        item: String,
        /// Another host on which it was done (`delegate_to`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delegate: Option<String>,
        /// That host's address, where it is not its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delegate_address: Option<String>,
        /// What it came to.
        status: Status,
        /// The steps (would be) done.
        steps: Vec<StepLine>,
        /// The result, masked; empty under `no_log`.
        result: Map,
    },
    /// A task is tried again on a host (`until`, `retries`).
    Retrying {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
        /// The task's name.
        name: String,
        /// How many tries are left.
        left: u32,
    },
    /// A host waits for something.
    Waiting {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
        /// The module that waits.
        module: String,
        /// Why it waits.
        why: String,
        /// For how long already, milliseconds.
        waited: u64,
        /// For how long at most, milliseconds.
        within: u64,
    },
    /// Bytes of an upload were sent. Not kept in the journal.
    Sent {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
        /// So far.
        bytes: u64,
        /// Of so many.
        of: u64,
    },
    /// A host ended a task.
    HostFinished {
        /// The task.
        key: TaskKey,
        /// The host.
        host: String,
        /// Another host on which it was done (`delegate_to`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delegate: Option<String>,
        /// That host's address, where it is not its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delegate_address: Option<String>,
        /// What it came to.
        status: Status,
        /// The steps (would be) done, without those of loop items.
        #[serde(default)]
        steps: Vec<StepLine>,
        /// The result as registered, masked; only `censored` under `no_log`.
        result: Map,
        /// One line for people: why it failed, was skipped, or is unknown; may be empty.
        message: String,
        /// Milliseconds that it took.
        took: u64,
        /// A rescue section takes the failure.
        #[serde(default)]
        rescued: bool,
        /// Handlers that it notified.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notified: Vec<String>,
        /// The host's counts so far.
        tally: Tally,
    },
    /// All hosts of the batch ended a task.
    TaskFinished {
        /// Which.
        key: TaskKey,
    },
    /// A file was included for some hosts.
    Included {
        /// The include task.
        key: TaskKey,
        /// The file.
        file: String,
        /// For whom.
        hosts: Vec<String>,
        /// The item of a loop, as people see it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<String>,
    },
    /// A batch ended.
    BatchFinished {
        /// The play.
        play: PlayId,
        /// Which.
        batch: u32,
    },
    /// A guard stopped the play: nothing new is started.
    Halted {
        /// The play.
        play: PlayId,
        /// Why.
        halt: Halt,
    },
    /// A play ended.
    PlayFinished {
        /// Which.
        play: PlayId,
    },
    /// Something that people should know.
    Warning {
        /// What.
        message: String,
    },
    /// A line for people from a module (`debug`, `pause`), outside any result.
    Note {
        /// The line.
        message: String,
    },
    /// The run is being ended early.
    Cancelling {
        /// Why: `interrupted`, `a second interrupt`, `the journal cannot be written: …`.
        why: String,
    },
    /// The run ended.
    RunFinished {
        /// Counts by host, hosts in inventory order; hosts never attempted have none.
        tallies: Vec<(String, Tally)>,
        /// Hosts that plays named and nothing was tried on.
        not_attempted: Vec<String>,
        /// Handlers notified and not run, by host.
        #[serde(default)]
        pending_handlers: BTreeMap<String, Vec<String>>,
        /// Whether a guard or a person stopped it.
        halted: bool,
        /// The exit code.
        exit: u8,
    },
}

/// Wall time and time since the run began, in one place; tests have a fixed one.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    started: tokio::time::Instant,
    wall: u64,
}

impl Clock {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "the one place where wall time comes in")]
    pub(crate) fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { started: tokio::time::Instant::now(), wall: u64::try_from(wall.as_millis()).unwrap_or(0) }
    }

    /// Milliseconds since 1970 when it started.
    pub(crate) fn started_at(&self) -> u64 {
        self.wall
    }

    /// Microseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        let elapsed = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        i64::try_from(self.wall).unwrap_or(i64::MAX / 2000).saturating_mul(1000).saturating_add(elapsed)
    }

    /// Makes an event of what happened just now.
    pub(crate) fn stamp(&self, kind: EventKind) -> Event {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Event { at: self.wall.saturating_add(elapsed), elapsed, kind }
    }
}

/// A place where events go.
pub(crate) trait Sink: Send {
    /// Takes one event.
    ///
    /// # Errors
    /// It can't be kept or shown: this ends the run.
    fn on(&mut self, event: &Event) -> std::io::Result<()>;

    /// Makes sure that all events so far survive a power cut. Screens have nothing to do.
    ///
    /// # Errors
    /// They would not.
    fn sync(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    /// Called several times a second, also when nothing happens, so that clocks and spinners go on.
    fn tick(&mut self) {}

    /// Whether an act has to wait until this sink has its record safe, and the run ends when it fails. Screens and
    /// pipes are not: a frozen terminal or a closed pager must not leave a cluster half-way.
    fn durable(&self) -> bool {
        false
    }
}

/// The way from the run to the sinks.
#[async_trait::async_trait]
pub(crate) trait Bus: Send + Sync {
    /// Says what happened; returns at once.
    fn emit(&self, kind: EventKind);

    /// Says what is about to be done, and returns when every durable sink has it safe.
    ///
    /// # Errors
    /// A durable sink failed: the act must not be done.
    async fn record(&self, kind: EventKind) -> Result<(), String>;
}
