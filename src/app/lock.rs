//! Who else is at work: runs of the state folder that have not come to their end, and `stagger lock`, which shows leases on hosts and
//! breaks them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::operator::operator;
use super::session::{How, Session, environment};
use super::{person, with_causes};
use crate::base::{Masker, RunId, Span};
use crate::cli::{self, Common, Exit, LockRequest, Request, Rules};
use crate::event::{Bus, EventKind};
use crate::journal::{StateFolder, Unfinished, unfinished};
use crate::modules;
use crate::plan::{Condition, Plan, Play, each_task};
use crate::report::fold;
use crate::run::{Interrupt, Parts, Run, Surveyed, whose};
use crate::transport;

/// No more hosts are named in a line.
const NAMED: usize = 8;

/// Whether this run takes leases: `STAGGER_LEASE=off` says that something else keeps runs apart.
pub(super) fn wants_leases() -> bool {
    std::env::var("STAGGER_LEASE").map_or(true, |value| value != "off")
}

/// Whether a new run has to be refused because its hosts are those of another run of this state folder that is not over.
pub(super) fn refused(session: &Session, common: &Common, plan: &Plan, how: &How) -> Option<Exit> {
    if common.check || how.again.is_some() {
        return None;
    }
    let changing = plan.plays.iter().filter(|play| changes(play));
    let hosts: BTreeSet<String> = changing.flat_map(|play| session.hosts_of(play)).collect();
    if hosts.is_empty() {
        return None;
    }
    let environment = environment();
    let state = StateFolder::find(common.state.as_deref(), &|name| environment.get(name).map(Into::into)).ok()?;
    let here = std::env::current_dir().unwrap_or_default();
    let sources = places(&session.inventory_sources, &here);
    let others = unfinished(&state).ok()?;
    let mut text = String::new();
    for run in others.iter().filter(|run| counts(run, common)) {
        if !same_cluster(&sources, &places(&run.inventory, &run.directory)) {
            continue;
        }
        let both: Vec<&String> = hosts.intersection(&run.hosts).filter(|host| !is_here(host)).collect();
        if !both.is_empty() {
            text.push_str(&told(run, &both, common.state.as_deref()));
        }
    }
    if text.is_empty() {
        return None;
    }
    super::complain(&format!("{text}Nothing was done and no host was contacted.\n"));
    Some(Exit::Error)
}

/// Whether a task of a play may change a host.
fn changes(play: &Play) -> bool {
    let mut changes = false;
    for items in play.sections.iter().map(Vec::as_slice).chain([play.handlers.as_slice()]) {
        each_task(items, &mut |task, include| {
            let looks = matches!(task.changed_when.as_deref(), Some([Condition::Constant(false)]));
            changes |= include || !(looks || modules::only_looks(task.module.name));
        });
    }
    changes
}

/// Whether another run is in the way of this one.
fn counts(run: &Unfinished, common: &Common) -> bool {
    if run.alive {
        return true;
    }
    let words: Vec<std::ffi::OsString> = run.command.iter().map(Into::into).collect();
    // One command on hosts is typed again, not resumed.
    let can_go_on = matches!(cli::parse(&words, false), Ok(Request::Run(_) | Request::Rollback(_)));
    let named = common.beside.as_deref().is_some_and(|part| {
        let id = run.folder.id.as_str();
        !part.is_empty() && (id.starts_with(part) || id.ends_with(part))
    });
    // Who calls it by Ansible's name knows of no runs that go on.
    common.rules == Rules::Stagger && can_go_on && !named
}

fn told(run: &Unfinished, both: &[&String], state: Option<&Path>) -> String {
    let id = &run.folder.id;
    let of = if both.len() == 1 { "1 host is" } else { &format!("{} hosts are", both.len()) };
    let names = fold(both, NAMED);
    let state =
        state.map(|path| format!(" --state {}", crate::base::quote(&path.display().to_string()))).unwrap_or_default();
    let help = if run.alive {
        format!(
            "wait for its end (stagger status {id}{state}); `stagger abort {id}{state}` ends it after the hosts at work"
        )
    } else {
        format!(
            "`stagger resume {id}{state}` goes on with it, `stagger abort {id}{state}` gives it up; to mend something by hand first: --beside {id}"
        )
    };
    format!(
        "error: {of} of run {id} ({} by {}), which {}: {names}\n  = help: {help}\n",
        run.title,
        run.operator,
        run.standing()
    )
}

/// Where inventory sources are; a list of hosts is nowhere.
fn places(sources: &[String], directory: &Path) -> BTreeSet<Option<PathBuf>> {
    let place = |source: &String| {
        let path = directory.join(source);
        (!source.contains(',')).then(|| path.canonicalize().unwrap_or(path))
    };
    sources.iter().map(place).collect()
}

/// Hosts of the same name are the same where the inventories have something in common. Of a list it is not known.
fn same_cluster(ours: &BTreeSet<Option<PathBuf>>, theirs: &BTreeSet<Option<PathBuf>>) -> bool {
    ours.contains(&None) || theirs.contains(&None) || ours.is_empty() || theirs.is_empty() || !ours.is_disjoint(theirs)
}

fn is_here(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1")
}

/// Shows warnings and forgets the rest.
struct Said;

#[async_trait::async_trait]
impl Bus for Said {
    fn emit(&self, kind: EventKind) {
        if let EventKind::Warning { message } = kind {
            super::complain(&format!("warning: {message}\n"));
        }
    }

    async fn record(&self, kind: EventKind) -> Result<(), String> {
        self.emit(kind);
        Ok(())
    }
}

/// `stagger lock`.
pub(super) fn run(request: &LockRequest) -> Exit {
    let mut session = Session::open(&request.common);
    let span = {
        let source = session.sources.add("the host pattern", request.pattern.as_str());
        Span { source, start: 0, end: u32::try_from(request.pattern.len()).unwrap_or(u32::MAX) }
    };
    let mut exit = Exit::Ok;
    let hosts = match session.inventory.select_with(&request.pattern, session.strictness()) {
        Ok(selected) => selected.hosts,
        // Without an inventory there are the runs of the state folder to look at.
        Err(_) if request.reason.is_none() && request.common.inventory.is_empty() => Vec::new(),
        Err(error) => {
            session.wrong.push(error.diagnostic(span));
            exit = Exit::NoTarget;
            Vec::new()
        }
    };
    if let Some(wrong) = session.complain() {
        return if exit == Exit::Ok { wrong } else { exit };
    }
    let Some(hosts) = session.limited(&hosts) else { return Exit::NoTarget };
    if request.reason.is_some() && hosts.is_empty() {
        super::complain(&format!("error: `{}` names no host\n", request.pattern));
        return Exit::NoTarget;
    }
    if !hosts.is_empty() {
        exit = match survey(session, request, &hosts) {
            Ok(surveyed) => shown(&surveyed, request.reason.is_some()),
            Err(exit) => return exit,
        };
    }
    if request.reason.is_none() {
        runs(&request.common);
    }
    exit
}

fn survey(session: Session, request: &LockRequest, hosts: &[String]) -> Result<Vec<Surveyed>, Exit> {
    let failed = |reason: String, exit: Exit| {
        super::complain(&format!("error: {reason}\n"));
        exit
    };
    let passwords = session.passwords(&request.common).map_err(|(reason, exit)| failed(reason, exit))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(format!("cannot start: {error}"), Exit::Error))?;
    transport::raise_open_files();
    let transport = Arc::new(transport::Any::new(transport::Options::default()));
    let options = session.options(&request.common, &How::default(), &RunId::new(0, 0), passwords);
    let surveyed = runtime.block_on(async {
        let run = Run::new(Parts {
            options,
            engine: session.engine,
            sources: session.sources,
            bus: Arc::new(Said),
            transport: Arc::clone(&transport) as Arc<dyn transport::Transport>,
            person: Arc::new(person::Terminal),
            interrupt: Interrupt::default(),
            masker: Masker::default(),
            inventory: session.inventory,
            next_task: 0,
            resumption: None,
            clock: crate::event::Clock::start(),
        });
        run.survey(hosts, request.reason.clone().map(|reason| (operator(), reason))).await
    });
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    for message in transport.take_warnings() {
        super::complain(&format!("warning: {message}\n"));
    }
    Ok(surveyed)
}

/// Shows what hosts have, or what was broken there.
fn shown(surveyed: &[Surveyed], breaking: bool) -> Exit {
    let mut exit = Exit::Ok;
    let mut free: Vec<&str> = Vec::new();
    for (host, found) in surveyed {
        match found {
            Err(reason) => {
                super::complain(&format!("{host}: {reason}\n"));
                exit = Exit::Unreachable;
            }
            Ok(all) if all.is_empty() => free.push(host),
            Ok(all) => {
                for one in all {
                    let what = match one.found.kind {
                        transport::lease::Kind::Alive => whose(&one.found),
                        transport::lease::Kind::Dead => format!("dead: {}", whose(&one.found)),
                        transport::lease::Kind::Odd => {
                            format!(
                                "no lease, and in nobody's way: {} of the account {}",
                                one.found.place, one.found.account
                            )
                        }
                    };
                    match (&one.trouble, breaking) {
                        (None, true) => super::print(&format!("{host}: broken: {what}\n")),
                        (None, false) => super::print(&format!("{host}: {what}\n")),
                        (Some(why), _) => {
                            let help = "only root may remove what another account made: -b";
                            super::complain(&format!("{host}: still there: {what}: {why} ({help})\n"));
                            if exit == Exit::Ok {
                                exit = Exit::HostFailed;
                            }
                        }
                    }
                }
            }
        }
    }
    if !free.is_empty() {
        let what = if breaking { "nothing to break" } else { "free" };
        super::print(&format!("{what}: {}\n", fold(&free, NAMED)));
    }
    exit
}

/// Shows the runs of the state folder that have not come to their end.
fn runs(common: &Common) {
    let state = match super::look::folder(common.state.as_deref()) {
        Ok(state) => state,
        // Nothing was ever run.
        Err(_) => return,
    };
    match unfinished(&state) {
        Ok(all) if all.is_empty() => super::print(&format!("no unfinished run in {}\n", state.path().display())),
        Ok(all) => {
            for run in all {
                let hosts: Vec<&String> = run.hosts.iter().collect();
                super::print(&format!(
                    "run {} ({} by {}) {}: {}\n",
                    run.folder.id,
                    run.title,
                    run.operator,
                    run.standing(),
                    fold(&hosts, NAMED)
                ));
            }
        }
        Err(error) => super::complain(&format!("warning: {}\n", with_causes(&error))),
    }
}
