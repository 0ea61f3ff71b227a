//! The end of a run in words: what failed, the counts, who was not tried, what was not done, and what to type next.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;

use super::block::{Look, word};
use super::clean::clean_line;
use super::fold::fold;
use super::recap::{narrow_lines, recap_lines};
use super::state::{Phase, State};
use super::story::{Failure, count};
use super::style::{Label, Line};
use crate::base::{quote, render_duration};
use crate::event::{Ended, EventKind, Halt, Tally};

/// More hosts than this are folded in the recap of a screen, where their counts are the same.
const FOLDED: usize = 24;

/// More hosts than this are not named in the next command.
const NAMED: usize = 10;

/// The first line: what is run, on what, by whom.
pub(super) fn header(state: &State) -> Line {
    let run = &state.run;
    let mut line = Line::of(Label::Strong, format!("{} on {}", run.title, run.inventory.join(", ")));
    if run.check {
        line = line.with(Label::Warning, "  check: nothing is changed");
    }
    line.and(format!("  run {}  {}", run.id, run.operator))
}

/// Why a play was stopped.
pub(super) fn halted(play: &str, halt: &Halt) -> String {
    let named =
        |host: &str| halt.value.split(|c: char| c.is_whitespace() || ":;,".contains(c)).any(|word| word == host);
    let host = halt.host.as_ref().filter(|host| !named(host)).map(|host| format!(" (host {host})")).unwrap_or_default();
    format!("stopped: play {play}: {}: {}{host}", halt.guard, halt.value)
}

/// The lines after the last result.
pub(super) fn digest(state: &State, failures: &[Failure], end: &EventKind, look: Look) -> Vec<Line> {
    let EventKind::RunFinished { tallies, not_attempted, pending_handlers, halted: stopped, exit, ended, .. } = end
    else {
        return Vec::new();
    };
    let mut lines = failed(failures, look);
    lines.push(Line::new());
    lines.push(Line::of(Label::Strong, "PLAY RECAP"));
    lines.extend(recap(tallies, look));
    let mut told = state.stats.short();
    if !not_attempted.is_empty() {
        let line = Line::of(Label::Warning, format!("not attempted: {}: ", count(not_attempted.len(), "host")));
        told.push(line.and(fold(not_attempted, if look.log { usize::MAX } else { 6 })));
    }
    told.extend(state.left_out.iter().map(|(host, why)| Line::plain(format!("left out: {host} ({why})"))));
    told.extend(handlers(pending_handlers));
    told.extend(state.halts.iter().map(|(play, halt)| Line::of(Label::Bad, halted(play, halt))));
    if let Some(why) = &state.run.cancelling {
        told.push(Line::of(Label::Warning, format!("ended early: {why}")));
    }
    let unknown: u32 = tallies.iter().map(|(_, tally)| tally.unpredictable).sum();
    if look.check && unknown > 0 {
        let line = format!("not known before the run: {} (see above why)", count(unknown as usize, "result"));
        told.push(Line::of(Label::Warning, line));
    }
    told.extend(outcome(state, (*exit, *stopped, *ended), tallies, look.check));
    if *ended == Ended::Stopped && !look.check {
        told.push(Line::plain("to go on with it: ").with(Label::Command, resume(state)));
    } else if *ended == Ended::Halted && !look.check && is_run(state) && is_half_way(state) {
        // Not the same run again: this one knows what is done.
        told.push(Line::plain("after the repair: ").with(Label::Command, resume(state)));
    } else {
        told.extend(next(state, failures, not_attempted, *exit, look.check));
    }
    if !told.is_empty() {
        lines.push(Line::new());
        lines.extend(told);
    }
    let left = state.undos.shout(super::view::short(&state.run.id));
    if !left.is_empty() {
        lines.push(Line::new());
        lines.extend(left);
    }
    lines
}

fn failed(failures: &[Failure], look: Look) -> Vec<Line> {
    // One for all hosts that failed in the same way at the same task.
    let mut groups: Vec<(&Failure, Vec<&str>)> = Vec::new();
    for failure in failures {
        match groups.iter_mut().find(|(first, _)| first.is_like(failure)) {
            Some((_, hosts)) => hosts.push(&failure.host),
            None => groups.push((failure, vec![&failure.host])),
        }
    }
    let mut lines = Vec::new();
    for (Failure { task, place, status, why, tail, .. }, hosts) in groups {
        if lines.is_empty() {
            lines.push(Line::new());
            lines.push(Line::of(Label::Bad, format!("FAILED on {}", count(distinct(failures), "host"))));
        }
        let (label, word) = word(*status, look.check);
        let many = if hosts.len() > 1 { format!(" ×{}", hosts.len()) } else { String::new() };
        let line = Line::plain("  ").with(label, format!("{word}{many}"));
        let line = line.and(format!(": {}  ", fold(&hosts, if look.log { usize::MAX } else { 6 })));
        let line = line
            .with(Label::Strong, task.as_str())
            .with(Label::Dim, if place.is_empty() { String::new() } else { format!(" ({place})") });
        lines.push(line);
        lines.extend(why.lines().map(|text| Line::plain(format!("      {text}"))));
        lines.extend(tail.iter().map(|text| Line::of(Label::Dim, format!("      {text}"))));
    }
    lines
}

fn distinct(failures: &[Failure]) -> usize {
    failures.iter().map(|failure| failure.host.as_str()).collect::<std::collections::HashSet<_>>().len()
}

fn recap(tallies: &[(String, Tally)], look: Look) -> Vec<Line> {
    if look.log {
        return recap_lines(tallies, true);
    }
    if tallies.len() <= FOLDED {
        return narrow_lines(tallies);
    }
    let mut groups: IndexMap<[u32; 8], (Tally, Vec<&str>)> = IndexMap::new();
    let mut sorted: Vec<_> = tallies.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    for (host, t) in sorted {
        let key = [t.ok, t.changed, t.unreachable, t.failed, t.skipped, t.rescued, t.ignored, t.unpredictable];
        groups.entry(key).or_insert_with(|| (*t, Vec::new())).1.push(host);
    }
    let folded: Vec<_> = groups.into_values().map(|(tally, hosts)| (fold(&hosts, 6), tally)).collect();
    narrow_lines(&folded)
}

fn handlers(pending: &BTreeMap<String, Vec<String>>) -> Vec<Line> {
    let mut groups: IndexMap<Vec<String>, Vec<&str>> = IndexMap::new();
    for (host, names) in pending.iter().filter(|(_, names)| !names.is_empty()) {
        groups.entry(names.iter().map(|name| clean_line(name)).collect()).or_default().push(host);
    }
    groups
        .into_iter()
        .map(|(names, hosts)| {
            let line = Line::of(Label::Warning, "notified and not run: ");
            line.and(format!("{}: {}", fold(&hosts, 6), names.join(", ")))
        })
        .collect()
}

fn outcome(
    state: &State,
    (exit, stopped, ended): (u8, bool, Ended),
    tallies: &[(String, Tally)],
    check: bool,
) -> Option<Line> {
    let time = render_duration(Duration::from_millis(state.elapsed));
    let hosts = count(tallies.len(), "host");
    let changes = count(usize::try_from(state.changes).unwrap_or(usize::MAX), "change");
    let line = match (exit, check) {
        (0, true) => {
            Line::of(Label::Good, format!("checked in {time}: {hosts}, {changes} to make; nothing was changed"))
        }
        (0, false) => Line::of(Label::Good, format!("done in {time}: {hosts}, {changes}")),
        (_, true) => Line::of(Label::Bad, format!("the check failed after {time}: {hosts}; nothing was changed")),
        (_, false) => {
            let word = if matches!(ended, Ended::Stopped | Ended::Aborted) { "stopped" } else { "failed" };
            let rest = state.plays.iter().filter(|play| play.phase == Phase::Pending).count();
            let rest = if stopped && rest > 0 { format!("; {} not begun", count(rest, "play")) } else { String::new() };
            Line::of(Label::Bad, format!("{word} after {time}: {hosts}, {changes}{rest}"))
        }
    };
    Some(line)
}

/// Whether a guard stopped it before all hosts had their turn. Where all of them failed, whatever is wrong is in the playbook
/// rather than on a host, and its repair is another run.
fn is_half_way(state: &State) -> bool {
    state.halts.iter().any(|(_, halt)| halt.guard != "batch")
}

/// Whether it is a run of playbooks under stagger's own name, which can be resumed.
fn is_run(state: &State) -> bool {
    let name = state.run.command.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
    name == "stagger" && state.run.command.get(1).is_some_and(|word| word == "run" || word == "rollback")
}

/// What to type to go on with the same run.
fn resume(state: &State) -> String {
    let mut words = vec!["stagger".to_owned(), "resume".to_owned(), state.run.id.clone()];
    let mut typed = state.run.command.iter();
    while let Some(word) = typed.next() {
        let folder = match word.strip_prefix("--state") {
            Some("") => typed.next().map(String::as_str),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        if let Some(folder) = folder {
            words.extend(["--state".to_owned(), quote(folder)]);
        }
    }
    words.join(" ")
}

/// What to type next: the same without `--check`, or again on the hosts that are left.
fn next(state: &State, failures: &[Failure], not_attempted: &[String], exit: u8, check: bool) -> Option<Line> {
    if state.run.command.is_empty() {
        return None;
    }
    let words = match (exit, check) {
        (0, false) => return None,
        (0, true) => without_check(&state.run.command),
        _ => {
            let mut left: Vec<&str> = Vec::new();
            for host in failures.iter().map(|f| f.host.as_str()).chain(not_attempted.iter().map(String::as_str)) {
                // A delegated task failed for the first of the two.
                let host = host.split(" -> ").next().unwrap_or(host);
                if !left.contains(&host) {
                    left.push(host);
                }
            }
            // With many, the same again: hosts that are done have nothing to do.
            if left.is_empty() || left.len() > NAMED {
                state.run.command.clone()
            } else {
                limited(&state.run.command, &left.join(","))
            }
        }
    };
    let mut typed: Vec<_> = words.iter().map(|word| quote(word)).collect();
    // The name is enough, as it was when it was typed or will be in the path.
    if let Some(program) = words.first() {
        let name = quote(program.rsplit('/').next().unwrap_or(program));
        typed.splice(..1, [name]);
    }
    let what = if exit == 0 { "to make the changes: " } else { "after the repair: " };
    Some(Line::plain(what).with(Label::Command, typed.join(" ")))
}

fn without_check(command: &[String]) -> Vec<String> {
    let mut words = Vec::new();
    for (place, word) in command.iter().enumerate() {
        let letters = word.strip_prefix('-').unwrap_or("");
        if word == "--check" || word == "-C" {
            continue;
        }
        if place == 1 && word == "check" {
            words.push("run".to_owned());
        } else if letters.contains('C') && letters.chars().all(|c| "CDbkKov".contains(c)) {
            words.push(word.replace('C', ""));
        } else {
            words.push(word.clone());
        }
    }
    words
}

fn limited(command: &[String], limit: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut command = command.iter();
    while let Some(word) = command.next() {
        if word == "-l" || word == "--limit" {
            command.next();
        } else if !(word.starts_with("--limit=") || word.starts_with("-l") && !word.starts_with("--")) {
            words.push(word.clone());
        }
    }
    words.extend(["-l".to_owned(), limit.to_owned()]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_next_command_is_the_same_but_for_what_changes() {
        assert_eq!(without_check(&words("stagger check a.yml -D")), words("stagger run a.yml -D"));
        assert_eq!(without_check(&words("stagger run -CD a.yml --check -i C")), words("stagger run -D a.yml -i C"));
        assert_eq!(
            limited(&words("stagger run a.yml -l x --list-x -lx --limit=y"), "m2"),
            words("stagger run a.yml --list-x -l m2")
        );
    }
}
