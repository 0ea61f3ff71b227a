//! The flags with which a run is taken up again: what is to become of what nobody knows, and what the journal does not keep.

use std::num::NonZeroUsize;

use clap::Args;

use super::flags::OutputFlag;
use super::request::{Anew, ControlRequest, ResumeRequest};

/// What the journal does not keep, and how it is shown.
#[derive(Debug, Clone, Args)]
pub(super) struct AnewFlags {
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
    #[arg(short, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl AnewFlags {
    pub(super) fn anew(self) -> Anew {
        Anew {
            extra_vars: self.extra_vars,
            forks: self.forks,
            ask_password: self.ask_pass,
            ask_become_password: self.ask_become_pass,
            output: self.output.map(OutputFlag::form),
            verbosity: self.verbose,
        }
    }
}

/// How a run is taken up again.
#[derive(Debug, Clone, Args)]
pub(super) struct TakeUpFlags {
    /// Go on although the playbook, inventory or variables have changed
    #[arg(long)]
    changed: bool,
    #[command(flatten)]
    anew: AnewFlags,
}

impl TakeUpFlags {
    pub(super) fn request(self, control: ControlRequest, doubt: &DoubtFlags) -> ResumeRequest {
        ResumeRequest {
            control,
            redo_unknown: doubt.redo_unknown,
            skip_unknown: doubt.skip_unknown,
            redo: doubt.redo,
            leave: doubt.leave,
            changed: self.changed,
            anew: self.anew.anew(),
        }
    }
}

/// What is to become of what nobody knows.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct DoubtFlags {
    /// Do (again) what was in flight when the run broke off and can't be looked at
    #[arg(long, conflicts_with = "skip_unknown")]
    redo_unknown: bool,
    /// Take what was in flight when the run broke off for done
    #[arg(long)]
    skip_unknown: bool,
    /// Do again what the run had done and is no longer so
    #[arg(long, conflicts_with = "leave")]
    redo: bool,
    /// Leave what the run had done and is no longer so as it is
    #[arg(long)]
    leave: bool,
}
