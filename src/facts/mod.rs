//! Facts of a host: one script that asks for all of them, and pure parsers of what it prints.
//!
//! Names and shapes are those that Ansible's `setup` registers (`ansible_hostname`, …), as far as they can be had with a
//! POSIX shell and `/proc`. What a host does not have (no `ip`, no `/etc/os-release`) is left out, never guessed. The room
//! knows no tasks; a host may lie in all of this, so nothing here is ever used as a local path or as a script.

mod addresses;
mod answer;
mod hardware;
mod identity;
mod network;
mod probe;
mod system;

use crate::base::{Map, Output, Value};

pub(crate) use probe::probe;

/// A part of the facts, as `gather_subset` names them.
type Part = (&'static [&'static str], fn(&answer::Answer, &mut Map));

/// The subsets and what makes them. The first is always gathered, as Ansible's `min` is.
const PARTS: &[Part] = &[
    (&["min"], identity::parse),
    (&["min"], system::parse),
    (&["hardware", "mounts", "cpu", "processor", "memory"], hardware::parse),
    (
        &["network", "interfaces", "default_ipv4", "default_ipv6", "all_ipv4_addresses", "all_ipv6_addresses"],
        network::parse,
    ),
];

/// All facts, with Ansible's names (`ansible_` in front).
#[cfg(test)]
pub(crate) fn parse(output: &Output) -> Map {
    parse_subset(output, &[])
}

/// The facts of some subsets: Ansible's words (`all`, `min`, `hardware`, `network`, …), a `!` in front leaves one out.
/// Words for facts that stagger does not have add nothing.
pub(crate) fn parse_subset(output: &Output, subset: &[String]) -> Map {
    let answer = answer::Answer::parse(output);
    let mut facts = Map::new();
    for (names, part) in PARTS {
        if names.contains(&"min") && !subset.iter().any(|word| word == "!min") || is_wanted(names, subset) {
            part(&answer, &mut facts);
        }
    }
    let gathered =
        if subset.is_empty() { vec![Value::from("all")] } else { subset.iter().cloned().map(Value::from).collect() };
    facts.insert("gather_subset".to_owned(), Value::Array(gathered));
    facts.insert("module_setup".to_owned(), true.into());
    facts
}

fn is_wanted(names: &[&str], subset: &[String]) -> bool {
    let named = |word: &str| names.contains(&word) || word == "all";
    let excluded = subset.iter().filter_map(|word| word.strip_prefix('!')).any(named);
    let positive: Vec<&String> = subset.iter().filter(|word| !word.starts_with('!')).collect();
    let by_name = positive.iter().any(|word| names.contains(&word.as_str()));
    if excluded {
        return by_name;
    }
    positive.is_empty() || by_name || positive.iter().any(|word| *word == "all")
}

/// Puts a fact in under its name with `ansible_` in front.
fn put(facts: &mut Map, name: &str, value: impl Into<Value>) {
    facts.insert(format!("ansible_{name}"), value.into());
}

#[cfg(test)]
mod tests;
