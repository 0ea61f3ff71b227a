//! How many session channels a host allows, and which shells wait for work.
//!
//! OpenSSH's `MaxSessions` is 10 unless told otherwise, and may be 1. The bound is found by running into it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Become;
use super::left::Process;
use super::pipe::Pipe;

/// Two of OpenSSH's ten are left for killing and for what others on the same connection do.
const FIRST_LIMIT: usize = 8;

/// A shell that has been started for a user.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) r#become: Option<Become>,
    pub(super) pipe: Pipe,
    pub(super) slot: Slot,
    /// Which process it is.
    pub(super) process: Option<Process>,
}

#[derive(Debug)]
struct State {
    open: usize,
    limit: usize,
    idle: Vec<Shell>,
}

/// The bound on session channels of one connection.
#[derive(Debug)]
pub(super) struct Sessions {
    state: Mutex<State>,
    changed: Notify,
}

/// The right to one session channel; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Slot(Arc<Sessions>);

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open = state.open.saturating_sub(1);
        drop(state);
        self.0.changed.notify_one();
    }
}

/// What [`Sessions::take`] gives.
#[derive(Debug)]
pub(super) enum Taken {
    /// A shell of that user, ready.
    Shell(Box<Shell>),
    /// The right to open a channel.
    Slot(Slot),
    /// A shell of another user, to be closed for its slot.
    Evict(Box<Shell>),
}

impl Sessions {
    /// All free.
    pub(super) fn new() -> Arc<Self> {
        let state = State { open: 0, limit: FIRST_LIMIT, idle: Vec::new() };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a shell of a user (when one is wanted) or a slot.
    pub(super) async fn take(self: &Arc<Self>, shell_of: Option<&Option<Become>>) -> Taken {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(taken) = self.try_take(shell_of) {
                return taken;
            }
            changed.await;
        }
    }

    fn try_take(self: &Arc<Self>, shell_of: Option<&Option<Become>>) -> Option<Taken> {
        let mut state = self.lock();
        if let Some(user) = shell_of
            && let Some(place) = state.idle.iter().rposition(|shell| shell.r#become == *user)
        {
            return Some(Taken::Shell(Box::new(state.idle.remove(place))));
        }
        if state.open < state.limit {
            state.open += 1;
            return Some(Taken::Slot(Slot(self.clone())));
        }
        if state.idle.is_empty() {
            return None;
        }
        Some(Taken::Evict(Box::new(state.idle.remove(0))))
    }

    /// The server refused one more channel: from now on at most so many as are open without it, and at least one.
    /// Gives the new limit.
    pub(super) fn lower(&self) -> usize {
        let mut state = self.lock();
        state.limit = state.open.saturating_sub(1).clamp(1, state.limit);
        state.limit
    }

    /// Puts a shell back for the next command.
    pub(super) fn put(&self, shell: Shell) {
        self.lock().idle.push(shell);
        self.changed.notify_one();
    }

    /// Takes all waiting shells out, to close them.
    pub(super) fn empty(&self) -> Vec<Shell> {
        std::mem::take(&mut self.lock().idle)
    }
}
