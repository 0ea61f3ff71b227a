//! Writing down what takes a change back, before the change: the undo's arguments and keywords worked out, and the values of
//! what its conditions rest on.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ledger::Armed;
use crate::base::{Map, Node, Scope as _, Value, Var, to_text};
use crate::event::{EventKind, UndoTask};
use crate::modules::Failure;
use crate::plan::{Condition, Task};
use crate::run::arguments::is_expression;
use crate::run::attempt::HostTask;
use crate::run::render::{Room, Trouble};
use crate::run::task::place;

/// What stands in a value's place that must not be written down: what the masker leaves too.
pub(super) const STARS: &str = "********";

/// Variables that are looked up when they are used: they are too much to be written down, and are there after a crash, too.
const LIVE: &[&str] = &["ansible_facts", "groups", "hostvars", "vars"];

impl HostTask {
    /// Writes down what takes the change back that is about to be made; once for a host and loop item. In a preview it is
    /// only tried whether that could be done. Gives whether something was written down.
    ///
    /// # Errors
    /// It can't be worked out, so the change must not be made.
    pub(in crate::run) async fn arm(&self, room: &Room, before: impl FnOnce() -> Map) -> Result<bool, Failure> {
        let ledger = &self.run.ledger;
        if self.task.undo.is_empty() || ledger.knows(&self.key, &self.host.name, self.item) {
            return Ok(false);
        }
        let before = before();
        let room = room.with(|scope| {
            scope.locals.insert("undo_before".to_owned(), Var::data(Value::Object(before)));
        });
        let mut freezer = Freezer { room: room.clone(), registered: BTreeSet::new(), variables: Map::new() };
        if let Some(repeat) = &self.task.repeat
            && let Some(Var::Data(item)) = room.scope.variable(&repeat.variable)
        {
            freezer.variables.insert(repeat.variable.clone(), (*item).clone());
        }
        let mut tasks = Vec::new();
        for undo in &self.task.undo {
            match freezer.task(undo).await {
                Ok(task) => tasks.push(task),
                // What is not known before the run will be when it is needed.
                Err(Trouble::Unknown(_)) if self.check => return Ok(false),
                Err(Trouble::Unknown(why)) => return Err(cannot(undo, &why)),
                Err(Trouble::Failed(failure)) => return Err(cannot(undo, &failure.message)),
            }
        }
        if self.check {
            return Ok(false);
        }
        let name = match &self.task.name {
            Some(name) => room.text(name).await.unwrap_or_else(|_| to_text(&name.to_value())),
            None => self.task.module.name.to_owned(),
        };
        let shared = room.flag(self.task.keywords.get("run_once"), false).await.unwrap_or(false);
        let armed = Armed {
            entry: 0,
            key: self.key.clone(),
            host: self.host.name.clone(),
            item: self.item,
            name,
            place: place(&self.run.sources.place(self.task.span)),
            shared,
            variables: freezer.variables,
            tasks,
        };
        ledger.arm(armed, room, |armed| self.run.bus.emit(said(armed, self.no_log)));
        Ok(true)
    }
}

fn cannot(undo: &Task, why: &str) -> Failure {
    let what = "nothing was done: what would take it back can't be worked out";
    Failure::new(format!("{what}: `undo` with `{}`: {why}", undo.module.name))
}

/// What the journal and the screen get to see: under `no_log` names only.
fn said(armed: &Armed, no_log: bool) -> EventKind {
    let mut armed = armed.clone();
    let hides = |task: &UndoTask| no_log || is_hidden(task);
    if armed.tasks.iter().any(hides) {
        blank(&mut armed.variables);
    }
    for task in armed.tasks.iter_mut().filter(|task| hides(task)) {
        blank(&mut task.arguments);
        blank(&mut task.written);
        for name in ["environment", "vars"] {
            if let Some(value) = task.keywords.get_mut(name) {
                *value = Value::from(STARS);
            }
        }
        if no_log {
            task.keywords.insert("no_log".to_owned(), Value::from(true));
        }
    }
    armed.event()
}

/// Whether a frozen task must not be shown.
pub(super) fn is_hidden(task: &UndoTask) -> bool {
    task.keywords.get("no_log").is_some_and(|value| crate::modules::to_bool(value) != Some(false))
}

fn blank(map: &mut Map) {
    map.values_mut().for_each(|value| *value = Value::from(STARS));
}

struct Freezer {
    room: Room,
    /// What the tasks so far register.
    registered: BTreeSet<String>,
    variables: Map,
}

impl Freezer {
    async fn task(&mut self, undo: &Arc<Task>) -> Result<UndoTask, Trouble> {
        let room = self.room.with(|scope| scope.layers.clone_from(&undo.keywords.vars));
        let mut vars = Map::new();
        let (mut arguments, mut written) = (Map::new(), Map::new());
        for (key, value) in undo.arguments.as_map().unwrap_or_default() {
            let name = room.text(key).await?;
            let names = self.names(undo, &name, value);
            if is_expression(undo.module, &name) || self.rests_on_later(&room, &names) {
                self.keep(&room, &names, &mut vars).await;
                written.insert(name, value.to_value());
            } else if let Some(value) = room.argument(undo.module, &name, value).await? {
                arguments.insert(name, value);
            }
        }
        let mut keywords = self.keywords(&room, undo).await?;
        let conditions = [
            ("when", Some(&undo.keywords.when)),
            ("until", Some(&undo.until)),
            ("changed_when", undo.changed_when.as_ref()),
            ("failed_when", undo.failed_when.as_ref()),
        ];
        for (name, list) in conditions {
            let Some(list) = list.filter(|list| name == "changed_when" || name == "failed_when" || !list.is_empty())
            else {
                continue;
            };
            keywords.insert(name.to_owned(), list.iter().map(text_of).collect());
            for condition in list {
                if let Condition::Expression(expression) = condition {
                    let names: BTreeSet<String> = expression.names().into_iter().collect();
                    // Its own result is judged by some of them.
                    let own = |name: &String| undo.register.as_ref() == Some(name);
                    let names = names.into_iter().filter(|name| !own(name)).collect();
                    self.keep(&room, &names, &mut vars).await;
                }
            }
        }
        if !vars.is_empty() {
            keywords.insert("vars".to_owned(), Value::Object(vars));
        }
        self.registered.extend(undo.register.clone());
        let name = match &undo.name {
            Some(name) => room.text(name).await?,
            None => undo.module.name.to_owned(),
        };
        Ok(UndoTask {
            task: undo.id,
            name,
            module: undo.module.name.to_owned(),
            arguments,
            written,
            keywords,
            directory: std::path::absolute(&undo.directory)
                .unwrap_or_else(|_| undo.directory.clone())
                .display()
                .to_string(),
        })
    }

    async fn keywords(&self, room: &Room, undo: &Task) -> Result<Map, Trouble> {
        let mut keywords = Map::new();
        for (name, node) in &undo.keywords.single {
            let value = room.render(node).await?;
            if !value.is_null() {
                keywords.insert((*name).to_owned(), value);
            }
        }
        for (name, node) in [("retries", &undo.retries), ("delay", &undo.delay)] {
            if let Some(node) = node {
                keywords.insert(name.to_owned(), room.render(node).await?);
            }
        }
        let mut environments = Vec::new();
        for node in &undo.keywords.environment {
            environments.push(room.render(node).await?);
        }
        if !environments.is_empty() {
            keywords.insert("environment".to_owned(), Value::Array(environments));
        }
        if let Some(name) = &undo.register {
            keywords.insert("register".to_owned(), Value::from(name.as_str()));
        }
        Ok(keywords)
    }

    /// The variables that an argument uses.
    fn names(&self, undo: &Task, name: &str, value: &Node) -> BTreeSet<String> {
        let engine = &self.room.run.engine;
        if !is_expression(undo.module, name) {
            return engine.names(value).into_iter().collect();
        }
        let texts = match value.as_seq() {
            Some(items) => items.iter().filter_map(Node::as_str).collect(),
            None => value.as_str().into_iter().collect::<Vec<_>>(),
        };
        texts
            .into_iter()
            .filter_map(|text| engine.expression(text, value.span).ok())
            .flat_map(|expression| expression.names())
            .collect()
    }

    /// Whether one of them is, or is made of, what an earlier task of the list registers.
    fn rests_on_later(&self, room: &Room, names: &BTreeSet<String>) -> bool {
        let mut seen = BTreeSet::new();
        let mut open: Vec<String> = names.iter().cloned().collect();
        while let Some(name) = open.pop() {
            if self.registered.contains(&name) {
                return true;
            }
            if seen.insert(name.clone())
                && let Some(Var::Written(node)) = room.scope.variable(&name)
            {
                open.extend(room.run.engine.names(&node));
            }
        }
        false
    }

    /// Keeps the values of variables; those that can't be known yet as they are written.
    async fn keep(&mut self, room: &Room, names: &BTreeSet<String>, vars: &mut Map) {
        let mut open: Vec<String> = names.iter().cloned().collect();
        while let Some(name) = open.pop() {
            let known = self.variables.contains_key(&name) || vars.contains_key(&name);
            if known || self.registered.contains(&name) || LIVE.contains(&name.as_str()) {
                continue;
            }
            let single = BTreeSet::from([name.clone()]);
            match room.scope.variable(&name) {
                Some(Var::Data(value)) => {
                    self.variables.insert(name, (*value).clone());
                }
                Some(Var::Written(node)) => {
                    let rendered =
                        if self.rests_on_later(room, &single) { None } else { room.render(&node).await.ok() };
                    match rendered {
                        Some(value) => {
                            self.variables.insert(name, value);
                        }
                        None => {
                            open.extend(room.run.engine.names(&node));
                            vars.insert(name, node.to_value());
                        }
                    }
                }
                Some(Var::Members(_) | Var::Unknown(_)) | None => {}
            }
        }
    }
}

fn text_of(condition: &Condition) -> Value {
    match condition {
        Condition::Expression(expression) => Value::from(expression.text()),
        Condition::Constant(constant) => Value::Bool(*constant),
    }
}
