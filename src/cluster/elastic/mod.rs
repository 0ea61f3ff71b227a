//! Elasticsearch 5.0 to 9.x on plain hosts: which versions may follow which, what each version's API is like, what nodes answer,
//! and whether a node may be stopped.
//!
//! What cannot be known here: whether an answer is fresh. A node that has lost its master goes on answering `local=true` for
//! ever, and the first answers of a new master can be green with a dead node in them (seen on 6.8): whoever asks demands that no task
//! is pending, the number of nodes, and two readings in a row. Nothing here asks about `local=true`.

mod allocation;
mod answer;
mod explain;
mod index;
mod node;
mod order;
#[cfg(test)]
mod recorded;
mod setting;
mod shard;
mod start_failure;
mod stop;
mod table;
mod version;
mod wait;

pub(crate) use allocation::{ENABLE, Enable, Settings, parse_settings, zen_quorum};
pub(crate) use answer::{Health, Status, failure_text, flush_failures, parse_flush, parse_health, parse_master};
pub(crate) use explain::{Explanation, parse_explanation};
pub(crate) use index::{parse_created, too_old};
pub(crate) use node::{Node, Nodes, distribution, parse_nodes, refused_product};
pub(crate) use order::{order_of, tier_name};
pub(crate) use setting::{java_variable, java_wanted, removed_settings, settings_of_yaml};
pub(crate) use shard::{Copy, CopyState, parse_shards};
pub(crate) use start_failure::why_it_ended;
pub(crate) use stop::{Cluster, Refusal, Stop, may_stop};
pub(crate) use table::{Ml, api, path, rolls};
pub(crate) use version::Version;
pub(crate) use wait::{joined, recovered};
