//! Which node is upgraded before which: data tier by tier, then nodes without data, then those that can be master, the elected
//! master last. Elastic's order from 7.0 on; before that any order is right, and the elected master last saves an election.

use super::{Node, Version};

/// The place of a node in the order: lower first. `elected` is the id of the master.
pub(crate) fn order_of(node: &Node, elected: Option<&str>) -> u32 {
    if elected == Some(node.id.as_str()) {
        return 7;
    }
    if node.has("master") {
        return 6;
    }
    let tiers = [("data_frozen", 0), ("data_cold", 1), ("data_warm", 2), ("data_hot", 3)];
    // A node of several tiers goes with the last of them; one with the role `data` is of all.
    let last = tiers.iter().rev().find(|(role, _)| node.has(role)).map(|(_, place)| *place);
    match last {
        Some(place) if !node.has("data") && !node.has("data_content") => place,
        _ if node.holds_data() => 4,
        _ => 5,
    }
}

/// What a place in the order is called.
pub(crate) const fn tier_name(order: u32) -> &'static str {
    match order {
        0 => "a frozen data node",
        1 => "a cold data node",
        2 => "a warm data node",
        3 => "a hot data node",
        4 => "a data node",
        5 => "a node without data",
        6 => "master-eligible",
        _ => "the elected master",
    }
}

/// A node that must be upgraded before this one and is not.
pub(super) fn earlier<'a>(nodes: &'a [Node], node: &Node, elected: Option<&str>, to: Version) -> Option<&'a Node> {
    let own = order_of(node, elected);
    nodes.iter().filter(|other| other.id != node.id && other.version != to).find(|other| order_of(other, elected) < own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_come_first_and_the_elected_master_last() {
        let node = |id: &str, roles: &[&str]| Node {
            id: id.to_owned(),
            name: id.to_owned(),
            version: Version::new(8, 17, 0),
            ip: String::new(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        };
        let of = |roles: &[&str]| order_of(&node("a", roles), Some("m"));
        assert_eq!(of(&["data_frozen"]), 0);
        assert_eq!(of(&["data_cold", "data_warm", "ingest"]), 2);
        assert_eq!(of(&["data_hot", "data_content"]), 4);
        assert_eq!(of(&["data", "ingest"]), 4);
        assert_eq!(of(&["ingest"]), 5);
        assert_eq!(of(&[]), 5);
        assert_eq!(of(&["master", "data"]), 6);
        assert_eq!(order_of(&node("m", &["master"]), Some("m")), 7);
    }
}
