//! `tempfile`: a new empty file or folder with a name of its own.
//!
//! Each run makes another one: that is what it is for. Its path is not known beforehand.

use super::host_file::{LOOK, Seen, describe_entry};
use super::{Applied, Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, State, Step, step};
use crate::base::{Map, Output, Script};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "tempfile",
    aliases: &[],
    summary: "makes a file or folder with a name of its own",
    options: &[
        Opt::new("state", OptKind::Choice(&["file", "directory"]), "what to make").default("file"),
        Opt::new("path", OptKind::Path, "the folder that it is made in; by default the host's for such files"),
        Opt::new("prefix", OptKind::Text, "how the name begins").default("ansible."),
        Opt::new("suffix", OptKind::Text, "how the name ends").default(""),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: Some(check),
    build,
};

fn check(arguments: &Arguments) -> Result<(), String> {
    for name in ["prefix", "suffix"] {
        if arguments.required(name).contains('/') && !arguments.required(name).contains("{{") {
            return Err(format!(
                "{name} must be a valid file name component, got '{}'; the folder is `path`",
                arguments.required(name)
            ));
        }
    }
    Ok(())
}

#[derive(Debug)]
struct TempFile {
    directory: bool,
    folder: Option<String>,
    prefix: String,
    suffix: String,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    check(arguments).map_err(Failure::new)?;
    Ok(Bound::State(Box::new(TempFile {
        directory: arguments.text("state").as_deref() == Some("directory"),
        folder: arguments.text("path"),
        prefix: arguments.required("prefix"),
        suffix: arguments.required("suffix"),
    })))
}

/// Not by `mktemp`: busybox's takes no suffix. The shell's noclobber refuses what is there.
const MAKE: &str = r#"umask 077
if [ -n "$folder" ]; then expand "$folder"; else path=${TMPDIR:-/tmp}; fi
folder=${path%/}
[ -d "$folder/" ] || { echo "No such file or directory: '$path'" >&2; exit 1; }
for try in 1 2 3 4 5 6 7 8; do
name=$(od -An -N4 -tx1 </dev/urandom | tr -d ' \n')
path=$folder/$prefix$name$suffix
if [ -n "$directory" ]; then why=$(mkdir "$path" 2>&1) && break; else why=$( (set -C; : >"$path") 2>&1) && break; fi
[ -e "$path" ] || { printf '%s\n' "$why" >&2; exit 1; }
path=
done
[ -n "$path" ] || { echo "no free name was found in $folder" >&2; exit 1; }
say path "$path"
look result "$path"
echo end"#;

impl State for TempFile {
    fn steps(&self, _seen: &Output) -> Result<Change, Failure> {
        let script = Script::new()
            .line(LOOK)
            .set("folder", self.folder.as_deref().unwrap_or(""))
            .set("prefix", &self.prefix)
            .set("suffix", &self.suffix)
            .set("directory", if self.directory { "1" } else { "" })
            .line(MAKE);
        let what = if self.directory { "folder" } else { "file" };
        let place = self.folder.as_deref().map(|folder| format!(" in {folder}")).unwrap_or_default();
        let step = Step::script(format!("make a temporary {what}{place}"), script).opaque();
        Ok(Change { steps: vec![step], result: Map::new() })
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        let mut result = step::finish_by_status(change, outputs)?;
        let Some(Applied::Output(output)) = outputs.first() else { return Ok(result) };
        let seen = Seen::parse(output)?;
        if let Some(path) = seen.get("path") {
            result.insert("path".to_owned(), path.into());
        }
        if let Some(entry) = seen.look("result")?.entry() {
            describe_entry(entry, &mut result);
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::local_host::{Host, KINDS};
    use serde_json::json;

    #[test]
    fn each_call_makes_another_one_for_its_user_only() {
        for kind in KINDS {
            let host = Host::new(kind);
            let make = |arguments| host.task("tempfile", arguments).unwrap_or_else(|why| panic!("{kind:?}: {why:?}"));
            let file = make(json!({"path": host.path(""), "suffix": ".x y"}));
            let path = file["path"].as_str().unwrap();
            assert!(path.starts_with(&host.path("ansible.")) && path.ends_with(".x y"), "{path}");
            assert_eq!((&file["state"], &file["mode"], &file["size"]), (&json!("file"), &json!("0600"), &json!(0)));
            let other = make(json!({"path": host.path(""), "prefix": "-", "state": "directory"}));
            assert_eq!((&other["state"], &other["mode"]), (&json!("directory"), &json!("0700")));
            assert_ne!(make(json!({}))["path"], make(json!({}))["path"]);
            assert!(host.fails("tempfile", json!({"path": host.path("none")})).contains("No such file"));
            assert!(host.fails("tempfile", json!({"prefix": "a/b"})).contains("prefix must be a valid file name"));
        }
    }
}
