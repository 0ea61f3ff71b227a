//! What a plain scalar is: the rules of YAML 1.1 as PyYAML applies them.
//!
//! Differences to YAML 1.2 that playbooks rest on: `yes`, `no`, `on`, `off` are booleans (`y` and `n` are not), a leading zero
//! means octal, `1:30` is 90, and `1e3` is text because an exponent needs a dot and a sign. Dates stay text here.

use std::sync::Arc;

use crate::base::{NodeKind, Style};

/// The kind of a plain (unquoted) scalar.
pub(crate) fn resolve(text: &str) -> NodeKind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return NodeKind::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return NodeKind::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return NodeKind::Bool(false),
        _ => {}
    }
    let number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    if number {
        match integer(text) {
            Some(Integer::Small(value)) => return NodeKind::Int(value),
            // Digits must survive: a float would round them.
            Some(Integer::Large) => return string(&text.replace('_', "")),
            None => {}
        }
        if let Some(value) = float(text) {
            return NodeKind::Float(value);
        }
    }
    string(text)
}

fn string(text: &str) -> NodeKind {
    NodeKind::String { text: Arc::from(text), style: Style::Plain, raw: false }
}

/// A whole number: one that fits, or one beyond 64 bits.
pub(super) enum Integer {
    Small(i64),
    Large,
}

pub(super) fn integer(text: &str) -> Option<Integer> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if let Some(binary) = digits.strip_prefix("0b") {
        return radix(binary, 2, negative);
    }
    if let Some(hex) = digits.strip_prefix("0x") {
        return radix(hex, 16, negative);
    }
    if digits == "0" {
        return Some(Integer::Small(0));
    }
    if let Some(octal) = digits.strip_prefix('0') {
        return if octal.bytes().all(|b| b == b'_') { Some(Integer::Small(0)) } else { radix(octal, 8, negative) };
    }
    if digits.contains(':') {
        return sexagesimal(digits, negative);
    }
    radix(digits, 10, negative)
}

/// Digits with underscores anywhere but not only underscores.
fn radix(digits: &str, base: u32, negative: bool) -> Option<Integer> {
    let mut value: Option<i128> = Some(0);
    let mut any = false;
    for c in digits.chars() {
        if c == '_' {
            if !any && base == 10 {
                return None;
            }
            continue;
        }
        let digit = c.to_digit(base)?;
        any = true;
        value = value.and_then(|v| v.checked_mul(i128::from(base))?.checked_add(i128::from(digit)));
    }
    if !any {
        return None;
    }
    Some(value.map_or(Integer::Large, |v| fit(v, negative)))
}

fn fit(value: i128, negative: bool) -> Integer {
    let signed = if negative { -value } else { value };
    i64::try_from(signed).map_or(Integer::Large, Integer::Small)
}

fn sexagesimal(digits: &str, negative: bool) -> Option<Integer> {
    let mut parts = digits.split(':');
    let first = parts.next()?;
    if !first.starts_with(|c: char| ('1'..='9').contains(&c)) {
        return None;
    }
    let mut value: i128 = match radix(first, 10, false)? {
        Integer::Small(v) => i128::from(v),
        Integer::Large => return Some(Integer::Large),
    };
    for part in parts {
        value = value.checked_mul(60)?.checked_add(i128::from(sixty(part)?))?;
    }
    Some(fit(value, negative))
}

/// `0` to `59`, one or two digits.
fn sixty(part: &str) -> Option<u8> {
    let right = matches!(part.len(), 1 | 2) && part.bytes().all(|b| b.is_ascii_digit());
    part.parse().ok().filter(|value| right && *value < 60)
}

fn float(text: &str) -> Option<f64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, text.get(1..)?),
        b'+' => (1.0, text.get(1..)?),
        _ => (1.0, text),
    };
    if matches!(rest, ".inf" | ".Inf" | ".INF") {
        return Some(sign * f64::INFINITY);
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(f64::NAN);
    }
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let (whole, fraction) = rest.split_once('.')?;
    if let Some((first, others)) = whole.split_once(':') {
        let starts = first.starts_with(|c: char| c.is_ascii_digit());
        if !starts || !digits(first) || !digits(fraction) {
            return None;
        }
        let mut value: f64 = first.replace('_', "").parse().ok()?;
        for part in others.split(':') {
            value = value * 60.0 + f64::from(sixty(part)?);
        }
        let fraction: f64 = format!("0.{}", fraction.replace('_', "")).parse().ok()?;
        return Some(sign * (value + fraction));
    }
    let (fraction, exponent) = match fraction.split_once(['e', 'E']) {
        Some((fraction, exponent)) => {
            let digits = exponent.strip_prefix(['-', '+'])?;
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            (fraction, exponent)
        }
        None => (fraction, "0"),
    };
    let right = if whole.is_empty() {
        // A sign before a bare fraction makes it text.
        rest.len() == text.len() && fraction.starts_with(|c: char| c.is_ascii_digit())
    } else {
        whole.starts_with(|c: char| c.is_ascii_digit())
    };
    if !right || !digits(whole) || !digits(fraction) {
        return None;
    }
    let plain = format!("{}.{}e{exponent}", whole.replace('_', ""), fraction.replace('_', ""));
    let plain = if plain.starts_with('.') { format!("0{plain}") } else { plain };
    plain.parse::<f64>().ok().map(|value| sign * value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line: the scalar as written, what PyYAML 6.0 makes of it (recorded; dates and big numbers are ours).
    const RECORDED: &str = include_str!("../../tests/yaml/scalars.txt");

    fn name(kind: &NodeKind) -> String {
        match kind {
            NodeKind::Null => "null".to_owned(),
            NodeKind::Bool(value) => format!("bool {value}"),
            NodeKind::Int(value) => format!("int {value}"),
            NodeKind::Float(value) => format!("float {value:?}"),
            NodeKind::String { text, .. } => format!("str {text}"),
            _ => "other".to_owned(),
        }
    }

    #[test]
    fn scalars_are_what_pyyaml_says() {
        let mut count = 0;
        for line in RECORDED.lines().filter(|line| !line.starts_with('#')) {
            let (written, wanted) = line.split_once('\t').expect("two columns");
            assert_eq!(name(&resolve(written)), wanted, "{written}");
            count += 1;
        }
        assert!(count > 60, "{count} cases");
    }

    #[test]
    fn digits_beyond_64_bits_survive_as_text() {
        assert_eq!(name(&resolve("99999999999999999999")), "str 99999999999999999999");
        assert_eq!(name(&resolve("9223372036854775807")), "int 9223372036854775807");
        assert_eq!(name(&resolve("-9223372036854775808")), "int -9223372036854775808");
    }

    #[test]
    fn dates_stay_text() {
        assert_eq!(name(&resolve("2026-11-24")), "str 2026-11-24");
    }
}
