//! Who leads, asked of the masters themselves.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::spec::LabSpec;

const PORT: u16 = 5050;
const PATIENCE: Duration = Duration::from_secs(2);

/// The host whose master says that it leads, and its version. A standby's word is not asked: for seconds it repeats the dead leader's name.
pub(crate) fn leader(lab: &LabSpec) -> Option<(String, String)> {
    let masters = lab.hosts.iter().filter(|host| host.daemons.iter().any(|name| name == "mesos-master"));
    masters.filter_map(|host| Some((host, state_of(host.address)?))).find_map(|(host, state)| {
        let own = state["pid"].as_str()?;
        (state["leader"].as_str() == Some(own))
            .then(|| (host.name.clone(), state["version"].as_str().unwrap_or_default().to_owned()))
    })
}

fn state_of(address: Ipv4Addr) -> Option<Value> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, PORT)), PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET /master/state.json HTTP/1.1\r\nHost: master\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
}
