//! Which sink shows a run: a function of what was asked for and of where the output goes, in this one place.

use std::ffi::OsString;
use std::io::{IsTerminal, stdout};

use jiff::tz::TimeZone;

use super::adhoc::AdHoc;
use super::ansible::Ansible;
use super::document::Document;
use super::json::JsonLines;
use super::out::Out;
use super::plain::Plain;
use super::screen::Screen;
use super::style::Paint;
use crate::event::Sink;

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Bars for a person.
    Human,
    /// Lines for a log.
    Plain,
    /// JSON events.
    Json,
    /// Ansible's.
    Ansible,
    /// One document, as Ansible's `json` callback prints it.
    Document,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wish {
    /// `--output`.
    pub(crate) form: Option<Form>,
    /// Called under one of Ansible's names.
    pub(crate) ansible: bool,
    /// `--color always` or `never`; also what ansible.cfg says (`nocolor`, `force_color`).
    pub(crate) colour: Option<bool>,
    /// `-v` count.
    pub(crate) verbosity: u8,
    /// One module on hosts, not a playbook.
    pub(crate) ad_hoc: bool,
    /// One line a host (`-o`).
    pub(crate) one_line: bool,
    /// What `set_stats` kept is shown in Ansible's form too.
    pub(crate) stats: bool,
}

/// Where the output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// Standard output is a terminal.
    pub(crate) terminal: bool,
    /// `TERM` is `dumb`: no cursor movements.
    pub(crate) dumb: bool,
    /// The environment's word on colours: `NO_COLOR`, `ANSIBLE_NOCOLOR`, `ANSIBLE_FORCE_COLOR`.
    pub(crate) colour: Option<bool>,
    /// The locale is UTF-8.
    pub(crate) unicode: bool,
    /// Columns of the terminal; 80 without one.
    pub(crate) columns: usize,
}

impl Surroundings {
    /// Looks at standard output and the environment; `environment` gives variables.
    pub(crate) fn look(environment: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let text = |name: &str| environment(name).and_then(|value| value.into_string().ok()).filter(|v| !v.is_empty());
        let yes = |name: &str| {
            text(name)
                .is_some_and(|value| matches!(value.to_lowercase().as_str(), "1" | "true" | "yes" | "on" | "y" | "t"))
        };
        // The first that is set decides, as for setlocale; POSIX's default is ASCII.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(text).unwrap_or_default().to_lowercase();
        let columns = rustix::termios::tcgetwinsize(stdout()).map_or(80, |size| usize::from(size.ws_col));
        Self {
            terminal: stdout().is_terminal(),
            dumb: text("TERM").is_none_or(|term| term == "dumb"),
            colour: match (text("NO_COLOR").is_some() || yes("ANSIBLE_NOCOLOR"), yes("ANSIBLE_FORCE_COLOR")) {
                (true, _) => Some(false),
                (false, true) => Some(true),
                (false, false) => None,
            },
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
            columns: if columns == 0 { 80 } else { columns },
        }
    }

    /// How lines are painted here.
    pub(crate) fn paint(&self, wish: Option<bool>) -> Paint {
        let colour = wish.or(self.colour).unwrap_or(self.terminal && !self.dumb);
        Paint { colour, unicode: self.unicode }
    }
}

/// The form of the output: what was asked for; else Ansible's under its names; else bars at a terminal and lines elsewhere.
pub(crate) fn form(wish: &Wish, around: &Surroundings) -> Form {
    match wish.form {
        // Bars need a terminal: asked for or not, a log is not filled with cursor movements.
        Some(Form::Human) if !around.terminal || around.dumb => Form::Plain,
        Some(form) => form,
        None if wish.ansible => Form::Ansible,
        // What one module said on each host is all there is to see.
        None if wish.ad_hoc => Form::Ansible,
        None if around.terminal && !around.dumb => Form::Human,
        None => Form::Plain,
    }
}

/// The sink that shows the run on standard output.
pub(crate) fn view(wish: &Wish, around: &Surroundings) -> Box<dyn Sink> {
    let paint = around.paint(wish.colour);
    let zone = TimeZone::system();
    match form(wish, around) {
        Form::Human => Box::new(Screen::new(paint, zone, wish.verbosity).with_output(wish.ad_hoc)),
        Form::Plain => Box::new(Plain::new(Out::stdout(), paint, zone, wish.verbosity).with_output(wish.ad_hoc)),
        Form::Json => Box::new(JsonLines::new(Out::stdout())),
        Form::Document => Box::new(Document::new(Out::stdout(), Out::stderr())),
        Form::Ansible if wish.ad_hoc => {
            Box::new(AdHoc::new(Out::stdout(), Out::stderr(), paint, wish.verbosity, wish.one_line))
        }
        Form::Ansible => {
            let columns = around.columns.saturating_sub(1);
            let sink = Ansible::new(Out::stdout(), Out::stderr(), paint, wish.verbosity, columns);
            Box::new(sink.with_stats(wish.stats))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPE: Surroundings = Surroundings { terminal: false, dumb: false, colour: None, unicode: true, columns: 80 };
    const TERMINAL: Surroundings = Surroundings { terminal: true, ..PIPE };

    #[test]
    fn bars_at_a_terminal_lines_elsewhere_and_ansibles_under_its_names() {
        let wish = Wish::default();
        assert_eq!(form(&wish, &TERMINAL), Form::Human);
        assert_eq!(form(&wish, &PIPE), Form::Plain);
        assert_eq!(form(&wish, &Surroundings { dumb: true, ..TERMINAL }), Form::Plain);
        assert_eq!(form(&Wish { form: Some(Form::Human), ..wish }, &PIPE), Form::Plain);
        assert_eq!(form(&Wish { ansible: true, ..wish }, &TERMINAL), Form::Ansible);
        assert_eq!(form(&Wish { ansible: true, form: Some(Form::Json), ..wish }, &TERMINAL), Form::Json);
        assert_eq!(form(&Wish { ad_hoc: true, ..wish }, &TERMINAL), Form::Ansible);
    }

    #[test]
    fn the_flag_wins_over_the_environment_and_that_over_the_terminal() {
        assert!(TERMINAL.paint(None).colour);
        assert!(!PIPE.paint(None).colour);
        let no = Surroundings { colour: Some(false), ..TERMINAL };
        assert!(!no.paint(None).colour);
        assert!(no.paint(Some(true)).colour);
    }

    #[test]
    fn the_environment_is_read() {
        let given = |name: &str| match name {
            "NO_COLOR" => Some("1".into()),
            "LC_ALL" => Some("".into()),
            "LANG" => Some("de_DE.UTF-8".into()),
            "TERM" => Some("xterm".into()),
            _ => None,
        };
        let around = Surroundings::look(&given);
        assert_eq!((around.colour, around.unicode, around.dumb), (Some(false), true, false));
        let posix = Surroundings::look(&|name| (name == "LC_ALL").then(|| "C".into()));
        assert_eq!((posix.colour, posix.unicode, posix.dumb), (None, false, true));
    }
}
