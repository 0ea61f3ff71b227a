//! Cosmos, the package manager: what is asked of it, and what it answers.

use serde_json::{Map, Value, json};

use super::app::{App, parse_app};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What would be installed: the app, and nothing is done.
    Render,
    /// What the package says of itself.
    Describe,
    /// The installation.
    Install,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Render => "render",
            Self::Describe => "describe",
            Self::Install => "install",
        }
    }

    /// Where it is asked.
    pub(crate) fn path(self) -> String {
        format!("/package/{}", self.word())
    }

    /// The media types of the question and of the answer.
    pub(crate) fn media(self) -> [String; 2] {
        let version = match self {
            Self::Render => "v1",
            Self::Describe => "v3",
            Self::Install => "v2",
        };
        let word = self.word();
        [
            format!("application/vnd.dcos.package.{word}-request+json;charset=utf-8;version=v1"),
            format!("application/vnd.dcos.package.{word}-response+json;charset=utf-8;version={version}"),
        ]
    }
}

/// The body for [`Kind::Install`] and [`Kind::Render`].
pub(crate) fn install_body(package: &str, version: &str, options: &Value) -> Value {
    json!({"packageName": package, "packageVersion": version, "options": options})
}

/// The body for [`Kind::Describe`].
pub(crate) fn describe_body(package: &str, version: &str) -> Value {
    json!({"packageName": package, "packageVersion": version})
}

/// What a package says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    /// From where it may be installed over; `None` when the package's format has no such field.
    pub(crate) upgrades_from: Option<Vec<String>>,
    /// To where it may be taken back.
    pub(crate) downgrades_to: Option<Vec<String>>,
}

/// Reads a description.
///
/// # Errors
/// It is none.
pub(crate) fn parse_described(body: &[u8]) -> Result<Described, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("it is not JSON ({error})"))?;
    let package = value.get("package").unwrap_or(&value);
    package.get("version").and_then(Value::as_str).ok_or("it has no `version`")?;
    let list = |name: &str| {
        let list = package.get(name)?.as_array()?;
        Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    };
    Ok(Described { upgrades_from: list("upgradesFrom"), downgrades_to: list("downgradesTo") })
}

/// Reads what would be installed.
///
/// # Errors
/// It is no app.
pub(crate) fn parse_rendered(body: &[u8]) -> Result<App, String> {
    parse_app(body)
}

/// A refusal of Cosmos (`{"type", "message", "data"}`) as a sentence; `None` when the body is none.
pub(crate) fn complaint(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let kind = value.get("type")?.as_str()?;
    let message = value.get("message").and_then(Value::as_str).unwrap_or_default();
    let empty = Vec::new();
    let errors = value.get("data").and_then(|data| data.get("errors")).and_then(Value::as_array).unwrap_or(&empty);
    let pointer = |error: &Map<String, Value>| {
        let at = error.get("instance").and_then(|instance| instance.get("pointer")).and_then(Value::as_str)?;
        let why = error.get("message").and_then(Value::as_str).unwrap_or("is wrong");
        Some(format!("{at}: {why}"))
    };
    let told: Vec<String> = errors.iter().filter_map(Value::as_object).filter_map(pointer).take(5).collect();
    let told = if told.is_empty() { String::new() } else { format!(" ({})", told.join("; ")) };
    Some(format!("{kind}: {message}{told}").chars().map(|c| if c.is_control() { ' ' } else { c }).take(600).collect())
}
