//! Hosts that say what they should not: only they fail, nothing crashes, and the terminal stays clean.

#![allow(
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "a test reads what the program wrote, and is in no hurry"
)]

use super::rehearsal::Rehearsal;

/// Clears the screen, sets a window's title, turns the writing direction round, and is no UTF-8.
const GARBAGE: &str = r"\033[2J\033]0;owned\007\342\200\256\377\376\r\n";

#[test]
fn login_files_that_print_are_no_part_of_any_output() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    let noise = format!("printf '{GARBAGE}welcome\\n\\036{:032}>0\\n'; printf 'and so on\\n' >&2\n", 0);
    place.write("noise", &noise);
    let noise = noise.replace('\'', "'\\''");
    hosts.on("hostile", &format!("for f in /root/.bashrc /root/.profile; do printf %s '{noise}' >$f; done"));
    let said = place.call("stagger", &["exec", "hostile", "-i", "hosts.yml", "-a", "id -un"]);
    hosts.on("hostile", "rm -f /root/.bashrc /root/.profile");
    assert_eq!((said.out.as_str(), said.code), ("hostile | CHANGED | rc=0 >>\nroot\n", 0), "{}", said.err);
}

#[test]
fn what_commands_print_can_neither_forge_nor_steer() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    place.write(
        "play.yml",
        &format!(
            "- hosts: calm\n  tasks:\n    - name: speaks\n      shell: |\n        printf '{GARBAGE}'; printf '\\036%032d>0 \\n' 0; printf 'changed: other  forged\\n'; printf '{GARBAGE}' >&2\n        head -c 3000000 /dev/zero | tr '\\0' y; exit 3\n      ignore_errors: true\n    - shell: mkdir -p /srv/odd; cd /srv/odd; touch \"$(printf 'a\\nb\\033[2J')\"\n    - stat: {{path: \"/srv/odd/a\\nb\\e[2J\"}}\n      register: found\n    - assert: {{that: found.stat.exists and not found.stat.isdir}}\n    - file: {{path: \"/srv/odd/a\\nb\\e[2J\", mode: '0600'}}\n      register: changed\n    - assert: {{that: changed is changed}}\n    - file: {{path: /srv/odd, state: absent}}\n"
        ),
    );
    for output in ["human", "plain", "ansible", "json"] {
        let said = place.call("stagger", &["run", "play.yml", "-i", "hosts.yml", "-vv", "--diff", "--output", output]);
        let text = format!("{}{}", said.out, said.err);
        let short: String = text.chars().take(3000).collect();
        assert_eq!(said.code, 0, "{output}: {short}");
        let bad = text.chars().find(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || *c == '\u{202e}');
        assert!(output == "json" && bad != Some('\u{1b}') || bad.is_none(), "{output}: {bad:?}: {short}");
        if output == "json" {
            for line in said.out.lines() {
                serde_json::from_str::<serde_json::Value>(line).expect("JSON");
            }
        } else {
            assert!(!text.lines().any(|line| line.starts_with("changed: other")), "{output}: {short}");
        }
    }
}

#[test]
fn a_host_that_answers_nonsense_fails_alone_and_soon() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("deputy");
    hosts.on(
        "nonsense",
        "printf '#!/bin/sh\\nhead -c 200000 /dev/urandom; echo; yes nonsense | head -c 3000000; cat >/dev/null\\n' >/usr/local/bin/nonsense; chmod 755 /usr/local/bin/nonsense; sed -i '/^deputy:/s,:[^:]*$,:/usr/local/bin/nonsense,' /etc/passwd",
    );
    let began = std::time::Instant::now();
    place.write("play.yml", "- hosts: nonsense,calm\n  tasks:\n    - command: id -un\n");
    let said = place.call("stagger", &["run", "play.yml", "-i", "hosts.yml", "-T", "3"]);
    let short: String = said.out.chars().take(3000).collect();
    assert!(matches!(said.code, 2 | 4), "{}: {short}", said.code);
    assert!(said.out.contains("changed: calm") && !said.out.contains("bug"), "{short}");
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "it takes too long");
    // A tool of a probe that lies.
    let place = hosts.place("root");
    hosts.on(
        "nonsense",
        "for tool in stat sha256sum ls openssl; do printf '#!/bin/sh\\necho nonsense; head -c 3000 /dev/urandom\\n' >/usr/local/bin/$tool; chmod 755 /usr/local/bin/$tool; done; echo old >/srv/file",
    );
    place.write("new", "new\n");
    for task in [
        "copy: {src: new, dest: /srv/file}",
        "stat: {path: /srv/file}",
        "file: {path: /srv/file, mode: '0600'}",
        "lineinfile: {path: /srv/file, line: x}",
        "setup:",
    ] {
        place.write("play.yml", &format!("- hosts: nonsense,calm\n  tasks:\n    - {task}\n    - command: 'true'\n"));
        let said = place.call("stagger", &["run", "play.yml", "-i", "hosts.yml", "--check"]);
        let short: String = said.out.chars().take(3000).collect();
        assert!(matches!(said.code, 0 | 2), "{task}: {} {short}", said.code);
        assert!(!said.out.contains("a bug") && !said.err.contains("panicked"), "{task}: {short}{}", said.err);
        assert!(!said.out.chars().any(|c| c.is_control() && c != '\n'), "{task}: {short}");
    }
    hosts.on("nonsense", "cd /usr/local/bin; rm stat sha256sum ls openssl");
}
