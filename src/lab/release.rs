//! Release files of the stand-ins: this executable, with a trailer that says which daemon of which version it is.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::LabError;
use super::tree::Tree;

/// The last bytes of a stand-in: this, then `PROGRAM VERSION`, padded with spaces to [`TRAILER`] bytes.
const MAGIC: &[u8] = b"stagger-stand-in ";
const TRAILER: usize = 64;
/// A release of less could be copied before anyone looks.
const LEAST: u64 = 10 << 20;

/// Which daemon a stand-in acts as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StandIn {
    /// `mesos-master`, `mesos-slave`, `mesos-executor` or `libmesos` (a scheduler with it).
    pub(crate) program: String,
    /// `0.13.0`.
    pub(crate) version: String,
}

/// The programs of a release: name, and its path in an installed one.
pub(crate) const PROGRAMS: &[(&str, &str)] = &[
    ("mesos-master", "sbin/mesos-master"),
    ("mesos-slave", "sbin/mesos-slave"),
    ("mesos-executor", "libexec/mesos/mesos-executor"),
    ("libmesos", "lib/libmesos-VERSION.so"),
];

/// What this very process is, by the last bytes of its file. Quick: every start of stagger asks.
pub(crate) fn standin_of_current_exe() -> Option<StandIn> {
    read_trailer(Path::new("/proc/self/exe"))
}

fn read_trailer(path: &Path) -> Option<StandIn> {
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::End(-i64::try_from(TRAILER).ok()?)).ok()?;
    let mut bytes = [0_u8; TRAILER];
    file.read_exact(&mut bytes).ok()?;
    let text = std::str::from_utf8(bytes.strip_prefix(MAGIC)?).ok()?;
    let (program, version) = text.trim_end().split_once(' ')?;
    Some(StandIn { program: program.to_owned(), version: version.to_owned() })
}

/// Makes the files of a release below `out`/VERSION, and gives that folder. Files that are there from the same executable stay.
pub(crate) fn make(version: &str, out: &Path) -> Result<PathBuf, LabError> {
    if !super::standin::VERSIONS.contains(&version) {
        return Err(LabError::Spec(format!(
            "there is no stand-in for Mesos {version}: there are {}",
            super::standin::VERSIONS.join(", ")
        )));
    }
    let folder = out.join(version);
    fs::create_dir_all(&folder).map_err(LabError::file("create", &folder))?;
    let own = Path::new("/proc/self/exe");
    let size = own.metadata().map_err(LabError::file("read", own))?;
    let mark = format!("{} {:?}", size.len(), size.modified().ok());
    let mark_file = out.join(".made-from");
    let body = out.join(".body");
    if !body.exists() || !fs::read_to_string(&mark_file).is_ok_and(|found| found == mark) {
        strip(own, &body)?;
        let _ = fs::remove_file(&mark_file);
        for (other, (program, _)) in
            super::standin::VERSIONS.iter().flat_map(|other| PROGRAMS.iter().map(move |one| (other, one)))
        {
            let _ = fs::remove_file(out.join(other).join(program));
        }
        fs::write(&mark_file, &mark).map_err(LabError::file("write", &mark_file))?;
    }
    for (program, _) in PROGRAMS {
        let path = folder.join(program);
        if read_trailer(&path).is_none() {
            write_program(&body, &path, program, version)?;
        }
    }
    Ok(folder)
}

/// This executable without debug information: what a test build carries of it would be most of the release.
fn strip(own: &Path, body: &Path) -> Result<(), LabError> {
    fs::copy(own, body).map_err(LabError::file("write", body))?;
    let _ = Command::new("strip").arg(body).output();
    Ok(())
}

fn write_program(body: &Path, path: &Path, program: &str, version: &str) -> Result<(), LabError> {
    let temporary = path.with_extension("part");
    fs::copy(body, &temporary).map_err(LabError::file("write", &temporary))?;
    let mut file = OpenOptions::new().append(true).open(&temporary).map_err(LabError::file("write", &temporary))?;
    let length = file.metadata().map_err(LabError::file("read", &temporary))?.len();
    // Bytes of their own for every program and version, which don't compress away.
    let missing = LEAST.saturating_sub(length).max(64 << 10);
    let mut state = program
        .bytes()
        .chain(version.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mut padding = Vec::with_capacity(usize::try_from(missing).unwrap_or_default() + 8);
    while (padding.len() as u64) < missing {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        padding.extend_from_slice(&state.to_le_bytes());
    }
    let mut trailer = [MAGIC, program.as_bytes(), b" ", version.as_bytes()].concat();
    trailer.resize(TRAILER, b' ');
    file.write_all(&padding).and_then(|()| file.write_all(&trailer)).map_err(LabError::file("write", &temporary))?;
    drop(file);
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o755))
        .map_err(LabError::file("set the mode of", &temporary))?;
    fs::rename(&temporary, path).map_err(LabError::file("write", path))
}

/// Lays a release out below /opt/mesos-VERSION of a host's tree.
pub(crate) fn lay_out(files: &Path, version: &str, tree: &Tree) -> Result<(), LabError> {
    for (program, place) in PROGRAMS {
        let place = place.replace("VERSION", version);
        tree.copy(&files.join(program), &format!("opt/mesos-{version}/{place}"), 0o755)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_differ_in_bytes_and_know_what_they_are() {
        let out = tempfile::tempdir().expect("a folder");
        let mut seen = Vec::new();
        for version in ["0.13.0", "0.14.2"] {
            let folder = make(version, out.path()).expect("a release");
            for (program, _) in PROGRAMS {
                let path = folder.join(program);
                assert_eq!(
                    read_trailer(&path),
                    Some(StandIn { program: (*program).to_owned(), version: version.to_owned() })
                );
                assert!(path.metadata().expect("a file").len() >= LEAST);
                let bytes = fs::read(&path).expect("a file");
                assert!(!seen.contains(&bytes), "{program} {version}");
                seen.push(bytes);
            }
        }
        assert_eq!(read_trailer(Path::new("/proc/self/exe")), None);
        assert!(make("0.99.0", out.path()).is_err());
    }
}
