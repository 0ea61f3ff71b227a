//! Inheritance of keywords, and their checks at load.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;

use super::compile::Compiler;
use super::{Condition, Keywords, Layer};
use crate::base::{Node, NodeKind};
use crate::diag::Diagnostic;
use crate::playbook;

/// Keywords that have one value, the nearest.
const SINGLE: &[&str] = &[
    "any_errors_fatal",
    "become",
    "become_exe",
    "become_flags",
    "become_method",
    "become_user",
    "check_mode",
    "connection",
    "delegate_to",
    "diff",
    "ignore_errors",
    "ignore_unreachable",
    "no_log",
    "port",
    "remote_user",
    "run_once",
    "throttle",
    "timeout",
];

/// Keywords of [`SINGLE`] that are booleans.
const BOOLEAN: &[&str] =
    &["any_errors_fatal", "become", "check_mode", "diff", "ignore_errors", "ignore_unreachable", "no_log", "run_once"];

impl Compiler<'_> {
    /// What holds inside, given what holds outside.
    pub(super) fn inherit(&mut self, outer: &Keywords, own: &playbook::Keywords, with_vars: bool) -> Keywords {
        let mut inner = outer.clone();
        for keyword in own.iter() {
            let value = &keyword.value;
            match keyword.name {
                "when" => {
                    let conditions = self.conditions(value);
                    inner.when.extend(conditions);
                }
                "tags" => inner.tags.extend(self.tags(value)),
                "vars" if with_vars => {
                    if let Some(layer) = self.layer(value) {
                        inner.vars.push(layer);
                    }
                }
                "environment" => {
                    self.check(value);
                    inner.environment.push(Arc::new(value.clone()));
                }
                "notify" => {
                    self.check(value);
                    inner.notify.extend(list(value).map(|node| Arc::new(node.clone())));
                }
                name if SINGLE.contains(&name) => {
                    self.check(value);
                    if BOOLEAN.contains(&name) {
                        self.boolean(name, value);
                    }
                    inner.single.insert(name, Arc::new(value.clone()));
                }
                _ => {}
            }
        }
        inner
    }

    fn boolean(&mut self, name: &str, value: &Node) {
        let right = match &value.kind {
            NodeKind::Bool(_) | NodeKind::Null => true,
            NodeKind::Int(number) => matches!(number, 0 | 1),
            NodeKind::String { text, .. } => {
                text.contains("{{") || crate::modules::to_bool(&crate::base::Value::from(text.as_ref())).is_some()
            }
            _ => false,
        };
        if !right {
            let message = format!("`{name}` is true or false, not {}", value.type_name());
            self.wrong.push(Diagnostic::error(message, value.span));
        }
    }

    /// A condition or a list of them.
    pub(super) fn conditions(&mut self, value: &Node) -> Vec<Condition> {
        list(value).filter_map(|node| self.condition(node)).collect()
    }

    fn condition(&mut self, node: &Node) -> Option<Condition> {
        match &node.kind {
            NodeKind::Bool(constant) => Some(Condition::Constant(*constant)),
            NodeKind::Int(number) => Some(Condition::Constant(*number != 0)),
            NodeKind::Null => None,
            NodeKind::String { text, .. } => match self.engine.expression(text, node.span) {
                Ok(expression) => {
                    self.wrong.extend(expression.warning());
                    Some(Condition::Expression(expression))
                }
                Err(diagnostic) => {
                    self.wrong.push(diagnostic);
                    None
                }
            },
            _ => {
                let message = format!("a condition is an expression, not {}", node.type_name());
                self.wrong.push(Diagnostic::error(message, node.span));
                None
            }
        }
    }

    /// `tags: a,b` or a list.
    fn tags(&mut self, value: &Node) -> BTreeSet<String> {
        let mut tags = BTreeSet::new();
        for node in list(value) {
            match &node.kind {
                NodeKind::String { text, .. } if text.contains("{{") => {
                    let message = "a tag can't be a template: tags choose tasks before there are variables";
                    self.wrong.push(Diagnostic::error(message, node.span));
                }
                NodeKind::String { text, .. } => {
                    tags.extend(text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned));
                }
                NodeKind::Int(_) | NodeKind::Float(_) | NodeKind::Bool(_) => {
                    tags.insert(crate::base::to_text(&node.to_value()));
                }
                _ => {
                    let message = format!("a tag is a word, not {}", node.type_name());
                    self.wrong.push(Diagnostic::error(message, node.span));
                }
            }
        }
        tags
    }

    /// A mapping of variables.
    pub(super) fn layer(&mut self, value: &Node) -> Option<Layer> {
        let entries = match &value.kind {
            NodeKind::Null => return None,
            NodeKind::Map(entries) => entries,
            _ => {
                let message = format!("`vars` is a mapping of names to values, not {}", value.type_name());
                self.wrong.push(Diagnostic::error(message, value.span));
                return None;
            }
        };
        let mut layer = IndexMap::new();
        for (key, value) in entries {
            let Some(name) = key.as_str() else {
                self.wrong.push(Diagnostic::error("the name of a variable must be a word", key.span));
                continue;
            };
            if !is_variable_name(name) {
                let message = format!("`{name}` can't be the name of a variable");
                self.wrong
                    .push(Diagnostic::error(message, key.span).help("letters, digits and underscores; no digit first"));
            }
            self.check(value);
            layer.insert(name.to_owned(), Arc::new(value.clone()));
        }
        Some(Arc::new(layer))
    }
}

/// Whether a template can refer to a variable by that name.
pub(super) fn is_variable_name(name: &str) -> bool {
    // Constants of the language: a variable of that name would never be seen.
    const CONSTANTS: &[&str] = &["none", "None", "true", "True", "false", "False"];
    !name.is_empty()
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !CONSTANTS.contains(&name)
}

/// The items of a list, or the one value.
pub(super) fn list(value: &Node) -> impl Iterator<Item = &Node> {
    let (many, one) = match &value.kind {
        NodeKind::Seq(items) => (items.as_slice(), None),
        NodeKind::Null => (&[][..], None),
        _ => (&[][..], Some(value)),
    };
    many.iter().chain(one)
}
