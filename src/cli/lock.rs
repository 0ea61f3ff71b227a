//! `lock`: who has hosts, and breaking what a dead run left there; and what `run` and `exec` say of others' runs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::command::{connect, privilege};
use super::flags::{ConnectFlags, HostFlags, PrivilegeFlags};
use super::request::{Common, LockRequest, Request};

pub(super) const LOCK_EXAMPLES: &str = "\
Examples:
  stagger lock status -i production.yml              who has which host, and unfinished runs
  stagger lock break s04 -i production.yml --reason 'bastion b1 is gone, ticket 4711'
  stagger lock break masters -i production.yml -b --reason 'left by another account'";

/// What stagger's own `run` and `exec` have beside Ansible's flags.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Other runs")]
pub(super) struct BesideFlags {
    /// Change hosts of this run that ended early all the same, to mend something before it goes on
    #[arg(long, value_name = "RUN")]
    pub(super) beside: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct LockFlags {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Show the leases on hosts, and the runs that have not come to their end
    Status(Box<StatusFlags>),
    /// Remove the leases on hosts, whosever they are
    Break(Box<BreakFlags>),
}

#[derive(Debug, Clone, Args)]
struct StatusFlags {
    /// Hosts: names, groups, globs
    #[arg(value_name = "PATTERN", default_value = "all")]
    pattern: String,
    #[command(flatten)]
    reach: ReachFlags,
}

#[derive(Debug, Clone, Args)]
struct BreakFlags {
    /// Hosts: names, groups, globs
    #[arg(value_name = "PATTERN")]
    pattern: String,
    /// Why: it is written to the log of each host
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    #[command(flatten)]
    reach: ReachFlags,
}

#[derive(Debug, Clone, Args)]
struct ReachFlags {
    #[command(flatten)]
    hosts: HostFlags,
    /// Variables: k=v, YAML, JSON or @FILE; may be repeated, the last wins
    #[arg(short = 'e', long, value_name = "VARS")]
    extra_vars: Vec<String>,
    #[command(flatten)]
    connect: ConnectFlags,
    #[command(flatten)]
    privilege: PrivilegeFlags,
    /// The state folder of the runs [default: /var/lib/stagger, else the user's own]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("say why: whoever has the host will ask".to_owned()),
        text => Ok(text.to_owned()),
    }
}

pub(super) fn request(flags: LockFlags) -> Request {
    let (pattern, reason, reach) = match flags.what {
        What::Status(flags) => (flags.pattern, None, flags.reach),
        What::Break(flags) => (flags.pattern, Some(flags.reason), flags.reach),
    };
    let common = Common {
        inventory: reach.hosts.inventory,
        limit: reach.hosts.limit,
        extra_vars: reach.extra_vars,
        connect: connect(reach.connect),
        privilege: privilege(reach.privilege),
        state: reach.state,
        ..Common::default()
    };
    Request::Lock(LockRequest { pattern, reason, common })
}
