//! `stagger show RUN --commands HOST`: what was typed on a host, and what would be typed still, so that the work can go on by
//! hand. What is left is compiled again from the journal's command line; no host is contacted.

use std::ffi::OsString;
use std::fmt::Write as _;

use jiff::tz::TimeZone;

use super::look::{self, Refusal};
use super::session::Session;
use super::{extra, playbook, still};
use crate::base::Masker;
use crate::cli::{self, Exit, Request, RunRequest};
use crate::event::EventKind;
use crate::journal::{RunFolder, StateFolder};
use crate::plan::{Item, Plan, Play, Task};
use crate::report::{Typed, harmless};

/// What of a run's beginning says how to go on.
struct Begun {
    command: Vec<String>,
    directory: String,
    pinned: std::collections::BTreeMap<String, String>,
}

/// Shows what was typed on a host, and what is left.
pub(super) fn run(state: &StateFolder, part: Option<&str>, host: &str) -> Result<Exit, Refusal> {
    let run = match part {
        Some(part) => state.run(part)?,
        None => look::newest(state)?,
    };
    let mut typed = Typed::of(host, TimeZone::system());
    let mut begun = None;
    let mut over = false;
    look::each(&run, &mut |event| {
        typed.on(&event);
        match event.kind {
            EventKind::RunStarted { command, directory, pinned, .. } => {
                begun = Some(Begun { command, directory, pinned });
            }
            EventKind::RunFinished { ended, .. } => over = ended == crate::event::Ended::Complete,
            EventKind::Resumed { .. } => over = false,
            _ => {}
        }
    })?;
    let done = if typed.is_known() {
        format!("# {host}: what run {} did\n{}", run.id, typed.text())
    } else {
        format!("# {host}: run {} did nothing on it\n", run.id)
    };
    let left = match begun {
        Some(begun) if !over => left(&run, &begun, &typed, host),
        _ => "# nothing is left: the run is complete\n".to_owned(),
    };
    super::print(&harmless(&format!("{done}\n{left}")));
    Ok(Exit::Ok)
}

/// What would be typed still, or why that can't be said.
fn left(run: &RunFolder, begun: &Begun, typed: &Typed, host: &str) -> String {
    let unsaid = |why: &str| format!("# what is left of run {} can't be said: {why}\n", run.id);
    let words: Vec<OsString> = begun.command.iter().map(OsString::from).collect();
    let request = match cli::parse(&words, false) {
        Ok(Request::Run(request)) => request,
        Ok(Request::Exec(_)) => return "# it was one module on hosts: there is nothing after it\n".to_owned(),
        _ => return unsaid("its command line is not understood"),
    };
    // Paths of the command line are relative to where it was typed.
    if !begun.directory.is_empty()
        && let Err(error) = std::env::set_current_dir(&begun.directory)
    {
        return unsaid(&format!("{} is not there any more: {error}", begun.directory));
    }
    if let Some(missing) = request.playbooks.iter().find(|path| !path.exists()) {
        return unsaid(&format!("{} is not there any more", missing.display()));
    }
    let (session, plan) = compiled(&request);
    let mut text = format!("# {host}: what is left, as far as it is known without asking a host\n");
    let pinned = session.pinned();
    let changed: Vec<&str> = begun
        .pinned
        .iter()
        .filter(|(name, digest)| pinned.get(*name).is_some_and(|now| now != *digest))
        .map(|(name, _)| name.as_str())
        .collect();
    if !changed.is_empty() {
        let _ = writeln!(text, "# changed since the run began: {}; below is how they are now", changed.join(", "));
    }
    if !session.inventory.contains(host) {
        return unsaid(&format!("the inventory has no host `{host}`"));
    }
    let tasks = tasks(&session, &plan, typed, host);
    text.push_str(if tasks.is_empty() { "# nothing\n" } else { &tasks });
    let masker = Masker::default();
    for secret in extra::secrets(&session.extra).into_iter().chain(session.login_secrets()) {
        masker.add(&secret);
    }
    masker.mask_in(&mut text);
    text
}

fn compiled(request: &RunRequest) -> (Session, Plan) {
    let mut session = Session::open(&request.common);
    let compiled = playbook::compile(&mut session, request);
    let mut folders: Vec<_> = compiled.plan.plays.iter().map(|play| play.directory.clone()).collect();
    folders.dedup();
    session.beside(&folders);
    (session, compiled.plan)
}

fn tasks(session: &Session, plan: &Plan, typed: &Typed, host: &str) -> String {
    let mut text = String::new();
    for play in &plan.plays {
        if !session.hosts_of(play).iter().any(|other| other == host) {
            continue;
        }
        let mut left = String::new();
        for section in &play.sections {
            items(session, play, section, typed, host, &mut left);
        }
        if !left.is_empty() {
            let _ = write!(text, "\n# play {}\n{left}", crate::base::to_text(&play.name.to_value()));
        }
    }
    text
}

/// The tasks of a list that the host has not got through. What only a failure would bring about says so.
fn items(session: &Session, play: &Play, list: &[Item], typed: &Typed, host: &str, left: &mut String) {
    let one = |task: &Task, left: &mut String| {
        let is_left = !typed.is_done(play.id, task.id) && task.module.name != "meta";
        if is_left {
            left.push_str(&still::task(session, play, host, task));
        }
        is_left
    };
    for item in list {
        match item {
            Item::Task(task) => {
                one(task, left);
            }
            Item::Include(include) => {
                if one(&include.task, left) {
                    left.push_str("#   its tasks are read when it is reached\n");
                }
            }
            Item::Role(role) => items(session, play, &role.items, typed, host, left),
            Item::Block(block) => {
                items(session, play, &block.block, typed, host, left);
                let mut rescue = String::new();
                items(session, play, &block.rescue, typed, host, &mut rescue);
                if !rescue.is_empty() {
                    left.push_str("# only where one of the above fails:\n");
                    left.extend(rescue.lines().map(|line| format!("# {line}\n")));
                }
                items(session, play, &block.always, typed, host, left);
            }
        }
    }
}
