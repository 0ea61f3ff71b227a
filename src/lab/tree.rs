//! Writing below the root of a host that is being laid out.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, XattrFlags};

use super::error::LabError;

/// A folder that becomes (a layer of) a host's root.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    root: PathBuf,
}

impl Tree {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Result<Tree, LabError> {
        let root = root.into();
        fs::create_dir_all(&root).map_err(LabError::file("create", &root))?;
        Ok(Tree { root })
    }

    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative.as_ref())
    }

    /// A folder with all that lead to it; the mode is of the last.
    pub(crate) fn folder(&self, relative: &str, mode: u32) -> Result<(), LabError> {
        let path = self.path(relative);
        fs::create_dir_all(&path).map_err(LabError::file("create", &path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(LabError::file("set the mode of", &path))
    }

    /// A folder that hides what the layers below have under its name.
    pub(crate) fn opaque(&self, relative: &str, mode: u32) -> Result<(), LabError> {
        self.folder(relative, mode)?;
        let path = self.path(relative);
        rustix::fs::setxattr(&path, "trusted.overlay.opaque", b"y", XattrFlags::empty()).map_err(|error| {
            LabError::Refused { what: format!("an overlay attribute on {}", path.display()), source: error.into() }
        })
    }

    /// Hides a file or folder of the layers below.
    pub(crate) fn whiteout(&self, relative: &OsStr) -> Result<(), LabError> {
        let path = self.path(relative);
        if path.symlink_metadata().is_ok() {
            return Ok(());
        }
        rustix::fs::mknodat(CWD, &path, FileType::CharacterDevice, Mode::empty(), 0)
            .map_err(|error| LabError::Refused { what: "an overlay whiteout (mknod)".to_owned(), source: error.into() })
    }

    pub(crate) fn file(&self, relative: &str, contents: impl AsRef<[u8]>, mode: u32) -> Result<(), LabError> {
        let path = self.path(relative);
        self.parent(&path)?;
        fs::write(&path, contents).map_err(LabError::file("write", &path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(LabError::file("set the mode of", &path))
    }

    /// A symbolic link; one that is there already gives way.
    pub(crate) fn link(&self, relative: &str, target: impl AsRef<Path>) -> Result<(), LabError> {
        let path = self.path(relative);
        self.parent(&path)?;
        let _ = fs::remove_file(&path);
        symlink(target, &path).map_err(LabError::file("link", &path))
    }

    /// A copy that shares the bytes where it can.
    pub(crate) fn copy(&self, from: &Path, relative: &str, mode: u32) -> Result<(), LabError> {
        let path = self.path(relative);
        self.parent(&path)?;
        let _ = fs::remove_file(&path);
        if fs::hard_link(from, &path).is_err() {
            fs::copy(from, &path).map_err(LabError::file("copy to", &path))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))
                .map_err(LabError::file("set the mode of", &path))?;
        }
        Ok(())
    }

    /// A true copy with its own mode.
    pub(crate) fn own_copy(&self, from: &Path, relative: &str, mode: u32) -> Result<(), LabError> {
        let path = self.path(relative);
        self.parent(&path)?;
        fs::copy(from, &path).map_err(LabError::file("copy to", &path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(LabError::file("set the mode of", &path))
    }

    pub(crate) fn owner(&self, relative: &str, user: u32, group: u32) -> Result<(), LabError> {
        let path = self.path(relative);
        std::os::unix::fs::lchown(&path, Some(user), Some(group)).map_err(LabError::file("change the owner of", &path))
    }

    fn parent(&self, path: &Path) -> Result<(), LabError> {
        match path.parent() {
            Some(parent) => fs::create_dir_all(parent).map_err(LabError::file("create", parent)),
            None => Ok(()),
        }
    }
}
