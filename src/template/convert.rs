//! Between the engine's values and plain data.

use std::sync::Arc;

use minijinja::value::{Value as Jinja, ValueKind};

use super::error::TemplateError;
use super::object::{Data, Omit, Written};
use crate::base::{Map, Value};

/// Nesting beyond this is refused.
const DEEPEST: usize = 100;

/// Data as the engine's value. Lists and mappings are looked into on demand.
pub(super) fn from_data(data: &Arc<Value>) -> Jinja {
    match scalar(data) {
        Some(value) => value,
        None => Jinja::from_object(Data::root(Arc::clone(data))),
    }
}

/// Data that was just made.
pub(super) fn from_value(value: Value) -> Jinja {
    match scalar(&value) {
        Some(value) => value,
        None => Jinja::from_object(Data::root(Arc::new(value))),
    }
}

/// A value that is neither list nor mapping.
pub(super) fn scalar(value: &Value) -> Option<Jinja> {
    Some(match value {
        Value::Null => Jinja::from(()),
        Value::Bool(b) => Jinja::from(*b),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(i), ..) => Jinja::from(i),
            (_, Some(u), _) => Jinja::from(u),
            (.., Some(f)) => Jinja::from(f),
            _ => return None,
        },
        Value::String(text) => Jinja::from(text.as_str()),
        Value::Array(_) | Value::Object(_) => return None,
    })
}

/// What comes out of a conversion: a value, or the wish to be left out.
pub(super) enum Plain {
    Value(Value),
    Omitted,
}

/// The engine's value as data. Undefined values inside it are errors; omitted members are left out.
pub(super) fn to_plain(value: &Jinja) -> Result<Plain, TemplateError> {
    plain(value, 0)
}

/// The same for what can't be left out.
pub(super) fn to_value(value: &Jinja) -> Result<Value, TemplateError> {
    match to_plain(value)? {
        Plain::Value(value) => Ok(value),
        Plain::Omitted => Ok(Value::Null),
    }
}

fn plain(value: &Jinja, depth: usize) -> Result<Plain, TemplateError> {
    if depth > DEEPEST {
        return Err(TemplateError::failed(format!("a value is nested more than {DEEPEST} deep")));
    }
    let done = |value: Value| Ok(Plain::Value(value));
    match value.kind() {
        ValueKind::Undefined => Err(TemplateError::undefined("a part of the result is undefined")),
        ValueKind::None => done(Value::Null),
        ValueKind::Bool => done(Value::Bool(value.is_true())),
        ValueKind::Number => done(number(value)),
        ValueKind::String => done(Value::String(value.as_str().unwrap_or_default().to_owned())),
        ValueKind::Bytes => done(Value::String(value.to_string())),
        ValueKind::Invalid => Err(TemplateError::failed(value.to_string())),
        ValueKind::Map => {
            if let Some(data) = value.downcast_object_ref::<Data>() {
                return done(data.get().clone());
            }
            let mut map = Map::new();
            for key in iterate(value)? {
                let item = value.get_item(&key).map_err(|e| TemplateError::from_engine(&e, false))?;
                if item.is_undefined() {
                    let why = value
                        .downcast_object_ref::<Written>()
                        .and_then(Written::cause)
                        .unwrap_or_else(|| format!("the member `{key}` of the result is undefined"));
                    return Err(TemplateError::undefined(why));
                }
                if let Plain::Value(item) = plain(&item, depth + 1)? {
                    map.insert(key_text(&key), item);
                }
            }
            done(Value::Object(map))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            if let Some(data) = value.downcast_object_ref::<Data>() {
                return done(data.get().clone());
            }
            let mut items = Vec::new();
            for item in iterate(value)? {
                if let Plain::Value(item) = plain(&item, depth + 1)? {
                    items.push(item);
                }
            }
            done(Value::Array(items))
        }
        _ if value.downcast_object_ref::<Omit>().is_some() => Ok(Plain::Omitted),
        _ => Err(TemplateError::failed("the result is a function, not a value")),
    }
}

fn iterate(value: &Jinja) -> Result<minijinja::value::ValueIter, TemplateError> {
    value.try_iter().map_err(|e| TemplateError::from_engine(&e, false))
}

fn number(value: &Jinja) -> Value {
    if value.is_integer() {
        if let Some(i) = value.as_i64() {
            return Value::from(i);
        }
        if let Ok(u) = u64::try_from(value.clone()) {
            return Value::from(u);
        }
        // Beyond 64 bits the digits survive as text.
        return Value::String(value.to_string());
    }
    f64::try_from(value.clone()).map_or(Value::Null, Value::from)
}

/// A key as JSON needs it.
fn key_text(key: &Jinja) -> String {
    match key.as_str() {
        Some(text) => text.to_owned(),
        None => key.to_string(),
    }
}

/// A value in a text: nothing for `None`, everything else as Python's `str()` writes it.
pub(super) fn to_text(value: &Jinja) -> Result<String, TemplateError> {
    match value.kind() {
        ValueKind::String => Ok(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::None => Ok(String::new()),
        ValueKind::Number if !value.is_integer() => Ok(float_text(f64::try_from(value.clone()).unwrap_or(f64::NAN))),
        ValueKind::Number => Ok(value.to_string()),
        _ => match to_plain(value)? {
            Plain::Value(value) => Ok(crate::base::to_text(&value)),
            Plain::Omitted => Ok(String::new()),
        },
    }
}

/// A float as Python writes it.
pub(super) fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = value.abs();
    if value != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) => {
                let (sign, number) = match exponent.strip_prefix('-') {
                    Some(number) => ('-', number),
                    None => ('+', exponent),
                };
                format!("{digits}e{sign}{number:0>2}")
            }
            None => text,
        };
    }
    let text = value.to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}
