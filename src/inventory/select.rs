//! Host patterns against the inventory: `hosts:`, the pattern of one-off commands, and `--limit`.

use std::path::Path;

use indexmap::IndexSet;

use super::Inventory;
use super::graph::{ALL, LOCALHOST};
use super::pattern::{Effect, Matcher, Part, PatternError, Slice, Strictness, split, split_slice};
use crate::diag::{Sources, did_you_mean};

/// The hosts of a pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// In the order of the pattern's parts, within a part in inventory order, each once. May be empty although every
    /// part matched (an empty group, an empty intersection): whether that is an error is the caller's to say.
    pub(crate) hosts: Vec<String>,
    /// What was let pass.
    pub(crate) warnings: Vec<String>,
}

/// Stands for the `localhost` that no source names.
const IMPLICIT: u32 = u32::MAX;

impl Inventory {
    /// The hosts of a pattern; every part must match.
    ///
    /// # Errors
    /// An empty pattern, a part that matches nothing, a slice outside its group.
    #[cfg(test)]
    pub(crate) fn select(&self, pattern: &str) -> Result<Vec<String>, PatternError> {
        self.select_with(pattern, Strictness::Strict).map(|selection| selection.hosts)
    }

    /// The hosts of a pattern under either rule.
    ///
    /// # Errors
    /// An empty pattern, `[N]` outside its group; under [`Strictness::Strict`] also a part that matches nothing and a
    /// slice that reaches over an end.
    pub(crate) fn select_with(&self, pattern: &str, strictness: Strictness) -> Result<Selection, PatternError> {
        let parts = split(pattern)?;
        if parts.is_empty() {
            return Err(PatternError::new("the host pattern is empty", 0..0).help("write `all` for every host"));
        }
        self.evaluate(parts, strictness)
    }

    /// Keeps of some hosts those that `--limit` names, in their order. An item may be a pattern or `@FILE` with one
    /// pattern a line (blank lines and lines that begin with `#` are left out).
    ///
    /// # Errors
    /// As [`Inventory::select_with`]; a file that can't be read, and a limit that names nothing: Ansible
    /// then acts on all hosts.
    pub(crate) fn limit(
        &self,
        sources: &Sources,
        hosts: &[String],
        limit: &[String],
        strictness: Strictness,
    ) -> Result<Selection, PatternError> {
        let mut parts = Vec::new();
        for item in limit {
            let before = parts.len();
            for part in split(item)? {
                match part.text.strip_prefix('@').filter(|_| part.effect == Effect::Add) {
                    Some(file) => parts.extend(read_limit(sources, file, &part)?),
                    None => parts.push(part),
                }
            }
            if parts.len() == before {
                return Err(PatternError::new("the limit is empty", 0..0)
                    .help("an empty limit would act on every host; leave --limit out if that is meant"));
            }
        }
        if parts.is_empty() {
            return Ok(Selection { hosts: hosts.to_vec(), warnings: Vec::new() });
        }
        let chosen = self.evaluate(parts, strictness)?;
        let names: IndexSet<&str> = chosen.hosts.iter().map(String::as_str).collect();
        let hosts = hosts.iter().filter(|host| names.contains(host.as_str())).cloned().collect();
        Ok(Selection { hosts, warnings: chosen.warnings })
    }

    fn evaluate(&self, parts: Vec<Part>, strictness: Strictness) -> Result<Selection, PatternError> {
        let mut evaluation = Evaluation { inventory: self, strictness, implicit: None, warnings: Vec::new() };
        let mut hosts: IndexSet<u32> = IndexSet::new();
        if parts.iter().all(|part| part.effect != Effect::Add) {
            hosts.extend(self.members(ALL).iter());
        }
        for effect in [Effect::Add, Effect::Keep, Effect::Drop] {
            for part in parts.iter().filter(|part| part.effect == effect) {
                let matched = evaluation.part(part)?;
                match effect {
                    Effect::Add => hosts.extend(matched),
                    Effect::Keep => hosts.retain(|host| matched.contains(host)),
                    Effect::Drop => hosts.retain(|host| !matched.contains(host)),
                }
            }
        }
        let implicit = evaluation.implicit.unwrap_or_default();
        let name = |host: u32| if host == IMPLICIT { implicit.as_str() } else { self.graph.host_name(host) };
        Ok(Selection {
            hosts: hosts.into_iter().map(|host| name(host).to_owned()).collect(),
            warnings: evaluation.warnings,
        })
    }
}

/// The lines of a limit's file as parts.
fn read_limit(sources: &Sources, file: &str, part: &Part) -> Result<Vec<Part>, PatternError> {
    let path = Path::new(file);
    if path.is_dir() {
        return Err(PatternError::new(format!("the limit `@{file}` must be a file, not a folder"), part.place.clone()));
    }
    let (_, text) = sources.load(path).map_err(|error| {
        let reason = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        PatternError::new(format!("the limit's file: {error}{reason}"), part.place.clone())
    })?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parts = lines.map(|line| Part::new(line, part.place.clone())).collect::<Result<Vec<_>, _>>()?;
    if parts.is_empty() {
        return Err(PatternError::new(format!("the limit's file {file} names no host"), part.place.clone())
            .help("an empty limit would act on every host; leave --limit out if that is meant"));
    }
    Ok(parts)
}

struct Evaluation<'a> {
    inventory: &'a Inventory,
    strictness: Strictness,
    implicit: Option<String>,
    warnings: Vec<String>,
}

impl Evaluation<'_> {
    fn part(&mut self, part: &Part) -> Result<IndexSet<u32>, PatternError> {
        let graph = &self.inventory.graph;
        if part.effect == Effect::Add
            && let Some(host) = graph.hosts.get_index_of(part.text.as_str())
        {
            return Ok(IndexSet::from([host as u32]));
        }
        let (base, slice, dash) =
            if part.text.starts_with('~') { (&*part.text, None, false) } else { split_slice(&part.text) };
        if dash {
            self.warnings.push(format!("`{}`: write slices with a colon, [x:y]; both ends are included", part.text));
        }
        let Some(hosts) = self.matching(base, part)? else {
            return self.unmatched(base, part).map(|()| IndexSet::new());
        };
        match slice {
            Some(slice) if !hosts.is_empty() => self.cut(&hosts, slice, part),
            _ => Ok(hosts),
        }
    }

    /// The hosts of all groups and hosts that a name matches. `None`: it matches neither.
    fn matching(&mut self, base: &str, part: &Part) -> Result<Option<IndexSet<u32>>, PatternError> {
        let inventory = self.inventory;
        let graph = &inventory.graph;
        let matcher = Matcher::new(base).map_err(|reason| {
            PatternError::new(format!("`{base}` is no regular expression: {reason}"), part.place.clone())
        })?;
        let mut hosts = IndexSet::new();
        let mut group_matched = false;
        let mut host_matched = false;
        if let Matcher::Word(word) = &matcher {
            if let Some(group) = graph.groups.get_index_of(word.as_str()) {
                group_matched = true;
                hosts.extend(inventory.members(group as u32).iter());
            }
            if (!group_matched || word.contains('.'))
                && let Some(host) = graph.hosts.get_index_of(word.as_str())
            {
                host_matched = true;
                hosts.insert(host as u32);
            }
        } else {
            let gives_up =
                |reason: String| PatternError::new(format!("`{base}` can't be matched: {reason}"), part.place.clone());
            for (group, name) in (0u32..).zip(graph.groups.keys()) {
                if matcher.matches(name).map_err(gives_up)? {
                    group_matched = true;
                    hosts.extend(inventory.members(group).iter());
                }
            }
            for (host, name) in (0u32..).zip(graph.hosts.keys()) {
                if matcher.matches(name).map_err(gives_up)? {
                    host_matched = true;
                    hosts.insert(host);
                }
            }
        }
        if !group_matched
            && !host_matched
            && let Some(list) = inventory.left_by(base)
        {
            let (hosts, missing) = list.map_err(|reason| PatternError::new(reason, part.place.clone()))?;
            if hosts.is_empty() {
                let message = format!("no host of `{base}` is in the inventory: {}", missing.join(", "));
                return Err(PatternError::new(message, part.place.clone()));
            }
            if !missing.is_empty() {
                self.warnings.push(format!("`{base}`: not in the inventory: {}", missing.join(", ")));
            }
            return Ok(Some(hosts));
        }
        if hosts.is_empty() && LOCALHOST.contains(&base) {
            // An address of this machine means the host of the inventory that has another of its names.
            let known = graph.hosts.keys().position(|name| LOCALHOST.contains(&&**name));
            hosts.insert(match known {
                Some(host) => host as u32,
                None => {
                    self.implicit.get_or_insert_with(|| base.to_owned());
                    IMPLICIT
                }
            });
            return Ok(Some(hosts));
        }
        Ok((group_matched || host_matched).then_some(hosts))
    }

    fn unmatched(&mut self, base: &str, part: &Part) -> Result<(), PatternError> {
        if self.strictness == Strictness::Ansible {
            self.warnings.push(format!("Could not match supplied host pattern, ignoring: {base}"));
            return Ok(());
        }
        let graph = &self.inventory.graph;
        let what = if base.starts_with('~') || base.contains(['*', '?', '[']) { "matches" } else { "is called" };
        let mut error = PatternError::new(format!("no group or host {what} `{base}`"), part.place.clone());
        let names = graph.groups.keys().chain(graph.hosts.keys()).map(|name| &**name);
        if let Some(meant) = did_you_mean(base, names) {
            error = error.help(format!("did you mean `{meant}`?"));
        }
        if base.contains("[:") {
            error = error.help("a slice begins with a number: [0:2]");
        }
        if let Some((host, _)) = base.rsplit_once(':').filter(|(host, _)| graph.hosts.contains_key(*host)) {
            error = error.help(format!("a pattern has no port: write `{host}`"));
        }
        if base.contains([' ', ';', ',']) {
            error = error.help("separate patterns by `:` or by `,`");
        }
        if part.effect == Effect::Drop {
            error = error.help("what is to be left out must be there: else a typing mistake would act on it");
        }
        Err(error)
    }

    fn cut(&self, hosts: &IndexSet<u32>, slice: Slice, part: &Part) -> Result<IndexSet<u32>, PatternError> {
        let count = hosts.len();
        let outside = || {
            PatternError::new(
                format!("`{}` reaches outside: there are {count} hosts to choose from", part.text),
                part.place.clone(),
            )
            .help(format!("they are counted from 0 to {}", count - 1))
        };
        let (first, last) = match slice {
            Slice::One(number) => {
                let at = if number < 0 { number.checked_add(count as i64) } else { Some(number) };
                let at = at.and_then(|at| usize::try_from(at).ok()).filter(|at| *at < count).ok_or_else(outside)?;
                (at, at)
            }
            Slice::Range(first, last) => (first, last.unwrap_or(count - 1)),
        };
        if self.strictness == Strictness::Strict && (first > last || last >= count) {
            return Err(outside());
        }
        Ok(hosts.iter().skip(first).take(last.saturating_add(1).saturating_sub(first)).copied().collect())
    }
}
