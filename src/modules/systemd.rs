//! `systemd`: what only systemd has (masking, its own reload), and what `service` does, for a unit.

use super::service::{Seen, Service, Wanted, checked_name, last_pid, quoted};
use super::{
    Applied, Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, Rule, State, Step, step,
};
use crate::base::{Map, Output, Script, Value};

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "systemd",
    aliases: &["systemd_service"],
    summary: "starts, stops, enables and masks a systemd unit, and reloads systemd",
    options: &[
        Opt::new("name", OptKind::Text, "the unit; `.service` may be left out").aliases(&["service", "unit"]),
        Opt::new(
            "state",
            OptKind::Choice(&["started", "stopped", "restarted", "reloaded"]),
            "what it should be; restarted and reloaded always act",
        ),
        Opt::new("enabled", OptKind::Bool, "whether it is started at boot"),
        Opt::new("masked", OptKind::Bool, "whether it can't be started at all"),
        Opt::new("daemon_reload", OptKind::Bool, "make systemd read its units again first; no change by itself")
            .aliases(&["daemon-reload"])
            .default("false"),
        Opt::new("daemon_reexec", OptKind::Bool, "make systemd start itself again first; no change by itself")
            .aliases(&["daemon-reexec"])
            .default("false"),
        Opt::new("scope", OptKind::Choice(&["system", "user", "global"]), "whose units").default("system"),
        Opt::new("no_block", OptKind::Bool, "don't wait: neither a stop nor a start is looked at").default("false"),
        Opt::new("force", OptKind::Bool, "overwrite links that are in the way of enabling").default("false"),
        Opt::new("stop_timeout", OptKind::Duration, "how long its process may take to end").default("60"),
        Opt::new("start_timeout", OptKind::Duration, "how long it may take to be up").default("15"),
        Opt::new("settle", OptKind::Duration, "how long it must stay up after a start").default("1"),
    ],
    free_form: None,
    open: false,
    rules: &[
        Rule::OneOf(&["state", "enabled", "masked", "daemon_reload", "daemon_reexec"]),
        Rule::Needs("state", "name"),
        Rule::Needs("enabled", "name"),
        Rule::Needs("masked", "name"),
    ],
    check: None,
    build,
};

#[derive(Debug)]
struct Systemd {
    service: Service,
    masked: Option<bool>,
    reload: bool,
    reexec: bool,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    let span = |option: &str| arguments.duration(option).unwrap_or_default();
    let scope = match arguments.required("scope").as_str() {
        "user" => "--user",
        "global" => "--global",
        _ => "",
    };
    if scope == "--global" && arguments.has("state") {
        return Err(Failure::new("`scope: global` is for all users' sessions to come: it has no `state`"));
    }
    let name = match arguments.text("name") {
        Some(name) => checked_name(name)?,
        None => String::new(),
    };
    let flags = [("no_block", "--no-block"), ("force", "--force")];
    let flags: Vec<&str> = flags.iter().filter(|(option, _)| arguments.flag(option)).map(|(_, flag)| *flag).collect();
    Ok(Bound::State(Box::new(Systemd {
        masked: arguments.has("masked").then(|| arguments.flag("masked")),
        reload: arguments.flag("daemon_reload"),
        reexec: arguments.flag("daemon_reexec"),
        service: Service {
            name,
            state: Wanted::of(arguments),
            enabled: arguments.has("enabled").then(|| arguments.flag("enabled")),
            manager: "systemd".to_owned(),
            pattern: None,
            extra: String::new(),
            pause: None,
            stop_limit: span("stop_timeout"),
            start_limit: span("start_timeout"),
            settle: span("settle"),
            daemon: None,
            scope,
            flags: flags.join(" "),
            wait: !arguments.flag("no_block"),
            root: String::new(),
        },
    })))
}

impl Systemd {
    fn told(&self, summary: impl Into<String>, words: &[&str]) -> Step {
        let scope = Some(self.service.scope).filter(|scope| !scope.is_empty());
        let typed = std::iter::once("systemctl").chain(scope).chain(words.iter().copied());
        Step::script(summary, self.systemctl(words)).by_command(typed)
    }

    fn systemctl(&self, words: &[&str]) -> Script {
        let script = match self.service.scope {
            "" => Script::new(),
            _ => Script::new().line("export XDG_RUNTIME_DIR=\"${XDG_RUNTIME_DIR:-/run/user/$(id -u)}\""),
        };
        let scope = Some(self.service.scope).filter(|scope| !scope.is_empty());
        script.command(std::iter::once("systemctl").chain(scope).chain(words.iter().copied()))
    }
}

impl State for Systemd {
    fn probe(&self) -> Script {
        if self.service.name.is_empty() { Script::new() } else { self.service.probe() }
    }

    fn before(&self, seen: &Output) -> Map {
        Seen::parse(&seen.out()).before()
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let mut seen_now = Seen::parse(&seen.out());
        let name = &self.service.name;
        let mut steps = Vec::new();
        if self.reexec {
            steps.push(self.told("make systemd start itself again", &["daemon-reexec"]));
        }
        if self.reload {
            steps.push(self.told("make systemd read its units again", &["daemon-reload"]));
        }
        let quiet = steps.len();
        if let Some(wanted) = self.masked
            && wanted != (seen_now.enabled == "masked")
        {
            let verb = if wanted { "mask" } else { "unmask" };
            steps.push(self.told(format!("{verb} {name}"), &[verb, name]));
            if !wanted {
                // What it is under its mask is not known; most often neither running nor enabled.
                seen_now.enabled = "disabled".to_owned();
                seen_now.status.insert("LoadState".to_owned(), Value::from("loaded"));
            }
        }
        let asked = self.service.state.is_some() || self.service.enabled.is_some();
        let mut result = Map::new();
        if asked {
            let change = self.service.plan(&seen_now, &seen.err())?;
            steps.extend(change.steps);
            result = change.result;
        } else {
            result.insert("name".to_owned(), if name.is_empty() { Value::Null } else { Value::from(name.clone()) });
            result.insert("status".to_owned(), Value::Object(seen_now.status));
        }
        if steps.len() == quiet && quiet > 0 {
            result.insert("changed".to_owned(), Value::Bool(false));
        }
        Ok(Change { steps, result })
    }

    fn expect(&self, seen: &Output, _change: &Change) -> Option<Output> {
        if self.service.name.is_empty() {
            return Some(Output::default());
        }
        let mut after = Seen::parse(&seen.out());
        if let Some(masked) = self.masked
            && masked != (after.enabled == "masked")
        {
            let (word, loaded) = if masked { ("masked", "masked") } else { ("disabled", "loaded") };
            after.enabled = word.to_owned();
            after.status.insert("LoadState".to_owned(), Value::from(loaded));
        }
        Some(self.service.leaves(after).render())
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        let told = last_pid(outputs);
        let mut result = step::finish_by_status(change, outputs).map_err(quoted)?;
        if let Some(pid) = told {
            result.insert("pid".to_owned(), Value::from(pid));
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::fixture::{Fixture, bind};

    const SEEN: &str = "looked systemd\nmanager systemd\nrunning no\npid \nshow LoadState=loaded\nenabled disabled\n";

    fn change(arguments: Value, seen: &str) -> Change {
        let Ok(Bound::State(state)) = bind(&SPEC, arguments, &Fixture::default()) else { panic!("binds") };
        let output = Output { stdout: seen.as_bytes().to_vec(), ..Output::default() };
        state.steps(&output).expect("steps")
    }

    fn summaries(arguments: Value, seen: &str) -> Vec<String> {
        change(arguments, seen).steps.into_iter().map(|step| step.summary).collect()
    }

    #[test]
    fn a_reload_comes_first_and_is_no_change_by_itself() {
        let reload = json!({"daemon_reload": true});
        assert_eq!(summaries(reload.clone(), ""), ["make systemd read its units again"]);
        assert_eq!(change(reload, "").result.get("changed"), Some(&Value::Bool(false)));
        let started = json!({"name": "m", "state": "started", "daemon_reload": "yes"});
        assert_eq!(summaries(started.clone(), SEEN), ["make systemd read its units again", "start m"]);
        assert_eq!(change(started, SEEN).result.get("changed"), None);
    }

    #[test]
    fn masking_is_taken_back_before_the_start() {
        let masked = SEEN.replace("loaded", "masked").replace("disabled", "masked");
        let wanted = json!({"name": "m", "state": "started", "enabled": true, "masked": false});
        assert_eq!(summaries(wanted, &masked), ["unmask m", "enable m", "start m"]);
        assert_eq!(summaries(json!({"name": "m", "masked": true}), &masked), Vec::<String>::new());
        assert_eq!(summaries(json!({"name": "m", "masked": true}), SEEN), ["mask m"]);
        assert_eq!(summaries(json!({"name": "m", "masked": true}), "looked systemd\nmanager none\n"), ["mask m"]);
    }

    #[test]
    fn a_host_without_systemd_is_said() {
        let Ok(Bound::State(state)) = bind(&SPEC, json!({"name": "m", "state": "started"}), &Fixture::default()) else {
            panic!("binds")
        };
        let output = Output { stdout: b"looked\nmanager none\n".to_vec(), ..Output::default() };
        let message = state.steps(&output).expect_err("fails").message;
        assert!(message.contains("systemd does not run the host"), "{message}");
    }

    #[test]
    fn the_scope_goes_to_systemctl() {
        let change = change(json!({"daemon_reload": true, "scope": "user"}), "");
        let crate::modules::Act::Script { script, .. } = &change.steps[0].act else { panic!("a script") };
        assert!(script.as_str().ends_with("systemctl --user daemon-reload\n"), "{}", script.as_str());
    }
}
