//! What is sent to a host: bytes in memory, or a local file that is read while it is sent.

use std::path::PathBuf;
use std::sync::Arc;

/// A file on this machine whose digest is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its size in bytes when it was digested.
    pub(crate) size: u64,
    /// SHA-256 in lower-case hex, computed once a run.
    pub(crate) sha256: String,
    /// SHA-1 in lower-case hex: what Ansible's results carry as `checksum`.
    pub(crate) sha1: String,
    /// MD5 in lower-case hex: their `md5sum`.
    pub(crate) md5: String,
    /// Permission bits (`0o7777` mask).
    pub(crate) mode: u32,
}

/// The standard input of a remote command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// Bytes in memory.
    Bytes(Arc<[u8]>),
    /// A local file, sent from `offset` (bytes) on.
    File {
        /// The file.
        file: Arc<LocalFile>,
        /// Bytes to leave out at the beginning, because they are there already.
        offset: u64,
    },
}

impl Content {
    /// Content of a string.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Bytes(text.into().into_bytes().into())
    }

    /// How many bytes will be sent.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { file, offset } => file.size.saturating_sub(*offset),
        }
    }
}
