//! The operator's options over the stored ones. Destroying and installing merges nothing by itself: what is not given goes back
//! to its default.

use serde_json::Value;

/// An option that differs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Difference {
    /// `data_nodes.count`.
    pub(crate) path: String,
    /// What it was; nothing when it was not given.
    pub(crate) before: Option<Value>,
    /// What it will be.
    pub(crate) after: Option<Value>,
}

/// Lays one tree over another: mappings are merged, anything else is replaced.
pub(crate) fn merge(under: &Value, over: &Value) -> Value {
    let (Value::Object(under), Value::Object(over)) = (under, over) else { return over.clone() };
    let mut merged = under.clone();
    for (name, value) in over {
        let value = merged.get(name).map_or_else(|| value.clone(), |before| merge(before, value));
        merged.insert(name.clone(), value);
    }
    Value::Object(merged)
}

/// What differs, by path.
pub(crate) fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(Some(before), Some(after), "", &mut found);
    found
}

fn compare(before: Option<&Value>, after: Option<&Value>, path: &str, found: &mut Vec<Difference>) {
    if before == after {
        return;
    }
    let empty = serde_json::Map::new();
    let map = |side: Option<&Value>| -> Option<serde_json::Map<String, Value>> {
        match side {
            Some(Value::Object(map)) => Some(map.clone()),
            None => Some(empty.clone()),
            Some(_) => None,
        }
    };
    if let (Some(left), Some(right)) = (map(before), map(after))
        && (before.is_some_and(Value::is_object) || after.is_some_and(Value::is_object))
    {
        let mut names: Vec<&String> = left.keys().chain(right.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            compare(left.get(name), right.get(name), &inner, found);
        }
        return;
    }
    found.push(Difference { path: path.to_owned(), before: before.cloned(), after: after.cloned() });
}
