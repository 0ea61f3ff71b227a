//! `stagger rollback RUN`: the playbooks that the run's plays name for the way back, on the hosts that it changed, the last
//! changed first. It is a run of its own, which records what it rolls back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::playbook::{self, Loaded};
use super::resume::{self, Origin};
use super::undone::{Changed, Leg, changed, legs};
use crate::base::RunId;
use crate::cli::{Exit, RollbackRequest, RunRequest, Terms};
use crate::diag::{Diagnostic, Sources};
use crate::event::{Ended, Event, EventKind};
use crate::journal::{RunFolder, StateFolder, brief, read};
use crate::modules;
use crate::plan::{Compiler, Plan, Selection};
use crate::template::Engine;

/// No more changes are named for each host.
const NAMED: usize = 3;

/// What is to be said instead of rolling back.
type Refusal = (String, Exit);

/// A rollback that can begin.
pub(super) struct Back {
    /// The run that is rolled back.
    of: RunId,
    run: RunRequest,
    legs: Vec<Leg>,
}

/// Rolls a run back.
pub(super) fn run(request: &RollbackRequest) -> Exit {
    let back = match prepare(request) {
        Ok(back) => back,
        Err((reason, exit)) => {
            super::complain(&format!("error: {reason}Nothing was done and no host was contacted.\n"));
            return exit;
        }
    };
    let files = back.legs.iter().map(|leg| format!("{} on {}", leg.file, crate::report::fold(&leg.hosts, 6)));
    super::complain(&format!("rolls back run {}: {}\n", back.of, files.collect::<Vec<_>>().join("; then ")));
    match back.load() {
        Ok(Loaded { session, plan, how }) => session.execute(&back.run.common, plan, how),
        Err(exit) => exit,
    }
}

fn prepare(request: &RollbackRequest) -> Result<Back, Refusal> {
    let wrong = |error: &dyn std::error::Error| (format!("{}\n", super::with_causes(error)), Exit::NoTarget);
    // What is named from here is meant from here.
    let named = request.state.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    let state = super::look::folder(named.as_deref()).map_err(|error| wrong(&error))?;
    let folder = state.run(&request.run).map_err(|error| wrong(&error))?;
    if folder.is_live() {
        let help = format!("  = help: let it end, or stop it: stagger abort {}\n", folder.id);
        return Err((format!("run {} is alive: only what has ended is rolled back\n{help}", folder.id), Exit::Input));
    }
    already(&state, &folder)?;
    let mut back = of_run(&folder, &request.anew.extra_vars, "stagger rollback RUN -e NAME=VALUE")?;
    let own = &mut back.run.common;
    own.check = request.check;
    own.diff = request.diff;
    request.anew.onto(own);
    own.output = request.anew.output;
    own.verbosity = request.anew.verbosity;
    own.state = Some(state.path().to_owned());
    // Its hosts are those of the run that is rolled back.
    own.beside = Some(folder.id.to_string());
    Ok(back)
}

/// Refuses a run that another one has rolled back, or is rolling back.
fn already(state: &StateFolder, folder: &RunFolder) -> Result<(), Refusal> {
    let later = state.runs().unwrap_or_default().into_iter().filter(|other| other.id > folder.id);
    for other in later {
        let Ok(Some(ends)) = brief(&other.journal()) else { continue };
        let EventKind::RunStarted { rolls_back: Some(of), check: false, .. } = &ends.began.kind else { continue };
        if *of != folder.id {
            continue;
        }
        let ended = match ends.ended.as_ref().map(|event| &event.kind) {
            Some(EventKind::RunFinished { ended, .. }) if !other.is_live() => Some(*ended),
            _ => None,
        };
        let (of, by) = (&folder.id, &other.id);
        return match ended {
            // It was given up for good; another may be begun.
            Some(Ended::Aborted) => continue,
            Some(Ended::Complete) => Err((format!("run {of} is rolled back already, by run {by}\n"), Exit::Input)),
            _ if other.is_live() => Err((format!("run {by} is rolling back run {of} at the moment\n"), Exit::Input)),
            _ => {
                let help = format!("  = help: go on with it: stagger resume {by}; or give it up: stagger abort {by}\n");
                Err((format!("run {by} began to roll back run {of} and did not come to its end\n{help}"), Exit::Input))
            }
        };
    }
    Ok(())
}

/// What rolls a run back, in the folder where that run was begun.
fn of_run(folder: &RunFolder, extra_vars: &[String], how: &str) -> Result<Back, Refusal> {
    let events: Vec<Event> = read(&folder.journal())
        .and_then(|events| events.collect())
        .map_err(|error| (format!("{}\n", super::with_causes(&error)), Exit::Error))?;
    let began = events.iter().find_map(|event| match &event.kind {
        EventKind::RunStarted { command, directory, environment, check, rolls_back, .. } => {
            let origin =
                Origin { command: command.clone(), directory: directory.into(), environment: environment.clone() };
            Some((origin, *check, rolls_back.clone()))
        }
        _ => None,
    });
    let id = &folder.id;
    let input = |text: String| (text, Exit::Input);
    let (origin, check, rolls_back) =
        began.ok_or_else(|| input(format!("the journal of {id} ends before the run began: it changed nothing\n")))?;
    if check {
        return Err(input(format!("{id} is a preview: it changed nothing\n")));
    }
    if let Some(of) = rolls_back {
        return Err(input(format!("{id} rolled run {of} back: to go forward again, run the playbook of that run\n")));
    }
    let plays = changed(&events);
    if plays.is_empty() {
        return Err(input(format!("run {id} changed nothing\n")));
    }
    let legs = legs(&plays).map_err(|lost| input(no_way(id, &lost)))?;
    let differs = resume::changed_environment(&origin);
    if !differs.is_empty() {
        let help = "  = help: set it as it was\n";
        return Err(input(format!("the environment is not the run's: {}\n{help}", differs.join("; "))));
    }
    enter(&origin.directory)?;
    let mut run = resume::request_of(&origin, extra_vars, how).map_err(input)?;
    if let Some(file) = run.plan.take() {
        run = super::plan::again(&run, &file).map_err(input)?.run;
        // A plan has a folder of its own; rollback files are named from it.
    }
    run.playbooks = legs.iter().map(|leg| PathBuf::from(&leg.file)).collect();
    run.tags.clear();
    run.skip_tags.clear();
    run.start_at_task = None;
    run.step = false;
    run.terms = Terms::default();
    // The hosts are those that were changed: names like `last_failed` mean others by now.
    run.common.limit = None;
    Ok(Back { of: id.clone(), run, legs })
}

fn enter(directory: &Path) -> Result<(), Refusal> {
    std::env::set_current_dir(directory).map_err(|error| {
        (format!("the folder of the run, {}, can't be entered: {error}\n", directory.display()), Exit::NoTarget)
    })
}

/// What was changed by plays that name no way back.
fn no_way(id: &RunId, lost: &[&Changed]) -> String {
    let mut text = String::new();
    for play in lost {
        text.extend(["the play `", &play.name, "` names no way back (`rollback: FILE`); it changed\n"]);
        for (host, acts) in &play.hosts {
            for act in acts.done.iter().take(NAMED) {
                text.extend(["  ", host, ": ", act, "\n"]);
            }
            if acts.done.len() > NAMED {
                text.extend(["  ", host, ": … and ", &(acts.done.len() - NAMED).to_string(), " more\n"]);
            }
        }
    }
    text + &format!("  = help: what was typed there: stagger show {id} --commands HOST\n")
}

impl Back {
    /// Reads the playbooks, each for the hosts of its leg.
    ///
    /// # Errors
    /// The exit code, once what is wrong was shown.
    pub(super) fn load(&self) -> Result<Loaded, Exit> {
        let mut loaded = playbook::load(&self.run)?;
        let legs = self.legs.iter().map(|leg| (Arc::new(leg.hosts.clone()), count(Path::new(&leg.file))));
        let mut hosts = legs.flat_map(|(hosts, plays)| std::iter::repeat_n(hosts, plays));
        for play in &mut loaded.plan.plays {
            let (Some(play), Some(hosts)) = (Arc::get_mut(play), hosts.next()) else {
                super::complain("error: the playbooks changed while they were read: try again\n");
                return Err(Exit::Input);
            };
            play.only = Some(hosts);
        }
        loaded.how.rolls_back = Some(self.of.clone());
        Ok(loaded)
    }

    /// What it runs.
    pub(super) fn request(&self) -> &RunRequest {
        &self.run
    }
}

/// How many plays are in a file and what it imports.
fn count(file: &Path) -> usize {
    let is_module = |name: &str| modules::find(name).is_some();
    let ground = crate::playbook::Ground { is_module: &is_module, roles_path: &[] };
    crate::playbook::load(&Sources::new(), &[file.to_owned()], ground).0.plays.len()
}

/// The rollback that a run which is taken up again carries out.
///
/// # Errors
/// Why it can't go on.
pub(super) fn again(state: &Path, of: &RunId, extra_vars: &[String]) -> Result<Back, String> {
    let state = super::look::folder(Some(state)).map_err(|error| format!("{}\n", super::with_causes(&error)))?;
    let folder = state.run(of.as_str()).map_err(|error| format!("{}\n", super::with_causes(&error)))?;
    let mut back = of_run(&folder, extra_vars, "stagger resume RUN -e NAME=VALUE").map_err(|(reason, _)| reason)?;
    back.run.common.state = Some(state.path().to_owned());
    Ok(back)
}

/// Which run a run rolls back, by its events.
pub(super) fn rolled_back(events: &[Event]) -> Option<RunId> {
    events.iter().find_map(|event| match &event.kind {
        EventKind::RunStarted { rolls_back, .. } => rolls_back.clone(),
        _ => None,
    })
}

/// Reads the playbooks that plays name for the way back: each must be there, and right.
pub(super) fn check(sources: &Sources, engine: &Engine, plan: &Plan, roles_path: &[PathBuf]) -> Vec<Diagnostic> {
    let (mut wrong, mut read) = (Vec::new(), std::collections::HashSet::new());
    let is_module = |name: &str| modules::find(name).is_some();
    let ground = crate::playbook::Ground { is_module: &is_module, roles_path };
    for (path, span) in plan.plays.iter().filter_map(|play| play.rollback.as_ref()) {
        if !path.is_file() {
            let message = format!("the playbook `{}` for the way back is not there", path.display());
            wrong.push(Diagnostic::error(message, *span));
        } else if read.insert(path.clone()) {
            let (written, included, found) = crate::playbook::load(sources, std::slice::from_ref(path), ground);
            wrong.extend(found);
            let selection = Selection::default();
            let mut compiler = Compiler::new(engine, &selection, 0);
            compiler.plan(&written);
            for entries in &included {
                compiler.items(entries, &Arc::default(), false);
            }
            wrong.extend(compiler.finish().0);
        }
    }
    wrong
}
