//! Assignments in files that a shell reads (`/etc/default/mesos`, `mesos-slave-env.sh`): without running them.
//!
//! Understood are `NAME=value` and `export NAME=value …`, with every kind of quotes, and `` `cat FILE` `` or `$(cat FILE)`
//! as a whole value. A value that needs a shell to be known is `None`; a line that is more than assignments is reported,
//! not guessed at.

use std::ops::Range;

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The variable.
    pub(super) variable: String,
    /// Its value; `None` when only a shell can know it.
    pub(super) value: Option<String>,
    /// The file that is the value, for `` `cat FILE` ``.
    pub(super) cat: Option<String>,
    /// Whether `export` stands before it.
    pub(super) exported: bool,
    /// Its line, counted from 1.
    pub(super) line: usize,
    /// The value's bytes in the file.
    pub(super) span: Range<usize>,
    /// The whole line's bytes with its end; empty when other assignments stand on the line.
    pub(super) whole: Range<usize>,
}

/// Reads a file: its assignments, and the numbers of lines that are something else.
pub(super) fn read(text: &str) -> (Vec<Assignment>, Vec<usize>) {
    let (mut found, mut other) = (Vec::new(), Vec::new());
    let mut start = 0;
    for (index, whole) in text.split_inclusive('\n').enumerate() {
        let line = whole.trim_end_matches(['\n', '\r']);
        match read_line(line, start, index + 1) {
            Some(mut here) => {
                if let [only] = here.as_mut_slice() {
                    only.whole = start..start + whole.len();
                }
                found.extend(here);
            }
            None => other.push(index + 1),
        }
        start += whole.len();
    }
    (found, other)
}

fn read_line(line: &str, offset: usize, number: usize) -> Option<Vec<Assignment>> {
    let mut rest = line.trim_start();
    let mut exported = false;
    if let Some(after) = rest.strip_prefix("export ") {
        exported = true;
        rest = after.trim_start();
    }
    let mut found = Vec::new();
    while !rest.is_empty() && !rest.starts_with('#') {
        let equals = rest.find('=')?;
        let variable = rest.get(..equals)?;
        let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if variable.is_empty() || !variable.chars().all(name) || variable.starts_with(|c: char| c.is_ascii_digit()) {
            // `export NAME` alone marks what was assigned before.
            return None;
        }
        let written = rest.get(equals + 1..)?;
        let word = Word::read(written)?;
        let begin = offset + (line.len() - written.len());
        found.push(Assignment {
            variable: variable.to_owned(),
            value: word.value,
            cat: word.cat,
            exported,
            line: number,
            span: begin..begin + word.length,
            whole: 0..0,
        });
        let after = written.get(word.length..)?;
        rest = after.trim_start();
        if !rest.is_empty() && rest.len() == after.len() {
            return None;
        }
    }
    Some(found)
}

/// A shell word: its text if it can be known, and how many bytes it takes.
struct Word {
    value: Option<String>,
    cat: Option<String>,
    length: usize,
}

impl Word {
    fn read(text: &str) -> Option<Self> {
        let mut value = String::new();
        let mut known = true;
        let mut cat = None;
        let mut chars = text.char_indices().peekable();
        let mut length = text.len();
        while let Some((at, c)) = chars.next() {
            match c {
                ' ' | '\t' => {
                    length = at;
                    break;
                }
                ';' | '&' | '|' | '<' | '>' | '(' | ')' => return None,
                '\'' => loop {
                    match chars.next()? {
                        (_, '\'') => break,
                        (_, c) => value.push(c),
                    }
                },
                '"' => loop {
                    match chars.next()? {
                        (_, '"') => break,
                        (_, '\\') => {
                            let (_, next) = chars.next()?;
                            if !matches!(next, '"' | '\\' | '$' | '`') {
                                value.push('\\');
                            }
                            value.push(next);
                        }
                        (begin, '`') => {
                            let inner = until(&mut chars, text, begin + 1, '`')?;
                            cat = Self::cat_of(inner);
                            known = false;
                        }
                        (begin, '$') => {
                            known = false;
                            if chars.peek().is_some_and(|(_, c)| *c == '(') {
                                let inner = until(&mut chars, text, begin + 2, ')')?;
                                cat = Self::cat_of(inner);
                            }
                        }
                        (_, c) => value.push(c),
                    }
                },
                '`' => {
                    let inner = until(&mut chars, text, at + 1, '`')?;
                    cat = Self::cat_of(inner);
                    known = false;
                }
                '$' => {
                    known = false;
                    if chars.peek().is_some_and(|(_, c)| *c == '(') {
                        let inner = until(&mut chars, text, at + 2, ')')?;
                        cat = Self::cat_of(inner);
                    }
                }
                '\\' => value.push(chars.next()?.1),
                c => value.push(c),
            }
        }
        let cat = cat.filter(|_| value.is_empty());
        Some(Self { value: known.then_some(value), cat, length })
    }

    /// `cat FILE` → FILE.
    fn cat_of(command: &str) -> Option<String> {
        let path = command.trim().strip_prefix("cat ")?.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        (path.starts_with('/') && path.chars().all(plain)).then(|| path.to_owned())
    }
}

/// Takes characters up to `end`, and gives the text from byte `begin` to before it.
fn until<'a>(
    chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
    text: &'a str,
    begin: usize,
    end: char,
) -> Option<&'a str> {
    loop {
        let (at, c) = chars.next()?;
        if c == end {
            return text.get(begin..at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, Option<String>)> {
        read(text).0.into_iter().map(|a| (a.variable, a.value)).collect()
    }

    #[test]
    fn assignments_are_read_as_a_shell_would() {
        let known = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        assert_eq!(values("PORT=5050\n"), [known("PORT", "5050")]);
        assert_eq!(values("ULIMIT=\"-n 8192\" # open files"), [known("ULIMIT", "-n 8192")]);
        assert_eq!(values("  export MESOS_log_dir='/var/log/me sos'"), [known("MESOS_log_dir", "/var/log/me sos")]);
        assert_eq!(values("export A=1 B=2"), [known("A", "1"), known("B", "2")]);
        assert_eq!(values("A=a\\ b\"c\\\"d\"'e'"), [known("A", "a bc\"de")]);
        assert_eq!(values("# A=1\n\nB=\n"), [known("B", "")]);
        assert_eq!(values("A=$HOME/x"), [("A".to_owned(), None)]);
    }

    #[test]
    fn a_value_that_is_a_file_names_it() {
        for text in ["ZK=`cat /etc/mesos/zk`", "ZK=$(cat /etc/mesos/zk)", "ZK=\"$(cat /etc/mesos/zk)\""] {
            let (found, other) = read(text);
            assert_eq!(found.first().and_then(|a| a.cat.as_deref()), Some("/etc/mesos/zk"), "{text}");
            assert!(other.is_empty());
        }
        assert_eq!(read("ZK=zk://`cat /x`/mesos").0.first().and_then(|a| a.cat.clone()), None);
    }

    #[test]
    fn what_is_more_than_an_assignment_is_reported() {
        for text in ["if [ -f /x ]; then", "A=1; B=2", ". /etc/other", "export A", "A='open", "A=`open", "é=1"] {
            assert_eq!(read(text).1, [1], "{text}");
        }
        assert_eq!(read("A=1\nfoo\nB=2\n").1, [2]);
    }

    #[test]
    fn spans_point_at_the_value_and_the_line() {
        let text = "# é\nexport A='x y'\nB=2";
        let (found, _) = read(text);
        assert_eq!(&text[found[0].span.clone()], "'x y'");
        assert_eq!(&text[found[0].whole.clone()], "export A='x y'\n");
        assert_eq!(&text[found[1].span.clone()], "2");
        assert_eq!(&text[found[1].whole.clone()], "B=2");
    }
}
