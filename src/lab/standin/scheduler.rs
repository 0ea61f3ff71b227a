//! A framework's scheduler: keeps so many sleeping tasks running, and says on standard output what it hears.
//!
//! It is told by its environment: MASTER, IP, TASKS, CHECKPOINT, NAME, STATE (where its framework id is kept),
//! PRINCIPAL and SECRET (for a library of 0.15). Its next life is the
//! same framework, and nobody tells it of the tasks of this one: it launches as many again beside them, as real ones do.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::daemon::{address_of, observing, time_scale};
use super::era::Era;
use super::glog::Log;
use super::hub::{Event, Hub, MasterLink};
use super::zk::{self, ZkNews};

/// Tasks launched on one offer: the first slave that comes does not get them all.
const AT_ONCE: usize = 2;
const WEEK: f64 = 604_800.0;

struct Scheduler {
    hub: Hub,
    log: Log,
    pid: String,
    name: String,
    checkpoint: bool,
    wanted: usize,
    state: PathBuf,
    id: String,
    leader: Option<String>,
    master: MasterLink,
    registered: bool,
    next_try: Instant,
    tasks: BTreeMap<String, String>,
    next_task: u32,
    /// Principal and secret, for a library that knows of them.
    credential: Option<(String, String)>,
    authenticated: bool,
    /// The driver has ended with an error: it goes on asking, and passes nothing on.
    aborted: bool,
}

/// Runs a scheduler until it is killed.
pub(super) fn run(version: &str) -> ExitCode {
    let variable = |name: &str, default: &str| {
        std::env::var(name).ok().filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned())
    };
    let log = Log::new("sleeper", version, None, false);
    let master = variable("MASTER", "zk://localhost:2181/mesos");
    let ip: Ipv4Addr = variable("IP", "127.0.0.1").parse().unwrap_or(Ipv4Addr::LOCALHOST);
    let hub = Hub::new();
    let port = match hub.listen(ip, 0, false) {
        Ok(port) => port,
        Err(error) => log.fatal("process.cpp", [1340, 1365], &format!("Failed to initialize, bind: {error}")),
    };
    let state = PathBuf::from(variable("STATE", "/var/lib/sleeper/framework_id"));
    let now = Instant::now();
    let mut scheduler = Scheduler {
        hub,
        log: log.clone(),
        pid: format!("scheduler(1)@{ip}:{port}"),
        name: variable("NAME", "sleeper"),
        checkpoint: matches!(variable("CHECKPOINT", "false").as_str(), "true" | "1"),
        wanted: variable("TASKS", "3").parse().unwrap_or(3),
        id: std::fs::read_to_string(&state).unwrap_or_default().trim().to_owned(),
        state,
        leader: None,
        master: MasterLink::default(),
        registered: false,
        next_try: now,
        tasks: BTreeMap::new(),
        next_task: 0,
        credential: (Era::of(version) >= Era::V0_15)
            .then(|| (variable("PRINCIPAL", ""), variable("SECRET", "")))
            .filter(|(principal, _)| !principal.is_empty()),
        authenticated: false,
        aborted: false,
    };
    match super::zk_url(&master).as_deref().map(zk::parse_url) {
        Some(Ok(url)) => {
            zk::watch(url, None, observing(), scheduler.hub.sender.clone());
        }
        Some(Err(why)) => log.fatal("sched.cpp", [900, 900], &format!("Failed to create a master detector: {why}")),
        None => scheduler.leader = Some(format!("master@{}", address_of(&master))),
    }
    loop {
        scheduler.turn();
    }
}

impl Scheduler {
    fn turn(&mut self) {
        let now = Instant::now();
        let deadline = if self.leader.is_some() && !self.registered {
            self.next_try.max(now)
        } else {
            now + Duration::from_secs(60)
        };
        match self.hub.next(deadline) {
            Some(Event::Http(_, answer)) => {
                let _ = answer.send(super::hub::Response::empty("404 Not Found"));
            }
            Some(Event::Zk(news)) => self.on_zk(news),
            Some(Event::Message(link, message)) if self.master.link == Some(link) => self.on_master(link, &message),
            Some(Event::Closed(link)) if self.master.link == Some(link) => {
                self.master.link = None;
                self.on_disconnect();
            }
            _ => {}
        }
        if self.leader.is_some() && !self.registered && Instant::now() >= self.next_try {
            self.next_try = Instant::now() + Duration::from_secs_f64(time_scale());
            self.register();
        }
    }

    fn on_zk(&mut self, news: ZkNews) {
        let name = format!("Master detector ({})", self.pid);
        match news {
            ZkNews::Connected => {
                self.log.info("detector.cpp", [234, 234], &format!("{name} connected to ZooKeeper ..."))
            }
            ZkNews::Members(count, leader) => {
                self.log.info("detector.cpp", [420, 420], &format!("{name}  found {count} registered masters"));
                if leader != self.leader {
                    if let Some(pid) = &leader {
                        self.log.info("detector.cpp", [467, 467], &format!("{name}  got new master pid: {pid}"));
                    }
                    self.change(leader);
                }
            }
            ZkNews::Expired => self.change(None),
            ZkNews::Created(_) => {}
        }
    }

    fn change(&mut self, leader: Option<String>) {
        self.master.follow(&mut self.hub, leader.as_ref());
        self.on_disconnect();
        self.leader = leader;
        self.next_try = Instant::now();
    }

    fn on_disconnect(&mut self) {
        self.authenticated = false;
        if std::mem::take(&mut self.registered) {
            say("DISCONNECTED");
        }
    }

    fn register(&mut self) {
        let Some(leader) = &self.leader else { return };
        let hello = json!({"link": "scheduler", "pid": self.pid});
        let Some(link) = self.master.to(&mut self.hub, leader, &hello) else { return };
        if let Some((principal, secret)) = self.credential.as_ref().filter(|_| !self.authenticated) {
            // A master of before 0.15 does not answer this: it is asked again and again.
            let message = json!({"kind": "authenticate", "pid": self.pid, "principal": principal, "secret": secret});
            self.hub.send(link, &message);
            return;
        }
        let message = json!({
            "kind": "register-framework",
            "id": self.id,
            "pid": self.pid,
            "name": self.name,
            "user": "root",
            "checkpoint": self.checkpoint,
            "failover_timeout": WEEK,
        });
        self.hub.send(link, &message);
    }

    fn on_master(&mut self, link: u64, message: &Value) {
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        match message["kind"].as_str().unwrap_or_default() {
            _ if self.aborted => {}
            "authenticated" => {
                self.authenticated = true;
                self.next_try = Instant::now();
            }
            "authentication-refused" => {
                let master = self.leader.clone().unwrap_or_default();
                self.log.warning("sched.cpp", [342, 342], &format!("Master {master} refused authentication"));
                say("ERROR Master refused authentication");
                self.leader = None;
                self.aborted = true;
            }
            "error" if text("message").ends_with("is not authenticated.") => {
                say(&format!("ERROR {}", text("message")));
                self.aborted = true;
            }
            "registered" => {
                self.registered = true;
                self.id = text("id");
                if let Some(parent) = self.state.parent() {
                    let _ = std::fs::create_dir_all(parent);
                }
                let _ = std::fs::write(&self.state, format!("{}\n", self.id));
                say(&format!("REGISTERED {} master {}", self.id, text("master")));
            }
            "offers" => self.on_offers(link, message),
            "status" => {
                let (task, state) = (text("task"), text("state"));
                say(&format!("STATUS {task} {state} {}", text("message")));
                // It hears of a former life's tasks too, and does not count them.
                if !matches!(state.as_str(), "TASK_RUNNING" | "TASK_STAGING") {
                    self.tasks.remove(&task);
                } else if task.starts_with(&own_prefix()) {
                    self.tasks.insert(task, state);
                }
            }
            "slave-lost" => say(&format!("SLAVELOST {}", text("slave"))),
            "error" => {
                say(&format!("ERROR {}", text("message")));
                self.master.link = None;
                self.registered = false;
                // Another process is this framework now.
                self.leader = None;
            }
            _ => {}
        }
    }

    fn on_offers(&mut self, link: u64, message: &Value) {
        let offers: Vec<&Value> = message["offers"].as_array().into_iter().flatten().collect();
        let count = offers.len();
        for (index, offer) in offers.into_iter().enumerate() {
            let missing = self.wanted.saturating_sub(self.tasks.len());
            // Spread over what was offered together.
            let share = missing.div_ceil(count - index);
            let room = (offer["cpus"].as_f64().unwrap_or_default() / 0.5)
                .floor()
                .min(offer["mem"].as_f64().unwrap_or_default() / 64.0) as usize;
            let mut tasks = Vec::new();
            for _ in 0..share.min(room).min(AT_ONCE) {
                let id = self.fresh_id();
                say(&format!("LAUNCH {id} on {}", offer["hostname"].as_str().unwrap_or_default()));
                tasks.push(json!({"id": id, "name": id, "cpus": 0.5, "mem": 64}));
                self.tasks.insert(id, "TASK_STAGING".to_owned());
            }
            self.hub.send(link, &json!({"kind": "launch", "offer": offer["id"], "tasks": tasks, "pid": self.pid}));
        }
    }

    fn fresh_id(&mut self) -> String {
        loop {
            let id = format!("{}{}", own_prefix(), self.next_task);
            self.next_task += 1;
            if !self.tasks.contains_key(&id) {
                return id;
            }
        }
    }
}

/// How the names of this process's tasks begin.
fn own_prefix() -> String {
    format!("sleep-{}-", std::process::id())
}

/// A line for people on standard output.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
