//! `connection: local`: commands on this machine, by the same shells as on others.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, Command as Process};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::pipe::{Shared, forward};
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

/// The side of a pipe that leads to a local process.
pub(super) struct LocalSide {
    shared: Arc<Shared>,
    copy: Mutex<Option<mpsc::Sender<Bytes>>>,
    input: AsyncMutex<Option<ChildStdin>>,
    /// Stops reading: what is left of the process is nobody's business any more.
    done: CancellationToken,
}

impl LocalSide {
    pub(super) fn new(shared: Arc<Shared>, copy: Option<mpsc::Sender<Bytes>>) -> Self {
        Self { shared, copy: Mutex::new(copy), input: AsyncMutex::new(None), done: CancellationToken::new() }
    }

    /// Starts the command, in a process group of its own, so that Ctrl-C in our terminal does not hit it.
    pub(super) async fn exec(&self, line: &str) -> Result<(), String> {
        let mut child = Process::new("/bin/sh")
            .arg("-c")
            .arg(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start /bin/sh: {error}"))?;
        *self.input.lock().await = child.stdin.take();
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
                shared.change(|state| state.exit = Some(status.map_or(255, exit_code)));
                for reader in readers.into_iter().flatten() {
                    let _ = reader.await;
                }
            };
            tokio::select! {
                () = work => {}
                () = done.cancelled() => aborts.iter().for_each(tokio::task::AbortHandle::abort),
            }
            shared.change(|state| {
                state.eof = true;
                state.ended = true;
            });
        });
        Ok(())
    }

    pub(super) async fn send(&self, bytes: &Bytes) -> bool {
        match self.input.lock().await.as_mut() {
            Some(input) => input.write_all(bytes).await.is_ok() && input.flush().await.is_ok(),
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
