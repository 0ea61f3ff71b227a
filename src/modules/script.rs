//! `script`: a program of this machine, sent to the host, run there, and removed.
//!
//! What follows its name is text for the host's shell, as with Ansible. It is run only when it arrived whole.

use super::command::Exec;
use super::host_file::{LOOK, Seen};
use super::{Applied, Arguments, Bound, Change, Controller, Failure, Folder, ModuleSpec, Opt, OptKind, State, Step};
use crate::base::{Content, Map, Output, Script};
use std::sync::Arc;

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "script",
    aliases: &[],
    summary: "runs a program of this machine on the host",
    options: &[
        Opt::new("cmd", OptKind::Text, "the file here, and its arguments as the host's shell reads them")
            .required()
            .aliases(&["free_form", "_raw_params"]),
        Opt::new("executable", OptKind::Text, "what runs it, in place of what its first line says"),
        Opt::new("chdir", OptKind::Path, "the folder to run in"),
        Opt::new("creates", OptKind::Path, "does not run when this path is there"),
        Opt::new("removes", OptKind::Path, "does not run when this path is not there"),
        Opt::refused("decrypt", "the file is sent as it is"),
    ],
    free_form: Some("cmd"),
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct Program {
    file: Arc<crate::base::LocalFile>,
    /// What follows the file's name, as written.
    rest: String,
    name: String,
    exec: Exec,
    executable: String,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let text = arguments.required("cmd").trim().to_owned();
    let words = shlex::split(&text).filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| Failure::new(format!("no script is named, or a quote has no end: `{text}`")))?;
    let name = words.into_iter().next().unwrap_or_default();
    let rest = after_first_word(&text).to_owned();
    if let Some(folder) = arguments.text("chdir").filter(|folder| !folder.starts_with('/')) {
        return Err(Failure::new(format!("chdir {folder} must be an absolute path for a Unix-aware remote node")));
    }
    let file = here.digest(&here.find(Folder::Files, &name)?)?;
    Ok(Bound::State(Box::new(Program {
        exec: Exec {
            run: super::command::Run::Shell { executable: "/bin/sh".to_owned(), text },
            chdir: arguments.text("chdir"),
            creates: arguments.text("creates"),
            removes: arguments.text("removes"),
            stdin: None,
            strip: false,
            named: false,
        },
        executable: arguments.text("executable").unwrap_or_default(),
        file,
        rest,
        name,
    })))
}

/// What follows the first word, quotes and all.
fn after_first_word(text: &str) -> &str {
    let (mut single, mut double, mut escaped) = (false, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if !single => escaped = true,
            '\'' if !double => single = !single,
            '"' if !single => double = !double,
            c if c.is_whitespace() && !single && !double => return text.get(at..).unwrap_or_default(),
            _ => {}
        }
    }
    ""
}

/// Whether a program can be started in a folder is asked of the kernel: it says no where that is mounted `noexec`.
const RECEIVE: &str = r#"refuse() { printf '%s\n' "$1" >&2; exit 1; }
stagger_folder=
trap '[ -z "$stagger_folder" ] || rm -rf -- "$stagger_folder"' EXIT
trap 'exit 129' HUP INT TERM PIPE
for place in "${TMPDIR:-/tmp}" /var/tmp "${HOME:-/}"; do
stagger_folder=$(umask 077; mktemp -d "$place/stagger-XXXXXX" 2>/dev/null) || { stagger_folder=; continue; }
stagger_script=$stagger_folder/$name
: >"$stagger_script"; chmod 700 "$stagger_script"
[ ! -x "$stagger_script" ] || break
rm -rf -- "$stagger_folder"; stagger_folder=
done
[ -n "$stagger_folder" ] || refuse "no folder of the host can take a program: neither ${TMPDIR:-/tmp}, /var/tmp nor ${HOME:-/}"
why=$(cat 2>&1 >"$stagger_script") || refuse "cannot write the script on the host: $why"
digest "$stagger_script" "$size" || refuse "the host has no sha256sum to verify the script with"
[ "$sum" = "$sha256" ] || refuse "the script did not arrive whole: it was not run"
[ -z "$chdir" ] || cd "$chdir" || exit 1
unset LC_ALL"#;

impl State for Program {
    fn probe(&self) -> Script {
        self.exec.probe()
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        if self.exec.creates.is_some() || self.exec.removes.is_some() {
            let seen = Seen::parse(seen)?;
            let is = |key: &str| seen.get(key) == Some("yes");
            let skipped = |why: String| {
                let mut result = Map::new();
                result.insert("skipped".to_owned(), true.into());
                result.insert("msg".to_owned(), why.into());
                Ok(Change::none(result))
            };
            if let Some(path) = self.exec.creates.as_ref().filter(|_| is("creates")) {
                return skipped(format!("{path} exists, matching creates option"));
            }
            if let Some(path) = self.exec.removes.as_ref().filter(|_| !is("removes")) {
                return skipped(format!("{path} does not exist, matching removes option"));
            }
        }
        let name = self.name.rsplit('/').next().unwrap_or("script");
        let script = Script::new()
            .line(LOOK)
            .set("name", name)
            .set("size", &self.file.size.to_string())
            .set("sha256", &self.file.sha256)
            .set("chdir", self.exec.chdir.as_deref().unwrap_or(""))
            .line(RECEIVE)
            .user_text(&format!("{} \"$stagger_script\"{} </dev/null", self.executable, self.rest));
        let content = Content::File { file: Arc::clone(&self.file), offset: 0 };
        let step = Step::send(format!("run the script {}{}", self.name, self.rest), script, content);
        Ok(Change { steps: vec![step.opaque().once()], result: Map::new() })
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        self.exec.finish(change, outputs)
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::local_host::{Host, KINDS};
    use serde_json::json;

    #[test]
    fn a_script_runs_with_its_arguments_and_leaves_nothing() {
        for kind in KINDS {
            let mut host = Host::new(kind);
            host.here.files.insert("a b.sh".into(), b"#!/bin/sh\necho \"$#:$1:$2\"; pwd; cat; exit ${3:-0}\n".to_vec());
            let run = |text: &str| host.task("script", json!({"cmd": text, "chdir": host.path("")}));
            let done = run("'a b.sh' one \"two  $((1 + 2))\"").unwrap_or_else(|why| panic!("{kind:?}: {why:?}"));
            assert_eq!(done["stdout"], format!("2:one:two  3\n{}\n", host.folder().display()), "{kind:?}");
            let failed = run("'a b.sh' x y 3").unwrap_err();
            assert_eq!((failed.message.as_str(), &failed.result["rc"]), ("non-zero return code", &json!(3)));
            let shell = host.task("script", json!({"cmd": "'a b.sh' x", "executable": "/bin/sh -u"})).unwrap_err();
            assert!(shell.result["stderr"].as_str().unwrap().contains('2'), "{shell:?}");
            let there = host.task("script", json!({"cmd": "'a b.sh'", "creates": "/etc/passwd"})).unwrap();
            assert_eq!((&there["skipped"], &there["changed"]), (&json!(true), &json!(false)));
            assert!(host.fails("script", json!({"cmd": "none.sh"})).contains("no file"));
            assert!(host.names("").is_empty(), "{kind:?}: {:?}", host.names(""));
        }
    }
}
