//! What is wrong with what people wrote: a message, the places it is about, and what to do.
//!
//! Loaders go on after a mistake and return all of them, so that one run shows everything. The kind and wording are made
//! where the mistake is found; only [`render`] makes the picture.

mod render;
mod sources;
mod veil;

use crate::base::Span;

pub(crate) use render::{render, render_all};
pub(crate) use sources::Sources;
pub(crate) use veil::{names_secret, veil};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Nothing is run.
    Error,
    /// Shown, and the run goes on.
    Warning,
}

/// A place and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    /// Where.
    pub(crate) span: Span,
    /// What stands under the caret; may be empty.
    pub(crate) text: String,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// Error or warning.
    pub(crate) severity: Severity,
    /// One line: what is wrong.
    pub(crate) message: String,
    /// The first label is the place of the mistake; others add context.
    pub(crate) labels: Vec<Label>,
    /// What to do or what is allowed, a line each.
    pub(crate) help: Vec<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub(crate) fn error(message: impl Into<String>, span: Span) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            labels: vec![Label { span, text: String::new() }],
            help: Vec::new(),
        }
    }

    /// A warning at a place.
    pub(crate) fn warning(message: impl Into<String>, span: Span) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message, span) }
    }

    /// Sets the text under the caret.
    #[must_use]
    pub(crate) fn label(mut self, text: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.text = text.into();
        }
        self
    }

    /// Adds another place.
    #[must_use]
    pub(crate) fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Adds a line of help.
    #[must_use]
    pub(crate) fn help(mut self, line: impl Into<String>) -> Self {
        self.help.push(line.into());
        self
    }
}

/// The candidate that was probably meant: the nearest by edit distance, if it is near enough.
pub(crate) fn did_you_mean<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (wrong.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(wrong, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= limit || (wrong.len() >= 3 && candidate.len() > wrong.len() && candidate.starts_with(wrong))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_candidate_is_meant() {
        assert_eq!(did_you_mean("stat", ["state", "name", "enabled"]), Some("state"));
        assert_eq!(did_you_mean("hsots", ["hosts", "tasks"]), Some("hosts"));
        assert_eq!(did_you_mean("zzz", ["hosts", "tasks"]), None);
    }
}
