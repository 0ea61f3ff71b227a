//! One file a subcommand. The only room that sees all.

mod beginning;
mod control;
mod doc;
mod ending;
mod exec;
mod extra;
mod inventory;
mod lab;
mod last;
mod lint;
mod listing;
mod lock;
mod look;
mod operator;
mod person;
mod pinned;
mod plan;
mod playbook;
mod replay;
mod resume;
mod rollback;
mod runs;
mod session;
mod show;
mod signals;
#[cfg(test)]
mod simulation;
mod status;
mod still;
mod targets;
mod undone;
mod upgrade;
mod vault;
mod view;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::cli::{self, Exit, Name, Request};

/// Runs the program.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    // A release file of a stand-in daemon is this executable with a trailer.
    if let Some(standin) = crate::lab::standin_of_current_exe() {
        return crate::lab::act(&standin, arguments.get(1..).unwrap_or_default());
    }
    let rules = arguments.first().map_or(cli::Rules::Stagger, |program| Name::of(program).rules());
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let request = match cli::parse(&arguments, colour) {
        Ok(request) => request,
        Err(message) => {
            if message.error {
                complain(&message.text);
            } else {
                print(&message.text);
            }
            return ExitCode::from(message.exit);
        }
    };
    let exit: Exit = match &request {
        Request::Run(request) => playbook::run(request),
        Request::Plan(request) => plan::run(request),
        Request::Exec(request) => exec::run(request),
        Request::Resume(request) => resume::command(request),
        Request::Rollback(request) => rollback::run(request),
        Request::Upgrade(request) => upgrade::run(request),
        Request::Inventory(request) => inventory::run(request, colour),
        Request::Control(request) => control::run(request),
        Request::Look(request) => look::run(request),
        Request::Lock(request) => lock::run(request),
        Request::Doc(request) => doc::run(request),
        Request::Lint(request) => lint::run(request),
        Request::Vault(request) => vault::run(request),
        Request::Lab(words) => return lab::run(words),
    };
    ExitCode::from(exit.code(rules))
}

/// Writes to standard output; a reader that went away is no failure.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Writes to standard error.
fn complain(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn warn_all(warnings: &[String]) {
    for warning in warnings {
        complain(&format!("warning: {warning}\n"));
    }
}

/// An error with its causes on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
