//! Looking at processes through /proc, and sending them signals. No process is ever found by its name alone.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal};

/// Fields of /proc/PID/stat after the command's name, which may hold anything: state, parent, …
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(ToOwned::to_owned).collect())
}

/// When a process started, in clock ticks since boot: with its id, it names a process for good.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    stat(pid)?.get(19)?.parse().ok()
}

/// Its state letter: `R`, `S`, `T`, `Z` …
pub(crate) fn state(pid: u32) -> Option<char> {
    stat(pid)?.first()?.chars().next()
}

/// All process ids that this process can see.
pub(crate) fn all() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The children of a process.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    if let Ok(text) = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")) {
        return text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    }
    let is_child = |pid: &u32| stat(*pid).and_then(|fields| fields.get(1)?.parse::<u32>().ok()) == Some(parent);
    all().into_iter().filter(is_child).collect()
}

/// All processes in the same process namespace as `pid`.
pub(crate) fn of_same_host(pid: u32) -> Vec<u32> {
    let space = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(wanted) = space(pid) else { return Vec::new() };
    all().into_iter().filter(|other| space(*other).as_ref() == Some(&wanted)).collect()
}

/// Whether the process that was `pid` at `started` still is.
pub(crate) fn is_alive(pid: u32, started: u64) -> bool {
    start_time(pid) == Some(started) && state(pid) != Some('Z')
}

/// The program's name as the kernel has it.
pub(crate) fn name(pid: u32) -> String {
    fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("comm")).unwrap_or_default().trim().to_owned()
}

/// Sends a signal; a process that is gone is no error.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}
