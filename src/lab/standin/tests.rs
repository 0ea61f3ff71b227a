//! The stand-ins beside what was recorded of the real daemons.

use std::fs;
use std::path::{Path, PathBuf};

use super::flags::{Refusal, load};

fn recorded(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mesos-real").join(version)
}

/// A recorded `$ VAR=x program --flag` line as environment, program and arguments.
fn command_of(line: &str) -> (Vec<(String, String)>, String, Vec<String>) {
    let line = line.strip_prefix("$ ").expect("a prompt");
    let mut words = line.split(' ').map(ToOwned::to_owned).peekable();
    let mut environment = Vec::new();
    while let Some(word) = words.next_if(|word| word.contains('=') && !word.starts_with(['-', '/'])) {
        let (name, value) = word.split_once('=').expect("an assignment");
        environment.push((name.to_owned(), value.to_owned()));
    }
    let program = words.next().expect("a program");
    let program = program.rsplit('/').next().expect("a name").to_owned();
    // A blank at the end of the line was an empty argument.
    (environment, program, words.collect())
}

#[test]
fn every_recorded_refusal_is_said_word_for_word() {
    let mut replayed = 0;
    for version in super::VERSIONS {
        for entry in fs::read_dir(recorded(version)).expect("recordings") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if !name.starts_with("err-") {
                continue;
            }
            let text = fs::read_to_string(&path).expect("a recording");
            let (command, rest) = text.split_once('\n').expect("a command");
            let (said, code) = rest.rsplit_once("exit=").expect("an exit code");
            let (environment, program, arguments) = command_of(command);
            let Err(Refusal(message)) = load(&program, version, &arguments, &environment) else {
                panic!("{version}/{name}: accepted");
            };
            assert_eq!(message, said, "{version}/{name}");
            assert_eq!(code.trim(), "1", "{version}/{name}");
            replayed += 1;
        }
    }
    assert!(replayed >= 12, "only {replayed} recordings");
}

#[test]
fn a_variable_that_is_no_flag_is_accepted_since_0_14() {
    let text = fs::read_to_string(recorded("0.14.2").join("ok-unknown-env.txt")).expect("a recording");
    let (environment, program, arguments) = command_of(text.lines().next().expect("a command"));
    assert!(load(&program, "0.14.2", &arguments, &environment).is_ok());
    assert!(load(&program, "0.13.0", &arguments, &environment).is_err());
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    let refusal =
        |argument: &str| match load("mesos-slave", "0.14.2", &["--master=h:1".to_owned(), argument.to_owned()], &[]) {
            Err(Refusal(text)) => text.lines().next().unwrap_or_default().to_owned(),
            Ok(_) => "accepted".to_owned(),
        };
    assert_eq!(
        refusal("--checkpoint=yes"),
        "Failed to load flag 'checkpoint': Failed to load value 'yes': Expecting a boolean (e.g., true or false)"
    );
    assert_eq!(
        refusal("--gc_delay=1week"),
        "Failed to load flag 'gc_delay': Failed to load value '1week': Unknown duration unit 'week'"
    );
    assert_eq!(refusal("--work_dir"), "Failed to load non-boolean flag 'work_dir': Missing value");
    assert_eq!(refusal("--no-chckpoint"), "Failed to load unknown flag 'chckpoint' via 'no-chckpoint'");
    assert_eq!(refusal("--no-checkpoint"), "accepted");
}

#[test]
fn a_slave_without_a_master_is_refused() {
    let Err(Refusal(text)) = load("mesos-slave", "0.13.0", &[], &[]) else { panic!("accepted") };
    assert_eq!(text, "Missing required option --master\n");
}
