//! What a run knows of one host.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;

use super::act::Acted;
use super::detach::Ended;
use super::guard::{Refusal, Standing};
use super::lease::Holding;
use super::restore::Claim;
use crate::base::{Map, Output, Value, Var};
use crate::event::Tally;
use crate::transport::Connection;

/// One host. Shared by the tasks at work on it.
#[derive(Debug)]
pub(crate) struct Host {
    /// Its inventory name.
    pub(crate) name: String,
    state: Mutex<HostState>,
    /// The run's lease there.
    pub(super) lease: Holding,
    /// The open connections by how they are made (a task may log in as another user, or locally).
    pub(super) connections: tokio::sync::Mutex<HashMap<String, Arc<dyn Connection>>>,
}

/// Its state.
#[derive(Debug)]
pub(crate) struct HostState {
    /// Whether it takes part.
    pub(crate) standing: Standing,
    /// Facts, without the `ansible_` prefix where they have one.
    pub(crate) facts: IndexMap<String, Arc<Value>>,
    /// Whether facts were gathered.
    pub(crate) gathered: bool,
    /// `set_fact` and `register`.
    pub(crate) registered: IndexMap<String, Var>,
    /// Handlers notified and not run yet, in order of notification.
    pub(crate) notified: Vec<String>,
    /// Handlers of earlier plays that were notified and never run.
    pub(crate) lost_handlers: Vec<String>,
    /// Its counts.
    pub(crate) tally: Tally,
    /// Whether a play names it; others are only asked or delegated to.
    pub(crate) named: bool,
    /// Whether anything was tried on it.
    pub(crate) attempted: bool,
    /// In check mode: what a probe would answer after the changes that were previewed; `None` when that can't be said.
    pub(crate) predicted: HashMap<String, Option<Output>>,
    /// In check mode: whether something would have been changed, so that later answers may be stale.
    pub(crate) would_change: bool,
    /// Detached commands that have ended, whose state is still on the host.
    pub(super) detached: Vec<Ended>,
    /// What failed last, for a rescue section: the task's name and its result.
    pub(crate) failure: Option<(String, Map)>,
    /// A resumed run: this host did its first task that was not known done before.
    pub(crate) past_over: bool,
    /// A resumed run: how many of its tasks were passed over.
    pub(crate) recalled: usize,
    /// A resumed run: what of its past can be looked at, by subject.
    pub(crate) claims: IndexMap<String, Claim>,
    /// A resumed run: something that was done was taken back and done again, whatever came after it then.
    pub(super) redone: bool,
    /// A resumed run: why its next task can't be done, since what was done before it is no longer so.
    pub(super) setback: Option<Acted>,
    /// A gate of the play that did not hold on it.
    pub(crate) refusal: Option<Refusal>,
    /// `meta: end_role`: what is left of the role that it is in is not for it.
    pub(crate) role_over: bool,
    /// Errors of hosts that `meta: clear_host_errors` forgives; they return in the next play.
    pub(crate) forgiven: bool,
}

impl Host {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: Mutex::new(HostState {
                standing: Standing::Active,
                facts: IndexMap::new(),
                gathered: false,
                registered: IndexMap::new(),
                notified: Vec::new(),
                lost_handlers: Vec::new(),
                tally: Tally::default(),
                named: false,
                attempted: false,
                predicted: HashMap::new(),
                would_change: false,
                detached: Vec::new(),
                failure: None,
                past_over: false,
                recalled: 0,
                claims: IndexMap::new(),
                redone: false,
                setback: None,
                refusal: None,
                role_over: false,
                forgiven: false,
            }),
            lease: Holding::default(),
            connections: tokio::sync::Mutex::new(HashMap::new()),
        }
    }

    /// Its state, for a moment. Never held over an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, HostState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it stands.
    pub(crate) fn standing(&self) -> Standing {
        self.state().standing
    }

    /// Takes facts that a module returned: `ansible_hostname` and the like lose their prefix, as in `ansible_facts`.
    pub(crate) fn add_facts(&self, facts: &Map) {
        let mut state = self.state();
        for (name, value) in facts {
            let name = name.strip_prefix("ansible_").unwrap_or(name);
            state.facts.insert(name.to_owned(), Arc::new(value.clone()));
        }
    }
}

/// The hosts of a run by name. Made when first named.
#[derive(Debug, Default)]
pub(crate) struct Hosts(Mutex<IndexMap<String, Arc<Host>>>);

impl Hosts {
    /// A host by name.
    pub(crate) fn get(&self, name: &str) -> Arc<Host> {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(hosts.entry(name.to_owned()).or_insert_with(|| Arc::new(Host::new(name))))
    }

    /// All hosts that were named.
    pub(crate) fn all(&self) -> Vec<Arc<Host>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// A set of host names that need their facts gathered before an expression can be evaluated.
#[derive(Debug, Default)]
pub(crate) struct Needs(Mutex<HashSet<String>>);

impl Needs {
    pub(super) fn add(&self, host: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned());
    }

    /// Takes what was collected.
    pub(super) fn take(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.lock().unwrap_or_else(PoisonError::into_inner).drain().collect();
        names.sort();
        names
    }
}
