//! What a host's tasks look like before anything is asked of it: variables of inventory, playbook and command line are
//! known; facts, results of other tasks and what a loop gives are not, and are said so.

use std::path::PathBuf;
use std::sync::Arc;

use super::session::Session;
use crate::base::{Node, Scope, Value, Var, to_text};
use crate::diag::names_secret;
use crate::inventory::Variables;
use crate::plan::{Condition, Layer, Play, Task};

/// A host's variables at a task.
struct Still {
    host: String,
    groups: Vec<String>,
    directory: PathBuf,
    extra: Layer,
    /// Of the task, the nearest last, then of includes.
    layers: Vec<Layer>,
    defaults: Layer,
    play: Layer,
    inventory: Arc<Variables>,
}

impl Scope for Still {
    fn variable(&self, name: &str) -> Option<Var> {
        let written = |layer: &Layer| layer.get(name).map(|node| Var::Written(Arc::clone(node)));
        match name {
            "inventory_hostname" => return Some(Var::data(self.host.as_str())),
            "inventory_hostname_short" => return Some(Var::data(self.host.split('.').next().unwrap_or_default())),
            "group_names" => return Some(Var::data(Value::from(self.groups.clone()))),
            "playbook_dir" => return Some(Var::data(self.directory.display().to_string())),
            _ => {}
        }
        let found = written(&self.extra).or_else(|| self.layers.iter().rev().find_map(written));
        let found = found.or_else(|| written(&self.play));
        let found = found.or_else(|| self.inventory.get(name).map(|node| Var::Written(Arc::clone(node))));
        let found = found.or_else(|| written(&self.defaults));
        Some(found.unwrap_or_else(|| Var::Unknown(format!("`{name}` is known when it runs").into())))
    }

    fn names(&self) -> Vec<String> {
        self.inventory.keys().cloned().collect()
    }
}

/// One task as text: comments, and a command where it is one.
pub(super) fn task(session: &Session, play: &Play, host: &str, task: &Task) -> String {
    let keywords = &task.keywords;
    let scope: Arc<dyn Scope> = Arc::new(Still {
        host: host.to_owned(),
        groups: session.inventory.groups_of(host),
        directory: play.directory.clone(),
        extra: Arc::clone(&session.extra),
        layers: {
            let role = keywords.role.as_ref();
            let (vars, params) = (role.map(|role| &role.vars), role.map(|role| &role.params));
            vars.into_iter().chain(&keywords.vars).chain(params).chain(&keywords.parameters).cloned().collect()
        },
        defaults: keywords
            .role
            .as_ref()
            .map_or_else(|| Arc::clone(&play.exports.defaults), |role| Arc::clone(&role.defaults)),
        play: Arc::clone(&play.vars),
        inventory: session.inventory.variables(host, Some(&play.directory)),
    });
    let render = |node: &Node| session.engine.render(node, &scope).ok();
    // What can't be known is shown as it is written.
    let text = |node: &Node| to_text(&render(node).unwrap_or_else(|| node.to_value()));
    let place = session.sources.place(task.span);
    let place = place.rsplit_once(':').map_or(place.as_str(), |(place, _)| place);
    let name = task.name.as_ref().map_or_else(|| task.title(), |name| task.titled(text(name)));
    let mut lines = vec![format!("# {place}  {name}")];
    for condition in &keywords.when {
        match condition {
            Condition::Constant(true) => {}
            Condition::Constant(false) => return lines.concat() + ": skipped, its condition is false\n",
            Condition::Expression(expression) => match session.engine.condition(expression, &scope) {
                Ok(true) => {}
                Ok(false) => return format!("{}: skipped, `{}` is false\n", lines.concat(), expression.text()),
                Err(_) => lines.push(format!("#   only if {}", expression.text())),
            },
        }
    }
    if let Some(repeat) = &task.repeat {
        lines.push(format!("#   for each {} of {}", repeat.variable, text(&repeat.items)));
    }
    let is = |name: &str| keywords.get(name).map(|node| render(node).is_none_or(|value| value != Value::Bool(false)));
    if is("no_log") == Some(true) {
        lines.push("#   what it does is hidden by `no_log`".to_owned());
        return lines.join("\n") + "\n";
    }
    if let Some(target) = keywords.get("delegate_to") {
        lines.push(format!("#   on {}", text(target)));
    }
    let other = match is("become") {
        Some(true) => keywords.get("become_user").map_or_else(|| "root".to_owned(), |user| text(user)),
        _ => String::new(),
    };
    let sudo = if other.is_empty() { String::new() } else { format!("sudo -u {} ", crate::base::quote(&other)) };
    let arguments = task.arguments.as_map().unwrap_or_default();
    let argument = |name: &str| arguments.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value);
    let command = ["cmd", "_raw_params", "free_form"].into_iter().find_map(argument);
    match (task.module.name, command) {
        ("command" | "shell" | "raw", Some(command)) => {
            let known = render(command).is_some();
            let typed = text(command);
            let typed = match (task.module.name, sudo.is_empty()) {
                ("command", _) | (_, true) => format!("{sudo}{typed}"),
                _ => format!("{sudo}sh -c {}", crate::base::quote(&typed)),
            };
            for (key, value) in
                arguments.iter().filter(|(key, _)| matches!(key.as_str(), Some("chdir" | "creates" | "removes")))
            {
                lines.push(format!("#   {}: {}", key.as_str().unwrap_or_default(), text(value)));
            }
            match known {
                true => lines.push(typed),
                // Not to be typed as it stands: a part of it is only known when it runs.
                false => lines.extend(typed.lines().map(|line| format!("#   not known before it runs: {line}"))),
            }
        }
        (module, _) => {
            let shown = arguments.iter().map(|(key, value)| {
                let key = key.as_str().unwrap_or_default();
                let value = if names_secret(key) { "…".to_owned() } else { text(value) };
                format!(" {key}={}", crate::base::quote(&value))
            });
            let shown: String = shown.collect();
            lines.extend(format!("{sudo}{module}:{shown}").lines().map(|line| format!("#   {line}")));
        }
    }
    lines.join("\n") + "\n"
}
