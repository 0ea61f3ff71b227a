//! The three ways in which Ansible's guards let a rolling upgrade go on, on real hosts, under both names; and a window on them.

#![allow(clippy::disallowed_methods, reason = "a test reads what the program wrote, and is in no hurry")]

use super::hermetic::Place;
use super::rehearsal::Rehearsal;

/// `m1`, `m2` that nobody answers for, `m3`; and `m4`, which must stay as it is.
fn place(hosts: &Rehearsal) -> Place {
    let place = hosts.place("root");
    let written = place.read("hosts.yml");
    let head = written.split("  hosts:\n").next().unwrap_or_default();
    let line = |name: &str, host: &str| format!("    {name}: {{ansible_host: {}}}\n", hosts.address(host));
    let gone = "    m2: {ansible_host: 127.76.0.9, ansible_port: 9}\n";
    let text = format!("{head}  hosts:\n{}{gone}{}{}", line("m1", "calm"), line("m3", "other"), line("m4", "slow"));
    place.write("guards.yml", &text);
    place
}

/// A rolling upgrade under a guard; what it leaves on a host is a file of that name.
fn playbook(guard: &str, file: &str, tasks: &str) -> String {
    format!(
        "- hosts: all\n  gather_facts: false\n  serial: 3\n{guard}  tasks:\n{tasks}    - name: upgrade\n      command: touch /srv/{file}\n"
    )
}

#[test]
fn the_three_guard_failures_of_ansible_stop_here_under_both_names() {
    let hosts = Rehearsal::shared();
    let place = place(&hosts);
    let fails = "    - command: /bin/false\n      when: inventory_hostname == 'm1'\n";
    let always = "    - block:\n        - command: /bin/false\n          when: inventory_hostname == 'm1'\n      always:\n        - command: /bin/true\n";
    let cases = [
        ("fatal", "  any_errors_fatal: true\n", String::new(), "m1,m2,m3,m4", "any_errors_fatal"),
        (
            "both",
            "  max_fail_percentage: 0\n",
            fails.replace("      when: inventory_hostname == 'm1'\n", "      when: inventory_hostname != 'm3'\n"),
            "m1,m2,m3,m4",
            "max_fail_percentage",
        ),
        ("always", "  max_fail_percentage: 0\n  serial: 2\n", always.to_owned(), "m1,m3,m4", "max_fail_percentage"),
    ];
    for (name, guard, tasks, targets, fired) in &cases {
        for program in ["stagger", "ansible-playbook"] {
            let file = format!("guards-{name}-{program}");
            let mut text = playbook(guard, &file, tasks);
            if guard.contains("serial") {
                text = text.replacen("  serial: 3\n", "", 1);
            }
            place.write("play.yml", &text);
            // What halted in one case must not hold up the next.
            let words: &[&str] = if program == "stagger" {
                &["run", "play.yml", "-i", "guards.yml", "--limit", targets, "--state", &file]
            } else {
                &["play.yml", "-i", "guards.yml", "--limit", targets]
            };
            let said = place.call(program, words);
            assert_ne!(said.code, 0, "{name}, {program}: {}{}", said.out, said.err);
            let left = hosts.on("slow", &format!("test -e /srv/{file} && echo upgraded || echo untouched"));
            assert_eq!(left.trim(), "untouched", "{name}, {program}: the next batch was started: {}", said.out);
            if program == "stagger" {
                let told = format!("{}{}", said.out, said.err);
                assert!(told.contains(fired), "{name}: {told}");
                assert!(told.contains("not attempted: 1 host: m4"), "{name}: {told}");
            }
            for host in ["calm", "other"] {
                hosts.on(host, &format!("rm -f /srv/{file}"));
            }
        }
    }
}

#[test]
fn a_window_goes_through_real_hosts_one_out_at_once_bakes_and_stops_at_the_first_that_is_lost() {
    let hosts = Rehearsal::shared();
    let place = place(&hosts);
    let text = "- hosts: m1,m3,m4\n  gather_facts: false\n  max_unavailable: 1\n  bake: 20ms\n  gate:\n    - command: test ! -e /srv/guards-out\n  tasks:\n    - command: mkdir /srv/guards-out\n    - command: rmdir /srv/guards-out\n";
    place.write("play.yml", text);
    let said = place.call("stagger", &["run", "play.yml", "-i", "guards.yml"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("one out at once") && said.out.contains("ok: m1  gate: command test"), "{}", said.out);
    assert_eq!(place.journal().matches("\"event\":\"baked\"").count(), 3, "{}", place.journal());
    let place = self::place(&hosts);
    place.write("play.yml", &text.replace("m1,m3,m4", "all"));
    let said = place.call("stagger", &["run", "play.yml", "-i", "guards.yml"]);
    assert_ne!(said.code, 0, "{}", said.out);
    let told = format!("{}{}", said.out, said.err);
    assert!(told.contains("m2 is unreachable") && told.contains("max_unavailable"), "{told}");
    assert!(told.contains("not attempted: 2 hosts: m[3-4]"), "{told}");
}
