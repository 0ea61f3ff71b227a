//! The page of a module.

use std::fmt::Write as _;

use serde_json::json;

use super::text::{sentence, wrap};
use crate::base::{Map, Value};
use crate::modules::{ModuleSpec, Opt, OptKind, Rule, only_looks};

/// What an option takes, in a word or two.
fn type_of(kind: OptKind) -> &'static str {
    match kind {
        OptKind::Text => "text",
        OptKind::Choice(_) => "choice",
        OptKind::Path => "path on the host",
        OptKind::LocalPath => "path here",
        OptKind::Bool => "boolean",
        OptKind::Int => "whole number",
        OptKind::Duration => "duration",
        OptKind::List => "list",
        OptKind::Mapping => "mapping",
        OptKind::Mode => "mode",
        OptKind::Any => "anything",
        OptKind::Expression => "expression",
    }
}

fn rule(rule: &Rule) -> String {
    let words = |names: &[&str]| names.join(", ");
    match rule {
        Rule::OneOf(names) => format!("one of {} must be given", words(names)),
        Rule::AtMostOne(names) => format!("at most one of {} may be given", words(names)),
        Rule::Needs(first, second) => format!("{first} needs {second}"),
        Rule::When(option, value, names) => format!("with {option}={value}, {} must be given", words(names)),
    }
}

/// As text, in 80 columns.
pub(super) fn text(spec: &ModuleSpec) -> String {
    let aliases = if spec.aliases.is_empty() { String::new() } else { format!("; also: {}", spec.aliases.join(", ")) };
    let mut out = wrap(&format!("{} (module{aliases})", spec.name), 0);
    out.push_str(&wrap(&sentence(spec.summary), 2));
    if only_looks(spec.name) {
        out.push_str("  It changes nothing on hosts.\n");
    }
    if let Some(free) = spec.free_form {
        out.push_str(&wrap(&format!("Text after `{}:` goes to `{free}`.", spec.name), 2));
    }
    if spec.open {
        out.push_str("  It takes any other keys, too.\n");
    }
    let (known, refused): (Vec<&Opt>, Vec<&Opt>) = spec.options.iter().partition(|option| option.refused.is_none());
    if !known.is_empty() {
        out.push_str("\nOptions (* must be given):\n");
    }
    for option in known {
        let mark = if option.required { '*' } else { ' ' };
        let _ = writeln!(out, "{mark} {}  <{}>", option.name, type_of(option.kind));
        let mut facts = Vec::new();
        if let OptKind::Choice(words) = option.kind {
            facts.push(format!("choices: {}", words.join(", ")));
        }
        facts.extend(option.default.map(|default| format!("default: {}", shown(default))));
        if !option.aliases.is_empty() {
            facts.push(format!("also: {}", option.aliases.join(", ")));
        }
        let facts = if facts.is_empty() { String::new() } else { format!(" [{}]", facts.join("; ")) };
        out.push_str(&wrap(&format!("{}{facts}", sentence(option.about)), 6));
    }
    if !spec.rules.is_empty() {
        out.push_str("\nTogether:\n");
        spec.rules.iter().for_each(|one| out.push_str(&wrap(&sentence(&rule(one)), 2)));
    }
    if !refused.is_empty() {
        out.push_str("\nOptions of Ansible's module that are refused:\n");
        for option in refused {
            out.push_str(&wrap(&format!("{}: {}", option.name, option.refused.unwrap_or_default()), 2));
        }
    }
    out
}

/// A default as it would be written; nothing at all as quotes.
fn shown(default: &str) -> String {
    if default.is_empty() { "''".to_owned() } else { default.replace('\n', "\\n") }
}

/// As data.
pub(super) fn json(spec: &ModuleSpec) -> Value {
    let options: Map = spec
        .options
        .iter()
        .map(|option| {
            let choices = match option.kind {
                OptKind::Choice(words) => json!(words),
                _ => Value::Null,
            };
            let page = json!({
                "type": type_of(option.kind),
                "required": option.required,
                "default": option.default,
                "choices": choices,
                "aliases": option.aliases,
                "description": option.about,
                "refused": option.refused,
            });
            (option.name.to_owned(), page)
        })
        .collect();
    json!({
        "kind": "module",
        "name": spec.name,
        "aliases": spec.aliases,
        "description": spec.summary,
        "changes": !only_looks(spec.name),
        "free_form": spec.free_form,
        "open": spec.open,
        "options": options,
        "rules": spec.rules.iter().map(rule).collect::<Vec<_>>(),
    })
}
