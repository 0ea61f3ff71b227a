//! `upgrade`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::flags::{ConnectFlags, HostFlags, PrivilegeFlags, VaultKeyFlags};
use super::request::{UpgradeRequest, UpgradeSystem};

pub(super) const UPGRADE_EXAMPLES: &str = "\
Examples:
  stagger upgrade mesos --to 0.15.0 -i production.yml --plan    what runs, and all hops to there
  stagger upgrade mesos --to 0.15.0 -i production.yml           hop by hop, asking before each
  stagger upgrade mesos --to 0.15.0 -i production.yml --yes     without asking
  stagger upgrade mesos --to 0.14.2 -i production.yml --check   preview the next hop
  stagger upgrade elasticsearch --to 8.17.0 -i production.yml   the same for Elasticsearch";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum System {
    /// Masters and slaves of Apache Mesos
    Mesos,
    /// The nodes of an Elasticsearch cluster
    Elasticsearch,
}

/// `upgrade`.
#[derive(Debug, Clone, Args)]
pub(super) struct UpgradeFlags {
    /// What is upgraded
    #[arg(value_name = "SYSTEM")]
    system: System,
    /// The version to come to
    #[arg(long, value_name = "VERSION")]
    to: String,
    /// A release to go through, in place of the last of its kind; may be repeated
    #[arg(long, value_name = "VERSION")]
    via: Vec<String>,
    /// What runs where daemons do not tell their version, which none before 0.13 does
    #[arg(long, value_name = "VERSION")]
    from: Option<String>,
    /// Show what runs and all hops, and do nothing
    #[arg(long)]
    plan: bool,
    /// Do not ask before each hop
    #[arg(short = 'y', long)]
    yes: bool,
    /// Preview the next hop, and change nothing
    #[arg(short = 'C', long)]
    check: bool,
    /// Go on where the order of a hop forbids it; each time it says what that risks
    #[arg(long)]
    force_order: bool,
    /// Your own copies of the playbooks, in place of those in this program
    #[arg(long, value_name = "DIR")]
    playbooks: Option<PathBuf>,
    #[command(flatten)]
    hosts: HostFlags,
    /// Variables: k=v, YAML, JSON or @FILE; may be repeated, the last wins
    #[arg(short = 'e', long, value_name = "VARS")]
    extra_vars: Vec<String>,
    /// How many hosts at a time [default: 5, or as configured]
    #[arg(short = 'f', long, value_name = "N")]
    forks: Option<u32>,
    #[command(flatten)]
    connect: ConnectFlags,
    #[command(flatten)]
    privilege: PrivilegeFlags,
    #[command(flatten)]
    vault: VaultKeyFlags,
    /// Keep journals below this folder [default: /var/lib/stagger, else the user's own]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl UpgradeFlags {
    pub(super) fn request(self) -> Result<UpgradeRequest, String> {
        if self.hosts.limit.is_some() {
            return Err(
                "`--limit` does not go with upgrade, which takes a whole cluster: run the playbook of one hop with it \
                        (stagger run playbooks/mesos/upgrade-….yml --limit HOST)"
                    .to_owned(),
            );
        }
        Ok(UpgradeRequest {
            system: match self.system {
                System::Mesos => UpgradeSystem::Mesos,
                System::Elasticsearch => UpgradeSystem::Elasticsearch,
            },
            to: self.to.clone(),
            via: self.via.clone(),
            from: self.from.clone(),
            plan: self.plan,
            yes: self.yes,
            check: self.check,
            force_order: self.force_order,
            playbooks: self.playbooks.clone(),
            inventory: self.hosts.inventory.clone(),
            state: self.state.clone(),
            passed: self.passed(),
        })
    }

    /// What the run of each hop is given besides its playbook.
    fn passed(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let mut add = |flag: &str, value: Option<OsString>| {
            if let Some(value) = value {
                words.push([OsString::from(flag), OsString::from("="), value].into_iter().collect());
            }
        };
        let text = |value: &Option<String>| value.clone().map(OsString::from);
        let path = |value: &Option<PathBuf>| value.clone().map(PathBuf::into_os_string);
        for source in &self.hosts.inventory {
            add("--inventory", Some(source.into()));
        }
        for variables in &self.extra_vars {
            add("--extra-vars", Some(variables.into()));
        }
        add("--forks", self.forks.map(|forks| forks.to_string().into()));
        let connect = &self.connect;
        add("--user", text(&connect.user));
        add("--connection", text(&connect.connection));
        add("--timeout", connect.timeout.map(|time| time.as_secs().to_string().into()));
        add("--private-key", path(&connect.private_key));
        add("--ssh-common-args", text(&connect.ssh_common_args));
        add("--ssh-extra-args", text(&connect.ssh_extra_args));
        add("--connection-password-file", path(&connect.connection_password_file));
        let privilege = &self.privilege;
        add("--become-method", text(&privilege.become_method));
        add("--become-user", text(&privilege.become_user));
        add("--become-password-file", path(&privilege.become_password_file));
        for id in &self.vault.vault_id {
            add("--vault-id", Some(id.into()));
        }
        for file in &self.vault.vault_password_file {
            add("--vault-password-file", Some(file.into()));
        }
        add("--state", path(&self.state));
        for (given, flag) in [
            (connect.ask_pass, "--ask-pass"),
            (privilege.enabled, "--become"),
            (self.vault.ask_vault_password, "--ask-vault-password"),
            (privilege.ask_become_pass, "--ask-become-pass"),
        ] {
            if given {
                words.push(flag.into());
            }
        }
        words
    }
}
