//! What went wrong when a text does not match its HMAC: the wrong password, or a changed text?
//!
//! The key of the HMAC comes from the password too, so that the format can't tell. But the cipher is a stream: with the right
//! password all bytes that nobody changed come out as they were, and with a wrong one all are noise. Noise that looks
//! like text does not happen beyond a few bytes. What is looked at here is never shown or used.

use super::cipher::Refused;

/// The verdict on bytes that fail their HMAC. `padding` is how many of them are a valid end.
pub(super) fn of(bytes: &[u8], padding: Option<usize>) -> Refused {
    let content = bytes.get(..bytes.len().saturating_sub(padding.unwrap_or(0))).unwrap_or_default();
    let text = is_mostly_text(content);
    match padding {
        // A long run of padding bytes is no chance either.
        Some(length) if text || length > 3 => Refused::Changed,
        None if ends_like_padding(bytes) => Refused::Changed,
        None if text => Refused::CutShort,
        _ => Refused::Wrong,
    }
}

/// Whether the last block has so many bytes of one small value that it was padding before somebody changed a part of it.
fn ends_like_padding(bytes: &[u8]) -> bool {
    let block = bytes.get(bytes.len().saturating_sub(16)..).unwrap_or_default();
    (4u8..=16).any(|value| {
        let count = block.iter().filter(|byte| **byte == value).count();
        count >= 3 && count + 1 >= usize::from(value)
    })
}

/// Whether nearly all of it is text: of noise, little more than a third is.
fn is_mostly_text(bytes: &[u8]) -> bool {
    let text: usize = String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| *c != char::REPLACEMENT_CHARACTER && (!c.is_control() || matches!(c, '\n' | '\t' | '\r')))
        .map(char::len_utf8)
        .sum();
    bytes.len() >= 8 && text * 10 >= bytes.len() * 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_a_wrong_password_and_text_a_changed_one() {
        // Pseudo-random noise of many lengths is never taken for text.
        let mut state = 1u64;
        for length in (16..2000).step_by(16) {
            let noise: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    state.to_be_bytes()[0]
                })
                .collect();
            assert_eq!(of(&noise, None), Refused::Wrong, "{length}");
            assert_eq!(of(&noise, Some(1)), Refused::Wrong, "{length}");
        }
        assert_eq!(of("user: ä\npassword: x\n\u{1}".as_bytes(), Some(1)), Refused::Changed);
        assert_eq!(of("user: a\npassword: x\n".as_bytes(), None), Refused::CutShort);
        assert_eq!(of(b"abc\x0d\x0d\x0d\x0d\x0d\x0d\x0d\x0d\x0d\x0d\x0d\x0d\x0d", Some(13)), Refused::Changed);
    }
}
