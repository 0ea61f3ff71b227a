//! What an earlier process of this run did, worked out from its journal: what is known done is not done again.
//!
//! A run that is resumed walks its plan from the start. The batches are those that were begun; a task that is known done on a
//! host is passed over there and its result restored; at a host's first task that is not known done its past is over, and
//! nothing of what the journal has after it holds any more (an `always` section that ran when a task before it had failed runs
//! again once that task succeeds).
//!
//! What it cannot know: whether an act that was in flight was done. Steps that say what is wanted are looked at again;
//! a command that can't be seen through, and a restart, are for a person to decide.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::added::Added;
use super::undo::Pending;
use crate::base::{Map, PlayId, Value};
use crate::event::{Event, EventKind, Status, StepLine, TaskKey};

/// What the masker writes in a secret's place.
const STARS: &str = "********";

/// A run's past.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// Plays that were begun, and the hosts that came so far.
    plays: HashMap<PlayId, Vec<String>>,
    plays_ended: HashSet<PlayId>,
    batches: HashMap<(PlayId, u32), Vec<String>>,
    ended: HashSet<(PlayId, u32)>,
    baked: HashSet<(PlayId, u32)>,
    skipped: BTreeMap<String, (String, String)>,
    /// Module and place of each task, as the journal has them.
    tasks: HashMap<TaskKey, (String, String)>,
    hosts: HashMap<String, Trail>,
    undos: Pending,
    pub(super) added: Added,
    /// Tasks whose change was taken back while their host had more to do: it goes on under the setting again.
    again: HashSet<(TaskKey, String)>,
    /// Milliseconds since the run began, as the last event has it.
    elapsed: u64,
    pinned: BTreeMap<String, String>,
    /// Hosts on which a process that had no time to end left the run's lease.
    leased: BTreeSet<String>,
}

/// What a host did, task by task.
#[derive(Debug, Default)]
struct Trail {
    records: HashMap<TaskKey, Record>,
    /// A task was begun by the process that is read at the moment.
    begun: bool,
    /// A task was begun by it, or taken up again.
    active: bool,
}

/// One task on one host.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    /// Where it comes among all records.
    order: usize,
    done: Option<Done>,
    /// Items of a loop that are known done, by index.
    items: BTreeMap<u32, Done>,
    /// Steps that were announced and never ended, by the item's index.
    flight: BTreeMap<u32, Vec<StepLine>>,
    /// Something of it that nobody can see through was begun: it may have left anything.
    unseen: bool,
}

/// A task, or an item of its loop, that is known done.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Done {
    pub(super) status: Status,
    pub(super) steps: Vec<StepLine>,
    pub(super) result: Map,
    pub(super) message: String,
    pub(super) notified: Vec<String>,
}

/// An act that was in flight when the run broke off and that can't be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InFlight {
    /// The host.
    pub(crate) host: String,
    /// What it was, for people.
    pub(crate) what: String,
    /// `file:line` of the task.
    pub(crate) place: String,
}

impl Past {
    /// Reads a run's events, of all its processes so far.
    pub(crate) fn of(events: impl IntoIterator<Item = Event>) -> Self {
        let mut past = Self::default();
        for (order, event) in events.into_iter().enumerate() {
            past.elapsed = past.elapsed.max(event.elapsed);
            past.take(order, event.kind);
        }
        past
    }

    fn take(&mut self, order: usize, kind: EventKind) {
        self.undos.on(&kind);
        self.added.on(&kind);
        match kind {
            EventKind::RunStarted { pinned, .. } => self.pinned = pinned,
            EventKind::Resumed { pinned, .. } => {
                self.pinned = pinned;
                self.hosts.values_mut().for_each(|trail| (trail.begun, trail.active) = (false, false));
            }
            EventKind::PlayStarted { play, hosts, .. } => {
                self.plays.insert(play, hosts);
            }
            EventKind::PlayFinished { play } => {
                self.plays_ended.insert(play);
            }
            EventKind::BatchStarted { play, batch, hosts, .. } => {
                self.batches.insert((play, batch), hosts);
                self.ended.remove(&(play, batch));
            }
            EventKind::BatchFinished { play, batch } => {
                self.ended.insert((play, batch));
            }
            EventKind::Baked { play, batch } => {
                self.baked.insert((play, batch));
            }
            EventKind::LeaseTaken { host } => {
                self.leased.insert(host);
            }
            EventKind::RunFinished { .. } => self.leased.clear(),
            EventKind::HostSkipped { host, by, reason } => {
                self.skipped.insert(host, (by, reason));
            }
            EventKind::TaskStarted { key, module, place, .. } => {
                self.tasks.insert(key, (module, place));
            }
            EventKind::HostStarted { key, host } => {
                // A batch that had ended with a lost host goes on.
                self.ended.remove(&(key.play, key.batch));
                let again = self.again.contains(&(key.clone(), host.clone()));
                self.hosts.entry(host).or_default().begin(order, key, again);
            }
            EventKind::UndoFinished { entry, done: true, .. } => self.taken_back(entry),
            EventKind::ActStarted { key, host, item, steps, .. } => {
                if let Some(record) = self.record(&key, &host) {
                    record.unseen |= unseen(&steps);
                    record.flight.insert(item, steps);
                }
            }
            EventKind::ItemFinished { key, host, index, status, steps, result, notified, .. } => {
                if let Some(record) = self.record(&key, &host) {
                    if settles(status) {
                        record.flight.remove(&index);
                    }
                    if counts(status, false) {
                        let done = Done { status, steps, result, message: String::new(), notified };
                        record.items.insert(index, done);
                    }
                }
            }
            EventKind::HostFinished { key, host, status, steps, result, message, notified, rescued, .. } => {
                if counts(status, rescued) {
                    // What was taken back is as it is wanted again, until the next undo.
                    self.again.remove(&(key.clone(), host.clone()));
                }
                // Tasks that fail before they begin have no start.
                let trail = self.hosts.entry(host).or_default();
                let record = trail.records.entry(key).or_insert_with(|| Record { order, ..Record::default() });
                if settles(status) {
                    record.flight.clear();
                }
                record.done = counts(status, rescued).then_some(Done { status, steps, result, message, notified });
            }
            _ => {}
        }
    }

    /// A host that failed, or whose run broke off, has more to do under the setting that was taken back.
    fn taken_back(&mut self, entry: u32) {
        let Some((key, host)) = self.undos.done(entry).map(|(key, host)| (key.clone(), host.to_owned())) else {
            return;
        };
        let more = |trail: &Trail| !trail.active || trail.records.values().any(|record| record.done.is_none());
        if !self.is_through(&key, &host) && self.hosts.get(&host).is_some_and(more) {
            self.again.insert((key, host));
        } else {
            self.again.remove(&(key, host));
        }
    }

    /// Whether a host got through the batch of a task: the batch ended, and nothing that the host had to do in it failed.
    pub(super) fn is_through(&self, key: &TaskKey, host: &str) -> bool {
        let at = (key.play, key.batch);
        self.ended.contains(&at) && !self.is_lost_in(at, host)
    }

    /// Whether a host that was lost in a play has to wait, since batches that began after its own are half done: their hosts are out,
    /// and it would be one more. In a window it kept its place, so there only later plays count, and hosts that those lost count too.
    pub(super) fn waits(&self, play: PlayId, host: &str, windowed: bool) -> bool {
        let is_half_done = |at: &(PlayId, u32), hosts: &[String]| {
            let lost = |name: &String| name != host && !self.skipped.contains_key(name) && self.is_lost_in(*at, name);
            !self.ended.contains(at) || windowed && hosts.iter().any(lost)
        };
        let later = |own: u32, (at, batch): &(PlayId, u32)| *at > play || *at == play && *batch > own && !windowed;
        let own = self.batches.iter().filter(|(at, hosts)| at.0 == play && hosts.iter().any(|name| name == host));
        own.map(|(at, _)| at)
            .filter(|at| self.ended.contains(at) && self.is_lost_in(**at, host))
            .any(|at| self.batches.iter().any(|(other, hosts)| later(at.1, other) && is_half_done(other, hosts)))
    }

    /// Whether a host has begun something in a batch that is not known done. Who came to a later play got through: a gate that failed
    /// after the batch and holds now leaves no trace.
    fn is_lost_in(&self, at: (PlayId, u32), host: &str) -> bool {
        let in_batch = |key: &TaskKey| (key.play, key.batch) == at;
        let open = |trail: &Trail| trail.records.iter().any(|(key, record)| in_batch(key) && record.done.is_none());
        let came = |(play, hosts): (&PlayId, &Vec<String>)| *play > at.0 && hosts.iter().any(|name| name == host);
        self.hosts.get(host).is_some_and(open) && !self.plays.iter().any(came)
    }

    /// Whether nothing is left to do in a batch.
    pub(super) fn is_over(&self, play: PlayId, batch: u32) -> bool {
        let at = (play, batch);
        self.ended.contains(&at)
            && self.batches.get(&at).is_some_and(|hosts| !hosts.iter().any(|host| self.is_lost_in(at, host)))
    }

    /// What is to be taken back still.
    pub(super) fn undos(&self) -> &Pending {
        &self.undos
    }

    /// Whether a task that is done has to be done again, since its change was taken back and its host has more to do.
    pub(super) fn is_again(&self, key: &TaskKey, host: &str) -> bool {
        self.again.contains(&(key.clone(), host.to_owned()))
    }

    fn record(&mut self, key: &TaskKey, host: &str) -> Option<&mut Record> {
        self.hosts.get_mut(host)?.records.get_mut(key)
    }

    /// The hosts of a batch that was begun.
    pub(crate) fn batch(&self, play: PlayId, batch: u32) -> Option<&[String]> {
        self.batches.get(&(play, batch)).map(Vec::as_slice)
    }

    /// Whether a batch came to its end.
    pub(crate) fn batch_ended(&self, play: PlayId, batch: u32) -> bool {
        self.ended.contains(&(play, batch))
    }

    /// Whether a play was begun.
    pub(crate) fn play_begun(&self, play: PlayId) -> bool {
        self.plays.contains_key(&play)
    }

    /// Whether a play came to its end.
    pub(crate) fn play_ended(&self, play: PlayId) -> bool {
        self.plays_ended.contains(&play)
    }

    /// Whether the gates held long enough after a batch.
    pub(crate) fn baked(&self, play: PlayId, batch: u32) -> bool {
        self.baked.contains(&(play, batch))
    }

    /// Hosts that a person left out: who, and why.
    pub(crate) fn skipped(&self) -> &BTreeMap<String, (String, String)> {
        &self.skipped
    }

    /// Hosts on which the run's lease may still lie.
    pub(super) fn leased(&self) -> &BTreeSet<String> {
        &self.leased
    }

    /// Milliseconds that the run took so far.
    pub(crate) fn elapsed(&self) -> u64 {
        self.elapsed
    }

    /// Digests of what the run rests on, as they were last accepted.
    pub(crate) fn pinned(&self) -> &BTreeMap<String, String> {
        &self.pinned
    }

    /// What was in flight and can't be looked at, in the order of the journal.
    pub(crate) fn in_flight(&self) -> Vec<InFlight> {
        let mut found: Vec<(usize, InFlight)> = Vec::new();
        for (host, trail) in &self.hosts {
            for (key, record) in &trail.records {
                for steps in record.flight.values().filter(|steps| unseen(steps)) {
                    let what = steps.iter().map(|step| step.summary.as_str()).collect::<Vec<_>>().join(", ");
                    let place = self.tasks.get(key).map(|(_, place)| place.clone()).unwrap_or_default();
                    found.push((record.order, InFlight { host: host.clone(), what, place }));
                }
            }
        }
        found.sort_by_key(|(order, _)| *order);
        found.into_iter().map(|(_, act)| act).collect()
    }

    /// Of how many tasks something is known on a host, done or begun.
    pub(super) fn known_on(&self, host: &str) -> usize {
        self.hosts.get(host).map_or(0, |trail| trail.records.len())
    }

    /// Steps of a task that some host began once for all, that never ended and that nobody can see through.
    pub(super) fn shared_flight(&self, key: &TaskKey, item: u32) -> Option<&[StepLine]> {
        let flights = self.hosts.values().filter_map(|trail| trail.records.get(key)?.flight(item));
        flights.into_iter().find(|steps| unseen(steps))
    }

    /// Whether a host did something after a task: a section that runs whatever happens, after the task had failed.
    pub(super) fn went_on(&self, record: &Record, host: &str) -> bool {
        self.hosts.get(host).is_some_and(|trail| trail.records.values().any(|later| later.order > record.order))
    }

    /// What is known of a task on a host.
    pub(super) fn of_task(&self, key: &TaskKey, host: &str) -> Option<&Record> {
        self.hosts.get(host)?.records.get(key)
    }

    /// The module and the place that a task had.
    pub(super) fn task(&self, key: &TaskKey) -> Option<(&str, &str)> {
        self.tasks.get(key).map(|(module, place)| (module.as_str(), place.as_str()))
    }
}

impl Trail {
    fn begin(&mut self, order: usize, key: TaskKey, again: bool) {
        self.active = true;
        let earlier = self.records.remove(&key);
        if let Some(record) = earlier.as_ref().filter(|_| again) {
            // It keeps its place, and what came after it still holds.
            self.records.insert(key, Record { order: record.order, ..Record::default() });
            return;
        }
        if !self.begun {
            self.begun = true;
            // The host's past was over here: what came after it was of another course.
            if let Some(at) = earlier.as_ref().map(|record| record.order) {
                self.records.retain(|_, record| record.order < at);
            }
        }
        // Items of a loop that are done stay done when the task is taken up again.
        let Record { items, flight, unseen, .. } = earlier.unwrap_or_default();
        self.records.insert(key, Record { order, done: None, items, flight, unseen });
    }
}

impl Record {
    /// What it came to, when it is known done.
    pub(super) fn done(&self) -> Option<&Done> {
        self.done.as_ref()
    }

    /// Whether it may have left anything.
    pub(super) fn is_unseen(&self) -> bool {
        self.unseen
    }

    /// Whether steps were announced that never ended.
    pub(super) fn is_in_flight(&self) -> bool {
        !self.flight.is_empty()
    }

    /// An item of its loop that is known done.
    pub(super) fn item(&self, index: u32) -> Option<&Done> {
        self.items.get(&index)
    }

    /// Steps that were announced for an item and never ended.
    pub(super) fn flight(&self, item: u32) -> Option<&[StepLine]> {
        self.flight.get(&item).map(Vec::as_slice)
    }
}

impl Done {
    /// Whether the journal has only a part of the result: a secret, or what `no_log` hides.
    pub(super) fn is_veiled(&self) -> bool {
        self.result.contains_key("censored")
            || self.result.iter().any(|(key, value)| key.contains(STARS) || veiled(value))
    }
}

fn veiled(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(STARS),
        Value::Array(items) => items.iter().any(veiled),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains(STARS) || veiled(value)),
        _ => false,
    }
}

/// Whether a task with this status is not done again. Failures are tried again, but for those that a rescue section took.
fn counts(status: Status, rescued: bool) -> bool {
    match status {
        Status::Ok | Status::Changed | Status::Skipped | Status::Ignored => true,
        Status::Failed => rescued,
        Status::Unreachable | Status::Unknown | Status::Unpredictable | Status::Bug => false,
    }
}

/// Whether it is known, after an end with this status, what became of steps that were in flight: not when the host could not be
/// asked.
fn settles(status: Status) -> bool {
    !matches!(status, Status::Unknown | Status::Unreachable)
}

/// Whether nobody can see afterwards if these steps were done.
pub(super) fn unseen(steps: &[StepLine]) -> bool {
    steps.iter().any(|step| step.opaque || step.once)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::fixture::{at, finished, key, task};

    fn line(opaque: bool) -> StepLine {
        StepLine { summary: "run `x`".to_owned(), diff: None, opaque, once: false, script: None }
    }

    fn past(kinds: Vec<EventKind>) -> Past {
        Past::of(kinds.into_iter().enumerate().map(|(n, kind)| at(n as u64, kind)))
    }

    fn start(task_id: u32) -> EventKind {
        EventKind::HostStarted { key: task(task_id), host: "a".to_owned() }
    }

    fn end(task_id: u32, status: Status) -> EventKind {
        let mut event = finished("a", status);
        if let EventKind::HostFinished { key, .. } = &mut event {
            *key = task(task_id);
        }
        event
    }

    fn act(task_id: u32, opaque: bool) -> EventKind {
        EventKind::ActStarted {
            key: task(task_id),
            host: "a".to_owned(),
            item: 0,
            steps: vec![line(opaque)],
            login: String::new(),
            privilege: String::new(),
        }
    }

    fn resumed() -> EventKind {
        EventKind::Resumed {
            program: String::new(),
            operator: String::new(),
            command: Vec::new(),
            pinned: BTreeMap::new(),
        }
    }

    fn is_done(past: &Past, id: u32) -> bool {
        past.of_task(&task(id), "a").is_some_and(|record| record.done().is_some())
    }

    #[test]
    fn only_what_ended_well_is_done() {
        let past = past(vec![start(0), end(0, Status::Changed), start(1), end(1, Status::Failed), start(2)]);
        assert!(is_done(&past, 0));
        assert!(!is_done(&past, 1));
        assert!(!is_done(&past, 2));
    }

    #[test]
    fn a_command_in_flight_is_for_a_person_and_a_state_is_not() {
        let opaque = past(vec![start(0), act(0, true)]);
        assert_eq!(opaque.in_flight().len(), 1);
        assert_eq!(opaque.in_flight()[0].what, "run `x`");
        let seen = past(vec![start(0), act(0, false)]);
        assert_eq!(seen.in_flight(), []);
        assert!(seen.of_task(&key(), "a").unwrap().flight(0).is_some());
        let lost = past(vec![start(0), act(0, true), end(0, Status::Unknown)]);
        assert_eq!(lost.in_flight().len(), 1, "a broken line leaves it in flight");
        assert_eq!(past(vec![start(0), act(0, true), end(0, Status::Failed)]).in_flight(), []);
    }

    #[test]
    fn what_ran_after_a_failure_counts_no_more_once_the_failed_task_is_taken_up_again() {
        // 3 failed, 5 is an `always` section; the next process did 3 and 4 and died.
        let life = vec![
            start(3),
            end(3, Status::Failed),
            start(5),
            end(5, Status::Changed),
            resumed(),
            start(3),
            end(3, Status::Changed),
            start(4),
            end(4, Status::Ok),
        ];
        let past = past(life);
        assert!(is_done(&past, 3) && is_done(&past, 4));
        assert!(!is_done(&past, 5), "it runs again");
    }

    #[test]
    fn items_of_a_loop_stay_done() {
        let item = |index, status| EventKind::ItemFinished {
            key: key(),
            host: "a".to_owned(),
            item: String::new(),
            index,
            delegate: None,
            delegate_address: None,
            status,
            steps: Vec::new(),
            result: Map::new(),
            notified: vec!["restart".to_owned()],
        };
        let past = past(vec![start(0), item(0, Status::Changed), item(1, Status::Failed), resumed(), start(0)]);
        let record = past.of_task(&key(), "a").unwrap();
        assert_eq!(record.item(0).map(|done| done.notified.clone()), Some(vec!["restart".to_owned()]));
        assert!(record.item(0).is_some() && record.item(1).is_none() && record.done().is_none());
    }

    #[test]
    fn a_hidden_result_is_known_to_be_one() {
        let done = |result: serde_json::Value| Done {
            status: Status::Ok,
            steps: Vec::new(),
            result: result.as_object().cloned().unwrap(),
            message: String::new(),
            notified: Vec::new(),
        };
        assert!(done(serde_json::json!({"censored": "x"})).is_veiled());
        assert!(done(serde_json::json!({"a": [{"b": "x********y"}]})).is_veiled());
        assert!(!done(serde_json::json!({"a": [{"b": "x"}]})).is_veiled());
    }
}
