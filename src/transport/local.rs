//! `connection: local`: commands on this machine, by the same shells as on others.

use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, Command as Process};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::pipe::{Shared, State, forward};
use super::remote::{Place, Remote};
use super::{Connection, Options, Target, Transport, Unreachable};

/// How much is read from a local command's pipe at a time.
const PIECE: usize = 64 * 1024;

/// Runs commands here.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    options: Options,
}

impl Local {
    /// A transport with these options; those of SSH have no effect.
    pub(crate) fn new(options: Options) -> Self {
        Self { options }
    }
}

#[async_trait]
impl Transport for Local {
    async fn connect(&self, target: &Target) -> Result<Box<dyn Connection>, Unreachable> {
        Ok(Box::new(Remote::new(Place::Here, target, &self.options)))
    }
}

/// Where a command's input goes.
enum Input {
    Pipe(ChildStdin),
    /// The other end of its terminal.
    Terminal(Arc<OwnedFd>),
}

/// The side of a pipe that leads to a local process.
pub(super) struct LocalSide {
    shared: Arc<Shared>,
    copy: Mutex<Option<mpsc::Sender<Bytes>>>,
    input: AsyncMutex<Option<Input>>,
    /// The command is to get a terminal of its own.
    terminal: AtomicBool,
    /// Stops reading: what is left of the process is nobody's business any more.
    done: CancellationToken,
}

impl LocalSide {
    pub(super) fn new(shared: Arc<Shared>, copy: Option<mpsc::Sender<Bytes>>) -> Self {
        Self {
            shared,
            copy: Mutex::new(copy),
            input: AsyncMutex::new(None),
            terminal: AtomicBool::new(false),
            done: CancellationToken::new(),
        }
    }

    /// Gives the command that is started a terminal, without echo.
    pub(super) fn terminal(&self) {
        self.terminal.store(true, Ordering::Relaxed);
    }

    /// Starts the command on a terminal, in a session of its own.
    async fn exec_on_terminal(&self, line: &str) -> Result<(), String> {
        let wrong = |error: std::io::Error| format!("cannot open a terminal: {error}");
        let (ours, its) = open_terminal().map_err(|error| wrong(error.into()))?;
        let other = || its.try_clone().map(Stdio::from).map_err(wrong);
        let mut child = Process::new("setsid")
            .args(["-c", "/bin/sh", "-c", line])
            .stdin(other()?)
            .stdout(other()?)
            .stderr(other()?)
            .spawn()
            .map_err(|error| format!("cannot start setsid: {error}"))?;
        drop(its);
        let ours = Arc::new(ours);
        *self.input.lock().await = Some(Input::Terminal(ours.clone()));
        let (shared, done) = (self.shared.clone(), self.done.clone());
        tokio::spawn(async move {
            let (stop, to) = (done.clone(), shared.clone());
            let reading = tokio::task::spawn_blocking(move || read_terminal(&ours, &to, &stop));
            let work = async {
                let status = child.wait().await;
                shared.change(|state| state.exit = Some(status.map_or(255, exit_code)));
                let _ = reading.await;
            };
            tokio::select! {
                () = work => {}
                () = done.cancelled() => {}
            }
            shared.change(State::close);
        });
        Ok(())
    }

    /// Starts the command, in a process group of its own, so that Ctrl-C in our terminal does not hit it.
    pub(super) async fn exec(&self, line: &str) -> Result<(), String> {
        if self.terminal.load(Ordering::Relaxed) {
            return self.exec_on_terminal(line).await;
        }
        let mut child = Process::new("/bin/sh")
            .arg("-c")
            .arg(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start /bin/sh: {error}"))?;
        *self.input.lock().await = child.stdin.take().map(Input::Pipe);
        let copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner).take();
        let readers = [
            child.stdout.take().map(|out| tokio::spawn(read(out, true, self.shared.clone(), copy))),
            child.stderr.take().map(|err| tokio::spawn(read(err, false, self.shared.clone(), None))),
        ];
        let (shared, done) = (self.shared.clone(), self.done.clone());
        tokio::spawn(async move {
            let aborts: Vec<_> = readers.iter().flatten().map(tokio::task::JoinHandle::abort_handle).collect();
            let work = async {
                let status = child.wait().await;
                shared.change(|state| {
                    if !state.lent {
                        state.exit = Some(status.map_or(255, exit_code));
                    }
                });
                for reader in readers.into_iter().flatten() {
                    let _ = reader.await;
                }
            };
            tokio::select! {
                () = work => {}
                () = done.cancelled() => aborts.iter().for_each(tokio::task::AbortHandle::abort),
            }
            shared.change(State::close);
        });
        Ok(())
    }

    pub(super) async fn send(&self, bytes: &Bytes) -> bool {
        match self.input.lock().await.as_mut() {
            Some(Input::Pipe(input)) => input.write_all(bytes).await.is_ok() && input.flush().await.is_ok(),
            // A line with a password: it fits.
            Some(Input::Terminal(fd)) => rustix::io::write(&**fd, bytes).is_ok_and(|count| count == bytes.len()),
            None => false,
        }
    }

    pub(super) async fn end_input(&self) {
        self.input.lock().await.take();
    }

    pub(super) fn close(&self) {
        self.done.cancel();
        if let Ok(mut input) = self.input.try_lock() {
            input.take();
        }
    }
}

fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255)
}

async fn read(
    mut from: impl tokio::io::AsyncRead + Unpin,
    is_output: bool,
    shared: Arc<Shared>,
    mut copy: Option<mpsc::Sender<Bytes>>,
) {
    let mut buffer = vec![0; PIECE];
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        let piece = buffer.get(..count).unwrap_or(&[]);
        let queued = shared.change(|state| {
            state.received += 1;
            if is_output {
                state.out.push(piece);
                return state.out.take_queue();
            }
            state.err.push(piece);
            Vec::new()
        });
        forward(&mut copy, queued).await;
    }
}

/// Both ends of a new terminal, ours first: raw but for lines, and without echo.
fn open_terminal() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{InputModes, LocalModes, OptionalActions, OutputModes, tcgetattr, tcsetattr};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let its =
        rustix::fs::open(ptsname(&ours, Vec::new())?, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let mut modes = tcgetattr(&its)?;
    modes.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    modes.input_modes.remove(InputModes::ICRNL);
    modes.output_modes.remove(OutputModes::OPOST);
    tcsetattr(&its, OptionalActions::Now, &modes)?;
    Ok((ours, its))
}

/// Reads what is written to a terminal until nobody holds it open any more, or nobody is interested. Closed after that, it hangs up on
/// whoever still has it.
fn read_terminal(ours: &OwnedFd, shared: &Shared, done: &CancellationToken) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    /// How often it looks whether anybody is still interested.
    const TURN: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    let mut buffer = vec![0; 4096];
    while !done.is_cancelled() {
        if !matches!(poll(&mut [PollFd::new(ours, PollFlags::IN)], Some(&TURN)), Ok(count) if count > 0) {
            continue;
        }
        match rustix::io::read(ours, buffer.as_mut_slice()) {
            Ok(0) | Err(_) => return,
            Ok(count) => shared.change(|state| {
                state.received += 1;
                state.out.push(buffer.get(..count).unwrap_or(&[]));
            }),
        }
    }
}
