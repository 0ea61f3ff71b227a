//! What has a library or jar of Mesos in its memory, and which of it is old.

use serde_json::json;

use crate::base::{Script, Value};

/// Defines `tell` in a script: for a library whose file's name begins with `stem`, and a jar's likewise.
pub(super) fn tell(script: Script, stem: &str, jar: Option<&str>) -> Script {
    script.set("stem", stem).set("jar", jar.unwrap_or_default()).line(include_str!("mapped.sh"))
}

/// Who uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A master or slave: its release is put in force with it, not here.
    Daemon,
    /// An executor: it goes on as it is until its tasks end.
    Executor,
    /// Anything else: a scheduler.
    User,
}

/// A process with a library or jar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) kind: Kind,
    pub(super) pid: String,
    pub(super) name: String,
    /// With ` (deleted)` when the file is gone.
    pub(super) path: String,
}

impl User {
    pub(super) fn value(&self) -> Value {
        json!({"pid": self.pid.parse::<u32>().unwrap_or_default(), "name": self.name, "file": self.path})
    }

    /// For a sentence.
    pub(super) fn text(&self) -> String {
        format!("{} {} ({})", self.name, self.pid, self.path)
    }
}

/// Reads the lines of `tell`.
pub(super) fn read(text: &str) -> Vec<User> {
    text.lines()
        .filter_map(|line| {
            let (who, path) = line.strip_prefix("M ")?.split_once('\t')?;
            let mut words = who.splitn(3, ' ');
            let kind = match words.next()? {
                "daemon" => Kind::Daemon,
                "executor" => Kind::Executor,
                _ => Kind::User,
            };
            Some(User {
                kind,
                pid: words.next()?.to_owned(),
                name: words.next().unwrap_or_default().to_owned(),
                path: path.to_owned(),
            })
        })
        .collect()
}
