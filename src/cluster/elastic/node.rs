//! The nodes of a cluster, by `GET /_nodes/_all/no-metrics`, and whether they are Elasticsearch.

use serde::Deserialize;

use super::Version;
use crate::base::{Map, Value};

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its id: kept with its data.
    pub(crate) id: String,
    /// `node.name`.
    pub(crate) name: String,
    /// The version that it runs.
    pub(crate) version: Version,
    /// Its address in the cluster.
    pub(crate) ip: String,
    /// Its roles, in any order: `master`, `data`, `data_hot`, ….
    pub(crate) roles: Vec<String>,
}

impl Node {
    /// Whether it has a role.
    pub(crate) fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }

    /// Whether it votes for a master.
    pub(crate) fn votes(&self) -> bool {
        self.has("master")
    }

    /// Whether it holds data of any tier.
    pub(crate) fn holds_data(&self) -> bool {
        self.roles.iter().any(|role| role == "data" || role.starts_with("data_"))
    }
}

/// All nodes, and how many of them did not answer the one that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Nodes {
    /// Those that answered, by name.
    pub(crate) list: Vec<Node>,
    /// A node that is listed and dead counts here.
    pub(crate) failed: usize,
}

impl Nodes {
    /// A node by name.
    pub(crate) fn named(&self, name: &str) -> Option<&Node> {
        self.list.iter().find(|node| node.name == name)
    }

    /// A node by id.
    pub(crate) fn with_id(&self, id: &str) -> Option<&Node> {
        self.list.iter().find(|node| node.id == id)
    }

    /// The oldest version among them.
    pub(crate) fn oldest(&self) -> Option<Version> {
        self.list.iter().map(|node| node.version).min()
    }

    /// Names that two nodes have: shards are told apart by them.
    pub(crate) fn doubled(&self) -> Vec<&str> {
        let count = |name: &str| self.list.iter().filter(|node| node.name == name).count();
        let mut doubled: Vec<&str> =
            self.list.iter().map(|node| node.name.as_str()).filter(|name| count(name) > 1).collect();
        doubled.dedup();
        doubled
    }
}

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    failed: usize,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    version: String,
    #[serde(default)]
    ip: String,
    #[serde(default)]
    roles: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default, rename = "_nodes")]
    header: Option<Header>,
    nodes: std::collections::BTreeMap<String, Row>,
}

/// Reads `GET /_nodes/_all/no-metrics` or `/_nodes/_local/no-metrics`.
///
/// # Errors
/// It is no such answer, or that of a product that is not rolled here.
pub(crate) fn parse_nodes(body: &[u8]) -> Result<Nodes, String> {
    let body: Body = serde_json::from_slice(body).map_err(|error| format!("the nodes can't be read: {error}"))?;
    let mut list = Vec::new();
    for (id, row) in body.nodes {
        let roles = row.roles.unwrap_or_default();
        if roles.iter().any(|role| role == "cluster_manager") {
            return Err(refused_product(&format!("{} runs OpenSearch {}", row.name, row.version)));
        }
        let version = Version::parse(&row.version).map_err(|why| format!("node {}: {why}", row.name))?;
        list.push(Node { id, name: row.name, version, ip: row.ip, roles });
    }
    list.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Nodes { list, failed: body.header.map_or(0, |header| header.failed) })
}

/// `version.distribution` of `GET /`: `opensearch` for that product; `None` for Elasticsearch, or where the answer has none.
pub(crate) fn distribution(body: &[u8]) -> Option<String> {
    let root: Map = serde_json::from_slice(body).ok()?;
    let version = root.get("version")?;
    version.get("distribution").and_then(Value::as_str).map(str::to_owned)
}

/// What is said of OpenSearch.
pub(crate) fn refused_product(what: &str) -> String {
    format!(
        "{what}: only Elasticsearch is rolled here. OpenSearch has other rules for which versions may follow which: use its own guide or \
         its operator"
    )
}
