//! Looking at runs: which state folder, which run, and what is read of its journal. Nothing is changed, no lock is taken for
//! longer than it takes to see whether somebody else holds it, and no host is contacted.

use std::path::Path;

use super::{replay, runs, show, status};
use crate::cli::{Colour, Exit, Look, LookRequest};
use crate::event::Event;
use crate::journal::{self, ReadError, RunFolder, StateFolder, StateFolderError};
use crate::report::{Ledger, Life, Paint};

/// What is to be said instead of what was asked for.
pub(super) struct Refusal(pub(super) String, pub(super) Exit);

impl From<StateFolderError> for Refusal {
    fn from(error: StateFolderError) -> Self {
        let exit = match &error {
            StateFolderError::NoSuchRun { .. }
            | StateFolderError::Ambiguous { .. }
            | StateFolderError::Empty { .. } => Exit::NoTarget,
            _ => Exit::Error,
        };
        Self(super::with_causes(&error), exit)
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        Self(super::with_causes(&error), Exit::Error)
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self(format!("cannot write the output: {error}"), Exit::Error)
    }
}

/// Looks.
pub(super) fn run(request: &LookRequest) -> Exit {
    let done = folder(request.state.as_deref()).map_err(Refusal::from).and_then(|state| match &request.look {
        Look::Runs { all, json } => runs::run(&state, *all, *json, paint(request.colour)),
        Look::Status { run, all, json } => status::run(&state, run.as_deref(), *all, *json, paint(request.colour)),
        Look::Replay { run, speed, verbosity, output } => {
            replay::run(&state, run, *speed, *verbosity, *output, request.colour)
        }
        Look::Show { run, commands: None } => status::whole(&state, run.as_deref(), paint(request.colour)),
        Look::Show { run, commands: Some(host) } => show::run(&state, run.as_deref(), host),
    });
    match done {
        Ok(exit) => exit,
        Err(Refusal(message, exit)) => {
            super::complain(&format!("error: {message}\n"));
            exit
        }
    }
}

/// The state folder to look at.
pub(super) fn folder(explicit: Option<&Path>) -> Result<StateFolder, StateFolderError> {
    StateFolder::existing(explicit, &|name| std::env::var_os(name))
}

fn paint(colour: Colour) -> Paint {
    let wish = match colour {
        Colour::Always => Some(true),
        Colour::Never => Some(false),
        Colour::Auto => None,
    };
    super::view::surroundings().paint(wish)
}

/// The newest run.
pub(super) fn newest(state: &StateFolder) -> Result<RunFolder, Refusal> {
    let nothing = || StateFolderError::Empty { path: state.path().to_owned() };
    Ok(state.runs()?.pop().ok_or_else(nothing)?)
}

/// The run that is meant; without a name the newest that is alive, else the newest.
pub(super) fn live_first(state: &StateFolder, part: Option<&str>) -> Result<RunFolder, Refusal> {
    let Some(part) = part else {
        let mut live: Vec<RunFolder> = state.runs()?.into_iter().filter(RunFolder::is_live).collect();
        if live.len() > 1 {
            let ids: Vec<&str> = live.iter().map(|run| run.id.as_str()).collect();
            super::complain(&format!("note: {} runs are alive: {}\n", live.len(), ids.join(", ")));
        }
        return live.pop().map_or_else(|| newest(state), Ok);
    };
    Ok(state.run(part)?)
}

/// Whether the run's process is there.
pub(super) fn life(run: &RunFolder) -> Life {
    match run.life() {
        Ok(true) => Life::Alive,
        Ok(false) => Life::Gone,
        Err(_) => Life::Unseen,
    }
}

/// What the journal of a run tells. The life is asked first: a run that ends meanwhile is then seen with its end.
pub(super) fn ledger(run: &RunFolder) -> Result<(Ledger, Life), Refusal> {
    let life = life(run);
    let mut ledger = Ledger::default();
    each(run, &mut |event| ledger.on(&event))?;
    Ok((ledger, life))
}

/// Gives each event of a run.
pub(super) fn each(run: &RunFolder, take: &mut dyn FnMut(Event)) -> Result<(), Refusal> {
    let mut events = journal::read(&run.journal())?;
    for event in events.by_ref() {
        take(event?);
    }
    if events.passed_over() > 0 {
        let count = events.passed_over();
        super::complain(&format!(
            "warning: {count} events of run {} are of a later version and were passed over\n",
            run.id
        ));
    }
    Ok(())
}
