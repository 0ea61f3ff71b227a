//! `state: destroyed`: the scheduler's app is gone, and its tasks go on.

use super::Asked;
use super::sight::{Blind, app, at_work, tasks};
use crate::base::{Map, Output, Value};
use crate::modules::dcos_api::{Api, Ask, Tell};
use crate::modules::{Answer, Applied, Change, Failure, Looked, Question, State, Step, Timing, Verdict};

/// Removes the app.
#[derive(Debug)]
pub(super) struct Destroy {
    pub(super) asked: Asked,
    /// How many tasks must go on.
    pub(super) tasks: Option<u64>,
}

/// What was seen, in the form in which it is handed over.
struct Seen {
    present: bool,
    version: String,
    busy: String,
    running: Option<u64>,
    uninstalls: bool,
}

impl Seen {
    fn kept(&self) -> Output {
        let kept = serde_json::json!({"present": self.present, "version": self.version, "busy": self.busy,
            "running": self.running, "uninstalls": self.uninstalls});
        Output { stdout: kept.to_string().into_bytes(), ..Output::default() }
    }

    fn read(seen: &Output) -> Self {
        let value: Value = serde_json::from_slice(&seen.stdout).unwrap_or_default();
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
        Self {
            present: flag("present"),
            version: text("version"),
            busy: text("busy"),
            running: value.get("running").and_then(Value::as_u64),
            uninstalls: flag("uninstalls"),
        }
    }
}

impl Destroy {
    /// Whether the tasks go on.
    fn lost(&self, running: Option<u64>) -> Option<String> {
        match (self.tasks, running) {
            (Some(before), Some(now)) if now < before => Some(format!(
                "{now} of {before} tasks run: nothing but the scheduler's app may end. Nothing further is done; look at once"
            )),
            _ => None,
        }
    }
}

impl State for Destroy {
    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        if !answers.is_empty() {
            return Vec::new();
        }
        [Ask::App, Ask::Deployments, Ask::Frameworks].iter().map(|ask| self.asked.api.ask(ask)).collect()
    }

    fn timing(&self) -> Timing {
        self.asked.timing
    }

    fn subject(&self) -> String {
        format!("app of {}", self.asked.api.service)
    }

    /// The next package is installed in its place.
    fn lasts(&self) -> bool {
        false
    }

    fn looked(&self, answers: &[Answer], _memory: &mut Value) -> Looked {
        let id = self.asked.api.app();
        let look = || -> Result<Seen, Blind> {
            let present = app(answers.first())?;
            let busy = at_work(answers.get(1), &id)?;
            let running = tasks(answers.get(2), &self.asked.api.service);
            Ok(Seen {
                present: present.is_some(),
                version: present.as_ref().and_then(|app| app.version.clone()).unwrap_or_default(),
                busy: busy.first().cloned().unwrap_or_default(),
                running,
                uninstalls: present.is_some_and(|app| {
                    app.environment
                        .get("SDK_UNINSTALL")
                        .and_then(Value::as_str)
                        .is_some_and(|text| text.eq_ignore_ascii_case("true"))
                }),
            })
        };
        match look() {
            Ok(seen) if !seen.busy.is_empty() && seen.present => {
                Looked::NotYet(format!("Marathon is at work on {id} (deployment {})", seen.busy))
            }
            Ok(seen) if !seen.busy.is_empty() => {
                Looked::NotYet(format!("{id} is gone, its deployment {} is not", seen.busy))
            }
            Ok(seen) => Looked::Seen(seen.kept()),
            Err(Blind::NotYet(why)) => Looked::NotYet(why),
            Err(Blind::Never(failure)) => Looked::Never(failure),
        }
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let seen = Seen::read(seen);
        let (id, to) = (self.asked.api.app(), self.asked.version.as_str());
        if seen.uninstalls {
            return Err(Failure::new(format!(
                "{id} is being uninstalled (SDK_UNINSTALL): its data is being deleted; stop that first"
            )));
        }
        if let Some(lost) = self.lost(seen.running) {
            return Err(Failure::new(lost));
        }
        let mut result = Map::new();
        result.insert("app".to_owned(), Value::from(id.as_str()));
        result.insert("tasks".to_owned(), seen.running.map_or(Value::Null, Value::from));
        if !seen.present || seen.version == to {
            return Ok(Change::none(result));
        }
        let (act, typed) = self.asked.api.tell(&Tell::Destroy);
        let summary = format!("destroy the app {id} ({}); its tasks go on", seen.version);
        let step = Step { summary, diff: None, act, opaque: false, once: false, by_hand: Some(typed) };
        Ok(Change { steps: vec![step], result })
    }

    fn settled(&self, change: &Change, outputs: &[Applied], seen: &Output) -> Verdict {
        let seen = Seen::read(seen);
        if let Some(lost) = self.lost(seen.running) {
            return Verdict::Never(Failure::new(lost));
        }
        if !seen.present {
            return Verdict::Ready(change.result.clone());
        }
        let answer = outputs.last().map(Api::told);
        match answer {
            Some(Ok(reply)) if matches!(reply.status(), 401 | 403 | 422) => {
                Verdict::Never(Failure::new(format!("Marathon refuses to remove the app: HTTP {}", reply.status())))
            }
            Some(Ok(reply)) => {
                Verdict::NotYet(format!("the app is still there (Marathon answered with HTTP {})", reply.status()))
            }
            Some(Err(why)) => Verdict::NotYet(format!("Marathon's answer was lost, and the app is still there: {why}")),
            None => Verdict::NotYet("the app is still there".to_owned()),
        }
    }
}
