//! Where a host keeps a daemon's flags, and what they are: the four conventions that are in use.

use std::collections::{BTreeMap, BTreeSet};

use super::origin::{Channel, Origin};
use super::{Daemon, Version, shell_file};

/// How a host gives a daemon its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Convention {
    /// Mesosphere's packages: a file a flag in `/etc/mesos-slave/`, besides what `/etc/default/` says.
    FlagFiles,
    /// `/etc/default/mesos` and `/etc/default/mesos-slave` alone.
    Defaults,
    /// mesos.conf, which releases up to 0.12 read.
    ConfigFile,
    /// The deploy scripts' `mesos-slave-env.sh`, which releases from 0.14 on come with.
    DeployEnvironment,
}

impl Convention {
    /// The words of the option, in order.
    pub(crate) const WORDS: &'static [&'static str] = &["auto", "files", "defaults", "conf", "deploy"];

    /// Reads an option's word; `None` for `auto`.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "files" => Some(Self::FlagFiles),
            "defaults" => Some(Self::Defaults),
            "conf" => Some(Self::ConfigFile),
            "deploy" => Some(Self::DeployEnvironment),
            _ => None,
        }
    }

    /// The option's word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::FlagFiles => "files",
            Self::Defaults => "defaults",
            Self::ConfigFile => "conf",
            Self::DeployEnvironment => "deploy",
        }
    }
}

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paths {
    /// The folder of flag files.
    pub(crate) folder: String,
    /// The defaults file of both daemons, then the daemon's own, in the order in which they are read.
    pub(crate) defaults: [String; 2],
    /// What `` `cat /etc/mesos/zk` `` reads.
    pub(crate) zk: String,
    /// mesos.conf.
    pub(crate) conf: String,
    /// The deploy scripts' environment file of the daemon.
    pub(crate) deploy: String,
    /// The deploy scripts' `mesos-daemon.sh`, which starts both daemons.
    pub(crate) starter: String,
    /// The init wrapper of Mesosphere's packages.
    pub(crate) wrapper: String,
}

impl Paths {
    /// The usual places.
    pub(crate) fn usual(daemon: Daemon) -> Self {
        let program = daemon.program();
        Self {
            folder: format!("/etc/{program}"),
            defaults: ["/etc/default/mesos".to_owned(), format!("/etc/default/{program}")],
            zk: "/etc/mesos/zk".to_owned(),
            conf: "/usr/local/var/mesos/conf/mesos.conf".to_owned(),
            deploy: format!("/usr/local/var/mesos/deploy/{program}-env.sh"),
            starter: "/usr/local/sbin/mesos-daemon.sh".to_owned(),
            wrapper: "/usr/bin/mesos-init-wrapper".to_owned(),
        }
    }

    /// What [`starter`](Self::starter) was before it was changed.
    pub(crate) fn old_starter(&self) -> String {
        format!("{}.before-0.13", self.starter)
    }

    /// Every path that may be a file of interest, but for those in the folder.
    pub(crate) fn files(&self) -> Vec<String> {
        let [both, own] = self.defaults.clone();
        vec![
            both,
            own,
            self.zk.clone(),
            self.conf.clone(),
            self.deploy.clone(),
            self.starter.clone(),
            self.old_starter(),
        ]
    }
}

/// What is on a host: the files of all conventions. Edits are made to a copy of it, which is then read again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Host {
    /// Files by path.
    pub(crate) files: BTreeMap<String, String>,
    /// Folders that are there.
    pub(crate) folders: BTreeSet<String>,
    /// Whether the init wrapper is there.
    pub(crate) wrapper: bool,
    /// Flags on the supervisor's own command line, `--name=value` each.
    pub(crate) supervisor: Vec<String>,
}

/// One flag as the daemon would get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Its name, lower case, without `--`, `no-` or `MESOS_`.
    pub(crate) name: String,
    /// Its value; `None` when only a shell can know it.
    pub(crate) value: Option<String>,
    /// Given as `--name` or `--no-name`, without a value.
    pub(crate) switch: bool,
    /// How it reaches the daemon.
    pub(crate) channel: Channel,
    /// Where it is written.
    pub(crate) origin: Origin,
}

/// A host's flags of one daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// How it gives them.
    pub(crate) convention: Convention,
    /// All of them, in the order in which the daemon gets them.
    pub(crate) settings: Vec<Setting>,
    /// Lines that could not be read: path and line.
    pub(crate) unread: Vec<String>,
    /// What was not taken over from a file that the version does not read, a sentence each.
    pub(crate) left_out: Vec<String>,
    /// Whether the init wrapper passes an empty argument, because it has no other.
    pub(crate) empty_argument: bool,
}

impl Found {
    /// The settings of a flag.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(move |setting| setting.name == name)
    }
}

/// Reads a host's flags. `convention` is `None` to find out which is in use; `version` is the one that will read them.
///
/// # Errors
/// None or more than one convention is in use; a file can't be read.
pub(crate) fn read_host(
    daemon: Daemon,
    version: Version,
    paths: &Paths,
    host: &Host,
    convention: Option<Convention>,
) -> Result<Found, String> {
    let convention = match convention {
        Some(convention) => convention,
        None => detect(daemon, version, paths, host)?,
    };
    let mut found =
        Found { convention, settings: Vec::new(), unread: Vec::new(), left_out: Vec::new(), empty_argument: false };
    match convention {
        Convention::FlagFiles | Convention::Defaults => {
            read_defaults(daemon, paths, host, &mut found);
            if convention == Convention::FlagFiles {
                read_folder(daemon, paths, host, &mut found);
            }
            let arguments = found.settings.iter().any(|s| s.channel == Channel::CommandLine);
            found.empty_argument = host.wrapper && !arguments;
        }
        Convention::ConfigFile => read_conf(&paths.conf, host, &mut found)?,
        Convention::DeployEnvironment => read_deploy(&paths.deploy, host, &mut found),
    }
    for word in &host.supervisor {
        found.settings.push(read_word(word, Origin::Supervisor));
    }
    Ok(found)
}

fn detect(daemon: Daemon, version: Version, paths: &Paths, host: &Host) -> Result<Convention, String> {
    let has = |path: &String| host.files.contains_key(path);
    let mut used = Vec::new();
    if host.folders.contains(&paths.folder) {
        used.push((Convention::FlagFiles, paths.folder.clone()));
    } else if let Some(path) = paths.defaults.iter().find(|path| has(path)) {
        used.push((Convention::Defaults, path.clone()));
    } else if host.wrapper {
        used.push((Convention::FlagFiles, paths.wrapper.clone()));
    }
    // The deploy scripts read mesos.conf up to 0.13 and the environment file from 0.14 on, never both.
    let conf = has(&paths.conf).then(|| (Convention::ConfigFile, paths.conf.clone()));
    let deploy = has(&paths.deploy).then(|| (Convention::DeployEnvironment, paths.deploy.clone()));
    used.extend(if version >= Version::new(0, 14, 0) { deploy.or(conf) } else { conf.or(deploy) });
    match used.as_slice() {
        [(only, _)] => Ok(*only),
        [] => Err(format!(
            "no flags of {} found: neither {} nor {} nor {} nor {} is there; name the place with `convention` and its path",
            daemon.program(),
            paths.folder,
            paths.defaults[1],
            paths.deploy,
            paths.conf
        )),
        [(one, here), (other, there), ..] => Err(format!(
            "both {here} and {there} are there, and only one of them can be what starts {}: say `convention: {}` or `convention: {}`",
            daemon.program(),
            one.word(),
            other.word()
        )),
    }
}

/// The wrapper's own variables, and the flags that it makes of them.
pub(super) const KNOBS: &[(&str, &str, Option<Daemon>)] = &[
    ("ZK", "zk", Some(Daemon::Master)),
    ("PORT", "port", Some(Daemon::Master)),
    ("CLUSTER", "cluster", Some(Daemon::Master)),
    ("MASTER", "master", Some(Daemon::Slave)),
    ("ISOLATION", "isolation", Some(Daemon::Slave)),
    ("IP", "ip", None),
    ("LOGS", "log_dir", None),
];

fn knob(daemon: Daemon, variable: &str) -> Option<&'static str> {
    let fits = |of: &Option<Daemon>| of.is_none_or(|of| of == daemon);
    KNOBS.iter().find(|(name, _, of)| *name == variable && fits(of)).map(|(_, flag, _)| *flag)
}

fn read_defaults(daemon: Daemon, paths: &Paths, host: &Host, found: &mut Found) {
    // A later assignment of the same variable takes the place of an earlier one.
    let mut last: Vec<(String, Setting)> = Vec::new();
    for path in &paths.defaults {
        let Some(text) = host.files.get(path) else { continue };
        let (assignments, unread) = shell_file::read(text);
        found.unread.extend(unread.into_iter().map(|line| format!("{path}, line {line}")));
        for assignment in assignments {
            let variable = assignment.variable.clone();
            let (name, channel) = match (knob(daemon, &variable), variable.strip_prefix("MESOS_")) {
                (Some(flag), _) => (flag.to_owned(), Channel::CommandLine),
                (None, Some(flag)) => (flag.to_ascii_lowercase(), Channel::Environment),
                (None, None) => continue,
            };
            let setting = from_assignment(name, channel, path, assignment, host);
            last.retain(|(earlier, _)| *earlier != variable);
            // The wrapper leaves an empty knob out.
            if !(channel == Channel::CommandLine && setting.value.as_deref() == Some("")) {
                last.push((variable, setting));
            }
        }
    }
    found.settings.extend(last.into_iter().map(|(_, setting)| setting));
}

fn from_assignment(
    name: String,
    channel: Channel,
    path: &str,
    assignment: shell_file::Assignment,
    host: &Host,
) -> Setting {
    let through = assignment.cat.filter(|file| host.files.contains_key(file));
    let content = through.as_ref().and_then(|file| host.files.get(file)).map(|text| stripped(text).to_owned());
    Setting {
        name,
        value: assignment.value.or(content),
        switch: false,
        channel,
        origin: Origin::Assignment {
            path: path.to_owned(),
            line: assignment.line,
            variable: assignment.variable,
            value: assignment.span,
            whole: assignment.whole,
            through,
        },
    }
}

/// What `$(cat file)` makes of a content.
fn stripped(text: &str) -> &str {
    text.trim_end_matches('\n')
}

fn read_folder(daemon: Daemon, paths: &Paths, host: &Host, found: &mut Found) {
    let prefix = format!("{}/", paths.folder);
    let mut joined: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (path, text) in host.files.range(prefix.clone()..) {
        let Some(below) = path.strip_prefix(&prefix) else { break };
        if below.starts_with('.') {
            continue;
        }
        match below.split_once('/') {
            Some((folder @ ("attributes" | "resources"), key)) if daemon == Daemon::Slave => {
                joined.entry(folder).or_default().push(format!("{key}:{}", stripped(text)));
            }
            Some(_) => {}
            // The wrapper keeps these two for itself.
            None if below == "?no-logger" || below == "?logger" => {}
            None => {
                let setting = match below.strip_prefix('?') {
                    Some(word) => read_word(&format!("--{word}"), Origin::SwitchFile { path: path.clone() }),
                    None => Setting {
                        name: below.to_ascii_lowercase(),
                        value: Some(stripped(text).to_owned()),
                        switch: false,
                        channel: Channel::CommandLine,
                        origin: Origin::FlagFile { path: path.clone() },
                    },
                };
                found.settings.push(setting);
            }
        }
    }
    for (folder, entries) in joined {
        found.settings.push(Setting {
            name: folder.to_owned(),
            value: Some(entries.join(";")),
            switch: false,
            channel: Channel::CommandLine,
            origin: Origin::Folder { path: format!("{prefix}{folder}") },
        });
    }
}

/// A word of a command line: `--name=value`, `--name`, `--no-name`. Anything else is a setting without a name.
fn read_word(word: &str, origin: Origin) -> Setting {
    let setting = |name: &str, value: Option<&str>, switch| Setting {
        name: name.to_ascii_lowercase(),
        value: value.map(str::to_owned),
        switch,
        channel: Channel::CommandLine,
        origin,
    };
    let Some(flag) = word.strip_prefix("--") else { return setting("", Some(word), false) };
    match (flag.split_once('='), flag.strip_prefix("no-")) {
        (Some((name, value)), _) => setting(name, Some(value), false),
        (None, Some(name)) => setting(name, Some("false"), true),
        (None, None) => setting(flag, Some("true"), true),
    }
}

/// Flags of a running daemon's command line, its program's name first; for what is in force.
pub(crate) fn command_line(words: &[String]) -> Vec<(String, String)> {
    words
        .iter()
        .skip(1)
        .map(|word| read_word(word, Origin::Supervisor))
        .filter(|setting| !setting.name.is_empty())
        .map(|setting| (setting.name, setting.value.unwrap_or_default()))
        .collect()
}

fn read_conf(path: &str, host: &Host, found: &mut Found) -> Result<(), String> {
    let text = host.files.get(path).ok_or_else(|| format!("{path} is not there"))?;
    let mut start = 0;
    for (index, whole) in text.split_inclusive('\n').enumerate() {
        let line = whole.split('#').next().unwrap_or_default();
        let span = start..start + whole.len();
        let at = start;
        start += whole.len();
        if line.trim().is_empty() {
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|(_, value)| !value.contains('=')) else {
            return Err(format!(
                "{path}, line {}: not one `key=value`; the daemons that read this file refuse it (Malformed line in config file)",
                index + 1
            ));
        };
        let begin = at + key.len() + 1;
        found.settings.push(Setting {
            name: key.trim().to_ascii_lowercase(),
            value: Some(value.trim().to_owned()),
            switch: false,
            channel: Channel::ConfigFile,
            origin: Origin::ConfLine {
                path: path.to_owned(),
                line: index + 1,
                value: begin..begin + value.trim_end().len(),
                whole: span,
            },
        });
    }
    Ok(())
}

fn read_deploy(path: &str, host: &Host, found: &mut Found) {
    let Some(text) = host.files.get(path) else { return };
    let (assignments, unread) = shell_file::read(text);
    found.unread.extend(unread.into_iter().map(|line| format!("{path}, line {line}")));
    for assignment in assignments {
        let Some(flag) = assignment.variable.strip_prefix("MESOS_") else { continue };
        // The script is sourced: what is not exported does not reach the daemon.
        if !assignment.exported {
            found.unread.push(format!("{path}, line {}: {} is not exported", assignment.line, assignment.variable));
            continue;
        }
        let name = flag.to_ascii_lowercase();
        found.settings.retain(|earlier| !matches!(&earlier.origin, Origin::Assignment { variable, .. } if *variable == assignment.variable));
        found.settings.push(from_assignment(name, Channel::Environment, path, assignment, host));
    }
}
