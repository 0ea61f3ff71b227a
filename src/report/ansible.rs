//! A run as `ansible-playbook` prints it: what scripts and eyes know.
//!
//! Where Ansible has nothing to say, nothing is added to standard output: hosts that were not attempted and the like
//! go to standard error as warnings.

use std::collections::{HashMap, HashSet};
use std::io;

use super::clean::clean_line;
use super::diff::diff_lines;
use super::dump::{Layout, dump_result};
use super::fold::fold;
use super::out::Out;
use super::recap::recap_lines;
use super::style::{Label, Line, Paint, width};
use crate::base::{Map, PlayId};
use crate::event::{Event, EventKind, Sink, Status, StepLine, Tally, TaskKey};

/// The sink.
pub(crate) struct Ansible {
    out: Out,
    errors: Out,
    paint: Paint,
    verbosity: u8,
    /// Ansible's: the terminal's columns less one; 79 without a terminal.
    columns: usize,
    plays: HashMap<PlayId, String>,
    tasks: HashMap<TaskKey, Task>,
    /// The task whose banner was printed last.
    banner: Option<TaskKey>,
    /// Tasks and hosts with a loop.
    looped: HashSet<(TaskKey, String)>,
    undos: super::undone::Undos,
    /// What `set_stats` kept, where it is to be shown.
    stats: Option<super::stats::Stats>,
    run: String,
}

struct Task {
    banner: String,
    module: String,
    place: String,
}

impl Ansible {
    /// To standard output and error, or other two.
    pub(crate) fn new(out: Out, errors: Out, paint: Paint, verbosity: u8, columns: usize) -> Self {
        let columns = columns.max(4);
        Self {
            out,
            errors,
            paint,
            verbosity,
            columns,
            plays: HashMap::new(),
            tasks: HashMap::new(),
            banner: None,
            looped: HashSet::new(),
            undos: super::undone::Undos::default(),
            stats: None,
            run: String::new(),
        }
    }

    /// Shows at the end what `set_stats` kept.
    #[must_use]
    pub(crate) fn with_stats(self, shown: bool) -> Self {
        Self { stats: shown.then(super::stats::Stats::default), ..self }
    }

    fn print(&mut self, line: &Line) -> io::Result<()> {
        let text = self.paint.line(line) + "\n";
        self.out.write(&text)
    }

    /// Prints lines of ours; texts in them are clean, so each newline is ours too.
    fn say(&mut self, label: Label, text: String) -> io::Result<()> {
        text.lines().try_for_each(|line| self.print(&Line::of(label, line)))
    }

    fn banner(&mut self, text: &str) -> io::Result<()> {
        let stars = self.columns.saturating_sub(width(text)).max(3);
        self.print(&Line::new())?;
        self.say(Label::Plain, format!("{text} {}", "*".repeat(stars)))
    }

    fn warn(&mut self, text: &str) -> io::Result<()> {
        let line = self.paint.line(&Line::of(Label::Warning, format!("[WARNING]: {text}")));
        self.errors.write(&(line + "\n"))
    }

    fn play(&mut self, play: PlayId) -> io::Result<()> {
        let text = match self.plays.get(&play) {
            Some(name) if !name.is_empty() => format!("PLAY [{name}]"),
            _ => "PLAY".to_owned(),
        };
        self.banner = None;
        self.banner(&text)
    }

    /// The banner of a task, when another was printed since: hosts may be at different tasks.
    fn task(&mut self, key: &TaskKey) -> io::Result<()> {
        if self.banner.as_ref() == Some(key) {
            return Ok(());
        }
        self.banner = Some(key.clone());
        let Some(task) = self.tasks.get(key) else { return Ok(()) };
        let (text, place) = (task.banner.clone(), task.place.clone());
        self.banner(&text)?;
        if self.verbosity > 1 && !place.is_empty() {
            self.say(Label::Dim, format!("task path: {place}"))
        } else {
            Ok(())
        }
    }

    fn diffs(&mut self, steps: &[StepLine]) -> io::Result<()> {
        for diff in steps.iter().filter_map(|step| step.diff.as_ref()) {
            let lines = diff_lines(diff);
            if lines.is_empty() {
                continue;
            }
            for line in &lines {
                self.print(line)?;
            }
            self.print(&Line::new())?;
        }
        Ok(())
    }

    fn module(&self, key: &TaskKey) -> &str {
        self.tasks.get(key).map_or("", |task| task.module.as_str())
    }

    /// ` => {…}` when it is to be shown.
    fn shown(&self, key: &TaskKey, result: &Map) -> String {
        let module = self.module(key);
        if module == "debug" {
            return format!(" => {}", dump_result(&debugged(result), Layout::Indented, self.verbosity));
        }
        // Ansible always shows what an assertion came to.
        if module == "assert" {
            let mut result = result.clone();
            result.shift_remove("failed");
            return format!(" => {}", dump_result(&result, Layout::Indented, self.verbosity));
        }
        if self.verbosity == 0 || matches!(module, "setup" | "gather_facts") {
            return String::new();
        }
        format!(" => {}", self.dump(result))
    }

    fn dump(&self, result: &Map) -> String {
        let layout = if self.verbosity > 2 { Layout::Indented } else { Layout::Line };
        dump_result(result, layout, self.verbosity)
    }

    fn item(&mut self, key: &TaskKey, host: &str, item: &str, status: Status, result: &Map) -> io::Result<()> {
        let item = clean_line(item);
        let shown = self.shown(key, result);
        match status {
            Status::Ok => self.say(Label::Good, format!("ok: [{host}] => (item={item}){shown}")),
            Status::Changed => self.say(Label::Changed, format!("changed: [{host}] => (item={item}){shown}")),
            Status::Skipped | Status::Unpredictable => {
                let shown = if self.verbosity > 0 { shown } else { String::new() };
                self.say(Label::Skipped, format!("skipping: [{host}] => (item={item}) {}", shown.trim_start()))
            }
            _ => {
                let json = self.dump(result);
                self.say(Label::Bad, format!("failed: [{host}] (item={item}) => {json}"))
            }
        }
    }

    fn host(&mut self, kind: &EventKind) -> io::Result<()> {
        let EventKind::HostFinished { key, host, delegate, delegate_address, status, steps, result, message, .. } =
            kind
        else {
            return Ok(());
        };
        if self.module(key) == "meta" && !status.ends_host() {
            return Ok(());
        }
        let including = self.module(key).starts_with("include_") && *status == Status::Ok;
        if including && self.module(key) != "include_vars" {
            return Ok(());
        }
        self.task(key)?;
        let looped = self.looped.remove(&(key.clone(), host.clone()));
        // Of a host that can't be reached Ansible does not say where it looked for it.
        let address = delegate_address.as_deref().filter(|_| !matches!(status, Status::Unreachable | Status::Unknown));
        let label = format!("[{}]", label(host, delegate.as_deref(), address));
        let mut result = result.clone();
        if !message.is_empty() && status.ends_host() && !result.contains_key("msg") && !result.contains_key("censored")
        {
            result.insert("msg".to_owned(), message.clone().into());
        }
        if matches!(status, Status::Ok | Status::Changed) || !steps.is_empty() {
            self.diffs(steps)?;
        }
        let shown = self.shown(key, &result);
        match status {
            // The items have been printed.
            Status::Ok | Status::Changed if looped => Ok(()),
            Status::Ok => self.say(Label::Good, format!("ok: {label}{shown}")),
            Status::Changed => self.say(Label::Changed, format!("changed: {label}{shown}")),
            Status::Skipped | Status::Unpredictable => {
                let shown = if self.verbosity > 0 { shown } else { String::new() };
                self.say(Label::Skipped, format!("skipping: {label}{shown}"))
            }
            Status::Unreachable | Status::Unknown => {
                let json = self.dump(&result);
                self.say(Label::Unreachable, format!("fatal: {label}: UNREACHABLE! => {json}"))
            }
            Status::Failed | Status::Ignored | Status::Bug => {
                if result.get("unreachable") == Some(&true.into()) {
                    let json = self.dump(&result);
                    self.say(Label::Unreachable, format!("fatal: {label}: UNREACHABLE! => {json}"))?;
                } else if !looped {
                    let json = match self.module(key) {
                        "assert" => {
                            result.shift_remove("failed");
                            dump_result(&result, Layout::Indented, self.verbosity)
                        }
                        _ => self.dump(&result),
                    };
                    self.say(Label::Bad, format!("fatal: {label}: FAILED! => {json}"))?;
                }
                if *status == Status::Ignored { self.say(Label::Skipped, "...ignoring".to_owned()) } else { Ok(()) }
            }
        }
    }

    fn recap(&mut self, tallies: &[(String, Tally)]) -> io::Result<()> {
        self.banner("PLAY RECAP")?;
        // What a check can't know, Ansible skips.
        let counted: Vec<_> = tallies
            .iter()
            .filter(|(_, tally)| *tally != Tally::default())
            .map(|(host, tally)| (host.clone(), Tally { skipped: tally.skipped + tally.unpredictable, ..*tally }))
            .collect();
        for line in recap_lines(&counted, true) {
            self.print(&line)?;
        }
        self.print(&Line::new())
    }
}

/// `h1`, `h1 -> h2`, `h1 -> h2(10.0.0.2)`.
fn label(host: &str, delegate: Option<&str>, address: Option<&str>) -> String {
    let mut label = clean_line(host);
    if let Some(delegate) = delegate {
        label.push_str(" -> ");
        label.push_str(&clean_line(delegate));
    }
    if let Some(address) = address {
        label.push('(');
        label.push_str(&clean_line(address));
        label.push(')');
    }
    label
}

/// What `debug` shows: its message, or its variable, and nothing of the task or the loop.
fn debugged(result: &Map) -> Map {
    let mut shown = result.clone();
    if shown.contains_key("msg") {
        shown.retain(|name, _| name == "msg");
        return shown;
    }
    let of_loop: Vec<String> = ["ansible_loop_var", "ansible_index_var"]
        .iter()
        .filter_map(|name| result.get(*name)?.as_str().map(str::to_owned))
        .collect();
    let hidden = ["changed", "failed", "skipped", "ansible_loop_var", "ansible_index_var", "ansible_loop"];
    shown.retain(|name, _| !hidden.contains(&name.as_str()) && !of_loop.contains(name));
    shown
}

impl Sink for Ansible {
    fn on(&mut self, event: &Event) -> io::Result<()> {
        self.undos.on(&event.kind);
        if let Some(stats) = &mut self.stats {
            stats.on(&event.kind);
        }
        match &event.kind {
            EventKind::RunStarted { run, .. } => {
                self.run = run.to_string();
                Ok(())
            }
            EventKind::PlayStarted { play, name, .. } => {
                self.plays.insert(*play, clean_line(name));
                self.play(*play)
            }
            // Ansible begins the play anew for each batch.
            EventKind::BatchStarted { play, batch, .. } if *batch > 0 => self.play(*play),
            EventKind::PlaySkipped { play, name, .. } => {
                self.plays.insert(*play, clean_line(name));
                self.play(*play)?;
                self.say(Label::Skipped, "skipping: no hosts matched".to_owned())
            }
            EventKind::TaskStarted { key, name, module, handler, place, .. } => {
                let title = clean_line(if name.is_empty() { module } else { name });
                let what = if *handler { "RUNNING HANDLER" } else { "TASK" };
                let task =
                    Task { banner: format!("{what} [{title}]"), module: clean_line(module), place: clean_line(place) };
                let quiet = task.module == "meta";
                self.tasks.insert(key.clone(), task);
                if quiet { Ok(()) } else { self.task(key) }
            }
            EventKind::TaskFinished { key } => {
                self.tasks.remove(key);
                Ok(())
            }
            EventKind::ItemFinished {
                key,
                host,
                item,
                index: _,
                delegate,
                delegate_address,
                status,
                steps,
                result,
                notified: _,
            } => {
                self.task(key)?;
                self.looped.insert((key.clone(), host.clone()));
                self.diffs(steps)?;
                let host = label(host, delegate.as_deref(), delegate_address.as_deref());
                self.item(key, &host, item, *status, result)
            }
            EventKind::Retrying { key, host, name, left } => {
                self.task(key)?;
                let (host, name) = (clean_line(host), clean_line(name));
                self.say(Label::Dim, format!("FAILED - RETRYING: [{host}]: {name} ({left} retries left)."))
            }
            EventKind::HostFinished { .. } => self.host(&event.kind),
            EventKind::Included { key, file, hosts, item } => {
                self.task(key)?;
                let hosts: Vec<_> = hosts.iter().map(|host| clean_line(host)).collect();
                let item = item.as_ref().map(|item| format!(" => (item={})", clean_line(item))).unwrap_or_default();
                self.say(Label::Skipped, format!("included: {} for {}{item}", clean_line(file), hosts.join(", ")))
            }
            EventKind::Halted { halt, .. } => {
                // Ansible says so for this guard only.
                if matches!(halt.guard.as_str(), "max_fail_percentage" | "max_fail") {
                    self.banner("NO MORE HOSTS LEFT")?;
                }
                let host = halt.host.as_ref().map(|host| format!(" (host {})", clean_line(host))).unwrap_or_default();
                self.warn(&format!("{}: {}{host}", clean_line(&halt.guard), clean_line(&halt.value)))
            }
            EventKind::Warning { message } => self.warn(&clean_line(message)),
            EventKind::Note { message } => {
                for line in super::clean::clean_lines(message) {
                    self.say(Label::Plain, line)?;
                }
                Ok(())
            }
            EventKind::Cancelling { why } => self.warn(&format!("the run is being ended early: {}", clean_line(why))),
            EventKind::RunFinished { tallies, not_attempted, pending_handlers, .. } => {
                self.recap(tallies)?;
                let kept = self.stats.as_ref().map(super::stats::Stats::lines).unwrap_or_default();
                if !kept.is_empty() {
                    self.banner("CUSTOM STATS:")?;
                    kept.iter().chain([&Line::new()]).try_for_each(|line| self.print(line))?;
                }
                if !not_attempted.is_empty() {
                    self.warn(&format!("not attempted: {}", fold(not_attempted, usize::MAX)))?;
                }
                for (host, names) in pending_handlers.iter().filter(|(_, names)| !names.is_empty()) {
                    self.warn(&format!("notified and not run on {host}: {}", clean_line(&names.join(", "))))?;
                }
                for line in self.undos.shout(super::view::short(&self.run)) {
                    let line = self.paint.line(&line) + "\n";
                    self.errors.write(&line)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
