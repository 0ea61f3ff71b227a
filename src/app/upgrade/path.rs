//! The way from what runs to a version: hops between neighbours, each with its order, its warnings, and flags that its release
//! would die on.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::books;
use super::seen::Running;
use crate::cluster::mesos::{Hop, Release, Version, flag, hops, unknown_flag};

/// A hop of the way.
pub(super) struct Leg {
    pub(super) hop: &'static Hop,
    /// The release that it leads to.
    pub(super) to: Version,
    /// Daemons that are there already, when the hop was begun before.
    done: usize,
    /// What the release would say of flags that run now.
    flags: Vec<String>,
}

/// The way.
pub(super) struct Way {
    pub(super) legs: Vec<Leg>,
    /// Whether only the last phase of 0.15 is left: every daemon is there.
    pub(super) finishing: bool,
}

/// Releases of minors that have no usual one are named by their first.
fn release_of(minor: &str, to: Version, via: &[Version]) -> Version {
    let named = [to].into_iter().chain(via.iter().copied()).find(|version| version.minor_name() == minor);
    let first = || Version::parse(minor).unwrap_or(to);
    named.or_else(|| books::usual(minor)).unwrap_or_else(first)
}

/// Finds the way.
///
/// # Errors
/// There is none: why, and what to do.
pub(super) fn find(running: &[Running], from: Option<Version>, to: Version, via: &[Version]) -> Result<Way, String> {
    let silent: Vec<&str> =
        running.iter().filter(|one| one.version.or(from).is_none()).map(|one| one.host.as_str()).collect();
    if !silent.is_empty() {
        return Err(format!(
            "what runs on {} can't be told: no daemon before 0.13 says its version, and neither its path nor the libmesos that it has \
             mapped has one; say it with --from 0.11.0 or --from 0.12.1",
            silent.join(", ")
        ));
    }
    let at = |one: &Running| one.version.or(from).unwrap_or(to);
    let minors: BTreeSet<(u32, u32)> = running.iter().map(|one| (at(one).major, at(one).minor)).collect();
    let place = |version: Version| {
        let name = version.minor_name();
        hops().iter().position(|hop| hop.from == name).or_else(|| (hops().last()?.to == name).then_some(hops().len()))
    };
    let known = |version: Version| {
        place(version).ok_or_else(|| format!("Mesos {version} is in no upgrade document: 0.11 to 1.11 are"))
    };
    let end = known(to)?;
    let (Some(lowest), Some(highest)) = (running.iter().map(&at).min(), running.iter().map(&at).max()) else {
        return Err("nothing runs".to_owned());
    };
    let (first, last) = (known(lowest)?, known(highest)?);
    if minors.len() > 2 || last - first > 1 {
        let each: Vec<String> = running.iter().map(|one| format!("{} {}", one.host, at(one))).collect();
        return Err(format!(
            "daemons of more than two neighbouring releases run at once, which no order covers: {}. Bring the oldest to the next \
             release first, host by host (stagger run PLAYBOOK --limit HOST)",
            each.join(", ")
        ));
    }
    if last > end {
        return Err(format!(
            "{highest} runs already, and {to} is older: the ways back are the rollback playbooks of a run, not an upgrade"
        ));
    }
    let mut legs = Vec::new();
    for hop in hops().iter().take(end).skip(first) {
        let release = release_of(&hop.to, to, via);
        let done = running.iter().filter(|one| at(one).same_minor(release)).count();
        legs.push(Leg { hop, to: release, done, flags: flags(running, first, hop, release) });
    }
    // Once every daemon runs 0.15, its last phase may still be to come.
    let authenticates =
        |one: &Running| one.flags.get("authenticate").is_some_and(|value| matches!(value.as_str(), "true" | "1" | ""));
    let masters = running.iter().filter(|one| one.daemon.word() == "master");
    let finishing = legs.is_empty() && to.same_minor(books::LAST) && !masters.clone().all(authenticates);
    if finishing && let Some(hop) = end.checked_sub(1).and_then(|before| hops().get(before)) {
        legs.push(Leg { hop, to: highest, done: running.len(), flags: Vec::new() });
    }
    Ok(Way { legs, finishing })
}

/// What a release would die on of the flags that daemons run with now, each told once.
fn flags(running: &[Running], first: usize, hop: &Hop, to: Version) -> Vec<String> {
    let Ok(release) = Release::of(to) else { return Vec::new() };
    if to < Version::new(0, 13, 0) {
        // It ignores what it does not know.
        return Vec::new();
    }
    // What an earlier hop of the way has renamed does not come to this one.
    let passed = hops().iter().skip(first).take_while(|other| other.from != hop.to);
    let mut told = BTreeSet::new();
    for one in running {
        for name in one.flags.keys() {
            let renamed =
                passed.clone().any(|hop| hop.renamed.get(one.daemon.word()).is_some_and(|map| map.contains_key(name)));
            let plain = name.strip_prefix("no-").unwrap_or(name);
            if !renamed && flag(one.daemon, release, plain).is_none() {
                told.insert(unknown_flag(one.daemon, release, plain));
            }
        }
    }
    told.into_iter().collect()
}

/// What runs, and the way, for a person.
pub(super) fn show(running: &[Running], from: Option<Version>, to: Version, way: &Way) -> String {
    let mut text = String::new();
    for daemon in ["master", "slave"] {
        let mut by_version: Vec<(String, Vec<String>)> = Vec::new();
        for one in running.iter().filter(|one| one.daemon.word() == daemon) {
            let version = one.version.or(from).map_or_else(|| "?".to_owned(), |version| version.to_string());
            match by_version.iter_mut().find(|(other, _)| *other == version) {
                Some((_, hosts)) => hosts.push(one.host.clone()),
                None => by_version.push((version, vec![one.host.clone()])),
            }
        }
        for (version, hosts) in by_version {
            let _ = writeln!(text, "{daemon}s at {version}: {}", crate::report::fold(&hosts, 8));
        }
    }
    if way.legs.is_empty() {
        let _ = writeln!(text, "Every daemon runs {to}: nothing is to be done.");
    }
    for (place, leg) in way.legs.iter().enumerate() {
        let _ = writeln!(text, "\nhop {} of {}: {} to {}", place + 1, way.legs.len(), leg.hop.from, leg.to);
        if way.finishing {
            let _ = writeln!(text, "  every daemon runs it; what is left is its last phase, --authenticate");
        } else if leg.done > 0 {
            let _ = writeln!(text, "  begun before: {} of {} daemons run it", leg.done, running.len());
        }
        let _ = writeln!(text, "  order: {}", leg.hop.order.join(", "));
        for note in &leg.hop.notes {
            let _ = writeln!(text, "  - {note}");
        }
        for wrong in &leg.flags {
            let _ = writeln!(text, "  ! {wrong}");
        }
        if leg.to > books::LAST && !leg.to.same_minor(books::LAST) {
            let _ = writeln!(text, "  no playbook: past 0.15 there are only plan and flag check");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::mesos::Daemon;

    fn run(versions: &[(&str, &str)]) -> Vec<Running> {
        let one = |(host, version): &(&str, &str)| Running {
            host: (*host).to_owned(),
            daemon: if host.starts_with('m') { Daemon::Master } else { Daemon::Slave },
            version: Version::parse(version).ok(),
            flags: [("webui_dir".to_owned(), "/x".to_owned())].into(),
        };
        versions.iter().map(one).collect()
    }

    fn way(versions: &[(&str, &str)], to: &str) -> Result<Vec<String>, String> {
        let to = Version::parse(to).expect("a version");
        find(&run(versions), None, to, &[Version::new(0, 14, 1)])
            .map(|way| way.legs.iter().map(|leg| format!("{}>{}", leg.hop.from, leg.to)).collect())
    }

    #[test]
    fn the_way_goes_through_every_neighbour_and_through_releases_that_are_named() {
        let hops = ["0.11>0.12.1", "0.12>0.13.0", "0.13>0.14.1", "0.14>0.15.0"];
        assert_eq!(way(&[("m1", "0.11.0"), ("s1", "0.11.0")], "0.15.0").expect("a way"), hops);
        assert_eq!(way(&[("m1", "0.14.2")], "0.16.0").expect("a way").last().map(String::as_str), Some("0.15>0.16.0"));
    }

    #[test]
    fn a_cluster_in_the_middle_of_a_hop_is_finished_from_its_lower_end() {
        assert_eq!(
            way(&[("m1", "0.14.2"), ("s1", "0.13.0")], "0.15.0").expect("a way"),
            ["0.13>0.14.1", "0.14>0.15.0"]
        );
    }

    #[test]
    fn what_no_order_covers_is_refused() {
        let why = |versions, to| way(versions, to).expect_err("no way");
        assert!(why(&[("m1", "0.15.0"), ("s1", "0.13.0")], "0.15.0").contains("more than two neighbouring"));
        assert!(why(&[("m1", "0.15.0")], "0.14.2").contains("0.14.2 is older"));
        assert!(why(&[("m1", "?")], "0.14.2").contains("--from 0.11.0"));
        assert!(why(&[("m1", "0.14.2")], "2.0.0").contains("no upgrade document"));
    }

    #[test]
    fn flags_that_a_later_release_dies_on_are_told_at_its_hop() {
        let running = run(&[("m1", "0.12.1"), ("s1", "0.12.1")]);
        let way = find(&running, None, Version::new(0, 13, 0), &[]).expect("a way");
        let text = show(&running, None, Version::new(0, 13, 0), &way);
        assert!(text.contains("mesos-slave 0.13.0 has no flag `webui_dir`"), "{text}");
        assert!(!text.contains("mesos-master 0.13.0 has no flag"), "{text}");
    }

    #[test]
    fn at_0_15_without_authentication_its_last_phase_is_left() {
        let running = run(&[("m1", "0.15.0")]);
        assert!(find(&running, None, Version::new(0, 15, 0), &[]).expect("a way").finishing);
    }
}
