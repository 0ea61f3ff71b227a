//! What happens in a run, as data: neutral ground between the run and everything that shows or keeps it.
//!
//! An event is self-sufficient: it carries names and counts, so that a journal replays through the same sinks without a
//! plan. It is the only type that is serialised; [`VERSION`] and the rules in `journal` say how it may grow:
//! new fields have defaults, new kinds are ignored by old readers, nothing changes its meaning.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::base::{Map, PlayId, TaskId};

#[cfg(test)]
pub(crate) mod fixture;
mod kind;
mod lasting;
mod names;

pub(crate) use kind::EventKind;
pub(crate) use lasting::without_processes;

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
    /// Doing it twice is not the same as doing it once (a restart), though what it does is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) once: bool,
    /// What a person would type on the host to do the same, at most [`SCRIPT`] bytes. Only in an act's announcement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) script: Option<String>,
}

/// No more bytes of a script are kept.
pub(crate) const SCRIPT: usize = 8 * 1024;

/// A text or state before and after.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

impl StepDiff {
    /// The SHA-256 of both texts, as a plan that is kept has them.
    pub(crate) fn digest(&self) -> String {
        use sha2::Digest as _;
        let mut digest = sha2::Sha256::new();
        for text in [&self.before_header, &self.after_header, &self.before, &self.after] {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text.as_bytes());
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
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
    /// The playbook that it names for the way back, from the folder in which the command was typed; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) rollback: String,
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

/// How a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ended {
    /// All that was planned was done.
    #[default]
    Complete,
    /// Some hosts failed or could not be reached; no guard stopped it.
    Failed,
    /// A guard stopped it.
    Halted,
    /// A person or the time that it was given stopped it: nothing new was started.
    Stopped,
    /// It was given up for good: what had to be undone was, and it is not to be resumed.
    Aborted,
    /// Our own process could not go on.
    Broken,
}

/// One task that takes a temporary setting back, with its arguments as they were worked out before the setting was
/// changed: the original value is in them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct UndoTask {
    /// The task's id in the plan.
    pub(crate) task: TaskId,
    /// Its name, for people.
    pub(crate) name: String,
    /// The module.
    pub(crate) module: String,
    /// Its arguments, worked out.
    pub(crate) arguments: Map,
    /// Arguments that rest on what an earlier task of the same list registers, as written: they are worked out when the
    /// setting is taken back.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) written: Map,
    /// Its keywords, worked out; conditions as written.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) keywords: Map,
    /// The folder in which its files are looked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) directory: String,
}

/// Wall time and time since the run began, in one place; tests have a fixed one.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    started: tokio::time::Instant,
    wall: u64,
    /// What earlier processes of the run took, milliseconds.
    before: u64,
}

impl Clock {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "the one place where wall time comes in")]
    pub(crate) fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { started: tokio::time::Instant::now(), wall: u64::try_from(wall.as_millis()).unwrap_or(0), before: 0 }
    }

    /// Starts now, at a wall time of its own.
    #[cfg(test)]
    pub(crate) fn fixed(wall: u64) -> Self {
        Self { started: tokio::time::Instant::now(), wall, before: 0 }
    }

    /// Counts on from what earlier processes of the run took, in milliseconds.
    #[must_use]
    pub(crate) fn after(self, before: u64) -> Self {
        Self { before, ..self }
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
        Event { at: self.wall.saturating_add(elapsed), elapsed: self.before.saturating_add(elapsed), kind }
    }
}

/// A place where events go.
pub(crate) trait Sink: Send {
    /// Takes one event.
    ///
    /// # Errors
    /// It can't be kept or shown: this ends the run.
    fn on(&mut self, event: &Event) -> std::io::Result<()>;

    /// Takes what happened before this process took the run up, so that what follows is shown in its place. Nothing of it is
    /// kept or shown again.
    fn recall(&mut self, _event: &Event) {}

    /// Makes sure that all events so far survive a power cut. Screens have nothing to do.
    ///
    /// # Errors
    /// They would not.
    fn sync(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    /// Hands what it has gathered to the operating system, so that the death of this process loses none of it. Called
    /// whenever nothing more is queued; a failure is kept for the next [`Sink::on`] or [`Sink::sync`].
    fn hand_over(&mut self) {}

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
