//! What a rehearsal is made of: plain data, told by whoever calls.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What stands on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HostKind {
    /// An overlay of this machine's root file system: a Debian host.
    Debian,
    /// Nothing but busybox, and an sshd with its libraries out of PATH.
    Busybox,
}

/// One host to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostSpec {
    /// Its name in the inventory, and its host name.
    pub(crate) name: String,
    /// Its own loopback address.
    pub(crate) address: Ipv4Addr,
    /// sshd's port; below 1024 can't be bound in a user namespace.
    pub(crate) port: u16,
    /// What stands on it.
    pub(crate) kind: HostKind,
    /// Services started at boot, in this order: `mesos-master`, `mesos-slave`, `sleeper`.
    pub(crate) daemons: Vec<String>,
    /// Whether it is a member of the ZooKeeper ensemble.
    pub(crate) zookeeper: bool,
    /// The size of its disk in MiB: what is written beyond it finds the disk full.
    pub(crate) disk_mib: u32,
    /// The Mesos release in force at the start.
    pub(crate) release: Option<String>,
    /// More flags for its daemons, as files of /etc/mesos-master or /etc/mesos-slave: (`master/cluster`, `x`).
    pub(crate) flags: Vec<(String, String)>,
}

/// A whole rehearsal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LabSpec {
    /// Where all of it lives on this machine.
    pub(crate) folder: PathBuf,
    /// The hosts.
    pub(crate) hosts: Vec<HostSpec>,
    /// The factor for the times of ZooKeeper and the stand-ins: 1 is the real thing, 0.1 ten times as fast.
    pub(crate) time: f64,
    /// Mesos releases laid out on every host under /opt/mesos-VERSION.
    pub(crate) releases: Vec<String>,
}

impl LabSpec {
    /// The ensemble's addresses in the order of the hosts.
    pub(crate) fn ensemble(&self) -> Vec<Ipv4Addr> {
        self.hosts.iter().filter(|host| host.zookeeper).map(|host| host.address).collect()
    }

    /// `zk://a:2181,b:2181/mesos`, if there is an ensemble.
    pub(crate) fn zookeeper_url(&self) -> Option<String> {
        let members: Vec<String> = self.ensemble().iter().map(|address| format!("{address}:2181")).collect();
        (!members.is_empty()).then(|| format!("zk://{}/mesos", members.join(",")))
    }

    /// What is wrong with it before anything is touched.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (index, host) in self.hosts.iter().enumerate() {
            if !host.address.is_loopback() {
                found.push(format!("{}: {} is not a loopback address (127.0.0.0/8)", host.name, host.address));
            }
            if host.port < 1024 {
                found.push(format!("{}: port {} can't be bound in a user namespace: take 2222", host.name, host.port));
            }
            if !host.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
                || host.name.starts_with('.')
            {
                found.push(format!("`{}` can't be a host name", host.name));
            }
            for earlier in &self.hosts[..index] {
                if earlier.address == host.address {
                    found.push(format!("{} and {} have the same address {}", earlier.name, host.name, host.address));
                }
            }
            if host.zookeeper && host.kind == HostKind::Busybox {
                found.push(format!("{}: ZooKeeper needs Java, which a busybox host has not", host.name));
            }
            if let Some(release) = &host.release
                && !self.releases.contains(release)
            {
                found.push(format!("{}: the release {release} is none of {}", host.name, self.releases.join(", ")));
            }
        }
        found
    }
}
