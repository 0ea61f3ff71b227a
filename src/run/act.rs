//! A built module meets its host: probes and steps, changes of the run.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::attempt::HostTask;
use super::bind::blocking;
use super::by_hand;
use super::clock::{local_time, span_text};
use super::connect::Way;
use super::controller::Here;
use super::fetch::fetch;
use super::render::Room;
use crate::base::{Map, Output, Script, Value};
use crate::event::{EventKind, Status, StepLine};
use crate::modules::{Act, Applied, Change, Done, Effect, Failure, State};
use crate::transport::{Command, Connection, Lost, Trace, Unreachable};

/// What came of one try.
#[derive(Debug, Clone)]
pub(super) struct Acted {
    pub(super) status: Status,
    /// The result without `changed` and `failed`.
    pub(super) result: Map,
    pub(super) steps: Vec<StepLine>,
    /// Why, for people; empty when there is nothing to say.
    pub(super) message: String,
    pub(super) effect: Effect,
}

impl Acted {
    pub(super) fn new(status: Status, result: Map) -> Self {
        Self { status, result, steps: Vec::new(), message: String::new(), effect: Effect::None }
    }

    pub(super) fn failed(failure: Failure) -> Self {
        let mut result = failure.result;
        result.insert("msg".to_owned(), Value::from(failure.message.as_str()));
        Self { message: failure.message, ..Self::new(Status::Failed, result) }
    }

    pub(super) fn unreachable(reason: &Unreachable) -> Self {
        let mut result = Map::new();
        let message = reason.to_string();
        result.insert("msg".to_owned(), Value::from(message.as_str()));
        result.insert("unreachable".to_owned(), Value::from(true));
        Self { message, ..Self::new(Status::Unreachable, result) }
    }

    pub(super) fn unpredictable(why: impl Into<String>) -> Self {
        Self { message: why.into(), ..Self::new(Status::Unpredictable, Map::new()) }
    }

    /// A command that has no end.
    fn lost(lost: &Lost) -> Self {
        match lost {
            Lost::NotStarted(reason) => Self::unreachable(reason),
            Lost::InFlight(reason) => {
                let mut acted = Self::unreachable(reason);
                acted.message = lost.to_string();
                acted.result.insert("msg".to_owned(), Value::from(acted.message.as_str()));
                Self { status: Status::Unknown, ..acted }
            }
            Lost::Unknown(reason) => {
                Self { status: Status::Unknown, ..Self::unreachable(&Unreachable::Local { message: reason.clone() }) }
            }
            Lost::Become(reason) | Lost::Local(reason) => Self::failed(Failure::new(reason.clone())),
            Lost::TimedOut(_) => Self::failed(Failure::new(lost.to_string())),
        }
    }
}

/// How often a state whose change was cut off by a lost connection is looked at and completed.
const TRIES_AFTER_A_CUT: usize = 3;

/// How often a host that was reached before is tried again, with growing pauses: about three seconds in all.
const TRIES_TO_RECONNECT: u32 = 3;

impl HostTask {
    /// A command of this task.
    pub(super) fn command(&self, way: &Way, environment: &[(String, String)], script: Script) -> Command {
        let mut command = Command::new(script);
        command.r#become.clone_from(&way.r#become);
        command.environment = environment.to_vec();
        command.timeout = self.timeout;
        command
    }

    fn look_command(&self, way: &Way, environment: &[(String, String)], probe: &Script, keep: usize) -> Command {
        let mut command = self.command(way, environment, probe.clone());
        command.keep = keep;
        command.looks = true;
        command
    }

    /// Looks when nothing of an earlier try that was cut off runs beside it any more.
    async fn look_alone(
        &self,
        connection: &dyn Connection,
        way: &Way,
        environment: &[(String, String)],
        state: &dyn State,
        trace: &Trace,
    ) -> Result<Output, Lost> {
        if !trace.is_empty() {
            connection.end(trace).await?;
        }
        if self.is_begun(way, connection).await? {
            return Ok(state.begun());
        }
        let probe = state.probe();
        if probe.is_empty() {
            return Ok(Output::default());
        }
        connection.run(&self.look_command(way, environment, &probe, state.keep())).await
    }

    /// Looks, and does what is missing.
    pub(super) async fn state(
        &self,
        state: &dyn State,
        room: &Room,
        way: &Way,
        environment: &[(String, String)],
    ) -> Acted {
        let mut tries = 0;
        let (asks, asked) = (!state.questions(&[]).is_empty(), Instant::now());
        let mut patient = way.clone();
        // What the connection broke in, when it did.
        let trace = Trace::default();
        let mut begun: Option<Vec<StepLine>> =
            self.record().and_then(|record| record.flight(self.item)).map(<[_]>::to_vec);
        if let Some(settled) = self.settle_flight().await {
            return settled;
        }
        let cut = |begun: Option<Vec<StepLine>>, reason: Unreachable| match begun {
            Some(steps) => Acted { steps, ..Acted::lost(&Lost::InFlight(reason)) },
            None => Acted::unreachable(&reason),
        };
        loop {
            tries += 1;
            let connection = match self.run.connection(&self.target, &patient).await {
                Ok(connection) => connection,
                Err(reason) if asks && self.undoing && !self.check => {
                    return self.without_host(state, way, &reason).await;
                }
                Err(reason) => return cut(begun, reason),
            };
            // It was reached before: from now on a refusal may be one of a sshd that is just being started again.
            patient.target.retries = way.target.retries.max(TRIES_TO_RECONNECT);
            let predicted = if self.check { self.predicted(state) } else { None };
            let seen = match predicted {
                Some(Some(seen)) => seen,
                Some(None) => return Acted::unpredictable("it depends on what an earlier task would change"),
                None if asks => match self.look_by_questions(state, way, asked).await {
                    Ok(seen) => seen,
                    Err(acted) => return acted,
                },
                None => match self.look_alone(connection.as_ref(), way, environment, state, &trace).await {
                    Ok(seen) => seen,
                    // Looking changes nothing, so it can be done again.
                    Err(Lost::InFlight(reason) | Lost::NotStarted(reason @ Unreachable::Closed { .. })) => {
                        self.run.forget(&self.target, way).await;
                        if tries < TRIES_AFTER_A_CUT && !self.run.interrupt.hard.is_cancelled() {
                            continue;
                        }
                        return cut(begun, reason);
                    }
                    Err(Lost::NotStarted(reason)) => return cut(begun, reason),
                    Err(lost) => return Acted::lost(&lost),
                },
            };
            let change = match state.steps(&seen) {
                Ok(change) => change,
                Err(_) if self.check && self.target.state().would_change => {
                    return Acted::unpredictable("it depends on what an earlier task would change");
                }
                Err(failure) => return Acted::failed(failure),
            };
            let steps: Vec<StepLine> = change.steps.iter().map(|step| self.line(step)).collect();
            if change.steps.is_empty() {
                let finished = state.finish(change, &[]);
                return finished.map_or_else(Acted::failed, |result| match begun {
                    // The try that was cut off had done it all.
                    Some(steps) => Acted { steps, ..Acted::new(changed(&result), result) },
                    None if result.get("skipped") == Some(&Value::from(true)) => Acted::new(Status::Skipped, result),
                    None => Acted::new(Status::Ok, result),
                });
            }
            if self.quiet {
                return Acted::failed(Failure::new("it is no longer as it was"));
            }
            if !self.check {
                match self.lease(way, connection.as_ref()).await {
                    Ok(None) => {}
                    Ok(Some(refused)) => return Acted { steps, ..refused },
                    // Nothing was done yet.
                    Err(reason) => {
                        self.run.forget(&self.target, way).await;
                        if tries < TRIES_AFTER_A_CUT && !self.run.interrupt.hard.is_cancelled() {
                            continue;
                        }
                        return cut(begun, reason);
                    }
                }
            }
            let armed = match self.arm(room, || state.before(&seen)).await {
                Ok(armed) => armed,
                Err(failure) => return Acted { steps, ..Acted::failed(failure) },
            };
            if self.check {
                return self.preview(state, &seen, change, steps);
            }
            if let Some(refused) = self.unplanned(&change.steps) {
                return refused;
            }
            let item = self.item;
            let started = EventKind::ActStarted {
                key: self.key.clone(),
                host: self.host.name.clone(),
                item,
                steps: change.steps.iter().map(|step| self.announced(step, environment)).collect(),
                login: by_hand::login(&way.target),
                privilege: way.r#become.as_ref().map(by_hand::privilege).unwrap_or_default(),
            };
            // A condition that is looked at again leaves no trace: nothing is to be asked about after a crash.
            let recorded = if self.glance { Ok(()) } else { self.run.bus.record(started).await };
            if let Err(reason) = recorded
                && !self.undoing
            {
                if armed {
                    self.run.ledger.disarm(&self.key, &self.host.name, self.item);
                }
                self.run.interrupt.soft.cancel();
                return Acted::failed(Failure::new(format!(
                    "nothing was done: the journal can't be written: {reason}"
                )));
            }
            let began = self.run.clock.now();
            let done = self.apply(&change, way, environment, connection.as_ref(), &trace).await;
            let ended = self.run.clock.now();
            let finished = EventKind::ActFinished {
                key: self.key.clone(),
                host: self.host.name.clone(),
                item,
                done: done.is_ok(),
            };
            if !self.glance {
                self.run.bus.emit(finished);
            }
            match done {
                Ok(outputs) => {
                    let finished = if asks {
                        match self.settle_change(state, &change, &outputs, way, asked).await {
                            Ok(None) => continue,
                            Ok(Some(result)) => Ok(result),
                            Err(failure) => Err(failure),
                        }
                    } else {
                        state.finish(change, &outputs)
                    };
                    let acted = match finished {
                        Ok(result) => Acted::new(changed(&result), result),
                        Err(failure) => Acted::failed(failure),
                    };
                    let mut acted = Acted { steps, ..acted };
                    times(&mut acted.result, began, ended);
                    return acted;
                }
                Err((at, lost @ (Lost::InFlight(_) | Lost::NotStarted(_)))) => {
                    self.run.forget(&self.target, way).await;
                    // What is wanted can be looked at again and completed; a command that can't be seen through can't. What did
                    // not begin can always be done.
                    let in_flight = matches!(lost, Lost::InFlight(_));
                    let ran = change.steps.iter().take(if in_flight { at + 1 } else { at });
                    let repeatable = ran.clone().all(|step| !step.opaque && !step.once);
                    let closed = in_flight || matches!(lost, Lost::NotStarted(Unreachable::Closed { .. }));
                    let again = repeatable && closed && tries < TRIES_AFTER_A_CUT;
                    if !again || self.run.interrupt.hard.is_cancelled() {
                        let before = begun.is_some() || ran.count() > 0;
                        return match lost {
                            // Something had been done, or may have been: what the host is like is not known.
                            Lost::NotStarted(reason) if before => {
                                Acted { steps, ..Acted::lost(&Lost::InFlight(reason)) }
                            }
                            lost => Acted { steps, ..Acted::lost(&lost) },
                        };
                    }
                    if in_flight || at > 0 {
                        begun.get_or_insert(steps);
                    }
                }
                Err((_, lost)) => return Acted { steps, ..Acted::lost(&lost) },
            }
        }
    }

    /// What an earlier task of this preview would have left of what this one looks at.
    fn predicted(&self, state: &dyn State) -> Option<Option<Output>> {
        let host = self.target.state();
        state.subjects().iter().find_map(|subject| host.predicted.get(subject).cloned())
    }

    /// Looks what is missing, and changes nothing.
    ///
    /// # Errors
    /// The host can't be asked.
    pub(super) async fn missing(
        &self,
        state: &dyn State,
        way: &Way,
        environment: &[(String, String)],
    ) -> Result<Result<Vec<StepLine>, Failure>, String> {
        if !state.questions(&[]).is_empty() {
            return Ok(match self.look_by_questions(state, way, Instant::now()).await {
                Ok(seen) => state.steps(&seen).map(|change| change.steps.iter().map(|step| self.line(step)).collect()),
                Err(acted) => Err(Failure { message: acted.message, result: acted.result }),
            });
        }
        let connection = self.run.connection(&self.target, way).await.map_err(|reason| reason.to_string())?;
        let command = self.look_command(way, environment, &state.probe(), state.keep());
        let seen = connection.run(&command).await.map_err(|lost| lost.to_string())?;
        Ok(state.steps(&seen).map(|change| change.steps.iter().map(|step| self.line(step)).collect()))
    }

    /// Check mode: what would be done, and what the host would look like then.
    fn preview(&self, state: &dyn State, seen: &Output, change: Change, steps: Vec<StepLine>) -> Acted {
        let opaque = change.steps.iter().find(|step| step.opaque).map(|step| step.summary.clone());
        {
            let mut host = self.target.state();
            host.would_change = true;
            if state.looks() {
                let known = opaque.is_none();
                host.predicted
                    .extend(state.leaves(seen, &change).into_iter().map(|(s, answer)| (s, answer.filter(|_| known))));
            }
        }
        match opaque {
            Some(summary) => Acted { steps, ..Acted::unpredictable(format!("would {summary}")) },
            None => Acted { steps, ..Acted::new(changed(&change.result), change.result) },
        }
    }

    /// Does the steps one after another until one fails. With what has no end comes the number of its step.
    async fn apply(
        &self,
        change: &Change,
        way: &Way,
        environment: &[(String, String)],
        connection: &dyn Connection,
        trace: &Trace,
    ) -> Result<Vec<Applied>, (usize, Lost)> {
        let mut outputs = Vec::new();
        for (at, step) in change.steps.iter().enumerate() {
            match &step.act {
                // A line of the preview; another step does it.
                Act::Script { script, stdin: None } if script.is_empty() => {
                    outputs.push(Applied::Output(Output::default()));
                }
                Act::Script { script, stdin } => {
                    let mut command = self.command(way, environment, script.clone());
                    command.trace = Some(trace.clone());
                    command.stdin.clone_from(stdin);
                    if let Some(within) = self.detach {
                        let output = self.outlive(way, command, within).await.map_err(|lost| (at, lost))?;
                        outputs.push(Applied::Output(output));
                        continue;
                    }
                    if stdin.as_ref().is_some_and(|content| content.len() > 1 << 20) {
                        command.progress = Some(self.progress());
                    }
                    let output = connection.run(&command).await.map_err(|lost| (at, lost))?;
                    let failed = output.status != 0;
                    outputs.push(Applied::Output(output));
                    if failed {
                        break;
                    }
                }
                Act::Fetch { script, to, sha1 } => {
                    let command = self.command(way, environment, script.clone());
                    let output = fetch(connection, &command, to, sha1.as_deref()).await.map_err(|lost| (at, lost))?;
                    self.run.digests.forget(to);
                    let failed = output.status != 0;
                    outputs.push(Applied::Output(output));
                    if failed {
                        break;
                    }
                }
                Act::Http { request, via } => {
                    let answer = self.http(request, via.as_deref(), way).await;
                    let failed = answer.is_err();
                    outputs.push(Applied::Http(answer));
                    if failed {
                        break;
                    }
                }
            }
        }
        Ok(outputs)
    }

    fn progress(&self) -> Arc<dyn Fn(u64, u64) + Send + Sync> {
        let (bus, key, host) = (Arc::clone(&self.run.bus), self.key.clone(), self.host.name.clone());
        Arc::new(move |bytes, of| bus.emit(EventKind::Sent { key: key.clone(), host: host.clone(), bytes, of }))
    }

    /// Waits; false when the run is cut off meanwhile.
    pub(super) async fn pause(&self, duration: Duration) -> bool {
        tokio::select! {
            biased;
            () = tokio::time::sleep(duration) => true,
            () = self.run.interrupt.hard.cancelled() => false,
        }
    }

    /// A change of the run.
    pub(super) async fn course(&self, course: &dyn crate::modules::Course, room: &Room, here: &Here) -> Acted {
        let run_it = || blocking(|| course.run(here));
        let mut done = run_it();
        let needed = room.scope.needs.take();
        if !needed.is_empty() {
            for name in needed {
                if let Err(super::render::Trouble::Failed(failure)) = self.run.gather(&name, self.play_run()).await {
                    return Acted::failed(failure);
                }
            }
            done = run_it();
        }
        match done {
            Ok(Done { changed, result, effect }) => {
                let skipped = result.get("skipped") == Some(&Value::from(true));
                let status = match (skipped, changed) {
                    (true, _) => Status::Skipped,
                    (_, true) => Status::Changed,
                    _ => Status::Ok,
                };
                let mut acted = Acted::new(status, result);
                if let Effect::Pause { .. } = effect {
                    self.wait_for_person(&effect, &mut acted.result).await;
                } else {
                    acted.effect = effect;
                }
                acted
            }
            Err(failure) => not_made(failure, here),
        }
    }
}

/// Steps that don't count as a change say so in the result.
fn changed(result: &Map) -> Status {
    if result.get("changed") == Some(&Value::from(false)) { Status::Ok } else { Status::Changed }
}

/// Fills in when a command ran, where the result has a place for it.
fn times(result: &mut Map, began: i64, ended: i64) {
    for (name, text) in
        [("start", local_time(began)), ("end", local_time(ended)), ("delta", span_text(ended.saturating_sub(began)))]
    {
        if let Some(slot @ Value::Null) = result.get_mut(name) {
            *slot = Value::from(text);
        }
    }
}

/// A module that could not be made, or not run: failed, or resting on what is not known before the run.
pub(super) fn not_made(failure: Failure, here: &Here) -> Acted {
    match here.unknown() {
        Some(reason) => Acted::unpredictable(format!("it depends on: {reason}")),
        None => Acted::failed(failure),
    }
}
