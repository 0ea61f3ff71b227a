//! The copies of shards, by `GET /_cat/shards?format=json&h=index,shard,prirep,state,node`.

use serde::Deserialize;

/// What a copy is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum CopyState {
    /// Works.
    Started,
    /// Works, and is on its way to another node.
    Relocating,
    /// Is being made.
    Initializing,
    /// Has no node.
    Unassigned,
}

/// A copy of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copy {
    /// The index.
    pub(crate) index: String,
    /// The number of the shard.
    pub(crate) shard: u32,
    /// Whether it is the primary.
    pub(crate) primary: bool,
    /// What it is doing.
    pub(crate) state: CopyState,
    /// The name of the node that it is on.
    pub(crate) node: Option<String>,
}

impl Copy {
    /// Whether it answers.
    pub(crate) fn works(&self) -> bool {
        matches!(self.state, CopyState::Started | CopyState::Relocating)
    }

    /// Whether both are copies of one shard.
    pub(crate) fn of_one(&self, other: &Self) -> bool {
        self.index == other.index && self.shard == other.shard
    }
}

#[derive(Deserialize)]
struct Row {
    index: String,
    shard: String,
    prirep: String,
    state: CopyState,
    node: Option<String>,
}

/// Reads the copies.
///
/// # Errors
/// It is no such answer.
pub(crate) fn parse_shards(body: &[u8]) -> Result<Vec<Copy>, String> {
    let rows: Vec<Row> = serde_json::from_slice(body).map_err(|error| format!("the shards can't be read: {error}"))?;
    rows.into_iter()
        .map(|row| {
            let shard =
                row.shard.parse().map_err(|_| format!("the shards can't be read: `{}` is no number", row.shard))?;
            // `a -> 127.0.0.2 ID b` while it is on its way.
            let node = row.node.map(|text| text.split(" -> ").next().unwrap_or_default().to_owned());
            let primary = row.prirep == "p";
            Ok(Copy { index: row.index, shard, primary, state: row.state, node })
        })
        .collect()
}
