//! What `set_stats` tasks kept: for the run, and for each host.

use std::collections::BTreeMap;

use serde::Serialize as _;

use super::clean::clean_line;
use super::style::Line;
use crate::base::{Map, Value};
use crate::event::EventKind;

/// All that was kept.
#[derive(Debug, Default)]
pub(super) struct Stats {
    run: Map,
    hosts: BTreeMap<String, Map>,
}

impl Stats {
    /// Takes what an event tells.
    pub(super) fn on(&mut self, kind: &EventKind) {
        let EventKind::HostFinished { host, result, status, .. } = kind else { return };
        if status.ends_host() {
            return;
        }
        let items = result.get("results").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for result in items.iter().filter_map(Value::as_object).chain([result]) {
            self.keep(host, result);
        }
    }

    fn keep(&mut self, host: &str, result: &Map) {
        let Some(stats) = result.get("ansible_stats").and_then(Value::as_object) else { return };
        let said = |name: &str, otherwise: bool| stats.get(name).and_then(Value::as_bool).unwrap_or(otherwise);
        let kept = if said("per_host", false) { self.hosts.entry(host.to_owned()).or_default() } else { &mut self.run };
        for (name, value) in stats.get("data").and_then(Value::as_object).into_iter().flatten() {
            match kept.get_mut(name) {
                Some(old) if said("aggregate", true) => add(old, value),
                _ => {
                    kept.insert(name.clone(), value.clone());
                }
            }
        }
    }

    /// What was kept for the run.
    pub(super) fn of_run(&self) -> &Map {
        &self.run
    }

    /// What was kept for hosts.
    pub(super) fn of_hosts(&self) -> &BTreeMap<String, Map> {
        &self.hosts
    }

    /// Lines of it, hosts first, as Ansible writes them under `CUSTOM STATS`.
    pub(super) fn lines(&self) -> Vec<Line> {
        let of_host = |(host, map): (&String, &Map)| format!("\t{}: {}", clean_line(host), text(map));
        let mut lines: Vec<String> = self.hosts.iter().map(of_host).collect();
        if !self.run.is_empty() {
            lines.extend([String::new(), format!("\tRUN: {}", text(&self.run))]);
        }
        lines.into_iter().map(Line::plain).collect()
    }

    /// The same for people: a line each.
    pub(super) fn short(&self) -> Vec<Line> {
        let line = |whose: &str, map: &Map| Line::plain(format!("{whose}: {}", text(map)));
        let run = (!self.run.is_empty()).then(|| line("kept of the run", &self.run));
        let hosts = self.hosts.iter().map(|(host, map)| line(&format!("kept of {}", clean_line(host)), map));
        run.into_iter().chain(hosts).collect()
    }
}

/// JSON with sorted keys on one line, in Ansible's form.
fn text(map: &Map) -> String {
    let sorted: BTreeMap<&String, &Value> = map.iter().collect();
    let mut text = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut writer = serde_json::Serializer::with_formatter(&mut text, indent);
    match sorted.serialize(&mut writer) {
        Ok(()) => clean_line(&String::from_utf8_lossy(&text).replace('\n', "")),
        Err(_) => String::new(),
    }
}

/// Python's `+=`, and mappings merged; what is of another type stays as it is.
fn add(old: &mut Value, new: &Value) {
    match (&mut *old, new) {
        (Value::Number(a), Value::Number(b)) => {
            *old = match (a.as_i64(), b.as_i64()) {
                (Some(a), Some(b)) => Value::from(a.saturating_add(b)),
                _ => Value::from(a.as_f64().unwrap_or(0.0) + b.as_f64().unwrap_or(0.0)),
            };
        }
        (Value::String(a), Value::String(b)) => a.push_str(b),
        (Value::Array(a), Value::Array(b)) => a.extend(b.iter().cloned()),
        (Value::Object(a), Value::Object(b)) => a.extend(b.iter().map(|(key, value)| (key.clone(), value.clone()))),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kept(all: &[(&str, Value)]) -> Stats {
        let mut stats = Stats::default();
        for (host, value) in all {
            let result = json!({"ansible_stats": value}).as_object().cloned().unwrap_or_default();
            stats.keep(host, &result);
        }
        stats
    }

    #[test]
    fn values_of_one_kind_add_up_unless_they_are_to_replace() {
        let stats = kept(&[
            ("h1", json!({"data": {"n": 1, "l": [1], "t": "a", "m": {"x": 1}}})),
            ("h2", json!({"data": {"n": 2, "l": [2], "t": "b", "m": {"y": 2}}})),
            ("h2", json!({"data": {"n": "no number"}})),
            ("h2", json!({"data": {"t": "c"}, "aggregate": false})),
        ]);
        assert_eq!(Value::Object(stats.run), json!({"n": 3, "l": [1, 2], "t": "c", "m": {"x": 1, "y": 2}}));
    }

    #[test]
    fn hosts_have_their_own_and_the_lines_are_ansibles() {
        let stats =
            kept(&[("h1", json!({"data": {"n": [2], "a": 1}, "per_host": true})), ("h1", json!({"data": {"b": 1}}))]);
        let lines: Vec<String> =
            stats.lines().iter().map(|line| crate::report::style::Paint::PLAIN.line(line)).collect();
        assert_eq!(lines, ["\th1: { \"a\": 1, \"n\": [  2 ]}", "", "\tRUN: { \"b\": 1}"]);
    }
}
