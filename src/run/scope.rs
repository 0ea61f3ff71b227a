//! The variables of a host: precedence of facts/ansible.md §7, magic variables of §8.

use std::sync::{Arc, OnceLock};

use indexmap::IndexMap;
use serde_json::json;

use super::host::{Host, Needs};
use super::play::PlayRun;
use super::{Run, guard::Standing};
use crate::base::{Map, Members, Node, Scope, Value, Var};
use crate::plan::{Exports, Layer, RolePlace};

/// The variables of a host at one place of the run.
pub(crate) struct HostScope {
    pub(super) run: Arc<Run>,
    pub(super) host: Arc<Host>,
    /// The play, when there is one: `hostvars` members have none.
    pub(super) play: Option<Arc<PlayRun>>,
    /// Block and task variables, the outermost first.
    pub(super) layers: Vec<Layer>,
    /// Variables that includes give to their tasks, the outermost first: they beat `set_fact`.
    pub(super) parameters: Vec<Layer>,
    /// The role of the task.
    pub(super) role: Option<Arc<RolePlace>>,
    /// What is set for this use alone: loop variables, `ansible_failed_result`, a result being judged.
    pub(super) locals: IndexMap<String, Var>,
    /// Hosts whose facts were asked for and are not gathered.
    pub(super) needs: Arc<Needs>,
    /// The folder of the play's file, whose `group_vars` and `host_vars` count.
    directory: Option<std::path::PathBuf>,
    inventory: OnceLock<Arc<IndexMap<String, Arc<Node>>>>,
}

impl HostScope {
    /// A scope without task variables.
    pub(super) fn new(run: &Arc<Run>, host: &Arc<Host>, play: Option<&Arc<PlayRun>>, needs: &Arc<Needs>) -> Self {
        Self {
            run: Arc::clone(run),
            host: Arc::clone(host),
            play: play.map(Arc::clone),
            layers: Vec::new(),
            parameters: Vec::new(),
            role: None,
            directory: play.map(|play| play.plan.directory.clone()),
            locals: IndexMap::new(),
            needs: Arc::clone(needs),
            inventory: OnceLock::new(),
        }
    }

    fn inventory(&self) -> &IndexMap<String, Arc<Node>> {
        self.inventory.get_or_init(|| self.run.inventory().variables(&self.host.name, self.directory.as_deref()))
    }

    fn magic(&self, name: &str) -> Option<Var> {
        let options = &self.run.options;
        let names = |hosts: Vec<String>| Var::data(Value::from(hosts));
        let play_hosts = |filter: &dyn Fn(&Host) -> bool, batch: bool| {
            let play = self.play.as_ref()?;
            let hosts = if batch { play.progress.batch_of(&self.host.name) } else { play.hosts.clone() };
            Some(names(hosts.iter().filter(|host| filter(host)).map(|host| host.name.clone()).collect()))
        };
        let active = |host: &Host| host.standing() == Standing::Active;
        Some(match name {
            "inventory_hostname" => Var::data(self.host.name.as_str()),
            "inventory_hostname_short" => Var::data(self.host.name.split('.').next().unwrap_or_default()),
            "group_names" => names(self.run.inventory().groups_of(&self.host.name)),
            "groups" => Var::Members(Arc::new(Groups(Arc::clone(&self.run)))),
            "hostvars" => Var::Members(Arc::new(HostVars {
                run: Arc::clone(&self.run),
                needs: Arc::clone(&self.needs),
                directory: self.directory.clone(),
            })),
            "vars" => Var::Members(Arc::new(Everything(Arc::new(self.copy())))),
            "ansible_facts" => Var::data(Value::Object(self.facts())),
            "ansible_play_hosts" => return play_hosts(&active, false),
            "ansible_play_hosts_all" => names(self.play.as_ref()?.named.iter().map(|host| host.name.clone()).collect()),
            "ansible_play_batch" | "play_hosts" => return play_hosts(&active, true),
            "ansible_play_name" => Var::data(self.play.as_ref()?.name.as_str()),
            "ansible_check_mode" => Var::data(options.check),
            "ansible_diff_mode" => Var::data(options.diff),
            "ansible_forks" => Var::data(options.forks),
            "ansible_limit" => Var::data(options.limit.as_deref()?),
            "ansible_run_tags" => {
                names(if options.tags.is_empty() { vec!["all".to_owned()] } else { options.tags.clone() })
            }
            "ansible_skip_tags" => names(options.skip_tags.clone()),
            "ansible_verbosity" => Var::data(options.verbosity),
            "ansible_version" => {
                Var::data(json!({"full": "2.19.0", "major": 2, "minor": 19, "revision": 0, "string": "2.19.0"}))
            }
            "ansible_inventory_sources" => names(options.inventory_sources.clone()),
            "ansible_config_file" => Var::data(options.config_file.as_deref()?),
            "playbook_dir" => Var::data(absolute(&self.play.as_ref()?.plan.directory)),
            "inventory_dir" => Var::data(self.run.inventory().inventory_dir(&self.host.name)?.display().to_string()),
            "inventory_file" => Var::data(self.run.inventory().inventory_file(&self.host.name)?.to_owned()),
            "stagger_run" => Var::data(options.run_id.as_str()),
            _ => return self.role_magic(name),
        })
    }

    /// All facts under their names in `ansible_facts`.
    fn facts(&self) -> Map {
        let state = self.host.state();
        if !state.gathered {
            drop(state);
            self.wants_facts();
            return self.host.state().facts.iter().map(|(k, v)| (k.clone(), (**v).clone())).collect();
        }
        state.facts.iter().map(|(k, v)| (k.clone(), (**v).clone())).collect()
    }

    fn wants_facts(&self) {
        if self.play.as_ref().is_none_or(|play| play.lazy_facts) && !self.host.state().gathered {
            self.needs.add(&self.host.name);
        }
    }

    fn fact(&self, name: &str) -> Option<Var> {
        let short = name.strip_prefix("ansible_").unwrap_or(name);
        let state = self.host.state();
        // A fact under its own name is one that a module of ours set (`mesos`); the rest is injected with the prefix.
        if let Some(value) = state.facts.get(short)
            && (short != name || !is_gathered(short))
        {
            return Some(Var::Data(Arc::clone(value)));
        }
        None
    }

    /// What the play's roles show to all of its tasks.
    fn exported(&self, name: &str, layer: fn(&Exports) -> &Layer) -> Option<Var> {
        let play = self.play.as_ref()?;
        let included = play.roles.exports();
        let found = included.iter().rev().find_map(|exports| layer(exports).get(name).cloned());
        found.or_else(|| layer(&play.plan.exports).get(name).cloned()).map(Var::Written)
    }

    /// Names of the roles around a task, and what the play knows of roles.
    fn role_magic(&self, name: &str) -> Option<Var> {
        let names = |names: Vec<String>| Var::data(Value::from(names));
        let role = self.role.as_deref();
        let parents = || role.map(|role| role.parents.iter().rev()).filter(|parents| parents.len() > 0);
        Some(match name {
            "role_name" | "ansible_role_name" => Var::data(role?.name.as_str()),
            "role_path" => Var::data(role?.path.display().to_string()),
            "ansible_parent_role_names" => names(parents()?.map(|parent| parent.name.clone()).collect()),
            "ansible_parent_role_paths" => names(parents()?.map(|parent| parent.path.display().to_string()).collect()),
            "role_names" | "ansible_play_role_names" | "ansible_dependent_role_names" | "ansible_role_names" => {
                let play = self.play.as_ref()?;
                let included = play.roles.exports();
                let all = || [&play.plan.exports].into_iter().chain(included.iter().map(|exports| &**exports));
                let direct = all().flat_map(|exports| exports.names.iter().cloned());
                let below = all().flat_map(|exports| exports.dependencies.iter().cloned());
                let mut found: Vec<String> = match name {
                    "ansible_dependent_role_names" => below.collect(),
                    "ansible_role_names" => below.chain(direct).collect(),
                    _ => return Some(names(direct.collect())),
                };
                found.sort();
                found.dedup();
                names(found)
            }
            _ => return None,
        })
    }

    fn copy(&self) -> Self {
        Self {
            run: Arc::clone(&self.run),
            host: Arc::clone(&self.host),
            play: self.play.clone(),
            layers: self.layers.clone(),
            parameters: self.parameters.clone(),
            role: self.role.clone(),
            directory: self.directory.clone(),
            locals: self.locals.clone(),
            needs: Arc::clone(&self.needs),
            inventory: OnceLock::new(),
        }
    }
}

/// Facts that modules of ours set are used under their own names; those of `setup` only with the prefix.
fn is_gathered(short: &str) -> bool {
    !matches!(short, "mesos" | "elastic" | "dcos") && !short.starts_with("getent_")
}

/// Connection variables: no facts, so that looking for one gathers nothing.
fn is_connection_variable(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "ansible_host",
        "ansible_port",
        "ansible_user",
        "ansible_password",
        "ansible_connection",
        "ansible_pipelining",
        "ansible_private_key_file",
        "ansible_timeout",
        "ansible_python_interpreter",
        "ansible_shell_type",
        "ansible_shell_executable",
        "ansible_host_key_checking",
        "ansible_loop",
        "ansible_loop_var",
        "ansible_index_var",
        "ansible_failed_task",
        "ansible_failed_result",
        "ansible_managed",
        "ansible_group_priority",
        "ansible_async_dir",
        "ansible_remote_tmp",
        "ansible_search_path",
        "ansible_limit",
        "ansible_config_file",
        "ansible_play_hosts",
        "ansible_play_batch",
        "ansible_play_name",
        "ansible_play_hosts_all",
        "ansible_role_name",
        "ansible_parent_role_names",
    ];
    const BEGINNINGS: &[&str] = &[
        "ansible_ssh_",
        "ansible_become",
        "ansible_sudo",
        "ansible_su_",
        "ansible_winrm",
        "ansible_control_",
        "ansible_sftp_",
        "ansible_scp_",
    ];
    NAMES.contains(&name) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

fn absolute(path: &std::path::Path) -> String {
    let path = if path.as_os_str().is_empty() { std::path::Path::new(".") } else { path };
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

impl Scope for HostScope {
    fn variable(&self, name: &str) -> Option<Var> {
        if let Some(var) = self.locals.get(name) {
            return Some(var.clone());
        }
        if let Some(var) = self.magic(name) {
            return Some(var);
        }
        if let Some(node) = self.run.options.extra.get(name) {
            return Some(Var::Written(Arc::clone(node)));
        }
        for layer in self.parameters.iter().rev() {
            if let Some(node) = layer.get(name) {
                return Some(Var::Written(Arc::clone(node)));
            }
        }
        let own = |layer: fn(&RolePlace) -> &Layer| {
            let node = layer(self.role.as_deref()?).get(name)?;
            Some(Var::Written(Arc::clone(node)))
        };
        if let Some(var) = own(|role| &role.params) {
            return Some(var);
        }
        if let Some(var) = self.host.state().registered.get(name) {
            return Some(var.clone());
        }
        for layer in self.layers.iter().rev() {
            if let Some(node) = layer.get(name) {
                return Some(Var::Written(Arc::clone(node)));
            }
        }
        if let Some(var) = own(|role| &role.vars).or_else(|| self.exported(name, |exports| &exports.vars)) {
            return Some(var);
        }
        if let Some(play) = &self.play {
            for layer in play.files_of(&self.host.name).iter().rev() {
                if let Some(node) = layer.get(name) {
                    return Some(Var::Written(Arc::clone(node)));
                }
            }
            if let Some(node) = play.plan.vars.get(name) {
                return Some(Var::Written(Arc::clone(node)));
            }
        }
        if let Some(var) = self.fact(name) {
            return Some(var);
        }
        if let Some(node) = self.inventory().get(name) {
            return Some(Var::Written(Arc::clone(node)));
        }
        if let Some(var) = own(|role| &role.defaults).or_else(|| self.exported(name, |exports| &exports.defaults)) {
            return Some(var);
        }
        if name == "ansible_host" {
            return Some(Var::data(self.host.name.as_str()));
        }
        if name.starts_with("ansible_") && !is_connection_variable(name) {
            self.wants_facts();
        }
        None
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        if let Some(role) = &self.role {
            names
                .extend([&role.params, &role.vars, &role.defaults].into_iter().flat_map(|layer| layer.keys().cloned()));
        }
        if let Some(play) = &self.play {
            let included = play.roles.exports();
            let all = included.iter().map(|exports| &**exports).chain([&play.plan.exports]);
            names.extend(all.flat_map(|all| all.vars.keys().chain(all.defaults.keys()).cloned()));
        }
        names.extend(self.locals.keys().cloned());
        names.extend(self.run.options.extra.keys().cloned());
        names.extend(self.host.state().registered.keys().cloned());
        for layer in self.layers.iter().chain(&self.parameters) {
            names.extend(layer.keys().cloned());
        }
        if let Some(play) = &self.play {
            names.extend(play.files_of(&self.host.name).iter().flat_map(|layer| layer.keys().cloned()));
            names.extend(play.plan.vars.keys().cloned());
        }
        names.extend(self.inventory().keys().cloned());
        const MAGIC: &[&str] =
            &["inventory_hostname", "inventory_hostname_short", "group_names", "groups", "playbook_dir"];
        names.extend(MAGIC.iter().map(|name| (*name).to_owned()));
        names.sort();
        names.dedup();
        names
    }
}

/// `groups`.
struct Groups(Arc<Run>);

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("groups")
    }
}

impl Members for Groups {
    fn member(&self, name: &str) -> Option<Var> {
        let inventory = self.0.inventory();
        let hosts: Vec<String> = inventory.group_hosts(name)?.into_iter().map(str::to_owned).collect();
        Some(Var::data(Value::from(hosts)))
    }

    fn names(&self) -> Vec<String> {
        self.0.inventory().groups().into_iter().map(str::to_owned).collect()
    }
}

/// `hostvars`.
struct HostVars {
    run: Arc<Run>,
    needs: Arc<Needs>,
    directory: Option<std::path::PathBuf>,
}

impl std::fmt::Debug for HostVars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hostvars")
    }
}

impl Members for HostVars {
    fn member(&self, name: &str) -> Option<Var> {
        if !self.run.inventory().contains(name) {
            return None;
        }
        let host = self.run.hosts.get(name);
        let mut scope = HostScope::new(&self.run, &host, None, &self.needs);
        // A play's variables are not another host's; those beside its file are.
        scope.directory.clone_from(&self.directory);
        Some(Var::Members(Arc::new(Everything(Arc::new(scope)))))
    }

    fn names(&self) -> Vec<String> {
        self.run.inventory().hosts().into_iter().map(str::to_owned).collect()
    }
}

/// All variables of a scope as a mapping: `vars`, `hostvars[…]`.
struct Everything(Arc<HostScope>);

impl std::fmt::Debug for Everything {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the variables of {}", self.0.host.name)
    }
}

impl Members for Everything {
    fn member(&self, name: &str) -> Option<Var> {
        self.0.variable(name)
    }

    fn names(&self) -> Vec<String> {
        self.0.names()
    }

    fn scope(&self) -> Option<Arc<dyn Scope>> {
        let scope: Arc<dyn Scope> = Arc::clone(&self.0) as Arc<dyn Scope>;
        Some(scope)
    }
}
