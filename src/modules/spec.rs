//! What a module takes: the table from which arguments are checked and documentation is printed.

use super::{Arguments, Build};

/// A check of literal arguments, with a sentence when they are wrong.
pub(crate) type Check = fn(&Arguments) -> Result<(), String>;

/// A module.
#[derive(Debug)]
pub(crate) struct ModuleSpec {
    /// Its name in a playbook.
    pub(crate) name: &'static str,
    /// Other names for it.
    pub(crate) aliases: &'static [&'static str],
    /// One line: what it does.
    #[allow(dead_code, reason = "each module says here what it is; the command that prints it is to come")]
    pub(crate) summary: &'static str,
    /// Its options.
    pub(crate) options: &'static [Opt],
    /// The option that free text (`command: uptime`) goes to.
    pub(crate) free_form: Option<&'static str>,
    /// Whether it takes any further keys (`set_fact`, `add_host`).
    pub(crate) open: bool,
    /// What must be given together or not.
    pub(crate) rules: &'static [Rule],
    /// A check of literal arguments at load, beyond the table; `None` when the table is all. It sees only what needs no
    /// template, so an absent argument proves nothing.
    pub(crate) check: Option<Check>,
    /// Makes the module for one host.
    pub(crate) build: Build,
}

/// An option of a module.
#[derive(Debug)]
pub(crate) struct Opt {
    /// Its name.
    pub(crate) name: &'static str,
    /// Other names.
    pub(crate) aliases: &'static [&'static str],
    /// What it takes.
    pub(crate) kind: OptKind,
    /// Whether it must be given.
    pub(crate) required: bool,
    /// What it is when not given, as it would be written; for the documentation and for the typed getters.
    pub(crate) default: Option<&'static str>,
    /// One line: what it means.
    pub(crate) about: &'static str,
    /// Why stagger does not do what Ansible's module does with this option; `None` when it does. Giving it is an error.
    pub(crate) refused: Option<&'static str>,
}

impl Opt {
    /// An optional option.
    pub(crate) const fn new(name: &'static str, kind: OptKind, about: &'static str) -> Self {
        Self { name, aliases: &[], kind, required: false, default: None, about, refused: None }
    }

    /// An option of Ansible's module that this one refuses by name, and why.
    pub(crate) const fn refused(name: &'static str, why: &'static str) -> Self {
        Self { refused: Some(why), ..Self::new(name, OptKind::Any, why) }
    }

    /// Must be given.
    pub(crate) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Has a default.
    pub(crate) const fn default(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    /// Has other names.
    pub(crate) const fn aliases(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }
}

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OptKind {
    /// Text; numbers and booleans are written as Python would.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A path on the host; `~` is for the host to expand.
    Path,
    /// A path on this machine.
    LocalPath,
    /// A boolean, in any of Ansible's spellings.
    Bool,
    /// A whole number.
    Int,
    /// A duration or a number of seconds.
    Duration,
    /// A list; a text is split at commas.
    List,
    /// A mapping.
    Mapping,
    /// Permission bits: octal text, a number, or symbolic (`u+x`).
    Mode,
    /// Anything.
    Any,
    /// A bare expression or list of them (`assert: that:`): not rendered before the module gets it.
    Expression,
}

/// What must be given together or not.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// At least one of these.
    OneOf(&'static [&'static str]),
    /// At most one of these.
    AtMostOne(&'static [&'static str]),
    /// The first needs the second.
    Needs(&'static str, &'static str),
    /// When the option has this value, these must be given.
    When(&'static str, &'static str, &'static [&'static str]),
}
