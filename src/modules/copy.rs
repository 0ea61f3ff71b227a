//! `copy`: a file, a directory or a text of this machine (or a file of the host itself) put on the host.

use serde_json::ser::Formatter;

use super::copy_remote::Remote;
use super::copy_tree::Tree;
use super::host_file::{Fresh, Place, Seen, Wanted, file_options, finish_with_look};
use super::{Applied, Arguments, Bound, Change, Controller, Failure, Folder, ModuleSpec, Opt, OptKind, Rule, State};
use crate::base::{Map, Output, Script, Value, to_text};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "copy",
    aliases: &[],
    summary: "puts a file, a directory or a text on the host",
    options: file_options![
        Opt::new(
            "src",
            OptKind::LocalPath,
            "a file or directory here; a directory with `/` at its end means its contents"
        ),
        Opt::new("content", OptKind::Any, "a text, or data that is written as JSON"),
        Opt::new("dest", OptKind::Path, "the file, or a directory for it").required(),
        Opt::new("remote_src", OptKind::Bool, "`src` is a path on the host").default("false"),
        Opt::new("force", OptKind::Bool, "replaces a file that differs").default("true"),
        Opt::new("backup", OptKind::Bool, "keeps the old file beside the new one").default("false"),
        Opt::new("directory_mode", OptKind::Mode, "the mode of directories that are made"),
        Opt::new("follow", OptKind::Bool, "writes to what a link points at, in place of the link").default("false"),
        Opt::new("checksum", OptKind::Text, "the SHA-1 that the source must have"),
        Opt::new("validate", OptKind::Text, "a command that must accept the new file; `%s` is its path"),
        Opt::new("decrypt", OptKind::Bool, "vaulted files are decrypted").default("true"),
        Opt::new("local_follow", OptKind::Choice(&["true", "yes", "True"]), "links in a local directory are followed")
            .default("true"),
    ],
    free_form: None,
    open: false,
    rules: &[Rule::OneOf(&["src", "content"]), Rule::AtMostOne(&["src", "content"])],
    check: None,
    build,
};

#[derive(Debug)]
struct Copy {
    place: Place,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let wanted = Wanted::of(arguments);
    if arguments.flag("remote_src") {
        let Some(source) = arguments.text("src") else {
            return Err(Failure::new("`remote_src` needs `src`"));
        };
        return Ok(Bound::State(Box::new(Remote {
            source,
            dest: arguments.required("dest"),
            wanted,
            backup: arguments.flag("backup"),
            force: arguments.flag("force"),
            follow: arguments.flag("follow"),
            validate: arguments.text("validate"),
            directory_mode: arguments.text("directory_mode"),
            checksum: arguments.text("checksum"),
            diff: here.wants_diff(),
        })));
    }
    let (fresh, name, mode) = match arguments.text("src") {
        None => {
            let content = content_text(arguments.value("content").unwrap_or(&Value::Null));
            (Fresh::of(content.as_bytes(), here.wants_diff()), None, None)
        }
        Some(written) => {
            let path = here.find(Folder::Files, &written)?;
            if let Ok(entries) = here.list(&path) {
                let contents_only = written.ends_with('/');
                return Ok(Bound::State(Box::new(Tree::bind(arguments, here, path, contents_only, entries)?)));
            }
            let fresh = Fresh::file(&path, arguments.flag("decrypt"), here)?;
            let mode = here.digest(&path)?.mode;
            (fresh, path.file_name().map(|name| name.to_string_lossy().into_owned()), Some(mode))
        }
    };
    if let Some(expected) = arguments.text("checksum")
        && !expected.eq_ignore_ascii_case(&fresh.sha1)
    {
        return Err(Failure::new(format!(
            "the source has the checksum {}, not the expected {expected}: nothing was copied",
            fresh.sha1
        ))
        .with("expected_checksum", expected)
        .with("checksum", fresh.sha1));
    }
    let wanted = preserved(wanted, mode)?;
    let place = Place {
        dest: arguments.required("dest"),
        name,
        fresh,
        wanted,
        directory_mode: arguments.text("directory_mode"),
        backup: arguments.flag("backup"),
        force: arguments.flag("force"),
        follow: arguments.flag("follow"),
        validate: arguments.text("validate"),
    };
    Ok(Bound::State(Box::new(Copy { place })))
}

/// `mode: preserve` as the mode of the source.
fn preserved(mut wanted: Wanted, mode: Option<u32>) -> Result<Wanted, Failure> {
    if wanted.mode.as_deref() == Some("preserve") {
        let mode = mode.ok_or_else(|| Failure::new("`mode: preserve` needs a file to take the mode from"))?;
        wanted.mode = Some(format!("{mode:04o}"));
    }
    Ok(wanted)
}

/// `content:` as the text that Ansible writes: data as JSON in Python's spacing, everything else as text.
fn content_text(content: &Value) -> String {
    if !content.is_array() && !content.is_object() {
        return if content.is_null() { String::new() } else { to_text(content) };
    }
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, PythonSpacing);
    match serde::Serialize::serialize(content, &mut serializer) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(_) => content.to_string(),
    }
}

struct PythonSpacing;

impl Formatter for PythonSpacing {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }
    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }
    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
    /// Python's `json.dumps` writes ASCII only.
    fn write_string_fragment<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, part: &str) -> std::io::Result<()> {
        for c in part.chars() {
            if c.is_ascii() && c != '\x7f' {
                writer.write_all(&[c as u8])?;
            } else if c == '\x7f' {
                writer.write_all(b"\x7f")?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

impl State for Copy {
    fn probe(&self) -> Script {
        self.place.probe()
    }

    fn subjects(&self) -> Vec<String> {
        self.place.subjects()
    }

    fn leaves(&self, seen: &Output, _change: &Change) -> Vec<(String, Option<Output>)> {
        self.place.leaves(seen)
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        self.place.steps(&Seen::parse(seen)?)
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        finish_with_look(change, outputs)
    }
}
