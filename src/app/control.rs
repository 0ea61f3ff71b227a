//! Speaking to a run: `pause`, `resume`, `continue`, `abort`, `skip`, `retry`; and the run's side, which hears them.
//!
//! A request to a run that is alive is a line in its control file; the answer is the event of that number in its journal. Nothing
//! else is needed, so it works from another terminal and from another operator's account.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::operator::operator;
use super::with_causes;
use crate::cli::{Ask, ControlRequest, Exit};
use crate::event::{Clock, EventKind};
use crate::journal::{ControlLine, Follower, Incoming, Requests, RunFolder, StateFolder, StateFolderError, read};
use crate::run::{Request, Run};

/// How often a run looks for requests.
const LOOK: Duration = Duration::from_millis(200);
/// How old a request may be when it is read. Older ones are refused: whoever asked has been told that there was no answer.
const LATEST: u64 = 15_000;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// After so long it is said what is waited for.
const SILENCE: Duration = Duration::from_secs(2);

/// Hears what people ask of a run, until it is aborted.
pub(super) async fn listen(run: Arc<Run>, mut requests: Requests) {
    let mut told = false;
    loop {
        tokio::time::sleep(LOOK).await;
        let taken = tokio::task::spawn_blocking(move || {
            let taken = requests.take();
            (requests, taken)
        });
        let Ok((back, taken)) = taken.await else { return };
        requests = back;
        match taken {
            Ok(taken) => {
                for incoming in taken {
                    hear(&run, incoming, Clock::start().started_at());
                }
            }
            Err(error) if !told => {
                told = true;
                let message = format!("requests to this run can't be read: {error}; Ctrl-C and signals still work");
                run.warn(message);
            }
            Err(_) => {}
        }
    }
}

fn hear(run: &Run, incoming: Incoming, now: u64) {
    let number = incoming.number;
    match incoming.line {
        Ok(line) => {
            let late = now.saturating_sub(line.when) > LATEST;
            let ControlLine { when, by, command, argument, reason } = line;
            let request = Request { number, when, by, command, argument, reason };
            if late {
                let answer = "it came too late: nobody waits for the answer any more";
                run.answer(&request, &Err(answer.to_owned()));
            } else {
                run.obey(&request);
            }
        }
        Err(why) => run.answer(&Request { number, ..Request::default() }, &Err(why)),
    }
}

/// Puts a request to a run, and shows what came of it.
pub(super) fn run(request: &ControlRequest) -> Exit {
    match find(request) {
        Ok((_, folder, request)) if folder.is_live() => put(&folder, &request),
        Ok((_, folder, request)) => dead(&folder, &request),
        Err(exit) => exit,
    }
}

/// The run that is meant.
///
/// # Errors
/// The exit code, once it was said why there is none.
pub(super) fn find(request: &ControlRequest) -> Result<(StateFolder, RunFolder, ControlRequest), Exit> {
    let environment = super::session::environment();
    let state = StateFolder::existing(request.state.as_deref(), &|name| environment.get(name).map(Into::into));
    let chosen = state
        .map_err(|error| (with_causes(&error), Exit::NoTarget))
        .and_then(|state| choose(&state, request).map(|(folder, request)| (state, folder, request)));
    chosen.map_err(|(reason, exit)| {
        super::complain(&format!("error: {reason}\n"));
        exit
    })
}

/// Which run is meant. A single word after `continue` may be the phase of the only run that is alive.
fn choose(state: &StateFolder, request: &ControlRequest) -> Result<(RunFolder, ControlRequest), (String, Exit)> {
    let wrong = |error: StateFolderError| (with_causes(&error), Exit::NoTarget);
    let mut request = request.clone();
    let runs = state.runs().map_err(wrong)?;
    let live: Vec<&RunFolder> = runs.iter().filter(|run| run.is_live()).collect();
    if let Some(part) = request.run.take() {
        return match (state.run(&part), live.as_slice()) {
            (Ok(folder), _) => Ok((folder, request)),
            (Err(StateFolderError::NoSuchRun { .. }), [one])
                if request.ask == Ask::Continue && request.words.is_empty() =>
            {
                request.words = vec![part];
                Ok((said(one), request))
            }
            (Err(error), _) => Err(wrong(error)),
        };
    }
    match (live.as_slice(), runs.last()) {
        ([one], _) => Ok((said(one), request)),
        ([], Some(last)) => Ok((said(last), request)),
        ([], None) => Err((format!("there is no run in {}", state.path().display()), Exit::NoTarget)),
        (several, _) => {
            let lines: String = several.iter().map(|run| format!("\n  {}  {}", run.id, title(run))).collect();
            Err((format!("{} runs are alive: name one{lines}", several.len()), Exit::NoTarget))
        }
    }
}

/// Says which run was taken, where none was named.
fn said(folder: &RunFolder) -> RunFolder {
    super::print(&format!("run {}: {}\n", folder.id, title(folder)));
    folder.clone()
}

/// What a run is, for people.
fn title(folder: &RunFolder) -> String {
    let first = read(&folder.journal()).ok().and_then(|mut events| events.next()).and_then(Result::ok);
    match first.map(|event| event.kind) {
        Some(EventKind::RunStarted { title, operator, .. }) => format!("{title} by {operator}"),
        _ => "it has not begun yet".to_owned(),
    }
}

/// Asks a run that is alive, and waits for its answer.
pub(super) fn put(folder: &RunFolder, request: &ControlRequest) -> Exit {
    let line = ControlLine {
        when: Clock::start().started_at(),
        by: operator(),
        command: request.ask.name().to_owned(),
        argument: request.words.join(" "),
        reason: request.reason.clone(),
    };
    let failed = |reason: String| {
        super::complain(&format!("error: {reason}\n"));
        Exit::Error
    };
    let mut journal = match Follower::new(&folder.journal()) {
        Ok(journal) => journal,
        Err(error) => return failed(format!("the journal of run {} can't be read: {error}", folder.id)),
    };
    let number = match folder.ask(&line) {
        Ok(number) => number,
        Err(error) => return failed(with_causes(&error)),
    };
    let began = Instant::now();
    let mut told = false;
    loop {
        let alive = folder.is_live();
        match journal.take() {
            Ok(events) => {
                if let Some((answer, refused)) = events.into_iter().find_map(|event| answer_to(number, event.kind)) {
                    return answered(folder, &answer, refused);
                }
            }
            Err(error) => return failed(format!("the journal of run {} can't be read: {error}", folder.id)),
        }
        if !alive {
            return failed(format!("run {} ended before it read the request", folder.id));
        }
        if began.elapsed() > PATIENCE {
            return failed(format!(
                "run {} did not answer within {} s, though its process is alive: it may be stopped, or its disk hangs. \
                 It will refuse this request when it reads it later",
                folder.id,
                PATIENCE.as_secs()
            ));
        }
        if began.elapsed() > SILENCE && !told {
            told = true;
            super::complain(&format!("waiting for the answer of run {}\n", folder.id));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn answer_to(number: u64, kind: EventKind) -> Option<(String, bool)> {
    match kind {
        EventKind::Controlled { request, answer, refused, .. } if request == number => Some((answer, refused)),
        _ => None,
    }
}

fn answered(folder: &RunFolder, answer: &str, refused: bool) -> Exit {
    if refused {
        super::complain(&format!("run {} refuses: {answer}\n", folder.id));
        Exit::Error
    } else {
        super::print(&format!("run {}: {answer}\n", folder.id));
        Exit::Ok
    }
}

/// What can be done about a run that is not alive.
fn dead(folder: &RunFolder, request: &ControlRequest) -> Exit {
    let id = &folder.id;
    let what = match request.ask {
        Ask::Pause => format!("run {id} is not alive: there is nothing to pause"),
        Ask::Continue => format!("run {id} is not alive: nothing waits for approval"),
        Ask::Skip => {
            format!("run {id} is not alive: nothing will begin; go on with it first, and leave hosts out then")
        }
        // These take a run up again.
        Ask::Resume | Ask::Retry | Ask::Abort => format!("run {id} is not alive"),
    };
    super::complain(&format!("error: {what}\n"));
    Exit::Error
}
