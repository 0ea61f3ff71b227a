//! Versions of Elasticsearch as they are written: `7.17.29`, `8.0.0-rc1`, `6.3.0-SNAPSHOT`.

use std::fmt;

/// A release: major, minor, patch. What follows (`-SNAPSHOT`, `-rc1`) is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Version {
    /// The first number: indices live for one more.
    pub(crate) major: u32,
    /// The second number.
    pub(crate) minor: u32,
    /// The third number: plugins must match it.
    pub(crate) patch: u32,
}

impl Version {
    /// Makes a version.
    pub(crate) const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Reads a version. All three numbers must be there: plugins are bound to the patch level.
    ///
    /// # Errors
    /// It isn't one: what one looks like.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(40).collect();
        let wrong = || format!("`{shown}` is not a version of Elasticsearch: write one like 7.17.29");
        let numbers = text.trim().split(['-', '+', ' ']).next().unwrap_or_default();
        let parts: Vec<u32> =
            numbers.split('.').map(|part| part.parse::<u32>().map_err(|_| wrong())).collect::<Result<_, _>>()?;
        match parts.as_slice() {
            [major, minor, patch] => Ok(Self::new(*major, *minor, *patch)),
            _ => Err(wrong()),
        }
    }

    /// Major and minor: `7.17`.
    pub(crate) fn minor_name(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }
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
    fn versions_are_read_and_ordered() {
        assert_eq!(Version::parse(" 7.17.29 "), Ok(Version::new(7, 17, 29)));
        assert_eq!(Version::parse("8.0.0-rc1"), Ok(Version::new(8, 0, 0)));
        assert!(Version::new(7, 17, 29) < Version::new(8, 0, 0) && Version::new(6, 10, 0) > Version::new(6, 8, 23));
        for text in ["", "7", "7.17", "7.17.x", "a.b.c", "7.17.2.1", "99999999999.0.0"] {
            assert!(Version::parse(text).unwrap_err().contains("like 7.17.29"), "{text}");
        }
    }
}
