//! YAML and JSON inventories: a mapping of groups, each with `hosts`, `vars` and `children`.

use std::sync::Arc;

use super::graph::Graph;
use super::ini::{add_hosts, host_entry, wrong_priority};
use crate::base::{Node, NodeKind, Span, to_text};
use crate::diag::{Diagnostic, did_you_mean};

const KEYS: [&str; 3] = ["hosts", "vars", "children"];

/// Reads a parsed file into the graph; `file` is the span of the file's beginning, for messages about the whole.
pub(super) fn read(graph: &mut Graph, document: Option<&Node>, file: Span) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let groups = match document.map(|node| (&node.kind, node)) {
        None | Some((NodeKind::Null, _)) => {
            found.push(Diagnostic::error("this inventory file is empty", file));
            return found;
        }
        Some((NodeKind::Map(groups), _)) => groups,
        Some((_, node)) => {
            let message = format!("an inventory is a mapping of groups, not {}", node.type_name());
            found.push(Diagnostic::error(message, node.span).help("for example: `all: {hosts: {es1: }}`"));
            return found;
        }
    };
    if let Some((key, value)) =
        groups.iter().find(|(key, value)| key.as_str() == Some("plugin") && value.as_str().is_some())
    {
        let name = value.as_str().unwrap_or_default();
        found.push(
            Diagnostic::error(format!("inventory plugins are not supported: `{name}`"), key.span)
                .help("run the plugin once and keep its result: ansible-inventory -i FILE --list --export --yaml > inventory.yml")
                .help("or give an executable script that answers --list"),
        );
        return found;
    }
    for (name, body) in groups {
        group(graph, name, body, &mut found);
    }
    found
}

fn group(graph: &mut Graph, name: &Node, body: &Node, found: &mut Vec<Diagnostic>) -> Option<u32> {
    let Some(text) = name.as_str().filter(|text| !text.is_empty()) else {
        let message = format!("a group's name must be text, not {}", name.type_name());
        found.push(Diagnostic::error(message, name.span).help("write it in quotes"));
        return None;
    };
    let index = graph.add_group(text, name.span);
    let entries = match &body.kind {
        NodeKind::Null => return Some(index),
        NodeKind::Map(entries) => entries,
        _ => {
            let message = format!("the group `{text}` must be a mapping, not {}", body.type_name());
            found.push(Diagnostic::error(message, name.span).help("keys: hosts, vars, children"));
            return None;
        }
    };
    for (key, value) in entries {
        match key.as_str() {
            Some("hosts") => hosts(graph, index, text, value, found),
            Some("vars") => variables(graph, index, text, value, found),
            Some("children") => children(graph, index, text, value, found),
            _ => {
                let written = to_text(&key.to_value());
                let warning = Diagnostic::warning(format!("unknown key `{written}` in the group `{text}`"), key.span);
                let warning = match did_you_mean(&written, KEYS) {
                    Some(meant) => warning.label(format!("did you mean `{meant}`?")),
                    None => warning.label("not used"),
                };
                found.push(warning.help("keys: hosts, vars, children; a group inside a group stands below `children`"));
            }
        }
    }
    Some(index)
}

/// The entries of `hosts`, `vars` or `children`: a mapping, nothing, or one name alone.
fn entries<'a>(
    what: &str,
    group: &str,
    value: &'a Node,
    alone: &'a mut Vec<(Node, Node)>,
    found: &mut Vec<Diagnostic>,
) -> &'a [(Node, Node)] {
    match &value.kind {
        NodeKind::Map(entries) => entries,
        NodeKind::Null => &[],
        NodeKind::String { .. } => {
            alone.push((value.clone(), Node { kind: NodeKind::Null, span: value.span }));
            alone
        }
        kind => {
            let message = format!("`{what}` of the group `{group}` must be a mapping, not {}", value.type_name());
            let mut error = Diagnostic::error(message, value.span);
            if let NodeKind::Seq(items) = kind
                && what != "vars"
            {
                // The whole list's span would underline many lines.
                if let (Some(first), Some(label)) = (items.first(), error.labels.first_mut()) {
                    label.span = first.span;
                }
                error = error.help("write `name:` for each, without the dash");
            }
            found.push(error);
            &[]
        }
    }
}

fn hosts(graph: &mut Graph, index: u32, group: &str, value: &Node, found: &mut Vec<Diagnostic>) {
    let mut alone = Vec::new();
    for (key, settings) in entries("hosts", group, value, &mut alone, found) {
        let Some(name) = key.as_str().filter(|name| !name.is_empty()) else {
            let message = format!("a host's name must be text, not {}", key.type_name());
            found.push(Diagnostic::error(message, key.span).help("write it in quotes"));
            continue;
        };
        let variables: Vec<(String, Arc<Node>)> = match &settings.kind {
            NodeKind::Null => Vec::new(),
            NodeKind::Map(settings) => {
                settings.iter().map(|(k, v)| (to_text(&k.to_value()), Arc::new(v.clone()))).collect()
            }
            _ => {
                let message =
                    format!("the variables of the host `{name}` must be a mapping, not {}", settings.type_name());
                found.push(Diagnostic::error(message, settings.span));
                continue;
            }
        };
        match host_entry(name) {
            Ok((names, port)) => add_hosts(graph, &names, port, index, &variables, key.span, found),
            Err(reason) => found.push(Diagnostic::error(reason, key.span)),
        }
    }
}

fn variables(graph: &mut Graph, index: u32, group: &str, value: &Node, found: &mut Vec<Diagnostic>) {
    let NodeKind::Map(settings) = &value.kind else {
        if value.kind != NodeKind::Null {
            let message = format!("`vars` of the group `{group}` must be a mapping, not {}", value.type_name());
            found.push(Diagnostic::error(message, value.span));
        }
        return;
    };
    for (key, value) in settings {
        if let Err(kind) = graph.set_group_variable(index, &to_text(&key.to_value()), value.clone()) {
            found.push(wrong_priority(&kind, value.span));
        }
    }
}

fn children(graph: &mut Graph, parent: u32, name: &str, value: &Node, found: &mut Vec<Diagnostic>) {
    let mut alone = Vec::new();
    for (key, body) in entries("children", name, value, &mut alone, found) {
        let Some(child) = group(graph, key, body, found) else { continue };
        if let Err(way) = graph.add_child(parent, child) {
            let child = graph.group_name(child);
            let message = format!("`{child}` can't be a child of `{name}`: groups would contain themselves");
            found.push(Diagnostic::error(message, key.span).help(format!("the loop: {way}")));
        }
    }
}
