//! A terminal for programs that insist on one before they let somebody become another user: doas with a password, sudo under
//! `requiretty`, an old su.
//!
//! On a terminal the two output streams are one, and input has no end and no bytes above 4095 a line. So only the program's
//! question is asked there: two channels are opened, a plain one that carries the streams, and one with a terminal on which the
//! program is started. Named pipes in a folder of the login user join them, and are gone as soon as both sides have opened
//! them. What it can't do: serve a host that allows one channel only, or one where `/tmp` can't be written.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::base::quote;

use super::elevate::Elevation;
use super::frame::Frame;
use super::nonce;
use super::pipe::{OpenError, Pipe, Shared, keeping};
use super::remote::Place;

/// Why there is no bridge.
pub(super) enum Failed {
    /// A channel can't be opened.
    Open(OpenError),
    /// The connection has ended meanwhile.
    Ended,
    /// The host can't make the pipes; what it said.
    Said(String),
}

/// Starts a command line on a terminal, with its streams on a channel without one.
///
/// # Errors
/// See [`Failed`].
pub(super) async fn open(
    place: &Place,
    elevation: &Elevation,
    frames: (Frame, Frame),
    copy: Option<mpsc::Sender<Bytes>>,
    within: Duration,
) -> Result<Pipe, Failed> {
    let mark = nonce();
    let own = || (keeping(&mark, true, 1024), keeping(&mark, true, 1024));
    let mut carrier = place.open(own(), copy).await.map_err(Failed::Open)?;
    carrier.look(|state| state.lent = true);
    carrier.exec(&carry(&mark)).await.map_err(|_| Failed::Ended)?;
    let folder = carrier.until(|state| {
        let over = state.out.begun.is_some() || state.eof || state.ended;
        over.then(|| state.out.begun.clone().ok_or_else(|| said(&state.out, &state.err)))
    });
    let folder = match timeout(within, folder).await {
        Ok(Ok(folder)) => folder,
        Ok(Err(said)) => return Err(Failed::Said(said)),
        Err(_) => return Err(Failed::Said("it did not answer in time".to_owned())),
    };
    let terminal = place.open(own(), None).await.map_err(Failed::Open)?;
    terminal.terminal().await;
    terminal.exec(&cross(&mark, &folder, elevation)).await.map_err(|_| Failed::Ended)?;
    let opened = terminal.until(|state| {
        let over = state.out.hello || state.exit.is_some() || state.ended;
        over.then(|| if state.out.hello { Ok(()) } else { Err(said(&state.out, &state.err)) })
    });
    match timeout(within, opened).await {
        Ok(Ok(())) => {}
        Ok(Err(said)) => return Err(Failed::Said(said)),
        Err(_) => return Err(Failed::Said("its terminal did not answer in time".to_owned())),
    }
    carrier.look(|state| (state.out, state.err) = frames);
    if !carrier.send(Bytes::from_static(b"go\n")).await {
        return Err(Failed::Ended);
    }
    tokio::spawn(hand_on(terminal.shared(), carrier.shared()));
    carrier.hold(terminal);
    Ok(carrier)
}

/// Hands the end of the command on from the terminal's channel, which knows the exit status, to that of the streams.
async fn hand_on(terminal: Arc<Shared>, carrier: Arc<Shared>) {
    let exit = terminal.until(|state| (state.exit.is_some() || state.ended).then_some(state.exit)).await;
    carrier.change(|state| state.exit = exit);
    carrier.until(|state| state.eof.then_some(())).await;
    carrier.change(|state| state.ended = true);
}

fn said(out: &Frame, err: &Frame) -> String {
    format!("{}\n{}", out.noise(), err.noise())
}

/// The command line of the channel that carries the streams: it makes the pipes, says where, and joins itself to them when it
/// is told that the other side has opened them.
///
/// Opened for reading and writing first, no end waits for the other; these ends are closed again, so that each side sees the
/// end of the other.
fn carry(mark: &str) -> String {
    let text = format!(
        "umask 077; d=$(mktemp -d \"${{TMPDIR:-/tmp}}/stagger-tty.XXXXXXXX\") && mkfifo \"$d/in\" \"$d/out\" \"$d/err\" || \
         {{ [ -z \"$d\" ] || rm -rf \"$d\"; exit 1; }}; \
         exec 4<>\"$d/in\" 5<>\"$d/out\" 6<>\"$d/err\"; printf \"\\036{mark}<%s\\n\" \"$d\"; \
         read -r go || {{ rm -rf \"$d\"; exit 1; }}; \
         exec 7<&0 </dev/null 3>\"$d/in\" 8<\"$d/out\" 9<\"$d/err\"; rm -rf \"$d\"; exec 4>&- 5>&- 6>&-; \
         cat <&7 >&3 8<&- 9<&- 2>/dev/null & c=$!; exec 3>&- 7<&-; \
         cat <&8 8<&- 9<&- & a=$!; cat <&9 8<&- 9<&- >&2 & b=$!; exec 8<&- 9<&-; \
         wait $a; wait $b; kill $c 2>/dev/null; exit 0"
    );
    format!("sh -c {}", quote(&text))
}

/// The command line of the channel with the terminal: opens the pipes, says so, and starts the program with them as its streams.
fn cross(mark: &str, folder: &str, elevation: &Elevation) -> String {
    let pipe = |name: &str| quote(&format!("{folder}/{name}"));
    // Where the program reads the answer from its standard input and wants that to be the terminal, the stream waits on 3.
    let input = if elevation.answers_on_input { "3<&4" } else { "<&4" };
    let text = format!(
        "exec 4<{} 5>{} 6>{} && printf \"\\036{mark}?\\n\"; {} {input} >&5 2>&6 4<&- 5>&- 6>&-; exit $?",
        pipe("in"),
        pipe("out"),
        pipe("err"),
        elevation.line,
    );
    format!("sh -c {}", quote(&text))
}
