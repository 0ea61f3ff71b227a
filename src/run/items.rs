//! Task lists on the hosts of a batch: blocks with rescue and always, includes, meta.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::BoxFuture;
use indexmap::IndexMap;
use serde_json::json;

use super::act::Acted;
use super::batch::BatchRun;
use super::guard::{Rules, Standing};
use super::host::Host;
use super::outcome::{HostResult, mark};
use super::render::Trouble;
use super::task::{Locals, Rescue, place};
use crate::base::{Value, Var, to_text};
use crate::diag::{Diagnostic, Severity, Sources, render_all};
use crate::event::EventKind;
use crate::modules::{self, Arguments, Bound, Effect, Failure, Meta};
use crate::plan::{Block, Compiler, Include, Item, Task};
use crate::playbook::{self, Ground, RoleCall};

/// How deep includes may include.
const DEEPEST: usize = 64;

/// What a file's tasks run for: the hosts that include it, with their loop variables.
type Included = IndexMap<(Wanted, String), (Vec<Arc<Host>>, HashMap<String, IndexMap<String, Var>>)>;

/// What is included.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Wanted {
    File(PathBuf),
    Role(RoleCall),
}

/// One use of an include by a host: what, which loop item, with its variables.
type Use = (Wanted, String, IndexMap<String, Var>);

impl BatchRun {
    /// Runs items in order; gives the hosts that got to the end. `even_if_halted` is for `always` sections.
    pub(super) fn items<'a>(
        self: &'a Arc<Self>,
        items: &'a [Item],
        hosts: Vec<Arc<Host>>,
        rescue: Rescue,
        even_if_halted: bool,
        locals: Locals,
        depth: usize,
    ) -> BoxFuture<'a, Vec<Arc<Host>>> {
        Box::pin(async move {
            let mut live = hosts;
            for item in items {
                live.retain(|host| {
                    let state = host.state();
                    let able =
                        state.standing == Standing::Active || even_if_halted && state.standing == Standing::Failed;
                    able && !state.role_over
                });
                if live.is_empty() || self.ended.load(Ordering::SeqCst) {
                    break;
                }
                if self.run.interrupt.hard.is_cancelled() || (self.stops_now() && !even_if_halted) {
                    break;
                }
                live = match item {
                    Item::Task(task) => match meta_of(task) {
                        Some(meta) => self.meta(task, meta, live, &locals).await,
                        None => self.task(task, live, rescue, &locals).await,
                    },
                    Item::Block(block) => self.block(block, live, rescue, even_if_halted, &locals, depth).await,
                    Item::Role(role) => self.role(role, live, rescue, even_if_halted, &locals, depth).await,
                    Item::Include(include) => self.include(include, live, rescue, even_if_halted, &locals, depth).await,
                };
                self.undo_those_out();
            }
            live
        })
    }

    /// Under Ansible's rules a guard that fired stops the batch at that task; under ours hosts at work finish.
    fn stops_now(&self) -> bool {
        self.run.options.rules == Rules::Ansible && self.play.halted.load(Ordering::SeqCst)
    }

    async fn block(
        self: &Arc<Self>,
        block: &Block,
        hosts: Vec<Arc<Host>>,
        rescue: Rescue,
        even_if_halted: bool,
        locals: &Locals,
        depth: usize,
    ) -> Vec<Arc<Host>> {
        let can_rescue = !block.rescue.is_empty();
        let _shelter = (can_rescue || !block.always.is_empty()).then(|| self.undoing.shelter());
        let inner = if can_rescue { Rescue::Taken } else { rescue };
        let mut live = self.items(&block.block, hosts.clone(), inner, even_if_halted, Arc::clone(locals), depth).await;
        let is_in = |host: &Arc<Host>, list: &[Arc<Host>]| list.iter().any(|other| Arc::ptr_eq(other, host));
        if can_rescue {
            let failed: Vec<Arc<Host>> = hosts
                .iter()
                .filter(|host| {
                    !is_in(host, &live) && host.standing() == Standing::Active && host.state().failure.is_some()
                })
                .cloned()
                .collect();
            if !failed.is_empty() {
                let mut with: HashMap<String, IndexMap<String, Var>> = (**locals).clone();
                for host in &failed {
                    let Some((name, result)) = host.state().failure.take() else { continue };
                    let variables = with.entry(host.name.clone()).or_default();
                    variables.insert("ansible_failed_task".to_owned(), Var::data(json!({"name": name})));
                    variables.insert("ansible_failed_result".to_owned(), Var::data(Value::Object(result)));
                }
                let rescued = self.items(&block.rescue, failed, rescue, even_if_halted, Arc::new(with), depth).await;
                live.extend(rescued);
            }
        }
        if !block.always.is_empty() {
            let reachable: Vec<Arc<Host>> = hosts
                .iter()
                .filter(|host| matches!(host.standing(), Standing::Active | Standing::Failed))
                .cloned()
                .collect();
            let after = self.items(&block.always, reachable, rescue, true, Arc::clone(locals), depth).await;
            live.retain(|host| is_in(host, &after));
        }
        hosts.into_iter().filter(|host| is_in(host, &live) && host.standing() == Standing::Active).collect()
    }

    async fn include(
        self: &Arc<Self>,
        include: &Include,
        hosts: Vec<Arc<Host>>,
        rescue: Rescue,
        even_if_halted: bool,
        locals: &Locals,
        depth: usize,
    ) -> Vec<Arc<Host>> {
        let task = &include.task;
        let key = self.key(task);
        let name = self.name_of(task, &hosts, locals).await;
        self.run.bus.emit(EventKind::TaskStarted {
            key: key.clone(),
            name,
            module: task.module.name.to_owned(),
            handler: task.handler,
            place: place(&self.run.sources.place(task.span)),
            hosts: u32::try_from(hosts.len()).unwrap_or(u32::MAX),
        });
        let mut files: Included = IndexMap::new();
        let mut live = Vec::new();
        for host in hosts {
            match self.included_by(include, &host, locals).await {
                Ok((uses, condition)) if uses.is_empty() => {
                    self.skip(task, &key, &host, condition.as_deref());
                    live.push(host);
                }
                Ok((uses, _)) => {
                    for (wanted, label, variables) in uses {
                        let (hosts, with) = files.entry((wanted, label)).or_default();
                        hosts.push(Arc::clone(&host));
                        with.insert(host.name.clone(), variables);
                    }
                    live.push(host);
                }
                Err(trouble) => {
                    let failure = match trouble {
                        Trouble::Unknown(why) => Failure::new(format!("what to include depends on: {why}")),
                        Trouble::Failed(failure) => failure,
                    };
                    self.fail(task, &host, failure, rescue);
                }
            }
        }
        // All files are named before the tasks of the first run, as Ansible does.
        for ((wanted, label), (hosts, _)) in &files {
            let names = hosts.iter().map(|host| host.name.clone()).collect();
            let item = label.split_once(' ').map(|(_, item)| item.to_owned()).filter(|_| task.repeat.is_some());
            let file = match wanted {
                Wanted::File(path) => std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string(),
                Wanted::Role(call) => call.name.clone(),
            };
            self.run.bus.emit(EventKind::Included { key: key.clone(), file, hosts: names, item });
        }
        self.run.bus.emit(EventKind::TaskFinished { key });
        if depth > DEEPEST {
            for host in &live {
                self.fail(task, host, Failure::new("files include one another without end"), rescue);
            }
            return Vec::new();
        }
        for ((wanted, _), (hosts, with)) in files {
            let read = match &wanted {
                Wanted::File(path) => self.read(include, path),
                Wanted::Role(call) => self.read_role(include, call),
            };
            let items = match read {
                Ok(items) => items,
                Err(failure) => {
                    for host in &hosts {
                        self.fail(task, host, failure.clone(), rescue);
                    }
                    live.retain(|host| !hosts.iter().any(|other| Arc::ptr_eq(other, host)));
                    continue;
                }
            };
            for host in &hosts {
                let mut state = host.state();
                state.attempted = true;
                state.tally.ok += 1;
            }
            let mut merged: HashMap<String, IndexMap<String, Var>> = (**locals).clone();
            for (name, variables) in with {
                merged.entry(name).or_default().extend(variables);
            }
            let at_work: Vec<Arc<Host>> =
                hosts.into_iter().filter(|host| live.iter().any(|other| Arc::ptr_eq(other, host))).collect();
            let done = self.items(&items, at_work.clone(), rescue, even_if_halted, Arc::new(merged), depth + 1).await;
            let lost = |host: &Arc<Host>| {
                at_work.iter().any(|other| Arc::ptr_eq(other, host))
                    && !done.iter().any(|other| Arc::ptr_eq(other, host))
            };
            live.retain(|host| !lost(host));
        }
        live
    }

    /// The files that a host includes, one for each loop item, with the variables of each; and the condition that was false
    /// last.
    async fn included_by(
        self: &Arc<Self>,
        include: &Include,
        host: &Arc<Host>,
        locals: &Locals,
    ) -> Result<(Vec<Use>, Option<String>), Trouble> {
        let task = &include.task;
        let room = self.room(host, task, locals);
        let items: Vec<Option<Value>> = match &task.repeat {
            None => vec![None],
            Some(repeat) => room.items(repeat).await?.into_iter().map(Some).collect(),
        };
        let mut uses = Vec::new();
        let mut condition = None;
        for (at, item) in items.iter().enumerate() {
            let mut variables: IndexMap<String, Var> = IndexMap::new();
            if let (Some(repeat), Some(item)) = (&task.repeat, item) {
                variables.insert(repeat.variable.clone(), Var::data(item.clone()));
                if let Some(index) = &repeat.index {
                    variables.insert(index.clone(), Var::data(at));
                }
            }
            let inner = room.with(|scope| scope.locals.extend(variables.clone()));
            if let Some(false_condition) = inner.first_false(&task.keywords.when).await? {
                condition = Some(false_condition);
                continue;
            }
            let name = inner.text(&include.file).await?;
            let wanted = match &include.role {
                Some(_) => Wanted::Role(self.role_call(include, &inner, name).await?),
                None => Wanted::File(self.beside(include, &name)),
            };
            let label = item.as_ref().map(to_text).unwrap_or_default();
            uses.push((wanted, format!("{at} {label}"), variables));
        }
        Ok((uses, condition))
    }

    /// Where an included file is: beside the file that names it, in its role, or beside the playbook.
    fn beside(&self, include: &Include, name: &str) -> PathBuf {
        let role = include.inherited.role.as_ref().map(|role| [role.path.join("tasks"), role.path.clone()]);
        let near = [include.directory.clone()].into_iter().chain(role.into_iter().flatten());
        near.map(|folder| folder.join(name))
            .find(|path| path.exists())
            .unwrap_or_else(|| self.play.plan.directory.join(name))
    }

    /// A host that includes nothing.
    fn skip(&self, task: &Task, key: &crate::event::TaskKey, host: &Arc<Host>, condition: Option<&str>) {
        let result = HostResult::skipped("Conditional result was False", condition);
        let tally = {
            let mut state = host.state();
            state.attempted = true;
            state.tally.skipped += 1;
            if let Some(name) = &task.register {
                state.registered.insert(name.clone(), Var::data(Value::Object(result.result.clone())));
            }
            state.tally
        };
        self.run.bus.emit(result.finished(key, &host.name, tally, false));
    }

    /// Reads and compiles an included file, once a run and place.
    fn read(&self, include: &Include, path: &std::path::Path) -> Result<Arc<Vec<Item>>, Failure> {
        let cache_key = (path.to_owned(), include.task.id);
        let mut cache = self.play.included.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(items) = cache.get(&cache_key) {
            return Ok(Arc::clone(items));
        }
        let is_module = |name: &str| modules::find(name).is_some();
        let ground = Ground { is_module: &is_module, roles_path: &self.run.options.roles_path };
        let roles = include.inherited.role.as_ref().map(|role| role.folders()).unwrap_or_default();
        let (entries, mut wrong) =
            playbook::load_tasks(&self.run.sources, path, &self.play.plan.directory, roles, ground);
        let selection = self.run.selection();
        let next = self.run.next_task.load(Ordering::SeqCst);
        let mut compiler = Compiler::new(&self.run.engine, &selection, next);
        let items = compiler.items(&entries, &include.inherited, include.task.handler);
        let handlers = compiler.role_handlers();
        let exports = compiler.exports();
        let (more, next) = compiler.finish();
        self.run.next_task.store(next, Ordering::SeqCst);
        wrong.extend(more);
        refuse(&path.display().to_string(), &wrong, &self.run.sources)?;
        self.play.roles.add(handlers, exports);
        let items = Arc::new(items);
        cache.insert(cache_key, Arc::clone(&items));
        Ok(items)
    }

    /// A failure of ours on a host at a task that is no module call.
    pub(super) fn fail(&self, task: &Task, host: &Arc<Host>, failure: Failure, rescue: Rescue) {
        let mut result = HostResult::of(Acted::failed(failure));
        mark(&mut result);
        let tally = {
            let mut state = host.state();
            state.attempted = true;
            let name = task.name.as_ref().and_then(|name| name.as_str()).unwrap_or(task.module.name);
            state.failure = Some((name.to_owned(), result.result.clone()));
            if rescue == Rescue::Taken {
                state.tally.rescued += 1;
            } else {
                state.tally.failed += 1;
                state.standing = Standing::Failed;
            }
            state.tally
        };
        let key = crate::event::TaskKey { play: self.play.plan.id, batch: self.index, task: task.id, pass: 0 };
        let mut finished = result.finished(&key, &host.name, tally, false);
        if let EventKind::HostFinished { rescued, .. } = &mut finished {
            *rescued = rescue == Rescue::Taken;
        }
        self.run.bus.emit(finished);
        self.judge();
    }
}

/// What is wrong with something that is included, when something is.
pub(super) fn refuse(what: &str, wrong: &[Diagnostic], sources: &Sources) -> Result<(), Failure> {
    if wrong.iter().all(|diagnostic| diagnostic.severity != Severity::Error) {
        return Ok(());
    }
    Err(Failure::new(format!("{what} can't be included:\n{}", render_all(wrong, sources, false))))
}

/// The word of a `meta` task.
fn meta_of(task: &Task) -> Option<Meta> {
    if task.module.name != "meta" {
        return None;
    }
    let arguments = task.arguments.to_value();
    let map = arguments.as_object().cloned().unwrap_or_default();
    let arguments = Arguments::check(task.module, map).ok()?;
    match (task.module.build)(&arguments, &Nobody).ok()? {
        Bound::Course(course) => match course.run(&Nobody).ok()?.effect {
            Effect::Meta(meta) => Some(meta),
            _ => None,
        },
        _ => None,
    }
}

/// A controller for modules that need none.
struct Nobody;

impl modules::Controller for Nobody {
    fn host(&self) -> &str {
        ""
    }
    fn find(&self, _: modules::Folder, _: &str) -> Result<PathBuf, Failure> {
        Err(Failure::new("there are no files here"))
    }
    fn variables_folder(&self, name: &str) -> PathBuf {
        PathBuf::from(name)
    }
    fn variables(&self, _: &std::path::Path) -> Result<Vec<(String, Arc<crate::base::Node>)>, Failure> {
        Err(Failure::new("there are no files here"))
    }
    fn render(&self, _: &crate::base::Node) -> Result<Value, Failure> {
        Err(Failure::new("there are no variables here"))
    }
    fn digest(&self, _: &std::path::Path) -> Result<Arc<crate::base::LocalFile>, Failure> {
        Err(Failure::new("there are no files here"))
    }
    fn read(&self, _: &std::path::Path) -> Result<Vec<u8>, Failure> {
        Err(Failure::new("there are no files here"))
    }
    fn archive(&self, _: &std::path::Path) -> Result<Arc<modules::archive::Archive>, Failure> {
        Err(Failure::new("there are no files here"))
    }
    fn list(&self, _: &std::path::Path) -> Result<Vec<modules::LocalEntry>, Failure> {
        Err(Failure::new("there are no files here"))
    }
    fn render_file(&self, _: &std::path::Path, _: &modules::TemplateOptions) -> Result<String, Failure> {
        Err(Failure::new("there are no files here"))
    }
    fn evaluate(&self, _: &str) -> Result<Value, Failure> {
        Err(Failure::new("there are no variables here"))
    }
    fn variable(&self, _: &str) -> Option<Value> {
        None
    }
    fn variable_of(&self, _: &str, _: &str) -> Option<Value> {
        None
    }
    fn group(&self, _: &str) -> Option<Vec<String>> {
        None
    }
    fn wants_diff(&self) -> bool {
        false
    }
    fn hide(&self, _secret: &crate::base::Secret) {}
    fn verbosity(&self) -> u8 {
        0
    }
}
