//! Settings that are changed for a time are taken back on every way out.

use super::*;

/// A setting that is changed for a time, what is done meanwhile, and what takes it back.
fn playbook(head: &str, tasks: &str) -> String {
    format!(
        "- hosts: all\n{head}  tasks:\n    - name: allocation off\n      raw: stop\n      undo: {{raw: \"on {{{{ inventory_hostname }}}}\"}}\n{tasks}"
    )
}

impl Ran {
    /// Entries and how they ended: `h1 allocation off: true`.
    fn undone(&self) -> Vec<String> {
        let ended = |event: &EventKind| match event {
            EventKind::UndoFinished { host, name, done, .. } => Some(format!("{host} {name}: {done}")),
            _ => None,
        };
        self.events.iter().filter_map(ended).collect()
    }

    fn place(&self, what: &str) -> usize {
        let done = self.done();
        done.iter().position(|done| done == what).unwrap_or_else(|| panic!("{what} was not done: {done:?}"))
    }

    /// Whether what was changed on each of these hosts was taken back after it, once, and nothing is left.
    fn assert_undone(&self, hosts: &[&str]) {
        for host in hosts {
            let (off, on) = (format!("{host}:stop"), format!("{host}:on {host}"));
            assert!(self.place(&off) < self.place(&on), "{:?}", self.done());
            assert_eq!(self.done().iter().filter(|done| **done == on).count(), 1, "{:?}", self.done());
        }
        assert_eq!(self.undone().len(), hosts.len(), "{:?}", self.undone());
        assert!(self.undone().iter().all(|line| line.ends_with(": true")), "{:?}", self.undone());
        assert!(self.summary.not_undone.is_empty());
    }
}

#[test]
fn after_success_it_is_taken_back_after_handlers_and_before_the_gate() {
    let ran = run(&format!(
        "{}      notify: restart\n    - raw: work\n  handlers:\n    - name: restart\n      raw: restart\n",
        playbook("  serial: 2\n  gate: {raw: gate}\n", "")
    ));
    ran.assert_undone(&["h1", "h2", "h3", "h4"]);
    assert!(ran.place("h1:restart") < ran.place("h1:on h1"), "{:?}", ran.done());
    let last_gate = ran.done().iter().rposition(|done| done == "h1:gate").unwrap();
    assert!(ran.place("h1:on h1") < last_gate, "{:?}", ran.done());
    assert!(ran.place("h1:on h1") < ran.place("h3:stop"), "before the next batch: {:?}", ran.done());
    assert!(!ran.summary.failed);
}

#[test]
fn it_is_written_down_with_the_original_value_before_the_change() {
    let ran = run(concat!(
        "- hosts: h1\n  vars: {level: \"{{ mode }}\"}\n  tasks:\n    - set_fact: {mode: low}\n",
        "    - raw: set high\n      undo:\n        raw: \"set {{ level }}\"\n    - set_fact: {mode: changed}\n"
    ));
    assert_eq!(ran.done(), ["h1:set high", "h1:set low"]);
    let at = |name: &str| ran.events.iter().position(|event| event.name() == name).unwrap();
    assert_eq!(at("act_started"), at("undo_armed") + 1, "nothing comes between");
    let Some(EventKind::UndoArmed { tasks, .. }) = ran.events.get(at("undo_armed")) else { panic!() };
    assert_eq!(serde_json::to_string(&tasks[0].arguments).unwrap(), r#"{"cmd":"set low"}"#);
}

#[test]
fn after_a_failure_it_is_taken_back_without_waiting_for_the_others() {
    for rules in [Rules::Stagger, Rules::Ansible] {
        let text = playbook("", "    - raw: fail-on h1\n    - raw: work\n    - raw: more\n");
        // The second host is done with `more` only after the first was put back.
        let order = Arc::new(Mutex::new(Vec::<String>::new()));
        let seen = Arc::clone(&order);
        let slow = Fake::new(move |host, command: &Command| {
            let text = command.script.as_str().to_owned();
            if host == "h2" && text.contains("more") {
                let deadline = std::time::Instant::now() + Duration::from_secs(5);
                while !seen.lock().unwrap().iter().any(|what| what == "h1 on") {
                    if std::time::Instant::now() > deadline {
                        seen.lock().unwrap().push("in vain".to_owned());
                        break;
                    }
                    std::thread::yield_now();
                }
            }
            if host == "h1" && text.contains("on h1") && !text.contains("fail") {
                seen.lock().unwrap().push("h1 on".to_owned());
            }
            let status = i32::from(text.contains(&format!("fail-on {host}")));
            Ok(Output { status, ..Output::default() })
        });
        let ran = run_with(&text, &Setting { rules, hosts: "h1,h2,", ..Setting::default() }, slow);
        ran.assert_undone(&["h1", "h2"]);
        assert!(ran.summary.failed);
        assert_eq!(*order.lock().unwrap(), ["h1 on"], "the failed host waited for the other");
    }
}

#[test]
fn a_section_that_rescues_or_always_runs_comes_before_it() {
    let text = concat!(
        "- hosts: all\n  serial: 2\n  tasks:\n    - name: allocation off\n      raw: stop\n      undo: {raw: \"on {{ inventory_hostname }}\"}\n",
        "    - block:\n        - raw: fail-on h1\n      rescue:\n        - raw: repair\n      always:\n        - raw: tidy\n",
        "    - block:\n        - raw: fail-on h2\n      always:\n        - raw: sweep\n"
    );
    let ran = run_with(text, &Setting { hosts: "h1,h2,", ..Setting::default() }, fake());
    ran.assert_undone(&["h1", "h2"]);
    for before in ["h1:repair", "h1:tidy", "h1:sweep", "h1:fail-on h2"] {
        assert!(ran.place(before) < ran.place("h1:on h1"), "{before}: {:?}", ran.done());
    }
    assert!(ran.place("h2:sweep") < ran.place("h2:on h2"), "{:?}", ran.done());
}

#[test]
fn when_a_guard_halts_the_play_it_is_taken_back() {
    for rules in [Rules::Stagger, Rules::Ansible] {
        for guard in ["max_fail_percentage: 0", "any_errors_fatal: true", "max_fail: 0"] {
            let head = format!("  serial: 2\n  {guard}\n");
            let ran = under(rules, "h1,h2,h3,h4,", &playbook(&head, "    - raw: fail-on h1\n    - raw: work\n"));
            ran.assert_undone(&["h1", "h2"]);
            assert_eq!(ran.guards().len(), 1);
        }
    }
}

#[test]
fn an_unreachable_host_is_tried_once_more_and_what_is_delegated_is_done() {
    let text = concat!(
        "- hosts: all\n  tasks:\n    - name: local\n      raw: stop\n      delegate_to: localhost\n      undo: {raw: \"on {{ inventory_hostname }}\"}\n",
        "    - name: there\n      raw: mark\n      undo: {raw: unmark}\n    - raw: die-on h1\n"
    );
    // After the line broke the host is gone.
    let gone = Arc::new(AtomicBool::new(false));
    let (died, is_gone) = (Arc::clone(&gone), Arc::clone(&gone));
    let transport = Fake::new(move |host, command: &Command| {
        if command.script.as_str().contains("die-on h1") && host == "h1" {
            died.store(true, Ordering::SeqCst);
            return Err(Lost::InFlight(Unreachable::Closed { address: "h1".to_owned(), reason: "reset".to_owned() }));
        }
        Ok(Output::default())
    })
    .meeting(move |target| match target.name.as_str() {
        "h1" if is_gone.load(Ordering::SeqCst) => Err(Unreachable::Refused { address: "h1".to_owned() }),
        _ => Ok(()),
    });
    let record = transport.clone();
    let ran = run_with(text, &Setting { hosts: "h1,h2,", ..Setting::default() }, transport);
    assert!(ran.done().contains(&"h1:on h1".to_owned()), "{:?}", ran.done());
    let left: Vec<&str> = ran.summary.not_undone.iter().map(|left| left.armed.name.as_str()).collect();
    assert_eq!(left, ["there"]);
    assert!(ran.summary.not_undone[0].why.contains("`raw` could not be done"), "{}", ran.summary.not_undone[0].why);
    assert!(ran.undone().contains(&"h2 there: true".to_owned()), "{:?}", ran.undone());
    assert_eq!(record.record().iter().filter(|line| *line == "connect h1").count(), 2, "one reconnect");
}

#[test]
fn after_the_first_interrupt_it_is_taken_back_and_after_the_second_it_is_told() {
    for hard in [false, true] {
        let setting = Setting { hosts: "h1,h2,", ..Setting::default() };
        let interrupt = setting.interrupt.clone();
        let transport = Fake::new(move |_, command: &Command| {
            if command.script.as_str().contains("work") {
                interrupt.soft.cancel();
                if hard {
                    interrupt.hard.cancel();
                }
            }
            Ok(Output::default())
        });
        let ran = run_with(&playbook("  serial: 1\n", "    - raw: work\n"), &setting, transport);
        if hard {
            assert!(ran.undone().is_empty(), "{:?}", ran.undone());
            assert_eq!(ran.summary.not_undone.len(), 1);
        } else {
            ran.assert_undone(&["h1"]);
        }
        assert_eq!(ran.summary.not_attempted, ["h2"]);
    }
}

#[test]
fn meta_undo_takes_back_the_last_first_and_what_comes_later_is_taken_back_later() {
    let setting = |name: &str| format!("    - raw: set {name}\n      undo: {{raw: unset {name}}}\n");
    let text = format!(
        "- hosts: h1\n  tasks:\n{}{}    - meta: undo\n    - raw: between\n{}{}",
        setting("a"),
        setting("b"),
        setting("c"),
        setting("d")
    );
    let done = run(&text).done();
    let words: Vec<&str> = done.iter().map(|done| done.trim_start_matches("h1:")).collect();
    assert_eq!(words, ["set a", "set b", "unset b", "unset a", "between", "set c", "set d", "unset d", "unset c"]);
    let some = "- hosts: all\n  tasks:\n    - raw: stop\n      undo: {raw: \"on {{ inventory_hostname }}\"}\n    - meta: undo\n      when: inventory_hostname == 'h1'\n    - raw: after\n";
    let ran = run_with(some, &Setting { hosts: "h1,h2,", ..Setting::default() }, fake());
    assert!(ran.place("h1:on h1") < ran.place("h1:after") && ran.place("h2:after") < ran.place("h2:on h2"));
}

#[test]
fn what_is_set_once_for_all_is_taken_back_when_all_are_done() {
    let text = concat!(
        "- hosts: all\n  tasks:\n    - name: shared\n      raw: stop\n      run_once: true\n      undo: {raw: \"on\"}\n",
        "    - raw: mark\n      undo: {raw: unmark}\n    - raw: fail-on h1\n    - raw: work\n"
    );
    let ran = run_with(
        text,
        &Setting { hosts: "h1,h2,", ..Setting::default() },
        fake().slow("h2", Duration::from_millis(30)),
    );
    assert_eq!(ran.undone().last().map(String::as_str), Some("h1 shared: true"), "{:?}", ran.undone());
    assert!(ran.place("h2:work") < ran.place("h1:on"), "{:?}", ran.done());
}

#[test]
fn in_a_window_what_is_set_once_stays_until_the_last_host_is_done() {
    let text = "- hosts: all\n  max_unavailable: 1\n  tasks:\n    - name: shared\n      raw: stop\n      run_once: true\n      undo: {raw: \"on\"}\n    - raw: work\n";
    let ran = run(text);
    assert_eq!(ran.undone(), ["h1 shared: true"]);
    assert_eq!(ran.done().last().map(String::as_str), Some("h1:on"), "{:?}", ran.done());
    assert_eq!(ran.hosts_of("work").len(), 4);
}

#[test]
fn what_can_not_be_taken_back_fails_the_host_and_stops_the_next_batch() {
    let text = "- hosts: all\n  serial: 1\n  tasks:\n    - name: s\n      raw: stop\n      undo: {name: put it back, raw: fail-on h1}\n    - raw: work\n";
    let ran = run(text);
    assert_eq!(ran.undone(), ["h1 s: false"]);
    assert_eq!(ran.guards(), ["serial"]);
    assert!(ran.hosts_of("work") == ["h1"], "{:?}", ran.done());
    assert!(ran.summary.failed && ran.summary.not_undone.len() == 1);
    assert!(ran.summary.not_undone[0].why.starts_with("`put it back` failed"), "{}", ran.summary.not_undone[0].why);
}

#[test]
fn in_a_loop_each_item_has_its_entry_and_only_what_changes_is_armed() {
    let text = concat!(
        "- hosts: h1\n  tasks:\n    - raw: \"set {{ item }}\"\n      loop: [a, b, c]\n      when: item != 'b'\n",
        "      undo:\n        - {raw: \"unset {{ item }}\", register: gone}\n        - {raw: \"told {{ gone.rc }} {{ item }}\", when: item == 'a'}\n"
    );
    assert_eq!(run(text).done(), ["h1:set a", "h1:set c", "h1:unset c", "h1:unset a", "h1:told 0 a"]);
    let ran = run_with(text, &Setting { check: true, ..Setting::default() }, fake());
    assert!(ran.done().is_empty() && ran.undone().is_empty());
    assert!(!ran.events.iter().any(|event| event.name() == "undo_armed"), "check mode arms nothing");
}

#[test]
fn what_can_not_be_worked_out_stops_the_change() {
    let ran = run("- hosts: h1\n  tasks:\n    - name: t\n      raw: stop\n      undo: {raw: \"on {{ nowhere }}\"}\n");
    assert!(ran.done().is_empty(), "{:?}", ran.done());
    assert_eq!(ran.statuses("t"), [Status::Failed]);
}

#[test]
fn the_next_process_takes_back_first_what_the_first_one_left() {
    let text = playbook("  vars: {new: later}\n", "    - raw: work\n");
    let setting = Setting { hosts: "h1,", ..Setting::default() };
    let interrupt = setting.interrupt.clone();
    let killed = Fake::new(move |_, command: &Command| {
        if command.script.as_str().contains("work") {
            interrupt.soft.cancel();
            interrupt.hard.cancel();
        }
        Ok(Output::default())
    });
    let first = run_with(&text, &setting, killed);
    let mut pending = Pending::default();
    // As it comes back from a file.
    for event in &first.events {
        let written = serde_json::to_string(event).unwrap();
        pending.on(&serde_json::from_str(&written).unwrap());
    }
    assert!(!pending.is_empty());
    let second = run_with(&text, &Setting { hosts: "h1,", pending, ..Setting::default() }, fake());
    assert_eq!(second.done(), ["h1:on h1", "h1:stop", "h1:work", "h1:on h1"]);
    assert!(second.summary.not_undone.is_empty());
    let numbers = |ran: &Ran| -> Vec<u32> {
        ran.events
            .iter()
            .filter_map(|event| match event {
                EventKind::UndoArmed { entry, .. } => Some(*entry),
                _ => None,
            })
            .collect()
    };
    assert_eq!((numbers(&first), numbers(&second)), (vec![0], vec![1]), "numbers go on");
}

#[test]
fn a_secret_that_the_journal_does_not_keep_is_worked_out_again_or_refused() {
    let armed = |text: &str| {
        let mut ran = run_with(text, &Setting { hosts: "h1,", ..Setting::default() }, fake());
        let mut pending = Pending::default();
        for event in &mut ran.events {
            if let EventKind::UndoFinished { .. } = event {
                break;
            }
            pending.on(event);
        }
        pending
    };
    let again = |text: &str| {
        let setting = Setting { hosts: "h1,", pending: armed(text), ..Setting::default() };
        run_with(text, &setting, fake())
    };
    let known = "- hosts: h1\n  vars: {word: open}\n  tasks:\n    - raw: stop\n      no_log: true\n      undo: {raw: \"on {{ word }}\"}\n";
    assert!(!format!("{:?}", armed(known)).contains("on open"), "`no_log` keeps it out of the journal");
    assert_eq!(again(known).undone()[0], "h1 raw: true");
    let lost = "- hosts: h1\n  tasks:\n    - set_fact: {word: open}\n    - raw: stop\n      no_log: true\n      undo: {raw: \"on {{ word }}\"}\n";
    let ran = again(lost);
    assert_eq!(ran.undone()[0], "h1 raw: false", "what was registered is gone");
}

#[test]
fn a_host_that_was_added_is_there_again_when_something_on_it_is_taken_back() {
    let text = "- hosts: h1\n  tasks:\n    - add_host: {name: \"{{ item }}\", groups: nodes, rack: 7}\n      loop: [n1, n2]\n- hosts: nodes\n  tasks:\n    - raw: stop\n      undo: {raw: back}\n    - raw: work\n";
    let first = run_with(text, &Setting { hosts: "h1,", ..Setting::default() }, fake());
    assert!(first.done().contains(&"n1:work".to_owned()), "{:?}", first.done());
    let mut added = added::Added::default();
    for event in &first.events {
        added.on(&serde_json::from_str(&serde_json::to_string(event).unwrap()).unwrap());
    }
    let (run, ..) = prepared(text, &Setting { hosts: "h1,", ..Setting::default() }, fake());
    assert!(!run.inventory().contains("n1"));
    run.add_again(&added);
    assert!(run.inventory().contains("n1") && run.inventory().contains("n2"));
    assert_eq!(run.inventory().group_hosts("nodes"), Some(vec!["n1", "n2"]));
}
