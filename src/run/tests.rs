//! The scheduler against hosts that are a closure: order, guards, rescue, handlers, what is kept.

use std::sync::{Arc, Mutex};
use std::time::Duration;

mod undo;

use super::*;
use crate::base::{Output, RunId};
use crate::diag::{Severity, render_all};
use crate::event::Status;
use crate::inventory::LoadOptions;
use crate::modules;
use crate::plan::{Compiler, Selection};
use crate::playbook;
use crate::run::undo::Pending;
use crate::transport::fake::Fake;
use crate::transport::{Command, Lost, Unreachable};

mod control;
mod windows;

/// Keeps events in memory.
#[derive(Default)]
struct Memory(Mutex<Vec<EventKind>>);

#[async_trait::async_trait]
impl Bus for Memory {
    fn emit(&self, kind: EventKind) {
        self.0.lock().unwrap().push(kind);
    }
    async fn record(&self, kind: EventKind) -> Result<(), String> {
        self.emit(kind);
        Ok(())
    }
}

/// Nobody is there.
struct Absent;

#[async_trait::async_trait]
impl Person for Absent {
    async fn ask(&self, _: &str, _: bool, _: Option<Duration>) -> Result<Option<String>, String> {
        Err("no terminal".to_owned())
    }
}

struct Ran {
    summary: Summary,
    events: Vec<EventKind>,
}

impl Ran {
    /// What commands ran where, in order: `h1:echo a`.
    fn done(&self) -> Vec<String> {
        let step = |event: &EventKind| match event {
            EventKind::ActStarted { host, steps, .. } => {
                Some(format!("{host}:{}", steps.first()?.summary.trim_start_matches("run ").trim_matches('`')))
            }
            _ => None,
        };
        self.events.iter().filter_map(step).collect()
    }

    fn guards(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|e| match e {
                EventKind::Halted { halt, .. } => Some(halt.guard.clone()),
                _ => None,
            })
            .collect()
    }

    fn hosts_of(&self, command: &str) -> Vec<String> {
        let mut hosts: Vec<String> = self
            .done()
            .iter()
            .filter_map(|done| done.split_once(':').filter(|(_, c)| *c == command).map(|(h, _)| h.to_owned()))
            .collect();
        hosts.sort();
        hosts
    }

    fn statuses(&self, task: &str) -> Vec<Status> {
        let ids: Vec<_> = self
            .events
            .iter()
            .filter_map(|e| match e {
                EventKind::TaskStarted { key, name, .. } if name == task => Some(key.clone()),
                _ => None,
            })
            .collect();
        self.events
            .iter()
            .filter_map(|e| match e {
                EventKind::HostFinished { key, status, .. } if ids.contains(key) => Some(*status),
                _ => None,
            })
            .collect()
    }
}

/// How a test run differs from the usual.
struct Setting {
    rules: Rules,
    check: bool,
    forks: usize,
    force_handlers: bool,
    hosts: &'static str,
    terms: Terms,
    interrupt: Interrupt,
    /// What an earlier process left to be taken back.
    pending: Pending,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            terms: Terms::default(),
            rules: Rules::Stagger,
            check: false,
            forks: 5,
            force_handlers: false,
            hosts: "h1,h2,h3,h4,",
            interrupt: Interrupt::default(),
            pending: Pending::default(),
        }
    }
}

/// Commands are `false` → 1, `fail-on H` → 1 there, `die-on H` → the line breaks; a host `gone…` can't be reached.
fn fake() -> Fake {
    Fake::new(|host, command: &Command| {
        let text = command.script.as_str();
        let failed = |status| Ok(Output { status, ..Output::default() });
        if text.contains(&format!("die-on {host}")) {
            return Err(Lost::InFlight(Unreachable::Closed { address: host.to_owned(), reason: "reset".to_owned() }));
        }
        if text.contains(&format!("fail-on {host}")) { failed(1) } else { failed(0) }
    })
    .meeting(|target| {
        if target.name.starts_with("gone") {
            return Err(Unreachable::Refused { address: target.name.clone() });
        }
        Ok(())
    })
}

fn run_with(text: &str, setting: &Setting, transport: Fake) -> Ran {
    let (run, plan, bus) = prepared(text, setting, transport);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let summary = runtime.block_on(run.plan(plan));
    let events = std::mem::take(&mut *bus.0.lock().unwrap());
    Ran { summary, events }
}

/// A run that has not begun, its plan, and what it says.
fn prepared(text: &str, setting: &Setting, transport: Fake) -> (Arc<Run>, Plan, Arc<Memory>) {
    let sources = Arc::new(Sources::new());
    let engine = Arc::new(Engine::new());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("play.yml");
    std::fs::write(&path, text).unwrap();
    let is_module = |name: &str| modules::find(name).is_some();
    let ground = playbook::Ground { is_module: &is_module, roles_path: &[] };
    let (written, _, mut wrong) = playbook::load(&sources, &[path], ground);
    let selection = Selection::default();
    let mut compiler = Compiler::new(&engine, &selection, 0);
    let plan = compiler.plan(&written);
    let (more, next_task) = compiler.finish();
    wrong.extend(more);
    assert!(wrong.iter().all(|w| w.severity != Severity::Error), "{}", render_all(&wrong, &sources, false));
    let (inventory, _) = Inventory::load(&sources, &[setting.hosts.to_owned()], &LoadOptions::default());
    let bus = Arc::new(Memory::default());
    let run = Run::new(Parts {
        options: Options {
            rules: setting.rules,
            forks: setting.forks,
            check: setting.check,
            force_handlers: setting.force_handlers,
            terms: setting.terms.clone(),
            ..fixture::options(&RunId::new(1, 1))
        },
        engine,
        sources,
        bus: Arc::clone(&bus) as Arc<dyn Bus>,
        transport: Arc::new(transport),
        person: Arc::new(Absent),
        interrupt: setting.interrupt.clone(),
        clock: crate::event::Clock::start(),
        masker: Masker::default(),
        inventory,
        next_task,
        resumption: None,
    });
    run.ledger.restore(setting.pending.clone());
    (run, plan, bus)
}

fn run(text: &str) -> Ran {
    run_with(text, &Setting::default(), fake())
}

fn under(rules: Rules, hosts: &'static str, text: &str) -> Ran {
    run_with(text, &Setting { rules, hosts, ..Setting::default() }, fake())
}

#[test]
fn a_rolling_play_takes_one_batch_after_the_other() {
    let ran = run("- hosts: all\n  serial: 2\n  tasks:\n    - raw: a\n    - raw: b\n");
    let done = ran.done();
    let place = |what: &str| done.iter().position(|d| d == what).unwrap();
    assert!(place("h1:b").max(place("h2:b")) < place("h3:a").min(place("h4:a")), "{done:?}");
    assert!(
        place("h1:a").max(place("h2:a")) < place("h1:b").min(place("h2:b")),
        "a task ends on all before the next: {done:?}"
    );
    assert_eq!(done.len(), 8);
    assert!(!ran.summary.failed && !ran.summary.halted);
}

#[test]
fn hosts_at_work_finish_their_sequence_when_a_guard_fires_and_nothing_new_is_started() {
    let ran = run(concat!(
        "- hosts: all\n  serial: 2\n  tasks:\n    - raw: drain\n      notify: restart\n    - raw: fail-on h1\n    - raw: undrain\n",
        "  handlers:\n    - name: restart\n      raw: restart\n- hosts: all\n  tasks:\n    - raw: later\n"
    ));
    assert_eq!(ran.guards(), ["serial"]);
    assert_eq!(ran.hosts_of("undrain"), ["h2"], "the healthy host is not left drained");
    assert_eq!(ran.hosts_of("restart"), ["h2"], "nor with a pending restart");
    assert_eq!(ran.hosts_of("drain"), ["h1", "h2"]);
    assert!(ran.hosts_of("later").is_empty(), "the rest of the plan is untouched");
    assert_eq!(ran.summary.not_attempted, ["h3", "h4"]);
    assert_eq!(ran.summary.pending.get("h1").map(Vec::len), Some(1), "the failed host's pending handler is named");
}

#[test]
fn hosts_of_a_play_without_tasks_are_done_and_not_left_over() {
    let ran = run("- hosts: all\n- hosts: h1\n  tasks:\n    - raw: a\n");
    assert_eq!(ran.done(), ["h1:a"]);
    assert!(ran.summary.not_attempted.is_empty(), "{:?}", ran.summary.not_attempted);
}

/// facts/peers.md, pain 1: each row is a way in which Ansible's guards leak.
#[test]
fn no_guard_leaks_in_any_row_of_the_matrix() {
    let bodies = [
        ("plain task", "    - raw: fail-on h1\n"),
        ("block with always", "    - block:\n        - raw: fail-on h1\n      always:\n        - raw: undrain\n"),
        (
            "rescue that fails again, and always",
            "    - block:\n        - raw: fail-on h1\n      rescue:\n        - raw: fail-on h1\n      always:\n        - raw: undrain\n",
        ),
        ("pending handler", "    - raw: change\n      notify: later\n    - raw: fail-on h1\n"),
        ("failing handler", "    - raw: change\n      notify: broken\n"),
    ];
    let handlers = "  handlers:\n    - name: later\n      raw: handled\n    - name: broken\n      raw: fail-on h1\n";
    for guard in ["max_fail_percentage: 0", "any_errors_fatal: true", "max_fail: 0"] {
        for rules in [Rules::Stagger, Rules::Ansible] {
            for force_handlers in [false, true] {
                for (row, body) in bodies {
                    let text =
                        format!("- hosts: all\n  serial: 2\n  {guard}\n  tasks:\n{body}    - raw: end\n{handlers}");
                    let ran = run_with(&text, &Setting { rules, force_handlers, ..Setting::default() }, fake());
                    let touched = ran.done().iter().any(|done| done.starts_with("h3:") || done.starts_with("h4:"));
                    assert!(!touched, "{guard}, {rules:?}, {row}: the next batch was started: {:?}", ran.done());
                    assert_eq!(ran.guards().len(), 1, "{guard}, {row}");
                }
            }
        }
    }
}

#[test]
fn an_unreachable_host_stops_a_guarded_play_in_every_combination() {
    for guard in ["max_fail_percentage: 0", "any_errors_fatal: true", "max_fail: 0"] {
        for rules in [Rules::Stagger, Rules::Ansible] {
            for body in ["    - raw: work\n", "    - raw: fail-on h1\n"] {
                let text = format!("- hosts: all\n  serial: 3\n  {guard}\n  tasks:\n{body}");
                let ran = under(rules, "h1,gone,h2,h3,h4,", &text);
                let touched = ran.done().iter().any(|done| done.starts_with("h3:") || done.starts_with("h4:"));
                assert!(!touched, "{guard} {rules:?} {body}: {:?}", ran.done());
                assert!(ran.summary.unreachable);
            }
        }
    }
}

#[test]
fn under_ansibles_rules_the_next_batch_goes_on_unless_the_whole_batch_failed() {
    let text = "- hosts: all\n  serial: 2\n  tasks:\n    - raw: fail-on h1\n    - raw: end\n";
    let ran = under(Rules::Ansible, "h1,h2,h3,h4,", text);
    assert_eq!(ran.hosts_of("end"), ["h2", "h3", "h4"]);
    let text = "- hosts: all\n  serial: 1\n  tasks:\n    - raw: fail-on h1\n    - raw: end\n";
    let ran = under(Rules::Ansible, "h1,h2,h3,h4,", text);
    assert!(ran.hosts_of("end").is_empty(), "{:?}", ran.done());
}

#[test]
fn a_rescue_takes_a_failure_and_the_host_goes_on() {
    let ran = run(concat!(
        "- hosts: all\n  serial: 2\n  tasks:\n    - block:\n        - raw: fail-on h1\n        - raw: rest\n",
        "      rescue:\n        - raw: repair\n      always:\n        - raw: tidy\n    - raw: after\n"
    ));
    assert_eq!(ran.hosts_of("repair"), ["h1"]);
    assert_eq!(ran.hosts_of("rest"), ["h2", "h3", "h4"]);
    assert_eq!(ran.hosts_of("tidy").len(), 4);
    assert_eq!(ran.hosts_of("after").len(), 4);
    assert!(ran.guards().is_empty());
    let tally = ran.summary.tallies.iter().find(|(name, _)| name == "h1").unwrap().1;
    assert_eq!((tally.rescued, tally.failed), (1, 0));
}

#[test]
fn an_opaque_command_that_the_line_broke_in_is_unknown_and_not_repeated() {
    let ran = run("- hosts: all\n  tasks:\n    - name: cut\n      raw: die-on h2\n    - raw: after\n");
    let mut statuses = ran.statuses("cut");
    statuses.sort();
    assert_eq!(statuses, [Status::Changed, Status::Changed, Status::Changed, Status::Unknown]);
    assert_eq!(ran.done().iter().filter(|done| *done == "h2:die-on h2").count(), 1);
    assert_eq!(ran.hosts_of("after"), ["h1", "h3", "h4"]);
    assert!(ran.summary.unreachable);
}

#[test]
fn handlers_run_once_in_definition_order_and_may_notify_one_another() {
    let ran = run(concat!(
        "- hosts: h1\n  tasks:\n    - raw: one\n      notify: [second, topic]\n    - raw: two\n      notify: second\n    - meta: flush_handlers\n    - raw: three\n      notify: first\n",
        "  handlers:\n    - name: first\n      raw: H1\n    - name: second\n      raw: H2\n      notify: third\n    - name: third\n      raw: H3\n    - name: fourth\n      listen: topic\n      raw: H4\n"
    ));
    assert_eq!(ran.done(), ["h1:one", "h1:two", "h1:H2", "h1:H3", "h1:H4", "h1:three", "h1:H1"]);
}

#[test]
fn run_once_shares_its_result_with_all_hosts_of_the_batch() {
    let ran = run(
        "- hosts: all\n  tasks:\n    - raw: once\n      run_once: true\n      register: r\n    - raw: all\n      when: r.rc == 0\n",
    );
    assert_eq!(ran.hosts_of("once"), ["h1"]);
    assert_eq!(ran.hosts_of("all").len(), 4);
    let ran = run("- hosts: all\n  tasks:\n    - raw: fail-on h1\n      run_once: true\n    - raw: all\n");
    assert!(ran.hosts_of("all").is_empty(), "a failure stands for all");
}

#[test]
fn in_check_mode_nothing_runs_and_what_rests_on_it_is_unknown() {
    let text = "- hosts: h1\n  tasks:\n    - name: opaque\n      raw: work\n      register: r\n    - name: rests\n      raw: more\n      when: r.rc == 0\n    - name: apart\n      debug: {msg: x}\n";
    let ran = run_with(text, &Setting { check: true, ..Setting::default() }, fake());
    assert!(ran.done().is_empty());
    assert_eq!(ran.statuses("opaque"), [Status::Unpredictable]);
    assert_eq!(ran.statuses("rests"), [Status::Unpredictable]);
    assert_eq!(ran.statuses("apart"), [Status::Ok]);
}

#[test]
fn loops_register_a_result_for_each_item() {
    let ran = run(concat!(
        "- hosts: h1\n  tasks:\n    - raw: \"do {{ item.n }} {{ at }}\"\n      loop: [{n: a}, {n: b}]\n      loop_control: {index_var: at}\n      register: r\n",
        "    - raw: \"got {{ r.results | map(attribute='item.n') | join('+') }} {{ r.msg }}\"\n"
    ));
    assert_eq!(ran.done(), ["h1:do a 0", "h1:do b 1", "h1:got a+b All items completed"]);
}

#[test]
fn until_tries_again_and_says_how_often() {
    let ran = run(
        "- hosts: h1\n  tasks:\n    - name: tries\n      raw: fail-on h1\n      retries: 2\n      delay: 0\n      until: r.rc == 0\n      register: r\n      ignore_errors: true\n    - raw: \"after {{ r.attempts }}\"\n",
    );
    assert_eq!(ran.done().iter().filter(|d| *d == "h1:fail-on h1").count(), 3);
    assert_eq!(ran.done().last().map(String::as_str), Some("h1:after 2"));
}

#[test]
fn the_leader_is_taken_last() {
    let ran =
        run("- hosts: all\n  serial: 1\n  order_by: \"{{ inventory_hostname == 'h2' }}\"\n  tasks:\n    - raw: go\n");
    assert_eq!(ran.done(), ["h1:go", "h3:go", "h4:go", "h2:go"]);
}

#[test]
fn a_gate_that_does_not_hold_stops_the_host_before_its_first_task() {
    let ran = run("- hosts: all\n  serial: 1\n  gate: [\"inventory_hostname != 'h2'\"]\n  tasks:\n    - raw: go\n");
    assert_eq!(ran.done(), ["h1:go"]);
    assert_eq!(ran.guards().len(), 1);
}

#[test]
fn an_always_section_runs_on_the_host_that_failed_too() {
    for rules in [Rules::Stagger, Rules::Ansible] {
        let text = "- hosts: all\n  serial: 2\n  tasks:\n    - block:\n        - raw: fail-on h1\n        - raw: rest\n      always:\n        - raw: undrain\n    - raw: end\n";
        let ran = under(rules, "h1,h2,h3,h4,", text);
        assert!(ran.hosts_of("undrain").contains(&"h1".to_owned()), "{rules:?}: {:?}", ran.done());
        assert!(!ran.hosts_of("end").contains(&"h1".to_owned()), "{rules:?}: {:?}", ran.done());
    }
}

#[test]
fn any_errors_fatal_of_a_block_or_task_stops_the_play() {
    for body in [
        "    - block:\n        - raw: fail-on h1\n      any_errors_fatal: true\n",
        "    - raw: fail-on h1\n      any_errors_fatal: true\n",
    ] {
        let text = format!("- hosts: all\n  tasks:\n{body}    - raw: end\n- hosts: all\n  tasks: [raw: later]\n");
        let ran = under(Rules::Ansible, "h1,h2,", &text);
        assert!(ran.hosts_of("end").is_empty(), "{:?}", ran.done());
        assert!(ran.hosts_of("later").is_empty());
        assert_eq!(ran.guards(), ["any_errors_fatal"]);
    }
}
