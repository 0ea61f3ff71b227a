//! What was asked for, as plain data.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::reading::{DocRequest, LintRequest};
pub(super) use super::vault::VaultKeys;
use super::vault::VaultRequest;

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    /// Run (or check, or list) playbooks.
    Run(RunRequest),
    /// Show what playbooks would change, and keep it.
    Plan(PlanRequest),
    /// Run one module on hosts.
    Exec(ExecRequest),
    /// Show the inventory.
    Inventory(InventoryRequest),
    /// Speak to a run.
    Control(ControlRequest),
    /// Look at runs.
    Look(LookRequest),
    /// Take a run up again.
    Resume(ResumeRequest),
    /// Roll a run back.
    Rollback(RollbackRequest),
    /// Upgrade a cluster hop by hop.
    Upgrade(UpgradeRequest),
    /// Look who has hosts, or break what is there.
    Lock(LockRequest),
    /// Say what there is.
    Doc(DocRequest),
    /// Say what of a tree works here.
    Lint(LintRequest),
    /// Encrypt, decrypt, edit.
    Vault(VaultRequest),
    /// Rehearsal hosts: the words after `lab`.
    Lab(Vec<OsString>),
}

/// When a play waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Approval {
    /// Never.
    None,
    /// Before its first batch.
    First,
    /// Before each batch.
    Each,
}

/// What `run` waits for, and until when it may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Terms {
    /// `--approve`; `None` leaves it to the playbook.
    pub(crate) approve: Option<Approval>,
    /// `--until`: hour and minute.
    pub(crate) until: Option<(u8, u8)>,
    /// `--for`.
    pub(crate) lasting: Option<Duration>,
}

/// What is asked of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Start nothing new until resumed.
    Pause,
    /// Go on, after a pause or after an early end.
    Resume,
    /// Let one batch that waits begin.
    Continue,
    /// Undo, and end for good.
    Abort,
    /// Leave hosts out.
    Skip,
    /// Try failed hosts again.
    Retry,
}

impl Ask {
    /// The command's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Continue => "continue",
            Self::Abort => "abort",
            Self::Skip => "skip",
            Self::Retry => "retry",
        }
    }
}

/// `pause`, `resume`, `continue`, `abort`, `skip`, `retry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ControlRequest {
    /// What is asked.
    pub(crate) ask: Ask,
    /// A beginning or end of the run's id.
    pub(crate) run: Option<String>,
    /// Hosts, or the phase.
    pub(crate) words: Vec<String>,
    /// `--reason`; empty when not given.
    pub(crate) reason: String,
    /// `--state`.
    pub(crate) state: Option<PathBuf>,
}

/// Whose rules hold where the two differ: how a play stops, output, exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Rules {
    /// stagger's.
    #[default]
    Stagger,
    /// Ansible's: the program was called under one of its names.
    Ansible,
}

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum OutputForm {
    /// Progress bars for a person at a terminal.
    Human,
    /// Lines for a log.
    Plain,
    /// One JSON event a line.
    Json,
    /// Ansible's own.
    Ansible,
}

/// Whether colours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Colour {
    /// At a terminal, unless the environment says no.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What `run` and `exec` have in common.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Common {
    /// Whose rules hold.
    pub(crate) rules: Rules,
    /// `-i`: paths or `h1,h2,`, in order; empty when none was given.
    pub(crate) inventory: Vec<String>,
    /// `-l`, as typed; an empty text is not the same as none.
    pub(crate) limit: Option<String>,
    /// `-f`.
    pub(crate) forks: Option<NonZeroUsize>,
    /// `-C`.
    pub(crate) check: bool,
    /// `-D`.
    pub(crate) diff: bool,
    /// `-e`, as typed, in order.
    pub(crate) extra_vars: Vec<String>,
    /// How to connect.
    pub(crate) connect: Connect,
    /// How to become another user.
    pub(crate) privilege: Privilege,
    /// Vault passwords.
    pub(crate) vault: VaultKeys,
    /// `-v` count.
    pub(crate) verbosity: u8,
    /// `--output`; `None` when the terminal decides.
    pub(crate) output: Option<OutputForm>,
    /// `--color`.
    pub(crate) colour: Colour,
    /// `--state`.
    pub(crate) state: Option<PathBuf>,
    /// `--beside`: an unfinished run that does not stand in the way.
    pub(crate) beside: Option<String>,
    /// `--flush-cache`.
    pub(crate) flush_cache: bool,
    /// Things to say before anything else: flags that are accepted and have no effect here.
    pub(crate) warnings: Vec<String>,
}

/// How to connect, as far as the command line says. `None` leaves it to configuration and variables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Connect {
    /// `-u`.
    pub(crate) user: Option<String>,
    /// `-c`.
    pub(crate) connection: Option<String>,
    /// `-T`.
    pub(crate) timeout: Option<Duration>,
    /// `--private-key`.
    pub(crate) private_key: Option<PathBuf>,
    /// `--ssh-common-args`.
    pub(crate) ssh_common_args: Option<String>,
    /// `--ssh-extra-args`.
    pub(crate) ssh_extra_args: Option<String>,
    /// `-k`.
    pub(crate) ask_password: bool,
    /// `--connection-password-file`.
    pub(crate) password_file: Option<PathBuf>,
}

/// How to become another user, as far as the command line says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Privilege {
    /// `-b`.
    pub(crate) enabled: bool,
    /// `--become-method`.
    pub(crate) method: Option<String>,
    /// `--become-user`.
    pub(crate) user: Option<String>,
    /// `-K`.
    pub(crate) ask_password: bool,
    /// `--become-password-file`.
    pub(crate) password_file: Option<PathBuf>,
}

/// What to list instead of running. Several may be asked for at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Listing {
    /// `--list-hosts`.
    pub(crate) hosts: bool,
    /// `--list-tasks`.
    pub(crate) tasks: bool,
    /// `--list-tags`.
    pub(crate) tags: bool,
}

impl Listing {
    /// Whether anything is to be listed.
    pub(crate) fn any(self) -> bool {
        self.hosts || self.tasks || self.tags
    }
}

/// `run`, `check` and `ansible-playbook`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct RunRequest {
    /// Playbook paths, at least one, in order.
    pub(crate) playbooks: Vec<PathBuf>,
    /// What it shares with `exec`.
    pub(crate) common: Common,
    /// `-t`, split at commas; empty when none was given.
    pub(crate) tags: Vec<String>,
    /// `--skip-tags`, split at commas.
    pub(crate) skip_tags: Vec<String>,
    /// `--start-at-task`.
    pub(crate) start_at_task: Option<String>,
    /// `--step`.
    pub(crate) step: bool,
    /// `--list-…`.
    pub(crate) list: Listing,
    /// `--syntax-check`.
    pub(crate) syntax_check: bool,
    /// `--force-handlers`.
    pub(crate) force_handlers: bool,
    /// `--approve`, `--until`, `--for`.
    pub(crate) terms: Terms,
    /// `--plan`: the saved plan that it keeps to; it names the playbooks, then.
    pub(crate) plan: Option<PathBuf>,
}

/// `plan`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlanRequest {
    /// What is planned.
    pub(crate) run: RunRequest,
    /// `--save`.
    pub(crate) save: Option<PathBuf>,
}

/// `exec` and `ansible`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ExecRequest {
    /// The host pattern.
    pub(crate) pattern: String,
    /// `-m`: `command` when not given.
    pub(crate) module: String,
    /// `-a`, as typed; empty when not given.
    pub(crate) arguments: String,
    /// What it shares with `run`.
    pub(crate) common: Common,
    /// `-o`.
    pub(crate) one_line: bool,
    /// `--task-timeout`.
    pub(crate) task_timeout: Option<Duration>,
    /// `--playbook-dir`.
    pub(crate) playbook_dir: Option<PathBuf>,
    /// `--list-hosts`.
    pub(crate) list_hosts: bool,
    /// `--looks`: it changes nothing.
    pub(crate) looks: bool,
}

/// `lock`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct LockRequest {
    /// Which hosts.
    pub(crate) pattern: String,
    /// Why their leases are broken; `None`: they are looked at.
    pub(crate) reason: Option<String>,
    /// How hosts are reached.
    pub(crate) common: Common,
}

/// What of the inventory is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InventoryView {
    /// `--list`.
    List,
    /// `--host H`.
    Host(String),
    /// `--graph [GROUP]`; `None` is `all`.
    Graph(Option<String>),
}

/// `inventory` and `ansible-inventory`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InventoryRequest {
    /// Whose rules hold.
    pub(crate) rules: Rules,
    /// What is shown.
    pub(crate) view: InventoryView,
    /// `-i`.
    pub(crate) inventory: Vec<String>,
    /// `-l`.
    pub(crate) limit: Option<String>,
    /// `-e`.
    pub(crate) extra_vars: Vec<String>,
    /// `-y`: YAML instead of JSON.
    pub(crate) yaml: bool,
    /// `--vars`: variables in the graph.
    pub(crate) vars: bool,
    /// `--export`: group variables stay with groups.
    pub(crate) export: bool,
    /// `--output`: a file instead of standard output.
    pub(crate) output: Option<PathBuf>,
    /// `--playbook-dir`.
    pub(crate) playbook_dir: Option<PathBuf>,
    /// Vault passwords.
    pub(crate) vault: VaultKeys,
    /// `-v` count.
    pub(crate) verbosity: u8,
}

/// Looking at runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LookRequest {
    /// What at.
    pub(crate) look: Look,
    /// `--color`.
    pub(crate) colour: Colour,
    /// `--state`.
    pub(crate) state: Option<PathBuf>,
}

/// What of runs is looked at. A run is named by a unique beginning or end of its id.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Look {
    /// `runs`.
    Runs {
        /// `--all`: not the last ones only.
        all: bool,
        /// `--output json`.
        json: bool,
    },
    /// `status`.
    Status {
        /// Which; the newest that is alive, else the newest.
        run: Option<String>,
        /// `--all`: a line for every host.
        all: bool,
        /// `--output json`.
        json: bool,
    },
    /// `replay`.
    Replay {
        /// Which.
        run: String,
        /// How many times as fast as it was; 0 without pauses.
        speed: Option<f64>,
        /// `-v` count.
        verbosity: u8,
        /// `--output`.
        output: Option<OutputForm>,
    },
    /// `show`.
    Show {
        /// Which; the newest.
        run: Option<String>,
        /// `--commands`: the host.
        commands: Option<String>,
    },
}

/// What is given anew when a command goes on from a run's journal: what the journal does not keep, and how it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Anew {
    /// `-e`, beside the run's own.
    pub(crate) extra_vars: Vec<String>,
    /// `-f`.
    pub(crate) forks: Option<NonZeroUsize>,
    /// `-k`.
    pub(crate) ask_password: bool,
    /// `-K`.
    pub(crate) ask_become_password: bool,
    /// `--output`.
    pub(crate) output: Option<OutputForm>,
    /// `-v` count.
    pub(crate) verbosity: u8,
}

impl Anew {
    /// Puts into the run's own request what holds whatever is done with it.
    pub(crate) fn onto(&self, common: &mut Common) {
        common.forks = self.forks.or(common.forks);
        common.privilege.ask_password |= self.ask_become_password;
        common.connect.ask_password |= self.ask_password;
    }
}

/// `resume`, `retry` and `abort`: a run that is alive is asked; one that is not is taken up again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResumeRequest {
    /// What is asked of a run that is alive.
    pub(crate) control: ControlRequest,
    /// `--redo-unknown`: what was in flight is done (again).
    pub(crate) redo_unknown: bool,
    /// `--skip-unknown`: what was in flight is taken for done.
    pub(crate) skip_unknown: bool,
    /// `--redo`: what is no longer as it was done is done again.
    pub(crate) redo: bool,
    /// `--leave`: what is no longer as it was done stays as it is.
    pub(crate) leave: bool,
    /// `--changed`: files that changed since are accepted.
    pub(crate) changed: bool,
    /// What is given anew.
    pub(crate) anew: Anew,
}

/// What `upgrade` upgrades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpgradeSystem {
    /// Masters and slaves of Mesos.
    Mesos,
    /// The nodes of an Elasticsearch cluster.
    Elasticsearch,
}

/// `upgrade`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpgradeRequest {
    /// The system.
    pub(crate) system: UpgradeSystem,
    /// `--to`.
    pub(crate) to: String,
    /// `--via`: releases between.
    pub(crate) via: Vec<String>,
    /// `--from`: what runs where nothing tells.
    pub(crate) from: Option<String>,
    /// `--plan`: show, and do nothing.
    pub(crate) plan: bool,
    /// `--yes`: do not ask.
    pub(crate) yes: bool,
    /// `--check`: preview the next hop.
    pub(crate) check: bool,
    /// `--force-order`.
    pub(crate) force_order: bool,
    /// `--playbooks`: a folder in place of the playbooks in the program.
    pub(crate) playbooks: Option<PathBuf>,
    /// `-i`, for what is said of it.
    pub(crate) inventory: Vec<String>,
    /// `--state`.
    pub(crate) state: Option<PathBuf>,
    /// Flags that the run of each hop is given.
    pub(crate) passed: Vec<std::ffi::OsString>,
}

/// `rollback`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RollbackRequest {
    /// A beginning or end of the run's id.
    pub(crate) run: String,
    /// `-C`.
    pub(crate) check: bool,
    /// `-D`.
    pub(crate) diff: bool,
    /// What is given anew.
    pub(crate) anew: Anew,
    /// `--state`.
    pub(crate) state: Option<PathBuf>,
}
