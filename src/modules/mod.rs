//! Task modules. ONE FILE A MODULE; each binds its arguments and is one of three kinds, in its type ([`Bound`]).
//!
//! - [`State`]: wanted × seen → steps. It names its read-only probe and has one pure function from what is wanted and
//!   what was seen to the steps that change it. Changed means that there were steps.
//! - [`Gate`]: questions → Ready | `NotYet`(why) | Never. Asked again until a deadline; changes nothing.
//! - [`Course`]: a pure change of this run's variables or course.
//!
//! No module knows of check mode, does IO, reads a clock or prints. `run` asks, acts and reports for it.

pub(crate) mod archive;
mod arguments;
mod controller;
mod host_file;
mod kind;
mod python_regex;
mod spec;
mod step;

// One line a module, in alphabetical order; the same order in REGISTRY.
mod add_host;
mod assert;
mod blockinfile;
mod command;
mod copy;
mod copy_remote;
mod copy_remote_tree;
mod copy_tree;
mod dcos_api;
mod dcos_package;
mod dcos_plan;
mod debug;
mod elastic_allocation;
mod elastic_facts;
mod elastic_flush;
mod elastic_look;
mod elastic_ml_upgrade_mode;
mod elastic_preflight;
mod elastic_stop_check;
mod elastic_wait;
mod fail;
mod fetch;
mod file;
mod file_foresee;
mod file_link;
mod getent;
mod group;
mod group_by;
mod include_vars;
mod lineinfile;
mod mesos_authenticated;
mod mesos_credentials;
mod mesos_facts;
mod mesos_flags;
mod mesos_link;
mod mesos_look;
mod mesos_master_gone;
mod mesos_master_ready;
mod mesos_order;
mod mesos_preflight;
mod mesos_ready;
mod mesos_slave_ready;
mod meta;
mod package_file;
mod pause;
mod ping;
mod raw;
mod release;
mod replace;
mod script;
mod service;
mod set_fact;
mod set_stats;
mod setup;
mod shell;
mod slurp;
mod stat;
mod systemd;
mod tempfile;
mod template;
mod unarchive;
mod uri;
mod user;
mod validate_argument_spec;
mod wait_for;
mod wait_for_connection;

pub(crate) use arguments::{Arguments, broken_rules, convert, find_option, to_bool};
pub(crate) use controller::{Controller, Folder, LocalEntry, TemplateOptions};
pub(crate) use kind::{
    Answer, Applied, Bound, Build, Course, Done, Effect, Failure, Gate, Looked, Meta, Question, State, Timing, Verdict,
    Znode,
};
pub(crate) use spec::{ModuleSpec, Opt, OptKind, Rule};
pub(crate) use step::{Act, Change, Diff, HttpRequest, HttpResponse, Step, Tls, TokenLogin};

/// Every module, by name.
pub(crate) const REGISTRY: &[&ModuleSpec] = &[
    &add_host::SPEC,
    &assert::SPEC,
    &blockinfile::SPEC,
    &command::SPEC,
    &copy::SPEC,
    &dcos_package::SPEC,
    &dcos_plan::SPEC,
    &debug::SPEC,
    &elastic_allocation::SPEC,
    &elastic_facts::SPEC,
    &elastic_flush::SPEC,
    &elastic_ml_upgrade_mode::SPEC,
    &elastic_preflight::SPEC,
    &elastic_stop_check::SPEC,
    &elastic_wait::SPEC,
    &fail::SPEC,
    &fetch::SPEC,
    &file::SPEC,
    &getent::SPEC,
    &group::SPEC,
    &group_by::SPEC,
    &include_vars::SPEC,
    &lineinfile::SPEC,
    &mesos_authenticated::SPEC,
    &mesos_credentials::SPEC,
    &mesos_facts::SPEC,
    &mesos_flags::SPEC,
    &mesos_link::SPEC,
    &mesos_master_gone::SPEC,
    &mesos_master_ready::SPEC,
    &mesos_order::SPEC,
    &mesos_preflight::SPEC,
    &mesos_slave_ready::SPEC,
    &meta::SPEC,
    &package_file::SPEC,
    &pause::SPEC,
    &ping::SPEC,
    &raw::SPEC,
    &release::SPEC,
    &replace::SPEC,
    &script::SPEC,
    &service::SPEC,
    &set_fact::SPEC,
    &set_stats::SPEC,
    &setup::SPEC,
    &shell::SPEC,
    &slurp::SPEC,
    &stat::SPEC,
    &systemd::SPEC,
    &tempfile::SPEC,
    &template::SPEC,
    &unarchive::SPEC,
    &uri::SPEC,
    &user::SPEC,
    &validate_argument_spec::SPEC,
    &wait_for::SPEC,
    &wait_for_connection::SPEC,
];

/// A variable that a module of facts sets, and that expressions about a cluster are asked anew with.
pub(crate) struct LiveFacts {
    /// The variable.
    pub(crate) variable: &'static str,
    /// The module.
    pub(crate) module: &'static str,
}

/// Facts that change while a run goes on: leaders move.
pub(crate) const LIVE_FACTS: &[LiveFacts] = &[
    LiveFacts { variable: "elastic", module: "elastic_facts" },
    LiveFacts { variable: "mesos", module: "mesos_facts" },
];

/// A change that is always for a time: the task arms what takes it back by itself.
pub(crate) struct TakenBack {
    /// The module.
    pub(crate) module: &'static str,
    /// The option that says what is wanted.
    pub(crate) option: &'static str,
    /// Its value for the change; also when it is not given.
    pub(crate) change: &'static str,
    /// Its value for the way back.
    pub(crate) back: &'static str,
    /// The option that is given what the module saw before the change.
    pub(crate) original: &'static str,
}

/// Modules with such changes.
pub(crate) const TAKEN_BACK: &[TakenBack] = &[
    TakenBack { module: "elastic_allocation", option: "state", change: "off", back: "restored", original: "original" },
    TakenBack {
        module: "elastic_ml_upgrade_mode",
        option: "state",
        change: "on",
        back: "restored",
        original: "original",
    },
];

/// Modules that never change a host, whatever their arguments.
const ONLY_LOOK: &[&str] = &[
    "add_host",
    "assert",
    "debug",
    "elastic_facts",
    "elastic_preflight",
    "elastic_stop_check",
    "elastic_wait",
    "fail",
    "fetch",
    "getent",
    "group_by",
    "include_vars",
    "mesos_authenticated",
    "mesos_facts",
    "mesos_master_gone",
    "mesos_master_ready",
    "mesos_order",
    "mesos_preflight",
    "mesos_slave_ready",
    "meta",
    "pause",
    "ping",
    "set_fact",
    "set_stats",
    "setup",
    "slurp",
    "stat",
    "validate_argument_spec",
    "wait_for",
    "wait_for_connection",
];

/// Whether a module never changes a host.
pub(crate) fn only_looks(name: &str) -> bool {
    ONLY_LOOK.contains(&name)
}

/// Finds a module by the name used in a playbook: `copy`, `ansible.builtin.copy`, `ansible.legacy.copy`.
pub(crate) fn find(name: &str) -> Option<&'static ModuleSpec> {
    let short = name.strip_prefix("ansible.builtin.").or_else(|| name.strip_prefix("ansible.legacy.")).unwrap_or(name);
    #[cfg(test)]
    if let Some(spec) = simulated::find(short) {
        return Some(spec);
    }
    REGISTRY.iter().find(|spec| spec.name == short || spec.aliases.contains(&short)).copied()
}

#[cfg(test)]
mod data_cases;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
pub(crate) mod local_host;
#[cfg(test)]
mod previews;
#[cfg(test)]
mod seen_cases;
#[cfg(test)]
mod simulated;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{ONLY_LOOK, REGISTRY, find};

    #[test]
    fn what_only_looks_is_a_module() {
        for name in ONLY_LOOK {
            assert!(find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn every_module_is_in_the_registry() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/modules");
        for entry in std::fs::read_dir(folder).expect("the folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let source = if path.is_dir() { path.join("mod.rs") } else { path };
            if !source.exists() {
                continue;
            }
            #[expect(clippy::disallowed_methods, reason = "a test reads the sources")]
            let text = String::from_utf8(std::fs::read(source).expect("a source")).expect("UTF-8");
            if text.contains("\npub(super) const SPEC: ModuleSpec") {
                assert!(REGISTRY.iter().any(|spec| spec.name == name), "`{name}` is not in REGISTRY");
            }
        }
    }
}
