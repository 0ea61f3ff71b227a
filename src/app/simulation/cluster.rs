//! Simulated hosts: small machines with settings and daemons that understand a few words, and what goes wrong with them and
//! with the way to them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::chance::Chance;
use super::watch::Watch;
use crate::base::Output;
use crate::transport::{Command, Connection, Lost, Stream, Target, Transport, Unreachable};

/// The daemon that a rolling play takes down.
pub(super) const SERVICE: &str = "service";
/// The daemon of which there must not be two.
pub(super) const SOLO: &str = "solo";

/// One host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) settings: BTreeMap<String, String>,
    pub(super) daemons: BTreeMap<String, bool>,
    /// What was done, in order.
    pub(super) log: Vec<String>,
    /// Milliseconds of the world until which it can't be reached.
    away_until: u64,
    /// Counts connections that were cut: those of an earlier number are of no use any more.
    cuts: u64,
}

/// All hosts.
pub(super) struct World {
    pub(super) machines: BTreeMap<String, Machine>,
    pub(super) watch: Watch,
    chance: Chance,
    /// Of a thousand commands so many meet a fault.
    faults: u64,
    /// Commands under way: their host, their words, and whether they are done when nobody waits for them any more.
    under_way: BTreeMap<u64, (String, Vec<String>, bool)>,
    calls: u64,
    /// The process that gives the commands is gone.
    dead: bool,
    /// Milliseconds of earlier lives.
    before: u64,
    began: Option<Instant>,
}

/// The hosts, and the way to them.
#[derive(Clone)]
pub(super) struct Cluster(Arc<Mutex<World>>);

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cluster")
    }
}

/// What becomes of one command.
enum Fate {
    /// It is done and answers.
    Well,
    /// The connection breaks before it begins.
    CutBefore,
    /// The connection breaks while it runs; whether it is done all the same.
    Cut(bool),
    /// It says that it failed; whether it is done all the same.
    Lies(bool),
    /// The host goes away for so many milliseconds; whether it was done before.
    Dies(u64, bool),
}

impl Cluster {
    pub(super) fn new(hosts: &[String], chance: Chance, faults: u64, watch: Watch) -> Self {
        let machine = Machine {
            daemons: BTreeMap::from([(SERVICE.to_owned(), true), (SOLO.to_owned(), false)]),
            ..Machine::default()
        };
        let machines = hosts.iter().map(|host| (host.clone(), machine.clone())).collect();
        Self(Arc::new(Mutex::new(World {
            machines,
            watch,
            chance,
            faults,
            under_way: BTreeMap::new(),
            calls: 0,
            dead: true,
            before: 0,
            began: None,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process begins to give commands.
    pub(super) fn begin_life(&self) {
        let mut world = self.lock();
        world.dead = false;
        world.began = Some(Instant::now());
    }

    /// The process is gone: nothing more is begun.
    pub(super) fn die(&self) {
        self.lock().dead = true;
    }

    fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// The process is gone, and its commands come to their ends without it.
    pub(super) fn end_life(&self, took: u64) {
        let mut world = self.lock();
        world.dead = true;
        world.before += took;
        world.began = None;
        for (host, words, done) in std::mem::take(&mut world.under_way).into_values() {
            if done {
                world.act(&host, &words);
            }
        }
    }

    /// Nothing goes wrong any more, and all hosts come back.
    pub(super) fn heal(&self) {
        let mut world = self.lock();
        world.faults = 0;
        world.machines.values_mut().for_each(|machine| machine.away_until = 0);
    }
}

impl World {
    fn now(&self) -> u64 {
        let life = self.began.map_or(0, |began| u64::try_from(began.elapsed().as_millis()).unwrap_or(0));
        self.before + life
    }

    /// Does what words say on a host.
    fn act(&mut self, host: &str, words: &[String]) -> Output {
        let word = |at: usize| words.get(at).cloned().unwrap_or_default();
        let mut output = Output::default();
        let Some(machine) = self.machines.get_mut(host) else { return output };
        let mut said = String::new();
        match word(0).as_str() {
            "sim-get" => said = machine.settings.get(&word(1)).cloned().unwrap_or_default(),
            "sim-is" => {
                let is = machine.daemons.get(&word(1)).copied().unwrap_or(false);
                said = if is { "started" } else { "stopped" }.to_owned();
            }
            "sim-put" => {
                machine.settings.insert(word(1), word(2));
            }
            "sim-start" => {
                machine.daemons.insert(word(1), true);
            }
            "sim-stop" => {
                machine.daemons.insert(word(1), false);
            }
            "sim-ask" => {
                let daemon = word(1);
                let up = self.machines.values().filter(|machine| machine.daemons.get(&daemon) == Some(&true)).count();
                output.status = i32::from(up < word(2).parse().unwrap_or(0));
            }
            "sim-do" | "sim-restart" | "" => {}
            other => self.watch.wrong(format!("no host understands `{other}`")),
        }
        if changes(words) {
            let text = words.join(" ");
            if let Some(machine) = self.machines.get_mut(host) {
                machine.log.push(text);
            }
            self.watch.after_act(host, words, &self.machines);
        }
        output.stdout = said.into_bytes();
        output
    }

    fn fate(&mut self, words: &[String]) -> Fate {
        if self.faults == 0 || self.chance.below(1000) >= self.faults {
            return Fate::Well;
        }
        let done = self.chance.one_in(2);
        match self.chance.below(10) {
            0 | 1 => Fate::CutBefore,
            2..=4 => Fate::Cut(done),
            // A look that fails is no sign of what the host is like.
            5 | 6 if changes(words) => Fate::Lies(done && words.first().is_some_and(|word| word == "sim-do")),
            5..=7 => {
                let while_ = *self.chance.pick(&[500, 5_000, 60_000, 600_000]);
                Fate::Dies(while_, done)
            }
            8 => Fate::Dies(u64::MAX / 2, done),
            _ => Fate::Cut(done),
        }
    }
}

/// Whether words change a host.
fn changes(words: &[String]) -> bool {
    matches!(words.first().map(String::as_str), Some("sim-put" | "sim-start" | "sim-stop" | "sim-do" | "sim-restart"))
}

/// The words for a simulated host in a script.
fn words_of(command: &Command) -> Vec<String> {
    let text = command.script.as_str();
    let Some(at) = text.find("sim-") else { return vec![String::new()] };
    let rest = &text[at..];
    let end = rest.find(['\n', '\'', '"', ';']).unwrap_or(rest.len());
    rest[..end].split_whitespace().map(str::to_owned).collect()
}

#[async_trait]
impl Transport for Cluster {
    async fn connect(&self, target: &Target) -> Result<Box<dyn Connection>, Unreachable> {
        let wait = self.lock().chance.between(1, 20);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        for left in (0..=target.retries).rev() {
            {
                let world = self.lock();
                let here = world.machines.get(&target.name).filter(|machine| machine.away_until <= world.now());
                if let Some(machine) = here {
                    return Ok(Box::new(Line { cluster: self.clone(), host: target.name.clone(), cuts: machine.cuts }));
                }
            }
            if left > 0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Err(Unreachable::Refused { address: target.name.clone() })
    }
}

/// A connection.
#[derive(Debug)]
struct Line {
    cluster: Cluster,
    host: String,
    cuts: u64,
}

/// A command under way whose process may give it up.
struct UnderWay<'a> {
    cluster: &'a Cluster,
    call: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut world = self.cluster.lock();
        // What a dead process left is done in the order in which it was begun.
        if world.dead {
            return;
        }
        if let Some((host, words, true)) = world.under_way.remove(&self.call) {
            world.act(&host, &words);
        }
    }
}

impl Line {
    fn closed(&self) -> Unreachable {
        Unreachable::Closed { address: self.host.clone(), reason: "reset".to_owned() }
    }

    fn cut(&self, world: &mut World, away: u64) {
        let until = world.now().saturating_add(away);
        // It may have been cut by what another command met.
        if let Some(machine) = world.machines.get_mut(&self.host).filter(|machine| machine.cuts == self.cuts) {
            machine.cuts += 1;
            machine.away_until = machine.away_until.max(until);
        }
    }
}

impl Line {
    /// Begins a command: what becomes of it, its number, and how long it takes.
    fn begin(&self, words: &[String]) -> Result<(Fate, u64, Duration), Lost> {
        let mut world = self.cluster.lock();
        let now = world.now();
        let machine = world.machines.get(&self.host);
        if machine.is_none_or(|machine| machine.cuts != self.cuts || machine.away_until > now) {
            return Err(Lost::NotStarted(self.closed()));
        }
        let fate = world.fate(words);
        if matches!(fate, Fate::CutBefore) {
            self.cut(&mut world, 0);
            return Err(Lost::NotStarted(self.closed()));
        }
        if changes(words) {
            world.watch.before_act(&self.host, words);
        }
        world.calls += 1;
        let call = world.calls;
        let late = world.faults > 0 && world.chance.one_in(40);
        let lasts = world.chance.between(1, 50) + if late { 90_000 } else { 0 };
        let done = match fate {
            Fate::Well => world.chance.one_in(2),
            Fate::Cut(done) | Fate::Lies(done) | Fate::Dies(_, done) => done,
            Fate::CutBefore => false,
        };
        world.under_way.insert(call, (self.host.clone(), words.to_vec(), done));
        Ok((fate, call, Duration::from_millis(lasts)))
    }

    /// Ends it: what is told of it.
    fn end(&self, words: &[String], fate: Fate, call: u64, limit: Option<Duration>) -> Result<Output, Lost> {
        let mut world = self.cluster.lock();
        let done = world.under_way.remove(&call).is_some_and(|(_, _, done)| done);
        // What another command met may have cut the connection.
        let whole = world.machines.get(&self.host).is_some_and(|machine| machine.cuts == self.cuts);
        let fate = if whole { fate } else { Fate::Cut(done) };
        if let (Fate::Well, None) = (&fate, limit) {
            let output = Ok(world.act(&self.host, words));
            if changes(words) {
                world.watch.told(&self.host, words, &output);
            }
            return output;
        }
        if done {
            world.act(&self.host, words);
        }
        let told = match (fate, limit) {
            (_, Some(limit)) => Err(Lost::TimedOut(limit.as_secs())),
            (Fate::Lies(_) | Fate::Well | Fate::CutBefore, None) => {
                Ok(Output { status: 1, stderr: b"it lies".to_vec(), ..Output::default() })
            }
            (Fate::Cut(_), None) => {
                self.cut(&mut world, 0);
                Err(Lost::InFlight(self.closed()))
            }
            (Fate::Dies(away, _), None) => {
                self.cut(&mut world, away);
                Err(Lost::InFlight(self.closed()))
            }
        };
        if changes(words) {
            world.watch.told(&self.host, words, &told);
        }
        told
    }
}

#[async_trait]
impl Connection for Line {
    async fn run(&self, command: &Command) -> Result<Output, Lost> {
        let words = words_of(command);
        if self.cluster.is_dead() {
            return std::future::pending().await;
        }
        let (fate, call, lasts) = self.begin(&words)?;
        let _under_way = UnderWay { cluster: &self.cluster, call };
        let limit = command.timeout.filter(|limit| *limit < lasts);
        tokio::time::sleep(limit.unwrap_or(lasts)).await;
        if self.cluster.is_dead() {
            return std::future::pending().await;
        }
        self.end(&words, fate, call, limit)
    }

    async fn fetch(&self, _: &Command, _: &Path) -> Result<Output, Lost> {
        Err(Lost::Local("simulated hosts have no files".to_owned()))
    }

    async fn stream(&self, host: &str, port: u16, _: Duration) -> Result<Box<dyn Stream>, String> {
        Err(format!("cannot connect to {host}:{port}: simulated hosts have no ports"))
    }

    async fn close(&self) {}
}
