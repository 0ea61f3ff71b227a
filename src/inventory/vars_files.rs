//! `group_vars/` and `host_vars/`: which files belong to which group or host, and what they say.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Variables;
use super::graph::{Graph, overlay_one};
use crate::base::{Span, to_text};
use crate::diag::{Diagnostic, Sources, did_you_mean};

use std::sync::Arc;

/// Beside what a folder of variables lies; the playbook's win over the inventory's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Beside an inventory source.
    Inventory,
    /// Beside a playbook.
    Playbook,
}

/// All folders that were opened, in order; later ones win within their level.
#[derive(Debug, Default)]
pub(super) struct VarsFiles {
    pub(super) folders: Vec<Folder>,
    /// Whether encrypted files whose password nobody gave are kept aside until somebody needs them.
    pub(super) defer: bool,
    /// Those.
    pub(super) closed: Vec<Closed>,
}

/// A file that is encrypted, and nobody gave a password.
#[derive(Debug)]
pub(super) struct Closed {
    /// Whose variables are in it.
    pub(super) of: Owner,
    /// What is to be said when they are needed.
    pub(super) diagnostic: Diagnostic,
}

/// Whose variables a file has, by index.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    Group(u32),
    Host(u32),
}

/// One folder with `group_vars/` or `host_vars/` in it.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) level: Level,
    /// As it was given.
    pub(super) given: PathBuf,
    /// With links resolved: how Ansible tells folders apart.
    pub(super) real: PathBuf,
    pub(super) groups: Kind,
    pub(super) hosts: Kind,
}

/// `group_vars` or `host_vars` of one folder.
#[derive(Debug)]
pub(super) struct Kind {
    path: PathBuf,
    /// What is in it, by file name; empty when it isn't there.
    listing: HashMap<String, Entry>,
    /// What was read, by index of group or host.
    pub(super) read: HashMap<u32, Variables>,
    /// Indexes below this were looked for.
    looked: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    File,
    Folder,
}

/// The endings that files of variables have, in the order in which they are looked for.
const EXTENSIONS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// Typing mistakes in file names are looked for among so many groups at most.
const MOST_GROUPS_TO_COMPARE: usize = 2000;

impl VarsFiles {
    /// Opens a folder; one that was open already at this level moves to the end, as its values now win.
    pub(super) fn open(&mut self, dir: &Path, level: Level) {
        let real = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        if let Some(at) = self.folders.iter().position(|folder| folder.level == level && folder.real == real) {
            let mut known = self.folders.remove(at);
            known.given = dir.to_owned();
            self.folders.push(known);
            return;
        }
        let kind = |name: &str| {
            let path = dir.join(name);
            let listing = list(&path);
            Kind { path, listing, read: HashMap::new(), looked: 0 }
        };
        let (groups, hosts) = (kind("group_vars"), kind("host_vars"));
        self.folders.push(Folder { level, given: dir.to_owned(), real, groups, hosts });
    }

    /// Reads what belongs to groups and hosts that were not looked for yet.
    pub(super) fn read(&mut self, sources: &Sources, graph: &Graph) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for folder in &mut self.folders {
            let first = folder.groups.looked == 0;
            let mut closed = Vec::new();
            let (groups, hosts) = (graph.groups.keys().map(|name| &**name), graph.hosts.keys().map(|name| &**name));
            folder.groups.read_all(sources, groups, graph.merge, &mut found, &mut closed);
            self.closed.extend(closed.drain(..).map(|(at, diagnostic)| Closed { of: Owner::Group(at), diagnostic }));
            folder.hosts.read_all(sources, hosts, graph.merge, &mut found, &mut closed);
            self.closed.extend(closed.drain(..).map(|(at, diagnostic)| Closed { of: Owner::Host(at), diagnostic }));
            if first && folder.level == Level::Inventory {
                folder.groups.suspect(graph, &mut found);
            }
        }
        if !self.defer {
            found.extend(self.closed.drain(..).map(|closed| closed.diagnostic));
        }
        found
    }

    /// The playbook's folder with this path.
    pub(super) fn playbook_folder(&self, dir: &Path) -> Option<usize> {
        let given = |folder: &Folder| folder.level == Level::Playbook && folder.given == dir;
        self.folders.iter().position(given).or_else(|| {
            let real = std::fs::canonicalize(dir).ok()?;
            self.folders.iter().position(|folder| folder.level == Level::Playbook && folder.real == real)
        })
    }
}

impl Kind {
    fn read_all<'a>(
        &mut self,
        sources: &Sources,
        names: impl Iterator<Item = &'a str>,
        merge: bool,
        found: &mut Vec<Diagnostic>,
        closed: &mut Vec<(u32, Diagnostic)>,
    ) {
        let from = self.looked;
        for (index, name) in (0u32..).zip(names).skip(from as usize) {
            self.looked = index + 1;
            // A host called like a path (a chroot) has no file of variables.
            if self.listing.is_empty() || name.contains('/') {
                continue;
            }
            let mut variables = Variables::new();
            for path in self.files_of(name) {
                if let Some(diagnostic) = read_file(sources, &path, merge, &mut variables, found) {
                    closed.push((index, diagnostic));
                }
            }
            if !variables.is_empty() {
                self.read.insert(index, variables);
            }
        }
    }

    fn files_of(&self, name: &str) -> Vec<PathBuf> {
        for extension in EXTENSIONS {
            let file = format!("{name}{extension}");
            match self.listing.get(&file) {
                Some(Entry::File) => return vec![self.path.join(file)],
                Some(Entry::Folder) => return files_below(&self.path.join(file)),
                None => {}
            }
        }
        Vec::new()
    }

    /// A file whose name is nearly a group's, where that group has no file: probably a typing mistake.
    fn suspect(&self, graph: &Graph, found: &mut Vec<Diagnostic>) {
        if graph.groups.len() > MOST_GROUPS_TO_COMPARE {
            return;
        }
        let mut names: Vec<&String> = self.listing.keys().collect();
        names.sort_unstable();
        for name in names {
            let stem = EXTENSIONS.iter().skip(1).find_map(|e| name.strip_suffix(e)).unwrap_or(name);
            if stem.starts_with('.') || stem.ends_with('~') || graph.groups.contains_key(stem) {
                continue;
            }
            let without = graph.groups.keys().map(|group| &**group).filter(|group| self.files_of(group).is_empty());
            // `es1` beside `es2` are two clusters, not a mistake.
            let letters = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
            if let Some(meant) = did_you_mean(stem, without)
                && letters(meant) != letters(stem)
                && !meant.starts_with(stem)
            {
                let path = self.path.join(name);
                let warning = format!("{}: no group is called `{stem}`, the file is not used", path.display());
                found.push(Diagnostic::warning(warning, Span::NONE).help(format!("did you mean `{meant}`?")));
            }
        }
    }
}

fn list(path: &Path) -> HashMap<String, Entry> {
    let Ok(entries) = std::fs::read_dir(path) else { return HashMap::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let kind = if entry.path().is_dir() { Entry::Folder } else { Entry::File };
            Some((entry.file_name().into_string().ok()?, kind))
        })
        .collect()
}

/// The files below a folder, sorted by name at each level. Hidden files, back-ups, other endings and folders whose names
/// have an ending are left out.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<(String, Entry)> = list(folder).into_iter().collect();
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut files = Vec::new();
    for (name, kind) in entries {
        let hidden = name.starts_with('.') || name.ends_with('~');
        let extension = Path::new(&name).extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
        if hidden || !EXTENSIONS.contains(&extension.as_str()) || (kind == Entry::Folder && !extension.is_empty()) {
            continue;
        }
        match kind {
            Entry::File => files.push(folder.join(name)),
            Entry::Folder => files.extend(files_below(&folder.join(name))),
        }
    }
    files
}

/// Reads a file of variables; gives what is to be said of one that is encrypted while nobody gave a password.
fn read_file(
    sources: &Sources,
    path: &Path,
    merge: bool,
    variables: &mut Variables,
    found: &mut Vec<Diagnostic>,
) -> Option<Diagnostic> {
    let (source, _) = match sources.load(path) {
        Ok(loaded) => loaded,
        Err(error) if error.wants_password() => return Some(error.diagnostic(Span::NONE)),
        Err(error) => {
            found.push(error.diagnostic(Span::NONE));
            return None;
        }
    };
    let (document, wrong) = crate::yaml::parse(sources, source);
    found.extend(wrong);
    let document = document?;
    match document.as_map() {
        Some(entries) => {
            for (key, value) in entries {
                overlay_one(variables, &to_text(&key.to_value()), &Arc::new(value.clone()), merge);
            }
        }
        None if document.kind == crate::base::NodeKind::Null => {}
        None => {
            let message = format!("a file of variables is a mapping, not {}", document.type_name());
            found.push(Diagnostic::error(message, document.span).help("write `name: value` lines"));
        }
    }
    None
}
