//! What a run would change, as a tree: phases (plays), hosts that fare alike, tasks and their steps. Made from the events of a
//! preview alone, so it knows what the preview knows: what rests on something that only a change brings about is unknown, and
//! says so.

mod build;
mod differ;
mod text;

use serde::{Deserialize, Serialize};

use crate::base::PlayId;
use crate::event::{Status, StepDiff};

pub(crate) use build::Foresight;
pub(crate) use differ::differences;
pub(crate) use text::plan_text;

/// What a run would change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlanTree {
    /// What would be run: playbook paths.
    pub(crate) title: String,
    /// Inventory sources.
    pub(crate) inventory: Vec<String>,
    /// The plays.
    pub(crate) phases: Vec<PlanPhase>,
    /// What it comes to.
    pub(crate) totals: Totals,
    /// Why the preview ended early; empty when it did not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) stopped: Vec<String>,
    /// What people should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
}

/// A play.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlanPhase {
    pub(crate) play: PlayId,
    pub(crate) name: String,
    /// `one at a time, leader last`; may be empty.
    #[serde(default)]
    pub(crate) order: String,
    /// Why it has nothing to do; empty when it has.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) skipped: String,
    /// How many hosts.
    pub(crate) hosts: u32,
    /// Milliseconds that it takes, as far as earlier runs tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) takes: Option<u64>,
    /// The hosts of each batch, in order. Through a window each host is a batch.
    pub(crate) batches: Vec<Vec<String>>,
    /// Hosts that fare alike, those whose turn comes first at the top.
    pub(crate) groups: Vec<Group>,
}

/// Hosts of which each task would do the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) hosts: Vec<String>,
    /// In the order in which they would be done.
    pub(crate) tasks: Vec<Deed>,
}

/// What a task would do on a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Deed {
    pub(crate) name: String,
    pub(crate) module: String,
    /// `file:line`.
    pub(crate) place: String,
    /// How often it ran before in its batch.
    #[serde(default)]
    pub(crate) pass: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) handler: bool,
    /// Another host on which it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delegate: Option<String>,
    pub(crate) status: Status,
    /// Why it would fail, is left out, or can't be known; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) why: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) steps: Vec<PlanStep>,
    /// The items of its loop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) items: Vec<PlanItem>,
}

/// An item of a loop.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct PlanItem {
    pub(crate) index: u32,
    /// As people see it.
    pub(crate) item: String,
    pub(crate) status: Status,
    pub(crate) steps: Vec<PlanStep>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct PlanStep {
    pub(crate) summary: String,
    /// What it does can't be seen through.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) opaque: bool,
    /// Of the texts before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// Those texts. They are shown and not kept.
    #[serde(skip)]
    pub(crate) diff: Option<StepDiff>,
}

/// What a plan comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Hosts that were looked at.
    pub(crate) hosts: u32,
    /// Those of them that would change.
    pub(crate) changing: u32,
    /// Those of the others of which something can't be known.
    pub(crate) unknown: u32,
    /// Those that would fail or can't be reached.
    pub(crate) failing: u32,
    /// How many would be worked on at once at most, by the widest phase that changes something.
    pub(crate) at_once: u32,
    /// How often the leader changes, at least and at most, where the preview saw who leads and that it is restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) leader_changes: Option<(u32, u32)>,
    /// Milliseconds that the phases take of which earlier runs tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) takes: Option<u64>,
    /// How many phases with hosts no earlier run tells of.
    pub(crate) untold: u32,
}

impl Deed {
    /// Whether it would change something for all that is known.
    pub(crate) fn changes(&self) -> bool {
        self.status == Status::Changed || self.items.iter().any(|item| item.status == Status::Changed)
    }

    /// Whether what it would do can't be known.
    pub(crate) fn is_unknown(&self) -> bool {
        self.status == Status::Unpredictable || self.items.iter().any(|item| item.status == Status::Unpredictable)
    }

    /// Whether it would fail.
    pub(crate) fn fails(&self) -> bool {
        self.status.ends_host()
    }
}

impl PlanTree {
    /// Works out from earlier runs how long each phase takes: `estimate` is given its name and how many hosts it has.
    pub(crate) fn expect(&mut self, estimate: &dyn Fn(&str, u32) -> Option<u64>) {
        for phase in self.phases.iter_mut().filter(|phase| phase.hosts > 0) {
            phase.takes = estimate(&phase.name, phase.hosts);
        }
        let with_hosts = || self.phases.iter().filter(|phase| phase.hosts > 0);
        let known: Vec<u64> = with_hosts().filter_map(|phase| phase.takes).collect();
        self.totals.takes = (!known.is_empty()).then(|| known.iter().sum());
        self.totals.untold = number(with_hosts().count() - known.len());
    }

    /// Whether the preview came to the end of all that was to be looked at.
    pub(crate) fn is_whole(&self) -> bool {
        self.stopped.is_empty() && self.totals.failing == 0
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Map, TaskId, Value};
    use crate::event::fixture::{event, finished};
    use crate::event::{EventKind, Status, StepDiff, StepLine, TaskKey};

    fn line(summary: &str, after: &str) -> StepLine {
        let text = |text: &str| text.to_owned();
        let diff =
            StepDiff { before_header: text("/a"), after_header: text("/a"), before: text(""), after: text(after) };
        StepLine { summary: text(summary), diff: Some(diff), opaque: false, once: false, script: None }
    }

    fn ended(
        host: &str,
        at: (u32, u32, u32),
        status: Status,
        steps: Vec<StepLine>,
        why: &str,
        result: Map,
    ) -> EventKind {
        let key = TaskKey { play: PlayId(at.0), batch: at.1, task: TaskId(at.2), pass: 0 };
        match finished(host, status) {
            EventKind::HostFinished { host, delegate, delegate_address, took, rescued, notified, tally, .. } => {
                EventKind::HostFinished {
                    key,
                    host,
                    delegate,
                    delegate_address,
                    status,
                    steps,
                    result,
                    message: why.to_owned(),
                    took,
                    rescued,
                    notified,
                    tally,
                }
            }
            other => other,
        }
    }

    fn task(at: (u32, u32, u32), name: &str, module: &str) -> EventKind {
        let key = TaskKey { play: PlayId(at.0), batch: at.1, task: TaskId(at.2), pass: 0 };
        let place = format!("up.yml:{}", 10 + at.2);
        EventKind::TaskStarted {
            key,
            name: name.to_owned(),
            module: module.to_owned(),
            handler: false,
            place,
            hosts: 1,
        }
    }

    fn leads(is_leader: bool) -> Map {
        match serde_json::json!({"ansible_facts": {"mesos": {"is_leader": is_leader}}}) {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    /// Three masters one by one, of which `leader` leads, then 120 slaves twelve at a time.
    fn tree(leader: &str, after: &str) -> PlanTree {
        let mut kinds = Vec::new();
        let play = |play, name: &str, hosts: &[String], batches, order: &str| EventKind::PlayStarted {
            play: PlayId(play),
            name: name.to_owned(),
            hosts: hosts.to_vec(),
            batches,
            order: order.to_owned(),
            tasks: 2,
        };
        let masters: Vec<String> = (1..=3).map(|n| format!("m{n}")).collect();
        kinds.push(play(0, "masters", &masters, 3, "one at a time, leader last"));
        for (batch, host) in (0u32..).zip(&masters) {
            let hosts = vec![host.clone()];
            kinds.push(EventKind::BatchStarted { play: PlayId(0), batch, batches: 3, hosts });
            kinds.push(task((0, batch, 0), "look", "mesos_facts"));
            kinds.push(ended(host, (0, batch, 0), Status::Ok, Vec::new(), "", leads(host == leader)));
            kinds.push(task((0, batch, 1), "restart", "service"));
            let steps = vec![line("restart mesos-master", "")];
            kinds.push(ended(host, (0, batch, 1), Status::Changed, steps, "", Map::new()));
        }
        let slaves: Vec<String> = (1..=120).map(|n| format!("s{n:03}")).collect();
        kinds.push(play(1, "slaves", &slaves, 10, "up to 12 at a time"));
        for (batch, hosts) in (0u32..).zip(slaves.chunks(12)) {
            kinds.push(EventKind::BatchStarted { play: PlayId(1), batch, batches: 10, hosts: hosts.to_vec() });
            kinds.push(task((1, batch, 2), "flags", "copy"));
            kinds.push(task((1, batch, 3), "ask", "command"));
            kinds.push(task((1, batch, 4), "rests on it", "copy"));
            for host in hosts {
                let odd = host == "s007";
                let status = if odd { Status::Ok } else { Status::Changed };
                let steps = if odd { Vec::new() } else { vec![line("write /a", after)] };
                kinds.push(ended(host, (1, batch, 2), status, steps, "", Map::new()));
                let ask = StepLine { opaque: true, diff: None, ..line("run `uptime`", "") };
                kinds.push(ended(
                    host,
                    (1, batch, 3),
                    Status::Unpredictable,
                    vec![ask],
                    "would run `uptime`",
                    Map::new(),
                ));
                let why = "it depends on: `up`";
                kinds.push(ended(host, (1, batch, 4), Status::Unpredictable, Vec::new(), why, Map::new()));
            }
        }
        let mut foresight = Foresight::default();
        kinds.into_iter().for_each(|kind| foresight.on(&event(kind)));
        let mut tree = foresight.tree();
        tree.title = "up.yml".to_owned();
        tree.expect(&|name, hosts| (name == "slaves").then_some(u64::from(hosts) * 10_000));
        tree
    }

    #[test]
    fn hosts_that_fare_alike_share_a_branch() {
        let shown = crate::report::Shown {
            paint: crate::report::Paint::PLAIN,
            columns: Some(80),
            all: false,
            now: 0,
            zone: jiff::tz::TimeZone::UTC,
        };
        insta::assert_snapshot!(plan_text(&tree("m3", "x"), &shown, false), @r"
        plan of up.yml: 2 phases, 123 hosts; nothing was changed
        ├─ masters: 3 hosts, one at a time, leader last
        │  └─ m[1-3] (3 hosts), batches 1-3 of 3
        │     ├─ would change: restart (up.yml:11)
        │     │    restart mesos-master
        │     └─ 1 task as it should be
        └─ slaves: 120 hosts, up to 12 at a time, about 20 min as earlier runs took
           ├─ s[001-006,008-120] (119 hosts), batches 1-10 of 10
           │  ├─ would change: flags (up.yml:12)
           │  │    write /a
           │  ├─ unknown: ask (up.yml:13)
           │  │    run `uptime`
           │  └─ unknown: rests on it (up.yml:14)
           │       it depends on: `up`
           └─ s007, batch 1 of 10
              ├─ unknown: ask (up.yml:13)
              │    run `uptime`
              ├─ unknown: rests on it (up.yml:14)
              │    it depends on: `up`
              └─ 1 task as it should be

        123 hosts: 122 would change, 1 can't be known before
        at once: at most 12 hosts
        leader changes: 1
        time: about 20 min as earlier runs took, for 1 of 2 phases
        ");
    }

    #[test]
    fn a_leader_that_comes_last_changes_once_and_one_that_does_not_perhaps_more_often() {
        assert_eq!(tree("m3", "x").totals.leader_changes, Some((1, 1)));
        assert_eq!(tree("m1", "x").totals.leader_changes, Some((1, 3)));
        assert_eq!(tree("nobody", "x").totals.leader_changes, None);
        assert_eq!(tree("m3", "x").totals.at_once, 12);
    }

    #[test]
    fn what_moved_is_named_by_host_and_task() {
        let then = tree("m3", "x");
        assert_eq!(differences(&then, &tree("m3", "x")), Vec::<String>::new());
        let moved = differences(&then, &tree("m3", "y"));
        assert_eq!(moved.len(), 119);
        assert_eq!(
            moved[0],
            "s001: flags (up.yml:12): planned: write /a, with other texts; now: texts that differ from the planned ones"
        );
        // It comes back from a file without its texts.
        let kept: PlanTree = serde_json::from_str(&serde_json::to_string(&then).unwrap()).unwrap();
        assert!(differences(&kept, &then).is_empty());
        let mut other = then.clone();
        other.phases[0].batches.swap(0, 2);
        assert_eq!(
            differences(&then, &other),
            ["the order of the hosts of `masters`: planned m1, m2, m3; now m3, m2, m1"]
        );
        other.phases.truncate(1);
        other.phases[0].batches.swap(0, 2);
        other.phases[0].groups[0].tasks.truncate(1);
        assert_eq!(
            differences(&then, &other),
            [
                "m1: restart (up.yml:11): planned: restart mesos-master; now: not reached",
                "m2: restart (up.yml:11): planned: restart mesos-master; now: not reached",
                "m3: restart (up.yml:11): planned: restart mesos-master; now: not reached",
                "the play `slaves` is not reached any more",
            ]
        );
    }

    #[test]
    fn what_previews_alone_leave_out_is_unknown() {
        let mut foresight = Foresight::default();
        foresight.on(&event(task((0, 0, 0), "real only", "copy")));
        let result = Map::from_iter([("false_condition".to_owned(), Value::from("not ansible_check_mode"))]);
        foresight.on(&event(EventKind::PlayStarted {
            play: PlayId(0),
            name: "p".to_owned(),
            hosts: vec!["a".to_owned()],
            batches: 1,
            order: String::new(),
            tasks: 1,
        }));
        foresight.on(&event(ended("a", (0, 0, 0), Status::Skipped, Vec::new(), "Conditional", result)));
        assert_eq!(foresight.tree().totals.unknown, 1);
    }
}
