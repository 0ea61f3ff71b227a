//! JSON as the daemons print it: one line, keys sorted, slashes escaped, numbers as C++ prints a double.

use std::fmt::Write;

use serde_json::Value;

/// Prints a value.
pub(crate) fn render(value: &Value, digits: usize) -> String {
    let mut out = String::new();
    write_value(value, digits, &mut out);
    out
}

fn write_value(value: &Value, digits: usize, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push(if *value { '1' } else { '0' }),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => {
                let _ = write!(out, "{whole}");
            }
            (None, Some(float)) => out.push_str(&general(float, digits)),
            (None, None) => out.push('0'),
        },
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item, digits, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut keys: Vec<&String> = members.keys().collect();
            keys.sort();
            out.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write_value(&members[key], digits, out);
            }
            out.push('}');
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// `%.Ng` without exponents: no value here needs one.
fn general(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let before = value.abs().log10().floor() as i64 + 1;
    let after = (digits as i64 - before).clamp(0, 17) as usize;
    let text = format!("{value:.after$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_of_their_version() {
        assert_eq!(general(1_795_189_071.549_56, 15), "1795189071.54956");
        assert_eq!(general(1_795_189_071.549_56, 10), "1795189072");
        assert_eq!(general(25.496_356_1, 10), "25.4963561");
        assert_eq!(general(0.5, 15), "0.5");
    }

    #[test]
    fn keys_are_sorted_and_slashes_escaped() {
        let value = serde_json::json!({"b": true, "a": ["/x", 1, 4.5]});
        assert_eq!(render(&value, 15), r#"{"a":["\/x",1,4.5],"b":1}"#);
    }
}
