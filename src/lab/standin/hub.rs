//! The wires of a stand-in: an HTTP server on the daemon's port, and on the same port the stand-ins' own links, which are
//! lines of JSON. Everything that comes in becomes an [`Event`] of one queue; the daemon's state has one owner and no locks.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::daemon::address_of;
use super::zk::ZkNews;

/// What a daemon may hear.
pub(crate) enum Event {
    /// A GET: path with query, whether gzip is welcome, and where the answer goes.
    Http(String, Sender<Response>),
    /// Somebody linked to this daemon; the first line is who.
    Linked(u64, Value, TcpStream),
    /// A message on a link.
    Message(u64, Value),
    /// A link is gone.
    Closed(u64),
    /// Something happened in ZooKeeper.
    Zk(ZkNews),
    /// A child of the daemon ended.
    Ended(String),
}

/// An answer to a GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn json(body: String) -> Response {
        Response { status: "200 OK", headers: vec![("Content-Type", "application/json".to_owned())], body }
    }

    pub(crate) fn empty(status: &'static str) -> Response {
        Response { status, headers: Vec::new(), body: String::new() }
    }
}

/// How a link begins; no HTTP method is called so.
const GREETING: &str = "LINK ";

static NEXT: AtomicU64 = AtomicU64::new(1);

/// All connections of a daemon.
pub(crate) struct Hub {
    pub(crate) sender: Sender<Event>,
    receiver: Receiver<Event>,
    links: HashMap<u64, TcpStream>,
}

impl Hub {
    pub(crate) fn new() -> Hub {
        let (sender, receiver) = channel();
        Hub { sender, receiver, links: HashMap::new() }
    }

    /// Listens, and compresses every answer where that is so; gives the port, which is a free one for 0.
    pub(crate) fn listen(&self, ip: Ipv4Addr, port: u16, always: bool) -> std::io::Result<u16> {
        let listener = TcpListener::bind((ip, port))?;
        let port = listener.local_addr()?.port();
        let sender = self.sender.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                std::thread::spawn(move || serve(stream, &sender, always));
            }
        });
        Ok(port)
    }

    /// The next event, or None at the deadline.
    pub(crate) fn next(&mut self, deadline: Instant) -> Option<Event> {
        match self.receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Event::Linked(id, hello, stream)) => {
                if let Ok(writer) = stream.try_clone() {
                    self.links.insert(id, writer);
                }
                Some(Event::Linked(id, hello, stream))
            }
            Ok(Event::Closed(id)) => {
                self.links.remove(&id);
                Some(Event::Closed(id))
            }
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Links to another daemon at `ip:port`, from this daemon's own address.
    pub(crate) fn link(&mut self, address: &str, hello: &Value) -> Option<u64> {
        let address: SocketAddr = address.parse().ok()?;
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
        stream.write_all(format!("{GREETING}{hello}\n").as_bytes()).ok()?;
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let reader = stream.try_clone().ok()?;
        self.links.insert(id, stream);
        let sender = self.sender.clone();
        std::thread::spawn(move || read_lines(BufReader::new(reader), id, &sender));
        Some(id)
    }

    /// Sends a message; what can't be sent shows as a closed link.
    pub(crate) fn send(&mut self, link: u64, message: &Value) {
        if let Some(stream) = self.links.get_mut(&link)
            && stream.write_all(format!("{message}\n").as_bytes()).is_err()
        {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn close(&mut self, link: u64) {
        if let Some(stream) = self.links.remove(&link) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// The link to the leading master, and that master's pid: it outlives the loss of ZooKeeper, as a real one's socket does.
#[derive(Default)]
pub(crate) struct MasterLink {
    /// The link, while there is one.
    pub(crate) link: Option<u64>,
    pid: String,
}

impl MasterLink {
    /// Ends it when another master leads; who does not know of any keeps it.
    pub(crate) fn follow(&mut self, hub: &mut Hub, leader: Option<&String>) {
        if leader.is_some_and(|pid| *pid != self.pid)
            && let Some(link) = self.link.take()
        {
            hub.close(link);
        }
    }

    /// The link, made when there is none.
    pub(crate) fn to(&mut self, hub: &mut Hub, leader: &str, hello: &Value) -> Option<u64> {
        if self.link.is_none() {
            self.link = hub.link(address_of(leader), hello);
            leader.clone_into(&mut self.pid);
        }
        self.link
    }
}

fn read_lines(reader: BufReader<TcpStream>, id: u64, sender: &Sender<Event>) {
    for line in reader.lines() {
        let Ok(line) = line else { break };
        let Ok(message) = serde_json::from_str(&line) else { break };
        if sender.send(Event::Message(id, message)).is_err() {
            return;
        }
    }
    let _ = sender.send(Event::Closed(id));
}

fn serve(stream: TcpStream, sender: &Sender<Event>, always: bool) {
    let _ = stream.set_nodelay(true);
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        match (&mut reader).take(64 << 10).read_line(&mut line) {
            Ok(count) if count > 0 => {}
            _ => return,
        }
        if let Some(hello) = line.strip_prefix(GREETING) {
            let Ok(hello) = serde_json::from_str(hello) else { return };
            let id = NEXT.fetch_add(1, Ordering::Relaxed);
            let _ = writer.set_write_timeout(Some(Duration::from_secs(1)));
            if sender.send(Event::Linked(id, hello, writer)).is_ok() {
                read_lines(reader, id, sender);
            }
            return;
        }
        let mut words = line.split_whitespace();
        let (Some(_method), Some(path)) = (words.next(), words.next()) else { return };
        let (path, old) = (path.to_owned(), words.next() == Some("HTTP/1.0"));
        let (mut gzip, mut close) = (false, old);
        loop {
            let mut header = String::new();
            match (&mut reader).take(64 << 10).read_line(&mut header) {
                Ok(count) if count > 0 => {}
                _ => return,
            }
            let header = header.trim().to_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("accept-encoding:") {
                gzip = accepts_gzip(value);
            }
            close |= header.strip_prefix("connection:").is_some_and(|value| value.trim() == "close");
        }
        let (answer, receive) = channel();
        if sender.send(Event::Http(path, answer)).is_err() {
            return;
        }
        let Ok(response) = receive.recv() else { return };
        if writer.write_all(&on_the_wire(response, gzip, always)).is_err() || close {
            return;
        }
    }
}

fn accepts_gzip(value: &str) -> bool {
    value.split(',').any(|part| {
        let mut words = part.split(';').map(str::trim);
        matches!(words.next(), Some("gzip" | "*")) && !words.any(|word| word.replace(' ', "") == "q=0")
    })
}

/// Before 0.13 every body is compressed, whoever asks; later one of 1 KiB or more when that is welcome.
fn on_the_wire(response: Response, gzip: bool, always: bool) -> Vec<u8> {
    let mut body = response.body.into_bytes();
    let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let mut head = format!("HTTP/1.1 {}\r\nDate: {date}\r\n", response.status);
    let mut headers = response.headers;
    if (gzip && body.len() >= 1024) || (always && !body.is_empty()) {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        if let Ok(packed) = encoder.write_all(&body).and_then(|()| encoder.finish()) {
            body = packed;
            headers.insert(0, ("Content-Encoding", "gzip".to_owned()));
        }
    }
    // A redirect names the place before the length.
    let (first, last): (Vec<_>, Vec<_>) = headers.into_iter().partition(|(name, _)| *name == "Location");
    let lines = first.into_iter().chain([("Content-Length", body.len().to_string())]).chain(last);
    for (name, value) in lines {
        head.push_str(&[name, ": ", &value, "\r\n"].concat());
    }
    head.push_str("\r\n");
    [head.into_bytes(), body].concat()
}
