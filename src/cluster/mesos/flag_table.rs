//! Every flag of the two daemons by release: `flags.tsv`, made from the released sources.

use std::sync::LazyLock;

use super::Version;

/// One of the two daemons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Daemon {
    /// `mesos-master`.
    Master,
    /// `mesos-slave`; `mesos-agent` from 1.0 on.
    Slave,
}

impl Daemon {
    /// `master` or `slave`: what files and options call it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Slave => "slave",
        }
    }

    /// `mesos-master` or `mesos-slave`: what the program is called.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::Master => "mesos-master",
            Self::Slave => "mesos-slave",
        }
    }

    /// Reads an option's word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "master" => Some(Self::Master),
            "slave" | "agent" => Some(Self::Slave),
            _ => None,
        }
    }

    /// The other one.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Master => Self::Slave,
            Self::Slave => Self::Master,
        }
    }
}

/// What values a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlagType {
    /// `--name`, `--no-name`, or `--name=true|1|false|0`.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Number,
    /// `10secs`, `1.5mins`.
    Duration,
    /// `64MB`.
    Bytes,
    /// JSON, or the path of a file with it.
    Json,
    /// Anything else; lists are comma-separated text.
    Text,
}

/// A release that the table knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Release {
    place: usize,
    /// Its version.
    pub(crate) version: Version,
}

/// What is known of a flag in one release.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlagInfo {
    /// Its name in that release.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: FlagType,
    #[allow(dead_code, reason = "a column of the table; hops to come read it")]
    /// Its default; past 0.15 it may be the expression as the source has it.
    pub(crate) default: Option<&'static str>,
    #[allow(dead_code, reason = "a column of the table; hops to come read it")]
    /// An older name that this release still takes.
    pub(crate) older: Option<&'static str>,
}

#[derive(Debug)]
struct Row {
    daemon: Daemon,
    name: &'static str,
    kind: FlagType,
    first: usize,
    last: usize,
    older: Option<&'static str>,
    default: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Table {
    releases: Vec<Version>,
    rows: Vec<Row>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| parse(include_str!("flags.tsv")));

fn parse(text: &'static str) -> Table {
    let mut table = Table::default();
    for line in text.lines() {
        if let Some(releases) = line.strip_prefix("releases ") {
            table.releases = releases.split(' ').filter_map(|word| Version::parse(word).ok()).collect();
        } else if !line.starts_with('#')
            && let Some(row) = parse_row(line, &table.releases)
        {
            table.rows.push(row);
        }
    }
    table
}

fn parse_row(line: &'static str, releases: &[Version]) -> Option<Row> {
    let mut fields = line.split('\t');
    let daemon = Daemon::parse(fields.next()?)?;
    let name = fields.next()?;
    let kind = match fields.next()? {
        "bool" => FlagType::Bool,
        "int" => FlagType::Int,
        "number" => FlagType::Number,
        "duration" => FlagType::Duration,
        "bytes" => FlagType::Bytes,
        "json" => FlagType::Json,
        _ => FlagType::Text,
    };
    let place = |word: &str| releases.iter().position(|v| Version::parse(word) == Ok(*v));
    let first = place(fields.next()?)?;
    let last = place(fields.next()?)?;
    let older = Some(fields.next()?).filter(|word| *word != "-");
    let default = match fields.next()? {
        "null" => None,
        quoted => Some(quoted.strip_prefix('"')?.strip_suffix('"')?),
    };
    Some(Row { daemon, name, kind, first, last, older, default })
}

/// The releases of the table, oldest first.
#[cfg(test)]
pub(crate) fn releases() -> &'static [Version] {
    &TABLE.releases
}

impl Release {
    /// The release whose flags a version has: itself, or the nearest known of the same minor (0.14.3 has 0.14.2's).
    ///
    /// # Errors
    /// No release of that minor is known: which are.
    pub(crate) fn of(version: Version) -> Result<Self, String> {
        let near = |v: &&(usize, Version)| v.1.same_minor(version);
        let known: Vec<(usize, Version)> = TABLE.releases.iter().copied().enumerate().collect();
        let before = known.iter().filter(near).rfind(|(_, v)| *v <= version);
        match before.or_else(|| known.iter().find(near)) {
            Some((place, version)) => Ok(Self { place: *place, version: *version }),
            None => {
                let ends = |v: Option<&Version>| v.map_or_else(String::new, |v| v.minor_name());
                Err(format!(
                    "no flags of Mesos {} are known: the table has {} to {}",
                    version.minor_name(),
                    ends(TABLE.releases.first()),
                    ends(TABLE.releases.last())
                ))
            }
        }
    }
}

fn info(row: &Row) -> FlagInfo {
    FlagInfo { name: row.name, kind: row.kind, default: row.default, older: row.older }
}

/// A flag by its name, or by an older name that the release still takes.
pub(crate) fn flag(daemon: Daemon, release: Release, name: &str) -> Option<FlagInfo> {
    let rows = || {
        TABLE.rows.iter().filter(|row| row.daemon == daemon && row.first <= release.place && release.place <= row.last)
    };
    rows().find(|row| row.name == name).or_else(|| rows().find(|row| row.older == Some(name))).map(info)
}

/// The names of all flags of a release.
pub(crate) fn flag_names(daemon: Daemon, release: Release) -> Vec<&'static str> {
    let here = |row: &&Row| row.daemon == daemon && row.first <= release.place && release.place <= row.last;
    TABLE.rows.iter().filter(here).map(|row| row.name).collect()
}

/// The last release before `release` that had a flag of this name, and the first after it that has.
pub(crate) fn neighbours_of(daemon: Daemon, release: Release, name: &str) -> (Option<Version>, Option<Version>) {
    let rows = || TABLE.rows.iter().filter(|row| row.daemon == daemon && row.name == name);
    let at = |place: usize| TABLE.releases.get(place).copied();
    let before = rows().filter(|row| row.last < release.place).map(|row| row.last).max().and_then(at);
    let after = rows().filter(|row| row.first > release.place).map(|row| row.first).min().and_then(at);
    (before, after)
}

/// The first release after the last that had the flag: the one that removed it.
pub(crate) fn removed_in(daemon: Daemon, release: Release, name: &str) -> Option<Version> {
    let (before, _) = neighbours_of(daemon, release, name);
    let place = TABLE.releases.iter().position(|v| Some(*v) == before)?;
    TABLE.releases.get(place + 1).copied()
}

/// Flags whose default differs between two releases: name, old default, new default (both as written; `None` for none).
#[cfg(test)]
pub(crate) fn default_changes(
    daemon: Daemon,
    from: Release,
    to: Release,
) -> Vec<(&'static str, Option<&'static str>, Option<&'static str>)> {
    flag_names(daemon, to)
        .into_iter()
        .filter_map(|name| {
            let (old, new) = (flag(daemon, from, name)?, flag(daemon, to, name)?);
            (old.name == new.name && old.default != new.default).then_some((name, old.default, new.default))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(text: &str) -> Release {
        Release::of(Version::parse(text).expect("a version")).expect("known")
    }

    #[test]
    fn every_row_of_the_table_is_read() {
        let rows = include_str!("flags.tsv").lines().filter(|line| line.contains('\t')).count();
        assert_eq!(TABLE.rows.len(), rows);
        assert_eq!(releases().len(), 51);
    }

    #[test]
    fn counts_are_those_of_the_released_sources() {
        for (version, masters, slaves) in [
            ("0.11.0", 15, 21),
            ("0.12.1", 15, 21),
            ("0.13.0", 15, 27),
            ("0.14.2", 17, 29),
            ("0.15.0", 19, 30),
            ("1.11.0", 77, 149),
        ] {
            let release = release(version);
            assert_eq!(flag_names(Daemon::Master, release).len(), masters, "{version}");
            assert_eq!(flag_names(Daemon::Slave, release).len(), slaves, "{version}");
        }
    }

    #[test]
    fn patch_releases_differ_and_unknown_ones_take_the_nearest() {
        let oom = |version| flag(Daemon::Slave, release(version), "cgroups_oom_buffer").is_some();
        assert!(!oom("0.14.0") && oom("0.14.1") && !oom("0.14.2"));
        assert_eq!(release("0.14.9").version, Version::new(0, 14, 2));
        assert_eq!(release("0.18.1").version, Version::new(0, 18, 0));
        assert!(Release::of(Version::new(0, 10, 0)).is_err());
        assert!(Release::of(Version::new(2, 0, 0)).is_err());
    }

    #[test]
    fn defaults_that_flip_are_found() {
        let changes = default_changes(Daemon::Slave, release("0.13.0"), release("0.14.2"));
        assert!(changes.contains(&("strict", Some("false"), Some("true"))), "{changes:?}");
        let changes = default_changes(Daemon::Slave, release("0.14.2"), release("0.15.0"));
        assert_eq!(changes, vec![("checkpoint", Some("false"), Some("true"))]);
    }

    #[test]
    fn an_older_name_is_found_where_it_is_still_taken() {
        let info = flag(Daemon::Master, release("1.0.0"), "authenticate").expect("still taken");
        assert_eq!(info.name, "authenticate_frameworks");
        assert!(flag(Daemon::Slave, release("0.13.0"), "cgroups_hierarchy_root").is_none());
        assert_eq!(
            removed_in(Daemon::Slave, release("0.13.0"), "cgroups_hierarchy_root"),
            Some(Version::new(0, 13, 0))
        );
        assert_eq!(removed_in(Daemon::Slave, release("0.12.1"), "webui_dir"), Some(Version::new(0, 12, 1)));
    }
}
