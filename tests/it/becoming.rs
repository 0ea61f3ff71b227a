//! Becoming another user by programs that ask for a password, on both kinds of host: su, doas, and sudo where it insists on a terminal.

use super::hermetic::{Place, Said};
use super::rehearsal::Rehearsal;

/// Runs a play that copies a file of bytes that a terminal would take for commands, and says who did.
fn copy(place: &Place, host: &str, method: &str, user: &str, password: &str) -> Said {
    place.write("become", &format!("{password}\n"));
    place.write(
        "play.yml",
        &format!(
            "- hosts: {host}\n  become: true\n  become_method: {method}\n  become_user: {user}\n  tasks:\n    - copy: {{src: bytes, dest: /tmp/by-{method}}}\n    - command: sh -c 'id -un; echo quiet >&2; md5sum </tmp/by-{method}'\n      register: said\n    - debug: {{msg: \"{{{{ said.stdout_lines }}}} {{{{ said.stderr }}}}\"}}\n"
        ),
    );
    let words = ["run", "play.yml", "-i", "hosts.yml", "--become-password-file", "become", "--output", "plain", "-vv"];
    place.call("stagger", &words)
}

#[test]
fn su_doas_and_a_sudo_that_insists_on_a_terminal_work_and_tell_a_wrong_password() {
    let hosts = Rehearsal::shared();
    hosts.on(
        "old",
        "echo 'permit deputy as root' >/etc/doas.conf; chmod 400 /etc/doas.conf; \
         echo 'Defaults:deputy requiretty' >/etc/sudoers.d/requiretty; chmod 440 /etc/sudoers.d/requiretty",
    );
    let place = hosts.place("deputy");
    let bytes: Vec<u8> = (0..700_000_u32).map(|n| (n % 256) as u8).collect();
    std::fs::write(place.path("bytes"), bytes).expect("written");
    let sum = hosts_sum(&place);
    let password = hosts.password();
    for (host, method, user) in
        [("old", "doas", "root"), ("old", "sudo", "root"), ("old", "su", "operator"), ("busy", "su", "operator")]
    {
        let said = copy(&place, host, method, user, &password);
        assert_eq!(said.code, 0, "{host} {method}: {}{}", said.out, said.err);
        assert!(said.out.contains(user) && said.out.contains(&sum) && said.out.contains("quiet"), "{}", said.out);
        let again = copy(&place, host, method, user, &password);
        assert!(again.out.contains("changed=1 "), "the file is there already: {}", again.out);
        let wrong = copy(&place, host, method, user, "no-such-password");
        assert_ne!(wrong.code, 0, "{host} {method}: {}", wrong.out);
        assert!(wrong.out.contains("the become password is wrong"), "{host} {method}: {}{}", wrong.out, wrong.err);
        let text =
            format!("{}{}{}{}{}{}{}", said.out, said.err, again.out, again.err, wrong.out, wrong.err, place.state());
        assert!(!text.contains(&password) && !text.contains("no-such-password"), "{host} {method}: {text}");
    }
    hosts.on("old", "rm /etc/sudoers.d/requiretty; test -z \"$(ls -d /tmp/stagger-tty.* 2>/dev/null)\"");
}

/// What `md5sum` says of the file here.
fn hosts_sum(place: &Place) -> String {
    let file = std::fs::File::open(place.path("bytes")).expect("a file");
    let output = std::process::Command::new("md5sum").stdin(file).output().expect("md5sum runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
