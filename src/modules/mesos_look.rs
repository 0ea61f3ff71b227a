//! What the Mesos modules ask of a cluster, and what comes back: masters, a host's own daemons and their logs, znodes.
//!
//! Not a module itself. Masters are asked over HTTP, each through its own host where this machine can't reach it.

use std::time::Duration;

use super::{Answer, Arguments, Controller, Failure, HttpRequest, Opt, OptKind, Question};
use crate::base::{Map, Output, Script, Value, to_text};
use crate::cluster::mesos::{
    Daemon, MasterAnswer, MasterZnode, SlaveState, Version, ZkUrl, command_line, parse_master, parse_slave,
    parse_znodes,
};

/// Options that all of them have.
pub(super) const MASTERS: Opt = Opt::new("masters", OptKind::Text, "the group of the masters").default("masters");
/// See [`MASTERS`].
pub(super) const SLAVES: Opt = Opt::new("slaves", OptKind::Text, "the group of the slaves").default("slaves");
/// See [`MASTERS`].
pub(super) const ZK: Opt =
    Opt::new("zk", OptKind::Text, "zk://host:port/path, if it is not to be read from the host's own flags");
/// See [`MASTERS`].
pub(super) const LOG: Opt = Opt::new("log", OptKind::List, "files with what the daemon says, besides the usual ones");

/// A daemon of the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its inventory name.
    pub(super) host: String,
    /// Where it is asked.
    pub(super) address: String,
    /// Its port.
    pub(super) port: u16,
}

impl Member {
    /// A host's daemon: `mesos_address`, else `ansible_host`, else its name; `mesos_master_port` or `mesos_slave_port`.
    pub(super) fn of(here: &dyn Controller, host: &str, daemon: Daemon) -> Self {
        let text =
            |name: &str| here.variable_of(host, name).map(|value| to_text(&value)).filter(|text| !text.is_empty());
        let (variable, usual) = match daemon {
            Daemon::Master => ("mesos_master_port", 5050),
            Daemon::Slave => ("mesos_slave_port", 5051),
        };
        Self {
            host: host.to_owned(),
            address: text("mesos_address").or_else(|| text("ansible_host")).unwrap_or_else(|| host.to_owned()),
            port: text(variable).and_then(|text| text.parse().ok()).unwrap_or(usual),
        }
    }

    /// Its address as a URL has it.
    pub(super) fn bracketed(&self) -> String {
        if self.address.contains(':') { format!("[{}]", self.address) } else { self.address.clone() }
    }

    /// Asks for its `state.json`. The parentheses stand as they are: percent-encoded the daemons answer 404.
    pub(super) fn ask(&self, daemon: Daemon) -> Question {
        let path = match daemon {
            Daemon::Master => "/master/state.json",
            Daemon::Slave => "/slave(1)/state.json",
        };
        let mut request = HttpRequest::get(format!("http://{}:{}{path}", self.bracketed(), self.port));
        request.timeout = Duration::from_secs(5);
        Question::Http { request, via: Some(self.host.clone()) }
    }
}

/// The masters of the inventory.
#[derive(Debug, Clone)]
pub(super) struct Masters(Vec<Member>);

impl Masters {
    /// From the group that the option names.
    pub(super) fn of(arguments: &Arguments, here: &dyn Controller) -> Result<Self, Failure> {
        let group = arguments.required("masters");
        let hosts = here.group(&group).unwrap_or_default();
        if hosts.is_empty() {
            return Err(Failure::new(format!(
                "the inventory has no hosts in the group `{group}`: name the group of the masters with `masters`"
            )));
        }
        Ok(Self(hosts.iter().map(|host| Member::of(here, host, Daemon::Master)).collect()))
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a host is one of them.
    pub(super) fn has(&self, host: &str) -> bool {
        self.0.iter().any(|member| member.host == host)
    }

    /// A question to each.
    pub(super) fn ask(&self) -> Vec<Question> {
        self.0.iter().map(|member| member.ask(Daemon::Master)).collect()
    }

    /// Their answers, in the same order.
    pub(super) fn read(&self, answers: &[Answer]) -> Vec<MasterAnswer> {
        let nothing = || Answer::Http(Err("was not asked".to_owned()));
        self.0
            .iter()
            .enumerate()
            .map(|(place, member)| MasterAnswer {
                host: member.host.clone(),
                state: body(answers.get(place).cloned().unwrap_or_else(nothing)).and_then(|body| parse_master(&body)),
            })
            .collect()
    }
}

/// The body of an answer of 200.
fn body(answer: Answer) -> Result<Vec<u8>, String> {
    match answer {
        Answer::Http(Ok(response)) if response.status == 200 => Ok(response.body),
        Answer::Http(Ok(response)) => Err(format!("{} answers {}", response.url, response.status)),
        Answer::Http(Err(why)) => Err(why),
        _ => Err("the answer is of another kind".to_owned()),
    }
}

/// A slave's own answer.
pub(super) fn read_slave(answer: Option<&Answer>) -> Result<SlaveState, String> {
    let answer = answer.cloned().ok_or_else(|| "was not asked".to_owned())?;
    body(answer).and_then(|body| parse_slave(&body))
}

/// A daemon's process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Process {
    /// Its process id.
    pub(super) pid: u32,
    parent: u32,
    /// Its start, in clock ticks since the host's boot: with the pid it names the process.
    pub(super) started: u64,
    /// What the process runs; with ` (deleted)` when the file is gone.
    pub(super) program: String,
    /// The release of the libmesos that it has mapped.
    pub(super) library: Option<String>,
    /// Its command line.
    pub(super) words: Vec<String>,
    /// Its variables `MESOS_…`: name and value.
    pub(super) environment: Vec<(String, String)>,
    /// The lines of the mesos.conf that it was pointed to: up to 0.12 it reads them.
    conf: Vec<(String, String)>,
}

impl Process {
    /// The flags in force: command line, environment, and mesos.conf.
    pub(super) fn flags(&self) -> Vec<(String, String)> {
        let from_environment = self
            .environment
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("MESOS_")?.to_ascii_lowercase(), value.clone())));
        let mut flags = command_line(&self.words);
        for (name, value) in from_environment.chain(self.conf.iter().cloned()) {
            if !flags.iter().any(|(given, _)| *given == name) {
                flags.push((name, value));
            }
        }
        flags
    }

    /// The version that its files tell: the libmesos that it has mapped, else a folder of its path named after a version. Before 0.13
    /// no endpoint says it.
    pub(super) fn version(&self) -> Option<Version> {
        let path = self.program.split(" (deleted)").next().unwrap_or_default();
        let folders = path.split('/').map(|folder| folder.trim_start_matches("mesos-"));
        self.library.as_deref().into_iter().chain(folders).find_map(|text| {
            let numbers = text.split('.').count() == 3 && text.starts_with(|c: char| c.is_ascii_digit());
            Version::parse(text).ok().filter(|_| numbers)
        })
    }

    /// The flags of its command line, each with its word.
    pub(super) fn own_flags(&self) -> impl Iterator<Item = (String, String)> {
        self.words.iter().skip(1).filter_map(|word| {
            let (name, _) = command_line(&["".to_owned(), word.clone()]).pop()?;
            Some((name, word.clone()))
        })
    }

    /// One flag in force.
    pub(super) fn flag(&self, name: &str) -> Option<String> {
        self.flags().into_iter().find(|(given, _)| given == name).map(|(_, value)| value)
    }
}

/// What a host says of a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Local {
    /// Processes by program: `mesos-master`, `mesos-slave`.
    pub(super) processes: Vec<(Daemon, Process)>,
    /// Seconds since the host's boot.
    pub(super) uptime: Option<u64>,
    /// The last lines of the daemon's logs that were written to in the last minutes.
    pub(super) log: String,
}

impl Local {
    /// The daemon's process: the parent, where it has forked.
    pub(super) fn process(&self, daemon: Daemon) -> Option<&Process> {
        let of = |parent: u32| self.processes.iter().any(|(other, process)| *other == daemon && process.pid == parent);
        self.processes
            .iter()
            .find(|(other, process)| *other == daemon && !of(process.parent))
            .map(|(_, process)| process)
    }
}

/// Looks for both daemons among the processes, and reads what `daemon` said last. Built-ins only where it loops over processes.
pub(super) fn look(daemon: Option<Daemon>, logs: &[String]) -> Question {
    let mut script = Script::new().line(
        r#"read -r uptime idle 2>/dev/null </proc/uptime && printf 'T %s\n' "${uptime%%.*}"
for folder in /proc/[0-9]*; do
  read -r stat 2>/dev/null <"$folder/stat" || continue
  case $stat in
    *"(mesos-master)"*|*"(lt-mesos-master)"*) kind=master;;
    *"(mesos-slave)"*|*"(lt-mesos-slave)"*|*"(mesos-agent)"*) kind=slave;;
    *) continue;;
  esac
  rest=${stat##*") "}
  set -- $rest
  [ "$1" = Z ] && continue
  shift
  printf 'P %s %s %s' "$kind" "${folder#/proc/}" "$1"
  shift 18
  printf ' %s\n' "$1"
  printf 'X %s\n' "$(readlink "$folder/exe" 2>/dev/null)"
  sed -n 's/.*libmesos-\([0-9][0-9.]*[0-9]\)\.so.*/M \1/p' "$folder/maps" 2>/dev/null | sed -n 1p
  tr '\0\n' '\n ' 2>/dev/null <"$folder/cmdline" | sed 's/^/A /'
  tr '\0' '\n' 2>/dev/null <"$folder/environ" | sed -n 's/^MESOS_/V MESOS_/p'
  conf=$({ tr '\0' '\n' <"$folder/cmdline" | sed -n 's/^--conf=//p'; tr '\0' '\n' <"$folder/environ" | sed -n 's/^MESOS_CONF=//p'; } 2>/dev/null)
  [ -z "$conf" ] || sed -n 's/^ *\([^#= ]*\) *= *\([^#]*\).*$/C \1=\2/p' "${conf%%[!-a-zA-Z0-9_./]*}/mesos.conf" 2>/dev/null
done"#,
    );
    if let Some(daemon) = daemon {
        let program = daemon.program();
        let mut files: Vec<String> = logs.to_vec();
        files.extend([
            format!("/var/log/mesos/{program}.INFO"),
            format!("/var/log/{program}.log"),
            format!("/var/log/upstart/{program}.log"),
            format!("/var/log/mesos/{program}.log"),
            format!("/var/log/mesos/{program}.err"),
        ]);
        // A log that nobody wrote to since minutes says nothing of this start.
        script = script.set("program", program).arguments(files.iter().map(String::as_str)).line(
            r#"now=$(date +%s)
for file in "$@"; do
  [ -r "$file" ] || continue
  written=$(date -r "$file" +%s 2>/dev/null) || continue
  [ $((now - written)) -le 300 ] && tail -n 60 "$file" | cut -c 1-500 | sed 's/^/L /'
done
if command -v journalctl >/dev/null 2>&1; then
  journalctl -u "$program" -n 60 --since -300s --no-pager -o cat 2>/dev/null | cut -c 1-500 | sed 's/^/L /'
fi
for file in /var/log/syslog /var/log/messages; do
  [ -r "$file" ] && tail -n 400 "$file" | grep "$program" | tail -n 60 | cut -c 1-500 | sed 's/^/L /'
done"#,
        );
    }
    Question::Script(script.line("printf 'Z\\n'"))
}

/// Reads what [`look`] printed.
///
/// # Errors
/// The host is out of reach, or the output is cut.
pub(super) fn read_local(answer: Option<&Answer>) -> Result<Local, String> {
    let output: &Output = match answer {
        Some(Answer::Script(Ok(output))) => output,
        Some(Answer::Script(Err(why))) => return Err(why.clone()),
        _ => return Err("was not asked".to_owned()),
    };
    let mut local = Local::default();
    let text = output.out();
    let mut whole = false;
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "T" => local.uptime = rest.parse().ok(),
            "P" => local.processes.extend(read_process(rest)),
            "L" => {
                local.log.push_str(rest);
                local.log.push('\n');
            }
            "Z" => whole = true,
            _ => {
                if let Some((_, process)) = local.processes.last_mut() {
                    match word {
                        "X" => rest.clone_into(&mut process.program),
                        "M" => process.library = Some(rest.to_owned()),
                        "A" => process.words.push(rest.to_owned()),
                        "V" => process
                            .environment
                            .extend(rest.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))),
                        "C" => process.conf.extend(
                            rest.split_once('=')
                                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim_end().to_owned())),
                        ),
                        _ => {}
                    }
                }
            }
        }
    }
    if whole { Ok(local) } else { Err(format!("the look at the processes was cut off (status {})", output.status)) }
}

fn read_process(rest: &str) -> Option<(Daemon, Process)> {
    let mut words = rest.split(' ');
    let daemon = Daemon::parse(words.next()?)?;
    let pid = words.next()?.parse().ok()?;
    let parent = words.next()?.parse().ok()?;
    let started = words.next()?.parse().ok()?;
    Some((daemon, Process { pid, parent, started, ..Process::default() }))
}

/// Asks `ZooKeeper` for the masters' znodes.
pub(super) fn ask_znodes(url: &ZkUrl, via: &str) -> Question {
    Question::Children { servers: url.servers.clone(), path: url.path.clone(), via: Some(via.to_owned()) }
}

/// The znodes in an answer.
pub(super) fn read_znodes(answer: Option<&Answer>) -> Result<Vec<MasterZnode>, String> {
    match answer {
        Some(Answer::Children(Ok(children))) => {
            Ok(parse_znodes(children.iter().map(|child| (child.name.as_str(), child.data.as_slice()))))
        }
        Some(Answer::Children(Err(why))) => Err(why.clone()),
        _ => Err("was not asked".to_owned()),
    }
}

/// What `mesos_facts` saw of this host before: the variable `mesos`.
#[derive(Debug, Clone, Default)]
pub(super) struct Before(Option<Value>);

impl Before {
    /// Reads the variable.
    pub(super) fn of(here: &dyn Controller) -> Self {
        Self(here.variable("mesos").filter(Value::is_object))
    }

    /// Whether there are facts at all.
    pub(super) fn known(&self) -> bool {
        self.0.is_some()
    }

    /// A value at a path.
    pub(super) fn at(&self, path: &str) -> Option<&Value> {
        self.0.as_ref()?.pointer(path).filter(|value| !value.is_null())
    }

    /// A text at a path.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        self.at(path).and_then(Value::as_str).map(str::to_owned)
    }

    /// The entries of a list.
    pub(super) fn list(&self, path: &str) -> &[Value] {
        self.at(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a process is the one that ran then.
    pub(super) fn same_process(&self, daemon: Daemon, process: &Process) -> bool {
        let at = |key: &str| self.at(&format!("/{}/process/{key}", daemon.word())).and_then(Value::as_u64);
        at("pid") == Some(u64::from(process.pid)) && at("started") == Some(process.started)
    }

    /// Where the masters register, by those facts.
    pub(super) fn zk(&self) -> Option<ZkUrl> {
        let servers: Vec<String> =
            self.list("/zk/servers").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let path = self.text("/zk/path")?;
        (!servers.is_empty()).then_some(ZkUrl { servers, path })
    }
}

/// A text of an entry of a list of facts.
pub(super) fn field<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The `ZooKeeper` URL of an option.
///
/// # Errors
/// It isn't one.
pub(super) fn zk_option(arguments: &Arguments) -> Result<Option<ZkUrl>, Failure> {
    match arguments.text("zk").filter(|text| !text.is_empty()) {
        Some(text) => ZkUrl::parse(&text).map(Some).map_err(Failure::new),
        None => Ok(None),
    }
}

/// The `ZooKeeper` URL that a host's daemons run with.
pub(super) fn zk_of(local: &Local) -> Option<ZkUrl> {
    let of = |daemon, flag: &str| local.process(daemon).and_then(|process| process.flag(flag));
    let text = of(Daemon::Master, "zk").or_else(|| of(Daemon::Slave, "master"))?;
    ZkUrl::parse(&text).ok()
}

/// A URL as facts have it: without credentials.
pub(super) fn zk_value(url: &ZkUrl) -> Value {
    let mut map = Map::new();
    map.insert("servers".to_owned(), url.servers.clone().into());
    map.insert("path".to_owned(), url.path.clone().into());
    Value::Object(map)
}

/// `one, two and three`, at most `most` of them.
pub(super) fn enumerate(names: &[String], most: usize) -> String {
    let shown = names.len().min(most);
    let text = names.iter().take(shown).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > shown { format!("{text} and {} more", names.len() - shown) } else { text }
}

#[cfg(test)]
mod tests;
