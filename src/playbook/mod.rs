//! Playbooks as written: plays, blocks, tasks and their keywords, each with its place. Static imports are resolved; nothing
//! is evaluated, and nothing here knows what a module takes.

mod about;
mod keywords;
mod load;
mod role;
mod role_task;
mod task;
mod undo;

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::{Node, Span};

pub(crate) use keywords::{KeywordDoc, Level, all_names, documented_keywords};
pub(crate) use load::{Ground, load, load_role, load_task_file, load_tasks, load_vars};
pub(crate) use role::RoleCall;

/// The plays of one or more playbook files in order.
#[derive(Debug, Default)]
pub(crate) struct Playbook {
    /// The plays.
    pub(crate) plays: Vec<Play>,
}

/// Keywords with their places, in written order. Which keyword may stand where was checked; what it holds was not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keywords(Vec<Keyword>);

/// One keyword.
#[derive(Debug, Clone)]
pub(crate) struct Keyword {
    /// Its name; aliases are resolved.
    pub(crate) name: &'static str,
    /// Where the name stands.
    pub(crate) span: Span,
    /// What was written for it.
    pub(crate) value: Node,
}

impl Keyword {
    /// Whether it is a loop: `loop`, `with_items` and the like.
    pub(crate) fn is_loop(&self) -> bool {
        self.name == "loop" || self.name.starts_with("with_")
    }
}

impl Keywords {
    /// What was written for a keyword.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.0.iter().find(|keyword| keyword.name == name).map(|keyword| &keyword.value)
    }

    /// Where a keyword stands.
    pub(crate) fn span(&self, name: &str) -> Option<Span> {
        self.0.iter().find(|keyword| keyword.name == name).map(|keyword| keyword.span)
    }

    /// Where a loop is.
    pub(crate) fn looped(&self) -> Option<Span> {
        self.0.iter().find(|keyword| keyword.is_loop()).map(|keyword| keyword.span)
    }

    /// All keywords.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Keyword> {
        self.0.iter()
    }

    pub(crate) fn push(&mut self, name: &'static str, span: Span, value: Node) {
        self.0.retain(|keyword| keyword.name != name);
        self.0.push(Keyword { name, span, value });
    }
}

/// A play.
#[derive(Debug)]
pub(crate) struct Play {
    /// Where it begins.
    pub(crate) span: Span,
    /// The folder of its playbook: `playbook_dir`, and where its files are looked for.
    pub(crate) directory: PathBuf,
    /// Its keywords, without the task lists.
    pub(crate) keywords: Keywords,
    /// What `import_playbook` adds, the outermost first: `when`, `tags`, `vars`.
    pub(crate) imported_with: Vec<Keywords>,
    /// Its roles, in order.
    pub(crate) roles: Vec<Arc<Role>>,
    /// The task lists.
    pub(crate) pre_tasks: Vec<Entry>,
    /// The task lists.
    pub(crate) tasks: Vec<Entry>,
    /// The task lists.
    pub(crate) post_tasks: Vec<Entry>,
    /// Handlers in definition order.
    pub(crate) handlers: Vec<Entry>,
}

/// What stands in a task list.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A module call.
    Task(Box<Task>),
    /// `block`, `rescue`, `always`; a static import is a block of its tasks.
    Block(Box<Block>),
    /// `include_tasks` and `include_role`: read when it is reached.
    Include(Box<Include>),
    /// `import_role`, with the keywords of its task.
    Role(Arc<Role>, Keywords),
}

/// A role, read.
#[derive(Debug)]
pub(crate) struct Role {
    /// Its name.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) path: PathBuf,
    /// What stands beside its name: `when`, `tags`, `vars`, `become`, …
    pub(crate) keywords: Keywords,
    /// All other keys beside its name: parameters.
    pub(crate) params: Vec<(Node, Node)>,
    /// The mappings of its `defaults`, in order.
    pub(crate) defaults: Vec<Node>,
    /// The mappings of its `vars`, in order.
    pub(crate) vars: Vec<Node>,
    /// Roles that come before it.
    pub(crate) dependencies: Vec<Arc<Role>>,
    /// Whether it runs again where it ran already.
    pub(crate) duplicates: bool,
    /// Whether `import_role` or `include_role` asks for it.
    pub(crate) include: bool,
    /// Whether other tasks of the play see its variables, where that is said.
    pub(crate) public: Option<bool>,
    /// Two calls with the same text are the same call.
    pub(crate) identity: String,
    /// Its tasks.
    pub(crate) tasks: Vec<Entry>,
    /// Its handlers.
    pub(crate) handlers: Vec<Entry>,
}

/// What `include_role` says besides the name.
#[derive(Debug, Clone, Default)]
pub(crate) struct RoleWish {
    /// Files in place of `main`, by folder; may be templates.
    pub(crate) from: Vec<(&'static str, Node)>,
    /// `public`.
    pub(crate) public: Option<bool>,
    /// `allow_duplicates`.
    pub(crate) duplicates: Option<bool>,
    /// `rolespec_validate`.
    pub(crate) validate: Option<bool>,
}

/// A module call with its keywords.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// Where it begins.
    pub(crate) span: Span,
    /// The module's name as written.
    pub(crate) module: String,
    /// Where that stands.
    pub(crate) module_span: Span,
    /// What was written for it: a mapping, `k=v` text, free text or nothing.
    pub(crate) arguments: Node,
    /// Further arguments under `args:`.
    pub(crate) more: Option<Node>,
    /// Its keywords.
    pub(crate) keywords: Keywords,
    /// What takes back what it changes: the tasks under `undo:`.
    pub(crate) undo: Vec<Task>,
    /// The folder of the file that it stands in.
    pub(crate) directory: PathBuf,
}

/// `block`, `rescue`, `always`.
#[derive(Debug)]
pub(crate) struct Block {
    /// Its keywords, inherited by what is in it.
    pub(crate) keywords: Keywords,
    /// The tasks.
    pub(crate) block: Vec<Entry>,
    /// What to do when one of them failed.
    pub(crate) rescue: Vec<Entry>,
    /// What to do in any case.
    pub(crate) always: Vec<Entry>,
}

/// `include_tasks` or `include_role`.
#[derive(Debug)]
pub(crate) struct Include {
    /// Where it begins.
    pub(crate) span: Span,
    /// The file, or the role's name; may be a template.
    pub(crate) file: Node,
    /// It is a role.
    pub(crate) role: Option<RoleWish>,
    /// Keywords for every task in the file (`apply:`).
    pub(crate) apply: Keywords,
    /// Its own keywords.
    pub(crate) keywords: Keywords,
    /// The folder of the file that it stands in.
    pub(crate) directory: PathBuf,
}
