//! Persistent shells: one process a user and host that runs command after command.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use crate::base::Output;

use super::capture::Capture;
use super::frame::Sink;
use super::left::Process;
use super::once::take_output;
use super::remote::{Inner, NotBegun, frames};
use super::running::Running;
use super::sessions::{Shell, Slot, Taken};
use super::{Become, Command, Lost, nonce, wrapping};

/// Runs a command in a persistent shell. `None` when the host allows none: nothing was run then, and from now on
/// this connection uses one channel a command.
pub(super) async fn run(
    inner: &Arc<Inner>,
    command: &Command,
    script: &str,
    input: Option<&str>,
) -> Option<Result<Output, Lost>> {
    let started = Instant::now();
    let mut tries = 0;
    let shell = loop {
        match obtain(inner, &command.r#become).await {
            Ok(shell) => break shell,
            Err(NotBegun::TooMany) => {
                tries += 1;
                if tries % 4 == 0 && inner.sessions.lower() <= 1 {
                    inner.plain.store(true, Ordering::Relaxed);
                }
                if tries > 40 || inner.plain.load(Ordering::Relaxed) {
                    for shell in inner.sessions.empty() {
                        shell.pipe.close().await;
                    }
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            Err(NotBegun::Refused(_)) => {
                inner.plain.store(true, Ordering::Relaxed);
                return None;
            }
            Err(NotBegun::Lost(lost)) => return Some(Err(lost)),
        }
    };
    Some(work(inner, command, script, input, shell, started).await)
}

/// A waiting shell, or a new one.
async fn obtain(inner: &Arc<Inner>, r#become: &Option<Become>) -> Result<Shell, NotBegun> {
    loop {
        let slot = match inner.sessions.take(Some(r#become)).await {
            Taken::Shell(shell) => {
                // Somebody left over from an earlier command wrote to it, or it ended.
                let bad = shell.pipe.look(|state| state.ended || state.eof || state.out.dirty || state.err.dirty);
                if bad {
                    let Shell { pipe, .. } = *shell;
                    pipe.close().await;
                    continue;
                }
                return Ok(*shell);
            }
            Taken::Slot(slot) => slot,
            Taken::Evict(shell) => {
                let Shell { pipe, slot, .. } = *shell;
                pipe.close().await;
                slot
            }
        };
        return start(inner, r#become, slot).await;
    }
}

async fn start(inner: &Arc<Inner>, r#become: &Option<Become>, slot: Slot) -> Result<Shell, NotBegun> {
    let nonce = nonce();
    let line = wrapping::persistent(&inner.shell, &nonce);
    let keep = 4096;
    let frames = frames(&nonce, true, Sink::Keep(Capture::new(keep)), keep);
    let pipe = inner.begin(r#become.as_ref(), &line, &nonce, frames, None).await?;
    pipe.send(Bytes::from(wrapping::prepare(&nonce))).await;
    let ready = pipe.until(|state| {
        let done = state.out.ended.is_some() && state.err.ended.is_some();
        (done || state.ended || state.eof).then(|| state.out.ended.clone())
    });
    match timeout(inner.patience, ready).await {
        Err(_) => Err(NotBegun::Lost(inner.late("starting a shell"))),
        Ok(Some(facts)) if facts.starts_with("ready ") => {
            let process = facts.strip_prefix("ready ").and_then(Process::parse);
            Ok(Shell { r#become: r#become.clone(), pipe, slot, process })
        }
        Ok(_) if inner.place.is_gone() => Err(NotBegun::Lost(Lost::NotStarted(inner.place.closed()))),
        // No setsid, or no /proc: what it starts could not be watched.
        Ok(_) => {
            pipe.close().await;
            Err(NotBegun::Refused("the shell can't watch what it starts".to_owned()))
        }
    }
}

async fn work(
    inner: &Arc<Inner>,
    command: &Command,
    script: &str,
    input: Option<&str>,
    shell: Shell,
    started: Instant,
) -> Result<Output, Lost> {
    let nonce = nonce();
    let Shell { r#become, pipe, slot, process } = shell;
    pipe.look(|state| {
        (state.out, state.err) = frames(&nonce, true, Sink::Keep(Capture::new(command.keep)), command.keep);
    });
    let text = Bytes::from(match input {
        None if command.looks => wrapping::looked(&nonce, script),
        _ => wrapping::framed(&inner.shell, &nonce, script, input),
    });
    let running = Running::new(inner, command, &nonce, (pipe, slot), process.as_ref());
    let all = async {
        if let Some(pipe) = running.pipe() {
            pipe.send(text).await;
        }
        let begun = running.shared().until(|state| {
            let over = state.out.begun.is_some() || state.out.ended.is_some() || state.ended;
            over.then(|| state.out.begun.clone())
        });
        if let Some(facts) = begun.await {
            running.begun(&facts);
        }
        running
            .shared()
            .until(|state| {
                let done = state.out.ended.is_some() && state.err.ended.is_some();
                (done || state.ended).then(|| state.out.ended.clone().filter(|_| done))
            })
            .await
    };
    let closing = inner.closing.clone();
    let result = tokio::select! {
        result = async {
            match command.timeout {
                Some(limit) => timeout_at(started + limit, all).await.map_err(|_| Lost::TimedOut(limit.as_secs())),
                None => Ok(all.await),
            }
        } => result,
        () = closing.cancelled() => Err(inner.in_flight()),
    };
    let facts = match result {
        Ok(Some(facts)) => facts,
        Ok(None) => return Err(inner.in_flight()),
        Err(lost) => {
            running.kill().await;
            return Err(lost);
        }
    };
    let Some((pipe, slot)) = running.done() else { return Err(inner.in_flight()) };
    let mut words = facts.split(' ');
    let status: Option<i32> = words.next().and_then(|word| word.parse().ok());
    let held = words.next() != Some("0");
    let begun = pipe.look(|state| state.out.begun.is_some());
    let mut output = pipe.look(take_output);
    let Some(status) = status else {
        return Err(inner.in_flight());
    };
    output.status = status;
    if held || !begun {
        // A child in the background holds the shell's output: what it writes later must not meet the next command.
        pipe.close().await;
    } else {
        inner.sessions.put(Shell { r#become, pipe, slot, process });
    }
    if !begun {
        return Err(Lost::NotStarted(super::Unreachable::Local {
            message: format!(
                "{} could not start a shell (status {status}): {}",
                inner.place.address(),
                output.err().trim()
            ),
        }));
    }
    Ok(output)
}
