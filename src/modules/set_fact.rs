//! `set_fact`: sets variables of the host.

use super::{Arguments, Bound, Controller, Course, Done, Effect, Failure, ModuleSpec, Opt, OptKind};
use crate::base::{Map, Value};

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "set_fact",
    aliases: &[],
    summary: "sets variables of the host, for the rest of the run",
    options: &[Opt::new("cacheable", OptKind::Bool, "also keep them as facts between runs").default("false")],
    free_form: None,
    open: true,
    rules: &[],
    check: Some(check),
    build,
};

#[derive(Debug)]
struct SetFact {
    facts: Map,
    cacheable: bool,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    check(arguments).map_err(Failure::new)?;
    let facts = arguments.others();
    if facts.is_empty() {
        return Err(Failure::new("`set_fact` needs at least one variable to set"));
    }
    Ok(Bound::Course(Box::new(SetFact { facts, cacheable: arguments.flag("cacheable") })))
}

fn check(arguments: &Arguments) -> Result<(), String> {
    match arguments.others().keys().find(|name| !name.contains("{{") && !is_name(name)) {
        Some(wrong) => Err(format!(
            "`{wrong}` can't be the name of a variable: it must start with a letter or underscore and have only letters, \
             digits and underscores"
        )),
        None => Ok(()),
    }
}

/// Whether a text can be a variable's name in an expression.
pub(super) fn is_name(text: &str) -> bool {
    const WORDS: &[&str] =
        &["and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None"];
    let start = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    start && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !WORDS.contains(&text)
}

impl Course for SetFact {
    fn run(&self, _here: &dyn Controller) -> Result<Done, Failure> {
        let mut result = Map::new();
        result.insert("ansible_facts".to_owned(), Value::Object(self.facts.clone()));
        Ok(Done {
            changed: false,
            result,
            effect: Effect::Facts { facts: self.facts.clone(), cacheable: self.cacheable },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::fixture::{Fixture, course};

    #[test]
    fn values_keep_their_type_and_null_is_a_value() {
        let done = course(&SPEC, json!({"a": 1, "b": null, "c": [true]}), &Fixture::default()).expect("sets");
        let facts = json!({"a": 1, "b": null, "c": [true]});
        assert_eq!(Value::Object(done.result), json!({"ansible_facts": facts}));
        let wanted = facts.as_object().cloned().unwrap_or_default();
        assert_eq!(done.effect, Effect::Facts { facts: wanted, cacheable: false });
    }

    #[test]
    fn cacheable_is_an_option_and_no_variable() {
        let done = course(&SPEC, json!({"a": "yes", "cacheable": "yes"}), &Fixture::default()).expect("sets");
        let wanted = json!({"a": "yes"}).as_object().cloned().unwrap_or_default();
        assert_eq!(done.effect, Effect::Facts { facts: wanted, cacheable: true });
    }

    #[test]
    fn nothing_to_set_and_bad_names_fail() {
        let failed = |arguments| course(&SPEC, arguments, &Fixture::default()).expect_err("fails").message;
        assert_eq!(failed(json!({"cacheable": true})), "`set_fact` needs at least one variable to set");
        assert!(failed(json!({"a-b": 1})).starts_with("`a-b` can't be the name of a variable"));
        assert!(failed(json!({"1a": 1})).starts_with("`1a` can't"));
    }
}
