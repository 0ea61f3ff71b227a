//! What a service's manager said, read from the probe's lines.

use std::fmt::Write as _;

use crate::base::{Map, Output, Value, to_text};

/// What is known of a service.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::modules) struct Seen {
    /// Which managers were asked.
    pub(in crate::modules) looked: Vec<String>,
    /// The one that knows the service; empty when none does.
    pub(in crate::modules) manager: String,
    /// Whether it runs.
    pub(in crate::modules) running: Running,
    /// Its main process.
    pub(in crate::modules) pid: Option<u32>,
    /// systemd's word, or `enabled` or `disabled`; `unknown` where nothing is started at boot.
    pub(in crate::modules) enabled: String,
    /// `systemctl show`.
    pub(in crate::modules) status: Map,
}

/// Whether a service runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::modules) enum Running {
    /// Up.
    Yes,
    /// Down.
    No,
    /// On its way up, or between two tries of its supervisor.
    Starting,
    /// On its way down.
    Stopping,
    /// Dead, with a pid file left or between two tries: a supervisor may be about to start it again.
    Dead,
    /// Given up by its manager.
    Failed,
    /// The manager's answer says nothing.
    #[default]
    Unknown,
}

impl Running {
    /// Whether something may run or start by itself, so that stopping is something to do.
    pub(in crate::modules) fn may_come_back(self) -> bool {
        !matches!(self, Self::No | Self::Failed)
    }
}

impl Seen {
    /// For an undo: `state` (`started` or `stopped`) and `enabled`, where they can be told.
    pub(in crate::modules) fn before(&self) -> Map {
        let mut before = Map::new();
        let state = match self.running {
            Running::Yes | Running::Starting => Some("started"),
            Running::No | Running::Stopping | Running::Failed => Some("stopped"),
            Running::Dead | Running::Unknown => None,
        };
        before.extend(state.map(|state| ("state".to_owned(), Value::from(state))));
        if matches!(self.enabled.as_str(), "enabled" | "disabled") {
            before.insert("enabled".to_owned(), Value::Bool(self.enabled == "enabled"));
        }
        before
    }

    /// Reads the probe's output; lines of no meaning are left out.
    pub(in crate::modules) fn parse(text: &str) -> Self {
        let mut seen = Self::default();
        for line in text.lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            match key {
                "looked" => seen.looked = value.split_ascii_whitespace().map(str::to_owned).collect(),
                "manager" if value != "none" => value.clone_into(&mut seen.manager),
                "running" => {
                    seen.running = match value {
                        "yes" => Running::Yes,
                        "no" => Running::No,
                        "starting" => Running::Starting,
                        "stopping" => Running::Stopping,
                        "dead" => Running::Dead,
                        "failed" => Running::Failed,
                        _ => Running::Unknown,
                    }
                }
                "pid" => seen.pid = value.trim().parse().ok().filter(|pid| *pid > 0),
                "enabled" => value.trim().clone_into(&mut seen.enabled),
                "show" => {
                    if let Some((name, value)) = value.split_once('=') {
                        seen.status.insert(name.to_owned(), Value::from(value));
                    }
                }
                _ => {}
            }
        }
        seen
    }

    /// The probe's lines again, for previews.
    pub(in crate::modules) fn render(&self) -> Output {
        let running = match self.running {
            Running::Yes => "yes",
            Running::No => "no",
            Running::Starting => "starting",
            Running::Stopping => "stopping",
            Running::Dead => "dead",
            Running::Failed => "failed",
            Running::Unknown => "unknown",
        };
        let manager = if self.manager.is_empty() { "none" } else { &self.manager };
        let pid = self.pid.map(|pid| pid.to_string()).unwrap_or_default();
        let mut text = format!("looked {}\nmanager {manager}\nrunning {running}\npid {pid}\n", self.looked.join(" "));
        for (name, value) in &self.status {
            let _ = writeln!(text, "show {name}={}", to_text(value));
        }
        let _ = writeln!(text, "enabled {}", self.enabled);
        Output { stdout: text.into_bytes(), ..Output::default() }
    }

    /// It runs now, or not; the process is not known before it is there.
    pub(in crate::modules) fn becomes(&mut self, up: bool) {
        let done = if up { self.running == Running::Yes } else { !self.running.may_come_back() };
        if done {
            return;
        }
        self.running = if up { Running::Yes } else { Running::No };
        self.pid = None;
        if self.manager == "systemd" {
            self.status.insert("ActiveState".to_owned(), Value::from(if up { "active" } else { "inactive" }));
            self.status.remove("SubState");
            self.status.remove("MainPID");
        }
    }

    /// Whether it is started at boot. systemd's words that hold only until the next boot, or that say nothing of this
    /// unit, count as no, as in Ansible.
    pub(in crate::modules) fn is_enabled(&self) -> bool {
        matches!(self.enabled.as_str(), "enabled" | "linked" | "static" | "generated" | "transient")
    }

    /// A property of `systemctl show`.
    pub(in crate::modules) fn property(&self, name: &str) -> &str {
        self.status.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}
