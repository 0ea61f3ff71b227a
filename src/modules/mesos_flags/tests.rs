//! Data-file cases (`tests/modules/mesos_flags/*.yml`) and the scripts on real shells.

#![expect(clippy::disallowed_methods, reason = "tests read their cases and look at what scripts wrote")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::modules::Act;
use crate::modules::fixture::Fixture;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    args: Map,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    folders: Vec<String>,
    #[serde(default)]
    wrapper: bool,
    /// Files as they become; null for one that goes. None for no change.
    #[serde(default)]
    becomes: BTreeMap<String, Option<String>>,
    /// Parts of the refusal.
    #[serde(default)]
    refused: Vec<String>,
    /// Parts of the warnings.
    #[serde(default)]
    warnings: Vec<String>,
    /// The convention that is found.
    convention: Option<String>,
    /// Texts that no step may show.
    #[serde(default)]
    hidden: Vec<String>,
}

fn bound(args: &Map) -> Result<Box<dyn State>, Failure> {
    let arguments = Arguments::check(&SPEC, args.clone())?;
    match build(&arguments, &Fixture::default())? {
        Bound::State(state) => Ok(state),
        other => panic!("{other:?}"),
    }
}

fn printed(case: &Case, files: &BTreeMap<String, String>) -> Output {
    let mut out: String = files.iter().map(|(path, text)| format!("F {} {path}\n{text}\n", text.len())).collect();
    out.extend(case.folders.iter().map(|folder| format!("D 0 {folder}\n")));
    if case.wrapper {
        out += "W 0 wrapper\n";
    }
    out += "Z 0 end\n";
    Output { stdout: out.into_bytes(), ..Output::default() }
}

fn applied(files: &BTreeMap<String, String>, change: &Change) -> BTreeMap<String, String> {
    let mut files = files.clone();
    for step in &change.steps {
        let path = step.diff.as_ref().expect("a diff").after_header.clone();
        match &step.act {
            Act::Script { stdin: Some(Content::Bytes(bytes)), .. } => {
                files.insert(path, String::from_utf8(bytes.to_vec()).expect("text"));
            }
            Act::Script { stdin: None, .. } => {
                files.remove(&path);
            }
            other => panic!("{other:?}"),
        }
    }
    files
}

fn run_case(case: &Case) {
    let state = match bound(&case.args) {
        Ok(state) => state,
        Err(failure) => return assert_parts(case, &case.refused, &failure.message),
    };
    let change = match state.steps(&printed(case, &case.files)) {
        Ok(change) => change,
        Err(failure) => {
            assert!(!case.refused.is_empty(), "{}: {}", case.name, failure.message);
            return assert_parts(case, &case.refused, &failure.message);
        }
    };
    assert!(case.refused.is_empty(), "{}: not refused: {change:#?}", case.name);
    let mut expected = case.files.clone();
    for (path, text) in &case.becomes {
        match text {
            Some(text) => expected.insert(path.clone(), text.clone()),
            None => expected.remove(path),
        };
    }
    let after = applied(&case.files, &change);
    assert_eq!(after, expected, "{}", case.name);
    assert_eq!(change.steps.is_empty(), case.becomes.is_empty(), "{}", case.name);
    let warnings = change.result.get("warnings").map(Value::to_string).unwrap_or_default();
    assert_parts(case, &case.warnings, &warnings);
    assert!(case.warnings.is_empty() == warnings.is_empty(), "{}: {warnings}", case.name);
    if let Some(convention) = &case.convention {
        assert_eq!(change.result.get("convention"), Some(&Value::from(convention.as_str())), "{}", case.name);
    }
    let shown: String = change
        .steps
        .iter()
        .map(|step| {
            format!(
                "{} {:?} {:?}",
                step.summary,
                step.diff,
                match &step.act {
                    Act::Script { script, .. } => script.as_str(),
                    _ => "",
                }
            )
        })
        .chain([Value::Object(change.result.clone()).to_string()])
        .collect();
    for secret in &case.hidden {
        assert!(!shown.contains(secret), "{}: {secret} shows in {shown}", case.name);
    }
    let again = state.steps(&printed(case, &after)).expect("a second look");
    assert_eq!(again.steps, vec![], "{}: a second run is not empty", case.name);
    // The preview's later tasks see what a later run would.
    let expected = state.expect(&printed(case, &case.files), &change).expect("an expectation");
    assert_eq!(read_probe(&expected).expect("readable").files, after, "{}", case.name);
}

fn assert_parts(case: &Case, parts: &[String], text: &str) {
    for part in parts {
        assert!(text.contains(part.as_str()), "{}: `{part}` is not in: {text}", case.name);
    }
    assert!(!parts.is_empty() || text.is_empty() || !case.warnings.is_empty(), "{}: {text}", case.name);
}

#[test]
fn every_case_of_the_data_files_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules/mesos_flags");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the cases") {
        let path = entry.expect("a case").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let cases: Vec<Case> = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for case in &cases {
            run_case(case);
            count += 1;
        }
    }
    assert!(count > 40, "{count} cases");
}

fn literal(version: &str, set: Value) -> Result<(), String> {
    let mut args = Map::new();
    args.insert("daemon".to_owned(), "slave".into());
    args.insert("version".to_owned(), version.into());
    args.insert("set".to_owned(), set);
    check(&Arguments::partial(&SPEC, args))
}

#[test]
fn a_wrong_flag_is_found_before_any_connection() {
    assert_eq!(literal("0.14.2", json!({"checkpoint": true})), Ok(()));
    assert_eq!(literal("{{ to }}", json!({"chekpoint": true})), Ok(()));
    assert_eq!(literal("0.14.2", json!({"gc_delay": "{{ delay }}"})), Ok(()));
    let error = literal("0.14.2", json!({"chekpoint": true})).expect_err("unknown");
    assert!(error.contains("did you mean `checkpoint`?"), "{error}");
    assert!(literal("0.14.2", json!({"gc_delay": "1 week"})).is_err());
    assert!(literal("2.14.2", json!({"checkpoint": true})).is_err());
}

#[test]
fn garbage_instead_of_files_is_an_error() {
    for text in [
        "",
        "F",
        "F x /a\n",
        "F 5 /a\nab\n",
        "F 99999999999999999999 /a\n",
        "Q 0 x\n",
        "F 1 /a\nabZ 0 end\n",
        "\u{fffd}\n",
    ] {
        let output = Output { stdout: text.as_bytes().to_vec(), ..Output::default() };
        assert!(read_probe(&output).is_err(), "{text:?}");
    }
    let forged = Output { stdout: b"F 15 /a\nZ 0 end\nF 1 /b\n\nZ 0 end\n".to_vec(), ..Output::default() };
    assert_eq!(read_probe(&forged).expect("framed by length").files.len(), 1);
}

/// Shells that hosts have: both must be on the machine that runs this.
const SHELLS: [&[&str]; 2] = [&["dash"], &["busybox", "sh"]];

fn run_on(shell: &[&str], script: &Script, stdin: &[u8]) -> Output {
    let mut child = Command::new(shell[0])
        .args(&shell[1..])
        .args(["-c", script.as_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the shell is installed");
    // A script that ends without reading has closed its end.
    let _ = child.stdin.take().expect("piped").write_all(stdin);
    let output = child.wait_with_output().expect("it ends");
    Output {
        status: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: output.stderr,
        ..Output::default()
    }
}

fn run_steps(shell: &[&str], state: &dyn State) -> Result<usize, Failure> {
    let change = state.steps(&run_on(shell, &state.probe(), b""))?;
    for step in &change.steps {
        let Act::Script { script, stdin } = &step.act else { panic!("{step:?}") };
        let bytes = match stdin {
            Some(Content::Bytes(bytes)) => bytes.to_vec(),
            _ => Vec::new(),
        };
        let output = run_on(shell, script, &bytes);
        assert_eq!(output.status, 0, "{}: {}", step.summary, output.err());
    }
    Ok(change.steps.len())
}

fn slave_in(root: &Path, set: Value, unset: Value) -> Box<dyn State> {
    let path = |name: &str| root.join(name).display().to_string();
    let args = json!({
        "daemon": "slave", "version": "0.14.2", "set": set, "unset": unset, "folder": path("mesos slave"),
        "defaults": [path("default"), path("default-slave")], "zk_file": path("zk"), "conf": path("mesos.conf"),
        "deploy": path("deploy"), "starter": path("starter"), "wrapper": path("wrapper"),
    });
    bound(args.as_object().expect("a mapping")).expect("right arguments")
}

fn write(path: PathBuf, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, text).expect("written");
}

#[test]
fn the_scripts_do_it_on_dash_and_on_busybox() {
    use std::os::unix::fs::PermissionsExt as _;
    for shell in SHELLS {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("mesos slave");
        write(folder.join("gc_delay"), "2weeks\n");
        write(folder.join("?no-switch_user"), "");
        write(folder.join("attributes/rack"), "a\n");
        write(root.path().join("zk"), "zk://u:p@h:2181/mesos\n");
        write(root.path().join("default-slave"), &format!("MASTER=`cat {}`\n", root.path().join("zk").display()));
        std::fs::set_permissions(folder.join("gc_delay"), std::fs::Permissions::from_mode(0o640)).expect("mode");
        let state = slave_in(
            root.path(),
            json!({"checkpoint": true, "gc_delay": "3weeks", "attributes": "rack:b"}),
            json!(["switch_user"]),
        );
        assert_eq!(run_steps(shell, &*state).expect("steps"), 4);
        assert_eq!(std::fs::read_to_string(folder.join("checkpoint")).expect("written"), "true\n");
        assert_eq!(std::fs::read_to_string(folder.join("gc_delay")).expect("written"), "3weeks\n");
        assert_eq!(std::fs::read_to_string(folder.join("attributes/rack")).expect("written"), "b\n");
        assert!(!folder.join("?no-switch_user").exists());
        let mode = std::fs::metadata(folder.join("gc_delay")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "the mode is kept");
        assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 3, "nothing is left over");
        assert_eq!(run_steps(shell, &*state).expect("steps"), 0, "a second run is empty");
    }
}

#[test]
fn a_content_that_is_cut_off_leaves_the_file_whole() {
    for shell in SHELLS {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("gc_delay");
        write(path.clone(), "2weeks\n");
        let step = write_step(&path.display().to_string(), Some("2weeks\n"), "three weeks\n", false);
        let Act::Script { script, .. } = &step.act else { panic!("{step:?}") };
        let output = run_on(shell, script, b"three");
        assert_eq!(output.status, 1, "{}", output.err());
        assert!(output.err().contains("left as it was"));
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "2weeks\n");
        assert_eq!(std::fs::read_dir(root.path()).expect("a folder").count(), 1, "nothing is left over");
    }
}

#[test]
fn a_link_is_followed_and_kept() {
    for shell in SHELLS {
        let root = tempfile::tempdir().expect("a folder");
        write(root.path().join("real/default"), "MASTER=h:5050\nMESOS_GC_DELAY=1weeks\n");
        std::os::unix::fs::symlink("real/default", root.path().join("default-slave")).expect("a link");
        let state = slave_in(root.path(), json!({"gc_delay": "2weeks"}), json!([]));
        assert_eq!(run_steps(shell, &*state).expect("steps"), 1);
        assert!(root.path().join("default-slave").is_symlink());
        let text = std::fs::read_to_string(root.path().join("real/default")).expect("there");
        assert_eq!(text, "MASTER=h:5050\nMESOS_GC_DELAY=2weeks\n");
    }
}
