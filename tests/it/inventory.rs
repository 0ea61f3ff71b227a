//! `stagger inventory` as a program: streams, files and exit codes. What it prints is compared in the room's own tests.

use std::path::Path;
use std::process::{Command, Output};

fn stagger(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stagger"))
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inventory"))
        .env_clear()
        .output()
        .expect("stagger runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_inventory_goes_to_standard_output() {
    let output = stagger(&["inventory", "-i", "children/hosts.ini", "--graph", "db"]);
    assert_eq!(text(&output.stdout), "@db:\n  |--db1\n");
    assert_eq!((text(&output.stderr).as_str(), output.status.code()), ("", Some(0)));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads what the program wrote")]
fn the_inventory_goes_to_a_file_when_one_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("out.json");
    let named = file.display().to_string();
    let output = stagger(&["inventory", "-i", "h1,h2,", "--list", "--output", &named]);
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("", Some(0)));
    let written = std::fs::read_to_string(&file).expect("the file is written");
    assert!(written.contains("\"h2\""), "{written}");
}

#[test]
fn a_host_that_is_not_there_is_no_target() {
    let output = stagger(&["inventory", "-i", "children/hosts.ini", "--host", "db2"]);
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("", Some(66)));
    assert!(text(&output.stderr).contains("did you mean `db1`?"));
}

#[test]
fn a_wrong_inventory_is_told_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("hosts");
    std::fs::write(&file, "[web]\nw1 root\n").expect("written");
    let output = stagger(&["inventory", "-i", &file.display().to_string(), "--list"]);
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("", Some(65)));
    let said = text(&output.stderr);
    assert!(said.contains("hosts:2:4") && said.contains("`root` is no key=value"), "{said}");
}

#[test]
fn a_source_that_is_not_there_is_no_target() {
    let output = stagger(&["inventory", "-i", "missing", "--list"]);
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("", Some(66)));
    assert!(text(&output.stderr).contains("missing"), "{}", text(&output.stderr));
}
