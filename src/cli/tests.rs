//! Command lines in, requests or messages out.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::*;

fn words(line: &str) -> Vec<OsString> {
    shlex::split(line).expect("words").into_iter().map(OsString::from).collect()
}

fn asked(line: &str) -> Request {
    parse(&words(line), false).unwrap_or_else(|message| panic!("{line}: {}", message.text))
}

fn refused(line: &str) -> Message {
    match parse(&words(line), false) {
        Ok(request) => panic!("{line} was understood as {request:?}"),
        Err(message) => message,
    }
}

fn run_of(line: &str) -> RunRequest {
    match asked(line) {
        Request::Run(run) => run,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn every_flag_of_ansible_playbook_is_understood() {
    let line = "-i a.ini -i h1,h2, -l 'web:!db' -f 20 -C -D -e x=1 -e @v.yml -t a,b -t c --skip-tags d \
                --start-at-task 'install *' --step -u me -c local -T 30 -k -b -K --become-method su --become-user pg \
                --private-key k --ssh-common-args '-o ProxyJump=b' --ssh-extra-args=-v --list-hosts --list-tasks \
                --list-tags --syntax-check --force-handlers --flush-cache -vvv one.yml two.yml";
    let ours = run_of(&format!("stagger run {line}"));
    assert_eq!(ours.playbooks, [PathBuf::from("one.yml"), PathBuf::from("two.yml")]);
    assert_eq!(ours.tags, ["a", "b", "c"]);
    assert_eq!(ours.common.inventory, ["a.ini", "h1,h2,"]);
    assert_eq!(ours.common.limit.as_deref(), Some("web:!db"));
    assert_eq!(ours.common.extra_vars, ["x=1", "@v.yml"]);
    assert_eq!(ours.common.connect.timeout, Some(Duration::from_secs(30)));
    assert_eq!(ours.common.connect.ssh_common_args.as_deref(), Some("-o ProxyJump=b"));
    assert_eq!(ours.common.connect.ssh_extra_args.as_deref(), Some("-v"));
    assert_eq!(ours.common.privilege.method.as_deref(), Some("su"));
    assert_eq!(ours.common.verbosity, 3);
    assert!(ours.list.hosts && ours.list.tasks && ours.list.tags && ours.syntax_check && ours.step);
    assert!(ours.common.check && ours.common.diff && ours.common.connect.ask_password && ours.common.flush_cache);

    let mut theirs = run_of(&format!("/usr/bin/ansible-playbook {line}"));
    assert_eq!(theirs.common.rules, Rules::Ansible);
    theirs.common.rules = Rules::Stagger;
    assert_eq!(theirs, ours);
}

#[test]
fn a_letter_means_what_it_means_under_the_name() {
    let message = refused("ansible all -t results");
    assert!(message.text.contains("`--tree` comes with"), "{}", message.text);
    assert_eq!((message.error, message.exit), (true, 2));
    assert_eq!(run_of("ansible-playbook -t web p.yml").tags, ["web"]);
}

#[test]
fn one_module_on_hosts() {
    let Request::Exec(exec) = asked("ansible 'web:&prod' -m shell -a '-x y' -o --task-timeout 1m") else { panic!() };
    assert_eq!((exec.pattern.as_str(), exec.module.as_str(), exec.arguments.as_str()), ("web:&prod", "shell", "-x y"));
    assert!(exec.one_line);
    assert_eq!(exec.task_timeout, Some(Duration::from_secs(60)));
    let Request::Exec(exec) = asked("stagger exec all -a uptime") else { panic!() };
    assert_eq!(exec.module, "command");
}

#[test]
fn one_view_of_the_inventory() {
    let Request::Inventory(graph) = asked("ansible-inventory -i x --graph web --vars") else { panic!() };
    assert_eq!(graph.view, InventoryView::Graph(Some("web".to_owned())));
    let Request::Inventory(host) = asked("stagger inventory --host h1 -y --output f") else { panic!() };
    assert_eq!(host.view, InventoryView::Host("h1".to_owned()));
    assert_eq!(host.output, Some(PathBuf::from("f")));
    assert!(refused("stagger inventory --list --graph").text.contains("cannot be used with"));
    assert!(refused("stagger inventory").text.contains("required"));
    assert!(refused("stagger inventory --list --toml").text.contains("-y"));
}

#[test]
fn what_comes_later_is_refused_by_name() {
    for line in ["stagger run -M lib p.yml", "ansible all -M lib -m ping"] {
        let message = refused(line);
        assert!(message.text.contains("not supported yet"), "{line}: {}", message.text);
    }
}

#[test]
fn vault_passwords_are_taken_in_order() {
    let keys = VaultKeys {
        ask: true,
        ids: vec!["a@f".to_owned(), "b@prompt".to_owned()],
        files: vec![PathBuf::from("x"), PathBuf::from("y")],
    };
    let flags = "-J --vault-id a@f --vault-pass-file x --vault-id b@prompt --vault-password-file y";
    for line in [format!("stagger run {flags} p.yml"), format!("ansible-playbook {flags} p.yml")] {
        assert_eq!(run_of(&line).common.vault, keys, "{line}");
    }
}

#[test]
fn usage_errors_have_the_code_of_the_name() {
    assert_eq!(refused("stagger run").exit, 64);
    assert_eq!(refused("ansible-playbook").exit, 2);
    assert_eq!(refused("stagger run -f 0 p.yml").exit, 64);
    assert_eq!(refused("ansible-playbook -f 0 p.yml").exit, 2);
    assert_eq!(refused("stagger run --nonsense p.yml").exit, 64);
    assert_eq!(refused("stagger run -k --conn-pass-file f p.yml").exit, 64);
    assert!(refused("stagger run -T soon p.yml").text.contains("is not a duration"));
    assert!(refused("stagger run -T 0 p.yml").text.contains("give up at once"));
    assert!(refused("stagger run -t '' p.yml").text.contains("names no tag"));
}

#[test]
fn a_repeated_option_is_an_error_under_stagger_and_the_last_wins_under_ansible() {
    assert!(refused("stagger run -l a -l b p.yml").text.contains("cannot be used multiple times"));
    assert_eq!(run_of("ansible-playbook -l a -l b p.yml").common.limit.as_deref(), Some("b"));
    assert_eq!(run_of("ansible-playbook -i a -i b p.yml").common.inventory, ["a", "b"]);
    assert!(run_of("ansible-playbook --ask-become p.yml").common.privilege.ask_password);
}

#[test]
fn an_empty_limit_is_not_no_limit() {
    assert_eq!(run_of("stagger run -l '' p.yml").common.limit.as_deref(), Some(""));
}

#[test]
fn flags_without_effect_are_named() {
    let run = run_of("ansible-playbook --sftp-extra-args=-x p.yml");
    assert_eq!(run.common.warnings.len(), 1);
    assert!(run.common.warnings.concat().contains("--sftp-extra-args"));
}

#[test]
fn lab_takes_all_words() {
    assert_eq!(asked("stagger lab up -n 3 --help"), Request::Lab(words("up -n 3 --help")));
    assert_eq!(asked("stagger lab"), Request::Lab(Vec::new()));
}

#[test]
fn check_is_run_with_check() {
    assert!(run_of("stagger check p.yml").common.check);
}

#[test]
fn help_fits_eighty_columns_and_lists_exit_codes() {
    for (name, pages) in [
        (Name::Stagger, &["", "run", "check", "exec", "inventory", "runs", "status", "replay", "show"][..]),
        (Name::AnsiblePlaybook, &[""][..]),
        (Name::Ansible, &[""][..]),
        (Name::AnsibleInventory, &[""][..]),
    ] {
        for page in pages {
            let mut command = command::command(name).term_width(80);
            command.build();
            let page = if page.is_empty() { &mut command } else { command.find_subcommand_mut(page).expect("a page") };
            let help = page.clone().term_width(80).render_long_help().to_string();
            assert!(help.contains("Exit codes:"), "{name:?}: {help}");
            let wide: Vec<_> = help.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(wide.is_empty(), "{name:?}: {wide:#?}");
        }
        command::command(name).debug_assert();
    }
}

#[test]
fn alone_it_prints_a_short_help() {
    let message = refused("stagger");
    assert!(message.error);
    assert_eq!(message.exit, 64);
    insta::assert_snapshot!(message.text, @r"
    Upgrades a cluster while it works: runs Ansible's playbooks over SSH, agentless

    Usage: stagger <COMMAND>

    Commands:
      run        Run playbooks
      check      Show what playbooks would change: the same as run --check
      plan       Show what playbooks would change, on which host, and keep it
      exec       Run one module on hosts
      inventory  Show the inventory
      pause      Let hosts at work finish, and start nothing new until resumed
      resume     Let a paused run go on, or go on with one that ended early
      continue   Let one batch that waits for approval begin
      abort      End a run for good: hosts at work finish, what must be undone is undone
      skip       Leave hosts that have not begun out of a run
      retry      Try failed hosts again at the task that failed
      upgrade    Upgrade a cluster hop by hop, from what runs to a version
      rollback   Go the way back that a run's playbooks name, the last changed host first
      runs       The runs so far
      status     Where a run stands: what is done, at work, waiting and to come
      replay     Show a run again from its journal
      show       What a run did, and what is left to do on a host, to go on by hand
      lock       Who has which host, and breaking what a dead run left there
      doc        Modules, keywords, filters and tests: what there is
      lint       What of playbooks, roles and inventories works here, without a host
      vault      Encrypt and decrypt files and values, as ansible-vault does
      lab        Rehearsal hosts on this machine
      help       Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Examples:
      stagger run upgrade.yml -i production.yml --check --diff
      stagger exec all -i production.yml -a uptime
      stagger help run
    ");
}

#[test]
fn the_version_is_printed_under_every_name() {
    for (line, start) in [("stagger --version", "stagger "), ("ansible-playbook --version", "ansible-playbook [")] {
        let message = refused(line);
        assert!(message.text.starts_with(start), "{}", message.text);
        assert_eq!((message.error, message.exit), (false, 0));
    }
}

#[test]
fn a_run_is_spoken_to_by_its_id_and_hosts_are_left_out_for_a_reason() {
    let control = |line: &str| match asked(line) {
        Request::Control(request) => request,
        Request::Resume(request) => request.control,
        other => panic!("{line}: {other:?}"),
    };
    let asked = control("stagger continue 7kq2 masters --state d");
    assert_eq!(
        (asked.ask, asked.run.as_deref(), asked.words.as_slice()),
        (Ask::Continue, Some("7kq2"), &["masters".to_owned()][..])
    );
    assert_eq!(asked.state, Some(PathBuf::from("d")));
    assert_eq!(control("stagger pause").run, None);
    assert_eq!(control("stagger abort --reason 'wrong version'").reason, "wrong version");
    assert_eq!(control("stagger skip 7kq2 s1 s2 --reason x").words, ["s1", "s2"]);
    assert!(refused("stagger skip 7kq2 s1").text.contains("--reason"));
    assert!(refused("stagger skip 7kq2 --reason x").text.contains("HOST"));
}

#[test]
fn the_terms_of_a_run_are_staggers_own() {
    let terms = run_of("stagger run a.yml --approve each --until 05:00").terms;
    assert_eq!((terms.approve, terms.until, terms.lasting), (Some(Approval::Each), Some((5, 0)), None));
    assert_eq!(run_of("stagger run a.yml --for 2h").terms.lasting, Some(Duration::from_secs(7200)));
    for line in [
        "--until 24:00",
        "--until 5",
        "--until 05:60",
        "--until +5:00",
        "--until 5:00 --for 2h",
        "--for 0",
        "--approve maybe",
    ] {
        assert_eq!(refused(&format!("stagger run a.yml {line}")).exit, 64, "{line}");
    }
    assert_eq!(refused("ansible-playbook a.yml --approve each").exit, 2);
    // Still the beginning of `--forks` and `--force-handlers` alone.
    assert!(refused("ansible-playbook a.yml --for 2").text.contains("--for"));
}
