//! Wording of what is wrong with a text's syntax.

use granit_parser::{ErrorKind, ScanError};

use crate::base::{SourceId, Span};
use crate::diag::Diagnostic;

/// A template that YAML read as a mapping, because it begins with a brace and has no quotes.
pub(super) fn unquoted_template(text: &str, span: Span) -> Diagnostic {
    let written = text.get(span.start as usize..span.end as usize).unwrap_or_default();
    let one_line = !written.contains('\n') && written.len() < 80;
    let help = match (one_line, written.contains('"'), written.contains('\'')) {
        (true, false, _) => format!("quote the template: \"{written}\""),
        (true, true, false) => format!("quote the template: '{written}'"),
        _ => "quote the template: \"{{ x }}\"".to_owned(),
    };
    Diagnostic::error("a value that begins with `{{` needs quotes", span)
        .label("YAML reads this as a mapping")
        .help(help)
}

/// Where a value that begins with two braces starts on the line of `at`, before it.
pub(super) fn template_on_line(text: &str, at: usize) -> Option<usize> {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(line_start..)?.lines().next()?;
    let place = [": {{", "- {{"].iter().filter_map(|opening| line.find(opening)).min()?;
    Some(line_start + place + 2)
}

/// The parser's error, said for people.
pub(super) fn syntax(error: &ScanError, text: &str, source: SourceId) -> Diagnostic {
    let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let place = place(text, at);
    let span = |start: usize, end: usize| Span {
        source,
        start: u32::try_from(start).unwrap_or(u32::MAX),
        end: u32::try_from(end).unwrap_or(u32::MAX),
    };
    let here = span(place.0, place.1);
    let mut line = line_of(text, at);
    let about_a_tab = matches!(
        error.kind(),
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInPlainScalar
    );
    // The parser names the value before the line that the tab indents.
    let is_tabbed = |line: &str| line.trim_start_matches(' ').starts_with('\t');
    let later = text.match_indices('\n').map(|(place, _)| place + 1).filter(|place| *place > at);
    let tabbed = later.map(|place| line_of(text, place)).find(|line| is_tabbed(line.1));
    if let (true, false, Some(tabbed)) = (about_a_tab, is_tabbed(line.1), tabbed) {
        line = tabbed;
    }
    let indented_by_tab = line.1.trim_start_matches(' ').starts_with('\t');
    if indented_by_tab
        && !matches!(error.kind(), ErrorKind::UnclosedQuotedScalar | ErrorKind::UnclosedFlowCollection { .. })
    {
        let tab = line.0 + line.1.find('\t').unwrap_or(0);
        return Diagnostic::error("a tab can't indent", span(tab, tab + 1)).help("indent with spaces");
    }
    match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar => Diagnostic::error("a tab can't stand here", here).help("use spaces"),
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            Diagnostic::error("a second `: ` in one value", here)
                .help("a text that contains `: ` needs quotes, as in  msg: \"note: all is well\"")
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            Diagnostic::error("a quote is not closed", here).label("it opens here, or one before it is missing")
        }
        ErrorKind::InvalidTrailingDoubleQuotedScalar | ErrorKind::InvalidTrailingSingleQuotedScalar => {
            Diagnostic::error("text follows a closing quote", here)
                .help("quote the whole value: '\"a\" b', or \"{{ a }}/b\"")
        }
        ErrorKind::UnknownQuotedScalarEscape => Diagnostic::error("unknown escape in double quotes", here)
            .help("a backslash that stands for itself is written `\\\\`, or the text goes into single quotes"),
        ErrorKind::UnclosedFlowCollection { open } => {
            let close = if *open == '[' { ']' } else { '}' };
            Diagnostic::error(format!("`{open}` is not closed"), here).help(format!("a `{close}` is missing"))
        }
        ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            Diagnostic::error("expected `,` or `}`", here).help("a text with brackets or braces in it needs quotes")
        }
        ErrorKind::ExpectedFlowSequenceSeparator | ErrorKind::UnexpectedEofFlowSequence => {
            Diagnostic::error("expected `,` or `]`", here).help("a text with brackets or braces in it needs quotes")
        }
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedDocumentStart
        | ErrorKind::UnexpectedEofBlockMapping
        | ErrorKind::InvalidBlockScalarIndent => Diagnostic::error("this line is indented wrongly", here)
            .help("keys of one mapping begin in the same column; what belongs to a key is indented more"),
        ErrorKind::ExpectedBlockSequenceEntry | ErrorKind::UnexpectedEofBlockSequence => {
            Diagnostic::error("expected the next `- ` of this list", here)
                .help("items of one list begin in the same column")
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => Diagnostic::error("expected `key: value`", here)
            .help("after a key stands a colon and a space; a text of several lines needs `|` or `>`"),
        ErrorKind::UnexpectedCharacter { character } => {
            Diagnostic::error(format!("a value can't begin with `{}`", character.escape_default()), here)
                .help("quote it")
        }
        ErrorKind::BlockSequenceEntryNotAllowed | ErrorKind::BlockEntryInFlowCollection => {
            Diagnostic::error("a list item can't begin here", here).help("`- ` begins a line of its own")
        }
        ErrorKind::RecursionLimitExceeded => Diagnostic::error("lists and mappings are nested too deep", here),
        other => Diagnostic::error(format!("wrong YAML: {other}"), here),
    }
}

/// The byte range to point at: the character at the error, or the last one before the end.
fn place(text: &str, at: usize) -> (usize, usize) {
    let mut start = at;
    while start > 0 && !text.is_char_boundary(start) {
        start -= 1;
    }
    let rest = text.get(start..).unwrap_or_default();
    match rest.chars().next() {
        Some(c) if c != '\n' => (start, start + c.len_utf8()),
        Some(_) => (start, start),
        None => {
            let end = text.trim_end().len();
            (end, end)
        }
    }
}

/// The line that a byte is in: where it starts, and its text.
fn line_of(text: &str, at: usize) -> (usize, &str) {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (start, text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default())
}
