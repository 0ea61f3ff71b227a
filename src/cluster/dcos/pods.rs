//! The tasks of a service by their ids: what tells that a node was really replaced.

use std::collections::BTreeMap;

use serde_json::Value;

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// New with each launch.
    pub(crate) id: String,
    /// `RUNNING`, without Mesos' `TASK_`.
    pub(crate) status: String,
}

impl Task {
    /// Whether it runs.
    pub(crate) fn is_running(&self) -> bool {
        self.status == "RUNNING"
    }
}

/// How deep an answer is looked into.
const DEEPEST: usize = 8;

/// Tasks by name, from `/v1/pod/status` (2.x and later), `/v1/pods/status` or `/v1/pods/<pod>/info` (before), or what the CLI prints of
/// them: all have objects with a task's name, id and state, at different depths.
///
/// # Errors
/// It is no JSON, or there is no task in it.
pub(crate) fn parse_tasks(body: &[u8]) -> Result<BTreeMap<String, Task>, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("it is not JSON ({error})"))?;
    let mut found = BTreeMap::new();
    collect(&value, 0, &mut found);
    if found.is_empty() { Err("there is no task in it".to_owned()) } else { Ok(found) }
}

fn collect(value: &Value, depth: usize, found: &mut BTreeMap<String, Task>) {
    if depth > DEEPEST {
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, depth + 1, found)),
        Value::Object(map) => {
            // What `info` has beside it is the state that Mesos told last.
            let state = map.get("status").filter(|_| map.contains_key("info"));
            let info = map.get("info").unwrap_or(value);
            if let Some((name, id)) = named(info) {
                let word = state
                    .and_then(|state| state.get("state"))
                    .or_else(|| info.get("status"))
                    .or_else(|| info.get("state"));
                let status = word.and_then(Value::as_str).unwrap_or_default();
                let status = status.strip_prefix("TASK_").unwrap_or(status).to_owned();
                found.insert(name, Task { id, status });
                return;
            }
            map.values().for_each(|inner| collect(inner, depth + 1, found));
        }
        _ => {}
    }
}

fn named(value: &Value) -> Option<(String, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let name = value.get("name").and_then(text)?;
    let id = value.get("id").and_then(text).or_else(|| text(value.get("taskId")?.get("value")?))?;
    // Pods and phases have a name, too; a task's id begins with the task's name, in newer schedulers after the service's.
    id.contains("__").then_some((name, id))
}

/// Where the nodes of an endpoint are: `ip:port` by task, from an endpoint's `address` and `dns`, which go side by side. Old schedulers
/// list the HTTP and the transport port of each node; the first is HTTP's.
pub(crate) fn parse_endpoint(body: &[u8]) -> BTreeMap<String, String> {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let list = |name: &str| -> Vec<String> {
        let list = value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut found = BTreeMap::new();
    for (name, address) in list("dns").into_iter().zip(list("address")) {
        let task = name.split('.').next().unwrap_or_default().to_owned();
        found.entry(task).or_insert(address);
    }
    found
}

/// The endpoints by which Elasticsearch is spoken to over HTTP, of all that a service has.
pub(crate) fn http_endpoints(body: &[u8]) -> Vec<String> {
    let names: Vec<String> = serde_json::from_slice(body).unwrap_or_default();
    let plain = names.iter().all(|name| !name.contains('-'));
    names.into_iter().filter(|name| plain || name.ends_with("-http")).take(16).collect()
}
