//! `stagger lint`: what of a whole tree of playbooks, roles and inventories works here and what does not, line by line, without a
//! host. Everything is read by the same loaders and compilers as for a run; only which files there are is found out here.

mod find;
mod report;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::playbook::{check_files, compile};
use super::session::Session;
use super::{complain, print};
use crate::base::Locked;
use crate::cli::{Common, Exit, LintRequest, RunRequest};
use crate::diag::{Diagnostic, Severity};
use crate::inventory::{Inventory, LoadOptions};
use crate::modules;
use crate::plan::{Compiler, Selection, each_task};
use crate::playbook;
use crate::template::TextOptions;
use find::Kind;

/// What was looked at, and what is wrong.
struct Found {
    files: BTreeMap<PathBuf, Kind>,
    tasks: usize,
    /// Encrypted files whose password was not given: nothing is known of them.
    closed: usize,
    wrong: Vec<Diagnostic>,
}

/// Looks at everything below the paths.
pub(super) fn run(request: &LintRequest) -> Exit {
    if let Some(missing) = request.paths.iter().find(|path| !path.exists()) {
        complain(&format!("error: {} is not there\n", missing.display()));
        return Exit::NoTarget;
    }
    let mut session = Session::open(&Common {
        // Hosts don't matter; without a name it would read the configured inventory.
        inventory: vec!["localhost,".to_owned()],
        vault: request.vault.clone(),
        ..Common::default()
    });
    if session.no_keys.is_some() {
        return session.complain().unwrap_or(Exit::Error);
    }
    let files = find::below(&request.paths);
    if files.is_empty() {
        complain("error: no playbook, task file, file of variables, template or inventory is there\n");
        return Exit::NoTarget;
    }
    let mut found = look(&mut session, files);
    tidy(&mut found, &session);
    let text = report::text(&found, &session, request.output);
    print(&session.masker.mask(&text));
    let bad = |diagnostic: &Diagnostic| request.strict || diagnostic.severity == Severity::Error;
    if found.wrong.iter().any(bad) { Exit::Input } else { Exit::Ok }
}

fn look(session: &mut Session, files: BTreeMap<PathBuf, Kind>) -> Found {
    let of = |kind: Kind| files.iter().filter(move |(_, of)| **of == kind).map(|(path, _)| path.clone());
    let playbooks: Vec<PathBuf> = of(Kind::Playbook).collect();
    let mut tasks = 0;
    let plan = compile(session, &RunRequest { playbooks, ..RunRequest::default() }).plan;
    for play in &plan.plays {
        for items in play.sections.iter().map(Vec::as_slice).chain([play.handlers.as_slice()]) {
            each_task(items, &mut |_, _| tasks += 1);
        }
    }
    check_files(session, &plan);
    let rollbacks = super::rollback::check(&session.sources, &session.engine, &plan, &session.roles_path());
    session.wrong.extend(rollbacks);
    // Task files that playbooks include by name were read with them, where they are included.
    let read: HashSet<PathBuf> =
        session.sources.all().iter().filter_map(|(name, _)| std::fs::canonicalize(name).ok()).collect();
    let left = |path: &PathBuf| std::fs::canonicalize(path).map_or(true, |real| !read.contains(&real));
    let is_module = |name: &str| modules::find(name).is_some();
    let roles_path = session.roles_path();
    let ground = playbook::Ground { is_module: &is_module, roles_path: &roles_path };
    let engine = Arc::clone(&session.engine);
    let selection = Selection::default();
    for (kind, handlers) in [(Kind::Tasks, false), (Kind::Handlers, true)] {
        for path in of(kind).filter(left) {
            let folder = path.parent().unwrap_or(Path::new("."));
            let in_role = folder.ends_with("tasks") || folder.ends_with("handlers");
            let role = folder.parent().filter(|_| in_role).map(Path::to_owned);
            let around = role.into_iter().collect();
            let (entries, wrong) = playbook::load_task_file(&session.sources, &path, folder, around, handlers, ground);
            session.wrong.extend(wrong);
            let mut compiler = Compiler::new(&engine, &selection, 0);
            let items = compiler.items(&entries, &Arc::default(), handlers);
            each_task(&items, &mut |_, _| tasks += 1);
            session.wrong.extend(compiler.finish().0);
        }
    }
    for path in of(Kind::Variables).filter(left) {
        let (node, wrong) = playbook::load_vars(&session.sources, &path);
        session.wrong.extend(wrong);
        session.wrong.extend(node.iter().flat_map(|node| engine.check(node)));
    }
    for path in of(Kind::Template).filter(left) {
        match session.sources.load(&path) {
            Ok((source, text)) => session.wrong.extend(engine.check_text(&text, &TextOptions::default(), source)),
            Err(error) => session.wrong.push(error.diagnostic(crate::base::Span::NONE)),
        }
    }
    for path in of(Kind::Inventory) {
        let options = LoadOptions { merge_mappings: session.config.merge_mappings, ..LoadOptions::default() };
        let (_, wrong) = Inventory::load(&session.sources, &[path.display().to_string()], &options);
        session.wrong.extend(wrong);
    }
    Found { files, tasks, closed: 0, wrong: std::mem::take(&mut session.wrong) }
}

/// Each mistake once, file by file; what is encrypted is counted and not wrong.
fn tidy(found: &mut Found, session: &Session) {
    let closed = Locked::no_password().message;
    let mut seen = HashSet::new();
    let mut files_closed = HashSet::new();
    found.wrong.retain(|diagnostic| {
        let place = diagnostic.labels.first().map(|label| session.sources.place(label.span)).unwrap_or_default();
        if diagnostic.message == closed {
            files_closed.insert(place);
            return false;
        }
        // A file that was read twice has two sources and the same mistakes.
        seen.insert((place, diagnostic.message.clone()))
    });
    found.closed = files_closed.len();
    found.wrong.sort_by_cached_key(|diagnostic| report::place(diagnostic, session));
}
