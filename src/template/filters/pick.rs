//! Filters that apply a test or a filter to each item.

use minijinja::value::{Kwargs, Value as Jinja};
use minijinja::{Error, ErrorKind, State};

use super::Filter;
use super::call::{Call, failed, text_of};
use super::list::path;
use crate::template::environment::defined;

pub(super) const FILTERS: &[(&str, Filter)] = &[
    ("map", map),
    ("select", |state, call| pick(state, call, false, true)),
    ("reject", |state, call| pick(state, call, false, false)),
    ("selectattr", |state, call| pick(state, call, true, true)),
    ("rejectattr", |state, call| pick(state, call, true, false)),
];

/// The name of a filter or test without the builtin collection.
fn short(name: &Jinja) -> Result<String, Error> {
    let name = text_of(name)?;
    let short = name.strip_prefix("ansible.builtin.").or_else(|| name.strip_prefix("ansible.legacy."));
    Ok(short.unwrap_or(&name).to_owned())
}

/// The arguments for an inner call: the item, then what the outer call was given.
fn arguments(item: &Jinja, rest: &[Jinja], named: &[(String, Jinja)]) -> Vec<Jinja> {
    let mut all = vec![item.clone()];
    all.extend_from_slice(rest);
    if !named.is_empty() {
        all.push(Jinja::from(named.iter().cloned().collect::<Kwargs>()));
    }
    all
}

fn map(state: &mut State, call: &Call) -> Result<Jinja, Error> {
    let mut mapped = Vec::new();
    if let Some(attribute) = call.named("attribute") {
        let default = call.named("default");
        let steps = text_of(&attribute)?;
        for item in call.items()? {
            defined(state, &item)?;
            let value = path(&item, &steps)?;
            mapped.push(match (value.is_undefined(), &default) {
                (true, Some(default)) => default.clone(),
                (true, None) => {
                    let kind = item.kind();
                    return Err(Error::new(
                        ErrorKind::UndefinedError,
                        format!("an item ({kind}) has no attribute `{steps}`"),
                    ));
                }
                (false, _) => value,
            });
        }
        return Ok(Jinja::from(mapped));
    }
    let (name, rest) =
        call.rest(0).split_first().ok_or_else(|| failed("`map` wants a filter's name or `attribute=`"))?;
    let name = short(name)?;
    let named = call.all_named();
    let items = match call.input.as_str() {
        Some(_) => call.input.try_iter()?.collect(),
        None => call.items()?,
    };
    for item in items {
        mapped.push(
            state
                .apply_filter(&name, &arguments(&item, rest, &named))
                .map_err(|error| unknown(error, "filter", &name))?,
        );
    }
    Ok(Jinja::from(mapped))
}

fn pick(state: &mut State, call: &Call, by_attribute: bool, keep: bool) -> Result<Jinja, Error> {
    let mut rest = call.rest(0);
    let mut steps = None;
    if by_attribute {
        let (first, others) =
            rest.split_first().ok_or_else(|| failed(format!("`{}` wants an attribute", call.name())))?;
        steps = Some(text_of(first)?);
        rest = others;
    }
    let named = call.all_named();
    let test = match rest.split_first() {
        Some((name, arguments)) => Some((short(name)?, arguments)),
        None => None,
    };
    let mut picked = Vec::new();
    for item in call.items()? {
        let subject = match &steps {
            Some(steps) => {
                defined(state, &item)?;
                path(&item, steps)?
            }
            None => item.clone(),
        };
        let passed = match &test {
            Some((name, rest)) => state
                .perform_test(name, &arguments(&subject, rest, &named))
                .map_err(|error| unknown(error, "test", name))?,
            None if subject.is_undefined() => {
                let steps = steps.as_deref().unwrap_or_default();
                return Err(Error::new(ErrorKind::UndefinedError, format!("an item has no attribute `{steps}`")));
            }
            None => subject.is_true(),
        };
        if passed == keep {
            picked.push(item);
        }
    }
    Ok(Jinja::from(picked))
}

fn unknown(error: Error, what: &str, name: &str) -> Error {
    match error.kind() {
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest => failed(format!("unknown {what} `{name}`")),
        _ => error,
    }
}
