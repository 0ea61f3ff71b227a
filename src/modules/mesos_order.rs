//! `mesos_order`: whether it is this daemon's turn to be stopped. It asks the cluster, not the run: so it holds whatever a limit
//! leaves out, and for a run that was begun after another one halted.
//!
//! It can't know of what people do by hand at the same time, nor whether a framework could do with less than it has.

use std::collections::BTreeSet;
use std::time::Duration;

use super::mesos_look::{MASTERS, Masters, Member, SLAVES, ZK, enumerate, look, read_local, zk_option};
use super::{
    Answer, Arguments, Bound, Controller, Failure, Gate, HttpRequest, ModuleSpec, Opt, OptKind, Question, Timing,
    Verdict,
};
use crate::base::{Map, Value};
use crate::cluster::mesos::{Daemon, MasterAnswer, MasterState, Version, agreed_leader, before};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "mesos_order",
    aliases: &[],
    summary: "Checks that it is a Mesos daemon's turn to be stopped: the hop's order, no other master or slave away",
    options: &[
        Opt::new("daemon", OptKind::Choice(&["master", "slave", "agent"]), "which is to be stopped").required(),
        Opt::new("to", OptKind::Text, "the version that the hop leads to").required(),
        Opt::new("within", OptKind::Duration, "for how long daemons that are away are waited for").default("30s"),
        Opt::new("force", OptKind::Bool, "go on against the order, and say what that risks").default("false"),
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

fn check(arguments: &Arguments) -> Result<(), String> {
    match arguments.text("to").filter(|text| !text.contains("{{")) {
        Some(text) => Version::parse(&text).map(|_| ()),
        None => Ok(()),
    }
}

/// More slaves than this are not asked one by one whether they answer: the leader's list must do.
const ASKED: usize = 200;

#[derive(Debug)]
struct Order {
    host: String,
    daemon: Daemon,
    to: Version,
    within: Duration,
    force: bool,
    masters: Masters,
    slaves: Vec<Member>,
    /// Hosts that are stopped together with this one.
    batch: Vec<String>,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    // The option is read so that a wrong URL is told; the leader's own word is enough here.
    zk_option(arguments)?;
    let slaves = here.group(&arguments.required("slaves")).unwrap_or_default();
    let batch = here.variable("ansible_play_batch").and_then(|value| serde_json::from_value(value).ok());
    Ok(Bound::Gate(Box::new(Order {
        host: here.host().to_owned(),
        daemon: Daemon::parse(&arguments.required("daemon")).unwrap_or(Daemon::Master),
        to: Version::parse(&arguments.required("to")).map_err(Failure::new)?,
        within: arguments.duration("within").unwrap_or(Duration::from_secs(30)),
        force: arguments.flag("force"),
        masters: Masters::of(arguments, here)?,
        slaves: slaves.iter().map(|slave| Member::of(here, slave, Daemon::Slave)).collect(),
        batch: batch.unwrap_or_default(),
    })))
}

impl Order {
    /// Whether this hop takes slaves before masters.
    fn slaves_first(&self) -> bool {
        let place = |what: &str| before(self.to)?.order.iter().position(|step| step.starts_with(what));
        matches!((place("slaves"), place("masters")), (Some(slaves), Some(masters)) if slaves < masters)
    }

    /// Slaves that are asked whether they answer.
    fn asked(&self) -> &[Member] {
        if self.slaves.len() <= ASKED { &self.slaves } else { &[] }
    }

    /// Daemons that this hop takes first and that are not done.
    fn too_early(&self, masters: &[MasterAnswer], usage: &[Answer]) -> Option<String> {
        let early = |who: &str, names: &[String], how: &str| {
            format!("{who} come first in the hop to {}, and {} {how}", self.to, enumerate(names, 5))
        };
        match self.daemon {
            Daemon::Slave if !self.slaves_first() => {
                let done = |state: &MasterState| match state.version {
                    Some(runs) => runs >= self.to || runs.same_minor(self.to),
                    // It does not say so before 0.13, and 0.12 is reached slaves first.
                    None => self.to < Version::new(0, 13, 0),
                };
                let late: Vec<String> = masters
                    .iter()
                    .filter(|master| master.state.as_ref().is_ok_and(|state| !done(state)))
                    .map(|master| master.host.clone())
                    .collect();
                (!late.is_empty()).then(|| early("masters", &late, "not upgraded yet"))
            }
            Daemon::Master if self.slaves_first() => {
                // 0.12 brought this page, and no version says itself before 0.13.
                let old = |answer: &Answer| matches!(answer, Answer::Http(Ok(response)) if response.status == 404);
                let late: Vec<String> = self
                    .asked()
                    .iter()
                    .zip(usage)
                    .filter(|(_, answer)| old(answer))
                    .map(|(member, _)| member.host.clone())
                    .collect();
                (!late.is_empty()).then(|| early("slaves", &late, "not upgraded yet"))
            }
            _ => None,
        }
    }

    /// Slaves that are away: not listed by the leader, or listed and silent.
    fn slaves_away(&self, leader: &MasterState, usage: &[Answer]) -> Vec<String> {
        let listed = |member: &Member| {
            leader.slaves.iter().any(|slave| {
                slave.pid.ends_with(&format!("@{}:{}", member.address, member.port))
                    || slave.hostname == member.host
                    || slave.hostname == member.address
            })
        };
        let silent = |place: usize| matches!(usage.get(place), Some(Answer::Http(Err(_))));
        self.slaves
            .iter()
            .enumerate()
            .filter(|(_, member)| !self.batch.contains(&member.host) || member.host == self.host)
            .filter(|(place, member)| !listed(member) || (silent(*place) && member.host != self.host))
            .map(|(_, member)| member.host.clone())
            .collect()
    }

    /// A framework that runs on several slaves, all of which are in the batch.
    fn swept(&self, leader: &MasterState) -> Option<String> {
        let batch: Vec<&Member> = self.slaves.iter().filter(|member| self.batch.contains(&member.host)).collect();
        let of = |id: &str| {
            let slave = leader.slaves.iter().find(|slave| slave.id == id)?;
            batch
                .iter()
                .find(|member| {
                    slave.pid.ends_with(&format!("@{}:{}", member.address, member.port))
                        || slave.hostname == member.host
                })
                .map(|member| member.host.clone())
        };
        leader.frameworks.iter().filter(|framework| framework.active).find_map(|framework| {
            let ids: BTreeSet<&str> = framework.tasks.iter().map(|task| task.slave_id.as_str()).collect();
            let hosts: Option<Vec<String>> = ids.iter().map(|id| of(id)).collect();
            let hosts = hosts.filter(|hosts| hosts.len() > 1)?;
            Some(format!(
                "all tasks of the framework {} ({}) run on slaves of this batch ({}): take fewer slaves at once",
                framework.name,
                framework.id,
                enumerate(&hosts, 5)
            ))
        })
    }
}

impl Gate for Order {
    fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: self.within, every: Duration::from_secs(1) }
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        if !answers.is_empty() {
            return Vec::new();
        }
        let mut round = vec![look(None, &[])];
        round.extend(self.masters.ask());
        round.extend(self.asked().iter().map(|member| {
            let mut request =
                HttpRequest::get(format!("http://{}:{}/monitor/usage.json", member.bracketed(), member.port));
            request.timeout = Duration::from_secs(5);
            Question::Http { request, via: Some(member.host.clone()) }
        }));
        round
    }

    fn judge(&self, answers: &[Answer], _memory: &mut Value, _elapsed: Duration) -> Verdict {
        let host = &self.host;
        match read_local(answers.first()) {
            // What does not run is not stopped: a master or slave that is down is to be started.
            Ok(local) if local.process(self.daemon).is_none() => return Verdict::Ready(Map::new()),
            Ok(_) => {}
            Err(why) => return Verdict::NotYet(format!("{host} can't be looked at: {why}")),
        }
        let masters = self.masters.read(answers.get(1..).unwrap_or_default());
        let usage = answers.get(1 + self.masters.len()..).unwrap_or_default();
        let mut against = Vec::new();
        if let Some(why) = self.too_early(&masters, usage) {
            against.push((why, "daemons of a release that nobody has tried with the other's"));
        }
        let leader = agreed_leader(&masters, None);
        if self.daemon == Daemon::Slave
            && let Ok(leader) = &leader
            && let Some(why) = self.swept(leader.state)
        {
            against.push((why, "the loss of that framework's tasks all at once"));
        }
        if !self.force && !against.is_empty() {
            let why: Vec<&str> = against.iter().map(|(why, _)| why.as_str()).collect();
            let failure =
                format!("{}. Against that order only with --force-order (-e force_order=true)", why.join("; "));
            return Verdict::Never(Failure::new(failure).with("refused", why.join("; ")));
        }
        let away: Vec<String> = masters
            .iter()
            .filter(|master| master.state.is_err() && master.host != *host)
            .map(|m| m.host.clone())
            .collect();
        if self.daemon == Daemon::Master && !away.is_empty() {
            let names = enumerate(&away, 5);
            let why = format!("another master is away ({names}): with {host} stopped too, too few would be left");
            if !self.force {
                return Verdict::NotYet(why);
            }
            against.push((why, "a cluster without a leader"));
        }
        match leader {
            Err(why) if !self.force => return Verdict::NotYet(why),
            Err(why) => against.push((why, "a cluster without a leader")),
            Ok(leader) if self.daemon == Daemon::Slave => {
                let away = self.slaves_away(leader.state, usage);
                if !away.is_empty() {
                    let why = format!("slaves that are not back: {}", enumerate(&away, 5));
                    if !self.force {
                        return Verdict::NotYet(why);
                    }
                    against.push((why, "more slaves away at once than a batch has"));
                }
            }
            Ok(_) => {}
        }
        let mut result = Map::new();
        if !against.is_empty() {
            let warnings: Vec<String> =
                against.iter().map(|(why, risk)| format!("forced, though {why}; this risks {risk}")).collect();
            result.insert("warnings".to_owned(), warnings.into());
        }
        Verdict::Ready(result)
    }

    fn expired(&self, why: &str, elapsed: Duration) -> Failure {
        Failure::new(format!(
            "{} is not stopped: {why}, for {}. Against that only with --force-order (-e force_order=true)",
            self.host,
            crate::base::render_duration(elapsed)
        ))
    }
}
