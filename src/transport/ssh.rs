//! The SSH transport: settings, jump chains with shared connections, pacing and retries.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;

use super::dial::{self, Credentials, Failed};
use super::known_hosts::KnownHosts;
use super::link::Link;
use super::remote::{Place, Remote};
use super::settings::{self, Hop, Settings, Via};
use super::ssh_config::Files;
use super::{Connection, Options, Target, Transport, Unreachable, Warnings, random};

/// How many jump hosts may stand behind one another.
const JUMPS: usize = 8;

/// How often a server that hangs up before the key exchange (`MaxStartups`) is asked again. With the pauses of
/// [`pause`] that is about half a minute.
const BUSY_TRIES: u32 = 8;

/// A place in the map of jump connections; the lock makes hosts that need the same one wait for its first connect.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Link>>>>;

/// What was read from known_hosts files, and the files' times and sizes then.
type Read = (Vec<Option<(SystemTime, u64)>>, Arc<KnownHosts>);

/// Connects by SSH.
#[derive(Debug)]
pub(crate) struct Ssh {
    options: Options,
    files: Files,
    warnings: Warnings,
    known: Mutex<HashMap<Vec<PathBuf>, Read>>,
    jumps: Mutex<HashMap<String, Slot>>,
    gates: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Ssh {
    /// A transport with these options.
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            files: Files::default(),
            warnings: Warnings::default(),
            known: Mutex::default(),
            jumps: Mutex::default(),
            gates: Mutex::default(),
        }
    }

    /// The warnings since the last call, each text once in the life of the transport.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// The hosts since the last call whose keys were not checked.
    pub(crate) fn take_unchecked(&self) -> Vec<String> {
        self.warnings.take_unchecked()
    }

    fn settings(&self, target: &Target) -> Result<Arc<Settings>, Unreachable> {
        let mut warnings = Vec::new();
        let settings = settings::resolve(target, &self.options, &self.files, &mut warnings)
            .map_err(|message| Unreachable::Local { message })?;
        for warning in warnings {
            self.warnings.add(warning);
        }
        if settings.host_keys == settings::HostKeys::Off {
            self.warnings.unchecked(&settings.host);
        }
        Ok(Arc::new(settings))
    }

    /// The known hosts for some settings; files are read again only when they have changed.
    fn known(&self, settings: &Settings) -> Result<Arc<KnownHosts>, Unreachable> {
        let files: Vec<PathBuf> = settings.known_hosts.iter().chain(&settings.global_known_hosts).cloned().collect();
        let stamp = |file: &PathBuf| std::fs::metadata(file).ok().and_then(|m| Some((m.modified().ok()?, m.len())));
        let stamps: Vec<_> = files.iter().map(stamp).collect();
        let mut cache = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, known)) = cache.get(&files)
            && *then == stamps
        {
            return Ok(known.clone());
        }
        let known = Arc::new(KnownHosts::read(&files).map_err(|message| Unreachable::Local { message })?);
        cache.insert(files, (stamps, known.clone()));
        Ok(known)
    }

    /// How many handshakes may go on at a time: to the world, and through each jump host.
    fn gate(&self, name: &str) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.entry(name.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.options.pace.max(1)))).clone()
    }

    /// Connects to one host, with its jump hosts first.
    fn open<'a>(&'a self, target: &'a Target, depth: usize) -> BoxFuture<'a, Result<Arc<Link>, Unreachable>> {
        Box::pin(async move {
            let settings = self.settings(target)?;
            let carrier = match &settings.via {
                Via::Jumps(hops) => Some(self.carrier(target, hops, depth).await?),
                Via::Direct | Via::Command(_) => None,
            };
            self.dial(&settings, target, carrier).await
        })
    }

    /// The connection of the last jump host, made or shared.
    async fn carrier(&self, target: &Target, hops: &[Hop], depth: usize) -> Result<Arc<Link>, Unreachable> {
        if depth + hops.len() > JUMPS {
            let message =
                format!("the jump hosts of {} go deeper than {JUMPS}: does one jump through itself?", target.name);
            return Err(Unreachable::Local { message });
        }
        let mut carrier: Option<Arc<Link>> = None;
        let mut path = String::new();
        for hop in hops {
            let through = Target {
                port: hop.port,
                user: hop.user.clone(),
                passphrase: target.passphrase.clone(),
                arguments: hop.arguments.clone(),
                timeout: target.timeout,
                retries: target.retries,
                ..Target::named(&hop.name)
            };
            let settings = self.settings(&through)?;
            // The first may have a jump of its own in the files; for the others the chain says how they are reached.
            let own = match (&carrier, &settings.via) {
                (None, Via::Jumps(inner)) => Some(inner.clone()),
                _ => None,
            };
            path.push_str(&format_args!("{settings:?} ").to_string());
            let slot: Slot = {
                let mut jumps = self.jumps.lock().unwrap_or_else(PoisonError::into_inner);
                jumps.entry(path.clone()).or_default().clone()
            };
            let mut place = slot.lock().await;
            if let Some(link) = place.as_ref().filter(|link| !link.is_gone()) {
                carrier = Some(link.clone());
                continue;
            }
            let below = match own {
                Some(inner) => Some(Box::pin(self.carrier(&through, &inner, depth + hops.len())).await?),
                None => carrier,
            };
            let link = self.dial(&settings, &through, below).await?;
            *place = Some(link.clone());
            carrier = Some(link);
        }
        carrier.ok_or_else(|| Unreachable::Local { message: format!("the jump list of {} is empty", target.name) })
    }

    async fn dial(
        &self,
        settings: &Arc<Settings>,
        target: &Target,
        carrier: Option<Arc<Link>>,
    ) -> Result<Arc<Link>, Unreachable> {
        let gate = self.gate(carrier.as_ref().map_or("", |carrier| &carrier.address));
        let (mut busy, mut failed) = (0, 0);
        loop {
            let known = self.known(settings)?;
            let attempt = {
                let _permit = gate.acquire().await;
                let credentials =
                    Credentials { password: target.password.as_ref(), passphrase: target.passphrase.as_ref() };
                dial::dial(settings, credentials, carrier.clone(), known, &self.warnings).await
            };
            match attempt {
                Ok(link) => return Ok(Arc::new(link)),
                Err(Failed { busy: true, .. }) if busy < BUSY_TRIES => {
                    busy += 1;
                    tokio::time::sleep(pause(busy)).await;
                }
                Err(Failed { why, .. }) => {
                    if failed >= target.retries || !may_pass(&why) || carrier.as_ref().is_some_and(|c| c.is_gone()) {
                        return Err(why);
                    }
                    failed += 1;
                    tokio::time::sleep(pause(failed + 2)).await;
                }
            }
        }
    }
}

/// Whether trying again may help.
fn may_pass(why: &Unreachable) -> bool {
    matches!(why, Unreachable::Refused { .. } | Unreachable::TimedOut { .. } | Unreachable::Closed { .. })
}

/// How long to wait before try number `n`: doubling from 100 ms to at most 6.4 s, and up to half as much again by
/// chance, so that hosts that were refused together don't come back together.
fn pause(n: u32) -> Duration {
    let base = Duration::from_millis(50 << n.clamp(1, 7));
    let chance = u32::from_le_bytes(random::<4>());
    base + base.mul_f64(f64::from(chance) / f64::from(u32::MAX) / 2.0)
}

#[async_trait]
impl Transport for Ssh {
    async fn connect(&self, target: &Target) -> Result<Box<dyn Connection>, Unreachable> {
        let link = self.open(target, 0).await?;
        Ok(Box::new(Remote::new(Place::Host(link), target, &self.options)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        assert!(pause(1) >= Duration::from_millis(100) && pause(1) <= Duration::from_millis(150));
        assert!(pause(90) >= Duration::from_millis(6400) && pause(90) <= Duration::from_millis(9600));
    }
}
