//! Looking at runs: while one is held at a gate, after its process was killed, and again from its journal.

#![allow(clippy::disallowed_methods, reason = "a test reads what the program wrote, and is in no hurry")]

use super::hermetic::{Place, wait};
use super::rehearsal::Rehearsal;

const GATED: &str = "\
- name: prepared
  hosts: calm,other
  tasks:
    - name: the first thing
      command: echo one
- name: gated
  hosts: calm,other
  serial: 1
  tasks:
    - name: the gate
      wait_for: {path: /srv/never-there, timeout: 300}
    - name: what is left
      command: echo {{ inventory_hostname }} {{ asked.stdout }}
    - name: hidden
      command: echo p0is0n
      no_log: true
";

fn status(place: &Place, words: &[&str]) -> String {
    let all: Vec<&str> = ["status"].into_iter().chain(words.iter().copied()).collect();
    let said = place.call("stagger", &all);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    said.out
}

#[test]
fn a_run_at_a_gate_is_seen_from_outside_and_after_it_was_killed() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    place.write("play.yml", GATED);
    let mut run = place.start("stagger", &["run", "play.yml", "-i", "hosts.yml"]);
    run.until_journal("\"event\":\"waiting\"", &place);
    let text = wait("the wait is seen", 10, || Some(status(&place, &[])).filter(|text| text.contains("(WAITING)")));
    assert!(text.contains(&format!("process {} is alive", run.id())), "{text}");
    for part in ["prepared (COMPLETE)", "calm (WAITING)", "the gate (play.yml:11)", "/srv/never-there is not there"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("other (PENDING)") && text.contains("(RUNNING)"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(place.call("stagger", &["runs"]).out.contains("running"));
    run.signal("KILL");
    run.end(10);
    let text = status(&place, &[]);
    assert!(text.contains("its process died") && text.contains("(DIED)"), "{text}");
    assert!(text.contains("calm (UNKNOWN)") && text.contains("nothing was being changed"), "{text}");
    assert!(text.contains("other (NOT_ATTEMPTED)") && text.contains("stagger resume"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&status(&place, &["--output", "json"])).expect("JSON");
    assert_eq!((&json["state"], &json["phases"][1]["steps"][1]["status"]), (&"died".into(), &"NOT_ATTEMPTED".into()));
    assert!(place.call("stagger", &["runs"]).out.contains("died"));
    let shown = place.call("stagger", &["show", "--commands", "calm"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.contains("\necho one\n"), "{}", shown.out);
    assert!(shown.out.contains(&format!("root@{}", hosts.address("calm"))), "{}", shown.out);
    let left = shown.out.split("what is left, as far").nth(1).expect("what is left");
    assert!(left.contains("play.yml:10  the gate") || left.contains("the gate"), "{left}");
    assert!(left.contains("not known before it runs: echo"), "{left}");
    assert!(left.contains("hidden by `no_log`") && !shown.out.contains("p0is0n"), "{}", shown.out);
}

#[test]
fn a_replay_is_the_output_again() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    let play = "- hosts: calm,other\n  serial: 1\n  tasks:\n    - command: echo one\n    - name: fails on one\n      command: test {{ inventory_hostname }} = calm\n";
    place.write("play.yml", play);
    let run = place.call("stagger", &["run", "play.yml", "-i", "hosts.yml", "--state", "st"]);
    assert_eq!(run.code, 2, "{}", run.out);
    let listed = place.call("stagger", &["runs", "--state", "st", "--output", "json"]);
    let runs: serde_json::Value = serde_json::from_str(&listed.out).expect("JSON");
    let id = runs[0]["run"].as_str().expect("an id");
    let again = place.call("stagger", &["replay", id, "--state", "st"]);
    assert_eq!((again.code, again.out.as_str()), (0, run.out.as_str()), "{}", again.err);
    // What it left can be named, and what it did not leave is an error that says so.
    let failed = place
        .call("stagger", &["exec", "last_failed", "-i", "hosts.yml", "-a", "true", "--list-hosts", "--state", "st"]);
    assert!(failed.out.contains("other") && !failed.out.contains("calm"), "{}{}", failed.out, failed.err);
    let words = ["exec", "all", "-l", "last_unreachable", "-i", "hosts.yml", "-a", "true", "--state", "st"];
    let none = place.call("stagger", &words);
    assert_eq!(none.code, 66, "{}{}", none.out, none.err);
    assert!(none.err.contains("`last_unreachable` is empty"), "{}", none.err);
}

#[test]
fn what_is_not_there_or_may_not_be_read_is_said() {
    let place = Place::new();
    let none = place.call("stagger", &["status"]);
    assert_eq!(none.code, 66, "{}", none.err);
    assert!(none.err.contains("no runs in"), "{}", none.err);
    assert!(!place.home().join(".local").exists(), "looking makes nothing");
}
