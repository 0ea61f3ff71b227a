//! `replace`: every match of a pattern in a file.

use super::host_file::{Edit, KEEP, file_options, file_subject, finish_with_look};
use super::python_regex::{Flags, Pattern, from_bytes, to_bytes};
use super::{Applied, Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, State};
use crate::base::{Map, Output, Script};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "replace",
    aliases: &[],
    summary: "replaces every match of a pattern in a file",
    options: file_options![
        Opt::new("path", OptKind::Path, "the file").required().aliases(&["dest", "destfile", "name"]),
        Opt::new("regexp", OptKind::Text, "the pattern; `^` and `$` match at lines").required(),
        Opt::new("replace", OptKind::Text, "what takes the place of a match; `\\1` is its first group").default(""),
        Opt::new("after", OptKind::Text, "only after the first match of this pattern"),
        Opt::new("before", OptKind::Text, "only before the first match of this pattern"),
        Opt::new("backup", OptKind::Bool, "keeps the old file beside the new one").default("false"),
        Opt::new("validate", OptKind::Text, "a command that must accept the new file; `%s` is its path"),
        Opt::new("encoding", OptKind::Choice(&["utf-8", "utf8", "UTF-8"]), "UTF-8; other bytes are kept")
            .default("utf-8"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: Some(check),
    build,
};

const LINES: Flags = Flags { multiline: true, dotall: false, bytes: false };
const SECTION: Flags = Flags { multiline: false, dotall: true, bytes: false };

fn check(arguments: &Arguments) -> Result<(), String> {
    for (name, flags) in [("regexp", LINES), ("after", SECTION), ("before", SECTION)] {
        if let Some(pattern) = arguments.text(name).filter(|text| !text.contains("{{") && !text.contains("{%")) {
            Pattern::compile(&pattern, flags)?;
        }
    }
    Ok(())
}

#[derive(Debug)]
struct Replace {
    edit: Edit,
    regexp: String,
    replacement: String,
    section: Option<String>,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let text = |name| arguments.text(name).filter(|text| !text.is_empty());
    let section = match (text("after"), text("before")) {
        (Some(after), Some(before)) => Some(format!("{after}(?P<subsection>.*?){before}")),
        (Some(after), None) => Some(format!("{after}(?P<subsection>.*)")),
        (None, Some(before)) => Some(format!("(?P<subsection>.*){before}")),
        (None, None) => None,
    };
    let regexp = arguments.required("regexp");
    Pattern::compile(&regexp, LINES).map_err(Failure::new)?;
    if let Some(section) = &section {
        Pattern::compile(section, SECTION).map_err(Failure::new)?;
    }
    Ok(Bound::State(Box::new(Replace {
        edit: Edit::of(arguments, here),
        regexp,
        replacement: arguments.text("replace").unwrap_or_default(),
        section,
    })))
}

/// What an edit came to: the new content and how many replacements, or the section that was not found.
#[derive(Debug, PartialEq, Eq)]
enum Edited {
    Same,
    New(Vec<u8>, usize),
    NoSection,
}

impl Replace {
    fn replace(&self, content: &[u8]) -> Result<Edited, String> {
        // A file that isn't UTF-8 is matched byte by byte, so that what is not touched stays as it is.
        let (text, bytes) = match std::str::from_utf8(content) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => (from_bytes(content), true),
        };
        let (start, end) = match &self.section {
            None => (0, text.len()),
            Some(section) => {
                let pattern = Pattern::compile(section, Flags { bytes, ..SECTION })?;
                let Some(found) =
                    pattern.search(&text, 0)?.and_then(|found| found.name("subsection").map(|s| s.range()))
                else {
                    return Ok(Edited::NoSection);
                };
                (found.start, found.end)
            }
        };
        let section = text.get(start..end).unwrap_or_default();
        let pattern = Pattern::compile(&self.regexp, Flags { bytes, ..LINES })?;
        let (new, count) = pattern.replace_all(section, &self.replacement)?;
        if count == 0 || new == section {
            return Ok(Edited::Same);
        }
        let whole = [text.get(..start).unwrap_or_default(), &new, text.get(end..).unwrap_or_default()].concat();
        Ok(Edited::New(if bytes { to_bytes(&whole) } else { whole.into_bytes() }, count))
    }
}

impl State for Replace {
    fn probe(&self) -> Script {
        self.edit.probe()
    }

    fn keep(&self) -> usize {
        KEEP
    }

    fn subject(&self) -> String {
        file_subject(&self.edit.path)
    }

    fn leaves(&self, seen: &Output, change: &Change) -> Vec<(String, Option<Output>)> {
        self.edit.leaves(seen, change)
    }

    fn before(&self, seen: &Output) -> Map {
        self.edit.before(seen)
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let old = self.edit.old(seen)?;
        if old.look.entry().is_none() {
            return Err(Failure::new(format!("Path {} does not exist !", old.path)).with("rc", 257));
        }
        let mut result = Map::new();
        let edited = self
            .replace(&old.content)
            .map_err(|reason| Failure::new(format!("Unable to process replace due to error: {reason}")))?;
        let (new, message) = match edited {
            Edited::NoSection => {
                let pattern = self.section.as_deref().unwrap_or_default();
                let message = format!("Pattern for before/after params did not match the given file: {pattern}");
                result.insert("msg".to_owned(), message.into());
                result.insert("rc".to_owned(), 0.into());
                return Ok(Change::none(result));
            }
            Edited::Same => (Vec::new(), String::new()),
            Edited::New(new, count) => (new, format!("{count} replacements made")),
        };
        let steps = self.edit.steps(&old, &new, !message.is_empty())?;
        result.insert("msg".to_owned(), self.edit.told(&old, message)?.into());
        result.insert("rc".to_owned(), 0.into());
        Ok(Change { steps, result })
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        let mut result = finish_with_look(change, outputs)?;
        result.retain(|key, _| matches!(key.as_str(), "msg" | "rc" | "backup_file" | "warnings"));
        Ok(result)
    }
}
