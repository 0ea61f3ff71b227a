//! Nodes to data.

use std::sync::Arc;

use super::convert::{self, Plain};
use super::error::TemplateError;
use super::lex;
use super::session::{self, Session};
use crate::base::{Map, Node, NodeKind, Scope, Unlock, Value, to_text};

/// Whether any string in a node is a template.
pub(super) fn holds_template(node: &Node) -> bool {
    match &node.kind {
        NodeKind::String { text, raw, .. } => !raw && lex::is_template(text),
        NodeKind::Seq(items) => items.iter().any(holds_template),
        NodeKind::Map(entries) => entries.iter().any(|(key, value)| holds_template(key) || holds_template(value)),
        _ => false,
    }
}

/// A node without templates, as data.
pub(super) fn plain(node: &Node, unlock: Option<&Arc<dyn Unlock>>) -> Result<Value, TemplateError> {
    if !holds_vault(node) {
        return Ok(node.to_value());
    }
    match &node.kind {
        NodeKind::Vault(closed) => Ok(Value::from(session::open(unlock, closed, node.span)?.as_ref())),
        NodeKind::Seq(items) => {
            items.iter().map(|item| plain(item, unlock)).collect::<Result<_, _>>().map(Value::Array)
        }
        NodeKind::Map(entries) => entries
            .iter()
            .map(|(key, value)| Ok((to_text(&key.to_value()), plain(value, unlock)?)))
            .collect::<Result<_, _>>()
            .map(Value::Object),
        _ => Ok(node.to_value()),
    }
}

fn holds_vault(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Vault(_) => true,
        NodeKind::Seq(items) => items.iter().any(holds_vault),
        NodeKind::Map(entries) => entries.iter().any(|(_, value)| holds_vault(value)),
        _ => false,
    }
}

/// A node's data; `None` when it is omitted.
pub(super) fn node(
    session: &Arc<Session>,
    node: &Node,
    scope: &Arc<dyn Scope>,
) -> Result<Option<Value>, TemplateError> {
    match &node.kind {
        NodeKind::String { text, raw, .. } if !raw && lex::is_template(text) => {
            let value = session.run(text, scope).and_then(|value| convert::to_plain(&value));
            match value.map_err(|error| error.at(node.span))? {
                Plain::Value(value) => Ok(Some(value)),
                Plain::Omitted => Ok(None),
            }
        }
        NodeKind::Seq(items) => {
            let mut values = Vec::with_capacity(items.len());
            for item in items {
                values.extend(self::node(session, item, scope)?);
            }
            Ok(Some(Value::Array(values)))
        }
        NodeKind::Map(entries) => {
            let mut map = Map::with_capacity(entries.len());
            for (key, value) in entries {
                let Some(key) = self::node(session, key, scope)? else { continue };
                if let Some(value) = self::node(session, value, scope)? {
                    map.insert(to_text(&key), value);
                }
            }
            Ok(Some(Value::Object(map)))
        }
        NodeKind::Vault(closed) => session.open(closed, node.span).map(|text| Some(Value::from(text.as_ref()))),
        _ => Ok(Some(node.to_value())),
    }
}
