//! What was typed on a host in a run, as text that a person can read and copy: comments, and commands on lines of their own.

use std::collections::{HashMap, HashSet};

use jiff::tz::TimeZone;

use super::block::word;
use super::clean::{clean_line, clean_part};
use super::plain::clock;
use crate::base::{PlayId, TaskId, quote};
use crate::event::{Event, EventKind, Status, StepLine, TaskKey};

/// Gathers what a run did on one host.
#[derive(Debug)]
pub(crate) struct Typed {
    host: String,
    zone: TimeZone,
    text: String,
    check: bool,
    login: String,
    plays: HashMap<PlayId, String>,
    play: Option<(PlayId, u32)>,
    tasks: HashMap<TaskKey, (String, String)>,
    /// An act that has no end yet: its task.
    open: Option<String>,
    /// Tasks that the host got through, whatever they came to.
    done: HashSet<(PlayId, TaskId)>,
    named: bool,
}

/// A text of several lines without anything that a terminal would act on.
pub(crate) fn harmless(text: &str) -> String {
    text.lines().map(|line| clean_part(line).into_owned() + "\n").collect()
}

/// A script as somebody types it who first has to become another user.
fn as_other(privilege: &str, script: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+, ".contains(c);
    match privilege {
        "" => script.to_owned(),
        su if su.starts_with("su ") => format!("{su} -c {}", quote(script)),
        other if script.chars().all(plain) && !script.contains('=') => format!("{other} {script}"),
        other => format!("{other} sh -c {}", quote(script)),
    }
}

impl Typed {
    /// Of this host; times of day in `zone`.
    pub(crate) fn of(host: &str, zone: TimeZone) -> Self {
        Self {
            host: host.to_owned(),
            zone,
            text: String::new(),
            check: false,
            login: String::new(),
            plays: HashMap::new(),
            play: None,
            tasks: HashMap::new(),
            open: None,
            done: HashSet::new(),
            named: false,
        }
    }

    /// Whether the run had anything to do with the host.
    pub(crate) fn is_known(&self) -> bool {
        self.named
    }

    /// Whether the host got through a task.
    pub(crate) fn is_done(&self, play: PlayId, task: TaskId) -> bool {
        self.done.contains(&(play, task))
    }

    /// The text so far.
    pub(crate) fn text(&self) -> String {
        let mut text = self.text.clone();
        if let Some(task) = &self.open {
            text.push_str(&format_line(&format!("# cut off in `{task}`: look what is done of it before you go on")));
        }
        text
    }

    /// Takes an event.
    pub(crate) fn on(&mut self, event: &Event) {
        let is_ours = |host: &String| *host == self.host;
        match &event.kind {
            EventKind::RunStarted { check, .. } => self.check = *check,
            EventKind::PlayStarted { play, name, hosts, .. } => {
                self.named |= hosts.iter().any(is_ours);
                self.plays.insert(*play, name.clone());
            }
            EventKind::TaskStarted { key, name, place, .. } => {
                self.tasks.insert(key.clone(), (name.clone(), place.clone()));
            }
            EventKind::TaskFinished { key } => {
                self.tasks.remove(key);
            }
            EventKind::ActStarted { key, host, steps, login, privilege, .. } if is_ours(host) => {
                self.heading(key);
                self.act(event.at, key, steps, login, privilege);
            }
            EventKind::ActFinished { host, .. } if is_ours(host) => self.open = None,
            EventKind::HostFinished { key, host, status, message, .. } if is_ours(host) => {
                self.open = None;
                self.finished(event.at, key, *status, message);
            }
            EventKind::Resumed { operator, .. } if self.named => {
                self.line(&format!("# resumed by {}", clean_line(operator)));
            }
            _ => {}
        }
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(&format_line(text));
    }

    /// The play and batch, where they are new.
    fn heading(&mut self, key: &TaskKey) {
        if self.play != Some((key.play, key.batch)) {
            self.play = Some((key.play, key.batch));
            let name = self.plays.get(&key.play).map(|name| clean_line(name)).unwrap_or_default();
            self.line(&format!("\n# play {name}, batch {}", key.batch + 1));
        }
    }

    fn task(&self, key: &TaskKey) -> (String, String) {
        let (name, place) = self.tasks.get(key).cloned().unwrap_or_default();
        (clean_line(&name), clean_line(&place))
    }

    fn act(&mut self, at: u64, key: &TaskKey, steps: &[StepLine], login: &str, privilege: &str) {
        if self.login != login {
            login.clone_into(&mut self.login);
            self.line(&format!("# to get there:\n{login}"));
        }
        let (name, place) = self.task(key);
        self.line(&format!("# {} {place}  {name}", clock(at, &self.zone)));
        for step in steps {
            match &step.script {
                Some(script) => self.line(&as_other(privilege, script)),
                None => self.line(&format!("#   {}", clean_line(&step.summary))),
            }
        }
        self.open = Some(name);
    }

    fn finished(&mut self, at: u64, key: &TaskKey, status: Status, message: &str) {
        self.heading(key);
        if !status.ends_host() {
            self.done.insert((key.play, key.task));
        }
        let (name, place) = self.task(key);
        let (_, came_to) = word(status, self.check);
        let why = if message.is_empty() || status == Status::Skipped {
            String::new()
        } else {
            format!(": {}", clean_line(message))
        };
        self.line(&format!("# {} {place}  {name}: {came_to}{why}", clock(at, &self.zone)));
    }
}

fn format_line(text: &str) -> String {
    if text.is_empty() { "\n".to_owned() } else { harmless(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::fixture::{at, finished, key};

    #[test]
    fn what_was_typed_stands_alone_on_its_line_and_what_was_cut_off_says_so() {
        let mut typed = Typed::of("m1", TimeZone::UTC);
        let step = |summary: &str, script: Option<&str>| StepLine {
            summary: summary.to_owned(),
            diff: None,
            opaque: false,
            once: false,
            script: script.map(str::to_owned),
        };
        let act = |host: &str, script| EventKind::ActStarted {
            key: key(),
            host: host.to_owned(),
            item: 0,
            steps: vec![step("stop it", script), step("write \u{1b}[2J/etc/x", None)],
            login: "ssh ann@192.0.2.1".to_owned(),
            privilege: "sudo -u root".to_owned(),
        };
        let play = EventKind::PlayStarted {
            play: PlayId(0),
            name: "masters".to_owned(),
            hosts: vec!["m1".to_owned()],
            batches: 1,
            order: String::new(),
            tasks: 1,
        };
        let task = EventKind::TaskStarted {
            key: key(),
            name: "stop".to_owned(),
            module: "service".to_owned(),
            handler: false,
            place: "up.yml:7".to_owned(),
            hosts: 1,
        };
        let kinds = [
            play,
            task,
            act("m2", Some("reboot")),
            act("m1", Some("service x stop")),
            finished("m1", Status::Changed),
            act("m1", Some("echo a | tee b")),
        ];
        for kind in kinds {
            typed.on(&at(0, kind));
        }
        assert_eq!(
            typed.text(),
            "\n# play masters, batch 1\n\
             # to get there:\nssh ann@192.0.2.1\n\
             # 12:41:00 up.yml:7  stop\nsudo -u root service x stop\n#   write \\x1b[2J/etc/x\n\
             # 12:41:00 up.yml:7  stop: changed\n\
             # 12:41:00 up.yml:7  stop\nsudo -u root sh -c 'echo a | tee b'\n#   write \\x1b[2J/etc/x\n\
             # cut off in `stop`: look what is done of it before you go on\n"
        );
        assert!(typed.is_done(PlayId(0), TaskId(0)));
    }
}
