//! One session channel: a command on the host with its three streams.
//!
//! A task of its own always reads it: one unread channel would stop the whole connection.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::{Notify, mpsc};

use super::Unreachable;
use super::capture::Capture;
use super::frame::{Frame, Sink};
use super::link::Link;
use super::local::LocalSide;

/// What is known of a channel.
#[derive(Debug)]
pub(super) struct State {
    pub(super) out: Frame,
    pub(super) err: Frame,
    /// The server's answer to the request to run something.
    pub(super) accepted: Option<bool>,
    /// Exit status, 128+n for signal n.
    pub(super) exit: Option<i32>,
    pub(super) eof: bool,
    /// The channel or the connection has ended.
    pub(super) ended: bool,
    /// Counts messages with data, so that silence can be noticed.
    pub(super) received: u64,
    /// The command itself runs on another channel, which tells its exit status and its end.
    pub(super) lent: bool,
}

impl State {
    /// Nothing more comes.
    pub(super) fn close(&mut self) {
        self.eof = true;
        self.ended = !self.lent;
    }
}

/// The state, shared with the task that reads.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

impl Shared {
    fn new(out: Frame, err: Frame) -> Arc<Self> {
        let state = State { out, err, accepted: None, exit: None, eof: false, ended: false, received: 0, lent: false };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new() })
    }

    /// Changes the state and wakes whoever waits for that.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_waiters();
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the state is such that `look` gives something.
    pub(super) async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that a change in between is not missed.
            changed.as_mut().enable();
            if let Some(found) = look(&mut self.lock()) {
                return found;
            }
            changed.await;
        }
    }
}

/// Why a channel could not be opened.
#[derive(Debug)]
pub(super) enum OpenError {
    /// The server allows no more of them now (`MaxSessions`).
    TooMany,
    /// It allows none at all, and says so.
    Prohibited(String),
    /// The connection has ended.
    Gone(Unreachable),
}

/// Where a pipe leads.
enum Side {
    Channel(ChannelWriteHalf<Msg>),
    Local(LocalSide),
}

/// An open session channel, or a local process. Dropping it closes it.
pub(super) struct Pipe {
    side: Option<Side>,
    shared: Arc<Shared>,
    /// The channel with the terminal on which the command was started, where there is one.
    terminal: Option<Box<Pipe>>,
}

impl std::fmt::Debug for Pipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipe").field("state", &*self.shared.lock()).finish_non_exhaustive()
    }
}

impl Pipe {
    /// Opens a channel; `copy` gets all of the command's standard output when the frame queues it.
    pub(super) async fn open(
        link: &Link,
        out: Frame,
        err: Frame,
        copy: Option<mpsc::Sender<Bytes>>,
    ) -> Result<Self, OpenError> {
        let answer = tokio::select! {
            answer = link.handle.channel_open_session() => answer,
            () = link.gone.cancelled() => return Err(OpenError::Gone(link.closed())),
        };
        let channel = match answer {
            Ok(channel) => channel,
            Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited)) => {
                return Err(OpenError::Prohibited("administratively prohibited".to_owned()));
            }
            Err(russh::Error::ChannelOpenFailure(_)) => return Err(OpenError::TooMany),
            Err(_) => return Err(OpenError::Gone(link.closed())),
        };
        let (read, write) = channel.split();
        let shared = Shared::new(out, err);
        tokio::spawn(drain(read, shared.clone(), copy));
        Ok(Self { side: Some(Side::Channel(write)), shared, terminal: None })
    }

    /// A pipe to a process on this machine.
    pub(super) fn here(out: Frame, err: Frame, copy: Option<mpsc::Sender<Bytes>>) -> Self {
        let shared = Shared::new(out, err);
        Self { side: Some(Side::Local(LocalSide::new(shared.clone(), copy))), shared, terminal: None }
    }

    /// Keeps the channel on which the command was started for as long as this one.
    pub(super) fn hold(&mut self, terminal: Self) {
        self.terminal = Some(Box::new(terminal));
    }

    /// The terminal on which the command was started.
    pub(super) fn held(&self) -> Option<&Self> {
        self.terminal.as_deref()
    }

    /// Asks the server to run a command.
    pub(super) async fn exec(&self, command: &str) -> Result<(), String> {
        match &self.side {
            Some(Side::Channel(write)) => write.exec(true, command.as_bytes()).await.map_err(|error| error.to_string()),
            Some(Side::Local(local)) => local.exec(command).await,
            None => Err("it is closed".to_owned()),
        }
    }

    /// Asks for a terminal, raw and without echo.
    pub(super) async fn terminal(&self) {
        use russh::Pty::{ECHO, ICANON, ICRNL, ISIG, ONLCR, OPOST};
        let modes = [(ECHO, 0), (ICANON, 1), (ICRNL, 0), (ISIG, 0), (ONLCR, 0), (OPOST, 0)];
        match &self.side {
            Some(Side::Channel(write)) => drop(write.request_pty(false, "dumb", 80, 24, 0, 0, &modes).await),
            Some(Side::Local(local)) => local.terminal(),
            None => {}
        }
    }

    /// Sends bytes to the command. `false` when it has ended and takes no more.
    ///
    /// russh waits for window without noticing that the channel has ended, hence the second branch.
    pub(super) async fn send(&self, bytes: Bytes) -> bool {
        let Some(side) = &self.side else { return false };
        if self.shared.lock().ended {
            return false;
        }
        let sent = async {
            match side {
                Side::Channel(write) => write.data_bytes(bytes).await.is_ok(),
                Side::Local(local) => local.send(&bytes).await,
            }
        };
        tokio::select! {
            sent = sent => sent,
            () = self.until(|state| (state.ended || state.exit.is_some()).then_some(())) => false,
        }
    }

    /// Ends the command's standard input.
    pub(super) async fn end_input(&self) {
        match &self.side {
            Some(Side::Channel(write)) => drop(write.eof().await),
            Some(Side::Local(local)) => local.end_input().await,
            None => {}
        }
    }

    /// Looks at the state.
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.shared.lock())
    }

    /// Waits until the state is such that `look` gives something.
    pub(super) async fn until<T>(&self, look: impl FnMut(&mut State) -> Option<T>) -> T {
        self.shared.until(look).await
    }

    /// The state, for who may outlive the pipe.
    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Closes the channel and waits a moment until the server has, too: only then is its session free again.
    pub(super) async fn close(mut self) {
        match self.side.take() {
            Some(Side::Channel(write)) => {
                let _ = write.eof().await;
                let _ = write.close().await;
            }
            Some(Side::Local(local)) => local.close(),
            None => {}
        }
        let within = std::time::Duration::from_secs(1);
        let _ = tokio::time::timeout(within, self.until(|state| state.ended.then_some(()))).await;
        if let Some(terminal) = self.terminal.take() {
            Box::pin(terminal.close()).await;
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        match (self.side.take(), tokio::runtime::Handle::try_current()) {
            // russh does not close a channel whose halves are dropped.
            (Some(Side::Channel(write)), Ok(runtime)) => drop(runtime.spawn(async move {
                let _ = write.eof().await;
                let _ = write.close().await;
            })),
            (Some(Side::Local(local)), _) => local.close(),
            _ => {}
        }
    }
}

async fn drain(mut read: ChannelReadHalf, shared: Arc<Shared>, mut copy: Option<mpsc::Sender<Bytes>>) {
    loop {
        let message = read.wait().await;
        let mut queued = Vec::new();
        let closed = matches!(message, Some(ChannelMsg::Close) | None);
        shared.change(|state| match message {
            Some(ChannelMsg::Data { data }) => {
                state.received += 1;
                state.out.push(&data);
                queued = state.out.take_queue();
            }
            Some(ChannelMsg::ExtendedData { data, .. }) => {
                state.received += 1;
                state.err.push(&data);
            }
            Some(ChannelMsg::ExitStatus { .. } | ChannelMsg::ExitSignal { .. }) if state.lent => {}
            Some(ChannelMsg::ExitStatus { exit_status }) => {
                state.exit = Some(i32::try_from(exit_status).unwrap_or(255));
            }
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => state.exit = Some(128 + number(&signal_name)),
            Some(ChannelMsg::Success) => state.accepted = Some(true),
            Some(ChannelMsg::Failure) => state.accepted = Some(false),
            Some(ChannelMsg::Eof) => state.eof = true,
            Some(ChannelMsg::Close) | None => state.close(),
            Some(_) => {}
        });
        forward(&mut copy, queued).await;
        if closed {
            return;
        }
    }
}

/// Hands pieces on. When nobody takes them any more they are dropped from then on.
pub(super) async fn forward(copy: &mut Option<mpsc::Sender<Bytes>>, pieces: Vec<Bytes>) {
    for piece in pieces {
        let Some(sender) = copy.as_ref() else { return };
        if sender.send(piece).await.is_err() {
            *copy = None;
        }
    }
}

/// Linux's number of a signal that killed a command.
fn number(signal: &Sig) -> i32 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        Sig::Custom(name) => match name.as_str() {
            "BUS" => 7,
            "USR2" => 12,
            "XCPU" => 24,
            "XFSZ" => 25,
            "SYS" => 31,
            _ => 0,
        },
    }
}

/// A frame that keeps what it sees.
pub(super) fn keeping(nonce: &str, closed: bool, keep: usize) -> Frame {
    Frame::new(nonce, closed, Sink::Keep(Capture::new(keep)))
}

/// A local file that a command's output goes to, written by a thread of its own.
///
/// # Errors
/// The file can't be created.
pub(super) fn file_writer(
    to: PathBuf,
) -> Result<(mpsc::Sender<Bytes>, tokio::task::JoinHandle<std::io::Result<()>>), String> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut open = std::fs::OpenOptions::new();
    let mut file = open
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&to)
        .map_err(|error| format!("cannot write {}: {error}", to.display()))?;
    let (sender, mut receiver) = mpsc::channel::<Bytes>(64);
    let writer = tokio::task::spawn_blocking(move || {
        while let Some(chunk) = receiver.blocking_recv() {
            file.write_all(&chunk)?;
        }
        file.sync_all()
    });
    Ok((sender, writer))
}
