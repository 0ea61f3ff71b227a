//! A closed text: its first line, and hexadecimal digits in lines.

use std::ops::Range;

use super::cipher::{Body, DIGEST, is_whole};
use crate::base::Locked;

/// Columns of a line of digits, as Ansible writes it.
const COLUMNS: usize = 80;

/// A closed text, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// The label in its first line.
    pub(crate) label: Option<String>,
    /// What it holds.
    pub(super) body: Body,
}

impl Envelope {
    /// Takes a text apart. Blanks around its lines don't count, so that it may be indented.
    ///
    /// # Errors
    /// It is damaged: where, and whether something is missing or was changed.
    pub(crate) fn parse(text: &str) -> Result<Self, Locked> {
        let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
        let label = header(head)?;
        let start = text.len() - rest.len();
        let end = text.trim_end().len();
        let outer = digits(rest, start)?;
        let cut = |why: &str| {
            let last = text.get(..end).unwrap_or(text).rfind('\n').map_or(0, |at| at + 1);
            Locked::new(format!("the encrypted text is cut short: {why}"))
                .at(last..end.max(last))
                .help("take the file again from where it came from: nothing of it can be used")
        };
        if outer.is_empty() {
            return Err(cut("nothing follows its first line"));
        }
        let Some(outer) = bytes(&outer) else { return Err(cut("it ends within a byte")) };
        let changed = |why: &str| {
            Locked::new(format!("the encrypted text was changed: {why}"))
                .at(start..end.max(start))
                .help("take the file again from where it came from: nothing of it can be used")
        };
        let inner = std::str::from_utf8(&outer).map_err(|_| changed("it does not hold what it should"))?;
        let mut parts = inner.split('\n');
        let (Some(salt), digest, encrypted) = (parts.next(), parts.next(), parts.next()) else {
            return Err(cut("nothing follows its first line"));
        };
        if parts.next().is_some() {
            return Err(changed("it has more than three parts"));
        }
        if !inner.bytes().all(|byte| byte == b'\n' || byte.is_ascii_hexdigit()) {
            return Err(changed("it does not hold what it should"));
        }
        let Some(digest) = digest else { return Err(cut("its second part is missing")) };
        let Some(encrypted) = encrypted else { return Err(cut("its third part is missing")) };
        let salt = bytes(salt).ok_or_else(|| changed("its first part has an odd number of digits"))?;
        let digest = bytes(digest)
            .and_then(|digest| <[u8; DIGEST]>::try_from(digest).ok())
            .ok_or_else(|| changed("its second part has not 64 digits"))?;
        let encrypted = bytes(encrypted).ok_or_else(|| cut("it ends within a byte"))?;
        if !is_whole(encrypted.len()) {
            return Err(cut("it ends within a block"));
        }
        Ok(Self { label, body: Body { salt, digest, encrypted } })
    }

    /// The text, with its final newline.
    pub(crate) fn to_text(&self) -> String {
        let Body { salt, digest, encrypted } = &self.body;
        let inner = format!("{}\n{}\n{}", hex(salt), hex(digest), hex(encrypted));
        let mut text = match &self.label {
            Some(label) => format!("$ANSIBLE_VAULT;1.2;AES256;{label}\n"),
            None => "$ANSIBLE_VAULT;1.1;AES256\n".to_owned(),
        };
        for (at, digit) in hex(inner.as_bytes()).chars().enumerate() {
            if at > 0 && at % COLUMNS == 0 {
                text.push('\n');
            }
            text.push(digit);
        }
        text.push('\n');
        text
    }
}

/// The label in the first line.
fn header(line: &str) -> Result<Option<String>, Locked> {
    let line = line.trim_end();
    let mut parts = line.split(';');
    let place = |part: &str| -> Range<usize> {
        let at = part.as_ptr() as usize - line.as_ptr() as usize;
        at..at + part.len()
    };
    let known = "first lines: $ANSIBLE_VAULT;1.1;AES256 and $ANSIBLE_VAULT;1.2;AES256;LABEL";
    let wrong = |message: String, part: &str| Locked::new(message).at(place(part)).help(known);
    let (name, version, cipher) = (parts.next().unwrap_or(""), parts.next(), parts.next());
    let (Some(version), Some(cipher)) = (version, cipher) else {
        return Err(wrong("the first line of the encrypted text is cut short".to_owned(), line));
    };
    if name != "$ANSIBLE_VAULT" {
        return Err(wrong(format!("`{name}` is not what an encrypted text begins with"), name));
    }
    let labelled = match version.trim() {
        "1.1" => false,
        "1.2" => true,
        other => return Err(wrong(format!("the vault's format {other} is not known"), version)),
    };
    if cipher.trim() != "AES256" {
        return Err(wrong(format!("the vault's cipher `{}` is not known", cipher.trim()), cipher));
    }
    let label = parts.next().map(str::trim).filter(|label| labelled && !label.is_empty());
    Ok(label.map(str::to_owned))
}

/// The digits of all lines; `start` is where they begin in the whole text.
fn digits(rest: &str, start: usize) -> Result<String, Locked> {
    let mut all = String::with_capacity(rest.len());
    let mut at = start;
    for line in rest.split_inclusive('\n') {
        let digits = line.trim();
        let from = at + (line.len() - line.trim_start().len());
        if let Some((wrong, c)) = digits.char_indices().find(|(_, c)| !c.is_ascii_hexdigit()) {
            return Err(Locked::new(format!("the encrypted text was changed: `{c}` is no hexadecimal digit"))
                .at(from + wrong..from + wrong + c.len_utf8())
                .help("take the file again from where it came from: nothing of it can be used"));
        }
        all.push_str(digits);
        at += line.len();
    }
    Ok(all)
}

/// Digits as bytes; `None` for an odd number of them, or something else than digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
            }
            _ => None,
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
