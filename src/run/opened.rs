//! Encrypted files of this machine that are sent to hosts: opened once a run, and only into memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};

use crate::base::is_sealed;
use crate::diag::Sources;

/// The files that were asked for.
#[derive(Debug, Default)]
pub(crate) struct OpenedFiles(Mutex<HashMap<PathBuf, Cell>>);

/// The open copy, a file without a name in any folder; `None` when the file is not encrypted.
type Cell = Arc<OnceLock<Result<Option<Arc<File>>, String>>>;

impl OpenedFiles {
    /// Where the open copy of an encrypted file is, for this process alone; `None` when the file is not encrypted.
    pub(super) fn of(&self, path: &Path, sources: &Sources) -> Result<Option<PathBuf>, String> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(path.to_owned()).or_default())
        };
        let opened = cell.get_or_init(|| open(path, sources)).as_ref().map_err(Clone::clone)?;
        Ok(opened.as_ref().map(|file| PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))))
    }
}

fn open(path: &Path, sources: &Sources) -> Result<Option<Arc<File>>, String> {
    let wrong = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut file = File::open(path).map_err(wrong)?;
    let metadata = file.metadata().map_err(wrong)?;
    let mut bytes = Vec::new();
    if metadata.is_file() {
        (&file).take(32).read_to_end(&mut bytes).map_err(wrong)?;
    }
    if !is_sealed(&bytes) {
        return Ok(None);
    }
    file.read_to_end(&mut bytes).map_err(wrong)?;
    let opened = match sources.opened(path, &bytes) {
        Ok(Some(opened)) => opened,
        Ok(None) => return Ok(None),
        Err(error) => return Err(error.one_line(sources)),
    };
    let no_room = |error: std::io::Error| format!("{} can't be kept open in memory: {error}", path.display());
    let memory = memfd_create("opened", MemfdFlags::CLOEXEC).map_err(|error| no_room(error.into()))?;
    let mut memory = File::from(memory);
    memory.write_all(opened.bytes()).map_err(no_room)?;
    let mode = Mode::from_raw_mode(metadata.permissions().mode() & 0o7777);
    fchmod(&memory, mode).map_err(|error| no_room(error.into()))?;
    Ok(Some(Arc::new(memory)))
}
