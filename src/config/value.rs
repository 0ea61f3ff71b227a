//! What a setting's text means: numbers, switches, paths, lists.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::find::expand_home;

/// A value as it is written, and what is needed to read it.
pub(super) struct Written<'a> {
    pub(super) text: &'a str,
    /// The folder that relative paths start from: the file's, or the working directory.
    pub(super) base: &'a Path,
    pub(super) home: Option<&'a Path>,
    pub(super) environment: &'a BTreeMap<String, String>,
    /// Quotes around the whole are not part of it: so in files.
    pub(super) quoted: bool,
}

impl Written<'_> {
    fn trimmed(&self) -> &str {
        let text = self.text.trim();
        let inner = |quote: char| text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote));
        if self.quoted { inner('"').or_else(|| inner('\'')).unwrap_or(text) } else { text }
    }

    pub(super) fn text(&self) -> Result<String, String> {
        Ok(self.trimmed().to_owned())
    }

    /// Nothing when it is empty.
    pub(super) fn optional(&self) -> Result<Option<String>, String> {
        Ok(Some(self.trimmed()).filter(|text| !text.is_empty()).map(str::to_owned))
    }

    pub(super) fn switch(&self) -> Result<bool, String> {
        match self.trimmed().to_ascii_lowercase().as_str() {
            "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Ok(true),
            "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => Ok(false),
            _ => Err("is a switch: write true or false".to_owned()),
        }
    }

    pub(super) fn number<T: FromStr>(&self, range: &str) -> Result<T, String> {
        self.trimmed().parse().map_err(|_| format!("must be a whole number {range}"))
    }

    /// Whole seconds.
    pub(super) fn seconds(&self) -> Result<Duration, String> {
        self.number("of seconds, 0 or more").map(Duration::from_secs)
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, String> {
        let text = self.trimmed();
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!("must be one of: {}", words.join(", "))
        })
    }

    /// Words with commas between.
    pub(super) fn list(&self) -> Result<Vec<String>, String> {
        Ok(self.trimmed().split([',', '\n']).map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned).collect())
    }

    pub(super) fn path(&self) -> Result<Option<PathBuf>, String> {
        Ok(Some(self.trimmed()).filter(|text| !text.is_empty()).map(|text| self.resolve(text)))
    }

    /// Paths with colons between.
    pub(super) fn paths(&self) -> Result<Vec<PathBuf>, String> {
        let parts = self.trimmed().split([':', '\n']).map(str::trim).filter(|part| !part.is_empty());
        Ok(parts.map(|part| self.resolve(part)).collect())
    }

    /// Inventory sources with commas between. Names alone (`h1,h2,` or a single trailing comma) stay one source; what is
    /// there as a file or holds a slash is a path.
    pub(super) fn inventories(&self) -> Result<Vec<String>, String> {
        let parts = self.list()?;
        let is_path = |part: &String| part.contains('/') || self.resolve(part).exists();
        let text = self.trimmed();
        if text.contains(',') && !parts.iter().any(is_path) {
            return Ok(vec![text.to_owned()]);
        }
        Ok(parts.iter().map(|part| self.resolve(part).display().to_string()).collect())
    }

    /// `~`, `$NAME` and `${NAME}` replaced, relative paths made whole.
    fn resolve(&self, text: &str) -> PathBuf {
        let text = text.replace("{{CWD}}", ".").replace("{{ CWD }}", ".");
        let path = expand_home(&self.expand_variables(&text), self.home);
        let mut whole = PathBuf::new();
        for part in self.base.join(path).components() {
            match part {
                Component::ParentDir => {
                    whole.pop();
                }
                Component::CurDir => {}
                other => whole.push(other),
            }
        }
        whole
    }

    /// What the environment does not have stays as it is written.
    fn expand_variables(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let length = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            let (name, end) = match braced {
                Some((name, _)) => (name, name.len() + 2),
                None => (&after[..length], length),
            };
            match self.environment.get(name).filter(|_| !name.is_empty()) {
                Some(value) => out.push_str(value),
                None => out.push_str(&rest[at..=at + end]),
            }
            rest = &after[end..];
        }
        out.push_str(rest);
        out
    }
}
