//! Temporary settings: what takes one back is written down before it is changed, and done on every way out of the run.
//!
//! An entry of the ledger is armed by the task that is about to change something ([`freeze`]). The last comes off first
//! ([`order`]): at `meta: undo`, at the end of a host's sequence whatever it came to, or in the next process of the run
//! ([`restored`]). It counts as taken back only when its tasks succeeded and a look at the host afterwards finds nothing left to do
//! ([`back`]).
//!
//! What it cannot know: whether a command did what it says. A module of states is read back; a command should be followed
//! by a task that asserts what it left.

mod back;
mod freeze;
mod ledger;
mod order;
mod restored;

pub(crate) use ledger::{Ledger, NotUndone, Pending};
pub(super) use order::Undoing;
