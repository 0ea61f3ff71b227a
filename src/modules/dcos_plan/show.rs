//! What only looks: the plan as a tree and as nodes, whether nothing is out, whether a node is launched.

use std::time::Duration;

use super::Asked;
use super::sight::{Blind, Sight};
use crate::base::{Map, Value};
use crate::cluster::dcos::{Node, Status, gate, http_endpoints, node, parse_endpoint, render_tree};
use crate::modules::dcos_api::{Api, Ask};
use crate::modules::{Answer, Failure, Gate, Question, Timing, Verdict};

/// `state: shown`.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) asked: Asked,
    /// Whether it asks where each node is.
    pub(super) addresses: bool,
}

impl Shown {
    /// The answer with the names of endpoints: the list of texts among all answers.
    fn names(answers: &[Answer]) -> Option<(usize, Vec<String>)> {
        answers.iter().enumerate().find_map(|(at, answer)| {
            let reply = Api::heard(answer).ok()?;
            let names = http_endpoints(&reply.body);
            (reply.status() == 200 && !names.is_empty()).then_some((at, names))
        })
    }
}

/// `state: idle`.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) asked: Asked,
}

/// `state: launched`.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) asked: Asked,
}

fn blind(blind: Blind) -> Verdict {
    match blind {
        Blind::NotYet(why) => Verdict::NotYet(why),
        Blind::Never(failure) => Verdict::Never(failure),
    }
}

impl Asked {
    /// The result of a look.
    pub(super) fn result(&self, sight: &Sight) -> Map {
        let mut result = Map::new();
        let tree = render_tree(&self.plan, &sight.plan);
        result.insert("tree".to_owned(), Value::from(tree.lines().map(Value::from).collect::<Vec<_>>()));
        let nodes: Vec<Value> = sight.plan.steps().map(|(_, step)| Value::Object(sight.node(&step.name))).collect();
        result.insert("nodes".to_owned(), Value::from(nodes));
        result.insert("complete".to_owned(), Value::from(sight.plan.is_complete()));
        result.insert("closed".to_owned(), Value::from(gate(&sight.plan).is_closed()));
        result.insert("recovering".to_owned(), Value::from(sight.recovering().is_some()));
        result.insert("errors".to_owned(), Value::from(sight.plan.errors.clone()));
        let holds = sight.plan.steps().any(|(_, step)| step.status == Status::Waiting);
        result.insert("steps_hold".to_owned(), Value::from(holds));
        result
    }
}

impl Gate for Shown {
    fn timing(&self) -> Timing {
        self.asked.timing
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        let ask = |ask: &Ask| self.asked.api.ask(ask);
        let more = self.asked.everything(answers);
        if !more.is_empty() || !self.addresses {
            return more;
        }
        match Self::names(answers) {
            None if self.asked.see(answers).is_ok() && !answers.is_empty() => vec![ask(&Ask::Endpoints)],
            Some((at, names)) if at + 1 == answers.len() => {
                names.into_iter().map(|name| ask(&Ask::Endpoint(name))).collect()
            }
            _ => Vec::new(),
        }
    }

    fn judge(&self, answers: &[Answer], _memory: &mut Value, _elapsed: Duration) -> Verdict {
        let sight = match self.asked.see(answers) {
            Ok(sight) => sight,
            Err(why) => return blind(why),
        };
        let mut result = self.asked.result(&sight);
        if self.addresses {
            let mut found = std::collections::BTreeMap::new();
            let (at, _) = Self::names(answers).unwrap_or((answers.len(), Vec::new()));
            for reply in answers.iter().skip(at + 1).filter_map(|answer| Api::heard(answer).ok()) {
                found.extend(parse_endpoint(&reply.body));
            }
            for node in result.get_mut("nodes").and_then(Value::as_array_mut).into_iter().flatten() {
                let name = node.get("node").and_then(Value::as_str).unwrap_or_default().to_owned();
                let Some(address) = found.get(&name) else {
                    return Verdict::NotYet(format!("the scheduler does not say where {name} is"));
                };
                let (host, port) = address.rsplit_once(':').unwrap_or((address, "9200"));
                if let Some(node) = node.as_object_mut() {
                    node.insert("address".to_owned(), Value::from(host));
                    node.insert("port".to_owned(), port.parse::<u16>().map_or(Value::Null, Value::from));
                }
            }
        }
        Verdict::Ready(result)
    }
}

impl Gate for Idle {
    fn timing(&self) -> Timing {
        self.asked.timing
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        self.asked.everything(answers)
    }

    fn judge(&self, answers: &[Answer], _memory: &mut Value, _elapsed: Duration) -> Verdict {
        let sight = match self.asked.see(answers) {
            Ok(sight) => sight,
            Err(why) => return blind(why),
        };
        if let Some(error) = sight.plan.errors.first() {
            return Verdict::Never(Failure::new(format!("the scheduler refuses its configuration: {error}")));
        }
        if let Some(why) = sight.recovering() {
            return Verdict::NotYet(why);
        }
        if let Some(step) = sight.plan.in_flight().first() {
            return Verdict::NotYet(format!("{} is {}", step.pod(), step.status));
        }
        if let Some((name, task)) = sight.tasks.iter().find(|(_, task)| !task.is_running()) {
            return Verdict::NotYet(format!("{name} does not run ({})", task.status));
        }
        Verdict::Ready(self.asked.result(&sight))
    }
}

impl Gate for Launched {
    fn timing(&self) -> Timing {
        self.asked.timing
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        self.asked.plan_only(answers)
    }

    fn judge(&self, answers: &[Answer], _memory: &mut Value, _elapsed: Duration) -> Verdict {
        let sight = match self.asked.see(answers) {
            Ok(sight) => sight,
            Err(why) => return blind(why),
        };
        let name = &self.asked.node;
        match node(&sight.plan, None, &sight.tasks, name) {
            Err(why) => Verdict::Never(Failure::new(why)),
            Ok(Node::Complete | Node::Launched) => Verdict::Ready(sight.node(name)),
            Ok(Node::Killed) => {
                Verdict::NotYet(format!("{name} is PREPARED: its old task is killed, and it waits for an offer"))
            }
            Ok(Node::Next { .. } | Node::NotYet(_) | Node::Not(_)) => {
                let status = sight.plan.step(name).map(|(_, step)| step.status.to_string()).unwrap_or_default();
                Verdict::NotYet(format!("{name} is {status}: it is not taken yet"))
            }
        }
    }
}
