//! `dcos_package`: takes a service from one package to the next the way the guide does: looked at first, the scheduler's app destroyed
//! and proven gone with its tasks going on, the next package installed over them.
//!
//! What is installed is rendered first, from the options of the operator over the stored ones; a strategy that takes nodes together, and
//! what would end the scheduler again and again, are refused. Nothing here uninstalls: that deletes the data.
//!
//! What it cannot know: whether a node has run the new Elasticsearch, beyond what the tasks' ids and the plan say; that decides over a
//! way back, so the caller says it (`nodes_on_new`).

mod destroy;
mod install;
mod ready;
mod sight;

use std::time::Duration;

use super::dcos_api::{Api, CLI, PACKAGE, SERVICE, URL, VIA};
use super::{Arguments, Bound, Controller, Failure, ModuleSpec, Opt, OptKind, Timing};
use crate::base::Value;
use crate::cluster::dcos::PackageVersion;

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "dcos_package",
    aliases: &[],
    summary: "takes a DC/OS service to another package: looked at, its scheduler destroyed, the next one installed",
    options: &[
        Opt::new(
            "state",
            OptKind::Choice(&["ready", "destroyed", "installed"]),
            "ready: the package can be installed over what runs; destroyed: the scheduler's app is gone and its tasks go on; \
             installed: the package's app is there",
        )
        .default("ready"),
        Opt::new("version", OptKind::Text, "the package's version: 3.2.0-7.9.3").required(),
        Opt::new("options", OptKind::Mapping, "the operator's options, which are laid over the stored ones"),
        Opt::new("stored", OptKind::Mapping, "the options that were stored, as `ready` gave them, for when the app is gone"),
        Opt::new("tasks", OptKind::Any, "how many tasks `destroyed` must leave running, as `ready` gave it"),
        Opt::new("nodes_on_new", OptKind::Bool, "whether a node has run the newer Elasticsearch: then no way leads back")
            .default("true"),
        Opt::new("within", OptKind::Duration, "for how long to wait").default("5m"),
        Opt::new("every", OptKind::Duration, "pause between two looks").default("500ms"),
        URL,
        SERVICE,
        PACKAGE,
        VIA,
        CLI,
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: Some(check),
    build,
};

/// What all states of the module have.
#[derive(Debug)]
struct Asked {
    api: Api,
    version: PackageVersion,
    /// The operator's options.
    options: Value,
    /// What was stored, where the caller knows it.
    stored: Option<Value>,
    timing: Timing,
}

fn check(arguments: &Arguments) -> Result<(), String> {
    match arguments.text("version") {
        Some(version) if !version.contains("{{") => PackageVersion::parse(&version).map(|_| ()),
        _ => Ok(()),
    }
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let asked = Asked {
        api: Api::read(arguments, here)?,
        version: PackageVersion::parse(&arguments.required("version")).map_err(Failure::new)?,
        options: Value::Object(arguments.mapping("options")),
        stored: arguments.value("stored").filter(|value| value.is_object()).cloned(),
        timing: Timing {
            delay: Duration::ZERO,
            within: arguments.duration("within").unwrap_or(Duration::from_secs(300)),
            every: arguments.duration("every").unwrap_or(Duration::from_millis(500)).max(Duration::from_millis(20)),
        },
    };
    Ok(match arguments.required("state").as_str() {
        "destroyed" => {
            let tasks = arguments.value("tasks").map(crate::base::to_text).and_then(|text| text.parse().ok());
            Bound::State(Box::new(destroy::Destroy { asked, tasks }))
        }
        "installed" => Bound::State(Box::new(install::Install { asked })),
        _ => Bound::Gate(Box::new(ready::Ready { asked, nodes_on_new: arguments.flag("nodes_on_new") })),
    })
}
