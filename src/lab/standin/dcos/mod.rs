//! DC/OS with an Elastic package, as its parts were seen to behave: Admin Router in front, Cosmos, Marathon, Mesos' summary, and the
//! SDK scheduler of three eras with its plans. Its nodes are tasks that are killed and launched with time; nothing is executed.
//!
//! Where it differs from the real thing: offers always come, one scheduler only, and what no recording shows (Admin Router, Cosmos,
//! Marathon) follows their sources. `/_standin/…` is its own: faults on purpose, and what happened.

mod answers;
mod commands;
mod control;
mod elastic;
mod front;
mod nodes;
mod packages;
mod plan;
mod rules;
mod server;
#[cfg(test)]
mod tests;
mod world;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use world::Setup;

use server::serve;
use world::World;

/// How often the world moves on.
const TICK: Duration = Duration::from_millis(5);

/// Runs until the process ends; gives the address as soon as it listens.
///
/// # Errors
/// The address can't be listened on, or the package is not one that it knows.
pub(crate) fn run(address: SocketAddr, setup: &Setup, listening: impl FnOnce(SocketAddr)) -> Result<(), String> {
    let world = Arc::new(Mutex::new(World::new(setup, Instant::now())?));
    let listener = std::net::TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    elastic::listen(&world);
    let moved = Arc::clone(&world);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(TICK);
            moved.lock().unwrap_or_else(PoisonError::into_inner).tick(Instant::now());
        }
    });
    listening(listener.local_addr().unwrap_or(address));
    for stream in listener.incoming().flatten() {
        let world = Arc::clone(&world);
        std::thread::spawn(move || serve(stream, &world));
    }
    Ok(())
}
