//! `doc` and `lint`: what there is, and what of people's files works; no host is contacted.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::flags::VaultKeyFlags;
use super::request::VaultKeys;

/// `doc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocRequest {
    /// What is asked for; nothing lists all.
    pub(crate) names: Vec<String>,
    /// `--json`.
    pub(crate) json: bool,
    /// `--type`: module, keyword, filter or test.
    pub(crate) kind: Option<String>,
}

/// The form in which `lint` says what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LintOutput {
    /// With lines and carets.
    Human,
    /// One line each.
    Plain,
    /// One JSON document.
    Json,
}

/// `lint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LintRequest {
    /// Files and folders.
    pub(crate) paths: Vec<PathBuf>,
    /// `--output`.
    pub(crate) output: LintOutput,
    /// `--strict`.
    pub(crate) strict: bool,
    /// Vault passwords.
    pub(crate) vault: VaultKeys,
}

pub(super) const DOC_EXAMPLES: &str = "\
Examples:
  stagger doc copy                            its options, from the table that checks them
  stagger doc --list -t filter                all filters
  stagger doc service serial_by --json        for programs";

pub(super) const LINT_EXAMPLES: &str = "\
Examples:
  stagger lint .                              all playbooks, roles and inventories below
  stagger lint site.yml roles --output json   for programs
  stagger lint . --output plain --strict      for CI: warnings count, too

The exit code is 0 when all of it works here, else 65.";

#[derive(Debug, Clone, Args)]
pub(super) struct DocFlags {
    /// Modules, keywords, filters or tests
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// List all there are; so it does without a name
    #[arg(short = 'l', long, conflicts_with = "names")]
    list: bool,
    /// JSON
    #[arg(short = 'j', long)]
    json: bool,
    /// Only this kind: module, keyword, filter or test
    #[arg(short = 't', long = "type", value_name = "KIND", value_parser = ["module", "keyword", "filter", "test"])]
    kind: Option<String>,
}

impl DocFlags {
    pub(super) fn request(self) -> DocRequest {
        DocRequest { names: self.names, json: self.json, kind: self.kind }
    }
}

#[derive(Debug, Clone, Args)]
pub(super) struct LintFlags {
    /// Files and folders
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The form of the output [default: human]
    #[arg(long, value_name = "FORM", value_enum)]
    output: Option<LintForm>,
    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    vault: VaultKeyFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LintForm {
    /// With the lines and carets
    Human,
    /// One line each
    Plain,
    /// One JSON document
    Json,
}

impl LintFlags {
    pub(super) fn request(self) -> LintRequest {
        let output = match self.output {
            None | Some(LintForm::Human) => LintOutput::Human,
            Some(LintForm::Plain) => LintOutput::Plain,
            Some(LintForm::Json) => LintOutput::Json,
        };
        LintRequest { paths: self.paths, output, strict: self.strict, vault: self.vault.keys() }
    }
}
