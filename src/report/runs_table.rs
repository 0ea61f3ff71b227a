//! Runs as a table.

use super::clean::clean_line;
use super::style::{Label, Line, Paint, width};
use super::tree::RunState;

/// A run as it stands in the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// The run's id.
    pub(crate) run: String,
    /// When it began.
    pub(crate) when: String,
    /// How it stands.
    pub(crate) state: RunState,
    /// `3/8`.
    pub(crate) hosts: String,
    /// For how long.
    pub(crate) took: String,
    /// What it does, on what, by whom.
    pub(crate) what: String,
}

/// The table as text. At a terminal a line that is too long is cut; elsewhere nothing is.
pub(crate) fn table(rows: &[Row], paint: Paint, columns: Option<usize>) -> String {
    let widest = |of: &dyn Fn(&Row) -> &str, head: &str| {
        rows.iter().map(|row| width(of(row))).max().unwrap_or(0).max(head.len())
    };
    let (hosts, took) = (widest(&|row| &row.hosts, "HOSTS"), widest(&|row| &row.took, "TOOK"));
    let line = |run: &str, when: &str, state: Line, count: &str, time: &str, what: &str| {
        let mut line = Line::of(Label::Strong, format!("{run:14}")).and(format!("  {when:16}  "));
        let column = line.width() + 9;
        for (label, part) in state.parts() {
            line = line.with(label, part);
        }
        line.filled_to(column).and(format!(" {count:>hosts$}  {time:>took$}  ")).and(what)
    };
    let head = line("RUN", "BEGAN", Line::plain("STATE"), "HOSTS", "TOOK", "WHAT");
    let body = rows.iter().map(|row| {
        let label = match row.state {
            RunState::Complete => Label::Good,
            RunState::Running => Label::Strong,
            RunState::Waiting | RunState::Paused => Label::Changed,
            _ => Label::Bad,
        };
        line(&row.run, &row.when, Line::of(label, row.state.word()), &row.hosts, &row.took, &clean_line(&row.what))
    });
    let lines = std::iter::once(head).chain(body);
    lines
        .map(|line| match columns {
            Some(columns) => line.cut(columns),
            None => line,
        })
        .map(|line| paint.line(&line).trim_end().to_owned() + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_one_another_and_only_a_terminal_cuts() {
        let row = |state, hosts: &str, what: &str| Row {
            run: "01kq7yv8e5abcd".to_owned(),
            when: "2026-11-25 02:41".to_owned(),
            state,
            hosts: hosts.to_owned(),
            took: "5:12".to_owned(),
            what: what.to_owned(),
        };
        let long = "playbooks/mesos/upgrade-0.13-to-0.14.yml on production.yml  by ann@bastion-1";
        let rows = [row(RunState::Complete, "8/8", long), row(RunState::Died, "10/1234", "a\u{1b}[2Jb")];
        let text = table(&rows, Paint::PLAIN, Some(80));
        assert_eq!(
            text,
            "RUN             BEGAN             STATE       HOSTS  TOOK  WHAT\n\
             01kq7yv8e5abcd  2026-11-25 02:41  complete      8/8  5:12  playbooks/mesos/upgr…\n\
             01kq7yv8e5abcd  2026-11-25 02:41  died      10/1234  5:12  a\\x1b[2Jb\n"
        );
        assert!(table(&rows, Paint::PLAIN, None).contains(long));
    }
}
