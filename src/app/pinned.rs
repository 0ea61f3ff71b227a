//! What a run rests on, by digest: whoever goes on with it later sees what has changed.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::diag::Sources;

/// The folder in which this process is.
pub(super) fn directory() -> String {
    std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default()
}

/// Digests of all texts that were read from files.
pub(super) fn pinned(sources: &Sources) -> BTreeMap<String, String> {
    let files = sources.all().into_iter().filter(|(name, _)| !name.starts_with("--"));
    files.map(|(name, text)| (name, sha256(text.as_bytes()))).collect()
}

/// The SHA-256 of a file; `None` when it can't be read.
pub(super) fn digest_of(path: &Path) -> Option<String> {
    let mut file = std::fs::File::open(path).ok()?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0u8; 1 << 18];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(hex(&digest.finalize())),
            count => digest.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
