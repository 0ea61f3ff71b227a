//! Frameworks of a master: registration, offers, launches, updates.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Framework, Master, Offer, Peer, Task, text};

/// How long a slave is not offered again to a framework that answered an offer, in seconds.
const FILTER: f64 = 5.0;

impl Master {
    /// A scheduler that shows a principal and its secret.
    pub(super) fn authenticate(&mut self, link: u64, message: &Value) {
        let (pid, principal) = (text(message, "pid"), text(message, "principal"));
        let log = self.daemon.log.clone();
        log.info("master.cpp", [1850, 1850], &format!("Authenticating framework at {pid}"));
        let known = self.credentials.get(&principal);
        if known.is_some_and(|secret| *secret == text(message, "secret")) {
            log.info("master.cpp", [1915, 1915], &format!("Successfully authenticated framework at {pid}"));
            self.authenticated.insert(pid);
            self.hub.send(link, &json!({"kind": "authenticated"}));
        } else {
            let why = if known.is_none() { "user not found" } else { "authentication failure" };
            log.warning("authenticator.hpp", [300, 300], &format!("Authentication failure: {why}"));
            self.hub.send(link, &json!({"kind": "authentication-refused"}));
        }
    }

    /// With `--authenticate` nobody registers who has not authenticated: it is told so, each time that it asks.
    pub(super) fn refuses(&mut self, link: u64, message: &Value) -> bool {
        let (id, pid) = (text(message, "id"), text(message, "pid"));
        if !self.daemon.flags.is_on("authenticate") || self.authenticated.contains(&pid) {
            return false;
        }
        let text = format!("Refusing registration of framework at {pid} because it is not authenticated");
        self.daemon.log.warning("master.cpp", [828, 828], &text);
        let who = if id.is_empty() { "Framework".to_owned() } else { format!("Framework '{id}'") };
        self.hub.send(link, &json!({"kind": "error", "message": format!("{who} at {pid} is not authenticated.")}));
        true
    }

    pub(super) fn register_framework(&mut self, link: u64, message: &Value) {
        let log = self.daemon.log.clone();
        let (wanted, pid) = (text(message, "id"), text(message, "pid"));
        let now = self.now();
        let id = match self.frameworks.iter_mut().find(|framework| framework.id == wanted && !wanted.is_empty()) {
            Some(framework) => {
                log.info("master.cpp", [740, 844], &format!("Re-registering framework {wanted} at {pid}"));
                // Its FrameworkInfo stays what it was: a new `checkpoint` is not seen before a new master.
                if let Some(old) = framework.link.replace(link)
                    && old != link
                {
                    self.peers.remove(&old);
                    self.hub.send(old, &json!({"kind": "error", "message": "Framework failed over"}));
                }
                framework.pid = pid;
                framework.active = true;
                framework.gone_at = None;
                framework.reregistered = Some(now);
                wanted
            }
            None => {
                let (id, again) = if wanted.is_empty() {
                    let id = format!("{}-{:04}", self.id, self.next_framework);
                    self.next_framework += 1;
                    log.info("master.cpp", [590, 690], &format!("Registering framework {id} at {pid}"));
                    (id, None)
                } else {
                    log.info("master.cpp", [760, 862], &format!("Re-registering framework {wanted} at {pid}"));
                    (wanted, Some(now))
                };
                let framework = Framework {
                    id: id.clone(),
                    name: text(message, "name"),
                    user: text(message, "user"),
                    checkpoint: message["checkpoint"].as_bool().unwrap_or_default(),
                    failover_timeout: message["failover_timeout"].as_f64().unwrap_or_default(),
                    pid,
                    link: Some(link),
                    active: true,
                    registered: now,
                    reregistered: again,
                    completed: Vec::new(),
                    gone_at: None,
                };
                self.frameworks.insert(0, framework);
                id
            }
        };
        self.peers.insert(link, Peer::Framework(id.clone()));
        // What was offered to its former connection is answered by nobody.
        self.withdraw_offers(|offer| offer.framework == id);
        self.filters.retain(|(framework, _), _| *framework != id);
        self.hub.send(link, &json!({"kind": "registered", "id": id, "master": self.id}));
        self.next_allocation = Instant::now();
    }

    pub(super) fn framework_disconnected(&mut self, id: &str, link: u64) {
        let scaled = |seconds: f64| self.daemon.scaled(seconds);
        let Some(framework) =
            self.frameworks.iter_mut().find(|framework| framework.id == id && framework.link == Some(link))
        else {
            return;
        };
        self.daemon.log.info("master.cpp", [500, 600], &format!("Framework {id} disconnected"));
        framework.link = None;
        framework.active = false;
        framework.gone_at = Some(Instant::now() + scaled(framework.failover_timeout));
        self.withdraw_offers(|offer| offer.framework == id);
    }

    pub(super) fn expire_frameworks(&mut self, now: Instant) {
        let gone: Vec<String> = self
            .frameworks
            .iter()
            .filter(|framework| framework.gone_at.is_some_and(|at| at <= now))
            .map(|framework| framework.id.clone())
            .collect();
        for id in gone {
            self.remove_framework(&id);
        }
    }

    pub(super) fn unregister_framework(&mut self, link: u64) {
        if let Some(Peer::Framework(id)) = self.peers.get(&link) {
            let id = id.clone();
            self.remove_framework(&id);
        }
    }

    fn remove_framework(&mut self, id: &str) {
        self.daemon.log.info("master.cpp", [1840, 2090], &format!("Removing framework {id}"));
        self.withdraw_offers(|offer| offer.framework == id);
        let links: Vec<u64> = self.slaves.iter().filter_map(|slave| slave.link).collect();
        for link in links {
            self.hub.send(link, &json!({"kind": "shutdown-framework", "framework": id}));
        }
        self.tasks.retain(|_, task| task.framework != id);
        self.frameworks.retain(|framework| framework.id != id);
    }

    pub(super) fn withdraw_offers(&mut self, which: impl Fn(&Offer) -> bool) {
        let gone: Vec<String> =
            self.offers.iter().filter(|(_, offer)| which(offer)).map(|(id, _)| id.clone()).collect();
        for id in gone {
            self.offers.remove(&id);
        }
    }

    /// Offers what is free. A slave without checkpoints is not offered to a framework that wants them.
    pub(super) fn allocate(&mut self, now: Instant) {
        if !self.elected {
            return;
        }
        self.filters.retain(|_, until| *until > now);
        let mut sent: Vec<(u64, Value)> = Vec::new();
        for framework in self.frameworks.iter().filter(|framework| framework.active) {
            let Some(link) = framework.link else { continue };
            let mut offers = Vec::new();
            for slave in
                self.slaves.iter().filter(|slave| slave.link.is_some() && (slave.checkpoint || !framework.checkpoint))
            {
                let key = (framework.id.clone(), slave.id.clone());
                if self.filters.contains_key(&key) || self.offers.values().any(|offer| offer.slave == slave.id) {
                    continue;
                }
                let used = |amount: fn(&Task) -> f64| {
                    self.tasks.values().filter(|task| task.slave == slave.id).map(amount).sum::<f64>()
                };
                let (cpus, mem) = (
                    slave.resources.scalar("cpus") - used(|task| task.cpus),
                    slave.resources.scalar("mem") - used(|task| task.mem),
                );
                if cpus <= 0.0 || mem <= 0.0 {
                    continue;
                }
                let id = format!("{}-{}", self.id, self.next_offer);
                self.next_offer += 1;
                offers.push(json!({"id": id, "slave": slave.id, "hostname": slave.hostname, "cpus": cpus, "mem": mem}));
                self.offers.insert(id, Offer { framework: framework.id.clone(), slave: slave.id.clone() });
            }
            if !offers.is_empty() {
                let count = offers.len();
                self.daemon.log.info(
                    "master.cpp",
                    [1310, 1460],
                    &format!("Sending {count} offers to framework {}", framework.id),
                );
                sent.push((link, json!({"kind": "offers", "offers": offers})));
            }
        }
        for (link, message) in sent {
            self.hub.send(link, &message);
        }
    }

    pub(super) fn launch(&mut self, link: u64, message: &Value) {
        let offer_id = text(message, "offer");
        let Some(Peer::Framework(id)) = self.peers.get(&link) else { return };
        let id = id.clone();
        let tasks: Vec<Value> = message["tasks"].as_array().cloned().unwrap_or_default();
        let Some(offer) = self.offers.remove(&offer_id) else {
            for task in &tasks {
                self.update_task(&id, &text(task, "id"), "TASK_LOST", "Task launched with invalid offers", true);
            }
            return;
        };
        self.filters.insert((id.clone(), offer.slave.clone()), Instant::now() + self.daemon.scaled(FILTER));
        let Some(framework) = self.frameworks.iter().find(|framework| framework.id == id) else { return };
        let info = json!({"id": framework.id, "name": framework.name, "user": framework.user, "checkpoint": framework.checkpoint, "pid": framework.pid});
        let Some(slave_link) = self.slaves.iter().find(|slave| slave.id == offer.slave).and_then(|slave| slave.link)
        else {
            return;
        };
        for task in tasks {
            let task_id = text(&task, "id");
            let log = self.daemon.log.clone();
            log.info(
                "master.cpp",
                [1640, 1817],
                &format!("Launching task {task_id} of framework {id} on slave {}", offer.slave),
            );
            let known = Task {
                framework: id.clone(),
                id: task_id.clone(),
                name: text(&task, "name"),
                slave: offer.slave.clone(),
                state: "TASK_STAGING".to_owned(),
                cpus: task["cpus"].as_f64().unwrap_or_default(),
                mem: task["mem"].as_f64().unwrap_or_default(),
            };
            self.tasks.insert((id.clone(), task_id), known);
            self.counters.staged += 1;
            self.hub.send(slave_link, &json!({"kind": "run", "framework": info, "task": task}));
        }
    }

    pub(super) fn on_update(&mut self, message: &Value) {
        let (framework, task, state) = (text(message, "framework"), text(message, "task"), text(message, "state"));
        let known = self.tasks.contains_key(&(framework.clone(), task.clone()));
        self.daemon.log.info(
            "master.cpp",
            [1100, 1222],
            &format!("Status update {state} for task {task} of framework {framework}"),
        );
        if known {
            self.counters.valid += 1;
        } else {
            self.counters.invalid += 1;
        }
        self.update_task(&framework, &task, &state, &text(message, "message"), false);
    }
}
