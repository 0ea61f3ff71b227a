//! A plan as the scheduler answers it.

use serde_json::Value;

use super::status::Status;

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Not there before package 2.2.0.
    pub(crate) strategy: Option<String>,
    pub(crate) status: Status,
    /// What is wrong with the configuration; ERROR with none is a task that is held back, and passes.
    pub(crate) errors: Vec<String>,
    pub(crate) phases: Vec<Phase>,
}

/// A phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Phase {
    /// New with each start of the scheduler; empty in a tree that the CLI printed.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) strategy: Option<String>,
    pub(crate) status: Status,
    pub(crate) steps: Vec<Step>,
}

/// A step: one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) id: String,
    /// `data-0:[node]`.
    pub(crate) name: String,
    pub(crate) status: Status,
}

impl Step {
    /// `data-0` of `data-0:[node]`.
    pub(crate) fn pod(&self) -> &str {
        self.name.split(":[").next().unwrap_or(&self.name)
    }

    /// The Elasticsearch node's name, which is its task's: `data-0-node`.
    pub(crate) fn task(&self) -> String {
        let tasks = self.name.split_once(":[").map_or("", |(_, rest)| rest.trim_end_matches(']'));
        match tasks.split(',').next().map(str::trim).filter(|task| !task.is_empty()) {
            Some(task) => format!("{}-{task}", self.pod()),
            None => self.pod().to_owned(),
        }
    }

    /// Whether a person means it: by step, pod, task or id.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name || self.pod() == name || self.task() == name || (!self.id.is_empty() && self.id == name)
    }
}

impl Plan {
    /// All steps in the order of the plan, each with its phase.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (&Phase, &Step)> {
        self.phases.iter().flat_map(|phase| phase.steps.iter().map(move |step| (phase, step)))
    }

    /// The step that is meant.
    pub(crate) fn step(&self, name: &str) -> Option<(&Phase, &Step)> {
        self.steps().find(|(_, step)| step.is(name))
    }

    /// The steps whose node is out, or may be.
    pub(crate) fn in_flight(&self) -> Vec<&Step> {
        self.steps().map(|(_, step)| step).filter(|step| step.status.is_in_flight()).collect()
    }

    /// Whether every step is done. A plan without steps is (a recovery plan that has nothing to do).
    pub(crate) fn is_complete(&self) -> bool {
        self.errors.is_empty() && self.steps().all(|(_, step)| step.status == Status::Complete)
    }
}

/// Reads a plan's JSON.
///
/// # Errors
/// It is none, and why.
pub(crate) fn parse_plan(body: &[u8]) -> Result<Plan, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("it is not JSON ({error})"))?;
    let plan = value.as_object().ok_or("it is no JSON object")?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let status = |value: &Value| text(value, "status").map(|word| Status::parse(&word)).ok_or("it has no `status`");
    let list = |value: &Value, name: &'static str| {
        value.get(name).and_then(Value::as_array).cloned().ok_or_else(|| format!("it has no list `{name}`"))
    };
    let mut phases = Vec::new();
    for phase in list(&value, "phases")? {
        let mut steps = Vec::new();
        for step in list(&phase, "steps")? {
            steps.push(Step {
                id: text(&step, "id").unwrap_or_default(),
                name: text(&step, "name").ok_or("a step has no `name`")?,
                status: status(&step)?,
            });
        }
        phases.push(Phase {
            id: text(&phase, "id").unwrap_or_default(),
            name: text(&phase, "name").ok_or("a phase has no `name`")?,
            strategy: text(&phase, "strategy"),
            status: status(&phase)?,
            steps,
        });
    }
    let errors = match plan.get("errors") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(errors)) => {
            errors.iter().map(|error| error.as_str().map_or_else(|| error.to_string(), str::to_owned)).collect()
        }
        Some(other) => vec![other.to_string()],
    };
    Ok(Plan { strategy: text(&value, "strategy"), status: status(&value)?, errors, phases })
}
