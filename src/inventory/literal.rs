//! Values of INI inventories: a Python literal when the text is one, else the text itself.
//!
//! This is what `ast.literal_eval` reads, as far as inventories use it: numbers, strings, `True`, `False`, `None`, lists,
//! tuples and sets (as lists), dictionaries, with a comment behind. Complex numbers and integers beyond 64 bits stay text.

use crate::base::{Node, NodeKind, Span};

/// Deeper than this the text stays text.
const DEEPEST: usize = 64;

/// Reads a value; every node gets the span of the whole.
pub(super) fn value(text: &str, span: Span) -> Node {
    let mut reader = Reader { rest: text.trim_start_matches([' ', '\t']), span, depth: 0 };
    match reader.whole() {
        Some(node) => node,
        None => Node::string(text, span),
    }
}

struct Reader<'a> {
    rest: &'a str,
    span: Span,
    depth: usize,
}

impl Reader<'_> {
    fn whole(&mut self) -> Option<Node> {
        let first = self.item()?;
        self.blanks();
        let node = if self.rest.starts_with(',') {
            // `1,2` without brackets is a tuple.
            let mut items = vec![first];
            while self.eat(',') {
                self.blanks();
                if self.ended() {
                    break;
                }
                items.push(self.item()?);
                self.blanks();
            }
            self.node(NodeKind::Seq(items))
        } else {
            first
        };
        self.ended().then_some(node)
    }

    fn ended(&mut self) -> bool {
        self.blanks();
        self.rest.is_empty() || self.rest.starts_with('#')
    }

    fn node(&self, kind: NodeKind) -> Node {
        Node { kind, span: self.span }
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\u{c}']);
    }

    fn eat(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn item(&mut self) -> Option<Node> {
        self.blanks();
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let node = match self.rest.chars().next()? {
            '[' => self.sequence(']'),
            '(' => self.parenthesis(),
            '{' => self.braces(),
            '\'' | '"' => self.strings(),
            c if c.is_ascii_digit() || matches!(c, '.' | '-' | '+') => self.number(),
            c if c.is_ascii_alphabetic() => self.word(),
            _ => None,
        };
        self.depth -= 1;
        node
    }

    fn items(&mut self, close: char) -> Option<(Vec<Node>, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            self.blanks();
            if self.eat(close) {
                return Some((items, comma));
            }
            if !items.is_empty() && !comma {
                return None;
            }
            items.push(self.item()?);
            self.blanks();
            comma = self.eat(',');
        }
    }

    fn sequence(&mut self, close: char) -> Option<Node> {
        self.rest = self.rest.get(1..)?;
        let (items, _) = self.items(close)?;
        Some(self.node(NodeKind::Seq(items)))
    }

    /// `(1)` is 1, `(1,)` and `()` are tuples.
    fn parenthesis(&mut self) -> Option<Node> {
        self.rest = self.rest.get(1..)?;
        let (mut items, comma) = self.items(')')?;
        if items.len() == 1 && !comma {
            return items.pop();
        }
        Some(self.node(NodeKind::Seq(items)))
    }

    fn braces(&mut self) -> Option<Node> {
        self.rest = self.rest.get(1..)?;
        self.blanks();
        if self.eat('}') {
            return Some(self.node(NodeKind::Map(Vec::new())));
        }
        let first = self.item()?;
        self.blanks();
        if !self.eat(':') {
            let mut items = vec![first];
            let more = self.eat(',');
            let (rest, _) = self.items('}')?;
            if !more && !rest.is_empty() {
                return None;
            }
            items.extend(rest);
            return Some(self.node(NodeKind::Seq(items)));
        }
        let mut entries: Vec<(Node, Node)> = Vec::new();
        let mut key = first;
        loop {
            let value = self.item()?;
            match entries.iter_mut().find(|(known, _)| known.kind == key.kind) {
                Some((_, old)) => *old = value,
                None => entries.push((key, value)),
            }
            self.blanks();
            let comma = self.eat(',');
            self.blanks();
            if self.eat('}') {
                return Some(self.node(NodeKind::Map(entries)));
            }
            if !comma {
                return None;
            }
            key = self.item()?;
            self.blanks();
            if !self.eat(':') {
                return None;
            }
        }
    }

    fn word(&mut self) -> Option<Node> {
        let length = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        if rest.starts_with(['\'', '"']) && matches!(word.to_ascii_lowercase().as_str(), "u" | "r" | "b" | "br" | "rb")
        {
            return self.strings();
        }
        let kind = match word {
            "True" => NodeKind::Bool(true),
            "False" => NodeKind::Bool(false),
            "None" => NodeKind::Null,
            _ => return None,
        };
        self.rest = rest;
        Some(self.node(kind))
    }

    /// One string, or several side by side, which Python joins.
    fn strings(&mut self) -> Option<Node> {
        let mut text = String::new();
        loop {
            let prefix = self.rest.find(['\'', '"'])?;
            let raw = self.rest[..prefix].to_ascii_lowercase().contains('r');
            self.rest = &self.rest[prefix..];
            self.string(raw, &mut text)?;
            self.blanks();
            let next = self.rest.trim_start_matches(['u', 'U', 'r', 'R', 'b', 'B']);
            if self.rest.len() - next.len() > 2 || !next.starts_with(['\'', '"']) {
                break;
            }
        }
        Some(Node::string(text, self.span))
    }

    fn string(&mut self, raw: bool, text: &mut String) -> Option<()> {
        let quote = self.rest.chars().next()?;
        let triple: String = std::iter::repeat_n(quote, 3).collect();
        let close = if self.rest.starts_with(&triple) { triple } else { quote.to_string() };
        let mut rest = &self.rest[close.len()..];
        loop {
            if let Some(after) = rest.strip_prefix(close.as_str()) {
                self.rest = after;
                return Some(());
            }
            let c = rest.chars().next()?;
            rest = &rest[c.len_utf8()..];
            if c != '\\' {
                text.push(c);
                continue;
            }
            let escaped = rest.chars().next()?;
            if raw {
                text.push('\\');
                text.push(escaped);
                rest = &rest[escaped.len_utf8()..];
                continue;
            }
            rest = escape(rest, escaped, text)?;
        }
    }

    fn number(&mut self) -> Option<Node> {
        let mut negative = false;
        while let Some(sign) = self.rest.chars().next().filter(|c| matches!(c, '-' | '+')) {
            negative ^= sign == '-';
            self.rest = self.rest[1..].trim_start_matches([' ', '\t']);
        }
        let mut exponent = false;
        let mut length = 0;
        for (at, c) in self.rest.char_indices() {
            let part = c.is_ascii_alphanumeric() || matches!(c, '.' | '_') || (exponent && matches!(c, '+' | '-'));
            if !part {
                break;
            }
            exponent = matches!(c, 'e' | 'E') && !self.rest.starts_with("0x") && !self.rest.starts_with("0X");
            length = at + c.len_utf8();
        }
        let (digits, rest) = self.rest.split_at(length);
        let kind = number(digits, negative)?;
        self.rest = rest;
        Some(self.node(kind))
    }
}

fn number(digits: &str, negative: bool) -> Option<NodeKind> {
    // Underscores stand between digits, one at a time.
    let lone = digits.split('_').all(|part| !part.is_empty());
    if !lone || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let plain = digits.replace('_', "");
    let sign = if negative { "-" } else { "" };
    let radix = match plain.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => 16,
        Some("0o") => 8,
        Some("0b") => 2,
        _ => 10,
    };
    if radix != 10 {
        return i64::from_str_radix(&format!("{sign}{}", &plain[2..]), radix).ok().map(NodeKind::Int);
    }
    if plain.bytes().all(|b| b.is_ascii_digit()) {
        let leading_zero = plain.starts_with('0') && plain.bytes().any(|b| b != b'0');
        return if leading_zero { None } else { format!("{sign}{plain}").parse().ok().map(NodeKind::Int) };
    }
    let shape = plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    // Rust, like Python, takes `.5` and `5.` but no exponent without digits before it.
    if shape && plain.bytes().any(|b| b.is_ascii_digit()) {
        return format!("{sign}{plain}").parse().ok().map(NodeKind::Float);
    }
    None
}

/// One escape sequence; gives what follows it.
fn escape<'a>(rest: &'a str, escaped: char, text: &mut String) -> Option<&'a str> {
    let after = &rest[escaped.len_utf8()..];
    let plain = match escaped {
        '\\' | '\'' | '"' => escaped,
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        '0'..='7' => {
            let length = rest.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
            text.push(char::from_u32(u32::from_str_radix(&rest[..length], 8).ok()?)?);
            return Some(&rest[length..]);
        }
        'x' | 'u' | 'U' => {
            let length = match escaped {
                'x' => 2,
                'u' => 4,
                _ => 8,
            };
            let digits = after.get(..length).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            text.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
            return Some(&after[length..]);
        }
        other => {
            // An unknown escape keeps its backslash.
            text.push('\\');
            other
        }
    };
    text.push(plain);
    Some(after)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn values_are_python_literals_or_text() {
        let cases: &[(&str, Value)] = &[
            ("7", json!(7)),
            ("-1", json!(-1)),
            ("+1", json!(1)),
            ("--1", json!(1)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1e3", json!(1000.0)),
            ("1e-3", json!(0.001)),
            ("0x1f", json!(31)),
            ("0o17", json!(15)),
            ("1_000", json!(1000)),
            ("00", json!(0)),
            ("0123", json!("0123")),
            ("1__0", json!("1__0")),
            ("12345678901234567890123", json!("12345678901234567890123")),
            ("1.2.3", json!("1.2.3")),
            ("10.0.0.1", json!("10.0.0.1")),
            ("2024-01-01", json!("2024-01-01")),
            ("1 + 1", json!("1 + 1")),
            ("5e", json!("5e")),
            ("True", json!(true)),
            ("False", json!(false)),
            ("None", json!(null)),
            ("yes", json!("yes")),
            ("true", json!("true")),
            ("", json!("")),
            ("foo", json!("foo")),
            ("foo # bar", json!("foo # bar")),
            ("5 # five", json!(5)),
            ("'03#x'", json!("03#x")),
            ("'a' 'b'", json!("ab")),
            ("u'x'", json!("x")),
            (r"r'a\n'", json!(r"a\n")),
            (r"'a\nb\x41\u00e9\d'", json!("a\nbAé\\d")),
            ("'open", json!("'open")),
            ("'''three'''", json!("three")),
            ("[1,2]", json!([1, 2])),
            ("[1, 'a', [True],]", json!([1, "a", [true]])),
            ("[1 2]", json!("[1 2]")),
            ("[a]", json!("[a]")),
            ("1,2", json!([1, 2])),
            ("a,b", json!("a,b")),
            ("(1)", json!(1)),
            ("(1,)", json!([1])),
            ("()", json!([])),
            ("{}", json!({})),
            ("{1, 2}", json!([1, 2])),
            ("{'a': 1, 'b': [None]}", json!({"a": 1, "b": [null]})),
            ("{'a': 1, 'a': 2}", json!({"a": 2})),
            ("{{ x }}", json!("{{ x }}")),
            ("{a: 1}", json!("{a: 1}")),
        ];
        for (text, wanted) in cases {
            assert_eq!(&value(text, Span::NONE).to_value(), wanted, "{text}");
        }
    }

    #[test]
    fn deep_nesting_stays_text() {
        let text = "[".repeat(100_000);
        assert_eq!(value(&text, Span::NONE).as_str(), Some(text.as_str()));
    }
}
