//! A run whose process is gone goes on in another one: nothing is done twice, and what nobody knows is asked.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PLAYBOOK: &str = r#"- name: all of it
  hosts: all
  connection: local
  serial: 1
  gather_facts: false
  tasks:
    - name: a file
      copy: {dest: "{{ top }}/{{ inventory_hostname }}.conf", content: "a=1\n"}
      notify: reload
    - name: one
      command: sh -c 'echo one >> {{ top }}/{{ inventory_hostname }}.log'
    - set_fact: {word: "{{ inventory_hostname }}-x"}
    - name: items
      command: sh -c 'echo item-{{ item }} >> {{ top }}/{{ inventory_hostname }}.log'
      loop: [x, y]
    - name: hold
      command: sh -c 'echo two-{{ word }} >> {{ top }}/{{ inventory_hostname }}.log; until test -e {{ top }}/go; do sleep 0.05; done'
      register: held
      when: inventory_hostname == "b"
    - name: three
      command: sh -c 'echo three {{ held is skipped }} >> {{ top }}/{{ inventory_hostname }}.log'
  handlers:
    - name: reload
      command: sh -c 'echo reload >> {{ top }}/{{ inventory_hostname }}.log'
"#;

fn stagger(top: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stagger"));
    command.current_dir(top).env("HOME", top).args(words).args(["--output", "plain", "--state", "state"]);
    command.stdin(Stdio::null());
    command
}

fn log(top: &Path, host: &str) -> Vec<String> {
    let text = fs::read_to_string(top.join(format!("{host}.log"))).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn wait(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A run of three hosts, killed while the second is held in a command.
fn killed() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let top = folder.path();
    fs::write(top.join("play.yml"), PLAYBOOK).expect("a playbook");
    let variable = format!("top={}", top.display());
    let mut child = stagger(top, &["run", "play.yml", "-i", "a,b,c,", "-e", &variable])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("stagger starts");
    wait("the second host is held", || log(top, "b").iter().any(|line| line.starts_with("two-")));
    child.kill().expect("it can be killed");
    child.wait().expect("its end");
    fs::write(top.join("go"), "").expect("the command that is left goes on");
    folder
}

#[test]
fn a_killed_run_goes_on_and_does_nothing_twice() {
    let folder = killed();
    let top = folder.path();
    let refused = stagger(top, &["resume"]).output().expect("stagger runs");
    assert_eq!(refused.status.code(), Some(65), "{}", said(&refused));
    assert!(said(&refused).contains("  b: run `sh -c 'echo two-b-"), "{}", said(&refused));
    assert_eq!(log(top, "b").len(), 4, "nothing was done: {:?}", log(top, "b"));

    let resumed = stagger(top, &["resume", "--skip-unknown"]).output().expect("stagger runs");
    assert_eq!(resumed.status.code(), Some(0), "{}", said(&resumed));
    assert_eq!(log(top, "a"), ["one", "item-x", "item-y", "three True", "reload"]);
    let b = log(top, "b");
    assert_eq!(b.len(), 6, "{b:?}");
    assert_eq!(b[4..], ["three True", "reload"], "the handler was notified before the kill: {b:?}");
    assert_eq!(log(top, "c"), ["one", "item-x", "item-y", "three True", "reload"]);
    assert!(said(&resumed).contains("a                          : ok=6"), "{}", said(&resumed));

    let again = stagger(top, &["resume"]).output().expect("stagger runs");
    assert!(said(&again).contains("is complete: there is nothing to resume"), "{}", said(&again));
}

#[test]
fn what_is_no_longer_as_the_run_left_it_halts_the_one_that_goes_on() {
    let folder = killed();
    let top = folder.path();
    fs::write(top.join("a.conf"), "a=2\n").expect("somebody changes it");
    let halted = stagger(top, &["resume", "--skip-unknown"]).output().expect("stagger runs");
    assert_eq!(halted.status.code(), Some(2), "{}", said(&halted));
    assert!(
        said(&halted).contains("`a file` (play.yml:8) was done by this run and is no longer so"),
        "{}",
        said(&halted)
    );
    assert!(log(top, "c").is_empty(), "no new host is begun");
    let redone = stagger(top, &["resume", "--skip-unknown", "--redo"]).output().expect("stagger runs");
    assert_eq!(redone.status.code(), Some(0), "{}", said(&redone));
    assert_eq!(fs::read_to_string(top.join("a.conf")).expect("the file"), "a=1\n");
    assert_eq!(log(top, "a").len(), 5, "{:?}", log(top, "a"));
    assert_eq!(log(top, "c").len(), 5, "{:?}", log(top, "c"));
}

#[test]
fn a_playbook_that_changed_is_named_and_an_aborted_run_is_over() {
    let folder = killed();
    let top = folder.path();
    fs::write(top.join("play.yml"), PLAYBOOK.replace("a=1", "a=3")).expect("a playbook");
    let refused = stagger(top, &["resume", "--skip-unknown"]).output().expect("stagger runs");
    assert_eq!(refused.status.code(), Some(65), "{}", said(&refused));
    assert!(said(&refused).contains("play.yml is another text"), "{}", said(&refused));
    let aborted = stagger(top, &["abort", "--changed"]).output().expect("stagger runs");
    assert_eq!(aborted.status.code(), Some(0), "{}", said(&aborted));
    let over = stagger(top, &["resume"]).output().expect("stagger runs");
    assert!(said(&over).contains("was aborted for good"), "{}", said(&over));
    assert_eq!(log(top, "b").len(), 4, "{:?}", log(top, "b"));
}
