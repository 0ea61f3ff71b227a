//! `elastic_stop_check`: whether this host's node may be stopped now. Each refusal names its predicate, the index or the node.
//!
//! What may pass by itself (a shard that is being made, a node that comes back) is waited for; what does not, fails at once. Two good
//! looks in a row are wanted.

use std::time::Duration;

use super::elastic_look::{Ring, check_version, version_option, with_ring};
use super::{Answer, Arguments, Bound, Controller, Failure, Gate, ModuleSpec, Opt, OptKind, Question, Timing, Verdict};
use crate::base::{Map, Value};
use crate::cluster::elastic::{Refusal, Stop, Version, may_stop};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "elastic_stop_check",
    aliases: &[],
    summary: "Waits until this host's Elasticsearch node may be stopped, or says why it may not",
    options: with_ring![
        Opt::new("version", OptKind::Text, "the version that it will run then").required(),
        Opt::new("within", OptKind::Duration, "for how long what passes is waited for").default("60s"),
        Opt::new("may_be_out", OptKind::List, "indices without replicas that may be out meanwhile: names, or `logs-*`"),
        Opt::new("any_order", OptKind::Bool, "whether the order of roles is yours to say").default("false"),
        Opt::new("few_masters", OptKind::Bool, "whether fewer than three masters are accepted, and an outage")
            .default("false"),
        Opt::new("switched_off", OptKind::Bool, "whether allocation must be off already").default("false"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: Some(check_version),
    build,
};

#[derive(Debug)]
struct StopCheck {
    ring: Ring,
    to: Version,
    within: Duration,
    may_be_out: Vec<String>,
    any_order: bool,
    few_masters: bool,
    switched_off: bool,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    Ok(Bound::Gate(Box::new(StopCheck {
        ring: Ring::of(arguments, here)?,
        to: version_option(arguments)?,
        within: arguments.duration("within").unwrap_or(Duration::from_secs(60)),
        may_be_out: arguments.list("may_be_out"),
        any_order: arguments.flag("any_order"),
        few_masters: arguments.flag("few_masters"),
        switched_off: arguments.flag("switched_off"),
    })))
}

impl Gate for StopCheck {
    fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: self.within, every: Duration::from_secs(1) }
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        self.ring.questions(answers)
    }

    fn judge(&self, answers: &[Answer], memory: &mut Value, _elapsed: Duration) -> Verdict {
        let good = memory.as_u64().unwrap_or(0);
        *memory = Value::Null;
        let seen = match self.ring.seen(answers) {
            Ok(seen) => seen,
            Err(why) => return Verdict::NotYet(why),
        };
        let Some(node) = seen.own.as_deref() else {
            return Verdict::NotYet(
                "which node of the cluster is this host's can't be told: name it with `node`".to_owned(),
            );
        };
        let stop = Stop {
            node,
            to: self.to,
            expected: self.ring.members.len(),
            may_be_out: &self.may_be_out,
            any_order: self.any_order,
            switched_off: self.switched_off,
            few_masters: self.few_masters,
        };
        let refused = may_stop(&seen.cluster(), &stop);
        if !refused.is_empty() {
            let texts: Vec<String> = refused.iter().map(Refusal::text).collect();
            let text = format!("{node} must not be stopped: {}", texts.join("; "));
            return if refused.iter().all(|refusal| refusal.passes) {
                Verdict::NotYet(text)
            } else {
                let predicates: Vec<&str> = refused.iter().map(|refusal| refusal.predicate).collect();
                Verdict::Never(Failure::new(text).with("refused", predicates))
            };
        }
        if good == 0 {
            *memory = Value::from(1);
            return Verdict::NotYet(format!("{node} may be stopped: looking once more"));
        }
        let mut result = Map::new();
        result.insert("node".to_owned(), node.into());
        result.insert("status".to_owned(), seen.health.status.word().into());
        Verdict::Ready(result)
    }
}
