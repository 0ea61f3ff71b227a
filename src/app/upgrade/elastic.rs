//! `stagger upgrade elasticsearch --to VERSION`: what runs, all hops to there with the indices that are too old for one, and each hop by the
//! playbook, with a question before it. Between two hops is only this; whether a hop may begin is its preflight's to say.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::books::{Books, ELASTICSEARCH};
use super::{Refusal, ask, events_of, run_hop};
use crate::cli::{Exit, UpgradeRequest};
use crate::cluster::elastic::{Version, path, rolls, too_old};
use crate::journal::StateFolder;

/// What a look came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Host, and the version of its node.
    nodes: Vec<(String, Version)>,
    /// By which major each index was made.
    indices: BTreeMap<String, u32>,
}

pub(super) fn go(request: &UpgradeRequest, state: &StateFolder) -> Result<Exit, Refusal> {
    let usage = |text: String| (text, Exit::Usage);
    let to = Version::parse(&request.to).map_err(usage)?;
    let via: Vec<Version> =
        request.via.iter().map(|text| Version::parse(text)).collect::<Result<_, _>>().map_err(usage)?;
    let books = Books::at(request.playbooks.as_deref(), state.path(), "elasticsearch", ELASTICSEARCH)
        .map_err(|error| (format!("the playbooks: {error}"), Exit::NoTarget))?;
    let look = || -> Result<Seen, Refusal> {
        let (events, exit) = events_of(request, &books.file("look.yml"))?;
        let seen =
            read(&events).map_err(|why| (format!("what runs can't be told: {why}; nothing was changed"), exit))?;
        if exit == Exit::Ok {
            return Ok(seen);
        }
        Err(("not every host could be asked what runs; nothing was changed".to_owned(), exit))
    };
    let mut seen = look()?;
    let hops = hops(&seen, to, &via).map_err(|why| (why, Exit::Input))?;
    crate::app::print(&show(&seen, to, &hops));
    if request.plan || hops.is_empty() {
        return Ok(Exit::Ok);
    }
    let book = books.file("rolling-upgrade.yml");
    let total = hops.len();
    for (place, hop) in hops.iter().enumerate() {
        let version = format!("--extra-vars=elastic_to={hop}");
        if request.check {
            return run_hop(request, &book, &[&version, "--check", "--diff"]);
        }
        let number = place + 1;
        if !request.yes && !ask(&format!("\nbegin hop {number} of {total}, to {hop}? [y/N] "))? {
            crate::app::complain(
                "stopped before this hop; the cluster stands as it is. Give the same command again to go on\n",
            );
            return Ok(Exit::Ok);
        }
        let exit = run_hop(request, &book, &[&version])?;
        if exit != Exit::Ok {
            crate::app::complain(&format!(
                "\nhop {number} of {total}, to {hop}, did not come to its end: nothing of the later hops was begun. When what it says is put \
                 right, go on with `stagger resume` where it stopped, or give the same command again: what is done is seen and left alone\n"
            ));
            return Ok(exit);
        }
        seen = look()?;
        let late: Vec<&str> =
            seen.nodes.iter().filter(|(_, version)| version != hop).map(|(host, _)| host.as_str()).collect();
        if !late.is_empty() {
            return Err((format!("after this hop not every node runs {hop}: {}", late.join(", ")), Exit::HostFailed));
        }
        crate::app::print(&format!("\nhop {number} of {total} is done: every node runs {hop}\n"));
    }
    Ok(Exit::Ok)
}

/// Reads the events of the look, one a line.
fn read(events: &str) -> Result<Seen, String> {
    let mut seen = Seen::default();
    for line in events.lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
        if event["event"] != "host_finished" {
            continue;
        }
        let host = event["host"].as_str().unwrap_or_default();
        let facts = &event["result"]["ansible_facts"]["elastic"];
        let Some(version) = facts["version"].as_str() else {
            let said = [&event["message"], &facts["unknown_because"], &event["result"]["msg"]];
            let why = said.iter().find_map(|text| text.as_str().filter(|text| !text.is_empty())).unwrap_or("no answer");
            return Err(format!("{host}: {why}"));
        };
        seen.nodes.push((host.to_owned(), Version::parse(version)?));
        for (index, major) in facts["made_by_major"].as_object().into_iter().flatten() {
            let major = major.as_u64().and_then(|major| u32::try_from(major).ok()).unwrap_or_default();
            seen.indices.insert(index.clone(), major);
        }
    }
    seen.nodes.sort();
    if seen.nodes.is_empty() { Err("there is no node in the group `elasticsearch`".to_owned()) } else { Ok(seen) }
}

/// The versions to go to. A hop that was begun is ended first.
fn hops(seen: &Seen, to: Version, via: &[Version]) -> Result<Vec<Version>, String> {
    let mut runs: Vec<Version> = seen.nodes.iter().map(|(_, version)| *version).collect();
    runs.sort_unstable();
    runs.dedup();
    let mut hops = Vec::new();
    let mut at = match runs.as_slice() {
        [one] => *one,
        [_, newer] => {
            hops.push(*newer);
            *newer
        }
        _ => return Err("the nodes run more than two versions: this is no upgrade that was begun here".to_owned()),
    };
    for aim in via.iter().chain([&to]) {
        let way = path(at, *aim).ok_or_else(|| rolls(at, *aim).err().unwrap_or_default())?;
        hops.extend(way);
        at = *aim;
    }
    Ok(hops)
}

fn show(seen: &Seen, to: Version, hops: &[Version]) -> String {
    let mut text = String::new();
    let mut by: BTreeMap<Version, Vec<&str>> = BTreeMap::new();
    for (host, version) in &seen.nodes {
        by.entry(*version).or_default().push(host);
    }
    for (version, hosts) in &by {
        let _ = writeln!(text, "{version} runs on {}", hosts.join(", "));
    }
    if hops.is_empty() {
        let _ = writeln!(text, "every node runs {to}: there is nothing to do");
        return text;
    }
    let _ = writeln!(text, "to {to} in {} {}:", hops.len(), if hops.len() == 1 { "hop" } else { "hops" });
    for (place, hop) in hops.iter().enumerate() {
        let _ = writeln!(text, "  {}. to {hop}", place + 1);
        let old = too_old(&seen.indices, *hop);
        if !old.is_empty() {
            let _ =
                writeln!(text, "     indices too old for it, to be reindexed or deleted before: {}", old.join(", "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(nodes: &[(&str, &str)]) -> String {
        nodes
            .iter()
            .map(|(host, version)| {
                let facts = serde_json::json!({"elastic": {"version": version, "made_by_major": {"old": 5, "new": 6}}});
                let event =
                    serde_json::json!({"event": "host_finished", "host": host, "result": {"ansible_facts": facts}});
                format!("{event}\nno event\n")
            })
            .collect()
    }

    fn planned(nodes: &[(&str, &str)], to: &str, via: &[&str]) -> String {
        let seen = read(&events(nodes)).expect("nodes");
        let to = Version::parse(to).expect("a version");
        let via: Vec<Version> = via.iter().map(|text| Version::parse(text).expect("a version")).collect();
        hops(&seen, to, &via).map_or_else(|why| why, |hops| show(&seen, to, &hops))
    }

    #[test]
    fn all_hops_are_shown_with_the_indices_that_are_too_old_for_one() {
        insta::assert_snapshot!(planned(&[("a", "5.6.16"), ("b", "5.6.16")], "8.17.0", &[]), @r"
        5.6.16 runs on a, b
        to 8.17.0 in 3 hops:
          1. to 6.8.23
          2. to 7.17.29
             indices too old for it, to be reindexed or deleted before: old (made by 5.x)
          3. to 8.17.0
             indices too old for it, to be reindexed or deleted before: new (made by 6.x), old (made by 5.x)
        ");
        let via = planned(&[("a", "5.6.16")], "6.8.23", &["6.2.4"]);
        assert!(via.contains("1. to 6.2.4\n") && via.contains("2. to 6.8.23"), "{via}");
    }

    #[test]
    fn a_hop_that_was_begun_is_ended_first() {
        let begun = planned(&[("a", "6.8.23"), ("b", "7.17.29")], "8.17.0", &[]);
        assert!(begun.contains("1. to 7.17.29") && begun.contains("2. to 8.17.0"), "{begun}");
        assert!(planned(&[("a", "8.17.0")], "8.17.0", &[]).contains("nothing to do"));
        assert!(planned(&[("a", "8.17.0")], "7.17.29", &[]).contains("no way back"));
        assert!(planned(&[("a", "6.2.4"), ("b", "6.8.23"), ("c", "7.17.29")], "8.17.0", &[]).contains("more than two"));
        let silent = r#"{"event":"host_finished","host":"a","message":"","result":{"ansible_facts":{"elastic":{"unknown_because":"no master"}}}}"#;
        assert_eq!(read(silent), Err("a: no master".to_owned()));
    }
}
