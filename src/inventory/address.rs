//! Host names with ports and ranges: `es[01:12].dc1`, `db:2222`, `[fe80::1]:22`.

use std::net::Ipv6Addr;

/// More hosts than this from one entry are a mistake, not a cluster.
const MOST_HOSTS: usize = 1_000_000;

/// An address as it is written, ranges unexpanded, and the port behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address<'a> {
    /// Name or IP address; may hold ranges.
    pub(super) host: &'a str,
    /// What follows the colon.
    pub(super) port: Option<u16>,
}

/// Takes a text apart when it is one host name, address or range, with or without a port.
///
/// `None` when it is anything else: two names with a colon between them, a glob, a regular expression.
/// The rule decides whether a colon in a pattern separates two patterns, so it is exactly Ansible's.
pub(super) fn parse_address(text: &str) -> Option<Address<'_>> {
    let (host, port) = split_port(text)?;
    (is_hostname(host) || is_ipv6(host)).then_some(Address { host, port })
}

/// `[x]:22` and `x:22`, where `x` holds no colon outside brackets. `None` when the port is no port number.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let Some((before, digits)) = text.rsplit_once(':') else { return Some((text, None)) };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Some((text, None));
    }
    let bracketed =
        before.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).filter(|inner| !inner.is_empty());
    let host = match bracketed {
        Some(inner) => inner,
        None if colon_outside_brackets(before) => return Some((text, None)),
        None => before,
    };
    digits.parse().ok().map(|port| (host, Some(port)))
}

fn colon_outside_brackets(text: &str) -> bool {
    let mut inside = false;
    for c in text.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            ':' if !inside => return true,
            _ => {}
        }
    }
    inside
}

/// Labels of word characters, dashes and ranges, with dots between; no label begins with a dash or ends with a dash or
/// underscore.
fn is_hostname(text: &str) -> bool {
    let mut rest = text;
    let mut last: Option<char> = None;
    while let Some(c) = rest.chars().next() {
        if c == '[' {
            let Some(end) = rest.find(']') else { return false };
            if !is_plain_range(&rest[1..end]) {
                return false;
            }
            // A range stands for a letter or digit.
            last = Some('0');
            rest = &rest[end + 1..];
            continue;
        }
        let right = match (c, last) {
            ('.', None | Some('.' | '-' | '_')) | ('-', None | Some('.')) => false,
            ('.' | '-', _) => true,
            _ => c == '_' || c.is_alphanumeric(),
        };
        if !right {
            return false;
        }
        last = Some(c);
        rest = &rest[c.len_utf8()..];
    }
    !matches!(last, None | Some('.' | '-' | '_'))
}

/// `1:9`, `a:f`, either with a step.
fn is_plain_range(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let letter = |part: &str| part.len() == 1 && part.bytes().all(|b| b.is_ascii_alphabetic());
    match parts.as_slice() {
        [begin, end, step @ ..] if step.len() <= 1 => {
            step.iter().all(|s| digits(s)) && ((digits(begin) && digits(end)) || (letter(begin) && letter(end)))
        }
        _ => false,
    }
}

/// An IPv6 address whose groups may be hexadecimal ranges.
fn is_ipv6(text: &str) -> bool {
    if !text.contains(':') {
        return false;
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('[') {
        let Some(end) = rest[start..].find(']').map(|at| at + start) else { return false };
        let inside = &rest[start + 1..end];
        if !inside.split(':').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_hexdigit())) {
            return false;
        }
        plain.push_str(&rest[..start]);
        plain.push('0');
        rest = &rest[end + 1..];
    }
    plain.push_str(rest);
    plain.parse::<Ipv6Addr>().is_ok()
}

/// All names that a name with ranges stands for, the rightmost range running fastest.
///
/// # Errors
/// A sentence about the range that can't be read.
pub(super) fn expand(name: &str) -> Result<Vec<String>, String> {
    let Some(start) = name.find('[') else { return Ok(vec![name.to_owned()]) };
    let Some(length) = name[start..].find(']') else {
        return Err(format!("the range in `{name}` has no closing bracket"));
    };
    let (head, inside, tail) = (&name[..start], &name[start + 1..start + length], &name[start + length + 1..]);
    let middles = sequence(inside)?;
    let tails = expand(tail)?;
    if middles.len().saturating_mul(tails.len()) > MOST_HOSTS {
        return Err(format!("`{name}` stands for more than {MOST_HOSTS} hosts"));
    }
    let mut names = Vec::with_capacity(middles.len() * tails.len());
    for middle in &middles {
        names.extend(tails.iter().map(|tail| format!("{head}{middle}{tail}")));
    }
    Ok(names)
}

fn sequence(inside: &str) -> Result<Vec<String>, String> {
    let (begin, end, step) = match inside.split(':').collect::<Vec<_>>().as_slice() {
        [begin, end] => (*begin, *end, "1"),
        [begin, end, step] => (*begin, *end, *step),
        _ => return Err(format!("`[{inside}]` is not a range: write [begin:end] or [begin:end:step]")),
    };
    let begin = if begin.is_empty() { "0" } else { begin };
    if end.is_empty() {
        return Err(format!("the range [{inside}] has no end"));
    }
    let step: usize = step
        .parse()
        .ok()
        .filter(|step| *step > 0)
        .ok_or_else(|| format!("the step of the range [{inside}] must be a whole number from 1 on"))?;
    if let (Some(first), Some(last)) = (letter(begin), letter(end)) {
        if first > last {
            return Err(format!("the range [{inside}] runs backwards (order: a to z, then A to Z)"));
        }
        return Ok(LETTERS[first..=last].chars().step_by(step).map(String::from).collect());
    }
    let number = |text: &str| {
        text.parse::<u64>()
            .ok()
            .filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
            .ok_or_else(|| format!("`[{inside}]` is not a range: its ends must be two numbers or two single letters"))
    };
    let (first, last) = (number(begin)?, number(end)?);
    let width = if begin.len() > 1 && begin.starts_with('0') { begin.len() } else { 0 };
    if width > 0 && end.len() != width {
        return Err(format!("the ends of the range [{inside}] must have the same number of digits"));
    }
    if first > last {
        return Err(format!("the range [{inside}] runs backwards"));
    }
    if (last - first) / step as u64 >= MOST_HOSTS as u64 {
        return Err(format!("the range [{inside}] stands for more than {MOST_HOSTS} hosts"));
    }
    Ok((first..=last).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn letter(text: &str) -> Option<usize> {
    if text.len() == 1 { LETTERS.find(text) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_expanded_as_ansible_does() {
        let cases: &[(&str, &str)] = &[
            ("h", "h"),
            ("es[1:3]", "es1 es2 es3"),
            ("es[01:03].dc", "es01.dc es02.dc es03.dc"),
            ("es[08:10]", "es08 es09 es10"),
            ("es[8:10]", "es8 es9 es10"),
            ("es[:2]", "es0 es1 es2"),
            ("es[1:7:3]", "es1 es4 es7"),
            ("r[a:c]", "ra rb rc"),
            ("r[a:i:4]", "ra re ri"),
            ("r[y:B]", "ry rz rA rB"),
            ("a[0:1][2:3]", "a02 a03 a12 a13"),
            ("w[1:2]-[a:b]x", "w1-ax w1-bx w2-ax w2-bx"),
        ];
        for (name, wanted) in cases {
            assert_eq!(expand(name).unwrap().join(" "), *wanted, "{name}");
        }
    }

    #[test]
    fn wrong_ranges_are_refused_with_a_reason() {
        let cases = [
            ("h[1:", "no closing bracket"),
            ("h[1-3]", "write [begin:end]"),
            ("h[1:]", "has no end"),
            ("h[01:100]", "same number of digits"),
            ("h[3:1]", "backwards"),
            ("h[c:a]", "backwards"),
            ("h[a:3]", "two numbers or two single letters"),
            ("h[ab:ad]", "two numbers or two single letters"),
            ("h[1:3:0]", "step"),
            ("h[1:999999999]", "more than"),
            ("h[1:1000][1:1001]", "more than"),
        ];
        for (name, wanted) in cases {
            let reason = expand(name).unwrap_err();
            assert!(reason.contains(wanted), "{name}: {reason}");
        }
    }

    #[test]
    fn an_address_is_told_from_a_list_of_patterns() {
        let parsed = |text| parse_address(text).map(|address| (address.host, address.port));
        assert_eq!(parsed("db1"), Some(("db1", None)));
        assert_eq!(parsed("db1:2222"), Some(("db1", Some(2222))));
        assert_eq!(parsed("db[1:3].x:2222"), Some(("db[1:3].x", Some(2222))));
        assert_eq!(parsed("10.0.0.1:22"), Some(("10.0.0.1", Some(22))));
        assert_eq!(parsed("::1"), Some(("::1", None)));
        assert_eq!(parsed("fe80::[1:f]"), Some(("fe80::[1:f]", None)));
        assert_eq!(parsed("[fe80::1]:22"), Some(("fe80::1", Some(22))));
        assert_eq!(parsed("[db1]:22"), Some(("db1", Some(22))));
        assert_eq!(parsed("hôte_1.x"), Some(("hôte_1.x", None)));
        for other in [
            "a:b",
            "masters:slaves",
            "web*",
            "!a",
            "a b",
            "web-",
            "-web",
            "a..b",
            "",
            "db:99999",
            "masters[0]",
            "a[:2]",
        ] {
            assert_eq!(parsed(other), None, "{other}");
        }
    }
}
