//! What is in a tar archive: names, sizes and times, read from its headers (ustar, GNU's long names, pax).

use std::io::Read;

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to this.
    Link(String),
    /// Another name of this member.
    Hard(String),
}

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its name as written, without `/` at its end.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: Kind,
    /// Bytes.
    pub(crate) size: u64,
    /// Seconds since 1970.
    pub(crate) mtime: u64,
}

/// Longest name that a long-name header may carry (bytes); a longer one is an attack or an accident.
const LONGEST: u64 = 1 << 20;

/// Reads all headers.
///
/// # Errors
/// It is no tar archive, is cut, or holds what can't be stored by name (a device).
pub(super) fn list(archive: &mut dyn Read) -> Result<Vec<Member>, String> {
    let mut members = Vec::new();
    let (mut long_name, mut long_link, mut pax_size) = (None, None, None);
    let mut header = [0_u8; 512];
    loop {
        match archive.read_exact(&mut header) {
            Ok(()) => {}
            // Some writers leave the two empty blocks at the end out.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && !members.is_empty() => {
                return Ok(members);
            }
            Err(error) => return Err(format!("the archive can't be read: {error}")),
        }
        if header.iter().all(|byte| *byte == 0) {
            return Ok(members);
        }
        if !checksum_is_right(&header) {
            return Err("this is no tar archive, or it is damaged (a header's checksum is wrong)".to_owned());
        }
        let size: u64 = pax_size.take().unwrap_or(number(&header[124..136])?);
        let kind = header[156];
        if matches!(kind, b'L' | b'K' | b'x' | b'g') {
            let body = body(archive, number(&header[124..136])?)?;
            match kind {
                b'L' => long_name = Some(text(&body)),
                b'K' => long_link = Some(text(&body)),
                b'x' => {
                    for (key, value) in pax(&body) {
                        match key.as_str() {
                            "path" => long_name = Some(value),
                            "linkpath" => long_link = Some(value),
                            "size" => pax_size = value.parse().ok(),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
            continue;
        }
        let name = long_name.take().unwrap_or_else(|| ustar_name(&header));
        let link = long_link.take().unwrap_or_else(|| text(&header[157..257]));
        let (kind, size) = match kind {
            b'0' | 0 | b'7' if name.ends_with('/') => (Kind::Directory, 0),
            b'0' | 0 | b'7' => (Kind::File, size),
            b'1' => (Kind::Hard(clean(&link)), 0),
            b'2' => (Kind::Link(link), 0),
            b'5' => (Kind::Directory, 0),
            other => {
                return Err(format!("`{name}` is neither file, directory nor link (type `{}`)", char::from(other)));
            }
        };
        skip(archive, size.div_ceil(512) * 512)?;
        members.push(Member { name: clean(&name), kind, size, mtime: number(&header[136..148])? });
    }
}

/// A name without `/` at its end.
fn clean(name: &str) -> String {
    name.trim_end_matches('/').to_owned()
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn ustar_name(header: &[u8; 512]) -> String {
    let prefix =
        if &header[257..262] == b"ustar" && header[262] == 0 { text(&header[345..500]) } else { String::new() };
    let name = text(&header[..100]);
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

/// Octal digits, or a number in binary when the first bit is set.
fn number(field: &[u8]) -> Result<u64, String> {
    if field.first().is_some_and(|byte| byte & 0x80 != 0) {
        return Ok(field.iter().skip(4).fold(0, |total: u64, byte| (total << 8) | u64::from(*byte)));
    }
    let digits = text(field);
    let digits = digits.trim();
    if digits.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(digits, 8).map_err(|_| "a number in the archive can't be read".to_owned())
}

fn checksum_is_right(header: &[u8; 512]) -> bool {
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(place, byte)| if (148..156).contains(&place) { 32 } else { u64::from(*byte) })
        .sum();
    number(&header[148..156]) == Ok(sum)
}

fn body(archive: &mut dyn Read, size: u64) -> Result<Vec<u8>, String> {
    if size > LONGEST {
        return Err("a name in the archive is too long".to_owned());
    }
    let mut bytes = Vec::new();
    archive.take(size).read_to_end(&mut bytes).map_err(|error| format!("the archive can't be read: {error}"))?;
    skip(archive, size.div_ceil(512) * 512 - size)?;
    Ok(bytes)
}

fn skip(archive: &mut dyn Read, size: u64) -> Result<(), String> {
    let copied = std::io::copy(&mut archive.take(size), &mut std::io::sink());
    match copied {
        Ok(done) if done == size => Ok(()),
        Ok(_) => Err("the archive is cut".to_owned()),
        Err(error) => Err(format!("the archive can't be read: {error}")),
    }
}

/// `12 key=value\n`, each with its own length.
fn pax(body: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = body;
    while let Some(space) = rest.iter().position(|byte| *byte == b' ') {
        let length: usize = String::from_utf8_lossy(&rest[..space]).parse().unwrap_or(0);
        let Some(record) = rest.get(space + 1..length.saturating_sub(1)) else { break };
        let record = String::from_utf8_lossy(record);
        if let Some((key, value)) = record.split_once('=') {
            found.push((key.to_owned(), value.to_owned()));
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    found
}
