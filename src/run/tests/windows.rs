//! Windows, gates and bakes against hosts that are a closure; and what no outcome of hosts may lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

impl Ran {
    /// Which batches began, as `h1`, `h2+h3`.
    fn batches(&self) -> Vec<String> {
        let hosts = |event: &EventKind| match event {
            EventKind::BatchStarted { hosts, .. } => Some(hosts.join("+")),
            _ => None,
        };
        self.events.iter().filter_map(hosts).collect()
    }

    fn halt(&self) -> Option<&crate::event::Halt> {
        self.events.iter().find_map(|event| match event {
            EventKind::Halted { halt, .. } => Some(halt),
            _ => None,
        })
    }

    fn order(&self) -> &str {
        let order = self.events.iter().find_map(|event| match event {
            EventKind::PlayStarted { order, .. } => Some(order.as_str()),
            _ => None,
        });
        order.unwrap_or_default()
    }

    /// The most hosts that were out at once: at work, or failed.
    fn most_out(&self) -> usize {
        walk(&self.events, |_| String::new()).most
    }
}

/// What a walk through the events of one play found.
struct Walk {
    /// The most hosts out at once, the failed ones included.
    most: usize,
    /// A batch began after the play was halted.
    after_halt: bool,
    /// Hosts of two values were out at once.
    mixed: bool,
}

fn walk(events: &[EventKind], value: impl Fn(&str) -> String) -> Walk {
    let mut at_work: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let mut lost: BTreeSet<String> = BTreeSet::new();
    let mut found = Walk { most: 0, after_halt: false, mixed: false };
    let mut halted = false;
    for event in events {
        match event {
            EventKind::BatchStarted { batch, hosts, .. } => {
                found.after_halt |= halted;
                at_work.insert(*batch, hosts.clone());
            }
            EventKind::BatchFinished { batch, .. } => {
                at_work.remove(batch);
            }
            EventKind::HostFinished { host, status, rescued, .. } if status.ends_host() && !rescued => {
                lost.insert(host.clone());
            }
            EventKind::Halted { .. } => halted = true,
            _ => {}
        }
        let out: BTreeSet<&String> = at_work.values().flatten().chain(&lost).collect();
        found.most = found.most.max(out.len());
        found.mixed |= out.iter().map(|host| value(host)).collect::<BTreeSet<_>>().len() > 1;
    }
    found
}

#[test]
fn a_window_starts_a_host_as_one_finishes_and_each_goes_through_alone() {
    let ran = run(concat!(
        "- hosts: all\n  max_unavailable: 2\n  pre_tasks:\n    - raw: drain\n      notify: restart\n  tasks:\n    - raw: work\n",
        "  post_tasks:\n    - raw: undrain\n  handlers:\n    - name: restart\n      raw: restart\n"
    ));
    assert_eq!(ran.batches(), ["h1", "h2", "h3", "h4"]);
    assert_eq!(ran.order(), "up to 2 out at once");
    assert!(ran.most_out() <= 2);
    for host in ["h1", "h2", "h3", "h4"] {
        let done: Vec<String> =
            ran.done().iter().filter_map(|d| d.strip_prefix(&format!("{host}:")).map(str::to_owned)).collect();
        assert_eq!(done, ["drain", "restart", "work", "undrain"], "{host}: handlers run at their places");
    }
    assert!(!ran.summary.failed && !ran.summary.halted);
}

#[test]
fn a_window_stops_at_its_first_failed_host_under_both_rules() {
    for rules in [Rules::Stagger, Rules::Ansible] {
        let text = "- hosts: all\n  max_unavailable: 1\n  tasks:\n    - raw: fail-on h2\n";
        let ran = under(rules, "h1,h2,h3,h4,", text);
        assert_eq!(ran.batches(), ["h1", "h2"], "{rules:?}");
        assert_eq!(ran.guards(), ["max_unavailable"]);
        assert_eq!(ran.halt().and_then(|halt| halt.host.as_deref()), Some("h2"));
        assert_eq!(ran.summary.not_attempted, ["h3", "h4"]);
    }
}

#[test]
fn a_failed_host_keeps_its_place_in_the_window() {
    let text =
        "- hosts: all\n  max_unavailable: 2\n  max_fail: 3\n  tasks:\n    - raw: fail-on h1\n    - raw: fail-on h3\n";
    let ran = under(Rules::Stagger, "h1,h2,h3,h4,h5,", text);
    assert!(ran.most_out() <= 2, "{:?}", ran.batches());
    assert_eq!(ran.guards(), ["max_unavailable"], "with two out for good nobody may follow");
    let halt = ran.halt().unwrap();
    assert!(halt.value.contains("2 of 5 hosts are out for good"), "{}", halt.value);
    assert!(!ran.batches().contains(&"h5".to_owned()) || ran.batches().len() <= 4, "{:?}", ran.batches());
}

#[test]
fn hosts_that_an_earlier_play_lost_are_unavailable_too() {
    let text = concat!(
        "- hosts: all\n  max_fail: 1\n  tasks:\n    - raw: fail-on h1\n",
        "- hosts: all\n  max_unavailable: 1\n  max_fail: 2\n  tasks:\n    - raw: work\n"
    );
    let ran = run(text);
    assert!(ran.hosts_of("work").is_empty(), "{:?}", ran.done());
    assert_eq!(ran.guards(), ["max_unavailable"]);
    let ran = run(&text.replace("max_unavailable: 1", "max_unavailable: 2"));
    assert_eq!(ran.hosts_of("work"), ["h2", "h3", "h4"]);
}

#[test]
fn a_window_takes_one_rack_at_a_time_and_the_leader_last() {
    let text = "- hosts: all\n  max_unavailable: 3\n  serial_by: rack\n  vars: {rack: \"{{ inventory_hostname in ['h1', 'h3'] }}\"}\n  order_by: \"{{ inventory_hostname == 'h1' }}\"\n  tasks:\n    - raw: work\n";
    let ran = run(text);
    let racks = |host: &str| (host == "h1" || host == "h3").to_string();
    assert!(!walk(&ran.events, racks).mixed, "{:?}", ran.batches());
    assert_eq!(ran.batches().last().map(String::as_str), Some("h1"), "{:?}", ran.batches());
    assert_eq!(ran.order(), "up to 3 out at once, one rack at a time, by inventory_hostname == 'h1'");
}

#[test]
fn a_host_that_is_lost_keeps_other_racks_out() {
    let text = "- hosts: all\n  max_unavailable: 2\n  max_fail: 2\n  serial_by: \"{{ inventory_hostname in ['h1', 'h2'] }}\"\n  tasks:\n    - raw: fail-on h1\n";
    let ran = run(text);
    assert_eq!(ran.batches(), ["h1", "h2"]);
    assert_eq!(ran.guards(), ["serial_by"]);
}

#[test]
fn a_task_that_runs_once_runs_once_for_the_whole_window() {
    let ran = run(
        "- hosts: all\n  max_unavailable: 2\n  tasks:\n    - raw: once\n      run_once: true\n      register: r\n    - raw: all\n      when: r.rc == 0\n",
    );
    assert_eq!(ran.hosts_of("once").len(), 1);
    assert_eq!(ran.hosts_of("all").len(), 4);
    let ran = run(
        "- hosts: all\n  max_unavailable: 2\n  tasks:\n    - raw: fail-on h1 fail-on h2\n      run_once: true\n    - raw: all\n",
    );
    assert!(ran.hosts_of("all").is_empty(), "a failure stands for all");
}

#[test]
fn throttle_holds_across_the_hosts_of_a_window() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counting, highest) = (Arc::clone(&now), Arc::clone(&most));
    let slow = Fake::new(move |_, command: &Command| {
        if command.script.as_str().contains("narrow") {
            highest.fetch_max(counting.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..20 {
                std::thread::yield_now();
            }
            counting.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(Output::default())
    });
    let text = "- hosts: all\n  max_unavailable: 4\n  tasks:\n    - raw: narrow\n      throttle: 1\n";
    let ran = run_with(text, &Setting::default(), slow);
    assert_eq!(ran.hosts_of("narrow").len(), 4);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[test]
fn a_gate_that_does_not_hold_halts_whatever_max_fail_allows_and_says_which() {
    for more in
        ["", "  ignore_errors: true\n", "  any_errors_fatal: false\n", "  run_once: true\n", "  force_handlers: true\n"]
    {
        for rules in [Rules::Stagger, Rules::Ansible] {
            let text = format!(
                "- hosts: all\n  serial: 2\n  max_fail: 4\n{more}  gate:\n    - inventory_hostname != 'h2'\n  tasks:\n    - raw: go\n"
            );
            let ran = under(rules, "h1,h2,h3,h4,", &text);
            assert!(ran.done().is_empty(), "none of the batch begins where the gate is shut: {:?}", ran.done());
            let halt = ran.halt().unwrap();
            assert_eq!((halt.guard.as_str(), halt.host.as_deref()), ("gate", Some("h2")), "{more}{rules:?}");
            assert!(halt.value.contains("`inventory_hostname != 'h2'` does not hold"), "{}", halt.value);
        }
    }
}

/// A host on which `healthy` holds so many times.
fn healthy_for(times: usize) -> Fake {
    let asked: Mutex<BTreeMap<String, usize>> = Mutex::default();
    Fake::new(move |host, command: &Command| {
        let text = command.script.as_str();
        let mut status = i32::from(text.contains(&format!("fail-on {host}")));
        if text.contains("healthy") {
            let mut asked = asked.lock().unwrap();
            let count = asked.entry(host.to_owned()).or_default();
            *count += 1;
            status = i32::from(*count > times);
        }
        Ok(Output { status, ..Output::default() })
    })
}

#[test]
fn the_gate_after_a_batch_is_asked_where_another_host_failed_and_where_the_play_was_ended() {
    for (tasks, guard) in [
        ("    - raw: fail-on h1\n", "serial"),
        ("    - meta: end_play\n", "gate"),
        ("    - meta: end_host\n", "gate"),
        ("    - block: [{raw: fail-on h1}]\n      always: [{raw: tidy}]\n", "serial"),
    ] {
        let text = format!("- hosts: all\n  serial: 2\n  gate: [{{raw: healthy}}]\n  tasks:\n{tasks}");
        let ran = run_with(&text, &Setting::default(), healthy_for(1));
        assert_eq!(ran.guards(), [guard], "{tasks}");
        let asked = ran.done().iter().filter(|done| *done == "h2:healthy").count();
        assert_eq!(asked, 2, "before and after, on the host that got through: {tasks} {:?}", ran.done());
        assert!(!ran.done().iter().any(|done| done.starts_with("h3")));
    }
}

#[test]
fn a_bake_holds_each_batch_and_the_last_one_too() {
    for keyword in ["serial: 2", "max_unavailable: 2"] {
        let text = format!("- hosts: all\n  {keyword}\n  bake: 5ms\n  gate: [{{raw: healthy}}]\n  tasks: [raw: go]\n");
        let ran = run_with(&text, &Setting::default(), healthy_for(usize::MAX));
        let baked = ran.events.iter().filter(|event| matches!(event, EventKind::Baked { .. })).count();
        assert_eq!(baked, ran.batches().len(), "{keyword}");
        assert!(ran.guards().is_empty());
    }
}

#[test]
fn a_gate_that_ceases_to_hold_while_it_bakes_halts_the_play() {
    let text = "- hosts: all\n  serial: 1\n  max_fail: 4\n  bake: 5ms\n  gate: [{raw: healthy}]\n  tasks: [raw: go]\n";
    let ran = run_with(text, &Setting::default(), healthy_for(2));
    let halt = ran.halt().unwrap();
    assert_eq!((halt.guard.as_str(), halt.host.as_deref()), ("bake", Some("h1")));
    assert!(halt.value.starts_with("`raw healthy` held for"), "{}", halt.value);
    assert_eq!(ran.batches(), ["h1"]);
    assert!(!ran.events.iter().any(|event| matches!(event, EventKind::Baked { .. })));
}

#[test]
fn a_preview_looks_once_and_does_not_wait() {
    let text = "- hosts: all\n  serial: 2\n  bake: 1h\n  gate: [inventory_hostname != 'x']\n  tasks: [raw: go]\n";
    let ran = run_with(text, &Setting { check: true, ..Setting::default() }, fake());
    assert_eq!(ran.batches().len(), 2);
    assert!(ran.guards().is_empty());
}

#[test]
fn each_item_of_a_loop_says_for_itself_whether_it_is_ignored() {
    let text = |ignore: &str| {
        format!(
            "- hosts: h1\n  tasks:\n    - name: t\n      raw: \"{{{{ item }}}}\"\n      loop: [fine, fail-on h1]\n      ignore_errors: \"{ignore}\"\n    - raw: after\n"
        )
    };
    assert_eq!(run(&text("{{ item == 'fail-on h1' }}")).statuses("t"), [Status::Ignored]);
    assert_eq!(run(&text("{{ item == 'fine' }}")).statuses("t"), [Status::Failed]);
}

#[test]
fn under_ansibles_rules_a_percentage_counts_what_earlier_batches_lost() {
    let text = "- hosts: all\n  serial: 2\n  max_fail_percentage: 50\n  tasks:\n    - raw: fail-on h1\n    - raw: fail-on h3\n    - raw: end\n";
    let ran = under(Rules::Ansible, "h1,h2,h3,h4,h5,h6,", text);
    assert_eq!(ran.guards(), ["max_fail_percentage"], "two lost, of a batch of two");
    assert_eq!(ran.hosts_of("end"), ["h2"]);
    let ran = under(Rules::Stagger, "h1,h2,h3,h4,h5,h6,", text);
    assert!(ran.guards().is_empty(), "one of two in either batch is what is allowed");
    assert_eq!(ran.hosts_of("end"), ["h2", "h4", "h5", "h6"]);
}

#[test]
fn under_ansibles_rules_batches_are_cut_from_all_hosts_as_ansible_does() {
    let text =
        "- hosts: h1,h2,h3\n  tasks:\n    - raw: fail-on h1\n- hosts: all\n  serial: 2\n  tasks:\n    - raw: work\n";
    assert_eq!(under(Rules::Ansible, "h1,h2,h3,h4,", text).batches()[1..], ["h2", "h3+h4"]);
    assert_eq!(under(Rules::Stagger, "h1,h2,h3,h4,", text).batches()[1..], ["h2+h3", "h4"]);
}

/// A small generator: the same seed gives the same hosts.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Random hosts, racks, limits and outcomes: never more out than allowed, never two racks, nothing begun after a halt.
#[test]
fn no_outcome_of_hosts_leads_beyond_the_window_or_past_a_halt() {
    for seed in 0..150 {
        let mut dice = Dice(seed);
        let count = 2 + dice.roll(7);
        let name = |at: u64, fate: u64| match fate {
            0 => format!("gone{at}"),
            1 => format!("bad{at}"),
            _ => format!("h{at}"),
        };
        let hosts: Vec<String> = (0..count).map(|at| name(at, dice.roll(5))).collect();
        let bad: Vec<String> = hosts.iter().filter(|h| h.starts_with("bad")).map(|h| format!("fail-on {h} ")).collect();
        let most = 1 + dice.roll(4);
        let windowed = dice.roll(3) > 0;
        let by_rack = dice.roll(2) == 0;
        let allowed = dice.roll(4);
        let limit = match dice.roll(4) {
            0 => format!("  max_fail: {allowed}\n"),
            1 => format!("  max_fail_percentage: {}\n", allowed * 20),
            2 => "  any_errors_fatal: true\n".to_owned(),
            _ => String::new(),
        };
        let way = if windowed { "max_unavailable" } else { "serial" };
        let rack = if by_rack { "  serial_by: \"{{ inventory_hostname[-1] in '0369' }}\"\n" } else { "" };
        let body = match dice.roll(3) {
            0 => format!("    - raw: work {}\n", bad.concat()),
            1 => format!(
                "    - block: [{{raw: work {}}}]\n      rescue: [{{raw: again {}}}]\n      always: [{{raw: tidy}}]\n",
                bad.concat(),
                bad.concat()
            ),
            _ => format!("    - raw: change\n      notify: h\n    - raw: work {}\n", bad.concat()),
        };
        let text = format!(
            "- hosts: all\n  {way}: {most}\n{rack}{limit}  tasks:\n{body}    - raw: end\n  handlers: [{{name: h, raw: handled}}]\n"
        );
        let rules = if dice.roll(2) == 0 { Rules::Stagger } else { Rules::Ansible };
        let list: &'static str = Box::leak(format!("{},", hosts.join(",")).into_boxed_str());
        let ran = run_with(&text, &Setting { rules, forks: 8, hosts: list, ..Setting::default() }, fake());
        let racks = |host: &str| host.ends_with(['0', '3', '6', '9']).to_string();
        let found = walk(&ran.events, racks);
        let told = format!("seed {seed}, {rules:?}, {list}\n{text}{:?} {:?}", ran.batches(), ran.guards());
        assert!(!found.after_halt, "a batch began after the halt: {told}");
        assert!(ran.guards().len() <= 1, "halted twice: {told}");
        if windowed {
            assert!(found.most <= usize::try_from(most).unwrap(), "{} out at once: {told}", found.most);
            assert!(!(by_rack && found.mixed), "two racks out at once: {told}");
        } else if by_rack {
            let spans = |batch: &String| batch.split('+').map(racks).collect::<BTreeSet<_>>().len() > 1;
            assert!(!ran.batches().iter().any(spans), "a batch spans two racks: {told}");
        }
        let lost = hosts.iter().filter(|host| !host.starts_with('h')).count();
        if lost > 0 && !limit.contains("max_fail") && rules == Rules::Stagger {
            assert!(!ran.guards().is_empty(), "a host was lost and nothing stopped: {told}");
        }
        if lost == 0 {
            assert_eq!(ran.hosts_of("end").len(), hosts.len(), "all went well and not all were done: {told}");
        }
    }
}
