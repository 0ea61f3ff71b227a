//! Digests and password hashes.

use minijinja::value::Value as Jinja;
use minijinja::{Error, State};
use sha2::Digest as _;

/// Rounds that Ansible takes when none are asked for.
const ROUNDS_SHA512: usize = 656_000;
const ROUNDS_SHA256: usize = 535_000;

use super::call::{Call, failed, text_of};
use super::{Filter, crypt};

pub(super) const FILTERS: &[(&str, Filter)] = &[
    ("hash", |_, call| {
        let kind = call.text(0, "hashtype")?.unwrap_or_else(|| "sha1".to_owned());
        digest(&kind, &call.input_text()?)
    }),
    ("checksum", |_, call| digest("sha1", &call.input_text()?)),
    ("sha1", |_, call| digest("sha1", &call.input_text()?)),
    ("md5", |_, call| digest("md5", &call.input_text()?)),
    ("password_hash", password_hash),
];

fn digest(kind: &str, text: &str) -> Result<Jinja, Error> {
    let bytes = match kind {
        "md5" => md5::Md5::digest(text).to_vec(),
        "sha1" => sha1::Sha1::digest(text).to_vec(),
        "sha224" => sha2::Sha224::digest(text).to_vec(),
        "sha256" => sha2::Sha256::digest(text).to_vec(),
        "sha384" => sha2::Sha384::digest(text).to_vec(),
        "sha512" => sha2::Sha512::digest(text).to_vec(),
        other => return Err(failed(format!("unknown digest `{other}`: md5, sha1, sha224, sha256, sha384, sha512"))),
    };
    Ok(Jinja::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

fn password_hash(_: &mut State, call: &Call) -> Result<Jinja, Error> {
    let kind = call.text(0, "hashtype")?.unwrap_or_else(|| "sha512".to_owned());
    let salt = match call.argument(1, "salt") {
        Some(salt) if !salt.is_none() => Some(text_of(&salt)?),
        _ => None,
    };
    let _ = call.argument(2, "salt_size");
    let rounds = call.integer(3, "rounds")?;
    let kind = match kind.as_str() {
        "sha512" | "sha512_crypt" => crypt::Kind::Sha512,
        "sha256" | "sha256_crypt" => crypt::Kind::Sha256,
        other => return Err(failed(format!("`password_hash` knows sha512 and sha256, not `{other}`"))),
    };
    let salt = salt.unwrap_or_else(crypt::random_salt);
    if !salt.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '/') || salt.len() > 16 {
        return Err(failed("a salt has up to 16 letters, digits, dots and slashes"));
    }
    let rounds = match rounds {
        Some(rounds) => Some(
            usize::try_from(rounds)
                .ok()
                .filter(|rounds| (1000..=2_000_000).contains(rounds))
                .ok_or_else(|| failed("`rounds` is 1000 to 2000000"))?,
        ),
        None => Some(if kind == crypt::Kind::Sha512 { ROUNDS_SHA512 } else { ROUNDS_SHA256 }),
    };
    Ok(Jinja::from(crypt::hash(kind, call.input_text()?.as_bytes(), salt.as_bytes(), rounds)))
}
