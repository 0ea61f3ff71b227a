//! `validate_argument_spec`: looks whether variables are what a specification asks for (a role's `meta/argument_specs.yml`).

use super::{Arguments, Bound, Controller, Course, Done, Effect, Failure, ModuleSpec, Opt, OptKind, to_bool};
use crate::base::{Map, Value, to_text};

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "validate_argument_spec",
    aliases: &[],
    summary: "looks whether variables are what a specification asks for",
    options: &[
        Opt::new("argument_spec", OptKind::Mapping, "what is asked for: `type`, `required`, `choices`, … by name")
            .required(),
        Opt::new("provided_arguments", OptKind::Mapping, "arguments besides the variables"),
        Opt::new("validate_args_context", OptKind::Mapping, "what is checked, for the result"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct Validate {
    spec: Map,
    given: Map,
    context: Option<Map>,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let mapping = |name: &str| arguments.value(name).and_then(Value::as_object).cloned();
    let spec = mapping("argument_spec").unwrap_or_default();
    let mut given = Map::new();
    for (name, asked) in &spec {
        for name in names(name, asked) {
            if let Some(value) = here.variable(name) {
                given.insert(name.to_owned(), value);
            }
        }
    }
    given.extend(mapping("provided_arguments").unwrap_or_default());
    Ok(Bound::Course(Box::new(Validate { spec, given, context: mapping("validate_args_context") })))
}

impl Course for Validate {
    fn run(&self, _here: &dyn Controller) -> Result<Done, Failure> {
        let wrong = mistakes(&self.spec, &self.given, "");
        let mut result = Map::new();
        if let Some(context) = &self.context {
            result.insert("validate_args_context".to_owned(), Value::Object(context.clone()));
        }
        if wrong.is_empty() {
            result.insert("msg".to_owned(), Value::from("The arg spec validation passed"));
            return Ok(Done { changed: false, result, effect: Effect::None });
        }
        let mut failure = Failure::new(format!("Validation of arguments failed:\n{}", wrong.join("\n")));
        result.insert("argument_spec_data".to_owned(), Value::Object(self.spec.clone()));
        result.insert("argument_errors".to_owned(), Value::from(wrong));
        failure.result = result;
        Err(failure)
    }
}

fn names<'a>(name: &'a str, asked: &'a Value) -> impl Iterator<Item = &'a str> {
    let aliases = asked.get("aliases").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    std::iter::once(name).chain(aliases)
}

/// What is wrong, in Ansible's words: what is missing first, then each argument.
fn mistakes(spec: &Map, given: &Map, within: &str) -> Vec<String> {
    let found = if within.is_empty() { String::new() } else { format!(" found in {within}") };
    let mut wrong = Vec::new();
    let is_known = |given: &String| spec.iter().any(|(name, asked)| names(name, asked).any(|name| name == given));
    let unknown: Vec<&str> = given.keys().filter(|name| !is_known(name)).map(String::as_str).collect();
    if !unknown.is_empty() {
        let mut known: Vec<&str> = spec.keys().map(String::as_str).collect();
        known.sort_unstable();
        wrong.push(format!("{}. Supported parameters include: {}.", unknown.join(", "), known.join(", ")));
    }
    let value_of = |name: &str, asked: &Value| names(name, asked).find_map(|name| given.get(name)).cloned();
    let required = |asked: &Value| asked.get("required").and_then(to_bool).unwrap_or(false);
    let missing: Vec<&str> = spec
        .iter()
        .filter(|(name, asked)| required(asked) && value_of(name, asked).is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    if !missing.is_empty() {
        let mut missing = missing;
        missing.sort_unstable();
        wrong.push(format!("missing required arguments: {}{found}", missing.join(", ")));
    }
    for (name, asked) in spec {
        let Some(value) = value_of(name, asked).filter(|value| !value.is_null()) else { continue };
        one(name, asked, &value, within, &mut wrong);
    }
    wrong
}

fn one(name: &str, asked: &Value, value: &Value, within: &str, wrong: &mut Vec<String>) {
    let found = if within.is_empty() { String::new() } else { format!(" found in '{within}'") };
    let text = |key: &str| asked.get(key).and_then(Value::as_str);
    let kind = text("type").unwrap_or("str");
    let Some(value) = converted(kind, value) else {
        let is = python_type(value);
        let article = if kind == "int" { "an" } else { "a" };
        let shown = to_text(value);
        wrong.push(format!(
            "argument '{name}' is of type {is}{found} and we were unable to convert to {kind}: \"'{shown}'\" cannot be \
             converted to {article} {kind}"
        ));
        return;
    };
    if let Some(choices) = asked.get("choices").and_then(Value::as_array) {
        let is_choice = |value: &Value| choices.iter().any(|choice| to_text(choice) == to_text(value));
        let shown = || choices.iter().map(to_text).collect::<Vec<_>>().join(", ");
        match &value {
            Value::Array(items) => {
                let others: Vec<String> = items.iter().filter(|item| !is_choice(item)).map(to_text).collect();
                if !others.is_empty() {
                    wrong.push(format!(
                        "value of {name} must be one or more of: {}. Got no match for: {}{found}",
                        shown(),
                        others.join(", ")
                    ));
                }
            }
            one if !is_choice(one) => {
                wrong.push(format!("value of {name} must be one of: {}, got: {}{found}", shown(), to_text(one)));
            }
            _ => {}
        }
    }
    let path = if within.is_empty() { name.to_owned() } else { format!("{within} -> {name}") };
    let below = asked.get("options").and_then(Value::as_object).filter(|options| !options.is_empty());
    if let (Some(element), Value::Array(items)) = (text("elements"), &value) {
        for item in items {
            if converted(element, item).is_none() {
                wrong.push(format!(
                    "Elements value for option '{name}' is of type {}{found} and we were unable to convert to {element}",
                    python_type(item)
                ));
            }
        }
    }
    let parts: Vec<&Value> = match &value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    };
    for (options, part) in below.into_iter().flat_map(|options| parts.iter().map(move |part| (options, part))) {
        if let Some(given) = part.as_object() {
            wrong.extend(mistakes(options, given, &path));
        }
    }
}

/// A value as the type that is asked for, where it can be.
fn converted(kind: &str, value: &Value) -> Option<Value> {
    match (kind, value) {
        ("bool", value) => to_bool(value).map(Value::from),
        ("int", Value::Number(number)) => {
            number.as_i64().map(Value::from).or_else(|| number.as_f64().filter(|n| n.fract() == 0.0).map(Value::from))
        }
        ("int", Value::String(text)) => text.trim().parse::<i64>().ok().map(Value::from),
        ("float", Value::Number(_)) => Some(value.clone()),
        ("float", Value::String(text)) => text.trim().parse::<f64>().ok().map(Value::from),
        ("list", Value::Array(_)) | ("dict", Value::Object(_)) => Some(value.clone()),
        ("list", Value::String(text)) => Some(text.split(',').map(Value::from).collect()),
        ("list", Value::Number(_)) => Some(Value::Array(vec![Value::from(to_text(value))])),
        ("dict", Value::String(text)) => {
            let json = serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
            json.or_else(|| text.contains('=').then(|| Value::Object(Map::new())))
        }
        ("int" | "float" | "list" | "dict", _) => None,
        _ => Some(value.clone()),
    }
}

fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(spec: Value, given: Value) -> Vec<String> {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        mistakes(&map(spec), &map(given), "")
    }

    #[test]
    fn what_is_as_asked_passes() {
        let spec = json!({
            "port": {"type": "int", "required": true},
            "names": {"type": "list", "elements": "str"},
            "level": {"choices": ["a", "b"]},
            "deep": {"type": "dict", "options": {"x": {"type": "bool", "required": true}}},
        });
        let given = json!({"port": "80", "names": "a,b", "level": "b", "deep": {"x": "yes"}});
        assert_eq!(wrong(spec, given), Vec::<String>::new());
    }

    #[test]
    fn each_mistake_is_named() {
        let spec = json!({
            "b": {"required": true},
            "a": {"required": true},
            "port": {"type": "int"},
            "level": {"choices": ["x", "y"]},
            "deep": {"type": "dict", "options": {"x": {"required": true}}},
        });
        let found = wrong(spec, json!({"port": "http", "level": "z", "deep": {}, "other": 1}));
        assert_eq!(found.len(), 5, "{found:#?}");
        assert_eq!(found[0], "other. Supported parameters include: a, b, deep, level, port.");
        assert_eq!(found[1], "missing required arguments: a, b");
        assert!(found.contains(&"value of level must be one of: x, y, got: z".to_owned()));
        assert!(found.contains(&"missing required arguments: x found in deep".to_owned()));
        assert!(found.iter().any(|line| line.starts_with("argument 'port' is of type str and we were unable to")));
    }
}
