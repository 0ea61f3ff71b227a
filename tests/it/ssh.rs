//! What OpenSSH's users expect: ~/.ssh/config, agents, jumps, old servers, and servers that take few connections at a time.

#![allow(
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "a test reads what the program wrote, and is in no hurry"
)]

use std::fs;
use std::process::{Command, Stdio};

use super::hermetic::Place;
use super::rehearsal::Rehearsal;

fn configure(place: &Place, text: &str) {
    fs::create_dir_all(place.home().join(".ssh")).expect("a folder");
    fs::write(place.home().join(".ssh/config"), text).expect("written");
}

/// Starts a further sshd on a host, with more settings and another port, and knows its key.
fn another_sshd(hosts: &Rehearsal, place: &Place, host: &str, port: u16, settings: &str) {
    let script = format!(
        "config=$(tr '\\0' '\\n' </proc/$(pgrep -o -x sshd)/cmdline | sed -n '/^-f$/{{n;p}}'); [ -n \"$config\" ] || config=/etc/ssh/sshd_config; {{ printf '{settings}\\nPort {port}\\nPidFile none\\n'; grep -vi '^Port' $config; }} >/tmp/sshd-{port}; /usr/sbin/sshd -f /tmp/sshd-{port} </dev/null >/dev/null 2>&1"
    );
    hosts.on(host, &script);
    let known = fs::read_to_string(hosts.folder().join("known_hosts")).expect("known hosts");
    let mark = format!("[{}]:2222", hosts.address(host));
    let line = known.lines().find(|line| line.starts_with(&mark)).expect("a key");
    place.write("known", &format!("{known}\n{}\n", line.replace(":2222", &format!(":{port}"))));
}

#[test]
fn a_jump_an_alias_and_a_key_come_from_the_users_configuration() {
    let hosts = Rehearsal::shared();
    let place = Place::new();
    // A name that only the jump host can resolve: nobody gets there but through it.
    hosts.on("jump", &format!("echo '{} inner' >>/etc/hosts", hosts.address("calm")));
    let folder = hosts.folder().display().to_string();
    configure(
        &place,
        &format!(
            "Host target\n  HostName inner\n  ProxyJump jump\n  HostKeyAlias [{}]:2222\nHost jump\n  HostName {}\nHost *\n  User root\n  Port 2222\n  IdentityFile {folder}/id_ed25519\n  UserKnownHostsFile {folder}/known_hosts\n",
            hosts.address("calm"),
            hosts.address("jump"),
        ),
    );
    let said = place.call("stagger", &["exec", "target", "-i", "target,", "-a", "hostname"]);
    assert_eq!((said.out.as_str(), said.code), ("target | CHANGED | rc=0 >>\ncalm\n", 0), "{}", said.err);
}

#[test]
fn an_agent_is_asked_for_keys() {
    let hosts = Rehearsal::shared();
    let place = Place::new();
    let socket = place.path("agent");
    let mut agent =
        Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().expect("ssh-agent");
    super::hermetic::wait("the agent listens", 5, || socket.exists().then_some(()));
    let added = Command::new("ssh-add")
        .arg(hosts.folder().join("id_ed25519"))
        .env("SSH_AUTH_SOCK", &socket)
        .stderr(Stdio::null())
        .status();
    assert!(added.expect("ssh-add").success());
    let known = hosts.folder().join("known_hosts").display().to_string();
    configure(
        &place,
        &format!(
            "Host calm\n  HostName {}\n  Port 2222\n  User root\n  UserKnownHostsFile {known}\n",
            hosts.address("calm")
        ),
    );
    let mut command = place.command("stagger", &["exec", "calm", "-i", "calm,", "-a", "id -un"]);
    command.env("SSH_AUTH_SOCK", &socket);
    let said = place.said(command);
    let without = place.call("stagger", &["exec", "calm", "-i", "calm,", "-a", "id -un"]);
    let _ = agent.kill();
    let _ = agent.wait();
    assert_eq!((said.out.as_str(), said.code), ("calm | CHANGED | rc=0 >>\nroot\n", 0), "{}", said.err);
    assert_eq!(without.code, 4);
    assert!(without.out.contains("refused every way to log in"), "{}", without.out);
}

#[test]
fn the_line_that_an_old_server_needs_is_named_and_works() {
    let hosts = Rehearsal::shared();
    let place = hosts.place("root");
    another_sshd(&hosts, &place, "old", 2223, "KexAlgorithms diffie-hellman-group14-sha1\\nMACs hmac-sha1");
    let known = place.path("known").display().to_string();
    let words = ["exec", "old", "-i", "hosts.yml", "-e", "ansible_port=2223", "-a", "id -un"];
    let base = format!("-o UserKnownHostsFile={known}");
    let call = |arguments: &str| {
        let extra = format!("{{\"ansible_ssh_common_args\": \"{arguments}\"}}");
        place.call("stagger", &[words.as_slice(), &["-e", &extra]].concat())
    };
    let mut arguments = base;
    let mut said = call(&arguments);
    assert_eq!(said.code, 4, "{}", said.out);
    assert!(said.out.contains("KexAlgorithms +diffie-hellman-group14-sha1"), "{}", said.out);
    for line in ["KexAlgorithms=+diffie-hellman-group14-sha1", "MACs=+hmac-sha1"] {
        arguments.push_str(&format!(" -o {line}"));
        said = call(&arguments);
    }
    assert_eq!((said.out.as_str(), said.code), ("old | CHANGED | rc=0 >>\nroot\n", 0), "{}", said.err);
}

#[test]
fn many_connections_through_one_jump_that_takes_few_at_a_time() {
    let hosts = Rehearsal::shared();
    let place = Place::new();
    another_sshd(&hosts, &place, "crowd", 2224, "MaxStartups 10:30:20\\nMaxSessions 10");
    let count = if std::env::var_os("STAGGER_TEST_LONG").is_some() { 200 } else { 60 };
    let folder = hosts.folder().display().to_string();
    let known = place.path("known").display().to_string();
    configure(
        &place,
        &format!(
            "Host n*\n  HostName {}\n  Port 2222\n  ProxyJump crowd\nHost crowd\n  HostName {}\n  Port 2224\nHost *\n  User root\n  IdentityFile {folder}/id_ed25519\n  UserKnownHostsFile {known}\n",
            hosts.address("calm"),
            hosts.address("crowd"),
        ),
    );
    place.write("many.ini", &format!("n[1:{count}]\n"));
    place.write("play.yml", "- hosts: all\n  tasks:\n    - command: id -un\n");
    let said = place.call("stagger", &["run", "play.yml", "-i", "many.ini", "-f", "200", "--output", "plain"]);
    assert_eq!(said.code, 0, "{}", said.out);
    assert_eq!(said.out.matches("unreachable=0    failed=0").count(), count, "{}", said.out);
}
