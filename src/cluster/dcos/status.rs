//! What a step, phase or plan says of itself.

use std::fmt;

/// A status. For a step it is what it shows, which may be more than what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    Error,
    /// Held: a step by its own mark (canary, safe), a phase or plan by an interrupt or because something in it waits.
    Waiting,
    /// Not begun, or failing in a loop: only the task ids tell.
    Pending,
    /// The old task is killed, or was, and an offer is awaited.
    Prepared,
    /// Launched.
    Starting,
    /// Runs and is not ready yet.
    Started,
    /// Ready by its own readiness check; for Elastic: its HTTP port answers.
    Complete,
    /// Of phases and plans only.
    InProgress,
    /// A failed task is held back for a time.
    Delayed,
    /// `PAUSED` and what later schedulers may say: not done, and not safe.
    Other(String),
}

impl Status {
    /// Reads the word of an answer.
    pub(crate) fn parse(word: &str) -> Self {
        match word {
            "ERROR" => Self::Error,
            "WAITING" => Self::Waiting,
            "PENDING" => Self::Pending,
            "PREPARED" => Self::Prepared,
            "STARTING" => Self::Starting,
            "STARTED" => Self::Started,
            "COMPLETE" => Self::Complete,
            "IN_PROGRESS" => Self::InProgress,
            "DELAYED" => Self::Delayed,
            other => Self::Other(other.chars().filter(|c| !c.is_control()).take(40).collect()),
        }
    }

    /// The word.
    pub(crate) fn word(&self) -> &str {
        match self {
            Self::Error => "ERROR",
            Self::Waiting => "WAITING",
            Self::Pending => "PENDING",
            Self::Prepared => "PREPARED",
            Self::Starting => "STARTING",
            Self::Started => "STARTED",
            Self::Complete => "COMPLETE",
            Self::InProgress => "IN_PROGRESS",
            Self::Delayed => "DELAYED",
            Self::Other(word) => word,
        }
    }

    /// Whether a step with it has its node out, or may have.
    pub(crate) fn is_in_flight(&self) -> bool {
        !matches!(self, Self::Complete | Self::Waiting | Self::Pending)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
