//! One SSH connection: what russh tells us about it, and the handle that channels are opened with.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{self, DisconnectReason, Handle, Session};
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use russh::{ChannelId, ChannelOpenFailure};
use tokio_util::sync::CancellationToken;

use super::known_hosts::{self, KnownHosts, Verdict};
use super::settings::{HostKeys, Settings};
use super::{Unreachable, Warnings};

/// What the handler learned; russh tells errors to the handler and not to whoever waits.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Why the host key was refused.
    pub(super) host_key: Option<String>,
    /// What the server said before authentication, shortened.
    pub(super) banner: Option<String>,
    /// Why the connection ended.
    pub(super) ended: Option<String>,
    /// The server's words for the last channel it refused.
    pub(super) refusal: Option<String>,
}

/// Notes shared between the handler, which lives in russh's task, and the connection.
pub(super) type SharedNotes = Arc<Mutex<Notes>>;

/// Looks at the notes; a poisoned lock still holds them.
pub(super) fn notes<T>(shared: &SharedNotes, look: impl FnOnce(&mut Notes) -> T) -> T {
    look(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What russh calls.
pub(super) struct Handler {
    pub(super) notes: SharedNotes,
    pub(super) known: Arc<KnownHosts>,
    pub(super) settings: Arc<Settings>,
    pub(super) warnings: Warnings,
    pub(super) kex_done: Arc<AtomicBool>,
    pub(super) gone: CancellationToken,
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").field("host", &self.settings.host).finish_non_exhaustive()
    }
}

impl client::Handler for Handler {
    type Error = russh::Error;

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), Self::Error> {
        let text: String = banner.trim().chars().filter(|c| !c.is_control() || *c == '\n').take(500).collect();
        notes(&self.notes, |notes| notes.banner = Some(text));
        Ok(())
    }

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        self.kex_done.store(true, Ordering::Relaxed);
        match judge(shown, &self.known, &self.settings, &self.warnings) {
            Ok(()) => Ok(true),
            Err(message) => {
                notes(&self.notes, |notes| notes.host_key = Some(message));
                Ok(false)
            }
        }
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        _: ChannelOpenFailure,
        description: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let text: String = description.chars().filter(|c| !c.is_control()).take(200).collect();
        notes(&self.notes, |notes| notes.refusal = Some(text));
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        let (text, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                let message: String = info.message.chars().filter(|c| !c.is_control()).take(200).collect();
                (message, Ok(()))
            }
            DisconnectReason::Error(error) => (describe(&error), Err(error)),
        };
        notes(&self.notes, |notes| {
            notes.ended.get_or_insert(text);
        });
        self.gone.cancel();
        result
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        // However russh's task ends, whoever waits for this connection must learn of it.
        self.gone.cancel();
    }
}

/// What an error of russh means, in words.
pub(super) fn describe(error: &russh::Error) -> String {
    match error {
        russh::Error::KeepaliveTimeout => "it stopped answering keep-alives".to_owned(),
        russh::Error::InactivityTimeout => "it stopped answering".to_owned(),
        russh::Error::HUP | russh::Error::Disconnect | russh::Error::SendError | russh::Error::RecvError => {
            "the connection was lost".to_owned()
        }
        russh::Error::IO(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the connection was lost".to_owned()
        }
        russh::Error::IO(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn judge(
    shown: &PublicKeyOrCertificate,
    known: &KnownHosts,
    settings: &Settings,
    warnings: &Warnings,
) -> Result<(), String> {
    if settings.host_keys == HostKeys::Off {
        return Ok(());
    }
    let name = known_hosts::lookup_name(settings.host_key_alias.as_deref(), &settings.host, settings.port);
    let address = format!("{}:{}", settings.host, settings.port);
    let certified = match shown.certificate() {
        Some(certificate) => {
            let host = settings.host_key_alias.as_deref().unwrap_or(&settings.host).to_lowercase();
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
            match known.check_certificate(&name, &host, certificate, now) {
                Ok(()) => return Ok(()),
                Err(reason) => Some(reason),
            }
        }
        None => None,
    };
    let key = shown.public_key();
    let mut verdict = known.check(&name, &key);
    if verdict == Verdict::Unknown && settings.host_key_alias.is_none() && settings.port != 22 {
        // OpenSSH also takes a key that is known for the host without its port.
        if let found @ (Verdict::Known | Verdict::Revoked(_)) = known.check(&settings.host.to_lowercase(), &key) {
            verdict = found;
        }
    }
    let file = settings.known_hosts.first();
    let fingerprint = key.fingerprint(HashAlg::Sha256);
    match verdict {
        Verdict::Known => Ok(()),
        Verdict::Revoked(place) => Err(format!(
            "the host key of {address} is revoked ({place}): {} {fingerprint}. Don't connect",
            key.algorithm()
        )),
        Verdict::Changed(both) => {
            let remove = file.map_or(String::new(), |file| format!(" -f {}", file.display()));
            Err(format!(
                "the host key of {address} is not the known one\n{both}\n  Either the host was installed anew, or somebody \
                 stands in between. Compare the shown fingerprint with\n    ssh-keygen -lf /etc/ssh/ssh_host_{}_key.pub\n  on the \
                 host's console; if it is right, forget the old key with\n    ssh-keygen -R '{name}'{remove}",
                family(&key.algorithm()),
            ))
        }
        Verdict::Unknown if settings.host_keys == HostKeys::AcceptNew => {
            let Some(file) = file else { return Ok(()) };
            known_hosts::add(file, &name, &key)?;
            warnings.add(format!("accepted the new host key of {address}: {} {fingerprint}", key.algorithm()));
            Ok(())
        }
        Verdict::Unknown => {
            let why = certified.map_or(String::new(), |reason| format!(" ({reason})"));
            let target: &str = &settings.host;
            let port = if settings.port == 22 { String::new() } else { format!("-p {} ", settings.port) };
            let file = file.map_or_else(|| PathBuf::from("~/.ssh/known_hosts"), Clone::clone);
            Err(format!(
                "the host key of {address} is not known{why}\n  shown: {} {fingerprint}\n  If that is its fingerprint, add it \
                 with\n    ssh-keyscan {port}-t {} {target} >> {}\n  or let new keys be accepted: -o \
                 StrictHostKeyChecking=accept-new in ansible_ssh_common_args",
                key.algorithm(),
                family(&key.algorithm()),
                file.display(),
            ))
        }
    }
}

fn family(algorithm: &russh::keys::Algorithm) -> &'static str {
    match algorithm {
        russh::keys::Algorithm::Ed25519 => "ed25519",
        russh::keys::Algorithm::Ecdsa { .. } => "ecdsa",
        russh::keys::Algorithm::Dsa => "dsa",
        _ => "rsa",
    }
}

/// An open, authenticated connection. Dropping the last one cuts it.
pub(super) struct Link {
    pub(super) handle: Handle<Handler>,
    pub(super) notes: SharedNotes,
    /// `host:port`, for messages.
    pub(super) address: String,
    /// Cancelled when the connection has ended, for whatever reason.
    pub(super) gone: CancellationToken,
    /// Cancelling it makes the stream below fail.
    pub(super) cut: CancellationToken,
    /// The jump connection that carries this one.
    pub(super) carrier: Option<Arc<Link>>,
}

impl Link {
    /// Why it ended.
    pub(super) fn closed(&self) -> Unreachable {
        let reason = notes(&self.notes, |notes| notes.ended.clone()).unwrap_or_else(|| match &self.carrier {
            Some(carrier) if carrier.is_gone() => format!("the jump host's connection ended ({})", carrier.closed()),
            _ => "the connection was lost".to_owned(),
        });
        Unreachable::Closed { address: self.address.clone(), reason }
    }

    /// Whether it has ended.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.is_cancelled() || self.handle.is_closed()
    }

    /// Ends it politely, and cuts it when that takes more than a moment.
    pub(super) async fn close(&self) {
        let goodbye = self.handle.disconnect(russh::Disconnect::ByApplication, "", "");
        let within = std::time::Duration::from_millis(500);
        let _ = tokio::time::timeout(within, async {
            let _ = goodbye.await;
            self.gone.cancelled().await;
        })
        .await;
        notes(&self.notes, |notes| {
            notes.ended.get_or_insert_with(|| "it was closed from here".to_owned());
        });
        self.cut.cancel();
        self.gone.cancel();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut.cancel();
        self.gone.cancel();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("address", &self.address).field("gone", &self.is_gone()).finish_non_exhaustive()
    }
}
