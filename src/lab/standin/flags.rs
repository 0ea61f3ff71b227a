//! Flags as the daemons since 0.13.0 read them (`configurator.rs` has those before): which they know is in their own usage
//! texts, as recorded.

use std::collections::BTreeMap;

use super::configurator;
use super::era::Era;

/// What a daemon was told, by flag; defaults included.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags {
    values: BTreeMap<String, String>,
}

/// A message for standard error, and how the daemon then ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) said: String,
    /// By SIGABRT; else with exit code 1.
    pub(crate) aborts: bool,
}

impl Refusal {
    pub(super) fn exit(said: String) -> Refusal {
        Refusal { said, aborts: false }
    }

    pub(super) fn abort(said: String) -> Refusal {
        Refusal { said, aborts: true }
    }
}

const INTEGERS: &[&str] = &["port", "logbufsecs"];
const DURATIONS: &[&str] = &[
    "allocation_interval",
    "disk_watch_interval",
    "executor_registration_timeout",
    "executor_shutdown_grace_period",
    "gc_delay",
    "recovery_timeout",
    "resource_monitoring_interval",
];

impl Flags {
    /// A value, unless it has none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A value that is there or empty.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    pub(crate) fn is_on(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "1")
    }

    /// A duration in seconds.
    pub(crate) fn seconds(&self, name: &str) -> f64 {
        duration(self.text(name)).unwrap_or_default()
    }
}

/// A flag that a version knows: whether it is a boolean, and its default.
pub(super) struct Known {
    pub(super) boolean: bool,
    default: Option<String>,
}

/// The flags in a usage text.
pub(super) fn known(usage: &str) -> BTreeMap<String, Known> {
    let mut found: BTreeMap<String, Known> = BTreeMap::new();
    let mut current = String::new();
    for line in usage.lines() {
        if let Some(rest) = line.strip_prefix("  --") {
            let (name, boolean) = match rest.strip_prefix("[no-]") {
                Some(rest) => (rest.split(' ').next().unwrap_or_default(), true),
                None => (rest.split('=').next().unwrap_or_default(), false),
            };
            current = name.to_owned();
            found.insert(current.clone(), Known { boolean, default: None });
        }
        if let Some((_, tail)) = line.rsplit_once("(default: ")
            && let Some(flag) = found.get_mut(&current)
        {
            flag.default = Some(tail.trim_end_matches(')').to_owned());
        }
    }
    found
}

/// The values of flags that nobody gives.
pub(super) fn defaults(known: &BTreeMap<String, Known>) -> BTreeMap<String, String> {
    known.iter().filter_map(|(name, flag)| Some((name.clone(), flag.default.clone()?))).collect()
}

/// Reads a command line (without the program's name) and environment as `program` of `version` does.
pub(crate) fn load(
    program: &str,
    version: &str,
    arguments: &[String],
    environment: &[(String, String)],
) -> Result<Flags, Refusal> {
    let era = Era::of(version);
    if era < Era::V0_13 {
        return configurator::load(program, era, arguments, environment);
    }
    let usage = era.usage(program);
    let known = known(usage);
    let refuse = |message: String| Refusal::exit(format!("{message}\n{usage}"));
    let mut given: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (name, value) in environment {
        let Some(name) = name.strip_prefix("MESOS_") else { continue };
        let name = name.to_lowercase();
        // 0.13.0 takes every MESOS_ variable for a flag; later versions only those that are.
        if era == Era::V0_13 || known.contains_key(&name) {
            given.insert(name, Some(value.clone()));
        }
    }
    for argument in arguments {
        let (name, value) = match argument.strip_prefix("--") {
            // 0.15 skips what is no flag; before, that has an empty name.
            None if era >= Era::V0_15 => continue,
            None => (String::new(), None),
            Some(rest) => match rest.split_once('=') {
                Some((name, value)) => (name.to_lowercase(), Some(value.to_owned())),
                None => (rest.to_lowercase(), None),
            },
        };
        if given.contains_key(&name) {
            return Err(refuse(format!("Duplicate flag '{name}' on command line")));
        }
        given.insert(name, value);
    }
    let mut values = defaults(&known);
    for (name, value) in given {
        let (flag_name, negated) = match name.strip_prefix("no-") {
            Some(rest) if !known.contains_key(&name) => (rest.to_owned(), true),
            _ => (name.clone(), false),
        };
        let Some(flag) = known.get(&flag_name) else {
            let via = if negated { format!(" via '{name}'") } else { String::new() };
            return Err(refuse(format!("Failed to load unknown flag '{flag_name}'{via}")));
        };
        let value = match (flag.boolean, negated, value) {
            (true, true, None) => "false".to_owned(),
            (true, true, Some(value)) if value.is_empty() => "false".to_owned(),
            (true, true, Some(value)) => {
                return Err(refuse(format!(
                    "Failed to load boolean flag '{flag_name}' via '{name}' with value '{value}'"
                )));
            }
            (true, false, None) => "true".to_owned(),
            (true, false, Some(value)) if value.is_empty() => "true".to_owned(),
            (false, true, _) => {
                return Err(refuse(format!("Failed to load non-boolean flag '{flag_name}' via '{name}'")));
            }
            (false, false, None) => {
                return Err(refuse(format!("Failed to load non-boolean flag '{flag_name}': Missing value")));
            }
            (_, false, Some(value)) => value,
        };
        check(&flag_name, flag.boolean, &value)
            .map_err(|why| refuse(format!("Failed to load flag '{flag_name}': {why}")))?;
        values.insert(flag_name, value);
    }
    finish(program, usage, values)
}

/// What is said of flags as a whole.
pub(super) fn finish(program: &str, usage: &str, values: BTreeMap<String, String>) -> Result<Flags, Refusal> {
    let flags = Flags { values };
    if flags.is_on("help") {
        return Err(Refusal::exit(usage.to_owned()));
    }
    if program == "mesos-slave" && flags.get("master").is_none() {
        return Err(Refusal::exit("Missing required option --master\n".to_owned()));
    }
    Ok(flags)
}

/// Whether a value is one of its flag.
pub(super) fn check(name: &str, boolean: bool, value: &str) -> Result<(), String> {
    if boolean && !matches!(value, "true" | "false" | "1" | "0") {
        return Err(format!("Failed to load value '{value}': Expecting a boolean (e.g., true or false)"));
    }
    if INTEGERS.contains(&name) && value.parse::<u16>().is_err() {
        return Err(format!("Failed to load value '{value}': Failed to convert into required type"));
    }
    if DURATIONS.contains(&name) {
        duration(value).map_err(|why| format!("Failed to load value '{value}': {why}"))?;
    }
    Ok(())
}

/// `10secs`, `1.5mins`, `1weeks`: a number and a plural.
fn duration(text: &str) -> Result<f64, String> {
    let cut =
        text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(|| format!("Invalid duration '{text}'"))?;
    let (number, unit) = text.split_at(cut);
    let number: f64 = number.parse().map_err(|_| "Failed to convert into required type".to_owned())?;
    let factor = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "secs" => 1.0,
        "mins" => 60.0,
        "hrs" => 3600.0,
        "days" => 86_400.0,
        "weeks" => 604_800.0,
        _ => return Err(format!("Unknown duration unit '{unit}'")),
    };
    Ok(number * factor)
}
