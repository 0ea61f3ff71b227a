//! `state: ready`: the package can be installed over what runs, and what differs is told.

use std::time::Duration;

use super::Asked;
use super::sight::{Blind, app, at_work, body, tasks};
use crate::base::{Map, Value, to_text};
use crate::cluster::dcos::{
    Direction, PackageVersion, Plan, Said, crashes, differences, direction, merge, parse_described, parse_rendered,
    refuses, said,
};
use crate::modules::dcos_api::{Api, Ask};
use crate::modules::{Answer, Failure, Gate, Question, Timing, Verdict};

/// Looks whether the package can be installed.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) asked: Asked,
    pub(super) nodes_on_new: bool,
}

/// For how many looks the plan must have been complete: the first deployment is marked as done up to 5 s after it is, and an
/// upgrade before that would go by the strategy of a first deployment.
const MARK: Duration = Duration::from_secs(6);

/// How many answers the first round has.
const ROUND: usize = 6;

impl Ready {
    fn options(&self, stored: Option<&Value>) -> Value {
        let empty = Value::Object(Map::new());
        merge(self.asked.stored.as_ref().or(stored).unwrap_or(&empty), &self.asked.options)
    }

    fn look(&self, answers: &[Answer], memory: &mut Value, elapsed: Duration) -> Result<Map, Blind> {
        let never = |why: String| Blind::Never(Failure::new(why));
        let (api, to) = (&self.asked.api, &self.asked.version);
        let present = app(answers.first())?.ok_or_else(|| {
            never(format!(
                "Marathon has no app {}: `dcos_service` names another service, or it was destroyed before",
                api.app()
            ))
        })?;
        let busy = at_work(answers.get(1), &present.id)?;
        if let Some(id) = busy.first() {
            return Err(Blind::NotYet(format!("Marathon is at work on {} (deployment {id})", present.id)));
        }
        let from = present.version.clone().ok_or_else(|| {
            never(format!(
                "the app {} has no label DCOS_PACKAGE_VERSION: it was not installed as a package",
                present.id
            ))
        })?;
        let from = PackageVersion::parse(&from).map_err(never)?;
        let running = tasks(answers.get(2), &api.service);
        let described =
            body(answers.get(3), "Cosmos")?.ok_or_else(|| Blind::NotYet("Cosmos is not reached".to_owned()))?;
        let described = parse_described(&described)
            .map_err(|why| Blind::NotYet(format!("Cosmos' description can't be read: {why}")))?;
        let way = direction(&from, to, described.upgrades_from.as_deref(), None).map_err(never)?;
        if way == Direction::DownElasticsearch && self.nodes_on_new {
            return Err(never(format!(
                "{to} has an older Elasticsearch than {from}: there is no way back once a node has run the newer one, its data can't be \
                 read by the older; restore a snapshot (`nodes_on_new: false` only where no node ever was COMPLETE in the new version)"
            )));
        }
        let options = self.options(present.options.as_ref());
        let base = present.options.clone().unwrap_or_else(|| Value::Object(Map::new()));
        let same = way == Direction::Same && differences(&base, &options).is_empty();
        // What is there already may be half-way through its roll: that goes on.
        if !same {
            self.idle(answers, memory, elapsed, way)?;
        }
        let rendered =
            body(answers.get(ROUND), "Cosmos")?.ok_or_else(|| Blind::NotYet("Cosmos is not reached".to_owned()))?;
        let rendered = parse_rendered(&rendered)
            .map_err(|why| Blind::NotYet(format!("what Cosmos rendered can't be read: {why}")))?;
        if rendered.id != present.id {
            return Err(never(format!(
                "the options would install {}, beside {}: `service.name` must be {}",
                rendered.id, present.id, api.service
            )));
        }
        let mut wrong = crashes(&present.environment, &rendered.environment);
        wrong.extend(refuses(&rendered.environment, to));
        if !wrong.is_empty() {
            return Err(never(format!("{to} is not installed with these options: {}", wrong.join("; "))));
        }
        let unknown = present.options.is_none();
        let mut result = Map::new();
        let none = Value::from("(default)");
        let side = |value: &Option<Value>| to_text(value.as_ref().unwrap_or(&none));
        let told = |one: &crate::cluster::dcos::Difference| {
            Value::from(format!("{}: {} → {}", one.path, side(&one.before), side(&one.after)))
        };
        result.insert("changes".to_owned(), differences(&base, &options).iter().map(told).collect());
        let left = Value::Object(present.environment);
        let right = Value::Object(rendered.environment);
        result.insert("environment".to_owned(), differences(&left, &right).iter().map(told).collect());
        result.insert("from".to_owned(), Value::from(from.as_str()));
        result.insert("to".to_owned(), Value::from(to.as_str()));
        result.insert("elasticsearch".to_owned(), Value::from(to.elasticsearch()));
        result.insert("elasticsearch_from".to_owned(), Value::from(from.elasticsearch()));
        result.insert("same".to_owned(), Value::from(same));
        result.insert("options".to_owned(), options);
        result.insert("tasks".to_owned(), running.map_or(Value::Null, Value::from));
        if unknown {
            let warning = "the app has no stored options: what you don't give goes back to its default";
            result.insert("warnings".to_owned(), Value::from(vec![warning]));
        }
        Ok(result)
    }

    /// Nothing is out, and the first deployment is marked as done.
    fn idle(&self, answers: &[Answer], memory: &mut Value, elapsed: Duration, way: Direction) -> Result<(), Blind> {
        let plan = |at: usize, name: &str| -> Result<Plan, Blind> {
            let answer = answers.get(at).ok_or_else(|| Blind::NotYet("nothing was asked".to_owned()))?;
            let reply =
                Api::heard(answer).map_err(|why| Blind::NotYet(format!("the scheduler does not answer: {why}")))?;
            match said(reply.heard()) {
                Said::Plan(plan) => Ok(*plan),
                other => Err(Blind::NotYet(format!("the plan `{name}` is not answered: {other:?}"))),
            }
        };
        let (deploy, recovery) = (plan(4, "deploy")?, plan(5, "recovery")?);
        if let Some(error) = deploy.errors.first() {
            return Err(Blind::Never(Failure::new(format!(
                "the scheduler refuses its present configuration: {error}"
            ))));
        }
        let open = |plan: &Plan| {
            plan.steps()
                .find(|(_, step)| step.status.word() != "COMPLETE")
                .map(|(_, step)| format!("{} is {}", step.pod(), step.status))
        };
        if let Some(why) = open(&recovery) {
            return Err(Blind::NotYet(format!("recovery is at work: {why}")));
        }
        if matches!(way, Direction::Down | Direction::DownElasticsearch) {
            // The way back leads out of the middle of a roll, while no node is out, and to an older Elasticsearch while none is done.
            if let Some(step) = deploy.in_flight().first() {
                return Err(Blind::NotYet(format!("{} is {}", step.pod(), step.status)));
            }
            let done = deploy.steps().find(|(_, step)| step.status.word() == "COMPLETE");
            return match done.filter(|_| way == Direction::DownElasticsearch) {
                Some((_, step)) => Err(Blind::Never(Failure::new(format!(
                    "{} is COMPLETE: it has run the newer Elasticsearch, and there is no way back for its data",
                    step.pod()
                )))),
                None => Ok(()),
            };
        }
        if let Some(why) = open(&deploy) {
            *memory = Value::Null;
            return Err(Blind::NotYet(format!("the present package is not deployed yet: {why}")));
        }
        // A plan whose phases are updates is one after a marked deployment.
        if deploy.phases.iter().any(|phase| phase.name.ends_with("-update"))
            || deploy.phases.iter().all(|phase| !phase.name.ends_with("-deploy"))
        {
            return Ok(());
        }
        let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let since = memory.as_u64().unwrap_or(now);
        *memory = Value::from(since);
        if Duration::from_millis(now.saturating_sub(since)) < MARK {
            return Err(Blind::NotYet(
                "the first deployment is complete, and may not be marked as done yet".to_owned(),
            ));
        }
        Ok(())
    }
}

impl Gate for Ready {
    fn timing(&self) -> Timing {
        self.asked.timing
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        let (api, version) = (&self.asked.api, self.asked.version.to_string());
        if answers.is_empty() {
            let plan = |name: &str| Ask::Plan(name.to_owned());
            let all = [
                Ask::App,
                Ask::Deployments,
                Ask::Frameworks,
                Ask::Describe { version },
                plan("deploy"),
                plan("recovery"),
            ];
            return all.iter().map(|ask| api.ask(ask)).collect();
        }
        match app(answers.first()) {
            Ok(Some(present)) if answers.len() == ROUND => {
                vec![api.ask(&Ask::Render { version, options: self.options(present.options.as_ref()) })]
            }
            _ => Vec::new(),
        }
    }

    fn judge(&self, answers: &[Answer], memory: &mut Value, elapsed: Duration) -> Verdict {
        match self.look(answers, memory, elapsed) {
            Ok(result) => Verdict::Ready(result),
            Err(Blind::NotYet(why)) => Verdict::NotYet(why),
            Err(Blind::Never(failure)) => Verdict::Never(failure),
        }
    }
}
