//! A ZooKeeper client that can do what a Mesos detector and contender do, and no more: the wire protocol of 3.4 and later.
//!
//! Each master makes an ephemeral sequence node below the path, with its pid as text; the lowest number leads. Numbers that
//! are none are skipped.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::hub::Event;

/// What a detector hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ZkNews {
    Connected,
    /// The node that was made for this contender.
    Created(String),
    /// How many masters are registered, and the pid of the lowest.
    Members(usize, Option<String>),
    /// The session is over: all that was known is void.
    Expired,
}

/// `zk://host:port,host:port/path`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ZkUrl {
    pub(crate) servers: Vec<String>,
    pub(crate) path: String,
}

/// Reads a URL; the error is the daemons' own wording.
pub(crate) fn parse_url(url: &str) -> Result<ZkUrl, String> {
    let rest = url.strip_prefix("zk://").ok_or_else(|| "Expecting 'zk://' at the beginning of the URL".to_owned())?;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, after)| after);
    let (servers, path) = rest.split_once('/').unwrap_or((rest, ""));
    if path.trim_matches('/').is_empty() {
        return Err("Expecting a (chroot) path for ZooKeeper ('/' is not supported)".to_owned());
    }
    let servers = servers
        .split(',')
        .map(|server| if server.contains(':') { server.to_owned() } else { format!("{server}:2181") });
    Ok(ZkUrl { servers: servers.collect(), path: format!("/{}", path.trim_matches('/')) })
}

/// Watches for ever on a thread; with `contender` it also puts that pid up.
pub(crate) fn watch(url: ZkUrl, contender: Option<String>, session: Duration, sender: Sender<Event>) {
    std::thread::spawn(move || {
        let mut client = Client {
            url,
            contender,
            wanted: session,
            session: None,
            created: false,
            heard: Instant::now(),
            turn: std::process::id() as usize,
        };
        loop {
            let mut news = |news| sender.send(Event::Zk(news)).map_err(|_| End::Gone);
            match client.run(&mut news) {
                Err(End::Gone) => return,
                Err(End::Expired) => {
                    client.forget();
                    if news(ZkNews::Expired).is_err() {
                        return;
                    }
                }
                Err(End::Broken) | Ok(()) => {
                    if client.session.is_some() && client.heard.elapsed() > client.timeout() {
                        client.forget();
                        if news(ZkNews::Expired).is_err() {
                            return;
                        }
                    }
                    std::thread::sleep(Duration::from_millis(20).max(client.wanted / 100));
                }
            }
        }
    });
}

enum End {
    /// The connection: another server may have the session still.
    Broken,
    /// The session.
    Expired,
    /// The daemon does not listen any more.
    Gone,
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> End {
        End::Broken
    }
}

struct Session {
    id: i64,
    password: Vec<u8>,
    timeout: Duration,
}

struct Client {
    url: ZkUrl,
    contender: Option<String>,
    wanted: Duration,
    session: Option<Session>,
    created: bool,
    heard: Instant,
    turn: usize,
}

const CREATE: i32 = 1;
const GET_DATA: i32 = 4;
const GET_CHILDREN: i32 = 8;
const PING: i32 = 11;
const EPHEMERAL_SEQUENCE: i32 = 3;
const NODE_EXISTS: i32 = -110;
const NO_NODE: i32 = -101;
const SESSION_EXPIRED: i32 = -112;

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    xid: i32,
    /// A watch fired while an answer was awaited.
    fired: bool,
    /// The last time anything came in.
    heard: Instant,
    timeout: Duration,
    pinged: Instant,
}

impl Client {
    fn forget(&mut self) {
        self.session = None;
        self.created = false;
        self.heard = Instant::now();
    }

    fn timeout(&self) -> Duration {
        self.session.as_ref().map_or(self.wanted, |session| session.timeout)
    }

    fn run(&mut self, news: &mut impl FnMut(ZkNews) -> Result<(), End>) -> Result<(), End> {
        let mut connection = self.connect()?;
        news(ZkNews::Connected)?;
        let result = self.work(&mut connection, news);
        self.heard = self.heard.max(connection.heard);
        result
    }

    fn connect(&mut self) -> Result<Connection, End> {
        self.turn = self.turn.wrapping_add(1);
        let count = self.url.servers.len().max(1);
        let server = self.url.servers.get(self.turn % count).ok_or(End::Broken)?;
        let address: SocketAddr = server.to_socket_addrs()?.next().ok_or(End::Broken)?;
        let patience = (self.timeout() / 3).max(Duration::from_millis(100));
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_nodelay(true)?;
        let mut request = Vec::new();
        request.extend_from_slice(&0_i32.to_be_bytes());
        request.extend_from_slice(&0_i64.to_be_bytes());
        request.extend_from_slice(&i32::try_from(self.wanted.as_millis()).unwrap_or(i32::MAX).to_be_bytes());
        let (id, password) =
            self.session.as_ref().map_or((0, vec![0; 16]), |session| (session.id, session.password.clone()));
        request.extend_from_slice(&id.to_be_bytes());
        put_bytes(&mut request, &password);
        request.push(0);
        let now = Instant::now();
        let mut connection = Connection {
            stream,
            buffer: Vec::new(),
            xid: 0,
            fired: false,
            heard: now,
            timeout: patience * 3,
            pinged: now,
        };
        connection.write(&request)?;
        let answer = connection.frame(Instant::now() + patience)?.ok_or(End::Broken)?;
        let mut fields = Fields(&answer);
        let (_, timeout, id, password) = (fields.int()?, fields.int()?, fields.long()?, fields.bytes()?.to_vec());
        if timeout <= 0 {
            return Err(End::Expired);
        }
        let timeout = Duration::from_millis(u64::try_from(timeout).unwrap_or_default());
        connection.timeout = timeout;
        self.session = Some(Session { id, password, timeout });
        self.heard = Instant::now();
        Ok(connection)
    }

    fn work(
        &mut self,
        connection: &mut Connection,
        news: &mut impl FnMut(ZkNews) -> Result<(), End>,
    ) -> Result<(), End> {
        let path = self.url.path.clone();
        let mut parent = String::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            parent = format!("{parent}/{name}");
            match connection.call(CREATE, &create(&parent, b"", 0))? {
                Ok(_) | Err(NODE_EXISTS) => {}
                Err(_) => return Err(End::Broken),
            }
        }
        if let Some(pid) = self.contender.clone()
            && !self.created
        {
            let made = connection.call(CREATE, &create(&format!("{path}/"), pid.as_bytes(), EPHEMERAL_SEQUENCE))?;
            let made = made.map_err(|_| End::Broken)?;
            self.created = true;
            news(ZkNews::Created(String::from_utf8_lossy(Fields(&made).bytes()?).into_owned()))?;
        }
        loop {
            connection.fired = false;
            let mut request = Vec::new();
            put_bytes(&mut request, path.as_bytes());
            request.push(1);
            let listing = connection.call(GET_CHILDREN, &request)?.map_err(|_| End::Broken)?;
            let mut fields = Fields(&listing);
            let mut numbers: Vec<(u64, String)> = Vec::new();
            for _ in 0..fields.int()? {
                let name = String::from_utf8_lossy(fields.bytes()?).into_owned();
                if let Ok(number) = name.parse() {
                    numbers.push((number, name));
                }
            }
            numbers.sort();
            let mut leader = None;
            if let Some((_, name)) = numbers.first() {
                let mut request = Vec::new();
                put_bytes(&mut request, format!("{path}/{name}").as_bytes());
                request.push(0);
                match connection.call(GET_DATA, &request)? {
                    Ok(data) => leader = Some(String::from_utf8_lossy(Fields(&data).bytes()?).into_owned()),
                    // Gone in between: the watch has fired.
                    Err(NO_NODE) => continue,
                    Err(_) => return Err(End::Broken),
                }
            }
            news(ZkNews::Members(numbers.len(), leader))?;
            while !connection.fired {
                connection.idle()?;
                self.heard = connection.heard;
            }
        }
    }
}

impl Connection {
    fn write(&mut self, body: &[u8]) -> Result<(), End> {
        let length = i32::try_from(body.len()).map_err(|_| End::Broken)?;
        self.stream.write_all(&[&length.to_be_bytes(), body].concat())?;
        Ok(())
    }

    /// One frame, or None when the deadline comes first.
    fn frame(&mut self, deadline: Instant) -> Result<Option<Vec<u8>>, End> {
        loop {
            if let Some(head) = self.buffer.first_chunk::<4>() {
                let length = usize::try_from(i32::from_be_bytes(*head)).map_err(|_| End::Broken)?;
                if self.buffer.len() >= 4 + length {
                    let frame = self.buffer.drain(..4 + length).skip(4).collect();
                    self.heard = Instant::now();
                    return Ok(Some(frame));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let mut chunk = [0_u8; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(End::Broken),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for a watch, and pings.
    fn idle(&mut self) -> Result<(), End> {
        if let Some(frame) = self.frame(Instant::now() + self.timeout / 3)? {
            self.note(&frame)?;
        }
        if self.heard.elapsed() > self.timeout * 2 / 3 {
            return Err(End::Broken);
        }
        if self.pinged.elapsed() >= self.timeout / 4 {
            self.pinged = Instant::now();
            self.write(&[(-2_i32).to_be_bytes(), PING.to_be_bytes()].concat())?;
        }
        Ok(())
    }

    fn note(&mut self, frame: &[u8]) -> Result<i32, End> {
        let xid = Fields(frame).int()?;
        self.fired |= xid == -1;
        Ok(xid)
    }

    /// A request and its answer, or ZooKeeper's error code.
    fn call(&mut self, kind: i32, body: &[u8]) -> Result<Result<Vec<u8>, i32>, End> {
        self.xid += 1;
        let xid = self.xid;
        self.write(&[&xid.to_be_bytes(), &kind.to_be_bytes(), body].concat())?;
        let deadline = Instant::now() + self.timeout * 2 / 3;
        loop {
            let frame = self.frame(deadline)?.ok_or(End::Broken)?;
            if self.note(&frame)? != xid {
                continue;
            }
            let mut fields = Fields(&frame);
            let (_, _, error) = (fields.int()?, fields.long()?, fields.int()?);
            return match error {
                0 => Ok(Ok(fields.0.to_vec())),
                SESSION_EXPIRED => Err(End::Expired),
                other => Ok(Err(other)),
            };
        }
    }
}

fn create(path: &str, data: &[u8], flags: i32) -> Vec<u8> {
    let mut request = Vec::new();
    put_bytes(&mut request, path.as_bytes());
    put_bytes(&mut request, data);
    request.extend_from_slice(&1_i32.to_be_bytes());
    request.extend_from_slice(&31_i32.to_be_bytes());
    put_bytes(&mut request, b"world");
    put_bytes(&mut request, b"anyone");
    request.extend_from_slice(&flags.to_be_bytes());
    request
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&i32::try_from(bytes.len()).unwrap_or_default().to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Fields of a frame, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn int(&mut self) -> Result<i32, End> {
        let (head, rest) = self.0.split_first_chunk::<4>().ok_or(End::Broken)?;
        self.0 = rest;
        Ok(i32::from_be_bytes(*head))
    }

    fn long(&mut self) -> Result<i64, End> {
        let (head, rest) = self.0.split_first_chunk::<8>().ok_or(End::Broken)?;
        self.0 = rest;
        Ok(i64::from_be_bytes(*head))
    }

    fn bytes(&mut self) -> Result<&'a [u8], End> {
        let length = usize::try_from(self.int()?.max(0)).unwrap_or_default();
        let (head, rest) = self.0.split_at_checked(length).ok_or(End::Broken)?;
        self.0 = rest;
        Ok(head)
    }
}
