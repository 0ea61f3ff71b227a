//! The file of credentials that masters read (`--credentials`): its two forms, which release reads which, and what a release would
//! die on. No text made here holds a secret but the file itself.

use serde_json::{Value, json};

use super::Version;
use crate::base::{Map, Secret, to_text};

/// One framework's (or slave's) name and secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    /// Who.
    pub(crate) principal: String,
    /// What it proves that with.
    pub(crate) secret: Secret,
}

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CredentialsForm {
    /// A line `principal secret` each.
    Text,
    /// `{"credentials": [{"principal": …, "secret": …}]}`.
    Json,
}

/// The first release with `--credentials`.
const FIRST: Version = Version::new(0, 15, 0);
/// The first release whose JSON form has the secret as text: from 0.20 to 0.25 it is bytes there, which JSON can't say.
const JSON: Version = Version::new(0, 26, 0);
/// The first release in which the text form is deprecated.
const TEXT_DEPRECATED: Version = Version::new(1, 0, 0);

impl CredentialsForm {
    /// The words of the option, in order.
    pub(crate) const WORDS: &'static [&'static str] = &["auto", "text", "json"];

    /// The form for a release; `word` is the option's.
    ///
    /// # Errors
    /// The release reads no credentials, or not this form.
    pub(crate) fn of(word: &str, version: Version) -> Result<Self, String> {
        if version < FIRST {
            return Err(format!("Mesos {version} knows no credentials: frameworks authenticate from {FIRST} on"));
        }
        match word {
            "text" => Ok(Self::Text),
            "json" if version < Version::new(0, 20, 0) => {
                Err(format!("Mesos {version} dies on credentials in JSON: write `format: text`"))
            }
            "json" if version < JSON => Err(format!(
                "Mesos {version} reads the secrets of a JSON file as bytes, not as they are written: write `format: text` before {JSON}"
            )),
            "json" => Ok(Self::Json),
            _ if version < TEXT_DEPRECATED => Ok(Self::Text),
            _ => Ok(Self::Json),
        }
    }

    /// The option's word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Reads a file in either form, as a release would: JSON where it is that, else lines.
///
/// # Errors
/// What a master would die on, and what it would read otherwise than it is meant; a sentence a line.
pub(crate) fn parse_credentials(text: &str, version: Version) -> Result<Vec<Credential>, Vec<String>> {
    let found = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(map)) if version < JSON => {
            let keys = map.len();
            return Err(vec![format!(
                "it is JSON ({keys} keys at its top), and Mesos {version} reads lines `principal secret`"
            )]);
        }
        Ok(Value::Object(map)) => from_json(&map)?,
        _ => from_lines(text)?,
    };
    check_credentials(&found, None)?;
    Ok(found)
}

fn from_json(map: &Map) -> Result<Vec<Credential>, Vec<String>> {
    let wrong = || vec!["it is JSON without a list `credentials` of `principal` and `secret`".to_owned()];
    let entries = map.get("credentials").and_then(Value::as_array).ok_or_else(wrong)?;
    let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    entries
        .iter()
        .map(|entry| {
            let principal = text(entry, "principal").ok_or_else(wrong)?;
            Ok(Credential { principal, secret: Secret::new(text(entry, "secret").ok_or_else(wrong)?) })
        })
        .collect()
}

/// Lines end at a newline and words at blanks; a tab is none, and a carriage return becomes a part of the secret.
fn from_lines(text: &str) -> Result<Vec<Credential>, Vec<String>> {
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for (index, line) in text.split('\n').enumerate().filter(|(_, line)| !line.is_empty()) {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let place = index + 1;
        match (words.next(), words.next(), words.next()) {
            _ if line.contains('\r') => wrong.push(format!(
                "line {place} ends as on Windows, and the carriage return would become a part of the secret: save it with plain line ends"
            )),
            _ if line.starts_with('#') => wrong.push(format!("line {place} is a comment, which a master dies on: take it out")),
            _ if line.contains('\t') => {
                wrong.push(format!("line {place} has a tab, which parts no words for a master: write one blank"));
            }
            (Some(principal), Some(secret), None) => {
                found.push(Credential { principal: principal.to_owned(), secret: Secret::new(secret) });
            }
            (None, ..) => wrong.push(format!("line {place} has blanks alone, which a master dies on: take it out")),
            (_, None, _) => wrong.push(format!("line {place} has one word: a master dies on it, it wants `principal secret`")),
            _ => wrong.push(format!(
                "line {place} has more than two words: a master dies on it, it wants `principal secret`; a secret has no blanks"
            )),
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

/// Reads a playbook's `credentials`: principals with their secrets, or a list of `principal` and `secret`.
///
/// # Errors
/// It is neither; the secrets are not in the text.
pub(crate) fn credentials_of(value: &Value) -> Result<Vec<Credential>, String> {
    let shape = "`credentials` is a mapping of principals to secrets, or a list of `{principal: …, secret: …}`";
    let plain = |value: &Value| match value {
        Value::String(_) | Value::Number(_) => Ok(to_text(value)),
        _ => Err(shape.to_owned()),
    };
    let one = |principal: String, secret: &Value| Ok(Credential { principal, secret: Secret::new(plain(secret)?) });
    match value {
        Value::Object(map) => map.iter().map(|(principal, secret)| one(principal.clone(), secret)).collect(),
        Value::Array(items) => items
            .iter()
            .map(|item| {
                let at = |key: &str| item.get(key).ok_or_else(|| shape.to_owned());
                if item.as_object().is_none_or(|map| map.len() != 2) {
                    return Err(shape.to_owned());
                }
                one(plain(at("principal")?)?, at("secret")?)
            })
            .collect(),
        _ => Err(shape.to_owned()),
    }
}

/// Whether a form can say these credentials, and whether they say one thing only.
///
/// # Errors
/// What is wrong, a sentence each, without secrets.
pub(crate) fn check_credentials(all: &[Credential], form: Option<CredentialsForm>) -> Result<(), Vec<String>> {
    let mut wrong = Vec::new();
    if all.is_empty() {
        wrong.push("there are no credentials: a master with an empty file lets no framework authenticate".to_owned());
    }
    for (place, one) in all.iter().enumerate() {
        let principal = &one.principal;
        if all.iter().take(place).any(|other| other.principal == *principal) {
            wrong.push(format!("`{principal}` is there twice: which secret counts is not said; leave one"));
        }
        if principal.is_empty() || one.secret.reveal().is_empty() {
            wrong.push(format!("`{principal}` has no name or no secret"));
        }
        let unfit = |text: &str| text.chars().any(|c| c.is_whitespace() || c.is_control());
        if form == Some(CredentialsForm::Text) && (unfit(principal) || unfit(one.secret.reveal())) {
            wrong.push(format!(
                "`{principal}` or its secret has blanks or control characters, which the text form can't say"
            ));
        }
    }
    let hash = |one: &Credential| one.principal.starts_with('#');
    if form == Some(CredentialsForm::Text) && all.iter().any(hash) {
        wrong.push("a principal that begins with `#` looks like a comment, and there are none".to_owned());
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// The file.
pub(crate) fn render_credentials(all: &[Credential], form: CredentialsForm) -> Secret {
    Secret::new(match form {
        CredentialsForm::Text => {
            all.iter().map(|one| [one.principal.as_str(), " ", one.secret.reveal(), "\n"].concat()).collect::<String>()
        }
        CredentialsForm::Json => {
            let list: Vec<Value> =
                all.iter().map(|one| json!({"principal": one.principal, "secret": one.secret.reveal()})).collect();
            [json!({"credentials": list}).to_string().as_str(), "\n"].concat()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V15: Version = Version::new(0, 15, 0);

    fn wrong(text: &str) -> String {
        parse_credentials(text, V15).expect_err("a master dies on it").join("\n")
    }

    #[test]
    fn lines_are_read_as_the_first_release_reads_them() {
        let found = parse_credentials("f1  s3cret\n\n\n f2 x \n", V15).expect("good");
        let pairs: Vec<_> = found.iter().map(|one| (one.principal.as_str(), one.secret.reveal())).collect();
        assert_eq!(pairs, [("f1", "s3cret"), ("f2", "x")]);
        for (text, says) in [
            ("# frameworks\nf1 s3cret\n", "line 1 is a comment"),
            ("f1\ts3cret\n", "line 1 has a tab"),
            ("f1 s3cret\r\n", "line 1 ends as on Windows"),
            ("f1 s3cret\n   \n", "line 2 has blanks alone"),
            ("f1\n", "line 1 has one word"),
            ("f1 my s3cret\n", "more than two words"),
            ("f1 s3cret\nf1 other\n", "`f1` is there twice"),
            ("", "there are no credentials"),
            ("{\"credentials\": [{\"principal\": \"f1\", \"secret\": \"s3cret\"}]}", "it is JSON"),
        ] {
            let why = wrong(text);
            assert!(why.contains(says), "{text:?}: {why}");
            assert!(!why.contains("s3cret") && !why.contains("other"), "{why}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_by_its_release() {
        let all = credentials_of(&json!({"f1": "s3cret", "f2": 12})).expect("credentials");
        for (version, form) in [(V15, "text"), (Version::new(0, 28, 0), "json"), (Version::new(1, 4, 0), "auto")] {
            let form = CredentialsForm::of(form, version).expect("a form");
            let text = render_credentials(&all, form);
            assert_eq!(parse_credentials(text.reveal(), version).as_ref(), Ok(&all), "{version}");
        }
        assert_eq!(render_credentials(&all, CredentialsForm::Text).reveal(), "f1 s3cret\nf2 12\n");
    }

    #[test]
    fn a_form_that_the_release_does_not_read_is_refused() {
        assert!(CredentialsForm::of("auto", Version::new(0, 14, 2)).is_err());
        assert!(CredentialsForm::of("json", V15).is_err_and(|why| why.contains("dies on credentials in JSON")));
        assert!(CredentialsForm::of("json", Version::new(0, 25, 0)).is_err());
        assert_eq!(CredentialsForm::of("auto", Version::new(0, 28, 1)), Ok(CredentialsForm::Text));
        assert_eq!(CredentialsForm::of("auto", Version::new(1, 0, 0)), Ok(CredentialsForm::Json));
        let blank = credentials_of(&json!([{"principal": "f 1", "secret": "a b"}])).expect("credentials");
        assert!(check_credentials(&blank, Some(CredentialsForm::Text)).is_err());
        assert!(check_credentials(&blank, Some(CredentialsForm::Json)).is_ok());
    }

    #[test]
    fn other_shapes_are_refused_without_showing_them() {
        for value in [json!("f1 s3cret"), json!(["s3cret"]), json!({"f1": ["s3cret"]}), json!([{"principal": "f1"}])] {
            let why = credentials_of(&value).expect_err("no credentials");
            assert!(!why.contains("s3cret"), "{why}");
        }
    }
}
