//! The person at the terminal: passwords before a run, questions while it goes on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::with_causes;
use crate::base::Secret;
use crate::cli::Exit;
use crate::report::prompt::{PromptError, ask, ask_secret};
use crate::run::Person;

/// Asks on the terminal, when there is one.
#[derive(Debug)]
pub(super) struct Terminal;

/// Takes a question back when nobody waits for its answer any more.
struct TakeBack(Arc<AtomicBool>);

impl Drop for TakeBack {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Person for Terminal {
    async fn ask(&self, question: &str, echo: bool, within: Option<Duration>) -> Result<Option<String>, String> {
        let question = question.to_owned();
        let over = Arc::new(AtomicBool::new(false));
        let _take_back = TakeBack(Arc::clone(&over));
        let asked = tokio::task::spawn_blocking(move || {
            let answer = ask(&question, echo, within, &|| over.load(Ordering::SeqCst));
            if matches!(answer, Err(PromptError::Interrupted)) {
                // The terminal gives Ctrl-C as a key while it is asked; the run is to hear of it as always.
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT);
            }
            answer
        });
        let answer = asked.await.map_err(|error| error.to_string())?;
        answer.map(|answer| answer.map(|text| text.reveal().to_owned())).map_err(|error| with_causes(&error))
    }
}

/// A password from a file (its first line), or from the terminal when it is to be asked for.
pub(super) fn password(file: Option<&Path>, ask: bool, prompt: &str) -> Result<Option<Secret>, (String, Exit)> {
    if let Some(path) = file {
        #[expect(clippy::disallowed_methods, reason = "a password file is no text that people are shown")]
        let text = std::fs::read_to_string(path)
            .map_err(|error| (format!("cannot read the password file {}: {error}", path.display()), Exit::NoTarget))?;
        return Ok(Some(Secret::new(text.lines().next().unwrap_or_default())));
    }
    if !ask {
        return Ok(None);
    }
    match ask_secret(prompt) {
        Ok(secret) => Ok(Some(secret)),
        Err(error @ PromptError::Interrupted) => Err((error.to_string(), Exit::Interrupted)),
        Err(error) => {
            let what = "give the password in a file: --connection-password-file, --become-password-file";
            Err((format!("{}; {what}", with_causes(&error)), Exit::Error))
        }
    }
}
