//! What of `elasticsearch.yml` a version refuses, and the Java that it needs: the table `versions.yaml`.

use super::Version;
use super::allocation::flatten;
use super::table::TABLES;
use crate::base::Value;

/// Reads `elasticsearch.yml` flat: it may be written nested, flat, or mixed.
///
/// # Errors
/// It is no mapping.
pub(crate) fn settings_of_yaml(text: &str) -> Result<Vec<(String, String)>, String> {
    let value: Value =
        serde_yaml::from_str(text).map_err(|error| format!("elasticsearch.yml can't be read: {error}"))?;
    let mut flat = Vec::new();
    match &value {
        Value::Null => {}
        Value::Object(map) => flatten(map, "", &mut flat, 0),
        _ => return Err("elasticsearch.yml can't be read: it is no mapping".to_owned()),
    }
    Ok(flat)
}

fn stands_for(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name || name.strip_prefix(pattern).is_some_and(|rest| rest.starts_with('.')),
    }
}

/// Settings that a node of this version would die on, a sentence each.
pub(crate) fn removed_settings(settings: &[(String, String)], to: Version) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, _) in settings {
        let row = TABLES
            .removed
            .iter()
            .filter(|row| row.since.reached(to))
            .find(|row| row.names.iter().any(|pattern| stands_for(pattern, name)));
        if let Some(row) = row {
            let instead = if row.instead.is_empty() {
                "take it out".to_owned()
            } else {
                format!("write {} in its place", row.instead)
            };
            wrong.push(format!("elasticsearch.yml: {name}: {to} does not start with this setting; {instead} (while the node is stopped)"));
        }
    }
    let has = |name: &str| settings.iter().any(|(own, _)| stands_for(name, own));
    for clash in TABLES.clashes.iter().filter(|clash| clash.since.reached(to)) {
        let (one, other) = &clash.names;
        if has(one)
            && has(other)
            && !TABLES.removed.iter().any(|row| row.since.reached(to) && row.names.contains(other))
        {
            wrong
                .push(format!("elasticsearch.yml: {one} and {other}: {to} does not start with both; take {other} out"));
        }
    }
    wrong
}

/// The environment variable by which a version is told its Java.
pub(crate) fn java_variable(version: Version) -> &'static str {
    row(version).map_or("JAVA_HOME", |row| row.variable.as_str())
}

/// Whether a version starts with a Java.
///
/// # Errors
/// It does not: which it needs.
pub(crate) fn java_wanted(version: Version, java: u32) -> Result<(), String> {
    let Some(row) = row(version) else { return Ok(()) };
    if (row.oldest..=row.newest).contains(&java) {
        return Ok(());
    }
    let newest = if row.newest < 99 { format!(" to {}", row.newest) } else { " or later".to_owned() };
    Err(format!(
        "{version} does not start with Java {java}: it needs Java {}{newest}; name it with {}",
        row.oldest, row.variable
    ))
}

fn row(version: Version) -> Option<&'static super::table::Java> {
    TABLES.java.iter().rev().find(|row| row.since.reached(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V8: Version = Version::new(8, 17, 0);

    #[test]
    fn what_the_target_dies_on_is_found_however_it_is_written() {
        let read = |text: &str| removed_settings(&settings_of_yaml(text).expect("yaml"), V8);
        assert_eq!(read("# nothing\n"), Vec::<String>::new());
        let wrong =
            read("node.master: true\nnode:\n  name: a\n  data: true\ndiscovery.zen:\n  minimum_master_nodes: 2\n");
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong[0].contains("node.master: 8.17.0 does not start") && wrong[0].contains("node.roles"));
        assert!(read("transport.tcp.port: 9300\n")[0].contains("write transport.port"));
        assert_eq!(read("transport.port: 9300\nnode.roles: [master]\n"), Vec::<String>::new());
        assert!(settings_of_yaml("- a\n").is_err() && settings_of_yaml("a: [\n").is_err());
    }

    #[test]
    fn settings_are_refused_by_the_version_that_removed_them_and_not_before() {
        let of = |text: &str, to: &str| removed_settings(&settings_of_yaml(text).unwrap(), Version::parse(to).unwrap());
        assert!(of("discovery.zen.minimum_master_nodes: 2\ntransport.tcp.port: 1\n", "7.17.29").is_empty());
        assert_eq!(of("http.enabled: true\n", "7.17.29").len(), 1);
        let both = "discovery.seed_hosts: [a]\ndiscovery.zen.ping.unicast.hosts: [a]\n";
        assert!(of(both, "7.17.29")[0].contains("does not start with both"));
        assert_eq!(of(both, "8.17.0").len(), 1);
        assert_eq!(of("index.number_of_replicas: 1\n", "6.2.4").len(), 1);
    }

    #[test]
    fn each_version_has_its_java() {
        assert!(java_wanted(V8, 11).unwrap_err().contains("needs Java 17"));
        assert_eq!(java_wanted(V8, 17), Ok(()));
        assert!(java_wanted(Version::new(5, 6, 16), 17).is_err());
        assert_eq!(java_wanted(Version::new(6, 8, 23), 17), Ok(()));
        assert!(java_wanted(Version::new(7, 17, 29), 25).is_err());
        assert_eq!((java_variable(V8), java_variable(Version::new(6, 8, 23))), ("ES_JAVA_HOME", "JAVA_HOME"));
    }
}
