//! A command that may still run on its host, and its end: by itself, or killed because nobody waits for it any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::left::{Left, Process, Trace};
use super::pipe::{Pipe, Shared, State};
use super::remote::Inner;
use super::sessions::Slot;
use super::{Become, Command};

/// For how long a command that was sent and not heard of is waited for, to be killed.
const LONGEST: Duration = Duration::from_secs(10);

/// As whom a command runs, and its streams, which tell its process group.
type Entry = (Option<Become>, Arc<Shared>);

/// What a connection must kill when it is closed.
#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<(u64, HashMap<u64, Entry>)>);

impl Registry {
    fn enter(&self, r#become: Option<Become>, shared: Arc<Shared>) -> u64 {
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        registry.0 += 1;
        let id = registry.0;
        registry.1.insert(id, (r#become, shared));
        id
    }

    fn forget(&self, id: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&id);
    }

    /// Takes all out.
    pub(super) fn drain(&self) -> Vec<Entry> {
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        registry.1.drain().map(|(_, entry)| entry).collect()
    }
}

/// Holds the channel of a command while it runs, and kills the command when the future that waits for it is dropped.
pub(super) struct Running {
    inner: Arc<Inner>,
    r#become: Option<Become>,
    trace: Option<Trace>,
    nonce: String,
    id: u64,
    held: Option<(Pipe, Slot)>,
    shared: Arc<Shared>,
}

impl Running {
    /// Must be made before the command's text is sent: from the first byte on it may run. `shell` is the process that is given
    /// the text, where it outlives the command.
    pub(super) fn new(
        inner: &Arc<Inner>,
        command: &Command,
        nonce: &str,
        held: (Pipe, Slot),
        shell: Option<&Process>,
    ) -> Self {
        let shared = held.0.shared();
        let id = inner.running.enter(command.r#become.clone(), shared.clone());
        // A look changes nothing: nobody needs to know what is left of one.
        let trace = command.trace.clone().filter(|_| !command.looks);
        if let Some(trace) = &trace {
            trace.add(Left {
                r#become: command.r#become.clone(),
                nonce: nonce.to_owned(),
                begun: None,
                shell: shell.cloned(),
            });
        }
        Self {
            inner: inner.clone(),
            r#become: command.r#become.clone(),
            trace,
            nonce: nonce.to_owned(),
            id,
            held: Some(held),
            shared,
        }
    }

    /// What the command's streams are.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The command's channel.
    pub(super) fn pipe(&self) -> Option<&Pipe> {
        self.held.as_ref().map(|(pipe, _)| pipe)
    }

    /// The command has begun; `facts` is what stood on its `<` line.
    pub(super) fn begun(&self, facts: &str) {
        if let (Some(trace), Some(process)) = (&self.trace, Process::parse(facts)) {
            trace.begun(&self.nonce, process);
        }
    }

    /// It has ended by itself. Gives the channel back.
    pub(super) fn done(mut self) -> Option<(Pipe, Slot)> {
        self.gone();
        self.held.take()
    }

    /// Kills it and closes its channel.
    pub(super) async fn kill(mut self) {
        if let Some((pipe, _slot)) = self.held.take() {
            finish_off(&self.inner, self.r#become.as_ref(), &self.shared).await;
            pipe.close().await;
        }
        if !self.inner.place.is_gone() {
            self.gone();
        }
    }

    fn gone(&self) {
        self.inner.running.forget(self.id);
        if let Some(trace) = &self.trace {
            trace.remove(&self.nonce);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some((pipe, slot)) = self.held.take() else {
            self.inner.running.forget(self.id);
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (inner, r#become, shared, id) = (self.inner.clone(), self.r#become.take(), self.shared.clone(), self.id);
        // The channel lives on until the command is dead: what it says of its process group comes over it.
        runtime.spawn(async move {
            finish_off(&inner, r#become.as_ref(), &shared).await;
            pipe.close().await;
            inner.running.forget(id);
            drop(slot);
        });
    }
}

/// Waits until a command says what its process group is, for as long as starting a shell may take, and kills that.
pub(super) async fn finish_off(inner: &Inner, r#become: Option<&Become>, shared: &Shared) {
    let within = inner.patience.min(LONGEST);
    if let Ok(Some(group)) = timeout(within, shared.until(group)).await {
        inner.kill(r#become, group).await;
    }
}

/// The process group of a command that runs; `Some(None)` when there is nothing to kill any more.
fn group(state: &mut State) -> Option<Option<u32>> {
    if state.out.ended.is_some() {
        return Some(None);
    }
    match state.out.begun.as_deref() {
        Some(facts) => Some(Process::parse(facts).map(|process| process.id)),
        None => (state.ended || state.exit.is_some()).then_some(None),
    }
}
