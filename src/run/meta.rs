//! `meta:` on the hosts of a batch.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch::BatchRun;
use super::guard::Standing;
use super::host::Host;
use super::render::Trouble;
use super::task::{Locals, Rescue};
use crate::modules::Meta;
use crate::plan::Task;

impl BatchRun {
    /// `meta:`; gives the hosts that go on.
    pub(super) async fn meta(
        self: &Arc<Self>,
        task: &Arc<Task>,
        meta: Meta,
        hosts: Vec<Arc<Host>>,
        locals: &Locals,
    ) -> Vec<Arc<Host>> {
        // `end_host`, `end_role`, `reset_connection` and `undo` ask each host's condition, the others only the first's (facts/ansible.md §9.6).
        let per_host = matches!(meta, Meta::EndHost | Meta::EndRole | Meta::ResetConnection | Meta::Undo);
        let mut chosen: Vec<Arc<Host>> = Vec::new();
        for host in &hosts {
            match self.room(host, task, locals).first_false(&task.keywords.when).await {
                Ok(None) => chosen.push(Arc::clone(host)),
                Ok(Some(_)) | Err(Trouble::Unknown(_)) => {}
                Err(Trouble::Failed(failure)) => {
                    return self.all_failed(task, "meta", hosts, Trouble::Failed(failure), Rescue::None).await;
                }
            }
            if !per_host {
                break;
            }
        }
        if chosen.is_empty() {
            return hosts;
        }
        if meta == Meta::EndRole && task.keywords.role.is_none() {
            let failure = crate::modules::Failure::new("`meta: end_role` stands outside of a role");
            return self.all_failed(task, "meta", hosts, Trouble::Failed(failure), Rescue::None).await;
        }
        match meta {
            Meta::Noop | Meta::RefreshInventory => {}
            Meta::FlushHandlers => return self.flush(hosts).await,
            Meta::ClearHostErrors => {
                for host in self.play.hosts.iter() {
                    let mut state = host.state();
                    if state.standing.is_out() {
                        state.forgiven = true;
                    }
                }
            }
            Meta::ClearFacts => {
                for host in &hosts {
                    let mut state = host.state();
                    state.facts.clear();
                    state.gathered = false;
                }
            }
            Meta::EndPlay => {
                self.play.ended.store(true, Ordering::SeqCst);
                self.ended.store(true, Ordering::SeqCst);
            }
            Meta::EndBatch => self.ended.store(true, Ordering::SeqCst),
            Meta::EndHost => {
                for host in &chosen {
                    host.state().standing = Standing::Ended;
                }
            }
            Meta::EndRole => chosen.iter().for_each(|host| host.state().role_over = true),
            Meta::Undo => self.undo_now(&chosen).await,
            Meta::ResetConnection => {
                for host in &chosen {
                    self.run.disconnect(host).await;
                }
            }
        }
        let goes_on = |host: &Arc<Host>| {
            let state = host.state();
            state.standing == Standing::Active && !state.role_over
        };
        hosts.into_iter().filter(goes_on).collect()
    }
}
