//! Faults on purpose, and what happened: its own part, which no real system has.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::nodes::Life;
use super::packages::Package;
use super::server::{Request, Response};
use super::world::{App, World};

/// What becomes of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Whim {
    /// How long it is held before it is answered.
    pub(super) before: Duration,
    /// What is answered instead of being done.
    pub(super) instead: Option<Response>,
    /// It is done, and nothing is answered for `after`.
    pub(super) silent: bool,
    pub(super) after: Duration,
}

/// Which requests, and how often.
#[derive(Debug, Clone)]
pub(super) struct WhimRule {
    method: String,
    path: String,
    pub(super) times: u32,
    pub(super) whim: Whim,
}

impl WhimRule {
    pub(super) fn fits(&self, request: &Request) -> bool {
        !request.path.starts_with("/_standin/")
            && (self.method.is_empty() || request.method == self.method)
            && request.path.contains(&self.path)
    }
}

impl World {
    pub(super) fn control(&mut self, what: &str, request: &Request, now: Instant) -> Response {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        match what {
            "history" => {}
            "fail" => {
                self.failing = names(&body);
            }
            "hold" => {
                self.held = names(&body);
            }
            "die" => {
                for pod in names(&body) {
                    self.kill(&pod, Life::Failed, now);
                }
            }
            // The same app, a new process: interrupts are forgotten, and ids are new.
            "restart" => {
                self.scheduler = None;
                self.start(now);
            }
            // Another package over the same tasks, as if the old app had been removed and this one installed.
            "upgrade" => {
                let found = Package::find(&text("package"));
                let options = if body["options"].is_null() {
                    json!({"ingest_nodes": {"count": 1}})
                } else {
                    body["options"].clone()
                };
                if let Some((package, json)) = found.and_then(|package| Some((package, package.app(&options).ok()?))) {
                    self.scheduler = None;
                    self.app = Some(App { package, json });
                    self.start(now);
                }
            }
            "expire" => self.token = format!("standin-token-{}", self.number()),
            "answer" => {
                let seconds =
                    |name: &str| Duration::try_from_secs_f64(body[name].as_f64().unwrap_or(0.0)).unwrap_or_default();
                let status = body["status"].as_u64().and_then(|status| u16::try_from(status).ok());
                let kind = if text("body").starts_with('<') { "text/html" } else { "text/plain" };
                self.rules.push(WhimRule {
                    method: text("method"),
                    path: text("path"),
                    times: body["times"].as_u64().and_then(|times| u32::try_from(times).ok()).unwrap_or(1),
                    whim: Whim {
                        before: seconds("before"),
                        instead: status.map(|status| Response::new(status, "Fault", kind, text("body"))),
                        silent: body["silent"].as_bool().unwrap_or(false),
                        after: seconds("after"),
                    },
                });
            }
            _ => return Response::new(404, "Not Found", "", ""),
        }
        let tasks: Value = self
            .tasks
            .iter()
            .map(|(pod, task)| {
                (pod.clone(), json!({"id": task.id, "version": task.config.elasticsearch, "ready": task.ready}))
            })
            .collect::<serde_json::Map<_, _>>()
            .into();
        let interrupted = self.scheduler.as_ref().map(|scheduler| scheduler.plan.interrupted);
        Response::json(
            200,
            &json!({"history": self.history, "most_out": self.most_out, "tasks": tasks, "uninstalled": self.uninstalled,
                "interrupted": interrupted, "crash": self.crash, "marked": self.marked, "allocates": self.elastic.allocates()}),
        )
    }
}

fn names(body: &Value) -> std::collections::BTreeSet<String> {
    let list = body["pods"].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}
