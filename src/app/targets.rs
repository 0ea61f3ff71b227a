//! Which hosts are meant.

use super::session::Session;
use crate::cli::Rules;
use crate::diag::{Diagnostic, Severity};
use crate::inventory::Strictness;
use crate::plan::{Plan, Play};

impl Session {
    /// The hosts that a play's pattern and the limit name now; empty when that can't be said.
    pub(super) fn hosts_of(&self, play: &Play) -> Vec<String> {
        let pattern = super::listing::pattern(play);
        let Ok(selected) = self.inventory.select_with(&pattern, self.strictness()) else { return Vec::new() };
        let limit: Vec<String> = self.limit.iter().cloned().collect();
        let limited = self.inventory.limit(&self.sources, &selected.hosts, &limit, self.strictness());
        let hosts = limited.map(|limited| limited.hosts).unwrap_or_default();
        let may = |host: &String| play.only.as_ref().is_none_or(|only| only.contains(host));
        hosts.into_iter().filter(may).collect()
    }

    /// What `--limit` leaves of hosts; nothing, once it was said, when it is wrong.
    pub(super) fn limited(&self, hosts: &[String]) -> Option<Vec<String>> {
        let limit: Vec<String> = self.limit.iter().cloned().collect();
        match self.inventory.limit(&self.sources, hosts, &limit, self.strictness()) {
            Ok(limited) => Some(limited.hosts),
            Err(error) => {
                super::complain(&format!("error: --limit: {error}\n"));
                None
            }
        }
    }

    /// Hosts are worked on: that their variables are encrypted and no password was given is an error. Of other hosts it is a
    /// warning, since something may look at their variables.
    pub(super) fn needs(&mut self, hosts: &[String]) {
        let mut seen = std::collections::HashSet::new();
        for (of, diagnostic) in self.inventory.take_closed() {
            // The playbook's folder may be the inventory's.
            let place = diagnostic.labels.first().map(|label| self.sources.place(label.span)).unwrap_or_default();
            if !seen.insert(place.trim_start_matches("./").to_owned()) {
                continue;
            }
            if of.iter().any(|host| hosts.contains(host)) {
                self.wrong.push(diagnostic);
            } else if !of.is_empty() {
                let message = format!("{}; its variables are not known in this run", diagnostic.message);
                self.wrong.push(Diagnostic { severity: Severity::Warning, message, ..diagnostic });
            }
        }
    }

    /// The same for the hosts of plays; where their names are rendered in the run, it may be any.
    pub(super) fn needs_hosts_of(&mut self, plan: &Plan) {
        let mut hosts: Vec<String> = Vec::new();
        for play in &plan.plays {
            if crate::plan::has_template(&play.hosts) {
                hosts.extend(self.inventory.hosts().into_iter().map(str::to_owned));
            } else {
                hosts.extend(self.hosts_of(play));
            }
        }
        self.needs(&hosts);
    }

    pub(super) fn strictness(&self) -> Strictness {
        match self.rules {
            Rules::Stagger => Strictness::Strict,
            Rules::Ansible => Strictness::Ansible,
        }
    }
}
