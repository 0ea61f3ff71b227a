//! Ctrl-C and its kin: the first lets hosts at work finish, the second cuts.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use crate::event::{Bus, EventKind};
use crate::run::Interrupt;

/// Listens until the run is over; aborted by its caller then. A lost terminal (SIGHUP) changes nothing: the run goes on.
pub(super) async fn listen(interrupt: Interrupt, bus: Arc<dyn Bus>) -> std::io::Result<()> {
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let mut hup = signal(SignalKind::hangup())?;
    let mut count = 0u32;
    loop {
        tokio::select! {
            _ = int.recv() => count += 1,
            _ = term.recv() => count += 1,
            _ = hup.recv() => continue,
        }
        match count {
            1 => {
                let why =
                    "interrupted: nothing new is started, hosts at work finish; a second Ctrl-C cuts the connections";
                bus.emit(EventKind::Cancelling { why: why.to_owned() });
                interrupt.soft.cancel();
            }
            _ => {
                let why = "a second interrupt: connections are closed";
                bus.emit(EventKind::Cancelling { why: why.to_owned() });
                interrupt.hard.cancel();
            }
        }
    }
}
