//! The vault passwords: from files, scripts and the person at the terminal, in Ansible's order.
//!
//! First those of `vault_identity_list`, then `--vault-id`, then `--vault-password-file`, then `vault_password_file`, then what is
//! asked for. A source that gives no password is a warning as long as another one does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::app::with_causes;
use crate::base::{Masker, Unlock, is_sealed};
use crate::cli::{Exit, VaultKeys};
use crate::config::Config;
use crate::diag::Sources;
use crate::report::prompt::{PromptError, ask_secret};
use crate::template::Engine;
use crate::vault::{Key, Keyring, Password};

/// Why there are no passwords.
pub(in crate::app) type Failure = (String, Exit);

/// What the passwords are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::app) enum Purpose {
    /// To open: nobody is asked unless it was said so.
    Run,
    /// To open, and without a password nothing can be done: it is asked for if none is given.
    Open,
    /// To close with: a password that is typed is typed twice.
    Close,
}

/// Where one password comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// The terminal; with the label in the question.
    Prompt { labelled: bool },
    /// A file or script.
    File(PathBuf),
}

/// The exit code of a client script that does not know a label.
const LABEL_UNKNOWN: i32 = 2;

/// The keyring of a run, and what is to be warned of.
///
/// # Errors
/// Passwords were named, and none could be had.
pub(in crate::app) fn keyring(given: &VaultKeys, config: &Config, masker: &Masker) -> Result<Keyring, Failure> {
    let keys = gather(given, config, Purpose::Run)?;
    Ok(Keyring::new(keys, config.vault_id_match, masker.clone()))
}

/// Gives the keyring to who reads files and to who renders values. The second is why there is none.
pub(in crate::app) fn hand_out(
    given: &VaultKeys,
    config: &Config,
    masker: &Masker,
    sources: &Sources,
) -> (Engine, Option<Failure>) {
    match keyring(given, config, masker) {
        Ok(keyring) => {
            let keyring: Arc<dyn Unlock> = Arc::new(keyring);
            sources.unlock_with(Arc::clone(&keyring));
            (Engine::new().unlock_with(keyring), None)
        }
        Err(failure) => (Engine::new(), Some(failure)),
    }
}

/// All passwords, in the order in which they are tried.
///
/// # Errors
/// Passwords were named, and none could be had.
pub(in crate::app) fn gather(given: &VaultKeys, config: &Config, purpose: Purpose) -> Result<Vec<Key>, Failure> {
    if let Some(wrong) = given.ids.iter().find(|id| id.contains(';')) {
        let reason = format!("'{wrong}' is not a valid vault id. The character ';' is not allowed in vault ids");
        return Err((reason, Exit::Misfit));
    }
    let mut named: Vec<(Option<String>, Source)> = Vec::new();
    for slug in config.vault_identity_list.iter().chain(&given.ids) {
        let (label, value) = match slug.split_once('@') {
            Some((label, value)) => (Some(label.to_owned()).filter(|label| !label.is_empty()), value),
            None => (None, slug.as_str()),
        };
        named.push((label, source(value)));
    }
    let default = || Some(config.vault_identity.clone());
    let files = given.files.iter().chain(&config.vault_password_file);
    named.extend(files.map(|file| (default(), Source::File(home(file)))));
    let asked = given.ask || (config.ask_vault_pass && purpose == Purpose::Run && named.is_empty());
    if asked || (named.is_empty() && purpose != Purpose::Run) {
        named.push((default(), Source::Prompt { labelled: false }));
    }
    let mut keys: Vec<Key> = Vec::new();
    let mut last = None;
    for (label, source) in named {
        let label = label.unwrap_or_else(|| config.vault_identity.clone());
        let password = match &source {
            Source::Prompt { labelled } => Ok(prompt(&label, *labelled, purpose)?),
            Source::File(path) => from_file(path, &label, &keys),
        };
        match password {
            Ok(password) => keys.push(Key { label, password }),
            Err(failure) => last = Some((label, failure)),
        }
        if let (Some((label, (reason, _))), false) = (&last, keys.is_empty()) {
            crate::app::complain(&format!("[WARNING]: Error getting vault password file ({label}): {reason}\n"));
            last = None;
        }
    }
    match last {
        Some((_, failure)) if keys.is_empty() => Err(failure),
        _ => Ok(keys),
    }
}

fn source(value: &str) -> Source {
    match value {
        "prompt" => Source::Prompt { labelled: true },
        "prompt_ask_vault_pass" => Source::Prompt { labelled: false },
        file => Source::File(home(Path::new(file))),
    }
}

/// `~/` as the shell has it where it stands after `label@`.
fn home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

fn prompt(label: &str, labelled: bool, purpose: Purpose) -> Result<Password, Failure> {
    let questions = match (purpose, labelled) {
        (Purpose::Close, true) => {
            vec![format!("New vault password ({label}): "), format!("Confirm new vault password ({label}): ")]
        }
        (Purpose::Close, false) => vec!["New Vault password: ".to_owned(), "Confirm New Vault password: ".to_owned()],
        (_, true) => vec![format!("Vault password ({label}): ")],
        (_, false) => vec!["Vault password: ".to_owned()],
    };
    let mut first: Option<Password> = None;
    for question in &questions {
        let answer = ask_secret(question).map_err(|error| match error {
            PromptError::Interrupted => (error.to_string(), Exit::Interrupted),
            _ => (format!("{}; give the password in a file: --vault-password-file", with_causes(&error)), Exit::Error),
        })?;
        // As Ansible: blanks around a typed password do not count.
        let typed = Password::new(answer.reveal().trim().as_bytes().to_vec())
            .ok_or_else(|| ("Invalid vault password was provided: it is empty".to_owned(), Exit::Error))?;
        match &first {
            Some(first) if *first != typed => return Err(("Passwords do not match".to_owned(), Exit::Error)),
            Some(_) => {}
            None => first = Some(typed),
        }
    }
    first.ok_or_else(|| ("Invalid vault password was provided: it is empty".to_owned(), Exit::Error))
}

fn from_file(path: &Path, label: &str, known: &[Key]) -> Result<Password, Failure> {
    let shown = path.display();
    let metadata = std::fs::metadata(path)
        .map_err(|_| (format!("The vault password file {shown} was not found"), Exit::NoTarget))?;
    if metadata.is_dir() {
        return Err((format!("The vault password file provided '{shown}' can not be a directory"), Exit::NoTarget));
    }
    if metadata.permissions().mode() & 0o111 != 0 {
        return script(path, label);
    }
    #[expect(clippy::disallowed_methods, reason = "a password is no text that people are shown")]
    let bytes = std::fs::read(path)
        .map_err(|error| (format!("Could not read vault password file {shown}: {error}"), Exit::NoTarget))?;
    let trimmed = bytes.trim_ascii();
    let bytes = if is_sealed(trimmed) {
        // A file of passwords may be encrypted with one that was given before it.
        let ring = Keyring::new(known.to_vec(), false, Masker::default());
        let opened = ring.open(&String::from_utf8_lossy(trimmed));
        let (opened, _) = opened.map_err(|locked| (format!("{shown}: {locked}"), Exit::Input))?;
        line(opened.bytes()).to_vec()
    } else {
        line(trimmed).to_vec()
    };
    Password::new(bytes)
        .ok_or_else(|| (format!("Invalid vault password was provided from file ({shown}): it is empty"), Exit::Input))
}

/// Without line ends around it.
fn line(bytes: &[u8]) -> &[u8] {
    let end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let from = bytes.iter().position(|byte| !end(byte)).unwrap_or(bytes.len());
    let to = bytes.iter().rposition(|byte| !end(byte)).map_or(from, |last| last + 1);
    bytes.get(from..to).unwrap_or_default()
}

/// What a script prints; one whose name ends in `-client` is told the label.
fn script(path: &Path, label: &str) -> Result<Password, Failure> {
    let shown = path.display();
    let client = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("-client"));
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut command = Command::new(whole);
    if client {
        command.args(["--vault-id", label]);
    }
    // A script may ask the person itself: it has the terminal.
    let output = command.stdin(Stdio::inherit()).stderr(Stdio::inherit()).output().map_err(|error| {
        let what = "If this is not a script, remove the executable bit from the file.";
        (format!("Problem running vault password script {shown} ({error}). {what}"), Exit::Error)
    })?;
    match output.status.code() {
        Some(0) => {}
        Some(LABEL_UNKNOWN) if client => {
            let reason = format!("Vault password client script {shown} did not find a secret for vault-id={label}");
            return Err((reason, Exit::Error));
        }
        _ => {
            return Err((format!("Vault password script {shown} did not work: {}", output.status), Exit::Error));
        }
    }
    Password::new(line(&output.stdout).to_vec())
        .ok_or_else(|| (format!("Invalid vault password was provided from script ({shown}): it is empty"), Exit::Error))
}
