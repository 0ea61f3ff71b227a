//! All that stands behind Admin Router, with one owner.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::control::{Whim, WhimRule};
use super::nodes::{Config, Life, Task, uuid};
use super::packages::{Era, Package};
use super::plan::{Held, Phase, Plan, Step, Strategy};
use super::server::Request;

/// How it begins: an Elastic that was installed and has been running for a while.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// The package.
    pub(crate) package: String,
    /// The options that it was installed with.
    pub(crate) options: Value,
    /// Factor for all times.
    pub(crate) time: f64,
    /// Who may log in; nobody needs to when `None`.
    pub(crate) login: Option<(String, String)>,
    /// Variables of the scheduler's environment that were edited by hand.
    pub(crate) environment: BTreeMap<String, String>,
}

/// The scheduler's app in Marathon.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) package: Package,
    pub(super) json: Value,
}

impl App {
    pub(super) fn env(&self, name: &str) -> &str {
        self.json["env"][name].as_str().unwrap_or_default()
    }

    /// What its tasks are launched with.
    pub(super) fn config(&self) -> Config {
        let mut env = self.json["env"].clone();
        if let Some(env) = env.as_object_mut() {
            env.retain(|name, _| !name.ends_with("_STRATEGY"));
        }
        Config { elasticsearch: self.env("ELASTIC_VERSION").to_owned(), text: env.to_string() }
    }

    /// Pods in the order of the plan.
    pub(super) fn pods(&self) -> Vec<(&'static str, Vec<String>)> {
        let count = |name: &str| self.env(name).parse::<usize>().unwrap_or(0);
        let kinds = [
            ("master", 3),
            ("data", count("DATA_NODE_COUNT")),
            ("ingest", count("INGEST_NODE_COUNT")),
            ("coordinator", count("COORDINATOR_NODE_COUNT")),
        ];
        kinds.into_iter().map(|(kind, count)| (kind, (0..count).map(|at| format!("{kind}-{at}")).collect())).collect()
    }
}

/// A step of the recovery plan.
#[derive(Debug, Clone)]
pub(super) struct Recovery {
    pub(super) step: Step,
    pub(super) phase_id: String,
    pub(super) config: Config,
}

/// The scheduler's process.
#[derive(Debug, Clone)]
pub(super) struct Scheduler {
    pub(super) era: Era,
    pub(super) plan: Plan,
    pub(super) target: Config,
    pub(super) recovery: Vec<Recovery>,
    /// When its API answers, and when it does the first thing.
    pub(super) answers: Instant,
    pub(super) works: Instant,
    /// When it takes the next step.
    pub(super) next: Instant,
    /// Since when the plan is complete.
    pub(super) complete: Option<Instant>,
}

pub(super) struct World {
    pub(super) scale: f64,
    pub(super) login: Option<(String, String)>,
    pub(super) token: String,
    pub(super) app: Option<App>,
    /// Deployments with their end.
    pub(super) deployments: Vec<(String, Instant)>,
    pub(super) tasks: BTreeMap<String, Task>,
    /// What was launched last for each pod.
    pub(super) launched: BTreeMap<String, Config>,
    /// The first deployment was marked as done.
    pub(super) marked: bool,
    pub(super) scheduler: Option<Scheduler>,
    /// The scheduler that ended itself, and why.
    pub(super) crash: Option<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) uninstalled: bool,
    /// Pods whose tasks fail at their start, and that get no offers.
    pub(super) failing: BTreeSet<String>,
    pub(super) held: BTreeSet<String>,
    pub(super) rules: Vec<WhimRule>,
    pub(super) history: Vec<Value>,
    pub(super) most_out: usize,
    pub(super) began: Instant,
    pub(super) numbers: u64,
    /// What the target was before; for errors of the configuration.
    pub(super) counts: BTreeMap<&'static str, usize>,
    pub(super) user: String,
    pub(super) elastic: super::elastic::Cluster,
}

impl World {
    pub(super) fn new(setup: &Setup, now: Instant) -> Result<Self, String> {
        let package = Package::find(&setup.package).ok_or_else(|| format!("there is no package {}", setup.package))?;
        let json = package.app(&setup.options).map_err(|at| format!("the options are wrong at {at}"))?;
        let mut world = Self {
            scale: setup.time,
            login: setup.login.clone(),
            token: "standin-token-1".to_owned(),
            app: None,
            deployments: Vec::new(),
            tasks: BTreeMap::new(),
            launched: BTreeMap::new(),
            marked: true,
            scheduler: None,
            crash: None,
            environment: setup.environment.clone(),
            uninstalled: false,
            failing: BTreeSet::new(),
            held: BTreeSet::new(),
            rules: Vec::new(),
            history: Vec::new(),
            most_out: 0,
            began: now,
            numbers: 0,
            counts: BTreeMap::new(),
            user: String::new(),
            elastic: super::elastic::Cluster::default(),
        };
        let app = App { package, json };
        for (_, pods) in app.pods() {
            for pod in pods {
                world.launch(&pod, &app.config(), now);
                if let Some(task) = world.tasks.get_mut(&pod) {
                    (task.life, task.ready) = (Life::Running, true);
                }
            }
        }
        world.history.clear();
        world.app = Some(app);
        world.start(now);
        // It has been running for a while.
        if let Some(scheduler) = &mut world.scheduler {
            (scheduler.answers, scheduler.works, scheduler.next) = (now, now, now);
        }
        Ok(world)
    }

    /// Seconds, scaled.
    pub(super) fn seconds(&self, seconds: f64) -> Duration {
        Duration::try_from_secs_f64(seconds * self.scale).unwrap_or_default()
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn note(&mut self, now: Instant, what: &str, about: &str) {
        let at = now.saturating_duration_since(self.began).as_millis();
        self.history.push(json!({"at": u64::try_from(at).unwrap_or(u64::MAX), "what": what, "about": about}));
    }

    /// Launches a pod's task.
    pub(super) fn launch(&mut self, pod: &str, config: &Config, now: Instant) {
        let id = format!("elastic__{pod}-node__{}", uuid(self.number()));
        self.note(now, "launch", &format!("{pod} {}", config.elasticsearch));
        self.launched.insert(pod.to_owned(), config.clone());
        let task = Task { id, config: config.clone(), life: Life::Staging, ready: false, since: now };
        self.tasks.insert(pod.to_owned(), task);
    }

    pub(super) fn kill(&mut self, pod: &str, life: Life, now: Instant) {
        self.note(now, if life == Life::Failed { "fail" } else { "kill" }, pod);
        if let Some(task) = self.tasks.get_mut(pod) {
            (task.life, task.ready, task.since) = (life, false, now);
        }
    }

    /// Starts the scheduler of the app.
    pub(super) fn start(&mut self, now: Instant) {
        let Some(app) = self.app.clone() else { return };
        let era = app.package.era;
        let target = app.config();
        let (strategy, update) = self.strategy(&app);
        let parsed = Strategy::parse(&strategy);
        if era == Era::New && !matches!(parsed, Some(Strategy::Serial | Strategy::Parallel)) {
            self.crash = Some(format!("Unsupported plan strategy: {strategy}"));
            self.note(now, "crash", &strategy);
            return;
        }
        let user = app.env("FRAMEWORK_USER").to_owned();
        if !self.user.is_empty() && self.user != user {
            self.crash = Some("FATAL ERROR with Configuration Update".to_owned());
            self.note(now, "crash", "user");
            return;
        }
        self.user = user;
        let mut errors = Vec::new();
        let mut phases = Vec::new();
        for (kind, pods) in app.pods() {
            if let Some(before) = self.counts.get(kind).filter(|before| **before > pods.len()) {
                errors.push(format!("Field: 'PodSpec[name:{kind}]'; Transition: '{before}' => '{}'; Message: 'New config's PodSpec named '{kind}' has {} tasks, expected >={before} tasks'; Fatal: false", pods.len(), pods.len()));
            } else {
                self.counts.insert(kind, pods.len());
            }
            let mut steps = Vec::new();
            for pod in pods {
                let done =
                    !errors.is_empty() || self.tasks.get(&pod).is_some_and(|task| task.config == target && task.ready);
                let held = if done { Held::Complete } else { Held::Pending };
                steps.push(Step { id: uuid(self.number()), pod, held, marked: false, since: now, declined: false });
            }
            let name = match (era, update) {
                (Era::Guide, _) => kind.to_owned(),
                (_, true) => format!("{kind}-update"),
                (_, false) => format!("{kind}-deploy"),
            };
            phases.push(Phase::new(uuid(self.number()), name, parsed.unwrap_or(Strategy::Serial), steps));
        }
        if era == Era::New {
            phases.push(Phase::new(uuid(self.number()), "exporter-deploy".to_owned(), Strategy::Serial, Vec::new()));
        }
        let (answers, works) = if era == Era::Guide { (8.0, 10.0) } else { (3.0, 5.0) };
        let answers = now + self.seconds(answers);
        let works = now + self.seconds(works);
        let plan = Plan { parallel: parsed == Some(Strategy::Parallel), interrupted: false, phases, errors };
        self.note(now, "scheduler", app.package.version);
        self.crash = None;
        self.scheduler =
            Some(Scheduler { era, plan, target, recovery: Vec::new(), answers, works, next: works, complete: None });
    }

    /// The strategy that counts, and whether it is one for updates.
    fn strategy(&self, app: &App) -> (String, bool) {
        let edited = |name: &str| self.environment.get(name).cloned().unwrap_or_else(|| app.env(name).to_owned());
        let own = app.package.era != Era::Old
            || app.package.version.starts_with("2.3")
            || app.package.version.starts_with("2.4");
        let update = self.marked && own;
        (edited(if update { "UPDATE_STRATEGY" } else { "DEPLOY_STRATEGY" }), update)
    }

    /// What a fault makes of this request.
    pub(super) fn whim(&mut self, request: &Request) -> Whim {
        let Some(at) = self.rules.iter().position(|rule| rule.fits(request)) else { return Whim::default() };
        let whim = self.rules[at].whim.clone();
        self.rules[at].times = self.rules[at].times.saturating_sub(1);
        if self.rules[at].times == 0 {
            self.rules.remove(at);
        }
        whim
    }
}
