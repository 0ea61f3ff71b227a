//! `copy` of a directory: every file below it, in one look and one change.
//!
//! The small files that differ travel together on one standard input, are stored beside each other, verified as a whole and
//! cut apart on the host; each is then verified and renamed like a single file. Large ones are sent one by one.

use std::path::PathBuf;

use super::host_file::{
    Entry, Feed, Fresh, Kind, LOOK, MAKE, Section, Seen, Settled, Wanted, Write, bytes, describe, diff, file_subject,
    finish_with_look, hex_sha256, set_for_new, write_summary,
};
use super::{Applied, Arguments, Change, Controller, Failure, LocalEntry, State, Step};
use crate::base::{Content, Map, Output, Script};
use base64::Engine as _;

/// Files up to this size (bytes) travel together.
const SMALL: u64 = 256 * 1024;

#[derive(Debug)]
struct Part {
    name: String,
    fresh: Fresh,
    small: Option<Vec<u8>>,
    mode: u32,
}

/// A directory to be copied.
#[derive(Debug)]
pub(super) struct Tree {
    source: String,
    dest: String,
    /// The name of the directory itself when it goes below `dest`; empty when its contents do.
    below: String,
    folders: Vec<String>,
    files: Vec<Part>,
    wanted: Wanted,
    directory_mode: Option<String>,
    backup: bool,
    force: bool,
    follow: bool,
    validate: Option<String>,
    diff: bool,
}

impl Tree {
    /// Binds a directory's entries.
    ///
    /// # Errors
    /// A file can't be read.
    pub(super) fn bind(
        arguments: &Arguments,
        here: &dyn Controller,
        path: PathBuf,
        contents_only: bool,
        entries: Vec<LocalEntry>,
    ) -> Result<Self, Failure> {
        let below = match (contents_only, path.file_name()) {
            (false, Some(name)) => name.to_string_lossy().into_owned(),
            _ => String::new(),
        };
        let mut folders = Vec::new();
        let mut files = Vec::new();
        for entry in entries {
            if entry.directory {
                folders.push(entry.name);
                continue;
            }
            let decrypt = arguments.flag("decrypt");
            let fresh = Fresh::file(&entry.path, decrypt, here)?;
            let opened = if decrypt { here.opened(&entry.path)? } else { None };
            let path = opened.as_deref().unwrap_or(&entry.path);
            let small = if fresh.size <= SMALL { Some(here.read(path)?) } else { None };
            files.push(Part { name: entry.name, fresh, small, mode: entry.mode });
        }
        Ok(Self {
            source: format!("{}{}", path.display(), if contents_only { "/" } else { "" }),
            dest: arguments.required("dest"),
            below,
            folders,
            files,
            wanted: Wanted::of(arguments),
            directory_mode: arguments.text("directory_mode"),
            backup: arguments.flag("backup"),
            force: arguments.flag("force"),
            follow: arguments.flag("follow"),
            validate: arguments.text("validate"),
            diff: here.wants_diff(),
        })
    }

    fn settle(&self, seen: &Seen, entry: Option<&Entry>, mode: u32) -> Result<Settled, Failure> {
        let mut wanted = self.wanted.clone();
        if wanted.mode.as_deref() == Some("preserve") {
            wanted.mode = Some(format!("{mode:04o}"));
        }
        wanted.settle(seen, entry.filter(|entry| entry.kind == Kind::File), false, 0o666)
    }
}

const ASK: &str = r#"expand "$dest"; root=$path
[ -z "$below" ] || root=${root%/}/$below
say root "$root"
tell_ids
folder() {
path=${root%/}${1:+/$1}
look "d $1" "$path" -L || :
}
file() {
path=${root%/}/$1
[ -z "$follow" ] || resolve
look "f $1" "$path" || return 0
say path "$path"
if [ -f "$path" ] && [ -r "$path" ]; then
have=$(wc -c <"$path")
if [ $((have)) -eq "$2" ]; then digest "$path" "$2" && say sha256 "$sum"; fi
if [ -n "$diff" ] && [ $((have)) -le 104448 ]; then printf 'text %s\n' "$(base64 <"$path" | tr -d '\n')"; fi
fi
}"#;

/// Cuts `$count` bytes after `$offset` out of `$bundle` onto standard output.
const CUT: &str = r#"cut_out() { tail -c "+$((offset + 1))" "$bundle" | head -c "$count"; }"#;

const BUNDLE: &str = r#"why=; umask_was=$(umask); umask 077
for left in "$root"/.stagger-*; do # of a run that was killed
[ -f "$left" ] && [ ! -L "$left" ] || continue
pid=${left#"$root"/.stagger-}; pid=${pid%%-*}
case $pid in ''|*[!0-9]*) continue;; esac
[ -d "/proc/$pid" ] || rm -f -- "$left"
done
bundle=$(mktemp "$root/.stagger-$$-XXXXXX") || exit 1
trap 'rm -f -- "$bundle"' EXIT
trap 'exit 129' HUP INT TERM PIPE
why=$(cat 2>&1 >"$bundle") || { printf 'cannot write below %s: %s\n' "$root" "$why" >&2; exit 1; }
have=$(sha256sum <"$bundle")
[ "${have%% *}" = "$whole" ] || { printf 'not all of the files below %s arrived: all is as it was\n' "$root" >&2; exit 1; }"#;

impl State for Tree {
    fn probe(&self) -> Script {
        let flag = |on: bool| if on { "1" } else { "" };
        let script = Script::new()
            .line(LOOK)
            .set("dest", &self.dest)
            .set("below", &self.below)
            .set("follow", flag(self.follow))
            .set("diff", flag(self.diff));
        let mut script = self.wanted.ask(script).line(ASK).command(["folder", ""]);
        for name in &self.folders {
            script = script.command(["folder", name]);
        }
        for part in &self.files {
            script = script.command(["file", &part.name, &part.fresh.size.to_string()]);
        }
        script.line("echo end")
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let seen = Seen::parse(seen)?;
        let root = seen.get("root").ok_or_else(|| Failure::new("the host's answer is not whole"))?.to_owned();
        let at =
            |name: &str| if name.is_empty() { root.clone() } else { format!("{}/{name}", root.trim_end_matches('/')) };
        let directory =
            Wanted { mode: self.directory_mode.clone(), ..self.wanted.clone() }.settle(&seen, None, true, 0o777)?;
        let mut plan = Plan::new(set_for_new(Script::new().line(LOOK), &directory).line(MAKE));
        for name in std::iter::once("").chain(self.folders.iter().map(String::as_str)) {
            let look = section(&seen, 'd', name)?.look()?;
            if look.entry().is_none() {
                plan.first.push(format!("create the directory {}", at(name)), None);
                plan.prepare = plan.prepare.command(["make", &at(name)]);
            } else if !look.is(Kind::Directory) {
                return Err(Failure::new(format!("{} is in the way: it is no directory", at(name))));
            }
        }
        for part in &self.files {
            self.plan_file(&seen, part, &at(&part.name), &mut plan)?;
        }
        let mut result = Map::new();
        result.insert("dest".to_owned(), self.dest.clone().into());
        result.insert("src".to_owned(), self.source.clone().into());
        Ok(Change { steps: plan.steps(&root), result })
    }

    fn leaves(&self, seen: &Output, _change: &Change) -> Vec<(String, Option<Output>)> {
        let root = Seen::parse(seen).ok().and_then(|seen| seen.get("root").map(str::to_owned)).unwrap_or_default();
        let below = |part: &Part| file_subject(&format!("{}/{}", root.trim_end_matches('/'), part.name));
        std::iter::once(self.subject()).chain(self.files.iter().map(below)).map(|subject| (subject, None)).collect()
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        let mut result = finish_with_look(change, outputs)?;
        result.retain(|key, _| matches!(key.as_str(), "dest" | "src" | "warnings"));
        Ok(result)
    }
}

fn section<'a>(seen: &'a Seen, what: char, name: &str) -> Result<&'a Section, Failure> {
    seen.section(&format!("{what} {name}"))
        .ok_or_else(|| Failure::new(format!("the host's answer about `{name}` is not whole")))
}

impl Tree {
    fn plan_file(&self, seen: &Seen, part: &Part, fallback: &str, plan: &mut Plan) -> Result<(), Failure> {
        let section = section(seen, 'f', &part.name)?;
        let look = section.look()?;
        let path = section.get("path").unwrap_or(fallback);
        let entry = look.entry();
        if look.is(Kind::Directory) {
            return Err(Failure::new(format!("{path} is a directory: a file can't take its place")));
        }
        if !self.force && entry.is_some() {
            return Ok(());
        }
        let settled = self.settle(seen, entry, part.mode)?;
        if look.is(Kind::File) && section.get("sha256") == Some(part.fresh.sha256.as_str()) {
            plan.attributes.extend(settled.step(path, self.diff));
            return Ok(());
        }
        let write = |feed| Write {
            path,
            feed,
            digest: Some((part.fresh.size, &part.fresh.sha256)),
            old: entry,
            settled: &settled,
            backup: self.backup,
            validate: self.validate.as_deref(),
            was: None,
        };
        let summary = write_summary(path, entry, part.fresh.size, &settled.line());
        let shown = part.fresh.shown.as_ref().map(|after| {
            let old = section.get("text").and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
            let before = old.map(|old| describe(&old)).unwrap_or_default();
            diff((path, before.as_bytes()), (path, after.as_bytes()))
        });
        match &part.small {
            Some(content) => {
                let script = write(Feed::Sent(bytes(content))).script()?;
                plan.pieces.push((content.clone(), script));
                plan.first.push(summary, shown);
            }
            None => {
                let step = write(Feed::Sent(part.fresh.content.clone())).step(summary)?;
                plan.large.push(match shown {
                    Some(shown) => step.diff(shown),
                    None => step,
                });
            }
        }
        Ok(())
    }
}

/// Lines of a preview whose change is one script.
#[derive(Debug, Default)]
struct Lines(Vec<(String, Option<super::Diff>)>);

impl Lines {
    fn push(&mut self, summary: String, shown: Option<super::Diff>) {
        self.0.push((summary, shown));
    }
}

#[derive(Debug)]
struct Plan {
    prepare: Script,
    first: Lines,
    pieces: Vec<(Vec<u8>, Script)>,
    large: Vec<Step>,
    attributes: Vec<Step>,
}

impl Plan {
    fn new(prepare: Script) -> Self {
        Self { prepare, first: Lines::default(), pieces: Vec::new(), large: Vec::new(), attributes: Vec::new() }
    }

    /// The first step does what all of the first lines say, so that it is one round trip; the others are lines only.
    fn steps(self, root: &str) -> Vec<Step> {
        let mut script = self.prepare;
        let mut content: Vec<u8> = Vec::new();
        if !self.pieces.is_empty() {
            let whole: Vec<u8> = self.pieces.iter().flat_map(|(piece, _)| piece.iter().copied()).collect();
            script = script.set("root", root).set("whole", &hex_sha256(&whole)).line(CUT).line(BUNDLE);
            let mut offset = 0;
            for (piece, write) in &self.pieces {
                script = script
                    .set("offset", &offset.to_string())
                    .set("count", &piece.len().to_string())
                    .line("cut_out | (")
                    .then(write)
                    .line(") || exit 1");
                offset += piece.len();
            }
            content = whole;
        }
        script = script.line("echo end");
        let mut steps = Vec::new();
        for (place, (summary, shown)) in self.first.0.into_iter().enumerate() {
            let step = match (place, content.is_empty()) {
                (0, true) => Step::script(summary, script.clone()),
                (0, false) => Step::send(summary, script.clone(), Content::Bytes(content.clone().into())),
                _ => Step::script(summary, Script::new()),
            };
            steps.push(match shown {
                Some(shown) => step.diff(shown),
                None => step,
            });
        }
        steps.extend(self.large);
        steps.extend(self.attributes);
        steps
    }
}
