//! Where journals are kept, and which runs there are.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FlockOperation};

use super::format::FILE;
use crate::base::RunId;

/// Where all operators of a bastion keep their runs, when somebody made it.
const SHARED: &str = "/var/lib/stagger";

/// Why there is no state folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateFolderError {
    /// Nothing says where to put it.
    #[error(
        "no place to keep the journal: neither --state, {SHARED}, XDG_STATE_HOME nor HOME is there; give --state DIR"
    )]
    Nowhere,
    /// It can't be made or used.
    #[error("the state folder {} cannot be used; give another one with --state DIR", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No run was ever begun there.
    #[error("there are no runs in {}: --state DIR names another state folder", path.display())]
    Empty {
        /// Where it was looked.
        path: PathBuf,
    },
    /// It may not be read.
    #[error("the runs in {} cannot be read: ask for the group that the folder belongs to", path.display())]
    Unreadable {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No run has such an id.
    #[error("no run in {} begins or ends with `{part}`", path.display())]
    NoSuchRun {
        /// Where it was looked for.
        path: PathBuf,
        /// What was asked for.
        part: String,
    },
    /// Several runs have.
    #[error("{count} runs begin or end with `{part}`: give more of the id")]
    Ambiguous {
        /// What was asked for.
        part: String,
        /// How many.
        count: usize,
    },
}

/// The folder that holds all runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateFolder {
    path: PathBuf,
    /// A group of operators writes here: what is made is the group's too.
    shared: bool,
}

impl StateFolder {
    /// Finds or makes it: `explicit` (`--state`); else the shared one where it exists and may be written; else
    /// `$XDG_STATE_HOME/stagger`; else `~/.local/state/stagger`. `environment` gives variables.
    ///
    /// # Errors
    /// There is none, and none can be made.
    pub(crate) fn find(
        explicit: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, StateFolderError> {
        if let Some(path) = explicit {
            return Self::open(path);
        }
        let shared = Path::new(SHARED);
        if shared.is_dir() && writable(shared) {
            return Self::open(shared);
        }
        // The specification of XDG: a relative path is to be ignored.
        let absolute = |name: &str| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let path = match (absolute("XDG_STATE_HOME"), absolute("HOME")) {
            (Some(state), _) => state.join("stagger"),
            (None, Some(home)) => home.join(".local/state/stagger"),
            (None, None) => return Err(StateFolderError::Nowhere),
        };
        Self::open(&path)
    }

    /// Finds the one that is there, to look at runs only: nothing is made, and nothing has to be writable.
    ///
    /// # Errors
    /// There is none, or it can't be read.
    pub(crate) fn existing(
        explicit: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, StateFolderError> {
        let absolute = |name: &str| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let own = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
        let own = own.map(|state| state.join("stagger"));
        let shared = Path::new(SHARED);
        let path = match (explicit, own) {
            (Some(path), _) => path.to_owned(),
            // Where a run of this user would put it; else whichever has runs.
            (None, own)
                if shared.join("runs").is_dir() && (writable(shared) || own.as_ref().is_none_or(|p| !p.exists())) =>
            {
                shared.to_owned()
            }
            (None, Some(own)) => own,
            (None, None) => return Err(StateFolderError::Nowhere),
        };
        let folder = Self { path, shared: false };
        let runs = folder.runs_path();
        match fs::read_dir(&runs) {
            Ok(_) => Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StateFolderError::Empty { path: folder.path }),
            Err(source) => Err(StateFolderError::Unreadable { path: runs, source }),
        }
    }

    /// Uses a folder, and makes it when it isn't there.
    ///
    /// # Errors
    /// It can't be made, is no folder, or can't be written.
    pub(crate) fn open(path: &Path) -> Result<Self, StateFolderError> {
        let wrong = |source| StateFolderError::Unusable { path: path.to_owned(), source };
        if !path.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(wrong)?;
        }
        let about = fs::metadata(path).map_err(wrong)?;
        if !about.is_dir() {
            return Err(wrong(io::Error::from(io::ErrorKind::NotADirectory)));
        }
        if !writable(path) {
            return Err(wrong(io::Error::from(io::ErrorKind::PermissionDenied)));
        }
        let folder = Self { path: path.to_owned(), shared: about.mode() & 0o2020 == 0o2020 };
        folder.make(&folder.runs_path()).map_err(wrong)?;
        Ok(folder)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The permission bits of files in it.
    pub(super) fn file_mode(&self) -> u32 {
        if self.shared { 0o660 } else { 0o600 }
    }

    fn runs_path(&self) -> PathBuf {
        self.path.join("runs")
    }

    /// Makes a folder with the right mode, whatever the umask; fine when it is there already.
    fn make(&self, path: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {
                let mode = if self.shared { 0o2770 } else { 0o700 };
                fs::set_permissions(path, Permissions::from_mode(mode))?;
                path.parent().map_or(Ok(()), sync_folder)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes the folder of a new run.
    ///
    /// # Errors
    /// It can't be made, or is there already.
    pub(super) fn make_run(&self, run: &RunId) -> io::Result<RunFolder> {
        let path = self.runs_path().join(run.as_str());
        if path.exists() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        self.make(&path)?;
        Ok(RunFolder { id: run.clone(), path })
    }

    /// All runs, the oldest first.
    ///
    /// # Errors
    /// The folder can't be read.
    pub(crate) fn runs(&self) -> Result<Vec<RunFolder>, StateFolderError> {
        let path = self.runs_path();
        let wrong = |source| StateFolderError::Unusable { path: path.clone(), source };
        let mut runs = Vec::new();
        for entry in fs::read_dir(&path).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            if let Some(id) = entry.file_name().to_str().and_then(RunId::parse) {
                runs.push(RunFolder { id, path: entry.path() });
            }
        }
        // Ids sort by time.
        runs.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(runs)
    }

    /// The run whose id begins or ends so (screens show the end).
    ///
    /// # Errors
    /// There is none, or there are several.
    pub(crate) fn run(&self, part: &str) -> Result<RunFolder, StateFolderError> {
        let mut found = self.runs()?;
        found.retain(|run| run.id.as_str().starts_with(part) || run.id.as_str().ends_with(part));
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(StateFolderError::NoSuchRun { path: self.path.clone(), part: part.to_owned() }),
            count => Err(StateFolderError::Ambiguous { part: part.to_owned(), count }),
        }
    }
}

/// The folder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunFolder {
    /// The run.
    pub(crate) id: RunId,
    /// Where it is.
    pub(crate) path: PathBuf,
}

impl RunFolder {
    /// Its journal.
    pub(crate) fn journal(&self) -> PathBuf {
        self.path.join(FILE)
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Whether the run that writes it is alive: it holds the lock. A dead one can't.
    ///
    /// # Errors
    /// This user may not look.
    pub(crate) fn life(&self) -> io::Result<bool> {
        let file = match File::open(self.lock()) {
            Ok(file) => file,
            // The lock is made before the journal, and never removed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the run is alive, as far as this user can see.
    pub(crate) fn is_live(&self) -> bool {
        self.life().unwrap_or(false)
    }

    /// The process that holds the lock, or held it last.
    pub(crate) fn process(&self) -> Option<u32> {
        #[expect(clippy::disallowed_methods, reason = "a file of the journal's own")]
        let text = fs::read_to_string(self.lock()).ok()?;
        text.lines().last()?.split_whitespace().next()?.parse().ok()
    }
}

fn writable(path: &Path) -> bool {
    rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Makes the names in a folder survive a power cut.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_folder_is_only_its_owners() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().to_owned();
        let environment = move |name: &str| (name == "HOME").then(|| home.clone().into_os_string());
        // Not `find`: the machine may have a shared folder.
        let state = StateFolder::open(&place.path().join(".local/state/stagger")).unwrap();
        assert_eq!(fs::metadata(state.path()).unwrap().mode() & 0o7777, 0o700);
        let explicit = place.path().join("here");
        assert_eq!(StateFolder::find(Some(&explicit), &environment).unwrap().path(), explicit);
    }

    #[test]
    fn a_shared_folder_stays_shared_below() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o2770)).unwrap();
        let state = StateFolder::open(place.path()).unwrap();
        let run = state.make_run(&RunId::new(1, 1)).unwrap();
        assert_eq!(fs::metadata(&run.path).unwrap().mode() & 0o7777, 0o2770);
        assert_eq!(state.file_mode(), 0o660);
    }

    #[test]
    fn a_unique_beginning_names_a_run() {
        let place = tempfile::tempdir().unwrap();
        let state = StateFolder::open(place.path()).unwrap();
        let (one, two) = (RunId::new(1, 1), RunId::new(1 << 45, 2));
        state.make_run(&two).unwrap();
        state.make_run(&one).unwrap();
        assert_eq!(
            state.runs().unwrap().iter().map(|run| run.id.clone()).collect::<Vec<_>>(),
            [one.clone(), two.clone()]
        );
        assert_eq!(state.run(&two.as_str()[..3]).unwrap().id, two);
        assert_eq!(state.run(&two.as_str()[10..]).unwrap().id, two);
        assert!(matches!(state.run(""), Err(StateFolderError::Ambiguous { count: 2, .. })));
        assert!(matches!(state.run("zz"), Err(StateFolderError::NoSuchRun { .. })));
        assert!(state.make_run(&one).is_err());
    }

    #[test]
    fn a_file_is_no_state_folder() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("f");
        fs::write(&file, "").unwrap();
        assert!(StateFolder::open(&file).is_err());
        assert!(matches!(StateFolder::open(&file.join("below")), Err(StateFolderError::Unusable { .. })));
    }
}
