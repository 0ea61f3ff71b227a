use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::diag::render_all;

/// A machine of its own: a working directory, a home, a system file, all below one folder.
struct Machine {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

impl Machine {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["work", "home", "etc"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder, environment: BTreeMap::new() }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn load(&self) -> (Config, String) {
        let sources = Sources::new();
        let root = self.folder.path();
        let places = Places {
            directory: root.join("work"),
            home: Some(root.join("home")),
            system: root.join("etc/ansible.cfg"),
        };
        let (config, found) = Config::load(&sources, &self.environment, &places);
        let shown = render_all(&found, &sources, false).replace(&format!("{}/", root.display()), "");
        (config, shown)
    }

    fn file(&self) -> String {
        let (config, _) = self.load();
        config.file.map_or_else(String::new, |f| f.strip_prefix(self.folder.path()).unwrap().display().to_string())
    }
}

#[test]
fn the_first_file_found_counts_and_only_that_one() {
    let all = [
        ("work/ansible.cfg", "[defaults]\nforks=1\n"),
        ("work/other.cfg", "[defaults]\nforks=2\n"),
        ("home/.ansible.cfg", "[defaults]\nforks=3\ntimeout=3\n"),
        ("etc/ansible.cfg", "[defaults]\nforks=4\n"),
    ];
    assert_eq!(Machine::new(&all).file(), "work/ansible.cfg");
    assert_eq!(Machine::new(&all).load().0.timeout, Duration::from_secs(10), "files are not merged");
    assert_eq!(Machine::new(&all).variable("ANSIBLE_CONFIG", "other.cfg").file(), "work/other.cfg");
    assert_eq!(Machine::new(&all).variable("ANSIBLE_CONFIG", "~/.ansible.cfg").file(), "home/.ansible.cfg");
    assert_eq!(Machine::new(&all).variable("ANSIBLE_CONFIG", ".").file(), "work/ansible.cfg");
    assert_eq!(Machine::new(&all[2..]).file(), "home/.ansible.cfg");
    assert_eq!(Machine::new(&all[3..]).file(), "etc/ansible.cfg");
    assert_eq!(Machine::new(&[]).load(), (Config::default(), String::new()));
    let missing = Machine::new(&all).variable("ANSIBLE_CONFIG", "gone.cfg");
    assert_eq!(missing.file(), "work/ansible.cfg");
    assert!(missing.load().1.contains("ANSIBLE_CONFIG names work/gone.cfg, which is not there"));
}

#[test]
fn a_file_where_anybody_may_write_is_not_read() {
    let machine = Machine::new(&[("work/ansible.cfg", "[defaults]\nforks=1\n"), ("home/.ansible.cfg", "")]);
    let work = machine.folder.path().join("work");
    std::fs::set_permissions(&work, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(machine.file(), "home/.ansible.cfg");
    assert!(machine.load().1.contains("anybody may write"));
    assert_eq!(machine.variable("ANSIBLE_CONFIG", "ansible.cfg").file(), "work/ansible.cfg", "named, it counts");
}

#[test]
fn settings_are_read_in_all_their_notations() {
    let text = concat!(
        "# comment\n; comment\n[defaults]\n",
        "inventory = hosts, ~/inv ,$ROOT/x/../y\n",
        "Forks: 20 ; inline\n",
        "remote_user = \"deploy\"\n",
        "private_key_file = keys/id\n",
        "host_key_checking = False\n",
        "roles_path = roles:~/roles:${ROOT}/r\n",
        "gathering = smart\nhash_behaviour = merge\ntask_timeout = 0\nlog_path=\n",
        "[privilege_escalation]\nbecome = yes\nbecome_user = app\n",
        "[ssh_connection]\nssh_args = -o ControlMaster=auto -o A=b;c\nretries = 3\ntimeout = 30\n",
        "ssh_common_args =\n    -o ProxyJump=bastion\n    -v\n",
        "[diff]\nalways = on\ncontext = 5\n[tags]\nskip = slow, broken\n",
        "[inventory]\nhost_pattern_mismatch = error\n",
    );
    let machine = Machine::new(&[("work/ansible.cfg", text)]).variable("ROOT", "/srv");
    let (config, wrong) = machine.load();
    assert_eq!(wrong, "");
    let root = machine.folder.path();
    let work = root.join("work");
    let path = |base: &Path, rest: &str| base.join(rest).display().to_string();
    assert_eq!(config.inventory, [path(&work, "hosts"), path(&root.join("home"), "inv"), "/srv/y".to_owned()]);
    assert_eq!(config.forks.get(), 20);
    assert_eq!(config.remote_user.as_deref(), Some("deploy"));
    assert_eq!(config.private_key_file, Some(work.join("keys/id")));
    assert!(!config.host_key_checking);
    assert_eq!(config.roles_path, [work.join("roles"), root.join("home/roles"), PathBuf::from("/srv/r")]);
    assert_eq!((config.gathering, config.merge_mappings), (Gathering::Smart, true));
    assert_eq!((config.task_timeout, config.log_path.as_deref()), (None, None));
    assert_eq!((config.privilege, config.become_user.as_str()), (true, "app"));
    assert_eq!(config.ssh_args.as_deref(), Some("-o ControlMaster=auto -o A=b;c"));
    assert_eq!(config.ssh_common_args.as_deref(), Some("-o ProxyJump=bastion\n-v"));
    assert_eq!((config.retries, config.timeout), (3, Duration::from_secs(30)));
    assert_eq!((config.diff, config.diff_context), (true, 5));
    assert_eq!(config.skip_tags, ["slow", "broken"]);
    assert_eq!(config.host_pattern_mismatch, Some(Mismatch::Error));
}

#[test]
fn the_environment_wins_over_the_file() {
    let machine =
        Machine::new(&[("work/ansible.cfg", "[defaults]\nforks=1\nnocolor=no\ninventory=a\n"), ("work/b", "")])
            .variable("ANSIBLE_FORKS", "9")
            .variable("NO_COLOR", "anything")
            .variable("ANSIBLE_INVENTORY", "b,/c")
            .variable("ANSIBLE_RUN_TAGS", "a,b")
            .variable("ANSIBLE_TEST_SOMETHING", "x");
    let (config, wrong) = machine.load();
    assert_eq!(wrong, "");
    assert_eq!(config.forks.get(), 9);
    assert!(config.no_colour);
    assert_eq!(config.inventory, [machine.folder.path().join("work/b").display().to_string(), "/c".to_owned()]);
    assert_eq!(config.tags, ["a", "b"]);
    let names = Machine::new(&[]).variable("ANSIBLE_INVENTORY", "h1,h2,").load().0;
    assert_eq!(names.inventory, ["h1,h2,"]);
}

#[test]
fn what_is_wrong_is_shown_at_its_place_all_at_once() {
    let text = concat!(
        "forks = 1\n",
        "[defaults]\n",
        "forks = many\n",
        "forks = 3\n",
        "timeuot = 5\n",
        "become = true\n",
        "stdout_callback = yaml\n",
        "filter_plugins = x\n",
        "gathering = sometimes\n",
        "host_key_checking = maybe\n",
        "lonely\n",
        "zzzzzz = 1\n",
        "[default]\na = 1\nb = 2\n",
        "[ssh_connection]\npipelining = True\n",
        "[callback_profile_tasks]\ntask_output_limit = 5\n",
        "[open\n",
    );
    let machine = Machine::new(&[("work/ansible.cfg", text)])
        .variable("ANSIBLE_FORKS", "0")
        .variable("ANSIBLE_GATHERNG", "smart");
    insta::assert_snapshot!(machine.load().1);
}
