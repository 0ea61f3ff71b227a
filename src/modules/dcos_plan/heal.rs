//! `state: healed`: a node that an interrupt at PREPARED left dead is brought back. It is killed, nothing relaunches it, and
//! `continue` does not either: its phase is interrupted and its step restarted, then recovery brings it back with the version that it
//! had, and it can be released as any other.

use super::Asked;
use super::sight::{Outcome, Sight, outcome};
use crate::base::{Output, Value};
use crate::cluster::dcos::{Node, node};
use crate::modules::dcos_api::{Named, Tell};
use crate::modules::{Answer, Applied, Change, Failure, Looked, Question, State, Timing, Verdict};

/// Heals a node.
#[derive(Debug)]
pub(super) struct Heal {
    pub(super) asked: Asked,
    /// For how many looks it must be dead.
    pub(super) looks: u64,
}

impl Heal {
    /// Whether it is killed, and nothing that is seen brings it back.
    fn is_dead(&self, sight: &Sight) -> bool {
        let killed = matches!(node(&sight.plan, None, &sight.tasks, &self.asked.node), Ok(Node::Killed));
        let runs = sight.task(&self.asked.node).is_some_and(crate::cluster::dcos::Task::is_running);
        killed && !runs && sight.recovering().is_none()
    }
}

impl State for Heal {
    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        self.asked.everything(answers)
    }

    fn timing(&self) -> Timing {
        self.asked.timing
    }

    fn subject(&self) -> String {
        format!("health of {} by {}", self.asked.node, self.asked.subject())
    }

    fn lasts(&self) -> bool {
        false
    }

    fn looked(&self, answers: &[Answer], memory: &mut Value) -> Looked {
        let sight = match self.asked.see(answers) {
            Ok(sight) => sight,
            Err(blind) => return blind.into(),
        };
        if let Err(why) = node(&sight.plan, None, &sight.tasks, &self.asked.node) {
            return Looked::Never(Failure::new(why));
        }
        if !self.is_dead(&sight) {
            *memory = Value::Null;
            return match sight.recovering() {
                Some(why) => Looked::NotYet(why),
                None => Looked::Seen(Sight::kept(answers)),
            };
        }
        let looks = memory.as_u64().unwrap_or(0) + 1;
        *memory = Value::from(looks);
        if looks > self.looks {
            return Looked::Seen(Sight::kept(answers));
        }
        Looked::NotYet(format!(
            "{} is PREPARED and has no task: it is looked whether something brings it back",
            self.asked.node
        ))
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let sight = Sight::read(seen)?;
        let result = sight.node(&self.asked.node);
        let Some((phase, step)) = sight.plan.step(&self.asked.node).filter(|_| self.is_dead(&sight)) else {
            return Ok(Change::none(result));
        };
        let plan = self.asked.plan.clone();
        let named = Named { id: phase.id.clone(), name: phase.name.clone() };
        let hold = Tell::Interrupt { plan: plan.clone(), phase: Some(named.clone()) };
        let own = Named { id: step.id.clone(), name: step.name.clone() };
        let restart = Tell::RestartStep { plan, phase: named, step: own };
        let steps = vec![
            self.asked.step(format!("interrupt phase {}", phase.name), &hold),
            self.asked.step(format!("restart step {}: recovery brings it back", step.name), &restart),
        ];
        Ok(Change { steps, result })
    }

    fn settled(&self, change: &Change, outputs: &[Applied], seen: &Output) -> Verdict {
        let sight = match Sight::read(seen) {
            Ok(sight) => sight,
            Err(failure) => return Verdict::Never(failure),
        };
        if let Outcome::Refused(why) = outcome(outputs) {
            return Verdict::Never(Failure::new(format!(
                "the scheduler refuses to restart {}: {why}",
                self.asked.node
            )));
        }
        let runs = sight.task(&self.asked.node).is_some_and(crate::cluster::dcos::Task::is_running);
        match sight.recovering() {
            Some(why) => Verdict::NotYet(why),
            None if runs => Verdict::Ready(change.result.clone()),
            None => Verdict::NotYet(format!("{} has no task yet", self.asked.node)),
        }
    }
}
