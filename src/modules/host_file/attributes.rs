//! Owner, group and permission bits: what is wanted, what differs, and the step that mends it.

use super::{Entry, LOOK, Seen, octal, resolve};
use crate::base::{Script, quote};
use crate::modules::{Arguments, Diff, Failure, Step};

/// The options that all file modules share, after a module's own.
macro_rules! file_options {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            $crate::modules::Opt::new("owner", $crate::modules::OptKind::Text, "owner, by name or number"),
            $crate::modules::Opt::new("group", $crate::modules::OptKind::Text, "group, by name or number"),
            $crate::modules::Opt::new("mode", $crate::modules::OptKind::Mode, "permission bits, octal or symbolic"),
            $crate::modules::Opt::refused("seuser", "SELinux contexts are left to the host's policy"),
            $crate::modules::Opt::refused("serole", "SELinux contexts are left to the host's policy"),
            $crate::modules::Opt::refused("setype", "SELinux contexts are left to the host's policy"),
            $crate::modules::Opt::refused("selevel", "SELinux contexts are left to the host's policy"),
            $crate::modules::Opt::refused("attributes", "use `command: chattr …`").aliases(&["attr"]),
            $crate::modules::Opt::refused("unsafe_writes", "files are always replaced as a whole"),
        ]
    };
}
pub(crate) use file_options;

/// What the user wants of a file's attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Owner by name or number.
    pub(crate) owner: Option<String>,
    /// Group by name or number.
    pub(crate) group: Option<String>,
    /// Permission bits, octal or symbolic.
    pub(crate) mode: Option<String>,
}

/// One attribute that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// `owner`, `group` or `mode`.
    pub(crate) what: &'static str,
    /// As it is.
    pub(crate) before: String,
    /// As it is wanted.
    pub(crate) after: String,
}

/// Attributes as they are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The owner as a word for `chown`; `None` leaves it.
    pub(crate) owner: Option<String>,
    /// The group as a word for `chgrp`; `None` leaves it.
    pub(crate) group: Option<String>,
    /// The final permission bits.
    pub(crate) mode: u32,
    /// Whether the user said what the bits are to be.
    pub(crate) mode_told: bool,
    /// What differs from what is there; empty for what is not there yet.
    pub(crate) differences: Vec<Difference>,
}

impl Wanted {
    /// What the arguments say.
    pub(crate) fn of(arguments: &Arguments) -> Self {
        let text = |name| arguments.text(name).filter(|text| !text.is_empty());
        Self { owner: text("owner"), group: text("group"), mode: text("mode") }
    }

    /// Whether nothing is wanted.
    pub(crate) fn is_empty(&self) -> bool {
        self.owner.is_none() && self.group.is_none() && self.mode.is_none()
    }

    /// Sets the variables that `tell_ids` of [`LOOK`] reads.
    pub(crate) fn ask(&self, script: Script) -> Script {
        script.set("owner", self.owner.as_deref().unwrap_or("")).set("group", self.group.as_deref().unwrap_or(""))
    }

    /// Wanted × seen. `entry` is what is there, `fresh` the bits before the umask of a new thing (0666 or 0777).
    ///
    /// A name that the host does not know yet differs from everything: an earlier task of a preview may have been
    /// about to create it. The change itself then says that it is unknown.
    ///
    /// # Errors
    /// The mode can't be read.
    pub(crate) fn settle(
        &self,
        seen: &Seen,
        entry: Option<&Entry>,
        directory: bool,
        fresh: u32,
    ) -> Result<Settled, Failure> {
        let umask = seen.get("umask").and_then(|text| u32::from_str_radix(text, 8).ok()).unwrap_or(0o022);
        let current = entry.map_or(fresh & !umask, |entry| entry.mode);
        let mode = match &self.mode {
            Some(text) => resolve(text, current, directory, umask).map_err(Failure::new)?,
            None => current,
        };
        let mut differences = Vec::new();
        let mut word = |what: &'static str, wanted: &Option<String>, key: &str, now: Option<(u32, &str)>| {
            let wanted = wanted.as_ref()?;
            let number = match seen.get(key) {
                Some(id) => id.trim().parse::<u32>().ok(),
                // It was not asked for: what was seen is what an earlier task of a preview leaves.
                None => wanted.parse().ok().or(now.filter(|(_, name)| name == wanted).map(|(id, _)| id)),
            };
            if let Some((have, name)) = now
                && number != Some(have)
            {
                differences.push(Difference { what, before: name.to_owned(), after: wanted.clone() });
            }
            Some(number.map_or_else(|| wanted.clone(), |number| number.to_string()))
        };
        let owner = word("owner", &self.owner, "owner_id", entry.map(|e| (e.uid, e.owner.as_str())));
        let group = word("group", &self.group, "group_id", entry.map(|e| (e.gid, e.group.as_str())));
        if let Some(entry) = entry
            && mode != entry.mode
        {
            differences.push(Difference { what: "mode", before: octal(entry.mode), after: octal(mode) });
        }
        Ok(Settled { owner, group, mode, mode_told: self.mode.is_some(), differences })
    }
}

/// Changes attributes of `$path` to `$owner`, `$group` and `$bits` where they are set. `chown` takes set-id bits away,
/// so bits come last.
pub(crate) const CHANGE: &str = r#"[ -z "$owner" ] || chown -h "$owner" "$path" || exit 1
[ -z "$group" ] || chgrp -h "$group" "$path" || exit 1
[ -z "$bits" ] || chmod "$bits" "$path" || exit 1"#;

impl Settled {
    /// The differences in one line: `mode 0644 → 0600, owner root → zk`.
    pub(crate) fn line(&self) -> String {
        let parts: Vec<String> =
            self.differences.iter().map(|d| format!("{} {} → {}", d.what, d.before, d.after)).collect();
        parts.join(", ")
    }

    fn differs(&self, what: &str) -> bool {
        self.differences.iter().any(|difference| difference.what == what)
    }

    /// The differences as a diff of attributes.
    pub(crate) fn diff(&self, path: &str) -> Diff {
        let side = |pick: fn(&Difference) -> &str| {
            self.differences.iter().map(|d| format!("{}: {}\n", d.what, pick(d))).collect::<String>()
        };
        Diff {
            before_header: path.to_owned(),
            after_header: path.to_owned(),
            before: side(|d| &d.before),
            after: side(|d| &d.after),
        }
    }

    /// Sets the variables of [`CHANGE`] to what differs. A link has no bits of its own.
    pub(crate) fn set(&self, script: Script, link: bool) -> Script {
        let owner = if self.differs("owner") { self.owner.as_deref().unwrap_or("") } else { "" };
        let group = if self.differs("group") { self.group.as_deref().unwrap_or("") } else { "" };
        let chown_clears = self.mode & 0o6000 != 0 && (!owner.is_empty() || !group.is_empty());
        let bits = if !link && (self.differs("mode") || chown_clears) { octal(self.mode) } else { String::new() };
        script.set("owner", owner).set("group", group).set("bits", &bits)
    }

    /// What a person would type to change what differs.
    fn by_hand(&self, path: &str) -> String {
        let mut lines = Vec::new();
        for (what, program, value) in [("owner", "chown", &self.owner), ("group", "chgrp", &self.group)] {
            if let Some(value) = value.as_deref().filter(|_| self.differs(what)) {
                lines.push(format!("{program} {} {}", quote(value), quote(path)));
            }
        }
        if self.differs("mode") {
            lines.push(format!("chmod {} {}", octal(self.mode), quote(path)));
        }
        lines.join(" && ")
    }

    /// The step that changes what differs at `path`; `None` when nothing does.
    pub(crate) fn step(&self, path: &str, wants_diff: bool) -> Option<Step> {
        if self.differences.is_empty() {
            return None;
        }
        let script = self
            .set(Script::new().line(LOOK).set("path", path), false)
            .line(CHANGE)
            .line("look result \"$path\"")
            .line("echo end");
        let step = Step::script(format!("change {path}: {}", self.line()), script).by_hand(self.by_hand(path));
        Some(if wants_diff { step.diff(self.diff(path)) } else { step })
    }
}
