//! The live part of a screen as a pure function of what is known, the size, and the time.

use std::time::Duration;

use indexmap::IndexMap;

use super::fold::fold;
use super::state::{Activity, Phase, Play, State};
use super::style::{Label, Line, width};
use crate::base::render_duration;
use crate::event::TaskKey;

/// Lines for hosts at work, at most.
const WORKING: usize = 8;

/// The size of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The lines, at most a screenful, none wider than the screen. `now` is milliseconds since the run began; `clock` the
/// time at which it began, for people.
pub(super) fn view(state: &State, size: Size, now: u64, clock: &str) -> Vec<Line> {
    let mut lines = vec![header(state, size.columns, clock)];
    if let Some(why) = &state.run.cancelling {
        lines.push(Line::of(Label::Warning, format!(" stopping: {why}; hosts at work finish their sequence")));
    }
    let waits = |held: &super::state::Held| Line::of(Label::Warning, format!(" waiting: {}", held.line));
    lines.extend(state.held.iter().take(WORKING).map(waits));
    let working = working(state, now);
    // One row stays free for the cursor.
    let room = size.rows.saturating_sub(lines.len() + working.len() + 1).max(1);
    lines.extend(plays(state, size.columns, now, room));
    lines.extend(working);
    lines.truncate(size.rows.saturating_sub(1).max(2));
    lines.into_iter().map(|line| line.cut(size.columns)).collect()
}

/// The rows of all plays, as they stay on the screen after the run.
pub(super) fn final_rows(state: &State, columns: usize, now: u64) -> Vec<Line> {
    let most = name_column(state, columns);
    state.plays.iter().map(|play| row(play, columns, most, now).cut(columns)).collect()
}

/// The first line: title and inventory to the left, run, operator and time to the right as far as there is room.
pub(super) fn header(state: &State, columns: usize, clock: &str) -> Line {
    let run = &state.run;
    let mut line = Line::of(Label::Strong, format!(" {}", run.title));
    if !run.inventory.is_empty() {
        line = line.and(format!(" on {}", run.inventory.join(", ")));
    }
    if run.check {
        line = line.with(Label::Warning, "  check: nothing is changed");
    }
    let rights = [
        format!("run {}  {}  {clock}", short(&run.id), run.operator),
        format!("run {}  {clock}", short(&run.id)),
        clock.to_owned(),
        String::new(),
    ];
    let left = line.width();
    let right = rights.into_iter().find(|right| left + 2 + width(right) <= columns).unwrap_or_default();
    let column = columns.saturating_sub(width(&right));
    if right.is_empty() { line } else { line.filled_to(column).with(Label::Dim, right) }
}

/// The end of a run's id: its beginning is time, which all runs of a day share.
pub(super) fn short(id: &str) -> &str {
    id.get(id.len().saturating_sub(4)..).unwrap_or(id)
}

fn name_column(state: &State, columns: usize) -> usize {
    let longest = state.plays.iter().map(|play| width(&play.name)).max().unwrap_or(0);
    longest.min(columns * 3 / 10).max(8)
}

/// As many plays as there is room for: those that run first of all, then the next ones, then the last that ended.
fn plays(state: &State, columns: usize, now: u64, room: usize) -> Vec<Line> {
    let most = name_column(state, columns);
    let rows = |plays: &[Play]| plays.iter().map(|play| row(play, columns, most, now)).collect::<Vec<_>>();
    if state.plays.len() <= room {
        return rows(&state.plays);
    }
    let current = state
        .plays
        .iter()
        .position(|play| play.phase == Phase::Running)
        .unwrap_or_else(|| state.plays.iter().rposition(|play| play.phase != Phase::Pending).unwrap_or(0));
    // A line above and one below say how many are not shown.
    let shown = room.saturating_sub(2).max(1);
    let first = current.saturating_sub(shown / 3).min(state.plays.len() - shown.min(state.plays.len()));
    let last = (first + shown).min(state.plays.len());
    let mut lines = Vec::new();
    if first > 0 && room > 2 {
        lines.push(Line::of(Label::Dim, format!("   … {first} before")));
    }
    lines.extend(rows(state.plays.get(first..last).unwrap_or_default()));
    if last < state.plays.len() && room > 2 {
        lines.push(Line::of(Label::Dim, format!("   … {} to come", state.plays.len() - last)));
    }
    lines
}

/// ` ▶ masters   ██████░░░░  2/3  one at a time   1:12`
fn row(play: &Play, columns: usize, most: usize, now: u64) -> Line {
    let (label, sign) = match play.phase {
        Phase::Pending => (Label::Dim, "◦"),
        Phase::Running => (Label::Strong, "▶"),
        Phase::Done => (Label::Good, "✔"),
        Phase::Failed | Phase::Stopped => (Label::Bad, "✘"),
        Phase::Skipped => (Label::Skipped, "–"),
    };
    let name = Line::of(label, format!(" {sign} {}", play.name)).cut(most + 3);
    let mut line = name.filled_to(most + 5);
    if play.phase == Phase::Running {
        line = line.with(Label::Good, bar(play.fraction(), if columns < 100 { 14 } else { 24 })).and("  ");
    }
    let done = if play.phase == Phase::Done { play.hosts } else { play.hosts_done };
    line = match play.phase {
        Phase::Skipped => line.with(Label::Skipped, "no hosts"),
        Phase::Stopped => line.and(format!("{done}/{}", play.hosts)).with(Label::Bad, "  stopped"),
        Phase::Failed => line.and(format!("{done}/{}", play.hosts)).with(Label::Bad, "  with failures"),
        _ => line.and(format!("{done}/{}", play.hosts)),
    };
    let time = match play.phase {
        Phase::Running => render_duration(Duration::from_millis(now.saturating_sub(play.started))),
        Phase::Done | Phase::Failed | Phase::Stopped if play.ended > 0 => {
            render_duration(Duration::from_millis(play.ended.saturating_sub(play.started)))
        }
        _ => String::new(),
    };
    let batch = match play.batch {
        // One host a batch: the hosts say it already.
        Some((batch, batches)) if batches > 1 && u64::from(batches) < play.hosts && play.phase == Phase::Running => {
            format!("batch {}/{batches}", batch + 1)
        }
        _ => String::new(),
    };
    let note = if matches!(play.phase, Phase::Pending | Phase::Running) { play.order.as_str() } else { "" };
    for text in [batch.as_str(), note] {
        if !text.is_empty() {
            line = line.with(Label::Dim, format!("  {text}"));
        }
    }
    if time.is_empty() {
        return line;
    }
    let column = columns.saturating_sub(width(&time) + 1);
    line.cut(column.saturating_sub(1)).filled_to(column).and(time)
}

fn bar(fraction: f64, columns: usize) -> String {
    // Rounded down: a full bar means that all is done.
    let full = ((fraction * columns as f64) as usize).min(columns);
    "█".repeat(full) + &"░".repeat(columns - full)
}

/// Hosts at work: those that wait each with the reason, others by task; the longest at it first.
fn working(state: &State, now: u64) -> Vec<Line> {
    let mut groups: IndexMap<(&TaskKey, &Activity), (Vec<&str>, u64)> = IndexMap::new();
    for (host, doing) in &state.working {
        let group = groups.entry((&doing.key, &doing.activity)).or_insert_with(|| (Vec::new(), doing.since));
        group.0.push(host);
        group.1 = group.1.min(doing.since);
    }
    let mut groups: Vec<_> =
        groups.into_iter().map(|((key, what), (hosts, since))| (since, hosts, key, what)).collect();
    for (_, hosts, ..) in &mut groups {
        hosts.sort_unstable();
    }
    groups.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    let names: Vec<_> = groups.iter().map(|(_, hosts, ..)| fold(hosts, 2)).collect();
    let shown = if groups.len() > WORKING { WORKING } else { groups.len() };
    let column = names.iter().take(shown).map(|name| width(name)).max().unwrap_or(0).min(26) + 5;
    let mut lines = Vec::new();
    for ((since, _, key, what), name) in groups.iter().zip(&names).take(shown) {
        let block = state.blocks.get(*key);
        let task = block.map_or("", |block| block.name.as_str());
        let module = block.map_or("", |block| block.module.as_str());
        let time = render_duration(Duration::from_millis(now.saturating_sub(*since)));
        // Who waits is told by the module that waits; what works, by the task's name.
        let line = Line::of(Label::Strong, format!("   {name}")).cut(column - 1).filled_to(column);
        lines.push(match what {
            Activity::Working => line.and(format!("{task}  {time}")),
            Activity::Waiting { why, within } => {
                let within = render_duration(Duration::from_millis(*within));
                line.and(format!("{module}  {time} of {within}  ")).with(Label::Changed, why.clone())
            }
            Activity::Retrying { left } => line.and(format!("{task}  {time}  tried again, {left} left")),
            Activity::Sending { bytes, of } => line.and(format!("{task}  {time}  {} of {}", size(*bytes), size(*of))),
        });
    }
    let rest: usize = groups.iter().skip(shown).map(|(_, hosts, ..)| hosts.len()).sum();
    if rest > 0 {
        lines.push(Line::of(Label::Dim, format!("   … and {rest} more")));
    }
    lines
}

/// `1.2 GiB`, `10.0 MiB`, `12 KiB`.
fn size(bytes: u64) -> String {
    let kib = bytes as f64 / 1024.0;
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{kib:.0} KiB"),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", kib / 1024.0),
        _ => format!("{:.1} GiB", kib / 1_048_576.0),
    }
}
