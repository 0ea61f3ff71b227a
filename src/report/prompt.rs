//! Asks at the terminal: for passwords, without showing them, and for what a run waits for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::base::Secret;

/// What Ansible asks for the SSH password (`-k`).
pub(crate) const SSH_PASSWORD: &str = "SSH password: ";
/// What Ansible asks for sudo's (`-K`).
pub(crate) const BECOME_PASSWORD: &str = "BECOME password: ";
/// What Ansible asks for sudo's when it asked for the SSH password before; an empty answer takes that one.
pub(crate) const BECOME_PASSWORD_OR_SSH: &str = "BECOME password[defaults to SSH password]: ";

/// No line is longer than a terminal hands over.
const LONGEST: usize = 4096;

/// How often somebody who waits for a key looks whether the question was taken back.
const LOOK: Duration = Duration::from_millis(100);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PromptError {
    /// Nobody is there to ask.
    #[error("cannot ask for `{}`: there is no terminal", prompt.trim().trim_end_matches([':', ' ']))]
    NoTerminal {
        /// The question.
        prompt: String,
        /// Why the terminal can't be opened.
        #[source]
        source: io::Error,
    },
    /// The terminal was closed, or Ctrl-D was pressed.
    #[error("no answer was given to `{}`", prompt.trim().trim_end_matches([':', ' ']))]
    Ended {
        /// The question.
        prompt: String,
    },
    /// Ctrl-C was pressed.
    #[error("interrupted")]
    Interrupted,
    /// Something else.
    #[error("cannot read the answer to `{}`", prompt.trim().trim_end_matches([':', ' ']))]
    Io {
        /// The question.
        prompt: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Who has the terminal: a screen that redraws its live part, or a question.
#[derive(Debug, Default)]
struct Turn {
    asked: bool,
    screens: usize,
    cleared: bool,
}

static TURN: Mutex<Turn> = Mutex::new(Turn { asked: false, screens: 0, cleared: false });
static CLEARED: Condvar = Condvar::new();

fn turn<T>(change: impl FnOnce(&mut Turn) -> T) -> T {
    change(&mut TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A screen that draws on the terminal, for as long as this lives.
#[derive(Debug)]
pub(super) struct Drawing(());

impl Drawing {
    pub(super) fn begin() -> Self {
        turn(|turn| turn.screens += 1);
        Self(())
    }

    /// Whether a question is open: then nothing is drawn.
    pub(super) fn must_rest(&self) -> bool {
        turn(|turn| turn.asked)
    }

    /// Says that nothing is drawn any more.
    pub(super) fn rests(&self) {
        turn(|turn| turn.cleared = true);
        CLEARED.notify_all();
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        turn(|turn| turn.screens = turn.screens.saturating_sub(1));
        CLEARED.notify_all();
    }
}

/// The terminal belongs to a question for as long as this lives.
struct Question(());

impl Question {
    fn open() -> Self {
        let mut state = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked = true;
        state.cleared = false;
        // A screen that hangs must not keep the question.
        let patience = Duration::from_millis(500);
        drop(CLEARED.wait_timeout_while(state, patience, |turn| turn.screens > 0 && !turn.cleared));
        Self(())
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        turn(|turn| turn.asked = false);
    }
}

/// Asks for a password on the controlling terminal, not on standard input: that may be a pipe. Blocks.
///
/// # Errors
/// There is no terminal, or no answer.
pub(crate) fn ask_secret(prompt: &str) -> Result<Secret, PromptError> {
    let answer = ask(prompt, false, None, &|| false)?;
    answer.ok_or_else(|| PromptError::Ended { prompt: prompt.to_owned() })
}

/// Asks for a line, which is shown while it is typed if `echo` is set. `Ok(None)` when the time is over, or when
/// `taken_back` says so. Blocks.
///
/// # Errors
/// There is no terminal, or no answer.
pub(crate) fn ask(
    prompt: &str,
    echo: bool,
    within: Option<Duration>,
    taken_back: &dyn Fn() -> bool,
) -> Result<Option<Secret>, PromptError> {
    let mut terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .map_err(|source| PromptError::NoTerminal { prompt: prompt.to_owned(), source })?;
    let wrong = |source: io::Error| PromptError::Io { prompt: prompt.to_owned(), source };
    let _question = Question::open();
    let raw = Raw::new(&terminal).map_err(|error| wrong(error.into()))?;
    terminal.write_all(prompt.as_bytes()).map_err(wrong)?;
    let deadline = within.and_then(|within| Instant::now().checked_add(within));
    let mut line = Line::default();
    let answer = loop {
        if taken_back() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            break Ok(None);
        }
        if !readable(&terminal).map_err(wrong)? {
            continue;
        }
        let mut byte = [0];
        if terminal.read(&mut byte).map_err(wrong)? == 0 {
            break Err(PromptError::Ended { prompt: prompt.to_owned() });
        }
        match line.key(byte[0]) {
            Key::More => {}
            Key::Show if echo => terminal.write_all(&byte).map_err(wrong)?,
            Key::Erase(count) if echo => {
                terminal.write_all("\u{8} \u{8}".repeat(count).as_bytes()).map_err(wrong)?;
            }
            Key::Show | Key::Erase(_) => {}
            Key::Done => break line.take().map(Some).map_err(wrong),
            Key::Ended => break Err(PromptError::Ended { prompt: prompt.to_owned() }),
            Key::Interrupted => break Err(PromptError::Interrupted),
        }
    };
    drop(raw);
    let _ = terminal.write_all(b"\n");
    answer
}

fn readable(terminal: &File) -> io::Result<bool> {
    let mut ready = [PollFd::new(terminal, PollFlags::IN)];
    let patience = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK.subsec_nanos()) };
    match poll(&mut ready, Some(&patience)) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What a key did to the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    More,
    Show,
    Erase(usize),
    Done,
    Ended,
    Interrupted,
}

/// A line that is being typed. It is edited here and not by the terminal, for with Ctrl-C as a signal the program
/// would end with the echo switched off.
#[derive(Default)]
struct Line(Zeroizing<Vec<u8>>);

impl Line {
    fn key(&mut self, byte: u8) -> Key {
        match byte {
            b'\r' | b'\n' => Key::Done,
            3 | 28 => Key::Interrupted,
            4 if self.0.is_empty() => Key::Ended,
            4 => Key::Done,
            8 | 127 => Key::Erase(usize::from(self.erase())),
            21 => {
                let mut count = 0;
                while self.erase() {
                    count += 1;
                }
                Key::Erase(count)
            }
            _ if self.0.len() >= LONGEST => Key::More,
            byte => {
                self.0.push(byte);
                if byte < 32 { Key::More } else { Key::Show }
            }
        }
    }

    /// Takes the last character away, if there is one.
    fn erase(&mut self) -> bool {
        while let Some(byte) = self.0.pop() {
            // The bytes of a character after its first begin with the bits 10.
            if byte & 0xc0 != 0x80 {
                return true;
            }
        }
        false
    }

    fn take(&mut self) -> io::Result<Secret> {
        let text = std::str::from_utf8(&self.0).map_err(|_| io::Error::other("it is not UTF-8"))?;
        Ok(Secret::new(text))
    }
}

/// Switches off the echo, the terminal's own line editing and its signals, and all on again however the question ends.
struct Raw {
    terminal: File,
    before: Termios,
}

impl Raw {
    fn new(terminal: &File) -> rustix::io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut raw = before.clone();
        raw.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        let terminal = terminal.try_clone().map_err(|_| rustix::io::Errno::MFILE)?;
        // Nobody's keys of before the question are its answer.
        tcsetattr(&terminal, OptionalActions::Flush, &raw)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(keys: &[u8]) -> Result<String, Key> {
        let mut line = Line::default();
        for key in keys {
            match line.key(*key) {
                Key::Done => return Ok(line.take().unwrap().reveal().to_owned()),
                end @ (Key::Ended | Key::Interrupted) => return Err(end),
                _ => {}
            }
        }
        Err(Key::More)
    }

    #[test]
    fn an_answer_is_a_line_as_it_was_corrected() {
        assert_eq!(answer(b"hunter2\nmore").as_deref(), Ok("hunter2"));
        assert_eq!(answer(" wö\u{7f}örd \r".as_bytes()).as_deref(), Ok(" wörd "));
        assert_eq!(answer(b"wrong\x15right\n").as_deref(), Ok("right"));
        assert_eq!(answer(b"\x7f\n").as_deref(), Ok(""));
        assert_eq!(answer(b"cut\x04").as_deref(), Ok("cut"));
        assert_eq!(answer(b"\x04"), Err(Key::Ended));
        assert_eq!(answer(b"half\x03"), Err(Key::Interrupted));
    }

    #[test]
    fn what_is_no_text_is_no_answer() {
        let mut line = Line::default();
        line.key(0xff);
        assert!(line.take().is_err());
    }
}
