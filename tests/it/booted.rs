//! `service` and `systemd` on a host that is booted with systemd: `systemd-nspawn` on a folder made by `debootstrap`, which the
//! first run keeps under `target/`. Needs root, systemd-container and debootstrap; fails where one is missing.

#![expect(clippy::disallowed_methods, reason = "a test looks at files of its own")]

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::lab::wait;
use crate::modules::{all, play};

/// The root folder of a Debian (or Ubuntu, where this machine is one) with systemd and sshd.
fn root_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("booted-with-systemd");
    if folder.is_dir() {
        return folder;
    }
    let release = std::fs::read_to_string("/etc/os-release").expect("this machine's release");
    let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).expect("a Debian or Ubuntu");
    // Its name says that it is whole; another run may make it at the same time.
    let made = folder.with_extension(std::process::id().to_string());
    let done = Command::new("debootstrap")
        .args(["--variant=minbase", "--include=systemd,systemd-sysv,dbus,openssh-server", suite])
        .arg(&made)
        .output()
        .expect("debootstrap runs (package debootstrap)");
    let said = String::from_utf8_lossy(&done.stdout);
    let tail: Vec<&str> = said.lines().rev().take(10).collect();
    assert!(done.status.success(), "debootstrap (is there a mirror that this machine reaches?): {tail:#?}");
    if std::fs::rename(&made, &folder).is_err() {
        std::fs::remove_dir_all(&made).expect("the second one goes");
    }
    folder
}

/// A booted host; gone when it is dropped.
struct Booted {
    init: Child,
    /// Its control groups on this machine.
    groups: Vec<PathBuf>,
    here: tempfile::TempDir,
}

impl Booted {
    fn up() -> Booted {
        let root = root_folder();
        let here = tempfile::tempdir().expect("a folder");
        let address = format!("127.0.{}.9", 20 + (std::process::id() * 7 + 100) % 220);
        let path = |name: &str| here.path().join(name).display().to_string();
        let key = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path("key")]).status();
        assert!(key.expect("ssh-keygen runs").success());
        let host_key = std::fs::read_to_string(root.join("etc/ssh/ssh_host_ed25519_key.pub")).expect("its host key");
        let write = |name: &str, text: String| std::fs::write(here.path().join(name), text).expect("a file");
        write("known_hosts", format!("[{address}]:2222 {host_key}"));
        write("sshd.conf", format!("ListenAddress {address}\nPort 2222\nPermitRootLogin prohibit-password\n"));
        write(
            "hosts.yml",
            format!(
                "all: {{hosts: {{booted: {{ansible_host: {address}, ansible_port: 2222, ansible_user: root, \
                 ansible_ssh_private_key_file: {}, ansible_ssh_common_args: -o UserKnownHostsFile={}}}}}}}\n",
                path("key"),
                path("known_hosts")
            ),
        );
        let groups = control_groups();
        let log = std::fs::File::create(here.path().join("boot.log")).expect("a log");
        let init = Command::new("sh")
            .arg("-c")
            .arg("for group in $in_groups; do echo $$ >$group/cgroup.procs || exit 1; done; exec systemd-nspawn \"$@\"")
            .arg("sh")
            .env("in_groups", groups.iter().map(|group| group.display().to_string()).collect::<Vec<_>>().join(" "))
            // Nothing is written into the folder: what changes is in memory.
            .args(["--quiet", "--boot", "--register=no", "--keep-unit", "--volatile=overlay", "--console=pipe"])
            .arg(format!("--machine=booted-{}", std::process::id()))
            .arg("--directory")
            .arg(&root)
            .arg(format!("--bind-ro={}:/root/.ssh/authorized_keys", path("key.pub")))
            .arg(format!("--bind-ro={}:/etc/ssh/sshd_config.d/rehearsal.conf", path("sshd.conf")))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("systemd-nspawn runs (package systemd-container)");
        let mut booted = Booted { init, groups, here };
        let log = booted.here.path().join("boot.log");
        wait("it boots, and its sshd listens", 60, || {
            let ended = booted.init.try_wait().expect("a child");
            assert!(ended.is_none(), "{ended:?}: {}", std::fs::read_to_string(&log).unwrap_or_default());
            std::net::TcpStream::connect(format!("{address}:2222")).ok()
        });
        booted
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        let terminate = || {
            let _ = Command::new("kill").arg(self.init.id().to_string()).status();
        };
        // The second time it does not wait for what runs in there.
        terminate();
        terminate();
        let _ = self.init.wait();
        for group in &self.groups {
            let _ =
                Command::new("find").arg(group).args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]).status();
        }
    }
}

/// Makes a control group for it in each hierarchy that systemd looks at: two that boot in one would end each other's processes.
fn control_groups() -> Vec<PathBuf> {
    let hierarchies = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
    let used = hierarchies.iter().filter(|hierarchy| hierarchy.join("cgroup.procs").exists());
    let groups: Vec<PathBuf> = used.map(|at| at.join(format!("stagger-booted-{}", std::process::id()))).collect();
    assert!(!groups.is_empty(), "systemd needs control groups, and none are mounted below /sys/fs/cgroup");
    for group in &groups {
        std::fs::create_dir(group).unwrap_or_else(|error| panic!("{}: {error}", group.display()));
    }
    groups
}

#[test]
fn services_of_systemd_are_started_stopped_enabled_and_masked() {
    let booted = Booted::up();
    let playbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules_on_hosts/systemd.yml");
    let (code, ends) = play(booted.here.path(), &playbook, &["--check"]);
    all(&ends, &["ok", "changed", "unpredictable", "ignored"]);
    assert_eq!(code, 0);
    let (code, ends) = play(booted.here.path(), &playbook, &[]);
    all(&ends, &["ok", "changed", "ignored"]);
    assert_eq!(code, 0);
}
