//! `mesos_slave_ready`: a started slave is back, by the word of the leading master, and its tasks are as promised.
//!
//! The slave's own word is worth little: it says `registered` as soon as it has seen a master. A dead slave stays listed
//! for 75 s. What counts is that the leader has taken this slave in since it was started.

use std::collections::BTreeSet;
use std::time::Duration;

use super::mesos_look::{
    Before, LOG, MASTERS, Masters, Member, ZK, ask_znodes, enumerate, field, look, read_local, read_slave, read_znodes,
    zk_of, zk_option,
};
use super::{Answer, Arguments, Bound, Controller, Failure, Gate, ModuleSpec, Opt, OptKind, Question, Timing, Verdict};
use crate::base::{Map, Value};
use crate::cluster::mesos::{
    Daemon, MasterState, Slave, SlaveState, Version, ZkUrl, agreed_leader, last_fatal, said_reregistered,
};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "mesos_slave_ready",
    aliases: &[],
    summary: "Waits until the leading master has a restarted slave back, and counts its tasks",
    options: &[
        Opt::new("version", OptKind::Text, "the version that it must run; not checked when not given"),
        Opt::new("within", OptKind::Duration, "for how long to wait; the master gives a slave up after 75 s")
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
    if let Some(text) = arguments.text("version").filter(|text| !text.contains("{{")) {
        Version::parse(&text)?;
    }
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
    host: String,
    own: Member,
    version: Option<Version>,
    within: Duration,
    ids: String,
    lose: usize,
    masters: Masters,
    zk: Option<ZkUrl>,
    logs: Vec<String>,
    before: Before,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let before = Before::of(here);
    let host = here.host().to_owned();
    let version = arguments.text("version").map(|text| Version::parse(&text)).transpose().map_err(Failure::new)?;
    Ok(Bound::Gate(Box::new(SlaveReady {
        own: Member::of(here, &host, Daemon::Slave),
        version,
        within: arguments.duration("within").unwrap_or(Duration::from_secs(45)),
        ids: arguments.required("ids"),
        lose: allowance(&arguments.required("lose")).map_err(Failure::new)?,
        masters: Masters::of(arguments, here)?,
        zk: zk_option(arguments)?.or_else(|| before.zk()),
        logs: arguments.list("log"),
        before,
        host,
    })))
}

impl SlaveReady {
    fn url(&self, answers: &[Answer]) -> Option<ZkUrl> {
        read_local(answers.first()).ok().as_ref().and_then(zk_of).or_else(|| self.zk.clone())
    }

    fn first_round(&self) -> usize {
        2 + self.masters.len()
    }

    /// The id before the stop, by the slave itself, else by the leader.
    fn old_id(&self) -> Option<String> {
        let pid = self.before.text("/slave/pid");
        let listed = self.before.list("/slaves").iter().find(|slave| Some(field(slave, "pid")) == pid.as_deref());
        self.before.text("/slave/id").or_else(|| listed.map(|slave| field(slave, "id").to_owned()))
    }

    /// When the leader had last taken the old slave in, by the leader's clock.
    fn old_time(&self, id: &str) -> f64 {
        let slave = self.before.list("/slaves").iter().find(|slave| field(slave, "id") == id);
        let time = |key: &str| slave.and_then(|slave| slave.get(key)).and_then(Value::as_f64).unwrap_or(0.0);
        time("registered_time").max(time("reregistered_time"))
    }

    /// The leader's entry of this slave, taken in since the restart.
    fn entry<'a>(&self, leader: &'a MasterState, state: &SlaveState, log: &str) -> Result<&'a Slave, String> {
        let host = &self.host;
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
        Timing { delay: Duration::ZERO, within: self.within, every: Duration::from_secs(1) }
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        if answers.is_empty() {
            let mut round = vec![look(Some(Daemon::Slave), &self.logs), self.own.ask(Daemon::Slave)];
            round.extend(self.masters.ask());
            return round;
        }
        match self.url(answers) {
            Some(url) if answers.len() == self.first_round() => vec![ask_znodes(&url, &self.host)],
            _ => Vec::new(),
        }
    }

    /// `memory`: looks in a row without a process or an answer, and the last good look: process, id and lost tasks.
    fn judge(&self, answers: &[Answer], memory: &mut Value, _elapsed: Duration) -> Verdict {
        let host = &self.host;
        let silent = memory.get("silent").and_then(Value::as_u64).unwrap_or(0);
        let good = memory.get("good").cloned().unwrap_or(Value::Null);
        *memory = Value::Null;
        let local = match read_local(answers.first()) {
            Ok(local) => local,
            Err(why) => return Verdict::NotYet(format!("{host} can't be looked at: {why}")),
        };
        // Absent or silent, twice in a row: an older line alone proves nothing against a process that is just starting.
        let ended = |memory: &mut Value, why: String| {
            *memory = serde_json::json!({"silent": silent + 1});
            match last_fatal(&local.log).filter(|_| silent >= 1) {
                Some(fatal) => {
                    let failure =
                        format!("mesos-slave ended on {host}: {}; it said `{}`", fatal.kind.meaning(), fatal.line);
                    Verdict::Never(Failure::new(failure).with("said", fatal.line))
                }
                None => Verdict::NotYet(why),
            }
        };
        let Some(process) = local.process(Daemon::Slave) else {
            return ended(memory, format!("mesos-slave does not run on {host}"));
        };
        if self.before.same_process(Daemon::Slave, process) {
            return Verdict::NotYet(format!("{host} still runs the mesos-slave of before (process {})", process.pid));
        }
        let state = match read_slave(answers.get(1)) {
            Ok(state) => state,
            Err(why) => return ended(memory, format!("{host} runs and does not answer yet: {why}")),
        };
        if let (Some(wanted), Some(runs)) = (self.version, state.version)
            && wanted != runs
        {
            let failure =
                format!("{host} runs Mesos {runs}, not {wanted}: is the release in force that its service starts?");
            return Verdict::Never(Failure::new(failure));
        }
        let masters = self.masters.read(answers.get(2..).unwrap_or_default());
        let url = self.url(answers);
        let znodes = url.as_ref().map(|_| read_znodes(answers.get(self.first_round())));
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
        self.end(&entry.id, &state, count, &lost)
    }

    fn expired(&self, why: &str, elapsed: Duration) -> Failure {
        Failure::new(format!(
            "{} is not back after {}: {why}. 75 s after its stop the master gives it and its tasks up",
            self.host,
            crate::base::render_duration(elapsed)
        ))
        .with("elapsed", elapsed.as_secs())
    }
}

impl SlaveReady {
    fn end(&self, id: &str, state: &SlaveState, count: usize, lost: &[String]) -> Verdict {
        let host = &self.host;
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
        result.insert("version".to_owned(), state.version.map_or(Value::Null, |version| version.to_string().into()));
        result.insert("tasks_before".to_owned(), count.into());
        result.insert("lost".to_owned(), lost.to_vec().into());
        if !self.before.known() {
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
