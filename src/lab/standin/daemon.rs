//! What every stand-in daemon has: its name, version, address, flags, log and clock.

use std::net::{Ipv4Addr, ToSocketAddrs};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::era::Era;
use super::flags::Flags;
use super::glog::Log;
use super::resources::number_of;

/// A running stand-in.
pub(crate) struct Daemon {
    pub(crate) version: String,
    pub(crate) era: Era,
    pub(crate) ip: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) flags: Flags,
    pub(crate) log: Log,
    pub(crate) host: String,
    /// Unix seconds.
    pub(crate) started: f64,
    started_at: Instant,
    scale: f64,
}

impl Daemon {
    pub(crate) fn new(program: &str, version: &str, flags: Flags, default_port: u16) -> Daemon {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let ip = flags.get("ip").and_then(|text| text.parse().ok()).unwrap_or_else(|| own_address(&host));
        let port = flags.get("port").and_then(|text| text.parse().ok()).unwrap_or(default_port);
        let log = Log::new(program, version, flags.get("log_dir"), flags.is_on("quiet"));
        Daemon {
            version: version.to_owned(),
            era: Era::of(version),
            ip,
            port,
            flags,
            log,
            host,
            started: unix_now(),
            started_at: Instant::now(),
            scale: time_scale(),
        }
    }

    /// A real duration on this rehearsal's clock.
    pub(crate) fn scaled(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64((seconds * self.scale).max(0.001))
    }

    pub(crate) fn uptime(&self) -> f64 {
        self.started_at.elapsed().as_secs_f64()
    }

    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.ip, self.port)
    }

    /// A time as the daemon keeps it: whole seconds come out of the 10 digits until 0.13 by themselves.
    pub(crate) fn time(&self, seconds: f64) -> Value {
        number_of(seconds)
    }
}

/// The factor for the stand-ins' times; it is the rehearsal's, and no flag of the daemons.
pub(crate) fn time_scale() -> f64 {
    std::env::var("STAGGER_LAB_TIME")
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|scale| *scale > 0.0)
        .unwrap_or(1.0)
}

/// How long the session of one that only looks for the leader lasts, which is 10 s in reality. A busy machine's pauses do not
/// shrink with the scale: below 3 s it would end sessions of daemons that are well. A master's node has to go in scaled time.
pub(crate) fn observing() -> Duration {
    Duration::from_secs_f64((10.0 * time_scale()).max(3.0))
}

pub(crate) fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn own_address(host: &str) -> Ipv4Addr {
    let found = (host, 0).to_socket_addrs().ok().and_then(|mut all| {
        all.find_map(|address| match address.ip() {
            std::net::IpAddr::V4(ip) => Some(ip),
            std::net::IpAddr::V6(_) => None,
        })
    });
    found.unwrap_or(Ipv4Addr::LOCALHOST)
}

/// `ip:port` of `name@ip:port`.
pub(crate) fn address_of(pid: &str) -> &str {
    pid.rsplit_once('@').map_or(pid, |(_, address)| address)
}
