//! `last_failed`, `last_unreachable`, `last_not_attempted`: hosts that the newest run left, for patterns and limits. Read when
//! a pattern names one; runs that only checked don't count.

use std::path::Path;
use std::sync::OnceLock;

use super::look;
use crate::event::{Event, EventKind};
use crate::inventory::Leaves;
use crate::journal::{self, Lists, RunFolder, brief};

/// What the newest run left, and what it is called.
type Found = Result<(Lists, String), String>;

/// The lists of the runs that there are now: the run that is about to begin is not among them.
pub(super) fn lists(state: Option<&Path>) -> Box<Leaves> {
    let runs = look::folder(state).and_then(|state| state.runs()).map_err(|error| super::with_causes(&error));
    let found: OnceLock<Found> = OnceLock::new();
    Box::new(move |name: &str| {
        type Pick = fn(&Lists) -> &Vec<String>;
        let (pick, what): (Pick, &str) = match name {
            "last_failed" => (|lists| &lists.failed, "failed"),
            "last_unreachable" => (|lists| &lists.unreachable, "was unreachable"),
            "last_not_attempted" => (|lists| &lists.not_attempted, "was left without a try"),
            _ => return None,
        };
        let newest = found.get_or_init(|| match &runs {
            Ok(runs) => newest(runs),
            Err(reason) => Err(reason.clone()),
        });
        Some(match newest {
            Err(reason) => Err(format!("`{name}` can't be worked out: {reason}")),
            Ok((lists, run)) if pick(lists).is_empty() => Err(format!("`{name}` is empty: no host {what} in {run}")),
            Ok((lists, _)) => Ok(pick(lists).clone()),
        })
    })
}

fn newest(runs: &[RunFolder]) -> Found {
    for folder in runs.iter().rev() {
        let said = |error: journal::ReadError| super::with_causes(&error);
        let Some(ends) = brief(&folder.journal()).map_err(said)? else { continue };
        let EventKind::RunStarted { title, check: false, .. } = &ends.began.kind else { continue };
        let events = journal::read(&folder.journal()).map_err(said)?.only(Lists::KINDS);
        let events: Vec<Event> = events.collect::<Result<_, _>>().map_err(said)?;
        let lists = Lists::of(&events);
        let more = if lists.ended { "" } else { ", which has no end yet" };
        return Ok((lists, format!("run {} of {title}{more}", folder.id)));
    }
    Err("there is no run before this one, checks left out".to_owned())
}
