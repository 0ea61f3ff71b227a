//! Reads a ZooKeeper node's children over any stream. Read-only: it can create and delete nothing.
//!
//! The protocol is the one of servers 3.3 to 3.9: frames of a big-endian length, xid and type in front of requests, xid, zxid
//! and error in front of answers. What a server answers is bounded in size and time.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::Stream;

/// The largest frame that is read. Servers keep a node below 1 MiB.
const LARGEST: usize = 4 << 20;

/// How many children are looked at.
const MOST: usize = 10_000;

const GET_DATA: i32 = 4;
const GET_CHILDREN: i32 = 8;
const CLOSE: i32 = -11;
const NO_NODE: i32 = -101;

/// The children of a node in order of their names: name, data, and the session that owns it (0 when it isn't ephemeral).
///
/// # Errors
/// There is no answer within the time, no such node, or the server may not be read: a sentence.
pub(crate) async fn children(
    stream: Box<dyn Stream>,
    path: &str,
    within: Duration,
) -> Result<Vec<(String, Vec<u8>, i64)>, String> {
    match timeout(within, read_children(stream, path, within)).await {
        Ok(result) => result,
        Err(_) => Err(format!("ZooKeeper did not answer within {} s", within.as_secs())),
    }
}

async fn read_children(
    stream: Box<dyn Stream>,
    path: &str,
    within: Duration,
) -> Result<Vec<(String, Vec<u8>, i64)>, String> {
    if !path.starts_with('/') || path.len() > 1 && path.ends_with('/') || path.contains('\0') {
        return Err(format!("`{path}` is not a ZooKeeper path: it begins with / and doesn't end with one"));
    }
    let mut session = Session { stream, xid: 0 };
    session.connect(within).await?;
    let answer = session.ask(GET_CHILDREN, path).await?;
    let mut fields = match answer {
        Answer::Fields(fields) => fields,
        Answer::Error(NO_NODE) => return Err(format!("ZooKeeper has no node {path}")),
        Answer::Error(code) => return Err(describe(path, code)),
    };
    let count = usize::try_from(fields.int()?).unwrap_or(0);
    if count > MOST {
        return Err(format!("{path} has {count} children, {MOST} at most are read"));
    }
    let mut names = Vec::new();
    for _ in 0..count {
        names.push(String::from_utf8_lossy(fields.buffer()?).into_owned());
    }
    names.sort();
    let mut children = Vec::new();
    for name in names {
        let full = if path == "/" { format!("/{name}") } else { format!("{path}/{name}") };
        match session.ask(GET_DATA, &full).await? {
            Answer::Fields(mut fields) => {
                let data = fields.buffer()?.to_vec();
                // czxid, mzxid, ctime, mtime; version, cversion, aversion; then the owner.
                fields.skip(4 * 8 + 3 * 4)?;
                children.push((name, data, fields.long()?));
            }
            // It went away between the two questions.
            Answer::Error(NO_NODE) => {}
            Answer::Error(code) => return Err(describe(&full, code)),
        }
    }
    session.close().await;
    Ok(children)
}

fn describe(path: &str, code: i32) -> String {
    match code {
        -102 => format!("ZooKeeper does not let {path} be read without authentication"),
        -112 => "the ZooKeeper session expired".to_owned(),
        -4 => "ZooKeeper lost its quorum".to_owned(),
        other => format!("ZooKeeper answered {path} with error {other}"),
    }
}

enum Answer {
    Fields(Fields),
    Error(i32),
}

struct Session {
    stream: Box<dyn Stream>,
    xid: i32,
}

impl Session {
    async fn connect(&mut self, within: Duration) -> Result<(), String> {
        let mut body = Vec::new();
        body.extend(0_i32.to_be_bytes());
        body.extend(0_i64.to_be_bytes());
        // The session must only outlive the questions; servers raise this to their minimum.
        let milliseconds = i32::try_from(within.as_millis()).unwrap_or(i32::MAX).clamp(4_000, 40_000);
        body.extend(milliseconds.to_be_bytes());
        body.extend(0_i64.to_be_bytes());
        body.extend(16_i32.to_be_bytes());
        body.extend([0; 16]);
        // Not from a server that is cut off from the others. Servers before 3.4 pass over this byte.
        body.push(0);
        self.send(&body).await?;
        let mut fields = self.receive().await?;
        fields.int()?;
        let granted = fields.int()?;
        if granted <= 0 || fields.long()? == 0 {
            return Err("ZooKeeper refused a session".to_owned());
        }
        Ok(())
    }

    async fn ask(&mut self, kind: i32, path: &str) -> Result<Answer, String> {
        self.xid += 1;
        let mut body = Vec::new();
        body.extend(self.xid.to_be_bytes());
        body.extend(kind.to_be_bytes());
        body.extend(i32::try_from(path.len()).unwrap_or(i32::MAX).to_be_bytes());
        body.extend(path.as_bytes());
        // No watch.
        body.push(0);
        self.send(&body).await?;
        loop {
            let mut fields = self.receive().await?;
            let xid = fields.int()?;
            fields.long()?;
            let error = fields.int()?;
            if xid == self.xid {
                return Ok(if error == 0 { Answer::Fields(fields) } else { Answer::Error(error) });
            }
            if xid >= 0 {
                return Err("what answers there does not speak ZooKeeper's protocol".to_owned());
            }
        }
    }

    async fn close(&mut self) {
        self.xid += 1;
        let body = [self.xid.to_be_bytes(), CLOSE.to_be_bytes()].concat();
        // Without the answer some servers would log a broken connection.
        if self.send(&body).await.is_ok() {
            let _ = timeout(Duration::from_millis(500), self.receive()).await;
        }
    }

    async fn send(&mut self, body: &[u8]) -> Result<(), String> {
        let length = i32::try_from(body.len()).map_err(|_| "the request is too long".to_owned())?;
        let frame = [&length.to_be_bytes()[..], body].concat();
        let sent = async {
            self.stream.write_all(&frame).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| format!("the connection to ZooKeeper broke: {error}"))
    }

    async fn receive(&mut self) -> Result<Fields, String> {
        let broke = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                "ZooKeeper closed the connection (a server without a quorum does that)".to_owned()
            }
            _ => format!("the connection to ZooKeeper broke: {error}"),
        };
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await.map_err(broke)?;
        let length = usize::try_from(i32::from_be_bytes(length)).ok().filter(|length| *length <= LARGEST);
        let length = length.ok_or("what answers there does not speak ZooKeeper's protocol")?;
        let mut bytes = Vec::new();
        // Grows with what arrives: a length alone reserves nothing.
        (&mut self.stream).take(length as u64).read_to_end(&mut bytes).await.map_err(broke)?;
        if bytes.len() < length {
            return Err("ZooKeeper closed the connection in the middle of an answer".to_owned());
        }
        Ok(Fields { bytes, place: 0 })
    }
}

/// The fields of an answer, one after the other.
struct Fields {
    bytes: Vec<u8>,
    place: usize,
}

impl Fields {
    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self.place.checked_add(count);
        let bytes = end.and_then(|end| self.bytes.get(self.place..end)).ok_or("ZooKeeper's answer is too short")?;
        self.place += count;
        Ok(bytes)
    }

    fn skip(&mut self, count: usize) -> Result<(), String> {
        self.take(count).map(|_| ())
    }

    fn int(&mut self) -> Result<i32, String> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)).cast_signed())
    }

    fn long(&mut self) -> Result<i64, String> {
        let bytes = self.take(8)?;
        Ok(bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)).cast_signed())
    }

    /// A length and so many bytes; a length of -1 is "none".
    fn buffer(&mut self) -> Result<&[u8], String> {
        let length = self.int()?;
        self.take(usize::try_from(length).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::DuplexStream;

    fn frame(body: &[u8]) -> Vec<u8> {
        [&(body.len() as i32).to_be_bytes()[..], body].concat()
    }

    /// A server that answers each request with the next of these frames.
    fn server(answers: Vec<Vec<u8>>) -> Box<DuplexStream> {
        let (client, mut server) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            for answer in answers {
                let mut length = [0; 4];
                if server.read_exact(&mut length).await.is_err() {
                    return;
                }
                let mut body = vec![0; i32::from_be_bytes(length) as usize];
                let _ = server.read_exact(&mut body).await;
                let _ = server.write_all(&answer).await;
            }
            std::future::pending::<()>().await;
        });
        Box::new(client)
    }

    fn hello() -> Vec<u8> {
        let mut body = vec![0; 4];
        body.extend(6000_i32.to_be_bytes());
        body.extend(77_i64.to_be_bytes());
        body.extend(16_i32.to_be_bytes());
        body.extend([0; 17]);
        frame(&body)
    }

    fn reply(xid: i32, error: i32, rest: &[u8]) -> Vec<u8> {
        let mut body = xid.to_be_bytes().to_vec();
        body.extend(5_i64.to_be_bytes());
        body.extend(error.to_be_bytes());
        body.extend(rest);
        frame(&body)
    }

    fn text(text: &str) -> Vec<u8> {
        [&(text.len() as i32).to_be_bytes()[..], text.as_bytes()].concat()
    }

    #[tokio::test]
    async fn children_come_with_data_and_owner_and_vanished_ones_are_left_out() {
        let names = [&2_i32.to_be_bytes()[..], &text("info_2"), &text("info_1")].concat();
        let mut data = text("10.0.0.1:5050");
        data.extend([0; 44]);
        data.extend(99_i64.to_be_bytes());
        data.extend([0; 16]);
        let answers = vec![hello(), reply(1, 0, &names), reply(2, 0, &data), reply(3, NO_NODE, &[]), reply(4, 0, &[])];
        let found = children(server(answers), "/mesos", Duration::from_secs(5)).await.unwrap();
        assert_eq!(found, [("info_1".to_owned(), b"10.0.0.1:5050".to_vec(), 99)]);
    }

    #[tokio::test(start_paused = true)]
    async fn hostile_answers_are_errors_and_end() {
        let ask = |answers| async { children(server(answers), "/mesos", Duration::from_secs(3)).await.unwrap_err() };
        assert!(ask(vec![b"HTTP/1.1 400 Bad Request\r\n".to_vec()]).await.contains("does not speak"));
        assert!(ask(vec![hello(), reply(1, 0, &i32::MAX.to_be_bytes())]).await.contains("at most"));
        assert!(ask(vec![hello(), reply(1, 0, &9_i32.to_be_bytes())]).await.contains("too short"));
        assert!(ask(vec![hello(), reply(1, NO_NODE, &[])]).await.contains("no node /mesos"));
        assert!(ask(vec![hello(), reply(1, -102, &[])]).await.contains("authentication"));
        assert!(ask(vec![hello()]).await.contains("within 3 s"));
        assert!(ask(vec![]).await.contains("within 3 s"));
        let wrong = children(server(vec![]), "mesos", Duration::from_secs(3)).await.unwrap_err();
        assert!(wrong.contains("not a ZooKeeper path"));
    }
}
