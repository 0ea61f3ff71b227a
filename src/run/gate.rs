//! The gate of a play: conditions that must hold on every host of a batch before it begins and after it is done, and go on
//! holding while it bakes.
//!
//! A condition that does not hold halts the play, whatever `max_fail` allows: it speaks of the cluster, not of one host. A host
//! that can't be reached when it is asked is that host's failure, and the other guards count it; while it bakes it was reachable a
//! moment ago, and halts the play too. Nothing takes a gate's force: it is asked whatever tags, `--start-at-task`, `--step`,
//! `ignore_errors` or `run_once` say, after `meta: end_host` and `end_play`, and by hosts that finish in a halted play.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::batch::BatchRun;
use super::guard::{Refusal, Standing};
use super::host::Host;
use super::outcome::{HostResult, mark};
use super::task::{Locals, Rescue, place};
use crate::base::{render_duration, to_text};
use crate::event::{EventKind, TaskKey};
use crate::plan::Task;

/// How often the gate is asked while it bakes, as a part of the time: at least every [`SELDOM`], at most every [`OFTEN`].
const LOOKS: u32 = 20;
const OFTEN: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(30);

impl BatchRun {
    /// Asks all conditions on hosts; gives those on which they hold.
    pub(super) async fn gate(self: &Arc<Self>, hosts: Vec<Arc<Host>>) -> Vec<Arc<Host>> {
        let mut live = hosts;
        for task in &self.play.plan.gate {
            if self.run.interrupt.hard.is_cancelled() {
                break;
            }
            live = self.task(task, live, Rescue::Gate, &Locals::default()).await;
        }
        live
    }

    /// Hosts on which the gate is asked after the batch: all that got through, those that `meta: end_host` ended included. A host
    /// that failed is the other guards' matter.
    pub(super) fn through(&self) -> Vec<Arc<Host>> {
        let is_through = |host: &&Arc<Host>| matches!(host.standing(), Standing::Active | Standing::Ended);
        self.hosts.iter().filter(is_through).cloned().collect()
    }

    /// Whether nothing new may begin, this batch's first task included.
    pub(super) fn is_held_back(&self) -> bool {
        self.play.halted.load(Ordering::SeqCst) || self.play.ended.load(Ordering::SeqCst) || self.run.is_stopping()
    }

    /// The gate has to go on holding for the play's `bake`: asked again and again, the first time that it does not hold halts the
    /// play. A preview looks once. Ends early when nothing more is started anyway.
    pub(super) async fn bake(self: &Arc<Self>, hosts: Vec<Arc<Host>>) {
        let (run, play) = (&self.run, &self.play);
        let within = play.bake;
        if within.is_zero() || hosts.is_empty() || self.is_held_back() {
            return;
        }
        let baked = run.resumption.as_ref().is_some_and(|how| how.past.baked(play.plan.id, self.index));
        if baked && hosts.iter().all(|host| !host.state().past_over) {
            return;
        }
        let began = Instant::now();
        let every = (within / LOOKS).clamp(OFTEN, SELDOM);
        loop {
            let waited = began.elapsed();
            run.bus.emit(EventKind::Baking {
                play: play.plan.id,
                batch: self.index,
                waited: millis(waited),
                within: millis(within),
            });
            if !run.options.check {
                let left = within.saturating_sub(waited).max(Duration::from_millis(1));
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(every.min(left)) => {}
                    () = run.interrupt.soft.cancelled() => {}
                    () = run.interrupt.hard.cancelled() => {}
                }
            }
            if self.is_held_back() {
                return;
            }
            let waited = began.elapsed();
            if !self.still_holds(&hosts, waited).await {
                self.judge();
                return;
            }
            if waited >= within || run.options.check {
                break;
            }
        }
        run.bus.emit(EventKind::Baked { play: play.plan.id, batch: self.index });
    }

    /// Looks at each condition on each host, once. The first that does not hold is said as a task that failed.
    async fn still_holds(self: &Arc<Self>, hosts: &[Arc<Host>], waited: Duration) -> bool {
        for task in &self.play.plan.gate {
            let mut set: JoinSet<(usize, HostResult)> = JoinSet::new();
            let key = TaskKey { play: self.play.plan.id, batch: self.index, task: task.id, pass: 0 };
            for (at, host) in hosts.iter().enumerate() {
                let (batch, task, host, key) = (Arc::clone(self), Arc::clone(task), Arc::clone(host), key.clone());
                set.spawn(async move {
                    let _fork = Arc::clone(&batch.run.forks).acquire_owned().await.ok();
                    (at, batch.look(&task, &host, &key).await)
                });
            }
            let mut worst: Option<(usize, HostResult)> = None;
            while let Some(joined) = set.join_next().await {
                // A panic of ours is no answer, and what gave no answer does not hold.
                let (at, result) = joined.unwrap_or_else(|_| {
                    (
                        0,
                        HostResult::trouble(super::render::Trouble::Failed(crate::modules::Failure::new(
                            "a bug of stagger: please report it",
                        ))),
                    )
                });
                let lower = worst.as_ref().is_none_or(|(other, _)| at < *other);
                if result.status.ends_host() && lower {
                    worst = Some((at, result));
                }
            }
            if let Some((at, result)) = worst
                && let Some(host) = hosts.get(at)
            {
                self.refuse(task, host, result, waited).await;
                return false;
            }
        }
        true
    }

    /// One look at one condition, without a word to anybody.
    async fn look(self: &Arc<Self>, task: &Arc<Task>, host: &Arc<Host>, key: &TaskKey) -> HostResult {
        let room = self.room(host, task, &Locals::default());
        let mut result = match self.prepare(&room, task, key, host).await {
            Ok(mut prepared) => {
                prepared.glance = true;
                prepared.run().await
            }
            Err(trouble) => HostResult::trouble(trouble),
        };
        mark(&mut result);
        result
    }

    /// Says that a condition ceased to hold.
    async fn refuse(self: &Arc<Self>, task: &Arc<Task>, host: &Arc<Host>, result: HostResult, waited: Duration) {
        let key = self.key(task);
        let hosts = std::slice::from_ref(host);
        self.run.bus.emit(EventKind::TaskStarted {
            key: key.clone(),
            name: self.name_of(task, hosts, &Locals::default()).await,
            module: task.module.name.to_owned(),
            handler: false,
            place: place(&self.run.sources.place(task.span)),
            hosts: 1,
        });
        self.run.bus.emit(EventKind::HostStarted { key: key.clone(), host: host.name.clone() });
        self.keep(task, host, &result, Rescue::Gate);
        let value = format!(
            "{} held for {} of {} after the batch, then no more: {}",
            condition(task),
            render_duration(waited),
            render_duration(self.play.bake),
            said(task, &result.message)
        );
        let tally = {
            let mut state = host.state();
            state.refusal = Some(Refusal { guard: "bake", value });
            state.tally
        };
        let hidden = task.keywords.get("no_log").is_some();
        self.run.bus.emit(result.finished(&key, &host.name, tally, hidden));
        self.run.bus.emit(EventKind::TaskFinished { key });
    }
}

/// What a gate's failure is, for the guards: which condition, and what it said.
pub(super) fn refusal(task: &Task, message: &str) -> Refusal {
    Refusal { guard: "gate", value: format!("{} does not hold: {}", condition(task), said(task, message)) }
}

/// What a condition said, where that may be shown.
fn said<'a>(task: &Task, message: &'a str) -> &'a str {
    if task.keywords.get("no_log").is_some() { "what it said is hidden by no_log" } else { message }
}

/// A condition as it was written.
fn condition(task: &Task) -> String {
    let name = task.name.as_ref().map(|name| to_text(&name.to_value())).unwrap_or_default();
    format!("`{}`", name.strip_prefix("gate: ").unwrap_or(task.module.name))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
