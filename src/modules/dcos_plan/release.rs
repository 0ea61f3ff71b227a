//! `state: continued`: one node is released, and no other.

use super::Asked;
use super::sight::{Outcome, Sight, outcome};
use crate::base::{Map, Output, Value};
use crate::cluster::dcos::{Gate, Node, Status, gate, node};
use crate::modules::dcos_api::{Named, Tell};
use crate::modules::{Answer, Applied, Change, Failure, Looked, Question, State, Step, Timing, Verdict};

/// Opens the gate for a node.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) asked: Asked,
}

impl Release {
    fn opening(&self, sight: &Sight) -> Result<Vec<Step>, Failure> {
        let (asked, name) = (&self.asked, &self.asked.node);
        let (phase, step) = match node(&sight.plan, sight.recovery.as_ref(), &sight.tasks, name)
            .map_err(Failure::new)?
        {
            // It was released before: a further `continue` would take the next one.
            Node::Complete | Node::Launched | Node::Killed => return Ok(Vec::new()),
            Node::Not(why) | Node::NotYet(why) => return Err(Failure::new(format!("{name} is not released: {why}"))),
            Node::Next { phase, step } => (phase, step),
        };
        let plan = asked.plan.clone();
        let whole = || {
            let tell = Tell::Continue { plan: plan.clone(), phase: None };
            asked.step(format!("continue plan {plan}: {} is taken", step.pod()), &tell)
        };
        let own = || {
            let named = Named { id: phase.id.clone(), name: phase.name.clone() };
            let tell = Tell::Continue { plan: plan.clone(), phase: Some(named) };
            asked.step(format!("continue phase {} of plan {plan}: {} is taken", phase.name, step.pod()), &tell)
        };
        Ok(match gate(&sight.plan) {
            Gate::Done => Vec::new(),
            Gate::Plan => vec![whole()],
            // The plan's own interrupt can't be seen then; lifting one that is not there changes nothing.
            Gate::Phase | Gate::Step => vec![whole(), own()],
            Gate::Open if sight.plan.status == Status::Waiting => vec![whole()],
            Gate::Open => Vec::new(),
        })
    }

    /// Whether the node is on its way.
    fn is_released(&self, sight: &Sight) -> bool {
        let Some((_, step)) = sight.plan.step(&self.asked.node) else { return false };
        match step.status {
            Status::Pending => gate(&sight.plan) == Gate::Open,
            Status::Waiting => false,
            _ => true,
        }
    }
}

impl State for Release {
    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        self.asked.everything(answers)
    }

    fn timing(&self) -> Timing {
        self.asked.timing
    }

    fn subject(&self) -> String {
        format!("release of {} by {}", self.asked.node, self.asked.subject())
    }

    fn looked(&self, answers: &[Answer], _memory: &mut Value) -> Looked {
        let sight = match self.asked.see(answers) {
            Ok(sight) => sight,
            Err(blind) => return blind.into(),
        };
        if sight.tasks.is_empty() {
            return Looked::NotYet("the scheduler does not list its tasks".to_owned());
        }
        match node(&sight.plan, sight.recovery.as_ref(), &sight.tasks, &self.asked.node) {
            Ok(Node::NotYet(why)) => Looked::NotYet(why),
            _ => Looked::Seen(Sight::kept(answers)),
        }
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let sight = Sight::read(seen)?;
        let mut result = Map::new();
        result.insert("node".to_owned(), Value::Object(sight.node(&self.asked.node)));
        let steps = self.opening(&sight)?;
        // Of a node that was launched the task that is there is the new one already: the one from before is not known.
        let status = sight.plan.step(&self.asked.node).map(|(_, step)| &step.status);
        let launched = matches!(status, Some(Status::Complete | Status::Starting | Status::Started));
        let before = sight.task(&self.asked.node).filter(|_| !launched);
        result.insert("task".to_owned(), before.map_or(Value::Null, |task| Value::from(task.id.as_str())));
        Ok(Change { steps, result })
    }

    fn settled(&self, change: &Change, outputs: &[Applied], seen: &Output) -> Verdict {
        let sight = match Sight::read(seen) {
            Ok(sight) => sight,
            Err(failure) => return Verdict::Never(failure),
        };
        match outcome(outputs) {
            Outcome::Refused(why) => Verdict::Never(Failure::new(format!("the scheduler refuses `continue`: {why}"))),
            Outcome::Taken => Verdict::Ready(change.result.clone()),
            Outcome::Lost(_) if self.is_released(&sight) => Verdict::Ready(change.result.clone()),
            // It may still be on its way: a second one could take a second node.
            Outcome::Lost(why) => Verdict::NotYet(format!(
                "the answer to `continue` was lost ({why}), and the plan does not show that it was taken; it is not sent again"
            )),
        }
    }
}
