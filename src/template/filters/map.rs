//! Filters on mappings.

use minijinja::value::{Value as Jinja, ValueKind};
use minijinja::{Error, State};

use super::Filter;
use super::call::{Call, failed, items_of, text_of, value_of};
use crate::base::{Map, Value};
use crate::template::convert;

pub(super) const FILTERS: &[(&str, Filter)] = &[
    ("combine", combine),
    ("dict2items", dict2items),
    ("items2dict", items2dict),
    ("rekey_on_member", rekey_on_member),
];

fn combine(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let recursive = call.named("recursive").is_some_and(|flag| flag.is_true());
    let lists = call.named("list_merge").map_or(Ok("replace".to_owned()), |value| text_of(&value))?;
    let lists = Lists::from_name(&lists).ok_or_else(|| failed(format!("`combine` knows no list_merge `{lists}`")))?;
    let mut maps = Vec::new();
    let mut add = |value: &Jinja| -> Result<(), Error> {
        // A list of mappings is taken apart.
        let parts = match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => value.try_iter()?.collect(),
            _ => vec![value.clone()],
        };
        for part in parts {
            match value_of(&part)? {
                Value::Object(map) => maps.push(map),
                other => {
                    return Err(failed(format!("`combine` wants mappings, not {}", crate::base::type_name(&other))));
                }
            }
        }
        Ok(())
    };
    add(call.input)?;
    for other in call.rest(0) {
        add(other)?;
    }
    let mut maps = maps.into_iter();
    let mut result = maps.next().unwrap_or_default();
    for map in maps {
        merge(&mut result, map, recursive, lists);
    }
    Ok(convert::from_value(Value::Object(result)))
}

/// What becomes of two lists under one key.
#[derive(Clone, Copy, PartialEq)]
enum Lists {
    Replace,
    Keep,
    Append,
    Prepend,
    AppendMissing,
    PrependMissing,
}

impl Lists {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "replace" => Self::Replace,
            "keep" => Self::Keep,
            "append" => Self::Append,
            "prepend" => Self::Prepend,
            "append_rp" => Self::AppendMissing,
            "prepend_rp" => Self::PrependMissing,
            _ => return None,
        })
    }

    /// `old` and `new` merged. `_rp` removes from the old list what the new one has.
    fn merge(self, mut old: Vec<Value>, mut new: Vec<Value>) -> Vec<Value> {
        match self {
            Self::Replace => new,
            Self::Keep => old,
            Self::Append => {
                old.extend(new);
                old
            }
            Self::Prepend => {
                new.extend(old);
                new
            }
            Self::AppendMissing => {
                old.retain(|item| !new.contains(item));
                old.extend(new);
                old
            }
            Self::PrependMissing => {
                old.retain(|item| !new.contains(item));
                new.extend(old);
                new
            }
        }
    }
}

fn merge(old: &mut Map, new: Map, recursive: bool, lists: Lists) {
    for (key, value) in new {
        match (old.get_mut(&key), value) {
            (Some(Value::Object(inner)), Value::Object(value)) if recursive => merge(inner, value, recursive, lists),
            (Some(Value::Array(inner)), Value::Array(value)) => *inner = lists.merge(std::mem::take(inner), value),
            (_, value) => {
                old.insert(key, value);
            }
        }
    }
}

fn dict2items(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let key_name = call.text(0, "key_name")?.unwrap_or_else(|| "key".to_owned());
    let value_name = call.text(1, "value_name")?.unwrap_or_else(|| "value".to_owned());
    if call.input.kind() != ValueKind::Map {
        return Err(failed(format!("`dict2items` wants a mapping, not {}", call.input.kind())));
    }
    let mut items = Vec::new();
    for key in call.items()? {
        let value = call.input.get_item(&key)?;
        items.push(Jinja::from_pairs([(key_name.clone(), key), (value_name.clone(), value)]));
    }
    Ok(Jinja::from(items))
}

fn items2dict(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let key_name = call.text(0, "key_name")?.unwrap_or_else(|| "key".to_owned());
    let value_name = call.text(1, "value_name")?.unwrap_or_else(|| "value".to_owned());
    let mut map = Map::new();
    for item in call.items()? {
        let member = |name: &str| {
            let value =
                if item.kind() == ValueKind::Map { item.get_item(&Jinja::from(name))? } else { Jinja::UNDEFINED };
            if value.is_undefined() {
                return Err(failed(format!("`items2dict` wants items with `{key_name}` and `{value_name}`")));
            }
            Ok(value)
        };
        map.insert(text_of(&member(&key_name)?)?, value_of(&member(&value_name)?)?);
    }
    Ok(convert::from_value(Value::Object(map)))
}

fn rekey_on_member(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let key = text_of(&call.needed(0, "key")?)?;
    let duplicates = call.text(1, "duplicates")?.unwrap_or_else(|| "error".to_owned());
    let items: Vec<Jinja> = match call.input.kind() {
        ValueKind::Map => call.items()?.iter().map(|name| call.input.get_item(name)).collect::<Result<_, _>>()?,
        _ => items_of("rekey_on_member", call.input)?,
    };
    let mut map = Map::new();
    for item in items {
        let Value::Object(item) = value_of(&item)? else {
            return Err(failed("`rekey_on_member` wants mappings"));
        };
        let Some(name) = item.get(&key).map(crate::base::to_text) else {
            return Err(failed(format!("`rekey_on_member` finds no `{key}` in an item")));
        };
        if duplicates != "overwrite" && map.contains_key(&name) {
            return Err(failed(format!("`rekey_on_member` finds the key `{name}` twice")));
        }
        map.insert(name, Value::Object(item));
    }
    Ok(convert::from_value(Value::Object(map)))
}
