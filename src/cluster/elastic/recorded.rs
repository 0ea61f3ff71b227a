//! The room held to what real nodes answered: `tests/elastic-real/`, by hop the answers in the order of the roll.

use std::path::{Path, PathBuf};

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elastic-real")
}

#[expect(clippy::disallowed_methods, reason = "a test reads its cases")]
fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const HOPS: &[(&str, &str)] =
    &[("5.6-6.2", "6.2.4"), ("6.2-6.8", "6.8.23"), ("6.8-7.17", "7.17.29"), ("7.17-8.17", "8.17.0")];

/// One look of a hop, by the names of its files.
struct Look {
    nodes: Nodes,
    elected: Option<String>,
    health: Health,
    settings: Settings,
    copies: Vec<Copy>,
    explained: Vec<Explanation>,
}

impl Look {
    fn of(hop: &str, nodes: &str, health: &str, settings: &str, shards: &str, explain: Option<&str>) -> Self {
        let body = |name: &str| read(&format!("{hop}/{name}.json"));
        let one = |name| parse_explanation(&body(name)).expect(hop);
        Self {
            nodes: parse_nodes(&body(&format!("{nodes}-nodes"))).expect(hop),
            elected: parse_master(&body(&format!("{nodes}-master"))).expect(hop),
            health: parse_health(&body(&format!("{health}-health"))).expect(hop),
            settings: parse_settings(&body(&format!("{settings}-settings"))).expect(hop),
            copies: parse_shards(&body(&format!("{shards}-shards"))).expect(hop),
            explained: explain.map(one).into_iter().collect(),
        }
    }

    fn cluster(&self) -> Cluster<'_> {
        Cluster {
            nodes: &self.nodes,
            elected: self.elected.as_deref(),
            health: &self.health,
            settings: &self.settings,
            copies: &self.copies,
            explained: &self.explained,
        }
    }

    fn refused(&self, node: &str, to: Version, change: impl FnOnce(&mut Stop<'_>)) -> Vec<&'static str> {
        let out = ["r0".to_owned()];
        let mut stop =
            Stop { node, to, expected: 3, may_be_out: &out, any_order: false, switched_off: false, few_masters: false };
        change(&mut stop);
        may_stop(&self.cluster(), &stop).into_iter().map(|refusal| refusal.predicate).collect()
    }
}

/// The node that went first: the one with the new version in the mixed cluster.
fn first(hop: &str, to: Version) -> String {
    let mixed = parse_nodes(&read(&format!("{hop}/mixed-nodes.json"))).expect(hop);
    mixed.list.iter().find(|node| node.version == to).expect(hop).name.clone()
}

#[test]
fn every_hop_is_let_begin_and_every_state_in_it_is_refused_by_its_name() {
    for (hop, to) in HOPS {
        let to = Version::parse(to).unwrap();
        let node = first(hop, to);
        let before = Look::of(hop, "before", "before", "before", "before", None);
        assert_eq!(before.refused(&node, to, |_| ()), Vec::<&str>::new(), "{hop}");
        // The index without replicas is accepted by name only.
        assert_eq!(before.refused(&node, to, |stop| stop.may_be_out = &[]), ["started_copy_elsewhere"], "{hop}");
        let elected = before.nodes.with_id(before.elected.as_deref().unwrap()).unwrap();
        assert_eq!(before.refused(&elected.name, to, |_| ()), ["elected_master_last", "order_of_roles"], "{hop}");
        assert_eq!(before.refused(&elected.name, to, |stop| stop.any_order = true), Vec::<&str>::new(), "{hop}");
        assert!(before.refused(&node, to, |stop| stop.expected = 4).contains(&"one_node_at_a_time"), "{hop}");
        assert!(before.refused("n9", to, |_| ()).contains(&"node_is_in_the_cluster"), "{hop}");
        let skipped = before.refused(&node, Version::new(9, 0, 0), |_| ());
        assert!(skipped.contains(&"version_may_follow"), "{hop}: {skipped:?}");
        // Nobody switched it off yet.
        assert_eq!(before.refused(&node, to, |stop| stop.switched_off = true), ["allocation_is_off"], "{hop}");
        let off = Look::of(hop, "before", "before", "off", "before", None);
        assert_eq!(off.refused(&node, to, |stop| stop.switched_off = true), Vec::<&str>::new(), "{hop}");
        assert_eq!(off.refused(&node, to, |_| ()), ["allocation_as_ever"], "{hop}");
        // With another node away nothing is stopped, whatever else is accepted.
        let down = Look::of(hop, "before", "down", "off", "down", None);
        let other = down.nodes.list.iter().find(|other| other.name != node && Some(&other.id) != down.elected.as_ref());
        let refused = down.refused(&other.unwrap().name, to, |stop| stop.switched_off = true);
        for predicate in ["one_node_at_a_time", "not_red"] {
            assert!(refused.contains(&predicate), "{hop}: {refused:?}");
        }
    }
}

#[test]
fn a_node_is_back_only_with_the_new_version_and_a_master_that_has_nothing_to_do() {
    for (hop, to) in HOPS {
        let to = Version::parse(to).unwrap();
        let node = first(hop, to);
        let before = Look::of(hop, "before", "before", "off", "before", None);
        assert!(joined(&before.cluster(), &node, to, 3).unwrap_err().contains("is there with"), "{hop}");
        let back = Look::of(hop, "mixed", "joined", "off", "down", None);
        let verdict = joined(&back.cluster(), &node, to, 3);
        if back.health.number_of_pending_tasks > 0 {
            assert!(verdict.unwrap_err().contains("pending tasks"), "{hop}");
        } else {
            assert_eq!(verdict, Ok(()), "{hop}");
        }
        let down = Look::of(hop, "mixed", "down", "off", "down", None);
        assert!(joined(&down.cluster(), &node, to, 3).unwrap_err().contains("2 nodes of 3"), "{hop}");
    }
}

#[test]
fn recovered_is_green_or_yellow_that_the_decider_of_versions_explains() {
    for (hop, to) in HOPS {
        let to = Version::parse(to).unwrap();
        let after = Look::of(hop, "mixed", "after", "on", "after", None);
        assert_eq!(recovered(&after.cluster(), to), Ok(false), "{hop}");
        let on_its_way = Look::of(hop, "mixed", "recovering", "on", "recovering", None);
        assert!(recovered(&on_its_way.cluster(), to).is_err(), "{hop}");
        let left_off = Look::of(hop, "mixed", "after", "off", "after", None);
        assert!(recovered(&left_off.cluster(), to).unwrap_err().contains("shards are not allocated"), "{hop}");
        // An index that was made meanwhile: its replica can't go to an older node.
        let made = Look::of(hop, "mixed", "made", "on", "made", Some("made-explain"));
        assert_eq!(recovered(&made.cluster(), to), Ok(true), "{hop}");
        let node = made.nodes.list.iter().find(|n| n.version != to && Some(&n.id) != made.elected.as_ref()).unwrap();
        assert_eq!(made.refused(&node.name, to, |_| ()), Vec::<&str>::new(), "{hop}");
        let unexplained = Look::of(hop, "mixed", "made", "on", "made", None);
        assert!(recovered(&unexplained.cluster(), to).unwrap_err().contains("nothing says why"), "{hop}");
        // At the end of the hop there is no older node to wait for.
        let mut all_new = Look::of(hop, "mixed", "made", "on", "made", Some("made-explain"));
        all_new.nodes.list.iter_mut().for_each(|node| node.version = to);
        assert!(recovered(&all_new.cluster(), to).unwrap_err().contains("every node runs"), "{hop}");
        let synced = parse_flush(&read(&format!("{hop}/flush.json"))).unwrap();
        assert!(synced.successful + synced.failed > 0, "{hop}");
    }
}

#[test]
fn a_copy_that_something_else_keeps_away_is_no_yellow_to_go_on_with() {
    let forbidden = parse_explanation(&read("single/explain-none.json")).unwrap();
    assert!(forbidden.waits_for_versions().unwrap_err().contains("enable"), "{forbidden:?}");
}

#[test]
fn a_flush_says_why_it_failed_once_each() {
    assert_eq!(parse_flush(&read("6.8-7.17/flush.json")).unwrap().failed, 10);
    let reasons = flush_failures(&read("6.8-7.17/flush.json"));
    assert!(reasons.iter().any(|reason| reason.starts_with("ongoing operations on primary (")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.starts_with("pending operations (")), "{reasons:?}");
}

#[test]
fn traps_and_other_products_are_seen_for_what_they_are() {
    assert!(parse_settings(&read("single/settings-trap.json")).is_err());
    let both = parse_settings(&read("single/settings-both.json")).unwrap();
    assert_eq!(both.both(ENABLE), (Some("primaries"), Some("none")));
    assert!(both.held_back().unwrap().contains("`none` in the transient"));
    assert_eq!(parse_nodes(&read("single/two-down-nodes.json")).unwrap().failed, 1);
    assert!(parse_nodes(&read("single/opensearch-nodes.json")).unwrap_err().contains("OpenSearch 2.11.0"));
    assert_eq!(distribution(&read("single/opensearch-root.json")).as_deref(), Some("opensearch"));
    assert!(parse_health(&read("single/health-408.json")).unwrap().timed_out);
    assert!(parse_health(&read("single/no-master.json")).is_err());
    assert!(failure_text(503, &read("single/no-master.json")).contains("there is no master"));
    assert!(failure_text(400, &read("single/no-synced.json")).contains("no handler found"));
    assert!(failure_text(400, &read("single/bad-value.json")).contains("illegal_argument_exception: No enum"));
    assert_eq!(failure_text(502, b"<html>\x1b[31m"), "status 502: <html> [31m");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads its cases")]
fn every_start_that_failed_is_explained() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder().join("start-failures")).expect("cases") {
        let path = entry.expect("an entry").path();
        let text = String::from_utf8_lossy(&std::fs::read(&path).expect("a case")).into_owned();
        if !text.contains("result: exit") {
            continue;
        }
        count += 1;
        let said: String = text.lines().skip(3).map(|line| format!("{line}\n")).collect();
        assert!(why_it_ended(&said).is_some(), "{}: {said}", path.display());
    }
    assert!(count > 30, "{count}");
    assert_eq!(why_it_ended("all is well\n"), None);
}
