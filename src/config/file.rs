//! The INI notation of ansible.cfg, which is Python's: `key = value` or `key: value`, values that go on in indented
//! lines, `#` and `;` at the beginning of a line, and `;` behind a blank.

use crate::base::{SourceId, Span};
use crate::diag::Diagnostic;

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) section: String,
    pub(super) section_span: Span,
    /// In lower case: keys are compared so.
    pub(super) key: String,
    pub(super) key_span: Span,
    /// Lines joined by newlines.
    pub(super) value: String,
    pub(super) value_span: Span,
}

/// Reads a text; what is no setting is an error.
pub(super) fn parse(source: SourceId, text: &str, found: &mut Vec<Diagnostic>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut section: Option<(String, Span)> = None;
    let mut offset = 0;
    // Whether an indented line goes on with the last entry.
    let mut open = false;
    for whole in text.split_inclusive('\n') {
        let start = offset;
        offset += whole.len();
        let body = without_comment(whole);
        let line = body.trim();
        let span = |from: usize, length: usize| Span { source, start: from as u32, end: (from + length) as u32 };
        if line.is_empty() {
            continue;
        }
        let indent = body.len() - body.trim_start().len();
        let at = start + indent;
        if indent > 0
            && open
            && let Some(last) = entries.last_mut()
        {
            last.value.push('\n');
            last.value.push_str(line);
            last.value = last.value.trim_start().to_owned();
            last.value_span.end = (at + line.len()) as u32;
            continue;
        }
        open = false;
        if let Some(name) = line.strip_prefix('[') {
            match name.split_once(']') {
                Some((name, _)) if !name.is_empty() => section = Some((name.to_owned(), span(at + 1, name.len()))),
                _ => found.push(Diagnostic::error("this section heading is not closed", span(at, line.len()))),
            }
            continue;
        }
        let Some(delimiter) = line.find(['=', ':']) else {
            let help = "write `key = value`";
            found.push(Diagnostic::error("a key without a value", span(at, line.len())).help(help));
            continue;
        };
        let Some((section, section_span)) = &section else {
            let error = Diagnostic::error("a setting before the first section", span(at, line.len()));
            found.push(error.help("most settings belong to [defaults]"));
            continue;
        };
        let key = line[..delimiter].trim_end();
        let value = line[delimiter + 1..].trim_start();
        let value_at = at + line.len() - value.len();
        let entry = Entry {
            section: section.clone(),
            section_span: *section_span,
            key: key.to_lowercase(),
            key_span: span(at, key.len()),
            value: value.to_owned(),
            value_span: span(value_at, value.len()),
        };
        open = true;
        if let Some(first) = entries.iter().find(|e| e.section == entry.section && e.key == entry.key) {
            let error = Diagnostic::error(format!("`{}` is set twice", entry.key), entry.key_span);
            found.push(error.also(first.key_span, "first here"));
        }
        entries.push(entry);
    }
    entries
}

/// The line without a comment: all of it, or from a `;` that follows a blank.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with(['#', ';']) {
        return "";
    }
    let mut last = ' ';
    for (at, c) in line.char_indices() {
        if c == ';' && last.is_whitespace() {
            return &line[..at];
        }
        last = c;
    }
    line
}
