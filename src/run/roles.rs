//! Roles on the hosts of a batch: run once for the same parameters, left early by `meta: end_role`, included while running.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use super::batch::BatchRun;
use super::guard::Standing;
use super::host::Host;
use super::outcome::HostResult;
use super::render::{Room, Trouble};
use super::task::{Locals, Rescue};
use crate::event::Status;
use crate::modules::Failure;
use crate::plan::{Exports, Include, Item, RoleItems, Task};
use crate::playbook::{self, Ground, RoleCall};

/// What a play knows of its roles while it runs.
#[derive(Default)]
pub(super) struct Roles(Mutex<State>);

#[derive(Default)]
struct State {
    /// Hosts on which a task of a role was more than skipped, by the role's identity.
    began: HashSet<(String, String)>,
    /// Hosts that went through a role.
    ended: HashSet<(String, String)>,
    /// What included roles show to the play.
    exports: Vec<Arc<Exports>>,
    /// Their handlers.
    handlers: Vec<Item>,
}

impl Roles {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What included roles show to the play, the later ones last.
    pub(super) fn exports(&self) -> Vec<Arc<Exports>> {
        self.lock().exports.clone()
    }

    /// The handlers of included roles.
    pub(super) fn handlers(&self) -> Vec<Item> {
        self.lock().handlers.clone()
    }

    /// Takes what roles that are included, or imported by what is, add to the play.
    pub(super) fn add(&self, handlers: [Vec<Item>; 2], exports: Exports) {
        let mut state = self.lock();
        state.handlers.extend(handlers.into_iter().flatten());
        if !exports.names.is_empty() {
            state.exports.push(Arc::new(exports));
        }
    }

    /// Takes what a task of a role came to on a host.
    pub(super) fn mark(&self, task: &Task, host: &Host, result: &HostResult) {
        if let Some(role) = &task.keywords.role
            && !matches!(result.status, Status::Skipped | Status::Unreachable | Status::Unknown)
        {
            self.lock().began.insert((role.identity.clone(), host.name.clone()));
        }
    }
}

impl BatchRun {
    /// The tasks of a role, on hosts that have not been through it; gives the hosts that go on.
    pub(super) async fn role(
        self: &Arc<Self>,
        role: &RoleItems,
        hosts: Vec<Arc<Host>>,
        rescue: Rescue,
        even_if_halted: bool,
        locals: &Locals,
        depth: usize,
    ) -> Vec<Arc<Host>> {
        let place = &role.place;
        let id = |host: &Host| (place.identity.clone(), host.name.clone());
        let is_done = |host: &Host| !place.duplicates && self.play.roles.lock().ended.contains(&id(host));
        let at_work: Vec<Arc<Host>> = hosts.iter().filter(|host| !is_done(host)).cloned().collect();
        if at_work.is_empty() {
            return hosts;
        }
        let done = self.items(&role.items, at_work.clone(), rescue, even_if_halted, Arc::clone(locals), depth).await;
        let is_in = |host: &Arc<Host>, list: &[Arc<Host>]| list.iter().any(|other| Arc::ptr_eq(other, host));
        hosts
            .into_iter()
            .filter(|host| {
                if !is_in(host, &at_work) {
                    return true;
                }
                let left_early = std::mem::take(&mut host.state().role_over);
                let through = is_in(host, &done) || left_early && host.standing() == Standing::Active;
                let mut roles = self.play.roles.lock();
                if through && roles.began.contains(&id(host)) {
                    roles.ended.insert(id(host));
                }
                through
            })
            .collect()
    }

    /// The role that a host includes.
    pub(super) async fn role_call(&self, include: &Include, room: &Room, name: String) -> Result<RoleCall, Trouble> {
        let wish = include.role.clone().unwrap_or_default();
        let mut from = Vec::new();
        for (folder, file) in &wish.from {
            from.push((*folder, room.text(file).await?));
        }
        Ok(RoleCall {
            name,
            span: include.file.span,
            from,
            include: true,
            public: wish.public.or(Some(false)),
            duplicates: wish.duplicates,
            validate: wish.validate.unwrap_or(true),
        })
    }

    /// Reads and compiles an included role, once a play and place.
    pub(super) fn read_role(&self, include: &Include, call: &RoleCall) -> Result<Arc<Vec<Item>>, Failure> {
        let key = (format!("{}\n{:?}", call.name, call.from).into(), include.task.id);
        let mut cache = self.play.included.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(items) = cache.get(&key) {
            return Ok(Arc::clone(items));
        }
        let sources = &self.run.sources;
        let around = include.inherited.role.as_ref().map(|place| place.folders()).unwrap_or_default();
        let is_module = |name: &str| crate::modules::find(name).is_some();
        let ground = Ground { is_module: &is_module, roles_path: &self.run.options.roles_path };
        let none = playbook::Keywords::default();
        let (role, mut wrong) = playbook::load_role(sources, call, none, &self.play.plan.directory, around, ground);
        let mut compiled = (Vec::new(), [Vec::new(), Vec::new()], Exports::default());
        if let Some(role) = &role {
            let selection = self.run.selection();
            let next = self.run.next_task.load(Ordering::SeqCst);
            let mut compiler = crate::plan::Compiler::new(&self.run.engine, &selection, next);
            let items = compiler.role(role, &include.inherited, None, include.task.handler);
            compiled = (items, compiler.role_handlers(), compiler.exports());
            let (more, next) = compiler.finish();
            self.run.next_task.store(next, Ordering::SeqCst);
            wrong.extend(more);
        }
        super::items::refuse(&format!("the role {}", call.name), &wrong, sources)?;
        let (items, handlers, exports) = compiled;
        self.play.roles.add(handlers, exports);
        let items = Arc::new(items);
        cache.insert(key, Arc::clone(&items));
        Ok(items)
    }
}
