//! Python's regular expressions for modules whose options are such: translated to what `fancy-regex` reads.
//!
//! Contents need not be UTF-8. Where Python works on bytes (`lineinfile`), each byte becomes the character of that number,
//! in the pattern as in the text, and `\w`, `\d`, `\s` and `\b` mean ASCII: exactly Python's view of bytes.

use fancy_regex::{Captures, RegexBuilder};

/// How a pattern is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Flags {
    /// `^` and `$` match at lines.
    pub(super) multiline: bool,
    /// `.` matches newlines too.
    pub(super) dotall: bool,
    /// Text and pattern are bytes.
    pub(super) bytes: bool,
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: fancy_regex::Regex,
    written: String,
    bytes: bool,
}

/// How many steps a match may take back before it is given up.
const PATIENCE: usize = 10_000_000;

impl Pattern {
    /// Compiles a pattern as Python's `re` reads it.
    ///
    /// # Errors
    /// It is no pattern: a sentence with what is wrong.
    pub(super) fn compile(pattern: &str, flags: Flags) -> Result<Self, String> {
        let source = if flags.bytes { from_bytes(pattern.as_bytes()) } else { pattern.to_owned() };
        let mut translated = String::from("(?");
        translated.push_str(if flags.multiline { "m" } else { "" });
        translated.push_str(if flags.dotall { "s" } else { "" });
        translated.push(')');
        if translated == "(?)" {
            translated.clear();
        }
        translated.push_str(&translate(&source, flags));
        let regex = RegexBuilder::new(&translated)
            .backtrack_limit(PATIENCE)
            .build()
            .map_err(|error| format!("`{pattern}` is not a regular expression: {error}"))?;
        Ok(Self { regex, written: pattern.to_owned(), bytes: flags.bytes })
    }

    /// The first match at or after a position.
    ///
    /// # Errors
    /// It took too many steps.
    pub(super) fn search<'t>(&self, text: &'t str, from: usize) -> Result<Option<Captures<'t, str>>, String> {
        self.regex
            .captures_from_pos(text, from)
            .map_err(|error| format!("`{}` can't be matched against this text: {error}", self.written))
    }

    /// Replaces every match as Python's `subn` does; the number of replacements comes with it.
    ///
    /// # Errors
    /// The replacement names a group that isn't there, or it took too many steps.
    pub(super) fn replace_all(&self, text: &str, replacement: &str) -> Result<(String, usize), String> {
        let mut result = String::with_capacity(text.len());
        let (mut copied, mut from, mut count) = (0, 0, 0);
        while let Some(found) = self.search(text, from)? {
            let Some(whole) = found.get(0) else { break };
            result.push_str(text.get(copied..whole.start()).unwrap_or_default());
            result.push_str(&self.expand(&found, replacement)?);
            count += 1;
            copied = whole.end();
            from = whole.end();
            if whole.start() == whole.end() {
                // After an empty match the next one begins a character later; an empty match may follow a longer one.
                let Some(next) = text.get(from..).and_then(|rest| rest.chars().next()) else { break };
                from += next.len_utf8();
            }
        }
        result.push_str(text.get(copied..).unwrap_or_default());
        Ok((result, count))
    }

    /// A replacement with its references (`\1`, `\g<1>`, `\g<name>`) and escapes filled in.
    ///
    /// # Errors
    /// It names a group that isn't there, or has an escape that Python does not know.
    pub(super) fn expand(&self, found: &Captures<'_, str>, replacement: &str) -> Result<String, String> {
        let replacement = if self.bytes { from_bytes(replacement.as_bytes()) } else { replacement.to_owned() };
        let mut result = String::new();
        let mut rest = replacement.as_str();
        while let Some(at) = rest.find('\\') {
            result.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let Some(letter) = rest.chars().next() else {
                return Err("the replacement ends with a lone backslash".to_owned());
            };
            let after = &rest[letter.len_utf8()..];
            if letter == 'g' {
                let name = after.strip_prefix('<').and_then(|name| name.split_once('>'));
                let (name, after) = name.ok_or("`\\g` needs a group: `\\g<1>` or `\\g<name>`")?;
                result.push_str(self.group(found, name)?);
                rest = after;
            } else if letter.is_ascii_digit() {
                rest = self.numbered(found, rest, &mut result)?;
            } else {
                match simple_escape(letter) {
                    Some(c) => result.push(c),
                    None if letter.is_ascii_alphabetic() => {
                        return Err(format!("bad escape \\{letter} in the replacement"));
                    }
                    None => {
                        result.push('\\');
                        result.push(letter);
                    }
                }
                rest = after;
            }
        }
        result.push_str(rest);
        Ok(result)
    }

    /// `\0`, `\101`, `\1`, `\12`: octal when it begins with 0 or has three octal digits, else a group of one or two digits.
    fn numbered<'r>(&self, found: &Captures<'_, str>, rest: &'r str, result: &mut String) -> Result<&'r str, String> {
        let octal: String = rest.chars().take(3).take_while(|c| ('0'..='7').contains(c)).collect();
        if rest.starts_with('0') || octal.len() == 3 {
            let number = u32::from_str_radix(&octal, 8).unwrap_or(0) & 0xff;
            result.extend(char::from_u32(number));
            return Ok(&rest[octal.len()..]);
        }
        let digits: String = rest.chars().take(2).take_while(char::is_ascii_digit).collect();
        result.push_str(self.group(found, &digits)?);
        Ok(&rest[digits.len()..])
    }

    fn group<'t>(&self, found: &Captures<'t, str>, name: &str) -> Result<&'t str, String> {
        let known = match name.parse::<usize>() {
            Ok(number) => number < self.regex.captures_len(),
            Err(_) => self.regex.capture_names().flatten().any(|known| known == name),
        };
        if !known {
            return Err(format!("the replacement names the group `{name}`, which `{}` does not have", self.written));
        }
        let matched = match name.parse::<usize>() {
            Ok(number) => found.get(number),
            Err(_) => found.name(name),
        };
        Ok(matched.map_or("", |matched| matched.as_str()))
    }
}

/// Each byte as the character of that number.
pub(super) fn from_bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Back again; characters beyond a byte (there are none from [`from_bytes`]) become UTF-8.
pub(super) fn to_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(u32::from(c)) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

fn simple_escape(letter: char) -> Option<char> {
    Some(match letter {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'v' => '\x0b',
        '\\' => '\\',
        _ => return None,
    })
}

const WORD: &str = "A-Za-z0-9_";
const SPACE: &str = " \\t\\n\\r\\x0b\\x0c";

fn translate(pattern: &str, flags: Flags) -> String {
    let chars: Vec<char> = pattern.chars().collect();
    let at = |index: usize| chars.get(index).copied();
    let lines = flags.multiline || inline_multiline(pattern);
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut index = 0;
    while let Some(c) = at(index) {
        index += 1;
        match c {
            '\\' => {
                let Some(escaped) = at(index) else {
                    out.push('\\');
                    break;
                };
                index += 1;
                escape_outside(escaped, flags.bytes, &mut out);
            }
            '$' if !lines => out.push_str("(?=\\n?\\z)"),
            '{' if !is_repetition(&chars, index) => out.push_str("\\{"),
            '{' if at(index) == Some(',') => out.push_str("{0"),
            '}' if !closes_repetition(&out) => out.push_str("\\}"),
            '(' if at(index) == Some('?') && at(index + 1) == Some('#') => {
                while at(index).is_some_and(|c| c != ')') {
                    index += 1;
                }
                index += 1;
            }
            '[' => index = class(&chars, index, flags.bytes, &mut out),
            _ => out.push(c),
        }
    }
    out
}

fn inline_multiline(pattern: &str) -> bool {
    let Some(rest) = pattern.strip_prefix("(?") else { return false };
    rest.chars().take_while(char::is_ascii_alphabetic).any(|c| c == 'm')
}

/// Whether what follows a `{` makes it a repetition: `3}`, `3,}`, `,3}`, `3,4}`. Elsewhere it is a character to Python.
fn is_repetition(chars: &[char], from: usize) -> bool {
    let inside: String = chars.iter().skip(from).take_while(|c| **c != '}').collect();
    let closed = chars.get(from + inside.chars().count()) == Some(&'}');
    let digits = inside.chars().any(|c| c.is_ascii_digit());
    closed
        && digits
        && inside.chars().filter(|c| *c == ',').count() <= 1
        && inside.chars().all(|c| c.is_ascii_digit() || c == ',')
}

fn closes_repetition(out: &str) -> bool {
    let Some(open) = out.rfind('{') else { return false };
    let escaped = out[..open].ends_with('\\') && !out[..open].ends_with("\\\\");
    !escaped && out[open + 1..].chars().all(|c| c.is_ascii_digit() || c == ',')
}

fn escape_outside(escaped: char, bytes: bool, out: &mut String) {
    match escaped {
        'Z' => out.push_str("\\z"),
        '<' | '>' | '/' | '"' | '\'' | '`' | '%' | '!' | ',' | ':' | ';' | '=' | '@' | '_' => out.push(escaped),
        'w' | 'W' | 'd' | 'D' | 's' | 'S' if bytes => {
            let set = match escaped.to_ascii_lowercase() {
                'w' => WORD,
                'd' => "0-9",
                _ => SPACE,
            };
            out.push_str(if escaped.is_ascii_uppercase() { "[^" } else { "[" });
            out.push_str(set);
            out.push(']');
        }
        'b' if bytes => out.push_str("(?:(?<=[A-Za-z0-9_])(?![A-Za-z0-9_])|(?<![A-Za-z0-9_])(?=[A-Za-z0-9_]))"),
        'B' if bytes => out.push_str("(?:(?<=[A-Za-z0-9_])(?=[A-Za-z0-9_])|(?<![A-Za-z0-9_])(?![A-Za-z0-9_]))"),
        // A number or a meta-character stays escaped; a character beyond ASCII needs no backslash.
        c if c.is_ascii() => {
            out.push('\\');
            out.push(c);
        }
        c => out.push(c),
    }
}

/// Copies a character class; `from` is the index after `[`. Gives the index after `]`.
fn class(chars: &[char], from: usize, bytes: bool, out: &mut String) -> usize {
    let at = |index: usize| chars.get(index).copied();
    let mut index = from;
    out.push('[');
    if at(index) == Some('^') {
        out.push('^');
        index += 1;
    }
    let first = index;
    while let Some(c) = at(index) {
        index += 1;
        match c {
            ']' if index - 1 > first => {
                out.push(']');
                return index;
            }
            // Set operations and nested classes of the other engine are plain characters to Python.
            ']' | '[' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '\\' => {
                let Some(escaped) = at(index) else { break };
                index += 1;
                class_escape(escaped, bytes, out);
            }
            '-' if at(index) == Some('-') => out.push_str("\\-"),
            _ => out.push(c),
        }
    }
    index
}

fn class_escape(escaped: char, bytes: bool, out: &mut String) {
    match (escaped, bytes) {
        ('w', true) => out.push_str(WORD),
        ('d', true) => out.push_str("0-9"),
        ('s', true) => out.push_str(SPACE),
        ('W', true) => out.push_str("[^A-Za-z0-9_]"),
        ('D', true) => out.push_str("[^0-9]"),
        ('S', true) => out.push_str("[^ \\t\\n\\r\\x0b\\x0c]"),
        ('b', _) => out.push_str("\\x08"),
        (c, _) if c.is_ascii_alphanumeric() => {
            out.push('\\');
            out.push(c);
        }
        (c, _) if c.is_ascii() => {
            out.push('\\');
            out.push(c);
        }
        (c, _) => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(pattern: &str, replacement: &str, text: &str) -> String {
        let pattern = Pattern::compile(pattern, Flags { multiline: true, ..Flags::default() }).unwrap();
        pattern.replace_all(text, replacement).unwrap().0
    }

    // Expected values were made by Python 3.11's re.sub with re.MULTILINE.
    #[test]
    fn replacements_are_pythons() {
        assert_eq!(replaced("x*", "-", "abxd"), "-a-b--d-");
        assert_eq!(replaced(r"^(\w+)=(\d+)$", r"\2=\g<1>\n", "a=1\nb=22\n"), "1=a\n\n22=b\n\n");
        assert_eq!(replaced(r"(?P<k>\w+)(-)?", r"<\g<k>\2>", "ab cd-"), "<ab> <cd->");
        assert_eq!(replaced(r"{{ x }}", "y", "{{ x }}"), "y");
        assert_eq!(replaced(r"a{,2}b", "y", "aab"), "y");
        assert_eq!(replaced(r"[[\]&&a]", "y", "[&]b"), "yyyb");
        assert_eq!(replaced(r"\<b\>", "y", "<b>"), "y");
        assert_eq!(replaced(r"é.", r"\\", "éa"), "\\");
        assert_eq!(replaced(r"a$", "b", "a\na"), "b\nb");
        assert_eq!(replaced(r"(a)|b", r"[\1]", "ab"), "[a][]");
        assert_eq!(replaced(r"\d{2}(?=;)", "", "12;34"), ";34");
    }

    #[test]
    fn bytes_are_bytes() {
        let flags = Flags { bytes: true, ..Flags::default() };
        let pattern = Pattern::compile(r"^\w+é\b.$", flags).unwrap();
        assert!(pattern.search(&from_bytes("abé\n".as_bytes()), 0).unwrap().is_none());
        let pattern = Pattern::compile("é$", flags).unwrap();
        assert!(pattern.search(&from_bytes("abé\n".as_bytes()), 0).unwrap().is_some());
        assert_eq!(to_bytes(&from_bytes(&[0, 200, 255])), [0, 200, 255]);
        let word = Pattern::compile(r"\w", flags).unwrap();
        assert!(word.search(&from_bytes(&[0xe9]), 0).unwrap().is_none());
    }

    #[test]
    fn wrong_patterns_and_replacements_are_said() {
        assert!(Pattern::compile("(", Flags::default()).unwrap_err().contains("`(` is not a regular expression"));
        let pattern = Pattern::compile("a", Flags::default()).unwrap();
        assert!(pattern.replace_all("a", r"\1").unwrap_err().contains("group `1`"));
        assert!(pattern.replace_all("a", r"\q").unwrap_err().contains("bad escape"));
    }
}
