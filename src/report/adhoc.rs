//! One module on hosts as `ansible` prints it, in its usual form or one line a host (`-o`).

use std::io;

use super::clean::{clean_line, clean_lines};
use super::diff::diff_lines;
use super::dump::{Layout, dump_result};
use super::out::Out;
use super::style::{Label, Line, Paint};
use crate::base::{Map, to_text};
use crate::event::{Event, EventKind, Sink, Status};

/// The sink.
pub(crate) struct AdHoc {
    out: Out,
    errors: Out,
    paint: Paint,
    verbosity: u8,
    one_line: bool,
    module: String,
}

impl AdHoc {
    /// To standard output and error, or other two.
    pub(crate) fn new(out: Out, errors: Out, paint: Paint, verbosity: u8, one_line: bool) -> Self {
        Self { out, errors, paint, verbosity, one_line, module: String::new() }
    }

    /// Ansible prints what these modules' commands said, not their results.
    fn speaks(&self, result: &Map) -> bool {
        matches!(self.module.as_str(), "command" | "shell" | "raw")
            && !result.contains_key("module_stderr")
            && !result.contains_key("censored")
    }

    fn lines(&self, host: &str, status: Status, result: &Map) -> Vec<Line> {
        let (label, caption) = match status {
            Status::Ok => (Label::Good, "SUCCESS"),
            Status::Changed => (Label::Changed, "CHANGED"),
            Status::Skipped | Status::Unpredictable => {
                return vec![Line::of(Label::Skipped, format!("{host} | SKIPPED"))];
            }
            Status::Unreachable | Status::Unknown => {
                let text = if self.one_line {
                    format!("{host} | UNREACHABLE!: {}", clean_line(&text_of(result, "msg")))
                } else {
                    format!("{host} | UNREACHABLE! => {}", dump_result(result, Layout::Indented, self.verbosity))
                };
                return block(Label::Unreachable, &text);
            }
            Status::Failed | Status::Ignored | Status::Bug => (Label::Bad, "FAILED"),
        };
        if self.speaks(result) {
            let status = result.get("rc").map_or_else(|| "-1".to_owned(), to_text);
            if self.one_line {
                let mut text =
                    format!("{host} | {caption} | rc={status} | (stdout) {}", flat(&text_of(result, "stdout")));
                let said = text_of(result, "stderr");
                if !said.is_empty() {
                    text = format!("{text} (stderr) {}", flat(&said));
                }
                return vec![Line::of(label, text)];
            }
            let said = ["stdout", "stderr", "msg"].map(|key| text_of(result, key)).concat();
            let mut lines = vec![Line::of(label, format!("{host} | {caption} | rc={status} >>"))];
            lines.extend(clean_lines(&said).map(|line| Line::of(label, line)));
            return lines;
        }
        let mark = if label == Label::Bad { "!" } else { "" };
        let layout = if self.one_line { Layout::Tight } else { Layout::Indented };
        block(label, &format!("{host} | {caption}{mark} => {}", dump_result(result, layout, self.verbosity)))
    }
}

/// Newlines written out, as Ansible does for `-o`; a trailing one too.
fn flat(text: &str) -> String {
    clean_line(&text.replace('\r', "\\r").replace('\n', "\\n"))
}

fn text_of(result: &Map, key: &str) -> String {
    result.get(key).map(to_text).unwrap_or_default()
}

fn block(label: Label, text: &str) -> Vec<Line> {
    text.lines().map(|line| Line::of(label, line)).collect()
}

impl Sink for AdHoc {
    fn on(&mut self, event: &Event) -> io::Result<()> {
        let mut lines = Vec::new();
        match &event.kind {
            EventKind::TaskStarted { module, .. } => self.module = module.clone(),
            EventKind::HostFinished { host, status, steps, result, message, .. } => {
                for diff in steps.iter().filter_map(|step| step.diff.as_ref()) {
                    lines.extend(diff_lines(diff));
                }
                let mut result = result.clone();
                if status.ends_host()
                    && !message.is_empty()
                    && !result.contains_key("msg")
                    && !result.contains_key("censored")
                {
                    result.insert("msg".to_owned(), message.clone().into());
                }
                lines.extend(self.lines(&clean_line(host), *status, &result));
            }
            EventKind::Warning { message } => {
                let line = Line::of(Label::Warning, format!("[WARNING]: {}", clean_line(message)));
                return self.errors.write(&(self.paint.line(&line) + "\n"));
            }
            EventKind::Note { message } => lines.extend(clean_lines(message).map(Line::plain)),
            _ => {}
        }
        let text: String = lines.iter().map(|line| self.paint.line(line) + "\n").collect();
        self.out.write(&text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::Value;
    use crate::event::fixture::{event, finished, key};
    use crate::report::out::fixture::Written;

    fn printed(module: &str, one_line: bool, status: Status, result: Value) -> String {
        let written = Written::default();
        let mut sink = AdHoc::new(written.out(), written.out(), Paint::PLAIN, 0, one_line);
        sink.on(&event(EventKind::TaskStarted {
            key: key(),
            name: module.to_owned(),
            module: module.to_owned(),
            handler: false,
            place: String::new(),
            hosts: 1,
        }))
        .unwrap();
        let mut kind = finished("h1", status);
        if let (EventKind::HostFinished { result, .. }, Value::Object(map)) = (&mut kind, result) {
            *result = map;
        }
        sink.on(&event(kind)).unwrap();
        written.text()
    }

    #[test]
    fn commands_are_shown_by_what_they_said() {
        let result = || json!({"rc": 0, "stdout": "hi\nyou", "stderr": "", "changed": true});
        assert_eq!(printed("command", false, Status::Changed, result()), "h1 | CHANGED | rc=0 >>\nhi\nyou\n");
        assert_eq!(printed("command", true, Status::Changed, result()), "h1 | CHANGED | rc=0 | (stdout) hi\\nyou\n");
        let failed = || json!({"rc": 1, "stdout": "", "stderr": "bad\u{1b}[2J", "msg": "non-zero return code"});
        assert_eq!(
            printed("shell", false, Status::Failed, failed()),
            "h1 | FAILED | rc=1 >>\nbad\\x1b[2Jnon-zero return code\n"
        );
        assert_eq!(
            printed("shell", true, Status::Failed, failed()),
            "h1 | FAILED | rc=1 | (stdout)  (stderr) bad\\x1b[2J\n"
        );
    }

    #[test]
    fn other_modules_are_shown_by_their_result() {
        let pong = || json!({"ping": "pong", "changed": false});
        assert_eq!(
            printed("ping", false, Status::Ok, pong()),
            "h1 | SUCCESS => {\n    \"changed\": false,\n    \"ping\": \"pong\"\n}\n"
        );
        assert_eq!(
            printed("ping", true, Status::Ok, pong()),
            "h1 | SUCCESS => {\"changed\": false,\"ping\": \"pong\"}\n"
        );
        let gone = || json!({"msg": "refused", "unreachable": true, "changed": false});
        assert_eq!(
            printed("command", false, Status::Unreachable, gone()),
            "h1 | UNREACHABLE! => {\n    \"changed\": false,\n    \"msg\": \"refused\",\n    \"unreachable\": true\n}\n"
        );
        assert_eq!(printed("command", true, Status::Unreachable, gone()), "h1 | UNREACHABLE!: refused\n");
        assert_eq!(
            printed("copy", false, Status::Failed, json!({"msg": "no"})),
            "h1 | FAILED! => {\n    \"msg\": \"no\"\n}\n"
        );
        assert_eq!(printed("copy", false, Status::Skipped, json!({})), "h1 | SKIPPED\n");
    }
}
