//! Keys from passwords, and bytes encrypted with them.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{hmac, pbkdf2};
use zeroize::Zeroizing;

use super::verdict;
use crate::base::Locked;

/// Rounds of PBKDF2: part of the format.
const ROUNDS: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");

/// Bytes in an AES block.
const BLOCK: usize = 16;

/// Bytes of a salt that is drawn.
const SALT: usize = 32;

/// Bytes of an HMAC-SHA256.
pub(super) const DIGEST: usize = 32;

/// A vault password: bytes, not necessarily text. Debug does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// A password; `None` when it is empty: Ansible refuses those, too.
    pub(crate) fn new(bytes: Vec<u8>) -> Option<Self> {
        let bytes = Zeroizing::new(bytes);
        (!bytes.is_empty()).then_some(Self(bytes))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(********)")
    }
}

/// What an envelope holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body {
    /// What makes the keys of two texts with one password differ.
    pub(super) salt: Vec<u8>,
    /// HMAC-SHA256 of `encrypted`.
    pub(super) digest: [u8; DIGEST],
    /// Whole blocks.
    pub(super) encrypted: Vec<u8>,
}

/// Why a password does not open a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It makes nothing of it: most likely it is the wrong one.
    Wrong,
    /// It makes a text of it that ends too early.
    CutShort,
    /// It makes a text of it, and some of that was changed.
    Changed,
}

struct Keys {
    cipher: Zeroizing<[u8; 32]>,
    hmac: hmac::Key,
    counter: Zeroizing<[u8; BLOCK]>,
}

fn keys(password: &Password, salt: &[u8]) -> Keys {
    let mut material = Zeroizing::new([0u8; 80]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt, &password.0, &mut *material);
    let (mut cipher, mut counter) = (Zeroizing::new([0u8; 32]), Zeroizing::new([0u8; BLOCK]));
    let (first, rest) = material.split_at(32);
    let (second, third) = rest.split_at(32);
    cipher.copy_from_slice(first);
    counter.copy_from_slice(third);
    Keys { cipher, hmac: hmac::Key::new(hmac::HMAC_SHA256, second), counter }
}

fn broken(_: aws_lc_rs::error::Unspecified) -> Locked {
    Locked::new("the machine's cryptography failed")
}

/// A salt by chance.
pub(super) fn salt() -> Result<[u8; SALT], Locked> {
    let mut salt = [0u8; SALT];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| Locked::new("the machine has no randomness to give"))?;
    Ok(salt)
}

/// Encrypts bytes.
pub(super) fn encrypt(plain: &[u8], password: &Password, salt: &[u8]) -> Result<Body, Locked> {
    let keys = keys(password, salt);
    let padding = BLOCK - plain.len() % BLOCK;
    let mut bytes = Zeroizing::new(Vec::with_capacity(plain.len() + padding));
    bytes.extend_from_slice(plain);
    bytes.resize(plain.len() + padding, u8::try_from(padding).unwrap_or(0));
    let key = UnboundCipherKey::new(&AES_256, &*keys.cipher).and_then(EncryptingKey::ctr).map_err(broken)?;
    let context = EncryptionContext::Iv128(FixedLength::from(&*keys.counter));
    key.less_safe_encrypt(&mut bytes, context).map_err(broken)?;
    let mut digest = [0u8; DIGEST];
    digest.copy_from_slice(hmac::sign(&keys.hmac, &bytes).as_ref());
    Ok(Body { salt: salt.to_vec(), digest, encrypted: bytes.to_vec() })
}

/// Decrypts a body.
///
/// # Errors
/// The password is refused (the inner error), or the machine's cryptography failed.
pub(super) fn decrypt(body: &Body, password: &Password) -> Result<Result<Zeroizing<Vec<u8>>, Refused>, Locked> {
    let keys = keys(password, &body.salt);
    let genuine = hmac::verify(&keys.hmac, &body.encrypted, &body.digest).is_ok();
    let mut bytes = Zeroizing::new(body.encrypted.clone());
    let key = UnboundCipherKey::new(&AES_256, &*keys.cipher).and_then(DecryptingKey::ctr).map_err(broken)?;
    let context = DecryptionContext::Iv128(FixedLength::from(&*keys.counter));
    key.decrypt(&mut bytes, context).map_err(broken)?;
    let padding = padding(&bytes);
    if !genuine {
        return Ok(Err(verdict::of(&bytes, padding)));
    }
    let Some(padding) = padding else { return Ok(Err(Refused::Changed)) };
    let length = bytes.len() - padding;
    bytes.truncate(length);
    Ok(Ok(bytes))
}

/// How many bytes at the end are padding; `None` when the end is none.
fn padding(bytes: &[u8]) -> Option<usize> {
    let last = usize::from(*bytes.last()?);
    let from = bytes.len().checked_sub(last).filter(|_| (1..=BLOCK).contains(&last))?;
    bytes.get(from..)?.iter().all(|byte| usize::from(*byte) == last).then_some(last)
}

/// Whether a length is one that whole blocks have.
pub(super) fn is_whole(length: usize) -> bool {
    length > 0 && length.is_multiple_of(BLOCK)
}
