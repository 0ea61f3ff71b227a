//! The way back: on the hosts that a run changed and no others, the last first, once.

#![allow(clippy::disallowed_methods, reason = "a test reads what the program wrote, and is in no hurry")]

use super::hermetic::{Place, wait};
use super::rehearsal::Rehearsal;

fn forward(mark: &str, way: &str) -> String {
    format!(
        "\
- name: forward
  hosts: calm,other,jump
  serial: 1
{way}  tasks:
    - name: a version
      copy: {{content: \"2\\n\", dest: /srv/{mark}/version}}
"
    )
}

fn back(mark: &str) -> String {
    format!(
        "\
- name: back
  hosts: all
  serial: 1
  tasks:
    - name: the version before
      copy: {{content: \"1\\n\", dest: /srv/{mark}/version}}
"
    )
}

/// Hosts of which `jump` is forward already.
fn place(hosts: &Rehearsal, mark: &str, way: &str) -> Place {
    let place = hosts.place("root");
    for (host, version) in [("calm", 1), ("other", 1), ("jump", 2)] {
        hosts.on(host, &format!("mkdir -p /srv/{mark}; echo {version} >/srv/{mark}/version"));
    }
    place.write("up.yml", &forward(mark, way)).write("down.yml", &back(mark));
    place
}

fn versions(hosts: &Rehearsal, mark: &str) -> String {
    let of = |host| hosts.on(host, &format!("cat /srv/{mark}/version")).trim().to_owned();
    ["calm", "other", "jump"].map(of).concat()
}

#[track_caller]
fn id(place: &Place, at: usize) -> String {
    maybe_id(place, at).expect("a run")
}

fn maybe_id(place: &Place, at: usize) -> Option<String> {
    let listed = place.call("stagger", &["runs", "--output", "json"]);
    let runs: serde_json::Value = serde_json::from_str(&listed.out).expect("JSON");
    let mut ids: Vec<&str> = runs.as_array().expect("runs").iter().filter_map(|run| run["run"].as_str()).collect();
    ids.sort_unstable();
    ids.get(at).map(|id| (*id).to_owned())
}

/// The journal of one run.
fn journal(place: &Place, id: &str) -> String {
    let path = place.home().join(".local/state/stagger/runs").join(id).join("journal.jsonl");
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn the_way_back_is_gone_in_reverse_on_the_hosts_that_were_changed() {
    let hosts = Rehearsal::shared();
    let place = place(&hosts, "back-done", "  rollback: down.yml\n");
    let run = place.call("stagger", &["run", "up.yml", "-i", "hosts.yml"]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    assert_eq!(versions(&hosts, "back-done"), "222");
    let id = id(&place, 0);
    let look = place.call("stagger", &["rollback", &id, "--check"]);
    assert_eq!(look.code, 0, "{}{}", look.out, look.err);
    assert_eq!(versions(&hosts, "back-done"), "222", "a preview changes nothing");
    let back = place.call("stagger", &["rollback", &id]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    assert!(back.err.contains("down.yml on other, calm"), "{}", back.err);
    assert_eq!(versions(&hosts, "back-done"), "112", "the host that was not changed stays as it is");
    let by = self::id(&place, 2);
    let last = journal(&place, &by);
    assert!(last.contains(&format!("\"rolls_back\":\"{id}\"")), "{last}");
    let turn = |host: &str| last.find(&format!("\"event\":\"batch_started\",\"play\":0,\"batch\":{host}"));
    assert!(turn("0,\"batches\":2,\"hosts\":[\"other\"]").is_some(), "{last}");
    assert!(turn("1,\"batches\":2,\"hosts\":[\"calm\"]").is_some(), "{last}");
    // Once is enough.
    let again = place.call("stagger", &["rollback", &id]);
    assert!(again.code == 65 && again.err.contains("rolled back already"), "{}", again.err);
    // The way back is no way that has one.
    let again = place.call("stagger", &["rollback", &by]);
    assert!(again.code == 65 && again.err.contains(&format!("rolled run {id} back")), "{}", again.err);
}

#[test]
fn without_a_way_back_it_is_said_what_was_changed_and_nothing_is_done() {
    let hosts = Rehearsal::shared();
    let place = place(&hosts, "back-none", "");
    let run = place.call("stagger", &["run", "up.yml", "-i", "hosts.yml"]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    let said = place.call("stagger", &["rollback", &id(&place, 0)]);
    assert_eq!(said.code, 65, "{}{}", said.out, said.err);
    for part in
        ["the play `forward` names no way back", "  calm: a version: replace /srv/back-none/version", "  other: "]
    {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    assert!(!said.err.contains("jump:"), "{}", said.err);
    assert_eq!(versions(&hosts, "back-none"), "222");
}

#[test]
fn a_way_back_that_is_wrong_is_refused_at_load_and_a_run_that_is_alive_later() {
    let hosts = Rehearsal::shared();
    let place = place(&hosts, "back-wrong", "  rollback: nowhere.yml\n");
    let said = place.call("stagger", &["run", "up.yml", "-i", "hosts.yml"]);
    assert!(said.code == 65 && said.err.contains("nowhere.yml` for the way back is not there"), "{}", said.err);
    place
        .write("up.yml", &forward("back-wrong", "  rollback: down.yml\n"))
        .write("down.yml", "- hosts: all\n  task: []\n");
    let said = place.call("stagger", &["run", "up.yml", "-i", "hosts.yml"]);
    assert!(said.code == 65 && said.err.contains("did you mean `tasks`"), "{}", said.err);
    let waits = forward("back-wrong", "") + "    - wait_for: {path: /srv/back-wrong/go, timeout: 60}\n";
    place.write("up.yml", &waits);
    let mut alive = place.start("stagger", &["run", "up.yml", "-i", "hosts.yml"]);
    alive.until_journal("\"event\":\"waiting\"", &place);
    let id = wait("the run is listed", 10, || Some(id(&place, 0)));
    let said = place.call("stagger", &["rollback", &id]);
    assert!(said.code == 65 && said.err.contains("is alive"), "{}", said.err);
    alive.signal("KILL");
    alive.end(10);
}

#[test]
fn a_way_back_that_broke_off_goes_on_with_resume() {
    let hosts = Rehearsal::shared();
    let place = place(&hosts, "back-broken", "  rollback: down.yml\n");
    let run = place.call("stagger", &["run", "up.yml", "-i", "hosts.yml"]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    let gated = back("back-broken") + "    - wait_for: {path: /srv/back-broken/go, timeout: 60}\n";
    place.write("down.yml", &gated);
    let of = id(&place, 0);
    let broken = place.start("stagger", &["rollback", &of]);
    let by = wait("the way back waits", 20, || {
        let by = maybe_id(&place, 1)?;
        journal(&place, &by).contains("\"event\":\"waiting\"").then_some(by)
    });
    broken.signal("KILL");
    broken.end(10);
    let said = place.call("stagger", &["rollback", &of]);
    assert!(said.code == 65 && said.err.contains(&format!("stagger resume {by}")), "{}", said.err);
    for host in ["calm", "other"] {
        hosts.on(host, "touch /srv/back-broken/go");
    }
    let said = place.call("stagger", &["resume", &by]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(versions(&hosts, "back-broken"), "112");
}
