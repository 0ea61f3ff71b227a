//! `mesos_master_gone`: a stopped master is gone for everybody, so that starting it again is safe.
//!
//! Up to 0.17 a master that comes back before its `ZooKeeper` session ends (10 s) finds its own old znode, believes to lead, and
//! aborts when that znode goes: two failovers in place of one. Until then standbys go on naming the dead leader.

use std::time::Duration;

use super::mesos_flags::{probe_files, read_probe};
use super::mesos_look::{Before, MASTERS, Masters, Member, ZK, ask_znodes, look, read_local, read_znodes, zk_option};
use super::{Answer, Arguments, Bound, Controller, Failure, Gate, ModuleSpec, Opt, OptKind, Question, Timing, Verdict};
use crate::base::{Map, Value};
use crate::cluster::mesos::{Daemon, MasterZnode, Paths, Version, ZkUrl, agreed_leader, read_host};

/// How long `ZooKeeper` keeps a dead master's znode: the masters' session time-out, fixed in all releases before 0.19.
const SESSION: u64 = 10;

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "mesos_master_gone",
    aliases: &[],
    summary: "Waits until a stopped master's znode is gone and another master leads by everybody's word",
    options: &[MASTERS, ZK, Opt::new("within", OptKind::Duration, "for how long to wait").default("30s")],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct MasterGone {
    host: String,
    own: Member,
    pid: Option<String>,
    masters: Masters,
    zk: Option<ZkUrl>,
    within: Duration,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let before = Before::of(here);
    let host = here.host().to_owned();
    Ok(Bound::Gate(Box::new(MasterGone {
        own: Member::of(here, &host, Daemon::Master),
        pid: before.text("/master/pid"),
        masters: Masters::of(arguments, here)?,
        zk: zk_option(arguments)?.or_else(|| before.zk()),
        within: arguments.duration("within").unwrap_or(Duration::from_secs(30)),
        host,
    })))
}

/// What the host's files say of `ZooKeeper`: the stopped daemon can't be asked.
fn zk_from_files(answer: Option<&Answer>) -> Result<Option<ZkUrl>, String> {
    let output = match answer {
        Some(Answer::Script(Ok(output))) => output,
        Some(Answer::Script(Err(why))) => return Err(why.clone()),
        _ => return Err("was not asked".to_owned()),
    };
    let host = read_probe(output)?;
    // Any version that both of the later conventions are read by will do: only where the flag stands matters.
    let found = read_host(Daemon::Master, Version::new(0, 14, 0), &Paths::usual(Daemon::Master), &host, None)?;
    let zk = found.named("zk").last().and_then(|setting| setting.value.clone()).filter(|value| !value.is_empty());
    zk.map(|text| ZkUrl::parse(&text)).transpose()
}

impl MasterGone {
    /// Whether a znode is this master's.
    fn mine(&self, znode: &MasterZnode) -> bool {
        let address = format!("master@{}:{}", self.own.address, self.own.port);
        znode.pid.as_deref().is_some_and(|pid| self.pid.as_deref() == Some(pid) || pid == address)
    }
}

impl Gate for MasterGone {
    fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: self.within, every: Duration::from_secs(1) }
    }

    /// The host itself, the masters, and the host's files where `ZooKeeper`'s address is not known; then `ZooKeeper`.
    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        if answers.is_empty() {
            let mut round = vec![look(None, &[])];
            round.extend(self.masters.ask());
            if self.zk.is_none() {
                round.push(Question::Script(probe_files(&Paths::usual(Daemon::Master))));
            }
            return round;
        }
        let first = 1 + self.masters.len();
        let url = match &self.zk {
            Some(url) => (answers.len() == first).then(|| url.clone()),
            None if answers.len() == first + 1 => zk_from_files(answers.get(first)).ok().flatten(),
            None => None,
        };
        url.map(|url| vec![ask_znodes(&url, &self.host)]).unwrap_or_default()
    }

    fn judge(&self, answers: &[Answer], memory: &mut Value, elapsed: Duration) -> Verdict {
        let host = &self.host;
        match read_local(answers.first()) {
            Ok(local) => {
                if let Some(process) = local.process(Daemon::Master) {
                    *memory = Value::Null;
                    return Verdict::NotYet(format!("mesos-master still runs on {host} (process {})", process.pid));
                }
            }
            Err(why) => return Verdict::NotYet(format!("{host} can't be looked at: {why}")),
        }
        if self.pid.is_none() && self.own.address.parse::<std::net::IpAddr>().is_err() {
            return Verdict::Never(Failure::new(format!(
                "{host}'s znode can't be told from others: run mesos_facts while the master runs, or give its address as `mesos_address`"
            )));
        }
        let first = 1 + self.masters.len();
        let znodes = match &self.zk {
            Some(_) => Some(read_znodes(answers.get(first))),
            None => match zk_from_files(answers.get(first)) {
                Ok(None) if self.masters.len() == 1 => None,
                Ok(Some(_)) => Some(read_znodes(answers.get(first + 1))),
                Ok(None) | Err(_) => {
                    return Verdict::Never(Failure::new(format!(
                        "where {host} registers in ZooKeeper is not known: give `zk`, or run mesos_facts while the master runs"
                    )));
                }
            },
        };
        // Seconds since the process was first seen gone: the znode outlives it by the session's time at most.
        let since = memory.as_u64().unwrap_or(elapsed.as_secs());
        *memory = since.into();
        match &znodes {
            Some(Err(why)) => return Verdict::NotYet(format!("ZooKeeper does not answer: {why}")),
            Some(Ok(list)) => {
                if let Some(znode) = list.iter().find(|znode| self.mine(znode)) {
                    let gone = elapsed.as_secs().saturating_sub(since);
                    let left = SESSION.saturating_sub(gone);
                    let when = if left > 0 {
                        format!("expires in {left} s at most")
                    } else {
                        format!("is still there {gone} s after the stop: is another process holding its session?")
                    };
                    return Verdict::NotYet(format!("{host}'s znode {} {when}", znode.name));
                }
            }
            None => {}
        }
        let mut result = Map::new();
        if self.masters.len() > 1 {
            let others: Vec<_> = self
                .masters
                .read(answers.get(1..).unwrap_or_default())
                .into_iter()
                .filter(|m| m.host != *host)
                .collect();
            match agreed_leader(&others, znodes.as_ref()) {
                Ok(leader) => {
                    result.insert("leader".to_owned(), leader.state.pid.clone().into());
                    result.insert("leader_host".to_owned(), leader.host.into());
                }
                Err(why) => return Verdict::NotYet(format!("{host}'s znode is gone; {why}")),
            }
        }
        Verdict::Ready(result)
    }

    fn expired(&self, why: &str, elapsed: Duration) -> Failure {
        Failure::new(format!(
            "{} is not gone after {}: {why}. It was not started again: a master that comes back too early aborts itself",
            self.host,
            crate::base::render_duration(elapsed)
        ))
        .with("elapsed", elapsed.as_secs())
    }
}
