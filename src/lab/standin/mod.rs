//! Daemons that behave as Mesos 0.13.0 and 0.14.2 were seen to.

use std::ffi::OsString;
use std::process::ExitCode;

use super::release::StandIn;

/// Versions that there is a stand-in for.
pub(crate) const VERSIONS: &[&str] = &["0.13.0", "0.14.2"];

/// Acts as a daemon until it ends, and gives its exit code.
pub(crate) fn act(_standin: &StandIn, _arguments: &[OsString]) -> ExitCode {
    ExitCode::FAILURE
}
