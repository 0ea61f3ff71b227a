//! Putting content into a file on a host: the one script that does it, and reading what it says.
//!
//! The content goes into a temporary file in the same folder, readable by nobody else; its size and SHA-256 are compared;
//! it gets its attributes, is synced, and is renamed over the old file. Cut at any point, the old file is whole.
//! A temporary file carries the process id of its script, so that the next change of the same file removes what a dead
//! one left and spares what a living one is writing.

use std::sync::Arc;

use super::attributes::Settled;
use super::look::from_base64;
use super::{Entry, Kind, LOOK, Look, Seen, octal};
use crate::base::{Content, Map, Script, Value, quote};
use crate::modules::step::finish_by_status;
use crate::modules::{Applied, Change, Failure, Step};

/// Where the new content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Feed {
    /// It is sent.
    Sent(Content),
    /// It is a file on the host.
    Host(String),
}

/// A file to be put in force.
#[derive(Debug)]
pub(crate) struct Write<'a> {
    /// Where to; absolute, as the host resolved it.
    pub(crate) path: &'a str,
    /// The content.
    pub(crate) feed: Feed,
    /// Its size and SHA-256; `None` when it is only known on the host (then the source is digested there).
    pub(crate) digest: Option<(u64, &'a str)>,
    /// What is there now (the link itself, when a link is to be replaced by a file).
    pub(crate) old: Option<&'a Entry>,
    /// The attributes that the new file gets.
    pub(crate) settled: &'a Settled,
    /// Keeps the old file beside the new one.
    pub(crate) backup: bool,
    /// A command that must accept the new file; `%s` is its path.
    pub(crate) validate: Option<&'a str>,
    /// The SHA-256 that the old content must still have; `Some("-")` when nothing may be there.
    pub(crate) was: Option<&'a str>,
}

const RECEIVE: &str = r#"refuse() { printf '%s\n' "$1" >&2; exit 1; }
umask 077
folder=${path%/*}; base=${path##*/}
[ "${#base}" -le 80 ] || base=long
stem=$folder/.$base.stagger-
: "${folder:=/}"
tmp=
trap '[ -z "$tmp" ] || rm -f -- "$tmp"' EXIT
trap 'exit 129' HUP INT TERM PIPE
[ -d "$folder" ] || refuse "Destination directory $folder does not exist"
for left in "$stem"*; do
[ -f "$left" ] && [ ! -L "$left" ] || continue
pid=${left#"$stem"}; pid=${pid%%-*}
case $pid in ''|*[!0-9]*) continue;; esac
[ -d "/proc/$pid" ] || rm -f -- "$left"
done
tmp=$(mktemp "$stem$$-XXXXXX" 2>&1) || { why=$tmp; tmp=; refuse "cannot write beside $path: $why"; }
if [ -n "$source" ]; then
why=$(cat 2>&1 >"$tmp" <"$source") || refuse "cannot copy $source to $path: $why"
[ -n "$sha256" ] || { size=$(wc -c <"$source") && digest "$source" "$((size))" || exit 1; sha256=$sum; }
else
why=$(cat 2>&1 >"$tmp") || refuse "cannot write $path: $why (what was there is as it was)"
fi
digest "$tmp" "$size" || refuse "the host has no sha256sum to verify $path with"
if [ "$sum" != "$sha256" ]; then
have=$(wc -c <"$tmp")
[ $((have)) -eq $((size)) ] || refuse "only $((have)) of $((size)) bytes arrived: $path is as it was"
refuse "what arrived for $path has another checksum than what was sent ($sum, not $sha256): $path is as it was"
fi"#;

const ATTRIBUTES: &str = r#"ids=
[ -z "$owner$group" ] || ids=$(stat -c %u:%g -- "$tmp")
if [ -n "$owner" ] && [ "${ids%%:*}" != "$owner" ]; then
why=$(chown "$owner" "$tmp" 2>&1) || { [ -z "$owner_told" ] || refuse "chown failed: $why"; say note "the owner of $path could not be kept: $why"; }
fi
if [ -n "$group" ] && [ "${ids##*:}" != "$group" ]; then
why=$(chgrp "$group" "$tmp" 2>&1) || { [ -z "$group_told" ] || refuse "chgrp failed: $why"; say note "the group of $path could not be kept: $why"; }
fi
if [ -n "$keep" ] && [ -f "$path" ]; then cp --attributes-only --preserve="$keep" -- "$path" "$tmp" >/dev/null 2>&1 || :; fi
chmod "$bits" "$tmp" || exit 1"#;

const RENAME: &str = r#"case $was in
'') ;;
-) [ ! -e "$path" ] || refuse "$path came into being meanwhile: it is left as it is";;
*) digest "$path" 0; [ "$sum" = "$was" ] || refuse "$path was changed by someone else meanwhile: it is left as they wrote it";;
esac
[ ! -d "$path" ] || [ -L "$path" ] || refuse "$path is a directory"
if command -v sync >/dev/null; then why=$(sync "$tmp" 2>&1) || refuse "cannot sync the new $path: $why"; fi
backup_file=
if [ -n "$backup" ] && [ -f "$path" ]; then
backup_file=$path.$$.$(date +%Y-%m-%d@%H:%M:%S~)
if [ -L "$path" ] || ! ln "$path" "$backup_file" 2>/dev/null; then
why=$(cp -p "$path" "$tmp-backup" 2>&1 && mv -f "$tmp-backup" "$backup_file" 2>&1) || { rm -f "$tmp-backup"; refuse "cannot keep a backup of $path: $why"; }
fi
fi
why=$(mv -f "$tmp" "$path" 2>&1) || refuse "cannot replace $path: $why"
tmp=
sync "$folder" >/dev/null 2>&1 || :
[ -z "$backup_file" ] || say backup "$backup_file"
[ -z "$source" ] || printf 'md5 %s\n' "$(md5sum <"$path" 2>/dev/null)"
look result "$path""#;

impl Write<'_> {
    /// The step that does it.
    ///
    /// # Errors
    /// The command of `validate` can't be split into words.
    pub(crate) fn step(self, summary: impl Into<String>) -> Result<Step, Failure> {
        let script = Script::new().line(LOOK).then(&self.script()?).line("echo end");
        let by_hand = self.by_hand();
        let step = match self.feed {
            Feed::Sent(content) => Step::send(summary, script, content),
            Feed::Host(_) => Step::script(summary, script),
        };
        Ok(step.by_hand(by_hand))
    }

    /// What a person would do. The content itself stays out of it: it may hold secrets.
    fn by_hand(&self) -> String {
        let mut words = vec!["install".to_owned(), "-m".to_owned(), octal(self.settled.mode)];
        for (flag, value) in [("-o", &self.settled.owner), ("-g", &self.settled.group)] {
            words.extend(value.iter().flat_map(|value| [flag.to_owned(), quote(value)]));
        }
        let digest = self.digest.map(|(size, sha256)| format!("{size} bytes, SHA-256 {sha256}")).unwrap_or_default();
        let (source, note) = match &self.feed {
            Feed::Host(source) => (quote(source), String::new()),
            Feed::Sent(Content::File { file, .. }) => {
                ("/dev/stdin".to_owned(), format!(" <{}  # here: {digest}", quote(&file.path.display().to_string())))
            }
            Feed::Sent(Content::Bytes(_)) => ("/dev/stdin".to_owned(), format!("  # a text of {digest}")),
        };
        format!("{} {source} {}{note}", words.join(" "), quote(self.path))
    }

    /// The script without [`LOOK`] before it and `end` after it: for a change of several files.
    ///
    /// # Errors
    /// The command of `validate` can't be split into words.
    pub(crate) fn script(&self) -> Result<Script, Failure> {
        let source = match &self.feed {
            Feed::Sent(_) => "",
            Feed::Host(path) => path,
        };
        let (size, sha256) = self.digest.map_or((String::new(), ""), |(size, sha256)| (size.to_string(), sha256));
        let kept = self.old.filter(|entry| entry.kind == Kind::File);
        let flag = |on: bool| if on { "1" } else { "" };
        let word = |told: &Option<String>, now: Option<u32>| {
            told.clone().or_else(|| now.map(|id| id.to_string())).unwrap_or_default()
        };
        // The mode that `cp` takes over carries the access control list; a mode that was told must not be widened by it,
        // not even for a moment.
        let keep = match kept {
            None => "",
            Some(_) if self.settled.mode_told => "xattr",
            Some(_) => "mode,xattr",
        };
        let mut script = Script::new()
            .set("path", self.path)
            .set("source", source)
            .set("size", &size)
            .set("sha256", sha256)
            .set("was", self.was.unwrap_or(""))
            .set("backup", flag(self.backup))
            .set("keep", keep)
            .set("owner", &word(&self.settled.owner, kept.map(|entry| entry.uid)))
            .set("owner_told", flag(self.settled.owner.is_some()))
            .set("group", &word(&self.settled.group, kept.map(|entry| entry.gid)))
            .set("group_told", flag(self.settled.group.is_some()))
            .set("bits", &octal(self.settled.mode))
            .line(RECEIVE)
            .line(ATTRIBUTES);
        if let Some(command) = self.validate {
            script = validation(script, command)?;
        }
        Ok(script.line(RENAME))
    }
}

/// Runs the user's check of the new file, word by word, without a shell.
fn validation(script: Script, command: &str) -> Result<Script, Failure> {
    let words = shlex::split(command)
        .filter(|words| !words.is_empty())
        .ok_or_else(|| Failure::new(format!("`validate` is no command: `{command}`")))?;
    if !command.contains("%s") {
        return Err(Failure::new(format!("validate must contain %s: {command}")));
    }
    let quoted: Vec<String> =
        words.iter().map(|word| word.split("%s").map(quote_part).collect::<Vec<_>>().join("\"$tmp\"")).collect();
    Ok(script.set("validate", command).user_text(&format!(
        "said=$({} 2>&1 </dev/null) || refuse \"failed to validate: \\`$validate\\` ended with status $?: $said\"",
        quoted.join(" ")
    )))
}

fn quote_part(text: &str) -> String {
    if text.is_empty() { String::new() } else { quote(text) }
}

/// Ansible's keys for what is at a path: `owner`, `group`, `mode`, `uid`, `gid`, `size`, `state`.
pub(crate) fn describe_entry(entry: &Entry, result: &mut Map) {
    let state = match entry.kind {
        Kind::Directory => "directory",
        Kind::Link => "link",
        Kind::File if entry.links > 1 => "hard",
        _ => "file",
    };
    let pairs: [(&str, Value); 7] = [
        ("uid", entry.uid.into()),
        ("gid", entry.gid.into()),
        ("owner", entry.owner.clone().into()),
        ("group", entry.group.clone().into()),
        ("mode", octal(entry.mode).into()),
        ("size", entry.size.into()),
        ("state", state.into()),
    ];
    for (key, value) in pairs {
        result.insert(key.to_owned(), value);
    }
}

/// The planned result, completed with what the last change printed: attributes, `backup_file`, `md5sum`, `warnings`.
///
/// # Errors
/// A change failed.
pub(crate) fn finish_with_look(change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
    let mut result = finish_by_status(change, outputs)?;
    let mut warnings = Vec::new();
    for applied in outputs {
        let Applied::Output(output) = applied else { continue };
        let Ok(seen) = Seen::parse(output) else { continue };
        for (_, section) in std::iter::once(("", &seen.top())).chain(seen.sections()) {
            warnings.extend(section.all("note").into_iter().map(Value::from));
            if let Some(file) = section.get("backup") {
                result.insert("backup_file".to_owned(), file.into());
            }
            if let Some(md5) = section.get("md5").and_then(|line| line.split(' ').next()).filter(|sum| !sum.is_empty())
            {
                result.insert("md5sum".to_owned(), md5.into());
            }
        }
        if let Ok(Look::There(entry)) = seen.look("result") {
            describe_entry(&entry, &mut result);
        }
    }
    if !warnings.is_empty() {
        result.insert("warnings".to_owned(), Value::Array(warnings));
    }
    Ok(result)
}

/// Old content for a diff, as a probe prints it under `text` (base64).
pub(crate) fn old_text(seen: &Seen) -> Option<Vec<u8>> {
    seen.get("text").and_then(from_base64)
}

/// Bytes as content to send.
pub(crate) fn bytes(content: &[u8]) -> Content {
    Content::Bytes(Arc::from(content))
}
