//! `loop:` with its `loop_control:`, and the names that tasks notify.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::compile::{Compiler, each_task};
use super::{Item, Loop, Task};
use crate::base::{Node, NodeKind};
use crate::diag::{Diagnostic, did_you_mean};
use crate::playbook;

impl Compiler<'_> {
    pub(super) fn repeat(&mut self, own: &playbook::Keywords) -> Option<Loop> {
        let control = own.get("loop_control");
        let mut written = own.iter().filter(|keyword| keyword.is_loop());
        let (first, second) = (written.next(), written.next());
        if let (Some(first), Some(second)) = (first, second) {
            let message = format!("a task has one loop, and this one has `{}` and `{}`", first.name, second.name);
            self.wrong.push(Diagnostic::error(message, second.span).also(first.span, "the first"));
        }
        let Some(playbook::Keyword { name, value: items, .. }) = first else {
            if let Some(span) = own.span("loop_control") {
                self.wrong.push(Diagnostic::error("`loop_control` needs a `loop`", span));
            }
            return None;
        };
        self.check(items);
        let with = name.starts_with("with_").then_some(*name);
        if with.is_none() && !matches!(items.kind, NodeKind::Seq(_) | NodeKind::String { .. }) {
            let message = format!("`loop` needs a list, not {}", items.type_name());
            self.wrong.push(Diagnostic::error(message, items.span));
        }
        let mut repeat = Loop {
            items: Arc::new(items.clone()),
            with,
            variable: "item".to_owned(),
            index: None,
            label: None,
            pause: None,
            extended: false,
        };
        for (key, value) in control.and_then(Node::as_map).unwrap_or_default() {
            self.check(value);
            let text = || value.as_str().map(str::to_owned);
            match key.as_str().unwrap_or_default() {
                "loop_var" => repeat.variable = text().unwrap_or(repeat.variable),
                "index_var" => repeat.index = text(),
                "label" => repeat.label = Some(Arc::new(value.clone())),
                "pause" => repeat.pause = Some(Arc::new(value.clone())),
                "extended" => repeat.extended = matches!(value.kind, NodeKind::Bool(true)),
                "extended_allitems" => {}
                other => {
                    let known = ["loop_var", "index_var", "label", "pause", "extended"];
                    let diagnostic = Diagnostic::error(format!("`loop_control` has no `{other}`"), key.span);
                    self.wrong.push(diagnostic.help(format!("keys: {}", known.join(", "))));
                }
            }
        }
        Some(repeat)
    }

    /// Names that are notified must be a handler's or a topic: Ansible finds out only after the change was made.
    pub(super) fn notified(&mut self, sections: &[Vec<Item>], handlers: &[Item]) {
        let mut known: BTreeSet<String> = BTreeSet::new();
        let mut open = false;
        each_task(handlers, &mut |task, include| {
            // Not what takes a handler back.
            if !task.handler {
                return;
            }
            open |= include;
            known.extend(task.listen.iter().flat_map(|topic| [topic.clone(), task.titled(topic.clone())]));
            match task.name.as_ref().and_then(|name| name.as_str()) {
                Some(name) if name.contains("{{") => open = true,
                Some(name) => {
                    known.extend([name.to_owned(), task.titled(name.to_owned())]);
                }
                None => {}
            }
        });
        for items in sections {
            // A role that is read when it is reached brings handlers of its own.
            each_task(items, &mut |task, _| open |= task.module.name == "include_role");
        }
        if open {
            return;
        }
        let mut wrong = Vec::new();
        let mut look = |task: &Task, _: bool| {
            for node in &task.keywords.notify {
                let Some(name) = node.as_str().filter(|name| !name.contains("{{") && !known.contains(*name)) else {
                    continue;
                };
                let diagnostic = Diagnostic::error(format!("no handler is called or listens to `{name}`"), node.span);
                let diagnostic = match did_you_mean(name, known.iter().map(String::as_str)) {
                    Some(meant) => diagnostic.label(format!("did you mean `{meant}`?")),
                    None => diagnostic,
                };
                if !wrong.contains(&diagnostic) {
                    wrong.push(diagnostic);
                }
            }
        };
        for items in sections.iter().map(Vec::as_slice).chain([handlers]) {
            each_task(items, &mut look);
        }
        self.wrong.extend(wrong);
    }
}
