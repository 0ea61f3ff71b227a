//! Plans: shown, kept, done exactly as they were shown, and refused when anything that they rest on has moved.

#![allow(clippy::disallowed_methods, reason = "a test reads what the program wrote, and is in no hurry")]

use std::os::unix::fs::PermissionsExt as _;

use super::hermetic::{Place, Said};
use super::rehearsal::Rehearsal;

/// A playbook whose files on the hosts bear a test's name.
fn playbook(mark: &str) -> String {
    format!(
        "\
- name: settings
  hosts: calm,other
  serial: 1
  tasks:
    - name: a folder
      file: {{path: /srv/{mark}, state: directory}}
    - name: a setting
      copy: {{src: setting.txt, dest: /srv/{mark}/setting}}
    - name: what nobody can know before
      shell: date >> /srv/{mark}/times
      register: told
    - name: what rests on it
      copy: {{content: '{{{{ told.rc }}}}', dest: /srv/{mark}/told}}
      notify: a handler
  handlers:
    - name: a handler
      copy: {{content: 'x', dest: /srv/{mark}/handled}}
"
    )
}

fn place(hosts: &Rehearsal, mark: &str) -> Place {
    let place = hosts.place("root");
    for host in ["calm", "other"] {
        hosts.on(host, &format!("rm -rf /srv/{mark}; mkdir -p /srv/{mark}"));
    }
    place.write("up.yml", &playbook(mark)).write("setting.txt", "a=1\n");
    place
}

#[track_caller]
fn plan(place: &Place) {
    let said = place.call("stagger", &["plan", "up.yml", "-i", "hosts.yml", "--save", "up.plan"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
}

#[track_caller]
fn refused(place: &Place, parts: &[&str]) -> Said {
    let said = place.call("stagger", &["run", "--plan", "up.plan"]);
    assert_eq!(said.code, 65, "{}{}", said.out, said.err);
    for part in parts {
        assert!(said.err.contains(part), "{part}: {}{}", said.out, said.err);
    }
    said
}

#[test]
fn a_plan_is_shown_kept_and_done() {
    let hosts = Rehearsal::shared();
    let place = place(&hosts, "plan-done");
    let said = place.call("stagger", &["plan", "up.yml", "-i", "hosts.yml", "--save", "up.plan"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    for part in [
        "plan of up.yml on hosts.yml: 1 phase, 2 hosts; nothing was changed",
        "settings: 2 hosts, one at a time",
        "calm, other (2 hosts), batches 1-2 of 2",
        "would change: a setting (up.yml:8)",
        "unknown: what nobody can know before",
        "unknown: what rests on it",
        "it depends on",
        "2 hosts: 2 would change",
        "at once: at most 1 host",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert!(said.out.lines().all(|line| line.chars().count() <= 80), "{}", said.out);
    assert_eq!(hosts.on("calm", "ls /srv/plan-done"), "", "nothing was changed");
    let mode = std::fs::metadata(place.path("up.plan")).expect("the plan").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let json = place.call("stagger", &["plan", "up.yml", "-i", "hosts.yml", "--output", "json"]);
    let tree: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(tree["totals"]["changing"], 2, "{tree}");
    let done = place.call("stagger", &["run", "--plan", "up.plan"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    for host in ["calm", "other"] {
        assert_eq!(hosts.on(host, "cd /srv/plan-done; cat setting told handled; wc -l <times").trim(), "a=1\n0x1");
    }
    // It is done: the hosts are not as they were.
    refused(&place, &["calm: a setting (up.yml:8): planned: ", "now: as it should be"]);
}

#[test]
fn a_plan_whose_files_moved_is_refused_before_any_connection() {
    let hosts = Rehearsal::shared();
    let place = place(&hosts, "plan-files");
    plan(&place);
    let before = place.state();
    for (name, text, said) in [
        ("setting.txt", "a=2\n".to_owned(), "setting.txt has another content"),
        ("up.yml", playbook("plan-files") + "# one more line\n", "up.yml has another content"),
        ("group_vars/all.yml", "x: 1\n".to_owned(), "group_vars/all.yml is new"),
    ] {
        let kept = place.read(name);
        place.write(name, &text);
        refused(&place, &[said, "no host was contacted"]);
        if kept.is_empty() {
            std::fs::remove_file(place.path(name)).expect("removed");
        } else {
            place.write(name, &kept);
        }
    }
    std::fs::remove_file(place.path("setting.txt")).expect("removed");
    let said = place.call("stagger", &["run", "--plan", "up.plan"]);
    assert!(said.code == 65 && said.err.contains("setting.txt"), "{}{}", said.out, said.err);
    assert_eq!(place.state(), before, "no run was begun");
    assert_eq!(hosts.on("calm", "ls /srv/plan-files"), "");
}

#[test]
fn a_plan_whose_hosts_moved_is_refused_by_host_and_task() {
    let hosts = Rehearsal::shared();
    let place = place(&hosts, "plan-hosts");
    plan(&place);
    hosts.on("other", "echo a=9 >/srv/plan-hosts/setting");
    let said = refused(&place, &["other: a setting (up.yml:8): planned: ", "now: "]);
    assert!(!said.err.contains("calm:"), "{}", said.err);
    assert_eq!(hosts.on("calm", "ls /srv/plan-hosts"), "", "nothing was done");
}

#[test]
fn a_step_that_the_plan_does_not_have_halts_the_run_before_it() {
    let hosts = Rehearsal::shared();
    let place = place(&hosts, "plan-step");
    // While the first task, which nobody can foresee, is at work, the second one's file changes under the plan.
    place.write(
        "up.yml",
        "- hosts: calm,other\n  serial: 1\n  tasks:\n    - name: unforeseen\n      shell: echo moved >/srv/plan-step/file\n    - name: known\n      copy: {content: \"wanted\\n\", dest: /srv/plan-step/file}\n",
    );
    for host in ["calm", "other"] {
        hosts.on(host, "echo wanted >/srv/plan-step/file");
    }
    plan(&place);
    let said = place.call("stagger", &["run", "--plan", "up.plan"]);
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    assert!(said.out.contains("the plan changes nothing here"), "{}", said.out);
    assert_eq!(hosts.on("calm", "cat /srv/plan-step/file").trim(), "moved", "the act was not done");
    assert_eq!(hosts.on("other", "cat /srv/plan-step/file").trim(), "wanted", "the other host was not begun");
}

#[test]
fn what_is_no_plan_is_refused() {
    let place = Place::new();
    place.write("up.yml", "- hosts: localhost\n  tasks: [{fail: }]\n").write("no.plan", "{}\n");
    let said = place.call("stagger", &["run", "--plan", "no.plan"]);
    assert!(said.code == 65 && said.err.contains("no.plan is not a plan"), "{}", said.err);
    let said = place.call("stagger", &["run", "--plan", "no.plan", "-i", "hosts.yml"]);
    assert_eq!(said.code, 64, "{}", said.err);
    // A plan that is not whole is not kept.
    let said = place.call("stagger", &["plan", "up.yml", "-i", "localhost,", "-c", "local", "--save", "up.plan"]);
    assert!(said.code == 2 && said.err.contains("is not kept"), "{}{}", said.out, said.err);
    assert!(said.out.contains("would fail"), "{}", said.out);
    assert!(!place.path("up.plan").exists());
}
