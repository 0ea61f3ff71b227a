//! Changing a part of a file: its content is read, a pure function makes the new one, and it is put in force unless the
//! file was changed by someone else meanwhile.

use super::attributes::Wanted;
use super::folders::{MAKE, set_for_new};
use super::foresee::{Foreseen, entry_after, file_subject};
use super::place::write_summary;
use super::text::{diff, hex_sha256};
use super::write::{Feed, Write, bytes};
use super::{Kind, LOOK, Look, Seen};
use crate::base::{Content, Map, Output, Script, Value};
use crate::modules::{Act, Arguments, Change, Controller, Failure, Step};

/// A file that is edited.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    /// The path as written.
    pub(crate) path: String,
    /// Attributes.
    pub(crate) wanted: Wanted,
    /// Keeps the old file.
    pub(crate) backup: bool,
    /// The check of the new file.
    pub(crate) validate: Option<String>,
    /// Whether diffs are wanted.
    pub(crate) diff: bool,
}

/// How much of a file is read for an edit, in bytes on the wire (long ones are compressed).
pub(crate) const KEEP: usize = 16 << 20;

/// A file as it was read.
#[derive(Debug)]
pub(crate) struct Old {
    /// The path that it really has.
    pub(crate) path: String,
    /// What is there.
    pub(crate) look: Look,
    /// Its content; empty when nothing is there.
    pub(crate) content: Vec<u8>,
    seen: Seen,
}

const ASK: &str = r#"expand "$wanted"
resolve
say path "$path"
[ -d "${path%/*}/" ] || echo folder_missing
tell_ids
look file "$path" && [ -f "$path" ] || { echo end; exit 0; }
content "$path""#;

impl Edit {
    /// What a module that edits a file says by its options `path`, `backup` and `validate`, and by those of attributes.
    pub(crate) fn of(arguments: &Arguments, here: &dyn Controller) -> Self {
        Self {
            path: arguments.required("path"),
            wanted: Wanted::of(arguments),
            backup: arguments.flag("backup"),
            validate: arguments.text("validate"),
            diff: here.wants_diff(),
        }
    }

    /// The questions.
    pub(crate) fn probe(&self) -> Script {
        self.wanted.ask(Script::new().line(LOOK).set("wanted", &self.path)).line(ASK)
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// The file can't be read, is too big or is no file.
    pub(crate) fn old(&self, seen: &Output) -> Result<Old, Failure> {
        if seen.stdout_cut > 0 {
            return Err(Failure::new(format!("{} is too big to be edited over the wire", self.path)));
        }
        let seen = Seen::parse(seen)?;
        let path = seen.get("path").unwrap_or(&self.path).to_owned();
        let look = seen.look("file")?;
        if look.is(Kind::Directory) {
            return Err(Failure::new(format!("Path {path} is a directory !")).with("rc", 256));
        }
        if look.entry().is_some() && seen.content().is_none() {
            return Err(Failure::new(format!("{path} is no regular file")));
        }
        let content = seen.content().unwrap_or_default().to_vec();
        Ok(Old { path, look, content, seen })
    }

    /// The file before the change, for an undo: `path`, `exists`, and where it does its `content` (when that is text), `mode`,
    /// `owner` and `group`.
    pub(crate) fn before(&self, seen: &Output) -> Map {
        let Ok(old) = self.old(seen) else { return Map::new() };
        let mut before = Map::new();
        before.insert("path".to_owned(), Value::from(old.path.as_str()));
        before.insert("exists".to_owned(), Value::from(old.look.entry().is_some()));
        if let Some(entry) = old.look.entry() {
            before.insert("mode".to_owned(), Value::from(format!("0{:03o}", entry.mode)));
            before.insert("owner".to_owned(), Value::from(entry.owner.as_str()));
            before.insert("group".to_owned(), Value::from(entry.group.as_str()));
            if let Ok(text) = String::from_utf8(old.content) {
                before.insert("content".to_owned(), Value::from(text));
            }
        }
        before
    }

    /// The steps from the old content to the new one, and whether only attributes differ.
    ///
    /// # Errors
    /// The mode or `validate` makes no sense.
    pub(crate) fn steps(&self, old: &Old, new: &[u8], changed: bool) -> Result<Vec<Step>, Failure> {
        let entry = old.look.entry();
        let settled = self.wanted.settle(&old.seen, entry, false, 0o666)?;
        if !changed {
            return Ok(settled.step(&old.path, self.diff).into_iter().collect());
        }
        let was = if entry.is_some() { hex_sha256(&old.content) } else { "-".to_owned() };
        let sha256 = hex_sha256(new);
        let write = Write {
            path: &old.path,
            feed: Feed::Sent(bytes(new)),
            digest: Some((new.len() as u64, &sha256)),
            old: entry,
            settled: &settled,
            backup: self.backup,
            validate: self.validate.as_deref(),
            was: Some(&was),
        };
        let mut step = write.step(write_summary(&old.path, entry, new.len() as u64, &settled.line()))?;
        if old.seen.get("folder_missing").is_some()
            && let Act::Script { script, .. } = &mut step.act
        {
            // Missing folders are made as the host's umask has it.
            let plain = Wanted::default().settle(&old.seen, None, true, 0o777)?;
            *script = set_for_new(Script::new().set("path", &old.path), &plain)
                .line(MAKE)
                .line("make \"${path%/*}\"")
                .then(script);
        }
        let header = format!("{} (content)", old.path);
        if self.diff {
            step = step.diff(diff((&header, &old.content), (&header, new)));
        }
        Ok(vec![step])
    }

    /// What later tasks of a preview see of the file, under the path as written and as it is.
    pub(crate) fn leaves(&self, seen: &Output, change: &Change) -> Vec<(String, Option<Output>)> {
        let written = file_subject(&self.path);
        let Some((path, answer)) = self.foresee(seen, change) else { return vec![(written, None)] };
        let real = file_subject(&path);
        if real == written {
            vec![(written, Some(answer))]
        } else {
            vec![(written, Some(answer.clone())), (real, Some(answer))]
        }
    }

    fn foresee(&self, seen: &Output, change: &Change) -> Option<(String, Output)> {
        let old = self.old(seen).ok()?;
        let entry = old.look.entry();
        let settled = self.wanted.settle(&old.seen, entry, false, 0o666).ok()?;
        let sent = change.steps.iter().find_map(|step| match &step.act {
            Act::Script { stdin: Some(Content::Bytes(bytes)), .. } => Some(bytes),
            _ => None,
        });
        let content: &[u8] = sent.map_or(old.content.as_slice(), |bytes| bytes);
        let after = entry_after(entry, &settled, &self.wanted, Kind::File, content.len() as u64);
        let look = Look::There(after);
        let answer = Foreseen { seen: &old.seen, path: &old.path, look, content: Some(content), sha256: None }.render();
        Some((old.path.clone(), answer))
    }

    /// What Ansible says of an edit: what became of the content, and of owner, group and mode.
    ///
    /// # Errors
    /// The mode makes no sense.
    pub(crate) fn told(&self, old: &Old, content: String) -> Result<String, Failure> {
        if !self.attributes_differ(old)? {
            return Ok(content);
        }
        let also = "ownership, perms or SE linux context changed";
        Ok(if content.is_empty() { also.to_owned() } else { format!("{content} and {also}") })
    }

    /// Whether owner, group or mode differ while the content does not.
    ///
    /// # Errors
    /// The mode makes no sense.
    pub(crate) fn attributes_differ(&self, old: &Old) -> Result<bool, Failure> {
        let entry = old.look.entry();
        Ok(!self.wanted.settle(&old.seen, entry, false, 0o666)?.differences.is_empty())
    }
}
