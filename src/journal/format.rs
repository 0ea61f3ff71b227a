//! The journal's lines.

use serde::{Deserialize, Serialize};

use crate::base::RunId;
use crate::event::{Event, EventKind, VERSION};

/// The name of the journal in a run's folder.
pub(super) const FILE: &str = "journal.jsonl";

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The version of the form.
    pub(super) stagger_journal: u32,
    /// The run.
    pub(super) run: RunId,
    /// The version of the program that wrote it.
    #[serde(default)]
    pub(super) program: String,
}

impl Header {
    pub(super) fn of(run: &RunId) -> Self {
        Self { stagger_journal: VERSION, run: run.clone(), program: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// Whether an event is kept: progress of uploads is only for eyes.
pub(super) fn is_kept(event: &Event) -> bool {
    !matches!(event.kind, EventKind::Sent { .. })
}

/// What a line holds.
pub(super) enum Line {
    /// An event.
    Event(Box<Event>),
    /// An event of a kind that this version doesn't know.
    Newer,
}

/// Reads one line after the header.
///
/// # Errors
/// It is no JSON, or an event of a known kind that lacks something.
pub(super) fn parse(line: &[u8]) -> Result<Line, serde_json::Error> {
    #[derive(Deserialize)]
    struct Kind {
        event: String,
    }
    match serde_json::from_slice::<Event>(line) {
        Ok(event) => Ok(Line::Event(Box::new(event))),
        // Rare, so the second look costs nothing.
        Err(error) => match serde_json::from_slice::<Kind>(line) {
            Ok(kind) if !EventKind::NAMES.contains(&kind.event.as_str()) => Ok(Line::Newer),
            _ => Err(error),
        },
    }
}
