//! `elastic_ml_upgrade_mode`: machine learning set aside for the time of an upgrade (6.7 and later), and back to what it was.
//!
//! A cluster without machine learning needs nothing. `on` arms its own way back before it changes anything. Below 6.7 there is no such
//! mode: jobs are closed by hand, and the task says so.

use std::time::Duration;

use serde_json::json;

use super::elastic_look::{Ring, with_ring};
use super::{
    Act, Answer, Applied, Arguments, Bound, Change, Controller, Failure, Looked, ModuleSpec, Opt, OptKind, Question,
    State, Step, Timing, Verdict, to_bool,
};
use crate::base::{Map, Output, Value};
use crate::cluster::elastic::{Ml, api, failure_text};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "elastic_ml_upgrade_mode",
    aliases: &[],
    summary: "Sets machine learning of an Elasticsearch cluster aside for the time of an upgrade, and back",
    options: with_ring![
        Opt::new("state", OptKind::Choice(&["on", "off", "restored"]), "restored: as `original` says").default("on"),
        Opt::new("original", OptKind::Mapping, "for `restored`: `enabled`, what it was"),
        Opt::new("within", OptKind::Duration, "how long it may take until all jobs have come to rest").default("2m"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct UpgradeMode {
    ring: Ring,
    wanted: bool,
    within: Duration,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let wanted = match arguments.required("state").as_str() {
        "on" => true,
        "restored" => arguments.mapping("original").get("enabled").and_then(to_bool).unwrap_or(false),
        _ => false,
    };
    let within = arguments.duration("within").unwrap_or(Duration::from_secs(120));
    Ok(Bound::State(Box::new(UpgradeMode { ring: Ring::of(arguments, here)?, wanted, within })))
}

/// What a look came to.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Now {
    speaker: String,
    /// Whether the mode is on; `None` without machine learning.
    enabled: Option<bool>,
    /// Whether this version has the mode.
    known: bool,
}

impl Now {
    fn read(seen: &Output) -> Result<Self, Failure> {
        serde_json::from_slice(&seen.stdout).map_err(|error| Failure::new(format!("it can't be read: {error}")))
    }
}

impl State for UpgradeMode {
    fn subject(&self) -> String {
        "machine learning's upgrade mode".to_owned()
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        let next = self.ring.questions(answers);
        let asked = answers
            .iter()
            .any(|answer| matches!(answer, Answer::Http(Ok(response)) if response.url.ends_with("/_ml/info")));
        match self.ring.seen(answers) {
            Ok(seen) if next.is_empty() && !asked => match self.ring.member(&seen.speaker) {
                Some(member) => vec![self.ring.ask(member, "/_ml/info")],
                None => Vec::new(),
            },
            _ => next,
        }
    }

    fn looked(&self, answers: &[Answer], _memory: &mut Value) -> Looked {
        let seen = match self.ring.seen(answers) {
            Ok(seen) => seen,
            Err(why) => return Looked::NotYet(why),
        };
        let enabled = match answers.last() {
            // 400, 404 and 405 by version where it is not installed; a 200 may be another thing's.
            Some(Answer::Http(Ok(response))) if response.url.ends_with("/_ml/info") => {
                let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
                body.get("upgrade_mode").and_then(Value::as_bool).filter(|_| response.status == 200)
            }
            Some(Answer::Http(Err(why))) => return Looked::NotYet(why.clone()),
            _ => None,
        };
        let known = seen.nodes.oldest().and_then(api).is_some_and(|api| api.ml == Ml::UpgradeMode);
        let now = Now { speaker: seen.speaker, enabled, known };
        Looked::Seen(Output { stdout: json!(now).to_string().into_bytes(), ..Output::default() })
    }

    fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: self.within, every: Duration::from_secs(1) }
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let now = Now::read(seen)?;
        let mut result = Map::new();
        result.insert("enabled".to_owned(), now.enabled.map_or(Value::Null, |_| Value::Bool(self.wanted)));
        if !now.known && now.enabled.is_some() {
            let warning =
                "this version has no upgrade mode: close its machine learning jobs by hand before the upgrade";
            result.insert("warnings".to_owned(), vec![warning].into());
        }
        let Some(member) = self.ring.member(&now.speaker).filter(|_| now.known && now.enabled == Some(!self.wanted))
        else {
            return Ok(Change::none(result));
        };
        let path = format!("/_ml/set_upgrade_mode?enabled={}&timeout={}s", self.wanted, self.within.as_secs());
        let mut request = self.ring.request(member, "POST", &path, None);
        request.timeout = self.within.saturating_add(Duration::from_secs(5));
        let step = Step {
            summary: format!("switch machine learning's upgrade mode {}", if self.wanted { "on" } else { "off" }),
            diff: None,
            act: Act::Http { request, via: Some(member.host.clone()) },
            opaque: false,
            once: false,
            by_hand: Some(format!("curl -X POST NODE:9200{path}")),
        };
        Ok(Change { steps: vec![step], result })
    }

    fn before(&self, seen: &Output) -> Map {
        let enabled = Now::read(seen).ok().and_then(|now| now.enabled).unwrap_or(false);
        [("enabled".to_owned(), Value::Bool(enabled))].into_iter().collect()
    }

    fn expect(&self, seen: &Output, _change: &Change) -> Option<Output> {
        let now = Now::read(seen).ok()?;
        let enabled = now.enabled.map(|_| self.wanted);
        Some(Output { stdout: json!(Now { enabled, ..now }).to_string().into_bytes(), ..Output::default() })
    }

    fn settled(&self, change: &Change, outputs: &[Applied], seen: &Output) -> Verdict {
        match self.steps(seen) {
            Ok(left) if left.steps.is_empty() => Verdict::Ready(change.result.clone()),
            Ok(_) => match outputs.last() {
                Some(Applied::Http(Ok(response))) if !matches!(response.status, 200 | 408 | 429 | 503) => {
                    Verdict::Never(Failure::new(format!(
                        "it was refused: {}",
                        failure_text(response.status, &response.body)
                    )))
                }
                Some(Applied::Http(Err(why))) => Verdict::NotYet(why.clone()),
                _ => Verdict::NotYet("it is not so yet".to_owned()),
            },
            Err(failure) => Verdict::Never(failure),
        }
    }
}
