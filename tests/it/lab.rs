//! Rehearsal hosts and stand-ins, as a whole: real sshd, real ZooKeeper, processes that are killed.
//! Needs root, openssh-server, sudo, busybox-static and zookeeper; fails where one is missing.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::rehearsal::{as_root, ssh};

/// A rehearsal of this test's own: its folder and its addresses; gone when it is dropped.
pub(super) struct Lab {
    folder: PathBuf,
    net: u32,
    /// Has the inventory.
    held: tempfile::TempDir,
}

impl Lab {
    /// `inventory` has `NET` for the first three bytes of its addresses, and may name the usual folder.
    #[track_caller]
    pub(super) fn up(number: u32, time: &str, inventory: &str) -> Lab {
        let held = tempfile::tempdir().expect("a folder");
        let folder = held.path().join("lab");
        let file = held.path().join("hosts.yml");
        let inventory = inventory.replace("/run/stagger-lab", folder.to_str().expect("a path"));
        let mut lab = Lab { folder, net: 0, held };
        // Tests of several working copies may run side by side: who meets another takes other addresses.
        for attempt in 0..8 {
            lab.net = 20 + (std::process::id() * 7 + number + attempt * 61) % 220;
            fs::write(&file, inventory.replace("NET", &lab.network())).expect("an inventory");
            let done = lab.stagger(&["up", "-i", file.to_str().expect("a path"), "--time", time]);
            if done.status.success() {
                return lab;
            }
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(attempt < 7 && said.contains("something else listens"), "{said}");
            lab.stagger(&["down"]);
        }
        lab
    }

    fn stagger(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_stagger"))
            .arg("lab")
            .arg("--dir")
            .arg(&self.folder)
            .args(words)
            .output()
            .expect("stagger runs")
    }

    #[track_caller]
    pub(super) fn fault(&self, words: &[&str]) {
        let done = self.stagger(&[&["fault"], words].concat());
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    pub(super) fn ssh(&self, user: &str, host: &str, script: &str) -> (i32, String) {
        ssh(&self.folder, user, host, script)
    }

    /// Runs a script as root that must succeed.
    #[track_caller]
    pub(super) fn run(&self, host: &str, script: &str) -> String {
        as_root(&self.folder, host, script)
    }

    /// The first three bytes of its addresses.
    pub(super) fn network(&self) -> String {
        format!("127.0.{}", self.net)
    }

    /// The inventory of who works on the hosts as root: `hosts` with their variables, and further variables of all, lines of YAML.
    pub(super) fn as_seen(&self, variables: &str, hosts: &str) -> String {
        let folder = self.folder.display();
        let text = format!(
            "all:\n  vars:\n    ansible_port: 2222\n    ansible_ssh_private_key_file: {folder}/id_ed25519\n    \
             ansible_ssh_common_args: -o UserKnownHostsFile={folder}/known_hosts\n    ansible_user: root\n{variables}  hosts:\n{hosts}"
        );
        text.replace("NET", &self.network())
    }

    pub(super) fn inventory(&self) -> PathBuf {
        self.held.path().join("hosts.yml")
    }

    pub(super) fn address(&self, last: u32, port: u16) -> String {
        format!("127.0.{}.{last}:{port}", self.net)
    }

    pub(super) fn raw(&self, last: u32, port: u16, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address(last, port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        // Before 0.13 every body is compressed, whoever asks.
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let (head, body) = bytes.split_at(end);
        let head = String::from_utf8(head.to_vec()).ok()?;
        let mut text = head.clone();
        if head.contains("Content-Encoding: gzip") {
            flate2::read::GzDecoder::new(body).read_to_string(&mut text).ok()?;
        } else {
            text.push_str(std::str::from_utf8(body).ok()?);
        }
        Some(text)
    }

    fn get(&self, last: u32, port: u16, path: &str) -> Option<Value> {
        let text = self.raw(last, port, path)?;
        serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
    }

    pub(super) fn master(&self, last: u32) -> Option<Value> {
        self.get(last, 5050, "/master/state.json")
    }

    pub(super) fn slave(&self, last: u32) -> Option<Value> {
        self.get(last, 5051, "/slave(1)/state.json")
    }

    /// The number and state of the master that leads by its own word.
    pub(super) fn leader(&self) -> Option<(u32, Value)> {
        (1..=3).find_map(|last| {
            let state = self.master(last)?;
            (state["leader"] == state["pid"]).then_some((last, state))
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for log in [
                "m1/mesos-master",
                "m2/mesos-master",
                "m3/mesos-master",
                "s1/mesos-slave",
                "s2/mesos-slave",
                "f1/sleeper",
            ] {
                let (host, log) = log.split_once('/').expect("a pair");
                let (code, text) =
                    self.ssh("root", host, &format!("grep -v 'offers\\|HTTP' /var/log/{log}.log | tail -25"));
                // Not every rehearsal has this host.
                if code != 255 {
                    let _ = writeln!(std::io::stderr(), "--- {host} {log}\n{text}");
                }
            }
        }
        self.stagger(&["down"]);
    }
}

/// What the waits of these tests are multiplied by: a machine with other work is slow, and a wait that ends well costs nothing.
const PATIENCE: u64 = 6;

/// Waits until `probe` gives something; `what` is said when it does not come in `seconds` of a quiet machine.
#[track_caller]
pub(super) fn wait<T>(what: &str, seconds: u64, probe: impl FnMut() -> Option<T>) -> T {
    await_for(seconds, probe).unwrap_or_else(|| panic!("not within {} s: {what}", seconds * PATIENCE))
}

/// What `probe` gives, or None when `seconds` of a quiet machine are over.
fn await_for<T>(seconds: u64, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + Duration::from_secs(seconds * PATIENCE);
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
}

const HOSTS: &str = "
all:
  hosts:
    d1: {ansible_host: NET.1, lab_disk_mib: 64}
    b1: {ansible_host: NET.2, lab_kind: busybox}
";

#[test]
fn rehearsal_hosts_log_people_in_and_touch_nothing_of_the_machine() {
    let lab = Lab::up(0, "1", HOSTS);
    assert_eq!(lab.run("d1", "hostname; id -u"), "d1\n0\n");
    assert_eq!(lab.run("b1", "hostname; id -u"), "b1\n0\n");
    assert_eq!(lab.ssh("operator", "d1", "sudo -n id -u"), (0, "0\n".to_owned()));
    assert_ne!(lab.ssh("deputy", "d1", "sudo -n id -u").0, 0, "deputy's sudo asks for the password");
    let password = fs::read_to_string(lab.folder.join("password")).expect("a password");
    assert_eq!(lab.ssh("deputy", "d1", &format!("echo {password} | sudo -S -p '' id -u")), (0, "0\n".to_owned()));
    assert_eq!(lab.run("b1", "su operator -c 'id -u'"), "1101\n");
    assert_eq!(lab.run("b1", "which bash perl python3 curl sudo awk | xargs"), "/usr/bin/awk\n");
    for host in ["d1", "b1"] {
        for script in ["date -s 2001-01-01", "mknod /tmp/sda b 8 0", "echo 1 >/proc/sys/kernel/panic"] {
            // Busybox's date says so, and ends with 0.
            let (_, text) = lab.ssh("root", host, script);
            assert!(text.contains("not permitted") || text.contains("Read-only"), "{host}: {script}: {text}");
        }
        let environment = lab.run(host, "tr '\\0' '\\n' </proc/1/environ");
        assert!(environment.lines().all(|line| line.starts_with("PATH=") || line.starts_with("PWD=")), "{environment}");
    }
    lab.run("d1", "touch /etc/touched /usr/bin/touched");
    assert!(!Path::new("/etc/touched").exists() && !Path::new("/usr/bin/touched").exists());
}

#[test]
fn faults_come_and_go() {
    let lab = Lab::up(1, "1", HOSTS);
    lab.fault(&["d1", "cut"]);
    assert_eq!(lab.ssh("root", "d1", "true").0, 255);
    lab.fault(&["d1", "mend"]);
    lab.run("d1", "echo kept >/root/kept");
    lab.fault(&["d1", "fill"]);
    let (code, text) = lab.ssh("root", "d1", "head -c 200000 /dev/zero >/root/more");
    assert!(code != 0 && text.contains("No space left"), "{code} {text}");
    lab.fault(&["d1", "mend"]);
    lab.run("d1", "head -c 200000 /dev/zero >/root/more");
    lab.fault(&["d1", "kill"]);
    assert_eq!(lab.ssh("root", "d1", "true").0, 255);
    lab.fault(&["d1", "mend"]);
    assert_eq!(lab.run("d1", "cat /root/kept"), "kept\n");
    // Services: LSB codes, and what dies is started again.
    for host in ["d1", "b1"] {
        assert_eq!(
            lab.ssh("root", host, "service mesos-master status"),
            (3, "mesos-master is stopped\n".to_owned()),
            "{host}"
        );
        let pid = lab.run(host, "service ssh status");
        lab.run(host, "kill -9 $(cat /var/run/ssh.pid) & true");
        wait("sshd is started again", 5, || {
            let (code, text) = lab.ssh("root", host, "service ssh status");
            (code == 0 && text != pid).then_some(())
        });
    }
    let again = lab.stagger(&["status"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("ssh=running"));
}

#[test]
fn without_a_rehearsal_its_commands_say_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |word: &str| {
        Command::new(env!("CARGO_BIN_EXE_stagger"))
            .args(["lab", "--dir"])
            .arg(folder.path())
            .arg(word)
            .output()
            .expect("runs")
    };
    let status = run("status");
    assert_eq!(status.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&status.stderr).contains("stagger lab up"));
    // A folder that is somebody else's is not removed.
    assert_eq!(run("down").status.code(), Some(2));
    assert!(folder.path().exists());
}

const CLUSTER: &str = "
all:
  vars: {lab_release: 0.13.0, lab_releases: [0.13.0, 0.14.2]}
  children:
    masters:
      vars:
        lab_daemons: [mesos-master]
        lab_zookeeper: true
        lab_flags: {master: {cluster: lab}}
      hosts:
        m1: {ansible_host: NET.1}
        m2: {ansible_host: NET.2}
        m3: {ansible_host: NET.3}
    slaves:
      vars:
        lab_daemons: [mesos-slave]
        lab_flags: {slave: {resources: \"cpus:2;mem:512;disk:1024;ports:[31000-31099]\"}}
      hosts:
        s1: {ansible_host: NET.11}
        s2: {ansible_host: NET.12, lab_kind: busybox}
    schedulers:
      hosts:
        f1: {ansible_host: NET.21, lab_daemons: [sleeper]}
";

/// The factor for the times of the cluster.
const TIME: &str = "0.15";

/// Sorted ids of the running tasks of all frameworks, with their slaves.
pub(super) fn tasks(state: &Value) -> Vec<(String, String)> {
    let frameworks = state["frameworks"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<(String, String)> = frameworks
        .flat_map(|framework| framework["tasks"].as_array().into_iter().flatten())
        .filter(|task| task["state"] == "TASK_RUNNING")
        .map(|task| (text(&task["id"]), text(&task["slave_id"])))
        .collect();
    found.sort();
    found
}

/// The id of the slave at an address, by the leader's list.
fn slave_id(state: &Value, last: u32) -> Option<String> {
    let slaves = state["slaves"].as_array()?;
    let of = |slave: &&Value| slave["pid"].as_str().is_some_and(|pid| pid.ends_with(&format!(".{last}:5051")));
    slaves.iter().find(of)?["id"].as_str().map(ToOwned::to_owned)
}

/// All members with their types, arrays by their first item: what two bodies must have in common.
fn shape(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                shape(member, &format!("{at}.{name}"), found);
            }
        }
        Value::Array(items) => {
            found.push(format!("{at}: array"));
            if let Some(first) = items.first() {
                shape(first, &format!("{at}[]"), found);
            }
        }
        Value::String(_) => found.push(format!("{at}: string")),
        Value::Number(_) => found.push(format!("{at}: number")),
        Value::Bool(_) => found.push(format!("{at}: boolean")),
        Value::Null => found.push(format!("{at}: null")),
    }
}

#[track_caller]
fn same_shape(version: &str, name: &str, body: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mesos-real").join(version).join(name);
    let text = fs::read_to_string(&path).expect("a recording");
    let recorded: Value = serde_json::from_str(&text).expect("JSON");
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    shape(&recorded, "", &mut theirs);
    shape(body, "", &mut ours);
    // The recorded daemons had no --log_dir; a rehearsal's have.
    ours.retain(|line| line != ".log_dir: string");
    // One of the recorded slaves had an attribute.
    theirs.retain(|line| line != ".attributes.rack: string");
    theirs.sort();
    ours.sort();
    assert_eq!(ours, theirs, "{version}/{name}");
}

/// Every endpoint of a version, beside its recording.
#[track_caller]
fn compare_bodies(lab: &Lab, version: &str) {
    let (leading, state) = lab.leader().expect("a leader");
    let standby = (1..=3).find(|last| *last != leading).expect("a standby");
    let get = |last, port, path: &str| lab.get(last, port, path).expect("an answer");
    same_shape(version, "master-state-with-tasks.json", &state);
    same_shape(version, "master-state-standby.json", &get(standby, 5050, "/state.json"));
    same_shape(version, "master-stats-with-tasks.json", &get(leading, 5050, "/master/stats.json"));
    same_shape(version, "master-stats-standby.json", &get(standby, 5050, "/stats.json"));
    same_shape(version, "slave-state-with-tasks.json", &get(11, 5051, "/slave(1)/state.json"));
    same_shape(version, "slave-stats.json", &get(12, 5051, "/slave(1)/stats.json"));
    let status = |last, port, path: &str| {
        lab.raw(last, port, path).expect("an answer").lines().next().unwrap_or_default().to_owned()
    };
    let has_vars = version < "0.14";
    let (old, new) = if has_vars {
        ("HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found")
    } else {
        ("HTTP/1.1 404 Not Found", "HTTP/1.1 200 OK")
    };
    assert_eq!(status(leading, 5050, "/master/vars"), old);
    assert_eq!(status(11, 5051, "/slave(1)/vars"), old);
    assert_eq!(status(leading, 5050, "/master/health"), new);
    assert_eq!(status(leading, 5050, "/health"), new);
    assert_eq!(status(11, 5051, "/slave(1)/health"), new);
    assert_eq!(status(leading, 5050, "/master/roles.json"), new);
    assert_eq!(status(11, 5051, "/slave%281%29/stats.json"), "HTTP/1.1 404 Not Found");
    assert_eq!(status(11, 5051, "/state.json"), "HTTP/1.1 404 Not Found");
    let monitor = |from: &str| if version < from { "HTTP/1.1 404 Not Found" } else { "HTTP/1.1 200 OK" };
    assert_eq!(status(11, 5051, "/monitor/usage.json"), monitor("0.12"));
    assert_eq!(status(11, 5051, "/monitor/statistics.json"), monitor("0.13"));
    if has_vars {
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mesos-real").join(version);
        let recorded = fs::read_to_string(real.join("master-vars-http.txt")).expect("a recording").replace('\r', "");
        let ours = lab.raw(leading, 5050, "/master/vars").expect("an answer").replace('\r', "");
        let plain = |text: &str| -> Vec<String> {
            text.lines()
                .map(|line| line.chars().filter(|c| !c.is_ascii_digit()).collect::<String>())
                .filter(|line| !line.starts_with("Date"))
                .collect()
        };
        assert_eq!(plain(&ours), plain(&recorded));
    } else if version == "0.14.2" {
        // 0.15.0's was recorded while no framework was there.
        same_shape(version, "master-roles.json", &get(leading, 5050, "/master/roles.json"));
    }
}

/// Stops a master, and starts it when another leads and its node is gone; waits until it answers. A standby's old node would
/// make it the leader for as long as its session lasts, should the leader be stopped meanwhile.
#[track_caller]
fn restart_master(lab: &Lab, last: u32, change: &str) {
    let led = lab.leader().is_some_and(|(leading, _)| leading == last);
    let other = format!("m{}", last % 3 + 1);
    let registered = |count: u32| {
        wait(&format!("{other} finds {count} masters"), 10, || {
            let (_, text) = lab.ssh("root", &other, "grep 'registered masters' /var/log/mesos-master.log | tail -n 1");
            text.contains(&format!("found {count} registered")).then_some(())
        });
    };
    registered(3);
    lab.run(&format!("m{last}"), "service mesos-master stop");
    registered(2);
    if led {
        wait("another master leads", 10, || lab.leader().filter(|(leading, _)| *leading != last));
    }
    lab.run(&format!("m{last}"), &format!("{change}; service mesos-master start"));
    wait("the master knows the leader", 10, || lab.master(last)?["leader"].as_str().map(|_| ()));
}

/// Leaders last, with a change to each.
#[track_caller]
fn restart_masters(lab: &Lab, change: &str) {
    let (leading, _) = lab.leader().expect("a leader");
    for last in (1..=3).filter(|last| *last != leading).chain([leading]) {
        restart_master(lab, last, change);
    }
}

/// Restarts a slave with a change, waits until the leader has it back under its old id, or under a new one, and gives the id.
#[track_caller]
fn restart_slave(lab: &Lab, last: u32, change: &str, keeps: bool) -> String {
    let host = format!("s{}", last - 10);
    let before = lab.leader().and_then(|(_, state)| slave_id(&state, last)).expect("a slave");
    lab.run(&host, &format!("service mesos-slave stop; {change}; service mesos-slave start"));
    let started = wait("the slave answers", 10, || lab.slave(last)?["start_time"].as_f64());
    let under = if keeps { "its old" } else { "a new" };
    wait(&format!("the leader lists {host} under {under} id, {before} before"), 10, || {
        let (_, state) = lab.leader()?;
        let id = slave_id(&state, last)?;
        let entry = state["slaves"].as_array()?.iter().find(|slave| slave["id"] == *id)?.clone();
        let seen = entry["reregistered_time"].as_f64().unwrap_or_default().max(entry["registered_time"].as_f64()?);
        let since = if keeps { seen > started } else { seen >= started - 1.0 };
        ((id == before) == keeps && since).then_some(id)
    })
}

/// A cluster of another release, with slaves that listen where they are asked.
fn cluster_of(release: &str, releases: &str, slave: &str) -> String {
    CLUSTER
        .replace(
            "lab_release: 0.13.0, lab_releases: [0.13.0, 0.14.2]",
            &format!("lab_release: {release}, lab_releases: [{releases}]"),
        )
        .replace("{slave: {", &format!("{{slave: {{{slave}, "))
}

/// How a release is put in force for a daemon.
fn new(daemon: &str, release: &str) -> String {
    format!("ln -sfn /opt/mesos-{release}/sbin/mesos-{daemon} /usr/local/sbin/mesos-{daemon}")
}

#[test]
fn stand_ins_before_0_13_lose_their_tasks_as_the_real_ones_did() {
    let lab = Lab::up(3, TIME, &cluster_of("0.11.0", "0.11.0, 0.12.1, 0.13.0", "port: 5051"));
    let before = settled(&lab);
    compare_bodies(&lab, "0.11.0");
    // Slaves first: a new id each, the tasks are gone, and no framework hears of it.
    for last in [11, 12] {
        restart_slave(&lab, last, &new("slave", "0.12.1"), false);
    }
    let (_, state) = lab.leader().expect("a leader");
    assert_eq!(tasks(&state), []);
    assert_eq!(
        [&state["activated_slaves"], &state["connected_slaves"], &state["lost_tasks"]].map(Value::as_u64),
        [Some(4), Some(2), Some(0)]
    );
    let log = lab.run("f1", "cat /var/log/sleeper.log");
    assert!(log.contains("SLAVELOST") && !log.contains("TASK_LOST"), "{log}");
    assert_eq!(log.matches("TASK_RUNNING").count(), before.len(), "it launches none again: {log}");
    // Masters: one failover, the ids stay.
    let ids = [11, 12].map(|last| slave_id(&state, last));
    restart_masters(&lab, &new("master", "0.12.1"));
    let (_, state) =
        wait("both slaves are back", 10, || lab.leader().filter(|(_, state)| state["connected_slaves"] == 2));
    assert_eq!([11, 12].map(|last| slave_id(&state, last)), ids);
    lab.run("f1", "service sleeper restart");
    settled(&lab);
    compare_bodies(&lab, "0.12.1");
    // 0.12 to 0.13: masters keep tasks, slaves lose them, and the framework hears of it.
    let before = tasks(&lab.leader().expect("a leader").1);
    restart_masters(&lab, &new("master", "0.13.0"));
    assert_eq!(settled(&lab), before);
    for last in [11, 12] {
        restart_slave(&lab, last, &new("slave", "0.13.0"), false);
        settled(&lab);
    }
    assert!(lab.run("f1", "cat /var/log/sleeper.log").contains("TASK_LOST Slave s1 removed"));
}

#[test]
fn stand_ins_of_0_15_answer_as_the_real_ones_did() {
    let lab = Lab::up(5, TIME, &cluster_of("0.15.0", "0.15.0", "checkpoint: \"true\""));
    settled(&lab);
    compare_bodies(&lab, "0.15.0");
}

#[test]
fn stand_ins_of_0_15_recover_and_authenticate_as_the_real_ones_did() {
    let lab = Lab::up(4, TIME, &cluster_of("0.14.2", "0.14.2, 0.15.0", "checkpoint: \"true\""));
    settled(&lab);
    lab.run("f1", "sed -i s/CHECKPOINT=false/CHECKPOINT=true/ /etc/default/sleeper; rm -r /var/lib/sleeper; service sleeper restart");
    let before = settled_with(&lab, 8);
    // Tasks of a framework that has no scheduler are orphans to the next leader: it does not list them.
    restart_masters(&lab, &new("master", "0.15.0"));
    let kept = settled(&lab);
    assert!(kept.iter().all(|task| before.contains(task)), "{before:?} {kept:?}");
    for last in [11, 12] {
        restart_slave(&lab, last, &new("slave", "0.15.0"), true);
    }
    // Those of the framework that checkpoints live.
    assert_eq!(settled(&lab), kept);

    let file = "echo 'web s3cret' >/etc/credentials; echo /etc/credentials >/etc/mesos-master/credentials";
    restart_masters(&lab, file);
    let log = |host: &str, log: &str| lab.ssh("root", host, &format!("cat /var/log/{log}.log")).1;
    let leads = |lab: &Lab| format!("m{}", lab.leader().expect("a leader").0);
    lab.run("f1", "printf 'PRINCIPAL=web\\nSECRET=s3cret\\n' >>/etc/default/sleeper; ln -sfn /opt/mesos-0.15.0/lib/libmesos-0.15.0.so /usr/local/lib/libmesos.so; service sleeper restart");
    wait("it authenticates", 10, || {
        log(&leads(&lab), "mesos-master")
            .contains("Successfully authenticated framework at scheduler(1)@")
            .then_some(())
    });
    restart_masters(&lab, "touch '/etc/mesos-master/?authenticate'");
    let active =
        |state: &Value| state["frameworks"].as_array().is_some_and(|all| all.iter().any(|one| one["active"] == 1));
    wait("it is taken in", 10, || lab.leader().filter(|(_, state)| active(state)));
    // Without its credential it is refused, again and again.
    lab.run("f1", "sed -i /PRINCIPAL/d /etc/default/sleeper; service sleeper restart");
    let refused = "because it is not authenticated";
    wait("it is refused", 10, || (log(&leads(&lab), "mesos-master").matches(refused).count() >= 2).then_some(()));
    let said = log("f1", "sleeper");
    assert!(said.contains("ERROR Framework '") && said.contains("is not authenticated."), "{said}");
}

const NEW_MASTER: &str = "ln -sfn /opt/mesos-0.14.2/sbin/mesos-master /usr/local/sbin/mesos-master";
const NEW_SLAVE: &str =
    "ln -sfn /opt/mesos-0.14.2/sbin/mesos-slave /usr/local/sbin/mesos-slave; touch '/etc/mesos-slave/?checkpoint'";

#[track_caller]
fn settled(lab: &Lab) -> Vec<(String, String)> {
    settled_with(lab, 4)
}

#[track_caller]
fn settled_with(lab: &Lab, count: usize) -> Vec<(String, String)> {
    let mut last = Value::Null;
    let found = await_for(20, || {
        let (_, state) = lab.leader()?;
        let tasks = tasks(&state);
        let slaves = state["slaves"].as_array()?.len();
        let settled = tasks.len() == count && slaves == 2 && !state["frameworks"][0]["offers"].is_null();
        last = state;
        settled.then_some(tasks)
    });
    found.unwrap_or_else(|| panic!("not {count} tasks on two slaves: {last}"))
}

#[test]
fn stand_ins_go_through_the_whole_guide_as_the_real_ones_did() {
    let lab = Lab::up(2, TIME, CLUSTER);
    let before = settled(&lab);
    compare_bodies(&lab, "0.13.0");

    // A leader that comes back before its node has expired leads again, and dies when it does.
    let (leading, _) = lab.leader().expect("a leader");
    lab.run(&format!("m{leading}"), "service mesos-master restart");
    wait("the leader aborts", 10, || {
        let (_, text) = lab.ssh("root", &format!("m{leading}"), "cat /var/log/mesos-master.log");
        (text.contains("No longer elected master ... committing suicide!") && text.contains("ended: signal 6"))
            .then_some(())
    });
    wait("one leader again, with both slaves", 10, || {
        lab.leader().filter(|(_, state)| state["slaves"].as_array().is_some_and(|all| all.len() == 2))
    });

    // Masters: ids and tasks stay.
    let ids: Vec<_> = [11, 12].iter().map(|last| slave_id(&lab.leader().expect("a leader").1, *last)).collect();
    restart_masters(&lab, NEW_MASTER);
    let after = settled(&lab);
    assert_eq!(after, before);
    let (_, state) = lab.leader().expect("a leader");
    assert_eq!(state["version"], "0.14.2");
    assert_eq!([11, 12].map(|last| slave_id(&state, last)).to_vec(), ids);
    assert!(state["slaves"][0]["reregistered_time"].is_number());

    // A flag that this version does not know: dead at once, left alone after ten times.
    let standby = (1..=3).find(|last| lab.leader().is_some_and(|(leading, _)| leading != *last)).expect("a standby");
    let host = format!("m{standby}");
    lab.run(&host, "echo x >/etc/mesos-master/credentials; service mesos-master restart");
    wait("its init gives up", 10, || {
        (lab.ssh("root", &host, "grep 'left alone' /var/log/mesos-master.log").0 == 0).then_some(())
    });
    assert_eq!(lab.ssh("root", &host, "service mesos-master status").0, 1);
    lab.run(&host, "rm /etc/mesos-master/credentials; service mesos-master start");

    // Slaves get --checkpoint: neither ids nor tasks.
    for last in [11, 12] {
        restart_slave(&lab, last, NEW_SLAVE, false);
        settled(&lab);
    }
    assert!(tasks(&lab.leader().expect("a leader").1).iter().all(|task| !before.contains(task)));
    assert!(lab.run("f1", "cat /var/log/sleeper.log").contains("TASK_LOST Slave s1 removed"));

    // The framework asks for checkpoints from now on; masters, then slaves again: ids stay, tasks do not.
    lab.run("f1", "sed -i s/CHECKPOINT=false/CHECKPOINT=true/ /etc/default/sleeper; ln -sfn /opt/mesos-0.14.2/lib/libmesos-0.14.2.so /usr/local/lib/libmesos.so; service sleeper restart");
    assert!(
        wait("the framework maps the new library", 5, || {
            let text = lab.run("f1", "cat /proc/$(cat /var/run/sleeper.pid)/maps");
            text.contains("libmesos-0.14.2.so").then_some(text)
        })
        .contains("libmesos")
    );
    restart_masters(&lab, "true");
    // It has launched as many again, beside those of its former life, and replaces only what it knows.
    let before = settled_with(&lab, 8);
    for (last, left) in [(11, 6), (12, 4)] {
        restart_slave(&lab, last, "true", true);
        settled_with(&lab, left);
    }
    let now = settled(&lab);
    assert!(now.iter().all(|task| !before.contains(task)), "{before:?} {now:?}");
    assert!(lab.run("f1", "cat /var/log/sleeper.log").contains("TASK_LOST Task is unknown to the slave"));

    // A restart after that keeps both.
    let before = settled(&lab);
    restart_slave(&lab, 11, "true", true);
    assert_eq!(settled(&lab), before);
    restart_slave(&lab, 12, "true", true);
    assert_eq!(settled(&lab), before);

    // Another SlaveInfo is refused.
    lab.run("s1", "service mesos-slave stop; echo rack:b >/etc/mesos-slave/attributes; service mesos-slave start");
    wait("the slave refuses", 10, || {
        let (_, text) = lab.ssh("root", "s1", "cat /var/log/mesos-slave.log");
        (text.contains("Incompatible slave info detected.") && text.contains("left alone")).then_some(())
    });
    lab.run("s1", "rm /etc/mesos-slave/attributes; service mesos-slave start");
    let kept = wait("the slave is back", 10, || lab.leader().filter(|(_, state)| tasks(state) == before));
    assert_eq!(slave_id(&kept.1, 11), Some(old_id(&before, &kept.1)));

    // Away for longer than 75 s: listed until then, refused after, a new slave at the second start.
    lab.run("s1", "service mesos-slave stop");
    let stopped = Instant::now();
    let id = slave_id(&lab.leader().expect("a leader").1, 11).expect("still listed");
    wait("the slave is given up", 25, || lab.leader().filter(|(_, state)| slave_id(state, 11).is_none()));
    let away = stopped.elapsed().as_secs_f64();
    assert!((11.0..17.0).contains(&away), "given up after {away} s: 75 to 90 s are 11.25 to 13.5 here");
    lab.run("s1", "service mesos-slave start");
    let new = wait("the slave is a new one", 15, || slave_id(&lab.leader()?.1, 11));
    assert_ne!(new, id);
    let log = lab.run("s1", "cat /var/log/mesos-slave.log");
    assert!(log.contains("Slave asked to shut down by") && log.contains("ended: exit code 0"), "{log}");
}

/// The id under which s1 ran its tasks.
fn old_id(tasks: &[(String, String)], state: &Value) -> String {
    let id = slave_id(state, 11).unwrap_or_default();
    assert!(tasks.iter().any(|(_, slave)| *slave == id));
    id
}
