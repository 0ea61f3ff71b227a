//! Whether a node that was started is back, and whether the cluster has recovered: one look. Whoever asks wants two such looks in a
//! row.

use super::stop::{accepted_yellow, listed};
use super::{Cluster, Copy, Status, Version};

/// That a node has joined with the version that it must.
///
/// # Errors
/// Not yet: why.
pub(crate) fn joined(cluster: &Cluster<'_>, name: &str, to: Version, expected: usize) -> Result<(), String> {
    let count = cluster.health.number_of_nodes;
    let Some(node) = cluster.nodes.named(name) else {
        return Err(format!("{name} has not joined: the master counts {count} nodes of {expected}"));
    };
    if node.version != to {
        return Err(format!("{name} is there with {}, not {to}", node.version));
    }
    if count < expected || cluster.nodes.list.len() < expected || cluster.nodes.failed > 0 {
        return Err(format!("{name} is back, and the master counts {count} nodes of {expected}"));
    }
    if cluster.elected.and_then(|id| cluster.nodes.with_id(id)).is_none() {
        return Err("there is no elected master".to_owned());
    }
    match cluster.health.number_of_pending_tasks {
        0 => Ok(()),
        tasks => Err(format!("the master has {tasks} pending tasks: its answers are not fresh")),
    }
}

/// That every copy has a node again, or all that still have none wait for more nodes to be upgraded. `true` says that it is
/// yellow.
///
/// # Errors
/// Not yet: why.
pub(crate) fn recovered(cluster: &Cluster<'_>, to: Version) -> Result<bool, String> {
    let missing = || {
        let without: Vec<&Copy> = cluster.copies.iter().filter(|copy| !copy.works()).collect();
        let names: Vec<String> = without.iter().map(|copy| format!("{}[{}]", copy.index, copy.shard)).collect();
        if names.is_empty() { String::new() } else { format!(" ({})", listed(&names)) }
    };
    if let Some(why) = cluster.settings.held_back() {
        return Err(format!("shards are not allocated: {why}"));
    }
    if let Some(unrest) = cluster.health.unrest() {
        return Err(format!("{}: {unrest}{}", cluster.health.status.word(), missing()));
    }
    match cluster.health.status {
        Status::Green => Ok(false),
        Status::Red => Err(format!("red: {} copies without a node{}", cluster.health.unassigned_shards, missing())),
        Status::Yellow => accepted_yellow(cluster, to, false).map(|()| true).map_err(|why| format!("yellow: {why}")),
    }
}
