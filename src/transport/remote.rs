//! An SSH connection to one host as the rest of the program sees it.
//!
//! Commands go to persistent shells, one at a time each, several shells where several commands run at once; what a
//! shell can't take (large or binary content, fetches) and what a host doesn't allow goes over a channel per command.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::base::{Output, Script};

use super::dial::{Refusal, forward};
use super::elevate::{self, Elevation};
use super::frame::{Frame, Sink};
use super::left::STILL_THERE;
use super::link::Link;
use super::pipe::{OpenError, Pipe, file_writer, keeping};
use super::running::{self, Registry};
use super::sessions::{Sessions, Slot, Taken};
use super::{
    Become, Command, Connection, Lost, Options, Stream, Target, Trace, Unreachable, bridge, once, shells, wrapping,
};

/// A connection to one host by SSH.
pub(super) struct Remote {
    inner: Arc<Inner>,
}

/// Where commands run.
#[derive(Debug)]
pub(super) enum Place {
    /// On a host.
    Host(Arc<Link>),
    /// On this machine.
    Here,
}

impl Place {
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Host(link) if link.is_gone())
    }

    /// Why it is gone.
    pub(super) fn closed(&self) -> Unreachable {
        match self {
            Self::Host(link) => link.closed(),
            Self::Here => {
                Unreachable::Closed { address: self.address().to_owned(), reason: "it was closed".to_owned() }
            }
        }
    }

    pub(super) fn address(&self) -> &str {
        match self {
            Self::Host(link) => &link.address,
            Self::Here => "this machine",
        }
    }

    pub(super) async fn open(
        &self,
        frames: (Frame, Frame),
        copy: Option<mpsc::Sender<Bytes>>,
    ) -> Result<Pipe, OpenError> {
        match self {
            Self::Host(link) => Pipe::open(link, frames.0, frames.1, copy).await,
            Self::Here => Ok(Pipe::here(frames.0, frames.1, copy)),
        }
    }
}

/// What commands in flight share.
pub(super) struct Inner {
    pub(super) place: Place,
    pub(super) shell: String,
    /// For starting a shell and for becoming somebody.
    pub(super) patience: Duration,
    pub(super) sessions: Arc<Sessions>,
    /// One channel a command: chosen, or found to be necessary.
    pub(super) plain: AtomicBool,
    pub(super) closing: CancellationToken,
    pub(super) running: Registry,
    /// The program that becomes somebody was found to insist on a terminal.
    terminal: AtomicBool,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("place", &self.inner.place).finish_non_exhaustive()
    }
}

/// Why a shell did not begin.
pub(super) enum NotBegun {
    /// The server allows fewer channels.
    TooMany,
    /// It ran something else, or nothing.
    Refused(String),
    /// An error for whoever asked.
    Lost(Lost),
}

/// A shell that did not say that it runs.
struct NotGreeted {
    why: NotBegun,
    /// The program that was to become somebody insists on a terminal.
    wants_terminal: bool,
}

impl From<NotBegun> for NotGreeted {
    fn from(why: NotBegun) -> Self {
        Self { why, wants_terminal: false }
    }
}

impl Remote {
    pub(super) fn new(place: Place, target: &Target, options: &Options) -> Self {
        let inner = Inner {
            place,
            shell: target.shell.clone(),
            patience: target.timeout.max(Duration::from_secs(2)),
            sessions: Sessions::new(),
            plain: AtomicBool::new(options.one_channel_a_command),
            closing: CancellationToken::new(),
            running: Registry::default(),
            terminal: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    async fn attempt(&self, command: &Command) -> Result<Output, Lost> {
        let script = wrapping::full_script(command).map_err(Lost::Local)?;
        if self.inner.place.is_gone() {
            return Err(Lost::NotStarted(self.inner.place.closed()));
        }
        let input = match &command.stdin {
            None => Some(None),
            Some(content) => wrapping::small_text(content).map(Some),
        };
        if let Some(input) = input
            && !self.inner.plain.load(Ordering::Relaxed)
            && let Some(result) = shells::run(&self.inner, command, &script, input).await
        {
            return result;
        }
        let out = Sink::Keep(super::capture::Capture::new(command.keep));
        once::run(&self.inner, command, &script, out, None).await
    }
}

impl Inner {
    /// Waits for the right to open a channel, closing idle shells of others for it.
    pub(super) async fn slot(&self) -> Slot {
        match self.sessions.take(None).await {
            Taken::Slot(slot) => slot,
            Taken::Evict(shell) | Taken::Shell(shell) => {
                let super::sessions::Shell { pipe, slot, .. } = *shell;
                pipe.close().await;
                slot
            }
        }
    }

    /// Starts a command line, as another user when asked, and waits until the shell says that it runs.
    pub(super) async fn begin(
        &self,
        r#become: Option<&Become>,
        line: &str,
        nonce: &str,
        frames: (Frame, Frame),
        copy: Option<mpsc::Sender<Bytes>>,
    ) -> Result<Pipe, NotBegun> {
        let Some(r#become) = r#become else {
            return self.begin_as(None, &Elevation::none(line), frames, copy).await.map_err(|failed| failed.why);
        };
        let elevation = |terminal| {
            elevate::elevate(r#become, line, nonce, terminal).map_err(|why| NotBegun::Lost(Lost::Become(why)))
        };
        let first = elevation(self.terminal.load(Ordering::Relaxed))?;
        let again = (!first.terminal).then(|| (frames.clone(), copy.clone()));
        match (self.begin_as(Some(r#become), &first, frames, copy).await, again) {
            (Err(NotGreeted { wants_terminal: true, .. }), Some((frames, copy))) => {
                self.terminal.store(true, Ordering::Relaxed);
                self.begin_as(Some(r#become), &elevation(true)?, frames, copy).await.map_err(|failed| failed.why)
            }
            (done, _) => done.map_err(|failed| failed.why),
        }
    }

    async fn begin_as(
        &self,
        r#become: Option<&Become>,
        elevation: &Elevation,
        frames: (Frame, Frame),
        copy: Option<mpsc::Sender<Bytes>>,
    ) -> Result<Pipe, NotGreeted> {
        let opening = async {
            if elevation.terminal {
                return bridge::open(&self.place, elevation, frames, copy, self.patience).await;
            }
            let pipe = self.place.open(frames, copy).await.map_err(bridge::Failed::Open)?;
            pipe.exec(&elevation.line).await.map_err(|_| bridge::Failed::Ended)?;
            Ok(pipe)
        };
        // Each of a bridge's waits is bounded by itself.
        let patience = if elevation.terminal { self.patience * 4 } else { self.patience };
        let pipe = match timeout(patience, opening).await {
            Err(_) => return Err(NotBegun::Lost(self.late("opening a channel")).into()),
            Ok(Ok(pipe)) => pipe,
            Ok(Err(bridge::Failed::Open(OpenError::TooMany))) => return Err(NotBegun::TooMany.into()),
            Ok(Err(bridge::Failed::Open(OpenError::Prohibited(why)))) => return Err(NotBegun::Refused(why).into()),
            Ok(Err(bridge::Failed::Open(OpenError::Gone(why)))) => {
                return Err(NotBegun::Lost(Lost::NotStarted(why)).into());
            }
            Ok(Err(bridge::Failed::Said(said))) if !self.place.is_gone() => {
                let why = elevate::no_bridge(r#become, &said);
                return Err(NotBegun::Lost(Lost::Become(why)).into());
            }
            Ok(Err(bridge::Failed::Ended | bridge::Failed::Said(_))) => {
                return Err(NotBegun::Lost(Lost::NotStarted(self.place.closed())).into());
            }
        };
        match timeout(self.patience, self.greet(&pipe, r#become, elevation)).await {
            Err(_) => {
                let phase = r#become.map_or("starting a shell", |b| b.method.as_str());
                Err(NotBegun::Lost(self.late(phase)).into())
            }
            Ok(Err(why)) => Err(why),
            Ok(Ok(())) => Ok(pipe),
        }
    }

    /// Answers a prompt, and waits for the greeting or the end.
    async fn greet(&self, pipe: &Pipe, r#become: Option<&Become>, elevation: &Elevation) -> Result<(), NotGreeted> {
        enum Seen {
            Hello,
            Asked,
            Ended,
        }
        let count = |text: &str| elevation.prompt.as_ref().map_or(0, |prompt| prompt.count(text));
        let on_terminal = || match pipe.held() {
            Some(terminal) => terminal.look(|state| state.out.noise()),
            None => String::new(),
        };
        let mut answered = 0;
        loop {
            let look = pipe.until(|state| {
                let ended = state.ended || state.accepted == Some(false) || state.exit.is_some() && state.eof;
                if state.out.hello {
                    Some(Seen::Hello)
                } else if count(&format!("{}{}", state.out.noise(), state.err.noise())) > answered {
                    Some(Seen::Asked)
                } else {
                    ended.then_some(Seen::Ended)
                }
            });
            let asked = async {
                match pipe.held() {
                    Some(terminal) => {
                        terminal.until(|state| (count(&state.out.noise()) > answered).then_some(Seen::Asked)).await
                    }
                    None => std::future::pending().await,
                }
            };
            let seen = tokio::select! {
                biased;
                seen = look => seen,
                seen = asked => seen,
            };
            match (seen, r#become) {
                (Seen::Hello, _) => return Ok(()),
                (Seen::Asked, Some(r#become)) if answered == 0 => {
                    answered = 1;
                    if let Some(password) = &r#become.password {
                        let answer = Bytes::from(format!("{}\n", password.reveal()));
                        let to = pipe.held().filter(|_| elevation.answers_on_terminal);
                        to.unwrap_or(pipe).send(answer).await;
                    }
                }
                (_, r#become) => {
                    let terminal = on_terminal();
                    let (noise, status) =
                        pipe.look(|state| (format!("{}\n{}", state.out.noise(), state.err.noise()), state.exit));
                    if self.place.is_gone() {
                        return Err(NotBegun::Lost(Lost::NotStarted(self.place.closed())).into());
                    }
                    // A second question means that the first answer was wrong; a third would only count towards a lock-out.
                    let asked = count(&noise).max(count(&terminal));
                    let noise = format!("{noise}\n{terminal}");
                    return Err(match r#become {
                        Some(r#become) => NotGreeted {
                            why: NotBegun::Lost(Lost::Become(elevate::explain(r#become, &noise, asked, status))),
                            wants_terminal: elevate::wants_terminal(&noise),
                        },
                        None => NotBegun::Refused(noise).into(),
                    });
                }
            }
        }
    }

    pub(super) fn late(&self, phase: &str) -> Lost {
        Lost::NotStarted(Unreachable::TimedOut {
            address: self.place.address().to_owned(),
            seconds: self.patience.as_secs(),
            phase: phase.to_owned(),
        })
    }

    /// A command was sent, and did not even say that it begins: it may still do so.
    pub(super) fn never_began(&self) -> Lost {
        match self.late("starting a shell") {
            Lost::NotStarted(why) => Lost::InFlight(why),
            other => other,
        }
    }

    /// What a connection that ended under a command means.
    pub(super) fn in_flight(&self) -> Lost {
        if self.closing.is_cancelled() {
            let address = self.place.address().to_owned();
            return Lost::InFlight(Unreachable::Closed { address, reason: "it was closed from here".to_owned() });
        }
        if self.place.is_gone() {
            return Lost::InFlight(self.place.closed());
        }
        let reason = "it ended the command's channel without an exit status".to_owned();
        Lost::InFlight(Unreachable::Closed { address: self.place.address().to_owned(), reason })
    }

    /// Ends a process group, over a channel of its own.
    pub(super) async fn kill(&self, r#become: Option<&Become>, group: u32) {
        let script = Script::new().user_text(&wrapping::kill_group(group));
        let mut command = Command::new(script);
        command.r#become = r#become.cloned();
        let text = command.script.as_str().to_owned();
        for _ in 0..2 {
            let attempt = once::attempt(self, &command, &text, keeping_sink(), None);
            match timeout(self.patience, attempt).await {
                // No channel is free: an idle shell gives way.
                Ok(Err(NotBegun::TooMany)) => {
                    for shell in self.sessions.empty() {
                        shell.pipe.close().await;
                    }
                }
                _ => return,
            }
        }
    }
}

fn keeping_sink() -> Sink {
    Sink::Keep(super::capture::Capture::new(1024))
}

#[async_trait]
impl Connection for Remote {
    async fn run(&self, command: &Command) -> Result<Output, Lost> {
        self.attempt(command).await
    }

    async fn fetch(&self, command: &Command, to: &Path) -> Result<Output, Lost> {
        let script = wrapping::full_script(command).map_err(Lost::Local)?;
        if self.inner.place.is_gone() {
            return Err(Lost::NotStarted(self.inner.place.closed()));
        }
        let (sender, writer) = file_writer(to.to_owned()).map_err(Lost::Local)?;
        let out = Sink::Queue(std::collections::VecDeque::new());
        let result = once::run(&self.inner, command, &script, out, Some(sender)).await;
        let written = writer.await.map_err(|error| error.to_string()).and_then(|done| done.map_err(|e| e.to_string()));
        let output = result?;
        written.map_err(|error| Lost::Local(format!("cannot write {}: {error}", to.display())))?;
        Ok(output)
    }

    async fn end(&self, trace: &Trace) -> Result<(), Lost> {
        for left in trace.all() {
            let mut command = Command::new(left.end());
            command.r#become.clone_from(&left.r#become);
            let output = self.attempt(&command).await?;
            if output.status == STILL_THERE {
                let message = format!(
                    "what it began before the connection broke was killed and still runs (process {})",
                    output.out().trim().replace(' ', ", ")
                );
                return Err(Lost::Unknown(message));
            }
            trace.remove(&left.nonce);
        }
        Ok(())
    }

    async fn stream(&self, host: &str, port: u16, within: Duration) -> Result<Box<dyn Stream>, String> {
        let from = self.inner.place.address();
        let link = match &self.inner.place {
            Place::Host(link) => link,
            Place::Here => {
                let socket = super::dial::tcp(host, port, super::settings::Family::Any, within).await;
                return socket.map(|socket| Box::new(socket) as Box<dyn Stream>).map_err(|why| why.to_string());
            }
        };
        match timeout(within, forward(link, host, port)).await {
            Err(_) => Err(format!("no answer from {host}:{port} within {} s (from {from})", within.as_secs())),
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(Refusal::Ended)) => Err(self.inner.place.closed().to_string()),
            Ok(Err(Refusal::Said(_, words))) => Err(format!("cannot connect to {host}:{port} from {from}: {words}")),
        }
    }

    async fn close(&self) {
        self.inner.closing.cancel();
        let running = self.inner.running.drain();
        if !self.inner.place.is_gone() {
            let kills = running.iter().map(|(user, shared)| running::finish_off(&self.inner, user.as_ref(), shared));
            let _ = timeout(Duration::from_secs(4), futures::future::join_all(kills)).await;
        }
        drop(self.inner.sessions.empty());
        if let Place::Host(link) = &self.inner.place {
            link.close().await;
        }
    }
}

/// Frames for both streams of a command.
pub(super) fn frames(nonce: &str, closed: bool, out: Sink, keep: usize) -> (Frame, Frame) {
    (Frame::new(nonce, closed, out), keeping(nonce, closed, keep))
}
