//! One host's variables: which source wins over which. The whole order stands in [`ORDER`].

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use indexmap::IndexSet;

use super::graph::{ALL, overlay_one};
use super::vars_files::Level;
use super::{Inventory, Variables};
use crate::base::{Node, Span};

/// Whose variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// The group `all`.
    All,
    /// The host's other groups: by depth, then `ansible_group_priority`, then name.
    Groups,
    /// The host.
    Host,
}

/// Where they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// In the inventory source itself.
    Inline,
    /// In `group_vars/` or `host_vars/` beside an inventory source.
    BesideInventory,
    /// The same beside the playbook.
    BesidePlaybook,
}

/// Ansible's levels 3 to 10, lowest first; later ones win. Files lie above everything that is written in the source itself, and within
/// one line the folder's order goes before the group's: a later source's `group_vars` wins even for a lesser group.
const ORDER: [(Of, Written); 9] = [
    (Of::All, Written::Inline),
    (Of::Groups, Written::Inline),
    (Of::All, Written::BesideInventory),
    (Of::All, Written::BesidePlaybook),
    (Of::Groups, Written::BesideInventory),
    (Of::Groups, Written::BesidePlaybook),
    (Of::Host, Written::Inline),
    (Of::Host, Written::BesideInventory),
    (Of::Host, Written::BesidePlaybook),
];

/// What was merged already. Hosts in the same groups share the groups' part, and those without variables of their own
/// the whole.
#[derive(Debug, Default)]
pub(super) struct Cache {
    groups: HashMap<(Option<usize>, Vec<u32>), Arc<Variables>>,
    hosts: HashMap<(Option<usize>, u32), Arc<Variables>>,
}

impl Inventory {
    /// A host's variables from inventory, `group_vars` and `host_vars`: levels 3 to 10 of Ansible's order, unrendered.
    ///
    /// `playbook_dir` names the playbook whose folder counts; it must have been opened by
    /// [`Inventory::load_vars_beside`]. For a host that is not in the inventory these are the variables of `all`,
    /// and for `localhost` and its addresses a local connection besides.
    pub(crate) fn variables(&self, host: &str, playbook_dir: Option<&Path>) -> Arc<Variables> {
        let folder = playbook_dir.and_then(|dir| self.files.playbook_folder(dir));
        let Some(index) = self.graph.hosts.get_index_of(host).map(|index| index as u32) else {
            let mut variables = (*self.group_part(folder, &IndexSet::new())).clone();
            if self.is_implicit_localhost(host) {
                let local = Arc::new(Node::string("local", Span::NONE));
                variables.insert("ansible_connection".to_owned(), local);
            }
            return Arc::new(variables);
        };
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cache.hosts.get(&(folder, index)) {
            return Arc::clone(known);
        }
        drop(cache);
        let Some(entry) = self.graph.host(index) else { return Arc::default() };
        let groups = self.group_part(folder, &entry.groups);
        let mut own = Vec::new();
        self.gather(Of::Host, folder, &[index], &mut own);
        let merged = if own.is_empty() {
            groups
        } else {
            let mut variables = (*groups).clone();
            self.overlay(&mut variables, &own);
            Arc::new(variables)
        };
        cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.hosts.insert((folder, index), Arc::clone(&merged));
        merged
    }

    /// Only what is written for the host itself, inventory files included: what `--export` shows.
    pub(crate) fn own_variables(&self, host: &str, playbook_dir: Option<&Path>) -> Variables {
        let folder = playbook_dir.and_then(|dir| self.files.playbook_folder(dir));
        let mut parts = Vec::new();
        if let Some(index) = self.graph.hosts.get_index_of(host) {
            self.gather(Of::Host, folder, &[index as u32], &mut parts);
        }
        let mut variables = Variables::new();
        self.overlay(&mut variables, &parts);
        variables
    }

    /// Only what is written for a group itself, files included.
    pub(crate) fn group_variables(&self, group: &str, playbook_dir: Option<&Path>) -> Variables {
        let folder = playbook_dir.and_then(|dir| self.files.playbook_folder(dir));
        let mut parts = Vec::new();
        if let Some(index) = self.graph.groups.get_index_of(group) {
            self.gather(Of::Groups, folder, &[index as u32], &mut parts);
        }
        let mut variables = Variables::new();
        self.overlay(&mut variables, &parts);
        variables
    }

    /// What `all` and some groups, with their ancestors, give together.
    fn group_part(&self, folder: Option<usize>, direct: &IndexSet<u32>) -> Arc<Variables> {
        let mut key: Vec<u32> = direct.iter().copied().collect();
        key.sort_unstable();
        let key = (folder, key);
        if let Some(known) = self.cache.lock().unwrap_or_else(PoisonError::into_inner).groups.get(&key) {
            return Arc::clone(known);
        }
        let groups = self.all_groups_of(direct);
        let mut parts = Vec::new();
        for step in &ORDER {
            let whose: &[u32] = match step.0 {
                Of::All => &[ALL],
                Of::Groups => &groups,
                Of::Host => continue,
            };
            self.gather_step(*step, folder, whose, &mut parts);
        }
        let mut variables = Variables::new();
        self.overlay(&mut variables, &parts);
        let merged = Arc::new(variables);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.groups.insert(key, Arc::clone(&merged));
        merged
    }

    /// The parts of some groups or hosts in order, lowest first.
    fn gather<'a>(&'a self, of: Of, folder: Option<usize>, whose: &[u32], parts: &mut Vec<&'a Variables>) {
        for step in ORDER.iter().filter(|step| step.0 == of) {
            self.gather_step(*step, folder, whose, parts);
        }
    }

    fn gather_step<'a>(
        &'a self,
        (of, written): (Of, Written),
        folder: Option<usize>,
        whose: &[u32],
        parts: &mut Vec<&'a Variables>,
    ) {
        let level = match written {
            Written::Inline => {
                let inline = |index: &u32| match of {
                    Of::Host => self.graph.host(*index).map(|host| &host.variables),
                    Of::All | Of::Groups => self.graph.group(*index).map(|group| &group.variables),
                };
                parts.extend(whose.iter().filter_map(inline).filter(|variables| !variables.is_empty()));
                return;
            }
            Written::BesideInventory => Level::Inventory,
            Written::BesidePlaybook => Level::Playbook,
        };
        for (number, opened) in self.files.folders.iter().enumerate() {
            if opened.level == level && (level == Level::Inventory || folder == Some(number)) {
                let kind = if of == Of::Host { &opened.hosts } else { &opened.groups };
                parts.extend(whose.iter().filter_map(|index| kind.read.get(index)));
            }
        }
    }

    fn overlay(&self, variables: &mut Variables, parts: &[&Variables]) {
        for part in parts {
            for (name, value) in *part {
                overlay_one(variables, name, value, self.graph.merge);
            }
        }
    }
}
