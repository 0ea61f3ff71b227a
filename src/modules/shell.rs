//! `shell`: text that the user wrote for a shell.

use super::command::{Exec, Run};
use super::{Arguments, Bound, Controller, Failure, ModuleSpec, Opt, OptKind};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "shell",
    aliases: &[],
    summary: "runs text in a shell",
    options: &[
        Opt::new("cmd", OptKind::Text, "what to run").required().aliases(&["free_form", "_raw_params"]),
        Opt::new("executable", OptKind::Path, "the shell").default("/bin/sh"),
        Opt::new("chdir", OptKind::Path, "the folder to run in"),
        Opt::new("creates", OptKind::Path, "does not run when this path (a glob) is there"),
        Opt::new("removes", OptKind::Path, "does not run when this path (a glob) is not there"),
        Opt::new("stdin", OptKind::Text, "what it reads"),
        Opt::new("stdin_add_newline", OptKind::Bool, "ends `stdin` with a newline").default("true"),
        Opt::new("strip_empty_ends", OptKind::Bool, "removes newlines at the end of the output").default("true"),
    ],
    free_form: Some("cmd"),
    open: false,
    rules: &[],
    check: None,
    build,
};

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    let text = arguments.required("cmd");
    if text.trim().is_empty() {
        return Err(Failure::new("no command given").with("rc", 256));
    }
    let run = Run::Shell { executable: arguments.required("executable"), text };
    Ok(Bound::State(Box::new(Exec::of(arguments, run))))
}
