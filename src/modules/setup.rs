//! `setup`: the facts of a host. Changes nothing.

use super::{Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, State};
use crate::base::{Map, Output, Script, Value};
use crate::facts;

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "setup",
    aliases: &["gather_facts"],
    summary: "gathers facts of the host",
    options: &[
        Opt::new("gather_subset", OptKind::List, "all, min, hardware, network, …; a `!` in front leaves one out")
            .default("all"),
        Opt::new("filter", OptKind::List, "globs of names; only facts that match one are given"),
        Opt::new("gather_timeout", OptKind::Duration, "taken for compatibility: facts come from one short script")
            .default("10"),
        Opt::refused("fact_path", "local facts of the host (`facts.d`) are not read"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct Setup {
    subset: Vec<String>,
    filter: Vec<String>,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    Ok(Bound::State(Box::new(Setup {
        subset: arguments.list("gather_subset"),
        filter: arguments.list("filter").into_iter().filter(|pattern| pattern != "*" && !pattern.is_empty()).collect(),
    })))
}

impl State for Setup {
    fn probe(&self) -> Script {
        facts::probe()
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let mut facts = facts::parse_subset(seen, &self.subset);
        if !facts.contains_key("ansible_system") && !self.subset.iter().any(|word| word == "!min" || word == "!all") {
            return Err(Failure::new("the host's shell gave no facts").with("stderr", seen.err()));
        }
        if !self.filter.is_empty() {
            facts.retain(|name, _| {
                let short = name.strip_prefix("ansible_").unwrap_or(name);
                self.filter.iter().any(|pattern| glob(pattern, name) || glob(pattern, short))
            });
        }
        let mut result = Map::new();
        result.insert("ansible_facts".to_owned(), Value::Object(facts));
        Ok(Change::none(result))
    }
}

/// Whether a name matches a glob of `*`, `?` and `[…]`.
pub(super) fn glob(pattern: &str, name: &str) -> bool {
    let mut regex = String::from("^(?s:");
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' if rest.clone().any(|c| c == ']') => {
                regex.push('[');
                if rest.next_if_eq(&'!').is_some() {
                    regex.push('^');
                }
                for c in rest.by_ref() {
                    if c == ']' {
                        break;
                    }
                    if matches!(c, '\\' | '[' | '&' | '~' | '^') {
                        regex.push('\\');
                    }
                    regex.push(c);
                }
                regex.push(']');
            }
            c => {
                if c.is_ascii_punctuation() && c != '_' {
                    regex.push('\\');
                }
                regex.push(c);
            }
        }
    }
    regex.push_str(")$");
    fancy_regex::Regex::new(&regex).is_ok_and(|regex| regex.is_match(name).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::local_host::{Host, KINDS};
    use serde_json::json;

    #[test]
    fn facts_of_a_real_host() {
        for kind in KINDS {
            let host = Host::new(kind);
            let facts = host.task("setup", json!({})).unwrap()["ansible_facts"].clone();
            assert_eq!(facts["ansible_system"], "Linux");
            assert_eq!(facts["ansible_user_id"], "root");
            assert_eq!(facts["ansible_env"]["HOME"], host.folder().display().to_string());
            assert!(facts["ansible_memtotal_mb"].as_u64().unwrap() > 10);
            assert!(facts["ansible_processor_vcpus"].as_u64().unwrap() > 0);
            assert!(facts["ansible_date_time"]["epoch"].as_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000);
            let lo = &facts["ansible_lo"];
            assert_eq!((&lo["type"], &lo["device"]), (&json!("loopback"), &json!("lo")));
            assert!(!facts["ansible_mounts"].as_array().unwrap().is_empty());
            let few = host.task("setup", json!({"filter": ["ansible_kern*", "hostname"]})).unwrap();
            let names: Vec<&String> = few["ansible_facts"].as_object().unwrap().keys().collect();
            assert_eq!(names, ["ansible_kernel", "ansible_kernel_version", "ansible_hostname"]);
            let less = host.task("setup", json!({"gather_subset": ["!all", "network"]})).unwrap();
            let less = less["ansible_facts"].as_object().unwrap();
            assert!(less.contains_key("ansible_interfaces") && less.contains_key("ansible_hostname"));
            assert!(!less.contains_key("ansible_memtotal_mb"));
        }
    }

    /// This machine has addresses, and one network that its default route goes to.
    #[test]
    fn addresses_are_the_same_without_the_program_ip_and_without_ifconfig() {
        for kind in KINDS {
            let host = Host::new(kind);
            let script = facts::probe().as_str().replace("/sbin/", "/nowhere/");
            let told = |functions: &str| {
                let script = Script::new().user_text(functions).user_text(&script);
                facts::parse(&host.run(&script, None))
            };
            let by_ip = told("");
            assert!(by_ip["ansible_lo"]["ipv4"]["address"] == "127.0.0.1", "{by_ip:?}");
            let by_ifconfig = told("ip() { return 127; }");
            let by_kernel = told("ip() { return 127; }; ifconfig() { return 127; }");
            for name in ["all_ipv4_addresses", "default_ipv4"] {
                let name = format!("ansible_{name}");
                // net-tools may be missing on this machine; busybox has its own.
                assert_eq!(by_ifconfig.get(&name), by_ip.get(&name), "{kind:?}: ifconfig, {name}");
                assert_eq!(by_kernel.get(&name), by_ip.get(&name), "{kind:?}: /proc, {name}");
            }
            assert_eq!(by_kernel["ansible_lo"]["ipv4"]["netmask"], "255.0.0.0");
        }
    }

    #[test]
    fn globs() {
        assert!(glob("ansible_*_mb", "ansible_memtotal_mb"));
        assert!(glob("eth[0-9]", "eth0") && !glob("eth[!0-9]", "eth0"));
        assert!(!glob("a.c", "abc"));
    }
}
