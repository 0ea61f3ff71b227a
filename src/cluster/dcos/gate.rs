//! The gate of a roll: whether the scheduler may take a further node, and how a node stands.
//!
//! A plan-level interrupt is shown as a plan that waits while none of its phases does; a phase's as a phase that waits while none
//! of its steps does; canary and safe hold the steps themselves. Where a phase waits for its own reasons a plan-level interrupt
//! can't be seen: then nothing is promised.

use std::collections::BTreeMap;

use super::plan::{Phase, Plan, Step};
use super::pods::Task;
use super::status::Status;

/// What keeps the next node from being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// There is none left.
    Done,
    /// The plan is interrupted.
    Plan,
    /// Its phase is.
    Phase,
    /// Its step holds itself: canary or safe.
    Step,
    /// Nothing that can be seen.
    Open,
}

impl Gate {
    /// Whether no further node can be taken.
    pub(crate) fn is_closed(self) -> bool {
        self != Self::Open
    }
}

/// Whether the plan's own interrupt is seen.
fn plan_holds(plan: &Plan) -> bool {
    plan.status == Status::Waiting && !plan.phases.iter().any(|phase| phase.status == Status::Waiting)
}

/// Whether the phase's own interrupt is seen.
fn phase_holds(phase: &Phase) -> bool {
    phase.status == Status::Waiting && !phase.steps.iter().any(|step| step.status == Status::Waiting)
}

/// What holds the next node that is not begun. Nodes that are out are past it.
pub(crate) fn gate(plan: &Plan) -> Gate {
    let next = plan.steps().find(|(_, step)| matches!(step.status, Status::Pending | Status::Waiting));
    match next {
        // What can't be taken yet may come back: a killed task's step becomes PENDING again.
        None if plan.in_flight().is_empty() => Gate::Done,
        _ if plan_holds(plan) => Gate::Plan,
        None => Gate::Done,
        Some((_, step)) if step.status == Status::Waiting => Gate::Step,
        Some((phase, _)) if phase_holds(phase) => Gate::Phase,
        Some(_) => Gate::Open,
    }
}

/// How a node stands in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node<'a> {
    /// It has what the plan is for.
    Complete,
    /// It was launched and is not ready.
    Launched,
    /// It is killed and waits for an offer.
    Killed,
    /// It comes next, and nothing stands against it.
    Next {
        /// Its phase.
        phase: &'a Phase,
        /// Itself.
        step: &'a Step,
    },
    /// It may not be released yet, and why: that passes.
    NotYet(String),
    /// It may not be released, and why.
    Not(String),
}

/// Judges a node before it is released. `recovery` is the plan that relaunches what died meanwhile.
///
/// # Errors
/// There is no such step: which there are.
pub(crate) fn node<'a>(
    plan: &'a Plan,
    recovery: Option<&Plan>,
    tasks: &BTreeMap<String, Task>,
    name: &str,
) -> Result<Node<'a>, String> {
    let Some((phase, step)) = plan.step(name) else {
        let known: Vec<&str> = plan.steps().map(|(_, step)| step.pod()).collect();
        return Err(format!("the plan has no node `{name}`: it has {}", known.join(", ")));
    };
    match &step.status {
        Status::Complete => return Ok(Node::Complete),
        Status::Starting | Status::Started => return Ok(Node::Launched),
        Status::Prepared => return Ok(Node::Killed),
        Status::Pending | Status::Waiting => {}
        other => return Ok(Node::NotYet(format!("{} is {other}", step.pod()))),
    }
    if let Some(error) = plan.errors.first() {
        return Ok(Node::Not(format!("the scheduler refuses the configuration: {error}")));
    }
    if let Some(other) = plan.in_flight().first() {
        return Ok(Node::NotYet(format!("{} is {}: two nodes would be out", other.pod(), other.status)));
    }
    if let Some((_, earlier)) =
        plan.steps().take_while(|(_, other)| *other != step).find(|(_, other)| other.status != Status::Complete)
    {
        return Ok(Node::Not(format!("{} comes before it and is {}", earlier.pod(), earlier.status)));
    }
    let parallel = |strategy: Option<&str>| strategy.is_some_and(|strategy| strategy.starts_with("parallel"));
    let left = phase.steps.iter().filter(|other| other.status != Status::Complete).count();
    let phases_left =
        plan.phases.iter().filter(|phase| phase.steps.iter().any(|s| s.status != Status::Complete)).count();
    if parallel(phase.strategy.as_deref()) && left > 1 {
        return Ok(Node::Not(format!("the phase {} is parallel: it would take {left} nodes at once", phase.name)));
    }
    if parallel(plan.strategy.as_deref()) && phases_left > 1 {
        return Ok(Node::Not(format!(
            "the plan is parallel: it would take a node of each of {phases_left} phases at once"
        )));
    }
    if let Some(busy) = recovery
        .and_then(|recovery| recovery.steps().map(|(_, step)| step).find(|step| step.status != Status::Complete))
    {
        return Ok(Node::NotYet(format!("recovery is at work: {} is {}", busy.name, busy.status)));
    }
    if let Some((lost, task)) =
        tasks.iter().find(|(name, task)| !task.is_running() && plan.steps().any(|(_, step)| step.task() == **name))
    {
        return Ok(Node::NotYet(format!("{lost} does not run ({})", task.status)));
    }
    Ok(Node::Next { phase, step })
}
