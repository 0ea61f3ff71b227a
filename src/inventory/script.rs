//! Executable inventory scripts: what they answer to `--list` and, where that has no `_meta`, to `--host NAME`.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use indexmap::IndexSet;
use serde_json::Value;

use super::graph::Graph;
use super::ini::wrong_priority;
use crate::base::{Map, Node, SourceId, Span, type_name};
use crate::diag::{Diagnostic, Sources};

/// A script that prints more than this does not print an inventory.
const MOST_BYTES: u64 = 256 << 20;

/// Runs a script and reads its answers into the graph.
pub(super) fn read(graph: &mut Graph, sources: &Sources, path: &Path, deadline: Duration) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Err(diagnostic) = answers(graph, sources, path, deadline, &mut found) {
        found.push(*diagnostic);
    }
    found
}

type Failed = Box<Diagnostic>;

fn answers(
    graph: &mut Graph,
    sources: &Sources,
    path: &Path,
    deadline: Duration,
    found: &mut Vec<Diagnostic>,
) -> Result<(), Failed> {
    let until = Instant::now() + deadline;
    let (list, source) = ask(sources, path, &["--list"], until, deadline)?;
    let span = Span { source, start: 0, end: 0 };
    let mut hostvars = None;
    let mut reader = Reader { graph, span, named: IndexSet::new(), found };
    for (name, body) in &list {
        if name == "_meta" {
            hostvars = match body.get("hostvars") {
                Some(Value::Object(hosts)) => Some(hosts),
                None => None,
                Some(other) => {
                    return Err(wrong(format!("`_meta.hostvars` must be a mapping, not {}", type_name(other)), span));
                }
            };
        } else {
            reader.group(name, body);
        }
    }
    let Reader { graph, named, found, .. } = reader;
    for host in named {
        let name = graph.host_name(host).to_owned();
        let (variables, span) = match hostvars {
            Some(hosts) => match hosts.get(&name) {
                Some(Value::Object(variables)) => (variables.clone(), span),
                None | Some(Value::Null) => continue,
                Some(other) => {
                    let message = format!("`_meta.hostvars.{name}` must be a mapping, not {}", type_name(other));
                    found.push(Diagnostic::error(message, span));
                    continue;
                }
            },
            None => {
                let (variables, source) = ask(sources, path, &["--host", &name], until, deadline)?;
                (variables, Span { source, start: 0, end: 0 })
            }
        };
        for (key, value) in &variables {
            graph.set_host_variable(host, key, &Arc::new(Node::from_written(value, span)));
        }
    }
    Ok(())
}

/// One answer to `--list`, as it is read.
struct Reader<'a> {
    graph: &'a mut Graph,
    span: Span,
    /// Hosts that it names, in order: their variables are asked for.
    named: IndexSet<u32>,
    found: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn group(&mut self, name: &str, body: &Value) {
        if name.is_empty() {
            self.found.push(Diagnostic::error("a group without a name", self.span));
            return;
        }
        let index = self.graph.add_group(name, self.span);
        match body {
            Value::Array(_) => self.hosts(name, index, body),
            Value::Object(parts) if ["hosts", "vars", "children"].iter().any(|key| parts.contains_key(*key)) => {
                if let Some(hosts) = parts.get("hosts") {
                    self.hosts(name, index, hosts);
                }
                match parts.get("vars") {
                    Some(Value::Object(variables)) => self.variables(index, variables),
                    None | Some(Value::Null) => {}
                    Some(other) => self.refuse(name, "vars", other, "a mapping"),
                }
                match parts.get("children") {
                    Some(Value::Array(children)) => self.children(name, index, children),
                    None | Some(Value::Null) => {}
                    Some(other) => self.refuse(name, "children", other, "a list of names"),
                }
            }
            // Ansible's oldest form: the group is itself the one host, and the mapping its variables.
            Value::Object(variables) => {
                self.named.insert(self.graph.add_host(name, Some(index)));
                self.variables(index, variables);
            }
            other => self.found.push(Diagnostic::error(
                format!("the group `{name}` must be a mapping or a list, not {}", type_name(other)),
                self.span,
            )),
        }
    }

    fn refuse(&mut self, group: &str, what: &str, value: &Value, wanted: &str) {
        let message = format!("`{what}` of the group `{group}` must be {wanted}, not {}", type_name(value));
        self.found.push(Diagnostic::error(message, self.span));
    }

    fn hosts(&mut self, name: &str, index: u32, hosts: &Value) {
        let Some(list) = hosts.as_array() else { return self.refuse(name, "hosts", hosts, "a list of names") };
        for host in list {
            match host.as_str().filter(|host| !host.is_empty()) {
                Some(host) => {
                    self.named.insert(self.graph.add_host(host, Some(index)));
                }
                None => self.refuse(name, "hosts", host, "a list of names"),
            }
        }
    }

    fn variables(&mut self, index: u32, variables: &Map) {
        for (key, value) in variables {
            if let Err(kind) = self.graph.set_group_variable(index, key, Node::from_written(value, self.span)) {
                self.found.push(wrong_priority(&kind, self.span));
            }
        }
    }

    fn children(&mut self, name: &str, index: u32, children: &[Value]) {
        for child in children {
            let Some(text) = child.as_str().filter(|child| !child.is_empty()) else {
                self.refuse(name, "children", child, "a list of names");
                continue;
            };
            let child = self.graph.add_group(text, self.span);
            if let Err(way) = self.graph.add_child(index, child) {
                let message = format!("`{text}` can't be a child of `{name}`: groups would contain themselves");
                self.found.push(Diagnostic::error(message, self.span).help(format!("the loop: {way}")));
            }
        }
    }
}

fn wrong(message: String, span: Span) -> Failed {
    Box::new(Diagnostic::error(message, span))
}

/// Runs the script and reads its answer, which must be one JSON mapping; an empty answer to `--host` is none.
fn ask(
    sources: &Sources,
    path: &Path,
    arguments: &[&str],
    until: Instant,
    deadline: Duration,
) -> Result<(Map, SourceId), Failed> {
    let shown = format!("{} {}", path.display(), arguments.join(" "));
    let output = run(path, arguments, until).map_err(|reason| {
        let mut error =
            Diagnostic::error(format!("the inventory script `{shown}` {}", reason.what(deadline)), Span::NONE);
        error.help.extend(
            reason
                .stderr()
                .lines()
                .rev()
                .take(10)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .map(|line| format!("it said: {line}")),
        );
        Box::new(error)
    })?;
    let text = String::from_utf8(output.stdout)
        .map_err(|_| wrong(format!("the inventory script `{shown}` printed bytes that are not UTF-8"), Span::NONE))?;
    let source = sources.add(format!("output of {shown}"), text.as_str());
    if text.trim().is_empty() && arguments.first() == Some(&"--host") {
        return Ok((Map::new(), source));
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(map)) => Ok((map, source)),
        Ok(other) => Err(wrong(
            format!("the inventory script `{shown}` must print a JSON mapping, not {}", type_name(&other)),
            Span { source, start: 0, end: 0 },
        )),
        Err(error) => {
            let at = offset(&text, error.line(), error.column());
            let reason = error.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
            let mut diagnostic = Diagnostic::error(
                format!("the inventory script `{shown}` printed no JSON"),
                Span { source, start: at as u32, end: at as u32 },
            )
            .label(reason);
            diagnostic.help.extend(output.stderr.lines().take(10).map(|line| format!("it said: {line}")));
            Err(Box::new(diagnostic))
        }
    }
}

/// The byte that serde_json's line and column (both from one; the column counts bytes) point at.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut at = (before + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

struct Answer {
    stdout: Vec<u8>,
    stderr: String,
}

enum Reason {
    Start(std::io::Error),
    Late(String),
    Long,
    Failed(std::process::ExitStatus, String),
}

impl Reason {
    fn what(&self, deadline: Duration) -> String {
        match self {
            Self::Start(error) => format!("can't be started: {error}"),
            Self::Late(_) => format!("did not finish within {}", crate::base::render_duration(deadline)),
            Self::Long => format!("printed more than {} MiB", MOST_BYTES >> 20),
            Self::Failed(status, _) => match status.code() {
                Some(code) => format!("failed with exit status {code}"),
                None => "was killed by a signal".to_owned(),
            },
        }
    }

    fn stderr(&self) -> &str {
        match self {
            Self::Late(text) | Self::Failed(_, text) => text,
            _ => "",
        }
    }
}

/// Both streams are read on threads of their own, so that a script can't block on a full pipe or outlast the deadline.
fn run(path: &Path, arguments: &[&str], until: Instant) -> Result<Answer, Reason> {
    let mut child = Command::new(path)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Reason::Start)?;
    let (sender, receiver) = mpsc::channel();
    let streams: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>),
        child.stderr.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>),
    ];
    for (number, stream) in streams.into_iter().enumerate() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(stream) = stream {
                // A read error ends the stream; what came before it is judged as it stands.
                let _ = stream.take(MOST_BYTES + 1).read_to_end(&mut bytes);
            }
            let _ = sender.send((number, bytes));
        });
    }
    drop(sender);
    let mut texts = [Vec::new(), Vec::new()];
    for _ in 0..2 {
        match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((number, bytes)) if bytes.len() as u64 <= MOST_BYTES => {
                if let Some(text) = texts.get_mut(number) {
                    *text = bytes;
                }
            }
            Ok(_) => {
                stop(&mut child);
                return Err(Reason::Long);
            }
            Err(_) => {
                stop(&mut child);
                return Err(Reason::Late(String::from_utf8_lossy(&texts[1]).into_owned()));
            }
        }
    }
    let [stdout, stderr] = texts;
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    // Both streams are closed: what is left is the exit, which a script that closed them early may still put off.
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
            Ok(None) => {
                stop(&mut child);
                return Err(Reason::Late(stderr));
            }
            Err(error) => return Err(Reason::Start(error)),
        }
    };
    if status.success() { Ok(Answer { stdout, stderr }) } else { Err(Reason::Failed(status, stderr)) }
}

fn stop(child: &mut std::process::Child) {
    // It may have ended by itself meanwhile.
    let _ = child.kill();
    let _ = child.wait();
}
