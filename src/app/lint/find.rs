//! Which files of a tree are what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::base::{Node, NodeKind, SourceId};
use crate::modules;
use crate::yaml;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Playbook,
    Tasks,
    Handlers,
    Variables,
    Template,
    Inventory,
}

impl Kind {
    pub(super) const ALL: [Self; 6] =
        [Self::Playbook, Self::Tasks, Self::Handlers, Self::Variables, Self::Template, Self::Inventory];

    /// One, and many.
    pub(super) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Playbook => ("playbook", "playbooks"),
            Self::Tasks => ("task file", "task files"),
            Self::Handlers => ("file of handlers", "files of handlers"),
            Self::Variables => ("file of variables", "files of variables"),
            Self::Template => ("template", "templates"),
            Self::Inventory => ("inventory", "inventories"),
        }
    }
}

/// Folders in which nothing of the kind is looked for.
const ELSEWHERE: &[&str] = &["node_modules", "venv", "__pycache__", "target"];

/// Links that form a circle end here.
const DEEPEST: usize = 40;

/// All files below some paths that are something; files that were named are always something.
pub(super) fn below(paths: &[PathBuf]) -> BTreeMap<PathBuf, Kind> {
    let mut found = BTreeMap::new();
    for path in paths {
        // `.` would stand before every name.
        let path = if path == Path::new(".") { Path::new("") } else { path };
        if path.as_os_str().is_empty() || path.is_dir() {
            walk(path, 0, &mut found);
        } else {
            found.insert(path.to_owned(), kind(path).unwrap_or(guess(path)));
        }
    }
    found
}

fn walk(folder: &Path, depth: usize, found: &mut BTreeMap<PathBuf, Kind>) {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = std::fs::read_dir(here) else { return };
    for path in entries.flatten().map(|entry| folder.join(entry.file_name())) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') || name.ends_with('~') || ELSEWHERE.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            if depth < DEEPEST {
                walk(&path, depth + 1, found);
            }
        } else if let Some(kind) = kind(&path) {
            found.insert(path, kind);
        }
    }
}

/// What a file that was named must be when its content does not tell.
fn guess(path: &Path) -> Kind {
    match ending(path).as_str() {
        "j2" => Kind::Template,
        "yml" | "yaml" | "json" => Kind::Playbook,
        _ => Kind::Inventory,
    }
}

fn ending(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn kind(path: &Path) -> Option<Kind> {
    let folders: Vec<String> = path
        .parent()
        .into_iter()
        .flat_map(Path::components)
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    let within = |name: &str| folders.iter().any(|folder| folder == name);
    let parent = folders.last().map(String::as_str).unwrap_or_default();
    if ending(path) == "j2" {
        return Some(Kind::Template);
    }
    if within("templates") || within("files") {
        return None;
    }
    let yaml = matches!(ending(path).as_str(), "yml" | "yaml" | "json");
    let plain = path.extension().is_none();
    if within("group_vars") || within("host_vars") {
        return (yaml || plain).then_some(Kind::Variables);
    }
    if !yaml {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let inventories = parent.starts_with("inventor");
        // What a host has as /etc/hosts is no inventory.
        let named = parent != "etc" && matches!(name.as_str(), "hosts" | "inventory" | "hosts.ini" | "inventory.ini");
        return (named || (inventories && (plain || ending(path) == "ini"))).then_some(Kind::Inventory);
    }
    #[expect(clippy::disallowed_methods, reason = "read to see what it is; the loaders read it for what it says")]
    let text = std::fs::read_to_string(path).ok()?;
    let role = matches!(parent, "tasks" | "handlers" | "vars" | "defaults");
    let in_role = |path: &Path| match parent {
        "tasks" => Some(Kind::Tasks),
        "handlers" => Some(Kind::Handlers),
        "vars" | "defaults" => Some(Kind::Variables),
        _ if path.file_name().is_some_and(|name| name == "site.yml") => Some(Kind::Playbook),
        _ => None,
    };
    if crate::base::is_sealed(text.as_bytes()) {
        return in_role(path);
    }
    let (node, _) = yaml::parse_text(&text, SourceId(u32::MAX));
    match node.as_ref() {
        // What can't be read at all is told by who would read it.
        None if role => in_role(path),
        None => text.lines().any(|line| line.trim_start().starts_with("- hosts:")).then_some(Kind::Playbook),
        Some(node) => match &node.kind {
            NodeKind::Seq(items) if items.iter().any(is_play) => Some(Kind::Playbook),
            NodeKind::Seq(_) if parent == "handlers" => Some(Kind::Handlers),
            NodeKind::Seq(_) if parent == "tasks" => Some(Kind::Tasks),
            NodeKind::Seq(items) if !items.is_empty() && items.iter().all(is_task) => Some(Kind::Tasks),
            NodeKind::Map(entries) if !role && !entries.is_empty() && entries.iter().all(is_group) => {
                Some(Kind::Inventory)
            }
            _ if role => in_role(path),
            _ => None,
        },
    }
}

fn is_play(node: &Node) -> bool {
    node.get("hosts").is_some()
        || ["import_playbook", "ansible.builtin.import_playbook"].iter().any(|key| node.get(key).is_some())
}

/// A task has a module that is known, or is a block.
fn is_task(node: &Node) -> bool {
    let keys = node.as_map().unwrap_or_default().iter().filter_map(|(key, _)| key.as_str());
    let mut task = false;
    for key in keys {
        let short = key.rsplit('.').next().unwrap_or(key);
        let words = ["block", "include_tasks", "import_tasks", "include_role", "import_role", "action", "local_action"];
        task |= words.contains(&short) || modules::find(key).is_some();
    }
    task
}

/// A group of a YAML inventory: hosts, children or vars, and nothing else.
fn is_group((_, value): &(Node, Node)) -> bool {
    let keys = value.as_map().unwrap_or_default();
    let known = |key: &Node| matches!(key.as_str(), Some("hosts" | "children" | "vars"));
    !keys.is_empty() && keys.iter().all(|(key, value)| known(key) && !matches!(value.kind, NodeKind::Seq(_)))
}
