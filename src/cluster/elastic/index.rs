//! By which version an index was made: `GET /_all/_settings/index.version.created?expand_wildcards=all`.

use std::collections::BTreeMap;

use super::Version;
use crate::base::{Value, to_text};

/// Reads the major version that made each index.
///
/// # Errors
/// It is no such answer.
pub(crate) fn parse_created(body: &[u8]) -> Result<BTreeMap<String, u32>, String> {
    let value: BTreeMap<String, Value> =
        serde_json::from_slice(body).map_err(|error| format!("the indices can't be read: {error}"))?;
    let mut created = BTreeMap::new();
    for (name, settings) in value {
        let at = ["/settings/index/version/created", "/settings/index.version.created"];
        let Some(number) = at.iter().find_map(|path| settings.pointer(path)) else { continue };
        // `6082399`: two digits for each part, from the right. 5.0 was the first with five.
        let number: u32 =
            to_text(number).parse().map_err(|_| format!("index {name}: no version in index.version.created"))?;
        created.insert(name, number / 1_000_000);
    }
    Ok(created)
}

/// Indices that a version does not open, and so does not start with: those made more than one major before.
pub(crate) fn too_old(created: &BTreeMap<String, u32>, to: Version) -> Vec<String> {
    let old = created.iter().filter(|(_, major)| **major + 1 < to.major);
    old.map(|(name, major)| format!("{name} (made by {major}.x)")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_lives_for_one_more_major() {
        let body = br#"{"old":{"settings":{"index":{"version":{"created":"5061699"}}}},
            "new":{"settings":{"index":{"version":{"created":"6082399"}}}},"alias":{"settings":{}}}"#;
        let created = parse_created(body).unwrap();
        assert_eq!(too_old(&created, Version::new(6, 8, 23)), Vec::<String>::new());
        assert_eq!(too_old(&created, Version::new(7, 17, 29)), ["old (made by 5.x)"]);
        assert_eq!(too_old(&created, Version::new(8, 17, 0)).len(), 2);
        assert!(parse_created(b"[]").is_err());
    }
}
