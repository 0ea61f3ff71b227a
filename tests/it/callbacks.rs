//! Ansible's other outputs under its name: the `json` callback's document, and the file of the `junit` callback.

#![allow(clippy::disallowed_methods, reason = "a test reads what the program wrote, and is in no hurry")]

use std::fs;

use serde_json::Value;

use super::hermetic::{Place, Said};

const PLAY: &str = "- name: first\n  hosts: all\n  gather_facts: false\n  tasks:\n    - name: hello\n      command: echo hi\n    - command: \"false\"\n      ignore_errors: true\n    - debug: {msg: never}\n      when: false\n    - name: ends it\n      fail: {msg: over}\n      when: inventory_hostname == 'h2'\n";

fn run(place: &Place, name: &str, variables: &[(&str, &str)]) -> Said {
    place.write("site.yml", PLAY);
    let words = if name == "stagger" { vec!["run", "site.yml"] } else { vec!["site.yml"] };
    let mut command = place.command(name, &[words.as_slice(), &["-i", "h1,h2,", "-c", "local"]].concat());
    command.envs(variables.iter().copied());
    place.said(command)
}

#[test]
fn the_json_callback_prints_one_document() {
    let mut place = Place::new();
    place.leases = false;
    for callback in ["json", "ansible.posix.json"] {
        let said = run(&place, "ansible-playbook", &[("ANSIBLE_STDOUT_CALLBACK", callback)]);
        assert_eq!(said.code, 2, "{}{}", said.out, said.err);
        let document: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.out));
        let play = &document["plays"][0];
        assert_eq!(play["play"]["name"], "first");
        let tasks = play["tasks"].as_array().expect("tasks");
        let names: Vec<_> = tasks.iter().map(|task| task["task"]["name"].as_str().expect("a name")).collect();
        assert_eq!(names[..3], ["hello", "command", "debug"]);
        assert_eq!(tasks[0]["hosts"]["h1"]["stdout"], "hi");
        assert_eq!(tasks[0]["hosts"]["h1"]["action"], "command");
        assert_eq!(tasks[1]["hosts"]["h2"]["failed"], true);
        assert_eq!(tasks[2]["hosts"]["h1"]["skipped"], true);
        assert_eq!(tasks[3]["hosts"]["h2"]["msg"], "over");
        assert_eq!(document["stats"]["h2"]["failures"], 1);
        assert_eq!(document["stats"]["h1"]["ignored"], 1);
    }
    // Under its own name the settings of Ansible's output mean nothing.
    let said = run(&place, "stagger", &[("ANSIBLE_STDOUT_CALLBACK", "json")]);
    assert!(said.out.contains("PLAY RECAP"), "{}", said.out);
    let said = run(&place, "ansible-playbook", &[("ANSIBLE_STDOUT_CALLBACK", "yaml")]);
    assert!(said.err.contains("callbacks that have no effect here: yaml"), "{}", said.err);
    assert!(said.out.contains("PLAY RECAP"), "{}", said.out);
}

#[test]
fn the_junit_callback_writes_a_file_beside_the_output() {
    let mut place = Place::new();
    place.leases = false;
    let said = run(&place, "ansible-playbook", &[("ANSIBLE_CALLBACKS_ENABLED", "junit"), ("JUNIT_OUTPUT_DIR", "out")]);
    assert!(said.out.contains("PLAY RECAP"), "{}{}", said.out, said.err);
    let files: Vec<_> = fs::read_dir(place.path("out")).expect("the folder").flatten().collect();
    assert_eq!(files.len(), 1);
    let name = files[0].file_name().to_string_lossy().into_owned();
    assert!(name.starts_with("site-") && name.ends_with(".xml"), "{name}");
    let xml = place.read(&format!("out/{name}"));
    assert!(xml.contains("failures=\"1\" name=\"site\" skipped=\"3\" tests=\"8\""), "{xml}");
    assert!(xml.contains("name=\"[h2] first: ends it\""), "{xml}");
    assert!(xml.contains("<failure message=\"over\" type=\"failure\">"), "{xml}");
}
