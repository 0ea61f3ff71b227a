//! Which hosts are meant.

use super::session::Session;
use crate::cli::Rules;
use crate::inventory::Strictness;
use crate::plan::Play;

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

    pub(super) fn strictness(&self) -> Strictness {
        match self.rules {
            Rules::Stagger => Strictness::Strict,
            Rules::Ansible => Strictness::Ansible,
        }
    }
}
