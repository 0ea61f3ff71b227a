//! What a host's result leaves: counts, facts, the registered variable, notifications, its standing; and what it does to the run.

use std::sync::Arc;

use super::batch::BatchRun;
use super::gate::refusal;
use super::guard::Standing;
use super::host::{Host, HostState};
use super::outcome::HostResult;
use super::task::{Rescue, ends};
use crate::base::{Value, Var};
use crate::diag::Diagnostic;
use crate::event::Status;
use crate::modules::Effect;
use crate::plan::Task;

impl BatchRun {
    /// Keeps what a result leaves: counts, facts, the registered variable, notifications, the host's standing.
    pub(super) fn keep(&self, task: &Task, host: &Arc<Host>, result: &HostResult, rescue: Rescue) {
        if let Some(facts) = result.result.get("ansible_facts").and_then(Value::as_object)
            && !ends(result.status)
            && are_facts(task, result)
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
            if let Some(facts) = result.result.get("ansible_facts").and_then(Value::as_object)
                && are_facts(task, result)
            {
                host.add_facts(facts);
            }
            let mut state = host.state();
            remember(&mut state, task, result);
            result.effects.iter().for_each(|effect| set_variables(&mut state, effect));
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
            Effect::Facts { .. } | Effect::Variables(_) => set_variables(&mut host.state(), effect),
            Effect::Group { name, parents } => {
                let mut joined = Ok((false, Vec::new()));
                self.run.change_inventory(|inventory| {
                    joined = inventory.add_to_group(&self.run.sources, &host.name, name, parents);
                });
                match joined {
                    Ok((_, wrong)) => self.warn_of(&wrong),
                    Err(why) => self.run.warn(format!("{} can't be put into the group `{name}`: {why}", host.name)),
                }
            }
            Effect::AddHost { name, groups, variables } => {
                let mut wrong = Vec::new();
                self.run.change_inventory(|inventory| {
                    wrong = inventory.add_host(&self.run.sources, name, groups, variables).1
                });
                self.warn_of(&wrong);
            }
        }
    }

    fn warn_of(&self, wrong: &[Diagnostic]) {
        for diagnostic in wrong {
            self.run.warn(crate::diag::render(diagnostic, &self.run.sources, false));
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

/// Whether what a result calls facts are such: variables from files are none.
fn are_facts(task: &Task, result: &HostResult) -> bool {
    let set = |effect: &Effect| matches!(effect, Effect::Facts { cacheable: false, .. } | Effect::Variables(_));
    task.module.name != "include_vars" && !result.effects.iter().any(set)
}

/// Takes what `set_fact` and `include_vars` set.
fn set_variables(state: &mut HostState, effect: &Effect) {
    match effect {
        Effect::Facts { facts, .. } => {
            let data = facts.iter().map(|(name, value)| (name.clone(), Var::data(value.clone())));
            state.registered.extend(data);
        }
        Effect::Variables(variables) => {
            let written = variables.iter().map(|(name, node)| (name.clone(), Var::Written(Arc::clone(node))));
            state.registered.extend(written);
        }
        _ => {}
    }
}
