//! `blockinfile`: a block of lines between two marker lines.
//!
//! The edit is a pure function on bytes, as Ansible's is: a marker counts where it is a whole line ended by `\n`, and lines end
//! wherever Python's `splitlines` ends them.

use super::host_file::{Edit, KEEP, file_options, file_subject, finish_with_look};
use super::python_regex::{Flags, Pattern, from_bytes};
use super::{Applied, Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, Rule, State};
use crate::base::{Map, Output, Script};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "blockinfile",
    aliases: &[],
    summary: "has a block of lines in a file, between two markers",
    options: file_options![
        Opt::new("path", OptKind::Path, "the file").required().aliases(&["dest", "destfile", "name"]),
        Opt::new("state", OptKind::Choice(&["present", "absent"]), "whether the block is to be there")
            .default("present"),
        Opt::new("block", OptKind::Text, "the lines; nothing removes the block").default("").aliases(&["content"]),
        Opt::new("marker", OptKind::Text, "the marker lines; `{mark}` stands for BEGIN or END")
            .default("# {mark} ANSIBLE MANAGED BLOCK"),
        Opt::new("marker_begin", OptKind::Text, "what `{mark}` is in the first").default("BEGIN"),
        Opt::new("marker_end", OptKind::Text, "what `{mark}` is in the last").default("END"),
        Opt::new("insertafter", OptKind::Text, "`EOF`, or a pattern: after the last line that matches"),
        Opt::new("insertbefore", OptKind::Text, "`BOF`, or a pattern: before the last line that matches"),
        Opt::new("append_newline", OptKind::Bool, "an empty line between the block and what follows").default("false"),
        Opt::new("prepend_newline", OptKind::Bool, "an empty line between the block and what is before it")
            .default("false"),
        Opt::new("create", OptKind::Bool, "makes the file when it is not there").default("false"),
        Opt::new("backup", OptKind::Bool, "keeps the old file beside the new one").default("false"),
        Opt::new("validate", OptKind::Text, "a command that must accept the new file; `%s` is its path"),
        Opt::refused("encoding", "the file is edited as bytes; UTF-8 is what patterns are written in"),
    ],
    free_form: None,
    open: false,
    rules: &[Rule::AtMostOne(&["insertbefore", "insertafter"])],
    check: Some(check),
    build,
};

const BYTES: Flags = Flags { multiline: false, dotall: false, bytes: true };

fn check(arguments: &Arguments) -> Result<(), String> {
    for name in ["insertafter", "insertbefore"] {
        // A literal that holds a template is judged when it is rendered.
        if let Some(pattern) = arguments.text(name).filter(|text| !text.contains("{{") && !text.contains("{%")) {
            Pattern::compile(&pattern, BYTES)?;
        }
    }
    Ok(())
}

/// Where the block goes when the file has none.
#[derive(Debug, Clone)]
enum Position {
    Begin,
    End,
    /// Before or after the last place that matches.
    At {
        pattern: Pattern,
        after: bool,
        /// The pattern may match over several lines (`(?m)`): it is looked for in the whole text.
        whole: bool,
    },
}

#[derive(Debug)]
struct BlockInFile {
    edit: Edit,
    present: bool,
    /// The lines between the markers, each with its end.
    block: Vec<Vec<u8>>,
    begin: Vec<u8>,
    end: Vec<u8>,
    position: Position,
    append_newline: bool,
    prepend_newline: bool,
    create: bool,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let position = match (arguments.text("insertafter"), arguments.text("insertbefore")) {
        (None, None) => Position::End,
        (Some(word), _) if word == "EOF" => Position::End,
        (None, Some(word)) if word == "BOF" => Position::Begin,
        (after, before) => {
            let text = after.clone().or(before).unwrap_or_default();
            let pattern = Pattern::compile(&text, BYTES).map_err(Failure::new)?;
            let flags = text.strip_prefix("(?").and_then(|rest| rest.split(')').next()).unwrap_or_default();
            Position::At { pattern, after: after.is_some(), whole: flags.contains('m') && !flags.contains(':') }
        }
    };
    let marker = |word: &str| (arguments.required("marker").replace("{mark}", word) + "\n").into_bytes();
    let mut block = arguments.required("block").into_bytes();
    if !block.is_empty() && block.last() != Some(&b'\n') {
        block.push(b'\n');
    }
    Ok(Bound::State(Box::new(BlockInFile {
        edit: Edit::of(arguments, here),
        present: arguments.text("state").as_deref() != Some("absent"),
        block: split_lines(&block),
        begin: marker(&arguments.required("marker_begin")),
        end: marker(&arguments.required("marker_end")),
        position,
        append_newline: arguments.flag("append_newline"),
        prepend_newline: arguments.flag("prepend_newline"),
        create: arguments.flag("create"),
    })))
}

impl State for BlockInFile {
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
        let there = old.look.entry().is_some();
        let mut result = Map::new();
        if !there && !self.create {
            return Err(Failure::new(format!("Path {} does not exist !", old.path)).with("rc", 257));
        }
        if !there && !self.present {
            result.insert("msg".to_owned(), format!("File {} not present", old.path).into());
            return Ok(Change::none(result));
        }
        let new = self.edited(&old.content).map_err(Failure::new)?;
        let changed = !there || new != old.content;
        let mut message = match (changed, there) {
            (false, _) => "",
            (true, false) => "File created",
            (true, true) if self.is_wanted() => "Block inserted",
            (true, true) => "Block removed",
        }
        .to_owned();
        let steps = self.edit.steps(&old, &new, changed)?;
        if there && self.edit.attributes_differ(&old)? {
            message.push_str(" and ownership, perms or SE linux context changed");
        }
        result.insert("msg".to_owned(), message.into());
        Ok(Change { steps, result })
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        let mut result = finish_with_look(change, outputs)?;
        result.retain(|key, _| matches!(key.as_str(), "msg" | "backup_file" | "warnings"));
        Ok(result)
    }
}

impl BlockInFile {
    fn is_wanted(&self) -> bool {
        self.present && !self.block.is_empty()
    }

    /// The new content.
    fn edited(&self, content: &[u8]) -> Result<Vec<u8>, String> {
        let mut lines = split_lines(content);
        let last = |marker: &Vec<u8>| lines.iter().rposition(|line| line == marker);
        let mut at = match (last(&self.begin), last(&self.end)) {
            (Some(begin), Some(end)) => {
                let (first, last) = (begin.min(end), begin.max(end));
                lines.drain(first..=last);
                first
            }
            _ => self.place(content, &lines)?,
        };
        if let Some(before) = at.checked_sub(1).and_then(|place| lines.get_mut(place))
            && before.last() != Some(&b'\n')
        {
            before.push(b'\n');
        }
        let is_blank = |line: Option<&Vec<u8>>| line.is_some_and(|line| line == b"\n");
        if self.prepend_newline && self.present && at > 0 && !is_blank(lines.get(at - 1)) {
            lines.insert(at, b"\n".to_vec());
            at += 1;
        }
        let mut after = at;
        if self.is_wanted() {
            let whole = std::iter::once(&self.begin).chain(&self.block).chain(std::iter::once(&self.end)).cloned();
            lines.splice(at..at, whole);
            after += self.block.len() + 2;
        }
        if self.append_newline && self.present && after < lines.len() && !is_blank(lines.get(after)) {
            lines.insert(after, b"\n".to_vec());
        }
        Ok(lines.concat())
    }

    /// The number of the line before which a new block goes.
    fn place(&self, content: &[u8], lines: &[Vec<u8>]) -> Result<usize, String> {
        let (pattern, after, whole) = match &self.position {
            Position::Begin => return Ok(0),
            Position::End => return Ok(lines.len()),
            Position::At { pattern, after, whole } => (pattern, *after, *whole),
        };
        let found = if whole {
            let text = from_bytes(content);
            let found = pattern.search(&text, 0)?.and_then(|captures| captures.get(0));
            let end = found.map(|found| if after { found.end() } else { found.start() });
            end.map(|end| text.get(..end).unwrap_or_default().matches('\n').count())
        } else {
            let mut found = None;
            for (number, line) in lines.iter().enumerate() {
                if pattern.search(&from_bytes(line), 0)?.is_some() {
                    found = Some(number);
                }
            }
            found
        };
        Ok(found.map_or(lines.len(), |number| number + usize::from(after)).min(lines.len()))
    }
}

/// Lines with their ends, as Python's `splitlines` sees bytes.
fn split_lines(content: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let end = match rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            None => rest.len(),
            Some(at) if rest.get(at..at + 2) == Some(b"\r\n") => at + 2,
            Some(at) => at + 1,
        };
        let (line, after) = rest.split_at(end);
        lines.push(line.to_vec());
        rest = after;
    }
    lines
}
