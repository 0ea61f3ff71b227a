//! `import_role` and `include_role` as tasks.

use std::path::Path;

use super::keywords::Level;
use super::load::Loader;
use super::role::RoleCall;
use super::{Entry, Include, Keywords, RoleWish};
use crate::base::{Node, NodeKind, Span, Value};
use crate::diag::{Diagnostic, did_you_mean};

/// What both take.
const OPTIONS: &[&str] = &[
    "name",
    "role",
    "tasks_from",
    "vars_from",
    "defaults_from",
    "handlers_from",
    "public",
    "allow_duplicates",
    "rolespec_validate",
];

/// The task's options, taken apart.
struct Asked {
    name: Node,
    wish: RoleWish,
    apply: Keywords,
}

impl Loader<'_> {
    pub(super) fn import_role(&mut self, map: &[(Node, Node)], key: &Node, value: &Node) -> Option<Entry> {
        let keywords = self.beside_role(map, key);
        if let Some(span) = keywords.looped() {
            self.wrong.push(Diagnostic::error("`import_role` can't have a `loop`", span).help("use `include_role`"));
        }
        let asked = self.asked("import_role", key.span, value, &keywords)?;
        let call = literal(&asked, true);
        let mut own = Keywords::default();
        if let Some(vars) = keywords.get("vars") {
            own.push("vars", vars.span, vars.clone());
        }
        let role = self.role(&call, own, Vec::new())?;
        Some(Entry::Role(role, keywords))
    }

    pub(super) fn include_role(
        &mut self,
        item: &Node,
        map: &[(Node, Node)],
        key: &Node,
        value: &Node,
        directory: &Path,
    ) -> Option<Entry> {
        let keywords = self.beside_role(map, key);
        let asked = self.asked("include_role", key.span, value, &keywords)?;
        // A role whose name is known is read now too, so that its mistakes are seen before any connection.
        let written = |node: &Node| node.as_str().is_some_and(|text| !text.contains("{{") && !text.contains("{%"));
        let known = written(&asked.name) && asked.wish.from.iter().all(|(_, file)| written(file));
        let call = literal(&asked, false);
        let folder = if known { Some(self.role_folder(&call)?) } else { None };
        if folder.is_some_and(|path| !self.role_stack.contains(&path)) {
            let role = self.role(&call, Keywords::default(), Vec::new())?;
            if !self.checked_roles.contains(&role.identity) {
                self.checked_roles.push(role.identity.clone());
                self.checked.push(vec![Entry::Role(role, Keywords::default())]);
            }
        }
        Some(Entry::Include(Box::new(Include {
            span: item.span,
            file: asked.name,
            role: Some(asked.wish),
            apply: asked.apply,
            keywords,
            directory: directory.to_owned(),
        })))
    }

    fn beside_role(&mut self, map: &[(Node, Node)], key: &Node) -> Keywords {
        let mut keywords = Keywords::default();
        for (inner, value) in map.iter().filter(|(inner, _)| inner.span != key.span) {
            self.keyword(&mut keywords, inner, value, Level::Include);
        }
        keywords
    }

    fn asked(&mut self, task: &str, span: Span, value: &Node, keywords: &Keywords) -> Option<Asked> {
        let mut asked =
            Asked { name: Node { kind: NodeKind::Null, span }, wish: RoleWish::default(), apply: Keywords::default() };
        let mut written: Vec<(Node, Node)> = Vec::new();
        match &value.kind {
            NodeKind::Map(map) => written.extend(map.iter().cloned()),
            NodeKind::String { text, .. } => {
                // `include_role: name=x tasks_from=y`.
                for word in shlex::split(text).unwrap_or_default() {
                    if let Some((name, value)) = word.split_once('=') {
                        written.push((Node::string(name, span), Node::string(value, span)));
                    }
                }
            }
            _ => {}
        }
        written.extend(keywords.get("args").and_then(Node::as_map).unwrap_or_default().iter().cloned());
        for (key, value) in &written {
            let name = key.as_str().unwrap_or_default();
            match name {
                "name" | "role" => asked.name = value.clone(),
                "tasks_from" => self.from(&mut asked, "tasks", name, value),
                "vars_from" => self.from(&mut asked, "vars", name, value),
                "defaults_from" => self.from(&mut asked, "defaults", name, value),
                "handlers_from" => self.from(&mut asked, "handlers", name, value),
                "public" => asked.wish.public = self.flag(name, value),
                "allow_duplicates" => asked.wish.duplicates = self.flag(name, value),
                "rolespec_validate" => asked.wish.validate = self.flag(name, value),
                "apply" if task == "include_role" => {
                    for (key, value) in value.as_map().unwrap_or_default() {
                        self.keyword(&mut asked.apply, key, value, Level::Block);
                    }
                }
                "apply" => {
                    let message = "`import_role` has no `apply`: what stands beside it holds for all of its tasks";
                    self.wrong.push(Diagnostic::error(message, key.span));
                }
                other => {
                    let diagnostic = Diagnostic::error(format!("unknown option `{other}` for `{task}`"), key.span);
                    self.wrong.push(match did_you_mean(other, OPTIONS.iter().copied()) {
                        Some(meant) => diagnostic.label(format!("did you mean `{meant}`?")),
                        None => diagnostic.help(format!("options: {}", OPTIONS.join(", "))),
                    });
                }
            }
        }
        if asked.name.as_str().is_none_or(str::is_empty) {
            let message = format!("`{task}` needs the name of a role");
            self.wrong.push(Diagnostic::error(message, span).help(format!("for example: `{task}: {{name: common}}`")));
            return None;
        }
        Some(asked)
    }

    fn from(&mut self, asked: &mut Asked, folder: &'static str, option: &str, value: &Node) {
        if value.as_str().is_none() {
            let message = format!("`{option}` is the name of a file, not {}", value.type_name());
            self.wrong.push(Diagnostic::error(message, value.span));
            return;
        }
        asked.wish.from.push((folder, value.clone()));
    }

    fn flag(&mut self, option: &str, value: &Node) -> Option<bool> {
        let known = match value.to_value() {
            Value::Bool(known) => Some(known),
            Value::String(text) => match text.to_lowercase().as_str() {
                "yes" | "true" | "on" | "1" => Some(true),
                "no" | "false" | "off" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if known.is_none() {
            let message = format!("`{option}` is true or false, without templates");
            self.wrong.push(Diagnostic::error(message, value.span));
        }
        known
    }
}

fn literal(asked: &Asked, public: bool) -> RoleCall {
    RoleCall {
        name: asked.name.as_str().unwrap_or_default().to_owned(),
        span: asked.name.span,
        from: asked.wish.from.iter().filter_map(|(folder, file)| Some((*folder, file.as_str()?.to_owned()))).collect(),
        include: true,
        public: asked.wish.public.or(Some(public)),
        duplicates: asked.wish.duplicates,
        validate: asked.wish.validate.unwrap_or(true),
    }
}
