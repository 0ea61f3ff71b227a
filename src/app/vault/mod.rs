//! `stagger vault` and `ansible-vault`: files and values that are encrypted.
//!
//! Plain text is written into no file that lasts but those that were asked for: the copy that an editor works on lies in a folder
//! that only the user can open, in memory where the machine has such a place, and is overwritten before it is removed.

mod edit;
mod file;
pub(super) mod keys;
mod string;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use super::complain;
use super::session::environment;
use crate::base::{Masker, Opened};
use crate::cli::{Exit, Rules, VaultAct, VaultRequest};
use crate::config::{Config, Places};
use crate::diag::{Sources, render_all};
use crate::vault::{Key, Keyring};
use keys::{Failure, Purpose};

/// Does what was asked.
pub(super) fn run(request: &VaultRequest) -> Exit {
    let sources = Sources::new();
    let environment = environment();
    let (config, found) = Config::load(&sources, &environment, &Places::of(&environment));
    if !found.is_empty() {
        complain(&render_all(&found, &sources, std::io::stderr().is_terminal()));
    }
    let work = Work { request, config: &config };
    match work.run() {
        Ok(()) => Exit::Ok,
        Err((reason, exit)) => {
            match request.rules {
                Rules::Ansible => complain(&format!("[ERROR]: {reason}\n")),
                Rules::Stagger => complain(&format!("error: {reason}\n")),
            }
            match (request.rules, exit) {
                // A file that can't be opened has no code of its own there.
                (Rules::Ansible, Exit::Input | Exit::NoTarget) => Exit::Error,
                (_, exit) => exit,
            }
        }
    }
}

/// A request with the configuration.
struct Work<'a> {
    request: &'a VaultRequest,
    config: &'a Config,
}

impl Work<'_> {
    fn run(&self) -> Result<(), Failure> {
        let request = self.request;
        if request.output.is_some() && request.files.len() > 1 {
            return Err(misfit("At most one input file may be used with the --output option"));
        }
        match &request.act {
            VaultAct::Create { anywhere } => self.create(*anywhere),
            VaultAct::Edit => self.with_ring(|ring| self.each(|path| self.edit(ring, path))),
            VaultAct::View => self.with_ring(|ring| self.each(|path| self.view(ring, path))),
            VaultAct::Decrypt => self.decrypt(),
            VaultAct::Encrypt => self.encrypt(),
            VaultAct::EncryptString(strings) => self.encrypt_string(strings),
            VaultAct::Rekey { file, id } => self.rekey(file.as_deref(), id.as_deref()),
        }
    }

    /// The keyring to open with.
    fn ring(&self) -> Result<Keyring, Failure> {
        let keys = keys::gather(&self.request.keys, self.config, Purpose::Open)?;
        Ok(Keyring::new(keys, self.config.vault_id_match, Masker::default()))
    }

    fn with_ring(&self, act: impl FnOnce(&Keyring) -> Result<(), Failure>) -> Result<(), Failure> {
        act(&self.ring()?)
    }

    fn each(&self, act: impl Fn(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
        self.request.files.iter().try_for_each(|path| act(path))
    }

    /// The key to close with: the one with the label that was asked for, else the only one.
    fn sealing_key(&self, keys: Vec<Key>) -> Result<Key, Failure> {
        let labels: Vec<String> = keys.iter().map(|key| key.label.clone()).collect();
        let wanted = self.request.encrypt_id.as_ref().or(self.config.vault_encrypt_identity.as_ref());
        match wanted {
            Some(label) => keys.into_iter().find(|key| key.label == *label).ok_or_else(|| {
                let known: Vec<String> = labels.iter().map(|label| format!("'{label}'")).collect();
                let known = known.join(", ");
                let reason =
                    format!("Did not find a match for --encrypt-vault-id={label} in the known vault-ids [{known}]");
                (reason, Exit::Error)
            }),
            None if labels.len() > 1 && !matches!(self.request.act, VaultAct::Rekey { .. }) => {
                let labels = labels.join(",");
                Err(misfit(format!(
                    "The vault-ids {labels} are available to encrypt. Specify the vault-id to encrypt with --encrypt-vault-id"
                )))
            }
            None => {
                keys.into_iter().next().ok_or_else(|| misfit("A vault password is required to use Ansible's Vault"))
            }
        }
    }

    fn new_key(&self) -> Result<Key, Failure> {
        self.sealing_key(keys::gather(&self.request.keys, self.config, Purpose::Close)?)
    }

    /// Closes bytes.
    fn seal(&self, plain: &[u8], key: &Key, label: &str) -> Result<String, Failure> {
        let salt = self.config.vault_encrypt_salt.as_deref().map(str::as_bytes);
        crate::vault::seal(plain, &key.password, label, salt).map_err(|locked| (locked.to_string(), Exit::Error))
    }

    /// Opens the bytes of a file, with the key that did.
    fn open<'k>(ring: &'k Keyring, closed: &[u8], path: &Path) -> Result<(Opened, &'k Key), Failure> {
        if !crate::base::is_sealed(closed) {
            return Err((format!("Input is not vault encrypted data. for {}", path.display()), Exit::Input));
        }
        let text = String::from_utf8_lossy(closed);
        ring.open(&text).map_err(|locked| {
            let line = locked
                .place
                .as_ref()
                .map_or(1, |place| text.get(..place.start).unwrap_or_default().matches('\n').count() + 1);
            let help: String = locked.help.iter().map(|line| format!("\n  = help: {line}")).collect();
            (format!("Decryption failed: {} for {}:{line}{help}", locked.message, path.display()), Exit::Input)
        })
    }

    fn decrypt(&self) -> Result<(), Failure> {
        let ring = self.ring()?;
        self.tell_of_stdin("Reading ciphertext input from stdin");
        for path in self.inputs() {
            let (path, closed) = file::read(&path)?;
            let (opened, _) = Self::open(&ring, &closed, &path)?;
            file::write(self.request.output.as_deref().unwrap_or(&path), opened.bytes(), file::Old::Leave)?;
        }
        done("Decryption successful");
        Ok(())
    }

    fn encrypt(&self) -> Result<(), Failure> {
        let key = self.new_key()?;
        self.tell_of_stdin("Reading plaintext input from stdin");
        for path in self.inputs() {
            let (path, plain) = file::read(&path)?;
            if crate::base::is_sealed(&plain) {
                let of = if self.request.files.len() > 1 { format!(": {}", path.display()) } else { String::new() };
                return Err((format!("input is already encrypted{of}"), Exit::Input));
            }
            let closed = self.seal(&plain, &key, &key.label)?;
            file::write(self.request.output.as_deref().unwrap_or(&path), closed.as_bytes(), file::Old::Shred)?;
        }
        done("Encryption successful");
        Ok(())
    }

    fn rekey(&self, file: Option<&Path>, id: Option<&str>) -> Result<(), Failure> {
        let ring = self.ring()?;
        let given = crate::cli::VaultKeys {
            ask: self.request.keys.ask,
            ids: id.map(str::to_owned).into_iter().collect(),
            files: file.map(Path::to_owned).into_iter().collect(),
        };
        let mut config = self.config.clone();
        if self.request.encrypt_id.is_none() && config.vault_encrypt_identity.is_none() {
            config.vault_identity_list.clear();
        }
        let key = self.sealing_key(keys::gather(&given, &config, Purpose::Close)?)?;
        for path in &self.request.files {
            let (path, closed) = file::read(path)?;
            let (opened, _) = Self::open(&ring, &closed, &path)?;
            let closed = self.seal(opened.bytes(), &key, &key.label)?;
            file::replace(&path, closed.as_bytes(), file::Old::Leave)?;
        }
        complain("Rekey successful\n");
        Ok(())
    }

    /// The files, or standard input.
    fn inputs(&self) -> Vec<PathBuf> {
        if self.request.files.is_empty() { vec![PathBuf::from("-")] } else { self.request.files.clone() }
    }

    fn tell_of_stdin(&self, text: &str) {
        if self.request.files.is_empty() && std::io::stdin().is_terminal() {
            complain(&format!("{text}\n"));
        }
    }
}

fn misfit(reason: impl Into<String>) -> Failure {
    (reason.into(), Exit::Misfit)
}

/// Tells a person, and no pipe.
fn done(text: &str) {
    if std::io::stdout().is_terminal() {
        complain(&format!("{text}\n"));
    }
}
