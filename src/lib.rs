//! stagger upgrades a cluster while it works. One direction:
//!
//! ```text
//! argv ─cli→ Request ─load→ Inventory + Playbook ─plan→ Plan ─run→ Event… ─→ sinks ─→ exit code
//!       no IO        disk, spans kept        pure      SSH, clock   screen · json · journal
//! ```
//!
//! The rooms, and what is absent from them (the table of who may import whom is in `tests/it/tidy.rs`):
//! - rooms listed above `event` do no network and read no clock; files that people wrote are read through `diag::Sources`;
//! - `transport` knows no tasks, no events, no display;
//! - `report` knows no plan and no run: an event is self-sufficient, so a journal replays through the same sinks;
//! - `lab` shares nothing with `cluster`: a stand-in that shared a table would agree with its mistakes;
//! - no module knows of check mode; only `report` and `app` print; only `main` exits.

mod app;
mod base;
mod cli;
mod cluster;
mod config;
mod diag;
mod event;
mod facts;
mod inventory;
mod journal;
mod lab;
mod modules;
mod plan;
mod playbook;
mod report;
mod run;
mod template;
mod transport;
mod vault;
mod yaml;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program with its arguments, the program's name first, and gives its exit code.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    app::run(arguments)
}
