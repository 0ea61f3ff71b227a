//! The command line: argv → [`Request`].
//!
//! Reads no file, no environment and no clock, and decides nothing that depends on the machine: what was typed, checked for
//! form. The only room that names clap; no type of clap leaves it. Paths are not opened, patterns not resolved, extra
//! variables not parsed: those errors have places, and belong to who reads them.
//!
//! The binary answers to five names. Under Ansible's, the flags, their letters and the exit codes are Ansible's
//! (`-t` means `--tree` under `ansible`), abbreviated long options work and the last of a repeated option wins, as
//! argparse has it. Under `stagger` a repeated single option is an error: one of the two would be ignored silently.

mod command;
mod control;
mod exit;
mod flags;
mod lock;
mod looking;
mod plan;
mod reading;
mod request;
mod resume;
mod rollback;
mod upgrade;
mod vault;

use std::ffi::OsString;
use std::path::Path;

pub(crate) use exit::Exit;
pub(crate) use reading::{DocRequest, LintOutput, LintRequest};
pub(crate) use request::{
    Approval, Ask, Colour, Common, ControlRequest, ExecRequest, InventoryRequest, InventoryView, Listing, LockRequest,
    Look, LookRequest, OutputForm, PlanRequest, Request, ResumeRequest, RollbackRequest, Rules, RunRequest, Terms,
    UpgradeRequest, UpgradeSystem,
};
pub(crate) use vault::{ToSeal, VaultAct, VaultKeys, VaultRequest};

/// What is printed instead of doing anything: help, the version, or what is wrong with the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The text, with its final newline; may hold ANSI colours when asked for.
    pub(crate) text: String,
    /// To standard error, not output.
    pub(crate) error: bool,
    /// The exit code.
    pub(crate) exit: u8,
}

/// The name under which the program was called, from the first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// `stagger`, or anything that is none of the others.
    Stagger,
    /// `ansible-playbook`.
    AnsiblePlaybook,
    /// `ansible`.
    Ansible,
    /// `ansible-inventory`.
    AnsibleInventory,
    /// `ansible-vault`.
    AnsibleVault,
}

impl Name {
    /// Takes it from argv\[0\].
    pub(crate) fn of(program: &OsString) -> Self {
        match Path::new(program).file_name().and_then(|name| name.to_str()) {
            Some("ansible-playbook") => Self::AnsiblePlaybook,
            Some("ansible") => Self::Ansible,
            Some("ansible-inventory") => Self::AnsibleInventory,
            Some("ansible-vault") => Self::AnsibleVault,
            _ => Self::Stagger,
        }
    }

    /// Whose rules hold under this name.
    pub(crate) fn rules(self) -> Rules {
        if self == Self::Stagger { Rules::Stagger } else { Rules::Ansible }
    }
}

/// Reads the command line, the program's name first. `colour` allows ANSI colours in help and errors.
///
/// # Errors
/// What is to be printed instead: help and version too.
pub(crate) fn parse(arguments: &[OsString], colour: bool) -> Result<Request, Message> {
    let name = arguments.first().map_or(Name::Stagger, Name::of);
    command::parse(name, arguments, colour)
}

#[cfg(test)]
mod tests;
