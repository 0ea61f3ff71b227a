//! The plan: plays, blocks and tasks with modules found, arguments checked and expressions compiled, nothing evaluated.
//! Keywords are inherited here once, so that a task carries all that holds for it. Pure: what it must know of the disk or the
//! inventory is asked by the caller.

mod arguments;
mod batch;
mod compile;
mod detach;
mod gate;
mod keywords;
mod repeat;
mod role;
mod undo;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::base::{Node, NodeKind, PlayId, Span, TaskId, to_text};
use crate::modules::ModuleSpec;
use crate::playbook::RoleWish;
use crate::template::Expression;

pub(crate) use arguments::has_template;
pub(crate) use batch::{Batches, Serial, Window, parse_count, parse_window};
pub(crate) use compile::{Compiler, Selection, each_task};
pub(crate) use role::RolePlace;
pub(crate) use undo::Frozen;

/// Variables of one level, as written.
pub(crate) type Layer = Arc<IndexMap<String, Arc<Node>>>;

/// All plays.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// In order.
    pub(crate) plays: Vec<Arc<Play>>,
}

/// A play.
#[derive(Debug)]
pub(crate) struct Play {
    /// Its index.
    pub(crate) id: PlayId,
    /// Its name; the pattern when it has none.
    pub(crate) name: Arc<Node>,
    /// Where it begins.
    pub(crate) span: Span,
    /// `playbook_dir`.
    pub(crate) directory: PathBuf,
    /// The host pattern, or a list of them.
    pub(crate) hosts: Arc<Node>,
    /// Its variables.
    pub(crate) vars: Layer,
    /// Files of variables; an entry may be a list of which the first that exists is taken.
    pub(crate) vars_files: Vec<Arc<Node>>,
    /// `gather_facts`; unset means: when something refers to a fact.
    pub(crate) gather_facts: Option<Arc<Node>>,
    /// What tasks inherit.
    pub(crate) keywords: Arc<Keywords>,
    /// Play keywords by name that are evaluated when the play begins: `serial`, `order`, `max_fail_percentage`,
    /// `max_fail`, `max_unavailable`, `bake`, `force_handlers`, `any_errors_fatal`, `approve`.
    pub(crate) options: IndexMap<&'static str, Arc<Node>>,
    /// Sorts the hosts.
    pub(crate) order_by: Option<Expression>,
    /// A batch never spans two values.
    pub(crate) serial_by: Option<Expression>,
    /// Conditions before and after each host.
    pub(crate) gate: Vec<Arc<Task>>,
    /// `pre_tasks`, `tasks`, `post_tasks`.
    pub(crate) sections: [Vec<Item>; 3],
    /// Handlers in definition order.
    pub(crate) handlers: Vec<Item>,
    /// What its roles show to all of its tasks.
    pub(crate) exports: Exports,
    /// The playbook that is the way back, and where it is named.
    pub(crate) rollback: Option<(PathBuf, Span)>,
    /// Only these hosts, in this order.
    pub(crate) only: Option<Arc<Vec<String>>>,
    /// The number of tasks, handlers and gates left out.
    pub(crate) task_count: u32,
}

impl Play {
    /// Whether it says something of an option.
    pub(crate) fn says(&self, option: &str) -> bool {
        self.options.get(option).is_some_and(|node| !matches!(node.kind, NodeKind::Null))
    }
}

/// What is run one after another.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// A module call.
    Task(Arc<Task>),
    /// `block`, `rescue`, `always`.
    Block(Arc<Block>),
    /// `include_tasks`, `include_role`.
    Include(Arc<Include>),
    /// The tasks of a role.
    Role(Arc<RoleItems>),
}

/// The tasks of a role, without those that it depends on.
#[derive(Debug)]
pub(crate) struct RoleItems {
    /// The role.
    pub(crate) place: Arc<RolePlace>,
    /// Its tasks.
    pub(crate) items: Vec<Item>,
}

/// What roles show to a whole play.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exports {
    /// Their defaults.
    pub(crate) defaults: Layer,
    /// Their variables.
    pub(crate) vars: Layer,
    /// Their names.
    pub(crate) names: Vec<String>,
    /// The names of those that they depend on.
    pub(crate) dependencies: Vec<String>,
}

/// `block`, `rescue`, `always`.
#[derive(Debug)]
pub(crate) struct Block {
    /// The tasks.
    pub(crate) block: Vec<Item>,
    /// When one of them failed.
    pub(crate) rescue: Vec<Item>,
    /// In any case.
    pub(crate) always: Vec<Item>,
}

/// A file of tasks that is read when it is reached.
#[derive(Debug)]
pub(crate) struct Include {
    /// Its own id, name, `when`, loop and so on; the module is a placeholder that is never built.
    pub(crate) task: Arc<Task>,
    /// The file, or the role's name.
    pub(crate) file: Arc<Node>,
    /// It is a role.
    pub(crate) role: Option<RoleWish>,
    /// What its tasks inherit.
    pub(crate) inherited: Arc<Keywords>,
    /// The folder of the file that it stands in.
    pub(crate) directory: PathBuf,
}

/// A module call.
#[derive(Debug)]
pub(crate) struct Task {
    /// Its index.
    pub(crate) id: TaskId,
    /// Its name as written.
    pub(crate) name: Option<Arc<Node>>,
    /// Where it stands.
    pub(crate) span: Span,
    /// The module.
    pub(crate) module: &'static ModuleSpec,
    /// Its arguments: a mapping whose values may be templates.
    pub(crate) arguments: Arc<Node>,
    /// Everything inherited and its own.
    pub(crate) keywords: Arc<Keywords>,
    /// The variable that gets its result.
    pub(crate) register: Option<String>,
    /// `loop:`.
    pub(crate) repeat: Option<Loop>,
    /// `until:`.
    pub(crate) until: Vec<Condition>,
    /// `retries:`.
    pub(crate) retries: Option<Arc<Node>>,
    /// `delay:` in seconds.
    pub(crate) delay: Option<Arc<Node>>,
    /// `detach:` or `async:`: how long its command may take on the host, whatever becomes of the connection.
    pub(crate) detach: Option<Arc<Node>>,
    /// `changed_when:`.
    pub(crate) changed_when: Option<Vec<Condition>>,
    /// `failed_when:`.
    pub(crate) failed_when: Option<Vec<Condition>>,
    /// Topics of a handler.
    pub(crate) listen: Vec<String>,
    /// The folder of the file that it stands in.
    pub(crate) directory: PathBuf,
    /// Whether it is a handler.
    pub(crate) handler: bool,
    /// What takes back what it changes, in order.
    pub(crate) undo: Vec<Arc<Task>>,
}

impl Task {
    /// Its name as written, or its module's, after its role's.
    pub(crate) fn title(&self) -> String {
        self.titled(self.name.as_ref().map_or_else(|| self.module.name.to_owned(), |name| to_text(&name.to_value())))
    }

    /// A name of it after its role's.
    pub(crate) fn titled(&self, name: String) -> String {
        match &self.keywords.role {
            // As in Ansible, an included role is not called after the one around it.
            Some(role) if self.module.name != "include_role" => format!("{} : {name}", role.name),
            _ => name,
        }
    }

    /// Folders in which its local files are looked for: those of its roles, the innermost first, that of its file, and the playbook's.
    pub(crate) fn folders(&self, playbook: Option<&std::path::Path>) -> Vec<PathBuf> {
        let roles = self.keywords.role.iter().flat_map(|role| role.folders().into_iter().rev());
        let mut folders: Vec<PathBuf> = Vec::new();
        for folder in roles.chain([self.directory.clone()]).chain(playbook.map(std::path::Path::to_owned)) {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders
    }
}

/// `loop:` and `loop_control:`.
#[derive(Debug)]
pub(crate) struct Loop {
    /// The list, or what the lookup of `with_…` is given.
    pub(crate) items: Arc<Node>,
    /// `with_items` and the like, where it is no `loop`.
    pub(crate) with: Option<&'static str>,
    /// `item` or another name.
    pub(crate) variable: String,
    /// The variable of the index.
    pub(crate) index: Option<String>,
    /// What is shown for an item.
    pub(crate) label: Option<Arc<Node>>,
    /// Seconds between items.
    pub(crate) pause: Option<Arc<Node>>,
    /// Whether `ansible_loop` is set.
    pub(crate) extended: bool,
}

/// A condition: an expression, or a constant.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// An expression.
    Expression(Expression),
    /// `true`, `no`, …
    Constant(bool),
}

/// What holds for a task: its own keywords and those of all around it, the nearest first where only one can hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keywords {
    /// Conditions, the outermost first.
    pub(crate) when: Vec<Condition>,
    /// All tags.
    pub(crate) tags: BTreeSet<String>,
    /// Block and task variables, the outermost first.
    pub(crate) vars: Vec<Layer>,
    /// Variables that includes give, the outermost first: of a higher rank than facts that are set.
    pub(crate) parameters: Vec<Layer>,
    /// Environments, the outermost first.
    pub(crate) environment: Vec<Arc<Node>>,
    /// The nearest of each keyword that has one value.
    pub(crate) single: IndexMap<&'static str, Arc<Node>>,
    /// Handlers to notify.
    pub(crate) notify: Vec<Arc<Node>>,
    /// The role that it stands in.
    pub(crate) role: Option<Arc<RolePlace>>,
}

impl Keywords {
    /// A keyword's value as written.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Node>> {
        self.single.get(name)
    }
}
