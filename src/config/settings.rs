//! The table of settings: where each is written, and what it sets.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::value::Written;
use super::{Config, Gathering, Mismatch};

/// One setting.
pub(super) struct Setting {
    /// Sections and keys; where several are set, the last wins.
    pub(super) places: &'static [(&'static str, &'static str)],
    /// Variables of the environment, likewise; they win over the file.
    pub(super) environment: &'static [&'static str],
    /// Sets it; the error is what follows the key's name in a message.
    pub(super) apply: fn(&mut Config, &Written) -> Result<(), String>,
}

const DEFAULTS: &str = "defaults";
const PRIVILEGE: &str = "privilege_escalation";
const SSH: &str = "ssh_connection";

macro_rules! setting {
    ([$(($section:expr, $key:literal)),*], [$($variable:literal),*], $field:ident = $read:expr) => {
        Setting {
            places: &[$(($section, $key)),*],
            environment: &[$($variable),*],
            apply: |config, written| {
                let read: fn(&Written) -> Result<_, String> = $read;
                config.$field = read(written)?;
                Ok(())
            },
        }
    };
}

/// All settings that have an effect.
pub(super) const SETTINGS: &[Setting] = &[
    setting!([(DEFAULTS, "inventory")], ["ANSIBLE_INVENTORY"], inventory = |w| w.inventories()),
    setting!([(DEFAULTS, "forks")], ["ANSIBLE_FORKS"], forks = |w| w.number::<NonZeroUsize>("from 1 on")),
    setting!(
        [(DEFAULTS, "timeout"), (SSH, "timeout")],
        ["ANSIBLE_TIMEOUT", "ANSIBLE_SSH_TIMEOUT"],
        timeout = |w| w.seconds()
    ),
    setting!([(DEFAULTS, "remote_user")], ["ANSIBLE_REMOTE_USER"], remote_user = |w| w.optional()),
    setting!(
        [(DEFAULTS, "remote_port")],
        ["ANSIBLE_REMOTE_PORT"],
        remote_port = |w| w.number("from 1 to 65535").map(Some)
    ),
    setting!([(DEFAULTS, "private_key_file")], ["ANSIBLE_PRIVATE_KEY_FILE"], private_key_file = |w| w.path()),
    setting!(
        [(DEFAULTS, "host_key_checking"), (SSH, "host_key_checking")],
        ["ANSIBLE_HOST_KEY_CHECKING", "ANSIBLE_SSH_HOST_KEY_CHECKING"],
        host_key_checking = |w| w.switch()
    ),
    setting!([(DEFAULTS, "ask_pass")], ["ANSIBLE_ASK_PASS"], ask_pass = |w| w.switch()),
    setting!(
        [(DEFAULTS, "connection_password_file")],
        ["ANSIBLE_CONNECTION_PASSWORD_FILE"],
        connection_password_file = |w| w.path()
    ),
    setting!([(DEFAULTS, "ask_vault_pass")], ["ANSIBLE_ASK_VAULT_PASS"], ask_vault_pass = |w| w.switch()),
    setting!([(DEFAULTS, "vault_identity_list")], ["ANSIBLE_VAULT_IDENTITY_LIST"], vault_identity_list = |w| w.list()),
    setting!([(DEFAULTS, "vault_password_file")], ["ANSIBLE_VAULT_PASSWORD_FILE"], vault_password_file = |w| w.path()),
    setting!([(DEFAULTS, "vault_identity")], ["ANSIBLE_VAULT_IDENTITY"], vault_identity = |w| w.text()),
    setting!([(DEFAULTS, "vault_id_match")], ["ANSIBLE_VAULT_ID_MATCH"], vault_id_match = |w| w.switch()),
    setting!(
        [(DEFAULTS, "vault_encrypt_identity")],
        ["ANSIBLE_VAULT_ENCRYPT_IDENTITY"],
        vault_encrypt_identity = |w| w.optional()
    ),
    setting!([(DEFAULTS, "vault_encrypt_salt")], ["ANSIBLE_VAULT_ENCRYPT_SALT"], vault_encrypt_salt = |w| w.optional()),
    setting!([(DEFAULTS, "transport")], ["ANSIBLE_TRANSPORT"], transport = |w| w.text()),
    setting!([(DEFAULTS, "executable")], ["ANSIBLE_EXECUTABLE"], executable = |w| w.text()),
    setting!([(DEFAULTS, "remote_tmp")], ["ANSIBLE_REMOTE_TEMP", "ANSIBLE_REMOTE_TMP"], remote_tmp = |w| w.optional()),
    setting!([(SSH, "ssh_args")], ["ANSIBLE_SSH_ARGS"], ssh_args = |w| w.optional()),
    setting!([(SSH, "ssh_common_args")], ["ANSIBLE_SSH_COMMON_ARGS"], ssh_common_args = |w| w.optional()),
    setting!([(SSH, "ssh_extra_args")], ["ANSIBLE_SSH_EXTRA_ARGS"], ssh_extra_args = |w| w.optional()),
    setting!(
        [("connection", "retries"), (SSH, "retries")],
        ["ANSIBLE_SSH_RETRIES"],
        retries = |w| w.number("from 0 on")
    ),
    setting!([(PRIVILEGE, "become")], ["ANSIBLE_BECOME"], privilege = |w| w.switch()),
    setting!([(PRIVILEGE, "become_method")], ["ANSIBLE_BECOME_METHOD"], become_method = |w| w.text()),
    setting!([(PRIVILEGE, "become_user")], ["ANSIBLE_BECOME_USER"], become_user = |w| w.text()),
    setting!([(PRIVILEGE, "become_exe")], ["ANSIBLE_BECOME_EXE"], become_exe = |w| w.optional()),
    setting!([(PRIVILEGE, "become_flags")], ["ANSIBLE_BECOME_FLAGS"], become_flags = |w| w.optional()),
    setting!([(PRIVILEGE, "become_ask_pass")], ["ANSIBLE_BECOME_ASK_PASS"], become_ask_pass = |w| w.switch()),
    setting!(
        [(DEFAULTS, "become_password_file")],
        ["ANSIBLE_BECOME_PASSWORD_FILE"],
        become_password_file = |w| w.path()
    ),
    setting!([(DEFAULTS, "roles_path")], ["ANSIBLE_ROLES_PATH"], roles_path = |w| w.paths()),
    setting!([(DEFAULTS, "playbook_dir")], ["ANSIBLE_PLAYBOOK_DIR"], playbook_dir = |w| w.path()),
    setting!(
        [(DEFAULTS, "gathering")],
        ["ANSIBLE_GATHERING"],
        gathering = |w| w.choice(&[
            ("implicit", Gathering::Implicit),
            ("explicit", Gathering::Explicit),
            ("smart", Gathering::Smart),
        ])
    ),
    setting!([(DEFAULTS, "inject_facts_as_vars")], ["ANSIBLE_INJECT_FACT_VARS"], inject_facts_as_vars = |w| w.switch()),
    setting!(
        [(DEFAULTS, "hash_behaviour")],
        ["ANSIBLE_HASH_BEHAVIOUR"],
        merge_mappings = |w| w.choice(&[("replace", false), ("merge", true)])
    ),
    setting!(
        [("inventory", "host_pattern_mismatch")],
        ["ANSIBLE_HOST_PATTERN_MISMATCH"],
        host_pattern_mismatch = |w| w
            .choice(&[("warning", Mismatch::Warning), ("error", Mismatch::Error), ("ignore", Mismatch::Ignore)])
            .map(Some)
    ),
    setting!([(DEFAULTS, "stdout_callback")], ["ANSIBLE_STDOUT_CALLBACK"], stdout_callback = |w| w.text()),
    setting!([(DEFAULTS, "callbacks_enabled")], ["ANSIBLE_CALLBACKS_ENABLED"], callbacks_enabled = |w| w.list()),
    setting!([(DEFAULTS, "strategy")], ["ANSIBLE_STRATEGY"], strategy = |w| w.text()),
    setting!([(DEFAULTS, "any_errors_fatal")], ["ANSIBLE_ANY_ERRORS_FATAL"], any_errors_fatal = |w| w.switch()),
    setting!([(DEFAULTS, "force_handlers")], ["ANSIBLE_FORCE_HANDLERS"], force_handlers = |w| w.switch()),
    setting!(
        [(DEFAULTS, "error_on_missing_handler")],
        ["ANSIBLE_ERROR_ON_MISSING_HANDLER"],
        error_on_missing_handler = |w| w.switch()
    ),
    setting!(
        [(DEFAULTS, "error_on_undefined_vars")],
        ["ANSIBLE_ERROR_ON_UNDEFINED_VARS"],
        error_on_undefined_vars = |w| w.switch()
    ),
    setting!(
        [(DEFAULTS, "task_timeout")],
        ["ANSIBLE_TASK_TIMEOUT"],
        task_timeout = |w| w.seconds().map(|time| Some(time).filter(|time| *time > Duration::ZERO))
    ),
    setting!([(DEFAULTS, "poll_interval")], ["ANSIBLE_POLL_INTERVAL"], poll_interval = |w| w.seconds()),
    setting!([("tags", "run")], ["ANSIBLE_RUN_TAGS"], tags = |w| w.list()),
    setting!([("tags", "skip")], ["ANSIBLE_SKIP_TAGS"], skip_tags = |w| w.list()),
    setting!([(DEFAULTS, "no_log")], ["ANSIBLE_NO_LOG"], no_log = |w| w.switch()),
    setting!([(DEFAULTS, "log_path")], ["ANSIBLE_LOG_PATH"], log_path = |w| w.path()),
    setting!(
        [(DEFAULTS, "retry_files_enabled")],
        ["ANSIBLE_RETRY_FILES_ENABLED"],
        retry_files_enabled = |w| w.switch()
    ),
    setting!(
        [(DEFAULTS, "retry_files_save_path")],
        ["ANSIBLE_RETRY_FILES_SAVE_PATH"],
        retry_files_save_path = |w| w.path()
    ),
    setting!([("diff", "always")], ["ANSIBLE_DIFF_ALWAYS"], diff = |w| w.switch()),
    setting!([("diff", "context")], ["ANSIBLE_DIFF_CONTEXT"], diff_context = |w| w.number("of lines")),
    setting!([(DEFAULTS, "max_diff_size")], ["ANSIBLE_MAX_DIFF_SIZE"], max_diff_size = |w| w.number("of bytes")),
    setting!([(DEFAULTS, "verbosity")], ["ANSIBLE_VERBOSITY"], verbosity = |w| w.number("from 0 on")),
    setting!([(DEFAULTS, "nocolor")], ["ANSIBLE_NOCOLOR", "NO_COLOR"], no_colour = |w| w.switch()),
    setting!([(DEFAULTS, "force_color")], ["ANSIBLE_FORCE_COLOR"], force_colour = |w| w.switch()),
    setting!(
        [(DEFAULTS, "display_skipped_hosts")],
        ["ANSIBLE_DISPLAY_SKIPPED_HOSTS"],
        display_skipped_hosts = |w| w.switch()
    ),
    setting!([(DEFAULTS, "show_custom_stats")], ["ANSIBLE_SHOW_CUSTOM_STATS"], show_custom_stats = |w| w.switch()),
    setting!([(DEFAULTS, "display_ok_hosts")], ["ANSIBLE_DISPLAY_OK_HOSTS"], display_ok_hosts = |w| w.switch()),
    setting!(
        [(DEFAULTS, "display_failed_stderr")],
        ["ANSIBLE_DISPLAY_FAILED_STDERR"],
        display_failed_stderr = |w| w.switch()
    ),
    setting!([(DEFAULTS, "check_mode_markers")], ["ANSIBLE_CHECK_MODE_MARKERS"], check_mode_markers = |w| w.switch()),
    setting!([(DEFAULTS, "ansible_managed")], [], ansible_managed = |w| w.text()),
    setting!([(DEFAULTS, "module_name")], [], module_name = |w| w.text()),
];
