//! A task's arguments, worked out for one host.

use super::render::{Room, Trouble};
use crate::base::{Map, Node, NodeKind, Value};
use crate::modules::{self, Failure, ModuleSpec, OptKind};
use crate::plan::Task;

impl Room {
    /// All arguments of a task.
    pub(super) async fn arguments(&self, task: &Task) -> Result<Map, Trouble> {
        let mut rendered = Map::new();
        for (key, value) in task.arguments.as_map().unwrap_or_default() {
            let name = self.text(key).await?;
            if let Some(value) = self.argument(task.module, &name, value).await? {
                rendered.insert(name, value);
            }
        }
        Ok(rendered)
    }

    /// One argument; `None` when `omit` leaves it out. An expression stays as it is written: its module evaluates it.
    pub(super) async fn argument(
        &self,
        spec: &'static ModuleSpec,
        name: &str,
        value: &Node,
    ) -> Result<Option<Value>, Trouble> {
        if is_expression(spec, name) {
            return Ok(Some(value.to_value()));
        }
        // One option at a time inside a mapping, so that `omit` can leave the option out.
        let single =
            Node { kind: NodeKind::Map(vec![(Node::string("v", value.span), value.clone())]), span: value.span };
        match self.render(&single).await {
            Ok(Value::Object(mut map)) => Ok(map.remove("v")),
            Ok(other) => Ok(Some(other)),
            Err(trouble) => Err(self.at(trouble, spec, name, value)),
        }
    }

    fn at(&self, trouble: Trouble, spec: &'static ModuleSpec, option: &str, value: &Node) -> Trouble {
        match trouble {
            Trouble::Failed(failure) => {
                let place = self.run.sources.place(value.span);
                let place = if place.is_empty() { String::new() } else { format!(" ({place})") };
                let message = format!("`{option}` of `{}` can't be rendered: {}{place}", spec.name, failure.message);
                Trouble::Failed(Failure { message, ..failure })
            }
            unknown => unknown,
        }
    }
}

/// Whether an option holds expressions.
pub(super) fn is_expression(spec: &'static ModuleSpec, name: &str) -> bool {
    modules::find_option(spec, name).is_some_and(|option| option.kind == OptKind::Expression)
}
