//! What holds for the whole transport, its warnings, and chance.

use std::collections::{BTreeSet, HashSet};
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::settings::{HostKeys, home};

/// Options of the SSH transport.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// ssh_config files, the first to be asked first.
    pub(crate) config_files: Vec<PathBuf>,
    /// The user's known_hosts files; new keys are added to the first.
    pub(crate) known_hosts: Vec<PathBuf>,
    /// The system's known_hosts files.
    pub(crate) global_known_hosts: Vec<PathBuf>,
    /// The agent's socket (`SSH_AUTH_SOCK`).
    pub(crate) agent: Option<PathBuf>,
    /// How many handshakes may go on at a time, to the world and through each jump host.
    pub(crate) pace: usize,
    /// Pause between keep-alives; after three without an answer the connection is given up.
    pub(crate) alive_interval: Duration,
    /// Whether new host keys are accepted and written down where nothing else says so.
    pub(crate) accept_new: bool,
    /// Forces one channel a command (`STAGGER_ONE_CHANNEL=1`), which hosts without persistent shells get anyway.
    pub(crate) one_channel_a_command: bool,
}

impl Default for Options {
    /// What OpenSSH's client has, but for keep-alives, of which that sends none.
    fn default() -> Self {
        let own = |name: &str| home().join(".ssh").join(name);
        let system = |name: &str| PathBuf::from("/etc/ssh").join(name);
        Self {
            config_files: vec![own("config"), system("ssh_config")],
            known_hosts: vec![own("known_hosts"), own("known_hosts2")],
            global_known_hosts: vec![system("ssh_known_hosts"), system("ssh_known_hosts2")],
            agent: std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty()).map(PathBuf::from),
            pace: 64,
            // A frozen host is given up after 40 s. Under load sshd answers late, but within a few: it only has to be scheduled. A
            // network that finds a new way takes up to 30.
            alive_interval: Duration::from_secs(10),
            accept_new: false,
            one_channel_a_command: false,
        }
    }
}

impl Options {
    pub(super) fn new_host_keys(&self) -> HostKeys {
        if self.accept_new { HostKeys::AcceptNew } else { HostKeys::Strict }
    }
}

/// Things that the operator should know and that stop nothing. Each text is kept once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Warnings(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    known: HashSet<String>,
    texts: Vec<String>,
    /// Hosts whose keys nobody checks.
    unchecked: BTreeSet<String>,
}

impl Warnings {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, text: String) {
        let mut told = self.told();
        if told.known.insert(text.clone()) {
            told.texts.push(text);
        }
    }

    pub(super) fn unchecked(&self, host: &str) {
        self.told().unchecked.insert(host.to_owned());
    }

    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.told().texts)
    }

    pub(super) fn take_unchecked(&self) -> Vec<String> {
        std::mem::take(&mut self.told().unchecked).into_iter().collect()
    }
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    if read.is_err() {
        // Without /dev the hasher's keys, which the kernel gave to the standard library, must do.
        use std::hash::{BuildHasher as _, Hasher as _};
        for chunk in bytes.chunks_mut(8) {
            let word = std::collections::hash_map::RandomState::new().build_hasher().finish();
            for (place, byte) in chunk.iter_mut().zip(word.to_le_bytes()) {
                *place = byte;
            }
        }
    }
    bytes
}

/// 128 random bits as 32 hex digits: no output contains them by accident or by guessing.
pub(super) fn nonce() -> String {
    random::<16>().iter().map(|byte| format!("{byte:02x}")).collect()
}
