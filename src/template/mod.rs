//! Expressions and templates: Jinja as Ansible means it, over minijinja.
//!
//! The main type is [`Engine`]. It compiles what people wrote ([`Engine::check`] says what is wrong, with the place), and
//! renders it in a [`Scope`]. The only room that names the template engine.
//!
//! What it must not do: render data. What a host answered or a module returned comes in as `Var::Data` and stays as it is,
//! whatever braces are in it; only `Var::Written` and nodes that are not `raw` are templates. It reads no clock and no network,
//! and of the disk only whether a path exists (`is file`, `is directory`, …).
//!
//! Undefined is Ansible's: a chain may be walked into nothing when its end meets `is defined` or `default`, and everything
//! else that touches an undefined value fails. See [`rewrite`].
//!
//! Where the differences to Ansible lie: `lookup`, `query`, `q` and `now` are errors at [`Engine::check`]; `{{ none }}` in a text
//! prints nothing, as since ansible-core 2.19; a condition must be a boolean, as there.

mod about;
mod check;
mod compile;
mod convert;
mod environment;
mod error;
mod file;
mod filters;
mod lex;
mod object;
mod render;
mod rewrite;
mod session;
mod verdicts;

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Value as Jinja, ValueKind};

use crate::base::{Node, Scope, Span, Unlock, Value};
use crate::diag::Diagnostic;

pub(crate) use about::{filters as documented_filters, tests as documented_tests};
pub(crate) use error::TemplateError;
pub(crate) use file::TextOptions;

use compile::{Cache, Program};
use session::Session;

/// Compiles and renders. Cheap to clone; clones share what is compiled.
#[derive(Clone, Default)]
pub(crate) struct Engine {
    cache: Arc<Cache>,
    files: Arc<file::Cache>,
    unlock: Option<Arc<dyn Unlock>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

/// A compiled bare expression: a `when`, an `until`, …
#[derive(Clone)]
pub(crate) struct Expression(Arc<Compiled>);

struct Compiled {
    text: Arc<str>,
    span: Span,
    names: Vec<String>,
    braces: bool,
    program: Program,
}

impl Expression {
    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.0.text
    }

    /// Where it stands.
    pub(crate) fn span(&self) -> Span {
        self.0.span
    }

    /// The variables that it uses, top-level names only, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.names.clone()
    }

    /// A warning when it was written between `{{ }}`, which a condition needs not.
    pub(crate) fn warning(&self) -> Option<Diagnostic> {
        self.0.braces.then(|| {
            Diagnostic::warning("a condition is an expression already: it needs no `{{ }}`", self.0.span)
                .help("write it without the braces")
        })
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({})", self.0.text)
    }
}

impl Engine {
    /// An engine that has compiled nothing yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The same with somebody who opens `!vault` values.
    #[must_use]
    pub(crate) fn unlock_with(self, unlock: Arc<dyn Unlock>) -> Self {
        Self { unlock: Some(unlock), ..self }
    }

    fn session(&self) -> Arc<Session> {
        Session::new(Arc::clone(&self.cache), self.unlock.clone())
    }

    /// Compiles every template inside a node, keys too, and says what is wrong: syntax, and unknown filters, tests and functions.
    pub(crate) fn check(&self, node: &Node) -> Vec<Diagnostic> {
        check::node(node)
    }

    /// The variables that the templates inside a node use, top-level names only, sorted.
    pub(crate) fn names(&self, node: &Node) -> Vec<String> {
        check::node_names(node)
    }

    /// Says what is wrong in the text of a template file, with places in `source`.
    pub(crate) fn check_text(
        &self,
        text: &str,
        options: &TextOptions,
        source: crate::base::SourceId,
    ) -> Vec<Diagnostic> {
        check::file(text, options, source)
    }

    /// Compiles a bare expression.
    ///
    /// # Errors
    /// What is wrong with it, with the place.
    pub(crate) fn expression(&self, text: &str, span: Span) -> Result<Expression, Diagnostic> {
        let mut inner = text;
        let mut braces = false;
        if lex::is_template(text) {
            match lex::single(text.trim()) {
                Some((start, end)) => {
                    inner = text.trim().get(start..end).unwrap_or_default();
                    braces = true;
                }
                None => {
                    return Err(Diagnostic::error("an expression can't be mixed with `{{ }}`", span)
                        .help("write it without the braces: variables are named as they are"));
                }
            }
        }
        if let Some(wrong) = check::expression(text, inner, span).into_iter().next() {
            return Err(wrong);
        }
        let program = Program::expression(inner).map_err(|error| check::syntax(&error, text, span))?;
        let names = check::names(inner);
        Ok(Expression(Arc::new(Compiled { text: text.into(), span, names, braces, program })))
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// Something that it uses is undefined or unknown, or it fails.
    pub(crate) fn evaluate(&self, expression: &Expression, scope: &Arc<dyn Scope>) -> Result<Value, TemplateError> {
        let session = self.session();
        let result = session.execute(&expression.0.program, scope).and_then(|value| match convert::to_plain(&value)? {
            convert::Plain::Value(value) => Ok(value),
            convert::Plain::Omitted => Err(TemplateError::failed(format!(
                "`{}` gave `omit`, and there is nothing to leave out",
                expression.text()
            ))),
        });
        session.end(result).map_err(|error| error.at(expression.0.span))
    }

    /// Whether a condition holds. It must give a boolean.
    ///
    /// # Errors
    /// As [`Self::evaluate`], and when it gives something else.
    pub(crate) fn condition(&self, expression: &Expression, scope: &Arc<dyn Scope>) -> Result<bool, TemplateError> {
        let session = self.session();
        let result = session.execute(&expression.0.program, scope).and_then(|value| truth(&value, &expression.0.text));
        session.end(result).map_err(|error| error.at(expression.0.span))
    }

    /// A node as data, its templates rendered. A string that is one expression keeps its value's type; `omit` takes its key or
    /// item away (as the whole node it is null).
    ///
    /// # Errors
    /// As [`Self::evaluate`], at the scalar's place.
    pub(crate) fn render(&self, node: &Node, scope: &Arc<dyn Scope>) -> Result<Value, TemplateError> {
        if !render::holds_template(node) {
            return render::plain(node, self.unlock.as_ref());
        }
        let session = self.session();
        let result = render::node(&session, node, scope);
        session.end(result).map(|rendered| rendered.unwrap_or(Value::Null))
    }

    /// The text of a template file, rendered. What ends the file ends the result.
    ///
    /// # Errors
    /// As [`Self::evaluate`], with `name` and the line.
    pub(crate) fn render_text(
        &self,
        text: &str,
        options: &TextOptions,
        scope: &Arc<dyn Scope>,
        name: &str,
    ) -> Result<String, TemplateError> {
        let session = self.session();
        let result = self.files.render(text, options, session.context(scope), name);
        session.end(result)
    }
}

/// Ansible's rule since 2.19: a condition gives a boolean, nothing that is merely true.
fn truth(value: &Jinja, text: &str) -> Result<bool, TemplateError> {
    let (what, instead) = match value.kind() {
        ValueKind::Bool => return Ok(value.is_true()),
        ValueKind::Undefined => return Err(TemplateError::undefined(format!("`{text}` is undefined"))),
        ValueKind::None => ("nothing (null)", format!("{text} is not none")),
        ValueKind::Number => ("a number", format!("({text}) != 0")),
        ValueKind::String => ("a string", format!("({text}) | bool` or `({text}) | length > 0")),
        ValueKind::Seq | ValueKind::Iterable => ("a list", format!("({text}) | length > 0")),
        ValueKind::Map => ("a mapping", format!("({text}) | length > 0")),
        _ => ("no value", format!("{text} is defined")),
    };
    Err(TemplateError::failed(format!("the condition `{text}` gave {what}, not true or false; write `{instead}`")))
}

#[cfg(test)]
mod tests;
