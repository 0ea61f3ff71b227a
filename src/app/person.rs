//! The person at the terminal: passwords before a run, questions while it goes on.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::Secret;
use crate::report::prompt;
use crate::run::Person;

/// Asks on the terminal, when there is one.
#[derive(Debug)]
pub(super) struct Terminal {
    /// An interrupt takes back a question that waits.
    pub(super) interrupted: CancellationToken,
}

#[async_trait::async_trait]
impl Person for Terminal {
    async fn ask(&self, question: &str, echo: bool, within: Option<Duration>) -> Result<Option<String>, String> {
        let (question, interrupted) = (question.to_owned(), self.interrupted.clone());
        let asked = tokio::task::spawn_blocking(move || {
            prompt::ask_line(&question, echo, within, &|| interrupted.is_cancelled())
                .map(|answer| answer.map(|line| line.reveal().to_owned()))
                .map_err(|error| super::with_causes(&error))
        });
        asked.await.map_err(|error| error.to_string())?
    }
}

/// A password from a file (its first line), or from the terminal when it is to be asked for.
pub(super) fn password(file: Option<&Path>, ask: bool, question: &str) -> Result<Option<Secret>, String> {
    if let Some(path) = file {
        #[expect(clippy::disallowed_methods, reason = "a password file is no text that people are shown")]
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the password file {}: {error}", path.display()))?;
        return Ok(Some(Secret::new(text.lines().next().unwrap_or_default())));
    }
    if !ask {
        return Ok(None);
    }
    prompt::ask_secret(question).map(Some).map_err(|error| super::with_causes(&error))
}
