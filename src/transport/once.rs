//! One channel a command: for content of any size, for fetches, and for hosts that allow no persistent shell.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use crate::base::{Content, Output};

use super::frame::Sink;
use super::pipe::{Pipe, State};
use super::remote::{Inner, NotBegun, frames};
use super::running::Running;
use super::{Command, Lost, Unreachable, nonce, wrapping};

/// After the exit status, output is read until it has been silent for so long: a child in the background may hold
/// it open for ever.
const QUIET: Duration = Duration::from_millis(400);

/// And no longer than this, even when such a child goes on writing.
const LONGEST: Duration = Duration::from_secs(5);

/// How much is read from a file at a time: 128 to 256 KiB were fastest. Every host that is sent to has a few of them.
const CHUNK: usize = 128 * 1024;

/// Runs a command on a channel of its own. What it prints goes to `out`, and to `copy` when that queues it.
pub(super) async fn run(
    inner: &Arc<Inner>,
    command: &Command,
    script: &str,
    out: Sink,
    copy: Option<mpsc::Sender<Bytes>>,
) -> Result<Output, Lost> {
    let started = Instant::now();
    let queues = matches!(out, Sink::Queue(_));
    let fresh = || {
        if queues {
            Sink::Queue(std::collections::VecDeque::new())
        } else {
            Sink::Keep(super::capture::Capture::new(command.keep))
        }
    };
    let mut tries = 0;
    let nonce = nonce();
    let text = wrapping::sealed(&nonce, script);
    let (pipe, slot) = loop {
        let slot = inner.slot().await;
        match begin(inner, command, &nonce, &text, fresh(), copy.clone()).await {
            Ok(pipe) => break (pipe, slot),
            Err(NotBegun::TooMany) => {
                tries += 1;
                // A session that has just ended may not be free yet; after that the bound is lower than thought.
                if tries % 4 == 0 {
                    inner.sessions.lower();
                }
                if tries > 40 {
                    return Err(Lost::NotStarted(no_channel(inner)));
                }
                drop(slot);
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            Err(NotBegun::Refused(said)) => return Err(Lost::NotStarted(refused(inner, &said))),
            Err(NotBegun::Lost(lost)) => return Err(lost),
        }
    };
    drop(copy);
    let running = Running::new(inner, command, &nonce, (pipe, slot), None);
    let work = finish(inner, command, text, &running);
    let closing = inner.closing.clone();
    let limited = async {
        match command.timeout {
            Some(limit) => timeout_at(started + limit, work).await.map_err(|_| limit),
            None => Ok(work.await),
        }
    };
    let result = tokio::select! {
        result = limited => result,
        () = closing.cancelled() => Ok(Err(inner.in_flight())),
    };
    match result {
        Ok(Ok(())) => {}
        Ok(Err(lost)) => {
            running.kill().await;
            return Err(lost);
        }
        Err(limit) => {
            running.kill().await;
            return Err(Lost::TimedOut(limit.as_secs()));
        }
    }
    let Some((pipe, _slot)) = running.done() else { return Err(inner.in_flight()) };
    let output = pipe.look(take_output);
    pipe.close().await;
    Ok(output)
}

/// One attempt without a bound on channels and without waiting for content; used to kill.
pub(super) async fn attempt(
    inner: &Inner,
    command: &Command,
    script: &str,
    out: Sink,
    copy: Option<mpsc::Sender<Bytes>>,
) -> Result<Option<i32>, NotBegun> {
    let nonce = nonce();
    let text = wrapping::sealed(&nonce, script);
    let pipe = begin(inner, command, &nonce, &text, out, copy).await?;
    pipe.send(text.into()).await;
    pipe.until(|state| (state.exit.is_some() || state.ended).then_some(())).await;
    let status = pipe.look(|state| state.exit);
    pipe.close().await;
    Ok(status)
}

/// Starts a shell that waits for the text.
async fn begin(
    inner: &Inner,
    command: &Command,
    nonce: &str,
    text: &str,
    out: Sink,
    copy: Option<mpsc::Sender<Bytes>>,
) -> Result<Pipe, NotBegun> {
    // A restricted shell runs no program by its path, but may have sh on its own.
    let plain = inner.plain.load(Ordering::Relaxed);
    let shell = if plain && inner.shell == "/bin/sh" { "sh" } else { &inner.shell };
    let line = wrapping::once(shell, nonce, text.len(), command.stdin.is_some());
    let frames = frames(nonce, false, out, command.keep);
    // The script is sent only when a shell of ours waits for it: so long, a failure means that nothing was run. Sent along
    // with the request it would save a round trip, and run after we had given up.
    inner.begin(command.r#become.as_ref(), &line, nonce, frames, copy).await
}

/// Sends the script and the content, and waits for the end.
async fn finish(inner: &Inner, command: &Command, text: String, running: &Running) -> Result<(), Lost> {
    let Some(pipe) = running.pipe() else { return Err(inner.in_flight()) };
    pipe.send(text.into()).await;
    let begun = timeout(
        inner.patience,
        pipe.until(|state| {
            let ended = state.ended || state.exit.is_some() && state.eof;
            (state.out.begun.is_some() || ended).then(|| state.out.begun.clone())
        }),
    );
    match begun.await {
        Err(_) => return Err(inner.never_began()),
        Ok(None) if inner.place.is_gone() => return Err(inner.in_flight()),
        Ok(None) => {
            let said = pipe.look(|state| format!("{}\n{}", state.out.noise(), state.err.noise()));
            return Err(Lost::NotStarted(refused(inner, &said)));
        }
        Ok(Some(facts)) => running.begun(&facts),
    }
    match &command.stdin {
        None => {}
        Some(Content::Bytes(bytes)) => {
            let total = bytes.len() as u64;
            for (number, chunk) in bytes.chunks(CHUNK).enumerate() {
                if !pipe.send(Bytes::copy_from_slice(chunk)).await {
                    break;
                }
                command.report((number * CHUNK + chunk.len()) as u64, total);
            }
        }
        Some(Content::File { file, offset }) => send_file(command, pipe, &file.path, *offset, file.size).await?,
    }
    pipe.end_input().await;
    pipe.until(|state| (state.exit.is_some() || state.ended).then_some(())).await;
    drain(pipe).await;
    if pipe.look(|state| state.exit.is_none()) {
        return Err(inner.in_flight());
    }
    Ok(())
}

/// Reads what is left after the exit status.
async fn drain(pipe: &Pipe) {
    let all = async {
        loop {
            let before = pipe.look(|state| state.received);
            let more = pipe.until(|state| {
                if state.eof || state.ended { Some(false) } else { (state.received != before).then_some(true) }
            });
            match timeout(QUIET, more).await {
                Ok(true) => {}
                Ok(false) | Err(_) => return,
            }
        }
    };
    let _ = timeout(LONGEST, all).await;
}

async fn send_file(command: &Command, pipe: &Pipe, path: &std::path::Path, offset: u64, size: u64) -> Result<(), Lost> {
    let wrong = |error: std::io::Error| Lost::Local(format!("cannot read {}: {error}", path.display()));
    let wanted = size.saturating_sub(offset);
    let (sender, mut chunks) = mpsc::channel::<std::io::Result<Bytes>>(2);
    let from = path.to_owned();
    tokio::task::spawn_blocking(move || {
        let read = || -> std::io::Result<()> {
            use std::io::{Read as _, Seek as _};
            let mut file = std::fs::File::open(&from)?;
            file.seek(std::io::SeekFrom::Start(offset))?;
            let mut left = wanted;
            while left > 0 {
                let mut chunk = Vec::with_capacity(CHUNK);
                let count = file.by_ref().take(left.min(CHUNK as u64)).read_to_end(&mut chunk)?;
                if count == 0 {
                    return Err(std::io::Error::new(
                        std::io::ErrorKind::UnexpectedEof,
                        "it became shorter while it was sent",
                    ));
                }
                left -= count as u64;
                if sender.blocking_send(Ok(chunk.into())).is_err() {
                    return Ok(());
                }
            }
            Ok(())
        };
        if let Err(error) = read() {
            let _ = sender.blocking_send(Err(error));
        }
    });
    let mut sent = 0;
    while let Some(chunk) = chunks.recv().await {
        let chunk = chunk.map_err(wrong)?;
        let length = chunk.len() as u64;
        // The other side may have enough before the end; its exit status says what that means.
        if !pipe.send(chunk).await {
            break;
        }
        sent += length;
        command.report(sent, wanted);
    }
    Ok(())
}

/// What a channel left.
pub(super) fn take_output(state: &mut State) -> Output {
    let take = |sink: &mut Sink| match std::mem::replace(sink, Sink::Queue(std::collections::VecDeque::new())) {
        Sink::Keep(capture) => capture.finish(),
        Sink::Queue(_) => (Vec::new(), 0),
    };
    let (stdout, stdout_cut) = take(&mut state.out.sink);
    let (stderr, stderr_cut) = take(&mut state.err.sink);
    Output { status: state.exit.unwrap_or(255), stdout, stderr, stdout_cut, stderr_cut }
}

fn no_channel(inner: &Inner) -> Unreachable {
    Unreachable::Closed {
        address: inner.place.address().to_owned(),
        reason: "it opens no more channels (MaxSessions; sessions of earlier commands may still run)".to_owned(),
    }
}

fn refused(inner: &Inner, said: &str) -> Unreachable {
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said: String = said.join("; ").chars().filter(|c| !c.is_control()).take(300).collect();
    let said = if said.is_empty() { "it said nothing".to_owned() } else { format!("it said: {said}") };
    Unreachable::Local {
        message: format!(
            "{} did not run the command it was asked to run: {said}. The user's login shell or a ForceCommand must let \
             `sh` run",
            inner.place.address()
        ),
    }
}
