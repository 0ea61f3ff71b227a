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
        let time: &[&str] = if words.contains(&"--time") { &[] } else { &["--time", "0.15"] };
        let words: Vec<&str> = ["lab", "dcos"].iter().chain(time).chain(words).copied().collect();
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

/// The same with more time until its scheduler takes the first node: what must be held before that is, on a busy machine, too.
fn running_slowly(place: &Place) -> Dcos {
    let dcos = Dcos::up(place, &["--package", "3.1.0-7.4.1", "--time", "0.5"]);
    dcos.control("upgrade", &json!({"package": "3.1.1-7.6.0"}));
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

#[test]
fn a_continue_whose_answer_is_lost_is_not_sent_again_and_a_restarted_scheduler_gets_its_interrupt_again() {
    let place = place();
    let dcos = running_slowly(&place);
    let held = run(&place, &play(&dcos, "", "    - dcos_plan: {state: interrupted}\n"));
    assert_eq!(held.code, 0, "{}{}", held.out, held.err);
    // It is done, and nobody says so.
    dcos.control("answer", &json!({"method": "POST", "path": "/continue", "silent": true}));
    let said = run(&place, &play(&dcos, "", ONE));
    let seen = dcos.history();
    assert_eq!(said.code, 0, "{}{}{seen}", said.out, said.err);
    assert_eq!((dcos.count("continue"), dcos.count("kill"), &seen["most_out"]), (1, 1, &json!(1)), "{seen}");
    // Between two nodes: what it was told is forgotten.
    dcos.control("restart", &json!({}));
    let said = run(
        &place,
        &play(&dcos, "", "    - dcos_plan: {state: interrupted}\n    - dcos_plan: {state: idle, within: 30s}\n"),
    );
    let seen = dcos.history();
    assert_eq!(
        (said.code, &seen["interrupted"], &seen["most_out"]),
        (0, &json!(true), &json!(1)),
        "{}{seen}",
        said.out
    );
}

#[test]
fn what_answers_in_the_schedulers_place_is_waited_out() {
    let place = place();
    let dcos = running(&place, "3.1.0-7.4.1", "3.1.1-7.6.0");
    let page = "<html><title>out</title></html>";
    let faults = [
        json!({"status": 405, "body": page}),
        json!({"status": 408, "body": page}),
        json!({"status": 429, "body": "Too Many Requests"}),
        json!({"status": 503, "body": "Service Unavailable: cache state is invalid"}),
        json!({"status": 404, "body": page}),
        json!({"status": 200, "body": "\"a text\""}),
        json!({"status": 200, "body": "{\"phases\": \"a text\"}"}),
        json!({"status": 200, "body": "\u{0}\u{1}garbage"}),
        json!({"silent": true}),
    ];
    let tasks = "    - dcos_plan: {state: interrupted}\n    - dcos_plan: {within: 60s, every: 50ms}\n      register: shown\n    - debug: {msg: \"{{ shown.nodes | length }} nodes\"}\n";
    for mut fault in faults {
        fault["path"] = json!("/plans/");
        fault["times"] = json!(3);
        dcos.control("answer", &fault);
    }
    let said = run(&place, &play(&dcos, "", tasks));
    assert_eq!(said.code, 0, "{}{}{}", said.out, said.err, dcos.history());
    assert!(said.out.contains("nodes") && dcos.count("interrupt") == 1, "{}{}", said.out, dcos.history());
}

#[test]
fn a_token_that_expires_is_renewed_and_a_wrong_password_is_refused() {
    let place = place();
    let dcos = Dcos::up(&place, &["--package", "3.1.0-7.4.1", "--user", "ops", "--password", "right"]);
    let tasks = "    - dcos_plan: {}\n    - uri: {url: \"{{ dcos_url }}/_standin/expire\", method: POST}\n    - dcos_plan: {within: 20s}\n";
    let said = run(&place, &play(&dcos, ", dcos_user: ops, dcos_password: right", tasks));
    assert_eq!((said.code, dcos.count("login")), (0, 2), "{}{}{}", said.out, said.err, dcos.history());
    let said = run(&place, &play(&dcos, ", dcos_user: ops, dcos_password: wrong", "    - dcos_plan: {within: 5s}\n"));
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    assert!(said.out.contains("login"), "{}", said.out);
}

#[test]
fn a_node_that_fails_at_its_start_again_and_again_is_told_with_the_gate_closed() {
    let place = place();
    let dcos = running_slowly(&place);
    dcos.control("fail", &json!({"pods": ["master-0"]}));
    let said =
        run(&place, &play(&dcos, "", &format!("    - dcos_plan: {{state: interrupted}}\n{ONE}").replace("20s", "90s")));
    let seen = dcos.history();
    assert_eq!(said.code, 2, "{}{}{seen}", said.out, said.err);
    assert!(said.out.contains("fails at its start again and again"), "{}{seen}", said.out);
    assert_eq!((&seen["interrupted"], &seen["most_out"]), (&json!(true), &json!(1)), "{seen}");
}
