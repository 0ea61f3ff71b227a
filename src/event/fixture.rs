//! Events for tests.

use serde_json::json;

use std::collections::BTreeMap;

use super::*;
use crate::base::RunId;

/// An event at a fixed time.
pub(crate) fn event(kind: EventKind) -> Event {
    at(0, kind)
}

/// An event so many milliseconds after the run began, at 12:41 UTC.
pub(crate) fn at(elapsed: u64, kind: EventKind) -> Event {
    Event { at: 1_700_052_060_000 + elapsed, elapsed, kind }
}

/// The first task of the first batch of the first play.
pub(crate) fn key() -> TaskKey {
    task(0)
}

/// A task of the first batch of the first play.
pub(crate) fn task(task: u32) -> TaskKey {
    TaskKey { play: PlayId(0), batch: 0, task: TaskId(task), pass: 0 }
}

/// A host that ended the first task.
pub(crate) fn finished(host: &str, status: Status) -> EventKind {
    EventKind::HostFinished {
        key: key(),
        host: host.to_owned(),
        delegate: None,
        delegate_address: None,
        status,
        steps: Vec::new(),
        result: Map::new(),
        message: String::new(),
        took: 0,
        rescued: false,
        notified: Vec::new(),
        tally: Tally::default(),
    }
}

/// One event of every kind, in the order of [`EventKind::NAMES`], with the word in every text that it has.
pub(crate) fn every_kind(word: &str) -> Vec<EventKind> {
    every_kind_on(word, word)
}

/// The same, with another word where only names and digests of the plan's and the inventory's stand.
pub(crate) fn every_kind_on(name: &str, word: &str) -> Vec<EventKind> {
    let named = || name.to_owned();
    let text = || format!("a {word} b");
    let result = || match json!({"stdout": text(), "deep": [{"list": [text()]}], text(): 1}) {
        serde_json::Value::Object(map) => map,
        _ => Map::new(),
    };
    let steps = || {
        let diff = StepDiff { before_header: text(), after_header: text(), before: text(), after: text() };
        vec![StepLine { summary: text(), diff: Some(diff), opaque: false, once: false, script: Some(text()) }]
    };
    let host = || name.to_owned();
    vec![
        EventKind::RunStarted {
            version: VERSION,
            run: RunId::new(7, 7),
            program: named(),
            title: text(),
            inventory: vec![text()],
            operator: text(),
            check: false,
            pinned: BTreeMap::from([(named(), named())]),
            command: vec![text()],
            directory: named(),
            environment: BTreeMap::from([(named(), text())]),
            plays: vec![PlannedPlay { name: text(), hosts: 1, order: text(), rollback: named() }],
            rolls_back: Some(RunId::new(6, 6)),
        },
        EventKind::PlayStarted {
            play: PlayId(0),
            name: text(),
            hosts: vec![host()],
            batches: 1,
            order: text(),
            tasks: 1,
        },
        EventKind::PlaySkipped { play: PlayId(1), name: text(), why: text() },
        EventKind::BatchStarted { play: PlayId(0), batch: 0, batches: 1, hosts: vec![host()] },
        EventKind::TaskStarted { key: key(), name: text(), module: named(), handler: false, place: text(), hosts: 1 },
        EventKind::HostStarted { key: key(), host: host() },
        EventKind::ActStarted { key: key(), host: host(), item: 0, steps: steps(), login: text(), privilege: text() },
        EventKind::ActFinished { key: key(), host: host(), item: 0, done: true },
        EventKind::ItemFinished {
            delegate: None,
            delegate_address: None,
            key: key(),
            host: host(),
            item: text(),
            index: 0,
            status: Status::Changed,
            steps: steps(),
            result: result(),
            notified: vec![text()],
        },
        EventKind::Retrying { key: key(), host: host(), name: text(), left: 2 },
        EventKind::Waiting { key: key(), host: host(), module: named(), why: text(), waited: 1000, within: 60_000 },
        EventKind::Sent { key: key(), host: host(), bytes: 1, of: 2 },
        EventKind::HostFinished {
            key: key(),
            host: host(),
            delegate: Some(host()),
            delegate_address: None,
            status: Status::Failed,
            steps: steps(),
            result: result(),
            message: text(),
            took: 12,
            rescued: false,
            notified: vec![text()],
            tally: Tally { failed: 1, ..Tally::default() },
        },
        EventKind::TaskFinished { key: key() },
        EventKind::Included { key: key(), file: text(), hosts: vec![host()], item: None },
        EventKind::BatchFinished { play: PlayId(0), batch: 0 },
        EventKind::Halted { play: PlayId(0), halt: Halt { guard: text(), host: Some(host()), value: text() } },
        EventKind::PlayFinished { play: PlayId(0) },
        EventKind::Warning { message: text() },
        EventKind::Note { message: text() },
        EventKind::Cancelling { why: text() },
        EventKind::RunFinished {
            tallies: vec![(host(), Tally { failed: 1, ..Tally::default() })],
            not_attempted: vec![host()],
            pending_handlers: BTreeMap::from([(host(), vec![text()])]),
            halted: false,
            exit: 2,
            ended: Ended::Failed,
        },
        EventKind::Resumed {
            program: named(),
            operator: text(),
            command: vec![text()],
            pinned: BTreeMap::from([(named(), named())]),
        },
        EventKind::UndoArmed {
            entry: 0,
            key: key(),
            host: host(),
            item: 0,
            name: text(),
            place: text(),
            shared: false,
            variables: result(),
            tasks: vec![UndoTask {
                task: TaskId(1),
                name: text(),
                module: named(),
                arguments: result(),
                written: result(),
                keywords: result(),
                directory: named(),
            }],
        },
        EventKind::UndoStarted { entry: 0, host: host(), name: text() },
        EventKind::UndoFinished { entry: 0, host: host(), name: text(), done: false, message: text() },
        EventKind::Held { play: PlayId(0), batch: 0, hosts: vec![host()], why: text() },
        EventKind::Released { play: PlayId(0), batch: 0, by: text() },
        EventKind::Baking { play: PlayId(0), batch: 0, waited: 1000, within: 60_000 },
        EventKind::Baked { play: PlayId(0), batch: 0 },
        EventKind::Controlled {
            request: 0,
            by: text(),
            command: named(),
            argument: text(),
            reason: text(),
            answer: text(),
            refused: true,
        },
        EventKind::HostSkipped { host: host(), by: text(), reason: text() },
        EventKind::LeaseTaken { host: host() },
    ]
}
