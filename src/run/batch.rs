//! One batch: its hosts through gate, facts, sections, handlers, gate and bake, and the guards asked on the way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::Run;
use super::gather::gathering;
use super::guard::{Rules, Standing};
use super::host::Host;
use super::play::PlayRun;
use super::task::{Locals, Rescue};
use super::undo::Undoing;
use crate::base::TaskId;
use crate::event::EventKind;

/// A batch under way.
pub(super) struct BatchRun {
    pub(super) run: Arc<Run>,
    pub(super) play: Arc<PlayRun>,
    pub(super) index: u32,
    pub(super) hosts: Vec<Arc<Host>>,
    /// `meta: end_batch`.
    pub(super) ended: AtomicBool,
    /// The task to start at was reached.
    pub(super) started: AtomicBool,
    /// How often each task ran.
    pub(super) passes: Mutex<HashMap<TaskId, u32>>,
    pub(super) undoing: Undoing,
}

impl BatchRun {
    pub(super) fn new(run: &Arc<Run>, play: &Arc<PlayRun>, index: u32, hosts: Vec<Arc<Host>>) -> Self {
        Self {
            run: Arc::clone(run),
            play: Arc::clone(play),
            index,
            hosts,
            ended: AtomicBool::new(false),
            started: AtomicBool::new(play.started.unwrap_or_else(|| run.started.load(Ordering::SeqCst))),
            passes: Mutex::default(),
            undoing: Undoing::default(),
        }
    }

    /// Asks the guards, and says so when one fires.
    pub(super) fn judge(&self) {
        self.judge_as(self.play.limits.any_errors_fatal);
    }

    /// The same, with what a task says of `any_errors_fatal`.
    pub(super) fn judge_as(&self, any_errors_fatal: bool) {
        self.play.judge(&self.run, Some(self.index), any_errors_fatal, false);
    }

    /// Takes its hosts through the whole play.
    pub(super) async fn run(self: Arc<Self>) {
        let (run, play) = (&self.run, &self.play);
        let live = self.gate(self.hosts.clone()).await;
        // Nothing was done to any of them yet: where the gate does not hold for one, none begins.
        if !self.is_held_back() {
            self.work(live).await;
            let through = self.gate(self.through()).await;
            self.verify_all().await;
            self.judge();
            self.bake(through).await;
        }
        let ended = run.resumption.as_ref().is_some_and(|how| how.past.batch_ended(play.plan.id, self.index));
        if ended && self.hosts.iter().all(|host| !host.state().past_over) {
            return;
        }
        run.bus.emit(EventKind::BatchFinished { play: play.plan.id, batch: self.index });
    }

    /// Facts, sections and handlers.
    async fn work(self: &Arc<Self>, hosts: Vec<Arc<Host>>) {
        let (run, play) = (&self.run, &self.play);
        let none: Locals = Arc::new(HashMap::new());
        let mut live = hosts;
        if !play.lazy_facts
            && run.wants_facts(play).await
            && let Some(setup) = gathering(&play.plan)
        {
            live = self.task(&setup, live, Rescue::None, &none).await;
        }
        for section in &play.plan.sections {
            live = self.items(section, live, Rescue::None, false, Arc::clone(&none), 0).await;
            // Under Ansible's rules hosts of a halted batch lose their handlers; `force_handlers` keeps them.
            let stops = run.options.rules == Rules::Ansible && play.halted.load(Ordering::SeqCst);
            if play.force_handlers {
                let able: Vec<Arc<Host>> =
                    self.hosts.iter().filter(|host| host.standing() != Standing::Unreachable).cloned().collect();
                self.flush(able).await;
            } else if !stops && !self.ended.load(Ordering::SeqCst) {
                live = self.flush(live).await;
            }
            live.retain(|host| host.standing() == Standing::Active);
        }
        self.undo_rest().await;
    }
}
