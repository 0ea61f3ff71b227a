//! `mesos_preflight`: whether a hop can be begun from this host's point of view. Changes nothing.
//!
//! All that is wrong is said at once. It can't know whether frameworks can follow, nor of a binary that is not staged yet.

mod fit;
mod flags;
mod ground;
mod members;

use std::time::Duration;

use super::mesos_flags::{probe_files, wanted_flags};
use super::mesos_look::{
    MASTERS, Masters, Member, SLAVES, ZK, ask_znodes, look, read_local, read_slave, zk_of, zk_option,
};
use super::{
    Answer, Arguments, Bound, Controller, Failure, Folder, Gate, ModuleSpec, Opt, OptKind, Question, Timing, Verdict,
};
use crate::base::{Map, Value, to_text};
use crate::cluster::mesos::{Daemon, Paths, Release, Version, ZkUrl, agreed_leader, flag, hop, unknown_flag};
use flags::wanted;

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "mesos_preflight",
    aliases: &[],
    summary: "Checks that a Mesos upgrade can begin: neighbouring versions, one leader, inventory and flags",
    options: &[
        Opt::new("to", OptKind::Text, "the version that is upgraded to").required(),
        Opt::new("master_flags", OptKind::Mapping, "flags that masters will be given"),
        Opt::new("slave_flags", OptKind::Mapping, "flags that slaves will be given"),
        Opt::new(
            "binaries",
            OptKind::Mapping,
            "what will be staged: programs, each with the file or folder on this machine",
        ),
        Opt::new("staged", OptKind::Bool, "whether the daemons' binaries must be staged already").default("false"),
        Opt::new("root", OptKind::Path, "where releases are kept on the host").default("/opt/stagger"),
        Opt::new("within", OptKind::Duration, "for how long an unsettled cluster is waited for").default("15s"),
        MASTERS,
        SLAVES,
        ZK,
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: Some(check),
    build,
};

/// What needs no host: the version, and the flags where they are written out.
fn check(arguments: &Arguments) -> Result<(), String> {
    let Some(to) = arguments.text("to").filter(|text| !text.contains("{{")) else { return Ok(()) };
    let release = Release::of(Version::parse(&to)?)?;
    for (option, daemon) in [("master_flags", Daemon::Master), ("slave_flags", Daemon::Slave)] {
        for (name, _) in wanted_flags(arguments.mapping(option), daemon, release)? {
            if flag(daemon, release, &name).is_none() {
                return Err(unknown_flag(daemon, release, &name));
            }
        }
    }
    Ok(())
}

#[derive(Debug)]
struct Preflight {
    host: String,
    to: Version,
    release: Release,
    within: Duration,
    masters: Masters,
    slaves: Vec<Member>,
    /// The daemons that this host is listed for, with the flags that they will be given.
    roles: Vec<(Daemon, Vec<(String, String)>)>,
    zk: Option<ZkUrl>,
    /// The hosts of this run, where that is known: a limit may leave some out.
    at_work: Option<Vec<String>>,
    root: String,
    staged: bool,
    /// Programs that will be staged, with their bytes.
    binaries: Vec<(String, u64)>,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let host = here.host().to_owned();
    let to = Version::parse(&arguments.required("to")).map_err(Failure::new)?;
    let release = Release::of(to).map_err(Failure::new)?;
    let masters = Masters::of(arguments, here)?;
    let slaves = here.group(&arguments.required("slaves")).unwrap_or_default();
    let mut roles = Vec::new();
    let flags = |option, daemon| wanted_flags(arguments.mapping(option), daemon, release).map_err(Failure::new);
    if masters.has(&host) {
        roles.push((Daemon::Master, flags("master_flags", Daemon::Master)?));
    }
    if slaves.contains(&host) {
        roles.push((Daemon::Slave, flags("slave_flags", Daemon::Slave)?));
    }
    Ok(Bound::Gate(Box::new(Preflight {
        to,
        release,
        within: arguments.duration("within").unwrap_or(Duration::from_secs(15)),
        slaves: slaves.iter().map(|slave| Member::of(here, slave, Daemon::Slave)).collect(),
        roles,
        zk: zk_option(arguments)?,
        at_work: here.variable("ansible_play_hosts_all").and_then(|value| serde_json::from_value(value).ok()),
        root: arguments.required("root"),
        staged: arguments.flag("staged"),
        binaries: binaries(arguments, here)?,
        host,
        masters,
    })))
}

/// The bytes of what will be staged.
fn binaries(arguments: &Arguments, here: &dyn Controller) -> Result<Vec<(String, u64)>, Failure> {
    let mut sizes = Vec::new();
    for (program, path) in arguments.mapping("binaries") {
        let path = here.find(Folder::Files, &to_text(&path))?;
        let size = match here.list(&path) {
            Ok(entries) => {
                let files = entries.iter().filter(|entry| !entry.directory);
                files.map(|entry| here.digest(&entry.path).map(|file| file.size)).sum::<Result<u64, Failure>>()?
            }
            Err(_) => here.digest(&path)?.size,
        };
        sizes.push((program, size));
    }
    Ok(sizes)
}

impl Preflight {
    fn own(&self) -> Option<&Member> {
        self.slaves.iter().find(|slave| slave.host == self.host)
    }

    /// Processes, masters, the own slave, the files of each role.
    fn first_round(&self) -> usize {
        1 + self.masters.len() + usize::from(self.own().is_some()) + self.roles.len()
    }

    fn url(&self, answers: &[Answer]) -> Option<ZkUrl> {
        self.zk.clone().or_else(|| read_local(answers.first()).ok().as_ref().and_then(zk_of))
    }
}

impl Gate for Preflight {
    fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: self.within, every: Duration::from_secs(1) }
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        if answers.is_empty() {
            let mut round = vec![look(None, &[])];
            round.extend(self.masters.ask());
            round.extend(self.own().map(|member| member.ask(Daemon::Slave)));
            round.extend(self.roles.iter().map(|(daemon, _)| Question::Script(probe_files(&Paths::usual(*daemon)))));
            return round;
        }
        if answers.len() != self.first_round() {
            return Vec::new();
        }
        let local = read_local(answers.first()).unwrap_or_default();
        let planned = self.planned(answers);
        let programs: Vec<&str> = self.roles.iter().map(|(daemon, _)| daemon.program()).collect();
        let secrets = wanted(&planned, Daemon::Master, "credentials");
        let mut round =
            vec![ground::ask(&local), fit::ask(&self.root, &self.to.to_string(), &programs, secrets.as_deref())];
        if let Some(ZkUrl { servers, path }) = self.url(answers) {
            let one = |server| ask_znodes(&ZkUrl { servers: vec![server], path: path.clone() }, &self.host);
            round.extend(servers.into_iter().map(one));
        }
        round
    }

    fn judge(&self, answers: &[Answer], _memory: &mut Value, _elapsed: Duration) -> Verdict {
        let local = match read_local(answers.first()) {
            Ok(local) => local,
            Err(why) => return Verdict::Never(Failure::new(format!("{} can't be looked at: {why}", self.host))),
        };
        // What won't change by waiting, what may settle, and what an operator should know.
        let (mut wrong, mut unsettled, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
        let planned = self.planned(answers);
        let masters = self.masters.read(answers.get(1..).unwrap_or_default());
        for master in &masters {
            match &master.state {
                Ok(state) => self.hop(&master.host, state.version, &mut wrong),
                Err(why) => unsettled.push(format!("{} does not answer: {why}", master.host)),
            }
        }
        let ground = ground::read(answers.get(self.first_round()));
        match self.own().map(|_| read_slave(answers.get(1 + self.masters.len()))) {
            Some(Ok(state)) => {
                self.hop(&self.host, state.version, &mut wrong);
                self.recovery(&local, &state, &planned, &mut wrong, &mut warnings);
                if let (Ok(ground), Some(process)) = (&ground, local.process(Daemon::Slave)) {
                    let known = planned.iter().any(|(daemon, found)| *daemon == Daemon::Slave && found.is_ok());
                    let work_dir = match known {
                        true => wanted(&planned, Daemon::Slave, "work_dir"),
                        false => process.flag("work_dir"),
                    };
                    wrong.extend(ground.lost_sight(process, state.id.as_deref(), work_dir.as_deref()));
                }
            }
            Some(Err(why)) => unsettled.push(format!("the slave on {} does not answer: {why}", self.host)),
            None => {}
        }
        self.order(&masters, &mut wrong);
        self.flags(&planned, &local, &mut wrong, &mut warnings);
        match &ground {
            Ok(ground) => {
                let checkpoint = wanted(&planned, Daemon::Slave, "checkpoint");
                let usual = flag(Daemon::Slave, self.release, "checkpoint").and_then(|info| info.default);
                warnings.extend(ground.warnings(&local, matches!(checkpoint.as_deref().or(usual), Some("true" | "1"))));
            }
            Err(why) => warnings.push(format!("what starts the daemons of {} can't be seen: {why}", self.host)),
        }
        self.fits(fit::read(answers.get(self.first_round() + 1)), &planned, &local, &mut wrong, &mut warnings);
        let url = self.url(answers);
        let znodes = url.as_ref().map(|url| {
            let (znodes, broken, told) = self.quorum(url, answers);
            unsettled.extend(broken);
            warnings.extend(told);
            znodes
        });
        let mut led = None;
        match agreed_leader(&masters, znodes.as_ref()) {
            Ok(leader) => {
                if let Some(Ok(znodes)) = &znodes
                    && masters.iter().all(|master| master.state.is_ok())
                {
                    self.inventory(&masters, znodes, leader.state, &mut unsettled);
                }
                led = Some((leader.host, leader.state.version));
            }
            Err(why) => unsettled.push(why),
        }
        if !wrong.is_empty() {
            wrong.extend(unsettled);
            return Verdict::Never(Failure::new(wrong.join("\n")).with("refused", wrong));
        }
        let Some((leader_host, from)) = led.filter(|_| unsettled.is_empty()) else {
            return Verdict::NotYet(unsettled.join("\n"));
        };
        let mut result = Map::new();
        let notes = from.and_then(|from| hop(from, self.to)).map(|hop| hop.notes.clone()).unwrap_or_default();
        result.insert("from".to_owned(), from.map_or(Value::Null, |version| version.to_string().into()));
        result.insert("to".to_owned(), self.to.to_string().into());
        result.insert("leader_host".to_owned(), leader_host.into());
        result.insert("notes".to_owned(), notes.into());
        if !warnings.is_empty() {
            result.insert("warnings".to_owned(), warnings.into());
        }
        Verdict::Ready(result)
    }
}
