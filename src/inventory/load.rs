//! Takes a source apart by what it is, and reads it.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::graph::{Origin, UNGROUPED};
use super::vars_files::Level;
use super::{Inventory, address, directory, ini, script, structure};
use crate::base::{Node, SourceId, Span, Value};
use crate::diag::{Diagnostic, Severity, Sources, did_you_mean};

/// How an inventory is read.
#[derive(Debug, Clone)]
pub(crate) struct LoadOptions {
    /// `hash_behaviour = merge`: mappings are merged key by key instead of replaced.
    pub(crate) merge_mappings: bool,
    /// How long an inventory script may take in all.
    pub(crate) script_deadline: Duration,
    /// Encrypted files of variables whose password nobody gave are no errors yet: [`Inventory::take_closed`] has them.
    pub(crate) defer_closed: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { merge_mappings: false, script_deadline: Duration::from_secs(120), defer_closed: false }
    }
}

/// Endings that name a notation. Without an ending the text decides between YAML and INI; any other ending is INI.
const YAML_ENDINGS: [&str; 3] = ["yml", "yaml", "json"];

pub(super) fn load(sources: &Sources, specs: &[String], options: &LoadOptions) -> (Inventory, Vec<Diagnostic>) {
    let mut loader = Loader { sources, options, inventory: Inventory::empty(options), found: Vec::new() };
    for spec in specs {
        let path = Path::new(spec);
        if spec.trim().is_empty() {
            loader
                .error("an inventory source without a name")
                .help
                .push("give a file, a folder or names: -i h1,h2".into());
        } else if spec.contains(',') && !path.exists() {
            loader.comma_list(spec);
        } else if loader.source(path, true) {
            let beside = if path.is_dir() { Some(path) } else { path.parent() };
            let beside = beside.filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            loader.inventory.files.open(beside, Level::Inventory);
        }
    }
    let Loader { mut inventory, mut found, .. } = loader;
    inventory.graph.origin = None;
    inventory.files.defer = options.defer_closed;
    inventory.graph.reconcile();
    warn_of_names(&inventory, &mut found);
    found.extend(inventory.files.read(sources, &inventory.graph));
    (inventory, found)
}

struct Loader<'a> {
    sources: &'a Sources,
    options: &'a LoadOptions,
    inventory: Inventory,
    found: Vec<Diagnostic>,
}

impl Loader<'_> {
    fn error(&mut self, message: impl Into<String>) -> &mut Diagnostic {
        self.found.push(Diagnostic::error(message, Span::NONE));
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// Names with commas between, ports allowed.
    fn comma_list(&mut self, spec: &str) {
        self.inventory.graph.origin = Some(Arc::new(Origin { file: spec.to_owned(), directory: None }));
        let source = self.sources.add("--inventory", spec);
        let mut start = 0;
        let mut any = false;
        for part in spec.split(',') {
            let name = part.trim();
            let at = start + (part.len() - part.trim_start().len());
            start += part.len() + 1;
            if name.is_empty() {
                continue;
            }
            any = true;
            let span = Span { source, start: at as u32, end: (at + name.len()) as u32 };
            let address = address::parse_address(name);
            if name.contains('[') && address.as_ref().is_none_or(|a| a.host.contains('[')) {
                self.found.push(
                    Diagnostic::error("ranges don't work in a list of names", span)
                        .help("name each host, or write an inventory file"),
                );
                continue;
            }
            let (host, port) = address.map_or((name, None), |a| (a.host, a.port));
            let names = [host.to_owned()];
            if !self.inventory.graph.hosts.contains_key(host) {
                ini::add_hosts(&mut self.inventory.graph, &names, port, UNGROUPED, &[], span, &mut self.found);
            }
        }
        if !any {
            self.error(format!("the inventory `{spec}` names no host"));
        }
    }

    /// A file or folder; gives whether it is there.
    fn source(&mut self, path: &Path, asked_for: bool) -> bool {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => {
                let shown = path.display();
                if error.kind() == std::io::ErrorKind::NotFound && asked_for {
                    let meant = sibling(path);
                    let error = self.error(format!("there is no inventory `{shown}`"));
                    error.help.extend(meant.map(|meant| format!("did you mean `{meant}`?")));
                    error.help.push(format!("a host's name as an inventory needs a comma: -i {shown},"));
                } else {
                    self.error(format!("cannot read the inventory {shown}: {error}"));
                }
                return false;
            }
        };
        if metadata.is_dir() {
            self.folder(path);
        } else {
            self.file(path, metadata.permissions().mode() & 0o111 != 0);
        }
        true
    }

    fn folder(&mut self, path: &Path) {
        match directory::sources(path) {
            Ok(entries) if entries.is_empty() => {
                self.error(format!("the folder {} has no inventory in it", path.display()));
            }
            Ok(entries) => {
                for entry in entries {
                    // An empty folder inside, or a dangling link, is no reason to refuse the rest.
                    if !entry.is_dir() || directory::sources(&entry).is_ok_and(|inside| !inside.is_empty()) {
                        self.source(&entry, false);
                    }
                }
            }
            Err(error) => {
                self.error(format!("cannot list the inventory folder {}: {error}", path.display()));
            }
        }
    }

    fn file(&mut self, path: &Path, executable: bool) {
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        if extension == "toml" {
            self.error(format!("TOML inventories are not supported: {}", path.display()))
                .help
                .push("convert it once: ansible-inventory -i FILE --list --export --yaml > inventory.yml".to_owned());
            return;
        }
        let file = absolute(path);
        let directory = file.parent().map(Path::to_owned);
        let origin = Origin { file: file.display().to_string(), directory };
        self.inventory.graph.origin = Some(Arc::new(origin));
        if executable && is_program(path) {
            let deadline = self.options.script_deadline;
            self.found.extend(script::read(&mut self.inventory.graph, self.sources, &file, deadline));
            return;
        }
        let (source, text) = match self.sources.load(path) {
            Ok(loaded) => loaded,
            Err(error) => {
                self.found.push(error.diagnostic(Span::NONE));
                return;
            }
        };
        if YAML_ENDINGS.contains(&extension.as_str()) || (extension.is_empty() && looks_like_yaml(&text)) {
            self.yaml(source, &text);
        } else {
            self.found.extend(ini::read(&mut self.inventory.graph, source, &text));
        }
    }

    fn yaml(&mut self, source: SourceId, text: &str) {
        let (mut document, mut wrong) = crate::yaml::parse(self.sources, source);
        let file = Span { source, start: 0, end: 0 };
        if wrong.iter().any(|d| d.severity == Severity::Error) {
            // JSON that YAML trips over, such as tabs for indentation.
            match serde_json::from_str::<Value>(text) {
                Ok(value) => {
                    document = Some(Node::from_written(&value, file));
                    wrong.clear();
                }
                Err(_) => {
                    self.found.extend(wrong);
                    return;
                }
            }
        }
        self.found.extend(wrong);
        self.found.extend(structure::read(&mut self.inventory.graph, document.as_ref(), file));
    }
}

/// What is legal and probably not meant.
fn warn_of_names(inventory: &Inventory, found: &mut Vec<Diagnostic>) {
    let graph = &inventory.graph;
    let odd = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    let names: Vec<(&str, Span)> =
        graph.groups.iter().filter(|(name, _)| odd(name)).map(|(name, group)| (&**name, group.place)).collect();
    if let Some((first, place)) = names.first() {
        let mut warning = Diagnostic::warning(format!("`{first}` is no good name for a group"), *place)
            .help("letters, digits and _ only, no digit first: templates can't write groups.NAME otherwise");
        if names.len() > 1 {
            let others: Vec<&str> = names.iter().skip(1).take(5).map(|(name, _)| *name).collect();
            let more = if names.len() > 6 { ", …" } else { "" };
            warning = warning.help(format!("likewise: {}{more}", others.join(", ")));
        }
        found.push(warning);
    }
    for (name, group) in &graph.groups {
        if graph.hosts.contains_key(name) {
            found.push(
                Diagnostic::warning(format!("`{name}` is a group and a host"), group.place)
                    .help("a pattern that names it means the host"),
            );
        }
    }
}

/// The file in the same folder whose name is nearest.
fn sibling(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let entries = std::fs::read_dir(parent.unwrap_or(Path::new("."))).ok()?;
    let names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let meant = did_you_mean(name, names.iter().map(String::as_str))?;
    Some(parent.map_or_else(|| meant.to_owned(), |parent| parent.join(meant).display().to_string()))
}

/// The path from the root, `.` and `..` taken out by their names alone: links stay as they are.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            Component::CurDir => {}
            other => whole.push(other),
        }
    }
    whole
}

/// Whether a file that may be executed is a program: on some file systems every file may be.
fn is_program(path: &Path) -> bool {
    let mut first = [0; 4];
    let read = std::fs::File::open(path).and_then(|file| file.take(4).read(&mut first)).unwrap_or(0);
    first.starts_with(b"#!") || (read == 4 && first == *b"\x7fELF")
}

/// Whether the first line that says something is YAML's: `---`, `{` or `name:`.
fn looks_like_yaml(text: &str) -> bool {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    let Some(line) = line else { return false };
    if line.starts_with("---") || line.starts_with('{') || line.starts_with("%YAML") {
        return true;
    }
    let key = line.split_once(':').map(|(key, rest)| (key.trim(), rest));
    key.is_some_and(|(key, rest)| {
        let plain = !key.is_empty() && !key.contains(['[', ']', '=', ' ', '\t']);
        plain && (rest.is_empty() || rest.starts_with([' ', '\t']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_is_told_by_the_first_line() {
        for yaml in ["---\nall:", "# c\nall:\n  hosts:", "{\"all\": {}}", "'web': {hosts: }", "all : "] {
            assert!(looks_like_yaml(yaml), "{yaml}");
        }
        for ini in ["", "h1\n", "[web]\nh1", "h1:22", "h1 a='x: y'", "; c\nh1", "[fe80::1]:22"] {
            assert!(!looks_like_yaml(ini), "{ini}");
        }
    }

    #[test]
    fn paths_are_made_whole_without_following_links() {
        assert_eq!(absolute(Path::new("/a/b/../c/./d")), Path::new("/a/c/d"));
    }
}
