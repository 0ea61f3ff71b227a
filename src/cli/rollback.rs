//! `rollback`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::flags::OutputFlag;
use super::request::RollbackRequest;

pub(super) const ROLLBACK_EXAMPLES: &str = "\
Examples:
  stagger rollback 7kq2 --check --diff    what the way back would change
  stagger rollback 7kq2                   go it, on the hosts that the run changed, the last first";

/// `rollback`.
#[derive(Debug, Clone, Args)]
pub(super) struct RollbackFlags {
    /// The run: any beginning or end of its id
    #[arg(value_name = "RUN")]
    run: String,
    /// Show what would change, and change nothing
    #[arg(short = 'C', long)]
    check: bool,
    /// Show differences of changed files
    #[arg(short = 'D', long)]
    diff: bool,
    /// A variable beside the run's own, or one that the journal does not keep: NAME=VALUE, JSON or YAML, or @FILE
    #[arg(short, long, value_name = "VARS")]
    extra_vars: Vec<String>,
    /// How many hosts are at work at once
    #[arg(short, long, value_name = "N")]
    forks: Option<NonZeroUsize>,
    /// Ask for the password to log in
    #[arg(short = 'k', long)]
    ask_pass: bool,
    /// Ask for the password of sudo, su or doas
    #[arg(short = 'K', long)]
    ask_become_pass: bool,
    /// The form of the output
    #[arg(long, value_name = "FORM", value_enum)]
    output: Option<OutputFlag>,
    /// Say more
    #[arg(short, action = ArgAction::Count)]
    verbose: u8,
    /// The state folder of the run [default: /var/lib/stagger, else the user's own]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl RollbackFlags {
    pub(super) fn request(self) -> RollbackRequest {
        RollbackRequest {
            run: self.run,
            check: self.check,
            diff: self.diff,
            extra_vars: self.extra_vars,
            forks: self.forks,
            ask_password: self.ask_pass,
            ask_become_password: self.ask_become_pass,
            output: self.output.map(OutputFlag::form),
            verbosity: self.verbose,
            state: self.state,
        }
    }
}
