//! `stagger run`: from playbook files to a plan that is run, listed or only checked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::listing;
use super::session::{How, Session};
use crate::base::{Node, NodeKind};
use crate::cli::{Approval, Exit, Rules, RunRequest, Terms};
use crate::diag::Diagnostic;
use crate::modules::{self, OptKind};
use crate::plan::{Compiler, Plan, Play, Selection, Task, each_task, has_template};
use crate::playbook;
use crate::run::{Approve, vars_file};

/// What was read and found right.
pub(super) struct Loaded {
    pub(super) session: Session,
    pub(super) plan: Plan,
    pub(super) how: How,
}

/// Runs, lists or checks playbooks.
pub(super) fn run(request: &RunRequest) -> Exit {
    if let Some(file) = &request.plan {
        return super::plan::run_kept(request, file);
    }
    // Ansible lists one playbook after the other, its plays numbered from one.
    let listed = request.list.any() && request.common.rules == Rules::Ansible && request.playbooks.len() > 1;
    if listed && !request.syntax_check {
        let one = |path: &PathBuf| run(&RunRequest { playbooks: vec![path.clone()], ..request.clone() });
        return request.playbooks.iter().map(one).find(|exit| *exit != Exit::Ok).unwrap_or(Exit::Ok);
    }
    let Loaded { session, plan, how } = match load(request) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    if request.syntax_check {
        for path in &request.playbooks {
            super::print(&format!("\nplaybook: {}\n", path.display()));
        }
        return Exit::Ok;
    }
    if request.list.any() {
        super::print(&listing::text(&session, &request.playbooks, &plan, request.list));
        return Exit::Ok;
    }
    session.execute(&request.common, plan, how)
}

/// Reads playbooks and all that they rest on.
///
/// # Errors
/// The exit code, once what is wrong was shown.
pub(super) fn load(request: &RunRequest) -> Result<Loaded, Exit> {
    let mut session = Session::open_lazily(&request.common);
    super::warn_all(&request.common.warnings);
    if let Some(missing) = request.playbooks.iter().find(|path| !path.exists()) {
        super::complain(&format!("error: the playbook {} is not there\n", missing.display()));
        return Err(Exit::NoTarget);
    }
    let Compiled { plan, next_task, tags, skip } = compile(&mut session, request);
    let mut folders: Vec<PathBuf> = plan.plays.iter().map(|play| play.directory.clone()).collect();
    folders.dedup();
    session.beside(&folders);
    check_files(&mut session, &plan);
    let roles_path = session.roles_path();
    session.wrong.extend(super::rollback::check(&session.sources, &session.engine, &plan, &roles_path));
    hosts(&mut session, &plan);
    if !request.syntax_check && !request.list.any() {
        session.needs_hosts_of(&plan);
    }
    if let Some(exit) = session.complain() {
        return Err(exit);
    }
    if let Err((message, exit)) = limit(&session, request) {
        super::complain(&message);
        return Err(exit);
    }
    let title = request.playbooks.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    let how = How {
        title,
        tags,
        skip_tags: skip,
        start_at: request.start_at_task.clone(),
        step: request.step,
        force_handlers: request.force_handlers,
        next_task,
        terms: terms(&request.terms),
        ..How::default()
    };
    Ok(Loaded { session, plan, how })
}

/// The terms of the command line, with its times counted from now.
fn terms(given: &Terms) -> crate::run::Terms {
    let lasting = given.lasting.map(|lasting| (lasting, format!("--for {}", crate::base::render_duration(lasting))));
    let until = given.until.map(|(hour, minute)| {
        let now = jiff::Zoned::now();
        (until(&now, hour, minute), format!("--until {hour:02}:{minute:02}"))
    });
    crate::run::Terms {
        approve: given.approve.map(|approval| match approval {
            Approval::None => Approve::None,
            Approval::First => Approve::First,
            Approval::Each => Approve::Each,
        }),
        until: lasting.or(until).and_then(|(lasting, text)| {
            let moment = tokio::time::Instant::now().checked_add(lasting)?;
            Some(crate::run::Until { moment, text })
        }),
        operator: String::new(),
    }
}

/// How long it is until a clock on the wall next shows that time. In the night in which clocks are put forward, a time that it
/// does not show is taken as so much later.
fn until(now: &jiff::Zoned, hour: u8, minute: u8) -> Duration {
    let (hour, minute) = (i8::try_from(hour).unwrap_or(0), i8::try_from(minute).unwrap_or(0));
    let at = |day: jiff::civil::Date| day.at(hour, minute, 0, 0).to_zoned(now.time_zone().clone()).ok();
    let today = at(now.date()).filter(|moment| moment > now);
    let next = today.or_else(|| now.date().tomorrow().ok().and_then(at));
    next.map_or(Duration::ZERO, |moment| moment.timestamp().duration_since(now.timestamp()).unsigned_abs())
}

/// A playbook's plan and what it was made with.
pub(super) struct Compiled {
    pub(super) plan: Plan,
    next_task: u32,
    tags: Vec<String>,
    skip: Vec<String>,
}

/// Reads and compiles the playbooks. What is wrong with them is left with the session.
pub(super) fn compile(session: &mut Session, request: &RunRequest) -> Compiled {
    let is_module = |name: &str| modules::find(name).is_some();
    let roles_path = session.roles_path();
    let ground = playbook::Ground { is_module: &is_module, roles_path: &roles_path };
    let (written, included, wrong) = playbook::load(&session.sources, &request.playbooks, ground);
    session.wrong.extend(wrong);
    let tags = if request.tags.is_empty() { session.config.tags.clone() } else { request.tags.clone() };
    let skip = if request.skip_tags.is_empty() { session.config.skip_tags.clone() } else { request.skip_tags.clone() };
    let mut selection = Selection { tags: tags.iter().cloned().collect(), skip: skip.iter().cloned().collect() };
    if request.list.tags && tags.is_empty() && session.rules == Rules::Ansible {
        // Ansible's list of all tags has those of tasks that only run when they are asked for.
        selection.tags.extend(["all".to_owned(), "never".to_owned()]);
    }
    let engine = std::sync::Arc::clone(&session.engine);
    let mut compiler = Compiler::new(&engine, &selection, 0);
    let plan = compiler.plan(&written);
    let next_task = {
        // Files that are included by name are compiled too, so that their mistakes are seen before any connection.
        let outer = std::sync::Arc::default();
        for entries in &included {
            compiler.items(entries, &outer, false);
        }
        compiler.role_handlers();
        let (wrong, next) = compiler.finish();
        session.wrong.extend(wrong);
        next
    };
    Compiled { plan, next_task, tags, skip }
}

/// Patterns that are written out must match, unless hosts are added while the run goes on.
fn hosts(session: &mut Session, plan: &Plan) {
    let mut adds = false;
    for play in &plan.plays {
        if !adds && !has_template(&play.hosts) {
            let pattern = listing::pattern(play);
            // What is missing may stand in the inventory that can't be read; `hosts` that is missing was told.
            let blind = session.inventory_wrong && session.inventory.hosts().is_empty();
            if blind || play.hosts.kind == NodeKind::Null {
                continue;
            }
            if let Err(error) = session.inventory.select_with(&pattern, session.strictness()) {
                session.missing += 1;
                let span = if play.hosts.as_str().is_some() { play.hosts.span } else { play.span };
                session.wrong.push(error.diagnostic(span));
            }
        }
        for items in play.sections.iter().map(Vec::as_slice).chain([play.handlers.as_slice()]) {
            each_task(items, &mut |task, include| {
                adds |= include || matches!(task.module.name, "add_host" | "group_by")
            });
        }
    }
}

fn limit(session: &Session, request: &RunRequest) -> Result<(), (String, Exit)> {
    let Some(limit) = &request.common.limit else { return Ok(()) };
    let all: Vec<String> = session.inventory.hosts().into_iter().map(str::to_owned).collect();
    let limited = session.inventory.limit(&session.sources, &all, std::slice::from_ref(limit), session.strictness());
    if session.rules == Rules::Ansible && limited.as_ref().is_ok_and(|limited| limited.hosts.is_empty()) {
        let message = "ERROR! Specified inventory, host pattern and/or --limit leaves us with no hosts to target.\n";
        return Err((message.to_owned(), Exit::NoTarget));
    }
    limited.map(|_| ()).map_err(|error| {
        let help: String = error.help.iter().map(|line| format!("  = help: {line}\n")).collect();
        (format!("error: --limit: {error}\n{help}Nothing was done and no host was contacted.\n"), Exit::NoTarget)
    })
}

/// Local files that are named outright must be there.
pub(super) fn check_files(session: &mut Session, plan: &Plan) {
    let mut wrong = Vec::new();
    for play in &plan.plays {
        for node in &play.vars_files {
            variables(session, play, node, &mut wrong);
        }
        let mut read = std::collections::HashSet::new();
        let mut look = |task: &Task, _: bool| {
            missing(task, play, &mut wrong);
            read_variables(session, task, play, &mut read, &mut wrong);
            template(session, task, play, &mut read, &mut wrong);
        };
        for items in play.sections.iter().map(Vec::as_slice).chain([play.handlers.as_slice()]) {
            each_task(items, &mut look);
        }
        for task in &play.gate {
            missing(task, play, &mut wrong);
        }
    }
    session.wrong.extend(wrong);
}

/// A file of variables that is named outright is read now; of a list the first that is there.
fn variables(session: &Session, play: &Play, node: &Node, wrong: &mut Vec<Diagnostic>) {
    if has_template(node) {
        return;
    }
    let names: Vec<&str> = match node.as_seq() {
        Some(names) => names.iter().filter_map(Node::as_str).collect(),
        None => node.as_str().into_iter().collect(),
    };
    let found = names.iter().find_map(|name| vars_file(&play.directory, name));
    match found {
        Some(path) => wrong.extend(playbook::load_vars(&session.sources, &path).1),
        None => {
            let message = format!("the file of variables {} is not there", names.join(", nor "));
            wrong.push(Diagnostic::error(message, node.span));
        }
    }
}

/// The text of a template that is named outright is checked for its syntax.
fn template(
    session: &Session,
    task: &Task,
    play: &Play,
    read: &mut std::collections::HashSet<PathBuf>,
    wrong: &mut Vec<Diagnostic>,
) {
    if task.module.name != "template" {
        return;
    }
    let has = |name: &str| task.arguments.get(name).is_some();
    let own_marks =
        ["block_start_string", "variable_start_string", "comment_start_string"].iter().any(|name| has(name));
    let Some(source) = task.arguments.get("src").filter(|source| !has_template(source) && !own_marks) else { return };
    let Some(name) = source.as_str() else { return };
    let folders = task.folders(Some(&play.directory));
    let candidates = folders.iter().flat_map(|folder| [folder.join("templates").join(name), folder.join(name)]);
    let Some(path) = candidates.into_iter().find(|path| path.is_file()) else { return };
    if read.insert(path.clone())
        && let Ok((id, text)) = session.sources.load(&path)
    {
        wrong.extend(session.engine.check_text(&text, &crate::template::TextOptions::default(), id));
    }
}

/// A file of variables that a task reads by its name is read now, for what is wrong in it.
fn read_variables(
    session: &Session,
    task: &Task,
    play: &Play,
    read: &mut std::collections::HashSet<PathBuf>,
    wrong: &mut Vec<Diagnostic>,
) {
    if task.module.name != "include_vars" {
        return;
    }
    let file = ["free_form", "_raw_params", "file"].iter().find_map(|name| task.arguments.get(name));
    let Some(name) = file.filter(|file| !has_template(file)).and_then(Node::as_str) else { return };
    let folders = task.folders(Some(&play.directory));
    let candidates = folders.iter().flat_map(|folder| [folder.join("vars").join(name), folder.join(name)]);
    let Some(path) = candidates.into_iter().find(|path| path.is_file()) else { return };
    if read.insert(path.clone()) {
        let (node, mut mistakes) = playbook::load_vars(&session.sources, &path);
        mistakes.extend(node.iter().flat_map(|node| session.engine.check(node)));
        wrong.extend(mistakes);
    }
}

fn missing(task: &Task, play: &Play, wrong: &mut Vec<Diagnostic>) {
    let variables = task.module.name == "include_vars";
    // A failure that the playbook reckons with, or a file that only some conditions need.
    if task.failed_when.is_some()
        || task.keywords.get("ignore_errors").is_some()
        || variables && !task.keywords.when.is_empty()
    {
        return;
    }
    let arguments = task.arguments.as_map().unwrap_or_default();
    // `copy` is how `unarchive` once had it, the other way around.
    let on_host = arguments.iter().any(|(key, value)| match key.as_str() {
        Some("remote_src") => modules::to_bool(&value.to_value()) != Some(false),
        Some("copy") => modules::to_bool(&value.to_value()) != Some(true),
        _ => false,
    });
    if on_host {
        return;
    }
    for (key, value) in arguments {
        let Some(option) = key.as_str().and_then(|name| modules::find_option(task.module, name)) else { continue };
        // What is written here need not be there.
        if option.kind != OptKind::LocalPath
            || option.name == "dest"
            || has_template(value)
            || variables && option.name == "dir"
        {
            continue;
        }
        let Some(name) = value.as_str() else { continue };
        if let Some(diagnostic) = not_there(task, play, name, value) {
            wrong.push(diagnostic);
        }
    }
}

fn not_there(task: &Task, play: &Play, name: &str, value: &Node) -> Option<Diagnostic> {
    let path = match name.strip_prefix("~/") {
        Some(rest) => std::env::home_dir()?.join(rest),
        None => PathBuf::from(name),
    };
    let folder = match task.module.name {
        "template" => "templates",
        "include_vars" => "vars",
        _ => "files",
    };
    let mut looked: Vec<PathBuf> = Vec::new();
    if path.is_absolute() {
        looked.push(path);
    } else {
        for base in task.folders(Some(&play.directory)) {
            looked.extend([base.join(folder).join(&path), base.join(&path)]);
        }
        let mut seen = std::collections::HashSet::new();
        looked.retain(|path| seen.insert(path.clone()));
    }
    if looked.iter().any(|path| path.exists()) {
        return None;
    }
    let shown: Vec<String> = looked.iter().map(|path| show(path)).collect();
    Some(
        Diagnostic::error(format!("the file `{name}` is not there"), value.span)
            .help(format!("looked for {}", shown.join(", "))),
    )
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_next_one_that_the_clock_shows() {
        let now = |text: &str| text.parse::<jiff::Zoned>().unwrap();
        let hours = |hours: u64, minutes: u64| Duration::from_secs(hours * 3600 + minutes * 60);
        assert_eq!(until(&now("2026-01-10T23:30:00+01:00[Europe/Berlin]"), 5, 0), hours(5, 30));
        assert_eq!(until(&now("2026-01-10T04:59:00+01:00[Europe/Berlin]"), 5, 0), hours(0, 1));
        assert_eq!(until(&now("2026-01-10T05:00:00+01:00[Europe/Berlin]"), 5, 0), hours(24, 0));
        // Clocks are put forward at two: the night is an hour shorter.
        assert_eq!(until(&now("2026-03-28T23:30:00+01:00[Europe/Berlin]"), 5, 0), hours(4, 30));
    }
}
