//! One evaluation: what is being rendered (for loops), what was rendered already, and what went wrong first.
//!
//! Templates render the variables that they use, which may be templates themselves. All of that belongs to one session. A
//! failure in any part of it decides the whole, even where the engine could not pass it on: Jinja can't catch errors.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::Value as Jinja;

use super::compile::{Cache, Program};
use super::convert;
use super::error::TemplateError;
use super::lex;
use super::object::{Context, Found, Written};
use crate::base::{Holds, Locked, Node, NodeKind, Scope, Span, Unlock, Var};

/// Variables that need one another deeper than this are taken for a loop. Each level costs call stack.
const DEEPEST: usize = 60;

/// What identifies a scalar in a scope: both addresses live as long as the session keeps them.
type Identity = (usize, usize);

/// A rendered scalar, with what keeps its identity alive; `None` when it is undefined.
type Done = (Arc<dyn Scope>, Arc<Node>, Option<Jinja>);

#[derive(Default)]
struct State {
    /// What is being rendered, outermost first, with the variable's name.
    active: Vec<(Identity, Arc<str>)>,
    /// What was rendered, with what keeps its identity alive.
    done: HashMap<Identity, Done>,
    /// The first failure.
    failure: Option<TemplateError>,
    /// Variables that are undefined because of something that they use.
    causes: Vec<(Arc<str>, String)>,
}

pub(super) struct Session {
    cache: Arc<Cache>,
    unlock: Option<Arc<dyn Unlock>>,
    state: Mutex<State>,
}

impl Session {
    pub(super) fn new(cache: Arc<Cache>, unlock: Option<Arc<dyn Unlock>>) -> Arc<Self> {
        Arc::new(Self { cache, unlock, state: Mutex::default() })
    }

    /// The text of a `!vault` value, decrypted when it is used. It is no template, whatever braces are in it: so has Ansible it.
    pub(super) fn open(&self, closed: &str, span: Span) -> Result<Arc<str>, TemplateError> {
        open(self.unlock.as_ref(), closed, span)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine's root for a scope.
    pub(super) fn context(self: &Arc<Self>, scope: &Arc<dyn Scope>) -> Jinja {
        Jinja::from_object(Context { session: Arc::clone(self), scope: Arc::clone(scope) })
    }

    /// Keeps a failure, if it is the first, and gives a value that stops the engine.
    pub(super) fn fail(&self, error: TemplateError) -> Jinja {
        let stop = minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, error.to_string());
        self.state().failure.get_or_insert(error);
        Jinja::from(stop)
    }

    pub(super) fn last_cause(&self) -> Option<String> {
        self.state().causes.last().map(|(_, cause)| cause.clone())
    }

    /// The end: the kept failure decides, else the result; a variable that is undefined because of another is explained.
    /// What was rendered is let go, since it holds on to this session.
    pub(super) fn end<T>(&self, result: Result<T, TemplateError>) -> Result<T, TemplateError> {
        let State { failure, causes, .. } = std::mem::take(&mut *self.state());
        if let Some(failure) = failure {
            return Err(failure);
        }
        result.map_err(|error| match error {
            TemplateError::Undefined { message, span, place } => {
                let cause = causes.iter().find(|(name, cause)| {
                    (message.starts_with(&format!("`{name}`"))
                        || message.starts_with(&format!("`{name}."))
                        || message.starts_with("a value")
                        || message.starts_with("a part"))
                        && !message.contains(cause.as_str())
                });
                let message = match cause {
                    Some((name, cause)) => format!("`{name}` can't be rendered: {cause}"),
                    None => message,
                };
                TemplateError::Undefined { message, span, place }
            }
            other => other,
        })
    }

    /// A variable as the engine's value; `None` when it is undefined.
    pub(super) fn variable(self: &Arc<Self>, scope: &Arc<dyn Scope>, name: &Arc<str>, var: Var) -> Option<Jinja> {
        match var {
            Var::Data(data) => Some(convert::from_data(&data)),
            Var::Written(node) => self.written(scope, &node, Vec::new(), name),
            Var::Members(members) => {
                Some(Jinja::from_object(Found { session: Arc::clone(self), scope: Arc::clone(scope), members }))
            }
            Var::Unknown(reason) => Some(self.fail(TemplateError::Unknown(reason))),
        }
    }

    /// A part of a written variable as the engine's value; `None` when it is a template that rests on something undefined.
    pub(super) fn written(
        self: &Arc<Self>,
        scope: &Arc<dyn Scope>,
        root: &Arc<Node>,
        way: Vec<usize>,
        name: &Arc<str>,
    ) -> Option<Jinja> {
        let mut node: &Node = root;
        for place in &way {
            node = match &node.kind {
                NodeKind::Seq(items) => items.get(*place)?,
                NodeKind::Map(entries) => &entries.get(*place)?.1,
                _ => return None,
            };
        }
        let text = match &node.kind {
            NodeKind::Null => return Some(Jinja::from(())),
            NodeKind::Bool(value) => return Some(Jinja::from(*value)),
            NodeKind::Int(value) => return Some(Jinja::from(*value)),
            NodeKind::Float(value) => return Some(Jinja::from(*value)),
            NodeKind::Seq(_) | NodeKind::Map(_) => {
                return Some(Jinja::from_object(Written {
                    session: Arc::clone(self),
                    scope: Arc::clone(scope),
                    root: Arc::clone(root),
                    way,
                    name: Arc::clone(name),
                }));
            }
            NodeKind::Vault(closed) => {
                return Some(match self.open(closed, node.span) {
                    Ok(text) => Jinja::from(text),
                    Err(error) => self.fail(error.named(name)),
                });
            }
            NodeKind::String { text, raw, .. } => {
                if *raw || !lex::is_template(text) {
                    return Some(Jinja::from(Arc::clone(text)));
                }
                text
            }
        };
        let identity = (Arc::as_ptr(scope).cast::<()>() as usize, std::ptr::from_ref(node) as usize);
        {
            let mut state = self.state();
            if let Some((.., value)) = state.done.get(&identity) {
                return value.clone();
            }
            if state.failure.is_some() {
                // After a failure the engine looks variables up again to describe it.
                return None;
            }
            let looped = state.active.iter().position(|(active, _)| *active == identity);
            if looped.is_some() || state.active.len() >= DEEPEST {
                let names: Vec<&str> = state
                    .active
                    .iter()
                    .skip(looped.unwrap_or(0))
                    .map(|(_, name)| name.as_ref())
                    .chain([name.as_ref()])
                    .collect();
                let message = format!("recursive loop: {}", shorten(&names));
                drop(state);
                return Some(self.fail(TemplateError::failed(message).at(node.span)));
            }
            state.active.push((identity, Arc::clone(name)));
        }
        let result = self.run(text, scope);
        let mut state = self.state();
        state.active.pop();
        let value = match result {
            Ok(value) if value.is_undefined() => None,
            Ok(value) => Some(value),
            Err(TemplateError::Undefined { message, .. }) => {
                state.causes.push((Arc::clone(name), message));
                None
            }
            Err(error) => {
                drop(state);
                return Some(self.fail(error.at(node.span)));
            }
        };
        state.done.insert(identity, (Arc::clone(scope), Arc::clone(root), value.clone()));
        value
    }

    /// A text that may be a template, rendered; `None` when it rests on something undefined.
    pub(super) fn text(self: &Arc<Self>, scope: &Arc<dyn Scope>, text: &Arc<str>) -> Option<Jinja> {
        match self.run(text, scope) {
            Ok(value) => Some(value),
            Err(TemplateError::Undefined { .. }) => None,
            Err(error) => Some(self.fail(error)),
        }
    }

    /// Runs a scalar's template.
    pub(super) fn run(self: &Arc<Self>, text: &Arc<str>, scope: &Arc<dyn Scope>) -> Result<Jinja, TemplateError> {
        let program = self.cache.scalar(text)?;
        self.execute(&program, scope)
    }

    pub(super) fn execute(self: &Arc<Self>, program: &Program, scope: &Arc<dyn Scope>) -> Result<Jinja, TemplateError> {
        program.run(self.context(scope))
    }
}

/// Opens a `!vault` value with who can, if anybody can.
pub(super) fn open(unlock: Option<&Arc<dyn Unlock>>, closed: &str, span: Span) -> Result<Arc<str>, TemplateError> {
    let opened = match unlock {
        Some(unlock) => unlock.unlock(closed, Holds::Value),
        None => Err(Locked::no_password()),
    };
    opened.and_then(|opened| Ok(Arc::from(opened.text()?))).map_err(|locked| {
        let help = locked.help.first().map(|line| format!(" ({line})")).unwrap_or_default();
        TemplateError::Locked { message: format!("{}{help}", locked.message), span }
    })
}

/// A chain of names, its middle left out when it is long.
fn shorten(names: &[&str]) -> String {
    if names.len() <= 8 {
        return names.join(" -> ");
    }
    let (head, tail) = (names.get(..4).unwrap_or_default(), names.get(names.len() - 3..).unwrap_or_default());
    format!("{} -> … -> {}", head.join(" -> "), tail.join(" -> "))
}
