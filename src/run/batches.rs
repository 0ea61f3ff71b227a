//! The batches of a play. Here alone is decided which hosts are next ([`Queue::next`]) and whether they may begin
//! ([`Progress::open`]); everything that takes part in those decisions meets here.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;

use super::Run;
use super::batch::BatchRun;
use super::gather::compare;
use super::guard::Standing;
use super::host::Host;
use super::permission::Permission;
use super::play::{PlayRun, said};
use super::render::Room;
use crate::base::{Value, to_text};
use crate::event::{EventKind, Halt};
use crate::plan::{Batches, Serial};

/// Which hosts of a play are at work.
#[derive(Default)]
pub(super) struct Progress(Mutex<AtWork>);

#[derive(Default)]
struct AtWork {
    /// The hosts of each batch under way.
    batches: BTreeMap<u32, Vec<Arc<Host>>>,
    /// The hosts of the batch that began last.
    last: Vec<Arc<Host>>,
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, AtWork> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hosts of the batch that a host is in; of the one that began last for all others.
    pub(super) fn batch_of(&self, host: &str) -> Vec<Arc<Host>> {
        let at_work = self.lock();
        let its = at_work.batches.values().find(|hosts| hosts.iter().any(|other| other.name == host));
        its.unwrap_or(&at_work.last).clone()
    }

    /// Begins a batch, unless the play was halted meanwhile. What halts a play takes the same lock, so that no batch begins after
    /// the event that says so.
    fn open(&self, run: &Run, play: &PlayRun, index: u32, batches: u32, hosts: &[Arc<Host>]) -> bool {
        let mut at_work = self.lock();
        if play.halted.load(Ordering::SeqCst) {
            return false;
        }
        at_work.batches.insert(index, hosts.to_vec());
        at_work.last = hosts.to_vec();
        let begun = run.resumption.as_ref().is_some_and(|how| how.past.batch(play.plan.id, index).is_some());
        if !begun {
            let hosts = hosts.iter().map(|host| host.name.clone()).collect();
            run.bus.emit(EventKind::BatchStarted { play: play.plan.id, batch: index, batches, hosts });
        }
        true
    }

    fn close(&self, index: u32) {
        self.lock().batches.remove(&index);
    }

    /// Stops the play, once: nothing new is begun.
    pub(super) fn halt(&self, run: &Run, play: &PlayRun, halt: Halt) {
        let _at_work = self.lock();
        if !play.halted.swap(true, Ordering::SeqCst) {
            run.halt();
            run.bus.emit(EventKind::Halted { play: play.plan.id, halt });
        }
    }
}

/// What may begin.
enum Next {
    /// These hosts, together.
    Begin(Vec<Arc<Host>>),
    /// Nothing before a batch at work has ended.
    Later,
    /// Nothing any more.
    Over,
}

/// The hosts of a play that are still to come.
struct Queue {
    run: Arc<Run>,
    play: Arc<PlayRun>,
    batches: Batches,
    remaining: Vec<usize>,
    /// What `serial_by` says of each host, as looked at when the play began.
    groups: HashMap<usize, Value>,
}

impl Queue {
    async fn new(run: &Arc<Run>, play: &Arc<PlayRun>) -> Result<Self, String> {
        let remaining: Vec<usize> = (0..play.hosts.len()).collect();
        let groups = run.values_of(play, play.plan.serial_by.as_ref(), &remaining, "serial_by").await?;
        let batches = Batches::new(sizes(run, play).await?, play.hosts.len());
        Ok(Self { run: Arc::clone(run), play: Arc::clone(play), batches, remaining, groups })
    }

    /// How many batches there will be when every host stays.
    fn count(&self) -> u32 {
        self.batches.count(&self.remaining, &|host| self.groups.get(&host).map(to_text))
    }

    /// The hosts of a batch that an earlier process of this run began. They leave the queue.
    fn known(&mut self, index: u32) -> Option<Vec<Arc<Host>>> {
        let past = &self.run.resumption.as_ref()?.past;
        let names = past.batch(self.play.plan.id, index)?;
        self.batches.pass();
        let play = Arc::clone(&self.play);
        let is_in = |host: &Host| names.iter().any(|name| *name == host.name);
        self.remaining.retain(|at| !play.hosts.get(*at).is_some_and(|host| is_in(host)));
        Some(names.iter().filter_map(|name| play.hosts.iter().find(|host| host.name == *name).cloned()).collect())
    }

    /// The hosts that begin next, given how many batches are at work. They leave the queue.
    async fn next(&mut self, at_work: usize, index: u32) -> Result<Next, String> {
        if at_work > 0 {
            return Ok(Next::Later);
        }
        let play = Arc::clone(&self.play);
        if let Some(hosts) = self.known(index) {
            return Ok(Next::Begin(hosts));
        }
        self.remaining.retain(|host| play.hosts.get(*host).is_some_and(|host| host.standing() == Standing::Active));
        if let Some(expression) = &play.plan.order_by {
            let values = self.run.values_of(&play, Some(expression), &self.remaining, "order_by").await?;
            self.remaining.sort_by(|a, b| compare(values.get(a), values.get(b)));
        }
        let groups = &self.groups;
        let chosen = self.batches.next(&mut self.remaining, &|host| groups.get(&host).map(to_text));
        let hosts: Vec<Arc<Host>> = chosen.iter().filter_map(|at| play.hosts.get(*at).cloned()).collect();
        Ok(if hosts.is_empty() { Next::Over } else { Next::Begin(hosts) })
    }
}

impl Run {
    /// Runs all batches of a play.
    ///
    /// # Errors
    /// Which hosts are next can't be worked out. Hosts at work have finished.
    pub(super) async fn batches(self: &Arc<Self>, play: &Arc<PlayRun>) -> Result<(), String> {
        let mut queue = Queue::new(self, play).await?;
        let count = queue.count();
        let past = self.resumption.as_ref().map(|resumption| &resumption.past);
        if past.is_none_or(|past| !past.play_begun(play.plan.id)) {
            self.bus.emit(EventKind::PlayStarted {
                play: play.plan.id,
                name: play.name.clone(),
                hosts: play.hosts.iter().map(|host| host.name.clone()).collect(),
                batches: count,
                order: order_text(play, &queue.batches, count),
                tasks: play.plan.task_count,
            });
        }
        let mut at_work: JoinSet<u32> = JoinSet::new();
        let mut index = 0;
        let mut wrong = None;
        loop {
            while wrong.is_none() && self.goes_on(play) {
                match queue.next(at_work.len(), index).await {
                    Ok(Next::Begin(hosts)) => {
                        let Permission::Go(admitted) = self.permission(play, index, hosts).await else { break };
                        if admitted.hosts.is_empty() {
                            // A batch that was begun before keeps its number when all of its hosts were left out since.
                            index += u32::from(past.is_some_and(|past| past.batch(play.plan.id, index).is_some()));
                            continue;
                        }
                        if !play.progress.open(self, play, index, count.max(index + 1), &admitted.hosts) {
                            break;
                        }
                        let batch = Arc::new(BatchRun::new(self, play, index, admitted.hosts.clone()));
                        at_work.spawn(async move {
                            let _admitted = admitted;
                            let index = batch.index;
                            batch.run().await;
                            index
                        });
                        index += 1;
                    }
                    Ok(Next::Later | Next::Over) => break,
                    Err(reason) => wrong = Some(reason),
                }
            }
            match at_work.join_next().await {
                None => break,
                Some(Ok(done)) => play.progress.close(done),
                Some(Err(error)) => {
                    wrong = Some(format!(
                        "a bug of stagger ended a batch: please report it; nothing more is started: {error}"
                    ));
                }
            }
        }
        let fresh = play.hosts.iter().any(|host| host.state().past_over);
        if fresh || past.is_none_or(|past| !past.play_ended(play.plan.id)) {
            self.bus.emit(EventKind::PlayFinished { play: play.plan.id });
        }
        wrong.map_or(Ok(()), Err)
    }

    /// Whether a further batch may begin.
    fn goes_on(&self, play: &PlayRun) -> bool {
        !self.is_stopping() && !play.halted.load(Ordering::SeqCst) && !play.ended.load(Ordering::SeqCst)
    }
}

/// What `serial` says, worked out.
async fn sizes(run: &Arc<Run>, play: &Arc<PlayRun>) -> Result<Vec<Serial>, String> {
    let Some(node) = play.plan.options.get("serial") else { return Ok(Vec::new()) };
    let host = play.hosts.first().cloned().unwrap_or_else(|| Arc::new(Host::new("")));
    let value = Room::new(run, &host, Some(play)).render(node).await.map_err(|t| format!("`serial`: {}", said(&t)))?;
    let values = match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values,
        one => vec![one],
    };
    values.iter().map(Serial::parse).collect()
}

fn order_text(play: &PlayRun, batches: &Batches, count: u32) -> String {
    let mut parts = Vec::new();
    if batches.is_rolling() {
        let first = batches.first_size();
        parts.push(if count as usize == play.hosts.len() {
            "one at a time".to_owned()
        } else {
            format!("up to {first} at a time")
        });
    }
    if let Some(expression) = &play.plan.order_by {
        // `mesos.is_leader` is false before true: the leader comes last.
        let text = expression.text();
        let last = text.rsplit_once(".is_").map(|(_, name)| name).filter(|name| name.chars().all(char::is_alphabetic));
        parts.push(last.map_or_else(|| format!("by {text}"), |name| format!("{name} last")));
    }
    parts.join(", ")
}
