//! `mesos_preflight`: whether a hop can be begun from this host's point of view. Changes nothing.
//!
//! All that is wrong is said at once. It can't know: whether the new binary runs on this host, and whether frameworks can follow.

use std::time::Duration;

use super::mesos_flags::{probe_files, read_probe, wanted_flags};
use super::mesos_ground::{self, changes_identity, checkpoints};
use super::mesos_look::{
    Local, MASTERS, Masters, Member, SLAVES, ZK, ask_znodes, enumerate, look, read_local, read_slave, read_znodes,
    zk_of, zk_option,
};
use super::{Answer, Arguments, Bound, Controller, Failure, Gate, ModuleSpec, Opt, OptKind, Question, Timing, Verdict};
use crate::base::{Map, Value};
use crate::cluster::mesos::{
    Daemon, MasterAnswer, MasterState, MasterZnode, Paths, Release, Version, Wish, ZkUrl, agreed_leader, before,
    check_set, disk_differs, hop, neighbours, plan,
};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "mesos_preflight",
    aliases: &[],
    summary: "Checks that a Mesos upgrade can begin: neighbouring versions, one leader, inventory and flags",
    options: &[
        Opt::new("to", OptKind::Text, "the version that is upgraded to").required(),
        Opt::new("master_flags", OptKind::Mapping, "flags that masters will be given"),
        Opt::new("slave_flags", OptKind::Mapping, "flags that slaves will be given"),
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
            if crate::cluster::mesos::flag(daemon, release, &name).is_none() {
                return Err(crate::cluster::mesos::unknown_flag(daemon, release, &name));
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
        host,
        masters,
    })))
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

    fn hop(&self, who: &str, runs: Option<Version>, wrong: &mut Vec<String>) {
        let (before, after) = neighbours(self.to);
        let near = match runs {
            Some(runs) => runs.same_minor(self.to) || hop(runs, self.to).is_some() || hop(self.to, runs).is_some(),
            // No version before 0.13 says what it is.
            None => self.to < Version::new(0, 14, 0),
        };
        if !near {
            let runs = runs.map_or_else(|| "a version before 0.13".to_owned(), |runs| runs.to_string());
            let neighbours: Vec<&str> = before.into_iter().chain(after).collect();
            wrong.push(format!(
                "{who} runs {runs}: {} is reached from {} only, one hop at a time",
                self.to,
                neighbours.join(" or ")
            ));
        }
    }

    /// A slave of a hop in which masters come first, with masters that are neither done nor at work in this run.
    fn order(&self, masters: &[MasterAnswer], wrong: &mut Vec<String>) {
        let Some(at_work) = &self.at_work else { return };
        if self.own().is_none() || self.masters.has(&self.host) {
            return;
        }
        let first =
            |from| hop(from, self.to).and_then(|hop| hop.order.first()).is_some_and(|what| what.starts_with("masters"));
        let left: Vec<String> = masters
            .iter()
            .filter(|master| !at_work.contains(&master.host))
            .filter(|master| master.state.as_ref().ok().and_then(|state| state.version).is_some_and(first))
            .map(|master| master.host.clone())
            .collect();
        if !left.is_empty() {
            wrong.push(format!(
                "masters come first in this hop, and {} is not at {} and not among the hosts of this run: upgrade the masters before \
                 this slave, or let the run have them too",
                enumerate(&left, 5),
                self.to
            ));
        }
    }

    /// What this host's own files would make of the flags.
    fn flags(&self, answers: &[Answer], wrong: &mut Vec<String>, warnings: &mut Vec<String>) {
        let first = 1 + self.masters.len() + usize::from(self.own().is_some());
        for (place, (daemon, set)) in self.roles.iter().enumerate() {
            let output = match answers.get(first + place) {
                Some(Answer::Script(Ok(output))) => output,
                Some(Answer::Script(Err(why))) => {
                    wrong.push(format!("the flags of {} can't be read: {why}", daemon.program()));
                    continue;
                }
                _ => continue,
            };
            let paths = Paths::usual(*daemon);
            // What the hop renames is renamed by its playbook.
            let renamed = before(self.to).and_then(|hop| hop.renamed.get(daemon.word()));
            let rename = renamed.into_iter().flatten().map(|(old, new)| (old.clone(), new.clone())).collect();
            let wish = Wish { set: set.clone(), rename, ..Wish::default() };
            let planned = read_probe(output)
                .and_then(|host| plan(*daemon, self.to, self.release, &paths, &host, None, &wish))
                .map(|(_, found)| check_set(*daemon, self.release, &found));
            match planned {
                Ok(verdicts) => {
                    wrong.extend(verdicts.refused);
                    warnings.extend(verdicts.warnings);
                }
                Err(why) => wrong.push(why),
            }
        }
    }

    /// Masters and slaves that are registered and not listed, or the reverse: every gate would count wrong.
    fn inventory(
        &self,
        masters: &[MasterAnswer],
        znodes: &[MasterZnode],
        leader: &MasterState,
        wrong: &mut Vec<String>,
    ) {
        let pids: Vec<&str> =
            masters.iter().filter_map(|m| m.state.as_ref().ok()).map(|state| state.pid.as_str()).collect();
        for znode in znodes {
            match znode.pid.as_deref() {
                Some(pid) if pids.contains(&pid) => {}
                Some(pid) => {
                    wrong.push(format!("{pid} is registered as a master, and no master of the inventory answers there"))
                }
                None => wrong.push(format!("the znode {} can't be read", znode.name)),
            }
        }
        for master in masters {
            let Ok(state) = &master.state else { continue };
            let count = znodes.iter().filter(|znode| znode.pid.as_deref() == Some(&state.pid)).count();
            if count != 1 {
                wrong.push(format!("{} has {count} znodes in ZooKeeper, not one", master.host));
            }
        }
        let is = |member: &Member, pid: &str, hostname: &str| {
            pid.ends_with(&format!("@{}:{}", member.address, member.port))
                || hostname == member.host
                || hostname == member.address
        };
        let strangers: Vec<String> = leader
            .slaves
            .iter()
            .filter(|slave| !self.slaves.iter().any(|member| is(member, &slave.pid, &slave.hostname)))
            .map(|slave| format!("{} ({})", slave.hostname, slave.pid))
            .collect();
        if !strangers.is_empty() {
            wrong.push(format!("slaves that are registered and not in the inventory: {}", enumerate(&strangers, 5)));
        }
        let absent: Vec<String> = self
            .slaves
            .iter()
            .filter(|member| !leader.slaves.iter().any(|slave| is(member, &slave.pid, &slave.hostname)))
            .map(|member| member.host.clone())
            .collect();
        if !absent.is_empty() {
            wrong.push(format!("slaves of the inventory that are not registered: {}", enumerate(&absent, 5)));
        }
    }

    /// The flags that this host's daemon will be given.
    fn set(&self, daemon: Daemon) -> &[(String, String)] {
        self.roles.iter().find(|(role, _)| *role == daemon).map(|(_, set)| set.as_slice()).unwrap_or_default()
    }

    /// What would keep a slave that checkpoints from recovering: it counts as another slave.
    fn recovery(&self, local: &Local, runs: Option<Version>, wrong: &mut Vec<String>) {
        let (Some(process), Some(runs)) = (local.process(Daemon::Slave), runs) else { return };
        if !checkpoints(process) {
            return;
        }
        wrong.extend(changes_identity(process, self.set(Daemon::Slave)));
        let pinned = process.flag("resources").is_some_and(|resources| resources.contains("disk"));
        if !pinned && let Some(why) = disk_differs(runs, self.to) {
            wrong.push(format!(
                "this slave checkpoints and its disk is not pinned: it would refuse to recover ({why}); set `resources` with its \
                 present disk, and restart it once before the upgrade"
            ));
        }
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
        let mut round = vec![mesos_ground::ask(&read_local(answers.first()).unwrap_or_default())];
        round.extend(self.url(answers).map(|url| ask_znodes(&url, &self.host)));
        round
    }

    fn judge(&self, answers: &[Answer], _memory: &mut Value, _elapsed: Duration) -> Verdict {
        let local = match read_local(answers.first()) {
            Ok(local) => local,
            Err(why) => return Verdict::Never(Failure::new(format!("{} can't be looked at: {why}", self.host))),
        };
        let (mut wrong, mut warnings) = (Vec::new(), Vec::new());
        // What won't change by waiting.
        let masters = self.masters.read(answers.get(1..).unwrap_or_default());
        for master in &masters {
            if let Ok(state) = &master.state {
                self.hop(&master.host, state.version, &mut wrong);
            }
        }
        let slave = self.own().map(|_| read_slave(answers.get(1 + self.masters.len())));
        if let Some(Ok(state)) = &slave {
            self.hop(&self.host, state.version, &mut wrong);
            self.recovery(&local, state.version, &mut wrong);
        }
        self.order(&masters, &mut wrong);
        self.flags(answers, &mut wrong, &mut warnings);
        if !wrong.is_empty() {
            return Verdict::Never(Failure::new(wrong.join("\n")).with("refused", wrong));
        }
        // What may settle.
        if let Some(master) = masters.iter().find(|master| master.state.is_err()) {
            let why = master.state.as_ref().err().cloned().unwrap_or_default();
            return Verdict::NotYet(format!("{} does not answer: {why}", master.host));
        }
        if let Some(Err(why)) = &slave {
            return Verdict::NotYet(format!("the slave on {} does not answer: {why}", self.host));
        }
        let znodes = self.url(answers).map(|_| read_znodes(answers.get(self.first_round() + 1)));
        let leader = match agreed_leader(&masters, znodes.as_ref()) {
            Ok(leader) => leader,
            Err(why) => return Verdict::NotYet(why),
        };
        if let Some(Ok(znodes)) = &znodes {
            self.inventory(&masters, znodes, leader.state, &mut wrong);
        }
        if !wrong.is_empty() {
            return Verdict::NotYet(wrong.join("\n"));
        }
        match mesos_ground::read(answers.get(self.first_round())) {
            Ok(ground) => warnings.extend(ground.warnings(&local, self.set(Daemon::Slave))),
            Err(why) => warnings.push(format!("what starts the daemons of {} can't be seen: {why}", self.host)),
        }
        let mut result = Map::new();
        let from = leader.state.version;
        let notes = from.and_then(|from| hop(from, self.to)).map(|hop| hop.notes.clone()).unwrap_or_default();
        result.insert("from".to_owned(), from.map_or(Value::Null, |version| version.to_string().into()));
        result.insert("to".to_owned(), self.to.to_string().into());
        result.insert("leader_host".to_owned(), leader.host.into());
        result.insert("notes".to_owned(), notes.into());
        if !warnings.is_empty() {
            result.insert("warnings".to_owned(), warnings.into());
        }
        Verdict::Ready(result)
    }
}
