//! The commands that speak to a run: pause, resume, abort, continue, skip, retry; and what `run` says of its own terms.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::request::{Approval, Ask, ControlRequest, Request, Terms};
use super::resume::{DoubtFlags, TakeUpFlags};

/// What stagger's own `run` has beside Ansible's flags.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "When to wait and stop")]
pub(super) struct TermsFlags {
    /// Wait for `stagger continue` before the first or each batch of every play, or never; wins over the playbook
    #[arg(long, value_name = "WHEN", value_enum)]
    approve: Option<ApproveFlag>,
    /// Start no new host after this time of day; the run can be resumed
    #[arg(long, value_name = "HH:MM", conflicts_with = "duration", value_parser = time_of_day)]
    until: Option<(u8, u8)>,
    /// Start no new host after so long: 2h, 90m
    #[arg(id = "duration", long = "for", value_name = "TIME", value_parser = super::flags::duration)]
    duration: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ApproveFlag {
    None,
    First,
    Each,
}

impl TermsFlags {
    pub(super) fn terms(&self) -> Terms {
        Terms {
            approve: self.approve.map(|flag| match flag {
                ApproveFlag::None => Approval::None,
                ApproveFlag::First => Approval::First,
                ApproveFlag::Each => Approval::Each,
            }),
            until: self.until,
            lasting: self.duration,
        }
    }
}

fn time_of_day(text: &str) -> Result<(u8, u8), String> {
    let wrong = || "a time of day as on a clock of 24 hours: 05:00 or 23:30".to_owned();
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let two =
        |text: &str| text.parse::<u8>().ok().filter(|_| text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit()));
    match (two(hour), two(minute)) {
        (Some(hour @ 0..24), Some(minute @ 0..60)) => Ok((hour, minute)),
        _ => Err(wrong()),
    }
}

const RUN_HELP: &str = "The run: any beginning or end of its id [default: the one that is alive]";

#[derive(Debug, Clone, Args)]
pub(super) struct StateFlag {
    /// The state folder of the run [default: /var/lib/stagger, else the user's own]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct OneFlags {
    #[arg(value_name = "RUN", help = RUN_HELP)]
    run: Option<String>,
    /// Why, for whoever reads this run later
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    #[command(flatten)]
    state: StateFlag,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ContinueFlags {
    #[arg(value_name = "RUN", help = RUN_HELP)]
    run: Option<String>,
    /// The play that waits: its name, a part of it, or its number from 1 [default: the only one that waits]
    #[arg(value_name = "PHASE")]
    phase: Option<String>,
    #[command(flatten)]
    state: StateFlag,
}

#[derive(Debug, Clone, Args)]
pub(super) struct SkipFlags {
    /// The run: any beginning or end of its id
    #[arg(value_name = "RUN")]
    run: String,
    /// Hosts that have not begun
    #[arg(value_name = "HOST", required = true)]
    hosts: Vec<String>,
    /// Why, for whoever reads this run later
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    state: StateFlag,
}

#[derive(Debug, Clone, Args)]
pub(super) struct RetryFlags {
    /// The run: any beginning or end of its id
    #[arg(value_name = "RUN")]
    run: String,
    /// Hosts that failed
    #[arg(value_name = "HOST", required = true)]
    hosts: Vec<String>,
    #[command(flatten)]
    doubt: DoubtFlags,
    #[command(flatten)]
    anew: TakeUpFlags,
    #[command(flatten)]
    state: StateFlag,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ResumeFlags {
    #[command(flatten)]
    one: OneFlags,
    #[command(flatten)]
    doubt: DoubtFlags,
    #[command(flatten)]
    anew: TakeUpFlags,
}

#[derive(Debug, Clone, Args)]
pub(super) struct AbortFlags {
    #[command(flatten)]
    one: OneFlags,
    #[command(flatten)]
    anew: TakeUpFlags,
}

/// The commands.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum ControlCommand {
    /// Let hosts at work finish, and start nothing new until resumed
    Pause(OneFlags),
    /// Let a paused run go on, or go on with one that ended early
    Resume(Box<ResumeFlags>),
    /// Let one batch that waits for approval begin
    Continue(ContinueFlags),
    /// End a run for good: hosts at work finish, what must be undone is undone
    Abort(Box<AbortFlags>),
    /// Leave hosts that have not begun out of a run
    Skip(SkipFlags),
    /// Try failed hosts again at the task that failed
    Retry(Box<RetryFlags>),
}

const PAUSE: &str = "\
Examples:
  stagger pause                    the run that is alive
  stagger pause 7kq2 --reason 'disk alarm on s04'
  stagger resume 7kq2
  stagger resume 7kq2 --skip-unknown   take a command that was in flight for done
  stagger resume 7kq2 --redo           do again what is no longer as the run left it";

const RESUME: &str = "\
Examples:
  stagger resume                   the run that is paused, or else the newest that ended early
  stagger resume 7kq2";

const CONTINUE: &str = "\
Examples:
  stagger continue                 the only batch that waits
  stagger continue 7kq2 masters    the next batch of the play `masters`
  stagger continue 7kq2 2          of the second play";

const ABORT: &str = "\
Examples:
  stagger abort 7kq2 --reason 'wrong version'";

const SKIP: &str = "\
Examples:
  stagger skip 7kq2 s04 s05 --reason 'disk broken, ticket 4711'";

const RETRY: &str = "\
Examples:
  stagger retry 7kq2 s04";

/// Each command's page of examples.
pub(super) const PAGES: [(&str, &str); 6] =
    [("pause", PAUSE), ("resume", RESUME), ("continue", CONTINUE), ("abort", ABORT), ("skip", SKIP), ("retry", RETRY)];

impl ControlCommand {
    pub(super) fn request(self) -> Request {
        let one = |ask, flags: OneFlags| ControlRequest {
            ask,
            run: flags.run,
            words: Vec::new(),
            reason: flags.reason,
            state: flags.state.state,
        };
        let hosts = |ask, run, words, reason, state: StateFlag| ControlRequest {
            ask,
            run: Some(run),
            words,
            reason,
            state: state.state,
        };
        Request::Control(match self {
            Self::Pause(flags) => one(Ask::Pause, flags),
            Self::Continue(flags) => ControlRequest {
                ask: Ask::Continue,
                run: flags.run,
                words: flags.phase.into_iter().collect(),
                reason: String::new(),
                state: flags.state.state,
            },
            Self::Skip(flags) => hosts(Ask::Skip, flags.run, flags.hosts, flags.reason, flags.state),
            Self::Resume(flags) => {
                let ResumeFlags { one: flags, doubt, anew } = *flags;
                return Request::Resume(anew.request(one(Ask::Resume, flags), &doubt));
            }
            Self::Abort(flags) => {
                let AbortFlags { one: flags, anew } = *flags;
                return Request::Resume(anew.request(one(Ask::Abort, flags), &DoubtFlags::default()));
            }
            Self::Retry(flags) => {
                let RetryFlags { run, hosts: names, doubt, anew, state } = *flags;
                let control = hosts(Ask::Retry, run, names, String::new(), state);
                return Request::Resume(anew.request(control, &doubt));
            }
        })
    }
}
