//! What a host's result leaves: counts, facts, the registered variable, notifications, its standing; and what it does to the run.

use std::sync::Arc;

use super::batch::BatchRun;
use super::gate::refusal;
use super::guard::Standing;
use super::host::{Host, HostState};
use super::outcome::HostResult;
use super::task::{Rescue, ends};
use crate::base::{Map, Value, Var};
use crate::event::Status;
use crate::modules::Effect;
use crate::plan::Task;

impl BatchRun {
    /// Keeps what a result leaves: counts, facts, the registered variable, notifications, the host's standing.
    pub(super) fn keep(&self, task: &Task, host: &Arc<Host>, result: &HostResult, rescue: Rescue) {
        if let Some(facts) = result.result.get("ansible_facts").and_then(Value::as_object)
            && !ends(result.status)
        {
            host.add_facts(facts);
            if task.module.name == "setup" {
                host.state().gathered = true;
            }
        }
        let mut state = host.state();
        remember(&mut state, task, result);
        let tally = &mut state.tally;
        match result.status {
            Status::Ok => tally.ok += 1,
            Status::Changed => {
                tally.ok += 1;
                tally.changed += 1;
            }
            Status::Skipped => tally.skipped += 1,
            Status::Unpredictable => tally.unpredictable += 1,
            Status::Ignored => {
                tally.ok += 1;
                tally.ignored += 1;
                // A command that failed has changed something all the same.
                tally.changed += u32::from(result.result.get("changed") == Some(&Value::from(true)));
            }
            Status::Unreachable | Status::Unknown => tally.unreachable += 1,
            Status::Failed if rescue == Rescue::Taken => tally.rescued += 1,
            Status::Failed | Status::Bug => tally.failed += 1,
        }
        match result.status {
            Status::Unreachable | Status::Unknown => state.standing = Standing::Unreachable,
            Status::Failed | Status::Bug => {
                let name = task.name.as_ref().and_then(|name| name.as_str()).unwrap_or(task.module.name).to_owned();
                state.failure = Some((name, result.result.clone()));
                if rescue != Rescue::Taken {
                    state.standing = Standing::Failed;
                }
                if rescue == Rescue::Gate {
                    state.refusal = Some(refusal(task, &result.message));
                }
            }
            _ => {}
        }
    }

    /// What a task that ran once left is every host's.
    pub(super) fn share(&self, task: &Task, from: &Arc<Host>, result: &HostResult, hosts: &[Arc<Host>]) {
        for host in hosts.iter().filter(|host| !Arc::ptr_eq(host, from)) {
            if let Some(facts) = result.result.get("ansible_facts").and_then(Value::as_object) {
                host.add_facts(facts);
            }
            let mut state = host.state();
            remember(&mut state, task, result);
            if let Some(Effect::Facts { facts, .. }) = result.effects.first() {
                set_facts(&mut state, facts);
            }
        }
    }

    /// What a task that ran once came to ends every host: a failure may still be rescued, a host out of reach can't be.
    pub(super) fn fail_all(&self, task: &Task, result: &HostResult, hosts: &[Arc<Host>], rescue: Rescue) {
        let name = task.name.as_ref().and_then(|name| name.as_str()).unwrap_or(task.module.name);
        let rescued = rescue == Rescue::Taken && result.status == Status::Failed;
        for host in hosts {
            let mut state = host.state();
            state.failure = Some((name.to_owned(), result.result.clone()));
            if !rescued && state.standing == Standing::Active {
                state.standing = Standing::Failed;
            }
        }
    }

    /// Does to the run what a module asked for.
    pub(super) fn effect(&self, effect: &Effect, host: &Arc<Host>) {
        match effect {
            Effect::None | Effect::Meta(_) | Effect::Pause { .. } => {}
            Effect::Facts { facts, .. } => {
                let mut state = host.state();
                set_facts(&mut state, facts);
            }
            Effect::AddHost { name, groups, variables } => {
                let mut wrong = Vec::new();
                self.run.change_inventory(|inventory| {
                    wrong = inventory.add_host(&self.run.sources, name, groups, variables).1
                });
                for diagnostic in &wrong {
                    self.run.warn(crate::diag::render(diagnostic, &self.run.sources, false));
                }
            }
        }
    }
}

/// Takes the variable that the task registers and the handlers that it notified.
fn remember(state: &mut HostState, task: &Task, result: &HostResult) {
    if let Some(name) = &task.register {
        let var = match &result.unknown {
            Some(why) => Var::Unknown(why.as_str().into()),
            None => Var::data(Value::Object(result.result.clone())),
        };
        state.registered.insert(name.clone(), var);
    }
    for name in &result.notified {
        if !state.notified.contains(name) {
            state.notified.push(name.clone());
        }
    }
}

/// Takes what `set_fact` sets.
fn set_facts(state: &mut HostState, facts: &Map) {
    for (name, value) in facts {
        state.registered.insert(name.clone(), Var::data(value.clone()));
    }
}
