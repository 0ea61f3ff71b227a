//! `wait_for`: waits for a port or a file, from the task's host.
//!
//! It can't know: whether a port that does not answer is closed or behind a firewall (both count as stopped, as in
//! Ansible). Of a file larger than a MiB only the last MiB is searched.

mod sockets;

use std::net::IpAddr;
use std::time::Duration;

use fancy_regex::Regex;

use super::{
    Answer, Arguments, Bound, Controller, Failure, Gate, ModuleSpec, Opt, OptKind, Question, Rule, Timing, Verdict,
};
use crate::base::{Map, Output, Script, Value, render_duration};

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "wait_for",
    aliases: &[],
    summary: "waits for a port or a file, as the host sees them",
    options: &[
        Opt::new("host", OptKind::Text, "whose port, as the host resolves it").default("127.0.0.1"),
        Opt::new("port", OptKind::Int, "which port"),
        Opt::new("path", OptKind::Path, "which file"),
        Opt::new(
            "state",
            OptKind::Choice(&["started", "stopped", "present", "absent", "drained"]),
            "started and present: it is there; stopped and absent: it is not; drained: no connection to the port is left",
        )
        .default("started"),
        Opt::new("timeout", OptKind::Duration, "how long to wait at most").default("300"),
        Opt::new("delay", OptKind::Duration, "wait so long before the first look").default("0"),
        Opt::new("sleep", OptKind::Duration, "pause between two looks").default("1"),
        Opt::new("connect_timeout", OptKind::Duration, "how long one connection may take").default("5"),
        Opt::new("search_regex", OptKind::Text, "must be found in the file, or in what the port says first"),
        Opt::new("exclude_hosts", OptKind::List, "addresses whose connections don't count for drained"),
        Opt::new("active_connection_states", OptKind::List, "which connections count for drained")
            .default("ESTABLISHED,FIN_WAIT1,FIN_WAIT2,SYN_RECV,SYN_SENT,TIME_WAIT"),
        Opt::new("msg", OptKind::Text, "what to say when the time is over"),
    ],
    free_form: None,
    open: false,
    rules: &[
        Rule::AtMostOne(&["port", "path"]),
        Rule::When("state", "drained", &["port"]),
        Rule::When("state", "stopped", &["port"]),
    ],
    check: None,
    build,
};

#[derive(Debug)]
struct WaitFor {
    target: Target,
    gone: bool,
    state: String,
    regex: Option<Regex>,
    search: Option<String>,
    timeout: Duration,
    delay: Duration,
    sleep: Duration,
    message: Option<String>,
}

#[derive(Debug)]
enum Target {
    Port { host: String, port: u16, within: Duration },
    Path(String),
    Drained { host: String, port: u16, exclude: Vec<String>, states: Vec<u8> },
    Time,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    let state = arguments.required("state");
    let search = arguments.text("search_regex");
    if arguments.has("exclude_hosts") && state != "drained" {
        return Err(Failure::new("`exclude_hosts` goes with `state: drained` only"));
    }
    let gone = state == "stopped" || state == "absent";
    if search.is_some() && (gone || state == "drained") {
        return Err(Failure::new(format!("`search_regex` does not go with `state: {state}`")));
    }
    let regex = match &search {
        Some(text) => Some(
            Regex::new(&format!("(?m){text}"))
                .map_err(|error| Failure::new(format!("`search_regex` is no regular expression: {error}")))?,
        ),
        None => None,
    };
    let span = |name: &str| arguments.duration(name).unwrap_or_default();
    Ok(Bound::Gate(Box::new(WaitFor {
        target: target(arguments, &state)?,
        gone,
        state,
        regex,
        search,
        timeout: span("timeout"),
        delay: span("delay"),
        sleep: span("sleep"),
        message: arguments.text("msg"),
    })))
}

fn target(arguments: &Arguments, state: &str) -> Result<Target, Failure> {
    if let Some(path) = arguments.text("path") {
        return match state {
            "drained" | "stopped" => Err(Failure::new(format!("`state: {state}` is for a port, not for a path"))),
            _ => Ok(Target::Path(path)),
        };
    }
    let Some(port) = arguments.int("port") else { return Ok(Target::Time) };
    let port = u16::try_from(port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| Failure::new(format!("`port` must be between 1 and 65535, not {port}")))?;
    let host = arguments.required("host");
    if state != "drained" {
        let within = arguments.duration("connect_timeout").unwrap_or_default();
        return Ok(Target::Port { host, port, within });
    }
    let mut states = Vec::new();
    for name in arguments.list("active_connection_states") {
        match sockets::STATES.iter().find(|(known, _)| *known == name) {
            Some((_, number)) => states.push(*number),
            None => return Err(Failure::new(format!("`active_connection_states`: unknown state `{name}`"))),
        }
    }
    Ok(Target::Drained { host, port, exclude: arguments.list("exclude_hosts"), states })
}

/// The kernel's table of TCP sockets, and before it the addresses of `names` (a line `name address` each).
fn sockets_script(names: &[&str]) -> Script {
    Script::new()
        .arguments(names.iter().copied())
        .line("for name in \"$@\"; do")
        .line("  { getent ahosts \"$name\" 2>/dev/null || awk -v n=\"$name\" '{ for (i = 2; i <= NF; i++) if ($i == n) print $1 }' /etc/hosts; } |")
        .line("    while read -r address rest; do echo \"address $name $address\"; done")
        .line("done")
        .line("cat /proc/net/tcp 2>/dev/null && { cat /proc/net/tcp6 2>/dev/null || :; }")
}

fn path_script(path: &str, content: bool) -> Script {
    let script = Script::new()
        .set("path", path)
        .line("case $path in '~') path=$HOME ;; '~/'*) path=$HOME/${path#??} ;; esac")
        .line("if [ -e \"$path\" ]; then echo present")
        .line("else case $(LC_ALL=C ls -dL \"$path\" 2>&1) in *'ermission denied'*) echo denied ;; *) echo absent ;; esac; fi");
    if content { script.line("[ -f \"$path\" ] && tail -c 1048576 \"$path\"; :") } else { script }
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

/// Whether a failed connection says that sshd forwards none, which proves nothing about the port.
fn forwarding_is_off(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    reason.contains("prohibited") || reason.contains("unknown channel type")
}

impl WaitFor {
    fn place(&self) -> String {
        match &self.target {
            Target::Port { host, port, .. } | Target::Drained { host, port, .. } => format!("{host}:{port}"),
            Target::Path(path) => path.clone(),
            Target::Time => String::new(),
        }
    }

    fn ready(&self, groups: Groups, elapsed: Duration) -> Verdict {
        let (port, path) = match &self.target {
            Target::Port { port, .. } | Target::Drained { port, .. } => (Value::from(*port), Value::Null),
            Target::Path(path) => (Value::Null, Value::from(path.clone())),
            Target::Time => (Value::Null, Value::Null),
        };
        let mut result = Map::new();
        result.insert("state".to_owned(), Value::from(self.state.clone()));
        result.insert("port".to_owned(), port);
        result.insert("search_regex".to_owned(), self.search.clone().map_or(Value::Null, Value::from));
        result.insert("match_groups".to_owned(), Value::Array(groups.all));
        result.insert("match_groupdict".to_owned(), Value::Object(groups.named));
        result.insert("path".to_owned(), path);
        result.insert("elapsed".to_owned(), Value::from(elapsed.as_secs()));
        Verdict::Ready(result)
    }

    fn search(&self, bytes: &[u8], elapsed: Duration, nothing: String) -> Verdict {
        let Some(regex) = &self.regex else { return self.ready(Groups::default(), elapsed) };
        let text = String::from_utf8_lossy(bytes);
        match regex.captures(text.as_ref()) {
            Ok(Some(found)) => {
                let value =
                    |part: Option<fancy_regex::Match<'_>>| part.map_or(Value::Null, |m| Value::from(m.as_str()));
                let all = (1..found.len()).map(|place| value(found.get(place))).collect();
                let named =
                    regex.capture_names().flatten().map(|name| (name.to_owned(), value(found.name(name)))).collect();
                self.ready(Groups { all, named }, elapsed)
            }
            Ok(None) => Verdict::NotYet(nothing),
            Err(error) => Verdict::Never(Failure::new(format!("`search_regex`: {error}"))),
        }
    }

    fn judge_port(&self, answers: &[Answer], elapsed: Duration) -> Verdict {
        let place = self.place();
        let table = answers.iter().find_map(|answer| match answer {
            Answer::Script(table) => Some(table),
            _ => None,
        });
        if self.gone
            && let Some(Err(reason)) = table
        {
            return Verdict::NotYet(format!("the host can't be asked: {reason}"));
        }
        let connected = match answers.first() {
            Some(Answer::Connect(connected)) => connected,
            _ => return Verdict::NotYet(format!("nothing is known of {place}")),
        };
        match connected {
            Ok(_) if self.gone => Verdict::NotYet(format!("{place} still answers")),
            Ok(said) => {
                let pattern = self.search.as_deref().unwrap_or_default();
                self.search(said, elapsed, format!("{place} answers, but `{pattern}` is not in what it says"))
            }
            Err(reason) if forwarding_is_off(reason) => self.judge_table(table, reason, elapsed),
            Err(_) if self.gone => self.ready(Groups::default(), elapsed),
            Err(reason) => Verdict::NotYet(format!("{place} does not answer: {reason}")),
        }
    }

    /// Where no connection can be made through sshd, the kernel's table tells whether something listens.
    fn judge_table(&self, table: Option<&Result<Output, String>>, reason: &str, elapsed: Duration) -> Verdict {
        let (Target::Port { host, port, .. }, Some(Ok(output)), true) = (&self.target, table, self.regex.is_none())
        else {
            return Verdict::Never(Failure::new(format!(
                "{} can't be tried: sshd on the host forwards no connections ({reason}); set AllowTcpForwarding there, \
                 or wait for the port of the host itself, without `search_regex`",
                self.place()
            )));
        };
        let wanted: Option<IpAddr> = host.parse().ok();
        let listens = sockets::parse(&output.out()).iter().any(|socket| {
            let (ip, local) = socket.local;
            let same = ip.is_unspecified() || ip.is_loopback() && wanted.is_none_or(|w| w.is_unspecified() || w == ip);
            socket.state == sockets::LISTEN && local == *port && same
        });
        match (listens, self.gone) {
            (true, false) | (false, true) => self.ready(Groups::default(), elapsed),
            (true, true) => Verdict::NotYet(format!("something still listens on {host}:{port}")),
            (false, false) => Verdict::NotYet(format!("nothing listens on {host}:{port}")),
        }
    }

    fn judge_path(&self, path: &str, output: &Output, elapsed: Duration) -> Verdict {
        let end = output.stdout.iter().position(|b| *b == b'\n').unwrap_or(output.stdout.len());
        let (found, rest) = output.stdout.split_at(end);
        match (found, self.gone) {
            (b"present", true) => Verdict::NotYet(format!("{path} is still there")),
            (b"present", false) => {
                let pattern = self.search.as_deref().unwrap_or_default();
                self.search(rest.get(1..).unwrap_or_default(), elapsed, format!("`{pattern}` is not in {path}"))
            }
            (b"absent", true) => self.ready(Groups::default(), elapsed),
            (b"absent", false) => Verdict::NotYet(format!("{path} is not there")),
            (b"denied", _) => Verdict::Never(
                Failure::new(format!("{path} can't be looked at: permission denied; should this task become root?"))
                    .with("elapsed", elapsed.as_secs()),
            ),
            _ => Verdict::NotYet(format!("{path} can't be looked at: {}", output.err().trim())),
        }
    }

    fn judge_drained(&self, output: &Output, elapsed: Duration) -> Verdict {
        let Target::Drained { host, port, exclude, states } = &self.target else {
            return Verdict::NotYet(String::new());
        };
        if output.status != 0 {
            return Verdict::Never(Failure::new("the host has no /proc/net/tcp: its connections can't be counted"));
        }
        let text = output.out();
        let resolved: Vec<(&str, IpAddr)> = text
            .lines()
            .filter_map(|line| line.strip_prefix("address ")?.split_once(' '))
            .filter_map(|(name, ip)| Some((name, ip.parse().ok()?)))
            .collect();
        let addresses = |name: &str| -> Vec<IpAddr> {
            match name.parse::<IpAddr>() {
                Ok(ip) => vec![ip.to_canonical()],
                Err(_) => resolved.iter().filter(|(n, _)| *n == name).map(|(_, ip)| ip.to_canonical()).collect(),
            }
        };
        let own = addresses(host);
        let mut excluded = Vec::new();
        for name in std::iter::once(host).chain(exclude) {
            let found = addresses(name);
            if found.is_empty() {
                return Verdict::Never(Failure::new(format!("the host can't resolve `{name}`: give its address")));
            }
            if name != host || exclude.contains(name) {
                excluded.extend(found);
            }
        }
        let open = sockets::parse(&text)
            .iter()
            .filter(|socket| socket.local.1 == *port && states.contains(&socket.state))
            .filter(|socket| own.iter().any(|ip| ip.is_unspecified() || *ip == socket.local.0))
            .filter(|socket| !excluded.contains(&socket.remote.0))
            .count();
        match open {
            0 => self.ready(Groups::default(), elapsed),
            1 => Verdict::NotYet(format!("1 connection to {} is left", self.place())),
            many => Verdict::NotYet(format!("{many} connections to {} are left", self.place())),
        }
    }
}

#[derive(Default)]
struct Groups {
    all: Vec<Value>,
    named: Map,
}

impl Gate for WaitFor {
    fn timing(&self) -> Timing {
        // Waiting for nothing but time ends well when the time is over, so it may be looked at once more after it.
        let within = match self.target {
            Target::Time => self.timeout + self.delay + self.sleep + Duration::from_secs(60),
            _ => self.timeout,
        };
        Timing { delay: self.delay, within, every: self.sleep }
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        match (&self.target, answers) {
            (Target::Time, _) => Vec::new(),
            (Target::Path(path), []) => vec![Question::Script(path_script(path, self.regex.is_some()))],
            (Target::Drained { host, exclude, .. }, []) => {
                let names: Vec<&str> = std::iter::once(host)
                    .chain(exclude)
                    .map(String::as_str)
                    .filter(|n| n.parse::<IpAddr>().is_err())
                    .collect();
                vec![Question::Script(sockets_script(&names))]
            }
            (Target::Port { host, port, within }, []) => {
                let read = if self.regex.is_some() { 65536 } else { 0 };
                let mut asked = vec![Question::Connect { host: host.clone(), port: *port, within: *within, read }];
                // A refused connection means that the port is closed only if the host itself answers.
                if self.gone {
                    asked.push(Question::Script(sockets_script(&[])));
                }
                asked
            }
            (Target::Port { host, .. }, [Answer::Connect(Err(reason))])
                if forwarding_is_off(reason) && is_here(host) =>
            {
                vec![Question::Script(sockets_script(&[]))]
            }
            _ => Vec::new(),
        }
    }

    fn judge(&self, answers: &[Answer], _memory: &mut Value, elapsed: Duration) -> Verdict {
        match (&self.target, answers.first()) {
            (Target::Time, _) if elapsed >= self.timeout => self.ready(Groups::default(), elapsed),
            (Target::Time, _) => Verdict::NotYet(format!("waiting {}", render_duration(self.timeout))),
            (Target::Port { .. }, _) => self.judge_port(answers, elapsed),
            (Target::Path(path), Some(Answer::Script(Ok(output)))) => self.judge_path(path, output, elapsed),
            (Target::Drained { .. }, Some(Answer::Script(Ok(output)))) => self.judge_drained(output, elapsed),
            (_, Some(Answer::Script(Err(reason)))) => Verdict::NotYet(format!("the host can't be asked: {reason}")),
            _ => Verdict::NotYet("nothing is known yet".to_owned()),
        }
    }

    fn expired(&self, why: &str, elapsed: Duration) -> Failure {
        let place = self.place();
        let waited = match (&self.target, self.gone, &self.search) {
            (Target::Drained { .. }, ..) => format!("{place} to drain"),
            (Target::Port { .. }, true, _) => format!("{place} to stop"),
            (Target::Path(_), true, _) => format!("{place} to be absent"),
            (_, false, Some(regex)) => format!("search string {regex} in {place}"),
            (Target::Path(_), false, None) => format!("file {place}"),
            _ => place,
        };
        let message = match &self.message {
            Some(message) => message.clone(),
            None => format!("Timeout when waiting for {waited} (waited {}): {why}", render_duration(elapsed)),
        };
        Failure::new(message).with("elapsed", elapsed.as_secs()).with("why", why)
    }
}

#[cfg(test)]
mod tests;
