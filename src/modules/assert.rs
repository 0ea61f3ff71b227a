//! `assert`: fails when an expression is not true.

use super::{Arguments, Bound, Controller, Course, Done, Effect, Failure, ModuleSpec, Opt, OptKind};
use crate::base::{Map, Value, to_text, type_name};

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "assert",
    aliases: &[],
    summary: "fails when an expression is not true",
    options: &[
        Opt::new("that", OptKind::Expression, "an expression or a list of them; all must be true").required(),
        Opt::new("fail_msg", OptKind::Any, "what to say when one is not: a text or a list of texts").aliases(&["msg"]),
        Opt::new("success_msg", OptKind::Any, "what to say when all are: a text or a list of texts"),
        Opt::new("quiet", OptKind::Bool, "say nothing when all are true").default("false"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct Assert {
    that: Vec<Value>,
    fail_msg: Value,
    success_msg: Value,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    let that = match arguments.value("that") {
        Some(Value::Array(items)) => items.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    Ok(Bound::Course(Box::new(Assert {
        that,
        fail_msg: message(arguments, "fail_msg", "Assertion failed")?,
        success_msg: message(arguments, "success_msg", "All assertions passed")?,
    })))
}

fn message(arguments: &Arguments, name: &str, default: &str) -> Result<Value, Failure> {
    match arguments.value(name) {
        None | Some(Value::Null) => Ok(Value::from(default)),
        Some(text @ Value::String(_)) => Ok(text.clone()),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => Ok(Value::Array(items.clone())),
        Some(other) => {
            Err(Failure::new(format!("`{name}` must be a text or a list of texts, not {}", type_name(other))))
        }
    }
}

impl Course for Assert {
    fn run(&self, here: &dyn Controller) -> Result<Done, Failure> {
        for expression in &self.that {
            let value = evaluate(expression, here).map_err(|failure| {
                Failure { message: format!("`{}`: {}", to_text(expression), failure.message), result: failure.result }
                    .with("assertion", expression.clone())
            })?;
            match value {
                Value::Bool(true) => {}
                Value::Bool(false) => {
                    let mut failure = Failure::new(said(&self.fail_msg))
                        .with("evaluated_to", false)
                        .with("assertion", expression.clone());
                    if self.fail_msg.is_array() {
                        failure = failure.with("msg", self.fail_msg.clone());
                    }
                    return Err(failure);
                }
                other => {
                    let message = format!(
                        "`{}` is {} (`{}`), not true or false: compare it with something, or use `| bool` or `is truthy`",
                        to_text(expression),
                        type_name(&other),
                        to_text(&other)
                    );
                    return Err(Failure::new(message).with("assertion", expression.clone()));
                }
            }
        }
        let mut result = Map::new();
        result.insert("msg".to_owned(), self.success_msg.clone());
        Ok(Done { changed: false, result, effect: Effect::None })
    }
}

fn said(message: &Value) -> String {
    match message {
        Value::Array(lines) => lines.iter().map(to_text).collect::<Vec<_>>().join("\n"),
        other => to_text(other),
    }
}

fn evaluate(expression: &Value, here: &dyn Controller) -> Result<Value, Failure> {
    match expression {
        Value::String(text) => here.evaluate(bare(text)?),
        other => Ok(other.clone()),
    }
}

/// The expression without the braces that some write around it.
///
/// # Errors
/// Braces stand elsewhere in it: what they would give can't be read as an expression again without the risk that a
/// host's text is run as one.
pub(super) fn bare(text: &str) -> Result<&str, Failure> {
    let trimmed = text.trim();
    let inner = trimmed.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    let inner = inner.unwrap_or(trimmed);
    if inner.contains("{{") || inner.contains("{%") {
        return Err(Failure::new(format!(
            "`{trimmed}` has a template inside an expression: write the variable's name without braces"
        )));
    }
    Ok(inner.trim())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::fixture::{Fixture, HOST, course};

    fn here() -> Fixture {
        let mut here = Fixture::default();
        here.variables.insert(
            HOST.to_owned(),
            json!({"up": true, "down": false, "word": "yes"}).as_object().cloned().unwrap_or_default(),
        );
        here
    }

    fn run(arguments: Value) -> Result<Done, Failure> {
        course(&SPEC, arguments, &here())
    }

    #[test]
    fn all_true_passes_with_ansibles_words() {
        let done = run(json!({"that": ["up", "{{ up }}", true]})).expect("passes");
        assert_eq!(Value::Object(done.result), json!({"msg": "All assertions passed"}));
        assert!(!done.changed);
        let done = run(json!({"that": "up", "success_msg": ["a", "b"]})).expect("passes");
        assert_eq!(Value::Object(done.result), json!({"msg": ["a", "b"]}));
    }

    #[test]
    fn the_first_false_one_is_named() {
        let failure = run(json!({"that": ["up", "down"], "msg": "not well"})).expect_err("fails");
        assert_eq!(failure.message, "not well");
        assert_eq!(Value::Object(failure.result), json!({"evaluated_to": false, "assertion": "down"}));
    }

    #[test]
    fn what_is_neither_true_nor_false_is_no_condition() {
        let failure = run(json!({"that": "word"})).expect_err("fails");
        assert!(failure.message.contains("`word` is a string (`yes`), not true or false"), "{}", failure.message);
    }

    #[test]
    fn undefined_names_the_assertion() {
        let failure = run(json!({"that": "nothing"})).expect_err("fails");
        assert_eq!(failure.message, "`nothing`: `nothing` is undefined");
        assert_eq!(Value::Object(failure.result), json!({"assertion": "nothing"}));
    }

    #[test]
    fn a_template_inside_an_expression_is_refused() {
        assert!(run(json!({"that": "'{{ word }}' == 'yes'"})).is_err());
    }
}
