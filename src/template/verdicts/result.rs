//! Tests on what a task registered.

use minijinja::value::{Value as Jinja, ValueKind};
use minijinja::{Error, State};

use super::Verdict;
use crate::template::filters::{Call, failed};

pub(super) const VERDICTS: &[(&str, Verdict)] = &[
    ("failed", |_, call| member(call, "failed")),
    ("failure", |_, call| member(call, "failed")),
    ("succeeded", |_, call| member(call, "failed").map(|failed| !failed)),
    ("success", |_, call| member(call, "failed").map(|failed| !failed)),
    ("successful", |_, call| member(call, "failed").map(|failed| !failed)),
    ("changed", changed),
    ("change", changed),
    ("skipped", |_, call| member(call, "skipped")),
    ("skip", |_, call| member(call, "skipped")),
    ("unreachable", |_, call| member(call, "unreachable")),
    ("reachable", |_, call| member(call, "unreachable").map(|unreachable| !unreachable)),
    ("timedout", |_, call| {
        let timedout = get(call, call.input, "timedout")?;
        Ok(timedout.is_true())
    }),
    // What did not run asynchronously has both started and finished.
    ("started", |_, call| asynchronous(call, "started")),
    ("finished", |_, call| asynchronous(call, "finished")),
];

/// A member of a result; null when it is not there.
fn get(call: &Call, result: &Jinja, name: &str) -> Result<Jinja, Error> {
    if result.kind() != ValueKind::Map {
        return Err(failed(format!(
            "`is {}` looks at a registered result, and this is {}",
            call.name(),
            result.kind()
        )));
    }
    let value = result.get_item(&Jinja::from(name))?;
    Ok(if value.is_undefined() { Jinja::from(()) } else { value })
}

fn member(call: &Call, name: &str) -> Result<bool, Error> {
    Ok(get(call, call.input, name)?.is_true())
}

/// A loop's result is changed when one of its items is.
fn changed(_: &mut State, call: &Call) -> Result<bool, Error> {
    let changed = get(call, call.input, "changed")?;
    if !changed.is_none() {
        return Ok(changed.is_true());
    }
    let results = get(call, call.input, "results")?;
    if !matches!(results.kind(), ValueKind::Seq) {
        return Ok(false);
    }
    for result in results.try_iter()? {
        if result.kind() == ValueKind::Map && get(call, &result, "changed")?.is_true() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn asynchronous(call: &Call, name: &str) -> Result<bool, Error> {
    let value = get(call, call.input, name)?;
    Ok(value.is_none() || value.is_true())
}
