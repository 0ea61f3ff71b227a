//! Which sink shows the run: flags and configuration put into `report`'s words.

use jiff::tz::TimeZone;

use crate::cli::{Colour, Common, OutputForm, Rules};
use crate::config::Config;
use crate::event::{Clock, Sink};
use crate::report::{self, Form, Paint, Shown, Surroundings, Wish};

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
    let wish = Wish {
        form: common.output.map(form),
        ansible: common.rules == Rules::Ansible,
        colour: colour(common, config),
        verbosity: common.verbosity.max(config.verbosity),
        ad_hoc: one_off,
        one_line,
    };
    report::view(&wish, &surroundings())
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
