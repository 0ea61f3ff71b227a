//! Handlers: run once a host and flush, in definition order, when something notified them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::future::BoxFuture;

use super::batch::BatchRun;
use super::host::Host;
use super::render::Room;
use super::task::{Locals, Rescue};
use crate::base::to_text;
use crate::plan::{Item, Task};

/// How often handlers may notify handlers before them in one flush.
const PASSES: usize = 32;

impl BatchRun {
    /// Runs what was notified; gives the hosts that got through.
    ///
    /// A notification names a handler or a topic. It is forgotten once all handlers that it stands for have run on the host; one
    /// that comes while handlers run is taken by those after it in this pass, and by those before it in the next.
    pub(super) async fn flush(self: &Arc<Self>, hosts: Vec<Arc<Host>>) -> Vec<Arc<Host>> {
        let mut live = hosts;
        let play = Arc::clone(&self.play);
        for _ in 0..PASSES {
            let mut any = false;
            self.pass(&play.plan.handlers, &mut live, &mut any).await;
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
    fn pass<'a>(
        self: &'a Arc<Self>,
        handlers: &'a [Item],
        live: &'a mut Vec<Arc<Host>>,
        any: &'a mut bool,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            for (at, item) in handlers.iter().enumerate() {
                // The handlers of an imported file are handlers like the others.
                if let Item::Block(block) = item {
                    self.pass(&block.block, live, any).await;
                    continue;
                }
                let names = self.names_of(item).await;
                let notified = |host: &&Arc<Host>| host.state().notified.iter().any(|name| names.contains(name));
                let at_work: Vec<Arc<Host>> = live.iter().filter(notified).cloned().collect();
                if at_work.is_empty() {
                    continue;
                }
                *any = true;
                // What it is notified of while it and later ones run counts anew.
                for host in &at_work {
                    let later = self.wanted_later(handlers, at).await;
                    host.state().notified.retain(|name| !names.contains(name) || later.contains(name));
                }
                let none: Locals = Arc::new(HashMap::new());
                let one = std::slice::from_ref(item);
                let done = self.items(one, at_work.clone(), Rescue::None, true, none, 0).await;
                live.retain(|host| {
                    let was_at_work = at_work.iter().any(|other| Arc::ptr_eq(other, host));
                    !was_at_work || done.iter().any(|other| Arc::ptr_eq(other, host))
                });
            }
        })
    }

    /// Names that handlers after this one take too: a topic stands for several.
    async fn wanted_later(self: &Arc<Self>, handlers: &[Item], at: usize) -> HashSet<String> {
        let mut later = HashSet::new();
        for item in handlers.iter().skip(at + 1) {
            later.extend(self.names_of(item).await);
        }
        later
    }

    /// What a handler is called and listens to.
    async fn names_of(self: &Arc<Self>, item: &Item) -> Vec<String> {
        let task: &Task = match item {
            Item::Task(task) => task,
            Item::Include(include) => &include.task,
            Item::Block(block) => {
                let mut names = Vec::new();
                for inner in &block.block {
                    names.extend(Box::pin(self.names_of(inner)).await);
                }
                return names;
            }
        };
        let mut names = task.listen.clone();
        if let Some(name) = &task.name {
            let written = to_text(&name.to_value());
            match (written.contains("{{"), self.play.hosts.first()) {
                (true, Some(host)) => {
                    let room = Room::new(&self.run, host, Some(&self.play));
                    names.push(room.text(name).await.unwrap_or(written));
                }
                _ => names.push(written),
            }
        }
        names
    }
}
