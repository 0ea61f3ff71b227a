//! Commands that outlive their connection, on both kinds of host over real SSH: cut, met again, run once.

use super::hermetic::{Place, wait};
use crate::lab::Lab;

const HOSTS: &str = "
all:
  hosts:
    debian: {ansible_host: NET.1}
    busybox: {ansible_host: NET.2, lab_kind: busybox}
";

const SEEN: &str = "    debian: {ansible_host: NET.1}
    busybox: {ansible_host: NET.2}
    deputy: {ansible_host: NET.1, ansible_user: operator, ansible_become: true, ansible_become_user: deputy}
";

/// Ends all SSH sessions on a host but the one that does it.
const CUT: &str = "for f in $(grep -ls '^sshd: [^ ]*@' /proc/[0-9]*/cmdline); do p=${f#/proc/}; p=${p%/cmdline}; \
     [ $p = $PPID ] || kill -9 $p; done";

/// The SSH sessions on a host but the one that asks.
const SESSIONS: &str = "for f in $(grep -ls '^sshd: [^ ]*@' /proc/[0-9]*/cmdline); do p=${f#/proc/}; p=${p%/cmdline}; \
     [ $p = $PPID ] || echo $p; done";

/// What is left on a host of detached commands.
const LEFT: &str = "ls -A /var/tmp/.stagger-* 2>/dev/null | grep '[0-9a-f]-' || :";

struct Bench {
    lab: Lab,
    place: Place,
}

impl Bench {
    fn up(number: u32) -> Self {
        let lab = Lab::up(number, "1", HOSTS);
        let place = Place::new();
        place.write("hosts.yml", &lab.as_seen("", SEEN));
        Self { lab, place }
    }

    fn has(&self, host: &str, file: &str) -> bool {
        self.lab.ssh("root", host, &format!("test -e {file}")).0 == 0
    }
}

#[test]
fn a_detached_command_is_met_again_after_cuts_and_runs_once() {
    let bench = Bench::up(61);
    bench.place.write(
        "play.yml",
        "- hosts: all\n  tasks:\n    - shell: cd /tmp/w && echo $(id -un) >>count.{{ inventory_hostname }} && echo begun && while [ ! -e go ]; do sleep 0.1; done; echo done; cat >&2\n      args: {stdin: input, creates: '/tmp/w/count.{{ inventory_hostname }}'}\n      detach: 2m\n      register: it\n    - assert: {that: [it.stdout == 'begun\\ndone', it.stderr == 'input', it.rc == 0, it is changed, it.delta is defined]}\n    - command: rm /tmp/w/go\n      failed_when: false\n",
    );
    let user = [("debian", "debian", "root"), ("busybox", "busybox", "root"), ("debian", "deputy", "deputy")];
    for one_channel in ["", "1"] {
        for host in ["debian", "busybox"] {
            bench.lab.run(host, "mkdir -m 777 /tmp/w");
        }
        let mut command = bench.place.command("stagger", &["run", "play.yml", "-i", "hosts.yml"]);
        command.env("STAGGER_ONE_CHANNEL", one_channel);
        let run = bench.place.begin(command);
        for (host, name, _) in user {
            wait("it runs", 30, || bench.has(host, &format!("/tmp/w/count.{name}")).then_some(()));
        }
        for _ in 0..2 {
            for host in ["debian", "busybox"] {
                bench.lab.run(host, CUT);
            }
            for host in ["debian", "busybox"] {
                wait("it is asked again", 30, || (bench.lab.run(host, SESSIONS).trim() != "").then_some(()));
            }
        }
        for host in ["debian", "busybox"] {
            bench.lab.run(host, "touch /tmp/w/go");
        }
        let said = run.end(60);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        for (host, name, who) in user {
            assert_eq!(bench.lab.run(host, &format!("cat /tmp/w/count.{name}")), format!("{who}\n"), "it ran once");
        }
        for host in ["debian", "busybox"] {
            assert_eq!(bench.lab.run(host, LEFT), "", "{host}: nothing is left of it");
            bench.lab.run(host, "rm -rf /tmp/w");
        }
    }
}

#[test]
fn a_killed_run_leaves_its_detached_command_running_with_its_end_on_the_host() {
    let bench = Bench::up(62);
    bench.place.write(
        "play.yml",
        "- hosts: debian:busybox\n  tasks:\n    - shell: echo begun; touch /tmp/begun; while [ ! -e /tmp/go ]; do sleep 0.1; done; exit 3\n      async: 120\n      poll: 5\n",
    );
    let mut run = bench.place.start("stagger", &["run", "play.yml", "-i", "hosts.yml"]);
    run.until_journal("act_started", &bench.place);
    for host in ["debian", "busybox"] {
        wait("it runs", 30, || bench.has(host, "/tmp/begun").then_some(()));
    }
    run.signal("KILL");
    run.end(5);
    for host in ["debian", "busybox"] {
        wait("nobody asks any more", 20, || (bench.lab.run(host, SESSIONS).trim() == "").then_some(()));
        bench.lab.run(host, "touch /tmp/go");
        let status = wait("it has ended", 20, || {
            let (code, text) = bench.lab.ssh("root", host, "cat /var/tmp/.stagger-0/*/status");
            (code == 0).then_some(text)
        });
        assert!(status.starts_with("3 ") && status.trim_end().ends_with(" 0"), "{host}: {status}");
        assert_eq!(bench.lab.run(host, "cat /var/tmp/.stagger-0/*/out.*0"), "begun\n", "{host}");
    }
}

#[test]
fn what_becomes_of_a_detached_command_is_told_apart() {
    let bench = Bench::up(63);
    bench.place.write(
        "play.yml",
        "- hosts: debian:busybox\n  gather_facts: false\n  tasks:\n    - name: late\n      command: sleep 300\n      detach: 1s\n      ignore_errors: true\n    - name: bounded\n      command: sleep 300\n      detach: 1h\n      timeout: 1\n      ignore_errors: true\n    - name: again\n      shell: 'echo x >>/tmp/tries; test $(wc -l </tmp/tries) -ge 3'\n      detach: 1m\n      until: it.rc == 0\n      retries: 5\n      delay: 0\n      register: it\n    - assert: {that: it.attempts == 3}\n    - name: many\n      shell: 'echo {{ item }}'\n      loop: [a, b, c]\n      detach: 1m\n      register: many\n    - assert: {that: \"many.results | map(attribute='stdout') | list == ['a', 'b', 'c']\"}\n    - name: there already\n      command: echo no\n      args: {creates: /tmp/tries}\n      detach: 1m\n      register: skipped\n    - assert: {that: skipped is not changed}\n    - name: gone\n      shell: touch /tmp/gone; sleep 300\n      detach: 5m\n",
    );
    let run = bench.place.start("stagger", &["run", "play.yml", "-i", "hosts.yml", "--output", "plain"]);
    for host in ["debian", "busybox"] {
        wait("it gets there", 90, || bench.has(host, "/tmp/gone").then_some(()));
        bench.lab.run(
            host,
            "kill -9 $(cut -d' ' -f4 /var/tmp/.stagger-0/*/pid) -$(cut -d' ' -f1 /var/tmp/.stagger-0/*/pid)",
        );
    }
    let said = run.end(60);
    assert_eq!(said.code, 4, "{}{}", said.out, said.err);
    for host in ["debian", "busybox"] {
        for text in [
            "late: it took longer than 1 s and was killed",
            "bounded: it took longer than 1 s and was killed",
            "gone: how it ended is not known: it was killed together with what watched it",
        ] {
            assert!(
                said.out.lines().any(|line| line.contains(host) && line.contains(text)),
                "{host} {text}: {}",
                said.out
            );
        }
        assert_eq!(bench.lab.run(host, "cat /tmp/tries"), "x\nx\nx\n", "{host}");
    }
    bench.place.write(
        "wrong.yml",
        "- hosts: debian\n  tasks:\n    - copy: {content: x, dest: /tmp/x}\n      detach: 1m\n    - command: 'true'\n      async: 10\n      poll: 0\n    - command: 'true'\n      async: 10\n      detach: 1m\n    - command: 'true'\n      detach: soon\n    - command: 'true'\n      poll: 5\n",
    );
    let said = bench.place.call("stagger", &["run", "wrong.yml", "-i", "hosts.yml"]);
    for text in [
        "`copy` can't be detached: only command, raw, shell can",
        "`poll: 0` is not supported",
        "`async` and `detach` are the same",
        "`soon` is not a duration",
        "`poll` needs `async` or `detach`",
    ] {
        assert!(said.err.contains(text) || said.out.contains(text), "{text}: {}{}", said.out, said.err);
    }
}
