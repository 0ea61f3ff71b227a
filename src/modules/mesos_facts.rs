//! `mesos_facts`: what a host's Mesos daemons are and do, and the cluster as its leader sees it, as the variable `mesos`.
//!
//! A master has the whole view; a slave has itself and its own tasks (a cluster's tasks on each of its slaves would be a
//! thousand times as much). What is not known is null; not knowing is no failure.

use std::time::Duration;

use super::mesos_look::{
    MASTERS, Masters, Member, Process, SLAVES, ZK, ask_znodes, look, read_local, read_slave, read_znodes, zk_of,
    zk_option, zk_value,
};
use super::{Answer, Arguments, Bound, Controller, Failure, Gate, ModuleSpec, Opt, OptKind, Question, Timing, Verdict};
use crate::base::{Map, Value};
use crate::cluster::mesos::{Daemon, MasterState, MasterZnode, Slave, Task, ZkUrl, agreed_leader, mask_urls, name_of};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "mesos_facts",
    aliases: &[],
    summary: "Asks Mesos daemons, the leading master and ZooKeeper what is, for the variable `mesos`",
    options: &[
        MASTERS,
        SLAVES,
        ZK,
        Opt::new(
            "view",
            OptKind::Choice(&["auto", "cluster", "own"]),
            "slaves and tasks: all, or this host's; auto gives masters all",
        )
        .default("auto"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct MesosFacts {
    host: String,
    masters: Masters,
    slave: Option<Member>,
    zk: Option<ZkUrl>,
    whole: bool,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let host = here.host().to_owned();
    let masters = Masters::of(arguments, here)?;
    let is_slave = here.group(&arguments.required("slaves")).unwrap_or_default().contains(&host);
    let whole = match arguments.required("view").as_str() {
        "cluster" => true,
        "own" => false,
        _ => !is_slave || masters.has(&host),
    };
    Ok(Bound::Gate(Box::new(MesosFacts {
        slave: is_slave.then(|| Member::of(here, &host, Daemon::Slave)),
        zk: zk_option(arguments)?,
        host,
        masters,
        whole,
    })))
}

impl MesosFacts {
    /// The URL that is asked: the option's, else what the host's daemons run with.
    fn url(&self, answers: &[Answer]) -> Option<ZkUrl> {
        self.zk.clone().or_else(|| read_local(answers.first()).ok().as_ref().and_then(zk_of))
    }

    fn first_round(&self) -> usize {
        1 + self.masters.len() + usize::from(self.slave.is_some())
    }
}

impl Gate for MesosFacts {
    fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: Duration::ZERO, every: Duration::from_secs(1) }
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        if answers.is_empty() {
            let mut round = vec![look(None, &[])];
            round.extend(self.masters.ask());
            round.extend(self.slave.iter().map(|member| member.ask(Daemon::Slave)));
            return round;
        }
        if answers.len() == self.first_round()
            && let Some(url) = self.url(answers)
        {
            return vec![ask_znodes(&url, &self.host)];
        }
        Vec::new()
    }

    fn judge(&self, answers: &[Answer], _memory: &mut Value, _elapsed: Duration) -> Verdict {
        let local = match read_local(answers.first()) {
            Ok(local) => local,
            Err(why) => return Verdict::Never(Failure::new(format!("the host's processes can't be seen: {why}"))),
        };
        let masters = self.masters.read(answers.get(1..).unwrap_or_default());
        let url = self.url(answers);
        let znodes = url.as_ref().map(|_| read_znodes(answers.get(self.first_round())));
        let leader = agreed_leader(&masters, znodes.as_ref());
        let mut facts = Map::new();
        let mut put = |key: &str, value: Value| {
            facts.insert(key.to_owned(), value);
        };

        let own = masters.iter().find(|master| master.host == self.host).and_then(|master| master.state.as_ref().ok());
        let master = own.map(|state| {
            let znode = znodes
                .as_ref()
                .and_then(|z| z.as_ref().ok())
                .and_then(|z| z.iter().find(|z| z.pid.as_deref() == Some(&state.pid)));
            master_value(state, local.process(Daemon::Master), znode)
        });
        let slave_state = self.slave.as_ref().map(|_| read_slave(answers.get(1 + self.masters.len())));
        let slave = slave_state.as_ref().and_then(|state| state.as_ref().ok()).map(|state| {
            let mut value = daemon_value(
                state.version.or_else(|| local.process(Daemon::Slave)?.version()).map(|v| v.to_string()),
                &state.pid,
                state.id.clone(),
                state.start_time,
                local.process(Daemon::Slave),
            );
            value.insert("hostname".to_owned(), state.hostname.clone().into());
            value
        });
        let roles: Vec<&str> = [(Daemon::Master, master.is_some()), (Daemon::Slave, slave.is_some())]
            .into_iter()
            .filter(|(daemon, answers)| *answers || local.process(*daemon).is_some())
            .map(|(daemon, _)| daemon.word())
            .collect();
        put("roles", roles.into());
        // When this was seen, by the host's own clock that nobody sets.
        put("uptime", local.uptime.map_or(Value::Null, Value::from));
        // A host with one daemon has that daemon's facts at the top too.
        for key in ["version", "pid", "id", "start_time", "flags"] {
            let of = |map: &Option<Map>| map.as_ref().and_then(|map| map.get(key).cloned());
            put(key, of(&master).or_else(|| of(&slave)).unwrap_or(Value::Null));
        }
        let own_pid = own.map(|state| state.pid.as_str());
        put("is_leader", leader.as_ref().is_ok_and(|leader| Some(leader.state.pid.as_str()) == own_pid).into());
        put("leader", leader.as_ref().map_or(Value::Null, |leader| leader.state.pid.clone().into()));
        put("leader_host", leader.as_ref().map_or(Value::Null, |leader| leader.host.into()));
        put(
            "leader_version",
            leader.as_ref().ok().and_then(|leader| leader.state.version).map_or(Value::Null, |v| v.to_string().into()),
        );
        put("no_leader_because", leader.as_ref().err().map_or(Value::Null, |why| why.clone().into()));
        put("master", master.map_or(Value::Null, Value::Object));
        put("zk", url.as_ref().map_or(Value::Null, zk_value));
        put(
            "masters",
            masters
                .iter()
                .map(|answer| match &answer.state {
                    Ok(state) => object([
                        ("host", answer.host.clone().into()),
                        ("answers", true.into()),
                        ("pid", state.pid.clone().into()),
                        ("version", state.version.map_or(Value::Null, |v| v.to_string().into())),
                        ("leader", state.leader.as_deref().map_or(Value::Null, |pid| name_of(&masters, pid).into())),
                    ]),
                    Err(why) => object([
                        ("host", answer.host.clone().into()),
                        ("answers", false.into()),
                        ("why", why.clone().into()),
                    ]),
                })
                .collect::<Vec<_>>()
                .into(),
        );
        let seen = znodes.as_ref().and_then(|z| z.as_ref().ok());
        put("znodes", seen.map_or(Value::Null, |znodes| znodes.iter().map(znode_value).collect::<Vec<_>>().into()));
        let slave_pid = slave.as_ref().and_then(|map| map.get("pid")).and_then(Value::as_str).map(str::to_owned);
        put("slave", slave.map_or(Value::Null, Value::Object));
        if let Ok(leader) = leader {
            let own_ids: Vec<&str> = leader
                .state
                .slaves
                .iter()
                .filter(|s| Some(&s.pid) == slave_pid.as_ref())
                .map(|s| s.id.as_str())
                .collect();
            let mine = |id: &str| self.whole || own_ids.contains(&id);
            put(
                "slaves",
                leader.state.slaves.iter().filter(|slave| mine(&slave.id)).map(slave_value).collect::<Vec<_>>().into(),
            );
            let frameworks = leader.state.frameworks.iter();
            put(
                "frameworks",
                frameworks
                    .clone()
                    .map(|f| {
                        object([
                            ("id", f.id.clone().into()),
                            ("name", f.name.clone().into()),
                            ("active", f.active.into()),
                        ])
                    })
                    .collect::<Vec<_>>()
                    .into(),
            );
            let tasks = frameworks.flat_map(|framework| &framework.tasks).filter(|task| mine(&task.slave_id));
            put("tasks", tasks.map(task_value).collect::<Vec<_>>().into());
        } else {
            // Unknown, not empty: nobody who could know was asked.
            for key in ["slaves", "frameworks", "tasks"] {
                put(key, Value::Null);
            }
        }
        let mut result = Map::new();
        result.insert("ansible_facts".to_owned(), object([("mesos", Value::Object(facts))]));
        Verdict::Ready(result)
    }
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn daemon_value(version: Option<String>, pid: &str, id: Option<String>, start: f64, process: Option<&Process>) -> Map {
    let mut map = Map::new();
    map.insert("version".to_owned(), version.map_or(Value::Null, Value::from));
    map.insert("pid".to_owned(), pid.into());
    map.insert("id".to_owned(), id.map_or(Value::Null, Value::from));
    map.insert("start_time".to_owned(), start.into());
    let flags = process.map(|process| {
        Value::Object(process.flags().into_iter().map(|(name, value)| (name, mask_urls(&value).into())).collect())
    });
    map.insert("flags".to_owned(), flags.unwrap_or(Value::Null));
    let process = process.map(|process| {
        object([
            ("pid", process.pid.into()),
            ("started", process.started.into()),
            ("program", process.program.clone().into()),
        ])
    });
    map.insert("process".to_owned(), process.unwrap_or(Value::Null));
    map
}

fn master_value(state: &MasterState, process: Option<&Process>, znode: Option<&MasterZnode>) -> Map {
    let version = state.version.or_else(|| process?.version()).map(|version| version.to_string());
    let mut map = daemon_value(version, &state.pid, Some(state.id.clone()), state.start_time, process);
    map.insert("znode".to_owned(), znode.map_or(Value::Null, |znode| znode.name.clone().into()));
    map.insert("sequence".to_owned(), znode.map_or(Value::Null, |znode| znode.sequence.into()));
    map
}

fn znode_value(znode: &MasterZnode) -> Value {
    object([
        ("name", znode.name.clone().into()),
        ("sequence", znode.sequence.into()),
        ("pid", znode.pid.clone().map_or(Value::Null, Value::from)),
    ])
}

fn slave_value(slave: &Slave) -> Value {
    object([
        ("id", slave.id.clone().into()),
        ("pid", slave.pid.clone().into()),
        ("hostname", slave.hostname.clone().into()),
        ("registered_time", slave.registered.into()),
        ("reregistered_time", slave.reregistered.map_or(Value::Null, Value::from)),
    ])
}

fn task_value(task: &Task) -> Value {
    object([
        ("id", task.id.clone().into()),
        ("state", task.state.clone().into()),
        ("slave_id", task.slave_id.clone().into()),
        ("framework", task.framework_id.clone().into()),
    ])
}
