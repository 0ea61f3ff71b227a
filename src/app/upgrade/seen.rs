//! What runs: the answers of `look.yml`, from the events of its run.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cluster::mesos::{Daemon, Version};

/// A daemon that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) host: String,
    pub(super) daemon: Daemon,
    /// None where nothing tells.
    pub(super) version: Option<Version>,
    /// The flags that it runs with.
    pub(super) flags: BTreeMap<String, String>,
}

/// Reads the events of the look, one a line.
///
/// # Errors
/// A host that did not answer, or no daemon at all.
pub(super) fn read(events: &str) -> Result<Vec<Running>, String> {
    let mut found = Vec::new();
    for line in events.lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
        if event["event"] != "host_finished" {
            continue;
        }
        let host = event["host"].as_str().unwrap_or_default().to_owned();
        let mesos = &event["result"]["ansible_facts"]["mesos"];
        if !mesos.is_object() {
            let why = event["message"].as_str().or_else(|| event["result"]["msg"].as_str()).unwrap_or("no answer");
            return Err(format!("{host}: {why}"));
        }
        for daemon in [Daemon::Master, Daemon::Slave] {
            let Some(facts) = mesos.get(daemon.word()).filter(|facts| facts.is_object()) else { continue };
            let flags = facts["flags"].as_object().into_iter().flatten();
            found.push(Running {
                host: host.clone(),
                daemon,
                version: facts["version"].as_str().and_then(|text| Version::parse(text).ok()),
                flags: flags
                    .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
                    .collect(),
            });
        }
    }
    found.sort_by(|a, b| (a.daemon.word(), &a.host).cmp(&(b.daemon.word(), &b.host)));
    if found.is_empty() {
        Err("no master or slave runs on the hosts of `masters` and `slaves`".to_owned())
    } else {
        Ok(found)
    }
}
