//! What came back over HTTP, whoever said it: the scheduler, Admin Router in its place, or something else altogether.

use serde_json::Value;

use super::cli::PRINTED;
use super::plan::{Plan, parse_plan};
use super::tree::parse_tree;

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard<'a> {
    pub(crate) status: u16,
    /// `application/json` and the like; empty when there is none.
    pub(crate) kind: &'a str,
    pub(crate) body: &'a [u8],
}

/// What it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// A plan.
    Plan(Box<Plan>),
    /// A command was taken: its message.
    Taken(String),
    /// The command changes nothing: it was given before, or there is nothing left to do.
    Already,
    /// The scheduler is there and does not know what was named.
    Unknown(String),
    /// Nobody who knows is there now: the scheduler moves, starts, or is overwhelmed.
    Away(String),
    /// The token is missing, wrong or has expired.
    Denied(String),
    /// Something that none of them says; what came of a command is not known.
    Strange(String),
}

/// Judges an answer of the plan API. The code says little: the same plan comes with 200, 202 or 417, and in the guide's era what
/// is unknown comes with 200 and nothing.
pub(crate) fn said(heard: Heard<'_>) -> Said {
    let text = String::from_utf8_lossy(heard.body);
    let text = text.trim();
    let html = heard.kind.contains("html") || text.starts_with('<');
    if heard.status == 401 || heard.status == 403 {
        return Said::Denied(format!("HTTP {}{}", heard.status, shown(text, html)));
    }
    if matches!(heard.status, 200 | 202 | 417)
        && let Ok(plan) = parse_plan(heard.body)
    {
        return Said::Plan(Box::new(plan));
    }
    if heard.kind == PRINTED
        && heard.status == 200
        && let Ok((_, plan)) = parse_tree(text)
    {
        return Said::Plan(Box::new(plan));
    }
    match heard.status {
        208 => Said::Already,
        200 if text.is_empty() => {
            Said::Unknown("it answered with nothing, as an old scheduler does to a wrong name".to_owned())
        }
        200 => match message(heard.body) {
            Some(message) => Said::Taken(message),
            None => Said::Strange(format!("HTTP 200{}", shown(text, html))),
        },
        404 if !html && (text.ends_with("not found") || text.starts_with("Missing")) => Said::Unknown(text.to_owned()),
        400 if !html => Said::Unknown(format!("HTTP 400{}", shown(text, html))),
        // Admin Router's and any proxy's words for a scheduler that is not there, or not yet; its text for a service that is not
        // registered comes with 500.
        404 | 408 | 429 | 500 | 502 | 503 | 504 => Said::Away(format!("HTTP {}{}", heard.status, shown(text, html))),
        status => Said::Strange(format!("HTTP {status}{}", shown(text, html))),
    }
}

/// `{"message": "Received cmd: continue"}`, which alone says that a command was taken.
fn message(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    value.get("message")?.as_str().map(str::to_owned)
}

/// The first words of a text for a message: one line, no control characters, and of a page its title only.
fn shown(text: &str, html: bool) -> String {
    if text.is_empty() {
        return " without a word".to_owned();
    }
    let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).map(|(title, _)| title);
    let text = if html { title.unwrap_or("an HTML page") } else { text };
    let short: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect();
    format!(" ({})", short.trim())
}
