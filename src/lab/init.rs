//! The init of a rehearsal host: process 1. It starts what /etc/rc2.d names, reaps, starts again what dies by itself, and
//! takes orders through a pipe: `VERB NAME REPLY-PIPE`, answered by `CODE TEXT`. The services' scripts are what people use.
//!
//! A service that was stopped stays stopped. One that dies is started again at once, but a service that died ten times
//! within five seconds is left alone (upstart's defaults, which Mesos packages of the time relied on).

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode};
use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions};

use super::enclose::{self, Boot};
use super::error::LabError;
use super::processes;

/// The pipe that takes orders.
pub(crate) const CONTROL: &str = "/run/lab/control";

const DEATHS: usize = 10;
const WITHIN: Duration = Duration::from_secs(5);
/// How long a service may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(30);

enum News {
    Died(u32, String),
    Asked(Order),
}

struct Order {
    verb: String,
    name: String,
    reply: PathBuf,
}

#[derive(Default)]
struct Service {
    pid: Option<u32>,
    /// Whether it is to run; a service that nobody wants is not started again.
    wanted: bool,
    deaths: VecDeque<Instant>,
    /// Who waits for its end, since when, and whether it is started again then.
    stopping: Option<Stopping>,
    last: String,
}

struct Stopping {
    deadline: Instant,
    killed: bool,
    restart: bool,
    replies: Vec<PathBuf>,
}

/// Becomes the host's init; comes back only when the host can't be.
pub(crate) fn run(boot: &Path) -> Result<(), LabError> {
    let boot = Boot::load(boot)?;
    enclose::enter(&boot)?;
    for folder in ["/run/lab", "/run/lock", "/run/sshd"] {
        fs::create_dir_all(folder).map_err(LabError::file("create", Path::new(folder)))?;
    }
    rustix::fs::mknodat(CWD, CONTROL, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .map_err(|error| LabError::file("create", Path::new(CONTROL))(error.into()))?;
    let (sender, receiver) = channel();
    listen(sender.clone())?;
    // The pipe is there before sshd is: whoever can log in can give orders.
    let mut init = Init { services: BTreeMap::new(), time: boot.time };
    for name in boot_order() {
        init.start(&name);
    }
    reap(sender);
    init.serve(&receiver);
    Ok(())
}

fn boot_order() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir("/etc/rc2.d")
        .map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    names.sort();
    names
        .iter()
        .filter_map(|name| name.strip_prefix('S')?.get(2..).map(ToOwned::to_owned))
        .filter(|name| Path::new("/etc/init.d").join(name).exists())
        .collect()
}

/// Reads orders on a thread of their own. The pipe is open for writing too, so that it never ends.
fn listen(sender: Sender<News>) -> Result<(), LabError> {
    let control =
        OpenOptions::new().read(true).write(true).open(CONTROL).map_err(LabError::file("open", Path::new(CONTROL)))?;
    std::thread::spawn(move || {
        for line in BufReader::new(control).lines() {
            let Ok(line) = line else { return };
            let mut words = line.split_whitespace();
            if let (Some(verb), Some(name), Some(reply)) = (words.next(), words.next(), words.next()) {
                let order = Order { verb: verb.to_owned(), name: name.to_owned(), reply: PathBuf::from(reply) };
                if sender.send(News::Asked(order)).is_err() {
                    return;
                }
            }
        }
    });
    Ok(())
}

/// Collects the dead on a thread of its own: services and orphans alike.
fn reap(sender: Sender<News>) {
    std::thread::spawn(move || {
        loop {
            match rustix::process::wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) => {
                    let how = match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => format!("exit code {code}"),
                        (None, Some(signal)) => format!("signal {signal}"),
                        (None, None) => "unknown end".to_owned(),
                    };
                    if sender.send(News::Died(pid.as_raw_nonzero().get().unsigned_abs(), how)).is_err() {
                        return;
                    }
                }
                Ok(None) | Err(Errno::INTR) => {}
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    });
}

struct Init {
    services: BTreeMap<String, Service>,
    time: f64,
}

impl Init {
    fn serve(&mut self, news: &Receiver<News>) {
        loop {
            let next = self
                .services
                .values()
                .filter_map(|service| service.stopping.as_ref())
                .filter(|stopping| !stopping.killed)
                .map(|stopping| stopping.deadline)
                .min();
            let wait = next.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
            match news.recv_timeout(wait) {
                Ok(News::Died(pid, how)) => self.on_death(pid, &how),
                Ok(News::Asked(order)) => self.on_order(order),
                Err(RecvTimeoutError::Timeout) => self.on_deadline(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn start(&mut self, name: &str) -> (u8, String) {
        let service = self.services.entry(name.to_owned()).or_default();
        if let Some(pid) = service.pid {
            return (0, format!("{name} is running already, pid {pid}"));
        }
        service.wanted = true;
        match spawn(name, self.time) {
            Ok(pid) => {
                service.pid = Some(pid);
                let _ = fs::write(pid_file(name), format!("{pid}\n"));
                (0, format!("{name} started, pid {pid}"))
            }
            Err(error) => (1, format!("{name} could not be started: {error}")),
        }
    }

    fn stop(&mut self, name: &str, reply: PathBuf, restart: bool) {
        let service = self.services.entry(name.to_owned()).or_default();
        service.wanted = false;
        let Some(pid) = service.pid else {
            let _ = fs::remove_file(pid_file(name));
            let outcome = if restart { self.start(name) } else { (0, format!("{name} is stopped already")) };
            answer(reply, outcome);
            return;
        };
        match &mut service.stopping {
            Some(stopping) => {
                stopping.restart |= restart;
                stopping.replies.push(reply);
            }
            None => {
                service.stopping =
                    Some(Stopping { deadline: Instant::now() + PATIENCE, killed: false, restart, replies: vec![reply] })
            }
        }
        // The main process only: executors of a slave outlive it.
        processes::signal(pid, Signal::TERM);
    }

    fn on_deadline(&mut self) {
        for service in self.services.values_mut() {
            if let (Some(stopping), Some(pid)) = (&mut service.stopping, service.pid)
                && !stopping.killed
                && stopping.deadline <= Instant::now()
            {
                stopping.killed = true;
                processes::signal(pid, Signal::KILL);
            }
        }
    }

    fn on_death(&mut self, pid: u32, how: &str) {
        let Some((name, service)) = self.services.iter_mut().find(|(_, service)| service.pid == Some(pid)) else {
            return;
        };
        let name = name.clone();
        service.pid = None;
        service.last = how.to_owned();
        note(&name, &format!("{name}, pid {pid}, ended: {how}"));
        if let Some(stopping) = service.stopping.take() {
            let _ = fs::remove_file(pid_file(&name));
            let outcome = if stopping.restart { self.start(&name) } else { (0, format!("{name} stopped")) };
            for reply in stopping.replies {
                answer(reply, outcome.clone());
            }
            return;
        }
        if !service.wanted {
            return;
        }
        let now = Instant::now();
        service.deaths.push_back(now);
        while service.deaths.front().is_some_and(|first| now.duration_since(*first) > WITHIN) {
            service.deaths.pop_front();
        }
        if service.deaths.len() >= DEATHS {
            service.wanted = false;
            service.deaths.clear();
            note(&name, &format!("{name} died {DEATHS} times within {} s, and is left alone", WITHIN.as_secs()));
            return;
        }
        let (_, text) = self.start(&name);
        note(&name, &text);
    }

    fn on_order(&mut self, order: Order) {
        let Order { verb, name, reply } = order;
        let known = !name.contains('/') && Path::new("/etc/init.d").join(&name).exists();
        match verb.as_str() {
            "start" | "stop" | "restart" if !known => answer(reply, (5, format!("{name}: no such service"))),
            "start" => {
                let outcome = self.start(&name);
                answer(reply, outcome);
            }
            "stop" => self.stop(&name, reply, false),
            "restart" => self.stop(&name, reply, true),
            "kill" | "freeze" | "thaw" => {
                let outcome = match self.services.get(&name).and_then(|service| service.pid) {
                    Some(pid) => {
                        let (signal, done) = match verb.as_str() {
                            "kill" => (Signal::KILL, "killed"),
                            "freeze" => (Signal::STOP, "frozen"),
                            _ => (Signal::CONT, "thawed"),
                        };
                        processes::signal(pid, signal);
                        (0, format!("{name} {done}, pid {pid}"))
                    }
                    None => (1, format!("{name} is not running")),
                };
                answer(reply, outcome);
            }
            "cut" => {
                if let Some(service) = self.services.get_mut("ssh") {
                    service.wanted = false;
                    service.pid = None;
                    let _ = fs::remove_file(pid_file("ssh"));
                }
                let mut ended = 0;
                for pid in processes::all().into_iter().filter(|pid| processes::name(*pid).starts_with("sshd")) {
                    processes::signal(pid, Signal::KILL);
                    ended += 1;
                }
                answer(reply, (0, format!("{ended} sshd processes killed")));
            }
            "list" => {
                let line = |(name, service): (&String, &Service)| match (service.pid, service.wanted) {
                    (Some(pid), _) => format!(
                        "{name}={}:{pid}",
                        if processes::state(pid) == Some('T') { "frozen" } else { "running" }
                    ),
                    (None, _) if service.last.is_empty() => format!("{name}=stopped"),
                    (None, _) => format!("{name}=stopped({})", service.last.replace(' ', "-")),
                };
                let text: Vec<String> = self.services.iter().map(line).collect();
                answer(reply, (0, text.join(" ")));
            }
            _ => answer(reply, (2, format!("init knows no `{verb}`"))),
        }
    }
}

fn pid_file(name: &str) -> PathBuf {
    Path::new("/run").join(format!("{name}.pid"))
}

fn log_of(name: &str) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(format!("/var/log/{name}.log"))
}

fn note(name: &str, text: &str) {
    if let Ok(mut log) = log_of(name) {
        let _ = writeln!(log, "init: {text}");
    }
}

/// Starts a service by its script. Through `sh`, which is there: a failed exec would make the standard library wait for a child
/// that the reaper has collected.
fn spawn(name: &str, time: f64) -> std::io::Result<u32> {
    let (output, errors) = match log_of(name).and_then(|log| Ok((log.try_clone()?, log))) {
        Ok((output, errors)) => (Stdio::from(output), Stdio::from(errors)),
        // A full disk must not keep a daemon down.
        Err(_) => (Stdio::null(), Stdio::null()),
    };
    let child = Command::new("/bin/sh")
        .arg(format!("/etc/init.d/{name}"))
        .arg("run")
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("STAGGER_LAB_TIME", time.to_string())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()?;
    Ok(child.id())
}

/// Answers without waiting for ever for someone who is gone.
fn answer(reply: PathBuf, (code, text): (u8, String)) {
    std::thread::spawn(move || {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match OpenOptions::new()
                .write(true)
                .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
                .open(&reply)
            {
                Ok(mut pipe) => {
                    let _ = writeln!(pipe, "{code} {text}");
                    return;
                }
                Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
                Err(_) => return,
            }
        }
    });
}
