//! Why a service ended, in its own words: the fatal line of the log that the scripts send along.

use crate::base::{Map, Value};
use crate::cluster::mesos::last_fatal;
use crate::modules::Failure;

/// What the scripts print before the log.
const MARK: &str = "its log ends with:\n";

/// Lines of the log that stay in the message.
const SHOWN: usize = 15;

/// The longest line that is quoted, characters.
const LONGEST: usize = 300;

/// Words of lines that say why; the last such line counts.
const FATAL: [&str; 14] = [
    "fatal",
    "panic",
    "error",
    "exception",
    "failed",
    "cannot",
    "can't",
    "could not",
    "unable to",
    "no such file",
    "denied",
    "in use",
    "invalid",
    "unknown",
];

/// The line in which a daemon says why it ended.
fn fatal_line(log: &str) -> Option<String> {
    if let Some(fatal) = last_fatal(log) {
        return Some(fatal.line);
    }
    let says = |line: &&str| {
        let lower = line.to_lowercase();
        // Help texts list options, and stack traces places: neither is the reason.
        !lower.trim_start().starts_with("--")
            && !lower.trim_start().starts_with("at ")
            && FATAL.iter().any(|word| lower.contains(word))
    };
    log.lines().rev().find(says).map(|line| line.trim().chars().take(LONGEST).collect())
}

/// Puts that line into the first line of the message, and leaves of the log no more than its end.
pub(in crate::modules) fn quoted(failure: Failure) -> Failure {
    let Some((said, log)) = failure.message.split_once(MARK) else { return failure };
    let lines: Vec<&str> = log.lines().collect();
    let end = lines.get(lines.len().saturating_sub(SHOWN)..).unwrap_or_default().join("\n");
    let (first, more) = said.split_once('\n').unwrap_or((said, ""));
    let first = match fatal_line(log) {
        Some(line) => format!("{first}; its log says `{line}`"),
        None => first.to_owned(),
    };
    let message = format!("{first}\n{more}{MARK}{end}");
    let mut result: Map = failure.result;
    result.insert("stderr".to_owned(), Value::from(message.as_str()));
    Failure { message, result }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_line(log: &str) -> String {
        let failure = Failure::new(format!("x died within 1 s of its start\n{MARK}{log}"));
        quoted(failure).message.lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_fatal_line_stands_first_however_long_a_help_text_follows() {
        let usage = "  --option=VALUE      an option that may be unknown\n".repeat(100);
        let log = format!("Failed to load unknown flag 'quorum'\nUsage: mesos-master [...]\n{usage}");
        assert_eq!(
            first_line(&log),
            "x died within 1 s of its start; its log says `Failed to load unknown flag 'quorum'`"
        );
        let whole = quoted(Failure::new(format!("x died\n{MARK}{log}"))).message;
        assert!(whole.lines().count() <= SHOWN + 2, "{whole}");
        let java = "java.net.BindException: Address already in use\n\tat sun.nio.ch.Net.bind\n";
        assert!(first_line(java).ends_with("its log says `java.net.BindException: Address already in use`"));
        assert_eq!(first_line("started\nlistening\n"), "x died within 1 s of its start", "nothing is made up");
    }
}
