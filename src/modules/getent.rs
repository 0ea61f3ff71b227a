//! `getent`: entries of the host's databases (users, groups, hosts, …) as facts. Changes nothing.
//!
//! Where the host has no `getent` (busybox), the files in `/etc` are read: it then knows nothing of directories and DNS.

use super::{Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, State};
use crate::base::{Map, Output, Script, Value};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "getent",
    aliases: &[],
    summary: "reads entries of the host's databases",
    options: &[
        Opt::new("database", OptKind::Text, "passwd, group, hosts, services, …").required(),
        Opt::new("key", OptKind::Text, "the entry; by default all of them"),
        Opt::new("service", OptKind::Text, "the source to ask instead of those of the host's nsswitch.conf"),
        Opt::new("split", OptKind::Text, "what separates fields; by default `:` or blanks, as the database has it"),
        Opt::new("fail_key", OptKind::Bool, "fails when there is no such entry").default("true"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

/// Databases whose fields are separated by colons.
const COLONS: &[&str] = &["passwd", "shadow", "group", "gshadow"];

#[derive(Debug)]
struct GetEnt {
    database: String,
    key: Option<String>,
    service: Option<String>,
    split: Option<String>,
    fail_key: bool,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    let database = arguments.required("database");
    if database.is_empty() || !database.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(Failure::new(format!("`{database}` can't be the name of a database")));
    }
    let split = arguments.text("split").or_else(|| COLONS.contains(&database.as_str()).then(|| ":".to_owned()));
    Ok(Bound::State(Box::new(GetEnt {
        key: arguments.text("key"),
        service: arguments.text("service"),
        split: split.filter(|split| !split.is_empty()),
        fail_key: arguments.flag("fail_key"),
        database,
    })))
}

/// The status of `getent` stands in the first line.
const ASK: &str = r#"if command -v getent >/dev/null 2>&1; then
if [ -n "$keyed" ]; then set -- "$key"; else set --; fi
[ -z "$service" ] || set -- "$@" -s "$service"
out=$(getent "$database" "$@" 2>/dev/null); echo "status $?"
printf '%s\n' "$out"
elif [ -n "$service" ] && [ "$service" != files ]; then echo "status nogetent"
elif [ -f "/etc/$database" ]; then cat "/etc/$database" >/dev/null && echo "status file" && cat "/etc/$database"
else echo "status 1"; fi"#;

impl State for GetEnt {
    fn probe(&self) -> Script {
        Script::new()
            .set("database", &self.database)
            .set("key", self.key.as_deref().unwrap_or(""))
            .set("keyed", if self.key.is_some() { "1" } else { "" })
            .set("service", self.service.as_deref().unwrap_or(""))
            .line(ASK)
    }

    fn keep(&self) -> usize {
        16 << 20
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        if seen.stdout_cut > 0 {
            return Err(Failure::new(format!("the database {} is too long: ask for a `key`", self.database)));
        }
        let text = seen.out();
        let (head, body) = text.split_once('\n').unwrap_or((&text, ""));
        let status = head.strip_prefix("status ").unwrap_or_default();
        let lines: Vec<&str> = body.lines().filter(|line| !line.is_empty()).collect();
        let lines = match status {
            "0" => lines,
            "file" => self.of_file(lines),
            "1" => return Err(Failure::new("Missing arguments, or database unknown.")),
            "2" => Vec::new(),
            "3" => return Err(Failure::new("Enumeration not supported on this database.")),
            "nogetent" => {
                let message = "the host has no `getent`: only `service: files` can be read without";
                return Err(Failure::new(message));
            }
            other => {
                let said = seen.err();
                let why = if said.trim().is_empty() { format!("status {other}") } else { said.trim().to_owned() };
                return Err(Failure::new(format!("the database {} can't be read: {why}", self.database)));
            }
        };
        let mut entries = Map::new();
        let mut message = None;
        if let Some(key) = self.key.as_ref().filter(|_| lines.is_empty()) {
            message = Some("One or more supplied key could not be found in the database.");
            if self.fail_key {
                return Err(Failure::new(message.unwrap_or_default()));
            }
            entries.insert(key.clone(), Value::Null);
        }
        for line in &lines {
            let fields: Vec<&str> = match &self.split {
                Some(split) => line.split(split.as_str()).collect(),
                None => line.split_whitespace().collect(),
            };
            let Some((name, rest)) = fields.split_first() else { continue };
            let rest: Value = rest.iter().map(|field| Value::from(*field)).collect();
            // Several entries of one name are a list of them.
            match entries.get_mut(*name) {
                None => {
                    entries.insert((*name).to_owned(), rest);
                }
                Some(Value::Array(all)) if all.first().is_some_and(Value::is_array) => all.push(rest),
                Some(known) => *known = Value::Array(vec![known.take(), rest]),
            }
        }
        let mut facts = Map::new();
        facts.insert(format!("getent_{}", self.database), Value::Object(entries));
        let mut result = Map::new();
        result.insert("ansible_facts".to_owned(), Value::Object(facts));
        if let Some(message) = message {
            result.insert("msg".to_owned(), message.into());
        }
        Ok(Change::none(result))
    }
}

impl GetEnt {
    /// What `getent` would print of a file: no comments, and only the entry that was asked for.
    fn of_file<'t>(&self, lines: Vec<&'t str>) -> Vec<&'t str> {
        let colons = COLONS.contains(&self.database.as_str());
        let bare = |line: &'t str| if colons { line } else { line.split('#').next().unwrap_or("").trim_end() };
        let lines = lines.into_iter().map(bare).filter(|line| !line.is_empty());
        let Some(key) = &self.key else { return lines.collect() };
        let matches = |line: &&str| {
            if colons {
                let mut fields = line.split(':');
                return fields.next() == Some(key) || fields.nth(1) == Some(key);
            }
            line.split_whitespace().any(|word| word == key || word.split('/').next() == Some(key))
        };
        let mut found = lines.filter(matches);
        match self.database.as_str() {
            "hosts" => found.collect(),
            _ => found.next().into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::local_host::{Host, KINDS};
    use serde_json::json;

    #[test]
    fn databases_are_read_with_getent_and_without() {
        for kind in KINDS {
            let host = Host::new(kind);
            let ask = |arguments| host.task("getent", arguments).unwrap_or_else(|why| panic!("{kind:?}: {why:?}"));
            let root = ask(json!({"database": "passwd", "key": "root"}));
            let entry = &root["ansible_facts"]["getent_passwd"]["root"];
            assert_eq!((&entry[1], &entry[4]), (&json!("0"), &json!("/root")), "{kind:?}");
            let all = ask(json!({"database": "group"}));
            assert!(all["ansible_facts"]["getent_group"].as_object().unwrap().len() > 5, "{kind:?}");
            let none = ask(json!({"database": "passwd", "key": "no-such-user", "fail_key": false}));
            assert_eq!(none["ansible_facts"]["getent_passwd"], json!({"no-such-user": null}));
            assert!(
                host.fails("getent", json!({"database": "passwd", "key": "no-such-user"}))
                    .contains("could not be found")
            );
            assert!(host.fails("getent", json!({"database": "nosuch"})).contains("database unknown"));
        }
    }
}
