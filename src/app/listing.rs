//! `--list-hosts`, `--list-tasks`, `--list-tags`: what would be run, in Ansible's form.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::session::Session;
use crate::base::to_text;
use crate::cli::{Listing, Rules};
use crate::modules;
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
        let _ = writeln!(text, "\n  play #{} ({pattern}): {name}\tTAGS: [{}]", at + 1, tags(&play.keywords, ","));
        if what.hosts {
            let hosts = session.hosts_of(play);
            let parts = pattern_parts(play).join("', '");
            let _ = writeln!(text, "    pattern: ['{parts}']\n    hosts ({}):", hosts.len());
            for host in hosts {
                let _ = writeln!(text, "      {host}");
            }
        }
        let mut list = List { session, lines: String::new(), used: BTreeSet::new() };
        for section in &play.sections {
            list.tasks(section, "");
        }
        let List { lines, used, .. } = list;
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

/// The tasks of a play as they are listed.
struct List<'a> {
    session: &'a Session,
    lines: String,
    used: BTreeSet<String>,
}

impl List<'_> {
    /// All of them; under Ansible's names what Ansible lists: no rescue and always sections, but `meta`.
    fn tasks(&mut self, items: &[Item], section: &str) {
        let ansible = self.session.rules == Rules::Ansible;
        for item in items {
            match item {
                Item::Task(task) if task.module.name == "meta" && !ansible => {}
                Item::Task(task) => self.line(task, section),
                Item::Role(role) => self.tasks(&role.items, section),
                Item::Include(include) => self.line(&include.task, section),
                Item::Block(block) => {
                    self.tasks(&block.block, section);
                    if !ansible {
                        self.tasks(&block.rescue, "rescue: ");
                        self.tasks(&block.always, "always: ");
                    }
                }
            }
        }
    }

    fn line(&mut self, task: &Task, section: &str) {
        let name = task.titled(task.name.as_ref().map_or_else(|| self.written(task), |name| to_text(&name.to_value())));
        let _ = writeln!(self.lines, "      {section}{name}\tTAGS: [{}]", tags(&task.keywords, ", "));
        self.used.extend(task.keywords.tags.iter().cloned());
    }

    /// The module's name as it was written: Ansible shows `ansible.builtin.debug` so.
    fn written(&self, task: &Task) -> String {
        let text = self.session.sources.text(task.span.source).unwrap_or_default();
        let rest = text.get(task.span.start as usize..).unwrap_or_default();
        let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.')).collect();
        let same = self.session.rules == Rules::Ansible
            && modules::find(&word).is_some_and(|spec| spec.name == task.module.name);
        if same { word } else { task.module.name.to_owned() }
    }
}

fn tags(keywords: &Keywords, between: &str) -> String {
    keywords.tags.iter().cloned().collect::<Vec<_>>().join(between)
}

pub(super) fn pattern(play: &Play) -> String {
    pattern_parts(play).join(",")
}

fn pattern_parts(play: &Play) -> Vec<String> {
    match play.hosts.as_seq() {
        Some(parts) => parts.iter().map(|part| to_text(&part.to_value())).collect(),
        None => vec![to_text(&play.hosts.to_value())],
    }
}
