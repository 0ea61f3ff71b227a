//! A transport without hosts, for tests of what uses one: a closure answers for every host.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{Command, Connection, Lost, Output, Stream, Target, Transport, Unreachable};

type Answer = dyn Fn(&str, &Command) -> Result<Output, Lost> + Send + Sync;
type Meet = dyn Fn(&Target) -> Result<(), Unreachable> + Send + Sync;

/// What happened, in order: `connect web1`, `run web1`, `close web1`.
pub(crate) type Record = Arc<Mutex<Vec<String>>>;

/// A transport whose hosts are a closure.
#[derive(Clone)]
pub(crate) struct Fake {
    answer: Arc<Answer>,
    meet: Arc<Meet>,
    delays: HashMap<String, Duration>,
    record: Record,
}

impl Fake {
    /// Every host can be reached; `answer` says what a command leaves, by the host's inventory name.
    pub(crate) fn new(answer: impl Fn(&str, &Command) -> Result<Output, Lost> + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), meet: Arc::new(|_| Ok(())), delays: HashMap::new(), record: Record::default() }
    }

    /// Says which hosts can be reached.
    #[must_use]
    pub(crate) fn meeting(mut self, meet: impl Fn(&Target) -> Result<(), Unreachable> + Send + Sync + 'static) -> Self {
        self.meet = Arc::new(meet);
        self
    }

    /// Commands on a host take so long, by the runtime's clock.
    #[must_use]
    pub(crate) fn slow(mut self, host: &str, delay: Duration) -> Self {
        self.delays.insert(host.to_owned(), delay);
        self
    }

    /// What happened so far.
    pub(crate) fn record(&self) -> Vec<String> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, what: &str, host: &str) {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{what} {host}"));
    }
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fake").finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for Fake {
    async fn connect(&self, target: &Target) -> Result<Box<dyn Connection>, Unreachable> {
        self.note("connect", &target.name);
        (self.meet)(target)?;
        Ok(Box::new(FakeConnection { fake: self.clone(), host: target.name.clone() }))
    }
}

#[derive(Debug)]
struct FakeConnection {
    fake: Fake,
    host: String,
}

#[async_trait]
impl Connection for FakeConnection {
    async fn run(&self, command: &Command) -> Result<Output, Lost> {
        self.fake.note("run", &self.host);
        if let Some(delay) = self.fake.delays.get(&self.host) {
            match command.timeout {
                Some(limit) if limit < *delay => {
                    tokio::time::sleep(limit).await;
                    return Err(Lost::TimedOut(limit.as_secs()));
                }
                _ => tokio::time::sleep(*delay).await,
            }
        }
        (self.fake.answer)(&self.host, command)
    }

    async fn fetch(&self, command: &Command, to: &Path) -> Result<Output, Lost> {
        let mut output = self.run(command).await?;
        let bytes = std::mem::take(&mut output.stdout);
        std::fs::write(to, bytes).map_err(|error| Lost::Local(format!("cannot write {}: {error}", to.display())))?;
        Ok(output)
    }

    async fn stream(&self, host: &str, port: u16, _: Duration) -> Result<Box<dyn Stream>, String> {
        Err(format!("cannot connect to {host}:{port} from {}: it is not a real host", self.host))
    }

    async fn close(&self) {
        self.fake.note("close", &self.host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Script;

    #[tokio::test(start_paused = true)]
    async fn a_scripted_host_answers_slowly_and_in_order() {
        let fake = Fake::new(|host, _| Ok(Output { stdout: host.into(), ..Output::default() }))
            .slow("a", Duration::from_secs(60))
            .meeting(|target| match target.name.as_str() {
                "b" => Err(Unreachable::Refused { address: "b:22".to_owned() }),
                _ => Ok(()),
            });
        let connection = fake.connect(&Target::named("a")).await.unwrap();
        let mut command = Command::new(Script::new());
        assert_eq!(connection.run(&command).await.unwrap().out(), "a");
        command.timeout = Some(Duration::from_secs(5));
        assert_eq!(connection.run(&command).await, Err(Lost::TimedOut(5)));
        assert!(fake.connect(&Target::named("b")).await.is_err());
        assert_eq!(fake.record(), ["connect a", "run a", "run a", "connect b"]);
    }
}
