//! The counts of each host, exactly as Ansible prints them.

use super::clean::clean_line;
use super::style::{Label, Line, width};
use crate::event::Tally;

/// Ansible's recap lines, hosts sorted by name. Each ends in blanks, as Ansible's do.
pub(super) fn recap_lines(tallies: &[(String, Tally)], coloured: bool) -> Vec<Line> {
    let mut hosts: Vec<_> = tallies.iter().collect();
    hosts.sort_by(|a, b| a.0.cmp(&b.0));
    hosts.into_iter().map(|(host, tally)| recap_line(&clean_line(host), *tally, coloured)).collect()
}

/// The same counts for a screen: columns no wider than what stands in them, so that they fit into 80 as long as names
/// are short; the last two only where they are not 0 everywhere.
pub(super) fn narrow_lines(tallies: &[(String, Tally)]) -> Vec<Line> {
    let mut hosts: Vec<_> = tallies.iter().map(|(host, tally)| (clean_line(host), *tally)).collect();
    hosts.sort_by(|a, b| a.0.cmp(&b.0));
    let name = hosts.iter().map(|(host, _)| width(host)).max().unwrap_or(0);
    let rare = |place: usize| place >= 5 && hosts.iter().all(|(_, tally)| counts(*tally)[place].1 == 0);
    let widest = |place: usize| {
        let digits = hosts.iter().map(|(_, tally)| counts(*tally)[place].1.to_string().len());
        digits.max().unwrap_or(1)
    };
    hosts
        .iter()
        .map(|(host, tally)| {
            let mut line = Line::of(label(*tally), host.clone()).padded_to(name).and(" :");
            for (place, (name, count, label)) in counts(*tally).into_iter().enumerate() {
                if !rare(place) {
                    let label = if count > 0 { label } else { Label::Plain };
                    line = line.and(" ").with(label, format!("{name}={count:<0$}", widest(place)));
                }
            }
            line
        })
        .collect()
}

fn label(tally: Tally) -> Label {
    if tally.failed > 0 || tally.unreachable > 0 {
        Label::Bad
    } else if tally.changed > 0 {
        Label::Changed
    } else {
        Label::Good
    }
}

fn counts(tally: Tally) -> [(&'static str, u32, Label); 7] {
    [
        ("ok", tally.ok, Label::Good),
        ("changed", tally.changed, Label::Changed),
        ("unreachable", tally.unreachable, Label::Unreachable),
        ("failed", tally.failed, Label::Bad),
        ("skipped", tally.skipped, Label::Skipped),
        ("rescued", tally.rescued, Label::Good),
        ("ignored", tally.ignored, Label::Changed),
    ]
}

fn recap_line(host: &str, tally: Tally, coloured: bool) -> Line {
    let whole = label(tally);
    // Ansible pads a name with colours in it to 37, which is 26 and the colour's eleven bytes.
    let mut line = Line::of(if coloured { whole } else { Label::Plain }, host.to_owned()).padded_to(26).and(" : ");
    for (place, (name, count, label)) in counts(tally).into_iter().enumerate() {
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
    use super::*;
    use crate::report::style::Paint;

    #[test]
    fn a_screens_recap_has_columns_as_wide_as_what_stands_in_them() {
        let tallies = [
            ("m10".to_owned(), Tally { ok: 14, changed: 6, skipped: 3, ..Tally::default() }),
            ("m1".to_owned(), Tally { ok: 4, ..Tally::default() }),
        ];
        let lines: Vec<_> = narrow_lines(&tallies).iter().map(|line| Paint::PLAIN.line(line)).collect();
        assert_eq!(
            lines,
            [
                "m1  : ok=4  changed=0 unreachable=0 failed=0 skipped=0",
                "m10 : ok=14 changed=6 unreachable=0 failed=0 skipped=3",
            ]
        );
        let rescued = [("a".to_owned(), Tally { rescued: 1, ..Tally::default() })];
        assert_eq!(
            Paint::PLAIN.line(&narrow_lines(&rescued)[0]),
            "a : ok=0 changed=0 unreachable=0 failed=0 skipped=0 rescued=1"
        );
    }

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
