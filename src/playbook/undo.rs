//! `undo:` beside a task: one module call, or a list of them, that takes back what the task changes.

use std::path::Path;

use super::keywords::Level;
use super::load::Loader;
use super::{Keywords, Task};
use crate::base::{Node, NodeKind};
use crate::diag::Diagnostic;

/// What a task list knows and an undo does not.
const NO_CALLS: &[&str] =
    &["block", "rescue", "always", "include_tasks", "import_tasks", "include_role", "import_role"];

impl Loader<'_> {
    /// Reads what stands under `undo:`.
    pub(super) fn undo(&mut self, keywords: &Keywords, directory: &Path) -> Vec<Task> {
        let Some(value) = keywords.get("undo") else { return Vec::new() };
        let items = match &value.kind {
            NodeKind::Seq(items) => items.as_slice(),
            NodeKind::Map(_) => std::slice::from_ref(value),
            _ => &[],
        };
        if items.is_empty() {
            let what = if value.as_seq().is_some() { "an empty list" } else { value.type_name() };
            let message =
                format!("`undo` is a task that takes back what this one changes, or a list of tasks, not {what}");
            let place = if value.as_seq().is_some() || matches!(value.kind, NodeKind::Null) {
                keywords.span("undo").unwrap_or(value.span)
            } else {
                value.span
            };
            self.wrong.push(Diagnostic::error(message, place).help("for example: `undo: {command: allocation on}`"));
        }
        items.iter().filter_map(|item| self.undo_task(item, directory)).collect()
    }

    fn undo_task(&mut self, item: &Node, directory: &Path) -> Option<Task> {
        let Some(map) = item.as_map() else {
            let message = format!("a task is a mapping, not {}", item.type_name());
            self.wrong.push(Diagnostic::error(message, item.span));
            return None;
        };
        let short = |key: &Node| {
            let name = key.as_str()?;
            let name = name.strip_prefix("ansible.builtin.").unwrap_or(name);
            NO_CALLS.contains(&name).then(|| (name.to_owned(), key.span))
        };
        if let Some((name, span)) = map.iter().find_map(|(key, _)| short(key)) {
            let message = format!("`{name}` can't stand under `undo`: it is a list of module calls");
            self.wrong.push(Diagnostic::error(message, span).help("write the tasks one after another"));
            return None;
        }
        self.call(item, map, Level::Undo, directory)
    }
}
