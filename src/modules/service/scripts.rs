//! The scripts that ask and tell a service's manager. Fixed text; what people wrote comes in as shell variables.

use super::{Daemon, Service};
use crate::base::Script;

const COMMON: &str = include_str!("common.sh");
const SYSTEMD: &str = include_str!("systemd.sh");
const UPSTART: &str = include_str!("upstart.sh");
const SYSVINIT: &str = include_str!("sysvinit.sh");
const DAEMON: &str = include_str!("daemon.sh");
const PROBE: &str = include_str!("probe.sh");

/// Asks which manager knows the service, and what it says of it.
pub(super) fn probe(service: &Service) -> Script {
    identity(service, service.manager.as_str())
        .line(COMMON)
        .line(SYSTEMD)
        .line(UPSTART)
        .line(SYSVINIT)
        .line(DAEMON)
        .line(PROBE)
}

/// Tells a manager what to do. `verb` is one of ours.
pub(super) fn act(service: &Service, manager: &str, verb: Verb) -> Script {
    let script = settings(service, manager).line(COMMON);
    let script = match manager {
        "systemd" => script.line(SYSTEMD),
        "upstart" => script.line(UPSTART),
        "daemon" => script.line(DAEMON),
        _ => script.line(SYSVINIT),
    };
    script.line(match verb {
        Verb::Start => "start",
        Verb::Stop => "stop",
        Verb::Restart => "restart",
        Verb::Reload => "reload",
        Verb::Enable => "words=; captured \"${manager}_enable\" || fail \"$name could not be enabled\"",
        Verb::Disable => "words=; captured \"${manager}_disable\" || fail \"$name could not be disabled\"",
    })
}

/// What a manager can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Start,
    Stop,
    Restart,
    Reload,
    Enable,
    Disable,
}

/// What identifies the service: all that the probe needs, so that tasks which want other things of it ask the same.
fn identity(service: &Service, manager: &str) -> Script {
    Script::new()
        .set("name", &service.name)
        .set("manager", manager)
        .set("pattern", service.pattern.as_deref().unwrap_or_default())
        .set("pidfile", service.daemon.as_ref().map(|daemon| daemon.pidfile.as_str()).unwrap_or_default())
        .set("scope", service.scope)
        .set("root", &service.root)
        .line("extra=")
}

fn settings(service: &Service, manager: &str) -> Script {
    let seconds = |duration: std::time::Duration| duration.as_secs_f64().ceil().to_string();
    let script = identity(service, manager)
        .set("extra", &service.extra)
        .set("flags", &service.flags)
        .set("wait", if service.wait { "yes" } else { "no" })
        .set("pause", &service.pause.map(seconds).unwrap_or_default())
        .set("stop_limit", &seconds(service.stop_limit))
        .set("start_limit", &seconds(service.start_limit))
        .set("settle", &service.settle.as_secs_f64().to_string());
    match &service.daemon {
        None => script,
        Some(Daemon { program, user, signal, log, .. }) => script
            .set("program", program)
            .set("user", user.as_deref().unwrap_or_default())
            .set("signal", signal)
            .set("log", log),
    }
}
