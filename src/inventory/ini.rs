//! INI inventories: `[group]`, `[group:children]`, `[group:vars]`; facts in Ansible's manual and measured.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::graph::{Graph, UNGROUPED};
use super::{address, literal, words};
use crate::base::{Node, NodeKind, SourceId, Span};
use crate::diag::{Diagnostic, did_you_mean};

/// What the lines below a heading are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Hosts,
    Children,
    Vars,
}

/// A group that was named before it was declared.
#[derive(Debug)]
struct Pending {
    /// Groups that want it as a child, with the place where they say so.
    parents: Vec<(u32, Span)>,
    /// Where it got variables.
    variables: Option<Span>,
}

/// Reads a text into the graph; gives all that is wrong in it.
pub(super) fn read(graph: &mut Graph, source: SourceId, text: &str) -> Vec<Diagnostic> {
    let declared = graph.groups.keys().cloned().collect();
    let mut reader = Reader { graph, source, declared, pending: IndexMap::new(), found: Vec::new() };
    reader.lines(text);
    reader.finish();
    reader.found
}

struct Reader<'a> {
    graph: &'a mut Graph,
    source: SourceId,
    declared: IndexSet<Arc<str>>,
    pending: IndexMap<String, Pending>,
    found: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn span(&self, start: usize, end: usize) -> Span {
        Span { source: self.source, start: start as u32, end: end as u32 }
    }

    fn error(&mut self, message: impl Into<String>, span: Span) -> &mut Diagnostic {
        self.found.push(Diagnostic::error(message, span));
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    fn lines(&mut self, text: &str) {
        let (mut group, mut section) = (UNGROUPED, Section::Hosts);
        let mut offset = 0;
        for whole in text.split_inclusive('\n') {
            let line = whole.trim();
            let start = offset + (whole.len() - whole.trim_start().len());
            offset += whole.len();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            match heading(line) {
                Heading::Section { name, kind } => {
                    let name_span = self.span(start + 1, start + 1 + name.len());
                    section = match kind {
                        None | Some("hosts") => Section::Hosts,
                        Some("children") => Section::Children,
                        Some("vars") => Section::Vars,
                        Some(other) => {
                            let from = start + name.len() + 2;
                            let span = self.span(from, from + other.len());
                            let meant = did_you_mean(other, ["hosts", "children", "vars"]);
                            let error = self.error(format!("unknown kind of section `{other}`"), span);
                            label_meant(error, meant);
                            error.help.push("kinds: hosts, children, vars".to_owned());
                            Section::Hosts
                        }
                    };
                    group = self.graph.add_group(name, name_span);
                    if section == Section::Vars {
                        if !self.declared.contains(name) {
                            let pending = self.pending(name);
                            pending.variables.get_or_insert(name_span);
                        }
                    } else {
                        self.declare(name, group);
                    }
                }
                Heading::Broken => {
                    let span = self.span(start, start + line.len());
                    self.error("this section heading can't be read", span).help.push(
                        "write [group], [group:children] or [group:vars], without blanks inside the brackets"
                            .to_owned(),
                    );
                }
                Heading::None => match section {
                    Section::Hosts => self.host_line(line, start, group),
                    Section::Children => self.child_line(line, start, group),
                    Section::Vars => self.variable_line(line, start, group),
                },
            }
        }
    }

    fn pending(&mut self, name: &str) -> &mut Pending {
        self.pending.entry(name.to_owned()).or_insert_with(|| Pending { parents: Vec::new(), variables: None })
    }

    /// A group has its section: who waited for it gets it.
    fn declare(&mut self, name: &str, group: u32) {
        self.declared.insert(name.into());
        if let Some(pending) = self.pending.shift_remove(name) {
            for (parent, place) in pending.parents {
                self.link(parent, group, place);
            }
        }
    }

    fn link(&mut self, parent: u32, child: u32, place: Span) {
        if let Err(way) = self.graph.add_child(parent, child) {
            let message = format!(
                "`{}` can't be a child of `{}`: groups would contain themselves",
                self.graph.group_name(child),
                self.graph.group_name(parent)
            );
            self.error(message, place).help.push(format!("the loop: {way}"));
        }
    }

    fn host_line(&mut self, line: &str, start: usize, group: u32) {
        let parts = match words::split(line) {
            Ok(parts) => parts,
            Err((message, at)) => {
                let span = self.span(start + at, start + line.len());
                self.error(message, span).help.push("quotes and backslashes work as in a shell".to_owned());
                return;
            }
        };
        let Some((first, settings)) = parts.split_first() else { return };
        let place = self.span(start + first.start, start + first.end);
        let mut variables: Vec<(String, Arc<Node>)> = Vec::new();
        for word in settings {
            let raw = &line[word.start..word.end];
            let (Some((name, value)), Some(equals)) = (word.text.split_once('='), raw.find('=')) else {
                let span = self.span(start + word.start, start + word.end);
                // The rest of a password with a blank in it must not be said.
                let secret = settings
                    .iter()
                    .take_while(|before| before.start < word.start)
                    .any(|before| before.text.split_once('=').is_some_and(|(name, _)| crate::diag::names_secret(name)));
                let what = if secret { "this".to_owned() } else { format!("`{}`", word.text) };
                let error = self.error(format!("{what} is no key=value"), span);
                error.help.push("one host a line; behind it stand only key=value settings".to_owned());
                continue;
            };
            let span = self.span(start + word.start + equals + 1, start + word.end);
            if name.is_empty() {
                let span = self.span(start + word.start, start + word.end);
                self.error("a setting without a name", span);
                continue;
            }
            variables.push((name.to_owned(), Arc::new(literal::value(value, span))));
        }
        let names = if first.text == "---" {
            Err("this looks like YAML in a file that is read as INI".to_owned())
        } else {
            host_entry(&first.text)
        };
        match names {
            Ok((names, port)) => add_hosts(self.graph, &names, port, group, &variables, place, &mut self.found),
            Err(reason) => {
                let yaml = first.text == "---" || (first.text.ends_with(':') && parts.len() == 1);
                let error = self.error(reason, place);
                if yaml {
                    error.help.push("if it is YAML, name the file .yml, or begin it with ---".to_owned());
                }
            }
        }
    }

    fn child_line(&mut self, line: &str, start: usize, group: u32) {
        let name = line.split(|c: char| c.is_whitespace() || c == '#').next().unwrap_or(line);
        let rest = line[name.len()..].trim_start();
        let span = self.span(start, start + name.len().max(1));
        if name.is_empty() || name.contains([':', ']']) || !(rest.is_empty() || rest.starts_with('#')) {
            let span = self.span(start, start + line.len());
            self.error("a line in a [group:children] section is the name of one group", span);
            return;
        }
        match self.graph.groups.get_index_of(name) {
            Some(child) => self.link(group, child as u32, span),
            None => self.pending(name).parents.push((group, span)),
        }
    }

    fn variable_line(&mut self, line: &str, start: usize, group: u32) {
        let Some((name, value)) = line.split_once('=') else {
            let span = self.span(start, start + line.len());
            let error = self.error("a line in a [group:vars] section is name=value", span);
            if line.contains(':') {
                error.help.push("this is INI: write `name=value`, not `name: value`".to_owned());
            }
            return;
        };
        let name_span = self.span(start, start + name.trim_end().len().max(1));
        let name = name.trim();
        if name.is_empty() {
            self.error("a setting without a name", name_span);
            return;
        }
        let written = value.trim();
        let from = start + line.len() - value.trim_start().len();
        let node = literal::value(written, self.span(from, from + written.len()));
        let span = if written.is_empty() { name_span } else { node.span };
        if let Err(kind) = self.graph.set_group_variable(group, name, node) {
            self.found.push(wrong_priority(&kind, span));
        }
    }

    fn finish(&mut self) {
        let names: Vec<Arc<str>> = self.declared.iter().cloned().collect();
        for (name, pending) in std::mem::take(&mut self.pending) {
            let meant = did_you_mean(&name, names.iter().map(|n| &**n));
            for (parent, place) in pending.parents {
                let message = format!(
                    "[{}:children] names the group `{name}`, which is declared nowhere",
                    self.graph.group_name(parent)
                );
                let error = self.error(message, place);
                label_meant(error, meant);
                error.help.push(format!("declare it with [{name}] or [{name}:children]"));
            }
            if let Some(place) = pending.variables {
                let error = self.error(format!("variables for the group `{name}`, which is declared nowhere"), place);
                label_meant(error, meant);
                error.help.push(format!("declare it with [{name}] or [{name}:children]"));
            }
        }
    }
}

fn label_meant(error: &mut Diagnostic, meant: Option<&str>) {
    if let (Some(meant), Some(label)) = (meant, error.labels.first_mut()) {
        label.text = format!("did you mean `{meant}`?");
    }
}

/// The diagnostic for an `ansible_group_priority` that is no whole number.
pub(super) fn wrong_priority(kind: &str, span: Span) -> Diagnostic {
    Diagnostic::error(format!("ansible_group_priority must be a whole number, not {kind}"), span)
}

enum Heading<'a> {
    Section { name: &'a str, kind: Option<&'a str> },
    Broken,
    None,
}

fn heading(line: &str) -> Heading<'_> {
    let Some(inner) = line.strip_prefix('[') else { return Heading::None };
    let section = inner.split_once(']').and_then(|(inside, rest)| {
        let rest = rest.trim_start();
        let (name, kind) = match inside.split_once(':') {
            Some((name, kind)) => (name, Some(kind)),
            None => (inside, None),
        };
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let right = (rest.is_empty() || rest.starts_with('#'))
            && !name.is_empty()
            && !name.contains(char::is_whitespace)
            && kind.is_none_or(|kind| !kind.is_empty() && kind.chars().all(word));
        right.then_some(Heading::Section { name, kind })
    });
    match section {
        Some(section) => section,
        // `[fe80::1]:22 x=1` is a host.
        None if line.ends_with(']') || !line.contains("]:") => Heading::Broken,
        None => Heading::None,
    }
}

/// The names and the port that a host entry stands for.
///
/// # Errors
/// A sentence about the range or the port.
pub(super) fn host_entry(text: &str) -> Result<(Vec<String>, Option<u16>), String> {
    if let Some(before) = text.strip_suffix(':')
        && !before.contains(':')
    {
        return Err(format!("`{text}` ends in a colon; a port must follow it"));
    }
    let (host, port) = match address::parse_address(text) {
        Some(address) => (address.host, address.port),
        None => {
            if let Some((name, digits)) = text.rsplit_once(':')
                && address::parse_address(name).is_some_and(|a| a.port.is_none())
                && digits.len() > 4
                && digits.bytes().all(|b| b.is_ascii_digit())
            {
                return Err(format!("{digits} is no port: ports go up to 65535"));
            }
            (text, None)
        }
    };
    Ok((address::expand(host)?, port))
}

/// Adds the hosts of one entry to a group, with what stands behind them.
pub(super) fn add_hosts(
    graph: &mut Graph,
    names: &[String],
    port: Option<u16>,
    group: u32,
    variables: &[(String, Arc<Node>)],
    place: Span,
    found: &mut Vec<Diagnostic>,
) {
    let port = port.map(|port| Arc::new(Node { kind: NodeKind::Int(i64::from(port)), span: place }));
    for name in names {
        let known = graph.hosts.contains_key(name.as_str());
        let host = graph.add_host(name, Some(group));
        if let Some(port) = &port {
            // Ansible takes the port only where the host is first named.
            if !known {
                graph.set_host_variable(host, "ansible_port", port);
            } else if graph.host(host).and_then(|h| h.variables.get("ansible_port")).is_none_or(|p| p.kind != port.kind)
            {
                let warning = Diagnostic::warning(format!("this port of `{name}` is not used"), place);
                found.push(warning.help("a port counts only where a host is first named; set ansible_port instead"));
            }
        }
        for (key, value) in variables {
            graph.set_host_variable(host, key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{Sources, render_all};

    fn load(text: &str) -> (Graph, String) {
        let sources = Sources::new();
        let source = sources.add("hosts", text);
        let mut graph = Graph::new(false);
        let found = read(&mut graph, source, text);
        graph.reconcile();
        (graph, render_all(&found, &sources, false))
    }

    #[test]
    fn an_ipv6_host_with_a_port_is_no_heading() {
        let (graph, wrong) = load("[fe80::1]:22 a=1\n[db]\n[db2]:23\n");
        assert_eq!(wrong, "");
        assert_eq!(graph.hosts.keys().map(|k| &**k).collect::<Vec<_>>(), ["fe80::1", "db2"]);
    }

    #[test]
    fn every_mistake_is_shown_in_one_go() {
        let (_, wrong) = load(concat!(
            "es1 ansible_host=10.0.0.1 root\n",
            "es2:\n",
            "es[3:1]\n",
            "es4 note='open\n",
            "[web servers]\n",
            "[web:var]\n",
            "[prod:children]\n",
            "wbe\n",
            "two words\n",
            "[web]\n",
            "[prod:vars]\n",
            "user: deploy\n",
            "ansible_group_priority=high\n",
            "[typo:vars]\n",
            "x=1\n",
        ));
        insta::assert_snapshot!(wrong);
    }

    #[test]
    fn a_loop_of_children_is_an_error() {
        let (_, wrong) = load("[a:children]\nb\n[b:children]\na\n");
        assert!(wrong.contains("groups would contain themselves"), "{wrong}");
        assert!(wrong.contains("--> hosts:4:1"), "{wrong}");
    }

    #[test]
    fn a_second_port_is_not_dropped_silently() {
        let (_, wrong) = load("h:22\n[g]\nh:23\n");
        assert!(wrong.contains("this port of `h` is not used"), "{wrong}");
    }
}
