//! The tokens of a template, with their places: enough Jinja to find names, chains and where code begins and ends.
//!
//! The engine has its own lexer and parser; this one serves what the engine can't say: where in the text a filter's name
//! stands, and which chains of attributes end in `is defined` or `default`.

/// The marks that code stands between.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Marks {
    pub(super) block: (String, String),
    pub(super) variable: (String, String),
    pub(super) comment: (String, String),
}

impl Default for Marks {
    fn default() -> Self {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        Self { block: pair("{%", "%}"), variable: pair("{{", "}}"), comment: pair("{#", "#}") }
    }
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or keyword.
    Name,
    /// A number.
    Number,
    /// A string with its quotes.
    Text,
    /// Anything else.
    Sign,
}

/// One token: its kind and its bytes in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Code between marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Code {
    /// `{% … %}` rather than `{{ … }}`.
    pub(super) block: bool,
    /// From the opening mark on.
    pub(super) start: usize,
    /// Behind the closing mark; the end of the text when there is none.
    pub(super) end: usize,
    /// Inside the marks, without `-` and `+`.
    pub(super) inner: (usize, usize),
    /// Whether the closing mark is there.
    pub(super) closed: bool,
    pub(super) tokens: Vec<Token>,
}

/// Whether a text holds code at all.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// All code in a text; comments and raw blocks are left out.
pub(super) fn codes(text: &str, marks: &Marks) -> Vec<Code> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let next = |mark: &(String, String)| rest.find(mark.0.as_str()).map(|place| (place, mark.0.len()));
        let candidates = [(next(&marks.block), 0), (next(&marks.variable), 1), (next(&marks.comment), 2)];
        // Of two marks at one place the longer one counts.
        let Some(((place, _), which)) = candidates
            .into_iter()
            .filter_map(|(place, which)| place.map(|place| (place, which)))
            .min_by_key(|((place, length), _)| (*place, std::cmp::Reverse(*length)))
        else {
            break;
        };
        let start = at + place;
        if which == 2 {
            let from = start + marks.comment.0.len();
            let end = text.get(from..).and_then(|rest| rest.find(marks.comment.1.as_str()));
            at = end.map_or(text.len(), |length| from + length + marks.comment.1.len());
            continue;
        }
        let (open, close) = if which == 0 { &marks.block } else { &marks.variable };
        let code = code(text, start, which == 0, open, close);
        at = code.end;
        let raw = code.block && code.tokens.first().is_some_and(|token| slice(text, *token) == "raw");
        if raw {
            let end = text.get(at..).and_then(|rest| rest.find("endraw"));
            at = end.map_or(text.len(), |length| at + length);
            let close = text.get(at..).and_then(|rest| rest.find(marks.block.1.as_str()));
            at = close.map_or(text.len(), |length| at + length + marks.block.1.len());
            continue;
        }
        found.push(code);
    }
    found
}

fn code(text: &str, start: usize, block: bool, open: &str, close: &str) -> Code {
    let mut from = start + open.len();
    if matches!(text.as_bytes().get(from), Some(b'-' | b'+')) {
        from += 1;
    }
    let (tokens, until, closed) = tokens(text, from, Some(close));
    let mut inner_end = until;
    if closed && tokens.last().is_some_and(|last| last.end == until && matches!(slice(text, *last), "-" | "+")) {
        inner_end -= 1;
    }
    let tokens = tokens.into_iter().filter(|token| token.end <= inner_end).collect();
    Code {
        block,
        start,
        end: if closed { until + close.len() } else { text.len() },
        inner: (from, inner_end.max(from)),
        closed,
        tokens,
    }
}

/// The tokens from a place on, up to a closing mark outside of brackets, and where that is.
pub(super) fn tokens(text: &str, from: usize, close: Option<&str>) -> (Vec<Token>, usize, bool) {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = from;
    let mut depth = 0usize;
    while let Some(&byte) = bytes.get(at) {
        if let Some(close) = close
            && depth == 0
            && bytes.get(at..).is_some_and(|rest| rest.starts_with(close.as_bytes()))
        {
            return (found, at, true);
        }
        let start = at;
        let kind = match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b'\'' | b'"' => {
                at += 1;
                while let Some(&inside) = bytes.get(at) {
                    at += if inside == b'\\' { 2 } else { 1 };
                    if inside == byte {
                        break;
                    }
                }
                Kind::Text
            }
            b'0'..=b'9' => {
                let part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
                while bytes.get(at).is_some_and(part) {
                    at += 1;
                }
                let fraction = bytes.get(at) == Some(&b'.') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
                // `x.0.1` is two attributes, not a fraction.
                let attribute = found.last().is_some_and(|last: &Token| slice(text, *last) == "." && last.end == start);
                if fraction && !attribute {
                    at += 1;
                    while bytes.get(at).is_some_and(part) {
                        at += 1;
                    }
                }
                Kind::Number
            }
            b if b.is_ascii_alphabetic() || b == b'_' || b >= 0x80 => {
                while bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80) {
                    at += 1;
                }
                Kind::Name
            }
            b => {
                at += 1;
                let pair = matches!(
                    (b, bytes.get(at)),
                    (b'=' | b'!' | b'<' | b'>', Some(b'=')) | (b'*', Some(b'*')) | (b'/', Some(b'/'))
                );
                at += usize::from(pair);
                match b {
                    b'(' | b'[' | b'{' => depth += 1,
                    b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                Kind::Sign
            }
        };
        at = at.min(text.len());
        found.push(Token { kind, start, end: at });
    }
    (found, text.len(), false)
}

/// A token's text.
pub(super) fn slice(text: &str, token: Token) -> &str {
    text.get(token.start..token.end).unwrap_or_default()
}

/// For a text that is one expression between marks and nothing else: where the expression stands.
pub(super) fn single(text: &str) -> Option<(usize, usize)> {
    // A last line feed is not part of a template.
    let end = text.strip_suffix('\n').unwrap_or(text).len();
    if !text.starts_with("{{") {
        return None;
    }
    let code = code(text, 0, false, "{{", "}}");
    (code.closed && code.end == end).then_some(code.inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<Vec<&str>> {
        codes(text, &Marks::default())
            .iter()
            .map(|code| code.tokens.iter().map(|token| slice(text, *token)).collect())
            .collect()
    }

    #[test]
    fn code_is_found_between_marks() {
        assert_eq!(
            texts("a {{ b.c }} {# {{ no }} #} {%- if x >= 1.5 -%}y{% endif %}"),
            [vec!["b", ".", "c"], vec!["if", "x", ">=", "1.5"], vec!["endif"]]
        );
        assert_eq!(texts("{{ {'a': {'b': 1}} }}").len(), 1);
        assert_eq!(texts("{{ '}}' }}{{ x }}"), [vec!["'}}'"], vec!["x"]]);
        assert_eq!(texts("{% raw %}{{ no }}{% endraw %}{{ yes }}"), [vec!["yes"]]);
        assert_eq!(texts("{{ x.0.1 }}"), [vec!["x", ".", "0", ".", "1"]]);
    }

    #[test]
    fn one_expression_alone_is_told_apart() {
        assert!(single("{{ a }}").is_some());
        assert!(single("{{- a -}}").is_some());
        assert!(single("{{ a }}\n").is_some());
        assert!(single("{{ a }}{{ b }}").is_none());
        assert!(single(" {{ a }}").is_none());
        assert!(single("{{ a").is_none());
        let text = "{{ {'a': 1} }}";
        let (start, end) = single(text).unwrap();
        assert_eq!(text[start..end].trim(), "{'a': 1}");
    }
}
