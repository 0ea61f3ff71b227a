//! States that look by questions: asked until there is something to judge, and after the steps until nothing is missing.

use tokio::time::Instant;

use super::act::Acted;
use super::attempt::HostTask;
use super::connect::Way;
use crate::base::{Map, Output, Value, render_duration};
use crate::event::Status;
use crate::modules::{Act, Answer, Applied, Change, Failure, Looked, Question, State, Verdict};
use crate::transport::Unreachable;

/// How many rounds of questions may be asked in one look.
const ROUNDS: usize = 16;

impl HostTask {
    /// One look: rounds of questions until there are enough answers.
    pub(super) async fn rounds(&self, way: &Way, next: impl Fn(&[Answer]) -> Vec<Question>) -> Vec<Answer> {
        let mut answers = Vec::new();
        for _ in 0..ROUNDS {
            let questions = next(&answers);
            if questions.is_empty() {
                break;
            }
            let asked = questions.into_iter().map(|question| self.answer(question, way));
            answers.extend(futures::future::join_all(asked).await);
        }
        answers
    }

    /// Looks until there is something to judge.
    ///
    /// # Errors
    /// There is nothing within the state's time, or there can't be any.
    pub(super) async fn look_by_questions(
        &self,
        state: &dyn State,
        way: &Way,
        began: Instant,
    ) -> Result<Output, Acted> {
        let mut memory = Value::Null;
        loop {
            let answers = self.rounds(way, |answers| state.questions(answers)).await;
            match state.looked(&answers, &mut memory) {
                Looked::Seen(seen) => return Ok(seen),
                Looked::Never(failure) if self.check && self.target.state().would_change => {
                    return Err(Acted::unpredictable(format!("not now: {}", failure.message)));
                }
                Looked::Never(failure) => return Err(Acted::failed(failure)),
                Looked::NotYet(why) if self.check => return Err(Acted::unpredictable(format!("would wait: {why}"))),
                Looked::NotYet(why) => self.wait_on(state, &why, began).await.map_err(Acted::failed)?,
            }
        }
    }

    /// Takes back over HTTP what is the cluster's and not the host's, which can't be reached.
    pub(super) async fn without_host(&self, state: &dyn State, way: &Way, reason: &Unreachable) -> Acted {
        let began = Instant::now();
        let seen = match self.look_by_questions(state, way, began).await {
            Ok(seen) => seen,
            Err(acted) => return acted,
        };
        let change = match state.steps(&seen) {
            Ok(change) => change,
            Err(failure) => return Acted::failed(failure),
        };
        if change.steps.is_empty() {
            return state.finish(change, &[]).map_or_else(Acted::failed, |result| Acted::new(Status::Ok, result));
        }
        let mut outputs = Vec::new();
        for step in &change.steps {
            let Act::Http { request, via } = &step.act else { return Acted::unreachable(reason) };
            outputs.push(Applied::Http(self.http(request, via.as_deref(), way).await));
        }
        match self.settle_change(state, &change, &outputs, way, began).await {
            Ok(Some(result)) => Acted::new(Status::Changed, result),
            Ok(None) => Acted::failed(Failure::new("it was undone by somebody else meanwhile")),
            Err(failure) => Acted::failed(failure),
        }
    }

    /// Looks after the steps until nothing is missing; `None` when they have to be done again.
    ///
    /// # Errors
    /// Something still is when the state's time is over, or it can't come to that.
    pub(super) async fn settle_change(
        &self,
        state: &dyn State,
        change: &Change,
        outputs: &[Applied],
        way: &Way,
        began: Instant,
    ) -> Result<Option<Map>, Failure> {
        let mut memory = Value::Null;
        loop {
            let answers = self.rounds(way, |answers| state.questions(answers)).await;
            let why = match state.looked(&answers, &mut memory) {
                Looked::Seen(seen) => match state.settled(change, outputs, &seen) {
                    Verdict::Ready(result) => return Ok(Some(result)),
                    Verdict::Never(failure) => return Err(failure),
                    Verdict::NotYet(_) if began.elapsed() < state.timing().within && state.begins_again(&seen) => {
                        return Ok(None);
                    }
                    Verdict::NotYet(why) => why,
                },
                Looked::Never(failure) => return Err(failure),
                Looked::NotYet(why) => why,
            };
            self.wait_on(state, &why, began).await?;
        }
    }

    /// Says why it waits, and waits for the next look.
    ///
    /// # Errors
    /// The time is over, or the run is cut off.
    async fn wait_on(&self, state: &dyn State, why: &str, began: Instant) -> Result<(), Failure> {
        let timing = state.timing();
        let elapsed = began.elapsed();
        if elapsed >= timing.within {
            let waited =
                if timing.within.is_zero() { String::new() } else { format!(" (waited {})", render_duration(elapsed)) };
            return Err(Failure::new(format!("{why}{waited}")));
        }
        if !self.glance && !self.quiet {
            self.say_waiting(why, elapsed, timing.within);
        }
        self.until_next_look(&timing, elapsed, why).await
    }
}
