//! Filters that treat lists as sets; the order of the first list is kept.

use std::collections::HashSet;

use minijinja::value::Value as Jinja;
use minijinja::{Error, State};

use super::Filter;
use super::call::{Call, items_of, text_of, value_of};
use crate::template::environment;

pub(super) const FILTERS: &[(&str, Filter)] = &[
    ("unique", unique),
    ("union", union),
    ("intersect", intersect),
    ("difference", difference),
    ("symmetric_difference", symmetric_difference),
];

/// What makes two values the same: `1`, `1.0` and `True` are one value in Python, `'1'` is another.
pub(in crate::template) fn identity(value: &Jinja) -> Result<String, Error> {
    let data = value_of(value)?;
    Ok(match &data {
        crate::base::Value::Bool(b) => u8::from(*b).to_string(),
        crate::base::Value::Number(number) => match number.as_f64() {
            Some(real) if real.fract() == 0.0 && real.abs() < 9e15 => format!("{real:.0}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    })
}

fn distinct(items: Vec<Jinja>, keep: impl Fn(&str) -> bool) -> Result<Vec<Jinja>, Error> {
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    for item in items {
        let identity = identity(&item)?;
        if keep(&identity) && seen.insert(identity) {
            kept.push(item);
        }
    }
    Ok(kept)
}

fn identities(items: &[Jinja]) -> Result<HashSet<String>, Error> {
    items.iter().map(identity).collect()
}

fn unique(state: &mut State, call: &Call) -> Result<Jinja, Error> {
    let sensitive = call.flag(0, "case_sensitive", false);
    let attribute = call.text(1, "attribute")?;
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    for item in call.items()? {
        let mut key = match &attribute {
            Some(path) => super::list::path(&item, path)?,
            None => item.clone(),
        };
        environment::defined(state, &key)?;
        if !sensitive && key.as_str().is_some() {
            key = Jinja::from(text_of(&key)?.to_lowercase());
        }
        if seen.insert(identity(&key)?) {
            kept.push(item);
        }
    }
    Ok(Jinja::from(kept))
}

fn other(call: &Call) -> Result<Vec<Jinja>, Error> {
    items_of(call.name(), &call.needed(0, "b")?)
}

fn union(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let mut all = call.items()?;
    all.extend(other(call)?);
    Ok(Jinja::from(distinct(all, |_| true)?))
}

fn intersect(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let known = identities(&other(call)?)?;
    Ok(Jinja::from(distinct(call.items()?, |identity| known.contains(identity))?))
}

fn difference(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let known = identities(&other(call)?)?;
    Ok(Jinja::from(distinct(call.items()?, |identity| !known.contains(identity))?))
}

fn symmetric_difference(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let (first, second) = (call.items()?, other(call)?);
    let (known_first, known_second) = (identities(&first)?, identities(&second)?);
    let mut all = first;
    all.extend(second);
    Ok(Jinja::from(distinct(all, |identity| !(known_first.contains(identity) && known_second.contains(identity)))?))
}
