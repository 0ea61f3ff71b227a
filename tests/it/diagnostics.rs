//! What the program says of wrong input: whole messages on both streams, and the exit code. No host is contacted.
//!
//! A case is a file under tests/diagnostics: `==> NAME <==` begins a file, `$ COMMAND` a call, and after it stands what it
//! says: `1| ` on standard output, `2| ` on standard error, and `exit N`. STAGGER_ACCEPT=1 writes what is said now.

#![allow(
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "a test reads what the program wrote, and is in no hurry"
)]

use std::fs;
use std::path::Path;

use super::hermetic::Place;

/// Runs a case and gives it as it should have been written.
fn replay(text: &str) -> String {
    let place = Place::new();
    let mut written = String::new();
    let mut file: Option<(String, String)> = None;
    let keep = |file: &mut Option<(String, String)>| {
        if let Some((name, text)) = file.take() {
            place.write(&name, text.trim_end_matches('\n'));
            place.write(&name, &format!("{}\n", text.trim_end_matches('\n')));
        }
    };
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("==> ").and_then(|rest| rest.strip_suffix(" <==")) {
            keep(&mut file);
            file = Some((name.to_owned(), String::new()));
            written.push_str(&format!("{line}\n"));
        } else if let Some(call) = line.strip_prefix("$ ") {
            keep(&mut file);
            let mut words = shlex::split(call).expect("a command line");
            let mut name = words.remove(0);
            let mut variable = None;
            if name == "env" {
                variable = words.remove(0).split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
                name = words.remove(0);
            }
            let mut command = place.command(&name, &words);
            command.envs(variable);
            written.push_str(&format!("{line}\n{}", place.said(command).whole(&place)));
        } else if let Some((_, text)) = &mut file {
            text.push_str(&format!("{line}\n"));
            written.push_str(&format!("{line}\n"));
        } else if !["1|", "2|", "exit "].iter().any(|mark| line.starts_with(mark)) {
            written.push_str(&format!("{line}\n"));
        }
    }
    written
}

#[test]
fn wrong_input_is_told_with_its_place_and_its_exit_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut cases: Vec<_> = fs::read_dir(folder).expect("the cases").flatten().map(|entry| entry.path()).collect();
    cases.sort();
    assert!(cases.len() > 5, "cases are missing");
    let accept = std::env::var_os("STAGGER_ACCEPT").is_some();
    let mut wrong = String::new();
    for case in cases {
        let text = fs::read_to_string(&case).expect("a case");
        let now = replay(&text);
        if now == text {
            continue;
        }
        if accept {
            fs::write(&case, now).expect("written");
        } else {
            let diff = similar::TextDiff::from_lines(&text, &now);
            wrong.push_str(&format!("{}\n{}\n", case.display(), diff.unified_diff().context_radius(2)));
        }
    }
    assert!(wrong.is_empty(), "not as written (-) but so (+):\n{wrong}");
}
