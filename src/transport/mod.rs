//! Connections to hosts: how a command gets there and what comes back.
//!
//! What this room cannot know: an exit status of 255 may be the command's own or that of a remote ssh; a command killed by a
//! signal and one that returned 128+n look alike through a shell; a command that was in flight when the connection
//! broke may have run to its end, in part or not at all, and is [`Lost::InFlight`], never "failed".
//! It knows no tasks, no events and no display.

#![expect(
    clippy::disallowed_methods,
    reason = "keys, known hosts and ssh_config are OpenSSH's files, and certificates are valid by the wall clock"
)]

mod algorithms;
mod bridge;
mod capture;
pub(crate) mod detached;
mod dial;
mod elevate;
#[cfg(test)]
pub(crate) mod fake;
mod frame;
pub(crate) mod http;
mod known_hosts;
pub(crate) mod lease;
mod left;
mod limits;
mod link;
mod local;
mod login;
mod once;
mod options;
mod pattern;
mod pipe;
mod remote;
mod running;
mod sessions;
mod settings;
mod shells;
mod socket;
mod ssh;
mod ssh_config;
mod tls;
mod wrapping;
pub(crate) mod zookeeper;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::base::{Content, Script, Secret};

pub(crate) use left::Trace;
pub(crate) use limits::raise_open_files;
pub(crate) use local::Local;
pub(crate) use options::{Options, Warnings};
pub(crate) use ssh::Ssh;

use options::{nonce, random};

/// How to become another user on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Become {
    /// `sudo`, `su` or `doas`.
    pub(crate) method: String,
    /// Whom to become.
    pub(crate) user: String,
    /// The program, when it isn't the method's name.
    pub(crate) executable: Option<String>,
    /// Extra words for it (`ansible_become_flags`), in place of the default ones.
    pub(crate) flags: Option<String>,
    /// The password it asks for. Sent on standard input, never on a command line.
    pub(crate) password: Option<Secret>,
}

/// Told how many bytes of a command's standard input were sent, and of how many.
pub(crate) type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// One command for a host.
#[derive(Clone)]
pub(crate) struct Command {
    /// What to run, by `sh`.
    pub(crate) script: Script,
    /// As whom; `None` is the login user.
    pub(crate) r#become: Option<Become>,
    /// Environment variables for it.
    pub(crate) environment: Vec<(String, String)>,
    /// Its standard input; without one it is `/dev/null`.
    pub(crate) stdin: Option<Content>,
    /// It is killed (its whole process group) after so long.
    pub(crate) timeout: Option<Duration>,
    /// It only looks, leaves nothing running and is text of ours: a persistent shell runs it without starting a shell and a session
    /// for it. Killed, it takes that shell along.
    pub(crate) looks: bool,
    /// How many bytes of each output stream are kept; the middle of longer output is left out and counted.
    pub(crate) keep: usize,
    /// Called while its standard input is sent.
    pub(crate) progress: Option<Progress>,
    /// Follows it, so that what a broken connection left running of it can be ended over the next one.
    pub(crate) trace: Option<Trace>,
}

impl Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values of the environment may be secrets.
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Command")
            .field("script", &self.script)
            .field("become", &self.r#become)
            .field("environment", &names)
            .field("timeout", &self.timeout)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

impl Command {
    /// A command of the login user with the usual limits.
    pub(crate) fn new(script: Script) -> Self {
        Self {
            script,
            r#become: None,
            environment: Vec::new(),
            stdin: None,
            timeout: None,
            looks: false,
            keep: DEFAULT_KEEP,
            progress: None,
            trace: None,
        }
    }

    fn report(&self, sent: u64, total: u64) {
        if let Some(progress) = &self.progress {
            progress(sent, total);
        }
    }
}

/// How many bytes of a stream are kept unless a caller asks for more or less.
pub(crate) const DEFAULT_KEEP: usize = 1024 * 1024;

pub(crate) use crate::base::Output;

/// Why a host can't be reached. Told apart because what to do differs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreachable {
    /// The name has no address.
    #[error("cannot resolve {name}: {reason}")]
    Resolve {
        /// The name.
        name: String,
        /// What the resolver said.
        reason: String,
    },
    /// Nothing listens there.
    #[error("{address} refused the connection: is sshd running there?")]
    Refused {
        /// Address and port.
        address: String,
    },
    /// No answer within the time.
    #[error("no answer from {address} within {seconds} s ({phase})")]
    TimedOut {
        /// Address and port.
        address: String,
        /// How long we waited.
        seconds: u64,
        /// What we waited for: `connecting`, `key exchange`, `authentication`, `starting a shell`, `sudo`.
        phase: String,
    },
    /// The host key is not the known one, or none is known.
    #[error("{message}")]
    HostKey {
        /// Both fingerprints, the file and line, and what to do.
        message: String,
    },
    /// No common algorithm.
    #[error("{message}")]
    Negotiation {
        /// What was offered, and the line to add.
        message: String,
    },
    /// The host accepted none of our credentials.
    #[error("{user}@{address} refused every way to log in: tried {tried}")]
    Authentication {
        /// The user.
        user: String,
        /// Address and port.
        address: String,
        /// Which keys and methods were tried, in order.
        tried: String,
    },
    /// The connection ended.
    #[error("{address} closed the connection: {reason}")]
    Closed {
        /// Address and port.
        address: String,
        /// What is known of why.
        reason: String,
    },
    /// Something here prevents it: an unreadable key, a bad option.
    #[error("{message}")]
    Local {
        /// What, and what to do.
        message: String,
    },
}

/// Why a command has no exit status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lost {
    /// It was never started.
    #[error("{0}")]
    NotStarted(Unreachable),
    /// The connection broke while it ran: it may have done all, some or nothing.
    #[error("the connection broke while the command ran: {0}")]
    InFlight(Unreachable),
    /// Becoming the other user failed; nothing was run.
    #[error("{0}")]
    Become(String),
    /// The host can be reached, and can't tell whether or how it ended.
    #[error("{0}")]
    Unknown(String),
    /// Its time was over and it was killed.
    #[error("it took longer than {0} s and was killed")]
    TimedOut(u64),
    /// A local file that it should have read or written can't be.
    #[error("{0}")]
    Local(String),
}

/// A byte stream through the host (direct-tcpip), for HTTP and other protocols.
pub(crate) trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Stream for T {}

/// An open connection to one host, used by many tasks at a time.
#[async_trait]
pub(crate) trait Connection: Debug + Send + Sync {
    /// Runs a command to its end.
    async fn run(&self, command: &Command) -> Result<Output, Lost>;

    /// Runs a command and writes its standard output to a local file (of mode 0600), unbounded; `Output::stdout` is empty then.
    async fn fetch(&self, command: &Command, to: &Path) -> Result<Output, Lost>;

    /// Kills what commands on an earlier connection to the same host left running, and waits until it is gone.
    ///
    /// # Errors
    /// It can't be killed; or this connection broke, too.
    async fn end(&self, _trace: &Trace) -> Result<(), Lost> {
        Ok(())
    }

    /// Opens a TCP stream from the host to an address that the host can reach.
    async fn stream(&self, host: &str, port: u16, within: Duration) -> Result<Box<dyn Stream>, String>;

    /// Ends it politely; commands still running are killed.
    async fn close(&self);
}

/// Makes connections.
#[async_trait]
pub(crate) trait Transport: Debug + Send + Sync {
    /// Connects and logs in.
    async fn connect(&self, target: &Target) -> Result<Box<dyn Connection>, Unreachable>;
}

/// Where and how to log in: what inventory variables, flags and ansible.cfg say; `~/.ssh/config` fills the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The inventory name; also the name to look up in `~/.ssh/config` when `address` is not set.
    pub(crate) name: String,
    /// `ansible_connection`: `ssh` or `local`.
    pub(crate) connection: String,
    /// `ansible_host`.
    pub(crate) address: Option<String>,
    /// `ansible_port`.
    pub(crate) port: Option<u16>,
    /// `ansible_user`, `-u`, `remote_user`.
    pub(crate) user: Option<String>,
    /// `ansible_password`, `-k`.
    pub(crate) password: Option<Secret>,
    /// `ansible_ssh_private_key_file`, `--private-key`.
    pub(crate) private_key: Option<String>,
    /// Passphrase for an encrypted key, when it was asked for.
    pub(crate) passphrase: Option<Secret>,
    /// `ansible_ssh_common_args` and `_extra_args`: `-o Key=value`, `-J jump`, … read as OpenSSH would.
    pub(crate) arguments: Vec<String>,
    /// Whether host keys are checked; off only by Ansible's switch.
    pub(crate) check_host_key: bool,
    /// `-T`, `ansible_ssh_timeout`: for each phase of connecting.
    pub(crate) timeout: Duration,
    /// How many more times to try to connect (`ansible_ssh_retries`).
    pub(crate) retries: u32,
    /// `ansible_shell_executable`.
    pub(crate) shell: String,
}

impl Target {
    /// A host by its name, with everything else as it is by default.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            connection: "ssh".to_owned(),
            address: None,
            port: None,
            user: None,
            password: None,
            private_key: None,
            passphrase: None,
            arguments: Vec::new(),
            check_host_key: true,
            timeout: Duration::from_secs(10),
            retries: 0,
            shell: "/bin/sh".to_owned(),
        }
    }
}

/// Connects by what the target says: `ssh` (and `smart`, `paramiko`, which Ansible has for the same) or `local`.
#[derive(Debug)]
pub(crate) struct Any {
    ssh: Ssh,
    local: Local,
}

impl Any {
    /// Both, with the same options.
    pub(crate) fn new(options: Options) -> Self {
        Self { local: Local::new(options.clone()), ssh: Ssh::new(options) }
    }

    /// Warnings since the last call: ssh options without effect, accepted host keys.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        self.ssh.take_warnings()
    }

    /// The hosts since the last call whose keys were not checked: a list, so that a thousand of them are one warning.
    pub(crate) fn take_unchecked(&self) -> Vec<String> {
        self.ssh.take_unchecked()
    }
}

#[async_trait]
impl Transport for Any {
    async fn connect(&self, target: &Target) -> Result<Box<dyn Connection>, Unreachable> {
        match target.connection.as_str() {
            "ssh" | "smart" | "paramiko" | "paramiko_ssh" => self.ssh.connect(target).await,
            "local" => self.local.connect(target).await,
            other => Err(Unreachable::Local {
                message: format!(
                    "ansible_connection: {other} is not supported (for {}); ssh and local are",
                    target.name
                ),
            }),
        }
    }
}
