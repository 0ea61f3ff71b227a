//! Whether shards may be allocated: the setting, in which scope it is, and what is in force.

use serde::Deserialize;

use crate::base::{Map, Value, to_text};

/// The setting.
pub(crate) const ENABLE: &str = "cluster.routing.allocation.enable";

/// Its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Enable {
    /// No shard: an index made meanwhile is red.
    None,
    /// Primaries only.
    Primaries,
    /// Primaries of new indices only.
    NewPrimaries,
    /// All: the default.
    All,
}

impl Enable {
    /// As it is written.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Primaries => "primaries",
            Self::NewPrimaries => "new_primaries",
            Self::All => "all",
        }
    }

    /// Reads one; Elasticsearch takes any case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        [Self::None, Self::Primaries, Self::NewPrimaries, Self::All].into_iter().find(|value| value.word() == lower)
    }
}

/// The answer of `GET /_cluster/settings`: both scopes, flat.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    /// Kept.
    pub(crate) persistent: Vec<(String, String)>,
    /// Gone with a full restart; wins over persistent ones.
    pub(crate) transient: Vec<(String, String)>,
}

impl Settings {
    /// A setting in the persistent and in the transient scope.
    pub(crate) fn both(&self, name: &str) -> (Option<&str>, Option<&str>) {
        (find(&self.persistent, name), find(&self.transient, name))
    }

    /// What is in force of what was set by the API; `None` leaves it to elasticsearch.yml and the default.
    pub(crate) fn in_force(&self, name: &str) -> Option<&str> {
        let (persistent, transient) = self.both(name);
        transient.or(persistent)
    }

    /// Why shards are not allocated as ever, when they are not.
    pub(crate) fn held_back(&self) -> Option<String> {
        let (persistent, transient) = self.both(ENABLE);
        let off =
            |value: Option<&str>| value.filter(|text| Enable::parse(text) != Some(Enable::All)).map(str::to_owned);
        match (off(transient), transient.is_some(), off(persistent)) {
            (Some(value), _, _) => {
                Some(format!("{ENABLE} is `{value}` in the transient settings, which win over persistent ones"))
            }
            (None, false, Some(value)) => Some(format!("{ENABLE} is `{value}` in the persistent settings")),
            _ => None,
        }
    }
}

fn find<'a>(list: &'a [(String, String)], name: &str) -> Option<&'a str> {
    list.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Reads the answer of `GET /_cluster/settings`, nested or flat. It must be asked without `filter_path`: with that and
/// `flat_settings` the answer is always `{}`, as if nothing were set, and so an answer without both scopes is refused.
///
/// # Errors
/// It is no such answer.
pub(crate) fn parse_settings(body: &[u8]) -> Result<Settings, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("the settings can't be read: {error}"))?;
    let scope = |name: &str| {
        let map = value.get(name).and_then(Value::as_object);
        let mut flat = Vec::new();
        flatten(map.ok_or_else(|| format!("the settings can't be read: no `{name}` in the answer"))?, "", &mut flat, 0);
        Ok::<_, String>(flat)
    };
    Ok(Settings { persistent: scope("persistent")?, transient: scope("transient")? })
}

/// Deeper than any setting is nested.
const DEEPEST: usize = 32;

pub(super) fn flatten(map: &Map, above: &str, flat: &mut Vec<(String, String)>, depth: usize) {
    for (key, value) in map {
        let name = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        match value {
            Value::Object(inner) if depth < DEEPEST => flatten(inner, &name, flat, depth + 1),
            other => flat.push((name, to_text(other))),
        }
    }
}

/// Whether the number of masters that must see each other below 7.0 is right for so many master-eligible nodes.
///
/// # Errors
/// It is not: what happens, and what to set.
pub(crate) fn zen_quorum(minimum: Option<u32>, masters: usize) -> Result<(), String> {
    let Some(masters) = u32::try_from(masters).ok().filter(|masters| *masters > 0) else { return Ok(()) };
    let right = masters / 2 + 1;
    let minimum = minimum.unwrap_or(1);
    if minimum < right {
        return Err(format!(
            "discovery.zen.minimum_master_nodes is {minimum} with {masters} master-eligible nodes: one that is cut off would elect \
             itself and take writes that are lost afterwards; set it to {right}"
        ));
    }
    if masters > 1 && minimum >= masters {
        return Err(format!(
            "discovery.zen.minimum_master_nodes is {minimum} with {masters} master-eligible nodes: the cluster has no master as soon as \
             one of them is stopped; {}",
            if masters > 2 { format!("set it to {right}") } else { "add a third master-eligible node".to_owned() }
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leftover_in_either_scope_is_seen() {
        let read = |text: &str| parse_settings(text.as_bytes()).expect("settings");
        let both = read(r#"{"persistent":{},"transient":{"cluster":{"routing":{"allocation":{"enable":"none"}}}}}"#);
        assert_eq!(both.both(ENABLE), (None, Some("none")));
        assert!(both.held_back().unwrap().contains("transient settings, which win"));
        let flat = read(r#"{"persistent":{"cluster.routing.allocation.enable":"primaries"},"transient":{}}"#);
        assert!(flat.held_back().unwrap().contains("`primaries` in the persistent"));
        let overruled = read(
            r#"{"persistent":{"cluster.routing.allocation.enable":"none"},"transient":{"cluster.routing.allocation.enable":"ALL"}}"#,
        );
        assert_eq!(overruled.held_back(), None);
        assert_eq!(read(r#"{"persistent":{},"transient":{}}"#).held_back(), None);
    }

    #[test]
    fn an_answer_that_a_filter_emptied_is_not_taken_for_no_settings() {
        assert!(parse_settings(b"{}").unwrap_err().contains("no `persistent`"));
        assert!(parse_settings(b"<html>").is_err());
    }

    #[test]
    fn a_wrong_number_of_masters_is_refused_both_ways() {
        assert_eq!(zen_quorum(Some(2), 3), Ok(()));
        assert!(zen_quorum(Some(1), 3).unwrap_err().contains("lost afterwards"));
        assert!(zen_quorum(None, 3).unwrap_err().contains("set it to 2"));
        assert!(zen_quorum(Some(3), 3).unwrap_err().contains("no master as soon as"));
        assert!(zen_quorum(Some(2), 2).unwrap_err().contains("add a third"));
        assert_eq!(zen_quorum(Some(1), 1), Ok(()));
    }
}
