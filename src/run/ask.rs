//! Gates that wait, and the answers to their questions.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::act::Acted;
use super::attempt::HostTask;
use super::connect::Way;
use super::host::Host;
use super::render::Room;
use crate::base::Value;
use crate::event::{EventKind, Status};
use crate::modules::{Answer, Failure, Gate, HttpRequest, HttpResponse, Question, Timing, Verdict, Znode};
use crate::transport::{Command, Connection, Stream, http, zookeeper};

/// How long a connection from here may take before the way through the host is tried.
const DIRECT: Duration = Duration::from_secs(2);

/// How often a gate is asked at most, at its own pace, where it is only looked at whether it still holds: some want two equal
/// readings before they believe one, and one lost answer is no verdict.
const GLANCES: u32 = 3;

/// The shortest pause between two looks.
const SHORTEST: Duration = Duration::from_millis(10);

impl HostTask {
    /// Asks until it holds, can't hold any more, or the time is over.
    pub(super) async fn gate(&self, gate: &dyn Gate, way: &Way) -> Acted {
        let timing = gate.timing();
        let began = Instant::now();
        let mut memory = Value::Null;
        let mut looks = 0;
        if !timing.delay.is_zero() && !self.check && !self.glance && !self.pause(timing.delay).await {
            return Acted::failed(Failure::new("interrupted while it waited"));
        }
        loop {
            let answers = self.rounds(way, |answers| gate.questions(answers)).await;
            let elapsed = began.elapsed();
            let why = match gate.judge(&answers, &mut memory, elapsed) {
                Verdict::Ready(result) => return Acted::new(Status::Ok, result),
                Verdict::Never(failure) if self.check && self.target.state().would_change => {
                    return Acted::unpredictable(format!("not now: {}", failure.message));
                }
                Verdict::Never(failure) => return Acted::failed(failure),
                Verdict::NotYet(why) => why,
            };
            if self.check {
                return Acted::unpredictable(format!("would wait: {why}"));
            }
            looks += 1;
            if self.glance && looks >= GLANCES {
                return Acted::failed(Failure::new(why));
            }
            if !self.glance {
                self.say_waiting(&why, elapsed, timing.within);
            }
            if elapsed >= timing.within {
                return Acted::failed(gate.expired(&why, elapsed));
            }
            if let Err(failure) = self.until_next_look(&timing, elapsed, &why).await {
                return Acted::failed(failure);
            }
        }
    }

    /// Says why a task waits: for how long it has, and may.
    pub(super) fn say_waiting(&self, why: &str, waited: Duration, within: Duration) {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.run.bus.emit(EventKind::Waiting {
            key: self.key.clone(),
            host: self.host.name.clone(),
            module: self.task.module.name.to_owned(),
            why: why.to_owned(),
            waited: millis(waited),
            within: millis(within),
        });
    }

    /// The pause between two looks.
    ///
    /// # Errors
    /// The run is cut off.
    pub(super) async fn until_next_look(&self, timing: &Timing, elapsed: Duration, why: &str) -> Result<(), Failure> {
        let left = timing.within.saturating_sub(elapsed);
        if self.pause(timing.every.min(left).max(SHORTEST)).await {
            Ok(())
        } else {
            Err(Failure::new(format!("interrupted while it waited: {why}")))
        }
    }

    /// Answers one question.
    pub(super) async fn answer(&self, question: Question, way: &Way) -> Answer {
        match question {
            Question::Script(script) => {
                let command = self.command(way, &[], script);
                Answer::Script(self.look(&self.target, way, &command).await)
            }
            Question::Http { request, via } => Answer::Http(self.http(&request, via.as_deref(), way).await),
            Question::Connect { host, port, within, read } => {
                Answer::Connect(self.first_words(&host, port, within, read, way).await)
            }
            Question::Children { servers, path, via } => {
                Answer::Children(self.children(&servers, &path, via.as_deref(), way).await)
            }
            Question::Login { within } => Answer::Login(self.login(way, within).await),
        }
    }

    /// Runs a command that only looks; a broken connection is made again once.
    async fn look(&self, host: &Host, way: &Way, command: &Command) -> Result<crate::base::Output, String> {
        let mut last = String::new();
        for _ in 0..2 {
            let connection = self.run.connection(host, way).await.map_err(|reason| reason.to_string())?;
            match connection.run(command).await {
                Ok(output) => return Ok(output),
                Err(lost) => {
                    last = lost.to_string();
                    self.run.forget(host, way).await;
                }
            }
        }
        Err(last)
    }

    /// Another host of the inventory and how to reach it.
    async fn other(&self, name: &str) -> Result<(Arc<Host>, Way), String> {
        if !self.run.inventory().contains(name) {
            return Err(format!("{name} is not in the inventory"));
        }
        let host = self.run.hosts.get(name);
        let room = Room::new(&self.run, &host, self.room.play.as_ref());
        let way = self.room.way(&self.task, &room).await.map_err(|trouble| match trouble {
            super::render::Trouble::Unknown(why) => why,
            super::render::Trouble::Failed(failure) => failure.message,
        })?;
        Ok((host, way))
    }

    async fn connection_of(&self, via: Option<&str>, way: &Way) -> Result<Arc<dyn Connection>, String> {
        match via {
            Some(name) if name != self.target.name => {
                let (host, other) = self.other(name).await?;
                self.run.connection(&host, &other).await.map_err(|reason| reason.to_string())
            }
            _ => self.run.connection(&self.target, way).await.map_err(|reason| reason.to_string()),
        }
    }

    /// A stream to an address: from here, and where that fails, through the host.
    async fn reach(&self, address: &str, port: u16, via: Option<&str>, way: &Way) -> Result<Box<dyn Stream>, String> {
        let direct = tokio::time::timeout(DIRECT, tokio::net::TcpStream::connect((address, port))).await;
        let from_here = match direct {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(Box::new(stream));
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", DIRECT.as_secs()),
        };
        let name = via.unwrap_or(&self.target.name);
        let through = async { self.connection_of(via, way).await?.stream(address, port, DIRECT).await };
        match tokio::time::timeout(DIRECT * 3, through).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(reason)) => Err(format!("{address}:{port}: {from_here}; through {name}: {reason}")),
            Err(_) => Err(format!("{address}:{port}: {from_here}; through {name}: no answer")),
        }
    }

    /// Sends a request as it stands, and follows redirects as far as it allows.
    pub(super) async fn send(
        &self,
        request: &HttpRequest,
        via: Option<&str>,
        way: &Way,
    ) -> Result<HttpResponse, String> {
        let mut url = request.url.clone();
        let first = http::locate(&url)?;
        let tls = http::Tls {
            verify: request.tls.verify,
            authorities: request.tls.authorities.clone(),
            client: request.tls.client.clone(),
        };
        for left in (0..=request.redirects).rev() {
            let place = http::locate(&url)?;
            let stream =
                self.reach(&place.host, place.port, via, way).await.map_err(|reason| format!("{url}: {reason}"))?;
            // Who and what was meant for one server is not told to another.
            let same = (&place.host, place.port, place.tls) == (&first.host, first.port, first.tls);
            let kept = |name: &str| same || name.eq_ignore_ascii_case("user-agent");
            let wanted = http::HttpRequest {
                method: request.method.clone(),
                url: url.clone(),
                headers: request.headers.iter().filter(|(name, _)| kept(name)).cloned().collect(),
                basic: request.basic.clone().filter(|_| same),
                body: request.body.clone(),
                timeout: request.timeout,
                keep: request.keep,
                tls: http::Tls { client: tls.client.clone().filter(|_| same), ..tls.clone() },
            };
            let answer = http::request(Some(stream), &wanted).await?;
            let location = answer.headers.iter().find(|(name, _)| name == "location").map(|(_, value)| value.clone());
            match location {
                Some(location) if (300..400).contains(&answer.status) && left > 0 => url = join(&place, &location),
                _ => {
                    return Ok(HttpResponse { status: answer.status, headers: answer.headers, body: answer.body, url });
                }
            }
        }
        Err(format!("{url}: too many redirects"))
    }

    /// Connects from the task's host and reads what the other side says first.
    async fn first_words(
        &self,
        address: &str,
        port: u16,
        within: Duration,
        read: usize,
        way: &Way,
    ) -> Result<Vec<u8>, String> {
        use tokio::io::AsyncReadExt as _;
        let connection = self.connection_of(None, way).await?;
        let mut stream = tokio::time::timeout(within, connection.stream(address, port, within))
            .await
            .map_err(|_| format!("{address}:{port}: no answer within {} s", within.as_secs()))??;
        let mut bytes = vec![0u8; read];
        let mut have = 0;
        while have < read {
            let Some(rest) = bytes.get_mut(have..) else { break };
            match tokio::time::timeout(within, stream.read(rest)).await {
                Ok(Ok(0)) | Ok(Err(_)) | Err(_) => break,
                Ok(Ok(count)) => have += count,
            }
        }
        bytes.truncate(have);
        Ok(bytes)
    }

    async fn children(
        &self,
        servers: &[String],
        path: &str,
        via: Option<&str>,
        way: &Way,
    ) -> Result<Vec<Znode>, String> {
        const WITHIN: Duration = Duration::from_secs(5);
        let mut reasons = Vec::new();
        for server in servers {
            let (host, port) = server.rsplit_once(':').unwrap_or((server, "2181"));
            let Ok(port) = port.parse::<u16>() else {
                reasons.push(format!("{server} has no port"));
                continue;
            };
            let asked = async {
                let stream = self.reach(host.trim_matches(['[', ']']), port, via, way).await?;
                zookeeper::children(stream, path, WITHIN).await
            };
            match tokio::time::timeout(WITHIN * 2, asked).await {
                Ok(Ok(children)) => {
                    return Ok(children.into_iter().map(|(name, data, owner)| Znode { name, data, owner }).collect());
                }
                Ok(Err(reason)) => reasons.push(format!("{server}: {reason}")),
                Err(_) => reasons.push(format!("{server}: no answer")),
            }
        }
        Err(format!("no ZooKeeper server answers: {}", reasons.join("; ")))
    }

    /// Makes a new connection, and runs nothing more than `true` over it.
    async fn login(&self, way: &Way, within: Duration) -> Result<(), String> {
        self.run.forget(&self.target, way).await;
        let mut way = way.clone();
        way.target.timeout = within;
        way.target.retries = 0;
        let connection = self.run.connection(&self.target, &way).await.map_err(|reason| reason.to_string())?;
        let command = self.command(&way, &[], crate::base::Script::new().line(":"));
        connection.run(&command).await.map(|_| ()).map_err(|lost| lost.to_string())
    }
}

/// Where a redirect leads: a whole URL, or a path at the same place.
fn join(place: &http::Location, location: &str) -> String {
    if location.contains("://") {
        return location.to_owned();
    }
    let host = if place.host.contains(':') { format!("[{}]", place.host) } else { place.host.clone() };
    let folder = place.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = if location.starts_with('/') { location.to_owned() } else { format!("{folder}/{location}") };
    let scheme = if place.tls { "https" } else { "http" };
    format!("{scheme}://{host}:{}{path}", place.port)
}
