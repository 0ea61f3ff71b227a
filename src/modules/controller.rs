//! What a module may ask of this machine and this run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Failure, archive};
use crate::base::{LocalFile, Node, Secret, Value};

/// Which folder a local file is looked for in, before the playbook's own folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folder {
    /// `files/`.
    Files,
    /// `templates/`.
    Templates,
    /// `vars/`.
    Vars,
}

/// How a template file is rendered (`template:`'s options).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplateOptions {
    /// Removes the newline after a block tag.
    pub(crate) trim_blocks: bool,
    /// Removes blanks before a block tag.
    pub(crate) lstrip_blocks: bool,
    /// Delimiters: block start, block end, variable start, variable end, comment start, comment end; `None` for Jinja's.
    pub(crate) delimiters: [Option<String>; 6],
}

/// An entry of a local folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalEntry {
    /// Path below the folder, `/` between parts.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Whether it is a folder (else a file; links are followed).
    pub(crate) directory: bool,
    /// Permission bits.
    pub(crate) mode: u32,
}

/// What a module may ask of this machine and this run, for one host. `run` implements it; tests have a small one.
pub(crate) trait Controller: Send + Sync {
    /// The inventory name of the host.
    fn host(&self) -> &str;

    /// Finds a local file or folder as Ansible searches for it: `folder` beside the playbook, then beside the playbook.
    ///
    /// # Errors
    /// It isn't there: where it was looked for.
    fn find(&self, folder: Folder, name: &str) -> Result<PathBuf, Failure>;

    /// Where a folder of variables is that is named so: below `vars/` of the role, else beside the task's file.
    fn variables_folder(&self, name: &str) -> PathBuf;

    /// The variables of a file, as they are written.
    ///
    /// # Errors
    /// It can't be read, or is no mapping: with places and carets.
    fn variables(&self, path: &Path) -> Result<Vec<(String, Arc<Node>)>, Failure>;

    /// What was written, rendered with the host's variables.
    ///
    /// # Errors
    /// Something in it is undefined or wrong.
    fn render(&self, node: &Node) -> Result<Value, Failure>;

    /// Size and digests of a local file; computed once a run.
    ///
    /// # Errors
    /// It can't be read.
    fn digest(&self, path: &Path) -> Result<Arc<LocalFile>, Failure>;

    /// A local file's bytes; for small files.
    ///
    /// # Errors
    /// It can't be read.
    fn read(&self, path: &Path) -> Result<Vec<u8>, Failure>;

    /// Where the open copy of a file is that `ansible-vault` has encrypted, for this process alone; `None` when it is not encrypted.
    ///
    /// # Errors
    /// It can't be opened: no password, the wrong one, or the text is damaged.
    fn opened(&self, path: &Path) -> Result<Option<PathBuf>, Failure> {
        let _ = path;
        Ok(None)
    }

    /// A local archive: what is in it, and what of it travels; read once a run.
    ///
    /// # Errors
    /// It can't be read, or is none.
    fn archive(&self, path: &Path) -> Result<Arc<archive::Archive>, Failure>;

    /// What is in a local folder, recursively, in order.
    ///
    /// # Errors
    /// It can't be read.
    fn list(&self, path: &Path) -> Result<Vec<LocalEntry>, Failure>;

    /// Renders a template file with the host's variables.
    ///
    /// # Errors
    /// It can't be read or rendered: file, line and reason.
    fn render_file(&self, path: &Path, options: &TemplateOptions) -> Result<String, Failure>;

    /// Evaluates a bare expression (`assert: that:`, `debug: var:`) with the host's variables.
    ///
    /// # Errors
    /// It is undefined or wrong.
    fn evaluate(&self, expression: &str) -> Result<Value, Failure>;

    /// A variable of the host, rendered; `None` when there is none or it can't be rendered.
    fn variable(&self, name: &str) -> Option<Value>;

    /// A variable of another host.
    fn variable_of(&self, host: &str, name: &str) -> Option<Value>;

    /// The hosts of a group, in inventory order; `None` when there is no such group.
    fn group(&self, name: &str) -> Option<Vec<String>>;

    /// Whether diffs are wanted: probes then bring the old content along.
    fn wants_diff(&self) -> bool;

    /// `-v` count.
    fn verbosity(&self) -> u8;

    /// Keeps a text out of everything that is shown or written down from now on.
    fn hide(&self, secret: &Secret);
}
