//! Ctrl-C and its kin: the first lets hosts at work finish, the second cuts.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::event::{Bus, EventKind};
use crate::run::Interrupt;

/// A wrapper such as `timeout` passes on a signal that the terminal sent to the whole group: two within this time are one.
const ONE: Duration = Duration::from_millis(300);

/// Listens until the run is over; aborted by its caller then. A lost terminal (SIGHUP) changes nothing: the run goes on.
pub(super) async fn listen(interrupt: Interrupt, bus: Arc<dyn Bus>) -> std::io::Result<()> {
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let mut hup = signal(SignalKind::hangup())?;
    let mut first: Option<Instant> = None;
    loop {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            _ = hup.recv() => continue,
        }
        match first {
            None => {
                first = Some(Instant::now());
                let why = "interrupted; a second Ctrl-C cuts the connections";
                bus.emit(EventKind::Cancelling { why: why.to_owned() });
                interrupt.soft.cancel();
            }
            Some(at) if at.elapsed() < ONE || interrupt.hard.is_cancelled() => {}
            Some(_) => {
                let why = "a second interrupt: connections are closed";
                bus.emit(EventKind::Cancelling { why: why.to_owned() });
                interrupt.hard.cancel();
            }
        }
    }
}
