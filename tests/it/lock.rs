//! Several operators, several bastions: leases on hosts, and runs of one state folder that have not come to their end.

#![allow(clippy::disallowed_methods, reason = "a test reads what the program wrote, and is in no hurry")]

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::hermetic::{Place, Said, Started, wait};
use super::rehearsal::Rehearsal;

/// Each test has hosts of its own.
const HOSTS: &[&str] = &["two", "free", "crash", "again", "broken", "full", "halt", "halt2", "back", "other", "look"];

static SHARED: Mutex<Weak<Rehearsal>> = Mutex::new(Weak::new());

fn shared() -> Arc<Rehearsal> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(hosts) = shared.upgrade() {
        return hosts;
    }
    let hosts = Arc::new(Rehearsal::own(HOSTS));
    *shared = Arc::downgrade(&hosts);
    hosts
}

/// A run on another bastion: it shares no state folder with the others of a test.
fn run(place: &Place, play: &str, state: &str) -> Said {
    place.call("stagger", &["run", play, "-i", "hosts.yml", "--state", state])
}

/// Begins a run that changes a host and then waits until the test lets it go on.
fn waiting(hosts: &Rehearsal, place: &Place, host: &str, name: &str) -> Started {
    place.write(
        "wait.yml",
        &format!("- hosts: {host}\n  tasks:\n    - name: long\n      shell: while [ ! -e /srv/go ]; do sleep 0.1; done\n    - name: last\n      command: touch /srv/last\n"),
    );
    hosts.on(host, "mkdir -p /srv; rm -f /srv/go");
    let words: &[&str] = if name == "stagger" { &["run"] } else { &[] };
    let started = place.start(name, &[words, &["wait.yml", "-i", "hosts.yml", "--state", "first"]].concat());
    wait("the lease lies on the host", 20, || leases(hosts, host).contains("wait.yml").then_some(()));
    started
}

fn leases(hosts: &Rehearsal, host: &str) -> String {
    hosts.on(host, "cat /var/tmp/.stagger-lease.*/lease 2>/dev/null || :")
}

fn id(place: &Place, state: &str) -> String {
    let run =
        std::fs::read_dir(place.path(state).join("runs")).expect("runs").next().expect("a run").expect("an entry");
    run.file_name().into_string().expect("an id")
}

fn ages(hosts: &Rehearsal, host: &str, moment: &str) {
    hosts.on(host, &format!("touch -d '{moment}' /var/tmp/.stagger-lease.*"));
}

const CHANGE: &str = "  tasks:\n    - name: change\n      command: touch /srv/changed\n";

#[test]
fn of_two_operators_at_once_the_second_is_told_whose_the_host_is_and_goes_on_elsewhere() {
    let hosts = shared();
    let (ann, bob) = (hosts.place("root"), hosts.place("deputy"));
    let first = waiting(&hosts, &ann, "two", "stagger");
    bob.write("other.yml", &format!("- hosts: two,free\n{CHANGE}"));
    hosts.on("free", "rm -f /srv/changed; chmod 1777 /srv");
    let said = run(&bob, "other.yml", "second");
    assert_eq!(said.code, 2, "{}", said.out);
    let run_id = id(&ann, "first");
    let whose = format!("two is not changed: another run has it: run {run_id} of root@");
    assert!(said.out.replace('\n', " ").contains(&whose) || said.out.contains(&run_id), "{}", said.out);
    assert!(
        said.out.contains("(wait.yml), taken ") && said.out.contains("stagger lock break two --reason"),
        "{}",
        said.out
    );
    assert!(said.out.contains("changed: free  change"), "{}", said.out);
    assert_eq!(hosts.on("two", "ls /srv/changed 2>/dev/null || :"), "");
    // The deputy's lease needed nothing but an account, and is gone.
    assert_eq!(leases(&hosts, "free"), "");
    assert_eq!(hosts.on("free", "stat -c %U /srv/changed"), "deputy\n");
    let exec = |words: &[&str]| bob.call("stagger", &[&["exec", "two", "-i", "hosts.yml"], words].concat());
    let said = exec(&["-m", "copy", "-a", "content=x dest=/tmp/x"]);
    assert!(said.code == 2 && said.out.contains(&run_id), "{}", said.out);
    // Looking is free.
    for words in [
        &["-m", "ping"][..],
        &["-a", "uptime", "--looks"],
        &["-m", "stat", "-a", "path=/srv"],
        &["-a", "id", "--check"],
    ] {
        let said = exec(words);
        assert_eq!(said.code, 0, "{words:?}: {}{}", said.out, said.err);
    }
    let said = bob.call("stagger", &["lock", "status", "two,free", "-i", "hosts.yml", "--state", "second"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains(&format!("two: run {run_id} of ")) && said.out.contains("free: free"), "{}", said.out);
    hosts.on("two", "touch /srv/go");
    let said = first.end(20);
    assert_eq!(said.code, 0, "{}", said.out);
    let journal =
        std::fs::read_to_string(ann.path("first/runs").join(&run_id).join("journal.jsonl")).expect("a journal");
    assert_eq!(journal.matches("\"lease_taken\"").count(), 1, "one round trip for the whole run");
    assert_eq!(leases(&hosts, "two"), "");
}

#[test]
fn a_crashed_run_takes_its_lease_up_again_and_holds_nobody_for_ever() {
    let hosts = shared();
    let (ann, bob) = (hosts.place("root"), hosts.place("root"));
    let mut first = waiting(&hosts, &ann, "crash", "stagger");
    let run_id = id(&ann, "first");
    first.signal("KILL");
    wait("it is dead", 10, || first.is_over().then_some(()));
    bob.write("other.yml", &format!("- hosts: crash\n{CHANGE}"));
    // Nobody can tell yet that it is dead.
    assert_eq!(run(&bob, "other.yml", "second").code, 2);
    ages(&hosts, "crash", "11 minutes ago");
    let said = bob.call("stagger", &["lock", "status", "crash", "-i", "hosts.yml", "--state", "second"]);
    assert!(said.out.contains(&format!("crash: dead: run {run_id}")), "{}", said.out);
    let said = run(&bob, "other.yml", "second");
    assert_eq!(said.code, 0, "{}", said.out);
    let text = said.out.replace("\n", " ") + &said.err;
    assert!(text.contains("crash: taken over from a dead run: run ") && text.contains(&run_id), "{text}");
    assert_eq!(leases(&hosts, "crash"), "");
}

#[test]
fn a_run_that_is_resumed_takes_its_own_lease_without_a_word() {
    let hosts = shared();
    let ann = hosts.place("root");
    let mut first = waiting(&hosts, &ann, "again", "stagger");
    first.signal("KILL");
    wait("it is dead", 10, || first.is_over().then_some(()));
    hosts.on("again", "touch /srv/go");
    let said = ann.call("stagger", &["resume", "--redo-unknown", "--state", "first"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(!said.out.contains("lease") && !said.out.contains("taken over"), "{}", said.out);
    assert_eq!(leases(&hosts, "again"), "");
}

#[test]
fn a_lease_is_broken_with_a_reason_and_by_root_where_another_account_made_it() {
    let hosts = shared();
    let (ann, bob) = (hosts.place("root"), hosts.place("deputy"));
    let mut first = waiting(&hosts, &ann, "broken", "stagger");
    let run_id = id(&ann, "first");
    first.signal("KILL");
    wait("it is dead", 10, || first.is_over().then_some(()));
    hosts.on("broken", "printf '#!/bin/sh\\necho \"$@\" >>/tmp/log\\n' >/usr/local/bin/logger; chmod 755 /usr/local/bin/logger; : >/tmp/log; chmod 666 /tmp/log");
    let lock = |place: &Place, words: &[&str]| {
        place.call("stagger", &[&["lock", "break", "broken", "-i", "hosts.yml"], words].concat())
    };
    assert_eq!(lock(&bob, &[]).code, 64);
    assert_eq!(lock(&bob, &["--reason", " "]).code, 64);
    let said = lock(&bob, &["--reason", "bastion is gone"]);
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    assert!(said.err.contains("still there") && said.err.contains("-b"), "{}", said.err);
    assert!(leases(&hosts, "broken").contains(&run_id));
    let said = lock(&ann, &["--reason", "bastion is gone"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains(&format!("broken: broken: run {run_id} of root@")), "{}", said.out);
    assert_eq!(leases(&hosts, "broken"), "");
    wait("the host's log tells it", 10, || {
        hosts.on("broken", "cat /tmp/log").contains("-t stagger -- lease on this host broken by root@").then_some(())
    });
    let said = lock(&ann, &["--reason", "bastion is gone"]);
    assert!(said.code == 0 && said.out.contains("nothing to break: broken"), "{}", said.out);
}

#[test]
fn a_host_without_room_for_a_lease_is_changed_with_a_warning() {
    let hosts = shared();
    let place = hosts.place("root");
    place.write("play.yml", &format!("- hosts: full\n{CHANGE}    - command: touch /srv/again\n"));
    for options in ["ro", "size=4k,nr_inodes=1"] {
        hosts.on("full", &format!("mount -t tmpfs -o {options} none /var/tmp"));
        let said = run(&place, "play.yml", "s");
        hosts.on("full", "umount /var/tmp");
        assert_eq!(said.code, 0, "{}", said.out);
        let text = said.out.clone() + &said.err;
        assert_eq!(text.matches("no lease can be taken").count(), 1, "{text}");
        assert!(said.out.contains("changed: full  change"), "{}", said.out);
    }
    // The folder alone is one, too.
    hosts.on("full", "mount -t tmpfs -o size=4k none /var/tmp; head -c 8192 /dev/zero >/var/tmp/x 2>/dev/null || :");
    let said = run(&place, "play.yml", "s");
    hosts.on("full", "rmdir /var/tmp/.stagger-lease.* 2>/dev/null && echo left; umount /var/tmp");
    assert!(!(said.out + &said.err).contains("no lease"));
}

#[test]
fn hosts_of_an_unfinished_run_are_refused_before_any_connection() {
    let hosts = shared();
    let place = hosts.place("root");
    place.write(
        "halt.yml",
        "- hosts: halt,halt2\n  serial: 1\n  tasks:\n    - name: breaks\n      command: test -e /srv/mended\n    - name: last\n      command: touch /srv/last\n",
    );
    place.write("new.yml", &format!("- hosts: halt2,other\n{CHANGE}"));
    let words = |words: &[&'static str]| [words, &["-i", "hosts.yml", "--state", "s"]].concat();
    assert_eq!(run(&place, "halt.yml", "s").code, 2);
    let run_id = id(&place, "s");
    let said = run(&place, "new.yml", "s");
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    let told = format!("error: 1 host is of run {run_id} (halt.yml by root@");
    assert!(said.err.contains(&told), "{}", said.err);
    assert!(said.err.contains("which was halted: halt2\n"), "{}", said.err);
    assert!(said.err.contains(&format!("`stagger resume {run_id} --state s` goes on with it")), "{}", said.err);
    assert!(said.err.ends_with("Nothing was done and no host was contacted.\n"), "{}", said.err);
    assert_eq!(place.call("stagger", &words(&["exec", "halt2", "-m", "copy", "-a", "content=x dest=/tmp/x"])).code, 1);
    // Looking, another cluster's hosts, another state folder, Ansible's name, and who says so.
    assert_eq!(place.call("stagger", &words(&["exec", "halt2", "-a", "uptime", "--looks"])).code, 0);
    assert_eq!(place.call("stagger", &words(&["check", "new.yml"])).code, 0);
    let said = place.call("stagger", &["lock", "status", "--state", "s"]);
    assert!(said.out.contains(&format!("run {run_id} (halt.yml by ")), "{}{}", said.out, said.err);
    let said = place.call("ansible-playbook", &words(&["new.yml"]));
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let said = place.call("stagger", &words(&["exec", "halt,halt2", "-a", "touch /srv/mended", "--beside", "zzzz"]));
    assert_eq!(said.code, 1, "{}", said.out);
    let exec =
        ["exec", "halt,halt2", "-a", "touch /srv/mended", "-i", "hosts.yml", "--state", "s", "--beside", &run_id];
    assert_eq!(place.call("stagger", &exec).code, 0);
    let said = place.call("stagger", &["resume", &run_id, "--state", "s"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(run(&place, "new.yml", "s").code, 0);
}

#[test]
fn a_run_that_is_alive_is_in_the_way_under_any_name() {
    let hosts = shared();
    let place = hosts.place("root");
    let first = waiting(&hosts, &place, "back", "ansible-playbook");
    let run_id = id(&place, "first");
    place.write("new.yml", &format!("- hosts: back\n{CHANGE}"));
    for name in ["stagger", "ansible-playbook"] {
        let words: &[&str] = if name == "stagger" { &["run"] } else { &[] };
        let said = place.call(name, &[words, &["new.yml", "-i", "hosts.yml", "--state", "first"]].concat());
        assert_eq!(said.code, 1, "{}{}", said.out, said.err);
        assert!(said.err.contains(&run_id) && said.err.contains("is alive (process "), "{}", said.err);
    }
    // A cluster of another inventory has hosts of the same name.
    place.write("elsewhere.yml", &place.read("hosts.yml").replace("    back:", "    back2: {}\n    back:"));
    let said = place.call("stagger", &["run", "new.yml", "-i", "elsewhere.yml", "--state", "first", "--limit", "back"]);
    assert_eq!(said.code, 2, "the lease on the host says so: {}{}", said.out, said.err);
    hosts.on("back", "touch /srv/go");
    assert_eq!(first.end(20).code, 0);
}

#[test]
fn a_heartbeat_in_the_future_holds_and_a_busybox_host_has_leases_too() {
    let hosts = shared();
    let (ann, bob) = (hosts.place("root"), hosts.place("root"));
    let first = waiting(&hosts, &ann, "busy", "stagger");
    bob.write("other.yml", &format!("- hosts: busy\n{CHANGE}"));
    hosts.on("busy", "touch -d '2031-01-01 00:00:00' /var/tmp/.stagger-lease.*");
    let said = run(&bob, "other.yml", "second");
    assert_eq!(said.code, 2, "{}", said.out);
    assert!(said.out.replace('\n', " ").contains("the host's clock was set back"), "{}", said.out);
    hosts.on("busy", "touch /srv/go");
    assert_eq!(first.end(20).code, 0);
    assert_eq!(leases(&hosts, "busy"), "");
}
