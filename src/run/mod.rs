//! The run: plays, batches, tasks and hosts in their order, over connections, under guards. Everything that happens is said on
//! the bus before or when it happens; nothing is printed here, and a remote failure is a value, never an error.
//!
//! What it cannot know: whether a command that was in flight when the line broke was done. A module of states is probed
//! again; an opaque command becomes [`crate::event::Status::Unknown`].

mod act;
mod added;
mod archives;
mod arguments;
mod ask;
mod attempt;
mod batch;
mod batches;
mod bind;
mod by_hand;
mod clock;
mod connect;
mod control;
mod controller;
mod detach;
mod fetch;
#[cfg(test)]
pub(crate) mod fixture;
mod flight;
mod gate;
mod gather;
mod guard;
mod handlers;
mod host;
mod items;
mod keep;
mod lease;
mod login;
mod look;
mod loops;
mod meta;
mod obey;
mod opened;
mod outcome;
mod past;
mod permission;
mod planned;
mod play;
mod render;
mod restore;
mod roles;
mod scope;
mod survey;
mod task;
#[cfg(test)]
mod tests;
mod undo;
mod vars_files;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::base::{Masker, Secret};
use crate::diag::Sources;
use crate::event::{Bus, EventKind, Tally};
use crate::inventory::Inventory;
use crate::plan::{Layer, Plan};
use crate::template::Engine;
use crate::transport::Transport;

pub(crate) use archives::Archives;
pub(crate) use connect::SECRET_VARIABLES;
pub(crate) use control::{Approve, Control, Request, Terms, Until};
pub(crate) use controller::Digests;
pub(crate) use guard::{Rules, Standing};
pub(crate) use host::Hosts;
pub(crate) use lease::whose;
use opened::OpenedFiles;
#[cfg(test)]
pub(crate) use past::InFlight;
pub(crate) use past::Past;
pub(crate) use planned::{Planned, Tasks};
pub(crate) use restore::{Resumption, WhenDrifted, WhenUnknown};
pub(crate) use survey::Surveyed;
pub(crate) use undo::{Ledger, NotUndone};
pub(crate) use vars_files::vars_file;

/// How a run is to be done.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Whose rules hold.
    pub(crate) rules: Rules,
    /// The run's id.
    pub(crate) run_id: String,
    /// How many hosts are at work at once.
    pub(crate) forks: usize,
    /// Change nothing; say what would be.
    pub(crate) check: bool,
    /// Bring the texts before and after along.
    pub(crate) diff: bool,
    /// Ask before each task.
    pub(crate) step: bool,
    /// Failed hosts run their notified handlers too.
    pub(crate) force_handlers: bool,
    /// Leave out tasks before the one with this name.
    pub(crate) start_at: Option<String>,
    /// `-v` count.
    pub(crate) verbosity: u8,
    /// `-e`.
    pub(crate) extra: Layer,
    /// `--limit`.
    pub(crate) limit: Option<String>,
    /// `--tags`, for `ansible_run_tags`.
    pub(crate) tags: Vec<String>,
    /// `--skip-tags`.
    pub(crate) skip_tags: Vec<String>,
    /// Inventory sources as given.
    pub(crate) inventory_sources: Vec<String>,
    /// The configuration file, when there is one.
    pub(crate) config_file: Option<String>,
    /// How to log in where variables don't say.
    pub(crate) login: Login,
    /// How to become another user where variables and keywords don't say.
    pub(crate) privilege: Privilege,
    /// The time a task may take where it doesn't say.
    pub(crate) task_timeout: Option<Duration>,
    /// `any_errors_fatal` where a play doesn't say.
    pub(crate) any_errors_fatal: bool,
    /// Folders in which roles are looked for, after `roles/` beside the playbook.
    pub(crate) roles_path: Vec<std::path::PathBuf>,
    /// Whether facts are gathered at the start of every play that doesn't say (`gathering = implicit` written in a
    /// configuration file); else when something refers to one.
    pub(crate) gather: bool,
    /// What it waits for, and until when it may go on.
    pub(crate) terms: Terms,
    /// The plan that it keeps to.
    pub(crate) planned: Option<Arc<Planned>>,
    /// What the run is, as its leases on hosts say it; `None`: it takes and minds none.
    pub(crate) lease: Option<String>,
}

/// How to log in where variables don't say.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    /// `ssh` or `local`.
    pub(crate) connection: String,
    /// `-u`.
    pub(crate) user: Option<String>,
    /// `-k`.
    pub(crate) password: Option<Secret>,
    /// `--private-key`.
    pub(crate) private_key: Option<String>,
    /// `--ssh-common-args`, `--ssh-extra-args`, `[ssh_connection] ssh_args`, split into words.
    pub(crate) arguments: Vec<String>,
    /// Host keys are checked.
    pub(crate) check_host_key: bool,
    /// `-T`.
    pub(crate) timeout: Duration,
    /// Further tries to connect.
    pub(crate) retries: u32,
    /// The shell on the host.
    pub(crate) shell: String,
}

/// How to become another user where variables and keywords don't say.
#[derive(Debug, Clone)]
pub(crate) struct Privilege {
    /// `-b`.
    pub(crate) enabled: bool,
    /// `sudo`, `su`, `doas`.
    pub(crate) method: String,
    /// Whom to become.
    pub(crate) user: String,
    /// `-K`.
    pub(crate) password: Option<Secret>,
    /// The program.
    pub(crate) executable: Option<String>,
    /// Its words.
    pub(crate) flags: Option<String>,
}

/// The person at the terminal, when there is one.
#[async_trait::async_trait]
pub(crate) trait Person: Send + Sync {
    /// Shows a question and gives the line that is typed. `Ok(None)` when the time is over first.
    ///
    /// # Errors
    /// There is no terminal.
    async fn ask(&self, question: &str, echo: bool, within: Option<Duration>) -> Result<Option<String>, String>;
}

/// How a run is stopped from outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    /// Start nothing new; hosts at work finish.
    pub(crate) soft: CancellationToken,
    /// Close connections.
    pub(crate) hard: CancellationToken,
}

/// A run under way.
pub(crate) struct Run {
    pub(crate) options: Options,
    pub(crate) engine: Arc<Engine>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) person: Arc<dyn Person>,
    pub(crate) interrupt: Interrupt,
    pub(crate) hosts: Hosts,
    pub(crate) digests: Digests,
    opened: OpenedFiles,
    /// What people said to it.
    pub(crate) control: Control,
    /// Held by the one question that is open at the terminal.
    pub(super) asking: tokio::sync::Mutex<()>,
    /// Archives of this machine.
    pub(crate) archives: Archives,
    /// Wall time, for results.
    pub(super) clock: crate::event::Clock,
    pub(crate) masker: Masker,
    /// Tokens that it was given over HTTP.
    tokens: login::Tokens,
    /// What an earlier process of this run did.
    pub(super) resumption: Option<Resumption>,
    /// What has to be taken back.
    pub(crate) ledger: Ledger,
    inventory: RwLock<Inventory>,
    forks: Arc<Semaphore>,
    next_task: AtomicU32,
    halted: AtomicBool,
    /// The task to start at was reached.
    started: AtomicBool,
    /// `--step`: the person said "continue".
    unasked: AtomicBool,
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Summary {
    /// Counts by host, in the order in which hosts were named.
    pub(crate) tallies: Vec<(String, Tally)>,
    /// Hosts that plays named and nothing was tried on.
    pub(crate) not_attempted: Vec<String>,
    /// Handlers notified and not run.
    pub(crate) pending: BTreeMap<String, Vec<String>>,
    /// A guard stopped it.
    pub(crate) halted: bool,
    /// A person stopped it.
    pub(crate) interrupted: bool,
    /// A person gave it up for good.
    pub(crate) aborted: bool,
    /// It was taken up only to be closed.
    pub(crate) closed: bool,
    /// The time that it was given was over before its end.
    pub(crate) late: bool,
    /// Some host failed.
    pub(crate) failed: bool,
    /// Some host was unreachable.
    pub(crate) unreachable: bool,
    /// Our own process could not go on: the journal failed, a file of the run was unreadable.
    pub(crate) error: Option<String>,
    /// `--start-at-task` named no task that was reached.
    pub(crate) start_not_found: bool,
    /// Settings that are still changed.
    pub(crate) not_undone: Vec<NotUndone>,
}

/// What a run is made of.
pub(crate) struct Parts {
    /// How it is to be done.
    pub(crate) options: Options,
    /// Templates.
    pub(crate) engine: Arc<Engine>,
    /// Texts.
    pub(crate) sources: Arc<Sources>,
    /// Where events go.
    pub(crate) bus: Arc<dyn Bus>,
    /// Connections.
    pub(crate) transport: Arc<dyn Transport>,
    /// The person.
    pub(crate) person: Arc<dyn Person>,
    /// How it is stopped.
    pub(crate) interrupt: Interrupt,
    /// Wall time, and time since the run began.
    pub(crate) clock: crate::event::Clock,
    /// Secrets to keep out of sight.
    pub(crate) masker: Masker,
    /// Hosts and groups.
    pub(crate) inventory: Inventory,
    /// The first id for tasks that are read while running.
    pub(crate) next_task: u32,
    /// What an earlier process of this run did, when it goes on.
    pub(crate) resumption: Option<Resumption>,
}

impl Run {
    /// Puts the parts together.
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let started = parts.options.start_at.is_none();
        let ledger = Ledger::default();
        if let Some(resumption) = &parts.resumption {
            ledger.restore(resumption.past.undos().clone());
        }
        let run = Arc::new(Self {
            forks: Arc::new(Semaphore::new(parts.options.forks.max(1))),
            options: parts.options,
            engine: parts.engine,
            sources: parts.sources,
            bus: parts.bus,
            transport: parts.transport,
            person: parts.person,
            interrupt: parts.interrupt,
            hosts: Hosts::default(),
            digests: Digests::default(),
            opened: OpenedFiles::default(),
            control: Control::default(),
            asking: tokio::sync::Mutex::default(),
            archives: Archives::default(),
            clock: parts.clock,
            masker: parts.masker,
            tokens: login::Tokens::default(),
            resumption: parts.resumption,
            ledger,
            inventory: RwLock::new(parts.inventory),
            next_task: AtomicU32::new(parts.next_task),
            halted: AtomicBool::new(false),
            started: AtomicBool::new(started),
            unasked: AtomicBool::new(false),
        });
        run.take_up();
        run
    }

    /// The inventory, for a moment.
    pub(crate) fn inventory(&self) -> RwLockReadGuard<'_, Inventory> {
        self.inventory.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change_inventory(&self, change: impl FnOnce(&mut Inventory)) {
        change(&mut self.inventory.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether nothing new may be started.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_interrupted() || self.control.is_late()
    }

    /// Which tasks of what is read while running are run.
    pub(super) fn selection(&self) -> crate::plan::Selection {
        crate::plan::Selection {
            tags: self.options.tags.iter().cloned().collect(),
            skip: self.options.skip_tags.iter().cloned().collect(),
        }
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.soft.is_cancelled() || self.interrupt.hard.is_cancelled()
    }

    /// Runs all plays, and closes the connections.
    pub(crate) async fn plan(self: &Arc<Self>, plan: Plan) -> Summary {
        let mut summary = Summary::default();
        let cutter = {
            let run = Arc::clone(self);
            tokio::spawn(async move {
                run.interrupt.hard.cancelled().await;
                // What is in flight ends as unknown, and the transport kills what it started.
                run.close().await;
            })
        };
        let beating = tokio::spawn(Arc::clone(self).beat());
        if let Some(resumption) = &self.resumption {
            for name in resumption.past.skipped().keys() {
                self.hosts.get(name).state().standing = Standing::LeftOut;
            }
        }
        self.control.plan(plan.plays.iter().map(|play| self.phase(play)).collect());
        // Before anything else: the setting of a host that this run never comes to again must not stay.
        self.undo_all(&plan).await;
        for play in plan.plays {
            self.look_at_the_clock();
            if self.is_stopping() || self.halted.load(Ordering::SeqCst) || self.only_undoes() {
                // The rest of the plan is left untouched; its hosts count as not attempted.
                self.name_hosts(&play);
                continue;
            }
            let id = play.id;
            let done = self.play(play).await;
            self.control.play_ends(id);
            if let Err(error) = done {
                summary.error = Some(error);
                break;
            }
        }
        self.undo_what_is_left().await;
        self.sweep_all().await;
        beating.abort();
        self.give_back().await;
        cutter.abort();
        self.close().await;
        self.summarise(&mut summary);
        summary
    }

    fn summarise(&self, summary: &mut Summary) {
        // Where all of the plan was run, a host without a task had nothing to do.
        let stopped = self.is_stopping() || self.halted.load(Ordering::SeqCst) || summary.error.is_some();
        for host in self.hosts.all() {
            let state = host.state();
            let (name, tally) = (host.name.clone(), state.tally);
            let pending: Vec<String> = state.lost_handlers.iter().chain(&state.notified).cloned().collect();
            if !pending.is_empty() {
                summary.pending.insert(name.clone(), pending);
            }
            summary.failed |= tally.failed > 0 && !state.forgiven;
            summary.unreachable |= tally.unreachable > 0 && !state.forgiven;
            if state.attempted {
                summary.tallies.push((name, tally));
            } else if state.named && (stopped || state.standing == Standing::LeftOut) {
                summary.not_attempted.push(name);
            }
        }
        summary.halted = self.halted.load(Ordering::SeqCst);
        summary.not_undone = self.ledger.not_undone();
        summary.interrupted = self.is_interrupted();
        summary.aborted = self.control.is_aborted() || self.only_undoes();
        summary.closed = self.only_undoes();
        summary.late = self.control.is_late();
        summary.start_not_found = !self.started.load(Ordering::SeqCst);
    }

    async fn close(&self) {
        let hosts = self.hosts.all();
        futures::future::join_all(hosts.iter().map(|host| self.disconnect(host))).await;
    }

    /// Asks the person; an interrupt takes the question back.
    pub(super) async fn ask(
        &self,
        question: &str,
        echo: bool,
        within: Option<Duration>,
    ) -> Result<Option<String>, String> {
        tokio::select! {
            biased;
            // Hosts that go through a window on their own may all want to ask.
            answer = async {
                let _turn = self.asking.lock().await;
                self.person.ask(question, echo, within).await
            } => answer,
            () = self.interrupt.soft.cancelled() => Err("interrupted".to_owned()),
        }
    }

    pub(crate) fn warn(&self, message: impl Into<String>) {
        self.bus.emit(EventKind::Warning { message: message.into() });
    }

    pub(super) fn halt(&self) {
        self.halted.store(true, Ordering::SeqCst);
        self.control.wake();
    }
}
