//! The run's leases: taken on a host right before the first change there, kept alive while the run goes on, given back at its end.
//!
//! What only looks takes none: probes, gates, facts, check mode, a task with `changed_when: false`. This machine has none: two runs of
//! different clusters may well work here at the same time. On a host that no play names and tasks are only delegated to (a load
//! balancer that several clusters share), none is taken, but that of another run holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;

use super::Run;
use super::act::Acted;
use super::attempt::HostTask;
use super::connect::Way;
use super::host::Host;
use super::render::Room;
use crate::base::render_duration;
use crate::event::EventKind;
use crate::modules::{Failure, only_looks};
use crate::plan::Condition;
use crate::transport::lease::{BEAT, Found, Kind, Lease, Still, Taken};
use crate::transport::{Connection, Lost, Unreachable};

/// So many hosts are asked at once beside the work of the run.
const ASKED: usize = 64;

/// How long giving back may take on one host.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a host stands with this run's lease.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    /// Held while it is asked for: tasks on one host take it once.
    taking: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// It was said that none can be taken.
    told: AtomicBool,
}

#[derive(Debug, Clone, Default)]
enum State {
    /// Nothing was taken yet.
    #[default]
    None,
    /// It lies there.
    Held {
        place: String,
        way: Box<Way>,
        /// The connection has not broken since: nobody has to look again.
        sure: bool,
    },
    /// None can be taken, which was said; or the host is only delegated to, and nobody else has it.
    Without,
    /// The run is at its end.
    GivenBack,
}

impl Holding {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection broke: the host may have been away for long, and another run may have taken it meanwhile.
    pub(super) fn doubt(&self) {
        let mut state = self.state();
        match &mut *state {
            State::Held { sure, .. } => *sure = false,
            // Another try costs little, and a disk that was full may not be any more.
            State::Without => *state = State::None,
            State::None | State::GivenBack => {}
        }
    }

    fn was_given_back(&self) -> bool {
        matches!(&*self.state(), State::GivenBack)
    }

    fn is_settled(&self) -> bool {
        matches!(&*self.state(), State::Held { sure: true, .. } | State::Without)
    }

    fn is_held(&self) -> bool {
        matches!(&*self.state(), State::Held { .. })
    }

    fn held(&self) -> Option<(String, Way)> {
        match &*self.state() {
            State::Held { place, way, .. } => Some((place.clone(), (**way).clone())),
            _ => None,
        }
    }
}

impl HostTask {
    /// Takes the run's lease on the host that is about to be changed, unless it lies there. `Some`: it must not be changed.
    ///
    /// # Errors
    /// The connection broke.
    pub(super) async fn lease(&self, way: &Way, connection: &dyn Connection) -> Result<Option<Acted>, Unreachable> {
        let Some(lease) = self.run.lease().filter(|_| !self.glance && !self.only_looks()) else { return Ok(None) };
        if way.target.connection == "local" || self.target.lease.is_settled() {
            return Ok(None);
        }
        let _turn = self.target.lease.taking.lock().await;
        if self.target.lease.is_settled() {
            return Ok(None);
        }
        let name = &self.target.name;
        if !self.target.state().named {
            return match lease.others(connection).await {
                Ok(others) if others.is_empty() => {
                    *self.target.lease.state() = State::Without;
                    Ok(None)
                }
                Ok(others) => Ok(Some(refused(name, &others))),
                Err(lost) => self.without(&lost),
            };
        }
        let was_held = self.target.lease.is_held();
        match lease.take(connection).await {
            Ok(Taken::Held { place, before, dead }) => {
                if was_held && !before {
                    self.run.warn(format!("{name}: this run's lease had gone, and was taken anew"));
                }
                for found in &dead {
                    self.run.warn(over(name, found));
                }
                *self.target.lease.state() = State::Held { place, way: Box::new(way.clone()), sure: true };
                if !was_held {
                    self.run.bus.emit(EventKind::LeaseTaken { host: name.clone() });
                }
                Ok(None)
            }
            Ok(Taken::Other(others)) => {
                *self.target.lease.state() = State::None;
                Ok(Some(refused(name, &others)))
            }
            Ok(Taken::Open(why)) => {
                self.open(&why);
                Ok(None)
            }
            Err(lost) => self.without(&lost),
        }
    }

    /// Nothing could be asked.
    fn without(&self, lost: &Lost) -> Result<Option<Acted>, Unreachable> {
        match lost {
            Lost::InFlight(reason) | Lost::NotStarted(reason) => Err(reason.clone()),
            other => {
                self.open(&other.to_string());
                Ok(None)
            }
        }
    }

    /// A host with a full or read-only disk must be mendable: it is changed, and it is said that nothing keeps others out.
    fn open(&self, why: &str) {
        *self.target.lease.state() = State::Without;
        if self.target.lease.told.swap(true, Ordering::SeqCst) {
            return;
        }
        self.run.warn(format!(
            "{}: no lease can be taken, so nothing keeps another run from changing it at the same time: {why}",
            self.target.name
        ));
    }

    /// It changes nothing: by its nature, or because the playbook says so.
    fn only_looks(&self) -> bool {
        only_looks(self.task.module.name)
            || matches!(self.task.changed_when.as_deref(), Some([Condition::Constant(false)]))
    }
}

impl Run {
    fn lease(&self) -> Option<Lease> {
        let what = self.options.lease.clone()?;
        Some(Lease { run: self.options.run_id.clone(), operator: self.options.terms.operator.clone(), what })
    }

    /// Tells the hosts now and then that the run still has them, over the connections that are there. Never ends.
    pub(super) async fn beat(self: Arc<Self>) {
        let Some(lease) = self.lease() else { return };
        loop {
            tokio::time::sleep(BEAT).await;
            let beats: Vec<_> =
                self.holding().into_iter().map(|host| Arc::clone(&self).beat_on(lease.clone(), host)).collect();
            futures::stream::iter(beats).buffer_unordered(ASKED).collect::<()>().await;
        }
    }

    fn holding(&self) -> Vec<Arc<Host>> {
        self.hosts.all().into_iter().filter(|host| host.lease.is_held()).collect()
    }

    async fn beat_on(self: Arc<Self>, lease: Lease, host: Arc<Host>) {
        let Some((place, way)) = host.lease.held() else { return };
        let look = tokio::time::timeout(BEAT, async {
            let connection = self.connected(&host, &way).await?;
            lease.beat(connection.as_ref(), &place).await.ok()
        });
        if let Ok(Some(Still::Gone)) = look.await {
            let mut state = host.lease.state();
            if matches!(&*state, State::Held { place: now, sure: true, .. } if *now == place) {
                *state = State::None;
                drop(state);
                self.warn(format!(
                    "{}: this run's lease is not there any more: somebody broke it. The next change there needs it again",
                    host.name
                ));
            }
        }
    }

    /// Gives back all leases. A host that can't be reached keeps one, which dies by itself.
    pub(super) async fn give_back(self: &Arc<Self>) {
        let Some(lease) = self.lease() else { return };
        if self.interrupt.hard.is_cancelled() {
            return;
        }
        let held: Vec<_> =
            self.holding().into_iter().map(|host| Arc::clone(self).give_back_on(lease.clone(), host)).collect();
        futures::stream::iter(held).buffer_unordered(ASKED).collect::<()>().await;
        // A process that was killed gave nothing back, also on hosts that this one had nothing to do on.
        let Some(resumption) = &self.resumption else { return };
        let left: Vec<_> = resumption
            .past
            .leased()
            .iter()
            .map(|name| self.hosts.get(name))
            .filter(|host| !host.lease.was_given_back())
            .map(|host| Arc::clone(self).give_back_left(lease.clone(), host))
            .collect();
        futures::stream::iter(left).buffer_unordered(ASKED).collect::<()>().await;
    }

    async fn give_back_on(self: Arc<Self>, lease: Lease, host: Arc<Host>) {
        let Some((place, way)) = host.lease.held() else { return };
        let done = tokio::time::timeout(PATIENCE, async {
            let connection = self.connected(&host, &way).await?;
            lease.release(connection.as_ref(), &place).await.ok()
        });
        if let Ok(Some(Still::Mine)) = done.await {
            *host.lease.state() = State::GivenBack;
        }
    }

    async fn give_back_left(self: Arc<Self>, lease: Lease, host: Arc<Host>) {
        let done = tokio::time::timeout(PATIENCE, async {
            let way = self.way_to(&host).await?;
            let connection = self.connection(&host, &way).await.map_err(|reason| reason.to_string())?;
            lease.release_any(connection.as_ref()).await.map_err(|lost| lost.to_string())
        });
        // Without an answer it dies by itself.
        let _ = done.await;
    }

    /// How a host is reached outside any task.
    ///
    /// # Errors
    /// Its variables don't say it.
    pub(super) async fn way_to(self: &Arc<Self>, host: &Arc<Host>) -> Result<Way, String> {
        let task = super::gather::bare_task("ping").ok_or("there is no module `ping`")?;
        let room = Room::new(self, host, None);
        room.way(&task, &room).await.map_err(|trouble| super::play::said(&trouble))
    }
}

/// `12 minutes`, of seconds by a host's clock.
pub(crate) fn ago(seconds: i64) -> String {
    match u64::try_from(seconds) {
        Ok(seconds) => format!("{} ago", render_duration(Duration::from_secs(seconds))),
        Err(_) => format!(
            "{} in the future (the host's clock was set back)",
            render_duration(Duration::from_secs(seconds.unsigned_abs()))
        ),
    }
}

/// `run 7kq2 of ann@bastion (upgrade.yml), taken 12m ago, last heard of 20s ago`.
pub(crate) fn whose(found: &Found) -> String {
    let heard = format!("last heard of {}", ago(found.beat));
    match (&found.run, found.since) {
        (Some(run), since) => {
            let since = since.map(|since| format!("taken {}, ", ago(since))).unwrap_or_default();
            format!("run {run} of {} ({}), {since}{heard}, account {}", found.operator, found.what, found.account)
        }
        (None, _) => format!(
            "{}, which the account {} made and which does not say what run it is of, {heard}",
            found.place, found.account
        ),
    }
}

fn refused(host: &str, others: &[Found]) -> Acted {
    let whose: Vec<String> = others.iter().map(whose).collect();
    Acted::failed(Failure::new(format!(
        "{host} is not changed: another run has it: {}. Wait for its end; if it is known to be dead: stagger lock break {host} \
         --reason TEXT",
        whose.join("; ")
    )))
}

fn over(host: &str, found: &Found) -> String {
    if found.kind == Kind::Odd {
        return format!(
            "{host}: {} of the account {} is no lease: look who made it, and why",
            found.place, found.account
        );
    }
    format!("{host}: taken over from a dead run: {}", whose(found))
}
