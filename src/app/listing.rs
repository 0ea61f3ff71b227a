//! `--list-hosts`, `--list-tasks`, `--list-tags`: what would be run, in Ansible's form.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::session::Session;
use crate::base::to_text;
use crate::cli::Listing;
use crate::plan::{Item, Keywords, Plan, Play, Task};

/// The text of the listing, playbook by playbook.
pub(super) fn text(session: &Session, playbooks: &[std::path::PathBuf], plan: &Plan, what: Listing) -> String {
    let mut text = String::new();
    // Plays of several playbooks are numbered in one row, as they are run in one.
    let names: Vec<String> = playbooks.iter().map(|path| path.display().to_string()).collect();
    let _ = writeln!(text, "\nplaybook: {}", names.join(", "));
    for (at, play) in plan.plays.iter().enumerate() {
        let pattern = pattern(play);
        let name = to_text(&play.name.to_value());
        let _ = writeln!(text, "\n  play #{} ({pattern}): {name}\tTAGS: [{}]", at + 1, tags(&play.keywords));
        if what.hosts {
            let hosts = session.hosts_of(play);
            let _ = writeln!(text, "    pattern: ['{pattern}']\n    hosts ({}):", hosts.len());
            for host in hosts {
                let _ = writeln!(text, "      {host}");
            }
        }
        let mut used: BTreeSet<String> = BTreeSet::new();
        let mut lines = String::new();
        for section in &play.sections {
            tasks(section, "", &mut lines, &mut used);
        }
        if what.tasks {
            let _ = write!(text, "    tasks:\n{lines}");
        }
        if what.tags {
            let all: Vec<String> = used.into_iter().collect();
            let _ = writeln!(text, "      TASK TAGS: [{}]", all.join(", "));
        }
    }
    text
}

/// All of them: rescue and always sections too, which Ansible leaves out.
fn tasks(items: &[Item], section: &str, lines: &mut String, used: &mut BTreeSet<String>) {
    for item in items {
        match item {
            Item::Task(task) if task.module.name == "meta" => {}
            Item::Task(task) => line(task, section, lines, used),
            Item::Include(include) => line(&include.task, section, lines, used),
            Item::Block(block) => {
                tasks(&block.block, section, lines, used);
                tasks(&block.rescue, "rescue: ", lines, used);
                tasks(&block.always, "always: ", lines, used);
            }
        }
    }
}

fn line(task: &Task, section: &str, lines: &mut String, used: &mut BTreeSet<String>) {
    let name = task.name.as_ref().map_or_else(|| task.module.name.to_owned(), |name| to_text(&name.to_value()));
    let _ = writeln!(lines, "      {section}{name}\tTAGS: [{}]", tags(&task.keywords));
    used.extend(task.keywords.tags.iter().cloned());
}

fn tags(keywords: &Keywords) -> String {
    keywords.tags.iter().cloned().collect::<Vec<_>>().join(", ")
}

pub(super) fn pattern(play: &Play) -> String {
    match play.hosts.as_seq() {
        Some(parts) => parts.iter().map(|part| to_text(&part.to_value())).collect::<Vec<_>>().join(","),
        None => to_text(&play.hosts.to_value()),
    }
}
