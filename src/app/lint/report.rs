//! What is said of a tree.

use std::fmt::Write as _;

use serde_json::json;

use super::Found;
use super::find::Kind;
use crate::app::session::Session;
use crate::base::Value;
use crate::cli::LintOutput;
use crate::diag::{Diagnostic, Severity, render_all};

/// File, line and column of a mistake; of none an empty name and zeros.
pub(super) fn place(diagnostic: &Diagnostic, session: &Session) -> (String, usize, usize) {
    let place = diagnostic.labels.first().map(|label| session.sources.place(label.span)).unwrap_or_default();
    let mut parts = place.rsplitn(3, ':');
    let column = parts.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let line = parts.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    (parts.next().unwrap_or_default().to_owned(), line, column)
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The whole text.
pub(super) fn text(found: &Found, session: &Session, output: LintOutput) -> String {
    match output {
        LintOutput::Json => format!("{:#}\n", data(found, session)),
        LintOutput::Plain => {
            let lines = found.wrong.iter().map(|diagnostic| {
                let (file, line, column) = place(diagnostic, session);
                let place = if file.is_empty() { String::new() } else { format!("{file}:{line}:{column}: ") };
                // What stands under the caret; help that lists what there is would fill the screen.
                let label = diagnostic.labels.first().map(|label| label.text.as_str()).filter(|text| !text.is_empty());
                let label = label.map(|text| format!("; {text}")).unwrap_or_default();
                format!("{place}{}: {}{label}\n", word(diagnostic.severity), diagnostic.message)
            });
            lines.collect::<String>() + &summary(found, session)
        }
        LintOutput::Human => {
            let mut out = render_all(&found.wrong, &session.sources, session.colour);
            if !out.is_empty() {
                out.push('\n');
            }
            out + &summary(found, session)
        }
    }
}

fn of(found: &Found, severity: Severity) -> usize {
    found.wrong.iter().filter(|diagnostic| diagnostic.severity == severity).count()
}

fn summary(found: &Found, session: &Session) -> String {
    let mut kinds = Vec::new();
    for kind in Kind::ALL {
        let number = found.files.values().filter(|of| **of == kind).count();
        if number > 0 {
            let (one, many) = kind.names();
            kinds.push(count(number, one, many));
        }
    }
    let mut out = format!("{}; {}\n", kinds.join(", "), count(found.tasks, "task", "tasks"));
    if found.closed > 0 {
        let files = count(found.closed, "file is encrypted and was", "files are encrypted and were");
        let _ = writeln!(out, "{files} not looked into: no vault password was given");
    }
    for (message, number) in repeated(found) {
        let _ = writeln!(out, "  {number} times: {message}");
    }
    let (errors, warnings) = (of(found, Severity::Error), of(found, Severity::Warning));
    let mut files: Vec<String> = found.wrong.iter().map(|diagnostic| place(diagnostic, session).0).collect();
    files.sort();
    files.dedup();
    let end = match errors + warnings {
        0 => "nothing is wrong\n".to_owned(),
        _ => format!(
            "{}, {} in {}\n",
            count(errors, "error", "errors"),
            count(warnings, "warning", "warnings"),
            count(files.len(), "file", "files")
        ),
    };
    out + &end
}

/// What is wrong more than once, the most frequent first.
fn repeated(found: &Found) -> Vec<(&str, usize)> {
    let mut counts: indexmap::IndexMap<&str, usize> = indexmap::IndexMap::new();
    for diagnostic in &found.wrong {
        *counts.entry(diagnostic.message.as_str()).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().filter(|(_, number)| *number > 1).collect();
    counts.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    counts
}

fn data(found: &Found, session: &Session) -> Value {
    let files =
        found.files.iter().map(|(path, kind)| json!({"path": path.display().to_string(), "kind": kind.names().0}));
    let problems = found.wrong.iter().map(|diagnostic| {
        let (file, line, column) = place(diagnostic, session);
        json!({
            "severity": word(diagnostic.severity),
            "message": diagnostic.message,
            "file": file,
            "line": line,
            "column": column,
            "help": diagnostic.help,
        })
    });
    json!({
        "files": files.collect::<Vec<_>>(),
        "problems": problems.collect::<Vec<_>>(),
        "counts": {
            "files": found.files.len(),
            "tasks": found.tasks,
            "encrypted": found.closed,
            "errors": of(found, Severity::Error),
            "warnings": of(found, Severity::Warning),
        },
    })
}
