//! Regular expressions as Python writes them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use fancy_regex::{Captures, Regex};
use minijinja::value::{Value as Jinja, ValueKind};
use minijinja::{Error, State};

use super::Filter;
use super::call::{Call, failed, text_of};

pub(super) const FILTERS: &[(&str, Filter)] = &[
    ("regex_replace", regex_replace),
    ("regex_search", regex_search),
    ("regex_findall", regex_findall),
    ("regex_escape", regex_escape),
];

/// Compiled patterns kept at most.
const KEPT: usize = 1000;

/// A pattern with `ignorecase` and `multiline`.
type PatternKey = (String, bool, bool);

static PATTERNS: LazyLock<RwLock<HashMap<PatternKey, Arc<Regex>>>> = LazyLock::new(RwLock::default);

/// A pattern, compiled once. `ignorecase` and `multiline` as Python's flags.
pub(in crate::template) fn compile(pattern: &str, ignorecase: bool, multiline: bool) -> Result<Arc<Regex>, Error> {
    let key = (pattern.to_owned(), ignorecase, multiline);
    if let Some(found) = PATTERNS.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(Arc::clone(found));
    }
    let flags = match (ignorecase, multiline) {
        (true, true) => "(?im)",
        (true, false) => "(?i)",
        (false, true) => "(?m)",
        (false, false) => "",
    };
    let source = format!("{flags}{}", from_python(pattern, multiline));
    let regex =
        Regex::new(&source).map_err(|error| failed(format!("`{pattern}` is no regular expression: {error}")))?;
    let regex = Arc::new(regex);
    let mut patterns = PATTERNS.write().unwrap_or_else(PoisonError::into_inner);
    if patterns.len() >= KEPT {
        patterns.clear();
    }
    patterns.insert(key, Arc::clone(&regex));
    Ok(regex)
}

/// Where Python's syntax means something else here: `$` matches before a last line feed too, `\Z` only at the very end, and in a
/// class `[`, `&&`, `--` and `~~` are plain characters.
fn from_python(pattern: &str, multiline: bool) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars().peekable();
    let mut class = None;
    while let Some(c) = chars.next() {
        match (c, class) {
            ('\\', _) => match chars.next() {
                Some('Z') => out.push_str("\\z"),
                Some(next) => {
                    out.push('\\');
                    out.push(next);
                }
                None => out.push('\\'),
            },
            ('[', None) => {
                out.push('[');
                if chars.peek() == Some(&'^') {
                    out.extend(chars.next());
                }
                // A bracket that comes first is a character of the class.
                if chars.peek() == Some(&']') {
                    chars.next();
                    out.push_str("\\]");
                }
                class = Some(());
            }
            (']', Some(())) => {
                out.push(']');
                class = None;
            }
            ('[', Some(())) => out.push_str("\\["),
            ('&' | '~', Some(())) => {
                out.push('\\');
                out.push(c);
            }
            ('-', Some(())) if chars.peek() == Some(&'-') => out.push_str("\\-"),
            ('$', None) if !multiline => out.push_str("(?=\\n?\\z)"),
            (c, _) => out.push(c),
        }
    }
    out
}

fn slow(error: &fancy_regex::Error) -> Error {
    failed(format!("a regular expression was given up: {error}"))
}

/// Python's replacement: `\1`, `\g<1>`, `\g<name>`, `\n` and the like.
fn expand(replacement: &str, captures: &Captures<str>, regex: &Regex, out: &mut String) -> Result<(), Error> {
    let group = |name: &str| {
        let found = match name.parse::<usize>() {
            Ok(number) if number < captures.len() => captures.get(number),
            Ok(number) => return Err(failed(format!("the replacement names group {number}, and there is none"))),
            Err(_) if regex.capture_names().flatten().any(|known| known == name) => captures.name(name),
            Err(_) => return Err(failed(format!("the replacement names group `{name}`, and there is none"))),
        };
        Ok(found.map_or("", |found| found.as_str()))
    };
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('g') if chars.peek() == Some(&'<') => {
                chars.next();
                let name: String = chars.by_ref().take_while(|c| *c != '>').collect();
                out.push_str(group(&name)?);
            }
            Some(digit) if digit.is_ascii_digit() => {
                let mut name = String::from(digit);
                if digit != '0'
                    && let Some(next) = chars.next_if(char::is_ascii_digit)
                {
                    name.push(next);
                }
                out.push_str(group(&name)?);
            }
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('\\') | None => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    Ok(())
}

fn regex_replace(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let text = call.input_text()?;
    let pattern = call.text(0, "pattern")?.unwrap_or_default();
    let replacement = call.text(1, "replacement")?.unwrap_or_default();
    let (ignorecase, multiline) = (call.flag(2, "ignorecase", false), call.flag(3, "multiline", false));
    let most = call.named("count").and_then(|count| count.as_usize()).filter(|count| *count > 0);
    let needed = call.named("mandatory_count").and_then(|count| count.as_usize()).unwrap_or(0);
    let regex = compile(&pattern, ignorecase, multiline)?;
    let mut out = String::with_capacity(text.len());
    let (mut at, mut count) = (0, 0);
    for captures in regex.captures_iter(text.as_str()) {
        let captures = captures.map_err(|e| slow(&e))?;
        if most.is_some_and(|most| count >= most) {
            break;
        }
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(text.get(at..whole.start()).unwrap_or_default());
        expand(&replacement, &captures, &regex, &mut out)?;
        at = whole.end();
        count += 1;
    }
    if count < needed {
        return Err(failed(format!("`{pattern}` was to be replaced {needed} times and was found {count} times")));
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Ok(Jinja::from(out))
}

fn regex_search(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let text = call.input_text()?;
    let pattern = text_of(&call.needed(0, "regex")?)?;
    let ignorecase = call.named("ignorecase").is_some_and(|flag| flag.is_true());
    let multiline = call.named("multiline").is_some_and(|flag| flag.is_true());
    let regex = compile(&pattern, ignorecase, multiline)?;
    let found = regex.captures(text.as_str()).map_err(|e| slow(&e))?;
    let groups = call.rest(1);
    let Some(captures) = found else { return Ok(Jinja::from(())) };
    if groups.is_empty() {
        return Ok(captures.get(0).map_or_else(|| Jinja::from(()), |whole| Jinja::from(whole.as_str())));
    }
    let mut parts = Vec::new();
    for group in groups {
        let written = text_of(group)?;
        let name = written
            .strip_prefix("\\g<")
            .and_then(|rest| rest.strip_suffix('>'))
            .or_else(|| written.strip_prefix('\\'))
            .ok_or_else(|| failed(format!("`{written}` names no group: write '\\\\1' or '\\\\g<name>'")))?;
        let part = match name.parse::<usize>() {
            Ok(number) if number < captures.len() => captures.get(number),
            Err(_) if regex.capture_names().flatten().any(|known| known == name) => captures.name(name),
            _ => return Err(failed(format!("`{pattern}` has no group `{name}`"))),
        };
        parts.push(part.map_or_else(|| Jinja::from(()), |part| Jinja::from(part.as_str())));
    }
    Ok(Jinja::from(parts))
}

fn regex_findall(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let text = call.input_text()?;
    let pattern = text_of(&call.needed(0, "regex")?)?;
    let (multiline, ignorecase) = (call.flag(1, "multiline", false), call.flag(2, "ignorecase", false));
    let regex = compile(&pattern, ignorecase, multiline)?;
    let mut all = Vec::new();
    for captures in regex.captures_iter(text.as_str()) {
        let captures = captures.map_err(|e| slow(&e))?;
        let group = |number: usize| captures.get(number).map_or("", |found| found.as_str());
        all.push(match captures.len() {
            1 => Jinja::from(group(0)),
            2 => Jinja::from(group(1)),
            count => Jinja::from((1..count).map(|number| Jinja::from(group(number))).collect::<Vec<_>>()),
        });
    }
    Ok(Jinja::from(all))
}

fn regex_escape(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let kind = call.text(0, "re_type")?.unwrap_or_else(|| "python".to_owned());
    let special = match kind.as_str() {
        "python" => "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}",
        "posix_basic" => "[].^$*\\",
        other => return Err(failed(format!("`regex_escape` knows no re_type `{other}`"))),
    };
    let mut out = String::new();
    for c in call.input_text()?.chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(Jinja::from(out))
}

/// A text for a test: only text can match.
pub(in crate::template) fn subject(value: &Jinja) -> Result<String, Error> {
    match value.kind() {
        ValueKind::String | ValueKind::Number | ValueKind::Bool => text_of(value),
        kind => Err(failed(format!("only text can be matched, not {kind}"))),
    }
}
