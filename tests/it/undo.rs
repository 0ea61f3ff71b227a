//! Settings that are changed for a time, on hosts with `sshd`: whatever ends the run, they are as before.

use super::rehearsal::Rehearsal;

/// A line in a file is another one for the time of the play.
fn playbook(path: &str, tasks: &str) -> String {
    format!(
        "- hosts: slow,other\n  tasks:\n    - name: prepare\n      copy: {{dest: {path}, content: \"level=low\\nrest=1\\n\"}}\n    - command: grep level {path}\n      changed_when: false\n      register: old\n    - name: level high\n      lineinfile: {{path: {path}, regexp: \"^level=\", line: level=high}}\n      undo:\n        - lineinfile: {{path: {path}, regexp: \"^level=\", line: \"{{{{ old.stdout }}}}\"}}\n        - command: grep -c level=low {path}\n          register: now\n        - assert: {{that: now.stdout == '1'}}\n{tasks}"
    )
}

#[test]
fn a_file_is_as_before_when_a_host_fails_in_the_middle() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    let path = "/srv/undo-fail.conf";
    let rest =
        format!("    - command: grep level=high {path}\n    - command: test {{{{ inventory_hostname }}}} = other\n");
    place.write("play.yml", &playbook(path, &rest));
    let said = place.call("stagger", &["run", "play.yml", "-i", "hosts.yml"]);
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    for host in ["slow", "other"] {
        assert_eq!(hosts.on(host, &format!("cat {path}")), "level=low\nrest=1\n");
        assert!(said.out.contains(&format!("taken back: {host}  level high")), "{}", said.out);
    }
    let journal = place.journal();
    let events: Vec<serde_json::Value> = journal.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let at = |name: &str, host: &str| {
        let is = |event: &serde_json::Value| {
            let text = event.to_string();
            event["event"] == name && event["host"] == host && (name == "undo_armed" || text.contains(path))
        };
        events.iter().rposition(is).unwrap_or_else(|| panic!("{name} of {host}: {journal}"))
    };
    assert!(at("undo_armed", "slow") < at("act_started", "slow"));
    let armed = events[at("undo_armed", "slow")].to_string();
    assert!(armed.contains("level=low"), "the original value is in the journal: {armed}");
}

#[test]
fn a_file_is_as_before_after_an_interrupt_and_after_a_kill_and_resume() {
    let hosts = Rehearsal::shared();
    for signal in ["INT", "KILL"] {
        let place = hosts.place("root");
        let path = format!("/srv/undo-{signal}.conf");
        place.write("play.yml", &playbook(&path, "    - name: long\n      command: sleep 2\n"));
        let mut run = place.start("stagger", &["run", "play.yml", "-i", "hosts.yml"]);
        run.until_journal("sleep 2", &place);
        run.signal(signal);
        let said = run.end(30);
        if signal == "INT" {
            assert_eq!(said.code, 130, "{}{}", said.out, said.err);
        } else {
            assert_eq!(hosts.on("slow", &format!("head -1 {path}")), "level=high\n");
            let said = place.call("stagger", &["resume", "--redo-unknown"]);
            assert_eq!(said.code, 0, "{}{}", said.out, said.err);
            let journal = place.journal();
            let (_, resumed) = journal.split_once("\"resumed\"").expect("it was resumed");
            let first = |what: &str| resumed.find(what).unwrap_or_else(|| panic!("{what}: {resumed}"));
            assert!(first("undo_finished") < first("undo_armed"), "taken back first, then set again: {resumed}");
        }
        for host in ["slow", "other"] {
            assert_eq!(hosts.on(host, &format!("cat {path}")), "level=low\nrest=1\n", "{signal}");
        }
    }
}

#[test]
fn what_is_not_as_before_when_it_is_read_back_is_shouted() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    let path = "/srv/undo-read-back.conf";
    let play = format!(
        "- hosts: calm\n  tasks:\n    - copy: {{dest: {path}, content: low}}\n    - name: level high\n      copy: {{dest: {path}, content: high}}\n      undo:\n        - copy: {{dest: {path}, content: low}}\n        - shell: echo other > {path}\n"
    );
    place.write("play.yml", &play);
    let said = place.call("stagger", &["run", "play.yml", "-i", "hosts.yml"]);
    assert_eq!(said.code, 5, "{}{}", said.out, said.err);
    let end = said.out.split("PLAY RECAP").nth(1).unwrap_or_default();
    for part in [
        "NOT UNDONE: 1 setting",
        "calm  level high (play.yml:5)",
        "read back, it is not as it was",
        "by hand: on calm: copy: {",
        "stagger resume",
    ] {
        assert!(end.contains(part), "{part}: {end}");
    }
    hosts.on("calm", &format!("rm {path}"));
}

#[test]
fn what_a_module_saw_before_can_be_put_back() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    let path = "/srv/undo-before.conf";
    hosts.on("calm", &format!("printf 'a\\nlevel=low\\n' > {path}; chmod 640 {path}"));
    let play = format!(
        "- hosts: calm\n  tasks:\n    - lineinfile: {{path: {path}, regexp: ^level, line: level=high, mode: \"600\"}}\n      undo:\n        copy: {{dest: \"{{{{ undo_before.path }}}}\", content: \"{{{{ undo_before.content }}}}\", mode: \"{{{{ undo_before.mode }}}}\"}}\n    - command: grep level=high {path}\n"
    );
    place.write("play.yml", &play);
    let said = place.call("stagger", &["run", "play.yml", "-i", "hosts.yml"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(hosts.on("calm", &format!("cat {path}; stat -c %a {path}; rm {path}")), "a\nlevel=low\n640\n");
}
