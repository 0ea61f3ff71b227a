//! What is known of a run so far, from its events alone. Both the live view and the printed lines are made from it.

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexMap;

use super::block::{Block, Outcome};
use super::clean::clean_line;
use super::fold::fold;
use crate::base::PlayId;
use crate::event::{Event, EventKind, Halt, TaskKey};

/// A run.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) run: Run,
    pub(super) plays: Vec<Play>,
    /// Tasks that are not finished everywhere.
    pub(super) blocks: IndexMap<TaskKey, Block>,
    /// What waits for a person.
    pub(super) held: Vec<Held>,
    /// Hosts that a person left out, and what is said of it.
    pub(super) left_out: Vec<(String, String)>,
    /// What each host at work does, by host.
    pub(super) working: IndexMap<String, Doing>,
    pub(super) halts: Vec<(String, Halt)>,
    /// Milliseconds since the run began, as the last event has it.
    pub(super) elapsed: u64,
    /// Results that count as changes.
    pub(super) changes: u64,
    /// Items of loops, for the host's result to come.
    items: HashMap<(TaskKey, String), Vec<super::block::Item>>,
    pub(super) undos: super::undone::Undos,
    pub(super) stats: super::stats::Stats,
    finished: bool,
}

/// What is said about a run as a whole.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) inventory: Vec<String>,
    pub(super) operator: String,
    /// When it began, milliseconds since 1970.
    pub(super) at: u64,
    pub(super) check: bool,
    pub(super) command: Vec<String>,
    pub(super) cancelling: Option<String>,
}

/// Where a play is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    #[default]
    Pending,
    Running,
    Done,
    Failed,
    Stopped,
    Skipped,
}

/// A play.
#[derive(Debug, Default)]
pub(super) struct Play {
    pub(super) name: String,
    pub(super) order: String,
    pub(super) phase: Phase,
    pub(super) hosts: u64,
    pub(super) tasks: u64,
    /// Hosts in batches that ended.
    pub(super) hosts_done: u64,
    /// Results of hosts so far.
    pub(super) results: u64,
    /// The batch at work, from 0, and how many.
    pub(super) batch: Option<(u32, u32)>,
    pub(super) started: u64,
    pub(super) ended: u64,
    batch_hosts: BTreeMap<u32, u64>,
    failed: HashSet<String>,
}

impl Play {
    /// How much is done, from 0 to 1.
    pub(super) fn fraction(&self) -> f64 {
        let (done, of) = match self.tasks {
            0 => (self.hosts_done, self.hosts),
            tasks => (self.results, self.hosts * tasks),
        };
        if of == 0 || matches!(self.phase, Phase::Done) { 1.0 } else { (done as f64 / of as f64).min(1.0) }
    }
}

/// A batch that waits for a person.
#[derive(Debug)]
pub(super) struct Held {
    play: PlayId,
    batch: u32,
    /// For people: which hosts wait, and for what.
    pub(super) line: String,
}

/// What a host does.
#[derive(Debug)]
pub(super) struct Doing {
    pub(super) key: TaskKey,
    /// Since when, milliseconds since the run began.
    pub(super) since: u64,
    pub(super) activity: Activity,
    /// Up to how many seconds of waiting the log has been told.
    pub(super) told: u64,
}

/// More about what a host does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Activity {
    /// Nothing more is known.
    Working,
    /// It waits.
    Waiting {
        why: String,
        /// Milliseconds.
        within: u64,
    },
    /// It is tried again.
    Retrying { left: u32 },
    /// Bytes travel.
    Sending { bytes: u64, of: u64 },
}

impl State {
    /// Takes an event.
    pub(super) fn on(&mut self, event: &Event) {
        self.elapsed = self.elapsed.max(event.elapsed);
        self.undos.on(&event.kind);
        self.stats.on(&event.kind);
        match &event.kind {
            EventKind::RunStarted { run, title, inventory, operator, check, command, plays, .. } => {
                self.run = Run {
                    id: run.to_string(),
                    title: clean_line(title),
                    inventory: inventory.iter().map(|source| clean_line(source)).collect(),
                    operator: clean_line(operator),
                    at: event.at,
                    check: *check,
                    command: command.iter().map(|word| clean_line(word)).collect(),
                    cancelling: None,
                };
                for planned in plays {
                    self.plays.push(Play {
                        name: clean_line(&planned.name),
                        order: clean_line(&planned.order),
                        hosts: u64::from(planned.hosts),
                        ..Play::default()
                    });
                }
            }
            EventKind::PlayStarted { play, name, hosts, order, tasks, .. } => {
                let (name, order) = (clean_line(name), clean_line(order));
                let play = self.play(*play);
                *play = Play {
                    name,
                    order,
                    phase: Phase::Running,
                    hosts: hosts.len() as u64,
                    tasks: u64::from(*tasks),
                    started: event.elapsed,
                    ..Play::default()
                };
            }
            EventKind::PlaySkipped { play, name, .. } => {
                let name = clean_line(name);
                let play = self.play(*play);
                play.name = name;
                play.phase = Phase::Skipped;
            }
            EventKind::BatchStarted { play, batch, batches, hosts } => {
                let play = self.play(*play);
                play.batch = Some((*batch, *batches));
                play.batch_hosts.insert(*batch, hosts.len() as u64);
            }
            EventKind::BatchFinished { play, batch } => {
                let play = self.play(*play);
                play.hosts_done += play.batch_hosts.remove(batch).unwrap_or(0);
            }
            EventKind::Halted { play, halt } => {
                let halt = Halt {
                    guard: clean_line(&halt.guard),
                    host: halt.host.as_deref().map(clean_line),
                    value: clean_line(&halt.value),
                };
                let play = self.play(*play);
                play.phase = Phase::Stopped;
                let name = play.name.clone();
                self.halts.push((name, halt));
            }
            EventKind::PlayFinished { play } => {
                let (elapsed, stopping) = (event.elapsed, self.run.cancelling.is_some());
                let play = self.play(*play);
                play.ended = elapsed;
                if play.phase == Phase::Running {
                    play.phase = match play.failed.is_empty() {
                        true if stopping && play.hosts_done < play.hosts => Phase::Stopped,
                        true => Phase::Done,
                        false => Phase::Failed,
                    };
                }
            }
            EventKind::Held { play, batch, hosts, why } => {
                let (id, why) = (super::view::short(&self.run.id).to_owned(), clean_line(why));
                let command = if why.starts_with("paused") {
                    format!("stagger resume {id}")
                } else {
                    format!("stagger continue {id} {}", play.0 + 1)
                };
                let name = self.play(*play).name.clone();
                let line = format!("{name}, batch {} ({}): {why}: {command}", batch + 1, fold(hosts, 6));
                self.held.retain(|held| (held.play, held.batch) != (*play, *batch));
                self.held.push(Held { play: *play, batch: *batch, line });
            }
            EventKind::Released { play, batch, .. } => {
                self.held.retain(|held| (held.play, held.batch) != (*play, *batch));
            }
            EventKind::HostSkipped { host, by, reason } => {
                self.left_out.push((clean_line(host), format!("{}: {}", clean_line(by), clean_line(reason))));
            }
            EventKind::Resumed { .. } => self.resumed(),
            EventKind::Cancelling { why } => self.run.cancelling = Some(clean_line(why)),
            EventKind::RunFinished { .. } => {
                self.finished = true;
                self.held.clear();
                self.working.clear();
            }
            other => self.on_task(event.elapsed, other),
        }
    }

    /// What had failed or was stopped is taken up again.
    fn resumed(&mut self) {
        self.finished = false;
        self.run.cancelling = None;
        self.halts.clear();
        self.working.clear();
        self.blocks.clear();
        self.held.clear();
        for play in &mut self.plays {
            play.failed.clear();
            if matches!(play.phase, Phase::Failed | Phase::Stopped) {
                play.phase = Phase::Running;
            }
        }
    }

    fn on_task(&mut self, elapsed: u64, kind: &EventKind) {
        match kind {
            EventKind::TaskStarted { key, name, module, handler, place, .. } => {
                let block = Block::new(name, module, place, *handler);
                self.blocks.insert(key.clone(), block);
            }
            EventKind::HostStarted { key, host } => {
                let doing = Doing { key: key.clone(), since: elapsed, activity: Activity::Working, told: 0 };
                self.working.insert(clean_line(host), doing);
            }
            EventKind::Waiting { host, why, within, .. } => {
                self.set(host, Activity::Waiting { why: clean_line(why), within: *within });
            }
            EventKind::Retrying { host, left, .. } => self.set(host, Activity::Retrying { left: *left }),
            EventKind::Sent { host, bytes, of, .. } => {
                self.set(host, Activity::Sending { bytes: *bytes, of: *of });
            }
            EventKind::ItemFinished { key, host, item, status, steps, result, .. } => {
                let item = super::block::Item::new(item, *status, steps, result);
                self.items.entry((key.clone(), clean_line(host))).or_default().push(item);
            }
            EventKind::HostFinished { key, host, status, .. } => {
                let host = clean_line(host);
                self.working.swap_remove(&host);
                let play = self.play(key.play);
                play.results += 1;
                if status.ends_host() {
                    play.failed.insert(host.clone());
                }
                self.changes += u64::from(*status == crate::event::Status::Changed);
                let items = self.items.remove(&(key.clone(), host)).unwrap_or_default();
                if let Some(outcome) = Outcome::of(kind, items) {
                    let block = self.blocks.entry(key.clone()).or_insert_with(|| Block::new("", "", "", false));
                    block.add(elapsed, outcome);
                }
            }
            _ => {}
        }
    }

    /// The play, made when it is new.
    fn play(&mut self, id: PlayId) -> &mut Play {
        let place = id.0 as usize;
        if self.plays.len() <= place {
            // Ids are places in the plan, which is not longer than a playbook.
            self.plays.resize_with(place.min(100_000) + 1, Play::default);
        }
        let last = self.plays.len() - 1;
        &mut self.plays[place.min(last)]
    }

    fn set(&mut self, host: &str, activity: Activity) {
        if let Some(doing) = self.working.get_mut(&clean_line(host)) {
            doing.activity = activity;
        }
    }

    /// Whether the run came to its end.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }
}
