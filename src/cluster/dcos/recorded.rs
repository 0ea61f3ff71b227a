//! Every recorded answer of the three eras, judged: what is made of each stands in a file that people have read.

use std::fmt::Write as _;
use std::path::Path;

use super::plan::Step;
use super::tree::parse_tree;
use super::*;

/// A recorded answer, taken apart.
fn heard(text: &str) -> Option<(&str, u16, String, Vec<u8>)> {
    let (question, rest) = text.split_once('\n')?;
    let (head, body) = rest.split_once("\n\n").unwrap_or((rest, ""));
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let kind = lines.find_map(|line| line.strip_prefix("Content-Type: ")).unwrap_or_default();
    Some((question.trim_start_matches("# "), status, kind.to_owned(), body.as_bytes().to_vec()))
}

/// One letter a step, as the timelines have them.
fn letters(plan: &Plan) -> String {
    let letter = |step: &Step| match &step.status {
        Status::Pending => 'p',
        Status::Prepared => 'K',
        Status::Starting => 's',
        Status::Started => 'r',
        Status::Complete => 'C',
        Status::Waiting => 'w',
        Status::Delayed => 'd',
        Status::Other(_) => 'z',
        Status::Error | Status::InProgress => '!',
    };
    plan.phases.iter().map(|phase| phase.steps.iter().map(letter).collect::<String>()).collect::<Vec<_>>().join(" ")
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads its data")]
fn every_recorded_answer_is_judged_as_it_was_meant() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dcos-real");
    let mut lines = String::new();
    for era in ["guide-era", "sdk-0.42", "newest"] {
        let mut files: Vec<_> = std::fs::read_dir(folder.join(era))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        files.sort();
        for file in files {
            let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&file).expect("a recorded answer").replace('\r', "");
            let (question, status, kind, body) = heard(&text).unwrap_or_else(|| panic!("{name} is no answer"));
            let made = if question.contains("/v1/pod") && !question.contains("POST") {
                match parse_tasks(&body) {
                    Ok(tasks) => format!(
                        "{} tasks, {} run",
                        tasks.len(),
                        tasks.values().filter(|task| task.is_running()).count()
                    ),
                    Err(why) => format!("no tasks: {why}"),
                }
            } else {
                match said(Heard { status, kind: &kind, body: &body }) {
                    Said::Plan(plan) => {
                        let errors = if plan.errors.is_empty() { "" } else { ", errors" };
                        let again = parse_tree(&render_tree("deploy", &plan)).expect("its own tree is read").1;
                        assert_eq!((again.status == plan.status, letters(&again)), (true, letters(&plan)), "{name}");
                        format!("{} [{}] {:?}{errors}", plan.status, letters(&plan), gate(&plan))
                    }
                    other => format!("{other:?}"),
                }
            };
            let _ = writeln!(lines, "{era}/{name}: {question}: {status}: {made}");
        }
    }
    let wanted = std::fs::read_to_string(folder.join("judged.txt")).unwrap_or_default();
    let (left, right): (Vec<&str>, Vec<&str>) = (lines.lines().collect(), wanted.lines().collect());
    let wrong: Vec<&&str> = left.iter().filter(|line| !right.contains(line)).collect();
    assert!(
        left == right,
        "not as in tests/dcos-real/judged.txt:\n{}",
        wrong.iter().map(|line| format!("{line}\n")).collect::<String>()
    );
}
