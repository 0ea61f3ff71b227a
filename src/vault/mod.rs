//! Ansible's vault: texts that are encrypted with a password, whole files and single values.
//!
//! [`seal`] closes, a [`Keyring`] opens. The form is that of `$ANSIBLE_VAULT;1.1;AES256` and `1.2` with a label: PBKDF2-HMAC-SHA256
//! with 10,000 rounds makes 80 bytes of the password and a salt (key for AES-256 in counter mode, key for HMAC-SHA256, counter);
//! the plain text is padded to blocks (PKCS7), encrypted, and the HMAC is over what is encrypted.
//!
//! What it can't know: whether a password is right. The format has nothing to tell that from a text that was changed. What is
//! said of it is drawn from what the text would be with that password (see [`verdict`]); a text that fails its HMAC is never used.
//!
//! It reads no file and asks nobody: passwords come in, from `app`.

mod cipher;
mod envelope;
mod keyring;
mod secrets;
mod verdict;

pub(crate) use cipher::Password;
pub(crate) use envelope::Envelope;
pub(crate) use keyring::{Key, Keyring};

use crate::base::Locked;

/// The label of a password that was given without one; a text that is closed with it names none.
pub(crate) const DEFAULT_LABEL: &str = "default";

/// Closes bytes with a password. A label other than [`DEFAULT_LABEL`] is written into the text's first line. The salt is for tests
/// and for people who configured one; by chance otherwise.
///
/// # Errors
/// The machine has no randomness to give.
pub(crate) fn seal(plain: &[u8], password: &Password, label: &str, salt: Option<&[u8]>) -> Result<String, Locked> {
    let drawn;
    let salt = match salt {
        Some(salt) => salt,
        None => {
            drawn = cipher::salt()?;
            &drawn
        }
    };
    let body = cipher::encrypt(plain, password, salt)?;
    Ok(Envelope { label: (label != DEFAULT_LABEL).then(|| label.to_owned()), body }.to_text())
}

#[cfg(test)]
mod tests;
