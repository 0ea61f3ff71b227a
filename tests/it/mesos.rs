//! The main job: Mesos from 0.13 to 0.14 on rehearsal clusters. Its preview beside its run, the daemons asked at the end, and the
//! playbook with each gate, wait and guard taken out in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::lab::{Lab, tasks, wait};

pub(super) const PLAYBOOK: &str = "playbooks/mesos/upgrade-0.13-to-0.14.yml";

/// The factor for the times of the cluster. Deadlines are real.
const TIME: &str = "0.15";

pub(super) fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).expect("a file of the tree")
}

/// A cluster from the inventory that the demo uses, settled and with all its tasks.
pub(super) struct Cluster {
    pub(super) lab: Arc<Lab>,
    masters: Vec<u32>,
    slaves: Vec<u32>,
}

/// What a run came to.
pub(super) struct Ran {
    pub(super) code: i32,
    pub(super) events: Vec<Value>,
    pub(super) stderr: String,
}

impl Cluster {
    /// All of it, or with fewer slaves.
    #[track_caller]
    pub(super) fn up(number: u32, slaves: u32) -> Self {
        Self::up_at(number, slaves, TIME)
    }

    #[track_caller]
    fn up_at(number: u32, slaves: u32, time: &str) -> Self {
        let mut text = read("inventories/rehearsal.yml").replace("127.0.11.", "NET.");
        for last in slaves + 1..=4 {
            let line = text.lines().find(|line| line.trim_start().starts_with(&format!("s{last}:"))).expect("a slave");
            text = text.replace(&format!("{line}\n"), "");
        }
        let lab = Arc::new(Lab::up(number, time, &text));
        let cluster = Self { lab, masters: vec![1, 2, 3], slaves: (11..=10 + slaves).collect() };
        wait("the cluster is settled", 60, || {
            let (_, state) = cluster.lab.leader()?;
            let all = state["slaves"].as_array()?.len() == cluster.slaves.len()
                && tasks(&state).len() >= 2 * cluster.slaves.len();
            (all && cluster.masters.iter().all(|last| cluster.lab.master(*last).is_some())).then_some(())
        });
        cluster
    }

    pub(super) fn run(&self, playbook: &str, words: &[&str]) -> Ran {
        self.run_as("stagger", playbook, words)
    }

    /// By the program's own name, or by one of Ansible's.
    fn run_as(&self, name: &str, playbook: &str, words: &[&str]) -> Ran {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("upgrade.yml");
        fs::write(&path, playbook).expect("a playbook");
        let program = folder.path().join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_stagger"), &program).expect("a link");
        let command: &[&str] = if name == "stagger" { &["run"] } else { &[] };
        let done = Command::new(&program)
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .args(command)
            .args(["upgrade.yml", "-i"])
            .arg(self.lab.inventory())
            .args(["--output", "json", "--state", "state"])
            .args(words)
            .output()
            .expect("stagger runs");
        let text = String::from_utf8_lossy(&done.stdout);
        Ran {
            code: done.status.code().unwrap_or(-1),
            events: text.lines().map(|line| serde_json::from_str(line).expect("an event")).collect(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }

    /// When each daemon that answers was started, by address.
    fn starts(&self) -> BTreeMap<u32, String> {
        let start = |state: Option<Value>| state.map(|state| state["start_time"].to_string());
        let masters = self.masters.iter().filter_map(|last| Some((*last, start(self.lab.master(*last))?)));
        masters.chain(self.slaves.iter().filter_map(|last| Some((*last, start(self.lab.slave(*last))?)))).collect()
    }

    /// What is not as it must be after the upgrade; all of it asked of the daemons and their kernels.
    pub(super) fn wrongs(&self, checkpoint: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        for (last, state) in self
            .masters
            .iter()
            .map(|last| (last, self.lab.master(*last)))
            .chain(self.slaves.iter().map(|last| (last, self.lab.slave(*last))))
        {
            match state {
                Some(state) if state["version"] == "0.14.2" => {}
                Some(state) => wrong.push(format!(".{last} runs {}", state["version"])),
                None => wrong.push(format!(".{last} does not answer")),
            }
        }
        for (host, daemon, flag) in
            self.masters.iter().map(|last| (format!("m{last}"), "mesos-master", "--roles=web")).chain(
                self.slaves.iter().map(|last| {
                    (
                        format!("s{}", last - 10),
                        "mesos-slave",
                        if checkpoint { "--checkpoint=true" } else { "--recovery_timeout=10mins" },
                    )
                }),
            )
        {
            let script = format!(
                "for p in /proc/[0-9]*; do e=$(readlink $p/exe) || continue; case $e in */{daemon}) echo $e; tr '\\0' ' ' <$p/cmdline; esac; done"
            );
            let (_, said) = self.lab.ssh("root", &host, &script);
            if !said.contains(&format!("/0.14.2/{daemon}\n")) || !said.contains(flag) {
                wrong.push(format!("{host} runs {said:?}"));
            }
        }
        match self.lab.leader() {
            Some((_, state)) => {
                if !state["frameworks"].as_array().is_some_and(|all| all.iter().any(|one| one["active"] == 1)) {
                    wrong.push("no framework is active".to_owned());
                }
                let listed = state["slaves"].as_array().map_or(0, Vec::len);
                if listed != self.slaves.len() {
                    wrong.push(format!("the leader lists {listed} slaves"));
                }
                // A slave that checkpoints stays listed while it is away.
                for last in &self.slaves {
                    let own = self.lab.slave(*last).unwrap_or_default();
                    let entry = state["slaves"].as_array().into_iter().flatten().find(|slave| slave["id"] == own["id"]);
                    let time = |value: &Value| value.as_f64().unwrap_or(0.0);
                    let since = entry
                        .map_or(0.0, |slave| time(&slave["registered_time"]).max(time(&slave["reregistered_time"])));
                    if since < time(&own["start_time"]) {
                        wrong.push(format!("the leader has not taken .{last} in since its start"));
                    }
                }
            }
            None => wrong.push("nobody leads".to_owned()),
        }
        wrong
    }

    pub(super) fn watch(&self) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let (lab, masters, slaves) = (Arc::clone(&self.lab), self.masters.clone(), self.slaves.clone());
        let ended = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = Seen::default();
            while !ended.load(Ordering::SeqCst) {
                seen.look(&lab, &masters, &slaves);
                std::thread::sleep(Duration::from_millis(30));
            }
            seen
        });
        Watch { stop, thread }
    }
}

/// Looks at a cluster all the time.
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Watch {
    pub(super) fn end(self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("a watcher")
    }
}

/// What was seen of a cluster over time.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Leading processes one after the other: address and start.
    leaders: Vec<(u32, String)>,
    /// Slaves' processes: start and id.
    slaves: BTreeMap<u32, Vec<(String, String)>>,
    /// When the leader was last seen to be another one.
    changed: Option<Instant>,
    /// The most masters, and the most slaves, that were away at the same time.
    away: (BTreeSet<u32>, BTreeSet<u32>),
}

impl Seen {
    fn look(&mut self, lab: &Lab, masters: &[u32], slaves: &[u32]) {
        let began = Instant::now();
        let refused = |last: u32, port: u16| TcpStream::connect(lab.address(last, port)).is_err();
        let down: BTreeSet<u32> = masters.iter().copied().filter(|last| refused(*last, 5050)).collect();
        let led = lab.leader();
        if let Some((last, state)) = &led {
            let leader = (*last, state["start_time"].to_string());
            if self.leaders.last() != Some(&leader) {
                self.leaders.push(leader);
                self.changed = Some(Instant::now());
            }
        }
        let new_leader = led.is_none() || self.changed.is_none_or(|at| at.elapsed() < Duration::from_secs(3));
        let mut out = BTreeSet::new();
        for last in slaves {
            let Some(own) = lab.slave(*last) else {
                if refused(*last, 5051) {
                    out.insert(*last);
                }
                continue;
            };
            let id = own["id"].as_str().unwrap_or_default();
            let Some((_, state)) = &led else { continue };
            let listed = state["slaves"].as_array().into_iter().flatten().find(|slave| slave["id"] == id);
            let time = |value: &Value| value.as_f64().unwrap_or(0.0);
            match listed {
                Some(slave) if !id.is_empty() => {
                    let starts = self.slaves.entry(*last).or_default();
                    let start = (own["start_time"].to_string(), id.to_owned());
                    if starts.last() != Some(&start) {
                        starts.push(start);
                    }
                    let taken_in = time(&slave["registered_time"]).max(time(&slave["reregistered_time"]));
                    // 0.13 has whole seconds only.
                    if !new_leader && taken_in + 1.0 < time(&own["start_time"]) {
                        out.insert(*last);
                    }
                }
                // A new leader knows no slave until it registers again, wherever that was all the time.
                _ if new_leader => {}
                _ => {
                    out.insert(*last);
                }
            }
        }
        // A look that took long saw its hosts at different times.
        if began.elapsed() < Duration::from_millis(400) {
            if down.len() > self.away.0.len() {
                self.away.0 = down;
            }
            if out.len() > self.away.1.len() {
                self.away.1 = out;
            }
        }
    }

    /// What the guide forbids, and was seen.
    pub(super) fn wrongs(&self, restarts: usize, failovers: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.away.0.len() > 1 {
            wrong.push(format!("masters {:?} were away at the same time", self.away.0));
        }
        if self.away.1.len() > 1 {
            wrong.push(format!("slaves {:?} were away at the same time", self.away.1));
        }
        if self.leaders.len() != failovers + 1 {
            wrong.push(format!("{} changes of leader, not {failovers}: {:?}", self.leaders.len() - 1, self.leaders));
        }
        for (last, starts) in &self.slaves {
            if starts.len() != restarts + 1 {
                wrong.push(format!("slave .{last} was started {starts:?}"));
            } else if let [first, second, third, ..] = starts.as_slice()
                && (first.1 == second.1 || second.1 != third.1)
            {
                wrong.push(format!(
                    "slave .{last} has the ids {starts:?}: new in step 4 and kept in step 9 is promised"
                ));
            }
        }
        wrong
    }
}

impl Ran {
    /// Names of tasks, by play, batch and task.
    fn names(&self) -> BTreeMap<String, String> {
        let started = self.of("task_started");
        started.map(|event| (event["key"].to_string(), text(&event["name"]))).collect()
    }

    fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events.iter().filter(move |event| event["event"] == kind)
    }

    /// Results by host, play and task, in the host's own order: status and steps without what differs by nature.
    fn results(&self) -> BTreeMap<String, Vec<(String, String, Vec<String>)>> {
        let names = self.names();
        let mut results: BTreeMap<String, Vec<(String, String, Vec<String>)>> = BTreeMap::new();
        for event in self.of("host_finished") {
            let name = names.get(&event["key"].to_string()).cloned().unwrap_or_default();
            let task = format!("{} {name}", event["key"]["play"]);
            let steps = event["steps"].as_array().into_iter().flatten();
            let steps = steps.map(|step| without_process(&text(&step["summary"]))).collect();
            results.entry(text(&event["host"])).or_default().push((task, text(&event["status"]), steps));
        }
        results
    }

    /// The hosts that had tasks.
    fn hosts(&self) -> BTreeSet<String> {
        self.of("host_started").map(|event| text(&event["host"])).collect()
    }

    /// Failures: host, task and message.
    fn failures(&self) -> Vec<(String, String, String)> {
        let names = self.names();
        let failed = self
            .of("host_finished")
            .filter(|event| matches!(event["status"].as_str(), Some("failed" | "unreachable" | "unknown" | "bug")));
        failed
            .map(|event| {
                let message = [text(&event["message"]), text(&event["result"]["msg"])].join(" ");
                (text(&event["host"]), names.get(&event["key"].to_string()).cloned().unwrap_or_default(), message)
            })
            .collect()
    }

    #[track_caller]
    fn expect_done(&self) {
        assert_eq!(self.code, 0, "{:#?} {}", self.failures(), self.stderr);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A preview knows the process that it would stop now, and not the one that a later play will.
fn without_process(summary: &str) -> String {
    summary.split_once(" (process ").map_or(summary, |(before, _)| before).to_owned()
}

/// Takes out a task, or a play's keyword, by the beginning of its line; the `place`th from 0.
#[track_caller]
fn without(playbook: &str, begins: &str, place: usize) -> String {
    let lines: Vec<&str> = playbook.lines().collect();
    let found = |line: &&str| line.trim_start().starts_with(begins);
    let at = lines.iter().enumerate().filter(|(_, line)| found(line)).nth(place).expect("a line to take out").0;
    let indent = |line: &str| line.len() - line.trim_start().len();
    let deep = indent(lines[at]);
    let end = lines[at + 1..].iter().position(|line| !line.trim().is_empty() && indent(line) <= deep);
    let end = end.map_or(lines.len(), |more| at + 1 + more);
    [&lines[..at], &lines[end..]].concat().join("\n") + "\n"
}

#[test]
fn the_run_makes_the_changes_that_its_preview_named_and_no_other() {
    let cluster = Cluster::up(100, 4);
    let playbook = read(PLAYBOOK);
    let before = cluster.starts();
    let preview = cluster.run(&playbook, &["--check", "--diff"]);
    preview.expect_done();
    assert_eq!(cluster.starts(), before, "a preview touches nothing");

    let watch = cluster.watch();
    let run = cluster.run(&playbook, &[]);
    run.expect_done();
    let (predicted, made) = (preview.results(), run.results());
    assert_eq!(predicted.keys().collect::<Vec<_>>(), made.keys().collect::<Vec<_>>());
    let (mut changes, mut unknown) = (0, BTreeSet::new());
    for (host, predicted) in &predicted {
        let made = &made[host];
        let tasks = |results: &[(String, String, Vec<String>)]| {
            results.iter().map(|(task, ..)| task.clone()).collect::<Vec<_>>()
        };
        assert_eq!(tasks(predicted), tasks(made), "{host}");
        for ((task, foreseen, steps), (_, status, done)) in predicted.iter().zip(made) {
            assert_eq!(steps, done, "{host}: {task}");
            changes += steps.len();
            if foreseen == "unpredictable" {
                assert_eq!(status, "ok", "{host}: {task}");
                unknown.insert(task.clone());
            } else {
                assert_eq!(foreseen, status, "{host}: {task}");
            }
        }
    }
    assert!(changes >= 66, "{changes}");
    // What no preview can know is what the gates will see.
    assert!(
        unknown
            .iter()
            .all(|task| task.contains("wait ") || task.ends_with("starts here") || task.ends_with("is it its turn")),
        "{unknown:?}"
    );
    assert_eq!(unknown.len(), 10, "{unknown:?}");

    let seen = watch.end();
    assert_eq!(cluster.wrongs(true), Vec::<String>::new());
    assert_eq!(seen.wrongs(2, 2), Vec::<String>::new());

    // Once more: what is done is seen; the restarts of steps 7 to 9 are asked for, so they are left out by name.
    let before = cluster.starts();
    let again = cluster.run(&playbook, &["--skip-tags", "schedulers,renew"]);
    again.expect_done();
    let changed: Vec<_> = again.of("host_finished").filter(|event| event["status"] == "changed").collect();
    assert!(changed.is_empty(), "{changed:#?}");
    assert_eq!(cluster.starts(), before);
}

#[test]
fn a_flag_smuggled_past_the_check_halts_at_the_first_standby() {
    let cluster = Cluster::up(101, 2);
    let smuggle = "
- name: past the check
  hosts: masters
  tasks:
    - copy: {content: '2', dest: /etc/mesos-master/quorum}

";
    let playbook = read(PLAYBOOK).replace("- name: \"1. masters", &format!("{smuggle}- name: \"1. masters"));
    let before = cluster.starts();
    let leader = cluster.lab.leader().expect("a leader").0;
    let run = cluster.run(&playbook, &[]);
    assert_eq!(run.code, 2);
    let failures = run.failures();
    assert_eq!(failures.len(), 1, "{failures:#?}");
    let (host, task, message) = &failures[0];
    assert_ne!(*host, format!("m{leader}"));
    assert_eq!(task, "give it its flags");
    assert!(message.contains("quorum"), "{message}");
    assert_eq!(run.of("halted").count(), 1);
    // The leader and all others are untouched, and the quorum stands.
    let mut after = cluster.starts();
    let standby: u32 = host[1..].parse().expect("a number");
    after.insert(standby, before[&standby].clone());
    assert_eq!(after, before);
    assert_eq!(cluster.lab.leader().expect("a leader").0, leader);
}

/// What is taken out, and words of what is said then: by the run that halts, or by the check at the end.
#[derive(Clone, Copy)]
struct Without {
    what: &'static str,
    /// The factor for the times of the cluster: 1 where a session must outlive a restart.
    time: &'static str,
    /// What would have been met by that alone.
    fault: fn(&Cluster),
    edit: fn(&str) -> String,
    words: &'static [&'static str],
}

impl Without {
    /// A case without a fault, at the usual speed.
    const fn new(what: &'static str, edit: fn(&str) -> String, words: &'static [&'static str]) -> Self {
        Self { what, time: TIME, fault: no_fault, edit, words }
    }
}

fn no_fault(_: &Cluster) {}

/// At its next start, the first slave looks for ZooKeeper where there is none.
fn lost_slave(cluster: &Cluster) {
    cluster.lab.run("s1", LOST);
}

/// The same for the first master.
fn lost_master(cluster: &Cluster) {
    cluster.lab.run("m1", LOST);
}

const LOST: &str = "sed -i s/2181/2199/g /etc/mesos/zk";

/// The same, in front of a play.
fn losing(playbook: &str, host: &str, play: &str) -> String {
    let fault = format!("- name: fault\n  hosts: {host}\n  tasks:\n    - shell: {LOST}\n\n{play}");
    assert!(playbook.contains(play));
    playbook.replace(play, &fault)
}

#[track_caller]
fn halts_or_fails(number: u32, case: &Without) {
    let cluster = Cluster::up_at(number, 2, case.time);
    (case.fault)(&cluster);
    let watch = cluster.watch();
    let run = cluster.run(&(case.edit)(&read(PLAYBOOK)), &[]);
    let seen = watch.end();
    let mut said: Vec<String> =
        run.failures().into_iter().map(|(host, task, message)| format!("{host}: {task}: {message}")).collect();
    assert_eq!(!said.is_empty(), run.code != 0, "{}: {}", case.what, run.stderr);
    if said.is_empty() {
        said.extend(cluster.wrongs(true));
        said.extend(seen.wrongs(2, 2));
    }
    let said = said.join("\n");
    assert!(!said.is_empty(), "{}: nothing was found", case.what);
    assert!(case.words.iter().all(|word| said.contains(word)), "{}: {said}", case.what);
}

#[test]
fn without_the_wait_for_the_old_leaders_node_it_is_found() {
    halts_or_fails(
        102,
        &Without {
            what: "mesos_master_gone of step 1",
            time: "1",
            fault: no_fault,
            edit: |playbook| without(playbook, "- name: wait until ZooKeeper", 0),
            words: &["leader"],
        },
    );
}

#[test]
fn without_one_master_at_a_time_it_is_found() {
    halts_or_fails(
        103,
        &Without {
            what: "serial of the masters",
            time: TIME,
            fault: no_fault,
            edit: |playbook| without(playbook, "serial: 1", 0),
            words: &["wait until ZooKeeper", "no master answers"],
        },
    );
}

#[test]
fn without_the_wait_for_a_slave_it_is_found() {
    halts_or_fails(
        104,
        &Without {
            what: "mesos_slave_ready of step 4",
            time: TIME,
            fault: lost_slave,
            edit: |playbook| {
                without(playbook, "- name: wait until the leader has it back (its tasks are lost, once)", 0)
            },
            words: &["s1"],
        },
    );
}

/// A flag that no version knows: the daemons that run have not read it yet.
fn stray_flag(cluster: &Cluster) {
    for last in &cluster.masters {
        cluster.lab.run(&format!("m{last}"), "echo 2 >/etc/mesos-master/quorum");
    }
}

/// The rest of what can be taken out; minutes.
#[test]
fn whatever_is_taken_out_is_found() {
    if std::env::var_os("STAGGER_TEST_LONG").is_none() {
        return;
    }
    let cases = [
        Without {
            what: "mesos_preflight",
            time: TIME,
            fault: stray_flag,
            edit: |playbook| without(playbook, "- name: can the upgrade begin", 0),
            words: &["give it its flags", "quorum"],
        },
        Without {
            what: "mesos_preflight and mesos_flags",
            time: TIME,
            fault: stray_flag,
            edit: |playbook| {
                without(&without(playbook, "- name: can the upgrade begin", 0), "- name: give it its flags", 0)
            },
            words: &["start the master", "mesos-master died"],
        },
        Without {
            what: "mesos_flags of the masters",
            time: TIME,
            fault: no_fault,
            edit: |playbook| without(playbook, "- name: give it its flags", 0),
            words: &["mesos-master"],
        },
        Without {
            what: "order_by of step 1",
            time: TIME,
            fault: no_fault,
            edit: |playbook| {
                playbook.replacen("order_by: \"{{ mesos.is_leader }}\"", "order_by: \"{{ not mesos.is_leader }}\"", 1)
            },
            words: &["changes of leader"],
        },
        Without {
            what: "mesos_master_ready of step 1",
            time: TIME,
            fault: lost_master,
            edit: |playbook| without(playbook, "- name: wait for one leader", 0),
            words: &["m1"],
        },
        Without {
            what: "mesos_master_gone of step 8",
            time: "1",
            fault: no_fault,
            edit: |playbook| without(playbook, "- name: wait until ZooKeeper", 1),
            words: &["leader"],
        },
        Without {
            what: "mesos_master_ready of step 8",
            time: TIME,
            fault: no_fault,
            edit: |playbook| without(&losing(playbook, "m1", "- name: \"8. masters"), "- name: wait for one leader", 1),
            words: &["m1"],
        },
        Without {
            what: "serial of the masters in step 8",
            time: TIME,
            fault: no_fault,
            edit: |playbook| without(playbook, "serial: 1", 2),
            words: &[],
        },
        Without {
            what: "serial of the slaves",
            time: TIME,
            fault: no_fault,
            edit: |playbook| without(playbook, "serial: \"{{ slaves_at_once", 0),
            words: &["at the same time"],
        },
        Without {
            what: "mesos_slave_ready of step 9",
            time: TIME,
            fault: no_fault,
            edit: |playbook| {
                without(
                    &losing(playbook, "s1", "- name: \"9. slaves"),
                    "- name: wait until the leader has it back (its tasks are lost, again)",
                    0,
                )
            },
            words: &[".11"],
        },
        Without::new(
            "order_by of step 8",
            |playbook| {
                let (first, rest) = playbook.split_at(playbook.find("- name: \"8. masters").expect("step 8"));
                let turned = rest.replacen("{{ mesos.is_leader }}", "{{ not mesos.is_leader }}", 1);
                assert_ne!(rest, turned);
                format!("{first}{turned}")
            },
            &["changes of leader"],
        ),
        Without::new(
            "until of the schedulers",
            |playbook| {
                let lost =
                    "- name: fault\n  hosts: f1\n  tasks:\n    - shell: sed -i s/2181/2199/g /etc/default/sleeper\n\n";
                let play = "- name: 5. to 7. schedulers";
                assert!(playbook.contains(play));
                without(&playbook.replace(play, &format!("{lost}{play}")), "until: were", 0)
            },
            &["no framework is active"],
        ),
        Without::new(
            "serial of the slaves in step 9",
            |playbook| without(playbook, "serial: \"{{ slaves_at_once", 1),
            &["at the same time"],
        ),
    ];
    let mut silent = Vec::new();
    for (place, case) in cases.iter().enumerate() {
        let number = 110 + u32::try_from(place).expect("few");
        let told = std::panic::catch_unwind(|| halts_or_fails(number, case));
        if let Err(why) = told {
            silent.push(why.downcast_ref::<String>().cloned().unwrap_or_else(|| case.what.to_owned()));
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

/// Bytes that rot where they lie, in a file that is as long and as old as before: only its checksum tells.
#[test]
fn without_the_look_at_the_staged_binary_it_is_found() {
    if std::env::var_os("STAGGER_TEST_LONG").is_none() {
        return;
    }
    let rot = "F=/opt/stagger/mesos-slave/0.14.2/mesos-slave; touch -r $F /tmp/age; printf XXXX | dd of=$F conv=notrunc; touch -r /tmp/age $F";
    let rotten = |playbook: &str| with_fault(playbook, &format!("- name: \"3. slaves|s1|{rot}"));
    let cluster = Cluster::up(138, 2);
    let open = cluster.run(&without(&rotten(&read(PLAYBOOK)), "- name: \"3. slaves", 0), &[]);
    let failures = open.failures();
    assert!(
        matches!(&failures[..], [(host, task, why)] if host == "s1" && task == "put the new slave in force" && why.contains("damaged")),
        "only after its stop: {failures:?}"
    );
    // The same cluster, mended by the look: s1 is sent whole bytes again.
    let cluster = Cluster::up(139, 2);
    cluster.run(&rotten(&read(PLAYBOOK)), &["--skip-tags", "schedulers,renew"]).expect_done();
}

/// A fault on one host: which slaves are untouched with the guard, and are not without it. Each on a cluster of its own.
struct Guard {
    number: u32,
    /// The name under which stagger is called: whose rules hold.
    program: &'static str,
    words: &'static [&'static str],
    fault: &'static str,
    /// Slaves that the guard saves.
    saved: &'static [u32],
    edit: fn(&str) -> String,
}

#[track_caller]
fn only_the_guard_halts(guard: &Guard) {
    let playbook = with_fault(&read(PLAYBOOK), guard.fault);
    let touched = |number: u32, playbook: &str| {
        let cluster = Cluster::up(number, *guard.saved.last().expect("slaves") - 10);
        let before = cluster.starts();
        let run = cluster.run_as(guard.program, playbook, guard.words);
        assert_ne!(run.code, 0, "a host has failed in any case: {}", run.stderr);
        let after = cluster.starts();
        guard.saved.iter().copied().filter(|last| before.get(last) != after.get(last)).collect::<Vec<_>>()
    };
    assert_eq!(touched(guard.number, &playbook), Vec::<u32>::new(), "the guard halts");
    assert_ne!(touched(guard.number + 1, &(guard.edit)(&playbook)), Vec::<u32>::new(), "nothing else halts");
}

/// Puts a play with a fault in front of another one: `PLAY|HOST|COMMAND`.
fn with_fault(playbook: &str, fault: &str) -> String {
    let [play, host, command] = fault.splitn(3, '|').collect::<Vec<_>>().try_into().expect("three parts");
    assert!(playbook.contains(play));
    let before = format!("- name: fault\n  hosts: {host}\n  tasks:\n    - shell: {command}\n\n");
    playbook.replacen(play, &format!("{before}{play}"), 1)
}

#[test]
fn without_any_errors_fatal_hosts_go_on_beside_one_that_did_not_pass_the_preflight() {
    if std::env::var_os("STAGGER_TEST_LONG").is_none() {
        return;
    }
    only_the_guard_halts(&Guard {
        number: 130,
        program: "stagger",
        words: &[],
        fault: "- name: look, stage|s1|echo 2 >/etc/mesos-slave/quorum",
        saved: &[11, 12],
        edit: |playbook| without(playbook, "any_errors_fatal: true", 0),
    });
}

/// Where hosts are not taken in batches, nothing else halts a play at the first failed one.
#[test]
fn without_max_fail_percentage_slaves_go_on_beside_one_that_failed() {
    if std::env::var_os("STAGGER_TEST_LONG").is_none() {
        return;
    }
    only_the_guard_halts(&Guard {
        number: 132,
        program: "stagger",
        words: &[],
        fault: "- name: \"2. executors|s1|L=/usr/local/libexec/mesos/mesos-executor; rm -f $L; mkdir -p $L/in-the-way",
        saved: &[11, 12],
        edit: |playbook| {
            let (first, rest) = playbook.split_at(playbook.find("- name: \"2. executors").expect("step 2"));
            format!("{first}{}", without(rest, "max_fail_percentage: 0", 0))
        },
    });
}

/// In batches, `stagger run` halts at the first failed host without it; under Ansible's rules only a whole batch does.
#[test]
fn without_max_fail_percentage_ansibles_rules_begin_the_next_batch() {
    if std::env::var_os("STAGGER_TEST_LONG").is_none() {
        return;
    }
    only_the_guard_halts(&Guard {
        number: 134,
        program: "ansible-playbook",
        words: &["-e", "slaves_at_once=2"],
        fault: "- name: \"4. slaves|s1|sed -i s/2181/2199/g /etc/mesos/zk",
        saved: &[13, 14],
        edit: |playbook| {
            let (first, rest) = playbook.split_at(playbook.find("- name: \"4. slaves").expect("step 4"));
            format!("{first}{}", without(rest, "max_fail_percentage: 0", 0))
        },
    });
}

#[test]
fn without_serial_by_a_batch_spans_two_racks() {
    if std::env::var_os("STAGGER_TEST_LONG").is_none() {
        return;
    }
    let cluster = Cluster::up(136, 4);
    let watch = cluster.watch();
    let playbook = without(&read(PLAYBOOK), "serial_by:", 0);
    cluster.run(&playbook, &["-e", "checkpoint=false", "-e", "slaves_at_once=3"]).expect_done();
    let seen = watch.end();
    let racks = [BTreeSet::from([11, 12]), BTreeSet::from([13, 14])];
    assert!(!racks.iter().any(|rack| seen.away.1.is_subset(rack)), "{:?}", seen.away);
}

#[test]
fn one_host_is_upgraded_by_name_and_a_slave_not_before_its_masters() {
    let cluster = Cluster::up(106, 2);
    let playbook = read(PLAYBOOK);
    let before = cluster.starts();
    let early = cluster.run(&playbook, &["--limit", "s1"]);
    assert_eq!(early.code, 2, "{}", early.stderr);
    let failures = early.failures();
    assert!(failures[0].2.contains("masters come first in this hop, and m1, m2, m3 is not at 0.14.2"), "{failures:?}");
    assert_eq!(cluster.starts(), before, "nothing was touched");

    // A standby, and nobody else.
    let leader = cluster.lab.leader().expect("a leader").0;
    let standby = (1..=3).find(|last| *last != leader).expect("a standby");
    let words = ["--skip-tags", "schedulers,renew", "--limit"];
    let name = format!("m{standby}");
    let one = cluster.run(&playbook, &[&words[..], &[name.as_str()]].concat());
    one.expect_done();
    let mut after = cluster.starts();
    assert_ne!(after.insert(standby, before[&standby].clone()), before.get(&standby).cloned());
    assert_eq!(after, before, "only {name} was restarted");
    assert_eq!(cluster.lab.master(standby).expect("it answers")["version"], "0.14.2");
    assert_eq!(one.hosts(), BTreeSet::from([name]));
    // What it says: plays of other hosts are skipped, each with its reason, and nobody is left over.
    assert!(one.of("play_skipped").count() >= 3, "{:?}", one.of("play_skipped").collect::<Vec<_>>());
    let end = one.of("run_finished").next().expect("an end");
    assert_eq!(end["not_attempted"], serde_json::json!([]));

    // The other masters, then one slave.
    let masters: Vec<String> = (1..=3).filter(|last| *last != standby).map(|last| format!("m{last}")).collect();
    cluster.run(&playbook, &[&words[..], &[masters.join(",").as_str()]].concat()).expect_done();
    let before = cluster.starts();
    let one = cluster.run(&playbook, &[&words[..], &["s1"]].concat());
    one.expect_done();
    let mut after = cluster.starts();
    assert_ne!(after.insert(11, before[&11].clone()), before.get(&11).cloned());
    assert_eq!(after, before, "only s1 was restarted");
    assert_eq!(cluster.lab.slave(11).expect("it answers")["version"], "0.14.2");
    assert_eq!(cluster.lab.slave(12).expect("it answers")["version"], "0.13.0");
    assert_eq!(one.hosts(), BTreeSet::from(["s1".to_owned()]));
}

#[test]
fn without_checkpointing_slaves_go_two_at_a_time_and_nothing_is_restarted_twice() {
    if std::env::var_os("STAGGER_TEST_LONG").is_none() {
        return;
    }
    let cluster = Cluster::up(105, 4);
    let watch = cluster.watch();
    cluster.run(&read(PLAYBOOK), &["-e", "checkpoint=false", "-e", "slaves_at_once=2"]).expect_done();
    let seen = watch.end();
    assert_eq!(cluster.wrongs(false), Vec::<String>::new());
    let racks = [BTreeSet::from([11, 12]), BTreeSet::from([13, 14])];
    assert!(racks.iter().any(|rack| seen.away.1.is_subset(rack)), "{:?}", seen.away);
    assert!(seen.away.0.len() <= 1, "{:?}", seen.away);
    assert!(seen.slaves.values().all(|starts| starts.len() == 2), "{:?}", seen.slaves);
    let (_, flags) = cluster.lab.ssh("root", "s1", "cat /etc/mesos-slave/checkpoint");
    assert!(flags.contains("No such file"), "{flags}");
}
