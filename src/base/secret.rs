//! Secrets that don't show, and the masker that keeps them out of every sink.

use std::fmt;
use std::sync::{Arc, RwLock};

use zeroize::Zeroizing;

/// What stands in a secret's place.
const STARS: &str = "********";

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
    /// Adds a secret, and the forms in which it may turn up: each line of it (results come in lines), and as JSON, Python
    /// and the shell write it. Shorter than four characters it is not searched for: masking `no` would ruin every text.
    pub(crate) fn add(&self, secret: &Secret) {
        let text = secret.reveal();
        let mut forms = vec![Zeroizing::new(text.to_owned())];
        if text.contains('\n') {
            forms.extend(text.lines().map(|line| Zeroizing::new(line.trim().to_owned())));
        }
        for form in forms.clone() {
            let json = Zeroizing::new(super::Value::String(form.to_string()).to_string());
            forms.push(Zeroizing::new(json.trim_matches('"').to_owned()));
            let python = Zeroizing::new(super::to_text(&super::Value::Array(vec![form.to_string().into()])));
            forms.push(Zeroizing::new(python.get(2..python.len() - 2).unwrap_or_default().to_owned()));
            forms.push(Zeroizing::new(form.replace('\'', "'\\''")));
        }
        let Ok(mut secrets) = self.0.write() else { return };
        for form in forms.into_iter().filter(|form| form.len() >= 4) {
            if !secrets.iter().any(|known| known.0 == form) {
                secrets.push(Secret(form));
            }
        }
        // The longest first: a secret within another must not leave the rest of it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.reveal().len()));
    }

    /// The text with every known secret replaced.
    pub(crate) fn mask(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        if let Ok(secrets) = self.0.read() {
            for secret in secrets.iter() {
                if masked.contains(secret.reveal()) {
                    masked = masked.replace(secret.reveal(), STARS);
                }
            }
        }
        masked
    }

    /// Replaces every known secret in a value, in keys and strings at any depth.
    pub(crate) fn mask_value(&self, value: &mut super::Value) {
        match value {
            super::Value::String(text) => self.mask_in(text),
            super::Value::Array(items) => items.iter_mut().for_each(|item| self.mask_value(item)),
            super::Value::Object(map) => self.mask_map(map),
            // A password of digits may come back as a number.
            super::Value::Number(number) => {
                if self.hides(&number.to_string()) {
                    *value = super::Value::String(STARS.to_owned());
                }
            }
            super::Value::Null | super::Value::Bool(_) => {}
        }
    }

    /// Replaces every known secret in a mapping's keys and values.
    pub(crate) fn mask_map(&self, map: &mut super::Map) {
        map.values_mut().for_each(|item| self.mask_value(item));
        if map.keys().any(|key| self.hides(key)) {
            *map = std::mem::take(map).into_iter().map(|(key, value)| (self.mask(&key), value)).collect();
        }
    }

    /// Replaces every known secret in a text, where it stands.
    pub(crate) fn mask_in(&self, text: &mut String) {
        if self.hides(text) {
            *text = self.mask(text);
        }
    }

    fn hides(&self, text: &str) -> bool {
        self.0.read().is_ok_and(|secrets| secrets.iter().any(|secret| text.contains(secret.reveal())))
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masker")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let masker = Masker::default();
        masker.add(&Secret::new("it's \"x\"\nsecond line\n"));
        masker.add(&Secret::new("second"));
        masker.add(&Secret::new("no"));
        masker.add(&Secret::new("123456"));
        let mut value = json!({
            "lines": ["it's \"x\"", "second line"],
            "json": "{\"p\": \"it's \\\"x\\\"\\nsecond line\\n\"}",
            "shell": "echo 'it'\\''s \"x\"'",
            "number": 123456,
            "second line": "no",
        });
        masker.mask_value(&mut value);
        assert_eq!(
            value,
            json!({
                "lines": [STARS, STARS],
                "json": "{\"p\": \"********\"}",
                "shell": "echo '********'",
                "number": STARS,
                STARS: "no",
            })
        );
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?} {}", Secret::new("hunter2"), Secret::new("hunter2")), "Secret(********) ********");
    }
}
