//! The test `version`: loose (the default), strict, or semantic.

use std::cmp::Ordering;

use minijinja::Error;

use super::Verdict;
use crate::template::filters::{Call, failed, text_of};

pub(super) const VERDICTS: &[(&str, Verdict)] =
    &[("version", |_, call| version(call)), ("version_compare", |_, call| version(call))];

fn version(call: &Call) -> Result<bool, Error> {
    let (value, other) = (text_of(call.input)?, text_of(&call.needed(0, "version")?)?);
    let operator = call.text(1, "operator")?.unwrap_or_else(|| "eq".to_owned());
    let strict = call.argument(2, "strict").filter(|flag| !flag.is_none()).map(|flag| flag.is_true());
    let kind = call.text(3, "version_type")?.filter(|kind| kind != "None");
    let kind = match (kind.as_deref(), strict) {
        (Some(_), Some(_)) => return Err(failed("`version` takes `strict` or `version_type`, not both")),
        (Some(kind), None) => kind.to_owned(),
        (None, Some(true)) => "strict".to_owned(),
        _ => "loose".to_owned(),
    };
    if value.is_empty() || other.is_empty() {
        return Err(failed("a version that is compared is empty"));
    }
    let order = match kind.as_str() {
        "loose" => loose(&value, &other)?,
        "strict" => strict_parts(&value)?.cmp(&strict_parts(&other)?),
        "semver" | "semantic" => semantic(&value, &other)?,
        unknown => return Err(failed(format!("`version` knows loose, strict and semver, not `{unknown}`"))),
    };
    Ok(match operator.as_str() {
        "==" | "=" | "eq" => order == Ordering::Equal,
        "!=" | "<>" | "ne" => order != Ordering::Equal,
        "<" | "lt" => order == Ordering::Less,
        "<=" | "le" => order != Ordering::Greater,
        ">" | "gt" => order == Ordering::Greater,
        ">=" | "ge" => order != Ordering::Less,
        unknown => return Err(failed(format!("`version` knows no operator `{unknown}`: ==, !=, <, <=, >, >="))),
    })
}

/// A part of a loose version.
#[derive(PartialEq, Eq, Debug)]
enum Part {
    Number(u128),
    Word(String),
}

/// Runs of digits, runs of small letters, and whatever else; dots separate.
fn parts(text: &str) -> Vec<Part> {
    let kind = |c: char| {
        if c.is_ascii_digit() {
            0
        } else if c.is_ascii_lowercase() {
            1
        } else if c == '.' {
            2
        } else {
            3
        }
    };
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| kind(c) != kind(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        match kind(first) {
            2 => {}
            0 => found.push(run.parse().map_or_else(|_| Part::Word(run.to_owned()), Part::Number)),
            _ => found.push(Part::Word(run.to_owned())),
        }
    }
    found
}

fn loose(a: &str, b: &str) -> Result<Ordering, Error> {
    let (first, second) = (parts(a), parts(b));
    for (left, right) in first.iter().zip(&second) {
        let order = match (left, right) {
            (Part::Number(left), Part::Number(right)) => left.cmp(right),
            (Part::Word(left), Part::Word(right)) => left.cmp(right),
            _ => return Err(failed(format!("the versions `{a}` and `{b}` can't be compared: a number meets a word"))),
        };
        if order != Ordering::Equal {
            return Ok(order);
        }
    }
    Ok(first.len().cmp(&second.len()))
}

/// `1.2`, `1.2.3`, `1.2a1`: numbers, then a pre-release, which comes before its release.
fn strict_parts(text: &str) -> Result<([u64; 3], bool, u8, u64), Error> {
    let wrong = || failed(format!("`{text}` is no strict version: write 1.2, 1.2.3 or 1.2b1"));
    let (numbers, pre) = match text.find(['a', 'b']) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at..)),
        None => (text, None),
    };
    let mut found = [0u64; 3];
    let fields: Vec<&str> = numbers.split('.').collect();
    if !(2..=3).contains(&fields.len()) {
        return Err(wrong());
    }
    for (place, field) in found.iter_mut().zip(fields) {
        *place = field.parse().map_err(|_| wrong())?;
    }
    let (letter, number) = match pre {
        Some(pre) => (pre.bytes().next().unwrap_or(0), pre.get(1..).unwrap_or_default().parse().map_err(|_| wrong())?),
        None => (0, 0),
    };
    Ok((found, pre.is_none(), letter, number))
}

fn semantic(a: &str, b: &str) -> Result<Ordering, Error> {
    let read = |text: &str| -> Result<([u64; 3], Vec<String>), Error> {
        let wrong = || failed(format!("`{text}` is no semantic version: write 1.2.3 or 1.2.3-rc.1"));
        let without_build = text.split('+').next().unwrap_or_default();
        let (core, pre) = without_build.split_once('-').map_or((without_build, None), |(core, pre)| (core, Some(pre)));
        let fields: Vec<&str> = core.split('.').collect();
        let [major, minor, patch] = fields.as_slice() else { return Err(wrong()) };
        let number = |field: &str| field.parse::<u64>().map_err(|_| wrong());
        let pre = pre.map_or_else(Vec::new, |pre| pre.split('.').map(str::to_owned).collect());
        Ok(([number(major)?, number(minor)?, number(patch)?], pre))
    };
    let ((core_a, pre_a), (core_b, pre_b)) = (read(a)?, read(b)?);
    let order = core_a.cmp(&core_b);
    if order != Ordering::Equal {
        return Ok(order);
    }
    match (pre_a.is_empty(), pre_b.is_empty()) {
        (true, true) => return Ok(Ordering::Equal),
        (true, false) => return Ok(Ordering::Greater),
        (false, true) => return Ok(Ordering::Less),
        (false, false) => {}
    }
    for (left, right) in pre_a.iter().zip(&pre_b) {
        let order = match (left.parse::<u64>(), right.parse::<u64>()) {
            (Ok(left), Ok(right)) => left.cmp(&right),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => left.cmp(right),
        };
        if order != Ordering::Equal {
            return Ok(order);
        }
    }
    Ok(pre_a.len().cmp(&pre_b.len()))
}
