//! HTTP for one request a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::front;
use super::world::World;

/// A request.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    /// What stands after the code; empty for 208.
    pub(super) reason: &'static str,
    pub(super) kind: &'static str,
    pub(super) body: String,
    /// Further headers.
    pub(super) more: Vec<(&'static str, String)>,
}

impl Response {
    pub(super) fn new(status: u16, reason: &'static str, kind: &'static str, body: impl Into<String>) -> Self {
        Self { status, reason, kind, body: body.into(), more: Vec::new() }
    }

    pub(super) fn json(status: u16, body: &serde_json::Value) -> Self {
        let reason = if status == 200 { "OK" } else { "Error" };
        Self::new(status, reason, "application/json", body.to_string())
    }
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = text.get(at + 1..at + 3).and_then(|two| u8::from_str_radix(two, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                out.push(code);
                at += 3;
            }
            _ => {
                out.push(if *byte == b'+' { b' ' } else { *byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream).take(8 << 20);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    let query = query.split('&').filter(|part| !part.is_empty()).map(pair).collect();
    let mut request = Request { method, path: decoded(path), query, ..Request::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let length = request.header("content-length").parse().unwrap_or(0);
    request.body = vec![0; std::cmp::min(length, 4 << 20)];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// Answers one request, late or not at all where a fault wants that.
pub(super) fn serve(mut stream: TcpStream, world: &Mutex<World>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let _ = stream.set_nodelay(true);
    let Some(request) = read(&stream) else { return };
    let locked = || world.lock().unwrap_or_else(PoisonError::into_inner);
    let whim = locked().whim(&request);
    if !whim.before.is_zero() {
        std::thread::sleep(whim.before);
    }
    let response = whim.instead.unwrap_or_else(|| front::answer(&mut locked(), &request, Instant::now()));
    if whim.silent {
        // The other side waits for as long as it likes.
        std::thread::sleep(whim.after);
        return;
    }
    write(&mut stream, response);
}

/// Answers one request by a function; nothing is said where there is no answer.
pub(super) fn exchange(mut stream: TcpStream, answer: impl FnOnce(&Request) -> Option<Response>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let _ = stream.set_nodelay(true);
    if let Some(response) = read(&stream).and_then(|request| answer(&request)) {
        write(&mut stream, response);
    }
}

fn write(stream: &mut TcpStream, response: Response) {
    let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, response.reason);
    let length = ("Content-Length", response.body.len().to_string());
    let kind = (!response.kind.is_empty()).then(|| ("Content-Type", response.kind.to_owned()));
    for (name, value) in kind.into_iter().chain(response.more).chain([length, ("Connection", "close".to_owned())]) {
        let _ = std::fmt::Write::write_fmt(&mut head, format_args!("{name}: {value}\r\n"));
    }
    let _ = stream.write_all(format!("{head}\r\n{}", response.body).as_bytes());
}
