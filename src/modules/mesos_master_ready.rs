//! `mesos_master_ready`: a started master is back, of the right version, and the cluster with it.
//!
//! One leader by everybody's word and its own, this master's process new and its znode there once, and every slave and
//! framework that was there before is there again; twice in a row, because a master that believes too early to lead dies after 9 s.

use std::time::Duration;

use super::mesos_look::{LOG, Local, MASTERS, ZK, enumerate, field};
use super::mesos_ready::{Started, VERSION, check_version};
use super::{Answer, Arguments, Bound, Controller, Failure, Gate, ModuleSpec, Opt, OptKind, Question, Timing, Verdict};
use crate::base::{Map, Value};
use crate::cluster::mesos::{Daemon, FatalKind, MasterState, MasterZnode, agreed_leader, last_fatal};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "mesos_master_ready",
    aliases: &[],
    summary: "Waits until a started master is back, one master leads, and no slave or framework is missing",
    options: &[VERSION, Opt::new("within", OptKind::Duration, "for how long to wait").default("60s"), MASTERS, ZK, LOG],
    free_form: None,
    open: false,
    rules: &[],
    check: Some(check_version),
    build,
};

#[derive(Debug)]
struct MasterReady(Started);

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let started = Started::of(arguments, here, Daemon::Master)?;
    if !started.masters.has(&started.host) {
        return Err(Failure::new(format!(
            "{} is not in the group of the masters `{}`",
            started.host,
            arguments.required("masters")
        )));
    }
    Ok(Bound::Gate(Box::new(MasterReady(started))))
}

impl MasterReady {
    /// Why the process is not there, or not the new one.
    fn process(&self, local: &Local, memory: &mut Memory) -> Result<u64, Verdict> {
        let Some(process) = local.process(Daemon::Master) else {
            memory.absent += 1;
            memory.steady = 0;
            let ended = if memory.absent >= 2 { self.0.ended(local) } else { None };
            let why = || Verdict::NotYet(format!("mesos-master does not run on {}", self.0.host));
            return Err(ended.unwrap_or_else(why));
        };
        memory.absent = 0;
        self.0.renewed(process).map_err(Verdict::NotYet)?;
        Ok(u64::from(process.pid) ^ process.started << 32)
    }

    fn znode(&self, state: &MasterState, znodes: &[MasterZnode]) -> Result<(), String> {
        let own: Vec<&MasterZnode> = znodes.iter().filter(|znode| znode.pid.as_deref() == Some(&state.pid)).collect();
        match own.as_slice() {
            [_] => Ok(()),
            [] => Err(format!("{} is not registered in ZooKeeper yet", self.0.host)),
            [first, ..] => Err(format!(
                "{} has two znodes: {} is its dead session's, and the new process aborts when it goes",
                self.0.host, first.name
            )),
        }
    }

    /// Slaves and frameworks that were there before the stop and are not.
    fn missing(&self, leader: &MasterState) -> Option<String> {
        let slaves: Vec<String> = self
            .0
            .before
            .list("/slaves")
            .iter()
            .filter(|slave| !leader.slaves.iter().any(|now| now.pid == field(slave, "pid")))
            .map(|slave| format!("{} ({})", field(slave, "hostname"), field(slave, "pid")))
            .collect();
        let frameworks: Vec<String> = self
            .0
            .before
            .list("/frameworks")
            .iter()
            .filter(|framework| framework.get("active") == Some(&Value::Bool(true)))
            .filter(|framework| !leader.frameworks.iter().any(|now| now.active && now.id == field(framework, "id")))
            .map(|framework| format!("{} ({})", field(framework, "name"), field(framework, "id")))
            .collect();
        match (slaves.is_empty(), frameworks.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!("slaves that are not back: {}", enumerate(&slaves, 3))),
            (true, false) => Some(format!("frameworks that are not back: {}", enumerate(&frameworks, 3))),
            (false, false) => Some(format!(
                "not back yet: slaves {}; frameworks {}",
                enumerate(&slaves, 3),
                enumerate(&frameworks, 2)
            )),
        }
    }
}

/// What the gate remembers between looks.
struct Memory {
    /// Looks in a row without a process.
    absent: u64,
    /// Looks in a row that were good.
    steady: u64,
    /// The process of the last good look.
    process: u64,
    /// The leader of the last good look.
    leader: String,
}

impl Memory {
    fn read(value: &Value) -> Self {
        let number = |key: &str| value.get(key).and_then(Value::as_u64).unwrap_or(0);
        Self {
            absent: number("absent"),
            steady: number("steady"),
            process: number("process"),
            leader: field(value, "leader").to_owned(),
        }
    }

    fn write(&self) -> Value {
        serde_json::json!({"absent": self.absent, "steady": self.steady, "process": self.process, "leader": self.leader})
    }
}

impl Gate for MasterReady {
    fn timing(&self) -> Timing {
        self.0.timing()
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        if answers.is_empty() {
            let mut round = vec![self.0.look()];
            round.extend(self.0.masters.ask());
            return round;
        }
        self.0.second_round(answers, 1 + self.0.masters.len())
    }

    fn judge(&self, answers: &[Answer], memory: &mut Value, _elapsed: Duration) -> Verdict {
        let mut own = Memory::read(memory);
        let verdict = self.look_once(answers, &mut own);
        if !matches!(verdict, Verdict::Ready(_)) && own.steady == Memory::read(memory).steady {
            own.steady = 0;
        }
        *memory = own.write();
        verdict
    }

    fn expired(&self, why: &str, elapsed: Duration) -> Failure {
        Failure::new(format!("{} is not ready after {}: {why}", self.0.host, crate::base::render_duration(elapsed)))
            .with("elapsed", elapsed.as_secs())
    }
}

impl MasterReady {
    fn look_once(&self, answers: &[Answer], memory: &mut Memory) -> Verdict {
        let host = &self.0.host;
        let local = match self.0.local(answers) {
            Ok(local) => local,
            Err(why) => return Verdict::NotYet(why),
        };
        let process = match self.process(&local, memory) {
            Ok(process) => process,
            Err(verdict) => return verdict,
        };
        let masters = self.0.masters.read(answers.get(1..).unwrap_or_default());
        let state = match masters.iter().find(|master| master.host == *host).map(|master| &master.state) {
            Some(Ok(state)) => state,
            // Asked only while it is silent: an older line may stand in a file that this process does not write to.
            Some(Err(_)) if last_fatal(&local.log).is_some_and(|fatal| fatal.kind == FatalKind::Flags) => {
                return Verdict::NotYet(format!("mesos-master dies on its flags on {host} and is started again"));
            }
            Some(Err(why)) => return Verdict::NotYet(format!("{host} runs and does not answer yet: {why}")),
            None => return Verdict::NotYet(format!("{host} was not asked")),
        };
        let runs = match self.0.right_version(state.version, local.process(Daemon::Master)) {
            Ok(runs) => runs,
            Err(failure) => return Verdict::Never(failure),
        };
        let znodes = self.0.znodes(answers, 1 + self.0.masters.len());
        if let Some(Ok(list)) = &znodes
            && let Err(why) = self.znode(state, list)
        {
            return Verdict::NotYet(why);
        }
        let leader = match agreed_leader(&masters, znodes.as_ref()) {
            Ok(leader) => leader,
            Err(why) => return Verdict::NotYet(why),
        };
        if let Some(missing) = self.missing(leader.state) {
            return Verdict::NotYet(missing);
        }
        let same = memory.process == process && memory.leader == leader.state.id;
        memory.steady = if same { memory.steady + 1 } else { 1 };
        memory.process = process;
        memory.leader.clone_from(&leader.state.id);
        if memory.steady < 2 {
            return Verdict::NotYet(format!("{host} is back, {} leads: looking once more", leader.host));
        }
        let mut result = Map::new();
        result.insert("leader".to_owned(), leader.state.pid.clone().into());
        result.insert("leader_host".to_owned(), leader.host.into());
        result.insert("version".to_owned(), runs.map_or(Value::Null, |version| version.to_string().into()));
        result.insert("slaves".to_owned(), leader.state.slaves.len().into());
        result.insert("frameworks".to_owned(), leader.state.frameworks.iter().filter(|f| f.active).count().into());
        let away: Vec<&str> = masters.iter().filter(|m| m.state.is_err()).map(|m| m.host.as_str()).collect();
        if !away.is_empty() {
            result
                .insert("warnings".to_owned(), vec![format!("masters that do not answer: {}", away.join(", "))].into());
        }
        if !self.0.before.known() {
            let warning = "slaves and frameworks were not compared: run mesos_facts before the stop".to_owned();
            result.insert("warnings".to_owned(), vec![warning].into());
        }
        Verdict::Ready(result)
    }
}
