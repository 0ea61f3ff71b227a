//! Connections of hosts: made when first needed, kept for the whole run.

use std::sync::Arc;
use std::time::Duration;

use super::host::Host;
use super::render::{Room, Trouble};
use super::{Login, Run};
use crate::base::{Secret, to_text};
use crate::modules::{Failure, to_bool};
use crate::plan::Task;
use crate::transport::{Become, Connection, Target, Unreachable};

const PASSWORD: &[&str] = &["ansible_password", "ansible_ssh_password", "ansible_ssh_pass"];
const PASSPHRASE: &[&str] = &["ansible_ssh_private_key_passphrase"];
const BECOME_PASSWORD: &[&str] = &["ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"];

/// Variables whose values are never shown.
pub(crate) const SECRET_VARIABLES: [&str; 7] = [
    "ansible_password",
    "ansible_ssh_password",
    "ansible_ssh_pass",
    "ansible_ssh_private_key_passphrase",
    "ansible_become_password",
    "ansible_become_pass",
    "ansible_sudo_pass",
];

/// How a task reaches its host.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) target: Target,
    pub(super) r#become: Option<Become>,
}

impl Way {
    /// Whether another leads over the same connection.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// What tells apart connections to one host.
    fn key(&self) -> String {
        let t = &self.target;
        format!(
            "{} {}@{}:{}",
            t.connection,
            t.user.as_deref().unwrap_or(""),
            t.address.as_deref().unwrap_or(""),
            t.port.unwrap_or(0)
        )
    }
}

impl Room {
    /// Works out how to reach the host. Variables beat keywords, and those the command line (facts/ansible.md §6).
    /// `connection` is the scope of the host that is connected to: the delegate's when there is one.
    pub(super) async fn way(&self, task: &Task, connection: &Room) -> Result<Way, Trouble> {
        let login: &Login = &self.run.options.login;
        let keyword = |name: &str| task.keywords.get(name);
        let host = &connection.scope.host.name;
        let text = |names: &'static [&'static str]| connection.variable_text(names);
        let mut kind = text(&["ansible_connection"]).await?;
        if let Some(written) = self.optional(keyword("connection")).await? {
            kind.get_or_insert(written);
        }
        let is_this_machine = matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1");
        let implicit = is_this_machine && !self.run.inventory().contains(host);
        let kind = kind.unwrap_or_else(|| if implicit { "local".to_owned() } else { login.connection.clone() });
        let kind = match kind.as_str() {
            "smart" | "paramiko" | "ssh" | "ansible.builtin.ssh" => "ssh".to_owned(),
            "local" | "ansible.builtin.local" => "local".to_owned(),
            other => {
                return Err(Trouble::Failed(Failure::new(format!(
                    "the connection `{other}` of {host} is not supported: use ssh or local"
                ))));
            }
        };
        let user = match text(&["ansible_user", "ansible_ssh_user"]).await? {
            Some(user) => Some(user),
            None => self.optional(keyword("remote_user")).await?.or_else(|| login.user.clone()),
        };
        let port = match text(&["ansible_port", "ansible_ssh_port"]).await? {
            Some(port) => Some(port),
            None => self.optional(keyword("port")).await?,
        };
        let port = port
            .map(|port| {
                port.parse::<u16>()
                    .map_err(|_| Trouble::Failed(Failure::new(format!("the port of {host} is a number, not `{port}`"))))
            })
            .transpose()?;
        let mut arguments = login.arguments.clone();
        for names in [["ansible_ssh_args"], ["ansible_ssh_common_args"], ["ansible_ssh_extra_args"]] {
            if let Some(value) = connection.variable_text(&names).await? {
                let words = shlex::split(&value).ok_or_else(|| {
                    Trouble::Failed(Failure::new(format!("`{}` of {host} has an open quote", names[0])))
                })?;
                arguments.extend(words);
            }
        }
        let checked = connection.variable(&["ansible_ssh_host_key_checking", "ansible_host_key_checking"]).await?;
        let seconds = |value: &str| value.parse::<f64>().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
        let target = Target {
            name: host.clone(),
            connection: kind,
            address: text(&["ansible_host", "ansible_ssh_host"]).await?.filter(|address| address != host),
            port,
            user,
            password: self.secret(connection, PASSWORD).await?.or_else(|| login.password.clone()),
            private_key: text(&["ansible_ssh_private_key_file", "ansible_private_key_file"])
                .await?
                .or_else(|| login.private_key.clone()),
            passphrase: self.secret(connection, PASSPHRASE).await?,
            arguments,
            check_host_key: checked.and_then(|value| to_bool(&value)).unwrap_or(login.check_host_key),
            timeout: text(&["ansible_ssh_timeout", "ansible_timeout"])
                .await?
                .and_then(|t| seconds(&t))
                .unwrap_or(login.timeout),
            retries: text(&["ansible_ssh_retries"]).await?.and_then(|n| n.parse().ok()).unwrap_or(login.retries),
            shell: text(&["ansible_shell_executable"]).await?.unwrap_or_else(|| login.shell.clone()),
        };
        // Who logged in as the user to become is that user: no sudo is needed, and a small host has none.
        let r#become =
            self.privilege(task, connection).await?.filter(|other| target.user.as_ref() != Some(&other.user));
        Ok(Way { target, r#become })
    }

    async fn secret(&self, connection: &Room, names: &[&str]) -> Result<Option<Secret>, Trouble> {
        let secret =
            connection.variable(names).await?.filter(|v| !v.is_null()).map(|value| Secret::new(to_text(&value)));
        if let Some(secret) = &secret {
            self.run.masker.add(secret);
        }
        Ok(secret)
    }

    async fn privilege(&self, task: &Task, connection: &Room) -> Result<Option<Become>, Trouble> {
        let defaults = &self.run.options.privilege;
        let keyword = |name: &str| task.keywords.get(name);
        let wanted = match connection.variable(&["ansible_become", "ansible_sudo"]).await? {
            Some(value) => to_bool(&value).unwrap_or(false),
            None => self.flag(keyword("become"), defaults.enabled).await?,
        };
        if !wanted {
            return Ok(None);
        }
        let pick = |variable: Option<String>, written: Option<String>| variable.or(written);
        let method = pick(
            connection.variable_text(&["ansible_become_method"]).await?,
            self.optional(keyword("become_method")).await?,
        )
        .unwrap_or_else(|| defaults.method.clone());
        let method = method.rsplit('.').next().unwrap_or_default().to_owned();
        if !matches!(method.as_str(), "sudo" | "su" | "doas") {
            return Err(Trouble::Failed(Failure::new(format!(
                "`become_method: {method}` is not supported: use sudo, su or doas"
            ))));
        }
        let user = pick(
            connection.variable_text(&["ansible_become_user", "ansible_sudo_user"]).await?,
            self.optional(keyword("become_user")).await?,
        );
        let password = self.secret(connection, BECOME_PASSWORD).await?;
        Ok(Some(Become {
            method,
            user: user.unwrap_or_else(|| defaults.user.clone()),
            executable: pick(
                connection.variable_text(&["ansible_become_exe"]).await?,
                self.optional(keyword("become_exe")).await?,
            )
            .or_else(|| defaults.executable.clone()),
            flags: pick(
                connection.variable_text(&["ansible_become_flags"]).await?,
                self.optional(keyword("become_flags")).await?,
            )
            .or_else(|| defaults.flags.clone()),
            password: password.or_else(|| defaults.password.clone()),
        }))
    }
}

impl Run {
    /// The connection of a host, made when there is none. A host of a play that nobody could reach is asked again only
    /// by what says so (`wait_for_connection`).
    pub(super) async fn connection(&self, host: &Host, way: &Way) -> Result<Arc<dyn Connection>, Unreachable> {
        let mut connections = host.connections.lock().await;
        let key = way.key();
        if let Some(connection) = connections.get(&key) {
            return Ok(Arc::clone(connection));
        }
        let connect = self.transport.connect(&way.target);
        let connection = tokio::select! {
            biased;
            connection = connect => connection?,
            () = self.interrupt.hard.cancelled() => {
                return Err(Unreachable::Local { message: "the run was interrupted".to_owned() });
            }
        };
        let connection: Arc<dyn Connection> = Arc::from(connection);
        connections.insert(key, Arc::clone(&connection));
        Ok(connection)
    }

    /// The connection of a host, when there is one.
    pub(super) async fn connected(&self, host: &Host, way: &Way) -> Option<Arc<dyn Connection>> {
        host.connections.lock().await.get(&way.key()).map(Arc::clone)
    }

    /// Forgets a connection that broke, so that the next use makes a new one.
    pub(super) async fn forget(&self, host: &Host, way: &Way) {
        host.lease.doubt();
        let old = host.connections.lock().await.remove(&way.key());
        if let Some(old) = old {
            old.close().await;
        }
    }

    /// Closes all connections of a host.
    pub(super) async fn disconnect(&self, host: &Host) {
        let connections: Vec<_> = host.connections.lock().await.drain().map(|(_, connection)| connection).collect();
        futures::future::join_all(connections.iter().map(|connection| connection.close())).await;
    }
}
