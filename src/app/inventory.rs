//! `stagger inventory` and `ansible-inventory`: what the inventory says, in ansible-inventory's own notations.
//!
//! Variables are shown as they are written: templates unrendered, vaulted values encrypted.

mod yaml;

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexSet;
use serde_json::json;

use super::vault::keys;
use super::{complain, extra, print, session};
use crate::base::{Map, Masker, Node, NodeKind, Span, Value, to_text};
use crate::cli::{Exit, InventoryRequest, InventoryView, Rules};
use crate::config::{Config, DEFAULT_INVENTORY, Places};
use crate::diag::{Diagnostic, Severity, Sources, did_you_mean, render_all};
use crate::inventory::{Inventory, Level, LoadOptions, Strictness, Variables};

/// Variables that a run sets itself; ansible-inventory never shows them, whoever set them.
const MAGIC: [&str; 32] = [
    "ansible_async_path",
    "ansible_collection_name",
    "ansible_config_file",
    "ansible_dependent_role_names",
    "ansible_diff_mode",
    "ansible_facts",
    "ansible_forks",
    "ansible_inventory_sources",
    "ansible_limit",
    "ansible_play_batch",
    "ansible_play_hosts",
    "ansible_play_hosts_all",
    "ansible_play_role_names",
    "ansible_playbook_python",
    "ansible_role_name",
    "ansible_role_names",
    "ansible_run_tags",
    "ansible_skip_tags",
    "ansible_verbosity",
    "ansible_version",
    "group_names",
    "groups",
    "hostvars",
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "inventory_hostname_short",
    "play_hosts",
    "playbook_dir",
    "role_name",
    "role_names",
    "role_path",
];

/// Why nothing can be shown: the kind, and what is to be said.
type Failure = (Exit, Vec<Diagnostic>);

/// Runs the command: reads configuration and inventory, and prints to standard output or the file that was named.
pub(super) fn run(request: &InventoryRequest, colour: bool) -> Exit {
    let sources = Sources::new();
    let environment = session::environment();
    let (config, mut found) = Config::load(&sources, &environment, &Places::of(&environment));
    let answer = answer(request, &config, &sources, &mut found);
    let (exit, text) = match answer {
        Ok(text) => (Exit::Ok, Some(text)),
        Err((exit, errors)) => {
            found.extend(errors);
            (exit, None)
        }
    };
    if !found.is_empty() {
        complain(&render_all(&found, &sources, colour));
    }
    let Some(text) = text else { return exit };
    match &request.output {
        None => {
            print(&text);
            exit
        }
        Some(path) => match std::fs::write(path, &text) {
            Ok(()) => exit,
            Err(error) => {
                complain(&format!("error: cannot write {}: {error}\n", path.display()));
                Exit::Error
            }
        },
    }
}

/// The whole text, with its final newline. Warnings are added to `found`.
fn answer(
    request: &InventoryRequest,
    config: &Config,
    sources: &Sources,
    found: &mut Vec<Diagnostic>,
) -> Result<String, Failure> {
    if any_error(found) {
        return Err((Exit::Input, Vec::new()));
    }
    let masker = Masker::default();
    let keyring = keys::keyring(&request.vault, config, &masker)
        .map_err(|(reason, exit)| (exit, vec![Diagnostic::error(reason, Span::NONE)]))?;
    sources.unlock_with(Arc::new(keyring));
    let (extra, wrong) = extra::read(sources, &request.extra_vars);
    found.extend(wrong);
    let mut specs = request.inventory.clone();
    if specs.is_empty() {
        specs.clone_from(&config.inventory);
        // Nobody named it: that it isn't there is no mistake.
        specs.retain(|spec| spec != DEFAULT_INVENTORY || Path::new(spec).exists());
    }
    // A tree without variables shows nothing of what is encrypted.
    let defer_closed = matches!(request.view, InventoryView::Graph(_)) && !request.vars;
    let options = LoadOptions { merge_mappings: config.merge_mappings, defer_closed, ..LoadOptions::default() };
    let (mut inventory, loaded) = Inventory::load(sources, &specs, &options);
    let missing = session::missing_sources(&specs, &loaded);
    found.extend(loaded);
    let directory = request.playbook_dir.as_ref().or(config.playbook_dir.as_ref());
    if let Some(directory) = directory {
        found.extend(inventory.load_vars_beside(sources, directory, Level::Playbook));
    }
    let errors = found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    if errors > 0 {
        // Nothing is wrong but that something that was named is not there.
        return Err((if missing == errors { Exit::NoTarget } else { Exit::Input }, Vec::new()));
    }
    let show = Show {
        inventory: &inventory,
        playbook_dir: directory.map(|d| d.as_path()),
        extra: &extra,
        export: request.export,
        marks: !matches!(request.view, InventoryView::Graph(_)),
    };
    let strictness = if request.rules == Rules::Ansible { Strictness::Ansible } else { Strictness::Strict };
    match &request.view {
        InventoryView::Host(name) => show.host(name).map(|map| write(&Value::Object(map), request.yaml)),
        InventoryView::Graph(group) => show.graph(group.as_deref().unwrap_or("all"), request.vars),
        InventoryView::List => {
            let mut hosts: Vec<String> = inventory.hosts().into_iter().map(str::to_owned).collect();
            if let Some(limit) = &request.limit {
                let chosen = inventory
                    .limit(sources, &hosts, std::slice::from_ref(limit), strictness)
                    .map_err(|error| (Exit::NoTarget, vec![error.diagnostic(Span::NONE)]))?;
                found.extend(chosen.warnings.into_iter().map(|w| Diagnostic::warning(w, Span::NONE)));
                hosts = chosen.hosts;
            }
            let hosts: IndexSet<&str> = hosts.iter().map(String::as_str).collect();
            let whole = if request.yaml { show.yaml(&hosts) } else { show.json(&hosts) };
            Ok(write(&Value::Object(whole), request.yaml))
        }
    }
}

fn any_error(found: &[Diagnostic]) -> bool {
    found.iter().any(|d| d.severity == Severity::Error)
}

fn write(value: &Value, yaml: bool) -> String {
    if yaml { yaml::render(value) } else { json_text(value, 0) + "\n" }
}

struct Show<'a> {
    inventory: &'a Inventory,
    playbook_dir: Option<&'a Path>,
    /// `-e`: wins over what the inventory says; an export leaves it out.
    extra: &'a Variables,
    export: bool,
    /// Whether vaulted and never rendered text is marked; a graph, which nothing reads again, shows it bare.
    marks: bool,
}

impl Show<'_> {
    fn host(&self, name: &str) -> Result<Map, Failure> {
        if self.inventory.contains(name) || self.inventory.is_implicit_localhost(name) {
            return Ok(self.host_variables(name));
        }
        let error = Diagnostic::error(format!("the inventory has no host `{name}`"), Span::NONE);
        let error = match did_you_mean(name, self.inventory.hosts()) {
            Some(meant) => error.help(format!("did you mean `{meant}`?")),
            None => error,
        };
        Err((Exit::NoTarget, vec![error]))
    }

    fn host_variables(&self, host: &str) -> Map {
        if self.export && self.inventory.contains(host) {
            return self.shown(&self.inventory.own_variables(host, self.playbook_dir));
        }
        let mut variables = self.shown(&self.inventory.variables(host, self.playbook_dir));
        variables.extend(self.shown(self.extra));
        variables
    }

    /// Variables as data: what a run sets itself is left out.
    fn shown(&self, variables: &Variables) -> Map {
        let kept = variables.iter().filter(|(name, _)| !MAGIC.contains(&name.as_str()));
        kept.map(|(name, node)| (name.clone(), if self.marks { plain(node) } else { node.to_value() })).collect()
    }

    fn group_variables(&self, group: &str) -> Map {
        let mut variables = self.shown(&self.inventory.group_variables(group, self.playbook_dir));
        let priority = self.inventory.group_priority(group);
        if priority != 1 {
            variables.insert("ansible_group_priority".to_owned(), priority.into());
        }
        variables
    }

    /// What an inventory script would print: groups side by side, host variables together in `_meta`.
    fn json(&self, hosts: &IndexSet<&str>) -> Map {
        let mut whole = Map::new();
        for group in self.inventory.groups() {
            let mut body = Map::new();
            if group != "all" {
                let own: Vec<&str> = self.own_hosts(group, hosts).collect();
                insert_unless_empty(&mut body, "hosts", json!(own));
            }
            insert_unless_empty(&mut body, "children", json!(self.children(group)));
            if self.export {
                insert_unless_empty(&mut body, "vars", Value::Object(self.group_variables(group)));
            }
            insert_unless_empty(&mut whole, group, Value::Object(body));
        }
        let mut hostvars = Map::new();
        for host in hosts {
            insert_unless_empty(&mut hostvars, host, Value::Object(self.host_variables(host)));
        }
        whole.insert("_meta".to_owned(), json!({"hostvars": hostvars, "profile": "inventory_legacy"}));
        whole
    }

    /// What a YAML inventory would say: groups inside groups; each host's variables stand where it first comes.
    fn yaml(&self, hosts: &IndexSet<&str>) -> Map {
        let mut seen = Seen::default();
        let mut whole = Map::new();
        insert_unless_empty(&mut whole, "all", Value::Object(self.yaml_group("all", hosts, &mut seen)));
        whole
    }

    fn yaml_group<'a>(&'a self, group: &str, hosts: &IndexSet<&str>, seen: &mut Seen<'a>) -> Map {
        let mut children = Map::new();
        for child in self.children(group) {
            if seen.groups.contains(child) {
                children.insert(child.to_owned(), json!({}));
                continue;
            }
            let body = self.yaml_group(child, hosts, seen);
            insert_unless_empty(&mut children, child, Value::Object(body));
            seen.groups.insert(child);
        }
        let mut own = Map::new();
        if group != "all" {
            for host in self.inventory.own_hosts(group).unwrap_or_default() {
                if hosts.contains(host) {
                    let variables = if seen.hosts.insert(host) { self.host_variables(host) } else { Map::new() };
                    own.insert(host.to_owned(), Value::Object(variables));
                }
            }
        }
        let mut body = Map::new();
        insert_unless_empty(&mut body, "children", Value::Object(children));
        insert_unless_empty(&mut body, "hosts", Value::Object(own));
        if self.export {
            insert_unless_empty(&mut body, "vars", Value::Object(self.group_variables(group)));
        }
        body
    }

    fn graph(&self, group: &str, vars: bool) -> Result<String, Failure> {
        if self.inventory.children(group).is_none() {
            let error = Diagnostic::error(format!("the inventory has no group `{group}`"), Span::NONE);
            let error = match did_you_mean(group, self.inventory.groups()) {
                Some(meant) => error.help(format!("did you mean `{meant}`?")),
                None => error,
            };
            return Err((Exit::NoTarget, vec![error]));
        }
        let mut lines = Vec::new();
        self.graph_group(group, 0, vars, &mut lines);
        Ok(lines.join("\n") + "\n")
    }

    fn graph_group(&self, group: &str, depth: usize, vars: bool, lines: &mut Vec<String>) {
        lines.push(branch(&format!("@{group}:"), depth));
        for child in self.children(group) {
            self.graph_group(child, depth + 1, vars, lines);
        }
        if group != "all" {
            for host in self.inventory.own_hosts(group).unwrap_or_default() {
                lines.push(branch(host, depth + 1));
                if vars {
                    graph_variables(&self.host_variables(host), depth + 2, lines);
                }
            }
        }
        if vars {
            graph_variables(&self.group_variables(group), depth + 1, lines);
        }
    }

    fn children(&self, group: &str) -> Vec<&str> {
        self.inventory.children(group).unwrap_or_default()
    }

    fn own_hosts<'a>(&'a self, group: &str, hosts: &'a IndexSet<&str>) -> impl Iterator<Item = &'a str> {
        self.inventory.own_hosts(group).unwrap_or_default().into_iter().filter(|host| hosts.contains(host))
    }
}

/// What was written out already.
#[derive(Default)]
struct Seen<'a> {
    groups: IndexSet<&'a str>,
    hosts: IndexSet<&'a str>,
}

fn insert_unless_empty(map: &mut Map, key: &str, value: Value) {
    let empty = match &value {
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    };
    if !empty {
        map.insert(key.to_owned(), value);
    }
}

fn branch(text: &str, depth: usize) -> String {
    if depth == 0 { text.to_owned() } else { format!("{}--{text}", "  |".repeat(depth)) }
}

fn graph_variables(variables: &Map, depth: usize, lines: &mut Vec<String>) {
    let mut sorted: Vec<(&String, &Value)> = variables.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    lines.extend(sorted.into_iter().map(|(name, value)| branch(&format!("{{{name} = {}}}", to_text(value)), depth)));
}

/// A node as data, with Ansible's marks for what is vaulted or never rendered.
fn plain(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Vault(text) => json!({"__ansible_vault": &**text}),
        NodeKind::String { text, raw: true, .. } => json!({"__ansible_unsafe": &**text}),
        NodeKind::Seq(items) => Value::Array(items.iter().map(plain).collect()),
        NodeKind::Map(entries) => {
            entries.iter().map(|(key, value)| (to_text(&key.to_value()), plain(value))).collect::<Map>().into()
        }
        _ => node.to_value(),
    }
}

/// JSON as Python writes it: sorted keys, four blanks.
fn json_text(value: &Value, depth: usize) -> String {
    let indent = "    ".repeat(depth + 1);
    let close = "    ".repeat(depth);
    match value {
        Value::Array(items) if !items.is_empty() => {
            let items: Vec<String> =
                items.iter().map(|item| format!("{indent}{}", json_text(item, depth + 1))).collect();
            format!("[\n{}\n{close}]", items.join(",\n"))
        }
        Value::Object(entries) if !entries.is_empty() => {
            let mut sorted: Vec<(&String, &Value)> = entries.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            let entries: Vec<String> = sorted
                .into_iter()
                .map(|(name, value)| format!("{indent}{}: {}", json_string(name), json_text(value, depth + 1)))
                .collect();
            format!("{{\n{}\n{close}}}", entries.join(",\n"))
        }
        Value::String(text) => json_string(text),
        Value::Number(number) if number.is_f64() => to_text(value),
        other => other.to_string(),
    }
}

fn json_string(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
