//! `state: interrupted`: no further node is taken.

use super::Asked;
use super::sight::{Outcome, Sight, outcome};
use crate::base::{Map, Output, Value};
use crate::cluster::dcos::{Status, gate};
use crate::modules::dcos_api::{Named, Tell};
use crate::modules::{Answer, Applied, Change, Failure, Looked, Question, State, Step, Timing, Verdict};

/// Closes the gate.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) asked: Asked,
}

/// For how many looks a node that is just being killed is waited for: an interrupt now would leave it to recovery, or dead.
const PATIENCE: u64 = 600;

impl Asked {
    /// What closes the gate; nothing where it is seen to be closed.
    pub(super) fn closing(&self, sight: &Sight) -> Vec<Step> {
        if gate(&sight.plan).is_closed() {
            return Vec::new();
        }
        let plan = self.plan.clone();
        let tell = |phase| Tell::Interrupt { plan: plan.clone(), phase };
        let mut steps = vec![self.step(format!("interrupt plan {plan}: no further node is taken"), &tell(None))];
        // Where phases wait by themselves (a canary's), an interrupt of the plan can't be seen; one of the phase can.
        let hidden = sight.plan.phases.iter().any(|phase| phase.status == Status::Waiting);
        let next = sight.plan.phases.iter().find(|phase| phase.steps.iter().any(|step| step.status == Status::Pending));
        if let Some(phase) = next.filter(|_| hidden) {
            let named = Named { id: phase.id.clone(), name: phase.name.clone() };
            steps.push(self.step(format!("interrupt phase {} of plan {plan}", phase.name), &tell(Some(named))));
        }
        steps
    }

    /// Whether a node is between its kill and its launch.
    pub(super) fn killed(sight: &Sight) -> Option<String> {
        let (_, step) = sight.plan.steps().find(|(_, step)| step.status == Status::Prepared)?;
        Some(step.pod().to_owned())
    }
}

impl State for Hold {
    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        self.asked.plan_only(answers)
    }

    fn timing(&self) -> Timing {
        self.asked.timing
    }

    fn subject(&self) -> String {
        format!("hold of {}", self.asked.subject())
    }

    fn lasts(&self) -> bool {
        false
    }

    fn looked(&self, answers: &[Answer], memory: &mut Value) -> Looked {
        let sight = match self.asked.see(answers) {
            Ok(sight) => sight,
            Err(blind) => return blind.into(),
        };
        let waited = memory.as_u64().unwrap_or(0);
        if let Some(node) = Asked::killed(&sight)
            && !gate(&sight.plan).is_closed()
            && waited < PATIENCE
        {
            *memory = Value::from(waited + 1);
            return Looked::NotYet(format!(
                "{node} is PREPARED: an interrupt before it is launched could leave it dead"
            ));
        }
        Looked::Seen(Sight::kept(answers))
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let sight = Sight::read(seen)?;
        let out: Vec<&str> = sight.plan.in_flight().iter().map(|step| step.pod()).collect();
        let mut result = Map::new();
        result.insert("out".to_owned(), Value::from(out));
        Ok(Change { steps: self.asked.closing(&sight), result })
    }

    fn settled(&self, change: &Change, outputs: &[Applied], seen: &Output) -> Verdict {
        let sight = match Sight::read(seen) {
            Ok(sight) => sight,
            Err(failure) => return Verdict::Never(failure),
        };
        let held = gate(&sight.plan).is_closed();
        match outcome(outputs) {
            Outcome::Refused(why) => {
                Verdict::Never(Failure::new(format!("the scheduler refuses the interrupt: {why}")))
            }
            // A plan with errors says ERROR, whether it is interrupted or not.
            Outcome::Taken if held || matches!(sight.plan.status, Status::Waiting | Status::Error) => {
                Verdict::Ready(change.result.clone())
            }
            Outcome::Lost(_) if held => Verdict::Ready(change.result.clone()),
            Outcome::Taken => Verdict::NotYet(
                "the interrupt was taken, and the plan goes on: was its scheduler restarted?".to_owned(),
            ),
            Outcome::Lost(why) => Verdict::NotYet(format!("the answer to the interrupt was lost: {why}")),
        }
    }

    /// An interrupt can be repeated: it has no effect the second time.
    fn begins_again(&self, _seen: &Output) -> bool {
        true
    }
}
