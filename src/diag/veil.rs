//! Hides what looks like a secret in the lines that diagnostics show: a mistake beside a password must not put the password on
//! a screen, into a log or a ticket.

/// Words of a key whose value is a secret.
const SECRET: &[&str] = &["password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "credential"];

/// Endings of such keys.
const SECRET_ENDING: &[&str] = &["_pass", "_pw", "_pwd", "_key"];

/// Endings of keys that only say where a secret is, or whether there is one.
const HARMLESS: &[&str] =
    &["_file", "_path", "_name", "_url", "_ask", "_prompt", "_user", "_id", "public_key", "host_key"];

/// Whether a key names a secret, as far as its name tells.
pub(crate) fn names_secret(key: &str) -> bool {
    let key = key.trim_matches(['"', '\'', ' ']).to_lowercase().replace('-', "_");
    if HARMLESS.iter().any(|ending| key.ends_with(ending)) {
        return false;
    }
    SECRET.iter().any(|word| key.contains(word)) || key == "pass" || SECRET_ENDING.iter().any(|end| key.ends_with(end))
}

/// The text with every secret's bytes replaced by as many stars, so that places in it stay where they are.
pub(crate) fn veil(text: &str) -> String {
    let mut veiled = String::with_capacity(text.len());
    // Lines of a block scalar that belong to a secret key are indented more than this.
    let mut below: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        if let Some(depth) = below {
            if line.trim().is_empty() || indent > depth {
                veiled.push_str(&stars(line, indent));
                continue;
            }
            below = None;
        }
        let Some(from) = value_of_secret(line) else {
            veiled.push_str(&veil_urls(line));
            continue;
        };
        let (head, value) = line.split_at(from);
        if value.trim().is_empty() || value.trim_start().starts_with(['|', '>']) {
            below = Some(line.len() - line.trim_start_matches([' ', '-']).len());
            veiled.push_str(line);
        } else {
            veiled.push_str(&veil_urls(head));
            // A value may hold blanks, commas and braces: all to the end of the line is hidden.
            veiled.push_str(&stars(value, value.len() - value.trim_start().len()));
        }
    }
    veiled
}

/// The same for a text that was encrypted: whatever is not the key of a line is hidden.
pub(super) fn veil_values(text: &str) -> String {
    let key = |line: &str| {
        let colon = line.find(": ").map(|at| at + 2).or_else(|| line.trim_end().ends_with(':').then_some(line.len()));
        let word = |key: &str| {
            let key = key.trim().trim_start_matches("- ").trim_end_matches([':', ' ']);
            key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
        };
        colon.filter(|at| line.get(..*at).is_some_and(word)).unwrap_or(line.len() - line.trim_start().len())
    };
    text.split_inclusive('\n').map(|line| stars(line, key(line))).collect()
}

/// Where the value of the first key of a line that names a secret begins.
fn value_of_secret(line: &str) -> Option<usize> {
    for (at, sign) in line.char_indices().filter(|(_, c)| matches!(c, ':' | '=')) {
        let before = line.get(..at)?;
        let key_end = before.trim_end_matches([' ', '"', '\'']);
        let start = key_end.rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))).map_or(0, |place| {
            place + key_end.get(place..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
        });
        let key = key_end.get(start..)?;
        // `key: ` with a blank, but in JSON none is needed; a template's value (`{{ x }}`) is no secret.
        let value = line.get(at + sign.len_utf8()..)?;
        if names_secret(key) && !value.trim_start().trim_start_matches(['"', '\'']).starts_with("{{") {
            return Some(at + sign.len_utf8());
        }
    }
    None
}

/// Stars for every byte but blanks before `from` and the line's end.
fn stars(text: &str, from: usize) -> String {
    let body = text.trim_end_matches(['\n', '\r']);
    let (head, hidden) = body.split_at(from.min(body.len()));
    format!("{head}{}{}", "*".repeat(hidden.len()), text.get(body.len()..).unwrap_or_default())
}

/// Hides the password in `scheme://user:password@host`.
fn veil_urls(line: &str) -> String {
    let mut text = line.to_owned();
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find("://")) {
        let start = from + found + 3;
        from = start;
        let rest = text.get(start..).unwrap_or_default();
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'')).unwrap_or(rest.len());
        let Some(authority) = rest.get(..end) else { continue };
        if let (Some(at), Some(colon)) = (authority.rfind('@'), authority.find(':'))
            && colon < at
        {
            text.replace_range(start + colon + 1..start + at, &"*".repeat(at - colon - 1));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_text_that_was_encrypted_only_keys_are_shown() {
        for (text, expected) in [
            ("user: root\n  - name: é x\n", "user: ****\n  - name: ****\n"),
            ("list:\n  - a b\n", "list:\n  *****\n"),
            ("{a: 1, b: 2}", "************"),
            ("-----BEGIN KEY-----\nabc: d\n", "*******************\nabc: *\n"),
        ] {
            let veiled = veil_values(text);
            assert_eq!(veiled.len(), text.len());
            assert_eq!(veiled, expected);
        }
    }

    #[test]
    fn secrets_are_hidden_and_nothing_moves() {
        for (text, expected) in [
            ("h ansible_password=hunter2 typo", "h ansible_password=************"),
            ("h ansible_user=root port=22", "h ansible_user=root port=22"),
            ("  db_password: \"a b\"\n  next: 1\n", "  db_password: *****\n  next: 1\n"),
            ("{\"api_token\":\"abc\"}", "{\"api_token\":******"),
            ("secret: |\n  line\n  two\nafter: 1\n", "secret: |\n  ****\n  ***\nafter: 1\n"),
            ("password: \"{{ lookup }}\"", "password: \"{{ lookup }}\""),
            ("ssh_key_file: /x\npassword_file=/y", "ssh_key_file: /x\npassword_file=/y"),
            ("url: http://u:pw@h/x", "url: http://u:**@h/x"),
            ("ansible_become_pass: é1", "ansible_become_pass: ***"),
        ] {
            assert_eq!(veil(text), expected);
            assert_eq!(veil(text).len(), text.len(), "{text}");
        }
    }
}
