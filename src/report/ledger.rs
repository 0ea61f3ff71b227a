//! What is known of each play and of each of its hosts, from events alone; [`Ledger::tree`] makes the tree of it.
//!
//! Unlike the screen's state it forgets nothing that is still to be done, and it takes a journal that ends anywhere: the run
//! may live, may have died in the middle of an act, or may have been resumed by another process.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;

use super::clean::clean_line;
use crate::base::PlayId;
use crate::event::{Ended, Event, EventKind, Halt, Status, TaskKey};

/// A run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(super) about: About,
    pub(super) plays: Vec<Play>,
    pub(super) undos: BTreeMap<u32, Undo>,
    pub(super) handlers: BTreeMap<String, Vec<String>>,
    pub(super) end: Option<(Ended, u8)>,
    pub(super) cancelling: Option<String>,
    pub(super) held: Option<Held>,
    /// When the last event was, milliseconds since 1970.
    pub(super) heard: u64,
    tasks: HashMap<TaskKey, Arc<Task>>,
    /// A second interrupt cut the connections: hosts at work did not get to their end.
    cut: bool,
}

/// What is said of a run as a whole.
#[derive(Debug, Default)]
pub(super) struct About {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) inventory: Vec<String>,
    /// Who began it, or went on with it last.
    pub(super) operator: String,
    pub(super) at: u64,
    pub(super) resumed: Vec<u64>,
    pub(super) check: bool,
    pub(super) command: Vec<String>,
    pub(super) directory: String,
}

impl About {
    fn is_ansibles(&self) -> bool {
        self.command.first().is_some_and(|program| program.ends_with("ansible-playbook"))
    }
}

/// A play or batch that waits for a person.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) play: PlayId,
    pub(super) batch: u32,
    pub(super) hosts: Vec<String>,
    pub(super) why: String,
}

/// A setting that is to be taken back.
#[derive(Debug, Clone)]
pub(super) struct Undo {
    pub(super) host: String,
    pub(super) name: String,
    /// It was tried and failed: why.
    pub(super) failed: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Play {
    pub(super) name: String,
    pub(super) order: String,
    /// Hosts that its pattern matched when the run began.
    pub(super) planned: u32,
    pub(super) batches: u32,
    pub(super) begun: Option<u64>,
    pub(super) finished: Option<u64>,
    pub(super) skipped: Option<String>,
    pub(super) halt: Option<Halt>,
    /// A gate has to go on holding: for how long already and in all, milliseconds.
    pub(super) baking: Option<(u64, u64)>,
    pub(super) hosts: IndexMap<String, Step>,
}

/// A task as it is shown.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub(super) struct Task {
    pub(super) name: String,
    pub(super) module: String,
    pub(super) place: String,
    pub(super) handler: bool,
}

/// A host in a play.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) batch: Option<u32>,
    pub(super) standing: Standing,
    /// The task at work, or the last that was.
    pub(super) task: Option<Arc<Task>>,
    /// Since when it is at that task, milliseconds since 1970.
    pub(super) since: u64,
    pub(super) at_work: bool,
    /// Something is being changed.
    pub(super) acting: bool,
    pub(super) waiting: Option<(String, u64)>,
    pub(super) retries_left: Option<u32>,
    pub(super) done: u32,
    pub(super) changed: u32,
}

/// Where a host stands in its play.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    #[default]
    Pending,
    Prepared,
    Working,
    Complete,
    Failed(Status, String),
    Skipped(String),
    /// Its batch ended before it got to its end.
    Cut,
}

impl Ledger {
    /// Takes an event.
    pub(crate) fn on(&mut self, event: &Event) {
        self.heard = self.heard.max(event.at);
        match &event.kind {
            EventKind::RunStarted { run, title, inventory, operator, check, command, directory, plays, .. } => {
                self.about = About {
                    id: run.to_string(),
                    title: clean_line(title),
                    inventory: inventory.iter().map(|source| clean_line(source)).collect(),
                    operator: clean_line(operator),
                    at: event.at,
                    resumed: Vec::new(),
                    check: *check,
                    command: command.clone(),
                    directory: directory.clone(),
                };
                self.plays = Vec::new();
                for planned in plays {
                    let (name, order) = (clean_line(&planned.name), clean_line(&planned.order));
                    self.plays.push(Play { name, order, planned: planned.hosts, ..Play::default() });
                }
            }
            EventKind::Resumed { operator, .. } => self.resumed(operator, event.at),
            EventKind::Cancelling { why } => {
                self.cut |= self.cancelling.is_some();
                self.cancelling = Some(clean_line(why));
            }
            EventKind::RunFinished { pending_handlers, ended, exit, .. } => {
                self.end = Some((*ended, *exit));
                self.held = None;
                self.handlers = pending_handlers.clone();
            }
            EventKind::UndoArmed { entry, host, name, .. } => {
                let undo = Undo { host: clean_line(host), name: clean_line(name), failed: None };
                self.undos.insert(*entry, undo);
            }
            EventKind::UndoFinished { entry, done: true, .. } => {
                self.undos.remove(entry);
            }
            EventKind::UndoFinished { entry, host, name, message, .. } => {
                let undo = Undo { host: clean_line(host), name: clean_line(name), failed: Some(clean_line(message)) };
                self.undos.insert(*entry, undo);
            }
            EventKind::Held { play, batch, hosts, why } => {
                let hosts = hosts.iter().map(|host| clean_line(host)).collect();
                self.held = Some(Held { play: *play, batch: *batch, hosts, why: clean_line(why) });
            }
            EventKind::Released { .. } => self.held = None,
            EventKind::HostSkipped { host, by, reason } => {
                let (host, why) = (clean_line(host), clean_line(&format!("by {by}: {reason}")));
                for step in self.plays.iter_mut().filter_map(|play| play.hosts.get_mut(&host)) {
                    if step.standing != Standing::Complete {
                        step.standing = Standing::Skipped(why.clone());
                        step.at_work = false;
                    }
                }
            }
            kind => self.on_play(event.at, kind),
        }
    }

    /// Another process goes on: what was at work is no more, and what had ended goes on.
    fn resumed(&mut self, operator: &str, at: u64) {
        self.about.operator = clean_line(operator);
        self.about.resumed.push(at);
        self.end = None;
        self.cancelling = None;
        self.held = None;
        self.cut = false;
        for play in &mut self.plays {
            play.halt = None;
            for step in play.hosts.values_mut() {
                step.at_work = false;
                step.waiting = None;
                if step.standing == Standing::Cut {
                    step.standing = Standing::Working;
                }
            }
        }
    }

    fn on_play(&mut self, at: u64, kind: &EventKind) {
        match kind {
            EventKind::PlayStarted { play, name, hosts, batches, order, .. } => {
                let play = self.play(*play);
                (play.name, play.order) = (clean_line(name), clean_line(order));
                play.batches = *batches;
                play.begun.get_or_insert(at);
                (play.finished, play.skipped, play.baking) = (None, None, None);
                for host in hosts {
                    play.hosts.entry(clean_line(host)).or_default();
                }
            }
            EventKind::PlaySkipped { play, name, why } => {
                let play = self.play(*play);
                (play.name, play.skipped) = (clean_line(name), Some(clean_line(why)));
            }
            EventKind::BatchStarted { play, batch, batches, hosts } => {
                let play = self.play(*play);
                play.batches = *batches;
                for host in hosts {
                    let step = play.hosts.entry(clean_line(host)).or_default();
                    step.batch = Some(*batch);
                    // A resumed run begins batches again whose hosts are done.
                    if !matches!(step.standing, Standing::Complete | Standing::Skipped(_)) {
                        step.standing = Standing::Prepared;
                    }
                }
            }
            EventKind::BatchFinished { play, batch } => {
                let (cut, ansible) = (self.cut, self.about.is_ansibles());
                let play = self.play(*play);
                play.baking = None;
                // Under Ansible's rules a halt stops the batch where it is; under ours hosts get to their end.
                let cut = cut || ansible && play.halt.is_some();
                let mut ended = Vec::new();
                for (host, step) in play.hosts.iter_mut().filter(|(_, step)| step.batch == Some(*batch)) {
                    step.at_work = false;
                    step.waiting = None;
                    if matches!(step.standing, Standing::Prepared | Standing::Working) {
                        step.standing = if cut { Standing::Cut } else { Standing::Complete };
                        ended.push(host.clone());
                    }
                }
                for host in ended.iter().filter(|_| !cut) {
                    self.handlers.remove(host);
                }
            }
            EventKind::PlayFinished { play } => {
                let play = self.play(*play);
                play.finished = Some(at);
                play.baking = None;
            }
            EventKind::Halted { play, halt } => {
                let halt = Halt {
                    guard: clean_line(&halt.guard),
                    host: halt.host.as_deref().map(clean_line),
                    value: clean_line(&halt.value),
                };
                self.play(*play).halt = Some(halt);
            }
            EventKind::Baking { play, waited, within, .. } => self.play(*play).baking = Some((*waited, *within)),
            EventKind::Baked { play, .. } => self.play(*play).baking = None,
            kind => self.on_task(at, kind),
        }
    }

    fn on_task(&mut self, at: u64, kind: &EventKind) {
        match kind {
            EventKind::TaskStarted { key, name, module, handler, place, .. } => {
                let task = Task {
                    name: clean_line(name),
                    module: clean_line(module),
                    place: clean_line(place),
                    handler: *handler,
                };
                self.tasks.insert(key.clone(), Arc::new(task));
            }
            EventKind::TaskFinished { key } => {
                self.tasks.remove(key);
            }
            EventKind::HostStarted { key, host } => {
                let task = self.tasks.get(key).cloned();
                let step = self.step(key, host);
                *step = Step {
                    batch: Some(key.batch),
                    standing: Standing::Working,
                    task,
                    since: at,
                    at_work: true,
                    done: step.done,
                    changed: step.changed,
                    ..Step::default()
                };
            }
            EventKind::ActStarted { key, host, .. } => self.step(key, host).acting = true,
            EventKind::ActFinished { key, host, .. } => self.step(key, host).acting = false,
            EventKind::Waiting { key, host, why, within, .. } => {
                self.step(key, host).waiting = Some((clean_line(why), *within));
            }
            EventKind::Retrying { key, host, left, .. } => self.step(key, host).retries_left = Some(*left),
            EventKind::HostFinished { key, host, status, message, rescued, notified, .. } => {
                let task = self.tasks.get(key).cloned();
                self.handled(host, task.as_deref(), notified);
                let step = self.step(key, host);
                (step.at_work, step.acting, step.waiting, step.retries_left) = (false, false, None, None);
                step.task = task.or(step.task.take());
                step.done += 1;
                step.changed += u32::from(*status == Status::Changed);
                if status.ends_host() && !rescued {
                    step.standing = Standing::Failed(*status, clean_line(message));
                } else if matches!(step.standing, Standing::Pending | Standing::Prepared) {
                    step.standing = Standing::Working;
                }
            }
            _ => {}
        }
    }

    /// A handler that ran is no longer pending; what a task notified is.
    fn handled(&mut self, host: &str, task: Option<&Task>, notified: &[String]) {
        let host = clean_line(host);
        if let Some(pending) = self.handlers.get_mut(&host)
            && let Some(task) = task.filter(|task| task.handler)
        {
            pending.retain(|name| *name != task.name);
        }
        for name in notified.iter().map(|name| clean_line(name)) {
            let pending = self.handlers.entry(host.clone()).or_default();
            if !pending.contains(&name) {
                pending.push(name);
            }
        }
    }

    /// The play, made when it is new.
    fn play(&mut self, id: PlayId) -> &mut Play {
        let place = (id.0 as usize).min(100_000);
        if self.plays.len() <= place {
            self.plays.resize_with(place + 1, Play::default);
        }
        &mut self.plays[place]
    }

    fn step(&mut self, key: &TaskKey, host: &str) -> &mut Step {
        self.play(key.play).hosts.entry(clean_line(host)).or_default()
    }
}
