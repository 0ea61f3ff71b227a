//! `ping`: whether a task reaches the host and a shell there. Changes nothing.

use super::{Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, State};
use crate::base::{Map, Output, Script};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "ping",
    aliases: &[],
    summary: "reaches the host and a shell on it",
    options: &[Opt::new("data", OptKind::Text, "what to answer; `crash` fails").default("pong")],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct Ping {
    data: String,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    Ok(Bound::State(Box::new(Ping { data: arguments.required("data") })))
}

impl State for Ping {
    fn probe(&self) -> Script {
        Script::new().set("data", &self.data).line("printf %s \"$data\"")
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        if self.data == "crash" {
            return Err(Failure::new("boom"));
        }
        if seen.status != 0 || seen.out() != self.data {
            return Err(Failure::new(format!("the host's shell did not answer as it should: {}", seen.err().trim()))
                .with("rc", seen.status));
        }
        let mut result = Map::new();
        result.insert("ping".to_owned(), self.data.clone().into());
        Ok(Change::none(result))
    }
}
