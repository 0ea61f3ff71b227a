//! Against OpenSSH's sshd. These tests need root, openssh-server and busybox, and fail without.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fixture::Server;
use super::{Command, Connection, Lost, Options, Ssh, Target, Transport, Unreachable};
use crate::base::{Content, Output, Script};

fn script(text: &str) -> Command {
    Command::new(Script::new().user_text(text))
}

async fn connect(server: &Server, options: Options) -> Box<dyn Connection> {
    Ssh::new(options).connect(&server.target()).await.unwrap_or_else(|why| panic!("{why}\n{}", server.log()))
}

/// Both ways to run commands.
fn both(server: &Server) -> [Options; 2] {
    [server.options(), Options { one_channel_a_command: true, ..server.options() }]
}

async fn run(connection: &dyn Connection, text: &str) -> Output {
    connection.run(&script(text)).await.unwrap_or_else(|lost| panic!("{text}: {lost}"))
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
        assert_eq!(run(&*connection, "cat; echo $HOME").await.out(), "/root\n".replace("/root", &home()));
        let mut command = script("cat; printf %s \"$GREETING\"");
        command.stdin = Some(Content::text("no newline"));
        command.environment.push(("GREETING".to_owned(), " it's".to_owned()));
        assert_eq!(connection.run(&command).await.unwrap().out(), "no newline it's");
        connection.close().await;
    }
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

fn home() -> String {
    std::env::var("HOME").unwrap()
}
