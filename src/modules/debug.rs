//! `debug`: shows a message or the value of an expression.

use super::assert::bare;
use super::{Arguments, Bound, Controller, Course, Done, Effect, Failure, ModuleSpec, Opt, OptKind, Rule};
use crate::base::{Map, Value, to_text};

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "debug",
    aliases: &[],
    summary: "shows a message or the value of an expression",
    options: &[
        Opt::new("msg", OptKind::Any, "what to show").default("Hello world!"),
        Opt::new("var", OptKind::Expression, "the expression whose value is shown, without braces"),
        Opt::new("verbosity", OptKind::Int, "only with so many `-v` or more").default("0"),
    ],
    free_form: None,
    open: false,
    rules: &[Rule::AtMostOne(&["msg", "var"])],
    check: None,
    build,
};

#[derive(Debug)]
struct Debug {
    shown: Shown,
    verbosity: i64,
}

#[derive(Debug)]
enum Shown {
    Message(Value),
    Variable(Value),
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    let shown = match (arguments.value("var"), arguments.value("msg")) {
        (Some(expression), _) if !expression.is_null() => Shown::Variable(expression.clone()),
        (_, Some(message)) => Shown::Message(message.clone()),
        _ => Shown::Message(Value::from("Hello world!")),
    };
    Ok(Bound::Course(Box::new(Debug { shown, verbosity: arguments.int("verbosity").unwrap_or(0) })))
}

impl Course for Debug {
    fn run(&self, here: &dyn Controller) -> Result<Done, Failure> {
        let mut result = Map::new();
        if self.verbosity > i64::from(here.verbosity()) {
            result.insert("skipped".to_owned(), Value::Bool(true));
            result.insert("skipped_reason".to_owned(), Value::from("Verbosity threshold not met."));
            return Ok(Done { changed: false, result, effect: Effect::None });
        }
        match &self.shown {
            Shown::Message(message) => {
                result.insert("msg".to_owned(), message.clone());
            }
            Shown::Variable(Value::String(text)) => {
                let expression = bare(text)?;
                // An undefined variable is shown and is no failure, as in Ansible.
                let value = here.evaluate(expression).unwrap_or_else(|failure| {
                    let mut said = "VARIABLE IS NOT DEFINED!".to_owned();
                    if here.verbosity() > 0 {
                        said = format!("{said}: {}", failure.message);
                    }
                    Value::from(said)
                });
                result.insert(expression.to_owned(), value);
            }
            Shown::Variable(other) => {
                let name = match other {
                    Value::Array(_) => "<class 'list'>".to_owned(),
                    Value::Object(_) => "<class 'dict'>".to_owned(),
                    plain => to_text(plain),
                };
                result.insert(name, other.clone());
            }
        }
        Ok(Done { changed: false, result, effect: Effect::None })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::fixture::{Fixture, HOST, course};

    fn shown(arguments: Value) -> Value {
        let mut here = Fixture::default();
        here.variables.insert(HOST.to_owned(), json!({"x": {"a": 1}}).as_object().cloned().unwrap_or_default());
        Value::Object(course(&SPEC, arguments, &here).expect("shows").result)
    }

    #[test]
    fn messages_keep_their_type() {
        assert_eq!(shown(json!({})), json!({"msg": "Hello world!"}));
        assert_eq!(shown(json!({"msg": ["a", 1]})), json!({"msg": ["a", 1]}));
    }

    #[test]
    fn a_variable_is_shown_under_its_name() {
        assert_eq!(shown(json!({"var": "x"})), json!({"x": {"a": 1}}));
        assert_eq!(shown(json!({"var": "{{ x }}"})), json!({"x": {"a": 1}}));
        assert_eq!(shown(json!({"var": "y"})), json!({"y": "VARIABLE IS NOT DEFINED!"}));
    }

    #[test]
    fn verbosity_skips() {
        assert_eq!(
            shown(json!({"msg": "a", "verbosity": 2})),
            json!({"skipped": true, "skipped_reason": "Verbosity threshold not met."})
        );
    }
}
