//! Contents as text for diffs.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::modules::Diff;

/// Contents longer than this (bytes) are not shown in a diff; Ansible's `max_file_size_for_diff`.
pub(crate) const DIFF_LIMIT: u64 = 104_448;

/// A content as a diff shows it: its text, or what it is when it is binary or too long.
pub(crate) fn describe(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.len() as u64 <= DIFF_LIMIT && !text.contains('\0') => text.to_owned(),
        Ok(text) if !text.contains('\0') => summary("too long to show", bytes.len() as u64, &hex_sha256(bytes)),
        _ => summary("binary", bytes.len() as u64, &hex_sha256(bytes)),
    }
}

/// A line that stands for a content that is not shown.
pub(crate) fn summary(why: &str, size: u64, sha256: &str) -> String {
    if sha256.is_empty() {
        format!("({why}: {size} bytes)\n")
    } else {
        format!("({why}: {size} bytes, sha256 {sha256})\n")
    }
}

/// SHA-256 in hex.
pub(crate) fn hex_sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A diff of two contents of one path.
pub(crate) fn diff(before: (&str, &[u8]), after: (&str, &[u8])) -> Diff {
    Diff {
        before_header: before.0.to_owned(),
        after_header: after.0.to_owned(),
        before: describe(before.1),
        after: describe(after.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_contents_are_said_so() {
        assert_eq!(describe(b"a\n"), "a\n");
        assert!(describe(b"a\0b").starts_with("(binary: 3 bytes, sha256 "));
        assert!(describe(&[0xff, 0xfe]).starts_with("(binary: 2 bytes"));
        assert!(describe(&vec![b'x'; 200_000]).starts_with("(too long to show: 200000 bytes"));
    }
}
