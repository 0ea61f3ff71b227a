//! Which texts in an opened file are secrets that must not be shown.
//!
//! Who encrypts a file as a whole seldom means each value in it. Hiding `root`, `true` or the address of a host wherever it stands
//! would make every output unreadable; so what is short and plain, and how hosts are reached, is left alone unless its name says that
//! it is a secret.

use crate::base::{Node, NodeKind, Secret, SourceId};
use crate::diag::names_secret;

/// Letters only, and shorter than this: a word like `root` or `true`, not a secret.
const SHORT: usize = 6;

/// How hosts are reached: no secrets, and in every message.
const CONNECTION: &[&str] = &["ansible_host", "ansible_port", "ansible_user", "ansible_connection", "ansible_ssh_host"];

/// The secrets of a file: the values of YAML or JSON, else its lines.
pub(super) fn of_file(text: &str) -> Vec<Secret> {
    let (node, wrong) = crate::yaml::parse_text(text, SourceId(u32::MAX));
    let mut found = Vec::new();
    match node.filter(|node| wrong.is_empty() && matches!(node.kind, NodeKind::Map(_) | NodeKind::Seq(_))) {
        Some(node) => collect(&node, "", &mut found),
        None => {
            for line in text.lines().map(str::trim) {
                let words = line.split_whitespace().filter_map(|word| word.split_once('=')).map(|(_, value)| value);
                let value = line.split_once('=').map(|(_, value)| value);
                let texts = words.chain(value).chain([line]).map(|text| text.trim().trim_matches(['"', '\'']));
                found.extend(texts.filter(|text| text.len() >= SHORT).map(Secret::new));
            }
        }
    }
    found
}

fn collect(node: &Node, key: &str, found: &mut Vec<Secret>) {
    match &node.kind {
        NodeKind::Seq(items) => items.iter().for_each(|item| collect(item, key, found)),
        NodeKind::Map(entries) => {
            for (key, value) in entries {
                collect(value, key.as_str().unwrap_or_default(), found);
            }
        }
        NodeKind::String { text, .. } => {
            let plain = text.len() < SHORT && text.chars().all(char::is_alphabetic);
            let template = text.contains("{{") || text.contains("{%");
            if !template && !CONNECTION.contains(&key) && (!plain || names_secret(key)) {
                found.push(Secret::new(text.as_ref()));
            }
        }
        // A password of digits; a port or a count stays.
        NodeKind::Int(number) if number.abs() >= 1_000_000 || names_secret(key) => {
            found.push(Secret::new(number.to_string()));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_secrets_and_plain_words_are_not() {
        let found = of_file(
            "user: root\nansible_host: 10.0.0.10\ndb_password: abcd\npin: 12345678\nport: 9200\nk: ab1\nl: [secret-1, '{{ x }}']\n",
        );
        let found: Vec<_> = found.iter().map(|secret| secret.reveal().to_owned()).collect();
        assert_eq!(found, ["abcd", "12345678", "ab1", "secret-1"]);
        let lines = of_file("[h]\nx password='hunter22' b=second-1\n");
        let lines: Vec<_> = lines.iter().map(|secret| secret.reveal().to_owned()).collect();
        assert_eq!(lines, ["hunter22", "second-1", "hunter22' b=second-1", "x password='hunter22' b=second-1"]);
    }
}
