//! What a filter is called with.

use std::cell::RefCell;
use std::collections::BTreeSet;

use minijinja::value::{Kwargs, Value as Jinja, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};

use crate::base::Value;
use crate::template::{convert, environment};

/// A filter's input and arguments. What is not taken is refused by [`Call::end`].
pub(in crate::template) struct Call<'a> {
    name: &'static str,
    /// The value before the `|`.
    pub(in crate::template) input: &'a Jinja,
    positional: &'a [Jinja],
    named: Kwargs,
    taken: RefCell<usize>,
    used: RefCell<BTreeSet<String>>,
}

/// An error of a filter or test.
pub(in crate::template) fn failed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

impl<'a> Call<'a> {
    /// Takes a call's arguments apart and refuses undefined ones.
    pub(in crate::template) fn new(state: &mut State, name: &'static str, args: &'a [Jinja]) -> Result<Self, Error> {
        let (all, named): (&[Jinja], Kwargs) = from_args(args)?;
        let (input, positional) = all.split_first().ok_or_else(|| failed(format!("`{name}` needs a value")))?;
        for value in all {
            environment::defined(state, value)?;
        }
        let names: Vec<String> = named.args().map(str::to_owned).collect();
        for key in &names {
            let value: Jinja = named.peek(key)?;
            environment::defined(state, &value)?;
        }
        Ok(Self { name, input, positional, named, taken: RefCell::new(0), used: RefCell::default() })
    }

    /// The same for what may be undefined.
    pub(in crate::template) fn lenient(name: &'static str, input: &'a Jinja, args: &'a [Jinja]) -> Result<Self, Error> {
        let (positional, named): (&[Jinja], Kwargs) = from_args(args)?;
        Ok(Self { name, input, positional, named, taken: RefCell::new(0), used: RefCell::default() })
    }

    /// An argument by place (from zero) or name.
    pub(in crate::template) fn argument(&self, place: usize, name: &str) -> Option<Jinja> {
        if let Some(value) = self.positional.get(place) {
            let mut taken = self.taken.borrow_mut();
            *taken = (*taken).max(place + 1);
            return Some(value.clone());
        }
        self.named(name)
    }

    /// An argument by name only.
    pub(in crate::template) fn named(&self, name: &str) -> Option<Jinja> {
        if !self.named.has(name) {
            return None;
        }
        self.used.borrow_mut().insert(name.to_owned());
        self.named.peek(name).ok()
    }

    /// All named arguments.
    pub(in crate::template) fn all_named(&self) -> Vec<(String, Jinja)> {
        let names: Vec<String> = self.named.args().map(str::to_owned).collect();
        names.into_iter().filter_map(|name| self.named(&name).map(|value| (name, value))).collect()
    }

    /// All positional arguments from a place on.
    pub(in crate::template) fn rest(&self, from: usize) -> &'a [Jinja] {
        *self.taken.borrow_mut() = self.positional.len();
        self.positional.get(from..).unwrap_or_default()
    }

    /// A needed argument.
    pub(in crate::template) fn needed(&self, place: usize, name: &str) -> Result<Jinja, Error> {
        self.argument(place, name).ok_or_else(|| failed(format!("`{}` needs the argument `{name}`", self.name)))
    }

    /// A text argument.
    pub(in crate::template) fn text(&self, place: usize, name: &str) -> Result<Option<String>, Error> {
        self.argument(place, name).map(|value| text_of(&value)).transpose()
    }

    /// A yes or no.
    pub(in crate::template) fn flag(&self, place: usize, name: &str, otherwise: bool) -> bool {
        self.argument(place, name).map_or(otherwise, |value| value.is_true())
    }

    /// A whole number.
    pub(in crate::template) fn integer(&self, place: usize, name: &str) -> Result<Option<i64>, Error> {
        match self.argument(place, name) {
            Some(value) if value.is_none() => Ok(None),
            Some(value) => value
                .as_i64()
                .map(Some)
                .ok_or_else(|| failed(format!("`{}` wants a whole number for `{name}`, not {value}", self.name))),
            None => Ok(None),
        }
    }

    /// The input as text, as Python's `str()` writes it.
    pub(in crate::template) fn input_text(&self) -> Result<String, Error> {
        text_of(self.input)
    }

    /// The input as plain data.
    pub(in crate::template) fn input_value(&self) -> Result<Value, Error> {
        value_of(self.input)
    }

    /// The input's items; a text is no list here.
    pub(in crate::template) fn items(&self) -> Result<Vec<Jinja>, Error> {
        items_of(self.name, self.input)
    }

    /// Refuses what was not taken.
    pub(in crate::template) fn end(&self) -> Result<(), Error> {
        if self.positional.len() > *self.taken.borrow() {
            return Err(failed(format!("`{}` was given too many arguments", self.name)));
        }
        let used = self.used.borrow();
        match self.named.args().find(|name| !used.contains(*name)) {
            Some(unknown) => Err(failed(format!("`{}` knows no argument `{unknown}`", self.name))),
            None => Ok(()),
        }
    }

    /// The filter's name.
    pub(in crate::template) fn name(&self) -> &'static str {
        self.name
    }
}

/// A value as text; `None` reads `None`.
pub(in crate::template) fn text_of(value: &Jinja) -> Result<String, Error> {
    if value.is_none() {
        return Ok("None".to_owned());
    }
    convert::to_text(value).map_err(|error| failed(error.to_string()))
}

/// A value as plain data.
pub(in crate::template) fn value_of(value: &Jinja) -> Result<Value, Error> {
    convert::to_value(value).map_err(|error| match error {
        crate::template::TemplateError::Undefined { message, .. } => Error::new(ErrorKind::UndefinedError, message),
        other => failed(other.to_string()),
    })
}

/// The items of a list, the keys of a mapping.
pub(in crate::template) fn items_of(name: &str, value: &Jinja) -> Result<Vec<Jinja>, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => Ok(value.try_iter()?.collect()),
        _ => Err(failed(format!("`{name}` wants a list, not {} ({})", value.kind(), shorten(&value.to_string())))),
    }
}

/// A value in a message.
pub(in crate::template) fn shorten(text: &str) -> String {
    if text.chars().count() <= 60 {
        text.to_owned()
    } else {
        format!("{}…", text.chars().take(60).collect::<String>())
    }
}
