//! What people and programs see of a run: sinks for events, and the bus that carries events to them.
//!
//! Knows no plan and no run: an event is self-sufficient, so a journal replays through the same sinks. Nothing here
//! decides anything about the run, and no view can stop it (see [`Events`]).
//!
//! What hosts say is hostile: it may hold escape sequences that clear screens, forge lines or type into terminals. Every
//! text from outside goes through `clean` before it is written anywhere but into JSON, whose strings escape it.

mod adhoc;
mod ansible;
mod block;
mod bus;
mod choose;
mod clean;
mod diff;
mod digest;
mod document;
mod dump;
mod fold;
mod json;
mod junit;
mod ledger;
mod masked;
mod out;
mod plain;
mod planned;
pub(crate) mod prompt;
mod recap;
mod runs_table;
mod screen;
mod state;
mod stats;
mod story;
mod style;
mod tree;
mod tree_text;
mod typed;
mod undone;
mod view;

#[cfg(test)]
use {adhoc::AdHoc, ansible::Ansible, json::JsonLines, plain::Plain, screen::Screen};

pub(crate) use bus::Events;
pub(crate) use choose::{Form, Surroundings, Wish, form, view};
pub(crate) use fold::fold;
pub(crate) use junit::{Junit, JunitOptions};
pub(crate) use ledger::Ledger;
#[cfg(test)]
pub(crate) use masked::mask;
pub(crate) use planned::{Foresight, PlanStep, PlanTree, differences, plan_text};
pub(crate) use runs_table::{Row, table};
pub(crate) use style::Paint;
pub(crate) use tree::{Life, RunState, Tree};
pub(crate) use tree_text::{Shown, tree_text};
pub(crate) use typed::{Typed, harmless};

#[cfg(test)]
mod tests;
