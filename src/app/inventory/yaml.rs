//! Data as block YAML in the look of ansible-inventory: sorted keys, list items under their key without indentation.

use crate::base::{NodeKind, Value, to_text};
use crate::yaml::resolve_scalar;

/// A document with its final newline.
pub(super) fn render(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(_) | Value::Array(_) if !is_empty(value) => block(value, 0, &mut out),
        _ => {
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
    out
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn block(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            let mut sorted: Vec<(&String, &Value)> = map.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            for (number, (name, value)) in sorted.into_iter().enumerate() {
                // The first entry of a mapping in a list stands behind the dash.
                if number > 0 || !out.ends_with("- ") {
                    out.push_str(&indent);
                }
                out.push_str(&text(name));
                out.push(':');
                member(value, depth, out);
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                if number > 0 || !out.ends_with("- ") {
                    out.push_str(&indent);
                }
                out.push('-');
                if matches!(item, Value::Object(_) | Value::Array(_)) && !is_empty(item) {
                    out.push(' ');
                    block(item, depth + 1, out);
                } else {
                    out.push(' ');
                    out.push_str(&scalar(item));
                    out.push('\n');
                }
            }
        }
        _ => {}
    }
}

fn member(value: &Value, depth: usize, out: &mut String) {
    if let Some(vaulted) = marked(value, "__ansible_vault") {
        out.push_str(" !vault |\n");
        for line in vaulted.lines() {
            out.push_str(&"  ".repeat(depth + 1));
            out.push_str(line);
            out.push('\n');
        }
    } else if marked(value, "__ansible_unsafe").is_some() || is_empty(value) {
        out.push(' ');
        out.push_str(&scalar(value));
        out.push('\n');
    } else if value.is_object() {
        out.push('\n');
        block(value, depth + 1, out);
    } else if value.is_array() {
        out.push('\n');
        block(value, depth, out);
    } else {
        out.push(' ');
        out.push_str(&scalar(value));
        out.push('\n');
    }
}

/// The text of a mapping with this one key: how vaulted and never rendered text is marked.
fn marked<'a>(value: &'a Value, mark: &str) -> Option<&'a str> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    map.get(mark)?.as_str()
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        Value::Null => "null".to_owned(),
        Value::Number(number) if number.is_f64() => to_text(value),
        Value::Object(_) => match marked(value, "__ansible_unsafe") {
            // The mark must survive, or the text would be a template when it is read again.
            Some(string) => format!("!unsafe {}", quoted(string)),
            None => "{}".to_owned(),
        },
        Value::Array(_) => "[]".to_owned(),
        other => other.to_string(),
    }
}

/// Text so that it is read back as the same text, by YAML 1.1 too.
fn text(string: &str) -> String {
    let indicator = string
        .starts_with([',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`', '=', '<', '~']);
    let starter = string.starts_with(['-', '?', ':'])
        && string.chars().nth(1).is_none_or(|c| c.is_whitespace() || matches!(c, '-' | ':' | '?'));
    let inside = string.contains(": ") || string.ends_with(':') || string.contains(" #");
    let blanks = string.is_empty() || string.starts_with(' ') || string.ends_with(' ');
    let control = string.chars().any(needs_escape);
    let document = string.starts_with("---") || string.starts_with("...");
    let plain = !(indicator || starter || inside || blanks || control || document || is_date(string));
    if plain && matches!(resolve_scalar(string), NodeKind::String { .. }) { string.to_owned() } else { quoted(string) }
}

/// YAML 1.1 reads days and points in time; stagger does not, others do.
fn is_date(string: &str) -> bool {
    let bytes = string.as_bytes();
    bytes.len() >= 8 && bytes.iter().take(4).all(u8::is_ascii_digit) && bytes.get(4) == Some(&b'-')
}

fn quoted(string: &str) -> String {
    if string.chars().any(needs_escape) {
        // JSON's escapes are YAML's; what JSON leaves as it is and YAML may not is escaped here.
        let json = Value::from(string).to_string();
        return json.chars().map(|c| if needs_escape(c) { format!("\\u{:04x}", c as u32) } else { c.into() }).collect();
    }
    format!("'{}'", string.replace('\'', "''"))
}

fn needs_escape(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}
