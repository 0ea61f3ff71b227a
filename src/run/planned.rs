//! A saved plan that the run keeps to: before each act it is asked whether the plan has its steps. What the plan could not know
//! is allowed as it was shown; what it knew otherwise halts the run before anything is done.

use std::collections::HashMap;
use std::sync::Arc;

use super::act::Acted;
use super::attempt::HostTask;
use super::task::place;
use crate::base::PlayId;
use crate::event::{Halt, StepDiff, without_processes};
use crate::modules::{Failure, Step};

/// What a plan says of each host's tasks.
#[derive(Debug, Default)]
pub(crate) struct Planned(HashMap<(PlayId, String), Arc<Tasks>>);

/// What a plan says of the tasks of hosts that fare alike.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    allowed: HashMap<Which, Allowed>,
    /// Something could not be known: what rests on it (a handler, a rescue section) is not in the plan.
    open: bool,
}

/// `file:line`, how often it ran before in its batch, and the item of its loop; no item means all of them.
type Which = (String, u32, Option<u32>);

/// What may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    Anything,
    /// These: a summary, and a digest of the texts before and after.
    Steps(Vec<(String, Option<String>)>),
}

impl Tasks {
    /// Adds a task, or an item of its loop. `known` is whether the plan knew what it would do; steps that it shows are the only ones
    /// that are allowed either way.
    pub(crate) fn add(
        &mut self,
        place: &str,
        pass: u32,
        item: Option<u32>,
        known: bool,
        steps: impl Iterator<Item = (String, Option<String>)>,
    ) {
        self.open |= !known;
        let steps: Vec<_> = steps.collect();
        let which = (place.to_owned(), pass, item);
        if !known && steps.is_empty() {
            self.allowed.insert(which, Allowed::Anything);
            return;
        }
        // Several tasks may stand on one line.
        match self.allowed.entry(which).or_insert_with(|| Allowed::Steps(Vec::new())) {
            Allowed::Steps(all) => all.extend(steps),
            Allowed::Anything => {}
        }
    }

    /// The first step that is not in the plan, and what the plan has instead.
    fn refuses(
        &self,
        place: &str,
        pass: u32,
        item: u32,
        steps: &[(String, Option<String>)],
        troubled: bool,
    ) -> Option<(String, String)> {
        let find = |item| self.allowed.get(&(place.to_owned(), pass, item));
        let allowed = match (find(Some(item)), find(None)) {
            (Some(allowed), _) | (None, Some(allowed)) => allowed,
            (None, None) if self.open || troubled => return None,
            (None, None) => {
                return steps
                    .first()
                    .map(|(summary, _)| (summary.clone(), "the plan does not reach this task".to_owned()));
            }
        };
        let Allowed::Steps(planned) = allowed else { return None };
        let same = |(summary, digest): &(String, Option<String>), (other, theirs): &(String, Option<String>)| {
            summary == other && (digest.is_none() || theirs.is_none() || digest == theirs)
        };
        let (summary, _) = steps.iter().find(|step| !planned.iter().any(|planned| same(planned, step)))?;
        let texts = planned.iter().any(|(planned, _)| planned == summary);
        let instead = match planned.as_slice() {
            _ if texts => "with other texts than planned".to_owned(),
            [] => "the plan changes nothing here".to_owned(),
            some => {
                let told: Vec<&str> = some.iter().map(|(summary, _)| summary.as_str()).collect();
                format!("planned: {}", told.join(", "))
            }
        };
        Some((summary.clone(), instead))
    }
}

impl Planned {
    /// Adds hosts that fare alike in a play.
    pub(crate) fn add(&mut self, play: PlayId, hosts: &[String], tasks: Tasks) {
        let tasks = Arc::new(tasks);
        self.0.extend(hosts.iter().map(|host| ((play, host.clone()), Arc::clone(&tasks))));
    }

    fn of(&self, play: PlayId, host: &str) -> Option<&Tasks> {
        self.0.get(&(play, host.to_owned())).map(Arc::as_ref)
    }
}

impl HostTask {
    /// Halts the run when the plan that it keeps to does not have these steps.
    pub(super) fn unplanned(&self, steps: &[Step]) -> Option<Acted> {
        let planned = self.run.options.planned.as_ref()?;
        // What takes a temporary setting back is never held up.
        if self.undoing || self.glance {
            return None;
        }
        let masked = |text: &str| {
            let mut text = text.to_owned();
            self.run.masker.mask_in(&mut text);
            text
        };
        let told = |step: &Step| {
            let line = self.line(step);
            let digest = step.diff.as_ref().filter(|_| !self.no_log).map(|diff| {
                StepDiff {
                    before_header: masked(&diff.before_header),
                    after_header: masked(&diff.after_header),
                    before: masked(&diff.before),
                    after: masked(&diff.after),
                }
                .digest()
            });
            (without_processes(&masked(&line.summary)), digest)
        };
        let steps: Vec<_> = steps.iter().map(told).collect();
        let troubled = {
            let state = self.host.state();
            state.tally.failed > 0 || state.tally.rescued > 0 || state.failure.is_some()
        };
        let place = place(&self.run.sources.place(self.task.span));
        let (summary, instead) = match planned.of(self.key.play, &self.host.name) {
            Some(tasks) => tasks.refuses(&place, self.key.pass, self.item, &steps, troubled)?,
            None => (steps.first()?.0.clone(), "the plan does not have this host in this play".to_owned()),
        };
        let value = format!("it would {summary} ({place}); {instead}");
        if let Some(play) = self.play_run() {
            let halt = Halt { guard: "plan".to_owned(), host: Some(self.host.name.clone()), value: value.clone() };
            play.progress.halt(&self.run, play, halt);
        }
        Some(Acted::failed(Failure::new(format!("nothing was done: {value}; make a new plan"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(summary: &str, digest: &str) -> (String, Option<String>) {
        (summary.to_owned(), (!digest.is_empty()).then(|| digest.to_owned()))
    }

    fn tasks() -> Tasks {
        let mut tasks = Tasks::default();
        tasks.add("up.yml:3", 0, None, true, [step("write /a", "d1"), step("chmod /a", "")].into_iter());
        tasks.add("up.yml:5", 0, None, true, std::iter::empty());
        tasks.add("up.yml:7", 0, Some(1), true, [step("write /b", "d2")].into_iter());
        tasks
    }

    #[test]
    fn what_the_plan_has_may_be_done_and_a_part_of_it_too() {
        let tasks = tasks();
        assert_eq!(tasks.refuses("up.yml:3", 0, 0, &[step("write /a", "d1"), step("chmod /a", "")], false), None);
        assert_eq!(tasks.refuses("up.yml:3", 0, 0, &[step("chmod /a", "")], false), None);
        assert_eq!(tasks.refuses("up.yml:7", 0, 1, &[step("write /b", "d2")], false), None);
    }

    #[test]
    fn a_step_that_the_plan_does_not_have_is_refused_by_name() {
        let tasks = tasks();
        let refused =
            |place, item, step| tasks.refuses(place, 0, item, &[step], false).map(|(what, why)| what + ": " + &why);
        let said = refused("up.yml:3", 0, step("remove /a", ""));
        assert_eq!(said.as_deref(), Some("remove /a: planned: write /a, chmod /a"));
        let said = refused("up.yml:3", 0, step("write /a", "d9"));
        assert_eq!(said.as_deref(), Some("write /a: with other texts than planned"));
        let said = refused("up.yml:5", 0, step("restart x", ""));
        assert_eq!(said.as_deref(), Some("restart x: the plan changes nothing here"));
        let said = refused("up.yml:7", 2, step("write /b", "d2"));
        assert_eq!(said.as_deref(), Some("write /b: the plan does not reach this task"));
    }

    #[test]
    fn what_rests_on_something_unknown_or_on_a_failure_is_allowed() {
        let mut tasks = tasks();
        assert_eq!(tasks.refuses("up.yml:9", 0, 0, &[step("restart x", "")], true), None);
        tasks.add("up.yml:8", 0, None, false, std::iter::empty());
        assert_eq!(tasks.refuses("up.yml:8", 0, 4, &[step("anything", "")], false), None);
        assert_eq!(tasks.refuses("up.yml:9", 0, 0, &[step("restart x", "")], false), None);
        assert!(tasks.refuses("up.yml:5", 0, 0, &[step("restart x", "")], true).is_some());
        // A command that can't be seen through is the one that was shown.
        tasks.add("up.yml:8", 1, None, false, [step("run `a`", "")].into_iter());
        assert!(tasks.refuses("up.yml:8", 1, 0, &[step("run `b`", "")], false).is_some());
    }
}
