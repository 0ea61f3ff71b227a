//! `stagger resume` of a run whose process is gone: the same playbooks, inventory and options, taken from its journal; what
//! is known done is passed over.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use super::control;
use super::playbook::{self, Loaded};
use super::session::{Again, environment};
use crate::cli::{self, Ask, Exit, Request, ResumeRequest, RunRequest};
use crate::event::{Ended, Event, EventKind};
use crate::journal::{Journal, ReopenError, RunFolder};
use crate::run::{Past, Resumption, WhenDrifted, WhenUnknown};

/// What a masked word of a command line holds.
const STARS: &str = "********";

/// Asks the run that is meant, when it is alive; else takes it up again.
pub(super) fn command(request: &ResumeRequest) -> Exit {
    match control::find(&request.control) {
        Ok((_, folder, control)) if folder.is_live() => control::put(&folder, &control),
        Ok((state, folder, _)) => run(&folder, state.path(), request),
        Err(exit) => exit,
    }
}

/// Takes a run up again.
fn run(folder: &RunFolder, state: &Path, request: &ResumeRequest) -> Exit {
    let (journal, events) = match Journal::reopen(folder) {
        Ok(found) => found,
        Err(error) => {
            let exit = if matches!(error, ReopenError::Alive { .. }) { Exit::Input } else { Exit::Journal };
            return refuse(&format!("{}\n", super::with_causes(&error)), exit);
        }
    };
    let origin = match origin(&events, folder) {
        Ok(origin) => origin,
        Err(reason) => return refuse(&reason, Exit::Input),
    };
    if !request.changed {
        let differs = changed_environment(&origin);
        if !differs.is_empty() {
            let text = format!("the environment is not the run's: {}\n", differs.join("; "));
            return refuse(&(text + "  = help: set it as it was, or say --changed\n"), Exit::Input);
        }
    }
    if let Err(error) = std::env::set_current_dir(&origin.directory) {
        let text = format!("the folder of the run, {}, can't be entered: {error}\n", origin.directory.display());
        return refuse(&text, Exit::NoTarget);
    }
    let back = match super::rollback::rolled_back(&events) {
        Some(of) => match super::rollback::again(state, &of, &request.anew.extra_vars) {
            Ok(back) => Some(back),
            Err(reason) => return refuse(&reason, Exit::Input),
        },
        None => None,
    };
    let asked = match &back {
        Some(back) => Ok(anew(back.request().clone(), state, request)),
        None => again(&origin, state, request),
    };
    let mut run = match asked {
        Ok(run) => run,
        Err(reason) => return refuse(&reason, Exit::Input),
    };
    let mut planned = None;
    if let Some(file) = run.plan.take() {
        match super::plan::again(&run, &file) {
            Ok(kept) => (run, planned) = (kept.run, Some(kept.planned)),
            Err(reason) => return refuse(&reason, Exit::Input),
        }
    }
    let only = if request.control.ask == Ask::Retry { request.control.words.clone() } else { Vec::new() };
    let past = Past::of(events.iter().cloned());
    let loaded = back.as_ref().map_or_else(|| playbook::load(&run), super::rollback::Back::load);
    let Loaded { session, plan, mut how } = match loaded {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    if !request.changed {
        let differs = differences(past.pinned(), &session.pinned());
        if !differs.is_empty() {
            let text = format!("what the run rests on has changed:\n{}", differs.concat());
            let help =
                "  = help: bring it back as it was; or say --changed, when no task was added, removed or moved\n";
            return refuse(&(text + help), Exit::Input);
        }
    }
    let abort = request.control.ask == Ask::Abort;
    let unknown = match (request.redo_unknown, request.skip_unknown) {
        (true, _) => WhenUnknown::Redo,
        (_, true) => WhenUnknown::Skip,
        _ => WhenUnknown::Ask,
    };
    let in_flight = past.in_flight();
    if !abort && unknown == WhenUnknown::Ask && !in_flight.is_empty() && !std::io::stdin().is_terminal() {
        let mut text = "nobody knows whether these were done when the run broke off:\n".to_owned();
        for act in &in_flight {
            text.extend(["  ", &act.host, ": ", &act.what, " (", &act.place, ")\n"]);
        }
        text.push_str("  = help: look on the hosts, then resume with --redo-unknown or --skip-unknown\n");
        return refuse(&text, Exit::Input);
    }
    let drifted = match (request.redo, request.leave) {
        (true, _) => WhenDrifted::Redo,
        (_, true) => WhenDrifted::Leave,
        _ => WhenDrifted::Halt,
    };
    how.planned = planned;
    how.again = Some(Again {
        folder: folder.clone(),
        journal,
        events,
        resumption: Resumption { past, unknown, drifted, only, abort },
    });
    session.execute(&run.common, plan, how)
}

fn refuse(reason: &str, exit: Exit) -> Exit {
    super::complain(&format!("error: {reason}Nothing was done and no host was contacted.\n"));
    exit
}

/// How a run was begun.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) command: Vec<String>,
    pub(super) directory: PathBuf,
    pub(super) environment: std::collections::BTreeMap<String, String>,
}

/// How a run was begun, when it is one that can go on.
fn origin(events: &[Event], folder: &RunFolder) -> Result<Origin, String> {
    let began = events.iter().find_map(|event| match &event.kind {
        EventKind::RunStarted { command, directory, environment, check, .. } => {
            Some((command.clone(), PathBuf::from(directory), environment.clone(), *check))
        }
        _ => None,
    });
    let Some((command, directory, environment, check)) = began else {
        return Err(format!("the journal of {} ends before the run began: start it anew\n", folder.id));
    };
    if check {
        return Err(format!("{} is a preview: nothing was changed, and it is not resumed\n", folder.id));
    }
    let end = events.iter().rev().find_map(|event| match &event.kind {
        EventKind::RunFinished { ended, .. } => Some(Some(*ended)),
        EventKind::Resumed { .. } => Some(None),
        _ => None,
    });
    match end.flatten() {
        Some(Ended::Complete) => Err(format!("{} is complete: there is nothing to resume\n", folder.id)),
        Some(Ended::Aborted) => Err(format!("{} was aborted for good: start a new run\n", folder.id)),
        _ => Ok(Origin { command, directory, environment }),
    }
}

pub(super) fn changed_environment(origin: &Origin) -> Vec<String> {
    let now = environment();
    let counts = |name: &str| {
        (name.starts_with("ANSIBLE_") || name.starts_with("STAGGER_"))
            && (!name.contains("PASS") || name.ends_with("_FILE"))
    };
    let mut differs: Vec<String> = Vec::new();
    for (name, then) in &origin.environment {
        match now.get(name) {
            Some(value) if value == then || then.contains(STARS) => {}
            Some(_) => differs.push(format!("{name} has another value")),
            None => differs.push(format!("{name} was set")),
        }
    }
    let new = now.keys().filter(|name| counts(name) && !origin.environment.contains_key(*name));
    differs.extend(new.map(|name| format!("{name} was not set")));
    differs
}

/// The request of a command line that was kept, with variables that are given anew. `how` is what would be typed to give them.
///
/// # Errors
/// A sentence with its end of line.
pub(super) fn request_of(origin: &Origin, extra_vars: &[String], how: &str) -> Result<RunRequest, String> {
    let mut words: Vec<OsString> = Vec::new();
    let mut command = origin.command.iter().peekable();
    let mut hidden = false;
    while let Some(word) = command.next() {
        let next_hidden = command.peek().is_some_and(|next| next.contains(STARS));
        if matches!(word.as_str(), "-e" | "--extra-vars") && next_hidden {
            hidden = true;
            command.next();
        } else if word.contains(STARS) {
            hidden = true;
        } else {
            words.push(word.into());
        }
    }
    if hidden && extra_vars.is_empty() {
        let help = format!("  = help: give the variable again: {how}\n");
        return Err(format!("the command line had a secret, which is not kept\n{help}"));
    }
    let parsed =
        cli::parse(&words, false).map_err(|message| format!("the run's own command line: {}\n", message.text))?;
    let mut run = match parsed {
        Request::Run(run) => run,
        Request::Plan(plan) => plan.run,
        _ => return Err("only runs of playbooks can be resumed: type the command again\n".to_owned()),
    };
    run.common.extra_vars.extend(extra_vars.iter().cloned());
    Ok(run)
}

/// The run's own request, with what is given anew.
fn again(origin: &Origin, state: &Path, request: &ResumeRequest) -> Result<RunRequest, String> {
    let run = request_of(origin, &request.anew.extra_vars, "stagger resume RUN -e NAME=VALUE")?;
    Ok(anew(run, state, request))
}

/// A request with what is given anew.
fn anew(mut run: RunRequest, state: &Path, request: &ResumeRequest) -> RunRequest {
    run.common.state = Some(state.to_owned());
    request.anew.onto(&mut run.common);
    run.common.output = request.anew.output.or(run.common.output);
    run.common.verbosity = run.common.verbosity.max(request.anew.verbosity);
    run
}

/// What differs between what was accepted last and now, a line each.
fn differences(
    then: &std::collections::BTreeMap<String, String>,
    now: &std::collections::BTreeMap<String, String>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, digest) in then {
        match now.get(name) {
            Some(found) if found == digest => {}
            Some(_) => lines.push(format!("  {name} is another text\n")),
            None => lines.push(format!("  {name} is not read any more\n")),
        }
    }
    lines.extend(now.keys().filter(|name| !then.contains_key(*name)).map(|name| format!("  {name} is new\n")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(command: &[&str]) -> Origin {
        Origin {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            directory: PathBuf::from("/"),
            environment: std::collections::BTreeMap::new(),
        }
    }

    fn request() -> ResumeRequest {
        let words = ["stagger", "resume"].map(OsString::from);
        match cli::parse(&words, false).unwrap() {
            Request::Resume(request) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_secret_of_the_command_line_has_to_be_given_again() {
        let then = origin(&["stagger", "run", "up.yml", "-e", "password=********", "-i", "hosts"]);
        let bare = request();
        assert!(again(&then, Path::new("/s"), &bare).unwrap_err().contains("give the variable again"));
        let mut given = request();
        given.anew.extra_vars = vec!["password=x".to_owned()];
        let run = again(&then, Path::new("/s"), &given).unwrap();
        assert_eq!(run.common.extra_vars, ["password=x"]);
        assert_eq!(run.common.inventory, ["hosts"]);
        assert_eq!(run.playbooks, [PathBuf::from("up.yml")]);
    }

    #[test]
    fn what_differs_is_named() {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let then = map(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let now = map(&[("a", "1"), ("b", "9"), ("d", "4")]);
        let said = differences(&then, &now).concat();
        assert_eq!(said, "  b is another text\n  c is not read any more\n  d is new\n");
        assert!(differences(&then, &then).is_empty());
    }
}
