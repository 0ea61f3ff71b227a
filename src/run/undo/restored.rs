//! Entries that an earlier process of this run left. Their values come from the journal; secrets are not in it, and are
//! worked out again from the playbook.

use std::collections::HashMap;
use std::sync::Arc;

use super::freeze::STARS;
use super::ledger::Entry;
use crate::base::{Map, Value};
use crate::event::UndoTask;
use crate::plan::{Condition, Item, Plan, Play, Task, each_task};
use crate::run::Run;
use crate::run::host::Host;
use crate::run::render::{Room, Trouble};

/// Where an entry comes from: its host's variables now, and its tasks in the playbook as far as they are there.
pub(super) struct Origin {
    pub(super) room: Room,
    written: Vec<Option<Arc<Task>>>,
}

impl Run {
    /// Takes back what an earlier process of this run left, the last first, before anything else is done. What was not taken back
    /// is in [`super::Ledger::not_undone`] afterwards.
    pub(crate) async fn undo_all(self: &Arc<Self>, plan: &Plan) {
        let entries = self.ledger.take(|_| true);
        let mut origins = HashMap::new();
        for entry in &entries {
            origins.insert(entry.armed.entry, self.origin(plan, entry).await);
        }
        self.take_all_back(entries, origins).await;
    }

    async fn origin(self: &Arc<Self>, plan: &Plan, entry: &Entry) -> Origin {
        let armed = &entry.armed;
        let host = self.hosts.get(&armed.host);
        let play = plan.plays.iter().find(|play| play.id == armed.key.play);
        let room = match play {
            Some(play) => self.room_after(play, &host).await,
            None => Room::new(self, &host, None),
        };
        let written = armed.tasks.iter().map(|task| play.and_then(|play| find(play, task))).collect();
        Origin { room, written }
    }

    async fn room_after(self: &Arc<Self>, play: &Arc<Play>, host: &Arc<Host>) -> Room {
        let bare = self.bare_play(play, vec![Arc::clone(host)]);
        if let Err(why) = self.read_vars_files(&bare).await {
            self.warn(format!("to take back settings of {}: {why}", host.name));
        }
        Room::new(self, host, Some(&bare))
    }
}

/// The task in the playbook, when it is the same one still.
fn find(play: &Play, frozen: &UndoTask) -> Option<Arc<Task>> {
    let mut found = None;
    let mut look = |task: &Task, _: bool| {
        let undo = task.undo.iter().find(|undo| undo.id == frozen.task && undo.module.name == frozen.module);
        found = found.take().or_else(|| undo.cloned());
    };
    let lists: [&[Item]; 4] = [&play.sections[0], &play.sections[1], &play.sections[2], &play.handlers];
    lists.into_iter().for_each(|items| each_task(items, &mut look));
    found
}

impl Origin {
    /// The task with the values that the journal does not keep.
    ///
    /// # Errors
    /// They can't be worked out again.
    pub(super) async fn revived(&self, frozen: &UndoTask, at: usize) -> Result<UndoTask, String> {
        let mut task = frozen.clone();
        if ![&task.arguments, &task.written, &task.keywords].into_iter().any(|map| map.values().any(is_blanked)) {
            return Ok(task);
        }
        let lost = || {
            format!(
                "a value of `{}` is a secret, which the journal does not keep, and the playbook has it no more",
                frozen.name
            )
        };
        let written = self.written.get(at).and_then(Option::as_ref).ok_or_else(lost)?;
        let room = self.room.with(|scope| scope.layers.clone_from(&written.keywords.vars));
        for (name, value) in task.arguments.iter_mut().filter(|(_, value)| is_blanked(value)) {
            let node = written.arguments.get(name).ok_or_else(lost)?;
            let again =
                room.argument(written.module, name, node).await.map_err(|t| format!("{}: {}", lost(), said(t)))?;
            let again = again.unwrap_or(Value::Null);
            // What was registered came back from the journal without its secrets, too.
            if is_blanked(&again) && !is_blanked(&node.to_value()) {
                return Err(lost());
            }
            *value = again;
        }
        for (name, value) in task.written.iter_mut().filter(|(_, value)| is_blanked(value)) {
            *value = written.arguments.get(name).ok_or_else(lost)?.to_value();
        }
        self.keywords(&mut task.keywords, written, &room).await?;
        Ok(task)
    }

    async fn keywords(&self, keywords: &mut Map, written: &Task, room: &Room) -> Result<(), String> {
        for (name, value) in keywords.iter_mut().filter(|(_, value)| is_blanked(value)) {
            let render = async |node| room.render(node).await.map_err(|t| format!("`{name}`: {}", said(t)));
            let list = match name.as_str() {
                "when" => Some(&written.keywords.when),
                "until" => Some(&written.until),
                "changed_when" => written.changed_when.as_ref(),
                "failed_when" => written.failed_when.as_ref(),
                _ => None,
            };
            if let Some(list) = list {
                *value = list.iter().map(text).collect();
            } else if name == "environment" {
                let mut all = Vec::new();
                for node in &written.keywords.environment {
                    all.push(render(node).await?);
                }
                *value = Value::Array(all);
            } else if let Some(node) = written.keywords.single.get(name.as_str()) {
                *value = render(node).await?;
            } else if let Some(vars) = value.as_object_mut() {
                vars.retain(|_, value| !is_blanked(value));
            } else {
                *value = Value::Object(Map::new());
            }
        }
        Ok(())
    }
}

fn text(condition: &Condition) -> Value {
    match condition {
        Condition::Expression(expression) => Value::from(expression.text()),
        Condition::Constant(constant) => Value::Bool(*constant),
    }
}

fn said(trouble: Trouble) -> String {
    match trouble {
        Trouble::Failed(failure) => failure.message,
        Trouble::Unknown(why) => why,
    }
}

/// Whether the masker, or `no_log`, left stars in it.
pub(super) fn is_blanked(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(STARS),
        Value::Array(items) => items.iter().any(is_blanked),
        Value::Object(map) => map.iter().any(|(name, value)| name.contains(STARS) || is_blanked(value)),
        _ => false,
    }
}
