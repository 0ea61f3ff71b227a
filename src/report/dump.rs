//! Results as JSON in Ansible's manner: keys sorted, not escaped to ASCII, without what Ansible keeps to itself.

use super::clean::clean_json;
use crate::base::{Map, Value};

/// A string longer than this is cut, characters.
const LONGEST: usize = 65_536;

/// How it is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `{"a": 1, "b": 2}`.
    Line,
    /// Indented by four.
    Indented,
    /// `{"a": 1,"b": 2}`: what `-o` makes of an indentation of 0 with its newlines taken out.
    Tight,
}

/// A result as people see it under Ansible. `failed` and `skipped` are in the line's first word.
pub(super) fn dump_result(result: &Map, layout: Layout, verbosity: u8) -> String {
    let hidden = |key: &str| {
        key.starts_with("_ansible_")
            || matches!(key, "failed" | "skipped")
            || verbosity < 3 && matches!(key, "invocation" | "diff" | "exception")
    };
    let shown: Map =
        result.iter().filter(|(key, _)| !hidden(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
    let mut text = String::new();
    write(&mut text, &Value::Object(shown), layout, 0);
    clean_json(&text)
}

fn write(text: &mut String, value: &Value, layout: Layout, depth: usize) {
    let (open, close, empty) = match value {
        Value::Array(items) => ('[', ']', items.is_empty()),
        Value::Object(map) => ('{', '}', map.is_empty()),
        Value::String(long) if long.len() > LONGEST => {
            let count = long.chars().count();
            let cut: String = long.chars().take(LONGEST).collect();
            let cut = if count > LONGEST { format!("{cut}… ({} more characters)", count - LONGEST) } else { cut };
            text.push_str(&Value::String(cut).to_string());
            return;
        }
        plain => {
            text.push_str(&plain.to_string());
            return;
        }
    };
    text.push(open);
    if !empty {
        let mut first = true;
        let mut next = |text: &mut String| {
            if !first {
                text.push(',');
                if layout == Layout::Line {
                    text.push(' ');
                }
            }
            first = false;
            indent(text, layout, depth + 1);
        };
        match value {
            Value::Array(items) => {
                for item in items {
                    next(text);
                    write(text, item, layout, depth + 1);
                }
            }
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by(|a, b| a.0.cmp(b.0));
                for (key, item) in entries {
                    next(text);
                    text.push_str(&Value::String(key.clone()).to_string());
                    text.push_str(": ");
                    write(text, item, layout, depth + 1);
                }
            }
            _ => {}
        }
        indent(text, layout, depth);
    }
    text.push(close);
}

fn indent(text: &mut String, layout: Layout, depth: usize) {
    if layout == Layout::Indented {
        text.push('\n');
        text.push_str(&"    ".repeat(depth));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn results_are_written_as_python_writes_them() {
        let Value::Object(result) = json!({
            "rc": 1, "changed": true, "failed": true, "invocation": {}, "_ansible_no_log": false,
            "cmd": ["false"], "empty": [], "none": {}, "text": "é \"x\"\u{1b}"
        }) else {
            panic!()
        };
        assert_eq!(
            dump_result(&result, Layout::Line, 0),
            r#"{"changed": true, "cmd": ["false"], "empty": [], "none": {}, "rc": 1, "text": "é \"x\"\u001b"}"#
        );
        assert_eq!(
            dump_result(&result, Layout::Tight, 0),
            r#"{"changed": true,"cmd": ["false"],"empty": [],"none": {},"rc": 1,"text": "é \"x\"\u001b"}"#
        );
        insta::assert_snapshot!(dump_result(&result, Layout::Indented, 3), @r#"
        {
            "changed": true,
            "cmd": [
                "false"
            ],
            "empty": [],
            "invocation": {},
            "none": {},
            "rc": 1,
            "text": "é \"x\"\u001b"
        }
        "#);
    }

    #[test]
    fn long_strings_are_cut() {
        let Value::Object(result) = json!({"stdout": "x".repeat(LONGEST + 7)}) else { panic!() };
        assert!(dump_result(&result, Layout::Line, 0).ends_with("x… (7 more characters)\"}"));
    }
}
