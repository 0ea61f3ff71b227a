//! Vaulted files and values: what Ansible's own tool has encrypted is used and never shown, and what stagger has encrypted is read
//! by Ansible's. The texts under tests/vault were written by ansible-vault of ansible-core 2.19.14.

#![allow(clippy::disallowed_methods, reason = "a test reads what the program wrote, and is in no hurry")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::hermetic::{Place, Said};

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vault").join(name)
}

/// A place with all recorded files.
fn place() -> Place {
    let place = Place::new();
    for entry in fs::read_dir(recorded("")).expect("tests/vault").flatten() {
        fs::copy(entry.path(), place.path(&entry.file_name().to_string_lossy())).expect("copied");
    }
    place
}

const PLAY: &str = r#"- hosts: all
  gather_facts: false
  vars: {out: "{{ playbook_dir }}/out", harmless: harmless-word}
  vars_files: [values.yml, 1.1.yml]
  tasks:
    - file: {path: "{{ out }}", state: directory}
    - include_tasks: tasks.yml
    - copy: {src: 1.1.yml, dest: "{{ out }}/open.yml", mode: preserve}
    - copy: {src: 1.1.yml, dest: "{{ out }}/closed.yml", decrypt: false}
    - copy: {src: binary, dest: "{{ out }}/binary"}
    - copy: {src: tree/, dest: "{{ out }}/tree"}
    - template: {src: template.j2, dest: "{{ out }}/template"}
    - debug: {msg: "{{ colour }} {{ dev_token }} {{ harmless }}"}
    - command: "echo {{ api_token }} {{ db_password }}"
      register: said
    - debug: {var: said}
    - command: "false {{ api_token }}"
      ignore_errors: true
"#;

/// What is secret in the recorded files.
const SECRETS: &[&str] =
    &["s3cret-token", "dev-s3cret", "hunter2", "template-s3cret", "it is", "vault-inventory-value", "correct horse"];

#[test]
fn what_is_encrypted_reaches_hosts_as_it_is_and_no_output() {
    for (output, verbose) in [("human", "-vvv"), ("plain", "-vvv"), ("json", "-v"), ("ansible", "-vvv")] {
        let place = place();
        fs::create_dir(place.path("tree")).expect("a folder");
        fs::copy(recorded("1.2.yml"), place.path("tree/inner.yml")).expect("copied");
        place.write("play.yml", PLAY);
        let keys = ["--vault-password-file", "password", "--vault-id", "dev@other-password"];
        let words =
            [&["run", "play.yml", "-i", "hosts", "--diff", verbose, "--output", output], keys.as_slice()].concat();
        let said = place.call("stagger", &words);
        assert_eq!(said.code, 0, "{output}: {}{}", said.out, said.err);
        let read = |name: &str| fs::read(place.path("out").join(name)).expect("a file");
        let plain = fs::read(recorded("plain.yml")).expect("plain.yml");
        assert_eq!(read("open.yml"), plain);
        assert_eq!(read("tree/inner.yml"), plain);
        assert_eq!(read("closed.yml"), fs::read(recorded("1.1.yml")).expect("1.1.yml"));
        assert_eq!(read("binary"), fs::read(recorded("binary.plain")).expect("binary.plain"));
        assert_eq!(String::from_utf8_lossy(&read("template")), "token = s3cret-token\nword = template-s3cret\n");
        // A value that was encrypted is no template, whatever braces are in it.
        let values = "s3cret-token|{{ 1 + 1 }} it is|hunter2-ä|dev-s3cret";
        assert_eq!(String::from_utf8_lossy(&read("values")), values);
        let mode = |name: &str| fs::metadata(place.path(name)).expect("a file").permissions().mode();
        assert_eq!(mode("out/open.yml"), mode("1.1.yml"));
        let everything = format!("{}\n{}\n{}", said.out, said.err, place.state());
        assert!(said.out.contains("harmless-word"), "{output}: {}", said.out);
        for secret in SECRETS {
            let near = everything.find(secret).map(|at| everything.get(at.saturating_sub(200)..at + 40));
            assert!(near.is_none(), "{output}: {secret} in: {near:?}");
        }
    }
}

#[track_caller]
fn runs(place: &Place, words: &[&str]) -> Said {
    place.call("stagger", &[&["run", "lazy.yml", "-i", "h1,", "-c", "local", "--output", "plain"], words].concat())
}

/// As Ansible has it: only who uses a value needs its password.
#[test]
fn a_value_is_decrypted_when_it_is_used() {
    let place = place();
    place.write(
        "lazy.yml",
        "- hosts: all\n  gather_facts: false\n  vars_files: [values.yml]\n  tasks:\n    - debug: {msg: fine}\n    - debug: {msg: \"{{ dev_token }}\"}\n      when: use | default(false) | bool\n",
    );
    let said = runs(&place, &[]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let said = runs(&place, &["-e", "use=true"]);
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    let values = fs::read_to_string(recorded("values.yml")).expect("values.yml");
    // The value begins on the line after its key.
    let line = values.lines().position(|line| line.starts_with("dev_token")).expect("a key") + 2;
    assert!(said.out.contains(&format!("values.yml:{line}:")), "{}", said.out);
    assert!(said.out.contains("no vault password was given"), "{}", said.out);
    let said = runs(&place, &["-e", "use=true", "--vault-password-file", "password"]);
    assert!(said.out.contains("it is encrypted with that of `dev`, which was not given"), "{}", said.out);
    let said = runs(&place, &["-e", "use=true", "--vault-id", "dev@other-password"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
}

/// Files, scripts, scripts that are told the label, the terminal, and the configuration.
#[test]
fn passwords_come_from_wherever_they_were_said_to_be() {
    let place = place();
    place.write(
        "lazy.yml",
        "- hosts: all\n  gather_facts: false\n  vars_files: [values.yml]\n  tasks:\n    - assert: {that: [\"api_token == 's3cret-token'\"]}\n    - assert: {that: [\"dev_token == 'dev-s3cret'\"]}\n      when: dev | default(false) | bool\n",
    );
    let program = |name: &str, text: &str| {
        place.write(name, text);
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(0o755)).expect("a mode");
    };
    program("script", "#!/bin/sh\necho 'correct horse'\n");
    program("ask-client", "#!/bin/sh\n[ \"$1 $2\" = '--vault-id dev' ] || exit 2\necho other\n");
    program("broken", "#!/bin/sh\nexit 3\n");
    for words in [&["--vault-password-file", "script"], &["--vault-id", "script"], &["--vault-id", "x@script"]] {
        let said = runs(&place, words.as_slice());
        assert_eq!(said.code, 0, "{words:?}: {}{}", said.out, said.err);
    }
    let both = ["--vault-id", "dev@ask-client", "--vault-id", "password", "-e", "dev=true"];
    let said = runs(&place, &both);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let said = runs(&place, &["--vault-id", "prod@ask-client"]);
    assert!(said.err.contains("did not find a secret for vault-id=prod"), "{}", said.err);
    let said = runs(&place, &["--vault-password-file", "broken"]);
    assert!(said.err.contains("Vault password script broken did not work"), "{}", said.err);
    // One that can't be had is a warning beside one that can.
    let said = runs(&place, &["--vault-id", "prod@ask-client", "--vault-id", "password"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.err.contains("[WARNING]: Error getting vault password file (prod)"), "{}", said.err);

    place
        .write("ansible.cfg", "[defaults]\nvault_password_file = password\nvault_identity_list = dev@other-password\n");
    let said = runs(&place, &["-e", "dev=true"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    fs::remove_file(place.path("ansible.cfg")).expect("removed");

    let words = ["run", "lazy.yml", "-i", "h1,", "-c", "local", "-J", "--vault-id", "dev@prompt", "-e", "dev=true"];
    let (screen, code) =
        place.on_terminal(&words, &[("Vault password (dev): ", "other\n"), ("Vault password: ", "correct horse\n")]);
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains("correct horse"), "{screen}");
}
