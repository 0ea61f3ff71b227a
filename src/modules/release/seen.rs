//! What is known of a release on the host: read from the probe's lines, and written again for previews.

use std::fmt::Write as _;

/// What the probe found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    /// Free bytes where releases are kept.
    pub(super) free: Option<u64>,
    /// Versions with a record.
    pub(super) have: Vec<Have>,
    /// Uploads of files that were cut: the mark of the content, and how many bytes are there.
    pub(super) partial: Vec<(String, u64)>,
    /// Uploads of folders that were cut: mark, bytes, path.
    pub(super) parts: Vec<(String, u64, String)>,
    /// Links that were asked for, or the one that was found.
    pub(super) links: Vec<Link>,
    /// The path where the program was found when no link was asked for.
    pub(super) found: Option<String>,
    /// Links that were put in force before.
    pub(super) before: Vec<Before>,
}

/// A staged version.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Have {
    pub(super) version: String,
    /// When it was staged, in seconds since 1970.
    pub(super) staged: u64,
    pub(super) sha256: String,
    /// Bytes of what was sent.
    pub(super) size: u64,
    /// `file` or `tree`.
    pub(super) kind: String,
    /// Whether what is there has the right size or number of files, and the right content when that was asked for.
    pub(super) whole: bool,
    /// Whether a process executes, maps or has open something in it.
    pub(super) used: bool,
    /// Octal mode, user, group, and their numbers; empty when not known.
    pub(super) attributes: [String; 5],
}

/// What is at a link's path.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Link {
    pub(super) path: String,
    pub(super) there: There,
}

/// See [`Link`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum There {
    /// A link, with its text.
    Link(String),
    /// A plain file, with its SHA-256.
    File(String),
    /// A folder or something else.
    Folder,
    /// Nothing.
    Nothing,
}

/// A link that was put in force before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Before {
    pub(super) path: String,
    /// Where it points now.
    pub(super) now: String,
    /// Where it pointed before; empty when there was nothing.
    pub(super) before: String,
    /// The version that was put in force then; `-` when it was a way back.
    pub(super) version: String,
}

impl Seen {
    /// Reads the probe's output; lines of no meaning are left out.
    pub(super) fn parse(text: &str) -> Self {
        let mut seen = Self::default();
        for line in text.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            seen.take(&fields);
        }
        seen
    }

    fn take(&mut self, fields: &[&str]) {
        let owned = |text: &str| text.to_owned();
        match fields {
            ["free", bytes] => self.free = bytes.parse().ok(),
            ["have", version, staged, sha256, size, kind, whole, used, attributes @ ..] => self.have.push(Have {
                version: owned(version),
                staged: staged.parse().unwrap_or_default(),
                sha256: owned(sha256),
                size: size.parse().unwrap_or_default(),
                kind: owned(kind),
                whole: *whole == "whole",
                used: *used == "used",
                attributes: std::array::from_fn(|place| attributes.get(place).map(|a| owned(a)).unwrap_or_default()),
            }),
            ["partial", mark, size] => self.partial.push((owned(mark), size.parse().unwrap_or_default())),
            ["part", mark, size, path] => self.parts.push((owned(mark), size.parse().unwrap_or_default(), owned(path))),
            ["link", path, kind, text] => {
                let there = match *kind {
                    "link" => There::Link(owned(text)),
                    "file" => There::File(owned(text)),
                    "directory" => There::Folder,
                    _ => There::Nothing,
                };
                self.links.push(Link { path: owned(path), there });
            }
            ["found", path] => self.found = Some(owned(path)),
            ["before", path, now, before, version] => self.before.push(Before {
                path: owned(path),
                now: owned(now),
                before: owned(before),
                version: owned(version),
            }),
            _ => {}
        }
    }

    /// The probe's lines again.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        if let Some(bytes) = self.free {
            let _ = writeln!(text, "free\t{bytes}");
        }
        for have in &self.have {
            let whole = if have.whole { "whole" } else { "broken" };
            let used = if have.used { "used" } else { "free" };
            let Have { version, staged, sha256, size, kind, attributes, .. } = have;
            let attributes = attributes.join("\t");
            let _ =
                writeln!(text, "have\t{version}\t{staged}\t{sha256}\t{size}\t{kind}\t{whole}\t{used}\t{attributes}");
        }
        for (mark, size) in &self.partial {
            let _ = writeln!(text, "partial\t{mark}\t{size}");
        }
        for (mark, size, path) in &self.parts {
            let _ = writeln!(text, "part\t{mark}\t{size}\t{path}");
        }
        if let Some(path) = &self.found {
            let _ = writeln!(text, "found\t{path}");
        }
        for Link { path, there } in &self.links {
            let (kind, more) = match there {
                There::Link(target) => ("link", target.as_str()),
                There::File(sha256) => ("file", sha256.as_str()),
                There::Folder => ("directory", ""),
                There::Nothing => ("absent", ""),
            };
            let _ = writeln!(text, "link\t{path}\t{kind}\t{more}");
        }
        for Before { path, now, before, version } in &self.before {
            let _ = writeln!(text, "before\t{path}\t{now}\t{before}\t{version}");
        }
        text
    }

    /// A staged version.
    pub(super) fn version(&self, version: &str) -> Option<&Have> {
        self.have.iter().find(|have| have.version == version)
    }

    /// Whether a link points into a folder.
    pub(super) fn in_force(&self, folder: &str) -> bool {
        let now = |before: &Before| is_below(&before.now, folder);
        let linked = |link: &Link| matches!(&link.there, There::Link(target) if is_below(target, folder));
        self.before.iter().any(now) || self.links.iter().any(linked)
    }

    /// A link now points to a target.
    pub(super) fn relink(&mut self, path: &str, target: &str, before: &str, version: &str) {
        for link in self.links.iter_mut().filter(|link| link.path == path) {
            link.there = There::Link(target.to_owned());
        }
        self.before.retain(|known| known.path != path);
        self.before.push(Before {
            path: path.to_owned(),
            now: target.to_owned(),
            before: before.to_owned(),
            version: version.to_owned(),
        });
    }
}

/// Whether a path is a folder or below it.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_the_same() {
        let text = "free\t1000\nhave\t0.14.2\t5\tabc\t10\tfile\twhole\tused\t755\troot\troot\t0\t0\n\
                    partial\tabcdef\t5\npart\tabcdef\t6\tlib/a b.so\nfound\t/usr/sbin/m\n\
                    link\t/usr/sbin/m\tlink\t/opt/m\nlink\t/a\tfile\tabc\nlink\t/b\tdirectory\t\nlink\t/c\tabsent\t\n\
                    before\t/usr/sbin/m\t/opt/m\t/opt/old\t0.14.2\n";
        assert_eq!(Seen::parse(text).render(), text);
    }
}
