//! Makes text from outside harmless: nothing that a terminal acts on gets through, and nothing goes on for ever.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A line longer than this is cut.
const LONGEST: usize = 2000;

/// Whether a terminal may act on a character, or a reader be fooled by it: control characters (escape sequences begin
/// with one; U+0080 to U+009F are the same in one byte), marks that turn the writing direction round (they make text
/// read otherwise than it is), and separators that some take for line ends.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A text as one line: hostile characters are written out as `\n`, `\x1b` or `\u{202e}`, a tab is a blank, and what is
/// too long is cut.
pub(super) fn clean_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(LONGEST * 4));
    let mut left = LONGEST;
    let mut characters = text.trim_end_matches(['\n', '\r']).chars();
    for c in characters.by_ref() {
        if left == 0 {
            let _ = write!(line, "… ({} more characters)", characters.count() + 1);
            break;
        }
        left -= 1;
        match c {
            '\t' => line.push(' '),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            c if is_hostile(c) => write_out(&mut line, c),
            c => line.push(c),
        }
    }
    line
}

fn write_out(line: &mut String, c: char) {
    let code = u32::from(c);
    let _ = if code < 0x100 { write!(line, "\\x{code:02x}") } else { write!(line, "\\u{{{code:x}}}") };
}

/// The last line of defence, where text is written out: a part of a line in which nothing hostile is left, tabs excepted.
pub(super) fn clean_part(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c != '\t' && is_hostile(c)) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c != '\t' && is_hostile(c) { write_out(&mut clean, c) } else { clean.push(c) }
    }
    Cow::Owned(clean)
}

/// A text as lines, each clean; tabs stay. A carriage return at a line's end is dropped.
pub(super) fn clean_lines(text: &str) -> impl DoubleEndedIterator<Item = String> + '_ {
    text.lines().map(|line| {
        let parts: Vec<_> = line.split('\t').map(clean_line).collect();
        parts.join("\t")
    })
}

/// JSON that a terminal may be shown: serde escapes what is below U+0020; the rest of what is hostile is escaped here, so
/// that it means the same. Only characters within strings can be meant: JSON has none of them elsewhere.
pub(super) fn clean_json(json: &str) -> String {
    if !json.chars().any(|c| c != '\n' && is_hostile(c)) {
        return json.to_owned();
    }
    let mut clean = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if c != '\n' && is_hostile(c) {
            let _ = write!(clean, "\\u{:04x}", u32::from(c));
        } else {
            clean.push(c);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_gets_through() {
        assert_eq!(
            clean_line("\x1b]0;owned\x07\x1b[2Jhello\r\nworld\u{9b}1m\x7f\n"),
            "\\x1b]0;owned\\x07\\x1b[2Jhello\\r\\nworld\\x9b1m\\x7f"
        );
        assert_eq!(clean_line("user\u{202e}txt.exe"), "user\\u{202e}txt.exe");
        assert_eq!(clean_line("größe → ✔"), "größe → ✔");
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        assert!(!clean_line(&all).chars().any(is_hostile));
        assert!(!clean_lines(&all).any(|line| line.chars().any(|c| c != '\t' && is_hostile(c))));
    }

    #[test]
    fn lines_are_cut() {
        let long = "x".repeat(LONGEST + 5);
        assert!(clean_line(&long).ends_with("x… (5 more characters)"));
        assert_eq!(clean_line(&"x".repeat(LONGEST)).len(), LONGEST);
    }

    #[test]
    fn json_means_the_same_after_cleaning() {
        let value = serde_json::json!({"a\u{9b}": "\u{1b}[2J \u{7f} \u{202e} é\n"});
        let json = clean_json(&serde_json::to_string(&value).unwrap());
        assert!(!json.chars().any(is_hostile), "{json}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
    }
}
