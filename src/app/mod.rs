//! One file a subcommand. The only room that sees all.

mod lab;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    // A release file of a stand-in daemon is this executable with a trailer.
    if let Some(standin) = crate::lab::standin_of_current_exe() {
        return crate::lab::act(&standin, arguments.get(1..).unwrap_or_default());
    }
    if arguments.get(1).is_some_and(|word| word == "lab") {
        return lab::run(arguments.get(2..).unwrap_or_default());
    }
    ExitCode::SUCCESS
}
