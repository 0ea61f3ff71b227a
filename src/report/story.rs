//! What is told of a run, line by line, in a log and above the bars of a screen. Made from events and their times alone,
//! so that a journal tells the same story as the run did.

use super::block::{Look, Outcome};
use super::clean::{clean_line, clean_lines};
use super::digest;
use super::fold::fold;
use super::state::{Activity, State};
use super::style::{Label, Line};
use crate::event::{Event, EventKind, Status, TaskKey};

/// Failures wait so long for others like them, milliseconds.
const FAILURES: u64 = 1000;

/// Other results wait so long, milliseconds.
const RESULTS: u64 = 10_000;

/// A run and how it is told.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) state: State,
    look: Look,
    failures: Vec<Failure>,
}

/// A failure, kept for the end.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) host: String,
    pub(super) task: String,
    pub(super) place: String,
    pub(super) status: Status,
    pub(super) why: String,
    pub(super) tail: Vec<String>,
}

impl Failure {
    /// Whether another host failed in the same way at the same task.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.status == other.status
            && self.why == other.why
            && self.task == other.task
            && self.place == other.place
            && self.tail == other.tail
    }
}

impl Story {
    pub(super) fn new(verbosity: u8, log: bool) -> Self {
        let look = Look { check: false, verbosity, log, output: false };
        Self { state: State::default(), look, failures: Vec::new() }
    }

    /// Shows what commands said.
    pub(super) fn show_output(&mut self) {
        self.look.output = true;
    }

    /// Takes an event, and gives what is to be told.
    pub(super) fn on(&mut self, event: &Event) -> Vec<Line> {
        // An upload's progress is not in the journal: it must not even move the clock.
        if matches!(event.kind, EventKind::Sent { .. }) {
            self.state.on(event);
            return Vec::new();
        }
        let mut lines = self.due(event.elapsed);
        self.keep(event);
        self.state.on(event);
        self.tell(event, &mut lines);
        lines
    }

    /// What has waited long enough to be told.
    pub(super) fn due(&mut self, elapsed: u64) -> Vec<Line> {
        let mut lines = Vec::new();
        let over = |since: Option<u64>, patience: u64| since.is_some_and(|since| elapsed >= since + patience);
        for block in self.state.blocks.values_mut() {
            let all = over(block.since, RESULTS);
            if all || over(block.failed_since, FAILURES) {
                let outcomes = block.take(!all);
                lines.extend(block.lines(&outcomes, self.look));
            }
        }
        lines
    }

    fn rest(&mut self, key: &TaskKey) -> Vec<Line> {
        let Some(mut block) = self.state.blocks.shift_remove(key) else { return Vec::new() };
        let outcomes = block.take(false);
        block.lines(&outcomes, self.look)
    }

    fn keep(&mut self, event: &Event) {
        let EventKind::HostFinished { key, status, rescued: false, .. } = &event.kind else { return };
        if !status.ends_host() {
            return;
        }
        let Some(outcome) = Outcome::of(&event.kind, Vec::new()) else { return };
        let (task, place) = match self.state.blocks.get(key) {
            Some(block) => (block.name.clone(), block.place.clone()),
            None => Default::default(),
        };
        let (why, tail) = (outcome.why(), outcome.tail());
        self.failures.push(Failure { host: outcome.host, task, place, status: *status, why, tail });
    }

    fn tell(&mut self, event: &Event, lines: &mut Vec<Line>) {
        let log = self.look.log;
        match &event.kind {
            EventKind::RunStarted { check, .. } => {
                self.look.check = *check;
                if log {
                    lines.push(digest::header(&self.state));
                }
            }
            EventKind::Resumed { operator, .. } => {
                self.failures.clear();
                lines.push(Line::of(Label::Strong, format!("resumed by {}", clean_line(operator))));
            }
            EventKind::PlayStarted { name, hosts, batches, order, .. } if log => {
                let mut line = Line::of(Label::Strong, format!("play {}", clean_line(name)));
                line = line.and(format!(": {} ({})", count(hosts.len(), "host"), fold(hosts, usize::MAX)));
                if *batches > 1 {
                    line = line.and(format!(", {}", count(*batches as usize, "batch")));
                }
                if !order.is_empty() {
                    line = line.and(format!(", {}", clean_line(order)));
                }
                lines.push(line);
            }
            EventKind::PlaySkipped { name, why, .. } => {
                let line = Line::of(Label::Skipped, format!("play {} skipped", clean_line(name)));
                lines.push(line.and(format!(": {}", clean_line(why))));
            }
            EventKind::BatchStarted { batch, batches, hosts, .. } if log && *batches > 1 => {
                lines.push(Line::plain(format!("batch {}/{batches}: {}", batch + 1, fold(hosts, usize::MAX))));
            }
            EventKind::Retrying { host, name, left, .. } if log => {
                let left = count(*left as usize, "try");
                lines.push(Line::plain(format!("retrying: {}  {}: {left} left", clean_line(host), clean_line(name))));
            }
            EventKind::Waiting { host, waited, why, .. } if log => {
                if let Some(line) = self.waiting(&clean_line(host), *waited, &clean_line(why)) {
                    lines.push(line);
                }
            }
            EventKind::Included { file, hosts, .. } if log => {
                lines.push(Line::plain(format!("included {} for {}", clean_line(file), fold(hosts, usize::MAX))));
            }
            EventKind::UndoStarted { host, name, .. } if log => {
                lines.push(Line::plain(format!("taking back: {}  {}", clean_line(host), clean_line(name))));
            }
            EventKind::UndoFinished { host, name, done: true, .. } if log || self.look.verbosity > 0 => {
                let line = Line::of(Label::Good, format!("taken back: {}", clean_line(host)));
                lines.push(line.and(format!("  {}", clean_line(name))));
            }
            EventKind::UndoFinished { host, name, done: false, message, .. } => {
                let line = Line::of(Label::Bad, format!("NOT UNDONE: {}", clean_line(host)));
                lines.push(line.and(format!("  {}: {}", clean_line(name), clean_line(message))));
            }
            EventKind::TaskFinished { key } => lines.extend(self.rest(key)),
            EventKind::BatchFinished { .. } | EventKind::PlayFinished { .. } => {}
            EventKind::Halted { .. } => {
                if let Some((play, halt)) = self.state.halts.last() {
                    lines.push(Line::of(Label::Bad, digest::halted(play, halt)));
                }
            }
            // A screen has it among what goes on, where a question at the terminal may follow.
            EventKind::Held { .. } if log => {
                if let Some(held) = self.state.held.last() {
                    lines.push(Line::of(Label::Warning, "waiting").and(format!(": {}", held.line)));
                }
            }
            EventKind::Released { by, .. } => lines.push(Line::plain(format!("goes on, by {}", clean_line(by)))),
            EventKind::Controlled { by, command, argument, reason, answer, refused, .. } => {
                let words = [command, argument].map(|text| clean_line(text)).join(" ");
                let reason = if reason.is_empty() { String::new() } else { format!(" ({})", clean_line(reason)) };
                let refused = if *refused { "refused: " } else { "" };
                let line = format!("asked by {}: {}{reason}: {refused}", clean_line(by), words.trim_end());
                lines.push(Line::of(Label::Strong, line).and(clean_line(answer)));
            }
            EventKind::HostSkipped { host, by, reason } => {
                let line = format!("left out: {} by {}: {}", clean_line(host), clean_line(by), clean_line(reason));
                lines.push(Line::of(Label::Skipped, line));
            }
            EventKind::Cancelling { why } => {
                let line = Line::of(Label::Warning, format!("stopping: {}", clean_line(why)));
                lines.push(line.and(": nothing new is started, hosts at work finish their sequence"));
            }
            EventKind::Warning { message } => {
                lines.push(Line::of(Label::Warning, "warning").and(format!(": {}", clean_line(message))));
            }
            EventKind::Note { message } => lines.extend(clean_lines(message).map(Line::plain)),
            EventKind::RunFinished { .. } => {
                let keys: Vec<_> = self.state.blocks.keys().cloned().collect();
                for key in keys {
                    lines.extend(self.rest(&key));
                }
                lines.extend(digest::digest(&self.state, &self.failures, &event.kind, self.look));
            }
            _ => {}
        }
    }

    /// A wait is told after 10 s, 30 s, and every minute.
    fn waiting(&mut self, host: &str, waited: u64, why: &str) -> Option<Line> {
        let doing = self.state.working.get_mut(host)?;
        let seconds = waited / 1000;
        let step = match seconds {
            0..10 => return None,
            10..30 => 10,
            30..60 => 30,
            more => more / 60 * 60,
        };
        if step <= doing.told {
            return None;
        }
        doing.told = step;
        let Activity::Waiting { within, .. } = doing.activity else { return None };
        let task = self.state.blocks.get(&doing.key).map_or("", |block| block.name.as_str());
        let within = crate::base::render_duration(std::time::Duration::from_millis(within));
        Some(Line::plain(format!("waiting: {host}  {task}: {seconds}s of {within}: {why}")))
    }

    /// A line that says what is still going on, for a log in which nothing happened for long.
    pub(super) fn heartbeat(&self, now: u64) -> Option<Line> {
        let mut groups: indexmap::IndexMap<&TaskKey, (Vec<&str>, u64)> = indexmap::IndexMap::new();
        for (host, doing) in &self.state.working {
            let group = groups.entry(&doing.key).or_insert_with(|| (Vec::new(), doing.since));
            group.0.push(host);
            group.1 = group.1.min(doing.since);
        }
        let (key, (hosts, since)) = groups.into_iter().min_by_key(|(_, (_, since))| *since)?;
        let name = self.state.blocks.get(key).map_or("a task", |block| block.name.as_str());
        let time = crate::base::render_duration(std::time::Duration::from_millis(now.saturating_sub(since)));
        Some(Line::of(Label::Dim, format!("still at work: {}  {name}: {time}", fold(&hosts, 6))))
    }
}

/// `1 host`, `2 hosts`, `3 batches`, `2 tries`.
pub(super) fn count(number: usize, what: &str) -> String {
    match (number, what) {
        (1, _) => format!("1 {what}"),
        (_, what) if what.ends_with("ch") => format!("{number} {what}es"),
        (_, what) if what.ends_with("ry") => format!("{number} {}ies", what.trim_end_matches('y')),
        _ => format!("{number} {what}s"),
    }
}
