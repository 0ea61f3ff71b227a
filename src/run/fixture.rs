//! How a run is done in tests where nothing else is said.

use std::sync::Arc;
use std::time::Duration;

use super::{Login, Options, Privilege, Rules, Terms};
use crate::base::RunId;

/// By stagger's rules, for real, without a lease.
pub(crate) fn options(run: &RunId) -> Options {
    Options {
        rules: Rules::Stagger,
        run_id: run.to_string(),
        forks: 5,
        check: false,
        diff: false,
        step: false,
        force_handlers: false,
        start_at: None,
        verbosity: 0,
        extra: Arc::default(),
        limit: None,
        tags: Vec::new(),
        skip_tags: Vec::new(),
        inventory_sources: Vec::new(),
        config_file: None,
        login: Login {
            connection: "ssh".to_owned(),
            user: None,
            password: None,
            private_key: None,
            arguments: Vec::new(),
            check_host_key: true,
            timeout: Duration::from_secs(10),
            retries: 0,
            shell: "/bin/sh".to_owned(),
        },
        privilege: Privilege {
            enabled: false,
            method: "sudo".to_owned(),
            user: "root".to_owned(),
            password: None,
            executable: None,
            flags: None,
        },
        task_timeout: None,
        any_errors_fatal: false,
        roles_path: Vec::new(),
        gather: false,
        terms: Terms::default(),
        planned: None,
        lease: None,
    }
}
