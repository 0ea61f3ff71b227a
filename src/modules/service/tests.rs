#![expect(clippy::disallowed_methods, reason = "a test reads its own files")]

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::modules::fixture::{Fixture, SHELLS, Shell, bind, run_script};

fn service(arguments: Value) -> Service {
    let checked = Arguments::check(&SPEC, arguments.as_object().cloned().unwrap_or_default()).expect("arguments");
    let span = |option: &str| checked.duration(option).unwrap_or_default();
    let name = checked.required("name");
    let daemon = checked
        .text("pidfile")
        .map(|pidfile| daemon(&checked, &name, pidfile, checked.required("command")).expect("a daemon"));
    Service {
        state: Wanted::of(&checked),
        enabled: checked.has("enabled").then(|| checked.flag("enabled")),
        manager: if daemon.is_some() { "daemon".to_owned() } else { checked.required("use") },
        pattern: checked.text("pattern"),
        extra: String::new(),
        pause: None,
        stop_limit: span("stop_timeout"),
        start_limit: span("start_timeout"),
        settle: Duration::from_millis(300),
        daemon,
        scope: "",
        flags: String::new(),
        wait: true,
        root: String::new(),
        name,
    }
}

fn refused(arguments: Value) -> String {
    bind(&SPEC, arguments, &Fixture::default()).expect_err("is refused").message
}

/// Probes and applies until it is as wanted; the summaries of the steps that were done, or the failure's message.
fn bring(shell: Shell, service: &Service) -> Result<Vec<String>, String> {
    let change = service.steps(&run_script(&shell, &service.probe())).map_err(|failure| failure.message)?;
    let done = change.steps.iter().map(|step| step.summary.clone()).collect();
    let mut outputs = Vec::new();
    for step in &change.steps {
        let crate::modules::Act::Script { script, .. } = &step.act else { panic!("a script") };
        outputs.push(Applied::Output(run_script(&shell, script)));
    }
    service.finish(change, &outputs).map_err(|failure| failure.message)?;
    Ok(done)
}

fn only(summary: &str) -> Result<Vec<String>, String> {
    Ok(vec![summary.to_owned()])
}

fn nothing() -> Result<Vec<String>, String> {
    Ok(Vec::new())
}

fn pid(shell: Shell, service: &Service) -> u32 {
    Seen::parse(&run_script(&shell, &service.probe()).out()).pid.expect("it runs")
}

fn without_pids(done: Result<Vec<String>, String>) -> Result<Vec<String>, String> {
    done.map(|lines| lines.iter().map(|line| line.split(" (process").next().unwrap_or(line).to_owned()).collect())
}

#[test]
fn a_daemon_with_only_a_pid_file_starts_restarts_and_stops() {
    for &shell in SHELLS {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let wanted = |state: &str| {
            service(json!({"name": "sleeper", "state": state, "pidfile": at("run/x.pid"), "log": at("x.log"),
                           "command": "sleep 300", "stop_timeout": 10}))
        };
        assert_eq!(bring(shell, &wanted("stopped")), nothing());
        assert_eq!(bring(shell, &wanted("started")), only("start sleeper"), "{shell:?}");
        assert_eq!(bring(shell, &wanted("started")), nothing());
        let first = pid(shell, &wanted("started"));
        assert_eq!(without_pids(bring(shell, &wanted("restarted"))), only("restart sleeper"));
        let second = pid(shell, &wanted("started"));
        assert_ne!(first, second);
        // A number that another process has now (after a reboot, say) is not this daemon.
        let born = std::fs::read_to_string(at("run/x.pid.born")).expect("a record");
        std::fs::write(at("run/x.pid.born"), format!("{}1\n", born.trim())).expect("written");
        assert_eq!(bring(shell, &wanted("stopped")), nothing());
        std::fs::write(at("run/x.pid.born"), born).expect("written");
        assert_eq!(without_pids(bring(shell, &wanted("stopped"))), only("stop sleeper"));
        assert!(!Path::new(&format!("/proc/{second}/exe")).exists());
        assert_eq!(bring(shell, &wanted("stopped")), nothing());
    }
}

#[test]
fn a_daemon_that_dies_at_once_is_a_failure_with_its_last_words() {
    for &shell in SHELLS {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let dying = service(json!({"name": "dying", "state": "started", "pidfile": at("x.pid"), "log": at("x.log"),
            "command": "sh -c 'echo Failed to load unknown flag >&2; exit 1'", "start_timeout": 1}));
        let message = bring(shell, &dying).expect_err("fails");
        assert!(message.contains("dying was started, but is not running") || message.contains("dying died within"));
        assert!(message.contains("its log ends with:\nFailed to load unknown flag"), "{shell:?}: {message}");
    }
}

/// An init script as people write them, for a daemon that sleeps.
fn init_script(root: &Path, name: &str, status: &str) {
    let folder = root.join("etc/init.d");
    std::fs::create_dir_all(&folder).expect("a folder");
    let pidfile = root.join(format!("{name}.pid")).display().to_string();
    let text = format!(
        "#!/bin/sh\nPIDFILE={pidfile}\ncase $1 in\nstart) sleep 301 </dev/null & echo $! >$PIDFILE ;;\n\
         stop) kill $(cat $PIDFILE); rm -f $PIDFILE ;;\n{status}\n*) echo 'Usage: x start|stop'; exit 1 ;;\nesac\n"
    );
    let path = folder.join(name);
    // Written by a child: a file that this process has open for writing can't be executed by another thread's child.
    let mut child = std::process::Command::new("sh")
        .args(["-c", "cat >\"$1\"; chmod 755 \"$1\"", "sh"])
        .arg(&path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("sh");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    assert!(child.wait().expect("ends").success());
}

fn in_root(root: &Path, arguments: Value) -> Service {
    Service { root: root.display().to_string(), manager: "sysvinit".to_owned(), ..service(arguments) }
}

#[test]
fn init_scripts_with_and_without_a_status_start_and_stop() {
    let lsb = "status) pid=$(cat $PIDFILE 2>/dev/null) || { echo stopped; exit 3; }; \
               [ -d /proc/$pid ] && { echo \"is running, pid $pid\"; exit 0; }; echo dead; exit 1 ;;";
    for &shell in SHELLS {
        for status in [lsb, ""] {
            let folder = tempfile::tempdir().expect("a folder");
            init_script(folder.path(), "sleeper", status);
            let wanted = |state: &str| in_root(folder.path(), json!({"name": "sleeper", "state": state}));
            assert_eq!(bring(shell, &wanted("stopped")), nothing(), "{shell:?} {status}");
            assert_eq!(bring(shell, &wanted("started")), only("start sleeper"));
            assert_eq!(bring(shell, &wanted("started")), nothing());
            let before = pid(shell, &wanted("started"));
            assert_eq!(without_pids(bring(shell, &wanted("restarted"))), only("restart sleeper"));
            assert_ne!(pid(shell, &wanted("started")), before);
            assert_eq!(without_pids(bring(shell, &wanted("stopped"))), only("stop sleeper"));
            assert_eq!(bring(shell, &wanted("stopped")), nothing());
        }
    }
}

#[test]
fn an_init_script_that_stops_nothing_is_a_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let status = "status) kill -0 $(cat $PIDFILE) 2>/dev/null || exit 3 ;;\nreload) : ;;";
    init_script(folder.path(), "stubborn", status);
    let path = folder.path().join("etc/init.d/stubborn");
    let wanted = |state: &str| in_root(folder.path(), json!({"name": "stubborn", "state": state, "stop_timeout": 1}));
    assert_eq!(bring(Shell::Dash, &wanted("started")), only("start stubborn"));
    let kept = std::fs::read_to_string(&path).expect("the script");
    let broken = kept.replace("stop) kill $(cat $PIDFILE); rm -f $PIDFILE", "stop) :");
    assert!(
        std::process::Command::new("sh")
            .args(["-c", "printf %s \"$2\" >\"$1.new\" && chmod 755 \"$1.new\" && mv \"$1.new\" \"$1\"", "sh"])
            .arg(&path)
            .arg(&broken)
            .status()
            .expect("sh")
            .success()
    );
    let message = bring(Shell::Dash, &wanted("stopped")).expect_err("fails");
    assert!(message.contains("of stubborn still runs 1 s after it was told to stop"), "{message}");
    assert!(
        std::process::Command::new("sh")
            .args(["-c", "printf %s \"$2\" >\"$1.new\" && chmod 755 \"$1.new\" && mv \"$1.new\" \"$1\"", "sh"])
            .arg(&path)
            .arg(&kept)
            .status()
            .expect("sh")
            .success()
    );
    assert_eq!(without_pids(bring(Shell::Dash, &wanted("stopped"))), only("stop stubborn"));
}

#[test]
fn without_a_tool_the_links_of_the_run_levels_are_made() {
    let folder = tempfile::tempdir().expect("a folder");
    init_script(folder.path(), "sleeper", "");
    std::fs::create_dir_all(folder.path().join("etc/rc2.d")).expect("a folder");
    let wanted = |enabled: bool| in_root(folder.path(), json!({"name": "sleeper", "enabled": enabled}));
    assert_eq!(bring(Shell::Busybox, &wanted(true)), only("enable sleeper"));
    assert!(folder.path().join("etc/rc2.d/S20sleeper").exists());
    assert_eq!(bring(Shell::Busybox, &wanted(true)), nothing());
    assert_eq!(bring(Shell::Busybox, &wanted(false)), only("disable sleeper"));
    assert_eq!(bring(Shell::Busybox, &wanted(false)), nothing());
    assert!(!folder.path().join("etc/rc2.d/S20sleeper").exists());
}

/// A command that answers from a file, for managers that aren't here.
fn stub(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("written");
    std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755)).expect("made executable");
}

#[test]
fn upstart_is_read_and_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    std::fs::create_dir_all(root.join("etc/init")).expect("a folder");
    std::fs::write(root.join("etc/init/m.conf"), "start on runlevel [2345]\nrespawn\n").expect("written");
    std::fs::write(root.join("state"), "m stop/waiting\n").expect("written");
    // upstart 1.12's words, as initctl(8) prints them.
    stub(
        root,
        "initctl",
        &format!(
            "#!/bin/sh\ncd {root}\ncase $1 in\nversion) echo 'init (upstart 1.12.1)' ;;\nstatus) cat state ;;\n\
         start) echo \"m start/running, process {pid}\" >state ;;\nstop) echo 'm stop/waiting' >state ;;\nesac\n",
            root = root.display(),
            pid = std::process::id(),
        ),
    );
    let path = format!("{}:{}", root.display(), std::env::var("PATH").unwrap_or_default());
    let run = |script: &Script| {
        let text = Script::new().set("PATH", &path).line("export PATH").then(script);
        run_script(&Shell::Dash, &text)
    };
    let wanted = |arguments: Value| Service {
        root: root.display().to_string(),
        manager: "upstart".to_owned(),
        ..service(arguments)
    };
    let started = wanted(json!({"name": "m", "state": "started", "enabled": false}));
    let change = started.steps(&run(&started.probe())).expect("steps");
    let summaries: Vec<&str> = change.steps.iter().map(|step| step.summary.as_str()).collect();
    assert_eq!(summaries, ["disable m", "start m"]);
    for step in &change.steps {
        let crate::modules::Act::Script { script, .. } = &step.act else { panic!("a script") };
        let output = run(script);
        assert_eq!((output.status, output.err()), (0, String::new()));
    }
    assert_eq!(std::fs::read_to_string(root.join("etc/init/m.override")).expect("made"), "manual\n");
    assert_eq!(started.steps(&run(&started.probe())).expect("steps").steps, Vec::new());
    // Between two tries of its supervisor it does not run, and stopping it is something to do.
    std::fs::write(root.join("state"), "m start/post-stop\n").expect("written");
    let stopped = wanted(json!({"name": "m", "state": "stopped"}));
    assert_eq!(stopped.steps(&run(&stopped.probe())).expect("steps").steps.len(), 1);
}

const ACTIVE: &str = "looked systemd\nmanager systemd\nrunning yes\npid 812\nshow LoadState=loaded\n\
                      show CanReload=no\nshow ActiveState=active\nenabled enabled\n";

fn planned(arguments: Value, said: &str) -> Result<Vec<String>, String> {
    let seen = Output { stdout: said.as_bytes().to_vec(), ..Output::default() };
    let change = service(arguments).steps(&seen).map_err(|failure| failure.message)?;
    Ok(change.steps.into_iter().map(|step| step.summary).collect())
}

#[test]
fn steps_follow_from_what_the_manager_says() {
    let m = |state: &str| json!({"name": "m", "state": state});
    assert_eq!(planned(m("started"), ACTIVE), nothing());
    assert_eq!(planned(m("stopped"), ACTIVE), only("stop m (process 812)"));
    assert_eq!(planned(m("restarted"), ACTIVE), only("restart m (process 812)"));
    assert!(planned(m("reloaded"), ACTIVE).expect_err("can't").contains("no ExecReload"));
    assert_eq!(planned(json!({"name": "m", "enabled": true}), ACTIVE), nothing());
    assert_eq!(planned(json!({"name": "m", "enabled": "no"}), ACTIVE), only("disable m"));
    let failed = ACTIVE.replace("running yes\npid 812", "running failed\npid ");
    assert_eq!(planned(m("stopped"), &failed), nothing());
    assert_eq!(planned(m("restarted"), &failed), only("start m (it failed before)"));
    let again = ACTIVE.replace("running yes\npid 812", "running starting\npid ");
    assert_eq!(planned(m("stopped"), &again), only("stop m"));
    let dead = "looked sysvinit\nmanager sysvinit\nrunning dead\npid \nenabled enabled\n";
    assert_eq!(planned(m("stopped"), dead), only("stop m"));
    let masked = ACTIVE.replace("loaded", "masked").replace("running yes\npid 812", "running no\npid ");
    assert!(planned(m("started"), &masked).expect_err("can't").contains("m is masked"));
    assert_eq!(planned(m("stopped"), &masked), nothing());
}

#[test]
fn a_later_task_is_previewed_by_what_an_earlier_one_leaves() {
    let stop = service(json!({"name": "m", "state": "stopped", "stop_timeout": 90}));
    let start = service(json!({"name": "m", "state": "started", "enabled": false}));
    assert_eq!(stop.probe(), start.probe(), "both ask the same");
    let seen = Output { stdout: ACTIVE.as_bytes().to_vec(), ..Output::default() };
    let leaves = |service: &Service, seen: &Output| {
        let change = service.steps(seen).expect("steps");
        let summaries: Vec<String> = change.steps.iter().map(|step| step.summary.clone()).collect();
        (summaries, service.expect(seen, &change).expect("a preview"))
    };
    let (done, stopped) = leaves(&stop, &seen);
    assert_eq!(done, ["stop m (process 812)"]);
    assert_eq!(leaves(&stop, &stopped).0, Vec::<String>::new());
    let (done, started) = leaves(&start, &stopped);
    assert_eq!(done, ["disable m", "start m"]);
    assert_eq!(leaves(&start, &started).0, Vec::<String>::new());
}

#[test]
fn a_restart_is_not_repeated_blindly() {
    let once = |state: &str| {
        let seen = Output { stdout: ACTIVE.replace("CanReload=no", "CanReload=yes").into_bytes(), ..Output::default() };
        service(json!({"name": "m", "state": state})).steps(&seen).expect("steps").steps[0].once
    };
    assert!(once("restarted") && once("reloaded") && !once("stopped"));
}

#[test]
fn a_service_that_nobody_knows_says_who_was_asked() {
    let message = planned(json!({"name": "m", "state": "started"}), "looked systemd sysvinit\nmanager none\n");
    let message = message.expect_err("fails");
    let start = "Could not find the requested service m: systemd, sysvinit was asked and does not know it.";
    assert!(message.starts_with(start), "{message}");
}

#[test]
fn the_result_has_ansibles_keys_and_the_process() {
    let seen = Output { stdout: ACTIVE.as_bytes().to_vec(), ..Output::default() };
    let service = service(json!({"name": "m", "state": "restarted", "enabled": true}));
    let change = service.steps(&seen).expect("steps");
    let output = Output { stdout: b"pid 900\n".to_vec(), ..Output::default() };
    let result = service.finish(change, &[Applied::Output(output)]).expect("a result");
    assert_eq!(
        Value::Object(result),
        json!({"name": "m", "manager": "systemd", "enabled": true, "state": "started", "pid": 900,
               "status": {"LoadState": "loaded", "CanReload": "no", "ActiveState": "active"}})
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert!(refused(json!({"name": "m"})).contains("needs one of `state`, `enabled`"));
    assert!(refused(json!({"name": "mesos-*", "state": "started"})).contains("no patterns"));
    assert!(refused(json!({"name": "m", "state": "started", "runlevel": "x"})).contains("only OpenRC has it"));
    assert!(refused(json!({"name": "m", "state": "started", "pidfile": "/x"})).contains("needs `command`"));
    assert!(
        refused(json!({"name": "m", "state": "started", "pidfile": "/x", "command": "m &"})).contains("foreground")
    );
    assert!(refused(json!({"name": "m", "state": "started", "pidfile": "x", "command": "m"})).contains("absolute"));
}

/// A case of `tests/modules/service`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    args: Map,
    seen: String,
    steps: Option<Vec<String>>,
    fails: Option<String>,
    /// The steps of a second run, where `state` always acts.
    #[serde(default)]
    again: Vec<String>,
}

#[test]
fn cases_give_their_steps_and_a_second_run_none() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules/service");
    for entry in std::fs::read_dir(folder).expect("cases") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a file of cases");
        for case in serde_yaml::from_str::<Vec<Case>>(&text).expect("cases") {
            let bound = bind(&SPEC, Value::Object(case.args), &Fixture::default()).expect("binds");
            let Bound::State(state) = bound else { panic!("a state") };
            let summaries = |change: &Change| change.steps.iter().map(|step| step.summary.clone()).collect::<Vec<_>>();
            let seen = Output { stdout: case.seen.into_bytes(), ..Output::default() };
            match state.steps(&seen) {
                Ok(change) => {
                    assert_eq!(Some(summaries(&change)), case.steps, "{}", case.name);
                    let after = state.expect(&seen, &change).expect("a preview");
                    assert_eq!(summaries(&state.steps(&after).expect("again")), case.again, "{}: again", case.name);
                }
                Err(failure) => assert_eq!(Some(failure.message), case.fails, "{}", case.name),
            }
        }
    }
}

#[test]
fn what_it_was_before_is_known_where_it_can_be_told() {
    let before = |text: &str| Value::Object(Seen::parse(text).before());
    assert_eq!(before("running yes\nenabled disabled\n"), json!({"state": "started", "enabled": false}));
    assert_eq!(before("running dead\nenabled static\n"), json!({}));
}
