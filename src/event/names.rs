//! The kinds' names as they stand in the journal.

use super::EventKind;

impl EventKind {
    /// All names, so that a reader tells a kind that is newer than itself from a damaged line.
    pub(crate) const NAMES: &[&str] = &[
        "run_started",
        "play_started",
        "play_skipped",
        "batch_started",
        "task_started",
        "host_started",
        "act_started",
        "act_finished",
        "item_finished",
        "retrying",
        "waiting",
        "sent",
        "host_finished",
        "task_finished",
        "included",
        "batch_finished",
        "halted",
        "play_finished",
        "warning",
        "note",
        "cancelling",
        "run_finished",
        "resumed",
        "undo_armed",
        "undo_started",
        "undo_finished",
        "held",
        "released",
        "baking",
        "baked",
        "controlled",
        "host_skipped",
        "lease_taken",
    ];

    /// Its name.
    #[cfg(test)]
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::RunStarted { .. } => "run_started",
            Self::PlayStarted { .. } => "play_started",
            Self::PlaySkipped { .. } => "play_skipped",
            Self::BatchStarted { .. } => "batch_started",
            Self::TaskStarted { .. } => "task_started",
            Self::HostStarted { .. } => "host_started",
            Self::ActStarted { .. } => "act_started",
            Self::ActFinished { .. } => "act_finished",
            Self::ItemFinished { .. } => "item_finished",
            Self::Retrying { .. } => "retrying",
            Self::Waiting { .. } => "waiting",
            Self::Sent { .. } => "sent",
            Self::HostFinished { .. } => "host_finished",
            Self::TaskFinished { .. } => "task_finished",
            Self::Included { .. } => "included",
            Self::BatchFinished { .. } => "batch_finished",
            Self::Halted { .. } => "halted",
            Self::PlayFinished { .. } => "play_finished",
            Self::Warning { .. } => "warning",
            Self::Note { .. } => "note",
            Self::Cancelling { .. } => "cancelling",
            Self::RunFinished { .. } => "run_finished",
            Self::Resumed { .. } => "resumed",
            Self::UndoArmed { .. } => "undo_armed",
            Self::UndoStarted { .. } => "undo_started",
            Self::UndoFinished { .. } => "undo_finished",
            Self::Held { .. } => "held",
            Self::Released { .. } => "released",
            Self::Baking { .. } => "baking",
            Self::Baked { .. } => "baked",
            Self::Controlled { .. } => "controlled",
            Self::HostSkipped { .. } => "host_skipped",
            Self::LeaseTaken { .. } => "lease_taken",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::fixture::{event, every_kind};

    #[test]
    fn every_kind_is_listed_under_the_name_that_is_written() {
        let mut seen = Vec::new();
        for kind in every_kind("x") {
            let name = kind.name();
            assert_eq!(serde_json::to_value(event(kind)).unwrap()["event"], name);
            seen.push(name);
        }
        assert_eq!(seen, EventKind::NAMES);
    }
}
