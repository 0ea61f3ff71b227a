//! What was seen of a run, and how two runs are compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// All that can be seen of a run.
pub(super) struct Seen {
    pub(super) exit: i32,
    /// Whether it was a preview: results then have more to say here than there.
    pub(super) check: bool,
    pub(super) text: String,
    pub(super) errors: String,
    /// `{task, host, status, result}` in order.
    pub(super) results: Vec<Value>,
    pub(super) files: BTreeMap<String, Vec<String>>,
}

impl Seen {
    pub(super) fn write(&self) -> String {
        let results: Vec<Value> = self.results.iter().map(|one| super::sorted(&clean(one))).collect();
        let whole = json!({
            "exit": self.exit,
            "text": lines(&self.text),
            "results": results,
            "files": self.files,
        });
        serde_json::to_string_pretty(&whole).expect("JSON") + "\n"
    }

    pub(super) fn read(text: &str) -> Self {
        let whole: Value = serde_json::from_str(text).expect("JSON");
        Self {
            exit: i32::try_from(whole["exit"].as_i64().expect("a number")).expect("small"),
            check: false,
            text: whole["text"].as_array().expect("lines").iter().fold(String::new(), |mut text, line| {
                let _ = writeln!(text, "{}", line.as_str().unwrap_or_default());
                text
            }),
            errors: String::new(),
            results: whole["results"].as_array().expect("results").clone(),
            files: serde_json::from_value(whole["files"].clone()).expect("files"),
        }
    }
}

/// Keys that say nothing about what was done, or that only one of the two can know.
const LEFT_OUT: &[&str] = &[
    "invocation",
    "warnings",
    "deprecations",
    "exception",
    "ansible_facts",
    "atime",
    "ctime",
    "mtime",
    "inode",
    "dev",
    "device_type",
    "block_size",
    "blocks",
    "attr_flags",
    "attributes",
    "version",
    "mimetype",
    "charset",
    "nlink",
    "module_stdout",
    "module_stderr",
    "extract_results",
    "failed_when_suppressed_exception",
    "timedout",
    "_ansible_parsed",
    "_ansible_no_log",
    "_ansible_verbose_always",
    "_ansible_verbose_override",
    "_ansible_delegated_vars",
    "_ansible_item_label",
    "_ansible_ignore_errors",
    "src",
    "diff",
    "md5sum",
    "handler",
];

/// Values that are a time, or a person's words: compared by form.
const BY_FORM: &[&str] = &["start", "end", "stop", "delta", "msg", "stderr", "stderr_lines", "elapsed", "stdout"];

/// Keys that Ansible's failures have and ours need not.
const LEFT_OUT_OF_FAILURES: &[&str] = &[
    "gid",
    "group",
    "mode",
    "owner",
    "path",
    "size",
    "state",
    "uid",
    "checksum",
    "exit_status",
    "stderr_lines",
    "stdout",
    "stdout_lines",
];

fn clean(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut out = Map::new();
            for (key, value) in map {
                if !LEFT_OUT.contains(&key.as_str()) {
                    out.insert(key.clone(), clean(value));
                }
            }
            Value::Object(out)
        }
        Value::Array(items) => Value::Array(items.iter().map(clean).collect()),
        other => other.clone(),
    }
}

/// Every digit of a time is a `0`.
fn form(key: &str, value: &Value, failed: bool) -> Value {
    match (key, value) {
        ("start" | "end" | "stop" | "delta", Value::String(text)) => {
            let text: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            Value::from(text)
        }
        ("stdout", Value::String(text)) if text.starts_with("Paused for ") => Value::from("a pause"),
        ("elapsed", Value::Number(_)) => Value::from("a number"),
        // Why something failed is told in words of our own.
        ("msg", _) if failed => Value::from("a message"),
        // Messages of programs differ with the shell that starts them.
        ("stderr" | "stderr_lines", _) if failed => Value::from("a message"),
        _ => value.clone(),
    }
}

/// What differs on purpose or is told less of, by task: each a line that begins so.
const KNOWN: &[&str] = &[
    // A program that is not there: Ansible's `cmd` is text for once, and it has no times; here it has.
    "a command that is not there on h1: .cmd",
    "a command that is not there on h1: .start",
    "a command that is not there on h1: .end",
    "a command that is not there on h1: .delta",
    // Under `no_log` a loop's result is hidden whole; the items' lines are shown all the same.
    "hidden items on h1: .results",
];

fn differences(path: &str, theirs: &Value, ours: &Value, failed: bool, check: bool, out: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let failed = failed || a.get("failed") == Some(&Value::from(true)) || a.contains_key("failed_when_result");
            for (key, value) in a {
                match b.get(key) {
                    // What a file is like, where it could not be made so, is not repeated in a failure.
                    None if failed && LEFT_OUT_OF_FAILURES.contains(&key.as_str()) => {}
                    // A folder's size is its file system's business.
                    _ if key == "size" && a.get("state") == Some(&Value::from("directory")) => {}
                    None if matches!(key.as_str(), "failed" | "skipped") && value.as_bool() == Some(false) => {}
                    // A preview tells here how things will be, there how they are.
                    _ if check
                        && matches!(key.as_str(), "state" | "gid" | "group" | "mode" | "owner" | "size" | "uid") => {}
                    None => out.push(format!("{path}.{key}: theirs {value}, ours has none")),
                    Some(other) if BY_FORM.contains(&key.as_str()) => {
                        let (a, b) = (form(key, value, failed), form(key, other, failed));
                        if a != b {
                            out.push(format!("{path}.{key}: theirs {value}, ours {other}"));
                        }
                    }
                    Some(other) => differences(&format!("{path}.{key}"), value, other, failed, check, out),
                }
            }
            for (key, value) in b {
                // Ansible leaves these out of what callbacks see; the playbooks show what is registered.
                let left_out = matches!(key.as_str(), "failed" | "skipped");
                let more = failed && matches!(key.as_str(), "stdout" | "stderr" | "rc" | "msg" | "file");
                if !a.contains_key(key) && !left_out && !more && !check {
                    out.push(format!("{path}.{key}: theirs has none, ours {value}"));
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}[{at}]"), a, b, failed, check, out);
            }
        }
        (a, b) if a == b => {}
        (a, b) => out.push(format!("{path}: theirs {a}, ours {b}")),
    }
}

/// Lines that tell of what was done: without Ansible's excerpts of the playbook, and without what follows a failure's arrow,
/// which is compared as data.
fn lines(text: &str) -> Vec<String> {
    let mut kept = Vec::new();
    // Ansible says why in front of the result, with an excerpt; only its beginning and its lines' forms tell it apart.
    let excerpt = regex(
        r"^(\[ERROR\]|Origin: |Task failed\.|<<< caused by|Finalization of task args|Error while |Conditional result \(|Broken conditionals| *\d+ |\s+\^ column|'\w+' is undefined|value of \w+ must be|argument '\w+' is|missing required arguments|\{'action)",
    );
    for line in text.lines() {
        let line = line.trim_end();
        if line.is_empty() || excerpt.is_match(line).unwrap_or(false) {
            continue;
        }
        let failed = line.starts_with("fatal:") || line.starts_with("failed:");
        match line.split_once(" => {") {
            Some((head, _)) if failed => kept.push(format!("{head} => {{…}}")),
            // Where the rendered text lies on the controller.
            _ if line.starts_with("+++ after: ") => kept.push("+++ after".to_owned()),
            // Which host's result came first is chance.
            _ if line.starts_with("included: ") => {
                let (file, hosts) = line.split_once(" for ").unwrap_or((line, ""));
                let mut hosts: Vec<&str> = hosts.split(", ").collect();
                hosts.sort_unstable();
                kept.push(format!("{file} for {}", hosts.join(", ")));
            }
            _ => kept.push(line.to_owned()),
        }
    }
    kept
}

fn regex(text: &str) -> fancy_regex::Regex {
    fancy_regex::Regex::new(text).expect("a regex")
}

/// A banner with what is below it: hosts come in any order within a task.
fn paragraphs(text: &str) -> Vec<Vec<String>> {
    let begins =
        ["ok:", "changed:", "skipping:", "fatal:", "failed:", "included:", "FAILED - ", "h1 ", "h2 ", "h3 ", "h4 "];
    let is_status = |line: &str| begins.iter().any(|word| line.starts_with(word));
    let mut all: Vec<Vec<String>> = Vec::new();
    for line in lines(text) {
        if line.ends_with("***") {
            all.push(vec![line]);
            continue;
        }
        let Some(last) = all.last_mut() else {
            all.push(vec![line]);
            continue;
        };
        let alone = last.len() == 1;
        // A diff stands before the line of its host, and data after it.
        match last.last_mut() {
            Some(part)
                if !alone && (!part.lines().any(is_status) || !(is_status(&line) || line.starts_with("--- "))) =>
            {
                part.push('\n');
                part.push_str(&line);
            }
            _ => last.push(line),
        }
    }
    // `meta` has a banner for each host and nothing below it; a guard's is printed once for each of its reasons.
    all.retain(|paragraph| {
        let head = paragraph[0].as_str();
        !(head.starts_with("TASK [meta]")
            || head.contains(" : meta]")
            || head.starts_with("TASK [") && paragraph.len() == 1)
    });
    all.dedup_by(|a, b| a.len() == 1 && a == b);
    for paragraph in &mut all {
        paragraph[1..].sort();
    }
    all
}

/// What differs, for people; empty when nothing does.
pub(super) fn compare(theirs: &Seen, ours: &Seen) -> String {
    let mut said = String::new();
    if theirs.exit != ours.exit {
        let _ = writeln!(said, "exit: theirs {}, ours {}", theirs.exit, ours.exit);
    }
    for (host, files) in &theirs.files {
        let other = ours.files.get(host).cloned().unwrap_or_default();
        for line in files.iter().filter(|line| !other.contains(line)) {
            let _ = writeln!(said, "files of {host}: only theirs: {line}");
        }
        for line in other.iter().filter(|line| !files.contains(line)) {
            let _ = writeln!(said, "files of {host}: only ours: {line}");
        }
    }
    results(theirs, ours, &mut said);
    // Which host's items come before the end of another's is chance.
    let told = |text: &str| {
        let (ignored, mut lines): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| *line == "...ignoring");
        lines.extend(ignored);
        lines.join("\n")
    };
    let (a, b) = (paragraphs(&told(&theirs.text)), paragraphs(&told(&ours.text)));
    let (a, b): (Vec<String>, Vec<String>) =
        (a.iter().map(|p| p.join("\n")).collect(), b.iter().map(|p| p.join("\n")).collect());
    if a != b {
        let (a, b) = (a.join("\n\n"), b.join("\n\n"));
        let diff = similar::TextDiff::from_lines(&a, &b);
        let _ = writeln!(said, "text (- theirs, + ours):\n{}", diff.unified_diff().context_radius(1));
    }
    if !said.is_empty() && !ours.errors.trim().is_empty() {
        let _ = writeln!(said, "our standard error:\n{}", ours.errors);
    }
    said
}

/// What differs between stagger under its own name and under Ansible's, where their rules don't.
pub(super) fn same_work(theirs: &Seen, own: &Seen) -> String {
    let mut said = String::new();
    if theirs.files != own.files {
        let _ = writeln!(said, "as `stagger run`, files differ: {:?} and {:?}", theirs.files, own.files);
    }
    results(theirs, own, &mut said);
    if !said.is_empty() {
        let _ = writeln!(said, "(as `stagger run`) its standard error:\n{}", own.errors);
    }
    said
}

fn results(theirs: &Seen, ours: &Seen, said: &mut String) {
    let group = |seen: &Seen| {
        let mut by: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
        for one in &seen.results {
            let key = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
            // `meta` has no results of its own.
            if key("task") != "meta" && !key("task").ends_with(" : meta") {
                by.entry((key("task"), key("host"))).or_default().push(clean(one));
            }
        }
        by
    };
    let (a, b) = (group(theirs), group(ours));
    for (key, list) in &a {
        let other = b.get(key).cloned().unwrap_or_default();
        if list.len() != other.len() {
            let _ = writeln!(said, "{} on {}: theirs ran {} times, ours {}", key.0, key.1, list.len(), other.len());
        }
        for (x, y) in list.iter().zip(&other) {
            let mut out = Vec::new();
            // An unreachable host that is ignored: Ansible's callbacks are not told that it was.
            let ignored = x["status"] == "unreachable" && y["status"] == "ignored";
            // What a check can't know, Ansible calls skipped.
            if x["status"] == "skipped" && y["status"] == "unpredictable" {
                continue;
            }
            if x["status"] != y["status"] && !ignored {
                out.push(format!("status: theirs {}, ours {} ({})", x["status"], y["status"], y["result"]));
            }
            let failed = matches!(x["status"].as_str(), Some("failed" | "ignored" | "unreachable"));
            differences("", &x["result"], &y["result"], failed, ours.check, &mut out);
            for line in out {
                let line = format!("{} on {}: {line}", key.0, key.1);
                if !KNOWN.iter().any(|known| line.starts_with(known)) {
                    let _ = writeln!(said, "{line}");
                }
            }
        }
    }
    for (key, list) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
        let _ = writeln!(said, "{} on {}: only ours, {} times: {}", key.0, key.1, list.len(), list[0]);
    }
}
