//! Which hosts are taken next, in batches or through a window. Pure; asked again before each batch and each host of a window,
//! since leaders move and hosts drop out.

use std::collections::HashSet;

use crate::base::{Value, to_text};

/// One value of `serial:`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Serial {
    /// So many hosts; 0 means all.
    Count(usize),
    /// A part of the play's hosts.
    Percent(f64),
}

impl Serial {
    /// Reads a number or a percentage.
    ///
    /// # Errors
    /// A sentence that says what it takes.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        parse_count(value)
            .map_err(|_| format!("`serial` is a number of hosts or a percentage, not `{}`", to_text(value)))
    }

    /// How many of `all` hosts. A percentage is rounded down, to one at least (facts/ansible.md §9.6).
    pub(crate) fn of(self, all: usize) -> usize {
        match self {
            Self::Count(0) => all.max(1),
            Self::Count(count) => count,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "host counts are small"
            )]
            Self::Percent(percent) => ((percent * all as f64 / 100.0) as usize).max(1),
        }
    }

    /// How many of `all` hosts, rounded down, zero included: for limits rather than sizes.
    pub(crate) fn limit(self, all: usize) -> usize {
        match self {
            Self::Count(count) => count,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "host counts are small"
            )]
            Self::Percent(percent) => (percent * all as f64 / 100.0) as usize,
        }
    }
}

/// Reads `3` or `10%`.
///
/// # Errors
/// A sentence that says what it takes.
pub(crate) fn parse_count(value: &Value) -> Result<Serial, String> {
    let text = to_text(value);
    let text = text.trim();
    let wrong = || format!("expected a number or a percentage, not `{text}`");
    if let Some(percent) = text.strip_suffix('%') {
        let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
        return if (0.0..=100.0).contains(&percent) { Ok(Serial::Percent(percent)) } else { Err(wrong()) };
    }
    let count: i64 = text.parse().map_err(|_| wrong())?;
    // Ansible takes zero and less for "all at once".
    Ok(Serial::Count(usize::try_from(count).unwrap_or(0)))
}

const NOBODY: &str = "; one host at least must be allowed out, or none could ever begin";

/// Reads `max_unavailable`.
///
/// # Errors
/// A sentence that says what it takes.
pub(crate) fn parse_window(value: &Value) -> Result<Serial, String> {
    let wrong = |reason: &str| format!("`max_unavailable` is a number of hosts or a percentage{reason}");
    // No boolean, and nothing below one: with nobody out nothing could ever begin.
    match (value, parse_count(value)) {
        (Value::Bool(_) | Value::Null, _) | (_, Err(_)) => Err(wrong(&format!(", not `{}`", to_text(value)))),
        (_, Ok(Serial::Count(0))) => Err(wrong(NOBODY)),
        (_, Ok(Serial::Percent(percent))) if percent <= 0.0 => Err(wrong(NOBODY)),
        (_, Ok(most)) => Ok(most),
    }
}

/// The sizes of a play's batches.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batches {
    sizes: Vec<Serial>,
    all: usize,
    taken: usize,
}

impl Batches {
    /// Batches of `all` hosts; no sizes mean one batch.
    pub(crate) fn new(sizes: Vec<Serial>, all: usize) -> Self {
        Self { sizes, all, taken: 0 }
    }

    /// Whether hosts are taken in several steps.
    pub(crate) fn is_rolling(&self) -> bool {
        !self.sizes.is_empty()
    }

    fn size(&self, at: usize) -> usize {
        // The last size goes on.
        self.sizes.get(at).or(self.sizes.last()).map_or(self.all.max(1), |size| size.of(self.all))
    }

    /// How many hosts the first batch takes.
    pub(crate) fn first_size(&self) -> usize {
        self.size(0)
    }

    /// Passes over a batch whose hosts are known.
    pub(crate) fn pass(&mut self) {
        self.taken += 1;
    }

    /// Takes the next batch from the hosts that remain, which are in order: never across two values of `serial_by`, and no host
    /// before one of another value that comes before it in the order. Hosts of one rank may change places.
    pub(crate) fn next(
        &mut self,
        remaining: &mut Vec<usize>,
        value_of: &dyn Fn(usize) -> Option<String>,
        rank_of: &dyn Fn(usize) -> usize,
    ) -> Vec<usize> {
        let size = self.size(self.taken).min(remaining.len());
        self.taken += 1;
        let Some(first) = remaining.first() else { return Vec::new() };
        let value = value_of(*first);
        let batch: Vec<usize> = in_turn(remaining, &value, value_of, rank_of).take(size).collect();
        let taken: HashSet<usize> = batch.iter().copied().collect();
        remaining.retain(|host| !taken.contains(host));
        batch
    }

    /// How many batches there will be in all when every host stays, for the screen.
    pub(crate) fn count(&self, hosts: &[usize], value_of: &dyn Fn(usize) -> Option<String>) -> u32 {
        let mut remaining = hosts.to_vec();
        let mut probe = Self { taken: 0, ..self.clone() };
        let mut count = 0;
        while !remaining.is_empty() {
            probe.next(&mut remaining, value_of, &|_| 0);
            count += 1;
        }
        count
    }
}

/// The hosts of a value whose turn it is: up to the first that would overtake one of another value.
fn in_turn<'a>(
    remaining: &'a [usize],
    value: &'a Option<String>,
    value_of: &'a dyn Fn(usize) -> Option<String>,
    rank_of: &'a dyn Fn(usize) -> usize,
) -> impl Iterator<Item = usize> + 'a {
    let passed = remaining.iter().find(|host| value_of(**host) != *value).map(|host| rank_of(*host));
    remaining
        .iter()
        .copied()
        .take_while(move |host| passed.is_none_or(|passed| rank_of(*host) <= passed))
        .filter(move |host| value_of(*host) == *value)
}

/// A sliding window (`max_unavailable`): a host starts as one finishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// How many hosts may be out at once, the failed ones included. Not zero.
    most: usize,
}

impl Window {
    /// So many of `all` hosts; a percentage is rounded down, to one at least.
    pub(crate) fn new(most: Serial, all: usize) -> Self {
        Self { most: most.of(all) }
    }

    /// How many hosts may be out at once.
    pub(crate) fn most(self) -> usize {
        self.most
    }

    /// The host that may be taken out now, given what `serial_by` says of each host that is out: none when the window is full,
    /// or when a host of another value is out. Hosts that remain are in order.
    pub(crate) fn next(
        self,
        remaining: &[usize],
        out: &[Option<String>],
        value_of: &dyn Fn(usize) -> Option<String>,
        rank_of: &dyn Fn(usize) -> usize,
    ) -> Option<usize> {
        if out.len() >= self.most {
            return None;
        }
        let value = match out.first() {
            Some(value) => value.clone(),
            None => value_of(*remaining.first()?),
        };
        if out.iter().any(|other| *other != value) {
            return None;
        }
        in_turn(remaining, &value, value_of, rank_of).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn batches(sizes: &[Value], hosts: usize, value_of: &dyn Fn(usize) -> Option<String>) -> Vec<Vec<usize>> {
        let sizes = sizes.iter().map(|size| Serial::parse(size).unwrap()).collect();
        let mut batches = Batches::new(sizes, hosts);
        let mut remaining: Vec<usize> = (0..hosts).collect();
        let mut all = Vec::new();
        while !remaining.is_empty() {
            all.push(batches.next(&mut remaining, value_of, &|_| 0));
        }
        all
    }

    #[test]
    fn sizes_are_counts_percentages_and_growing_lists() {
        let same = |_: usize| None;
        let lengths = |sizes: &[Value], hosts| batches(sizes, hosts, &same).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&[], 5), [5]);
        assert_eq!(lengths(&[json!(2)], 5), [2, 2, 1]);
        assert_eq!(lengths(&[json!("30%")], 8), [2, 2, 2, 2]);
        assert_eq!(lengths(&[json!("10%")], 5), [1, 1, 1, 1, 1]);
        assert_eq!(lengths(&[json!(1), json!(2), json!("50%")], 9), [1, 2, 4, 2]);
        assert_eq!(lengths(&[json!(0)], 3), [3]);
        assert!(Serial::parse(&json!("soon")).is_err());
        assert!(Serial::parse(&json!("200%")).is_err());
    }

    #[test]
    fn a_batch_never_spans_two_racks() {
        let rack = |host: usize| Some(if host.is_multiple_of(2) { "a" } else { "b" }.to_owned());
        assert_eq!(batches(&[json!(2)], 5, &rack), [vec![0, 2], vec![1, 3], vec![4]]);
        assert_eq!(batches(&[json!("100%")], 5, &rack), [vec![0, 2, 4], vec![1, 3]]);
    }

    #[test]
    fn a_batch_of_one_rack_takes_no_leader_before_its_turn() {
        let rack = |host: usize| Some(if host == 1 { "b" } else { "a" }.to_owned());
        // Host 2 leads, and comes last: rack b goes before it, though rack a has room.
        let rank = |host: usize| usize::from(host == 2);
        let mut remaining = vec![0, 1, 2];
        let mut batches = Batches::new(vec![Serial::Count(2)], 3);
        let mut next = || batches.next(&mut remaining, &rack, &rank);
        assert_eq!((next(), next(), next()), (vec![0], vec![1], vec![2]));
    }

    #[test]
    fn a_window_is_never_overfull_and_never_mixes_racks() {
        let rack = |host: usize| Some(if host.is_multiple_of(2) { "a" } else { "b" }.to_owned());
        let (a, b) = (Some("a".to_owned()), Some("b".to_owned()));
        let window = Window::new(Serial::Count(2), 5);
        let next = |remaining: &[usize], out: &[Option<String>]| window.next(remaining, out, &rack, &|_| 0);
        assert_eq!(next(&[0, 1, 2, 3], &[]), Some(0));
        assert_eq!(next(&[1, 2, 3], std::slice::from_ref(&a)), Some(2), "rack a goes on while one of it is out");
        assert_eq!(next(&[1, 3], &[a.clone(), a.clone()]), None, "the window is full");
        assert_eq!(next(&[1, 3], std::slice::from_ref(&a)), None, "rack b waits until rack a is back");
        assert_eq!(next(&[3, 4], &[a, b]), None, "nothing joins what is mixed already");
        assert_eq!(next(&[], &[]), None);
        let leader_last = |host: usize| usize::from(host == 2);
        assert_eq!(window.next(&[1, 3, 2], &[Some("a".to_owned())], &rack, &leader_last), None, "no leader overtakes");
        assert_eq!(Window::new(Serial::Percent(10.0), 5).most(), 1, "rounded down, to one at least");
    }

    #[test]
    fn a_window_of_nobody_is_refused() {
        for wrong in [json!(0), json!("0%"), json!(-1), json!("soon"), json!(true), json!("200%")] {
            assert!(parse_window(&wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_window(&json!("25%")), Ok(Serial::Percent(25.0)));
        assert_eq!(parse_window(&json!("3")), Ok(Serial::Count(3)));
    }
}
