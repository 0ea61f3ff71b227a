//! What people may say to a run while it goes on: pause, resume, continue, abort, skip, retry; and what it answers.
//!
//! A request is text from a file that a group of operators writes: nothing in it is trusted, and whoever `by` names is who the
//! writer said he was. An approval is given to what waits for it now and to nothing else: it is never kept for later.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::guard::Standing;
use super::host::Host;
use crate::base::PlayId;
use crate::event::Clock;

/// When a play waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Approve {
    /// Never.
    None,
    /// Before its first batch.
    First,
    /// Before each batch.
    Each,
}

impl Approve {
    /// Reads the word of a play or of a flag.
    ///
    /// # Errors
    /// A sentence that says what it takes.
    pub(crate) fn parse(word: &str) -> Result<Self, String> {
        match word.trim() {
            "none" => Ok(Self::None),
            "first" => Ok(Self::First),
            "each" => Ok(Self::Each),
            other => Err(format!("`approve` is one of none, first, each, not `{other}`")),
        }
    }
}

/// On which terms a run goes on: what its command line says of approvals and time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Terms {
    /// `--approve`: wins over what plays say.
    pub(crate) approve: Option<Approve>,
    /// `--until`, `--for`.
    pub(crate) until: Option<Until>,
    /// Who sits at the terminal: `ann@bastion`.
    pub(crate) operator: String,
}

/// After that moment no new host is started.
#[derive(Debug, Clone)]
pub(crate) struct Until {
    /// The moment.
    pub(crate) moment: Instant,
    /// As people said it: `--until 05:00`.
    pub(crate) text: String,
}

/// What a person asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// Which line of the run's control file, from 0.
    pub(crate) number: u64,
    /// When it was put, milliseconds since 1970.
    pub(crate) when: u64,
    /// Who: `ann@bastion`.
    pub(crate) by: String,
    /// `pause`, `resume`, `continue`, `abort`, `skip`, `retry`.
    pub(crate) command: String,
    /// A phase, or hosts with blanks between; may be empty.
    pub(crate) argument: String,
    /// Why; may be empty.
    pub(crate) reason: String,
}

/// What a run knows of what people said.
#[derive(Debug)]
pub(crate) struct Control {
    state: Mutex<State>,
    /// Counts changes, so that who waits looks again.
    pub(super) changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Who paused it.
    pub(super) paused: Option<String>,
    /// Who let it go on last.
    pub(super) resumed: String,
    /// Who gave it up, and why.
    pub(super) aborted: Option<String>,
    /// The time that it was given is over.
    pub(super) late: bool,
    pub(super) waiting: Vec<Waiting>,
    next_ticket: u64,
    /// Hosts in a batch under way, and the play's name.
    pub(super) at_work: BTreeMap<String, String>,
    /// Hosts that began in a play.
    begun: HashMap<PlayId, HashSet<String>>,
    /// Plays whose first batch was let go.
    pub(super) approved: HashSet<PlayId>,
    phases: Vec<Phase>,
}

/// A batch that waits for approval.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) ticket: u64,
    play: PlayId,
    phase: String,
    batch: u32,
    hosts: Vec<String>,
    /// Since when, milliseconds since 1970.
    since: u64,
    /// Who approved it.
    pub(super) approved: Option<String>,
}

impl Waiting {
    fn title(&self) -> String {
        format!("{}, batch {} ({})", self.phase, self.batch + 1, listed(&self.hosts))
    }
}

/// A play, as people name it.
#[derive(Debug)]
struct Phase {
    play: PlayId,
    name: String,
    /// Its hosts, where they can be known beforehand.
    hosts: Option<Vec<String>>,
    ended: bool,
}

pub(super) type Answer = Result<String, String>;

impl Default for Control {
    fn default() -> Self {
        Self { state: Mutex::default(), changed: watch::Sender::new(0) }
    }
}

impl Control {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes who waits look again.
    pub(super) fn wake(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// The plays to come, by name and hosts.
    pub(super) fn plan(&self, phases: Vec<(PlayId, String, Option<Vec<String>>)>) {
        let phase = |(play, name, hosts)| Phase { play, name, hosts, ended: false };
        self.state().phases = phases.into_iter().map(phase).collect();
    }

    /// A play has a name and hosts now.
    pub(super) fn play_begins(&self, play: PlayId, name: &str, hosts: Vec<String>) {
        if let Some(phase) = self.state().phases.iter_mut().find(|phase| phase.play == play) {
            name.clone_into(&mut phase.name);
            phase.hosts = Some(hosts);
        }
    }

    /// A play is over.
    pub(super) fn play_ends(&self, play: PlayId) {
        if let Some(phase) = self.state().phases.iter_mut().find(|phase| phase.play == play) {
            phase.ended = true;
        }
    }

    /// Whether the time that the run was given is over.
    pub(crate) fn is_late(&self) -> bool {
        self.state().late
    }

    /// Whether somebody gave it up for good.
    pub(crate) fn is_aborted(&self) -> bool {
        self.state().aborted.is_some()
    }

    pub(super) fn begin_waiting(&self, play: PlayId, phase: &str, batch: u32, hosts: &[String]) -> u64 {
        let mut state = self.state();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let (hosts, since) = (hosts.to_vec(), Clock::start().started_at());
        state.waiting.push(Waiting { ticket, play, phase: phase.to_owned(), batch, hosts, since, approved: None });
        ticket
    }

    pub(super) fn end_waiting(&self, ticket: u64) {
        self.state().waiting.retain(|waiting| waiting.ticket != ticket);
    }

    pub(super) fn approve(&self, ticket: u64, by: &str) {
        if let Some(waiting) = self.state().waiting.iter_mut().find(|waiting| waiting.ticket == ticket) {
            waiting.approved.get_or_insert_with(|| by.to_owned());
        }
        self.wake();
    }

    /// Takes those that may begin to work: in one go with looking at them, so that nobody is left out in between.
    pub(super) fn begin_work(&self, play: PlayId, phase: &str, hosts: &[Arc<Host>]) -> Vec<Arc<Host>> {
        let mut state = self.state();
        let able: Vec<Arc<Host>> = hosts.iter().filter(|host| host.standing() == Standing::Active).cloned().collect();
        if !able.is_empty() {
            state.approved.insert(play);
        }
        state.begun.entry(play).or_default().extend(able.iter().map(|host| host.name.clone()));
        state.at_work.extend(able.iter().map(|host| (host.name.clone(), phase.to_owned())));
        able
    }

    /// Those who were to begin in a play don't: others are next, and have to be asked for.
    pub(super) fn give_back(&self, play: PlayId, hosts: &[Arc<Host>]) {
        let mut state = self.state();
        let begun = state.begun.entry(play).or_default();
        for host in hosts {
            begun.remove(&host.name);
        }
        if begun.is_empty() {
            state.approved.remove(&play);
        }
    }

    pub(super) fn end_work(&self, hosts: &[Arc<Host>]) {
        let mut state = self.state();
        for host in hosts {
            state.at_work.remove(&host.name);
        }
    }
}

impl State {
    /// What goes on, for the one who asked for something else.
    pub(super) fn now(&self) -> String {
        let mut parts = Vec::new();
        if let Some(by) = &self.paused {
            parts.push(format!("it was paused by {by}: `stagger resume` lets it go on"));
        }
        for waiting in self.waiting.iter().filter(|waiting| waiting.approved.is_none()) {
            parts.push(format!("{} waits for approval", waiting.title()));
        }
        if !self.at_work.is_empty() {
            parts.push(format!("at work: {}", self.work()));
        }
        if parts.is_empty() { "nothing waits and no host is at work".to_owned() } else { parts.join("; ") }
    }

    fn work(&self) -> String {
        listed(&self.at_work.keys().cloned().collect::<Vec<_>>())
    }

    pub(super) fn finishing(&self) -> String {
        if self.at_work.is_empty() { "no host is at work".to_owned() } else { format!("{} finish", self.work()) }
    }

    pub(super) fn let_go(&mut self, request: &Request) -> Answer {
        let wanted = request.argument.trim();
        let play = if wanted.is_empty() { None } else { Some(self.phase(wanted)?) };
        let (mut plays, mut later) = (HashSet::new(), None);
        for waiting in self.waiting.iter().filter(|waiting| waiting.approved.is_none()) {
            if play.is_some_and(|play| play != waiting.play) {
                continue;
            }
            // Whoever asked before it waited meant another, that somebody else let go meanwhile.
            if waiting.since >= request.when {
                later = Some(waiting.title());
            } else {
                plays.insert(waiting.play);
            }
        }
        if plays.len() > 1 {
            return Err(format!("name the phase: {}", self.now()));
        }
        let next = |waiting: &&mut Waiting| {
            waiting.approved.is_none() && plays.contains(&waiting.play) && waiting.since < request.when
        };
        if let Some(waiting) = self.waiting.iter_mut().find(next) {
            waiting.approved = Some(request.by.clone());
            return Ok(format!("{} goes on", waiting.title()));
        }
        if let Some(title) = later {
            return Err(format!("that was asked before {title} waited for approval; look, and ask again"));
        }
        match wanted {
            "" => Err(format!("nothing waits for approval: {}", self.now())),
            wanted => Err(format!("`{wanted}` does not wait for approval: {}", self.now())),
        }
    }

    /// A play by its number (from 1), its name, or a part of it that no other has.
    fn phase(&self, wanted: &str) -> Result<PlayId, String> {
        let number = wanted.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let exact = |phase: &&Phase| phase.name == wanted;
        if let Some(phase) = self.phases.iter().find(exact).or_else(|| self.phases.get(number?)) {
            return Ok(phase.play);
        }
        let part = wanted.to_lowercase();
        let found: Vec<&Phase> = self.phases.iter().filter(|phase| phase.name.to_lowercase().contains(&part)).collect();
        match found.as_slice() {
            [one] => Ok(one.play),
            [] => {
                let names: Vec<String> = self.phases.iter().map(|phase| format!("`{}`", phase.name)).collect();
                Err(format!("no phase is called `{wanted}`; there are {}", names.join(", ")))
            }
            many => {
                let names: Vec<String> = many.iter().map(|phase| format!("`{}`", phase.name)).collect();
                Err(format!("several phases have `{wanted}` in their names: {}", names.join(", ")))
            }
        }
    }

    /// Whether a play that is not over names the host and it did not begin there.
    pub(super) fn is_to_come(&self, host: &str) -> bool {
        self.phases.iter().any(|phase| {
            !phase.ended
                && phase.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|name| name == host))
                && !self.begun.get(&phase.play).is_some_and(|begun| begun.contains(host))
        })
    }
}

/// Names for a sentence: a few, then how many more.
pub(super) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}
