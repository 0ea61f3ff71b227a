//! `copy` with `remote_src` of a directory: every file below it, in one look and one change.
//!
//! What is new gets the mode of what it is a copy of; what is replaced keeps its own. Links in the source are followed, as
//! they are in a directory from here.

use super::copy_remote::{Remote, sides};
use super::host_file::{
    Feed, Kind, LOOK, MAKE, Seen, Settled, Wanted, Write, describe, diff, file_subject, set_for_new, write_summary,
};
use super::{Change, Diff, Failure, Step};
use crate::base::{Map, Output, Script};

/// What the look prints when the source is a directory; it ends there.
pub(super) const ASK: &str = r#"if [ -d "$from" ]; then
expand "$dest"; root=$path
case $source in */) ;; *) root=${root%/}/${from##*/};; esac
say tree "$root"
cd "$from" || exit 1
[ -z "$(find -L . -name "*$nl*" | head -n 1)" ] || { echo newline; echo end; exit 0; }
look "d " "$root" -L || :
say source "$(stat -L -c '%a %s' .)"
find -L . -mindepth 1 | sort | while IFS= read -r name; do
name=${name#./}; path=${root%/}/$name
if [ -d "$name" ]; then look "d $name" "$path" -L || :
elif [ -f "$name" ]; then
[ -z "$follow" ] || resolve
look "f $name" "$path" || :
say path "$path"
if [ -f "$path" ]; then cmp -s "$name" "$path" && echo same; fi
else printf 'at x\n'; say special "$name"; continue
fi
say source "$(stat -L -c '%a %s' -- "$name")"
if [ -n "$diff" ] && [ -f "$name" ] && [ -f "$path" ]; then
for side in "$name" "$path"; do
size=$(wc -c <"$side")
[ $((size)) -gt 104448 ] || printf 'side %s\n' "$(base64 <"$side" | tr -d '\n')"
done
fi
done
echo end; exit 0
fi"#;

/// Wanted × seen.
///
/// # Errors
/// What is there is in the way.
pub(super) fn steps(remote: &Remote, seen: &Seen, from: &str, root: &str) -> Result<Change, Failure> {
    if seen.get("newline").is_some() {
        return Err(Failure::new(format!("a name below {from} has a newline in it: it can't be copied")));
    }
    if let Some(name) = seen.get("special") {
        return Err(Failure::new(format!("{from}/{name} is neither file nor directory: it can't be copied")));
    }
    if root == from || root.starts_with(&format!("{}/", from.trim_end_matches('/'))) {
        return Err(Failure::new(format!("{root} is in {from}: a directory can't be copied into itself")));
    }
    if remote.checksum.is_some() {
        return Err(Failure::new(format!("`checksum` is of a file, and {from} is a directory")));
    }
    let at = |name: &str| {
        if name.is_empty() { root.to_owned() } else { format!("{}/{name}", root.trim_end_matches('/')) }
    };
    // The first step does what all lines but those of attributes say, so that it is one round trip.
    let mut lines: Vec<(String, Option<Diff>)> = Vec::new();
    let mut attributes = Vec::new();
    let mut script = Script::new().line(LOOK).line(MAKE);
    for (section, answer) in seen.sections() {
        let Some((what, name)) = section.split_once(' ') else { continue };
        let look = answer.look()?;
        let incomplete = || Failure::new(format!("the host's answer about `{section}` is not whole"));
        let (mode, size) = answer.get("source").and_then(|told| told.split_once(' ')).ok_or_else(incomplete)?;
        let size: u64 = size.parse().map_err(|_| incomplete())?;
        if what == "d" {
            if look.entry().is_none() {
                let mode = remote.directory_mode.clone().unwrap_or_else(|| mode.to_owned());
                let wanted = Wanted { mode: Some(mode), ..remote.wanted.clone() };
                let path = at(name);
                script = set_for_new(script, &wanted.settle(seen, None, true, 0o777)?).command(["make", &path]);
                lines.push((format!("create the directory {path}"), None));
            } else if !look.is(Kind::Directory) {
                return Err(Failure::new(format!("{} is in the way: it is no directory", at(name))));
            }
            continue;
        }
        let fallback = at(name);
        let path = answer.get("path").unwrap_or(&fallback);
        let entry = look.entry();
        if look.is(Kind::Directory) {
            return Err(Failure::new(format!("{path} is a directory: a file can't take its place")));
        }
        if !remote.force && entry.is_some() {
            continue;
        }
        let settled = settle(remote, seen, entry.filter(|entry| entry.kind == Kind::File), mode)?;
        if look.is(Kind::File) && answer.get("same").is_some() {
            attributes.extend(settled.step(path, remote.diff));
            continue;
        }
        let write = Write {
            path,
            feed: Feed::Host(format!("{}/{name}", from.trim_end_matches('/'))),
            digest: None,
            old: entry,
            settled: &settled,
            backup: remote.backup,
            validate: remote.validate.as_deref(),
            was: None,
        };
        script = script.line("(").then(&write.script()?).line(") || exit 1");
        let shown = remote.diff.then(|| match sides(answer).as_slice() {
            [after, before] => diff((path, before), (path, after)),
            _ => {
                let line = |size: u64| describe(format!("({size} bytes)\n").as_bytes());
                let before = entry.map(|entry| line(entry.size)).unwrap_or_default();
                diff((path, before.as_bytes()), (path, line(size).as_bytes()))
            }
        });
        lines.push((write_summary(path, entry, size, &settled.line()), shown));
    }
    let script = script.line("echo end");
    let mut steps = Vec::new();
    for (place, (summary, shown)) in lines.into_iter().enumerate() {
        let step = Step::script(summary, if place == 0 { script.clone() } else { Script::new() });
        steps.push(match shown {
            Some(shown) => step.diff(shown),
            None => step,
        });
    }
    steps.extend(attributes);
    let mut result = Map::new();
    result.insert("dest".to_owned(), root.into());
    result.insert("src".to_owned(), from.into());
    Ok(Change { steps, result })
}

/// What a preview can't say of later tasks with these files.
pub(super) fn leaves(seen: &Seen, root: &str) -> Vec<(String, Option<Output>)> {
    let path = |name: &str| file_subject(&format!("{}/{name}", root.trim_end_matches('/')));
    seen.sections().filter_map(|(section, _)| section.strip_prefix("f ")).map(|name| (path(name), None)).collect()
}

fn settle(
    remote: &Remote,
    seen: &Seen,
    entry: Option<&super::host_file::Entry>,
    mode: &str,
) -> Result<Settled, Failure> {
    let mut wanted = remote.wanted.clone();
    let preserve = wanted.mode.as_deref() == Some("preserve");
    if preserve || (wanted.mode.is_none() && entry.is_none()) {
        wanted.mode = Some(format!("0{mode}"));
    }
    wanted.settle(seen, entry, false, 0o666)
}

#[cfg(test)]
mod tests {
    use crate::modules::local_host::{Host, KINDS};
    use serde_json::json;

    #[test]
    fn a_directory_of_the_host_is_copied_once_and_mended() {
        for kind in KINDS {
            let host = Host::new(kind);
            std::fs::create_dir_all(host.path("from/deep er/empty")).unwrap();
            std::fs::create_dir(host.path("there")).unwrap();
            host.write("from/run", "#!/bin/sh\n");
            host.write("from/deep er/it's", "1");
            std::fs::set_permissions(host.path("from/run"), std::os::unix::fs::PermissionsExt::from_mode(0o751))
                .unwrap();
            std::os::unix::fs::symlink("run", host.path("from/link")).unwrap();
            let copy = |source: &str, dest: &str| json!({"src": host.path(source), "dest": host.path(dest), "remote_src": true});
            host.changes_once("copy", copy("from", "there"));
            assert_eq!(
                (host.names("there"), host.names("there/from")),
                (vec!["from".to_owned()], vec!["deep er".to_owned(), "link".to_owned(), "run".to_owned()],)
            );
            assert_eq!((host.mode("there/from/run"), host.read("there/from/link")), (0o751, b"#!/bin/sh\n".to_vec()));
            assert!(host.names("there/from/deep er/empty").is_empty());
            // With `/` at its end, what is in it; what is there keeps its mode.
            host.changes_once("copy", copy("from/", "new"));
            assert_eq!(host.read("new/deep er/it's"), b"1");
            host.write("new/deep er/it's", "other");
            host.write("new/more", "stays");
            let mended = host.plan(host.bind("copy", copy("from/", "new")).unwrap().as_ref()).unwrap();
            let summaries: Vec<&str> = mended.steps.iter().map(|step| step.summary.as_str()).collect();
            assert_eq!(summaries, [format!("replace {}/new/deep er/it's (5 → 1 bytes)", host.folder().display())]);
            let shown = mended.steps[0].diff.as_ref().unwrap();
            assert_eq!((shown.before.as_str(), shown.after.as_str()), ("other", "1"));
            let result = host.changes_once("copy", copy("from/", "new"));
            assert_eq!(result.keys().collect::<Vec<_>>(), ["dest", "src", "changed"]);
            assert_eq!((host.read("new/more"), host.read("new/deep er/it's")), (b"stays".to_vec(), b"1".to_vec()));
            host.changes_once(
                "copy",
                json!({"src": host.path("from"), "dest": host.path("strict"), "remote_src": true,
                                             "mode": "0600", "directory_mode": "0700", "owner": "daemon"}),
            );
            assert_eq!((host.mode("strict/from/run"), host.mode("strict/from")), (0o600, 0o700));
        }
    }

    #[test]
    fn what_can_not_be_copied_is_refused_before_anything_is() {
        for kind in KINDS {
            let host = Host::new(kind);
            std::fs::create_dir_all(host.path("from/below")).unwrap();
            std::fs::create_dir_all(host.path("odd")).unwrap();
            let copy = |source: &str, dest: &str| json!({"src": host.path(source), "dest": host.path(dest), "remote_src": true});
            assert!(host.fails("copy", copy("from", "from/below")).contains("into itself"));
            host.write("to", "a file");
            assert!(host.fails("copy", copy("from/", "to")).contains("no directory"));
            host.write("odd/two\nlines", "x");
            assert!(host.fails("copy", copy("odd", "new")).contains("newline"));
            std::fs::remove_file(host.path("odd/two\nlines")).unwrap();
            assert!(std::process::Command::new("mkfifo").arg(host.path("odd/pipe")).status().unwrap().success());
            assert!(host.fails("copy", copy("odd", "new")).contains("neither file nor directory"));
        }
    }
}
