//! `stagger runs`: the runs so far, the newest last.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use super::look::{self, Refusal};
use crate::base::render_duration;
use crate::cli::Exit;
use crate::event::EventKind;
use crate::journal::{RunFolder, StateFolder, brief};
use crate::report::{Life, Paint, Row, RunState, table};

/// So many of the last runs are shown.
const LAST: usize = 20;

/// A run in one line. Times are milliseconds since 1970, spans milliseconds.
#[derive(Debug, Serialize)]
struct RunLine {
    run: String,
    began: u64,
    took: u64,
    state: RunState,
    check: bool,
    hosts_done: u32,
    hosts: u32,
    operator: String,
    title: String,
    inventory: Vec<String>,
}

/// Lists runs.
pub(super) fn run(state: &StateFolder, all: bool, json: bool, paint: Paint) -> Result<Exit, Refusal> {
    let folders = state.runs()?;
    let hidden = if all || json { 0 } else { folders.len().saturating_sub(LAST) };
    let mut lines = Vec::new();
    let mut unread = 0;
    for folder in folders.iter().skip(hidden) {
        match line(folder) {
            Ok(line) => lines.extend(line),
            // One journal that can't be read must not hide the others.
            Err(Refusal(message, _)) => {
                unread += 1;
                super::complain(&format!("warning: {message}\n"));
            }
        }
    }
    if json {
        let text = serde_json::to_string(&lines).unwrap_or_default();
        super::print(&(text + "\n"));
    } else {
        if hidden > 0 {
            super::print(&format!("… {hidden} older runs: --all shows them\n"));
        }
        let zone = TimeZone::system();
        let rows: Vec<Row> = lines.iter().map(|line| row(line, &zone)).collect();
        let around = super::view::surroundings();
        super::print(&table(&rows, paint, around.terminal.then_some(around.columns)));
    }
    Ok(if unread > 0 { Exit::Error } else { Exit::Ok })
}

/// `None` when the run had no time to say that it began.
fn line(folder: &RunFolder) -> Result<Option<RunLine>, Refusal> {
    let life = look::life(folder);
    let Some(ends) = brief(&folder.journal())? else { return Ok(None) };
    let EventKind::RunStarted { title, inventory, operator, check, .. } = &ends.began.kind else { return Ok(None) };
    let line = RunLine {
        run: folder.id.to_string(),
        began: ends.began.at,
        took: 0,
        state: RunState::Running,
        check: *check,
        hosts_done: 0,
        hosts: 0,
        operator: operator.clone(),
        title: title.clone(),
        inventory: inventory.clone(),
    };
    if let Some(end) = &ends.ended
        && let EventKind::RunFinished { tallies, not_attempted, ended, .. } = &end.kind
    {
        let clean = tallies.iter().filter(|(_, tally)| tally.failed == 0 && tally.unreachable == 0).count();
        return Ok(Some(RunLine {
            took: end.at.saturating_sub(ends.began.at),
            state: RunState::of(*ended),
            hosts_done: u32::try_from(clean).unwrap_or(u32::MAX),
            hosts: u32::try_from(tallies.len() + not_attempted.len()).unwrap_or(u32::MAX),
            ..line
        }));
    }
    // No end: what lies between has to be read.
    let (ledger, _) = look::ledger(folder)?;
    let tree = ledger.tree(life, None);
    let (done, hosts) = tree.hosts();
    let now = if life == Life::Gone { tree.heard } else { crate::event::Clock::start().started_at() };
    Ok(Some(RunLine {
        took: now.saturating_sub(tree.began),
        state: tree.state,
        hosts_done: done,
        hosts,
        operator: tree.operator,
        ..line
    }))
}

fn row(line: &RunLine, zone: &TimeZone) -> Row {
    let at = i64::try_from(line.began).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    let when = at.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    let check = if line.check { "check of " } else { "" };
    let inventory =
        if line.inventory.is_empty() { String::new() } else { format!(" on {}", line.inventory.join(", ")) };
    Row {
        run: line.run.clone(),
        when,
        state: line.state,
        hosts: format!("{}/{}", line.hosts_done, line.hosts),
        took: render_duration(Duration::from_millis(line.took)),
        what: format!("{check}{}{inventory}  by {}", line.title, line.operator),
    }
}
