//! Which keyword may stand where: facts/ansible.md §9, and stagger's own (design §4).

use crate::base::Span;
use crate::diag::{Diagnostic, did_you_mean};

/// Where a keyword stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// A play.
    Play,
    /// A block.
    Block,
    /// A task.
    Task,
    /// A handler.
    Handler,
    /// `import_playbook`.
    Import,
    /// `include_tasks` and `import_tasks`.
    Include,
    /// A task under `undo:`.
    Undo,
    /// An entry of `roles:`.
    Role,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Play => "a play",
            Self::Block => "a block",
            Self::Task => "a task",
            Self::Handler => "a handler",
            Self::Import => "import_playbook",
            Self::Include => "an include",
            Self::Undo => "a task under `undo`",
            Self::Role => "a role",
        }
    }
}

struct Row {
    name: &'static str,
    /// `p`lay, `b`lock, `t`ask, `h`andler, `i`mport_playbook, i`n`clude, `u`ndo, `r`ole.
    levels: &'static str,
    /// Why it is refused, when it is.
    refused: Option<&'static str>,
}

const fn row(name: &'static str, levels: &'static str) -> Row {
    Row { name, levels, refused: None }
}

const fn refused(name: &'static str, levels: &'static str, why: &'static str) -> Row {
    Row { name, levels, refused: Some(why) }
}

const ROWS: &[Row] = &[
    // Shared by all.
    row("any_errors_fatal", "pbthnr"),
    row("become", "pbthnur"),
    row("become_exe", "pbthnur"),
    row("become_flags", "pbthnur"),
    row("become_method", "pbthnur"),
    row("become_user", "pbthnur"),
    row("check_mode", "pbthnr"),
    row("connection", "pbthnur"),
    row("diff", "pbthnr"),
    row("environment", "pbthnur"),
    row("ignore_errors", "pbthnur"),
    row("ignore_unreachable", "pbthnur"),
    row("name", "pbthniu"),
    row("no_log", "pbthnur"),
    row("port", "pbthnur"),
    row("remote_user", "pbthnur"),
    row("run_once", "pbthnr"),
    row("tags", "pbthnir"),
    row("throttle", "pbthnr"),
    row("timeout", "pbthnur"),
    row("vars", "pbthniur"),
    refused("collections", "pbthr", "modules are found by their short or full name; leave the line out"),
    refused("debugger", "pbthr", "there is no task debugger; `--step` asks before each task"),
    refused("module_defaults", "pbthr", "not supported yet: write the arguments at each task, or in a variable"),
    // Plays.
    row("force_handlers", "p"),
    row("gather_facts", "p"),
    row("gather_subset", "p"),
    row("gather_timeout", "p"),
    row("hosts", "p"),
    row("max_fail_percentage", "p"),
    row("order", "p"),
    row("serial", "p"),
    row("strategy", "p"),
    row("vars_files", "p"),
    row("approve", "p"),
    row("bake", "p"),
    row("gate", "p"),
    row("max_fail", "p"),
    row("max_unavailable", "p"),
    row("order_by", "p"),
    row("rollback", "p"),
    row("serial_by", "p"),
    refused("fact_path", "p", "local facts are not supported yet"),
    refused("vars_prompt", "p", "not supported yet: pass the value with `-e name=value`"),
    // Blocks and tasks.
    row("delegate_to", "bthnur"),
    row("notify", "bthn"),
    row("when", "bthniur"),
    refused("delegate_facts", "bth", "not supported yet"),
    // Tasks.
    row("args", "thnu"),
    row("action", "thu"),
    row("local_action", "thu"),
    row("changed_when", "thu"),
    row("delay", "thu"),
    row("failed_when", "thu"),
    row("listen", "h"),
    row("loop", "thn"),
    row("loop_control", "thn"),
    row("register", "thnu"),
    row("with_dict", "thn"),
    row("with_indexed_items", "thn"),
    row("with_items", "thn"),
    row("with_list", "thn"),
    row("with_nested", "thn"),
    row("with_sequence", "thn"),
    row("with_subelements", "thn"),
    row("with_together", "thn"),
    row("retries", "thu"),
    row("until", "thu"),
    row("async", "th"),
    row("poll", "th"),
    row("detach", "th"),
    row("undo", "th"),
];

/// A keyword as `stagger doc` shows it.
#[derive(Debug, Clone)]
pub(crate) struct KeywordDoc {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it means.
    pub(crate) about: &'static str,
    /// Where it may stand.
    pub(crate) places: Vec<&'static str>,
    /// Why it is refused, when it is.
    pub(crate) refused: Option<&'static str>,
}

/// All keywords.
pub(crate) fn documented_keywords() -> Vec<KeywordDoc> {
    let levels = [
        Level::Play,
        Level::Block,
        Level::Task,
        Level::Handler,
        Level::Import,
        Level::Include,
        Level::Undo,
        Level::Role,
    ];
    let places =
        |row: &Row| levels.iter().filter(|level| row.levels.contains(letter(**level))).map(|l| l.name()).collect();
    let page = |row: &Row| KeywordDoc {
        name: row.name,
        about: super::about::about(row.name),
        places: places(row),
        refused: row.refused,
    };
    // Lists of tasks make the tree itself: they are no rows.
    let lists = ["roles", "pre_tasks", "tasks", "post_tasks", "handlers"].map(|name| row(name, "p"));
    let parts = ["block", "rescue", "always"].map(|name| row(name, "b"));
    let known = |row: &&Row| ROWS.iter().all(|other| other.name != row.name);
    ROWS.iter().chain(lists.iter().chain(&parts).filter(known)).map(page).collect()
}

/// Every keyword's name, for "did you mean".
pub(crate) fn all_names(level: Level) -> impl Iterator<Item = &'static str> {
    ROWS.iter().filter(move |row| row.levels.contains(letter(level))).map(|row| row.name)
}

fn letter(level: Level) -> char {
    match level {
        Level::Play => 'p',
        Level::Block => 'b',
        Level::Task => 't',
        Level::Handler => 'h',
        Level::Import => 'i',
        Level::Include => 'n',
        Level::Undo => 'u',
        Level::Role => 'r',
    }
}

/// What a key is at a level.
pub(super) enum Found {
    /// A keyword that may stand here.
    Keyword(&'static str),
    /// A keyword that is refused or misplaced; the diagnostic says so.
    Wrong(Diagnostic),
    /// No keyword at all.
    Other,
}

/// Looks a key up.
pub(super) fn find(key: &str, span: Span, level: Level) -> Found {
    // `user` is the old name of `remote_user`, `sudo` is long gone.
    let name = if key == "user" && level == Level::Play { "remote_user" } else { key };
    let known = ROWS.iter().any(|row| row.name == name);
    if let Some(lookup) = name.strip_prefix("with_").filter(|_| !known) {
        let rows = ROWS.iter().filter_map(|row| row.name.strip_prefix("with_"));
        let help = match did_you_mean(lookup, rows) {
            Some(meant) => format!("did you mean `with_{meant}`?"),
            None => "write `loop:` with a list".to_owned(),
        };
        return Found::Wrong(Diagnostic::error(format!("`{name}` is not supported yet"), span).help(help));
    }
    let Some(row) = ROWS.iter().find(|row| row.name == name) else { return Found::Other };
    if !row.levels.contains(letter(level)) {
        let message = format!("`{name}` is not a keyword of {}", level.name());
        return Found::Wrong(Diagnostic::error(message, span));
    }
    match row.refused {
        Some(why) => {
            let why = why.strip_prefix("not supported yet").map_or_else(
                || format!("`{name}` is not supported: {why}"),
                |rest| format!("`{name}` is not supported yet{rest}"),
            );
            Found::Wrong(Diagnostic::error(why, span))
        }
        None => Found::Keyword(row.name),
    }
}

/// The diagnostic for a key that nothing knows.
pub(super) fn unknown(key: &str, span: Span, level: Level) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("unknown key `{key}` for {}", level.name()), span);
    match did_you_mean(key, all_names(level)) {
        Some(meant) => diagnostic.label(format!("did you mean `{meant}`?")),
        None => diagnostic,
    }
}
