//! Speaking to a run from other processes and another operator's account: pause, resume, continue, abort, skip, deadlines.

#![allow(
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "a test reads what the program wrote, and is in no hurry"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::hermetic::{Place, Said, wait};
use super::rehearsal::Rehearsal;

const ROLLING: &str = "- name: masters\n  hosts: calm,other\n  serial: 1\n  tasks:\n    - name: long\n      command: sleep 1\n    - name: last\n      command: echo done\n";

fn ask(place: &Place, words: &[&str]) -> Said {
    place.call("stagger", &[words, &["--state", "s"]].concat())
}

/// The events of the only run in a state folder.
fn events(state: &Path) -> Vec<serde_json::Value> {
    let run = fs::read_dir(state.join("runs")).expect("runs").next().expect("a run").expect("an entry").path();
    let text = fs::read_to_string(run.join("journal.jsonl")).expect("a journal");
    text.lines().skip(1).map(|line| serde_json::from_str(line).expect("an event")).collect()
}

#[test]
fn a_run_is_paused_and_resumed_from_another_process() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    place.write("play.yml", ROLLING);
    let mut run = place.start("stagger", &["run", "play.yml", "-i", "hosts.yml", "--state", "s"]);
    run.until_said("batch 1/2");
    let said = ask(&place, &["pause", "--reason", "disk alarm"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("play.yml by") && said.out.contains("calm finish"), "{}", said.out);
    run.until_said("paused by");
    let out = run.out();
    assert!(out.contains("changed: calm  last") && !out.contains("batch 2/2"), "{out}");
    assert!(out.contains("(disk alarm)"), "{out}");
    let said = ask(&place, &["pause"]);
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(said.err.contains("paused already"), "{}", said.err);
    assert_eq!(ask(&place, &["resume"]).code, 0);
    let said = run.end(30);
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(said.out.contains("changed: other  last"), "{}", said.out);
    let said = ask(&place, &["pause"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("not alive"), "{}", said.err);
    assert_eq!(ask(&place, &["pause", "nosuchrun"]).code, 66);
}

/// Another operator: an account of its own that shares nothing but a group.
struct Other {
    /// The program where that account may start it.
    folder: tempfile::TempDir,
    state: PathBuf,
}

const GROUP: u32 = 4712;

impl Other {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        fs::copy(env!("CARGO_BIN_EXE_stagger"), folder.path().join("stagger")).expect("a copy");
        let state = folder.path().join("state");
        fs::create_dir(&state).expect("a folder");
        chown(&state, None, Some(GROUP)).expect("root");
        fs::set_permissions(&state, fs::Permissions::from_mode(0o2770)).expect("a mode");
        Self { folder, state }
    }

    fn call(&self, groups: u32, words: &[&str]) -> Output {
        Command::new("setpriv")
            .args(["--reuid=4711", &format!("--regid={groups}"), "--clear-groups"])
            .arg(self.folder.path().join("stagger"))
            .args(words)
            .arg("--state")
            .arg(&self.state)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .expect("setpriv (of util-linux) runs")
    }
}

#[test]
fn another_operator_of_the_group_lets_each_batch_begin_and_leaves_a_host_out() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    let other = Other::new();
    let state = other.state.display().to_string();
    place.write("play.yml", &ROLLING.replace("calm,other", "calm,other,slow").replace("sleep 1", "echo x"));
    let words = ["run", "play.yml", "-i", "hosts.yml", "--approve", "each", "--state", &state];
    let mut run = place.start("stagger", &words);
    run.until_said("approval of masters");
    // A lost terminal changes nothing.
    run.signal("HUP");
    let stranger = other.call(4713, &["continue"]);
    assert!(!stranger.status.success(), "who is not of the group may nothing");
    let said = other.call(GROUP, &["continue", "masters"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert!(String::from_utf8_lossy(&said.stdout).contains("masters, batch 1 (calm) goes on"), "{said:?}");
    run.until_said("batch 2 (other): approval of masters");
    let run_id = events(&other.state)[0]["run"].as_str().expect("an id").to_owned();
    let said = other.call(GROUP, &["skip", &run_id[10..], "slow", "--reason", "disk broken"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said = other.call(GROUP, &["skip", &run_id, "calm", "--reason", "disk broken"]);
    assert!(!said.status.success(), "it is done already");
    assert!(other.call(GROUP, &["continue", &run_id, "1"]).status.success());
    let said = run.end(30);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("left out: slow (uid 4711@"), "{}", said.out);
    assert!(said.out.contains("not attempted: 1 host: slow"), "{}", said.out);
    let events = events(&other.state);
    let answers: Vec<bool> =
        events.iter().filter(|e| e["event"] == "controlled").map(|e| e["refused"] == true).collect();
    assert_eq!(answers, [false, false, true, false]);
    let by = events.iter().find(|e| e["event"] == "released").expect("released")["by"].clone();
    assert!(by.as_str().expect("a name").starts_with("uid 4711@"), "{by}");
    let control = other.state.join("runs").join(run_id).join("control.jsonl");
    assert_eq!(fs::metadata(control).expect("a file").permissions().mode() & 0o7777, 0o660);
}

#[test]
fn when_its_time_is_over_a_run_ends_cleanly_and_says_how_to_go_on() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    place.write("play.yml", ROLLING);
    let run = place.start("stagger", &["run", "play.yml", "-i", "hosts.yml", "--state", "s", "--for", "500ms"]);
    let said = run.end(30);
    assert_eq!(said.code, 75, "{}{}", said.out, said.err);
    assert!(said.out.contains("ended early: the time is over (--for 0.5s)"), "{}", said.out);
    assert!(said.out.contains("changed: calm  last"), "a host at work finishes its sequence: {}", said.out);
    assert!(said.out.contains("not attempted: 1 host: other"), "{}", said.out);
    let events = events(&place.path("s"));
    let id = events[0]["run"].as_str().expect("an id");
    assert!(said.out.contains(&format!("to go on with it: stagger resume {id} --state s")), "{}", said.out);
    assert_eq!(events.last().expect("an end")["ended"], "stopped");
}

#[test]
fn an_aborted_run_is_closed_for_good() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    place.write("play.yml", ROLLING);
    let words = ["run", "play.yml", "-i", "hosts.yml", "--state", "s", "--approve", "first"];
    let mut run = place.start("stagger", &words);
    run.until_said("approval of masters");
    let said = ask(&place, &["abort", "--reason", "wrong version"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let said = run.end(30);
    assert_eq!(said.code, 130, "{}", said.out);
    assert!(said.out.contains("PLAY RECAP") && said.out.contains(": wrong version"), "{}", said.out);
    assert!(!said.out.contains("stagger resume"), "{}", said.out);
    assert_eq!(events(&place.path("s")).last().expect("an end")["ended"], "aborted");
}

#[test]
fn a_run_that_waits_ends_at_an_interrupt_and_a_request_to_a_stopped_process_has_a_deadline() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    place.write("play.yml", ROLLING);
    let words = ["run", "play.yml", "-i", "hosts.yml", "--state", "s", "--approve", "each"];
    let mut run = place.start("stagger", &words);
    run.until_said("approval of masters");
    run.signal("STOP");
    let said = ask(&place, &["continue"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("did not answer within 20 s"), "{}", said.err);
    run.signal("CONT");
    wait("the request is refused", 10, || {
        events(&place.path("s")).iter().any(|e| e["event"] == "controlled" && e["refused"] == true).then_some(())
    });
    run.signal("TERM");
    let said = run.end(10);
    assert_eq!(said.code, 130, "{}", said.out);
    assert!(said.out.contains("PLAY RECAP") && said.out.contains("to go on with it: stagger resume"), "{}", said.out);
    assert!(!said.out.contains("changed: calm"), "nothing was begun: {}", said.out);
}

#[test]
fn at_a_terminal_a_key_lets_a_batch_begin() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    place.write("play.yml", &ROLLING.replace("sleep 1", "echo x"));
    let words = ["run", "play.yml", "-i", "hosts.yml", "--approve", "each"];
    let typed = [("batch 1 (calm): Enter to continue", "\r"), ("batch 2 (other): Enter to continue", "q\r")];
    let (screen, code) = place.on_terminal(&words, &typed);
    assert_eq!(code, 130, "{screen}");
    assert!(screen.contains("ended early: stopped at the terminal"), "{screen}");
    assert!(!screen.contains("2/2"), "the second host was not begun: {screen}");
}
