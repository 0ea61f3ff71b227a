//! Settings that were changed for a time: what is told of them, and what is shouted of those that stay changed.

use std::collections::BTreeMap;

use super::clean::{clean_json, clean_line};
use super::style::{Label, Line};
use crate::base::{Map, Value, to_text};
use crate::event::{EventKind, UndoTask};

/// What is still changed, by the ledger's number.
#[derive(Debug, Default)]
pub(super) struct Undos(BTreeMap<u32, Left>);

#[derive(Debug)]
struct Left {
    host: String,
    name: String,
    place: String,
    /// Why it could not be taken back; empty while that was not tried.
    why: String,
    /// What to do by hand, a line a task.
    by_hand: Vec<String>,
}

impl Undos {
    /// Takes an event.
    pub(super) fn on(&mut self, kind: &EventKind) {
        match kind {
            EventKind::UndoArmed { entry, host, name, place, tasks, .. } => {
                let left = Left {
                    host: clean_line(host),
                    name: clean_line(name),
                    place: clean_line(place),
                    why: String::new(),
                    by_hand: tasks.iter().map(|task| by_hand(host, task)).collect(),
                };
                self.0.insert(*entry, left);
            }
            EventKind::UndoFinished { entry, done: true, .. } => {
                self.0.remove(entry);
            }
            EventKind::UndoFinished { entry, done: false, message, .. } => {
                if let Some(left) = self.0.get_mut(entry) {
                    left.why = clean_line(message);
                }
            }
            _ => {}
        }
    }

    /// The block at the end of a run; nothing when nothing is left. `run` is the end of the run's id.
    pub(super) fn shout(&self, run: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        for Left { host, name, place, why, by_hand } in self.0.values() {
            if lines.is_empty() {
                let what = super::story::count(self.0.len(), "setting");
                let text = format!("NOT UNDONE: {what} that this run changed for a time and that stay changed");
                lines.push(Line::of(Label::Bad, text));
            }
            let place = if place.is_empty() { String::new() } else { format!(" ({place})") };
            lines.push(Line::plain("  ").with(Label::Bad, host.clone()).and(format!("  {name}{place}")));
            let why = if why.is_empty() { "it was not tried" } else { why };
            lines.push(Line::plain(format!("      {why}")));
            for line in by_hand {
                lines.push(Line::plain("      by hand: ").with(Label::Command, line.clone()));
            }
        }
        if !lines.is_empty() {
            let again = format!("stagger resume {run}");
            lines.push(Line::plain("  tried again by: ").with(Label::Command, again).and(" (before anything else)"));
        }
        lines
    }
}

/// What a task does, for a person who does it instead: `on h1: command: allocation on`.
fn by_hand(host: &str, task: &UndoTask) -> String {
    let at = task.keywords.get("delegate_to").map_or_else(|| host.to_owned(), to_text);
    let hidden = task.keywords.get("no_log").is_some_and(|value| *value != Value::Bool(false));
    let what = if hidden {
        format!("{} (`no_log` hides it)", task.name)
    } else {
        let all: Map = task.arguments.iter().chain(&task.written).map(|(k, v)| (k.clone(), v.clone())).collect();
        let text = match all.iter().next() {
            Some((_, Value::String(text))) if all.len() == 1 => text.clone(),
            _ => clean_json(&serde_json::to_string(&all).unwrap_or_default()),
        };
        format!("{}: {text}", task.module)
    };
    clean_line(&format!("on {at}: {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::{PlayId, TaskId};
    use crate::event::TaskKey;
    use crate::report::style::Paint;

    fn task(module: &str, arguments: Value, keywords: Value) -> UndoTask {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        UndoTask {
            task: TaskId(2),
            name: format!("put {module} back"),
            module: module.to_owned(),
            arguments: map(arguments),
            written: Map::new(),
            keywords: map(keywords),
            directory: String::new(),
        }
    }

    fn armed(entry: u32, tasks: Vec<UndoTask>) -> EventKind {
        EventKind::UndoArmed {
            entry,
            key: TaskKey { play: PlayId(0), batch: 0, task: TaskId(1), pass: 0 },
            host: "h1".to_owned(),
            item: 0,
            name: "allocation off".to_owned(),
            place: "up.yml:7".to_owned(),
            shared: false,
            variables: Map::new(),
            tasks,
        }
    }

    fn finished(entry: u32, done: bool, message: &str) -> EventKind {
        let (host, name) = ("h1".to_owned(), "allocation off".to_owned());
        EventKind::UndoFinished { entry, host, name, done, message: message.to_owned() }
    }

    #[test]
    fn what_stays_changed_is_shouted_with_what_to_do() {
        let mut undos = Undos::default();
        let lines = json!({"path": "/etc/x", "line": "a=1\u{1b}[2J"});
        undos.on(&armed(0, vec![task("command", json!({"cmd": "true"}), json!({}))]));
        undos.on(&armed(1, vec![task("lineinfile", lines, json!({"delegate_to": "h9"}))]));
        undos.on(&armed(2, vec![task("raw", json!({"cmd": "********"}), json!({"no_log": true}))]));
        undos.on(&finished(1, false, "`put it back` failed: no such file"));
        undos.on(&finished(0, true, ""));
        let said: Vec<String> = undos.shout("7x2k").iter().map(|line| Paint::PLAIN.line(line)).collect();
        assert_eq!(
            said.join("\n"),
            concat!(
                "NOT UNDONE: 2 settings that this run changed for a time and that stay changed\n",
                "  h1  allocation off (up.yml:7)\n",
                "      `put it back` failed: no such file\n",
                "      by hand: on h9: lineinfile: {\"path\":\"/etc/x\",\"line\":\"a=1\\u001b[2J\"}\n",
                "  h1  allocation off (up.yml:7)\n",
                "      it was not tried\n",
                "      by hand: on h1: put raw back (`no_log` hides it)\n",
                "  tried again by: stagger resume 7x2k (before anything else)"
            )
        );
        assert!(Undos::default().shout("x").is_empty());
    }
}
