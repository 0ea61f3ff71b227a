//! `rollback`.

use std::path::PathBuf;

use clap::Args;

use super::request::RollbackRequest;
use super::resume::AnewFlags;

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
    #[command(flatten)]
    anew: AnewFlags,
    /// The state folder of the run [default: /var/lib/stagger, else the user's own]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl RollbackFlags {
    pub(super) fn request(self) -> RollbackRequest {
        RollbackRequest { run: self.run, check: self.check, diff: self.diff, anew: self.anew.anew(), state: self.state }
    }
}
