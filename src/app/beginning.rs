//! How a run begins: its id, and its journal.

use super::session::environment;
use crate::base::RunId;
use crate::cli::Common;
use crate::journal::{Journal, StateFolder};

/// Begins the journal of a new run.
pub(super) fn begin(common: &Common, run: &RunId) -> Result<Journal, String> {
    let environment = environment();
    let state = StateFolder::find(common.state.as_deref(), &|name| environment.get(name).map(Into::into));
    let state = state.map_err(|error| super::with_causes(&error))?;
    Journal::create(&state, run)
        .map_err(|error| format!("the journal can't be begun in {}: {error}", state.path().display()))
}

/// Some random bits for the run's id.
pub(super) fn chance() -> u32 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let hash = std::collections::hash_map::RandomState::new().build_hasher().finish();
    u32::try_from(hash & u64::from(u32::MAX)).unwrap_or(0)
}
