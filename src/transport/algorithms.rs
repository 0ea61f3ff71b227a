//! Which algorithms are offered, and the lists of ssh_config that change it: `a,b`, `+a`, `-a`, `^a`.
//!
//! What old servers need (SHA-1, CBC) is known and off: it is switched on for a host by the words of ssh_config.

use std::borrow::Cow;

use russh::keys::{Algorithm, HashAlg};
use russh::{Preferred, cipher, kex, mac};

use super::pattern;

/// A list in the making: names in order of preference.
type Names = Vec<String>;

const KEX: &[(&str, kex::Name)] = &[
    ("mlkem768x25519-sha256", kex::MLKEM768X25519_SHA256),
    ("curve25519-sha256", kex::CURVE25519),
    ("curve25519-sha256@libssh.org", kex::CURVE25519_PRE_RFC_8731),
    ("ecdh-sha2-nistp256", kex::ECDH_SHA2_NISTP256),
    ("ecdh-sha2-nistp384", kex::ECDH_SHA2_NISTP384),
    ("ecdh-sha2-nistp521", kex::ECDH_SHA2_NISTP521),
    ("diffie-hellman-group-exchange-sha256", kex::DH_GEX_SHA256),
    ("diffie-hellman-group16-sha512", kex::DH_G16_SHA512),
    ("diffie-hellman-group18-sha512", kex::DH_G18_SHA512),
    ("diffie-hellman-group14-sha256", kex::DH_G14_SHA256),
    ("diffie-hellman-group15-sha512", kex::DH_G15_SHA512),
    ("diffie-hellman-group17-sha512", kex::DH_G17_SHA512),
    ("diffie-hellman-group14-sha1", kex::DH_G14_SHA1),
    ("diffie-hellman-group-exchange-sha1", kex::DH_GEX_SHA1),
    ("diffie-hellman-group1-sha1", kex::DH_G1_SHA1),
];

/// How many of the key exchanges above are on by default: those before the first with SHA-1.
const KEX_ON: usize = 12;

const CIPHERS: &[(&str, cipher::Name)] = &[
    ("aes128-gcm@openssh.com", cipher::AES_128_GCM),
    ("aes256-gcm@openssh.com", cipher::AES_256_GCM),
    ("chacha20-poly1305@openssh.com", cipher::CHACHA20_POLY1305),
    ("aes256-ctr", cipher::AES_256_CTR),
    ("aes192-ctr", cipher::AES_192_CTR),
    ("aes128-ctr", cipher::AES_128_CTR),
    ("aes256-cbc", cipher::AES_256_CBC),
    ("aes192-cbc", cipher::AES_192_CBC),
    ("aes128-cbc", cipher::AES_128_CBC),
];

/// How many of the ciphers above are on by default: CBC is not.
const CIPHERS_ON: usize = 6;

const MACS: &[(&str, mac::Name)] = &[
    ("hmac-sha2-256-etm@openssh.com", mac::HMAC_SHA256_ETM),
    ("hmac-sha2-512-etm@openssh.com", mac::HMAC_SHA512_ETM),
    ("hmac-sha2-256", mac::HMAC_SHA256),
    ("hmac-sha2-512", mac::HMAC_SHA512),
    ("hmac-sha1-etm@openssh.com", mac::HMAC_SHA1_ETM),
    ("hmac-sha1", mac::HMAC_SHA1),
];

/// How many of the MACs above are on by default.
const MACS_ON: usize = 4;

/// Host and user key algorithms; the last, SHA-1, is off by default.
const KEYS: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
];

const KEYS_ON: usize = 6;

/// What ends a certificate's algorithm name.
const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// The lists as ssh_config has them; `None` is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lists {
    /// `KexAlgorithms`.
    pub(super) kex: Option<String>,
    /// `Ciphers`.
    pub(super) ciphers: Option<String>,
    /// `MACs`.
    pub(super) macs: Option<String>,
    /// `HostKeyAlgorithms`.
    pub(super) host_keys: Option<String>,
    /// `PubkeyAcceptedAlgorithms`.
    pub(super) user_keys: Option<String>,
}

/// Works out what is offered to a host.
///
/// `known` are the key algorithms that known_hosts has for it: they come first, so that a server with several
/// keys shows the known one. `authorities` says that a certificate authority is known for it.
///
/// # Errors
/// A list of which nothing is left.
pub(super) fn preferred(lists: &Lists, known: &[Algorithm], authorities: bool) -> Result<Preferred, String> {
    let kex = choose("KexAlgorithms", lists.kex.as_deref(), KEX, KEX_ON, &default_names(KEX, KEX_ON))?;
    let mut kex: Vec<kex::Name> = kex;
    kex.extend([kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT]);
    let cipher = choose("Ciphers", lists.ciphers.as_deref(), CIPHERS, CIPHERS_ON, &cipher_names())?;
    let mac = choose("MACs", lists.macs.as_deref(), MACS, MACS_ON, &default_names(MACS, MACS_ON))?;
    let keys = key_names("HostKeyAlgorithms", lists.host_keys.as_deref())?;
    let mut key: Vec<Algorithm> = keys.iter().filter_map(|name| Algorithm::new(name).ok()).collect();
    if lists.host_keys.is_none() {
        // Stable: within known and unknown the order of preference stays.
        key.sort_by_key(|algorithm| !known.iter().any(|k| same_key_type(k, algorithm)));
    }
    let certificates = if authorities { key.clone() } else { Vec::new() };
    Ok(Preferred {
        kex: Cow::Owned(kex),
        key: Cow::Owned(key),
        host_key_certificates: Cow::Owned(certificates),
        cipher: Cow::Owned(cipher),
        mac: Cow::Owned(mac),
        compression: Preferred::DEFAULT.compression,
    })
}

/// Whether two algorithms use the same kind of key: RSA keys have several signature algorithms.
pub(super) fn same_key_type(a: &Algorithm, b: &Algorithm) -> bool {
    matches!((a, b), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. })) || a == b
}

/// What user keys may sign with: names of [`KEYS`].
///
/// # Errors
/// Nothing is left of the list.
pub(super) fn user_keys(lists: &Lists) -> Result<Names, String> {
    key_names("PubkeyAcceptedAlgorithms", lists.user_keys.as_deref())
}

/// Hash algorithms for an RSA user key, in order; `offered` is what the server says it takes (`None`: it says nothing).
pub(super) fn rsa_hashes(accepted: &[String], offered: Option<Option<HashAlg>>) -> Vec<Option<HashAlg>> {
    let allowed = |name: &str| accepted.iter().any(|a| a == name);
    let mut hashes = Vec::new();
    if let Some(best) = offered {
        let name = match best {
            Some(HashAlg::Sha512) => "rsa-sha2-512",
            Some(_) => "rsa-sha2-256",
            None => "ssh-rsa",
        };
        if allowed(name) {
            hashes.push(best);
            return hashes;
        }
    }
    // A server older than RFC 8308 says nothing: it knows ssh-rsa for sure and the others perhaps.
    if allowed("ssh-rsa") && offered.is_none() {
        hashes.push(None);
    }
    if allowed("rsa-sha2-512") && offered.is_none() {
        hashes.push(Some(HashAlg::Sha512));
    }
    if allowed("rsa-sha2-256") {
        hashes.push(Some(HashAlg::Sha256));
    }
    hashes
}

/// Whether a key of this kind may be used.
pub(super) fn key_allowed(accepted: &[String], algorithm: &Algorithm) -> bool {
    match algorithm {
        Algorithm::Rsa { .. } => accepted.iter().any(|a| a.contains("rsa")),
        other => accepted.iter().any(|a| a == other.as_str()),
    }
}

/// The message of a failed negotiation: both lists, and the line that would help.
pub(super) fn no_common(address: &str, kind: &str, ours: &[String], theirs: &[String]) -> String {
    let (keyword, what, able): (&str, &str, Names) = match kind {
        "Kex" => ("KexAlgorithms", "key exchange", default_names(KEX, KEX.len())),
        "Key" => ("HostKeyAlgorithms", "host key", KEYS.iter().map(|k| (*k).to_owned()).collect()),
        "Cipher" => ("Ciphers", "cipher", default_names(CIPHERS, CIPHERS.len())),
        "Mac" => ("MACs", "message authentication", default_names(MACS, MACS.len())),
        _ => ("Compression", "compression", Vec::new()),
    };
    let extension = |name: &&String| !name.starts_with("ext-info") && !name.starts_with("kex-strict");
    let shown = |names: &[String]| names.iter().filter(extension).map(String::as_str).collect::<Vec<_>>().join(",");
    let mut message = format!(
        "{address} and we have no common {what} algorithm\n  offered by it: {}\n  offered by us: {}",
        shown(theirs),
        shown(ours)
    );
    match theirs.iter().find(|name| able.contains(name)) {
        Some(name) => {
            let also = if keyword == "HostKeyAlgorithms" && name == "ssh-rsa" {
                " (and for an RSA key of yours `PubkeyAcceptedAlgorithms +ssh-rsa`)"
            } else {
                ""
            };
            message.push_str(&format_args!("\n  to allow it for this host, add to its part of ~/.ssh/config: {keyword} +{name}{also}\n  or to its variables: ansible_ssh_common_args: '-o {keyword}=+{name}'").to_string());
        }
        None => message.push_str("\n  none of its algorithms is supported here: its sshd must be changed"),
    }
    message
}

fn default_names<T>(table: &[(&str, T)], on: usize) -> Names {
    table.iter().take(on).map(|(name, _)| (*name).to_owned()).collect()
}

/// AES in hardware is several times faster than ChaCha20; without it, it's the other way round.
fn cipher_names() -> Names {
    let mut names = default_names(CIPHERS, CIPHERS_ON);
    if !has_aes() {
        names.sort_by_key(|name| !name.starts_with("chacha20"));
    }
    names
}

#[cfg(target_arch = "x86_64")]
fn has_aes() -> bool {
    std::arch::is_x86_feature_detected!("aes")
}

#[cfg(target_arch = "aarch64")]
fn has_aes() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn has_aes() -> bool {
    false
}

fn choose<T: Copy>(
    keyword: &str,
    list: Option<&str>,
    table: &[(&str, T)],
    on: usize,
    default: &[String],
) -> Result<Vec<T>, String> {
    let all = default_names(table, table.len());
    debug_assert!(on <= all.len());
    let names = apply(keyword, list, default, &all)?;
    Ok(names.iter().filter_map(|n| table.iter().find(|(name, _)| name == n).map(|(_, value)| *value)).collect())
}

fn key_names(keyword: &str, list: Option<&str>) -> Result<Names, String> {
    let all: Names = KEYS.iter().map(|name| (*name).to_owned()).collect();
    let default: Names = all.iter().take(KEYS_ON).cloned().collect();
    apply(keyword, list, &default, &all)
}

/// Applies a list of ssh_config to the default. Names that aren't supported here are left out.
fn apply(keyword: &str, list: Option<&str>, default: &[String], all: &[String]) -> Result<Names, String> {
    let Some(list) = list.map(str::trim) else {
        return Ok(default.to_vec());
    };
    let (sign, rest) = match list.chars().next() {
        Some(sign @ ('+' | '-' | '^')) => (sign, list.get(1..).unwrap_or("")),
        _ => ('=', list),
    };
    let wanted: Vec<&str> = rest.split(',').map(str::trim).map(|n| n.strip_suffix(CERTIFICATE).unwrap_or(n)).collect();
    // In the written order, patterns expanded in the order of the table.
    let mut named: Names = Vec::new();
    for pattern in &wanted {
        for name in all.iter().filter(|name| pattern::matches(pattern, name)) {
            if !named.contains(name) {
                named.push(name.clone());
            }
        }
    }
    let names: Names = match sign {
        '+' => default.iter().chain(named.iter().filter(|n| !default.contains(n))).cloned().collect(),
        '-' => default.iter().filter(|n| !named.contains(n)).cloned().collect(),
        '^' => named.iter().chain(default.iter().filter(|n| !named.contains(n))).cloned().collect(),
        _ => named,
    };
    if names.is_empty() {
        return Err(format!("{keyword} {list}: nothing of this list is supported here; we know {}", all.join(",")));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Names {
        key_names("HostKeyAlgorithms", Some(list)).unwrap()
    }

    #[test]
    fn lists_add_remove_and_come_first_as_in_ssh_config() {
        assert_eq!(names("+ssh-rsa").last().unwrap(), "ssh-rsa");
        assert!(!names("-ssh-ed25519").contains(&"ssh-ed25519".to_owned()));
        assert_eq!(names("^rsa-sha2-256").first().unwrap(), "rsa-sha2-256");
        assert_eq!(names("ssh-rsa,ssh-dss"), ["ssh-rsa"]);
        assert_eq!(names("-ecdsa-*").len(), 3);
        assert!(key_names("HostKeyAlgorithms", Some("ssh-dss")).unwrap_err().contains("ssh-dss"));
    }

    #[test]
    fn old_algorithms_are_off_until_asked_for() {
        let off = preferred(&Lists::default(), &[], false).unwrap();
        let sha1 = |p: &Preferred| p.kex.iter().any(|k| k.as_ref().ends_with("sha1"));
        assert!(!sha1(&off));
        assert!(!off.cipher.iter().any(|c| c.as_ref().ends_with("cbc")));
        let lists = Lists { kex: Some("+diffie-hellman-group14-sha1".to_owned()), ..Lists::default() };
        assert!(sha1(&preferred(&lists, &[], false).unwrap()));
    }

    #[test]
    fn known_key_types_come_first() {
        let known = [Algorithm::Rsa { hash: None }];
        let preferred = preferred(&Lists::default(), &known, false).unwrap();
        assert!(matches!(preferred.key.first(), Some(Algorithm::Rsa { hash: Some(HashAlg::Sha512) })));
    }

    #[test]
    fn a_failed_negotiation_names_the_line_to_add() {
        let theirs = ["diffie-hellman-group14-sha1".to_owned()];
        let message = no_common("10.0.0.1:22", "Kex", &["curve25519-sha256".to_owned()], &theirs);
        assert!(message.contains("KexAlgorithms +diffie-hellman-group14-sha1"), "{message}");
        assert!(message.contains("offered by us: curve25519-sha256"), "{message}");
    }
}
