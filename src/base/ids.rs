//! Indexes into the plan's tables, and the id of a run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A play's index in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct PlayId(pub(crate) u32);

/// A task's index in the plan, in the order in which tasks stand in the playbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct TaskId(pub(crate) u32);

/// The id of a run: sorts by time, and any unique beginning of it names the run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RunId(String);

impl RunId {
    /// Makes an id from the wall clock (milliseconds since 1970) and some random bits.
    ///
    /// Fourteen characters of Crockford's base 32 without vowels that could spell words: ten of time, four of chance.
    pub(crate) fn new(millis: u64, chance: u32) -> Self {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut text = String::with_capacity(14);
        for place in (0..10).rev() {
            text.push(DIGITS[(millis >> (5 * place) & 31) as usize] as char);
        }
        for place in (0..4).rev() {
            text.push(DIGITS[(chance >> (5 * place) & 31) as usize] as char);
        }
        Self(text)
    }

    /// Takes an id from a run's folder name; `None` when it is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let right = text.len() == 14 && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
        right.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
