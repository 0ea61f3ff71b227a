//! `pause`: waits for a time or a person, once a batch.
//!
//! The waiting is done by `run`, which also fills `start`, `stop`, `delta`, `stdout` and `user_input` of the result.

use std::time::Duration;

use super::{Arguments, Bound, Controller, Course, Done, Effect, Failure, ModuleSpec, Opt, OptKind, Rule};
use crate::base::{Map, Value};

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "pause",
    aliases: &[],
    summary: "waits for a time or a person, once a batch",
    options: &[
        Opt::new("seconds", OptKind::Duration, "how long; at least a second when a whole number is given"),
        Opt::new("minutes", OptKind::Int, "how long"),
        Opt::new("prompt", OptKind::Text, "what to ask"),
        Opt::new("echo", OptKind::Bool, "whether typed text is shown").default("true"),
    ],
    free_form: None,
    open: false,
    rules: &[Rule::AtMostOne(&["seconds", "minutes"])],
    check: None,
    build,
};

#[derive(Debug)]
struct Pause {
    duration: Option<Duration>,
    minutes: bool,
    prompt: Option<String>,
    echo: bool,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    let duration = match arguments.int("minutes") {
        Some(minutes) => {
            let minutes = u64::try_from(minutes).map_err(|_| Failure::new("`minutes` can't be negative"))?;
            Some(Duration::from_secs(minutes.saturating_mul(60)))
        }
        None => arguments.duration("seconds"),
    };
    // Ansible turns a pause of nothing into one of a second.
    let duration = duration.map(|d| if d.is_zero() { Duration::from_secs(1) } else { d });
    let minutes = arguments.duration("seconds").is_none();
    Ok(Bound::Course(Box::new(Pause {
        duration,
        minutes,
        prompt: arguments.text("prompt"),
        echo: arguments.flag("echo"),
    })))
}

impl Course for Pause {
    fn run(&self, _here: &dyn Controller) -> Result<Done, Failure> {
        let mut result = Map::new();
        result.insert("rc".to_owned(), Value::from(0));
        result.insert("stderr".to_owned(), Value::from(""));
        result.insert("stdout".to_owned(), Value::from(""));
        result.insert("echo".to_owned(), Value::Bool(self.echo));
        result.insert("user_input".to_owned(), Value::from(""));
        let effect = Effect::Pause {
            duration: self.duration,
            minutes: self.minutes,
            prompt: self.prompt.clone(),
            echo: self.echo,
        };
        Ok(Done { changed: false, result, effect })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::fixture::{Fixture, course};

    fn effect(arguments: Value) -> Effect {
        course(&SPEC, arguments, &Fixture::default()).expect("pauses").effect
    }

    #[test]
    fn it_waits_for_a_time_or_a_person() {
        let pause = |seconds: Option<u64>| Effect::Pause {
            duration: seconds.map(Duration::from_secs),
            minutes: seconds.is_none_or(|seconds| seconds == 120),
            prompt: None,
            echo: true,
        };
        assert_eq!(effect(json!({"seconds": "30"})), pause(Some(30)));
        assert_eq!(effect(json!({"minutes": 2})), pause(Some(120)));
        assert_eq!(effect(json!({"seconds": 0})), pause(Some(1)));
        assert_eq!(effect(json!({})), pause(None));
        let asked = Effect::Pause { duration: None, minutes: true, prompt: Some("Go?".to_owned()), echo: false };
        assert_eq!(effect(json!({"prompt": "Go?", "echo": "no"})), asked);
    }
}
