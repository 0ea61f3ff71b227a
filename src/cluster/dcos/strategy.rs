//! What a package's environment does to the roll, told before it is installed.

use serde_json::{Map, Value};

use super::package::PackageVersion;

/// Names of the strategy by age; the first that is set counts.
const STRATEGIES: &[&str] = &["UPDATE_STRATEGY", "DEPLOY_STRATEGY", "PLAN_STRATEGY"];

/// The first package whose update has a strategy of its own.
const OWN_UPDATE: (u64, u64, u64) = (2, 2, 0);

/// The first package whose plan generator takes `serial` and `parallel` only, and whose scheduler ends itself over anything else.
const STRICT: (u64, u64, u64) = (2, 5, 0);

fn text<'a>(environment: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    environment.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The strategy by which an upgrade to this package would go, and the variable that says so.
fn of<'a>(environment: &'a Map<String, Value>, version: &PackageVersion) -> Option<(&'static str, &'a str)> {
    let own = version.package() >= OWN_UPDATE;
    // Before there was one for updates, an upgrade went by the one of the first deployment.
    let names = if own { STRATEGIES } else { STRATEGIES.get(1..).unwrap_or_default() };
    names.iter().find_map(|name| Some((*name, text(environment, name)?)))
}

/// Why a roll by this environment would take nodes together.
pub(crate) fn refuses(environment: &Map<String, Value>, version: &PackageVersion) -> Option<String> {
    // The guide's own development package has a strategy `safe` for updates, whatever its number.
    if let Some(safe @ "safe") = text(environment, "UPDATE_STRATEGY") {
        return (version.package() >= STRICT).then(|| unknown("UPDATE_STRATEGY", safe));
    }
    match of(environment, version) {
        Some((name, strategy)) if strategy.starts_with("parallel") => Some(format!(
            "{name} is {strategy}: every node would be restarted at once; set `service.{}` to `serial` in the options",
            name.to_lowercase()
        )),
        None => Some(format!(
            "the package says by none of {} how nodes are taken: it may be all at once",
            STRATEGIES.join(", ")
        )),
        Some((name, strategy)) => {
            let known: &[&str] =
                if version.package() >= STRICT { &["serial"] } else { &["serial", "serial-canary", "canary"] };
            (!known.contains(&strategy)).then(|| unknown(name, strategy))
        }
    }
}

fn unknown(name: &str, strategy: &str) -> String {
    format!("{name} is {strategy}, which this package's scheduler does not know: it would end itself again and again")
}

/// What a scheduler refuses to start with, or answers with a plan in ERROR: `old` runs, `new` would be installed.
pub(crate) fn crashes(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for name in ["FRAMEWORK_USER", "SERVICE_USER", "TASKCFG_ALL_USER"] {
        if let (Some(before), Some(after)) = (text(old, name), text(new, name))
            && before != after
        {
            found.push(format!("{name} changes from {before} to {after}: a service's user can't be changed, its scheduler would end itself again and again"));
        }
    }
    for name in ["FRAMEWORK_NAME", "SERVICE_NAME", "FRAMEWORK_PRINCIPAL", "SERVICE_PRINCIPAL"] {
        if let (Some(before), Some(after)) = (text(old, name), text(new, name))
            && before != after
        {
            found.push(format!("{name} changes from {before} to {after}: that is another service"));
        }
    }
    for (name, value) in new {
        let count = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok()).or_else(|| value.as_u64());
        if let Some(before) = old.get(name).and_then(count)
            && let Some(after) = count(value)
            && name.ends_with("_COUNT")
            && after < before
        {
            found.push(format!(
                "{name} shrinks from {before} to {after}: nodes can't be taken away, the plan would be an ERROR"
            ));
        }
    }
    if text(new, "SDK_UNINSTALL").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        found.push("SDK_UNINSTALL is set: the scheduler would kill every node and delete its data".to_owned());
    }
    found
}
