//! What a hop asks of those who write schedulers, and nothing on a host shows: it can only be confirmed.

use super::Version;

/// One thing to confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Confirmation {
    /// The word under `confirm`.
    pub(crate) word: &'static str,
    /// What is confirmed by yes.
    pub(crate) what: &'static str,
    /// What follows from no.
    pub(crate) without: &'static str,
}

/// By the minor release that asks for it. From the upgrade documents of the releases.
const TABLE: &[(&str, Confirmation)] = &[
    (
        "0.14",
        Confirmation {
            word: "checkpoint",
            what: "the scheduler sets FrameworkInfo.checkpoint",
            without: "its tasks are lost at every restart of their slave",
        },
    ),
    (
        "0.15",
        Confirmation {
            word: "credential",
            what: "the scheduler gives its driver a Credential, which every master has in its file",
            without: "it can't register any more once masters authenticate",
        },
    ),
    (
        "0.15",
        Confirmation {
            word: "reconcile",
            what: "the scheduler calls reconcileTasks of its driver",
            without: "it may believe in tasks that were lost while it or the master was away",
        },
    ),
    (
        "1.5",
        Confirmation {
            word: "starting",
            what: "the scheduler takes the state TASK_STARTING",
            without: "it may take a task that starts for a lost one",
        },
    ),
];

/// What is to be confirmed for a release.
pub(crate) fn confirmations(version: Version) -> Vec<Confirmation> {
    let minor = version.minor_name();
    TABLE.iter().filter(|(release, _)| *release == minor).map(|(_, confirmation)| *confirmation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mesos::hops;

    #[test]
    fn each_release_that_asks_is_one_of_a_hop() {
        for (release, _) in TABLE {
            assert!(hops().iter().any(|hop| hop.to == *release), "{release}");
        }
        let words = |version| confirmations(version).iter().map(|one| one.word).collect::<Vec<_>>();
        assert_eq!(words(Version::new(0, 15, 0)), ["credential", "reconcile"]);
        assert!(words(Version::new(0, 13, 0)).is_empty());
    }
}
