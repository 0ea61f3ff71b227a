//! What can go wrong while rehearsal hosts are made.

use std::io;
use std::path::{Path, PathBuf};

/// Why a rehearsal can't go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabError {
    /// Namespaces, mounts and sshd want root.
    #[error("rehearsal hosts need root: run it under sudo")]
    NotRoot,
    /// A program that Debian's `package` brings.
    #[error("`{program}` is missing: apt-get install {package}")]
    Missing {
        /// The program or file.
        program: String,
        /// Where it comes from.
        package: &'static str,
    },
    /// The description of the hosts can't be.
    #[error("{0}")]
    Spec(String),
    /// A file of the lab.
    #[error("can't {act} {}", path.display())]
    File {
        /// The verb.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel refused something that a host is made of.
    #[error("this machine refuses {what}")]
    Refused {
        /// What: "an overlay mount", "a user namespace".
        what: String,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// A program of the machine failed.
    #[error("`{program}` failed: {detail}")]
    Program {
        /// Which.
        program: String,
        /// Its last words.
        detail: String,
    },
    /// A host did not come up or did not answer.
    #[error("host {name}: {detail}")]
    Host {
        /// Which.
        name: String,
        /// What happened.
        detail: String,
    },
}

impl LabError {
    pub(crate) fn file(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LabError + use<> {
        let path = path.to_owned();
        move |source| LabError::File { act, path, source }
    }

    pub(crate) fn refused(what: impl Into<String>) -> impl FnOnce(io::Error) -> LabError {
        let what = what.into();
        move |source| LabError::Refused { what, source }
    }

    /// The whole chain on one line.
    pub(crate) fn line(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        text
    }
}
