//! What a task came to on a host, in the form in which Ansible registers it.

use serde_json::json;

use super::act::Acted;
use super::render::Trouble;
use crate::base::{Map, Value};
use crate::event::{EventKind, Status, StepLine, Tally, TaskKey};
use crate::modules::Effect;

/// What a host's task came to.
#[derive(Debug, Clone)]
pub(super) struct HostResult {
    pub(super) status: Status,
    /// As registered.
    pub(super) result: Map,
    pub(super) steps: Vec<StepLine>,
    pub(super) message: String,
    pub(super) notified: Vec<String>,
    /// In check mode: what is registered can't be known.
    pub(super) unknown: Option<String>,
    pub(super) effects: Vec<Effect>,
    /// What `ignore_errors` or `ignore_unreachable` says of it, where loop items say so for themselves.
    pub(super) ignored: Option<bool>,
}

impl HostResult {
    pub(super) fn of(acted: Acted) -> Self {
        let unknown = (acted.status == Status::Unpredictable).then(|| acted.message.clone());
        let effects = if acted.effect == Effect::None { Vec::new() } else { vec![acted.effect] };
        Self {
            status: acted.status,
            result: acted.result,
            steps: acted.steps,
            message: acted.message,
            notified: Vec::new(),
            unknown,
            effects,
            ignored: None,
        }
    }

    pub(super) fn trouble(trouble: Trouble) -> Self {
        let mut result = Self::of(match trouble {
            Trouble::Unknown(why) => Acted::unpredictable(format!("it depends on: {why}")),
            Trouble::Failed(failure) => Acted::failed(failure),
        });
        mark(&mut result);
        result
    }

    pub(super) fn skipped(reason: &str, condition: Option<&str>) -> Self {
        let mut result = Map::new();
        result.insert("changed".to_owned(), Value::from(false));
        result.insert("skipped".to_owned(), Value::from(true));
        result.insert("skip_reason".to_owned(), Value::from(reason));
        if let Some(condition) = condition {
            // A condition that is written out as `false` stays what it is.
            let condition = if condition == "False" { Value::from(false) } else { Value::from(condition) };
            result.insert("false_condition".to_owned(), condition);
        }
        Self { message: reason.to_owned(), ..Self::of(Acted::new(Status::Skipped, result)) }
    }
}

impl HostResult {
    /// The event that tells it. Under `no_log`, neither the result nor the message is in it.
    pub(super) fn finished(&self, key: &TaskKey, host: &str, tally: Tally, no_log: bool) -> EventKind {
        let hidden = no_log && !self.message.is_empty();
        EventKind::HostFinished {
            key: key.clone(),
            host: host.to_owned(),
            delegate: None,
            delegate_address: None,
            status: self.status,
            steps: self.steps.clone(),
            result: if no_log { censored(&self.result) } else { self.result.clone() },
            message: if hidden { "hidden by no_log".to_owned() } else { self.message.clone() },
            took: 0,
            rescued: false,
            notified: self.notified.clone(),
            tally,
        }
    }

    /// A loop over nothing.
    pub(super) fn empty_loop() -> Self {
        let reason = "No items in the list";
        let mut result = Map::new();
        result.insert("changed".to_owned(), Value::from(false));
        result.insert("skipped".to_owned(), Value::from(true));
        result.insert("skipped_reason".to_owned(), Value::from(reason));
        result.insert("results".to_owned(), Value::Array(Vec::new()));
        Self { message: reason.to_owned(), ..Self::of(Acted::new(Status::Skipped, result)) }
    }
}

/// Writes the status into the result, as Ansible's results carry it.
pub(super) fn mark(result: &mut HostResult) {
    match result.status {
        Status::Changed => {
            result.result.insert("changed".to_owned(), Value::from(true));
        }
        Status::Unreachable | Status::Unknown => {
            result.result.insert("changed".to_owned(), Value::from(false));
            result.result.insert("unreachable".to_owned(), Value::from(true));
        }
        _ => {
            result.result.entry("changed").or_insert(Value::from(false));
            if result.status == Status::Ok {
                result.result.insert("changed".to_owned(), Value::from(false));
            }
        }
    }
    if result.status == Status::Failed {
        result.result.insert("failed".to_owned(), Value::from(true));
    } else if matches!(result.status, Status::Ok | Status::Changed) && !result.result.contains_key("results") {
        result.result.insert("failed".to_owned(), Value::from(false));
    }
}

/// What is shown of a result under `no_log`: Ansible's sentence, and whether it changed something.
pub(super) fn censored(result: &Map) -> Map {
    let mut shown = Map::new();
    let text = "the output has been hidden due to the fact that 'no_log: true' was specified for this result";
    shown.insert("censored".to_owned(), Value::from(text));
    if let Some(changed) = result.get("changed") {
        shown.insert("changed".to_owned(), changed.clone());
    }
    shown
}

/// `ansible_loop`.
pub(super) fn extended(items: &[Value], at: usize) -> Value {
    let length = items.len();
    let mut map = Map::new();
    map.insert("index".to_owned(), json!(at + 1));
    map.insert("index0".to_owned(), json!(at));
    map.insert("first".to_owned(), json!(at == 0));
    map.insert("last".to_owned(), json!(at + 1 == length));
    map.insert("length".to_owned(), json!(length));
    map.insert("revindex".to_owned(), json!(length - at));
    map.insert("revindex0".to_owned(), json!(length - at - 1));
    map.insert("allitems".to_owned(), json!(items));
    if let Some(previous) = at.checked_sub(1).and_then(|at| items.get(at)) {
        map.insert("previtem".to_owned(), previous.clone());
    }
    if let Some(next) = items.get(at + 1) {
        map.insert("nextitem".to_owned(), next.clone());
    }
    Value::Object(map)
}

/// The result of a loop, as Ansible registers it.
pub(super) fn aggregate(all: Vec<HostResult>) -> HostResult {
    let any = |status: Status| all.iter().any(|result| result.status == status);
    let every = |status: Status| all.iter().all(|result| result.status == status);
    let status = if any(Status::Unknown) {
        Status::Unknown
    } else if any(Status::Unreachable) {
        Status::Unreachable
    } else if any(Status::Failed) {
        Status::Failed
    } else if every(Status::Skipped) {
        Status::Skipped
    } else if any(Status::Unpredictable) {
        Status::Unpredictable
    } else if any(Status::Changed) {
        Status::Changed
    } else {
        Status::Ok
    };
    let changed = all.iter().any(|result| result.result.get("changed") == Some(&Value::from(true)));
    let mut result = Map::new();
    result.insert("changed".to_owned(), Value::from(changed));
    let message = match status {
        Status::Skipped => "All items skipped",
        Status::Failed => "One or more items failed",
        _ => "All items completed",
    };
    if status == Status::Skipped {
        result.insert("skipped".to_owned(), Value::from(true));
    } else {
        result.insert("skipped".to_owned(), Value::from(false));
    }
    if matches!(status, Status::Failed | Status::Unreachable | Status::Unknown) {
        result.insert("failed".to_owned(), Value::from(true));
    }
    result.insert("msg".to_owned(), Value::from(message));
    // Facts of items are the host's too.
    let facts: Vec<&Map> =
        all.iter().filter_map(|r| r.result.get("ansible_facts").and_then(Value::as_object)).collect();
    if !facts.is_empty() {
        let merged: Map = facts.into_iter().flat_map(|map| map.iter().map(|(k, v)| (k.clone(), v.clone()))).collect();
        result.insert("ansible_facts".to_owned(), Value::Object(merged));
    }
    let results = all.iter().map(|one| Value::Object(one.result.clone())).collect();
    result.insert("results".to_owned(), Value::Array(results));
    let said: Vec<&str> =
        all.iter().filter(|r| r.status == status).map(|r| r.message.as_str()).filter(|m| !m.is_empty()).collect();
    let message = match status {
        Status::Ok | Status::Changed => String::new(),
        _ => said.first().map_or_else(|| message.to_owned(), |first| (*first).to_owned()),
    };
    let unknown = all.iter().find_map(|r| r.unknown.clone());
    // One item whose end counts is enough.
    let ignored = Some(all.iter().all(|result| !result.status.ends_host() || result.ignored == Some(true)));
    HostResult {
        status,
        result,
        steps: Vec::new(),
        message,
        notified: all.iter().flat_map(|r| r.notified.iter().cloned()).collect(),
        unknown,
        ignored,
        effects: all.into_iter().flat_map(|r| r.effects).collect(),
    }
}
