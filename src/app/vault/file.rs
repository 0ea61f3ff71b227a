//! Files that are read, replaced and shredded.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::keys::Failure;
use crate::cli::Exit;

/// What becomes of the old bytes of a file that is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Old {
    /// They were a secret: they are overwritten once the new file is in place. On disks that write elsewhere each time, and on
    /// file systems with snapshots, that is the best that can be done, and not enough.
    Shred,
    /// They were encrypted.
    Leave,
}

/// Reads a file, `-` for standard input; gives its name with links resolved.
pub(super) fn read(path: &Path) -> Result<(PathBuf, Vec<u8>), Failure> {
    let shown = path.display();
    let wrong = |error: std::io::Error| (format!("Unable to read source file ({shown}): {error}"), Exit::NoTarget);
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map_err(wrong)?;
        return Ok((path.to_owned(), bytes));
    }
    let real = std::fs::canonicalize(path).map_err(wrong)?;
    File::open(&real).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(wrong)?;
    Ok((real, bytes))
}

/// Writes to a file that only the user can read, `-` for standard output.
pub(super) fn write(path: &Path, bytes: &[u8], old: Old) -> Result<(), Failure> {
    if path == Path::new("-") {
        let mut out = std::io::stdout();
        return match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err((format!("cannot write to standard output: {error}"), Exit::Error))
            }
            _ => Ok(()),
        };
    }
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    put(&real, bytes, None, old)
}

/// Replaces a file; its mode and owner stay.
pub(super) fn replace(path: &Path, bytes: &[u8], old: Old) -> Result<(), Failure> {
    let metadata = std::fs::metadata(path).ok();
    put(path, bytes, metadata.as_ref(), old)
}

/// Into a new file beside it, which then takes its name: at no time is there half of a file.
fn put(path: &Path, bytes: &[u8], keep: Option<&std::fs::Metadata>, old: Old) -> Result<(), Failure> {
    let wrong = |error: std::io::Error| (format!("cannot write {}: {error}", path.display()), Exit::Error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // By tempfile's rule it is 0600 from its first moment.
    let mut fresh = tempfile::Builder::new().prefix(".vault-").tempfile_in(folder).map_err(wrong)?;
    fresh.write_all(bytes).map_err(wrong)?;
    if let Some(keep) = keep {
        let mine = fresh.as_file().metadata().map_err(wrong)?;
        if (mine.uid(), mine.gid()) != (keep.uid(), keep.gid()) {
            std::os::unix::fs::fchown(fresh.as_file(), Some(keep.uid()), Some(keep.gid())).map_err(wrong)?;
        }
        fresh.as_file().set_permissions(Permissions::from_mode(keep.mode() & 0o7777)).map_err(wrong)?;
    }
    fresh.as_file().sync_all().map_err(wrong)?;
    let before = if old == Old::Shred { OpenOptions::new().write(true).open(path).ok() } else { None };
    fresh.persist(path).map_err(|error| wrong(error.error))?;
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    if let Some(before) = before {
        shred(before);
    }
    Ok(())
}

/// Overwrites a file's bytes, unless they have another name, under which somebody wants them.
pub(super) fn shred(mut file: File) {
    let Ok(metadata) = file.metadata() else { return };
    if !metadata.is_file() || metadata.nlink() > 1 {
        return;
    }
    let mut left = metadata.len();
    let _ = file.seek(SeekFrom::Start(0));
    while left > 0 {
        let piece = usize::try_from(left.min(1 << 16)).unwrap_or(1 << 16);
        if file.write_all(&vec![0u8; piece]).is_err() {
            return;
        }
        left -= piece as u64;
    }
    let _ = file.sync_all();
    let _ = file.set_len(0);
}
