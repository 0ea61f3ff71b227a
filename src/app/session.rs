//! What `run` and `exec` share: configuration, inventory, passwords, transport, sinks, and the run itself.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::beginning::{begin, chance};
use super::operator::operator;
use super::pinned::{directory, pinned};
use super::plan::Watch;
use super::vault::keys;
use super::{control, ending, extra, lock, person, signals, view};
use crate::base::{Masker, RunId, Secret, Span};
use crate::cli::{Common, Exit, Rules};
use crate::config::{Config, Gathering, Places};
use crate::diag::{Diagnostic, Severity, Sources, render_all};
use crate::event::{Bus as _, Clock, Event, EventKind, PlannedPlay, Sink};
use crate::inventory::{Inventory, Level, LoadOptions};
use crate::journal::{Journal, RunFolder};
use crate::plan::{Layer, Plan};
use crate::report::{self, prompt};
use crate::run::{self, Interrupt, Login, Parts, Privilege, Run};
use crate::template::Engine;
use crate::transport;

/// Everything that is read before anything is done.
pub(super) struct Session {
    pub(super) sources: Arc<Sources>,
    pub(super) engine: Arc<Engine>,
    pub(super) config: Config,
    pub(super) inventory: Inventory,
    pub(super) inventory_sources: Vec<String>,
    pub(super) extra: Layer,
    pub(super) rules: Rules,
    pub(super) limit: Option<String>,
    pub(super) wrong: Vec<Diagnostic>,
    /// How many of the errors say that something that was named is not there.
    pub(super) missing: usize,
    /// An inventory can't be read, or only in part.
    pub(super) inventory_wrong: bool,
    pub(super) colour: bool,
    /// What must not be shown.
    pub(super) masker: Masker,
    /// Why there are no vault passwords where some were named: all that is encrypted would be told as wrong.
    pub(super) no_keys: Option<keys::Failure>,
}

/// The environment as text; what isn't UTF-8 is left out.
pub(super) fn environment() -> BTreeMap<String, String> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
}

impl Session {
    /// Reads configuration, extra variables and the inventory. What is wrong is collected.
    pub(super) fn open(common: &Common) -> Self {
        Self::read(common, false)
    }

    /// The same, but that encrypted files of variables whose password nobody gave are only wrong once [`Self::needs`] says so: as
    /// with Ansible, lists of tasks and a look at the syntax need no password.
    pub(super) fn open_lazily(common: &Common) -> Self {
        Self::read(common, true)
    }

    fn read(common: &Common, defer_closed: bool) -> Self {
        let sources = Arc::new(Sources::new());
        let environment = environment();
        let (config, mut wrong) = Config::load(&sources, &environment, &Places::of(&environment));
        let masker = Masker::default();
        let (engine, no_keys) = keys::hand_out(&common.vault, &config, &masker, &sources);
        let (extra, found) = extra::read(&sources, &common.extra_vars);
        wrong.extend(found);
        let given = if common.inventory.is_empty() { config.inventory.clone() } else { common.inventory.clone() };
        let options = LoadOptions { merge_mappings: config.merge_mappings, defer_closed, ..LoadOptions::default() };
        let default_only = common.inventory.is_empty() && given == [crate::config::DEFAULT_INVENTORY.to_owned()];
        let (inventory, found) = if default_only && !Path::new(crate::config::DEFAULT_INVENTORY).exists() {
            // Nobody named an inventory: `localhost` alone is there.
            (Inventory::empty(&options), Vec::new())
        } else {
            Inventory::load(&sources, &given, &options)
        };
        let mut inventory = inventory;
        // Ansible knows no such names: there they match nothing, as ever.
        if common.rules == Rules::Stagger {
            inventory.name_lists(super::last::lists(common.state.as_deref()));
        }
        wrong.extend(view::unknown_callbacks(common.rules, &config).map(|text| Diagnostic::warning(text, Span::NONE)));
        let inventory_wrong = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        let missing = missing_sources(&given, &found);
        wrong.extend(found);
        let colour = view::wants_colour(common, &config, std::io::stderr().is_terminal());
        Self {
            sources,
            engine: Arc::new(engine),
            config,
            inventory,
            inventory_sources: given,
            extra,
            rules: common.rules,
            limit: common.limit.clone(),
            wrong,
            missing,
            inventory_wrong,
            colour,
            masker,
            no_keys,
        }
    }

    /// Reads group_vars/ and host_vars/ beside playbooks.
    pub(super) fn beside(&mut self, folders: &[PathBuf]) {
        for folder in folders {
            let found = self.inventory.load_vars_beside(&self.sources, folder, Level::Playbook);
            self.wrong.extend(found);
        }
    }

    /// Folders in which roles are looked for, after `roles/` beside the playbook: those of the settings, or Ansible's own.
    pub(super) fn roles_path(&self) -> Vec<PathBuf> {
        if !self.config.roles_path.is_empty() {
            return self.config.roles_path.clone();
        }
        let own = std::env::home_dir().map(|home| home.join(".ansible/roles"));
        own.into_iter().chain(["/usr/share/ansible/roles".into(), "/etc/ansible/roles".into()]).collect()
    }

    /// Shows what is wrong so far; gives the exit code when something is an error.
    pub(super) fn complain(&mut self) -> Option<Exit> {
        if let Some((reason, exit)) = self.no_keys.take() {
            super::complain(&format!("error: {reason}\nNothing was done and no host was contacted.\n"));
            return Some(exit);
        }
        if self.wrong.is_empty() {
            return None;
        }
        let mut wrong = std::mem::take(&mut self.wrong);
        // File by file, from top to bottom, as they are mended.
        wrong.sort_by_key(|diagnostic| {
            let place = diagnostic.labels.first().map(|label| label.span).filter(|span| span.is_some());
            place.map(|span| (span.source.0, span.start))
        });
        let errors = wrong.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        super::complain(&self.masker.mask(&render_all(&wrong, &self.sources, self.colour)));
        if errors == 0 {
            return None;
        }
        let count = if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") };
        super::complain(&format!("\n{count}; nothing was done and no host was contacted.\n"));
        // Nothing is wrong but that something that was named is not there.
        Some(if self.missing == errors { Exit::NoTarget } else { Exit::Input })
    }

    /// Runs a plan to its end and gives the exit code.
    pub(super) fn execute(self, common: &Common, plan: Plan, how: How) -> Exit {
        if let Some(exit) = lock::refused(&self, common, &plan, &how) {
            return exit;
        }
        let given = how.passwords.clone().map_or_else(|| self.passwords(common), Ok);
        let passwords = match given {
            Ok(passwords) => passwords,
            Err((reason, exit)) => {
                super::complain(&format!("error: {reason}\nNothing was done and no host was contacted.\n"));
                return exit;
            }
        };
        let threads = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
        match runtime {
            Ok(runtime) => {
                let exit = runtime.block_on(self.go(common, plan, how, passwords));
                // A thread that waits for a key press must not keep the program.
                runtime.shutdown_timeout(Duration::from_millis(100));
                exit
            }
            Err(error) => {
                super::complain(&format!("error: cannot start: {error}\n"));
                Exit::Error
            }
        }
    }

    pub(super) fn passwords(&self, common: &Common) -> Result<Passwords, (String, Exit)> {
        let connect = &common.connect;
        let file = connect.password_file.as_deref().or(self.config.connection_password_file.as_deref());
        let ssh = person::password(file, connect.ask_password || self.config.ask_pass, prompt::SSH_PASSWORD)?;
        let privilege = &common.privilege;
        let file = privilege.password_file.as_deref().or(self.config.become_password_file.as_deref());
        let question = if ssh.is_some() { prompt::BECOME_PASSWORD_OR_SSH } else { prompt::BECOME_PASSWORD };
        let asked = person::password(file, privilege.ask_password || self.config.become_ask_pass, question)?;
        let sudo = match asked {
            Some(secret) if secret.reveal().is_empty() => ssh.clone(),
            other => other,
        };
        Ok(Passwords { ssh, sudo })
    }

    async fn go(self, common: &Common, plan: Plan, mut how: How, passwords: Passwords) -> Exit {
        transport::raise_open_files();
        let one_channel_a_command = std::env::var("STAGGER_ONE_CHANNEL").is_ok_and(|value| value == "1");
        let options = transport::Options { one_channel_a_command, ..transport::Options::default() };
        let transport = Arc::new(transport::Any::new(options));
        let again = how.again.as_ref();
        let clock = Clock::start().after(again.map_or(0, |again| again.resumption.past.elapsed()));
        let run_id = again.map_or_else(|| RunId::new(clock.started_at(), chance()), |again| again.folder.id.clone());
        let masker = self.masker.clone();
        // Before anything is said: the command line and variables that are shown may hold them.
        let asked = [&passwords.ssh, &passwords.sudo].into_iter().flatten().cloned();
        for secret in asked.chain(extra::secrets(&self.extra)).chain(self.login_secrets()) {
            masker.add(&secret);
        }
        let (journal, earlier, resumption) = match how.again.take() {
            Some(Again { journal, events, resumption, .. }) => (journal, events, Some(resumption)),
            None => match begin(common, &run_id) {
                Ok(journal) => (journal, Vec::new(), None),
                Err(reason) => {
                    super::complain(&format!(
                        "error: {reason}\nNothing was done: a run without a journal can't be resumed.\n"
                    ));
                    return Exit::Journal;
                }
            },
        };
        let requests = journal.folder().requests();
        let watch = how.watch.take();
        let own = || view::sink(common, &self.config, how.one_off, how.one_line);
        let mut view = watch.as_ref().map_or_else(own, Watch::sink);
        earlier.iter().for_each(|event| view.recall(event));
        let junit = view::junit(common, &self.config, &how.title);
        let sinks: Vec<Box<dyn Sink>> = [Box::new(journal) as Box<dyn Sink>, view].into_iter().chain(junit).collect();
        let bus = match report::Events::start(sinks, masker.clone(), clock.clone()) {
            Ok(bus) => Arc::new(bus),
            Err(error) => {
                super::complain(&format!("error: cannot start: {error}\n"));
                return Exit::Error;
            }
        };
        bus.emit(match &resumption {
            None => self.started(common, &plan, &how, &run_id),
            Some(_) => self.resumed(),
        });
        let interrupt = Interrupt::default();
        let listener = tokio::spawn(signals::listen(interrupt.clone(), Arc::clone(&bus) as Arc<dyn crate::event::Bus>));
        let (failed, soft) = (bus.failed(), interrupt.soft.clone());
        let watcher = tokio::spawn(async move {
            failed.cancelled().await;
            soft.cancel();
        });
        let options = self.options(common, &how, &run_id, passwords);
        if !options.login.check_host_key {
            bus.emit(EventKind::Warning {
                message:
                    "host keys are not checked: anyone between here and the hosts can read and change what is sent"
                        .to_owned(),
            });
        }
        let rules = self.rules;
        let run = Run::new(Parts {
            options,
            engine: self.engine,
            sources: self.sources,
            bus: Arc::clone(&bus) as Arc<dyn crate::event::Bus>,
            transport: Arc::clone(&transport) as Arc<dyn transport::Transport>,
            person: Arc::new(person::Terminal),
            interrupt,
            clock,
            masker,
            inventory: self.inventory,
            next_task: how.next_task,
            resumption,
        });
        let hearing = match requests {
            Ok(requests) => Some(tokio::spawn(control::listen(Arc::clone(&run), requests))),
            Err(error) => {
                let message = format!("nobody can speak to this run: {}", super::with_causes(&error));
                bus.emit(EventKind::Warning { message });
                None
            }
        };
        let summary = run.plan(plan).await;
        if let Some(watch) = &watch {
            watch.files(run.digests.all());
        }
        if let Some(hearing) = hearing {
            hearing.abort();
        }
        listener.abort();
        watcher.abort();
        for message in transport.take_warnings() {
            bus.emit(EventKind::Warning { message });
        }
        if let Some(message) = unchecked(&transport.take_unchecked()) {
            bus.emit(EventKind::Warning { message });
        }
        if let Some(message) = &summary.error {
            bus.emit(EventKind::Warning { message: format!("the run stopped: {message}") });
        }
        let exit = ending::exit_of(&summary, bus.failed().is_cancelled());
        bus.emit(EventKind::RunFinished {
            tallies: summary.tallies.clone(),
            not_attempted: summary.not_attempted.clone(),
            pending_handlers: summary.pending.clone(),
            halted: summary.halted || summary.interrupted || summary.late || summary.error.is_some(),
            exit: exit.code(rules),
            ended: ending::ended_of(&summary, bus.failed().is_cancelled()),
        });
        let ended = tokio::task::spawn_blocking(move || bus.finish()).await;
        match ended {
            Ok(Ok(())) => {}
            // Whoever read our output has gone; the journal has all of it.
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            Ok(Err(error)) => super::complain(&format!("warning: an output failed: {error}\n")),
            Err(error) => super::complain(&format!("warning: an output failed: {error}\n")),
        }
        if summary.start_not_found {
            super::complain("error: --start-at-task names no task that was reached; nothing was run\n");
        }
        exit
    }

    /// Passwords to log in and to become another user that the inventory has as plain text.
    pub(super) fn login_secrets(&self) -> Vec<Secret> {
        let mut found = Vec::new();
        for host in self.inventory.hosts() {
            let variables = self.inventory.variables(host, None);
            found.extend(run::SECRET_VARIABLES.iter().filter_map(|name| {
                let node = variables.get(*name)?;
                (!crate::plan::has_template(node)).then(|| Secret::new(crate::base::to_text(&node.to_value())))
            }));
        }
        found.sort_by(|a, b| a.reveal().cmp(b.reveal()));
        found.dedup();
        found
    }

    fn started(&self, common: &Common, plan: &Plan, how: &How, run_id: &RunId) -> EventKind {
        let plays = plan.plays.iter().map(|play| PlannedPlay {
            name: crate::base::to_text(&play.name.to_value()),
            hosts: u32::try_from(self.hosts_of(play).len()).unwrap_or(u32::MAX),
            order: String::new(),
            rollback: play.rollback.as_ref().map(|(path, _)| path.display().to_string()).unwrap_or_default(),
        });
        EventKind::RunStarted {
            version: crate::event::VERSION,
            run: run_id.clone(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            title: how.title.clone(),
            inventory: self.inventory_sources.clone(),
            operator: operator(),
            check: common.check,
            pinned: self.pinned(),
            command: std::env::args().collect(),
            directory: how.directory.clone().unwrap_or_else(directory),
            environment: environment()
                .into_iter()
                .filter(|(name, _)| name.starts_with("ANSIBLE_") || name.starts_with("STAGGER_"))
                .filter(|(name, _)| !name.contains("PASS") || name.ends_with("_FILE"))
                .collect(),
            plays: plays.collect(),
            rolls_back: how.rolls_back.clone(),
        }
    }

    fn resumed(&self) -> EventKind {
        EventKind::Resumed {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            operator: operator(),
            command: std::env::args().collect(),
            pinned: self.pinned(),
        }
    }

    /// Digests of all files that were read. Not of variables on the command line: a short secret could be guessed from its
    /// digest, and the command line itself is in the journal, masked.
    pub(super) fn pinned(&self) -> BTreeMap<String, String> {
        pinned(&self.sources)
    }

    pub(super) fn options(&self, common: &Common, how: &How, run_id: &RunId, passwords: Passwords) -> run::Options {
        let config = &self.config;
        let connect = &common.connect;
        let words = |text: &Option<String>| text.as_deref().and_then(shlex::split).unwrap_or_default();
        let mut arguments = words(&config.ssh_args);
        arguments.extend(words(&connect.ssh_common_args.clone().or_else(|| config.ssh_common_args.clone())));
        arguments.extend(words(&connect.ssh_extra_args.clone().or_else(|| config.ssh_extra_args.clone())));
        let key = connect.private_key.clone().or_else(|| config.private_key_file.clone());
        run::Options {
            rules: match self.rules {
                Rules::Stagger => run::Rules::Stagger,
                Rules::Ansible => run::Rules::Ansible,
            },
            run_id: run_id.to_string(),
            forks: common.forks.unwrap_or(config.forks).get(),
            check: common.check,
            diff: common.diff || config.diff,
            step: how.step,
            force_handlers: how.force_handlers || config.force_handlers,
            start_at: how.start_at.clone(),
            verbosity: common.verbosity.max(config.verbosity),
            extra: Arc::clone(&self.extra),
            limit: common.limit.clone(),
            tags: how.tags.clone(),
            skip_tags: how.skip_tags.clone(),
            inventory_sources: self.inventory_sources.clone(),
            config_file: config.file.as_ref().map(|path| path.display().to_string()),
            login: Login {
                connection: connect.connection.clone().unwrap_or_else(|| config.transport.clone()),
                user: connect.user.clone().or_else(|| config.remote_user.clone()),
                password: passwords.ssh,
                private_key: key.map(|path| path.display().to_string()),
                arguments,
                check_host_key: config.host_key_checking,
                timeout: connect.timeout.unwrap_or(config.timeout),
                retries: config.retries,
                shell: config.executable.clone(),
            },
            privilege: Privilege {
                enabled: common.privilege.enabled || config.privilege,
                method: common.privilege.method.clone().unwrap_or_else(|| config.become_method.clone()),
                user: common.privilege.user.clone().unwrap_or_else(|| config.become_user.clone()),
                password: passwords.sudo,
                executable: config.become_exe.clone(),
                flags: config.become_flags.clone(),
            },
            task_timeout: how.task_timeout.or(config.task_timeout).filter(|timeout| !timeout.is_zero()),
            any_errors_fatal: config.any_errors_fatal,
            roles_path: self.roles_path(),
            gather: self.rules == Rules::Ansible && config.gathering == Gathering::Implicit && !how.one_off,
            terms: run::Terms { operator: operator(), ..how.terms.clone() },
            planned: how.planned.clone(),
            lease: lock::wants_leases().then(|| how.title.clone()),
        }
    }
}

/// How many of those diagnostics say that a named source is not there.
pub(super) fn missing_sources(given: &[String], found: &[Diagnostic]) -> usize {
    // A source that is not there has no place.
    let no_place = |diagnostic: &&Diagnostic| diagnostic.labels.iter().all(|label| !label.span.is_some());
    let absent = given.iter().any(|source| !source.contains(',') && !Path::new(source).exists());
    if absent { found.iter().filter(no_place).count() } else { 0 }
}

/// What the person typed, or files hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Passwords {
    ssh: Option<Secret>,
    sudo: Option<Secret>,
}

/// What differs between a playbook run and a one-off command.
#[derive(Debug, Default)]
pub(super) struct How {
    pub(super) title: String,
    pub(super) tags: Vec<String>,
    pub(super) skip_tags: Vec<String>,
    pub(super) start_at: Option<String>,
    pub(super) step: bool,
    pub(super) force_handlers: bool,
    pub(super) task_timeout: Option<Duration>,
    pub(super) one_off: bool,
    pub(super) one_line: bool,
    pub(super) next_task: u32,
    /// The run is taken up again.
    pub(super) again: Option<Again>,
    pub(super) terms: run::Terms,
    /// The run that it rolls back.
    pub(super) rolls_back: Option<RunId>,
    /// The plan that it keeps to.
    pub(super) planned: Option<Arc<run::Planned>>,
    /// Who takes its events in place of a view.
    pub(super) watch: Option<Watch>,
    /// What was asked for already.
    pub(super) passwords: Option<Passwords>,
    /// Where the command was typed, when that is not where it runs.
    pub(super) directory: Option<String>,
}

/// A run that is taken up again.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) folder: RunFolder,
    pub(super) journal: Journal,
    pub(super) events: Vec<Event>,
    pub(super) resumption: run::Resumption,
}

/// One line for all hosts whose keys nobody checked.
fn unchecked(hosts: &[String]) -> Option<String> {
    let of = match hosts.len() {
        0 => return None,
        1 => "the host key of 1 host was".to_owned(),
        many => format!("the host keys of {many} hosts were"),
    };
    Some(format!("{of} not checked: {}", crate::report::fold(hosts, 6)))
}
