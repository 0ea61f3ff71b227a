//! From the events of a preview to the tree of what would change.

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::{IndexMap, IndexSet};

use super::{Deed, Group, PlanItem, PlanPhase, PlanStep, PlanTree, Totals, number};
use crate::base::{Map, PlayId, Value};
use crate::event::{Event, EventKind, Status, StepLine, TaskKey, without_processes};
use crate::report::digest::halted;

/// Takes the events of a preview one by one.
#[derive(Debug, Default)]
pub(crate) struct Foresight {
    title: String,
    inventory: Vec<String>,
    plays: IndexMap<PlayId, Play>,
    tasks: HashMap<TaskKey, Told>,
    /// Items of loops whose host has not ended its task.
    items: HashMap<(TaskKey, String), Vec<PlanItem>>,
    /// Each of what tasks would do, once: thousands of hosts fare alike.
    deeds: IndexSet<Deed>,
    stopped: Vec<String>,
    warnings: IndexSet<String>,
}

/// A task as it was announced.
#[derive(Debug)]
struct Told {
    name: String,
    module: String,
    place: String,
    handler: bool,
}

#[derive(Debug, Default)]
struct Play {
    name: String,
    order: String,
    skipped: String,
    hosts: Vec<String>,
    batches: BTreeMap<u32, Vec<String>>,
    /// Places in the list of deeds.
    done: IndexMap<String, Vec<usize>>,
    /// What was seen of who leads.
    leads: HashMap<String, bool>,
}

impl Foresight {
    /// Takes an event.
    pub(crate) fn on(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted { title, inventory, .. } => {
                self.title.clone_from(title);
                self.inventory.clone_from(inventory);
            }
            EventKind::PlayStarted { play, name, hosts, order, .. } => {
                let entry = self.plays.entry(*play).or_default();
                (entry.name, entry.order, entry.hosts) = (name.clone(), order.clone(), hosts.clone());
            }
            EventKind::PlaySkipped { play, name, why } => {
                let entry = self.plays.entry(*play).or_default();
                (entry.name, entry.skipped) = (name.clone(), why.clone());
            }
            EventKind::BatchStarted { play, batch, hosts, .. } => {
                self.plays.entry(*play).or_default().batches.insert(*batch, hosts.clone());
            }
            EventKind::TaskStarted { key, name, module, handler, place, .. } => {
                let told = Told { name: name.clone(), module: module.clone(), place: place.clone(), handler: *handler };
                self.tasks.insert(key.clone(), told);
            }
            EventKind::ItemFinished { key, host, item, index, status, steps: lines, .. } => {
                let item = PlanItem { index: *index, item: item.clone(), status: *status, steps: steps(lines) };
                self.items.entry((key.clone(), host.clone())).or_default().push(item);
            }
            EventKind::HostFinished { key, host, delegate, status, steps: lines, message, result, .. } => {
                let (status, message) = seen(host, *status, message, result);
                let items = self.items.remove(&(key.clone(), host.clone())).unwrap_or_default();
                let told = self.tasks.get(key);
                let text = |get: fn(&Told) -> &String| told.map(|told| get(told).clone()).unwrap_or_default();
                let deed = Deed {
                    name: text(|told| &told.name),
                    module: text(|told| &told.module),
                    place: text(|told| &told.place),
                    pass: key.pass,
                    handler: told.is_some_and(|told| told.handler),
                    delegate: delegate.clone(),
                    status,
                    why: message,
                    steps: steps(lines),
                    items,
                };
                let (place, _) = self.deeds.insert_full(deed);
                let play = self.plays.entry(key.play).or_default();
                play.done.entry(host.clone()).or_default().push(place);
                if let Some(leads) = leads(result) {
                    play.leads.insert(host.clone(), leads);
                }
            }
            EventKind::Halted { play, halt } => {
                let name = self.plays.get(play).map(|play| play.name.as_str()).unwrap_or_default();
                self.stopped.push(halted(name, halt));
            }
            EventKind::Cancelling { why } => self.stopped.push(format!("ended early: {why}")),
            EventKind::Warning { message } => {
                self.warnings.insert(message.clone());
            }
            _ => {}
        }
    }

    /// The tree of all that was seen.
    pub(crate) fn tree(&self) -> PlanTree {
        PlanTree {
            title: self.title.clone(),
            inventory: self.inventory.clone(),
            phases: self.plays.iter().map(|(id, play)| self.phase(*id, play)).collect(),
            totals: self.totals(),
            stopped: self.stopped.clone(),
            warnings: self.warnings.iter().cloned().collect(),
        }
    }

    fn phase(&self, id: PlayId, play: &Play) -> PlanPhase {
        let mut alike: IndexMap<&[usize], Vec<String>> = IndexMap::new();
        let turns = play.batches.values().flatten();
        let mut seen = HashSet::new();
        for host in turns.chain(&play.hosts).filter(|host| seen.insert(host.as_str())) {
            let done = play.done.get(host).map(Vec::as_slice).unwrap_or_default();
            alike.entry(done).or_default().push(host.clone());
        }
        let groups = alike.into_iter().map(|(done, hosts)| Group {
            hosts,
            tasks: done.iter().filter_map(|place| self.deeds.get_index(*place)).cloned().collect(),
        });
        PlanPhase {
            play: id,
            name: play.name.clone(),
            order: play.order.clone(),
            skipped: play.skipped.clone(),
            hosts: number(play.hosts.len()),
            takes: None,
            batches: play.batches.values().cloned().collect(),
            groups: groups.collect(),
        }
    }

    fn any(&self, play: &Play, host: &str, is_so: impl Fn(&Deed) -> bool) -> bool {
        let done = play.done.get(host).into_iter().flatten();
        done.filter_map(|place| self.deeds.get_index(*place)).any(is_so)
    }

    fn totals(&self) -> Totals {
        let mut hosts: IndexMap<&str, (bool, bool, bool)> = IndexMap::new();
        let (mut at_once, mut leader_changes): (u32, Option<(u32, u32)>) = (0, None);
        for play in self.plays.values() {
            for host in &play.hosts {
                let (changes, unknown, fails) = hosts.entry(host).or_default();
                *changes |= self.any(play, host, Deed::changes);
                *unknown |= self.any(play, host, Deed::is_unknown);
                *fails |= self.any(play, host, Deed::fails);
            }
            at_once = at_once.max(self.at_once(play));
            if let Some((least, most)) = self.leader_changes(play) {
                let (before_least, before_most) = leader_changes.unwrap_or_default();
                leader_changes = Some((before_least + least, before_most + most));
            }
        }
        let count = |is_so: fn(&(bool, bool, bool)) -> bool| number(hosts.values().filter(|host| is_so(host)).count());
        Totals {
            hosts: number(hosts.len()),
            changing: count(|(changes, ..)| *changes),
            unknown: count(|(changes, unknown, _)| !changes && *unknown),
            failing: count(|(.., fails)| *fails),
            at_once,
            leader_changes,
            takes: None,
            untold: 0,
        }
    }

    /// How many hosts of a play that changes something are worked on at once.
    fn at_once(&self, play: &Play) -> u32 {
        let touched = |host: &&String| self.any(play, host, |deed| deed.changes() || deed.is_unknown());
        let all = play.hosts.iter().filter(touched).count();
        let most = match window(&play.order) {
            Some(most) => all.min(most),
            None => play.batches.values().map(|hosts| hosts.iter().filter(touched).count()).max().unwrap_or(0),
        };
        number(most)
    }

    /// How often the leader changes in a play that sees who leads and restarts it: once when it comes last. When it does not,
    /// each that is restarted after it may have become the leader meanwhile.
    fn leader_changes(&self, play: &Play) -> Option<(u32, u32)> {
        let restarts = |deed: &Deed| {
            matches!(deed.module.as_str(), "service" | "systemd" | "systemd_service" | "reboot") && deed.changes()
        };
        let turns: Vec<&String> = play.batches.values().flatten().collect();
        let leads = |host: &String| play.leads.get(host) == Some(&true);
        let at = turns.iter().position(|host| leads(host) && self.any(play, host, restarts))?;
        let after = turns.iter().skip(at + 1).filter(|host| self.any(play, host, restarts)).count();
        Some((1, 1 + number(after)))
    }
}

/// What a task came to. One that previews leave out (`when: not ansible_check_mode`) is not left out of the run.
fn seen(host: &str, status: Status, message: &str, result: &Map) -> (Status, String) {
    let by = result.get("false_condition").and_then(Value::as_str).unwrap_or_default();
    match status {
        Status::Skipped if by.contains("ansible_check_mode") => {
            (Status::Unpredictable, format!("previews leave it out: `{by}`"))
        }
        // Hosts that wait for themselves fare alike.
        Status::Unpredictable => {
            let words = without_processes(message);
            let words: Vec<&str> = words.split(' ').map(|word| if word == host { "the host" } else { word }).collect();
            (status, words.join(" "))
        }
        _ => (status, message.to_owned()),
    }
}

/// The size of a window, from how its order is told: `one out at once`, `up to 3 out at once`.
fn window(order: &str) -> Option<usize> {
    let first = order.split(',').next()?.strip_suffix(" out at once")?;
    if first == "one" { Some(1) } else { first.strip_prefix("up to ")?.parse().ok() }
}

/// Whether a host leads, where a result says so.
fn leads(result: &Map) -> Option<bool> {
    result.get("ansible_facts")?.get("mesos")?.get("is_leader").and_then(Value::as_bool)
}

fn steps(lines: &[StepLine]) -> Vec<PlanStep> {
    lines
        .iter()
        .map(|line| PlanStep {
            summary: without_processes(&line.summary),
            opaque: line.opaque,
            digest: line.diff.as_ref().map(crate::event::StepDiff::digest),
            diff: line.diff.clone(),
        })
        .collect()
}
