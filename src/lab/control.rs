//! Speaking with a host from outside: which process is its init, and orders through its pipe.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::error::LabError;
use super::folder::HostFolder;
use super::init::CONTROL;
use super::processes;

/// The init of a host that is up, as this machine counts.
pub(crate) fn init_of(host: &HostFolder) -> Option<u32> {
    recorded(&host.pid_file())
}

/// The process that a file names by id and start time, if it still is that process.
pub(crate) fn recorded(file: &Path) -> Option<u32> {
    let text = fs::read_to_string(file).ok()?;
    let mut words = text.split_whitespace();
    let (pid, started) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    processes::is_alive(pid, started).then_some(pid)
}

/// A path inside the host, as it is reached from outside.
pub(crate) fn inside(init: u32, path: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{init}/root{path}"))
}

/// Gives an order to a host's init, and waits for the answer: its code and text.
pub(crate) fn ask(name: &str, host: &HostFolder, verb: &str, service: &str) -> Result<(u8, String), LabError> {
    let gone = |detail: String| LabError::Host { name: name.to_owned(), detail };
    let init = init_of(host).ok_or_else(|| gone("it is not up".to_owned()))?;
    let reply = format!("/run/lab/reply.outside.{}.{verb}", std::process::id());
    let outside = inside(init, &reply);
    let _ = fs::remove_file(&outside);
    rustix::fs::mknodat(CWD, &outside, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
        .map_err(|error| LabError::file("create", &outside)(error.into()))?;
    let answer = exchange(&inside(init, CONTROL), &outside, &format!("{verb} {service} {reply}\n"));
    let _ = fs::remove_file(&outside);
    let line = answer.map_err(gone)?;
    let (code, text) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    Ok((code.parse().unwrap_or(1), text.to_owned()))
}

fn exchange(control: &Path, reply: &Path, order: &str) -> Result<String, String> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let mut pipe = OpenOptions::new()
        .write(true)
        .custom_flags(nonblocking)
        .open(control)
        .map_err(|error| format!("its init does not listen: {error}"))?;
    // Opened for both, so that a frozen host can't keep this thread in open.
    let answers = OpenOptions::new()
        .read(true)
        .write(true)
        .open(reply)
        .map_err(|error| format!("no pipe for its answer: {error}"))?;
    pipe.write_all(order.as_bytes()).map_err(|error| format!("its init does not listen: {error}"))?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(answers).read_line(&mut line);
        let _ = sender.send(line);
    });
    // Longer than init's patience with a service that does not end.
    match receiver.recv_timeout(Duration::from_secs(40)) {
        Ok(line) if !line.is_empty() => Ok(line),
        Ok(_) | Err(RecvTimeoutError::Disconnected) => Err("its init gave no answer".to_owned()),
        Err(RecvTimeoutError::Timeout) => Err("its init did not answer within 40 s (is the host frozen?)".to_owned()),
    }
}
