//! Template files: their options, includes, and the line feeds at their end.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value as Jinja;

use super::compile::{ENVIRONMENT, final_line_feeds, restore};
use super::error::TemplateError;
use super::lex::Marks;
use super::rewrite;

/// Gives the text of a file that a template includes, imports or extends, by the name written there.
pub(crate) type Loader = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Files kept compiled at most.
const KEPT: usize = 500;

/// How a template file is read: the options of Ansible's `template`.
#[derive(Clone)]
pub(crate) struct TextOptions {
    /// Marks around statements, `{%` and `%}`.
    pub(crate) block: (String, String),
    /// Marks around expressions, `{{` and `}}`.
    pub(crate) variable: (String, String),
    /// Marks around comments, `{#` and `#}`.
    pub(crate) comment: (String, String),
    /// The line feed after a statement is dropped.
    pub(crate) trim_blocks: bool,
    /// Blanks before a statement on its line are dropped.
    pub(crate) lstrip_blocks: bool,
    /// What ends a line of the result.
    pub(crate) newline: String,
    /// Where `{% include %}`, `{% import %}` and `{% extends %}` find their files; without one there are none.
    pub(crate) loader: Option<Loader>,
}

impl fmt::Debug for TextOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { marks, trim_blocks, lstrip_blocks } = self.settings();
        write!(f, "TextOptions {{ {marks:?}, trim_blocks: {trim_blocks}, lstrip_blocks: {lstrip_blocks} }}")
    }
}

/// What decides how a text is compiled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Settings {
    marks: Marks,
    trim_blocks: bool,
    lstrip_blocks: bool,
}

impl Default for TextOptions {
    fn default() -> Self {
        let Marks { block, variable, comment } = Marks::default();
        Self {
            block,
            variable,
            comment,
            trim_blocks: true,
            lstrip_blocks: false,
            newline: "\n".to_owned(),
            loader: None,
        }
    }
}

impl TextOptions {
    pub(super) fn marks(&self) -> Marks {
        Marks { block: self.block.clone(), variable: self.variable.clone(), comment: self.comment.clone() }
    }

    fn settings(&self) -> Settings {
        Settings { marks: self.marks(), trim_blocks: self.trim_blocks, lstrip_blocks: self.lstrip_blocks }
    }

    fn syntax(&self) -> Result<SyntaxConfig, minijinja::Error> {
        SyntaxConfig::builder()
            .block_delimiters(self.block.0.clone(), self.block.1.clone())
            .variable_delimiters(self.variable.0.clone(), self.variable.1.clone())
            .comment_delimiters(self.comment.0.clone(), self.comment.1.clone())
            .trim_blocks(self.trim_blocks)
            .lstrip_blocks(self.lstrip_blocks)
            .build()
    }

    /// Whether the marks are the usual ones.
    fn usual(&self) -> bool {
        self.marks() == Marks::default()
    }
}

/// An environment that holds one template under its name.
pub(super) fn environment(
    text: &str,
    options: &TextOptions,
    name: &str,
) -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = ENVIRONMENT.clone();
    environment.set_syntax(options.syntax()?);
    environment.add_template_owned(name.to_owned(), prepare(text, options))?;
    Ok(environment)
}

fn prepare(text: &str, options: &TextOptions) -> String {
    let text = first_line(text, options);
    rewrite::template(&text.replace("\r\n", "\n"), &options.marks(), false)
}

/// Jinja's own header line `#jinja2: trim_blocks: False` counts in [`with_header`]; it is no part of the text.
fn first_line<'t>(text: &'t str, options: &TextOptions) -> &'t str {
    if !options.usual() || !text.starts_with(HEADER) {
        return text;
    }
    text.split_once('\n').map_or("", |(_, rest)| rest)
}

const HEADER: &str = "#jinja2:";

/// The options with what the text's header line says.
fn with_header(text: &str, options: &TextOptions) -> TextOptions {
    let mut options = options.clone();
    if let Some(header) = text.strip_prefix(HEADER).filter(|_| options.usual()) {
        for part in header.lines().next().unwrap_or_default().split(',') {
            let Some((key, value)) = part.split_once(':') else { continue };
            let value = value.trim().trim_matches(['\'', '"']);
            let yes = matches!(value, "True" | "true" | "yes");
            match key.trim() {
                "trim_blocks" => options.trim_blocks = yes,
                "lstrip_blocks" => options.lstrip_blocks = yes,
                _ => {}
            }
        }
    }
    options
}

/// A file's text, how it is compiled, and its name.
type FileKey = (Arc<str>, Settings, String);

/// Compiled files that load no others. Shared by all sessions.
#[derive(Default)]
pub(super) struct Cache {
    files: RwLock<HashMap<FileKey, Arc<Environment<'static>>>>,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

impl Cache {
    pub(super) fn render(
        &self,
        text: &str,
        options: &TextOptions,
        context: Jinja,
        name: &str,
    ) -> Result<String, TemplateError> {
        let wrong = |e: minijinja::Error| TemplateError::from_engine(&e, true);
        let environment = self.environment(text, options, name).map_err(wrong)?;
        let mut output = environment.get_template(name).and_then(|template| template.render(context)).map_err(wrong)?;
        restore(&mut output, final_line_feeds(text));
        if options.newline != "\n" {
            output = output.replace('\n', &options.newline);
        }
        Ok(output)
    }

    fn environment(
        &self,
        text: &str,
        options: &TextOptions,
        name: &str,
    ) -> Result<Arc<Environment<'static>>, minijinja::Error> {
        let options = with_header(text, options);
        let loads = ["include", "import", "extends"].iter().any(|word| text.contains(word));
        if loads {
            let mut environment = environment(text, &options, name)?;
            if let Some(loader) = options.loader.clone() {
                environment.set_loader(move |wanted| Ok(loader(wanted).map(|text| prepare(&text, &options))));
            }
            return Ok(Arc::new(environment));
        }
        let key = (Arc::from(text), options.settings(), name.to_owned());
        if let Some(found) = self.files.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(found));
        }
        let environment = Arc::new(environment(text, &options, name)?);
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        if files.len() >= KEPT {
            files.clear();
        }
        files.insert(key, Arc::clone(&environment));
        Ok(environment)
    }
}
