//! The engine's settings: strict, fuelled, printing as Python does, with Ansible's filters, tests and functions.

use minijinja::value::{Rest, Value as Jinja, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior};

use super::convert;
use super::error::TemplateError;
use super::object::Omit;
use super::{filters, verdicts};

/// Steps that one template may take: a loop over a million items ends, an endless one too, in about a second.
pub(super) const FUEL: u64 = 20_000_000;

/// Macros and includes nest at most so deep.
const RECURSION: usize = 60;

/// What a template printed: its first value, and how many there were.
#[derive(Default)]
pub(super) struct Emitted {
    pub(super) count: usize,
    pub(super) value: Jinja,
    pub(super) text: String,
}

/// Names that are always there.
pub(super) const FUNCTIONS: &[&str] = &["range", "dict", "namespace", "omit", "undef"];

/// Names that mean something in a template and are no variables.
pub(super) const SPECIAL: &[&str] = &["loop", "self", "super", "caller", "varargs", "kwargs"];

/// An environment without templates.
pub(super) fn new() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION);
    // Errors then name what is undefined.
    environment.set_debug(true);
    environment.set_formatter(|out, state, value| {
        // Undefined values are refused before this, but for that of `x if y` without `else`, which prints nothing.
        let text = if value.is_undefined() {
            String::new()
        } else {
            convert::to_text(value).map_err(|error| engine_error(state, value, &error))?
        };
        std::fmt::Write::write_str(out, &text)?;
        let emitted = state.get_or_insert_extension_with(Emitted::default);
        emitted.count += 1;
        if emitted.count == 1 {
            emitted.value = value.clone();
            emitted.text = text;
        }
        Ok(())
    });
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.remove_global("debug");
    environment.add_global("omit", Jinja::from_object(Omit));
    environment.add_function("undef", |_: Rest<Jinja>| Jinja::UNDEFINED);
    // For refusals of undefined values: the engine's own filter names what is undefined.
    environment.add_filter(PROBE, minijinja::filters::string);
    environment.add_filter("walk", walk);
    filters::register(&mut environment);
    verdicts::register(&mut environment);
    environment
}

const PROBE: &str = "__defined";

/// The engine's error for one of ours.
fn engine_error(state: &mut State, value: &Jinja, error: &TemplateError) -> Error {
    if let Err(refused) = defined(state, value) {
        return refused;
    }
    let kind = match error {
        TemplateError::Undefined { .. } => ErrorKind::UndefinedError,
        _ => ErrorKind::InvalidOperation,
    };
    Error::new(kind, error.to_string())
}

/// Refuses an undefined value with the engine's error, which knows where it came from.
pub(super) fn defined(state: &mut State, value: &Jinja) -> Result<(), Error> {
    if value.is_undefined() {
        state.apply_filter(PROBE, std::slice::from_ref(value))?;
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    Ok(())
}

/// A chain of attributes on a value that may be undefined at any step: see [`super::rewrite`].
fn walk(value: Jinja, keys: Rest<Jinja>) -> Result<Jinja, Error> {
    let mut value = value;
    for key in keys.iter() {
        if value.is_undefined() || key.is_undefined() {
            return Ok(Jinja::UNDEFINED);
        }
        value = match value.get_item(key) {
            Ok(next) => next,
            Err(error) if error.kind() == ErrorKind::UndefinedError => return Ok(Jinja::UNDEFINED),
            Err(_) if value.kind() != ValueKind::Invalid => return Ok(Jinja::UNDEFINED),
            Err(error) => return Err(error),
        };
    }
    Ok(value)
}
