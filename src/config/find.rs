//! Which ansible.cfg counts.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use crate::base::Span;
use crate::diag::Diagnostic;

/// Where files are looked for.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The working directory.
    pub(crate) directory: PathBuf,
    /// The user's home.
    pub(crate) home: Option<PathBuf>,
    /// The machine's file: `/etc/ansible/ansible.cfg`.
    pub(crate) system: PathBuf,
}

impl Places {
    /// The real ones, with the home that the environment names.
    pub(crate) fn of(environment: &BTreeMap<String, String>) -> Self {
        Self {
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            home: environment.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from),
            system: PathBuf::from("/etc/ansible/ansible.cfg"),
        }
    }
}

/// The first file that is there: `$ANSIBLE_CONFIG`, `./ansible.cfg`, `~/.ansible.cfg`, the machine's.
pub(super) fn find(
    environment: &BTreeMap<String, String>,
    places: &Places,
    found: &mut Vec<Diagnostic>,
) -> Option<PathBuf> {
    if let Some(named) = environment.get("ANSIBLE_CONFIG").filter(|named| !named.is_empty()) {
        let mut path = expand_home(named, places.home.as_deref());
        path = places.directory.join(path).components().filter(|part| *part != Component::CurDir).collect();
        if path.is_dir() {
            path.push("ansible.cfg");
        }
        if path.exists() {
            return Some(path);
        }
        found.push(
            Diagnostic::warning(format!("ANSIBLE_CONFIG names {}, which is not there", path.display()), Span::NONE)
                .help("the usual places are looked at instead"),
        );
    }
    let here = places.directory.join("ansible.cfg");
    if here.exists() {
        // Whoever may write here could point at a key or a script of theirs.
        let anyone = std::fs::metadata(&places.directory).is_ok_and(|m| m.permissions().mode() & 0o002 != 0);
        if !anyone {
            return Some(here);
        }
        found.push(
            Diagnostic::warning(
                format!("{} is not read: anybody may write to {}", here.display(), places.directory.display()),
                Span::NONE,
            )
            .help("take away the permission (chmod o-w), or name the file with ANSIBLE_CONFIG"),
        );
    }
    let home = places.home.as_ref().map(|home| home.join(".ansible.cfg"));
    home.into_iter().chain([places.system.clone()]).find(|path| path.exists())
}

/// `~` and `~/x` as paths in the user's home.
pub(super) fn expand_home(text: &str, home: Option<&Path>) -> PathBuf {
    match (text.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_owned(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(text),
    }
}
