//! The program as people start it, with nothing of this machine's user around it: a home and a folder of its own, no
//! environment, 80 columns. What it says on both streams and its exit code are looked at together.

#![allow(
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "a test reads what the program wrote, and is in no hurry"
)]

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use fancy_regex::Regex;

/// A folder to call the program in.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    /// Tests that share hosts run side by side: their runs mind no leases.
    pub(crate) leases: bool,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Self { folder, leases: true };
        for sub in ["home", "work", "bin"] {
            fs::create_dir(place.folder.path().join(sub)).expect("a folder");
        }
        for name in ["stagger", "ansible-playbook", "ansible", "ansible-inventory", "ansible-vault"] {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_stagger"), place.folder.path().join("bin").join(name))
                .expect("a link");
        }
        place
    }

    /// Where commands are called: a path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("written");
        self
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A command under one of the program's names.
    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(&self, name: &str, words: &[S]) -> Command {
        let bin = self.folder.path().join("bin");
        let mut command = Command::new(bin.join(name));
        command
            .args(words)
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", bin.display()))
            .env("COLUMNS", "80")
            .env("USER", "operator")
            .current_dir(self.path(""))
            .stdin(Stdio::null());
        if !self.leases {
            command.env("STAGGER_LEASE", "off");
        }
        command
    }

    /// Calls it and waits for its end.
    #[track_caller]
    pub(crate) fn call<S: AsRef<std::ffi::OsStr>>(&self, name: &str, words: &[S]) -> Said {
        self.said(self.command(name, words))
    }

    #[track_caller]
    pub(crate) fn said(&self, mut command: Command) -> Said {
        Said::of(&command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("the program runs"))
    }

    /// Starts it with its streams in files, so that they can be looked at while it runs.
    pub(crate) fn start(&self, name: &str, words: &[&str]) -> Started {
        self.begin(self.command(name, words))
    }

    /// Starts a command of [`Self::command`] so.
    pub(crate) fn begin(&self, mut command: Command) -> Started {
        let file = |stream: &str| fs::File::create(self.path(stream)).expect("a file");
        command.stdout(file("stdout")).stderr(file("stderr"));
        // A group of its own, as a shell gives to a job: a signal to it is not one to the test.
        command.process_group(0);
        let child = command.spawn().expect("the program starts");
        Started { child, out: self.path("stdout"), err: self.path("stderr") }
    }

    /// Calls it on a terminal of 80 columns and types answers, each after the screen shows what is before it. Gives what the
    /// terminal showed and the exit code.
    #[track_caller]
    pub(crate) fn on_terminal(&self, words: &[&str], typed: &[(&str, &str)]) -> (String, i32) {
        let quoted: Vec<_> = words.iter().map(|word| shlex::try_quote(word).expect("a word")).collect();
        let line = format!("stty cols 80 rows 24; exec stagger {}", quoted.join(" "));
        let script = self.command("stagger", &["x"; 0]);
        // `script` gives the command a terminal and keeps all that it shows.
        let mut terminal = Command::new("/usr/bin/script");
        terminal.env_clear().envs(script.get_envs().filter_map(|(name, value)| Some((name, value?))));
        terminal.args(["-qefc", &line]).arg(self.path("typescript")).env("TERM", "xterm").env("SHELL", "/bin/sh");
        terminal.current_dir(self.path("")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // What an earlier call showed must not be taken for what this one shows.
        let _ = fs::remove_file(self.path("typescript"));
        let mut child = terminal.spawn().expect("script (of util-linux) runs");
        let mut keys = child.stdin.take().expect("a pipe");
        let mut screen = child.stdout.take().expect("a pipe");
        let drain = std::thread::spawn(move || std::io::copy(&mut screen, &mut std::io::sink()));
        let mut from = 0;
        for (shown, answer) in typed {
            from = wait(&format!("the terminal shows `{shown}`"), 20, || {
                let text = self.read_lossy("typescript");
                let at = text.get(from..)?.find(shown)?;
                Some(from + at + shown.len())
            });
            keys.write_all(answer.as_bytes()).expect("typed");
        }
        let status = wait("it ends", 30, || child.try_wait().expect("a child"));
        drop(keys);
        let _ = drain.join();
        (self.read_lossy("typescript"), status.code().unwrap_or(-1))
    }

    fn read_lossy(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    /// All text that runs have left in the state folder.
    pub(crate) fn state(&self) -> String {
        let mut text = String::new();
        gather(&self.home().join(".local/state/stagger"), &mut text);
        text
    }

    /// The journal of the only run.
    pub(crate) fn journal(&self) -> String {
        fn find(folder: &Path) -> Option<PathBuf> {
            fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
                let path = entry.path();
                if path.is_dir() { find(&path) } else { path.ends_with("journal.jsonl").then_some(path) }
            })
        }
        find(&self.home()).map(|path| fs::read_to_string(path).expect("a journal")).unwrap_or_default()
    }
}

fn gather(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(&path, text);
        } else if path.is_file() {
            text.push_str(&format!("== {}\n", path.display()));
            text.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()));
        }
    }
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
}

impl Said {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { out: text(&output.stdout), err: text(&output.stderr), code: output.status.code().unwrap_or(-1) }
    }

    /// Both streams and the code as one text, without what differs from call to call.
    pub(crate) fn whole(&self, place: &Place) -> String {
        let lines = |mark: &str, text: &str| -> String {
            settle(text, place).lines().map(|line| format!("{mark}| {line}").trim_end().to_owned() + "\n").collect()
        };
        format!("{}{}exit {}\n", lines("1", &self.out), lines("2", &self.err), self.code)
    }
}

/// Text without times, run ids and temporary folders.
fn settle(text: &str, place: &Place) -> String {
    let folder = place.folder.path().display().to_string();
    let text = text.replace(&folder, "FOLDER");
    let mut text = text;
    for (pattern, with) in [
        (r"(?m)^\d\d:\d\d:\d\d ", "TIME "),
        (r"run [0-9a-z]{14}\b", "run ID"),
        (r"\b(after|run|done in) \d+(\.\d)?s\b", "$1 TIME"),
        (r"\b(operator|root)@\S+", "WHO"),
    ] {
        text = Regex::new(pattern).expect("a pattern").replace_all(&text, with).into_owned();
    }
    text
}

/// A call that is under way. Killed when it is dropped.
pub(crate) struct Started {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Started {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let done = Command::new("kill").args(["-s", name, &self.id().to_string()]).status().expect("kill runs");
        assert!(done.success(), "{name}");
    }

    pub(crate) fn out(&self) -> String {
        fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// Waits until it has said something on standard output.
    #[track_caller]
    pub(crate) fn until_said(&mut self, text: &str) {
        wait(&format!("it says `{text}`"), 90, || {
            let out = self.out();
            if out.contains(text) {
                return Some(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("it ended with {status} and did not say `{text}`:\n{out}\n{}", self.said_so_far().err);
            }
            None
        });
    }

    /// Waits until the journal of its run holds such an event.
    #[track_caller]
    pub(crate) fn until_journal(&mut self, event: &str, place: &Place) {
        wait(&format!("the journal has {event}"), 90, || {
            if place.journal().contains(event) {
                return Some(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("it ended with {status} before {event}:\n{:?}", self.said_so_far());
            }
            None
        });
    }

    pub(crate) fn is_over(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    fn said_so_far(&self) -> Said {
        Said { out: self.out(), err: fs::read_to_string(&self.err).unwrap_or_default(), code: -1 }
    }

    /// The end, within a deadline.
    #[track_caller]
    pub(crate) fn end(mut self, seconds: u64) -> Said {
        let status = wait("it ends", seconds, || self.child.try_wait().expect("a child"));
        Said { code: status.code().unwrap_or(-1), ..self.said_so_far() }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something, with a deadline.
#[track_caller]
pub(crate) fn wait<T>(what: &str, seconds: u64, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
