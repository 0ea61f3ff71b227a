//! Versions of Elastic's package, which of them are neighbours, and the way between two.

use std::fmt;

/// A package's version: `3.2.0-7.9.3` is package 3.2.0 with Elasticsearch 7.9.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackageVersion {
    text: String,
    package: (u64, u64, u64),
    elasticsearch: String,
}

impl PackageVersion {
    /// Reads one.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no version of the package: it is like 3.2.0-7.9.3 (package, then Elasticsearch)");
        let (package, elasticsearch) = text.split_once('-').ok_or_else(wrong)?;
        let numbers = |text: &str| -> Option<(u64, u64, u64)> {
            let mut parts = text.split('.').map(|part| part.parse().ok());
            let three = (parts.next()??, parts.next()??, parts.next()??);
            parts.next().is_none().then_some(three)
        };
        let package = numbers(package).ok_or_else(wrong)?;
        numbers(elasticsearch.split('-').next().unwrap_or_default()).ok_or_else(wrong)?;
        if text.len() > 60 || !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')) {
            return Err(wrong());
        }
        Ok(Self { text: text.to_owned(), package, elasticsearch: elasticsearch.to_owned() })
    }

    /// The package's own number.
    pub(crate) fn package(&self) -> (u64, u64, u64) {
        self.package
    }

    /// The Elasticsearch that it brings; with `-beta` where the package is one.
    pub(crate) fn elasticsearch(&self) -> &str {
        &self.elasticsearch
    }

    /// As it is written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for PackageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where a step leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The same version: options only.
    Same,
    /// The next one.
    Up,
    /// The one before, to a package with the same Elasticsearch.
    Down,
    /// The one before, to a package with an older Elasticsearch: only while no node has run the newer one.
    DownElasticsearch,
}

struct Line {
    version: &'static str,
    neighbours: Vec<&'static str>,
}

fn table() -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for line in include_str!("packages.tsv").lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (version, listed) = line.split_once('\t').unwrap_or((line, "-"));
        let before = lines.last().map(|line| line.version);
        let neighbours = if listed == "-" { before.into_iter().collect() } else { listed.split(',').collect() };
        lines.push(Line { version, neighbours });
    }
    lines
}

/// Whether one package may follow another. `upgrades_from` and `downgrades_to` are what the target's, and the present package's own
/// definition lists; the table counts where Cosmos gives none.
///
/// # Errors
/// It may not: what the way is.
pub(crate) fn direction(
    from: &PackageVersion,
    to: &PackageVersion,
    upgrades_from: Option<&[String]>,
    downgrades_to: Option<&[String]>,
) -> Result<Direction, String> {
    if from == to {
        return Ok(Direction::Same);
    }
    let up = match upgrades_from {
        Some(listed) => listed.iter().any(|version| version == from.as_str() || version == "*"),
        None => follows(from.as_str(), to.as_str()),
    };
    if up && to.package > from.package {
        return Ok(Direction::Up);
    }
    let down = match downgrades_to {
        Some(listed) => listed.iter().any(|version| version == to.as_str() || version == "*"),
        None => follows(to.as_str(), from.as_str()),
    };
    if down {
        return Ok(if from.elasticsearch == to.elasticsearch { Direction::Down } else { Direction::DownElasticsearch });
    }
    let listed = upgrades_from.filter(|listed| !listed.is_empty()).map(|listed| listed.join(", "));
    let way = match path(from, to) {
        Ok(way) if way.len() > 1 => {
            format!("; the way is {}", way.iter().map(PackageVersion::as_str).collect::<Vec<_>>().join(", "))
        }
        _ => listed.map(|listed| format!("; {to} takes over from {listed}")).unwrap_or_default(),
    };
    Err(format!("{from} and {to} are no neighbours: packages go one by one{way}"))
}

fn follows(earlier: &str, later: &str) -> bool {
    table().iter().any(|line| line.version == later && line.neighbours.contains(&earlier))
}

/// The packages on the way up from one to another, without the first.
///
/// # Errors
/// The table has no way.
pub(crate) fn path(from: &PackageVersion, to: &PackageVersion) -> Result<Vec<PackageVersion>, String> {
    let lines = table();
    let mut way = Vec::new();
    let mut at = to.as_str();
    while at != from.as_str() {
        let Some(line) = lines.iter().find(|line| line.version == at) else {
            return Err(format!(
                "no way from {from} to {to} is known: {at} is in no table of packages; name each step with `hops`"
            ));
        };
        way.push(PackageVersion::parse(at)?);
        let next =
            line.neighbours.iter().find(|version| **version == from.as_str()).or_else(|| line.neighbours.first());
        let Some(next) = next else {
            return Err(format!("no way leads from {from} up to {to}; a way back goes one package at a time"));
        };
        at = next;
    }
    way.reverse();
    Ok(way)
}
