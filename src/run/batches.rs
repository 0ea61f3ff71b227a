//! The batches of a play, or the hosts of its window, each of which is a batch of its own. Here alone is decided which hosts are
//! next ([`Queue::next`]) and whether they may begin ([`Progress::open`]); everything that takes part in those decisions meets
//! here.
//!
//! A window starts a host whenever one finishes. Who failed stays out for good and keeps its place in the window: never more hosts
//! are out than `max_unavailable` allows, the failed ones included, and never hosts of two values of `serial_by`.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;

use super::Run;
use super::batch::BatchRun;
use super::gather::compare;
use super::guard::{Entry, Rules, Standing};
use super::host::Host;
use super::permission::Permission;
use super::play::{PlayRun, said};
use super::render::Room;
use crate::base::{Value, to_text};
use crate::event::{EventKind, Halt};
use crate::plan::{Batches, Serial, Window};

/// What a lost host counts as whose `serial_by` can't be worked out any more: a value that no other host has.
const NOT_KNOWN: &str = "(not known)";

/// Which hosts of a play are at work.
#[derive(Default)]
pub(super) struct Progress(Mutex<AtWork>);

#[derive(Default)]
struct AtWork {
    /// The hosts of each batch under way.
    batches: BTreeMap<u32, Vec<Arc<Host>>>,
    /// The hosts of the batch that began last.
    last: Vec<Arc<Host>>,
    /// The batch of each host that began, or was lost before its batch did.
    began: HashMap<String, u32>,
    /// What `serial_by` says of each host.
    groups: HashMap<String, String>,
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, AtWork> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hosts of the batch that a host is in; of the one that began last for all others.
    pub(super) fn batch_of(&self, host: &str) -> Vec<Arc<Host>> {
        let at_work = self.lock();
        let its = at_work.began.get(host).and_then(|batch| at_work.batches.get(batch));
        its.unwrap_or(&at_work.last).clone()
    }

    /// Begins a batch, unless the play was halted meanwhile. What halts a play takes the same lock, so that no batch begins after
    /// the event that says so.
    fn open(&self, run: &Run, play: &PlayRun, turn: &Turn, batches: u32, hosts: &[Arc<Host>]) -> bool {
        let mut at_work = self.lock();
        if play.halted.load(Ordering::SeqCst) {
            return false;
        }
        at_work.batches.insert(turn.index, hosts.to_vec());
        at_work.last = hosts.to_vec();
        at_work.began.extend(turn.lost.iter().chain(hosts).map(|host| (host.name.clone(), turn.index)));
        if !turn.known {
            let hosts = hosts.iter().map(|host| host.name.clone()).collect();
            run.bus.emit(EventKind::BatchStarted { play: play.plan.id, batch: turn.index, batches, hosts });
        }
        true
    }

    fn close(&self, index: u32) {
        self.lock().batches.remove(&index);
    }

    /// Whether no batch is under way.
    fn is_idle(&self) -> bool {
        self.lock().batches.is_empty()
    }

    /// Stops the play, once: nothing new is begun.
    pub(super) fn halt(&self, run: &Run, play: &PlayRun, halt: Halt) {
        let _at_work = self.lock();
        if !play.halted.swap(true, Ordering::SeqCst) {
            run.halt();
            run.bus.emit(EventKind::Halted { play: play.plan.id, halt });
        }
    }

    /// The ledger's lines for hosts.
    pub(super) fn entries(&self, hosts: &[Arc<Host>]) -> Vec<Entry> {
        let at_work = self.lock();
        let entry = |host: &Arc<Host>| {
            let state = host.state();
            Entry {
                name: host.name.clone(),
                standing: state.standing,
                batch: at_work.began.get(&host.name).copied(),
                group: at_work.groups.get(&host.name).cloned(),
                refusal: state.refusal.clone(),
            }
        };
        hosts.iter().map(entry).collect()
    }

    /// What `serial_by` says of each host that is out: at work, or lost.
    fn out(&self, hosts: &[Arc<Host>]) -> Vec<Option<String>> {
        let at_work = self.lock();
        let is_at_work = |host: &Host| at_work.began.get(&host.name).is_some_and(|b| at_work.batches.contains_key(b));
        let out = hosts.iter().filter(|host| host.standing().is_out() || is_at_work(host));
        out.map(|host| at_work.groups.get(&host.name).cloned()).collect()
    }

    fn group_of(&self, host: &str) -> Option<String> {
        self.lock().groups.get(host).cloned()
    }
}

/// Hosts by name, in order.
type Named = Vec<Arc<Host>>;

/// The hosts that begin next.
struct Turn {
    /// The batch.
    index: u32,
    /// Its hosts.
    hosts: Vec<Arc<Host>>,
    /// Hosts of the batch that are lost already: Ansible counts them.
    lost: Vec<Arc<Host>>,
    /// An earlier process of the run began it.
    known: bool,
    /// How the queue was before, to put them back.
    before: (Way, Vec<usize>),
}

/// What may begin.
enum Next {
    /// These hosts, together.
    Begin(Turn),
    /// Nothing before a batch at work has ended.
    Later,
    /// Nothing any more.
    Over,
}

/// How hosts are taken.
#[derive(Clone)]
enum Way {
    Batches(Batches),
    Window(Window),
}

/// The hosts of a play that are still to come.
struct Queue {
    run: Arc<Run>,
    play: Arc<PlayRun>,
    way: Way,
    /// Places in the list of hosts that the play names.
    remaining: Vec<usize>,
    /// The next batch.
    index: u32,
}

impl Queue {
    async fn new(run: &Arc<Run>, play: &Arc<PlayRun>) -> Result<Self, String> {
        let way = match play.limits.window {
            Some(window) => Way::Window(window),
            None => Way::Batches(Batches::new(sizes(run, play).await?, play.named.len())),
        };
        let values = run.values_of(play, play.plan.serial_by.as_ref(), &play.hosts, "serial_by").await?;
        let mut groups: HashMap<String, String> =
            play.hosts.iter().zip(&values).map(|(host, value)| (host.name.clone(), to_text(value))).collect();
        if let (Some(expression), Way::Window(_)) = (&play.plan.serial_by, &way) {
            for host in play.named.iter().filter(|host| host.standing().is_out()) {
                let value = Room::new(run, host, Some(play)).evaluate(expression).await;
                groups.insert(host.name.clone(), value.map_or_else(|_| NOT_KNOWN.to_owned(), |value| to_text(&value)));
            }
        }
        play.progress.lock().groups = groups;
        let mut queue = Self { run: Arc::clone(run), play: Arc::clone(play), way, remaining: Vec::new(), index: 0 };
        let takes = |at: usize| {
            let how = run.resumption.as_ref();
            play.named.get(at).is_some_and(|host| how.is_none_or(|how| how.takes(&host.name)))
        };
        let able = |at: &usize| takes(*at) && (queue.keeps_lost() || queue.is_able(*at));
        queue.remaining = (0..play.named.len()).filter(able).collect();
        Ok(queue)
    }

    /// Ansible cuts its batches from all hosts, those that earlier plays lost included.
    fn keeps_lost(&self) -> bool {
        let own = self.play.plan.order_by.is_some() || self.play.plan.serial_by.is_some();
        self.run.options.rules == Rules::Ansible && !own && matches!(self.way, Way::Batches(_))
    }

    fn host(&self, at: usize) -> Option<&Arc<Host>> {
        self.play.named.get(at)
    }

    fn is_able(&self, at: usize) -> bool {
        self.host(at).is_some_and(|host| host.standing() == Standing::Active)
    }

    fn group_of(&self, at: usize) -> Option<String> {
        self.play.progress.group_of(&self.host(at)?.name)
    }

    /// How many batches there will be when every host stays.
    fn count(&self) -> u32 {
        match &self.way {
            Way::Batches(batches) => batches.count(&self.remaining, &|at| self.group_of(at)),
            Way::Window(_) => u32::try_from(self.remaining.len()).unwrap_or(u32::MAX),
        }
    }

    /// Whether the next batch may be at work together with hosts that are out. Hosts that an earlier process began with come back to
    /// what is half done, one value of `serial_by` at a time; where nothing is left to do, nobody goes out.
    fn known_fits(&self, out: &[Option<String>], most: usize) -> bool {
        let past = self.run.resumption.as_ref().map(|how| &how.past);
        if past.is_some_and(|past| past.is_over(self.play.plan.id, self.index)) {
            return true;
        }
        let names = past.and_then(|past| past.batch(self.play.plan.id, self.index)).unwrap_or_default();
        let with_all = |name: &String| {
            let group = self.play.progress.group_of(name);
            out.iter().all(|other| *other == group)
        };
        out.len() < most && (self.play.plan.serial_by.is_none() || names.iter().all(with_all))
    }

    /// The hosts of the next batch, where an earlier process of this run began it, and those of them that are lost meanwhile. They
    /// leave the queue.
    fn known(&mut self) -> Option<(Named, Named)> {
        let how = self.run.resumption.as_ref()?;
        let names = how.past.batch(self.play.plan.id, self.index)?;
        if let Way::Batches(batches) = &mut self.way {
            batches.pass();
        }
        let play = Arc::clone(&self.play);
        let is_in = |host: &Host| names.contains(&host.name);
        self.remaining.retain(|at| !play.named.get(*at).is_some_and(|host| is_in(host)));
        let names = names.iter().filter(|name| how.takes(name));
        let all = names.filter_map(|name| play.named.iter().find(|host| host.name == *name).cloned());
        let (lost, able): (Vec<_>, Vec<_>) = all.partition(|host| host.standing().is_out());
        let takes_part = |host: &Arc<Host>| play.hosts.iter().any(|other| Arc::ptr_eq(other, host));
        Some((able.into_iter().filter(takes_part).collect(), lost))
    }

    /// The hosts that begin next. They leave the queue. Batches that an earlier process of the run began come first, under their
    /// own numbers.
    async fn next(&mut self) -> Result<Next, String> {
        let play = Arc::clone(&self.play);
        loop {
            let out = match &self.way {
                Way::Batches(_) if !play.progress.is_idle() => return Ok(Next::Later),
                Way::Batches(_) => Vec::new(),
                Way::Window(window) => {
                    let out = play.progress.out(&play.named);
                    if !self.known_fits(&out, window.most()) {
                        return Ok(Next::Later);
                    }
                    out
                }
            };
            let before = (self.way.clone(), self.remaining.clone());
            if let Some((hosts, lost)) = self.known() {
                let index = self.index;
                self.index += 1;
                if !hosts.is_empty() {
                    return Ok(Next::Begin(Turn { index, hosts, lost, known: true, before }));
                }
                // Lost before it could go on with its batch: that is a failure in it, and no later batch begins unless the guards
                // allow it.
                play.progress.lock().began.extend(lost.iter().map(|host| (host.name.clone(), index)));
                play.judge(&self.run, Some(index), play.limits.any_errors_fatal, false);
                if play.halted.load(Ordering::SeqCst) {
                    return Ok(Next::Over);
                }
                continue;
            }
            let keep: Vec<usize> =
                self.remaining.iter().copied().filter(|at| self.keeps_lost() || self.is_able(*at)).collect();
            self.remaining = keep;
            if self.remaining.is_empty() {
                return Ok(Next::Over);
            }
            let ranks = self.order().await?;
            let rank_of = |at: usize| ranks.get(&at).copied().unwrap_or_default();
            let before = (self.way.clone(), self.remaining.clone());
            let mut remaining = std::mem::take(&mut self.remaining);
            let mut way = self.way.clone();
            let chosen = match &mut way {
                Way::Batches(batches) => batches.next(&mut remaining, &|at| self.group_of(at), &rank_of),
                Way::Window(window) => {
                    let one = window.next(&remaining, &out, &|at| self.group_of(at), &rank_of);
                    remaining.retain(|at| one != Some(*at));
                    one.into_iter().collect()
                }
            };
            (self.way, self.remaining) = (way, remaining);
            if chosen.is_empty() {
                return Ok(Next::Later);
            }
            let chosen: Vec<Arc<Host>> = chosen.iter().filter_map(|at| self.host(*at).cloned()).collect();
            let (hosts, lost): (Vec<_>, Vec<_>) =
                chosen.into_iter().partition(|host| host.standing() == Standing::Active);
            if !hosts.is_empty() {
                let index = self.index;
                self.index += 1;
                return Ok(Next::Begin(Turn { index, hosts, lost, known: false, before }));
            }
        }
    }

    /// Brings the hosts that remain into the order of `order_by`, as it is now, and ranks them by it.
    async fn order(&mut self) -> Result<HashMap<usize, usize>, String> {
        let Some(expression) = &self.play.plan.order_by else { return Ok(HashMap::new()) };
        let hosts: Vec<Arc<Host>> = self.remaining.iter().filter_map(|at| self.host(*at).cloned()).collect();
        let values = self.run.values_of(&self.play, Some(expression), &hosts, "order_by").await?;
        let mut sorted: Vec<(usize, Value)> = self.remaining.iter().copied().zip(values).collect();
        sorted.sort_by(|(_, a), (_, b)| compare(Some(a), Some(b)));
        let mut ranks = HashMap::new();
        let mut rank = 0;
        for (place, (at, value)) in sorted.iter().enumerate() {
            let before = place.checked_sub(1).and_then(|place| sorted.get(place));
            rank += usize::from(before.is_some_and(|(_, before)| compare(Some(before), Some(value)).is_ne()));
            ranks.insert(*at, rank);
        }
        self.remaining = sorted.into_iter().map(|(at, _)| at).collect();
        Ok(ranks)
    }

    fn put_back(&mut self, turn: Turn) {
        (self.way, self.remaining) = turn.before;
        self.index = turn.index;
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
                order: order_text(play, &queue.way, count),
                tasks: play.plan.task_count,
            });
        }
        let fatal = play.limits.any_errors_fatal;
        // What earlier plays lost counts.
        play.judge(self, None, fatal, false);
        let mut at_work: JoinSet<()> = JoinSet::new();
        let mut wrong = None;
        loop {
            while wrong.is_none() && self.goes_on(play) {
                match queue.next().await {
                    Ok(Next::Begin(turn)) => {
                        if !self.begin_batch(play, &mut queue, turn, count, &mut at_work).await {
                            break;
                        }
                    }
                    Ok(Next::Later) if play.progress.is_idle() => {
                        play.judge(self, None, fatal, true);
                        break;
                    }
                    Ok(Next::Later | Next::Over) => break,
                    Err(reason) => wrong = Some(reason),
                }
            }
            match at_work.join_next().await {
                None => break,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    wrong = Some(format!(
                        "a bug of stagger ended a batch: please report it; nothing more is started: {error}"
                    ));
                }
            }
        }
        self.undo_play(play.plan.id).await;
        let fresh = play.hosts.iter().any(|host| host.state().past_over);
        if fresh || past.is_none_or(|past| !past.play_ended(play.plan.id)) {
            self.bus.emit(EventKind::PlayFinished { play: play.plan.id });
        }
        wrong.map_or(Ok(()), Err)
    }

    /// Begins a batch when it may; false when nothing more may begin.
    async fn begin_batch(
        self: &Arc<Self>,
        play: &Arc<PlayRun>,
        queue: &mut Queue,
        turn: Turn,
        count: u32,
        at_work: &mut JoinSet<()>,
    ) -> bool {
        let Permission::Go(admitted) = self.permission(play, turn.index, turn.hosts.clone()).await else {
            return false;
        };
        if admitted.hosts.is_empty() {
            // A batch that was begun before keeps its number when all of its hosts were left out since.
            queue.index = turn.index + u32::from(turn.known);
            return true;
        }
        let mut turn = turn;
        if admitted.waited && !turn.known && play.plan.order_by.is_some() {
            // Leaders move while a person thinks: who would be next now?
            let asked: Vec<String> = admitted.hosts.iter().map(|host| host.name.clone()).collect();
            queue.put_back(turn);
            match queue.next().await {
                Ok(Next::Begin(again)) if again.hosts.iter().map(|host| &host.name).eq(&asked) => turn = again,
                Ok(Next::Begin(again)) => {
                    // Somebody else, who has to be asked for.
                    self.control.give_back(play.plan.id, &admitted.hosts);
                    queue.put_back(again);
                    return true;
                }
                _ => {
                    self.control.give_back(play.plan.id, &admitted.hosts);
                    return true;
                }
            }
        }
        if !play.progress.open(self, play, &turn, count.max(turn.index + 1), &admitted.hosts) {
            return false;
        }
        let batch = Arc::new(BatchRun::new(self, play, turn.index, admitted.hosts.clone()));
        at_work.spawn(async move {
            let (index, play) = (batch.index, Arc::clone(&batch.play));
            batch.run().await;
            play.progress.close(index);
            drop(admitted);
        });
        true
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

/// How hosts are taken, for people: `one at a time, leader last`, `up to 3 out at once, one rack at a time`.
fn order_text(play: &PlayRun, way: &Way, count: u32) -> String {
    let mut parts = Vec::new();
    match way {
        Way::Window(window) if window.most() == 1 => parts.push("one out at once".to_owned()),
        Way::Window(window) => parts.push(format!("up to {} out at once", window.most())),
        Way::Batches(batches) if batches.is_rolling() => {
            parts.push(if count as usize == play.hosts.len() {
                "one at a time".to_owned()
            } else {
                format!("up to {} at a time", batches.first_size())
            });
        }
        Way::Batches(_) => {}
    }
    if let Some(expression) = &play.plan.serial_by {
        parts.push(format!("one {} at a time", last_word(expression.text())));
    }
    if let Some(expression) = &play.plan.order_by {
        // `mesos.is_leader` is false before true: the leader comes last.
        let text = expression.text();
        let last = text.rsplit_once(".is_").map(|(_, name)| name).filter(|name| name.chars().all(char::is_alphabetic));
        parts.push(last.map_or_else(|| format!("by {text}"), |name| format!("{name} last")));
    }
    parts.join(", ")
}

/// What an expression is about, where it is a name or the member of one: `rack` of `facts.rack`.
fn last_word(text: &str) -> &str {
    let word = text.rsplit_once('.').map_or(text, |(_, word)| word);
    if !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_') { word } else { text }
}
