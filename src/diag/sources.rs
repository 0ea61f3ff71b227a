//! The texts that spans point into. Every file that people wrote is read through here.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use crate::base::SourceId;

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
}

#[derive(Debug)]
struct Entry {
    name: String,
    text: Arc<str>,
}

/// All texts of a run. Shared by reference; texts are only ever added.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    entries: RwLock<Vec<Entry>>,
}

impl Sources {
    /// No texts yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a text under the name that messages call it by: a path as the user wrote it, or `--extra-vars`.
    pub(crate) fn add(&self, name: impl Into<String>, text: impl Into<Arc<str>>) -> SourceId {
        let mut entries = self.entries.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.push(Entry { name: name.into(), text: text.into() });
        SourceId(u32::try_from(entries.len() - 1).unwrap_or(u32::MAX - 1))
    }

    /// Reads a file and adds its text.
    ///
    /// # Errors
    /// The file can't be read, or isn't UTF-8.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where written files are read")]
    pub(crate) fn load(&self, path: &Path) -> Result<(SourceId, Arc<str>), LoadError> {
        let bytes = std::fs::read(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        let text = String::from_utf8(bytes)
            .map_err(|e| LoadError::NotText { path: path.to_owned(), offset: e.utf8_error().valid_up_to() })?;
        // A byte-order mark is not part of the text.
        let text: Arc<str> = text.strip_prefix('\u{feff}').unwrap_or(&text).into();
        Ok((self.add(path.display().to_string(), Arc::clone(&text)), text))
    }

    /// The name of a text.
    pub(crate) fn name(&self, id: SourceId) -> String {
        let entries = self.entries.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.get(id.0 as usize).map_or_else(|| "<unknown>".to_owned(), |entry| entry.name.clone())
    }

    /// All texts with their names, in the order in which they were read: what a run rests on.
    pub(crate) fn all(&self) -> Vec<(String, Arc<str>)> {
        let entries = self.entries.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.iter().map(|entry| (entry.name.clone(), Arc::clone(&entry.text))).collect()
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
