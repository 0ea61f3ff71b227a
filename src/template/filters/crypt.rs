//! SHA-crypt: the password hashes `$5$` and `$6$` of /etc/shadow.
//!
//! After Ulrich Drepper's public specification "Unix crypt using SHA-256 and SHA-512".

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use sha2::Digest as _;

/// Which of the two.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Sha256,
    Sha512,
}

/// Rounds when none are asked for; then they aren't written into the hash.
const ROUNDS: usize = 5000;

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Sixteen characters of chance.
pub(super) fn random_salt() -> String {
    let mut salt = String::with_capacity(16);
    for _ in 0..2 {
        // The keys of a fresh RandomState come from the system's randomness.
        let mut bits = RandomState::new().build_hasher().finish();
        for _ in 0..8 {
            salt.push(char::from(ALPHABET.get((bits & 63) as usize).copied().unwrap_or(b'.')));
            bits >>= 6;
        }
    }
    salt
}

fn digest(kind: Kind, parts: &[&[u8]]) -> Vec<u8> {
    match kind {
        Kind::Sha256 => {
            let mut hasher = sha2::Sha256::new();
            parts.iter().for_each(|part| hasher.update(part));
            hasher.finalize().to_vec()
        }
        Kind::Sha512 => {
            let mut hasher = sha2::Sha512::new();
            parts.iter().for_each(|part| hasher.update(part));
            hasher.finalize().to_vec()
        }
    }
}

/// Repeats a block up to a length.
fn stretch(block: &[u8], length: usize) -> Vec<u8> {
    block.iter().copied().cycle().take(length).collect()
}

/// The hash, as it stands in /etc/shadow.
pub(super) fn hash(kind: Kind, password: &[u8], salt: &[u8], rounds: Option<usize>) -> String {
    let alternate = digest(kind, &[password, salt, password]);
    let mut first: Vec<u8> = [password, salt].concat();
    first.extend(stretch(&alternate, password.len()));
    let mut length = password.len();
    while length > 0 {
        first.extend_from_slice(if length & 1 == 1 { &alternate } else { password });
        length >>= 1;
    }
    let mut current = digest(kind, &[&first]);
    let p = stretch(&digest(kind, &[&password.repeat(password.len())]), password.len());
    let times = 16 + usize::from(current.first().copied().unwrap_or(0));
    let s = stretch(&digest(kind, &[&salt.repeat(times)]), salt.len());
    for round in 0..rounds.unwrap_or(ROUNDS) {
        let odd = round & 1 == 1;
        let mut parts: Vec<&[u8]> = vec![if odd { &p } else { &current }];
        if round % 3 != 0 {
            parts.push(&s);
        }
        if round % 7 != 0 {
            parts.push(&p);
        }
        parts.push(if odd { &current } else { &p });
        current = digest(kind, &parts);
    }
    let id = if kind == Kind::Sha512 { "6" } else { "5" };
    let rounds = rounds.filter(|rounds| *rounds != ROUNDS).map_or(String::new(), |rounds| format!("rounds={rounds}$"));
    format!("${id}${rounds}{}${}", String::from_utf8_lossy(salt), encode(kind, &current))
}

/// Base 64 of its own kind, of bytes in an order of its own.
fn encode(kind: Kind, bytes: &[u8]) -> String {
    let byte = |at: usize| u32::from(bytes.get(at).copied().unwrap_or(0));
    let mut out = String::new();
    let mut push = |a: u32, b: u32, c: u32, characters: usize| {
        let mut bits = a << 16 | b << 8 | c;
        for _ in 0..characters {
            out.push(char::from(ALPHABET.get((bits & 63) as usize).copied().unwrap_or(b'.')));
            bits >>= 6;
        }
    };
    match kind {
        Kind::Sha512 => {
            let (mut a, mut b, mut c) = (0, 21, 42);
            for _ in 0..21 {
                push(byte(a), byte(b), byte(c), 4);
                (a, b, c) = (b + 1, c + 1, a + 1);
            }
            push(0, 0, byte(63), 2);
        }
        Kind::Sha256 => {
            let (mut a, mut b, mut c) = (0, 10, 20);
            for _ in 0..10 {
                push(byte(a), byte(b), byte(c), 4);
                (a, b, c) = (c + 1, a + 1, b + 1);
            }
            push(0, byte(31), byte(30), 3);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_that_passlib_makes() {
        assert_eq!(
            hash(Kind::Sha512, b"Hello world!", b"saltstring", None),
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
        );
        assert_eq!(
            hash(Kind::Sha256, b"Hello world!", b"saltstring", None),
            "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"
        );
        assert_eq!(
            hash(Kind::Sha256, b"Hello world!", b"saltstringsaltst", Some(10000)),
            "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"
        );
    }

    #[test]
    fn salts_differ() {
        assert_eq!(random_salt().len(), 16);
        assert_ne!(random_salt(), random_salt());
    }
}
