//! How time goes on: the scheduler's work, one turn after the other.

use std::time::Instant;

use super::nodes::uuid;
use super::nodes::{Config, Life};
use super::packages::Era;
use super::plan::Step;
use super::plan::{Held, Shown};
use super::world::{Recovery, Scheduler, World};

impl World {
    pub(super) fn tick(&mut self, now: Instant) {
        self.deployments.retain(|(_, end)| *end > now);
        self.tick_elastic(now);
        if self.app.is_none() {
            // Its process ends with its app; its tasks go on.
            self.scheduler = None;
        } else if self.scheduler.is_none() && self.crash.is_none() {
            self.start(now);
        }
        let Some(mut scheduler) = self.scheduler.take() else { return };
        if now >= scheduler.works {
            self.launched_steps(&mut scheduler, now);
            self.recover(&mut scheduler, now);
            self.take(&mut scheduler, now);
            let era = scheduler.era;
            let complete = scheduler.plan.shown(era) == Shown::Complete;
            scheduler.complete = scheduler.complete.filter(|_| complete).or_else(|| complete.then_some(now));
            if !self.marked && scheduler.complete.is_some_and(|since| now >= since + self.seconds(5.0)) {
                self.marked = true;
                self.note(now, "marked", "the first deployment");
            }
        }
        let out = self.tasks.values().filter(|task| !task.ready).count();
        self.most_out = self.most_out.max(out);
        if self.scheduler.is_none() && self.app.is_some() {
            self.scheduler = Some(scheduler);
        }
    }

    /// A launched task runs, and passes its check, or fails.
    fn on(&mut self, step: &mut Step, era: Era, now: Instant) {
        let waited = now.saturating_duration_since(step.since);
        match step.held {
            Held::Starting if waited >= self.seconds(0.8) => {
                if self.failing.contains(&step.pod) {
                    self.kill(&step.pod, Life::Failed, now);
                    (step.held, step.since) = (Held::Pending, now);
                    return;
                }
                (step.held, step.since) = (Held::Started, now);
                if let Some(task) = self.tasks.get_mut(&step.pod) {
                    task.life = Life::Running;
                }
            }
            Held::Started if waited >= self.seconds(if era == Era::Guide { 3.0 } else { 2.5 }) => {
                (step.held, step.since) = (Held::Complete, now);
                if let Some(task) = self.tasks.get_mut(&step.pod) {
                    task.ready = true;
                }
                self.note(now, "ready", &step.pod.clone());
            }
            _ => {}
        }
    }

    fn launched_steps(&mut self, scheduler: &mut Scheduler, now: Instant) {
        let era = scheduler.era;
        for phase in &mut scheduler.plan.phases {
            for step in &mut phase.steps {
                let before = step.held;
                self.on(step, era, now);
                if before != Held::Complete && step.held == Held::Complete {
                    scheduler.next = now + self.seconds(1.0);
                }
            }
        }
        for recovery in &mut scheduler.recovery {
            self.on(&mut recovery.step, era, now);
        }
    }

    /// Works at the steps that may be worked at.
    fn take(&mut self, scheduler: &mut Scheduler, now: Instant) {
        if !scheduler.plan.errors.is_empty() {
            return;
        }
        let era = scheduler.era;
        for phase in scheduler.plan.candidates(era) {
            let candidates = scheduler.plan.phases[phase].candidates();
            for at in candidates {
                let step = &mut scheduler.plan.phases[phase].steps[at];
                let alive = self.tasks.get(&step.pod).is_some_and(|task| !task.life.is_dead());
                let waited = now.saturating_duration_since(step.since);
                match step.held {
                    Held::Pending if now < scheduler.next || waited < self.seconds(0.4) => {}
                    // A running task is killed first.
                    Held::Pending | Held::Prepared
                        if alive && (step.held == Held::Pending || waited >= self.seconds(0.4)) =>
                    {
                        let pod = step.pod.clone();
                        (step.held, step.since) = (Held::Prepared, now);
                        self.kill(&pod, Life::Killed, now);
                    }
                    Held::Prepared if alive => {}
                    Held::Pending => (step.held, step.since) = (Held::Prepared, now),
                    Held::Prepared
                        if waited >= self.seconds(0.6) && !step.declined && !self.held.contains(&step.pod) =>
                    {
                        let pod = step.pod.clone();
                        (step.held, step.since) = (Held::Starting, now);
                        self.launch(&pod, &scheduler.target.clone(), now);
                    }
                    _ => {}
                }
            }
        }
        // Offers for a killed node are refused for a long time while its phase is interrupted.
        for phase in scheduler.plan.phases.iter_mut().filter(|phase| phase.interrupted && era != Era::Guide) {
            for step in phase.steps.iter_mut().filter(|step| step.held == Held::Prepared) {
                step.declined = true;
            }
        }
    }

    /// Brings back what died and is nobody else's work.
    fn recover(&mut self, scheduler: &mut Scheduler, now: Instant) {
        let era = scheduler.era;
        let dead: Vec<String> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.life.is_dead() && now >= task.since + self.seconds(1.0))
            .map(|(pod, _)| pod.clone())
            .collect();
        for pod in dead {
            if scheduler.recovery.iter().any(|one| one.step.pod == pod && one.step.held != Held::Complete) {
                continue;
            }
            let plan = &scheduler.plan;
            let interrupted = plan.interrupted;
            let active = plan.candidates(era);
            let own = plan.phases.iter().enumerate().find_map(|(at, phase)| {
                let step = phase.steps.iter().find(|step| step.pod == pod)?;
                Some((
                    phase.interrupted,
                    active.contains(&at) && phase.clone().candidates().iter().any(|c| phase.steps[*c].pod == pod),
                    step.held,
                ))
            });
            let mine = match own {
                None => false,
                // It is the plan's work.
                Some((_, true, _)) => false,
                // The plan counts it as its own and does nothing: the node stays dead.
                Some((true, _, Held::Prepared)) if !interrupted => false,
                Some(_) => true,
            };
            if !mine {
                continue;
            }
            let config: Config = match (era, self.launched.get(&pod)) {
                (Era::Guide, _) | (_, None) => scheduler.target.clone(),
                (_, Some(config)) => config.clone(),
            };
            scheduler.recovery.retain(|one| one.step.pod != pod);
            let step =
                Step { id: uuid(self.number()), pod, held: Held::Pending, marked: false, since: now, declined: false };
            scheduler.recovery.push(Recovery { step, phase_id: uuid(self.number()), config });
        }
        for at in 0..scheduler.recovery.len() {
            let Recovery { step, config, .. } = scheduler.recovery[at].clone();
            let waited = now.saturating_duration_since(step.since);
            let next = match step.held {
                Held::Pending if waited >= self.seconds(0.3) => Held::Prepared,
                Held::Prepared if waited >= self.seconds(0.3) && !self.held.contains(&step.pod) => {
                    self.launch(&step.pod, &config, now);
                    Held::Starting
                }
                _ => continue,
            };
            let step = &mut scheduler.recovery[at].step;
            (step.held, step.since) = (next, now);
        }
    }
}
