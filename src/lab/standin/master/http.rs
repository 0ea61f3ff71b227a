//! What a master answers over HTTP.

use serde_json::{Map, Value, json};

use super::{Framework, Master, Slave, Task};
use crate::lab::standin::era::Era;
use crate::lab::standin::hub::Response;
use crate::lab::standin::json::render;
use crate::lab::standin::resources::number_of;
use crate::lab::standin::wrap_jsonp;

impl Master {
    pub(super) fn respond(&self, path: &str) -> Response {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let era = self.daemon.era;
        let newer = era >= Era::V0_14;
        // The root's paths are the master's too.
        let name = path.strip_prefix("/master").unwrap_or(path);
        let body = match name {
            "/state.json" => self.state(),
            "/stats.json" => self.stats(),
            "/roles.json" if newer && path.starts_with("/master/") => self.roles(),
            "/vars" => match era.vars(&self.daemon.version) {
                Some(text) => json!(text),
                None => return Response::empty("404 Not Found"),
            },
            "/health" if newer => return Response::empty("200 OK"),
            "/redirect" => return self.redirect(),
            _ => return Response::empty("404 Not Found"),
        };
        let lines = match name {
            "/state.json" => [300, 354],
            "/stats.json" => [250, 296],
            _ => [400, 424],
        };
        self.daemon.log.info("http.cpp", lines, &format!("HTTP request for '{path}'"));
        wrap_jsonp(render(&body, era.digits()), query)
    }

    fn redirect(&self) -> Response {
        let place = self.leader_address().unwrap_or(&self.daemon.address()).to_owned();
        Response {
            status: "307 Temporary Redirect",
            headers: vec![("Location", format!("http://{place}"))],
            body: String::new(),
        }
    }

    /// Slaves that count as there: before 0.13 this number only grows.
    fn activated(&self) -> usize {
        if self.daemon.era < Era::V0_13 { self.activated } else { self.slaves.len() }
    }

    /// The other number of slaves: its name, and what it counts.
    fn other_slaves(&self) -> (&'static str, usize) {
        if self.daemon.era < Era::V0_13 {
            ("connected_slaves", self.slaves.len())
        } else {
            ("deactivated_slaves", self.deactivated.len())
        }
    }

    fn state(&self) -> Value {
        let counters = &self.counters;
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| {
            members.insert(name.to_owned(), value);
        };
        put("activated_slaves", json!(self.activated()));
        put("build_date", json!(self.daemon.era.build().0));
        put("build_time", json!(self.daemon.era.build().1));
        put("build_user", json!(""));
        if let Some(cluster) = self.daemon.flags.get("cluster") {
            put("cluster", json!(cluster));
        }
        if let Some(folder) = self.daemon.flags.get("log_dir") {
            put("log_dir", json!(folder));
        }
        put("completed_frameworks", json!([]));
        let (name, count) = self.other_slaves();
        put(name, json!(count));
        put("failed_tasks", json!(counters.failed));
        put("finished_tasks", json!(counters.finished));
        put("frameworks", self.frameworks.iter().map(|framework| self.framework(framework)).collect());
        put("id", json!(self.id));
        put("killed_tasks", json!(counters.killed));
        if let Some(leader) = &self.leader {
            put("leader", json!(leader));
        }
        put("lost_tasks", json!(counters.lost));
        put("pid", json!(self.pid));
        put("slaves", self.slaves.iter().map(|slave| self.slave(slave)).collect());
        put("staged_tasks", json!(counters.staged));
        put("start_time", self.daemon.time(self.daemon.started));
        put("started_tasks", json!(0));
        if self.daemon.era >= Era::V0_13 {
            put("version", json!(self.daemon.version));
        }
        Value::Object(members)
    }

    fn slave(&self, slave: &Slave) -> Value {
        let mut members = json!({
            "id": slave.id,
            "pid": slave.pid,
            "hostname": slave.hostname,
            "registered_time": self.daemon.time(slave.registered),
            "resources": slave.resources.to_json(),
            "attributes": slave.attributes,
        });
        if let (Some(at), false) = (slave.reregistered, self.daemon.era <= Era::V0_13) {
            members["reregistered_time"] = self.daemon.time(at);
        }
        members
    }

    fn framework(&self, framework: &Framework) -> Value {
        let tasks: Vec<&Task> = self.tasks.values().filter(|task| task.framework == framework.id).collect();
        let (cpus, mem) =
            (tasks.iter().map(|task| task.cpus).sum::<f64>(), tasks.iter().map(|task| task.mem).sum::<f64>());
        let offers: Vec<&String> =
            self.offers.iter().filter(|(_, offer)| offer.framework == framework.id).map(|(id, _)| id).collect();
        let mut members = json!({
            "active": framework.active,
            "completed_tasks": framework.completed.iter().map(task_json).collect::<Vec<_>>(),
            "id": framework.id,
            "name": framework.name,
            "offers": offers,
            "registered_time": self.daemon.time(framework.registered),
            "resources": self.sum(cpus, mem),
            "tasks": tasks.into_iter().map(task_json).collect::<Vec<_>>(),
            "unregistered_time": 0,
            "user": framework.user,
        });
        if let (Some(at), false) = (framework.reregistered, self.daemon.era <= Era::V0_13) {
            members["reregistered_time"] = self.daemon.time(at);
        }
        members
    }

    /// Until 0.13 what is not used is listed as well.
    fn sum(&self, cpus: f64, mem: f64) -> Value {
        match (self.daemon.era <= Era::V0_13, cpus > 0.0 || mem > 0.0) {
            (true, _) => json!({"cpus": number_of(cpus), "disk": 0, "mem": number_of(mem), "ports": "[]"}),
            (false, true) => json!({"cpus": number_of(cpus), "mem": number_of(mem)}),
            (false, false) => json!({}),
        }
    }

    fn stats(&self) -> Value {
        let counters = &self.counters;
        let mut members = json!({
            "activated_slaves": self.activated(),
            "active_schedulers": self.frameworks.iter().filter(|framework| framework.active).count(),
            "elected": self.elected,
            "failed_tasks": counters.failed,
            "finished_tasks": counters.finished,
            "invalid_status_updates": counters.invalid,
            "killed_tasks": counters.killed,
            "lost_tasks": counters.lost,
            "staged_tasks": counters.staged,
            "started_tasks": 0,
            "total_schedulers": self.frameworks.len(),
            "uptime": number_of(self.daemon.uptime()),
            "valid_status_updates": counters.valid,
        });
        let (name, count) = self.other_slaves();
        members[name] = json!(count);
        if self.daemon.era >= Era::V0_13 {
            members["outstanding_offers"] = json!(self.offers.len());
        }
        if !self.slaves.is_empty() {
            for (name, used) in [
                ("cpus", self.tasks.values().map(|task| task.cpus).sum::<f64>()),
                ("mem", self.tasks.values().map(|task| task.mem).sum::<f64>()),
                ("disk", 0.0),
            ] {
                let total: f64 = self.slaves.iter().map(|slave| slave.resources.scalar(name)).sum();
                members[format!("{name}_total")] = number_of(total);
                members[format!("{name}_used")] = number_of(used);
                members[format!("{name}_percent")] = number_of(if total > 0.0 { used / total } else { 0.0 });
            }
        }
        members
    }

    fn roles(&self) -> Value {
        let (cpus, mem) = (
            self.tasks.values().map(|task| task.cpus).sum::<f64>(),
            self.tasks.values().map(|task| task.mem).sum::<f64>(),
        );
        let ids: Vec<&String> = self.frameworks.iter().map(|framework| &framework.id).collect();
        json!({"roles": [{"frameworks": ids, "name": "*", "resources": self.sum(cpus, mem), "weight": 1}]})
    }
}

fn task_json(task: &Task) -> Value {
    json!({
        "executor_id": "",
        "framework_id": task.framework,
        "id": task.id,
        "name": task.name,
        "resources": {"cpus": number_of(task.cpus), "mem": number_of(task.mem)},
        "slave_id": task.slave,
        "state": task.state,
    })
}
