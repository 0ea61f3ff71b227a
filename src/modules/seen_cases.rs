//! Cases of modules as data: `tests/modules/<module>/cases.yml`. What a host said goes in, the steps come out (or why there are
//! none), and what it says after them leaves nothing to do. No host is asked.
//!
//! In `seen`, a line `= KIND MODE OWNER GROUP SIZE [MTIME]` stands for what `stat` prints, and `SHA1(name)` or `SHA256(name)` for the
//! digest of a file of `here`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::fixture::{Fixture, HOST, bind};
use super::{Answer, Bound, Change, Controller as _, Gate, Question, State, Verdict, find};
use crate::base::{Map, Output, Value};

/// The modules that have such cases. The others have cases of another shape beside their code.
const MODULES: &[&str] = &[
    "command",
    "copy",
    "fetch",
    "file",
    "group",
    "release",
    "slurp",
    "stat",
    "template",
    "unarchive",
    "user",
    "wait_for",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    args: Map,
    /// Files of this machine.
    #[serde(default)]
    here: BTreeMap<PathBuf, String>,
    #[serde(default)]
    variables: Map,
    /// What the look printed.
    #[serde(default)]
    seen: String,
    /// What its end was.
    #[serde(default)]
    status: i32,
    #[serde(default)]
    stderr: String,
    /// The steps' lines.
    steps: Option<Vec<String>>,
    /// Keys of the result.
    #[serde(default)]
    result: Map,
    /// The message, where it fails.
    fails: Option<String>,
    /// What the look prints when the steps were done: then there are none.
    after: Option<String>,
    /// The module acts every time.
    #[serde(default)]
    always: bool,
    /// Of a gate: the answers to its questions.
    #[serde(default)]
    answers: Vec<Told>,
    /// Of a gate: what it is not content with yet.
    waits: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Told {
    Printed(String),
    Ended(i32),
    Unreachable(String),
    Connected(String),
    NotConnected(String),
}

impl Told {
    fn answer(&self) -> Answer {
        let output = |status, text: &str| Output { status, stdout: text.into(), ..Output::default() };
        match self {
            Self::Printed(text) => Answer::Script(Ok(output(0, text))),
            Self::Ended(status) => Answer::Script(Ok(output(*status, ""))),
            Self::Unreachable(reason) => Answer::Script(Err(reason.clone())),
            Self::Connected(text) => Answer::Connect(Ok(text.clone().into_bytes())),
            Self::NotConnected(reason) => Answer::Connect(Err(reason.clone())),
        }
    }

    fn answers(&self, question: &Question) -> bool {
        match self {
            Self::Connected(_) | Self::NotConnected(_) => matches!(question, Question::Connect { .. }),
            _ => matches!(question, Question::Script(_)),
        }
    }
}

/// What `stat` prints of `KIND MODE OWNER GROUP SIZE [MTIME]`.
fn stat(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [kind, mode, owner, group, size, rest @ ..] = words.as_slice() else { panic!("`= {line}`") };
    let kind = match *kind {
        "file" => 0o100_000,
        "directory" => 0o040_000,
        "link" => 0o120_000,
        "pipe" => 0o010_000,
        other => panic!("`{other}`"),
    };
    let id = |name: &str| u32::from(name != "root");
    let mode = kind | u32::from_str_radix(mode, 8).expect("a mode");
    let mtime = rest.first().unwrap_or(&"1");
    format!(
        "mode {mode:x}\nuid {}\ngid {}\nsize {size}\nlinks 1\ninode 1\ndevice 1\nrdev 0 0\nblocks 8 4096\natime 1 x.0\n\
         mtime {mtime} x.0\nctime 1 x.0\nowner {owner}\ngroup {group}\n",
        id(owner),
        id(group)
    )
}

fn expand(text: &str, here: &Fixture) -> Vec<u8> {
    let mut all = String::new();
    for line in text.lines() {
        match line.strip_prefix("= ") {
            Some(rest) => all.push_str(&stat(rest)),
            None => {
                let _ = writeln!(all, "{line}");
            }
        }
    }
    for path in here.files.keys() {
        let file = here.digest(path).expect("a file");
        all = all.replace(&format!("SHA256({})", path.display()), &file.sha256);
        all = all.replace(&format!("SHA1({})", path.display()), &file.sha1);
    }
    all.into_bytes()
}

fn lines(change: &Change) -> Vec<String> {
    change.steps.iter().map(|step| step.summary.clone()).collect()
}

fn has(result: &Map, wanted: &Map, place: &str) {
    for (key, value) in wanted {
        assert_eq!(result.get(key), Some(value), "{place}: `{key}` of {result:?}");
    }
}

fn state(case: &Case, state: &dyn State, here: &Fixture, place: &str) {
    let seen = Output {
        status: case.status,
        stdout: expand(&case.seen, here),
        stderr: case.stderr.clone().into_bytes(),
        ..Output::default()
    };
    let change = match state.steps(&seen) {
        Ok(change) => change,
        Err(failure) => {
            assert_eq!(Some(failure.message), case.fails, "{place}");
            return;
        }
    };
    assert_eq!(Some(lines(&change)), case.steps, "{place}");
    has(&change.result, &case.result, place);
    let again = match &case.after {
        Some(text) => Output { stdout: expand(text, here), ..Output::default() },
        None => {
            assert!(change.steps.is_empty() || case.always, "{place}: `after` is missing");
            seen
        }
    };
    let second = state.steps(&again).unwrap_or_else(|failure| panic!("{place}: again: {failure:?}"));
    assert_eq!(lines(&second).is_empty(), !case.always, "{place}: again: {second:?}");
}

fn gate(case: &Case, gate: &dyn Gate, place: &str) {
    let answers: Vec<Answer> = case.answers.iter().map(Told::answer).collect();
    let mut asked = Vec::new();
    while asked.len() < answers.len() {
        let questions = gate.questions(answers.get(..asked.len()).unwrap_or_default());
        assert!(!questions.is_empty(), "{place}: it asks no more than {asked:?}");
        asked.extend(questions);
    }
    assert!(gate.questions(&answers).is_empty(), "{place}: it asks for more");
    for (told, question) in case.answers.iter().zip(&asked) {
        assert!(told.answers(question), "{place}: {told:?} is no answer to {question:?}");
    }
    match gate.judge(&answers, &mut Value::Null, Duration::from_secs(3)) {
        Verdict::Ready(result) => {
            assert!(case.waits.is_none() && case.fails.is_none(), "{place}: it is ready: {result:?}");
            has(&result, &case.result, place);
        }
        Verdict::NotYet(why) => assert_eq!(Some(why), case.waits, "{place}"),
        Verdict::Never(failure) => assert_eq!(Some(failure.message), case.fails, "{place}"),
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads its cases")]
fn what_was_seen_gives_the_steps_and_then_none() {
    for module in MODULES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules").join(module).join("cases.yml");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let cases: Vec<Case> =
            serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!cases.is_empty(), "{}", path.display());
        for case in &cases {
            let place = format!("{module}: {}", case.name);
            let here = Fixture {
                files: case.here.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes())).collect(),
                variables: BTreeMap::from([(HOST.to_owned(), case.variables.clone())]),
                ..Fixture::default()
            };
            let spec = find(module).expect("a module");
            match bind(spec, Value::Object(case.args.clone()), &here) {
                Ok(Bound::State(bound)) => state(case, bound.as_ref(), &here, &place),
                Ok(Bound::Gate(bound)) => gate(case, bound.as_ref(), &place),
                Ok(Bound::Course(_)) => panic!("{place}: it asks no host"),
                Err(failure) => assert_eq!(Some(failure.message), case.fails, "{place}"),
            }
        }
    }
}
