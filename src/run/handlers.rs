//! Handlers: run once a host and flush, in definition order, when something notified them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::batch::BatchRun;
use super::host::Host;
use super::task::{Locals, Rescue};
use crate::base::to_text;
use crate::plan::{Item, Task};

/// How often handlers may notify handlers before them in one flush.
const PASSES: usize = 32;

/// A handler with the notifications that it takes.
struct Handler {
    item: Item,
    takes: HashSet<String>,
}

impl BatchRun {
    /// Runs what was notified; gives the hosts that got through.
    ///
    /// A notification names a handler or a topic. It is forgotten once all handlers that it stands for have run on the host; one
    /// that comes while handlers run is taken by those after it in this pass, and by those before it in the next.
    pub(super) async fn flush(self: &Arc<Self>, hosts: Vec<Arc<Host>>) -> Vec<Arc<Host>> {
        let mut live = hosts;
        if live.iter().all(|host| host.state().notified.is_empty()) {
            return live;
        }
        let play = Arc::clone(&self.play);
        for _ in 0..PASSES {
            let mut any = false;
            // A handler may include a role that has handlers of its own.
            let mut flat = Vec::new();
            flatten(&play.plan.handlers, &mut flat);
            flatten(&play.roles.handlers(), &mut flat);
            let handlers = self.taking(flat).await;
            self.pass(&handlers, &mut live, &mut any).await;
            if !any {
                break;
            }
        }
        for host in &live {
            let left = std::mem::take(&mut host.state().notified);
            for name in left {
                self.run.warn(format!("{}: no handler is called or listens to `{name}`", host.name));
            }
        }
        live
    }

    /// One pass over handlers in definition order.
    async fn pass(self: &Arc<Self>, handlers: &[Handler], live: &mut Vec<Arc<Host>>, any: &mut bool) {
        for (at, Handler { item, takes }) in handlers.iter().enumerate() {
            let notified = |host: &&Arc<Host>| host.state().notified.iter().any(|name| takes.contains(name));
            let at_work: Vec<Arc<Host>> = live.iter().filter(notified).cloned().collect();
            if at_work.is_empty() {
                continue;
            }
            *any = true;
            // What it is notified of while it and later ones run counts anew. A topic stands for later ones too.
            let later = |name: &String| handlers.iter().skip(at + 1).any(|handler| handler.takes.contains(name));
            for host in &at_work {
                host.state().notified.retain(|name| !takes.contains(name) || later(name));
            }
            let none: Locals = Arc::new(HashMap::new());
            let one = std::slice::from_ref(item);
            let done = self.items(one, at_work.clone(), Rescue::None, true, none, 0).await;
            live.retain(|host| {
                let was_at_work = at_work.iter().any(|other| Arc::ptr_eq(other, host));
                !was_at_work || done.iter().any(|other| Arc::ptr_eq(other, host))
            });
        }
    }

    /// What each handler takes: of several with one name the last, by name and by topic, as in Ansible.
    async fn taking(self: &Arc<Self>, items: Vec<Item>) -> Vec<Handler> {
        let mut handlers = Vec::new();
        let (mut names, mut topics) = (HashSet::new(), HashSet::new());
        for item in items.into_iter().rev() {
            let task: &Task = match &item {
                Item::Task(task) => task,
                Item::Include(include) => &include.task,
                Item::Block(_) | Item::Role(_) => continue,
            };
            let name = self.handler_name(task).await;
            let in_role = |name: &str| task.keywords.role.as_ref().map(|role| format!("{} : {name}", role.name));
            let mut takes = HashSet::new();
            for own in name.iter().cloned().chain(name.as_deref().and_then(in_role)) {
                if names.insert(own.clone()) {
                    takes.insert(own);
                }
            }
            for topic in task.listen.iter().flat_map(|topic| [Some(topic.clone()), in_role(topic)]).flatten() {
                if name.is_none() || topics.insert((topic.clone(), name.clone())) {
                    takes.insert(topic);
                }
            }
            handlers.push(Handler { item, takes });
        }
        handlers.reverse();
        handlers
    }

    async fn handler_name(self: &Arc<Self>, task: &Task) -> Option<String> {
        let name = task.name.as_ref()?;
        let written = to_text(&name.to_value());
        Some(match (written.contains("{{"), self.play.hosts.first()) {
            (true, Some(host)) => self.room(host, task, &Locals::default()).text(name).await.unwrap_or(written),
            _ => written,
        })
    }
}

/// The handlers of imported files and of roles are handlers like the others.
fn flatten(items: &[Item], flat: &mut Vec<Item>) {
    for item in items {
        match item {
            Item::Block(block) => flatten(&block.block, flat),
            Item::Role(role) => flatten(&role.items, flat),
            Item::Task(_) | Item::Include(_) => flat.push(item.clone()),
        }
    }
}
