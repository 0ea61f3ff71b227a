//! What a preview knows of a path after `file` would have changed it.

use super::State as _;
use super::file::{File, Goal};
use super::host_file::{Foreseen, Kind, Look, Seen, entry_after, file_subject};
use crate::base::Output;

/// The subject of a file's attributes alone, where its content was not asked for.
pub(super) fn attributes_subject(path: &str) -> String {
    format!("attributes of {}", file_subject(path))
}

/// What later tasks of a preview see at the path.
pub(super) fn foresee(file: &File, seen: &Output) -> Vec<(String, Option<Output>)> {
    let subject = file.subject();
    match after(file, seen) {
        None => vec![(subject, None), (file_subject(&file.path), None)],
        // Who edits the file looks at the content that is there; who sets attributes sees these.
        Some((path, Known::Attributes, answer)) => {
            vec![(attributes_subject(&file.path), Some(answer.clone())), (attributes_subject(&path), Some(answer))]
        }
        Some((path, Known::All, answer)) => {
            vec![(file_subject(&file.path), Some(answer.clone())), (file_subject(&path), Some(answer))]
        }
    }
}

/// How much of what will be there is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    All,
    Attributes,
}

fn after(file: &File, seen: &Output) -> Option<(String, Known, Output)> {
    if file.recurse {
        return None;
    }
    let seen = Seen::parse(seen).ok()?;
    let path = seen.get("path")?;
    let look = seen.look("dest").ok()?;
    let entry = look.entry();
    // An answer that a preview made has what editors read as well.
    let foreseen = seen.section("file").is_some();
    let (kind, fresh) = match (file.goal, entry) {
        (Goal::Absent, _) => {
            let answer = Foreseen { seen: &seen, path, look: Look::Absent, content: None, sha256: None }.render();
            return Some((path.to_owned(), Known::All, answer));
        }
        (_, Some(entry)) if matches!(entry.kind, Kind::File | Kind::Directory) => (entry.kind, 0o666),
        (Goal::Directory, None) => (Kind::Directory, 0o777),
        (Goal::Touch, None) => (Kind::File, 0o666),
        _ => return None,
    };
    let settled = file.wanted.settle(&seen, entry, kind == Kind::Directory, fresh).ok()?;
    let look = Look::There(entry_after(entry, &settled, &file.wanted, kind, entry.map_or(0, |entry| entry.size)));
    let content = if entry.is_none() && kind == Kind::File { Some(&b""[..]) } else { seen.content() };
    let known = if entry.is_none() || foreseen || kind == Kind::Directory { Known::All } else { Known::Attributes };
    let sha256 = seen.get("sha256").filter(|_| entry.is_some());
    Some((path.to_owned(), known, Foreseen { seen: &seen, path, look, content, sha256 }.render()))
}
