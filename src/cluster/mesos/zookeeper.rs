//! What Mesos keeps in `ZooKeeper`: the URL that names it, and the znodes of the masters in each era's form.

use serde_json::Value;

/// `zk://user:password@host:port,host:port/path`, without the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ZkUrl {
    /// `host:port` each.
    pub(crate) servers: Vec<String>,
    /// The node below which masters register; never `/`.
    pub(crate) path: String,
}

impl ZkUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// It isn't one that the daemons take; credentials never show in the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let shown = || mask_urls(text).chars().take(200).collect::<String>();
        let rest = text
            .trim()
            .strip_prefix("zk://")
            .ok_or_else(|| format!("`{}` is no ZooKeeper URL: write zk://host:port,host:port/path", shown()))?;
        let (authority, path) = rest.split_once('/').map_or((rest, ""), |(a, p)| (a, p));
        let path = format!("/{}", path.trim_end_matches('/'));
        if path == "/" {
            return Err(format!(
                "`{}` has no path: the daemons abort without one (ZooKeeper's root is not supported); write zk://…/mesos",
                shown()
            ));
        }
        let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
        let server = |host: &str| {
            let (name, port) = host.rsplit_once(':').unwrap_or((host, "2181"));
            let right = !name.is_empty() && port.parse::<u16>().is_ok();
            right.then(|| format!("{name}:{port}"))
        };
        let servers: Option<Vec<String>> = hosts.split(',').map(|host| server(host.trim())).collect();
        let servers = servers.ok_or_else(|| format!("`{}` has a server that is not host:port", shown()))?;
        Ok(Self { servers, path })
    }
}

/// Stars in place of `user:password` in every URL of a text.
pub(crate) fn mask_urls(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        masked.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '`')).unwrap_or(after.len());
        let (authority, remainder) = after.split_at(end);
        match authority.rfind('@') {
            Some(sign) => {
                masked.push_str("********");
                masked.push_str(&authority[sign..]);
            }
            None => masked.push_str(authority),
        }
        rest = remainder;
    }
    masked.push_str(rest);
    masked
}

/// A master's znode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MasterZnode {
    /// Its name below the path.
    pub(crate) name: String,
    /// Its number: the lowest leads.
    pub(crate) sequence: u64,
    /// `master@ip:port`; `None` when the data can't be read.
    pub(crate) pid: Option<String>,
}

/// The masters' znodes among a node's children, the leader's first. Other children (`log_replicas`) are left out, as the
/// daemons do.
pub(crate) fn parse_znodes<'a>(children: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<MasterZnode> {
    let mut found: Vec<MasterZnode> = children
        .into_iter()
        .filter_map(|(name, data)| {
            let era = |prefix: &str| name.strip_prefix(prefix);
            let (digits, pid) = match (era("json.info_"), era("info_")) {
                (Some(digits), _) => (digits, json_pid(data)),
                (None, Some(digits)) => (digits, protobuf_pid(data)),
                (None, None) => (name, text_pid(data)),
            };
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            Some(MasterZnode { name: name.to_owned(), sequence: digits.parse().ok()?, pid })
        })
        .collect();
    found.sort_by_key(|znode| znode.sequence);
    found
}

/// A libprocess pid, if the text is one: `name@ip:port`.
pub(super) fn pid(text: &str) -> Option<String> {
    let (name, address) = text.split_once('@')?;
    let (ip, port) = address.rsplit_once(':')?;
    let plain = |c: char| c.is_ascii_graphic();
    (text.len() <= 300 && !name.is_empty() && !ip.is_empty() && port.parse::<u16>().is_ok() && text.chars().all(plain))
        .then(|| text.to_owned())
}

fn text_pid(data: &[u8]) -> Option<String> {
    pid(std::str::from_utf8(data).ok()?.trim())
}

/// `MasterInfo` as JSON (0.24 and later).
fn json_pid(data: &[u8]) -> Option<String> {
    let info: Value = serde_json::from_slice(data).ok()?;
    pid(info.get("pid")?.as_str()?)
}

/// `MasterInfo` as a protobuf (0.17 to 0.23): id = 1, ip = 2, port = 3, pid = 4.
fn protobuf_pid(data: &[u8]) -> Option<String> {
    let mut rest = data;
    let varint = |rest: &mut &[u8]| -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (first, after) = rest.split_first()?;
            *rest = after;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    };
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let skip = match key & 7 {
            0 => {
                varint(&mut rest)?;
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut rest)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let field = rest.get(..skip)?;
        if key >> 3 == 4 && key & 7 == 2 {
            return pid(std::str::from_utf8(field).ok()?);
        }
        rest = rest.get(skip..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_refused_as_the_daemons_do() {
        let url = ZkUrl::parse("zk://u:p@h1:2181,h2/mesos").expect("a URL");
        assert_eq!(url, ZkUrl { servers: vec!["h1:2181".into(), "h2:2181".into()], path: "/mesos".into() });
        for wrong in ["zk://h:2181/", "zk://h:2181", "h:2181/mesos", "zk:///mesos", "zk://h:x/mesos", ""] {
            assert!(ZkUrl::parse(wrong).is_err(), "{wrong}");
        }
        let error = ZkUrl::parse("zk://admin:s3cret@h:2181/").expect_err("no path");
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn credentials_in_urls_become_stars() {
        assert_eq!(
            mask_urls("ZK=zk://u:p@h:1/m\n--master=zk://a:b@c/d e"),
            "ZK=zk://********@h:1/m\n--master=zk://********@c/d e"
        );
        assert_eq!(mask_urls("zk://h:1/m"), "zk://h:1/m");
        assert_eq!(mask_urls("zk://u:p@w@h/m"), "zk://********@h/m");
    }

    #[test]
    fn znodes_of_every_era_are_read_and_the_lowest_leads() {
        let mut protobuf = vec![0x0a, 2, b'i', b'd', 0x10, 0x85, 0x01, 0x18, 0xba, 0x27, 0x22, 20];
        protobuf.extend(b"master@127.0.0.2:5050");
        protobuf[11] = 21;
        let json = br#"{"address":{"port":5050},"pid":"master@127.0.0.3:5050","version":"0.24.0"}"#;
        let found = parse_znodes([
            ("0000000016", b"master@127.0.0.1:5050".as_slice()),
            ("info_0000000015", protobuf.as_slice()),
            ("json.info_0000000017", json.as_slice()),
            ("log_replicas", b"".as_slice()),
            ("lock-1", b"x".as_slice()),
        ]);
        let pids: Vec<_> = found.iter().filter_map(|z| z.pid.as_deref()).collect();
        assert_eq!(pids, ["master@127.0.0.2:5050", "master@127.0.0.1:5050", "master@127.0.0.3:5050"]);
    }

    #[test]
    fn garbage_in_a_znode_is_no_pid_and_no_panic() {
        for data in
            [&b""[..], b"\xff\xff\xff", b"master@", b"\x22\xff\xff\xff\xff\x0f", b"{", b"master@h:99999", b"\x00"]
        {
            for name in ["0000000001", "info_0000000001", "json.info_0000000001"] {
                assert_eq!(parse_znodes([(name, data)]).first().map(|z| z.pid.clone()), Some(None), "{name} {data:?}");
            }
        }
        assert!(parse_znodes([("99999999999999999999999", b"x".as_slice())]).is_empty());
    }
}
