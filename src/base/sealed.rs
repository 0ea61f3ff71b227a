//! What `ansible-vault` has closed: how it is told from other text, and who opens it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use zeroize::Zeroizing;

/// What every closed text begins with.
const BEGINNING: &str = "$ANSIBLE_VAULT";

/// Whether bytes are a closed text, as far as their beginning tells.
pub(crate) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(BEGINNING.as_bytes())
}

/// What a closed text holds when it is open. Secrets in it are known to the masker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// One value: all of it is the secret.
    Value,
    /// A file: what it has as values is secret.
    File,
}

/// An open text; Debug does not show it.
#[derive(Clone)]
pub(crate) struct Opened(pub(crate) Arc<Zeroizing<Vec<u8>>>);

impl Opened {
    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub(crate) fn text(&self) -> Result<&str, Locked> {
        std::str::from_utf8(&self.0).map_err(|_| {
            Locked::new("it was decrypted, and what it holds is not UTF-8 text")
                .help("bytes that are no text can be copied to hosts; they can't be a variable or a playbook")
        })
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened(********)")
    }
}

/// Why a closed text can't be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Locked {
    /// One line, without the name of the file.
    pub(crate) message: String,
    /// What to do, a line each.
    pub(crate) help: Vec<String>,
    /// The bytes of the closed text that it is about.
    pub(crate) place: Option<Range<usize>>,
    /// Nobody gave a password at all.
    pub(crate) no_password: bool,
}

impl Locked {
    /// A reason.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: Vec::new(), place: None, no_password: false }
    }

    /// Nobody gave a password.
    pub(crate) fn no_password() -> Self {
        Self {
            no_password: true,
            ..Self::new("this is encrypted, and no vault password was given")
                .help("give it with --vault-password-file FILE, --vault-id LABEL@FILE, or -J to be asked")
        }
    }

    /// Adds a line of help.
    #[must_use]
    pub(crate) fn help(mut self, line: impl Into<String>) -> Self {
        self.help.push(line.into());
        self
    }

    /// Says which bytes of the closed text it is about.
    #[must_use]
    pub(crate) fn at(mut self, place: Range<usize>) -> Self {
        self.place = Some(place);
        self
    }
}

/// Who opens closed texts.
pub(crate) trait Unlock: fmt::Debug + Send + Sync {
    /// Opens a text, its first line included. Secrets that come to light are masked from then on.
    ///
    /// # Errors
    /// Why it can't be opened.
    fn unlock(&self, closed: &str, holds: Holds) -> Result<Opened, Locked>;
}
