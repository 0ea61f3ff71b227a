//! `raw`: text for the host's shell, with nothing around it.
//!
//! Ansible gives it to the login shell; here it goes to `/bin/sh`, so that it means the same whatever that is.

use super::command::{Exec, Run};
use super::{Arguments, Bound, Controller, Failure, ModuleSpec, Opt, OptKind};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "raw",
    aliases: &[],
    summary: "runs text in the host's shell, with nothing around it",
    options: &[
        Opt::new("cmd", OptKind::Text, "what to run").required().aliases(&["free_form", "_raw_params"]),
        Opt::new("executable", OptKind::Path, "the shell").default("/bin/sh"),
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
    Ok(Bound::State(Box::new(Exec {
        run: Run::Shell { executable: arguments.required("executable"), text },
        chdir: None,
        creates: None,
        removes: None,
        stdin: None,
        strip: false,
        named: false,
    })))
}
