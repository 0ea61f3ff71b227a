//! `state: installed`: the package's app is there.

use super::Asked;
use super::sight::{Blind, app};
use crate::base::{Map, Output, Value};
use crate::cluster::dcos::{complaint, differences, merge};
use crate::modules::dcos_api::{Api, Ask, Tell};
use crate::modules::{Answer, Applied, Change, Diff, Failure, Looked, Question, State, Step, Timing, Verdict};

/// Installs a package.
#[derive(Debug)]
pub(super) struct Install {
    pub(super) asked: Asked,
}

impl Install {
    fn options(&self) -> Value {
        let empty = Value::Object(Map::new());
        merge(self.asked.stored.as_ref().unwrap_or(&empty), &self.asked.options)
    }

    /// What is there: the version, or nothing.
    fn present(seen: &Output) -> Option<String> {
        let text = seen.out();
        (!text.is_empty()).then_some(text)
    }
}

impl State for Install {
    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        if answers.is_empty() { vec![self.asked.api.ask(&Ask::App)] } else { Vec::new() }
    }

    fn timing(&self) -> Timing {
        self.asked.timing
    }

    fn subject(&self) -> String {
        format!("app of {}", self.asked.api.service)
    }

    fn looked(&self, answers: &[Answer], _memory: &mut Value) -> Looked {
        match app(answers.first()) {
            Ok(present) => {
                let version = present.map(|app| app.version.unwrap_or_else(|| "?".to_owned())).unwrap_or_default();
                Looked::Seen(Output { stdout: version.into_bytes(), ..Output::default() })
            }
            Err(Blind::NotYet(why)) => Looked::NotYet(why),
            Err(Blind::Never(failure)) => Looked::Never(failure),
        }
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let (id, to) = (self.asked.api.app(), self.asked.version.as_str());
        let mut result = Map::new();
        result.insert("app".to_owned(), Value::from(id.as_str()));
        result.insert("version".to_owned(), Value::from(to));
        match Self::present(seen) {
            Some(version) if version == to => return Ok(Change::none(result)),
            Some(version) => {
                return Err(Failure::new(format!(
                    "{id} is there as {version}: it is destroyed first (`state: destroyed`)"
                )));
            }
            None => {}
        }
        let options = self.options();
        let tell = Tell::Install { version: to.to_owned(), options: options.clone() };
        let (act, typed) = self.asked.api.tell(&tell);
        let empty = Value::Object(Map::new());
        let stored = self.asked.stored.as_ref().unwrap_or(&empty);
        let diff = (!differences(stored, &options).is_empty()).then(|| Diff {
            before_header: "stored options".to_owned(),
            after_header: format!("options of {to}"),
            before: pretty(stored),
            after: pretty(&options),
        });
        let step = Step {
            summary: format!("install {to} as {id}"),
            diff,
            act,
            opaque: false,
            once: false,
            by_hand: Some(typed),
        };
        Ok(Change { steps: vec![step], result })
    }

    fn expect(&self, _seen: &Output, _change: &Change) -> Option<Output> {
        Some(Output { stdout: self.asked.version.as_str().as_bytes().to_vec(), ..Output::default() })
    }

    fn settled(&self, change: &Change, outputs: &[Applied], seen: &Output) -> Verdict {
        if Self::present(seen).as_deref() == Some(self.asked.version.as_str()) {
            return Verdict::Ready(change.result.clone());
        }
        match outputs.last().map(Api::told) {
            Some(Ok(reply)) if (400..500).contains(&reply.status()) && !matches!(reply.status(), 408 | 409 | 429) => {
                let why = complaint(&reply.body).unwrap_or_else(|| format!("HTTP {}", reply.status()));
                Verdict::Never(Failure::new(format!("Cosmos refuses to install {}: {why}", self.asked.version)))
            }
            Some(Err(why)) => {
                Verdict::NotYet(format!("the answer to the installation was lost, and the app is not there: {why}"))
            }
            _ => Verdict::NotYet("the app is not there yet".to_owned()),
        }
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
