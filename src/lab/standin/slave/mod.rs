//! A Mesos slave: registers with the leader, starts executors, and comes back as what it was when it checkpoints.

mod http;
mod meta;
mod work;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::daemon::{Daemon, address_of, observing};
use super::era::Era;
use super::flags::Flags;
use super::hub::{Event, Hub, MasterLink};
use super::resources::{Detected, Resources};
use super::zk::{self, ZkNews};
use meta::{Info, Meta};

/// How long executors have to come back to a slave that recovers, in seconds.
const REREGISTER: f64 = 2.0;
/// … and so long an executor that lives is waited for on top of it, unscaled: a real machine is not slower on a shorter clock.
const SLOWNESS: Duration = Duration::from_secs(5);
/// A slave asks again this often, in seconds.
const RETRY: f64 = 1.0;
/// How long a slave that was told to go takes, in seconds.
const FAREWELL: f64 = 4.0;

/// A framework as this slave met it first: what it says of checkpoints later is not seen until the slave has forgotten it.
struct Framework {
    id: String,
    name: String,
    user: String,
    checkpoint: bool,
    pid: String,
    executors: Vec<Executor>,
}

struct Executor {
    id: String,
    uuid: String,
    directory: PathBuf,
    link: Option<u64>,
    pid: u32,
    task: Value,
    state: String,
    completed: bool,
}

#[derive(Default)]
struct Counters {
    staged: u64,
    finished: u64,
    killed: u64,
    failed: u64,
    lost: u64,
    valid: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Executors of the life before may still come back.
    Recovering(Instant),
    Working,
    /// `--recover=cleanup`: ends its executors, then itself.
    CleaningUp,
    /// Told to go: ends at the deadline.
    Leaving(Instant),
}

pub(super) struct Slave {
    daemon: Daemon,
    hub: Hub,
    meta: Meta,
    info: Info,
    pid: String,
    id: String,
    leader: Option<String>,
    master: MasterLink,
    registered: bool,
    next_try: Instant,
    mode: Mode,
    frameworks: Vec<Framework>,
    executors: HashMap<u64, (String, String)>,
    counters: Counters,
    end: Option<ExitCode>,
}

/// Runs a slave until it ends.
pub(super) fn run(version: &str, flags: Flags) -> ExitCode {
    let era = Era::of(version);
    // Before 0.13 the port is a free one, unless it is given.
    let mut daemon = Daemon::new("mesos-slave", version, flags, if era < Era::V0_13 { 0 } else { 5051 });
    let log = daemon.log.clone();
    log.info("main.cpp", [119, 119], &format!("Creating \"{}\" isolator", daemon.flags.text("isolation")));
    log.info("main.cpp", [127, 127], &format!("Build: {} by ", era.build().0));
    log.info("main.cpp", [128, 128], "Starting Mesos slave");
    let hub = Hub::new();
    match hub.listen(daemon.ip, daemon.port, era < Era::V0_13) {
        Ok(port) => daemon.port = port,
        Err(error) => log.fatal("process.cpp", [1340, 1365], &format!("Failed to initialize, bind: {error}")),
    }
    log.info("slave.cpp", [112, 114], &format!("Slave started on 1)@{}", daemon.address()));
    let work_dir = PathBuf::from(daemon.flags.text("work_dir").trim());
    let _ = std::fs::create_dir_all(&work_dir);
    let resources = match Resources::parse(daemon.flags.text("resources"), era, detect(&work_dir, era)) {
        Ok(resources) => resources,
        Err(why) => {
            log.raw(&format!("{why}\n"));
            return ExitCode::FAILURE;
        }
    };
    log.info("slave.cpp", [201, 214], &format!("Slave resources: {}", resources.text(era)));
    if let Err(why) = refusal(&daemon) {
        log.raw(&why);
        return ExitCode::FAILURE;
    }
    let recover = daemon.flags.text("recover").to_owned();
    let checkpoint = daemon.flags.is_on("checkpoint");
    // 0.15 has a flag where the others read a variable.
    let hostname = daemon.flags.get("hostname").unwrap_or(&daemon.host).to_owned();
    let webui = if era < Era::V0_15 { std::env::var("MESOS_PUBLIC_DNS").ok() } else { None };
    let info = Info {
        webui_hostname: webui.unwrap_or_else(|| hostname.clone()),
        hostname,
        resources,
        attributes: attributes(daemon.flags.text("attributes")),
        checkpoint,
    };
    let url = match super::zk_url(daemon.flags.text("master")).as_deref().map(zk::parse_url) {
        None => None,
        Some(Ok(url)) => Some(url),
        Some(Err(why)) => {
            log.fatal("main.cpp", [140, 140], &format!("CHECK_SOME(detector): Failed to create a master detector{why}"))
        }
    };
    let now = Instant::now();
    let mut slave = Slave {
        pid: format!("slave(1)@{}", daemon.address()),
        meta: Meta::new(&work_dir),
        daemon,
        hub,
        info,
        id: String::new(),
        leader: None,
        master: MasterLink::default(),
        registered: false,
        next_try: now,
        mode: Mode::Working,
        frameworks: Vec::new(),
        executors: HashMap::new(),
        counters: Counters::default(),
        end: None,
    };
    if checkpoint && let Err(refusal) = slave.recover(&recover) {
        log.raw(&refusal);
        return ExitCode::FAILURE;
    }
    if slave.mode == Mode::Working && era >= Era::V0_13 {
        log.info("process_isolator.cpp", [319, 314], "Recovering isolator");
        log.info("slave.cpp", [386, 405], "Finished recovery");
    }
    match url {
        Some(url) => zk::watch(url, None, observing(), slave.hub.sender.clone()),
        None => {
            // `ip:port`, with or without `master@`.
            let address = address_of(slave.daemon.flags.text("master")).to_owned();
            slave.leader = Some(format!("master@{address}"));
        }
    }
    loop {
        if let Some(code) = slave.end {
            return code;
        }
        slave.turn();
    }
}

/// What a slave makes of `--recover`, which 0.13 brought.
///
/// # Errors
/// What it says before it ends with exit code 1.
pub(super) fn refusal(daemon: &Daemon) -> Result<(), String> {
    let recover = daemon.flags.text("recover");
    if daemon.era < Era::V0_13 || matches!(recover, "reconnect" | "cleanup") {
        return Ok(());
    }
    Err(format!(
        "Unknown option for 'recover' flag {recover}. Please run the slave with '--help' to see the valid options\n"
    ))
}

/// `rack:a;zone:b` as an object.
fn attributes(flag: &str) -> Value {
    let pairs = flag.split(';').filter_map(|part| part.split_once(':'));
    Value::Object(
        pairs.map(|(name, value)| (name.trim().to_owned(), json!(value.trim()))).collect::<Map<String, Value>>(),
    )
}

/// Until 0.13 the space that is free now counts as the size of the disk, 0.11's that of the root; later the size does.
fn detect(work_dir: &std::path::Path, era: Era) -> Detected {
    let free = era <= Era::V0_13;
    let work_dir = if era == Era::V0_11 { std::path::Path::new("/") } else { work_dir };
    let disk = rustix::fs::statvfs(work_dir).map_or(10_240.0, |stat| {
        let blocks = if free { stat.f_bavail } else { stat.f_blocks };
        let mib = (blocks.saturating_mul(stat.f_frsize) >> 20) as f64;
        if !free && mib > 10_240.0 { mib - 5120.0 } else { mib }
    });
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<f64>().ok());
    let mib = (kib.unwrap_or(4_194_304.0) / 1024.0).floor();
    let cpus = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
    Detected { cpus, mem: if mib > 2048.0 { mib - 1024.0 } else { mib / 2.0 }, disk }
}

impl Slave {
    fn turn(&mut self) {
        let now = Instant::now();
        let mut deadline = now + Duration::from_secs(60);
        match self.mode {
            Mode::Recovering(at) => deadline = at.max(now + Duration::from_millis(20)),
            Mode::Leaving(at) => deadline = deadline.min(at),
            Mode::Working | Mode::CleaningUp => {}
        }
        if self.leader.is_some() && !self.registered {
            deadline = deadline.min(self.next_try.max(now));
        }
        match self.hub.next(deadline) {
            Some(Event::Http(path, answer)) => {
                let _ = answer.send(self.respond(&path));
            }
            Some(Event::Linked(link, hello, _)) => self.on_executor(link, &hello),
            Some(Event::Message(link, message)) if self.master.link == Some(link) => self.on_master(link, &message),
            Some(Event::Message(link, message)) => self.on_executor_message(link, &message),
            Some(Event::Closed(link)) if self.master.link == Some(link) => {
                self.master.link = None;
                self.registered = false;
                self.next_try = Instant::now() + self.retry();
            }
            Some(Event::Closed(link)) => self.on_executor_gone(link),
            Some(Event::Zk(news)) => self.on_zk(news),
            Some(Event::Ended(executor)) => self.on_executor_ended(&executor),
            None => {}
        }
        let now = Instant::now();
        match self.mode {
            Mode::Recovering(at) if now >= at && (now >= at + SLOWNESS || !self.awaits_executors()) => {
                self.finish_recovery();
            }
            Mode::Leaving(at) if now >= at => self.leave(),
            Mode::CleaningUp if self.frameworks.iter().all(|framework| framework.executors.is_empty()) => {
                self.mode = Mode::Leaving(now + self.daemon.scaled(FAREWELL / 2.0));
            }
            _ => {}
        }
        if self.leader.is_some() && !self.registered && now >= self.next_try {
            self.next_try = now + self.retry();
            self.register();
        }
    }

    /// When to ask again. A second request that overtakes the answer to the first would name the tasks of then, and cost those
    /// that came in between.
    fn retry(&self) -> Duration {
        self.daemon.scaled(RETRY).max(Duration::from_millis(500))
    }

    fn on_zk(&mut self, news: ZkNews) {
        let log = self.daemon.log.clone();
        let name = self.daemon.era.detector(&self.pid);
        match news {
            ZkNews::Connected => {
                log.info("detector.cpp", [234, 234], &format!("{} connected to ZooKeeper ...", name.trim_end()))
            }
            ZkNews::Created(_) => {}
            ZkNews::Members(count, leader) => {
                log.info("detector.cpp", [420, 420], &format!("{name} found {count} registered masters"));
                if leader != self.leader {
                    self.on_leader(leader);
                }
            }
            ZkNews::Expired => self.on_leader(None),
        }
    }

    fn on_leader(&mut self, leader: Option<String>) {
        let log = self.daemon.log.clone();
        self.master.follow(&mut self.hub, leader.as_ref());
        self.registered = false;
        match &leader {
            Some(pid) => {
                log.info(
                    "detector.cpp",
                    [467, 467],
                    &format!("{} got new master pid: {pid}", self.daemon.era.detector(&self.pid)),
                );
                log.info("slave.cpp", [525, 554], &format!("New master detected at {pid}"));
                log.info("status_update_manager.cpp", [155, 157], &format!("New master detected at {pid}"));
                match self.mode {
                    Mode::Recovering(_) => {
                        log.info("slave.cpp", [540, 569], "Postponing registration until recovery is complete")
                    }
                    Mode::CleaningUp => {
                        log.info("slave.cpp", [534, 563], "Skipping registration because slave is in 'cleanup' mode")
                    }
                    Mode::Working | Mode::Leaving(_) => {}
                }
            }
            None => log.info("slave.cpp", [570, 599], "Lost master(s) ... waiting"),
        }
        self.leader = leader;
        self.next_try = Instant::now();
    }

    /// Asks the leader to take this slave, in the words of who was known before or was not.
    fn register(&mut self) {
        if matches!(self.mode, Mode::Recovering(_) | Mode::Leaving(_)) {
            return;
        }
        let Some(leader) = &self.leader else { return };
        let hello = json!({"link": "slave", "pid": self.pid});
        let Some(link) = self.master.to(&mut self.hub, leader, &hello) else { return };
        if self.mode == Mode::CleaningUp {
            // Linked for its executors' last updates only.
            self.registered = true;
            return;
        }
        let mut message = json!({
            "kind": if self.id.is_empty() { "register-slave" } else { "reregister-slave" },
            "pid": self.pid,
            "hostname": self.info.hostname,
            "resources": self.info.resources,
            "attributes": self.info.attributes,
            "checkpoint": self.info.checkpoint,
        });
        if !self.id.is_empty() {
            message["id"] = json!(self.id);
            message["tasks"] = self.tasks();
        }
        self.hub.send(link, &message);
    }

    fn on_master(&mut self, link: u64, message: &Value) {
        let log = self.daemon.log.clone();
        let member = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        match message["kind"].as_str().unwrap_or_default() {
            "ping" => self.hub.send(link, &json!({"kind": "pong", "pid": self.pid})),
            "registered" => {
                self.registered = true;
                self.id = member("id");
                log.info(
                    "slave.cpp",
                    [590, 620],
                    &format!("Registered with master {}; given slave ID {}", member("master"), self.id),
                );
                if self.info.checkpoint {
                    self.meta.checkpoint_slave(&self.id, &self.info, &log);
                }
            }
            "reregistered" => {
                self.registered = true;
                log.info("slave.cpp", [601, 641], &format!("Re-registered with master {}", member("master")));
            }
            "framework-pid" => {
                let (id, pid) = (member("framework"), member("pid"));
                if let Some(framework) = self.frameworks.iter_mut().find(|framework| framework.id == id) {
                    log.info("slave.cpp", [1240, 1296], &format!("Updating framework {id} pid to {pid}"));
                    framework.pid = pid;
                    if framework.checkpoint && self.info.checkpoint {
                        self.meta.checkpoint_pid(&self.id, &id, &framework.pid);
                    }
                }
            }
            "run" => self.run_task(message),
            "shutdown-framework" => self.shut_down(Some(&member("framework"))),
            "shutdown" => {
                log.info("slave.cpp", [420, 443], &format!("Slave asked to shut down by {}", member("master")));
                if !matches!(self.mode, Mode::Leaving(_)) {
                    self.shut_down(None);
                    self.mode = Mode::Leaving(Instant::now() + self.daemon.scaled(FAREWELL));
                    self.registered = true;
                }
            }
            _ => {}
        }
    }

    /// The last of a slave that may not come back under this id.
    fn leave(&mut self) {
        self.daemon.log.info("slave.cpp", [372, 395], "Slave terminating");
        self.meta.forget();
        self.end = Some(ExitCode::SUCCESS);
    }
}
