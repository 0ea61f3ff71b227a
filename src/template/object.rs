//! Variables as the engine's objects: looked into on demand, never converted as a whole.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Value as Jinja};

use super::convert;
use super::session::Session;
use crate::base::{Members, Node, NodeKind, Scope, Value};

/// The variables of a scope, as the engine's root.
pub(super) struct Context {
    pub(super) session: Arc<Session>,
    pub(super) scope: Arc<dyn Scope>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("variables")
    }
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        let var = self.scope.variable(key)?;
        self.session.variable(&self.scope, &Arc::from(key), var)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.scope.names().into_iter().map(Jinja::from).collect())
    }
}

/// One step into plain data.
#[derive(Clone)]
enum Step {
    Key(Arc<str>),
    Place(usize),
}

/// Plain data that is looked into: the whole, and the way to the part.
pub(super) struct Data {
    root: Arc<Value>,
    way: Vec<Step>,
}

impl Data {
    pub(super) fn root(root: Arc<Value>) -> Self {
        Self { root, way: Vec::new() }
    }

    /// The part.
    pub(super) fn get(&self) -> &Value {
        let mut value: &Value = &self.root;
        for step in &self.way {
            value = match step {
                Step::Key(key) => value.get(key.as_ref()),
                Step::Place(place) => value.get(*place),
            }
            .unwrap_or(&Value::Null);
        }
        value
    }

    fn child(&self, value: &Value, step: impl FnOnce() -> Step) -> Jinja {
        convert::scalar(value).unwrap_or_else(|| {
            let mut way = Vec::with_capacity(self.way.len() + 1);
            way.extend(self.way.iter().cloned());
            way.push(step());
            Jinja::from_object(Self { root: Arc::clone(&self.root), way })
        })
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::base::to_text(self.get()))
    }
}

impl Object for Data {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.get().is_array() { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        match self.get() {
            Value::Object(map) => {
                let text = match key.as_str() {
                    Some(text) => text.to_owned(),
                    // JSON has no other keys than text: `d[1]` finds what was written as `1:`.
                    None => key.to_string(),
                };
                let value = map.get(&text)?;
                Some(self.child(value, || Step::Key(text.into())))
            }
            Value::Array(items) => {
                let place = place_of(key, items.len())?;
                Some(self.child(items.get(place)?, || Step::Place(place)))
            }
            _ => None,
        }
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        let value = self.get().as_object()?.get(key)?;
        Some(self.child(value, || Step::Key(key.into())))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.get() {
            Value::Object(map) => Enumerator::Values(map.keys().map(Jinja::from).collect()),
            Value::Array(items) => Enumerator::Seq(items.len()),
            _ => Enumerator::NonEnumerable,
        }
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        match self.get() {
            Value::Object(map) => Some(map.len()),
            Value::Array(items) => Some(items.len()),
            _ => None,
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::base::to_text(self.get()))
    }
}

/// An index; a negative one counts from the end.
fn place_of(key: &Jinja, length: usize) -> Option<usize> {
    let place = key.as_i64()?;
    if place < 0 {
        length.checked_sub(usize::try_from(place.unsigned_abs()).ok()?)
    } else {
        usize::try_from(place).ok()
    }
}

/// A list or mapping that people wrote: members are rendered when they are asked for, in the scope of the use.
pub(super) struct Written {
    pub(super) session: Arc<Session>,
    pub(super) scope: Arc<dyn Scope>,
    pub(super) root: Arc<Node>,
    /// Places in lists and mappings on the way to the part.
    pub(super) way: Vec<usize>,
    /// The variable, for messages.
    pub(super) name: Arc<str>,
}

impl Written {
    fn node(&self) -> &Node {
        let mut node: &Node = &self.root;
        for place in &self.way {
            let child = match &node.kind {
                NodeKind::Seq(items) => items.get(*place),
                NodeKind::Map(entries) => entries.get(*place).map(|(_, value)| value),
                _ => None,
            };
            match child {
                Some(child) => node = child,
                None => return node,
            }
        }
        node
    }

    fn child(&self, place: usize) -> Option<Jinja> {
        let mut way = Vec::with_capacity(self.way.len() + 1);
        way.extend_from_slice(&self.way);
        way.push(place);
        self.session.written(&self.scope, &self.root, way, &self.name)
    }

    /// Why the last member that was asked for is undefined.
    pub(super) fn cause(&self) -> Option<String> {
        self.session.last_cause()
    }

    /// The key of an entry; a key may be a template.
    fn key(&self, key: &Node) -> Jinja {
        match &key.kind {
            NodeKind::String { text, raw: false, .. } if super::lex::is_template(text) => {
                self.session.text(&self.scope, text).unwrap_or_else(|| Jinja::from(text.as_ref()))
            }
            NodeKind::String { text, .. } | NodeKind::Vault(text) => Jinja::from(text.as_ref()),
            _ => Jinja::from(crate::base::to_text(&key.to_value())),
        }
    }
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the variable {}", self.name)
    }
}

impl Object for Written {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if matches!(self.node().kind, NodeKind::Seq(_)) { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        match &self.node().kind {
            NodeKind::Seq(items) => {
                let place = place_of(key, items.len())?;
                items.get(place)?;
                self.child(place)
            }
            NodeKind::Map(_) => match key.as_str() {
                Some(text) => self.get_value_by_str(text),
                None => self.get_value_by_str(&key.to_string()),
            },
            _ => None,
        }
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        let entries = self.node().as_map()?;
        let place = entries.iter().position(|(name, _)| match &name.kind {
            NodeKind::String { text, raw, .. } if *raw || !super::lex::is_template(text) => text.as_ref() == key,
            _ => self.key(name).as_str() == Some(key),
        })?;
        self.child(place)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match &self.node().kind {
            NodeKind::Seq(items) => Enumerator::Seq(items.len()),
            NodeKind::Map(entries) => Enumerator::Values(entries.iter().map(|(key, _)| self.key(key)).collect()),
            _ => Enumerator::NonEnumerable,
        }
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        match &self.node().kind {
            NodeKind::Seq(items) => Some(items.len()),
            NodeKind::Map(entries) => Some(entries.len()),
            _ => None,
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match convert::to_value(&Jinja::from_dyn_object(Arc::clone(self))) {
            Ok(value) => f.write_str(&crate::base::to_text(&value)),
            Err(error) => {
                // The engine can't report a failure while it formats: it is kept and decides at the end.
                self.session.fail(error);
                Ok(())
            }
        }
    }
}

/// A mapping whose members are found one by one.
pub(super) struct Found {
    pub(super) session: Arc<Session>,
    pub(super) scope: Arc<dyn Scope>,
    pub(super) members: Arc<dyn Members>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }
}

impl Object for Found {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        match key.as_str() {
            Some(text) => self.get_value_by_str(text),
            None => self.get_value_by_str(&key.to_string()),
        }
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        let var = self.members.member(key)?;
        let scope = self.members.scope();
        self.session.variable(scope.as_ref().unwrap_or(&self.scope), &Arc::from(key), var)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.members.names().into_iter().map(Jinja::from).collect())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match convert::to_value(&Jinja::from_dyn_object(Arc::clone(self))) {
            Ok(value) => f.write_str(&crate::base::to_text(&value)),
            Err(error) => {
                self.session.fail(error);
                Ok(())
            }
        }
    }
}

/// `omit`: what it is the value of is left out.
#[derive(Debug)]
pub(super) struct Omit;

impl Object for Omit {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
