//! `wait_for_connection`: waits until the host can be logged in to.

use std::time::Duration;

use super::{Answer, Arguments, Bound, Controller, Failure, Gate, ModuleSpec, Opt, OptKind, Question, Timing, Verdict};
use crate::base::{Map, Value, render_duration};

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "wait_for_connection",
    aliases: &[],
    summary: "waits until the host can be logged in to",
    options: &[
        Opt::new("timeout", OptKind::Duration, "how long to wait at most").default("600"),
        Opt::new("delay", OptKind::Duration, "wait so long before the first try").default("0"),
        Opt::new("sleep", OptKind::Duration, "pause between two tries").default("1"),
        Opt::new("connect_timeout", OptKind::Duration, "how long one try may take").default("5"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct WaitForConnection {
    timing: Timing,
    within: Duration,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    let span = |name: &str| arguments.duration(name).unwrap_or_default();
    Ok(Bound::Gate(Box::new(WaitForConnection {
        timing: Timing { delay: span("delay"), within: span("timeout"), every: span("sleep") },
        within: span("connect_timeout"),
    })))
}

impl Gate for WaitForConnection {
    fn timing(&self) -> Timing {
        self.timing
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        if answers.is_empty() { vec![Question::Login { within: self.within }] } else { Vec::new() }
    }

    fn judge(&self, answers: &[Answer], _memory: &mut Value, elapsed: Duration) -> Verdict {
        match answers.first() {
            Some(Answer::Login(Ok(()))) => {
                let mut result = Map::new();
                result.insert("elapsed".to_owned(), Value::from(elapsed.as_secs()));
                Verdict::Ready(result)
            }
            Some(Answer::Login(Err(reason))) => Verdict::NotYet(reason.clone()),
            _ => Verdict::NotYet("not tried yet".to_owned()),
        }
    }

    fn expired(&self, why: &str, elapsed: Duration) -> Failure {
        Failure::new(format!("no connection within {}: {why}", render_duration(self.timing.within)))
            .with("elapsed", elapsed.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::fixture::{Fixture, gate};

    #[test]
    fn it_tries_to_log_in_until_it_can() {
        let gate = gate(&SPEC, json!({"connect_timeout": "10s"}), &Fixture::default()).expect("binds");
        assert_eq!(gate.questions(&[]), vec![Question::Login { within: Duration::from_secs(10) }]);
        let judge = |answer| gate.judge(&[answer], &mut Value::Null, Duration::from_secs(7));
        let down = judge(Answer::Login(Err("h1:22 refused the connection".to_owned())));
        assert_eq!(down, Verdict::NotYet("h1:22 refused the connection".to_owned()));
        let up = judge(Answer::Login(Ok(())));
        assert_eq!(up, Verdict::Ready(json!({"elapsed": 7}).as_object().cloned().unwrap_or_default()));
        let failure = gate.expired("refused", Duration::from_secs(600));
        assert_eq!(failure.message, "no connection within 10:00: refused");
    }
}
