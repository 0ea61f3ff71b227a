//! The tree of what would change as lines.

use indexmap::IndexMap;

use super::{Deed, Group, PlanItem, PlanPhase, PlanStep, PlanTree, number};
use crate::event::Status;
use crate::report::diff::diff_lines;
use crate::report::fold::fold;
use crate::report::story::count;
use crate::report::style::{Label, Line};
use crate::report::tree_text::{Shown, about, hang};

/// A line with what stands below it.
struct Branch {
    line: Line,
    more: Vec<Line>,
    below: Vec<Branch>,
}

impl Branch {
    fn leaf(line: Line) -> Self {
        Self { line, more: Vec::new(), below: Vec::new() }
    }
}

/// The tree as text, each line with its end. With `shown.all` tasks that change nothing have lines, too.
pub(crate) fn plan_text(tree: &PlanTree, shown: &Shown, diffs: bool) -> String {
    let columns = shown.columns.unwrap_or(usize::MAX);
    let wrapped = |line: Line| line.wrapped(columns);
    let mut lines = wrapped(head(tree));
    let phases = tree.phases.iter().map(|phase| branch(phase, shown.all, diffs)).collect();
    grow(&mut lines, phases, "", columns);
    lines.push(Line::new());
    lines.extend(tail(tree).into_iter().flat_map(wrapped));
    lines.into_iter().map(|line| shown.paint.line(&line).trim_end().to_owned() + "\n").collect()
}

fn grow(lines: &mut Vec<Line>, branches: Vec<Branch>, stem: &str, columns: usize) {
    let last = branches.len();
    for (at, branch) in branches.into_iter().enumerate() {
        let (twig, rest) = if at + 1 == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let (twig, rest) = (format!("{stem}{twig}"), format!("{stem}{rest}"));
        hang(lines, branch.line, &twig, &rest, columns);
        for line in branch.more {
            hang(lines, line, &rest, &rest, columns);
        }
        grow(lines, branch.below, &rest, columns);
    }
}

fn head(tree: &PlanTree) -> Line {
    let line = Line::plain("plan of ").with(Label::Strong, tree.title.as_str());
    let line = if tree.inventory.is_empty() { line } else { line.and(format!(" on {}", tree.inventory.join(", "))) };
    let (phases, hosts) = (count(tree.phases.len(), "phase"), count(tree.totals.hosts as usize, "host"));
    line.and(format!(": {phases}, {hosts}; nothing was changed"))
}

fn branch(phase: &PlanPhase, all: bool, diffs: bool) -> Branch {
    let mut line = Line::of(Label::Strong, phase.name.as_str());
    if phase.skipped.is_empty() {
        let mut parts = vec![count(phase.hosts as usize, "host"), phase.order.clone()];
        parts.extend(phase.takes.map(|takes| format!("{} as earlier runs took", about(takes))));
        parts.retain(|part| !part.is_empty());
        line = line.and(format!(": {}", parts.join(", ")));
    } else {
        line = line.and(": ").with(Label::Skipped, phase.skipped.as_str());
    }
    let below = phase.groups.iter().map(|group| hosts(phase, group, all, diffs)).collect();
    Branch { line, more: Vec::new(), below }
}

fn hosts(phase: &PlanPhase, group: &Group, all: bool, diffs: bool) -> Branch {
    let mut line = Line::plain(fold(&group.hosts, 6));
    if group.hosts.len() > 1 {
        line = line.with(Label::Dim, format!(" ({})", count(group.hosts.len(), "host")));
    }
    if phase.batches.len() > 1 {
        line = line.and(batches(phase, group));
    }
    let quiet = |deed: &&Deed| !all && !deed.changes() && !deed.is_unknown() && !deed.fails();
    let mut below: Vec<Branch> = group.tasks.iter().filter(|deed| !quiet(deed)).map(|deed| task(deed, diffs)).collect();
    let (skipped, kept): (Vec<&Deed>, Vec<&Deed>) =
        group.tasks.iter().filter(quiet).partition(|deed| deed.status == Status::Skipped);
    let mut rest = Vec::new();
    if !kept.is_empty() {
        rest.push(format!(
            "{} as {} should be",
            count(kept.len(), "task"),
            if kept.len() == 1 { "it" } else { "they" }
        ));
    }
    if !skipped.is_empty() {
        rest.push(format!("{} left out", count(skipped.len(), "task")));
    }
    if group.tasks.is_empty() {
        rest.push("nothing was looked at".to_owned());
    }
    if !rest.is_empty() {
        below.push(Branch::leaf(Line::of(Label::Dim, rest.join(", "))));
    }
    Branch { line, more: Vec::new(), below }
}

/// `, batch 3 of 9`, `, batches 1-3, 7 of 9`.
fn batches(phase: &PlanPhase, group: &Group) -> String {
    let has = |batch: &&(u32, &Vec<String>)| batch.1.iter().any(|host| group.hosts.contains(host));
    let numbered: Vec<(u32, &Vec<String>)> = (1..).zip(&phase.batches).collect();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for (number, _) in numbered.iter().filter(has) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let told = |(first, last): &(u32, u32)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    let all = phase.batches.len();
    match ranges.as_slice() {
        [] => ", never begun".to_owned(),
        [(first, last)] if first == last => format!(", batch {first} of {all}"),
        some => format!(", batches {} of {all}", some.iter().map(told).collect::<Vec<_>>().join(", ")),
    }
}

fn task(deed: &Deed, diffs: bool) -> Branch {
    let (label, word) = match deed.status {
        Status::Failed | Status::Bug => (Label::Bad, "would fail"),
        Status::Unreachable | Status::Unknown => (Label::Unreachable, "can't be reached"),
        Status::Ignored => (Label::Skipped, "would fail, which is ignored"),
        _ if deed.is_unknown() => (Label::Warning, "unknown"),
        _ if deed.changes() => (Label::Changed, "would change"),
        Status::Skipped => (Label::Skipped, "left out"),
        _ => (Label::Good, "as it should be"),
    };
    let name = if deed.name.is_empty() { &deed.module } else { &deed.name };
    let mut line = Line::of(label, word).and(": ").with(Label::Strong, name.as_str());
    if deed.handler {
        line = line.and(", a handler");
    }
    if let Some(host) = &deed.delegate {
        line = line.and(format!(", done on {host}"));
    }
    if !deed.place.is_empty() {
        line = line.with(Label::Dim, format!(" ({})", deed.place));
    }
    let mut more = Vec::new();
    steps(&mut more, &deed.steps, "  ", diffs);
    // Steps of a command that can't be seen through are the reason already.
    let told = deed.steps.iter().any(|step| deed.why == format!("would {}", step.summary));
    if !deed.why.is_empty() && !told && deed.items.is_empty() {
        more.extend(deed.why.lines().map(|text| Line::plain(format!("  {text}"))));
    }
    // Items that fare alike share a line.
    let mut alike: IndexMap<(Status, &[PlanStep]), Vec<&PlanItem>> = IndexMap::new();
    for item in deed.items.iter().filter(|item| !matches!(item.status, Status::Ok | Status::Skipped)) {
        alike.entry((item.status, &item.steps)).or_default().push(item);
    }
    for ((status, done), items) in alike {
        let names: Vec<&str> = items.iter().map(|item| item.item.as_str()).collect();
        let unknown = if status == Status::Unpredictable { "unknown: " } else { "" };
        more.push(Line::plain(format!("  {unknown}{}:", names.join(", "))));
        steps(&mut more, done, "    ", diffs);
    }
    Branch { line, more, below: Vec::new() }
}

fn steps(lines: &mut Vec<Line>, steps: &[PlanStep], indent: &str, diffs: bool) {
    for step in steps {
        lines.push(Line::plain(format!("{indent}{}", step.summary)));
        if let Some(diff) = step.diff.as_ref().filter(|_| diffs) {
            lines.extend(diff_lines(diff).into_iter().map(|line| line.before(indent)));
        }
    }
}

fn tail(tree: &PlanTree) -> Vec<Line> {
    let totals = &tree.totals;
    let mut lines = Vec::new();
    let mut parts = Vec::new();
    let mut of = |number: u32, what: &str| {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    };
    of(totals.changing, "would change");
    of(totals.unknown, "can't be known before");
    of(totals.failing, "would fail or can't be reached");
    if parts.is_empty() {
        parts.push("none would change".to_owned());
    }
    lines.push(Line::plain(format!("{}: {}", count(totals.hosts as usize, "host"), parts.join(", "))));
    if totals.at_once > 0 {
        lines.push(Line::plain(format!("at once: at most {}", count(totals.at_once as usize, "host"))));
    }
    match totals.leader_changes {
        Some((least, most)) if least == most => lines.push(Line::plain(format!("leader changes: {least}"))),
        Some((least, most)) => lines.push(Line::plain(format!("leader changes: {least} to {most}"))),
        None => {}
    }
    if let Some(takes) = totals.takes {
        let told = number(tree.phases.iter().filter(|phase| phase.takes.is_some()).count());
        let of =
            if totals.untold > 0 { format!(", for {told} of {} phases", told + totals.untold) } else { String::new() };
        lines.push(Line::plain(format!("time: {} as earlier runs took{of}", about(takes))));
    }
    lines.extend(tree.stopped.iter().map(|why| Line::of(Label::Bad, format!("the preview ended early: {why}"))));
    lines.extend(tree.warnings.iter().map(|text| Line::of(Label::Warning, format!("warning: {text}"))));
    lines
}
