use super::*;
use crate::base::{Holds, Masker, Unlock as _};

const PLAIN: &[u8] = include_bytes!("../../tests/vault/plain.yml");
const CLOSED: &str = include_str!("../../tests/vault/1.1.yml");
const LABELLED: &str = include_str!("../../tests/vault/1.2.yml");

fn password(text: &str) -> Password {
    Password::new(text.as_bytes().to_vec()).unwrap()
}

fn key(label: &str, text: &str) -> Key {
    Key { label: label.to_owned(), password: password(text) }
}

fn ring(keys: &[(&str, &str)]) -> Keyring {
    Keyring::new(keys.iter().map(|(label, text)| key(label, text)).collect(), false, Masker::default())
}

#[track_caller]
fn why(ring: &Keyring, closed: &str) -> (String, Option<String>) {
    let locked = ring.open(closed).expect_err("locked");
    let place = locked.place.map(|place| closed[place].to_owned());
    (locked.message, place)
}

#[test]
fn what_ansible_vault_wrote_is_read() {
    let ring = ring(&[("default", "correct horse"), ("dev", "other")]);
    for (closed, plain, label) in [
        (CLOSED, PLAIN, "default"),
        (LABELLED, PLAIN, "dev"),
        (include_str!("../../tests/vault/binary"), b"\0\x01\xffbinary\n".as_slice(), "default"),
        (include_str!("../../tests/vault/empty"), b"".as_slice(), "default"),
    ] {
        let (opened, key) = ring.open(closed).expect("opened");
        assert_eq!((opened.bytes(), key.label.as_str()), (plain, label));
    }
}

#[test]
fn with_its_salt_the_same_bytes_are_written_as_ansible_vault_wrote() {
    for (closed, label, text) in [(CLOSED, "default", "correct horse"), (LABELLED, "dev", "other")] {
        let salt = Envelope::parse(closed).unwrap().body.salt;
        assert_eq!(seal(PLAIN, &password(text), label, Some(&salt)).unwrap(), closed);
    }
}

#[test]
fn each_text_has_a_salt_of_its_own_and_blocks_of_any_length_come_back() {
    let secret = password("x");
    assert_ne!(seal(b"a", &secret, "default", None).unwrap(), seal(b"a", &secret, "default", None).unwrap());
    let ring = ring(&[("default", "x")]);
    for length in [0, 1, 15, 16, 17, 4096] {
        let plain = vec![7u8; length];
        let closed = seal(&plain, &secret, "default", None).unwrap();
        assert_eq!(ring.open(&closed).unwrap().0.bytes(), plain, "{length}");
        assert!(closed.lines().all(|line| line.len() <= 80) && closed.ends_with('\n'));
    }
}

#[test]
fn wrong_password_cut_short_and_changed_are_told_apart() {
    let right = ring(&[("default", "correct horse")]);
    let wrong = ring(&[("default", "nonsense"), ("dev", "rubbish")]);
    let (message, place) = why(&wrong, CLOSED);
    assert_eq!(message, "wrong vault password (given: default, dev)");
    assert_eq!(place.as_deref(), Some("$ANSIBLE_VAULT;1.1;AES256"));
    assert_eq!(why(&ring(&[]), CLOSED).0, "this is encrypted, and no vault password was given");

    let lines: Vec<&str> = CLOSED.lines().collect();
    for keep in 1..lines.len() {
        let cut = lines[..keep].join("\n");
        let (message, _) = why(&right, &cut);
        assert!(message.starts_with("the encrypted text is cut short"), "{keep} lines: {message}");
    }
    // The first byte less is the line's end.
    for less in 2..60 {
        let (message, _) = why(&right, &CLOSED[..CLOSED.len() - less]);
        assert!(message.contains("cut short"), "{less} bytes: {message}");
    }
}

/// One digit changed anywhere is never taken for a right text, and hardly ever for a wrong password: only in the salt, where
/// nothing tells them apart.
#[test]
fn a_changed_digit_is_found_wherever_it_is() {
    let ring = ring(&[("default", "correct horse")]);
    let body = CLOSED.find('\n').unwrap() + 1;
    let digits: Vec<usize> =
        CLOSED.char_indices().skip(body).filter(|(_, c)| c.is_ascii_hexdigit()).map(|(at, _)| at).collect();
    for at in digits.iter().copied().step_by(7) {
        let mut text = CLOSED.to_owned();
        let other = if text[at..].starts_with('1') { "2" } else { "1" };
        text.replace_range(at..=at, other);
        let (message, _) = why(&ring, &text);
        let in_salt = digits.iter().position(|digit| *digit == at).unwrap() < 130;
        let told = message.contains("was changed") || message.contains("cut short");
        assert!(told || (in_salt && message == "wrong vault password"), "{at}: {message}");
    }
    let mut text = CLOSED.to_owned();
    text.replace_range(body + 81..body + 83, "zz");
    assert_eq!(
        why(&ring, &text),
        ("the encrypted text was changed: `z` is no hexadecimal digit".to_owned(), Some("z".to_owned()))
    );
}

#[test]
fn a_first_line_that_is_not_known_is_named() {
    let ring = ring(&[("default", "x")]);
    for (head, expected) in [
        ("$ANSIBLE_VAULT;1.1;AES", ("the vault's cipher `AES` is not known", "AES")),
        ("$ANSIBLE_VAULT;2.0;AES256", ("the vault's format 2.0 is not known", "2.0")),
        ("$ANSIBLE_VAULT;1.1", ("the first line of the encrypted text is cut short", "$ANSIBLE_VAULT;1.1")),
        (
            "$ANSIBLE_VAULTS;1.1;AES256",
            ("`$ANSIBLE_VAULTS` is not what an encrypted text begins with", "$ANSIBLE_VAULTS"),
        ),
    ] {
        let (message, place) = why(&ring, &format!("{head}\n6162\n"));
        assert_eq!((message.as_str(), place.as_deref()), (expected.0, Some(expected.1)));
    }
}

#[test]
fn the_label_is_a_hint_unless_it_must_match() {
    // Given under another label, it opens all the same.
    assert!(ring(&[("default", "other")]).open(LABELLED).is_ok());
    let strict = Keyring::new(vec![key("default", "other")], true, Masker::default());
    assert_eq!(why(&strict, LABELLED).0, "it is encrypted with the password of `dev`, which was not given");
    assert_eq!(
        why(&ring(&[("default", "nonsense")]), LABELLED).0,
        "wrong vault password: it is encrypted with that of `dev`, which was not given"
    );
    assert_eq!(why(&ring(&[("dev", "nonsense")]), LABELLED).0, "wrong vault password for `dev`");
}

#[test]
fn what_is_opened_is_masked_from_then_on() {
    let masker = Masker::default();
    let ring = Keyring::new(vec![key("default", "correct horse"), key("dev", "x")], false, masker.clone());
    ring.unlock(CLOSED, Holds::File).expect("opened");
    assert_eq!(masker.mask("root hunter2-ä"), "root ********");
    let value = seal("s3cret".as_bytes(), &password("x"), "dev", None).unwrap();
    assert_eq!(ring.unlock(&value, Holds::Value).unwrap().text(), Ok("s3cret"));
    assert_eq!(masker.mask("a s3cret"), "a ********");
    assert_eq!(format!("{ring:?}").matches("correct").count(), 0);
}

#[test]
fn indented_text_and_windows_line_ends_are_read() {
    let indented: String = CLOSED.lines().map(|line| format!("{line}\r\n    ")).collect();
    assert_eq!(ring(&[("default", "correct horse")]).open(&indented).unwrap().0.bytes(), PLAIN);
}
