//! `service`: one interface over systemd, upstart, OpenRC, System V init scripts, and a daemon with nothing but a pid file.
//!
//! Which of them knows the service is found by looking, in the same round trip that asks for its state. Stopped means
//! that its process is gone and nothing started it again; started, that the same process still runs a moment later.
//! Only the manager is told, or the one main process: what the service has started lives or dies as its unit says.
//!
//! It can't know: of a supervisor outside these (cron, monit) that starts a stopped service again minutes later; of a
//! System V script that lies about its status.

mod last_words;
mod scripts;
mod seen;

use std::time::Duration;

use super::{
    Applied, Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, Rule, State, Step, step,
};
use crate::base::{Map, Output, Script, Value};
pub(super) use last_words::quoted;
use scripts::Verb;
use seen::Running;
pub(super) use seen::Seen;

const STATES: &[&str] = &["started", "stopped", "restarted", "reloaded"];
const SIGNALS: &[&str] = &["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL"];

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "service",
    aliases: &["sysvinit"],
    summary: "starts, stops and enables a service, whatever manages it",
    options: &[
        Opt::new("name", OptKind::Text, "the service").required(),
        Opt::new("state", OptKind::Choice(STATES), "what it should be; restarted and reloaded always act"),
        Opt::new("enabled", OptKind::Bool, "whether it is started at boot"),
        Opt::new("use", OptKind::Choice(&["auto", "systemd", "upstart", "openrc", "sysvinit"]), "its manager")
            .default("auto"),
        Opt::new("pattern", OptKind::Text, "what its command line has in it, where an init script has no status"),
        Opt::new("arguments", OptKind::Text, "more words for an init script").aliases(&["args"]),
        Opt::new("sleep", OptKind::Duration, "pause between stop and start of a restart"),
        Opt::new("stop_timeout", OptKind::Duration, "how long its process may take to end").default("60"),
        Opt::new("start_timeout", OptKind::Duration, "how long it may take to be up").default("15"),
        Opt::new("settle", OptKind::Duration, "how long it must stay up after a start").default("1"),
        Opt::new("pidfile", OptKind::Path, "of a daemon that no init system manages; stagger then starts it itself"),
        Opt::new(
            "command",
            OptKind::Text,
            "what starts that daemon, in the foreground: one command as a shell reads it",
        ),
        Opt::new("user", OptKind::Text, "as whom that daemon runs"),
        Opt::new("stop_signal", OptKind::Choice(SIGNALS), "what ends that daemon").default("TERM"),
        Opt::new("log", OptKind::Path, "where that daemon's output goes; by default /var/log/NAME.log"),
        Opt::refused("runlevel", "only OpenRC has it; use `command: rc-update add NAME RUNLEVEL`"),
    ],
    free_form: None,
    open: false,
    rules: &[
        Rule::OneOf(&["state", "enabled"]),
        Rule::Needs("pidfile", "command"),
        Rule::Needs("command", "pidfile"),
        Rule::Needs("user", "pidfile"),
        Rule::Needs("log", "pidfile"),
        Rule::Needs("stop_signal", "pidfile"),
        Rule::AtMostOne(&["pidfile", "enabled"]),
    ],
    check: None,
    build,
};

/// A service and what is wanted of it. `systemd` makes it too.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) state: Option<Wanted>,
    pub(super) enabled: Option<bool>,
    /// `auto`, or the only manager that may be used.
    pub(super) manager: String,
    pub(super) pattern: Option<String>,
    pub(super) extra: String,
    pub(super) pause: Option<Duration>,
    pub(super) stop_limit: Duration,
    pub(super) start_limit: Duration,
    pub(super) settle: Duration,
    pub(super) daemon: Option<Daemon>,
    /// `systemctl`'s word for whose units: empty, `--user` or `--global`.
    pub(super) scope: &'static str,
    /// More words for `systemctl`.
    pub(super) flags: String,
    /// Whether to wait until it is done.
    pub(super) wait: bool,
    /// Where the file system of the service begins; empty but in tests.
    pub(super) root: String,
}

/// A daemon that no init system manages.
#[derive(Debug)]
pub(super) struct Daemon {
    pidfile: String,
    program: String,
    user: Option<String>,
    signal: String,
    log: String,
}

/// What a service should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Started,
    Stopped,
    Restarted,
    Reloaded,
}

impl Wanted {
    /// Reads the option `state`.
    pub(super) fn of(arguments: &Arguments) -> Option<Self> {
        match arguments.text("state")?.as_str() {
            "started" => Some(Self::Started),
            "stopped" => Some(Self::Stopped),
            "restarted" => Some(Self::Restarted),
            _ => Some(Self::Reloaded),
        }
    }
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    let name = checked_name(arguments.required("name"))?;
    let span = |option: &str| arguments.duration(option).unwrap_or_default();
    let daemon = match (arguments.text("pidfile"), arguments.text("command")) {
        (Some(pidfile), Some(program)) => Some(daemon(arguments, &name, pidfile, program)?),
        _ => None,
    };
    Ok(Bound::State(Box::new(Service {
        state: Wanted::of(arguments),
        enabled: arguments.has("enabled").then(|| arguments.flag("enabled")),
        manager: if daemon.is_some() { "daemon".to_owned() } else { arguments.required("use") },
        pattern: arguments.text("pattern"),
        extra: arguments.text("arguments").unwrap_or_default(),
        pause: arguments.duration("sleep"),
        stop_limit: span("stop_timeout"),
        start_limit: span("start_timeout"),
        settle: span("settle"),
        daemon,
        scope: "",
        flags: String::new(),
        wait: true,
        root: String::new(),
        name,
    })))
}

/// A name that is one, for file names and command lines.
pub(super) fn checked_name(name: String) -> Result<String, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.@:\\+".contains(c);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(plain) {
        return Err(Failure::new(format!(
            "`{name}` can't be the name of a service: letters, digits and `_-.@:+` are allowed, no patterns"
        )));
    }
    Ok(name)
}

fn daemon(arguments: &Arguments, name: &str, pidfile: String, program: String) -> Result<Daemon, Failure> {
    let log = arguments.text("log").unwrap_or_else(|| format!("/var/log/{name}.log"));
    for (option, path) in [("pidfile", &pidfile), ("log", &log)] {
        if !path.starts_with('/') {
            return Err(Failure::new(format!("`{option}` must be an absolute path, not `{path}`")));
        }
    }
    if program.trim().is_empty() || program.contains('\n') || program.trim_end().ends_with('&') {
        return Err(Failure::new("`command` must be one command on one line that stays in the foreground (no `&`)"));
    }
    Ok(Daemon { pidfile, program, user: arguments.text("user"), signal: arguments.required("stop_signal"), log })
}

impl State for Service {
    fn probe(&self) -> Script {
        scripts::probe(self)
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        self.plan(&Seen::parse(&seen.out()), &seen.err())
    }

    fn before(&self, seen: &Output) -> Map {
        Seen::parse(&seen.out()).before()
    }

    fn expect(&self, seen: &Output, _change: &Change) -> Option<Output> {
        Some(self.leaves(Seen::parse(&seen.out())).render())
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        let told = last_pid(outputs);
        let mut result = step::finish_by_status(change, outputs).map_err(quoted)?;
        if let Some(pid) = told {
            result.insert("pid".to_owned(), Value::from(pid));
        }
        Ok(result)
    }
}

/// The process that was started, as the scripts print it.
pub(super) fn last_pid(outputs: &[Applied]) -> Option<u32> {
    outputs.iter().rev().find_map(|applied| match applied {
        Applied::Output(output) => {
            output.out().lines().rev().find_map(|line| line.strip_prefix("pid ")?.trim().parse().ok())
        }
        Applied::Http(_) => None,
    })
}

impl Service {
    /// Wanted × seen → steps.
    pub(super) fn plan(&self, seen: &Seen, complaints: &str) -> Result<Change, Failure> {
        if seen.manager.is_empty() {
            return Err(self.unknown(seen, complaints));
        }
        if !self.extra.is_empty() && !matches!(seen.manager.as_str(), "sysvinit" | "openrc") {
            return Err(Failure::new(format!(
                "`arguments` can't be passed to {}, which manages {}",
                seen.manager, self.name
            )));
        }
        let masked = matches!(seen.property("LoadState"), "masked");
        if masked && (self.enabled == Some(true) || self.state.is_some_and(|state| state != Wanted::Stopped)) {
            return Err(Failure::new(format!(
                "{} is masked: take that back first, with `systemd: {{name: {}, masked: false}}`",
                self.name, self.name
            )));
        }
        let mut result = Map::new();
        result.insert("name".to_owned(), Value::from(self.name.clone()));
        result.insert("manager".to_owned(), Value::from(seen.manager.clone()));
        let mut steps = Vec::new();
        if let Some(wanted) = self.enabled {
            steps.extend(self.enabling(seen, wanted));
            result.insert("enabled".to_owned(), Value::Bool(wanted));
        }
        if let Some(wanted) = self.state {
            steps.extend(self.moving(seen, wanted)?);
            let state = if wanted == Wanted::Stopped { "stopped" } else { "started" };
            result.insert("state".to_owned(), Value::from(state));
            let pid = seen.pid.filter(|_| wanted != Wanted::Stopped);
            result.insert("pid".to_owned(), pid.map_or(Value::Null, Value::from));
        }
        if seen.manager == "systemd" {
            result.insert("status".to_owned(), Value::Object(seen.status.clone()));
        }
        Ok(Change { steps, result })
    }

    /// What would be seen when all is as wanted.
    pub(super) fn leaves(&self, mut seen: Seen) -> Seen {
        if let Some(enabled) = self.enabled {
            seen.enabled = if enabled { "enabled" } else { "disabled" }.to_owned();
        }
        match self.state {
            Some(Wanted::Stopped) => seen.becomes(false),
            Some(Wanted::Restarted) => {
                seen.becomes(false);
                seen.becomes(true);
            }
            Some(Wanted::Started | Wanted::Reloaded) => seen.becomes(true),
            None => {}
        }
        seen
    }

    fn unknown(&self, seen: &Seen, complaints: &str) -> Failure {
        let looked = match seen.looked.as_slice() {
            [] if self.manager != "auto" => format!("{} does not run the host", self.manager),
            [] => "the host has none of systemd, upstart, OpenRC and /etc/init.d".to_owned(),
            managers => format!("{} was asked and does not know it", managers.join(", ")),
        };
        let complaints = complaints.trim();
        let more = if complaints.is_empty() { String::new() } else { format!(" ({complaints})") };
        Failure::new(format!(
            "Could not find the requested service {}: {looked}{more}. For a daemon that no init system manages, \
             give `pidfile` and `command`",
            self.name
        ))
    }

    /// Adds what a person would type. A daemon without an init system is told by its pid file: no short line does the same.
    fn typed(&self, step: Step, manager: &str, word: &str) -> Step {
        let name = self.name.as_str();
        let enabling = matches!(word, "enable" | "disable");
        match manager {
            "systemd" => {
                let scope = Some(self.scope).filter(|scope| !scope.is_empty());
                step.by_command(std::iter::once("systemctl").chain(scope).chain([word, name]))
            }
            "sysvinit" if enabling => step.by_command(["update-rc.d", name, word]),
            "daemon" => step,
            _ if enabling => step,
            _ => step.by_command(["service", name, word]),
        }
    }

    fn enabling(&self, seen: &Seen, wanted: bool) -> Option<Step> {
        if seen.is_enabled() == wanted {
            return None;
        }
        let (word, verb) = if wanted { ("enable", Verb::Enable) } else { ("disable", Verb::Disable) };
        let step = Step::script(format!("{word} {}", self.name), scripts::act(self, &seen.manager, verb));
        Some(self.typed(step, &seen.manager, word))
    }

    fn moving(&self, seen: &Seen, wanted: Wanted) -> Result<Option<Step>, Failure> {
        let name = &self.name;
        let up = seen.running == Running::Yes;
        let who = seen.pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        let (summary, verb) = match wanted {
            Wanted::Started if up => return Ok(None),
            Wanted::Stopped if !seen.running.may_come_back() => return Ok(None),
            Wanted::Reloaded if up && seen.manager == "systemd" && seen.property("CanReload") == "no" => {
                return Err(Failure::new(format!("{name} can't be reloaded: its unit has no ExecReload; restart it")));
            }
            Wanted::Stopped => (format!("stop {name}{who}"), Verb::Stop),
            Wanted::Restarted if up => (format!("restart {name}{who}"), Verb::Restart),
            Wanted::Reloaded if up => (format!("reload {name}{who}"), Verb::Reload),
            Wanted::Started | Wanted::Restarted | Wanted::Reloaded => {
                (format!("start {name}{}", before_start(seen.running)), Verb::Start)
            }
        };
        // No diff: it would say the same in five lines.
        let step = Step::script(summary, scripts::act(self, &seen.manager, verb));
        let word = match verb {
            Verb::Stop => "stop",
            Verb::Restart => "restart",
            Verb::Reload => "reload",
            _ => "start",
        };
        let step = self.typed(step, &seen.manager, word);
        // A restart that was cut off may have been done: nothing that can be seen afterwards tells.
        // A start that a restart comes to is one too: looked at again, the service runs, and would be restarted.
        let once = matches!(wanted, Wanted::Restarted | Wanted::Reloaded);
        Ok(Some(if once { step.once() } else { step }))
    }
}

fn before_start(running: Running) -> &'static str {
    match running {
        Running::Failed => " (it failed before)",
        Running::Dead => " (it is dead)",
        Running::Starting => " (it is starting)",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
