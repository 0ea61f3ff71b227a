//! Filters to and from JSON and YAML.

use std::fmt::Write as _;

use minijinja::value::{Value as Jinja, ValueKind};
use minijinja::{Error, State};

use super::call::{Call, failed, text_of};
use super::{Filter, python_yaml};
use crate::base::{SourceId, Value};
use crate::template::convert::{self, float_text};

pub(super) const FILTERS: &[(&str, Filter)] = &[
    ("to_json", to_json),
    ("to_nice_json", to_nice_json),
    ("from_json", from_json),
    ("to_yaml", to_yaml),
    ("to_nice_yaml", to_nice_yaml),
    ("from_yaml", from_yaml),
];

/// How JSON is written. The defaults are Python's.
struct Layout {
    indent: Option<usize>,
    sort_keys: bool,
    ascii: bool,
    item: String,
    key: String,
}

fn layout(call: &Call, indent: Option<usize>, sort_keys: bool) -> Result<Layout, Error> {
    let indent = match call.argument(0, "indent") {
        Some(value) if value.is_none() => None,
        Some(value) => Some(value.as_usize().ok_or_else(|| failed("`indent` is a whole number"))?.min(100)),
        None => indent,
    };
    let sort_keys = call.flag(1, "sort_keys", sort_keys);
    let ascii = call.named("ensure_ascii").is_none_or(|flag| flag.is_true());
    for ignored in ["preprocess_unsafe", "vault_to_text", "profile"] {
        let _ = call.named(ignored);
    }
    let item = if indent.is_some() { "," } else { ", " }.to_owned();
    let mut layout = Layout { indent, sort_keys, ascii, item, key: ": ".to_owned() };
    if let Some(separators) = call.named("separators") {
        let parts: Vec<String> = separators.try_iter()?.map(|part| text_of(&part)).collect::<Result<_, _>>()?;
        if let [item, key] = parts.as_slice() {
            (layout.item, layout.key) = (item.clone(), key.clone());
        }
    }
    Ok(layout)
}

fn to_json(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let layout = layout(call, None, false)?;
    let mut out = String::new();
    write(&call.input_value()?, &layout, 0, &mut out);
    Ok(Jinja::from(out))
}

fn to_nice_json(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let layout = layout(call, Some(4), true)?;
    let mut out = String::new();
    write(&call.input_value()?, &layout, 0, &mut out);
    Ok(Jinja::from(out))
}

fn write(value: &Value, layout: &Layout, level: usize, out: &mut String) {
    let line = |level: usize, out: &mut String| {
        if let Some(indent) = layout.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * level));
        }
    };
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(number) => match (number.is_f64(), number.as_f64()) {
            (true, Some(real)) => out.push_str(&float_text(real)),
            _ => out.push_str(&number.to_string()),
        },
        Value::String(text) => string(text, layout.ascii, out),
        Value::Array(items) if items.is_empty() => out.push_str("[]"),
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push_str(&layout.item);
                }
                line(level + 1, out);
                write(item, layout, level + 1, out);
            }
            line(level, out);
            out.push(']');
        }
        Value::Object(map) if map.is_empty() => out.push_str("{}"),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            if layout.sort_keys {
                entries.sort_by(|a, b| a.0.cmp(b.0));
            }
            out.push('{');
            for (place, (key, item)) in entries.into_iter().enumerate() {
                if place > 0 {
                    out.push_str(&layout.item);
                }
                line(level + 1, out);
                string(key, layout.ascii, out);
                out.push_str(&layout.key);
                write(item, layout, level + 1, out);
            }
            line(level, out);
            out.push('}');
        }
    }
}

fn string(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 || (ascii && !c.is_ascii()) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn from_json(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let _ = call.named("profile");
    let text = call.input_text()?;
    serde_json::from_str(&text)
        .map(convert::from_value)
        .map_err(|error| failed(format!("`from_json` was given no JSON: {error}")))
}

fn yaml_layout(call: &Call, indent: usize) -> Result<(usize, bool, usize), Error> {
    let indent = call.argument(0, "indent").and_then(|value| value.as_usize()).unwrap_or(indent).clamp(1, 10);
    let sort_keys = call.named("sort_keys").is_none_or(|flag| flag.is_true());
    let width = call.named("width").and_then(|value| value.as_usize()).unwrap_or(80);
    for ignored in ["allow_unicode", "default_style", "explicit_start", "explicit_end", "encoding", "canonical"] {
        if call.named(ignored).is_some_and(|value| value.is_true() && ignored != "allow_unicode") {
            return Err(failed(format!("`{}` does not know `{ignored}` here", call.name())));
        }
    }
    Ok((indent, sort_keys, width))
}

fn to_yaml(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let flow = call.named("default_flow_style").filter(|value| !value.is_none()).map(|value| value.is_true());
    let (indent, sort_keys, width) = yaml_layout(call, 2)?;
    Ok(Jinja::from(python_yaml::dump(&call.input_value()?, indent, flow, sort_keys, width)))
}

fn to_nice_yaml(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let flow = call.named("default_flow_style").is_some_and(|value| value.is_true());
    let (indent, sort_keys, width) = yaml_layout(call, 4)?;
    Ok(Jinja::from(python_yaml::dump(&call.input_value()?, indent, Some(flow), sort_keys, width)))
}

fn from_yaml(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    if call.input.kind() != ValueKind::String {
        return Ok(call.input.clone());
    }
    let (node, mistakes) = crate::yaml::parse_text(&call.input_text()?, SourceId(u32::MAX));
    match node {
        Some(node) => Ok(convert::from_value(node.to_value())),
        None => {
            let why = mistakes.last().map_or("", |mistake| mistake.message.as_str());
            Err(failed(format!("`from_yaml` was given no YAML: {why}")))
        }
    }
}
