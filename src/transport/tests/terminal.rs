//! Programs that insist on a terminal before somebody becomes another user: real doas, real sudo under `requiretty`, and su as it
//! was when it read passwords from terminals only.

use super::*;
use crate::transport::{Any, Become};

/// `worker` needs a password for doas, `free` and `tied` none; sudo wants a terminal of `worker` and `tied`. `old-su` is this machine's
/// su behind the check of earlier ones.
fn prepare() -> String {
    format!(
        "{USERS}; useradd -m -d /home/tied -s /bin/sh tied; echo tied:geheim | chpasswd; \
         printf 'permit worker as root\\npermit nopass free as root\\npermit nopass tied\\n' >/etc/doas.conf; chmod 400 /etc/doas.conf; \
         echo 'Defaults:worker,tied requiretty' >>/etc/sudoers; echo 'tied ALL=(ALL) NOPASSWD: ALL' >>/etc/sudoers; \
         printf '#!/bin/sh\\n[ -t 0 ] || {{ echo su: must be run from a terminal >&2; exit 1; }}\\nexec su \"$@\"\\n' >/etc/old-su; \
         chmod 755 /etc/old-su"
    )
}

fn told(result: Result<Output, Lost>) -> String {
    match result {
        Err(Lost::Become(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_insist_on_a_terminal_get_one_and_the_streams_stay_apart() {
    let server = Server::start_prepared(&["AuthorizedKeysFile=/etc/stagger_keys"], &prepare());
    let old_su = |user: &str, password| {
        becoming("su", user, password).map(|b| Become { executable: Some("/etc/old-su".to_owned()), ..b })
    };
    for options in both(&server) {
        let transport = Ssh::new(options);
        let login = |user: &str| {
            let target = Target { user: Some(user.to_owned()), ..server.target() };
            let transport = &transport;
            async move { transport.connect(&target).await.unwrap_or_else(|why| panic!("{why}")) }
        };
        let ways = [
            ("worker", becoming("doas", "root", Some("geheim")), "root"),
            ("worker", becoming("sudo", "root", Some("geheim")), "root"),
            ("worker", becoming("sudo", "lonely", Some("geheim")), "lonely"),
            ("tied", becoming("sudo", "root", None), "root"),
            ("tied", becoming("doas", "lonely", None), "lonely"),
            ("worker", old_su("lonely", Some("geheim")), "lonely"),
        ];
        for (from, r#become, user) in ways {
            let connection = login(from).await;
            let command = |text: &str| Command { r#become: r#become.clone(), ..script(text) };
            for _ in 0..2 {
                let output = connection.run(&command("id -un; echo err >&2; cat; exit 7")).await;
                let output = output.unwrap_or_else(|why| panic!("{from} {become:?}: {why}"));
                let seen = (output.status, output.out(), output.err());
                assert_eq!(seen, (7, format!("{user}\n"), "err\n".to_owned()), "{from} {become:?}");
            }
            // No byte of an upload means anything to the terminal, and its end is seen.
            let bytes: Vec<u8> = (0..1_500_000_u32).map(|n| (n % 256) as u8).collect();
            let mut upload = command("cksum");
            upload.stdin = Some(Content::Bytes(bytes.clone().into()));
            let there = connection.run(&upload).await.unwrap().out();
            let mut here = script("cksum");
            here.stdin = upload.stdin.clone();
            assert_eq!(there, connection.run(&here).await.unwrap().out(), "{from} {become:?}");
            let mut slow = command("sleep 60");
            slow.timeout = Some(Duration::from_secs(1));
            assert_eq!(connection.run(&slow).await, Err(Lost::TimedOut(1)), "{from} {become:?}");
            assert_eq!(
                connection.run(&command("ls -d /tmp/stagger-tty.* 2>&1 | grep -c '^/'")).await.unwrap().out(),
                "0\n"
            );
            connection.close().await;
        }
        let worker = login("worker").await;
        let command = |r#become| Command { r#become, ..script("id") };
        for r#become in [
            becoming("doas", "root", Some("falsch")),
            becoming("sudo", "root", Some("falsch")),
            old_su("free", Some("falsch")),
        ] {
            let message = told(worker.run(&command(r#become)).await);
            assert!(message.contains("password is wrong") && !message.contains("falsch"), "{message}");
        }
        let message = told(worker.run(&command(becoming("doas", "root", None))).await);
        assert!(message.contains("none was given"), "{message}");
        let message = told(worker.run(&command(becoming("doas", "lonely", Some("geheim")))).await);
        assert!(message.contains("doas.conf"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_without_terminals_is_told_from_a_wrong_password() {
    let server = Server::start_prepared(&["AuthorizedKeysFile=/etc/stagger_keys", "PermitTTY=no"], &prepare());
    let target = Target { user: Some("worker".to_owned()), ..server.target() };
    let worker = Ssh::new(server.options()).connect(&target).await.unwrap_or_else(|why| panic!("{why}"));
    for method in ["doas", "sudo"] {
        let command = Command { r#become: becoming(method, "root", Some("geheim")), ..script("id") };
        let message = told(worker.run(&command).await);
        assert!(message.contains("PermitTTY no"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_this_machine_a_program_gets_a_terminal_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("su");
    let text = "#!/bin/sh\n[ -t 0 ] || { echo 'su: must be run from a terminal' >&2; exit 1; }\n\
                printf 'Password: ' >/dev/tty; read -r word; [ \"$word\" = geheim ] || { echo 'su: Authentication failure' >&2; exit 1; }\n\
                exec su \"$@\"\n";
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for plain in [false, true] {
        let options = Options { one_channel_a_command: plain, ..Options::default() };
        let target = Target { connection: "local".to_owned(), ..Target::named("here") };
        let connection = Any::new(options).connect(&target).await.unwrap();
        let su = |password| {
            let executable = Some(program.display().to_string());
            becoming("su", "root", Some(password)).map(|b| Become { executable, ..b })
        };
        let command = Command { r#become: su("geheim"), ..script("id -un; echo err >&2; cat; exit 3") };
        for _ in 0..2 {
            let output = connection.run(&command).await.unwrap_or_else(|why| panic!("{why}"));
            assert_eq!((output.status, output.out(), output.err()), (3, "root\n".to_owned(), "err\n".to_owned()));
        }
        let message = told(connection.run(&Command { r#become: su("falsch"), ..script("id") }).await);
        assert!(message.contains("password is wrong") && !message.contains("falsch"), "{message}");
        connection.close().await;
    }
}
