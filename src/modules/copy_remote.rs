//! `copy` with `remote_src`: a file or directory of the host copied on the host.

use super::host_file::{
    Feed, Kind, LOOK, Look, Section, Seen, Wanted, Write, describe, describe_entry, diff, file_subject,
    finish_with_look, write_summary,
};
use super::{Applied, Change, Failure, State, copy_remote_tree};
use crate::base::{Map, Output, Script};
use base64::Engine as _;

/// The new and the old content for a diff, where both were told.
pub(super) fn sides(section: &Section) -> Vec<Vec<u8>> {
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).ok();
    section.all("side").into_iter().filter_map(decode).collect()
}

/// A copy within the host.
#[derive(Debug)]
pub(super) struct Remote {
    /// What is copied.
    pub(super) source: String,
    /// Where to.
    pub(super) dest: String,
    /// Attributes.
    pub(super) wanted: Wanted,
    /// Keeps the old file.
    pub(super) backup: bool,
    /// Replaces a file that differs.
    pub(super) force: bool,
    /// Writes to what a link points at.
    pub(super) follow: bool,
    /// The check of the new file.
    pub(super) validate: Option<String>,
    /// The mode of directories that are made.
    pub(super) directory_mode: Option<String>,
    /// The SHA-1 that the source must have.
    pub(super) checksum: Option<String>,
    /// Whether diffs are wanted.
    pub(super) diff: bool,
}

const ASK: &str = r#"expand "$source"; from=$path
case $source in */) name=;; *) name=${from##*/};; esac
say from "$from"
tell_ids
look source "$from" -L"#;

const ASK_FILE: &str = r#"if [ -f "$from" ]; then sum=$(sha1sum <"$from") && say sha1 "${sum%% *}"; fi
expand "$dest"
if [ -d "$path" ]; then path=${path%/}/$name; else case $dest in */) path=${path%/}/$name; echo folder_missing;; esac; fi
[ -z "$follow" ] || resolve
say path "$path"
look dest "$path"
if [ -f "$path" ]; then
cmp -s "$from" "$path" && echo same
if [ -n "$diff" ]; then
for side in "$from" "$path"; do
size=$(wc -c <"$side")
[ $((size)) -gt 104448 ] || printf 'side %s\n' "$(base64 <"$side" | tr -d '\n')"
done
fi
fi
echo end"#;

impl State for Remote {
    fn probe(&self) -> Script {
        let flag = |on: bool| if on { "1" } else { "" };
        let script = Script::new()
            .line(LOOK)
            .set("source", &self.source)
            .set("dest", &self.dest)
            .set("follow", flag(self.follow))
            .set("diff", flag(self.diff));
        self.wanted.ask(script).line(ASK).line(copy_remote_tree::ASK).line(ASK_FILE)
    }

    fn keep(&self) -> usize {
        16 << 20
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let seen = Seen::parse(seen)?;
        let missing = || Failure::new("the host's answer is not whole");
        let from = seen.get("from").ok_or_else(missing)?;
        if let Some(root) = seen.get("tree") {
            return copy_remote_tree::steps(self, &seen, from, root);
        }
        let path = seen.get("path").ok_or_else(missing)?;
        let source = seen.look("source")?;
        let Look::There(source) = source else {
            return Err(Failure::new(format!("Source {from} not found")));
        };
        let section = seen.section("dest").cloned().unwrap_or_default();
        let look = section.look()?;
        if look.is(Kind::Directory) {
            return Err(Failure::new(format!("{path} is a directory: a file can't take its place")));
        }
        if seen.get("folder_missing").is_some() {
            return Err(Failure::new(format!("Destination directory {path} does not exist")));
        }
        let sha1 = seen.get("sha1").unwrap_or_default();
        if let Some(expected) = self.checksum.as_ref().filter(|expected| !expected.eq_ignore_ascii_case(sha1)) {
            return Err(Failure::new("Copied file does not match the expected checksum. Transfer failed.")
                .with("checksum", sha1)
                .with("expected_checksum", expected.as_str()));
        }
        let mut result = Map::new();
        result.insert("dest".to_owned(), path.into());
        result.insert("src".to_owned(), from.into());
        let entry = look.entry();
        if !self.force && entry.is_some() {
            result.insert("msg".to_owned(), "file already exists".into());
            return Ok(Change::none(result));
        }
        result.insert("checksum".to_owned(), sha1.into());
        let mut wanted = self.wanted.clone();
        if wanted.mode.as_deref() == Some("preserve") {
            wanted.mode = Some(format!("{:04o}", source.mode));
        }
        let settled = wanted.settle(&seen, entry.filter(|entry| entry.kind == Kind::File), false, 0o666)?;
        if let Some(entry) = entry.filter(|entry| entry.kind == Kind::File && section.get("same").is_some()) {
            describe_entry(entry, &mut result);
            return Ok(Change { steps: settled.step(path, self.diff).into_iter().collect(), result });
        }
        let write = Write {
            path,
            feed: Feed::Host(from.to_owned()),
            digest: None,
            old: entry,
            settled: &settled,
            backup: self.backup,
            validate: self.validate.as_deref(),
            was: None,
        };
        let mut step = write.step(write_summary(path, entry, source.size, &settled.line()))?;
        if let [after, before] = sides(&section).as_slice() {
            step = step.diff(diff((path, before), (from, after)));
        } else if self.diff {
            let size = |size: u64| describe(format!("({size} bytes)\n").as_bytes());
            let before = entry.map(|entry| size(entry.size)).unwrap_or_default();
            step = step.diff(diff((path, before.as_bytes()), (from, size(source.size).as_bytes())));
        }
        Ok(Change { steps: vec![step], result })
    }

    fn leaves(&self, seen: &Output, _change: &Change) -> Vec<(String, Option<Output>)> {
        let mut left = vec![(self.subject(), None)];
        if let Ok(seen) = Seen::parse(seen) {
            match seen.get("tree") {
                Some(root) => left.extend(copy_remote_tree::leaves(&seen, root)),
                None => left.extend(seen.get("path").map(|path| (file_subject(path), None))),
            }
        }
        left
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        // What was copied is one file, whose checksum is told, or a directory.
        let file = change.result.contains_key("checksum");
        let mut result = finish_with_look(change, outputs)?;
        if !file {
            result.retain(|key, _| matches!(key.as_str(), "dest" | "src" | "msg" | "warnings"));
        }
        Ok(result)
    }
}
