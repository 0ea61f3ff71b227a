//! Splits a host line into words as a POSIX shell would, with the place of each: quotes group, `\` escapes, `#` ends.

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Its text without quotes.
    pub(super) text: String,
    /// Where it begins in the line (bytes).
    pub(super) start: usize,
    /// The byte after it.
    pub(super) end: usize,
}

/// Splits a line. A `#` outside quotes starts a comment, even in the middle of a word: Ansible's rule.
///
/// # Errors
/// What is not closed, and the byte where it begins.
pub(super) fn split(line: &str) -> Result<Vec<Word>, (String, usize)> {
    let mut words = Vec::new();
    let mut current: Option<Word> = None;
    let mut letters = line.char_indices().peekable();
    while let Some((at, c)) = letters.next() {
        if c.is_ascii_whitespace() {
            finish(&mut words, current.take(), at);
            continue;
        }
        if c == '#' {
            finish(&mut words, current.take(), at);
            return Ok(words);
        }
        let word = current.get_or_insert_with(|| Word { text: String::new(), start: at, end: at });
        match c {
            '\'' | '"' => {
                let mut closed = false;
                while let Some((_, inner)) = letters.next() {
                    if inner == c {
                        closed = true;
                        break;
                    }
                    if inner == '\\' && c == '"' {
                        match letters.peek() {
                            Some((_, next @ ('"' | '\\'))) => {
                                word.text.push(*next);
                                letters.next();
                            }
                            _ => word.text.push('\\'),
                        }
                        continue;
                    }
                    word.text.push(inner);
                }
                if !closed {
                    return Err(("this quote is not closed".to_owned(), at));
                }
            }
            '\\' => match letters.next() {
                Some((_, escaped)) => word.text.push(escaped),
                None => return Err(("nothing follows this backslash".to_owned(), at)),
            },
            _ => word.text.push(c),
        }
    }
    finish(&mut words, current, line.len());
    Ok(words)
}

fn finish(words: &mut Vec<Word>, word: Option<Word>, end: usize) {
    if let Some(word) = word {
        words.push(Word { end, ..word });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        split(line).unwrap().into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn quotes_group_and_a_hash_ends_the_line() {
        assert_eq!(texts(r#"h a=1 b="x y" c='p "q"' d=e\ f"#), ["h", "a=1", "b=x y", "c=p \"q\"", "d=e f"]);
        assert_eq!(texts("h hash=a#b rest"), ["h", "hash=a"]);
        assert_eq!(texts("h q='a#b' # comment"), ["h", "q=a#b"]);
        assert_eq!(texts(r#"h j="{\"a\": 1}" k="a\b""#), ["h", r#"j={"a": 1}"#, r"k=a\b"]);
        assert_eq!(texts("h e=''"), ["h", "e="]);
        assert_eq!(texts(""), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_closed_is_pointed_at() {
        assert_eq!(split("h a='x").unwrap_err(), ("this quote is not closed".to_owned(), 4));
        assert_eq!(split("h a\\").unwrap_err().1, 3);
    }

    #[test]
    fn words_know_their_place() {
        let words = split("é  b=2 #x").unwrap();
        assert_eq!((words[0].start, words[0].end), (0, 2));
        assert_eq!((words[1].start, words[1].end), (4, 7));
    }
}
