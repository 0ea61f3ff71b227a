//! `stagger lab`: rehearsal hosts up, down, their state, and faults on purpose.

#![expect(clippy::disallowed_methods, reason = "a lab's inventory is read for its lab_* variables only")]

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use serde_yaml::{Mapping, Value as Yaml};

use crate::lab::{self, DcosSetup, Fault, Folder, HostKind, HostSpec, LabError, LabSpec};

/// Rehearsal hosts: a throw-away cluster on this machine.
#[derive(Debug, Parser)]
#[command(name = "stagger lab", bin_name = "stagger lab")]
struct Words {
    /// The rehearsal's folder [default: the inventory's lab_dir, else /run/stagger-lab]
    #[arg(long, global = true, env = "STAGGER_LAB_DIR")]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the hosts of an inventory; those that are up stay as they are
    Up {
        /// A YAML inventory whose hosts have loopback addresses and lab_* variables
        #[arg(short = 'i', long)]
        inventory: PathBuf,
        /// Factor for the times of ZooKeeper and the stand-in daemons: 0.1 is ten times as fast
        #[arg(long, default_value_t = 1.0)]
        time: f64,
    },
    /// Stop the hosts and remove all that they were
    Down,
    /// What runs on each host, and who leads
    Status,
    /// Write the files of a stand-in release
    Release {
        /// 0.13.0 or 0.14.2
        #[arg(long)]
        version: String,
        /// Below this folder, in one named after the version
        #[arg(long)]
        out: PathBuf,
    },
    /// Run a stand-in of DC/OS with an Elastic package until it is stopped; `POST /_standin/…` does something bad to it
    Dcos {
        /// Where to listen; port 0 takes a free one, which is printed
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// The package that is installed and has been running for a while
        #[arg(long, default_value = "3.1.2-7.6.0")]
        package: String,
        /// The options that it was installed with: a JSON file
        #[arg(long)]
        options: Option<PathBuf>,
        /// Variables of the scheduler that were edited by hand: NAME=VALUE
        #[arg(long = "env")]
        environment: Vec<String>,
        /// Who has to log in
        #[arg(long, requires = "password")]
        user: Option<String>,
        /// The password
        #[arg(long)]
        password: Option<String>,
        /// Factor for its times
        #[arg(long, default_value_t = 1.0)]
        time: f64,
    },
    /// Do something bad to a host or one of its daemons
    Fault {
        /// The host
        host: String,
        /// What
        #[arg(value_enum)]
        what: What,
        /// A daemon of it; else the whole host
        daemon: Option<String>,
    },
    /// The process that holds a host's mounts
    #[command(hide = true)]
    Outer { boot: PathBuf },
    /// A host's first process
    #[command(hide = true)]
    Init { boot: PathBuf },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    Kill,
    Freeze,
    Thaw,
    Fill,
    Cut,
    Mend,
}

/// Runs `stagger lab WORDS`.
pub(crate) fn run(words: &[OsString]) -> ExitCode {
    let words = match Words::try_parse_from(std::iter::once(OsString::from("stagger lab")).chain(words.iter().cloned()))
    {
        Ok(words) => words,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match act(words.dir.as_deref(), words.command) {
        Ok(text) => {
            if !text.is_empty() {
                say(&text);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&error.line());
            ExitCode::from(if matches!(error, LabError::Spec(_)) { 2 } else { 1 })
        }
    }
}

fn act(named: Option<&Path>, command: Command) -> Result<String, LabError> {
    let folder = named.unwrap_or(Path::new(FOLDER));
    match command {
        Command::Up { inventory, time } => {
            if !(time > 0.0 && time <= 10.0) {
                return Err(LabError::Spec(format!("--time {time}: a factor above 0 and at most 10")));
            }
            let spec = read_inventory(&inventory, named, time)?;
            let started = lab::up(&spec)?;
            let standing = spec.hosts.len() - started.len();
            let files = Folder::new(&spec.folder);
            Ok(format!(
                "{} hosts up ({} started, {standing} were up); ssh -F {} {}",
                spec.hosts.len(),
                started.len(),
                files.ssh_config().display(),
                spec.hosts.first().map_or("HOST", |host| host.name.as_str())
            ))
        }
        Command::Down => lab::down(folder).map(|count| format!("{count} hosts down, {} removed", folder.display())),
        Command::Status => {
            let hosts = lab::status(folder)?;
            let leader = match lab::leader(&lab::load(folder)?) {
                Some((name, version)) => format!("leader: {name} ({version})"),
                None => "leader: none".to_owned(),
            };
            Ok(format!("{}\n{leader}", render_status(&hosts)))
        }
        Command::Release { version, out } => lab::make_release(&version, &out).map(|path| path.display().to_string()),
        Command::Dcos { listen, package, options, environment, user, password, time } => {
            let options = options.map_or_else(|| Ok(serde_json::json!({})), |path| read_json(&path))?;
            let pair = |text: &String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
            let setup = DcosSetup {
                package,
                options,
                time,
                login: user.zip(password),
                environment: environment.iter().filter_map(pair).collect(),
            };
            lab::dcos(listen, &setup, |address| say(&format!("http://{address}")))
                .map(|()| String::new())
                .map_err(LabError::Spec)
        }
        Command::Fault { host, what, daemon } => lab::fault(folder, &host, kind_of(what), daemon.as_deref()),
        Command::Outer { boot } => lab::outer(&boot).map(|()| String::new()),
        Command::Init { boot } => lab::init(&boot).map(|()| String::new()),
    }
}

fn read_json(path: &Path) -> Result<serde_json::Value, LabError> {
    let wrong = |detail: String| LabError::Spec(format!("{}: {detail}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
}

fn kind_of(what: What) -> Fault {
    match what {
        What::Kill => Fault::Kill,
        What::Freeze => Fault::Freeze,
        What::Thaw => Fault::Thaw,
        What::Fill => Fault::Fill,
        What::Cut => Fault::Cut,
        What::Mend => Fault::Mend,
    }
}

/// The same for everybody: root makes the hosts, and XDG_RUNTIME_DIR changes or goes under sudo.
const FOLDER: &str = "/run/stagger-lab";

fn render_status(hosts: &[lab::HostStatus]) -> String {
    let width = hosts.iter().map(|host| host.spec.name.len()).max().unwrap_or_default();
    let line = |host: &lab::HostStatus| {
        let what = match (&host.services, &host.trouble) {
            (Some(services), _) => services.clone(),
            (None, Some(trouble)) => format!("down: {trouble}"),
            (None, None) => "down".to_owned(),
        };
        format!("{:width$}  {:<12}  {what}", host.spec.name, host.spec.address)
    };
    hosts.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[expect(clippy::print_stdout, reason = "this command's own output")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "this command's own output")]
fn complain(text: &str) {
    eprintln!("stagger lab: {text}");
}

/// Host variables of the rehearsal, by their names in an inventory.
const VARIABLES: &[&str] = &[
    "lab_kind",
    "lab_daemons",
    "lab_zookeeper",
    "lab_disk_mib",
    "lab_release",
    "lab_releases",
    "lab_flags",
    "lab_dir",
];

/// Reads what the lab needs of a YAML inventory: addresses, ports and `lab_*` variables, merged as groups nest.
fn read_inventory(path: &Path, folder: Option<&Path>, time: f64) -> Result<LabSpec, LabError> {
    let wrong = |detail: String| LabError::Spec(format!("{}: {detail}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let tree: Yaml = serde_yaml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let mut found: Vec<(String, Mapping)> = Vec::new();
    if let Yaml::Mapping(groups) = &tree {
        for (_, group) in groups {
            walk(group, &Mapping::new(), &mut found);
        }
    }
    let mut releases: Vec<String> = Vec::new();
    let mut hosts = Vec::new();
    for (name, variables) in &found {
        if let Some(host) = host_of(name, variables, &mut releases).map_err(&wrong)? {
            hosts.push(host);
        }
    }
    if hosts.is_empty() {
        return Err(wrong("no host in it has a loopback address (ansible_host: 127.0.11.1)".to_owned()));
    }
    for host in &hosts {
        if let Some(release) = &host.release
            && !releases.contains(release)
        {
            releases.push(release.clone());
        }
    }
    let written = found.iter().find_map(|(_, variables)| variables.get("lab_dir")?.as_str());
    let folder = folder.unwrap_or(Path::new(written.unwrap_or(FOLDER)));
    let folder = std::path::absolute(folder).map_err(|error| wrong(error.to_string()))?;
    Ok(LabSpec { folder, hosts, time, releases })
}

fn walk(group: &Yaml, inherited: &Mapping, found: &mut Vec<(String, Mapping)>) {
    let Yaml::Mapping(group) = group else { return };
    let mut variables = inherited.clone();
    if let Some(Yaml::Mapping(own)) = group.get("vars") {
        variables.extend(own.clone());
    }
    if let Some(Yaml::Mapping(children)) = group.get("children") {
        for (_, child) in children {
            walk(child, &variables, found);
        }
    }
    let Some(Yaml::Mapping(hosts)) = group.get("hosts") else { return };
    for (name, own) in hosts {
        let Yaml::String(name) = name else { continue };
        let mut merged = variables.clone();
        if let Yaml::Mapping(own) = own {
            merged.extend(own.clone());
        }
        match found.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.extend(merged),
            None => found.push((name.clone(), merged)),
        }
    }
}

fn host_of(name: &str, variables: &Mapping, releases: &mut Vec<String>) -> Result<Option<HostSpec>, String> {
    let text = |key: &str| match variables.get(key) {
        Some(Yaml::String(text)) => Some(text.clone()),
        Some(Yaml::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let list = |key: &str| -> Result<Vec<String>, String> {
        match variables.get(key) {
            None | Some(Yaml::Null) => Ok(Vec::new()),
            Some(Yaml::Sequence(items)) => items
                .iter()
                .map(|item| {
                    item.as_str().map(ToOwned::to_owned).ok_or_else(|| format!("{name}: {key} is a list of strings"))
                })
                .collect(),
            Some(_) => Err(format!("{name}: {key} is a list")),
        }
    };
    for key in variables.keys().filter_map(Yaml::as_str).filter(|key| key.starts_with("lab_")) {
        if !VARIABLES.contains(&key) {
            return Err(format!("{name}: there is no variable {key}: there are {}", VARIABLES.join(", ")));
        }
    }
    let Some(address) =
        text("ansible_host").and_then(|text| text.parse::<Ipv4Addr>().ok()).filter(Ipv4Addr::is_loopback)
    else {
        return Ok(None);
    };
    let number = |key: &str, default: u32| match text(key) {
        None => Ok(default),
        Some(text) => text.parse::<u32>().map_err(|_| format!("{name}: {key} is a number, not `{text}`")),
    };
    let kind = match text("lab_kind").as_deref() {
        None | Some("debian") => HostKind::Debian,
        Some("busybox") => HostKind::Busybox,
        Some(other) => return Err(format!("{name}: lab_kind is debian or busybox, not `{other}`")),
    };
    let mut flags = Vec::new();
    if let Some(Yaml::Mapping(daemons)) = variables.get("lab_flags") {
        for (daemon, values) in daemons {
            let (Some(daemon @ ("master" | "slave")), Yaml::Mapping(values)) = (daemon.as_str(), values) else {
                return Err(format!("{name}: lab_flags is {{master: {{FLAG: VALUE}}, slave: {{FLAG: VALUE}}}}"));
            };
            for (flag, value) in values {
                let value = match value {
                    Yaml::String(text) => text.clone(),
                    Yaml::Number(number) => number.to_string(),
                    Yaml::Bool(value) => value.to_string(),
                    Yaml::Null => String::new(),
                    _ => return Err(format!("{name}: lab_flags has plain values only")),
                };
                flags.push((format!("{daemon}/{}", flag.as_str().unwrap_or_default()), value));
            }
        }
    }
    for release in list("lab_releases")? {
        if !releases.contains(&release) {
            releases.push(release);
        }
    }
    let port = u16::try_from(number("ansible_port", 2222)?).map_err(|_| format!("{name}: ansible_port is a port"))?;
    Ok(Some(HostSpec {
        name: name.to_owned(),
        address,
        port,
        kind,
        daemons: list("lab_daemons")?,
        zookeeper: matches!(variables.get("lab_zookeeper"), Some(Yaml::Bool(true))),
        disk_mib: number("lab_disk_mib", 1024)?,
        release: text("lab_release"),
        flags,
    }))
}
