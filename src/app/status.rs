//! `stagger status`: the tree of a run, alive or not.

use super::look::{self, Refusal};
use crate::base::{RunId, quote};
use crate::cli::Exit;
use crate::event::EventKind;
use crate::journal::{self, Paces, RunFolder, StateFolder, brief};
use crate::report::{Life, Paint, Tree, tree_text};

/// So many earlier runs are asked how long it takes.
const EARLIER: usize = 5;

/// Shows where a run stands.
pub(super) fn run(
    state: &StateFolder,
    part: Option<&str>,
    all: bool,
    json: bool,
    paint: Paint,
) -> Result<Exit, Refusal> {
    let run = look::live_first(state, part)?;
    let (tree, _) = tree(state, &run)?;
    if json {
        super::print(&(serde_json::to_string(&tree).unwrap_or_default() + "\n"));
    } else {
        super::print(&tree_text(&tree, &super::view::shown(paint, all)));
    }
    Ok(Exit::Ok)
}

/// `stagger show`: what the run was, with every host.
pub(super) fn whole(state: &StateFolder, part: Option<&str>, paint: Paint) -> Result<Exit, Refusal> {
    let run = match part {
        Some(part) => state.run(part)?,
        None => look::newest(state)?,
    };
    let (tree, typed) = tree(state, &run)?;
    super::print(&tree_text(&tree, &super::view::shown(paint, true)));
    super::print(&format!(
        "\n{typed}what was done on a host, and what is left: stagger show {} --commands HOST\n",
        run.id
    ));
    Ok(Exit::Ok)
}

/// The tree, and what was typed where.
fn tree(state: &StateFolder, run: &RunFolder) -> Result<(Tree, String), Refusal> {
    let (ledger, life) = look::ledger(run)?;
    let mut tree = ledger.tree(life, run.process());
    if tree.run.is_empty() {
        let what = if life == Life::Alive { "is just beginning" } else { "died before it began" };
        return Err(Refusal(format!("run {} {what}: its journal says nothing yet", run.id), Exit::NoTarget));
    }
    if life != Life::Gone && tree.exit.is_none() {
        let paces = paces(state, Some(&run.id), &tree.title, tree.check);
        tree.expect(&|play, hosts| paces.estimate(play, hosts));
    }
    let (command, directory) = ledger.command();
    let words: Vec<String> = command.iter().map(|word| quote(word)).collect();
    let typed = if words.is_empty() { String::new() } else { format!("typed in {directory}: {}\n", words.join(" ")) };
    Ok((tree, typed))
}

/// What earlier runs of the same playbook took: those before one, or all.
pub(super) fn paces(state: &StateFolder, before: Option<&RunId>, of: &str, in_check: bool) -> Paces {
    let mut paces = Paces::default();
    let is_alike = |other: &RunFolder| {
        let Ok(Some(ends)) = brief(&other.journal()) else { return false };
        matches!(&ends.began.kind, EventKind::RunStarted { title, check, .. } if title == of && *check == in_check)
    };
    let is_earlier = |other: &RunFolder| before.is_none_or(|run| other.id < *run);
    let earlier = state.runs().unwrap_or_default().into_iter().rev().filter(is_earlier);
    for other in earlier.filter(is_alike).take(EARLIER) {
        // What can't be read tells nothing; it is said where it is asked for.
        let Ok(events) = journal::read(&other.journal()) else { continue };
        let events: Vec<_> = events.only(Paces::KINDS).filter_map(Result::ok).collect();
        paces.add(&events);
    }
    paces
}
