//! The file of a plan: what would change on which host, and digests of everything that it rests on.
//!
//! Values of variables of the command line are not in it by themselves: the digest of a short secret can be guessed. They are in
//! the command line, masked where their names say that they are secrets.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Walked;
use crate::event::Clock;
use crate::report::PlanTree;

/// The version of the file's form.
const VERSION: u32 = 1;

/// What a file of a plan begins with.
const FORMAT: &str = "stagger plan";

/// A plan that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Saved {
    format: String,
    version: u32,
    /// stagger's version.
    program: String,
    /// When it was made, milliseconds since 1970.
    pub(super) made: u64,
    /// Who made it.
    pub(super) operator: String,
    /// The words of the command line.
    pub(super) command: Vec<String>,
    /// The folder in which it was typed.
    pub(super) directory: String,
    /// Variables of the environment that change what a run does.
    pub(super) environment: BTreeMap<String, String>,
    /// The SHA-256 of each text: playbooks, inventory, variables, configuration.
    pub(super) texts: BTreeMap<String, String>,
    /// The SHA-256 of each file that modules read.
    pub(super) files: BTreeMap<String, String>,
    /// What would be done.
    pub(super) plan: PlanTree,
}

/// The head of the file, which all versions have.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

impl Saved {
    pub(super) fn of(walked: Walked, plan: PlanTree) -> Self {
        let Walked { began, pinned, files, .. } = walked;
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            made: Clock::start().started_at(),
            operator: began.operator,
            command: began.command,
            directory: began.directory,
            environment: began.environment,
            texts: pinned,
            files,
            plan,
        }
    }

    /// Writes it, for its owner alone; all of it or nothing.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) fn write(&self, path: &Path) -> std::io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // 0600 from the beginning.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(std::io::BufWriter::new(&mut file), self)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path).map(|_| ()).map_err(|error| error.error)
    }

    /// Reads it.
    ///
    /// # Errors
    /// Why it can't be used.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        #[expect(clippy::disallowed_methods, reason = "a file that was named on the command line, before the run")]
        let text = std::fs::read_to_string(path).map_err(|error| format!("the plan {shown} can't be read: {error}"))?;
        let head: Head = serde_json::from_str(&text)
            .map_err(|_| format!("{shown} is not a plan that `stagger plan --save` wrote"))?;
        if head.format != FORMAT {
            return Err(format!("{shown} is not a plan that `stagger plan --save` wrote"));
        }
        if head.version != VERSION {
            let version = head.version;
            return Err(format!("{shown} has the form {version}, and this stagger reads {VERSION}: make a new plan"));
        }
        serde_json::from_str(&text).map_err(|error| format!("the plan {shown} is damaged: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_plan_is_its_owners_and_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("up.plan");
        let saved = Saved {
            format: FORMAT.to_owned(),
            version: VERSION,
            program: "0".to_owned(),
            made: 1,
            operator: "ann@bastion".to_owned(),
            command: vec!["stagger".to_owned()],
            directory: "/srv".to_owned(),
            environment: BTreeMap::new(),
            texts: BTreeMap::from([("up.yml".to_owned(), "d".to_owned())]),
            files: BTreeMap::new(),
            plan: PlanTree::default(),
        };
        saved.write(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Saved::read(&path).unwrap(), saved);
        let later = Saved { version: 99, ..saved };
        later.write(&path).unwrap();
        assert!(Saved::read(&path).unwrap_err().contains("has the form 99"));
        std::fs::write(&path, "- hosts: all\n").unwrap();
        assert!(Saved::read(&path).unwrap_err().contains("not a plan"));
    }
}
