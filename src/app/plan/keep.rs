//! `stagger run --plan FILE`: refuses when anything that the plan rests on has moved, and then keeps to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::kept::planned;
use super::saved::Saved;
use super::{Walked, load, walk};
use crate::app::pinned::{self, digest_of};
use crate::app::playbook::{self, Loaded};
use crate::app::resume::{self, Origin};
use crate::cli::{Exit, RunRequest};
use crate::report::differences;
use crate::run::Planned;

/// No more differences are named.
const NAMED: usize = 20;

/// A run that keeps to a plan.
pub(in crate::app) struct Kept {
    pub(in crate::app) run: RunRequest,
    pub(in crate::app) planned: Arc<Planned>,
}

/// Does what a plan says.
pub(in crate::app) fn run(request: &RunRequest, file: &Path) -> Exit {
    let typed_in = pinned::directory();
    let (saved, run) = match open(request, file) {
        Ok(opened) => opened,
        Err(reason) => return refuse(&reason),
    };
    let loaded = match load(&run) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let moved = moved(&saved, &loaded.session.pinned());
    if !moved.is_empty() {
        return refuse(&why("what the plan rests on has changed", &moved));
    }
    let Walked { tree, exit, passwords, files, pinned: texts, .. } = match walk(&run, loaded, None) {
        Ok(walked) => walked,
        Err(exit) => return exit,
    };
    let mut moved = differences(&saved.plan, &tree);
    moved.extend(tree.stopped);
    if moved.is_empty() {
        moved = changed(&saved.texts, &texts);
        moved.extend(changed(&saved.files, &files));
    }
    if !moved.is_empty() || exit != Exit::Ok {
        let text = why("the hosts are not as they were when the plan was made", &moved);
        crate::app::complain(&format!("error: {text}  = help: make a new plan\nNothing was done.\n"));
        return if exit == Exit::Ok { Exit::Input } else { exit };
    }
    let Loaded { session, plan, mut how } = match playbook::load(&run) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    // Somebody may have written to them meanwhile.
    let moved = changed_texts(&saved.texts, &session.pinned());
    if !moved.is_empty() {
        return refuse(&why("what the plan rests on has changed", &moved));
    }
    how.passwords = Some(passwords);
    how.planned = Some(Arc::new(planned(&saved.plan)));
    how.directory = Some(typed_in);
    session.execute(&run.common, plan, how)
}

/// The run of a plan that is taken up again.
///
/// # Errors
/// Why it can't be.
pub(in crate::app) fn again(request: &RunRequest, file: &Path) -> Result<Kept, String> {
    let (saved, run) = open(request, file)?;
    Ok(Kept { run, planned: Arc::new(planned(&saved.plan)) })
}

/// Reads a plan, goes to its folder and gives the run that was planned.
fn open(request: &RunRequest, file: &Path) -> Result<(Saved, RunRequest), String> {
    let saved = Saved::read(file).map_err(|reason| reason + "\n")?;
    // What is named from here is meant from here.
    let state = request.common.state.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    let origin = Origin {
        command: saved.command.clone(),
        directory: saved.directory.clone().into(),
        environment: saved.environment.clone(),
    };
    let differs = resume::changed_environment(&origin);
    if !differs.is_empty() {
        let help = "  = help: set it as it was, or make a new plan\n";
        return Err(format!("the environment is not the plan's: {}\n{help}", differs.join("; ")));
    }
    std::env::set_current_dir(&saved.directory)
        .map_err(|error| format!("the folder of the plan, {}, can't be entered: {error}\n", saved.directory))?;
    let how = format!("stagger run --plan {} -e NAME=VALUE", file.display());
    let mut run = resume::request_of(&origin, &request.common.extra_vars, &how)?;
    run.plan = None;
    let (own, given) = (&mut run.common, &request.common);
    own.check = given.check;
    own.diff = given.diff;
    own.output = given.output;
    own.colour = given.colour;
    own.verbosity = given.verbosity;
    own.forks = given.forks.or(own.forks);
    own.state = state.or_else(|| own.state.take());
    own.privilege.ask_password |= given.privilege.ask_password;
    own.connect.ask_password |= given.connect.ask_password;
    if request.terms != crate::cli::Terms::default() {
        run.terms = request.terms;
    }
    Ok((saved, run))
}

fn refuse(reason: &str) -> Exit {
    crate::app::complain(&format!("error: {reason}Nothing was done and no host was contacted.\n"));
    Exit::Input
}

/// What moved that can be told without a host: texts that are read at the start, and files that tasks read later.
fn moved(saved: &Saved, now: &BTreeMap<String, String>) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, digest) in &saved.texts {
        // Files that are included by a name that is worked out are read when they are reached.
        let found = now.get(name).cloned().or_else(|| digest_of(Path::new(name)));
        lines.extend(difference(name, digest, found.as_deref()));
    }
    for (name, digest) in &saved.files {
        lines.extend(difference(name, digest, digest_of(Path::new(name)).as_deref()));
    }
    lines.extend(now.keys().filter(|name| !saved.texts.contains_key(*name)).map(|name| format!("{name} is new")));
    lines
}

fn difference(name: &str, then: &str, now: Option<&str>) -> Option<String> {
    match now {
        Some(now) if now == then => None,
        Some(_) => Some(format!("{name} has another content")),
        None => Some(format!("{name} is not there any more")),
    }
}

/// What differs of what both have, and what is new.
fn changed(then: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let mut lines = changed_texts(then, now);
    lines.extend(now.keys().filter(|name| !then.contains_key(*name)).map(|name| format!("{name} was not read then")));
    lines
}

fn changed_texts(then: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    then.iter().filter_map(|(name, digest)| difference(name, digest, Some(now.get(name)?))).collect()
}

/// A sentence and what it rests on, a line each.
fn why(what: &str, lines: &[String]) -> String {
    let mut text = format!("{what}:\n");
    lines.iter().take(NAMED).for_each(|line| text.extend(["  ", line, "\n"]));
    if lines.len() > NAMED {
        text.extend(["  … and ", &(lines.len() - NAMED).to_string(), " more\n"]);
    }
    text
}
