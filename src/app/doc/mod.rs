//! `stagger doc`: modules, keywords, filters and tests, from the tables by which playbooks are checked. What is not in those
//! tables is not here, and what is here works.

mod module;
mod text;

use std::fmt::Write as _;

use serde_json::json;

use super::{complain, print};
use crate::base::{Map, Value};
use crate::cli::{DocRequest, Exit};
use crate::diag::did_you_mean;
use crate::modules::{self, ModuleSpec};
use crate::playbook::{self, KeywordDoc};
use crate::template;

/// One thing that is documented.
enum Page {
    Module(&'static ModuleSpec),
    Keyword(KeywordDoc),
    Filter(&'static str, &'static str),
    Test(&'static str, &'static str),
}

impl Page {
    fn kind(&self) -> &'static str {
        match self {
            Self::Module(_) => "module",
            Self::Keyword(_) => "keyword",
            Self::Filter(..) => "filter",
            Self::Test(..) => "test",
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Module(spec) => spec.name,
            Self::Keyword(keyword) => keyword.name,
            Self::Filter(name, _) | Self::Test(name, _) => name,
        }
    }

    fn about(&self) -> &'static str {
        match self {
            Self::Module(spec) => spec.summary,
            Self::Keyword(keyword) => keyword.about,
            Self::Filter(_, about) | Self::Test(_, about) => about,
        }
    }

    fn names(&self) -> Vec<&'static str> {
        match self {
            Self::Module(spec) => [spec.name].into_iter().chain(spec.aliases.iter().copied()).collect(),
            other => vec![other.name()],
        }
    }

    fn text(&self) -> String {
        let head = format!("{} ({})\n", self.name(), self.kind());
        match self {
            Self::Module(spec) => module::text(spec),
            Self::Keyword(keyword) => {
                let mut out = head + &text::wrap(&text::sentence(keyword.about), 2);
                out.push('\n');
                out.push_str(&text::wrap(&format!("May stand in: {}.", keyword.places.join(", ")), 2));
                if let Some(why) = keyword.refused {
                    out.push_str(&text::wrap(&format!("Not supported: {why}."), 2));
                }
                out
            }
            Self::Filter(name, about) => {
                head + &text::wrap(&text::sentence(about), 2) + &format!("\n  Use: {{{{ value | {name} }}}}\n")
            }
            Self::Test(name, about) => {
                head + &text::wrap(&text::sentence(about), 2) + &format!("\n  Use: when: value is {name}\n")
            }
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Module(spec) => module::json(spec),
            Self::Keyword(keyword) => json!({
                "kind": "keyword",
                "name": keyword.name,
                "description": keyword.about,
                "places": keyword.places,
                "refused": keyword.refused,
            }),
            _ => json!({"kind": self.kind(), "name": self.name(), "description": self.about()}),
        }
    }
}

fn all() -> Vec<Page> {
    let mut modules: Vec<_> = modules::REGISTRY.iter().map(|spec| Page::Module(spec)).collect();
    modules.sort_by_key(Page::name);
    let mut keywords: Vec<_> = playbook::documented_keywords().into_iter().map(Page::Keyword).collect();
    keywords.sort_by_key(Page::name);
    let filters = template::documented_filters().into_iter().map(|(name, about)| Page::Filter(name, about));
    let tests = template::documented_tests().into_iter().map(|(name, about)| Page::Test(name, about));
    modules.into_iter().chain(keywords).chain(filters).chain(tests).collect()
}

/// Prints pages, or the list of them.
pub(super) fn run(request: &DocRequest) -> Exit {
    let kind = request.kind.as_deref();
    let pages: Vec<Page> = all().into_iter().filter(|page| kind.is_none_or(|kind| page.kind() == kind)).collect();
    if request.names.is_empty() {
        match request.json {
            true => {
                let listed = pages
                    .iter()
                    .map(|page| json!({"kind": page.kind(), "name": page.name(), "description": page.about()}));
                print(&pretty(&Value::Array(listed.collect())));
            }
            false => print(&list(&pages)),
        }
        return Exit::Ok;
    }
    let mut documents = Map::new();
    let mut texts = Vec::new();
    let mut exit = Exit::Ok;
    for name in &request.names {
        // Modules go by their full names, too.
        let module = modules::find(name).filter(|_| kind.is_none_or(|kind| kind == "module"));
        let is = |page: &&Page| match (page, module) {
            (Page::Module(spec), Some(found)) => spec.name == found.name,
            (page, _) => page.names().contains(&name.as_str()),
        };
        let found: Vec<&Page> = pages.iter().filter(is).collect();
        if found.is_empty() {
            let known = pages.iter().flat_map(Page::names);
            let help = did_you_mean(name, known).map(|meant| format!("\n  = help: did you mean `{meant}`?"));
            let help = help.unwrap_or_else(|| "\n  = help: `stagger doc --list` has all".to_owned());
            let what = kind.unwrap_or("module, keyword, filter or test");
            complain(&format!("error: there is no {what} `{name}`{help}\n"));
            exit = Exit::NoTarget;
        }
        for page in found {
            texts.push(page.text());
            let key = if documents.contains_key(page.name()) {
                format!("{} ({})", page.name(), page.kind())
            } else {
                page.name().to_owned()
            };
            documents.insert(key, page.json());
        }
    }
    if request.json {
        print(&pretty(&Value::Object(documents)));
    } else {
        print(&texts.join("\n"));
    }
    exit
}

/// Names with the beginning of what they mean, kind by kind.
fn list(pages: &[Page]) -> String {
    let mut out = String::new();
    let mut last = "";
    for page in pages {
        if page.kind() != last {
            last = page.kind();
            let head = match last {
                "module" => "Modules",
                "keyword" => "Keywords of plays, blocks and tasks",
                "filter" => "Filters: {{ value | filter }}",
                _ => "Tests: value is test",
            };
            let _ = writeln!(out, "{}{head}", if out.is_empty() { "" } else { "\n" });
        }
        let refused = matches!(page, Page::Keyword(keyword) if keyword.refused.is_some());
        let about = if refused { format!("(not supported) {}", page.about()) } else { page.about().to_owned() };
        out.push_str(&text::entry(page.name(), &about));
    }
    out
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_has_a_sentence_and_no_line_is_too_long() {
        for page in all() {
            let refused = matches!(&page, Page::Keyword(keyword) if keyword.refused.is_some());
            assert!(
                refused || page.kind() == "filter" || page.kind() == "test" || !page.about().is_empty(),
                "{} {}",
                page.kind(),
                page.name()
            );
            for line in page.text().lines().chain(list(&all()).lines()) {
                assert!(line.chars().count() <= 80, "{}: {line}", page.name());
            }
            assert_eq!(page.json()["name"], page.name());
        }
        for spec in modules::REGISTRY {
            assert!(!spec.summary.is_empty(), "{} has no summary", spec.name);
            for option in spec.options {
                assert!(!option.about.is_empty() || option.refused.is_some(), "{}: {}", spec.name, option.name);
            }
        }
    }

    #[test]
    fn a_page_says_all_that_the_table_does() {
        let copy = modules::find("copy").expect("copy");
        let text = module::text(copy);
        for option in copy.options {
            assert!(text.contains(option.name), "{}", option.name);
        }
        assert!(text.starts_with("copy (module"), "{text}");
        let json = module::json(copy);
        assert_eq!(json["options"]["dest"]["required"], true);
        assert_eq!(json["options"]["force"]["type"], "boolean");
        assert_eq!(json["options"]["force"]["default"], "true");
    }
}
