//! `unarchive`: a tar archive of this machine unpacked on the host.
//!
//! The archive's headers are read here, so that what is missing is known before anything is sent: a member is as wanted when
//! the host has it with the same size and time (files), target (links) or at all (directories). What differs is
//! unpacked into a folder beside, and renamed into place file by file: no file is ever half-written.
//!
//! An archive whose members would leave `dest` (`..`, absolute names, a path through a link of the archive) is refused.

use super::host_file::{CHANGE, LOOK, Look, MAKE, Seen, Wanted, describe_entry, file_options, finish_with_look};
use super::tar_list::{self, Kind, Member};
use super::{Applied, Arguments, Bound, Change, Controller, Failure, Folder, ModuleSpec, Opt, OptKind, State, Step};
use crate::base::{Content, Map, Output, Script, Value};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "unarchive",
    aliases: &[],
    summary: "unpacks a tar archive of this machine on the host",
    options: file_options![
        Opt::new("src", OptKind::LocalPath, "the archive: tar or tar.gz").required(),
        Opt::new("dest", OptKind::Path, "the directory, which must be there").required(),
        Opt::new("creates", OptKind::Path, "does nothing when this path is there"),
        Opt::new("exclude", OptKind::List, "members to leave out; globs"),
        Opt::new("include", OptKind::List, "only these members; globs"),
        Opt::new("extra_opts", OptKind::List, "further words for tar"),
        Opt::new("keep_newer", OptKind::Bool, "leaves files that are newer on the host").default("false"),
        Opt::new("list_files", OptKind::Bool, "gives the names in the result").default("false"),
        Opt::refused(
            "remote_src",
            "archives that lie on the host are not unpacked yet; use `command: tar … creates=…`"
        ),
        Opt::refused("copy", "the archive always comes from this machine"),
        Opt::refused("io_buffer_size", "it has no meaning here"),
        Opt::refused("decrypt", "vaulted archives are not supported"),
        Opt::refused("validate_certs", "the archive is no URL"),
    ],
    free_form: None,
    open: false,
    rules: &[super::Rule::AtMostOne(&["include", "exclude"])],
    check: None,
    build,
};

#[derive(Debug)]
struct Unarchive {
    source: String,
    content: Content,
    sha256: String,
    zipped: bool,
    dest: String,
    creates: Option<String>,
    members: Vec<Member>,
    extra: Vec<String>,
    keep_newer: bool,
    list: bool,
    wanted: Wanted,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let path = here.find(Folder::Files, &arguments.required("src"))?;
    let file = here.digest(&path)?;
    let bytes = here.read(&path)?;
    let zipped = bytes.starts_with(&[0x1f, 0x8b]);
    for (magic, name) in
        [(&b"PK\x03\x04"[..], "zip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"\x28\xb5\x2f\xfd", "zstd")]
    {
        if bytes.starts_with(magic) {
            return Err(Failure::new(format!(
                "{} is a {name} archive, which can't be looked into yet: pack it as tar or tar.gz",
                path.display()
            )));
        }
    }
    let members = if zipped {
        tar_list::list(&mut flate2::read::MultiGzDecoder::new(bytes.as_slice()))
    } else {
        tar_list::list(&mut bytes.as_slice())
    };
    let wrong = |reason: String| Failure::new(format!("{}: {reason}", path.display()));
    let members = members.map_err(wrong)?;
    refuse_escapes(&members).map_err(wrong)?;
    let extra = arguments.list("extra_opts");
    let members = select(stripped(members, &extra)?, &arguments.list("include"), &arguments.list("exclude"));
    Ok(Bound::State(Box::new(Unarchive {
        source: path.display().to_string(),
        sha256: file.sha256.clone(),
        content: Content::File { file, offset: 0 },
        zipped,
        dest: arguments.required("dest"),
        creates: arguments.text("creates"),
        members,
        extra,
        keep_newer: arguments.flag("keep_newer"),
        list: arguments.flag("list_files"),
        wanted: Wanted::of(arguments),
    })))
}

/// Refuses members that would land outside.
fn refuse_escapes(members: &[Member]) -> Result<(), String> {
    let outside = |name: &str| name.starts_with('/') || name.split('/').any(|part| part == "..");
    for member in members {
        if outside(&member.name) {
            return Err(format!("refusing the archive: its member `{}` would leave the directory", member.name));
        }
        if let Kind::Hard(target) = &member.kind
            && outside(target)
        {
            return Err(format!("refusing the archive: `{}` is a hard link to `{target}`, outside", member.name));
        }
        let through = |other: &Member| {
            matches!(other.kind, Kind::Link(_))
                && member.name.strip_prefix(other.name.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        if let Some(link) =
            members.iter().filter(|other| matches!(other.kind, Kind::Link(_))).find(|other| through(other))
        {
            return Err(format!("refusing the archive: `{}` goes through its own link `{}`", member.name, link.name));
        }
    }
    Ok(())
}

/// Names after `--strip-components`; other options that rename are refused.
fn stripped(members: Vec<Member>, extra: &[String]) -> Result<Vec<Member>, Failure> {
    let mut count = 0;
    let mut words = extra.iter();
    while let Some(word) = words.next() {
        if word.starts_with("--transform")
            || word.starts_with("--xform")
            || word == "-C"
            || word.starts_with("--directory")
        {
            return Err(Failure::new(format!(
                "`extra_opts: {word}` is not supported: what it unpacks can't be foreseen"
            )));
        }
        let number = match word.strip_prefix("--strip-components") {
            Some("") => words.next().map(String::as_str),
            Some(rest) => rest.strip_prefix('='),
            None => continue,
        };
        count = number
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| Failure::new("`--strip-components` needs a number"))?;
    }
    let strip = |name: &str| name.split('/').skip(count).collect::<Vec<_>>().join("/");
    Ok(members
        .into_iter()
        .map(|member| {
            let kind = match member.kind {
                Kind::Hard(target) => Kind::Hard(strip(&target)),
                kind => kind,
            };
            Member { name: strip(&member.name), kind, ..member }
        })
        .filter(|member| !member.name.is_empty() && member.name != ".")
        .collect())
}

fn select(members: Vec<Member>, include: &[String], exclude: &[String]) -> Vec<Member> {
    // As tar does it: a pattern that matches a folder takes all that is in it along.
    let matches = |patterns: &[String], name: &str| {
        let mut ends: Vec<usize> = name.match_indices('/').map(|(at, _)| at).collect();
        ends.push(name.len());
        patterns.iter().any(|pattern| {
            let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
            ends.iter().any(|end| super::setup::glob(pattern, &name[..*end]))
        })
    };
    members
        .into_iter()
        .filter(|member| include.is_empty() || matches(include, &member.name))
        .filter(|member| !matches(exclude, &member.name))
        .collect()
}

const ASK: &str = r#"expand "$dest"; root=$path
say root "$root"
tell_ids
look dest "$root" -L || :
if [ -n "$creates" ]; then
expand "$creates"; IFS=; set -- $path; unset IFS
if [ -e "$1" ] || [ -L "$1" ]; then say created "$path"; echo end; exit 0; fi
fi
member() { look "m $1" "${root%/}/$1" || :; }"#;

const UNPACK: &str = r#"refuse() { printf '%s\n' "$1" >&2; exit 1; }
[ -d "$root" ] || refuse "dest '$root' must be an existing dir"
trap '[ -z "$stage" ] || rm -rf -- "$stage"' EXIT
trap 'exit 129' HUP INT TERM PIPE
for left in "$root"/.stagger-unpack-*; do
[ -d "$left" ] && [ ! -L "$left" ] || continue
pid=${left#"$root"/.stagger-unpack-}; pid=${pid%%-*}
case $pid in ''|*[!0-9]*) continue;; esac
[ -d "/proc/$pid" ] || rm -rf -- "$left"
done
mask=$(umask); umask 077
stage=; stage=$(mktemp -d "$root/.stagger-unpack-$$-XXXXXX") || { stage=; exit 1; }
why=$(cat 2>&1 >"$stage/archive") || refuse "cannot write the archive below $root: $why"
have=$(sha256sum <"$stage/archive")
[ "${have%% *}" = "$sha256" ] || refuse "the archive did not arrive whole: nothing was unpacked"
mkdir "$stage/tree" || exit 1
umask "$mask"
why=$(tar "$how" "$stage/archive" -C "$stage/tree" "$@" 2>&1) || refuse "tar could not unpack the archive: $why"
owner=; group=; bits=
place() {
make "${root%/}${1:+/$1}"
[ ! -d "${root%/}/$2" ] || [ -L "${root%/}/$2" ] || refuse "$root/$2 is a directory, and no directory in the archive"
mv -f -- "$stage/tree/$2" "${root%/}/$2" || exit 1
}"#;

impl State for Unarchive {
    fn probe(&self) -> Script {
        let script =
            Script::new().line(LOOK).set("dest", &self.dest).set("creates", self.creates.as_deref().unwrap_or(""));
        let mut script = self.wanted.ask(script).line(ASK);
        for member in &self.members {
            script = script.command(["member", &member.name]);
        }
        script.line("echo end")
    }

    fn keep(&self) -> usize {
        16 << 20
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let seen = Seen::parse(seen)?;
        let root = seen.get("root").ok_or_else(|| Failure::new("the host's answer is not whole"))?;
        let mut result = Map::new();
        result.insert("dest".to_owned(), root.into());
        result.insert("src".to_owned(), self.source.clone().into());
        if let Some(path) = seen.get("created") {
            result.insert("msg".to_owned(), format!("skipped, since {path} exists").into());
            return Ok(Change::none(result));
        }
        result.insert("handler".to_owned(), if self.zipped { "TgzArchive" } else { "TarArchive" }.into());
        if let Some(entry) = seen.look("dest")?.entry() {
            describe_entry(entry, &mut result);
        }
        if self.list {
            let names = self.members.iter().map(|member| match member.kind {
                Kind::Directory => Value::from(format!("{}/", member.name)),
                _ => Value::from(member.name.as_str()),
            });
            result.insert("files".to_owned(), names.collect());
        }
        let mut missing = Vec::new();
        let mut attributes = Vec::new();
        for member in &self.members {
            let look = seen.look(&format!("m {}", member.name))?;
            if self.differs(member, &look) {
                missing.push(member);
            }
            let directory = member.kind == Kind::Directory;
            let link = matches!(member.kind, Kind::Link(_));
            if !self.wanted.is_empty() && !link {
                let settled =
                    self.wanted.settle(&seen, look.entry(), directory, if directory { 0o777 } else { 0o666 })?;
                if !settled.differences.is_empty() || self.differs(member, &look) {
                    attributes.push((format!("{}/{}", root.trim_end_matches('/'), member.name), settled));
                }
            }
        }
        let mut steps = Vec::new();
        if !missing.is_empty() {
            let mut script = self.unpack(root, &missing);
            for (path, settled) in &attributes {
                script = script
                    .set("path", path)
                    .set("owner", settled.owner.as_deref().unwrap_or(""))
                    .set("group", settled.group.as_deref().unwrap_or(""))
                    .set("bits", self.wanted.mode.as_deref().unwrap_or(""))
                    .line(CHANGE);
            }
            let script = script.line("look result \"$root\"").line("echo end");
            let summary =
                format!("unpack {} of {} members of {} into {root}", missing.len(), self.members.len(), self.source);
            steps.push(Step::send(summary, script, self.content.clone()));
        } else {
            steps.extend(attributes.iter().filter_map(|(path, settled)| settled.step(path, false)));
        }
        Ok(Change { steps, result })
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        finish_with_look(change, outputs)
    }
}

impl Unarchive {
    fn differs(&self, member: &Member, look: &Look) -> bool {
        use super::host_file::Kind as Host;
        let Look::There(entry) = look else { return true };
        match &member.kind {
            Kind::Directory => entry.kind != Host::Directory,
            Kind::Link(target) => entry.target.as_ref() != Some(target),
            Kind::Hard(_) => entry.kind != Host::File,
            Kind::File if entry.kind != Host::File => true,
            Kind::File if self.keep_newer && entry.mtime >= member.mtime as f64 => false,
            // Times are whole seconds in an archive, and may be rounded on old file systems.
            Kind::File => entry.size != member.size || (entry.mtime - member.mtime as f64).abs() >= 1.0,
        }
    }

    fn unpack(&self, root: &str, missing: &[&Member]) -> Script {
        let mut script = Script::new()
            .line(LOOK)
            .line(MAKE)
            .set("root", root)
            .set("sha256", &self.sha256)
            .set("how", if self.zipped { "-xzf" } else { "-xf" })
            .arguments(self.extra.iter().map(String::as_str))
            .line(UNPACK);
        for member in missing {
            let (folder, _) = member.name.rsplit_once('/').unwrap_or(("", &member.name));
            script = match member.kind {
                Kind::Directory => script.command(["make", &format!("{}/{}", root.trim_end_matches('/'), member.name)]),
                _ => script.command(["place", folder, &member.name]),
            };
        }
        script
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::local_host::{Host, KINDS};
    use serde_json::json;

    fn packed(host: &mut Host, name: &str, words: &[&str]) {
        let output = std::process::Command::new("tar").current_dir(host.folder()).args(words).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        host.here.files.insert(name.into(), output.stdout);
    }

    #[test]
    fn an_archive_is_unpacked_once_and_mended() {
        for kind in KINDS {
            let mut host = Host::new(kind);
            std::fs::create_dir_all(host.path("in/d/deep er")).unwrap();
            std::fs::create_dir_all(host.path("out")).unwrap();
            std::fs::create_dir_all(host.path("flat")).unwrap();
            host.write("in/d/one", "1");
            host.write(&format!("in/d/{}", "long".repeat(40)), "x");
            host.write("in/d/deep er/it's", "22");
            std::os::unix::fs::symlink("one", host.path("in/d/link")).unwrap();
            for (name, words) in [("a.tar", ["-cf", "-", "-C", "in", "d"]), ("a.tgz", ["-czf", "-", "-C", "in", "d"])] {
                packed(&mut host, name, &words);
                let arguments = json!({"src": name, "dest": host.path("out"), "list_files": true});
                let result = host.changes_once("unarchive", arguments.clone());
                assert_eq!(result["files"].as_array().unwrap().len(), 6);
                assert_eq!(host.read("out/d/deep er/it's"), b"22");
                host.write("out/d/one", "changed");
                host.changes_once("unarchive", arguments);
                assert_eq!((host.read("out/d/one"), host.names("out")), (b"1".to_vec(), vec!["d".to_owned()]));
                std::fs::remove_dir_all(host.path("out/d")).unwrap();
            }
            let strip = json!({"src": "a.tgz", "dest": host.path("flat"), "extra_opts": ["--strip-components=1"],
                               "exclude": ["deep er"], "owner": "daemon", "mode": "u=rwX,go="});
            host.changes_once("unarchive", strip);
            assert_eq!(host.names("flat").len(), 3);
            assert_eq!(host.mode("flat/one"), 0o600);
            let created = json!({"src": "a.tgz", "dest": host.path("out"), "creates": host.path("fl*")});
            assert_eq!(host.task("unarchive", created).unwrap()["changed"], false);
            assert!(
                host.fails("unarchive", json!({"src": "a.tgz", "dest": host.path("none")})).contains("existing dir")
            );
        }
    }

    #[test]
    fn archives_that_would_leave_the_directory_are_refused() {
        let member = |name: &str, kind| Member { name: name.to_owned(), kind, size: 0, mtime: 0 };
        assert!(refuse_escapes(&[member("../x", Kind::File)]).is_err());
        assert!(refuse_escapes(&[member("/etc/x", Kind::File)]).is_err());
        assert!(refuse_escapes(&[member("a", Kind::Hard("../../etc/shadow".to_owned()))]).is_err());
        let link = member("a", Kind::Link("/etc".to_owned()));
        assert!(refuse_escapes(&[link.clone(), member("a/passwd", Kind::File)]).is_err());
        assert!(refuse_escapes(&[link, member("ab", Kind::File)]).is_ok());
        assert!(tar_list::list(&mut &b"not a tar archive"[..]).is_err());
    }
}
