//! Archives of this machine, read once a run.

use std::collections::HashMap;
use std::fs::File;
use std::io::Seek as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::controller::{Digests, digest};
use crate::base::Content;
use crate::modules::archive::{self, Archive, Format};

/// The archives that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Archives(Mutex<HashMap<PathBuf, Cell>>);

type Cell = Arc<OnceLock<Result<Read, String>>>;

#[derive(Debug, Clone)]
struct Read {
    archive: Arc<Archive>,
    /// What was packed anew: a file without a name, which is gone with this process however that ends.
    _packed: Option<Arc<File>>,
}

impl Archives {
    /// An archive.
    pub(super) fn of(&self, path: &Path, digests: &Digests) -> Result<Arc<Archive>, String> {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(path.to_owned()).or_default())
        };
        // Many hosts ask for one archive at the same time: one reads it, the others wait for it.
        let read = cell.get_or_init(|| read(path, digests).map_err(|reason| format!("{}: {reason}", path.display())));
        read.as_ref().map(|read| Arc::clone(&read.archive)).map_err(Clone::clone)
    }
}

fn read(path: &Path, digests: &Digests) -> Result<Read, String> {
    let wrong = |error: std::io::Error| format!("the archive can't be read: {error}");
    let mut input = File::open(path).map_err(wrong)?;
    let format = archive::format(&mut input)?;
    let zipped = format != Format::Tar;
    if matches!(format, Format::Tar | Format::Gzip) {
        let file = digests.of(path)?;
        let sha256 = file.sha256.clone();
        let members = archive::members(&mut input, zipped)?;
        let content = Content::File { file, offset: 0 };
        return Ok(Read { archive: Arc::new(Archive { format, members, content, zipped, sha256 }), _packed: None });
    }
    let no_room = |error: std::io::Error| {
        format!("it can't be packed anew in {}: {error} (TMPDIR names another place)", std::env::temp_dir().display())
    };
    let mut packed = tempfile::tempfile().map_err(no_room)?;
    archive::repack(format, &mut input, &mut packed)?;
    packed.rewind().map_err(no_room)?;
    let members = archive::members(&mut packed, zipped)?;
    let file = Arc::new(digest(&PathBuf::from(format!("/proc/self/fd/{}", packed.as_raw_fd())))?);
    let sha256 = file.sha256.clone();
    let content = Content::File { file, offset: 0 };
    let archive = Arc::new(Archive { format, members, content, zipped, sha256 });
    Ok(Read { archive, _packed: Some(Arc::new(packed)) })
}
