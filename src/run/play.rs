//! A play: its hosts, its variables, its options.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::batches::Progress;
use super::control::Approve;
use super::guard::{Ledger, Limits, Standing, judge};
use super::host::Host;
use super::outcome::HostResult;
use super::render::{Room, Trouble};
use super::roles::Roles;
use super::{Run, render};
use crate::base::{TaskId, Value, parse_duration, to_text};
use crate::event::EventKind;
use crate::inventory::{Order, Strictness};
use crate::modules::to_bool;
use crate::plan::{Item, Layer, Play, Window, parse_count, parse_window};

/// The name under which one include of one file was compiled.
type IncludeKey = (PathBuf, TaskId);

/// Who ran a task for all, and what came of it; locked while it runs.
type Shared = tokio::sync::Mutex<Option<(Arc<Host>, HostResult)>>;

/// A play under way.
pub(crate) struct PlayRun {
    pub(super) plan: Arc<Play>,
    pub(super) name: String,
    /// The hosts that take part, in order.
    pub(super) hosts: Vec<Arc<Host>>,
    /// All hosts that its pattern names in order, those that failed before included.
    pub(super) named: Vec<Arc<Host>>,
    /// How many hosts of earlier plays are out that this one does not name.
    elsewhere: usize,
    pub(super) limits: Limits,
    /// How long its gate must go on holding after each batch.
    pub(super) bake: Duration,
    /// When a person has to let it go on.
    pub(super) approve: Approve,
    /// Facts are gathered when something refers to one.
    pub(super) lazy_facts: bool,
    pub(super) force_handlers: bool,
    /// Whether the task to start at was reached before this play, where its hosts go through it each on its own: then all of them
    /// pass over the tasks before it. Else the first batch does.
    pub(super) started: Option<bool>,
    /// `meta: end_play`.
    pub(super) ended: AtomicBool,
    /// Files that were included and compiled.
    pub(super) included: Mutex<HashMap<IncludeKey, Arc<Vec<Item>>>>,
    /// A guard fired.
    pub(super) halted: AtomicBool,
    /// Which hosts are at work, and in which batch each was.
    pub(super) progress: Progress,
    /// What bounds a task with `throttle` across all hosts at work.
    narrow: Mutex<HashMap<(TaskId, usize), Arc<Semaphore>>>,
    /// What came of tasks that run once for a whole window, by task and pass.
    shared: Mutex<HashMap<(TaskId, u32), Arc<Shared>>>,
    /// What became of its roles.
    pub(super) roles: Roles,
    /// `vars_files` by host.
    pub(super) files: Mutex<HashMap<String, Arc<Vec<Layer>>>>,
}

impl PlayRun {
    /// What bounds a task to so many hosts at once.
    pub(super) fn narrow(&self, task: TaskId, most: usize) -> Arc<Semaphore> {
        let mut narrow = self.narrow.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(narrow.entry((task, most)).or_insert_with(|| Arc::new(Semaphore::new(most))))
    }

    /// What comes of a task that runs once for the whole window.
    pub(super) fn shared(&self, task: TaskId, pass: u32) -> Arc<Shared> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(shared.entry((task, pass)).or_default())
    }

    pub(super) fn files_of(&self, host: &str) -> Arc<Vec<Layer>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned().unwrap_or_default()
    }
}

impl PlayRun {
    /// Asks the guards after something happened in a batch (`None`: before the first), and says so when one fires. `stuck`: nothing
    /// is at work, and no host that remains may begin.
    pub(super) fn judge(&self, run: &Run, batch: Option<u32>, any_errors_fatal: bool, stuck: bool) {
        let is_counted = |host: &Arc<Host>| {
            let state = host.state();
            state.standing.is_out() || state.refusal.is_some()
        };
        let nothing = self.elsewhere == 0 && !stuck && !self.named.iter().any(is_counted);
        if nothing || self.halted.load(Ordering::SeqCst) {
            return;
        }
        let limits = Limits { any_errors_fatal, ..self.limits.clone() };
        let ledger = Ledger { hosts: self.progress.entries(&self.named), elsewhere: self.elsewhere, stuck };
        if let Some(halt) = judge(&limits, &ledger, batch) {
            self.progress.halt(run, self, halt);
        }
    }
}

impl Run {
    /// Names a play's hosts, so that they are listed as not attempted.
    pub(super) fn name_hosts(&self, play: &Play) {
        let pattern = patterns(&play.hosts.to_value());
        let inventory = self.inventory();
        drop(inventory);
        for name in only(play, self.select(&pattern).unwrap_or_default()) {
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
        let selected = only(&plan, self.select(&patterns(&wanted))?);
        self.let_wait(&plan, &selected);
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
                "all of its hosts failed, were unreachable or were left out before"
            };
            self.bus.emit(EventKind::PlaySkipped { play: plan.id, name, why: why.to_owned() });
            return Ok(());
        }
        self.control.play_begins(plan.id, &name, hosts.iter().map(|host| host.name.clone()).collect());
        let run = self.begin(&plan, name, hosts, selected, &bare).await?;
        self.batches(&run).await
    }

    /// A play as people may name it before it begins. Its hosts where they are written out.
    pub(super) fn phase(&self, play: &Play) -> (crate::base::PlayId, String, Option<Vec<String>>) {
        let inventory = self.inventory();
        let written = !crate::plan::has_template(&play.hosts);
        let selected =
            written.then(|| inventory.select_with(&patterns(&play.hosts.to_value()), Strictness::Ansible).ok());
        let limit: Vec<String> = self.options.limit.iter().cloned().collect();
        let hosts = selected.flatten().and_then(|selected| {
            inventory
                .limit(&self.sources, &selected.hosts, &limit, Strictness::Ansible)
                .ok()
                .map(|limited| limited.hosts)
        });
        (play.id, to_text(&play.name.to_value()), hosts.map(|hosts| only(play, hosts)))
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
        Room::new(self, nobody, Some(&self.bare_play(plan, Vec::new())))
    }

    /// A play that is not run: for what its variables say.
    pub(super) fn bare_play(&self, plan: &Arc<Play>, hosts: Vec<Arc<Host>>) -> Arc<PlayRun> {
        Arc::new(PlayRun {
            plan: Arc::clone(plan),
            name: String::new(),
            hosts,
            named: Vec::new(),
            elsewhere: 0,
            limits: Limits {
                rules: self.options.rules,
                rolling: false,
                any_errors_fatal: false,
                max_fail_percentage: None,
                max_fail: None,
                window: None,
            },
            bake: Duration::ZERO,
            approve: Approve::None,
            lazy_facts: false,
            force_handlers: false,
            started: None,
            ended: AtomicBool::new(false),
            included: Mutex::default(),
            halted: AtomicBool::new(false),
            progress: Progress::default(),
            narrow: Mutex::default(),
            shared: Mutex::default(),
            roles: Roles::default(),
            files: Mutex::default(),
        })
    }

    /// Evaluates the play's own options and reads its files of variables.
    async fn begin(
        self: &Arc<Self>,
        plan: &Arc<Play>,
        name: String,
        hosts: Vec<Arc<Host>>,
        mut named: Vec<String>,
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
        // A part of all hosts that the play names: one that is lost already is unavailable, too.
        let window = option("max_unavailable").await?.map(|value| parse_window(&value)).transpose()?;
        let window = window.map(|most| Window::new(most, named.len()));
        let percentage = option("max_fail_percentage").await?.map(|value| to_text(&value));
        let limits = Limits {
            rules: self.options.rules,
            rolling: window.is_some() || plan.says("serial"),
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
            window,
        };
        let bake = option("bake").await?.map_or(Ok(Duration::ZERO), |value| {
            parse_duration(&to_text(&value)).map_err(|reason| format!("`bake`: {reason}"))
        })?;
        let approve = option("approve").await?.map_or(Ok(Approve::None), |word| Approve::parse(&to_text(&word)))?;
        if let Some(order) = option("order").await? {
            let order = Order::parse(&to_text(&order))?;
            // The run's id decides a shuffle, so that a resumed run goes on as it began.
            let chance =
                self.options.run_id.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
            crate::inventory::sort(&mut named, order, chance);
        }
        let named: Vec<Arc<Host>> = named.iter().map(|name| self.hosts.get(name)).collect();
        let able: HashSet<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        let hosts: Vec<Arc<Host>> = named.iter().filter(|host| able.contains(host.name.as_str())).cloned().collect();
        let names: HashSet<&str> = named.iter().map(|host| host.name.as_str()).collect();
        let is_lost = |host: &Host| {
            let state = host.state();
            state.named && state.standing.is_out() && !state.forgiven
        };
        let elsewhere =
            self.hosts.all().iter().filter(|host| is_lost(host) && !names.contains(host.name.as_str())).count();
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
            elsewhere,
            limits,
            bake,
            approve,
            lazy_facts: gather.is_none(),
            force_handlers: flag(option("force_handlers").await?, self.options.force_handlers)
                || self.options.force_handlers,
            started: window.map(|_| self.started.load(Ordering::SeqCst)),
            ended: AtomicBool::new(false),
            included: Mutex::default(),
            halted: AtomicBool::new(false),
            progress: Progress::default(),
            narrow: Mutex::default(),
            shared: Mutex::default(),
            roles: Roles::default(),
            files: Mutex::default(),
        });
        self.read_vars_files(&run).await?;
        Ok(run)
    }
}

/// Those hosts that the play may have, in its order where it has one.
fn only(play: &Play, selected: Vec<String>) -> Vec<String> {
    let Some(only) = &play.only else { return selected };
    let selected: HashSet<String> = selected.into_iter().collect();
    only.iter().filter(|name| selected.contains(*name)).cloned().collect()
}

/// A pattern, or a list of them.
fn patterns(value: &Value) -> String {
    match value {
        Value::Array(parts) => parts.iter().map(to_text).collect::<Vec<_>>().join(","),
        Value::Null => String::new(),
        one => to_text(one),
    }
}

pub(super) fn said(trouble: &render::Trouble) -> String {
    match trouble {
        Trouble::Unknown(why) => format!("not known before the run: {why}"),
        Trouble::Failed(failure) => failure.message.clone(),
    }
}
