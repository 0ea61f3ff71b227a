//! Permission bits: octal, and symbolic as Ansible reads it.

/// Four octal digits or more: `0644`.
pub(crate) fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

/// The bits that `text` (`0644`, `u+x,g=rX`) makes of `current`. `umask` counts where no class is named (`+x`).
///
/// # Errors
/// It is neither octal nor symbolic.
pub(crate) fn resolve(text: &str, current: u32, directory: bool, umask: u32) -> Result<u32, String> {
    if !text.is_empty() && text.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        return u32::from_str_radix(text, 8)
            .ok()
            .filter(|bits| *bits <= 0o7777)
            .ok_or_else(|| format!("mode must be in octal or symbolic form, not `{text}`"));
    }
    text.split(',').try_fold(current, |bits, clause| {
        apply_clause(clause, bits, directory, umask)
            .ok_or_else(|| format!("bad symbolic permission for mode: `{text}`"))
    })
}

fn apply_clause(clause: &str, mut bits: u32, directory: bool, umask: u32) -> Option<u32> {
    let split = clause.find(['+', '-', '='])?;
    let (classes, actions) = clause.split_at(split);
    let named = if classes.is_empty() || classes.contains('a') { "ugo" } else { classes };
    let mask = if classes.is_empty() { !umask & 0o7777 } else { 0o7777 };
    // What `X` and copied classes rest on is the mode before the clause.
    let before = bits;
    let mut rest = actions;
    while let Some(operator) = rest.chars().next() {
        if !"+-=".contains(operator) {
            return None;
        }
        rest = rest.get(1..)?;
        let end = rest.find(['+', '-', '=']).unwrap_or(rest.len());
        let (letters, after) = rest.split_at(end);
        rest = after;
        for class in named.chars() {
            let wanted = class_bits(class, letters, before, directory)? & mask;
            let all = class_mask(class)?;
            bits = match operator {
                '+' => bits | wanted,
                '-' => bits & !wanted,
                _ => (bits & !all) | wanted,
            };
        }
    }
    Some(bits)
}

fn class_shift(class: char) -> Option<u32> {
    match class {
        'u' => Some(6),
        'g' => Some(3),
        'o' => Some(0),
        _ => None,
    }
}

fn class_mask(class: char) -> Option<u32> {
    let special = match class {
        'u' => 0o4000,
        'g' => 0o2000,
        _ => 0o1000,
    };
    Some((7 << class_shift(class)?) | special)
}

fn class_bits(class: char, letters: &str, before: u32, directory: bool) -> Option<u32> {
    let shift = class_shift(class)?;
    letters.chars().try_fold(0, |bits, letter| {
        Some(
            bits | match letter {
                'r' => 4 << shift,
                'w' => 2 << shift,
                'x' => 1 << shift,
                'X' if directory || before & 0o111 != 0 => 1 << shift,
                'X' => 0,
                's' if class == 'u' => 0o4000,
                's' if class == 'g' => 0o2000,
                't' if class == 'o' => 0o1000,
                's' | 't' => 0,
                'u' | 'g' | 'o' => ((before >> class_shift(letter)?) & 7) << shift,
                _ => return None,
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_ansible_reads_them() {
        // (text, current, directory, expected); expected values were made by ansible-core 2.19's own function.
        let cases = [
            ("0600", 0o644, false, 0o600),
            ("2755", 0o755, true, 0o2755),
            ("u+x", 0o644, false, 0o744),
            ("a+X", 0o644, false, 0o644),
            ("a+X", 0o744, false, 0o755),
            ("a+X", 0o644, true, 0o755),
            ("u=rw,g=r,o=", 0o777, false, 0o640),
            ("g=u", 0o740, false, 0o770),
            ("o-rwx", 0o755, false, 0o750),
            ("+x", 0o644, false, 0o755),
            ("u+s", 0o755, false, 0o4755),
            ("o+t", 0o777, true, 0o1777),
            ("ug+rw-x", 0o111, false, 0o661),
        ];
        for (text, current, directory, expected) in cases {
            assert_eq!(resolve(text, current, directory, 0o022), Ok(expected), "{text} on {current:o}");
        }
        assert!(resolve("u+q", 0, false, 0o022).is_err());
        assert!(resolve("", 0, false, 0o022).is_err());
        assert!(resolve("17777", 0, false, 0o022).is_err());
    }
}
