//! Task lists: tasks, blocks, includes and static imports.

use std::path::{Path, PathBuf};

use super::keywords::{Found, Level, find, unknown};
use super::load::Loader;
use super::{Block, Entry, Include, Keywords, Task};
use crate::base::{Node, NodeKind, Span};
use crate::diag::Diagnostic;

/// How deep blocks and imports may nest.
const DEEPEST: usize = 64;

impl Loader<'_> {
    /// Reads a task list.
    pub(super) fn entries(&mut self, list: &Node, handlers: bool, directory: &Path, depth: usize) -> Vec<Entry> {
        if matches!(list.kind, NodeKind::Null) {
            return Vec::new();
        }
        let Some(items) = list.as_seq() else {
            let message = format!("tasks are a list, not {}", list.type_name());
            self.wrong.push(Diagnostic::error(message, list.span).help("begin each task with `- `"));
            return Vec::new();
        };
        if depth > DEEPEST {
            self.wrong.push(Diagnostic::error("blocks and imports are nested too deeply", list.span));
            return Vec::new();
        }
        items.iter().filter_map(|item| self.entry(item, handlers, directory, depth)).collect()
    }

    fn entry(&mut self, item: &Node, handlers: bool, directory: &Path, depth: usize) -> Option<Entry> {
        let Some(map) = item.as_map() else {
            let message = format!("a task is a mapping, not {}", item.type_name());
            self.wrong.push(Diagnostic::error(message, item.span));
            return None;
        };
        let has = |name: &str| item.get(name).is_some();
        if has("block") {
            return self.block(item, map, handlers, directory, depth);
        }
        for orphan in ["rescue", "always"] {
            if let Some((key, _)) = map.iter().find(|(key, _)| key.as_str() == Some(orphan)) {
                self.wrong.push(Diagnostic::error(format!("`{orphan}` needs a `block` beside it"), key.span));
                return None;
            }
        }
        let include = |name: &str| {
            let full = format!("ansible.builtin.{name}");
            map.iter().find(|(key, _)| matches!(key.as_str(), Some(k) if k == name || k == full))
        };
        if let Some((key, file)) = include("import_tasks") {
            return self.import(map, key.span, file, handlers, directory, depth);
        }
        if let Some((key, file)) = include("include_tasks") {
            return self.include(item, map, key, file, directory);
        }
        if let Some((key, value)) = include("import_role") {
            return self.import_role(map, key, value);
        }
        if let Some((key, value)) = include("include_role") {
            return self.include_role(item, map, key, value, directory);
        }
        let level = if handlers { Level::Handler } else { Level::Task };
        self.call(item, map, level, directory).map(|task| Entry::Task(Box::new(task)))
    }

    fn block(
        &mut self,
        item: &Node,
        map: &[(Node, Node)],
        handlers: bool,
        directory: &Path,
        depth: usize,
    ) -> Option<Entry> {
        if handlers {
            let message = "a block can't be a handler: each handler has a name of its own";
            self.wrong.push(Diagnostic::error(message, item.span));
            return None;
        }
        let mut keywords = Keywords::default();
        for (key, value) in map {
            let name = key.as_str().unwrap_or_default();
            if !matches!(name, "block" | "rescue" | "always") {
                self.keyword(&mut keywords, key, value, Level::Block);
            }
        }
        let mut section =
            |name: &str| item.get(name).map(|list| self.entries(list, false, directory, depth + 1)).unwrap_or_default();
        let (block, rescue, always) = (section("block"), section("rescue"), section("always"));
        Some(Entry::Block(Box::new(Block { keywords, block, rescue, always })))
    }

    fn import(
        &mut self,
        map: &[(Node, Node)],
        key: Span,
        file: &Node,
        handlers: bool,
        directory: &Path,
        depth: usize,
    ) -> Option<Entry> {
        let mut keywords = Keywords::default();
        for (key, value) in map {
            if !matches!(key.as_str(), Some("import_tasks" | "ansible.builtin.import_tasks")) {
                self.keyword(&mut keywords, key, value, Level::Include);
            }
        }
        if let Some(span) = keywords.looped() {
            self.wrong.push(Diagnostic::error("`import_tasks` can't have a `loop`", span).help("use `include_tasks`"));
        }
        let file = file.get("file").unwrap_or(file);
        let Some(name) = file.as_str() else {
            self.wrong.push(Diagnostic::error("`import_tasks` needs the name of a file", key));
            return None;
        };
        if name.contains("{{") {
            let message = "the file of a static import can't be a template: it is read before there are variables";
            self.wrong.push(Diagnostic::error(message, file.span).help("use `include_tasks`"));
            return None;
        }
        let path = self.beside(directory, name);
        let (list, inner) = self.file(&path, file.span)?;
        let block = self.entries(&list, handlers, &inner, depth + 1);
        self.open.pop();
        Some(Entry::Block(Box::new(Block { keywords, block, rescue: Vec::new(), always: Vec::new() })))
    }

    fn include(
        &mut self,
        item: &Node,
        map: &[(Node, Node)],
        key: &Node,
        value: &Node,
        directory: &Path,
    ) -> Option<Entry> {
        let mut keywords = Keywords::default();
        let mut apply = Keywords::default();
        for (inner, value) in map {
            if inner.span != key.span {
                self.keyword(&mut keywords, inner, value, Level::Include);
            }
        }
        let mut file = Some(value.clone());
        let options: Vec<&Node> = [Some(value), keywords.get("args")].into_iter().flatten().collect();
        if value.as_map().is_some() {
            file = None;
        }
        for (option, value) in options.iter().filter_map(|node| node.as_map()).flatten() {
            match option.as_str() {
                Some("file" | "_raw_params") => file = Some(value.clone()),
                Some("apply") => {
                    for (key, value) in value.as_map().unwrap_or_default() {
                        self.keyword(&mut apply, key, value, Level::Block);
                    }
                }
                _ => self.wrong.push(Diagnostic::error("`include_tasks` takes `file` and `apply`", option.span)),
            }
        }
        let file = file.filter(|file| file.as_str().is_some());
        let Some(file) = file else {
            self.wrong.push(Diagnostic::error("`include_tasks` needs the name of a file", key.span));
            return None;
        };
        // A file whose name is known is read now too, so that its mistakes are seen before any connection.
        if let Some(name) = file.as_str().filter(|name| !name.contains("{{") && !name.contains("{%")) {
            let path = self.beside(directory, name);
            if !self.open.contains(&path) {
                let (list, inner) = self.file(&path, file.span)?;
                let entries = self.entries(&list, false, &inner, self.open.len());
                self.checked.push(entries);
                self.open.pop();
            }
        }
        Some(Entry::Include(Box::new(Include {
            span: item.span,
            file,
            role: None,
            apply,
            keywords,
            directory: directory.to_owned(),
        })))
    }

    /// A module call with its keywords.
    pub(super) fn call(&mut self, item: &Node, map: &[(Node, Node)], level: Level, directory: &Path) -> Option<Task> {
        let mut keywords = Keywords::default();
        let mut calls: Vec<(&Node, &Node)> = Vec::new();
        for (key, value) in map {
            let Some(name) = key.as_str() else {
                self.wrong.push(Diagnostic::error("a key must be a word", key.span));
                continue;
            };
            match find(name, key.span, level) {
                Found::Keyword(name) => keywords.push(name, key.span, value.clone()),
                Found::Wrong(diagnostic) => self.wrong.push(diagnostic),
                Found::Other => calls.push((key, value)),
            }
        }
        let undo = self.undo(&keywords, directory);
        if let Some(call) = self.action(item, &keywords, &undo, directory) {
            if let Some((key, _)) = calls.first() {
                let message = "a task calls one module, and this one has both `action` and a module";
                self.wrong.push(Diagnostic::error(message, key.span));
            }
            return call;
        }
        let known: Vec<_> =
            calls.iter().filter(|(key, _)| key.as_str().is_some_and(|name| (self.ground.is_module)(name))).collect();
        let (key, value) = match (known.as_slice(), calls.as_slice()) {
            ([one], _) => **one,
            ([], [one]) => *one,
            ([], []) => {
                let message = "this task calls no module";
                self.wrong
                    .push(Diagnostic::error(message, first_key(item)).help("add a line such as `command: uptime`"));
                return None;
            }
            ([first, second, ..], _) => {
                let message = format!(
                    "a task calls one module, and this one calls `{}` and `{}`",
                    first.0.as_str().unwrap_or_default(),
                    second.0.as_str().unwrap_or_default()
                );
                self.wrong.push(Diagnostic::error(message, second.0.span).also(first.0.span, "the first"));
                return None;
            }
            ([], [first, rest @ ..]) => {
                for (key, _) in std::iter::once(first).chain(rest) {
                    self.wrong.push(unknown(key.as_str().unwrap_or_default(), key.span, level));
                }
                return None;
            }
        };
        for (other, _) in calls.iter().filter(|(other, _)| other.span != key.span) {
            self.wrong.push(unknown(other.as_str().unwrap_or_default(), other.span, level));
        }
        let more = keywords.get("args").cloned();
        Some(Task {
            span: item.span,
            module: key.as_str().unwrap_or_default().to_owned(),
            module_span: key.span,
            arguments: value.clone(),
            more,
            keywords,
            undo,
            directory: directory.to_owned(),
        })
    }

    /// `action: module k=v`, `action: {module: m, …}`, `local_action: …`. `None` when the task has neither.
    #[expect(clippy::option_option, reason = "absent, wrong and right are three things")]
    fn action(&mut self, item: &Node, keywords: &Keywords, undo: &[Task], directory: &Path) -> Option<Option<Task>> {
        let local = keywords.get("local_action").is_some();
        let value = keywords.get("action").or_else(|| keywords.get("local_action"))?.clone();
        let (module, arguments) = match &value.kind {
            NodeKind::String { text, .. } => {
                let (module, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
                (module.to_owned(), Node::string(rest.trim(), value.span))
            }
            NodeKind::Map(entries) => {
                let Some(module) = value.get("module").and_then(Node::as_str) else {
                    self.wrong.push(Diagnostic::error("`action` needs `module`", value.span));
                    return Some(None);
                };
                let rest = entries.iter().filter(|(key, _)| key.as_str() != Some("module")).cloned().collect();
                (module.to_owned(), Node { kind: NodeKind::Map(rest), span: value.span })
            }
            _ => {
                self.wrong.push(Diagnostic::error("`action` needs a module", value.span));
                return Some(None);
            }
        };
        let mut keywords = keywords.clone();
        if local {
            let text = |text: &str| Node::string(text, value.span);
            keywords.push("delegate_to", value.span, text("localhost"));
            keywords.push("connection", value.span, text("local"));
        }
        let more = keywords.get("args").cloned();
        Some(Some(Task {
            span: item.span,
            module,
            module_span: value.span,
            arguments,
            more,
            keywords,
            undo: undo.to_vec(),
            directory: directory.to_owned(),
        }))
    }

    /// Takes a keyword of a block or include, or says what is wrong with it.
    pub(super) fn keyword(&mut self, keywords: &mut Keywords, key: &Node, value: &Node, level: Level) {
        let Some(name) = key.as_str() else {
            self.wrong.push(Diagnostic::error("a key must be a word", key.span));
            return;
        };
        match find(name, key.span, level) {
            Found::Keyword(name) => keywords.push(name, key.span, value.clone()),
            Found::Wrong(diagnostic) => self.wrong.push(diagnostic),
            Found::Other => self.wrong.push(unknown(name, key.span, level)),
        }
    }

    /// A path as written in a file of that folder.
    pub(super) fn beside(&self, directory: &Path, name: &str) -> PathBuf {
        let path = Path::new(name);
        if path.is_absolute() {
            return path.to_owned();
        }
        // Beside the file that names it; else beside the playbook, as Ansible looks.
        // In a role, below its `tasks` and in its folder too.
        let near = directory.join(path);
        let role = self.role_stack.last().map(|role| [role.join("tasks").join(path), role.join(path)]);
        let far = self.playbook_directory.join(path);
        let others = role.into_iter().flatten().chain([far]);
        if near.exists() { near } else { others.into_iter().find(|path| path.exists()).unwrap_or(near) }
    }
}

/// The first key of a task: the place to point at, since a mapping's own span runs on to the next token.
fn first_key(item: &Node) -> Span {
    item.as_map().and_then(|map| map.first()).map_or(item.span, |(key, _)| key.span)
}
