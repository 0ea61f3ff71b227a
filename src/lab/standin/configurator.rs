//! Flags as the daemons before 0.13 read them: command line, then environment, then the file that `conf` names; what they do
//! not know they ignore.

use std::collections::BTreeMap;

use super::era::Era;
use super::flags::{self, Flags, Known, Refusal};

/// Reads a command line (without the program's name) and environment as `program` of an era before 0.13 does.
pub(super) fn load(
    program: &str,
    era: Era,
    arguments: &[String],
    environment: &[(String, String)],
) -> Result<Flags, Refusal> {
    let usage = era.usage(program);
    let known = flags::known(usage);
    let refuse = |message: String| Refusal::exit(format!("Configuration error: {message}\n{usage}"));
    // A value, and whether it was given as a switch.
    let mut given: BTreeMap<String, (String, bool)> = BTreeMap::new();
    for argument in arguments {
        let Some(rest) = argument.strip_prefix("--") else { continue };
        let (name, value) = match rest.split_once('=') {
            Some((name, value)) => (name.to_lowercase(), (value.to_owned(), false)),
            None => match rest.strip_prefix("no-") {
                Some(name) => (name.to_lowercase(), ("0".to_owned(), true)),
                None => (rest.to_lowercase(), ("1".to_owned(), true)),
            },
        };
        // The first of several wins.
        given.entry(name).or_insert(value);
    }
    for (name, value) in environment {
        if let Some(name) = name.strip_prefix("MESOS_") {
            given.entry(name.to_lowercase()).or_insert((value.clone(), false));
        }
    }
    if let Some((folder, _)) = given.get("conf") {
        let text = std::fs::read_to_string(format!("{folder}/mesos.conf")).unwrap_or_default();
        for (name, value) in conf(&text).map_err(&refuse)? {
            given.entry(name).or_insert((value, false));
        }
    }
    let mut values = flags::defaults(&known);
    for (name, (value, switch)) in given {
        let Some(Known { boolean, .. }) = known.get(&name) else { continue };
        if *boolean && !matches!(value.as_str(), "true" | "1" | "false" | "0") {
            return Err(refuse(format!("Option '{name}' should be a boolean.")));
        }
        if !*boolean && switch {
            return Err(refuse(format!("Option '{name}' should not be a boolean.")));
        }
        if let Err(why) = flags::check(&name, *boolean, &value) {
            return Err(Refusal::abort(format!("Failed to load value '{value}' for flag '{name}': {why}\n")));
        }
        values.insert(name, value);
    }
    flags::finish(program, usage, values)
}

/// The lines of a mesos.conf.
fn conf(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        match line.split('=').collect::<Vec<_>>().as_slice() {
            [name, value] => found.push((name.trim().to_lowercase(), value.trim().to_owned())),
            _ => return Err(format!("Malformed line in config file: '{line}'")),
        }
    }
    Ok(found)
}
