//! Settings that Ansible has and that have no effect here: most are about Python, plugins and galaxy. They are named once in
//! one warning, so that a file that works for Ansible is not answered with a page of them.

/// Keys of sections whose other keys have an effect.
const KEYS: &[(&str, &[&str])] = &[
    (
        "defaults",
        &[
            "action_plugins",
            "action_warnings",
            "admin_users",
            "agnostic_become_prompt",
            "allow_broken_conditionals",
            "allow_embedded_templates",
            "allow_unsafe_lookups",
            "allow_world_readable_tmpfiles",
            "async_dir",
            "become_plugins",
            "bin_ansible_callbacks",
            "cache_plugins",
            "callback_format_pretty",
            "callback_plugins",
            "callback_result_format",
            "callback_whitelist",
            "cliconf_plugins",
            "collections_on_ansible_version_mismatch",
            "collections_path",
            "collections_paths",
            "collections_scan_sys_path",
            "command_warnings",
            "common_remote_group",
            "connection_plugins",
            "cow_selection",
            "cowpath",
            "cowsay_enabled_stencils",
            "debug",
            "deprecation_warnings",
            "devel_warning",
            "display_args_to_stdout",
            "display_traceback",
            "doc_fragment_plugins",
            "docsite_root_url",
            "duplicate_dict_key",
            "editor",
            "enable_task_debugger",
            "fact_caching",
            "fact_caching_connection",
            "fact_caching_prefix",
            "fact_caching_timeout",
            "fact_path",
            "facts_modules",
            "filter_plugins",
            "force_valid_group_names",
            "gather_subset",
            "gather_timeout",
            "home",
            "httpapi_plugins",
            "internal_poll_interval",
            "interpreter_python",
            "invalid_task_attribute_failed",
            "inventory_ignore_extensions",
            "inventory_ignore_patterns",
            "inventory_plugins",
            "jinja2_extensions",
            "jinja2_native",
            "keep_remote_files",
            "library",
            "local_tmp",
            "localhost_warning",
            "log_filter",
            "log_verbosity",
            "lookup_plugins",
            "module_args",
            "module_compression",
            "module_ignore_exts",
            "module_lang",
            "module_set_locale",
            "module_strict_utf8_response",
            "module_utils",
            "netconf_plugins",
            "network_group_modules",
            "no_target_syslog",
            "nocows",
            "null_representation",
            "old_plugin_cache_clear",
            "pager",
            "pipelining",
            "playbook_vars_root",
            "plugin_filters_cfg",
            "precedence",
            "private_role_vars",
            "python_module_rlimit_nofile",
            "run_vars_plugins",
            "show_per_host_start",
            "show_task_path_on_failure",
            "squash_actions",
            "strategy_plugins",
            "su",
            "syslog_facility",
            "system_tmpdirs",
            "system_warnings",
            "target_log_info",
            "task_debugger_ignore_errors",
            "terminal_plugins",
            "test_plugins",
            "use_persistent_connections",
            "validate_action_group_metadata",
            "vars_plugins",
            "vars_plugins_enabled",
            "verbose_to_stderr",
            "win_async_startup_timeout",
            "yaml_valid_extensions",
        ],
    ),
    ("privilege_escalation", &["agnostic_become_prompt", "become_allow_same_user"]),
    (
        "ssh_connection",
        &[
            "control_path",
            "control_path_dir",
            "password_mechanism",
            "pipelining",
            "pkcs11_provider",
            "scp_executable",
            "scp_extra_args",
            "scp_if_ssh",
            "sftp_batch_mode",
            "sftp_executable",
            "sftp_extra_args",
            "ssh_executable",
            "sshpass_prompt",
            "transfer_method",
            "usetty",
            "verbosity",
        ],
    ),
    ("connection", &["pipelining", "ssh_agent", "ssh_agent_executable", "ssh_agent_key_lifetime"]),
    (
        "inventory",
        &[
            "any_unparsed_is_failed",
            "cache",
            "cache_connection",
            "cache_plugin",
            "cache_prefix",
            "cache_timeout",
            "enable_plugins",
            "export",
            "ignore_extensions",
            "ignore_patterns",
            "inventory_unparsed_warning",
            "unparsed_is_failed",
            "unparsed_is_fatal",
        ],
    ),
    ("diff", &[]),
    ("tags", &[]),
];

/// Sections in which nothing has an effect.
const SECTIONS: &[&str] = &[
    "accelerate",
    "colors",
    "galaxy",
    "jinja2",
    "netconf_connection",
    "paramiko_connection",
    "persistent_connection",
    "selinux",
    "testing",
];

/// Variables of the environment without a key of their own above.
const ENVIRONMENT: &[&str] = &[
    "ANSIBLE_CACHE_PLUGIN",
    "ANSIBLE_CALLBACK_RESULT_FORMAT",
    "ANSIBLE_COLLECTIONS_PATH",
    "ANSIBLE_DEPRECATION_WARNINGS",
    "ANSIBLE_FILTER_PLUGINS",
    "ANSIBLE_HOME",
    "ANSIBLE_INVENTORY_ENABLED",
    "ANSIBLE_JINJA2_NATIVE",
    "ANSIBLE_LIBRARY",
    "ANSIBLE_LOCALHOST_WARNING",
    "ANSIBLE_NOCOWS",
    "ANSIBLE_PIPELINING",
    "ANSIBLE_PRECEDENCE",
    "ANSIBLE_PYTHON_INTERPRETER",
    "ANSIBLE_SSH_CONTROL_PATH",
    "ANSIBLE_SSH_CONTROL_PATH_DIR",
    "ANSIBLE_SSH_PIPELINING",
];

/// Whether a key is Ansible's and has no effect here. Sections of single plugins count whole.
pub(super) fn is_key(section: &str, key: &str) -> bool {
    let plugin = section.starts_with("callback_")
        || section.starts_with("galaxy_server.")
        || section.ends_with("_become_plugin")
        || section.ends_with("_lookup");
    plugin || SECTIONS.contains(&section) || keys(section).any(|known| known == key)
}

/// The keys of a section.
pub(super) fn keys(section: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(move |(name, _)| *name == section).flat_map(|(_, keys)| keys.iter().copied())
}

/// All sections.
pub(super) fn sections() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(name, _)| *name).chain(SECTIONS.iter().copied())
}

/// Whether a variable of the environment is Ansible's and has no effect here.
pub(super) fn is_environment(name: &str) -> bool {
    ENVIRONMENT.contains(&name)
}
