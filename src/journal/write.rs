//! Writing the journal: lines are gathered, then written with one write and synced with one fdatasync for all that wait.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::FlockOperation;

use super::folder::{RunFolder, StateFolder, sync_folder};
use super::format::{Header, is_kept};
use super::read::{ReadError, read_whole};
use crate::base::RunId;
use crate::event::{Event, Sink};

/// More than this waits for no `sync`, so that memory stays bounded.
const GATHERED: usize = 256 * 1024;

/// Why a journal can't be taken up again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReopenError {
    /// Its process lives.
    #[error("the run {run} is alive: it can't be taken up twice")]
    Alive {
        /// Which.
        run: RunId,
    },
    /// The operating system refused.
    #[error("the folder of the run, {}, cannot be used", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What is in it can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The journal of a run that goes on. Holds the run's lock as long as it lives.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: RunFolder,
    file: File,
    /// Complete lines that are not in the file yet.
    gathered: Vec<u8>,
    /// Length of the file up to the last complete line.
    length: u64,
    /// Something is in the file that is not on the disk.
    unsynced: bool,
    /// The first failure. Nothing is written after it: a gap in the middle would be a lie.
    failed: Option<(io::ErrorKind, String)>,
    _lock: File,
}

impl Journal {
    /// Begins the journal of a run: folder, lock and header line, on the disk when it returns.
    ///
    /// # Errors
    /// Something of it can't be made.
    pub(crate) fn create(state: &StateFolder, run: &RunId) -> io::Result<Self> {
        let folder = state.make_run(run)?;
        let open = |path| {
            let file = OpenOptions::new()
                .append(true)
                .create_new(true)
                .mode(state.file_mode())
                .open::<std::path::PathBuf>(path)?;
            file.set_permissions(Permissions::from_mode(state.file_mode()))?;
            io::Result::Ok(file)
        };
        // Before the lock: who sees a live run can ask something of it.
        folder.make_control(state.file_mode())?;
        let mut lock = open(folder.lock())?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        writeln!(lock, "{}", std::process::id())?;
        let file = open(folder.journal())?;
        let mut journal =
            Self { folder, file, gathered: Vec::new(), length: 0, unsynced: false, failed: None, _lock: lock };
        serde_json::to_writer(&mut journal.gathered, &Header::of(run))?;
        journal.gathered.push(b'\n');
        journal.commit()?;
        sync_folder(&journal.folder.path)?;
        Ok(journal)
    }

    /// Takes up the journal of a run whose process is gone, and gives its events: what was written stays, what was being
    /// written when the process died is cut off.
    ///
    /// # Errors
    /// The run is alive, or the journal can't be read or used.
    pub(crate) fn reopen(folder: &RunFolder) -> Result<(Self, Vec<Event>), ReopenError> {
        let io = |source| ReopenError::Io { path: folder.path.clone(), source };
        let mut lock = OpenOptions::new().read(true).append(true).open(folder.lock()).map_err(io)?;
        // Who only looks whether it is alive holds the lock for a moment, too.
        let mut tries = 0;
        while let Err(error) = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            tries += 1;
            match error {
                rustix::io::Errno::WOULDBLOCK if tries < 20 => std::thread::sleep(Duration::from_millis(20)),
                rustix::io::Errno::WOULDBLOCK => return Err(ReopenError::Alive { run: folder.id.clone() }),
                error => return Err(io(error.into())),
            }
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(io)?;
        let (events, length) = read_whole(&folder.journal())?;
        let file = OpenOptions::new().append(true).open(folder.journal()).map_err(io)?;
        file.set_len(length).and_then(|()| file.sync_all()).map_err(io)?;
        let (gathered, folder) = (Vec::new(), folder.clone());
        Ok((Self { folder, file, gathered, length, unsynced: false, failed: None, _lock: lock }, events))
    }

    /// The run's folder.
    pub(crate) fn folder(&self) -> &RunFolder {
        &self.folder
    }

    fn failure(&self) -> io::Result<()> {
        match &self.failed {
            Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
            None => Ok(()),
        }
    }

    fn fail(&mut self, error: &io::Error) -> io::Result<()> {
        // A part of a line would make the journal end torn; what is complete before it stays.
        let _ = self.file.set_len(self.length);
        let text = format!("{} cannot be written: {error}", self.folder.journal().display());
        self.failed = Some((error.kind(), text));
        self.gathered = Vec::new();
        self.failure()
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.failure()?;
        if self.gathered.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.write_all(&self.gathered) {
            return self.fail(&error);
        }
        self.length += self.gathered.len() as u64;
        self.gathered.clear();
        self.unsynced = true;
        Ok(())
    }

    fn commit(&mut self) -> io::Result<()> {
        self.write_out()?;
        if self.unsynced {
            // After a failed fdatasync nobody knows what is on the disk, and a second one would lie.
            if let Err(error) = self.file.sync_data() {
                return self.fail(&error);
            }
            self.unsynced = false;
        }
        Ok(())
    }
}

impl Sink for Journal {
    fn on(&mut self, event: &Event) -> io::Result<()> {
        self.failure()?;
        if !is_kept(event) {
            return Ok(());
        }
        let before = self.gathered.len();
        if let Err(error) = serde_json::to_writer(&mut self.gathered, event) {
            self.gathered.truncate(before);
            return self.fail(&io::Error::from(error));
        }
        self.gathered.push(b'\n');
        if self.gathered.len() > GATHERED { self.write_out() } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.commit()
    }

    fn hand_over(&mut self) {
        // Others follow it, and a run that is killed is resumed from it; a failure is kept for the next who asks.
        let _ = self.write_out();
    }

    fn durable(&self) -> bool {
        true
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.commit();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::event::EventKind;
    use crate::event::fixture::{event, every_kind};
    use crate::journal::read;

    #[test]
    fn what_is_written_is_read_again_without_upload_progress() {
        let place = tempfile::tempdir().unwrap();
        let state = StateFolder::open(place.path()).unwrap();
        let mut journal = Journal::create(&state, &RunId::new(7, 7)).unwrap();
        let events: Vec<_> = every_kind("x").into_iter().map(event).collect();
        for event in &events {
            journal.on(event).unwrap();
        }
        journal.sync().unwrap();
        let back: Vec<_> = read(&journal.folder().journal()).unwrap().map(Result::unwrap).collect();
        let kept: Vec<_> = events.into_iter().filter(|e| !matches!(e.kind, EventKind::Sent { .. })).collect();
        assert_eq!(back, kept);
    }

    #[test]
    fn a_journal_is_taken_up_after_its_last_whole_line_and_by_one_process_only() {
        let place = tempfile::tempdir().unwrap();
        let state = StateFolder::open(place.path()).unwrap();
        let mut journal = Journal::create(&state, &RunId::new(7, 7)).unwrap();
        let folder = journal.folder().clone();
        journal.on(&event(EventKind::Note { message: "one".to_owned() })).unwrap();
        assert!(matches!(Journal::reopen(&folder), Err(ReopenError::Alive { .. })));
        drop(journal);
        let mut file = OpenOptions::new().append(true).open(folder.journal()).unwrap();
        file.write_all(b"{\"at\":1,\"el").unwrap();
        let (mut again, events) = Journal::reopen(&folder).unwrap();
        assert_eq!(events.len(), 1);
        again.on(&event(EventKind::Note { message: "two".to_owned() })).unwrap();
        again.sync().unwrap();
        let said: Vec<_> = read(&folder.journal()).unwrap().map(|event| event.unwrap().kind).collect();
        let note = |message: &str| EventKind::Note { message: message.to_owned() };
        assert_eq!(said, [note("one"), note("two")]);
    }

    #[test]
    fn a_live_run_is_told_from_a_dead_one() {
        let place = tempfile::tempdir().unwrap();
        let state = StateFolder::open(place.path()).unwrap();
        let journal = Journal::create(&state, &RunId::new(7, 7)).unwrap();
        let folder = journal.folder().clone();
        assert!(folder.is_live());
        drop(journal);
        assert!(!folder.is_live());
    }

    #[test]
    fn events_are_in_the_file_once_they_are_handed_over_and_only_then() {
        let place = tempfile::tempdir().unwrap();
        let state = StateFolder::open(place.path()).unwrap();
        let mut journal = Journal::create(&state, &RunId::new(7, 7)).unwrap();
        let length = || {
            fs::metadata(place.path().join("runs").join(RunId::new(7, 7).as_str()).join("journal.jsonl")).unwrap().len()
        };
        let header = length();
        journal.on(&event(EventKind::Note { message: "hello".to_owned() })).unwrap();
        assert_eq!(length(), header);
        journal.hand_over();
        assert!(length() > header);
    }

    #[test]
    fn a_full_disk_fails_the_record_and_leaves_no_torn_line() {
        let place = tempfile::tempdir().unwrap();
        let state = StateFolder::open(place.path()).unwrap();
        let mut journal = Journal::create(&state, &RunId::new(7, 7)).unwrap();
        journal.on(&event(EventKind::Note { message: "kept".to_owned() })).unwrap();
        journal.sync().unwrap();
        // The device that is always full.
        journal.file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        journal.on(&event(EventKind::Note { message: "lost".to_owned() })).unwrap();
        let error = journal.sync().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("journal.jsonl cannot be written"), "{error}");
        assert!(journal.on(&event(EventKind::Note { message: "no".to_owned() })).is_err(), "the failure stays");
        let back: Vec<_> = read(&journal.folder().journal()).unwrap().map(Result::unwrap).collect();
        assert_eq!(back.len(), 1);
    }
}
