//! Ansible's tests (`x is failed`), and Jinja's where they differ from the engine's own.
//!
//! As with filters, an undefined value is refused in every test but `defined` and `undefined`.

mod collection;
mod path;
mod result;
mod version;

use std::sync::LazyLock;

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, tests};

use super::filters::{Call, boolean, compile_pattern, failed};

/// A test.
type Verdict = fn(&mut State, &Call) -> Result<bool, Error>;

/// Tests of Jinja on one value, made strict.
const JINJA: &[(&str, Verdict)] = &[
    ("none", |_, call| Ok(call.input.is_none())),
    ("boolean", |_, call| Ok(call.input.kind() == ValueKind::Bool)),
    ("true", |_, call| Ok(call.input.kind() == ValueKind::Bool && call.input.is_true())),
    ("false", |_, call| Ok(call.input.kind() == ValueKind::Bool && !call.input.is_true())),
    ("string", |_, call| Ok(call.input.kind() == ValueKind::String)),
    ("number", |_, call| Ok(matches!(call.input.kind(), ValueKind::Number | ValueKind::Bool))),
    ("integer", |_, call| Ok(call.input.is_integer())),
    ("int", |_, call| Ok(call.input.is_integer())),
    ("float", |_, call| Ok(call.input.is_number() && !call.input.is_integer())),
    ("mapping", |_, call| Ok(call.input.kind() == ValueKind::Map)),
    ("sequence", |_, call| Ok(matches!(call.input.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String))),
    ("iterable", |_, call| {
        Ok(matches!(call.input.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Iterable))
    }),
    ("callable", |_, call| Ok(call.input.kind() == ValueKind::Plain)),
    ("odd", |_, call| Ok(tests::is_odd(call.input.clone()))),
    ("even", |_, call| Ok(tests::is_even(call.input.clone()))),
    ("divisibleby", |_, call| Ok(tests::is_divisibleby(call.input, &call.needed(0, "num")?))),
    ("lower", |_, call| Ok(tests::is_lower(call.input))),
    ("upper", |_, call| Ok(tests::is_upper(call.input))),
    ("sameas", |_, call| Ok(tests::is_sameas(call.input, &call.needed(0, "other")?))),
    ("eq", equal),
    ("equalto", equal),
    ("==", equal),
    ("ne", |state, call| equal(state, call).map(|same| !same)),
    ("!=", |state, call| equal(state, call).map(|same| !same)),
    ("lt", |_, call| Ok(tests::is_lt(call.input, &call.needed(0, "other")?))),
    ("lessthan", |_, call| Ok(tests::is_lt(call.input, &call.needed(0, "other")?))),
    ("<", |_, call| Ok(tests::is_lt(call.input, &call.needed(0, "other")?))),
    ("le", |_, call| Ok(tests::is_le(call.input, &call.needed(0, "other")?))),
    ("<=", |_, call| Ok(tests::is_le(call.input, &call.needed(0, "other")?))),
    ("gt", |_, call| Ok(tests::is_gt(call.input, &call.needed(0, "other")?))),
    ("greaterthan", |_, call| Ok(tests::is_gt(call.input, &call.needed(0, "other")?))),
    (">", |_, call| Ok(tests::is_gt(call.input, &call.needed(0, "other")?))),
    ("ge", |_, call| Ok(tests::is_ge(call.input, &call.needed(0, "other")?))),
    (">=", |_, call| Ok(tests::is_ge(call.input, &call.needed(0, "other")?))),
];

/// Tests of Ansible on values and text.
const ANSIBLE: &[(&str, Verdict)] = &[
    ("truthy", |_, call| truth(call)),
    ("falsy", |_, call| truth(call).map(|truth| !truth)),
    ("match", |_, call| matches(call, "match")),
    ("search", |_, call| matches(call, "search")),
    ("regex", |_, call| {
        let kind = call.named("match_type").map_or_else(|| "search".to_owned(), |kind| kind.to_string());
        matches(call, &kind)
    }),
    ("vault_encrypted", |_, call| Ok(call.input.as_str().is_some_and(|text| text.starts_with("$ANSIBLE_VAULT;")))),
    ("url", |_, call| {
        let _ = call.argument(0, "schemes");
        Ok(scheme(call)
            .is_some_and(|rest| rest.strip_prefix("//").is_some_and(|host| !host.is_empty() && !host.starts_with('/'))))
    }),
    ("uri", |_, call| {
        let _ = call.argument(0, "schemes");
        Ok(scheme(call).is_some())
    }),
    ("urn", |_, call| Ok(call.input.as_str().is_some_and(|text| text.starts_with("urn:")))),
    ("nan", |_, call| Ok(f64::try_from(call.input.clone()).is_ok_and(f64::is_nan))),
];

fn table() -> impl Iterator<Item = (&'static str, Verdict)> {
    [JINJA, ANSIBLE, collection::VERDICTS, result::VERDICTS, path::VERDICTS, version::VERDICTS]
        .into_iter()
        .flatten()
        .copied()
}

/// Tests of the engine that are Jinja's as they are; the two that take an undefined value.
const OWN: &[&str] = &["defined", "undefined"];

static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut names: Vec<_> = table().map(|(name, _)| name).chain(OWN.iter().copied()).collect();
    names.sort_unstable();
    names
});

/// The names of all tests, sorted.
pub(super) fn names() -> &'static [&'static str] {
    &NAMES
}

pub(super) fn register(environment: &mut Environment<'static>) {
    for (name, verdict) in table() {
        environment.add_test(name, move |state: &mut State, args: Rest<ValueOrKwargs>| {
            let args = args.into_values();
            let call = Call::new(state, name, &args)?;
            let result = verdict(state, &call)?;
            call.end()?;
            Ok::<_, Error>(result)
        });
    }
}

fn equal(_: &mut State, call: &Call) -> Result<bool, Error> {
    Ok(*call.input == call.needed(0, "other")?)
}

/// `is truthy`, with `convert_bool` for text that spells a boolean.
fn truth(call: &Call) -> Result<bool, Error> {
    let convert = call.flag(0, "convert_bool", false);
    if convert && let Some(value) = boolean(call.input) {
        return Ok(value);
    }
    Ok(call.input.is_true())
}

fn matches(call: &Call, kind: &str) -> Result<bool, Error> {
    let text = super::filters::subject(call.input)?;
    let pattern = super::filters::text_of(&call.needed(0, "pattern")?)?;
    let (ignorecase, multiline) = (call.flag(1, "ignorecase", false), call.flag(2, "multiline", false));
    let pattern = match kind {
        "match" => format!("\\A(?:{pattern})"),
        "fullmatch" => format!("\\A(?:{pattern})\\Z"),
        "search" => pattern,
        other => return Err(failed(format!("`regex` knows no match_type `{other}`"))),
    };
    let regex = compile_pattern(&pattern, ignorecase, multiline)?;
    regex.is_match(&text).map_err(|error| failed(format!("a regular expression was given up: {error}")))
}

/// What follows the scheme of a URI.
fn scheme<'a>(call: &'a Call) -> Option<&'a str> {
    let (scheme, rest) = call.input.as_str()?.split_once(':')?;
    let right = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    right.then_some(rest)
}
