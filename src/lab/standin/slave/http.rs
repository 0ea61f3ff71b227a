//! What a slave answers over HTTP: under /slave(1), parentheses as they are, and nowhere else.

use serde_json::{Map, Value, json};

use super::{Executor, Framework, Slave};
use crate::lab::standin::daemon::address_of;
use crate::lab::standin::era::Era;
use crate::lab::standin::hub::Response;
use crate::lab::standin::json::render;
use crate::lab::standin::resources::number_of;
use crate::lab::standin::wrap_jsonp;

impl Slave {
    pub(super) fn respond(&self, path: &str) -> Response {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let era = self.daemon.era;
        let newer = era >= Era::V0_14;
        let body = match path {
            "/slave(1)/state.json" => self.state(),
            "/slave(1)/stats.json" => self.stats(),
            "/slave(1)/vars" => match era.vars(&self.daemon.version) {
                Some(text) => json!(text),
                None => return Response::empty("404 Not Found"),
            },
            "/slave(1)/health" if newer => return Response::empty("200 OK"),
            "/monitor/usage.json" if era >= Era::V0_12 => json!([]),
            "/monitor/statistics.json" if era >= Era::V0_13 => json!([]),
            "/statistics/snapshot.json" => json!([]),
            _ => return Response::empty("404 Not Found"),
        };
        self.daemon.log.info("http.cpp", [270, 300], &format!("HTTP request for '{path}'"));
        wrap_jsonp(render(&body, era.digits()), query)
    }

    fn state(&self) -> Value {
        let counters = &self.counters;
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| {
            members.insert(name.to_owned(), value);
        };
        put("attributes", self.info.attributes.clone());
        put("build_date", json!(self.daemon.era.build().0));
        put("build_time", json!(self.daemon.era.build().1));
        put("build_user", json!(""));
        put("completed_frameworks", json!([]));
        put("failed_tasks", json!(counters.failed));
        put("finished_tasks", json!(counters.finished));
        put("frameworks", self.frameworks.iter().map(|framework| self.framework(framework)).collect());
        put("hostname", json!(self.info.hostname));
        put("id", json!(self.id));
        put("killed_tasks", json!(counters.killed));
        if let Some(folder) = self.daemon.flags.get("log_dir") {
            put("log_dir", json!(folder));
        }
        put("lost_tasks", json!(counters.lost));
        // An address, in spite of the name; zeros while no master is known.
        let master =
            self.leader.as_deref().map_or("0.0.0.0", |pid| address_of(pid).split(':').next().unwrap_or_default());
        put("master_hostname", json!(master));
        put("pid", json!(self.pid));
        put("resources", self.info.resources.to_json());
        put("staged_tasks", json!(counters.staged));
        put("start_time", self.daemon.time(self.daemon.started));
        put("started_tasks", json!(0));
        if self.daemon.era >= Era::V0_13 {
            put("version", json!(self.daemon.version));
        }
        Value::Object(members)
    }

    fn framework(&self, framework: &Framework) -> Value {
        json!({
            "completed_executors": [],
            "executors": framework.executors.iter().map(|executor| self.executor(framework, executor)).collect::<Vec<_>>(),
            "id": framework.id,
            "name": framework.name,
            "user": framework.user,
        })
    }

    fn executor(&self, framework: &Framework, executor: &Executor) -> Value {
        let task = &executor.task;
        let amount = |name: &str| number_of(task[name].as_f64().unwrap_or_default());
        let resources = json!({"cpus": amount("cpus"), "mem": amount("mem")});
        let as_task = json!({
            "executor_id": "",
            "framework_id": framework.id,
            "id": executor.id,
            "name": task["name"],
            "resources": resources,
            "slave_id": self.id,
            "state": executor.state,
        });
        // A task waits in the queue until its executor has linked.
        let (queued, running) =
            if executor.state == "TASK_STAGING" { (vec![as_task], vec![]) } else { (vec![], vec![as_task]) };
        let era = self.daemon.era;
        let id = if era < Era::V0_13 { format!("Task {} (exec sleep 1...)", executor.id) } else { executor.id.clone() };
        let mut members = json!({
            "completed_tasks": [],
            "directory": executor.directory.display().to_string(),
            "id": id,
            "queued_tasks": queued,
            "resources": resources,
            "tasks": running,
            "uuid": executor.uuid,
        });
        // 0.12 brought `source` to ExecutorInfo.
        if era >= Era::V0_12 {
            members["source"] = json!(executor.id);
            members["name"] = json!(match era {
                Era::V0_12 => "Command Executor".to_owned(),
                _ => format!("Command Executor (Task: {}) (Command: sh -c 'exec sleep 1...')", executor.id),
            });
        }
        members
    }

    fn stats(&self) -> Value {
        let counters = &self.counters;
        let mut members = json!({
            "failed_tasks": counters.failed,
            "finished_tasks": counters.finished,
            "invalid_status_updates": 0,
            "killed_tasks": counters.killed,
            "lost_tasks": counters.lost,
            "staged_tasks": counters.staged,
            "started_tasks": 0,
            "total_frameworks": self.frameworks.len(),
            "uptime": number_of(self.daemon.uptime()),
            "valid_status_updates": counters.valid,
        });
        if self.daemon.era >= Era::V0_14 {
            members["recovery_errors"] = json!(0);
            // Says no more than that a leader was detected.
            members["registered"] = json!(if self.leader.is_some() { "1" } else { "0" });
        }
        members
    }
}
