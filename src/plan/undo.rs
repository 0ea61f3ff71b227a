//! `undo:`: the tasks that take back what a task changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;

use super::compile::Compiler;
use super::{Condition, Keywords, Task};
use crate::base::{Map, Node, NodeKind, Span, TaskId, Value, to_text};
use crate::diag::Diagnostic;
use crate::modules;
use crate::playbook;
use crate::template::Engine;

/// Keywords that hold for the undo of a task as for the task. Its conditions and tags chose the task already; whether
/// failures are ignored is the undo's own to say: a setting that is left behind must not be by an inherited word.
const INHERITED: &[&str] = &[
    "become",
    "become_exe",
    "become_flags",
    "become_method",
    "become_user",
    "connection",
    "delegate_to",
    "diff",
    "no_log",
    "port",
    "remote_user",
    "timeout",
];

/// Keywords that only the undo's own task says.
const OWN: &[&str] = &["ignore_errors", "ignore_unreachable"];

impl Compiler<'_> {
    /// Compiles what takes a task back.
    pub(super) fn undo(&mut self, written: &playbook::Task, task: &Task) -> Vec<Arc<Task>> {
        let Some(span) = written.keywords.span("undo") else { return self.own_undo(written, task) };
        // What `fetch` leaves here can be taken back.
        if modules::only_looks(task.module.name) && task.module.name != "fetch" {
            let message = format!("`{}` changes nothing on a host, so it has nothing to undo", task.module.name);
            self.wrong
                .push(Diagnostic::error(message, span).help("write `undo` beside the task that makes the change"));
        }
        let mut outer =
            Keywords { when: Vec::new(), tags: BTreeSet::new(), notify: Vec::new(), ..(*task.keywords).clone() };
        outer.single.retain(|name, _| INHERITED.contains(name));
        let mut tasks = Vec::new();
        for undo in &written.undo {
            if matches!(undo.module.rsplit('.').next(), Some("meta" | "add_host" | "group_by" | "include_vars")) {
                let message = format!("`{}` can't stand under `undo`: it changes the run, not the host", undo.module);
                self.wrong.push(Diagnostic::error(message, undo.module_span));
                continue;
            }
            self.aside += 1;
            tasks.extend(self.task(undo, &outer, false, false).map(Arc::new));
        }
        tasks
    }
}

impl Compiler<'_> {
    /// What takes a change back that is always for a time: the module itself, told what it saw before. Nobody has to write it, so
    /// nobody can forget it.
    fn own_undo(&mut self, written: &playbook::Task, task: &Task) -> Vec<Arc<Task>> {
        let Some(own) = modules::TAKEN_BACK.iter().find(|own| own.module == task.module.name) else {
            return Vec::new();
        };
        let given = task.arguments.as_map().unwrap_or_default();
        let is = |key: &Node, name: &str| key.as_str() == Some(name);
        // Written as a template it may be anything, and is looked at when the task is done.
        let value = given.iter().find(|(key, _)| is(key, own.option)).map(|(_, value)| to_text(&value.to_value()));
        if value.is_some_and(|value| value != own.change && !value.contains("{{")) {
            return Vec::new();
        }
        let text = |text: &str| Node::string(text, written.module_span);
        let mut arguments: Vec<(Node, Node)> =
            given.iter().filter(|(key, _)| !is(key, own.option) && !is(key, own.original)).cloned().collect();
        arguments.push((text(own.option), text(own.back)));
        arguments.push((text(own.original), text("{{ undo_before }}")));
        let back = playbook::Task {
            span: written.span,
            module: written.module.clone(),
            module_span: written.module_span,
            arguments: Node { kind: NodeKind::Map(arguments), span: written.module_span },
            more: None,
            keywords: playbook::Keywords::default(),
            undo: Vec::new(),
            directory: written.directory.clone(),
        };
        let mut outer =
            Keywords { when: Vec::new(), tags: BTreeSet::new(), notify: Vec::new(), ..(*task.keywords).clone() };
        outer.single.retain(|name, _| INHERITED.contains(name));
        self.aside += 1;
        self.task(&back, &outer, false, false).map(Arc::new).into_iter().collect()
    }
}

/// A task as it was written down before a change: nothing in it is a template but what is said to be.
pub(crate) struct Frozen<'a> {
    /// Its id in the plan.
    pub(crate) id: TaskId,
    /// Its name.
    pub(crate) name: &'a str,
    /// Its module's name.
    pub(crate) module: &'a str,
    /// Its arguments; those that are data are raw.
    pub(crate) arguments: Node,
    /// Its keywords: data, but for conditions and `vars`, which are as written.
    pub(crate) keywords: &'a Map,
    /// The folder in which its files are looked for.
    pub(crate) directory: &'a str,
}

impl Frozen<'_> {
    /// The task.
    ///
    /// # Errors
    /// This program knows no such module, or a condition is not one.
    pub(crate) fn thaw(self, engine: &Engine) -> Result<Task, String> {
        let module =
            modules::find(self.module).ok_or_else(|| format!("this stagger has no module `{}`", self.module))?;
        let node = |value: &Value| Arc::new(Node::from_value(value, Span::NONE));
        let get = |name: &str| self.keywords.get(name);
        let conditions = |name: &str| -> Result<Option<Vec<Condition>>, String> {
            let Some(list) = get(name).and_then(Value::as_array) else { return Ok(None) };
            let one = |value: &Value| match value {
                Value::Bool(constant) => Ok(Condition::Constant(*constant)),
                other => match engine.expression(&to_text(other), Span::NONE) {
                    Ok(expression) => Ok(Condition::Expression(expression)),
                    Err(wrong) => Err(format!("`{name}`: {}", wrong.message)),
                },
            };
            list.iter().map(one).collect::<Result<Vec<_>, _>>().map(Some)
        };
        let vars: IndexMap<String, Arc<Node>> = get("vars")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), Arc::new(Node::from_written(value, Span::NONE))))
            .collect();
        let single = INHERITED.iter().chain(OWN).filter_map(|name| Some((*name, node(get(name)?))));
        let environment = get("environment").and_then(Value::as_array).into_iter().flatten();
        let keywords = Keywords {
            when: conditions("when")?.unwrap_or_default(),
            vars: if vars.is_empty() { Vec::new() } else { vec![Arc::new(vars)] },
            environment: environment.map(node).collect(),
            single: single.collect(),
            ..Keywords::default()
        };
        Ok(Task {
            id: self.id,
            name: Some(node(&Value::from(self.name))),
            span: Span::NONE,
            module,
            register: get("register").map(to_text),
            repeat: None,
            until: conditions("until")?.unwrap_or_default(),
            retries: get("retries").map(node),
            delay: get("delay").map(node),
            changed_when: conditions("changed_when")?,
            failed_when: conditions("failed_when")?,
            listen: Vec::new(),
            directory: self.directory.into(),
            keywords: Arc::new(keywords),
            arguments: Arc::new(self.arguments),
            handler: false,
            undo: Vec::new(),
            detach: None,
        })
    }
}
