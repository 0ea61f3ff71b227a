//! What people ask of a run while it goes on.

use std::future::Future;
use std::sync::OnceLock;

use tokio::time::Instant;

use super::*;
use crate::base::Output;

/// A run under way, for the one who speaks to it.
#[derive(Clone)]
struct Live {
    run: Arc<Run>,
    bus: Arc<Memory>,
    asked: Arc<std::sync::atomic::AtomicU64>,
}

impl Live {
    fn events(&self) -> Vec<EventKind> {
        self.bus.0.lock().unwrap().clone()
    }

    /// Asks, and gives the answer and whether it was refused.
    fn ask(&self, command: &str, argument: &str) -> (String, bool) {
        self.ask_at(now() + 1, command, argument)
    }

    fn ask_at(&self, when: u64, command: &str, argument: &str) -> (String, bool) {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let [by, command, argument, reason] = ["ann@bastion", command, argument, "a reason"].map(str::to_owned);
        self.run.obey(&Request { number, when, by, command, argument, reason });
        let answer = self.events().into_iter().find_map(|event| match event {
            EventKind::Controlled { request, answer, refused, .. } if request == number => Some((answer, refused)),
            _ => None,
        });
        answer.expect("every request is answered")
    }

    /// Waits until the run is held so many times.
    async fn held(&self, times: usize) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let events = self.events();
            let mut held = events.iter().filter_map(|event| match event {
                EventKind::Held { why, .. } => Some(why.clone()),
                _ => None,
            });
            if let Some(why) = held.nth(times - 1) {
                return why;
            }
            assert!(Instant::now() < deadline, "held {times} times: {events:?}");
            tokio::task::yield_now().await;
        }
    }

    fn done(&self) -> Vec<String> {
        Ran { summary: Summary::default(), events: self.events() }.done()
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    crate::event::Clock::start().started_at()
}

/// Runs a playbook while somebody speaks to it.
fn spoken_to<F: Future<Output = ()> + Send + 'static>(
    text: &str,
    setting: &Setting,
    speak: impl FnOnce(Live) -> F,
) -> Ran {
    let (run, plan, bus) = prepared(text, setting, fake());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let live = Live { run: Arc::clone(&run), bus: Arc::clone(&bus), asked: Arc::default() };
    let summary = runtime.block_on(async {
        let speaking = tokio::spawn(speak(live));
        let summary = tokio::time::timeout(Duration::from_secs(30), run.plan(plan)).await.expect("the run ends");
        speaking.await.expect("what was expected of the run");
        summary
    });
    let events = bus.0.lock().unwrap().clone();
    Ran { summary, events }
}

fn approving(approve: Approve) -> Setting {
    Setting { terms: Terms { approve: Some(approve), ..Terms::default() }, ..Setting::default() }
}

const ROLLING: &str = "- name: masters\n  hosts: all\n  serial: 1\n  tasks:\n    - raw: go\n";

#[test]
fn a_run_that_is_paused_at_work_starts_no_further_batch_until_it_is_resumed() {
    let live: Arc<OnceLock<Live>> = Arc::default();
    let seen = Arc::clone(&live);
    let transport = Fake::new(move |host, _: &Command| {
        if host == "h1" {
            let (answer, refused) = seen.get().unwrap().ask("pause", "");
            assert!(!refused && answer.contains("h1 finish"), "{answer}");
        }
        Ok(Output::default())
    });
    let (run, plan, bus) = prepared(&ROLLING.replace("raw: go", "command: go"), &Setting::default(), transport);
    let speaker = Live { run: Arc::clone(&run), bus, asked: Arc::default() };
    let _ = live.set(speaker.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let running = tokio::spawn({
            let run = Arc::clone(&run);
            async move { run.plan(plan).await }
        });
        assert_eq!(speaker.held(1).await, "paused by ann@bastion");
        assert_eq!(speaker.done(), ["h1:go"]);
        assert!(speaker.ask("pause", "").1, "it is paused already");
        assert!(speaker.ask("continue", "").1, "a pause is no approval");
        assert!(!speaker.ask("resume", "").1);
        let summary = running.await.unwrap();
        assert!(!summary.interrupted && !summary.halted);
        // h1's own request came once for each command that it ran.
        assert_eq!(speaker.done(), ["h1:go", "h2:go", "h3:go", "h4:go"]);
        assert!(speaker.events().iter().any(|e| matches!(e, EventKind::Released { by, .. } if by == "ann@bastion")));
    });
}

#[test]
fn an_approval_lets_one_batch_begin_and_is_never_kept_for_the_next() {
    let ran = spoken_to(ROLLING, &approving(Approve::Each), |live| async move {
        assert_eq!(live.held(1).await, "approval of masters");
        assert!(live.done().is_empty());
        let (answer, refused) = live.ask("continue", "slaves");
        assert!(refused && answer.contains("no phase is called `slaves`; there are `masters`"), "{answer}");
        for batch in 1..=4 {
            live.held(batch).await;
            assert_eq!(live.done().len(), batch - 1);
            let when = now();
            let (answer, refused) = live.ask_at(when + 1, "continue", if batch % 2 == 0 { "1" } else { "MAST" });
            assert!(!refused && answer.contains(&format!("batch {batch} (h{batch}) goes on")), "{answer}");
            // Another who asked at the same time, and was heard after the next began to wait.
            if batch < 4 {
                live.held(batch + 1).await;
            }
            assert!(live.ask_at(when, "continue", "masters").1);
        }
    });
    assert_eq!(ran.done(), ["h1:go", "h2:go", "h3:go", "h4:go"]);
    let begun = |e: &EventKind| matches!(e, EventKind::BatchStarted { .. } | EventKind::Held { .. });
    let order: Vec<bool> =
        ran.events.iter().filter(|e| begun(e)).map(|e| matches!(e, EventKind::Held { .. })).collect();
    assert_eq!(order, [true, false, true, false, true, false, true, false]);
}

#[test]
fn the_playbooks_word_for_approval_holds_unless_the_command_line_has_another() {
    let text = ROLLING.replace("serial: 1", "serial: 1\n  approve: first");
    let ran = spoken_to(&text, &Setting::default(), |live| async move {
        live.held(1).await;
        assert!(!live.ask("continue", "").1);
    });
    assert_eq!(ran.done().len(), 4, "the others begin by themselves");
    assert_eq!(ran.events.iter().filter(|e| matches!(e, EventKind::Held { .. })).count(), 1);
    for setting in [approving(Approve::None), Setting { check: true, ..Setting::default() }] {
        let ran = run_with(&text, &setting, fake());
        assert!(!ran.events.iter().any(|e| matches!(e, EventKind::Held { .. })));
    }
}

#[test]
fn when_the_time_is_over_no_new_host_is_started_and_nobody_is_waited_for() {
    let until = Until { moment: Instant::now() + Duration::from_millis(100), text: "--for 0.1s".to_owned() };
    let terms = Terms { until: Some(until), approve: Some(Approve::Each), operator: String::new() };
    let ran = spoken_to(ROLLING, &Setting { terms, ..Setting::default() }, |live| async move {
        live.held(1).await;
    });
    assert!(ran.done().is_empty());
    assert!(ran.summary.late && !ran.summary.interrupted && !ran.summary.failed);
    assert_eq!(ran.summary.not_attempted, ["h1", "h2", "h3", "h4"]);
    let why = |e: &EventKind| matches!(e, EventKind::Cancelling { why } if why.contains("--for 0.1s"));
    assert_eq!(ran.events.iter().filter(|e| why(e)).count(), 1);
}

#[test]
fn a_time_that_is_over_after_the_last_batch_stops_nothing() {
    let until = Until { moment: Instant::now() + Duration::from_secs(3600), text: "--for 1h".to_owned() };
    let terms = Terms { until: Some(until), ..Terms::default() };
    let ran = run_with(ROLLING, &Setting { terms, ..Setting::default() }, fake());
    assert!(!ran.summary.late);
    assert_eq!(ran.done().len(), 4);
}

#[test]
fn a_host_that_has_not_begun_can_be_left_out_and_one_that_has_can_not() {
    let text = format!("{ROLLING}- name: slaves\n  hosts: all\n  tasks:\n    - raw: more\n");
    let ran = spoken_to(&text, &approving(Approve::Each), |live| async move {
        live.held(1).await;
        assert!(!live.ask("skip", "h2 h1").1, "h1 waits, and has not begun");
        live.held(2).await;
        assert!(live.done().is_empty());
        assert!(live.ask("skip", "h9").0.contains("not in the inventory"));
        assert!(live.ask("skip", "h1").0.contains("left out already"));
        for batch in 2..=4 {
            live.held(batch).await;
            assert!(!live.ask("continue", "").1);
        }
    });
    assert_eq!(ran.done()[..2], ["h3:go", "h4:go"]);
    assert_eq!(ran.hosts_of("more"), ["h3", "h4"], "left out of what is still to come, later plays included");
    assert_eq!(ran.summary.not_attempted, ["h1", "h2"], "{:?}", ran.summary);
    let skipped = |e: &EventKind| match e {
        EventKind::HostSkipped { host, by, reason } => Some(format!("{host} {by} {reason}")),
        _ => None,
    };
    let skipped: Vec<String> = ran.events.iter().filter_map(skipped).collect();
    assert_eq!(skipped, ["h2 ann@bastion a reason", "h1 ann@bastion a reason"]);
    assert!(!ran.summary.failed && !ran.summary.halted);
}

#[test]
fn a_host_at_work_is_not_left_out() {
    let live: Arc<OnceLock<Live>> = Arc::default();
    let seen = Arc::clone(&live);
    let transport = Fake::new(move |host, _: &Command| {
        let (answer, refused) = seen.get().unwrap().ask("skip", host);
        assert!(refused && answer.contains("is at work in masters"), "{answer}");
        Ok(Output::default())
    });
    let (run, plan, bus) = prepared(ROLLING, &Setting::default(), transport);
    let _ = live.set(Live { run: Arc::clone(&run), bus: Arc::clone(&bus), asked: Arc::default() });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let summary = runtime.block_on(run.plan(plan));
    assert!(summary.not_attempted.is_empty() && summary.tallies.len() == 4);
}

#[test]
fn an_aborted_run_starts_nothing_more_and_is_not_to_be_resumed() {
    let ran = spoken_to(ROLLING, &approving(Approve::Each), |live| async move {
        live.held(1).await;
        assert!(!live.ask("continue", "").1);
        live.held(2).await;
        assert!(!live.ask("abort", "").1);
        assert!(live.ask("continue", "").1, "the run is being ended");
    });
    assert_eq!(ran.done(), ["h1:go"]);
    assert!(ran.summary.aborted);
    assert_eq!(ran.summary.not_attempted, ["h2", "h3", "h4"]);
    assert!(ran.events.iter().any(|e| matches!(e, EventKind::Cancelling { why } if why.contains("a reason"))));
}

#[test]
fn what_the_run_does_not_know_is_answered_and_does_nothing() {
    let ran = spoken_to(ROLLING, &approving(Approve::First), |live| async move {
        live.held(1).await;
        for command in ["format-disk", "", "retry"] {
            assert!(live.ask(command, "h1").1);
        }
        assert!(!live.ask("continue", "").1);
    });
    assert_eq!(ran.done().len(), 4);
}

#[test]
fn an_approval_is_of_the_hosts_that_wait_and_another_leader_meanwhile_is_asked_for() {
    // The host that comes first depends on what a person waits for: a file that appears while he thinks.
    let folder = tempfile::tempdir().unwrap();
    let moved = folder.path().join("moved").display().to_string();
    let text = ROLLING.replace(
        "serial: 1",
        &format!(
            "serial: 1\n  approve: first\n  order_by: \"{{{{ (inventory_hostname != 'h2') if lookup_moved is exists else (inventory_hostname != 'h1') }}}}\"\n  vars: {{lookup_moved: {moved}}}"
        ),
    );
    let ran = spoken_to(&text, &Setting::default(), |live| async move {
        live.held(1).await;
        std::fs::write(&moved, "").unwrap();
        assert!(live.ask("continue", "").0.contains("(h1) goes on"));
        live.held(2).await;
        assert!(live.done().is_empty(), "h1 is not next any more, and nobody approved h2");
        assert!(!live.ask("skip", "h1").1, "h1 has not begun");
        assert!(live.ask("continue", "").0.contains("(h2) goes on"));
    });
    assert_eq!(ran.done(), ["h2:go", "h3:go", "h4:go"]);
    drop(folder);
}
