//! The playbooks of the hops. They are in the program, so that it alone is enough on a bastion.

use std::io;
use std::path::{Path, PathBuf};

use crate::cluster::mesos::Version;

/// The last release that there is a playbook to.
pub(super) const LAST: Version = Version::new(0, 15, 0);

/// Their files.
pub(super) const MESOS: &[(&str, &str)] = &[
    ("look.yml", include_str!("../../../playbooks/mesos/look.yml")),
    ("upgrade-0.11-to-0.12.yml", include_str!("../../../playbooks/mesos/upgrade-0.11-to-0.12.yml")),
    ("upgrade-0.12-to-0.13.yml", include_str!("../../../playbooks/mesos/upgrade-0.12-to-0.13.yml")),
    ("upgrade-0.13-to-0.14.yml", include_str!("../../../playbooks/mesos/upgrade-0.13-to-0.14.yml")),
    ("upgrade-0.14-to-0.15.yml", include_str!("../../../playbooks/mesos/upgrade-0.14-to-0.15.yml")),
];

/// Those of Elasticsearch: one for every hop.
pub(super) const ELASTICSEARCH: &[(&str, &str)] = &[
    ("look.yml", include_str!("../../../playbooks/elasticsearch/look.yml")),
    ("rolling-upgrade.yml", include_str!("../../../playbooks/elasticsearch/rolling-upgrade.yml")),
];

/// The release that a hop leads to when nobody says which: the last of its minor that was tried.
pub(super) fn usual(minor: &str) -> Option<Version> {
    let known = [(0, 12, 1), (0, 13, 0), (0, 14, 2), (0, 15, 0)];
    known.into_iter().map(|(major, minor, patch)| Version::new(major, minor, patch)).find(|v| v.minor_name() == minor)
}

/// The name of a hop's playbook.
pub(super) fn name(from: &str, to: &str) -> String {
    format!("upgrade-{from}-to-{to}.yml")
}

/// Where the playbooks are.
pub(super) struct Books(PathBuf);

impl Books {
    /// The operator's own folder, or one below the state folder that a resumed run finds again.
    ///
    /// # Errors
    /// It can't be written, or a playbook is missing there.
    pub(super) fn at(own: Option<&Path>, state: &Path, system: &str, books: &[(&str, &str)]) -> io::Result<Self> {
        if let Some(folder) = own {
            let folder = std::path::absolute(folder)?;
            let missing = books.iter().find(|(name, _)| !folder.join(name).is_file());
            return match missing {
                None => Ok(Self(folder)),
                Some((name, _)) => {
                    Err(io::Error::new(io::ErrorKind::NotFound, format!("{} has no {name}", folder.display())))
                }
            };
        }
        let folder = std::path::absolute(state)?.join("playbooks").join(env!("CARGO_PKG_VERSION")).join(system);
        std::fs::create_dir_all(&folder)?;
        for (name, text) in books {
            let path = folder.join(name);
            // A run that is to be resumed is held to the file it began with: what is there and right is not touched.
            #[expect(clippy::disallowed_methods, reason = "it is compared, not shown")]
            let there = std::fs::read(&path);
            if there.is_ok_and(|there| there == text.as_bytes()) {
                continue;
            }
            let part = folder.join(format!(".{name}.{}", std::process::id()));
            std::fs::write(&part, text)?;
            std::fs::rename(&part, &path)?;
        }
        Ok(Self(folder))
    }

    /// The playbook of that name.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_has_a_playbook_for_each_hop_and_writes_it_once() {
        for hop in crate::cluster::mesos::hops().iter().take_while(|hop| hop.from != LAST.minor_name()) {
            assert!(usual(&hop.to).is_some(), "{}", hop.to);
            assert!(MESOS.iter().any(|(book, _)| *book == name(&hop.from, &hop.to)), "{}", hop.to);
        }
        let state = tempfile::tempdir().expect("a folder");
        let books = Books::at(None, state.path(), "mesos", MESOS).expect("they are written");
        let file = books.file("upgrade-0.11-to-0.12.yml");
        let written = file.metadata().expect("a file").modified().expect("a time");
        Books::at(None, state.path(), "mesos", MESOS).expect("again");
        assert_eq!(file.metadata().expect("a file").modified().expect("a time"), written);
        let why =
            Books::at(Some(state.path()), state.path(), "mesos", MESOS).err().expect("nothing is there").to_string();
        assert!(why.contains("has no look.yml"), "{why}");
    }
}
