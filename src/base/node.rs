//! What people wrote, with the place where it stands.

use std::sync::Arc;

use super::Value;

/// Which text of `diag::Sources` a span points into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SourceId(pub(crate) u32);

/// A half-open range of bytes in one source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    /// The text.
    pub(crate) source: SourceId,
    /// First byte.
    pub(crate) start: u32,
    /// The byte after the last.
    pub(crate) end: u32,
}

impl Span {
    /// A span of no text: for what was not written in a file (defaults, command-line values get a source of their own).
    pub(crate) const NONE: Self = Self { source: SourceId(u32::MAX), start: 0, end: 0 };

    /// Whether it points at a text.
    pub(crate) fn is_some(self) -> bool {
        self.source.0 != u32::MAX
    }
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes.
    Plain,
    /// In quotes, or as a block scalar.
    Quoted,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// What it is.
    pub(crate) kind: NodeKind,
    /// Where it stands.
    pub(crate) span: Span,
}

/// The kinds of value that YAML 1.1, JSON and INI inventories know.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NodeKind {
    /// `null`, `~` or nothing.
    Null,
    /// `true`, `yes`, `on`, …
    Bool(bool),
    /// A whole number; octal `0644` is 420.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text. It may hold templates unless it was tagged `!unsafe`.
    String {
        /// The text.
        text: Arc<str>,
        /// Quoted or plain; what `"{{ x }}"` and `{{ x }}` differ in.
        style: Style,
        /// Tagged `!unsafe`: never rendered.
        raw: bool,
    },
    /// A list.
    Seq(Vec<Node>),
    /// A mapping in written order; keys are nodes so that they have a place too. Duplicates are resolved (last wins).
    Map(Vec<(Node, Node)>),
    /// `!vault`: the encrypted text, header included.
    Vault(Arc<str>),
}

impl Node {
    /// Text that may be a template.
    pub(crate) fn string(text: impl Into<Arc<str>>, span: Span) -> Self {
        Self { kind: NodeKind::String { text: text.into(), style: Style::Quoted, raw: false }, span }
    }

    /// Data as a node; its strings are never rendered.
    pub(crate) fn from_value(value: &Value, span: Span) -> Self {
        Self::build(value, span, true)
    }

    /// Data that people wrote in another notation (JSON of an inventory script): its strings may be templates.
    pub(crate) fn from_written(value: &Value, span: Span) -> Self {
        Self::build(value, span, false)
    }

    fn build(value: &Value, span: Span, raw: bool) -> Self {
        let kind = match value {
            Value::Null => NodeKind::Null,
            Value::Bool(b) => NodeKind::Bool(*b),
            Value::Number(n) => match n.as_i64() {
                Some(i) => NodeKind::Int(i),
                None => NodeKind::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(s) => NodeKind::String { text: s.as_str().into(), style: Style::Quoted, raw },
            Value::Array(items) => NodeKind::Seq(items.iter().map(|v| Self::build(v, span, raw)).collect()),
            Value::Object(map) => NodeKind::Map(
                map.iter()
                    .map(|(k, v)| {
                        (
                            Self {
                                kind: NodeKind::String { text: k.as_str().into(), style: Style::Quoted, raw: true },
                                span,
                            },
                            Self::build(v, span, raw),
                        )
                    })
                    .collect(),
            ),
        };
        Self { kind, span }
    }

    /// The text of a string node.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::String { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The items of a list node.
    pub(crate) fn as_seq(&self) -> Option<&[Node]> {
        match &self.kind {
            NodeKind::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a mapping node.
    pub(crate) fn as_map(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            NodeKind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key in a mapping node.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v)
    }

    /// What it is called in messages: `a string`, `a list`, …
    pub(crate) fn type_name(&self) -> &'static str {
        match &self.kind {
            NodeKind::Null => "nothing (null)",
            NodeKind::Bool(_) => "a boolean",
            NodeKind::Int(_) => "a whole number",
            NodeKind::Float(_) => "a number",
            NodeKind::String { .. } => "a string",
            NodeKind::Seq(_) => "a list",
            NodeKind::Map(_) => "a mapping",
            NodeKind::Vault(_) => "a vaulted string",
        }
    }

    /// The node as data, templates unrendered. Keys that are not strings are written as text, as JSON needs.
    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            NodeKind::Null => Value::Null,
            NodeKind::Bool(b) => Value::Bool(*b),
            NodeKind::Int(i) => Value::from(*i),
            NodeKind::Float(f) => Value::from(*f),
            NodeKind::String { text, .. } | NodeKind::Vault(text) => Value::String(text.to_string()),
            NodeKind::Seq(items) => Value::Array(items.iter().map(Node::to_value).collect()),
            NodeKind::Map(entries) => {
                Value::Object(entries.iter().map(|(k, v)| (super::to_text(&k.to_value()), v.to_value())).collect())
            }
        }
    }
}
