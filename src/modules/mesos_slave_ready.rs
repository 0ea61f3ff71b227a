//! `mesos_slave_ready`: a started slave is back, by the word of the leading master, and its tasks are as promised.
//!
//! The slave's own word is worth little: it says `registered` as soon as it has seen a master. A dead slave stays listed
//! for 75 s. What counts is that the leader has taken this slave in since it was started.

use std::collections::BTreeSet;
use std::time::Duration;

use super::mesos_look::{LOG, Local, MASTERS, Member, ZK, enumerate, field, read_slave};
use super::mesos_ready::{Started, VERSION, check_version};
use super::{Answer, Arguments, Bound, Controller, Failure, Gate, ModuleSpec, Opt, OptKind, Question, Timing, Verdict};
use crate::base::{Map, Value};
use crate::cluster::mesos::{Daemon, MasterState, Slave, SlaveState, Version, agreed_leader, said_reregistered};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "mesos_slave_ready",
    aliases: &[],
    summary: "Waits until the leading master has a restarted slave back, and counts its tasks",
    options: &[
        VERSION,
        Opt::new("within", OptKind::Duration, "how long it may be away, since mesos_facts saw it just before its stop")
            .default("45s"),
        Opt::new("ids", OptKind::Choice(&["any", "kept", "new"]), "whether it must have its old id, or a new one")
            .default("any"),
        Opt::new("lose", OptKind::Text, "how many of its tasks may be lost: none, all or a number").default("none"),
        MASTERS,
        ZK,
        LOG,
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: Some(check),
    build,
};

fn check(arguments: &Arguments) -> Result<(), String> {
    check_version(arguments)?;
    match arguments.text("lose").filter(|text| !text.contains("{{")) {
        Some(text) => allowance(&text).map(|_| ()),
        None => Ok(()),
    }
}

/// How many tasks may be lost.
fn allowance(text: &str) -> Result<usize, String> {
    match text.trim() {
        "none" => Ok(0),
        "all" => Ok(usize::MAX),
        number => number.parse().map_err(|_| format!("`lose` is none, all or a number of tasks, not `{text}`")),
    }
}

#[derive(Debug)]
struct SlaveReady {
    started: Started,
    own: Member,
    ids: String,
    lose: usize,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let started = Started::of(arguments, here, Daemon::Slave)?;
    Ok(Bound::Gate(Box::new(SlaveReady {
        own: Member::of(here, &started.host, Daemon::Slave),
        ids: arguments.required("ids"),
        lose: allowance(&arguments.required("lose")).map_err(Failure::new)?,
        started,
    })))
}

/// Seconds after which a master gives a slave up that is away; no flag before 0.23 changes it.
const GIVEN_UP: u64 = 75;

impl SlaveReady {
    /// For how long it has been away: since it was last seen to run, which was just before its stop. Where that was longer ago than
    /// any slave can be away, those facts are of another time, and only what was waited counts.
    fn away(&self, local: &Local, elapsed: Duration) -> Duration {
        let running = self.started.before.at("/uptime").and_then(Value::as_u64);
        let gone = running.zip(local.uptime).and_then(|(then, now)| now.checked_sub(then));
        let waited = elapsed.as_secs();
        match gone {
            Some(gone) if gone.saturating_sub(waited) <= GIVEN_UP => Duration::from_secs(gone.max(waited)),
            _ => elapsed,
        }
    }

    fn first_round(&self) -> usize {
        2 + self.started.masters.len()
    }

    /// The id before the stop, by the slave itself, else by the leader.
    fn old_id(&self) -> Option<String> {
        let pid = self.started.before.text("/slave/pid");
        let listed =
            self.started.before.list("/slaves").iter().find(|slave| Some(field(slave, "pid")) == pid.as_deref());
        self.started.before.text("/slave/id").or_else(|| listed.map(|slave| field(slave, "id").to_owned()))
    }

    /// When the leader had last taken the old slave in, by the leader's clock.
    fn old_time(&self, id: &str) -> f64 {
        let slave = self.started.before.list("/slaves").iter().find(|slave| field(slave, "id") == id);
        let time = |key: &str| slave.and_then(|slave| slave.get(key)).and_then(Value::as_f64).unwrap_or(0.0);
        time("registered_time").max(time("reregistered_time"))
    }

    /// The leader's entry of this slave, taken in since the restart.
    fn entry<'a>(&self, leader: &'a MasterState, state: &SlaveState, log: &str) -> Result<&'a Slave, String> {
        let host = &self.started.host;
        let listed: Vec<&Slave> = leader.slaves.iter().filter(|slave| slave.pid == state.pid).collect();
        let Some(id) = &state.id else {
            return Err(format!("{host} runs and has no id yet: it has not registered"));
        };
        let Some(entry) = listed.iter().find(|slave| slave.id == *id).copied() else {
            return Err(match listed.first() {
                Some(old) => format!("the leader lists {host} under its old id {} only", old.id),
                None => format!("the leader does not list {host} yet"),
            });
        };
        if let Some(other) = listed.iter().find(|slave| slave.id != *id) {
            return Err(format!("the leader lists {host}'s old id {} beside the new one", other.id));
        }
        let fresh = self.old_id().as_deref() != Some(id.as_str()) || entry.last_seen() > self.old_time(id);
        // Before 0.14 a master keeps no time of re-registration: the slave's log is the only word.
        let blind = leader.version.is_none_or(|version| version < Version::new(0, 14, 0));
        if fresh || (blind && said_reregistered(log)) {
            return Ok(entry);
        }
        Err(format!("the leader lists {host} from before its restart: it has not registered again"))
    }

    /// Tasks of before that neither run nor ended well.
    fn lost(&self, leader: &MasterState) -> (usize, Vec<String>) {
        let old = self.old_id();
        let was: Vec<(&str, &str)> = self
            .started
            .before
            .list("/tasks")
            .iter()
            .filter(|task| old.as_deref().is_some_and(|id| field(task, "slave_id") == id))
            .filter(|task| matches!(field(task, "state"), "TASK_RUNNING" | "TASK_STARTING" | "TASK_STAGING"))
            .map(|task| (field(task, "framework"), field(task, "id")))
            .collect();
        let mut alive = BTreeSet::new();
        for framework in &leader.frameworks {
            alive.extend(
                framework
                    .tasks
                    .iter()
                    .filter(|task| !ended_badly(&task.state))
                    .map(|task| (framework.id.as_str(), task.id.as_str())),
            );
            let well = framework.ended.iter().filter(|task| task.state == "TASK_FINISHED");
            alive.extend(well.map(|task| (framework.id.as_str(), task.id.as_str())));
        }
        let lost = was.iter().filter(|task| !alive.contains(*task)).map(|(_, id)| (*id).to_owned()).collect();
        (was.len(), lost)
    }
}

fn ended_badly(state: &str) -> bool {
    matches!(state, "TASK_LOST" | "TASK_FAILED" | "TASK_KILLED" | "TASK_ERROR" | "TASK_GONE" | "TASK_DROPPED")
}

impl Gate for SlaveReady {
    fn timing(&self) -> Timing {
        self.started.timing()
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        if answers.is_empty() {
            let mut round = vec![self.started.look(), self.own.ask(Daemon::Slave)];
            round.extend(self.started.masters.ask());
            return round;
        }
        self.started.second_round(answers, self.first_round())
    }

    fn judge(&self, answers: &[Answer], memory: &mut Value, elapsed: Duration) -> Verdict {
        let local = match self.started.local(answers) {
            Ok(local) => local,
            Err(why) => {
                *memory = Value::Null;
                return Verdict::NotYet(why);
            }
        };
        let verdict = self.look_once(answers, &local, memory);
        let stopped = local.process(Daemon::Slave).is_none_or(|process| self.started.renewed(process).is_ok());
        let away = self.away(&local, elapsed);
        match verdict {
            Verdict::NotYet(why) if stopped && away >= self.started.within && away > elapsed => {
                Verdict::Never(self.expired(&why, away))
            }
            other => other,
        }
    }

    fn expired(&self, why: &str, elapsed: Duration) -> Failure {
        Failure::new(format!(
            "{} is not back after {}: {why}. {GIVEN_UP} s after its stop the master gives it and its tasks up",
            self.started.host,
            crate::base::render_duration(elapsed)
        ))
        .with("elapsed", elapsed.as_secs())
    }
}

impl SlaveReady {
    /// `memory`: looks in a row without a process or an answer, and the last good look: process, id and lost tasks.
    fn look_once(&self, answers: &[Answer], local: &Local, memory: &mut Value) -> Verdict {
        let host = &self.started.host;
        let silent = memory.get("silent").and_then(Value::as_u64).unwrap_or(0);
        let good = memory.get("good").cloned().unwrap_or(Value::Null);
        *memory = Value::Null;
        // Absent or silent, twice in a row: an older line alone proves nothing against a process that is just starting.
        let ended = |memory: &mut Value, why: String| {
            *memory = serde_json::json!({"silent": silent + 1});
            let ended = if silent >= 1 { self.started.ended(local) } else { None };
            ended.unwrap_or(Verdict::NotYet(why))
        };
        let Some(process) = local.process(Daemon::Slave) else {
            return ended(memory, format!("mesos-slave does not run on {host}"));
        };
        if let Err(why) = self.started.renewed(process) {
            return Verdict::NotYet(why);
        }
        let state = match read_slave(answers.get(1)) {
            Ok(state) => state,
            Err(why) => return ended(memory, format!("{host} runs and does not answer yet: {why}")),
        };
        let runs = match self.started.right_version(state.version, Some(process)) {
            Ok(runs) => runs,
            Err(failure) => return Verdict::Never(failure),
        };
        let masters = self.started.masters.read(answers.get(2..).unwrap_or_default());
        let znodes = self.started.znodes(answers, self.first_round());
        let leader = match agreed_leader(&masters, znodes.as_ref()) {
            Ok(leader) => leader,
            Err(why) => return Verdict::NotYet(why),
        };
        let entry = match self.entry(leader.state, &state, &local.log) {
            Ok(entry) => entry,
            Err(why) => return Verdict::NotYet(why),
        };
        let (count, lost) = self.lost(leader.state);
        // The tasks are counted twice too: their loss may be reported after the slave is back.
        let now = serde_json::json!([process.pid, entry.id, lost]);
        if good != now {
            *memory = serde_json::json!({"good": now});
            return Verdict::NotYet(format!("{host} is back as {}: looking once more", entry.id));
        }
        self.end(&entry.id, runs, count, &lost)
    }

    fn end(&self, id: &str, runs: Option<Version>, count: usize, lost: &[String]) -> Verdict {
        let host = &self.started.host;
        let old = self.old_id();
        let kept = old.as_deref() == Some(id);
        let names = || enumerate(lost, 5);
        if self.ids == "kept" && !kept {
            let before = old.as_deref().map_or_else(|| "its old one, which is not known".to_owned(), str::to_owned);
            let tasks = if lost.is_empty() { String::new() } else { format!("; its tasks are lost: {}", names()) };
            return Verdict::Never(Failure::new(format!(
                "{host} came back under the new id {id}, not {before}{tasks}"
            )));
        }
        if self.ids == "new" && kept {
            return Verdict::Never(Failure::new(format!(
                "{host} came back under its old id {id}: a new one was expected"
            )));
        }
        if lost.len() > self.lose {
            let allowed = if self.lose == 0 { "none may be".to_owned() } else { format!("{} may be", self.lose) };
            let failure = format!("{host} lost {} of its {count} tasks, and {allowed}: {}", lost.len(), names());
            return Verdict::Never(Failure::new(failure).with("lost", lost.to_vec()));
        }
        let mut result = Map::new();
        result.insert("id".to_owned(), id.into());
        result.insert("id_kept".to_owned(), kept.into());
        result.insert("version".to_owned(), runs.map_or(Value::Null, |version| version.to_string().into()));
        result.insert("tasks_before".to_owned(), count.into());
        result.insert("lost".to_owned(), lost.to_vec().into());
        if !self.started.before.known() {
            let warning = "ids and tasks were not compared: run mesos_facts before the stop";
            result.insert("warnings".to_owned(), vec![warning].into());
        } else if !lost.is_empty() {
            result.insert(
                "warnings".to_owned(),
                vec![format!("{} of {count} tasks are lost: {}", lost.len(), names())].into(),
            );
        }
        Verdict::Ready(result)
    }
}
