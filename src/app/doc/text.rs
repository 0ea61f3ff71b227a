//! Text in 80 columns.

/// Columns of a line.
const WIDTH: usize = 80;

/// Columns of names in a list.
const NAMES: usize = 24;

/// Words in lines, indented, each with its end.
pub(super) fn wrap(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    if column > 0 {
        out.push('\n');
    }
    out
}

/// A line of a list: a name and what it means, as far as that goes.
pub(super) fn entry(name: &str, about: &str) -> String {
    let room = WIDTH - 2 - NAMES.max(name.chars().count() + 1);
    let about: String = if about.chars().count() > room {
        about.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    } else {
        about.to_owned()
    };
    format!("  {name:<width$}{about}", width = NAMES.max(name.chars().count() + 1)).trim_end().to_owned() + "\n"
}

/// With an upper-case letter and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let rest = letters.as_str();
    let stop = if text.is_empty() || text.ends_with(['.', '!', '?', '…']) { "" } else { "." };
    format!("{first}{rest}{stop}")
}
