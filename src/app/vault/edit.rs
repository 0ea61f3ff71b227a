//! `create`, `edit`, `view`: encrypted files before a person's eyes.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::file::{self, Old};
use super::keys::Failure;
use super::{Work, misfit};
use crate::app::{complain, print};
use crate::cli::Exit;
use crate::vault::{DEFAULT_LABEL, Envelope, Keyring};

impl Work<'_> {
    /// A new file.
    pub(super) fn create(&self, anywhere: bool) -> Result<(), Failure> {
        let key = self.new_key()?;
        let [path] = self.request.files.as_slice() else {
            return Err(misfit("ansible-vault create can take only one filename argument"));
        };
        if !anywhere && !std::io::stdout().is_terminal() {
            return Err(misfit("not a tty, editor cannot be opened"));
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
            complain(&format!("[WARNING]: {} does not exist, creating...\n", folder.display()));
            std::fs::create_dir_all(folder)
                .map_err(|error| (format!("cannot make {}: {error}", folder.display()), Exit::Error))?;
        }
        if path.is_file() {
            return Err((format!("{} exists, please use 'edit' instead", path.display()), Exit::Error));
        }
        let draft = Draft::new(path, b"")?;
        draft.edit()?;
        let text = draft.text()?;
        let closed = self.seal(&text, &key, &key.label)?;
        file::write(path, closed.as_bytes(), Old::Leave)
    }

    /// A file that is there.
    pub(super) fn edit(&self, ring: &Keyring, path: &Path) -> Result<(), Failure> {
        let (path, closed) = file::read(path)?;
        let (opened, key) = Self::open(ring, &closed, &path)?;
        let label = Envelope::parse(&String::from_utf8_lossy(&closed)).ok().and_then(|envelope| envelope.label);
        let draft = Draft::new(&path, opened.bytes())?;
        draft.edit()?;
        let text = draft.text()?;
        if text.as_slice() == opened.bytes() {
            return Ok(());
        }
        let fresh = self.seal(&text, key, label.as_deref().unwrap_or(DEFAULT_LABEL))?;
        if file::read(&path).ok().map(|(_, now)| now) != Some(closed) {
            let mut aside = path.clone().into_os_string();
            aside.push(".edited");
            let aside = PathBuf::from(aside);
            file::write(&aside, fresh.as_bytes(), Old::Leave)?;
            let (path, aside) = (path.display(), aside.display());
            return Err((
                format!("{path} was changed while it was edited; what you wrote is in {aside}, encrypted"),
                Exit::Error,
            ));
        }
        file::replace(&path, fresh.as_bytes(), Old::Leave)
    }

    /// Shows a file, page by page at a terminal.
    pub(super) fn view(&self, ring: &Keyring, path: &Path) -> Result<(), Failure> {
        let (path, closed) = file::read(path)?;
        let (opened, _) = Self::open(ring, &closed, &path)?;
        let mut text = String::from_utf8_lossy(opened.bytes()).into_owned();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if !std::io::stdout().is_terminal() || !page(&text) {
            print(&text);
        }
        Ok(())
    }
}

/// Gives a text to `$PAGER` or `less`; tells whether one was there.
fn page(text: &str) -> bool {
    let named = std::env::var("PAGER").ok().and_then(|pager| shlex::split(&pager)).filter(|words| !words.is_empty());
    let words = named.unwrap_or_else(|| vec!["less".to_owned()]);
    let Some((program, arguments)) = words.split_first() else { return false };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", "FRSX");
    }
    let Ok(mut child) = command.spawn() else { return false };
    if let Some(mut pipe) = child.stdin.take() {
        // Whoever has seen enough closes the pipe.
        let _ = pipe.write_all(text.as_bytes());
    }
    child.wait().is_ok()
}

/// The plain text while it is edited: a file for the user alone, shredded when it is dropped.
struct Draft {
    path: PathBuf,
    /// Where it is; removed with it.
    folder: tempfile::TempDir,
}

impl Draft {
    fn new(of: &Path, text: &[u8]) -> Result<Self, Failure> {
        let wrong = |error: std::io::Error| (format!("cannot make a file to edit: {error}"), Exit::Error);
        // In memory where the machine has a place for the user's own files there.
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
        let mut builder = tempfile::Builder::new();
        builder.prefix("stagger-vault-").permissions(Permissions::from_mode(0o700));
        let folder = match runtime.and_then(|folder| builder.tempdir_in(folder).ok()) {
            Some(folder) => folder,
            None => builder.tempdir().map_err(wrong)?,
        };
        // The editor knows the notation by the name.
        let path = folder.path().join(of.file_name().unwrap_or("vault".as_ref()));
        let draft = Self { path, folder };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(&draft.path).and_then(|mut file| file.write_all(text)).map_err(wrong)?;
        Ok(draft)
    }

    /// Lets the person work on it.
    fn edit(&self) -> Result<(), Failure> {
        let named = ["ANSIBLE_EDITOR", "EDITOR"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|v| !v.trim().is_empty()));
        let editor = named.unwrap_or_else(|| "vi".to_owned());
        let words = shlex::split(&editor).filter(|words| !words.is_empty());
        let words = words.ok_or_else(|| (format!("$EDITOR is no command: {editor}"), Exit::Error))?;
        let status = match words.split_first() {
            Some((program, arguments)) => Command::new(program).args(arguments).arg(&self.path).status(),
            None => return Ok(()),
        };
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err((format!("the editor ended with {status}: nothing was changed"), Exit::Error)),
            Err(error) => Err((format!("Unable to execute the command \"{editor}\": {error}"), Exit::Error)),
        }
    }

    fn text(&self) -> Result<zeroize::Zeroizing<Vec<u8>>, Failure> {
        file::read(&self.path).map(|(_, text)| zeroize::Zeroizing::new(text))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // The editor may have written a new file, and left a copy of the old one.
        let Ok(entries) = std::fs::read_dir(self.folder.path()) else { return };
        for entry in entries.flatten() {
            if let Ok(file) = File::options().write(true).open(entry.path()) {
                file::shred(file);
            }
        }
    }
}
