//! Daemons that behave as Mesos 0.11.0 to 0.15.0 were seen to: their flags and refusals, their HTTP bodies, election through
//! a real ZooKeeper, slaves that come, go and recover, a framework with tasks and executors that are processes.
//!
//! Between themselves they speak lines of JSON where the real ones speak protobuf: nobody else listens there.
//! Their times can be scaled by `STAGGER_LAB_TIME`, a rehearsal's own variable.

mod configurator;
mod credentials;
mod daemon;
mod dcos;
mod era;
mod executor;
mod flags;
mod glog;
mod hub;
mod json;
mod master;
mod resources;
mod scheduler;
mod slave;
#[cfg(test)]
mod tests;
mod zk;

pub(crate) use self::dcos::{Setup as DcosSetup, run as dcos};

use std::ffi::OsString;
use std::process::ExitCode;

use super::release::StandIn;

/// Versions that there is a stand-in for.
pub(crate) const VERSIONS: &[&str] = &["0.11.0", "0.12.1", "0.13.0", "0.14.2", "0.15.0"];

/// A slave whose launcher_dir is empty starts its own file as the executor, and says so by this variable.
const ACT_AS: &str = "STAGGER_LAB_ACT_AS";

/// Acts as a daemon until it ends, and gives its exit code.
pub(crate) fn act(standin: &StandIn, arguments: &[OsString]) -> ExitCode {
    let program = std::env::var(ACT_AS).unwrap_or_else(|_| standin.program.clone());
    let arguments: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let environment: Vec<(String, String)> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    match program.as_str() {
        "mesos-master" | "mesos-slave" => match flags::load(&program, &standin.version, &arguments, &environment) {
            Ok(flags) if program == "mesos-master" => master::run(&standin.version, flags),
            Ok(flags) => slave::run(&standin.version, flags),
            Err(refusal) => {
                let _ = std::io::Write::write_all(&mut std::io::stderr(), refusal.said.as_bytes());
                if refusal.aborts {
                    std::process::abort();
                }
                ExitCode::FAILURE
            }
        },
        "mesos-executor" => executor::run(),
        _ => scheduler::run(&standin.version),
    }
}

/// The URL that `--zk` or `--master` means: `file://` holds it on its first line. None when it is no ZooKeeper's.
fn zk_url(value: &str) -> Option<String> {
    let value = match value.strip_prefix("file://") {
        Some(path) => std::fs::read_to_string(path).ok()?.lines().next()?.trim().to_owned(),
        None => value.trim().to_owned(),
    };
    value.starts_with("zk://").then_some(value)
}

/// Any body can be asked for as a script.
fn wrap_jsonp(body: String, query: &str) -> hub::Response {
    match query.split('&').find_map(|pair| pair.strip_prefix("jsonp=")) {
        Some(name) => hub::Response {
            status: "200 OK",
            headers: vec![("Content-Type", "text/javascript".to_owned())],
            body: format!("{name}({body});"),
        },
        None => hub::Response::json(body),
    }
}
