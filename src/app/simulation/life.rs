//! The lives of one run: a process runs the playbook until it ends or is killed, and the next takes the run up again from what is
//! left of the journal.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::chance::Chance;
use super::cluster::{Cluster, Machine};
use super::disk::{Disk, Ends};
use super::plans::{HIDDEN, PASSWORD, Plan};
use super::watch::Watch;
use crate::base::RunId;
use crate::diag::{Severity, Sources, render_all};
use crate::event::{Bus, Clock, Event, EventKind};
use crate::inventory::{Inventory, LoadOptions};
use crate::journal;
use crate::modules;
use crate::plan::{Compiler, Selection};
use crate::playbook;
use crate::run::{Interrupt, Options, Parts, Past, Person, Resumption, Run, Summary, WhenDrifted, WhenUnknown};
use crate::template::Engine;

/// When the simulated world began, milliseconds since 1970.
const DAWN: u64 = 1_767_225_600_000;

/// Longer than this in the simulated world no process may take.
const LONGEST: Duration = Duration::from_secs(48 * 3600);

/// So many times a run may be taken up again.
const LIVES: u32 = 14;

/// What goes wrong in a course.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    /// Of a thousand commands so many meet a fault.
    pub(super) faults: u64,
    /// In how many lives the process may come to an untimely end.
    pub(super) kills: u32,
    /// What becomes of the first life; the others are left to chance.
    pub(super) first: Option<Ends>,
}

impl Trouble {
    /// All goes well.
    pub(super) const NONE: Self = Self { faults: 0, kills: 0, first: None };
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) journal: Vec<u8>,
    pub(super) problems: Vec<String>,
    pub(super) machines: BTreeMap<String, Machine>,
    /// Events of the first life.
    pub(super) events: u64,
    /// Acts in flight were taken for done.
    pub(super) skips: bool,
}

/// Nobody is there.
struct Absent;

#[async_trait::async_trait]
impl Person for Absent {
    async fn ask(&self, _: &str, _: bool, _: Option<Duration>) -> Result<Option<String>, String> {
        Err("no terminal".to_owned())
    }
}

/// How a life ended.
struct Ended {
    summary: Option<Summary>,
    hangs: bool,
    disk: Arc<Disk>,
    took: u64,
}

/// Runs a playbook to its end, through all that a seed has in store.
pub(super) fn course(plan: &Plan, folder: &Path, seed: u64, trouble: Trouble, expected: u64) -> Course {
    let mut chance = Chance::new(seed);
    let cluster = Cluster::new(&plan.hosts, chance.fork(), trouble.faults, Watch::new(plan.plays.clone()));
    let unknown = if chance.one_in(2) { WhenUnknown::Redo } else { WhenUnknown::Skip };
    std::fs::write(folder.join("play.yml"), &plan.text).expect("the folder can be written");
    let run = RunId::new(DAWN, u32::try_from(seed % 0xFFFF_FFFF).unwrap_or(0));
    let mut bytes = header(&run);
    let mut events = 0;
    let mut healed = 0;
    for life in 1..=LIVES {
        let past = if life == 1 { Vec::new() } else { read(folder, &mut bytes) };
        let begun = past.iter().any(|event| matches!(event.kind, EventKind::RunStarted { .. }));
        if !begun {
            bytes = header(&run);
        }
        let mut ends = Ends::default();
        if life == 1 && trouble.first.is_some() {
            ends = trouble.first.unwrap_or_default();
        } else if life <= trouble.kills {
            let at = chance.between(1, expected + 2);
            match chance.below(8) {
                0 => ends.stops = at,
                1 => ends.full = at,
                _ => ends.dies = at,
            }
        }
        let ended = live(plan, folder, &cluster, &run, (bytes, past), begun, unknown, ends, chance.fork());
        if life == 1 {
            events = ended.disk.events();
        }
        cluster.end_life(ended.took);
        bytes = ended.disk.survives();
        if ended.hangs {
            cluster.lock().watch.wrong("the run hangs".to_owned());
            break;
        }
        let Some(summary) = ended.summary else { continue };
        settle(&cluster, &summary);
        let over = !(summary.failed
            || summary.unreachable
            || summary.halted
            || summary.interrupted
            || summary.error.is_some()
            || ends.full > 0);
        if over {
            break;
        }
        // Hosts that wait for batches half done come back one resume later.
        if healed > 3 && ends.full == 0 && !summary.interrupted {
            let what = format!("every host is well again, and the run does not come to its end: {summary:?}");
            cluster.lock().watch.wrong(what);
            break;
        }
        if life > 2 {
            cluster.heal();
            healed += 1;
        }
    }
    std::fs::write(folder.join("journal.jsonl"), &bytes).expect("the folder can be written");
    let text = String::from_utf8_lossy(&bytes);
    for secret in [HIDDEN, PASSWORD] {
        if text.contains(secret) {
            cluster.lock().watch.wrong(format!("the secret {secret} is in the journal"));
        }
    }
    let mut world = cluster.lock();
    Course {
        journal: bytes,
        problems: std::mem::take(&mut world.watch.problems),
        machines: std::mem::take(&mut world.machines),
        events,
        skips: unknown == WhenUnknown::Skip,
    }
}

/// What is changed for a time is taken back when a process ends by itself, or it is said that it is not.
fn settle(cluster: &Cluster, summary: &Summary) {
    let mut world = cluster.lock();
    let mut wrong = Vec::new();
    for (host, machine) in &world.machines {
        let reported = summary.not_undone.iter().any(|left| left.armed.host == *host);
        let left = machine.settings.iter().find(|(name, value)| name.starts_with("tmp") && *value == "off");
        if let (Some((name, _)), false) = (left, reported) {
            wrong.push(format!("{host}: {name} was not taken back, and nobody was told"));
        }
    }
    wrong.into_iter().for_each(|what| world.watch.wrong(what));
}

fn header(run: &RunId) -> Vec<u8> {
    let line = serde_json::json!({"stagger_journal": 1, "run": run.as_str(), "program": "simulation"});
    format!("{line}\n").into_bytes()
}

/// Reads what is left of a journal, and cuts off what is torn.
fn read(folder: &Path, bytes: &mut Vec<u8>) -> Vec<Event> {
    let path = folder.join("journal.jsonl");
    std::fs::write(&path, &*bytes).expect("the folder can be written");
    let (events, length) = journal::read_whole(&path).expect("a journal that a dead process left can be read");
    bytes.truncate(usize::try_from(length).unwrap_or(0));
    events
}

#[expect(clippy::too_many_arguments, reason = "all that a process starts with")]
fn live(
    plan: &Plan,
    folder: &Path,
    cluster: &Cluster,
    run: &RunId,
    (bytes, events): (Vec<u8>, Vec<Event>),
    begun: bool,
    unknown: WhenUnknown,
    ends: Ends,
    chance: Chance,
) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let ended = runtime.block_on(async {
        let past = begun.then(|| Past::of(events.iter().cloned()));
        let in_flight = past.as_ref().map(Past::in_flight).unwrap_or_default();
        let elapsed = past.as_ref().map_or(0, Past::elapsed);
        cluster.lock().watch.begin_life(in_flight, unknown == WhenUnknown::Redo);
        cluster.begin_life();
        let clock = Clock::fixed(DAWN + elapsed).after(elapsed);
        let disk = Arc::new(Disk::new(bytes, clock.clone(), cluster.clone(), ends, chance));
        let resumption =
            past.map(|past| Resumption { past, unknown, drifted: WhenDrifted::Halt, only: Vec::new(), abort: false });
        disk.emit(began(run, begun));
        let began = tokio::time::Instant::now();
        let (run, plan) = parts(plan, folder, cluster, run, &disk, clock, resumption);
        let all = tokio::time::timeout(LONGEST, run.plan(plan));
        let ended = tokio::select! {
            biased;
            () = disk.dead.cancelled() => None,
            summary = all => Some(summary),
        };
        let hangs = matches!(ended, Some(Err(_)));
        let summary = ended.and_then(Result::ok);
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(0);
        Ended { summary, hangs, disk, took }
    });
    // The process is dead, and all of its tasks with it.
    drop(runtime);
    ended
}

fn began(run: &RunId, again: bool) -> EventKind {
    let (program, operator) = ("simulation".to_owned(), "ann@bastion".to_owned());
    if again {
        return EventKind::Resumed { program, operator, command: Vec::new(), pinned: BTreeMap::new() };
    }
    EventKind::RunStarted {
        version: crate::event::VERSION,
        run: run.clone(),
        program,
        title: "play.yml".to_owned(),
        inventory: Vec::new(),
        operator,
        check: false,
        pinned: BTreeMap::new(),
        command: Vec::new(),
        directory: String::new(),
        environment: BTreeMap::new(),
        plays: Vec::new(),
        rolls_back: None,
    }
}

/// A run that has not begun, and its plan.
fn parts(
    plan: &Plan,
    folder: &Path,
    cluster: &Cluster,
    run: &RunId,
    disk: &Arc<Disk>,
    clock: Clock,
    resumption: Option<Resumption>,
) -> (Arc<Run>, crate::plan::Plan) {
    let (sources, engine) = (Arc::new(Sources::new()), Arc::new(Engine::new()));
    let is_module = |name: &str| modules::find(name).is_some();
    let ground = playbook::Ground { is_module: &is_module, roles_path: &[] };
    let (written, _, mut wrong) = playbook::load(&sources, &[folder.join("play.yml")], ground);
    let selection = Selection::default();
    let mut compiler = Compiler::new(&engine, &selection, 0);
    let compiled = compiler.plan(&written);
    let (more, next_task) = compiler.finish();
    wrong.extend(more);
    let bad = wrong.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    assert!(!bad, "{}\n{}", render_all(&wrong, &sources, false), plan.text);
    let hosts = format!("{},", plan.hosts.join(","));
    let (inventory, _) = Inventory::load(&sources, &[hosts], &LoadOptions::default());
    let run = Run::new(Parts {
        options: options(plan, run),
        engine,
        sources,
        bus: Arc::clone(disk) as Arc<dyn Bus>,
        transport: Arc::new(cluster.clone()),
        person: Arc::new(Absent),
        interrupt: Interrupt { soft: disk.soft.clone(), ..Interrupt::default() },
        clock,
        masker: disk.masker.clone(),
        inventory,
        next_task,
        resumption,
    });
    (run, compiled)
}

fn options(plan: &Plan, run: &RunId) -> Options {
    Options { forks: plan.forks, ..crate::run::fixture::options(run) }
}
