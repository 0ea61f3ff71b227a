//! Secrets that don't show, and the masker that keeps them out of every sink.

use std::fmt;
use std::sync::{Arc, RwLock};

use zeroize::Zeroizing;

/// Text that Debug and Display never show.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Called where it leaves for its destination, nowhere else.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(********)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

/// Replaces known secrets in text by stars. One a run, shared by all sinks; secrets are added as they become known.
#[derive(Clone, Default)]
pub(crate) struct Masker(Arc<RwLock<Vec<Secret>>>);

impl Masker {
    /// Adds a secret. Shorter than four characters it is not searched for: masking `no` would ruin every text.
    pub(crate) fn add(&self, secret: &Secret) {
        if secret.reveal().len() < 4 {
            return;
        }
        if let Ok(mut secrets) = self.0.write()
            && !secrets.contains(secret)
        {
            secrets.push(secret.clone());
            secrets.sort_by_key(|s| std::cmp::Reverse(s.reveal().len()));
        }
    }

    /// The text with every known secret replaced.
    pub(crate) fn mask(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        if let Ok(secrets) = self.0.read() {
            for secret in secrets.iter() {
                if masked.contains(secret.reveal()) {
                    masked = masked.replace(secret.reveal(), "********");
                }
            }
        }
        masked
    }

    /// A value with every known secret replaced, in keys and strings at any depth.
    pub(crate) fn mask_value(&self, value: &mut super::Value) {
        match value {
            super::Value::String(text) => *text = self.mask(text),
            super::Value::Array(items) => items.iter_mut().for_each(|item| self.mask_value(item)),
            super::Value::Object(map) => map.values_mut().for_each(|item| self.mask_value(item)),
            _ => {}
        }
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masker")
    }
}
