//! What a preview knows of a file that an earlier task would have written: the answer that a look would get then.
//!
//! All modules that put one file at one place, or edit it, ask under the same subject ([`file_subject`]) and read each
//! other's answers. What is not known is left out of the answer: a module that needs it fails to read it, which a preview
//! shows as unknown.

use std::fmt::Write as _;

use base64::Engine as _;

use super::attributes::{Settled, Wanted};
use super::text::{DIFF_LIMIT, hex_sha256};
use super::{Entry, Kind, Look, Seen};
use crate::base::Output;

/// The subject of a file's content and attributes.
pub(crate) fn file_subject(path: &str) -> String {
    let path = path.trim_end_matches('/');
    format!("file {}", if path.is_empty() { "/" } else { path })
}

/// An owner or group whose number is not known.
const UNKNOWN: u32 = u32::MAX;

/// A file as it will be.
#[derive(Debug)]
pub(crate) struct Foreseen<'a> {
    /// What was seen before: the umask and the numbers of names are taken over.
    pub(crate) seen: &'a Seen,
    /// The path that it really has.
    pub(crate) path: &'a str,
    /// What will be there.
    pub(crate) look: Look,
    /// The content; `None` when it is not known (or nothing is there).
    pub(crate) content: Option<&'a [u8]>,
    /// The content's SHA-256, where that is known.
    pub(crate) sha256: Option<&'a str>,
}

/// What is there once attributes are as settled; `old` is what is there now.
pub(crate) fn entry_after(old: Option<&Entry>, settled: &Settled, wanted: &Wanted, kind: Kind, size: u64) -> Entry {
    let number = |word: &Option<String>, old: Option<u32>| match word {
        Some(word) => word.parse().unwrap_or(UNKNOWN),
        None => old.unwrap_or(UNKNOWN),
    };
    let name = |word: &Option<String>, old: Option<&str>| word.as_deref().or(old).unwrap_or("UNKNOWN").to_owned();
    Entry {
        kind,
        mode: settled.mode,
        uid: number(&settled.owner, old.map(|entry| entry.uid)),
        gid: number(&settled.group, old.map(|entry| entry.gid)),
        owner: name(&wanted.owner, old.map(|entry| entry.owner.as_str())),
        group: name(&wanted.group, old.map(|entry| entry.group.as_str())),
        size,
        links: 1,
        inode: 0,
        device: 0,
        rdev: (0, 0),
        blocks: size.div_ceil(512),
        block_size: 4096,
        atime: 0.0,
        mtime: 0.0,
        ctime: 0.0,
        target: None,
    }
}

impl Foreseen<'_> {
    /// The answer, as `place`, `edit` and `file` read it.
    pub(crate) fn render(&self) -> Output {
        let mut text = String::new();
        line(&mut text, "path", self.path);
        for key in ["umask", "owner_id", "group_id"] {
            if let Some(value) = self.seen.get(key) {
                let _ = writeln!(text, "{key} {value}");
            }
        }
        let known = match &self.look {
            Look::Absent => "absent\n".to_owned(),
            Look::There(entry) => describe(entry),
        };
        let _ = write!(text, "at dest\n{known}");
        if let Some(sha256) = self.sha256.map(str::to_owned).or_else(|| self.content.map(hex_sha256)) {
            let _ = writeln!(text, "sha256 {sha256}");
        }
        if let Some(content) = self.content.filter(|content| content.len() as u64 <= DIFF_LIMIT) {
            let _ = writeln!(text, "text {}", base64::engine::general_purpose::STANDARD.encode(content));
        }
        let _ = write!(text, "at file\n{known}");
        let mut stdout = text.into_bytes();
        match self.content {
            Some(content) => {
                stdout.extend(format!("raw {}\n", content.len()).bytes());
                stdout.extend(content);
            }
            None => stdout.extend(b"end\n"),
        }
        Output { stdout, ..Output::default() }
    }
}

/// A line of an answer, as the shell function `say` prints it.
fn line(text: &mut String, key: &str, value: &str) {
    if value.contains('\n') {
        let value = base64::engine::general_purpose::STANDARD.encode(value);
        let _ = writeln!(text, "{key}64 {value}");
    } else {
        let _ = writeln!(text, "{key} {value}");
    }
}

/// What `look` of [`super::LOOK`] prints of an entry.
fn describe(entry: &Entry) -> String {
    let kind = match entry.kind {
        Kind::File => 0o100_000,
        Kind::Directory => 0o040_000,
        Kind::Link => 0o120_000,
        Kind::Character => 0o020_000,
        Kind::Block => 0o060_000,
        Kind::Pipe => 0o010_000,
        Kind::Socket => 0o140_000,
    };
    format!(
        "mode {:x}\nuid {}\ngid {}\nsize {}\nlinks {}\ninode {}\ndevice {}\nrdev {:x} {:x}\nblocks {} {}\natime 0 x.0\n\
         mtime 0 x.0\nctime 0 x.0\nowner {}\ngroup {}\n",
        kind | entry.mode,
        entry.uid,
        entry.gid,
        entry.size,
        entry.links,
        entry.inode,
        entry.device,
        entry.rdev.0,
        entry.rdev.1,
        entry.blocks,
        entry.block_size,
        entry.owner,
        entry.group,
    )
}
