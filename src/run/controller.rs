//! What a module may ask of this machine and this run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::render::Room;
use crate::base::{LocalFile, Node, Scope as _, Secret, Span, Value, Var};
use crate::diag::Sources;
use crate::modules::archive::Archive;
use crate::modules::{Controller, Failure, Folder, LocalEntry, TemplateOptions};
use crate::template;

/// Digests of local files, computed once a run. A file that changes while the run goes on is caught when it is sent: the host's
/// digest of what arrived is compared with this one.
#[derive(Debug, Default)]
pub(crate) struct Digests(Mutex<HashMap<PathBuf, Cell>>);

type Cell = Arc<OnceLock<Result<Arc<LocalFile>, String>>>;

impl Digests {
    /// The digests of a file that is asked for once.
    pub(super) fn once(&self, path: &Path) -> Result<Arc<LocalFile>, String> {
        self.of(path)
    }

    /// The SHA-256 of each file that was read.
    pub(crate) fn all(&self) -> std::collections::BTreeMap<PathBuf, String> {
        let cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = cells
            .iter()
            .filter(|(path, _)| !path.starts_with("/proc/self/fd"))
            .filter_map(|(path, cell)| Some((path.clone(), cell.get()?.as_ref().ok()?.sha256.clone())));
        read.collect()
    }

    /// Forgets a file that this run has just written.
    pub(super) fn forget(&self, path: &Path) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }

    /// The digests of a file.
    pub(super) fn of(&self, path: &Path) -> Result<Arc<LocalFile>, String> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(path.to_owned()).or_default())
        };
        // Many hosts ask for one file at the same time: one computes, the others wait for it.
        cell.get_or_init(|| digest(path).map(Arc::new)).clone()
    }
}

/// Files from this size on are read twice, by a thread for SHA and one for MD5, which takes longer than both SHAs together.
const TWO_THREADS: u64 = 1 << 20;

pub(super) fn digest(path: &Path) -> Result<LocalFile, String> {
    use sha2::Digest as _;
    use std::os::unix::fs::PermissionsExt as _;
    let wrong = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let metadata = std::fs::metadata(path).map_err(wrong)?;
    if metadata.is_dir() {
        return Err(format!("{} is a folder, not a file", path.display()));
    }
    let (mut sha256, mut sha1, mut md5, mut size) = (sha2::Sha256::new(), sha1::Sha1::new(), md5::Md5::new(), 0u64);
    let mut sha = |bytes: &[u8]| {
        sha256.update(bytes);
        sha1.update(bytes);
        size += bytes.len() as u64;
    };
    let read = if metadata.len() < TWO_THREADS {
        each_piece(path, |bytes| {
            sha(bytes);
            md5.update(bytes);
        })
    } else {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| each_piece(path, |bytes| md5.update(bytes)));
            let read = each_piece(path, sha);
            let other = other.join().unwrap_or_else(|_| Err(std::io::Error::other("the thread that reads it died")));
            read.and(other)
        })
    };
    read.map_err(wrong)?;
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    Ok(LocalFile {
        path: path.to_owned(),
        size,
        sha256: hex(&sha256.finalize()),
        sha1: hex(&sha1.finalize()),
        md5: hex(&md5.finalize()),
        mode: metadata.permissions().mode() & 0o7777,
    })
}

/// Reads a file from its beginning to its end.
fn each_piece(path: &Path, mut take: impl FnMut(&[u8])) -> std::io::Result<()> {
    use std::io::Read as _;
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0u8; 256 * 1024];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        take(buffer.get(..count).unwrap_or_default());
    }
}

/// The controller for one host at one task.
pub(super) struct Here {
    pub(super) room: Room,
    /// Folders in which files are looked for: the task's file's and the playbook's.
    pub(super) folders: Vec<PathBuf>,
    pub(super) diff: bool,
    /// What a template or expression rested on and is not known yet.
    pub(super) unknown: Mutex<Option<String>>,
}

impl Here {
    /// Why what a module asked for is not known before the run, when that is why it failed.
    pub(super) fn unknown(&self) -> Option<String> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn failure(&self, error: &template::TemplateError) -> Failure {
        if let template::TemplateError::Unknown(reason) = error {
            *self.unknown.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_string());
        }
        Failure::new(super::render::said(error, &self.room.run.sources))
    }

    /// The text of a template; of an encrypted one what it holds.
    fn text(sources: &Sources, path: &Path) -> Result<String, Failure> {
        let bytes = Self::read_file(path)?;
        let not_text = || Failure::new(format!("{} is not UTF-8 text", path.display()));
        match sources.opened(path, &bytes).map_err(|error| Failure::new(error.one_line(sources)))? {
            Some(opened) => Ok(opened.text().map_err(|_| not_text())?.to_owned()),
            None => String::from_utf8(bytes).map_err(|_| not_text()),
        }
    }

    fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
        #[expect(clippy::disallowed_methods, reason = "a module's local file, read for it by the run")]
        std::fs::read(path).map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
    }
}

impl Controller for Here {
    fn host(&self) -> &str {
        &self.room.scope.host.name
    }

    fn find(&self, folder: Folder, name: &str) -> Result<PathBuf, Failure> {
        let expanded = match name.strip_prefix("~/") {
            Some(rest) => std::env::home_dir().map_or_else(|| PathBuf::from(name), |home| home.join(rest)),
            None => PathBuf::from(name),
        };
        if expanded.is_absolute() {
            return if expanded.exists() {
                Ok(expanded)
            } else {
                Err(Failure::new(format!("no such file here: {}", expanded.display())))
            };
        }
        let sub = match folder {
            Folder::Files => "files",
            Folder::Templates => "templates",
            Folder::Vars => "vars",
        };
        let mut looked = Vec::new();
        for base in &self.folders {
            for candidate in [base.join(sub).join(&expanded), base.join(&expanded)] {
                if candidate.exists() {
                    return Ok(candidate);
                }
                let shown = candidate.display().to_string();
                if !looked.contains(&shown) {
                    looked.push(shown);
                }
            }
        }
        Err(Failure::new(format!("no such file here: `{name}`; looked for {}", looked.join(", "))))
    }

    fn variables_folder(&self, name: &str) -> PathBuf {
        let near = self.folders.first().cloned().unwrap_or_default();
        if self.room.scope.role.is_none() {
            return near.join(name);
        }
        // As Ansible has it: `vars` itself is beside the role's tasks, all else is below it.
        if name.split('/').next() == Some("vars") { near.join(name) } else { near.join("vars").join(name) }
    }

    fn variables(&self, path: &Path) -> Result<Vec<(String, Arc<Node>)>, Failure> {
        let layer = self.room.run.read_vars(path).map_err(Failure::new)?;
        Ok(layer.iter().map(|(name, node)| (name.clone(), Arc::clone(node))).collect())
    }

    fn render(&self, node: &Node) -> Result<Value, Failure> {
        self.room.run.engine.render(node, &self.room.as_scope()).map_err(|error| self.failure(&error))
    }

    fn digest(&self, path: &Path) -> Result<Arc<LocalFile>, Failure> {
        self.room.run.digests.of(path).map_err(Failure::new)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, Failure> {
        Self::read_file(path)
    }

    fn opened(&self, path: &Path) -> Result<Option<PathBuf>, Failure> {
        let run = &self.room.run;
        let opened = run.opened.of(path, &run.sources).map_err(Failure::new)?;
        if opened.is_some() {
            // What the run rests on is the file as it lies here.
            run.digests.of(path).map_err(Failure::new)?;
        }
        Ok(opened)
    }

    fn archive(&self, path: &Path) -> Result<Arc<Archive>, Failure> {
        let run = &self.room.run;
        let opened = self.opened(path)?;
        run.archives.of(opened.as_deref().unwrap_or(path), &run.digests).map_err(Failure::new)
    }

    fn list(&self, path: &Path) -> Result<Vec<LocalEntry>, Failure> {
        let mut entries = Vec::new();
        list_into(path, "", &mut entries)?;
        Ok(entries)
    }

    fn render_file(&self, path: &Path, options: &TemplateOptions) -> Result<String, Failure> {
        let sources = Arc::clone(&self.room.run.sources);
        let text = Self::text(&sources, path)?;
        let managed = self.room.with(|scope| {
            scope.locals.insert("ansible_managed".to_owned(), Var::data("Ansible managed"));
            scope.locals.insert("template_path".to_owned(), Var::data(path.display().to_string()));
        });
        let folders: Vec<PathBuf> = path
            .parent()
            .map(Path::to_owned)
            .into_iter()
            .chain(self.folders.iter().map(|f| f.join("templates")))
            .chain(self.folders.iter().cloned())
            .collect();
        let pair = |first: usize, second: usize, default: (String, String)| {
            let given = |at: usize| options.delimiters.get(at).cloned().flatten();
            (given(first).unwrap_or(default.0), given(second).unwrap_or(default.1))
        };
        let default = template::TextOptions::default();
        let options = template::TextOptions {
            trim_blocks: options.trim_blocks,
            lstrip_blocks: options.lstrip_blocks,
            block: pair(0, 1, default.block),
            variable: pair(2, 3, default.variable),
            comment: pair(4, 5, default.comment),
            newline: default.newline,
            loader: Some(Arc::new(move |name: &str| {
                folders.iter().map(|folder| folder.join(name)).find_map(|file| Self::text(&sources, &file).ok())
            })),
        };
        self.room
            .run
            .engine
            .render_text(&text, &options, &managed.as_scope(), &path.display().to_string())
            .map_err(|error| self.failure(&error))
    }

    fn evaluate(&self, expression: &str) -> Result<Value, Failure> {
        let compiled =
            self.room.run.engine.expression(expression, Span::NONE).map_err(|wrong| Failure::new(wrong.message))?;
        self.room.run.engine.evaluate(&compiled, &self.room.as_scope()).map_err(|error| self.failure(&error))
    }

    fn variable(&self, name: &str) -> Option<Value> {
        value_of(&self.room, name)
    }

    fn variable_of(&self, host: &str, name: &str) -> Option<Value> {
        if !self.room.run.inventory().contains(host) {
            return None;
        }
        let host = self.room.run.hosts.get(host);
        value_of(&Room::new(&self.room.run, &host, self.room.play.as_ref()), name)
    }

    fn group(&self, name: &str) -> Option<Vec<String>> {
        self.room.run.inventory().group_hosts(name).map(|hosts| hosts.into_iter().map(str::to_owned).collect())
    }

    fn wants_diff(&self) -> bool {
        self.diff
    }

    fn verbosity(&self) -> u8 {
        self.room.run.options.verbosity
    }

    fn hide(&self, secret: &Secret) {
        self.room.run.masker.add(secret);
    }
}

fn value_of(room: &Room, name: &str) -> Option<Value> {
    match room.scope.variable(name)? {
        Var::Data(value) => Some((*value).clone()),
        Var::Written(node) => room.run.engine.render(&node, &room.as_scope()).ok(),
        Var::Members(_) => {
            let expression = room.run.engine.expression(name, Span::NONE).ok()?;
            room.run.engine.evaluate(&expression, &room.as_scope()).ok()
        }
        Var::Unknown(_) => None,
    }
}

fn list_into(folder: &Path, below: &str, entries: &mut Vec<LocalEntry>) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let wrong = |error: std::io::Error| Failure::new(format!("cannot read {}: {error}", folder.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        names.push(entry.map_err(wrong)?.file_name());
    }
    names.sort();
    for name in names {
        let path = folder.join(&name);
        let metadata = std::fs::metadata(&path).map_err(wrong)?;
        let shown =
            name.to_str().ok_or_else(|| Failure::new(format!("{} has a name that is not UTF-8", path.display())))?;
        let name = if below.is_empty() { shown.to_owned() } else { format!("{below}/{shown}") };
        let directory = metadata.is_dir();
        entries.push(LocalEntry {
            name: name.clone(),
            path: path.clone(),
            directory,
            mode: metadata.permissions().mode() & 0o7777,
        });
        if directory {
            if entries.len() > 1_000_000 {
                return Err(Failure::new(format!("{} holds too many files", folder.display())));
            }
            list_into(&path, &name, entries)?;
        }
    }
    Ok(())
}
