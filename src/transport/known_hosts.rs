//! Whether a host key is the one we know: OpenSSH's known_hosts files, read by rules of our own.
//!
//! Hashed names, wildcards, negation, ports, `@revoked` and `@cert-authority` are understood; a line that can't
//! be read is passed over, as in OpenSSH, but a file that can't be read is an error: it is not "no keys".

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};
use sha1::{Digest as _, Sha1};

use super::algorithms::same_key_type;
use super::pattern;

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    Key,
    Revoked,
    Authority,
}

/// One line.
#[derive(Debug, Clone)]
struct Entry {
    marker: Marker,
    hosts: String,
    key: PublicKey,
    file: PathBuf,
    line: usize,
}

/// The lines of all files that are looked at for a host.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownHosts {
    entries: Vec<Entry>,
}

/// What is known of a key that a host showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the known one.
    Known,
    /// Nothing is known of the host.
    Unknown,
    /// The message says which other key is known, and where.
    Changed(String),
    /// The key was revoked; where.
    Revoked(String),
}

impl KnownHosts {
    /// Reads the files in order. One that doesn't exist is empty.
    ///
    /// # Errors
    /// One exists and can't be read.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, String> {
        let mut entries = Vec::new();
        for file in files {
            let bytes = match fs::read(file) {
                Ok(bytes) => bytes,
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    continue;
                }
                Err(error) => {
                    return Err(format!(
                        "cannot read the known hosts in {}: {error}. Without it no host key can be checked",
                        file.display()
                    ));
                }
            };
            let text = String::from_utf8_lossy(&bytes);
            entries.extend(text.lines().enumerate().filter_map(|(number, line)| parse(line, file, number + 1)));
        }
        Ok(Self { entries })
    }

    /// The key algorithms that are known for a host, and whether a certificate authority is.
    pub(super) fn known_algorithms(&self, name: &str) -> (Vec<Algorithm>, bool) {
        let of_host = || self.entries.iter().filter(|entry| matches_host(&entry.hosts, name));
        let keys = of_host().filter(|e| e.marker == Marker::Key).map(|e| e.key.algorithm()).collect();
        (keys, of_host().any(|e| e.marker == Marker::Authority))
    }

    /// Judges a key. `name` is the host's name as known_hosts has it ([`lookup_name`]).
    pub(super) fn check(&self, name: &str, key: &PublicKey) -> Verdict {
        let of_host: Vec<&Entry> = self.entries.iter().filter(|entry| matches_host(&entry.hosts, name)).collect();
        let same = |entry: &&&Entry| entry.key.key_data() == key.key_data();
        if let Some(entry) = of_host.iter().filter(|e| e.marker == Marker::Revoked).find(same) {
            return Verdict::Revoked(place(entry));
        }
        let keys: Vec<&&Entry> = of_host.iter().filter(|e| e.marker == Marker::Key).collect();
        if keys.iter().any(|entry| entry.key.key_data() == key.key_data()) {
            return Verdict::Known;
        }
        // A key of another kind than the known ones counts as changed, too: the known kinds were asked for first.
        let nearest = keys.iter().find(|e| same_key_type(&e.key.algorithm(), &key.algorithm())).or(keys.first());
        match nearest {
            Some(entry) => Verdict::Changed(format!(
                "  known: {} {} ({})\n  shown: {} {}",
                entry.key.algorithm(),
                entry.key.fingerprint(HashAlg::Sha256),
                place(entry),
                key.algorithm(),
                key.fingerprint(HashAlg::Sha256)
            )),
            None => Verdict::Unknown,
        }
    }

    /// Judges a host certificate: signed by a known authority, for this host, now.
    ///
    /// # Errors
    /// Why it is not trusted.
    pub(super) fn check_certificate(
        &self,
        name: &str,
        host: &str,
        certificate: &Certificate,
        now: u64,
    ) -> Result<(), String> {
        let of_host: Vec<&Entry> = self.entries.iter().filter(|entry| matches_host(&entry.hosts, name)).collect();
        for key in [certificate.signature_key(), certificate.public_key()] {
            if let Some(entry) = of_host.iter().find(|e| e.marker == Marker::Revoked && e.key.key_data() == key) {
                return Err(format!("its certificate's key was revoked ({})", place(entry)));
            }
        }
        let authorities: Vec<_> = of_host
            .iter()
            .filter(|e| e.marker == Marker::Authority)
            .map(|e| e.key.fingerprint(HashAlg::Sha256))
            .collect();
        if authorities.is_empty() {
            return Err("no certificate authority is known for it".to_owned());
        }
        if !certificate.cert_type().is_host() {
            return Err("it showed a user certificate in place of a host certificate".to_owned());
        }
        let principals = certificate.valid_principals();
        if !principals.is_empty() && !principals.iter().any(|p| pattern::matches(&p.to_lowercase(), host)) {
            return Err(format!("its certificate is for {}, not for {host}", principals.join(", ")));
        }
        certificate
            .validate_at(now, authorities.iter())
            .map_err(|_| "its certificate is expired, not valid yet, or not signed by a known authority".to_owned())
    }
}

/// The name under which a host is looked up: its alias, or its lower-case name, with the port when it isn't 22.
pub(super) fn lookup_name(alias: Option<&str>, host: &str, port: u16) -> String {
    match alias {
        Some(alias) => alias.to_lowercase(),
        None if port == 22 => host.to_lowercase(),
        None => format!("[{}]:{port}", host.to_lowercase()),
    }
}

/// Adds a key to a file, creating it (0600, its folder 0700) when there is none.
///
/// The file is replaced by a renamed copy, so that it is never half-written; what isn't a regular file (`/dev/null`) is left alone.
///
/// # Errors
/// The folder or the file can't be written.
pub(super) fn add(file: &Path, name: &str, key: &PublicKey) -> Result<(), String> {
    let wrong = |error: io::Error| format!("cannot add the new host key to {}: {error}", file.display());
    let encoded = key.to_openssh().map_err(|error| format!("cannot write the host key: {error}"))?;
    // The key's comment is the server's; only kind and key are written.
    let words: Vec<&str> = encoded.split(' ').take(2).collect();
    let line = format!("{name} {}\n", words.join(" "));
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let (mut text, mode) = match fs::metadata(&target) {
        Ok(meta) if !meta.is_file() => return Ok(()),
        Ok(meta) => (fs::read(&target).map_err(wrong)?, meta.permissions().mode() & 0o777),
        Err(_) => (Vec::new(), 0o600),
    };
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        fs::create_dir_all(folder).map_err(wrong)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(wrong)?;
    }
    // Two runs that add a key at the same time take turns, so that neither line is lost.
    let lock = fs::OpenOptions::new().read(true).custom_flags(0).open(folder).map_err(wrong)?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).map_err(|e| wrong(e.into()))?;
    if let Ok(now) = fs::read(&target) {
        text = now;
    }
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.extend_from_slice(line.as_bytes());
    let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(wrong)?;
    temporary.write_all(&text).map_err(wrong)?;
    temporary.as_file().set_permissions(fs::Permissions::from_mode(mode)).map_err(wrong)?;
    temporary.as_file().sync_all().map_err(wrong)?;
    temporary.persist(&target).map_err(|error| wrong(error.error))?;
    Ok(())
}

fn place(entry: &Entry) -> String {
    format!("{}:{}", entry.file.display(), entry.line)
}

fn parse(line: &str, file: &Path, number: usize) -> Option<Entry> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let mut words = line.split_ascii_whitespace();
    let first = words.next()?;
    let (marker, hosts) = match first {
        "@revoked" => (Marker::Revoked, words.next()?),
        "@cert-authority" => (Marker::Authority, words.next()?),
        other if other.starts_with('@') => return None,
        hosts => (Marker::Key, hosts),
    };
    let key = PublicKey::from_openssh(&format!("{} {}", words.next()?, words.next()?)).ok()?;
    Some(Entry { marker, hosts: hosts.to_owned(), key, file: file.to_owned(), line: number })
}

fn matches_host(hosts: &str, name: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        let Some((salt, hash)) = hashed.split_once('|') else { return false };
        let (Ok(salt), Ok(hash)) = (BASE64.decode(salt), BASE64.decode(hash)) else { return false };
        return hmac_sha1(&salt, name.as_bytes()) == hash;
    }
    let lower = hosts.to_lowercase();
    pattern::matches_list(lower.split(','), name)
}

/// RFC 2104 with SHA-1, which hashed host names use.
fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 64;
    let mut block = [0_u8; BLOCK];
    let short;
    let key = if key.len() > BLOCK {
        short = Sha1::digest(key);
        short.as_slice()
    } else {
        key
    };
    for (place, byte) in block.iter_mut().zip(key) {
        *place = *byte;
    }
    let inner = Sha1::new().chain_update(block.map(|b| b ^ 0x36)).chain_update(message).finalize();
    Sha1::new().chain_update(block.map(|b| b ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqt";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn hosts(text: &str) -> (tempfile::TempDir, KnownHosts) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        fs::write(&file, text).unwrap();
        let known = KnownHosts::read(&[file]).unwrap();
        (folder, known)
    }

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    #[test]
    fn a_known_key_is_known_under_its_name_and_port_only() {
        let (_folder, known) = hosts(&format!("# c\n\nweb1,10.0.0.1 {ONE} comment\n[db]:2222\t{TWO}\nbroken line\n"));
        assert_eq!(known.check("web1", &key(ONE)), Verdict::Known);
        assert_eq!(known.check("10.0.0.1", &key(ONE)), Verdict::Known);
        assert_eq!(known.check("[db]:2222", &key(TWO)), Verdict::Known);
        assert_eq!(known.check("db", &key(TWO)), Verdict::Unknown);
        assert_eq!(known.check("web2", &key(ONE)), Verdict::Unknown);
    }

    #[test]
    fn a_changed_key_names_both_fingerprints_and_the_line() {
        let (_folder, known) = hosts(&format!("# first\nweb1 {ONE}\n"));
        let Verdict::Changed(text) = known.check("web1", &key(TWO)) else { panic!("it is changed") };
        assert!(text.contains("known_hosts:2"), "{text}");
        assert_eq!(text.matches("SHA256:").count(), 2, "{text}");
    }

    #[test]
    fn wildcards_negation_and_revocation_are_obeyed() {
        let (_folder, known) = hosts(&format!("*.example.org,!bad.example.org {ONE}\n@revoked * {TWO}\n"));
        assert_eq!(known.check("a.example.org", &key(ONE)), Verdict::Known);
        assert_eq!(known.check("bad.example.org", &key(ONE)), Verdict::Unknown);
        assert!(matches!(known.check("anything", &key(TWO)), Verdict::Revoked(_)));
    }

    #[test]
    fn hashed_names_are_found() {
        // HMAC-SHA1 vector of RFC 2202, test case 2.
        let expected = BASE64.decode("7/zfauXrL6LSdBbV8YTfnCWafHk=").unwrap();
        assert_eq!(hmac_sha1(b"Jefe", b"what do ya want for nothing?"), expected);
        let salt = [7_u8; 20];
        let hash = BASE64.encode(hmac_sha1(&salt, b"[web1]:2222"));
        let (_folder, known) = hosts(&format!("|1|{}|{hash} {ONE}\n", BASE64.encode(salt)));
        assert_eq!(known.check("[web1]:2222", &key(ONE)), Verdict::Known);
        assert_eq!(known.check("web1", &key(ONE)), Verdict::Unknown);
    }

    #[test]
    fn a_new_key_is_added_to_a_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sub/known_hosts");
        add(&file, "web1", &key(ONE)).unwrap();
        add(&file, "[web2]:22022", &key(TWO)).unwrap();
        let known = KnownHosts::read(&[file]).unwrap();
        assert_eq!(known.check("web1", &key(ONE)), Verdict::Known);
        assert_eq!(known.check("[web2]:22022", &key(TWO)), Verdict::Known);
        add(Path::new("/dev/null"), "web1", &key(ONE)).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn an_unreadable_file_is_an_error_and_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(KnownHosts::read(&[folder.path().to_owned()]).unwrap_err().contains("cannot read"));
    }
}
