//! Where a flag of a host is written, and how it reaches the daemon.

use std::fmt;
use std::ops::Range;

/// How a setting reaches the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// As a variable `MESOS_NAME`.
    Environment,
    /// As `--name=value`.
    CommandLine,
    /// As a line of mesos.conf, which releases up to 0.12 read.
    ConfigFile,
}

/// How a setting is written; what an edit needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file of the flag folder: its name is the flag, its content the value.
    FlagFile {
        /// The file.
        path: String,
    },
    /// A file `?name` or `?no-name`: a boolean without value.
    SwitchFile {
        /// The file.
        path: String,
    },
    /// The folders `attributes/` and `resources/`: a file for each key.
    Folder {
        /// The folder.
        path: String,
    },
    /// An assignment in a file that a shell reads.
    Assignment {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// The variable as written.
        variable: String,
        /// The value's bytes in the file, quotes included.
        value: Range<usize>,
        /// The whole line's bytes, its end included; empty when other things stand on it.
        whole: Range<usize>,
        /// The file whose content is the value (`` ZK=`cat /etc/mesos/zk` ``).
        through: Option<String>,
    },
    /// A line `key=value` of mesos.conf.
    ConfLine {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// The value's bytes.
        value: Range<usize>,
        /// The whole line's bytes.
        whole: Range<usize>,
    },
    /// On the command line that the supervisor has anyway: it can be checked, not edited.
    Supervisor,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FlagFile { path } | Self::SwitchFile { path } => f.write_str(path),
            Self::Folder { path } => write!(f, "{path}/"),
            Self::Assignment { path, line, variable, .. } => write!(f, "{variable} in {path}, line {line}"),
            Self::ConfLine { path, line, .. } => write!(f, "{path}, line {line}"),
            Self::Supervisor => f.write_str("the supervisor's command line"),
        }
    }
}
