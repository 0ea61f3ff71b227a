//! `set_stats`: numbers and texts about the run that are shown at its end.

use super::set_fact::is_name;
use super::{Arguments, Bound, Controller, Course, Done, Effect, Failure, ModuleSpec, Opt, OptKind};
use crate::base::{Map, Value};

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "set_stats",
    aliases: &[],
    summary: "keeps numbers or texts that are shown at the end of the run",
    options: &[
        Opt::new("data", OptKind::Mapping, "names and values"),
        Opt::new("per_host", OptKind::Bool, "keeps them for each host, not for the run").default("false"),
        Opt::new("aggregate", OptKind::Bool, "adds to what was kept under the same name; else it takes its place")
            .default("true"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: Some(check),
    build,
};

#[derive(Debug)]
struct SetStats {
    data: Map,
    per_host: bool,
    aggregate: bool,
}

fn check(arguments: &Arguments) -> Result<(), String> {
    match arguments.mapping("data").keys().find(|name| !name.contains("{{") && !is_name(name)) {
        Some(wrong) => Err(format!("`{wrong}` can't be a name here: letters, digits and underscores; no digit first")),
        None => Ok(()),
    }
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    check(arguments).map_err(Failure::new)?;
    Ok(Bound::Course(Box::new(SetStats {
        data: arguments.mapping("data"),
        per_host: arguments.flag("per_host"),
        aggregate: arguments.flag("aggregate"),
    })))
}

impl Course for SetStats {
    fn run(&self, _here: &dyn Controller) -> Result<Done, Failure> {
        let mut stats = Map::new();
        stats.insert("data".to_owned(), Value::Object(self.data.clone()));
        stats.insert("per_host".to_owned(), self.per_host.into());
        stats.insert("aggregate".to_owned(), self.aggregate.into());
        let mut result = Map::new();
        result.insert("ansible_stats".to_owned(), Value::Object(stats));
        Ok(Done { changed: false, result, effect: Effect::None })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::fixture::{Fixture, course};

    #[test]
    fn what_is_kept_is_in_the_result() {
        let done = course(&SPEC, json!({"data": {"a": 1}, "per_host": "yes"}), &Fixture::default()).expect("keeps");
        let stats = json!({"data": {"a": 1}, "per_host": true, "aggregate": true});
        assert_eq!(Value::Object(done.result), json!({"ansible_stats": stats}));
        assert!(course(&SPEC, json!({"data": {"a-b": 1}}), &Fixture::default()).is_err());
    }
}
