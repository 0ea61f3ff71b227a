//! The events that are added to a journal while it is looked at.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::format::{Line, parse};
use crate::event::Event;

/// Follows a journal from its end on.
#[derive(Debug)]
pub(crate) struct Follower {
    file: File,
    offset: u64,
    /// The line that is not whole yet.
    begun: Vec<u8>,
}

impl Follower {
    /// From what is in the journal now.
    ///
    /// # Errors
    /// It can't be read.
    pub(crate) fn new(journal: &Path) -> io::Result<Self> {
        let file = File::open(journal)?;
        let offset = file.metadata()?.len();
        Ok(Self { file, offset, begun: Vec::new() })
    }

    /// What came since the last time. A first line that was being written when this began, and events of kinds that this
    /// version doesn't know, are passed over.
    ///
    /// # Errors
    /// It can't be read.
    pub(crate) fn take(&mut self) -> io::Result<Vec<Event>> {
        let mut found = Vec::new();
        let mut block = vec![0u8; 64 * 1024];
        loop {
            let count = self.file.read_at(&mut block, self.offset)?;
            let Some(read) = block.get(..count).filter(|read| !read.is_empty()) else { return Ok(found) };
            self.offset += count as u64;
            for part in read.split_inclusive(|byte| *byte == b'\n') {
                self.begun.extend_from_slice(part);
                if part.last() == Some(&b'\n') {
                    let line = std::mem::take(&mut self.begun);
                    if let Ok(Line::Event(event)) = parse(&line) {
                        found.push(*event);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write as _;

    use super::*;
    use crate::event::EventKind;
    use crate::event::fixture::event;

    #[test]
    fn only_what_is_added_is_seen_and_only_when_it_is_whole() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("j");
        std::fs::write(&path, "{}\nhalf a li").unwrap();
        let mut follower = Follower::new(&path).unwrap();
        let note = event(EventKind::Note { message: "x".to_owned() });
        let text = serde_json::to_string(&note).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        write!(file, "ne\n{}", &text[..10]).unwrap();
        assert_eq!(follower.take().unwrap(), []);
        writeln!(file, "{}", &text[10..]).unwrap();
        assert_eq!(follower.take().unwrap(), [note]);
        assert_eq!(follower.take().unwrap(), []);
    }
}
