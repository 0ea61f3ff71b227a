//! The tree of a run as lines: hosts of the same standing share one, so that a screenful tells of thousands.

use std::time::Duration;

use indexmap::IndexMap;
use jiff::{Timestamp, tz::TimeZone};

use super::fold::fold;
use super::story::count;
use super::style::{Label, Line, Paint, width};
use super::tree::{Life, Mark, PhaseLine, RunState, StepStatus, Tree};
use crate::base::render_duration;

/// How a tree is shown.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// Colours and characters.
    pub(crate) paint: Paint,
    /// Lines are broken at this width; `None` leaves them whole.
    pub(crate) columns: Option<usize>,
    /// Every host has its line.
    pub(crate) all: bool,
    /// The time now, milliseconds since 1970.
    pub(crate) now: u64,
    /// In which times of day are written.
    pub(crate) zone: TimeZone,
}

/// Lines of one phase, more are counted.
const GROUPS: usize = 10;

/// More phases than this are folded where neighbours are all done or all to come.
const PHASES: usize = 12;

/// The tree as text, each line with its end.
pub(crate) fn tree_text(tree: &Tree, shown: &Shown) -> String {
    let columns = shown.columns.unwrap_or(usize::MAX);
    let wrapped = |lines: Vec<Line>| lines.into_iter().flat_map(|line| line.wrapped(columns)).collect::<Vec<_>>();
    let mut lines = wrapped(head(tree, shown));
    lines.extend(wrapped(vec![root(tree)]));
    let rows = rows(tree, shown);
    let last = rows.len();
    for (at, (line, below)) in rows.into_iter().enumerate() {
        let (branch, stem) = if at + 1 == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        hang(&mut lines, line, branch, stem, columns);
        let leaves = below.len();
        for (place, (line, more)) in below.into_iter().enumerate() {
            let (twig, rest) = if place + 1 == leaves { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let (twig, rest) = (format!("{stem}{twig}"), format!("{stem}{rest}"));
            hang(&mut lines, line, &twig, &rest, columns);
            for line in more {
                hang(&mut lines, line, &rest, &rest, columns);
            }
        }
    }
    lines.extend(wrapped(tail(tree)));
    lines.into_iter().map(|line| shown.paint.line(&line).trim_end().to_owned() + "\n").collect()
}

/// Adds a line behind its branch; what does not fit goes on below it, behind the stem.
pub(super) fn hang(lines: &mut Vec<Line>, line: Line, branch: &str, stem: &str, columns: usize) {
    let room = columns.saturating_sub(width(branch)).max(20);
    for (at, part) in line.wrapped(room).into_iter().enumerate() {
        lines.push(part.before(if at == 0 { branch } else { stem }));
    }
}

/// Who, from where, since when, and whether the process is there.
fn head(tree: &Tree, shown: &Shown) -> Vec<Line> {
    let ago = |at: u64| format!("{} ago", span(shown.now.saturating_sub(at)));
    let mut line = Line::plain("run ").with(Label::Strong, tree.run.as_str());
    line = line.and(format!(" by {}, began {}", tree.operator, moment(tree.began, &shown.zone)));
    if let Some(at) = tree.resumed.last() {
        line = line.and(format!(", resumed {}", moment(*at, &shown.zone)));
    }
    let mut lines = vec![line];
    let is_over = !matches!(tree.state, RunState::Running | RunState::Waiting | RunState::Paused | RunState::Died);
    if is_over {
        let ended = format!("ended {} ({})", moment(tree.heard, &shown.zone), ago(tree.heard));
        lines.push(Line::plain(format!("{ended}, after {}", span(tree.heard.saturating_sub(tree.began)))));
    } else {
        let process = match (tree.process, tree.pid) {
            (Life::Alive, Some(pid)) => Line::of(Label::Good, format!("process {pid} is alive")),
            (Life::Alive, None) => Line::of(Label::Good, "its process is alive"),
            (Life::Gone, _) => Line::of(Label::Bad, "its process died"),
            (Life::Unseen, _) => Line::of(Label::Warning, "this user may not see whether its process is alive"),
        };
        lines.push(process.and(format!("; last event {}", ago(tree.heard))));
    }
    if tree.check {
        lines.push(Line::of(Label::Warning, "check: nothing is changed"));
    }
    if let Some(why) = &tree.stopping {
        lines.push(Line::of(Label::Warning, format!("ended early: {why}")));
    }
    lines
}

fn root(tree: &Tree) -> Line {
    let label = match tree.state {
        RunState::Complete => Label::Good,
        RunState::Running => Label::Strong,
        RunState::Waiting | RunState::Paused => Label::Changed,
        _ => Label::Bad,
    };
    let line = Line::of(Label::Strong, tree.title.as_str());
    let line = if tree.inventory.is_empty() { line } else { line.and(format!(" on {}", tree.inventory.join(", "))) };
    line.and(" (").with(label, tree.state.word().to_uppercase()).and(")")
}

type Twig = (Line, Vec<Line>);

/// Phases with what is below each.
fn rows(tree: &Tree, shown: &Shown) -> Vec<(Line, Vec<Twig>)> {
    let mut rows = Vec::new();
    let fold_phases = tree.phases.len() > PHASES && !shown.all;
    let mut rest = tree.phases.as_slice();
    while let Some(first) = rest.first() {
        let quiet = matches!(first.status, Mark::Complete | Mark::Pending | Mark::NotAttempted);
        let alike = rest.iter().take_while(|phase| phase.status == first.status).count();
        if fold_phases && quiet && alike > 3 {
            rows.push((marked(&format!("… {alike} phases"), first.status), Vec::new()));
            rest = rest.get(alike..).unwrap_or_default();
        } else {
            rows.push((phase(first, shown), below(first, shown)));
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    rows
}

fn marked(name: &str, mark: Mark) -> Line {
    let label = match mark {
        Mark::Complete => Label::Good,
        Mark::Skipped => Label::Skipped,
        Mark::Pending | Mark::Prepared | Mark::NotAttempted => Label::Dim,
        Mark::InProgress => Label::Strong,
        Mark::Waiting => Label::Changed,
        Mark::Error => Label::Bad,
        Mark::Unknown => Label::Unreachable,
    };
    Line::plain(format!("{name} (")).with(label, mark.word()).and(")")
}

fn phase(phase: &PhaseLine, shown: &Shown) -> Line {
    let mut parts = Vec::new();
    parts.push(match phase.status {
        Mark::Skipped => String::new(),
        Mark::Pending | Mark::NotAttempted if phase.steps.is_empty() => count(phase.hosts as usize, "host"),
        _ => format!("{}/{} hosts", phase.done, phase.hosts),
    });
    if phase.status != Mark::Complete {
        parts.extend(phase.batch.map(|(batch, batches)| format!("batch {batch}/{batches}")));
        parts.push(phase.order.clone());
    }
    let so_far = phase.began.map(|began| shown.now.saturating_sub(began));
    parts.extend(phase.took.or(so_far).filter(|_| !phase.steps.is_empty()).map(span));
    parts.extend(phase.left.map(|left| format!("{} to go as earlier runs took", about(left))));
    parts.retain(|part| !part.is_empty());
    let line = marked(&phase.name, phase.status);
    let line = if parts.is_empty() { line } else { line.and(format!("  {}", parts.join(", "))) };
    if phase.why.is_empty() { line } else { line.and(format!("  {}", phase.why)) }
}

/// What hosts of one line have in common.
#[derive(PartialEq, Eq, Hash)]
struct Alike<'a> {
    mark: Mark,
    task: Option<(&'a str, &'a str)>,
    why: &'a str,
    alone: Option<&'a str>,
}

fn below(phase: &PhaseLine, shown: &Shown) -> Vec<Twig> {
    let all_alike = matches!(phase.status, Mark::Complete | Mark::Skipped);
    if all_alike && !shown.all {
        return Vec::new();
    }
    let mut groups: IndexMap<Alike<'_>, Vec<&StepStatus>> = IndexMap::new();
    for step in &phase.steps {
        let task = step.task.as_ref().map(|task| (task.name.as_str(), task.place.as_str()));
        let alone = shown.all.then_some(step.host.as_str());
        groups.entry(Alike { mark: step.status, task, why: &step.why, alone }).or_default().push(step);
    }
    let most = if shown.all { usize::MAX } else { GROUPS };
    // What is quiet has one line each; what went wrong or waits comes before what works when there is no room for all.
    let mut chosen: Vec<_> = groups.iter().collect();
    if chosen.len() > most {
        chosen.sort_by_key(|(alike, _)| std::cmp::Reverse(alike.mark));
    }
    let mut twigs: Vec<Twig> = chosen.iter().take(most).map(|(alike, steps)| twig(alike, steps, shown)).collect();
    let hidden: usize = chosen.iter().skip(most).map(|(_, steps)| steps.len()).sum();
    if hidden > 0 {
        let line = Line::of(Label::Dim, format!("… and {} more: --all shows each", count(hidden, "host")));
        twigs.push((line, Vec::new()));
    }
    twigs
}

fn twig(alike: &Alike<'_>, steps: &[&StepStatus], shown: &Shown) -> Twig {
    let names: Vec<&str> = steps.iter().map(|step| step.host.as_str()).collect();
    let mut line = marked(&fold(&names, if shown.all { usize::MAX } else { 6 }), alike.mark);
    if let ([step], true) = (steps, shown.all) {
        let mut parts = Vec::new();
        parts.extend(step.batch.map(|batch| format!("batch {batch}")));
        if step.tasks > 0 {
            parts.push(format!("{}, {} changed", count(step.tasks as usize, "task"), step.changed));
        }
        if !parts.is_empty() {
            line = line.and(format!("  {}", parts.join(", ")));
        }
    }
    let mut more = Vec::new();
    if let Some(task) = steps.first().and_then(|step| step.task.as_ref()) {
        let since = steps.iter().filter_map(|step| step.task.as_ref()).map(|task| task.since).min().unwrap_or(0);
        let mut text = Line::of(Label::Strong, task.name.as_str());
        if !task.place.is_empty() {
            text = text.with(Label::Dim, format!(" ({})", task.place));
        }
        if matches!(alike.mark, Mark::InProgress | Mark::Waiting) {
            text = text.and(format!("  {}", span(shown.now.saturating_sub(since))));
        }
        if let Some(left) = task.retries_left {
            text = text.and(format!("  tried again, {left} left"));
        }
        more.push(text);
    }
    if !alike.why.is_empty() {
        let line = Line::plain(alike.why);
        more.push(if more.is_empty() { line } else { line.before("  ") });
    }
    (line, more)
}

/// What is still to be undone, run and typed.
fn tail(tree: &Tree) -> Vec<Line> {
    let mut lines = Vec::new();
    for undo in &tree.undos {
        let line = Line::of(Label::Warning, "to be taken back: ").and(format!("{}: {}", undo.host, undo.name));
        lines.push(match &undo.failed {
            Some(why) => line.with(Label::Bad, format!("; it failed: {why}")),
            None => line,
        });
    }
    let mut pending: IndexMap<&[String], Vec<&str>> = IndexMap::new();
    for (host, names) in &tree.handlers {
        pending.entry(names).or_default().push(host);
    }
    for (names, hosts) in pending {
        let line = Line::of(Label::Warning, "notified and not run: ");
        lines.push(line.and(format!("{}: {}", fold(&hosts, 6), names.join(", "))));
    }
    for next in &tree.next {
        lines.push(Line::plain(format!("{}: ", next.what)).with(Label::Command, next.command.as_str()));
    }
    if !lines.is_empty() {
        lines.insert(0, Line::new());
    }
    lines
}

fn span(millis: u64) -> String {
    render_duration(Duration::from_millis(millis))
}

/// `about 22 min`, `about 40 s`.
pub(super) fn about(millis: u64) -> String {
    let seconds = millis.div_ceil(1000);
    if seconds < 90 { format!("about {seconds} s") } else { format!("about {} min", (seconds + 30) / 60) }
}

/// `2026-11-25 12:41:03`.
pub(super) fn moment(at: u64, zone: &TimeZone) -> String {
    let time = i64::try_from(at).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    time.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::base::{Map, PlayId, RunId, TaskId};
    use crate::event::fixture::at;
    use crate::event::{Ended, Event, EventKind, PlannedPlay, Status, Tally, TaskKey, VERSION};
    use crate::report::ledger::Ledger;

    const START: u64 = 1_700_052_060_000;

    fn key(play: u32, batch: u32, task: u32) -> TaskKey {
        TaskKey { play: PlayId(play), batch, task: TaskId(task), pass: 0 }
    }

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn begun() -> Vec<Event> {
        let plan = |name: &str, hosts| PlannedPlay {
            name: name.to_owned(),
            hosts,
            order: String::new(),
            rollback: String::new(),
        };
        vec![at(
            0,
            EventKind::RunStarted {
                version: VERSION,
                run: RunId::new(START, 77),
                program: "0.1.0".to_owned(),
                title: "up.yml".to_owned(),
                inventory: names("production.yml"),
                operator: "ann@bastion-1".to_owned(),
                check: false,
                pinned: BTreeMap::new(),
                command: names("stagger run up.yml"),
                directory: "/srv".to_owned(),
                environment: BTreeMap::new(),
                plays: vec![plan("masters", 3), plan("slaves", 120)],
                rolls_back: None,
            },
        )]
    }

    fn play(id: u32, name: &str, hosts: Vec<String>, batches: u32) -> EventKind {
        let order = "one at a time".to_owned();
        EventKind::PlayStarted { play: PlayId(id), name: name.to_owned(), hosts, batches, order, tasks: 2 }
    }

    fn batch(play: u32, batch: u32, hosts: Vec<String>) -> EventKind {
        EventKind::BatchStarted { play: PlayId(play), batch, batches: 3, hosts }
    }

    fn task(key: TaskKey, name: &str) -> EventKind {
        let place = format!("up.yml:{}", 10 + key.task.0);
        EventKind::TaskStarted { key, name: name.to_owned(), module: "m".to_owned(), handler: false, place, hosts: 1 }
    }

    fn at_work(key: TaskKey, host: &str) -> EventKind {
        EventKind::HostStarted { key, host: host.to_owned() }
    }

    fn done(key: TaskKey, host: &str, status: Status, message: &str) -> EventKind {
        EventKind::HostFinished {
            key,
            host: host.to_owned(),
            delegate: None,
            delegate_address: None,
            status,
            steps: Vec::new(),
            result: Map::new(),
            message: message.to_owned(),
            took: 5,
            rescued: false,
            notified: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// The first of three masters is done, the second is at work.
    fn half() -> Vec<Event> {
        let mut events = begun();
        events.extend([
            at(10, play(0, "masters", names("m1 m2 m3"), 3)),
            at(20, batch(0, 0, names("m1"))),
            at(30, task(key(0, 0, 1), "stop the master")),
            at(31, at_work(key(0, 0, 1), "m1")),
            at(40, done(key(0, 0, 1), "m1", Status::Changed, "")),
            at(41, EventKind::TaskFinished { key: key(0, 0, 1) }),
            at(50, EventKind::BatchFinished { play: PlayId(0), batch: 0 }),
            at(60, batch(0, 1, names("m2"))),
            at(70, task(key(0, 1, 1), "stop the master")),
            at(71, at_work(key(0, 1, 1), "m2")),
        ]);
        events
    }

    fn text_of(events: &[Event], life: Life, all: bool) -> String {
        let mut ledger = Ledger::default();
        events.iter().for_each(|event| ledger.on(event));
        let shown = Shown { paint: Paint::PLAIN, columns: Some(80), all, now: START + 7_071, zone: TimeZone::UTC };
        tree_text(&ledger.tree(life, Some(4711)), &shown)
    }

    fn ends(ended: Ended) -> EventKind {
        EventKind::RunFinished {
            tallies: Vec::new(),
            not_attempted: Vec::new(),
            pending_handlers: BTreeMap::from([("m2".to_owned(), names("restart"))]),
            halted: ended == Ended::Halted,
            exit: 2,
            ended,
        }
    }

    #[test]
    fn a_run_that_lives_shows_what_is_done_at_work_and_to_come() {
        insta::assert_snapshot!(text_of(&half(), Life::Alive, false), @r"
        run 01hf9fzhv0002d by ann@bastion-1, began 2023-11-15 12:41:00
        process 4711 is alive; last event 7s ago
        up.yml on production.yml (RUNNING)
        ├─ masters (IN_PROGRESS)  1/3 hosts, batch 2/3, one at a time, 7s
        │  ├─ m1 (COMPLETE)
        │  ├─ m2 (IN_PROGRESS)
        │  │  stop the master (up.yml:11)  7s
        │  └─ m3 (PENDING)
        └─ slaves (PENDING)  120 hosts
        ");
    }

    #[test]
    fn a_host_that_waits_for_a_gate_says_why() {
        let mut events = half();
        let why = "no leader yet: m2's znode expires in 3 s".to_owned();
        let module = "mesos_master_ready".to_owned();
        let key = key(0, 1, 1);
        events.push(at(90, EventKind::Waiting { key, host: "m2".to_owned(), module, why, waited: 5, within: 60_000 }));
        let text = text_of(&events, Life::Alive, false);
        assert!(text.contains("m2 (WAITING)") && text.contains("no leader yet: m2's znode"), "{text}");
        assert!(text.contains("masters (WAITING)"), "{text}");
    }

    #[test]
    fn a_run_that_died_tells_what_was_in_flight_and_what_is_to_be_taken_back() {
        let mut events = half();
        let armed = crate::event::fixture::every_kind_on("m2", "shard allocation").into_iter();
        events.extend(armed.filter(|kind| kind.name() == "undo_armed").map(|kind| at(72, kind)));
        events.push(at(
            80,
            EventKind::ActStarted {
                key: key(0, 1, 1),
                host: "m2".to_owned(),
                item: 0,
                steps: Vec::new(),
                login: String::new(),
                privilege: String::new(),
            },
        ));
        insta::assert_snapshot!(text_of(&events, Life::Gone, false), @r"
        run 01hf9fzhv0002d by ann@bastion-1, began 2023-11-15 12:41:00
        its process died; last event 6s ago
        up.yml on production.yml (DIED)
        ├─ masters (UNKNOWN)  1/3 hosts, batch 2/3, one at a time, 0.1s
        │  ├─ m1 (COMPLETE)
        │  ├─ m2 (UNKNOWN)
        │  │  stop the master (up.yml:11)
        │  │    cut off while `stop the master` was changing it
        │  └─ m3 (NOT_ATTEMPTED)
        └─ slaves (NOT_ATTEMPTED)  120 hosts

        to be taken back: m2: a shard allocation b
        to go on where it stopped: stagger resume 01hf9fzhv0002d
        to take back what is listed, and give it up: stagger abort 01hf9fzhv0002d
        ");
    }

    #[test]
    fn a_halted_run_names_the_guard_the_host_and_what_was_not_tried() {
        let mut events = half();
        let halt = crate::event::Halt {
            guard: "serial".to_owned(),
            host: Some("m2".to_owned()),
            value: "1 of 1 hosts failed".to_owned(),
        };
        events.extend([
            at(100, done(key(0, 1, 1), "m2", Status::Failed, "the master is still there after 30 s")),
            at(101, EventKind::Halted { play: PlayId(0), halt }),
            at(102, EventKind::BatchFinished { play: PlayId(0), batch: 1 }),
            at(103, EventKind::PlayFinished { play: PlayId(0) }),
            at(104, ends(Ended::Halted)),
        ]);
        insta::assert_snapshot!(text_of(&events, Life::Gone, false), @r"
        run 01hf9fzhv0002d by ann@bastion-1, began 2023-11-15 12:41:00
        ended 2023-11-15 12:41:00 (6s ago), after 0.1s
        up.yml on production.yml (HALTED)
        ├─ masters (ERROR)  1/3 hosts, batch 2/3, one at a time, 0.1s  stopped by
        │      serial: 1 of 1 hosts failed (host m2)
        │  ├─ m1 (COMPLETE)
        │  ├─ m2 (ERROR)
        │  │  stop the master (up.yml:11)
        │  │    the master is still there after 30 s
        │  └─ m3 (NOT_ATTEMPTED)
        └─ slaves (NOT_ATTEMPTED)  120 hosts

        notified and not run: m2: restart
        to go on where it stopped: stagger resume 01hf9fzhv0002d
        ");
    }

    #[test]
    fn a_play_that_a_person_has_to_continue_waits() {
        let mut events = half();
        events.extend([
            at(100, done(key(0, 1, 1), "m2", Status::Ok, "")),
            at(101, EventKind::BatchFinished { play: PlayId(0), batch: 1 }),
            at(
                102,
                EventKind::Held {
                    play: PlayId(0),
                    batch: 2,
                    hosts: names("m3"),
                    why: "approval of masters".to_owned(),
                },
            ),
        ]);
        let text = text_of(&events, Life::Alive, false);
        assert!(text.contains("masters (WAITING)") && text.contains("m3 (WAITING)"), "{text}");
        assert!(text.contains("stagger continue"), "{text}");
        events.push(at(110, EventKind::Released { play: PlayId(0), batch: 2, by: "ann@b".to_owned() }));
        let text = text_of(&events, Life::Alive, false);
        assert!(text.contains("m3 (PENDING)") && text.contains("(RUNNING)"), "{text}");
    }

    #[test]
    fn a_resumed_run_tries_failed_hosts_again_and_keeps_what_is_done() {
        let mut events = half();
        events.extend([
            at(100, done(key(0, 1, 1), "m2", Status::Unreachable, "refused")),
            at(102, EventKind::BatchFinished { play: PlayId(0), batch: 1 }),
            at(104, ends(Ended::Failed)),
            at(
                500,
                EventKind::Resumed {
                    program: "0.1.0".to_owned(),
                    operator: "bob@bastion-2".to_owned(),
                    command: Vec::new(),
                    pinned: BTreeMap::new(),
                },
            ),
            at(510, play(0, "masters", names("m1 m2 m3"), 3)),
            at(520, batch(0, 0, names("m1"))),
        ]);
        let text = text_of(&events, Life::Alive, false);
        assert!(text.contains("by bob@bastion-2") && text.contains("m1 (COMPLETE)"), "{text}");
        events.extend([
            at(521, EventKind::BatchFinished { play: PlayId(0), batch: 0 }),
            at(530, batch(0, 1, names("m2"))),
        ]);
        let text = text_of(&events, Life::Alive, false);
        assert!(text.contains("m2 (PREPARED)"), "{text}");
    }

    #[test]
    fn thousands_of_hosts_fit_a_screen_and_all_has_each() {
        let mut events = begun();
        let hosts: Vec<String> = (1..=5000).map(|n| format!("s{n:04}")).collect();
        events.push(at(10, play(1, "slaves", hosts.clone(), 2)));
        events.push(at(11, batch(1, 0, hosts[..3000].to_vec())));
        events.push(at(12, task(key(1, 0, 1), "stop")));
        for host in &hosts[..2000] {
            events.push(at(13, at_work(key(1, 0, 1), host)));
        }
        for (number, host) in hosts[..40].iter().enumerate() {
            events.push(at(20, done(key(1, 0, 1), host, Status::Failed, &format!("no disk {number}"))));
        }
        let text = text_of(&events, Life::Alive, false);
        assert!(text.lines().count() < 50, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("--all shows each"), "{text}");
        assert!(text_of(&events, Life::Alive, true).contains("s4999 (PENDING)"));
    }

    #[test]
    fn a_journal_cut_at_any_event_makes_a_tree() {
        let events: Vec<Event> =
            crate::event::fixture::every_kind("\u{1b}[2J").into_iter().map(crate::event::fixture::event).collect();
        for cut in 0..=events.len() {
            for life in [Life::Alive, Life::Gone, Life::Unseen] {
                let text = text_of(&events[..cut], life, true);
                assert!(!text.contains('\u{1b}'), "{text}");
            }
        }
    }
}
