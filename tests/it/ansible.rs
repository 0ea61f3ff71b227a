//! Ansible itself as judge: playbooks that go over the whole language are run by ansible-core and by stagger on the same
//! rehearsal hosts, and everything that can be seen of a run is compared: the text, each task's status and registered
//! result on each host, the recap, the exit code, and the files on the hosts with owner and mode.
//!
//! What Ansible did is kept under `tests/ansible/recorded`, so that the suite is quick; two playbooks are run by it each time.
//! `STAGGER_RECORD=1 cargo test --test it ansible::` records all anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Map, Value, json};

use judge::{Seen, compare, same_work};

mod judge;

/// The version whose behaviour facts and expectations are about.
const ANSIBLE: &str = "ansible-core==2.19.14";

/// Playbooks that Ansible runs each time.
const LIVE: &[&str] = &["force", "percent"];

/// Playbooks whose plays a guard stops: `stagger run` stops a rolling play at its first failed host, and lets hosts at work
/// finish their own sequence.
const OWN_RULES: &[&str] = &["fatal", "guards", "serial"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ansible")
}

#[expect(clippy::disallowed_methods, reason = "a test reads what was written")]
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rehearsal hosts of all playbooks, one after another.
struct Field {
    held: tempfile::TempDir,
    net: String,
}

impl Field {
    #[track_caller]
    fn up() -> Self {
        let held = tempfile::Builder::new().prefix("judge").tempdir().expect("a folder");
        // Tests of several working copies may run side by side.
        let net = format!("127.1.{}", 1 + std::process::id() % 250);
        let field = Self { held, net };
        field.lay_inventory();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_stagger"), field.path("ansible-playbook")).expect("a link");
        let mut hosts = String::from("all:\n  hosts:\n");
        for number in 1..=4 {
            let _ = writeln!(hosts, "    h{number}: {{ansible_host: {}.{number}}}", field.net);
        }
        let file = field.path("lab.yml");
        fs::write(&file, hosts).expect("an inventory");
        let done = field.lab(&["up", "-i", &file.display().to_string()]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        field
    }

    fn lay_inventory(&self) {
        for folder in ["", "group_vars", "host_vars"] {
            fs::create_dir_all(self.path("inventory").join(folder)).expect("a folder");
            for entry in fs::read_dir(root().join("inventory").join(folder)).expect("the inventory") {
                let from = entry.expect("an entry").path();
                if from.is_file() {
                    let text =
                        read(&from).replace("NET", &self.net).replace("LAB", &self.path("lab").display().to_string());
                    let to = self.path("inventory").join(folder).join(from.file_name().expect("a name"));
                    fs::write(to, text).expect("written");
                }
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.held.path().join(name)
    }

    fn lab(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_stagger"))
            .args(["lab", "--dir"])
            .arg(self.path("lab"))
            .args(words)
            .output()
            .expect("stagger runs")
    }

    fn ssh(&self, host: &str, script: &str) -> String {
        let done = Command::new("ssh")
            .arg("-F")
            .arg(self.path("lab/ssh_config"))
            .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-l", "root", host, script])
            .output()
            .expect("ssh runs");
        assert!(done.status.success(), "{host}: {script}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Each playbook begins with the same hosts: all of them write below one folder.
    fn clean(&self) {
        for host in ["h1", "h2", "h3", "h4"] {
            self.ssh(host, "rm -rf /srv/t && mkdir -p -m 755 /srv/t && date >/dev/null");
        }
        let _ = fs::remove_dir_all(self.path("fetched"));
    }

    /// Content, owner and mode of all that a playbook left.
    fn files(&self) -> BTreeMap<String, Vec<String>> {
        let script = "cd /srv/t && find . -mindepth 1 -printf '%P %y %m %U:%G %l\\n' | LC_ALL=C sort; \
                      find . -type f ! -name '*~' -exec sha1sum {} + | LC_ALL=C sort -k 2";
        let mut files: BTreeMap<String, Vec<String>> = ["h1", "h2", "h3", "h4"]
            .into_iter()
            .map(|host| (host.to_owned(), self.ssh(host, script).lines().map(str::to_owned).collect()))
            .collect();
        let here = Command::new("sh")
            .args(["-c", "cd \"$1\" 2>/dev/null && find . -type f -exec sha1sum {} + | LC_ALL=C sort -k 2", "sh"])
            .arg(self.path("fetched"))
            .output()
            .expect("sh runs");
        files.insert("here".to_owned(), String::from_utf8_lossy(&here.stdout).lines().map(str::to_owned).collect());
        files
    }

    /// Words that differ from run to run and place to place, as in `recorded`.
    fn plain(&self, text: &str) -> String {
        text.replace(&root().display().to_string(), "ROOT")
            .replace(&self.path("fetched").display().to_string(), "FETCHED")
            .replace(&self.path("inventory").display().to_string(), "INVENTORY")
            .replace(&self.held.path().display().to_string(), "HELD")
            .replace(&format!("{}.", self.net), "NET.")
    }

    fn words(&self, playbook: &Playbook, words: &str) -> Vec<String> {
        let words = words
            .replace("ROOT", &root().display().to_string())
            .replace("FETCHED", &self.path("fetched").display().to_string());
        let mut all = shlex::split(&words).expect("words");
        all.push(format!("{}.yml", playbook.name));
        all.extend(["-i".to_owned(), self.path("inventory/hosts.ini").display().to_string()]);
        all
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(root())
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", self.held.path())
            .env("USER", "root")
            // Ansible takes none, and the order of what is said is compared.
            .env("STAGGER_LEASE", "off")
            .env("XDG_STATE_HOME", self.path("state"))
            .stdin(Stdio::null());
        command
    }

    fn finish(&self, playbook: &Playbook, output: &Output, results: Vec<Value>) -> Seen {
        Seen {
            check: playbook.arguments.contains("--check"),
            exit: output.status.code().unwrap_or(-1),
            text: self.plain(&String::from_utf8_lossy(&output.stdout)),
            errors: self.plain(&String::from_utf8_lossy(&output.stderr)),
            results,
            files: self.files(),
        }
    }

    fn by_ansible(&self, playbook: &Playbook) -> Seen {
        let program = venv().join("bin/ansible-playbook");
        let events = self.path("events.jsonl");
        let run = |words: &str| {
            let _ = fs::remove_file(&events);
            self.command(&program)
                .args(self.words(playbook, words))
                .env("EVENTS", &events)
                .env("ANSIBLE_CALLBACK_PLUGINS", root().join("callback_plugins"))
                .env("ANSIBLE_CALLBACKS_ENABLED", "events")
                .env("ANSIBLE_PYTHON_INTERPRETER", "/usr/bin/python3")
                .env("ANSIBLE_PIPELINING", "True")
                .env("ANSIBLE_FORKS", "8")
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .env("ANSIBLE_DEPRECATION_WARNINGS", "False")
                .output()
                .expect("ansible runs")
        };
        self.clean();
        if let Some(before) = &playbook.before {
            run(before);
        }
        let output = run(&playbook.arguments);
        let text = if events.exists() { read(&events) } else { String::new() };
        let results = text.lines().map(|line| serde_json::from_str(&self.plain(line)).expect("an event")).collect();
        self.finish(playbook, &output, results)
    }

    fn by_stagger(&self, playbook: &Playbook, program: &Path, first: &[&str]) -> Seen {
        let run = |words: &str| {
            let _ = fs::remove_dir_all(self.path("state"));
            self.command(program).args(first).args(self.words(playbook, words)).output().expect("stagger runs")
        };
        self.clean();
        if let Some(before) = &playbook.before {
            run(before);
        }
        let output = run(&playbook.arguments);
        let results = self.journal();
        self.finish(playbook, &output, results)
    }

    /// What the journal says each task came to on each host.
    fn journal(&self) -> Vec<Value> {
        let found = Command::new("find").arg(self.path("state")).args(["-name", "journal.jsonl"]).output();
        let found = String::from_utf8_lossy(&found.expect("find runs").stdout).into_owned();
        let Some(journal) = found.lines().next() else { return Vec::new() };
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        let mut results = Vec::new();
        for line in self.plain(&read(Path::new(journal))).lines().skip(1) {
            let event: Value = serde_json::from_str(line).expect("an event");
            let key = event["key"].to_string();
            match event["event"].as_str() {
                Some("task_started") => {
                    names.insert(key, event["name"].as_str().unwrap_or_default().to_owned());
                }
                Some("host_finished") => {
                    let task = names.get(&key).cloned().unwrap_or_default();
                    results.push(json!({
                        "task": task, "host": event["host"], "status": event["status"], "result": event["result"],
                    }));
                }
                _ => {}
            }
        }
        results
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        self.lab(&["down"]);
    }
}

/// ansible-core in a virtual environment of its own, made when it is not there. Tests that run side by side wait for one.
pub(crate) fn venv() -> PathBuf {
    static MADE: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let make = || {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ansible-venv");
        if !folder.join("bin/ansible-playbook").exists() {
            let run = |program: &Path, words: &[&str]| {
                let done = Command::new(program).args(words).output().expect("it starts");
                assert!(done.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&done.stderr));
            };
            run(Path::new("python3"), &["-m", "venv", &folder.display().to_string()]);
            run(&folder.join("bin/pip"), &["install", "-q", ANSIBLE]);
        }
        folder
    };
    MADE.get_or_init(make).clone()
}

/// A playbook with what its first comments say.
struct Playbook {
    name: String,
    /// The command line, besides the inventory.
    arguments: String,
    /// The command line of a run before the one that counts.
    before: Option<String>,
}

impl Playbook {
    fn all() -> Vec<Self> {
        let only = std::env::var("STAGGER_PLAYBOOK").ok();
        let mut all = Vec::new();
        for entry in fs::read_dir(root()).expect("the folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_none_or(|extension| extension != "yml") {
                continue;
            }
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            if only.as_ref().is_some_and(|only| !only.split(',').any(|one| one == name)) {
                continue;
            }
            let text = read(&path);
            let said = |key: &str| {
                let lead = format!("# {key}: ");
                text.lines().find_map(|line| line.strip_prefix(&lead).map(str::to_owned))
            };
            all.push(Self { name, arguments: said("arguments").unwrap_or_default(), before: said("before") });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn recorded(&self) -> PathBuf {
        root().join("recorded").join(format!("{}.json", self.name))
    }
}

#[test]
fn playbooks_run_as_ansible_runs_them() {
    let field = Field::up();
    let record = std::env::var_os("STAGGER_RECORD").is_some();
    let mut wrong = String::new();
    for playbook in Playbook::all() {
        let file = playbook.recorded();
        if record || !file.exists() {
            let seen = field.by_ansible(&playbook);
            fs::create_dir_all(root().join("recorded")).expect("a folder");
            fs::write(&file, seen.write()).expect("written");
        }
        let theirs = if LIVE.contains(&playbook.name.as_str()) && !record {
            field.by_ansible(&playbook)
        } else {
            Seen::read(&read(&file))
        };
        let ours = field.by_stagger(&playbook, &field.path("ansible-playbook"), &[]);
        let mut found = compare(&theirs, &ours);
        if !OWN_RULES.contains(&playbook.name.as_str()) {
            let own = field.by_stagger(&playbook, Path::new(env!("CARGO_BIN_EXE_stagger")), &["run"]);
            found += &same_work(&ours, &own);
        }
        if !found.is_empty() {
            let _ = writeln!(wrong, "\n===== {}\n{found}", playbook.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Keeps the order of keys out of what is recorded.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            Value::Object(keys.into_iter().map(|key| (key.clone(), sorted(&map[key]))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
