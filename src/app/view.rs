//! Which sink shows the run: by flags and the terminal, in one place.

use std::io::IsTerminal as _;

use jiff::tz::TimeZone;

use crate::cli::{Colour, Common, OutputForm, Rules};
use crate::config::Config;
use crate::event::Sink;
use crate::report::{Out, Paint, Plain, Screen};

/// Whether to colour: flags first, then the environment and the configuration, then the terminal.
pub(super) fn wants_colour(common: &Common, config: &Config, terminal: bool) -> bool {
    match common.colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto if config.no_colour || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) => false,
        Colour::Auto => config.force_colour || terminal,
    }
}

/// Whether the locale says UTF-8.
fn unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// The form of the output: what was asked for, Ansible's under its names, bars for a person, lines for a log.
pub(super) fn form(common: &Common) -> OutputForm {
    match (common.output, common.rules) {
        (Some(form), _) => form,
        (None, Rules::Ansible) => OutputForm::Ansible,
        (None, Rules::Stagger) if std::io::stdout().is_terminal() => OutputForm::Human,
        (None, Rules::Stagger) => OutputForm::Plain,
    }
}

/// The sink for people or programs.
pub(super) fn sink(common: &Common, config: &Config) -> Box<dyn Sink> {
    let paint = Paint { colour: wants_colour(common, config, std::io::stdout().is_terminal()), unicode: unicode() };
    let verbosity = common.verbosity.max(config.verbosity);
    match form(common) {
        OutputForm::Human => Box::new(Screen::new(paint, TimeZone::system(), verbosity)),
        _ => Box::new(Plain::new(Out::stdout(), paint, TimeZone::system(), verbosity)),
    }
}
