//! Taking one entry back: its tasks one after another as they were written down, and then a look whether it is as before.

use std::sync::Arc;

use indexmap::IndexMap;

use super::freeze::is_hidden;
use super::ledger::{Armed, Entry};
use super::restored::Origin;
use crate::base::{Map, Node, NodeKind, Span, Value, Var, to_text};
use crate::event::{EventKind, Status, TaskKey, UndoTask};
use crate::modules::{Bound, Effect};
use crate::plan::Frozen;
use crate::run::Run;
use crate::run::attempt::HostTask;
use crate::run::bind::Ready;
use crate::run::guard::Standing;
use crate::run::host::Host;
use crate::run::outcome::{HostResult, mark};
use crate::run::render::{Room, Trouble};

/// Last lines of what a command said that are told.
const TAIL: usize = 5;

impl Run {
    /// Takes an entry back, and tells how that went. A setting that stays changed is the host's failure.
    pub(super) async fn take_back(self: &Arc<Self>, entry: &Entry, origin: Option<&Origin>) {
        let Armed { entry: number, host, name, .. } = entry.armed.clone();
        self.bus.emit(EventKind::UndoStarted { entry: number, host: host.clone(), name: name.clone() });
        let outcome = self.try_back(entry, origin).await;
        self.ledger.ended(number, &outcome);
        let message = outcome.err();
        if message.is_some() {
            self.hosts.get(&host).left_changed();
        }
        let (done, message) = (message.is_none(), message.unwrap_or_default());
        self.bus.emit(EventKind::UndoFinished { entry: number, host, name, done, message });
    }

    async fn try_back(self: &Arc<Self>, entry: &Entry, origin: Option<&Origin>) -> Result<(), String> {
        let armed = &entry.armed;
        let host = self.hosts.get(&armed.host);
        if host.standing() == Standing::Unreachable {
            // What is left of its connections is of no use; a new one is tried.
            self.disconnect(&host).await;
        }
        let base = match (&entry.room, origin) {
            (Some(room), _) => room.clone(),
            (None, Some(origin)) => origin.room.clone(),
            (None, None) => Room::new(self, &host, None),
        };
        let mut registered: IndexMap<String, Var> = IndexMap::new();
        let mut done = Vec::new();
        for (at, frozen) in armed.tasks.iter().enumerate() {
            let frozen = match origin {
                Some(origin) => origin.revived(frozen, at).await?,
                None => frozen.clone(),
            };
            let hidden = is_hidden(&frozen);
            let task = self.thawed(&frozen, armed, &host, &base, &registered)?;
            let result = task.on_its_own().await;
            let failed = |what: &str| {
                let why = if hidden { "what it said is hidden by `no_log`".to_owned() } else { told(&result) };
                Err(format!("{}{what}: {why}", quoted(&frozen)))
            };
            match result.status {
                Status::Ok | Status::Changed => done.push(task),
                Status::Skipped | Status::Ignored => {}
                Status::Unreachable => return failed(" could not be done"),
                Status::Unknown => return failed(" was cut off, and nobody knows whether it was done"),
                Status::Failed | Status::Bug | Status::Unpredictable => return failed(" failed"),
            }
            if let Some(name) = task_register(&frozen) {
                registered.insert(name, Var::data(Value::Object(result.result.clone())));
            }
            for effect in &result.effects {
                if let Effect::Facts { facts, .. } = effect {
                    registered.extend(facts.iter().map(|(name, value)| (name.clone(), Var::data(value.clone()))));
                }
            }
        }
        for task in done {
            task.read_back().await?;
        }
        Ok(())
    }

    fn thawed(
        self: &Arc<Self>,
        frozen: &UndoTask,
        armed: &Armed,
        host: &Arc<Host>,
        base: &Room,
        registered: &IndexMap<String, Var>,
    ) -> Result<HostTask, String> {
        let key = |name: &String| Node::from_value(&Value::from(name.as_str()), Span::NONE);
        let data = |(name, value): (&String, &Value)| (key(name), Node::from_value(value, Span::NONE));
        let written = |(name, value): (&String, &Value)| (key(name), Node::from_written(value, Span::NONE));
        let arguments = frozen.arguments.iter().map(data).chain(frozen.written.iter().map(written)).collect();
        let task = Frozen {
            id: frozen.task,
            name: &frozen.name,
            module: &frozen.module,
            arguments: Node { kind: NodeKind::Map(arguments), span: Span::NONE },
            keywords: &frozen.keywords,
            directory: &frozen.directory,
        };
        let task = Arc::new(task.thaw(&self.engine)?);
        let room = base.with(|scope| {
            scope.layers.clone_from(&task.keywords.vars);
            let variables = armed.variables.iter().map(|(name, value)| (name.clone(), Var::data(value.clone())));
            scope.locals.extend(variables);
            scope.locals.extend(registered.clone());
        });
        Ok(HostTask {
            run: Arc::clone(self),
            room,
            // One key for each entry: the same task takes back what it changed in several passes and items.
            key: TaskKey { task: task.id, pass: armed.entry, ..armed.key.clone() },
            task,
            host: Arc::clone(host),
            target: Arc::clone(host),
            check: false,
            diff: false,
            no_log: false,
            timeout: self.options.task_timeout,
            item: armed.item,
            quiet: false,
            glance: false,
            undoing: true,
            detach: None,
        })
    }
}

impl Host {
    /// A setting of it stays changed, so it must not count as done.
    fn left_changed(&self) {
        let mut state = self.state();
        if !state.standing.is_out() {
            state.standing = Standing::Failed;
            state.tally.failed += 1;
        }
    }
}

impl HostTask {
    /// Runs it, outside any play's sequence.
    async fn on_its_own(&self) -> HostResult {
        let mut task = self.clone();
        let room = self.room.clone();
        let mut result = match task.settle(&room).await {
            Ok(()) => task.run().await,
            Err(trouble) => HostResult::trouble(trouble),
        };
        mark(&mut result);
        for (status, keyword) in [(Status::Failed, "ignore_errors"), (Status::Unreachable, "ignore_unreachable")] {
            let ignored = room.flag(self.task.keywords.get(keyword), false).await.unwrap_or(false);
            if result.status == status && ignored {
                result.status = Status::Ignored;
            }
        }
        result
    }

    /// Looks whether what it wanted is so.
    ///
    /// # Errors
    /// It is not, or that can't be seen.
    async fn read_back(&self) -> Result<(), String> {
        let cannot = |why: &str| format!("it can't be read back whether {} was done: {why}", self.task.module.name);
        let mut task = self.clone();
        let said = |trouble: Trouble| match trouble {
            Trouble::Failed(failure) => failure.message,
            Trouble::Unknown(why) => why,
        };
        task.settle(&self.room).await.map_err(|trouble| cannot(&said(trouble)))?;
        let ready = task.bind(&self.room).await.map_err(|trouble| cannot(&said(trouble)))?;
        let Ready::Bound { bound: Bound::State(state), way, environment, .. } = ready else { return Ok(()) };
        if !state.looks() {
            return Ok(());
        }
        let steps = task.missing(state.as_ref(), &way, &environment).await.map_err(|why| cannot(&why))?;
        let steps = steps.map_err(|failure| cannot(&failure.message))?;
        // A restart and the like are wanted anew each time; a command's effect can't be seen.
        let left: Vec<&str> =
            steps.iter().filter(|step| !step.opaque && !step.once).map(|step| step.summary.as_str()).collect();
        match left.as_slice() {
            [] => Ok(()),
            _ if task.no_log => Err("read back, it is not as it was before (`no_log` hides how)".to_owned()),
            left => Err(format!("read back, it is not as it was before: it would still {}", left.join(", "))),
        }
    }
}

fn task_register(frozen: &UndoTask) -> Option<String> {
    frozen.keywords.get("register").map(to_text)
}

/// The task's name in a sentence.
fn quoted(frozen: &UndoTask) -> String {
    format!("`{}`", frozen.name)
}

/// Why a task failed, with the end of what it said.
fn told(result: &HostResult) -> String {
    let mut text = if result.message.is_empty() {
        result.result.get("msg").map(to_text).unwrap_or_default()
    } else {
        result.message.clone()
    };
    if let Some(status) = result.result.get("rc").filter(|_| text.is_empty()) {
        text = format!("ended with status {}", to_text(status));
    }
    let said = |result: &Map, name: &str| result.get(name).map(to_text).unwrap_or_default().trim().to_owned();
    let streams = [said(&result.result, "stderr"), said(&result.result, "stdout")];
    if let Some(stream) = streams.iter().find(|stream| !stream.is_empty() && !text.contains(stream.as_str())) {
        let lines: Vec<&str> = stream.lines().collect();
        text.push_str(": ");
        text.push_str(&lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("; "));
    }
    text
}
