//! The bus and the disk of a simulated process: events become lines of a journal of which a part is safe, until the process dies.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::chance::Chance;
use super::cluster::Cluster;
use crate::base::Masker;
use crate::event::{Bus, Clock, EventKind};
use crate::report::mask;

/// When something happens to the process, counted in events of its life; 0 for never.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ends {
    /// It is killed, or the power fails.
    pub(super) dies: u64,
    /// It is asked to stop (the first Ctrl-C).
    pub(super) stops: u64,
    /// The disk is full.
    pub(super) full: u64,
}

struct Inner {
    bytes: Vec<u8>,
    safe: usize,
    events: u64,
    chance: Chance,
}

/// What one process writes to.
pub(super) struct Disk {
    inner: Mutex<Inner>,
    clock: Clock,
    pub(super) masker: Masker,
    cluster: Cluster,
    ends: Ends,
    /// The process is dead.
    pub(super) dead: CancellationToken,
    /// It was asked to stop.
    pub(super) soft: CancellationToken,
}

impl Disk {
    /// What is on the disk already is safe.
    pub(super) fn new(bytes: Vec<u8>, clock: Clock, cluster: Cluster, ends: Ends, chance: Chance) -> Self {
        let safe = bytes.len();
        Self {
            inner: Mutex::new(Inner { bytes, safe, events: 0, chance }),
            clock,
            masker: Masker::default(),
            cluster,
            ends,
            dead: CancellationToken::new(),
            soft: CancellationToken::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many events there were.
    pub(super) fn events(&self) -> u64 {
        self.lock().events
    }

    /// What the next process finds. A process that ended by itself has written all; else anything that was not safe may be lost
    /// from some byte on.
    pub(super) fn survives(&self) -> Vec<u8> {
        let mut inner = self.lock();
        let mut bytes = inner.bytes.clone();
        if self.dead.is_cancelled() {
            let loose = (bytes.len() - inner.safe) as u64;
            let kept = inner.chance.between(0, loose);
            bytes.truncate(inner.safe + usize::try_from(kept).unwrap_or(0));
        }
        bytes
    }

    fn is_full(&self, inner: &Inner) -> bool {
        self.ends.full > 0 && inner.events >= self.ends.full
    }

    fn say(&self, mut kind: EventKind) {
        if self.dead.is_cancelled() {
            return;
        }
        mask(&mut kind, &self.masker);
        let event = self.clock.stamp(kind);
        let mut inner = self.lock();
        inner.events += 1;
        if self.is_full(&inner) {
            drop(inner);
            self.cluster.lock().watch.full();
            self.cluster.lock().watch.on(&event.kind);
            return;
        }
        if serde_json::to_writer(&mut inner.bytes, &event).is_err() {
            self.cluster.lock().watch.wrong("an event can't be written".to_owned());
        }
        inner.bytes.push(b'\n');
        self.cluster.lock().watch.on(&event.kind);
        if inner.events == self.ends.dies {
            self.cluster.die();
            self.dead.cancel();
        }
        if inner.events == self.ends.stops {
            self.soft.cancel();
        }
    }
}

#[async_trait::async_trait]
impl Bus for Disk {
    fn emit(&self, kind: EventKind) {
        self.say(kind);
    }

    async fn record(&self, kind: EventKind) -> Result<(), String> {
        self.say(kind);
        let wait = self.lock().chance.between(0, 3);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        if self.dead.is_cancelled() {
            return std::future::pending().await;
        }
        let mut inner = self.lock();
        if self.is_full(&inner) {
            return Err("no space left on device".to_owned());
        }
        inner.safe = inner.bytes.len();
        drop(inner);
        self.cluster.lock().watch.synced();
        Ok(())
    }
}
