//! What must hold after every event and every act, whatever went wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::{Machine, SERVICE, SOLO};
use super::plans::{Bound, Facts};
use crate::base::{Output, to_text};
use crate::event::{EventKind, Status};
use crate::run::InFlight;
use crate::transport::Lost;

/// What stands in the journal for a step that `no_log` hides.
const HIDDEN: &str = "do what `no_log` hides";

/// How an act that nobody can look at ended, as the process was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Begun,
    Well,
    Failed,
    Lost,
}

/// The watcher. It sees more than the run: events that were lost with the disk, and what hosts did.
#[derive(Debug, Default)]
pub(super) struct Watch {
    plays: Vec<Facts>,
    /// What did not hold.
    pub(super) problems: Vec<String>,
    life: u32,
    redo: bool,
    /// Acts in flight as the journal has them, when this life began.
    in_flight: Vec<InFlight>,
    /// Announced and on the disk, by host; and not there yet.
    safe: BTreeSet<(String, String)>,
    unsafe_yet: Vec<(String, String)>,
    /// Settings that are armed: host and setting, whether on the disk.
    armed: BTreeMap<u32, (String, String, bool)>,
    /// The batch that each host acts in.
    acts_in: BTreeMap<String, (u32, u32)>,
    /// Batches that began in this life, or went on.
    begun: BTreeSet<(u32, u32)>,
    /// The play that was halted in this life.
    halted: Option<u32>,
    lost: BTreeSet<String>,
    told: BTreeMap<(String, String), (u32, Told)>,
    disk_is_full: bool,
}

impl Watch {
    pub(super) fn new(plays: Vec<Facts>) -> Self {
        Self { plays, ..Self::default() }
    }

    pub(super) fn wrong(&mut self, what: String) {
        self.problems.push(what);
    }

    /// A process begins; what it is told of acts in flight, and whether it is to do them again.
    pub(super) fn begin_life(&mut self, in_flight: Vec<InFlight>, redo: bool) {
        self.life += 1;
        self.redo = redo;
        self.in_flight = in_flight;
        self.safe.clear();
        self.unsafe_yet.clear();
        self.acts_in.clear();
        self.begun.clear();
        self.halted = None;
        self.disk_is_full = false;
    }

    /// The disk takes nothing more.
    pub(super) fn full(&mut self) {
        self.disk_is_full = true;
    }

    /// All events so far are on the disk.
    pub(super) fn synced(&mut self) {
        self.safe.extend(self.unsafe_yet.drain(..));
        self.armed.values_mut().for_each(|(_, _, safe)| *safe = true);
    }

    fn play(&self, play: u32) -> Option<&Facts> {
        self.plays.get(play as usize)
    }

    /// An event was said.
    pub(super) fn on(&mut self, kind: &EventKind) {
        match kind {
            EventKind::BatchStarted { play, batch, hosts, .. } => {
                if let Some(halted) = self.halted {
                    self.wrong(format!("play {} batch {batch} began after play {halted} was halted", play.0));
                }
                self.begun.insert((play.0, *batch));
                self.batch(play.0, hosts);
            }
            EventKind::TaskStarted { key, .. } => {
                let (play, batch) = (key.play.0, key.batch);
                let windowed = self.play(play).is_some_and(|facts| matches!(facts.bound, Bound::Window(_)));
                if let Some(halted) = self.halted
                    && (play > halted || !windowed && !self.begun.contains(&(play, batch)))
                {
                    self.wrong(format!("play {play} batch {batch} did something after play {halted} was halted"));
                }
                self.begun.insert((play, batch));
            }
            EventKind::HostStarted { host, .. } => {
                self.lost.remove(host);
            }
            EventKind::HostFinished { host, status, rescued, message, .. } if status.ends_host() && !rescued => {
                self.lost.insert(host.clone());
                if *status == Status::Bug {
                    self.wrong(format!("{host}: {message}"));
                }
            }
            EventKind::ActStarted { key, host, steps, .. } => {
                self.acts_in.insert(host.clone(), (key.play.0, key.batch));
                self.unsafe_yet.extend(steps.iter().map(|step| (host.clone(), step.summary.clone())));
            }
            EventKind::UndoArmed { entry, host, tasks, .. } => {
                let name = tasks.first().and_then(|task| task.arguments.get("name")).map(to_text).unwrap_or_default();
                self.armed.insert(*entry, (host.clone(), name, false));
            }
            EventKind::UndoFinished { entry, done: true, .. } => {
                self.armed.remove(entry);
            }
            // A host that is left with a temporary setting counts as lost.
            EventKind::UndoFinished { host, done: false, .. } => {
                self.lost.insert(host.clone());
            }
            EventKind::Halted { play, halt } => {
                self.halted = Some(play.0);
                if matches!(halt.guard.as_str(), "verify" | "resume") {
                    self.wrong(format!("halted by `{}` though nobody else touched a host: {}", halt.guard, halt.value));
                }
            }
            _ => {}
        }
    }

    fn batch(&mut self, play: u32, hosts: &[String]) {
        let Some(facts) = self.play(play) else { return };
        let groups: BTreeSet<&str> =
            hosts.iter().filter_map(|host| facts.groups.get(host)).map(String::as_str).collect();
        let most = match facts.bound {
            Bound::None => usize::MAX,
            Bound::Serial(most) => most,
            Bound::Window(_) => 1,
        };
        if hosts.len() > most || groups.len() > 1 {
            let said = format!("play {play} took {hosts:?} as one batch, of {groups:?}");
            self.wrong(said);
        }
    }

    fn is_in_flight(&self, host: &str, text: &str) -> bool {
        self.in_flight.iter().any(|act| act.host == host && act.what.contains(text))
    }

    /// A host is about to be changed.
    pub(super) fn before_act(&mut self, host: &str, words: &[String]) {
        let text = words.join(" ");
        let has = |summary: &str| self.safe.iter().any(|(on, said)| on == host && said.contains(summary));
        if !self.disk_is_full && !has(&text) && !has(HIDDEN) && !has("********") {
            self.problems.push(format!("{host}: `{text}` was begun and is not announced on the disk"));
        }
        if words.first().is_some_and(|word| word == "sim-put")
            && words.get(2).is_some_and(|value| value == "off")
            && let Some(name) = words.get(1).filter(|name| name.starts_with("tmp"))
            && !self.armed.values().any(|(on, setting, safe)| on == host && setting == name && *safe)
        {
            self.problems.push(format!("{host}: {name} is changed, and what takes it back is not on the disk"));
        }
        if !matches!(words.first().map(String::as_str), Some("sim-do" | "sim-restart")) {
            return;
        }
        let key = (host.to_owned(), text.clone());
        let flies = self.is_in_flight(host, &text);
        let (life, redo) = (self.life, self.redo);
        let wrong = match self.told.get(&key) {
            None if flies && !redo => Some("was in flight, and is done although it was to be skipped"),
            None => None,
            Some((then, told)) if *then == life => Some(match told {
                Told::Well => "is done again by the same process after it was done",
                Told::Failed => "is done again by the same process after it failed",
                Told::Begun | Told::Lost => "is done again by the same process, and nobody knows whether it was done",
            }),
            Some((_, Told::Failed)) if !flies => None,
            Some((_, told)) => match (flies, redo, told) {
                (true, true, _) => None,
                (true, false, _) => Some("was in flight, and is done again although it was to be skipped"),
                (false, _, Told::Well) => Some("is done again after it was done"),
                (false, _, _) => Some("is done again, and nobody was asked"),
            },
        };
        if let Some(wrong) = wrong {
            self.problems.push(format!("{host}: `{text}` {wrong}"));
        }
        if text.contains(" one-") {
            let elsewhere =
                self.told.iter().find(|((on, what), (_, told))| on != host && *what == text && *told == Told::Well);
            if let Some(((on, _), _)) = elsewhere
                && !(self.redo && self.is_in_flight(on, &text))
            {
                self.problems.push(format!("`{text}` is to be done once: it was on {on}, and is on {host}"));
            }
        }
        self.told.insert(key, (life, Told::Begun));
    }

    /// What the process was told of an act.
    pub(super) fn told(&mut self, host: &str, words: &[String], end: &Result<Output, Lost>) {
        if let Some((_, told)) = self.told.get_mut(&(host.to_owned(), words.join(" "))) {
            *told = match end {
                Ok(output) if output.status == 0 => Told::Well,
                Ok(_) | Err(Lost::TimedOut(_)) => Told::Failed,
                Err(_) => Told::Lost,
            };
        }
    }

    /// A host was changed.
    pub(super) fn after_act(&mut self, host: &str, words: &[String], machines: &BTreeMap<String, Machine>) {
        let with = |daemon: &str, up: bool| -> Vec<&String> {
            machines.iter().filter(|(_, m)| m.daemons.get(daemon) == Some(&up)).map(|(name, _)| name).collect()
        };
        let word = |at: usize| words.get(at).map_or("", String::as_str);
        match (word(0), word(1)) {
            ("sim-start", SOLO) if with(SOLO, true).len() > 1 => {
                let two = format!("two masters: {:?}", with(SOLO, true));
                self.wrong(two);
            }
            ("sim-stop", SERVICE) => {
                let out = with(SERVICE, false);
                let Some((play, _)) = self.acts_in.get(host).copied() else { return };
                let Some(facts) = self.play(play) else { return };
                let groups: BTreeSet<&str> =
                    out.iter().filter_map(|h| facts.groups.get(*h)).map(String::as_str).collect();
                let (count, most) = match facts.bound {
                    Bound::None => return,
                    Bound::Window(most) => (out.len(), most),
                    Bound::Serial(most) => (out.iter().filter(|h| !self.lost.contains(**h)).count(), most),
                };
                if count > most || matches!(facts.bound, Bound::Window(_)) && groups.len() > 1 {
                    let said =
                        format!("play {play}: {out:?} are out ({groups:?}), {most} allowed; lost: {:?}", self.lost);
                    self.wrong(said);
                }
            }
            _ => {}
        }
    }
}
