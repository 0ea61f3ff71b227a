//! A play: its hosts, its variables, its batches, gates and guards.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;

use super::gather::{compare, gathering};
use super::guard::{Limits, Standing, judge};
use super::host::Host;
use super::render::{Room, Trouble};
use super::task::{Locals, Rescue};
use super::{Run, render};
use crate::base::{Map, Node, NodeKind, TaskId, Value, to_text};
use crate::diag::{Severity, render_all};
use crate::event::EventKind;
use crate::inventory::{Order, Strictness};
use crate::modules::{self, Failure, to_bool};
use crate::plan::{Batches, Item, Keywords, Layer, Play, Serial, Task, parse_count};
use crate::template::Expression;

/// The name under which one include of one file was compiled.
type IncludeKey = (PathBuf, TaskId);

/// A play under way.
pub(crate) struct PlayRun {
    pub(super) plan: Arc<Play>,
    pub(super) name: String,
    /// The hosts that take part, in order.
    pub(super) hosts: Vec<Arc<Host>>,
    /// All hosts that its pattern names, those that failed before included.
    pub(super) named: Vec<String>,
    pub(super) limits: Limits,
    /// Facts are gathered when something refers to one.
    pub(super) lazy_facts: bool,
    pub(super) force_handlers: bool,
    /// `meta: end_play`.
    pub(super) ended: AtomicBool,
    /// Files that were included and compiled.
    pub(super) included: Mutex<HashMap<IncludeKey, Arc<Vec<Item>>>>,
    batch: Mutex<Vec<Arc<Host>>>,
    /// `vars_files` by host.
    pub(super) files: Mutex<HashMap<String, Arc<Vec<Layer>>>>,
}

impl PlayRun {
    pub(super) fn batch_hosts(&self) -> Vec<Arc<Host>> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn files_of(&self, host: &str) -> Arc<Vec<Layer>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned().unwrap_or_default()
    }
}

/// A batch under way.
pub(super) struct BatchRun {
    pub(super) run: Arc<Run>,
    pub(super) play: Arc<PlayRun>,
    pub(super) index: u32,
    pub(super) hosts: Vec<Arc<Host>>,
    /// A guard fired in this play.
    pub(super) halted: Arc<AtomicBool>,
    /// `meta: end_batch`.
    pub(super) ended: AtomicBool,
    /// How often each task ran.
    pub(super) passes: Mutex<HashMap<TaskId, u32>>,
}

impl BatchRun {
    /// Asks the guards, and says so when one fires.
    pub(super) fn judge(&self) {
        self.judge_as(self.play.limits.any_errors_fatal);
    }

    /// The same, with what a task says of `any_errors_fatal`.
    pub(super) fn judge_as(&self, any_errors_fatal: bool) {
        if self.halted.load(Ordering::SeqCst) {
            return;
        }
        let standing = |hosts: &[Arc<Host>]| -> Vec<(String, Standing)> {
            hosts.iter().map(|host| (host.name.clone(), host.standing())).collect()
        };
        let (batch, play) = (standing(&self.hosts), standing(&self.play.hosts));
        fn borrow(list: &[(String, Standing)]) -> Vec<(&str, Standing)> {
            list.iter().map(|(name, standing)| (name.as_str(), *standing)).collect()
        }
        let limits = Limits { any_errors_fatal, ..self.play.limits.clone() };
        if let Some(halt) = judge(&limits, &borrow(&batch), &borrow(&play)) {
            self.halted.store(true, Ordering::SeqCst);
            self.run.halt();
            self.run.bus.emit(EventKind::Halted { play: self.play.plan.id, halt });
        }
    }
}

impl Run {
    /// Names a play's hosts, so that they are listed as not attempted.
    pub(super) fn name_hosts(&self, play: &Play) {
        let pattern = patterns(&play.hosts.to_value());
        let inventory = self.inventory();
        drop(inventory);
        for name in self.select(&pattern).unwrap_or_default() {
            self.hosts.get(&name).state().named = true;
        }
    }

    /// Runs a play.
    ///
    /// # Errors
    /// It can't be begun: its hosts, variables or options are wrong.
    pub(super) async fn play(self: &Arc<Self>, plan: Arc<Play>) -> Result<(), String> {
        let nobody = Arc::new(Host::new("(no host)"));
        let bare = self.bare(&plan, &nobody);
        let name = bare.text(&plan.name).await.map_err(|t| said(&t))?;
        let wanted = bare
            .render(&plan.hosts)
            .await
            .map_err(|t| format!("the hosts of the play `{name}` can't be worked out: {}", said(&t)))?;
        let selected = self.select(&patterns(&wanted))?;
        let mut hosts: Vec<Arc<Host>> = Vec::new();
        for name in &selected {
            let host = self.hosts.get(name);
            let mut state = host.state();
            state.named = true;
            if state.forgiven && state.standing.is_out() {
                state.standing = Standing::Active;
            }
            let takes_part = matches!(state.standing, Standing::Active | Standing::Ended);
            if takes_part {
                // `end_host` ends one play.
                state.standing = Standing::Active;
                // Handlers belong to their play: `end_play` leaves them behind.
                let left = std::mem::take(&mut state.notified);
                state.lost_handlers.extend(left);
            }
            drop(state);
            if takes_part {
                hosts.push(host);
            }
        }
        if hosts.is_empty() {
            let why = if selected.is_empty() {
                "no host matches"
            } else {
                "all of its hosts failed or were unreachable before"
            };
            self.bus.emit(EventKind::PlaySkipped { play: plan.id, name, why: why.to_owned() });
            return Ok(());
        }
        let run = self.begin(&plan, name, hosts, selected, &bare).await?;
        self.batches(&run).await
    }

    fn select(&self, pattern: &str) -> Result<Vec<String>, String> {
        let inventory = self.inventory();
        let strictness = match self.options.rules {
            super::Rules::Stagger => Strictness::Strict,
            super::Rules::Ansible => Strictness::Ansible,
        };
        let said = |error: crate::inventory::PatternError| {
            let help = error.help.iter().map(|line| format!("; {line}")).collect::<String>();
            format!("{error}{help}")
        };
        let selected = inventory.select_with(pattern, strictness).map_err(said)?;
        let limit: Vec<String> = self.options.limit.iter().cloned().collect();
        let limited = inventory.limit(&self.sources, &selected.hosts, &limit, strictness).map_err(said)?;
        for warning in selected.warnings.into_iter().chain(limited.warnings) {
            self.warn(warning);
        }
        Ok(limited.hosts)
    }

    pub(super) fn bare(self: &Arc<Self>, plan: &Arc<Play>, nobody: &Arc<Host>) -> Room {
        let play = Arc::new(PlayRun {
            plan: Arc::clone(plan),
            name: String::new(),
            hosts: Vec::new(),
            named: Vec::new(),
            limits: Limits {
                rules: self.options.rules,
                rolling: false,
                any_errors_fatal: false,
                max_fail_percentage: None,
                max_fail: None,
            },
            lazy_facts: false,
            force_handlers: false,
            ended: AtomicBool::new(false),
            included: Mutex::default(),
            batch: Mutex::default(),
            files: Mutex::default(),
        });
        Room::new(self, nobody, Some(&play))
    }

    /// Evaluates the play's own options and reads its files of variables.
    async fn begin(
        self: &Arc<Self>,
        plan: &Arc<Play>,
        name: String,
        mut hosts: Vec<Arc<Host>>,
        named: Vec<String>,
        bare: &Room,
    ) -> Result<Arc<PlayRun>, String> {
        let title = name.clone();
        let option = async |key: &str| -> Result<Option<Value>, String> {
            match plan.options.get(key) {
                Some(node) => bare
                    .render(node)
                    .await
                    .map(|v| Some(v).filter(|v| !v.is_null()))
                    .map_err(|t| format!("`{key}` of the play `{title}`: {}", said(&t))),
                None => Ok(None),
            }
        };
        let flag = |value: Option<Value>, otherwise: bool| value.and_then(|value| to_bool(&value)).unwrap_or(otherwise);
        let percentage = option("max_fail_percentage").await?.map(|value| to_text(&value));
        let limits = Limits {
            rules: self.options.rules,
            rolling: plan.options.get("serial").is_some_and(|node| !matches!(node.kind, NodeKind::Null)),
            any_errors_fatal: flag(option("any_errors_fatal").await?, self.options.any_errors_fatal),
            max_fail_percentage: percentage
                .map(|text| {
                    text.trim_end_matches('%')
                        .trim()
                        .parse::<f64>()
                        .map_err(|_| format!("`max_fail_percentage` is a number, not `{text}`"))
                })
                .transpose()?,
            max_fail: option("max_fail")
                .await?
                .map(|value| parse_count(&value).map_err(|reason| format!("`max_fail`: {reason}")))
                .transpose()?,
        };
        if let Some(order) = option("order").await? {
            let mut names: Vec<String> = hosts.iter().map(|host| host.name.clone()).collect();
            let order = Order::parse(&to_text(&order))?;
            // The run's id decides a shuffle, so that a resumed run goes on as it began.
            let chance =
                self.options.run_id.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
            crate::inventory::sort(&mut names, order, chance);
            hosts = names.iter().map(|name| self.hosts.get(name)).collect();
        }
        let gather = match &plan.gather_facts {
            Some(node) => bare.render(node).await.ok().and_then(|value| to_bool(&value)),
            None if self.options.gather => Some(true),
            None => None,
        };
        let run = Arc::new(PlayRun {
            plan: Arc::clone(plan),
            name,
            hosts,
            named,
            limits,
            lazy_facts: gather.is_none(),
            force_handlers: flag(option("force_handlers").await?, self.options.force_handlers)
                || self.options.force_handlers,
            ended: AtomicBool::new(false),
            included: Mutex::default(),
            batch: Mutex::default(),
            files: Mutex::default(),
        });
        self.read_vars_files(&run).await?;
        Ok(run)
    }

    async fn batches(self: &Arc<Self>, play: &Arc<PlayRun>) -> Result<(), String> {
        let plan = Arc::clone(&play.plan);
        let sizes = match plan.options.get("serial") {
            Some(node) => {
                let host = play.hosts.first().cloned().unwrap_or_else(|| Arc::new(Host::new("")));
                let value = Room::new(self, &host, Some(play))
                    .render(node)
                    .await
                    .map_err(|t| format!("`serial`: {}", said(&t)))?;
                let values = match value {
                    Value::Null => Vec::new(),
                    Value::Array(values) => values,
                    one => vec![one],
                };
                values.iter().map(Serial::parse).collect::<Result<Vec<_>, _>>()?
            }
            None => Vec::new(),
        };
        let mut batches = Batches::new(sizes, play.hosts.len());
        let mut remaining: Vec<usize> = (0..play.hosts.len()).collect();
        // Looked at once for the count of batches, and again before each batch.
        let groups = self.values_of(play, plan.serial_by.as_ref(), &remaining, "serial_by").await?;
        let group_of = |host: usize| groups.get(&host).map(to_text);
        let count = batches.count(&remaining, &group_of);
        self.bus.emit(EventKind::PlayStarted {
            play: plan.id,
            name: play.name.clone(),
            hosts: play.hosts.iter().map(|host| host.name.clone()).collect(),
            batches: count,
            order: order_text(play, &batches, count),
            tasks: plan.task_count,
        });
        let halted = Arc::new(AtomicBool::new(false));
        let mut index = 0;
        while !remaining.is_empty()
            && !self.is_stopping()
            && !halted.load(Ordering::SeqCst)
            && !play.ended.load(Ordering::SeqCst)
        {
            remaining.retain(|host| play.hosts.get(*host).is_some_and(|host| host.standing() == Standing::Active));
            if let Some(expression) = &plan.order_by {
                let values = self.values_of(play, Some(expression), &remaining, "order_by").await?;
                remaining.sort_by(|a, b| compare(values.get(a), values.get(b)));
            }
            let chosen = batches.next(&mut remaining, &group_of);
            if chosen.is_empty() {
                break;
            }
            let hosts: Vec<Arc<Host>> = chosen.iter().filter_map(|at| play.hosts.get(*at).cloned()).collect();
            self.batch(play, index, count.max(index + 1), hosts, &halted).await;
            index += 1;
        }
        self.bus.emit(EventKind::PlayFinished { play: plan.id });
        Ok(())
    }

    async fn batch(
        self: &Arc<Self>,
        play: &Arc<PlayRun>,
        index: u32,
        batches: u32,
        hosts: Vec<Arc<Host>>,
        halted: &Arc<AtomicBool>,
    ) {
        play.batch.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&hosts);
        self.bus.emit(EventKind::BatchStarted {
            play: play.plan.id,
            batch: index,
            batches,
            hosts: hosts.iter().map(|host| host.name.clone()).collect(),
        });
        let batch = Arc::new(BatchRun {
            run: Arc::clone(self),
            play: Arc::clone(play),
            index,
            hosts: hosts.clone(),
            halted: Arc::clone(halted),
            ended: AtomicBool::new(false),
            passes: Mutex::default(),
        });
        let none: Locals = Arc::new(HashMap::new());
        let gate: Vec<Item> = play.plan.gate.iter().map(|task| Item::Task(Arc::clone(task))).collect();
        let mut live = batch.items(&gate, hosts.clone(), Rescue::None, false, Arc::clone(&none), 0).await;
        if !play.lazy_facts
            && self.wants_facts(play).await
            && let Some(setup) = gathering(&play.plan)
        {
            live = batch.task(&setup, live, Rescue::None, &none).await;
        }
        for section in &play.plan.sections {
            live = batch.items(section, live, Rescue::None, false, Arc::clone(&none), 0).await;
            // Under Ansible's rules hosts of a halted batch lose their handlers; `force_handlers` keeps them.
            let stops = self.options.rules == super::Rules::Ansible && halted.load(Ordering::SeqCst);
            if play.force_handlers {
                let able: Vec<Arc<Host>> =
                    hosts.iter().filter(|host| host.standing() != Standing::Unreachable).cloned().collect();
                batch.flush(able).await;
            } else if !stops && !batch.ended.load(Ordering::SeqCst) {
                live = batch.flush(live).await;
            }
            live.retain(|host| host.standing() == Standing::Active);
        }
        batch.items(&gate, live, Rescue::None, true, none, 0).await;
        batch.judge();
        self.bus.emit(EventKind::BatchFinished { play: play.plan.id, batch: index });
    }
}

/// A pattern, or a list of them.
fn patterns(value: &Value) -> String {
    match value {
        Value::Array(parts) => parts.iter().map(to_text).collect::<Vec<_>>().join(","),
        Value::Null => String::new(),
        one => to_text(one),
    }
}

fn order_text(play: &PlayRun, batches: &Batches, count: u32) -> String {
    let mut parts = Vec::new();
    if batches.is_rolling() {
        let first = batches.first_size();
        parts.push(if count as usize == play.hosts.len() {
            "one at a time".to_owned()
        } else {
            format!("up to {first} at a time")
        });
    }
    if let Some(expression) = &play.plan.order_by {
        // `mesos.is_leader` is false before true: the leader comes last.
        let text = expression.text();
        let last = text.rsplit_once(".is_").map(|(_, name)| name).filter(|name| name.chars().all(char::is_alphabetic));
        parts.push(last.map_or_else(|| format!("by {text}"), |name| format!("{name} last")));
    }
    parts.join(", ")
}

pub(super) fn said(trouble: &render::Trouble) -> String {
    match trouble {
        Trouble::Unknown(why) => format!("not known before the run: {why}"),
        Trouble::Failed(failure) => failure.message.clone(),
    }
}
