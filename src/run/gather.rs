//! Facts of hosts: gathered at a play's start, when something refers to one, or anew for what moves in a cluster.

use std::sync::Arc;

use super::Run;
use super::host::Host;
use super::play::{PlayRun, said};
use super::render::{Room, Trouble};
use crate::base::{Map, Node, Span, TaskId, Value, to_text};
use crate::modules::{self, Failure, to_bool};
use crate::plan::{Keywords, Play, Task};
use crate::template::Expression;

impl Run {
    pub(super) async fn wants_facts(self: &Arc<Self>, play: &Arc<PlayRun>) -> bool {
        match &play.plan.gather_facts {
            Some(node) => {
                let nobody = Arc::new(Host::new("(no host)"));
                let value = self.bare(&play.plan, &nobody).render(node).await.ok();
                value.and_then(|value| to_bool(&value)).unwrap_or(false)
            }
            None => self.options.gather,
        }
    }

    /// The value of an expression for each host in their order, with facts of the cluster asked anew; empty without one.
    pub(super) async fn values_of(
        self: &Arc<Self>,
        play: &Arc<PlayRun>,
        expression: Option<&Expression>,
        hosts: &[Arc<Host>],
        keyword: &str,
    ) -> Result<Vec<Value>, String> {
        let Some(expression) = expression else { return Ok(Vec::new()) };
        // Leaders move: what an expression says of the cluster is looked at again.
        for module in
            modules::LIVE_FACTS.iter().filter(|live| expression.names().iter().any(|name| name == live.variable))
        {
            self.refresh(play, module.module, hosts).await?;
        }
        let mut values = Vec::new();
        for host in hosts {
            let room = Room::new(self, host, Some(play));
            let value = room.evaluate(expression).await.map_err(|trouble| {
                format!("`{keyword}: {}` can't be worked out for {}: {}", expression.text(), host.name, said(&trouble))
            })?;
            values.push(value);
        }
        Ok(values)
    }

    /// Asks a module of facts on hosts, without a task of the playbook.
    pub(super) async fn refresh(
        self: &Arc<Self>,
        play: &Arc<PlayRun>,
        module: &str,
        hosts: &[Arc<Host>],
    ) -> Result<(), String> {
        let Some(task) = module_task(&play.plan, module, Map::new()).map(Arc::new) else {
            return Err(format!("there is no module `{module}`"));
        };
        let asked = hosts.iter().map(|host| self.facts_of(&task, host, Some(play)));
        for outcome in futures::future::join_all(asked).await {
            outcome.map_err(|trouble| format!("`{module}`: {}", said(&trouble)))?;
        }
        Ok(())
    }

    /// Gathers the facts of a host because something refers to them; false when it has them already.
    pub(super) async fn gather(self: &Arc<Self>, name: &str, play: Option<&Arc<PlayRun>>) -> Result<bool, Trouble> {
        let host = self.hosts.get(name);
        if host.state().gathered {
            return Ok(false);
        }
        let plan = match play {
            Some(play) => Arc::clone(&play.plan),
            None => return Ok(false),
        };
        let Some(task) = gathering(&plan) else { return Ok(false) };
        Box::pin(self.facts_of(&task, &host, play)).await.map_err(|trouble| match trouble {
            Trouble::Failed(failure) => Trouble::Failed(Failure {
                message: format!("the facts of {name} can't be gathered: {}", failure.message),
                ..failure
            }),
            unknown => unknown,
        })?;
        host.state().gathered = true;
        Ok(true)
    }

    /// Runs a module that only looks, and keeps its facts.
    async fn facts_of(
        self: &Arc<Self>,
        task: &Arc<Task>,
        host: &Arc<Host>,
        play: Option<&Arc<PlayRun>>,
    ) -> Result<(), Trouble> {
        let room = Room::new(self, host, play);
        let mut task = super::attempt::HostTask {
            run: Arc::clone(self),
            room,
            task: Arc::clone(task),
            key: crate::event::TaskKey {
                play: play.map_or(crate::base::PlayId(0), |play| play.plan.id),
                batch: 0,
                task: task.id,
                pass: 0,
            },
            host: Arc::clone(host),
            target: Arc::clone(host),
            check: false,
            glance: false,
            diff: false,
            no_log: false,
            timeout: self.options.task_timeout,
            detach: None,
            item: 0,
            quiet: false,
            undoing: false,
        };
        let result = task.run().await;
        if result.status.ends_host() {
            return Err(Trouble::Failed(Failure { message: result.message, result: result.result }));
        }
        if let Some(facts) = result.result.get("ansible_facts").and_then(Value::as_object) {
            host.add_facts(facts);
        }
        Ok(())
    }
}

/// The task that gathers facts at a play's start.
pub(super) fn gathering(plan: &Arc<Play>) -> Option<Arc<Task>> {
    let mut arguments = Map::new();
    if let Some(subset) = plan.options.get("gather_subset") {
        arguments.insert("gather_subset".to_owned(), subset.to_value());
    }
    module_task(plan, "setup", arguments).map(|task| {
        let name = Arc::new(Node::string("Gathering Facts", plan.span));
        Arc::new(Task { name: Some(name), ..task })
    })
}

/// A task that stands in no playbook.
fn module_task(plan: &Arc<Play>, module: &str, arguments: Map) -> Option<Task> {
    let keywords = Keywords {
        single: plan.keywords.single.clone(),
        environment: plan.keywords.environment.clone(),
        ..Keywords::default()
    };
    let arguments = Arc::new(Node::from_value(&Value::Object(arguments), plan.span));
    Some(Task {
        span: plan.span,
        arguments,
        keywords: Arc::new(keywords),
        directory: plan.directory.clone(),
        ..bare_task(module)?
    })
}

/// A task of no play: a module without arguments.
pub(super) fn bare_task(module: &str) -> Option<Task> {
    Some(Task {
        id: TaskId(u32::MAX),
        name: None,
        span: Span::NONE,
        module: modules::find(module)?,
        arguments: Arc::new(Node::from_value(&Value::Object(Map::new()), Span::NONE)),
        keywords: Arc::default(),
        register: None,
        repeat: None,
        until: Vec::new(),
        retries: None,
        delay: None,
        detach: None,
        changed_when: None,
        failed_when: None,
        listen: Vec::new(),
        directory: std::path::PathBuf::new(),
        handler: false,
        undo: Vec::new(),
    })
}

/// The order of values: nothing, false, true, numbers, texts; hosts without a value first.
pub(super) fn compare(a: Option<&Value>, b: Option<&Value>) -> std::cmp::Ordering {
    fn rank(value: Option<&Value>) -> u8 {
        match value {
            None | Some(Value::Null) => 0,
            Some(Value::Bool(false)) => 1,
            Some(Value::Bool(true)) => 2,
            Some(Value::Number(_)) => 3,
            _ => 4,
        }
    }
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().unwrap_or(0.0).total_cmp(&b.as_f64().unwrap_or(0.0))
        }
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(a @ (Value::Array(_) | Value::Object(_))), Some(b @ (Value::Array(_) | Value::Object(_)))) => {
            to_text(a).cmp(&to_text(b))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_leader_comes_last_and_numbers_are_numbers() {
        let mut values = vec![json!(true), json!(false), json!(null)];
        values.sort_by(|a, b| compare(Some(a), Some(b)));
        assert_eq!(values, [json!(null), json!(false), json!(true)]);
        let mut values = vec![json!(10), json!(9), json!("a")];
        values.sort_by(|a, b| compare(Some(a), Some(b)));
        assert_eq!(values, [json!(9), json!(10), json!("a")]);
    }
}
