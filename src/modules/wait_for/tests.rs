use serde_json::json;

use super::*;
use crate::modules::fixture::{Fixture, gate};

const SECOND: Duration = Duration::from_secs(1);

fn bound(arguments: Value) -> Box<dyn Gate> {
    gate(&SPEC, arguments, &Fixture::default()).expect("binds")
}

fn refused(arguments: Value) -> String {
    gate(&SPEC, arguments, &Fixture::default()).expect_err("is refused").message
}

fn judged(arguments: Value, answers: &[Answer]) -> Verdict {
    let gate = bound(arguments);
    assert!(!gate.questions(&[]).is_empty());
    assert_eq!(gate.questions(answers), Vec::new(), "all was asked");
    gate.judge(answers, &mut Value::Null, SECOND)
}

fn said(stdout: &str) -> Answer {
    Answer::Script(Ok(Output { stdout: stdout.as_bytes().to_vec(), ..Output::default() }))
}

fn not_yet(why: &str) -> Verdict {
    Verdict::NotYet(why.to_owned())
}

fn keys(verdict: Verdict) -> Map {
    match verdict {
        Verdict::Ready(result) => result,
        other => panic!("not ready: {other:?}"),
    }
}

const TABLE: &str = "  sl  local_address rem_address   st\n   0: 0100007F:13BA 00000000:0000 0A 0\n   \
                     1: 0100007F:13BA 0200000A:D431 01 0\n   2: 0500000A:13BA 0200000A:D432 01 0\n";

#[test]
fn a_port_that_answers_is_started() {
    let port = json!({"port": 5050});
    let result = keys(judged(port.clone(), &[Answer::Connect(Ok(Vec::new()))]));
    assert_eq!(
        Value::Object(result),
        json!({"state": "started", "port": 5050, "search_regex": null, "match_groups": [], "match_groupdict": {},
               "path": null, "elapsed": 1})
    );
    let verdict = judged(port, &[Answer::Connect(Err("connection refused".to_owned()))]);
    assert_eq!(verdict, not_yet("127.0.0.1:5050 does not answer: connection refused"));
}

#[test]
fn a_port_is_stopped_only_when_the_host_itself_answers() {
    let stopped = json!({"port": 5050, "state": "stopped"});
    let closed = || Answer::Connect(Err("connection refused".to_owned()));
    keys(judged(stopped.clone(), &[closed(), said("")]));
    let lost = Answer::Script(Err("h1:22 closed the connection".to_owned()));
    assert_eq!(
        judged(stopped.clone(), &[closed(), lost]),
        not_yet("the host can't be asked: h1:22 closed the connection")
    );
    assert_eq!(judged(stopped, &[Answer::Connect(Ok(Vec::new())), said("")]), not_yet("127.0.0.1:5050 still answers"));
}

#[test]
fn where_sshd_forwards_nothing_the_kernels_table_tells() {
    let off = || Answer::Connect(Err("open failed: administratively prohibited".to_owned()));
    let started = json!({"port": 5050});
    let again = bound(started.clone()).questions(&[off()]);
    assert!(matches!(again.as_slice(), [Question::Script(_)]));
    keys(judged(started.clone(), &[off(), said(TABLE)]));
    assert_eq!(judged(started, &[off(), said("")]), not_yet("nothing listens on 127.0.0.1:5050"));
    let stopped = json!({"port": 5050, "state": "stopped"});
    assert_eq!(judged(stopped.clone(), &[off(), said(TABLE)]), not_yet("something still listens on 127.0.0.1:5050"));
    keys(judged(stopped, &[off(), said("")]));
    let elsewhere = json!({"port": 5050, "host": "m2"});
    match judged(elsewhere, &[off()]) {
        Verdict::Never(failure) => assert!(failure.message.contains("AllowTcpForwarding"), "{}", failure.message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_port_says_first_is_searched() {
    let banner = json!({"port": 22, "search_regex": "^SSH-(?P<version>[0-9.]+)-(\\w+)"});
    let result = keys(judged(banner.clone(), &[Answer::Connect(Ok(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()))]));
    assert_eq!(result.get("match_groups"), Some(&json!(["2.0", "OpenSSH_9"])));
    assert_eq!(result.get("match_groupdict"), Some(&json!({"version": "2.0"})));
    let verdict = judged(banner, &[Answer::Connect(Ok(b"220 ftp".to_vec()))]);
    assert!(matches!(verdict, Verdict::NotYet(why) if why.starts_with("127.0.0.1:22 answers, but")));
}

#[test]
fn a_file_is_present_absent_or_not_to_be_seen() {
    let present = json!({"path": "/run/x.pid"});
    assert_eq!(keys(judged(present.clone(), &[said("present\n")])).get("path"), Some(&json!("/run/x.pid")));
    assert_eq!(judged(present.clone(), &[said("absent\n")]), not_yet("/run/x.pid is not there"));
    assert!(matches!(judged(present, &[said("denied\n")]), Verdict::Never(_)));
    let absent = json!({"path": "/run/x.pid", "state": "absent"});
    assert_eq!(judged(absent.clone(), &[said("present\n")]), not_yet("/run/x.pid is still there"));
    keys(judged(absent, &[said("absent\n")]));
    let line = json!({"path": "/var/log/m", "search_regex": "^Elected (.*)!"});
    let found = keys(judged(line.clone(), &[said("present\nStarting\nElected as master!\n")]));
    assert_eq!(found.get("match_groups"), Some(&json!(["as master"])));
    assert_eq!(judged(line, &[said("present\nStarting\n")]), not_yet("`^Elected (.*)!` is not in /var/log/m"));
}

#[test]
fn connections_are_counted_until_none_is_left() {
    let drained = |more: Value| {
        let mut arguments = json!({"port": 5050, "state": "drained"});
        if let (Some(all), Value::Object(more)) = (arguments.as_object_mut(), more) {
            all.extend(more);
        }
        arguments
    };
    assert_eq!(judged(drained(json!({})), &[said(TABLE)]), not_yet("1 connection to 127.0.0.1:5050 is left"));
    let all = drained(json!({"host": "0.0.0.0"}));
    assert_eq!(judged(all, &[said(TABLE)]), not_yet("2 connections to 0.0.0.0:5050 are left"));
    keys(judged(drained(json!({"exclude_hosts": ["10.0.0.2"]})), &[said(TABLE)]));
    let named = drained(json!({"exclude_hosts": "proxy"}));
    let resolved = format!("address proxy 10.0.0.2\n{TABLE}");
    keys(judged(named.clone(), &[said(&resolved)]));
    match judged(named, &[said(TABLE)]) {
        Verdict::Never(failure) => assert_eq!(failure.message, "the host can't resolve `proxy`: give its address"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_port_and_path_it_waits_for_the_time() {
    let gate = bound(json!({"timeout": 3}));
    assert_eq!(gate.questions(&[]), Vec::new());
    assert!(matches!(gate.judge(&[], &mut Value::Null, SECOND), Verdict::NotYet(_)));
    assert!(matches!(gate.judge(&[], &mut Value::Null, 3 * SECOND), Verdict::Ready(_)));
    assert!(gate.timing().within > 3 * SECOND);
}

#[test]
fn the_end_of_the_time_says_what_was_seen_last() {
    let failure = bound(json!({"port": 5050, "host": "m2"})).expired("m2:5050 does not answer: refused", 300 * SECOND);
    assert_eq!(failure.message, "Timeout when waiting for m2:5050 (waited 5:00): m2:5050 does not answer: refused");
    let failure = bound(json!({"path": "/x", "state": "absent", "msg": "still locked"})).expired("why", SECOND);
    assert_eq!(failure.message, "still locked");
    assert_eq!(Value::Object(failure.result), json!({"elapsed": 1, "why": "why"}));
}

#[test]
fn what_does_not_go_together_is_refused() {
    assert_eq!(refused(json!({"port": 1, "path": "/x"})), "`wait_for` takes only one of `port`, `path`");
    assert!(refused(json!({"path": "/x", "state": "drained"})).contains("needs `port`"));
    assert!(refused(json!({"port": 70000})).contains("between 1 and 65535"));
    assert!(refused(json!({"port": 1, "exclude_hosts": "a"})).contains("drained"));
    assert!(refused(json!({"port": 1, "search_regex": "("})).contains("no regular expression"));
}

#[test]
fn the_scripts_run_in_both_shells() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("it's here");
    std::fs::write(&file, "first\nlast\n").expect("written");
    let path = file.display().to_string();
    for shell in crate::modules::fixture::SHELLS {
        let run = |script: Script| crate::modules::fixture::run_script(shell, &script);
        assert_eq!(run(path_script(&path, true)).out(), "present\nfirst\nlast\n", "{shell:?}");
        assert_eq!(run(path_script(&format!("{path}x"), true)).out(), "absent\n", "{shell:?}");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let output = run(sockets_script(&["localhost"]));
        assert_eq!(output.status, 0);
        assert!(output.out().contains("address localhost 127.0.0.1\n"), "{shell:?}: {}", output.out());
        let found = sockets::parse(&output.out());
        assert!(found.iter().any(|s| s.state == sockets::LISTEN && s.local.1 == port), "{shell:?}");
    }
}
