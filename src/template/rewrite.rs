//! What is changed in an expression before it is compiled.
//!
//! Ansible is strict about undefined values when they are used and lenient when they are walked. The engine knows strict or
//! lenient, not both. So it runs strict, and a chain `x.y['z']` whose end meets `is defined`, `is undefined` or `default`
//! becomes `x|walk('y','z')`, a filter of ours that takes an undefined value and gives one. Besides, `'%s' % x` becomes the
//! `format` filter, and the names of builtin filters and tests lose their collection.

use super::lex::{Kind, Marks, Token, codes, slice, tokens};

/// Names before the dot that mean the builtin collection.
const BUILTIN: &[&str] = &["builtin", "legacy"];

/// An expression, ready to be compiled.
pub(super) fn expression(text: &str) -> String {
    let (found, ..) = tokens(text, 0, None);
    let mut edits = Vec::new();
    collect(text, &found, &mut edits);
    apply(text, edits)
}

/// The expression of a scalar `"{{ … }}"`: as [`expression`], and a backslash in a string is a backslash.
pub(super) fn scalar(text: &str) -> String {
    let (found, ..) = tokens(text, 0, None);
    let mut edits = Vec::new();
    collect(text, &found, &mut edits);
    backslashes(text, &found, &mut edits);
    apply(text, edits)
}

/// A text with code in it, ready to be compiled. In what stands in a playbook (`scalars`) a backslash in a string between
/// `{{ }}` is a backslash, in a template file it begins an escape: so Ansible does.
pub(super) fn template(text: &str, marks: &Marks, scalars: bool) -> String {
    let mut edits = Vec::new();
    for code in codes(text, marks) {
        collect(text, &code.tokens, &mut edits);
        if scalars && !code.block {
            backslashes(text, &code.tokens, &mut edits);
        }
    }
    apply(text, edits)
}

/// Doubles the backslashes of string literals.
fn backslashes(text: &str, tokens: &[Token], edits: &mut Vec<Edit>) {
    for token in tokens.iter().filter(|token| token.kind == Kind::Text) {
        let written = slice(text, *token);
        let quote = written.bytes().next().unwrap_or_default();
        let last = written.len().saturating_sub(1);
        for (at, _) in written.bytes().enumerate().filter(|(_, byte)| *byte == b'\\') {
            let next = written.as_bytes().get(at + 1).copied().unwrap_or_default();
            // The quote stays escaped, and its backslash stays in the text.
            let more = if next != quote || at + 1 == last { "\\" } else { "\\\\" };
            let place = token.start + at;
            edits.push(Edit { start: place, end: place, text: more.to_owned() });
        }
    }
}

/// Bytes that are replaced.
struct Edit {
    start: usize,
    end: usize,
    text: String,
}

fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    if edits.is_empty() {
        return text.to_owned();
    }
    edits.sort_by_key(|edit| (edit.start, edit.end));
    let mut out = String::with_capacity(text.len() + 16 * edits.len());
    let mut at = 0;
    for edit in edits {
        if edit.start < at {
            continue;
        }
        out.push_str(text.get(at..edit.start).unwrap_or_default());
        out.push_str(&edit.text);
        at = edit.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

fn collect(text: &str, tokens: &[Token], edits: &mut Vec<Edit>) {
    let word = |at: usize| tokens.get(at).map_or("", |token| slice(text, *token));
    for (at, token) in tokens.iter().enumerate() {
        match slice(text, *token) {
            "is" if token.kind == Kind::Name => {
                let name = if word(at + 1) == "not" { at + 2 } else { at + 1 };
                if matches!(word(name), "defined" | "undefined") {
                    walk(text, tokens, at, edits);
                }
                builtin(text, tokens, name, edits);
            }
            "|" => {
                let name = at + 1;
                let last = if word(name) == "ansible" && word(name + 1) == "." { name + 4 } else { name };
                if matches!(word(last), "default" | "d") {
                    walk(text, tokens, at, edits);
                }
                builtin(text, tokens, name, edits);
            }
            "%" => percent(text, tokens, at, edits),
            _ => {}
        }
    }
}

/// `ansible.builtin.x` at a filter's or test's place loses its collection.
fn builtin(text: &str, tokens: &[Token], at: usize, edits: &mut Vec<Edit>) {
    let word = |at: usize| tokens.get(at).map_or("", |token| slice(text, *token));
    if word(at) == "ansible"
        && word(at + 1) == "."
        && BUILTIN.contains(&word(at + 2))
        && word(at + 3) == "."
        && let (Some(first), Some(name)) = (tokens.get(at), tokens.get(at + 4))
    {
        edits.push(Edit { start: first.start, end: name.start, text: String::new() });
    }
}

/// The index of the bracket that a closing one belongs to.
fn opening(text: &str, tokens: &[Token], close: usize) -> Option<usize> {
    let mut depth = 0usize;
    for at in (0..=close).rev() {
        match slice(text, *tokens.get(at)?) {
            ")" | "]" | "}" => depth += 1,
            "(" | "[" | "{" => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The index of the bracket that closes an opening one.
fn closing(text: &str, tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for at in open..tokens.len() {
        match slice(text, *tokens.get(at)?) {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

const KEYWORDS: &[&str] =
    &["and", "or", "not", "in", "is", "if", "else", "elif", "for", "set", "do", "with", "print", "return", "include"];

/// Whether a value can end with this token, so that `[` or `(` after it belongs to it.
fn ends_value(text: &str, token: Token) -> bool {
    match token.kind {
        Kind::Name => !KEYWORDS.contains(&slice(text, token)),
        Kind::Number | Kind::Text => true,
        Kind::Sign => matches!(slice(text, token), ")" | "]" | "}"),
    }
}

/// Rewrites the chain that ends before a token.
fn walk(text: &str, tokens: &[Token], trigger: usize, edits: &mut Vec<Edit>) {
    let Some(mut end) = trigger.checked_sub(1) else { return };
    // `(a.b) is defined` means the chain inside.
    while tokens.get(end).is_some_and(|token| slice(text, *token) == ")") {
        let Some(open) = opening(text, tokens, end) else { return };
        let call =
            open.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|token| ends_value(text, *token));
        if call || open + 1 == end {
            return;
        }
        end -= 1;
    }
    let mut at = end;
    let mut first = None;
    let mut parts: Vec<(usize, usize)> = Vec::new();
    while let Some(token) = tokens.get(at) {
        if slice(text, *token) == "]" {
            let Some(open) = opening(text, tokens, at) else { break };
            let Some(before) = open.checked_sub(1) else { break };
            let subscript = tokens.get(before).is_some_and(|token| ends_value(text, *token));
            let slice_of = (open..at).any(|inside| is_slice(text, tokens, open, inside));
            if !subscript || slice_of {
                break;
            }
            parts.push((open, at));
            first = Some(open);
            at = before;
        } else if matches!(token.kind, Kind::Name | Kind::Number)
            && at >= 2
            && tokens.get(at - 1).is_some_and(|dot| slice(text, *dot) == ".")
        {
            parts.push((at - 1, at));
            first = Some(at - 1);
            at -= 2;
        } else {
            break;
        }
    }
    let Some(first) = first else { return };
    for (open, close) in parts {
        let opens = if open == first { "|walk(" } else { "," };
        let (Some(left), Some(right)) = (tokens.get(open), tokens.get(close)) else { return };
        if slice(text, *left) == "[" {
            edits.push(Edit { start: left.start, end: left.end, text: opens.to_owned() });
            edits.push(Edit { start: right.start, end: right.end, text: String::new() });
        } else {
            let quote = if right.kind == Kind::Name { "'" } else { "" };
            edits.push(Edit { start: left.start, end: left.end, text: format!("{opens}{quote}") });
            edits.push(Edit { start: right.end, end: right.end, text: quote.to_owned() });
        }
    }
    if let Some(last) = tokens.get(end) {
        edits.push(Edit { start: last.end, end: last.end, text: ")".to_owned() });
    }
}

/// Whether a token is the colon of a slice in the brackets that open at `open`.
fn is_slice(text: &str, tokens: &[Token], open: usize, at: usize) -> bool {
    if tokens.get(at).is_none_or(|token| slice(text, *token) != ":") {
        return false;
    }
    let mut depth = 0isize;
    for inside in tokens.get(open..at).unwrap_or_default() {
        match slice(text, *inside) {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
    }
    depth == 1
}

/// `'%s %s' % (a, b)` and `'%s' % a` become the filter; after anything but a string `%` is the remainder.
fn percent(text: &str, tokens: &[Token], at: usize, edits: &mut Vec<Edit>) {
    let Some(sign) = tokens.get(at) else { return };
    let string = at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|token| token.kind == Kind::Text);
    let Some(next) = tokens.get(at + 1).filter(|_| string) else { return };
    if slice(text, *next) == "(" && closing(text, tokens, at + 1).is_some() {
        edits.push(Edit { start: sign.start, end: sign.end, text: "|format".to_owned() });
        return;
    }
    // One operand: a name or a literal with what belongs to it.
    let mut last = at + 1;
    if matches!(slice(text, *next), "[" | "{") {
        match closing(text, tokens, last) {
            Some(close) => last = close,
            None => return,
        }
    } else if next.kind == Kind::Sign {
        return;
    }
    loop {
        let word = |at: usize| tokens.get(at).map_or("", |token| slice(text, *token));
        match word(last + 1) {
            "." | "|" if tokens.get(last + 2).is_some_and(|token| matches!(token.kind, Kind::Name | Kind::Number)) => {
                last += 2;
            }
            "[" | "(" => match closing(text, tokens, last + 1) {
                Some(close) => last = close,
                None => return,
            },
            _ => break,
        }
    }
    if let Some(end) = tokens.get(last) {
        edits.push(Edit { start: sign.start, end: sign.end, text: "|format(".to_owned() });
        edits.push(Edit { start: end.end, end: end.end, text: ")".to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_that_meet_defined_or_default_are_walked() {
        for (written, compiled) in [
            ("a.b.c is defined", "a|walk('b','c') is defined"),
            ("a['b'].c is not defined and a.b == 1", "a|walk('b','c') is not defined and a.b == 1"),
            ("a.b[0]|default('x')", "a|walk('b',0)|default('x')"),
            ("a[b.c|d('k')].e is undefined", "a|walk(b|walk('c')|d('k'),'e') is undefined"),
            ("(a.b) is defined", "(a|walk('b')) is defined"),
            ("f(a).b is defined", "f(a)|walk('b') is defined"),
            ("[a.b, 1] is defined", "[a.b, 1] is defined"),
            ("a[1:2] is defined", "a[1:2] is defined"),
            ("a.b | ansible.builtin.default(1)", "a|walk('b') | default(1)"),
            ("not a.b is defined", "not a|walk('b') is defined"),
            ("a is defined", "a is defined"),
            ("(a | first).b is defined", "(a | first)|walk('b') is defined"),
            ("x.0.y|default(1)", "x|walk(0,'y')|default(1)"),
        ] {
            assert_eq!(expression(written), compiled, "{written}");
        }
    }

    #[test]
    fn percent_after_a_string_formats() {
        assert_eq!(expression("'%s-%s' % (a, b)"), "'%s-%s' |format (a, b)");
        assert_eq!(expression("'%02d' % a.b|int"), "'%02d' |format( a.b|int)");
        assert_eq!(expression("a % 2"), "a % 2");
    }
}
