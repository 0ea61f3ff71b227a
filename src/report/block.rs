//! What hosts came to in one task, folded: hosts with the same result share a line.

use indexmap::IndexMap;

use super::clean::{clean_json, clean_line, clean_lines};
use super::diff::diff_lines;
use super::fold::fold;
use super::style::{Label, Line};
use crate::base::{Map, Value, to_text};
use crate::event::{EventKind, Status, StepLine};

/// Steps of one result that are shown without `-v`.
const STEPS: usize = 8;

/// Lines of one difference that are shown without `-v`.
const DIFF: usize = 200;

/// Last lines of a failed command's output that are shown.
pub(super) const TAIL: usize = 10;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) check: bool,
    pub(super) verbosity: u8,
    /// A log: results without a change are told too, and hosts are never counted only.
    pub(super) log: bool,
    /// What commands said is shown: it is what a one-off command is run for.
    pub(super) output: bool,
}

/// A task and the results that are not told yet.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) name: String,
    pub(super) module: String,
    pub(super) place: String,
    pub(super) handler: bool,
    /// When the oldest result came that is not told yet, milliseconds since the run began.
    pub(super) since: Option<u64>,
    /// When the oldest failure came that is not told yet.
    pub(super) failed_since: Option<u64>,
    outcomes: Vec<Outcome>,
}

/// Lines of a message that are shown.
const LONGEST_WHY: usize = 12;

/// What a host came to.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) host: String,
    pub(super) status: Status,
    pub(super) message: String,
    pub(super) result: Map,
    pub(super) rescued: bool,
    steps: Vec<StepLine>,
    items: Vec<Item>,
    notified: Vec<String>,
}

/// What an item of a loop came to.
#[derive(Debug, Clone)]
pub(super) struct Item {
    item: String,
    status: Status,
    steps: Vec<StepLine>,
    result: Map,
}

impl Item {
    pub(super) fn new(item: &str, status: Status, steps: &[StepLine], result: &Map) -> Self {
        Self { item: clean_line(item), status, steps: steps.to_vec(), result: result.clone() }
    }
}

impl Outcome {
    /// Of a [`EventKind::HostFinished`].
    pub(super) fn of(kind: &EventKind, items: Vec<Item>) -> Option<Self> {
        let EventKind::HostFinished { host, delegate, status, steps, result, message, rescued, notified, .. } = kind
        else {
            return None;
        };
        let host = match delegate {
            Some(other) => format!("{} -> {}", clean_line(host), clean_line(other)),
            None => clean_line(host),
        };
        Some(Self {
            host,
            status: *status,
            message: message.clone(),
            result: result.clone(),
            rescued: *rescued,
            steps: steps.clone(),
            items,
            notified: notified.clone(),
        })
    }

    /// Why: the message, else the result's `msg`, else its status. Messages of several lines say in the first what is wrong.
    pub(super) fn why(&self) -> String {
        let text = if self.message.is_empty() {
            self.result.get("msg").map(to_text).unwrap_or_default()
        } else {
            self.message.clone()
        };
        let mut all = clean_lines(text.trim());
        let mut text = all.by_ref().take(LONGEST_WHY).collect::<Vec<_>>().join("\n");
        if all.next().is_some() {
            text.push_str("\n…");
        }
        match (text.is_empty(), self.result.get("rc")) {
            (true, Some(status)) => format!("ended with status {}", clean_line(&to_text(status))),
            _ => text,
        }
    }

    /// What the module warns of, clean.
    fn warnings(&self) -> impl Iterator<Item = String> {
        let warnings = self.result.get("warnings").and_then(Value::as_array);
        warnings.into_iter().flatten().map(|text| clean_line(&to_text(text)))
    }

    /// The last lines of what a failed command said, each clean; nothing where the message says the same.
    pub(super) fn tail(&self) -> Vec<String> {
        let why = self.why();
        for (key, most) in [("stderr", TAIL), ("stdout", TAIL), ("module_stderr", TAIL)] {
            let Some(Value::String(text)) = self.result.get(key) else { continue };
            if text.trim().is_empty() {
                continue;
            }
            let mut last: Vec<_> = clean_lines(text.trim_end()).rev().take(most).collect();
            last.reverse();
            if last.iter().all(|line| line.is_empty() || why.contains(line.as_str())) {
                return Vec::new();
            }
            return last.into_iter().map(|line| format!("{key}: {line}")).collect();
        }
        Vec::new()
    }

    fn details(&self, module: &str, look: Look) -> Vec<Line> {
        let mut lines = Vec::new();
        steps_into(&mut lines, &self.steps, look);
        for item in &self.items {
            let quiet = matches!(item.status, Status::Ok | Status::Skipped) && item.steps.is_empty();
            if quiet && look.verbosity == 0 {
                continue;
            }
            let (label, word) = word(item.status, look.check);
            let mut line = Line::plain(format!("(item={}) ", item.item)).with(label, word);
            if item.status.ends_host() || item.status == Status::Ignored {
                line = line.and(format!(": {}", clean_line(&item.result.get("msg").map(to_text).unwrap_or_default())));
            }
            lines.push(line);
            let mut below = Vec::new();
            steps_into(&mut below, &item.steps, look);
            lines.extend(below.into_iter().map(indent));
        }
        if self.status.ends_host() || self.status == Status::Ignored {
            lines.extend(self.tail().into_iter().map(|line| Line::of(Label::Dim, line)));
        }
        lines.extend(self.warnings().map(|text| Line::of(Label::Warning, "warning").and(format!(": {text}"))));
        if self.rescued {
            lines.push(Line::plain("a rescue section takes it from here"));
        }
        if module == "debug" && self.status == Status::Ok && look.verbosity == 0 {
            let shown: Map =
                self.result.iter().filter(|(key, _)| *key != "changed" && *key != "failed").map(own).collect();
            for (key, value) in &shown {
                let text = match value {
                    Value::String(text) => text.clone(),
                    other => serde_json::to_string_pretty(other).unwrap_or_default(),
                };
                let text = if key == "msg" { text } else { format!("{key}: {text}") };
                lines.extend(clean_lines(&text).map(Line::plain));
            }
        }
        if look.output && matches!(self.status, Status::Ok | Status::Changed) {
            for key in ["stdout", "stderr"] {
                let text = self.result.get(key).map(to_text).unwrap_or_default();
                lines.extend(clean_lines(&text).map(Line::plain));
            }
        }
        if look.verbosity > 0 {
            if !self.notified.is_empty() {
                lines.push(Line::plain(format!("notified: {}", clean_line(&self.notified.join(", ")))));
            }
            if !self.result.is_empty() {
                let json = serde_json::to_string(&self.result).unwrap_or_default();
                lines.push(Line::of(Label::Dim, format!("=> {}", clean_json(&json))));
            }
        }
        lines
    }
}

fn own((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

fn indent(line: Line) -> Line {
    line.before("  ")
}

/// The word for a status, and its label.
pub(super) fn word(status: Status, check: bool) -> (Label, &'static str) {
    match status {
        Status::Ok => (Label::Good, "ok"),
        Status::Changed if check => (Label::Changed, "would change"),
        Status::Changed => (Label::Changed, "changed"),
        Status::Skipped => (Label::Skipped, "skipped"),
        Status::Failed => (Label::Bad, "failed"),
        Status::Ignored => (Label::Changed, "failed (ignored)"),
        Status::Unreachable => (Label::Unreachable, "unreachable"),
        Status::Unknown => (Label::Unreachable, "unknown (the line broke while it ran)"),
        Status::Unpredictable => (Label::Warning, "not known before the run"),
        Status::Bug => (Label::Bad, "failed by a bug of stagger's"),
    }
}

fn steps_into(lines: &mut Vec<Line>, steps: &[StepLine], look: Look) {
    let most = if look.verbosity > 0 { usize::MAX } else { STEPS };
    for step in steps.iter().take(most) {
        let summary = clean_line(&step.summary);
        let mut line = if look.check { Line::plain(format!("would {summary}")) } else { Line::plain(summary) };
        if look.check && step.opaque {
            line = line.with(Label::Warning, " (what it does can't be known beforehand)");
        }
        lines.push(line);
        if let Some(diff) = &step.diff {
            let all = diff_lines(diff);
            let most = if look.verbosity > 0 { usize::MAX } else { DIFF };
            let left = all.len().saturating_sub(most);
            lines.extend(all.into_iter().take(most).map(indent));
            if left > 0 {
                lines.push(Line::of(Label::Dim, format!("  … and {left} more lines (-v shows all)")));
            }
        }
    }
    if steps.len() > most {
        lines.push(Line::of(Label::Dim, format!("… and {} more steps (-v shows all)", steps.len() - most)));
    }
}

impl Block {
    pub(super) fn new(name: &str, module: &str, place: &str, handler: bool) -> Self {
        let module = clean_line(module);
        let name = if name.is_empty() { module.clone() } else { clean_line(name) };
        Self { name, module, place: clean_line(place), handler, since: None, failed_since: None, outcomes: Vec::new() }
    }

    pub(super) fn add(&mut self, elapsed: u64, outcome: Outcome) {
        if outcome.status.ends_host() || outcome.status == Status::Ignored {
            self.failed_since.get_or_insert(elapsed);
        } else {
            self.since.get_or_insert(elapsed);
        }
        self.outcomes.push(outcome);
    }

    /// Takes what is not told yet; only failures when `failures`.
    pub(super) fn take(&mut self, failures: bool) -> Vec<Outcome> {
        self.failed_since = None;
        if !failures {
            self.since = None;
            return std::mem::take(&mut self.outcomes);
        }
        let (failed, other) = std::mem::take(&mut self.outcomes)
            .into_iter()
            .partition(|outcome| outcome.status.ends_host() || outcome.status == Status::Ignored);
        self.outcomes = other;
        failed
    }

    /// Results as lines: one a group of hosts with the same result, its details below.
    pub(super) fn lines(&self, outcomes: &[Outcome], look: Look) -> Vec<Line> {
        let shown = |outcome: &Outcome| {
            look.log
                || look.output
                || look.verbosity > 0
                || !matches!(outcome.status, Status::Ok | Status::Skipped)
                || self.module == "debug" && outcome.status == Status::Ok
                || outcome.warnings().next().is_some()
        };
        let mut groups: IndexMap<(Status, String, Vec<Line>), Vec<&str>> = IndexMap::new();
        for outcome in outcomes.iter().filter(|outcome| shown(outcome)) {
            let said = match outcome.status {
                Status::Ok | Status::Changed => String::new(),
                Status::Skipped if look.verbosity == 0 => String::new(),
                _ => outcome.why(),
            };
            let mut details = outcome.details(&self.module, look);
            // What can't be known is often said by the step itself.
            if details.first().is_some_and(|line| !said.is_empty() && line.text().starts_with(&said)) {
                details.remove(0);
            }
            let key = (outcome.status, said, details);
            groups.entry(key).or_default().push(&outcome.host);
        }
        let mut lines = Vec::new();
        for ((status, why, details), hosts) in groups {
            let (label, word) = word(status, look.check);
            let count = if hosts.len() > 1 { format!(" ×{}", hosts.len()) } else { String::new() };
            let most = if look.log || look.verbosity > 0 { usize::MAX } else { 6 };
            let mut line = Line::of(label, format!("{word}{count}"))
                .and(format!(": {}  ", fold(&hosts, most)))
                .with(Label::Strong, self.name.clone());
            if self.handler {
                line = line.and(" (handler)");
            }
            if look.verbosity > 1 {
                line = line.with(Label::Dim, format!(" [{} at {}]", self.module, self.place));
            }
            let mut why = why.lines();
            if let Some(first) = why.next() {
                line = line.and(format!(": {first}"));
            }
            lines.push(line);
            lines.extend(why.map(|text| indent(indent(Line::plain(text)))));
            lines.extend(details.into_iter().map(|line| indent(indent(line))));
        }
        lines
    }
}
