//! Modules for simulated hosts, which understand a few words and no shell: what the simulation's playbooks are made of.

use std::time::Duration;

use super::{
    Answer, Arguments, Bound, Change, Controller, Failure, Gate, ModuleSpec, Opt, OptKind, Question, State, Step,
    Timing, Verdict,
};
use crate::base::{Map, Output, Script, Value};

/// Finds one by name.
pub(super) fn find(name: &str) -> Option<&'static ModuleSpec> {
    [&SET, &DAEMON, &GATE].into_iter().find(|spec| spec.name == name)
}

const fn spec(name: &'static str, options: &'static [Opt], build: super::Build) -> ModuleSpec {
    ModuleSpec {
        name,
        aliases: &[],
        summary: "for simulated hosts",
        options,
        free_form: None,
        open: false,
        rules: &[],
        check: None,
        build,
    }
}

/// A setting has a value.
static SET: ModuleSpec = spec(
    "sim_set",
    &[
        Opt::new("name", OptKind::Text, "the setting").required(),
        Opt::new("value", OptKind::Text, "its value").required(),
    ],
    |arguments, _| {
        Ok(Bound::State(Box::new(Setting { name: arguments.required("name"), value: arguments.required("value") })))
    },
);

/// A daemon runs or does not, or is restarted.
static DAEMON: ModuleSpec = spec(
    "sim_daemon",
    &[
        Opt::new("name", OptKind::Text, "the daemon").required(),
        Opt::new("state", OptKind::Choice(&["started", "stopped", "restarted"]), "what is wanted").required(),
        Opt::new("token", OptKind::Text, "what tells this restart from others").default("-"),
    ],
    |arguments, _| {
        Ok(Bound::State(Box::new(Daemon {
            name: arguments.required("name"),
            state: arguments.required("state"),
            token: arguments.required("token"),
        })))
    },
);

/// A daemon runs on so many hosts of the simulated cluster.
static GATE: ModuleSpec = spec(
    "sim_gate",
    &[
        Opt::new("daemon", OptKind::Text, "the daemon").required(),
        Opt::new("hosts", OptKind::Int, "on how many hosts").required(),
    ],
    gate,
);

fn gate(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    Ok(Bound::Gate(Box::new(Quorum { daemon: arguments.required("daemon"), hosts: arguments.required("hosts") })))
}

#[derive(Debug)]
struct Setting {
    name: String,
    value: String,
}

/// A step whose summary is what is run, so that a journal can be compared with what a host did.
fn step(words: &[&str]) -> Step {
    Step::script(words.join(" "), Script::new().command(words.iter().copied()))
}

fn seen(output: &Output) -> Result<String, Failure> {
    if output.status != 0 {
        return Err(Failure::new(format!("the look ended with status {}", output.status)));
    }
    Ok(output.out().trim().to_owned())
}

impl State for Setting {
    fn probe(&self) -> Script {
        Script::new().command(["sim-get", &self.name])
    }

    fn before(&self, seen: &Output) -> Map {
        Map::from_iter([("value".to_owned(), Value::from(seen.out().trim()))])
    }

    fn steps(&self, output: &Output) -> Result<Change, Failure> {
        let result = Map::from_iter([("value".to_owned(), Value::from(self.value.as_str()))]);
        let steps =
            if seen(output)? == self.value { Vec::new() } else { vec![step(&["sim-put", &self.name, &self.value])] };
        Ok(Change { steps, result })
    }
}

#[derive(Debug)]
struct Daemon {
    name: String,
    state: String,
    token: String,
}

impl State for Daemon {
    fn probe(&self) -> Script {
        Script::new().command(["sim-is", &self.name])
    }

    fn before(&self, seen: &Output) -> Map {
        Map::from_iter([("state".to_owned(), Value::from(seen.out().trim()))])
    }

    fn steps(&self, output: &Output) -> Result<Change, Failure> {
        let is = seen(output)?;
        let steps = match self.state.as_str() {
            "restarted" => vec![step(&["sim-restart", &self.name, &self.token]).once()],
            wanted if wanted == is => Vec::new(),
            "started" => vec![step(&["sim-start", &self.name])],
            _ => vec![step(&["sim-stop", &self.name])],
        };
        Ok(Change { steps, result: Map::new() })
    }
}

#[derive(Debug)]
struct Quorum {
    daemon: String,
    hosts: String,
}

impl Gate for Quorum {
    fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: Duration::from_secs(120), every: Duration::from_secs(1) }
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        if answers.is_empty() {
            vec![Question::Script(Script::new().command(["sim-ask", &self.daemon, &self.hosts]))]
        } else {
            Vec::new()
        }
    }

    fn judge(&self, answers: &[Answer], _memory: &mut Value, _elapsed: Duration) -> Verdict {
        match answers.first() {
            Some(Answer::Script(Ok(output))) if output.status == 0 => Verdict::Ready(Map::new()),
            Some(Answer::Script(Err(why))) => Verdict::NotYet(why.clone()),
            _ => Verdict::NotYet(format!("{} runs on less than {} hosts", self.daemon, self.hosts)),
        }
    }
}
