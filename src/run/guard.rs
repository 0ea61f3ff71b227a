//! Go or halt: one pure function over the ledger of host states, asked after every task and every batch, and before the first.
//!
//! An unreachable host counts as failed for every guard (facts/peers.md, pain 1), and nothing weakens one: neither `always:`
//! sections nor handlers nor `ignore_errors` at a gate. The two sets of rules differ in when a guard that nobody wrote fires, in
//! what happens to the hosts at work after one fired, and in what `max_fail_percentage` is a part of: Ansible divides all hosts
//! that failed in the run by the size of the batch, hosts that failed before included in both; we divide what failed in the batch
//! by the hosts that began in it. Limits that count hosts of the whole play (`max_fail`, `max_unavailable`) count those that an
//! earlier play lost too: a dead host is dead whichever play found it.

use crate::event::Halt;
use crate::plan::{Serial, Window};

/// How many hosts are named when many are out.
const NAMED: usize = 5;

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

/// A condition of the play that did not hold on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `gate` or `bake`.
    pub(crate) guard: &'static str,
    /// Which condition, and what it said.
    pub(crate) value: String,
}

/// A line of the ledger: a host that the play names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: String,
    /// How it stands.
    pub(crate) standing: Standing,
    /// The batch in which it began; `None` before that, and for a host that an earlier play lost.
    pub(crate) batch: Option<u32>,
    /// What `serial_by` says of it.
    pub(crate) group: Option<String>,
    /// A condition that did not hold on it.
    pub(crate) refusal: Option<Refusal>,
}

impl Entry {
    fn is_out(&self) -> bool {
        self.standing.is_out()
    }
}

/// The state of all hosts that a play names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// The hosts, in the play's order.
    pub(crate) hosts: Vec<Entry>,
    /// How many hosts of the run are out that this play does not name.
    pub(crate) elsewhere: usize,
    /// Nothing is at work, and the window lets none of the hosts that remain begin.
    pub(crate) stuck: bool,
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
    /// `max_fail_percentage` of a batch, or of the play where hosts are taken through a window.
    pub(crate) max_fail_percentage: Option<f64>,
    /// `max_fail` of the whole play.
    pub(crate) max_fail: Option<Serial>,
    /// `max_unavailable`: how many hosts may be out at once; `None` where hosts are taken in batches.
    pub(crate) window: Option<Window>,
}

/// Looks at the ledger after something happened in a batch (`None`: before the first); the first guard that fires is the
/// answer.
pub(crate) fn judge(limits: &Limits, ledger: &Ledger, batch: Option<u32>) -> Option<Halt> {
    let all = &ledger.hosts;
    let play_out: Vec<&Entry> = all.iter().filter(|host| host.is_out()).collect();
    if play_out.is_empty() && ledger.elsewhere == 0 && all.iter().all(|host| host.refusal.is_none()) {
        return None;
    }
    // A window is one long batch for what counts hosts of a batch.
    let members: Vec<&Entry> = match (limits.window, batch) {
        (Some(_), _) => all.iter().filter(|host| host.batch.is_some()).collect(),
        (None, Some(batch)) => all.iter().filter(|host| host.batch == Some(batch)).collect(),
        (None, None) => Vec::new(),
    };
    let out: Vec<&Entry> = members.iter().copied().filter(|host| host.is_out()).collect();
    let last = out.last().or(play_out.last()).map(|host| host.name.clone());
    let halt = |guard: &str, value: String| Some(Halt { guard: guard.to_owned(), host: last.clone(), value });
    if let Some((host, refusal)) = all.iter().find_map(|host| Some((host, host.refusal.as_ref()?))) {
        return Some(Halt {
            guard: refusal.guard.to_owned(),
            host: Some(host.name.clone()),
            value: refusal.value.clone(),
        });
    }
    if limits.any_errors_fatal && !out.is_empty() {
        return halt("any_errors_fatal", who(&out));
    }
    if let Some(percent) = limits.max_fail_percentage
        && !members.is_empty()
    {
        let (failed, of, what) = match (limits.rules, limits.window) {
            (_, Some(_)) => (play_out.len(), all.len(), "play"),
            (Rules::Ansible, None) => (play_out.len() + ledger.elsewhere, members.len(), "batch"),
            (Rules::Stagger, None) => (out.len(), members.len(), "batch"),
        };
        #[expect(clippy::cast_precision_loss, reason = "host counts are small")]
        let share = failed as f64 * 100.0 / of.max(1) as f64;
        if share > percent {
            let counted = if limits.rules == Rules::Ansible { &play_out } else { &out };
            let value = format!(
                "{failed} out, of {of} hosts of the {what} ({share:.0} %, {percent} % allowed): {}",
                who(counted)
            );
            return halt("max_fail_percentage", value);
        }
    }
    if let Some(most) = limits.max_fail {
        let allowed = most.limit(all.len());
        if play_out.len() > allowed {
            let rounded = match most {
                Serial::Percent(percent) => format!(" ({percent} % of {}, rounded down)", all.len()),
                Serial::Count(_) => String::new(),
            };
            let value = format!(
                "{} of {} hosts of the play are out, {allowed} allowed{rounded}: {}",
                play_out.len(),
                all.len(),
                who(&play_out)
            );
            return halt("max_fail", value);
        }
    }
    let told = limits.max_fail_percentage.is_some() || limits.max_fail.is_some();
    let first_stops = limits.rolling && (limits.rules == Rules::Stagger || limits.window.is_some());
    if first_stops && !told && !out.is_empty() {
        let keyword = if limits.window.is_some() { "max_unavailable" } else { "serial" };
        let value = format!(
            "{}; a rolling play stops at its first failed host unless `max_fail` or `max_fail_percentage` allows it",
            who(&out)
        );
        return halt(keyword, value);
    }
    // Who says how many of the play may fail has said so of a batch of one, too.
    let whole = !members.is_empty() && out.len() == members.len();
    let nobody_left = play_out.len() == all.len();
    if whole && (nobody_left || limits.window.is_none() && limits.max_fail.is_none()) {
        let all = if out.len() == 1 { "no host is left" } else { "every host of the batch is out" };
        return halt("batch", format!("{all}: {}", who(&out)));
    }
    match limits.window {
        Some(window) if ledger.stuck && play_out.len() >= window.most() => {
            let value = format!(
                "{} of {} hosts are out for good, and no more than {} may be out at once: {}",
                play_out.len(),
                all.len(),
                window.most(),
                who(&play_out)
            );
            halt("max_unavailable", value)
        }
        Some(_) if ledger.stuck => {
            let group = play_out.iter().find_map(|host| host.group.as_deref()).unwrap_or("none");
            let value = format!(
                "no host that remains may be out together with those of `{group}` that are out for good: {}",
                who(&play_out)
            );
            halt("serial_by", value)
        }
        _ => None,
    }
}

/// `h1 failed, h2 is unreachable`.
fn who(hosts: &[&Entry]) -> String {
    let what = |host: &&Entry| match host.standing {
        Standing::Unreachable => format!("{} is unreachable", host.name),
        _ => format!("{} failed", host.name),
    };
    let named = hosts.iter().take(NAMED).map(what).collect::<Vec<_>>().join(", ");
    match hosts.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Standing = Standing::Active;
    const F: Standing = Standing::Failed;
    const U: Standing = Standing::Unreachable;

    fn limits(rules: Rules, rolling: bool) -> Limits {
        Limits { rules, rolling, any_errors_fatal: false, max_fail_percentage: None, max_fail: None, window: None }
    }

    /// Hosts `h1`, `h2` … of which the first are in the batch that is judged and the rest never began.
    fn ledger(batch: &[Standing], rest: &[Standing]) -> Ledger {
        let entry = |(at, standing): (usize, &Standing)| Entry {
            name: format!("h{}", at + 1),
            standing: *standing,
            batch: (at < batch.len()).then_some(0),
            group: None,
            refusal: None,
        };
        Ledger { hosts: batch.iter().chain(rest).enumerate().map(entry).collect(), elsewhere: 0, stuck: false }
    }

    fn fires(limits: &Limits, batch: &[Standing], rest: &[Standing]) -> Option<String> {
        judge(limits, &ledger(batch, rest), Some(0)).map(|halt| halt.guard)
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
        let told = |batch: &[Standing]| {
            judge(&limits(Rules::Ansible, true), &ledger(batch, &[]), Some(0)).map(|halt| halt.value)
        };
        assert_eq!(told(&[F]).as_deref(), Some("no host is left: h1 failed"));
        let both = "every host of the batch is out: h1 failed, h2 is unreachable";
        assert_eq!(told(&[F, U]).as_deref(), Some(both));
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
