//! Exit codes, in one place.

use super::Rules;

/// How the program ended. Documented in the help of every command and in the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Exit {
    /// All went well; failures that were ignored or rescued do not count.
    Ok,
    /// Something went wrong that has no code of its own.
    Error,
    /// At least one host failed, or a guard stopped the run.
    HostFailed,
    /// At least one host could not be reached; wins over failed.
    Unreachable,
    /// A setting that was changed for a time could not be taken back; wins over failed and unreachable.
    NotUndone,
    /// The command line is wrong.
    Usage,
    /// Options that do not go together, or not with what is there; a code of its own under Ansible's names alone.
    Misfit,
    /// A playbook, inventory, variable file or template is wrong.
    Input,
    /// A file that was named is not there, or a pattern or limit matches no host.
    NoTarget,
    /// A bug of ours.
    Bug,
    /// The journal cannot be written, so nothing more may be done.
    Journal,
    /// The time that the run was given is over; it can be resumed.
    TimeOver,
    /// Interrupted by Ctrl-C or a signal, or aborted.
    Interrupted,
}

impl Exit {
    /// All but [`Self::Misfit`], in the order in which help lists them.
    pub(crate) const ALL: [Self; 12] = [
        Self::Ok,
        Self::Error,
        Self::HostFailed,
        Self::Unreachable,
        Self::NotUndone,
        Self::Usage,
        Self::Input,
        Self::NoTarget,
        Self::Bug,
        Self::Journal,
        Self::TimeOver,
        Self::Interrupted,
    ];

    /// The number. Under stagger's own name, errors before the run have codes that no host's result has (those of
    /// sysexits.h); under Ansible's names they are Ansible's, where 2 and 4 mean two things each.
    pub(crate) fn code(self, rules: Rules) -> u8 {
        let (ours, ansible) = match self {
            Self::Ok => (0, 0),
            Self::Error => (1, 1),
            Self::HostFailed => (2, 2),
            Self::Unreachable => (4, 4),
            Self::NotUndone => (5, 2),
            Self::Usage => (64, 2),
            Self::Misfit => (64, 5),
            Self::Input => (65, 4),
            Self::NoTarget => (66, 1),
            Self::Bug => (70, 250),
            Self::Journal => (74, 1),
            // Only a flag of stagger's own leads there.
            Self::TimeOver => (75, 99),
            Self::Interrupted => (130, 99),
        };
        match rules {
            Rules::Stagger => ours,
            Rules::Ansible => ansible,
        }
    }

    /// What it means, for help.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "all went well (ignored and rescued failures do not count)",
            Self::Error => "an error that has no code of its own",
            Self::HostFailed => "a host failed, or a guard stopped the run",
            Self::Unreachable => "a host could not be reached (wins over 2)",
            Self::NotUndone => "a setting that was changed for a time stays changed (wins over 2, 4 and 130)",
            Self::Usage | Self::Misfit => "the command line is wrong",
            Self::Input => "a playbook, inventory, variable or template is wrong",
            Self::NoTarget => "a named file is missing, or a pattern matches no host",
            Self::Bug => "a bug in this program",
            Self::Journal => "the journal cannot be written",
            Self::TimeOver => "the time given by --until or --for is over; the run can be resumed",
            Self::Interrupted => "interrupted, or aborted",
        }
    }

    /// The table of codes for help.
    pub(super) fn table(rules: Rules) -> String {
        let known = |exit: &&Self| rules == Rules::Stagger || !matches!(exit, Self::TimeOver | Self::NotUndone);
        let lines: Vec<_> = Self::ALL
            .iter()
            .filter(known)
            .map(|exit| format!("  {:>3}  {}", exit.code(rules), exit.meaning()))
            .collect();
        format!("Exit codes:\n{}", lines.join("\n"))
    }
}
