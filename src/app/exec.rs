//! `stagger exec PATTERN -m MODULE -a ARGS`: one module on the hosts of a pattern.

use std::path::PathBuf;

use super::session::{How, Session};
use crate::base::{Node, Span};
use crate::cli::{ExecRequest, Exit, Rules};
use crate::modules;
use crate::plan::{Compiler, Selection};
use crate::playbook::{Entry, Keywords, Play, Playbook, Task};

/// Runs one module.
pub(super) fn run(request: &ExecRequest) -> Exit {
    let mut session = Session::open_lazily(&request.common);
    super::warn_all(&request.common.warnings);
    let directory = request.playbook_dir.clone().unwrap_or_else(|| PathBuf::from("."));
    if let Some(folder) = &request.playbook_dir {
        session.beside(std::slice::from_ref(folder));
    }
    let module = if request.module.is_empty() { session.config.module_name.clone() } else { request.module.clone() };
    let named = |name: &str, text: &str| {
        let source = session.sources.add(name, text);
        Span { source, start: 0, end: u32::try_from(text.len()).unwrap_or(u32::MAX) }
    };
    let (module_span, arguments_span) = (named("--module-name", &module), named("--args", &request.arguments));
    let pattern_span = named("the host pattern", &request.pattern);
    let arguments = match request.arguments.trim() {
        // Hosts can be listed without saying what is to be done there.
        "" if request.list_hosts && request.module.is_empty() => Node::string("true", module_span),
        "" => Node { kind: crate::base::NodeKind::Null, span: module_span },
        text if text.starts_with('{') => {
            let (node, wrong) = crate::yaml::parse(&session.sources, arguments_span.source);
            session.wrong.extend(wrong);
            node.unwrap_or_else(|| Node::string(request.arguments.as_str(), arguments_span))
        }
        _ => Node::string(request.arguments.as_str(), arguments_span),
    };
    let mut keywords = Keywords::default();
    keywords.push("hosts", pattern_span, Node::string(request.pattern.as_str(), pattern_span));
    let title = format!("{} on {}", module, request.pattern);
    keywords.push("name", pattern_span, Node::string(title.as_str(), Span::NONE));
    let task = Task {
        span: module_span,
        module: module.clone(),
        module_span,
        arguments,
        more: None,
        keywords: Keywords::default(),
        undo: Vec::new(),
        directory: directory.clone(),
    };
    let mut task = task;
    if request.looks {
        task.keywords.push(
            "changed_when",
            module_span,
            Node { kind: crate::base::NodeKind::Bool(false), span: module_span },
        );
    }
    let play = Play {
        span: pattern_span,
        directory,
        keywords,
        imported_with: Vec::new(),
        roles: Vec::new(),
        pre_tasks: Vec::new(),
        tasks: vec![Entry::Task(Box::new(task))],
        post_tasks: Vec::new(),
        handlers: Vec::new(),
    };
    let engine = std::sync::Arc::clone(&session.engine);
    let selection = Selection::default();
    let mut compiler = Compiler::new(&engine, &selection, 0);
    let plan = compiler.plan(&Playbook { plays: vec![play] });
    let (wrong, next_task) = compiler.finish();
    session.wrong.extend(wrong);
    let selected = session.inventory.select_with(&request.pattern, session.strictness());
    let (hosts, exit) = match selected {
        Ok(selected) => {
            for warning in &selected.warnings {
                super::complain(&format!("[WARNING]: {warning}\n"));
            }
            (selected.hosts, None)
        }
        Err(error) => {
            session.wrong.push(error.diagnostic(pattern_span));
            (Vec::new(), Some(Exit::NoTarget))
        }
    };
    if !request.list_hosts {
        session.needs(&hosts);
    }
    if let Some(input) = session.complain() {
        return exit.unwrap_or(input);
    }
    let Some(hosts) = session.limited(&hosts) else { return Exit::NoTarget };
    if request.list_hosts {
        let lines: String = hosts.iter().map(|host| format!("    {host}\n")).collect();
        super::print(&format!("  hosts ({}):\n{lines}", hosts.len()));
        return Exit::Ok;
    }
    if hosts.is_empty() {
        let message = format!("error: `{}` names no host\n", request.pattern);
        return match request.common.rules {
            Rules::Stagger => {
                super::complain(&message);
                Exit::NoTarget
            }
            Rules::Ansible => {
                super::complain("[WARNING]: No hosts matched, nothing to do\n");
                Exit::Ok
            }
        };
    }
    if modules::find(&module).is_some_and(|spec| spec.name == "meta") {
        super::complain("error: `meta` changes the course of a playbook; on its own it does nothing\n");
        return Exit::Usage;
    }
    let how = How {
        title,
        one_off: true,
        one_line: request.one_line,
        task_timeout: request.task_timeout,
        next_task,
        ..How::default()
    };
    session.execute(&request.common, plan, how)
}
