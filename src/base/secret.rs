//! Secrets that don't show, and the masker that keeps them out of every sink.

use std::fmt;
use std::sync::{Arc, OnceLock, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
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
pub(crate) struct Masker(Arc<RwLock<Known>>);

/// The secrets in all their forms.
#[derive(Default)]
struct Known {
    secrets: Vec<Secret>,
    /// Finds all of them in one pass over a text, however many there are: an encrypted file may hold hundreds, and every result of
    /// every host is searched. Made when it is first asked for after a secret was added; `None` when it can't be made.
    finder: OnceLock<Option<AhoCorasick>>,
}

impl Known {
    fn finder(&self) -> Option<&AhoCorasick> {
        let make = || {
            // The longest first: a secret within another must not leave the rest of it.
            let mut builder = AhoCorasick::builder();
            builder.match_kind(MatchKind::LeftmostLongest).build(self.secrets.iter().map(Secret::reveal)).ok()
        };
        self.finder.get_or_init(make).as_ref()
    }

    fn hides(&self, text: &str) -> bool {
        match self.finder() {
            Some(finder) => finder.is_match(text),
            None => self.secrets.iter().any(|secret| text.contains(secret.reveal())),
        }
    }

    fn mask(&self, text: &str) -> String {
        if let Some(finder) = self.finder() {
            let mut masked = String::with_capacity(text.len());
            finder.replace_all_with(text, &mut masked, |_, _, out| {
                out.push_str(STARS);
                true
            });
            return masked;
        }
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.reveal(), STARS))
    }
}

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
        let Ok(mut known) = self.0.write() else { return };
        for form in forms.into_iter().filter(|form| form.len() >= 4) {
            if !known.secrets.iter().any(|known| known.0 == form) {
                known.secrets.push(Secret(form));
                known.finder = OnceLock::new();
            }
        }
        // The longest first, for the search without a finder.
        known.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.reveal().len()));
    }

    /// The text with every known secret replaced.
    pub(crate) fn mask(&self, text: &str) -> String {
        self.0.read().map_or_else(|_| STARS.to_owned(), |known| known.mask(text))
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
        self.0.read().is_ok_and(|known| known.hides(text))
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
    fn a_secret_within_another_does_not_leave_the_rest_and_many_are_found_as_fast_as_one() {
        let masker = Masker::default();
        for number in 0..2000 {
            masker.add(&Secret::new(format!("secret-{number}")));
        }
        masker.add(&Secret::new("ret-7"));
        assert_eq!(masker.mask("a secret-77, a secret-1999x and ret-7"), "a ********, a ********x and ********");
        let text = "nothing of the kind is here ".repeat(20);
        let begin = std::time::Instant::now();
        for _ in 0..1000 {
            assert!(!masker.hides(&text));
        }
        // One search for each of the 2,000 took two orders of magnitude longer.
        assert!(begin.elapsed() < std::time::Duration::from_secs(2), "{:?}", begin.elapsed());
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?} {}", Secret::new("hunter2"), Secret::new("hunter2")), "Secret(********) ********");
    }
}
