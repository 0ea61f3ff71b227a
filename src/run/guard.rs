//! Go or halt: one pure function over the ledger of host standings, asked after every task and every batch.
//!
//! An unreachable host counts as failed for every guard (facts/peers.md, pain 1), and nothing weakens one: neither `always:`
//! sections nor handlers. The two sets of rules differ in when a guard that nobody wrote fires, and in what happens to the hosts
//! at work after one fired; not in what a guard counts.

use crate::event::Halt;
use crate::plan::Serial;

/// Whose rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// A rolling play stops at its first failed host unless told otherwise; hosts at work finish their own sequence.
    Stagger,
    /// The next batch goes on unless the whole batch failed; a guard that fires stops the batch at that task.
    Ansible,
}

/// How a host stands in the play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It takes part.
    Active,
    /// A task failed on it, and no rescue took it.
    Failed,
    /// It can't be reached, or nobody knows what a lost connection left.
    Unreachable,
    /// `meta: end_host` and the like: it is done.
    Ended,
    /// A person left it out of what is still to come.
    LeftOut,
}

impl Standing {
    /// Whether guards count it.
    pub(crate) fn is_out(self) -> bool {
        matches!(self, Self::Failed | Self::Unreachable)
    }
}

/// The guards of a play.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limits {
    /// Whose rules hold.
    pub(crate) rules: Rules,
    /// Hosts are taken in batches.
    pub(crate) rolling: bool,
    /// `any_errors_fatal`.
    pub(crate) any_errors_fatal: bool,
    /// `max_fail_percentage` of a batch.
    pub(crate) max_fail_percentage: Option<f64>,
    /// `max_fail` of the whole play.
    pub(crate) max_fail: Option<Serial>,
}

/// Looks at the hosts of a batch, and at all hosts that the play names; the first guard that fires is the answer.
pub(crate) fn judge(limits: &Limits, batch: &[(&str, Standing)], play: &[(&str, Standing)]) -> Option<Halt> {
    let out = |hosts: &[(&str, Standing)]| hosts.iter().filter(|(_, standing)| standing.is_out()).count();
    let last = batch.iter().rev().find(|(_, standing)| standing.is_out());
    let failed = out(batch);
    if failed == 0 {
        return None;
    }
    let halt = |guard: &str, value: String| {
        Some(Halt { guard: guard.to_owned(), host: last.map(|(name, _)| (*name).to_owned()), value })
    };
    let what = |(name, standing): &(&str, Standing)| match standing {
        Standing::Unreachable => format!("{name} is unreachable"),
        _ => format!("{name} failed"),
    };
    let who = batch.iter().filter(|(_, s)| s.is_out()).map(what).collect::<Vec<_>>().join(", ");
    if limits.any_errors_fatal {
        return halt("any_errors_fatal", who);
    }
    if let Some(percent) = limits.max_fail_percentage {
        #[expect(clippy::cast_precision_loss, reason = "host counts are small")]
        let share = failed as f64 * 100.0 / batch.len().max(1) as f64;
        if share > percent {
            let value = format!(
                "{failed} of {} hosts of the batch are out ({share:.0} %, {percent} % allowed): {who}",
                batch.len()
            );
            return halt("max_fail_percentage", value);
        }
    }
    if let Some(most) = limits.max_fail {
        let (allowed, all) = (most.limit(play.len()), out(play));
        if all > allowed {
            return halt(
                "max_fail",
                format!("{all} of {} hosts of the play are out, {allowed} allowed: {who}", play.len()),
            );
        }
    }
    let told = limits.max_fail_percentage.is_some() || limits.max_fail.is_some();
    if limits.rules == Rules::Stagger && limits.rolling && !told {
        let value = format!(
            "{who}; a rolling play stops at its first failed host unless `max_fail` or `max_fail_percentage` allows it"
        );
        return halt("serial", value);
    }
    if failed == batch.len() {
        let all = if failed == 1 { "no host is left" } else { "every host of the batch is out" };
        return halt("batch", format!("{all}: {who}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Standing = Standing::Active;
    const F: Standing = Standing::Failed;
    const U: Standing = Standing::Unreachable;

    fn limits(rules: Rules, rolling: bool) -> Limits {
        Limits { rules, rolling, any_errors_fatal: false, max_fail_percentage: None, max_fail: None }
    }

    fn fires(limits: &Limits, batch: &[Standing], rest: &[Standing]) -> Option<String> {
        let names = ["h1", "h2", "h3", "h4", "h5", "h6"];
        let batch: Vec<_> = names.iter().copied().zip(batch.iter().copied()).collect();
        let mut play = batch.clone();
        play.extend(names.iter().copied().skip(batch.len()).zip(rest.iter().copied()));
        judge(limits, &batch, &play).map(|halt| halt.guard)
    }

    #[test]
    fn a_rolling_play_stops_at_its_first_failed_or_unreachable_host() {
        let ours = limits(Rules::Stagger, true);
        assert_eq!(fires(&ours, &[A, A], &[A]), None);
        assert_eq!(fires(&ours, &[F, A], &[A]).as_deref(), Some("serial"));
        assert_eq!(fires(&ours, &[U, A], &[A]).as_deref(), Some("serial"));
        let theirs = limits(Rules::Ansible, true);
        assert_eq!(fires(&theirs, &[F, A], &[A]), None);
        assert_eq!(fires(&theirs, &[F, U], &[A]).as_deref(), Some("batch"));
    }

    #[test]
    fn a_batch_of_one_is_not_told_of_every_host() {
        let told =
            |batch: &[(&str, Standing)]| judge(&limits(Rules::Ansible, true), batch, batch).map(|halt| halt.value);
        assert_eq!(told(&[("h1", F)]).as_deref(), Some("no host is left: h1 failed"));
        let both = "every host of the batch is out: h1 failed, h2 is unreachable";
        assert_eq!(told(&[("h1", F), ("h2", U)]).as_deref(), Some(both));
    }

    #[test]
    fn an_unreachable_host_counts_for_every_guard() {
        for rules in [Rules::Stagger, Rules::Ansible] {
            let fatal = Limits { any_errors_fatal: true, ..limits(rules, true) };
            assert_eq!(fires(&fatal, &[U, A, A], &[A]).as_deref(), Some("any_errors_fatal"));
            let percent = Limits { max_fail_percentage: Some(0.0), ..limits(rules, true) };
            assert_eq!(fires(&percent, &[U, A, A], &[A]).as_deref(), Some("max_fail_percentage"));
            let most = Limits { max_fail: Some(Serial::Count(0)), ..limits(rules, true) };
            assert_eq!(fires(&most, &[U, A, A], &[A]).as_deref(), Some("max_fail"));
        }
    }

    #[test]
    fn what_is_allowed_does_not_halt() {
        let percent = Limits { max_fail_percentage: Some(50.0), ..limits(Rules::Stagger, true) };
        assert_eq!(fires(&percent, &[F, A], &[]), None, "strictly more than");
        assert_eq!(fires(&percent, &[F, U, A], &[]).as_deref(), Some("max_fail_percentage"));
        let most = Limits { max_fail: Some(Serial::Count(1)), ..limits(Rules::Stagger, true) };
        assert_eq!(fires(&most, &[F, A], &[A]), None);
        assert_eq!(fires(&most, &[F, A], &[F]).as_deref(), Some("max_fail"), "of the whole play");
        let part = Limits { max_fail: Some(Serial::Percent(10.0)), ..limits(Rules::Stagger, true) };
        assert_eq!(fires(&part, &[F, A], &[A, A]).as_deref(), Some("max_fail"), "10 % of 4 hosts are none");
    }
}
