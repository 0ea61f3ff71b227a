//! Files on a host: how modules look at them, compare them and put new ones in force.
//!
//! [`look`] asks with plain `stat`, `readlink` and `sha256sum` (GNU's and busybox's) and reads the answers;
//! [`mode`] and [`attributes`] work out owner, group and permission bits; [`write`] is the one script that puts
//! content into a file: beside it, verified, synced, renamed. [`text`] makes diffs.
//!
//! What can't be known: whether the file changes between the look and the change. Where new content rests on the old
//! one, the change compares the old content again just before the rename and refuses; elsewhere the last writer wins.
//! Access control lists and extended attributes are kept where the host's `cp` can (GNU), not on busybox.

mod attributes;
mod edit;
mod folders;
mod foresee;
mod look;
mod mode;
mod place;
mod text;
mod write;

pub(crate) use attributes::{CHANGE, Settled, Wanted, file_options};
pub(crate) use edit::{Edit, KEEP};
pub(crate) use folders::{MAKE, make_folders, set_for_new};
pub(crate) use foresee::{Foreseen, entry_after, file_subject};
pub(crate) use look::{Entry, Kind, LOOK, Look, SUBSTITUTE, Section, Seen};
pub(crate) use mode::{octal, resolve};
pub(crate) use place::{Fresh, Place, write_summary};
pub(crate) use text::{describe, diff, hex, hex_sha256};
pub(crate) use write::{Feed, Write, bytes, describe_entry, finish_with_look};

#[cfg(test)]
mod tests;
