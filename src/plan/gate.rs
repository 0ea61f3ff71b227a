//! `gate:` of a play, and which of the keywords about batches may stand together.

use std::path::Path;
use std::sync::Arc;

use super::compile::Compiler;
use super::keywords::list;
use super::{Keywords, Task};
use crate::base::{Node, NodeKind, Style, to_text};
use crate::diag::Diagnostic;
use crate::playbook;

/// Keywords that play tasks inherit and that would take the force of a gate: it is asked on every host of the batch, and an answer
/// that does not hold counts.
const WEAKENING: &[&str] = &["ignore_errors", "ignore_unreachable", "run_once"];

/// Modules that say nothing of a cluster: as a gate they would always hold, or end the play.
const NO_CONDITIONS: &[&str] = &["meta", "pause", "add_host", "group_by", "set_fact", "include_vars"];

impl Compiler<'_> {
    /// The conditions of `gate:`: each an expression, or a module call.
    pub(super) fn gate(&mut self, gate: &Node, keywords: &Arc<Keywords>, directory: &Path) -> Vec<Arc<Task>> {
        let mut keywords = (**keywords).clone();
        keywords.single.retain(|name, _| !WEAKENING.contains(name));
        list(gate).filter_map(|node| self.condition_of_gate(node, &keywords, directory)).collect()
    }

    fn condition_of_gate(&mut self, node: &Node, keywords: &Keywords, directory: &Path) -> Option<Arc<Task>> {
        let (module, arguments, name) = match (&node.kind, node.as_map()) {
            (NodeKind::String { .. } | NodeKind::Bool(_), _) => {
                let that = Node { kind: NodeKind::Seq(vec![node.clone()]), span: node.span };
                let key = Node::string("that", node.span);
                let text = to_text(&node.to_value());
                let arguments = Node { kind: NodeKind::Map(vec![(key, that)]), span: node.span };
                ("assert".to_owned(), arguments, bare(&text).to_owned())
            }
            (_, Some([(module, arguments)])) => {
                let module = module.as_str().unwrap_or_default().to_owned();
                let hidden = keywords.get("no_log").is_some();
                let name = if hidden { module.clone() } else { call(&module, arguments) };
                (module, arguments.clone(), name)
            }
            _ => {
                let message = "a gate is a list of conditions: expressions, or calls such as `wait_for: {port: 5050}`";
                self.wrong.push(Diagnostic::error(message, node.span));
                return None;
            }
        };
        if NO_CONDITIONS.contains(&module.rsplit('.').next().unwrap_or_default()) {
            let message = format!("`{module}` is no condition, so it can't be a gate");
            let help = "write an expression, or a call that fails when something is not as it must be: `wait_for`, `uri`, `command`, …";
            self.wrong.push(Diagnostic::error(message, node.span).help(help));
            return None;
        }
        let task = playbook::Task {
            span: node.span,
            module,
            module_span: node.span,
            arguments,
            more: None,
            keywords: playbook::Keywords::default(),
            undo: Vec::new(),
            directory: directory.to_owned(),
        };
        // A gate is asked whatever tags were chosen: leaving it out is not how to make a run shorter.
        let mut task = self.task(&task, keywords, false, false)?;
        // As written: what a template stands for is not the name's to tell.
        let text = format!("gate: {name}").into();
        task.name =
            Some(Arc::new(Node { kind: NodeKind::String { text, style: Style::Quoted, raw: true }, span: node.span }));
        Some(Arc::new(task))
    }

    /// Keywords of a play that say something about the same thing, or nothing without one another.
    pub(super) fn together(&mut self, play: &playbook::Play) {
        let written = |name: &str| play.keywords.get(name).filter(|node| !matches!(node.kind, NodeKind::Null));
        if let (Some(window), Some(_)) = (written("max_unavailable"), written("serial")) {
            let message = "`max_unavailable` and `serial` both say how many hosts are taken at once";
            let help = "`serial` takes batches, each when the one before has ended; `max_unavailable` starts a host whenever one finishes: leave one of them out";
            self.wrong.push(Diagnostic::error(message, window.span).help(help));
        }
        let empty = |node: &Node| list(node).next().is_none();
        if let Some(bake) = written("bake")
            && written("gate").is_none_or(empty)
        {
            let message = "`bake` has nothing to hold: the play has no `gate`";
            let help = "`bake` says how long the conditions of `gate` must go on holding after each batch";
            self.wrong.push(Diagnostic::error(message, bake.span).help(help));
        }
    }
}

/// An expression without braces around it.
fn bare(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).map_or(text, str::trim)
}

/// A module call in a few words: `wait_for port=5050 timeout=60`.
fn call(module: &str, arguments: &Node) -> String {
    let plain = |node: &Node| !matches!(node.kind, NodeKind::Seq(_) | NodeKind::Map(_));
    let mut text = module.rsplit('.').next().unwrap_or(module).to_owned();
    match arguments.as_map() {
        Some(entries) => {
            let secret = |key: &str| ["pass", "token", "secret"].iter().any(|word| key.contains(word));
            for (key, value) in entries.iter().filter(|(_, value)| plain(value)) {
                let key = key.as_str().unwrap_or_default();
                if !secret(key) {
                    text.extend([" ", key, "=", &to_text(&value.to_value())]);
                }
            }
        }
        None if plain(arguments) && !matches!(arguments.kind, NodeKind::Null) => {
            text.extend([" ", &to_text(&arguments.to_value())]);
        }
        None => {}
    }
    text
}
