//! Events in, text out.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::json;

use super::out::fixture::Written;
use super::state::State;
use super::style::Paint;
use super::view::{Size, view};
use super::*;
use crate::base::{Map, PlayId, RunId, TaskId};
use crate::event::fixture::at;
use crate::event::{
    Ended, Event, EventKind, Halt, PlannedPlay, Sink, Status, StepDiff, StepLine, Tally, TaskKey, VERSION,
};

fn map(value: serde_json::Value) -> Map {
    match value {
        serde_json::Value::Object(map) => map,
        other => panic!("{other}"),
    }
}

fn hosts(names: &str) -> Vec<String> {
    names.split(' ').map(str::to_owned).collect()
}

fn key(play: u32, batch: u32, task: u32) -> TaskKey {
    TaskKey { play: PlayId(play), batch, task: TaskId(task), pass: 0 }
}

fn run(check: bool) -> EventKind {
    let plan = |name: &str, hosts, order: &str| PlannedPlay {
        name: name.to_owned(),
        hosts,
        order: order.to_owned(),
        rollback: String::new(),
    };
    EventKind::RunStarted {
        version: VERSION,
        run: RunId::new(1_700_052_060_000, 77),
        program: "0.1.0".to_owned(),
        title: "upgrade-0.13-to-0.14".to_owned(),
        inventory: vec!["production.yml".to_owned()],
        operator: "operator@bastion-1".to_owned(),
        check,
        pinned: BTreeMap::new(),
        command: hosts(if check {
            "stagger run -CD up.yml -i production.yml"
        } else {
            "stagger run up.yml -i production.yml"
        }),
        directory: "/srv".to_owned(),
        environment: BTreeMap::new(),
        plays: vec![
            plan("binaries everywhere", 123, ""),
            plan("masters", 3, "one at a time, leader last"),
            plan("slaves", 120, "12 at a time, one rack at a time"),
        ],
        rolls_back: None,
    }
}

fn play(id: u32, name: &str, names: Vec<String>, batches: u32, order: &str) -> EventKind {
    EventKind::PlayStarted {
        play: PlayId(id),
        name: name.to_owned(),
        hosts: names,
        batches,
        order: order.to_owned(),
        tasks: 2,
    }
}

fn started(key: TaskKey, name: &str, module: &str) -> EventKind {
    let place = format!("up.yml:{}", 10 + key.task.0);
    EventKind::TaskStarted { key, name: name.to_owned(), module: module.to_owned(), handler: false, place, hosts: 1 }
}

fn step(summary: &str) -> StepLine {
    StepLine { summary: summary.to_owned(), diff: None, opaque: false, once: false, script: None }
}

fn done(key: TaskKey, host: &str, status: Status, steps: Vec<StepLine>, result: serde_json::Value) -> EventKind {
    EventKind::HostFinished {
        key,
        host: host.to_owned(),
        delegate: None,
        delegate_address: None,
        status,
        steps,
        result: map(result),
        message: String::new(),
        took: 5,
        rescued: false,
        notified: Vec::new(),
        tally: Tally::default(),
    }
}

#[test]
fn what_a_command_said_is_not_repeated_below_a_message_that_quotes_it() {
    let tail = |msg: &str| {
        let result = json!({"msg": msg, "stderr": "mesos: exec failed\nno such file\n"});
        let outcome = super::block::Outcome::of(&done(key(0, 0, 0), "h", Status::Failed, vec![], result), Vec::new());
        outcome.map(|outcome| outcome.tail().len())
    };
    assert_eq!(tail("non-zero return code"), Some(2));
    assert_eq!(tail("it failed: mesos: exec failed\nno such file"), Some(0));
    assert_eq!(tail("it failed: no such file"), Some(2), "a part of it is no repetition");
}

/// Three masters, of which the second fails.
fn failing_run() -> Vec<Event> {
    let (stop, start) = (|batch| key(1, batch, 1), |batch| key(1, batch, 2));
    let all = hosts("m1 m3 m2");
    let mut events = vec![
        at(0, run(false)),
        at(100, play(0, "binaries everywhere", (1..=123).map(|n| format!("h{n:03}")).collect(), 1, "")),
        at(110, started(key(0, 0, 0), "stage mesos 0.14.2", "release")),
    ];
    for n in 1..=123 {
        let host = format!("h{n:03}");
        let (status, steps) = if n == 7 {
            (Status::Ok, vec![])
        } else {
            (Status::Changed, vec![step("stage mesos 0.14.2 beside 0.13.0")])
        };
        events.push(at(120, EventKind::HostStarted { key: key(0, 0, 0), host: host.clone() }));
        events.push(at(200 + n, done(key(0, 0, 0), &host, status, steps, json!({}))));
    }
    let fatal = json!({"msg": "non-zero return code", "rc": 1, "stderr": "F0101 flags.cpp:12\nFailed to load unknown flag 'quorum'\n"});
    events.extend([
        at(400, EventKind::TaskFinished { key: key(0, 0, 0) }),
        at(41_000, EventKind::PlayFinished { play: PlayId(0) }),
        at(41_010, play(1, "masters", all, 3, "one at a time, leader last")),
        at(41_020, EventKind::BatchStarted { play: PlayId(1), batch: 0, batches: 3, hosts: hosts("m1") }),
        at(41_030, started(stop(0), "stop mesos-master", "service")),
        at(41_030, EventKind::HostStarted { key: stop(0), host: "m1".to_owned() }),
        at(42_000, done(stop(0), "m1", Status::Changed, vec![step("stop service mesos-master")], json!({}))),
        at(42_001, EventKind::TaskFinished { key: stop(0) }),
        at(42_010, started(start(0), "master answers", "mesos_master_ready")),
        at(42_010, EventKind::HostStarted { key: start(0), host: "m1".to_owned() }),
        at(
            54_000,
            EventKind::Waiting {
                key: start(0),
                host: "m1".to_owned(),
                module: "mesos_master_ready".to_owned(),
                why: "no leader yet: m2's znode expires in 3 s".to_owned(),
                waited: 11_990,
                within: 60_000,
            },
        ),
        at(60_000, done(start(0), "m1", Status::Ok, vec![], json!({}))),
        at(60_001, EventKind::TaskFinished { key: start(0) }),
        at(60_002, EventKind::BatchFinished { play: PlayId(1), batch: 0 }),
        at(60_010, EventKind::BatchStarted { play: PlayId(1), batch: 1, batches: 3, hosts: hosts("m3") }),
        at(60_030, started(start(1), "start mesos-master", "service")),
        at(60_030, EventKind::HostStarted { key: start(1), host: "m3".to_owned() }),
        at(61_000, done(start(1), "m3", Status::Failed, vec![step("start service mesos-master")], fatal)),
        at(61_001, EventKind::TaskFinished { key: start(1) }),
        at(61_002, EventKind::BatchFinished { play: PlayId(1), batch: 1 }),
        at(
            61_003,
            EventKind::Halted {
                play: PlayId(1),
                halt: Halt {
                    guard: "serial".to_owned(),
                    host: Some("m3".to_owned()),
                    value: "1 of 3 hosts failed, 0 allowed".to_owned(),
                },
            },
        ),
        at(61_004, EventKind::PlayFinished { play: PlayId(1) }),
        at(
            61_010,
            EventKind::RunFinished {
                tallies: vec![
                    ("m1".to_owned(), Tally { ok: 2, changed: 1, ..Tally::default() }),
                    ("m3".to_owned(), Tally { failed: 1, ..Tally::default() }),
                ],
                not_attempted: hosts("m2 s001 s002 s003"),
                pending_handlers: BTreeMap::from([("m3".to_owned(), hosts("reload"))]),
                halted: true,
                exit: 2,
                ended: Ended::Halted,
            },
        ),
    ]);
    events
}

fn plain(events: &[Event], verbosity: u8) -> String {
    let written = Written::default();
    let mut sink = Plain::new(written.out(), Paint::PLAIN, TimeZone::UTC, verbosity);
    for event in events {
        sink.on(event).unwrap();
    }
    written.text()
}

fn seen(events: &[Event], columns: usize, rows: usize, now: u64, paint: Paint) -> String {
    let mut state = State::default();
    events.iter().for_each(|event| state.on(event));
    let lines = view(&state, Size { columns, rows }, now, "12:41");
    assert!(lines.len() < rows.max(3), "a row is left");
    assert!(lines.iter().all(|line| line.width() <= columns));
    lines.iter().map(|line| paint.line(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_log_tells_the_run() {
    insta::assert_snapshot!(plain(&failing_run(), 0), @r"
    12:41:00 upgrade-0.13-to-0.14 on production.yml  run 01hf9fzhv0002d  operator@bastion-1
    12:41:00 play binaries everywhere: 123 hosts (h[001-123])
    12:41:00 changed ×122: h[001-006,008-123]  stage mesos 0.14.2
    12:41:00     stage mesos 0.14.2 beside 0.13.0
    12:41:00 ok: h007  stage mesos 0.14.2
    12:41:41 play masters: 3 hosts (m[1-3]), 3 batches, one at a time, leader last
    12:41:41 batch 1/3: m1
    12:41:42 changed: m1  stop mesos-master
    12:41:42     stop service mesos-master
    12:41:54 waiting: m1  master answers: 11s of 1:00: no leader yet: m2's znode expires in 3 s
    12:42:00 ok: m1  master answers
    12:42:00 batch 2/3: m3
    12:42:01 failed: m3  start mesos-master: non-zero return code
    12:42:01     start service mesos-master
    12:42:01     stderr: F0101 flags.cpp:12
    12:42:01     stderr: Failed to load unknown flag 'quorum'
    12:42:01 stopped: play masters: serial: 1 of 3 hosts failed, 0 allowed (host m3)

    FAILED on 1 host
      failed: m3  start mesos-master (up.yml:12)
          non-zero return code
          stderr: F0101 flags.cpp:12
          stderr: Failed to load unknown flag 'quorum'

    PLAY RECAP
    m1                         : ok=2    changed=1    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0   
    m3                         : ok=0    changed=0    unreachable=0    failed=1    skipped=0    rescued=0    ignored=0   

    not attempted: 4 hosts: m2, s[001-003]
    notified and not run: m3: reload
    stopped: play masters: serial: 1 of 3 hosts failed, 0 allowed (host m3)
    failed after 1:01: 2 hosts, 123 changes; 1 play not begun
    after the repair: stagger resume 01hf9fzhv0002d
    ");
}

#[test]
fn the_screen_shows_plays_and_why_a_host_waits() {
    let events = failing_run();
    let until = events.iter().position(|event| event.elapsed == 54_000).unwrap();
    insta::assert_snapshot!(seen(&events[..=until], 80, 24, 55_000, Paint::PLAIN), @r"
    upgrade-0.13-to-0.14 on production.yml      run 002d  operator@bastion-1  12:41
    ✔ binaries everywhere  123/123                                             40s
    ▶ masters              ██░░░░░░░░░░░░  0/3  one at a time, leader last     13s
    ◦ slaves               0/120  12 at a time, one rack at a time
      m1  mesos_master_ready  12s of 1:00  no leader yet: m2's znode expires in 3 s
    ");
}

#[test]
fn a_wider_screen_shows_more() {
    let events = failing_run();
    let until = events.iter().position(|event| event.elapsed == 54_000).unwrap();
    insta::assert_snapshot!(seen(&events[..=until], 120, 24, 55_000, Paint::PLAIN), @r"
    upgrade-0.13-to-0.14 on production.yml                                              run 002d  operator@bastion-1  12:41
    ✔ binaries everywhere  123/123                                                                                     40s
    ▶ masters              ████░░░░░░░░░░░░░░░░░░░░  0/3  one at a time, leader last                                   13s
    ◦ slaves               0/120  12 at a time, one rack at a time
      m1  mesos_master_ready  12s of 1:00  no leader yet: m2's znode expires in 3 s
    ");
}

#[test]
fn without_unicode_it_is_all_ascii() {
    let events = failing_run();
    let until = events.iter().position(|event| event.elapsed == 54_000).unwrap();
    let text = seen(&events[..=until], 80, 24, 55_000, Paint { colour: false, unicode: false });
    assert!(text.is_ascii());
    insta::assert_snapshot!(text, @r"
    upgrade-0.13-to-0.14 on production.yml      run 002d  operator@bastion-1  12:41
    + binaries everywhere  123/123                                             40s
    > masters              ##............  0/3  one at a time, leader last     13s
    - slaves               0/120  12 at a time, one rack at a time
      m1  mesos_master_ready  12s of 1:00  no leader yet: m2's znode expires in 3 s
    ");
}

#[test]
fn many_hosts_at_work_are_counted_and_the_screen_is_never_full() {
    let mut events = vec![at(0, run(false)), at(0, play(2, "slaves", hosts("a"), 1, ""))];
    events.push(at(1, started(key(2, 0, 0), "slave answers", "mesos_slave_ready")));
    for n in 0..13 {
        let host = format!("s{n}");
        events.push(at(1000 + n, EventKind::HostStarted { key: key(2, 0, 0), host: host.clone() }));
        let why = format!("attempt {n}");
        let module = "mesos_slave_ready".to_owned();
        events.push(at(3000, EventKind::Waiting { key: key(2, 0, 0), host, module, why, waited: 1, within: 45_000 }));
    }
    insta::assert_snapshot!(seen(&events, 80, 24, 9000, Paint::PLAIN), @r"
    upgrade-0.13-to-0.14 on production.yml      run 002d  operator@bastion-1  12:41
    ◦ binaries everywhere  0/123
    ◦ masters              0/3  one at a time, leader last
    ▶ slaves               ░░░░░░░░░░░░░░  0/1                                  9s
      s0  mesos_slave_ready  8s of 45s  attempt 0
      s1  mesos_slave_ready  7s of 45s  attempt 1
      s2  mesos_slave_ready  7s of 45s  attempt 2
      s3  mesos_slave_ready  7s of 45s  attempt 3
      s4  mesos_slave_ready  7s of 45s  attempt 4
      s5  mesos_slave_ready  7s of 45s  attempt 5
      s6  mesos_slave_ready  7s of 45s  attempt 6
      s7  mesos_slave_ready  7s of 45s  attempt 7
      … and 5 more
    ");
    for rows in 1..20 {
        seen(&events, 30, rows, 9000, Paint::PLAIN);
    }
}

#[test]
fn hosts_at_the_same_task_share_a_line() {
    let mut events = vec![at(0, run(false)), at(0, play(2, "slaves", hosts("a"), 1, ""))];
    events.push(at(1, started(key(2, 0, 0), "stop the slave", "service")));
    for n in 1..=47 {
        events.push(at(1000, EventKind::HostStarted { key: key(2, 0, 0), host: format!("es{n:03}") }));
    }
    events.push(at(
        1100,
        EventKind::Sent { key: key(2, 0, 0), host: "es003".to_owned(), bytes: 5_000_000, of: 10_485_760 },
    ));
    events.push(at(
        1100,
        EventKind::Retrying { key: key(2, 0, 0), host: "es004".to_owned(), name: "x".to_owned(), left: 2 },
    ));
    insta::assert_snapshot!(seen(&events, 80, 24, 9000, Paint::PLAIN), @r"
    upgrade-0.13-to-0.14 on production.yml      run 002d  operator@bastion-1  12:41
    ◦ binaries everywhere  0/123
    ◦ masters              0/3  one at a time, leader last
    ▶ slaves               ░░░░░░░░░░░░░░  0/1                                  9s
      es[001-002,005-047]  stop the slave  8s
      es003                stop the slave  8s  4.8 MiB of 10.0 MiB
      es004                stop the slave  8s  tried again, 2 left
    ");
}

#[test]
fn a_check_says_would_and_folds_the_same_differences() {
    let diff = StepDiff {
        before_header: "/etc/mesos/flags".to_owned(),
        after_header: "/etc/mesos/flags".to_owned(),
        before: "quorum=2\n".to_owned(),
        after: "quorum=2\ncheckpoint\n".to_owned(),
    };
    let write = || StepLine {
        summary: "replace /etc/mesos/flags (9 -> 20 bytes)".to_owned(),
        diff: Some(diff.clone()),
        opaque: false,
        once: false,
        script: None,
    };
    let opaque =
        || StepLine { summary: "run `mesos-setup`".to_owned(), diff: None, opaque: true, once: false, script: None };
    let mut events = vec![at(0, run(true)), at(1, play(0, "slaves", hosts("s1 s2 s3"), 1, ""))];
    events.push(at(2, started(key(0, 0, 0), "write flags", "mesos_flags")));
    events.push(at(3, done(key(0, 0, 0), "s1", Status::Changed, vec![write()], json!({}))));
    events.push(at(3, done(key(0, 0, 0), "s2", Status::Changed, vec![write()], json!({}))));
    events.push(at(3, done(key(0, 0, 0), "s3", Status::Ok, vec![], json!({}))));
    events.push(at(4, EventKind::TaskFinished { key: key(0, 0, 0) }));
    events.push(at(5, started(key(0, 0, 1), "set up", "command")));
    events.push(at(6, done(key(0, 0, 1), "s1", Status::Changed, vec![opaque()], json!({}))));
    let mut unknown = done(key(0, 0, 1), "s2", Status::Unpredictable, vec![], json!({}));
    if let EventKind::HostFinished { message, .. } = &mut unknown {
        *message = "it depends on `set up`, which did not run".to_owned();
    }
    events.push(at(6, unknown));
    events.push(at(7, EventKind::TaskFinished { key: key(0, 0, 1) }));
    events.push(at(
        8,
        EventKind::RunFinished {
            tallies: vec![("s2".to_owned(), Tally { ok: 1, changed: 1, unpredictable: 1, ..Tally::default() })],
            not_attempted: vec![],
            pending_handlers: BTreeMap::new(),
            halted: false,
            exit: 0,
            ended: Ended::Complete,
        },
    ));
    insta::assert_snapshot!(plain(&events, 0), @r"
    12:41:00 upgrade-0.13-to-0.14 on production.yml  check: nothing is changed  run 01hf9fzhv0002d  operator@bastion-1
    12:41:00 play slaves: 3 hosts (s[1-3])
    12:41:00 would change ×2: s[1-2]  write flags
    12:41:00     would replace /etc/mesos/flags (9 -> 20 bytes)
    12:41:00       --- before: /etc/mesos/flags
    12:41:00       +++ after: /etc/mesos/flags
    12:41:00       @@ -1 +1,2 @@
    12:41:00        quorum=2
    12:41:00       +checkpoint
    12:41:00 ok: s3  write flags
    12:41:00 would change: s1  set up
    12:41:00     would run `mesos-setup` (what it does can't be known beforehand)
    12:41:00 not known before the run: s2  set up: it depends on `set up`, which did not run

    PLAY RECAP
    s2                         : ok=1    changed=1    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0   

    not known before the run: 1 result (see above why)
    checked in 0.0s: 1 host, 3 changes to make; nothing was changed
    to make the changes: stagger run -D up.yml -i production.yml
    ");
}

#[test]
fn loops_show_the_items_that_matter_and_failures_under_the_host() {
    let item = |item: &str, status, steps, result| EventKind::ItemFinished {
        delegate: None,
        delegate_address: None,
        key: key(0, 0, 0),
        host: "h1".to_owned(),
        item: item.to_owned(),
        index: 0,
        status,
        steps,
        result: map(result),
        notified: vec![],
    };
    let events = [
        at(0, play(0, "all", hosts("h1"), 1, "")),
        at(1, started(key(0, 0, 0), "make folders", "file")),
        at(2, item("/srv/a", Status::Ok, vec![], json!({}))),
        at(2, item("/srv/b", Status::Changed, vec![step("make the folder /srv/b")], json!({}))),
        at(2, item("/proc/c", Status::Failed, vec![], json!({"msg": "no such file\nor folder"}))),
        at(3, done(key(0, 0, 0), "h1", Status::Failed, vec![], json!({"msg": "One or more items failed"}))),
        at(4, EventKind::TaskFinished { key: key(0, 0, 0) }),
    ];
    insta::assert_snapshot!(plain(&events, 0), @r"
    12:41:00 play all: 1 host (h1)
    12:41:00 failed: h1  make folders: One or more items failed
    12:41:00     (item=/srv/b) changed
    12:41:00       make the folder /srv/b
    12:41:00     (item=/proc/c) failed: no such file\nor folder
    ");
}

#[test]
fn more_is_said_with_v() {
    let events = [
        at(0, play(0, "all", hosts("h1"), 1, "")),
        at(1, started(key(0, 0, 0), "say", "command")),
        at(
            3,
            done(
                key(0, 0, 0),
                "h1",
                Status::Skipped,
                vec![],
                json!({"skip_reason": "Conditional result was False", "msg": "x == 2 was false"}),
            ),
        ),
        at(4, EventKind::TaskFinished { key: key(0, 0, 0) }),
    ];
    insta::assert_snapshot!(plain(&events, 0), @r"
    12:41:00 play all: 1 host (h1)
    12:41:00 skipped: h1  say
    ");
    insta::assert_snapshot!(plain(&events, 2), @r#"
    12:41:00 play all: 1 host (h1)
    12:41:00 skipped: h1  say [command at up.yml:10]: x == 2 was false
    12:41:00     => {"skip_reason":"Conditional result was False","msg":"x == 2 was false"}
    "#);
}

#[test]
fn what_debug_says_is_always_shown() {
    let events = [
        at(1, started(key(0, 0, 0), "look", "debug")),
        at(3, done(key(0, 0, 0), "h1", Status::Ok, vec![], json!({"msg": "a\nb"}))),
        at(3, done(key(0, 0, 0), "h2", Status::Ok, vec![], json!({"changed": false, "x": {"a": 1}}))),
        at(4, EventKind::TaskFinished { key: key(0, 0, 0) }),
    ];
    insta::assert_snapshot!(plain(&events, 0), @r#"
    12:41:00 ok: h1  look
    12:41:00     a
    12:41:00     b
    12:41:00 ok: h2  look
    12:41:00     x: {
    12:41:00       "a": 1
    12:41:00     }
    "#);
}

#[test]
fn a_log_with_a_heartbeat() {
    let mut story = super::story::Story::new(0, true);
    story.on(&at(1, started(key(0, 0, 0), "reindex", "command")));
    for host in ["h1", "h2", "h3"] {
        story.on(&at(5, EventKind::HostStarted { key: key(0, 0, 0), host: host.to_owned() }));
    }
    let line = story.heartbeat(65_000).map(|line| Paint::PLAIN.line(&line));
    assert_eq!(line.as_deref(), Some("still at work: h[1-3]  reindex: 1:04"));
    assert!(super::story::Story::new(0, true).heartbeat(1).is_none());
}

#[test]
fn failures_are_told_together_after_a_second_and_at_once_when_the_task_ends() {
    let mut story = super::story::Story::new(0, false);
    story.on(&at(1, started(key(0, 0, 0), "go", "command")));
    for host in ["h1", "h2"] {
        assert!(story.on(&at(5, done(key(0, 0, 0), host, Status::Failed, vec![], json!({"msg": "no"})))).is_empty());
    }
    let told: Vec<_> = story.due(1005).iter().map(|line| Paint::PLAIN.line(line)).collect();
    assert_eq!(told, ["failed ×2: h[1-2]  go: no"]);
    assert!(story.due(5000).is_empty());
}

fn ansible(events: &[Event], verbosity: u8) -> String {
    let (out, errors) = (Written::default(), Written::default());
    let mut sink = Ansible::new(out.out(), errors.out(), Paint::PLAIN, verbosity, 79);
    for event in events {
        sink.on(event).unwrap();
    }
    format!("{}--- standard error:\n{}", out.text(), errors.text())
}

#[test]
fn a_run_is_printed_as_ansible_prints_it() {
    let result = json!({"changed": true, "cmd": ["false"], "rc": 1, "msg": "non-zero return code", "failed": true, "invocation": {"x": 1}});
    let mut delegated = done(key(0, 0, 1), "h1", Status::Changed, vec![], json!({"changed": true}));
    if let EventKind::HostFinished { delegate, .. } = &mut delegated {
        *delegate = Some("db".to_owned());
    }
    let diff = StepDiff {
        before_header: "/etc/x".to_owned(),
        after_header: "/etc/x".to_owned(),
        before: String::new(),
        after: "a\n".to_owned(),
    };
    let with_diff =
        StepLine { summary: "write".to_owned(), diff: Some(diff), opaque: false, once: false, script: None };
    let item = |item: &str, status, result| EventKind::ItemFinished {
        delegate: None,
        delegate_address: None,
        key: key(0, 0, 2),
        host: "h1".to_owned(),
        item: item.to_owned(),
        index: 0,
        status,
        steps: vec![],
        result: map(result),
        notified: vec![],
    };
    let mut handler = started(key(0, 0, 4), "restart", "service");
    if let EventKind::TaskStarted { handler, .. } = &mut handler {
        *handler = true;
    }
    let events: Vec<_> = [
        play(0, "web", hosts("h1 h2"), 1, ""),
        EventKind::BatchStarted { play: PlayId(0), batch: 0, batches: 2, hosts: hosts("h1 h2") },
        started(key(0, 0, 0), "", "command"),
        done(key(0, 0, 0), "h1", Status::Ok, vec![], json!({"changed": false})),
        done(key(0, 0, 0), "h2", Status::Ignored, vec![], result.clone()),
        started(key(0, 0, 1), "write it", "copy"),
        delegated,
        done(key(0, 0, 1), "h2", Status::Changed, vec![with_diff], json!({"changed": true})),
        started(key(0, 0, 2), "each", "file"),
        item("a", Status::Ok, json!({})),
        item("b", Status::Changed, json!({})),
        item("c", Status::Skipped, json!({})),
        item("d", Status::Failed, json!({"msg": "no"})),
        done(key(0, 0, 2), "h1", Status::Failed, vec![], json!({"msg": "One or more items failed"})),
        done(key(0, 0, 2), "h2", Status::Skipped, vec![], json!({"skip_reason": "x"})),
        started(key(0, 0, 3), "say", "debug"),
        done(key(0, 0, 3), "h2", Status::Ok, vec![], json!({"changed": false, "msg": "hello"})),
        started(key(0, 0, 7), "flush", "meta"),
        done(key(0, 0, 7), "h2", Status::Ok, vec![], json!({})),
        handler,
        EventKind::Retrying { key: key(0, 0, 4), host: "h2".to_owned(), name: "restart".to_owned(), left: 2 },
        done(
            key(0, 0, 4),
            "h2",
            Status::Unreachable,
            vec![],
            json!({"changed": false, "unreachable": true, "msg": "refused"}),
        ),
        EventKind::Included { key: key(0, 0, 5), file: "x.yml".to_owned(), hosts: hosts("h1 h2"), item: None },
        EventKind::BatchStarted { play: PlayId(0), batch: 1, batches: 2, hosts: hosts("h3") },
        started(key(0, 1, 0), "", "command"),
        done(key(0, 1, 0), "h3", Status::Failed, vec![], result),
        EventKind::Halted {
            play: PlayId(0),
            halt: Halt { guard: "serial".to_owned(), host: None, value: "all hosts failed".to_owned() },
        },
        EventKind::PlaySkipped { play: PlayId(1), name: "db".to_owned(), why: "no hosts".to_owned() },
        EventKind::RunFinished {
            tallies: vec![
                ("h2".to_owned(), Tally { ok: 3, unpredictable: 1, ..Tally::default() }),
                ("h1".to_owned(), Tally { failed: 1, ..Tally::default() }),
                ("h9".to_owned(), Tally::default()),
            ],
            not_attempted: hosts("h9"),
            pending_handlers: BTreeMap::new(),
            halted: true,
            exit: 2,
            ended: Ended::Halted,
        },
    ]
    .into_iter()
    .map(|kind| at(0, kind))
    .collect();
    insta::assert_snapshot!(ansible(&events, 0), @r#"

    PLAY [web] *********************************************************************

    TASK [command] *****************************************************************
    ok: [h1]
    fatal: [h2]: FAILED! => {"changed": true, "cmd": ["false"], "msg": "non-zero return code", "rc": 1}
    ...ignoring

    TASK [write it] ****************************************************************
    changed: [h1 -> db]
    --- before: /etc/x
    +++ after: /etc/x
    @@ -0,0 +1 @@
    +a

    changed: [h2]

    TASK [each] ********************************************************************
    ok: [h1] => (item=a)
    changed: [h1] => (item=b)
    skipping: [h1] => (item=c) 
    failed: [h1] (item=d) => {"msg": "no"}
    skipping: [h2]

    TASK [say] *********************************************************************
    ok: [h2] => {
        "msg": "hello"
    }

    RUNNING HANDLER [restart] ******************************************************
    FAILED - RETRYING: [h2]: restart (2 retries left).
    fatal: [h2]: UNREACHABLE! => {"changed": false, "msg": "refused", "unreachable": true}
    included: x.yml for h1, h2

    PLAY [web] *********************************************************************

    TASK [command] *****************************************************************
    fatal: [h3]: FAILED! => {"changed": true, "cmd": ["false"], "msg": "non-zero return code", "rc": 1}

    PLAY [db] **********************************************************************
    skipping: no hosts matched

    PLAY RECAP *********************************************************************
    h1                         : ok=0    changed=0    unreachable=0    failed=1    skipped=0    rescued=0    ignored=0   
    h2                         : ok=3    changed=0    unreachable=0    failed=0    skipped=1    rescued=0    ignored=0   

    --- standard error:
    [WARNING]: serial: all hosts failed
    [WARNING]: not attempted: h9
    "#);
    let loud = ansible(&events, 2);
    assert!(loud.contains("\ntask path: up.yml:10\nok: [h1] => {\"changed\": false}\n"), "{loud}");
    assert!(loud.contains("\nskipping: [h2] => {\"skip_reason\": \"x\"}\n"), "{loud}");
    assert!(ansible(&events, 3).contains("\"invocation\": {\n"));
}

/// What every sink makes of the events.
fn everywhere(events: &[Event]) -> String {
    let paint = Paint { colour: false, unicode: true };
    let written = Written::default();
    let mut sinks: Vec<Box<dyn Sink>> = vec![
        Box::new(Plain::new(written.out(), paint, TimeZone::UTC, 3)),
        Box::new(Plain::new(written.out(), paint, TimeZone::UTC, 0)),
        Box::new(Ansible::new(written.out(), written.out(), paint, 3, 79)),
        Box::new(AdHoc::new(written.out(), written.out(), paint, 3, false)),
        Box::new(AdHoc::new(written.out(), written.out(), paint, 3, true)),
        Box::new(JsonLines::new(written.out())),
    ];
    let mut text = String::new();
    let mut state = State::default();
    for event in events {
        sinks.iter_mut().for_each(|sink| sink.on(event).unwrap());
        state.on(event);
        let lines = view(&state, Size { columns: 100, rows: 50 }, 10, "12:41");
        text.extend(lines.iter().map(|line| paint.line(line) + "\n"));
    }
    text + &written.text()
}

#[test]
fn no_sink_lets_an_escape_sequence_through() {
    let hostile = "\u{1b}[2J\u{1b}]0;x\u{7}\r\u{9b}31m\u{202e}\u{8}\n\u{7f}";
    let events: Vec<_> = crate::event::fixture::every_kind(hostile).into_iter().map(|kind| at(1, kind)).collect();
    let text = everywhere(&events);
    let through: Vec<_> =
        text.chars().filter(|c| c.is_control() && *c != '\n' || ('\u{202a}'..='\u{202e}').contains(c)).collect();
    assert!(through.is_empty(), "{through:?}");
}

#[test]
fn a_replayed_journal_tells_what_the_run_told() {
    let mut events = failing_run();
    // Uploads are shown live and not kept.
    let sent = EventKind::Sent { key: key(0, 0, 0), host: "h001".to_owned(), bytes: 1, of: 2 };
    events.insert(5, at(39_999, sent));
    for verbosity in 0..3 {
        let live = plain(&events, verbosity);
        let kept: Vec<Event> = events
            .iter()
            .filter(|event| !matches!(event.kind, EventKind::Sent { .. }))
            .map(|event| serde_json::from_str(&serde_json::to_string(event).unwrap()).unwrap())
            .collect();
        assert_eq!(plain(&kept, verbosity), live);
    }
}

#[test]
fn the_screen_is_drawn_and_ends_with_the_digest() {
    let events = failing_run();
    let written = Written::default();
    let size = || Size { columns: 80, rows: 24 };
    let target = indicatif::ProgressDrawTarget::hidden();
    let mut screen = Screen::on(target, written.out(), Box::new(size), Paint::PLAIN, TimeZone::UTC, 0);
    for event in &events {
        screen.on(event).unwrap();
        screen.tick();
    }
    insta::assert_snapshot!(written.text(), @r"
    changed ×122: h[001-006,008-123]  stage mesos 0.14.2
        stage mesos 0.14.2 beside 0.13.0
    changed: m1  stop mesos-master
        stop service mesos-master
    failed: m3  start mesos-master: non-zero return code
        start service mesos-master
        stderr: F0101 flags.cpp:12
        stderr: Failed to load unknown flag 'quorum'
    stopped: play masters: serial: 1 of 3 hosts failed, 0 allowed (host m3)
     upgrade-0.13-to-0.14 on production.yml      run 002d  operator@bastion-1  12:41
     ✔ binaries everywhere  123/123                                             40s
     ✘ masters              2/3  stopped                                        19s
     ◦ slaves               0/120  12 at a time, one rack at a time

    FAILED on 1 host
      failed: m3  start mesos-master (up.yml:12)
          non-zero return code
          stderr: F0101 flags.cpp:12
          stderr: Failed to load unknown flag 'quorum'

    PLAY RECAP
    m1 : ok=2 changed=1 unreachable=0 failed=0 skipped=0
    m3 : ok=0 changed=0 unreachable=0 failed=1 skipped=0

    not attempted: 4 hosts: m2, s[001-003]
    notified and not run: m3: reload
    stopped: play masters: serial: 1 of 3 hosts failed, 0 allowed (host m3)
    failed after 1:01: 2 hosts, 123 changes; 1 play not begun
    after the repair: stagger resume 01hf9fzhv0002d
    ");
}

#[test]
fn many_hosts_with_the_same_counts_share_a_line_of_the_recap_on_a_screen_only() {
    let tally = Tally { ok: 2, ..Tally::default() };
    let end = EventKind::RunFinished {
        tallies: (1..=47).map(|n| (format!("es{n:03}"), tally)).collect(),
        not_attempted: vec![],
        pending_handlers: BTreeMap::new(),
        halted: false,
        exit: 0,
        ended: Ended::Complete,
    };
    let told = |log| {
        let mut story = super::story::Story::new(0, log);
        story.on(&at(0, run(false)));
        story.on(&at(9000, end.clone())).iter().map(|line| Paint::PLAIN.line(line)).collect::<Vec<_>>()
    };
    assert_eq!(told(true).len(), 51);
    assert_eq!(told(false)[2], "es[001-047] : ok=2 changed=0 unreachable=0 failed=0 skipped=0");
}

#[test]
fn what_a_module_warns_of_is_told_even_where_nothing_changed() {
    let mut story = super::story::Story::new(0, false);
    story.on(&at(0, run(false)));
    let key = || key(1, 0, 1);
    story.on(&at(1, started(key(), "wait", "mesos_slave_ready")));
    let result = json!({"warnings": ["2 of 2 tasks are lost: t1, t2"]});
    story.on(&at(2, done(key(), "s1", Status::Ok, vec![], result)));
    let told = story.on(&at(3, EventKind::TaskFinished { key: key() }));
    let told: Vec<_> = told.iter().map(|line| Paint::PLAIN.line(line)).collect();
    assert_eq!(told, ["ok: s1  wait", "    warning: 2 of 2 tasks are lost: t1, t2"]);
}
