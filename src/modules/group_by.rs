//! `group_by`: puts each host into a group whose name is made from its variables.

use super::{Arguments, Bound, Controller, Course, Done, Effect, Failure, ModuleSpec, Opt, OptKind};
use crate::base::{Map, Value};

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "group_by",
    aliases: &[],
    summary: "puts the host into a group of this run that its variables name",
    options: &[
        Opt::new("key", OptKind::Text, "the group's name; made when it is not there").required(),
        Opt::new("parents", OptKind::List, "groups that the group belongs to").default("all"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct GroupBy {
    group: String,
    parents: Vec<String>,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    // Blanks in names would be read as several groups by patterns: as Ansible writes them.
    let name = |text: String| text.replace(' ', "-");
    let group = name(arguments.required("key"));
    let parents: Vec<String> = arguments.list("parents").into_iter().map(name).collect();
    if group.is_empty() || group == "all" || group == "ungrouped" {
        return Err(Failure::new(format!("`{group}` can't be the name of a group of `group_by`")));
    }
    if parents.contains(&group) {
        return Err(Failure::new(format!("the group `{group}` can't be in itself")));
    }
    Ok(Bound::Course(Box::new(GroupBy { group, parents })))
}

impl Course for GroupBy {
    fn run(&self, here: &dyn Controller) -> Result<Done, Failure> {
        let hosts = here.group(&self.group);
        let changed = !hosts.is_some_and(|hosts| hosts.iter().any(|host| host == here.host()));
        let mut result = Map::new();
        result.insert("add_group".to_owned(), Value::from(self.group.as_str()));
        result.insert("parent_groups".to_owned(), Value::from(self.parents.clone()));
        let effect = Effect::Group { name: self.group.clone(), parents: self.parents.clone() };
        Ok(Done { changed, result, effect })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::fixture::{Fixture, HOST, course};

    #[test]
    fn a_host_joins_a_group_once() {
        let mut here = Fixture::default();
        let arguments = json!({"key": "os Debian", "parents": "all x,y"});
        let done = course(&SPEC, arguments.clone(), &here).expect("groups");
        assert!(done.changed);
        let result = json!({"add_group": "os-Debian", "parent_groups": ["all-x", "y"]});
        assert_eq!(Value::Object(done.result), result);
        here.groups.insert("os-Debian".to_owned(), vec![HOST.to_owned()]);
        assert!(!course(&SPEC, arguments, &here).expect("groups").changed);
    }

    #[test]
    fn a_group_can_not_be_all_or_in_itself() {
        for arguments in [json!({"key": "all"}), json!({"key": "a", "parents": ["b", "a"]})] {
            assert!(course(&SPEC, arguments, &Fixture::default()).is_err());
        }
    }
}
