//! Lines made of labelled parts, and the one place that knows what a label looks like.

use unicode_width::UnicodeWidthChar;

use super::clean::clean_part;

/// What a part of a line is. Colours follow Ansible's: ok green, changed yellow, failed red, skipped cyan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Label {
    Plain,
    Strong,
    /// To be copied and typed: never broken.
    Command,
    Dim,
    Good,
    Changed,
    Bad,
    Unreachable,
    Skipped,
    Warning,
    Added,
    Removed,
    Hunk,
}

impl Label {
    /// The SGR parameters of a label; empty for none.
    fn colour(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong | Self::Command => "1",
            Self::Dim => "2",
            Self::Good | Self::Added => "32",
            Self::Changed => "33",
            Self::Bad | Self::Removed => "31",
            Self::Unreachable => "1;31",
            Self::Skipped | Self::Hunk => "36",
            Self::Warning => "1;35",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Line(Vec<(Label, String)>);

impl Line {
    /// An empty line.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A line of one plain part.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::new().with(Label::Plain, text)
    }

    /// A line of one part.
    pub(super) fn of(label: Label, text: impl Into<String>) -> Self {
        Self::new().with(label, text)
    }

    /// Adds a part.
    #[must_use]
    pub(super) fn with(mut self, label: Label, text: impl Into<String>) -> Self {
        self.0.push((label, text.into()));
        self
    }

    /// Adds a plain part.
    #[must_use]
    pub(super) fn and(self, text: impl Into<String>) -> Self {
        self.with(Label::Plain, text)
    }

    /// Adds a plain part in front.
    #[must_use]
    pub(super) fn before(mut self, text: &str) -> Self {
        self.0.insert(0, (Label::Plain, text.to_owned()));
        self
    }

    /// Its parts.
    pub(super) fn parts(self) -> impl Iterator<Item = (Label, String)> {
        self.0.into_iter()
    }

    /// Its text without labels.
    pub(super) fn text(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// Columns that it takes.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| width(text)).sum()
    }

    /// Adds blanks up to a column; one at least.
    #[must_use]
    pub(super) fn filled_to(self, column: usize) -> Self {
        let blanks = column.saturating_sub(self.width()).max(1);
        self.and(" ".repeat(blanks))
    }

    /// The line as lines of a width, broken between words, the rest indented. Commands and differences stay as they are.
    pub(super) fn wrapped(self, columns: usize) -> Vec<Self> {
        let whole = |label: &Label| matches!(label, Label::Command | Label::Added | Label::Removed | Label::Hunk);
        if self.width() <= columns || self.0.iter().any(|(label, _)| whole(label)) {
            return vec![self];
        }
        let text = self.text();
        let indent = text.len() - text.trim_start_matches(' ').len();
        let hanging = (indent + 4).min(columns / 2);
        let mut lines = Vec::new();
        let mut line = Self::new();
        let mut used = 0;
        for (label, text) in &self.0 {
            for word in text.split_inclusive(' ') {
                let wide = width(word.trim_end_matches(' '));
                if used > hanging && used + wide > columns {
                    lines.push(std::mem::take(&mut line));
                    line = Self::plain(" ".repeat(hanging));
                    used = hanging;
                }
                line = line.with(*label, word);
                used += width(word);
            }
        }
        lines.push(line);
        lines
    }

    /// The line cut to a width, with `…` where something is left out.
    #[must_use]
    pub(super) fn cut(self, columns: usize) -> Self {
        if self.width() <= columns {
            return self;
        }
        let mut left = columns.saturating_sub(1);
        let mut cut = Self::new();
        for (label, text) in self.0 {
            let part = prefix(&text, left);
            left -= width(part);
            let whole = part.len() == text.len();
            cut = cut.with(label, part);
            if !whole {
                break;
            }
        }
        cut.and("…")
    }
}

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The beginning of a text that fits.
fn prefix(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (place, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > columns {
            return &text[..place];
        }
    }
    text
}

/// How lines become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    /// With ANSI colours.
    pub(crate) colour: bool,
    /// The other side understands UTF-8. If not, what is not ASCII is replaced.
    pub(crate) unicode: bool,
}

impl Paint {
    /// No colours, UTF-8.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { colour: false, unicode: true };

    /// A line as text, without an end.
    pub(super) fn line(self, line: &Line) -> String {
        let mut text = String::new();
        for (label, part) in &line.0 {
            let colour = label.colour();
            let part = clean_part(part);
            let part = if self.unicode { part } else { ascii(&part).into() };
            if self.colour && !colour.is_empty() && !part.is_empty() {
                text.push_str("\x1b[");
                text.push_str(colour);
                text.push('m');
                text.push_str(&part);
                text.push_str("\x1b[0m");
            } else {
                text.push_str(&part);
            }
        }
        text
    }
}

/// A text in ASCII: our own signs have counterparts of the same width, other characters become `?`.
fn ascii(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '✔' => '+',
            '✘' | '×' => 'x',
            '▶' => '>',
            '◦' | '·' | '–' => '-',
            '█' => '#',
            '░' | '…' => '.',
            '→' => '>',
            '├' | '└' => '+',
            '─' => '-',
            '│' => '|',
            c if c.is_ascii() => c,
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_broken_between_words_and_a_command_never() {
        let line = Line::of(Label::Good, "  ok: m1  ").with(Label::Strong, "wait for one leader").and(": two lead");
        let lines: Vec<_> = line.wrapped(24).iter().map(Line::text).collect();
        assert_eq!(lines, ["  ok: m1  wait for one ", "      leader: two lead"]);
        let line = Line::plain("to do it: ").with(Label::Command, "stagger run a-long-name.yml");
        assert_eq!(line.clone().wrapped(20), [line]);
        let word = Line::plain("a-word-that-is-longer-than-a-line");
        assert_eq!(word.clone().wrapped(20), [word]);
    }

    #[test]
    fn a_line_is_cut_by_columns_and_painted_part_by_part() {
        let line = Line::of(Label::Bad, "漢字 failed").and(" ✔ m1");
        assert_eq!(line.width(), 16);
        let cut = line.clone().cut(14);
        assert_eq!(Paint::PLAIN.line(&cut), "漢字 failed ✔…");
        assert_eq!(Paint::PLAIN.line(&line.clone().cut(4)), "漢…");
        assert_eq!(Paint { colour: true, unicode: false }.line(&line), "\x1b[31m?? failed\x1b[0m + m1");
    }
}
