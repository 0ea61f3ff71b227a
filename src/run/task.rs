//! One task on the hosts of a batch: once or on each, bounded, with a barrier at the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::act::Acted;
use super::attempt::HostTask;
use super::batch::BatchRun;
use super::gate::refusal;
use super::guard::{Rules, Standing};
use super::host::Host;
use super::outcome::{HostResult, mark};
use super::past::unseen;
use super::render::{Room, Trouble};
use super::restore::in_order;
use crate::base::{Var, to_text};
use crate::event::{EventKind, Status, TaskKey};
use crate::modules::Failure;
use crate::plan::Task;

/// How a host's failure at a task is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rescue {
    /// A rescue section around it takes it.
    Taken,
    /// It is the host's failure, and guards are asked.
    None,
    /// It is a condition of the play that does not hold, and halts it.
    Gate,
}

impl BatchRun {
    /// Runs a task on those hosts; gives those that go on.
    pub(super) async fn task(
        self: &Arc<Self>,
        task: &Arc<Task>,
        hosts: Vec<Arc<Host>>,
        rescue: Rescue,
        locals: &Locals,
    ) -> Vec<Arc<Host>> {
        if hosts.is_empty() {
            return hosts;
        }
        let run = &self.run;
        let name = self.name_of(task, &hosts, locals).await;
        let gate = rescue == Rescue::Gate;
        if !self.started.load(Ordering::SeqCst) && !task.handler && !gate {
            let wanted = run.options.start_at.as_deref().unwrap_or_default();
            let short = task.name.as_ref().and_then(|name| name.as_str()).unwrap_or_default();
            if !name_matches(wanted, &name) && !name_matches(wanted, short) {
                return hosts;
            }
            self.started.store(true, Ordering::SeqCst);
            run.started.store(true, Ordering::SeqCst);
        }
        if run.options.step && !gate && !run.unasked.load(Ordering::SeqCst) {
            match run.ask(&format!("Perform task: {name} (N)o/(y)es/(c)ontinue: "), true, None).await {
                Ok(Some(answer)) if answer.trim().to_lowercase().starts_with('y') => {}
                Ok(Some(answer)) if answer.trim().to_lowercase().starts_with('c') => {
                    run.unasked.store(true, Ordering::SeqCst)
                }
                Ok(_) => return hosts,
                Err(_) if run.interrupt.soft.is_cancelled() => return hosts,
                Err(reason) => {
                    run.warn(format!("--step can't ask: {reason}; nothing more is started"));
                    run.interrupt.soft.cancel();
                    return hosts;
                }
            }
        }
        let first = &hosts[..1];
        let once = match self.room(&hosts[0], task, locals).flag(task.keywords.get("run_once"), false).await {
            Ok(once) => once,
            Err(trouble) => return self.all_failed(task, &name, hosts, trouble, rescue).await,
        };
        // These change the run, not a host: once for all (facts/ansible.md §13).
        let bypass = matches!(task.module.name, "add_host" | "pause");
        let mut key = self.key(task);
        // Once for all that go through the window: who comes first does it, and the others wait for what comes of it. Also for all
        // of a play that takes its hosts together, of which one may come late: lost before, and back in a resumed run.
        let together = !self.play.limits.rolling && self.play.plan.serial_by.is_none();
        let shared =
            (once && (self.play.limits.window.is_some() || together)).then(|| self.play.shared(task.id, key.pass));
        if shared.is_some() {
            // Whoever does it, it is the same one: a resumed run finds it whoever comes first then.
            key.batch = 0;
        }
        let mut taken = match &shared {
            Some(shared) => Some(shared.lock().await),
            None => None,
        };
        if let Some((from, result)) = taken.as_ref().and_then(|taken| taken.as_ref()) {
            self.share(task, from, result, &hosts);
            if !ends(result.status) {
                return hosts;
            }
            self.fail_all(task, result, &hosts, rescue);
            self.judge_as(self.fatal(task, &hosts, locals).await);
            return Vec::new();
        }
        // Who did what is done once for all is asked of the journal.
        let by = if once || bypass {
            self.did_once(&key, if shared.is_some() { &self.play.named } else { &hosts })
        } else {
            None
        };
        let first = by.as_ref().map_or(first, std::slice::from_ref);
        let at_work: &[Arc<Host>] = if once || bypass { first } else { &hosts };
        let recalled = match self.recall(task, at_work, &key, rescue, locals).await {
            Ok(recalled) => recalled,
            Err(halt) => {
                self.stop(halt);
                return Vec::new();
            }
        };
        let fresh: Vec<Arc<Host>> = at_work.iter().filter(|host| !recalled.contains_key(&host.name)).cloned().collect();
        if !fresh.is_empty() {
            run.bus.emit(EventKind::TaskStarted {
                key: key.clone(),
                name: name.clone(),
                module: task.module.name.to_owned(),
                handler: task.handler,
                place: place(&run.sources.place(task.span)),
                hosts: u32::try_from(fresh.len()).unwrap_or(u32::MAX),
            });
        }
        let throttle = self.throttle(task, &hosts[0], locals).await;
        let done = self.on_each(task, &fresh, &key, rescue, locals, throttle).await;
        let results = in_order(at_work, recalled, done);
        let mut out: Vec<Arc<Host>> = Vec::new();
        for (host, result) in &results {
            self.play.roles.mark(task, host, result);
            if once {
                self.share(task, host, result, &hosts);
            }
            if ends(result.status) {
                out.push(Arc::clone(host));
            }
        }
        if let (true, Some((by, result))) = (once && !out.is_empty(), results.first()) {
            let others: Vec<Arc<Host>> = hosts.iter().filter(|host| !Arc::ptr_eq(host, by)).cloned().collect();
            self.fail_all(task, result, &others, rescue);
            out.clone_from(&hosts);
        }
        if let (Some(taken), Some((host, result))) = (&mut taken, results.first()) {
            **taken = Some((Arc::clone(host), result.clone()));
        }
        if !fresh.is_empty() {
            run.bus.emit(EventKind::TaskFinished { key });
        }
        for (host, result) in &results {
            for effect in &result.effects {
                self.effect(effect, host);
            }
        }
        let failure = out.iter().find_map(|host| host.state().failure.clone());
        if let Some(failure) = failure
            && rescue == Rescue::Taken
            && self.fatal(task, &hosts, locals).await
        {
            // Fatal for all of them, and taken by the section that rescues: as in Ansible, all hosts go there.
            for host in hosts.iter().filter(|host| host.standing() == Standing::Active) {
                host.state().failure.get_or_insert_with(|| failure.clone());
            }
            out.clone_from(&hosts);
        }
        if !out.is_empty() && rescue != Rescue::Taken
            || results.iter().any(|(_, r)| matches!(r.status, Status::Unreachable | Status::Unknown))
        {
            self.judge_as(self.fatal(task, &hosts, locals).await);
        } else if run.options.rules == Rules::Ansible {
            // Ansible looks after every task: what earlier batches lost may be too much for a smaller one.
            self.judge();
        }
        hosts.into_iter().filter(|host| !out.iter().any(|gone| Arc::ptr_eq(gone, host))).collect()
    }

    async fn on_each(
        self: &Arc<Self>,
        task: &Arc<Task>,
        hosts: &[Arc<Host>],
        key: &TaskKey,
        rescue: Rescue,
        locals: &Locals,
        throttle: Option<usize>,
    ) -> Vec<(Arc<Host>, HostResult)> {
        // Across all hosts at work, also where each goes through a window on its own.
        let narrow = throttle.map(|most| self.play.narrow(task.id, most.max(1)));
        let mut set: JoinSet<(usize, HostResult)> = JoinSet::new();
        for (at, host) in hosts.iter().enumerate() {
            let (batch, task, host, key) = (Arc::clone(self), Arc::clone(task), Arc::clone(host), key.clone());
            let (narrow, locals) = (narrow.clone(), locals.clone());
            set.spawn(async move {
                let _narrow = match &narrow {
                    Some(semaphore) => Arc::clone(semaphore).acquire_owned().await.ok(),
                    None => None,
                };
                let _fork = Arc::clone(&batch.run.forks).acquire_owned().await.ok();
                (at, batch.host_task(&task, &host, &key, rescue, &locals).await)
            });
        }
        let mut results: Vec<Option<HostResult>> = hosts.iter().map(|_| None).collect();
        while let Some(joined) = set.join_next().await {
            if let Ok((at, result)) = joined
                && let Some(slot) = results.get_mut(at)
            {
                *slot = Some(result);
            }
        }
        hosts
            .iter()
            .zip(results)
            .map(|(host, result)| {
                let result = result.unwrap_or_else(|| self.bug(task, host, key, rescue));
                (Arc::clone(host), result)
            })
            .collect()
    }

    /// A panic of ours is that host's outcome, not the end of the run.
    fn bug(&self, task: &Task, host: &Arc<Host>, key: &TaskKey, rescue: Rescue) -> HostResult {
        let message = format!(
            "a bug of stagger in `{}`: please report it; what was done on the host is not known",
            task.module.name
        );
        let mut result = HostResult::of(Acted::failed(Failure::new(message)));
        result.status = Status::Bug;
        let tally = {
            let mut state = host.state();
            state.standing = Standing::Failed;
            if rescue == Rescue::Gate {
                state.refusal = Some(refusal(task, &result.message));
            }
            state.tally.failed += 1;
            state.tally
        };
        self.run.bus.emit(result.finished(key, &host.name, tally, false));
        result
    }

    /// One host's part: keywords that hold for it, the task itself, and what is kept of it.
    async fn host_task(
        self: &Arc<Self>,
        task: &Arc<Task>,
        host: &Arc<Host>,
        key: &TaskKey,
        rescue: Rescue,
        locals: &Locals,
    ) -> HostResult {
        let began = Instant::now();
        host.state().attempted = true;
        self.run.bus.emit(EventKind::HostStarted { key: key.clone(), host: host.name.clone() });
        let room = self.room(host, task, locals);
        let (mut delegate, mut delegate_address) = (None, None);
        let mut no_log = false;
        let mut check = self.run.options.check;
        let setback = host.state().setback.take();
        let mut result = match self.prepare(&room, task, key, host).await {
            Ok(mut prepared) => {
                let result = match setback {
                    Some(setback) => HostResult::of(setback),
                    None => prepared.run().await,
                };
                no_log = prepared.no_log;
                check = prepared.check;
                delegate = prepared.delegate();
                delegate_address = prepared.delegate_address().await;
                result
            }
            Err(trouble) => HostResult::trouble(trouble),
        };
        if !check && result.status == Status::Unpredictable {
            // Outside check mode what can't be known is what a resumed run could not restore.
            result.status = Status::Failed;
        }
        mark(&mut result);
        let keyword = async |name: &str| room.flag(task.keywords.get(name), false).await.unwrap_or(false);
        let weakens = rescue != Rescue::Gate;
        if weakens && matches!(result.status, Status::Failed | Status::Unreachable) {
            // In a loop each item says for itself whether its end is to be ignored.
            let ignored = match result.ignored {
                Some(ignored) => ignored,
                None => keyword(ignoring(result.status)).await,
            };
            if ignored {
                result.status = Status::Ignored;
            }
        }
        if rescue == Rescue::Gate && result.status == Status::Changed {
            // A condition looks, also where a command does it.
            result.status = Status::Ok;
            mark(&mut result);
        }
        self.keep(task, host, &result, rescue);
        let rescued = result.status == Status::Failed && rescue == Rescue::Taken;
        let tally = host.state().tally;
        let mut finished = result.finished(key, &host.name, tally, no_log);
        if let EventKind::HostFinished { delegate: on, delegate_address: address, took, rescued: taken, .. } =
            &mut finished
        {
            (*on, *address, *taken) = (delegate, delegate_address, rescued);
            *took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
        if unseen(&result.steps) {
            // Nobody could tell afterwards whether it was done: safe before anything follows. A journal that fails ends
            // the run by itself.
            let _ = self.run.bus.record(finished).await;
        } else {
            self.run.bus.emit(finished);
        }
        result
    }

    pub(super) async fn prepare(
        self: &Arc<Self>,
        room: &Room,
        task: &Arc<Task>,
        key: &TaskKey,
        host: &Arc<Host>,
    ) -> Result<HostTask, Trouble> {
        let options = &self.run.options;
        let mut prepared = HostTask {
            run: Arc::clone(&self.run),
            room: room.clone(),
            task: Arc::clone(task),
            key: key.clone(),
            host: Arc::clone(host),
            target: Arc::clone(host),
            check: options.check,
            glance: false,
            diff: options.diff,
            no_log: false,
            timeout: options.task_timeout,
            detach: None,
            item: 0,
            quiet: false,
            undoing: false,
        };
        let settled = prepared.settle(room).await;
        // In a loop they are worked out for each item again, and may need it.
        if task.repeat.is_none() {
            settled?;
        }
        Ok(prepared)
    }

    /// A task that can't even be started fails on all hosts.
    pub(super) async fn all_failed(
        self: &Arc<Self>,
        task: &Arc<Task>,
        name: &str,
        hosts: Vec<Arc<Host>>,
        trouble: Trouble,
        rescue: Rescue,
    ) -> Vec<Arc<Host>> {
        let key = self.key(task);
        self.run.bus.emit(EventKind::TaskStarted {
            key: key.clone(),
            name: name.to_owned(),
            module: task.module.name.to_owned(),
            handler: task.handler,
            place: place(&self.run.sources.place(task.span)),
            hosts: u32::try_from(hosts.len()).unwrap_or(u32::MAX),
        });
        let result = match trouble {
            Trouble::Unknown(why) => HostResult::of(Acted::unpredictable(why)),
            Trouble::Failed(failure) => HostResult::of(Acted::failed(failure)),
        };
        for host in &hosts {
            self.keep(task, host, &result, rescue);
            let tally = host.state().tally;
            let mut finished = result.finished(&key, &host.name, tally, false);
            if let EventKind::HostFinished { rescued, .. } = &mut finished {
                *rescued = rescue == Rescue::Taken;
            }
            self.run.bus.emit(finished);
        }
        self.run.bus.emit(EventKind::TaskFinished { key });
        self.judge();
        if ends(result.status) { Vec::new() } else { hosts }
    }

    /// Whether any error is fatal at this task.
    async fn fatal(&self, task: &Task, hosts: &[Arc<Host>], locals: &Locals) -> bool {
        let Some(host) = hosts.first() else { return false };
        let room = self.room(host, task, locals);
        room.flag(task.keywords.get("any_errors_fatal"), self.play.limits.any_errors_fatal).await.unwrap_or(true)
    }

    async fn throttle(&self, task: &Task, host: &Arc<Host>, locals: &Locals) -> Option<usize> {
        let text = self.room(host, task, locals).optional(task.keywords.get("throttle")).await.ok()??;
        text.trim().parse::<usize>().ok().filter(|most| *most > 0)
    }

    /// The task's name as shown: rendered for the first host, as written where that can't be done.
    pub(super) async fn name_of(&self, task: &Task, hosts: &[Arc<Host>], locals: &Locals) -> String {
        let Some(name) = &task.name else { return task.title() };
        let written = to_text(&name.to_value());
        task.titled(match hosts.first() {
            Some(host) if written.contains("{{") => self.room(host, task, locals).text(name).await.unwrap_or(written),
            _ => written,
        })
    }

    /// The variables of a host at a task.
    pub(super) fn room(&self, host: &Arc<Host>, task: &Task, locals: &Locals) -> Room {
        let locals = locals.get(&host.name);
        Room::new(&self.run, host, Some(&self.play)).with(|scope| {
            scope.layers.clone_from(&task.keywords.vars);
            scope.parameters.clone_from(&task.keywords.parameters);
            scope.role.clone_from(&task.keywords.role);
            if let Some(locals) = locals {
                scope.locals.clone_from(locals);
            }
        })
    }

    pub(super) fn key(&self, task: &Task) -> TaskKey {
        let pass = {
            let mut passes = self.passes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let pass = passes.entry(task.id).or_insert(0);
            *pass += 1;
            *pass - 1
        };
        TaskKey { play: self.play.plan.id, batch: self.index, task: task.id, pass }
    }
}

/// Variables for one use, by host.
pub(super) type Locals = Arc<std::collections::HashMap<String, indexmap::IndexMap<String, Var>>>;

/// The keyword that lets a host go on after this.
pub(super) fn ignoring(status: Status) -> &'static str {
    if status == Status::Unreachable { "ignore_unreachable" } else { "ignore_errors" }
}

/// Whether a host is out after this.
pub(super) fn ends(status: Status) -> bool {
    status.ends_host()
}

/// `file:line` without the column.
pub(super) fn place(full: &str) -> String {
    full.rsplit_once(':').map_or_else(|| full.to_owned(), |(place, _)| place.to_owned())
}

/// `--start-at-task`: a shell glob, or the name itself.
fn name_matches(pattern: &str, name: &str) -> bool {
    if pattern == name {
        return true;
    }
    let mut regex = String::from("^");
    for c in pattern.chars() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            c if c.is_alphanumeric() || c == ' ' || c == '_' => regex.push(c),
            c => {
                regex.push('\\');
                regex.push(c);
            }
        }
    }
    regex.push('$');
    fancy_regex::Regex::new(&regex).is_ok_and(|regex| regex.is_match(name).unwrap_or(false))
}
