//! A task's arguments rendered and its module made, and the module's meeting with the host.

use std::sync::{Arc, Mutex};

use indexmap::IndexMap;

use super::act::{Acted, not_made};
use super::attempt::HostTask;
use super::connect::Way;
use super::controller::Here;
use super::render::{Room, Trouble};
use crate::base::{Value, to_text};
use crate::modules::{Arguments, Bound, Failure};

/// A module with its arguments, or why there is none.
#[expect(clippy::large_enum_variant, reason = "made once a task and taken apart at once")]
pub(super) enum Ready {
    /// It can meet the host.
    Bound {
        /// The module.
        bound: Bound,
        /// How the host is reached.
        way: Way,
        /// The environment of its commands.
        environment: Vec<(String, String)>,
        /// What it asks this process.
        here: Here,
    },
    /// It could not be made.
    Not(Acted),
}

impl HostTask {
    /// Renders the arguments and builds the module.
    pub(super) async fn bind(&self, room: &Room) -> Result<Ready, Trouble> {
        let spec = self.task.module;
        let arguments = Arguments::check(spec, room.arguments(&self.task).await?).map_err(Trouble::Failed)?;
        let connection_room =
            if Arc::ptr_eq(&self.host, &self.target) { room.clone() } else { Room::new(&self.run, &self.target, None) };
        let way = room.way(&self.task, &connection_room).await?;
        let environment = self.environment(room).await?;
        let folders = self.task.folders(self.play_run().map(|play| play.plan.directory.as_path()));
        let diff = self.diff && !self.no_log;
        let here = Here { room: room.clone(), folders, diff, unknown: Mutex::default() };
        let build = || blocking(|| (spec.build)(&arguments, &here));
        let mut bound = build();
        let needed = room.scope.needs.take();
        if !needed.is_empty() {
            for name in needed {
                self.run.gather(&name, self.play_run()).await?;
            }
            bound = build();
        }
        Ok(match bound {
            Err(failure) => Ready::Not(not_made(failure, &here)),
            Ok(bound) => Ready::Bound { bound, way, environment, here },
        })
    }

    /// Lets the module meet the host.
    pub(super) async fn module(&self, room: &Room) -> Result<Acted, Trouble> {
        Ok(match self.bind(room).await? {
            Ready::Not(acted) => acted,
            Ready::Bound { bound: Bound::State(state), way, environment, .. } => {
                self.state(state.as_ref(), room, &way, &environment).await
            }
            Ready::Bound { .. } if !self.task.undo.is_empty() => {
                let what = "it only looks, or changes this run; leave `undo` out";
                Acted::failed(Failure::new(format!("`{}` has nothing to undo here: {what}", self.task.module.name)))
            }
            Ready::Bound { bound: Bound::Gate(gate), way, .. } => self.gate(gate.as_ref(), &way).await,
            Ready::Bound { bound: Bound::Course(course), here, .. } => self.course(course.as_ref(), room, &here).await,
        })
    }

    async fn environment(&self, room: &Room) -> Result<Vec<(String, String)>, Trouble> {
        let mut environment: IndexMap<String, String> = IndexMap::new();
        for node in &self.task.keywords.environment {
            let parts = match room.render(node).await? {
                Value::Array(parts) => parts,
                one => vec![one],
            };
            for part in parts {
                match part {
                    Value::Object(map) => {
                        environment.extend(map.iter().map(|(name, value)| (name.clone(), to_text(value))))
                    }
                    Value::Null => {}
                    other => {
                        let message = format!("`environment` is a mapping, not {}", crate::base::type_name(&other));
                        return Err(Trouble::Failed(Failure::new(message)));
                    }
                }
            }
        }
        Ok(environment.into_iter().collect())
    }
}

/// Work that may read files of this machine. Other tasks of the runtime's thread move away meanwhile, where it has
/// several threads; a simulation has one.
pub(super) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::current().runtime_flavor() {
        tokio::runtime::RuntimeFlavor::CurrentThread => work(),
        _ => tokio::task::block_in_place(work),
    }
}
