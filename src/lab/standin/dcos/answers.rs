//! What the scheduler answers to GET, letter by letter.

use std::fmt::Write as _;

use super::packages::Era;
use super::plan::{Plan, Shown, Step};
use super::server::Response;
use super::world::{Scheduler, World};

/// A step's message, which each era words in its own way.
fn message(era: Era, class: &str, step: &Step, more: &str) -> String {
    let word = step.shown(era).word();
    let name = format!("{}:[node] [{}]", step.pod, step.id);
    match era {
        Era::Guide => format!("com.mesosphere.sdk.scheduler.plan.{class}: '{name}' has status: '{word}'."),
        Era::Old | Era::New => format!("com.mesosphere.sdk.scheduler.{class}: {name} with status: {word}{more}"),
    }
}

struct Part<'a> {
    id: &'a str,
    name: &'a str,
    strategy: &'a str,
    status: Shown,
    steps: Vec<(&'a Step, String)>,
}

fn body(era: Era, parts: &[Part<'_>], strategy: &str, errors: &[String], status: Shown) -> String {
    let mut text = String::from("{\n  \"phases\" : [ ");
    for (at, part) in parts.iter().enumerate() {
        let _ = write!(
            text,
            "{}{{\n    \"id\" : \"{}\",\n    \"name\" : \"{}\",\n    \"steps\" : [ ",
            if at > 0 { ", " } else { "" },
            part.id,
            part.name
        );
        for (at, (step, message)) in part.steps.iter().enumerate() {
            let _ = write!(
                text,
                "{}{{\n      \"id\" : \"{}\",\n      \"status\" : \"{}\",\n      \"name\" : \"{}:[node]\",\n      \"message\" : \"{message}\"\n    }}",
                if at > 0 { ", " } else { "" },
                step.id,
                step.shown(era).word(),
                step.pod
            );
        }
        text += if part.steps.is_empty() { "],\n" } else { " ],\n" };
        if era != Era::Guide {
            let _ = writeln!(text, "    \"strategy\" : \"{}\",", part.strategy);
        }
        let _ = write!(text, "    \"status\" : \"{}\"\n  }}", part.status.word());
    }
    text += if parts.is_empty() { "],\n" } else { " ],\n" };
    let strategy = if era == Era::Guide { String::new() } else { format!("  \"strategy\" : \"{strategy}\",\n") };
    let listed: Vec<String> = errors.iter().map(|error| serde_json::Value::from(error.as_str()).to_string()).collect();
    let listed = if listed.is_empty() { "[ ]".to_owned() } else { format!("[ {} ]", listed.join(", ")) };
    let status = format!("  \"status\" : \"{}\"\n}}", status.word());
    match era {
        Era::Guide => text + &format!("  \"errors\" : {listed},\n{status}"),
        _ => text + &format!("{strategy}  \"errors\" : {listed},\n{status}"),
    }
}

fn coded(era: Era, status: Shown, errors: bool, body: String) -> Response {
    let (code, reason) = match status {
        Shown::Complete => (200, "OK"),
        Shown::Error if era != Era::Guide => (417, "Expectation Failed"),
        _ if errors && era != Era::Guide => (417, "Expectation Failed"),
        _ => (202, "Accepted"),
    };
    Response::new(code, reason, "application/json", body)
}

/// The deploy plan.
pub(super) fn deploy(scheduler: &Scheduler) -> Response {
    let (era, plan): (Era, &Plan) = (scheduler.era, &scheduler.plan);
    let parts: Vec<Part<'_>> = plan
        .phases
        .iter()
        .map(|phase| Part {
            id: &phase.id,
            name: &phase.name,
            strategy: phase.strategy.word(),
            status: phase.shown(era),
            steps: phase
                .steps
                .iter()
                .map(|step| {
                    (
                        step,
                        message(
                            era,
                            if era != Era::Guide { "plan.DeploymentStep" } else { "DeploymentStep" },
                            step,
                            "",
                        ),
                    )
                })
                .collect(),
        })
        .collect();
    let status = plan.shown(era);
    let strategy = if plan.parallel { "parallel" } else { "serial" };
    coded(era, status, !plan.errors.is_empty(), body(era, &parts, strategy, &plan.errors, status))
}

/// The recovery plan.
pub(super) fn recovery(scheduler: &Scheduler) -> Response {
    let era = scheduler.era;
    let names: Vec<String> = scheduler.recovery.iter().map(|one| format!("{}:[node]", one.step.pod)).collect();
    let parts: Vec<Part<'_>> = scheduler
        .recovery
        .iter()
        .zip(&names)
        .map(|(one, name)| Part {
            id: &one.phase_id,
            name,
            strategy: "parallel",
            status: super::plan::sum(&[one.step.shown(era)], &[one.step.shown(era)], false, false),
            steps: vec![(&one.step, message(era, "recovery.RecoveryStep", &one.step, " RecoveryType: TRANSIENT"))],
        })
        .collect();
    let all: Vec<Shown> = parts.iter().map(|part| part.status).collect();
    let open: Vec<Shown> = all.iter().copied().filter(|status| *status != Shown::Complete).collect();
    let status = super::plan::sum(&all, &open, false, false);
    coded(era, status, false, body(era, &parts, "parallel", &[], status))
}

/// `/v1/pod/status`.
pub(super) fn pods(world: &World) -> Response {
    let mut kinds: Vec<(String, Vec<String>)> = Vec::new();
    for (pod, task) in &world.tasks {
        let kind = pod.rsplit_once('-').map_or(pod.as_str(), |(kind, _)| kind).to_owned();
        let one = format!(
            "{{\"name\": \"{pod}\", \"tasks\": [{{\n            \"name\": \"{pod}-node\",\n            \"id\": \"{}\",\n            \"status\": \"{}\"\n          }}]}}",
            task.id,
            task.life.word()
        );
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, all)) => all.push(one),
            None => kinds.push((kind, vec![one])),
        }
    }
    let listed: Vec<String> = kinds
        .iter()
        .map(|(kind, all)| {
            format!("    {{\n      \"instances\": [{}],\n      \"name\": \"{kind}\"\n    }}", all.join(", "))
        })
        .collect();
    Response::new(
        200,
        "OK",
        "application/json",
        format!("{{\n  \"service\": \"elastic\",\n  \"pods\": [\n{}\n  ]\n}}", listed.join(",\n")),
    )
}

/// `/v1/pods/<pod>/info` of the guide's era.
pub(super) fn pod_info(world: &World, pod: &str) -> Response {
    let Some(task) = world.tasks.get(pod) else {
        return Response::new(404, "Not Found", "text/plain", "Element not found");
    };
    let info = serde_json::json!([{"info": {"name": format!("{pod}-node"), "taskId": {"value": task.id}},
        "status": {"taskId": {"value": task.id}, "state": format!("TASK_{}", task.life.word())}}]);
    Response::json(200, &info)
}
