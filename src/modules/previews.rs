//! Previews of several tasks about one file: each is judged by what the earlier ones would leave, as a run in check mode does it, and
//! must say what it then does.

use std::collections::HashMap;

use serde_json::json;

use super::local_host::{Host, KINDS};
use super::{Act, Applied};
use crate::base::{Output, Value};

/// The steps of each task, or why they can't be foreseen.
type Said = Result<Vec<String>, &'static str>;

fn preview(host: &Host, tasks: &[(&str, Value)]) -> Vec<Said> {
    let mut predicted: HashMap<String, Option<Output>> = HashMap::new();
    let mut said = Vec::new();
    for (module, arguments) in tasks {
        let state = host.bind(module, arguments.clone()).expect("binds");
        let known = state.subjects().iter().find_map(|subject| predicted.get(subject).cloned());
        let seen = match known {
            Some(Some(seen)) => seen,
            Some(None) => {
                said.push(Err("unknown"));
                continue;
            }
            None => host.run(&state.probe(), None),
        };
        said.push(match state.steps(&seen) {
            Err(_) => Err("can't be judged"),
            Ok(change) => {
                if !change.steps.is_empty() {
                    predicted.extend(state.leaves(&seen, &change));
                }
                Ok(change.steps.into_iter().map(|step| step.summary).collect())
            }
        });
    }
    said
}

fn run(host: &Host, tasks: &[(&str, Value)]) -> Vec<Said> {
    let mut said = Vec::new();
    for (module, arguments) in tasks {
        let state = host.bind(module, arguments.clone()).expect("binds");
        let change = host.plan(state.as_ref()).expect("can be done");
        said.push(Ok(change.steps.iter().map(|step| step.summary.clone()).collect()));
        let mut outputs = Vec::new();
        for step in &change.steps {
            let Act::Script { script, stdin } = &step.act else { panic!("a script") };
            outputs.push(Applied::Output(host.run(script, stdin.as_ref())));
        }
        state.finish(change, &outputs).unwrap_or_else(|failure| panic!("{module}: {failure:?}"));
    }
    said
}

#[test]
fn a_preview_of_tasks_about_one_file_says_what_they_will_do() {
    for kind in KINDS {
        let mut host = Host::new(kind);
        host.here.files.insert("plain".into(), b"from here\n".to_vec());
        host.write("edited", "one\ntwo\n");
        std::fs::create_dir(host.path("folder")).expect("a folder");
        let at = |name: &str| host.path(name);
        let tasks = [
            ("lineinfile", json!({"path": at("edited"), "regexp": "^one", "line": "1"})),
            ("replace", json!({"path": at("edited"), "regexp": "two", "replace": "2"})),
            ("lineinfile", json!({"path": at("edited"), "regexp": "^one", "line": "1"})),
            ("lineinfile", json!({"path": at("edited"), "line": "3", "mode": "0600", "owner": "root"})),
            ("file", json!({"path": at("edited"), "mode": "0600"})),
            ("file", json!({"path": at("edited"), "mode": "0640", "owner": "root"})),
            ("copy", json!({"content": "1\n2\n3\n", "dest": at("edited")})),
            ("copy", json!({"content": "other\n", "dest": at("edited"), "mode": "0644"})),
            ("lineinfile", json!({"path": at("edited"), "search_string": "2", "state": "absent"})),
            // A new file: made, edited, made again.
            ("copy", json!({"src": "plain", "dest": at("new"), "mode": "0644"})),
            ("replace", json!({"path": at("new"), "regexp": "here", "replace": "there"})),
            ("copy", json!({"src": "plain", "dest": at("new")})),
            ("copy", json!({"src": "plain", "dest": at("new")})),
            // In a folder.
            ("copy", json!({"src": "plain", "dest": at("folder")})),
            ("lineinfile", json!({"path": at("folder/plain"), "line": "more"})),
            ("template", json!({"src": "plain", "dest": at("folder/")})),
            // Gone, and made anew.
            ("file", json!({"path": at("new"), "state": "absent"})),
            ("file", json!({"path": at("new"), "state": "absent"})),
            ("lineinfile", json!({"path": at("new"), "line": "x", "create": true})),
            (
                "file",
                json!({"path": at("empty"), "state": "touch", "modification_time": "preserve",
                            "access_time": "preserve"}),
            ),
            ("lineinfile", json!({"path": at("empty"), "line": "x"})),
            ("file", json!({"path": at("made"), "state": "directory", "mode": "0711"})),
            ("file", json!({"path": at("made"), "state": "directory", "mode": "0711"})),
        ];
        let foreseen = preview(&host, &tasks);
        let done = run(&host, &tasks);
        for ((task, foreseen), done) in tasks.iter().zip(&foreseen).zip(&done) {
            assert_eq!(foreseen, done, "{kind:?}: {task:?}");
        }
        assert!(done[2] == Ok(Vec::new()) && done[11] != Ok(Vec::new()), "{done:?}");
    }
}

#[test]
fn what_is_not_known_of_a_file_is_not_guessed() {
    let mut host = Host::new(KINDS[0]);
    host.here.diff = false;
    host.here.files.insert("plain".into(), b"from here\n".to_vec());
    host.write("given", "x\n");
    let at = |name: &str| host.path(name);
    let tasks = [
        // Without diffs, a file's text is not read here.
        ("copy", json!({"src": "plain", "dest": at("given")})),
        ("lineinfile", json!({"path": at("given"), "line": "x"})),
        ("copy", json!({"src": "plain", "dest": at("given")})),
        ("copy", json!({"src": at("given"), "dest": at("other"), "remote_src": true})),
        ("replace", json!({"path": at("other"), "regexp": "x"})),
        ("file", json!({"path": at("link"), "src": "given", "state": "link"})),
        ("lineinfile", json!({"path": at("link"), "line": "y"})),
    ];
    let foreseen = preview(&host, &tasks);
    let known: Vec<bool> = foreseen.iter().map(Result::is_ok).collect();
    assert_eq!(known, [true, false, true, true, false, true, false], "{foreseen:?}");
    assert_eq!(foreseen[2], Ok(Vec::new()));
}
