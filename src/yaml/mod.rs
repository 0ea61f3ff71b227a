//! Text to [`Node`]: YAML as Ansible reads it, with the place of everything.
//!
//! The only room that names the YAML parser. It takes parser events, because no deserialiser gives both positions and the
//! scalars of YAML 1.1 (`0644` is 420, `yes` is true), which is what playbooks are written in.
//!
//! What it can't know: whether a string is a template (the reader of the node decides), and what a key means. It renders
//! nothing and decrypts nothing. Mistakes are collected; after one that is not in the syntax reading goes on with `null` in the
//! wrong place, so that one run shows all of them.

mod build;
mod merge;
mod mistake;
mod scalar;

use crate::base::{Node, NodeKind, SourceId, Span};
use crate::diag::{Diagnostic, Sources};

pub(crate) use scalar::resolve as resolve_scalar;

/// Reads one document. An empty text is null. The node is `None` only when the syntax is wrong.
pub(crate) fn parse(sources: &Sources, source: SourceId) -> (Option<Node>, Vec<Diagnostic>) {
    match sources.text(source) {
        Some(text) => parse_text(&text, source),
        None => (None, vec![Diagnostic::error("there is no such text", Span::NONE)]),
    }
}

/// Reads one document from a text that `source` names.
pub(crate) fn parse_text(text: &str, source: SourceId) -> (Option<Node>, Vec<Diagnostic>) {
    if u32::try_from(text.len()).is_err() {
        return (None, vec![Diagnostic::error("the text is longer than 4 GiB", Span { source, start: 0, end: 0 })]);
    }
    let (node, diagnostics) = build::document(text, source);
    let empty = || Node { kind: NodeKind::Null, span: Span { source, start: 0, end: 0 } };
    match node {
        build::Outcome::Node(node) => (Some(node), diagnostics),
        build::Outcome::Empty => (Some(empty()), diagnostics),
        build::Outcome::Broken => (None, diagnostics),
    }
}

#[cfg(test)]
mod tests;
