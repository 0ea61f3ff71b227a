//! The passwords of a run, and what they have opened.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::cipher::{self, Password, Refused};
use super::envelope::Envelope;
use super::secrets;
use crate::base::{Holds, Locked, Masker, Opened, Secret, Unlock};

/// A password with its label.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// The label that it was given with, or `default`.
    pub(crate) label: String,
    /// The password.
    pub(crate) password: Password,
}

/// All passwords of a run in the order in which they were given, and what they have opened: the keys of one text take some
/// milliseconds to make, and many hosts ask for one text.
#[derive(Debug, Default)]
pub(crate) struct Keyring {
    keys: Vec<Key>,
    /// `vault_id_match`: a text with a label is opened with the passwords of that label alone.
    only_label: bool,
    masker: Masker,
    opened: Mutex<HashMap<String, Cell>>,
}

type Cell = Arc<OnceLock<Result<Opened, Locked>>>;

impl Keyring {
    /// A keyring; what it opens is told to the masker.
    pub(crate) fn new(keys: Vec<Key>, only_label: bool, masker: Masker) -> Self {
        Self { keys, only_label, masker, opened: Mutex::default() }
    }

    /// Opens a text, and says with which password.
    ///
    /// # Errors
    /// It is damaged, or none of the passwords opens it.
    pub(crate) fn open(&self, closed: &str) -> Result<(Opened, &Key), Locked> {
        let envelope = Envelope::parse(closed)?;
        if self.keys.is_empty() {
            return Err(Locked::no_password().at(0..first_line(closed)));
        }
        // The password of the text's own label first; then the others, since a label is only a hint.
        let own = |key: &&Key| envelope.label.as_ref() == Some(&key.label);
        let others = self.keys.iter().filter(|key| !own(key) && !self.only_label);
        let mut verdicts = Vec::new();
        for key in self.keys.iter().filter(own).chain(others) {
            match cipher::decrypt(&envelope.body, &key.password)? {
                Ok(plain) => return Ok((Opened(Arc::new(plain)), key)),
                Err(refused) => verdicts.push(refused),
            }
        }
        Err(self.refused(&envelope, &verdicts).at(0..first_line(closed)))
    }

    fn refused(&self, envelope: &Envelope, verdicts: &[Refused]) -> Locked {
        let whole = "take the file again from where it came from: nothing of it can be used";
        if verdicts.contains(&Refused::Changed) {
            return Locked::new("the encrypted text was changed since it was encrypted: its checksum is wrong")
                .help(whole);
        }
        if verdicts.contains(&Refused::CutShort) {
            return Locked::new("the encrypted text is cut short, or its end was changed: its checksum is wrong")
                .help(whole);
        }
        let labels: Vec<&str> = self.keys.iter().map(|key| key.label.as_str()).collect();
        let given = match labels.as_slice() {
            [_] => String::new(),
            many => format!(" (given: {})", many.join(", ")),
        };
        match &envelope.label {
            Some(label) if verdicts.is_empty() => Locked::new(format!(
                "it is encrypted with the password of `{label}`, which was not given{given}"
            ))
            .help(format!("give it with --vault-id {label}@FILE; vault_id_match keeps the others from being tried")),
            Some(label) if !labels.contains(&label.as_str()) => Locked::new(format!(
                "wrong vault password: it is encrypted with that of `{label}`, which was not given{given}"
            ))
            .help(format!("give it with --vault-id {label}@FILE")),
            Some(label) => Locked::new(format!("wrong vault password for `{label}`{given}")),
            None => Locked::new(format!("wrong vault password{given}")),
        }
    }
}

fn first_line(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

impl Unlock for Keyring {
    fn unlock(&self, closed: &str, holds: Holds) -> Result<Opened, Locked> {
        let cell = {
            let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(opened.entry(closed.trim_end().to_owned()).or_default())
        };
        // Many hosts ask for one text at the same time: one opens it, the others wait for it.
        cell.get_or_init(|| {
            let (opened, _) = self.open(closed)?;
            match (holds, std::str::from_utf8(opened.bytes())) {
                (Holds::Value, Ok(text)) => self.masker.add(&Secret::new(text)),
                (Holds::File, Ok(text)) => secrets::of_file(text).iter().for_each(|secret| self.masker.add(secret)),
                (_, Err(_)) => {}
            }
            Ok(opened)
        })
        .clone()
    }
}
