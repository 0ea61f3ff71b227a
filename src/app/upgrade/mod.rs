//! `stagger upgrade mesos --to VERSION`, and `elasticsearch` ([`elastic`]): looks what runs, shows all hops to there, and runs the playbook of each, with a question
//! before it. Every hop is a run of its own, with its journal, its way on and its way back; what is between two hops is only this.

mod books;
mod elastic;
mod path;
mod seen;

use std::path::Path;
use std::process::{Command, Stdio};

use books::Books;
use path::{Leg, Way};
use seen::Running;

use crate::cli::{Exit, UpgradeRequest, UpgradeSystem};
use crate::cluster::mesos::Version;
use crate::journal::StateFolder;

/// What is to be said instead of going on.
type Refusal = (String, Exit);

/// Upgrades.
pub(super) fn run(request: &UpgradeRequest) -> Exit {
    match go(request) {
        Ok(exit) => exit,
        Err((reason, exit)) => {
            super::complain(&format!("error: {reason}\n"));
            exit
        }
    }
}

fn go(request: &UpgradeRequest) -> Result<Exit, Refusal> {
    let state = StateFolder::find(request.state.as_deref(), &|name| std::env::var_os(name))
        .map_err(|error| (super::with_causes(&error), Exit::NoTarget))?;
    match request.system {
        UpgradeSystem::Mesos => mesos(request, &state),
        UpgradeSystem::Elasticsearch => elastic::go(request, &state),
    }
}

fn mesos(request: &UpgradeRequest, state: &StateFolder) -> Result<Exit, Refusal> {
    let usage = |text: String| (text, Exit::Usage);
    let to = Version::parse(&request.to).map_err(usage)?;
    let via: Vec<Version> =
        request.via.iter().map(|text| Version::parse(text)).collect::<Result<_, _>>().map_err(usage)?;
    let from = request.from.as_deref().map(Version::parse).transpose().map_err(usage)?;
    let books = Books::at(request.playbooks.as_deref(), state.path(), "mesos", books::MESOS)
        .map_err(|error| (format!("the playbooks of the hops: {error}"), Exit::NoTarget))?;
    let mut running = look(request, &books)?;
    let mut way = path::find(&running, from, to, &via).map_err(|why| (why, Exit::Input))?;
    super::print(&path::show(&running, from, to, &way));
    if request.plan || way.legs.is_empty() {
        return Ok(Exit::Ok);
    }
    if to > books::LAST && !to.same_minor(books::LAST) {
        let text =
            format!("there is no playbook past 0.15, and {to} is: go to 0.15.0, or look at the plan with --plan");
        return Err((text, Exit::Input));
    }
    if request.check {
        let Some(leg) = way.legs.first() else { return Ok(Exit::Ok) };
        return hop(request, &books, leg, &["--check", "--diff"]);
    }
    // A hop that has come to its end is not begun again, whatever is left of its restarts.
    let total = way.legs.len();
    for number in 1..=total {
        let Some(leg) = way.legs.first() else { break };
        if !request.yes && !go_on(leg, number, total)? {
            super::complain(
                "stopped before this hop; the cluster stands as it is. Give the same command again to go on\n",
            );
            return Ok(Exit::Ok);
        }
        let exit = hop(request, &books, leg, &[])?;
        if exit != Exit::Ok {
            super::complain(&format!(
                "\nhop {number} of {total}, {} to {}, did not come to its end: nothing of the later hops was begun. When what it says is \
                 put right, go on with `stagger resume` where it stopped, then give the same command again; or give that run up with \
                 `stagger abort` first: what is done is seen and left alone\n",
                leg.hop.from, leg.to
            ));
            return Ok(exit);
        }
        let aim = leg.to;
        running = look(request, &books)?;
        let late: Vec<String> = running
            .iter()
            .filter(|one| !one.version.or(from).is_some_and(|version| version.same_minor(aim)))
            .map(|one| format!("{} ({})", one.host, one.daemon.program()))
            .collect();
        // Before 0.13 nothing tells; the gates of the hop have looked at each.
        if !late.is_empty() && aim >= Version::new(0, 13, 0) {
            return Err((format!("after this hop not every daemon runs {aim}: {}", late.join(", ")), Exit::HostFailed));
        }
        way = Way { legs: way.legs.into_iter().skip(1).collect(), finishing: false };
        super::print(&format!("\nhop {number} of {total} is done: every daemon runs {aim}\n"));
    }
    Ok(Exit::Ok)
}

fn go_on(leg: &Leg, number: usize, total: usize) -> Result<bool, Refusal> {
    ask(&format!("\nbegin hop {number} of {total}, {} to {}? [y/N] ", leg.hop.from, leg.to))
}

/// Asks the person at the terminal.
fn ask(question: &str) -> Result<bool, Refusal> {
    let answer = crate::report::prompt::ask(question, true, None, &|| false).map_err(|error| {
        let help = "give --yes to go without being asked, or --plan to look only";
        (format!("{}; {help}", super::with_causes(&error)), Exit::Usage)
    })?;
    Ok(answer.is_some_and(|text| matches!(text.reveal().trim(), "y" | "Y" | "yes")))
}

/// This program under its own name, running a playbook.
fn stagger(request: &UpgradeRequest, playbook: &Path, more: &[&str]) -> Result<Command, Refusal> {
    use std::os::unix::process::CommandExt as _;
    let program =
        std::env::current_exe().map_err(|error| (format!("this program's own file: {error}"), Exit::Error))?;
    let mut command = Command::new(program);
    command.arg0("stagger").arg("run").arg(playbook).args(&request.passed).args(more);
    Ok(command)
}

/// Asks every host what runs.
fn look(request: &UpgradeRequest, books: &Books) -> Result<Vec<Running>, Refusal> {
    let (events, exit) = events_of(request, &books.file("look.yml"))?;
    match seen::read(&events) {
        Ok(running) if exit == Exit::Ok => Ok(running),
        Ok(_) => Err(("not every host could be asked what runs; nothing was changed".to_owned(), exit)),
        Err(why) => Err((format!("what runs can't be told: {why}; nothing was changed"), exit)),
    }
}

/// The events of a playbook that only looks, one a line, and how it ended.
fn events_of(request: &UpgradeRequest, playbook: &Path) -> Result<(String, Exit), Refusal> {
    let mut command = stagger(request, playbook, &["--output=json"])?;
    command.stderr(Stdio::inherit()).stdin(Stdio::inherit());
    let done =
        command.output().map_err(|error| (format!("this program can't be started again: {error}"), Exit::Error))?;
    Ok((String::from_utf8_lossy(&done.stdout).into_owned(), exit_of(done.status.code())))
}

/// Runs a hop's playbook at this terminal.
fn hop(request: &UpgradeRequest, books: &Books, leg: &Leg, more: &[&str]) -> Result<Exit, Refusal> {
    let file = books.file(&books::name(&leg.hop.from, &leg.hop.to));
    let version = format!("--extra-vars=mesos_to={}", leg.to);
    let mut words = vec![version.as_str()];
    if request.force_order {
        words.push("--extra-vars=force_order=true");
    }
    words.extend(more);
    run_hop(request, &file, &words)
}

/// Runs a playbook at this terminal.
fn run_hop(request: &UpgradeRequest, playbook: &Path, words: &[&str]) -> Result<Exit, Refusal> {
    let mut command = stagger(request, playbook, words)?;
    let error = |error: std::io::Error| (format!("the hop can't be started: {error}"), Exit::Error);
    // Ctrl-C is for the run of the hop, which lets hosts at work finish; this process waits for it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(error)?;
    let _listening = runtime.block_on(async {
        let interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        (interrupt, terminate)
    });
    let status = command.status().map_err(error)?;
    Ok(exit_of(status.code()))
}

/// The ending that a run's exit code means.
fn exit_of(code: Option<i32>) -> Exit {
    let of = |exit: &Exit| code == Some(i32::from(exit.code(crate::cli::Rules::Stagger)));
    Exit::ALL.into_iter().find(|exit| of(exit)).unwrap_or(Exit::Error)
}
