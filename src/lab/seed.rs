//! What all hosts of a kind have in common: a read-only layer, made once for a rehearsal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::LabError;
use super::folder::Folder;
use super::program::{find, output_of};
use super::release;
use super::spec::{HostKind, LabSpec};
use super::tree::Tree;

/// Names in the root of a Debian system; others on this machine are hidden from the hosts.
const DEBIAN_ROOT: &[&str] = &[
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt", "proc", "root",
    "run", "sbin", "srv", "sys", "tmp", "usr", "var",
];

/// Folders that a host begins with empty, and their modes.
const EMPTY: &[(&str, u32)] = &[
    ("root", 0o700),
    ("home", 0o755),
    ("tmp", 0o1777),
    ("run", 0o755),
    ("opt", 0o755),
    ("srv", 0o755),
    ("mnt", 0o755),
    ("media", 0o755),
    ("usr/local", 0o755),
    ("var/tmp", 0o1777),
    ("var/log", 0o755),
    ("etc/init.d", 0o755),
    ("etc/ssh", 0o755),
    ("etc/rc2.d", 0o755),
];

/// Login users of every host: name, uid, whether sudo asks them for the password.
pub(crate) const USERS: &[(&str, u32)] = &[("operator", 1101), ("deputy", 1102)];

/// Services that have a script on every host, and what their `run` does.
const SERVICES: &[(&str, &str)] = &[
    ("mesos-master", "\texec /usr/bin/mesos-init-wrapper master"),
    ("mesos-slave", "\texec /usr/bin/mesos-init-wrapper slave"),
    ("sleeper", "\tset -a\n\t[ ! -f /etc/default/sleeper ] || . /etc/default/sleeper\n\texec /usr/local/bin/sleeper"),
    (
        "zookeeper",
        "\t. /etc/default/zookeeper\n\texec java $JAVA_OPTS -cp \"$CLASSPATH\" org.apache.zookeeper.server.quorum.QuorumPeerMain /etc/zookeeper/zoo.cfg",
    ),
];

/// Makes the layer of a kind, unless it is there for just this rehearsal.
pub(crate) fn seed(lab: &LabSpec, folder: &Folder, kind: HostKind) -> Result<PathBuf, LabError> {
    let root = folder.seed(kind);
    let stamp = root.with_extension("stamp");
    let wanted = format!("{} {}", env!("CARGO_PKG_VERSION"), lab.releases.join(" "));
    if root.is_dir() && fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(root);
    }
    let _ = fs::remove_dir_all(&root);
    let tree = Tree::new(&root)?;
    match kind {
        HostKind::Debian => debian(&tree)?,
        HostKind::Busybox => busybox(&tree)?,
    }
    users(&tree, folder, kind)?;
    services(&tree, kind)?;
    for version in &lab.releases {
        let files = release::make(version, &folder.releases())?;
        release::lay_out(&files, version, &tree)?;
    }
    fs::write(&stamp, wanted).map_err(LabError::file("write", &stamp))?;
    Ok(root)
}

fn debian(tree: &Tree) -> Result<(), LabError> {
    let top = Path::new("/");
    for entry in fs::read_dir(top).map_err(LabError::file("read", top))? {
        let name = entry.map_err(LabError::file("read", top))?.file_name();
        if !DEBIAN_ROOT.contains(&name.to_string_lossy().as_ref()) {
            tree.whiteout(&name)?;
        }
    }
    for (path, mode) in EMPTY {
        tree.opaque(path, *mode)?;
    }
    for path in
        ["etc/mesos", "etc/mesos-master", "etc/mesos-slave", "etc/zookeeper", "var/lib/mesos", "var/lib/zookeeper"]
    {
        tree.opaque(path, 0o755)?;
    }
    for path in ["usr/local/sbin", "usr/local/bin", "usr/local/lib", "usr/local/share", "var/log/mesos"] {
        tree.folder(path, 0o755)?;
    }
    for log in ["lastlog", "wtmp", "btmp"] {
        tree.file(&format!("var/log/{log}"), "", 0o664)?;
    }
    tree.file("etc/sudoers.d/rehearsal", "operator ALL=(ALL:ALL) NOPASSWD: ALL\ndeputy ALL=(ALL:ALL) ALL\n", 0o440)?;
    Ok(())
}

fn busybox(tree: &Tree) -> Result<(), LabError> {
    let busybox = find("busybox", "busybox-static")?;
    for path in [
        "bin",
        "sbin",
        "usr/bin",
        "usr/sbin",
        "etc",
        "dev",
        "proc",
        "sys",
        "run",
        "home",
        "var/log/mesos",
        "var/lib",
        "usr/lib/rehearsal",
        "opt",
        "lib",
    ] {
        tree.folder(path, 0o755)?;
    }
    for (path, mode) in [("root", 0o700), ("tmp", 0o1777), ("var/tmp", 0o1777), ("var/empty", 0o755)] {
        tree.folder(path, mode)?;
    }
    tree.link("var/run", "/run")?;
    // su is an applet that must be able to become another user.
    tree.own_copy(&busybox, "bin/busybox", 0o4755)?;
    let listing = output_of(Command::new(&busybox).arg("--list-full"))?;
    for applet in listing.lines().filter(|line| !line.is_empty() && *line != "bin/busybox") {
        // Debian's list names them by where they would be installed; a name without a folder belongs to /bin.
        let place = if applet.contains('/') { applet.to_owned() } else { format!("bin/{applet}") };
        tree.link(&place, "/bin/busybox")?;
    }
    let sshd = find("sshd", "openssh-server")?;
    libraries(tree, &sshd)?;
    tree.copy(&sshd, "usr/lib/rehearsal/sshd", 0o755)?;
    // OpenSSH 9.8 and later keep each session in a program of its own.
    for helper in ["sshd-session", "sshd-auth"] {
        let path = Path::new("/usr/lib/openssh").join(helper);
        if path.exists() {
            libraries(tree, &path)?;
            tree.copy(&path, &format!("usr/lib/openssh/{helper}"), 0o755)?;
        }
    }
    if let Ok(own) = std::env::current_exe() {
        libraries(tree, &own)?;
    }
    tree.file("usr/sbin/service", include_str!("files/service-command.sh"), 0o755)?;
    tree.file("etc/profile", "export PATH=/usr/sbin:/usr/bin:/sbin:/bin\n", 0o644)?;
    tree.file("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n", 0o644)?;
    tree.file("etc/shells", "/bin/sh\n", 0o644)?;
    tree.file("etc/os-release", "NAME=BusyBox\nID=busybox\nPRETTY_NAME=\"BusyBox rehearsal host\"\n", 0o644)?;
    Ok(())
}

/// Copies the shared libraries that a program is linked with, where its loader looks for them.
fn libraries(tree: &Tree, program: &Path) -> Result<(), LabError> {
    let listing = output_of(Command::new("ldd").arg(program))?;
    for word in listing.split_whitespace().filter(|word| word.starts_with('/')) {
        let path = Path::new(word.trim_end_matches(':'));
        if path.exists() {
            tree.copy(
                &path.canonicalize().map_err(LabError::file("read", path))?,
                word.trim_start_matches('/'),
                0o755,
            )?;
        }
    }
    Ok(())
}

fn users(tree: &Tree, folder: &Folder, kind: HostKind) -> Result<(), LabError> {
    let hash = folder.password_hash()?;
    let system = |file: &str, keep_below: u32| -> String {
        let text = fs::read_to_string(Path::new("/etc").join(file)).unwrap_or_default();
        let keep = |line: &&str| {
            let id = line.split(':').nth(2).and_then(|id| id.parse::<u32>().ok());
            id.is_some_and(|id| id != 0 && id < keep_below || id == 65534)
        };
        text.lines().filter(keep).map(|line| format!("{line}\n")).collect()
    };
    let (shell, mut passwd, mut group) = match kind {
        HostKind::Debian => ("/bin/bash", system("passwd", 1000), system("group", 1000)),
        HostKind::Busybox => (
            "/bin/sh",
            "sshd:x:102:65534::/var/empty:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n".to_owned(),
            "sudo:x:27:\nnogroup:x:65534:\ntty:x:5:\n".to_owned(),
        ),
    };
    if !passwd.lines().any(|line| line.starts_with("sshd:")) {
        passwd.push_str("sshd:x:102:65534::/run/sshd:/usr/sbin/nologin\n");
    }
    passwd.insert_str(0, &format!("root:x:0:0:root:/root:{shell}\n"));
    group.insert_str(0, "root:x:0:\n");
    // `*` and not `!`: sshd without PAM takes the latter for a locked account, and refuses its keys too.
    let mut shadow = String::from("root:*:19700:0:99999:7:::\n");
    for line in passwd.lines().skip(1) {
        let name = line.split(':').next().unwrap_or_default();
        shadow.push_str(name);
        shadow.push_str(":*:19700:0:99999:7:::\n");
    }
    let key = folder.public_key()?;
    for (name, id) in USERS {
        passwd.push_str(name);
        passwd.push_str(&[":x:", &id.to_string(), ":", &id.to_string(), "::/home/", name, ":", shell, "\n"].concat());
        // Debian has a group `operator` of its own: the users' groups are named after what they are.
        group.push_str(&["rehearsal-", name, ":x:", &id.to_string(), ":\n"].concat());
        shadow.push_str(&[name, ":", &hash, ":19700:0:99999:7:::\n"].concat());
        tree.folder(&format!("home/{name}"), 0o755)?;
        tree.folder(&format!("home/{name}/.ssh"), 0o700)?;
        tree.file(&format!("home/{name}/.ssh/authorized_keys"), &key, 0o600)?;
        for path in [format!("home/{name}"), format!("home/{name}/.ssh"), format!("home/{name}/.ssh/authorized_keys")] {
            tree.owner(&path, *id, *id)?;
        }
    }
    tree.folder("root/.ssh", 0o700)?;
    tree.file("root/.ssh/authorized_keys", &key, 0o600)?;
    tree.file("etc/passwd", passwd, 0o644)?;
    tree.file("etc/group", group, 0o644)?;
    tree.file("etc/shadow", shadow, 0o640)
}

fn services(tree: &Tree, kind: HostKind) -> Result<(), LabError> {
    let sshd = match kind {
        HostKind::Debian => "/usr/sbin/sshd",
        HostKind::Busybox => "/usr/lib/rehearsal/sshd",
    };
    let run_sshd = format!("\tmkdir -p /run/sshd\n\texec {sshd} -D -e -f /etc/ssh/sshd_config");
    for (name, run) in SERVICES.iter().copied().chain([("ssh", run_sshd.as_str())]) {
        if name == "zookeeper" && kind == HostKind::Busybox {
            continue;
        }
        let script = include_str!("files/service.sh").replace("@NAME@", name).replace("@RUN@", run);
        tree.file(&format!("etc/init.d/{name}"), script, 0o755)?;
    }
    tree.file("usr/bin/mesos-init-wrapper", include_str!("files/mesos-init-wrapper.sh"), 0o755)
}
