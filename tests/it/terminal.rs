//! What is asked at a real terminal: nothing that is typed for a password shows, and the terminal is left as it was.

#![allow(
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "a test reads what the program wrote, and is in no hurry"
)]

use super::rehearsal::Rehearsal;

#[test]
fn passwords_are_asked_without_echo() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("deputy");
    let password = hosts.password();
    let line = format!("{password}\r");
    let words =
        ["exec", "calm", "-i", "hosts.yml", "-e", "ansible_ssh_private_key_file=", "-k", "-K", "-b", "-a", "id -un"];
    let (shown, code) =
        place.on_terminal(&words, &[("SSH password: ", &line), ("BECOME password[defaults to SSH password]: ", "\r")]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("root"), "{shown}");
    assert!(!shown.contains(&password), "{shown}");
    assert!(!place.state().contains(&password));
}

#[test]
fn an_interrupted_question_leaves_the_terminal_as_it_was() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("deputy");
    let (shown, code) = place.on_terminal(
        &["exec", "calm", "-i", "hosts.yml", "-K", "-b", "-a", "id"],
        &[("BECOME password: ", "half\u{3}")],
    );
    assert_eq!(code, 130, "{shown}");
    assert!(!shown.contains("half"), "{shown}");
}

#[test]
fn step_and_pause_ask_and_the_bars_keep_away() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    place.write(
        "play.yml",
        "- hosts: calm\n  tasks:\n    - name: one\n      command: touch /srv/one\n    - name: two\n      command: touch /srv/two\n    - name: ask\n      pause: {prompt: Which word, echo: true}\n      register: answer\n    - debug: {msg: \"it was {{ answer.user_input }}\"}\n    - name: ask quietly\n      pause: {prompt: Which secret, echo: false}\n      register: quiet\n    - command: test {{ quiet.user_input }} = typed-secret\n      no_log: true\n    - command: rm -f /srv/one\n",
    );
    let (shown, code) = place.on_terminal(
        &["run", "play.yml", "-i", "hosts.yml", "--step"],
        &[
            ("Perform task: one (N)o/(y)es/(c)ontinue: ", "y\r"),
            ("Perform task: two (N)o/(y)es/(c)ontinue: ", "n\r"),
            ("Perform task: ask (N)o/(y)es/(c)ontinue: ", "c\r"),
            ("Which word: ", "banana\r"),
            ("Which secret: ", "typed-secret\r"),
        ],
    );
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("it was banana"), "{shown}");
    assert!(!shown.contains("typed-secret"), "{shown}");
    hosts.on("calm", "test ! -e /srv/one -a ! -e /srv/two");
}
