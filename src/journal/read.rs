//! Reading a journal, also one whose writer died in the middle of a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::format::{Header, Line, parse};
use crate::base::RunId;
use crate::event::{Event, VERSION};

/// Why a journal can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The operating system refused.
    #[error("cannot read the journal {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The first line is no header.
    #[error("{} is no journal: its first line is not a journal's header", path.display())]
    NoJournal {
        /// Which file.
        path: PathBuf,
    },
    /// A later version wrote it.
    #[error("{} was written in form {found} by stagger {program}; this one reads forms up to {VERSION}: use that version", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// The form.
        found: u32,
        /// Who wrote it.
        program: String,
    },
    /// A line in the middle is damaged.
    #[error("{}:{line}: this line of the journal is damaged, and others follow it", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// Opens a journal.
///
/// # Errors
/// It can't be opened, is none, or is too new. A file that ends within its first line is an empty journal.
pub(crate) fn read(path: &Path) -> Result<Reader, ReadError> {
    let file = File::open(path).map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
    Reader::new(Box::new(BufReader::new(file)), path)
}

/// All events of a journal, and the length of what is whole of it, in bytes.
///
/// # Errors
/// As [`read`]; a line in the middle is damaged.
pub(crate) fn read_whole(path: &Path) -> Result<(Vec<Event>, u64), ReadError> {
    let mut reader = read(path)?;
    let events = reader.by_ref().collect::<Result<Vec<_>, _>>()?;
    Ok((events, reader.length))
}

/// The events of a journal, in order.
pub(crate) struct Reader {
    source: Box<dyn BufRead + Send>,
    path: PathBuf,
    run: Option<RunId>,
    line: u64,
    torn: bool,
    newer: u64,
    /// Bytes up to the end of the last whole line that was taken.
    length: u64,
    ended: bool,
    /// Kinds of events that are wanted; empty for all.
    wanted: &'static [&'static str],
}

impl Reader {
    fn new(source: Box<dyn BufRead + Send>, path: &Path) -> Result<Self, ReadError> {
        let mut reader = Self {
            source,
            path: path.to_owned(),
            run: None,
            line: 0,
            torn: false,
            newer: 0,
            length: 0,
            ended: false,
            wanted: &[],
        };
        let Some(first) = reader.next_line()? else { return Ok(reader) };
        let header: Header =
            serde_json::from_slice(&first).map_err(|_| ReadError::NoJournal { path: path.to_owned() })?;
        if header.stagger_journal > VERSION {
            return Err(ReadError::Newer {
                path: path.to_owned(),
                found: header.stagger_journal,
                program: header.program,
            });
        }
        reader.run = Some(header.run);
        reader.length = first.len() as u64 + 1;
        Ok(reader)
    }

    /// Gives events of these kinds alone. The others are not even taken apart: a large journal is read many times faster.
    #[must_use]
    pub(crate) fn only(mut self, kinds: &'static [&'static str]) -> Self {
        self.wanted = kinds;
        self
    }

    /// Whether a line is to be taken apart. Ours has the kind near its beginning; what looks otherwise is read.
    fn is_wanted(&self, line: &[u8]) -> bool {
        const TAG: &[u8] = b"\"event\":\"";
        if self.wanted.is_empty() {
            return true;
        }
        let start = line.get(..96).unwrap_or(line);
        let Some(at) = start.windows(TAG.len()).position(|part| part == TAG) else { return true };
        let rest = line.get(at + TAG.len()..).unwrap_or_default();
        self.wanted
            .iter()
            .any(|kind| rest.strip_prefix(kind.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'"')))
    }

    /// Whether the journal ended within a line; known at the end.
    #[cfg(test)]
    pub(crate) fn is_torn(&self) -> bool {
        self.torn
    }

    /// How many events of kinds unknown to this version were passed over so far.
    pub(crate) fn passed_over(&self) -> u64 {
        self.newer
    }

    /// The next whole line without its end. What follows the last newline was being written when the writer died. A
    /// NUL can't be in JSON: after a power cut some file systems show blocks of them where data never arrived.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        if self.ended {
            return Ok(None);
        }
        let mut line = Vec::new();
        if let Err(source) = self.source.read_until(b'\n', &mut line) {
            return Err(ReadError::Io { path: self.path.clone(), source });
        }
        self.line += 1;
        if line.is_empty() {
            self.ended = true;
            return Ok(None);
        }
        if line.last() != Some(&b'\n') || line.contains(&0) {
            self.ended = true;
            self.torn = true;
            return Ok(None);
        }
        line.pop();
        Ok(Some(line))
    }

    fn at_end(&mut self) -> bool {
        matches!(self.source.fill_buf(), Ok(rest) if rest.is_empty())
    }
}

impl Iterator for Reader {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => return None,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            };
            if !self.is_wanted(&line) {
                continue;
            }
            match parse(&line) {
                Ok(Line::Event(event)) => {
                    self.length += line.len() as u64 + 1;
                    return Some(Ok(*event));
                }
                Ok(Line::Newer) => {
                    self.length += line.len() as u64 + 1;
                    self.newer += 1;
                }
                // The last line may be damaged as well as short: it was never synced.
                Err(_) if self.at_end() => {
                    self.ended = true;
                    self.torn = true;
                    return None;
                }
                Err(source) => {
                    self.ended = true;
                    return Some(Err(ReadError::Damaged { path: self.path.clone(), line: self.line, source }));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::fixture::{event, every_kind};

    fn text() -> (Vec<u8>, Vec<Event>) {
        let mut bytes = serde_json::to_vec(&Header::of(&RunId::new(7, 7))).unwrap();
        bytes.push(b'\n');
        let events: Vec<_> =
            every_kind("wörd").into_iter().map(event).filter(crate::journal::format::is_kept).collect();
        for event in &events {
            serde_json::to_writer(&mut bytes, event).unwrap();
            bytes.push(b'\n');
        }
        (bytes, events)
    }

    fn reader(bytes: &[u8]) -> Result<Reader, ReadError> {
        Reader::new(Box::new(io::Cursor::new(bytes.to_vec())), Path::new("j"))
    }

    #[test]
    fn a_journal_cut_at_any_byte_gives_all_whole_events() {
        let (bytes, events) = text();
        for cut in 0..=bytes.len() {
            let part = &bytes[..cut];
            let whole = part.iter().filter(|byte| **byte == b'\n').count().saturating_sub(1);
            let mut reader = reader(part).unwrap();
            let read: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
            assert_eq!(read, events[..whole], "cut at {cut}");
            let torn = !(part.is_empty() || part.ends_with(b"\n"));
            assert_eq!(reader.is_torn(), torn, "cut at {cut}");
        }
    }

    #[test]
    fn only_the_wanted_kinds_are_read() {
        let (bytes, events) = text();
        let read: Vec<_> =
            reader(&bytes).unwrap().only(&["run_started", "host_finished"]).map(|event| event.unwrap().kind).collect();
        let wanted = |name: &str| matches!(name, "run_started" | "host_finished");
        let kinds: Vec<_> = events.into_iter().map(|event| event.kind).filter(|kind| wanted(kind.name())).collect();
        assert_eq!(read, kinds);
    }

    #[test]
    fn zeros_after_a_power_cut_end_the_journal() {
        let (mut bytes, events) = text();
        bytes.extend([0; 512]);
        bytes.extend(b"\n{\"event\":\"note\"}\n");
        let mut reader = reader(&bytes).unwrap();
        assert_eq!(reader.by_ref().map(Result::unwrap).count(), events.len());
        assert!(reader.is_torn());
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_an_error_with_its_number() {
        let (bytes, _) = text();
        let mut lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines[2] = b"{\"at\":1,\"elapsed\":1,\"event\":\"play_started\"}\n".to_vec();
        let error = reader(&lines.concat()).unwrap().find_map(Result::err).unwrap();
        assert_eq!(error.to_string(), "j:3: this line of the journal is damaged, and others follow it");
    }

    #[test]
    fn what_a_later_version_added_is_passed_over() {
        let (mut bytes, events) = text();
        bytes.extend(b"{\"at\":1,\"elapsed\":1,\"event\":\"cluster_counted\",\"n\":3}\n");
        bytes.extend(b"{\"at\":1,\"elapsed\":1,\"event\":\"note\",\"message\":\"m\",\"colour\":\"red\"}\n");
        let mut reader = reader(&bytes).unwrap();
        assert_eq!(reader.by_ref().map(Result::unwrap).count(), events.len() + 1);
        assert_eq!(reader.passed_over(), 1);
    }

    #[test]
    fn what_is_no_journal_or_too_new_is_refused() {
        assert!(matches!(reader(b"hosts: all\n"), Err(ReadError::NoJournal { .. })));
        let newer = b"{\"stagger_journal\":2,\"run\":\"00000000070007\",\"program\":\"9.9\"}\n";
        let error = reader(newer).err().unwrap().to_string();
        assert!(error.contains("form 2 by stagger 9.9"), "{error}");
    }
}
