//! `include_vars`: variables of a file, or of the files of a folder, for the rest of the run. They stay templates until they are used.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::python_regex::{Flags, Pattern};
use super::set_fact::is_name;
use super::{
    Arguments, Bound, Controller, Course, Done, Effect, Failure, Folder, LocalEntry, ModuleSpec, Opt, OptKind, Rule,
};
use crate::base::{Map, Node, NodeKind, Span, Value};

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "include_vars",
    aliases: &[],
    summary: "reads variables from files of this machine, for the rest of the run",
    options: &[
        Opt::new("free_form", OptKind::LocalPath, "the file; looked for below `vars/` first").aliases(&["_raw_params"]),
        Opt::new("file", OptKind::LocalPath, "the same"),
        Opt::new("dir", OptKind::LocalPath, "a folder: all files of variables below it, in order of their names"),
        Opt::new("name", OptKind::Text, "one variable that holds what is read, instead of a variable for each"),
        Opt::new("depth", OptKind::Int, "how many levels of folders are read; 0 reads all").default("0"),
        Opt::new("files_matching", OptKind::Text, "a regular expression that the names of files must match"),
        Opt::new("ignore_files", OptKind::Any, "regular expressions for the ends of names that are left out"),
        Opt::new("extensions", OptKind::List, "endings that files may have").default("yaml,yml,json"),
        Opt::new("ignore_unknown_extensions", OptKind::Bool, "passes over files with other endings; else it fails")
            .default("false"),
        Opt::new(
            "hash_behaviour",
            OptKind::Choice(&["replace", "merge"]),
            "whether mappings are merged with those known",
        ),
    ],
    free_form: Some("free_form"),
    open: false,
    rules: &[Rule::OneOf(&["free_form", "file", "dir"]), Rule::AtMostOne(&["free_form", "file", "dir"])],
    check: Some(check),
    build,
};

/// Options that say which files of a folder are read.
const OF_FOLDERS: &[&str] = &["depth", "files_matching", "ignore_files", "extensions", "ignore_unknown_extensions"];

#[derive(Debug)]
struct IncludeVars {
    from: From,
    name: Option<String>,
    merge: bool,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of it a task")]
enum From {
    File(String),
    Folder { name: String, depth: usize, choice: Choice },
}

/// Which files of a folder are read.
#[derive(Debug)]
struct Choice {
    matching: Option<Pattern>,
    ignored: Vec<Pattern>,
    extensions: Vec<String>,
    pass_over: bool,
}

fn check(arguments: &Arguments) -> Result<(), String> {
    let file = arguments.has("file") || arguments.has("free_form");
    if let Some(option) = OF_FOLDERS.iter().find(|option| file && arguments.has(option)) {
        return Err(format!("`{option}` chooses among the files of a `dir`, and one file is read here"));
    }
    match arguments.text("name") {
        Some(name) if !name.contains("{{") && !is_name(&name) => {
            Err(format!("`{name}` can't be the name of a variable"))
        }
        _ => Ok(()),
    }
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    check(arguments).map_err(Failure::new)?;
    let from = match arguments.text("dir") {
        Some(name) => From::Folder {
            name,
            depth: usize::try_from(arguments.int("depth").unwrap_or(0)).unwrap_or(0),
            choice: Choice::of(arguments)?,
        },
        None => {
            let name = arguments.text("file").or_else(|| arguments.text("free_form")).unwrap_or_default();
            From::File(name.trim_end_matches('\n').to_owned())
        }
    };
    let merge = arguments.text("hash_behaviour").as_deref() == Some("merge");
    Ok(Bound::Course(Box::new(IncludeVars { from, name: arguments.text("name"), merge })))
}

impl Choice {
    fn of(arguments: &Arguments) -> Result<Self, Failure> {
        let regex = |text: &str| Pattern::compile(text, Flags::default()).map_err(Failure::new);
        let ignored = match arguments.value("ignore_files") {
            Some(Value::Array(items)) => items.iter().map(crate::base::to_text).collect(),
            Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
            None | Some(Value::Null) => Vec::new(),
            Some(other) => {
                let message = format!("`ignore_files` is a list, not {}", crate::base::type_name(other));
                return Err(Failure::new(message));
            }
        };
        Ok(Self {
            matching: arguments.text("files_matching").map(|text| regex(&text)).transpose()?,
            ignored: ignored.iter().map(|text| regex(&format!("(?:{text})$"))).collect::<Result<_, _>>()?,
            extensions: arguments.list("extensions"),
            pass_over: arguments.flag("ignore_unknown_extensions"),
        })
    }

    /// Whether a file is read.
    fn takes(&self, path: &Path, name: &str) -> Result<bool, Failure> {
        let found = |regex: &Pattern| regex.search(name, 0).map(|found| found.is_some()).map_err(Failure::new);
        if let Some(matching) = &self.matching
            && !found(matching)?
        {
            return Ok(false);
        }
        for ignored in &self.ignored {
            if found(ignored)? {
                return Ok(false);
            }
        }
        let ending = Path::new(name).extension().map(|ending| ending.to_string_lossy().into_owned());
        if ending.is_some_and(|ending| self.extensions.contains(&ending)) {
            return Ok(true);
        }
        if self.pass_over {
            return Ok(false);
        }
        let known = self.extensions.join(", ");
        Err(Failure::new(format!("{} does not have a valid extension: {known}", path.display())))
    }
}

/// The files of a folder in Ansible's order: those of a folder before those of the folders in it.
fn in_order(entries: Vec<LocalEntry>, depth: usize) -> Vec<LocalEntry> {
    let mut folders: BTreeMap<String, Vec<LocalEntry>> = BTreeMap::new();
    for entry in entries.into_iter().filter(|entry| !entry.directory) {
        let (folder, level) = match entry.name.rsplit_once('/') {
            Some((folder, _)) => (folder.to_owned(), folder.split('/').count() + 1),
            None => (String::new(), 1),
        };
        if depth == 0 || level <= depth {
            folders.entry(folder).or_default().push(entry);
        }
    }
    folders.into_values().flatten().collect()
}

impl IncludeVars {
    fn files(&self, here: &dyn Controller) -> Result<Vec<PathBuf>, Failure> {
        match &self.from {
            From::File(name) => Ok(vec![here.find(Folder::Vars, name)?]),
            From::Folder { name, depth, choice } => {
                let folder = here.variables_folder(name);
                let mut files = Vec::new();
                let absent = |_| Failure::new(format!("{} directory does not exist", absolute(&folder)));
                for entry in in_order(here.list(&folder).map_err(absent)?, *depth) {
                    let name = entry.name.rsplit('/').next().unwrap_or_default();
                    if choice.takes(&entry.path, name)? {
                        files.push(entry.path);
                    }
                }
                Ok(files)
            }
        }
    }
}

/// A path from the root.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

impl Course for IncludeVars {
    fn run(&self, here: &dyn Controller) -> Result<Done, Failure> {
        let nothing = |failure: Failure| {
            let message = failure.message.clone();
            let failure = failure.with("ansible_facts", Map::new()).with("message", message);
            failure.with("ansible_included_var_files", Vec::<Value>::new())
        };
        self.read(here).map_err(nothing)
    }
}

impl IncludeVars {
    fn read(&self, here: &dyn Controller) -> Result<Done, Failure> {
        let files = self.files(here)?;
        let mut read: Vec<(String, Arc<Node>)> = Vec::new();
        let mut hidden = false;
        for file in &files {
            hidden |= here.read(file)?.starts_with(b"$ANSIBLE_VAULT;");
            for (name, node) in here.variables(file)? {
                read.retain(|(known, _)| *known != name);
                read.push((name, node));
            }
        }
        if let Some(name) = &self.name {
            let entries = read.into_iter().map(|(name, node)| (Node::string(name, node.span), (*node).clone()));
            let kind = NodeKind::Map(entries.collect());
            read = vec![(name.clone(), Arc::new(Node { kind, span: Span::NONE }))];
        }
        let mut facts = Map::new();
        for (name, node) in &mut read {
            if self.merge
                && let (Some(mut known), Ok(new)) = (here.variable(name), here.render(node))
            {
                merge(&mut known, new);
                *node = Arc::new(Node::from_value(&known, node.span));
            }
            // What is undefined now may be there when it is used.
            facts.insert(name.clone(), here.render(node).unwrap_or_else(|_| node.to_value()));
        }
        let names = files.iter().map(|file| Value::from(absolute(file))).collect();
        let mut result = Map::new();
        result.insert("ansible_included_var_files".to_owned(), Value::Array(names));
        let facts = if hidden { "hidden: it comes from an encrypted file".into() } else { Value::Object(facts) };
        result.insert("ansible_facts".to_owned(), facts);
        Ok(Done { changed: false, result, effect: Effect::Variables(read) })
    }
}

/// Mappings are merged, everything else is replaced.
fn merge(old: &mut Value, new: Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in new {
                merge(old.entry(key).or_insert(Value::Null), value);
            }
        }
        (old, new) => *old = new,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::fixture::{Fixture, course};

    fn here() -> Fixture {
        let mut here = Fixture::default();
        for (path, text) in [
            ("v/b.yml", "x: 2"),
            ("v/a.yml", "x: 1"),
            ("v/deep/c.json", "x: 3"),
            ("v/note.txt", "x: 4"),
            ("one.yml", "y: 1"),
        ] {
            here.files.insert(PathBuf::from(path), text.as_bytes().to_vec());
        }
        here
    }

    fn files(arguments: Value) -> Value {
        let names = course(&SPEC, arguments, &here()).expect("reads").result["ansible_included_var_files"].clone();
        let here = format!("{}/", std::env::current_dir().expect("a folder").display());
        serde_json::from_str(&names.to_string().replace(&here, "")).expect("names")
    }

    #[test]
    fn files_of_a_folder_come_in_order_and_are_chosen() {
        let all = json!({"dir": "v", "ignore_unknown_extensions": true});
        assert_eq!(files(all), json!(["v/a.yml", "v/b.yml", "v/deep/c.json"]));
        assert_eq!(files(json!({"dir": "v", "ignore_files": ["txt"], "depth": 1})), json!(["v/a.yml", "v/b.yml"]));
        assert_eq!(files(json!({"dir": "v", "files_matching": "^[bc]"})), json!(["v/b.yml", "v/deep/c.json"]));
        assert_eq!(files(json!({"dir": "v", "ignore_files": "txt json a.yml"})), json!(["v/b.yml"]));
        let failed = course(&SPEC, json!({"dir": "v"}), &here()).expect_err("an ending that is not known");
        assert_eq!(failed.message, "v/note.txt does not have a valid extension: yaml, yml, json");
    }

    #[test]
    fn one_variable_holds_all_where_it_is_named_and_mappings_are_merged_when_asked() {
        let done = course(&SPEC, json!({"file": "one.yml", "name": "all"}), &here()).expect("reads");
        assert_eq!(done.result["ansible_facts"], json!({"all": {"y": 1}}));
        let mut here = here();
        here.variables.insert("h1".to_owned(), json!({"all": {"z": 2}}).as_object().cloned().unwrap_or_default());
        let done = course(&SPEC, json!({"file": "one.yml", "name": "all", "hash_behaviour": "merge"}), &here);
        assert_eq!(done.expect("reads").result["ansible_facts"], json!({"all": {"z": 2, "y": 1}}));
    }

    #[test]
    fn what_chooses_among_files_needs_a_folder() {
        let failed = |arguments| course(&SPEC, arguments, &here()).expect_err("refused").message;
        assert!(failed(json!({"file": "one.yml", "depth": 2})).starts_with("`depth` chooses among"));
        assert!(failed(json!({"file": "one.yml", "name": "a-b"})).starts_with("`a-b` can't be"));
        assert!(failed(json!({"dir": "v", "files_matching": "("})).starts_with("`(` is not a regular"));
    }
}
