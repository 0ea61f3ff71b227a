//! One batch: its hosts through gate, facts, sections and handlers, and the guards asked on the way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::Run;
use super::gather::gathering;
use super::guard::{Limits, Rules, Standing, judge};
use super::host::Host;
use super::play::PlayRun;
use super::task::{Locals, Rescue};
use crate::base::TaskId;
use crate::event::EventKind;
use crate::plan::Item;

/// A batch under way.
pub(super) struct BatchRun {
    pub(super) run: Arc<Run>,
    pub(super) play: Arc<PlayRun>,
    pub(super) index: u32,
    pub(super) hosts: Vec<Arc<Host>>,
    /// `meta: end_batch`.
    pub(super) ended: AtomicBool,
    /// How often each task ran.
    pub(super) passes: Mutex<HashMap<TaskId, u32>>,
}

impl BatchRun {
    pub(super) fn new(run: &Arc<Run>, play: &Arc<PlayRun>, index: u32, hosts: Vec<Arc<Host>>) -> Self {
        Self {
            run: Arc::clone(run),
            play: Arc::clone(play),
            index,
            hosts,
            ended: AtomicBool::new(false),
            passes: Mutex::default(),
        }
    }

    /// Asks the guards, and says so when one fires.
    pub(super) fn judge(&self) {
        self.judge_as(self.play.limits.any_errors_fatal);
    }

    /// The same, with what a task says of `any_errors_fatal`.
    pub(super) fn judge_as(&self, any_errors_fatal: bool) {
        if self.play.halted.load(Ordering::SeqCst) {
            return;
        }
        let standing = |hosts: &[Arc<Host>]| -> Vec<(String, Standing)> {
            hosts.iter().map(|host| (host.name.clone(), host.standing())).collect()
        };
        let (batch, play) = (standing(&self.hosts), standing(&self.play.hosts));
        fn borrow(list: &[(String, Standing)]) -> Vec<(&str, Standing)> {
            list.iter().map(|(name, standing)| (name.as_str(), *standing)).collect()
        }
        let limits = Limits { any_errors_fatal, ..self.play.limits.clone() };
        if let Some(halt) = judge(&limits, &borrow(&batch), &borrow(&play)) {
            self.play.progress.halt(&self.run, &self.play, halt);
        }
    }

    /// Takes its hosts through the whole play.
    pub(super) async fn run(self: Arc<Self>) {
        let (run, play) = (&self.run, &self.play);
        let none: Locals = Arc::new(HashMap::new());
        let gate: Vec<Item> = play.plan.gate.iter().map(|task| Item::Task(Arc::clone(task))).collect();
        let mut live = self.items(&gate, self.hosts.clone(), Rescue::None, false, Arc::clone(&none), 0).await;
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
        self.items(&gate, live, Rescue::None, true, none, 0).await;
        self.verify_all().await;
        self.judge();
        let ended = run.resumption.as_ref().is_some_and(|how| how.past.batch_ended(play.plan.id, self.index));
        if ended && self.hosts.iter().all(|host| !host.state().past_over) {
            return;
        }
        run.bus.emit(EventKind::BatchFinished { play: play.plan.id, batch: self.index });
    }
}
