//! Filters to and on numbers and booleans.

use minijinja::value::{Value as Jinja, ValueKind};
use minijinja::{Error, State};

use super::Filter;
use super::call::{Call, failed, shorten, text_of};

pub(super) const FILTERS: &[(&str, Filter)] = &[
    ("bool", |_, call| Ok(Jinja::from(boolean(call.input).unwrap_or(false)))),
    ("int", int),
    ("float", float),
    ("log", log),
    ("pow", pow),
    ("root", root),
    ("human_readable", human_readable),
    ("human_to_bytes", human_to_bytes),
];

/// What Ansible takes for a boolean; `None` when it is neither.
pub(in crate::template) fn boolean(value: &Jinja) -> Option<bool> {
    match value.kind() {
        ValueKind::Bool => Some(value.is_true()),
        ValueKind::Number => match f64::try_from(value.clone()) {
            Ok(1.0) => Some(true),
            Ok(0.0) => Some(false),
            _ => None,
        },
        ValueKind::String => match value.as_str().unwrap_or_default().trim().to_lowercase().as_str() {
            "yes" | "on" | "1" | "true" | "t" | "y" | "1.0" => Some(true),
            "no" | "off" | "0" | "false" | "f" | "n" | "0.0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// As Jinja: what is no number gives the default.
fn int(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let otherwise = call.argument(0, "default").unwrap_or_else(|| Jinja::from(0));
    let base = call.integer(1, "base")?.unwrap_or(10);
    let value = call.input;
    Ok(match value.kind() {
        ValueKind::Bool => Jinja::from(i64::from(value.is_true())),
        ValueKind::Number if value.is_integer() => value.clone(),
        ValueKind::Number => truncated(f64::try_from(value.clone()).unwrap_or(f64::NAN)).unwrap_or(otherwise),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default().trim().replace('_', "");
            match whole(&text, base) {
                Some(number) => number,
                None => text.parse::<f64>().ok().filter(|_| base == 10).and_then(truncated).unwrap_or(otherwise),
            }
        }
        _ => otherwise,
    })
}

fn whole(text: &str, base: i64) -> Option<Jinja> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_lowercase();
    let (base, digits) = match (base, lower.get(..2)) {
        (0 | 16, Some("0x")) => (16, lower.get(2..)?),
        (0 | 8, Some("0o")) => (8, lower.get(2..)?),
        (0 | 2, Some("0b")) => (2, lower.get(2..)?),
        (0, _) => (10, lower.as_str()),
        (base, _) => (u32::try_from(base).ok().filter(|base| (2..=36).contains(base))?, lower.as_str()),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let number = i128::from_str_radix(digits, base).ok()?;
    let number = if negative { -number } else { number };
    Some(i64::try_from(number).map_or_else(|_| Jinja::from(number), Jinja::from))
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
fn truncated(number: f64) -> Option<Jinja> {
    let whole = number.trunc();
    (whole.abs() < 9.2e18).then(|| Jinja::from(whole as i64))
}

fn float(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let otherwise = call.argument(0, "default").unwrap_or_else(|| Jinja::from(0.0));
    Ok(match call.input.kind() {
        ValueKind::Bool => Jinja::from(f64::from(u8::from(call.input.is_true()))),
        ValueKind::Number => Jinja::from(f64::try_from(call.input.clone()).unwrap_or(f64::NAN)),
        ValueKind::String => {
            let text = call.input.as_str().unwrap_or_default().trim().replace('_', "");
            text.parse::<f64>().map_or(otherwise, Jinja::from)
        }
        _ => otherwise,
    })
}

fn number_of(call: &Call, value: &Jinja) -> Result<f64, Error> {
    f64::try_from(value.clone())
        .map_err(|_| failed(format!("`{}` wants a number, not {}", call.name(), shorten(&value.to_string()))))
}

fn log(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let number = number_of(call, call.input)?;
    let result = match call.argument(0, "base") {
        Some(base) => {
            let base = number_of(call, &base)?;
            if base == 10.0 { number.log10() } else { number.ln() / base.ln() }
        }
        None => number.ln(),
    };
    if result.is_finite() { Ok(Jinja::from(result)) } else { Err(failed(format!("there is no logarithm of {number}"))) }
}

fn pow(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let exponent = call.needed(0, "y")?;
    Ok(Jinja::from(number_of(call, call.input)?.powf(number_of(call, &exponent)?)))
}

fn root(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let number = number_of(call, call.input)?;
    let base = call.argument(0, "base").map_or(Ok(2.0), |base| number_of(call, &base))?;
    Ok(Jinja::from(if base == 2.0 { number.sqrt() } else { number.powf(1.0 / base) }))
}

const UNITS: &[(char, f64)] = &[
    ('Y', 1.208_925_819_614_629_2e24),
    ('Z', 1.180_591_620_717_411_3e21),
    ('E', 1_152_921_504_606_846_976.0),
    ('P', 1_125_899_906_842_624.0),
    ('T', 1_099_511_627_776.0),
    ('G', 1_073_741_824.0),
    ('M', 1_048_576.0),
    ('K', 1024.0),
    ('B', 1.0),
];

fn human_readable(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let size = match call.input.as_str() {
        Some(text) => {
            text.trim().parse().map_err(|_| failed(format!("`human_readable` wants a number, not `{text}`")))?
        }
        None => number_of(call, call.input)?,
    };
    let bits = call.flag(0, "isbits", false);
    let wanted = call.text(1, "unit")?;
    let base = if bits { "bits" } else { "Bytes" };
    let unit = UNITS.iter().find(|(unit, limit)| match &wanted {
        Some(wanted) => wanted.to_uppercase().starts_with(*unit),
        None => size >= *limit,
    });
    let (unit, limit) = unit.copied().unwrap_or(('B', 1.0));
    let suffix = if unit == 'B' { base.to_owned() } else { format!("{unit}{}", if bits { 'b' } else { 'B' }) };
    Ok(Jinja::from(format!("{:.2} {suffix}", size / limit)))
}

fn human_to_bytes(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let text = text_of(call.input)?;
    let default_unit = call.text(0, "default_unit")?;
    let _ = call.flag(1, "isbits", false);
    let wrong = || failed(format!("`human_to_bytes` can't read `{text}`: write 10, 10M or 1.5 GB"));
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.trim();
    let unit = if unit.is_empty() { default_unit.as_deref().unwrap_or("B") } else { unit };
    let first = unit.chars().next().map(|c| c.to_ascii_uppercase()).ok_or_else(wrong)?;
    let (_, limit) = UNITS.iter().find(|(unit, _)| *unit == first).ok_or_else(wrong)?;
    truncated((number * limit).round()).ok_or_else(wrong)
}
