//! OpenSSH's patterns: `*`, `?`, and comma or blank separated lists with `!`.

/// Whether a text matches one pattern of `*` and `?`. Case is the caller's matter.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // The last star, and how far the text was when it was met: a mismatch goes back there.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || text.get(t) == Some(c) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

/// Whether a text matches a list: one pattern at least, and none that begins with `!`.
pub(super) fn matches_list<'a>(patterns: impl IntoIterator<Item = &'a str>, text: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(not) if matches(not, text) => return false,
            Some(_) => {}
            None => found |= matches(pattern, text),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_openssh_has_them() {
        assert!(matches("*", ""));
        assert!(matches("*.example.org", "a.b.example.org"));
        assert!(!matches("*.example.org", "example.org"));
        assert!(matches("web?", "web1"));
        assert!(!matches("web?", "web"));
        assert!(matches("a*b*c", "axxbyyc"));
        assert!(matches_list(["*", "!db*"], "web1"));
        assert!(!matches_list(["*", "!db*"], "db1"));
        assert!(!matches_list(["!db*"], "web1"), "a negation alone matches nothing");
    }
}
