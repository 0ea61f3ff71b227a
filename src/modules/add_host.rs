//! `add_host`: adds a host to the inventory of this run.

use super::{Arguments, Bound, Controller, Course, Done, Effect, Failure, ModuleSpec, Opt, OptKind, set_fact};
use crate::base::{Map, Value, to_text, type_name};

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "add_host",
    aliases: &[],
    summary: "adds a host to the inventory of this run",
    options: &[
        Opt::new("name", OptKind::Text, "its name; `name:port` sets ansible_port")
            .aliases(&["hostname", "host"])
            .required(),
        Opt::new("groups", OptKind::Any, "groups that it joins: a list, or names with commas; made when missing")
            .aliases(&["groupname", "group"]),
    ],
    free_form: None,
    open: true,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct AddHost {
    name: String,
    groups: Vec<String>,
    variables: Map,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    let mut variables = arguments.others();
    if let Some(wrong) = variables.keys().find(|name| !set_fact::is_name(name)) {
        return Err(Failure::new(format!("`{wrong}` can't be the name of a variable")));
    }
    let (name, port) = split_port(arguments.required("name").trim());
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(Failure::new(format!("`{name}` can't be the name of a host")));
    }
    if let Some(port) = port {
        variables.entry("ansible_port").or_insert(Value::from(port));
    }
    let mut groups: Vec<String> = Vec::new();
    for group in group_names(arguments.value("groups"))? {
        if !group.is_empty() && !groups.contains(&group) {
            groups.push(group);
        }
    }
    Ok(Bound::Course(Box::new(AddHost { name, groups, variables })))
}

/// `name:port` and `[address]:port`; an IPv6 address alone has no port.
fn split_port(text: &str) -> (String, Option<u16>) {
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address.to_owned(), rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match text.split_once(':') {
        Some((name, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (name.to_owned(), Some(port)),
            Err(_) => (text.to_owned(), None),
        },
        _ => (text.to_owned(), None),
    }
}

fn group_names(value: Option<&Value>) -> Result<Vec<String>, Failure> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => Ok(items.iter().map(|item| to_text(item).trim().to_owned()).collect()),
        Some(Value::String(text)) => Ok(text.split(',').map(|name| name.trim().to_owned()).collect()),
        Some(other) => Err(Failure::new(format!("`groups` must be a list of names, not {}", type_name(other)))),
    }
}

impl Course for AddHost {
    fn run(&self, here: &dyn Controller) -> Result<Done, Failure> {
        let member = |group: &str| here.group(group).is_some_and(|hosts| hosts.contains(&self.name));
        let known = member("all") && self.groups.iter().all(|group| member(group));
        let same = |(name, value): (&String, &Value)| here.variable_of(&self.name, name).as_ref() == Some(value);
        let changed = !(known && self.variables.iter().all(same));
        let mut added = Map::new();
        added.insert("host_name".to_owned(), Value::from(self.name.clone()));
        added.insert("groups".to_owned(), Value::from(self.groups.clone()));
        added.insert("host_vars".to_owned(), Value::Object(self.variables.clone()));
        let mut result = Map::new();
        result.insert("add_host".to_owned(), Value::Object(added));
        let (name, groups, variables) = (self.name.clone(), self.groups.clone(), self.variables.clone());
        Ok(Done { changed, result, effect: Effect::AddHost { name, groups, variables } })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::fixture::{Fixture, course};

    fn added(arguments: Value) -> Done {
        course(&SPEC, arguments, &Fixture::default()).expect("adds")
    }

    #[test]
    fn groups_are_a_list_or_names_with_commas() {
        for groups in [json!(["a", "b", "a"]), json!("a, b,")] {
            let done = added(json!({"hostname": "n9", "group": groups, "rack": 3}));
            assert!(done.changed);
            assert_eq!(
                Value::Object(done.result),
                json!({"add_host": {"host_name": "n9", "groups": ["a", "b"], "host_vars": {"rack": 3}}})
            );
        }
    }

    #[test]
    fn a_port_in_the_name_is_a_variable() {
        let done = added(json!({"name": "n9:2222"}));
        let variables = json!({"ansible_port": 2222}).as_object().cloned().unwrap_or_default();
        assert_eq!(done.effect, Effect::AddHost { name: "n9".to_owned(), groups: Vec::new(), variables });
        assert_eq!(split_port("::1"), ("::1".to_owned(), None));
        assert_eq!(split_port("[::1]:22"), ("::1".to_owned(), Some(22)));
    }

    #[test]
    fn a_host_that_is_there_already_is_no_change() {
        let mut here = Fixture::default();
        here.groups.insert("all".to_owned(), vec!["n9".to_owned()]);
        here.groups.insert("a".to_owned(), vec!["n9".to_owned()]);
        here.variables.insert("n9".to_owned(), json!({"rack": 3}).as_object().cloned().unwrap_or_default());
        let arguments = json!({"name": "n9", "groups": "a", "rack": 3});
        assert!(!course(&SPEC, arguments, &here).expect("adds").changed);
        assert!(course(&SPEC, json!({"name": "n9", "groups": "a", "rack": 4}), &here).expect("adds").changed);
    }
}
