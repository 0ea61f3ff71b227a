//! Cases of modules as data: `tests/modules/<module>/*.yml`. Each is run twice: what it was changed to must stay.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::fixture::Fixture;
use super::{Act, Arguments, Bound, Change, find};
use crate::base::{Content, Map, Output};

/// A case of a module that edits one file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    args: Map,
    /// The file's content; nothing when it is not there.
    content: Option<String>,
    /// The new content; nothing when nothing is to be done.
    becomes: Option<String>,
    /// What a second run makes, where the module is not idempotent.
    again: Option<String>,
    /// Keys of the result.
    result: Map,
}

fn seen(content: Option<&str>) -> Output {
    let mut stdout = b"path /f\numask 0022\nat file\n".to_vec();
    match content {
        None => stdout.extend(b"absent\nend\n"),
        Some(content) => {
            let size = content.len();
            stdout.extend(
                format!(
                    "mode 81a4\nuid 0\ngid 0\nsize {size}\nlinks 1\ninode 1\ndevice 1\nrdev 0 0\nblocks 8 4096\n\
                     atime 1 x.0\nmtime 1 x.0\nctime 1 x.0\nowner root\ngroup root\nraw {size}\n"
                )
                .bytes(),
            );
            stdout.extend(content.bytes());
        }
    }
    Output { stdout, ..Output::default() }
}

fn written(change: &Change) -> Option<String> {
    change.steps.iter().find_map(|step| match &step.act {
        Act::Script { stdin: Some(Content::Bytes(bytes)), .. } => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    })
}

#[expect(clippy::disallowed_methods, reason = "a test reads its cases")]
fn run(module: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules").join(module);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("cases") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a file of cases");
        let cases: Vec<Case> =
            serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in cases {
            let place = format!("{}: {}", path.display(), case.name);
            let mut args = case.args.clone();
            args.insert("path".to_owned(), json!("/f"));
            let spec = find(module).expect("a module");
            let arguments = Arguments::check(spec, args).unwrap_or_else(|failure| panic!("{place}: {failure:?}"));
            let Ok(Bound::State(state)) = (spec.build)(&arguments, &Fixture::default()) else { panic!("{place}") };
            let change = state.steps(&seen(case.content.as_deref())).unwrap_or_else(|why| panic!("{place}: {why:?}"));
            assert_eq!(written(&change), case.becomes, "{place}");
            for (key, value) in &case.result {
                assert_eq!(change.result.get(key), Some(value), "{place}: {key}");
            }
            let after = case.becomes.as_deref().or(case.content.as_deref());
            let second = state.steps(&seen(after)).unwrap_or_else(|why| panic!("{place}: {why:?}"));
            assert_eq!(written(&second), case.again, "{place}: the second run");
            count += 1;
        }
    }
    assert!(count > 0, "{}", folder.display());
}

#[test]
fn blockinfile_edits_as_ansible_does() {
    run("blockinfile");
}

#[test]
fn lineinfile_edits_as_ansible_does() {
    run("lineinfile");
}

#[test]
fn replace_edits_as_ansible_does() {
    run("replace");
}

#[test]
fn an_edit_reaches_the_file_unless_someone_else_was_there() {
    use super::local_host::{Host, KINDS};
    for kind in KINDS {
        let host = Host::new(kind);
        host.write("f", b"a\n\xff\xfe\nlast");
        let added = host.changes_once("lineinfile", json!({"path": host.path("f"), "line": "new", "backup": true}));
        assert_eq!(host.read("f"), b"a\n\xff\xfe\nlast\nnew\n");
        assert!(added["backup"].as_str().unwrap().starts_with(&host.path("f.")));
        host.changes_once("replace", json!({"path": host.path("f"), "regexp": "^a$", "replace": "b", "mode": "0600"}));
        assert_eq!((host.read("f"), host.mode("f")), (b"b\n\xff\xfe\nlast\nnew\n".to_vec(), 0o600));
        host.changes_once("lineinfile", json!({"path": host.path("deep/er/g"), "line": "x", "create": true}));
        assert_eq!(host.read("deep/er/g"), b"x\n");
        // A long file travels compressed.
        let long: String = (0..60_000).map(|n| format!("line {n}\n")).collect();
        host.write("long", &long);
        host.changes_once("lineinfile", json!({"path": host.path("long"), "regexp": "^line 5$", "line": "five"}));
        assert!(host.read("long").windows(6).any(|window| window == b"\nfive\n"));
        let state = host.bind("lineinfile", json!({"path": host.path("f"), "line": "mine"})).unwrap();
        let change = host.plan(state.as_ref()).unwrap();
        host.write("f", "theirs\n");
        let Act::Script { script, stdin } = &change.steps[0].act else { panic!("a script") };
        let output = host.run(script, stdin.as_ref());
        assert_eq!((output.status, host.read("f")), (1, b"theirs\n".to_vec()), "{}", output.err());
        assert!(output.err().contains("changed by someone else"));
        let error = host.fails("lineinfile", json!({"path": host.path("none"), "line": "x"}));
        assert!(error.ends_with("does not exist !"), "{error}");
    }
}

/// Modules whose hosts must be a cluster: they are tested with the rehearsal of one.
const OF_A_CLUSTER: &[&str] = &[
    "dcos_package",
    "dcos_plan",
    "elastic_allocation",
    "elastic_facts",
    "elastic_flush",
    "elastic_ml_upgrade_mode",
    "elastic_preflight",
    "elastic_stop_check",
    "elastic_wait",
    "mesos_authenticated",
    "mesos_facts",
    "mesos_master_gone",
    "mesos_master_ready",
    "mesos_order",
    "mesos_preflight",
    "mesos_slave_ready",
];

#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads its cases")]
fn no_module_is_forgotten_on_the_hosts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules_on_hosts");
    let mut used = std::collections::BTreeSet::new();
    for name in ["changes.yml", "once.yml", "looks.yml", "system.yml", "systemd.yml"] {
        let text = std::fs::read_to_string(folder.join(name)).expect("cases");
        let plays: Vec<serde_yaml::Value> = serde_yaml::from_str(&text).expect("a playbook");
        for play in &plays {
            let tasks = play["tasks"].as_sequence().expect("tasks");
            used.extend(
                tasks
                    .iter()
                    .filter_map(|task| task.as_mapping())
                    .flat_map(|task| task.keys().filter_map(|key| Some(key.as_str()?.to_owned())).collect::<Vec<_>>()),
            );
        }
    }
    let forgotten: Vec<&str> = super::REGISTRY
        .iter()
        .map(|spec| spec.name)
        .filter(|name| !used.contains(*name) && !OF_A_CLUSTER.contains(name))
        .collect();
    assert!(forgotten.is_empty(), "no task in {} has {forgotten:?}", folder.display());
}
