//! Elastic on DC/OS: the modules and the playbook, on the stand-in of a scheduler, Cosmos, Marathon and Admin Router.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use super::hermetic::{Place, Said, wait};

/// A DC/OS of this test alone.
struct Dcos {
    child: Child,
    url: String,
}

impl Dcos {
    fn up(place: &Place, words: &[&str]) -> Self {
        let words: Vec<&str> = ["lab", "dcos", "--time", "0.15"].into_iter().chain(words.iter().copied()).collect();
        let mut child = place.command("stagger", &words).stdout(Stdio::piped()).spawn().expect("the stand-in starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("it says where it listens");
        Self { child, url: line.trim().to_owned() }
    }

    /// Its own part: faults, and what happened.
    fn control(&self, what: &str, body: &Value) -> Value {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("it listens");
        let body = body.to_string();
        let head = format!("POST /_standin/{what} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(head.as_bytes()).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{text}"))
    }

    fn history(&self) -> Value {
        self.control("history", &json!({}))
    }

    /// How often something happened.
    fn count(&self, what: &str) -> usize {
        let seen = self.history();
        seen["history"].as_array().expect("a list").iter().filter(|one| one["what"] == what).count()
    }
}

impl Drop for Dcos {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tests side by side work from one machine: their runs mind no leases on it.
fn place() -> Place {
    let mut place = Place::new();
    place.leases = false;
    place
}

/// A play on this machine with one list of tasks.
fn play(dcos: &Dcos, more: &str, tasks: &str) -> String {
    format!(
        "- hosts: localhost\n  gather_facts: false\n  vars: {{dcos_url: \"{}\"{more}}}\n  tasks:\n{tasks}",
        dcos.url
    )
}

#[track_caller]
fn run(place: &Place, text: &str) -> Said {
    place.write("play.yml", text);
    place.call("stagger", &["run", "play.yml", "-i", "localhost,", "-c", "local"])
}

fn running(place: &Place, package: &str, next: &str) -> Dcos {
    let dcos = Dcos::up(place, &["--package", package]);
    dcos.control("upgrade", &json!({"package": next}));
    dcos
}

/// One node after the other, by the module alone.
const ONE: &str = "    - dcos_plan: {state: continued, node: master-0}
      register: released
      undo:
        dcos_plan: {state: interrupted}
    - dcos_plan: {state: launched, node: master-0}
    - dcos_plan: {state: interrupted}
    - dcos_plan: {state: complete, node: master-0, task: \"{{ released.task }}\", within: 20s}
    - meta: undo
";

#[test]
fn the_gate_lets_one_node_through_in_every_era() {
    for (from, to) in [("3.1.0-7.4.1", "3.1.1-7.6.0"), ("2.3.1-5.6.5", "2.4.0-5.6.9")] {
        let place = place();
        let dcos = running(&place, from, to);
        let tasks = format!(
            "    - dcos_plan: {{state: interrupted}}\n{ONE}    - dcos_plan: {{}}\n      register: shown\n    - debug: {{var: shown.tree}}\n"
        );
        let said = run(&place, &play(&dcos, "", &tasks));
        assert_eq!(said.code, 0, "{}{}{}", said.out, said.err, dcos.history());
        let seen = dcos.history();
        assert_eq!(
            (dcos.count("kill"), &seen["most_out"], &seen["interrupted"]),
            (1, &json!(1), &json!(true)),
            "{seen}"
        );
        assert!(said.out.contains("master-0:[node] (COMPLETE)"), "{}", said.out);
        // A second run finds nothing to do, and does not take the new task for the one from before.
        let before = (dcos.count("continue"), dcos.count("interrupt"));
        let again = run(&place, &play(&dcos, "", ONE));
        assert_eq!(again.code, 0, "{}{}", again.out, again.err);
        assert_eq!((dcos.count("continue"), dcos.count("interrupt")), before, "{}", again.out);
        assert!(again.out.contains("changed=0"), "{}", again.out);
    }
}

/// The playbook's run on a DC/OS of its own, killed when a node was let through and the gate is open behind it.
fn killed_with_the_gate_open() -> (Place, Dcos) {
    let place = place();
    let dcos = Dcos::up(&place, &["--package", "3.1.2-7.6.0"]);
    let hosts =
        format!("all:\n  hosts:\n    localhost: {{ansible_connection: local}}\n  vars:\n    dcos_url: {}\n", dcos.url);
    place.write("hosts.yml", &hosts);
    let playbook = concat!(env!("CARGO_MANIFEST_DIR"), "/playbooks/elastic-dcos/upgrade.yml");
    let words = ["run", playbook, "-i", "hosts.yml", "-e", "elastic_package=3.2.0-7.9.3"];
    let mut run = place.start("stagger", &words);
    run.until_said("continue plan deploy: data-0 is taken");
    run.signal("KILL");
    run.end(20);
    (place, dcos)
}

#[test]
fn what_is_given_up_with_the_gate_open_has_it_closed_and_allocation_back() {
    let (place, dcos) = killed_with_the_gate_open();
    let said = place.call("stagger", &["abort"]);
    let seen = dcos.history();
    assert!(said.out.contains("taken back: data-0  continue"), "{}", said.whole(&place));
    assert!(said.out.contains("taken back: data-0  switch allocation off"), "{}", said.whole(&place));
    assert_eq!((&seen["interrupted"], &seen["most_out"]), (&json!(true), &json!(1)), "{seen}");
}

/// Resumed after [`killed_with_the_gate_open`], at once or when the node has finished meanwhile: its task is another one then.
#[track_caller]
fn resumed_with_the_gate_open(finished: bool) {
    let (place, dcos) = killed_with_the_gate_open();
    if finished {
        wait("data-0 is ready", 60, || (dcos.count("ready") > 3).then_some(()));
    }
    let said = place.call("stagger", &["resume", "--redo-unknown"]);
    let seen = dcos.history();
    assert_eq!(said.code, 0, "{}{}{seen}", said.out, said.err);
    assert!(said.out.contains("taken back: data-0  continue"), "{}", said.whole(&place));
    assert_eq!((&seen["allocates"], &seen["most_out"]), (&json!(true), &json!(1)), "{seen}");
    let tasks = seen["tasks"].as_object().expect("tasks");
    assert!(tasks.values().all(|task| task["version"] == "7.9.3" && task["ready"] == true), "{seen}");
    assert_eq!(dcos.count("kill"), tasks.len(), "each node is taken once: {seen}");
    assert!(said.out.contains("deploy (serial strategy) (COMPLETE)"), "{}", said.out);
}

#[test]
fn the_playbook_takes_one_node_at_a_time_though_it_is_killed_with_the_gate_open() {
    resumed_with_the_gate_open(false);
}

#[test]
fn a_node_that_finished_while_nobody_looked_is_done_when_the_run_is_resumed() {
    resumed_with_the_gate_open(true);
}
