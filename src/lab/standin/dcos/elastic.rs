//! The Elasticsearch that the tasks are: each node answers on a port of its own as long as its task is ready. One index with a
//! replica lies on the data nodes; a copy that was out comes back when allocation is on.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::server::{Request, Response, exchange};
use super::world::World;

/// The setting.
const ENABLE: &str = "cluster.routing.allocation.enable";

/// The cluster's own memory.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    /// Ports by pod.
    pub(super) ports: std::collections::BTreeMap<String, u16>,
    persistent: Map<String, Value>,
    transient: Map<String, Value>,
    /// Data nodes whose copy is not there, and since when it could be.
    pub(super) out: std::collections::BTreeMap<String, Option<Instant>>,
}

/// Listens for each node.
pub(super) fn listen(world: &Arc<Mutex<World>>) {
    let locked = || world.lock().unwrap_or_else(PoisonError::into_inner);
    let pods: Vec<String> = locked().tasks.keys().cloned().collect();
    for pod in pods {
        let Ok(listener) = TcpListener::bind("127.0.0.1:0") else { continue };
        let port = listener.local_addr().map(|address| address.port()).unwrap_or_default();
        locked().elastic.ports.insert(pod.clone(), port);
        let world = Arc::clone(world);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (world, pod) = (Arc::clone(&world), pod.clone());
                std::thread::spawn(move || {
                    exchange(stream, |request| {
                        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
                        world.node(&pod, request)
                    });
                });
            }
        });
    }
}

fn flat(prefix: &str, value: &Value, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flat(&name, value, into);
            }
        }
        other => into.push((prefix.to_owned(), other.clone())),
    }
}

fn nested(settings: &Map<String, Value>) -> Value {
    let mut root = json!({});
    for (name, value) in settings {
        let mut at = &mut root;
        for part in name.split('.') {
            at = &mut at[part];
        }
        *at = value.clone();
    }
    root
}

impl Cluster {
    pub(super) fn allocates(&self) -> bool {
        let value = self.transient.get(ENABLE).or_else(|| self.persistent.get(ENABLE));
        value.and_then(Value::as_str).is_none_or(|text| text == "all")
    }

    fn set(&mut self, body: &Value) {
        for (scope, own) in [("persistent", &mut self.persistent), ("transient", &mut self.transient)] {
            let mut all = Vec::new();
            flat("", &body[scope], &mut all);
            for (name, value) in all.into_iter().filter(|(name, _)| !name.is_empty()) {
                if value.is_null() {
                    own.remove(&name);
                } else {
                    own.insert(name, value);
                }
            }
        }
    }
}

impl World {
    /// Copies go and come back.
    pub(super) fn tick_elastic(&mut self, now: Instant) {
        let back = self.seconds(0.6);
        let allocates = self.elastic.allocates();
        for (pod, task) in self.tasks.iter().filter(|(pod, _)| pod.starts_with("data-")) {
            if !task.ready {
                self.elastic.out.insert(pod.clone(), None);
            } else if let Some(since) = self.elastic.out.get_mut(pod).filter(|_| allocates) {
                since.get_or_insert(now);
            }
        }
        self.elastic.out.retain(|_, since| since.is_none_or(|since| now < since + back));
    }

    fn members(&self) -> Vec<(&String, &super::nodes::Task)> {
        self.tasks.iter().filter(|(_, task)| task.ready).collect()
    }

    /// One node's answer; `None` where nothing listens.
    fn node(&mut self, pod: &str, request: &Request) -> Option<Response> {
        if !self.tasks.get(pod).is_some_and(|task| task.ready) {
            return None;
        }
        let masters = self.members().iter().filter(|(pod, _)| pod.starts_with("master-")).count();
        if masters < 2 {
            return Some(Response::json(
                503,
                &json!({"error": {"type": "master_not_discovered_exception", "reason": null, "root_cause": []}, "status": 503}),
            ));
        }
        let one = |pod: &String, task: &super::nodes::Task| {
            let kind = pod.rsplit_once('-').map_or("", |(kind, _)| kind);
            let roles = match kind {
                "master" => vec!["master"],
                "data" => vec!["data"],
                "ingest" => vec!["ingest"],
                _ => Vec::new(),
            };
            let port = self.elastic.ports.get(pod).copied().unwrap_or_default();
            (
                format!("id-{pod}"),
                json!({"name": format!("{pod}-node"), "transport_address": format!("127.0.0.1:{port}"), "host": "127.0.0.1",
                "ip": "127.0.0.1", "version": task.config.elasticsearch, "build_hash": "0", "roles": roles, "attributes": {},
                "http": {"publish_address": format!("127.0.0.1:{port}")}}),
            )
        };
        let nodes = |all: Vec<(String, Value)>| {
            let count = all.len();
            json!({"_nodes": {"total": count, "successful": count, "failed": 0}, "cluster_name": "elastic",
                "nodes": all.into_iter().collect::<Map<_, _>>()})
        };
        let members = self.members();
        let data: Vec<&String> = self.tasks.keys().filter(|pod| pod.starts_with("data-")).take(2).collect();
        let there = |pod: &String| !self.elastic.out.contains_key(pod);
        let master =
            members.iter().map(|(pod, _)| (*pod).clone()).rfind(|pod| pod.starts_with("master-")).unwrap_or_default();
        let whole = data.iter().all(|pod| there(pod));
        let body = match (request.method.as_str(), request.path.as_str()) {
            (_, "/") => {
                json!({"name": format!("{pod}-node"), "cluster_name": "elastic", "version": {"number": self.tasks[pod].config.elasticsearch}})
            }
            ("GET", "/_nodes/_local/no-metrics") => nodes(vec![one(&pod.to_owned(), &self.tasks[pod])]),
            ("GET", "/_nodes/_all/no-metrics") => nodes(members.iter().map(|(pod, task)| one(pod, task)).collect()),
            ("GET", "/_cluster/state/master_node") => {
                json!({"cluster_name": "elastic", "master_node": format!("id-{master}")})
            }
            ("GET", "/_cluster/health") => {
                let started = data.iter().filter(|pod| there(pod)).count();
                json!({"cluster_name": "elastic", "status": if whole { "green" } else { "yellow" }, "timed_out": false,
                    "number_of_nodes": members.len(), "number_of_data_nodes": members.iter().filter(|(pod, _)| pod.starts_with("data-")).count(),
                    "active_primary_shards": 1, "active_shards": started, "relocating_shards": 0, "initializing_shards": 0,
                    "unassigned_shards": 2 - started, "delayed_unassigned_shards": 0, "number_of_pending_tasks": 0,
                    "number_of_in_flight_fetch": 0, "task_max_waiting_in_queue_millis": 0, "active_shards_percent_as_number": 100.0})
            }
            ("GET", "/_cluster/settings") => {
                json!({"persistent": nested(&self.elastic.persistent), "transient": nested(&self.elastic.transient)})
            }
            ("GET", "/_cat/shards") => {
                let primary = data.iter().position(|pod| there(pod)).unwrap_or(0);
                let shard = |(at, pod): (usize, &&String)| {
                    let (state, node) = if there(pod) {
                        ("STARTED", json!(format!("{pod}-node")))
                    } else {
                        ("UNASSIGNED", Value::Null)
                    };
                    json!({"index": "logs", "shard": "0", "prirep": if at == primary { "p" } else { "r" }, "state": state, "node": node})
                };
                Value::Array(data.iter().enumerate().map(shard).collect())
            }
            ("POST", "/_flush/synced" | "/_flush") => json!({"_shards": {"total": 2, "successful": 2, "failed": 0}}),
            ("PUT", "/_cluster/settings") => {
                let wanted: Value = serde_json::from_slice(&request.body).unwrap_or_default();
                self.elastic.set(&wanted);
                let what = if self.elastic.allocates() { "allocation on" } else { "allocation off" };
                self.note(Instant::now(), what, pod);
                json!({"acknowledged": true, "persistent": {}, "transient": {}})
            }
            _ => return Some(Response::json(404, &json!({"error": "no handler found", "status": 404}))),
        };
        Some(Response::json(200, &body))
    }
}
