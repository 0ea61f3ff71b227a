//! Templates, compiled once: an expression that keeps its type, or a text.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use minijinja::value::Value as Jinja;
use minijinja::{Environment, Expression};

use super::environment::{self, Emitted};
use super::error::TemplateError;
use super::lex::{self, Marks};
use super::rewrite;

/// Compiled scalars kept at most; a playbook has hundreds, and what is beyond is compiled again.
const KEPT: usize = 20_000;

/// One environment for all expressions: filters, tests, functions. Made once, never changed.
pub(super) static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(environment::new);

/// The name of the one template in an environment of a scalar.
const SCALAR: &str = "template";

/// A compiled scalar.
pub(super) enum Program {
    /// One expression, and as it was written: its value keeps its type.
    Expression(Expression<'static, 'static>, Box<str>),
    /// Text with code in it, and how many line feeds end it.
    Text(Box<Environment<'static>>, usize),
}

impl Program {
    /// Compiles a bare expression.
    pub(super) fn expression(text: &str) -> Result<Self, minijinja::Error> {
        let compiled = ENVIRONMENT.compile_expression_owned(rewrite::expression(text))?;
        Ok(Self::Expression(compiled, text.trim().into()))
    }

    /// Compiles a scalar that holds code.
    pub(super) fn scalar(text: &str) -> Result<Self, minijinja::Error> {
        if let Some((start, end)) = lex::single(text) {
            let inner = text.get(start..end).unwrap_or_default();
            let compiled = ENVIRONMENT.compile_expression_owned(rewrite::scalar(inner))?;
            return Ok(Self::Expression(compiled, inner.trim().into()));
        }
        let mut environment = ENVIRONMENT.clone();
        environment.add_template_owned(SCALAR, rewrite::template(text, &Marks::default(), true))?;
        Ok(Self::Text(Box::new(environment), final_line_feeds(text)))
    }

    pub(super) fn run(&self, context: Jinja) -> Result<Jinja, TemplateError> {
        match self {
            Self::Expression(expression, text) => match expression.eval(context) {
                Ok(value) if value.is_undefined() => Err(undefined(text)),
                Ok(value) => Ok(value),
                Err(error) => Err(TemplateError::from_engine(&error, false)),
            },
            Self::Text(environment, line_feeds) => text(environment, context, *line_feeds, false),
        }
    }
}

/// An expression whose value is undefined.
fn undefined(text: &str) -> TemplateError {
    let chain = text.chars().all(|c| c.is_alphanumeric() || "_.[]'\"".contains(c));
    TemplateError::undefined(if chain {
        format!("`{text}` is undefined")
    } else {
        format!("`{text}` gives nothing: it is undefined")
    })
}

/// Renders the template of an environment. Code that gives exactly one value and no text keeps its type.
fn text(
    environment: &Environment<'static>,
    context: Jinja,
    line_feeds: usize,
    file: bool,
) -> Result<Jinja, TemplateError> {
    let wrong = |e: minijinja::Error| TemplateError::from_engine(&e, file);
    let mut captured = environment.get_template(SCALAR).map_err(wrong)?.render_captured(context).map_err(wrong)?;
    let emitted = captured.with_state_mut(|state| state.get_extension_mut::<Emitted>().map(std::mem::take));
    let mut output = captured.into_output();
    if let Some(Emitted { count: 1, value, text }) = emitted
        && text == output
        && line_feeds == 0
    {
        return Ok(value);
    }
    restore(&mut output, line_feeds);
    Ok(Jinja::from(output))
}

/// The engine drops one final line feed, and blocks may swallow more: what ended the source ends the result.
pub(super) fn restore(output: &mut String, line_feeds: usize) {
    let have = final_line_feeds(output);
    for _ in have..line_feeds {
        output.push('\n');
    }
}

pub(super) fn final_line_feeds(text: &str) -> usize {
    text.bytes().rev().take_while(|byte| *byte == b'\n').count()
}

/// Compiled scalars by their text, shared by all sessions.
#[derive(Default)]
pub(super) struct Cache {
    scalars: RwLock<HashMap<Arc<str>, Arc<Program>>>,
}

impl Cache {
    /// A scalar's program.
    pub(super) fn scalar(&self, text: &Arc<str>) -> Result<Arc<Program>, TemplateError> {
        if let Some(found) = self.scalars.read().unwrap_or_else(PoisonError::into_inner).get(text) {
            return Ok(Arc::clone(found));
        }
        let program = Program::scalar(text).map_err(|e| TemplateError::from_engine(&e, false))?;
        let program = Arc::new(program);
        let mut scalars = self.scalars.write().unwrap_or_else(PoisonError::into_inner);
        if scalars.len() >= KEPT {
            scalars.clear();
        }
        scalars.insert(Arc::clone(text), Arc::clone(&program));
        Ok(program)
    }
}
