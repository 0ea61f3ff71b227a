//! Mesos from 0.11 to 0.15, hop by hop, on rehearsal clusters of three masters and five slaves with tasks: what ids and tasks come to is
//! beside what was measured on real daemons. The hop from 0.13 to 0.14 has its own file.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use super::lab::{Lab, tasks, wait};
use super::mesos::top;

/// The factor for the times of the cluster. Deadlines are real.
const TIME: &str = "0.15";

const INVENTORY: &str = "
all:
  vars:
    lab_dir: /run/stagger-lab
    lab_release: FROM
    lab_releases: [RELEASES]
    mesos_releases: \"{{ lab_dir }}/layers/releases\"
    ansible_user: root
    ansible_port: 2222
    ansible_ssh_private_key_file: \"{{ lab_dir }}/id_ed25519\"
    ansible_ssh_common_args: \"-o UserKnownHostsFile={{ lab_dir }}/known_hosts\"
    mesos_credentials: {web: s3cret}
  children:
    masters:
      vars: {lab_daemons: [mesos-master], lab_zookeeper: true}
      hosts:
        m1: {ansible_host: NET.1}
        m2: {ansible_host: NET.2}
        m3: {ansible_host: NET.3}
    slaves:
      vars:
        lab_daemons: [mesos-slave]
        lab_flags: {slave: {port: \"5051\", resources: \"cpus:4;mem:1024;disk:2048;ports:[31000-31099]\"FLAGS}}
      hosts:
        s1: {ansible_host: NET.11, rack: a}
        s2: {ansible_host: NET.12, rack: a}
        s3: {ansible_host: NET.13, rack: b}
        s4: {ansible_host: NET.14, rack: b}
        s5: {ansible_host: NET.15, rack: b, lab_kind: busybox}
    schedulers:
      vars:
        lab_daemons: [SCHEDULER]
        scheduler_service: sleeper
        scheduler_file: /etc/default/sleeper
        scheduler_regexp: \"^CHECKPOINT=\"
        scheduler_line: CHECKPOINT=true
        scheduler_credential:
          - {regexp: \"^PRINCIPAL=\", line: PRINCIPAL=web}
          - {regexp: \"^SECRET=\", line: SECRET=s3cret}
      hosts:
        f1: {ansible_host: NET.21}
";

const SLAVES: [u32; 5] = [11, 12, 13, 14, 15];

struct Cluster {
    lab: Lab,
    home: tempfile::TempDir,
    runs: Cell<u32>,
}

/// Ids of slaves, and running tasks with their slaves, by the leader's word.
type Ids = (BTreeSet<String>, Vec<(String, String)>);

impl Cluster {
    #[track_caller]
    fn up(number: u32, releases: &[&str], flags: &str, scheduler: &str) -> Cluster {
        let text = INVENTORY
            .replace("FROM", releases[0])
            .replace("RELEASES", &releases.join(", "))
            .replace("FLAGS", flags)
            .replace("SCHEDULER", scheduler);
        Cluster { lab: Lab::up(number, TIME, &text), home: tempfile::tempdir().expect("a folder"), runs: Cell::new(0) }
    }

    /// Another state folder: what halted in it does not hold up the next run.
    fn afresh(&self) {
        self.runs.set(self.runs.get() + 1);
    }

    /// Waits until so many tasks run on five slaves.
    #[track_caller]
    fn settled(&self, count: usize) -> Ids {
        wait(&format!("{count} tasks on five slaves"), 30, || {
            let (_, state) = self.lab.leader()?;
            let ids = ids(&state);
            (ids.0.len() == SLAVES.len() && ids.1.len() == count).then_some(ids)
        })
    }

    fn stagger(&self, words: &[&str]) -> Output {
        let done = Command::new(env!("CARGO_BIN_EXE_stagger"))
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .args(words)
            .arg("-i")
            .arg(self.lab.inventory())
            .args(["--state", &format!("state{}", self.runs.get())])
            .output();
        done.expect("stagger runs")
    }

    fn hop(&self, playbook: &str, words: &[&str]) -> (i32, String) {
        let path = top().join("playbooks/mesos").join(playbook);
        let done = self.stagger(&[&["run", path.to_str().expect("a path"), "--output", "plain"], words].concat());
        let text = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (done.status.code().unwrap_or(-1), text)
    }

    #[track_caller]
    fn done(&self, playbook: &str, words: &[&str]) -> String {
        let (code, text) = self.hop(playbook, words);
        assert_eq!(code, 0, "{text}");
        text
    }

    /// The path and command line of a host's daemon, by its kernel.
    fn process(&self, host: &str, daemon: &str) -> String {
        let script = format!(
            "for p in /proc/[0-9]*; do e=$(readlink $p/exe) || continue; case $e in */{daemon}) echo $e; tr '\\0' ' ' <$p/cmdline; esac; done"
        );
        self.lab.run(host, &script)
    }

    /// That daemons run a version, and with which flags.
    #[track_caller]
    fn all_run(&self, version: &str, master: &str, slave: &str) {
        let masters = ["m1", "m2", "m3"].map(|host| (host, "mesos-master", master));
        let slaves = ["s1", "s3", "s5"].map(|host| (host, "mesos-slave", slave));
        for (host, daemon, flag) in masters.into_iter().chain(slaves) {
            let said = self.process(host, daemon);
            assert!(said.contains(&format!("/{version}/{daemon}\n")) && said.contains(flag), "{host}: {said}");
        }
        if version >= "0.13" {
            for last in [1, 2, 3] {
                assert_eq!(self.lab.master(last).expect("it answers")["version"], version);
            }
            for last in SLAVES {
                assert_eq!(self.lab.slave(last).expect("it answers")["version"], version);
            }
        }
    }
}

fn ids(state: &Value) -> Ids {
    let slaves = state["slaves"].as_array().into_iter().flatten();
    (slaves.filter_map(|slave| slave["id"].as_str().map(ToOwned::to_owned)).collect(), tasks(state))
}

/// How many tasks the gates named as lost.
fn lost(text: &str) -> usize {
    let named = text.lines().filter_map(|line| line.split_once(" tasks are lost: ")?.0.split("warning: ").nth(1));
    named.filter_map(|count| count.split(' ').next()?.parse::<usize>().ok()).sum()
}

#[test]
fn from_0_11_slaves_go_first_and_every_task_is_lost_once() {
    let cluster = Cluster::up(150, &["0.11.0", "0.12.1"], "", "sleeper");
    let before = cluster.settled(10);
    let book = "upgrade-0.11-to-0.12.yml";
    // A master before its slaves, by name: the cluster is asked, whatever the limit leaves out.
    let (code, text) = cluster.hop(book, &["--limit", "m1"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("slaves come first in the hop to 0.12.1, and s1, s2, s3, s4, s5 not upgraded yet"), "{text}");
    assert!(cluster.process("m1", "mesos-master").contains("/opt/mesos-0.11.0/"), "it was not touched");

    cluster.afresh();
    let text = cluster.done(book, &[]);
    assert_eq!(lost(&text), before.1.len(), "{text}");
    let after = cluster.settled(0);
    assert!(after.0.is_disjoint(&before.0), "each slave has a new id");
    cluster.all_run("0.12.1", "--zk=", "--port=5051");
    // The framework hears that slaves are gone, and of no task.
    let log = cluster.lab.run("f1", "cat /var/log/sleeper.log");
    assert!(log.matches("SLAVELOST").count() >= 5 && !log.contains("TASK_LOST"), "{log}");
    // Once more: nothing is left to do.
    let again = cluster.done(book, &[]);
    assert!(!again.contains("changed: "), "{again}");
}

#[test]
fn from_0_12_the_hierarchy_of_cgroups_is_renamed_and_a_missing_one_written_out() {
    if std::env::var_os("STAGGER_TEST_LONG").is_none() {
        return;
    }
    let cluster = Cluster::up(151, &["0.12.1", "0.13.0"], "", "sleeper");
    let before = cluster.settled(10);
    cluster.lab.run("s1", "echo /mnt/cg >/etc/mesos-slave/cgroups_hierarchy_root");
    let book = "upgrade-0.12-to-0.13.yml";
    let (code, text) = cluster.hop(book, &["--limit", "s1", "--skip-tags", "schedulers"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("masters come first in the hop to 0.13.0"), "{text}");
    cluster.afresh();
    let text = cluster.done(book, &[]);
    assert!(lost(&text) >= before.1.len(), "{text}");
    cluster.all_run("0.13.0", "--zk=", "--cgroups_hierarchy=");
    assert!(cluster.process("s1", "mesos-slave").contains("--cgroups_hierarchy=/mnt/cg "));
    assert!(cluster.process("s2", "mesos-slave").contains("--cgroups_hierarchy=/cgroups "));
    let (_, state) = cluster.lab.leader().expect("a leader");
    assert!(ids(&state).0.is_disjoint(&before.0), "each slave has a new id");
    assert!(cluster.lab.run("f1", "cat /var/log/sleeper.log").contains("TASK_LOST Slave s1 removed"));
}

#[test]
fn to_0_15_credentials_come_first_and_no_task_is_lost() {
    let cluster = Cluster::up(152, &["0.14.2", "0.15.0"], ", checkpoint: \"true\"", "");
    cluster.lab.run("f1", "sed -i s/CHECKPOINT=false/CHECKPOINT=true/ /etc/default/sleeper; service sleeper start");
    let before = cluster.settled(10);
    let book = "upgrade-0.14-to-0.15.yml";
    let (code, text) = cluster.hop(book, &["-e", "{\"mesos_master_flags\": {\"authenticate\": true}}"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("in the first phase none has"), "{text}");

    cluster.afresh();
    // A framework that never authenticates: halted before the flag, and it goes on once it does.
    let (code, text) = cluster.hop(book, &["-e", "{\"scheduler_credential\": []}"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("sleeper: each needs a Credential"), "{text}");
    assert!(text.contains("every framework has authenticated") && lost(&text) == 0, "{text}");
    cluster.all_run("0.15.0", "--credentials=/etc/mesos/credentials", "--checkpoint=true");
    for master in ["m1", "m2", "m3"] {
        assert!(!cluster.process(master, "mesos-master").contains("--authenticate"), "{master}: {text}");
    }
    let between = ids(&cluster.lab.leader().expect("a leader").1);
    assert_eq!(between.0, before.0, "each slave has its id");
    assert!(before.1.iter().all(|task| between.1.contains(task)), "{before:?} {between:?}");

    cluster.afresh();
    // The scheduler's next life launches its tasks anew beside those of the last one.
    let text = cluster.done(book, &["--limit", "masters:schedulers"]);
    assert!(!text.contains("s3cret"), "{text}");
    cluster.all_run("0.15.0", "--authenticate=true", "--checkpoint=true");
    let (leading, state) = cluster.lab.leader().expect("a leader");
    assert_eq!(state["frameworks"][0]["active"], 1, "{state}");
    let log = cluster.lab.run(&format!("m{leading}"), "cat /var/log/mesos-master.log");
    assert!(log.contains("Successfully authenticated framework at scheduler(1)@"), "{log}");
    let now = ids(&state);
    assert_eq!(now.0, before.0);
    assert!(before.1.iter().all(|task| now.1.contains(task)), "{before:?} {now:?}");
}

#[test]
fn all_hops_go_by_one_command_and_it_says_where_it_stands() {
    if std::env::var_os("STAGGER_TEST_LONG").is_none() {
        return;
    }
    let releases = ["0.11.0", "0.12.1", "0.13.0", "0.14.2", "0.15.0"];
    let cluster = Cluster::up(153, &releases, ", cgroups_hierarchy_root: /mnt/cg", "sleeper");
    let before = cluster.settled(10);
    let upgrade = |words: &[&str]| {
        let done = cluster.stagger(&[&["upgrade", "mesos"], words].concat());
        let text = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (done.status.code().unwrap_or(-1), text)
    };
    let (code, plan) = upgrade(&["--to", "0.17.0", "--plan"]);
    assert_eq!(code, 0, "{plan}");
    assert!(plan.contains("slaves at 0.11.0: s[1-5]") && plan.contains("hop 6 of 6: 0.16 to 0.17.0"), "{plan}");
    let (code, text) = upgrade(&["--to", "0.17.0", "--yes"]);
    assert!(code == 65 && text.contains("there is no playbook past 0.15"), "{code} {text}");
    // Nobody is there to be asked.
    let (code, text) = upgrade(&["--to", "0.15.0"]);
    assert!(code == 64 && text.contains("--yes"), "{code} {text}");
    assert_eq!(cluster.settled(10), before, "nothing was done");

    let (code, text) = upgrade(&["--to", "0.15.0", "--yes"]);
    assert_eq!(code, 0, "{text}");
    for hop in 1..=4 {
        assert!(text.contains(&format!("hop {hop} of 4 is done")), "{text}");
    }
    cluster.all_run("0.15.0", "--authenticate=true", "--cgroups_hierarchy=/mnt/cg");
    let (code, text) = upgrade(&["--to", "0.15.0", "--yes"]);
    assert!(code == 0 && text.contains("nothing is to be done"), "{code} {text}");
    let (code, text) = upgrade(&["--to", "0.14.2", "--yes"]);
    assert!(code == 65 && text.contains("0.14.2 is older"), "{code} {text}");
    assert!(fs::read_dir(cluster.home.path().join("state0/playbooks")).expect("playbooks").next().is_some());
}
