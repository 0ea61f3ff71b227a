//! `elastic_flush`: a flush before a node is stopped, so that its copies come back quickly; synced where that does more (up to 7.5).
//!
//! Best effort, and once: under writes a synced flush fails with 409, again and again; a failure is a warning, never the task's.

use std::time::Duration;

use serde_json::json;

use super::elastic_look::{Ring, with_ring};
use super::{
    Act, Answer, Applied, Arguments, Bound, Change, Controller, Failure, Looked, ModuleSpec, Opt, OptKind, Question,
    State, Step, Timing, Verdict,
};
use crate::base::{Map, Output, Value, to_text};
use crate::cluster::elastic::{api, failure_text, flush_failures, parse_flush};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "elastic_flush",
    aliases: &[],
    summary: "Flushes an Elasticsearch cluster before a node is stopped, as well as that goes",
    options: with_ring![Opt::new("within", OptKind::Duration, "how long it may take").default("2m"),],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct Flush {
    ring: Ring,
    within: Duration,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let within = arguments.duration("within").unwrap_or(Duration::from_secs(120));
    Ok(Bound::State(Box::new(Flush { ring: Ring::of(arguments, here)?, within })))
}

impl State for Flush {
    fn subject(&self) -> String {
        "a flush of the cluster".to_owned()
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        self.ring.questions(answers)
    }

    fn lasts(&self) -> bool {
        // The next write ends it.
        false
    }

    fn looked(&self, answers: &[Answer], _memory: &mut Value) -> Looked {
        match self.ring.seen(answers) {
            Ok(seen) => {
                // In a mixed cluster the newest node decides: one without the synced flush takes no part in it.
                let newest = seen.nodes.list.iter().map(|node| node.version).max();
                let synced = newest.and_then(api).is_some_and(|api| api.synced);
                let now = json!({"speaker": seen.speaker, "synced": synced});
                Looked::Seen(Output { stdout: now.to_string().into_bytes(), ..Output::default() })
            }
            Err(why) => Looked::NotYet(why),
        }
    }

    fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: Duration::from_secs(30), every: Duration::from_secs(1) }
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let now: Value = serde_json::from_slice(&seen.stdout).unwrap_or(Value::Null);
        let speaker = now.get("speaker").map(to_text).unwrap_or_default();
        let Some(member) = self.ring.member(&speaker) else {
            return Err(Failure::new(format!("{speaker} is not in the inventory any more")));
        };
        let synced = now.get("synced") == Some(&Value::Bool(true));
        let path = if synced { "/_flush/synced" } else { "/_flush" };
        let mut request = self.ring.request(member, "POST", path, None);
        request.timeout = self.within;
        let step = Step {
            summary: if synced { "flush all indices (synced)" } else { "flush all indices" }.to_owned(),
            diff: None,
            act: Act::Http { request, via: Some(member.host.clone()) },
            opaque: false,
            once: false,
            by_hand: None,
        };
        let mut result = Map::new();
        result.insert("synced".to_owned(), synced.into());
        result.insert("changed".to_owned(), false.into());
        Ok(Change { steps: vec![step], result })
    }

    fn settled(&self, change: &Change, outputs: &[Applied], _seen: &Output) -> Verdict {
        let mut result = change.result.clone();
        let warning = match outputs.last() {
            Some(Applied::Http(Ok(response))) if matches!(response.status, 200 | 409) => {
                let flush = parse_flush(&response.body);
                if let Ok(flush) = flush {
                    result.insert("flushed".to_owned(), flush.successful.into());
                    result.insert("not_flushed".to_owned(), flush.failed.into());
                    result.insert("reasons".to_owned(), flush_failures(&response.body).into());
                }
                flush.err()
            }
            Some(Applied::Http(Ok(response))) => Some(failure_text(response.status, &response.body)),
            Some(Applied::Http(Err(why))) => Some(why.clone()),
            _ => Some("it was not sent".to_owned()),
        };
        if let Some(why) = warning {
            result.insert("warnings".to_owned(), vec![format!("the flush did not help: {why}")].into());
        }
        Verdict::Ready(result)
    }
}
