//! The counts of each host, exactly as Ansible prints them.

use super::clean::clean_line;
use super::style::{Label, Line};
use crate::event::Tally;

/// Ansible's recap lines, hosts sorted by name. Each ends in blanks, as Ansible's do.
pub(super) fn recap_lines(tallies: &[(String, Tally)], coloured: bool) -> Vec<Line> {
    let mut hosts: Vec<_> = tallies.iter().collect();
    hosts.sort_by(|a, b| a.0.cmp(&b.0));
    hosts.into_iter().map(|(host, tally)| recap_line(&clean_line(host), *tally, coloured)).collect()
}

fn recap_line(host: &str, tally: Tally, coloured: bool) -> Line {
    let whole = if tally.failed > 0 || tally.unreachable > 0 {
        Label::Bad
    } else if tally.changed > 0 {
        Label::Changed
    } else {
        Label::Good
    };
    // Ansible pads a name with colours in it to 37, which is 26 and the colour's eleven bytes.
    let mut line = Line::of(if coloured { whole } else { Label::Plain }, host.to_owned()).padded_to(26).and(" : ");
    let counts = [
        ("ok", tally.ok, Label::Good),
        ("changed", tally.changed, Label::Changed),
        ("unreachable", tally.unreachable, Label::Unreachable),
        ("failed", tally.failed, Label::Bad),
        ("skipped", tally.skipped, Label::Skipped),
        ("rescued", tally.rescued, Label::Good),
        ("ignored", tally.ignored, Label::Changed),
    ];
    for (place, (name, count, label)) in counts.into_iter().enumerate() {
        if place > 0 {
            line = line.and(" ");
        }
        let label = if count > 0 && coloured { label } else { Label::Plain };
        line = line.with(label, format!("{name}={count:<4}"));
    }
    line
}

impl Line {
    /// Adds blanks up to a column; none when it is there already.
    fn padded_to(self, column: usize) -> Self {
        let blanks = column.saturating_sub(self.width());
        self.and(" ".repeat(blanks))
    }
}

#[cfg(test)]
mod tests {
    use super::super::style::Paint;
    use super::*;

    #[test]
    fn the_recap_is_what_ansibles_printf_prints() {
        let tallies = [
            ("h2".to_owned(), Tally { ok: 12345, failed: 1, ..Tally::default() }),
            ("h1".to_owned(), Tally { ok: 4, changed: 1, skipped: 1, ..Tally::default() }),
            ("a-host-with-a-name-longer-than-26".to_owned(), Tally::default()),
        ];
        let lines: Vec<_> = recap_lines(&tallies, false).iter().map(|line| Paint::PLAIN.line(line)).collect();
        // Made by bash's printf with the format of facts: '%-26s : ok=%-4s changed=%-4s …'.
        assert_eq!(
            lines,
            [
                "a-host-with-a-name-longer-than-26 : ok=0    changed=0    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0   ",
                "h1                         : ok=4    changed=1    unreachable=0    failed=0    skipped=1    rescued=0    ignored=0   ",
                "h2                         : ok=12345 changed=0    unreachable=0    failed=1    skipped=0    rescued=0    ignored=0   ",
            ]
        );
        let coloured = Paint { colour: true, unicode: true }.line(&recap_lines(&tallies, true)[1]);
        assert!(
            coloured.starts_with("\x1b[33mh1\x1b[0m                         : \x1b[32mok=4   \x1b[0m "),
            "{coloured}"
        );
    }
}
