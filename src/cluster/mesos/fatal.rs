//! Why a daemon ended, from the last lines of what it said.

/// What a daemon said when it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fatal {
    /// What it means, and what to do.
    pub(crate) kind: FatalKind,
    /// The line itself, at most 300 characters.
    pub(crate) line: String,
}

/// The ends that are told apart, because what to do differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FatalKind {
    /// It does not take its flags.
    Flags,
    /// The slave's resources, attributes or name differ from what it had checkpointed.
    IncompatibleSlave,
    /// The slave could not recover for another reason.
    Recovery,
    /// The master had given the slave up and told it to shut down.
    GivenUp,
    /// A master lost its leadership or `ZooKeeper`.
    LostLeadership,
    /// A file that it links is missing.
    Library,
    /// Anything else that it calls fatal.
    Other,
}

impl FatalKind {
    /// What it means and what to do, as the end of a sentence.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Flags => "it does not take its flags: put them right and start it again",
            Self::IncompatibleSlave => {
                "its resources, attributes or host name differ from what it had checkpointed: put the old ones back, or give \
                 its tasks up by one run with --recover=cleanup while the service is stopped"
            }
            Self::Recovery => {
                "it could not recover what it had checkpointed: the lines that follow in its log say what to do"
            }
            Self::GivenUp => {
                "the master had given it up after 75 s and told it to shut down: its next start has a new id, and its tasks are lost"
            }
            Self::LostLeadership => {
                "it lost its leadership or ZooKeeper; a leader that is started before its old session ends does so after 9 s"
            }
            Self::Library => "a library is missing on this host",
            Self::Other => "its log says more",
        }
    }
}

fn kind_of(line: &str) -> Option<FatalKind> {
    let has = |part: &str| line.contains(part);
    if has("Failed to load ") && has("flag") || has("Failed to load value") || has("Duplicate flag '") {
        return Some(FatalKind::Flags);
    }
    if has("Missing required option") || has("Configuration error:") || line.trim_start().starts_with("Usage: mesos-") {
        return Some(FatalKind::Flags);
    }
    if has("Incompatible slave info detected") {
        return Some(FatalKind::IncompatibleSlave);
    }
    if has("Failed to recover slave state") || has("Failed to perform recovery") {
        return Some(FatalKind::Recovery);
    }
    if has("Slave asked to shut down by master@") {
        return Some(FatalKind::GivenUp);
    }
    if has("committing suicide") {
        return Some(FatalKind::LostLeadership);
    }
    if has("error while loading shared libraries") {
        return Some(FatalKind::Library);
    }
    if has("Failed to create a master detector") || has("Failed to initialize, bind") || has("Check failed:") {
        return Some(FatalKind::Other);
    }
    // glog's first letter: `F1120 15:34:22.122903 10483 master.cpp:700] …`. A supervisor may have put words before it.
    let glog = line.split_whitespace().any(|word| {
        word.len() == 5 && word.starts_with('F') && word.get(1..).is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit()))
    });
    (glog && line.contains(".cpp:")).then_some(FatalKind::Other)
}

/// The last fatal line that no new start follows. `None` when the daemon lives, as far as its log says.
pub(crate) fn last_fatal(log: &str) -> Option<Fatal> {
    let mut found: Option<(FatalKind, &str)> = None;
    for line in log.lines() {
        if line.contains("Starting Mesos ") || line.contains("Creating \"process\" isolator") {
            found = None;
        } else if let Some(kind) = kind_of(line) {
            // The usage text and stack trace after a reason say less than the reason.
            let says_less = line.trim_start().starts_with("Usage: ") || kind == FatalKind::Other;
            if found.is_none() || !says_less {
                found = Some((kind, line));
            }
        }
    }
    found.map(|(kind, line)| Fatal { kind, line: line.trim().chars().filter(|c| !c.is_control()).take(300).collect() })
}

/// Whether a slave says, after its last start, that a master took it back under its old id.
pub(crate) fn said_reregistered(log: &str) -> bool {
    let mut said = false;
    for line in log.lines() {
        if line.contains("Starting Mesos ") {
            said = false;
        } else if line.contains("Re-registered with master master@") {
            said = true;
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! real {
        ($path:literal) => {
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mesos-real/", $path))
        };
    }

    fn kind(log: &str) -> Option<FatalKind> {
        last_fatal(log).map(|fatal| fatal.kind)
    }

    #[test]
    fn recorded_ends_are_told_apart() {
        for flags in [
            real!("0.13.0/err-unknown-flag-roles.txt"),
            real!("0.13.0/err-unknown-env.txt"),
            real!("0.13.0/err-duplicate-env-and-cli.txt"),
            real!("0.13.0/err-empty-arg.txt"),
            real!("0.14.2/err-unknown-flag-oom-buffer.txt"),
            real!("0.12.1/err-missing-master.txt"),
            real!("0.12.1/err-conf-malformed.txt"),
        ] {
            assert_eq!(kind(flags), Some(FatalKind::Flags), "{flags}");
        }
        let fatal = last_fatal(real!("0.13.0/err-unknown-flag-roles.txt")).expect("fatal");
        assert_eq!(fatal.line, "Failed to load unknown flag 'roles'");
        assert_eq!(kind(real!("0.15.0/err-incompatible-slave-info.txt")), Some(FatalKind::IncompatibleSlave));
        assert_eq!(kind(real!("0.15.0/log-leader-fast-restart-suicide.txt")), Some(FatalKind::LostLeadership));
        assert_eq!(kind(real!("0.15.0/log-slave-reregister-after-deactivation.txt")), Some(FatalKind::GivenUp));
        assert_eq!(kind(real!("0.15.0/err-slaves-flag-not-star.txt")), Some(FatalKind::Other));
    }

    #[test]
    fn a_daemon_that_lives_said_nothing_fatal() {
        for log in [
            real!("0.13.0/log-master-leader-startup.txt"),
            real!("0.13.0/log-slave-startup.txt"),
            real!("0.14.2/log-slave-startup.txt"),
            real!("0.15.0/log-slave-restart-recovery.txt"),
            "",
        ] {
            assert_eq!(last_fatal(log), None, "{log}");
        }
        let restarted = format!(
            "{}\nI1120 15:34:13.336108 10365 main.cpp:115] Starting Mesos master\n",
            real!("0.15.0/log-leader-fast-restart-suicide.txt")
        );
        assert_eq!(last_fatal(&restarted), None, "a new start follows");
    }

    #[test]
    fn a_recovered_slave_says_so() {
        assert!(said_reregistered(real!("0.15.0/log-slave-restart-recovery.txt")));
        assert!(!said_reregistered(real!("0.13.0/log-slave-startup.txt")));
    }
}
