//! Playbook files: lists of plays, `import_playbook`, and the files of imports.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keywords::{Found, Level, find, unknown};
use super::role::RoleCall;
use super::{Entry, Keywords, Play, Playbook, Role};
use crate::base::{Node, NodeKind, Span};
use crate::diag::{Diagnostic, Severity, Sources};
use crate::yaml;

/// Reads playbooks and goes on after mistakes.
pub(super) struct Loader<'a> {
    sources: &'a Sources,
    pub(super) ground: Ground<'a>,
    pub(super) wrong: Vec<Diagnostic>,
    /// Files being read, outermost first: an import that names one of them would never end.
    pub(super) open: Vec<PathBuf>,
    /// Entries of dynamic includes that were read only to find their mistakes.
    pub(super) checked: Vec<Vec<Entry>>,
    pub(super) playbook_directory: PathBuf,
    /// The folders of the roles being read, the outermost first.
    pub(super) role_stack: Vec<PathBuf>,
    /// How many of them stand around what is read, and are not being read.
    pub(super) around: usize,
    /// Calls of roles that are among what was read for its mistakes.
    pub(super) checked_roles: Vec<String>,
}

/// What reading rests on besides the files themselves.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    /// Whether a name is a module's; only used to tell a module from a mistyped keyword.
    pub(crate) is_module: &'a dyn Fn(&str) -> bool,
    /// Folders in which roles are looked for, after `roles/` beside the playbook.
    pub(crate) roles_path: &'a [PathBuf],
}

/// Reads the playbooks in order. Everything wrong in them is returned; a playbook with errors must not be run.
///
/// The second value holds the entries of included files whose names are known, for further checks.
pub(crate) fn load(
    sources: &Sources,
    paths: &[PathBuf],
    ground: Ground<'_>,
) -> (Playbook, Vec<Vec<Entry>>, Vec<Diagnostic>) {
    let mut playbook = Playbook::default();
    let mut loader = Loader::new(sources, ground, Path::new(""));
    for path in paths {
        loader.playbook(path, Span::NONE, &[], &mut playbook.plays);
    }
    (playbook, loader.checked, loader.wrong)
}

/// Reads a task file that is included while running. `roles` are the folders of the roles that it stands in, the outermost first.
pub(crate) fn load_tasks(
    sources: &Sources,
    path: &Path,
    playbook_directory: &Path,
    roles: Vec<PathBuf>,
    ground: Ground<'_>,
) -> (Vec<Entry>, Vec<Diagnostic>) {
    load_task_file(sources, path, playbook_directory, roles, false, ground)
}

/// Reads a file of tasks, or of handlers.
pub(crate) fn load_task_file(
    sources: &Sources,
    path: &Path,
    playbook_directory: &Path,
    roles: Vec<PathBuf>,
    handlers: bool,
    ground: Ground<'_>,
) -> (Vec<Entry>, Vec<Diagnostic>) {
    let mut loader =
        Loader { around: roles.len(), role_stack: roles, ..Loader::new(sources, ground, playbook_directory) };
    let entries = match loader.file(path, Span::NONE) {
        Some((list, directory)) => loader.entries(&list, handlers, &directory, 1),
        None => Vec::new(),
    };
    (entries, loader.wrong)
}

/// Reads a role that is included while running.
pub(crate) fn load_role(
    sources: &Sources,
    call: &RoleCall,
    keywords: Keywords,
    playbook_directory: &Path,
    roles: Vec<PathBuf>,
    ground: Ground<'_>,
) -> (Option<Arc<Role>>, Vec<Diagnostic>) {
    let mut loader =
        Loader { around: roles.len(), role_stack: roles, ..Loader::new(sources, ground, playbook_directory) };
    let role = loader.role(call, keywords, Vec::new());
    (role, loader.wrong)
}

/// Reads a file of variables: a mapping, or nothing.
pub(crate) fn load_vars(sources: &Sources, path: &Path) -> (Option<Node>, Vec<Diagnostic>) {
    let ground = Ground { is_module: &|_| false, roles_path: &[] };
    let mut loader = Loader::new(sources, ground, Path::new(""));
    let node = loader.file(path, Span::NONE).map(|(node, _)| node);
    if let Some(node) = &node
        && !matches!(node.kind, NodeKind::Map(_) | NodeKind::Null)
    {
        let message = format!("a file of variables is a mapping, not {}", node.type_name());
        loader.wrong.push(Diagnostic::error(message, node.span));
    }
    (node, loader.wrong)
}

impl<'a> Loader<'a> {
    fn new(sources: &'a Sources, ground: Ground<'a>, playbook_directory: &Path) -> Self {
        Self {
            sources,
            ground,
            wrong: Vec::new(),
            open: Vec::new(),
            checked: Vec::new(),
            playbook_directory: playbook_directory.to_owned(),
            role_stack: Vec::new(),
            around: 0,
            checked_roles: Vec::new(),
        }
    }

    /// Reads a YAML file that is named at `span`; gives its content and its folder. The caller pops `open`.
    pub(super) fn file(&mut self, path: &Path, span: Span) -> Option<(Node, PathBuf)> {
        if self.open.iter().any(|open| open == path) {
            self.wrong.push(Diagnostic::error(format!("{} imports itself", path.display()), span));
            return None;
        }
        let source = match self.sources.load(path) {
            Ok((source, _)) => source,
            Err(error) => {
                self.wrong.push(error.diagnostic(span));
                return None;
            }
        };
        let (node, mut wrong) = yaml::parse(self.sources, source);
        let broken = wrong.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        self.wrong.append(&mut wrong);
        let node = node.filter(|_| !broken)?;
        self.open.push(path.to_owned());
        let directory = path.parent().map(Path::to_owned).unwrap_or_default();
        Some((node, directory))
    }

    fn playbook(&mut self, path: &Path, span: Span, imported_with: &[Keywords], plays: &mut Vec<Play>) {
        let Some((list, directory)) = self.file(path, span) else { return };
        self.playbook_directory.clone_from(&directory);
        match &list.kind {
            NodeKind::Seq(items) if items.is_empty() => {
                self.wrong.push(Diagnostic::error(format!("{} has no plays", path.display()), list.span));
            }
            NodeKind::Seq(items) => {
                for item in items {
                    self.playbook_directory.clone_from(&directory);
                    self.play_or_import(item, &directory, imported_with, plays);
                }
            }
            NodeKind::Null => {
                self.wrong.push(Diagnostic::error(
                    format!("{} is empty: a playbook is a list of plays", path.display()),
                    list.span,
                ));
            }
            _ => {
                let message = format!("a playbook is a list of plays, not {}", list.type_name());
                let place = first_key(&list);
                self.wrong.push(Diagnostic::error(message, place).help("begin each play with `- hosts: …`"));
            }
        }
        self.open.pop();
    }

    fn play_or_import(&mut self, item: &Node, directory: &Path, imported_with: &[Keywords], plays: &mut Vec<Play>) {
        let Some(map) = item.as_map() else {
            let message = format!("a play is a mapping, not {}", item.type_name());
            self.wrong.push(Diagnostic::error(message, item.span));
            return;
        };
        let import = |key: &Node| matches!(key.as_str(), Some("import_playbook" | "ansible.builtin.import_playbook"));
        if let Some((_, file)) = map.iter().find(|(key, _)| import(key)) {
            let mut keywords = Keywords::default();
            for (key, value) in map.iter().filter(|(key, _)| !import(key)) {
                self.keyword(&mut keywords, key, value, Level::Import);
            }
            let Some(name) = file.as_str().filter(|name| !name.contains("{{")) else {
                let message = "`import_playbook` needs the name of a file, without templates";
                self.wrong.push(Diagnostic::error(message, file.span));
                return;
            };
            let mut with = imported_with.to_vec();
            with.push(keywords);
            let path = directory.join(name);
            self.playbook(&path, file.span, &with, plays);
            return;
        }
        self.play(item, map, directory, imported_with, plays);
    }

    fn play(
        &mut self,
        item: &Node,
        map: &[(Node, Node)],
        directory: &Path,
        imported_with: &[Keywords],
        plays: &mut Vec<Play>,
    ) {
        let mut play = Play {
            span: first_key(item),
            directory: directory.to_owned(),
            keywords: Keywords::default(),
            imported_with: imported_with.to_vec(),
            roles: Vec::new(),
            pre_tasks: Vec::new(),
            tasks: Vec::new(),
            post_tasks: Vec::new(),
            handlers: Vec::new(),
        };
        for (key, value) in map {
            let Some(name) = key.as_str() else {
                self.wrong.push(Diagnostic::error("a key must be a word", key.span));
                continue;
            };
            match name {
                "roles" => play.roles = self.roles(value),
                "pre_tasks" => play.pre_tasks = self.entries(value, false, directory, 0),
                "tasks" => play.tasks = self.entries(value, false, directory, 0),
                "post_tasks" => play.post_tasks = self.entries(value, false, directory, 0),
                "handlers" => play.handlers = self.entries(value, true, directory, 0),
                _ => match find(name, key.span, Level::Play) {
                    Found::Keyword(name) => play.keywords.push(name, key.span, value.clone()),
                    Found::Wrong(diagnostic) => self.wrong.push(diagnostic),
                    Found::Other => {
                        let lists = ["roles", "tasks", "pre_tasks", "post_tasks", "handlers"];
                        let meant = crate::diag::did_you_mean(name, lists);
                        self.wrong.push(match meant {
                            Some(meant) => Diagnostic::error(format!("unknown key `{name}` for a play"), key.span)
                                .label(format!("did you mean `{meant}`?")),
                            None => unknown(name, key.span, Level::Play),
                        });
                    }
                },
            }
        }
        if play.keywords.get("hosts").is_none() {
            let message = "a play needs `hosts`";
            self.wrong.push(Diagnostic::error(message, play.span).help("add a line such as `hosts: masters`"));
        }
        plays.push(play);
    }
}

fn first_key(item: &Node) -> Span {
    item.as_map().and_then(|map| map.first()).map_or(item.span, |(key, _)| key.span)
}
