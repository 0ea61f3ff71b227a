//! Short answers: health, who is master, a flush, and what an error says.

use serde::Deserialize;

use crate::base::Value;

/// The colour of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Every shard has all its copies.
    #[serde(alias = "GREEN")]
    Green,
    /// Every shard has its primary.
    #[serde(alias = "YELLOW")]
    Yellow,
    /// A shard has no primary, or the node asked knows no master.
    #[serde(alias = "RED")]
    Red,
}

impl Status {
    /// As Elasticsearch writes it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }
}

/// `GET /_cluster/health`. What older versions don't say is 0.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Health {
    /// The cluster's name.
    pub(crate) cluster_name: String,
    /// The colour.
    pub(crate) status: Status,
    /// What was waited for did not come in time.
    pub(crate) timed_out: bool,
    /// All nodes.
    pub(crate) number_of_nodes: usize,
    /// Those that hold data.
    pub(crate) number_of_data_nodes: usize,
    /// Primaries that work.
    pub(crate) active_primary_shards: usize,
    /// Copies on the way from one node to another.
    pub(crate) relocating_shards: usize,
    /// Copies being made.
    pub(crate) initializing_shards: usize,
    /// Copies without a node.
    pub(crate) unassigned_shards: usize,
    /// Of them, those that wait for their node to come back.
    #[serde(default)]
    pub(crate) delayed_unassigned_shards: usize,
    /// What the master has yet to do.
    #[serde(default)]
    pub(crate) number_of_pending_tasks: usize,
    /// Questions to nodes about what they have on disk.
    #[serde(default)]
    pub(crate) number_of_in_flight_fetch: usize,
}

impl Health {
    /// Why the cluster is not at rest; `None` when it is.
    pub(crate) fn unrest(&self) -> Option<String> {
        let parts: Vec<String> = [
            (self.number_of_pending_tasks, "pending tasks of the master"),
            (self.initializing_shards, "shards being made"),
            (self.relocating_shards, "shards being moved"),
            (self.number_of_in_flight_fetch, "shards being looked for"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        if parts.is_empty() && self.timed_out {
            return Some("the master has not come to rest (timed out)".to_owned());
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// Reads a health; the status code may be 200, or 408 when a wait ran out.
///
/// # Errors
/// It is no health.
pub(crate) fn parse_health(body: &[u8]) -> Result<Health, String> {
    serde_json::from_slice(body).map_err(|error| format!("the health can't be read: {error}"))
}

/// The id of the elected master in `GET /_cluster/state/master_node`; `None` when there is none.
///
/// # Errors
/// It is no such answer.
pub(crate) fn parse_master(body: &[u8]) -> Result<Option<String>, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("the master can't be read: {error}"))?;
    match value.get("master_node") {
        Some(Value::String(id)) => Ok(Some(id.clone())),
        Some(Value::Null) => Ok(None),
        _ => Err("the master can't be read: no `master_node` in the answer".to_owned()),
    }
}

/// How many shard copies a flush reached, and how many not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Flush {
    /// Reached.
    pub(crate) successful: usize,
    /// Not: under writes that is normal.
    pub(crate) failed: usize,
}

/// Reads the answer to a flush, of status 200 or 409.
///
/// # Errors
/// It is no such answer.
pub(crate) fn parse_flush(body: &[u8]) -> Result<Flush, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("the flush can't be read: {error}"))?;
    let shards = value.get("_shards").cloned().unwrap_or(Value::Null);
    serde_json::from_value(shards).map_err(|error| format!("the flush can't be read: {error}"))
}

/// Why copies were not flushed, each reason once, with the number of copies.
pub(crate) fn flush_failures(body: &[u8]) -> Vec<String> {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let mut reasons: Vec<(String, usize)> = Vec::new();
    let indices = value.as_object().into_iter().flatten().filter(|(name, _)| *name != "_shards");
    for failure in indices.flat_map(|(_, index)| index.get("failures").and_then(Value::as_array).into_iter().flatten())
    {
        let reason = failure.get("reason").and_then(Value::as_str).unwrap_or("no reason");
        // `[2] ongoing operations on primary`: the number is another each time.
        let reason =
            reason.split(';').next().unwrap_or(reason).trim_start_matches(|c: char| "[]0123456789 ".contains(c));
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, count)) => *count += 1,
            None => reasons.push((reason.to_owned(), 1)),
        }
    }
    reasons.into_iter().map(|(reason, count)| format!("{reason} ({count})")).collect()
}

/// What an answer that is no success says: `error` is an object, or a plain text where the request as such was refused.
pub(crate) fn failure_text(status: u16, body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let error = value.get("error");
    let text =
        |key: &str| error.and_then(|error| error.get(key)).and_then(Value::as_str).filter(|text| !text.is_empty());
    let said = match (error, text("type"), text("reason")) {
        (Some(Value::String(text)), _, _) => text.clone(),
        (_, Some(kind), Some(reason)) => format!("{kind}: {reason}"),
        (_, Some(kind), None) => kind.to_owned(),
        _ => String::from_utf8_lossy(body).trim().to_owned(),
    };
    let said: String = said.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let hint = match status {
        401 => " (user, password or API key)",
        403 => " (the user may not do this)",
        503 if said.contains("master_not_discovered") || said.contains("cluster_manager_not_discovered") => {
            " (there is no master)"
        }
        _ => "",
    };
    if said.is_empty() { format!("status {status}{hint}") } else { format!("status {status}{hint}: {said}") }
}
