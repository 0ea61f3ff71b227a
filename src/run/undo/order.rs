//! When entries are taken back, and in which order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use tokio::task::JoinSet;

use super::ledger::{Armed, Entry};
use super::restored::Origin;
use crate::base::PlayId;
use crate::run::Run;
use crate::run::batch::BatchRun;
use crate::run::guard::Standing;
use crate::run::host::Host;

/// Entries of one host, the last first.
type Chain = Vec<(Arc<Entry>, Option<Origin>)>;

/// What a batch knows of its undos.
#[derive(Default)]
pub(in crate::run) struct Undoing {
    /// Hosts that are out already are not to wait for the others.
    early: Mutex<JoinSet<()>>,
    /// How many blocks with `rescue` or `always` are open: they have more to do on a host that failed.
    shelter: AtomicUsize,
}

impl Undoing {
    /// A block begins that has more to do on hosts that failed, until what is returned is dropped.
    pub(in crate::run) fn shelter(&self) -> Shelter<'_> {
        self.shelter.fetch_add(1, Ordering::SeqCst);
        Shelter(self)
    }
}

/// A block under way.
pub(in crate::run) struct Shelter<'a>(&'a Undoing);

impl Drop for Shelter<'_> {
    fn drop(&mut self) {
        self.0.shelter.fetch_sub(1, Ordering::SeqCst);
    }
}

impl BatchRun {
    fn has(&self, host: &str) -> bool {
        self.hosts.iter().any(|other| other.name == host)
    }

    /// Begins to take back the settings of hosts whose sequence is over before that of the others: they failed, can't be reached,
    /// or ended.
    pub(in crate::run) fn undo_those_out(self: &Arc<Self>) {
        if self.run.interrupt.hard.is_cancelled() {
            return;
        }
        let more_to_do = self.undoing.shelter.load(Ordering::SeqCst) > 0 || self.play.force_handlers;
        let is_over = |host: &Arc<Host>| match host.standing() {
            Standing::Active => false,
            Standing::Failed => !more_to_do,
            // Neither rescue nor always nor handlers are for these.
            Standing::Unreachable | Standing::Ended | Standing::LeftOut => true,
        };
        let over: Vec<&str> = self.hosts.iter().filter(|host| is_over(host)).map(|host| host.name.as_str()).collect();
        if over.is_empty() {
            return;
        }
        let entries = self.run.ledger.take(|armed| !armed.shared && over.contains(&armed.host.as_str()));
        if entries.is_empty() {
            return;
        }
        let run = Arc::clone(&self.run);
        let mut early = self.undoing.early.lock().unwrap_or_else(PoisonError::into_inner);
        early.spawn(async move { run.take_all_back(entries, HashMap::new()).await });
    }

    /// `meta: undo`: takes back now what was changed for these hosts, and for the batch as a whole.
    pub(in crate::run) async fn undo_now(self: &Arc<Self>, hosts: &[Arc<Host>]) {
        let named = |host: &str| hosts.iter().any(|other| other.name == host);
        self.undo(|armed| named(&armed.host) || armed.shared && self.has(&armed.host)).await;
        drop_lent(hosts);
    }

    /// Takes back all that is left of this batch: its hosts are at the end of their sequence.
    pub(in crate::run) async fn undo_rest(self: &Arc<Self>) {
        let mut early = std::mem::take(&mut *self.undoing.early.lock().unwrap_or_else(PoisonError::into_inner));
        while early.join_next().await.is_some() {}
        self.undo(|armed| self.has(&armed.host)).await;
        drop_lent(&self.hosts);
    }

    async fn undo(&self, wanted: impl Fn(&Armed) -> bool) {
        if self.run.interrupt.hard.is_cancelled() {
            return;
        }
        // In a window each host is a batch, and what was done once stands for all of the play.
        let window = self.play.limits.window.is_some();
        let entries = self.run.ledger.take(|armed| wanted(armed) && !(window && armed.shared));
        if !entries.is_empty() {
            self.run.take_all_back(entries, HashMap::new()).await;
            // A host that a setting was left on must not count as done.
            self.judge();
        }
    }
}

/// What was changed for a time is not wanted any more, and is not looked at when a later task asks what still holds.
fn drop_lent(hosts: &[Arc<Host>]) {
    for host in hosts {
        host.state().claims.retain(|_, claim| claim.is_for_good());
    }
}

impl Run {
    /// Takes entries back, given the last first. Hosts don't wait for one another, but what stands for a whole batch has its
    /// place in the order of all.
    pub(super) async fn take_all_back(self: &Arc<Self>, entries: Vec<Arc<Entry>>, mut origins: HashMap<u32, Origin>) {
        let mut entries = entries.into_iter().peekable();
        loop {
            let mut chains: IndexMap<String, Chain> = IndexMap::new();
            let first_is_shared = entries.peek().is_some_and(|entry| entry.armed.shared);
            while let Some(entry) =
                entries.next_if(|entry| if first_is_shared { chains.is_empty() } else { !entry.armed.shared })
            {
                let origin = origins.remove(&entry.armed.entry);
                chains.entry(entry.armed.host.clone()).or_default().push((entry, origin));
            }
            if chains.is_empty() {
                return;
            }
            let mut set = JoinSet::new();
            for chain in chains.into_values() {
                let run = Arc::clone(self);
                set.spawn(async move {
                    let _fork = Arc::clone(&run.forks).acquire_owned().await.ok();
                    for (entry, origin) in chain {
                        // Cut off: what was not tried is told at the end.
                        if run.interrupt.hard.is_cancelled() {
                            run.ledger.put_back(entry.armed.entry);
                        } else {
                            run.take_back(&entry, origin.as_ref()).await;
                        }
                    }
                });
            }
            while set.join_next().await.is_some() {}
        }
    }

    /// Takes back what stands for all hosts of a play: they are done.
    pub(in crate::run) async fn undo_play(self: &Arc<Self>, play: PlayId) {
        if !self.interrupt.hard.is_cancelled() {
            let entries = self.ledger.take(|armed| armed.key.play == play);
            self.take_all_back(entries, HashMap::new()).await;
        }
    }

    /// Takes back what no batch did: the last thing before the connections are closed.
    pub(in crate::run) async fn undo_what_is_left(self: &Arc<Self>) {
        if !self.interrupt.hard.is_cancelled() {
            let entries = self.ledger.take(|_| true);
            self.take_all_back(entries, HashMap::new()).await;
        }
    }
}
