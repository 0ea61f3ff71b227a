//! `file` with `state: link` and `state: hard`.

use super::file::state_diff;
use super::host_file::{Kind, LOOK, Look, Seen, Wanted, describe_entry, file_subject, finish_with_look};
use super::{Applied, Arguments, Bound, Change, Controller, Failure, State, Step};
use crate::base::{Map, Output, Script};

/// A link.
#[derive(Debug)]
pub(super) struct Link {
    path: String,
    source: Option<String>,
    hard: bool,
    wanted: Wanted,
    force: bool,
    follow: bool,
    diff: bool,
}

/// Binds `state: link` or `state: hard`.
///
/// # Errors
/// Options that make no sense with a link.
pub(super) fn bind(arguments: &Arguments, hard: bool, wanted: Wanted, here: &dyn Controller) -> Result<Bound, Failure> {
    let source = arguments.text("src").filter(|text| !text.is_empty());
    if hard && source.is_none() {
        return Err(Failure::new("src is required for creating new hardlinks"));
    }
    if arguments.flag("recurse") {
        return Err(Failure::new("recurse option requires state to be 'directory'"));
    }
    Ok(Bound::State(Box::new(Link {
        path: arguments.required("path"),
        source,
        hard,
        wanted,
        force: arguments.flag("force"),
        follow: arguments.flag("follow"),
        diff: here.wants_diff(),
    })))
}

// A link's text is not made absolute: it may be meant relative to the link's folder.
const ASK: &str = r#"expand "$wanted"
say path "$path"
tell_ids
look dest "$path" || :
[ ! -d "$path" ] || [ -L "$path" ] || [ -n "$(ls -A -- "$path")" ] || echo empty
if [ -n "$source" ]; then
substitute "$source"; say source "$word"
if [ -z "$hard" ] && [ -d "$path" ] && [ ! -L "$path" ]; then beside=$path; else beside=${path%/*}; fi
case $word in /*) from=$word;; *) from=$beside/$word;; esac
[ -z "$hard" ] || from=$word
say from "$from"
look from "$from" -L || :
fi
if [ -n "$follow" ] && [ -L "$path" ]; then resolve; say target "$path"; look target "$path" || :; fi
echo end"#;

const REPLACE: &str = r#"spare=${path%/*}/.stagger-$$-link
rm -f -- "$spare"
$make -- "$source" "$spare" || exit 1
if [ -d "$path" ] && [ ! -L "$path" ]; then rmdir -- "$path" || { rm -f -- "$spare"; exit 1; }; fi
# mv would move into a directory that the old link points at.
mv -fT -- "$spare" "$path" 2>/dev/null || { rm -f -- "$path" && mv -f -- "$spare" "$path" || { rm -f -- "$spare"; exit 1; }; }
look result "$path"
echo end"#;

impl State for Link {
    fn leaves(&self, _seen: &Output, _change: &Change) -> Vec<(String, Option<Output>)> {
        vec![(self.subject(), None), (file_subject(&self.path), None)]
    }

    fn probe(&self) -> Script {
        let flag = |on: bool| if on { "1" } else { "" };
        let script = Script::new()
            .line(LOOK)
            .set("wanted", &self.path)
            .set("source", self.source.as_deref().unwrap_or(""))
            .set("hard", flag(self.hard))
            .set("follow", flag(self.follow));
        self.wanted.ask(script).line(ASK)
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let seen = Seen::parse(seen)?;
        let path = seen.get("path").ok_or_else(|| Failure::new("the host's answer is not whole"))?;
        let look = seen.look("dest")?;
        let current = look.entry().and_then(|entry| entry.target.clone());
        let source = match (seen.get("source"), &current) {
            (Some(source), _) => source.to_owned(),
            (None, Some(target)) => target.clone(),
            (None, None) => {
                return Err(Failure::new("src is required for creating new symlinks").with("path", path));
            }
        };
        let mut result = Map::new();
        result.insert("dest".to_owned(), path.into());
        result.insert("src".to_owned(), source.clone().into());
        if self.is_right(&seen, &look, &source)? {
            return self.attributes(&seen, path, &look, result);
        }
        self.may_replace(&seen, path, &look)?;
        result.insert("state".to_owned(), if self.hard { "hard" } else { "link" }.into());
        let make = if self.hard { "ln" } else { "ln -s" };
        let script = Script::new().line(LOOK).set("path", path).set("source", &source).set("make", make).line(REPLACE);
        let (before, after) =
            (look.entry().map_or("absent", |entry| entry.kind.name()), if self.hard { "hard" } else { "link" });
        let kind = if self.hard { "hard link " } else { "link " };
        let summary = match &current {
            Some(old) => format!("point the {kind}{path} at {source} (was {old})"),
            None if look.entry().is_some() => format!("replace the {before} {path} by a {kind}to {source}"),
            None => format!("create the {kind}{path} to {source}"),
        };
        let step = Step::script(summary, script);
        let mut step = match self.hard {
            true => step.by_command(["ln", "-f", "--", &source, path]),
            false => step.by_command(["ln", "-sfn", "--", &source, path]),
        };
        if self.diff {
            let mut diff = state_diff(path, before, after);
            diff.before.extend(current.iter().map(|old| format!("src: {old}\n")));
            diff.after.extend(["src: ", source.as_str(), "\n"]);
            step = step.diff(diff);
        }
        let mut steps = vec![step];
        if !self.wanted.is_empty() {
            // What the new link points at is what gets the attributes, so it is looked at as that.
            if let Some(section) = seen.section("from")
                && let Look::There(entry) = section.look()?
                && let Some(from) = seen.get("from")
            {
                let settled = self.wanted.settle(&seen, Some(&entry), entry.kind == Kind::Directory, 0o666)?;
                steps.extend(settled.step(from, self.diff));
            }
        }
        Ok(Change { steps, result })
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        finish_with_look(change, outputs)
    }
}

impl Link {
    fn is_right(&self, seen: &Seen, look: &Look, source: &str) -> Result<bool, Failure> {
        let Look::There(entry) = look else { return Ok(false) };
        if !self.hard {
            return Ok(entry.kind == Kind::Link && entry.target.as_deref() == Some(source));
        }
        let from = seen.look("from")?;
        Ok(from.entry().is_some_and(|from| from.inode == entry.inode && from.device == entry.device))
    }

    fn may_replace(&self, seen: &Seen, path: &str, look: &Look) -> Result<(), Failure> {
        let from = seen.section("from").map(|section| section.look()).transpose()?;
        let named = seen.get("from").unwrap_or_default();
        let refuse = |message: String| Err(Failure::new(message).with("path", path));
        if matches!(from, Some(Look::Absent)) {
            if self.hard {
                return refuse(format!("src does not exist: {named}"));
            }
            if !self.force {
                return refuse(format!(
                    "src file does not exist, use \"force=yes\" if you really want to create the link: {named}"
                ));
            }
        }
        let Look::There(entry) = look else { return Ok(()) };
        let to = if self.hard { "hardlink" } else { "symlink" };
        match entry.kind {
            Kind::Link => Ok(()),
            Kind::Directory if self.hard => {
                refuse(format!("refusing to convert from directory to hardlink for {path}"))
            }
            kind if !self.force => refuse(format!("refusing to convert from {} to {to} for {path}", kind.name())),
            Kind::Directory if seen.get("empty").is_none() => {
                refuse(format!("the directory {path} is not empty, refusing to convert it"))
            }
            _ => Ok(()),
        }
    }

    fn attributes(&self, seen: &Seen, path: &str, look: &Look, mut result: Map) -> Result<Change, Failure> {
        if let Some(entry) = look.entry() {
            describe_entry(entry, &mut result);
        }
        if self.wanted.is_empty() {
            return Ok(Change::none(result));
        }
        let (target, entry) = match seen.section("target") {
            Some(section) => (section.get("path").or(seen.get("target")).unwrap_or(path), section.look()?),
            None => (path, look.clone()),
        };
        // A link that points nowhere has no attributes to set; its own bits mean nothing.
        let Look::There(entry) = entry else { return Ok(Change::none(result)) };
        let wanted = match entry.kind {
            Kind::Link => Wanted { mode: None, ..self.wanted.clone() },
            _ => self.wanted.clone(),
        };
        let settled = wanted.settle(seen, Some(&entry), entry.kind == Kind::Directory, 0o666)?;
        Ok(Change { steps: settled.step(target, self.diff).into_iter().collect(), result })
    }
}
