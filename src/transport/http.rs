//! A small HTTP/1.1 client over any stream: one request, one answer. Redirects are the caller's matter.

use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::base::Secret;

use super::settings::Family;
use super::tls;
pub(crate) use super::tls::Tls;
use super::{Stream, dial};

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct HttpRequest {
    /// `GET`, …
    pub(crate) method: String,
    /// `http://host:port/path`.
    pub(crate) url: String,
    /// Headers.
    pub(crate) headers: Vec<(String, String)>,
    /// Basic authentication: user and password.
    pub(crate) basic: Option<(String, Secret)>,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// For how long to wait for the whole answer.
    pub(crate) timeout: Duration,
    /// The largest body that is taken, in bytes, before and after gunzip.
    pub(crate) keep: usize,
    /// For `https://`.
    pub(crate) tls: Tls,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpResponse {
    /// Status code.
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, gunzipped when it was sent so.
    pub(crate) body: Vec<u8>,
}

/// The parts of an `http://` or `https://` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    /// Name or address, IPv6 without brackets.
    pub(crate) host: String,
    /// 80 (443 with TLS) unless written.
    pub(crate) port: u16,
    /// Whether it is `https://`.
    pub(crate) tls: bool,
    /// Path and query, `/` at least.
    pub(crate) path: String,
}

/// Takes a URL apart; the stream is opened to its host and port.
///
/// # Errors
/// It isn't an `http://` or `https://` URL.
pub(crate) fn locate(url: &str) -> Result<Location, String> {
    let wrong = |why: &str| format!("`{url}` is not a URL that can be asked: {why}");
    let after = |scheme: &str| {
        let start = url.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme))?;
        url.get(start.len()..)
    };
    let (rest, tls) = match (after("https://"), after("http://")) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => (rest, false),
        (None, None) => return Err(wrong("it begins with http:// or https://")),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err(wrong("user and password are given apart from it"));
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, after) = inner.split_once(']').ok_or_else(|| wrong("a bracket is not closed"))?;
            (host, after.strip_prefix(':'))
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(port) => port.parse().map_err(|_| wrong("its port is none"))?,
        None if tls => 443,
        None => 80,
    };
    if host.is_empty() {
        return Err(wrong("it has no host"));
    }
    let path = path.split('#').next().unwrap_or("");
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(Location { host: host.to_owned(), port, tls, path })
}

/// Asks over a stream, or over a new connection from here when there is none.
///
/// # Errors
/// No answer, a broken one, or one that is too long: a sentence.
pub(crate) async fn request(stream: Option<Box<dyn Stream>>, request: &HttpRequest) -> Result<HttpResponse, String> {
    let location = locate(&request.url)?;
    match timeout(request.timeout, ask(stream, request, &location)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("{}: no answer within {} s", request.url, request.timeout.as_secs_f64())),
    }
}

async fn ask(
    stream: Option<Box<dyn Stream>>,
    wanted: &HttpRequest,
    location: &Location,
) -> Result<HttpResponse, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", wanted.url);
    let stream = match stream {
        Some(stream) => stream,
        None => {
            let socket = dial::tcp(&location.host, location.port, Family::Any, wanted.timeout).await;
            let socket = socket.map_err(|why| match why {
                super::Unreachable::Refused { address } => format!("{}: {address} refused the connection", wanted.url),
                other => wrong(&other),
            })?;
            let _ = socket.set_nodelay(true);
            Box::new(socket)
        }
    };
    let stream = if location.tls {
        tls::wrap(stream, &location.host, &wanted.tls).await.map_err(|why| wrong(&why))?
    } else {
        stream
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| wrong(&error))?;
    let driver = tokio::spawn(connection);
    let answer = exchange(&mut sender, wanted, location).await;
    driver.abort();
    answer
}

async fn exchange(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    wanted: &HttpRequest,
    location: &Location,
) -> Result<HttpResponse, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", wanted.url);
    let host = if location.host.contains(':') { format!("[{}]", location.host) } else { location.host.clone() };
    let mut builder = hyper::Request::builder().method(wanted.method.as_bytes()).uri(&location.path);
    let given = |name: &str| wanted.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    if !given("host") {
        builder = builder.header("host", format!("{host}:{}", location.port));
    }
    if !given("user-agent") {
        builder = builder.header("user-agent", concat!("stagger/", env!("CARGO_PKG_VERSION")));
    }
    if !given("connection") {
        builder = builder.header("connection", "close");
    }
    for (name, value) in &wanted.headers {
        builder = builder.header(name, value);
    }
    if let Some((user, password)) = &wanted.basic {
        let both = BASE64.encode(format!("{user}:{}", password.reveal()));
        builder = builder.header("authorization", format!("Basic {both}"));
    }
    let body = Full::new(Bytes::copy_from_slice(&wanted.body));
    let request = builder.body(body).map_err(|error| wrong(&error))?;
    let response = sender.send_request(request).await.map_err(|error| wrong(&describe(&error)))?;
    let (head, body) = response.into_parts();
    let too_long = || format!("{}: the answer is longer than {} bytes", wanted.url, wanted.keep);
    let body = Limited::new(body, wanted.keep)
        .collect()
        .await
        .map_err(|error| if error.is::<LengthLimitError>() { too_long() } else { wrong(&error) })?;
    let mut bytes = body.to_bytes().to_vec();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    if header("content-encoding").eq_ignore_ascii_case("gzip") && !bytes.is_empty() {
        let mut plain = Vec::new();
        let limit = wanted.keep as u64 + 1;
        flate2::read::MultiGzDecoder::new(bytes.as_slice())
            .take(limit)
            .read_to_end(&mut plain)
            .map_err(|error| wrong(&format!("its gzip can't be read: {error}")))?;
        if plain.len() > wanted.keep {
            return Err(too_long());
        }
        bytes = plain;
    }
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    Ok(HttpResponse { status: head.status.as_u16(), headers, body: bytes })
}

fn describe(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "the connection was closed before the answer was whole".to_owned();
    }
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn get(url: &str) -> HttpRequest {
        HttpRequest {
            method: "GET".to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            basic: None,
            body: Vec::new(),
            timeout: Duration::from_secs(5),
            keep: 1000,
            tls: Tls::default(),
        }
    }

    /// Asks a server that answers with these bytes; gives the answer and what the server read.
    async fn ask(wanted: HttpRequest, answer: Vec<u8>) -> (Result<HttpResponse, String>, String) {
        let (client, mut server) = tokio::io::duplex(1 << 16);
        let serving = tokio::spawn(async move {
            let mut seen = vec![0; 4096];
            let count = server.read(&mut seen).await.unwrap();
            server.write_all(&answer).await.unwrap();
            drop(server);
            String::from_utf8_lossy(&seen[..count]).into_owned()
        });
        let response = request(Some(Box::new(client)), &wanted).await;
        (response, serving.await.unwrap())
    }

    #[tokio::test]
    async fn an_answer_comes_with_status_headers_and_body() {
        let mut wanted = get("http://10.0.0.1:5051/slave(1)/state.json?x=1");
        wanted.basic = Some(("a".to_owned(), Secret::new("b")));
        let (answer, seen) =
            ask(wanted, b"HTTP/1.1 404 Not Found\r\nX-Y: z\r\nContent-Length: 2\r\n\r\nno".to_vec()).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (404, b"no".as_slice()));
        assert!(answer.headers.contains(&("x-y".to_owned(), "z".to_owned())));
        assert!(seen.starts_with("GET /slave(1)/state.json?x=1 HTTP/1.1\r\n"), "{seen}");
        assert!(seen.contains("host: 10.0.0.1:5051\r\n") && seen.contains("authorization: Basic YTpi\r\n"), "{seen}");
    }

    #[tokio::test]
    async fn gzip_is_undone_and_bombs_are_refused() {
        let packed = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(bytes).unwrap();
            let body = encoder.finish().unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
            [head.as_bytes(), &body].concat()
        };
        let (answer, _) = ask(get("http://h/"), packed(b"{}")).await;
        assert_eq!(answer.unwrap().body, b"{}");
        let (answer, _) = ask(get("http://h/"), packed(&[0; 100_000])).await;
        assert!(answer.unwrap_err().contains("longer than 1000 bytes"));
    }

    #[tokio::test]
    async fn long_broken_and_missing_answers_are_errors() {
        let long = [b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n".as_slice(), &[b'x'; 2000]].concat();
        assert!(ask(get("http://h/"), long).await.0.unwrap_err().contains("longer than 1000"));
        assert!(ask(get("http://h/"), Vec::new()).await.0.unwrap_err().contains("closed before"));
        assert!(ask(get("http://h/"), b"SSH-2.0-x\r\n".to_vec()).await.0.unwrap_err().starts_with("http://h/: "));
        let (client, _server) = tokio::io::duplex(1 << 16);
        let mut wanted = get("http://h/");
        wanted.timeout = Duration::from_millis(20);
        assert!(request(Some(Box::new(client)), &wanted).await.unwrap_err().contains("no answer within"));
        let (_held, closed) = crate::transport::fixture::refusing_port();
        let refused = request(None, &get(&format!("http://127.0.0.1:{closed}/"))).await.unwrap_err();
        assert!(refused.contains("refused"), "{refused}");
    }

    #[test]
    fn urls_are_taken_apart() {
        let of = |url: &str| locate(url).map(|l| (l.host, l.port, l.path));
        assert_eq!(of("http://a"), Ok(("a".to_owned(), 80, "/".to_owned())));
        assert_eq!(of("http://[::1]:5050/x?y#z"), Ok(("::1".to_owned(), 5050, "/x?y".to_owned())));
        assert_eq!(of("https://a/"), Ok(("a".to_owned(), 443, "/".to_owned())));
        assert!(locate("HTTPS://a:8/").unwrap().tls && !locate("http://a:443/").unwrap().tls);
        assert!(of("ftp://a/").unwrap_err().contains("https://"));
        assert!(of("http://:1/").is_err() && of("a/b").is_err() && of("http://a:x/").is_err());
    }
}
