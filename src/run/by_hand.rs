//! What a person would type to get where a task works, and to do what it does. Only text for people: nothing here is run.
//!
//! Passwords are never in it. Values of the environment whose names sound like a secret are left out.

use std::fmt::Write as _;

use super::attempt::HostTask;
use crate::base::quote;
use crate::event::{SCRIPT, StepDiff, StepLine};
use crate::modules::Step;
use crate::transport::{Become, Target};

impl HostTask {
    /// The step as results have it.
    pub(super) fn line(&self, step: &Step) -> StepLine {
        let diff = step.diff.as_ref().filter(|_| self.diff && !self.no_log).map(|diff| StepDiff {
            before_header: diff.before_header.clone(),
            after_header: diff.after_header.clone(),
            before: diff.before.clone(),
            after: diff.after.clone(),
        });
        let summary = if self.no_log { "do what `no_log` hides".to_owned() } else { step.summary.clone() };
        StepLine { summary, diff, opaque: step.opaque, once: step.once, script: None }
    }

    /// The step as it stands in the journal before the act: with what a person would type.
    pub(super) fn announced(&self, step: &Step, environment: &[(String, String)]) -> StepLine {
        let typed = step.by_hand.as_deref().filter(|_| !self.no_log);
        StepLine { script: typed.map(|typed| script(typed, environment)), ..self.line(step) }
    }
}

/// `ssh -p 2222 ann@192.0.2.11`; empty for this machine.
pub(super) fn login(target: &Target) -> String {
    if target.connection != "ssh" {
        return String::new();
    }
    let mut words = vec!["ssh".to_owned()];
    words.extend(target.arguments.iter().map(|word| quote(word)));
    if let Some(key) = &target.private_key {
        words.extend(["-i".to_owned(), quote(key)]);
    }
    if let Some(port) = target.port.filter(|port| *port != 22) {
        words.extend(["-p".to_owned(), port.to_string()]);
    }
    let address = target.address.as_deref().unwrap_or(&target.name);
    words.push(match &target.user {
        Some(user) => quote(&format!("{user}@{address}")),
        None => quote(address),
    });
    words.join(" ")
}

/// `sudo -u root`, `su postgres`, `doas -u root`.
pub(super) fn privilege(r#become: &Become) -> String {
    let program = r#become.executable.as_deref().unwrap_or(&r#become.method);
    let user = quote(&r#become.user);
    match r#become.method.as_str() {
        "su" => format!("{program} {user}"),
        _ => format!("{program} -u {user}"),
    }
}

/// A step's script with the environment of its task, not longer than what is kept.
pub(super) fn script(typed: &str, environment: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in environment {
        let value = if sounds_secret(name) { "…".to_owned() } else { quote(value) };
        let _ = writeln!(text, "export {name}={value}");
    }
    text.push_str(typed);
    if text.len() > SCRIPT {
        let end = (0..=SCRIPT.saturating_sub(64)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let left = text.len() - end;
        text.truncate(end);
        let _ = write!(text, "\n# … and {left} more bytes");
    }
    text
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_script_is_cut_and_says_so() {
        let text = script(&"é".repeat(SCRIPT), &[]);
        assert!(text.len() <= SCRIPT, "{}", text.len());
        assert!(text.ends_with("more bytes"));
    }

    #[test]
    fn the_environment_comes_first_and_no_secret_of_it() {
        let environment = [("LANG".to_owned(), "C x".to_owned()), ("db_password".to_owned(), "hunter2".to_owned())];
        assert_eq!(script("make", &environment), "export LANG='C x'\nexport db_password=…\nmake");
    }
}
