//! Elastic on DC/OS: the SDK scheduler's plans, Cosmos, Marathon, and what Admin Router says in their place.
//!
//! Three eras of schedulers answer differently (before package 2.0.0: always 200, an empty body for what is unknown, no
//! `strategy`; up to 2.4.0: `Element not found`; later: `Plan x not found`), so a code is never believed alone: a plan is a body with
//! phases, and a command was taken when the body has a `message`. A plan's and a phase's status are sums that lie (WAITING while a
//! node restarts): everything here is judged by the steps.
//!
//! What cannot be known here: whether a plan-level interrupt is set while a phase of the plan waits by itself (both are shown as
//! WAITING); whether PENDING means untouched (a task that fails at its start is PENDING once a second: only the task ids tell).

mod app;
mod cli;
mod cosmos;
mod gate;
mod heard;
mod options;
mod package;
mod plan;
mod pods;
mod status;
mod strategy;
mod tree;

pub(crate) use app::{App, deployments, parse_app, running_tasks};
pub(crate) use cli::cli_answer;
pub(crate) use cosmos::{Kind, complaint, describe_body, install_body, parse_described, parse_rendered};
pub(crate) use gate::{Gate, Node, gate, node};
pub(crate) use heard::{Heard, Said, said};
pub(crate) use options::{Difference, differences, merge};
pub(crate) use package::{Direction, PackageVersion, direction};
pub(crate) use plan::Plan;
pub(crate) use pods::{Task, http_endpoints, parse_endpoint, parse_tasks};
pub(crate) use status::Status;
pub(crate) use strategy::{crashes, refuses};
pub(crate) use tree::render_tree;

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
