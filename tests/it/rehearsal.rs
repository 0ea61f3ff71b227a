//! Rehearsal hosts that tests share: made when the first test asks, gone when the last one that uses them has ended.

#![allow(
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "a test reads what the program wrote, and is in no hurry"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::hermetic::Place;

/// Hosts of which tests only use what is theirs: `calm` ones are shared, each fault has a host of its own.
const HOSTS: &[&str] = &[
    "calm", "other", "full", "frozen", "dying", "cut", "noisy", "hostile", "nonsense", "slow", "jump", "old", "poison",
    "crowd",
];

pub(crate) struct Rehearsal {
    held: tempfile::TempDir,
    net: u32,
    names: &'static [&'static str],
    /// No other test uses them.
    alone: bool,
}

static SHARED: Mutex<Weak<Rehearsal>> = Mutex::new(Weak::new());

impl Rehearsal {
    pub(crate) fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rehearsal) = shared.upgrade() {
            return rehearsal;
        }
        let rehearsal = Arc::new(Self::up(HOSTS, false));
        *shared = Arc::downgrade(&rehearsal);
        rehearsal
    }

    /// Hosts of one test file alone, whose runs mind each other's leases.
    pub(crate) fn own(names: &'static [&'static str]) -> Self {
        Self::up(names, true)
    }

    fn up(names: &'static [&'static str], alone: bool) -> Self {
        let held = tempfile::tempdir().expect("a folder");
        // Tests of several working copies may run side by side.
        let rehearsal = Self { held, net: std::process::id() % 250, names, alone };
        fs::write(rehearsal.inventory(), rehearsal.text()).expect("an inventory");
        let done = rehearsal.lab(&["up", "-i", &rehearsal.inventory().display().to_string()]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        rehearsal
    }

    fn text(&self) -> String {
        let mut text = "all:\n  vars:\n    lab_disk_mib: 64\n    ansible_port: 2222\n".to_owned();
        let folder = self.folder().display().to_string();
        text.push_str(&format!("    ansible_ssh_private_key_file: {folder}/id_ed25519\n"));
        text.push_str(&format!("    ansible_ssh_common_args: -o UserKnownHostsFile={folder}/known_hosts\n"));
        text.push_str("  hosts:\n");
        for name in self.names {
            text.push_str(&format!("    {name}: {{ansible_host: {}}}\n", self.address(name)));
        }
        let (block, net) = (self.block(), self.net);
        text.push_str(&format!("    busy: {{ansible_host: 127.{block}.{net}.100, lab_kind: busybox}}\n"));
        text
    }

    pub(crate) fn address(&self, name: &str) -> String {
        let last = self.names.iter().position(|host| *host == name).expect("a host") + 1;
        format!("127.{}.{}.{last}", self.block(), self.net)
    }

    fn block(&self) -> u32 {
        if self.alone { 78 } else { 34 }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.held.path().join("lab")
    }

    pub(crate) fn inventory(&self) -> PathBuf {
        self.held.path().join("hosts.yml")
    }

    /// A place whose `hosts.yml` is the rehearsal's, with root as the user unless another is named.
    pub(crate) fn place(&self, user: &str) -> Place {
        let mut place = Place::new();
        place.leases = self.alone;
        let text = self.text().replacen("  vars:\n", &format!("  vars:\n    ansible_user: {user}\n"), 1);
        place.write("hosts.yml", &text);
        place
    }

    pub(crate) fn password(&self) -> String {
        fs::read_to_string(self.folder().join("password")).expect("a password").trim().to_owned()
    }

    fn lab(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_stagger"))
            .args(["lab", "--dir"])
            .arg(self.folder())
            .args(words)
            .output()
            .expect("stagger runs")
    }

    #[track_caller]
    pub(crate) fn fault(&self, host: &str, what: &str) {
        let done = self.lab(&["fault", host, what]);
        assert!(done.status.success(), "{host} {what}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Runs a script as root by OpenSSH's client, that must succeed.
    #[track_caller]
    pub(crate) fn on(&self, host: &str, script: &str) -> String {
        as_root(&self.folder(), host, script)
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        self.lab(&["down"]);
    }
}

/// Runs a script on a rehearsal host by OpenSSH's client: its exit code and what it said. `lab` is the rehearsal's folder.
pub(crate) fn ssh(lab: &Path, user: &str, host: &str, script: &str) -> (i32, String) {
    let done = Command::new("ssh")
        .arg("-F")
        .arg(lab.join("ssh_config"))
        .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-l", user, host, script])
        .output()
        .expect("ssh runs");
    let text = [done.stdout.as_slice(), done.stderr.as_slice()].map(String::from_utf8_lossy).concat();
    (done.status.code().unwrap_or(-1), text)
}

/// Runs a script as root that must succeed.
#[track_caller]
pub(crate) fn as_root(lab: &Path, host: &str, script: &str) -> String {
    let (code, text) = ssh(lab, "root", host, script);
    assert_eq!(code, 0, "{host}: {script}: {text}");
    text
}
