//! `elastic_allocation`: shard allocation off for the time that a node is away, and back to what it was.
//!
//! `off` is the value and scope of the cluster's oldest version, and arms its own way back before it changes anything: `restored` with
//! both scopes as they were, at `meta: undo`, at the end of the host's sequence whatever it came to, and by `resume` or `abort` after a
//! kill. `all` takes out what is left in either scope. Everything is read back by a GET: the answer of the PUT shows its own keys only.

use std::time::Duration;

use serde_json::json;

use super::elastic_look::{Ring, with_ring};
use super::{
    Act, Answer, Applied, Arguments, Bound, Change, Controller, Diff, Failure, Looked, ModuleSpec, Opt, OptKind,
    Question, State, Step, Timing, Verdict,
};
use crate::base::{Map, Output, Value, to_text};
use crate::cluster::elastic::{ENABLE, Enable, Version, api, failure_text};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "elastic_allocation",
    aliases: &[],
    summary: "Switches shard allocation of an Elasticsearch cluster off for a time, and back to its original value",
    options: with_ring![
        Opt::new(
            "state",
            OptKind::Choice(&["off", "all", "restored"]),
            "off: no replicas are allocated, and the original comes back by itself; all: nothing is held back any more; restored: \
             as `original` says",
        )
        .default("off"),
        Opt::new("original", OptKind::Mapping, "for `restored`: `persistent` and `transient`, null where it was not set"),
        Opt::new("within", OptKind::Duration, "for how long a cluster without a master is waited for").default("60s"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

/// A value in each scope: persistent, transient.
type Both = (Option<String>, Option<String>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Off,
    Original(Both),
}

#[derive(Debug)]
struct Allocation {
    ring: Ring,
    wanted: Wanted,
    within: Duration,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let original = arguments.mapping("original");
    let scope = |name: &str| original.get(name).filter(|value| !value.is_null()).map(to_text);
    let wanted = match arguments.required("state").as_str() {
        "off" => Wanted::Off,
        "restored" if !arguments.has("original") => {
            return Err(Failure::new("`state: restored` needs `original`: the values to go back to"));
        }
        "restored" => Wanted::Original((scope("persistent"), scope("transient"))),
        _ => Wanted::Original((None, None)),
    };
    Ok(Bound::State(Box::new(Allocation {
        ring: Ring::of(arguments, here)?,
        wanted,
        within: arguments.duration("within").unwrap_or(Duration::from_secs(60)),
    })))
}

/// How long the master may take for a change; it waits for a master by itself.
const CHANGE: Duration = Duration::from_secs(45);

/// What a look came to, for [`State::steps`].
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Now {
    speaker: String,
    oldest: String,
    both: Both,
}

impl Now {
    fn read(seen: &Output) -> Result<Self, Failure> {
        serde_json::from_slice(&seen.stdout)
            .map_err(|error| Failure::new(format!("the settings can't be read: {error}")))
    }
}

fn said((persistent, transient): &Both) -> String {
    let one = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
    format!("persistent: {}\ntransient: {}\n", one(persistent), one(transient))
}

impl Allocation {
    /// What both scopes must hold.
    fn target(&self, now: &Now) -> Result<Both, Failure> {
        let Wanted::Original(both) = &self.wanted else {
            let oldest = Version::parse(&now.oldest).map_err(Failure::new)?;
            let api = api(oldest)
                .ok_or_else(|| Failure::new(format!("{oldest} is too old: versions before 5.0 are not rolled here")))?;
            let off = Some(api.off.word().to_owned());
            // A value left in the transient scope would win over ours.
            return Ok(match api.scope.word() {
                "transient" => (now.both.0.clone(), off),
                _ => (off, None),
            });
        };
        Ok(both.clone())
    }

    fn is_off(both: &Both) -> bool {
        let value = both.1.as_deref().or(both.0.as_deref());
        value.is_some_and(|value| Enable::parse(value) != Some(Enable::All))
    }
}

impl State for Allocation {
    fn subject(&self) -> String {
        ENABLE.to_owned()
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        self.ring.questions(answers)
    }

    fn looked(&self, answers: &[Answer], _memory: &mut Value) -> Looked {
        match self.ring.seen(answers) {
            Ok(seen) => {
                let (persistent, transient) = seen.settings.both(ENABLE);
                let now = Now {
                    both: (persistent.map(str::to_owned), transient.map(str::to_owned)),
                    oldest: seen.nodes.oldest().map(|version| version.to_string()).unwrap_or_default(),
                    speaker: seen.speaker,
                };
                Looked::Seen(Output { stdout: json!(now).to_string().into_bytes(), ..Output::default() })
            }
            Err(why) => Looked::NotYet(why),
        }
    }

    fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: self.within, every: Duration::from_secs(1) }
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let now = Now::read(seen)?;
        let target = self.target(&now)?;
        let mut result = Map::new();
        result.insert("persistent".to_owned(), target.0.clone().map_or(Value::Null, Value::from));
        result.insert("transient".to_owned(), target.1.clone().map_or(Value::Null, Value::from));
        if target == now.both {
            return Ok(Change::none(result));
        }
        if self.wanted == Wanted::Off && Self::is_off(&now.both) {
            return Err(Failure::new(format!(
                "{ENABLE} is held back already ({}): somebody else is at work, or a run was cut off; put it back with \
                 `elastic_allocation: {{state: all}}` first",
                said(&now.both).trim().replace('\n', ", ")
            )));
        }
        let mut body = Map::new();
        for (scope, old, new) in [("persistent", &now.both.0, &target.0), ("transient", &now.both.1, &target.1)] {
            if old != new {
                body.insert(scope.to_owned(), json!({ENABLE: new}));
            }
        }
        let Some(member) = self.ring.member(&now.speaker) else {
            return Err(Failure::new(format!("{} is not in the inventory any more", now.speaker)));
        };
        let mut request = self.ring.request(member, "PUT", "/_cluster/settings", Some(&Value::Object(body.clone())));
        request.timeout = CHANGE;
        let word =
            |both: &Both| both.1.clone().or_else(|| both.0.clone()).unwrap_or_else(|| "all (not set)".to_owned());
        let step = Step {
            summary: format!("set shard allocation from {} to {}", word(&now.both), word(&target)),
            diff: Some(Diff {
                before_header: ENABLE.to_owned(),
                after_header: ENABLE.to_owned(),
                before: said(&now.both),
                after: said(&target),
            }),
            act: Act::Http { request, via: Some(member.host.clone()) },
            opaque: false,
            once: false,
            by_hand: Some(format!(
                "curl -X PUT -H 'Content-Type: application/json' NODE:9200/_cluster/settings -d '{}'",
                Value::Object(body)
            )),
        };
        Ok(Change { steps: vec![step], result })
    }

    fn before(&self, seen: &Output) -> Map {
        let both = Now::read(seen).map(|now| now.both).unwrap_or_default();
        let value = |text: Option<String>| text.map_or(Value::Null, Value::from);
        [("persistent".to_owned(), value(both.0)), ("transient".to_owned(), value(both.1))].into_iter().collect()
    }

    fn expect(&self, seen: &Output, _change: &Change) -> Option<Output> {
        let now = Now::read(seen).ok()?;
        let both = self.target(&now).ok()?;
        Some(Output { stdout: json!(Now { both, ..now }).to_string().into_bytes(), ..Output::default() })
    }

    fn settled(&self, change: &Change, outputs: &[Applied], seen: &Output) -> Verdict {
        let left = match self.steps(seen) {
            Ok(left) if left.steps.is_empty() => return Verdict::Ready(change.result.clone()),
            Ok(_) => said(&Now::read(seen).map(|now| now.both).unwrap_or_default()).trim().replace('\n', ", "),
            Err(failure) => failure.message,
        };
        match outputs.last() {
            Some(Applied::Http(Ok(response))) if response.status == 200 => {
                Verdict::NotYet(format!("the change was taken, and it reads: {left}"))
            }
            // 503 while there is no master: the change may come yet, or not; nothing is sent twice.
            Some(Applied::Http(Ok(response))) if response.status == 503 || response.status == 408 => {
                Verdict::NotYet(failure_text(response.status, &response.body))
            }
            Some(Applied::Http(Ok(response))) => Verdict::Never(Failure::new(format!(
                "the change was refused: {}",
                failure_text(response.status, &response.body)
            ))),
            Some(Applied::Http(Err(why))) => {
                Verdict::NotYet(format!("no answer to the change ({why}), and it reads: {left}"))
            }
            _ => Verdict::Never(Failure::new("the change was not made")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::fixture::{Fixture, HOST, bind};

    fn allocation(arguments: Value) -> Box<dyn State> {
        let mut here = Fixture::default();
        here.groups.insert("elasticsearch".to_owned(), vec![HOST.to_owned(), "h2".to_owned()]);
        match bind(&SPEC, arguments, &here) {
            Ok(Bound::State(state)) => state,
            other => panic!("{other:?}"),
        }
    }

    fn seen(oldest: &str, persistent: Option<&str>, transient: Option<&str>) -> Output {
        let now = json!({"speaker": HOST, "oldest": oldest, "both": [persistent, transient]});
        Output { stdout: now.to_string().into_bytes(), ..Output::default() }
    }

    fn sent(state: &dyn State, seen: &Output) -> Value {
        let change = state.steps(seen).expect("steps");
        match change.steps.as_slice() {
            [] => Value::Null,
            [Step { act: Act::Http { request, .. }, .. }] => serde_json::from_slice(&request.body).expect("a body"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn off_is_the_value_and_scope_of_the_oldest_version() {
        let off = allocation(json!({}));
        assert_eq!(sent(&*off, &seen("5.6.16", None, None)), json!({"transient": {ENABLE: "none"}}));
        assert_eq!(sent(&*off, &seen("6.2.4", None, None)), json!({"persistent": {ENABLE: "none"}}));
        assert_eq!(sent(&*off, &seen("8.17.0", None, None)), json!({"persistent": {ENABLE: "primaries"}}));
        // A value left in the transient scope would win.
        let both = json!({"persistent": {ENABLE: "primaries"}, "transient": {ENABLE: null}});
        assert_eq!(sent(&*off, &seen("6.8.23", None, Some("all"))), both);
        assert_eq!(sent(&*off, &seen("6.8.23", Some("primaries"), None)), Value::Null);
        let why = off.steps(&seen("6.8.23", None, Some("none"))).unwrap_err().message;
        assert!(why.contains("held back already (persistent: not set, transient: none)"), "{why}");
        assert!(off.steps(&seen("2.4.6", None, None)).is_err());
    }

    #[test]
    fn what_was_seen_before_is_what_it_goes_back_to() {
        let off = allocation(json!({}));
        let before = off.before(&seen("6.8.23", Some("new_primaries"), None));
        assert_eq!(Value::Object(before.clone()), json!({"persistent": "new_primaries", "transient": null}));
        let back = allocation(json!({"state": "restored", "original": before}));
        let now = seen("6.8.23", Some("primaries"), None);
        assert_eq!(sent(&*back, &now), json!({"persistent": {ENABLE: "new_primaries"}}));
        assert_eq!(sent(&*back, &seen("6.8.23", Some("new_primaries"), None)), Value::Null);
        let all = allocation(json!({"state": "all"}));
        assert_eq!(sent(&*all, &seen("7.17.29", None, Some("none"))), json!({"transient": {ENABLE: null}}));
    }

    #[test]
    fn a_change_counts_when_it_is_read_back_and_not_before() {
        let off = allocation(json!({}));
        let before = seen("6.8.23", None, None);
        let change = off.steps(&before).expect("steps");
        let lost = [Applied::Http(Err("the line broke".to_owned()))];
        assert!(matches!(off.settled(&change, &lost, &before), Verdict::NotYet(why) if why.contains("no answer")));
        let after = seen("6.8.23", Some("primaries"), None);
        assert!(matches!(off.settled(&change, &lost, &after), Verdict::Ready(_)));
    }
}
