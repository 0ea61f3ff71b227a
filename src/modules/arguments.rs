//! A module's arguments for one host: rendered, checked against its table, with typed getters.

use std::time::Duration;

use super::{Failure, ModuleSpec, Opt, OptKind, Rule};
use crate::base::{Map, Value, parse_duration, to_text, type_name};
use crate::diag::did_you_mean;

/// Checked arguments. Getters give the default of the table where nothing was given.
#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    spec: &'static ModuleSpec,
    given: Map,
}

impl Arguments {
    /// Checks rendered arguments against the module's table. Aliases become the option's name; values are
    /// brought to the option's type. A null counts as not given.
    ///
    /// # Errors
    /// Unknown, missing, ill-typed or contradicting arguments, all in one message.
    pub(crate) fn check(spec: &'static ModuleSpec, rendered: Map) -> Result<Self, Failure> {
        let mut wrong = Vec::new();
        let mut given = Map::new();
        for (key, value) in rendered {
            let Some(option) = find_option(spec, &key) else {
                if spec.open {
                    given.insert(key, value);
                } else {
                    wrong.push(unknown_option(spec, &key));
                }
                continue;
            };
            if value.is_null() && option.kind != OptKind::Any {
                continue;
            }
            match convert(option, value) {
                Ok(value) => {
                    given.insert(option.name.to_owned(), value);
                }
                Err(reason) => wrong.push(reason),
            }
        }
        for option in spec.options {
            if option.required && !given.contains_key(option.name) {
                wrong.push(format!("`{}` needs `{}`", spec.name, option.name));
            }
        }
        wrong.extend(broken_rules(spec, &|name| given.contains_key(name), &|name| given.get(name).map(to_text)));
        if wrong.is_empty() { Ok(Self { spec, given }) } else { Err(Failure::new(wrong.join("; "))) }
    }

    /// Arguments known at load, for [`ModuleSpec::check`]: nothing is required.
    pub(crate) fn partial(spec: &'static ModuleSpec, literal: Map) -> Self {
        let given = literal
            .into_iter()
            .filter_map(|(key, value)| match find_option(spec, &key) {
                Some(option) => convert(option, value).ok().map(|value| (option.name.to_owned(), value)),
                None => Some((key, value)),
            })
            .collect();
        Self { spec, given }
    }

    /// What was given beyond the table, for modules that take any key.
    pub(crate) fn others(&self) -> Map {
        let known = |key: &str| self.spec.options.iter().any(|option| option.name == key);
        self.given.iter().filter(|(key, _)| !known(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Whether an option was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// The value as given.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.given.get(name)
    }

    fn default_of(&self, name: &str) -> Option<&'static str> {
        self.spec.options.iter().find(|option| option.name == name).and_then(|option| option.default)
    }

    /// Text, or its default.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.given.get(name).map(to_text).or_else(|| self.default_of(name).map(str::to_owned))
    }

    /// Text of a required option; empty only when the table does not require it.
    pub(crate) fn required(&self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }

    /// A boolean, or its default, or false.
    pub(crate) fn flag(&self, name: &str) -> bool {
        match self.given.get(name) {
            Some(Value::Bool(b)) => *b,
            _ => self.default_of(name).is_some_and(|text| matches!(text, "true" | "yes")),
        }
    }

    /// A whole number, or its default.
    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.given
            .get(name)
            .and_then(Value::as_i64)
            .or_else(|| self.default_of(name).and_then(|text| text.parse().ok()))
    }

    /// A duration, or its default.
    pub(crate) fn duration(&self, name: &str) -> Option<Duration> {
        let text = self.text(name)?;
        parse_duration(&text).ok()
    }

    /// A list of texts, or its default; empty when there is neither.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        match self.given.get(name) {
            Some(Value::Array(items)) => items.iter().map(to_text).collect(),
            _ => self
                .default_of(name)
                .map(|text| text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect())
                .unwrap_or_default(),
        }
    }

    /// A mapping; empty when not given.
    pub(crate) fn mapping(&self, name: &str) -> Map {
        match self.given.get(name) {
            Some(Value::Object(map)) => map.clone(),
            _ => Map::new(),
        }
    }
}

/// The option of a name or alias.
pub(crate) fn find_option(spec: &'static ModuleSpec, key: &str) -> Option<&'static Opt> {
    spec.options.iter().find(|option| option.name == key || option.aliases.contains(&key))
}

/// The message about an option that a module does not have.
pub(crate) fn unknown_option(spec: &'static ModuleSpec, key: &str) -> String {
    match did_you_mean(key, spec.options.iter().map(|option| option.name)) {
        Some(meant) => format!("`{}` has no option `{key}`: did you mean `{meant}`?", spec.name),
        None => format!("`{}` has no option `{key}`", spec.name),
    }
}

/// Brings a rendered value to an option's type.
///
/// # Errors
/// It can't be: a sentence with the option's name.
pub(crate) fn convert(option: &Opt, value: Value) -> Result<Value, String> {
    let wrong = |expected: &str, value: &Value| {
        Err(format!("`{}` must be {expected}, not {} (`{}`)", option.name, type_name(value), to_text(value)))
    };
    if let Some(why) = option.refused {
        return Err(format!("`{}` is not supported: {why}", option.name));
    }
    match option.kind {
        OptKind::Any | OptKind::Expression => Ok(value),
        OptKind::Text | OptKind::Path | OptKind::LocalPath => match value {
            Value::Array(_) | Value::Object(_) if option.kind != OptKind::Text => wrong("a path", &value),
            Value::String(_) => Ok(value),
            other => Ok(Value::String(to_text(&other))),
        },
        OptKind::Choice(words) => {
            let text = match &value {
                Value::Bool(true) if words.contains(&"yes") && !words.contains(&"true") => "yes".to_owned(),
                Value::Bool(false) if words.contains(&"no") && !words.contains(&"false") => "no".to_owned(),
                other => to_text(other),
            };
            if words.contains(&text.as_str()) {
                return Ok(Value::String(text));
            }
            let meant = did_you_mean(&text, words.iter().copied())
                .map(|m| format!("; did you mean `{m}`?"))
                .unwrap_or_default();
            Err(format!("`{}` is one of {}, not `{text}`{meant}", option.name, words.join(", ")))
        }
        OptKind::Bool => match to_bool(&value) {
            Some(b) => Ok(Value::Bool(b)),
            None => wrong("a boolean (true or false)", &value),
        },
        OptKind::Int => match &value {
            Value::Number(n) if n.is_i64() || n.is_u64() => Ok(value),
            Value::Number(n) if n.as_f64().is_some_and(|f| f.fract() == 0.0) =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "a whole number was checked for")]
                Ok(Value::from(n.as_f64().unwrap_or(0.0) as i64))
            }
            Value::String(text) => match text.trim().parse::<i64>() {
                Ok(number) => Ok(Value::from(number)),
                Err(_) => wrong("a whole number", &value),
            },
            _ => wrong("a whole number", &value),
        },
        OptKind::Duration => match parse_duration(&to_text(&value)) {
            Ok(_) => Ok(value),
            Err(reason) => Err(format!("`{}`: {reason}", option.name)),
        },
        OptKind::List => Ok(match value {
            Value::Array(_) => value,
            Value::String(text) => {
                Value::Array(text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(Value::from).collect())
            }
            other => Value::Array(vec![other]),
        }),
        OptKind::Mapping => match value {
            Value::Object(_) => Ok(value),
            Value::String(text) => match serde_json::from_str::<Value>(&text) {
                Ok(Value::Object(map)) => Ok(Value::Object(map)),
                _ => wrong("a mapping", &Value::String(text)),
            },
            other => wrong("a mapping", &other),
        },
        OptKind::Mode => match &value {
            // A YAML integer is the number itself: `0644` was read as octal already (facts/ansible.md §14).
            Value::Number(n) => match n.as_u64() {
                Some(bits) if bits <= 0o7777 => Ok(Value::String(format!("{bits:04o}"))),
                _ => wrong("permission bits such as \"0644\"", &value),
            },
            Value::String(text) if mode_is_right(text) => Ok(value),
            _ => wrong("permission bits such as \"0644\" or \"u=rw,g=r\"", &value),
        },
    }
}

fn mode_is_right(text: &str) -> bool {
    let octal = !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let symbolic = |part: &str| {
        let rest = part.trim_start_matches(['u', 'g', 'o', 'a']);
        rest.starts_with(['+', '-', '=']) && rest.bytes().all(|b| b"+-=rwxXstugo".contains(&b))
    };
    octal || text == "preserve" || (!text.is_empty() && text.split(',').all(symbolic))
}

/// A boolean in any of Ansible's spellings.
pub(crate) fn to_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::Number(n) if n.as_i64() == Some(1) => Some(true),
        Value::Number(n) if n.as_i64() == Some(0) => Some(false),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "yes" | "on" | "1" | "true" | "t" | "y" => Some(true),
            "no" | "off" | "0" | "false" | "f" | "n" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// The rules of a table that do not hold, a sentence each.
pub(crate) fn broken_rules(
    spec: &'static ModuleSpec,
    has: &dyn Fn(&str) -> bool,
    text: &dyn Fn(&str) -> Option<String>,
) -> Vec<String> {
    let quoted = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let mut broken = Vec::new();
    for rule in spec.rules {
        match *rule {
            Rule::OneOf(names) if !names.iter().any(|name| has(name)) => {
                broken.push(format!("`{}` needs one of {}", spec.name, quoted(names)));
            }
            Rule::AtMostOne(names) if names.iter().filter(|name| has(name)).count() > 1 => {
                let both: Vec<&str> = names.iter().copied().filter(|name| has(name)).collect();
                broken.push(format!("`{}` takes only one of {}", spec.name, quoted(&both)));
            }
            Rule::Needs(one, other) if has(one) && !has(other) => {
                broken.push(format!("`{one}` of `{}` needs `{other}`", spec.name));
            }
            Rule::When(option, value, needed) if text(option).as_deref() == Some(value) => {
                for name in needed.iter().filter(|name| !has(name)) {
                    broken.push(format!("`{}` with `{option}: {value}` needs `{name}`", spec.name));
                }
            }
            _ => {}
        }
    }
    broken
}
