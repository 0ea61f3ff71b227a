//! Variables as a template sees them: written text that is rendered when used, data, or members asked for one by one.

use std::fmt::Debug;
use std::sync::Arc;

use super::{Node, Value};

/// One variable.
#[derive(Debug, Clone)]
pub(crate) enum Var {
    /// What people wrote; rendered each time it is used, in the scope of the use (Ansible's lazy `vars:`).
    Written(Arc<Node>),
    /// Data; never rendered.
    Data(Arc<Value>),
    /// A mapping whose members are found on demand (`hostvars`, `vars`, `groups`).
    Members(Arc<dyn Members>),
    /// Not known before the run (in check mode: what a task that can't be previewed would have registered).
    /// The text says why, as in "`install` would have run".
    Unknown(Arc<str>),
}

impl Var {
    /// Data.
    pub(crate) fn data(value: impl Into<Value>) -> Self {
        Self::Data(Arc::new(value.into()))
    }
}

/// A mapping whose members are found on demand.
pub(crate) trait Members: Debug + Send + Sync {
    /// One member. For `hostvars` this is a [`Var::Members`] over that host's variables, rendered in that host's scope:
    /// see [`Members::scope`].
    fn member(&self, name: &str) -> Option<Var>;
    /// The members' names in order.
    fn names(&self) -> Vec<String>;
    /// The scope in which written members are rendered; `None` means the scope of the use.
    fn scope(&self) -> Option<Arc<dyn Scope>> {
        None
    }
}

/// Where a template finds its variables.
pub(crate) trait Scope: Send + Sync {
    /// One variable by name.
    fn variable(&self, name: &str) -> Option<Var>;
    /// All names, for "did you mean" and for `vars`.
    fn names(&self) -> Vec<String>;
}
