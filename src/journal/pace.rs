//! How long plays took in earlier runs, to say how long they will take.

use std::collections::HashMap;

use crate::base::PlayId;
use crate::event::{Event, EventKind};

/// What batches of plays took, by the play's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Paces {
    batches: HashMap<String, Vec<Batch>>,
}

/// A batch that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Batch {
    hosts: u64,
    millis: u64,
}

impl Paces {
    /// The kinds of events that tell it.
    pub(crate) const KINDS: &[&str] = &["play_started", "batch_started", "batch_finished"];

    /// Takes the events of one more run. Batches that a run died in don't count; nor do those that a resumed run only walked
    /// through, which a later start of the same batch shows.
    pub(crate) fn add<'a>(&mut self, events: impl IntoIterator<Item = &'a Event>) {
        let mut names: HashMap<PlayId, String> = HashMap::new();
        let mut open: HashMap<(PlayId, u32), (u64, u64)> = HashMap::new();
        let mut seen: HashMap<(PlayId, u32), ()> = HashMap::new();
        for event in events {
            match &event.kind {
                EventKind::PlayStarted { play, name, .. } => {
                    names.insert(*play, name.clone());
                }
                EventKind::BatchStarted { play, batch, hosts, .. } => {
                    if seen.insert((*play, *batch), ()).is_none() {
                        open.insert((*play, *batch), (event.at, hosts.len() as u64));
                    } else {
                        open.remove(&(*play, *batch));
                    }
                }
                EventKind::BatchFinished { play, batch } => {
                    if let (Some((at, hosts)), Some(name)) = (open.remove(&(*play, *batch)), names.get(play))
                        && hosts > 0
                    {
                        let batch = Batch { hosts, millis: event.at.saturating_sub(at) };
                        self.batches.entry(name.clone()).or_default().push(batch);
                    }
                }
                _ => {}
            }
        }
    }

    /// Milliseconds that a play takes on so many hosts: the median of its batches' times, times how many batches of their
    /// median size that makes. `None` when no earlier run tells.
    pub(crate) fn estimate(&self, play: &str, hosts: u32) -> Option<u64> {
        let batches = self.batches.get(play)?;
        let size = median(batches.iter().map(|batch| batch.hosts))?.max(1);
        let time = median(batches.iter().map(|batch| batch.millis))?;
        Some(u64::from(hosts).div_ceil(size).saturating_mul(time))
    }
}

fn median(values: impl Iterator<Item = u64>) -> Option<u64> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::fixture::at;

    fn batch(number: u32, from: u64, to: Option<u64>) -> Vec<Event> {
        let hosts = vec!["a".to_owned(), "b".to_owned()];
        let started = EventKind::BatchStarted { play: PlayId(1), batch: number, batches: 9, hosts };
        let finished = |to| at(to, EventKind::BatchFinished { play: PlayId(1), batch: number });
        std::iter::once(at(from, started)).chain(to.map(finished)).collect()
    }

    #[test]
    fn the_median_batch_times_the_batches_to_come() {
        let play = EventKind::PlayStarted {
            play: PlayId(1),
            name: "slaves".to_owned(),
            hosts: Vec::new(),
            batches: 9,
            order: String::new(),
            tasks: 1,
        };
        let mut events = vec![at(0, play)];
        events.extend(batch(0, 0, Some(1_000)));
        events.extend(batch(1, 1_000, Some(11_000)));
        events.extend(batch(2, 11_000, Some(14_000)));
        // It died here, and the resumed run walked through the first again.
        events.extend(batch(3, 14_000, None));
        events.extend(batch(0, 90_000, Some(90_001)));
        let mut paces = Paces::default();
        paces.add(&events);
        assert_eq!(paces.estimate("slaves", 5), Some(9_000));
        assert_eq!(paces.estimate("slaves", 0), Some(0));
        assert_eq!(paces.estimate("masters", 5), None);
    }
}
