//! `stat`: what is at a path of the host. Changes nothing.

use super::host_file::{Entry, Kind, LOOK, Look, Seen, octal};
use super::{Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, State};
use crate::base::{Map, Output, Script, Value};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "stat",
    aliases: &[],
    summary: "looks at a path of the host",
    options: &[
        Opt::new("path", OptKind::Path, "the path").required().aliases(&["dest", "name"]),
        Opt::new("follow", OptKind::Bool, "looks at what a link points at").default("false"),
        Opt::new("get_checksum", OptKind::Bool, "also digests a file").default("true"),
        Opt::new(
            "checksum_algorithm",
            OptKind::Choice(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]),
            "how it is digested",
        )
        .default("sha1")
        .aliases(&["checksum", "checksum_algo"]),
        Opt::new("get_mime", OptKind::Bool, "also asks `file` for the kind of content").default("true").aliases(&[
            "mime",
            "mime_type",
            "mime-type",
        ]),
        Opt::new("get_attributes", OptKind::Bool, "also asks `lsattr`")
            .default("true")
            .aliases(&["attr", "attributes"]),
        Opt::refused("get_selinux_context", "SELinux contexts are left to the host's policy"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct Stat {
    path: String,
    follow: bool,
    digest: Option<&'static str>,
    mime: bool,
    attributes: bool,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    let program = match arguments.required("checksum_algorithm").as_str() {
        "md5" => "md5sum",
        "sha224" => "sha224sum",
        "sha256" => "sha256sum",
        "sha384" => "sha384sum",
        "sha512" => "sha512sum",
        _ => "sha1sum",
    };
    Ok(Bound::State(Box::new(Stat {
        path: arguments.required("path"),
        follow: arguments.flag("follow"),
        digest: arguments.flag("get_checksum").then_some(program),
        mime: arguments.flag("get_mime"),
        attributes: arguments.flag("get_attributes"),
    })))
}

const ASK: &str = r#"expand "$wanted"
say path "$path"
if look dest "$path" $follow; then
if [ -L "$path" ] && [ -z "$follow" ]; then say source "$(readlink -f -- "$path")"; fi
for may in r w x; do [ "-$may" "$path" ] && echo "may $may"; done
if [ -f "$path" ] && { [ -n "$follow" ] || [ ! -L "$path" ]; }; then
if [ -n "$digest" ] && [ -r "$path" ]; then
if command -v "$digest" >/dev/null; then sum=$("$digest" <"$path"); say sum "${sum%% *}"; else say no_digest "$digest"; fi
fi
fi
if [ -n "$mime" ] && command -v file >/dev/null; then say mime "$(file -b -i -- "$path" 2>/dev/null)"; fi
if [ -n "$attributes" ] && command -v lsattr >/dev/null; then say attributes "$(lsattr -vd -- "$path" 2>/dev/null)"; fi
fi
echo end"#;

impl State for Stat {
    fn probe(&self) -> Script {
        let flag = |on: bool| if on { "1" } else { "" };
        Script::new()
            .line(LOOK)
            .set("wanted", &self.path)
            .set("follow", if self.follow { "-L" } else { "" })
            .set("digest", self.digest.unwrap_or(""))
            .set("mime", flag(self.mime))
            .set("attributes", flag(self.attributes))
            .line(ASK)
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        let seen = Seen::parse(seen)?;
        let mut stat = Map::new();
        match seen.look("dest")? {
            Look::Absent => {
                stat.insert("exists".to_owned(), false.into());
            }
            Look::There(entry) => self.describe(&seen, &entry, &mut stat)?,
        }
        let mut result = Map::new();
        result.insert("stat".to_owned(), Value::Object(stat));
        Ok(Change::none(result))
    }
}

impl Stat {
    fn describe(&self, seen: &Seen, entry: &Entry, stat: &mut Map) -> Result<(), Failure> {
        let section = seen.section("dest").cloned().unwrap_or_default();
        if let Some(program) = section.get("no_digest") {
            return Err(Failure::new(format!(
                "the host has no `{program}`: choose another `checksum_algorithm`, or `get_checksum: false`"
            )));
        }
        let mut put = |key: &str, value: Value| stat.insert(key.to_owned(), value);
        put("exists", true.into());
        put("path", seen.get("path").unwrap_or(&self.path).into());
        put("mode", octal(entry.mode).into());
        let kinds = [
            ("isdir", Kind::Directory),
            ("ischr", Kind::Character),
            ("isblk", Kind::Block),
            ("isreg", Kind::File),
            ("isfifo", Kind::Pipe),
            ("islnk", Kind::Link),
            ("issock", Kind::Socket),
        ];
        for (key, kind) in kinds {
            put(key, (entry.kind == kind).into());
        }
        put("uid", entry.uid.into());
        put("gid", entry.gid.into());
        put("size", entry.size.into());
        put("inode", entry.inode.into());
        put("dev", entry.device.into());
        put("nlink", entry.links.into());
        put("atime", entry.atime.into());
        put("mtime", entry.mtime.into());
        put("ctime", entry.ctime.into());
        let bits = [
            ("wusr", 0o200),
            ("rusr", 0o400),
            ("xusr", 0o100),
            ("wgrp", 0o020),
            ("rgrp", 0o040),
            ("xgrp", 0o010),
            ("woth", 0o002),
            ("roth", 0o004),
            ("xoth", 0o001),
            ("isuid", 0o4000),
            ("isgid", 0o2000),
        ];
        for (key, bit) in bits {
            put(key, (entry.mode & bit != 0).into());
        }
        put("blocks", entry.blocks.into());
        put("block_size", entry.block_size.into());
        put("device_type", device_number(entry.rdev).into());
        let may = section.all("may");
        put("readable", may.contains(&"r").into());
        put("writeable", may.contains(&"w").into());
        put("executable", may.contains(&"x").into());
        // `stat` prints UNKNOWN for a number without a name; Ansible leaves the key out.
        if entry.owner != "UNKNOWN" {
            put("pw_name", entry.owner.clone().into());
        }
        if entry.group != "UNKNOWN" {
            put("gr_name", entry.group.clone().into());
        }
        if let Some(target) = &entry.target {
            put("lnk_target", target.clone().into());
            put("lnk_source", section.get("source").unwrap_or_default().into());
        }
        if let Some(sum) = section.get("sum") {
            put("checksum", sum.into());
        }
        if self.mime {
            let (kind, charset) = mime(section.get("mime").unwrap_or_default());
            put("mimetype", kind.into());
            put("charset", charset.into());
        }
        if self.attributes {
            let (version, flags) = attributes(section.get("attributes").unwrap_or_default());
            put("version", version.map_or(Value::Null, Value::from));
            put("attributes", flags.chars().filter_map(attribute_name).map(Value::from).collect());
            put("attr_flags", flags.into());
        }
        Ok(())
    }
}

/// `st_rdev` as Linux puts it together.
fn device_number((major, minor): (u64, u64)) -> u64 {
    ((major & 0xffff_f000) << 32) | ((major & 0xfff) << 8) | ((minor & 0xffff_ff00) << 12) | (minor & 0xff)
}

/// `text/plain; charset=us-ascii`
fn mime(said: &str) -> (&str, &str) {
    match said.split_once("; charset=") {
        Some((kind, charset)) => (kind, charset),
        None => ("unknown", "unknown"),
    }
}

/// `2462857125 --------------e------- /path`
fn attributes(said: &str) -> (Option<&str>, String) {
    let mut words = said.split_whitespace();
    let (version, flags) = (words.next(), words.next());
    (version, flags.unwrap_or_default().replace('-', ""))
}

fn attribute_name(flag: char) -> Option<&'static str> {
    Some(match flag {
        'A' => "noatime",
        'a' => "append",
        'c' => "compressed",
        'C' => "nocow",
        'd' => "nodump",
        'D' => "dirsync",
        'e' => "extents",
        'E' => "encrypted",
        'h' => "blocksize",
        'i' => "immutable",
        'I' => "indexed",
        'j' => "journalled",
        'N' => "inline",
        's' => "zero",
        'S' => "synchronous",
        't' => "notail",
        'T' => "blockroot",
        'u' => "undelete",
        'X' => "compressedraw",
        'Z' => "compresseddirty",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {

    use crate::modules::local_host::{Host, KINDS};
    use serde_json::json;

    #[test]
    fn stat_says_what_ansible_says() {
        for kind in KINDS {
            let host = Host::new(kind);
            host.write("f x", "ho\n");
            std::os::unix::fs::symlink("f x", host.path("l")).unwrap();
            let stat = host.task("stat", json!({"path": host.path("f x")})).unwrap()["stat"].clone();
            assert_eq!(stat["checksum"], "b52791126f96a21a8ba4d511c6f25a1c1eb6dc9e");
            assert_eq!((&stat["isreg"], &stat["mode"], &stat["size"]), (&json!(true), &json!("0644"), &json!(3)));
            assert_eq!(
                (&stat["pw_name"], &stat["xusr"], &stat["writeable"]),
                (&json!("root"), &json!(false), &json!(true))
            );
            assert!(stat["mtime"].as_f64().unwrap() > 1.0e9);
            let link = host.task("stat", json!({"path": host.path("l")})).unwrap()["stat"].clone();
            assert_eq!((&link["islnk"], &link["lnk_target"]), (&json!(true), &json!("f x")));
            assert_eq!(link["lnk_source"], host.path("f x"));
            let followed = host.task("stat", json!({"path": host.path("l"), "follow": true})).unwrap()["stat"].clone();
            assert_eq!((&followed["islnk"], &followed["isreg"]), (&json!(false), &json!(true)));
            let sum = host.task("stat", json!({"path": host.path("f x"), "checksum_algorithm": "sha256"})).unwrap();
            assert_eq!(sum["stat"]["checksum"].as_str().unwrap().len(), 64);
            assert_eq!(host.task("stat", json!({"path": "/none/x"})).unwrap()["stat"], json!({"exists": false}));
            let null = host.task("stat", json!({"path": "/dev/null"})).unwrap()["stat"].clone();
            assert_eq!((&null["ischr"], &null["device_type"]), (&json!(true), &json!(259)));
        }
    }
}
