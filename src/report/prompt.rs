//! Asks for passwords at the terminal, without showing them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::base::Secret;

/// What Ansible asks for the SSH password (`-k`).
pub(crate) const SSH_PASSWORD: &str = "SSH password: ";
/// What Ansible asks for sudo's (`-K`).
pub(crate) const BECOME_PASSWORD: &str = "BECOME password: ";
/// What Ansible asks for sudo's when it asked for the SSH password before; an empty answer takes that one.
pub(crate) const BECOME_PASSWORD_OR_SSH: &str = "BECOME password[defaults to SSH password]: ";

/// No line is longer than a terminal hands over.
const LONGEST: usize = 4096;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PromptError {
    /// Nobody is there to ask.
    #[error("cannot ask `{}`: there is no terminal; passwords can be given in files (--connection-password-file, --become-password-file)", prompt.trim().trim_end_matches(':'))]
    NoTerminal {
        /// The question.
        prompt: String,
        /// Why the terminal can't be opened.
        #[source]
        source: io::Error,
    },
    /// The terminal was closed, or Ctrl-D was pressed.
    #[error("no answer was given to `{}`", prompt.trim().trim_end_matches(':'))]
    Ended {
        /// The question.
        prompt: String,
    },
    /// Something else.
    #[error("cannot read the answer to `{}`", prompt.trim_end_matches([':', ' ']))]
    Io {
        /// The question.
        prompt: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Asks on the controlling terminal, not on standard input: that may be a pipe. Blocks.
///
/// # Errors
/// There is no terminal, or no answer.
pub(crate) fn ask_secret(prompt: &str) -> Result<Secret, PromptError> {
    let mut terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map_err(|source| PromptError::NoTerminal { prompt: prompt.to_owned(), source })?;
    let wrong = |source| PromptError::Io { prompt: prompt.to_owned(), source };
    let quiet = Quiet::new(&terminal).map_err(|error| wrong(error.into()))?;
    terminal.write_all(prompt.as_bytes()).map_err(wrong)?;
    let answer = read_line(&mut terminal);
    drop(quiet);
    let _ = terminal.write_all(b"\n");
    match answer.map_err(wrong)? {
        Some(secret) => Ok(secret),
        None => Err(PromptError::Ended { prompt: prompt.to_owned() }),
    }
}

/// Asks a question on the controlling terminal and gives the line that is typed. `Ok(None)` when `within` is over first, or
/// when `given_up` says so: it is looked at several times a second. Blocks.
///
/// # Errors
/// There is no terminal.
pub(crate) fn ask_line(
    prompt: &str,
    echo: bool,
    within: Option<Duration>,
    given_up: &dyn Fn() -> bool,
) -> Result<Option<Secret>, PromptError> {
    let mut terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map_err(|source| PromptError::NoTerminal { prompt: prompt.to_owned(), source })?;
    let wrong = |source| PromptError::Io { prompt: prompt.to_owned(), source };
    let quiet = if echo { None } else { Some(Quiet::new(&terminal).map_err(|error| wrong(error.into()))?) };
    terminal.write_all(prompt.as_bytes()).map_err(wrong)?;
    let began = Instant::now();
    loop {
        let left = within.map(|within| within.saturating_sub(began.elapsed()));
        if given_up() || left.is_some_and(|left| left.is_zero()) {
            let _ = terminal.write_all(b"\n");
            return Ok(None);
        }
        let wait = left.unwrap_or(GLANCE).min(GLANCE);
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()).max(1_000_000) };
        let mut waiting = [PollFd::new(&terminal, PollFlags::IN)];
        match poll(&mut waiting, Some(&timeout)) {
            // The terminal hands over whole lines.
            Ok(ready) if ready > 0 => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(wrong(error.into())),
        }
    }
    let answer = read_line(&mut terminal).map_err(wrong)?;
    drop(quiet);
    if !echo {
        let _ = terminal.write_all(b"\n");
    }
    match answer {
        Some(answer) => Ok(Some(answer)),
        None => Err(PromptError::Ended { prompt: prompt.to_owned() }),
    }
}

/// How often a question is looked away from, to see whether it is still wanted.
const GLANCE: Duration = Duration::from_millis(200);

/// A line without its end; `None` when the input ended before.
fn read_line(input: &mut impl Read) -> io::Result<Option<Secret>> {
    let mut line = zeroize::Zeroizing::new(Vec::with_capacity(LONGEST));
    loop {
        let mut byte = [0];
        if input.read(&mut byte)? == 0 {
            if line.is_empty() {
                return Ok(None);
            }
            break;
        }
        match byte {
            [b'\n'] => break,
            [byte] if line.len() < LONGEST => line.push(byte),
            _ => return Err(io::Error::other("the line is too long")),
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    let text = std::str::from_utf8(&line).map_err(|_| io::Error::other("it is not UTF-8"))?;
    Ok(Some(Secret::new(text)))
}

/// Switches the echo off, and on again however the question ends.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn new(terminal: &File) -> rustix::io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        // The newline still shows: it is written after the answer.
        quiet.local_modes.remove(LocalModes::ECHONL);
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        let terminal = terminal.try_clone().map_err(|_| rustix::io::Errno::MFILE)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Option<String> {
        read_line(&mut text.as_bytes()).unwrap().map(|secret| secret.reveal().to_owned())
    }

    #[test]
    fn an_answer_is_a_line_without_its_end() {
        assert_eq!(answer("hunter2\nmore").as_deref(), Some("hunter2"));
        assert_eq!(answer(" wörd \r\n").as_deref(), Some(" wörd "));
        assert_eq!(answer("\n").as_deref(), Some(""));
        assert_eq!(answer("cut").as_deref(), Some("cut"));
        assert_eq!(answer(""), None);
        assert!(read_line(&mut &b"\xff\n"[..]).is_err());
    }

    #[test]
    fn without_a_terminal_it_says_what_to_do() {
        let error = PromptError::NoTerminal { prompt: SSH_PASSWORD.to_owned(), source: io::Error::other("x") };
        assert!(
            error.to_string().starts_with("cannot ask `SSH password`: there is no terminal; passwords can be given")
        );
    }
}
