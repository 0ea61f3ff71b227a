//! Hosts that an earlier process of this run added to its inventory: they are there again before anything is taken back on them.

use std::collections::HashSet;

use super::Run;
use crate::base::{Map, Value};
use crate::event::{EventKind, TaskKey};

/// What a journal says of hosts that were added, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Added {
    tasks: HashSet<TaskKey>,
    hosts: Vec<Map>,
}

impl Added {
    /// Takes the journal's events, in order.
    pub(super) fn on(&mut self, kind: &EventKind) {
        match kind {
            EventKind::TaskStarted { key, module, .. } if module == "add_host" => {
                self.tasks.insert(key.clone());
            }
            EventKind::ItemFinished { key, result, .. } | EventKind::HostFinished { key, result, .. }
                if self.tasks.contains(key) =>
            {
                self.hosts.extend(result.get("add_host").and_then(Value::as_object).cloned());
            }
            _ => {}
        }
    }
}

impl Run {
    /// Adds them again.
    pub(super) fn add_again(&self, added: &Added) {
        for host in &added.hosts {
            let Some(name) = host.get("host_name").and_then(Value::as_str) else { continue };
            let listed = host.get("groups").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let groups: Vec<String> = listed.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            let variables = host.get("host_vars").and_then(Value::as_object).cloned().unwrap_or_default();
            self.change_inventory(|inventory| {
                inventory.add_host(&self.sources, name, &groups, &variables);
            });
        }
    }
}
