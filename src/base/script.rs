//! Shell scripts as lists of quoted words. No `format!` makes a command anywhere else.

use std::fmt::Write as _;

/// Quotes one word for a POSIX shell. A word that needs no quotes gets none. NUL can't be in a word and is dropped.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('\'');
    for c in word.chars().filter(|c| *c != '\0') {
        if c == '\'' { quoted.push_str("'\\''") } else { quoted.push(c) }
    }
    quoted.push('\'');
    quoted
}

/// A POSIX `sh` script (dash and busybox ash run it), built from fixed text of ours and quoted words of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Script {
    text: String,
}

impl Script {
    /// An empty script.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds lines that are ours, as they stand.
    #[must_use]
    pub(crate) fn line(mut self, fixed: &'static str) -> Self {
        self.text.push_str(fixed);
        self.text.push('\n');
        self
    }

    /// Sets a shell variable to any text: `name='value'`. The fixed lines then use `"$name"`.
    #[must_use]
    pub(crate) fn set(mut self, name: &'static str, value: &str) -> Self {
        let _ = writeln!(self.text, "{name}={}", quote(value));
        self
    }

    /// Sets the positional parameters: `set -- 'a' 'b'`.
    #[must_use]
    pub(crate) fn arguments<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Self {
        self.text.push_str("set --");
        for word in words {
            self.text.push(' ');
            self.text.push_str(&quote(word));
        }
        self.text.push('\n');
        self
    }

    /// Adds one command made of words, each quoted.
    #[must_use]
    pub(crate) fn command<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Self {
        for (place, word) in words.into_iter().enumerate() {
            if place > 0 {
                self.text.push(' ');
            }
            self.text.push_str(&quote(word));
        }
        self.text.push('\n');
        self
    }

    /// Adds shell text that the user wrote (`shell:`, `raw:`): the one place where foreign text is not quoted.
    #[must_use]
    pub(crate) fn user_text(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self.text.push('\n');
        self
    }

    /// Adds the lines of another script.
    #[must_use]
    pub(crate) fn then(mut self, other: &Script) -> Self {
        self.text.push_str(&other.text);
        self
    }

    /// Whether there is nothing to run.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The script's text.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_any_shell() {
        assert_eq!(quote("/etc/mesos-slave"), "/etc/mesos-slave");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("it's"), "'it'\\''s'");
        assert_eq!(quote("$(reboot)"), "'$(reboot)'");
        assert_eq!(quote("a\nb"), "'a\nb'");
        assert_eq!(quote("~root"), "'~root'");
    }

    #[test]
    fn a_script_is_lines() {
        let script = Script::new().set("path", "/a b").line("cat \"$path\"").command(["echo", "x y"]);
        assert_eq!(script.as_str(), "path='/a b'\ncat \"$path\"\necho 'x y'\n");
    }
}
