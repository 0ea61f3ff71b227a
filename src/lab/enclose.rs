//! Namespaces of a host: made by three processes, since each may do what the next may not.
//!
//! 1. *outer* (root of this machine, a mount namespace of its own): mounts the overlay;
//! 2. *holder* (`unshare`, new user, mount, uts and ipc namespaces): stands still while outer writes its maps, which are the
//!    identity, so that file owners mean what they say, while no privilege reaches out of the namespace;
//! 3. *inner* (`nsenter` into the holder's, `unshare --pid`): pivots into the overlay and becomes the host's init.
//!
//! The detour by `nsenter` gives inner its capabilities: a process that execs before its maps are written loses them.
//! All mounts live in namespaces of these processes: when the init dies, they are gone.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use serde::{Deserialize, Serialize};

use super::error::LabError;
use super::processes;
use super::spec::HostKind;

/// What a host needs to know to boot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Boot {
    pub(crate) name: String,
    pub(crate) kind: HostKind,
    pub(crate) lower: PathBuf,
    pub(crate) upper: PathBuf,
    pub(crate) work: PathBuf,
    pub(crate) root: PathBuf,
    pub(crate) pid_file: PathBuf,
    pub(crate) time: f64,
}

impl Boot {
    pub(crate) fn load(path: &Path) -> Result<Boot, LabError> {
        let bytes = fs::read(path).map_err(LabError::file("read", path))?;
        serde_json::from_slice(&bytes).map_err(|error| LabError::Spec(format!("{}: {error}", path.display())))
    }
}

/// Starts outer for a host, detached from this process and its terminal.
pub(crate) fn start(boot: &Path, log: &Path) -> Result<Child, LabError> {
    let own = own_program()?;
    let output = fs::OpenOptions::new().create(true).append(true).open(log).map_err(LabError::file("open", log))?;
    let errors = output.try_clone().map_err(LabError::file("open", log))?;
    Command::new("setsid")
        .args(["unshare", "--mount", "--propagation", "private", "--"])
        .arg(own)
        .args(["lab", "outer"])
        .arg(boot)
        // Nothing of the caller's environment shows on a host, in its init's /proc/1/environ.
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(|error| LabError::Program { program: "setsid".to_owned(), detail: error.to_string() })
}

fn own_program() -> Result<PathBuf, LabError> {
    std::env::current_exe().map_err(LabError::file("find", Path::new("/proc/self/exe")))
}

/// Outer: runs until the host is gone.
pub(crate) fn outer(path: &Path) -> Result<(), LabError> {
    let boot = Boot::load(path)?;
    mount_overlay(&boot)?;
    let mut holder = Command::new("unshare")
        .args(["--user", "--mount", "--uts", "--ipc", "--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(LabError::refused("unshare"))?;
    write_maps(&mut holder)?;
    let target = holder.id().to_string();
    let mut inner = Command::new("nsenter")
        .args(["--user", "--mount", "--uts", "--ipc", "--target", &target, "--"])
        .args(["unshare", "--pid", "--fork", "--kill-child", "--"])
        .arg(own_program()?)
        .args(["lab", "init"])
        .arg(path)
        .stdin(Stdio::null())
        .spawn()
        .map_err(LabError::refused("nsenter"))?;
    if let Err(error) = record(&boot, &mut inner) {
        // Nobody could stop a host that is not written down.
        let _ = inner.kill();
        let _ = inner.wait();
        return Err(error);
    }
    // The holder's namespaces live on in inner.
    drop(holder.stdin.take());
    let _ = holder.wait();
    let ended = inner.wait();
    let _ = fs::remove_file(&boot.pid_file);
    match ended {
        Ok(status) => Err(LabError::Host { name: boot.name, detail: format!("its init ended: {status}") }),
        Err(error) => Err(LabError::Host { name: boot.name, detail: error.to_string() }),
    }
}

fn record(boot: &Boot, inner: &mut Child) -> Result<(), LabError> {
    let init = first_child(inner.id(), inner, &boot.name)?;
    let started = processes::start_time(init).unwrap_or_default();
    let temporary = boot.pid_file.with_extension("new");
    fs::write(&temporary, format!("{init} {started}\n")).map_err(LabError::file("write", &temporary))?;
    fs::rename(&temporary, &boot.pid_file).map_err(LabError::file("write", &boot.pid_file))
}

fn mount_overlay(boot: &Boot) -> Result<(), LabError> {
    let lower = match boot.kind {
        HostKind::Debian => format!("{}:/", boot.lower.display()),
        HostKind::Busybox => boot.lower.display().to_string(),
    };
    let options = format!("lowerdir={lower},upperdir={},workdir={}", boot.upper.display(), boot.work.display());
    let data = std::ffi::CString::new(options).map_err(|_| LabError::Spec("a path with a null byte".to_owned()))?;
    rustix::mount::mount("overlay", &boot.root, "overlay", MountFlags::empty(), data.as_c_str()).map_err(|error| {
        LabError::Refused {
            what: "an overlay mount (is the kernel's overlay module there?)".to_owned(),
            source: error.into(),
        }
    })
}

/// The identity, as far as this process's own maps reach.
fn write_maps(holder: &mut Child) -> Result<(), LabError> {
    let id = holder.id();
    let own = fs::read_link("/proc/self/ns/user").map_err(LabError::refused("looking at user namespaces"))?;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Ok(Some(status)) = holder.try_wait() {
            return Err(LabError::Refused {
                what: format!("a user namespace (unshare: {status})"),
                source: io::Error::other("see sysctl user.max_user_namespaces"),
            });
        }
        if fs::read_link(format!("/proc/{id}/ns/user")).is_ok_and(|theirs| theirs != own) {
            break;
        }
        if Instant::now() > deadline {
            return Err(LabError::Refused {
                what: "a user namespace".to_owned(),
                source: io::ErrorKind::TimedOut.into(),
            });
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    for map in ["uid_map", "gid_map"] {
        let text =
            fs::read_to_string(Path::new("/proc/self").join(map)).map_err(LabError::refused("reading id maps"))?;
        let lines: String = text
            .lines()
            .filter_map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let (first, count) = (words.first()?, words.get(2)?);
                Some(format!("{first} {first} {count}\n"))
            })
            .collect();
        fs::write(format!("/proc/{id}/{map}"), lines).map_err(LabError::refused("the id maps of a user namespace"))?;
    }
    Ok(())
}

fn first_child(parent: u32, process: &mut Child, name: &str) -> Result<u32, LabError> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(child) = processes::children(parent).first() {
            return Ok(*child);
        }
        if let Ok(Some(status)) = process.try_wait() {
            return Err(LabError::Host {
                name: name.to_owned(),
                detail: format!("its namespaces could not be made: {status}"),
            });
        }
        if Instant::now() > deadline {
            return Err(LabError::Host {
                name: name.to_owned(),
                detail: "its init did not start within 10 s".to_owned(),
            });
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Inner, before it is init: from this machine's tree into the host's.
pub(crate) fn enter(boot: &Boot) -> Result<(), LabError> {
    let root = boot.root.as_path();
    let refused = |what: &str| {
        let what = format!("{what} in a user namespace");
        move |error: rustix::io::Errno| LabError::Refused { what, source: error.into() }
    };
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(refused("private mounts"))?;
    // The overlay came from another user namespace and is locked; its image here is ours to pivot into.
    rustix::mount::mount_bind(root, root).map_err(refused("a bind mount"))?;
    let at = |relative: &str| root.join(relative);
    let tmpfs = |path: &str, options: &str| -> Result<(), LabError> {
        let data = std::ffi::CString::new(options).unwrap_or_default();
        let _ = fs::create_dir_all(at(path));
        rustix::mount::mount("tmpfs", at(path), "tmpfs", MountFlags::NOSUID, data.as_c_str())
            .map_err(refused("a tmpfs"))
    };
    rustix::mount::mount("proc", at("proc"), "proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)
        .map_err(refused("mounting proc"))?;
    // Root of the host is root in the eyes of /proc/sys, which asks for the user id and not for a capability.
    for path in ["proc/sys", "proc/sysrq-trigger"] {
        if at(path).exists() {
            rustix::mount::mount_bind(at(path), at(path)).map_err(refused("a bind mount of /proc"))?;
            let flags =
                MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            rustix::mount::mount_remount(at(path), flags, c"").map_err(refused("a read-only /proc/sys"))?;
        }
    }
    tmpfs("run", "mode=755,size=64m")?;
    tmpfs("dev", "mode=755,size=1m")?;
    for device in ["null", "zero", "full", "random", "urandom", "tty"] {
        let target = at("dev").join(device);
        fs::write(&target, "").map_err(LabError::file("create", &target))?;
        rustix::mount::mount_bind(Path::new("/dev").join(device), &target)
            .map_err(refused("a bind mount of a device"))?;
    }
    for folder in ["pts", "shm"] {
        let target = at("dev").join(folder);
        fs::create_dir(&target).map_err(LabError::file("create", &target))?;
    }
    rustix::mount::mount(
        "devpts",
        at("dev/pts"),
        "devpts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        c"newinstance,ptmxmode=0666,mode=0620,gid=5",
    )
    .map_err(refused("mounting devpts"))?;
    tmpfs("dev/shm", "mode=1777,size=64m")?;
    for (name, target) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        let link = at("dev").join(name);
        symlink(target, &link).map_err(LabError::file("link", &link))?;
    }
    std::env::set_current_dir(root).map_err(LabError::file("enter", root))?;
    rustix::process::pivot_root(".", ".").map_err(refused("pivot_root"))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(refused("leaving the old root"))?;
    std::env::set_current_dir("/").map_err(LabError::file("enter", Path::new("/")))?;
    rustix::system::sethostname(boot.name.as_bytes()).map_err(refused("a host name"))
}
