//! Ids, values, spans, secrets, shell words. No IO, no clock, no async.
//!
//! Two kinds of data never mix. What people wrote is a [`Node`]: it knows where it stands, and its strings may
//! be templates. What a host answered, a template gave or a module returned is a [`Value`]: plain data that is never
//! rendered again, whatever braces a hostile host puts into it.

mod content;
mod duration;
mod ids;
mod node;
mod output;
mod script;
mod sealed;
mod secret;
mod value;
mod var;

pub(crate) use content::{Content, LocalFile};
pub(crate) use duration::{parse_duration, render_duration};
pub(crate) use ids::{PlayId, RunId, TaskId};
pub(crate) use node::{Node, NodeKind, SourceId, Span, Style};
pub(crate) use output::Output;
pub(crate) use script::{Script, quote};
pub(crate) use sealed::{Holds, Locked, Opened, Unlock, is_sealed};
pub(crate) use secret::{Masker, Secret};
pub(crate) use value::{Map, Value, to_text, type_name};
pub(crate) use var::{Members, Scope, Var};
