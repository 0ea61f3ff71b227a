//! Commands that nobody waits for any more, and what a broken connection leaves running: a relay in between stops and cuts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::{USERS, becoming, both, eventually, run, script};
use crate::transport::fixture::{Server, children_of};
use crate::transport::{Command, Connection, Lost, Options, Ssh, Target, Trace, Transport, Unreachable};

/// Carries connections to a server, and can hold back what that answers.
#[derive(Default)]
struct Wire {
    /// Answers wait from the moment on in which so many further bytes have been sent; 0 for never.
    after: AtomicUsize,
    sent: AtomicUsize,
    held: AtomicBool,
    cut: AtomicBool,
    changed: Notify,
}

impl Wire {
    async fn start(to: u16) -> (Arc<Self>, u16) {
        let wire = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = wire.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                tokio::spawn(own.clone().carry(client, server));
            }
        });
        (wire, port)
    }

    async fn carry(self: Arc<Self>, client: TcpStream, server: TcpStream) {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let up = async {
            let mut piece = vec![0; 16 * 1024];
            while let Ok(count @ 1..) = from_client.read(&mut piece).await {
                let sent = self.sent.fetch_add(count, Ordering::SeqCst) + count;
                let after = self.after.load(Ordering::SeqCst);
                if after > 0 && sent >= after {
                    self.held.store(true, Ordering::SeqCst);
                }
                if to_server.write_all(&piece[..count]).await.is_err() {
                    break;
                }
            }
        };
        let down = async {
            let mut piece = vec![0; 16 * 1024];
            while let Ok(count @ 1..) = from_server.read(&mut piece).await {
                self.until(|wire| !wire.held.load(Ordering::SeqCst)).await;
                if to_client.write_all(&piece[..count]).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            () = up => {}
            () = down => {}
            () = self.until(|wire| wire.cut.load(Ordering::SeqCst)) => {}
        }
    }

    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            if holds(self) {
                return;
            }
            changed.await;
        }
    }

    /// From the next 40 kB on nothing comes back. A script of that length is not whole before.
    fn hold_after_a_script(&self) {
        self.after.store(self.sent.load(Ordering::SeqCst) + 40_000, Ordering::SeqCst);
    }

    fn is_held(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }

    fn let_go(&self) {
        self.after.store(0, Ordering::SeqCst);
        self.held.store(false, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Ends all connections and lets new ones work.
    async fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
        self.let_go();
        tokio::task::yield_now().await;
    }
}

fn long(text: &str) -> Command {
    script(&format!("{text}\n#{}", "x".repeat(60_000)))
}

async fn connect(server: &Server, options: &Options, target: Target) -> Arc<dyn Connection> {
    let connection = Ssh::new(options.clone()).connect(&target).await;
    connection.unwrap_or_else(|why| panic!("{why}\n{}", server.log())).into()
}

/// Whether a program runs below the server whose command line begins so.
fn runs(server: &Server, line: &str) -> bool {
    children_of(server.process()).iter().any(|process| {
        std::fs::read_to_string(format!("/proc/{process}/cmdline"))
            .is_ok_and(|text| text.replace('\0', " ").starts_with(line))
    })
}

/// Whether anything on this machine runs so: what lost its parents is nobody's child.
fn runs_anywhere(line: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        std::fs::read_to_string(entry.path().join("cmdline"))
            .is_ok_and(|text| text.replace('\0', " ").starts_with(line))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_dropped_before_its_process_group_was_read_is_killed() {
    let server = Server::start(&[]);
    for (number, options) in both(&server).into_iter().enumerate() {
        let (wire, port) = Wire::start(server.port).await;
        server.know_host_at("host", port);
        let connection = connect(&server, &options, Target { port: Some(port), ..server.target() }).await;
        run(&*connection, ":").await;
        for closes in [false, true] {
            let line = format!("sleep 66{number}{closes}").replace("true", "1").replace("false", "0");
            wire.hold_after_a_script();
            let worker = tokio::spawn({
                let (connection, command) = (connection.clone(), long(&format!("exec {line}")));
                async move { connection.run(&command).await }
            });
            eventually("it runs", || runs(&server, &line)).await;
            assert!(wire.is_held(), "its process group has not been read");
            if closes {
                let closing = tokio::spawn({
                    let connection = connection.clone();
                    async move { connection.close().await }
                });
                assert!(matches!(worker.await.unwrap(), Err(Lost::InFlight(_)) | Ok(_)) || !closing.is_finished());
                wire.let_go();
                closing.await.unwrap();
            } else {
                worker.abort();
                let _ = worker.await;
                wire.let_go();
            }
            eventually("it is killed", || !runs(&server, &line)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broken_connection_left_running_is_ended_over_the_next_one() {
    let server = Server::start_prepared(&["AuthorizedKeysFile=/etc/stagger_keys"], USERS);
    let users = [
        ("root", None),
        ("free", becoming("sudo", "root", None)),
        ("worker", becoming("sudo", "free", Some("geheim"))),
    ];
    for (number, options) in both(&server).into_iter().enumerate() {
        for (user, r#become) in &users {
            for heard in [true, false] {
                let (wire, port) = Wire::start(server.port).await;
                server.know_host_at("host", port);
                let target = Target { port: Some(port), user: Some((*user).to_owned()), ..server.target() };
                let connection = connect(&server, &options, target.clone()).await;
                let command = Command { r#become: r#become.clone(), ..script(":") };
                connection.run(&command).await.unwrap();
                // Unlike those of other tests on this machine.
                let line = format!("sleep {}55{number}{}", std::process::id(), u32::from(heard));
                let trace = Trace::default();
                // One that does not listen takes two seconds more.
                let deaf = if *user == "root" { "TERM" } else { "" };
                let text = format!("trap '' HUP PIPE {deaf}; while :; do {line}; done");
                let command = Command { trace: Some(trace.clone()), r#become: r#become.clone(), ..long(&text) };
                if !heard {
                    wire.hold_after_a_script();
                }
                let work = connection.run(&command);
                let cut = async {
                    eventually("it runs", || runs(&server, &line)).await;
                    // An answer on the same connection comes after what it said when it began.
                    if heard {
                        run(&*connection, ":").await;
                    }
                    wire.cut().await;
                };
                let (result, ()) = tokio::join!(work, cut);
                assert!(matches!(result, Err(Lost::InFlight(Unreachable::Closed { .. }))), "{result:?}");
                assert!(!trace.is_empty() && runs_anywhere(&line), "a cut connection ends nothing");
                let (_, port) = Wire::start(server.port).await;
                server.know_host_at("host", port);
                let again = connect(&server, &options, Target { port: Some(port), ..target.clone() }).await;
                let began = Instant::now();
                again.end(&trace).await.unwrap_or_else(|lost| panic!("{lost}"));
                assert!(!runs_anywhere(&line), "{user} {heard}: it is ended when that is said");
                assert!(began.elapsed() < Duration::from_secs(12) && trace.is_empty());
                again.end(&trace).await.unwrap();
            }
        }
    }
}
