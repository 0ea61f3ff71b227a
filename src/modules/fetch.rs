//! `fetch`: a file of the host copied to this machine.
//!
//! Where it is stored follows from what the user wrote and from the host's inventory name. What the host itself says of the
//! path (after `~`) is taken apart, and anything that would leave the folder is refused.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use sha1::Digest as _;

use super::host_file::{Kind, LOOK, Look, Seen, hex};
use super::{Act, Applied, Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, State, Step, step};
use crate::base::{Map, Output, Script, Value, to_text};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "fetch",
    aliases: &[],
    summary: "copies a file of the host to this machine",
    options: &[
        Opt::new("src", OptKind::Path, "the file on the host").required(),
        Opt::new("dest", OptKind::LocalPath, "the folder here; with `flat` the file, or a folder with `/` at its end")
            .required(),
        Opt::new("flat", OptKind::Bool, "stores it without the host's name and the file's folders").default("false"),
        Opt::new("fail_on_missing", OptKind::Bool, "fails when the file is not there").default("true"),
        Opt::new("validate_checksum", OptKind::Bool, "compares checksums after the copy").default("true"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

/// Local files up to this size (bytes) are digested anew, since this run may have fetched them already.
const READ: u64 = 16 << 20;

#[derive(Debug)]
struct Fetch {
    source: String,
    target: Target,
    fail_on_missing: bool,
    validate: bool,
    /// SHA-1 of local files that may be the one.
    local: BTreeMap<PathBuf, String>,
}

#[derive(Debug)]
enum Target {
    /// This file.
    File(PathBuf),
    /// Below this folder, by the path on the host.
    Below(PathBuf),
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let source = arguments.required("src");
    let written = arguments.required("dest");
    let name = source.rsplit('/').next().unwrap_or_default().to_owned();
    if matches!(name.as_str(), "" | "." | "..") {
        return Err(Failure::new(format!("`src: {source}` names a folder: fetch copies files")));
    }
    let base = local_base(&written, here);
    let mut local = BTreeMap::new();
    let target = if arguments.flag("flat") {
        let file = if written.ends_with('/') { base.join(&name) } else { base.clone() };
        if !written.ends_with('/') && here.list(&base).is_ok() {
            return Err(Failure::new(
                "dest is an existing directory, use a trailing slash if you want to fetch src into that directory",
            ));
        }
        local.extend(digest(&file, here).map(|sum| (file.clone(), sum)));
        Target::File(file)
    } else {
        let host = here.host();
        if host.contains('/') || matches!(host, "" | "." | "..") {
            return Err(Failure::new(format!("the host's name `{host}` can't be the name of a folder")));
        }
        let below = base.join(host);
        if source.starts_with('~') || source.contains('$') {
            // Where it lies is only known on the host: every file of that name may be the one.
            let same_name = here.list(&below).unwrap_or_default().into_iter().map(|entry| entry.path);
            for file in same_name.filter(|path| path.file_name().is_some_and(|found| *found == *name)) {
                local.extend(digest(&file, here).map(|sum| (file.clone(), sum)));
            }
        } else if let Ok(file) = inside(&below, &source) {
            local.extend(digest(&file, here).map(|sum| (file.clone(), sum)));
        }
        Target::Below(below)
    };
    Ok(Bound::State(Box::new(Fetch {
        source,
        target,
        fail_on_missing: arguments.flag("fail_on_missing"),
        validate: arguments.flag("validate_checksum"),
        local,
    })))
}

/// A local path as written, from the playbook's folder on; `~` is this user's home.
fn local_base(written: &str, here: &dyn Controller) -> PathBuf {
    if let Some(rest) = written.strip_prefix("~/")
        && let Some(home) = std::env::var_os("HOME")
    {
        return PathBuf::from(home).join(rest);
    }
    let folder = here.variable("playbook_dir").map(|value| to_text(&value)).unwrap_or_default();
    Path::new(&folder).join(written)
}

fn digest(path: &Path, here: &dyn Controller) -> Option<String> {
    let known = here.digest(path).ok()?;
    if known.size > READ {
        return Some(known.sha1.clone());
    }
    Some(hex(&sha1::Sha1::digest(here.read(path).ok()?)))
}

/// A path of the host below a folder of ours.
fn inside(folder: &Path, remote: &str) -> Result<PathBuf, Failure> {
    let mut path = folder.to_owned();
    for part in Path::new(remote).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(Failure::new(format!(
                    "`{remote}` has `..` in it: it could be stored outside of {}; name it without",
                    folder.display()
                )));
            }
        }
    }
    if path == folder {
        return Err(Failure::new(format!("`{remote}` names no file")));
    }
    Ok(path)
}

const ASK: &str = r#"expand "$source"; say path "$path"
if look file "$path" -L && [ -f "$path" ]; then
[ -r "$path" ] || { printf 'no permission to read %s\n' "$path" >&2; exit 1; }
sum=$(sha1sum <"$path") && say sha1 "${sum%% *}"
sum=$(md5sum <"$path" 2>/dev/null) && say md5 "${sum%% *}"
fi
echo end"#;

impl State for Fetch {
    fn probe(&self) -> Script {
        Script::new().line(LOOK).set("source", &self.source).line(ASK)
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let seen = Seen::parse(seen)?;
        let path = seen.get("path").ok_or_else(|| Failure::new("the host's answer is not whole"))?;
        let entry = match seen.look("file")? {
            Look::There(entry) => entry,
            Look::Absent if self.fail_on_missing => {
                return Err(Failure::new(format!("the remote file does not exist, not transferring: {path}"))
                    .with("file", path));
            }
            Look::Absent => {
                let mut result = Map::new();
                result.insert("msg".to_owned(), "the remote file does not exist, not transferring, ignored".into());
                result.insert("file".to_owned(), path.into());
                return Ok(Change::none(result));
            }
        };
        if entry.kind == Kind::Directory {
            return Err(Failure::new(format!("remote file is a directory, fetch cannot work on directories: {path}")));
        }
        let sha1 = seen
            .get("sha1")
            .ok_or_else(|| Failure::new(format!("{path} is a {}: only files can be fetched", entry.kind.name())))?;
        let to = match &self.target {
            Target::File(file) => file.clone(),
            Target::Below(folder) => inside(folder, path)?,
        };
        let mut result = Map::new();
        result.insert("dest".to_owned(), to.display().to_string().into());
        result.insert("checksum".to_owned(), sha1.into());
        result.insert("md5sum".to_owned(), seen.get("md5").map_or(Value::Null, Value::from));
        if self.local.get(&to).is_some_and(|have| have == sha1) {
            result.insert("file".to_owned(), path.into());
            return Ok(Change::none(result));
        }
        result.insert("remote_checksum".to_owned(), sha1.into());
        result.insert("remote_md5sum".to_owned(), Value::Null);
        let script = Script::new().set("path", path).line("cat <\"$path\"");
        let summary = format!("fetch {path} ({} bytes) to {}", entry.size, to.display());
        let sha1 = self.validate.then(|| sha1.to_owned());
        let step = Step { act: Act::Fetch { script, to, sha1 }, ..Step::script(summary, Script::new()) };
        Ok(Change { steps: vec![step], result })
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        step::finish_by_status(change, outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::local_host::{Host, KINDS};
    use serde_json::json;

    #[test]
    fn files_are_stored_by_host_and_path() {
        for kind in KINDS {
            let mut host = Host::new(kind);
            host.write("a b", b"x\0y");
            let (source, dest) = (host.path("a b"), host.path("got"));
            let arguments = json!({"src": source, "dest": dest});
            let result = host.task("fetch", arguments.clone()).unwrap();
            let stored = format!("{dest}/h1{source}");
            assert_eq!((&result["changed"], &result["dest"]), (&json!(true), &json!(stored)));
            host.here.files.insert(stored.into(), b"x\0y".to_vec());
            let again = host.task("fetch", arguments).unwrap();
            assert_eq!((&again["changed"], &again["file"]), (&json!(false), &json!(source)));
            let flat = host.task("fetch", json!({"src": source, "dest": host.path("flat/"), "flat": true})).unwrap();
            assert_eq!(flat["dest"], host.path("flat/a b"));
            assert!(host.fails("fetch", json!({"src": host.path("none"), "dest": dest})).contains("does not exist"));
            let missing = json!({"src": host.path("none"), "dest": dest, "fail_on_missing": false});
            assert_eq!(host.task("fetch", missing).unwrap()["changed"], false);
            let up = format!("{}/../{}/a b", host.folder().display(), host.folder().file_name().unwrap().display());
            assert!(host.fails("fetch", json!({"src": up, "dest": dest})).contains("outside"));
        }
    }

    #[test]
    fn a_hostile_answer_stays_inside() {
        let host = Host::new(KINDS[0]);
        let state = host.bind("fetch", json!({"src": "~/x", "dest": "/got"})).unwrap();
        let lie = "path /../../etc/cron.d/x\nat file\nmode 81a4\nuid 0\ngid 0\nsize 1\nlinks 1\ninode 1\ndevice 1\n\
                   rdev 0 0\nblocks 8 4096\natime 1 x\nmtime 1 x\nctime 1 x\nowner root\ngroup root\nsha1 00\nend\n";
        let seen = Output { stdout: lie.into(), ..Output::default() };
        assert!(state.steps(&seen).unwrap_err().message.contains("outside"));
    }
}
