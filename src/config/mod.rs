//! ansible.cfg and the `ANSIBLE_*` environment, as one typed [`Config`].
//!
//! The first file found counts, and only that one; a variable of the environment wins over the file. What is written and means
//! nothing is a warning with its place; a value that can't be what it should be is an error. Command line, playbook
//! keywords and variables win over all of this: that is their rooms' business.
//!
//! Reads no environment of its own: the caller hands it in, so that tests are the same on every machine.

mod file;
mod find;
mod settings;
mod unused;
mod value;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::Span;
use crate::diag::{Diagnostic, Sources, did_you_mean};

use settings::{SETTINGS, Setting};
use value::Written;

pub(crate) use find::Places;

/// The inventory that Ansible takes when nothing names one.
pub(crate) const DEFAULT_INVENTORY: &str = "/etc/ansible/hosts";

/// When facts are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Gathering {
    /// In every play that does not forbid it.
    #[default]
    Implicit,
    /// Only where a play asks for it.
    Explicit,
    /// Once a host.
    Smart,
}

/// What Ansible does about a pattern that matches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mismatch {
    /// A warning.
    #[default]
    Warning,
    /// An error.
    Error,
    /// Nothing.
    Ignore,
}

/// All settings that have an effect. `None` and empty lists: not set.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
    /// `inventory`: sources as for `-i`, paths made whole. [`DEFAULT_INVENTORY`] when nothing is set, whether it is there or
    /// not.
    pub(crate) inventory: Vec<String>,
    /// `forks`: hosts at work at a time.
    pub(crate) forks: NonZeroUsize,
    /// `timeout`: to connect.
    pub(crate) timeout: Duration,
    /// `remote_user`.
    pub(crate) remote_user: Option<String>,
    /// `remote_port`.
    pub(crate) remote_port: Option<u16>,
    /// `private_key_file`.
    pub(crate) private_key_file: Option<PathBuf>,
    /// `host_key_checking`.
    pub(crate) host_key_checking: bool,
    /// `ask_pass`.
    pub(crate) ask_pass: bool,
    /// `connection_password_file`.
    pub(crate) connection_password_file: Option<PathBuf>,
    /// `transport`: the connection when no variable says otherwise.
    pub(crate) transport: String,
    /// `executable`: the shell on hosts.
    pub(crate) executable: String,
    /// `remote_tmp`.
    pub(crate) remote_tmp: Option<String>,
    /// `[ssh_connection] ssh_args`.
    pub(crate) ssh_args: Option<String>,
    /// `[ssh_connection] ssh_common_args`.
    pub(crate) ssh_common_args: Option<String>,
    /// `[ssh_connection] ssh_extra_args`.
    pub(crate) ssh_extra_args: Option<String>,
    /// `[ssh_connection] retries`: further attempts to connect.
    pub(crate) retries: u32,
    /// `become`.
    pub(crate) privilege: bool,
    /// `become_method`.
    pub(crate) become_method: String,
    /// `become_user`.
    pub(crate) become_user: String,
    /// `become_exe`.
    pub(crate) become_exe: Option<String>,
    /// `become_flags`.
    pub(crate) become_flags: Option<String>,
    /// `become_ask_pass`.
    pub(crate) become_ask_pass: bool,
    /// `ask_vault_pass`.
    pub(crate) ask_vault_pass: bool,
    /// `vault_identity_list`: `label@source`, in order.
    pub(crate) vault_identity_list: Vec<String>,
    /// `vault_password_file`.
    pub(crate) vault_password_file: Option<PathBuf>,
    /// `vault_identity`: the label of passwords that are given without one.
    pub(crate) vault_identity: String,
    /// `vault_id_match`: a text with a label is opened with the passwords of that label alone.
    pub(crate) vault_id_match: bool,
    /// `vault_encrypt_identity`: which of several passwords encrypts.
    pub(crate) vault_encrypt_identity: Option<String>,
    /// `vault_encrypt_salt`: the salt of all texts, instead of one by chance.
    pub(crate) vault_encrypt_salt: Option<String>,
    /// `become_password_file`.
    pub(crate) become_password_file: Option<PathBuf>,
    /// `roles_path`.
    pub(crate) roles_path: Vec<PathBuf>,
    /// `playbook_dir`, for commands without a playbook.
    pub(crate) playbook_dir: Option<PathBuf>,
    /// `gathering`.
    pub(crate) gathering: Gathering,
    /// `inject_facts_as_vars`.
    pub(crate) inject_facts_as_vars: bool,
    /// `hash_behaviour = merge`.
    pub(crate) merge_mappings: bool,
    /// `host_pattern_mismatch`; `None`: not set, so the name under which the program was called decides.
    pub(crate) host_pattern_mismatch: Option<Mismatch>,
    /// `stdout_callback`: how a run is shown under Ansible's names.
    pub(crate) stdout_callback: String,
    /// `callbacks_enabled`.
    pub(crate) callbacks_enabled: Vec<String>,
    /// `strategy`.
    pub(crate) strategy: String,
    /// `any_errors_fatal`.
    pub(crate) any_errors_fatal: bool,
    /// `force_handlers`.
    pub(crate) force_handlers: bool,
    /// `error_on_missing_handler`.
    pub(crate) error_on_missing_handler: bool,
    /// `error_on_undefined_vars`.
    pub(crate) error_on_undefined_vars: bool,
    /// `task_timeout`; `None`: none.
    pub(crate) task_timeout: Option<Duration>,
    /// `poll_interval`.
    pub(crate) poll_interval: Duration,
    /// `[tags] run`.
    pub(crate) tags: Vec<String>,
    /// `[tags] skip`.
    pub(crate) skip_tags: Vec<String>,
    /// `no_log`: hide every task's result.
    pub(crate) no_log: bool,
    /// `log_path`.
    pub(crate) log_path: Option<PathBuf>,
    /// `retry_files_enabled`.
    pub(crate) retry_files_enabled: bool,
    /// `retry_files_save_path`.
    pub(crate) retry_files_save_path: Option<PathBuf>,
    /// `[diff] always`.
    pub(crate) diff: bool,
    /// `[diff] context`: lines around a change.
    pub(crate) diff_context: usize,
    /// `max_diff_size` in bytes.
    pub(crate) max_diff_size: u64,
    /// `verbosity`.
    pub(crate) verbosity: u8,
    /// `nocolor` or `NO_COLOR`.
    pub(crate) no_colour: bool,
    /// `force_color`.
    pub(crate) force_colour: bool,
    /// `display_skipped_hosts`.
    pub(crate) display_skipped_hosts: bool,
    /// `show_custom_stats`.
    pub(crate) show_custom_stats: bool,
    /// `display_ok_hosts`.
    pub(crate) display_ok_hosts: bool,
    /// `display_failed_stderr`.
    pub(crate) display_failed_stderr: bool,
    /// `check_mode_markers`.
    pub(crate) check_mode_markers: bool,
    /// `ansible_managed`.
    pub(crate) ansible_managed: String,
    /// `module_name`: the module of one-off commands.
    pub(crate) module_name: String,
}

impl Default for Config {
    /// Ansible's defaults.
    fn default() -> Self {
        Self {
            file: None,
            inventory: vec![DEFAULT_INVENTORY.to_owned()],
            forks: NonZeroUsize::MIN.saturating_add(4),
            timeout: Duration::from_secs(10),
            remote_user: None,
            remote_port: None,
            private_key_file: None,
            host_key_checking: true,
            ask_pass: false,
            connection_password_file: None,
            transport: "ssh".to_owned(),
            executable: "/bin/sh".to_owned(),
            remote_tmp: None,
            ssh_args: None,
            ssh_common_args: None,
            ssh_extra_args: None,
            retries: 0,
            privilege: false,
            become_method: "sudo".to_owned(),
            become_user: "root".to_owned(),
            become_exe: None,
            become_flags: None,
            become_ask_pass: false,
            ask_vault_pass: false,
            vault_identity_list: Vec::new(),
            vault_password_file: None,
            vault_identity: "default".to_owned(),
            vault_id_match: false,
            vault_encrypt_identity: None,
            vault_encrypt_salt: None,
            become_password_file: None,
            roles_path: Vec::new(),
            playbook_dir: None,
            gathering: Gathering::Implicit,
            inject_facts_as_vars: true,
            merge_mappings: false,
            host_pattern_mismatch: None,
            stdout_callback: "default".to_owned(),
            callbacks_enabled: Vec::new(),
            strategy: "linear".to_owned(),
            any_errors_fatal: false,
            force_handlers: false,
            error_on_missing_handler: true,
            error_on_undefined_vars: true,
            task_timeout: None,
            poll_interval: Duration::from_secs(15),
            tags: Vec::new(),
            skip_tags: Vec::new(),
            no_log: false,
            log_path: None,
            retry_files_enabled: false,
            retry_files_save_path: None,
            diff: false,
            diff_context: 3,
            max_diff_size: 104_448,
            verbosity: 0,
            no_colour: false,
            force_colour: false,
            display_skipped_hosts: true,
            show_custom_stats: false,
            display_ok_hosts: true,
            display_failed_stderr: false,
            check_mode_markers: false,
            ansible_managed: "Ansible managed".to_owned(),
            module_name: "command".to_owned(),
        }
    }
}

impl Config {
    /// Finds and reads the file, then lays the environment over it.
    pub(crate) fn load(
        sources: &Sources,
        environment: &BTreeMap<String, String>,
        places: &Places,
    ) -> (Self, Vec<Diagnostic>) {
        let mut reader = Reader { config: Self::default(), environment, places, found: Vec::new(), unused: Vec::new() };
        if let Some(path) = find::find(environment, places, &mut reader.found) {
            reader.file(sources, &path);
        }
        reader.environment(sources);
        reader.say_unused();
        (reader.config, reader.found)
    }
}

struct Reader<'a> {
    config: Config,
    environment: &'a BTreeMap<String, String>,
    places: &'a Places,
    found: Vec<Diagnostic>,
    /// Settings of Ansible that have no effect here.
    unused: Vec<(String, Span)>,
}

impl Reader<'_> {
    fn file(&mut self, sources: &Sources, path: &Path) {
        let (source, text) = match sources.load(path) {
            Ok(loaded) => loaded,
            Err(error) => {
                self.found.push(error.diagnostic(Span::NONE));
                return;
            }
        };
        self.config.file = Some(path.to_owned());
        let entries = file::parse(source, &text, &mut self.found);
        let base = path.parent().unwrap_or(Path::new("/")).to_owned();
        // In the table's order, so that of two places of one setting the same one wins as in Ansible.
        for setting in SETTINGS {
            for (section, key) in setting.places {
                for entry in entries.iter().filter(|e| e.section == *section && e.key == *key) {
                    self.apply(setting, &entry.value, entry.value_span, &base, true);
                }
            }
        }
        for entry in &entries {
            self.judge_name(entry);
        }
    }

    fn environment(&mut self, sources: &Sources) {
        let environment = self.environment;
        let base = self.places.directory.clone();
        for setting in SETTINGS {
            for name in setting.environment {
                let Some(value) = environment.get(*name) else { continue };
                let source = sources.add("environment", format!("{name}={value}"));
                let start = name.len() as u32 + 1;
                let span = Span { source, start, end: start + value.len() as u32 };
                if *name == "NO_COLOR" {
                    // By convention its mere presence counts.
                    self.config.no_colour |= !value.is_empty();
                } else {
                    self.apply(setting, value, span, &base, false);
                }
            }
        }
        for name in environment.keys().filter(|name| name.starts_with("ANSIBLE_")) {
            let known = || SETTINGS.iter().flat_map(|setting| setting.environment).copied();
            if known().any(|other| other == name) || name == "ANSIBLE_CONFIG" {
                continue;
            }
            let span = |sources: &Sources| {
                let source = sources.add("environment", format!("{name}=…"));
                Span { source, start: 0, end: name.len() as u32 }
            };
            if unused::is_environment(name) {
                self.unused.push((name.clone(), span(sources)));
            } else if let Some(meant) = did_you_mean(name, known()) {
                // Other programs have variables with this beginning, too: only what is nearly one of ours is a mistake.
                self.found.push(
                    Diagnostic::warning(format!("the variable {name} has no effect"), span(sources))
                        .label(format!("did you mean `{meant}`?")),
                );
            }
        }
    }

    fn apply(&mut self, setting: &Setting, value: &str, span: Span, base: &Path, quoted: bool) {
        let written =
            Written { text: value, base, home: self.places.home.as_deref(), environment: self.environment, quoted };
        if let Err(reason) = (setting.apply)(&mut self.config, &written) {
            let name = setting.places.first().map_or("", |(_, key)| key);
            self.found.push(Diagnostic::error(format!("`{name}` {reason}"), span));
        }
    }

    fn judge_name(&mut self, entry: &file::Entry) {
        let known = || SETTINGS.iter().flat_map(|setting| setting.places);
        if known().any(|(section, key)| *section == entry.section && *key == entry.key) {
            return;
        }
        if unused::is_key(&entry.section, &entry.key) {
            self.unused.push((entry.key.clone(), entry.key_span));
            return;
        }
        let sections = || known().map(|(section, _)| *section).chain(unused::sections());
        if !sections().any(|section| section == entry.section) {
            if !self.found.iter().any(|d| d.labels.first().is_some_and(|l| l.span == entry.section_span)) {
                let warning = Diagnostic::warning(format!("unknown section [{}]", entry.section), entry.section_span);
                self.found.push(match did_you_mean(&entry.section, sections()) {
                    Some(meant) => warning.label(format!("did you mean [{meant}]?")),
                    None => warning.label("not used"),
                });
            }
            return;
        }
        let mut warning =
            Diagnostic::warning(format!("unknown key `{}` in [{}]", entry.key, entry.section), entry.key_span);
        let here = known().filter(|(section, _)| *section == entry.section).map(|(_, key)| *key);
        let elsewhere = known().find(|(_, key)| *key == entry.key);
        if let Some((section, _)) = elsewhere {
            warning = warning.label(format!("it belongs to [{section}]"));
        } else if let Some(meant) = did_you_mean(&entry.key, here.chain(unused::keys(&entry.section))) {
            warning = warning.label(format!("did you mean `{meant}`?"));
        } else {
            warning = warning.label("not used");
        }
        self.found.push(warning);
    }

    fn say_unused(&mut self) {
        let Some((_, span)) = self.unused.first() else { return };
        let names: Vec<&str> = self.unused.iter().map(|(name, _)| name.as_str()).collect();
        let message = match names.as_slice() {
            [name] => format!("a setting of Ansible's that has no effect here: {name}"),
            _ => format!("{} settings of Ansible's that have no effect here: {}", names.len(), names.join(", ")),
        };
        self.found.push(Diagnostic::warning(message, *span));
    }
}

#[cfg(test)]
mod tests;
