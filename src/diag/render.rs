//! Diagnostics as text, in rustc's look.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::veil::veil_values;
use super::{Diagnostic, Severity, Sources, veil};
use crate::base::SourceId;

/// Draws one diagnostic, with a final newline. `colour` adds ANSI colours.
pub(crate) fn render(diagnostic: &Diagnostic, sources: &Sources, colour: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let labels: Vec<_> = diagnostic.labels.iter().filter(|label| label.span.is_some()).collect();
    let mut order: Vec<SourceId> = Vec::new();
    for label in &labels {
        if !order.contains(&label.span.source) {
            order.push(label.span.source);
        }
    }
    let shown = |id: SourceId| {
        let text = sources.text(id).unwrap_or_default();
        if sources.was_closed(id) { veil_values(&text) } else { veil(&text) }
    };
    let texts: Vec<_> = order.iter().map(|id| (*id, sources.name(*id), shown(*id))).collect();
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()));
    for (id, name, text) in &texts {
        let mut snippet = Snippet::source(text.as_str()).path(name.as_str());
        for (place, label) in labels.iter().enumerate().filter(|(_, label)| label.span.source == *id) {
            let start = floor_boundary(text, label.span.start as usize);
            let end = floor_boundary(text, label.span.end as usize).max(start);
            let kind = if place == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let annotation = kind.span(start..end);
            snippet = snippet.annotation(if label.text.is_empty() {
                annotation
            } else {
                annotation.label(label.text.as_str())
            });
        }
        group = group.element(snippet);
    }
    for line in &diagnostic.help {
        group = group.element(Level::HELP.message(line.as_str()));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = renderer.render(&[group]);
    text.push('\n');
    text
}

/// Draws all, errors and warnings in the order given, a blank line between.
pub(crate) fn render_all(diagnostics: &[Diagnostic], sources: &Sources, colour: bool) -> String {
    diagnostics.iter().map(|diagnostic| render(diagnostic, sources, colour)).collect::<Vec<_>>().join("\n")
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Span;

    #[test]
    fn the_caret_stands_under_the_word_after_wide_text() {
        let sources = Sources::new();
        let text = "é: 1\nservice: {name: mesos, stat: started}\n";
        let source = sources.add("playbooks/mesos.yml", text);
        let start = u32::try_from(text.find("stat:").unwrap()).unwrap();
        let diagnostic = Diagnostic::error("unknown key `stat` for `service`", Span { source, start, end: start + 4 })
            .label("did you mean `state`?")
            .help("keys: name, state, enabled");
        insta::assert_snapshot!(render(&diagnostic, &sources, false), @r"
        error: unknown key `stat` for `service`
         --> playbooks/mesos.yml:2:24
          |
        2 | service: {name: mesos, stat: started}
          |                        ^^^^ did you mean `state`?
          |
          = help: keys: name, state, enabled
        ");
    }
}
