//! Hosts and groups and who belongs to whom, as sources add to it.
//!
//! Membership is by index sets, so that ten thousand hosts load in a fraction of a second.

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::Variables;
use crate::base::{Node, NodeKind, Span};

/// The index of the group `all`.
pub(super) const ALL: u32 = 0;
/// The index of the group `ungrouped`.
pub(super) const UNGROUPED: u32 = 1;

/// Names that stand for this machine when the inventory has no such host.
pub(super) const LOCALHOST: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

/// One group.
#[derive(Debug)]
pub(super) struct Group {
    /// Hosts that were put into this very group, in order.
    pub(super) hosts: IndexSet<u32>,
    /// Its direct children, in order.
    pub(super) children: IndexSet<u32>,
    /// The groups that it is a direct child of.
    pub(super) parents: IndexSet<u32>,
    /// Variables from the source itself.
    pub(super) variables: Variables,
    /// `ansible_group_priority`.
    pub(super) priority: i64,
    /// Where it was first named.
    pub(super) place: Span,
}

/// Which source first named a host.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The file, or the comma list itself: `inventory_file`.
    pub(super) file: String,
    /// The folder of the file; a comma list has none: `inventory_dir`.
    pub(super) directory: Option<PathBuf>,
}

/// One host.
#[derive(Debug)]
pub(super) struct Host {
    /// The groups that it was put into directly.
    pub(super) groups: IndexSet<u32>,
    /// Variables from the source itself.
    pub(super) variables: Variables,
    /// The source that first named it; `None` for one added in the run.
    pub(super) origin: Option<Arc<Origin>>,
}

/// The whole.
#[derive(Debug)]
pub(super) struct Graph {
    /// By name, in the order in which they were named; nothing is ever removed, so that indexes stay true.
    pub(super) groups: IndexMap<Arc<str>, Group>,
    /// Likewise.
    pub(super) hosts: IndexMap<Arc<str>, Host>,
    /// The source that is being read.
    pub(super) origin: Option<Arc<Origin>>,
    /// Mappings are merged key by key instead of replaced.
    pub(super) merge: bool,
}

impl Graph {
    /// `all` with the child `ungrouped`, and nothing else.
    pub(super) fn new(merge: bool) -> Self {
        let mut graph = Self { groups: IndexMap::new(), hosts: IndexMap::new(), origin: None, merge };
        graph.add_group("all", Span::NONE);
        graph.add_group("ungrouped", Span::NONE);
        graph.link(ALL, UNGROUPED);
        graph
    }

    /// The index of a group, made when it isn't there.
    pub(super) fn add_group(&mut self, name: &str, place: Span) -> u32 {
        if let Some(index) = self.groups.get_index_of(name) {
            return index as u32;
        }
        let group = Group {
            hosts: IndexSet::new(),
            children: IndexSet::new(),
            parents: IndexSet::new(),
            variables: Variables::new(),
            priority: 1,
            place,
        };
        self.groups.insert_full(name.into(), group).0 as u32
    }

    /// The index of a host, made when it isn't there, and put into a group.
    pub(super) fn add_host(&mut self, name: &str, group: Option<u32>) -> u32 {
        let index = match self.hosts.get_index_of(name) {
            Some(index) => index as u32,
            None => {
                let host = Host { groups: IndexSet::new(), variables: Variables::new(), origin: self.origin.clone() };
                self.hosts.insert_full(name.into(), host).0 as u32
            }
        };
        if let Some(group) = group {
            self.join(index, group);
        }
        index
    }

    /// Puts a host into a group.
    pub(super) fn join(&mut self, host: u32, group: u32) {
        if let (Some((_, g)), Some((_, h))) =
            (self.groups.get_index_mut(group as usize), self.hosts.get_index_mut(host as usize))
        {
            g.hosts.insert(host);
            h.groups.insert(group);
        }
    }

    /// Makes one group the child of another.
    ///
    /// # Errors
    /// The loop that this would close, as `a → b → a`.
    pub(super) fn add_child(&mut self, parent: u32, child: u32) -> Result<(), String> {
        if let Some(way) = self.way_down(child, parent) {
            let names: Vec<&str> = way.iter().chain([&child]).map(|group| self.group_name(*group)).collect();
            return Err(names.join(" → "));
        }
        self.link(parent, child);
        Ok(())
    }

    fn link(&mut self, parent: u32, child: u32) {
        if let Some((_, group)) = self.groups.get_index_mut(parent as usize) {
            group.children.insert(child);
        }
        if let Some((_, group)) = self.groups.get_index_mut(child as usize) {
            group.parents.insert(parent);
        }
    }

    /// The groups from `top` down to `bottom`, both included; found by walking up, as groups have few parents.
    fn way_down(&self, top: u32, bottom: u32) -> Option<Vec<u32>> {
        let mut below: IndexMap<u32, Option<u32>> = IndexMap::from([(bottom, None)]);
        let mut at = 0;
        while let Some((&group, _)) = below.get_index(at) {
            if group == top {
                let mut way = vec![group];
                let mut next = below.get(&group).copied().flatten();
                while let Some(group) = next {
                    way.push(group);
                    next = below.get(&group).copied().flatten();
                }
                return Some(way);
            }
            for parent in self.group(group).map(|g| &g.parents).into_iter().flatten() {
                below.entry(*parent).or_insert(Some(group));
            }
            at += 1;
        }
        None
    }

    /// A group by index.
    pub(super) fn group(&self, index: u32) -> Option<&Group> {
        self.groups.get_index(index as usize).map(|(_, group)| group)
    }

    /// A host by index.
    pub(super) fn host(&self, index: u32) -> Option<&Host> {
        self.hosts.get_index(index as usize).map(|(_, host)| host)
    }

    /// A group's name.
    pub(super) fn group_name(&self, index: u32) -> &str {
        self.groups.get_index(index as usize).map_or("", |(name, _)| name)
    }

    /// A host's name.
    pub(super) fn host_name(&self, index: u32) -> &str {
        self.hosts.get_index(index as usize).map_or("", |(name, _)| name)
    }

    /// Sets a group's variable; `ansible_group_priority` is a property of the group instead.
    ///
    /// # Errors
    /// A priority that is no whole number.
    pub(super) fn set_group_variable(&mut self, group: u32, name: &str, value: Node) -> Result<(), String> {
        let merge = self.merge;
        let Some((_, group)) = self.groups.get_index_mut(group as usize) else { return Ok(()) };
        if name == "ansible_group_priority" {
            group.priority = match &value.kind {
                NodeKind::Int(number) => *number,
                NodeKind::Bool(flag) => i64::from(*flag),
                NodeKind::Float(number) if number.is_finite() => *number as i64,
                NodeKind::String { text, .. } => text.trim().parse().map_err(|_| value.type_name().to_owned())?,
                _ => return Err(value.type_name().to_owned()),
            };
            return Ok(());
        }
        overlay_one(&mut group.variables, name, &Arc::new(value), merge);
        Ok(())
    }

    /// Sets a host's variable.
    pub(super) fn set_host_variable(&mut self, host: u32, name: &str, value: &Arc<Node>) {
        let merge = self.merge;
        if let Some((_, host)) = self.hosts.get_index_mut(host as usize) {
            overlay_one(&mut host.variables, name, value, merge);
        }
    }

    /// Holds the rules that no source states: every group is below `all`, and `ungrouped` has the hosts that are in no
    /// other group.
    pub(super) fn reconcile(&mut self) {
        for group in 0..self.groups.len() as u32 {
            if group != ALL && self.group(group).is_some_and(|g| g.parents.is_empty()) {
                self.link(ALL, group);
            }
        }
        let mut leave = IndexSet::new();
        let mut enter = Vec::new();
        for (index, host) in self.hosts.values_mut().enumerate() {
            let index = index as u32;
            let grouped = host.groups.iter().any(|group| !matches!(*group, ALL | UNGROUPED));
            if grouped && host.groups.contains(&UNGROUPED) {
                host.groups.retain(|group| *group != UNGROUPED);
                leave.insert(index);
            } else if !grouped && !host.groups.contains(&UNGROUPED) {
                enter.push(index);
            }
        }
        if let Some((_, ungrouped)) = self.groups.get_index_mut(UNGROUPED as usize)
            && !leave.is_empty()
        {
            ungrouped.hosts.retain(|host| !leave.contains(host));
        }
        for host in enter {
            self.join(host, UNGROUPED);
        }
    }
}

/// Lays one variable over others: it replaces what was there, or two mappings are merged.
pub(super) fn overlay_one(variables: &mut Variables, name: &str, value: &Arc<Node>, merge: bool) {
    match variables.get_mut(name) {
        Some(old) if merge && old.as_map().is_some() && value.as_map().is_some() => {
            *old = Arc::new(merged(old, value));
        }
        Some(old) => *old = Arc::clone(value),
        None => {
            variables.insert(name.to_owned(), Arc::clone(value));
        }
    }
}

/// Two mappings as one, at every depth; where both have a key that is no mapping, the upper one wins.
fn merged(lower: &Node, upper: &Node) -> Node {
    let (Some(below), Some(above)) = (lower.as_map(), upper.as_map()) else { return upper.clone() };
    let mut entries = below.to_vec();
    for (key, value) in above {
        match entries.iter_mut().find(|(known, _)| same_key(known, key)) {
            Some((_, old)) => *old = merged(old, value),
            None => entries.push((key.clone(), value.clone())),
        }
    }
    Node { kind: NodeKind::Map(entries), span: upper.span }
}

fn same_key(a: &Node, b: &Node) -> bool {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => a == b,
        _ => a.kind == b.kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_of_groups_is_named_in_full() {
        let mut graph = Graph::new(false);
        let [a, b, c] = ["a", "b", "c"].map(|name| graph.add_group(name, Span::NONE));
        graph.add_child(a, b).unwrap();
        graph.add_child(b, c).unwrap();
        graph.add_child(a, c).unwrap();
        assert!(matches!(graph.add_child(c, a).unwrap_err().as_str(), "a → c → a" | "a → b → c → a"));
        assert_eq!(graph.add_child(a, a).unwrap_err(), "a → a");
    }

    #[test]
    fn hosts_are_ungrouped_exactly_when_no_group_has_them() {
        let mut graph = Graph::new(false);
        graph.add_host("h1", Some(UNGROUPED));
        let web = graph.add_group("web", Span::NONE);
        graph.add_host("h1", Some(web));
        graph.add_host("h2", None);
        graph.add_host("h3", Some(ALL));
        graph.reconcile();
        let ungrouped: Vec<&str> =
            graph.group(UNGROUPED).unwrap().hosts.iter().map(|host| graph.host_name(*host)).collect();
        assert_eq!(ungrouped, ["h2", "h3"]);
        assert!(graph.group(ALL).unwrap().children.contains(&web));
    }
}
