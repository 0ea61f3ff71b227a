//! Runs that have not come to an end that leaves their hosts to others. There may be thousands of runs: of most only the last bytes
//! are read.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::brief::brief;
use super::folder::{RunFolder, StateFolder, StateFolderError};
use super::read::read;
use crate::base::RunId;
use crate::event::{Ended, EventKind};

/// How a journal ends whose run came to an end of its own. No text within a line can look so: its quotes would be escaped, and
/// values within results end with further brackets.
const OVER: [&[u8]; 3] = [b"\"ended\":\"complete\"}\n", b"\"ended\":\"failed\"}\n", b"\"ended\":\"aborted\"}\n"];

/// The longest of them.
const TAIL: u64 = 24;

/// The guard that fires when all hosts of a batch failed.
const NOBODY_LEFT: &str = "batch";

/// The kinds of events that say what a run left.
const KINDS: &[&str] = &["play_started", "act_started", "halted", "undo_armed", "undo_finished"];

/// A run that others have to mind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unfinished {
    /// Its folder.
    pub(crate) folder: RunFolder,
    /// Its process is there; or this user can't see whether it is.
    pub(crate) alive: bool,
    /// How it ended; `None`: it is alive, or died.
    pub(crate) ended: Option<Ended>,
    /// What was run.
    pub(crate) title: String,
    /// By whom.
    pub(crate) operator: String,
    /// The words of its command line.
    pub(crate) command: Vec<String>,
    /// Its inventory sources, in `directory`.
    pub(crate) inventory: Vec<String>,
    /// Where it was typed.
    pub(crate) directory: PathBuf,
    /// The hosts of the plays that it began.
    pub(crate) hosts: BTreeSet<String>,
}

/// All of them, the oldest first. What can't be read is passed over when nobody writes it: it is told where it is asked for.
///
/// # Errors
/// The folder can't be read.
pub(crate) fn unfinished(state: &StateFolder) -> Result<Vec<Unfinished>, StateFolderError> {
    let runs = state.runs()?;
    let mut found: Vec<Unfinished> =
        runs.iter().filter(|folder| !is_over(&folder.journal())).cloned().filter_map(look).collect();
    if let Some(oldest) = found.iter().find(|run| !run.alive).map(|run| run.folder.id.clone()) {
        let later = runs.iter().filter(|run| run.id > oldest);
        let back: Vec<RunId> = later.filter_map(|run| rolled_back(&run.journal())).collect();
        found.retain(|run| run.alive || !back.contains(&run.folder.id));
    }
    Ok(found)
}

/// The run that this one rolled back to its end.
fn rolled_back(path: &Path) -> Option<RunId> {
    let ends = brief(path).ok()??;
    match (ends.began.kind, ends.ended?.kind) {
        (
            EventKind::RunStarted { rolls_back, check: false, .. },
            EventKind::RunFinished { ended: Ended::Complete, .. },
        ) => rolls_back,
        _ => None,
    }
}

fn is_over(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return true };
    let Ok(about) = file.metadata() else { return true };
    let from = about.len().saturating_sub(TAIL);
    let mut tail = [0; TAIL as usize];
    let Ok(read) = file.read_at(&mut tail, from) else { return true };
    OVER.iter().any(|end| tail.get(..read).unwrap_or_default().ends_with(end))
}

fn look(folder: RunFolder) -> Option<Unfinished> {
    let alive = folder.life().unwrap_or(true);
    let ends = brief(&folder.journal()).ok()??;
    let EventKind::RunStarted { title, operator, check, command, inventory, directory, .. } = ends.began.kind else {
        return None;
    };
    let (ended, all_attempted) = match ends.ended.map(|event| event.kind) {
        Some(EventKind::RunFinished { ended, not_attempted, .. }) => (Some(ended), not_attempted.is_empty()),
        _ => (None, false),
    };
    if check || matches!(ended, Some(Ended::Complete | Ended::Failed | Ended::Aborted)) {
        return None;
    }
    let mut hosts = BTreeSet::new();
    let mut undos = BTreeSet::new();
    let (mut has_acted, mut guards) = (false, Vec::new());
    for event in read(&folder.journal()).ok()?.only(KINDS).map_while(Result::ok) {
        match event.kind {
            EventKind::PlayStarted { hosts: named, .. } => hosts.extend(named),
            EventKind::ActStarted { .. } => has_acted = true,
            EventKind::Halted { halt, .. } => guards.push(halt.guard),
            EventKind::UndoArmed { entry, .. } => drop(undos.insert(entry)),
            EventKind::UndoFinished { entry, done: true, .. } => drop(undos.remove(&entry)),
            _ => {}
        }
    }
    // A run that changed nothing leaves nothing half done; one of which all hosts failed ended by itself.
    let all_failed = all_attempted && !guards.is_empty() && guards.iter().all(|guard| guard == NOBODY_LEFT);
    if !alive && undos.is_empty() && (!has_acted || ended == Some(Ended::Halted) && all_failed) {
        return None;
    }
    let directory = PathBuf::from(directory);
    Some(Unfinished { folder, alive, ended, title, operator, command, inventory, directory, hosts })
}

impl Unfinished {
    /// How it stands, for people.
    pub(crate) fn standing(&self) -> String {
        match (self.alive, self.ended) {
            (true, _) => match self.folder.process() {
                Some(process) => format!("is alive (process {process})"),
                None => "is alive".to_owned(),
            },
            (_, Some(Ended::Halted)) => "was halted".to_owned(),
            (_, Some(Ended::Stopped)) => "was stopped".to_owned(),
            (_, Some(_)) => "could not go on".to_owned(),
            (_, None) => "died before its end".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::base::PlayId;
    use crate::event::fixture::{event, every_kind};
    use crate::event::{Event, Sink as _};
    use crate::journal::Journal;

    fn kind(name: &str) -> EventKind {
        every_kind("x").into_iter().find(|kind| kind.name() == name).unwrap()
    }

    fn began(is_check: bool) -> Event {
        let mut began = kind("run_started");
        if let EventKind::RunStarted { check, .. } = &mut began {
            *check = is_check;
        }
        event(began)
    }

    fn end(how: Ended) -> Event {
        let mut end = kind("run_finished");
        if let EventKind::RunFinished { ended, .. } = &mut end {
            *ended = how;
        }
        event(end)
    }

    fn play() -> Event {
        let hosts = vec!["m1".to_owned(), "m2".to_owned()];
        event(EventKind::PlayStarted {
            play: PlayId(0),
            name: "p".to_owned(),
            hosts,
            batches: 2,
            order: String::new(),
            tasks: 1,
        })
    }

    fn all_attempted(mut event: Event) -> Event {
        if let EventKind::RunFinished { not_attempted, .. } = &mut event.kind {
            not_attempted.clear();
        }
        event
    }

    fn halt(guard: &str) -> Event {
        let mut halted = kind("halted");
        if let EventKind::Halted { halt, .. } = &mut halted {
            halt.guard = guard.to_owned();
        }
        event(halted)
    }

    fn run(state: &StateFolder, number: u64, events: &[Event]) -> Journal {
        let mut journal = Journal::create(state, &RunId::new(number, 1)).unwrap();
        for event in events {
            journal.on(event).unwrap();
        }
        journal.sync().unwrap();
        journal
    }

    #[test]
    fn runs_that_ended_by_themselves_are_over_and_others_are_not() {
        let place = tempfile::tempdir().unwrap();
        let state = StateFolder::open(place.path()).unwrap();
        for (number, how) in [(1, Ended::Complete), (2, Ended::Failed), (3, Ended::Aborted)] {
            run(&state, number, &[began(false), play(), end(how)]);
        }
        let act = event(kind("act_started"));
        run(&state, 4, &[began(true), play(), act.clone()]);
        run(&state, 11, &[began(false), play(), end(Ended::Halted)]);
        run(&state, 12, &[began(false), play(), act.clone(), halt("batch"), all_attempted(end(Ended::Halted))]);
        assert_eq!(unfinished(&state).unwrap(), []);
        for (number, how) in [(5, Ended::Halted), (6, Ended::Stopped), (7, Ended::Broken)] {
            run(&state, number, &[began(false), play(), act.clone(), halt("batch"), end(how)]);
        }
        run(&state, 8, &[began(false), play(), act.clone()]);
        // Taken up again, and dead once more.
        run(&state, 9, &[began(false), play(), act, end(Ended::Failed), event(kind("resumed"))]);
        let alive = run(&state, 10, &[began(false), play()]);
        let found = unfinished(&state).unwrap();
        let said: Vec<String> = found.iter().map(Unfinished::standing).collect();
        assert_eq!(
            said[..5],
            ["was halted", "was stopped", "could not go on", "died before its end", "died before its end"]
        );
        assert!(said[5].starts_with("is alive (process "), "{said:?}");
        assert!(found.iter().all(|run| run.hosts.iter().map(String::as_str).eq(["m1", "m2"])));
        // One of them is rolled back.
        let mut back = began(false);
        if let EventKind::RunStarted { rolls_back, .. } = &mut back.kind {
            *rolls_back = Some(found[0].folder.id.clone());
        }
        run(&state, 20, &[back, end(Ended::Complete)]);
        assert_eq!(unfinished(&state).unwrap(), found[1..]);
        // It had done nothing.
        drop(alive);
        assert_eq!(unfinished(&state).unwrap().len(), 4);
    }

    #[test]
    fn a_thousand_runs_are_looked_through_at_once() {
        let place = tempfile::tempdir().unwrap();
        let state = StateFolder::open(place.path()).unwrap();
        run(&state, 0, &[began(false), play(), end(Ended::Complete)]);
        let journal = state.runs().unwrap().remove(0).journal();
        for number in 1..1000 {
            let folder = state.make_run(&RunId::new(number, 1)).unwrap();
            std::fs::hard_link(&journal, folder.journal()).unwrap();
        }
        let best = (0..5).map(|_| {
            let start = Instant::now();
            assert_eq!(unfinished(&state).unwrap().len(), 0);
            start.elapsed()
        });
        let best = best.min().unwrap();
        // 10 ms when it is optimised and the machine has nothing else to do.
        assert!(best.as_millis() < 200, "{best:?}");
    }
}
