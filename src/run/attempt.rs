//! One task on one host: loop, conditions, arguments, tries, and what the result counts as.

use std::sync::Arc;
use std::time::Duration;

use super::Run;
use super::act::Acted;
use super::host::Host;
use super::outcome::{HostResult, aggregate, censored, extended, mark};
use super::past::unseen;
use super::play::PlayRun;
use super::render::{Room, Trouble};
use super::task::ignoring;
use crate::base::{Map, Value, Var, parse_duration, to_text};
use crate::event::{EventKind, Status, TaskKey};
use crate::modules::Failure;
use crate::plan::{Loop, Task};

/// One task on one host.
#[derive(Clone)]
pub(super) struct HostTask {
    pub(super) run: Arc<Run>,
    pub(super) room: Room,
    pub(super) task: Arc<Task>,
    pub(super) key: TaskKey,
    /// Whose task it is.
    pub(super) host: Arc<Host>,
    /// Where it is done: the host, or the one it is delegated to.
    pub(super) target: Arc<Host>,
    pub(super) check: bool,
    /// It only looks whether a condition still holds: no waiting, no events.
    pub(super) glance: bool,
    pub(super) diff: bool,
    pub(super) no_log: bool,
    pub(super) timeout: Option<Duration>,
    /// How long its command may take on the host by itself.
    pub(super) detach: Option<Duration>,
    /// The loop item's index.
    pub(super) item: u32,
    /// Nothing of it is said on the bus, and the journal is not asked: it only restores what an earlier process knew.
    pub(super) quiet: bool,
    /// It takes a setting back: it is done even when the journal can't be written any more.
    pub(super) undoing: bool,
}

/// How many tries a task has when `until` is given and `retries` is not (facts/ansible.md §9.6).
const RETRIES: u32 = 3;

/// Seconds between tries when `delay` is not given.
const DELAY: f64 = 5.0;

impl HostTask {
    pub(super) fn play_run(&self) -> Option<&Arc<PlayRun>> {
        self.room.play.as_ref()
    }

    /// Works out the keywords that may differ from host to host and from item to item.
    pub(super) async fn settle(&mut self, room: &Room) -> Result<(), Trouble> {
        let task = Arc::clone(&self.task);
        let keyword = |name: &str| task.keywords.get(name);
        let options = &self.run.options;
        // Hidden until it is known that it need not be.
        let no_log = room.flag(keyword("no_log"), false).await;
        self.no_log = *no_log.as_ref().unwrap_or(&true);
        no_log?;
        self.check = room.flag(keyword("check_mode"), options.check).await?;
        self.diff = room.flag(keyword("diff"), options.diff).await?;
        let timeout = match room.optional(keyword("timeout")).await? {
            Some(text) => Some(
                parse_duration(&text)
                    .map_err(|reason| Trouble::Failed(Failure::new(format!("`timeout`: {reason}"))))?,
            ),
            None => options.task_timeout,
        };
        self.timeout = timeout.filter(|timeout| *timeout > Duration::ZERO);
        self.detach = match room.optional(task.detach.as_ref()).await? {
            Some(text) => Some(
                parse_duration(&text).map_err(|reason| Trouble::Failed(Failure::new(format!("`detach`: {reason}"))))?,
            ),
            None => None,
        };
        self.detach = self.detach.filter(|detach| *detach > Duration::ZERO);
        if let Some(detach) = self.detach {
            // Its time is kept on the host: given up here it would go on there.
            self.detach = Some(self.timeout.take().map_or(detach, |timeout| timeout.min(detach)));
        }
        self.target = match room.optional(keyword("delegate_to")).await? {
            Some(name) if name != self.host.name => self.run.hosts.get(&name),
            _ => Arc::clone(&self.host),
        };
        Ok(())
    }

    /// The host that it is delegated to, if to another.
    pub(super) fn delegate(&self) -> Option<String> {
        (!Arc::ptr_eq(&self.host, &self.target)).then(|| self.target.name.clone())
    }

    /// That host's address, where it is not its name.
    pub(super) async fn delegate_address(&self) -> Option<String> {
        let name = self.delegate()?;
        let room = Room::new(&self.run, &self.target, None);
        let address = room.variable_text(&["ansible_host", "ansible_ssh_host"]).await.ok().flatten()?;
        let implicit = !self.run.inventory().contains(&name);
        (address != name && !implicit).then_some(address)
    }

    /// Runs the task, loop and all.
    pub(super) async fn run(&mut self) -> HostResult {
        let task = Arc::clone(&self.task);
        let Some(repeat) = &task.repeat else { return self.once(self.room.clone()).await };
        // A false condition skips the task before a list that may then be undefined is looked at.
        let items = match self.room.items(repeat).await {
            Ok(items) => items,
            Err(trouble) => {
                return match self.room.first_false(&task.keywords.when).await {
                    Ok(Some(condition)) => HostResult::skipped("Conditional result was False", Some(&condition)),
                    _ => HostResult::trouble(trouble),
                };
            }
        };
        if items.is_empty() {
            return HostResult::empty_loop();
        }
        self.items(repeat, items).await
    }

    async fn items(&mut self, repeat: &Loop, items: Vec<Value>) -> HostResult {
        let mut hidden = self.no_log;
        let mut all: Vec<HostResult> = Vec::new();
        let count = items.len();
        for (at, item) in items.iter().enumerate() {
            if at > 0
                && let Some(seconds) =
                    repeat.pause.as_ref().and_then(|node| parse_duration(&to_text(&node.to_value())).ok())
                && !self.check
            {
                self.pause(seconds).await;
            }
            self.item = u32::try_from(at).unwrap_or(u32::MAX);
            let room = self.item_room(repeat, &items, at, item);
            if let Some(done) = self.record().and_then(|record| record.item(self.item)) {
                all.push(HostResult::recalled(done));
                continue;
            }
            // Keywords may depend on the item: `delegate_to: "{{ item }}"`.
            let mut result = match self.settle(&room).await {
                Ok(()) => self.once(room.clone()).await,
                Err(trouble) => HostResult::trouble(trouble),
            };
            hidden |= self.no_log;
            if matches!(result.status, Status::Failed | Status::Unreachable) {
                let keyword = self.task.keywords.get(ignoring(result.status));
                result.ignored = Some(room.flag(keyword, false).await.unwrap_or(false));
            }
            result.result.insert(repeat.variable.clone(), item.clone());
            result.result.insert("ansible_loop_var".to_owned(), Value::from(repeat.variable.as_str()));
            if repeat.extended {
                result.result.insert("ansible_loop".to_owned(), extended(&items, at));
            }
            if let Some(index) = &repeat.index {
                result.result.insert(index.clone(), Value::from(at));
                result.result.insert("ansible_index_var".to_owned(), Value::from(index.as_str()));
            }
            let label = match &repeat.label {
                Some(label) => room.text(label).await.unwrap_or_else(|_| to_text(item)),
                None => to_text(item),
            };
            if self.quiet {
                all.push(result);
                continue;
            }
            let finished = EventKind::ItemFinished {
                key: self.key.clone(),
                host: self.host.name.clone(),
                item: if self.no_log { "(censored due to no_log)".to_owned() } else { label },
                index: self.item,
                delegate: self.delegate(),
                delegate_address: self.delegate_address().await,
                status: result.status,
                steps: result.steps.clone(),
                result: self.shown(&result.result),
                notified: result.notified.clone(),
            };
            if unseen(&result.steps) {
                let _ = self.run.bus.record(finished).await;
            } else {
                self.run.bus.emit(finished);
            }
            let gone = matches!(result.status, Status::Unreachable | Status::Unknown)
                || self.run.interrupt.hard.is_cancelled();
            all.push(result);
            if gone && at + 1 < count {
                break;
            }
        }
        self.no_log = hidden;
        aggregate(all)
    }

    /// The variables of one item.
    fn item_room(&self, repeat: &Loop, items: &[Value], at: usize, item: &Value) -> Room {
        self.room.with(|scope| {
            scope.locals.insert(repeat.variable.clone(), Var::data(item.clone()));
            scope.locals.insert("ansible_loop_var".to_owned(), Var::data(repeat.variable.as_str()));
            if let Some(index) = &repeat.index {
                scope.locals.insert(index.clone(), Var::data(at));
                scope.locals.insert("ansible_index_var".to_owned(), Var::data(index.as_str()));
            }
            if repeat.extended {
                scope.locals.insert("ansible_loop".to_owned(), Var::data(extended(items, at)));
            }
        })
    }

    /// The variables of each item for which the task's conditions hold; without a loop those of the task.
    pub(super) async fn rooms(&self) -> Vec<(u32, Room)> {
        let all = match &self.task.repeat {
            None => vec![(0, self.room.clone())],
            Some(repeat) => match self.room.items(repeat).await {
                Ok(items) => {
                    let one =
                        |(at, item)| (u32::try_from(at).unwrap_or(u32::MAX), self.item_room(repeat, &items, at, item));
                    items.iter().enumerate().map(one).collect()
                }
                Err(_) => Vec::new(),
            },
        };
        let mut rooms = Vec::new();
        for (at, room) in all {
            if matches!(room.first_false(&self.task.keywords.when).await, Ok(None)) {
                rooms.push((at, room));
            }
        }
        rooms
    }

    /// The result as it is shown and kept.
    pub(super) fn shown(&self, result: &Map) -> Map {
        if self.no_log { censored(result) } else { result.clone() }
    }

    /// Once, without a loop or for one item of it.
    async fn once(&self, room: Room) -> HostResult {
        match room.first_false(&self.task.keywords.when).await {
            Ok(None) => {}
            Ok(Some(condition)) => return HostResult::skipped("Conditional result was False", Some(&condition)),
            Err(trouble) => return HostResult::trouble(trouble),
        }
        match self.tries(&room).await {
            Ok(mut result) => {
                if result.status == Status::Changed && !self.task.keywords.notify.is_empty() {
                    for node in &self.task.keywords.notify {
                        match room.render(node).await {
                            Ok(Value::Array(names)) => result.notified.extend(names.iter().map(to_text)),
                            Ok(name) => result.notified.push(to_text(&name)),
                            Err(trouble) => return HostResult::trouble(trouble),
                        }
                    }
                }
                result
            }
            Err(trouble) => HostResult::trouble(trouble),
        }
    }

    async fn tries(&self, room: &Room) -> Result<HostResult, Trouble> {
        let number = async |node: &Option<Arc<crate::base::Node>>| -> Result<Option<f64>, Trouble> {
            let Some(node) = node else { return Ok(None) };
            let text = room.text(node).await?;
            let wrong = || {
                Trouble::Failed(Failure::new(format!(
                    "`{text}` is not a number ({})",
                    self.run.sources.place(node.span)
                )))
            };
            text.trim().parse::<f64>().map(Some).map_err(|_| wrong())
        };
        let retries = number(&self.task.retries).await?;
        let delay = number(&self.task.delay).await?.unwrap_or(DELAY);
        let repeats = !self.task.until.is_empty() || retries.is_some();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count that people wrote, clamped"
        )]
        let retries = if repeats { retries.map_or(RETRIES, |n| n.clamp(0.0, 1e9) as u32) } else { 0 };
        let mut tried = 0;
        loop {
            tried += 1;
            let mut result = self.one_try(room).await?;
            if !repeats {
                return Ok(result);
            }
            let gone = matches!(
                result.status,
                Status::Unreachable | Status::Unknown | Status::Unpredictable | Status::Skipped
            );
            if gone {
                return Ok(result);
            }
            let holds = if self.task.until.is_empty() {
                result.status != Status::Failed
            } else {
                let judged = self.judging(room, &result);
                judged.first_false(&self.task.until).await?.is_none()
            };
            let attempts = if holds { tried } else { retries };
            result.result.insert("attempts".to_owned(), Value::from(attempts.max(1)));
            if holds || self.check {
                return Ok(result);
            }
            if tried > retries {
                if result.status != Status::Failed {
                    result.status = Status::Failed;
                }
                if result.message.is_empty() {
                    let until: Vec<&str> = self
                        .task
                        .until
                        .iter()
                        .map(|condition| match condition {
                            crate::plan::Condition::Expression(expression) => expression.text(),
                            crate::plan::Condition::Constant(_) => "False",
                        })
                        .collect();
                    result.message = format!("not so after {tried} tries: {}", until.join(" and "));
                    result.result.entry("msg").or_insert_with(|| Value::from(result.message.as_str()));
                }
                result.result.insert("failed".to_owned(), Value::from(true));
                return Ok(result);
            }
            let left = retries - tried + 1;
            let name =
                self.task.name.as_ref().and_then(|name| name.as_str()).unwrap_or(self.task.module.name).to_owned();
            self.run.bus.emit(EventKind::Retrying { key: self.key.clone(), host: self.host.name.clone(), name, left });
            if !self.pause(Duration::try_from_secs_f64(delay).unwrap_or_default()).await {
                return Ok(result);
            }
        }
    }

    /// A scope in which the result can be judged under the name that it will be registered by.
    fn judging(&self, room: &Room, result: &HostResult) -> Room {
        room.with(|scope| {
            if let Some(name) = &self.task.register {
                let var = match &result.unknown {
                    Some(why) => Var::Unknown(why.as_str().into()),
                    None => Var::data(Value::Object(result.result.clone())),
                };
                scope.locals.insert(name.clone(), var);
            }
        })
    }

    async fn one_try(&self, room: &Room) -> Result<HostResult, Trouble> {
        let acted = match self.timeout {
            Some(timeout) => match tokio::time::timeout(timeout, self.module(room)).await {
                Ok(acted) => acted?,
                Err(_) => Acted::failed(Failure::new(format!(
                    "the task took longer than its timeout of {} s",
                    timeout.as_secs()
                ))),
            },
            None => self.module(room).await?,
        };
        let mut result = HostResult::of(acted);
        if matches!(result.status, Status::Unreachable | Status::Unknown | Status::Skipped) {
            mark(&mut result);
            return Ok(result);
        }
        if result.unknown.is_some() {
            // `changed_when: false` is known whatever the command does.
            mark(&mut result);
            return Ok(result);
        }
        mark(&mut result);
        if let Some(conditions) = &self.task.changed_when
            && result.status != Status::Failed
        {
            let judged = self.judging(room, &result);
            let changed = judged.first_false(conditions).await?.is_none() && !conditions.is_empty();
            result.status = if changed { Status::Changed } else { Status::Ok };
            mark(&mut result);
        } else if let Some(conditions) = &self.task.changed_when {
            let judged = self.judging(room, &result);
            if let Ok(outcome) = judged.first_false(conditions).await {
                result.result.insert("changed".to_owned(), Value::from(outcome.is_none()));
            }
        }
        if let Some(conditions) = &self.task.failed_when {
            let judged = self.judging(room, &result);
            let failed = judged.first_false(conditions).await?.is_none() && !conditions.is_empty();
            let changed = result.result.get("changed") == Some(&Value::from(true));
            if failed {
                if result.status != Status::Failed {
                    let text: Vec<String> = conditions
                        .iter()
                        .map(|condition| match condition {
                            crate::plan::Condition::Expression(expression) => expression.text().to_owned(),
                            crate::plan::Condition::Constant(_) => "True".to_owned(),
                        })
                        .collect();
                    result.message = format!("`failed_when` holds: {}", text.join(" and "));
                }
                result.status = Status::Failed;
            } else if result.status == Status::Failed {
                result.status = if changed { Status::Changed } else { Status::Ok };
                result.message.clear();
            }
            result.result.insert("failed".to_owned(), Value::from(failed));
            result.result.insert("failed_when_result".to_owned(), Value::from(failed));
        }
        Ok(result)
    }
}
