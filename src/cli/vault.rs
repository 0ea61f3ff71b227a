//! `vault`, under the name `ansible-vault` too.

use std::path::PathBuf;

use clap::{ArgAction, Args, FromArgMatches, Subcommand};

use super::flags::VaultKeyFlags;
use super::request::Rules;

/// What `vault` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VaultAct {
    /// `create`.
    Create {
        /// `--skip-tty-check`.
        anywhere: bool,
    },
    /// `edit`.
    Edit,
    /// `view`.
    View,
    /// `encrypt`.
    Encrypt,
    /// `decrypt`.
    Decrypt,
    /// `encrypt_string`.
    EncryptString(ToSeal),
    /// `rekey`.
    Rekey {
        /// `--new-vault-password-file`.
        file: Option<PathBuf>,
        /// `--new-vault-id`.
        id: Option<String>,
    },
}

/// What `encrypt_string` encrypts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ToSeal {
    /// The texts, `-` for standard input.
    pub(crate) texts: Vec<String>,
    /// `--prompt`.
    pub(crate) prompt: bool,
    /// `--show-input`.
    pub(crate) show_input: bool,
    /// `--name`, in order.
    pub(crate) names: Vec<String>,
    /// `--stdin-name`.
    pub(crate) stdin_name: Option<String>,
}

impl std::fmt::Debug for ToSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToSeal").field("names", &self.names).finish_non_exhaustive()
    }
}

/// `vault` and `ansible-vault`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VaultRequest {
    /// Whose exit codes.
    pub(crate) rules: Rules,
    /// What is done.
    pub(crate) act: VaultAct,
    /// With which files; `-` is standard input.
    pub(crate) files: Vec<PathBuf>,
    /// `--output`.
    pub(crate) output: Option<PathBuf>,
    /// `--encrypt-vault-id`.
    pub(crate) encrypt_id: Option<String>,
    /// The passwords.
    pub(crate) keys: VaultKeys,
}

/// Where vault passwords come from, as far as the command line says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct VaultKeys {
    /// `-J`.
    pub(crate) ask: bool,
    /// `--vault-id`: `[label@]source`, in order.
    pub(crate) ids: Vec<String>,
    /// `--vault-password-file`, in order.
    pub(crate) files: Vec<PathBuf>,
}

pub(super) const VAULT_EXAMPLES: &str = "\
Examples:
  stagger vault create group_vars/all/secrets.yml        write a new file in $EDITOR
  stagger vault edit group_vars/all/secrets.yml          change it
  stagger vault encrypt_string --name db_password        type a value, get a variable
  stagger vault rekey --new-vault-password-file new *.yml";

#[derive(Debug, Clone, Args)]
pub(super) struct VaultFlags {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
pub(super) enum What {
    /// Write a new encrypted file in $EDITOR
    Create(CreateFlags),
    /// Decrypt files
    Decrypt(OutputFlags),
    /// Change encrypted files in $EDITOR
    Edit(EditFlags),
    /// Show encrypted files
    View(FileFlags),
    /// Encrypt files
    Encrypt(EncryptFlags),
    /// Encrypt a value, to be put into a file of variables
    #[command(name = "encrypt_string")]
    EncryptString(StringFlags),
    /// Encrypt files with another password
    Rekey(RekeyFlags),
}

#[derive(Debug, Clone, Args)]
pub(super) struct FileFlags {
    /// Files; `-` is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    keys: VaultKeyFlags,
    /// More
    #[arg(short = 'v', long, action = ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Clone, Args)]
pub(super) struct EncryptIdFlag {
    /// The label whose password encrypts, when several are given
    #[arg(long, value_name = "LABEL")]
    encrypt_vault_id: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct CreateFlags {
    #[command(flatten)]
    files: FileFlags,
    #[command(flatten)]
    encrypt: EncryptIdFlag,
    /// Open the editor without a terminal, too
    #[arg(long)]
    skip_tty_check: bool,
}

#[derive(Debug, Clone, Args)]
pub(super) struct EditFlags {
    #[command(flatten)]
    files: FileFlags,
    #[command(flatten)]
    encrypt: EncryptIdFlag,
}

#[derive(Debug, Clone, Args)]
pub(super) struct OutputFlags {
    #[command(flatten)]
    files: FileFlags,
    /// Write to this file; `-` is standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct EncryptFlags {
    #[command(flatten)]
    to: OutputFlags,
    #[command(flatten)]
    encrypt: EncryptIdFlag,
}

#[derive(Debug, Clone, Args)]
pub(super) struct StringFlags {
    /// Texts; `-`, or none, is standard input
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// Ask for the text
    #[arg(short = 'p', long)]
    prompt: bool,
    /// Show what is typed
    #[arg(long)]
    show_input: bool,
    /// The name of the variable; once for each text
    #[arg(short = 'n', long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// The name of the variable for what is read from standard input
    #[arg(long, value_name = "NAME")]
    stdin_name: Option<String>,
    /// Write to this file; `-` is standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    encrypt: EncryptIdFlag,
    #[command(flatten)]
    keys: VaultKeyFlags,
    /// More
    #[arg(short = 'v', long, action = ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Clone, Args)]
pub(super) struct RekeyFlags {
    #[command(flatten)]
    files: FileFlags,
    #[command(flatten)]
    encrypt: EncryptIdFlag,
    /// The new password's file, or script
    #[arg(long, value_name = "FILE", conflicts_with = "new_vault_id")]
    new_vault_password_file: Option<PathBuf>,
    /// The new password: [LABEL@]FILE, script or `prompt`
    #[arg(long, value_name = "ID")]
    new_vault_id: Option<String>,
}

/// From the matches of `ansible-vault`.
pub(super) fn read(matches: &clap::ArgMatches, rules: Rules) -> Result<VaultRequest, clap::Error> {
    What::from_arg_matches(matches).map(|what| request(VaultFlags { what }, rules))
}

/// The subcommands, for `ansible-vault`.
pub(super) fn augment(command: clap::Command) -> clap::Command {
    What::augment_subcommands(command).subcommand_required(true)
}

/// As the request has it.
pub(super) fn request(flags: VaultFlags, rules: Rules) -> VaultRequest {
    let mut encrypt_id = None;
    let mut output = None;
    let (files, act) = match flags.what {
        What::Create(flags) => {
            encrypt_id = flags.encrypt.encrypt_vault_id;
            (flags.files, VaultAct::Create { anywhere: flags.skip_tty_check })
        }
        What::Decrypt(flags) => {
            output = flags.output;
            (flags.files, VaultAct::Decrypt)
        }
        What::Edit(flags) => {
            encrypt_id = flags.encrypt.encrypt_vault_id;
            (flags.files, VaultAct::Edit)
        }
        What::View(files) => (files, VaultAct::View),
        What::Encrypt(flags) => {
            encrypt_id = flags.encrypt.encrypt_vault_id;
            output = flags.to.output;
            (flags.to.files, VaultAct::Encrypt)
        }
        What::EncryptString(flags) => {
            encrypt_id = flags.encrypt.encrypt_vault_id;
            output = flags.output;
            let strings = ToSeal {
                texts: flags.texts,
                prompt: flags.prompt,
                show_input: flags.show_input,
                names: flags.names,
                stdin_name: flags.stdin_name,
            };
            let files = FileFlags { files: Vec::new(), keys: flags.keys, verbose: flags.verbose };
            (files, VaultAct::EncryptString(strings))
        }
        What::Rekey(flags) => {
            encrypt_id = flags.encrypt.encrypt_vault_id;
            (flags.files, VaultAct::Rekey { file: flags.new_vault_password_file, id: flags.new_vault_id })
        }
    };
    VaultRequest { rules, act, files: files.files, output, encrypt_id, keys: files.keys.keys() }
}
