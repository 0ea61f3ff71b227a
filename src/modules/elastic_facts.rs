//! `elastic_facts`: this host's Elasticsearch node and its cluster, as the variable `elastic`. What is not known is null; not knowing is
//! no failure. What can't be rolled at all (OpenSearch) is.

use std::time::Duration;

use serde_json::json;

use super::elastic_look::{Ring, Seen, body, with_ring};
use super::{Answer, Arguments, Bound, Controller, Failure, Gate, ModuleSpec, Question, Timing, Verdict};
use crate::base::{Map, Value};
use crate::cluster::elastic::{ENABLE, order_of, parse_created, tier_name};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "elastic_facts",
    aliases: &[],
    summary: "Asks an Elasticsearch cluster what is, for the variable `elastic`",
    options: with_ring![],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct ElasticFacts {
    ring: Ring,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    Ok(Bound::Gate(Box::new(ElasticFacts { ring: Ring::of(arguments, here)? })))
}

impl Gate for ElasticFacts {
    fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: Duration::ZERO, every: Duration::from_secs(1) }
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        let next = self.ring.questions(answers);
        match (self.ring.seen(answers), self.ring.own()) {
            (Ok(_), Some(own)) if next.is_empty() && made(answers).is_none() => vec![self.ring.ask(own, MADE)],
            _ => next,
        }
    }

    fn judge(&self, answers: &[Answer], _memory: &mut Value, _elapsed: Duration) -> Verdict {
        let facts = match self.ring.seen(answers) {
            Ok(seen) => {
                let mut facts = facts(&seen);
                facts["made_by_major"] = json!(body(made(answers)).and_then(|body| parse_created(&body)).ok());
                facts
            }
            Err(why) if why.contains("OpenSearch") => return Verdict::Never(Failure::new(why)),
            Err(why) => {
                let local = self.ring.local(answers);
                json!({
                    "answers": local.is_some(),
                    "node": local.as_ref().map(|node| node.name.clone()),
                    "version": local.as_ref().map(|node| node.version.to_string()),
                    "order": 99,
                    "is_master": false,
                    "unknown_because": why,
                })
            }
        };
        let mut result = Map::new();
        result.insert("ansible_facts".to_owned(), json!({"elastic": facts}));
        Verdict::Ready(result)
    }
}

/// By which version each index was made.
const MADE: &str = "/_all/_settings/index.version.created?expand_wildcards=all";

/// The answer to that: the last, where there is one beyond the ring's own.
fn made(answers: &[Answer]) -> Option<&Answer> {
    answers.iter().rev().find(|answer| match answer {
        Answer::Http(Ok(response)) => response.url.ends_with(MADE),
        Answer::Http(Err(why)) => why.contains(MADE),
        _ => false,
    })
}

fn facts(seen: &Seen) -> Value {
    let own = seen.own.as_deref().and_then(|name| seen.nodes.named(name)).or(seen.local.as_ref());
    let order = own.map_or(99, |node| order_of(node, Some(&seen.elected)));
    let (persistent, transient) = seen.settings.both(ENABLE);
    let nodes: Vec<Value> = seen
        .nodes
        .list
        .iter()
        .map(|node| {
            json!({
                "name": node.name,
                "version": node.version.to_string(),
                "roles": node.roles,
                "ip": node.ip,
                "order": order_of(node, Some(&seen.elected)),
            })
        })
        .collect();
    json!({
        "answers": seen.local.is_some(),
        "node": seen.own,
        "id": own.map(|node| node.id.clone()),
        "version": own.map(|node| node.version.to_string()),
        "roles": own.map(|node| node.roles.clone()).unwrap_or_default(),
        "order": order,
        "tier": tier_name(order),
        "is_master": own.is_some_and(|node| node.id == seen.elected),
        "master": seen.nodes.with_id(&seen.elected).map(|node| node.name.clone()),
        "cluster": seen.health.cluster_name,
        "status": seen.health.status.word(),
        "nodes": nodes,
        "oldest": seen.nodes.oldest().map(|version| version.to_string()),
        "allocation": {"persistent": persistent, "transient": transient},
        "unknown_because": null,
    })
}
