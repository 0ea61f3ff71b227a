//! Roles in the plan: which variables their tasks see, what they show to the rest of the play, and their handlers.

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;

use super::compile::Compiler;
use super::{Exports, Item, Keywords, Layer, RoleItems};
use crate::base::Node;
use crate::playbook;

/// The role that a task stands in.
#[derive(Debug)]
pub(crate) struct RolePlace {
    /// Its name.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) path: PathBuf,
    /// The roles around it, the outermost first.
    pub(crate) parents: Vec<Arc<RolePlace>>,
    /// Whether a task asked for it, not a list of roles.
    pub(crate) include: bool,
    /// Defaults that its tasks see: those of what it depends on, of the roles around it, and its own.
    pub(crate) defaults: Layer,
    /// Variables that its tasks see, likewise.
    pub(crate) vars: Layer,
    /// Parameters, of the roles around it too.
    pub(crate) params: Layer,
    /// Two calls with the same text are the same call.
    pub(crate) identity: String,
    /// Whether it runs again where it ran already.
    pub(crate) duplicates: bool,
    own: Own,
}

/// What stands in the role itself.
#[derive(Debug)]
struct Own {
    defaults: Layer,
    /// Below `vars/`.
    vars: Layer,
    /// `vars:` beside its name.
    beside: Layer,
    params: Layer,
}

impl RolePlace {
    /// Folders of the roles that a task stands in, the outermost first.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        self.parents.iter().map(|parent| parent.path.clone()).chain([self.path.clone()]).collect()
    }
}

/// Handlers that are compiled when the tasks are.
pub(super) struct Waiting {
    role: Arc<playbook::Role>,
    keywords: Arc<Keywords>,
}

/// What the roles of a play leave for the rest of it.
#[derive(Default)]
pub(super) struct Roles {
    exports: Vec<(bool, Exports)>,
    waiting: Vec<Waiting>,
}

impl Compiler<'_> {
    /// Compiles a role: what it depends on, then its own tasks. `own`: the keywords of the task that asks for it.
    pub(crate) fn role(
        &mut self,
        role: &Arc<playbook::Role>,
        outer: &Arc<Keywords>,
        own: Option<&playbook::Keywords>,
        handlers: bool,
    ) -> Vec<Item> {
        let mut keywords = match own {
            Some(own) => self.inherit(outer, own, true),
            None => (**outer).clone(),
        };
        keywords = self.inherit(&keywords, &role.keywords, false);
        let place = self.place(role, outer.role.as_ref());
        keywords.role = Some(Arc::clone(&place));
        let keywords = Arc::new(keywords);
        let mut items = Vec::new();
        for dependency in &role.dependencies {
            items.extend(self.role(dependency, &keywords, None, handlers));
        }
        let exported = role.public.unwrap_or(!role.include);
        let listed = outer.role.is_none() || role.include;
        if listed && exported {
            let export = self.export(role);
            self.roles.exports.push((role.include, export));
        }
        self.roles.waiting.push(Waiting { role: Arc::clone(role), keywords: Arc::clone(&keywords) });
        let inner = self.items(&role.tasks, &keywords, handlers);
        if !inner.is_empty() {
            items.push(Item::Role(Arc::new(RoleItems { place, items: inner })));
        }
        items
    }

    /// What a role shows to the rest of the play.
    pub(crate) fn export(&mut self, role: &playbook::Role) -> Exports {
        let mut exports = Exports { names: vec![role.name.clone()], ..Exports::default() };
        let (mut defaults, mut vars) = (IndexMap::new(), IndexMap::new());
        self.gather_exports(role, &mut defaults, &mut vars, &mut exports.dependencies);
        exports.dependencies.pop();
        (exports.defaults, exports.vars) = (Arc::new(defaults), Arc::new(vars));
        exports
    }

    fn gather_exports(
        &mut self,
        role: &playbook::Role,
        defaults: &mut IndexMap<String, Arc<Node>>,
        vars: &mut IndexMap<String, Arc<Node>>,
        names: &mut Vec<String>,
    ) {
        for dependency in &role.dependencies {
            self.gather_exports(dependency, defaults, vars, names);
        }
        merge(defaults, &self.mappings(&role.defaults));
        merge(vars, &self.mappings(&role.vars));
        names.push(role.name.clone());
    }

    fn place(&mut self, role: &playbook::Role, parent: Option<&Arc<RolePlace>>) -> Arc<RolePlace> {
        let parents: Vec<Arc<RolePlace>> = parent
            .map(|parent| parent.parents.iter().cloned().chain([Arc::clone(parent)]).collect())
            .unwrap_or_default();
        let beside = role.keywords.get("vars").and_then(|vars| self.layer(vars)).unwrap_or_default();
        for (_, value) in &role.params {
            self.check(value);
        }
        let params =
            role.params.iter().map(|(key, value)| (crate::base::to_text(&key.to_value()), Arc::new(value.clone())));
        let own = Own {
            defaults: self.mappings(&role.defaults),
            vars: self.mappings(&role.vars),
            beside,
            params: Arc::new(params.collect()),
        };
        let (mut defaults, mut vars, mut params) = (IndexMap::new(), IndexMap::new(), IndexMap::new());
        let (mut below, mut ignored) = (IndexMap::new(), Vec::new());
        for dependency in &role.dependencies {
            self.gather_exports(dependency, &mut defaults, &mut below, &mut ignored);
        }
        for parent in &parents {
            merge(&mut defaults, &parent.own.defaults);
            merge(&mut vars, &parent.own.beside);
            merge(&mut vars, &parent.own.vars);
            merge(&mut params, &parent.own.params);
        }
        vars.extend(below);
        merge(&mut defaults, &own.defaults);
        merge(&mut vars, &own.vars);
        merge(&mut vars, &own.beside);
        merge(&mut params, &own.params);
        Arc::new(RolePlace {
            name: role.name.clone(),
            path: role.path.clone(),
            parents,
            include: role.include,
            defaults: Arc::new(defaults),
            vars: Arc::new(vars),
            params: Arc::new(params),
            identity: role.identity.clone(),
            duplicates: role.duplicates,
            own,
        })
    }

    /// Mappings as one, the later ones over those before.
    fn mappings(&mut self, nodes: &[Node]) -> Layer {
        let mut layer = IndexMap::new();
        for (key, value) in nodes.iter().filter_map(Node::as_map).flatten() {
            self.check(value);
            layer.insert(crate::base::to_text(&key.to_value()), Arc::new(value.clone()));
        }
        Arc::new(layer)
    }

    /// Handlers of the roles that were compiled since this was asked last: those of lists of roles, and those that tasks asked for.
    pub(crate) fn role_handlers(&mut self) -> [Vec<Item>; 2] {
        let mut handlers = [Vec::new(), Vec::new()];
        while !self.roles.waiting.is_empty() {
            for Waiting { role, keywords } in std::mem::take(&mut self.roles.waiting) {
                let items = self.items(&role.handlers, &keywords, true);
                let [listed, asked] = &mut handlers;
                let asked_for = keywords
                    .role
                    .as_ref()
                    .is_some_and(|place| place.include || place.parents.iter().any(|parent| parent.include));
                if asked_for { asked.extend(items) } else { listed.extend(items) }
            }
        }
        handlers
    }

    /// What the roles compiled since this was asked last show to the rest of the play.
    pub(crate) fn exports(&mut self) -> Exports {
        let mut all = std::mem::take(&mut self.roles.exports);
        all.sort_by_key(|(include, _)| *include);
        let mut sum = Exports::default();
        let (mut defaults, mut vars) = (IndexMap::new(), IndexMap::new());
        for (_, export) in all {
            merge(&mut defaults, &export.defaults);
            merge(&mut vars, &export.vars);
            sum.names.extend(export.names);
            sum.dependencies.extend(export.dependencies);
        }
        (sum.defaults, sum.vars) = (Arc::new(defaults), Arc::new(vars));
        sum
    }
}

fn merge(into: &mut IndexMap<String, Arc<Node>>, from: &Layer) {
    into.extend(from.iter().map(|(name, value)| (name.clone(), Arc::clone(value))));
}
