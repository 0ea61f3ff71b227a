//! The commands of each name, and the step from flags to a request.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, ColorChoice, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::control::{ControlCommand, PAGES, TermsFlags};
use super::exit::Exit;
use super::flags::{ColourFlag, ExecFlags, InventoryFlags, OutputFlag, RunFlags, ViewFlags};
use super::lock::{self, BesideFlags, LOCK_EXAMPLES, LockFlags};
use super::looking::{self, ReplayFlags, RunsFlags, ShowFlags, StatusFlags};
use super::plan::{KeptFlag, PLAN_EXAMPLES, PlanFlags};
use super::reading::{DOC_EXAMPLES, DocFlags, LINT_EXAMPLES, LintFlags};
use super::request::{
    Colour, Common, Connect, ExecRequest, InventoryRequest, InventoryView, Listing, PlanRequest, Privilege, Request,
    Rules, RunRequest, Terms, VaultKeys,
};
use super::rollback::{ROLLBACK_EXAMPLES, RollbackFlags};
use super::upgrade::{UPGRADE_EXAMPLES, UpgradeFlags};
use super::vault::{self, VaultFlags};
use super::{Message, Name};

const VERSION: &str = env!("CARGO_PKG_VERSION");

const RUN_EXAMPLES: &str = "\
Examples:
  stagger run site.yml -i production.yml --check --diff   preview the change
  stagger run site.yml -i production.yml                  make it
  stagger run site.yml -l 'masters:!m2' -f 20             some of the hosts
  stagger run site.yml --approve each --until 05:00       batch by batch, by night
  stagger run site.yml --list-tasks                       what is in it";

const CHECK_EXAMPLES: &str = "\
Examples:
  stagger check site.yml -i production.yml --diff         what would change, and how
  stagger check site.yml -l 'masters:!m2'                 on some of the hosts";

const EXEC_EXAMPLES: &str = "\
Examples:
  stagger exec masters -i production.yml -a uptime
  stagger exec all -m service -a 'name=mesos-slave state=started' --check
  stagger exec 'slaves[0:2]' -b -m shell -a 'df -h | tail -1' -o";

const INVENTORY_EXAMPLES: &str = "\
Examples:
  stagger inventory -i production.yml --graph
  stagger inventory -i production.yml --host m1 -y";

const TOP_EXAMPLES: &str = "\
Examples:
  stagger run upgrade.yml -i production.yml --check --diff
  stagger exec all -i production.yml -a uptime
  stagger help run";

/// Upgrades a cluster while it works: runs Ansible's playbooks over SSH, agentless
#[derive(Debug, Parser)]
#[command(
    name = "stagger",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = TOP_EXAMPLES,
)]
struct Top {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Run playbooks
    Run(Box<OwnRunFlags>),
    /// Show what playbooks would change: the same as run --check
    Check(Box<RunFlags>),
    /// Show what playbooks would change, on which host, and keep it
    Plan(Box<PlanFlags>),
    /// Run one module on hosts
    Exec(Box<OwnExecFlags>),
    /// Show the inventory
    Inventory(Box<InventoryFlags>),
    #[command(flatten)]
    Control(ControlCommand),
    /// Upgrade a cluster hop by hop, from what runs to a version
    Upgrade(Box<UpgradeFlags>),
    /// Go the way back that a run's playbooks name, the last changed host first
    Rollback(Box<RollbackFlags>),
    /// The runs so far
    Runs(Box<RunsFlags>),
    /// Where a run stands: what is done, at work, waiting and to come
    Status(Box<StatusFlags>),
    /// Show a run again from its journal
    Replay(Box<ReplayFlags>),
    /// What a run did, and what is left to do on a host, to go on by hand
    Show(Box<ShowFlags>),
    /// Who has which host, and breaking what a dead run left there
    Lock(Box<LockFlags>),
    /// Modules, keywords, filters and tests: what there is
    Doc(Box<DocFlags>),
    /// What of playbooks, roles and inventories works here, without a host
    Lint(Box<LintFlags>),
    /// Encrypt and decrypt files and values, as ansible-vault does
    Vault(Box<VaultFlags>),
    /// Rehearsal hosts on this machine
    #[command(disable_help_flag = true)]
    Lab {
        /// up, down, status, …
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "WORDS")]
        words: Vec<OsString>,
    },
}

/// `run` under stagger's own name.
#[derive(Debug, Args)]
struct OwnRunFlags {
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    terms: TermsFlags,
    #[command(flatten)]
    kept: KeptFlag,
    #[command(flatten)]
    beside: BesideFlags,
}

/// `exec` under stagger's own name.
#[derive(Debug, Args)]
struct OwnExecFlags {
    #[command(flatten)]
    exec: ExecFlags,
    /// The command changes nothing: take no lease, and mind nobody else's
    #[arg(long)]
    looks: bool,
    #[command(flatten)]
    beside: BesideFlags,
}

/// Reads the arguments under a name.
pub(super) fn parse(name: Name, arguments: &[OsString], colour: bool) -> Result<Request, Message> {
    let rules = name.rules();
    let command = command(name).color(if colour { ColorChoice::Always } else { ColorChoice::Never });
    build(name, command, arguments).map_err(|error| message(&error, rules, colour))
}

/// The clap command of a name.
pub(super) fn command(name: Name) -> Command {
    match name {
        Name::Stagger => {
            let pages = [
                ("run", RUN_EXAMPLES),
                ("check", CHECK_EXAMPLES),
                ("plan", PLAN_EXAMPLES),
                ("exec", EXEC_EXAMPLES),
                ("inventory", INVENTORY_EXAMPLES),
                ("upgrade", UPGRADE_EXAMPLES),
                ("rollback", ROLLBACK_EXAMPLES),
                ("runs", looking::RUNS_EXAMPLES),
                ("status", looking::STATUS_EXAMPLES),
                ("replay", looking::REPLAY_EXAMPLES),
                ("show", looking::SHOW_EXAMPLES),
                ("lock", LOCK_EXAMPLES),
                ("doc", DOC_EXAMPLES),
                ("lint", LINT_EXAMPLES),
                ("vault", vault::VAULT_EXAMPLES),
            ];
            let codes = Exit::table(Rules::Stagger);
            let top = Top::command().after_long_help(format!("{TOP_EXAMPLES}\n\n{codes}"));
            // A saved plan names its playbooks.
            let top = top.mut_subcommand("run", |sub| {
                sub.mut_arg("playbooks", |playbooks| playbooks.required(false).required_unless_present("plan"))
            });
            pages.into_iter().chain(PAGES).fold(top, |top, (page, examples)| {
                let long = format!("{examples}\n\n{codes}");
                top.mut_subcommand(page, |sub| sub.after_help(examples).after_long_help(long))
            })
        }
        Name::AnsiblePlaybook => {
            RunFlags::augment_args(under_ansible("ansible-playbook", "Runs playbooks, with Ansible's command line"))
        }
        Name::Ansible => ExecFlags::augment_args(under_ansible("ansible", "Runs one module on hosts")),
        Name::AnsibleInventory => {
            InventoryFlags::augment_args(under_ansible("ansible-inventory", "Shows the inventory"))
        }
        Name::AnsibleVault => vault::augment(under_ansible("ansible-vault", "Encrypts and decrypts files and values")),
    }
}

fn under_ansible(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .version(VERSION)
        // The first line of `--version`, in the shape that scripts look for.
        .long_version(format!("[stagger {VERSION}]"))
        .infer_long_args(true)
        .args_override_self(true)
        .max_term_width(100)
        .after_help(Exit::table(Rules::Ansible))
}

fn build(name: Name, mut command: Command, arguments: &[OsString]) -> Result<Request, clap::Error> {
    let matches = command.try_get_matches_from_mut(arguments)?;
    let refuse = |command: &mut Command, text: String| Err(command.error(ErrorKind::InvalidValue, text));
    let rules = name.rules();
    let made = match name {
        Name::Stagger => match Top::from_arg_matches(&matches)?.what {
            What::Run(flags) => {
                let OwnRunFlags { run: flags, terms, kept, beside: others } = *flags;
                run(flags, terms.terms(), kept.plan, rules).map(|request| beside(Request::Run(request), others))
            }
            What::Check(mut flags) => {
                flags.work.check = true;
                run(*flags, Terms::default(), None, rules).map(Request::Run)
            }
            What::Plan(flags) => {
                let PlanFlags { run: flags, terms, save } = *flags;
                run(flags, terms.terms(), None, rules).map(|run| Request::Plan(PlanRequest { run, save }))
            }
            What::Control(command) => Ok(command.request()),
            What::Rollback(flags) => Ok(Request::Rollback(flags.request())),
            What::Upgrade(flags) => flags.request().map(Request::Upgrade),
            What::Exec(flags) => {
                let OwnExecFlags { exec: flags, looks, beside: others } = *flags;
                exec(flags, rules).map(|request| match beside(request, others) {
                    Request::Exec(request) => Request::Exec(ExecRequest { looks, ..request }),
                    other => other,
                })
            }
            What::Inventory(flags) => inventory(*flags, rules),
            What::Runs(flags) => Ok(Request::Look(looking::runs(*flags))),
            What::Status(flags) => Ok(Request::Look(looking::status(*flags))),
            What::Replay(flags) => Ok(Request::Look(looking::replay(*flags))),
            What::Show(flags) => Ok(Request::Look(looking::show(*flags))),
            What::Lock(flags) => Ok(lock::request(*flags)),
            What::Doc(flags) => Ok(Request::Doc(flags.request())),
            What::Lint(flags) => Ok(Request::Lint(flags.request())),
            What::Vault(flags) => Ok(Request::Vault(vault::request(*flags, rules))),
            What::Lab { words } => Ok(Request::Lab(words)),
        },
        Name::AnsiblePlaybook => run(read(&matches)?, Terms::default(), None, rules).map(Request::Run),
        Name::Ansible => exec(read(&matches)?, rules),
        Name::AnsibleInventory => inventory(read(&matches)?, rules),
        Name::AnsibleVault => Ok(Request::Vault(vault::read(&matches, rules)?)),
    };
    let sub = matches.subcommand_name().map(str::to_owned);
    match (made, sub) {
        (Ok(request), _) => Ok(request),
        (Err(text), Some(sub)) => match command.find_subcommand_mut(&sub) {
            Some(command) => refuse(command, text),
            None => refuse(&mut command, text),
        },
        (Err(text), None) => refuse(&mut command, text),
    }
}

fn read<F: FromArgMatches>(matches: &ArgMatches) -> Result<F, clap::Error> {
    F::from_arg_matches(matches)
}

fn message(error: &clap::Error, rules: Rules, colour: bool) -> Message {
    let rendered = error.render();
    let text = if colour { rendered.ansi().to_string() } else { rendered.to_string() };
    let shown = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let exit = if shown { Exit::Ok } else { Exit::Usage };
    Message { text, error: !shown, exit: exit.code(rules) }
}

fn later(flag: &str, with: &str) -> String {
    format!("`{flag}` comes with {with}: not supported yet")
}

fn split(flag: &str, given: &[String]) -> Result<Vec<String>, String> {
    let words: Vec<String> = given
        .iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    if words.is_empty() && !given.is_empty() {
        return Err(format!("`{flag}` names no tag: leave it out to have all"));
    }
    Ok(words)
}

fn run(flags: RunFlags, terms: Terms, plan: Option<std::path::PathBuf>, rules: Rules) -> Result<RunRequest, String> {
    if let Some((flag, with)) = flags.later.used() {
        return Err(later(flag, with));
    }
    let tasks = flags.tasks;
    Ok(RunRequest {
        playbooks: flags.playbooks,
        tags: split("--tags", &tasks.tags)?,
        skip_tags: split("--skip-tags", &tasks.skip_tags)?,
        start_at_task: tasks.start_at_task,
        step: tasks.step,
        list: Listing { hosts: tasks.list_hosts, tasks: tasks.list_tasks, tags: tasks.list_tags },
        syntax_check: tasks.syntax_check,
        force_handlers: tasks.force_handlers,
        terms,
        plan,
        common: Common {
            vault: flags.vault.keys(),
            ..common(rules, flags.hosts, flags.work, flags.connect, flags.privilege, flags.view)
        },
    })
}

/// Says which unfinished run does not stand in the way.
fn beside(mut request: Request, flags: BesideFlags) -> Request {
    if let Request::Run(RunRequest { common, .. }) | Request::Exec(ExecRequest { common, .. }) = &mut request {
        common.beside = flags.beside;
    }
    request
}

fn exec(flags: ExecFlags, rules: Rules) -> Result<Request, String> {
    if let Some((flag, with)) = flags.later.used() {
        return Err(later(flag, with));
    }
    let unmade = [
        (flags.background.is_some(), "--background", "detached tasks"),
        (flags.poll.is_some(), "--poll", "detached tasks"),
        (flags.tree.is_some(), "--tree", "results in files (the journal below --state has them all)"),
    ];
    if let Some((_, flag, with)) = unmade.into_iter().find(|(used, ..)| *used) {
        return Err(later(flag, with));
    }
    Ok(Request::Exec(ExecRequest {
        pattern: flags.pattern,
        module: flags.module,
        arguments: flags.arguments,
        one_line: flags.one_line,
        task_timeout: flags.task_timeout,
        playbook_dir: flags.playbook_dir,
        list_hosts: flags.list_hosts,
        looks: false,
        common: Common {
            vault: flags.vault.keys(),
            ..common(rules, flags.hosts, flags.work, flags.connect, flags.privilege, flags.view)
        },
    }))
}

fn inventory(flags: InventoryFlags, rules: Rules) -> Result<Request, String> {
    if let Some((flag, with)) = flags.later.used() {
        return Err(later(flag, with));
    }
    if flags.toml {
        return Err("`--toml` is not supported: use `-y` for YAML, or leave it out for JSON".to_owned());
    }
    let view = match (flags.host, flags.graph) {
        (Some(host), _) => InventoryView::Host(host),
        (None, true) => InventoryView::Graph(flags.group),
        (None, false) => InventoryView::List,
    };
    Ok(Request::Inventory(InventoryRequest {
        rules,
        view,
        inventory: flags.hosts.inventory,
        limit: flags.hosts.limit,
        extra_vars: flags.extra_vars,
        yaml: flags.yaml,
        vars: flags.vars,
        export: flags.export,
        output: flags.output,
        playbook_dir: flags.playbook_dir,
        vault: flags.vault.keys(),
        verbosity: flags.verbose,
    }))
}

fn common(
    rules: Rules,
    hosts: super::flags::HostFlags,
    work: super::flags::WorkFlags,
    connect: super::flags::ConnectFlags,
    privilege: super::flags::PrivilegeFlags,
    view: ViewFlags,
) -> Common {
    let unused = [
        (connect.sftp_extra_args.is_some(), "--sftp-extra-args", "files do not travel over SFTP"),
        (connect.scp_extra_args.is_some(), "--scp-extra-args", "files do not travel over scp"),
    ];
    let warnings = unused
        .into_iter()
        .filter(|(used, ..)| *used)
        .map(|(_, flag, why)| format!("`{flag}` has no effect: {why}, but over the connection itself"))
        .collect();
    Common {
        rules,
        inventory: hosts.inventory,
        limit: hosts.limit,
        forks: work.forks,
        check: work.check,
        diff: work.diff,
        extra_vars: work.extra_vars,
        flush_cache: work.flush_cache,
        connect: self::connect(connect),
        privilege: self::privilege(privilege),
        vault: VaultKeys::default(),
        verbosity: view.verbose,
        output: view.output.map(OutputFlag::form),
        colour: match (view.nocolor, view.color) {
            (true, _) | (_, ColourFlag::Never) => Colour::Never,
            (_, ColourFlag::Always) => Colour::Always,
            (_, ColourFlag::Auto) => Colour::Auto,
        },
        state: view.state,
        beside: None,
        warnings,
    }
}

pub(super) fn connect(connect: super::flags::ConnectFlags) -> Connect {
    Connect {
        user: connect.user,
        connection: connect.connection,
        timeout: connect.timeout,
        private_key: connect.private_key,
        ssh_common_args: connect.ssh_common_args,
        ssh_extra_args: connect.ssh_extra_args,
        ask_password: connect.ask_pass,
        password_file: connect.connection_password_file,
    }
}

pub(super) fn privilege(privilege: super::flags::PrivilegeFlags) -> Privilege {
    Privilege {
        enabled: privilege.enabled,
        method: privilege.become_method,
        user: privilege.become_user,
        ask_password: privilege.ask_become_pass,
        password_file: privilege.become_password_file,
    }
}
