//! `lineinfile`: one line of a file.
//!
//! The edit is a pure function on bytes, since Ansible's is: lines end at `\n`, patterns are matched line by line with the
//! line's end in it.

use super::host_file::{Edit, KEEP, file_options, file_subject, finish_with_look};
use super::python_regex::{Flags, Pattern, from_bytes, to_bytes};
use super::{Applied, Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, Rule, State};
use crate::base::{Map, Output, Script};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "lineinfile",
    aliases: &[],
    summary: "has a line in a file, or none that matches",
    options: file_options![
        Opt::new("path", OptKind::Path, "the file").required().aliases(&["dest", "destfile", "name"]),
        Opt::new("state", OptKind::Choice(&["present", "absent"]), "whether the line is to be there")
            .default("present"),
        Opt::new("regexp", OptKind::Text, "the line to replace (the last that matches) or remove").aliases(&["regex"]),
        Opt::new("search_string", OptKind::Text, "likewise, as plain text"),
        Opt::new("line", OptKind::Text, "the line").aliases(&["value"]),
        Opt::new("insertafter", OptKind::Text, "`EOF`, or a pattern: after the last line that matches"),
        Opt::new("insertbefore", OptKind::Text, "`BOF`, or a pattern: before the last line that matches"),
        Opt::new("backrefs", OptKind::Bool, "fills `\\1` in `line` from the match; does nothing without one")
            .default("false"),
        Opt::new("create", OptKind::Bool, "makes the file when it is not there").default("false"),
        Opt::new("firstmatch", OptKind::Bool, "takes the first line that matches, not the last").default("false"),
        Opt::new("backup", OptKind::Bool, "keeps the old file beside the new one").default("false"),
        Opt::new("validate", OptKind::Text, "a command that must accept the new file; `%s` is its path"),
        Opt::refused("encoding", "the file is edited as bytes; UTF-8 is what patterns are written in"),
    ],
    free_form: None,
    open: false,
    rules: &[
        Rule::AtMostOne(&["insertbefore", "insertafter"]),
        Rule::AtMostOne(&["regexp", "search_string"]),
        Rule::AtMostOne(&["backrefs", "search_string"]),
        Rule::When("state", "present", &["line"]),
    ],
    check: Some(check),
    build,
};

const BYTES: Flags = Flags { multiline: false, dotall: false, bytes: true };

fn check(arguments: &Arguments) -> Result<(), String> {
    for name in ["regexp", "insertafter", "insertbefore"] {
        // A literal that holds a template is judged when it is rendered.
        if let Some(pattern) = arguments.text(name).filter(|text| !text.contains("{{") && !text.contains("{%")) {
            Pattern::compile(&pattern, BYTES)?;
        }
    }
    Ok(())
}

/// Where a line goes that matches nothing.
#[derive(Debug, Clone)]
enum Position {
    Begin,
    End,
    After(Pattern),
    Before(Pattern),
}

#[derive(Debug, Clone)]
enum Matcher {
    Regexp(Pattern),
    Text(Vec<u8>),
    None,
}

#[derive(Debug)]
struct LineInFile {
    edit: Edit,
    present: bool,
    matcher: Matcher,
    line: Vec<u8>,
    position: Position,
    backrefs: bool,
    create: bool,
    first: bool,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let present = arguments.text("state").as_deref() != Some("absent");
    let pattern = |text: &str| Pattern::compile(text, BYTES).map_err(Failure::new);
    let matcher = match (arguments.text("regexp"), arguments.text("search_string")) {
        (Some(text), _) => Matcher::Regexp(pattern(&text)?),
        (None, Some(text)) => Matcher::Text(text.into_bytes()),
        (None, None) => Matcher::None,
    };
    let line = arguments.text("line");
    let backrefs = arguments.flag("backrefs");
    if present && line.is_none() {
        return Err(Failure::new("line is required with state=present"));
    }
    if present && backrefs && !matches!(matcher, Matcher::Regexp(_)) {
        return Err(Failure::new("regexp is required with backrefs=true"));
    }
    if !present && line.is_none() && matches!(matcher, Matcher::None) {
        return Err(Failure::new("one of line, search_string, or regexp is required with state=absent"));
    }
    let position = match (arguments.text("insertafter").as_deref(), arguments.text("insertbefore").as_deref()) {
        (Some("BOF"), _) | (_, Some("BOF")) => Position::Begin,
        (Some("EOF") | None, None) => Position::End,
        (Some(text), _) => Position::After(pattern(text)?),
        (None, Some(text)) => Position::Before(pattern(text)?),
    };
    Ok(Bound::State(Box::new(LineInFile {
        edit: Edit::of(arguments, here),
        present,
        matcher,
        line: line.unwrap_or_default().into_bytes(),
        position,
        backrefs,
        create: arguments.flag("create"),
        first: arguments.flag("firstmatch"),
    })))
}

impl State for LineInFile {
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
        let mut result = Map::new();
        if old.look.entry().is_none() {
            if !self.present {
                result.insert("msg".to_owned(), "file not present".into());
                return Ok(Change::none(result));
            }
            if !self.create {
                let message = format!("Destination {} does not exist !", old.path);
                return Err(Failure::new(message).with("rc", 257));
            }
        }
        let lines: Vec<Vec<u8>> = old.content.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let (new, mut message) = if self.present {
            let mut lines = lines;
            let message = self.put(&mut lines).map_err(Failure::new)?;
            (lines.concat(), message.unwrap_or_default().to_owned())
        } else {
            let before = lines.len();
            let left = self.without(lines).map_err(Failure::new)?;
            let found = before - left.len();
            result.insert("found".to_owned(), found.into());
            (left.concat(), if found > 0 { format!("{found} line(s) removed") } else { String::new() })
        };
        let changed = !message.is_empty();
        let steps = self.edit.steps(&old, &new, changed)?;
        if old.look.entry().is_some() {
            message = self.edit.told(&old, message)?;
        }
        result.insert("msg".to_owned(), message.into());
        result.insert("backup".to_owned(), "".into());
        Ok(Change { steps, result })
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        let mut result = finish_with_look(change, outputs)?;
        let backup = result.remove("backup_file").unwrap_or_else(|| "".into());
        result.insert("backup".to_owned(), backup);
        result.retain(|key, _| matches!(key.as_str(), "msg" | "backup" | "found" | "warnings"));
        Ok(result)
    }
}

/// A line without its end.
fn bare(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    &line[..end]
}

impl LineInFile {
    /// The number of the line that matches, and the line with its references filled in.
    fn find(&self, lines: &[Vec<u8>]) -> Result<Option<(usize, Vec<u8>)>, String> {
        let mut found = None;
        for (number, line) in lines.iter().enumerate() {
            let matched = match &self.matcher {
                Matcher::None => None,
                Matcher::Text(text) => {
                    let has = text.is_empty() || line.windows(text.len()).any(|window| window == text);
                    has.then(|| self.line.clone())
                }
                Matcher::Regexp(pattern) => {
                    let text = from_bytes(line);
                    match pattern.search(&text, 0)? {
                        Some(captures) if self.backrefs => {
                            let written = String::from_utf8_lossy(&self.line);
                            Some(to_bytes(&pattern.expand(&captures, &written)?))
                        }
                        Some(_) => Some(self.line.clone()),
                        None => None,
                    }
                }
            };
            if let Some(new) = matched {
                found = Some((number, new));
                if self.first {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Has the line in the file; says what was done, or `None` when it was there.
    fn put(&self, lines: &mut Vec<Vec<u8>>) -> Result<Option<&'static str>, String> {
        let found = self.find(lines)?;
        let mut place = None;
        let mut target = found;
        if target.is_none() {
            for (number, line) in lines.iter().enumerate() {
                if bare(line) == self.line {
                    target = Some((number, self.line.clone()));
                    continue;
                }
                let (pattern, offset) = match &self.position {
                    Position::After(pattern) => (pattern, 1),
                    Position::Before(pattern) => (pattern, 0),
                    _ => continue,
                };
                if pattern.search(&from_bytes(line), 0)?.is_some() {
                    place = Some(number + offset);
                    if self.first {
                        break;
                    }
                }
            }
        }
        if let Some((number, mut new)) = target {
            if !new.ends_with(b"\n") {
                new.push(b'\n');
            }
            let Some(line) = lines.get_mut(number) else { return Ok(None) };
            if *line == new {
                return Ok(None);
            }
            *line = new;
            return Ok(Some("line replaced"));
        }
        if self.backrefs {
            return Ok(None);
        }
        let mut whole = self.line.clone();
        whole.push(b'\n');
        match (&self.position, place) {
            (Position::Begin, _) => lines.insert(0, whole),
            (Position::After(_), Some(at)) => {
                let beside = lines.get(at).or(lines.last());
                if beside.is_some_and(|line| bare(line) == self.line) {
                    return Ok(None);
                }
                self.insert(lines, at, whole);
            }
            (Position::Before(_), Some(at)) => self.insert(lines, at, whole),
            _ => self.insert(lines, lines.len(), whole),
        }
        Ok(Some("line added"))
    }

    /// Inserts a line; one that comes after a last line without an end gives that line one.
    fn insert(&self, lines: &mut Vec<Vec<u8>>, at: usize, whole: Vec<u8>) {
        if at == lines.len()
            && let Some(last) = lines.last_mut()
            && !matches!(last.last(), Some(b'\n' | b'\r'))
        {
            last.push(b'\n');
        }
        lines.insert(at, whole);
    }

    fn without(&self, lines: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, String> {
        let mut left = Vec::with_capacity(lines.len());
        for line in lines {
            let matches = match &self.matcher {
                Matcher::Regexp(pattern) => pattern.search(&from_bytes(&line), 0)?.is_some(),
                Matcher::Text(text) => text.is_empty() || line.windows(text.len()).any(|window| window == text),
                Matcher::None => bare(&line) == self.line,
            };
            if !matches {
                left.push(line);
            }
        }
        Ok(left)
    }
}
