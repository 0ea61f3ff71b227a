//! What is pushed: a file, an archive or a folder of this machine, with its digest.

use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::base::LocalFile;
use crate::modules::{Arguments, Controller, Failure, Folder};

/// What is pushed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Source {
    /// SHA-256: of the file or archive, or of the folder's list of modes, checksums and names.
    pub(super) sha256: String,
    /// Bytes to send in all.
    pub(super) size: u64,
    /// What it is.
    pub(super) form: Form,
}

/// See [`Source`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    /// One file.
    File(Arc<LocalFile>),
    /// A tar archive; `letter` is tar's option for its compression, `strip` how many leading folders are left out.
    Archive { file: Arc<LocalFile>, letter: &'static str, strip: i64 },
    /// A folder's files and folders, by their path below it.
    Folder { files: Vec<(String, Arc<LocalFile>)>, folders: Vec<String> },
}

impl Source {
    /// The first characters of its digest: names what is half uploaded.
    pub(super) fn mark(&self) -> &str {
        self.sha256.get(..12).unwrap_or(&self.sha256)
    }

    /// The record's word: `file`, or `tree` for what is a folder on the host.
    pub(super) fn kind(&self) -> &'static str {
        match self.form {
            Form::File(_) => "file",
            Form::Archive { .. } | Form::Folder { .. } => "tree",
        }
    }
}

/// Looks at what is to be pushed.
pub(super) fn load(arguments: &Arguments, src: &str, here: &dyn Controller) -> Result<Source, Failure> {
    let path = here.find(Folder::Files, src)?;
    let source = match here.list(&path) {
        Ok(entries) => {
            let mut files = Vec::new();
            let mut folders = Vec::new();
            for entry in entries {
                if entry.name.contains(['\n', '\t', '\\']) {
                    return Err(Failure::new(format!("`{src}` has a file whose name can't be sent: {:?}", entry.name)));
                }
                if entry.directory {
                    folders.push(entry.name)
                } else {
                    files.push((entry.name, here.digest(&entry.path)?))
                }
            }
            let mut list = String::new();
            for (name, file) in &files {
                let _ = writeln!(list, "{:04o} {} {name}", file.mode, file.sha256);
            }
            for name in &folders {
                let _ = writeln!(list, "folder {name}");
            }
            let sha256 = Sha256::digest(list.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
            let size = files.iter().map(|(_, file)| file.size).sum();
            Source { sha256, size, form: Form::Folder { files, folders } }
        }
        Err(_) => {
            let file = here.digest(&path)?;
            let letter = compression(src);
            let unpack = if arguments.has("unpack") { arguments.flag("unpack") } else { letter.is_some() };
            let (sha256, size) = (file.sha256.clone(), file.size);
            let strip = arguments.int("strip").unwrap_or_default();
            let form = match (unpack, letter) {
                (false, _) => Form::File(file),
                (true, Some(letter)) => Form::Archive { file, letter, strip },
                (true, None) => {
                    return Err(Failure::new(format!(
                        "`{src}` can't be unpacked: its name must end in .tar, .tar.gz, .tgz, .tar.bz2 or .tar.xz"
                    )));
                }
            };
            Source { sha256, size, form }
        }
    };
    match arguments.text("sha256") {
        Some(expected) if !expected.trim().eq_ignore_ascii_case(&source.sha256) => Err(Failure::new(format!(
            "`{src}` is not what it should be: its SHA-256 is {}, `sha256` says {}",
            source.sha256,
            expected.trim()
        ))),
        _ => Ok(source),
    }
}

fn compression(name: &str) -> Option<&'static str> {
    const ENDS: &[(&str, &str)] =
        &[(".tar", ""), (".tar.gz", "z"), (".tgz", "z"), (".tar.bz2", "j"), (".tar.xz", "J"), (".txz", "J")];
    ENDS.iter().find(|(end, _)| name.ends_with(end)).map(|(_, letter)| *letter)
}
