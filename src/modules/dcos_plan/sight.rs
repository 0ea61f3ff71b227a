//! One look at a scheduler: its plan, its recovery plan and its tasks.

use std::collections::BTreeMap;

use super::Asked;
use crate::base::{Map, Output, Value};
use crate::cluster::dcos::{Plan, Said, Task, parse_tasks, said};
use crate::modules::dcos_api::{Api, Ask, Reply, body_of, value_of};
use crate::modules::{Answer, Failure, Looked, Question};

/// What was seen.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) plan: Plan,
    pub(super) recovery: Option<Plan>,
    pub(super) tasks: BTreeMap<String, Task>,
}

/// Why nothing can be judged.
#[derive(Debug)]
pub(super) enum Blind {
    /// That passes.
    NotYet(String),
    /// It does not.
    Never(Failure),
}

impl From<Blind> for Looked {
    fn from(blind: Blind) -> Self {
        match blind {
            Blind::NotYet(why) => Self::NotYet(why),
            Blind::Never(failure) => Self::Never(failure),
        }
    }
}

/// How many answers the first round has when everything is asked.
const ROUND: usize = 4;

/// A plan out of an answer.
fn plan_of(answer: &Answer, name: &str) -> Result<Plan, Blind> {
    let reply = Api::heard(answer).map_err(|why| Blind::NotYet(format!("the scheduler does not answer: {why}")))?;
    match said(reply.heard()) {
        Said::Plan(plan) => Ok(*plan),
        Said::Away(why) => Err(Blind::NotYet(format!("the scheduler is not there: {why}"))),
        Said::Denied(why) => Err(Blind::Never(denied(&why))),
        // An old scheduler that starts answers with nothing, too.
        Said::Unknown(why) if reply.status() == 200 => Err(Blind::NotYet(format!("no plan `{name}`: {why}"))),
        Said::Unknown(why) => Err(Blind::Never(Failure::new(format!("the scheduler has no plan `{name}`: {why}")))),
        Said::Taken(what) | Said::Strange(what) => {
            Err(Blind::NotYet(format!("what answers in the scheduler's place is no plan: {what}")))
        }
        Said::Already => Err(Blind::NotYet("what answers in the scheduler's place is no plan: HTTP 208".to_owned())),
    }
}

/// The failure when a token is refused and no other can be got.
pub(super) fn denied(why: &str) -> Failure {
    Failure::new(format!(
        "DC/OS refuses the login: {why}; give `dcos_user` and `dcos_password`, or a new `dcos_token` (`dcos auth login`), with the \
         right to the service"
    ))
}

fn tasks_of(answers: &[Answer]) -> BTreeMap<String, Task> {
    let mut found = BTreeMap::new();
    for reply in answers.iter().filter_map(|answer| Api::heard(answer).ok()).filter(|reply| reply.status() == 200) {
        found.extend(parse_tasks(&reply.body).unwrap_or_default());
    }
    found
}

impl Asked {
    /// Asks for everything; where a scheduler is too old to list its tasks, for those of each pod.
    pub(super) fn everything(&self, answers: &[Answer]) -> Vec<Question> {
        let ask = |ask: &Ask| self.api.ask(ask);
        if answers.is_empty() {
            let recovery = Ask::Plan("recovery".to_owned());
            return [Ask::Plan(self.plan.clone()), recovery, Ask::Tasks, Ask::OldTasks].iter().map(ask).collect();
        }
        let known = tasks_of(answers.get(2..).unwrap_or_default());
        match answers.first().map(|answer| plan_of(answer, &self.plan)) {
            Some(Ok(plan)) if answers.len() == ROUND && known.is_empty() => {
                plan.steps().map(|(_, step)| ask(&Ask::Pod(step.pod().to_owned()))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Asks for the plan only.
    pub(super) fn plan_only(&self, answers: &[Answer]) -> Vec<Question> {
        if answers.is_empty() { vec![self.api.ask(&Ask::Plan(self.plan.clone()))] } else { Vec::new() }
    }

    /// Judges whether there is a plan at all.
    pub(super) fn see(&self, answers: &[Answer]) -> Result<Sight, Blind> {
        let nothing = || Blind::NotYet("nothing was asked".to_owned());
        let plan = plan_of(answers.first().ok_or_else(nothing)?, &self.plan)?;
        let recovery = match answers.get(1) {
            Some(answer) => match plan_of(answer, "recovery") {
                Ok(plan) => Some(plan),
                Err(Blind::NotYet(why)) => return Err(Blind::NotYet(format!("of the recovery plan: {why}"))),
                Err(never) => return Err(never),
            },
            None => None,
        };
        Ok(Sight { plan, recovery, tasks: tasks_of(answers.get(2..).unwrap_or_default()) })
    }
}

impl Sight {
    /// As it is handed to what judges it.
    pub(super) fn kept(answers: &[Answer]) -> Output {
        let bodies = |answer: &Answer| match Api::heard(answer) {
            Ok(reply) if reply.status() < 500 && reply.status() != 404 => value_of(&reply.body),
            _ => Value::Null,
        };
        let kept: Vec<Value> = answers.iter().map(bodies).collect();
        Output { stdout: Value::Array(kept).to_string().into_bytes(), ..Output::default() }
    }

    /// What was handed over.
    ///
    /// # Errors
    /// It is not what was kept.
    pub(super) fn read(seen: &Output) -> Result<Self, Failure> {
        let wrong = || Failure::new("what was seen of the plan can't be read");
        let Value::Array(kept) = value_of(&seen.stdout) else { return Err(wrong()) };
        let plan = |value: &Value| {
            let body = body_of(value);
            let kind = if value.is_string() { "text/x-dcos-cli" } else { "application/json" };
            match said(crate::cluster::dcos::Heard { status: 200, kind, body: &body }) {
                Said::Plan(plan) => Some(*plan),
                _ => None,
            }
        };
        let mut tasks = BTreeMap::new();
        for value in kept.iter().skip(2).filter(|value| !value.is_null()) {
            tasks.extend(parse_tasks(&body_of(value)).unwrap_or_default());
        }
        Ok(Self { plan: kept.first().and_then(plan).ok_or_else(wrong)?, recovery: kept.get(1).and_then(plan), tasks })
    }

    /// The task of a node.
    pub(super) fn task(&self, node: &str) -> Option<&Task> {
        let (_, step) = self.plan.step(node)?;
        self.tasks.get(&step.task())
    }

    /// What the recovery plan is at.
    pub(super) fn recovering(&self) -> Option<String> {
        let (_, step) = self.recovery.as_ref()?.steps().find(|(_, step)| step.status.word() != "COMPLETE")?;
        Some(format!("recovery is at work: {} is {}", step.name, step.status))
    }

    /// A node as results have it.
    pub(super) fn node(&self, name: &str) -> Map {
        let mut map = Map::new();
        let Some((phase, step)) = self.plan.step(name) else { return map };
        map.insert("name".to_owned(), Value::from(step.pod()));
        map.insert("step".to_owned(), Value::from(step.name.as_str()));
        map.insert("node".to_owned(), Value::from(step.task()));
        map.insert("phase".to_owned(), Value::from(phase.name.as_str()));
        map.insert("status".to_owned(), Value::from(step.status.word()));
        let task = self.tasks.get(&step.task());
        map.insert("task".to_owned(), task.map_or(Value::Null, |task| Value::from(task.id.as_str())));
        map.insert("running".to_owned(), task.map_or(Value::Null, |task| Value::from(task.is_running())));
        map
    }
}

/// What came of a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The scheduler took it, or had nothing to do.
    Taken,
    /// It refused: why.
    Refused(String),
    /// Nobody knows: why.
    Lost(String),
}

/// Judges the answers to the commands of a change; the worst counts.
pub(super) fn outcome(outputs: &[crate::modules::Applied]) -> Outcome {
    let mut worst = Outcome::Taken;
    for applied in outputs {
        let one = match Api::told(applied).map(|reply: Reply| said(reply.heard())) {
            Ok(Said::Taken(_) | Said::Already) => Outcome::Taken,
            Ok(Said::Unknown(why) | Said::Denied(why)) => Outcome::Refused(why),
            Ok(Said::Plan(_)) => Outcome::Lost("a plan came back".to_owned()),
            Ok(Said::Away(why) | Said::Strange(why)) => Outcome::Lost(why),
            Err(why) => Outcome::Lost(why),
        };
        match (&worst, &one) {
            (_, Outcome::Refused(_)) | (Outcome::Taken, _) => worst = one,
            _ => {}
        }
    }
    worst
}
