//! The simulation: playbooks, hosts, network, disk and clock from a seed, and the process killed at any record and resumed.
//! The real loader, compiler, engine and journal reader run against simulated hosts in virtual time; what must hold is looked at
//! after every event and every act ([`watch`]). The same seed gives the same journal, byte for byte.
//!
//! `make simulate SEEDS=10000` runs many new seeds; a seed that finds something is printed with the command that runs it alone.
//!
//! What it cannot see: ssh, real shells and file systems, and the modules of states themselves, which have tests of their own.

mod chance;
mod cluster;
mod disk;
mod life;
mod plans;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};

use chance::Chance;
use cluster::Machine;
use disk::Ends;
use life::{Course, Trouble, course};
use plans::Plan;

use crate::base::RunId;
use crate::event::Clock;
use crate::journal::{Journal, ReopenError, StateFolder};

/// How many seeds are tried when nobody says how many.
const SEEDS: u64 = 300;

/// The first of the seeds that are tried then.
const KNOWN: u64 = 1000;

/// What a seed found, for people, empty when all held; and the journal.
fn one_seed(seed: u64, folder: &Path) -> (Vec<String>, Vec<u8>) {
    let mut chance = Chance::new(seed);
    let plan = plans::plan(&mut chance);
    let calm = course(&plan, folder, seed, Trouble::NONE, 0);
    let mut problems: Vec<String> = calm.problems.iter().map(|what| format!("without any trouble: {what}")).collect();
    let kills = u32::try_from(chance.between(1, 6)).unwrap_or(1);
    let faults = chance.between(5, 60);
    let trouble = match chance.below(3) {
        0 => Trouble { faults: 0, kills, first: None },
        1 => Trouble { faults, kills: 0, first: None },
        _ => Trouble { faults, kills, first: None },
    };
    let found = course(&plan, folder, seed, trouble, calm.events);
    problems.extend(found.problems.iter().cloned());
    problems.extend(differences(&plan, &calm, &found, trouble));
    (problems, found.journal)
}

/// Whether the hosts are as after a course in which nothing went wrong.
fn differences(plan: &Plan, calm: &Course, found: &Course, trouble: Trouble) -> Vec<String> {
    if !plan.converges || !found.problems.is_empty() {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let state = |machines: &BTreeMap<String, Machine>, host: &str| {
        machines.get(host).map(|machine| (machine.settings.clone(), machine.daemons.clone()))
    };
    // What was done once for all may be another host's; what hosts that failed notified anew is not compared.
    let acts = |machine: &Machine| -> BTreeSet<String> {
        let opaque =
            |act: &&String| act.starts_with("sim-do p") || trouble.faults == 0 && act.starts_with("sim-restart");
        machine.log.iter().filter(opaque).cloned().collect()
    };
    for (host, machine) in &calm.machines {
        if state(&calm.machines, host) != state(&found.machines, host) {
            wrong.push(format!(
                "{host} ends as {:?}, and without trouble as {:?}",
                state(&found.machines, host),
                state(&calm.machines, host)
            ));
        }
        let Some(other) = found.machines.get(host) else { continue };
        if !found.skips && acts(machine) != acts(other) {
            wrong.push(format!("{host} did {:?}, and without trouble {:?}", acts(other), acts(machine)));
        }
    }
    wrong
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
#[expect(clippy::print_stdout, reason = "whoever runs many seeds wants to know which")]
fn whatever_goes_wrong_what_must_hold_holds() {
    if let Some(seed) = number("STAGGER_SIMULATE_SEED") {
        let folder = tempfile::tempdir().unwrap();
        let (problems, journal) = one_seed(seed, folder.path());
        println!("{}\n{}", plans::plan(&mut Chance::new(seed)).text, String::from_utf8_lossy(&journal));
        assert!(problems.is_empty(), "seed {seed}:\n  {}", problems.join("\n  "));
        return;
    }
    let seeds = number("STAGGER_SIMULATE_SEEDS").unwrap_or(SEEDS);
    // The suite runs known seeds; whoever says how many wants new ones.
    let asked = number("STAGGER_SIMULATE_SEEDS").is_some();
    let fresh = || if asked { Clock::start().started_at() } else { KNOWN };
    let base = number("STAGGER_SIMULATE_BASE").unwrap_or_else(fresh);
    println!("{seeds} seeds from {base}");
    let (next, found) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let folder = tempfile::tempdir().unwrap();
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    if at >= seeds {
                        break;
                    }
                    let (problems, _) = one_seed(base + at, folder.path());
                    if !problems.is_empty() {
                        found.lock().unwrap().push((base + at, problems));
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort();
    let told: String = found
        .iter()
        .take(20)
        .map(|(seed, problems)| {
            format!(
                "seed {seed}: {}\n  again: STAGGER_SIMULATE_SEED={seed} cargo test --lib simulation::whatever -- --nocapture\n",
                problems.join("\n  ")
            )
        })
        .collect();
    assert!(found.is_empty(), "{} of {seeds} seeds found something:\n{told}", found.len());
}

#[test]
fn the_same_seed_gives_the_same_journal() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..25 {
        let plan = plans::plan(&mut Chance::new(seed));
        let trouble = Trouble { faults: 30, kills: 3, first: None };
        let [first, second] = [(); 2].map(|()| course(&plan, folder.path(), seed, trouble, 60).journal);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (first, second) = (text(&first), text(&second));
        let differs = first.lines().zip(second.lines()).find(|(a, b)| a != b);
        assert!(first == second, "seed {seed}: {differs:?}");
    }
}

#[test]
fn a_run_that_is_killed_at_any_record_is_resumed_to_the_same_end() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plans::small();
    let calm = course(&plan, folder.path(), 1, Trouble::NONE, 0);
    assert!(calm.problems.is_empty(), "{:?}", calm.problems);
    assert!(calm.events > 60, "{}", calm.events);
    for dies in 1..=calm.events {
        for seed in 0..4 {
            let trouble = Trouble { faults: 0, kills: 0, first: Some(Ends { dies, ..Ends::default() }) };
            let found = course(&plan, folder.path(), seed, trouble, 0);
            let mut problems = found.problems.clone();
            problems.extend(differences(&plan, &calm, &found, trouble));
            assert!(problems.is_empty(), "killed at record {dies}, seed {seed}: {problems:?}");
        }
    }
}

#[test]
fn of_two_operators_who_resume_a_run_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateFolder::open(folder.path()).unwrap();
    let run = Journal::create(&state, &RunId::new(7, 7)).unwrap().folder().clone();
    for _ in 0..20 {
        let (start, both) = (Barrier::new(2), Barrier::new(2));
        let resume = || {
            start.wait();
            let journal = Journal::reopen(&run);
            both.wait();
            match journal {
                Ok(_) => true,
                Err(ReopenError::Alive { .. }) => false,
                Err(other) => panic!("{other}"),
            }
        };
        let won = std::thread::scope(|scope| [scope.spawn(resume), scope.spawn(resume)].map(|it| it.join().unwrap()));
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
    }
}
