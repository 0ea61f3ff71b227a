//! The texts that spans point into. Every file that people wrote is read through here.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, RwLock};

use super::Diagnostic;
use crate::base::{Holds, Locked, Opened, SourceId, Span, Unlock, is_sealed};

/// Why a file can't be read as text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The operating system refused.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
    /// The bytes are not UTF-8.
    #[error("{} is not UTF-8 text (byte {offset})", path.display())]
    NotText {
        /// Which file.
        path: PathBuf,
        /// The first bad byte.
        offset: usize,
    },
    /// It is encrypted, and can't be opened.
    #[error("cannot open {}: {locked}", path.display())]
    Locked {
        /// Which file.
        path: PathBuf,
        /// The encrypted text.
        closed: SourceId,
        /// Why not.
        locked: Locked,
    },
}

impl LoadError {
    /// As a mistake: of an encrypted file in that file, else at `span`, where it is named.
    pub(crate) fn diagnostic(&self, span: Span) -> Diagnostic {
        match self {
            Self::Locked { closed, locked, .. } => {
                let place = locked.place.clone().unwrap_or_default();
                let clamp = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
                let place = Span { source: *closed, start: clamp(place.start), end: clamp(place.end) };
                let mut wrong = Diagnostic::error(locked.message.as_str(), place);
                if span.is_some() {
                    wrong = wrong.also(span, "named here");
                }
                locked.help.iter().fold(wrong, |wrong, line| wrong.help(line.as_str()))
            }
            _ => {
                let reason = std::error::Error::source(self).map(|source| format!(": {source}")).unwrap_or_default();
                Diagnostic::error(format!("{self}{reason}"), span)
            }
        }
    }

    /// On one line, with the place, as a host's failure has it.
    pub(crate) fn one_line(&self, sources: &Sources) -> String {
        let diagnostic = self.diagnostic(Span::NONE);
        let place = diagnostic.labels.first().map(|label| sources.place(label.span)).filter(|place| !place.is_empty());
        let help = diagnostic.help.first().map(|line| format!(" ({line})")).unwrap_or_default();
        format!("{}{}{help}", place.map(|place| format!("{place}: ")).unwrap_or_default(), diagnostic.message)
    }

    /// Whether it is encrypted, and nobody gave a password.
    pub(crate) fn wants_password(&self) -> bool {
        matches!(self, Self::Locked { locked, .. } if locked.no_password)
    }
}

#[derive(Debug)]
struct Entry {
    name: String,
    text: Arc<str>,
    /// As it is on disk, when that is encrypted.
    closed: Option<Arc<str>>,
}

/// All texts of a run. Shared by reference; texts are only ever added.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    entries: RwLock<Vec<Entry>>,
    /// Who opens encrypted files; nobody can, before it is known.
    unlock: OnceLock<Arc<dyn Unlock>>,
}

impl Sources {
    /// No texts yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a text under the name that messages call it by: a path as the user wrote it, or `--extra-vars`.
    pub(crate) fn add(&self, name: impl Into<String>, text: impl Into<Arc<str>>) -> SourceId {
        self.push(Entry { name: name.into(), text: text.into(), closed: None })
    }

    /// Says who opens encrypted files from now on. Only the first that is named counts.
    pub(crate) fn unlock_with(&self, unlock: Arc<dyn Unlock>) {
        let _ = self.unlock.set(unlock);
    }

    fn push(&self, entry: Entry) -> SourceId {
        let mut entries = self.entries.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.push(entry);
        SourceId(u32::try_from(entries.len() - 1).unwrap_or(u32::MAX - 1))
    }

    /// Reads a file and adds its text; of an encrypted one the text that it holds.
    ///
    /// # Errors
    /// The file can't be read or opened, or isn't UTF-8.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where written files are read")]
    pub(crate) fn load(&self, path: &Path) -> Result<(SourceId, Arc<str>), LoadError> {
        let bytes = std::fs::read(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        let text = String::from_utf8(bytes)
            .map_err(|e| LoadError::NotText { path: path.to_owned(), offset: e.utf8_error().valid_up_to() })?;
        // A byte-order mark is not part of the text.
        let text: Arc<str> = text.strip_prefix('\u{feff}').unwrap_or(&text).into();
        if is_sealed(text.as_bytes()) {
            return self.open(path, text);
        }
        Ok((self.add(path.display().to_string(), Arc::clone(&text)), text))
    }

    fn open(&self, path: &Path, closed: Arc<str>) -> Result<(SourceId, Arc<str>), LoadError> {
        let name = path.display().to_string();
        match self.unlock(&closed).and_then(|opened| Ok(Arc::from(opened.text()?))) {
            Ok(text) => {
                let text: Arc<str> = text;
                Ok((self.push(Entry { name, text: Arc::clone(&text), closed: Some(closed) }), text))
            }
            Err(locked) => Err(LoadError::Locked { path: path.to_owned(), closed: self.add(name, closed), locked }),
        }
    }

    fn unlock(&self, closed: &str) -> Result<Opened, Locked> {
        match self.unlock.get() {
            Some(unlock) => unlock.unlock(closed, Holds::File),
            None => Err(Locked::no_password()),
        }
    }

    /// What the bytes of an encrypted file hold; `None` when they are not encrypted.
    ///
    /// # Errors
    /// It can't be opened.
    pub(crate) fn opened(&self, path: &Path, bytes: &[u8]) -> Result<Option<Opened>, LoadError> {
        if !is_sealed(bytes) {
            return Ok(None);
        }
        let closed = String::from_utf8_lossy(bytes);
        self.unlock(&closed).map(Some).map_err(|locked| LoadError::Locked {
            path: path.to_owned(),
            closed: self.add(path.display().to_string(), closed.as_ref()),
            locked,
        })
    }

    /// Whether a text was encrypted on disk: its lines are not for showing.
    pub(crate) fn was_closed(&self, id: SourceId) -> bool {
        let entries = self.entries.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.get(id.0 as usize).is_some_and(|entry| entry.closed.is_some())
    }

    /// The name of a text.
    pub(crate) fn name(&self, id: SourceId) -> String {
        let entries = self.entries.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.get(id.0 as usize).map_or_else(|| "<unknown>".to_owned(), |entry| entry.name.clone())
    }

    /// All texts with their names, as they are on disk, in the order in which they were read: what a run rests on.
    pub(crate) fn all(&self) -> Vec<(String, Arc<str>)> {
        let entries = self.entries.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let written = |entry: &Entry| Arc::clone(entry.closed.as_ref().unwrap_or(&entry.text));
        entries.iter().map(|entry| (entry.name.clone(), written(entry))).collect()
    }

    /// The text.
    pub(crate) fn text(&self, id: SourceId) -> Option<Arc<str>> {
        let entries = self.entries.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.get(id.0 as usize).map(|entry| Arc::clone(&entry.text))
    }

    /// `file:line:column` of a span's start, counted from one, columns in characters. Empty for [`crate::base::Span::NONE`].
    pub(crate) fn place(&self, span: crate::base::Span) -> String {
        let Some(text) = self.text(span.source) else { return String::new() };
        let before = text.get(..(span.start as usize).min(text.len())).unwrap_or(&text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        format!("{}:{line}:{column}", self.name(span.source))
    }
}
