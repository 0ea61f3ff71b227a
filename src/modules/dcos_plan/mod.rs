//! `dcos_plan`: looks at the plan of an SDK scheduler, and holds and releases its nodes one at a time.
//!
//! Everything is judged by step statuses and task ids. A command is given when a look shows that it is needed, its intent stands in
//! the journal before it, and after it the plan is looked at again: where the answer is lost, the plan tells whether it was
//! taken, and it is not sent blindly again. The gate is the whole plan's (`interrupt` without a phase): one node a `continue`, and
//! `interrupt` again once the node is STARTING, never while it is PREPARED.
//!
//! What it cannot know: whether a node joined its cluster, or recovered; COMPLETE is the readiness check's word.

mod complete;
mod heal;
mod hold;
mod release;
mod show;
mod sight;

use std::time::Duration;

use super::dcos_api::Tell;
use super::dcos_api::{Api, CLI, PACKAGE, SERVICE, URL, VIA};
use super::{Arguments, Bound, Controller, Failure, ModuleSpec, Opt, OptKind, Rule, Step, Timing};

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "dcos_plan",
    aliases: &[],
    summary: "looks at a DC/OS service's plan, and holds and releases its nodes one at a time",
    options: &[
        Opt::new(
            "state",
            OptKind::Choice(&["shown", "idle", "interrupted", "continued", "launched", "complete", "healed"]),
            "shown: tree and nodes; idle: nothing is out; interrupted: no further node is taken; continued: `node` is released; \
             launched: it is STARTING; complete: it is done as another task than `task`; healed: it is not left dead",
        )
        .default("shown"),
        Opt::new("plan", OptKind::Text, "the plan's name").default("deploy"),
        Opt::new("node", OptKind::Text, "the node, by pod (`data-0`), task (`data-0-node`) or step (`data-0:[node]`)"),
        Opt::new("addresses", OptKind::Bool, "whether `shown` asks where each node is, too").default("false"),
        Opt::new("task", OptKind::Text, "the id of the task that `complete` must not find any more; empty where it is not known"),
        Opt::new("within", OptKind::Duration, "for how long to wait for it"),
        Opt::new("every", OptKind::Duration, "pause between two looks; 100 ms for `interrupted`, else 0.5 s"),
        Opt::new("dead_after", OptKind::Duration, "for how long a killed node may have no task before `healed` restarts its step")
            .default("20s"),
        Opt::new("launches", OptKind::Int, "how many tasks of a node may fail at their start before `complete` gives up")
            .default("3"),
        URL,
        SERVICE,
        PACKAGE,
        VIA,
        CLI,
    ],
    free_form: None,
    open: false,
    rules: &[
        Rule::When("state", "continued", &["node"]),
        Rule::When("state", "launched", &["node"]),
        Rule::When("state", "complete", &["node"]),
        Rule::When("state", "healed", &["node"]),
    ],
    check: None,
    build,
};

/// What all states of the module have.
#[derive(Debug)]
struct Asked {
    api: Api,
    plan: String,
    node: String,
    timing: Timing,
}

impl Asked {
    /// A step that gives a command.
    fn step(&self, summary: impl Into<String>, tell: &Tell) -> Step {
        let (act, typed) = self.api.tell(tell);
        Step { summary: summary.into(), diff: None, act, opaque: false, once: false, by_hand: Some(typed) }
    }

    /// What tells this plan from others, for what is looked at again.
    fn subject(&self) -> String {
        format!("plan {} of {}", self.plan, self.api.service)
    }
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let state = arguments.required("state");
    let (within, every) = match state.as_str() {
        "shown" => (0, 500),
        "interrupted" => (300, 100),
        "launched" => (600, 200),
        "complete" => (1800, 500),
        _ => (600, 500),
    };
    let timing = Timing {
        delay: Duration::ZERO,
        within: arguments.duration("within").unwrap_or(Duration::from_secs(within)),
        every: arguments.duration("every").unwrap_or(Duration::from_millis(every)).max(Duration::from_millis(20)),
    };
    let asked = Asked {
        api: Api::read(arguments, here)?,
        plan: arguments.required("plan"),
        node: arguments.text("node").unwrap_or_default(),
        timing,
    };
    let launches = arguments.int("launches").and_then(|count| usize::try_from(count).ok()).unwrap_or(3).max(1);
    Ok(match state.as_str() {
        "interrupted" => Bound::State(Box::new(hold::Hold { asked })),
        "continued" => Bound::State(Box::new(release::Release { asked })),
        "complete" => Bound::State(Box::new(complete::Complete {
            asked,
            task: arguments.text("task").unwrap_or_default(),
            launches,
        })),
        "healed" => {
            let after = arguments.duration("dead_after").unwrap_or(Duration::from_secs(20));
            let looks = after.as_millis().checked_div(timing.every.as_millis()).unwrap_or(1);
            Bound::State(Box::new(heal::Heal { asked, looks: u64::try_from(looks).unwrap_or(u64::MAX) }))
        }
        "launched" => Bound::Gate(Box::new(show::Launched { asked })),
        "idle" => Bound::Gate(Box::new(show::Idle { asked })),
        _ => Bound::Gate(Box::new(show::Shown { asked, addresses: arguments.flag("addresses") })),
    })
}
