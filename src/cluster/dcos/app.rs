//! The scheduler as Marathon has it: its app, the deployments that are under way, and what Mesos says of its tasks.

use base64::Engine as _;
use serde_json::{Map, Value};

/// A service's app.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct App {
    /// `/elastic`.
    pub(crate) id: String,
    /// The environment of the scheduler; values that are no texts (secrets) are left out.
    pub(crate) environment: Map<String, Value>,
    /// The package's name, by its label.
    pub(crate) package: Option<String>,
    /// The package's version.
    pub(crate) version: Option<String>,
    /// The options that were given when it was installed.
    pub(crate) options: Option<Value>,
    /// Deployments that work on it.
    pub(crate) deployments: Vec<String>,
}

/// Reads an app: Marathon's answer (`{"app": {…}}`), or what Cosmos rendered.
///
/// # Errors
/// It is none.
pub(crate) fn parse_app(body: &[u8]) -> Result<App, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("it is not JSON ({error})"))?;
    let app = value.get("app").or_else(|| value.get("marathonJson")).unwrap_or(&value);
    let id = app.get("id").and_then(Value::as_str).ok_or("it has no `id`")?.to_owned();
    let empty = Map::new();
    let environment = app.get("env").and_then(Value::as_object).unwrap_or(&empty);
    let environment =
        environment.iter().filter(|(_, value)| !value.is_object()).map(|(name, value)| (name.clone(), value.clone()));
    let label = |name: &str| app.get("labels").and_then(|labels| labels.get(name)).and_then(Value::as_str);
    let options =
        label("DCOS_PACKAGE_OPTIONS").and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
    let options: Option<Value> = options.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    // Later releases of Cosmos wrap them.
    let options = options.map(|options| {
        options.get("options").filter(|_| options.get("parameters").is_none()).cloned().unwrap_or(options)
    });
    let ids = app.get("deployments").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Ok(App {
        id: if id.starts_with('/') { id } else { format!("/{id}") },
        environment: environment.collect(),
        package: label("DCOS_PACKAGE_NAME").map(str::to_owned),
        version: label("DCOS_PACKAGE_VERSION").map(str::to_owned),
        options,
        deployments: ids.iter().filter_map(|one| one.get("id")?.as_str().map(str::to_owned)).collect(),
    })
}

/// The deployments that touch an app, from Marathon's list.
///
/// # Errors
/// It is no list.
pub(crate) fn deployments(body: &[u8], id: &str) -> Result<Vec<String>, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("it is not JSON ({error})"))?;
    let list = value.as_array().ok_or("it is no list")?;
    let touches = |one: &Value| {
        let apps = one.get("affectedApps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        apps.iter().any(|app| app.as_str() == Some(id))
    };
    Ok(list.iter().filter(|one| touches(one)).filter_map(|one| one.get("id")?.as_str().map(str::to_owned)).collect())
}

/// How many tasks of a framework run, from Mesos' summary of its state, or the CLI's list of services; `None` when it does not know the framework.
///
/// # Errors
/// It is no summary.
pub(crate) fn running_tasks(body: &[u8], framework: &str) -> Result<Option<u64>, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("it is not JSON ({error})"))?;
    let list = value.get("frameworks").unwrap_or(&value).as_array().ok_or("it has no list of frameworks")?;
    let ours = list.iter().filter(|one| one.get("name").and_then(Value::as_str) == Some(framework));
    // A framework that was torn down once stays in the list for a time; the one that runs has tasks.
    Ok(ours.filter_map(|one| one.get("TASK_RUNNING")?.as_u64()).max())
}
