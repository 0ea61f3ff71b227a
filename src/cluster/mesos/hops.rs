//! The hops between minor releases, and the rules on flags that a table of names cannot say: `hops.yaml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::{Daemon, Version};

/// One hop between neighbouring minor releases.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hop {
    /// The minor release it begins at: `0.13`.
    pub(crate) from: String,
    /// The one it leads to.
    pub(crate) to: String,
    /// What is done to which component, first to last.
    pub(crate) order: Vec<String>,
    /// By daemon: flags whose old name the new release refuses.
    #[serde(default)]
    pub(crate) renamed: BTreeMap<String, BTreeMap<String, String>>,
    /// By daemon: flags whose old name the new release still takes.
    #[serde(default)]
    #[allow(dead_code, reason = "a column of the table; hops to come read it")]
    pub(crate) aliased: BTreeMap<String, BTreeMap<String, String>>,
    /// What an operator must know before.
    #[serde(default)]
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequiredRow {
    daemon: String,
    flag: String,
    when: Option<String>,
    since: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueRow {
    daemon: String,
    flag: String,
    since: String,
    until: Option<String>,
    #[serde(default)]
    only: Vec<String>,
    #[serde(default)]
    never: Vec<String>,
    why: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NameRow {
    daemon: String,
    flag: String,
    since: String,
    meant: Option<String>,
    why: String,
}

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Tables {
    hops: Vec<Hop>,
    required: Vec<RequiredRow>,
    values: Vec<ValueRow>,
    names: Vec<NameRow>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    // The text is ours and a test reads it: a mistake in it can't get as far as a user.
    serde_yaml::from_str(include_str!("hops.yaml")).unwrap_or_default()
});

fn since(text: &str, version: Version) -> bool {
    Version::parse(text).is_ok_and(|first| first <= version)
}

/// All hops, oldest first.
pub(crate) fn hops() -> &'static [Hop] {
    &TABLES.hops
}

/// The hop between two versions, if they are neighbours, in the direction in which it is documented (upwards).
pub(crate) fn hop(from: Version, to: Version) -> Option<&'static Hop> {
    hops().iter().find(|hop| hop.from == from.minor_name() && hop.to == to.minor_name())
}

/// The hop that leads to a version.
pub(crate) fn before(to: Version) -> Option<&'static Hop> {
    hops().iter().find(|hop| hop.to == to.minor_name())
}

/// The minor releases before and after a version's.
pub(crate) fn neighbours(version: Version) -> (Option<&'static str>, Option<&'static str>) {
    let name = version.minor_name();
    let before = hops().iter().find(|hop| hop.to == name).map(|hop| hop.from.as_str());
    let after = hops().iter().find(|hop| hop.from == name).map(|hop| hop.to.as_str());
    (before, after)
}

/// How a slave finds out its disk when `--resources` does not say, by the first release that does so. A checkpointed slave
/// refuses to recover when it differs: what is free differs at every start.
const DISK: &[(Version, &str)] = &[
    (Version::new(0, 11, 0), "what is free on /"),
    (Version::new(0, 12, 0), "what is free below work_dir"),
    (Version::new(0, 14, 0), "the size of the file system of work_dir"),
];

/// Why a checkpointing slave without a pinned disk refuses to recover when it goes from one version to another.
pub(crate) fn disk_differs(from: Version, to: Version) -> Option<String> {
    let way = |version| DISK.iter().rev().find(|(first, _)| *first <= version).map(|(_, way)| *way);
    let (old, new) = (way(from)?, way(to)?);
    (old != new || new.contains("free")).then(|| format!("{from} counts {old}, {to} {new}"))
}

/// Flags that a daemon must be given: the flag, and the other flag that makes it so.
pub(super) fn required(daemon: Daemon, version: Version) -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    TABLES
        .required
        .iter()
        .filter(move |row| row.daemon == daemon.word() && since(&row.since, version))
        .map(|row| (row.flag.as_str(), row.when.as_deref()))
}

/// Why a value of a flag must not be; `None` when it may.
pub(super) fn refused_value(daemon: Daemon, version: Version, flag: &str, value: &str) -> Option<String> {
    let over =
        |row: &ValueRow| row.until.as_deref().is_some_and(|last| Version::parse(last).is_ok_and(|last| last < version));
    TABLES
        .values
        .iter()
        .filter(|row| row.daemon == daemon.word() && row.flag == flag && since(&row.since, version) && !over(row))
        .find_map(|row| {
            let outside = !row.only.is_empty() && !row.only.iter().any(|only| only == value);
            if outside {
                return Some(format!("only {} is possible: {}", row.only.join(" or "), row.why));
            }
            row.never.iter().any(|never| never == value).then(|| row.why.clone())
        })
}

/// What is known of a name that the release does not have: the name that is meant, and why.
pub(super) fn wrong_name(daemon: Daemon, version: Version, flag: &str) -> Option<(Option<&'static str>, &'static str)> {
    TABLES
        .names
        .iter()
        .find(|row| row.daemon == daemon.word() && row.flag == flag && since(&row.since, version))
        .map(|row| (row.meant.as_deref(), row.why.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_read_whole() {
        let tables: Tables = serde_yaml::from_str(include_str!("hops.yaml")).expect("hops.yaml is right");
        assert_eq!(tables.hops.len(), 29);
        for pair in tables.hops.windows(2) {
            assert_eq!(pair[0].to, pair[1].from, "the hops are a chain");
        }
        for since in tables.values.iter().map(|r| &r.since).chain(tables.names.iter().map(|r| &r.since)) {
            assert!(Version::parse(since).is_ok(), "{since}");
        }
    }

    #[test]
    fn only_the_first_hop_takes_slaves_first() {
        for hop in hops() {
            let place = |word: &str| hop.order.iter().position(|step| step.starts_with(word));
            let slaves = place("slaves").or_else(|| place("agents"));
            assert_eq!(slaves < place("masters"), hop.from == "0.11", "{} to {}", hop.from, hop.to);
        }
    }

    #[test]
    fn neighbours_and_hops_are_found() {
        let (from, to) = (Version::new(0, 13, 0), Version::new(0, 14, 2));
        assert_eq!(hop(from, to).map(|hop| hop.order.len()), Some(9));
        assert!(hop(from, Version::new(0, 15, 0)).is_none());
        assert_eq!(neighbours(to), (Some("0.13"), Some("0.15")));
        assert_eq!(neighbours(Version::new(0, 28, 3)), (Some("0.27"), Some("1.0")));
    }

    #[test]
    fn an_unpinned_disk_differs_where_releases_count_it_otherwise() {
        let differs = |from, to| disk_differs(from, to).is_some();
        assert!(differs(Version::new(0, 13, 0), Version::new(0, 14, 2)));
        assert!(differs(Version::new(0, 12, 1), Version::new(0, 13, 0)));
        assert!(!differs(Version::new(0, 14, 2), Version::new(0, 15, 0)));
    }

    #[test]
    fn values_that_kill_a_daemon_are_known() {
        let refused = |version, flag, value| refused_value(Daemon::Master, version, flag, value).is_some();
        assert!(refused(Version::new(0, 14, 2), "slaves", "h1"));
        assert!(!refused(Version::new(0, 14, 2), "slaves", "*"));
        assert!(!refused(Version::new(0, 12, 1), "slaves", "h1"));
        assert!(refused_value(Daemon::Slave, Version::new(0, 15, 0), "recover", "kill").is_some());
    }
}
