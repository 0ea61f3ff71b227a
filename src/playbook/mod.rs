//! Playbooks as written: plays, blocks, tasks and their keywords, each with its place. Static imports are resolved; nothing
//! is evaluated, and nothing here knows what a module takes.

mod about;
mod keywords;
mod load;
mod task;
mod undo;

use std::path::PathBuf;

use crate::base::{Node, Span};

pub(crate) use keywords::{KeywordDoc, Level, all_names, documented_keywords};
pub(crate) use load::{load, load_task_file, load_tasks, load_vars};

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

impl Keywords {
    /// What was written for a keyword.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.0.iter().find(|keyword| keyword.name == name).map(|keyword| &keyword.value)
    }

    /// Where a keyword stands.
    pub(crate) fn span(&self, name: &str) -> Option<Span> {
        self.0.iter().find(|keyword| keyword.name == name).map(|keyword| keyword.span)
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
    /// `include_tasks`: read when it is reached.
    Include(Box<Include>),
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

/// `include_tasks`.
#[derive(Debug)]
pub(crate) struct Include {
    /// Where it begins.
    pub(crate) span: Span,
    /// The file; may be a template.
    pub(crate) file: Node,
    /// Keywords for every task in the file (`apply:`).
    pub(crate) apply: Keywords,
    /// Its own keywords.
    pub(crate) keywords: Keywords,
    /// The folder of the file that it stands in.
    pub(crate) directory: PathBuf,
}
