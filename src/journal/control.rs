//! What people ask of a run while it goes on: lines in a file of its folder, that any operator who may write there appends.
//!
//! ```text
//! STATE/runs/<run id>/control.jsonl    one request a line: {"when", "by", "command", "argument", "reason"}
//! ```
//!
//! A request's number is its line's. The run answers with an event of that number in its journal. Writers append under a lock;
//! a torn line is one that is still being written, until somebody writes after it: then it is a request that can't be read.
//!
//! What it cannot know: whether `by` is true. Whoever may write the file may say any name.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags};
use serde::{Deserialize, Serialize};

use super::folder::RunFolder;

/// The name of the file in a run's folder.
const FILE: &str = "control.jsonl";
/// A line is no longer, its end included: a request names a few hosts and says why.
const LINE: usize = 16 * 1024;
/// The file grows no further: a loop of requests must not fill the disk under the journal.
const WHOLE: u64 = 4 * 1024 * 1024;
/// How long another writer may hold the file. It takes microseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ControlLine {
    /// Milliseconds since 1970 when it was written.
    pub(crate) when: u64,
    /// Who says so: `ann@bastion`.
    pub(crate) by: String,
    /// `pause`, `resume`, `continue`, `abort`, `skip`, `retry`.
    pub(crate) command: String,
    /// Of what: a phase, hosts; may be empty.
    #[serde(default)]
    pub(crate) argument: String,
    /// Why; may be empty.
    #[serde(default)]
    pub(crate) reason: String,
}

/// Why a request can't be put.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// The operating system refused.
    #[error("{} cannot be written", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something else is there.
    #[error("{} is no plain file: it is not written to", path.display())]
    NoFile {
        /// Which.
        path: PathBuf,
    },
    /// Another writer holds it.
    #[error("{} is held by another process for {} s already", path.display(), PATIENCE.as_secs())]
    Held {
        /// Which.
        path: PathBuf,
    },
    /// Too much was asked.
    #[error("{} holds {} MiB of requests already, which no person wrote: look into it", path.display(), WHOLE >> 20)]
    Full {
        /// Which.
        path: PathBuf,
    },
    /// Too much is asked at once.
    #[error("a request is no longer than {} KiB: name fewer hosts at a time, or say less", LINE >> 10)]
    Long,
}

/// What a line of the file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// Which line, from 0.
    pub(crate) number: u64,
    /// The request, or why it is none.
    pub(crate) line: Result<ControlLine, String>,
}

/// The requests to a run, as they come.
#[derive(Debug)]
pub(crate) struct Requests {
    file: File,
    offset: u64,
    number: u64,
    /// The line that is not whole yet.
    begun: Vec<u8>,
    /// That line is too long, and passed over up to its end.
    long: bool,
}

impl RunFolder {
    fn control(&self) -> PathBuf {
        self.path.join(FILE)
    }

    /// Makes the control file where it is not there yet.
    pub(super) fn make_control(&self, mode: u32) -> io::Result<()> {
        let path = self.control();
        let options = |options: &mut OpenOptions| options.append(true).create_new(true).mode(mode).open(&path);
        match options(&mut OpenOptions::new()) {
            Ok(file) => file.set_permissions(Permissions::from_mode(mode)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Follows the requests that are put from now on; those before were for an earlier process of this run.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn requests(&self) -> Result<Requests, ControlError> {
        let path = self.control();
        let file = open(&path, OpenOptions::new().read(true))?;
        let mut requests = Requests { file, offset: 0, number: 0, begun: Vec::new(), long: false };
        requests.take().map_err(|source| ControlError::Io { path, source })?;
        Ok(requests)
    }

    /// Puts a request, and gives its number.
    ///
    /// # Errors
    /// It can't be put.
    pub(crate) fn ask(&self, line: &ControlLine) -> Result<u64, ControlError> {
        let path = self.control();
        let wrong = |source: io::Error| ControlError::Io { path: path.clone(), source };
        let mut bytes = serde_json::to_vec(line).map_err(|error| wrong(error.into()))?;
        bytes.push(b'\n');
        if bytes.len() > LINE {
            return Err(ControlError::Long);
        }
        let mut file = open(&path, OpenOptions::new().read(true).append(true))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(ControlError::Held { path }),
                Err(error) => return Err(wrong(error.into())),
            }
        }
        if file.metadata().map_err(wrong)?.len() + bytes.len() as u64 > WHOLE {
            return Err(ControlError::Full { path });
        }
        let mut before = Vec::new();
        file.read_to_end(&mut before).map_err(wrong)?;
        let number = before.iter().filter(|byte| **byte == b'\n').count() as u64;
        // A writer that died in its line: end it, so that it does not swallow this one.
        let torn = before.last().is_some_and(|byte| *byte != b'\n');
        if torn {
            bytes.insert(0, b'\n');
        }
        file.write_all(&bytes).map_err(wrong)?;
        Ok(number + u64::from(torn))
    }
}

/// Opens the file, and no link or pipe that somebody put in its place.
fn open(path: &Path, options: &mut OpenOptions) -> Result<File, ControlError> {
    let wrong = |source| ControlError::Io { path: path.to_owned(), source };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    let file = match options.custom_flags(flags).open(path) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(ControlError::NoFile { path: path.to_owned() });
        }
        opened => opened.map_err(wrong)?,
    };
    let about = file.metadata().map_err(wrong)?;
    if !about.is_file() || about.nlink() > 1 {
        return Err(ControlError::NoFile { path: path.to_owned() });
    }
    Ok(file)
}

impl Requests {
    /// The lines that have become whole since the last time.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn take(&mut self) -> io::Result<Vec<Incoming>> {
        let mut found = Vec::new();
        let mut block = [0u8; 8192];
        // What is beyond the size that writers keep to was not written by one of ours.
        while self.offset < WHOLE {
            let count = self.file.read_at(&mut block, self.offset)?;
            let Some(read) = block.get(..count).filter(|read| !read.is_empty()) else { break };
            self.offset += count as u64;
            for byte in read {
                if *byte == b'\n' {
                    found.push(self.end_line());
                } else if self.begun.len() < LINE {
                    self.begun.push(*byte);
                } else {
                    self.long = true;
                }
            }
        }
        Ok(found)
    }

    fn end_line(&mut self) -> Incoming {
        let bytes = std::mem::take(&mut self.begun);
        let long = std::mem::take(&mut self.long);
        let number = self.number;
        self.number += 1;
        let line = if long {
            Err(format!("the line is longer than {} KiB", LINE >> 10))
        } else {
            serde_json::from_slice::<ControlLine>(&bytes)
                .map(ControlLine::cleaned)
                .map_err(|_| "the line is no request".to_owned())
        };
        Incoming { number, line }
    }
}

impl ControlLine {
    /// Without what could change a terminal or fake a line: others will read it.
    fn cleaned(self) -> Self {
        let clean = |text: String, longest: usize| -> String {
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(longest).collect()
        };
        Self {
            when: self.when,
            by: clean(self.by, 200),
            command: clean(self.command, 50),
            argument: clean(self.argument, LINE),
            reason: clean(self.reason, 2000),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::base::RunId;
    use crate::journal::StateFolder;

    fn folder(place: &Path) -> RunFolder {
        let run = StateFolder::open(place).unwrap().make_run(&RunId::new(7, 7)).unwrap();
        run.make_control(0o600).unwrap();
        run
    }

    fn line(command: &str) -> ControlLine {
        ControlLine { when: 1, by: "ann@b".to_owned(), command: command.to_owned(), ..ControlLine::default() }
    }

    #[test]
    fn a_request_is_read_once_it_is_whole_under_the_number_that_its_writer_got() {
        let place = tempfile::tempdir().unwrap();
        let run = folder(place.path());
        assert_eq!(run.ask(&line("early")).unwrap(), 0);
        let mut requests = run.requests().unwrap();
        assert_eq!(requests.take().unwrap(), [], "what was asked of an earlier process is over");
        assert_eq!(run.ask(&line("pause")).unwrap(), 1);
        assert_eq!(requests.take().unwrap(), [Incoming { number: 1, line: Ok(line("pause")) }]);
        let mut file = OpenOptions::new().append(true).open(run.control()).unwrap();
        file.write_all(b"{\"when\":1,\"by\":\"x\",").unwrap();
        assert_eq!(requests.take().unwrap(), [], "torn: not yet");
        assert_eq!(run.ask(&line("resume")).unwrap(), 3, "a torn line is ended by the next writer");
        let taken = requests.take().unwrap();
        assert_eq!(taken[0], Incoming { number: 2, line: Err("the line is no request".to_owned()) });
        assert_eq!(taken[1], Incoming { number: 3, line: Ok(line("resume")) });
    }

    #[test]
    fn nothing_in_the_file_is_trusted() {
        let place = tempfile::tempdir().unwrap();
        let run = folder(place.path());
        let mut requests = run.requests().unwrap();
        let mut file = OpenOptions::new().append(true).open(run.control()).unwrap();
        file.write_all(&[b'x'; 3 * LINE]).unwrap();
        file.write_all(b"\n\xff\xfe\n\n").unwrap();
        let evil = ControlLine { by: "ann\u{1b}[2J\nboss".to_owned(), ..line("pause") };
        run.ask(&evil).unwrap();
        let taken = requests.take().unwrap();
        assert_eq!(taken[0].line, Err("the line is longer than 16 KiB".to_owned()));
        assert!(taken[1].line.is_err() && taken[2].line.is_err());
        assert_eq!(taken[3].line.as_ref().unwrap().by, "ann [2J boss");
        let long = ControlLine { reason: "r".repeat(LINE), ..line("pause") };
        assert!(matches!(run.ask(&long), Err(ControlError::Long)));
    }

    #[test]
    fn a_link_or_a_pipe_in_its_place_is_not_written_to() {
        let place = tempfile::tempdir().unwrap();
        let run = folder(place.path());
        let other = place.path().join("other");
        fs::write(&other, "").unwrap();
        fs::remove_file(run.control()).unwrap();
        std::os::unix::fs::symlink(&other, run.control()).unwrap();
        assert!(matches!(run.ask(&line("pause")), Err(ControlError::NoFile { .. })));
        fs::remove_file(run.control()).unwrap();
        fs::hard_link(&other, run.control()).unwrap();
        assert!(matches!(run.ask(&line("pause")), Err(ControlError::NoFile { .. })));
        assert_eq!(fs::metadata(&other).unwrap().len(), 0);
    }

    #[test]
    fn requests_of_many_writers_keep_their_lines_and_numbers() {
        let place = tempfile::tempdir().unwrap();
        let run = folder(place.path());
        let mut requests = run.requests().unwrap();
        let numbers: Vec<(u64, String)> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..8)
                .map(|writer| {
                    let run = run.clone();
                    scope.spawn(move || -> Vec<(u64, String)> {
                        let name = |at| format!("c{writer}-{at}");
                        (0..5).map(|at| (run.ask(&line(&name(at))).unwrap(), name(at))).collect()
                    })
                })
                .collect();
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
        });
        let taken = requests.take().unwrap();
        assert_eq!(taken.len(), 40);
        for (number, command) in numbers {
            let incoming = taken.iter().find(|incoming| incoming.number == number).unwrap();
            assert_eq!(incoming.line.as_ref().unwrap().command, command);
        }
    }
}
