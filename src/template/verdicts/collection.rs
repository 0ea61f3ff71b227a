//! Tests on lists: what is in them.

use std::collections::HashSet;

use minijinja::value::{Value as Jinja, ValueKind};
use minijinja::{Error, State};

use super::Verdict;
use crate::template::filters::{Call, failed, identity, items_of};

pub(super) const VERDICTS: &[(&str, Verdict)] = &[
    ("in", |_, call| holds(&call.needed(0, "seq")?, call.input)),
    ("contains", |_, call| holds(call.input, &call.needed(0, "item")?)),
    ("subset", |_, call| {
        let other = call.needed(0, "b")?;
        Ok(identities(call.input)?.is_subset(&identities(&other)?))
    }),
    ("issubset", |_, call| {
        let other = call.needed(0, "b")?;
        Ok(identities(call.input)?.is_subset(&identities(&other)?))
    }),
    ("superset", |_, call| {
        let other = call.needed(0, "b")?;
        Ok(identities(call.input)?.is_superset(&identities(&other)?))
    }),
    ("issuperset", |_, call| {
        let other = call.needed(0, "b")?;
        Ok(identities(call.input)?.is_superset(&identities(&other)?))
    }),
    ("any", |state, call| each(state, call, false)),
    ("all", |state, call| each(state, call, true)),
];

fn identities(value: &Jinja) -> Result<HashSet<String>, Error> {
    items_of("subset", value)?.iter().map(identity).collect()
}

fn holds(container: &Jinja, item: &Jinja) -> Result<bool, Error> {
    match container.kind() {
        ValueKind::String => match item.as_str() {
            Some(item) => Ok(container.as_str().is_some_and(|text| text.contains(item))),
            None => Err(failed(format!("a text holds text, not {}", item.kind()))),
        },
        ValueKind::Map => Ok(container.try_iter()?.any(|key| key == *item)),
        ValueKind::Seq | ValueKind::Iterable => Ok(container.try_iter()?.any(|other| other == *item)),
        kind => Err(failed(format!("{kind} holds nothing"))),
    }
}

fn each(state: &mut State, call: &Call, all: bool) -> Result<bool, Error> {
    for item in items_of(call.name(), call.input)? {
        crate::template::environment::defined(state, &item)?;
        if item.is_true() != all {
            return Ok(!all);
        }
    }
    Ok(all)
}
