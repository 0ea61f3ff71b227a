//! `slurp`: a file of the host in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::host_file::{Kind, LOOK, Look, Seen};
use super::{Arguments, Bound, Change, Controller, Failure, ModuleSpec, Opt, OptKind, State};
use crate::base::{Map, Output, Script};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "slurp",
    aliases: &[],
    summary: "reads a file of the host",
    options: &[Opt::new("src", OptKind::Path, "the file").required().aliases(&["path"])],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

/// How much of a file is read at most (bytes on the wire).
const KEEP: usize = 16 << 20;

#[derive(Debug)]
struct Slurp {
    source: String,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    Ok(Bound::State(Box::new(Slurp { source: arguments.required("src") })))
}

impl State for Slurp {
    fn probe(&self) -> Script {
        Script::new().line(LOOK).set("source", &self.source).line(
            "expand \"$source\"; say path \"$path\"\nlook file \"$path\" -L && [ -f \"$path\" ] || { echo end; exit 0; }\ncontent \"$path\"",
        )
    }

    fn keep(&self) -> usize {
        KEEP
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        if seen.stdout_cut > 0 {
            return Err(Failure::new(format!("{} is too big to read: use `fetch`", self.source)));
        }
        let seen = Seen::parse(seen)?;
        let path = seen.get("path").unwrap_or(&self.source);
        let content = match seen.look("file")? {
            Look::Absent => return Err(Failure::new(format!("file not found: {path}"))),
            Look::There(entry) if entry.kind == Kind::Directory => {
                return Err(Failure::new(format!("source is a directory and must be a file: {path}")));
            }
            Look::There(_) => {
                seen.content().ok_or_else(|| Failure::new(format!("file is not a regular file: {path}")))?
            }
        };
        let mut result = Map::new();
        result.insert("content".to_owned(), STANDARD.encode(content).into());
        result.insert("source".to_owned(), path.into());
        result.insert("encoding".to_owned(), "base64".into());
        Ok(Change::none(result))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::local_host::{Host, KINDS};
    use serde_json::json;

    #[test]
    fn any_content_is_read() {
        for kind in KINDS {
            let host = Host::new(kind);
            let long: Vec<u8> = (0..900_000_u32).map(|n| (n / 7 % 256) as u8).collect();
            for content in [b"".to_vec(), b"no end\xff\0".to_vec(), b"raw 3\nend\n".to_vec(), long] {
                host.write("f", &content);
                let result = host.task("slurp", json!({"src": host.path("f")})).unwrap();
                assert_eq!(STANDARD.decode(result["content"].as_str().unwrap()).unwrap(), content);
            }
            assert!(host.fails("slurp", json!({"src": host.path("none")})).contains("file not found"));
            assert!(host.fails("slurp", json!({"src": host.path("")})).contains("directory"));
        }
    }
}
