//! The tree that `plan show` prints, as the guide has it (before package 2.2.0) and with strategies (since).

use std::fmt::Write as _;

use super::plan::{Phase, Plan, Step};
use super::status::Status;

/// Prints a plan. Strategies are printed where the plan has them, as each era's own CLI did.
pub(crate) fn render_tree(name: &str, plan: &Plan) -> String {
    let mut text = line("", name, plan.strategy.as_deref(), &plan.status);
    for (at, phase) in plan.phases.iter().enumerate() {
        let last = at + 1 == plan.phases.len();
        let (mark, rail) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        text += &line(mark, &phase.name, phase.strategy.as_deref(), &phase.status);
        for (at, step) in phase.steps.iter().enumerate() {
            let mark = if at + 1 == phase.steps.len() { "└─ " } else { "├─ " };
            text += &line(&format!("{rail}{mark}"), &step.name, None, &step.status);
        }
    }
    if !plan.errors.is_empty() {
        text += "\nErrors:\n";
        plan.errors.iter().for_each(|error| {
            let _ = writeln!(text, "- {error}");
        });
    }
    text
}

fn line(mark: &str, name: &str, strategy: Option<&str>, status: &Status) -> String {
    let strategy = strategy.map(|strategy| format!(" ({strategy} strategy)")).unwrap_or_default();
    format!("{mark}{name}{strategy} ({status})\n")
}

/// Reads a tree of either format: the plan's name and the plan. Ids are not in it.
///
/// # Errors
/// It is none: the line that is not understood.
pub(crate) fn parse_tree(text: &str) -> Result<(String, Plan), String> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let head = lines.next().ok_or("there is nothing")?;
    let (name, strategy, status) = item(head)?;
    let mut plan = Plan { strategy, status, errors: Vec::new(), phases: Vec::new() };
    let mut in_errors = false;
    for line in lines {
        if line.trim_end() == "Errors:" {
            in_errors = true;
        } else if in_errors {
            plan.errors.push(line.trim().trim_start_matches("- ").to_owned());
        } else if let Some(rest) = line.strip_prefix("├─ ").or_else(|| line.strip_prefix("└─ ")) {
            let (name, strategy, status) = item(rest)?;
            plan.phases.push(Phase { id: String::new(), name, strategy, status, steps: Vec::new() });
        } else {
            let inner = line.strip_prefix("│  ").or_else(|| line.strip_prefix("   "));
            let rest = inner.and_then(|inner| inner.strip_prefix("├─ ").or_else(|| inner.strip_prefix("└─ ")));
            let wrong = || format!("`{}` is no line of a plan", line.trim());
            let (name, _, status) = item(rest.ok_or_else(wrong)?)?;
            let phase = plan.phases.last_mut().ok_or_else(wrong)?;
            phase.steps.push(Step { id: String::new(), name, status });
        }
    }
    Ok((name, plan))
}

/// `master-update (serial strategy) (WAITING)`.
fn item(text: &str) -> Result<(String, Option<String>, Status), String> {
    let wrong = || format!("`{}` is no line of a plan", text.trim());
    let (rest, status) = text.trim_end().strip_suffix(')').and_then(|text| text.rsplit_once(" (")).ok_or_else(wrong)?;
    if status.is_empty() || !status.chars().all(|c| c.is_ascii_uppercase() || matches!(c, '_' | '<' | '>')) {
        return Err(wrong());
    }
    let strategy = rest.strip_suffix(" strategy)").and_then(|rest| rest.rsplit_once(" ("));
    Ok(match strategy {
        Some((name, strategy)) => (name.to_owned(), Some(strategy.to_owned()), Status::parse(status)),
        None => (rest.to_owned(), None, Status::parse(status)),
    })
}
