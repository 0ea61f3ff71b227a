//! Links and restarts on both kinds of host. A library is a program here that sleeps, so that a process has it in its memory.

use std::process::{Child, Command};

use serde_json::json;

use crate::base::Value;
use crate::modules::local_host::{Host, KINDS, Kind};

/// A host with libraries. All tests see the same processes, so each has a library of a name of its own.
struct Bench {
    host: Host,
    name: String,
    running: Vec<Child>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        // What a restart has started is no child of this process.
        if let Ok(text) = std::fs::metadata(self.host.path("pid")).map(|_| self.host.read("pid")) {
            let _ = Command::new("kill").arg(String::from_utf8_lossy(&text).trim()).status();
        }
    }
}

impl Bench {
    fn new(kind: Kind) -> Self {
        let mut host = Host::new(kind);
        #[expect(clippy::disallowed_methods, reason = "a test makes a library of a program")]
        let sleeper = std::fs::read("/bin/sleep").expect("a program");
        for version in [1_u8, 2] {
            let mut bytes = sleeper.clone();
            bytes.push(version);
            host.here.files.insert(format!("libmesos-{version}").into(), bytes);
        }
        std::fs::create_dir(host.path("lib")).expect("a folder");
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // With letters at its end: digits there would be a version's.
        let name = format!("lib{}of{count}x", std::process::id());
        Self { host, name, running: Vec::new() }
    }

    fn wanted(&self, version: u8, more: Value) -> Value {
        let mut all = json!({
            "version": format!("0.1{}.0", version + 1), "src": format!("libmesos-{version}"), "library": self.link(),
            "root": self.host.path("opt"), "within": "20s",
        });
        for (key, value) in more.as_object().expect("a mapping") {
            all[key] = value.clone();
        }
        all
    }

    fn link(&self) -> String {
        self.host.path(&format!("lib/{}.so", self.name))
    }

    /// A version's file.
    fn file(&self, version: &str) -> String {
        self.host.path(&format!("opt/{0}/{version}/{0}", self.name))
    }

    /// A scheduler that has what the link leads to in its memory.
    fn start(&mut self, variable: Option<&str>) -> u32 {
        let mut command = Command::new(self.link());
        command.arg("300").envs(variable.map(|name| (name, "x")));
        let child = command.spawn().expect("runs");
        let pid = child.id();
        self.running.push(child);
        pid
    }

    /// A command that ends the process and starts it anew, from `program`.
    fn restarts(&self, pid: u32, program: &str) -> String {
        format!("kill {pid}; echo restarting; {program} 300 & echo $! >{}", self.host.path("pid"))
    }
}

#[test]
fn a_scheduler_with_the_old_library_is_restarted_and_seen_to_have_the_new() {
    for kind in KINDS {
        let mut bench = Bench::new(kind);
        let first = bench.host.changes_once("mesos_link", bench.wanted(1, json!({"of": "executors"})));
        assert_eq!(first["old"], json!([]), "{first:?}");
        let pid = bench.start(None);
        let link = bench.link();
        let command = bench.restarts(pid, &link);
        let told = json!({"restart": command, "confirm": {}});
        // 0.13 asks for no confirmation.
        let done = bench.host.changes_once("mesos_link", bench.wanted(2, told));
        assert_eq!(done["old"][0]["pid"], json!(pid));
        assert_eq!(done["restart_needed"], json!(false));
        let new = String::from_utf8(bench.host.read("pid")).expect("a number");
        let program = std::fs::read_link(format!("/proc/{}/exe", new.trim())).expect("it runs");
        assert_eq!(program, std::path::Path::new(&bench.file("0.13.0")));
        // The old one is kept: it is the way back.
        assert!(bench.host.names(&format!("opt/{}", bench.name)).contains(&"0.12.0".to_owned()));
    }
}

#[test]
fn where_nothing_has_the_old_library_nothing_is_restarted() {
    let bench = Bench::new(Kind::Busybox);
    let done = bench.host.changes_once("mesos_link", bench.wanted(1, json!({"restart": "exit 9"})));
    assert_eq!((&done["old"], &done["restart_needed"]), (&json!([]), &json!(false)));
}

#[test]
fn executors_go_on_and_are_named() {
    let mut bench = Bench::new(Kind::Gnu);
    bench.host.changes_once("mesos_link", bench.wanted(1, json!({})));
    let pid = bench.start(Some("MESOS_EXECUTOR_ID"));
    let done = bench.host.changes_once("mesos_link", bench.wanted(2, json!({"restart": "exit 9"})));
    assert_eq!((&done["old"], &done["executors"][0]["pid"]), (&json!([]), &json!(pid)));
    assert!(done["warnings"][0].as_str().is_some_and(|text| text.contains("until their tasks end: lib")), "{done:?}");
    let said = bench.host.fails("mesos_link", bench.wanted(2, json!({"of": "executors", "restart": "x"})));
    assert!(said.starts_with("`restart` is for schedulers"), "{said}");
}

#[test]
fn a_restart_that_brings_the_old_library_back_fails_and_says_who_has_it() {
    let mut bench = Bench::new(Kind::Busybox);
    bench.host.changes_once("mesos_link", bench.wanted(1, json!({})));
    let pid = bench.start(None);
    let command = bench.restarts(pid, &bench.file("0.12.0"));
    let said = bench.host.fails("mesos_link", bench.wanted(2, json!({"restart": command, "within": "1s"})));
    assert!(said.contains("the old library is still in use by") && said.contains("/0.12.0/lib"), "{said}");
    let said = bench
        .host
        .fails("mesos_link", bench.wanted(2, json!({"restart": "echo no such service >&2; exit 5", "within": "1s"})));
    assert_eq!(said, "`restart` ended with status 5: no such service");
    let pid = String::from_utf8(bench.host.read("pid")).expect("a number");
    let command = format!("kill {}", pid.trim());
    let said = bench.host.fails("mesos_link", bench.wanted(2, json!({"restart": command, "within": "1s"})));
    assert!(said.contains("no process has the new library"), "{said}");
}

#[test]
fn without_a_command_who_must_be_restarted_is_told() {
    let mut bench = Bench::new(Kind::Gnu);
    bench.host.changes_once("mesos_link", bench.wanted(1, json!({})));
    let pid = bench.start(None);
    let done = bench.host.changes_once("mesos_link", bench.wanted(2, json!({})));
    assert_eq!((&done["restart_needed"], &done["old"][0]["pid"]), (&json!(true), &json!(pid)));
}

#[test]
fn what_a_hop_asks_of_schedulers_must_be_answered() {
    let bench = Bench::new(Kind::Gnu);
    let ask = |version: &str, confirm: Value| {
        let mut all = bench.wanted(1, json!({"confirm": confirm}));
        all["version"] = version.into();
        bench.host.bind("mesos_link", all).map(|_| ()).map_err(|failure| failure.message)
    };
    let said = ask("0.15.0", json!({})).expect_err("unanswered");
    assert!(said.contains("`credential`") && said.contains("`reconcile`") && said.contains("reconcileTasks"), "{said}");
    assert!(ask("0.15.0", json!({"credential": true})).is_err_and(|said| !said.contains("`credential`")));
    assert_eq!(ask("0.15.0", json!({"credential": "yes", "reconcile": false})), Ok(()));
    assert!(ask("0.14.2", json!({})).is_err_and(|said| said.contains("FrameworkInfo.checkpoint")));
    assert!(ask("0.14.2", json!({"checkpiont": true})).is_err_and(|said| said.contains("did you mean `checkpoint`?")));
    assert!(ask("0.13.0", json!({"checkpoint": true})).is_err_and(|said| said.contains("nothing is to be confirmed")));
    assert!(ask("0.14.2", json!({"checkpoint": "perhaps"})).is_err_and(|said| said.contains("true or false")));
    let mut declined = bench.wanted(1, json!({"confirm": {"checkpoint": false}}));
    declined["version"] = "0.14.2".into();
    let done = bench.host.changes_once("mesos_link", declined);
    assert_eq!(done["declined"], json!(["checkpoint"]));
    assert!(done["warnings"][0].as_str().is_some_and(|text| text.contains("tasks are lost")));
}

#[test]
fn a_jar_is_linked_and_who_has_the_old_one_open_is_found() {
    for kind in KINDS {
        let mut bench = Bench::new(kind);
        for version in [1, 2] {
            bench.host.here.files.insert(format!("mesos-{version}.jar").into(), format!("jar {version}").into_bytes());
        }
        let wanted = |bench: &Bench, version: u8| {
            bench.wanted(
                version,
                json!({"jar": bench.host.path(&format!("lib/{}.jar", bench.name)), "jar_src": format!("mesos-{version}.jar")}),
            )
        };
        bench.host.changes_once("mesos_link", wanted(&bench, 1));
        let jar = std::fs::File::open(bench.host.path(&format!("lib/{}.jar", bench.name))).expect("linked");
        let child = Command::new("/bin/sleep").arg("300").stdin(jar).spawn().expect("runs");
        let pid = child.id();
        bench.running.push(child);
        let done = bench.host.changes_once("mesos_link", wanted(&bench, 2));
        assert_eq!(bench.host.read(&format!("lib/{}.jar", bench.name)), b"jar 2");
        assert_eq!(bench.host.mode(&format!("opt/{0}-jar/0.13.0/{0}-jar", bench.name)), 0o644);
        assert_eq!((&done["restart_needed"], &done["old"][0]["pid"]), (&json!(true), &json!(pid)), "{kind:?}");
    }
}

#[test]
fn a_link_that_is_no_librarys_is_refused() {
    let bench = Bench::new(Kind::Gnu);
    for link in ["/l/libmesos.so", "/l/libmesos-0.14.2.so", "/l/libmesos.so.0"] {
        assert_eq!(super::stem("library", link, ".so").as_deref(), Ok("libmesos"));
    }
    let said = bench.host.fails("mesos_link", bench.wanted(1, json!({"library": "/usr/lib/lib*.so"})));
    assert!(said.contains("ends in `.so`"), "{said}");
}
