//! Host patterns as text: how they are split, what each part is, and which names a part matches.

use std::ops::Range;

use super::address;
use crate::base::Span;
use crate::diag::{Diagnostic, Severity};

/// How a part that matches nothing is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// It is an error, above all inside `!x`, where a typing mistake would act on what was to be left out.
    Strict,
    /// It is a warning and the part is dropped: what people expect under Ansible's names.
    Ansible,
}

/// A pattern that can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct PatternError {
    /// What is wrong.
    pub(crate) message: String,
    /// What to write instead, a line each.
    pub(crate) help: Vec<String>,
    /// The part that it is about (bytes of the pattern); empty for the whole.
    pub(crate) part: Range<usize>,
}

impl PatternError {
    pub(super) fn new(message: impl Into<String>, part: Range<usize>) -> Self {
        Self { message: message.into(), help: Vec::new(), part }
    }

    pub(super) fn help(mut self, line: impl Into<String>) -> Self {
        self.help.push(line.into());
        self
    }

    /// As a diagnostic for a pattern that stands at `span`, whose text is the pattern's.
    pub(crate) fn diagnostic(&self, span: Span) -> Diagnostic {
        let mut place = span;
        // In quotes the pattern begins a byte later; then the whole is the safer place.
        if span.is_some() && !self.part.is_empty() && (span.end - span.start) as usize >= self.part.end {
            place.start = span.start + self.part.start as u32;
            place.end = span.start + self.part.end as u32;
        }
        let mut diagnostic = Diagnostic::error(self.message.clone(), place);
        debug_assert_eq!(diagnostic.severity, Severity::Error);
        diagnostic.help.clone_from(&self.help);
        diagnostic
    }
}

/// What a part does to the hosts so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Its hosts come in.
    Add,
    /// `&`: only its hosts stay.
    Keep,
    /// `!`: its hosts go.
    Drop,
}

/// One part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) effect: Effect,
    /// Without `&` and `!`.
    pub(super) text: String,
    /// Where it stands in the pattern, sign included.
    pub(super) place: Range<usize>,
}

impl Part {
    /// Takes the sign off a part.
    ///
    /// # Errors
    /// Nothing follows the sign.
    pub(super) fn new(text: &str, place: Range<usize>) -> Result<Self, PatternError> {
        let (effect, rest) = match text.chars().next() {
            Some('!') => (Effect::Drop, &text[1..]),
            Some('&') => (Effect::Keep, &text[1..]),
            _ => (Effect::Add, text),
        };
        if rest.is_empty() {
            return Err(PatternError::new(format!("nothing follows `{text}` in a host pattern"), place)
                .help("`!x` leaves the hosts of x out, `&x` keeps only those that are in x too"));
        }
        Ok(Self { effect, text: rest.to_owned(), place })
    }
}

/// Splits a pattern: at commas if it has any; else, unless it is one address, at colons and blanks outside brackets.
///
/// # Errors
/// A sign without a name, or a bracket that is not closed.
pub(super) fn split(pattern: &str) -> Result<Vec<Part>, PatternError> {
    let mut parts = Vec::new();
    let mut push = |range: Range<usize>| {
        let written = &pattern[range.clone()];
        let text = written.trim();
        if !text.is_empty() {
            let start = range.start + (written.len() - written.trim_start().len());
            parts.push(Part::new(text, start..start + text.len())?);
        }
        Ok::<(), PatternError>(())
    };
    if pattern.contains(',') {
        let mut start = 0;
        for piece in pattern.split(',') {
            push(start..start + piece.len())?;
            start += piece.len() + 1;
        }
        return Ok(parts);
    }
    if address::parse_address(pattern).is_some() {
        push(0..pattern.len())?;
        return Ok(parts);
    }
    let mut start = 0;
    let mut open: Option<usize> = None;
    for (at, c) in pattern.char_indices() {
        match c {
            '[' if open.is_none() => open = Some(at),
            ']' => open = None,
            _ if open.is_some() => {}
            c if c == ':' || c.is_whitespace() => {
                push(start..at)?;
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    if let Some(at) = open {
        return Err(PatternError::new("a bracket in a host pattern is not closed", at..pattern.len()));
    }
    push(start..pattern.len())?;
    Ok(parts)
}

/// A slice behind a name: both ends counted from 0 and included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slice {
    /// `[N]`, `[-N]`.
    One(i64),
    /// `[A:]`, `[A:B]`.
    Range(usize, Option<usize>),
}

/// Takes the slice off a part's end; the last value says whether it was written with a dash.
pub(super) fn split_slice(text: &str) -> (&str, Option<Slice>, bool) {
    let whole = (text, None, false);
    let Some(inner) = text.strip_suffix(']') else { return whole };
    let Some((base, inside)) = inner.rsplit_once('[').filter(|(base, _)| !base.is_empty()) else { return whole };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if digits(inside.strip_prefix('-').unwrap_or(inside)) {
        return inside.parse().map_or(whole, |number| (base, Some(Slice::One(number)), false));
    }
    let Some(at) = inside.find([':', '-']).filter(|at| digits(&inside[..*at])) else { return whole };
    let (begin, end) = (&inside[..at], &inside[at + 1..]);
    let dash = inside.as_bytes().get(at) == Some(&b'-');
    match (begin.parse(), end.is_empty(), end.parse()) {
        (Ok(begin), true, _) => (base, Some(Slice::Range(begin, None)), dash),
        (Ok(begin), false, Ok(last)) if digits(end) => (base, Some(Slice::Range(begin, Some(last))), dash),
        _ => whole,
    }
}

/// What a part's name matches.
#[derive(Debug)]
pub(super) enum Matcher {
    /// This name.
    Word(String),
    /// A shell glob.
    Glob(Vec<Token>),
    /// `~…`: a regular expression that matches at the beginning.
    Regex(Box<fancy_regex::Regex>),
}

impl Matcher {
    /// Compiles a part's name.
    ///
    /// # Errors
    /// What is wrong with the regular expression.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if let Some(expression) = text.strip_prefix('~') {
            let anchored = format!(r"\A(?:{expression})");
            return match fancy_regex::Regex::new(&anchored) {
                Ok(regex) => Ok(Self::Regex(Box::new(regex))),
                Err(error) => Err(error.to_string()),
            };
        }
        if text.contains(['*', '?', '[']) { Ok(Self::Glob(glob(text))) } else { Ok(Self::Word(text.to_owned())) }
    }

    /// Whether it matches a name. A regular expression that gives up counts as an error.
    pub(super) fn matches(&self, name: &str) -> Result<bool, String> {
        match self {
            Self::Word(word) => Ok(word == name),
            Self::Glob(tokens) => Ok(glob_matches(tokens, name)),
            Self::Regex(regex) => regex.is_match(name).map_err(|error| error.to_string()),
        }
    }
}

/// One element of a glob.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `*`.
    Any,
    /// `?`.
    One,
    /// A letter.
    Letter(char),
    /// `[abc]`, `[!a-z]`.
    Class { negated: bool, ranges: Vec<(char, char)> },
}

fn glob(text: &str) -> Vec<Token> {
    let letters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = letters.get(at) {
        at += 1;
        let token = match c {
            '*' => Token::Any,
            '?' => Token::One,
            '[' => match class(&letters, at) {
                Some((class, after)) => {
                    at = after;
                    class
                }
                // A bracket that is not closed is a letter.
                None => Token::Letter('['),
            },
            c => Token::Letter(c),
        };
        tokens.push(token);
    }
    tokens
}

fn class(letters: &[char], from: usize) -> Option<(Token, usize)> {
    let negated = letters.get(from) == Some(&'!');
    let first = from + usize::from(negated);
    // A closing bracket in the first place belongs to the class.
    let end = (first + 1..letters.len()).find(|at| letters.get(*at) == Some(&']'))?;
    let mut ranges = Vec::new();
    let mut at = first;
    while at < end {
        let begin = *letters.get(at)?;
        match letters.get(at + 2) {
            Some(&last) if letters.get(at + 1) == Some(&'-') && at + 2 < end => {
                ranges.push((begin, last));
                at += 3;
            }
            _ => {
                ranges.push((begin, begin));
                at += 1;
            }
        }
    }
    Some((Token::Class { negated, ranges }, end + 1))
}

/// Greedy with one point to return to, so that no glob takes more than length times length steps.
fn glob_matches(tokens: &[Token], name: &str) -> bool {
    let letters: Vec<char> = name.chars().collect();
    let (mut token, mut letter) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        let fits = match (tokens.get(token), letters.get(letter)) {
            (None, None) => return true,
            (Some(Token::Any), _) => {
                back = Some((token, letter));
                token += 1;
                continue;
            }
            (Some(Token::One), Some(_)) => true,
            (Some(Token::Letter(wanted)), Some(c)) => wanted == c,
            (Some(Token::Class { negated, ranges }), Some(c)) => {
                ranges.iter().any(|(begin, end)| (begin..=end).contains(&c)) != *negated
            }
            _ => false,
        };
        if fits {
            token += 1;
            letter += 1;
            continue;
        }
        match back {
            Some((star, at)) if at < letters.len() => {
                back = Some((star, at + 1));
                token = star + 1;
                letter = at + 1;
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_in_a_shell() {
        let cases = [
            ("web*", "web", true),
            ("web*", "aweb", false),
            ("*.dc1", "a.dc1", true),
            ("w?b", "web", true),
            ("w?b", "wb", false),
            ("es[12]", "es2", true),
            ("es[!12]", "es2", false),
            ("es[a-c]*x", "esbxxx", true),
            ("a[]b]", "a]", true),
            ("a[b", "a[b", true),
            ("*a*b*c", "xaxbxc", true),
            ("*a*b*c", "xaxbx", false),
            ("é*", "été", true),
            ("[a-]", "-", true),
        ];
        for (pattern, name, wanted) in cases {
            assert_eq!(Matcher::new(pattern).unwrap().matches(name), Ok(wanted), "{pattern} {name}");
        }
    }

    #[test]
    fn slices_are_told_from_classes() {
        assert_eq!(split_slice("web[0]"), ("web", Some(Slice::One(0)), false));
        assert_eq!(split_slice("web[-1]"), ("web", Some(Slice::One(-1)), false));
        assert_eq!(split_slice("w[ab]*[1:2]"), ("w[ab]*", Some(Slice::Range(1, Some(2))), false));
        assert_eq!(split_slice("web[1:]"), ("web", Some(Slice::Range(1, None)), false));
        assert_eq!(split_slice("web[1-2]"), ("web", Some(Slice::Range(1, Some(2))), true));
        for other in ["web", "web[:2]", "web[a]", "[0]", "web[1:-2]", "web[1:2:3]"] {
            assert_eq!(split_slice(other), (other, None, false), "{other}");
        }
    }

    #[test]
    fn a_pattern_is_split_as_ansible_splits_it() {
        let texts = |pattern: &str| -> Vec<String> {
            split(pattern).unwrap().into_iter().map(|part| pattern[part.place].to_owned()).collect()
        };
        assert_eq!(texts("a:b:!c:&d"), ["a", "b", "!c", "&d"]);
        assert_eq!(texts("a, b[1:2] ,!c"), ["a", "b[1:2]", "!c"]);
        assert_eq!(texts("es0 es1"), ["es0", "es1"]);
        assert_eq!(texts("web[0:1]:db"), ["web[0:1]", "db"]);
        assert_eq!(texts("host:2222"), ["host:2222"]);
        assert_eq!(texts("fe80::1"), ["fe80::1"]);
        assert_eq!(texts("a;b"), ["a;b"]);
        assert_eq!(texts("x::y::"), ["x", "y"]);
        assert!(split("a:!").unwrap_err().message.contains("nothing follows"));
        assert!(split("a:b[1").unwrap_err().message.contains("not closed"));
    }
}
