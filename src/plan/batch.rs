//! Which hosts are taken next. Pure; asked again before each batch, since leaders move and hosts drop out.

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

    /// Takes the next batch from the hosts that remain: never across two values of `serial_by`.
    pub(crate) fn next(
        &mut self,
        remaining: &mut Vec<usize>,
        value_of: &dyn Fn(usize) -> Option<String>,
    ) -> Vec<usize> {
        let size = self.size(self.taken).min(remaining.len());
        self.taken += 1;
        let mut batch: Vec<usize> = Vec::new();
        let Some(first) = remaining.first() else { return batch };
        let value = value_of(*first);
        remaining.retain(|host| {
            let take = batch.len() < size && value_of(*host) == value;
            if take {
                batch.push(*host);
            }
            !take
        });
        batch
    }

    /// How many batches there will be in all when every host stays, for the screen.
    pub(crate) fn count(&self, hosts: &[usize], value_of: &dyn Fn(usize) -> Option<String>) -> u32 {
        let mut remaining = hosts.to_vec();
        let mut probe = Self { taken: 0, ..self.clone() };
        let mut count = 0;
        while !remaining.is_empty() {
            probe.next(&mut remaining, value_of);
            count += 1;
        }
        count
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
            all.push(batches.next(&mut remaining, value_of));
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
}
