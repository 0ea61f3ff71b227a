//! A module's arguments as written: `k=v` text, free text or a mapping become one mapping, checked against the module's table.

use super::compile::Compiler;
use crate::base::{Map, Node, NodeKind, Span, Style};
use crate::diag::{Diagnostic, did_you_mean};
use crate::modules::{Arguments, ModuleSpec, OptKind, broken_rules, convert, find_option};

impl Compiler<'_> {
    /// The arguments of a task as one mapping.
    pub(super) fn arguments(&mut self, spec: &'static ModuleSpec, task: &crate::playbook::Task) -> Node {
        let span = task.module_span;
        let mut entries: Vec<(Node, Node)> = Vec::new();
        match &task.arguments.kind {
            NodeKind::Null => {}
            NodeKind::Map(map) => entries.extend(map.iter().cloned()),
            NodeKind::String { text, .. } => self.text_arguments(spec, text, &task.arguments, &mut entries),
            NodeKind::Seq(_) if spec.free_form.is_some_and(|name| takes_list(spec, name)) => {
                entries.push((key(spec.free_form.unwrap_or_default(), task.arguments.span), task.arguments.clone()));
            }
            NodeKind::Bool(_) | NodeKind::Int(_) | NodeKind::Float(_) if spec.free_form.is_some() => {
                entries.push((key(spec.free_form.unwrap_or_default(), task.arguments.span), task.arguments.clone()));
            }
            _ => {
                let message =
                    format!("the arguments of `{}` are a mapping, not {}", spec.name, task.arguments.type_name());
                self.wrong.push(Diagnostic::error(message, task.arguments.span));
            }
        }
        match task.more.as_ref().map(|more| (&more.kind, more)) {
            None | Some((NodeKind::Null, _)) => {}
            Some((NodeKind::Map(map), _)) => {
                for (key, value) in map {
                    if !entries.iter().any(|(known, _)| known.as_str() == key.as_str()) {
                        entries.push((key.clone(), value.clone()));
                    }
                }
            }
            Some((_, more)) => {
                let message = format!("`args` is a mapping, not {}", more.type_name());
                self.wrong.push(Diagnostic::error(message, more.span));
            }
        }
        let node = Node { kind: NodeKind::Map(entries), span };
        self.check_arguments(spec, &node, span);
        node
    }

    fn text_arguments(&mut self, spec: &'static ModuleSpec, text: &str, whole: &Node, entries: &mut Vec<(Node, Node)>) {
        let span = whole.span;
        let words = match split(text) {
            Ok(words) => words,
            Err(reason) => {
                self.wrong.push(Diagnostic::error(format!("`{}`: {reason}", spec.name), span));
                return;
            }
        };
        let free = spec.free_form;
        let mut rest = String::new();
        for word in &words {
            let pair = word.text.split_once('=').filter(|(name, _)| {
                let known = find_option(spec, name).is_some();
                let a_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                // In free text only the module's own options count: `FOO=1 make` is a command.
                a_name && (known && Some(*name) != free || free.is_none())
            });
            match pair {
                Some((name, value)) => {
                    let value = Node { kind: string(unquote(value)), span };
                    entries.push((key(name, span), value));
                }
                None => rest.push_str(&text[word.start..word.end]),
            }
        }
        let rest = rest.trim();
        if rest.is_empty() {
            return;
        }
        match free {
            Some(name) => entries.push((key(name, span), Node { kind: string(rest.to_owned()), span })),
            None => {
                let message = format!("`{}` takes `name=value` pairs, and `{rest}` is none", spec.name);
                self.wrong.push(Diagnostic::error(message, span));
            }
        }
    }

    /// Checks what can be known without variables: names, what is required, and the types of literal values.
    fn check_arguments(&mut self, spec: &'static ModuleSpec, node: &Node, span: Span) {
        let entries = node.as_map().unwrap_or_default();
        let mut literal = Map::new();
        let mut given: Vec<&'static str> = Vec::new();
        let (mut dynamic, mut mistyped) = (false, false);
        for (key, value) in entries {
            let Some(name) = key.as_str() else {
                self.wrong.push(Diagnostic::error("the name of an option must be a word", key.span));
                continue;
            };
            if name.contains("{{") {
                dynamic = true;
                continue;
            }
            let Some(option) = find_option(spec, name) else {
                if spec.open {
                    self.check(value);
                } else {
                    self.unknown_option(spec, name, key.span);
                    mistyped = true;
                }
                continue;
            };
            if let Some(why) = option.refused {
                let message = format!("`{name}` of `{}` is not supported: {why}", spec.name);
                self.wrong.push(Diagnostic::error(message, key.span));
                continue;
            }
            if given.contains(&option.name) {
                let message = format!("`{}` is given twice", option.name);
                self.wrong.push(Diagnostic::error(message, key.span));
            }
            given.push(option.name);
            if option.kind == OptKind::Expression {
                for node in super::keywords::list(value) {
                    if let Some(text) = node.as_str()
                        && let Err(diagnostic) = self.engine.expression(text, node.span)
                    {
                        self.wrong.push(diagnostic);
                    }
                }
                continue;
            }
            self.check(value);
            if !has_template(value) {
                let plain = value.to_value();
                if plain.is_null() && option.kind != OptKind::Any {
                    given.pop();
                    continue;
                }
                match convert(option, plain.clone()) {
                    Ok(_) => {
                        literal.insert(option.name.to_owned(), plain);
                    }
                    Err(reason) => self.wrong.push(Diagnostic::error(format!("`{}`: {reason}", spec.name), value.span)),
                }
            }
        }
        // A mistyped name would make what it stands for look missing.
        if dynamic || mistyped {
            return;
        }
        let missing: Vec<_> = spec.options.iter().filter(|o| o.required && !given.contains(&o.name)).collect();
        for option in missing {
            let message = format!("`{}` needs `{}`", spec.name, option.name);
            self.wrong.push(Diagnostic::error(message, span).help(format!("{}: {}", option.name, option.about)));
        }
        let text = |name: &str| literal.get(name).map(crate::base::to_text);
        for broken in broken_rules(spec, &|name| given.contains(&name), &text) {
            self.wrong.push(Diagnostic::error(broken, span));
        }
        if let Some(check) = spec.check
            && let Err(reason) = check(&Arguments::partial(spec, literal))
        {
            self.wrong.push(Diagnostic::error(format!("`{}`: {reason}", spec.name), span));
        }
    }

    fn unknown_option(&mut self, spec: &'static ModuleSpec, name: &str, span: Span) {
        let options: Vec<&str> =
            spec.options.iter().filter(|o| o.refused.is_none()).map(|option| option.name).collect();
        let diagnostic = Diagnostic::error(format!("unknown option `{name}` for `{}`", spec.name), span);
        let diagnostic = match did_you_mean(name, options.iter().copied()) {
            Some(meant) => diagnostic.label(format!("did you mean `{meant}`?")),
            None => diagnostic,
        };
        self.wrong.push(diagnostic.help(format!("options: {}", options.join(", "))));
    }
}

fn takes_list(spec: &'static ModuleSpec, name: &str) -> bool {
    find_option(spec, name)
        .is_some_and(|option| matches!(option.kind, OptKind::List | OptKind::Any | OptKind::Expression))
}

fn key(name: &str, span: Span) -> Node {
    Node { kind: string(name.to_owned()), span }
}

fn string(text: String) -> NodeKind {
    NodeKind::String { text: text.into(), style: Style::Quoted, raw: false }
}

/// Whether anything in it is a template.
pub(crate) fn has_template(node: &Node) -> bool {
    match &node.kind {
        NodeKind::String { text, raw, .. } => {
            !raw && (text.contains("{{") || text.contains("{%") || text.contains("{#"))
        }
        NodeKind::Seq(items) => items.iter().any(has_template),
        NodeKind::Map(entries) => entries.iter().any(|(k, v)| has_template(k) || has_template(v)),
        NodeKind::Vault(_) => true,
        _ => false,
    }
}

#[derive(Debug, PartialEq)]
struct Word {
    /// The word with its quotes.
    text: String,
    /// Its bytes, with the blanks after it.
    start: usize,
    end: usize,
}

/// Splits at blanks outside quotes and braces.
fn split(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut quote: Option<char> = None;
    let mut depth = 0usize;
    let mut start: Option<usize> = None;
    let mut previous = '\0';
    let mut end_of_word = 0;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open && previous != '\\' => quote = None,
            Some(_) => {}
            None if (c == '\'' || c == '"') && previous != '\\' => quote = Some(c),
            None if c == '{' && matches!(text.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')) => depth += 1,
            None if c == '}' && matches!(previous, '}' | '%' | '#') => depth = depth.saturating_sub(1),
            None => {}
        }
        let blank = c.is_whitespace() && quote.is_none() && depth == 0;
        match start {
            None if !blank => start = Some(at),
            Some(from) if blank => {
                words.push(Word { text: text[from..at].to_owned(), start: from, end: at });
                start = None;
            }
            _ => {}
        }
        end_of_word = at + c.len_utf8();
        previous = c;
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    if let Some(from) = start {
        words.push(Word { text: text[from..end_of_word].to_owned(), start: from, end: end_of_word });
    }
    // Blanks belong to the word before them, so that free text is put together again as it was.
    for place in 0..words.len() {
        let next = words.get(place + 1).map_or(text.len(), |next| next.start);
        if let Some(word) = words.get_mut(place) {
            word.end = next;
        }
    }
    Ok(words)
}

fn unquote(value: &str) -> String {
    let quoted = |mark: char| value.len() >= 2 && value.starts_with(mark) && value.ends_with(mark);
    if quoted('"') || quoted('\'') { value[1..value.len() - 1].to_owned() } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_split_at_blanks_outside_quotes_and_braces() {
        let words: Vec<String> = split("src=a dest=\"b c\" mode={{ x | default('0 1') }} last")
            .unwrap()
            .into_iter()
            .map(|w| w.text)
            .collect();
        assert_eq!(words, ["src=a", "dest=\"b c\"", "mode={{ x | default('0 1') }}", "last"]);
        assert!(split("a 'b").is_err());
    }
}
