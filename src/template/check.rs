//! What is wrong with templates, before anything is run, and which variables they use.

use std::collections::BTreeSet;

use super::compile::Program;
use super::environment::{FUNCTIONS, SPECIAL};
use super::file::{self, TextOptions};
use super::lex::{self, Code, Kind, Marks, Token, codes, slice};
use super::{filters, rewrite, verdicts};
use crate::base::{Node, NodeKind, SourceId, Span, Style};
use crate::diag::{Diagnostic, did_you_mean};

/// Functions of Ansible that are not there.
const LOOKUPS: &[&str] = &["lookup", "query", "q", "now"];

/// All mistakes in a node's templates.
pub(super) fn node(node: &Node) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    each_template(node, &mut |node, text| {
        let place = |start: usize, end: usize| within(node, text, start, end);
        let before = found.len();
        for code in codes(text, &Marks::default()) {
            names_of_code(text, &code, &place, &mut found);
        }
        if found.len() == before
            && let Err(error) = Program::scalar(text)
        {
            found.push(syntax_at(&error, text, &place));
        }
    });
    found
}

/// All mistakes in a template file.
pub(super) fn file(text: &str, options: &TextOptions, source: SourceId) -> Vec<Diagnostic> {
    let place = |start: usize, end: usize| Span { source, start: byte(start), end: byte(end) };
    let mut found = Vec::new();
    let defined = definitions(text, &codes(text, &options.marks()));
    for code in codes(text, &options.marks()) {
        unknown_names(text, &code.tokens, &defined, &place, &mut found);
    }
    if found.is_empty()
        && let Err(error) = file::environment(text, options, "template")
    {
        let line = error.line().unwrap_or(1);
        let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let length = text.get(start..).and_then(|rest| rest.lines().next()).map_or(0, str::len);
        found.push(explain(&error, place(start, start + length)));
    }
    found
}

/// All mistakes in the names of an expression; `inner` is the part of `text` without braces.
pub(super) fn expression(text: &str, inner: &str, span: Span) -> Vec<Diagnostic> {
    let shift = text.find(inner).unwrap_or(0);
    let node = Node { kind: NodeKind::Null, span };
    let place = |start: usize, end: usize| within_style(&node, text, start + shift, end + shift, None);
    let mut found = Vec::new();
    let (tokens, ..) = lex::tokens(inner, 0, None);
    unknown_names(inner, &tokens, &BTreeSet::new(), &place, &mut found);
    found
}

/// The engine's complaint about an expression, at the whole of it.
pub(super) fn syntax(error: &minijinja::Error, text: &str, span: Span) -> Diagnostic {
    explain(error, span).label(format!("in `{}`", first_line(text)))
}

fn syntax_at(error: &minijinja::Error, text: &str, place: &dyn Fn(usize, usize) -> Span) -> Diagnostic {
    let all = codes(text, &Marks::default());
    if let Some(open) = all.iter().find(|code| !code.closed) {
        let (mark, close) = if open.block { ("{%", "%}") } else { ("{{", "}}") };
        return Diagnostic::error(format!("`{mark}` is not closed"), place(open.start, open.start + 2))
            .help(format!("a `{close}` is missing"));
    }
    // The first code that is wrong by itself is the place; a block without its end is not.
    for code in all.iter().filter(|code| !code.block) {
        let (start, end) = code.inner;
        let inner = text.get(start..end).unwrap_or_default();
        if let Err(error) = Program::expression(inner) {
            return explain(&error, place(code.start, code.end));
        }
    }
    explain(error, place(0, text.len())).label(format!("in `{}`", first_line(text)))
}

fn explain(error: &minijinja::Error, span: Span) -> Diagnostic {
    let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Diagnostic::error(format!("wrong template: {why}"), span)
}

fn first_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().take(60).collect()
}

/// Calls with every string of a node that is a template.
fn each_template<'n>(node: &'n Node, found: &mut dyn FnMut(&'n Node, &'n str)) {
    match &node.kind {
        NodeKind::String { text, raw: false, .. } if lex::is_template(text) => found(node, text),
        NodeKind::Seq(items) => items.iter().for_each(|item| each_template(item, found)),
        NodeKind::Map(entries) => {
            for (key, value) in entries {
                each_template(key, found);
                each_template(value, found);
            }
        }
        _ => {}
    }
}

fn byte(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The place of a part of a scalar, when the scalar was written as it reads; else the whole scalar.
fn within(node: &Node, text: &str, start: usize, end: usize) -> Span {
    let style = match &node.kind {
        NodeKind::String { style, .. } => Some(*style),
        _ => None,
    };
    within_style(node, text, start, end, style)
}

fn within_style(node: &Node, text: &str, start: usize, end: usize, style: Option<Style>) -> Span {
    let written = (node.span.end - node.span.start) as usize;
    let shift = match style {
        _ if !node.span.is_some() => return node.span,
        Some(Style::Plain) | None if written == text.len() => 0,
        Some(Style::Quoted) | None if written == text.len() + 2 => 1,
        _ => return node.span,
    };
    Span { start: node.span.start + byte(start + shift), end: node.span.start + byte(end + shift), ..node.span }
}

fn names_of_code(text: &str, code: &Code, place: &dyn Fn(usize, usize) -> Span, found: &mut Vec<Diagnostic>) {
    let defined = definitions(text, &codes(text, &Marks::default()));
    unknown_names(text, &code.tokens, &defined, place, found);
}

/// Macros and other names that a template's own statements define.
fn definitions(text: &str, all: &[Code]) -> BTreeSet<String> {
    let mut defined = BTreeSet::new();
    for code in all.iter().filter(|code| code.block) {
        let words: Vec<&str> = code.tokens.iter().map(|token| slice(text, *token)).collect();
        match words.first().copied() {
            Some("macro" | "set") => defined.extend(words.get(1).map(|word| (*word).to_owned())),
            Some("import" | "from" | "for" | "with" | "call") => {
                defined.extend(words.iter().skip(1).map(|word| (*word).to_owned()));
            }
            _ => {}
        }
    }
    defined
}

/// Filters, tests and functions that don't exist.
fn unknown_names(
    text: &str,
    tokens: &[Token],
    defined: &BTreeSet<String>,
    place: &dyn Fn(usize, usize) -> Span,
    found: &mut Vec<Diagnostic>,
) {
    let word = |at: usize| tokens.get(at).map_or("", |token| slice(text, *token));
    let name_at = |at: usize| tokens.get(at).filter(|token| token.kind == Kind::Name);
    let unknown = |what: &str, first: usize, last: usize, known: &[&str], written: &str| {
        let (start, end) = (tokens.get(first)?, tokens.get(last)?);
        let mut diagnostic = Diagnostic::error(format!("unknown {what} `{written}`"), place(start.start, end.end));
        let missing = what == "filter" && filters::is_missing(written);
        if let Some(meant) = did_you_mean(written, known.iter().copied()).filter(|_| !missing) {
            diagnostic = diagnostic.label(format!("did you mean `{meant}`?"));
        } else if missing {
            diagnostic.message = format!("the filter `{written}` is not supported yet");
        } else if written.contains('.') {
            diagnostic = diagnostic.help("only builtin filters and tests are there, not those of collections");
        }
        Some(diagnostic)
    };
    for (at, token) in tokens.iter().enumerate() {
        let previous = at.checked_sub(1).map_or("", &word);
        match slice(text, *token) {
            "|" if name_at(at + 1).is_some() => {
                let (name, last) = dotted(text, tokens, at + 1);
                let known = filters::names();
                if !known.contains(&name.as_str()) {
                    found.extend(unknown("filter", at + 1, last, known, &name));
                }
            }
            "is" if token.kind == Kind::Name && previous != "." => {
                let from = if word(at + 1) == "not" { at + 2 } else { at + 1 };
                if name_at(from).is_some() {
                    let (name, last) = dotted(text, tokens, from);
                    let known = verdicts::names();
                    if !known.contains(&name.as_str()) {
                        found.extend(unknown("test", from, last, known, &name));
                    }
                }
            }
            name if token.kind == Kind::Name && word(at + 1) == "(" => {
                let filter_or_test = matches!(previous, "." | "|" | "is")
                    || (previous == "not" && at >= 2 && word(at - 2) == "is")
                    || matches!(previous, "macro" | "call" | "filter" | "block");
                let keyword =
                    matches!(name, "and" | "or" | "not" | "in" | "if" | "else" | "elif" | "is" | "call" | "for");
                if filter_or_test
                    || keyword
                    || defined.contains(name)
                    || FUNCTIONS.contains(&name)
                    || SPECIAL.contains(&name)
                {
                    continue;
                }
                let span = place(token.start, token.end);
                found.push(if LOOKUPS.contains(&name) {
                    let what = tokens.get(at + 2).filter(|next| next.kind == Kind::Text);
                    let what = what.map_or(String::new(), |next| format!(" ({})", slice(text, *next)));
                    Diagnostic::error(format!("`{name}` is not supported yet: {name}(…){what}"), span)
                        .help("use `loop`, `vars_files`, `slurp` or `-e` for what it would look up")
                } else {
                    let mut diagnostic = Diagnostic::error(format!("unknown function `{name}`"), span);
                    if let Some(meant) = did_you_mean(name, FUNCTIONS.iter().copied()) {
                        diagnostic = diagnostic.label(format!("did you mean `{meant}`?"));
                    } else if filters::names().contains(&name) {
                        diagnostic = diagnostic.help(format!("it is a filter: write `value | {name}`"));
                    }
                    diagnostic
                });
            }
            _ => {}
        }
    }
}

/// A name with dots, without the builtin collection, and the index of its last token.
fn dotted(text: &str, tokens: &[Token], from: usize) -> (String, usize) {
    let mut last = from;
    let word = |at: usize| tokens.get(at).map_or("", |token| slice(text, *token));
    let mut name = word(from).to_owned();
    while word(last + 1) == "." && tokens.get(last + 2).is_some_and(|token| token.kind == Kind::Name) {
        last += 2;
        name = format!("{name}.{}", word(last));
    }
    for prefix in ["ansible.builtin.", "ansible.legacy."] {
        if let Some(short) = name.strip_prefix(prefix) {
            name = short.to_owned();
        }
    }
    (name, last)
}

/// The variables of an expression.
pub(super) fn names(text: &str) -> Vec<String> {
    match super::compile::ENVIRONMENT.compile_expression_owned(rewrite::expression(text)) {
        Ok(expression) => tidy(expression.undeclared_variables(false)),
        Err(_) => Vec::new(),
    }
}

/// The variables of a node's templates.
pub(super) fn node_names(node: &Node) -> Vec<String> {
    let mut all = BTreeSet::new();
    each_template(node, &mut |_, text| {
        let source = rewrite::template(text, &Marks::default(), true);
        let mut environment = super::compile::ENVIRONMENT.clone();
        if environment.add_template_owned("template", source).is_ok()
            && let Ok(template) = environment.get_template("template")
        {
            all.extend(tidy(template.undeclared_variables(false)));
        }
    });
    all.into_iter().collect()
}

fn tidy(names: std::collections::HashSet<String>) -> Vec<String> {
    let mut names: Vec<String> = names
        .into_iter()
        .filter(|name| !FUNCTIONS.contains(&name.as_str()) && !LOOKUPS.contains(&name.as_str()))
        .collect();
    names.sort();
    names
}
