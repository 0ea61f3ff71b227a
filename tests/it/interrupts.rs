//! Signals, closed outputs and a journal that can't be written.

#![allow(
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "a test reads what the program wrote, and is in no hurry"
)]

use std::fs;
use std::process::Stdio;

use super::hermetic::{Place, wait};
use super::rehearsal::Rehearsal;

const LONG: &str = "- hosts: slow,other\n  serial: 1\n  tasks:\n    - name: long\n      command: sleep 1\n    - name: last\n      command: echo x\n";

#[test]
fn the_first_interrupt_lets_hosts_finish_and_the_second_cuts() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    place.write("play.yml", LONG);
    for signal in ["INT", "TERM"] {
        let mut run = place.start("stagger", &["run", "play.yml", "-i", "hosts.yml", "--state", signal]);
        run.until_said("batch 1/2");
        run.signal(signal);
        let said = run.end(20);
        assert_eq!(said.code, 130, "{}", said.out);
        assert!(said.out.contains("PLAY RECAP") && said.out.contains("ended early: interrupted"), "{}", said.out);
        assert!(said.out.contains("changed: slow  last"), "a host at work finishes its sequence: {}", said.out);
        assert!(said.out.contains("not attempted: 1 host: other"), "{}", said.out);
    }
    let place = hosts.place("root");
    place.write("play.yml", &LONG.replace("  serial: 1\n", "").replace("sleep 1", "sleep 4712"));
    let mut run = place.start("ansible-playbook", &["play.yml", "-i", "hosts.yml"]);
    run.until_journal("act_started", &place);
    wait("it runs on the hosts", 10, || {
        ["slow", "other"].iter().all(|host| hosts.on(host, "ps -ef").contains("sleep 4712")).then_some(())
    });
    run.signal("INT");
    run.until_journal("cancelling", &place);
    // Closer together they count as one: a wrapper passes on what the terminal sent.
    std::thread::sleep(std::time::Duration::from_millis(400));
    run.signal("INT");
    let said = run.end(20);
    assert_eq!(said.code, 99, "{}", said.out);
    assert!(said.out.contains("PLAY RECAP"), "{}", said.out);
    for host in ["slow", "other"] {
        wait("nothing of it is left", 5, || (!hosts.on(host, "ps -ef").contains("sleep 4712")).then_some(()));
    }
}

#[test]
fn a_lost_terminal_and_a_closed_output_do_not_stop_a_run() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    place.write("play.yml", "- hosts: calm\n  tasks:\n    - command: sleep 1\n    - command: touch /srv/hup\n");
    let mut run = place.start("stagger", &["run", "play.yml", "-i", "hosts.yml"]);
    run.until_journal("act_started", &place);
    run.signal("HUP");
    let said = run.end(20);
    assert_eq!(said.code, 0, "{}", said.out);
    hosts.on("calm", "rm /srv/hup");
    // As `| head -1`: nobody reads on.
    let mut command = place.command("stagger", &["run", "play.yml", "-i", "hosts.yml"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    drop(child.stdout.take());
    let done = child.wait_with_output().expect("a child");
    assert_eq!(done.status.code(), Some(0));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("PLAY RECAP") && said.contains("calm"), "the recap is not lost: {said}");
    hosts.on("calm", "rm /srv/hup");
}

#[test]
fn without_a_journal_nothing_is_done() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    place.write("play.yml", "- hosts: calm\n  tasks:\n    - command: touch /srv/unlogged\n");
    // /proc can't be written even by root.
    let said = place.call("stagger", &["run", "play.yml", "-i", "hosts.yml", "--state", "/proc/stagger"]);
    assert_eq!(said.code, 74, "{}{}", said.out, said.err);
    assert!(said.err.contains("/proc/stagger") && said.err.contains("Nothing was done"), "{}", said.err);
    let full = Full::new(&place);
    let said = place.call("stagger", &["run", "play.yml", "-i", "hosts.yml", "--state", &full.0]);
    assert_eq!(said.code, 74, "{}{}", said.out, said.err);
    assert!((said.out + &said.err).contains("No space left"), "{}", said.err);
    hosts.on("calm", "test ! -e /srv/unlogged");
}

/// A folder on a file system that is full.
struct Full(String);

impl Full {
    fn new(place: &Place) -> Self {
        let folder = place.path("small");
        fs::create_dir(&folder).expect("a folder");
        let folder = folder.display().to_string();
        let mount =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs", &folder]).status();
        assert!(mount.expect("mount runs").success());
        fs::write(format!("{folder}/ballast"), vec![0u8; 60 * 1024]).expect("written");
        let _ = fs::write(format!("{folder}/rest"), vec![0u8; 8 * 1024]);
        Self(folder)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").args(["-l", &self.0]).status();
    }
}

#[test]
fn a_killed_run_leaves_a_journal_that_can_be_read() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    place.write("play.yml", LONG);
    let mut run = place.start("stagger", &["run", "play.yml", "-i", "hosts.yml"]);
    run.until_journal("act_started", &place);
    run.signal("KILL");
    run.end(5);
    let journal = place.journal();
    let whole = journal.rfind('\n').map_or(0, |end| end + 1);
    let lines: Vec<&str> = journal[..whole].lines().collect();
    assert!(lines.len() > 3, "{journal}");
    for line in lines {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}
