//! The body of a request.

use std::fmt::Write as _;

use crate::base::{Value, to_text, type_name};
use crate::modules::{Arguments, Failure};

/// A body, and the Content-Type that goes with it.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) content_type: Option<&'static str>,
}

/// Writes the option `body` as `body_format` says.
pub(super) fn write(arguments: &Arguments) -> Result<Body, Failure> {
    let format = arguments.required("body_format");
    let body = arguments.value("body").filter(|body| !body.is_null());
    match (format.as_str(), body) {
        ("form-multipart", _) => {
            Err(Failure::new("`body_format: form-multipart` is not supported: use json, form-urlencoded or raw"))
        }
        ("json", body) => {
            let text = match body {
                Some(Value::String(text)) => text.clone(),
                // Ansible sends `null` where there is no body, which a daemon may refuse: nothing is sent here.
                None => String::new(),
                Some(data) => data.to_string(),
            };
            Ok(Body { bytes: text.into_bytes(), content_type: body.map(|_| "application/json") })
        }
        ("form-urlencoded", Some(data)) => {
            Ok(Body { bytes: form(data)?.into_bytes(), content_type: Some("application/x-www-form-urlencoded") })
        }
        (_, Some(Value::Array(_) | Value::Object(_))) => {
            Err(Failure::new("`body` is data: say how to write it, with `body_format: json` or `form-urlencoded`"))
        }
        (_, Some(text)) => Ok(Body { bytes: to_text(text).into_bytes(), content_type: None }),
        (_, None) => Ok(Body { bytes: Vec::new(), content_type: None }),
    }
}

fn form(data: &Value) -> Result<String, Failure> {
    let mut pairs: Vec<(String, Value)> = Vec::new();
    match data {
        Value::String(text) => return Ok(text.clone()),
        Value::Object(map) => pairs.extend(map.iter().map(|(key, value)| (key.clone(), value.clone()))),
        Value::Array(items) => {
            for item in items {
                match item.as_array().map(Vec::as_slice) {
                    Some([key, value]) => pairs.push((to_text(key), value.clone())),
                    _ => return Err(Failure::new("`body` as a list must have pairs of a name and a value")),
                }
            }
        }
        other => {
            return Err(Failure::new(format!(
                "`body` must be a mapping to be form-urlencoded, not {}",
                type_name(other)
            )));
        }
    }
    let mut text = String::new();
    for (key, value) in pairs {
        let values = match value {
            Value::Array(items) => items,
            one => vec![one],
        };
        for value in values {
            if !text.is_empty() {
                text.push('&');
            }
            encode(&mut text, &key);
            text.push('=');
            encode(&mut text, &to_text(&value));
        }
    }
    Ok(text)
}

fn encode(text: &mut String, part: &str) {
    for byte in part.bytes() {
        match byte {
            b' ' => text.push('+'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
}

/// A part of a URL with its `%XX` undone.
pub(super) fn decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after
            .get(..2)
            .and_then(|two| std::str::from_utf8(two).ok())
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
