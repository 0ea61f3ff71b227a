//! Parser events to nodes, with a stack of its own: hostile nesting costs no call stack.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Tag};

use super::{merge, mistake, scalar};
use crate::base::{Node, NodeKind, SourceId, Span, Style};
use crate::diag::Diagnostic;

/// Nesting beyond this is refused, aliases followed. Later walks over a node recurse, and no playbook comes near it.
const DEEPEST: usize = 100;

/// Nodes that aliases may add to one document: room for defaults merged into 20,000 hosts, none for a bomb.
const MOST_COPIES: usize = 1_000_000;

/// What a text held.
pub(super) enum Outcome {
    /// A document.
    Node(Node),
    /// Nothing but comments.
    Empty,
    /// Wrong syntax.
    Broken,
}

/// Reads the first document of a text.
pub(super) fn document(text: &str, source: SourceId) -> (Outcome, Vec<Diagnostic>) {
    let mut builder = Builder::new(text, source);
    let mut options = granit_parser::options! {
        // As PyYAML: a block scalar on the last line gets no line feed that is not there.
        block_scalar_eof_without_line_feed: true,
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    options.set_emit_comments(false);
    let mut documents = 0;
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match next {
            Ok(next) => next,
            Err(error) => {
                let diagnostic = builder
                    .template_mistake(&error)
                    .or_else(|| builder.unclosed(&error))
                    .unwrap_or_else(|| mistake::syntax(&error, text, source));
                let start = |d: &Diagnostic| d.labels.first().map(|label| label.span.start);
                // A template that was taken for a mapping and then ran on is one mistake.
                builder.diagnostics.retain(|earlier| start(earlier) != start(&diagnostic));
                builder.diagnostics.push(diagnostic);
                return (Outcome::Broken, builder.diagnostics);
            }
        };
        if let Event::DocumentStart(..) = event {
            documents += 1;
            if documents > 1 {
                let span = builder.span(&span);
                builder.diagnostics.push(
                    Diagnostic::error("a second document begins here", span)
                        .help("one file holds one YAML document: move what follows `---` to a file of its own"),
                );
                break;
            }
        }
        if !builder.take(event, &span) {
            return (Outcome::Broken, builder.diagnostics);
        }
    }
    (builder.root.map_or(Outcome::Empty, |built| Outcome::Node(built.node)), builder.diagnostics)
}

/// A finished node with its size, for the bounds on aliases.
#[derive(Clone)]
struct Built {
    node: Node,
    /// Nodes in it, itself included.
    count: usize,
    /// Levels below and with it.
    depth: usize,
}

enum Open {
    Seq(Vec<Node>),
    Map { entries: Vec<(Node, Node)>, key: Option<Node> },
}

struct Frame {
    open: Open,
    start: usize,
    end: usize,
    anchor: usize,
    tag: Tagged,
    count: usize,
    depth: usize,
    /// A flow mapping that is a key of a flow mapping: `{{ x }}` without quotes.
    template: bool,
}

/// What a tag asks for.
#[derive(Clone, Copy, PartialEq)]
enum Tagged {
    No,
    Text,
    Unsafe,
    Vault,
    Int,
    Float,
    Bool,
    Null,
    Collection(&'static str),
    Wrong,
}

struct Builder<'t> {
    text: &'t str,
    source: SourceId,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Built>,
    copies: usize,
    root: Option<Built>,
    diagnostics: Vec<Diagnostic>,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str, source: SourceId) -> Self {
        Self {
            text,
            source,
            stack: Vec::new(),
            anchors: HashMap::new(),
            copies: 0,
            root: None,
            diagnostics: Vec::new(),
        }
    }

    fn bytes(&self, start: usize, end: usize) -> Span {
        let clamp = |at: usize| u32::try_from(at.min(self.text.len())).unwrap_or(u32::MAX);
        Span { source: self.source, start: clamp(start), end: clamp(end.max(start)) }
    }

    fn span(&self, span: &granit_parser::Span) -> Span {
        let start = span.start.byte_offset().unwrap_or(0);
        self.bytes(start, span.end.byte_offset().unwrap_or(start))
    }

    /// Takes one event; false when there is no point in going on.
    fn take(&mut self, event: Event<'_>, at: &granit_parser::Span) -> bool {
        let span = self.span(at);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tagged = self.tag(tag.as_deref(), at);
                let node = self.scalar(&text, style, tagged, span);
                self.finish(Built { node, count: 1, depth: 1 }, anchor)
            }
            Event::Alias(id) => self.alias(id, span),
            Event::UnresolvedAlias(name) => {
                self.diagnostics.push(
                    Diagnostic::error(format!("unknown alias `*{name}`"), span)
                        .label("no anchor of that name stands before this")
                        .help(format!("an anchor is set with `&{name}`; a text that begins with `*` needs quotes")),
                );
                self.finish(Built { node: Node { kind: NodeKind::Null, span }, count: 1, depth: 1 }, 0)
            }
            Event::SequenceStart(_, anchor, tag) => {
                let tagged = self.tag(tag.as_deref(), at);
                self.open(Open::Seq(Vec::new()), span, anchor, tagged)
            }
            Event::MappingStart(_, anchor, tag) => {
                let tagged = self.tag(tag.as_deref(), at);
                self.open(Open::Map { entries: Vec::new(), key: None }, span, anchor, tagged)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            _ => true,
        }
    }

    fn open(&mut self, open: Open, span: Span, anchor: usize, tag: Tagged) -> bool {
        if self.stack.len() >= DEEPEST {
            self.diagnostics.push(too_deep(span));
            return false;
        }
        let (start, end) = (span.start as usize, span.end as usize);
        self.stack.push(Frame { open, start, end, anchor, tag, count: 1, depth: 1, template: false });
        true
    }

    fn close(&mut self, at: Span) -> bool {
        let Some(frame) = self.stack.pop() else { return true };
        // The end event of a block collection lies at the next token; what it held ends sooner.
        let closes = matches!(self.text.as_bytes().get(at.start as usize), Some(b']' | b'}')) && at.end > at.start;
        let flow = matches!(self.text.as_bytes().get(frame.start), Some(b'[' | b'{'));
        let end = if closes && flow { at.end as usize } else { frame.end };
        let span = self.bytes(frame.start, end);
        if frame.template {
            self.diagnostics.push(mistake::unquoted_template(self.text, span));
            let written = self.text.get(frame.start..end).unwrap_or_default();
            return self.finish(Built { node: Node::string(written, span), count: 1, depth: 1 }, frame.anchor);
        }
        let mut node = match frame.open {
            Open::Seq(items) => Node { kind: NodeKind::Seq(items), span },
            Open::Map { entries, .. } => {
                Node { kind: NodeKind::Map(merge::finish(entries, &mut self.diagnostics)), span }
            }
        };
        let wanted = if matches!(node.kind, NodeKind::Seq(_)) { "seq" } else { "map" };
        match frame.tag {
            Tagged::No | Tagged::Wrong => {}
            Tagged::Collection(name) if name == wanted => {}
            Tagged::Unsafe => mark_raw(&mut node),
            _ => self.diagnostics.push(
                Diagnostic::error(format!("this tag can't stand before {}", node.type_name()), span).help(
                    "`!vault` and the types of scalars belong before one text; `!unsafe` may stand before anything",
                ),
            ),
        }
        self.finish(Built { node, count: frame.count, depth: frame.depth }, frame.anchor)
    }

    fn alias(&mut self, id: usize, span: Span) -> bool {
        let Some(mut built) = self.anchors.get(&id).cloned() else {
            self.diagnostics.push(
                Diagnostic::error("this alias stands inside what it names", span).help("a value can't contain itself"),
            );
            return self.finish(Built { node: Node { kind: NodeKind::Null, span }, count: 1, depth: 1 }, 0);
        };
        self.copies += built.count;
        if self.copies > MOST_COPIES {
            self.diagnostics.push(
                Diagnostic::error("aliases multiply this document beyond reason", span)
                    .help(format!("aliases may add {MOST_COPIES} values to one document")),
            );
            return false;
        }
        if self.stack.len() + built.depth > DEEPEST {
            self.diagnostics.push(too_deep(span));
            return false;
        }
        built.node.span = span;
        self.finish(built, 0)
    }

    /// Puts a finished node where it belongs.
    fn finish(&mut self, built: Built, anchor: usize) -> bool {
        if anchor != 0 {
            self.anchors.insert(anchor, built.clone());
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(built);
            return true;
        };
        let Built { node, count, depth } = built;
        frame.count += count;
        frame.depth = frame.depth.max(depth + 1);
        let flow = matches!(self.text.as_bytes().get(frame.start), Some(b'[' | b'{'));
        let (start, end) = (node.span.start as usize, node.span.end as usize);
        // Null without text lies at the next token.
        if !flow && end > start {
            frame.end = frame.end.max(end);
        }
        match &mut frame.open {
            Open::Seq(items) => items.push(node),
            Open::Map { entries, key } => match key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let scalar = !matches!(node.kind, NodeKind::Seq(_) | NodeKind::Map(_));
                    if !scalar && self.text.get(frame.start..).is_some_and(|rest| rest.starts_with("{{")) {
                        frame.template = true;
                    } else if !scalar || matches!(node.kind, NodeKind::Vault(_)) {
                        let wrong = format!("{} can't be a key", node.type_name());
                        self.diagnostics
                            .push(Diagnostic::error(wrong, node.span).help("a key is text, a number or a boolean"));
                    }
                    *key = Some(node);
                }
            },
        }
        true
    }

    fn tag(&mut self, tag: Option<&Tag>, at: &granit_parser::Span) -> Tagged {
        let Some(tag) = tag else { return Tagged::No };
        let core = tag.core_suffix();
        match (tag.handle(), tag.suffix(), core) {
            ("!", "vault" | "vault-encrypted", _) => Tagged::Vault,
            ("!", "unsafe", _) => Tagged::Unsafe,
            ("!", "", _) | ("", "!", _) | (_, _, Some("str")) => Tagged::Text,
            (_, _, Some("int")) => Tagged::Int,
            (_, _, Some("float")) => Tagged::Float,
            (_, _, Some("bool")) => Tagged::Bool,
            (_, _, Some("null")) => Tagged::Null,
            (_, _, Some("seq")) => Tagged::Collection("seq"),
            (_, _, Some("map")) => Tagged::Collection("map"),
            _ => {
                let span = at.tag_span().map_or_else(|| self.span(at), |tag| self.span(&tag));
                let written = self.text.get(span.start as usize..span.end as usize).unwrap_or("!");
                self.diagnostics.push(
                    Diagnostic::error(format!("unknown tag `{written}`"), span)
                        .help("tags: !vault, !unsafe; a text that begins with `!` needs quotes"),
                );
                Tagged::Wrong
            }
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Tagged, span: Span) -> Node {
        let plain = matches!(style, ScalarStyle::Plain);
        let mut span = span;
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            // A block ends where its text does, not at the next token.
            let written = self.text.get(span.start as usize..span.end as usize).unwrap_or_default().trim_end();
            span = self.bytes(span.start as usize, span.start as usize + written.len());
        }
        let string = |raw: bool| NodeKind::String {
            text: text.into(),
            style: if plain { Style::Plain } else { Style::Quoted },
            raw,
        };
        let kind = match tag {
            Tagged::No | Tagged::Wrong => {
                if plain {
                    scalar::resolve(text)
                } else {
                    string(false)
                }
            }
            Tagged::Text => string(false),
            Tagged::Unsafe => string(true),
            Tagged::Vault => NodeKind::Vault(text.into()),
            Tagged::Null => NodeKind::Null,
            Tagged::Int | Tagged::Float | Tagged::Bool => {
                let wanted = match (tag, scalar::resolve(text)) {
                    (Tagged::Int, NodeKind::Int(value)) => Some(NodeKind::Int(value)),
                    (Tagged::Bool, NodeKind::Bool(value)) => Some(NodeKind::Bool(value)),
                    (Tagged::Float, NodeKind::Float(value)) => Some(NodeKind::Float(value)),
                    #[expect(clippy::cast_precision_loss, reason = "a float was asked for")]
                    (Tagged::Float, NodeKind::Int(value)) => Some(NodeKind::Float(value as f64)),
                    _ => None,
                };
                wanted.unwrap_or_else(|| {
                    let name = match tag {
                        Tagged::Int => "a whole number",
                        Tagged::Float => "a number",
                        _ => "a boolean",
                    };
                    self.diagnostics.push(Diagnostic::error(format!("`{text}` is not {name}, as its tag says"), span));
                    NodeKind::Null
                })
            }
            Tagged::Collection(name) => {
                let name = if name == "seq" { "a list" } else { "a mapping" };
                self.diagnostics.push(Diagnostic::error(format!("this is not {name}, as its tag says"), span));
                NodeKind::Null
            }
        };
        Node { kind, span }
    }

    /// A bracket that was opened on an earlier line and ran into the next key.
    fn unclosed(&self, error: &granit_parser::ScanError) -> Option<Diagnostic> {
        use granit_parser::ErrorKind::{InvalidColonPlacement, MappingValueNotAllowed};
        if !matches!(error.kind(), MappingValueNotAllowed | InvalidColonPlacement) {
            return None;
        }
        let at = error.marker().byte_offset()?.min(self.text.len());
        let start = self.stack.last()?.start;
        let open = *self.text.as_bytes().get(start)?;
        let (open, close) = match open {
            b'[' => ('[', ']'),
            b'{' => ('{', '}'),
            _ => return None,
        };
        self.text.get(start..at)?.contains('\n').then(|| {
            Diagnostic::error(format!("`{open}` is not closed"), self.bytes(start, start + 1))
                .help(format!("a `{close}` is missing"))
        })
    }

    /// Whether a syntax error comes from a template without quotes: an open mapping that begins with two braces, or a value on
    /// the line of the error that does.
    fn template_mistake(&self, error: &granit_parser::ScanError) -> Option<Diagnostic> {
        let open =
            self.stack.iter().find(|frame| self.text.get(frame.start..).is_some_and(|rest| rest.starts_with("{{")));
        let at = error.marker().byte_offset().unwrap_or(0).min(self.text.len());
        let start = match open {
            Some(frame) => frame.start,
            None => mistake::template_on_line(self.text, at)?,
        };
        let line_end = self.text.get(start..)?.find('\n').map_or(self.text.len(), |length| start + length);
        let written = self.text.get(start..line_end)?.trim_end();
        Some(mistake::unquoted_template(self.text, self.bytes(start, start + written.len())))
    }
}

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error(format!("lists and mappings are nested more than {DEEPEST} deep"), span)
}

/// Marks every string in a tagged collection: none of it is ever rendered.
fn mark_raw(node: &mut Node) {
    match &mut node.kind {
        NodeKind::String { raw, .. } => *raw = true,
        NodeKind::Seq(items) => items.iter_mut().for_each(mark_raw),
        NodeKind::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
            mark_raw(key);
            mark_raw(value);
        }),
        _ => {}
    }
}
