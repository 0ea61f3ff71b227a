//! `template`: a file made from a template of this machine.

use super::host_file::{Fresh, Place, Seen, Wanted, file_options, finish_with_look};
use super::{
    Applied, Arguments, Bound, Change, Controller, Failure, Folder, ModuleSpec, Opt, OptKind, State, TemplateOptions,
};
use crate::base::{Map, Output, Script};

/// The module's table.
pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "template",
    aliases: &[],
    summary: "renders a template with the host's variables and puts the result into a file",
    options: file_options![
        Opt::new("src", OptKind::LocalPath, "the template, in `templates/` or beside the playbook").required(),
        Opt::new("dest", OptKind::Path, "the file, or a directory for it").required(),
        Opt::new("backup", OptKind::Bool, "keeps the old file beside the new one").default("false"),
        Opt::new("force", OptKind::Bool, "replaces a file that differs").default("true"),
        Opt::new("follow", OptKind::Bool, "writes to what a link points at, in place of the link").default("false"),
        Opt::new("validate", OptKind::Text, "a command that must accept the new file; `%s` is its path"),
        Opt::new("newline_sequence", OptKind::Text, "what ends a line").default("\n"),
        Opt::new("trim_blocks", OptKind::Bool, "removes the newline after a block tag").default("true"),
        Opt::new("lstrip_blocks", OptKind::Bool, "removes blanks before a block tag").default("false"),
        Opt::new("block_start_string", OptKind::Text, "what begins a block tag"),
        Opt::new("block_end_string", OptKind::Text, "what ends a block tag"),
        Opt::new("variable_start_string", OptKind::Text, "what begins an expression"),
        Opt::new("variable_end_string", OptKind::Text, "what ends an expression"),
        Opt::new("comment_start_string", OptKind::Text, "what begins a comment"),
        Opt::new("comment_end_string", OptKind::Text, "what ends a comment"),
        Opt::new("output_encoding", OptKind::Choice(&["utf-8", "UTF-8", "utf8"]), "always UTF-8").default("utf-8"),
    ],
    free_form: None,
    open: false,
    rules: &[],
    check: None,
    build,
};

#[derive(Debug)]
struct Template {
    place: Place,
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let source = here.find(Folder::Templates, &arguments.required("src"))?;
    let delimiters = [
        "block_start_string",
        "block_end_string",
        "variable_start_string",
        "variable_end_string",
        "comment_start_string",
        "comment_end_string",
    ];
    let options = TemplateOptions {
        trim_blocks: arguments.flag("trim_blocks"),
        lstrip_blocks: arguments.flag("lstrip_blocks"),
        delimiters: delimiters.map(|name| arguments.text(name)),
    };
    let mut text = here.render_file(&source, &options)?;
    let newline = match arguments.text("newline_sequence").as_deref() {
        None | Some("\n" | "\\n") => "\n",
        Some("\r\n" | "\\r\\n") => "\r\n",
        Some("\r" | "\\r") => "\r",
        Some(_) => return Err(Failure::new("newline_sequence needs to be one of: \\n, \\r or \\r\\n")),
    };
    if newline != "\n" {
        text = text.replace('\n', newline);
    }
    let mut wanted = Wanted::of(arguments);
    if wanted.mode.as_deref() == Some("preserve") {
        wanted.mode = Some(format!("{:04o}", here.digest(&source)?.mode));
    }
    let fresh = Fresh { source: Some(source.display().to_string()), ..Fresh::of(text.as_bytes(), here.wants_diff()) };
    Ok(Bound::State(Box::new(Template {
        place: Place {
            dest: arguments.required("dest"),
            name: source.file_name().map(|name| name.to_string_lossy().into_owned()),
            fresh,
            wanted,
            directory_mode: None,
            backup: arguments.flag("backup"),
            force: arguments.flag("force"),
            follow: arguments.flag("follow"),
            validate: arguments.text("validate"),
        },
    })))
}

impl State for Template {
    fn probe(&self) -> Script {
        self.place.probe()
    }

    fn subjects(&self) -> Vec<String> {
        self.place.subjects()
    }

    fn leaves(&self, seen: &Output, _change: &Change) -> Vec<(String, Option<Output>)> {
        self.place.leaves(seen)
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        self.place.steps(&Seen::parse(seen)?)
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        finish_with_look(change, outputs)
    }
}
