//! `file`: files, directories, links and their attributes.
//!
//! Unlike Ansible's, `recurse` does not follow links inside the tree: whoever may make a link there could have the owner
//! of any file of the host changed.

use super::file_foresee::{attributes_subject, foresee};
use super::file_link;
use super::host_file::{
    CHANGE, Entry, Kind, LOOK, Look, Seen, Settled, Wanted, describe_entry, file_options, file_subject,
    finish_with_look, make_folders, octal, resolve,
};
use super::{Applied, Arguments, Bound, Change, Controller, Diff, Failure, ModuleSpec, Opt, OptKind, State, Step};
use crate::base::{Map, Output, Script};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "file",
    aliases: &[],
    summary: "makes, removes and links files and directories, and sets their attributes",
    options: file_options![
        Opt::new("path", OptKind::Path, "the path").required().aliases(&["dest", "name"]),
        Opt::new(
            "state",
            OptKind::Choice(&["absent", "directory", "file", "hard", "link", "touch"]),
            "what is to be there; what is there, or a file, when not given",
        ),
        Opt::new("src", OptKind::Path, "what a link points at"),
        Opt::new("recurse", OptKind::Bool, "also sets the attributes of all that is in a directory").default("false"),
        Opt::new("force", OptKind::Bool, "makes links to what is missing, and in place of what is there")
            .default("false"),
        Opt::new("follow", OptKind::Bool, "acts on what a link points at").default("true"),
        Opt::new("modification_time", OptKind::Choice(&["now", "preserve"]), "for `touch`").default("now"),
        Opt::new("access_time", OptKind::Choice(&["now", "preserve"]), "for `touch`").default("now"),
        Opt::refused("modification_time_format", "only `now` and `preserve` are known"),
        Opt::refused("access_time_format", "only `now` and `preserve` are known"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    Absent,
    Directory,
    File,
    Touch,
    AsItIs,
}

#[derive(Debug)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) goal: Goal,
    pub(super) wanted: Wanted,
    pub(super) recurse: bool,
    follow: bool,
    touch_mtime: bool,
    touch_atime: bool,
    diff: bool,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let path = arguments.required("path");
    if path.is_empty() {
        return Err(Failure::new("`path` is empty"));
    }
    let wanted = Wanted::of(arguments);
    let recurse = arguments.flag("recurse");
    let state = arguments.text("state");
    let goal = match state.as_deref() {
        Some("absent") => Goal::Absent,
        Some("directory") => Goal::Directory,
        Some("file") => Goal::File,
        Some("touch") => Goal::Touch,
        Some(link) => return file_link::bind(arguments, link == "hard", wanted, here),
        None if recurse => Goal::Directory,
        None => Goal::AsItIs,
    };
    if recurse && goal != Goal::Directory {
        return Err(Failure::new("recurse option requires state to be 'directory'").with("path", path));
    }
    if arguments.has("src") && goal != Goal::AsItIs {
        return Err(Failure::new("src option requires state to be 'link' or 'hard'").with("path", path));
    }
    if wanted.mode.as_deref() == Some("preserve") {
        return Err(Failure::new("`mode: preserve` needs a source: `file` has none"));
    }
    Ok(Bound::State(Box::new(File {
        path,
        goal,
        wanted,
        recurse,
        follow: arguments.flag("follow"),
        touch_mtime: arguments.text("modification_time").as_deref() == Some("now"),
        touch_atime: arguments.text("access_time").as_deref() == Some("now"),
        diff: here.wants_diff(),
    })))
}

const ASK: &str = r#"expand "$wanted"
[ -z "$follow" ] || resolve
say path "$path"
tell_ids
look dest "$path" || :
if [ -n "$recurse" ] && [ -d "$path" ] && [ ! -L "$path" ]; then
find "$path" -mindepth 1 -exec stat -c 'below %f %u %g' {} +
fi
echo end"#;

impl State for File {
    fn probe(&self) -> Script {
        let flag = |on: bool| if on { "1" } else { "" };
        let script = Script::new()
            .line(LOOK)
            .set("wanted", &self.path)
            .set("follow", flag(self.follow && self.goal != Goal::Absent))
            .set("recurse", flag(self.recurse && !self.wanted.is_empty()));
        self.wanted.ask(script).line(ASK)
    }

    fn subject(&self) -> String {
        // What is below a folder is known only to one who has looked there.
        if self.recurse { self.probe().as_str().to_owned() } else { file_subject(&self.path) }
    }

    fn subjects(&self) -> Vec<String> {
        if self.recurse { vec![self.subject()] } else { vec![self.subject(), attributes_subject(&self.path)] }
    }

    fn leaves(&self, seen: &Output, _change: &Change) -> Vec<(String, Option<Output>)> {
        foresee(self, seen)
    }

    fn keep(&self) -> usize {
        if self.recurse { 16 << 20 } else { 1 << 20 }
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let seen = Seen::parse(seen)?;
        let path = seen.get("path").ok_or_else(|| Failure::new("the host's answer is not whole"))?;
        let look = seen.look("dest")?;
        match (self.goal, &look) {
            (Goal::Absent, _) => self.absent(path, &look),
            (Goal::Directory, Look::Absent) => self.new_directory(&seen, path),
            (Goal::Directory, Look::There(entry)) if entry.kind != Kind::Directory => {
                Err(Failure::new(format!("{path} already exists as a {}", entry.kind.name())).with("path", path))
            }
            (Goal::File | Goal::AsItIs, Look::Absent) => {
                Err(Failure::new(format!("file ({path}) is absent, cannot continue"))
                    .with("path", path)
                    .with("state", "absent"))
            }
            (Goal::File, Look::There(entry)) if matches!(entry.kind, Kind::Directory | Kind::Link) => {
                Err(Failure::new(format!("file ({path}) is {}, cannot continue", entry.kind.name()))
                    .with("path", path)
                    .with("state", entry.kind.name()))
            }
            (Goal::Touch, _) => self.touch(&seen, path, look.entry()),
            (_, Look::There(entry)) => self.attributes(&seen, path, entry),
        }
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        finish_with_look(change, outputs)
    }
}

/// A diff of what is at a path.
pub(super) fn state_diff(path: &str, before: &str, after: &str) -> Diff {
    Diff {
        before_header: path.to_owned(),
        after_header: path.to_owned(),
        before: format!("state: {before}\n"),
        after: format!("state: {after}\n"),
    }
}

impl File {
    fn with_diff(&self, step: Step, path: &str, before: &str, after: &str) -> Step {
        if self.diff { step.diff(state_diff(path, before, after)) } else { step }
    }

    fn absent(&self, path: &str, look: &Look) -> Result<Change, Failure> {
        let mut result = Map::new();
        result.insert("path".to_owned(), path.into());
        result.insert("state".to_owned(), "absent".into());
        let Look::There(entry) = look else { return Ok(Change::none(result)) };
        if is_root(path) {
            return Err(Failure::new(format!("refusing to remove `{path}`: that is the whole host")).with("path", path));
        }
        let script = Script::new().command(["rm", "-rf", "--", path]);
        let what = match entry.kind {
            Kind::Directory => format!("remove the directory {path} and all that is in it"),
            kind => format!("remove the {} {path}", kind.name()),
        };
        let step = Step::script(what, script).by_command(["rm", "-rf", "--", path]);
        let step = self.with_diff(step, path, entry.kind.name(), "absent");
        Ok(Change { steps: vec![step], result })
    }

    fn new_directory(&self, seen: &Seen, path: &str) -> Result<Change, Failure> {
        let settled = self.wanted.settle(seen, None, true, 0o777)?;
        let mut result = Map::new();
        result.insert("path".to_owned(), path.into());
        result.insert("mode".to_owned(), octal(settled.mode).into());
        result.insert("state".to_owned(), "directory".into());
        let summary = format!("create the directory {path} ({})", octal(settled.mode));
        let step = Step::script(summary, make_folders(path, &settled));
        let step = step.by_command(["mkdir", "-p", "-m", &octal(settled.mode), "--", path]);
        let step = self.with_diff(step, path, "absent", "directory");
        Ok(Change { steps: vec![step], result })
    }

    fn touch(&self, seen: &Seen, path: &str, entry: Option<&Entry>) -> Result<Change, Failure> {
        let directory = entry.is_some_and(|entry| entry.kind == Kind::Directory);
        let settled = self.wanted.settle(seen, entry, directory, 0o666)?;
        let mut result = Map::new();
        result.insert("dest".to_owned(), path.into());
        if let Some(entry) = entry {
            describe_entry(entry, &mut result);
        }
        let which = match (self.touch_mtime, self.touch_atime) {
            (true, true) => "",
            (true, false) => "-m",
            (false, true) => "-a",
            (false, false) if entry.is_some() => {
                return Ok(Change { steps: settled.step(path, self.diff).into_iter().collect(), result });
            }
            (false, false) => "",
        };
        let script = Script::new().line(LOOK).set("path", path).set("which", which);
        let script = match entry {
            Some(entry) => settled.set(script, entry.kind == Kind::Link),
            None => script
                .set("owner", settled.owner.as_deref().unwrap_or(""))
                .set("group", settled.group.as_deref().unwrap_or(""))
                .set("bits", &if settled.mode_told { octal(settled.mode) } else { String::new() }),
        };
        let script = script
            .line("case $bits in ?*) umask 077;; esac\ntouch $which -- \"$path\" || exit 1")
            .line(CHANGE)
            .line("look result \"$path\"")
            .line("echo end");
        let summary = match entry {
            None => format!("create the empty file {path}"),
            Some(_) => format!("set the times of {path} to now"),
        };
        let before = entry.map_or("absent", |entry| entry.kind.name());
        let step = Step::script(summary, script).by_command(["touch", "--", path]);
        Ok(Change { steps: vec![self.with_diff(step, path, before, "touch")], result })
    }

    fn attributes(&self, seen: &Seen, path: &str, entry: &Entry) -> Result<Change, Failure> {
        let directory = entry.kind == Kind::Directory;
        let settled = self.wanted.settle(seen, Some(entry), directory, 0o666)?;
        let mut result = Map::new();
        result.insert("path".to_owned(), path.into());
        describe_entry(entry, &mut result);
        let mut steps: Vec<Step> = settled.step(path, self.diff).into_iter().collect();
        if self.recurse {
            steps.extend(self.below(seen, path, &settled)?);
        }
        Ok(Change { steps, result })
    }

    /// What differs below a directory. Names never travel: the host finds the entries again by what is wrong with them.
    fn below(&self, seen: &Seen, path: &str, settled: &Settled) -> Result<Option<Step>, Failure> {
        let umask = seen.get("umask").and_then(|text| u32::from_str_radix(text, 8).ok()).unwrap_or(0o022);
        let mut modes: Vec<(char, u32, u32)> = Vec::new();
        let mut count = 0_usize;
        let mut chown = false;
        for line in seen.section("dest").map(|section| section.all("below")).unwrap_or_default() {
            let mut words = line.split(' ');
            let raw = words.next().and_then(|word| u32::from_str_radix(word, 16).ok()).unwrap_or(0);
            let (uid, gid) = (words.next(), words.next());
            let foreign = settled.owner.as_deref().is_some_and(|owner| uid != Some(owner))
                || settled.group.as_deref().is_some_and(|group| gid != Some(group));
            let (kind, link) = (if raw & 0o170_000 == 0o040_000 { 'd' } else { 'f' }, raw & 0o170_000 == 0o120_000);
            let mode = raw & 0o7777;
            let wanted = match &self.wanted.mode {
                Some(text) if !link => resolve(text, mode, kind == 'd', umask).map_err(Failure::new)?,
                _ => mode,
            };
            if foreign || wanted != mode {
                count += 1;
                chown |= foreign;
                if wanted != mode && !modes.contains(&(kind, mode, wanted)) {
                    modes.push((kind, mode, wanted));
                }
            }
        }
        if count == 0 {
            return Ok(None);
        }
        let mut script = Script::new().set("path", path);
        let owner = settled.owner.as_deref().filter(|_| chown).unwrap_or("");
        let group = settled.group.as_deref().filter(|_| chown).unwrap_or("");
        script = script.set("owner", owner).set("group", group).line(
            "[ -z \"$owner\" ] || find \"$path\" -mindepth 1 ! -user \"$owner\" -exec chown -h \"$owner\" {} + || exit 1\n\
             [ -z \"$group\" ] || find \"$path\" -mindepth 1 ! -group \"$group\" -exec chgrp -h \"$group\" {} + || exit 1",
        );
        // One walk with a branch for each old mode, so that nothing is changed twice. No brackets: in them busybox's
        // find forgets what `-exec … +` collected.
        let mut words = vec!["find".to_owned(), path.to_owned(), "-mindepth".to_owned(), "1".to_owned()];
        for (place, (kind, old, new)) in modes.iter().enumerate() {
            if place > 0 {
                words.push("-o".to_owned());
            }
            let (old, new) = (octal(*old), octal(*new));
            let what: &[&str] = if *kind == 'd' { &["-type", "d"] } else { &["!", "-type", "d", "!", "-type", "l"] };
            let rest = ["-perm", &old, "-exec", "chmod", &new, "{}", "+"];
            words.extend(what.iter().chain(&rest).map(|word| (*word).to_owned()));
        }
        if !modes.is_empty() {
            script = script.command(words.iter().map(String::as_str));
        }
        let mut wanted = Vec::new();
        for (name, word) in [("owner", &self.wanted.owner), ("group", &self.wanted.group), ("mode", &self.wanted.mode)]
        {
            wanted.extend(word.as_ref().map(|word| format!("{name} {word}")));
        }
        let things = if count == 1 { "1 thing".to_owned() } else { format!("{count} things") };
        Ok(Some(Step::script(format!("change {things} below {path}: {}", wanted.join(", ")), script)))
    }
}

/// Whether a path is the root of the host, however it is written.
fn is_root(path: &str) -> bool {
    let mut depth = 0_i32;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = (depth - 1).max(0),
            _ => depth += 1,
        }
    }
    depth == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use crate::modules::local_host::{Host, KINDS};
    use serde_json::json;

    #[test]
    fn directories_are_made_with_their_parents() {
        for kind in KINDS {
            let host = Host::new(kind);
            let result =
                host.changes_once("file", json!({"path": host.path("a b/-c/d"), "state": "directory", "mode": "0750"}));
            assert_eq!((&result["mode"], &result["state"]), (&json!("0750"), &json!("directory")));
            assert_eq!((host.mode("a b"), host.mode("a b/-c/d")), (0o750, 0o750));
            host.changes_once("file", json!({"path": host.path("a b"), "state": "directory", "mode": "u=rwx,go=rx"}));
            host.write("plain", "");
            assert!(
                host.fails("file", json!({"path": host.path("plain"), "state": "directory"}))
                    .contains("already exists as a file")
            );
        }
    }

    #[test]
    fn absence_is_reached_and_the_root_is_refused() {
        for kind in KINDS {
            let host = Host::new(kind);
            for name in ["file", "-rf", "new\nline"] {
                host.write(name, "x");
                host.changes_once("file", json!({"path": host.path(name), "state": "absent"}));
            }
            std::fs::create_dir_all(host.path("d/e")).unwrap();
            std::os::unix::fs::symlink("d", host.path("l")).unwrap();
            host.changes_once("file", json!({"path": host.path("l/"), "state": "absent"}));
            assert_eq!(host.names("d"), ["e"], "only the link is removed");
            host.changes_once("file", json!({"path": host.path("d"), "state": "absent"}));
            for root in ["/", "//", "/.", "/tmp/..", "/../"] {
                assert!(host.fails("file", json!({"path": root, "state": "absent"})).contains("refusing"), "{root}");
            }
        }
    }

    #[test]
    fn attributes_below_a_directory() {
        for kind in KINDS {
            let host = Host::new(kind);
            std::fs::create_dir_all(host.path("t/s")).unwrap();
            for (name, mode) in [("t/f", 0o600), ("t/x", 0o700), ("t/s/new\nline", 0o644)] {
                host.write(name, "x");
                std::fs::set_permissions(host.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
            }
            host.write("outside", "x");
            std::os::unix::fs::symlink(host.path("outside"), host.path("t/link")).unwrap();
            let arguments = json!({"path": host.path("t"), "state": "directory", "recurse": true, "mode": "u=rwX,go=rX", "owner": "daemon"});
            host.changes_once("file", arguments);
            assert_eq!((host.mode("t/f"), host.mode("t/x"), host.mode("t/s/new\nline")), (0o644, 0o755, 0o644));
            assert_eq!(std::fs::metadata(host.path("t/s/new\nline")).unwrap().uid(), 1);
            assert_eq!(std::fs::metadata(host.path("outside")).unwrap().uid(), 0, "links inside are not followed");
        }
    }

    #[test]
    fn links_are_made_and_moved() {
        for kind in KINDS {
            let host = Host::new(kind);
            std::fs::create_dir_all(host.path("v1")).unwrap();
            std::fs::create_dir_all(host.path("v2")).unwrap();
            let result = host.changes_once("file", json!({"path": host.path("now"), "src": "v1", "state": "link"}));
            assert_eq!((&result["src"], &result["state"]), (&json!("v1"), &json!("link")));
            host.changes_once("file", json!({"path": host.path("now"), "src": "v2", "state": "link"}));
            assert_eq!(std::fs::read_link(host.path("now")).unwrap().to_str(), Some("v2"));
            assert_eq!(host.names("v1").len() + host.names("v2").len(), 0, "nothing was moved into a directory");
            let missing = json!({"path": host.path("lost"), "src": "none", "state": "link"});
            assert!(host.fails("file", missing).contains("force=yes"));
            host.changes_once(
                "file",
                json!({"path": host.path("lost"), "src": "none", "state": "link", "force": true}),
            );
            host.write("f", "x");
            assert!(
                host.fails("file", json!({"path": host.path("f"), "src": "v1", "state": "link"})).contains("refusing")
            );
            host.changes_once("file", json!({"path": host.path("f"), "src": "v1", "state": "link", "force": true}));
            host.write("g", "x");
            let hard =
                host.changes_once("file", json!({"path": host.path("h"), "src": host.path("g"), "state": "hard"}));
            assert_eq!(hard["state"], "hard");
            assert_eq!(std::fs::metadata(host.path("g")).unwrap().nlink(), 2);
        }
    }

    #[test]
    fn touch_and_file() {
        for kind in KINDS {
            let host = Host::new(kind);
            let made = host.task("file", json!({"path": host.path("t"), "state": "touch", "mode": "0600"})).unwrap();
            assert_eq!((&made["changed"], &made["mode"]), (&json!(true), &json!("0600")));
            assert_eq!(host.task("file", json!({"path": host.path("t"), "state": "touch"})).unwrap()["changed"], true);
            let kept = json!({"path": host.path("t"), "state": "touch", "modification_time": "preserve", "access_time": "preserve"});
            assert_eq!(host.task("file", kept).unwrap()["changed"], false);
            host.changes_once("file", json!({"path": host.path("t"), "mode": "a+x"}));
            assert!(host.fails("file", json!({"path": host.path("none"), "state": "file"})).contains("is absent"));
        }
    }
}
