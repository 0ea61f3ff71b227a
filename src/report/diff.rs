//! Differences, with Ansible's headers.

use similar::TextDiff;

use super::clean::clean_lines;
use super::style::{Label, Line};
use crate::event::StepDiff;

/// Texts longer than this together are not compared, as in Ansible (`max_diff_size`).
const LARGEST: usize = 104_448;

/// A difference as lines; none when there is none to see.
pub(super) fn diff_lines(diff: &StepDiff) -> Vec<Line> {
    if diff.before.len() > LARGEST || diff.after.len() > LARGEST {
        return vec![Line::of(Label::Dim, format!("diff skipped: a text is larger than {LARGEST} bytes"))];
    }
    if diff.before == diff.after {
        return Vec::new();
    }
    let name = |side: &str, header: &str| if header.is_empty() { side.to_owned() } else { format!("{side}: {header}") };
    let text = TextDiff::from_lines(&diff.before, &diff.after);
    let unified = text
        .unified_diff()
        .context_radius(3)
        .header(&name("before", &diff.before_header), &name("after", &diff.after_header))
        .to_string();
    let mut lines = Vec::new();
    for (place, line) in clean_lines(&unified).enumerate() {
        let label = match line.as_bytes().first() {
            _ if place == 0 => Label::Removed,
            _ if place == 1 => Label::Added,
            Some(b'-') => Label::Removed,
            Some(b'+') => Label::Added,
            Some(b'@') => Label::Hunk,
            _ => Label::Plain,
        };
        lines.push(Line::of(label, line));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::style::Paint;

    #[test]
    fn a_difference_has_ansibles_headers_and_no_escape_sequences() {
        let diff = StepDiff {
            before_header: "/etc/m".to_owned(),
            after_header: "/etc/m".to_owned(),
            before: "a\nb\n".to_owned(),
            after: "a\n\x1b[2Jc".to_owned(),
        };
        let text: Vec<_> = diff_lines(&diff).iter().map(|line| Paint::PLAIN.line(line)).collect();
        insta::assert_snapshot!(text.join("\n"), @r"
        --- before: /etc/m
        +++ after: /etc/m
        @@ -1,2 +1,2 @@
         a
        -b
        +\x1b[2Jc
        \ No newline at end of file
        ");
    }
}
