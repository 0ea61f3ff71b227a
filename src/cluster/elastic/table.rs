//! The table `versions.yaml`: which pairs may roll, by which way, and what a version's API is like.

use std::sync::LazyLock;

use serde::Deserialize;

use super::Version;

/// A minor release as the table writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Minor(u32, u32);

impl TryFrom<String> for Minor {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let (major, minor) = text.split_once('.').ok_or_else(|| format!("{text}: no minor release"))?;
        let number = |part: &str| part.parse().map_err(|_| format!("{text}: no minor release"));
        Ok(Self(number(major)?, number(minor)?))
    }
}

impl Minor {
    /// Whether a version is of this minor release or later.
    pub(super) fn reached(self, version: Version) -> bool {
        self <= Self(version.major, version.minor)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Roll {
    from: (Minor, Minor),
    to: (Minor, Minor),
}

/// The settings' scope in which allocation is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    /// Gone with a full restart.
    Transient,
    /// Kept.
    Persistent,
}

impl Scope {
    /// Its key in a body.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Persistent => "persistent",
        }
    }
}

/// How machine learning is set aside for an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ml {
    /// Jobs are closed one by one.
    Jobs,
    /// `POST _ml/set_upgrade_mode`.
    UpgradeMode,
}

/// What the API of a version is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Api {
    since: Minor,
    /// Where allocation is switched off.
    pub(crate) scope: Scope,
    /// To which value.
    pub(crate) off: super::Enable,
    /// Whether a synced flush does more than a flush.
    pub(crate) synced: bool,
    /// Machine learning.
    pub(crate) ml: Ml,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Java {
    pub(super) since: Minor,
    pub(super) oldest: u32,
    pub(super) newest: u32,
    pub(super) variable: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Removed {
    pub(super) since: Minor,
    pub(super) names: Vec<String>,
    pub(super) instead: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Clash {
    pub(super) since: Minor,
    pub(super) names: (String, String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tables {
    rolls: Vec<Roll>,
    stops: Vec<String>,
    apis: Vec<Api>,
    pub(super) java: Vec<Java>,
    pub(super) removed: Vec<Removed>,
    pub(super) clashes: Vec<Clash>,
}

pub(super) static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    // The text is ours and a test reads it: a mistake in it can't get as far as a user.
    serde_yaml::from_str(include_str!("versions.yaml")).unwrap_or_default()
});

/// The oldest version that this knows to roll.
const OLDEST: Version = Version::new(5, 0, 0);

fn may_follow(from: Version, to: Version) -> bool {
    let within = |(first, last): (Minor, Minor), version: Version| {
        let minor = Minor(version.major, version.minor);
        first <= minor && minor <= last
    };
    from < to && TABLES.rolls.iter().any(|roll| within(roll.from, from) && within(roll.to, to))
}

/// Whether a cluster may go from one version to another while it works.
///
/// # Errors
/// It may not: why, and what to do.
pub(crate) fn rolls(from: Version, to: Version) -> Result<(), String> {
    if from == to || may_follow(from, to) {
        return Ok(());
    }
    if to < from {
        return Err(format!(
            "{to} is older than {from}: Elasticsearch has no way back once a node has run {from} (below 6.8 the old one starts on the \
             new data without a word, and loses what it can't read); restore a snapshot into a new cluster of {to}"
        ));
    }
    if from < OLDEST {
        return Err(format!(
            "{from} is too old: versions before 5.0 are not rolled here. Within 2.x, and to 5.6, restart the whole cluster by \
             Elastic's guide of that version; from 1.x reindex into a new cluster"
        ));
    }
    let way = path(from, to);
    Err(match way.as_deref() {
        Some(hops) => {
            let hops: Vec<String> = hops.iter().map(ToString::to_string).collect();
            format!("{to} can't follow {from} in one hop: go {} one after the other", hops.join(", "))
        }
        None => format!(
            "no rolling way from {from} to {to} is known: restart the whole cluster by Elastic's guide of {}, or reindex into a new one",
            to.minor_name()
        ),
    })
}

/// The versions to go to one after the other, the last of them `to`; the shortest way. `None` when there is none.
pub(crate) fn path(from: Version, to: Version) -> Option<Vec<Version>> {
    if from == to {
        return Some(Vec::new());
    }
    let mut stops: Vec<Version> = TABLES.stops.iter().filter_map(|text| Version::parse(text).ok()).collect();
    stops.retain(|stop| from < *stop && *stop < to);
    // 6.7 has no way on but to 7.0, and any other is reached by way of the stops: they are few, so all ways are walked.
    let mut ways = vec![vec![from]];
    for _ in 0..=stops.len() {
        if let Some(way) = ways.iter().find(|way| way.last().is_some_and(|last| may_follow(*last, to))) {
            let mut way = way.clone();
            way.remove(0);
            way.push(to);
            return Some(way);
        }
        let longer = |way: &Vec<Version>| -> Vec<Vec<Version>> {
            let last = way.last().copied().unwrap_or(from);
            let next = stops.iter().filter(|stop| may_follow(last, **stop));
            next.map(|stop| way.iter().copied().chain([*stop]).collect()).collect()
        };
        ways = ways.iter().flat_map(longer).collect();
    }
    None
}

/// The API of a cluster whose oldest node has this version; `None` when that is too old.
pub(crate) fn api(oldest: Version) -> Option<&'static Api> {
    TABLES.apis.iter().rev().find(|row| row.since.reached(oldest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).expect("a version")
    }

    #[test]
    fn the_table_can_be_read() {
        let tables: Tables = serde_yaml::from_str(include_str!("versions.yaml")).expect("the table");
        assert_eq!(tables.rolls.len(), 10);
    }

    #[test]
    fn only_documented_pairs_roll() {
        for (from, to) in [
            ("5.6.16", "6.2.4"),
            ("6.2.4", "6.8.23"),
            ("6.8.23", "7.17.29"),
            ("7.17.29", "8.17.0"),
            ("6.7.2", "7.0.1"),
            ("5.1.1", "5.6.16"),
            ("8.18.1", "9.0.0"),
            ("7.17.0", "7.17.29"),
            ("8.17.0", "8.17.0"),
        ] {
            assert_eq!(rolls(version(from), version(to)), Ok(()), "{from} {to}");
        }
        for (from, to, part) in [
            ("6.8.23", "7.0.1", "no rolling way"),
            ("6.7.2", "7.17.29", "go 6.8.23, 7.17.29 one after"),
            ("6.2.4", "7.17.29", "go 6.8.23, 7.17.29 one after"),
            ("7.16.3", "8.17.0", "go 7.17.29, 8.17.0 one after"),
            ("5.6.16", "8.17.0", "go 6.8.23, 7.17.29, 8.17.0 one after"),
            ("5.2.0", "9.1.0", "go 5.6.16, 6.8.23, 7.17.29, 8.19.0, 9.1.0 one after"),
            ("8.17.0", "7.17.29", "no way back"),
            ("2.4.6", "5.6.16", "versions before 5.0"),
            ("8.17.0", "9.0.0", "go 8.19.0, 9.0.0"),
        ] {
            let why = rolls(version(from), version(to)).unwrap_err();
            assert!(why.contains(part), "{from} {to}: {why}");
        }
    }

    #[test]
    fn each_version_has_its_api() {
        let of = |text| api(version(text)).map(|api| (api.scope.word(), api.off.word(), api.synced));
        assert_eq!(of("5.6.16"), Some(("transient", "none", true)));
        assert_eq!(of("6.2.4"), Some(("persistent", "none", true)));
        assert_eq!(of("6.8.23"), Some(("persistent", "primaries", true)));
        assert_eq!(of("8.17.0"), Some(("persistent", "primaries", false)));
        assert_eq!(of("2.4.6"), None);
    }
}
