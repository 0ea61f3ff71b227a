//! `detach:`, and Ansible's `async:` and `poll:` for the same.

use std::sync::Arc;

use super::arguments::has_template;
use super::compile::Compiler;
use crate::base::{Node, parse_duration, to_text};
use crate::diag::Diagnostic;
use crate::modules::ModuleSpec;
use crate::playbook;

/// Modules that run one command, which can be left alone.
const COMMANDS: &[&str] = &["command", "raw", "shell"];

impl Compiler<'_> {
    /// How long the command of a task may take on its own on the host; `None` when it is an ordinary one.
    pub(super) fn detach(&mut self, own: &playbook::Keywords, module: &ModuleSpec) -> Option<Arc<Node>> {
        let (detach, seconds, poll) = (own.get("detach"), own.get("async"), own.get("poll"));
        if let Some(poll) = poll {
            self.check(poll);
            let text = to_text(&poll.to_value());
            let number = text.trim().parse::<f64>();
            if seconds.is_none() && detach.is_none() {
                self.wrong.push(Diagnostic::error("`poll` needs `async` or `detach` beside it", poll.span));
            } else if number == Ok(0.0) {
                let help = "leave `poll` out: the task waits, and a connection that breaks does no harm";
                let message = "`poll: 0` is not supported: a command that nobody waits for has no result";
                self.wrong.push(Diagnostic::error(message, poll.span).help(help));
            } else if number.is_err() && !has_template(poll) {
                self.wrong.push(Diagnostic::error("`poll` is a number of seconds", poll.span));
            }
        }
        let node = match (detach, seconds) {
            (Some(_), Some(seconds)) => {
                let message = "`async` and `detach` are the same: write one";
                self.wrong.push(Diagnostic::error(message, seconds.span));
                return None;
            }
            (Some(node), None) | (None, Some(node)) => node,
            (None, None) => return None,
        };
        self.check(node);
        let text = to_text(&node.to_value());
        if !has_template(node)
            && let Err(reason) = parse_duration(&text)
        {
            self.wrong.push(Diagnostic::error(reason, node.span));
            return None;
        }
        if !COMMANDS.contains(&module.name) {
            let message = format!("`{}` can't be detached: only {} can", module.name, COMMANDS.join(", "));
            let help = "its steps are short, and are seen to their end after a cut as they are";
            self.wrong.push(Diagnostic::error(message, node.span).help(help));
            return None;
        }
        Some(Arc::new(node.clone()))
    }
}
