//! What differs between a plan and what would be done now: host by host, task by task.

use std::collections::{BTreeSet, HashMap};

use super::{Deed, PlanPhase, PlanStep, PlanTree};
use crate::event::Status;

/// What differs, a sentence each; empty when nothing does.
pub(crate) fn differences(then: &PlanTree, now: &PlanTree) -> Vec<String> {
    let mut found = Vec::new();
    for phase in &then.phases {
        match now.phases.iter().find(|other| other.play == phase.play) {
            Some(other) => phases(phase, other, &mut found),
            None => found.push(format!("the play `{}` is not reached any more", phase.name)),
        }
    }
    let is_new = |phase: &&PlanPhase| then.phases.iter().all(|other| other.play != phase.play);
    found.extend(now.phases.iter().filter(is_new).map(|phase| format!("the play `{}` was not planned", phase.name)));
    found
}

fn phases(then: &PlanPhase, now: &PlanPhase, found: &mut Vec<String>) {
    if then.skipped != now.skipped {
        let told = |why: &str| if why.is_empty() { "has hosts".to_owned() } else { why.to_owned() };
        found.push(format!("the play `{}`: planned: {}; now: {}", then.name, told(&then.skipped), told(&now.skipped)));
    }
    let (before, after) = (of_hosts(then), of_hosts(now));
    let hosts = |phase: &PlanPhase| phase.batches.iter().flatten().cloned().collect::<Vec<String>>();
    let (planned, found_now) = (hosts(then), hosts(now));
    let (was, is): (BTreeSet<&String>, BTreeSet<&String>) = (planned.iter().collect(), found_now.iter().collect());
    found.extend(
        was.difference(&is).map(|host| format!("{host}: it is not one of the hosts of `{}` any more", then.name)),
    );
    found.extend(is.difference(&was).map(|host| format!("{host}: it was not one of the hosts of `{}`", then.name)));
    if was == is && planned != found_now {
        let told = |hosts: &[String]| hosts.join(", ");
        let order = format!("planned {}; now {}", told(&planned), told(&found_now));
        found.push(format!("the order of the hosts of `{}`: {order}", then.name));
    }
    for host in planned.iter().filter(|host| is.contains(*host)) {
        let none = Vec::new();
        let then = before.get(host.as_str()).unwrap_or(&none);
        let now = after.get(host.as_str()).unwrap_or(&none);
        tasks(host, then, now, found);
    }
}

fn of_hosts(phase: &PlanPhase) -> HashMap<&str, Vec<&Deed>> {
    let groups = phase.groups.iter();
    groups.flat_map(|group| group.hosts.iter().map(|host| (host.as_str(), group.tasks.iter().collect()))).collect()
}

fn tasks(host: &str, then: &[&Deed], now: &[&Deed], found: &mut Vec<String>) {
    let same = |a: &Deed, b: &Deed| (&a.place, a.pass, &a.module) == (&b.place, b.pass, &b.module);
    for deed in then {
        match now.iter().find(|other| same(deed, other)) {
            Some(other) if alike(deed, other) => {}
            Some(other) => {
                let (mut planned, mut found_now) = (told(deed), told(other));
                if planned == found_now {
                    planned.push_str(", with other texts");
                    found_now = "texts that differ from the planned ones".to_owned();
                }
                found.push(format!("{host}: {}: planned: {planned}; now: {found_now}", named(deed)));
            }
            None => found.push(format!("{host}: {}: planned: {}; now: not reached", named(deed), told(deed))),
        }
    }
    for deed in now.iter().filter(|deed| then.iter().all(|other| !same(deed, other))) {
        found.push(format!("{host}: {}: not planned; now: {}", named(deed), told(deed)));
    }
}

fn named(deed: &Deed) -> String {
    let name = if deed.name.is_empty() { &deed.module } else { &deed.name };
    format!("{name} ({})", deed.place)
}

/// Whether both would do the same. Reasons are for people: they may hold times.
fn alike(a: &Deed, b: &Deed) -> bool {
    let steps = |a: &[PlanStep], b: &[PlanStep]| {
        a.len() == b.len()
            && a.iter().zip(b).all(|(a, b)| (&a.summary, a.opaque, &a.digest) == (&b.summary, b.opaque, &b.digest))
    };
    a.status == b.status
        && a.delegate == b.delegate
        && steps(&a.steps, &b.steps)
        && a.items.len() == b.items.len()
        && a.items
            .iter()
            .zip(&b.items)
            .all(|(a, b)| (a.index, &a.item, a.status) == (b.index, &b.item, b.status) && steps(&a.steps, &b.steps))
}

/// What it would do, in a few words.
fn told(deed: &Deed) -> String {
    let all = deed.steps.iter().chain(deed.items.iter().flat_map(|item| &item.steps));
    let steps: Vec<&str> = all.map(|step| step.summary.as_str()).collect();
    match deed.status {
        Status::Unpredictable | Status::Changed if !steps.is_empty() => steps.join(", "),
        Status::Unpredictable => "unknown".to_owned(),
        Status::Changed => "would change".to_owned(),
        Status::Ok => "as it should be".to_owned(),
        Status::Skipped => "left out".to_owned(),
        _ => format!("would fail: {}", deed.why),
    }
}
