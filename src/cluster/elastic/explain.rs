//! Why a copy has no node: `GET /_cluster/allocation/explain`. Deciders are matched, never the prose, which changes.

use serde::Deserialize;

/// Why a copy is where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Explanation {
    /// The index.
    pub(crate) index: String,
    /// The number of the shard.
    pub(crate) shard: u32,
    /// By node: the deciders that say no.
    pub(crate) nodes: Vec<(String, Vec<String>)>,
}

#[derive(Deserialize)]
struct Decider {
    decider: String,
    #[serde(default)]
    decision: String,
}

#[derive(Deserialize)]
struct Decision {
    node_name: String,
    #[serde(default)]
    deciders: Vec<Decider>,
}

#[derive(Deserialize)]
struct Body {
    index: String,
    shard: u32,
    #[serde(default)]
    node_allocation_decisions: Vec<Decision>,
}

/// Reads an explanation.
///
/// # Errors
/// It is none.
pub(crate) fn parse_explanation(body: &[u8]) -> Result<Explanation, String> {
    let body: Body = serde_json::from_slice(body).map_err(|error| format!("the explanation can't be read: {error}"))?;
    let nodes = body
        .node_allocation_decisions
        .into_iter()
        .map(|decision| {
            let no = decision.deciders.into_iter().filter(|decider| decider.decision == "NO");
            (decision.node_name, no.map(|decider| decider.decider).collect())
        })
        .collect();
    Ok(Explanation { index: body.index, shard: body.shard, nodes })
}

impl Explanation {
    /// That it can't have a node until more nodes are upgraded: each node says no, because it is older than the primary's, or has
    /// a copy already, and at least one because it is older.
    ///
    /// # Errors
    /// Something else is in the way: which decider on which node.
    pub(crate) fn waits_for_versions(&self) -> Result<(), String> {
        let mut older = false;
        for (node, deciders) in &self.nodes {
            let has = |name: &str| deciders.iter().any(|decider| decider == name);
            older |= has("node_version");
            if !has("node_version") && !has("same_shard") {
                let why = if deciders.is_empty() { "nothing".to_owned() } else { deciders.join(", ") };
                return Err(format!("{}[{}]: {why} keeps it from {node}", self.index, self.shard));
            }
        }
        if older { Ok(()) } else { Err(format!("{}[{}]: no node is too old for it", self.index, self.shard)) }
    }
}
