//! Versions of Mesos as they are written: `0.14.2`, `v0.14.2`, `1.4.3-rc1`, `0.14.2-1.0.71.debian70`.

use std::fmt;

/// A release: major, minor, patch. What follows the three numbers (package revision, `-rc1`) is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Version {
    /// The first number.
    pub(crate) major: u32,
    /// The second number: what a hop counts.
    pub(crate) minor: u32,
    /// The third number.
    pub(crate) patch: u32,
}

impl Version {
    /// Makes a version.
    pub(crate) const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Reads a version. A missing patch is 0.
    ///
    /// # Errors
    /// It isn't one: what one looks like.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not a Mesos version: write one like 0.14.2", short(text));
        let trimmed = text.trim().trim_start_matches('v');
        let numbers = trimmed.split(['-', '+', '~', ' ']).next().unwrap_or_default();
        let mut parts = numbers.split('.');
        let mut next = || parts.next().map(|part| part.parse::<u32>().map_err(|_| wrong()));
        let major = next().ok_or_else(wrong)??;
        let minor = next().ok_or_else(wrong)??;
        let patch = next().transpose()?.unwrap_or(0);
        if parts.next().is_some() {
            return Err(wrong());
        }
        Ok(Self { major, minor, patch })
    }

    /// Major and minor: `0.14`.
    pub(crate) fn minor_name(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// Whether both are of one minor release.
    pub(crate) fn same_minor(self, other: Self) -> bool {
        (self.major, self.minor) == (other.major, other.minor)
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_people_and_packages_write_them() {
        assert_eq!(Version::parse("0.14.2"), Ok(Version::new(0, 14, 2)));
        assert_eq!(Version::parse("v0.14"), Ok(Version::new(0, 14, 0)));
        assert_eq!(Version::parse("1.1.0-2.0.107.ubuntu1404"), Ok(Version::new(1, 1, 0)));
        for wrong in ["", "latest", "0", "0.x.1", "0.1.2.3", "-1.2.3", "99999999999.1"] {
            assert!(Version::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Version::new(0, 9, 0) < Version::new(0, 14, 0));
    }
}
