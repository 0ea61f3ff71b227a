//! `plan`, and what `run` has to do with a plan that was saved.

use std::path::PathBuf;

use clap::Args;

use super::control::TermsFlags;
use super::flags::RunFlags;

pub(super) const PLAN_EXAMPLES: &str = "\
Examples:
  stagger plan site.yml -i production.yml                 what would change, on which host
  stagger plan site.yml -i production.yml --save up.plan  keep it, to be looked over
  stagger run --plan up.plan                              do exactly that";

/// `plan`.
#[derive(Debug, Clone, Args)]
pub(super) struct PlanFlags {
    #[command(flatten)]
    pub(super) run: RunFlags,
    #[command(flatten)]
    pub(super) terms: TermsFlags,
    /// Keep the plan in a file, for run --plan
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,
}

/// What a plan says already.
const SAID: [&str; 17] = [
    "playbooks",
    "inventory",
    "limit",
    "tags",
    "skip_tags",
    "start_at_task",
    "step",
    "list_hosts",
    "list_tasks",
    "list_tags",
    "syntax_check",
    "force_handlers",
    "check",
    "user",
    "connection",
    "become_user",
    "become_method",
];

/// `run --plan`.
#[derive(Debug, Clone, Args)]
pub(super) struct KeptFlag {
    /// Do what a saved plan says, and nothing else; refused when something it rests on has changed
    #[arg(long, value_name = "FILE", conflicts_with_all = SAID)]
    pub(super) plan: Option<PathBuf>,
}
