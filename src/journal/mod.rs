//! What a run did, kept: one folder a run below the state folder, with an append-only file of events.
//!
//! ```text
//! STATE/runs/<run id>/journal.jsonl    a header line, then one event a line
//! STATE/runs/<run id>/lock             held (flock) while the run lives
//! STATE/runs/<run id>/control.jsonl    what people ask of it meanwhile
//! ```
//!
//! The journal is written and synced before each act, and is the truth about a run: screens may be closed, pipes may
//! break. Everything else (resume, replay, status, lists of failed hosts) is derived from it. It is read with any tool
//! that reads lines of JSON.
//!
//! How the form may change, and who can read what:
//! - *Old reader, new journal*: a kind of event or a field that it does not know is passed over. A header with a higher
//!   version is refused: the meaning of something changed.
//! - *New reader, old journal*: what is missing has a default. A kind, once released, is never renamed and never
//!   changes its meaning.
//! - *Old writer*: a resumed run is appended to its journal, by one process at a time, after the event `resumed`; a version
//!   that can't read what is there does not append to it.
//!
//! What it cannot know: whether the act that was recorded last was done. A power cut leaves an `ActStarted` without its
//! `ActFinished`; that is what "unknown" means, and it is for `run` to probe.

mod brief;
mod control;
mod folder;
mod follow;
mod format;
mod lists;
mod pace;
mod read;
mod unfinished;
mod write;

pub(crate) use brief::brief;
pub(crate) use control::{ControlLine, Incoming, Requests};
pub(crate) use folder::{RunFolder, StateFolder, StateFolderError};
pub(crate) use follow::Follower;
pub(crate) use lists::Lists;
pub(crate) use pace::Paces;
#[cfg(test)]
pub(crate) use read::read_whole;
pub(crate) use read::{ReadError, read};
pub(crate) use unfinished::{Unfinished, unfinished};
pub(crate) use write::{Journal, ReopenError};
