//! The tasks, as Mesos has them: they go on while no scheduler is there.

use std::time::Instant;

/// How a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// Launched, and not running yet.
    Staging,
    /// It runs; its readiness check may not have passed.
    Running,
    Killed,
    Failed,
}

impl Life {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Staging => "STAGING",
            Self::Running => "RUNNING",
            Self::Killed => "KILLED",
            Self::Failed => "FAILED",
        }
    }

    pub(super) fn is_dead(self) -> bool {
        matches!(self, Self::Killed | Self::Failed)
    }
}

/// A pod's task: the last one that was launched.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) id: String,
    /// What it was launched with.
    pub(super) config: Config,
    pub(super) life: Life,
    /// Whether its readiness check has passed.
    pub(super) ready: bool,
    pub(super) since: Instant,
}

/// What a task is launched with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) elasticsearch: String,
    /// All of its environment that a task sees.
    pub(super) text: String,
}

/// Numbers in the form of random UUIDs.
pub(super) fn uuid(number: u64) -> String {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) ^ 0x5851_f42d_4c95_7f2d;
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        mixed >> 32,
        mixed & 0xffff,
        (mixed >> 16) & 0xfff,
        (mixed >> 20) & 0xfff,
        number
    )
}
