//! A run as the `json` callback of ansible.posix prints it: one document at the end, for scripts that ask for
//! `ANSIBLE_STDOUT_CALLBACK=json`. Warnings go to standard error; standard output has the document and nothing else.

use std::io;

use serde_json::json;

use super::clean::{clean_json, clean_line};
use super::out::Out;
use crate::base::{Map, Value};
use crate::event::{Event, EventKind, Sink, Status, Tally, TaskKey};

/// The sink.
pub(crate) struct Document {
    out: Out,
    errors: Out,
    plays: Vec<Play>,
    stats: super::stats::Stats,
}

struct Play {
    name: String,
    start: u64,
    end: u64,
    tasks: Vec<Task>,
}

struct Task {
    key: TaskKey,
    name: String,
    module: String,
    place: String,
    start: u64,
    end: u64,
    hosts: Map,
}

impl Document {
    /// The document to `out`, warnings to `errors`.
    pub(crate) fn new(out: Out, errors: Out) -> Self {
        Self { out, errors, plays: Vec::new(), stats: super::stats::Stats::default() }
    }

    fn finished(&mut self, at: u64, kind: &EventKind) {
        let EventKind::HostFinished { key, host, status, result, message, .. } = kind else { return };
        let Some(play) = self.plays.iter_mut().rfind(|play| play.tasks.iter().any(|task| task.key == *key)) else {
            return;
        };
        play.end = at;
        let Some(task) = play.tasks.iter_mut().rfind(|task| task.key == *key) else { return };
        task.end = at;
        let mut result: Map = result.iter().filter(|(key, _)| !key.starts_with("_ansible_")).map(cloned).collect();
        let mark = match status {
            Status::Ok | Status::Changed => None,
            Status::Skipped | Status::Unpredictable => Some("skipped"),
            Status::Unreachable | Status::Unknown => Some("unreachable"),
            Status::Failed | Status::Ignored | Status::Bug => Some("failed"),
        };
        if let Some(mark) = mark {
            result.insert(mark.to_owned(), true.into());
        }
        if !message.is_empty() && status.ends_host() && !result.contains_key("msg") && !result.contains_key("censored")
        {
            result.insert("msg".to_owned(), message.as_str().into());
        }
        result.insert("action".to_owned(), task.module.as_str().into());
        task.hosts.insert(host.clone(), Value::Object(result));
    }

    fn document(&self, tallies: &[(String, Tally)]) -> Value {
        let plays = self.plays.iter().map(|play| {
            let tasks = play.tasks.iter().filter(|task| !task.hosts.is_empty()).map(|task| {
                let id = format!("{}-{}-{}-{}", task.key.play.0, task.key.batch, task.key.task.0, task.key.pass);
                let duration = duration(task.start, task.end);
                let about = json!({"name": task.name, "id": id, "path": task.place, "duration": duration});
                json!({"task": about, "hosts": task.hosts})
            });
            json!({
                "play": {"name": play.name, "id": play.name, "duration": duration(play.start, play.end)},
                "tasks": tasks.collect::<Vec<_>>(),
            })
        });
        let stats = tallies.iter().filter(|(_, tally)| *tally != Tally::default()).map(|(host, tally)| {
            let counts = json!({
                "ok": tally.ok,
                "changed": tally.changed,
                "unreachable": tally.unreachable,
                "failures": tally.failed,
                "skipped": tally.skipped + tally.unpredictable,
                "rescued": tally.rescued,
                "ignored": tally.ignored,
            });
            (host.clone(), counts)
        });
        json!({
            "plays": plays.collect::<Vec<_>>(),
            "stats": stats.collect::<Map>(),
            "custom_stats": self.stats.of_hosts(),
            "global_custom_stats": self.stats.of_run(),
        })
    }
}

fn cloned((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

fn duration(start: u64, end: u64) -> Value {
    json!({"start": time(start), "end": time(end)})
}

/// As Python's `isoformat()` has a time in UTC.
fn time(at: u64) -> String {
    let time = i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok()).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Keys in order, at any depth.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        plain => plain,
    }
}

impl Sink for Document {
    fn on(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::PlayStarted { name, .. } | EventKind::PlaySkipped { name, .. } => {
                self.plays.push(Play { name: name.clone(), start: event.at, end: event.at, tasks: Vec::new() });
                Ok(())
            }
            EventKind::TaskStarted { key, name, module, place, .. } => {
                if let Some(play) = self.plays.last_mut() {
                    let name = if name.is_empty() { module } else { name };
                    play.tasks.push(Task {
                        key: key.clone(),
                        name: name.clone(),
                        module: module.clone(),
                        place: place.clone(),
                        start: event.at,
                        end: event.at,
                        hosts: Map::new(),
                    });
                }
                Ok(())
            }
            kind @ EventKind::HostFinished { .. } => {
                self.stats.on(kind);
                self.finished(event.at, kind);
                Ok(())
            }
            EventKind::Warning { message } => self.errors.write(&format!("[WARNING]: {}\n", clean_line(message))),
            EventKind::RunFinished { tallies, .. } => {
                let document = sorted(self.document(tallies));
                let mut text = Vec::new();
                let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
                let mut writer = serde_json::Serializer::with_formatter(&mut text, indent);
                serde::Serialize::serialize(&document, &mut writer)?;
                self.out.write(&(clean_json(&String::from_utf8_lossy(&text)) + "\n"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::fixture::{at, every_kind, finished, key};
    use crate::report::out::fixture::Written;

    #[test]
    fn a_run_is_one_document_with_sorted_keys() {
        let (out, errors) = (Written::default(), Written::default());
        let mut sink = Document::new(out.out(), errors.out());
        let play = EventKind::PlayStarted {
            play: key().play,
            name: "first".to_owned(),
            hosts: vec!["h1".to_owned()],
            batches: 1,
            order: String::new(),
            tasks: 1,
        };
        let task = EventKind::TaskStarted {
            key: key(),
            name: "hello".to_owned(),
            module: "command".to_owned(),
            handler: false,
            place: "p.yml:3".to_owned(),
            hosts: 2,
        };
        let warning = EventKind::Warning { message: "mind".to_owned() };
        let ended = every_kind("x").into_iter().find(|kind| matches!(kind, EventKind::RunFinished { .. })).unwrap();
        let events = [play, task, warning, finished("h1", Status::Changed), finished("h2", Status::Unreachable), ended];
        for (event, seconds) in events.into_iter().zip(0..) {
            sink.on(&at(seconds * 1000, event)).unwrap();
        }
        assert_eq!(errors.text(), "[WARNING]: mind\n");
        let text = out.text();
        assert!(text.starts_with("{\n    \"custom_stats\": {},"), "{text}");
        let document: Value = serde_json::from_str(&text).unwrap();
        let task = &document["plays"][0]["tasks"][0];
        assert_eq!(task["task"]["name"], "hello");
        assert_eq!(task["task"]["duration"]["end"], "2023-11-15T12:41:04.000000Z");
        assert_eq!(task["hosts"]["h1"]["action"], "command");
        assert_eq!(task["hosts"]["h2"]["unreachable"], true);
    }
}
