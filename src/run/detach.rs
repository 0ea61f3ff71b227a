//! Commands that outlive their connection: started on the host under the run's id, waited for, and met again after a cut.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Run;
use super::attempt::HostTask;
use super::connect::Way;
use super::host::Host;
use crate::base::{Output, render_duration};
use crate::event::{EventKind, TaskKey};
use crate::transport::detached::{Detached, Found};
use crate::transport::{Command, Connection, Lost, Unreachable};

/// How long one question waits on the host for the end.
const WAIT: Duration = Duration::from_secs(5);

/// For how long a host is tried again that can't be reached while its command runs: that of a restart. Not longer than the command may
/// take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The longest pause between two such tries.
const PAUSE: Duration = Duration::from_secs(5);

/// A command that has ended, whose state lies on its host until its result is safe.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    way: Way,
    detached: Detached,
    key: TaskKey,
    host: String,
    item: u32,
}

impl HostTask {
    /// The command as the host knows it. The same task, item and host find it again, in a resumed run too.
    fn detached(&self, way: &Way, command: Command, within: Duration) -> Detached {
        let TaskKey { play, batch, task, pass } = &self.key;
        Detached {
            command,
            shell: way.target.shell.clone(),
            run: self.run.options.run_id.clone(),
            step: format!("{play:?} {batch} {task:?} {pass} {} {}", self.item, self.host.name),
            within,
        }
    }

    /// Whether it was begun before: by this run, before it was resumed.
    pub(super) async fn is_begun(&self, way: &Way, connection: &dyn Connection) -> Result<bool, Lost> {
        let Some(within) = self.detach.filter(|_| !self.check) else { return Ok(false) };
        let step = self.detached(way, self.command(way, &[], crate::base::Script::new()), within);
        if self.target.state().detached.iter().any(|ended| ended.detached.step == step.step) {
            // An earlier try of this task, which is over.
            return Ok(false);
        }
        Ok(step.attach(connection, false, Duration::ZERO).await? != Found::Absent)
    }

    /// Starts a command, or meets it again, and waits for its end: over several connections where one breaks.
    pub(super) async fn outlive(&self, way: &Way, command: Command, within: Duration) -> Result<Output, Lost> {
        let step = self.detached(way, command, within);
        let mut patient = way.clone();
        patient.target.retries = 0;
        let mut begun = false;
        let mut lost_since: Option<Instant> = None;
        let mut pause = Duration::from_millis(500);
        loop {
            let reason = match self.ask_for(&patient, way, &step).await {
                Ok(Found::Finished { output, late, .. }) => {
                    let (key, host, item) = (self.key.clone(), self.host.name.clone(), self.item);
                    let ended = Ended { way: way.clone(), detached: step, key, host, item };
                    self.target.state().detached.push(ended);
                    return if late { Err(Lost::TimedOut(within.as_secs())) } else { Ok(output) };
                }
                Ok(Found::Running { elapsed }) => {
                    begun = true;
                    lost_since = None;
                    pause = Duration::from_millis(500);
                    self.say_waiting(&format!("runs for {}", render_duration(elapsed)), elapsed, within);
                    if self.run.interrupt.hard.is_cancelled() {
                        return Err(Lost::Unknown(
                            "interrupted; it goes on on the host, and a resumed run meets it again".to_owned(),
                        ));
                    }
                    continue;
                }
                Ok(Found::Lost(why)) => return Err(Lost::Unknown(format!("how it ended is not known: {why}"))),
                Ok(Found::Refused(why)) => return Err(Lost::Local(why)),
                Ok(Found::Absent) => return Err(Lost::Local("it was not begun".to_owned())),
                Err(Lost::InFlight(reason)) => {
                    begun = true;
                    reason
                }
                Err(Lost::NotStarted(reason)) => reason,
                // The answer took too long: the host is slow, or its line is.
                Err(Lost::TimedOut(_)) => {
                    let address = self.target.name.clone();
                    Unreachable::TimedOut { address, seconds: WAIT.as_secs(), phase: "asking how it goes".to_owned() }
                }
                Err(lost) if begun => return Err(Lost::Unknown(lost.to_string())),
                Err(lost) => return Err(lost),
            };
            self.run.forget(&self.target, way).await;
            let passing = matches!(
                reason,
                Unreachable::Closed { .. }
                    | Unreachable::Refused { .. }
                    | Unreachable::TimedOut { .. }
                    | Unreachable::Resolve { .. }
            );
            let away = lost_since.get_or_insert_with(Instant::now).elapsed();
            let cut_off = self.run.interrupt.hard.is_cancelled();
            if !begun && !matches!(reason, Unreachable::Closed { .. }) {
                return Err(Lost::NotStarted(reason));
            }
            if !passing || cut_off || away >= PATIENCE.min(within) {
                return Err(if begun { Lost::InFlight(reason) } else { Lost::NotStarted(reason) });
            }
            self.say_waiting(&format!("the line is cut, it may go on: {reason}"), away, PATIENCE.min(within));
            self.pause(pause).await;
            pause = (pause * 2).min(PAUSE);
        }
    }

    async fn ask_for(&self, patient: &Way, way: &Way, step: &Detached) -> Result<Found, Lost> {
        let connection = self.run.connection(&self.target, patient).await.map_err(Lost::NotStarted)?;
        // An earlier try of the same task has the same name: its end is known and written down, and must not be taken for this one's.
        self.run.sweep(&self.target, Some((way, connection.as_ref()))).await?;
        step.attach(connection.as_ref(), true, WAIT).await
    }
}

impl Run {
    /// Removes from a host what ended commands left there. Their results must be in the journal.
    async fn sweep(&self, host: &Host, over: Option<(&Way, &dyn Connection)>) -> Result<(), Lost> {
        loop {
            let Some(ended) = host.state().detached.first().cloned() else { return Ok(()) };
            let held;
            let connection = match over {
                Some((way, connection)) if ended.way.same(way) => connection,
                _ => {
                    held = self.connection(host, &ended.way).await.map_err(Lost::NotStarted)?;
                    held.as_ref()
                }
            };
            ended.detached.clean_up(connection).await?;
            host.state().detached.remove(0);
        }
    }

    /// The same for all hosts at the end of a run. A host that can't be reached keeps it; a later command there removes it.
    pub(super) async fn sweep_all(&self) {
        if self.interrupt.hard.is_cancelled() {
            return;
        }
        let hosts: Vec<Arc<Host>> = self.hosts.all().into_iter().filter(|h| !h.state().detached.is_empty()).collect();
        let Some(last) = hosts.last().and_then(|host| host.state().detached.last().cloned()) else { return };
        // Said again only to know that all that was said before is safe.
        let again = EventKind::ActFinished { key: last.key, host: last.host, item: last.item, done: true };
        if self.bus.record(again).await.is_ok() {
            let sweeps = hosts.iter().map(|host| tokio::time::timeout(WAIT * 2, self.sweep(host, None)));
            futures::future::join_all(sweeps).await;
        }
    }
}
