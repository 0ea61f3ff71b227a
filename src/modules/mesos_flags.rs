//! `mesos_flags`: what flags a Mesos daemon must have, in whichever convention its host uses.
//!
//! The whole set that would result is checked against the target version before anything is written. Flags are to be written
//! while the daemon is stopped: a supervisor that starts the old version on new flags would find it dead.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Arguments, Bound, Change, Controller, Diff, Failure, ModuleSpec, Opt, OptKind, Rule, State, Step};
use crate::base::{Content, Map, Output, Script, Value, to_text};
use crate::cluster::mesos::{
    Convention, Daemon, Found, Host, Paths, Release, Version, Wish, check_set, check_value, flag, flag_text, mask_urls,
    plan, unknown_flag,
};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "mesos_flags",
    aliases: &[],
    summary: "Gives a Mesos daemon its flags, in the convention of its host, checked against the version that will read them",
    options: &[
        Opt::new("daemon", OptKind::Choice(&["master", "slave", "agent"]), "whose flags").required(),
        Opt::new("version", OptKind::Text, "the version that will read them").required(),
        Opt::new("set", OptKind::Mapping, "flags and the values they must have"),
        Opt::new(
            "missing",
            OptKind::Mapping,
            "flags and the values that they get where they are not given, after `rename`",
        ),
        Opt::new("unset", OptKind::List, "flags that must not be given"),
        Opt::new("rename", OptKind::Mapping, "old names and the new names that keep their values"),
        Opt::new("replace", OptKind::Mapping, "for a flag, old values and the values they become"),
        Opt::new("convention", OptKind::Choice(Convention::WORDS), "where the host keeps flags; auto finds out")
            .default("auto"),
        Opt::new("folder", OptKind::Path, "the folder of flag files, if not /etc/mesos-master or /etc/mesos-slave"),
        Opt::new("defaults", OptKind::List, "the two defaults files: of both daemons, of this one"),
        Opt::new("zk_file", OptKind::Path, "the file that `cat` reads in defaults files").default("/etc/mesos/zk"),
        Opt::new("conf", OptKind::Path, "mesos.conf, if not in /usr/local/var/mesos/conf"),
        Opt::new(
            "deploy",
            OptKind::Path,
            "the deploy scripts' environment file, if not in /usr/local/var/mesos/deploy",
        ),
        Opt::new(
            "starter",
            OptKind::Path,
            "the deploy scripts' mesos-daemon.sh; for 0.13 it is changed to read the environment file",
        )
        .default("/usr/local/sbin/mesos-daemon.sh"),
        Opt::new("wrapper", OptKind::Path, "the packages' init wrapper").default("/usr/bin/mesos-init-wrapper"),
        Opt::new("command_line", OptKind::List, "flags that the supervisor gives by itself: checked, never changed"),
    ],
    free_form: None,
    open: false,
    rules: &[Rule::OneOf(&["set", "missing", "unset", "rename", "replace"])],
    check: Some(check),
    build,
};

#[derive(Debug)]
struct MesosFlags {
    daemon: Daemon,
    version: Version,
    release: Release,
    convention: Option<Convention>,
    paths: Paths,
    supervisor: Vec<String>,
    wish: Wish,
}

/// What can be told without a host: a flag or value that the version does not take.
fn check(arguments: &Arguments) -> Result<(), String> {
    let (Some(daemon), Some(version)) = (arguments.text("daemon"), arguments.text("version")) else { return Ok(()) };
    if version.contains("{{") || daemon.contains("{{") {
        return Ok(());
    }
    let Some(daemon) = Daemon::parse(&daemon) else { return Ok(()) };
    let version = Version::parse(&version)?;
    let release = Release::of(version)?;
    let mut wrong = Vec::new();
    for (name, value) in arguments.mapping("set") {
        match flag(daemon, release, &name) {
            None if version < Version::new(0, 13, 0) => {}
            None => wrong.push(unknown_flag(daemon, release, &name)),
            Some(info) => {
                let text = to_flag(&name, &value, Some(info.kind));
                if let Ok(text) = text
                    && !text.contains("{{")
                    && let Some(wanted) = check_value(info.kind, &text, version >= Version::new(0, 22, 0))
                {
                    wrong.push(format!("`{name}` is `{}` and must be {wanted}", mask_urls(&text)));
                }
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// A value of a playbook as the text of a flag.
fn to_flag(name: &str, value: &Value, kind: Option<crate::cluster::mesos::FlagType>) -> Result<String, String> {
    use crate::cluster::mesos::FlagType;
    match value {
        Value::Null => Err(format!("`{name}` has no value: give one, or name it under `unset`")),
        Value::Bool(true) => Ok("true".to_owned()),
        Value::Bool(false) => Ok("false".to_owned()),
        Value::Object(_) | Value::Array(_) if kind == Some(FlagType::Json) => Ok(value.to_string()),
        Value::Object(map) => {
            Ok(map.iter().map(|(key, value)| format!("{key}:{}", to_text(value))).collect::<Vec<_>>().join(";"))
        }
        Value::Array(items) => Ok(items.iter().map(to_text).collect::<Vec<_>>().join(",")),
        Value::String(text) if text.contains(['\n', '\0']) && kind != Some(FlagType::Json) => {
            Err(format!("`{name}` has more than one line"))
        }
        other => Ok(flag_text(&to_text(other), kind)),
    }
}

/// A flag's name as people write it, brought to the daemon's.
fn to_name(written: &str) -> Result<String, String> {
    let name = written.trim().to_ascii_lowercase();
    let name = name.strip_prefix("--").unwrap_or(&name).to_owned();
    if let Some(positive) = name.strip_prefix("no-") {
        return Err(format!("write `{positive}: false`, not `{written}`"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("`{written}` is no flag's name"));
    }
    Ok(name)
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    let fail = |reason: String| Failure::new(format!("mesos_flags: {reason}"));
    let daemon = Daemon::parse(&arguments.required("daemon")).ok_or_else(|| fail("no such daemon".to_owned()))?;
    let version = Version::parse(&arguments.required("version")).map_err(fail)?;
    let release = Release::of(version).map_err(fail)?;
    let mut paths = Paths::usual(daemon);
    let take = |to: &mut String, name: &str| {
        if let Some(path) = arguments.text(name) {
            *to = path.trim_end_matches('/').to_owned();
        }
    };
    take(&mut paths.folder, "folder");
    take(&mut paths.zk, "zk_file");
    take(&mut paths.conf, "conf");
    take(&mut paths.deploy, "deploy");
    take(&mut paths.starter, "starter");
    take(&mut paths.wrapper, "wrapper");
    match arguments.list("defaults").as_slice() {
        [] => {}
        [both, own] => paths.defaults = [both.clone(), own.clone()],
        _ => return Err(fail("`defaults` is two files: the one of both daemons, and this daemon's".to_owned())),
    }
    Ok(Bound::State(Box::new(MesosFlags {
        daemon,
        version,
        release,
        convention: Convention::parse(&arguments.required("convention")),
        paths,
        supervisor: arguments.list("command_line"),
        wish: wish(arguments, daemon, release).map_err(fail)?,
    })))
}

/// A playbook's mapping of flags: names and values as the daemon takes them.
pub(super) fn wanted_flags(set: Map, daemon: Daemon, release: Release) -> Result<Vec<(String, String)>, String> {
    set.into_iter()
        .map(|(written, value)| {
            let name = to_name(&written)?;
            let kind = flag(daemon, release, &name).map(|info| info.kind);
            let text = to_flag(&name, &value, kind)?;
            Ok((name, text))
        })
        .collect()
}

fn wish(arguments: &Arguments, daemon: Daemon, release: Release) -> Result<Wish, String> {
    let kind = |name: &str| flag(daemon, release, name).map(|info| info.kind);
    let mut wish = Wish { set: wanted_flags(arguments.mapping("set"), daemon, release)?, ..Wish::default() };
    for written in arguments.list("unset") {
        wish.unset.push(to_name(&written)?);
    }
    wish.missing = wanted_flags(arguments.mapping("missing"), daemon, release)?;
    for (old, new) in arguments.mapping("rename") {
        wish.rename.push((to_name(&old)?, to_name(&to_text(&new))?));
    }
    for (written, values) in arguments.mapping("replace") {
        let name = to_name(&written)?;
        let Value::Object(values) = values else {
            return Err(format!("`replace` has for `{name}` a mapping of old values to new ones"));
        };
        for (old, new) in values {
            wish.replace.push((name.clone(), old, to_flag(&name, &new, kind(&name))?));
        }
    }
    if let Some((name, _)) = wish.set.iter().find(|(name, _)| wish.unset.contains(name)) {
        return Err(format!("`{name}` is under both `set` and `unset`"));
    }
    Ok(wish)
}

/// Reads every file in which a daemon's flags may stand, length first, so that no content can pass for a frame.
pub(super) fn probe_files(paths: &Paths) -> Script {
    let mut script = Script::new().set("folder", &paths.folder).set("wrapper", &paths.wrapper).line(
        r#"show() {
  [ -r "$1" ] && size=$(wc -c <"$1") || { printf 'E 0 %s\n' "$1"; return; }
  size=$((size))
  [ "$size" -le 65536 ] || { printf 'B %s %s\n' "$size" "$1"; return; }
  printf 'F %s %s\n' "$size" "$1"
  cat <"$1"
  printf '\n'
}"#,
    );
    let files = paths.files();
    script = script.arguments(files.iter().map(String::as_str)).line(
        r#"for file in "$@"; do [ -f "$file" ] && show "$file"; done
if [ -d "$folder" ]; then
  printf 'D 0 %s\n' "$folder"
  [ -r "$folder" ] && [ -x "$folder" ] || printf 'E 0 %s\n' "$folder"
  for file in "$folder"/* "$folder"/attributes/* "$folder"/resources/*; do [ -f "$file" ] && show "$file"; done
fi
[ -e "$wrapper" ] && printf 'W 0 %s\n' "$wrapper"
printf 'Z 0 end\n'"#,
    );
    script
}

/// What [`probe_files`] would print of a host.
fn render_files(host: &Host) -> Vec<u8> {
    let mut text = String::new();
    for (path, content) in &host.files {
        let _ = writeln!(text, "F {} {path}\n{content}", content.len());
    }
    for folder in &host.folders {
        let _ = writeln!(text, "D 0 {folder}");
    }
    if host.wrapper {
        text.push_str("W 0 wrapper\n");
    }
    text.push_str("Z 0 end\n");
    text.into_bytes()
}

/// Reads what [`probe_files`] printed.
///
/// # Errors
/// It is broken off, or a file can't be read.
pub(super) fn read_probe(output: &Output) -> Result<Host, String> {
    let broken = || {
        let said = output.err();
        let said = said.trim();
        let why = if said.is_empty() { String::new() } else { format!(": {said}") };
        format!("the host's flag files could not be read (status {}){why}", output.status)
    };
    let mut host = Host::default();
    let mut rest = output.stdout.as_slice();
    loop {
        let end = rest.iter().position(|b| *b == b'\n').ok_or_else(broken)?;
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        let line = std::str::from_utf8(line).map_err(|_| broken())?;
        let mut words = line.splitn(3, ' ');
        let (Some(word), Some(size), Some(path)) = (words.next(), words.next(), words.next()) else {
            return Err(broken());
        };
        match word {
            "F" => {
                let size: usize = size.parse().map_err(|_| broken())?;
                let changed = || format!("{path} changed while it was read: try again");
                let content = rest.get(..size).ok_or_else(changed)?;
                if rest.get(size) != Some(&b'\n') {
                    return Err(changed());
                }
                let text = String::from_utf8(content.to_vec()).map_err(|_| format!("{path} is not text in UTF-8"))?;
                host.files.insert(path.to_owned(), text);
                rest = rest.get(size + 1..).unwrap_or_default();
            }
            "D" => {
                host.folders.insert(path.to_owned());
            }
            "W" => host.wrapper = true,
            "E" => return Err(format!("{path} can't be read by the login user: use `become: true`")),
            "B" => return Err(format!("{path} has {size} bytes: it is no file of flags (65536 allowed)")),
            "Z" => return Ok(host),
            _ => return Err(broken()),
        }
    }
}

fn write_step(path: &str, before: Option<&str>, after: &str, shared: bool) -> Step {
    let verb = if before.is_some() { "change" } else { "write" };
    let shared = if shared { ", which both daemons read" } else { "" };
    let script = Script::new().set("path", path).set("size", &after.len().to_string()).line(
        r#"if [ -L "$path" ]; then path=$(readlink -f "$path") || exit 1; fi
folder=${path%/*}
[ -d "$folder" ] || mkdir -p "$folder" || exit 1
stem=$folder/.${path##*/}.stagger-
for left in "$stem"*; do # of a run that was killed
pid=${left#"$stem"}
case $pid in ''|*[!0-9]*) continue;; esac
[ -d "/proc/$pid" ] || rm -f -- "$left"
done
new=$stem$$
trap 'rm -f "$new"' 0
umask 022
if [ -e "$path" ]; then cp -p "$path" "$new" || exit 1; fi
cat >"$new" || exit 1
[ "$(wc -c <"$new")" -eq "$size" ] || { echo "$path: the new content did not arrive whole; the file was left as it was" >&2; exit 1; }
sync "$new" 2>/dev/null || sync
mv -f "$new" "$path" || exit 1"#,
    );
    Step::send(format!("{verb} {path}{shared}"), script, Content::text(after)).diff(diff(
        path,
        before.unwrap_or_default(),
        after,
    ))
}

fn remove_step(path: &str, before: &str) -> Step {
    let script = Script::new().set("path", path).line(r#"rm -f "$path""#);
    Step::script(format!("remove {path}"), script).diff(diff(path, before, ""))
}

fn diff(path: &str, before: &str, after: &str) -> Diff {
    Diff {
        before_header: path.to_owned(),
        after_header: path.to_owned(),
        before: mask_urls(before),
        after: mask_urls(after),
    }
}

/// The flags of a host as a result's mapping, credentials masked.
pub(super) fn flags_value(found: &Found) -> Map {
    found
        .settings
        .iter()
        .map(|setting| {
            let value = setting.value.as_deref().map_or(Value::Null, |value| Value::from(mask_urls(value)));
            (setting.name.clone(), value)
        })
        .collect()
}

impl State for MesosFlags {
    fn probe(&self) -> Script {
        probe_files(&self.paths)
    }

    fn expect(&self, seen: &Output, _change: &Change) -> Option<Output> {
        let (_, wanted, _) = self.wanted(seen).ok()?;
        Some(Output { stdout: render_files(&wanted), ..Output::default() })
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let (host, wanted, found) = self.wanted(seen).map_err(Failure::new)?;
        let verdicts = check_set(self.daemon, self.release, &found);
        let mut result = Map::new();
        result.insert("daemon".to_owned(), self.daemon.word().into());
        result.insert("version".to_owned(), self.version.to_string().into());
        result.insert("convention".to_owned(), found.convention.word().into());
        result.insert("flags".to_owned(), Value::Object(flags_value(&found)));
        if !verdicts.warnings.is_empty() {
            result.insert("warnings".to_owned(), verdicts.warnings.clone().into());
        }
        if !verdicts.refused.is_empty() {
            return Err(Failure::new(verdicts.refused.join("\n")).with("refused", verdicts.refused));
        }
        Ok(Change { steps: self.changes(&host.files, &wanted.files), result })
    }
}

impl MesosFlags {
    /// The host's files as they are and as they must be, and the flags that these give.
    fn wanted(&self, seen: &Output) -> Result<(Host, Host, Found), String> {
        let mut host = read_probe(seen)?;
        host.supervisor.clone_from(&self.supervisor);
        let (wanted, found) =
            plan(self.daemon, self.version, self.release, &self.paths, &host, self.convention, &self.wish)?;
        Ok((host, wanted, found))
    }

    /// New content first, removals last: cut off in between, a flag is there twice rather than not at all.
    fn changes(&self, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Step> {
        let shared = |path: &str| {
            path == self.paths.defaults[0]
                || [self.paths.zk.as_str(), &self.paths.conf, &self.paths.starter].contains(&path)
        };
        let written = after
            .iter()
            .filter(|(path, text)| before.get(*path) != Some(text))
            .map(|(path, text)| write_step(path, before.get(path).map(String::as_str), text, shared(path)));
        let removed =
            before.iter().filter(|(path, _)| !after.contains_key(*path)).map(|(path, text)| remove_step(path, text));
        written.chain(removed).collect()
    }
}

#[cfg(test)]
mod tests;
