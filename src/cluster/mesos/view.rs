//! Who leads, by everybody's word: no answer is believed alone.

use super::{MasterState, MasterZnode};

/// One master of the inventory, and what it answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MasterAnswer {
    /// Its inventory name.
    pub(crate) host: String,
    /// Its `state.json`, or why there is none.
    pub(crate) state: Result<MasterState, String>,
}

/// A leader that is agreed on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leader<'a> {
    /// Its inventory name.
    pub(crate) host: &'a str,
    /// Its own answer: the only one with slaves and frameworks.
    pub(crate) state: &'a MasterState,
}

/// The inventory name of a pid, or the pid.
pub(crate) fn name_of<'a>(masters: &'a [MasterAnswer], pid: &'a str) -> &'a str {
    let is = |master: &&MasterAnswer| master.state.as_ref().is_ok_and(|state| state.pid == pid);
    masters.iter().find(is).map_or(pid, |master| master.host.as_str())
}

/// The leader that all masters that answer name, that answers itself, and that has the lowest znode. `znodes` is `None`
/// for a master without `ZooKeeper`.
///
/// # Errors
/// There is none yet: why, for the screen.
pub(crate) fn agreed_leader<'a>(
    masters: &'a [MasterAnswer],
    znodes: Option<&Result<Vec<MasterZnode>, String>>,
) -> Result<Leader<'a>, String> {
    let answering: Vec<(&str, &MasterState)> =
        masters.iter().filter_map(|m| m.state.as_ref().ok().map(|state| (m.host.as_str(), state))).collect();
    if answering.is_empty() {
        let why = masters.iter().find_map(|m| m.state.as_ref().err().map(|why| format!("{}: {why}", m.host)));
        return Err(format!("no master answers ({})", why.unwrap_or_else(|| "there is none".to_owned())));
    }
    let blind: Vec<&str> =
        answering.iter().filter(|(_, state)| state.leader.is_none()).map(|(host, _)| *host).collect();
    if !blind.is_empty() {
        return Err(format!("no leader yet: {} {} none", blind.join(" and "), knows(&blind)));
    }
    let mut named: Vec<(&str, Vec<&str>)> = Vec::new();
    for (host, state) in &answering {
        let leader = state.leader.as_deref().unwrap_or_default();
        match named.iter_mut().find(|(pid, _)| *pid == leader) {
            Some((_, hosts)) => hosts.push(host),
            None => named.push((leader, vec![host])),
        }
    }
    if named.len() > 1 {
        let each: Vec<String> = named
            .iter()
            .map(|(pid, hosts)| format!("{} {} {}", hosts.join(" and "), names(hosts), name_of(masters, pid)))
            .collect();
        return Err(format!("no leader that all agree on: {}", each.join(", ")));
    }
    let (pid, hosts) = named.first().map_or(("", &[][..]), |(pid, hosts)| (*pid, hosts.as_slice()));
    let Some((host, state)) = answering.iter().find(|(_, state)| state.pid == pid) else {
        return Err(format!(
            "no leader yet: {} still {} {pid}, which does not answer",
            hosts.join(" and "),
            names(hosts)
        ));
    };
    match znodes {
        None => {}
        Some(Err(why)) => return Err(format!("ZooKeeper does not answer: {why}")),
        Some(Ok(znodes)) => match znodes.first() {
            None => return Err("no leader yet: no master is registered in ZooKeeper".to_owned()),
            Some(lowest) if lowest.pid.as_deref() != Some(pid) => {
                let other = lowest.pid.as_deref().map_or("a master that can't be read", |pid| name_of(masters, pid));
                return Err(format!(
                    "{host} leads by the masters' word, {other} by ZooKeeper's (znode {})",
                    lowest.name
                ));
            }
            Some(_) => {}
        },
    }
    Ok(Leader { host, state })
}

fn knows(hosts: &[&str]) -> &'static str {
    if hosts.len() == 1 { "knows" } else { "know" }
}

fn names(hosts: &[&str]) -> &'static str {
    if hosts.len() == 1 { "names" } else { "name" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(host: &str, leader: Option<&str>) -> MasterAnswer {
        let state = MasterState {
            version: None,
            id: host.to_owned(),
            pid: format!("master@{host}:5050"),
            leader: leader.map(|name| format!("master@{name}:5050")),
            start_time: 1.0,
            slaves: Vec::new(),
            frameworks: Vec::new(),
        };
        MasterAnswer { host: host.to_owned(), state: Ok(state) }
    }

    fn gone(host: &str) -> MasterAnswer {
        MasterAnswer { host: host.to_owned(), state: Err("connection refused".to_owned()) }
    }

    fn znodes(names: &[&str]) -> Result<Vec<MasterZnode>, String> {
        Ok(names
            .iter()
            .enumerate()
            .map(|(place, name)| MasterZnode {
                name: format!("{place:010}"),
                sequence: place as u64,
                pid: Some(format!("master@{name}:5050")),
            })
            .collect())
    }

    fn why(masters: &[MasterAnswer], znodes: &Result<Vec<MasterZnode>, String>) -> String {
        agreed_leader(masters, Some(znodes)).map(|leader| leader.host.to_owned()).unwrap_or_else(|why| why)
    }

    #[test]
    fn a_leader_is_who_all_name_and_who_answers() {
        let all = [master("m1", Some("m1")), master("m2", Some("m1")), master("m3", Some("m1"))];
        assert_eq!(why(&all, &znodes(&["m1", "m3", "m2"])), "m1");
        assert_eq!(agreed_leader(&all, None).map(|leader| leader.host).ok(), Some("m1"));
    }

    #[test]
    fn every_stage_of_a_failover_says_why_there_is_none() {
        let dead = [gone("m1"), master("m2", Some("m1")), master("m3", Some("m1"))];
        assert_eq!(
            why(&dead, &znodes(&["m1", "m2", "m3"])),
            "no leader yet: m2 and m3 still name master@m1:5050, which does not answer"
        );
        let blind = [gone("m1"), master("m2", None), master("m3", Some("m1"))];
        assert_eq!(why(&blind, &znodes(&["m2", "m3"])), "no leader yet: m2 knows none");
        let split = [gone("m1"), master("m2", Some("m2")), master("m3", Some("m1"))];
        assert!(why(&split, &znodes(&["m2", "m3"])).contains("m2 names m2, m3 names master@m1:5050"));
        let agreed = [gone("m1"), master("m2", Some("m2")), master("m3", Some("m2"))];
        assert_eq!(why(&agreed, &znodes(&["m2", "m3"])), "m2");
        assert!(why(&agreed, &znodes(&["m1", "m2", "m3"])).contains("by ZooKeeper's"));
        assert!(why(&agreed, &Err("refused".to_owned())).contains("ZooKeeper does not answer"));
        assert!(why(&agreed, &Ok(Vec::new())).contains("no master is registered"));
        assert!(why(&[gone("m1")], &Ok(Vec::new())).contains("no master answers (m1: connection refused)"));
    }
}
