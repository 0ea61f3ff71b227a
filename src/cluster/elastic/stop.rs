//! Whether a node may be stopped now: rules 1 to 6 of rolling with care, each refusal by the name of the predicate.

use super::order::{earlier, tier_name};
use super::{Copy, Enable, Explanation, Health, Node, Nodes, Settings, Status, Version, order_of, rolls, zen_quorum};

/// What is known of the cluster, all of one look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cluster<'a> {
    /// Its nodes.
    pub(crate) nodes: &'a Nodes,
    /// The id of the elected master, on which all that were asked agree.
    pub(crate) elected: Option<&'a str>,
    /// Its health.
    pub(crate) health: &'a Health,
    /// Its settings.
    pub(crate) settings: &'a Settings,
    /// All copies of all shards.
    pub(crate) copies: &'a [Copy],
    /// Why copies without a node have none, as far as it was asked.
    pub(crate) explained: &'a [Explanation],
}

/// What is to be done, and what the operator has accepted.
#[derive(Debug, Clone)]
pub(crate) struct Stop<'a> {
    /// The name of the node.
    pub(crate) node: &'a str,
    /// The version that it is to run then.
    pub(crate) to: Version,
    /// How many nodes the cluster must have.
    pub(crate) expected: usize,
    /// Indices without replicas that may be out meanwhile: names, `*` stands for any text at the end.
    pub(crate) may_be_out: &'a [String],
    /// Whether the order of roles is the operator's own matter.
    pub(crate) any_order: bool,
    /// Whether allocation must be switched off already.
    pub(crate) switched_off: bool,
    /// Whether fewer than three masters are accepted: the cluster is out while one is stopped.
    pub(crate) few_masters: bool,
}

/// Why a node may not be stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The predicate that does not hold.
    pub(crate) predicate: &'static str,
    /// With which index, shard, node and value, and what to do.
    pub(crate) why: String,
    /// Whether it may hold in a while, with nobody doing anything.
    pub(crate) passes: bool,
}

impl Refusal {
    /// For a person: `one_node_at_a_time: …`.
    pub(crate) fn text(&self) -> String {
        format!("{}: {}", self.predicate, self.why)
    }
}

/// All that speaks against stopping the node now.
pub(crate) fn may_stop(cluster: &Cluster<'_>, stop: &Stop<'_>) -> Vec<Refusal> {
    let mut refused = Vec::new();
    let mut no = |predicate, why: String, passes| refused.push(Refusal { predicate, why, passes });
    let Some(node) = cluster.nodes.named(stop.node) else {
        no("node_is_in_the_cluster", format!("the cluster has no node `{}`", stop.node), true);
        return refused;
    };
    if let Err(why) = rolls(node.version, stop.to) {
        no("version_may_follow", format!("{}: {why}", node.name), false);
    }
    presence(cluster, stop, &mut no);
    match cluster.health.status {
        Status::Red => no("not_red", format!("the cluster is red{}", red(cluster)), true),
        Status::Yellow => {
            if let Err(why) = accepted_yellow(cluster, stop.to, stop.switched_off) {
                no("green_or_yellow_by_versions", format!("the cluster is yellow: {why}"), true);
            }
        }
        Status::Green => {}
    }
    if let Some(unrest) = cluster.health.unrest() {
        no("at_rest", unrest, true);
    }
    copies(cluster, stop, node, &mut no);
    masters(cluster, stop, node, &mut no);
    if let Some(other) = earlier(&cluster.nodes.list, node, cluster.elected, stop.to).filter(|_| !stop.any_order) {
        let (own, first) = (order_of(node, cluster.elected), order_of(other, cluster.elected));
        no(
            "order_of_roles",
            format!(
                "{} ({}) is not next: {} ({}) still runs {} and goes first (`any_order` leaves that to you)",
                node.name,
                tier_name(own),
                other.name,
                tier_name(first),
                other.version
            ),
            false,
        );
    }
    allocation(cluster, stop, &mut no);
    refused
}

type No<'a> = dyn FnMut(&'static str, String, bool) + 'a;

fn presence(cluster: &Cluster<'_>, stop: &Stop<'_>, no: &mut No<'_>) {
    let (listed, health) = (cluster.nodes.list.len(), cluster.health.number_of_nodes);
    if listed < stop.expected || health < stop.expected || cluster.nodes.failed > 0 {
        let dead = if cluster.nodes.failed > 0 {
            format!(", of which {} did not answer it", cluster.nodes.failed)
        } else {
            String::new()
        };
        let why = format!(
            "{} nodes must be there and the master counts {health}{dead}: nothing is stopped while another is missing",
            stop.expected
        );
        no("one_node_at_a_time", why, true);
    }
    if cluster.elected.and_then(|id| cluster.nodes.with_id(id)).is_none() {
        no("one_elected_master", "no master that is one of the nodes".to_owned(), true);
    }
}

/// Which primaries are missing.
fn red(cluster: &Cluster<'_>) -> String {
    let missing: Vec<String> = cluster
        .copies
        .iter()
        .filter(|copy| copy.primary && !copy.works())
        .map(|copy| format!("{}[{}]", copy.index, copy.shard))
        .collect();
    match missing.as_slice() {
        [] => " by its own word, with every primary at work: there was no master a moment ago".to_owned(),
        some => format!(": no primary of {}", listed(some)),
    }
}

/// At most five names.
pub(super) fn listed(names: &[String]) -> String {
    let shown = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 5 { format!("{shown} and {} more", names.len() - 5) } else { shown }
}

/// Whether yellow is all that can be had until more nodes are upgraded.
///
/// # Errors
/// It is not: which copy, and what keeps it.
pub(super) fn accepted_yellow(cluster: &Cluster<'_>, to: Version, switched_off: bool) -> Result<(), String> {
    let waiting: Vec<&Copy> = cluster.copies.iter().filter(|copy| !copy.works()).collect();
    let name = |copy: &Copy| format!("{}[{}]", copy.index, copy.shard);
    if let Some(copy) = waiting.iter().find(|copy| copy.primary) {
        return Err(format!("{} has no primary", name(copy)));
    }
    let names: Vec<String> = waiting.iter().map(|copy| name(copy)).collect();
    if !cluster.nodes.list.iter().any(|node| node.version != to) {
        return Err(format!("replicas without a node: {}, and every node runs {to}", listed(&names)));
    }
    // With allocation off a copy counts as delayed for up to a minute, whatever it really waits for.
    if cluster.health.delayed_unassigned_shards > 0 && !switched_off {
        return Err(format!("{} copies wait for their node to come back", cluster.health.delayed_unassigned_shards));
    }
    for copy in waiting {
        let explained = cluster.explained.iter().find(|one| one.index == copy.index && one.shard == copy.shard);
        match explained {
            Some(explanation) => explanation.waits_for_versions()?,
            None => return Err(format!("a replica of {} has no node, and nothing says why", name(copy))),
        }
    }
    Ok(())
}

fn copies(cluster: &Cluster<'_>, stop: &Stop<'_>, node: &Node, no: &mut No<'_>) {
    let here = |copy: &&Copy| copy.node.as_deref() == Some(node.name.as_str());
    for copy in cluster.copies.iter().filter(here).filter(|copy| copy.works()) {
        let mut others =
            cluster.copies.iter().filter(|other| other.of_one(copy) && !std::ptr::eq(*other, copy)).peekable();
        let name = format!("{}[{}]", copy.index, copy.shard);
        if others.peek().is_none() {
            if !stop.may_be_out.iter().any(|pattern| matches(pattern, &copy.index)) {
                let why = format!(
                    "{name} has no replica and is on {}: the index {} is out while that is stopped; give it a replica, or accept it \
                     with `may_be_out`",
                    node.name, copy.index
                );
                no("started_copy_elsewhere", why, false);
            }
        } else if !others.any(|other| other.state == super::CopyState::Started && !here(&other)) {
            no("started_copy_elsewhere", format!("the only copy of {name} that works is on {}", node.name), true);
        }
    }
}

/// `logs-*` and the like.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

fn masters(cluster: &Cluster<'_>, stop: &Stop<'_>, node: &Node, no: &mut No<'_>) {
    if !node.votes() {
        return;
    }
    let voters = cluster.nodes.list.iter().filter(|node| node.votes()).count();
    if voters < 3 && !stop.few_masters {
        let why = format!(
            "{} is one of {voters} master-eligible nodes: without it there is no master, and the cluster is out until it is back; that is \
             no rolling upgrade (accept it with `few_masters`)",
            node.name
        );
        no("masters_that_remain_are_enough", why, false);
    }
    let others_old =
        cluster.nodes.list.iter().any(|other| other.id != node.id && other.votes() && other.version != stop.to);
    if cluster.elected == Some(node.id.as_str()) && others_old && !stop.any_order {
        let why = format!(
            "{} is the elected master, and other master-eligible nodes are not at {} yet: it goes last, which saves an election",
            node.name, stop.to
        );
        no("elected_master_last", why, false);
    }
    if cluster.nodes.oldest().is_some_and(|oldest| oldest.major < 7) && voters > 2 {
        let set = cluster.settings.in_force("discovery.zen.minimum_master_nodes");
        // What elasticsearch.yml says is the preflight's to look at.
        if let Some(Err(why)) = set.map(|set| zen_quorum(set.parse().ok(), voters)) {
            no("masters_that_remain_are_enough", why, false);
        }
    }
}

fn allocation(cluster: &Cluster<'_>, stop: &Stop<'_>, no: &mut No<'_>) {
    let held = cluster.settings.held_back();
    if stop.switched_off {
        let off =
            |text: &str| matches!(Enable::parse(text), Some(Enable::None | Enable::Primaries | Enable::NewPrimaries));
        if !cluster.settings.in_force(super::ENABLE).is_some_and(off) {
            no("allocation_is_off", "somebody has switched allocation on again".to_owned(), false);
        }
    } else if let Some(why) = held {
        let why = format!(
            "{why}: a run was cut off, or somebody is at work; put it back with `elastic_allocation: {{state: all}}`"
        );
        no("allocation_as_ever", why, false);
    }
}
