//! Secrets appear nowhere: not on either stream in any form, not in the journal, not in a host's process list.

#![allow(
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "a test reads what the program wrote, and is in no hurry"
)]

use super::hermetic::{Place, wait};
use super::rehearsal::Rehearsal;

/// Every place in which a run leaves text.
fn everything(place: &Place, said: &super::hermetic::Said) -> String {
    format!("{}\n{}\n{}", said.out, said.err, place.state())
}

#[test]
fn passwords_of_every_origin_are_masked_in_every_output() {
    let hosts = Rehearsal::shared();
    for output in ["human", "plain", "json", "ansible"] {
        let place = hosts.place("deputy");
        place.write("become", &hosts.password());
        place.write("templ.j2", "token={{ api_token }}\n");
        place.write(
            "play.yml",
            "- hosts: calm\n  vars: {hidden_word: poison-hidden, open_word: harmless-word}\n  tasks:\n    - name: says {{ ansible_password }}\n      command: echo {{ ansible_password }} {{ api_token }}\n      register: said\n    - debug: {var: said}\n    - debug: {msg: \"{{ ansible_password }} {{ open_word }}\"}\n    - template: {src: templ.j2, dest: /tmp/secret-file}\n      diff: true\n    - command: \"true {{ hidden_word }}\"\n      no_log: true\n    - shell: echo {{ hidden_word }}; exit 3\n      no_log: true\n      ignore_errors: true\n    - command: echo {{ item }}\n      no_log: true\n      loop: [\"{{ hidden_word }}\", \"{{ hidden_word }}2\"]\n    - uri: {url: \"http://someone:poison-url@127.0.0.1:1/x\"}\n      ignore_errors: true\n    - copy: {dest: /tmp/secret-file, content: \"{{ ansible_become_password }}\"}\n      become: true\n    - command: cat /nonexistent/{{ api_token }}\n      ignore_errors: true\n",
        );
        let password = hosts.password();
        let variables =
            format!("{{\"ansible_password\": \"poison-login\", \"ansible_become_password\": \"{password}\"}}");
        let words = [
            "run",
            "play.yml",
            "-i",
            "hosts.yml",
            "-vvv",
            "--diff",
            "--output",
            output,
            "-e",
            &variables,
            "-e",
            "api_token=poison-token",
        ];
        let said = place.call("stagger", &words);
        assert_eq!(said.code, 0, "{output}: {}{}", said.out, said.err);
        let text = everything(&place, &said);
        // The test can fail: what is no secret is found.
        assert!(said.out.contains("harmless-word") && place.state().contains("harmless-word"), "{output}: {text}");
        for secret in ["poison-login", "poison-token", "poison-url", password.as_str()] {
            assert!(!text.contains(secret), "{output}: {secret} in:\n{}", around(&text, secret));
        }
        let shown = text.replace(&variables, "").replace(&variables.replace('"', "\\\""), "");
        assert!(!shown.contains("poison-hidden"), "{output}: {}", around(&shown, "poison-hidden"));
    }
}

/// The text on both sides of a word, each time it is there.
fn around(text: &str, word: &str) -> String {
    let near = |place: usize| {
        let start = text.floor_char_boundary(place.saturating_sub(150));
        let end = text.floor_char_boundary(place + 150);
        format!("… {} …\n", text.get(start..end).unwrap_or_default())
    };
    text.match_indices(word).map(|(place, _)| near(place)).collect()
}

#[test]
fn no_password_is_on_a_command_line_of_the_host() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("deputy");
    place.write("become", &hosts.password());
    let mut run = place.start(
        "stagger",
        &[
            "exec",
            "noisy",
            "-i",
            "hosts.yml",
            "-b",
            "--become-password-file",
            "become",
            "-e",
            "ansible_password=poison-login",
            "-a",
            "sleep 2",
        ],
    );
    let seen = wait("sudo runs the command", 10, || {
        let text = hosts.on("noisy", "ps -efww; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'");
        text.contains("sleep 2").then_some(text)
    });
    assert!(!seen.contains(&hosts.password()) && !seen.contains("poison-login"), "{seen}");
    run.until_said("CHANGED");
    run.end(20);
}

#[test]
fn credentials_of_frameworks_are_hidden_without_being_told_to() {
    let hosts = Rehearsal::shared();
    for (output, words) in [("human", &["--check"][..]), ("plain", &[]), ("json", &[]), ("ansible", &["--check"])] {
        let place = hosts.place("deputy");
        place.write("become", &hosts.password());
        place.write("framework", "f1 poison-file\n");
        let file = format!("/tmp/credentials-{output}");
        place.write(
            "play.yml",
            &format!(
                "- hosts: calm\n  tasks:\n    - mesos_credentials: {{version: 0.15.0, path: {file}, credentials: {{f1: poison-inline, visible-name: \"{{{{ word }}}}\"}}}}\n      register: said\n    - debug: {{var: said}}\n    - mesos_credentials: {{version: 0.15.0, path: {file}, src: framework}}\n      diff: true\n    - mesos_credentials: {{version: 0.14.2, path: {file}, credentials: {{f1: poison-inline}}}}\n      ignore_errors: true\n      vars: {{unused: 1}}\n"
            )
            .replace("version: 0.14.2", "version: \"{{ '0.14.2' }}\""),
        );
        let mut call = vec![
            "run",
            "play.yml",
            "-i",
            "hosts.yml",
            "-vvv",
            "--diff",
            "--output",
            output,
            "-e",
            "{\"word\": \"poison-word\"}",
        ];
        call.extend(words);
        let said = place.call("stagger", &call);
        assert_eq!(said.code, 0, "{output}: {}{}", said.out, said.err);
        let text = everything(&place, &said);
        assert!(said.out.contains("visible-name") && text.contains("knows no credentials"), "{output}: {text}");
        let shown = text.replace(call[9], "").replace(&call[9].replace('"', "\\\""), "");
        for secret in ["poison-inline", "poison-file", "poison-word"] {
            assert!(!shown.contains(secret), "{output}: {secret} in:\n{}", around(&shown, secret));
        }
        if words.is_empty() {
            assert_eq!(hosts.on("calm", &format!("stat -c %a {file}; cat {file}")).trim(), "600\nf1 poison-file");
        }
    }
}
