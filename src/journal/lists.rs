//! The hosts that a run left behind, for later commands to name: `last_failed`, `last_unreachable`, `last_not_attempted`.

use std::collections::HashSet;

use crate::event::{Event, EventKind, Status};

/// What became of the hosts of a run, each list in the order in which the plays named them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    /// Hosts that failed and were not rescued.
    pub(crate) failed: Vec<String>,
    /// Hosts that could not be reached, and those whose line broke in the middle of a task.
    pub(crate) unreachable: Vec<String>,
    /// Hosts on which nothing was tried.
    pub(crate) not_attempted: Vec<String>,
    /// Whether the run came to its end. If not, it was killed, or still runs.
    pub(crate) ended: bool,
}

impl Lists {
    /// The kinds of events that tell it.
    pub(crate) const KINDS: &[&str] =
        &["play_started", "host_started", "act_started", "host_finished", "run_finished", "resumed"];

    /// Works them out from a run's events; of a run that died too.
    pub(crate) fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut lists = Self::default();
        let mut order: Vec<String> = Vec::new();
        let (mut named, mut tried): (HashSet<&str>, HashSet<&str>) = Default::default();
        let (mut failed, mut unreachable): (HashSet<&str>, HashSet<&str>) = Default::default();
        for event in events {
            match &event.kind {
                EventKind::PlayStarted { hosts, .. } => {
                    for host in hosts {
                        if named.insert(host) {
                            order.push(host.clone());
                        }
                    }
                }
                EventKind::HostStarted { host, .. } | EventKind::ActStarted { host, .. } => {
                    tried.insert(host);
                }
                EventKind::HostFinished { host, status, rescued, .. } => {
                    tried.insert(host);
                    // A resumed run tries again: what came of it last counts.
                    failed.remove(host.as_str());
                    unreachable.remove(host.as_str());
                    match status {
                        Status::Failed | Status::Bug if !rescued => failed.insert(host),
                        Status::Unreachable | Status::Unknown if !rescued => unreachable.insert(host),
                        _ => false,
                    };
                }
                EventKind::RunFinished { .. } => lists.ended = true,
                EventKind::Resumed { .. } => lists.ended = false,
                _ => {}
            }
        }
        let those = |set: &HashSet<&str>| -> Vec<String> {
            order.iter().filter(|host| set.contains(host.as_str())).cloned().collect()
        };
        lists.failed = those(&failed);
        lists.unreachable = those(&unreachable);
        lists.not_attempted = order.iter().filter(|host| !tried.contains(host.as_str())).cloned().collect();
        lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PlayId;
    use crate::event::fixture::{event, finished};

    #[test]
    fn a_run_that_died_still_says_who_failed_and_who_was_not_tried() {
        let hosts: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).into();
        let kinds = [
            EventKind::PlayStarted {
                play: PlayId(0),
                name: String::new(),
                hosts,
                batches: 1,
                order: String::new(),
                tasks: 1,
            },
            finished("a", Status::Ok),
            finished("b", Status::Failed),
            finished("c", Status::Unreachable),
            finished("d", Status::Ignored),
        ];
        let events: Vec<_> = kinds.into_iter().map(event).collect();
        let lists = Lists::of(&events);
        assert_eq!(lists.failed, ["b"]);
        assert_eq!(lists.unreachable, ["c"]);
        assert_eq!(lists.not_attempted, ["e"]);
        assert!(!lists.ended);
    }
}
