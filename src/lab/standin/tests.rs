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

/// What a daemon says before it ends: of its flags, or of what they name once it has started.
fn refusal_of(program: &str, version: &str, arguments: &[String], environment: &[(String, String)]) -> Option<String> {
    let flags = match load(program, version, arguments, environment) {
        Ok(flags) => flags,
        Err(refusal) => return Some(refusal.said),
    };
    let url = super::zk_url(flags.text(if program == "mesos-master" { "zk" } else { "master" }));
    if let Some(Err(why)) = url.as_deref().map(super::zk::parse_url) {
        return Some(format!("CHECK_SOME(detector): Failed to create a master detector{why}\n"));
    }
    let daemon = super::daemon::Daemon::new(program, version, flags, 1);
    match program {
        "mesos-master" => super::master::refusal(&daemon).err(),
        _ => super::slave::refusal(&daemon).err(),
    }
}

/// What a recorded daemon said itself: without its log, but for the fatal line.
fn own_words(said: &str) -> String {
    let log = |line: &&str| {
        let begin = line.as_bytes();
        let glog = begin.len() > 5 && b"IWF".contains(&begin[0]) && begin[1..5].iter().all(u8::is_ascii_digit);
        !glog && !line.starts_with("***") && !line.starts_with("    @ ")
    };
    let fatal = said.lines().find(|line| line.starts_with('F')).and_then(|line| line.split_once("] "));
    let own: Vec<&str> = match fatal {
        Some((_, text)) => vec![text],
        None => said.lines().filter(log).collect(),
    };
    own.join("\n") + "\n"
}

/// The files that recorded commands name, as they were.
const FILES: [(&str, &str); 4] = [
    ("/srv/mesos/cred-comment", "# people of the web\nweb secret\n"),
    ("/srv/mesos/cred-json", "{\"credentials\": [{\"principal\": \"web\"}]}\n"),
    ("/srv/mesos/cred-tab", "web\tsecret\n"),
    ("/srv/mesos/conf12", ""),
];

#[test]
fn every_recorded_refusal_is_said_word_for_word() {
    let here = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(here.path().join("conf12")).expect("a folder");
    std::fs::write(here.path().join("conf12/mesos.conf"), "a=b=c\n").expect("a file");
    for (path, text) in FILES.iter().filter(|(_, text)| !text.is_empty()) {
        std::fs::write(here.path().join(path.rsplit('/').next().expect("a name")), text).expect("a file");
    }
    let here = here.path().to_str().expect("a path");
    let mut replayed = 0;
    for version in super::VERSIONS {
        for entry in fs::read_dir(recorded(version)).expect("recordings") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap_or_default();
            // What a slave said that could not recover, and a master that a slave killed, have no command.
            if !name.starts_with("err-") || !text.starts_with("$ ") {
                continue;
            }
            let (command, rest) = text.split_once('\n').expect("a command");
            let (said, code) = rest.rsplit_once("exit=").expect("an exit code");
            let mut said = own_words(said);
            let (environment, program, mut arguments) = command_of(command);
            for (file, _) in FILES {
                let there = file.replace("/srv/mesos", here);
                arguments.iter_mut().for_each(|argument| *argument = argument.replace(file, &there));
                said = said.replace(file, &there);
            }
            let Some(message) = refusal_of(&program, version, &arguments, &environment) else {
                panic!("{version}/{name}: accepted");
            };
            assert_eq!(message, said, "{version}/{name}");
            let aborts = message.starts_with("CHECK");
            assert_eq!(code.trim(), if aborts { "134" } else { "1" }, "{version}/{name}");
            replayed += 1;
        }
    }
    assert!(replayed >= 32, "only {replayed} recordings");
}

#[test]
fn what_the_real_ones_accepted_is_accepted() {
    let here = tempfile::tempdir().expect("a folder");
    fs::write(here.path().join("mesos.conf"), "# one\nport=5997 \n").expect("a file");
    fs::write(here.path().join("cred"), "web  secret\n\n").expect("a file");
    let here = here.path().to_str().expect("a path");
    let master = |version: &str, words: &[&str], environment: &[(String, String)]| {
        let words: Vec<String> = words.iter().map(|word| word.replace("HERE", here)).collect();
        let said = refusal_of("mesos-master", version, &words, environment);
        said.unwrap_or_else(|| {
            load("mesos-master", version, &words, environment).expect("flags").text("port").to_owned()
        })
    };
    let port = [("MESOS_PORT".to_owned(), "5996".to_owned())];
    assert_eq!(master("0.11.0", &["--nonsense=1"], &[]), "5050");
    assert_eq!(master("0.12.1", &["--nonsense=1", "--credentials=/x"], &[]), "5050");
    assert_eq!(master("0.12.1", &["--conf=HERE"], &[]), "5997", "the file");
    assert_eq!(master("0.12.1", &["--conf=HERE"], &port), "5996", "the environment comes before the file");
    assert_eq!(master("0.12.1", &["--port=5999", "--port=1"], &port), "5999", "and the command line before that");
    assert_eq!(master("0.15.0", &["", "--credentials=file://HERE/cred", "--authenticate"], &[]), "5050");
    let abort = load("mesos-master", "0.12.1", &["--port=x".to_owned()], &[]).expect_err("no number");
    assert!(abort.aborts && abort.said.starts_with("Failed to load value 'x' for flag 'port'"), "{abort:?}");
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
            Err(Refusal { said, .. }) => said.lines().next().unwrap_or_default().to_owned(),
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
    let Err(Refusal { said: text, .. }) = load("mesos-slave", "0.13.0", &[], &[]) else { panic!("accepted") };
    assert_eq!(text, "Missing required option --master\n");
}
