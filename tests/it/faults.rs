//! What goes wrong on hosts and on the way to them: a clear error on the right host, what was there stays whole, and other
//! hosts go on. On rehearsal hosts with OpenSSH's sshd.

#![allow(
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "a test reads what the program wrote, and is in no hurry"
)]

use std::fs;
use std::time::{Duration, Instant};

use super::hermetic::wait;
use super::rehearsal::Rehearsal;

const ALIVE: &str = " -o ServerAliveInterval=1 -o ServerAliveCountMax=2";

#[test]
fn a_changed_and_an_unknown_host_key_stop_only_their_hosts() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    let known = fs::read_to_string(hosts.folder().join("known_hosts")).expect("known hosts");
    let line = |name: &str| {
        let mark = format!("[{}]:", hosts.address(name));
        known.lines().find(|line| line.starts_with(&mark)).expect("a key").to_owned()
    };
    // `other` has the key of `calm`, `full` is not known.
    let changed = line("calm").replace(&hosts.address("calm"), &hosts.address("other"));
    place.write("known", &format!("{}\n{changed}\n", line("calm")));
    let file = place.path("known").display().to_string();
    let arguments = format!("{{\"ansible_ssh_common_args\": \"-o UserKnownHostsFile={file}\"}}");
    place.write("play.yml", "- hosts: calm,other,full\n  tasks:\n    - command: \"true\"\n");
    let said = place.call("stagger", &["run", "play.yml", "-i", "hosts.yml", "-e", &arguments]);
    assert_eq!(said.code, 4, "{}", said.out);
    assert!(said.out.contains(&format!("the host key of {}:2222 is not the known one", hosts.address("other"))));
    let print = |mark: &str| said.out.lines().find(|line| line.contains(mark)).unwrap_or_default().to_owned();
    let (known, shown) = (print("known: ssh-ed25519 SHA256:"), print("shown: ssh-ed25519 SHA256:"));
    assert!(
        !known.is_empty() && known.contains(&file) && !shown.is_empty() && known.trim() != shown.trim(),
        "{}",
        said.out
    );
    assert!(said.out.contains(&format!("the host key of {}:2222 is not known", hosts.address("full"))), "{}", said.out);
    assert!(said.out.contains("ssh-keyscan -p 2222"), "{}", said.out);
    assert!(said.out.contains("changed: calm"), "{}", said.out);
}

#[test]
fn what_is_wrong_with_becoming_root_is_said_once_and_soon() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("deputy");
    place.write("wrong", "not-the-password\n");
    let began = Instant::now();
    let said = place.call(
        "stagger",
        &["exec", "calm,other", "-i", "hosts.yml", "-b", "--become-password-file", "wrong", "-a", "id"],
    );
    assert_eq!(said.code, 2, "{}", said.out);
    assert_eq!(said.out.matches("cannot become root by sudo: the become password is wrong").count(), 2, "{}", said.out);
    assert!(began.elapsed() < Duration::from_secs(10), "PAM waits two seconds, once");
    let said = place.call("stagger", &["exec", "calm", "-i", "hosts.yml", "-b", "-a", "id"]);
    assert!(said.out.contains("it asks for a password and none was given: -K asks for it"), "{}", said.out);
    // Somebody who may not.
    hosts.on("poison", "sed -i /deputy/d /etc/sudoers.d/rehearsal");
    place.write("right", &hosts.password());
    let said = place
        .call("stagger", &["exec", "poison", "-i", "hosts.yml", "-b", "--become-password-file", "right", "-a", "id"]);
    assert_eq!(said.code, 2, "{}", said.out);
    assert!(
        said.out.contains("the login user is not allowed to: its sudoers entry is missing or narrower"),
        "{}",
        said.out
    );
    let said = place
        .call("stagger", &["exec", "calm", "-i", "hosts.yml", "-b", "--become-password-file", "right", "-a", "id -un"]);
    assert_eq!((said.code, said.out.as_str()), (0, "calm | CHANGED | rc=0 >>\nroot\n"));
    let key = place.path("nokey").display().to_string();
    let said = place.call(
        "stagger",
        &["exec", "calm", "-i", "hosts.yml", "-e", &format!("ansible_ssh_private_key_file={key}"), "-a", "id"],
    );
    assert_eq!(said.code, 4);
    assert!(said.out.contains(&format!("cannot read the private key {key}: No such file")), "{}", said.out);
}

#[test]
fn a_full_disk_leaves_the_file_whole_and_nothing_else() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    hosts.on("full", "echo old >/srv/file");
    hosts.fault("full", "fill");
    place.write("big", &"0123456789abcde\n".repeat(200_000));
    place.write(
        "play.yml",
        "- hosts: full,calm\n  tasks:\n    - name: copy it\n      copy: {src: big, dest: /srv/file}\n    - name: after\n      command: rm /srv/file\n",
    );
    let said = place.call("stagger", &["run", "play.yml", "-i", "hosts.yml"]);
    hosts.fault("full", "mend");
    assert_eq!(said.code, 2, "{}", said.out);
    assert!(said.out.contains("failed: full  copy it: cannot write /srv/file: "), "{}", said.out);
    assert!(said.out.contains("No space left on device (what was there is as it was)"), "{}", said.out);
    assert!(said.out.contains("changed: calm  after"), "{}", said.out);
    assert_eq!(hosts.on("full", "cat /srv/file; ls -A /srv"), "old\nfile\n");
}

#[test]
fn a_host_that_dies_or_freezes_in_the_middle_of_a_copy_keeps_its_file() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    for host in ["dying", "frozen", "cut"] {
        hosts.on(host, "echo old >/srv/file");
    }
    // What arrives is stopped half-way: the host's `cat` waits for the test.
    place.write("big", &"0123456789abcde\n".repeat(2_000_000));
    place.write(
        "play.yml",
        "- hosts: dying,frozen,cut,calm\n  tasks:\n    - name: copy it\n      copy: {src: big, dest: /srv/big}\n      when: inventory_hostname == 'calm'\n    - name: replace it\n      copy: {src: big, dest: /srv/file}\n      when: inventory_hostname != 'calm'\n    - name: after\n      command: rm /srv/big\n",
    );
    let arguments = format!(
        "{{\"ansible_ssh_common_args\": \"-o UserKnownHostsFile={}/known_hosts{ALIVE}\"}}",
        hosts.folder().display()
    );
    let arguments = arguments.as_str();
    let words = ["run", "play.yml", "-i", "hosts.yml", "-e", arguments];
    // The disk of these hosts is small and quick: a pipe that nobody reads holds the bytes back.
    for host in ["dying", "frozen", "cut"] {
        hosts.on(host, "mv /bin/cat /bin/cat.real 2>/dev/null; printf '#!/bin/sh\\nif [ -n \"$1\" ]; then exec /bin/cat.real \"$@\"; fi\\ntouch /tmp/begun; head -c 1000000; sleep 600\\n' >/bin/cat; chmod 755 /bin/cat");
    }
    let mut run = place.start("stagger", &words);
    for host in ["dying", "frozen", "cut"] {
        wait(&format!("the copy to {host} has begun"), 20, || {
            let done = std::panic::catch_unwind(|| hosts.on(host, "test -e /tmp/begun && echo yes || echo no"));
            done.is_ok_and(|text| text.contains("yes")).then_some(())
        });
    }
    hosts.fault("dying", "kill");
    hosts.fault("frozen", "freeze");
    hosts.fault("cut", "cut");
    run.until_said("PLAY RECAP");
    let said = run.end(30);
    assert_eq!(said.code, 4, "{}", said.out);
    for host in ["dying", "frozen", "cut"] {
        hosts.fault(host, "mend");
        let recap = said.out.lines().find(|line| line.starts_with(host) && line.contains("ok=")).unwrap_or_default();
        assert!(recap.contains("unreachable=1"), "{host}: {}", said.out);
        hosts.on(host, "mv /bin/cat.real /bin/cat");
        assert_eq!(hosts.on(host, "cat /srv/file"), "old\n", "{host}");
    }
    assert!(said.out.contains("changed: calm  after"), "other hosts go on: {}", said.out);
}

#[test]
fn two_gigabytes_of_output_fit_into_a_small_client() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    // The whole of it takes most of a minute.
    let bytes = if std::env::var_os("STAGGER_TEST_LONG").is_some() { 2_000_000_000_u64 } else { 300_000_000 };
    let command = format!("head -c {bytes} /dev/zero | tr '\\0' x; echo end");
    let mut run =
        place.start("stagger", &["exec", "slow", "-i", "hosts.yml", "-m", "shell", "-a", &command, "--output", "json"]);
    let status = format!("/proc/{}/status", run.id());
    let mut peak = 0;
    wait("it ends", 120, || {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let kib =
            text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        match kib {
            Some(kib) => {
                peak = kib.max(peak);
                run.is_over().then_some(())
            }
            None => Some(()),
        }
    });
    let said = run.end(10);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("xxxend\""), "the end of it is kept");
    assert!(said.out.contains("bytes in the middle of stdout were left out"), "and it is said that the middle is not");
    assert!(peak > 0 && peak < 64 * 1024, "{peak} KiB");
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_its_children() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    place.write(
        "play.yml",
        "- hosts: slow,busy\n  tasks:\n    - name: long\n      shell: (sleep 4711 & sleep 4711) | sleep 4711\n      timeout: 1\n",
    );
    let said = place.call("stagger", &["run", "play.yml", "-i", "hosts.yml"]);
    assert_eq!(said.code, 2, "{}", said.out);
    assert!(said.out.contains("timeout of 1 s") || said.out.contains("longer than 1 s"), "{}", said.out);
    for host in ["slow", "busy"] {
        wait("nothing of it is left", 5, || {
            (!hosts.on(host, "ps -ef 2>/dev/null || ps").contains("sleep 4711")).then_some(())
        });
    }
}

#[test]
fn a_release_with_a_wrong_checksum_and_a_wrong_flag_change_nothing() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    place.write("mesos", "#!/bin/sh\necho new\n");
    place.write(
        "release.yml",
        "- hosts: calm\n  tasks:\n    - release: {name: demo, version: 1.0, src: mesos, state: staged, sha256: '0000000000000000000000000000000000000000000000000000000000000000'}\n",
    );
    let said = place.call("stagger", &["run", "release.yml", "-i", "hosts.yml"]);
    assert_ne!(said.code, 0, "{}", said.out);
    assert!((said.out.clone() + &said.err).contains("0000000000000000"), "{}{}", said.out, said.err);
    place.write(
        "flags.yml",
        "- hosts: calm\n  vars: {wanted: {chekpoint: true}}\n  tasks:\n    - command: touch /srv/first\n    - mesos_flags: {daemon: slave, version: 0.14.2, set: {chekpoint: true}}\n",
    );
    let said = place.call("stagger", &["run", "flags.yml", "-i", "hosts.yml"]);
    assert_eq!(said.code, 65, "{}", said.out);
    assert!(said.err.contains("flags.yml:5:7") && said.err.contains("did you mean `checkpoint`?"), "{}", said.err);
    assert!(hosts.on("calm", "ls /srv/first 2>&1 || :").contains("No such file"));
    // Known only at run time.
    let text = place.read("flags.yml").replace("set: {chekpoint: true}", "set: \"{{ wanted }}\"");
    place.write("flags.yml", &text);
    hosts.on("calm", "mkdir -p /etc/mesos-slave; ls -A /etc/mesos-slave >/tmp/before");
    let said = place.call("stagger", &["run", "flags.yml", "-i", "hosts.yml"]);
    assert_eq!(said.code, 2, "{}", said.out);
    assert!(said.out.contains("did you mean `checkpoint`?"), "{}", said.out);
    assert_eq!(hosts.on("calm", "ls -A /etc/mesos-slave | cmp - /tmp/before"), "");
}

#[test]
fn a_local_file_that_changes_while_the_run_goes_on_is_not_put_in_place() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    place.write("binary", "one\n");
    place.write(
        "play.yml",
        "- hosts: calm,other\n  serial: 1\n  tasks:\n    - copy: {src: binary, dest: /srv/binary}\n    - command: sleep 1\n",
    );
    let mut run = place.start("stagger", &["run", "play.yml", "-i", "hosts.yml"]);
    wait("the first host has it", 10, || {
        hosts.on("calm", "cat /srv/binary 2>/dev/null || :").contains("one").then_some(())
    });
    place.write("binary", "two\n");
    run.until_said("PLAY RECAP");
    let said = run.end(20);
    assert_eq!(said.code, 2, "{}", said.out);
    assert!(said.out.contains("failed: other  copy: "), "{}", said.out);
    assert_eq!(hosts.on("other", "ls -A /srv | grep binary || :"), "");
    hosts.on("calm", "rm /srv/binary");
}
