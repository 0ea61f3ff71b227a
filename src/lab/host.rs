//! One host's own layer: name, keys, configuration, which release is in force.

use std::fs;
use std::path::Path;

use super::error::LabError;
use super::folder::{Folder, HostFolder, make_key, mount_tmpfs};
use super::spec::{HostKind, HostSpec, LabSpec};
use super::tree::Tree;
use super::zookeeper;

/// Makes the host's disk and fills its layer. Nothing of the host may be running.
pub(crate) fn prepare(lab: &LabSpec, folder: &Folder, host: &HostSpec) -> Result<(), LabError> {
    let own = folder.host(&host.name);
    for path in [own.disk(), own.mount_point()] {
        fs::create_dir_all(&path).map_err(LabError::file("create", &path))?;
    }
    make_key(&own.host_key(), &host.name)?;
    if own.upper().is_dir() && own.root().join("boot.json").exists() {
        // A host that comes up again finds its disk as it left it. One whose making was cut is made once more.
        return boot_files(lab, &own, host);
    }
    mount_tmpfs(&own.disk(), host.disk_mib)?;
    fs::create_dir_all(own.work()).map_err(LabError::file("create", &own.work()))?;
    let tree = Tree::new(own.upper())?;
    tree.folder("", 0o755)?;
    configure(lab, &own, host, &tree)?;
    boot_files(lab, &own, host)
}

fn configure(lab: &LabSpec, own: &HostFolder, host: &HostSpec, tree: &Tree) -> Result<(), LabError> {
    tree.file("etc/hostname", format!("{}\n", host.name), 0o644)?;
    let mut hosts = String::from("127.0.0.1 localhost\n");
    for other in &lab.hosts {
        hosts.push_str(&[other.address.to_string().as_str(), " ", other.name.as_str(), "\n"].concat());
    }
    tree.file("etc/hosts", hosts, 0o644)?;
    // A folder of its own layer would hide the seed's modes otherwise.
    tree.own_copy(&own.host_key(), "etc/ssh/host_key", 0o600)?;
    tree.own_copy(&own.host_key().with_extension("pub"), "etc/ssh/host_key.pub", 0o644)?;
    tree.file("etc/ssh/sshd_config", sshd_config(host), 0o644)?;
    mesos(lab, host, tree)?;
    if host.zookeeper {
        zookeeper::configure(lab, host, tree)?;
    }
    for (index, daemon) in daemons(host).iter().enumerate() {
        tree.link(&format!("etc/rc2.d/S{:02}{daemon}", index + 1), format!("../init.d/{daemon}"))?;
    }
    Ok(())
}

/// What init starts at boot, in order.
pub(crate) fn daemons(host: &HostSpec) -> Vec<String> {
    let mut names = vec!["ssh".to_owned()];
    if host.zookeeper {
        names.push("zookeeper".to_owned());
    }
    names.extend(host.daemons.iter().cloned());
    names
}

fn boot_files(lab: &LabSpec, own: &HostFolder, host: &HostSpec) -> Result<(), LabError> {
    let path = own.root().join("boot.json");
    let boot = super::enclose::Boot {
        name: host.name.clone(),
        kind: host.kind,
        lower: Folder::new(&lab.folder).seed(host.kind),
        upper: own.upper(),
        work: own.work(),
        root: own.mount_point(),
        pid_file: own.pid_file(),
        time: lab.time,
    };
    let text = serde_json::to_vec(&boot).unwrap_or_default();
    fs::write(&path, text).map_err(LabError::file("write", &path))
}

fn sshd_config(host: &HostSpec) -> String {
    // PAM asks for things of the machine that a busybox host has not; without it passwords are checked in /etc/shadow.
    format!(
        "Port {}\nListenAddress {}\nHostKey /etc/ssh/host_key\nPidFile none\nUsePAM no\nUseDNS no\nPermitRootLogin prohibit-password\n\
         PasswordAuthentication yes\nMaxStartups 1000:30:2000\nMaxSessions 64\nPrintMotd no\nAcceptEnv LANG LC_*\n\
         Subsystem sftp internal-sftp\n",
        host.port, host.address
    )
}

fn mesos(lab: &LabSpec, host: &HostSpec, tree: &Tree) -> Result<(), LabError> {
    let url = lab.zookeeper_url().unwrap_or_else(|| "zk://localhost:2181/mesos".to_owned());
    tree.folder("var/lib/mesos", 0o755)?;
    tree.folder("var/log/mesos", 0o755)?;
    tree.file("etc/mesos/zk", format!("{url}\n"), 0o644)?;
    tree.file("etc/default/mesos", "LOGS=/var/log/mesos\nULIMIT=\"-n 8192\"\n", 0o644)?;
    tree.file("etc/default/mesos-master", format!("PORT=5050\nIP={}\nZK=`cat /etc/mesos/zk`\n", host.address), 0o644)?;
    tree.file("etc/default/mesos-slave", format!("IP={}\nMASTER=`cat /etc/mesos/zk`\n", host.address), 0o644)?;
    tree.folder("etc/mesos-master", 0o755)?;
    tree.folder("etc/mesos-slave", 0o755)?;
    tree.file("etc/mesos-slave/work_dir", "/var/lib/mesos\n", 0o644)?;
    tree.file("etc/mesos-slave/launcher_dir", "/usr/local/libexec/mesos\n", 0o644)?;
    for (path, value) in &host.flags {
        tree.file(&format!("etc/mesos-{path}"), format!("{value}\n"), 0o644)?;
    }
    if let Some(version) = &host.release {
        let from = Path::new("/opt").join(format!("mesos-{version}"));
        tree.link("usr/local/sbin/mesos-master", from.join("sbin/mesos-master"))?;
        tree.link("usr/local/sbin/mesos-slave", from.join("sbin/mesos-slave"))?;
        tree.link("usr/local/libexec/mesos/mesos-executor", from.join("libexec/mesos/mesos-executor"))?;
        tree.link("usr/local/lib/libmesos.so", from.join(format!("lib/libmesos-{version}.so")))?;
        // A framework's own program; it maps the libmesos that the link names when it starts.
        tree.file("usr/local/bin/sleeper", include_str!("files/sleeper.sh"), 0o755)?;
        let tasks = 2 * lab.hosts.iter().filter(|other| other.daemons.iter().any(|name| name == "mesos-slave")).count();
        let defaults = format!(
            "# MASTER, IP, TASKS; CHECKPOINT=true asks for checkpoints (FrameworkInfo.checkpoint).\n\
             MASTER={url}\nIP={}\nTASKS={tasks}\nCHECKPOINT=false\n",
            host.address
        );
        tree.file("etc/default/sleeper", defaults, 0o644)?;
    }
    if host.kind == HostKind::Busybox {
        tree.folder("run", 0o755)?;
    }
    Ok(())
}
