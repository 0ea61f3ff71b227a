//! The recorded answers of real schedulers are replayed against this one: the same situation, the same bytes but for ids.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::front::answer;
use super::server::Request;
use super::world::{Setup, World};

struct Played {
    world: World,
    now: Instant,
    era: &'static str,
    /// How many recorded answers were met.
    met: usize,
}

fn without_ids(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let form = |word: &str| {
            word.char_indices()
                .all(|(at, c)| if matches!(at, 8 | 13 | 18 | 23) { c == '-' } else { c.is_ascii_hexdigit() })
        };
        if rest.get(..36).is_some_and(form) {
            out.push_str("<id>");
            rest = &rest[36..];
        } else {
            out.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    out + rest
}

impl Played {
    fn new(era: &'static str, package: &str, strategy: &str) -> Self {
        let now = Instant::now();
        let setup = Setup {
            package: package.to_owned(),
            options: json!({"ingest_nodes": {"count": 1}}),
            time: 1.0,
            login: None,
            environment: BTreeMap::from([("UPDATE_STRATEGY".to_owned(), strategy.to_owned())]),
        };
        Self { world: World::new(&setup, now).expect("a world"), now, era, met: 0 }
    }

    fn ask(&mut self, request: &str) -> (u16, String, String) {
        let mut words = request.split(' ');
        let (method, target) = (words.next().expect("a method"), words.next().expect("a path"));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = query.split('&').filter_map(|pair| pair.split_once('='));
        let request = Request {
            method: method.to_owned(),
            path: if path.starts_with("/v1/") { format!("/service/elastic{path}") } else { path.to_owned() },
            query: query
                .map(|(name, value)| (name.to_owned(), value.replace("%3A%5B", ":[").replace("%5D", "]")))
                .collect(),
            ..Request::default()
        };
        let response = answer(&mut self.world, &request, self.now);
        (response.status, response.kind.to_owned(), response.body)
    }

    /// Goes on until something is so.
    fn until(&mut self, what: impl Fn(&World) -> bool) {
        for _ in 0..4000 {
            if what(&self.world) {
                return;
            }
            self.now += Duration::from_millis(20);
            self.world.tick(self.now);
        }
        panic!("it never came to that: {:?}", self.world.history);
    }

    fn on(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        self.until_time(end);
    }

    fn until_time(&mut self, end: Instant) {
        while self.now < end {
            self.now += Duration::from_millis(20);
            self.world.tick(self.now);
        }
    }

    /// Upgrades: the app is removed and another is installed.
    fn upgrade(&mut self, package: &str) {
        self.ask("DELETE /service/marathon/v2/apps//elastic");
        self.on(2.0);
        let found = super::packages::Package::find(package).expect("a package");
        let json = found.app(&json!({"ingest_nodes": {"count": 1}})).expect("an app");
        self.world.app = Some(super::world::App { package: found, json });
        self.world.start(self.now);
        let answers = self.world.scheduler.as_ref().expect("a scheduler").answers;
        self.until_time(answers);
    }

    fn step(&mut self, pod: &'static str, shown: &'static str) {
        self.until(move |world| {
            let Some(scheduler) = &world.scheduler else { return false };
            let mut steps = scheduler.plan.phases.iter().flat_map(|phase| &phase.steps);
            steps.any(|step| step.pod == pod && step.shown(scheduler.era).word() == shown)
        });
    }

    /// Asks what was asked when the answer was recorded, and compares.
    #[track_caller]
    #[expect(clippy::disallowed_methods, reason = "a test reads its data")]
    fn is_as(&mut self, name: &str) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/dcos-real/{}/{name}.http", self.era));
        let text = std::fs::read_to_string(file).expect("a recorded answer").replace('\r', "");
        let (request, rest) = text.split_once('\n').expect("a request");
        let (head, body) = rest.split_once("\n\n").unwrap_or((rest, ""));
        let status: u16 = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
        let kind = head.lines().find_map(|line| line.strip_prefix("Content-Type: ")).unwrap_or_default();
        let (own, own_kind, own_body) = self.ask(request.trim_start_matches("# "));
        assert_eq!((own, own_kind.as_str()), (status, kind), "{name}");
        // An HTML page is known by its title.
        if kind.contains("html") {
            let title = |text: &str| {
                text.split("<title>").nth(1).map(|rest| rest.split('<').next().unwrap_or_default().to_owned())
            };
            assert_eq!(title(&own_body), title(body), "{name}");
        } else {
            assert_eq!(without_ids(&own_body), without_ids(body), "{name}");
        }
        self.met += 1;
    }
}

#[test]
fn a_serial_roll_of_the_newest_era_behind_the_gate_answers_as_recorded() {
    let mut played = Played::new("newest", "3.1.0-7.4.1", "serial");
    played.is_as("deploy-update-serial-COMPLETE");
    for name in ["continue-plan-complete", "interrupt-plan-complete", "get-recovery", "get-plan404", "get-on-continue"]
    {
        played.is_as(name);
    }
    played.upgrade("3.1.1-7.6.0");
    for name in ["interrupt-plan-pending", "deploy-plan-interrupted-pending", "interrupt-plan-already"] {
        played.is_as(name);
    }
    played.on(20.0);
    assert_eq!(played.world.history.iter().filter(|one| one["what"] == "kill").count(), 0, "the gate is closed");
    played.is_as("continue-plan-interrupted");
    played.is_as("deploy-update-serial-IN_PROGRESS-PENDING");
    played.step("master-0", "PREPARED");
    played.is_as("deploy-update-serial-IN_PROGRESS-PENDING+PREPARED");
    played.is_as("continue-plan-running");
    played.step("master-0", "STARTING");
    played.is_as("deploy-update-serial-IN_PROGRESS-PENDING+STARTING");
    played.step("master-0", "COMPLETE");
    played.is_as("deploy-update-serial-IN_PROGRESS-COMPLETE+PENDING");
    played.step("master-1", "STARTING");
    played.is_as("interrupt-plan-while-STARTING");
    played.is_as("deploy-plan-interrupted-while-STARTING");
    played.step("master-1", "COMPLETE");
    played.on(30.0);
    assert_eq!(played.world.most_out, 1);
    for name in [
        "continue-wrong-plan",
        "interrupt-wrong-plan",
        "interrupt-wrong-phase",
        "continue-wrong-phase",
        "restart-wrong-step",
        "restart-wrong-phase",
        "restart-missing-phase",
        "restart-step-PENDING",
        "interrupt-phase-empty",
    ] {
        played.is_as(name);
    }
    played.is_as("alias-continue-wrong-phase");
    played.until(|world| world.scheduler.as_ref().is_some_and(|s| s.plan.shown(s.era).word() == "COMPLETE"));
    played.is_as("deploy-onebyone-end");
    assert_eq!(played.world.most_out, 1);
    assert!(played.met > 20, "{}", played.met);
}

#[test]
fn a_phase_interrupted_at_prepared_leaves_its_node_dead_until_its_step_is_restarted() {
    let mut played = Played::new("newest", "3.1.0-7.4.1", "serial");
    played.upgrade("3.1.1-7.6.0");
    played.step("master-0", "PREPARED");
    played.is_as("interrupt-phase-while-PREPARED");
    played.on(1.0);
    played.is_as("deploy-phase-interrupted-step-PREPARED");
    played.on(30.0);
    assert!(played.world.tasks["master-0"].life.is_dead());
    played.is_as("continue-phase-step-PREPARED");
    played.on(30.0);
    assert!(played.world.tasks["master-0"].life.is_dead(), "nor does `continue` bring it back");
    played.ask("POST /v1/plans/deploy/interrupt?phase=master-update");
    played.is_as("restart-step-PREPARED");
    played.until(|world| world.tasks["master-0"].ready);
    assert_eq!(played.world.tasks["master-0"].config.elasticsearch, "7.4.1", "recovery brings back what it was");
    played.ask("POST /v1/plans/deploy/continue?phase=master-update");
    played.step("master-0", "COMPLETE");
    assert_eq!(played.world.tasks["master-0"].config.elasticsearch, "7.6.0");
}

#[test]
fn an_interrupt_of_the_plan_at_prepared_lets_recovery_bring_the_old_version() {
    let mut played = Played::new("newest", "3.1.0-7.4.1", "serial");
    played.upgrade("3.1.1-7.6.0");
    played.step("master-0", "PREPARED");
    played.ask("POST /v1/plans/deploy/interrupt");
    played.is_as("deploy-plan-interrupted-step-PREPARED");
    played.until(|world| world.tasks["master-0"].ready);
    assert_eq!(played.world.tasks["master-0"].config.elasticsearch, "7.4.1");
    played.ask("POST /v1/plans/deploy/continue");
    played.step("master-0", "COMPLETE");
    assert_eq!(played.world.tasks["master-0"].config.elasticsearch, "7.6.0");
}

#[test]
fn the_guides_safe_strategy_answers_as_recorded_and_two_continues_take_two_masters() {
    let mut played = Played::new("guide-era", "1.0.12-5.4.0", "safe");
    played.is_as("deploy-first-complete");
    played.upgrade("1.0.13-5.4.1");
    played.is_as("deploy-safe-1-WAITING");
    for name in ["continue-no-phase", "deploy-safe-after-continue-without-phase"] {
        played.is_as(name);
    }
    for name in ["plan-404", "continue-wrong-plan", "continue-wrong-phase", "recovery-phase-interrupted"] {
        played.is_as(name);
    }
    played.is_as("continue-master");
    played.step("master-0", "PREPARED");
    played.is_as("deploy-safe-2-PREPARED");
    played.step("master-0", "STARTING");
    played.is_as("deploy-safe-3-STARTING");
    played.step("master-0", "COMPLETE");
    played.is_as("deploy-safe-4-one-COMPLETE");
    played.is_as("continue-master-twice");
    played.ask("POST /v1/plans/deploy/continue?phase=master");
    played.step("master-2", "COMPLETE");
    played.is_as("deploy-safe-5-master-COMPLETE");
    assert_eq!(played.world.most_out, 1, "the last two of a phase go one after the other");
    let mut two = Played::new("guide-era", "1.0.12-5.4.0", "safe");
    two.upgrade("1.0.13-5.4.1");
    two.ask("POST /v1/plans/deploy/continue?phase=master");
    two.ask("POST /v1/plans/deploy/continue?phase=master");
    two.step("master-1", "PREPARED");
    two.is_as("deploy-safe-two-masters-down");
    assert_eq!(two.world.most_out.max(2), 2);
}

#[test]
fn a_canary_of_the_old_era_holds_one_node_and_answers_as_recorded() {
    let mut played = Played::new("sdk-0.42", "2.3.1-5.6.5", "serial-canary");
    played.upgrade("2.4.0-5.6.9");
    played.is_as("deploy-canary-WAITING");
    played.is_as("canary-continue");
    played.step("master-0", "COMPLETE");
    played.on(20.0);
    assert_eq!(played.world.most_out, 1);
    played.ask("POST /v1/plans/deploy/continue?phase=master-update");
    played.step("master-2", "COMPLETE");
    let mut serial = Played::new("sdk-0.42", "2.3.1-5.6.5", "serial");
    serial.upgrade("2.4.0-5.6.9");
    for name in
        ["interrupt-plan-pending", "deploy-plan-interrupted-pending", "code-nope-plan", "code-continue", "plan-404"]
    {
        serial.is_as(name);
    }
    for name in ["code-restart-missing-phase", "code-restart-wrong-step", "code-restart-pending", "continue-plan"] {
        serial.is_as(name);
    }
    serial.step("master-1", "STARTING");
    serial.is_as("interrupt-while-STARTING");
    serial.is_as("deploy-plan-interrupted-STARTING");
    serial.is_as("code-interrupt-again");
}

#[test]
fn a_failing_node_is_pending_once_a_second_and_other_faults_have_their_faces() {
    let mut played = Played::new("newest", "3.1.0-7.4.1", "serial");
    played.world.failing.insert("master-0".to_owned());
    played.upgrade("3.1.1-7.6.0");
    let fails = |world: &World| world.history.iter().filter(|one| one["what"] == "fail").count();
    played.until(move |world| fails(world) > 2);
    let (_, _, body) = played.ask("GET /v1/plans/deploy");
    assert!(!body.contains("ERROR"), "{body}");
    // A scheduler that is restarted forgets the interrupt.
    let mut played = Played::new("newest", "3.1.0-7.4.1", "serial");
    played.upgrade("3.1.1-7.6.0");
    played.ask("POST /v1/plans/deploy/interrupt");
    played.world.scheduler = None;
    played.world.start(played.now);
    played.step("master-0", "STARTING");
    // Fewer nodes: an ERROR with words, and nothing is restarted.
    let mut played = Played::new("newest", "3.1.0-7.4.1", "serial");
    played.ask("DELETE /service/marathon/v2/apps//elastic");
    played.on(2.0);
    let found = super::packages::Package::find("3.1.1-7.6.0").expect("a package");
    let json = found.app(&json!({"ingest_nodes": {"count": 1}, "data_nodes": {"count": 1}})).expect("an app");
    played.world.app = Some(super::world::App { package: found, json });
    played.world.start(played.now);
    played.on(5.0);
    let (status, _, body) = played.ask("GET /v1/plans/deploy");
    assert!(status == 417 && body.contains("'2' => '1'"), "{status} {body}");
    // A strategy that it does not know ends it.
    played.world.environment.insert("UPDATE_STRATEGY".to_owned(), "serial-canary".to_owned());
    played.world.scheduler = None;
    played.world.start(played.now);
    assert_eq!(played.world.crash.as_deref(), Some("Unsupported plan strategy: serial-canary"));
    assert_eq!(played.ask("GET /v1/plans/deploy").0, 502);
}
