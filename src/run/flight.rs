//! Acts that were in flight when an earlier process of this run ended: what can't be looked at is for a person to decide.

use super::act::Acted;
use super::attempt::HostTask;
use super::past::{Record, unseen};
use super::restore::WhenUnknown;
use crate::base::Value;
use crate::event::{Status, StepLine};
use crate::modules::Failure;

impl HostTask {
    /// What the journal knows of this task, where it is the first that is not known done.
    pub(super) fn record(&self) -> Option<&Record> {
        let past = &self.run.resumption.as_ref()?.past;
        let again = self.run.is_again(&self.key, &self.host.name);
        past.of_task(&self.key, &self.host.name).filter(|_| !self.quiet && !self.glance && !again)
    }

    /// What another host had in flight that is done once for all: whoever comes first now stands for it.
    async fn shared_flight(&self) -> Option<&[StepLine]> {
        let past = &self.run.resumption.as_ref()?.past;
        let steps = past.shared_flight(&self.key, self.item).filter(|_| !self.quiet && !self.glance)?;
        self.room.flag(self.task.keywords.get("run_once"), false).await.ok().filter(|once| *once)?;
        Some(steps)
    }

    /// What becomes of an act that was in flight when an earlier process ended; `None`: it is done.
    pub(super) async fn settle_flight(&self) -> Option<Acted> {
        let own = self.record().and_then(|record| record.flight(self.item)).filter(|steps| unseen(steps));
        let steps = match own {
            Some(steps) => steps,
            None => self.shared_flight().await?,
        };
        let what = steps.iter().map(|step| step.summary.as_str()).collect::<Vec<_>>().join(", ");
        let mut choice = self.run.resumption.as_ref().map(|how| how.unknown).unwrap_or_default();
        if choice == WhenUnknown::Ask {
            let question = format!(
                "{}: `{what}` was in flight when the run broke off; nobody knows whether it was done.\n(r)edo it, (s)kip it as \
                 done, or anything else to stop here: ",
                self.host.name
            );
            choice = match self.run.ask(&question, true, None).await {
                Ok(Some(answer)) if answer.trim().to_lowercase().starts_with('r') => WhenUnknown::Redo,
                Ok(Some(answer)) if answer.trim().to_lowercase().starts_with('s') => WhenUnknown::Skip,
                _ => WhenUnknown::Ask,
            };
        }
        let told = "it was in flight when the run broke off";
        match choice {
            WhenUnknown::Redo => None,
            WhenUnknown::Skip => {
                let mut acted = Acted::new(Status::Skipped, crate::base::Map::new());
                acted.message = format!("{told}, and is taken for done");
                acted.result.insert("skipped".to_owned(), Value::from(true));
                acted.result.insert("skip_reason".to_owned(), Value::from(acted.message.as_str()));
                Some(acted)
            }
            WhenUnknown::Ask => {
                let message = format!(
                    "`{what}`: {told}, and nobody knows whether it was done: look, then resume with --redo-unknown or \
                     --skip-unknown"
                );
                Some(Acted { status: Status::Unknown, ..Acted::failed(Failure::new(message)) })
            }
        }
    }
}
