//! A run at a glance: its first event and its last, without reading what lies between.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::format::{Line, parse};
use super::read::{ReadError, read};
use crate::event::{Event, EventKind};

/// Blocks of a file that are read from its end.
const BLOCK: u64 = 64 * 1024;

/// The two ends of a journal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Brief {
    /// The event that begins a run.
    pub(crate) began: Event,
    /// The event that ended it; `None` when it has no end, or went on after one.
    pub(crate) ended: Option<Event>,
}

/// Reads both ends. `None` when the run had no time to write that it began.
///
/// # Errors
/// It can't be read, or is no journal.
pub(crate) fn brief(path: &Path) -> Result<Option<Brief>, ReadError> {
    let mut began = None;
    for event in read(path)? {
        let event = event?;
        if matches!(event.kind, EventKind::RunStarted { .. }) {
            began = Some(event);
            break;
        }
    }
    let Some(began) = began else { return Ok(None) };
    let wrong = |source| ReadError::Io { path: path.to_owned(), source };
    let last = last_line(path).map_err(wrong)?;
    let ended = last.and_then(|line| match parse(&line) {
        Ok(Line::Event(event)) if matches!(event.kind, EventKind::RunFinished { .. }) => Some(*event),
        _ => None,
    });
    Ok(Some(Brief { began, ended }))
}

/// The last line that has an end, without it. A torn line after it means that something went on.
fn last_line(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    let mut start = file.seek(SeekFrom::End(0))?;
    let mut tail: Vec<u8> = Vec::new();
    while start > 0 {
        let size = start.min(BLOCK);
        start -= size;
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        (&mut file).take(size).read_to_end(&mut block)?;
        block.extend(&tail);
        tail = block;
        let Some(whole) = tail.strip_suffix(b"\n") else { return Ok(None) };
        if let Some(end) = whole.iter().rposition(|byte| *byte == b'\n') {
            return Ok(whole.get(end + 1..).map(<[u8]>::to_vec));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::RunId;
    use crate::event::Sink as _;
    use crate::event::fixture::{event, every_kind};
    use crate::journal::{Journal, StateFolder};

    #[test]
    fn both_ends_are_found_and_a_run_that_goes_on_has_none() {
        let place = tempfile::tempdir().unwrap();
        let state = StateFolder::open(place.path()).unwrap();
        let mut journal = Journal::create(&state, &RunId::new(7, 7)).unwrap();
        let path = journal.folder().journal();
        assert_eq!(brief(&path).unwrap(), None);
        let long = "x".repeat(100_000);
        let of = |name: &str| event(every_kind(&long).into_iter().find(|kind| kind.name() == name).unwrap());
        let (began, ended) = (of("run_started"), of("run_finished"));
        for event in [&began, &of("note"), &ended] {
            journal.on(event).unwrap();
        }
        journal.sync().unwrap();
        assert_eq!(brief(&path).unwrap(), Some(Brief { began: began.clone(), ended: Some(ended) }));
        journal.on(&of("resumed")).unwrap();
        journal.sync().unwrap();
        assert_eq!(brief(&path).unwrap(), Some(Brief { began, ended: None }));
    }
}
