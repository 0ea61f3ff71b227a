//! Commands to plans, by era.

use std::time::Instant;

use super::packages::Era;
use super::plan::{Held, Plan, Shown};
use super::server::{Request, Response};
use super::world::{Scheduler, World};

/// `200` with a message.
fn taken(command: &str) -> Response {
    Response::new(200, "OK", "application/json", format!("{{\"message\": \"Received cmd: {command}\"}}"))
}

fn already() -> Response {
    Response::new(208, "", "text/plain", "Command has already been reported or completed")
}

/// What is not known, as each era says it.
pub(super) fn unknown(era: Era, kind: &str, name: &str) -> Response {
    match era {
        Era::Guide if kind == "Plan" => Response::new(200, "OK", "", ""),
        Era::Guide | Era::Old => Response::new(404, "Not Found", "text/plain", "Element not found"),
        Era::New => Response::new(404, "Not Found", "text/plain", format!("{kind} {name} not found")),
    }
}

fn phase_of(plan: &Plan, name: &str) -> Option<usize> {
    plan.phases.iter().position(|phase| phase.id == name || phase.name == name)
}

impl World {
    pub(super) fn command(
        &mut self,
        scheduler: &mut Scheduler,
        name: &str,
        verb: &str,
        request: &Request,
        now: Instant,
    ) -> Response {
        let era = scheduler.era;
        let phase = request.parameter("phase");
        self.note(now, verb, &format!("{name} {}", phase.unwrap_or_default()));
        if name != "deploy" {
            return if name == "recovery" { taken(verb) } else { unknown(era, "Plan", name) };
        }
        let plan = &mut scheduler.plan;
        match verb {
            "continue" | "interrupt" => match phase {
                None => self.whole(scheduler, verb),
                Some(name) => match phase_of(plan, name) {
                    None => unknown(era, "Phase", name),
                    Some(at) => part(plan, at, era, verb),
                },
            },
            "restart" => self.restart(scheduler, request, now),
            // The disasters: every node at once.
            "start" | "stop" => {
                for step in plan.phases.iter_mut().flat_map(|phase| &mut phase.steps) {
                    (step.held, step.since) = (Held::Pending, now);
                }
                plan.interrupted = verb == "stop";
                taken(&format!("{verb} deploy with parameters: {{}}"))
            }
            _ => Response::new(
                404,
                "Not Found",
                "text/html;charset=iso-8859-1",
                "<html><title>Error 404 Not Found</title></html>",
            ),
        }
    }

    fn whole(&mut self, scheduler: &mut Scheduler, verb: &str) -> Response {
        let era = scheduler.era;
        let plan = &mut scheduler.plan;
        let shown = plan.shown(era);
        let interrupts = verb == "interrupt";
        let no_effect = if interrupts {
            plan.interrupted || shown == Shown::Complete
        } else {
            shown.runs() || shown == Shown::Complete
        };
        if no_effect && era != Era::Guide {
            return already();
        }
        if !no_effect {
            plan.interrupted = interrupts;
        }
        taken(verb)
    }

    fn restart(&mut self, scheduler: &mut Scheduler, request: &Request, now: Instant) -> Response {
        let era = scheduler.era;
        let step = request.parameter("step").unwrap_or_default().to_owned();
        let Some(phase) = request.parameter("phase").map(str::to_owned) else {
            return match era {
                Era::New => Response::new(400, "Bad Request", "text/plain", "Missing phase"),
                _ => unknown(era, "Step", &step),
            };
        };
        let Some(at) = phase_of(&scheduler.plan, &phase) else { return unknown(era, "Phase", &phase) };
        let steps = &mut scheduler.plan.phases[at].steps;
        let Some(own) = steps.iter_mut().find(|one| one.id == step || format!("{}:[node]", one.pod) == step) else {
            return unknown(era, "Step", &step);
        };
        if own.held == Held::Pending && !own.marked && era != Era::Guide {
            return already();
        }
        (own.held, own.since, own.declined, own.marked) = (Held::Pending, now, false, false);
        match era {
            Era::Guide => taken("restart"),
            _ => taken(&format!("restart for Plan: deploy, Phase: {phase}, Step: {step}")),
        }
    }
}

fn part(plan: &mut Plan, at: usize, era: Era, verb: &str) -> Response {
    let phase = &mut plan.phases[at];
    let shown = phase.shown(era);
    let no_effect = if verb == "interrupt" {
        // What its own marks hold takes no interrupt.
        phase.interrupted || phase.is_marked() || shown == Shown::Complete
    } else {
        shown == Shown::Complete || shown.runs()
    };
    if no_effect && era != Era::Guide {
        return already();
    }
    if verb == "continue" {
        // Always one more, whatever goes on.
        match phase.steps.iter_mut().find(|step| step.marked) {
            Some(step) => step.marked = false,
            None => phase.interrupted = false,
        }
        phase.steps.iter_mut().for_each(|step| step.declined &= era != Era::Guide);
    } else if !phase.is_marked() {
        phase.interrupted = true;
    }
    taken(verb)
}
