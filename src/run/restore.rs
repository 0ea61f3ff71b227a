//! A resumed run: tasks that the journal knows done are passed over and their results restored, and before a host goes on
//! it is looked at whether what was done there is still so.
//!
//! What is looked at: of each thing that tasks were about (a file, a service) the last task's wish. A service that an opaque command
//! ran after is left alone: what the command did to it can't be told apart from what happened to it since.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use indexmap::IndexMap;

use super::Run;
use super::act::Acted;
use super::attempt::HostTask;
use super::batch::BatchRun;
use super::bind::Ready;
use super::connect::Way;
use super::guard::Standing;
use super::host::Host;
use super::outcome::HostResult;
use super::past::{Done, Past, Record, unseen};
use super::render::{Room, Trouble};
use super::task::{Locals, Rescue, place};
use crate::base::{PlayId, Value, to_text};
use crate::event::{Halt, Status, TaskKey};
use crate::modules::{Bound, Effect, Failure, State};
use crate::plan::{Play, Task};

/// How a run goes on.
#[derive(Debug)]
pub(crate) struct Resumption {
    /// What was done.
    pub(crate) past: Past,
    /// What becomes of commands that were in flight.
    pub(crate) unknown: WhenUnknown,
    /// What becomes of what is no longer as it was done.
    pub(crate) drifted: WhenDrifted,
    /// Only these hosts go on; empty means all.
    pub(crate) only: Vec<String>,
    /// Nothing goes on: what has to be taken back is, and the run is closed for good.
    pub(crate) abort: bool,
}

impl Resumption {
    /// Whether a host goes on.
    pub(super) fn takes(&self, host: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == host)
    }
}

/// What becomes of an act that was in flight and can't be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum WhenUnknown {
    /// The person is asked; where there is none, the task fails.
    #[default]
    Ask,
    /// It is done (again).
    Redo,
    /// It is taken for done.
    Skip,
}

/// What becomes of what was done and is no longer so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum WhenDrifted {
    /// The run halts and says what it is.
    #[default]
    Halt,
    /// It is done again.
    Redo,
    /// It stays as it is now.
    Leave,
}

/// A task that was done, and can be looked at again.
pub(crate) struct Claim {
    task: HostTask,
    room: Room,
    state: Box<dyn State>,
    way: Way,
    environment: Vec<(String, String)>,
    name: String,
}

impl Claim {
    /// Whether nothing takes back what was done.
    pub(super) fn is_for_good(&self) -> bool {
        self.task.task.undo.is_empty()
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Run {
    /// Takes from the journal who was added and who was left out.
    pub(super) fn take_up(&self) {
        let Some(Resumption { past, .. }) = &self.resumption else { return };
        self.add_again(&past.added);
        for host in past.skipped().keys() {
            self.hosts.get(host).state().standing = Standing::LeftOut;
        }
    }

    /// Before a play: hosts that were lost in it stay so for now where later batches are half done. Those come first, and the next
    /// `resume` brings these back.
    pub(super) fn let_wait(&self, play: &Play, names: &[String]) {
        let Some(Resumption { past, .. }) = &self.resumption else { return };
        let windowed = play.says("max_unavailable");
        for name in names.iter().filter(|name| past.waits(play.id, name, windowed)) {
            let host = self.hosts.get(name);
            let mut state = host.state();
            if state.standing.is_out() {
                continue;
            }
            state.standing = Standing::Failed;
            state.tally.failed += 1;
            drop(state);
            self.warn(format!(
                "{name} was lost in `{}` and waits: batches that began after its own are half done and come first; resume the run \
                 once more to bring it back",
                to_text(&play.name.to_value())
            ));
        }
    }

    /// Whether the run is taken up only to be closed.
    pub(super) fn only_undoes(&self) -> bool {
        self.resumption.as_ref().is_some_and(|how| how.abort)
    }

    /// Whether an earlier process of this run began a batch: nobody is asked for it again.
    pub(super) fn began_before(&self, play: PlayId, batch: u32) -> bool {
        self.resumption.as_ref().is_some_and(|how| how.past.batch(play, batch).is_some())
    }
}

impl BatchRun {
    fn past(&self) -> Option<&Past> {
        self.run.resumption.as_ref().map(|resumption| &resumption.past)
    }

    /// The host that did a task that is done once for all.
    pub(super) fn did_once(&self, key: &TaskKey, hosts: &[Arc<Host>]) -> Option<Arc<Host>> {
        let past = self.past()?;
        let did = |host: &&Arc<Host>| past.of_task(key, &host.name).is_some_and(|record| record.done().is_some());
        // Who did it may be lost since then: what it did holds for the others all the same.
        let elsewhere = |host: &&Arc<Host>| did(host) && !host.state().past_over;
        hosts.iter().find(did).or_else(|| self.play.named.iter().find(elsewhere)).cloned()
    }

    /// Restores what is known done; the past of the other hosts is over, and is looked at.
    ///
    /// # Errors
    /// What was done is no longer so, or the journal is of another course.
    pub(super) async fn recall(
        self: &Arc<Self>,
        task: &Arc<Task>,
        hosts: &[Arc<Host>],
        key: &TaskKey,
        rescue: Rescue,
        locals: &Locals,
    ) -> Result<HashMap<String, HostResult>, Halt> {
        let mut recalled = HashMap::new();
        let Some(past) = self.past() else { return Ok(recalled) };
        for host in hosts {
            if host.state().past_over {
                continue;
            }
            let Some(record) = past.of_task(key, &host.name) else {
                self.end_past(host, None).await?;
                continue;
            };
            self.same_task(past, task, key, host)?;
            if self.run.is_again(key, &host.name) {
                // The host goes on under the setting that was taken back; it is wanted again, but nothing else of its past.
                self.claim(task, host, key, &self.room(host, task, locals)).await;
                host.state().redone = true;
                continue;
            }
            let Some(done) = record.done() else {
                self.release(task, host, key, record, locals).await;
                self.end_past(host, Some(record)).await?;
                continue;
            };
            {
                let mut state = host.state();
                state.attempted = true;
                state.recalled += 1;
            }
            let result = self.restored(task, host, key, done, locals).await;
            self.keep(task, host, &result, rescue);
            recalled.insert(host.name.clone(), result);
        }
        Ok(recalled)
    }

    /// A plan that another playbook made must not be taken for the one of the journal.
    fn same_task(&self, past: &Past, task: &Task, key: &TaskKey, host: &Host) -> Result<(), Halt> {
        let Some((module, written)) = past.task(key) else { return Ok(()) };
        let now = place(&self.run.sources.place(task.span));
        if module == task.module.name && written == now {
            return Ok(());
        }
        Err(Halt {
            guard: "resume".to_owned(),
            host: Some(host.name.clone()),
            value: format!(
                "the journal has `{module}` ({written}) where the playbook now has `{}` ({now}): the course has changed, and \
                 what is done can't be told from it; start a new run, and `stagger abort` this one",
                task.module.name
            ),
        })
    }

    async fn restored(
        self: &Arc<Self>,
        task: &Arc<Task>,
        host: &Arc<Host>,
        key: &TaskKey,
        done: &Done,
        locals: &Locals,
    ) -> HostResult {
        let mut result = HostResult::recalled(done);
        let room = self.room(host, task, locals);
        let veiled = done.is_veiled();
        let looked = done.status == Status::Ok && done.steps.is_empty() && task.repeat.is_none();
        // What changes the run and not a host has to be done in this process too.
        let course = matches!(task.module.name, "set_fact" | "add_host" | "group_by" | "include_vars");
        if done.status != Status::Skipped && (course || (veiled && looked && task.register.is_some())) {
            match done.result.get("ansible_facts").and_then(Value::as_object) {
                Some(facts) if task.module.name == "set_fact" && !veiled => {
                    result.effects.push(Effect::Facts { facts: facts.clone(), cacheable: false });
                }
                _ => match self.prepare(&room, task, key, host).await {
                    Ok(mut prepared) => {
                        prepared.quiet = true;
                        let again = prepared.run().await;
                        if !again.status.ends_host() {
                            result.result = again.result;
                            result.effects = again.effects;
                        }
                    }
                    Err(trouble) => result.unknown = Some(said(&trouble)),
                },
            }
        }
        if veiled && result.result == done.result && task.register.is_some() {
            result.unknown =
                Some("its result was hidden in the journal and is not known to the process that resumes".to_owned());
        }
        if unseen(&done.steps) {
            // A command may well start what an earlier task stopped; a file that a task wrote is seldom rewritten by one.
            host.state().claims.retain(|_, claim| !is_service(&claim.task.task));
        } else if matches!(done.status, Status::Ok | Status::Changed) && !course && task.undo.is_empty() {
            self.claim(task, host, key, &room).await;
        }
        result
    }

    /// Remembers what a task that is done wants, so that it can be looked at.
    async fn claim(self: &Arc<Self>, task: &Arc<Task>, host: &Arc<Host>, key: &TaskKey, room: &Room) {
        let Ok(mut prepared) = self.prepare(room, task, key, host).await else { return };
        prepared.quiet = true;
        if prepared.check != self.run.options.check {
            return;
        }
        for (item, room) in prepared.rooms().await {
            prepared.item = item;
            let Ok(Ready::Bound { bound: Bound::State(state), way, environment, .. }) = prepared.bind(&room).await
            else {
                continue;
            };
            if !state.looks() || !state.lasts() {
                continue;
            }
            let name = task.name.as_ref().and_then(|name| name.as_str()).unwrap_or(task.module.name).to_owned();
            let subject = format!("{} {}", prepared.target.name, state.subject());
            let mut host = host.state();
            host.claims.shift_remove(&subject);
            host.claims.insert(subject, Claim { task: prepared.clone(), room, state, way, environment, name });
        }
    }

    /// What the first task that is not known done is about may be as it wants it already, or half-way there: what earlier tasks
    /// wanted of it is not looked at any more.
    async fn release(
        self: &Arc<Self>,
        task: &Arc<Task>,
        host: &Arc<Host>,
        key: &TaskKey,
        record: &Record,
        locals: &Locals,
    ) {
        if record.is_unseen() {
            host.state().claims.clear();
            return;
        }
        let room = self.room(host, task, locals);
        let Ok(mut prepared) = self.prepare(&room, task, key, host).await else { return };
        prepared.quiet = true;
        for (item, room) in prepared.rooms().await {
            prepared.item = item;
            if let Ok(Ready::Bound { bound: Bound::State(state), .. }) = prepared.bind(&room).await {
                host.state().claims.shift_remove(&format!("{} {}", prepared.target.name, state.subject()));
            }
        }
    }

    /// The first task that is not known done: what was done before is looked at.
    async fn end_past(self: &Arc<Self>, host: &Arc<Host>, record: Option<&Record>) -> Result<(), Halt> {
        // What this run itself changed after it is not another's doing: the host goes on where it was, so it is made so again.
        let went_on = record.is_some_and(|record| self.past().is_some_and(|past| past.went_on(record, &host.name)));
        let own = went_on || host.state().redone;
        self.verify(host, own).await?;
        let mut state = host.state();
        if let Some(setback) = &mut state.setback
            && record.is_some_and(Record::is_in_flight)
        {
            // It is still not known whether that was done.
            setback.status = Status::Unknown;
        }
        state.past_over = true;
        Ok(())
    }

    /// Looks whether what was done on a host is still so. What this run undid itself (`own`) is done again, and where that fails
    /// the host's next task does.
    ///
    /// # Errors
    /// It is not, and nobody said what is to become of it.
    async fn verify(self: &Arc<Self>, host: &Arc<Host>, own: bool) -> Result<(), Halt> {
        let claims: IndexMap<String, Claim> = std::mem::take(&mut host.state().claims);
        let Some(resumption) = self.run.resumption.as_ref().filter(|how| how.drifted != WhenDrifted::Leave) else {
            return Ok(());
        };
        if self.run.options.check {
            return Ok(());
        }
        for (_, Claim { task, room, state, way, environment, name }) in claims {
            let drift = match task.missing(state.as_ref(), &way, &environment).await {
                // An unreachable host is met as one by its next task.
                Err(_) => continue,
                Ok(Err(failure)) => failure.message,
                Ok(Ok(steps)) if steps.is_empty() || unseen(&steps) => continue,
                Ok(Ok(steps)) => steps.iter().map(|step| step.summary.as_str()).collect::<Vec<_>>().join(", "),
            };
            let at = place(&self.run.sources.place(task.task.span));
            if own || resumption.drifted == WhenDrifted::Redo {
                self.run.warn(format!(
                    "{}: `{name}` ({at}) was done and is no longer so; it is done again: {drift}",
                    host.name
                ));
                let task = HostTask { quiet: false, ..task };
                let acted = task.state(state.as_ref(), &room, &way, &environment).await;
                if !acted.status.ends_host() {
                    continue;
                }
                let message = format!("`{name}` ({at}) can't be done again: {}", acted.message);
                if own || acted.status != Status::Failed {
                    host.state().setback = Some(Acted { status: acted.status, ..Acted::failed(Failure::new(message)) });
                    return Ok(());
                }
                return Err(drifted(host, message));
            }
            return Err(drifted(
                host,
                format!(
                    "`{name}` ({at}) was done by this run and is no longer so; it would {drift}. Find out why, then \
                     `--redo` does it again, and `--leave` goes on with it as it is"
                ),
            ));
        }
        Ok(())
    }

    /// Looks at the hosts of a batch of which the journal has nothing further. Where a later play has something, what is
    /// wanted last is not known yet.
    pub(super) async fn verify_all(self: &Arc<Self>) {
        let Some(past) = self.past() else { return };
        let idle = self.hosts.iter().filter(|host| {
            let state = host.state();
            !state.past_over && state.recalled >= past.known_on(&host.name)
        });
        let looked = futures::future::join_all(idle.map(|host| self.verify(host, false))).await;
        if let Some(halt) = looked.into_iter().find_map(Result::err) {
            self.stop(halt);
        }
    }

    /// Stops this batch where it is, and the play with it.
    pub(super) fn stop(&self, halt: Halt) {
        self.ended.store(true, Ordering::SeqCst);
        self.play.progress.halt(&self.run, &self.play, halt);
    }
}

impl Run {
    /// Whether a task's change was taken back while its host had more to do.
    pub(super) fn is_again(&self, key: &TaskKey, host: &str) -> bool {
        let Some(past) = self.resumption.as_ref().map(|resumption| &resumption.past) else { return false };
        let now = self.ledger.took_back(key, host) && !past.is_through(key, host);
        now || past.is_again(key, host)
    }
}

impl HostResult {
    /// What a task, or an item of its loop, that was done before came to.
    pub(super) fn recalled(done: &Done) -> Self {
        Self {
            status: done.status,
            result: done.result.clone(),
            steps: done.steps.clone(),
            message: done.message.clone(),
            notified: done.notified.clone(),
            unknown: None,
            effects: Vec::new(),
            ignored: None,
        }
    }
}

fn is_service(task: &Task) -> bool {
    // The last is the simulation's.
    matches!(task.module.name, "service" | "systemd" | "sim_daemon")
}

fn drifted(host: &Host, value: String) -> Halt {
    Halt { guard: "verify".to_owned(), host: Some(host.name.clone()), value }
}

fn said(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Unknown(why) => why.clone(),
        Trouble::Failed(failure) => failure.message.clone(),
    }
}

/// Results in the order of the hosts.
pub(super) fn in_order(
    hosts: &[Arc<Host>],
    mut recalled: HashMap<String, HostResult>,
    done: Vec<(Arc<Host>, HostResult)>,
) -> Vec<(Arc<Host>, HostResult)> {
    if recalled.is_empty() {
        return done;
    }
    for (host, result) in done {
        recalled.insert(host.name.clone(), result);
    }
    hosts.iter().filter_map(|host| Some((Arc::clone(host), recalled.remove(&host.name)?))).collect()
}
