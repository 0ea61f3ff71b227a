//! What a run came to, as an exit code and for whoever comes after it.

use crate::cli::Exit;
use crate::event::Ended;
use crate::run;

/// The exit code of a run.
pub(super) fn exit_of(summary: &run::Summary, journal_failed: bool) -> Exit {
    if journal_failed {
        Exit::Journal
    } else if summary.error.is_some() {
        Exit::Error
    } else if !summary.not_undone.is_empty() {
        Exit::NotUndone
    } else if summary.closed {
        // What was asked for was done.
        Exit::Ok
    } else if summary.interrupted || summary.aborted {
        Exit::Interrupted
    } else if summary.unreachable {
        Exit::Unreachable
    } else if summary.failed || summary.halted {
        Exit::HostFailed
    } else if summary.late {
        Exit::TimeOver
    } else if summary.start_not_found {
        Exit::NoTarget
    } else {
        Exit::Ok
    }
}

/// How the run ended, for whoever comes after it.
pub(super) fn ended_of(summary: &run::Summary, journal_failed: bool) -> Ended {
    if journal_failed || summary.error.is_some() {
        Ended::Broken
    } else if summary.aborted && summary.not_undone.is_empty() {
        // While a setting is left, the run can be resumed to take it back.
        Ended::Aborted
    } else if summary.interrupted || summary.late || summary.aborted {
        Ended::Stopped
    } else if summary.halted || !summary.not_undone.is_empty() {
        // A setting that is left is something to go on with.
        Ended::Halted
    } else if summary.failed || summary.unreachable {
        Ended::Failed
    } else {
        Ended::Complete
    }
}
