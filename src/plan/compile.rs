//! From what was written to the plan.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;

use super::arguments::has_template;
use super::keywords::list;
use super::{Block, Include, Item, Keywords, Layer, Plan, Play, Task};
use crate::base::{Node, NodeKind, PlayId, Span, TaskId, parse_duration, to_text};
use crate::diag::{Diagnostic, did_you_mean};
use crate::modules::{self, Arguments, Bound, Controller, Failure, ModuleSpec};
use crate::playbook::{self, Entry, Playbook};
use crate::template::{Engine, Expression};

/// Which tasks are run, by tags.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// `--tags`; empty means all.
    pub(crate) tags: BTreeSet<String>,
    /// `--skip-tags`.
    pub(crate) skip: BTreeSet<String>,
}

impl Selection {
    /// Whether a task with these tags is run (facts/ansible.md §9.6, tags).
    pub(crate) fn takes(&self, tags: &BTreeSet<String>) -> bool {
        let has = |tag: &str| tags.contains(tag);
        let asked = |tag: &str| self.tags.contains(tag);
        let named = tags.iter().any(|tag| self.tags.contains(tag));
        let everything = self.tags.is_empty() || asked("all");
        let mut take = if has("never") {
            named
        } else {
            everything
                || named
                || has("always")
                || (asked("tagged") && !tags.is_empty())
                || (asked("untagged") && tags.is_empty())
        };
        if has("always") && !has("never") {
            take = true;
        }
        let skipped = tags.iter().any(|tag| self.skip.contains(tag))
            || (self.skip.contains("all") && !has("always"))
            || (self.skip.contains("tagged") && !tags.is_empty())
            || (self.skip.contains("untagged") && tags.is_empty());
        take && !skipped
    }
}

/// Makes a plan, and goes on after mistakes.
pub(crate) struct Compiler<'a> {
    pub(super) engine: &'a Engine,
    pub(super) wrong: Vec<Diagnostic>,
    selection: &'a Selection,
    next: u32,
    /// Tasks that are in no host's sequence: those under `undo:`.
    pub(super) aside: u32,
    /// What roles leave for the rest of their play.
    pub(super) roles: super::role::Roles,
}

/// The placeholder module of an include.
pub(crate) const INCLUDE: ModuleSpec = ModuleSpec {
    name: "include_tasks",
    aliases: &[],
    summary: "Runs the tasks of a file",
    options: &[],
    free_form: None,
    open: true,
    rules: &[],
    check: None,
    build: never_built,
};

/// The placeholder module of an included role.
pub(crate) const INCLUDE_ROLE: ModuleSpec =
    ModuleSpec { name: "include_role", summary: "Runs the tasks of a role", ..INCLUDE };

fn never_built(_: &Arguments, _: &dyn Controller) -> Result<Bound, Failure> {
    Err(Failure::new("an include is not a module"))
}

impl<'a> Compiler<'a> {
    /// A compiler whose task ids begin at `next`.
    pub(crate) fn new(engine: &'a Engine, selection: &'a Selection, next: u32) -> Self {
        Self { engine, wrong: Vec::new(), selection, next, aside: 0, roles: super::role::Roles::default() }
    }

    /// What was wrong so far, and the id after the last task's.
    pub(crate) fn finish(self) -> (Vec<Diagnostic>, u32) {
        // A role that is used twice is wrong twice.
        let mut wrong: Vec<Diagnostic> = Vec::new();
        for diagnostic in self.wrong {
            if !wrong.contains(&diagnostic) {
                wrong.push(diagnostic);
            }
        }
        (wrong, self.next)
    }

    /// Checks the templates in a node.
    pub(super) fn check(&mut self, node: &Node) {
        self.wrong.extend(self.engine.check(node));
    }

    fn task_id(&mut self) -> TaskId {
        self.next += 1;
        TaskId(self.next - 1)
    }

    /// Compiles all plays.
    pub(crate) fn plan(&mut self, playbook: &Playbook) -> Plan {
        let plays = playbook.plays.iter().enumerate().map(|(at, play)| Arc::new(self.play(at, play))).collect();
        Plan { plays }
    }

    fn play(&mut self, at: usize, play: &playbook::Play) -> Play {
        let mut outer = Keywords::default();
        let mut vars: IndexMap<String, Arc<Node>> = IndexMap::new();
        for imported in &play.imported_with {
            outer = self.inherit(&outer, imported, false);
            vars.extend(self.vars_of(imported).iter().map(|(k, v)| (k.clone(), Arc::clone(v))));
        }
        let keywords = Arc::new(self.inherit(&outer, &play.keywords, false));
        // What an import adds yields to the play's own variables.
        vars.extend(self.vars_of(&play.keywords).iter().map(|(k, v)| (k.clone(), Arc::clone(v))));
        let hosts = play.keywords.get("hosts").cloned().unwrap_or(Node { kind: NodeKind::Null, span: play.span });
        self.check(&hosts);
        let name = play.keywords.get("name").cloned().unwrap_or_else(|| name_of(&hosts));
        self.check(&name);
        let mut options = IndexMap::new();
        for name in [
            "serial",
            "order",
            "max_fail_percentage",
            "max_fail",
            "max_unavailable",
            "bake",
            "force_handlers",
            "any_errors_fatal",
            "approve",
            "gather_subset",
            "gather_timeout",
        ] {
            if let Some(value) = play.keywords.get(name) {
                self.check(value);
                self.play_option(name, value);
                options.insert(name, Arc::new(value.clone()));
            }
        }
        self.together(play);
        if let Some(strategy) = play.keywords.get("strategy") {
            let name = strategy.as_str().unwrap_or_default();
            if !matches!(name, "linear" | "ansible.builtin.linear") {
                let message = format!("the strategy `{name}` is not supported yet");
                self.wrong.push(
                    Diagnostic::error(message, strategy.span).help("leave the line out: `linear` is what there is"),
                );
            }
        }
        let vars_files = play.keywords.get("vars_files").map(|files| {
            self.check(files);
            list(files).map(|file| Arc::new(file.clone())).collect()
        });
        let (first, aside) = (self.next, self.aside);
        let pre_tasks = self.items(&play.pre_tasks, &keywords, false);
        let mut tasks: Vec<Item> = Vec::new();
        for role in &play.roles {
            tasks.extend(self.role(role, &keywords, None, false));
        }
        tasks.extend(self.items(&play.tasks, &keywords, false));
        let sections = [pre_tasks, tasks, self.items(&play.post_tasks, &keywords, false)];
        let task_count = self.next - first - (self.aside - aside);
        let own = self.items(&play.handlers, &keywords, true);
        let [mut handlers, asked_for] = self.role_handlers();
        handlers.extend(own);
        handlers.extend(asked_for);
        self.notified(&sections, &handlers);
        let gate =
            play.keywords.get("gate").map(|gate| self.gate(gate, &keywords, &play.directory)).unwrap_or_default();
        Play {
            id: PlayId(u32::try_from(at).unwrap_or(u32::MAX)),
            name: Arc::new(name),
            span: play.span,
            directory: play.directory.clone(),
            hosts: Arc::new(hosts),
            vars: Arc::new(vars),
            vars_files: vars_files.unwrap_or_default(),
            gather_facts: play.keywords.get("gather_facts").map(|node| Arc::new(node.clone())),
            keywords,
            options,
            order_by: self.play_expression(play, "order_by"),
            serial_by: self.play_expression(play, "serial_by"),
            gate,
            sections,
            handlers,
            exports: self.exports(),
            rollback: self.rollback(play),
            only: None,
            task_count,
        }
    }

    /// The playbook that is the way back.
    fn rollback(&mut self, play: &playbook::Play) -> Option<(PathBuf, Span)> {
        let node = play.keywords.get("rollback").filter(|node| !matches!(node.kind, NodeKind::Null))?;
        match node.as_str().filter(|name| !name.is_empty() && !has_template(node)) {
            Some(name) => Some((play.directory.join(name), node.span)),
            None => {
                let message = "`rollback` is the name of a playbook, without templates";
                self.wrong.push(Diagnostic::error(message, node.span));
                None
            }
        }
    }

    fn vars_of(&mut self, keywords: &playbook::Keywords) -> Layer {
        keywords.get("vars").and_then(|vars| self.layer(vars)).unwrap_or_default()
    }

    /// Checks the form of a play keyword whose value is written out.
    fn play_option(&mut self, name: &str, value: &Node) {
        if has_template(value) {
            return;
        }
        let wrong = match name {
            "serial" => {
                list(value).find_map(|node| super::Serial::parse(&node.to_value()).err().map(|e| (e, node.span)))
            }
            "max_fail" => super::parse_count(&value.to_value()).err().map(|reason| (reason, value.span)),
            "max_unavailable" => super::parse_window(&value.to_value()).err().map(|reason| (reason, value.span)),
            "bake" => {
                let text = to_text(&value.to_value());
                parse_duration(&text).err().map(|reason| (format!("`bake`: {reason}"), value.span))
            }
            "max_fail_percentage" => {
                let number = crate::base::to_text(&value.to_value()).trim_end_matches('%').parse::<f64>();
                number.is_err().then(|| ("`max_fail_percentage` is a number".to_owned(), value.span))
            }
            "order" => {
                let words = ["inventory", "reverse_inventory", "sorted", "reverse_sorted", "shuffle"];
                let text = value.as_str().unwrap_or_default();
                (!words.contains(&text) && !matches!(value.kind, NodeKind::Null))
                    .then(|| (format!("`order` is one of {}", words.join(", ")), value.span))
            }
            "approve" => {
                let right = matches!(value.as_str(), Some("none" | "first" | "each"));
                let wrong = || ("`approve` is one of none, first, each".to_owned(), value.span);
                (!right && !matches!(value.kind, NodeKind::Null)).then(wrong)
            }
            _ => None,
        };
        if let Some((reason, span)) = wrong {
            self.wrong.push(Diagnostic::error(reason, span));
        }
    }

    /// An expression, with or without braces around it.
    fn play_expression(&mut self, play: &playbook::Play, name: &str) -> Option<Expression> {
        let node = play.keywords.get(name)?;
        let Some(text) = node.as_str() else {
            let message = format!("`{name}` is an expression, not {}", node.type_name());
            self.wrong.push(Diagnostic::error(message, node.span).help("for example: \"{{ mesos.is_leader }}\""));
            return None;
        };
        let bare = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(text);
        match self.engine.expression(bare.trim(), node.span) {
            Ok(expression) => Some(expression),
            Err(diagnostic) => {
                self.wrong.push(diagnostic);
                None
            }
        }
    }

    /// Compiles a task list.
    pub(crate) fn items(&mut self, entries: &[Entry], outer: &Arc<Keywords>, handlers: bool) -> Vec<Item> {
        let mut items = Vec::new();
        for entry in entries {
            match entry {
                Entry::Role(role, own) => items.extend(self.role(role, outer, Some(own), handlers)),
                _ => items.extend(self.item(entry, outer, handlers)),
            }
        }
        items
    }

    fn item(&mut self, entry: &Entry, outer: &Arc<Keywords>, handlers: bool) -> Option<Item> {
        match entry {
            Entry::Task(task) => self.task(task, outer, handlers, true).map(|task| Item::Task(Arc::new(task))),
            Entry::Block(block) => {
                let keywords = Arc::new(self.inherit(outer, &block.keywords, true));
                let compiled = Block {
                    block: self.items(&block.block, &keywords, handlers),
                    rescue: self.items(&block.rescue, &keywords, handlers),
                    always: self.items(&block.always, &keywords, handlers),
                };
                let empty = compiled.block.is_empty() && compiled.rescue.is_empty() && compiled.always.is_empty();
                (!empty).then(|| Item::Block(Arc::new(compiled)))
            }
            Entry::Include(include) => self.include(include, outer, handlers),
            Entry::Role(..) => None,
        }
    }

    fn include(&mut self, include: &playbook::Include, outer: &Arc<Keywords>, handlers: bool) -> Option<Item> {
        // An include's own tags and conditions choose the include; only variables and `apply` reach its tasks.
        let own = Arc::new(self.inherit(outer, &include.keywords, true));
        self.check(&include.file);
        let mut inherited = (**outer).clone();
        inherited.parameters.extend(include.keywords.get("vars").and_then(|vars| self.layer(vars)));
        inherited = self.inherit(&inherited, &include.apply, true);
        for (_, file) in include.role.iter().flat_map(|role| &role.from) {
            self.check(file);
        }
        let module = if include.role.is_some() { &INCLUDE_ROLE } else { &INCLUDE };
        let mut task = self.with_keywords(&include.keywords, module, include.span, own, &include.directory, handlers);
        if include.role.is_some() && task.name.is_none() {
            let name = format!("include_role : {}", to_text(&include.file.to_value()));
            task.name = Some(Arc::new(Node::from_value(&crate::base::Value::from(name), include.file.span)));
        }
        if !self.selection.takes(&task.keywords.tags) {
            return None;
        }
        Some(Item::Include(Arc::new(Include {
            task: Arc::new(task),
            file: Arc::new(include.file.clone()),
            role: include.role.clone(),
            inherited: Arc::new(inherited),
            directory: include.directory.clone(),
        })))
    }

    pub(super) fn task(
        &mut self,
        task: &playbook::Task,
        outer: &Keywords,
        handler: bool,
        by_tags: bool,
    ) -> Option<Task> {
        let keywords = Arc::new(self.inherit(outer, &task.keywords, true));
        let Some(spec) = modules::find(&task.module) else {
            self.unknown_module(&task.module, task.module_span, handler);
            return None;
        };
        let arguments = self.arguments(spec, task);
        if spec.name == "meta"
            && arguments.get("free_form").and_then(Node::as_str) == Some("end_role")
            // A file below `tasks` may be looked at by itself; it is known where it runs when it does.
            && (keywords.role.is_none() && !task.directory.ends_with("tasks") || handler)
        {
            let message = "`meta: end_role` stands among the tasks of a role";
            self.wrong.push(Diagnostic::error(message, task.module_span));
        }
        let mut compiled = self.with_keywords(&task.keywords, spec, task.span, keywords, &task.directory, handler);
        compiled.arguments = Arc::new(arguments);
        compiled.span = task.module_span;
        compiled.undo = self.undo(task, &compiled);
        (!by_tags || self.selection.takes(&compiled.keywords.tags)).then_some(compiled)
    }

    fn unknown_module(&mut self, name: &str, span: Span, handler: bool) {
        let level = if handler { playbook::Level::Handler } else { playbook::Level::Task };
        let diagnostic = Diagnostic::error(format!("unknown module `{name}`"), span);
        let module = did_you_mean(name, modules::REGISTRY.iter().map(|spec| spec.name));
        let keyword = did_you_mean(name, playbook::all_names(level));
        self.wrong.push(match module.or(keyword) {
            Some(meant) => diagnostic.label(format!("did you mean `{meant}`?")),
            None => diagnostic.help("`stagger doc --list --type module` has all"),
        });
    }

    fn with_keywords(
        &mut self,
        own: &playbook::Keywords,
        module: &'static ModuleSpec,
        span: Span,
        keywords: Arc<Keywords>,
        directory: &std::path::Path,
        handler: bool,
    ) -> Task {
        let written = |name: &str| own.get(name).map(|node| Arc::new(node.clone()));
        for name in ["name", "retries", "delay"] {
            if let Some(node) = own.get(name) {
                self.check(node);
                let number = || to_text(&node.to_value()).trim().parse::<f64>().is_ok();
                if name != "name" && !has_template(node) && !number() {
                    self.wrong.push(Diagnostic::error(format!("`{name}` is a number"), node.span));
                }
            }
        }
        let register = own.get("register").and_then(|node| match node.as_str() {
            Some(name) if super::keywords::is_variable_name(name) => Some(name.to_owned()),
            _ => {
                self.wrong.push(Diagnostic::error("`register` needs the name of a variable", node.span));
                None
            }
        });
        Task {
            id: self.task_id(),
            name: written("name"),
            span,
            module,
            arguments: Arc::new(Node { kind: NodeKind::Map(Vec::new()), span }),
            register,
            repeat: self.repeat(own),
            until: own.get("until").map(|node| self.conditions(node)).unwrap_or_default(),
            retries: written("retries"),
            delay: written("delay"),
            detach: self.detach(own, module),
            changed_when: own.get("changed_when").map(|node| self.conditions(node)),
            failed_when: own.get("failed_when").map(|node| self.conditions(node)),
            listen: own
                .get("listen")
                .map(|node| list(node).filter_map(|n| n.as_str().map(str::to_owned)).collect())
                .unwrap_or_default(),
            directory: directory.to_owned(),
            keywords,
            handler,
            undo: Vec::new(),
        }
    }
}

/// What a play without a name is called: its pattern; of several, with commas between.
fn name_of(hosts: &Node) -> Node {
    match hosts.as_seq() {
        Some(parts) => {
            let parts: Vec<String> = parts.iter().map(|part| crate::base::to_text(&part.to_value())).collect();
            Node::string(parts.join(","), hosts.span)
        }
        None => hosts.clone(),
    }
}

/// Calls `f` for every task, with whether it is an include.
pub(crate) fn each_task(items: &[Item], f: &mut dyn FnMut(&Task, bool)) {
    for item in items {
        match item {
            Item::Task(task) => {
                f(task, false);
                task.undo.iter().for_each(|undo| f(undo, false));
            }
            Item::Include(include) => f(&include.task, true),
            Item::Role(role) => each_task(&role.items, f),
            Item::Block(block) => {
                each_task(&block.block, f);
                each_task(&block.rescue, f);
                each_task(&block.always, f);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(tags: &str, skip: &str, on_task: &str) -> bool {
        let set = |text: &str| text.split(',').filter(|t| !t.is_empty()).map(str::to_owned).collect();
        Selection { tags: set(tags), skip: set(skip) }.takes(&set(on_task))
    }

    #[test]
    fn tags_choose_as_in_ansible() {
        assert!(takes("", "", ""));
        assert!(takes("", "", "a"));
        assert!(!takes("", "", "never"));
        assert!(!takes("", "", "never,a"));
        assert!(takes("a", "", "never,a"));
        assert!(takes("never", "", "never"));
        assert!(takes("a", "", "always"));
        assert!(!takes("a", "", "b"));
        assert!(takes("a,b", "", "b"));
        assert!(!takes("", "a", "a"));
        assert!(!takes("", "always", "always"));
        assert!(takes("tagged", "", "a"));
        assert!(!takes("tagged", "", ""));
        assert!(takes("untagged", "", ""));
        assert!(!takes("untagged", "", "a"));
    }
}
