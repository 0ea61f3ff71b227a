//! Slaves of a master: registration, what is kept and what is lost when one goes, and when it is given up.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Master, PING, PINGS, Peer, Slave, Task, text};
use crate::lab::standin::era::Era;
use crate::lab::standin::resources::Resources;

impl Master {
    pub(super) fn register_slave(&mut self, link: u64, message: &Value) {
        let (pid, hostname) = (text(message, "pid"), text(message, "hostname"));
        let log = self.daemon.log.clone();
        let slaves = self.daemon.flags.text("slaves");
        if self.daemon.era >= Era::V0_13 && slaves != "*" {
            log.fatal("master.cpp", [1063, 1325], &format!("Check failed: flags.slaves == \"*\" ({slaves} vs. *) "));
        }
        if let Some(known) = self.slaves.iter_mut().find(|slave| slave.pid == pid) {
            if known.link == Some(link) {
                // It asks again because the answer was late.
                let id = known.id.clone();
                self.hub.send(link, &json!({"kind": "registered", "id": id, "master": self.pid}));
                return;
            }
            let id = known.id.clone();
            log.info("master.cpp", [1050, 1060], &format!("Removing old disconnected slave {id} ({hostname})"));
            self.remove_slave(&id, "removed");
        }
        self.deactivated.retain(|other| *other != pid);
        log.info("master.cpp", [920, 1075], &format!("Attempting to register slave on {hostname} at {pid}"));
        let id = format!("{}-{}", self.id, self.next_slave);
        self.next_slave += 1;
        self.add_slave(link, &id, message, None);
        self.hub.send(link, &json!({"kind": "registered", "id": id, "master": self.pid}));
        self.welcome(link);
    }

    pub(super) fn reregister_slave(&mut self, link: u64, message: &Value) {
        let (id, pid, hostname) = (text(message, "id"), text(message, "pid"), text(message, "hostname"));
        let log = self.daemon.log.clone();
        if self.deactivated.contains(&id) {
            log.warning(
                "master.cpp",
                [1010, 1145],
                &format!("Slave {id} at {pid} ({hostname}) attempted to re-register after deactivation"),
            );
            self.hub.send(link, &json!({"kind": "shutdown", "master": self.pid}));
            return;
        }
        let now = self.now();
        let soon = Instant::now() + self.daemon.scaled(PING);
        match self.slaves.iter_mut().find(|slave| slave.id == id) {
            Some(slave) => {
                log.info(
                    "master.cpp",
                    [1040, 1168],
                    &format!(
                        "Slave at {pid} ({hostname}) is being allowed to re-register with an already in use id ({id})"
                    ),
                );
                slave.link = Some(link);
                slave.pid = pid;
                slave.reregistered = Some(now);
                slave.answered = true;
                slave.missed = 0;
                slave.next_ping = soon;
                self.peers.insert(link, Peer::Slave(id.clone()));
                self.reconcile(&id, message);
            }
            None => {
                log.info(
                    "master.cpp",
                    [1047, 1178],
                    &format!("Attempting to re-register slave {id} at {pid} ({hostname})"),
                );
                self.add_slave(link, &id, message, Some(now));
                for task in message["tasks"].as_array().into_iter().flatten() {
                    self.adopt(&id, task);
                }
            }
        }
        self.hub.send(link, &json!({"kind": "reregistered", "id": id, "master": self.pid}));
        self.welcome(link);
    }

    /// Tells a slave where the frameworks are, as a real master does when a slave comes.
    fn welcome(&mut self, link: u64) {
        for framework in &self.frameworks {
            self.hub.send(link, &json!({"kind": "framework-pid", "framework": framework.id, "pid": framework.pid}));
        }
    }

    fn add_slave(&mut self, link: u64, id: &str, message: &Value, reregistered: Option<f64>) {
        let resources: Resources = serde_json::from_value(message["resources"].clone()).unwrap_or_default();
        let hostname = text(message, "hostname");
        let amounts = resources.text(self.daemon.era);
        self.activated += 1;
        self.daemon.log.info("master.cpp", [1920, 2167], &format!("Adding slave {id} at {hostname} with {amounts}"));
        let slave = Slave {
            id: id.to_owned(),
            pid: text(message, "pid"),
            hostname,
            resources,
            attributes: message["attributes"].clone(),
            checkpoint: message["checkpoint"].as_bool().unwrap_or_default(),
            registered: self.now(),
            reregistered,
            link: Some(link),
            next_ping: Instant::now() + self.daemon.scaled(PING),
            answered: true,
            missed: 0,
        };
        // The newest first, as the real one lists them.
        self.slaves.insert(0, slave);
        self.peers.insert(link, Peer::Slave(id.to_owned()));
    }

    fn adopt(&mut self, slave: &str, task: &Value) {
        let (framework, id) = (text(task, "framework"), text(task, "id"));
        let log = self.daemon.log.clone();
        if !self.frameworks.iter().any(|other| other.id == framework) {
            log.warning(
                "master.cpp",
                [2010, 2260],
                &format!("Possibly orphaned task {id} of framework {framework} running on slave {slave}"),
            );
        }
        let task = Task {
            framework: framework.clone(),
            id: id.clone(),
            name: text(task, "name"),
            slave: slave.to_owned(),
            state: text(task, "state"),
            cpus: task["cpus"].as_f64().unwrap_or_default(),
            mem: task["mem"].as_f64().unwrap_or_default(),
        };
        self.tasks.insert((framework, id), task);
    }

    /// What this master believes to run there and the slave does not know, is lost.
    fn reconcile(&mut self, slave: &str, message: &Value) {
        let running: Vec<(String, String)> = message["tasks"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|task| (text(task, "framework"), text(task, "id")))
            .collect();
        let lost: Vec<(String, String)> = self
            .tasks
            .iter()
            .filter(|(key, task)| task.slave == slave && !running.contains(key))
            .map(|(key, _)| key.clone())
            .collect();
        for (framework, task) in lost {
            self.daemon.log.warning(
                "master.cpp",
                [1100, 1240],
                &format!("Task {task} of framework {framework} is unknown to slave {slave}"),
            );
            self.update_task(&framework, &task, "TASK_LOST", "Task is unknown to the slave", false);
        }
    }

    pub(super) fn slave_disconnected(&mut self, id: &str, link: u64) {
        let log = self.daemon.log.clone();
        let Some(slave) = self.slaves.iter_mut().find(|slave| slave.id == id && slave.link == Some(link)) else {
            return;
        };
        slave.link = None;
        let (hostname, checkpoint) = (slave.hostname.clone(), slave.checkpoint);
        log.info("master.cpp", [570, 690], &format!("Slave {id}({hostname}) disconnected"));
        if !checkpoint {
            log.info(
                "master.cpp",
                [577, 697],
                &format!("Removing disconnected slave {id}({hostname}) because it is not checkpointing!"),
            );
            self.remove_slave(id, "removed");
            return;
        }
        self.withdraw_offers(|offer| offer.slave == id);
        // What this master knows of each framework decides: it may be older than what the framework says today.
        let careless: Vec<String> = self
            .frameworks
            .iter()
            .filter(|framework| !framework.checkpoint)
            .map(|framework| framework.id.clone())
            .collect();
        self.lose_tasks(id, &format!("Slave {hostname} disconnected"), |task| careless.contains(&task.framework));
    }

    fn lose_tasks(&mut self, slave: &str, message: &str, which: impl Fn(&Task) -> bool) {
        let lost: Vec<(String, String)> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.slave == slave && which(task))
            .map(|(key, _)| key.clone())
            .collect();
        for (framework, task) in lost {
            self.update_task(&framework, &task, "TASK_LOST", message, true);
        }
    }

    pub(super) fn remove_slave(&mut self, id: &str, how: &str) {
        let Some(index) = self.slaves.iter().position(|slave| slave.id == id) else { return };
        let slave = self.slaves.remove(index);
        self.daemon.log.info("master.cpp", [2060, 2310], &format!("Removing slave {id} ({})", slave.hostname));
        self.withdraw_offers(|offer| offer.slave == id);
        self.lose_tasks(id, &format!("Slave {} {how}", slave.hostname), |_| true);
        if let Some(link) = slave.link {
            self.peers.remove(&link);
        }
        let links: Vec<u64> = self.frameworks.iter().filter_map(|framework| framework.link).collect();
        for link in links {
            self.hub.send(link, &json!({"kind": "slave-lost", "slave": id}));
        }
    }

    /// Pings all slaves; who misses five in a row is given up, and not taken back under that id.
    pub(super) fn ping(&mut self, now: Instant) {
        let period = self.daemon.scaled(PING);
        let mut given_up = Vec::new();
        for slave in self.slaves.iter_mut().filter(|slave| slave.next_ping <= now) {
            slave.next_ping = now + period;
            if !slave.answered {
                slave.missed += 1;
            }
            slave.answered = false;
            if slave.missed >= PINGS {
                given_up.push((slave.id.clone(), slave.pid.clone(), slave.link));
            } else if let Some(link) = slave.link {
                self.hub.send(link, &json!({"kind": "ping"}));
            }
        }
        for (id, pid, link) in given_up {
            self.daemon.log.warning(
                "master.cpp",
                [1260, 1390],
                &format!("Removing slave {id} at {pid} because it has been deactivated"),
            );
            self.remove_slave(&id, "removed");
            self.deactivated.push(id);
            if let Some(link) = link {
                self.hub.send(link, &json!({"kind": "shutdown", "master": self.pid}));
            }
        }
    }
}
