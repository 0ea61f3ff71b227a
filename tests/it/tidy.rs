//! The rules of the house that a machine can keep.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who may import whom. `app` may import everything.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("diag", &["base"]),
    ("yaml", &["base", "diag"]),
    ("template", &["base", "diag", "yaml"]),
    ("vault", &["base", "diag", "yaml"]),
    ("config", &["base", "diag"]),
    ("facts", &["base"]),
    ("inventory", &["base", "diag", "yaml", "template"]),
    ("playbook", &["base", "diag", "yaml"]),
    ("cluster", &["base", "diag", "facts"]),
    ("modules", &["base", "diag", "facts", "cluster"]),
    ("lab", &["base"]),
    ("plan", &["base", "diag", "template", "inventory", "playbook", "modules", "cluster"]),
    ("event", &["base"]),
    ("transport", &["base"]),
    (
        "run",
        &[
            "base",
            "diag",
            "template",
            "facts",
            "inventory",
            "playbook",
            "modules",
            "cluster",
            "plan",
            "event",
            "transport",
        ],
    ),
    ("journal", &["base", "event"]),
    ("report", &["base", "diag", "event"]),
    ("cli", &["base"]),
];

/// Lines of a file before its test module, at most. A longer file is two things.
const LONGEST: usize = 500;

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn room(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("below src");
    let first = below.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn is_test_file(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for path in sources() {
        let room = room(&path);
        if matches!(room.as_str(), "app" | "lib" | "main") {
            continue;
        }
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{}: the room `{room}` is not in the table", path.display()));
            continue;
        };
        let text = fs::read_to_string(&path).expect("a source file can be read");
        for (number, line) in text.lines().enumerate() {
            let place = || format!("{}:{}", path.display(), number + 1);
            if line.contains("crate::{") || line.contains("super::super") {
                wrong.push(format!("{}: name the room: neither `crate::{{` nor `super::super`", place()));
            }
            for part in line.split("crate::").skip(1) {
                let name: String = part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if name != room && name != "run" && !allowed.contains(&name.as_str()) && !name.is_empty() {
                    wrong.push(format!("{}: {room} may not import {name}", place()));
                }
                if name == "run" && room != "run" {
                    wrong.push(format!("{}: {room} may not import run", place()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let mut long = Vec::new();
    for path in sources() {
        if is_test_file(&path) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file can be read");
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]\nmod tests {")).collect::<Vec<_>>();
        let cut = lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod tests {"));
        let length = cut.unwrap_or(lines.len());
        if length > LONGEST {
            long.push(format!("{}: {length} lines, {LONGEST} allowed", path.display()));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn no_test_file_is_forgotten() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = fs::read_to_string(folder.join("main.rs")).expect("main.rs");
    for entry in fs::read_dir(&folder).expect("tests/it") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        let module = name.trim_end_matches(".rs");
        if module != "main" {
            assert!(main.contains(&format!("mod {module};")), "tests/it/{name} is not in main.rs");
        }
    }
}

/// A merge that was committed half done breaks whatever reads the file, and git says nothing.
#[test]
fn no_file_has_the_marks_of_an_unfinished_merge() {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("git lists the files");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let marks = ["<<<<<<< ", ">>>>>>> "];
    let mut wrong = Vec::new();
    for name in listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = String::from_utf8_lossy(name).into_owned();
        let Ok(text) = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&name)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.starts_with(mark)) {
                wrong.push(format!("{name}:{}", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "unfinished merges: {wrong:?}");
}
