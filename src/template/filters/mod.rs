//! Ansible's filters, and Jinja's where they differ from the engine's own.
//!
//! A filter takes a [`Call`]; [`register`] refuses undefined values in any of its arguments before it is called, as Ansible does.
//! Every filter is pure: no clock, no network, no disk.

mod call;
mod crypt;
mod digest;
mod json;
mod list;
mod map;
mod number;
mod pattern;
mod pick;
mod python_yaml;
mod sets;
mod text;

use std::sync::LazyLock;

use minijinja::value::{Rest, Value as Jinja, ValueOrKwargs};
use minijinja::{Environment, Error, State, UndefinedBehavior};

use super::environment::FUEL;

pub(super) use call::{Call, failed, items_of, text_of};
pub(super) use number::boolean;
pub(super) use pattern::{compile as compile_pattern, subject};
pub(super) use sets::identity;

/// A filter.
pub(super) type Filter = fn(&mut State, &Call) -> Result<Jinja, Error>;

/// Filters of ours.
fn table() -> impl Iterator<Item = (&'static str, Filter)> {
    [
        text::FILTERS,
        number::FILTERS,
        list::FILTERS,
        pick::FILTERS,
        sets::FILTERS,
        map::FILTERS,
        json::FILTERS,
        pattern::FILTERS,
        digest::FILTERS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Filters of the engine that are Jinja's as they are, but for undefined values.
const OWN: &[&str] = &[
    "abs",
    "attr",
    "batch",
    "capitalize",
    "count",
    "dictsort",
    "e",
    "escape",
    "first",
    "format",
    "groupby",
    "indent",
    "items",
    "last",
    "length",
    "list",
    "lower",
    "pprint",
    "replace",
    "reverse",
    "round",
    "safe",
    "slice",
    "sort",
    "title",
    "tojson",
    "trim",
    "upper",
];

/// Ansible's and Jinja's filters that are not here.
const MISSING: &[&str] = &[
    "combinations",
    "expanduser",
    "expandvars",
    "filesizeformat",
    "fileglob",
    "forceescape",
    "permutations",
    "random",
    "realpath",
    "relpath",
    "shuffle",
    "strftime",
    "striptags",
    "to_datetime",
    "to_uuid",
    "truncate",
    "unvault",
    "urlize",
    "urlsplit",
    "vault",
    "win_basename",
    "win_dirname",
    "win_splitdrive",
    "wordwrap",
    "xmlattr",
    "from_yaml_all",
    "commonpath",
    "normpath",
    "json_query",
    "ipaddr",
    "ipv4",
    "ipv6",
];

/// Whether a filter is one of Ansible's that is not here.
pub(super) fn is_missing(name: &str) -> bool {
    let short = name.rsplit('.').next().unwrap_or(name);
    MISSING.contains(&short)
}

/// The engine's own filters.
static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
});

/// Filters that take undefined values.
const LENIENT: &[&str] = &["default", "d", "mandatory"];

static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut names: Vec<_> =
        table().map(|(name, _)| name).chain(OWN.iter().copied()).chain(LENIENT.iter().copied()).collect();
    names.sort_unstable();
    names.dedup();
    names
});

/// The names of all filters, sorted.
pub(super) fn names() -> &'static [&'static str] {
    &NAMES
}

pub(super) fn register(environment: &mut Environment<'static>) {
    for (name, filter) in table() {
        environment.add_filter(name, move |state: &mut State, args: Rest<ValueOrKwargs>| {
            let args = args.into_values();
            let call = Call::new(state, name, &args)?;
            let result = filter(state, &call)?;
            call.end()?;
            Ok::<_, Error>(result)
        });
    }
    for name in OWN.iter().copied() {
        environment.add_filter(name, move |state: &mut State, args: Rest<ValueOrKwargs>| {
            let args = args.into_values();
            Call::new(state, name, &args)?;
            ENGINE.empty_state().apply_filter(name, &args)
        });
    }
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("mandatory", mandatory);
}

fn default(state: &mut State, value: &Jinja, args: Rest<ValueOrKwargs>) -> Result<Jinja, Error> {
    let args = args.into_values();
    let call = Call::lenient("default", value, &args)?;
    let other = call.argument(0, "default_value").unwrap_or_else(|| Jinja::from(""));
    let falsy = match call.argument(1, "boolean") {
        Some(falsy) => {
            super::environment::defined(state, &falsy)?;
            falsy.is_true()
        }
        None => false,
    };
    call.end()?;
    Ok(if value.is_undefined() || (falsy && !value.is_true()) { other } else { value.clone() })
}

fn mandatory(value: &Jinja, args: Rest<ValueOrKwargs>) -> Result<Jinja, Error> {
    let args = args.into_values();
    let call = Call::lenient("mandatory", value, &args)?;
    let message = call.argument(0, "msg");
    call.end()?;
    if value.is_undefined() {
        let text = message.map_or_else(|| "a mandatory variable is not defined".to_owned(), |text| text.to_string());
        return Err(Error::new(minijinja::ErrorKind::UndefinedError, text));
    }
    Ok(value.clone())
}
