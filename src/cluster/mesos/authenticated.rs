//! Which frameworks have authenticated, by the only word that there is in 0.15: the leading master's log.
//!
//! An authentication counts only for the process that leads now, and only for the scheduler under whose address the framework has
//! registered last. A line that a rotation took away proves nothing.

use std::collections::{BTreeMap, BTreeSet};

/// What a leader's log says of a framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Authentication {
    /// It registered from this scheduler, which had authenticated.
    Proven(String),
    /// It registered from this scheduler, which had not.
    Missing(String),
    /// The log does not say that it registered.
    NotSaid,
}

/// The log of one process of a master, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Authentications(BTreeMap<String, (String, bool)>);

impl Authentications {
    /// What is known of a framework.
    pub(crate) fn of(&self, framework: &str) -> Authentication {
        match self.0.get(framework) {
            Some((pid, true)) => Authentication::Proven(pid.clone()),
            Some((pid, false)) => Authentication::Missing(pid.clone()),
            None => Authentication::NotSaid,
        }
    }
}

/// Whether a line is the one in which a master with this id says that it starts.
fn begins(line: &str, id: &str) -> bool {
    // The id is the beginning of every framework's id, too.
    let whole = |rest: &str| rest.strip_prefix(id).is_some_and(|rest| !rest.starts_with(['-', '.']));
    line.split_once("Master ID: ").is_some_and(|(_, rest)| whole(rest))
        || line.split_once("] Master ").is_some_and(|(_, rest)| whole(rest) && rest.contains("started on"))
}

/// Reads the log of the master that has this id, from its start on.
///
/// # Errors
/// The log does not go back to the start of that process.
pub(crate) fn read_authentications(log: &str, id: &str) -> Result<Authentications, String> {
    let mut lines = log.lines();
    if !lines.by_ref().any(|line| begins(line, id)) {
        return Err(format!("it does not go back to the start of the master {id}, which leads now"));
    }
    let mut authenticated = BTreeSet::new();
    let mut found = BTreeMap::new();
    for line in lines {
        let after = |words: &str| line.split_once(words).map(|(_, rest)| rest);
        let address = |rest: &str| {
            let (_, pid) = rest.split_once("at ")?;
            let pid = pid.split_whitespace().next()?.trim_end_matches([':', ',', ';']);
            pid.contains('@').then(|| pid.to_owned())
        };
        if let Some(pid) = after("Successfully authenticated ").and_then(address) {
            authenticated.insert(pid);
        } else if let Some(pid) = after("Failed to authenticate ").and_then(address) {
            authenticated.remove(&pid);
        } else if let Some(rest) = after("egistering framework ")
            && let Some(framework) = rest.split_whitespace().next()
            && let Some(pid) = rest.split_once(' ').and_then(|(_, rest)| address(rest))
        {
            let proven = authenticated.contains(&pid);
            found.insert(framework.to_owned(), (pid, proven));
        }
    }
    Ok(Authentications(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "I1120 15:27:17.439867  7838 master.cpp:299] Master ID: 2026-m1\n";

    fn log(lines: &[&str]) -> Authentications {
        read_authentications(&[START, &lines.join("\n")].concat(), "2026-m1").expect("from its start")
    }

    #[test]
    fn a_framework_is_proven_by_the_scheduler_that_it_registered_from() {
        let found = log(&[
            "I1120 15:34:07.1  1 master.cpp:1] Successfully authenticated framework at scheduler(1)@127.0.0.31:33035",
            "I1120 15:34:07.2  1 master.cpp:844] Re-registering framework 2026-m1-0000 at scheduler(1)@127.0.0.31:33035",
            "I1120 15:34:07.3  1 master.cpp:690] Registering framework 2026-m1-0001 at scheduler(1)@127.0.0.32:43981",
        ]);
        assert_eq!(found.of("2026-m1-0000"), Authentication::Proven("scheduler(1)@127.0.0.31:33035".into()));
        assert_eq!(found.of("2026-m1-0001"), Authentication::Missing("scheduler(1)@127.0.0.32:43981".into()));
        assert_eq!(found.of("2026-m1-0002"), Authentication::NotSaid);
    }

    #[test]
    fn a_scheduler_that_comes_back_without_credentials_takes_the_proof_away() {
        let found = log(&[
            "] Successfully authenticated framework at scheduler(1)@127.0.0.31:1",
            "] Registering framework F at scheduler(1)@127.0.0.31:1",
            "] Re-registering framework F at scheduler(1)@127.0.0.31:2",
        ]);
        assert_eq!(found.of("F"), Authentication::Missing("scheduler(1)@127.0.0.31:2".into()));
        let failed = log(&[
            "] Successfully authenticated framework at scheduler(1)@127.0.0.31:1",
            "] Failed to authenticate framework at scheduler(1)@127.0.0.31:1: refused",
            "] Re-registering framework F at scheduler(1)@127.0.0.31:1",
        ]);
        assert_eq!(failed.of("F"), Authentication::Missing("scheduler(1)@127.0.0.31:1".into()));
    }

    #[test]
    fn later_releases_word_it_otherwise() {
        let text = "I0101 00:00:00.1  1 master.cpp:380] Master 6b-x (m1) started on 10.0.0.1:5050\n\
                    I0101 00:00:00.2  1 master.cpp:9] Successfully authenticated principal 'marathon' at scheduler-1@10.0.0.9:1\n\
                    I0101 00:00:00.3  1 master.cpp:9] Registering framework 6b-x-0000 (marathon) at scheduler-1@10.0.0.9:1 with checkpointing";
        let found = read_authentications(text, "6b-x").expect("from its start");
        assert_eq!(found.of("6b-x-0000"), Authentication::Proven("scheduler-1@10.0.0.9:1".into()));
    }

    #[test]
    fn a_log_of_another_start_proves_nothing() {
        for text in [
            "",
            "] Registering framework 2026-m1-0000 at scheduler(1)@h:1",
            "] Master ID: 2026-m1-2\n",
            "] Master ID: 2025-m1\n",
        ] {
            assert!(read_authentications(text, "2026-m1").is_err(), "{text}");
        }
        let two = "] Master ID: 2025\n] Successfully authenticated framework at s@h:1\n] Master ID: 2026-m1\n] Re-registering framework F at s@h:1\n";
        assert_eq!(
            read_authentications(two, "2026-m1").expect("good").of("F"),
            Authentication::Missing("s@h:1".into())
        );
    }
}
