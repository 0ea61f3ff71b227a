use std::fmt::Write as _;

use super::*;
use crate::diag::{Severity, render_all};

fn read(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    let sources = Sources::new();
    let source = sources.add("site.yml", text);
    parse(&sources, source)
}

fn good(text: &str) -> Node {
    let (node, diagnostics) = read(text);
    assert!(diagnostics.is_empty(), "{text}\n{diagnostics:?}");
    node.expect("a node")
}

fn complaint(text: &str) -> String {
    let sources = Sources::new();
    let source = sources.add("site.yml", text);
    let (_, diagnostics) = parse(&sources, source);
    assert!(!diagnostics.is_empty(), "nothing wrong found in {text:?}");
    render_all(&diagnostics, &sources, false)
}

/// One text a mistake; the picture of each is in tests/yaml.
const MISTAKES: &[&str] = &[
    "copy: {{ x }}\n",
    "- copy: {{ x }}/foo\n",
    "k: {{ a['b'] | default(\"x\") }}\n",
    "é: {{ x }}\nl: {{ y }}\n",
    "- {{ x }}\n",
    "a: [x, {{ y }}]\n",
    "a:\n\tb: 1\n",
    "a: b: c\n",
    "- name: x\n  when: a == \"b\" and c: d\n",
    "a:\n  b: 1\n c: 2\n",
    "  a: 1\nb: 2\n",
    "a: 1\nb\nc: 2\n",
    "- a\nb: 1\n",
    "a: 1\n- b\n",
    "a: - b\n",
    "a: |\n  x\n y\n",
    "a: 'x\nb: 1\n",
    "a: \"x\nb: 1\n",
    "a: 'it's'\n",
    "k: \"{{ x }}\"/foo\n",
    "a: \"\\d\"\n",
    "a: [1, 2\nb: 3\n",
    "a: {b: 1\n",
    "a: }\n",
    "a: @x\n",
    "a: %x\n",
    "a: *nope\n",
    "a: &x [*x]\n",
    "a: !foo 1\n",
    "a: !vault [x]\n",
    "a: !!int x\n",
    "a: 1\n---\nb: 2\n",
    "a: 1\nb: 2\na: 2\n",
    "{a: 1}: 2\n",
    "<<: 1\n",
];

#[test]
fn each_mistake_has_its_message_and_its_place() {
    let mut all = String::new();
    for text in MISTAKES {
        let _ = write!(all, "{:-<100}\n{text}\n{}", "", complaint(text));
    }
    insta::with_settings!({snapshot_path => "../../tests/yaml", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("mistakes", all);
    });
}

fn slice<'t>(text: &'t str, node: &Node) -> &'t str {
    &text[node.span.start as usize..node.span.end as usize]
}

#[test]
fn spans_are_exact_after_wide_text() {
    let text = "# größe ✓\n\"naïve\": 'é'\nlist:\n  - ü\n  - {k: \"ß\"}   # end\nmap:\n  inner: |\n    text ✓\n    more\nlast: [1, 2]\n";
    let node = good(text);
    let entries = node.as_map().unwrap();
    assert_eq!(slice(text, &entries[0].0), "\"naïve\"");
    assert_eq!(slice(text, &entries[0].1), "'é'");
    assert_eq!(slice(text, &entries[1].1), "- ü\n  - {k: \"ß\"}");
    let items = entries[1].1.as_seq().unwrap();
    assert_eq!(slice(text, &items[0]), "ü");
    assert_eq!(slice(text, &items[1]), "{k: \"ß\"}");
    assert_eq!(slice(text, items[1].get("k").unwrap()), "\"ß\"");
    assert_eq!(slice(text, &entries[2].0), "map");
    let inner = entries[2].1.get("inner").unwrap();
    assert_eq!(inner.as_str(), Some("text ✓\nmore\n"));
    assert!(slice(text, inner).contains("text ✓"), "{:?}", slice(text, inner));
    assert_eq!(slice(text, &entries[3].1), "[1, 2]");
    assert_eq!(slice(text, &node), &text[text.find("\"naïve").unwrap()..text.len() - 1]);
}

#[test]
fn an_empty_text_is_null() {
    for text in ["", "\n", "# only a comment\n", "---\n", "---\n...\n"] {
        assert_eq!(good(text).kind, NodeKind::Null, "{text:?}");
    }
}

#[test]
fn quoted_scalars_stay_text() {
    let node = good("a: 'yes'\nb: \"0644\"\nc: |\n  12\nd: yes\n");
    assert_eq!(node.get("a").unwrap().as_str(), Some("yes"));
    assert_eq!(node.get("b").unwrap().as_str(), Some("0644"));
    assert_eq!(node.get("c").unwrap().as_str(), Some("12\n"));
    assert_eq!(node.get("d").unwrap().kind, NodeKind::Bool(true));
}

#[test]
fn a_block_scalar_at_the_end_gets_no_line_feed_of_its_own() {
    assert_eq!(good("a: |\n  x").get("a").unwrap().as_str(), Some("x"));
}

#[test]
fn tags_change_what_a_value_is() {
    let node = good(
        "v: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\nu: !unsafe '{{ x }}'\nl: !unsafe\n  - '{{ y }}'\n  - {k: '{{ z }}'}\nt: !!str 12\np: '{{ x }}'\n",
    );
    assert_eq!(node.get("v").unwrap().kind, NodeKind::Vault("$ANSIBLE_VAULT;1.1;AES256\n6162\n".into()));
    let raw = |node: &Node| matches!(node.kind, NodeKind::String { raw: true, .. });
    assert!(raw(node.get("u").unwrap()));
    let items = node.get("l").unwrap().as_seq().unwrap();
    assert!(raw(&items[0]) && raw(items[1].get("k").unwrap()));
    assert_eq!(node.get("t").unwrap().as_str(), Some("12"));
    assert!(!raw(node.get("p").unwrap()));
}

#[test]
fn merge_keys_give_defaults() {
    let text = "one: &one {a: 1, b: 1}\ntwo: &two {b: 2, c: 2}\nx:\n  c: 9\n  <<: [*one, *two]\ny:\n  <<: *one\n  '<<': kept\n";
    let node = good(text);
    let written = |key: &str| node.get(key).unwrap().to_value();
    assert_eq!(written("x"), serde_json::json!({"b": 1, "c": 9, "a": 1}));
    assert_eq!(written("y"), serde_json::json!({"a": 1, "b": 1, "<<": "kept"}));
}

#[test]
fn an_alias_stands_where_it_is_used() {
    let text = "a: &x {k: 1}\nb: *x\n";
    let node = good(text);
    assert_eq!(slice(text, node.get("b").unwrap()), "*x");
    assert_eq!(slice(text, node.get("b").unwrap().get("k").unwrap()), "1");
}

#[test]
fn of_duplicates_the_last_wins_with_a_warning() {
    let (node, diagnostics) = read("a: 1\nb: 2\na: 3\n");
    assert_eq!(node.unwrap().get("a").unwrap().kind, NodeKind::Int(3));
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].severity, Severity::Warning);
    assert_eq!(diagnostics[0].labels.len(), 2);
}

#[test]
fn all_mistakes_are_found_in_one_go() {
    let (node, diagnostics) = read("a: *nope\nb: !foo 1\nc: {{ x }}\nd: 1\n");
    assert_eq!(diagnostics.len(), 3);
    assert_eq!(node.unwrap().get("d").unwrap().kind, NodeKind::Int(1));
}

#[test]
fn hostile_texts_are_refused_quickly() {
    let deep = "[".repeat(100_000);
    let (node, diagnostics) = read(&deep);
    assert!(node.is_none() && !diagnostics.is_empty());
    let mut block = String::new();
    for level in 0..5000 {
        let _ = writeln!(block, "{}a:", " ".repeat(level));
    }
    assert!(read(&block).0.is_none());
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        let _ = writeln!(bomb, "a{level}: &a{level} [{}]", vec![below; 10].join(", "));
    }
    let (node, diagnostics) = read(&bomb);
    assert!(node.is_none());
    assert!(diagnostics[0].message.contains("multiply"), "{diagnostics:?}");
}

#[test]
fn aliases_that_nest_are_refused_too() {
    let mut text = String::from("a0: &a0 [x]\n");
    for level in 1..300 {
        let _ = writeln!(text, "a{level}: &a{level} [*a{}]", level - 1);
    }
    assert!(read(&text).0.is_none());
}

#[test]
fn json_is_read_too() {
    let node = good("{\"a\": [1, true, null, \"x\\u00e9\"], \"b\": {\"c\": 1.5}}");
    assert_eq!(node.to_value(), serde_json::json!({"a": [1, true, null, "xé"], "b": {"c": 1.5}}));
}

/// What is written at random never panics, and every span lies in the text.
#[test]
fn any_text_is_read_or_refused() {
    let pieces = [
        "a", ": ", "\n", "  ", "- ", "{{", "}}", "[", "]", "'", "\"", "&x ", "*x", "!vault ", "|", "\t", "é", "#",
        "<<", "---\n", ",",
    ];
    let mut state: u64 = 7;
    for _ in 0..3000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
        }
        let sources = Sources::new();
        let source = sources.add("fuzz", text.as_str());
        let (node, diagnostics) = parse(&sources, source);
        assert!(node.is_some() || !diagnostics.is_empty(), "{text:?}");
        for label in diagnostics.iter().flat_map(|d| &d.labels) {
            assert!(text.get(label.span.start as usize..label.span.end as usize).is_some(), "{text:?} {diagnostics:?}");
        }
        let _ = render_all(&diagnostics, &sources, false);
    }
}
