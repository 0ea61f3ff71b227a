//! Which hosts there are, which groups they are in, and the variables that inventory and `group_vars` give them.
//!
//! Ansible's formats, rules and orders. What is unlike Ansible is stricter: a source that can't be read, a pattern that
//! matches nothing and a slice outside its group are errors, never a shrug.
//!
//! Values are kept as they are written ([`crate::base::Node`]): nothing is rendered here, nothing is decrypted, and no
//! host is spoken to. The one thing that runs is an executable inventory script, on this machine, with a deadline.
//! This room can't know facts, registered results or play variables: those lie above its levels and belong to `run`.

mod address;
mod directory;
mod graph;
mod ini;
mod literal;
mod load;
mod order;
mod pattern;
mod script;
mod select;
mod structure;
mod variables;
mod vars_files;
mod words;

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use indexmap::{IndexMap, IndexSet};

use crate::base::{Map, Node, Span};
use crate::diag::{Diagnostic, Sources};

use graph::{ALL, Graph, LOCALHOST};

pub(crate) use load::LoadOptions;
pub(crate) use order::{Order, sort};
pub(crate) use pattern::{PatternError, Strictness};
pub(crate) use vars_files::Level;

/// Variables by name, in the order in which they were first set.
pub(crate) type Variables = IndexMap<String, Arc<Node>>;

/// All hosts and groups of a run.
#[derive(Debug)]
pub(crate) struct Inventory {
    graph: Graph,
    files: vars_files::VarsFiles,
    derived: OnceLock<Derived>,
    cache: Mutex<variables::Cache>,
    left: Option<Left>,
}

/// Lists of hosts that earlier runs left (`last_failed`), asked for by name where no group or host is called so. `None`: there
/// is no such list; an error is a sentence.
pub(crate) type Leaves = dyn Fn(&str) -> Option<Result<Vec<String>, String>> + Send + Sync;

/// Hosts of a list that an inventory has, and the names that it doesn't have.
type LeftHosts = (IndexSet<u32>, Vec<String>);

/// The same, in an inventory.
struct Left(Box<Leaves>);

impl std::fmt::Debug for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("lists of earlier runs")
    }
}

/// What follows from the graph; made when first asked for, and again after a change.
#[derive(Debug)]
struct Derived {
    /// Length of the longest way from `all`, by group.
    depth: Vec<u32>,
    /// Each group's ancestors and itself.
    ancestors: Vec<Arc<[u32]>>,
    /// Each group's hosts with those of its descendants.
    members: Vec<OnceLock<Arc<[u32]>>>,
}

impl Inventory {
    /// An inventory without hosts: only `all` and `ungrouped`.
    pub(crate) fn empty(options: &LoadOptions) -> Self {
        Self {
            graph: Graph::new(options.merge_mappings),
            files: vars_files::VarsFiles::default(),
            derived: OnceLock::new(),
            cache: Mutex::default(),
            left: None,
        }
    }

    /// Lets patterns name lists of hosts that earlier runs left.
    pub(crate) fn name_lists(&mut self, leaves: Box<Leaves>) {
        self.left = Some(Left(leaves));
    }

    /// Reads all sources in order; later ones win where both set a variable.
    ///
    /// A spec is a file, a folder of files, an executable script, or names with at least one comma. The diagnostics
    /// hold everything that is wrong; with an error among them the inventory is not to be used.
    pub(crate) fn load(sources: &Sources, specs: &[String], options: &LoadOptions) -> (Self, Vec<Diagnostic>) {
        load::load(sources, specs, options)
    }

    /// Reads `group_vars/` and `host_vars/` in a folder, such as a playbook's.
    pub(crate) fn load_vars_beside(&mut self, sources: &Sources, dir: &Path, level: Level) -> Vec<Diagnostic> {
        self.files.open(dir, level);
        let found = self.files.read(sources, &self.graph);
        self.changed();
        found
    }

    /// Every host of the inventory in inventory order: `ungrouped` first, then group by group, the groups level by level.
    pub(crate) fn hosts(&self) -> Vec<&str> {
        self.names(&self.members(ALL))
    }

    /// Every group, `all` and `ungrouped` first, then in the order in which they were first named.
    pub(crate) fn groups(&self) -> Vec<&str> {
        self.graph.groups.keys().map(|name| &**name).collect()
    }

    /// A group's hosts, those of its descendants included, in inventory order. `None`: there is no such group.
    pub(crate) fn group_hosts(&self, name: &str) -> Option<Vec<&str>> {
        let index = self.graph.groups.get_index_of(name)?;
        Some(self.names(&self.members(index as u32)))
    }

    /// The hosts that a group has itself, in the order written. `None`: there is no such group.
    pub(crate) fn own_hosts(&self, name: &str) -> Option<Vec<&str>> {
        let group = self.graph.groups.get(name)?;
        Some(group.hosts.iter().map(|host| self.graph.host_name(*host)).collect())
    }

    /// A group's direct children in order. `None`: there is no such group.
    pub(crate) fn children(&self, name: &str) -> Option<Vec<&str>> {
        let group = self.graph.groups.get(name)?;
        Some(group.children.iter().map(|child| self.graph.group_name(*child)).collect())
    }

    /// The groups that a host is in, through children too, sorted, without `all`: `group_names`.
    pub(crate) fn groups_of(&self, host: &str) -> Vec<String> {
        let Some(host) = self.graph.hosts.get(host) else { return Vec::new() };
        let mut names: Vec<String> =
            self.all_groups_of(&host.groups).into_iter().map(|g| self.graph.group_name(g).to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// Whether the inventory has this host. The implicit `localhost` is not in it.
    pub(crate) fn contains(&self, host: &str) -> bool {
        self.graph.hosts.contains_key(host)
    }

    /// Whether a name that the inventory does not have stands for this machine.
    pub(crate) fn is_implicit_localhost(&self, host: &str) -> bool {
        LOCALHOST.contains(&host) && !self.contains(host)
    }

    /// The folder of the source that first named a host.
    pub(crate) fn inventory_dir(&self, host: &str) -> Option<&Path> {
        self.graph.hosts.get(host)?.origin.as_ref()?.directory.as_deref()
    }

    /// The source that first named a host: a file's path, or the comma list itself.
    pub(crate) fn inventory_file(&self, host: &str) -> Option<&str> {
        self.graph.hosts.get(host)?.origin.as_ref().map(|origin| origin.file.as_str())
    }

    /// A group's `ansible_group_priority`; 1 when it has none.
    pub(crate) fn group_priority(&self, name: &str) -> i64 {
        self.graph.groups.get(name).map_or(1, |group| group.priority)
    }

    /// Adds a host in the run (`add_host`), or adds to one: groups are made where they are missing, and the variables, which are
    /// data and never rendered, lie at the level of the inventory's own host variables. Gives whether anything
    /// changed, and what is wrong with `group_vars` files that now apply.
    pub(crate) fn add_host(
        &mut self,
        sources: &Sources,
        name: &str,
        groups: &[String],
        vars: &Map,
    ) -> (bool, Vec<Diagnostic>) {
        self.graph.origin = None;
        let before = (self.graph.hosts.len(), self.graph.groups.len());
        let host = self.graph.add_host(name, Some(ALL));
        let mut changed = before.0 != self.graph.hosts.len();
        for group in groups {
            let group = self.graph.add_group(group, Span::NONE);
            changed |= self.graph.host(host).is_some_and(|h| !h.groups.contains(&group));
            self.graph.join(host, group);
        }
        for (key, value) in vars {
            let node = Node::from_value(value, Span::NONE);
            changed |= self.graph.host(host).and_then(|h| h.variables.get(key)).is_none_or(|old| **old != node);
            self.graph.set_host_variable(host, key, &Arc::new(node));
        }
        (changed, self.settle(sources))
    }

    /// Puts a host into a group in the run (`group_by`); the group and its parents are made where they are missing.
    ///
    /// # Errors
    /// A sentence: no such host, or the parents would close a loop.
    pub(crate) fn add_to_group(
        &mut self,
        sources: &Sources,
        host: &str,
        group: &str,
        parents: &[String],
    ) -> Result<(bool, Vec<Diagnostic>), String> {
        let index = self.graph.hosts.get_index_of(host).ok_or_else(|| format!("no host is called `{host}`"))? as u32;
        let before = self.graph.groups.len();
        let group = self.graph.add_group(group, Span::NONE);
        let mut changed = before != self.graph.groups.len();
        for parent in parents {
            let parent = self.graph.add_group(parent, Span::NONE);
            changed |= self.graph.group(parent).is_some_and(|p| !p.children.contains(&group));
            self.graph.add_child(parent, group).map_err(|way| format!("groups would contain themselves: {way}"))?;
        }
        changed |= self.graph.host(index).is_some_and(|h| !h.groups.contains(&group));
        self.graph.join(index, group);
        Ok((changed, self.settle(sources)))
    }

    /// The hosts of a list that an earlier run left, as far as this inventory has them, and those that it doesn't have.
    fn left_by(&self, name: &str) -> Option<Result<LeftHosts, String>> {
        let list = self.left.as_ref().and_then(|left| (left.0)(name))?;
        Some(list.map(|names| {
            let mut hosts = IndexSet::new();
            let mut missing = Vec::new();
            for name in names {
                match self.graph.hosts.get_index_of(name.as_str()) {
                    Some(host) => {
                        hosts.insert(host as u32);
                    }
                    None => missing.push(name),
                }
            }
            (hosts, missing)
        }))
    }

    /// Encrypted files of variables whose password nobody gave, taken from here: whose variables they have, and what is to be said
    /// when those are needed. Empty unless [`LoadOptions::defer_closed`] was set.
    pub(crate) fn take_closed(&mut self) -> Vec<(Vec<String>, Diagnostic)> {
        let closed = std::mem::take(&mut self.files.closed);
        let hosts = |of| match of {
            vars_files::Owner::Group(group) => self.names(&self.members(group)),
            vars_files::Owner::Host(host) => vec![self.graph.host_name(host)],
        };
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        closed.into_iter().map(|closed| (owned(hosts(closed.of)), closed.diagnostic)).collect()
    }

    fn settle(&mut self, sources: &Sources) -> Vec<Diagnostic> {
        self.graph.reconcile();
        let mut found = self.files.read(sources, &self.graph);
        // Hosts that are added are used.
        found.extend(self.files.closed.drain(..).map(|closed| closed.diagnostic));
        self.changed();
        found
    }

    fn changed(&mut self) {
        self.derived = OnceLock::new();
        *self.cache.get_mut().unwrap_or_else(PoisonError::into_inner) = variables::Cache::default();
    }

    fn names(&self, hosts: &[u32]) -> Vec<&str> {
        hosts.iter().map(|host| self.graph.host_name(*host)).collect()
    }

    fn derived(&self) -> &Derived {
        self.derived.get_or_init(|| Derived::new(&self.graph))
    }

    /// A group's hosts with those of its descendants.
    fn members(&self, group: u32) -> Arc<[u32]> {
        let Some(cell) = self.derived().members.get(group as usize) else { return Arc::from([]) };
        Arc::clone(cell.get_or_init(|| {
            let mut groups = IndexSet::from([group]);
            let mut hosts = IndexSet::new();
            let mut at = 0;
            while let Some(&next) = groups.get_index(at) {
                if let Some(group) = self.graph.group(next) {
                    hosts.extend(group.hosts.iter().copied());
                    groups.extend(group.children.iter().copied());
                }
                at += 1;
            }
            hosts.into_iter().collect()
        }))
    }

    /// Some groups with all their ancestors, without `all`, in the order in which their variables are merged: depth,
    /// priority, name.
    fn all_groups_of(&self, direct: &IndexSet<u32>) -> Vec<u32> {
        let derived = self.derived();
        let mut groups: Vec<u32> = direct
            .iter()
            .filter_map(|group| derived.ancestors.get(*group as usize))
            .flat_map(|ancestors| ancestors.iter().copied())
            .filter(|group| *group != ALL)
            .collect();
        groups.sort_unstable();
        groups.dedup();
        groups.sort_by_cached_key(|group| {
            let priority = self.graph.group(*group).map_or(1, |g| g.priority);
            (derived.depth.get(*group as usize).copied().unwrap_or(0), priority, self.graph.group_name(*group))
        });
        groups
    }
}

impl Derived {
    fn new(graph: &Graph) -> Self {
        let count = graph.groups.len();
        let mut waiting: Vec<usize> = graph.groups.values().map(|group| group.parents.len()).collect();
        let mut depth = vec![0u32; count];
        let mut ancestors: Vec<IndexSet<u32>> = (0..count as u32).map(|group| IndexSet::from([group])).collect();
        // From the top down, each group once its parents are done. Loops can't be: `add_child` refuses them.
        let mut ready: Vec<u32> = (0..count as u32).filter(|group| waiting[*group as usize] == 0).collect();
        while let Some(parent) = ready.pop() {
            let Some(group) = graph.group(parent) else { continue };
            for child in group.children.iter().map(|child| *child as usize) {
                depth[child] = depth[child].max(depth[parent as usize] + 1);
                let above = ancestors[parent as usize].clone();
                ancestors[child].extend(above);
                waiting[child] -= 1;
                if waiting[child] == 0 {
                    ready.push(child as u32);
                }
            }
        }
        Self {
            depth,
            ancestors: ancestors.into_iter().map(|set| set.into_iter().collect()).collect(),
            members: (0..count).map(|_| OnceLock::new()).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
