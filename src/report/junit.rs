//! A run as a JUnit file, as Ansible's callback `junit` writes it: a test case for each task on each host. It goes beside whatever
//! else shows the run. Of a task's arguments nothing is said (Ansible's JUNIT_HIDE_TASK_ARGUMENTS).

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use super::dump::{Layout, dump_result};
use crate::base::{Map, to_text};
use crate::event::{Event, EventKind, Sink, Status, TaskKey};

/// What is asked of it (Ansible's JUNIT_… variables).
#[derive(Debug, Clone, Default)]
pub(crate) struct JunitOptions {
    /// The folder of the file.
    pub(crate) folder: PathBuf,
    /// The suite: the first playbook's name without its ending.
    pub(crate) suite: String,
    /// What changed counts as a failure.
    pub(crate) fail_on_change: bool,
    /// An ignored failure counts as one.
    pub(crate) fail_on_ignore: bool,
}

/// The sink.
pub(crate) struct Junit {
    options: JunitOptions,
    play: String,
    tasks: Vec<(TaskKey, Task)>,
    cases: Vec<Case>,
}

struct Task {
    play: String,
    name: String,
    place: String,
    start: u64,
}

struct Case {
    name: String,
    class: String,
    took: u64,
    outcome: Outcome,
    text: String,
}

enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Junit {
    /// Writes into the folder of the options, which is made.
    pub(crate) fn new(options: JunitOptions) -> Self {
        Self { options, play: String::new(), tasks: Vec::new(), cases: Vec::new() }
    }

    fn finished(&mut self, at: u64, kind: &EventKind) {
        let EventKind::HostFinished { key, host, status, result, message, .. } = kind else { return };
        let Some((_, task)) = self.tasks.iter().rfind(|(known, _)| known == key) else { return };
        let outcome = match status {
            Status::Changed if self.options.fail_on_change => Outcome::Failed(why(result, message)),
            Status::Ok | Status::Changed => Outcome::Passed,
            Status::Ignored if !self.options.fail_on_ignore => Outcome::Passed,
            Status::Skipped | Status::Unpredictable => {
                let reason = result.get("skip_reason").map_or_else(|| "skipped".to_owned(), to_text);
                Outcome::Skipped(reason)
            }
            _ => Outcome::Failed(why(result, message)),
        };
        // As with Ansible, a name may say that a failure is what is wanted.
        let outcome = match outcome {
            Outcome::Failed(_) if task.name.contains("EXPECTED FAILURE") || task.name.contains("TOGGLE RESULT") => {
                Outcome::Passed
            }
            Outcome::Passed if task.name.contains("TOGGLE RESULT") => Outcome::Failed(why(result, message)),
            outcome => outcome,
        };
        self.cases.push(Case {
            name: format!("[{host}] {}: {}", task.play, task.name),
            class: task.place.clone(),
            took: at.saturating_sub(task.start),
            outcome,
            text: dump_result(result, Layout::Line, 0),
        });
    }

    fn xml(&self) -> String {
        let count = |of: fn(&Outcome) -> bool| self.cases.iter().filter(|case| of(&case.outcome)).count();
        let failures = count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        let time = seconds(self.cases.iter().map(|case| case.took).sum());
        let tests = self.cases.len();
        let mut xml = format!(
            "<?xml version=\"1.0\" ?>\n<testsuites disabled=\"0\" errors=\"0\" failures=\"{failures}\" tests=\"{tests}\" time=\"{time}\">\n\t<testsuite disabled=\"0\" errors=\"0\" failures=\"{failures}\" name=\"{}\" skipped=\"{skipped}\" tests=\"{tests}\" time=\"{time}\">\n",
            escaped(&self.options.suite)
        );
        for case in &self.cases {
            let inner = match &case.outcome {
                Outcome::Passed => format!("<system-out>{}</system-out>", escaped(&case.text)),
                Outcome::Failed(why) => {
                    format!("<failure message=\"{}\" type=\"failure\">{}</failure>", escaped(why), escaped(&case.text))
                }
                Outcome::Skipped(why) => format!("<skipped>{}</skipped>", escaped(why)),
            };
            let _ = write!(
                xml,
                "\t\t<testcase classname=\"{}\" name=\"{}\" time=\"{}\">\n\t\t\t{inner}\n\t\t</testcase>\n",
                escaped(&case.class),
                escaped(&case.name),
                seconds(case.took)
            );
        }
        xml + "\t</testsuite>\n</testsuites>\n"
    }

    fn write(&self, at: u64) -> io::Result<()> {
        std::fs::create_dir_all(&self.options.folder)?;
        let name = format!("{}-{}.xml", self.options.suite, seconds(at));
        std::fs::write(self.options.folder.join(name), self.xml())
    }
}

/// Why a task failed: its message, else its exit code.
fn why(result: &Map, message: &str) -> String {
    match (result.get("msg"), message) {
        (Some(msg), _) => to_text(msg),
        (None, "") => format!("rc={}", result.get("rc").map_or_else(|| "0".to_owned(), to_text)),
        (None, message) => message.to_owned(),
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

/// For XML; what XML can't hold is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

impl Sink for Junit {
    fn on(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::PlayStarted { name, .. } => self.play.clone_from(name),
            EventKind::TaskStarted { key, name, module, place, .. } => {
                let name = if name.is_empty() { module } else { name };
                let (play, name, place) = (self.play.clone(), name.clone(), place.clone());
                self.tasks.push((key.clone(), Task { play, name, place, start: event.at }));
            }
            EventKind::TaskFinished { key } => self.tasks.retain(|(known, _)| known != key),
            kind @ EventKind::HostFinished { .. } => self.finished(event.at, kind),
            EventKind::RunFinished { .. } => return self.write(event.at),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::fixture::{at, every_kind, finished, key};

    #[test]
    fn each_task_of_each_host_is_a_case() {
        let folder = tempfile::tempdir().unwrap();
        let options =
            JunitOptions { folder: folder.path().join("out"), suite: "site".to_owned(), ..Default::default() };
        let mut sink = Junit::new(options);
        let task = EventKind::TaskStarted {
            key: key(),
            name: "it <is> \"so\"".to_owned(),
            module: "command".to_owned(),
            handler: false,
            place: "p.yml:3".to_owned(),
            hosts: 3,
        };
        let ended = every_kind("x").into_iter().find(|kind| matches!(kind, EventKind::RunFinished { .. })).unwrap();
        let ends = [Status::Ok, Status::Failed, Status::Skipped];
        sink.on(&at(0, task)).unwrap();
        for (status, host) in ends.into_iter().zip(["h1", "h2", "h3"]) {
            sink.on(&at(1500, finished(host, status))).unwrap();
        }
        sink.on(&at(2000, ended)).unwrap();
        let file = folder.path().join("out/site-1700052062.000.xml");
        #[expect(clippy::disallowed_methods, reason = "a test reads what was written")]
        let xml = std::fs::read_to_string(file).unwrap();
        assert!(xml.contains("failures=\"1\" name=\"site\" skipped=\"1\" tests=\"3\" time=\"4.500\""), "{xml}");
        assert!(
            xml.contains("classname=\"p.yml:3\" name=\"[h1] : it &lt;is&gt; &quot;so&quot;\" time=\"1.500\""),
            "{xml}"
        );
        assert!(xml.contains("<failure message=\"rc=0\" type=\"failure\">"), "{xml}");
    }
}
