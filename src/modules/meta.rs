//! `meta`: changes the course of the play.

use super::{Arguments, Bound, Controller, Course, Done, Effect, Failure, Meta, ModuleSpec, Opt, OptKind};
use crate::base::{Map, Value};
use crate::diag::did_you_mean;

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "meta",
    aliases: &[],
    summary: "changes the course of the play",
    options: &[Opt::new("free_form", OptKind::Text, "what to do").required()],
    free_form: Some("free_form"),
    open: false,
    rules: &[],
    check: Some(check),
    build,
};

const WORDS: &[(&str, Meta)] = &[
    ("noop", Meta::Noop),
    ("flush_handlers", Meta::FlushHandlers),
    ("clear_host_errors", Meta::ClearHostErrors),
    ("clear_facts", Meta::ClearFacts),
    ("refresh_inventory", Meta::RefreshInventory),
    ("end_play", Meta::EndPlay),
    ("end_batch", Meta::EndBatch),
    ("end_host", Meta::EndHost),
    ("end_role", Meta::EndRole),
    ("reset_connection", Meta::ResetConnection),
    ("undo", Meta::Undo),
];

fn word(text: &str) -> Result<Meta, String> {
    let text = text.trim();
    if let Some((_, meta)) = WORDS.iter().find(|(word, _)| *word == text) {
        return Ok(*meta);
    }
    let words = WORDS.iter().map(|(word, _)| *word);
    let meant =
        did_you_mean(text, words.clone()).map(|meant| format!(" (did you mean `{meant}`?)")).unwrap_or_default();
    Err(format!("`meta` does not know `{text}`{meant}; it knows {}", words.collect::<Vec<_>>().join(", ")))
}

fn check(arguments: &Arguments) -> Result<(), String> {
    match arguments.text("free_form") {
        Some(text) if !text.contains("{{") => word(&text).map(|_| ()),
        _ => Ok(()),
    }
}

#[derive(Debug)]
struct Word {
    meta: Meta,
}

fn build(arguments: &Arguments, _here: &dyn Controller) -> Result<Bound, Failure> {
    let meta = word(&arguments.required("free_form")).map_err(Failure::new)?;
    Ok(Bound::Course(Box::new(Word { meta })))
}

impl Course for Word {
    fn run(&self, _here: &dyn Controller) -> Result<Done, Failure> {
        let name = WORDS.iter().find(|(_, meta)| *meta == self.meta).map_or("", |(word, _)| *word);
        let mut result = Map::new();
        result.insert("msg".to_owned(), Value::from(name));
        Ok(Done { changed: false, result, effect: Effect::Meta(self.meta) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::fixture::{Fixture, course};

    #[test]
    fn every_word_has_its_effect() {
        for (word, meta) in WORDS {
            let done = course(&SPEC, json!({"free_form": word}), &Fixture::default()).expect("known");
            assert_eq!(done.effect, Effect::Meta(*meta));
        }
    }

    #[test]
    fn others_are_refused_by_name() {
        let failed =
            |word: &str| course(&SPEC, json!({"free_form": word}), &Fixture::default()).expect_err("refused").message;
        assert!(failed("flush_handler").contains("did you mean `flush_handlers`?"), "{}", failed("flush_handler"));
    }
}
