//! Rendering in a host's scope, with facts gathered when something refers to one.

use std::sync::Arc;

use super::host::{Host, Needs};
use super::scope::HostScope;
use super::{Run, play::PlayRun};
use crate::base::{Node, Scope, Value, to_text};
use crate::diag::Sources;
use crate::modules::{Failure, to_bool};
use crate::plan::Condition;
use crate::template::{Expression, TemplateError};

/// Why something can't be evaluated on a host.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// It depends on what the run would first have to do (check mode).
    Unknown(String),
    /// It is undefined or wrong.
    Failed(Failure),
}

impl Trouble {
    pub(super) fn of(error: &TemplateError, sources: &Sources) -> Self {
        match error {
            TemplateError::Unknown(reason) => Self::Unknown(reason.to_string()),
            other => Self::Failed(Failure::new(said(other, sources))),
        }
    }
}

/// An error with the place of the `!vault` value that it is about.
pub(super) fn said(error: &TemplateError, sources: &Sources) -> String {
    match sources.place(error.locked()) {
        place if place.is_empty() => error.to_string(),
        place => format!("{place}: {error}"),
    }
}

/// A scope that can be asked again after facts were gathered.
#[derive(Clone)]
pub(crate) struct Room {
    pub(super) run: Arc<Run>,
    pub(super) play: Option<Arc<PlayRun>>,
    pub(super) scope: Arc<HostScope>,
}

impl Room {
    /// The scope of a host in a play, without task variables.
    pub(super) fn new(run: &Arc<Run>, host: &Arc<Host>, play: Option<&Arc<PlayRun>>) -> Self {
        let needs = Arc::new(Needs::default());
        Self {
            run: Arc::clone(run),
            play: play.map(Arc::clone),
            scope: Arc::new(HostScope::new(run, host, play, &needs)),
        }
    }

    /// The same with other variables in sight.
    pub(super) fn with(&self, change: impl FnOnce(&mut HostScope)) -> Self {
        let old = &self.scope;
        let mut scope = HostScope::new(&old.run, &old.host, old.play.as_ref(), &old.needs);
        scope.layers.clone_from(&old.layers);
        scope.parameters.clone_from(&old.parameters);
        scope.locals.clone_from(&old.locals);
        scope.role.clone_from(&old.role);
        change(&mut scope);
        Self { scope: Arc::new(scope), ..self.clone() }
    }

    pub(super) fn as_scope(&self) -> Arc<dyn Scope> {
        Arc::clone(&self.scope) as Arc<dyn Scope>
    }

    /// Evaluates something; gathers the facts that it misses and evaluates it again.
    async fn with_facts<T>(
        &self,
        evaluate: impl Fn(&Arc<dyn Scope>) -> Result<T, TemplateError>,
    ) -> Result<T, Trouble> {
        let scope = self.as_scope();
        loop {
            let result = evaluate(&scope);
            let needed = self.scope.needs.take();
            if needed.is_empty() {
                return result.map_err(|error| Trouble::of(&error, &self.run.sources));
            }
            let mut gathered = false;
            for name in needed {
                gathered |= self.run.gather(&name, self.play.as_ref()).await?;
            }
            if !gathered {
                return result.map_err(|error| Trouble::of(&error, &self.run.sources));
            }
        }
    }

    /// Renders what was written.
    pub(super) async fn render(&self, node: &Node) -> Result<Value, Trouble> {
        self.with_facts(|scope| self.run.engine.render(node, scope)).await
    }

    /// Renders to text.
    pub(super) async fn text(&self, node: &Node) -> Result<String, Trouble> {
        self.render(node).await.map(|value| to_text(&value))
    }

    /// Evaluates an expression.
    pub(super) async fn evaluate(&self, expression: &Expression) -> Result<Value, Trouble> {
        self.with_facts(|scope| self.run.engine.evaluate(expression, scope)).await
    }

    /// The first condition of a list that is false, as text; `None` when all are true.
    pub(super) async fn first_false(&self, conditions: &[Condition]) -> Result<Option<String>, Trouble> {
        for condition in conditions {
            match condition {
                Condition::Constant(true) => {}
                Condition::Constant(false) => return Ok(Some("False".to_owned())),
                Condition::Expression(expression) => {
                    let holds = self.with_facts(|scope| self.run.engine.condition(expression, scope)).await;
                    match holds {
                        Ok(true) => {}
                        Ok(false) => return Ok(Some(expression.text().to_owned())),
                        Err(Trouble::Failed(failure)) => {
                            let place = match self.run.sources.place(expression.span()) {
                                place if place.is_empty() => place,
                                place => format!(" ({place})"),
                            };
                            let message = format!(
                                "the condition `{}` can't be evaluated: {}{place}",
                                expression.text(),
                                failure.message
                            );
                            return Err(Trouble::Failed(Failure { message, ..failure }));
                        }
                        Err(unknown) => return Err(unknown),
                    }
                }
            }
        }
        Ok(None)
    }

    /// A keyword that is a boolean.
    pub(super) async fn flag(&self, node: Option<&Arc<Node>>, otherwise: bool) -> Result<bool, Trouble> {
        let Some(node) = node else { return Ok(otherwise) };
        let value = self.render(node).await?;
        if value.is_null() {
            return Ok(otherwise);
        }
        to_bool(&value).ok_or_else(|| {
            let place = self.run.sources.place(node.span);
            Trouble::Failed(Failure::new(format!("`{}` is not true or false ({place})", to_text(&value))))
        })
    }

    /// A keyword that is text; empty text counts as not given.
    pub(super) async fn optional(&self, node: Option<&Arc<Node>>) -> Result<Option<String>, Trouble> {
        let Some(node) = node else { return Ok(None) };
        let value = self.render(node).await?;
        Ok((!value.is_null()).then(|| to_text(&value)).filter(|text| !text.is_empty()))
    }

    /// A variable of the host, rendered; `None` when there is none.
    ///
    /// Undefined inside it counts as an error: `ansible_become_password: "{{ typo }}"` must not silently be no password.
    pub(super) async fn variable(&self, names: &[&str]) -> Result<Option<Value>, Trouble> {
        for name in names {
            let Some(var) = self.scope.variable(name) else { continue };
            match var {
                crate::base::Var::Written(node) => return self.render(&node).await.map(Some),
                crate::base::Var::Data(value) => return Ok(Some((*value).clone())),
                crate::base::Var::Unknown(reason) => return Err(Trouble::Unknown(reason.to_string())),
                crate::base::Var::Members(_) => {}
            }
        }
        Ok(None)
    }

    /// A variable as text; empty text counts as not given.
    pub(super) async fn variable_text(&self, names: &[&str]) -> Result<Option<String>, Trouble> {
        Ok(self
            .variable(names)
            .await?
            .filter(|value| !value.is_null())
            .map(|value| to_text(&value))
            .filter(|t| !t.is_empty()))
    }
}
