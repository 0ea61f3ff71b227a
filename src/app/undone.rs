//! What a run changed, play by play, and what leads back. Pure.

use std::collections::HashMap;

use indexmap::IndexMap;

use crate::base::PlayId;
use crate::event::{Event, EventKind, Status, TaskKey};

/// What a play changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) name: String,
    /// The playbook that is the way back; empty when it names none.
    pub(super) rollback: String,
    /// The hosts that it changed.
    pub(super) hosts: IndexMap<String, Acts>,
}

/// What was done on a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Acts {
    /// Where the last of it comes among all events.
    pub(super) last: usize,
    /// `task: what it did`, in order.
    pub(super) done: Vec<String>,
}

/// A playbook on hosts, in the order in which they are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leg {
    pub(super) file: String,
    pub(super) hosts: Vec<String>,
}

/// What a run changed: plays that changed something, in their order. What was begun and failed, or was cut off, counts; a command
/// that is known to have changed nothing does not.
pub(super) fn changed(events: &[Event]) -> Vec<Changed> {
    let mut plays: IndexMap<PlayId, Changed> = IndexMap::new();
    let mut ways: Vec<String> = Vec::new();
    let mut names: HashMap<&TaskKey, &str> = HashMap::new();
    let mut acting: IndexMap<(&TaskKey, &str), (usize, Vec<String>)> = IndexMap::new();
    let keep = |plays: &mut IndexMap<PlayId, Changed>, key: &TaskKey, host: &str, acts: (usize, Vec<String>)| {
        let entry = plays.entry(key.play).or_default().hosts.entry(host.to_owned()).or_default();
        entry.last = entry.last.max(acts.0);
        entry.done.extend(acts.1);
    };
    for (at, event) in events.iter().enumerate() {
        match &event.kind {
            EventKind::RunStarted { plays, .. } => ways = plays.iter().map(|play| play.rollback.clone()).collect(),
            EventKind::PlayStarted { play, name, .. } => plays.entry(*play).or_default().name.clone_from(name),
            EventKind::TaskStarted { key, name, .. } => {
                names.insert(key, name);
            }
            EventKind::ActStarted { key, host, steps, .. } => {
                let name = names.get(key).copied().unwrap_or_default();
                let told = steps.iter().map(|step| format!("{name}: {}", step.summary));
                let acts = acting.entry((key, host)).or_default();
                acts.0 = at;
                acts.1.extend(told);
            }
            EventKind::HostFinished { key, host, status, .. } => {
                if let Some(acts) = acting.shift_remove(&(key, host.as_str()))
                    && !matches!(status, Status::Ok | Status::Skipped)
                {
                    keep(&mut plays, key, host, acts);
                }
            }
            _ => {}
        }
    }
    for ((key, host), acts) in acting {
        keep(&mut plays, key, host, acts);
    }
    plays.sort_keys();
    for (play, changed) in &mut plays {
        changed.rollback = ways.get(play.0 as usize).cloned().unwrap_or_default();
    }
    plays.into_values().filter(|play| !play.hosts.is_empty()).collect()
}

/// The way back: the last play first, and of its hosts the one first that was changed last. Neighbours with the same way back
/// go it once.
///
/// # Errors
/// Plays that changed something and name no way back.
pub(super) fn legs(plays: &[Changed]) -> Result<Vec<Leg>, Vec<&Changed>> {
    let lost: Vec<&Changed> = plays.iter().filter(|play| play.rollback.is_empty()).collect();
    if !lost.is_empty() {
        return Err(lost);
    }
    let mut legs = Vec::new();
    let mut rest = plays;
    while let Some(last) = rest.last() {
        let alike = rest.iter().rev().take_while(|play| play.rollback == last.rollback).count();
        let (before, these) = rest.split_at(rest.len() - alike);
        let mut hosts: IndexMap<&str, usize> = IndexMap::new();
        for (host, acts) in these.iter().flat_map(|play| &play.hosts) {
            let at = hosts.entry(host).or_default();
            *at = acts.last.max(*at);
        }
        hosts.sort_by(|_, a, _, b| b.cmp(a));
        legs.push(Leg { file: last.rollback.clone(), hosts: hosts.into_keys().map(str::to_owned).collect() });
        rest = before;
    }
    Ok(legs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(name: &str, rollback: &str, hosts: &[(&str, usize)]) -> Changed {
        let acts = |last: usize| Acts { last, done: vec![format!("{name}: x")] };
        Changed {
            name: name.to_owned(),
            rollback: rollback.to_owned(),
            hosts: hosts.iter().map(|(host, last)| ((*host).to_owned(), acts(*last))).collect(),
        }
    }

    #[test]
    fn the_way_back_is_gone_in_reverse_and_by_neighbours_once() {
        let plays = [
            play("stage", "a.yml", &[("m1", 1), ("s1", 2)]),
            play("masters", "b.yml", &[("m1", 3), ("m2", 4)]),
            play("slaves", "a.yml", &[("s1", 5), ("s2", 6)]),
            play("again", "a.yml", &[("s2", 7), ("s1", 8), ("s3", 9)]),
        ];
        let legs = legs(&plays).unwrap();
        let told: Vec<String> = legs.iter().map(|leg| format!("{} {}", leg.file, leg.hosts.join(" "))).collect();
        assert_eq!(told, ["a.yml s3 s1 s2", "b.yml m2 m1", "a.yml s1 m1"]);
    }

    #[test]
    fn one_play_without_a_way_back_is_enough_to_do_nothing() {
        let plays = [play("one", "a.yml", &[("m1", 1)]), play("two", "", &[("m2", 2)])];
        let lost: Vec<&str> = legs(&plays).unwrap_err().iter().map(|play| play.name.as_str()).collect();
        assert_eq!(lost, ["two"]);
    }

    #[test]
    fn what_failed_half_way_and_what_was_cut_off_was_changed_and_a_look_was_not() {
        use crate::event::StepLine;
        use crate::event::fixture::{at, finished, key, task};
        let act = |host: &str, task_key: TaskKey| EventKind::ActStarted {
            key: task_key,
            host: host.to_owned(),
            item: 0,
            steps: vec![StepLine {
                summary: "write /a".to_owned(),
                diff: None,
                opaque: false,
                once: false,
                script: None,
            }],
            login: String::new(),
            privilege: String::new(),
        };
        let kinds = vec![
            act("looked", key()),
            finished("looked", Status::Ok),
            act("changed", key()),
            finished("changed", Status::Changed),
            act("failed", key()),
            finished("failed", Status::Failed),
            finished("nothing", Status::Changed),
            act("cut", task(5)),
        ];
        let events: Vec<Event> = kinds.into_iter().map(|kind| at(0, kind)).collect();
        let plays = changed(&events);
        let hosts: Vec<&str> = plays[0].hosts.keys().map(String::as_str).collect();
        assert_eq!(hosts, ["changed", "failed", "cut"]);
        assert_eq!(plays[0].hosts["changed"].done, [": write /a"]);
    }
}
