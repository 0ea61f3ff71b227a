//! The Mesos gates and facts on data-file cases (`tests/modules/mesos_gates/*.yml`): looks in a row, each with its answers.
//!
//! A case's host is `h1`. Masters `m1`… are at 127.0.0.11…, slaves `s1`… at 127.0.0.21…, as in the recorded answers.

#![expect(clippy::disallowed_methods, reason = "tests read their cases and the recorded answers")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::modules::fixture::Fixture;
use crate::modules::{Bound, Gate, HttpResponse, Verdict, Znode, find};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    module: String,
    #[serde(default)]
    args: Map,
    /// Which of the names below the case's host is.
    here: String,
    #[serde(default = "three")]
    masters: Vec<String>,
    #[serde(default)]
    slaves: Vec<String>,
    /// The hosts of the run; not known when not given.
    at_work: Option<Vec<String>>,
    /// The variable `mesos` from before.
    #[serde(default)]
    facts: Value,
    looks: Vec<Look>,
}

fn three() -> Vec<String> {
    ["m1", "m2", "m3"].map(str::to_owned).to_vec()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Look {
    /// Seconds.
    #[serde(default)]
    at: u64,
    /// What the processes script prints, without its last line; null for a host out of reach.
    local: Option<String>,
    /// What the script over flag files prints.
    #[serde(default)]
    files: String,
    /// What the script over init systems and checkpoints prints.
    #[serde(default)]
    ground: String,
    /// What the script over binaries and credentials prints, without its last line.
    #[serde(default)]
    fit: String,
    /// Servers of ZooKeeper that are away.
    #[serde(default)]
    down: Vec<String>,
    /// What the script over the leader's log prints, without its last line.
    #[serde(default)]
    log: String,
    /// By name: a recorded file, or a state in short form. Missing: refused.
    #[serde(default)]
    states: BTreeMap<String, Value>,
    /// Pids by znode, or why there are none.
    #[serde(default)]
    znodes: Value,
    ready: Option<Value>,
    not_yet: Option<String>,
    never: Option<String>,
}

fn address(name: &str) -> String {
    let number = name.get(1..).and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
    format!("127.0.0.{}", if name.starts_with('m') { 10 + number } else { 20 + number })
}

fn pid(name: &str) -> String {
    match name.as_bytes().first() {
        Some(b'm') => format!("master@{}:5050", address(name)),
        Some(b's') => format!("slave(1)@{}:5051", address(name)),
        _ => name.to_owned(),
    }
}

fn recorded(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mesos-real").join(path)).expect("recorded")
}

/// A body in short form: `{leader: m2, slaves: [[id, s1, registered, reregistered]], frameworks: {id: {task: [state, slave id]}}}`.
fn state(name: &str, short: &Value) -> Vec<u8> {
    if let Some(path) = short.as_str() {
        return recorded(path);
    }
    let text = |key: &str, usual: &str| short.get(key).and_then(Value::as_str).unwrap_or(usual).to_owned();
    let mut body = json!({
        "version": text("version", "0.14.2"), "pid": pid(name), "id": text("id", &format!("{name}-1")), "start_time": 1795189420.5,
        "hostname": name, "slaves": [], "frameworks": [],
    });
    if let Some(leader) = short.get("leader").and_then(Value::as_str) {
        body["leader"] = pid(leader).into();
    }
    for slave in short.get("slaves").and_then(Value::as_array).into_iter().flatten() {
        let of = slave[1].as_str().expect("a slave's name");
        body["slaves"].as_array_mut().expect("a list").push(json!({
            "id": slave[0], "pid": pid(of), "hostname": of, "registered_time": slave[2], "reregistered_time": slave[3],
        }));
    }
    for (id, tasks) in short.get("frameworks").and_then(Value::as_object).into_iter().flatten() {
        let task = |(id, task): (&String, &Value)| json!({"id": id, "state": task[0], "slave_id": task[1]});
        let all = || tasks.as_object().into_iter().flatten();
        let ended = |(_, task): &(&String, &Value)| task[0] == "TASK_FINISHED" || task[0] == "TASK_LOST";
        body["frameworks"].as_array_mut().expect("a list").push(json!({
            "id": id, "name": "sleeper", "active": 1,
            "tasks": all().filter(|t| !ended(t)).map(task).collect::<Vec<_>>(),
            "completed_tasks": all().filter(ended).map(task).collect::<Vec<_>>(),
        }));
    }
    body.to_string().into_bytes()
}

fn answer(case: &Case, look: &Look, question: &Question) -> Answer {
    match question {
        Question::Script(script) if script.as_str().contains("/proc/[0-9]*") => Answer::Script(
            look.local
                .as_ref()
                .map(|text| Output { stdout: format!("{text}\nZ\n").into_bytes(), ..Output::default() })
                .ok_or_else(|| "connection refused".to_owned()),
        ),
        Question::Script(script) if script.as_str().contains("LD_TRACE_LOADED_OBJECTS") => {
            Answer::Script(Ok(Output { stdout: format!("{}Z\n", look.fit).into_bytes(), ..Output::default() }))
        }
        Question::Script(script) if script.as_str().contains("Successfully authenticated") => {
            Answer::Script(Ok(Output { stdout: format!("{}Z\n", look.log).into_bytes(), ..Output::default() }))
        }
        Question::Script(script) if script.as_str().contains("meta/slaves/latest") => {
            Answer::Script(Ok(Output { stdout: format!("{}Z\n", look.ground).into_bytes(), ..Output::default() }))
        }
        Question::Script(_) => {
            Answer::Script(Ok(Output { stdout: format!("{}Z 0 end\n", look.files).into_bytes(), ..Output::default() }))
        }
        Question::Http { request, .. } => {
            let host = request.url.trim_start_matches("http://").split(':').next().unwrap_or_default();
            let names = case.masters.iter().chain(&case.slaves);
            let found =
                names.filter(|name| address(name) == host).find_map(|name| Some((name, look.states.get(name)?)));
            Answer::Http(match found {
                Some((name, short)) => Ok(HttpResponse {
                    status: 200,
                    headers: Vec::new(),
                    body: state(name, short),
                    url: request.url.clone(),
                }),
                None => Err("connection refused".to_owned()),
            })
        }
        Question::Children { servers, .. } if servers.iter().all(|server| look.down.contains(server)) => {
            Answer::Children(Err("connection refused".to_owned()))
        }
        Question::Children { path, .. } => {
            assert_eq!(path, "/mesos", "{}", case.name);
            Answer::Children(match &look.znodes {
                Value::Object(map) => Ok(map
                    .iter()
                    .map(|(name, of)| Znode {
                        name: name.clone(),
                        data: pid(of.as_str().unwrap_or_default()).into_bytes(),
                        owner: 1,
                    })
                    .collect()),
                other => Err(other.as_str().unwrap_or("no server answers").to_owned()),
            })
        }
        other => panic!("{}: {other:?}", case.name),
    }
}

fn gate(case: &Case) -> Box<dyn Gate> {
    // The fixture speaks for the host `h1`.
    let name = |name: &String| if *name == case.here { "h1".to_owned() } else { name.clone() };
    let mut here = Fixture::default();
    here.groups.insert("masters".to_owned(), case.masters.iter().map(name).collect());
    here.groups.insert("slaves".to_owned(), case.slaves.iter().map(name).collect());
    for member in case.masters.iter().chain(&case.slaves) {
        let variables = here.variables.entry(name(member)).or_default();
        variables.insert("ansible_host".to_owned(), address(member).into());
        if *member == case.here {
            variables.insert("mesos".to_owned(), case.facts.clone());
            let at_work = case.at_work.iter().map(|hosts| hosts.iter().map(name).collect::<Vec<_>>());
            variables.extend(at_work.map(|hosts| ("ansible_play_hosts_all".to_owned(), hosts.into())));
        }
    }
    let spec = find(&case.module).expect("a module");
    let arguments = Arguments::check(spec, case.args.clone()).expect("right arguments");
    match (spec.build)(&arguments, &here) {
        Ok(Bound::Gate(gate)) => gate,
        other => panic!("{}: {other:?}", case.name),
    }
}

/// Whether everything of `part` is in `whole`.
fn within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|whole| within(value, whole)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(part, whole)| within(part, whole))
        }
        (Value::Number(part), Value::Number(whole)) => part.as_f64() == whole.as_f64(),
        _ => part == whole,
    }
}

fn run_case(case: &Case) {
    let gate = gate(case);
    let mut memory = Value::Null;
    for (number, look) in case.looks.iter().enumerate() {
        let mut answers = Vec::new();
        for _ in 0..5 {
            let round = gate.questions(&answers);
            if round.is_empty() {
                break;
            }
            answers.extend(round.iter().map(|question| answer(case, look, question)));
        }
        assert_eq!(gate.questions(&answers), vec![], "{}: the questions never end", case.name);
        let verdict = gate.judge(&answers, &mut memory, Duration::from_secs(look.at));
        let place = format!("{}, look {}: {verdict:?}", case.name, number + 1);
        match (&verdict, &look.ready, &look.not_yet, &look.never) {
            (Verdict::Ready(result), Some(expected), None, None) => {
                assert!(within(expected, &Value::Object(result.clone())), "{place}\nexpected {expected}");
            }
            (Verdict::NotYet(why), None, Some(expected), None) => assert!(why.contains(expected.as_str()), "{place}"),
            (Verdict::Never(failure), None, None, Some(expected)) => {
                assert!(failure.message.contains(expected.as_str()), "{place}");
            }
            _ => panic!("{place}"),
        }
        // Answers that break off at any point are judged without a panic.
        for end in 0..answers.len() {
            let _ = gate.judge(answers.get(..end).unwrap_or_default(), &mut Value::Null, Duration::ZERO);
            let _ = gate.questions(answers.get(..end).unwrap_or_default());
        }
    }
}

#[test]
fn every_case_of_the_data_files_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules/mesos_gates");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("the cases").map(|entry| entry.expect("a case").path()).collect();
    paths.sort();
    let mut count = 0;
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("text");
        let cases: Vec<Case> = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for case in &cases {
            run_case(case);
            count += 1;
        }
    }
    assert!(count >= 25, "{count} cases");
}

#[test]
fn the_look_at_processes_runs_on_dash_and_on_busybox() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("mesos-master");
    std::fs::copy("/bin/sleep", &program).expect("copied");
    let log = folder.path().join("said.log");
    std::fs::write(&log, "Failed to load unknown flag 'roles'\n").expect("written");
    let mut child =
        Command::new(&program).arg("600").env("MESOS_ZK", "zk://h:1/mesos").env("OTHER", "1").spawn().expect("runs");
    let question = look(Some(Daemon::Master), &[log.display().to_string()]);
    let Question::Script(script) = &question else { panic!("{question:?}") };
    for shell in [&["dash"][..], &["busybox", "sh"]] {
        let output = Command::new(shell[0]).args(&shell[1..]).args(["-c", script.as_str()]).output().expect("runs");
        let output = Output { stdout: output.stdout, stderr: output.stderr, ..Output::default() };
        assert_eq!(output.err(), "", "{shell:?}");
        let local = read_local(Some(&Answer::Script(Ok(output)))).expect("whole");
        let found = local.processes.iter().find(|(_, process)| process.pid == child.id()).map(|(_, process)| process);
        let process = found.expect("the process is found");
        assert_eq!(process.words, [program.display().to_string(), "600".to_owned()]);
        assert_eq!(process.environment, [("MESOS_ZK".to_owned(), "zk://h:1/mesos".to_owned())]);
        assert_eq!(process.program, program.display().to_string());
        assert_eq!(process.flag("zk").as_deref(), Some("zk://h:1/mesos"));
        assert!(process.started > 0);
        assert!(local.log.contains("unknown flag 'roles'"), "{}", local.log);
    }
    child.kill().expect("ours");
    child.wait().expect("ended");
}

#[test]
fn a_cut_or_forged_look_is_no_answer() {
    let read = |text: &str| {
        read_local(Some(&Answer::Script(Ok(Output { stdout: text.as_bytes().to_vec(), ..Output::default() }))))
    };
    assert!(read("").is_err());
    assert!(read("P master 1 1 1\n").is_err(), "the last line is missing");
    assert!(read("P master x y z\nP\nX\nV\nA\nZ\n").expect("whole").processes.is_empty());
    let forked = read("P slave 10 1 5\nP slave 11 10 6\nZ\n").expect("whole");
    assert_eq!(forked.process(Daemon::Slave).map(|process| process.pid), Some(10), "the parent, not a fork of it");
}

/// Every task of a play, those of blocks too.
fn tasks(list: &Value) -> Vec<&Value> {
    let each = list.as_array().into_iter().flatten();
    each.flat_map(|task| task.get("block").map_or_else(|| vec![task], tasks)).collect()
}

#[test]
fn the_playbook_gives_every_module_what_it_takes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks/mesos/upgrade-0.13-to-0.14.yml");
    let plays: Value = serde_yaml::from_str(&std::fs::read_to_string(path).expect("text")).expect("YAML");
    let (mut order, mut checked) = (Vec::new(), 0);
    for play in plays.as_array().expect("plays") {
        order.push(field(play, "name").to_owned());
        for task in tasks(&play["tasks"]) {
            for (name, given) in task.as_object().expect("a mapping") {
                let Some(spec) = find(name).filter(|spec| spec.name.starts_with("mesos_") || spec.name == "release")
                else {
                    continue;
                };
                let given = given.as_object().expect("options");
                for key in given.keys() {
                    assert!(spec.options.iter().any(|option| option.name == key), "{name} has no `{key}`");
                }
                for option in spec.options.iter().filter(|option| option.required) {
                    assert!(given.contains_key(option.name), "{name} needs `{}`", option.name);
                }
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 29, "a task was added or taken out: count it");
    let steps: Vec<&str> = order.iter().filter_map(|name| name.split('.').next()).collect();
    assert_eq!(steps.get(1..), Some(&["1", "2", "3", "4", "5", "8", "9"][..]), "the guide's order");
}
