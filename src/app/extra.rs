//! `-e`: `key=value` text, YAML or JSON, or `@FILE`; later ones win.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::base::{Node, NodeKind, Secret, Span, to_text};
use crate::diag::{Diagnostic, Sources, names_secret};
use crate::plan::Layer;
use crate::{playbook, yaml};

/// Reads all `-e` texts in order.
pub(super) fn read(sources: &Sources, texts: &[String]) -> (Layer, Vec<Diagnostic>) {
    let mut layer: IndexMap<String, Arc<Node>> = IndexMap::new();
    let mut wrong = Vec::new();
    for text in texts {
        let trimmed = text.trim();
        if let Some(file) = trimmed.strip_prefix('@') {
            let (node, found) = playbook::load_vars(sources, Path::new(file));
            wrong.extend(found);
            take(&mut layer, node.as_ref());
            continue;
        }
        let source = sources.add("--extra-vars", text.as_str());
        let all = Span { source, start: 0, end: u32::try_from(text.len()).unwrap_or(u32::MAX) };
        if trimmed.starts_with(['{', '[']) {
            let (node, found) = yaml::parse(sources, source);
            wrong.extend(found);
            match &node {
                Some(node) if node.as_map().is_none() => {
                    let message = format!("--extra-vars needs a mapping, not {}", node.type_name());
                    wrong.push(Diagnostic::error(message, all));
                }
                node => take(&mut layer, node.as_ref()),
            }
            continue;
        }
        if trimmed.starts_with(['/', '.']) {
            let message = "a file of extra variables is written with an @ before its name";
            wrong.push(Diagnostic::error(message, all).help(format!("-e @{trimmed}")));
            continue;
        }
        let Some(words) = shlex::split(text) else {
            wrong.push(Diagnostic::error("a quote is not closed", all));
            continue;
        };
        let mut secret = false;
        for word in words {
            match word.split_once('=') {
                Some((name, value)) if !name.is_empty() => {
                    secret |= names_secret(name);
                    layer.insert(name.to_owned(), Arc::new(Node::string(value, all)));
                }
                _ => {
                    // The rest of a password with a blank in it must not be said.
                    let word = if secret { "what follows a secret".to_owned() } else { format!("`{word}`") };
                    let message = format!("{word} is not `name=value`");
                    wrong.push(
                        Diagnostic::error(message, all)
                            .help("-e 'name=value other=value', -e '{\"name\": 1}', or -e @FILE"),
                    );
                }
            }
        }
    }
    (Arc::new(layer), wrong)
}

/// The values of extra variables whose names say that they are secrets.
pub(super) fn secrets(layer: &Layer) -> Vec<Secret> {
    let secret = |(name, node): (&String, &Arc<Node>)| {
        let text =
            node.as_str().map(str::to_owned).or_else(|| node.as_seq().is_none().then(|| to_text(&node.to_value())));
        text.filter(|_| names_secret(name)).map(Secret::new)
    };
    layer.iter().filter_map(secret).collect()
}

fn take(layer: &mut IndexMap<String, Arc<Node>>, node: Option<&Node>) {
    let Some(Node { kind: NodeKind::Map(entries), .. }) = node else { return };
    for (key, value) in entries {
        layer.insert(to_text(&key.to_value()), Arc::new(value.clone()));
    }
}
