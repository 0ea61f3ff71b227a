//! From settings to an authenticated connection: TCP, key exchange, login, each with its own deadline and its own error.

use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use russh::client::{self, Config, GexParams};
use russh::{ChannelOpenFailure, SshId};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::base::Secret;

use super::link::{Handler, Link, SharedNotes, describe, notes};
use super::login::{self, Refused};
use super::settings::{Family, Settings};
use super::socket::{Cuttable, Eager, Held};
use super::{Stream, Unreachable, Warnings, algorithms, known_hosts};

/// Why a connection attempt failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) why: Unreachable,
    /// The server hung up before it had proved who it is: what a busy sshd (`MaxStartups`) does.
    pub(super) busy: bool,
}

impl From<Unreachable> for Failed {
    fn from(why: Unreachable) -> Self {
        Self { why, busy: false }
    }
}

/// What a connection attempt needs beside the settings.
#[derive(Debug)]
pub(super) struct Credentials<'a> {
    pub(super) password: Option<&'a Secret>,
    pub(super) passphrase: Option<&'a Secret>,
}

/// Connects and logs in.
pub(super) async fn dial(
    settings: &Arc<Settings>,
    credentials: Credentials<'_>,
    carrier: Option<Arc<Link>>,
    known: Arc<known_hosts::KnownHosts>,
    warnings: &Warnings,
) -> Result<Link, Failed> {
    let address = format!("{}:{}", settings.host, settings.port);
    let within = settings.connect_timeout;
    let timed_out = |phase: &str| Unreachable::TimedOut {
        address: address.clone(),
        seconds: within.as_secs(),
        phase: phase.to_owned(),
    };
    let lookup = known_hosts::lookup_name(settings.host_key_alias.as_deref(), &settings.host, settings.port);
    let (algorithms, authority) = known.known_algorithms(&lookup);
    let preferred = algorithms::preferred(&settings.lists, &algorithms, authority)
        .map_err(|message| Unreachable::Local { message })?;
    let stream = match &carrier {
        Some(carrier) => through(carrier, settings, &address).await?,
        None => match &settings.via {
            super::settings::Via::Command(command) => proxy_command(command)?,
            _ => Box::new(Eager::new(tcp(&settings.host, settings.port, settings.family, within).await?)),
        },
    };
    let config = Arc::new(Config {
        client_id: SshId::Standard(concat!("SSH-2.0-stagger_", env!("CARGO_PKG_VERSION")).into()),
        preferred,
        nodelay: true,
        keepalive_interval: Some(settings.alive_interval),
        keepalive_max: settings.alive_count.max(1),
        // Keep-alives aren't sent while a write is stalled; this ends the connection then.
        inactivity_timeout: Some(longest_silence(settings.alive_interval, settings.alive_count)),
        gex: GexParams::new(2048, 3072, 8192).unwrap_or_default(),
        ..Config::default()
    });
    let cut = CancellationToken::new();
    // A connect that is given up (also by dropping this future) must not leave russh's task and the socket behind.
    let guard = cut.clone().drop_guard();
    let gone = CancellationToken::new();
    let shared = SharedNotes::default();
    let kex_done = Arc::new(AtomicBool::new(false));
    let handler = Handler {
        notes: shared.clone(),
        known,
        settings: settings.clone(),
        warnings: warnings.clone(),
        kex_done: kex_done.clone(),
        gone: gone.clone(),
    };
    let exchange = client::connect_stream(config, Cuttable::new(stream, &cut), handler);
    let mut handle = match timeout(within, exchange).await {
        Err(_) => return Err(timed_out("key exchange").into()),
        Ok(Err(error)) => return Err(exchange_failed(&error, &address, &shared, kex_done.load(Ordering::Relaxed))),
        Ok(Ok(handle)) => handle,
    };
    let login = login::log_in(&mut handle, settings, credentials.password, credentials.passphrase);
    let refused = match timeout(within, login).await {
        Err(_) => return Err(timed_out("authentication").into()),
        Ok(Ok(())) => {
            guard.disarm();
            return Ok(Link { handle, notes: shared, address, gone, cut, carrier });
        }
        Ok(Err(refused)) => refused,
    };
    Err(login_failed(refused, settings, address, &shared).into())
}

fn login_failed(refused: Refused, settings: &Settings, address: String, shared: &SharedNotes) -> Unreachable {
    match refused {
        Refused::Local(message) => Unreachable::Local { message },
        Refused::Tried(tried) => {
            let tried = if tried.is_empty() {
                "nothing: there are no keys and no password".to_owned()
            } else {
                tried.join(", ")
            };
            Unreachable::Authentication { user: settings.user.clone(), address, tried }
        }
        Refused::Ended(tried, reason) => {
            let said = notes(shared, |notes| notes.ended.clone()).unwrap_or(reason);
            // "Too many authentication failures" and the like: the server's own words say it best.
            if said.to_lowercase().contains("authentication") || said.to_lowercase().contains("gave up") {
                let tried = format!("{}, then it hung up: {said}", tried.join(", "));
                return Unreachable::Authentication { user: settings.user.clone(), address, tried };
            }
            Unreachable::Closed { address, reason: format!("{said} (while logging in; tried {})", tried.join(", ")) }
        }
    }
}

fn exchange_failed(error: &russh::Error, address: &str, shared: &SharedNotes, kex_done: bool) -> Failed {
    if let Some(message) = notes(shared, |notes| notes.host_key.take()) {
        return Unreachable::HostKey { message }.into();
    }
    let closed = |reason: String| Unreachable::Closed { address: address.to_owned(), reason };
    match error {
        russh::Error::NoCommonAlgo { kind, ours, theirs } => {
            let message = algorithms::no_common(address, &format!("{kind:?}"), ours, theirs);
            Unreachable::Negotiation { message }.into()
        }
        russh::Error::Version => closed("what answers there does not speak SSH".to_owned()).into(),
        russh::Error::WrongServerSig => {
            let message = format!("{address} could not prove that it holds the host key it showed: don't connect");
            Unreachable::HostKey { message }.into()
        }
        russh::Error::IO(_) | russh::Error::HUP | russh::Error::Disconnect | russh::Error::Join(_) if !kex_done => {
            Failed {
                why: closed(format!("{} before the key exchange (its MaxStartups may be reached)", describe(error))),
                busy: true,
            }
        }
        other => closed(format!("{} during the key exchange", describe(other))).into(),
    }
}

/// Connects to the first address of a name that answers.
pub(super) async fn tcp(host: &str, port: u16, family: Family, within: Duration) -> Result<TcpStream, Unreachable> {
    let address = format!("{host}:{port}");
    let late = |phase: &str| Unreachable::TimedOut {
        address: address.clone(),
        seconds: within.as_secs(),
        phase: phase.to_owned(),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let unresolved = |reason: String| Unreachable::Resolve { name: bare.to_owned(), reason };
    let found = match timeout(within, tokio::net::lookup_host((bare, port))).await {
        Err(_) => return Err(late("resolving its name")),
        Ok(Err(error)) => {
            let text = error.to_string();
            let reason = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
            return Err(unresolved(reason.to_owned()));
        }
        Ok(Ok(found)) => found,
    };
    let suits = |a: &SocketAddr| match family {
        Family::Any => true,
        Family::V4 => a.is_ipv4(),
        Family::V6 => a.is_ipv6(),
    };
    let mut last = unresolved("it has no address of the wanted family".to_owned());
    for candidate in found.filter(suits) {
        match timeout(within, TcpStream::connect(candidate)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => last = connect_failed(&error, &address, within),
            Err(_) => last = late("connecting"),
        }
    }
    Err(last)
}

fn connect_failed(error: &io::Error, address: &str, within: Duration) -> Unreachable {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Unreachable::Refused { address: address.to_owned() },
        io::ErrorKind::TimedOut => Unreachable::TimedOut {
            address: address.to_owned(),
            seconds: within.as_secs(),
            phase: "connecting".to_owned(),
        },
        io::ErrorKind::ConnectionReset => {
            Unreachable::Closed { address: address.to_owned(), reason: "it reset the connection".to_owned() }
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => Unreachable::Local {
            message: format!(
                "cannot connect to {address}: too many open files here; raise `ulimit -n` or lower --forks"
            ),
        },
        _ => Unreachable::Local { message: format!("cannot connect to {address} from here: {error}") },
    }
}

/// A stream to the host through a jump connection.
async fn through(carrier: &Arc<Link>, settings: &Settings, address: &str) -> Result<Box<dyn Stream>, Failed> {
    let within = settings.connect_timeout;
    let both = format!("{address} (through {})", carrier.address);
    match timeout(within, forward(carrier, &settings.host, settings.port)).await {
        Err(_) => {
            Err(Unreachable::TimedOut { address: both, seconds: within.as_secs(), phase: "connecting".to_owned() }
                .into())
        }
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(Refusal::Ended)) => Err(carrier.closed().into()),
        Ok(Err(Refusal::Said(kind, words))) => {
            let lower = words.to_lowercase();
            Err(if lower.contains("refused") {
                Unreachable::Refused { address: both }
            } else if lower.contains("timed out") {
                Unreachable::TimedOut { address: both, seconds: within.as_secs(), phase: "connecting".to_owned() }
            } else if lower.contains("not known") || lower.contains("resol") || lower.contains("no address") {
                Unreachable::Resolve { name: settings.host.clone(), reason: format!("{words} (on {})", carrier.address) }
            } else if kind == ChannelOpenFailure::AdministrativelyProhibited {
                let message = format!(
                    "the jump host {} does not forward to {address}: {words}. Its sshd needs AllowTcpForwarding (and PermitOpen)",
                    carrier.address
                );
                Unreachable::Local { message }
            } else {
                Unreachable::Closed { address: both, reason: format!("the jump host could not connect: {words}") }
            }
            .into())
        }
    }
}

/// Why a forwarded stream was not opened.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The connection has ended.
    Ended,
    /// The server said no, with these words.
    Said(ChannelOpenFailure, String),
}

/// Opens a stream from the host of a connection to an address that it can reach.
pub(super) async fn forward(link: &Arc<Link>, host: &str, port: u16) -> Result<Box<dyn Stream>, Refusal> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let open = link.handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0);
    let answer = tokio::select! {
        answer = open => answer,
        () = link.gone.cancelled() => return Err(Refusal::Ended),
    };
    match answer {
        Ok(channel) => Ok(Box::new(Held::new(Box::new(channel.into_stream()), link.clone()))),
        Err(russh::Error::ChannelOpenFailure(kind)) => {
            // The reason stands in the handler's notes; another refusal at the same moment may have replaced it.
            let words = notes(&link.notes, |notes| notes.refusal.take()).filter(|words| !words.is_empty());
            let words = words.unwrap_or_else(|| format!("{kind:?}"));
            Err(Refusal::Said(kind, words))
        }
        Err(_) => Err(Refusal::Ended),
    }
}

/// A stream through a command's standard input and output. Its complaints go to `/dev/null`: the error that
/// follows, a connection closed before the key exchange, names the command.
fn proxy_command(command: &str) -> Result<Box<dyn Stream>, Unreachable> {
    let mut child = tokio::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("exec {command}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Unreachable::Local { message: format!("cannot run the ProxyCommand `{command}`: {error}") })?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Unreachable::Local { message: format!("the ProxyCommand `{command}` has no pipes") });
    };
    Ok(Box::new(Held::new(Box::new(tokio::io::join(output, input)), child)))
}

/// How long nothing at all may be heard before the connection is given up even while a write is stalled: longer than the keep-alives
/// that were asked for take to say so.
fn longest_silence(interval: Duration, count: usize) -> Duration {
    interval.saturating_mul(u32::try_from(count.max(1)).unwrap_or(u32::MAX).saturating_add(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_borne_for_longer_than_the_keep_alives_that_were_asked_for() {
        let seconds = Duration::from_secs;
        assert_eq!(longest_silence(seconds(10), 3), seconds(50));
        assert_eq!(longest_silence(seconds(10), 60), seconds(620), "who asks for patience gets it");
        assert_eq!(longest_silence(seconds(10), 0), seconds(30));
    }
}
