//! The one question before anything new is started: may this batch begin? Every pause, approval, deadline and interrupt meets
//! here, so that none of them can be forgotten by a way of going through hosts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::Run;
use super::control::{Approve, Control, listed};
use super::guard::Standing;
use super::host::Host;
use super::play::PlayRun;
use crate::event::EventKind;

/// Whether hosts may begin.
pub(super) enum Permission {
    /// Those that remain may, and it may be that none does.
    Go(Admitted),
    /// Nothing new is started any more in this play.
    Stop,
}

/// Hosts that may begin. They count as at work, and can't be left out by a person, until this is dropped.
pub(super) struct Admitted {
    run: Arc<Run>,
    /// Who remains, in the order in which they were asked for.
    pub(super) hosts: Vec<Arc<Host>>,
    /// Whether somebody or something was waited for: what was known of the hosts before may not be true any more.
    pub(super) waited: bool,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.run.control.end_work(&self.hosts);
    }
}

fn names(hosts: &[Arc<Host>]) -> Vec<String> {
    hosts.iter().map(|host| host.name.clone()).collect()
}

/// Ends waiting for approval also when the one who waits is given up.
struct Ticket<'a> {
    control: &'a Control,
    number: u64,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.control.end_waiting(self.number);
    }
}

/// What holds a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hold {
    /// A person has to let it go.
    Approval,
    /// The run was paused, by that person.
    Pause(String),
}

impl Hold {
    fn why(&self, phase: &str) -> String {
        match self {
            Self::Approval => format!("approval of {phase}"),
            Self::Pause(by) => format!("paused by {by}"),
        }
    }

    fn ended_by(&self, approved: Option<String>, control: &Control) -> String {
        match self {
            Self::Approval => approved.unwrap_or_default(),
            Self::Pause(_) => control.state().resumed.clone(),
        }
    }
}

impl Run {
    /// Waits until hosts of a play may begin as a batch of it. Asked before each batch, and before each host where
    /// hosts start one by one; `approve: each` stops at every such question, `first` at the first of a play.
    pub(super) async fn permission(self: &Arc<Self>, play: &PlayRun, batch: u32, hosts: Vec<Arc<Host>>) -> Permission {
        let mut changed = self.control.changed.subscribe();
        let remaining =
            || -> Vec<Arc<Host>> { hosts.iter().filter(|h| h.standing() == Standing::Active).cloned().collect() };
        let ticket = self.wants_approval(play, batch).then(|| {
            let number = self.control.begin_waiting(play.plan.id, &play.name, batch, &names(&hosts));
            Ticket { control: &self.control, number }
        });
        // What holds it, as it was said.
        let mut said: Option<Hold> = None;
        let mut waited = false;
        let mut person = std::pin::pin!(self.ask_approval(play, batch, &hosts, ticket.as_ref()));
        let mut asked = false;
        loop {
            changed.borrow_and_update();
            self.look_at_the_clock();
            let halted = self.halted.load(Ordering::SeqCst) || play.halted.load(Ordering::SeqCst);
            if halted || self.is_stopping() || play.ended.load(Ordering::SeqCst) {
                return Permission::Stop;
            }
            let able = remaining();
            let (hold, by) = self.hold(ticket.as_ref());
            // Nobody is waited for when all of them were left out.
            let hold = hold.filter(|_| !able.is_empty());
            if hold != said {
                if let Some(before) = &said {
                    let by = before.ended_by(by, &self.control);
                    self.bus.emit(EventKind::Released { play: play.plan.id, batch, by });
                }
                if let Some(hold) = &hold {
                    let (hosts, why) = (names(&able), hold.why(&play.name));
                    self.bus.emit(EventKind::Held { play: play.plan.id, batch, hosts, why });
                }
                said.clone_from(&hold);
            }
            if hold.is_none() {
                let hosts = self.control.begin_work(play.plan.id, &play.name, &able);
                return Permission::Go(Admitted { run: Arc::clone(self), hosts, waited });
            }
            waited = true;
            let over = self.options.terms.until.as_ref().map(|until| until.moment);
            tokio::select! {
                biased;
                () = self.interrupt.soft.cancelled() => {}
                _ = changed.changed() => {}
                () = sleep_until(over) => {}
                () = &mut person, if !asked && ticket.is_some() => asked = true,
            }
        }
    }

    fn wants_approval(&self, play: &PlayRun, batch: u32) -> bool {
        if self.options.check {
            // A preview changes nothing that somebody would have to approve.
            return false;
        }
        // What an earlier process of this run began was approved then, and whoever resumes it wants it to go on.
        let began = |batch| self.began_before(play.plan.id, batch);
        match self.options.terms.approve.unwrap_or(play.approve) {
            Approve::None => false,
            Approve::First => !self.control.state().approved.contains(&play.plan.id) && !began(0),
            Approve::Each => !began(batch),
        }
    }

    /// What holds it now, and who approved it.
    fn hold(&self, ticket: Option<&Ticket<'_>>) -> (Option<Hold>, Option<String>) {
        let state = self.control.state();
        let waiting = ticket.and_then(|ticket| state.waiting.iter().find(|waiting| waiting.ticket == ticket.number));
        let by = waiting.and_then(|waiting| waiting.approved.clone());
        let hold = match &state.paused {
            _ if waiting.is_some() && by.is_none() => Some(Hold::Approval),
            Some(who) => Some(Hold::Pause(who.clone())),
            None => None,
        };
        (hold, by)
    }

    /// Ends the run when the time that it was given is over.
    pub(super) fn look_at_the_clock(&self) {
        let Some(until) = &self.options.terms.until else { return };
        if Instant::now() < until.moment || self.is_stopping() {
            return;
        }
        let first = !std::mem::replace(&mut self.control.state().late, true);
        if first {
            let why = format!("the time is over ({})", until.text);
            self.bus.emit(EventKind::Cancelling { why });
        }
        self.control.wake();
    }

    /// Asks whoever sits at the terminal, where there is one; ends when nobody can be asked or the answer was given.
    async fn ask_approval(&self, play: &PlayRun, batch: u32, hosts: &[Arc<Host>], ticket: Option<&Ticket<'_>>) {
        let Some(ticket) = ticket else { return };
        // One question at a time; who comes second is let go by `stagger continue`.
        let Ok(_turn) = self.asking.try_lock() else { return };
        let question =
            format!("{}, batch {} ({}): Enter to continue, q to stop: ", play.name, batch + 1, listed(&names(hosts)));
        loop {
            let Ok(Some(answer)) = self.person.ask(&question, true, None).await else { return };
            match answer.trim().to_lowercase().as_str() {
                "" | "y" | "yes" | "c" | "continue" => {
                    return self.control.approve(ticket.number, &self.options.terms.operator);
                }
                "q" | "quit" | "stop" | "n" | "no" => {
                    let why = "stopped at the terminal, where approval was asked for";
                    self.bus.emit(EventKind::Cancelling { why: why.to_owned() });
                    self.interrupt.soft.cancel();
                    return;
                }
                _ => {}
            }
        }
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
