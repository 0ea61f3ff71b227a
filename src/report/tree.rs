//! The tree of a run: phases (plays), steps (a host in a play) and the task at work, with the statuses of a plan.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::ledger::{Ledger, Play, Standing, Step};
use crate::event::{Ended, Status};

/// Whether the process that carries out the run is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Life {
    /// It is.
    Alive,
    /// It is not: nobody holds the run's lock.
    Gone,
    /// This user may not look.
    Unseen,
}

/// Where something of the plan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Mark {
    /// It is done.
    Complete,
    /// It is left out.
    Skipped,
    /// Its turn has not come.
    Pending,
    /// It may begin, and waits for a free fork or its place in the window.
    Prepared,
    /// It is at work.
    InProgress,
    /// It waits for a person or a gate.
    Waiting,
    /// It was never begun, and the run is over.
    NotAttempted,
    /// It failed.
    Error,
    /// Nobody knows: it was cut off.
    Unknown,
}

impl Mark {
    /// As it is written.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Complete => "COMPLETE",
            Self::Skipped => "SKIPPED",
            Self::Pending => "PENDING",
            Self::Prepared => "PREPARED",
            Self::InProgress => "IN_PROGRESS",
            Self::Waiting => "WAITING",
            Self::NotAttempted => "NOT_ATTEMPTED",
            Self::Error => "ERROR",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// Where the run as a whole stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunState {
    Running,
    /// It waits for a person to continue it.
    Waiting,
    /// A person paused it.
    Paused,
    Complete,
    Failed,
    Halted,
    Stopped,
    Aborted,
    /// It has no end, and its process is gone.
    Died,
    /// Its process could not go on.
    Broken,
}

impl RunState {
    /// As it is written.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Halted => "halted",
            Self::Stopped => "stopped",
            Self::Aborted => "aborted",
            Self::Died => "died",
            Self::Broken => "broken",
        }
    }

    /// Of a run that came to its end.
    pub(crate) fn of(ended: Ended) -> Self {
        match ended {
            Ended::Complete => Self::Complete,
            Ended::Failed => Self::Failed,
            Ended::Halted => Self::Halted,
            Ended::Stopped => Self::Stopped,
            Ended::Aborted => Self::Aborted,
            Ended::Broken => Self::Broken,
        }
    }

    /// Whether something is left that `resume` would do.
    pub(crate) fn can_go_on(self) -> bool {
        matches!(self, Self::Failed | Self::Halted | Self::Stopped | Self::Died | Self::Broken)
    }
}

/// A run as it stands. Times are milliseconds since 1970, spans milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Tree {
    pub(crate) run: String,
    pub(crate) state: RunState,
    pub(crate) title: String,
    pub(crate) inventory: Vec<String>,
    /// Who carries it out, and from where: `ann@bastion`.
    pub(crate) operator: String,
    pub(crate) check: bool,
    pub(crate) began: u64,
    /// When other processes went on with it.
    pub(crate) resumed: Vec<u64>,
    /// When its last event was.
    pub(crate) heard: u64,
    pub(crate) process: Life,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pid: Option<u32>,
    /// Why it is being ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stopping: Option<String>,
    pub(crate) exit: Option<u8>,
    pub(crate) phases: Vec<PhaseLine>,
    /// Settings that are still to be taken back.
    pub(crate) undos: Vec<UndoLine>,
    /// Handlers that were notified and did not run, by host.
    pub(crate) handlers: BTreeMap<String, Vec<String>>,
    /// What to type next.
    pub(crate) next: Vec<Next>,
}

/// A play.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PhaseLine {
    pub(crate) name: String,
    pub(crate) status: Mark,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) why: String,
    pub(crate) order: String,
    pub(crate) hosts: u32,
    pub(crate) done: u32,
    /// When it began.
    pub(crate) began: Option<u64>,
    /// How long it took; absent while it goes on.
    pub(crate) took: Option<u64>,
    /// How long the rest takes, as far as earlier runs tell.
    pub(crate) left: Option<u64>,
    /// The batch at work, from 1, and of how many.
    pub(crate) batch: Option<(u32, u32)>,
    /// Its hosts in order; empty before it begins.
    pub(crate) steps: Vec<StepStatus>,
}

/// A host in a play.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct StepStatus {
    pub(crate) host: String,
    pub(crate) status: Mark,
    /// Why it waits, failed, was left out or is not known; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) why: String,
    /// From 1.
    pub(crate) batch: Option<u32>,
    /// Tasks that ended, and those of them that changed something.
    pub(crate) tasks: u32,
    pub(crate) changed: u32,
    /// The task at work, or at which it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) task: Option<TaskLine>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TaskLine {
    pub(crate) name: String,
    pub(crate) module: String,
    pub(crate) place: String,
    /// Since when.
    pub(crate) since: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retries_left: Option<u32>,
}

/// A setting that is to be taken back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct UndoLine {
    pub(crate) host: String,
    pub(crate) name: String,
    /// Why it could not be, when it was tried.
    pub(crate) failed: Option<String>,
}

/// A command, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Next {
    pub(crate) what: String,
    pub(crate) command: String,
}

impl Ledger {
    /// The tree as it stands, with what is known of the process.
    pub(crate) fn tree(&self, process: Life, pid: Option<u32>) -> Tree {
        let state = self.state(process);
        let over = !matches!(state, RunState::Running | RunState::Waiting | RunState::Paused);
        let phases = (0u32..).zip(&self.plays).map(|(at, play)| self.phase(at, play, over)).collect();
        let undos = self.undos.values().map(|undo| UndoLine {
            host: undo.host.clone(),
            name: undo.name.clone(),
            failed: undo.failed.clone(),
        });
        let handlers = self.handlers.iter().filter(|(_, names)| !names.is_empty());
        let mut tree = Tree {
            run: self.about.id.clone(),
            state,
            title: self.about.title.clone(),
            inventory: self.about.inventory.clone(),
            operator: self.about.operator.clone(),
            check: self.about.check,
            began: self.about.at,
            resumed: self.about.resumed.clone(),
            heard: self.heard,
            process,
            pid: pid.filter(|_| process == Life::Alive),
            stopping: self.cancelling.clone(),
            exit: self.end.map(|(_, exit)| exit),
            phases,
            undos: undos.collect(),
            handlers: handlers.map(|(host, names)| (host.clone(), names.clone())).collect(),
            next: Vec::new(),
        };
        tree.next = tree.what_next();
        tree
    }

    /// The words of the command line, and the folder in which it was typed.
    pub(crate) fn command(&self) -> (&[String], &str) {
        (&self.about.command, &self.about.directory)
    }

    fn state(&self, process: Life) -> RunState {
        match (self.end, process, &self.held) {
            (Some((ended, _)), ..) => RunState::of(ended),
            (None, Life::Gone, _) => RunState::Died,
            (None, _, Some(held)) if held.why.starts_with("paused") => RunState::Paused,
            (None, _, Some(_)) => RunState::Waiting,
            (None, _, None) => RunState::Running,
        }
    }

    fn phase(&self, at: u32, play: &Play, over: bool) -> PhaseLine {
        let held = self.held.as_ref().filter(|held| held.play.0 == at && !over);
        let steps: Vec<StepStatus> =
            play.hosts.iter().map(|(host, step)| self.step_status(at, play, host, step, over)).collect();
        let count = |mark: Mark| steps.iter().filter(|step| step.status == mark).count();
        let (status, why) = match (&play.skipped, play.begun) {
            (Some(why), _) => (Mark::Skipped, why.clone()),
            (None, None) => match held {
                Some(held) => (Mark::Waiting, held.why.clone()),
                None => (if over { Mark::NotAttempted } else { Mark::Pending }, String::new()),
            },
            (None, Some(_)) => match (held, play.baking) {
                (Some(held), _) => (Mark::Waiting, held.why.clone()),
                (None, Some((waited, within))) if !over => {
                    let time = |millis| crate::base::render_duration(std::time::Duration::from_millis(millis));
                    let why = format!("its gate has to hold on: {} of {}", time(waited), time(within));
                    (Mark::Waiting, why)
                }
                _ => (worst(&steps, over || play.finished.is_some()), String::new()),
            },
        };
        let halted = play.halt.as_ref().map(|halt| {
            let host = halt.host.as_ref().map(|host| format!(" (host {host})")).unwrap_or_default();
            format!("stopped by {}: {}{host}", halt.guard, halt.value)
        });
        let batch = play.hosts.values().filter_map(|step| step.batch).max().filter(|_| play.batches > 1);
        let done = count(Mark::Complete);
        PhaseLine {
            name: play.name.clone(),
            status,
            why: halted.unwrap_or(why),
            order: play.order.clone(),
            hosts: if play.begun.is_some() { number(play.hosts.len()) } else { play.planned },
            done: number(done),
            began: play.begun,
            took: play.begun.and_then(|begun| {
                let end = play.finished.or(over.then_some(self.heard))?;
                Some(end.saturating_sub(begun))
            }),
            left: None,
            batch: batch.map(|batch| (batch + 1, play.batches)),
            steps,
        }
    }

    fn step_status(&self, at: u32, play: &Play, host: &str, step: &Step, over: bool) -> StepStatus {
        let held = self.held.as_ref().filter(|held| {
            let whole_batch = held.hosts.is_empty() && step.batch.is_none_or(|batch| batch == held.batch);
            held.play.0 == at && (whole_batch || held.hosts.iter().any(|other| other == host))
        });
        let name = step.task.as_ref().map(|task| task.name.as_str()).unwrap_or_default();
        let (status, why) = match &step.standing {
            Standing::Complete => (Mark::Complete, String::new()),
            Standing::Skipped(why) => (Mark::Skipped, why.clone()),
            Standing::Failed(Status::Unknown, why) => (Mark::Unknown, why.clone()),
            Standing::Failed(_, why) => (Mark::Error, why.clone()),
            Standing::Cut => (Mark::Unknown, format!("cut off after `{name}`")),
            // The play came to its end without it: `end_play` and its like.
            Standing::Pending if play.finished.is_some() && play.halt.is_none() && self.cancelling.is_none() => {
                (Mark::Skipped, "the play ended before its turn".to_owned())
            }
            Standing::Pending | Standing::Prepared if over => (Mark::NotAttempted, String::new()),
            Standing::Working if over && step.acting => {
                (Mark::Unknown, format!("cut off while `{name}` was changing it"))
            }
            Standing::Working if over => (Mark::Unknown, format!("cut off at `{name}`; nothing was being changed")),
            Standing::Pending | Standing::Prepared => match held {
                Some(held) => (Mark::Waiting, held.why.clone()),
                None if step.standing == Standing::Pending => (Mark::Pending, String::new()),
                None => (Mark::Prepared, String::new()),
            },
            Standing::Working => match &step.waiting {
                Some((why, _)) => (Mark::Waiting, why.clone()),
                None => (Mark::InProgress, String::new()),
            },
        };
        let shown = step.at_work || matches!(status, Mark::Error | Mark::Unknown | Mark::InProgress);
        let task = step.task.as_ref().filter(|_| shown && status != Mark::Complete).map(|task| TaskLine {
            name: task.name.clone(),
            module: task.module.clone(),
            place: task.place.clone(),
            since: step.since,
            retries_left: step.retries_left,
        });
        StepStatus {
            host: host.to_owned(),
            status,
            why,
            batch: step.batch.map(|batch| batch + 1),
            tasks: step.done,
            changed: step.changed,
            task,
        }
    }
}

/// What a phase is, from what its steps are. `ended` when nothing of it goes on.
fn worst(steps: &[StepStatus], ended: bool) -> Mark {
    let has = |mark: Mark| steps.iter().any(|step| step.status == mark);
    if !ended {
        let busy = has(Mark::InProgress) || has(Mark::Prepared);
        return if has(Mark::Waiting) && !busy { Mark::Waiting } else { Mark::InProgress };
    }
    let order = [Mark::Unknown, Mark::Error, Mark::NotAttempted, Mark::Pending];
    order.into_iter().find(|mark| has(*mark)).unwrap_or(Mark::Complete)
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl Tree {
    /// Hosts with nothing left of what has begun, and all that are known of.
    pub(crate) fn hosts(&self) -> (u32, u32) {
        let mut hosts: HashMap<&str, bool> = HashMap::new();
        for step in self.phases.iter().flat_map(|phase| &phase.steps) {
            let done = hosts.entry(&step.host).or_insert(true);
            *done &= matches!(step.status, Mark::Complete | Mark::Skipped);
        }
        let planned = self.phases.iter().map(|phase| phase.hosts).max().unwrap_or(0);
        let done = hosts.values().filter(|done| **done).count();
        (number(done), planned.max(number(hosts.len())))
    }

    /// Works out from earlier runs how long each phase that is not over still takes: `estimate` is given its name and how many
    /// of its hosts are left, and gives milliseconds.
    pub(crate) fn expect(&mut self, estimate: &dyn Fn(&str, u32) -> Option<u64>) {
        for phase in &mut self.phases {
            if matches!(phase.status, Mark::Pending | Mark::InProgress | Mark::Waiting) {
                phase.left = estimate(&phase.name, phase.hosts.saturating_sub(phase.done));
            }
        }
    }

    fn what_next(&self) -> Vec<Next> {
        let id = &self.run;
        let next = |what: &str, command: String| Next { what: what.to_owned(), command };
        match self.state {
            RunState::Waiting => vec![
                next("to let it go on", format!("stagger continue {id}")),
                next("to give it up", format!("stagger abort {id}")),
            ],
            RunState::Paused => vec![
                next("to let it go on", format!("stagger resume {id}")),
                next("to give it up", format!("stagger abort {id}")),
            ],
            state if state.can_go_on() && !self.check => {
                let mut next = vec![next("to go on where it stopped", format!("stagger resume {id}"))];
                if !self.undos.is_empty() {
                    next.push(Next {
                        what: "to take back what is listed, and give it up".to_owned(),
                        command: format!("stagger abort {id}"),
                    });
                }
                next
            }
            _ => Vec::new(),
        }
    }
}
