//! YAML as PyYAML's dumper writes it: what `to_yaml` gives ends up in files that are compared with those Ansible wrote.

use std::fmt::Write as _;

use crate::base::Value;
use crate::template::convert::float_text;
use crate::yaml;

/// Writes a value. `flow`: all in braces, none, or (`None`) only lists and mappings without inner ones.
pub(super) fn dump(value: &Value, indent: usize, flow: Option<bool>, sort_keys: bool, width: usize) -> String {
    let mut writer = Writer { out: String::new(), column: 0, indent, flow, sort_keys, width };
    writer.node(value, Where { level: 0, flow: false, list_in_map: false, key: false, root: true });
    writer.out.push('\n');
    writer.out
}

/// Where a node is written.
#[derive(Clone, Copy)]
struct Where {
    /// Columns of the enclosing block.
    level: usize,
    flow: bool,
    /// A list that is a mapping's value: PyYAML doesn't indent it.
    list_in_map: bool,
    key: bool,
    root: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Style {
    Plain,
    Single,
    Double,
}

struct Writer {
    out: String,
    column: usize,
    indent: usize,
    flow: Option<bool>,
    sort_keys: bool,
    width: usize,
}

impl Writer {
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn line(&mut self, level: usize) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.column = 0;
        self.push(&" ".repeat(level));
    }

    fn flows(&self, value: &Value) -> bool {
        let simple = |value: &Value| !matches!(value, Value::Array(_) | Value::Object(_));
        self.flow.unwrap_or_else(|| match value {
            Value::Array(items) => items.iter().all(simple),
            Value::Object(map) => map.values().all(simple),
            _ => true,
        })
    }

    fn node(&mut self, value: &Value, at: Where) {
        match value {
            Value::Null => self.push("null"),
            Value::Bool(true) => self.push("true"),
            Value::Bool(false) => self.push("false"),
            Value::Number(number) => {
                let text = match (number.is_f64(), number.as_f64()) {
                    (true, Some(real)) => yaml_float(real),
                    _ => number.to_string(),
                };
                self.push(&text);
            }
            Value::String(text) => self.text(text, at),
            Value::Array(items) if items.is_empty() => self.push("[]"),
            Value::Object(map) if map.is_empty() => self.push("{}"),
            Value::Array(items) if at.flow || self.flows(value) => {
                let level = if at.root { self.indent } else { at.level + self.indent };
                self.push("[");
                for (place, item) in items.iter().enumerate() {
                    self.separate(place, level);
                    self.node(item, Where { level, flow: true, list_in_map: false, key: false, root: false });
                }
                self.push("]");
            }
            Value::Object(map) if at.flow || self.flows(value) => {
                let level = if at.root { self.indent } else { at.level + self.indent };
                self.push("{");
                for (place, (key, item)) in self.entries(map).into_iter().enumerate() {
                    self.separate(place, level);
                    self.text(key, Where { level, flow: true, list_in_map: false, key: true, root: false });
                    self.push(": ");
                    self.node(item, Where { level, flow: true, list_in_map: false, key: false, root: false });
                }
                self.push("}");
            }
            Value::Array(items) => {
                let level = if at.root || at.list_in_map { at.level } else { at.level + self.indent };
                for (place, item) in items.iter().enumerate() {
                    self.begin(place == 0 && !at.list_in_map && !at.root, level);
                    self.push("-");
                    let blanks = if block(item, self.flows(item)) { self.indent.saturating_sub(1).max(1) } else { 1 };
                    self.push(&" ".repeat(blanks));
                    self.node(item, Where { level, flow: false, list_in_map: false, key: false, root: false });
                }
            }
            Value::Object(map) => {
                let level = if at.root { at.level } else { at.level + self.indent };
                for (place, (key, item)) in self.entries(map).into_iter().enumerate() {
                    self.begin(place == 0 && !at.root, level);
                    self.text(key, Where { level, flow: false, list_in_map: false, key: true, root: false });
                    self.push(":");
                    let block = block(item, self.flows(item));
                    if block {
                        let list = matches!(item, Value::Array(_));
                        let level = if list { level } else { level + self.indent };
                        self.block_below(item, level, list);
                    } else {
                        self.push(" ");
                        self.node(item, Where { level, flow: false, list_in_map: false, key: false, root: false });
                    }
                }
            }
        }
    }

    /// A block collection on the lines below its key.
    fn block_below(&mut self, item: &Value, level: usize, list: bool) {
        let root = Where { level, flow: false, list_in_map: list, key: false, root: true };
        self.node(item, root);
    }

    /// The first entry of a nested block stands on the line that is there already.
    fn begin(&mut self, here: bool, level: usize) {
        if !here {
            self.line(level);
        }
    }

    fn separate(&mut self, place: usize, level: usize) {
        if place > 0 {
            self.push(",");
            if self.column > self.width {
                self.line(level);
            } else {
                self.push(" ");
            }
        } else if self.column > self.width {
            self.line(level);
        }
    }

    fn entries<'v>(&self, map: &'v crate::base::Map) -> Vec<(&'v String, &'v Value)> {
        let mut entries: Vec<_> = map.iter().collect();
        if self.sort_keys {
            entries.sort_by(|a, b| a.0.cmp(b.0));
        }
        entries
    }

    fn text(&mut self, text: &str, at: Where) {
        let level = if at.root { self.indent } else { at.level + self.indent };
        match style(text, at.flow, at.key) {
            Style::Plain => self.words(text, level, at.key),
            Style::Single => {
                self.push("'");
                self.single(text, level, at.key);
                self.push("'");
            }
            Style::Double => self.double(text, level, at.key),
        }
    }

    /// Plain text; a blank between words may become a line break beyond the width.
    fn words(&mut self, text: &str, level: usize, key: bool) {
        let mut parts = text.split(' ').peekable();
        while let Some(part) = parts.next() {
            self.push(part);
            if parts.peek().is_some() {
                let around = part.is_empty() || parts.peek().is_some_and(|next| next.is_empty());
                if self.column > self.width && !key && !around { self.line(level) } else { self.push(" ") }
            }
        }
    }

    fn single(&mut self, text: &str, level: usize, key: bool) {
        let lines: Vec<&str> = text.split('\n').collect();
        let mut place = 0;
        while let Some(line) = lines.get(place) {
            if place > 0 {
                // A line break is written as one empty line more.
                self.out.push('\n');
                self.line(level);
            }
            let escaped = line.replace('\'', "''");
            let mut parts = escaped.split(' ').enumerate().peekable();
            while let Some((at, part)) = parts.next() {
                self.push(part);
                if let Some((_, next)) = parts.peek() {
                    let edge = part.is_empty() || next.is_empty() || (at == 0 && place == 0 && part.is_empty());
                    if self.column > self.width && !key && !edge { self.line(level) } else { self.push(" ") }
                }
            }
            place += 1;
            while lines.get(place).is_some_and(|line| line.is_empty()) && place + 1 < lines.len() {
                self.out.push('\n');
                place += 1;
            }
        }
    }

    fn double(&mut self, text: &str, level: usize, key: bool) {
        self.push("\"");
        let characters: Vec<char> = text.chars().collect();
        let mut blank = false;
        for (place, c) in characters.iter().enumerate() {
            let inner = place > 0 && place + 1 < characters.len();
            if *c == ' ' && !blank && inner && self.column > self.width && !key {
                // The line break stands for this blank; a second one must not be taken for indentation.
                self.line(level);
                if characters.get(place + 1) == Some(&' ') {
                    self.push("\\");
                }
            } else {
                self.push(&escape(*c));
            }
            blank = *c == ' ';
        }
        self.push("\"");
    }
}

/// Whether a value is written below its key.
fn block(value: &Value, flows: bool) -> bool {
    match value {
        Value::Array(items) => !items.is_empty() && !flows,
        Value::Object(map) => !map.is_empty() && !flows,
        _ => false,
    }
}

fn yaml_float(real: f64) -> String {
    if real.is_nan() {
        return ".nan".to_owned();
    }
    if real.is_infinite() {
        return if real > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let text = float_text(real);
    // `1e+22` would be read as text.
    if text.contains('e') && !text.contains('.') { text.replacen('e', ".0e", 1) } else { text }
}

fn escape(c: char) -> String {
    match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\0' => "\\0".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\t' => "\\t".to_owned(),
        '\n' => "\\n".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\r' => "\\r".to_owned(),
        '\u{1b}' => "\\e".to_owned(),
        '\u{85}' => "\\N".to_owned(),
        '\u{2028}' => "\\L".to_owned(),
        '\u{2029}' => "\\P".to_owned(),
        c if printable(c) => c.to_string(),
        c => {
            let mut text = String::new();
            let code = u32::from(c);
            let _ = match code {
                0..=0xff => write!(text, "\\x{code:02X}"),
                0x100..=0xffff => write!(text, "\\u{code:04X}"),
                _ => write!(text, "\\U{code:08X}"),
            };
            text
        }
    }
}

fn printable(c: char) -> bool {
    matches!(u32::from(c), 0x20..=0x7e | 0xa0..=0x2027 | 0x202a..=0xd7ff | 0xe000..=0xfefe | 0xff00..=0xfffd | 0x1_0000..=0x10_ffff)
}

/// How a text must be written so that it is read as that text again.
fn style(text: &str, flow: bool, key: bool) -> Style {
    if text.is_empty() {
        return Style::Single;
    }
    let special = text.chars().any(|c| c != '\n' && !printable(c));
    let breaks = text.contains('\n');
    let blank_break = text.contains(" \n") || text.contains("\n ");
    if special || blank_break && text.contains(" \n") || (breaks && key) {
        return Style::Double;
    }
    let edge_blank = text.starts_with(' ') || text.ends_with(' ');
    if blank_break {
        return Style::Double;
    }
    if edge_blank || breaks {
        return Style::Single;
    }
    let first = text.chars().next().unwrap_or(' ');
    let second = text.chars().nth(1);
    let blank_next = second.is_none_or(|c| c == ' ');
    let indicator = match first {
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => true,
        '?' | ':' => flow || blank_next,
        '-' => blank_next,
        _ => false,
    };
    let mut inside = false;
    let characters: Vec<char> = text.chars().collect();
    for (place, c) in characters.iter().enumerate() {
        let next_blank = characters.get(place + 1).is_none_or(|c| *c == ' ');
        inside |= match c {
            ',' | '?' | '[' | ']' | '{' | '}' => flow && place > 0,
            ':' => flow && place > 0 || next_blank,
            '#' => place > 0 && characters.get(place - 1) == Some(&' '),
            _ => false,
        };
    }
    let document = text.starts_with("---") || text.starts_with("...");
    let ambiguous = !matches!(yaml::resolve_scalar(text), crate::base::NodeKind::String { .. })
        || text == "="
        || text == "<<"
        || date(text);
    if indicator || inside || document || ambiguous { Style::Single } else { Style::Plain }
}

/// What PyYAML reads as a date or time.
fn date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
    };
    if !(digits(0..4) && bytes.get(4) == Some(&b'-')) {
        return false;
    }
    if bytes.len() == 10 {
        return digits(5..7) && bytes.get(7) == Some(&b'-') && digits(8..10);
    }
    // With a time: `2001-12-14T21:59:43Z` and the like.
    let mut parts = text.splitn(2, ['T', 't', ' ']);
    let (day, time) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default().trim_start());
    let day_parts: Vec<&str> = day.split('-').collect();
    let numbers = |part: &&str| !part.is_empty() && part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit());
    let clock: Vec<&str> = time.get(..8.min(time.len())).unwrap_or_default().split(':').collect();
    day_parts.len() == 3
        && day_parts.iter().all(numbers)
        && clock.len() == 3
        && clock.iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JSON object a line: the value `v`, and what Ansible's `to_yaml` (`y`), `to_nice_yaml` (`n`) and `to_nice_yaml(indent=2)`
    /// (`i`) made of it.
    #[test]
    fn yaml_is_written_as_pyyaml_writes_it() {
        let (mut wrong, mut count) = (Vec::new(), 0);
        for line in include_str!("../../../tests/template/yaml.jsonl").lines() {
            let case: Value = serde_json::from_str(line).expect("JSON");
            for (key, indent, flow) in [("y", 2, None), ("n", 4, Some(false)), ("i", 2, Some(false))] {
                count += 1;
                let got = dump(&case["v"], indent, flow, true, 80);
                if Some(got.as_str()) != case[key].as_str() {
                    wrong.push(format!("{key} {}\n  wanted {}\n  got    {}", case["v"], case[key], Value::from(got)));
                }
            }
        }
        assert!(count > 100);
        assert!(wrong.is_empty(), "{} of {count}\n{}", wrong.len(), wrong.join("\n"));
    }
}
