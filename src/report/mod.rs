//! What people and programs see of a run: sinks for events, and the bus that carries events to them.
//!
//! Knows no plan and no run: an event is self-sufficient, so a journal replays through the same sinks. Nothing here
//! decides anything about the run, and no view can stop it (see [`Events`]).
//!
//! What hosts say is hostile: it may hold escape sequences that clear screens, forge lines or type into terminals. Every
//! text from outside goes through [`clean`] before it is written anywhere but into JSON, whose strings escape it.

mod bus;
mod masked;

pub(crate) use bus::Events;
