//! `up`, `down`, `status` of a whole rehearsal.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::mount::UnmountFlags;
use rustix::process::Signal;

use super::control::{ask, init_of, recorded};
use super::enclose;
use super::error::LabError;
use super::folder::Folder;
use super::host;
use super::processes;
use super::program::find;
use super::seed::seed;
use super::spec::{HostKind, HostSpec, LabSpec};
use super::zookeeper;

/// How long a host may take until its sshd accepts.
const BOOT: Duration = Duration::from_secs(20);

/// Makes the hosts that are not up; those that are, are left as they are. Gives the names of those that it started.
///
/// # Errors
/// What this machine lacks or refuses, or which host did not come up and its last words.
pub(crate) fn up(lab: &LabSpec) -> Result<Vec<String>, LabError> {
    need_root()?;
    let complaints = lab.complaints();
    if !complaints.is_empty() {
        return Err(LabError::Spec(complaints.join("; ")));
    }
    check_machine(lab)?;
    let folder = Folder::new(&lab.folder);
    folder.prepare()?;
    let _lock = lock(&folder)?;
    refuse_strangers(lab, &folder)?;
    let down: Vec<&HostSpec> = lab.hosts.iter().filter(|host| init_of(&folder.host(&host.name)).is_none()).collect();
    // A layer in use may not change under a host: it is made anew only when no host stands on it.
    for kind in [HostKind::Debian, HostKind::Busybox] {
        let of_kind = |host: &&HostSpec| host.kind == kind;
        let in_use = lab.hosts.iter().filter(of_kind).any(|host| init_of(&folder.host(&host.name)).is_some());
        if down.iter().any(|host| host.kind == kind) && !(in_use && folder.seed(kind).is_dir()) {
            seed(lab, &folder, kind)?;
        }
    }
    let text = serde_json::to_vec_pretty(lab).unwrap_or_default();
    fs::write(folder.spec(), text).map_err(LabError::file("write", &folder.spec()))?;
    let mut started: Vec<(&HostSpec, Child)> = Vec::new();
    for spec in &down {
        host::prepare(lab, &folder, spec)?;
        let own = folder.host(&spec.name);
        let _ = fs::remove_file(own.pid_file());
        let outer = enclose::start(&own.root().join("boot.json"), &own.log())?;
        // Written at once: a host whose `up` died before its init was there must be stopped too.
        let since = processes::start_time(outer.id()).unwrap_or_default();
        fs::write(own.outer_file(), format!("{} {since}\n", outer.id()))
            .map_err(LabError::file("write", &own.outer_file()))?;
        started.push((spec, outer));
    }
    folder.write_client_files(lab)?;
    let deadline = Instant::now() + BOOT;
    for (spec, outer) in &mut started {
        wait_for_sshd(spec, &folder, outer, deadline)?;
    }
    Ok(down.iter().map(|host| host.name.clone()).collect())
}

/// Stops the hosts and removes all that they were, also what a run of `up` that died has left. Gives how many it stopped.
///
/// # Errors
/// A mount or file that can't be removed.
pub(crate) fn down(root: &Path) -> Result<usize, LabError> {
    need_root()?;
    let folder = Folder::new(root);
    if !root.exists() {
        return Ok(0);
    }
    if !folder.spec().exists() && !folder.key().exists() && !root.join("hosts").exists() {
        return Err(LabError::Spec(format!("{} is no rehearsal's folder: nothing in it is touched", root.display())));
    }
    let _lock = lock(&folder)?;
    let mut ended = Vec::new();
    for name in host_names(&folder) {
        let own = folder.host(&name);
        // First who would start it, then it.
        if let Some(outer) = recorded(&own.outer_file()) {
            let children = processes::children(outer);
            processes::signal(outer, Signal::KILL);
            for child in children {
                if init_of(&own).is_none() {
                    processes::signal(child, Signal::KILL);
                }
            }
        }
        if let Some(init) = init_of(&own) {
            // The end of a process namespace's init is the end of all its processes, frozen ones too.
            processes::signal(init, Signal::KILL);
            ended.push((init, processes::start_time(init).unwrap_or_default()));
        }
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while ended.iter().any(|(pid, started)| processes::is_alive(*pid, *started)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    for mount in mounts_below(root)? {
        rustix::mount::unmount(&mount, UnmountFlags::DETACH)
            .map_err(|error| LabError::file("unmount", &mount)(error.into()))?;
    }
    fs::remove_dir_all(root).map_err(LabError::file("remove", root))?;
    Ok(ended.len())
}

/// What a host is doing.
#[derive(Debug, Clone)]
pub(crate) struct HostStatus {
    pub(crate) spec: HostSpec,
    /// None when it is down.
    pub(crate) services: Option<String>,
    pub(crate) trouble: Option<String>,
}

/// The rehearsal that stands in a folder.
pub(crate) fn load(root: &Path) -> Result<LabSpec, LabError> {
    let path = Folder::new(root).spec();
    if !path.exists() {
        return Err(LabError::Spec(format!(
            "no rehearsal in {}: `stagger lab up -i INVENTORY` makes one",
            root.display()
        )));
    }
    let bytes = fs::read(&path).map_err(LabError::file("read", &path))?;
    serde_json::from_slice(&bytes).map_err(|error| LabError::Spec(format!("{}: {error}", path.display())))
}

pub(crate) fn status(root: &Path) -> Result<Vec<HostStatus>, LabError> {
    need_root()?;
    let lab = load(root)?;
    let folder = Folder::new(root);
    let ask_one = |spec: HostSpec| {
        let own = folder.host(&spec.name);
        if init_of(&own).is_none() {
            return HostStatus { spec, services: None, trouble: last_words(&own.log()) };
        }
        match ask(&spec.name, &own, "list", "all") {
            Ok((_, text)) => HostStatus { spec, services: Some(text), trouble: None },
            Err(error) => HostStatus { spec, services: None, trouble: Some(error.line()) },
        }
    };
    Ok(lab.hosts.into_iter().map(ask_one).collect())
}

pub(crate) fn need_root() -> Result<(), LabError> {
    if rustix::process::geteuid().is_root() { Ok(()) } else { Err(LabError::NotRoot) }
}

fn check_machine(lab: &LabSpec) -> Result<(), LabError> {
    for (program, package) in [
        ("unshare", "util-linux"),
        ("nsenter", "util-linux"),
        ("setsid", "util-linux"),
        ("sshd", "openssh-server"),
        ("ssh-keygen", "openssh-client"),
    ] {
        find(program, package)?;
    }
    if lab.hosts.iter().any(|host| host.kind == HostKind::Debian) {
        find("sudo", "sudo")?;
    }
    if lab.hosts.iter().any(|host| host.kind == HostKind::Busybox) {
        find("busybox", "busybox-static")?;
    }
    if lab.hosts.iter().any(|host| host.zookeeper) {
        zookeeper::check()?;
    }
    Ok(())
}

fn lock(folder: &Folder) -> Result<File, LabError> {
    let path = folder.root().join(".lock");
    let file = File::create(&path).map_err(LabError::file("open", &path))?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)
        .map_err(|error| LabError::file("lock", &path)(error.into()))?;
    Ok(file)
}

/// An address that somebody else uses would be the wrong host under the right name.
fn refuse_strangers(lab: &LabSpec, folder: &Folder) -> Result<(), LabError> {
    for host in &lab.hosts {
        if init_of(&folder.host(&host.name)).is_none() && accepts(host) {
            return Err(LabError::Host {
                name: host.name.clone(),
                detail: format!("something else listens on {}:{} (another rehearsal?)", host.address, host.port),
            });
        }
    }
    Ok(())
}

/// Whether its sshd, or somebody else there, accepts connections.
pub(super) fn accepts(host: &HostSpec) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from((host.address, host.port)), Duration::from_secs(1)).is_ok()
}

fn wait_for_sshd(host: &HostSpec, folder: &Folder, outer: &mut Child, deadline: Instant) -> Result<(), LabError> {
    let own = folder.host(&host.name);
    loop {
        if accepts(host) && init_of(&own).is_some() {
            return Ok(());
        }
        let trouble = if let Ok(Some(_)) = outer.try_wait() {
            Some("it did not start".to_owned())
        } else if Instant::now() > deadline {
            Some(format!("its sshd did not accept within {} s", BOOT.as_secs()))
        } else {
            None
        };
        if let Some(trouble) = trouble {
            let words = last_words(&own.log()).map(|line| format!(": {line}")).unwrap_or_default();
            return Err(LabError::Host { name: host.name.clone(), detail: format!("{trouble}{words}") });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn last_words(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    text.lines().last().map(ToOwned::to_owned)
}

fn host_names(folder: &Folder) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder.root().join("hosts")) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// What is mounted below a folder in this namespace, the deepest first.
fn mounts_below(root: &Path) -> Result<Vec<PathBuf>, LabError> {
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(table).map_err(LabError::file("read", table))?;
    let root = root.canonicalize().map_err(LabError::file("read", root))?;
    let mut found: Vec<PathBuf> = text
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|word| PathBuf::from(word.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")))
        .filter(|path| path.starts_with(&root) && *path != root)
        .collect();
    found.reverse();
    Ok(found)
}
