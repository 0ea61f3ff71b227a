//! The cluster as a whole, before a hop: versions, order, who is registered, and whether `ZooKeeper` has its quorum.

use super::Preflight;
use crate::cluster::mesos::{MasterAnswer, MasterState, MasterZnode, Version, ZkUrl, hop, neighbours};
use crate::modules::Answer;
use crate::modules::mesos_look::{Member, enumerate, read_znodes};

impl Preflight {
    pub(super) fn hop(&self, who: &str, runs: Option<Version>, wrong: &mut Vec<String>) {
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
    pub(super) fn order(&self, masters: &[MasterAnswer], wrong: &mut Vec<String>) {
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

    /// Masters and slaves that are registered and not listed, or the reverse: every gate would count wrong.
    pub(super) fn inventory(
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

    /// One session with each server: what a server grants only while it has a quorum behind it.
    pub(super) fn quorum(
        &self,
        url: &ZkUrl,
        answers: &[Answer],
    ) -> (Result<Vec<MasterZnode>, String>, Option<String>, Option<String>) {
        let first = self.first_round() + 2;
        let mut silent = Vec::new();
        let mut seen: Result<Vec<MasterZnode>, String> = Err("no server answers".to_owned());
        for (place, server) in url.servers.iter().enumerate() {
            match read_znodes(answers.get(first + place)) {
                Ok(znodes) if seen.is_err() => seen = Ok(znodes),
                Ok(_) => {}
                Err(why) => {
                    if seen.is_err() {
                        seen = Err(why.clone());
                    }
                    // It answers, and has nothing there.
                    if !why.starts_with("ZooKeeper has no node") {
                        silent.push(format!("{server} ({why})"));
                    }
                }
            }
        }
        let (all, up) = (url.servers.len(), url.servers.len() - silent.len());
        if silent.is_empty() {
            return (seen, None, None);
        }
        let told = format!("{up} of {all} ZooKeeper servers answer; not {}", enumerate(&silent, 5));
        if up * 2 <= all {
            return (seen, Some(format!("{told}: without a quorum every master aborts within 10 s")), None);
        }
        let last = (up - 1) * 2 <= all;
        let and = if last { ": one more away, and every master aborts. Mend it first if you can" } else { "" };
        (seen, None, Some(format!("{told}{and}")))
    }
}
