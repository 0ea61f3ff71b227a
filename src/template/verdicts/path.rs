//! Tests on paths of this machine, never of a host.

use std::fs;
use std::path::Path;

use minijinja::Error;

use super::Verdict;
use crate::template::filters::{Call, failed};

pub(super) const VERDICTS: &[(&str, Verdict)] = &[
    ("file", |_, call| on_path(call, Path::is_file)),
    ("is_file", |_, call| on_path(call, Path::is_file)),
    ("directory", |_, call| on_path(call, Path::is_dir)),
    ("is_dir", |_, call| on_path(call, Path::is_dir)),
    ("exists", |_, call| on_path(call, Path::exists)),
    ("link", |_, call| on_path(call, Path::is_symlink)),
    ("is_link", |_, call| on_path(call, Path::is_symlink)),
    ("link_exists", |_, call| on_path(call, |path| fs::symlink_metadata(path).is_ok())),
    ("mount", |_, call| on_path(call, is_mount)),
    ("is_mount", |_, call| on_path(call, is_mount)),
    ("abs", |_, call| on_path(call, Path::is_absolute)),
    ("is_abs", |_, call| on_path(call, Path::is_absolute)),
];

fn on_path(call: &Call, verdict: impl Fn(&Path) -> bool) -> Result<bool, Error> {
    let text = call
        .input
        .as_str()
        .ok_or_else(|| failed(format!("`is {}` wants a path, not {}", call.name(), call.input.kind())))?;
    Ok(verdict(Path::new(text)))
}

/// A mount point lies on another device than its parent, or is its own parent.
fn is_mount(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(here), Ok(above)) = (fs::symlink_metadata(path), fs::symlink_metadata(path.join(".."))) else {
        return false;
    };
    !here.is_symlink() && (here.dev() != above.dev() || here.ino() == above.ino())
}
