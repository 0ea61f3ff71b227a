//! What a slave offers: cpus, mem, disk, ports, and names of its owner's.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::era::Era;

/// One resource: a number, or ranges as text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Amount {
    Scalar(f64),
    Ranges(String),
}

/// Resources in the order in which they are printed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Resources(pub(crate) Vec<(String, Amount)>);

/// What this machine has, where the flag does not say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Detected {
    pub(crate) cpus: f64,
    pub(crate) mem: f64,
    pub(crate) disk: f64,
}

impl Resources {
    /// Reads `cpus:2;mem:512;ports:[31000-31099]`; a role in parentheses is dropped. What is missing of the four known names is detected,
    /// where the flag is given at all since 0.13 only. 0.13.0 silently drops other names.
    pub(crate) fn parse(flag: &str, era: Era, detected: Detected) -> Result<Resources, String> {
        let mut found: Vec<(String, Amount)> = Vec::new();
        for part in flag.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part
                .split_once(':')
                .ok_or_else(|| format!("Bad value for resources, missing or extra ':' in {part}"))?;
            let name = name.split('(').next().unwrap_or_default().trim().to_owned();
            let value = value.trim();
            let amount = match value.parse::<f64>() {
                Ok(number) => Amount::Scalar(number),
                Err(_) if value.starts_with('[') || value.starts_with('{') => Amount::Ranges(value.to_owned()),
                Err(_) => return Err(format!("Bad value for resources: {value}")),
            };
            found.push((name, amount));
        }
        if era < Era::V0_13 && !found.is_empty() {
            return Ok(Resources(found));
        }
        let mut ordered = Vec::new();
        let defaults = [
            ("cpus", Amount::Scalar(detected.cpus)),
            ("mem", Amount::Scalar(detected.mem)),
            ("disk", Amount::Scalar(detected.disk)),
            ("ports", Amount::Ranges("[31000-32000]".to_owned())),
        ];
        for (name, default) in defaults {
            let own = found.iter().position(|(other, _)| other == name).map(|index| found.remove(index).1);
            ordered.push((name.to_owned(), own.unwrap_or(default)));
        }
        if era != Era::V0_13 {
            ordered.extend(found);
        }
        Ok(Resources(ordered))
    }

    pub(crate) fn scalar(&self, name: &str) -> f64 {
        self.0
            .iter()
            .find_map(|(other, amount)| match amount {
                Amount::Scalar(number) if other == name => Some(*number),
                _ => None,
            })
            .unwrap_or_default()
    }

    pub(crate) fn to_json(&self) -> Value {
        let member = |(name, amount): &(String, Amount)| {
            let value = match amount {
                Amount::Scalar(number) => number_of(*number),
                Amount::Ranges(text) => Value::from(text.as_str()),
            };
            (name.clone(), value)
        };
        Value::Object(self.0.iter().map(member).collect::<Map<String, Value>>())
    }

    /// As a log line has them: `cpus=2; …` until 0.13, `cpus(*):2; …` later.
    pub(crate) fn text(&self, era: Era) -> String {
        let one = |(name, amount): &(String, Amount)| {
            let value = match amount {
                Amount::Scalar(number) => number.to_string(),
                Amount::Ranges(text) => text.clone(),
            };
            if era < Era::V0_14 { format!("{name}={value}") } else { format!("{name}(*):{value}") }
        };
        self.0.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    /// As protobuf prints a message of them.
    pub(crate) fn debug_text(&self, era: Era) -> String {
        let role = if era < Era::V0_14 { "" } else { "  role: \"*\"\n" };
        let one = |(name, amount): &(String, Amount)| match amount {
            Amount::Scalar(number) => {
                format!(
                    "resources {{\n  name: \"{name}\"\n  type: SCALAR\n  scalar {{\n    value: {number}\n  }}\n{role}}}\n"
                )
            }
            Amount::Ranges(text) => {
                let range = |part: &str| {
                    let (begin, end) = part.split_once('-').unwrap_or((part, part));
                    format!("    range {{\n      begin: {}\n      end: {}\n    }}\n", begin.trim(), end.trim())
                };
                let ranges: String = text.trim_matches(['[', ']', '{', '}']).split(',').map(range).collect();
                format!("resources {{\n  name: \"{name}\"\n  type: RANGES\n  ranges {{\n{ranges}  }}\n{role}}}\n")
            }
        };
        self.0.iter().map(one).collect()
    }
}

/// A number that is printed without a fraction where it has none.
pub(crate) fn number_of(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 { json!(number as i64) } else { json!(number) }
}
