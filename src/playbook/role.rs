//! Roles: where they are looked for, and their files read in the order in which Ansible takes them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keywords::{Found, Level, find};
use super::load::Loader;
use super::{Entry, Keywords, Role, Task};
use crate::base::{Node, NodeKind, Span};
use crate::diag::{Diagnostic, did_you_mean};

/// A role as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RoleCall {
    /// Its name, or a path.
    pub(crate) name: String,
    /// Where that stands.
    pub(crate) span: Span,
    /// Files in place of `main`: by folder (`tasks`, `vars`, `defaults`, `handlers`).
    pub(crate) from: Vec<(&'static str, String)>,
    /// Whether `include_role` or `import_role` asks for it.
    pub(crate) include: bool,
    /// Whether the play's other tasks see its variables, where that is said.
    pub(crate) public: Option<bool>,
    /// Whether it may run again, where that is said.
    pub(crate) duplicates: Option<bool>,
    /// Whether its arguments are checked against its specification.
    pub(crate) validate: bool,
}

impl RoleCall {
    /// A role of a play's list, or one that another depends on.
    fn listed(name: &str, span: Span) -> Self {
        Self {
            name: name.to_owned(),
            span,
            from: Vec::new(),
            include: false,
            public: None,
            duplicates: None,
            validate: true,
        }
    }

    fn file(&self, folder: &str) -> Option<&str> {
        self.from.iter().find(|(name, _)| *name == folder).map(|(_, file)| file.as_str())
    }
}

impl Loader<'_> {
    /// Reads `roles:` or `dependencies:`.
    pub(super) fn roles(&mut self, list: &Node) -> Vec<Arc<Role>> {
        let items = match &list.kind {
            NodeKind::Null => return Vec::new(),
            NodeKind::Seq(items) => items,
            _ => {
                let message = format!("roles are a list, not {}", list.type_name());
                self.wrong.push(Diagnostic::error(message, list.span).help("begin each role with `- `"));
                return Vec::new();
            }
        };
        items.iter().filter_map(|item| self.listed(item)).collect()
    }

    fn listed(&mut self, item: &Node) -> Option<Arc<Role>> {
        let mut keywords = Keywords::default();
        let mut params = Vec::new();
        let name = match &item.kind {
            NodeKind::String { .. } | NodeKind::Int(_) => item.clone(),
            NodeKind::Map(entries) => {
                let named = ["role", "name", "src"].iter().find_map(|key| item.get(key)).cloned();
                for (key, value) in entries {
                    match key.as_str() {
                        Some("role" | "name" | "src") => {}
                        Some(text) => match find(text, key.span, Level::Role) {
                            Found::Keyword(name) => keywords.push(name, key.span, value.clone()),
                            Found::Wrong(wrong) => self.wrong.push(wrong),
                            Found::Other => params.push((key.clone(), value.clone())),
                        },
                        None => self.wrong.push(Diagnostic::error("a key must be a word", key.span)),
                    }
                }
                named.unwrap_or(Node { kind: NodeKind::Null, span: item.span })
            }
            _ => Node { kind: NodeKind::Null, span: item.span },
        };
        let text = crate::base::to_text(&name.to_value());
        if text.is_empty() || matches!(name.kind, NodeKind::Null) {
            let message = "a role is its name, or a mapping with `role`";
            self.wrong.push(Diagnostic::error(message, item.span).help("for example: `- role: common`"));
            return None;
        }
        self.role(&RoleCall::listed(&text, name.span), keywords, params)
    }

    /// Finds a role and reads it.
    pub(super) fn role(&mut self, call: &RoleCall, keywords: Keywords, params: Vec<(Node, Node)>) -> Option<Arc<Role>> {
        if call.name.contains("{{") {
            let message = "the name of a role that is read at the start can't be a template";
            self.wrong.push(
                Diagnostic::error(message, call.span).help("use `include_role`, which is read when it is reached"),
            );
            return None;
        }
        let path = self.role_folder(call)?;
        // A role that is included while running may include itself, under a condition.
        let being_read = self.role_stack.get(self.around..).unwrap_or_default();
        if being_read.contains(&path) {
            self.wrong.push(Diagnostic::error(format!("the role `{}` needs itself", call.name), call.span));
            return None;
        }
        let plain = !path.ends_with(&call.name) || Path::new(&call.name).is_absolute() || call.name.starts_with('.');
        let name = match path.file_name().and_then(|name| name.to_str()) {
            Some(last) if plain => last.to_owned(),
            _ => call.name.clone(),
        };
        self.role_stack.push(path.clone());
        let meta = self.role_file(&path, "meta", None, call.span);
        let mut duplicates = false;
        let mut dependencies = Vec::new();
        for (key, value) in meta.iter().filter_map(Node::as_map).flatten() {
            match key.as_str() {
                Some("dependencies") => dependencies = self.roles(value),
                Some("allow_duplicates") => {
                    duplicates = crate::base::to_text(&value.to_value()).to_lowercase() == "true";
                }
                _ => {}
            }
        }
        let defaults = self.role_vars(&path, "defaults", call);
        let vars = self.role_vars(&path, "vars", call);
        let mut tasks = self.role_entries(&path, "tasks", call, false);
        let handlers = self.role_entries(&path, "handlers", call, true);
        if call.validate {
            tasks.splice(0..0, self.validation(&path, meta.as_ref(), call, &name, &params));
        }
        self.role_stack.pop();
        let identity = identity(&path, &keywords, &params, call);
        Some(Arc::new(Role {
            name,
            path,
            keywords,
            params,
            defaults,
            vars,
            dependencies,
            duplicates: call.duplicates.unwrap_or(if call.include { true } else { duplicates }),
            include: call.include,
            public: call.public,
            identity,
            tasks,
            handlers,
        }))
    }

    /// The folder of a role, looked for as Ansible does: beside the playbook, in the folders of the settings, beside the role that
    /// names it, and as a path.
    pub(super) fn role_folder(&mut self, call: &RoleCall) -> Option<PathBuf> {
        let mut folders = vec![self.playbook_directory.join("roles")];
        folders.extend(self.ground.roles_path.iter().cloned());
        folders.extend(self.role_stack.last().and_then(|path| path.parent()).map(Path::to_owned));
        folders.push(self.playbook_directory.clone());
        let written = match call.name.strip_prefix("~/") {
            Some(rest) => std::env::home_dir().map_or_else(|| PathBuf::from(&call.name), |home| home.join(rest)),
            None => PathBuf::from(&call.name),
        };
        let found = folders.iter().map(|folder| folder.join(&written)).find(|path| path.exists());
        let found = found.or_else(|| Some(written.clone()).filter(|path| path.exists() && call.name.contains('/')));
        if let Some(path) = found {
            return Some(std::path::absolute(&path).map_or(path, |whole| tidy(&whole)));
        }
        let diagnostic = Diagnostic::error(format!("the role `{}` is not there", call.name), call.span);
        let names = folders.iter().take(folders.len() - 1).flat_map(|folder| names_in(folder)).collect::<Vec<_>>();
        let mut diagnostic = match did_you_mean(&call.name, names.iter().map(String::as_str)) {
            Some(meant) => diagnostic.label(format!("did you mean `{meant}`?")),
            None => diagnostic,
        };
        if call.name.matches('.').count() == 2 && !call.name.contains('/') {
            diagnostic =
                diagnostic.help("roles of collections are not supported: copy the role into a folder of roles");
        }
        let mut shown: Vec<String> = Vec::new();
        for folder in folders {
            let text = if folder.as_os_str().is_empty() { ".".to_owned() } else { folder.display().to_string() };
            if !shown.contains(&text) {
                shown.push(text);
            }
        }
        self.wrong.push(diagnostic.help(format!("looked in {}", shown.join(", "))));
        None
    }

    /// One of a role's files that there is one of: `main`, or the one that is asked for.
    fn role_file(&mut self, role: &Path, folder: &str, wanted: Option<&str>, span: Span) -> Option<Node> {
        let path = self.one_file(role, folder, wanted, span)?;
        let (node, _) = self.file(&path, span)?;
        self.open.pop();
        Some(node)
    }

    fn one_file(&mut self, role: &Path, folder: &str, wanted: Option<&str>, span: Span) -> Option<PathBuf> {
        let base = role.join(folder);
        let found = candidates(&base, wanted).into_iter().find(|path| path.is_file());
        self.must_be_there(role, folder, wanted, found.is_some(), span);
        found
    }

    fn must_be_there(&mut self, role: &Path, folder: &str, wanted: Option<&str>, found: bool, span: Span) {
        let Some(wanted) = wanted.filter(|_| !found) else { return };
        let base = role.join(folder);
        let names: Vec<String> = names_in(&base);
        let stems = names.iter().map(|name| name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem));
        let mut diagnostic = Diagnostic::error(format!("the role has no `{folder}/{wanted}`"), span)
            .help(format!("looked in {}", base.display()));
        if let Some(meant) = did_you_mean(wanted, stems) {
            diagnostic = diagnostic.label(format!("did you mean `{meant}`?"));
        }
        self.wrong.push(diagnostic);
    }

    fn role_entries(&mut self, role: &Path, folder: &str, call: &RoleCall, handlers: bool) -> Vec<Entry> {
        let Some(path) = self.one_file(role, folder, call.file(folder), call.span) else { return Vec::new() };
        let Some((list, directory)) = self.file(&path, call.span) else { return Vec::new() };
        let entries = self.entries(&list, handlers, &directory, 1);
        self.open.pop();
        entries
    }

    /// `defaults` and `vars`: a file, or a folder `main` whose files are all read, in order.
    fn role_vars(&mut self, role: &Path, folder: &str, call: &RoleCall) -> Vec<Node> {
        let wanted = call.file(folder);
        let base = role.join(folder);
        let mut files = Vec::new();
        if let Some(found) = candidates(&base, wanted).into_iter().find(|path| path.exists()) {
            if found.is_dir() { below(&found, &mut files) } else { files.push(found) }
        }
        self.must_be_there(role, folder, wanted, !files.is_empty() || wanted.is_none(), call.span);
        let mut all = Vec::new();
        for path in files {
            let Some((node, _)) = self.file(&path, call.span) else { continue };
            self.open.pop();
            match &node.kind {
                NodeKind::Map(_) => all.push(node),
                NodeKind::Null => {}
                _ => {
                    let message = format!("a file of variables is a mapping, not {}", node.type_name());
                    self.wrong.push(Diagnostic::error(message, node.span));
                }
            }
        }
        all
    }

    /// The task that checks a role's arguments, where the role says what they are.
    fn validation(
        &mut self,
        role: &Path,
        meta: Option<&Node>,
        call: &RoleCall,
        name: &str,
        params: &[(Node, Node)],
    ) -> Option<Entry> {
        let file = ["yml", "yaml", "json"].map(|end| role.join("meta").join(format!("argument_specs.{end}")));
        let written = match file.iter().find(|path| path.is_file()) {
            Some(path) => {
                let (node, _) = self.file(path, call.span)?;
                self.open.pop();
                node.get("argument_specs").cloned()
            }
            None => meta.and_then(|meta| meta.get("argument_specs")).cloned(),
        }?;
        let entry = call.file("tasks").unwrap_or("main").to_owned();
        let spec = written.get(&entry).filter(|spec| !matches!(spec.kind, NodeKind::Null))?;
        let text = |text: &str| Node::string(text, spec.span);
        let map = |entries: Vec<(&str, Node)>| Node {
            kind: NodeKind::Map(entries.into_iter().map(|(key, value)| (text(key), value)).collect()),
            span: spec.span,
        };
        let options = spec.get("options").map_or(crate::base::Value::Object(crate::base::Map::new()), Node::to_value);
        let context = map(vec![
            ("type", text("role")),
            ("name", text(name)),
            ("argument_spec_name", text(&entry)),
            ("path", text(&role.display().to_string())),
        ]);
        let title = match spec.get("short_description").and_then(Node::as_str) {
            Some(short) => format!("Validating arguments against arg spec '{entry}' - {short}"),
            None => format!("Validating arguments against arg spec '{entry}'"),
        };
        let mut keywords = Keywords::default();
        keywords.push("name", spec.span, text(&title));
        keywords.push("tags", spec.span, text("always"));
        Some(Entry::Task(Box::new(Task {
            span: spec.span,
            module: "validate_argument_spec".to_owned(),
            module_span: spec.span,
            // Descriptions are no templates.
            arguments: map(vec![
                ("argument_spec", Node::from_value(&options, spec.span)),
                ("provided_arguments", Node { kind: NodeKind::Map(params.to_vec()), span: spec.span }),
                ("validate_args_context", context),
            ]),
            more: None,
            keywords,
            undo: Vec::new(),
            directory: role.join("tasks"),
        })))
    }
}

/// What makes two calls of a role the same, so that it runs once for both.
fn identity(path: &Path, keywords: &Keywords, params: &[(Node, Node)], call: &RoleCall) -> String {
    let text = |node: &Node| crate::base::to_text(&node.to_value());
    let mut parts = vec![path.display().to_string(), call.include.to_string()];
    parts.extend(["when", "tags", "vars"].iter().map(|name| keywords.get(name).map(text).unwrap_or_default()));
    parts.extend(call.from.iter().map(|(folder, file)| format!("{folder}={file}")));
    let mut given: Vec<String> = params.iter().map(|(key, value)| format!("{}={}", text(key), text(value))).collect();
    given.sort();
    parts.extend(given);
    parts.join("\n")
}

/// Where a file of a role may be: without an ending last for `main`, first for a name that was written.
fn candidates(base: &Path, wanted: Option<&str>) -> Vec<PathBuf> {
    let endings: [&str; 4] =
        if wanted.is_some() { ["", ".yml", ".yaml", ".json"] } else { [".yml", ".yaml", ".json", ""] };
    let name = wanted.unwrap_or("main");
    endings.iter().map(|ending| base.join(format!("{name}{ending}"))).collect()
}

/// The files of variables in a folder and those in it, in order.
fn below(folder: &Path, files: &mut Vec<PathBuf>) {
    for name in names_in(folder) {
        let path = folder.join(&name);
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        if path.is_dir() {
            below(&path, files);
        } else if path.extension().is_none_or(|end| ["yml", "yaml", "json"].iter().any(|known| end == *known)) {
            files.push(path);
        }
    }
}

/// What is in a folder, sorted; nothing when it can't be read.
fn names_in(folder: &Path) -> Vec<String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// A whole path without `.` and `..` in it.
fn tidy(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::diag::{Sources, render_all};
    use crate::playbook::{Ground, load};

    /// What is said of a playbook beside which there are those files.
    fn said(files: &[(&str, &str)]) -> String {
        let held = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = held.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let sources = Sources::new();
        let ground = Ground { is_module: &|name| name == "debug", roles_path: &[held.path().join("more")] };
        let (.., wrong) = load(&sources, &[held.path().join("play.yml")], ground);
        render_all(&wrong, &sources, false).replace(&held.path().display().to_string(), "HERE")
    }

    #[test]
    fn a_role_that_is_not_there_is_said_with_where_it_was_looked_for() {
        let text = said(&[
            ("play.yml", "- hosts: all\n  roles: [comon, a.b.c]\n"),
            ("roles/common/tasks/main.yml", "- debug:\n"),
        ]);
        assert!(text.contains("the role `comon` is not there"), "{text}");
        assert!(text.contains("did you mean `common`?"), "{text}");
        assert!(text.contains("looked in HERE/roles, HERE/more, HERE"), "{text}");
        assert!(text.contains("roles of collections are not supported"), "{text}");
    }

    #[test]
    fn files_that_are_asked_for_must_be_there() {
        let text = said(&[
            ("play.yml", "- hosts: all\n  tasks:\n    - include_role: {name: web, tasks_from: instal}\n"),
            ("roles/web/tasks/install.yml", "- debug:\n"),
        ]);
        assert!(text.contains("the role has no `tasks/instal`"), "{text}");
        assert!(text.contains("did you mean `install`?"), "{text}");
    }

    #[test]
    fn roles_that_need_each_other_end() {
        let text = said(&[
            ("play.yml", "- hosts: all\n  roles: [a]\n"),
            ("roles/a/meta/main.yml", "dependencies: [b]\n"),
            ("more/b/meta/main.yml", "dependencies: [{role: a}]\n"),
        ]);
        assert!(text.contains("the role `a` needs itself"), "{text}");
        let itself = said(&[
            ("play.yml", "- hosts: all\n  roles: [a]\n"),
            ("roles/a/tasks/main.yml", "- include_role: {name: a}\n  when: more is defined\n"),
        ]);
        assert_eq!(itself, "");
    }

    #[test]
    fn mistakes_in_a_role_have_their_place() {
        let text = said(&[
            ("play.yml", "- hosts: all\n  tasks:\n    - import_role: {nam: x}\n    - include_role: {name: web}\n"),
            ("roles/web/tasks/main.yml", "- debg: {msg: x}\n  wen: y\n"),
            ("roles/web/defaults/main.yml", "- a list\n"),
        ]);
        assert!(text.contains("unknown option `nam` for `import_role`"), "{text}");
        assert!(text.contains("HERE/roles/web/tasks/main.yml:1:3"), "{text}");
        assert!(text.contains("a file of variables is a mapping, not a list"), "{text}");
    }
}
