//! One file put at one place, as `copy` and `template` do it: what they ask and what they make of the answer.

use super::attributes::Wanted;
use super::folders::make_folders;
use super::foresee::{Foreseen, entry_after, file_subject};
use super::look::Section;
use super::text::{DIFF_LIMIT, describe, hex_sha256, summary};
use super::write::{Feed, Write, bytes, describe_entry, old_text};
use super::{Entry, Kind, LOOK, Look, Seen};
use crate::base::{Content, Map, Output, Script};
use crate::modules::{Change, Diff, Failure, Step};

/// A new content.
#[derive(Debug, Clone)]
pub(crate) struct Fresh {
    /// What is sent.
    pub(crate) content: Content,
    /// Bytes.
    pub(crate) size: u64,
    /// SHA-256 in hex.
    pub(crate) sha256: String,
    /// SHA-1 in hex; the `checksum` of results.
    pub(crate) sha1: String,
    /// MD5 in hex; the `md5sum` of results.
    pub(crate) md5: String,
    /// Its text for diffs; `None` when diffs aren't wanted.
    pub(crate) shown: Option<String>,
    /// What the result calls `src`.
    pub(crate) source: Option<String>,
}

impl Fresh {
    /// A content in memory.
    pub(crate) fn of(content: &[u8], wants_diff: bool) -> Self {
        use sha1::Digest as _;
        Self {
            content: bytes(content),
            size: content.len() as u64,
            sha256: hex_sha256(content),
            sha1: super::hex(&sha1::Sha1::digest(content)),
            md5: super::hex(&md5::Md5::digest(content)),
            shown: wants_diff.then(|| describe(content)),
            source: None,
        }
    }

    /// A file of this machine. `decrypt`: of one that `ansible-vault` has encrypted, what it holds.
    ///
    /// # Errors
    /// It can't be read or opened.
    pub(crate) fn file(
        path: &std::path::Path,
        decrypt: bool,
        here: &dyn crate::modules::Controller,
    ) -> Result<Self, Failure> {
        let opened = if decrypt { here.opened(path)? } else { None };
        let source = path;
        let path = opened.as_deref().unwrap_or(path);
        let file = here.digest(path)?;
        let shown = match here.wants_diff() {
            false => None,
            true if file.size <= DIFF_LIMIT => Some(describe(&here.read(path)?)),
            true => Some(summary("too long to show", file.size, &file.sha256)),
        };
        Ok(Self {
            size: file.size,
            sha256: file.sha256.clone(),
            sha1: file.sha1.clone(),
            md5: file.md5.clone(),
            shown,
            source: Some(source.display().to_string()),
            content: Content::File { file, offset: 0 },
        })
    }
}

/// One file at one place.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Where to, as the user wrote it.
    pub(crate) dest: String,
    /// The file's name when `dest` is a folder; `None` when a folder is an error.
    pub(crate) name: Option<String>,
    /// The content.
    pub(crate) fresh: Fresh,
    /// Attributes.
    pub(crate) wanted: Wanted,
    /// The mode of folders that are made on the way.
    pub(crate) directory_mode: Option<String>,
    /// Keeps the old file.
    pub(crate) backup: bool,
    /// Replaces a file that differs.
    pub(crate) force: bool,
    /// Writes to what a link points at.
    pub(crate) follow: bool,
    /// The check of the new file.
    pub(crate) validate: Option<String>,
}

const ASK: &str = r#"expand "$dest"
folder=
if [ -d "$path" ]; then folder=$path; else case $dest in */) folder=$path;; esac; fi
if [ -n "$folder" ]; then
say folder "$folder"
[ -d "$folder" ] || echo folder_missing
path=${folder%/}/$name
fi
[ -z "$follow" ] || resolve
say path "$path"
[ -n "$folder" ] || [ -d "${path%/*}/" ] || say parent_missing "${path%/*}"
tell_ids
look dest "$path"
if [ -f "$path" ] && [ -r "$path" ]; then
have=$(wc -c <"$path")
if [ $((have)) -eq "$size" ]; then digest "$path" "$size" && say sha256 "$sum"; fi
if [ -n "$diff" ] && [ $((have)) -le 104448 ]; then printf 'text %s\n' "$(base64 <"$path" | tr -d '\n')"; fi
fi
echo end"#;

impl Place {
    /// The questions.
    pub(crate) fn probe(&self) -> Script {
        let flag = |on: bool| if on { "1" } else { "" };
        let script = Script::new()
            .line(LOOK)
            .set("dest", &self.dest)
            .set("name", self.name.as_deref().unwrap_or(""))
            .set("follow", flag(self.follow))
            .set("size", &self.fresh.size.to_string())
            .set("diff", flag(self.fresh.shown.is_some()));
        self.wanted.ask(script).line(ASK)
    }

    /// Where a preview may know what is there: in the folder `dest`, or at `dest`.
    pub(crate) fn subjects(&self) -> Vec<String> {
        let whole = file_subject(&self.dest);
        match &self.name {
            Some(name) => vec![file_subject(&format!("{}/{name}", self.dest.trim_end_matches('/'))), whole],
            None => vec![whole],
        }
    }

    /// What later tasks of a preview see of the file.
    pub(crate) fn leaves(&self, seen: &Output) -> Vec<(String, Option<Output>)> {
        self.foresee(seen).map_or_else(
            || self.subjects().into_iter().map(|subject| (subject, None)).collect(),
            |(path, answer)| vec![(file_subject(&path), Some(answer))],
        )
    }

    fn foresee(&self, seen: &Output) -> Option<(String, Output)> {
        let seen = Seen::parse(seen).ok()?;
        let path = seen.get("path")?;
        let look = seen.look("dest").ok()?;
        let old = look.entry().filter(|entry| entry.kind == Kind::File);
        let settled = self.wanted.settle(&seen, old, false, 0o666).ok()?;
        let content = match &self.fresh.content {
            Content::Bytes(bytes) => Some(&**bytes),
            // A file's text is known where diffs are wanted.
            Content::File { .. } => {
                let shown = self.fresh.shown.as_deref().map(str::as_bytes);
                shown.filter(|text| hex_sha256(text) == self.fresh.sha256)
            }
        };
        let look = Look::There(entry_after(old, &settled, &self.wanted, Kind::File, self.fresh.size));
        let sha256 = Some(self.fresh.sha256.as_str());
        Some((path.to_owned(), Foreseen { seen: &seen, path, look, content, sha256 }.render()))
    }

    /// Wanted × seen.
    ///
    /// # Errors
    /// A directory is in the way, or the mode makes no sense.
    pub(crate) fn steps(&self, seen: &Seen) -> Result<Change, Failure> {
        if self.name.is_none() && seen.get("folder").is_some() {
            return Err(Failure::new(format!("can not use content with a dir as dest: {}", self.dest)));
        }
        let path = seen.get("path").ok_or_else(|| Failure::new("the host's answer is not whole"))?;
        if let Some(parent) = seen.get("parent_missing") {
            return Err(Failure::new(format!("Destination directory {parent} does not exist")));
        }
        let section = seen.section("dest").cloned().unwrap_or_default();
        let look = section.look()?;
        let entry = look.entry();
        if look.is(Kind::Directory) {
            return Err(Failure::new(format!("{path} is a directory: a file can't take its place")));
        }
        let mut result = Map::new();
        result.insert("dest".to_owned(), path.into());
        if !self.force && entry.is_some() {
            if let Some(source) = &self.fresh.source {
                result.insert("src".to_owned(), source.clone().into());
            }
            return Ok(Change::none(result));
        }
        result.insert("checksum".to_owned(), self.fresh.sha1.clone().into());
        let settled = self.wanted.settle(seen, entry.filter(|entry| entry.kind == Kind::File), false, 0o666)?;
        if look.is(Kind::File) && section.get("sha256") == Some(self.fresh.sha256.as_str()) {
            result.insert("path".to_owned(), path.into());
            if let Some(entry) = entry {
                describe_entry(entry, &mut result);
            }
            let steps = settled.step(path, self.fresh.shown.is_some()).into_iter().collect();
            return Ok(Change { steps, result });
        }
        if let Some(source) = &self.fresh.source {
            result.insert("src".to_owned(), source.clone().into());
        }
        result.insert("md5sum".to_owned(), self.fresh.md5.clone().into());
        let mut steps = Vec::new();
        if let Some(folder) = seen.get("folder").filter(|_| seen.get("folder_missing").is_some()) {
            let wanted = Wanted { mode: self.directory_mode.clone(), ..self.wanted.clone() };
            let settled = wanted.settle(seen, None, true, 0o777)?;
            steps.push(Step::script(format!("create the directory {folder}"), make_folders(folder, &settled)));
        }
        let write = Write {
            path,
            feed: Feed::Sent(self.fresh.content.clone()),
            digest: Some((self.fresh.size, &self.fresh.sha256)),
            old: entry,
            settled: &settled,
            backup: self.backup,
            validate: self.validate.as_deref(),
            was: None,
        };
        let mut step = write.step(write_summary(path, entry, self.fresh.size, &settled.line()))?;
        if let Some(after) = &self.fresh.shown {
            step = step.diff(content_diff(path, entry, &section, seen, after));
        }
        steps.push(step);
        Ok(Change { steps, result })
    }
}

/// What a write is called in a preview.
pub(crate) fn write_summary(path: &str, old: Option<&Entry>, size: u64, attributes: &str) -> String {
    let also = if attributes.is_empty() { String::new() } else { format!("; {attributes}") };
    match old {
        None => format!("create {path} ({size} bytes)"),
        Some(entry) if entry.kind == Kind::Link => format!("replace the link {path} by a file ({size} bytes)"),
        Some(entry) => format!("replace {path} ({} → {size} bytes){also}", entry.size),
    }
}

fn content_diff(path: &str, entry: Option<&Entry>, section: &Section, seen: &Seen, after: &str) -> Diff {
    let before = match (entry, old_text(seen)) {
        (None, _) => String::new(),
        (Some(_), Some(old)) => describe(&old),
        (Some(entry), None) => summary("not shown", entry.size, section.get("sha256").unwrap_or("")),
    };
    Diff {
        before_header: if entry.is_some() { path.to_owned() } else { String::new() },
        after_header: path.to_owned(),
        before,
        after: after.to_owned(),
    }
}
