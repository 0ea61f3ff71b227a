//! Which sink shows the run: flags and configuration put into `report`'s words.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::cli::{Colour, Common, OutputForm, Rules};
use crate::config::Config;
use crate::event::{Clock, Sink};
use crate::report::{self, Form, Junit, JunitOptions, Paint, Shown, Surroundings, Wish};

/// Where output goes.
pub(super) fn surroundings() -> Surroundings {
    Surroundings::look(&|name| std::env::var_os(name))
}

/// How a tree is printed: as wide as the terminal, 80 columns elsewhere.
pub(super) fn shown(paint: Paint, all: bool) -> Shown {
    let around = surroundings();
    Shown {
        paint,
        columns: Some(if around.terminal { around.columns } else { 80 }),
        all,
        now: Clock::start().started_at(),
        zone: TimeZone::system(),
    }
}

/// What flags and configuration say of colours; `None` leaves it to the environment and the terminal.
fn colour(common: &Common, config: &Config) -> Option<bool> {
    match common.colour {
        Colour::Always => Some(true),
        Colour::Never => Some(false),
        Colour::Auto if config.no_colour => Some(false),
        Colour::Auto if config.force_colour => Some(true),
        Colour::Auto => None,
    }
}

/// Whether to colour what goes to a terminal or not: flags first, then the configuration, the environment, the terminal.
pub(super) fn wants_colour(common: &Common, config: &Config, terminal: bool) -> bool {
    Surroundings { terminal, ..surroundings() }.paint(colour(common, config)).colour
}

/// The sink for people or programs. `one_off` is one module on hosts, `one_line` its `-o`.
pub(super) fn sink(common: &Common, config: &Config, one_off: bool, one_line: bool) -> Box<dyn Sink> {
    let document = common.rules == Rules::Ansible && !one_off && is_json(&config.stdout_callback);
    let wish = Wish {
        form: common.output.map(form).or(document.then_some(Form::Document)),
        ansible: common.rules == Rules::Ansible,
        colour: colour(common, config),
        verbosity: common.verbosity.max(config.verbosity),
        ad_hoc: one_off,
        one_line,
        stats: config.show_custom_stats,
    };
    report::view(&wish, &surroundings())
}

/// Ansible's callback that prints one JSON document.
fn is_json(callback: &str) -> bool {
    matches!(callback, "json" | "ansible.posix.json")
}

/// What is to be said of callbacks that are configured and are not here; under Ansible's names alone, since there are none elsewhere.
pub(super) fn unknown_callbacks(rules: Rules, config: &Config) -> Option<String> {
    let known = |name: &&str| matches!(name.rsplit('.').next(), Some("default" | "json" | "junit"));
    let named =
        std::iter::once(config.stdout_callback.as_str()).chain(config.callbacks_enabled.iter().map(String::as_str));
    let unknown: Vec<&str> = named.filter(|name| !known(name)).collect();
    (rules == Rules::Ansible && !unknown.is_empty()).then(|| {
        format!("callbacks that have no effect here: {} (default, json and junit are there)", unknown.join(", "))
    })
}

/// The sink that writes a JUnit file, when that is configured.
pub(super) fn junit(common: &Common, config: &Config, title: &str) -> Option<Box<dyn Sink>> {
    let enabled = |name: &String| matches!(name.as_str(), "junit" | "ansible.builtin.junit");
    if common.rules != Rules::Ansible || !config.callbacks_enabled.iter().any(enabled) {
        return None;
    }
    let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let yes = |name: &str| text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let home = || std::env::home_dir().unwrap_or_default().join(".ansible.log");
    let first = title.split(' ').next().map(Path::new).and_then(Path::file_stem);
    Some(Box::new(Junit::new(JunitOptions {
        folder: text("JUNIT_OUTPUT_DIR").map_or_else(home, PathBuf::from),
        suite: first.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        fail_on_change: yes("JUNIT_FAIL_ON_CHANGE"),
        fail_on_ignore: yes("JUNIT_FAIL_ON_IGNORE"),
    })))
}

/// The form in `report`'s words.
pub(super) fn form(form: OutputForm) -> Form {
    match form {
        OutputForm::Human => Form::Human,
        OutputForm::Plain => Form::Plain,
        OutputForm::Json => Form::Json,
        OutputForm::Ansible => Form::Ansible,
    }
}
