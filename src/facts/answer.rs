//! The probe's answer: sections of text.

use std::collections::BTreeMap;

use crate::base::Output;

/// What begins a section; the name follows.
pub(super) const MARK: &str = "@@stagger ";

/// Sections by name; a section that the host could not fill is empty.
#[derive(Debug, Default)]
pub(super) struct Answer {
    sections: BTreeMap<String, String>,
}

impl Answer {
    /// Takes an answer apart.
    pub(super) fn parse(output: &Output) -> Self {
        let mut sections: BTreeMap<String, String> = BTreeMap::new();
        let text = output.out();
        let mut current: Option<String> = None;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix(MARK) {
                current = Some(name.trim().to_owned());
                sections.entry(name.trim().to_owned()).or_default();
            } else if let Some(section) = current.as_ref().and_then(|name| sections.get_mut(name)) {
                section.push_str(line);
                section.push('\n');
            }
        }
        Self { sections }
    }

    /// A section's text.
    pub(super) fn text(&self, name: &str) -> &str {
        self.sections.get(name).map_or("", String::as_str)
    }

    /// A section's first line, when there is one with anything in it.
    pub(super) fn line(&self, name: &str) -> Option<&str> {
        self.text(name).lines().next().map(str::trim).filter(|line| !line.is_empty())
    }

    /// Whether the host has the file that a section is made of.
    pub(super) fn has(&self, name: &str) -> bool {
        !self.text(name).trim().is_empty()
    }

    /// The value of a `KEY=value` or `KEY="value"` line.
    pub(super) fn shell_value(&self, section: &str, key: &str) -> Option<String> {
        self.text(section).lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            let value = value.trim();
            let bare = value
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .or_else(|| value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')))
                .unwrap_or(value);
            (name.trim() == key && !bare.is_empty()).then(|| bare.to_owned())
        })
    }
}
