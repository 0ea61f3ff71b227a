//! The flags, as clap reads them. Doc comments here are the help.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use super::request::{OutputForm, VaultKeys};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which hosts")]
pub(super) struct HostFlags {
    /// Inventory file or folder, or `h1,h2,` (a comma makes it a list); may be repeated
    #[arg(short = 'i', long = "inventory", visible_alias = "inventory-file", value_name = "SOURCE")]
    pub(super) inventory: Vec<String>,
    /// Only those hosts of the plays that match too; @FILE reads one pattern a line
    #[arg(short = 'l', long, value_name = "PATTERN")]
    pub(super) limit: Option<String>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "How to run")]
pub(super) struct WorkFlags {
    /// Show what would change, and change nothing
    #[arg(short = 'C', long)]
    pub(super) check: bool,
    /// Show differences of changed files
    #[arg(short = 'D', long)]
    pub(super) diff: bool,
    /// How many hosts at a time [default: 5, or as configured]
    #[arg(short = 'f', long, value_name = "N", value_parser = forks)]
    pub(super) forks: Option<NonZeroUsize>,
    /// Variables: k=v, YAML, JSON or @FILE; may be repeated, the last wins
    #[arg(short = 'e', long, value_name = "VARS")]
    pub(super) extra_vars: Vec<String>,
    /// Ask for facts again instead of using kept ones
    #[arg(long)]
    pub(super) flush_cache: bool,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "How to connect")]
pub(super) struct ConnectFlags {
    /// Log in as this user
    #[arg(short = 'u', long = "user", visible_alias = "remote-user", value_name = "USER")]
    pub(super) user: Option<String>,
    /// Kind of connection: ssh or local
    #[arg(short = 'c', long, value_name = "TYPE")]
    pub(super) connection: Option<String>,
    /// Give up connecting after this time: seconds, or 1m30s [default: 10]
    #[arg(short = 'T', long, value_name = "TIME", value_parser = duration)]
    pub(super) timeout: Option<Duration>,
    /// Private key to log in with
    #[arg(long, visible_alias = "key-file", value_name = "FILE")]
    pub(super) private_key: Option<PathBuf>,
    /// Options for ssh, as in ssh(1): -o ProxyJump=bastion
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub(super) ssh_common_args: Option<String>,
    /// More options for ssh
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub(super) ssh_extra_args: Option<String>,
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true, hide = true)]
    pub(super) sftp_extra_args: Option<String>,
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true, hide = true)]
    pub(super) scp_extra_args: Option<String>,
    /// Ask for the SSH password
    #[arg(short = 'k', long, conflicts_with = "connection_password_file")]
    pub(super) ask_pass: bool,
    /// Read the SSH password from a file, or from what it prints if executable
    #[arg(long, visible_alias = "conn-pass-file", value_name = "FILE")]
    pub(super) connection_password_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "As another user")]
pub(super) struct PrivilegeFlags {
    /// Become another user for tasks that do not say
    #[arg(short = 'b', long = "become")]
    pub(super) enabled: bool,
    /// How: sudo, su or doas [default: sudo]
    #[arg(long, value_name = "METHOD")]
    pub(super) become_method: Option<String>,
    /// Whom to become [default: root]
    #[arg(long, value_name = "USER")]
    pub(super) become_user: Option<String>,
    /// Ask for the password of sudo or su
    #[arg(short = 'K', long, conflicts_with = "become_password_file")]
    pub(super) ask_become_pass: bool,
    /// Read that password from a file, or from what it prints if executable
    #[arg(long, visible_alias = "become-pass-file", value_name = "FILE")]
    pub(super) become_password_file: Option<PathBuf>,
}

/// Where vault passwords come from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Vault passwords")]
pub(super) struct VaultKeyFlags {
    /// Ask for the vault password
    #[arg(short = 'J', long = "ask-vault-password", visible_alias = "ask-vault-pass")]
    pub(super) ask_vault_password: bool,
    /// [LABEL@]FILE, script or `prompt`; may be repeated
    #[arg(long, value_name = "ID", action = ArgAction::Append)]
    pub(super) vault_id: Vec<String>,
    /// Read it from a file, or from what it prints if executable; may be repeated
    #[arg(long = "vault-password-file", visible_alias = "vault-pass-file", value_name = "FILE", action = ArgAction::Append)]
    pub(super) vault_password_file: Vec<PathBuf>,
}

impl VaultKeyFlags {
    /// As the request has it.
    pub(super) fn keys(self) -> VaultKeys {
        VaultKeys { ask: self.ask_vault_password, ids: self.vault_id, files: self.vault_password_file }
    }
}

/// Flags of Ansible's that are known and not supported yet: refused by name, not as a typing mistake.
#[derive(Debug, Clone, Args)]
pub(super) struct LaterFlags {
    #[arg(short = 'M', long, value_name = "PATHS", hide = true)]
    pub(super) module_path: Vec<String>,
}

impl LaterFlags {
    /// The first flag that was used, and what it comes with.
    pub(super) fn used(&self) -> Option<(&'static str, &'static str)> {
        (!self.module_path.is_empty()).then_some(("--module-path", "modules of your own"))
    }
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What is shown")]
pub(super) struct ViewFlags {
    /// More: -v results, -vv places, -vvv connections
    #[arg(short = 'v', long, action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// The form of the output [default: human at a terminal, else plain]
    #[arg(long, value_name = "FORM", value_enum)]
    pub(super) output: Option<OutputFlag>,
    /// Colours: auto, always or never
    #[arg(long, visible_alias = "colour", value_name = "WHEN", value_enum, default_value_t = ColourFlag::Auto, hide_default_value = true, hide_possible_values = true)]
    pub(super) color: ColourFlag,
    /// The same as --color never
    #[arg(long, hide = true, alias = "no-color")]
    pub(super) nocolor: bool,
    /// Keep journals below this folder [default: /var/lib/stagger, else the user's own]
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFlag {
    /// Progress bars
    Human,
    /// Lines for a log
    Plain,
    /// One JSON event a line
    Json,
    /// What Ansible prints
    Ansible,
}

impl OutputFlag {
    /// As the request has it.
    pub(super) fn form(self) -> OutputForm {
        match self {
            Self::Human => OutputForm::Human,
            Self::Plain => OutputForm::Plain,
            Self::Json => OutputForm::Json,
            Self::Ansible => OutputForm::Ansible,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ColourFlag {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Args)]
pub(super) struct RunFlags {
    /// Playbooks, run in order; stops after the first that did not go well
    #[arg(required = true, value_name = "PLAYBOOK")]
    pub(super) playbooks: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) hosts: HostFlags,
    #[command(flatten)]
    pub(super) tasks: TaskFlags,
    #[command(flatten)]
    pub(super) work: WorkFlags,
    #[command(flatten)]
    pub(super) connect: ConnectFlags,
    #[command(flatten)]
    pub(super) privilege: PrivilegeFlags,
    #[command(flatten)]
    pub(super) view: ViewFlags,
    #[command(flatten)]
    pub(super) vault: VaultKeyFlags,
    #[command(flatten)]
    pub(super) later: LaterFlags,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which tasks")]
pub(super) struct TaskFlags {
    /// Only tasks with one of these tags, commas between; may be repeated
    #[arg(short = 't', long, value_name = "TAGS")]
    pub(super) tags: Vec<String>,
    /// No tasks with one of these tags
    #[arg(long, value_name = "TAGS")]
    pub(super) skip_tags: Vec<String>,
    /// Begin at the task of this name
    #[arg(long, value_name = "NAME")]
    pub(super) start_at_task: Option<String>,
    /// Ask before each task
    #[arg(long)]
    pub(super) step: bool,
    /// Run notified handlers even of hosts that failed
    #[arg(long)]
    pub(super) force_handlers: bool,
    /// List the hosts of each play, and stop
    #[arg(long)]
    pub(super) list_hosts: bool,
    /// List the tasks that would run, and stop
    #[arg(long)]
    pub(super) list_tasks: bool,
    /// List all tags, and stop
    #[arg(long)]
    pub(super) list_tags: bool,
    /// Read everything, report what is wrong, and stop
    #[arg(long)]
    pub(super) syntax_check: bool,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ExecFlags {
    /// Hosts: names, groups, globs; `:` or `,` adds, `:&` intersects, `:!` takes away
    #[arg(value_name = "PATTERN")]
    pub(super) pattern: String,
    /// The module to run
    #[arg(
        short = 'm',
        long = "module-name",
        visible_alias = "module",
        value_name = "MODULE",
        default_value = "command"
    )]
    pub(super) module: String,
    /// Its arguments: k=v, JSON, or the command itself
    #[arg(
        short = 'a',
        long = "args",
        value_name = "ARGS",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub(super) arguments: String,
    /// One line a host
    #[arg(short = 'o', long)]
    pub(super) one_line: bool,
    /// Give up after this time: seconds, or 1m30s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) task_timeout: Option<Duration>,
    /// Look for group_vars, host_vars and files here
    #[arg(long, value_name = "DIR")]
    pub(super) playbook_dir: Option<PathBuf>,
    /// List the hosts, and stop
    #[arg(long)]
    pub(super) list_hosts: bool,
    #[arg(short = 'B', long, value_name = "SEC", hide = true)]
    pub(super) background: Option<String>,
    #[arg(short = 'P', long, value_name = "SEC", hide = true)]
    pub(super) poll: Option<String>,
    #[arg(short = 't', long, value_name = "DIR", hide = true)]
    pub(super) tree: Option<PathBuf>,
    #[command(flatten)]
    pub(super) hosts: HostFlags,
    #[command(flatten)]
    pub(super) work: WorkFlags,
    #[command(flatten)]
    pub(super) connect: ConnectFlags,
    #[command(flatten)]
    pub(super) privilege: PrivilegeFlags,
    #[command(flatten)]
    pub(super) view: ViewFlags,
    #[command(flatten)]
    pub(super) vault: VaultKeyFlags,
    #[command(flatten)]
    pub(super) later: LaterFlags,
}

#[derive(Debug, Clone, Args)]
#[group(id = "view", required = true, multiple = false, args = ["list", "host", "graph"])]
pub(super) struct InventoryFlags {
    /// All groups, hosts and variables as JSON
    #[arg(long)]
    pub(super) list: bool,
    /// The variables of one host
    #[arg(long, value_name = "HOST")]
    pub(super) host: Option<String>,
    /// The groups as a tree
    #[arg(long)]
    pub(super) graph: bool,
    /// The group at the top of the tree
    #[arg(value_name = "GROUP", requires = "graph")]
    pub(super) group: Option<String>,
    /// YAML instead of JSON
    #[arg(short = 'y', long)]
    pub(super) yaml: bool,
    #[arg(long, hide = true)]
    pub(super) toml: bool,
    /// Show variables in the tree
    #[arg(long, requires = "graph")]
    pub(super) vars: bool,
    /// Leave group variables with their groups
    #[arg(long)]
    pub(super) export: bool,
    /// Write to a file
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Look for group_vars and host_vars here
    #[arg(long, value_name = "DIR")]
    pub(super) playbook_dir: Option<PathBuf>,
    /// Variables: k=v, YAML, JSON or @FILE; may be repeated
    #[arg(short = 'e', long, value_name = "VARS")]
    pub(super) extra_vars: Vec<String>,
    /// More
    #[arg(short = 'v', long, action = ArgAction::Count)]
    pub(super) verbose: u8,
    #[command(flatten)]
    pub(super) hosts: HostFlags,
    #[command(flatten)]
    pub(super) vault: VaultKeyFlags,
    #[command(flatten)]
    pub(super) later: LaterFlags,
}

fn forks(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "a whole number from 1 on: how many hosts are worked on at a time".to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match crate::base::parse_duration(text)? {
        Duration::ZERO => Err("0 would give up at once: leave the flag out for the default".to_owned()),
        some => Ok(some),
    }
}
