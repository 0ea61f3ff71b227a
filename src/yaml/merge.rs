//! Merge keys and duplicate keys: what makes entries a mapping.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::base::{Node, NodeKind, Style, to_text};
use crate::diag::Diagnostic;

/// Expands `<<` and resolves duplicates: merged entries come first, in what is merged the earlier wins, and what the mapping
/// itself says wins over all. Of duplicates the last wins, with a warning.
pub(super) fn finish(entries: Vec<(Node, Node)>, diagnostics: &mut Vec<Diagnostic>) -> Vec<(Node, Node)> {
    let mut result: Vec<(Node, Node)> = Vec::with_capacity(entries.len());
    let mut places: HashMap<(u8, String), usize> = HashMap::with_capacity(entries.len());
    let (merges, own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| is_merge(key));
    for (_, value) in merges {
        for (key, value) in merged(value, diagnostics) {
            put(&mut result, &mut places, key, value);
        }
    }
    let mut seen: HashMap<(u8, String), crate::base::Span> = HashMap::with_capacity(own.len());
    for (key, value) in own {
        match seen.entry(identity(&key)) {
            Entry::Occupied(mut first) => {
                let name = to_text(&key.to_value());
                diagnostics.push(
                    Diagnostic::warning(format!("duplicate key `{name}`"), key.span)
                        .label("this one counts")
                        .also(*first.get(), "written here before"),
                );
                first.insert(key.span);
            }
            Entry::Vacant(place) => {
                place.insert(key.span);
            }
        }
        put(&mut result, &mut places, key, value);
    }
    result
}

fn put(result: &mut Vec<(Node, Node)>, places: &mut HashMap<(u8, String), usize>, key: Node, value: Node) {
    match places.entry(identity(&key)) {
        Entry::Occupied(place) => {
            if let Some(entry) = result.get_mut(*place.get()) {
                *entry = (key, value);
            }
        }
        Entry::Vacant(place) => {
            place.insert(result.len());
            result.push((key, value));
        }
    }
}

/// What makes two keys the same: their kind and text (`1` and `"1"` differ).
fn identity(key: &Node) -> (u8, String) {
    let kind = match &key.kind {
        NodeKind::Null => 0,
        NodeKind::Bool(_) => 1,
        NodeKind::Int(_) => 2,
        NodeKind::Float(_) => 3,
        NodeKind::String { text, .. } => return (4, text.to_string()),
        NodeKind::Seq(_) => 5,
        NodeKind::Map(_) => 6,
        NodeKind::Vault(_) => 7,
    };
    (kind, to_text(&key.to_value()))
}

/// A quoted `<<` is a key like any other.
fn is_merge(key: &Node) -> bool {
    matches!(&key.kind, NodeKind::String { text, style: Style::Plain, raw: false } if &**text == "<<")
}

/// The entries that a merge key brings, in the order in which later ones replace earlier ones.
fn merged(value: Node, diagnostics: &mut Vec<Diagnostic>) -> Vec<(Node, Node)> {
    let mut wrong = |node: &Node| {
        diagnostics.push(
            Diagnostic::error(format!("`<<` merges mappings, and this is {}", node.type_name()), node.span)
                .help("write `<<: *anchor` or `<<: [*first, *second]`"),
        );
    };
    match value.kind {
        NodeKind::Map(entries) => entries,
        NodeKind::Seq(items) => {
            let mut all = Vec::new();
            for item in items.into_iter().rev() {
                match item.kind {
                    NodeKind::Map(entries) => all.extend(entries),
                    _ => wrong(&item),
                }
            }
            all
        }
        _ => {
            wrong(&value);
            Vec::new()
        }
    }
}
