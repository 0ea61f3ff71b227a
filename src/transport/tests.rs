//! Against OpenSSH's sshd. These tests need root, openssh-server and busybox, and fail without.

mod cut;
mod terminal;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fixture::{Server, must, signal};
use super::{Command, Connection, Lost, Options, Ssh, Target, Transport, Unreachable};
use crate::base::{Content, LocalFile, Output, Script, Secret};

fn script(text: &str) -> Command {
    Command::new(Script::new().user_text(text))
}

async fn connect(server: &Server, options: Options) -> Box<dyn Connection> {
    Ssh::new(options).connect(&server.target()).await.unwrap_or_else(|why| panic!("{why}\n{}", server.log()))
}

async fn refused(server: &Server, target: &Target) -> Unreachable {
    Ssh::new(server.options()).connect(target).await.map(|_| ()).expect_err("it can't be reached")
}

/// Both ways to run commands.
fn both(server: &Server) -> [Options; 2] {
    [server.options(), Options { one_channel_a_command: true, ..server.options() }]
}

async fn run(connection: &dyn Connection, text: &str) -> Output {
    connection.run(&script(text)).await.unwrap_or_else(|lost| panic!("{text}: {lost}"))
}

fn home() -> String {
    std::env::var("HOME").unwrap()
}

/// Waits until something holds; the test fails when it doesn't within ten seconds.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_status_come_back_apart_both_ways() {
    let server = Server::start(&[]);
    for options in both(&server) {
        let connection = connect(&server, options).await;
        for _ in 0..3 {
            let output = run(&*connection, "printf out; printf err >&2; exit 3").await;
            assert_eq!((output.status, output.out(), output.err()), (3, "out".to_owned(), "err".to_owned()));
        }
        assert_eq!(run(&*connection, "kill -9 $$").await.status, 137);
        assert_eq!(run(&*connection, "cat; echo $HOME").await.out().trim(), home());
        let mut command = script("cat; printf %s \"$GREETING\"");
        command.stdin = Some(Content::text("no newline"));
        command.environment.push(("GREETING".to_owned(), " it's".to_owned()));
        assert_eq!(connection.run(&command).await.unwrap().out(), "no newline it's");
        assert_eq!(run(&*connection, "if").await.out(), "");
        assert_ne!(run(&*connection, "fi fi fi (").await.status, 0);
        let long = format!("x='{}'; printf %s \"${{#x}}\"", "é".repeat(130_000));
        assert!(["130000", "260000"].contains(&run(&*connection, &long).await.out().as_str()));
        connection.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_run_at_once_on_one_host() {
    let server = Server::start(&[]);
    for options in both(&server) {
        let connection = connect(&server, options).await;
        let commands: Vec<_> = (0..40).map(|n| script(&format!("sleep 0.05; echo {n}"))).collect();
        let outputs = futures::future::join_all(commands.iter().map(|command| connection.run(command))).await;
        for (n, output) in outputs.into_iter().enumerate() {
            assert_eq!(output.unwrap().out(), format!("{n}\n"));
        }
        connection.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_file_that_prints_disturbs_nothing() {
    let server = Server::start(&["ForceCommand=echo Welcome; echo Beware >&2; exec sh -c \"$SSH_ORIGINAL_COMMAND\""]);
    for options in both(&server) {
        let connection = connect(&server, options).await;
        let output = run(&*connection, "echo out; echo err >&2").await;
        assert_eq!((output.out(), output.err()), ("out\n".to_owned(), "err\n".to_owned()));
        connection.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_command_that_runs_something_else_is_never_taken_for_ours() {
    let server = Server::start(&["ForceCommand=echo only backups here; exit 0"]);
    let connection = connect(&server, server.options()).await;
    match connection.run(&script("touch /nowhere")).await {
        Err(Lost::NotStarted(Unreachable::Local { message })) => {
            assert!(message.contains("only backups here") && message.contains("ForceCommand"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_at_a_time_is_enough() {
    let server = Server::start(&["MaxSessions=1"]);
    let connection = connect(&server, server.options()).await;
    let commands: Vec<_> = (0..6).map(|n| script(&format!("echo {n}"))).collect();
    let outputs = futures::future::join_all(commands.iter().map(|command| connection.run(command))).await;
    for (n, output) in outputs.into_iter().enumerate() {
        assert_eq!(output.unwrap().out(), format!("{n}\n"));
    }
    let mut command = script("wc -c");
    command.stdin = Some(Content::Bytes(vec![0; 1_000_000].into()));
    assert_eq!(connection.run(&command).await.unwrap().out().trim(), "1000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn few_sessions_are_shared() {
    let server = Server::start(&["MaxSessions=3"]);
    for options in both(&server) {
        let connection = connect(&server, options).await;
        let commands: Vec<_> = (0..12).map(|n| script(&format!("sleep 0.02; echo {n}"))).collect();
        let outputs = futures::future::join_all(commands.iter().map(|command| connection.run(command))).await;
        for (n, output) in outputs.into_iter().enumerate() {
            assert_eq!(output.unwrap().out(), format!("{n}\n"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_in_the_background_holds_nobody_up_and_meets_no_later_command() {
    let server = Server::start(&[]);
    for options in both(&server) {
        let plain = options.one_channel_a_command;
        let connection = connect(&server, options).await;
        // One that writes all the time is given some seconds after the exit status where nothing frames its output.
        let silent = ["sleep 100 &", "setsid sleep 100 &"];
        for start in if plain {
            silent
        } else {
            ["(while sleep 0.05; do echo late; done) &", "setsid sh -c 'while sleep 0.05; do echo late; done' &"]
        } {
            let started = Instant::now();
            let text = format!("echo $$ >{0}; {start} echo $! >>{0}; echo started", server.path("pids").display());
            assert!(run(&*connection, &text).await.out().starts_with("started\n"));
            assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
            for _ in 0..3 {
                assert_eq!(run(&*connection, "sleep 0.1; echo clean").await.out(), "clean\n");
            }
        }
        connection.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_too_long_is_killed_with_its_children() {
    let server = Server::start(&[]);
    for options in both(&server) {
        let connection = connect(&server, options).await;
        let file = server.path("alive");
        let mut command = script(&format!("(while sleep 0.05; do date +%N >{}; done); echo", file.display()));
        command.timeout = Some(Duration::from_secs(1));
        let started = Instant::now();
        assert_eq!(connection.run(&command).await, Err(Lost::TimedOut(1)));
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        let before = std::fs::read(&file).unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(std::fs::read(&file).unwrap(), before, "it is still alive");
        assert_eq!(run(&*connection, "echo next").await.out(), "next\n");
        connection.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_nobody_waits_for_any_more_is_killed() {
    let server = Server::start(&[]);
    for (number, options) in both(&server).into_iter().enumerate() {
        let connection: Arc<dyn Connection> = connect(&server, options).await.into();
        let text = format!("exec sleep 77{number}");
        let alive = || {
            super::fixture::children_of(server.process()).iter().any(|process| {
                std::fs::read_to_string(format!("/proc/{process}/cmdline"))
                    .is_ok_and(|line| line.contains(&format!("77{number}")) && line.starts_with("sleep"))
            })
        };
        let worker = tokio::spawn({
            let (connection, command) = (connection.clone(), script(&text));
            async move { connection.run(&command).await }
        });
        eventually("it runs", alive).await;
        // What it said of its process group was sent before; after another answer on the connection it has been read.
        run(&*connection, ":").await;
        worker.abort();
        eventually("it is killed", || !alive()).await;
        let closer = tokio::spawn({
            let (connection, command) = (connection.clone(), script(&text));
            async move { connection.run(&command).await }
        });
        eventually("it runs again", alive).await;
        run(&*connection, ":").await;
        connection.close().await;
        assert!(matches!(closer.await.unwrap(), Err(Lost::InFlight(Unreachable::Closed { .. }))));
        eventually("closing kills it", || !alive()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dash_bash_and_busybox_are_shells() {
    let server = Server::start(&[]);
    let busybox = server.path("ash");
    std::fs::write(&busybox, "#!/bin/sh\nexec busybox ash \"$@\"\n").unwrap();
    must("chmod", &["755", &busybox.display().to_string()]);
    for shell in ["/bin/dash", "/bin/bash", &busybox.display().to_string()] {
        for options in both(&server) {
            let target = Target { shell: shell.to_owned(), ..server.target() };
            let connection = Ssh::new(options).connect(&target).await.unwrap();
            for _ in 0..2 {
                let output = run(&*connection, "printf out; printf err >&2; exit 3").await;
                assert_eq!(
                    (output.status, output.out(), output.err()),
                    (3, "out".to_owned(), "err".to_owned()),
                    "{shell}"
                );
            }
            let mut command = script("wc -c");
            command.stdin = Some(Content::text("x'\"$y\\\n".repeat(1000)));
            assert_eq!(connection.run(&command).await.unwrap().out().trim(), "7000", "{shell}");
            let mut command = script("sleep 60");
            command.timeout = Some(Duration::from_millis(300));
            assert_eq!(connection.run(&command).await, Err(Lost::TimedOut(0)), "{shell}");
            connection.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_run_in_the_shell_itself_and_leave_it_as_it_was() {
    let server = Server::start(&[]);
    let busybox = server.path("ash");
    std::fs::write(&busybox, "#!/bin/sh\nexec busybox ash \"$@\"\n").unwrap();
    must("chmod", &["755", &busybox.display().to_string()]);
    for shell in ["/bin/dash", "/bin/bash", &busybox.display().to_string()] {
        let target = Target { shell: shell.to_owned(), ..server.target() };
        let connection = Ssh::new(server.options()).connect(&target).await.unwrap();
        let look = |text: &str| Command { looks: true, ..script(text) };
        let mut first = look("cd /; umask 077; x=1; trap 'echo bye' EXIT; printf '%s %s ' \"$$\" \"$A\"; cat; exit 3");
        first.environment.push(("A".to_owned(), "it's".to_owned()));
        let output = connection.run(&first).await.unwrap();
        assert_eq!(output.status, 3, "{shell}");
        let said = output.out();
        let (pid, rest) = said.split_once(' ').unwrap();
        assert_eq!(rest, "it's bye\n", "{shell}");
        assert_eq!(
            connection.run(&look("if then; fi; exit 0")).await.unwrap().status,
            2,
            "{shell}: it can't be parsed"
        );
        let output = connection.run(&look("echo \"$$ ${x-none} ${A-none} $(umask)\"; echo no >&2")).await.unwrap();
        assert_eq!(
            output.out(),
            format!("{pid} none none {}\n", said_umask()),
            "{shell}: another shell, or not as it was"
        );
        assert_eq!((output.err().as_str(), output.status), ("no\n", 0));
        let late = Command { timeout: Some(Duration::from_millis(300)), ..look("sleep 7777") };
        assert_eq!(connection.run(&late).await, Err(Lost::TimedOut(0)), "{shell}");
        let alive = || {
            super::fixture::children_of(server.process()).iter().any(|process| {
                std::fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|line| line == b"sleep\x007777\0")
            })
        };
        eventually("the look is killed", || !alive()).await;
        assert_eq!(connection.run(&look("echo next")).await.unwrap().out(), "next\n", "{shell}");
        connection.close().await;
    }
}

/// The umask that the servers here were started with.
fn said_umask() -> String {
    let output = std::process::Command::new("sh").args(["-c", "umask"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_setsid_still_works() {
    let server = Server::start(&[]);
    let tools = server.path("bin");
    std::fs::create_dir(&tools).unwrap();
    for tool in ["sh", "head", "cat", "sleep", "wc"] {
        std::os::unix::fs::symlink("/bin/busybox", tools.join(tool)).unwrap();
    }
    let shell = server.path("poor");
    std::fs::write(&shell, format!("#!/bin/sh\nPATH={} exec /bin/dash \"$@\"\n", tools.display())).unwrap();
    must("chmod", &["755", &shell.display().to_string()]);
    let target = Target { shell: shell.display().to_string(), ..server.target() };
    let connection = Ssh::new(server.options()).connect(&target).await.unwrap();
    assert_eq!(run(&*connection, "echo here").await.out(), "here\n");
    let mut command = script("sleep 60");
    command.timeout = Some(Duration::from_millis(300));
    assert_eq!(connection.run(&command).await, Err(Lost::TimedOut(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_sent_and_fetched_whole() {
    let server = Server::start(&[]);
    let file = server.path("big");
    must("sh", &["-c", &format!("head -c 30000000 /dev/urandom >{}", file.display())]);
    let connection = connect(&server, server.options()).await;
    let local = LocalFile {
        path: file.clone(),
        size: 30_000_000,
        sha256: String::new(),
        sha1: String::new(),
        md5: String::new(),
        mode: 0o644,
    };
    let seen = Arc::new(std::sync::Mutex::new((0, 0)));
    let mut command = script(&format!("head -c 10 {0}; cat >>{0}.copy", file.display()));
    command.script = Script::new().user_text(&format!("cat >{}.copy", file.display()));
    command.stdin = Some(Content::File { file: Arc::new(local.clone()), offset: 10_000_000 });
    command.progress = Some(Arc::new({
        let seen = seen.clone();
        move |sent, total| *seen.lock().unwrap() = (sent, total)
    }));
    assert_eq!(connection.run(&command).await.unwrap().status, 0);
    assert_eq!(*seen.lock().unwrap(), (20_000_000, 20_000_000));
    let original = std::fs::read(&file).unwrap();
    assert!(std::fs::read(format!("{}.copy", file.display())).unwrap() == original[10_000_000..]);
    let fetched = server.path("fetched");
    let output = connection.fetch(&script(&format!("cat {}", file.display())), &fetched).await.unwrap();
    assert_eq!((output.status, output.stdout.len()), (0, 0));
    assert!(std::fs::read(&fetched).unwrap() == original);
    // The remote side stops reading: its exit status comes back, and nothing hangs.
    command.script = Script::new().user_text("head -c 5 >/dev/null; exit 4");
    assert_eq!(connection.run(&command).await.unwrap().status, 4);
    // The local file is shorter than it was said to be.
    command.script = Script::new().user_text("cat >/dev/null");
    command.stdin = Some(Content::File { file: Arc::new(LocalFile { size: 31_000_000, ..local }), offset: 0 });
    match connection.run(&command).await {
        Err(Lost::Local(message)) => assert!(message.contains("shorter"), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_output_is_cut_in_the_middle_and_stops_nobody() {
    const FLOOD: u64 = 256 << 20;
    let server = Server::start(&["Ciphers=aes128-gcm@openssh.com"]);
    let connection = connect(&server, server.options()).await;
    let flood = script(&format!("head -c {FLOOD} /dev/zero; echo end"));
    let work = connection.run(&flood);
    tokio::pin!(work);
    let mut answered = 0;
    let output = loop {
        tokio::select! {
            output = &mut work => break output.unwrap(),
            quick = run(&*connection, "echo quick") => {
                assert_eq!(quick.out(), "quick\n");
                answered += 1;
            }
        }
    };
    assert!(answered > 0, "other commands are answered while it goes on");
    assert_eq!(output.stdout_cut + output.stdout.len() as u64, FLOOD + 4);
    assert!(output.stdout.ends_with(b"\0end\n") && output.stdout.len() == super::DEFAULT_KEEP);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_leaves_the_command_in_flight() {
    let server = Server::start(&[]);
    for options in both(&server) {
        let connection = connect(&server, options).await;
        run(&*connection, "true").await;
        let begun = server.path("begun");
        let command = script(&format!("touch {}; sleep 30", begun.display()));
        let work = connection.run(&command);
        let cut = async {
            eventually("it runs", || begun.exists()).await;
            std::fs::remove_file(&begun).unwrap();
            for process in server.children() {
                let line = std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
                if line.contains("sshd") {
                    signal(process, "KILL");
                }
            }
        };
        let (result, ()) = tokio::join!(work, cut);
        assert!(matches!(result, Err(Lost::InFlight(Unreachable::Closed { .. }))), "{result:?}");
        assert!(matches!(connection.run(&command).await, Err(Lost::NotStarted(Unreachable::Closed { .. }))));
        connection.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_noticed_in_every_phase() {
    let server = Server::start(&[]);
    let options = Options { alive_interval: Duration::from_millis(300), ..server.options() };
    let connection = connect(&server, options).await;
    run(&*connection, "true").await;
    let frozen: Vec<u32> = server.children();
    frozen.iter().for_each(|process| signal(*process, "STOP"));
    let started = Instant::now();
    let result = connection.run(&script("true")).await;
    assert!(matches!(result, Err(Lost::InFlight(Unreachable::Closed { .. }))), "{result:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
    signal(server.process(), "STOP");
    let target = Target { timeout: Duration::from_secs(1), ..server.target() };
    let why = refused(&server, &target).await;
    assert!(matches!(&why, Unreachable::TimedOut { phase, seconds: 1, .. } if phase == "key exchange"), "{why:?}");
    signal(server.process(), "CONT");
    frozen.iter().for_each(|process| signal(*process, "CONT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_says_why() {
    let server = Server::start(&[]);
    let target = |change: &dyn Fn(&mut Target)| {
        let mut target = server.target();
        target.timeout = Duration::from_secs(2);
        change(&mut target);
        target
    };
    let (_held, port) = super::fixture::refusing_port();
    let why = refused(&server, &target(&|t| t.port = Some(port))).await;
    assert_eq!(why, Unreachable::Refused { address: format!("127.0.0.1:{port}") });
    let why = refused(&server, &target(&|t| t.address = Some("no.such.host.invalid".to_owned()))).await;
    assert!(matches!(&why, Unreachable::Resolve { name, .. } if name == "no.such.host.invalid"), "{why:?}");
    let why = refused(&server, &target(&|t| t.user = Some("nobody-at-all".to_owned()))).await;
    assert!(
        matches!(&why, Unreachable::Authentication { user, tried, .. } if user == "nobody-at-all" && tried.contains("/user") && tried.contains("takes publickey")),
        "{why:?}"
    );
    let why = refused(&server, &target(&|t| t.private_key = Some("/no/such/key".to_owned()))).await;
    assert!(matches!(&why, Unreachable::Local { message } if message.contains("/no/such/key")), "{why:?}");
    let why =
        refused(&server, &target(&|t| t.arguments = vec!["-oKexAlgorithms=diffie-hellman-group1-sha1".to_owned()]))
            .await;
    assert!(
        matches!(&why, Unreachable::Negotiation { message } if message.contains("offered by us: diffie-hellman-group1-sha1") && message.contains("curve25519")),
        "{why:?}"
    );
    // Something that is no sshd.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let why = refused(&server, &target(&|t| t.port = Some(port))).await;
    assert!(matches!(&why, Unreachable::TimedOut { phase, .. } if phase == "key exchange"), "{why:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_server_is_reached_when_its_algorithms_are_switched_on() {
    let server = Server::start(&[
        "KexAlgorithms=diffie-hellman-group14-sha1",
        "MACs=hmac-sha1",
        "Ciphers=aes128-cbc,aes128-ctr",
    ]);
    let why = refused(&server, &server.target()).await;
    assert!(
        matches!(&why, Unreachable::Negotiation { message } if message.contains("KexAlgorithms +diffie-hellman-group14-sha1")),
        "{why:?}"
    );
    std::fs::write(
        server.path("config"),
        "Host 127.*\n  KexAlgorithms +diffie-hellman-group14-sha1\n  MACs +hmac-sha1\n",
    )
    .unwrap();
    let connection = connect(&server, server.options()).await;
    assert_eq!(run(&*connection, "echo old").await.out(), "old\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_or_changed_host_key_stops_before_anything_is_sent() {
    let server = Server::start(&[]);
    must("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &server.path("other").display().to_string()]);
    server.know_host("other");
    let why = refused(&server, &server.target()).await;
    let Unreachable::HostKey { message } = &why else { panic!("{why:?}") };
    assert!(message.matches("SHA256:").count() == 2 && message.contains("known_hosts:1"), "{message}");
    assert!(message.contains("ssh-keygen -R"), "{message}");
    assert!(!server.log().contains("Accepted") && !server.log().contains("userauth"), "{}", server.log());
    let accept = |target: &mut Target| target.arguments = vec!["-oStrictHostKeyChecking=accept-new".to_owned()];
    let mut target = server.target();
    accept(&mut target);
    assert!(matches!(refused(&server, &target).await, Unreachable::HostKey { .. }), "a changed key is never accepted");
    std::fs::write(server.path("known_hosts"), "").unwrap();
    let why = refused(&server, &server.target()).await;
    let Unreachable::HostKey { message } = &why else { panic!("{why:?}") };
    assert!(message.contains("ssh-keyscan -p") && message.contains("SHA256:"), "{message}");
    Ssh::new(server.options()).connect(&target).await.unwrap();
    Ssh::new(server.options()).connect(&server.target()).await.expect("it was written down");
    std::fs::write(server.path("known_hosts"), "").unwrap();
    target = Target { check_host_key: false, ..server.target() };
    let transport = Ssh::new(server.options());
    transport.connect(&target).await.unwrap();
    transport.connect(&target).await.unwrap();
    assert_eq!(transport.take_unchecked(), ["127.0.0.1"], "named once, however many connections there are");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_may_be_encrypted_in_an_agent_old_or_certified() {
    let server = Server::start(&[]);
    let path = |name: &str| server.path(name).display().to_string();
    must("ssh-keygen", &["-q", "-t", "ed25519", "-N", "geheim", "-f", &path("locked")]);
    must("ssh-keygen", &["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", &path("rsa")]);
    must("ssh-keygen", &["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "geheim", "-f", &path("rsalocked")]);
    must(
        "sh",
        &[
            "-c",
            &format!(
                "cat {0}/locked.pub {0}/rsa.pub {0}/rsalocked.pub >{0}/authorized",
                server.folder.path().display()
            ),
        ],
    );
    let with = |key: &str, passphrase: Option<&str>| Target {
        private_key: Some(path(key)),
        passphrase: passphrase.map(Secret::new),
        ..server.target()
    };
    let why = refused(&server, &with("locked", None)).await;
    assert!(matches!(&why, Unreachable::Authentication { tried, .. } if tried.contains("encrypted")), "{why:?}");
    let why = refused(&server, &with("locked", Some("wrong"))).await;
    assert!(
        matches!(&why, Unreachable::Authentication { tried, .. } if tried.contains("passphrase is wrong")),
        "{why:?}"
    );
    for (key, passphrase) in [("locked", Some("geheim")), ("rsa", None), ("rsalocked", Some("geheim"))] {
        let connected = Ssh::new(server.options()).connect(&with(key, passphrase)).await;
        connected.unwrap_or_else(|why| panic!("{key}: {why}"));
    }
    // An agent that holds the locked key and a second one.
    let socket = path("agent");
    let mut agent = std::process::Command::new("ssh-agent")
        .args(["-D", "-a", &socket])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    eventually("the agent listens", || server.path("agent").exists()).await;
    let plain = path("unlocked");
    must("cp", &["-p", &path("locked"), &plain]);
    must("ssh-keygen", &["-q", "-p", "-P", "geheim", "-N", "", "-f", &plain]);
    must("env", &[&format!("SSH_AUTH_SOCK={socket}"), "ssh-add", "-q", &plain]);
    let options = Options { agent: Some(server.path("agent")), ..server.options() };
    Ssh::new(options.clone()).connect(&with("locked", None)).await.expect("by the agent");
    must("env", &[&format!("SSH_AUTH_SOCK={socket}"), "ssh-add", "-q", "-D"]);
    must("env", &[&format!("SSH_AUTH_SOCK={socket}"), "ssh-add", "-q", &path("rsa")]);
    Ssh::new(options.clone()).connect(&with("user", None)).await.expect("by another key of the agent");
    let only = Target { arguments: vec!["-oIdentitiesOnly=yes".to_owned()], ..with("user", None) };
    assert!(Ssh::new(options).connect(&only).await.is_err(), "IdentitiesOnly keeps the agent's other keys back");
    let _ = agent.kill();
    let _ = agent.wait();
    // A certificate beside the key.
    must("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path("ca")]);
    must("ssh-keygen", &["-q", "-s", &path("ca"), "-I", "me", "-n", "root", "-V", "+1h", &path("user.pub")]);
    std::fs::write(
        server.path("authorized"),
        format!("cert-authority {}", std::fs::read_to_string(path("ca.pub")).unwrap()),
    )
    .unwrap();
    Ssh::new(server.options()).connect(&with("user", None)).await.expect("by the certificate");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_certificate_is_trusted_by_its_authority() {
    let folder = super::fixture::trusted_folder();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for key in ["host", "ca"] {
        must("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]);
    }
    must(
        "ssh-keygen",
        &["-q", "-s", &path("ca"), "-h", "-I", "host", "-n", "127.0.0.1", "-V", "+1h", &path("host.pub")],
    );
    let authority = std::fs::read_to_string(path("ca.pub")).unwrap();
    let certificate = format!("HostCertificate={}", path("host-cert.pub"));
    let server = Server::start_in(folder, super::fixture::free_port(), &[&certificate], None);
    let known = server.path("known_hosts");
    std::fs::write(&known, format!("@cert-authority [127.0.0.1]:{} {authority}", server.port)).unwrap();
    connect(&server, server.options()).await;
    std::fs::write(&known, format!("@cert-authority elsewhere {authority}")).unwrap();
    assert!(matches!(refused(&server, &server.target()).await, Unreachable::HostKey { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_behind_jump_hosts_share_one_connection_to_each() {
    let first = Server::start(&[]);
    let second = Server::start(&[]);
    let third = Server::start(&[]);
    let mut text = String::new();
    for (name, server) in [("first", &first), ("second", &second), ("third", &third)] {
        let _ = write!(
            text,
            "Host {name}\n  HostName 127.0.0.1\n  Port {}\n  User root\n  IdentityFile {}\n  UserKnownHostsFile {}\n",
            server.port,
            server.path("user").display(),
            server.path("known_hosts").display()
        );
    }
    let config = first.path("config");
    std::fs::write(&config, format!("{text}Host third\n  ProxyJump first,second\n")).unwrap();
    let transport = Ssh::new(first.options());
    // Five handshakes at once on a busy machine take their time.
    let named = |name: &str| Target { timeout: Duration::from_secs(60), ..Target::named(name) };
    let target = named("third");
    let connections = futures::future::join_all((0..5).map(|_| transport.connect(&target))).await;
    for connection in connections {
        let connection = connection.unwrap();
        assert_eq!(run(&*connection, "echo ${SSH_CONNECTION##* }").await.out(), format!("{}\n", third.port));
    }
    let logins = |server: &Server| server.log().matches("Accepted publickey").count();
    assert_eq!((logins(&first), logins(&second), logins(&third)), (1, 1, 5));
    // The same by a proxy command, and what is wrong behind a jump host is told apart.
    let (_held, port) = super::fixture::refusing_port();
    let jump = |port: u16| Target {
        arguments: vec!["-o".to_owned(), "ProxyCommand=ssh -q -W %h:%p first".to_owned()],
        port: Some(port),
        ..named("second")
    };
    transport.connect(&jump(second.port)).await.unwrap();
    let why = transport.connect(&jump(port)).await.map(|_| ()).unwrap_err();
    assert!(matches!(&why, Unreachable::Refused { address } if address.contains("through")), "{why:?}");
    assert_eq!(logins(&first), 1);
    // A real command.
    let relay = format!("ProxyCommand=busybox nc %h {}", second.port);
    let target = Target { arguments: vec!["-o".to_owned(), relay], ..named("second") };
    transport.connect(&target).await.unwrap();
    let stream = transport
        .connect(&named("first"))
        .await
        .unwrap()
        .stream("127.0.0.1", second.port, Duration::from_secs(5))
        .await;
    let mut banner = [0; 7];
    tokio::io::AsyncReadExt::read_exact(&mut stream.unwrap(), &mut banner).await.unwrap();
    assert_eq!(&banner, b"SSH-2.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_up_on_too_many_is_asked_again() {
    let server = Server::start(&["MaxStartups=2:100:2"]);
    let transport = Ssh::new(server.options());
    let target = server.target();
    let connections = futures::future::join_all((0..12).map(|_| transport.connect(&target))).await;
    for connection in connections {
        connection.unwrap_or_else(|why| panic!("{why}"));
    }
    assert!(server.log().contains("MaxStartups"), "the bound was not met: {}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_is_a_host_like_any_other() {
    for plain in [false, true] {
        let options = Options { one_channel_a_command: plain, ..Options::default() };
        let target = Target { connection: "local".to_owned(), ..Target::named("here") };
        let connection = super::Any::new(options).connect(&target).await.unwrap();
        for _ in 0..2 {
            let output = run(&*connection, "printf out; printf err >&2; exit 3").await;
            assert_eq!((output.status, output.out(), output.err()), (3, "out".to_owned(), "err".to_owned()));
        }
        let mut command = script("cat | wc -c");
        command.stdin = Some(Content::Bytes(vec![0; 3_000_000].into()));
        assert_eq!(connection.run(&command).await.unwrap().out().trim(), "3000000");
        let mut command = script("sleep 60");
        command.timeout = Some(Duration::from_millis(100));
        let started = Instant::now();
        assert_eq!(connection.run(&command).await, Err(Lost::TimedOut(0)));
        assert!(started.elapsed() < Duration::from_secs(5));
        connection.close().await;
    }
}

/// Users of a namespace: `worker` may sudo with the password `geheim`, `free` without one, `nobody-else` not at all.
const USERS: &str = "mount -t tmpfs -o mode=755 tmpfs /home; cp $folder/authorized /etc/stagger_keys; \
    for user in worker free lonely; do useradd -m -d /home/$user -s /bin/bash $user; echo $user:geheim | chpasswd; done; \
    echo 'echo Welcome back' >/home/worker/.bashrc; \
    echo 'Defaults passwd_tries=3,!fqdn' >/etc/sudoers; \
    echo 'worker ALL=(ALL) ALL' >>/etc/sudoers; echo 'free ALL=(ALL) NOPASSWD: ALL' >>/etc/sudoers; chmod 440 /etc/sudoers";

fn becoming(method: &str, user: &str, password: Option<&str>) -> Option<super::Become> {
    Some(super::Become {
        method: method.to_owned(),
        user: user.to_owned(),
        executable: None,
        flags: None,
        password: password.map(Secret::new),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn other_users_are_become_with_and_without_passwords() {
    let server = Server::start_prepared(&["AuthorizedKeysFile=/etc/stagger_keys"], USERS);
    let as_user = |user: &str| Target { user: Some(user.to_owned()), ..server.target() };
    for options in both(&server) {
        let transport = Ssh::new(options);
        let login = |user: &str| {
            let target = as_user(user);
            let transport = &transport;
            async move { transport.connect(&target).await.unwrap_or_else(|why| panic!("{why}")) }
        };
        let command = |r#become, text: &str| Command { r#become, ..script(text) };
        let told = |result: Result<Output, Lost>| match result {
            Err(Lost::Become(message)) => message,
            other => panic!("{other:?}"),
        };
        let free = login("free").await;
        let output = free.run(&command(becoming("sudo", "root", None), "id -un; echo $HOME; cat")).await.unwrap();
        assert_eq!(output.out(), "root\n/root\n");
        let output =
            free.run(&command(becoming("sudo", "worker", None), "id -un; echo err >&2; exit 7")).await.unwrap();
        assert_eq!((output.status, output.out(), output.err()), (7, "worker\n".to_owned(), "err\n".to_owned()));
        let mut upload = command(becoming("sudo", "root", None), "wc -c");
        upload.stdin = Some(Content::Bytes(vec![0; 2_000_000].into()));
        assert_eq!(free.run(&upload).await.unwrap().out().trim(), "2000000");
        let mut slow = command(becoming("sudo", "root", None), "sleep 60");
        slow.timeout = Some(Duration::from_millis(500));
        assert_eq!(free.run(&slow).await, Err(Lost::TimedOut(0)));
        let worker = login("worker").await;
        assert_eq!(run(&*worker, "id -un").await.out(), "worker\n");
        for _ in 0..2 {
            let output = worker.run(&command(becoming("sudo", "root", Some("geheim")), "id -un; cat")).await.unwrap();
            assert_eq!(output.out(), "root\n");
        }
        upload.r#become = becoming("sudo", "root", Some("geheim"));
        assert_eq!(worker.run(&upload).await.unwrap().out().trim(), "2000000");
        let message = told(worker.run(&command(becoming("sudo", "root", None), "id")).await);
        assert!(message.contains("none was given"), "{message}");
        let message = told(worker.run(&command(becoming("sudo", "root", Some("falsch")), "id")).await);
        assert!(message.contains("password is wrong") && !message.contains("falsch"), "{message}");
        let message = told(login("lonely").await.run(&command(becoming("sudo", "root", Some("geheim")), "id")).await);
        assert!(message.contains("sudoers"), "{message}");
        let output = worker.run(&command(becoming("su", "free", Some("geheim")), "id -un; cat")).await.unwrap();
        assert_eq!(output.out(), "free\n");
        let message = told(worker.run(&command(becoming("su", "free", Some("falsch")), "id")).await);
        assert!(message.contains("password is wrong"), "{message}");
        let root = login("root").await;
        assert_eq!(root.run(&command(becoming("su", "free", None), "id -un")).await.unwrap().out(), "free\n");
        let missing = becoming("doas", "free", None).map(|b| super::Become { executable: Some("no-doas".into()), ..b });
        let message = told(root.run(&command(missing, "id -un")).await);
        assert!(message.contains("no no-doas on the host"), "{message}");
        let message = told(root.run(&command(becoming("sudo", "ghost", None), "id -un")).await);
        assert!(message.contains("no user ghost"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_log_in_where_the_server_takes_them() {
    for option in ["PasswordAuthentication=yes", "KbdInteractiveAuthentication=yes"] {
        let pam = if option.starts_with("Kbd") { "UsePAM=yes" } else { "UsePAM=no" };
        let server = Server::start_prepared(&[option, pam, "PubkeyAuthentication=no"], USERS);
        let with = |password: &str| Target {
            user: Some("worker".to_owned()),
            password: Some(Secret::new(password)),
            private_key: None,
            ..server.target()
        };
        let connection = Ssh::new(server.options()).connect(&with("geheim")).await.unwrap_or_else(|w| panic!("{w}"));
        assert_eq!(run(&*connection, "id -un").await.out(), "worker\n");
        let why = refused(&server, &with("falsch")).await;
        assert!(matches!(&why, Unreachable::Authentication { tried, .. } if tried.contains("the password")), "{why:?}");
        let why = refused(&server, &Target { password: None, ..with("") }).await;
        assert!(matches!(&why, Unreachable::Authentication { tried, .. } if tried.contains("it takes")), "{why:?}");
    }
}
