//! Faults on purpose.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::control::{ask, init_of};
use super::error::LabError;
use super::folder::Folder;
use super::processes;
use super::up::{accepts, load, need_root, up};

/// What is done to a host, or to one of its daemons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL: a daemon (its supervisor starts it again), or the whole host as when its power fails.
    Kill,
    /// SIGSTOP: it holds its connections and says nothing.
    Freeze,
    /// The end of a freeze.
    Thaw,
    /// The disk is full, to the last byte.
    Fill,
    /// Nobody can log in, and who was logged in is thrown out.
    Cut,
    /// The end of a cut, a full disk, a freeze and a power failure.
    Mend,
}

/// Does it, and says what was done.
///
/// # Errors
/// The host or daemon is not there.
pub(crate) fn fault(root: &Path, name: &str, fault: Fault, daemon: Option<&str>) -> Result<String, LabError> {
    need_root()?;
    let lab = load(root)?;
    let Some(spec) = lab.hosts.iter().find(|host| host.name == name) else {
        let names: Vec<&str> = lab.hosts.iter().map(|host| host.name.as_str()).collect();
        return Err(LabError::Spec(format!("no host `{name}` in this rehearsal: there are {}", names.join(", "))));
    };
    let folder = Folder::new(root);
    let own = folder.host(name);
    let host_init =
        || init_of(&own).ok_or_else(|| LabError::Host { name: name.to_owned(), detail: "it is down".to_owned() });
    let order = |verb: &str, service: &str| {
        let (code, text) = ask(name, &own, verb, service)?;
        if code == 0 { Ok(text) } else { Err(LabError::Host { name: name.to_owned(), detail: text }) }
    };
    match (fault, daemon) {
        (Fault::Kill, Some(daemon)) => order("kill", daemon),
        (Fault::Freeze, Some(daemon)) => order("freeze", daemon),
        (Fault::Thaw | Fault::Mend, Some(daemon)) => order("thaw", daemon),
        (Fault::Kill, None) => {
            let init = host_init()?;
            let started = processes::start_time(init).unwrap_or_default();
            processes::signal(init, Signal::KILL);
            while processes::is_alive(init, started) {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(format!("{name} is down, as after a power failure: `mend` starts it again"))
        }
        (Fault::Freeze, None) => {
            let all = processes::of_same_host(host_init()?);
            all.iter().for_each(|pid| processes::signal(*pid, Signal::STOP));
            Ok(format!("{} processes of {name} frozen", all.len()))
        }
        (Fault::Thaw, None) => {
            let all = processes::of_same_host(host_init()?);
            all.iter().for_each(|pid| processes::signal(*pid, Signal::CONT));
            Ok(format!("{} processes of {name} thawed", all.len()))
        }
        (Fault::Fill, _) => {
            fill(&own.ballast()).map(|bytes| format!("the disk of {name} is full ({bytes} bytes of ballast)"))
        }
        (Fault::Cut, _) => order("cut", "ssh"),
        (Fault::Mend, None) => {
            let _ = std::fs::remove_file(own.ballast());
            match init_of(&own) {
                None => up(&lab).map(|_| format!("{name} is up again")),
                Some(init) => {
                    processes::of_same_host(init).into_iter().for_each(|pid| processes::signal(pid, Signal::CONT));
                    order("start", "ssh")?;
                    let deadline = Instant::now() + Duration::from_secs(10);
                    while !accepts(spec) {
                        if Instant::now() > deadline {
                            return Err(LabError::Host {
                                name: name.to_owned(),
                                detail: "its sshd does not accept within 10 s".to_owned(),
                            });
                        }
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    Ok(format!("{name} is whole again"))
                }
            }
        }
    }
}

fn fill(ballast: &Path) -> Result<u64, LabError> {
    let mut file =
        OpenOptions::new().create(true).append(true).open(ballast).map_err(LabError::file("open", ballast))?;
    let block = vec![0_u8; 1 << 20];
    let mut size = block.len();
    let mut total = 0;
    loop {
        match file.write(&block[..size]) {
            Ok(written) => total += written as u64,
            Err(error) if error.kind() == ErrorKind::StorageFull => {
                if size == 1 {
                    return Ok(total);
                }
                size = if size > 4096 { 4096 } else { 1 };
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(LabError::file("fill", ballast)(error)),
        }
    }
}
