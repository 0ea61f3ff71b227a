//! `state: complete`: the node is done, as another task than before, and no other node was taken meanwhile: a scheduler that was
//! restarted has forgotten the interrupt, and gets it again.

use super::Asked;
use super::sight::{Outcome, Sight, outcome};
use crate::base::{Output, Value};
use crate::cluster::dcos::{Status, gate};
use crate::modules::{Answer, Applied, Change, Failure, Looked, Question, State, Timing, Verdict};

/// Waits for a node with the gate closed.
#[derive(Debug)]
pub(super) struct Complete {
    pub(super) asked: Asked,
    /// The id that its task had before; empty when that is not known: then any running task of a node that is COMPLETE will do.
    pub(super) task: String,
    /// How many tasks of it may fail at their start.
    pub(super) launches: usize,
}

impl Complete {
    /// Why it is not done.
    fn missing(&self, sight: &Sight) -> Option<String> {
        let name = &self.asked.node;
        let (_, step) = sight.plan.step(name)?;
        if step.status != Status::Complete {
            return Some(format!("{} is {}", step.pod(), step.status));
        }
        match sight.task(name) {
            None => return Some(format!("{name} is COMPLETE, and the scheduler lists no task of it")),
            Some(task) if task.id == self.task => {
                return Some(format!("{name} is COMPLETE, and its task is the one from before: {}", task.id));
            }
            Some(task) if !task.is_running() => return Some(format!("{name}'s task is {}", task.status)),
            Some(_) => {}
        }
        sight.recovering()
    }

    /// Counts the tasks that were launched for it: a task that fails at its start is followed by another about once a second, under a
    /// step that says PENDING or STARTING.
    fn failing(&self, sight: &Sight, memory: &mut Value) -> Option<Failure> {
        let task = sight.task(&self.asked.node)?;
        let (_, step) = sight.plan.step(&self.asked.node)?;
        let mut seen: Vec<Value> = memory.as_array().cloned().unwrap_or_default();
        let id = Value::from(task.id.as_str());
        if task.id != self.task && !seen.contains(&id) {
            seen.push(id);
        }
        let count = seen.len();
        *memory = Value::Array(seen);
        (count > self.launches && step.status != Status::Complete).then(|| {
            Failure::new(format!(
                "{} fails at its start again and again: {count} tasks were launched since it was released, the last is {} ({}); look at its \
                 sandbox. The gate is closed: the node goes on being tried by the recovery plan",
                self.asked.node, task.id, task.status
            ))
        })
    }
}

impl State for Complete {
    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        self.asked.everything(answers)
    }

    fn timing(&self) -> Timing {
        self.asked.timing
    }

    fn subject(&self) -> String {
        format!("end of {} by {}", self.asked.node, self.asked.subject())
    }

    fn lasts(&self) -> bool {
        false
    }

    fn looked(&self, answers: &[Answer], memory: &mut Value) -> Looked {
        let sight = match self.asked.see(answers) {
            Ok(sight) => sight,
            Err(blind) => return blind.into(),
        };
        if let Err(why) =
            sight.plan.step(&self.asked.node).ok_or_else(|| format!("the plan has no node `{}`", self.asked.node))
        {
            return Looked::Never(Failure::new(why));
        }
        if let Some(error) = sight.plan.errors.first() {
            return Looked::Never(Failure::new(format!("the scheduler refuses its configuration: {error}")));
        }
        let open = !gate(&sight.plan).is_closed() && sight.plan.status != Status::Waiting;
        if open && Asked::killed(&sight).is_none() {
            return Looked::Seen(Sight::kept(answers));
        }
        if let Some(failure) = self.failing(&sight, memory) {
            return Looked::Never(failure);
        }
        match self.missing(&sight) {
            Some(why) => Looked::NotYet(why),
            None => Looked::Seen(Sight::kept(answers)),
        }
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let sight = Sight::read(seen)?;
        // Another look would find the same; what is not seen of an interrupt is not asked for each time.
        let steps = if sight.plan.status == Status::Waiting { Vec::new() } else { self.asked.closing(&sight) };
        Ok(Change { steps, result: sight.node(&self.asked.node) })
    }

    fn settled(&self, _change: &Change, outputs: &[Applied], seen: &Output) -> Verdict {
        let sight = match Sight::read(seen) {
            Ok(sight) => sight,
            Err(failure) => return Verdict::Never(failure),
        };
        match (outcome(outputs), self.missing(&sight)) {
            (Outcome::Refused(why), _) => {
                Verdict::Never(Failure::new(format!("the scheduler refuses the interrupt: {why}")))
            }
            (Outcome::Lost(why), _) => Verdict::NotYet(format!("the answer to the interrupt was lost: {why}")),
            (Outcome::Taken, Some(why)) => Verdict::NotYet(why),
            (Outcome::Taken, None) => Verdict::Ready(sight.node(&self.asked.node)),
        }
    }

    fn begins_again(&self, _seen: &Output) -> bool {
        true
    }
}
