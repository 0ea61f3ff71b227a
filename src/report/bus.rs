//! The bus: from the run to the sinks, one thread a sink.
//!
//! - An event is stamped and masked once, then queued for every sink, in the same order for all. Queuing never waits, so
//!   the run's tasks are never held by a terminal.
//! - [`Bus::record`] waits for the durable sinks (the journal): all records that are queued when the journal's thread
//!   comes round are written and synced together.
//! - A view (screen, lines, JSON) that fails, panics or blocks does not stop the run: with a frozen terminal or a closed
//!   pager a cluster half-way through an upgrade is worse off than without an output; the journal is the truth. Its first
//!   error is what [`Events::finish`] returns. A view that is far behind slows `record` down, a second a time at most.
//! - A durable sink that fails makes every `record` fail from then on, and [`Events::failed`] tells the run at once.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::masked::mask;
use crate::base::Masker;
use crate::event::{Bus, Clock, Event, EventKind, Sink};

/// Eight times a second.
const TICK: Duration = Duration::from_millis(125);

/// A view that is so many events behind slows the run down.
const BEHIND: usize = 10_000;

/// For how long a view may slow one record down.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a waiter is told.
type Safe = Result<(), String>;

/// The bus of a run.
pub(crate) struct Events {
    clock: Clock,
    masker: Masker,
    lanes: Vec<Lane>,
    /// Held while an event is stamped and queued: the order is the same for all sinks.
    order: Mutex<()>,
    failed: CancellationToken,
}

struct Lane {
    queue: Arc<Queue>,
    durable: bool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Default)]
struct Inner {
    events: VecDeque<Arc<Event>>,
    waiters: Vec<oneshot::Sender<Safe>>,
    closed: bool,
    /// The thread is gone.
    ended: bool,
    error: Option<io::Error>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that panics runs under the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events {
    /// Starts a thread for each sink.
    ///
    /// # Errors
    /// A thread can't be started.
    pub(crate) fn start(sinks: Vec<Box<dyn Sink>>, masker: Masker, clock: Clock) -> io::Result<Self> {
        let failed = CancellationToken::new();
        let mut lanes = Vec::new();
        for sink in sinks {
            let durable = sink.durable();
            let queue = Arc::new(Queue::default());
            let worker = Worker { queue: Arc::clone(&queue), failed: durable.then(|| failed.clone()) };
            let name = if durable { "journal" } else { "view" };
            let thread = thread::Builder::new().name(name.to_owned()).spawn(move || worker.work(sink))?;
            lanes.push(Lane { queue, durable, thread: Mutex::new(Some(thread)) });
        }
        // The journal is closed first, so that a view that hangs can't keep it open.
        lanes.sort_by_key(|lane| !lane.durable);
        Ok(Self { clock, masker, lanes, order: Mutex::new(()), failed })
    }

    /// Cancelled when a durable sink failed: nothing more may be done.
    pub(crate) fn failed(&self) -> CancellationToken {
        self.failed.clone()
    }

    /// Waits until every sink has taken all events, and ends their threads. Blocks: not for async code.
    ///
    /// # Errors
    /// The first error of a sink, durable ones first.
    pub(crate) fn finish(&self) -> io::Result<()> {
        for lane in &self.lanes {
            lane.queue.lock().closed = true;
            lane.queue.wake.notify_all();
        }
        let mut first = Ok(());
        for lane in &self.lanes {
            let thread = lane.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            let panicked = thread.is_some_and(|thread| thread.join().is_err());
            let error = match lane.queue.lock().error.take() {
                None if panicked => Some(io::Error::other("a bug: the thread of an output or of the journal died")),
                error => error,
            };
            if let (Some(error), Ok(())) = (error, &first) {
                first = Err(error);
            }
        }
        first
    }

    /// Queues an event; gives what to wait for when it has to be safe.
    fn queue(&self, mut kind: EventKind, wait: bool) -> Vec<(bool, oneshot::Receiver<Safe>)> {
        mask(&mut kind, &self.masker);
        let mut receivers = Vec::new();
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let event = Arc::new(self.clock.stamp(kind));
        for lane in &self.lanes {
            let mut inner = lane.queue.lock();
            if inner.ended {
                if lane.durable && wait {
                    let (sender, receiver) = oneshot::channel();
                    let why = inner
                        .error
                        .as_ref()
                        .map_or_else(|| "the journal's thread died".to_owned(), ToString::to_string);
                    let _ = sender.send(Err(why));
                    receivers.push((true, receiver));
                }
                continue;
            }
            inner.events.push_back(Arc::clone(&event));
            if wait && (lane.durable || inner.events.len() > BEHIND) {
                let (sender, receiver) = oneshot::channel();
                inner.waiters.push(sender);
                receivers.push((lane.durable, receiver));
            }
            drop(inner);
            lane.queue.wake.notify_one();
        }
        receivers
    }
}

#[async_trait::async_trait]
impl Bus for Events {
    fn emit(&self, kind: EventKind) {
        self.queue(kind, false);
    }

    async fn record(&self, kind: EventKind) -> Result<(), String> {
        for (durable, receiver) in self.queue(kind, true) {
            if durable {
                receiver.await.map_err(|_| "the journal's thread died".to_owned())??;
            } else {
                let _ = tokio::time::timeout(PATIENCE, receiver).await;
            }
        }
        Ok(())
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

struct Worker {
    queue: Arc<Queue>,
    failed: Option<CancellationToken>,
}

struct Taken {
    events: VecDeque<Arc<Event>>,
    waiters: Vec<oneshot::Sender<Safe>>,
    closed: bool,
}

impl Worker {
    fn work(self, mut sink: Box<dyn Sink>) {
        let mut ticked = Instant::now();
        loop {
            let Taken { events, waiters, closed } = self.take();
            let mut outcome = events.iter().try_for_each(|event| sink.on(event));
            if outcome.is_ok() && (closed || !waiters.is_empty()) {
                outcome = sink.sync();
            }
            let said: Safe = match &outcome {
                Ok(()) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = outcome {
                self.queue.lock().error = Some(error);
                self.tell();
            }
            for waiter in waiters {
                let _ = waiter.send(said.clone());
            }
            if closed || said.is_err() {
                // `drop` ends the queue; a sink that failed gets nothing more.
                return;
            }
            if self.queue.lock().events.is_empty() {
                sink.hand_over();
            }
            if ticked.elapsed() >= TICK {
                sink.tick();
                ticked = Instant::now();
            }
        }
    }

    /// All that is queued, or nothing after a while.
    fn take(&self) -> Taken {
        let mut inner = self.queue.lock();
        if inner.events.is_empty() && inner.waiters.is_empty() && !inner.closed {
            inner = self.queue.wake.wait_timeout(inner, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        Taken {
            events: std::mem::take(&mut inner.events),
            waiters: std::mem::take(&mut inner.waiters),
            closed: inner.closed,
        }
    }

    fn tell(&self) {
        if let Some(failed) = &self.failed {
            failed.cancel();
        }
    }
}

impl Drop for Worker {
    /// Also when the sink panicked: nobody may wait for a thread that is gone.
    fn drop(&mut self) {
        let mut inner = self.queue.lock();
        inner.ended = true;
        inner.events.clear();
        if !inner.closed {
            self.tell();
        }
        let why = inner.error.as_ref().map_or_else(|| "its thread ended".to_owned(), ToString::to_string);
        let waiters = std::mem::take(&mut inner.waiters);
        drop(inner);
        for waiter in waiters {
            // Their events were not taken.
            let _ = waiter.send(Err(why.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::base::Secret;
    use crate::event::fixture::every_kind_on;

    /// A sink whose doings are a closure.
    struct Given<F: FnMut(Option<&Event>) -> io::Result<()> + Send> {
        durable: bool,
        act: F,
    }

    impl<F: FnMut(Option<&Event>) -> io::Result<()> + Send> Sink for Given<F> {
        fn on(&mut self, event: &Event) -> io::Result<()> {
            (self.act)(Some(event))
        }
        fn sync(&mut self) -> io::Result<()> {
            (self.act)(None)
        }
        fn durable(&self) -> bool {
            self.durable
        }
    }

    fn sink<F: FnMut(Option<&Event>) -> io::Result<()> + Send + 'static>(durable: bool, act: F) -> Box<dyn Sink> {
        Box::new(Given { durable, act })
    }

    fn note(message: &str) -> EventKind {
        EventKind::Note { message: message.to_owned() }
    }

    fn start(sinks: Vec<Box<dyn Sink>>) -> Events {
        Events::start(sinks, Masker::default(), Clock::start()).unwrap()
    }

    #[tokio::test]
    async fn a_record_returns_after_the_sync_of_the_journal_and_only_of_the_journal() {
        let (log, heard) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let journal = sink(true, move |event| {
            let _ = log.send(if event.is_some() { "on" } else { "sync" });
            Ok(())
        });
        let frozen = sink(false, move |event| {
            if event.is_some() {
                let _ = held.recv();
            }
            Ok(())
        });
        let events = start(vec![frozen, journal]);
        events.record(note("a")).await.unwrap();
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["on", "sync"]);
        drop(release);
        events.finish().unwrap();
    }

    #[tokio::test]
    async fn records_that_wait_together_share_a_sync() {
        let (log, heard) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let journal = sink(true, move |event| {
            if event.is_none() {
                let _ = log.send(());
                let _ = held.recv();
            }
            Ok(())
        });
        let events = start(vec![journal]);
        let mut first = Box::pin(events.record(note("first")));
        assert!(futures::poll!(&mut first).is_pending());
        heard.recv().unwrap();
        let mut others: Vec<_> = (0..50).map(|_| Box::pin(events.record(note("other")))).collect();
        for other in &mut others {
            assert!(futures::poll!(other).is_pending());
        }
        release.send(()).unwrap();
        first.await.unwrap();
        drop(release);
        for other in others {
            other.await.unwrap();
        }
        assert_eq!(heard.try_iter().count(), 1);
    }

    #[tokio::test]
    async fn a_journal_that_fails_refuses_the_act_and_every_later_one() {
        let journal = sink(true, |event| if event.is_none() { Err(io::Error::other("disk full")) } else { Ok(()) });
        let events = start(vec![journal]);
        assert_eq!(events.record(note("a")).await, Err("disk full".to_owned()));
        assert!(events.failed().is_cancelled());
        assert_eq!(events.record(note("b")).await, Err("disk full".to_owned()));
        assert_eq!(events.finish().unwrap_err().to_string(), "disk full");
    }

    #[tokio::test]
    async fn a_view_that_fails_or_panics_does_not_stop_the_run() {
        let failing = sink(false, |_| Err(io::Error::other("no room on standard output")));
        let bad = sink(false, |_| panic!("on purpose"));
        let journal = sink(true, |_| Ok(()));
        let events = start(vec![failing, bad, journal]);
        for _ in 0..100 {
            events.record(note("a")).await.unwrap();
        }
        assert!(!events.failed().is_cancelled());
        assert_eq!(events.finish().unwrap_err().to_string(), "no room on standard output");
    }

    #[tokio::test]
    async fn a_journal_that_panics_refuses_the_act() {
        let journal = sink(true, |_| panic!("on purpose"));
        let events = start(vec![journal]);
        assert!(events.record(note("a")).await.is_err());
        assert!(events.record(note("a")).await.is_err());
        assert!(events.failed().is_cancelled());
        assert!(events.finish().is_err());
    }

    #[test]
    fn no_sink_ever_sees_a_secret_and_all_see_the_same_order() {
        let masker = Masker::default();
        let logs: Vec<_> = (0..2).map(|_| Arc::new(Mutex::new(Vec::new()))).collect();
        let sinks = logs
            .iter()
            .map(|log| {
                let log = Arc::clone(log);
                sink(false, move |event| {
                    if let Some(event) = event {
                        log.lock().unwrap().push(serde_json::to_string(event).unwrap());
                    }
                    Ok(())
                })
            })
            .collect();
        let events = Events::start(sinks, masker.clone(), Clock::start()).unwrap();
        masker.add(&Secret::new("p0is0n"));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| every_kind_on("h1", "p0is0n").into_iter().for_each(|kind| events.emit(kind)));
            }
        });
        events.finish().unwrap();
        let (one, two) = (logs[0].lock().unwrap(), logs[1].lock().unwrap());
        assert_eq!(one.len(), 4 * EventKind::NAMES.len());
        assert_eq!(*one, *two);
        assert!(!one.concat().contains("p0is0n"));
    }
}
