//! A Mesos master: elected through ZooKeeper, a registry of slaves, frameworks and tasks that it forgets with its process.

mod frameworks;
mod http;
mod slaves;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::{Value, json};

use super::credentials::{self, Credentials};
use super::daemon::{Daemon, address_of, unix_now};
use super::era::Era;
use super::flags::Flags;
use super::hub::{Event, Hub};
use super::resources::Resources;
use super::zk::{self, ZkNews};

/// Pings to a slave are this far apart, in seconds …
const PING: f64 = 15.0;
/// … and so many may stay unanswered.
const PINGS: u32 = 5;

/// A slave that this master lists: connected, or waited for.
struct Slave {
    id: String,
    pid: String,
    hostname: String,
    resources: Resources,
    attributes: Value,
    checkpoint: bool,
    registered: f64,
    reregistered: Option<f64>,
    link: Option<u64>,
    next_ping: Instant,
    answered: bool,
    missed: u32,
}

/// A framework; what it said of itself when this master first met it stays (`checkpoint` above all).
struct Framework {
    id: String,
    name: String,
    user: String,
    checkpoint: bool,
    failover_timeout: f64,
    pid: String,
    link: Option<u64>,
    active: bool,
    registered: f64,
    reregistered: Option<f64>,
    completed: Vec<Task>,
    /// When a silent framework is given up.
    gone_at: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Task {
    framework: String,
    id: String,
    name: String,
    slave: String,
    state: String,
    cpus: f64,
    mem: f64,
}

struct Offer {
    framework: String,
    slave: String,
}

#[derive(Default)]
struct Counters {
    staged: u64,
    finished: u64,
    killed: u64,
    failed: u64,
    lost: u64,
    valid: u64,
    invalid: u64,
}

/// What a link is for.
enum Peer {
    Slave(String),
    Framework(String),
    Unknown,
}

pub(super) struct Master {
    daemon: Daemon,
    hub: Hub,
    id: String,
    pid: String,
    leader: Option<String>,
    elected: bool,
    slaves: Vec<Slave>,
    /// Pids and ids of slaves that were given up; they are told to shut down.
    deactivated: Vec<String>,
    frameworks: Vec<Framework>,
    tasks: BTreeMap<(String, String), Task>,
    offers: BTreeMap<String, Offer>,
    filters: HashMap<(String, String), Instant>,
    peers: HashMap<u64, Peer>,
    counters: Counters,
    next_slave: u32,
    next_framework: u32,
    next_offer: u32,
    next_allocation: Instant,
    /// Secrets by principal: 0.15 and later.
    credentials: Credentials,
    /// Pids of schedulers that have shown one.
    authenticated: HashSet<String>,
    /// Slaves that have registered: before 0.13 this number only grows.
    activated: usize,
}

/// Runs a master until it dies.
pub(super) fn run(version: &str, flags: Flags) -> ExitCode {
    let daemon = Daemon::new("mesos-master", version, flags, 5050);
    let log = daemon.log.clone();
    log.info("main.cpp", [114, 114], &format!("Build: {} by ", daemon.era.build().0));
    log.info("main.cpp", [115, 115], "Starting Mesos master");
    let url = super::zk_url(daemon.flags.text("zk"));
    let url = match url.as_deref().map(zk::parse_url) {
        None => None,
        Some(Ok(url)) => Some(url),
        Some(Err(why)) => {
            log.fatal("main.cpp", [129, 129], &format!("CHECK_SOME(detector): Failed to create a master detector{why}"))
        }
    };
    let hub = Hub::new();
    if let Err(error) = hub.listen(daemon.ip, daemon.port, daemon.era < Era::V0_13) {
        log.fatal("process.cpp", [1340, 1365], &format!("Failed to initialize, bind: {error}"));
    }
    let number = u32::from_le_bytes(daemon.ip.octets());
    let minute = jiff::Zoned::now().strftime("%Y%m%d%H%M").to_string();
    let id = format!("{minute}-{number}-{}-{}", daemon.port, std::process::id());
    let pid = format!("master@{}", daemon.address());
    log.info("master.cpp", [226, 269], &format!("Master started on {}", daemon.address()));
    log.info("master.cpp", [241, 284], &format!("Master ID: {id}"));
    let credentials = match refusal(&daemon) {
        Ok(credentials) => credentials,
        Err(why) => {
            log.raw(&why);
            return ExitCode::FAILURE;
        }
    };
    if daemon.flags.text("whitelist") == "*" {
        log.warning("master.cpp", [81, 83], "No whitelist given. Advertising offers for all slaves");
    }
    let session = daemon.scaled(10.0);
    let now = Instant::now();
    let mut master = Master {
        daemon,
        hub,
        id,
        pid: pid.clone(),
        leader: None,
        elected: false,
        slaves: Vec::new(),
        deactivated: Vec::new(),
        frameworks: Vec::new(),
        tasks: BTreeMap::new(),
        offers: BTreeMap::new(),
        filters: HashMap::new(),
        peers: HashMap::new(),
        counters: Counters::default(),
        next_slave: 0,
        next_framework: 0,
        next_offer: 0,
        next_allocation: now,
        credentials,
        authenticated: HashSet::new(),
        activated: 0,
    };
    match url {
        Some(url) => zk::watch(url, Some(pid), session, master.hub.sender.clone()),
        // Alone, a master elects itself.
        None => master.on_leader(Some(pid)),
    }
    loop {
        master.turn();
    }
}

/// What 0.15 makes of its flags on authentication, once it is started.
///
/// # Errors
/// What it says before it ends with exit code 1.
pub(super) fn refusal(daemon: &Daemon) -> Result<Credentials, String> {
    if daemon.era < Era::V0_15 {
        return Ok(Credentials::new());
    }
    let authenticate = daemon.flags.is_on("authenticate");
    let (number, text) = if authenticate {
        (302, "Master only allowing authenticated frameworks to register!")
    } else {
        (309, "Master allowing unauthenticated frameworks to register!!")
    };
    daemon.log.info("master.cpp", [number, number], text);
    let Some(path) = daemon.flags.get("credentials") else {
        return if authenticate {
            Err("Authentication requires a credentials file (see --credentials flag)\n".to_owned())
        } else {
            Ok(Credentials::new())
        };
    };
    let found = credentials::read(path)?;
    if found.is_empty() {
        let text = format!("Empty credentials file '{path}'. !!No frameworks will be allowed to register!!");
        daemon.log.warning("master.cpp", [326, 326], &text);
    }
    Ok(found)
}

impl Master {
    fn turn(&mut self) {
        let pings = self.slaves.iter().map(|slave| slave.next_ping).min();
        let deadline = pings.map_or(self.next_allocation, |at| at.min(self.next_allocation));
        match self.hub.next(deadline) {
            Some(Event::Http(path, answer)) => {
                let _ = answer.send(self.respond(&path));
            }
            Some(Event::Linked(link, ..)) => {
                self.peers.insert(link, Peer::Unknown);
            }
            Some(Event::Message(link, message)) => self.on_message(link, &message),
            Some(Event::Closed(link)) => self.on_closed(link),
            Some(Event::Zk(news)) => self.on_zk(news),
            Some(Event::Ended(_)) | None => {}
        }
        let now = Instant::now();
        self.ping(now);
        if now >= self.next_allocation {
            self.next_allocation = now + self.daemon.scaled(self.daemon.flags.seconds("allocation_interval"));
            self.expire_frameworks(now);
            self.allocate(now);
        }
    }

    fn on_zk(&mut self, news: ZkNews) {
        let log = self.daemon.log.clone();
        let name = self.daemon.era.detector(&self.pid);
        match news {
            ZkNews::Connected => {
                log.info("detector.cpp", [234, 234], &format!("{} connected to ZooKeeper ...", name.trim_end()));
            }
            ZkNews::Created(path) => {
                log.info("detector.cpp", [281, 281], &format!("Created ephemeral/sequence znode at '{path}'"));
            }
            ZkNews::Members(count, leader) => {
                log.info("detector.cpp", [420, 420], &format!("{name} found {count} registered masters"));
                if leader != self.leader {
                    if let Some(leader) = &leader {
                        log.info("detector.cpp", [467, 467], &format!("{name} got new master pid: {leader}"));
                    }
                    self.on_leader(leader);
                }
            }
            ZkNews::Expired => self.on_leader(None),
        }
    }

    fn on_leader(&mut self, leader: Option<String>) {
        let log = self.daemon.log.clone();
        let is_self = leader.as_ref() == Some(&self.pid);
        match &leader {
            None if self.leader.is_some() || self.elected => {
                let text = if self.elected {
                    "No longer elected master ... committing suicide!"
                } else {
                    "No master detected (?) ... committing suicide!"
                };
                log.fatal("master.cpp", [546, 656], text);
            }
            None => {}
            Some(_) if self.elected && !is_self => {
                log.fatal("master.cpp", [533, 643], "No longer elected master ... committing suicide!");
            }
            Some(_) if is_self && !self.elected => {
                self.elected = true;
                log.info("master.cpp", [530, 640], "Elected as master!");
            }
            Some(_) if !is_self => log.info("master.cpp", [528, 638], "Waiting to be master!"),
            Some(_) => {}
        }
        self.leader = leader;
    }

    fn on_message(&mut self, link: u64, message: &Value) {
        let kind = message["kind"].as_str().unwrap_or_default();
        if !self.elected && kind != "pong" {
            self.daemon.log.warning(
                "master.cpp",
                [640, 811],
                &format!("Ignoring {kind} message from {} since not elected yet", text(message, "pid")),
            );
            return;
        }
        match kind {
            "register-slave" => self.register_slave(link, message),
            "reregister-slave" => self.reregister_slave(link, message),
            "authenticate" if self.daemon.era >= Era::V0_15 => self.authenticate(link, message),
            "register-framework" if self.refuses(link, message) => {}
            "register-framework" => self.register_framework(link, message),
            "launch" => self.launch(link, message),
            "unregister-framework" => self.unregister_framework(link),
            "update" => self.on_update(message),
            "pong" => {
                if let Some(Peer::Slave(id)) = self.peers.get(&link)
                    && let Some(slave) = self.slaves.iter_mut().find(|slave| slave.id == *id)
                {
                    slave.answered = true;
                    slave.missed = 0;
                }
            }
            _ => {}
        }
    }

    fn on_closed(&mut self, link: u64) {
        match self.peers.remove(&link) {
            Some(Peer::Slave(id)) => self.slave_disconnected(&id, link),
            Some(Peer::Framework(id)) => self.framework_disconnected(&id, link),
            Some(Peer::Unknown) | None => {}
        }
    }

    /// Tells a task's framework how it stands, and forgets the task when it is over.
    fn update_task(&mut self, framework: &str, task: &str, state: &str, message: &str, by_master: bool) {
        let key = (framework.to_owned(), task.to_owned());
        let over = matches!(state, "TASK_LOST" | "TASK_KILLED" | "TASK_FAILED" | "TASK_FINISHED");
        if let Some(known) = self.tasks.get_mut(&key) {
            state.clone_into(&mut known.state);
        }
        if over && let Some(task) = self.tasks.remove(&key) {
            match state {
                "TASK_KILLED" => self.counters.killed += 1,
                "TASK_FAILED" => self.counters.failed += 1,
                "TASK_FINISHED" => self.counters.finished += 1,
                // Until 0.13 a master does not count what it lost itself.
                _ if by_master && self.daemon.era <= Era::V0_13 => {}
                _ => self.counters.lost += 1,
            }
            if let Some(framework) = self.frameworks.iter_mut().find(|other| other.id == framework) {
                framework.completed.push(task);
            }
        }
        // Before 0.13 such an update lacks a field, and the scheduler's library drops it: nobody hears of these tasks.
        if by_master && self.daemon.era < Era::V0_13 {
            return;
        }
        let link = self.frameworks.iter().find(|other| other.id == framework).and_then(|framework| framework.link);
        if let Some(link) = link {
            self.hub.send(link, &json!({"kind": "status", "task": task, "state": state, "message": message}));
        }
    }

    fn leader_address(&self) -> Option<&str> {
        self.leader.as_deref().map(address_of)
    }

    fn now(&self) -> f64 {
        unix_now()
    }
}

/// A text member of a message.
fn text(message: &Value, member: &str) -> String {
    message[member].as_str().unwrap_or_default().to_owned()
}
