use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::base::to_text;
use crate::diag::render_all;

/// A folder with files, as `name → text`.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        if text.starts_with("#!") {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    folder
}

/// Loads specs below a folder; gives the inventory and the diagnostics with the folder's name taken out.
fn load_with(folder: &tempfile::TempDir, specs: &[&str], options: &LoadOptions) -> (Inventory, String) {
    let sources = Sources::new();
    let specs: Vec<String> = specs
        .iter()
        .map(
            |spec| if spec.contains(',') { (*spec).to_owned() } else { folder.path().join(spec).display().to_string() },
        )
        .collect();
    let (inventory, found) = Inventory::load(&sources, &specs, options);
    let shown = render_all(&found, &sources, false);
    (inventory, shown.replace(&format!("{}/", folder.path().display()), ""))
}

fn load(folder: &tempfile::TempDir, specs: &[&str]) -> (Inventory, String) {
    load_with(folder, specs, &LoadOptions::default())
}

fn ini(text: &str) -> Inventory {
    let folder = folder(&[("hosts", text)]);
    let (inventory, wrong) = load(&folder, &["hosts"]);
    assert_eq!(wrong, "");
    inventory
}

fn variables(inventory: &Inventory, host: &str) -> Value {
    inventory.variables(host, None).iter().map(|(name, node)| (name.clone(), node.to_value())).collect::<Map>().into()
}

/// Each row: a variable, the places that set it, and the place that must win. Every place sets it to its own name.
#[test]
fn the_later_place_wins() {
    const PLACES: [&str; 10] = [
        "inline all",
        "inline parent",
        "inline child",
        "inventory group_vars/all",
        "playbook group_vars/all",
        "inventory group_vars/parent",
        "inventory group_vars/child",
        "playbook group_vars/parent",
        "inline host",
        "inventory host_vars",
    ];
    // Variable vN is set by the first N places, so that place N must win; the playbook's host_vars win over all.
    let lines = |place: usize, equals: &str| -> String {
        (place + 1..=PLACES.len()).map(|n| format!("v{n}{equals}{:?}\n", PLACES[place])).collect()
    };
    let yaml = |place: usize| lines(place, ": ");
    let host_line: String = (9..=10).map(|n| format!(" v{n}='inline host'")).collect();
    let hosts = format!(
        "[child]\nh{host_line} last=inline\n[parent:children]\nchild\n[all:vars]\n{}[parent:vars]\n{}[child:vars]\n{}",
        lines(0, "="),
        lines(1, "="),
        lines(2, "=")
    );
    let files = [
        ("inv/hosts", hosts),
        ("inv/group_vars/all.yml", yaml(3)),
        ("play/group_vars/all.yml", yaml(4)),
        ("inv/group_vars/parent.yml", yaml(5)),
        ("inv/group_vars/child.yml", yaml(6)),
        ("play/group_vars/parent.yml", yaml(7)),
        ("inv/host_vars/h.yml", yaml(9)),
        ("play/host_vars/h.yml", "last: playbook host_vars\n".to_owned()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let folder = folder(&files);
    let (mut inventory, wrong) = load(&folder, &["inv/hosts"]);
    assert_eq!(wrong, "");
    let play = folder.path().join("play");
    assert!(inventory.load_vars_beside(&Sources::new(), &play, Level::Playbook).is_empty());
    let merged = inventory.variables("h", Some(&play));
    for (number, place) in PLACES.iter().enumerate() {
        let variable = format!("v{}", number + 1);
        assert_eq!(merged[&variable].as_str(), Some(*place), "{variable}");
    }
    assert_eq!(merged["last"].as_str(), Some("playbook host_vars"));
    assert_eq!(inventory.variables("h", None)["last"].as_str(), Some("inline"), "without the playbook");
}

#[test]
fn groups_merge_by_depth_then_priority_then_name() {
    let inventory = ini(concat!(
        "[b]\nh\n[a]\nh\n[deep]\nh\n[top:children]\ndeep\n",
        "[a:vars]\nname=a\nprio=a\ndepth=a\nansible_group_priority=5\n",
        "[b:vars]\nname=b\nprio=b\n",
        "[deep:vars]\ndepth=deep\n[top:vars]\ndepth=top\nname=top\n",
    ));
    let merged = variables(&inventory, "h");
    assert_eq!(merged, json!({"name": "a", "prio": "a", "depth": "deep"}));
    assert_eq!(inventory.group_priority("a"), 5);
    assert_eq!(inventory.groups_of("h"), ["a", "b", "deep", "top"]);
}

#[test]
fn mappings_are_replaced_or_merged_as_asked() {
    let files = [
        ("hosts", "[g]\nh\n"),
        ("group_vars/all.yml", "m: {a: 1, deep: {x: 1, y: 1}, list: [1]}\n"),
        ("group_vars/g.yml", "m: {b: 2, deep: {y: 2}, list: [2]}\n"),
    ];
    let folder = folder(&files);
    let (replaced, _) = load(&folder, &["hosts"]);
    assert_eq!(variables(&replaced, "h"), json!({"m": {"b": 2, "deep": {"y": 2}, "list": [2]}}));
    let merge = LoadOptions { merge_mappings: true, ..LoadOptions::default() };
    let (merged, _) = load_with(&folder, &["hosts"], &merge);
    assert_eq!(variables(&merged, "h"), json!({"m": {"a": 1, "deep": {"x": 1, "y": 2}, "list": [2], "b": 2}}));
}

#[test]
fn a_folder_of_variables_is_read_in_order_and_a_folder_goes_before_a_file() {
    let files = [
        ("hosts", "[g]\nh\n[f]\nh\n"),
        ("group_vars/g/10-b.yml", "x: second\ny: b\n"),
        ("group_vars/g/05-a.json", "{\"x\": \"first\", \"z\": 1}"),
        ("group_vars/g/sub/deep", "deep: yes\n"),
        ("group_vars/g/skip.txt", "x: no\n"),
        ("group_vars/g/.hidden.yml", "x: no\n"),
        ("group_vars/g/back.yml~", "x: no\n"),
        ("group_vars/g/dir.d/a.yml", "x: no\n"),
        ("group_vars/g.yml", "x: no\n"),
        ("group_vars/f.yaml", "f: yaml\n"),
        ("group_vars/f.json", "{\"f\": \"json\"}"),
        ("group_vars/empty.yml", ""),
    ];
    let folder = folder(&files);
    let (inventory, wrong) = load(&folder, &["hosts"]);
    assert_eq!(wrong, "");
    assert_eq!(variables(&inventory, "h"), json!({"f": "yaml", "x": "second", "z": 1, "y": "b", "deep": true}));
}

#[test]
fn group_vars_of_all_reach_the_localhost_that_no_source_names() {
    let folder = folder(&[("hosts", "h\n"), ("group_vars/all", "x: 1\n")]);
    let (inventory, _) = load(&folder, &["hosts"]);
    assert_eq!(variables(&inventory, "localhost"), json!({"x": 1, "ansible_connection": "local"}));
    assert!(!inventory.contains("localhost"));
    assert!(inventory.is_implicit_localhost("localhost"));
    assert_eq!(inventory.hosts(), ["h"]);
}

#[test]
fn values_that_are_vaulted_are_kept_and_whole_files_need_a_password() {
    let files = [
        ("hosts", "h\n"),
        ("host_vars/h.yml", "secret: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n"),
        ("group_vars/all.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n"),
    ];
    let folder = folder(&files);
    let (inventory, wrong) = load(&folder, &["hosts"]);
    assert!(wrong.contains("error: this is encrypted, and no vault password was given"), "{wrong}");
    assert!(wrong.contains("group_vars/all.yml:1:1"), "{wrong}");
    let merged = inventory.variables("h", None);
    assert!(matches!(merged["secret"].kind, crate::base::NodeKind::Vault(_)));
}

#[test]
fn a_folder_of_sources_is_read_in_ascii_order_and_the_later_source_wins() {
    let files = [
        ("inv/02-b.yml", "all: {hosts: {h: {x: b, y: b}}}\n"),
        ("inv/01-a", "h x=a z=a\n"),
        ("inv/notes.md", "nonsense: [\n"),
        ("inv/group_vars/all.yml", "from: group_vars\n"),
        ("inv/sub/c.ini", "[late]\nh2\n"),
        ("other", "h x=other\n"),
    ];
    let folder = folder(&files);
    let (inventory, wrong) = load(&folder, &["inv", "other"]);
    assert_eq!(wrong, "");
    assert_eq!(variables(&inventory, "h"), json!({"x": "other", "z": "a", "y": "b", "from": "group_vars"}));
    assert_eq!(inventory.inventory_file("h"), Some(folder.path().join("inv/01-a").to_str().unwrap()));
    assert_eq!(inventory.inventory_dir("h2"), Some(folder.path().join("inv/sub").as_path()));
}

#[test]
fn names_with_commas_are_hosts() {
    let folder = folder(&[]);
    let (inventory, wrong) = load(&folder, &["h1, h2:2222,,[::1]:23"]);
    assert_eq!(wrong, "");
    assert_eq!(inventory.hosts(), ["h1", "h2", "::1"]);
    assert_eq!(variables(&inventory, "h2"), json!({"ansible_port": 2222}));
    assert_eq!(inventory.inventory_dir("h1"), None);
    let (_, wrong) = load(&folder, &["h[1:3],"]);
    assert!(wrong.contains("ranges don't work in a list of names"), "{wrong}");
    let (_, wrong) = load(&folder, &[" , "]);
    assert!(wrong.contains("names no host"), "{wrong}");
}

#[test]
fn what_can_not_be_read_is_an_error_that_says_what_to_do() {
    let files = [
        ("production.ini", "h\n"),
        ("a.toml", "[web]\n"),
        ("plugin.yml", "plugin: amazon.aws.aws_ec2\nregions: [a]\n"),
        ("list.yml", "- web\n"),
        ("empty.yml", "# nothing\n"),
        ("vault", "$ANSIBLE_VAULT;1.1;AES256\n61\n"),
        (
            "shape.yml",
            concat!(
                "web:\n  host: {h1: }\n  hosts: [h1]\n  vars: 5\n",
                "db:\n  hosts: {1: , 'h[3:1]': , h5: text}\n  children: {web: , db: }\n",
                "12: {}\n",
                "prio: {vars: {ansible_group_priority: high}}\n",
                "flat: h1\n",
            ),
        ),
        ("empty-folder/.keep", ""),
    ];
    let folder = folder(&files);
    let (_, wrong) = load(
        &folder,
        &["prodction.ini", "a.toml", "plugin.yml", "list.yml", "empty.yml", "vault", "shape.yml", "empty-folder"],
    );
    insta::assert_snapshot!(wrong);
}

#[test]
fn probable_mistakes_are_warnings() {
    let files = [
        ("hosts", "[web-servers]\nweb-servers x=1\n[workers]\nh\n[es1]\nh\n"),
        ("group_vars/worker.yml", "x: 1\n"),
        ("group_vars/workres.yml", "x: 1\n"),
        ("group_vars/es2.yml", "x: 1\n"),
    ];
    let folder = folder(&files);
    let (_, wrong) = load(&folder, &["hosts"]);
    insta::assert_snapshot!(wrong);
}

#[test]
fn scripts_answer_for_all_hosts_at_once_or_for_each() {
    let files = [
        (
            "meta.sh",
            concat!(
                "#!/bin/sh\n[ \"$1\" = --list ] || exit 9\n",
                "echo '{\"web\": {\"hosts\": [\"h1\", \"h2\"], \"vars\": {\"t\": \"{{ x }}\"}, \"children\": [\"sub\"]},",
                " \"sub\": [\"h3\"], \"_meta\": {\"hostvars\": {\"h1\": {\"a\": 1e3}}}}'\n",
            ),
        ),
        (
            "each.sh",
            concat!(
                "#!/bin/sh\n[ \"$1\" = --list ] && echo '{\"db\": [\"d1\", \"d2\"], \"old\": {\"v\": 1}}' && exit 0\n",
                "[ \"$2\" = d1 ] && echo '{\"n\": \"d1\"}'\nexit 0\n",
            ),
        ),
    ];
    let folder = folder(&files);
    let (inventory, wrong) = load(&folder, &["meta.sh", "each.sh"]);
    assert!(wrong.starts_with("warning: `old` is a group and a host") && !wrong.contains("error"), "{wrong}");
    assert_eq!(inventory.hosts(), ["h1", "h2", "d1", "d2", "old", "h3"]);
    assert_eq!(variables(&inventory, "h1"), json!({"t": "{{ x }}", "a": 1000.0}));
    assert_eq!(variables(&inventory, "d1"), json!({"n": "d1"}));
    assert_eq!(variables(&inventory, "old"), json!({"v": 1}));
    assert_eq!(inventory.groups_of("h3"), ["sub", "web"]);
}

#[test]
fn scripts_that_fail_are_errors_with_what_they_said() {
    let files = [
        ("exit.sh", "#!/bin/sh\necho 'no credentials' >&2\nexit 3\n"),
        ("text.sh", "#!/bin/sh\nprintf '{\"web\":\\n oops}'\n"),
        ("list.sh", "#!/bin/sh\necho '[]'\n"),
        ("shape.sh", "#!/bin/sh\necho '{\"web\": {\"hosts\": \"h1\", \"vars\": []}, \"x\": 5, \"_meta\": {}}'\n"),
        ("gone.sh", "#!/nonexistent/interpreter\n"),
    ];
    let folder = folder(&files);
    let (_, wrong) = load(&folder, &["exit.sh", "text.sh", "list.sh", "shape.sh", "gone.sh"]);
    insta::assert_snapshot!(wrong);
}

#[test]
fn a_script_that_hangs_is_ended_at_its_deadline() {
    let folder = folder(&[("slow.sh", "#!/bin/sh\necho waiting >&2\nexec sleep 600\n")]);
    let options = LoadOptions { script_deadline: Duration::from_millis(200), ..LoadOptions::default() };
    let started = Instant::now();
    let (_, wrong) = load_with(&folder, &["slow.sh"], &options);
    assert!(wrong.contains("did not finish within"), "{wrong}");
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_file_that_may_be_executed_but_is_no_program_is_read() {
    let folder = folder(&[("hosts", "h1\n")]);
    std::fs::set_permissions(folder.path().join("hosts"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let (inventory, wrong) = load(&folder, &["hosts"]);
    assert_eq!((inventory.hosts(), wrong.as_str()), (vec!["h1"], ""));
}

#[test]
fn json_that_yaml_would_refuse_is_read() {
    let folder = folder(&[("inv.json", "{\n\t\"web\": {\n\t\t\"hosts\": {\"h1\": {\"a\": [1,\n\t2]}}\n\t}\n}\n")]);
    let (inventory, wrong) = load(&folder, &["inv.json"]);
    assert_eq!(wrong, "");
    assert_eq!(variables(&inventory, "h1"), json!({"a": [1, 2]}));
}

#[test]
fn hosts_and_groups_can_be_added_in_the_run() {
    let files = [("hosts", "[web]\nh1\n"), ("group_vars/late.yml", "from: late\n"), ("host_vars/h2.yml", "own: 1\n")];
    let folder = folder(&files);
    let (mut inventory, _) = load(&folder, &["hosts"]);
    let sources = Sources::new();
    let vars = json!({"t": "{{ never }}"}).as_object().unwrap().clone();
    assert_eq!(inventory.add_host(&sources, "h2", &["late".to_owned()], &vars), (true, vec![]));
    assert_eq!(inventory.add_host(&sources, "h2", &["late".to_owned()], &vars), (false, vec![]));
    assert_eq!(variables(&inventory, "h2"), json!({"from": "late", "t": "{{ never }}", "own": 1}));
    assert!(
        matches!(inventory.variables("h2", None)["t"].kind, crate::base::NodeKind::String { raw: true, .. }),
        "what a host answered is never rendered"
    );
    assert!(inventory.add_host(&sources, "h3", &[], &Map::new()).0);
    assert_eq!(inventory.group_hosts("ungrouped"), Some(vec!["h3"]));
    let parents = ["up".to_owned()];
    assert_eq!(inventory.add_to_group(&sources, "h1", "os_debian", &parents).unwrap(), (true, vec![]));
    assert_eq!(inventory.add_to_group(&sources, "h1", "os_debian", &parents).unwrap(), (false, vec![]));
    assert_eq!(inventory.groups_of("h1"), ["os_debian", "up", "web"]);
    assert!(inventory.add_to_group(&sources, "nobody", "g", &[]).unwrap_err().contains("nobody"));
    let loops = ["os_debian".to_owned()];
    assert!(inventory.add_to_group(&sources, "h1", "up", &loops).unwrap_err().contains("up → os_debian → up"));
    assert_eq!(inventory.select("os_debian:late").unwrap(), ["h1", "h2"]);
}

/// Facts measured on ansible-core 2.19: each row is a pattern and the hosts it gives; `!` in front of the answer is the
/// strict error's beginning, with Ansible's hosts behind `|`.
#[test]
fn patterns_choose_hosts_as_measured() {
    let inventory = ini(concat!(
        "lone\n[masters]\nm1\nm2\nm3\n[es]\nes0\nes1\nes2.dc\n[g]\nm1\nes1\n",
        "[prod:children]\nmasters\nes\n[empty]\n[web]\nw1\nw2\n",
    ));
    let cases: &[(&str, &str)] = &[
        ("all", "lone m1 es1 w1 w2 m2 m3 es0 es2.dc"),
        ("*", "lone m1 es1 w1 w2 m2 m3 es0 es2.dc"),
        ("m2", "m2"),
        ("masters", "m1 m2 m3"),
        ("prod", "m1 m2 m3 es0 es1 es2.dc"),
        ("masters:es", "m1 m2 m3 es0 es1 es2.dc"),
        ("es,masters", "es0 es1 es2.dc m1 m2 m3"),
        ("es1 m1", "es1 m1"),
        (" m1 , es1 ", "m1 es1"),
        ("m1,m1,masters", "m1 m2 m3"),
        ("prod:!masters", "es0 es1 es2.dc"),
        ("!masters:prod", "es0 es1 es2.dc"),
        ("!prod", "lone w1 w2"),
        ("&g", "m1 es1"),
        ("prod:&g", "m1 es1"),
        ("prod:&g:!es", "m1"),
        ("prod:!es:&g", "m1"),
        ("m*", "m1 m2 m3"),
        ("es*", "es0 es1 es2.dc"),
        ("*.dc", "es2.dc"),
        ("m[12]", "!no group or host is called `m`|"),
        ("masters[0]", "m1"),
        ("masters[-1]", "m3"),
        ("masters[0:1]", "m1 m2"),
        ("masters[1:]", "m2 m3"),
        ("masters[0:0]", "m1"),
        ("masters[0-1]", "m1 m2"),
        ("es[01]", "es1"),
        ("m*[1]", "m2"),
        ("masters[2:1]", "!`masters[2:1]` reaches outside|"),
        ("masters[1:7]", "!`masters[1:7]` reaches outside|m2 m3"),
        ("masters[:2]", "!no group or host matches `masters[:2]`|"),
        ("~es.*[0]", "es0"),
        ("~(m|w)[12]", "m1 m2 w1 w2"),
        ("~^es[01]$", "es0 es1"),
        ("prod:!typo", "!no group or host is called `typo`|m1 m2 m3 es0 es1 es2.dc"),
        ("typo", "!no group or host is called `typo`|"),
        ("prod,&typo", "!no group or host is called `typo`|"),
        ("m1:2222", "!no group or host is called `m1:2222`|"),
        ("m1;m2", "!no group or host is called `m1;m2`|"),
        ("empty", ""),
        ("ungrouped", "lone"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1,localhost", "127.0.0.1"),
    ];
    for (pattern, wanted) in cases {
        let strict = inventory.select(pattern);
        let lenient = inventory.select_with(pattern, Strictness::Ansible).unwrap();
        match wanted.strip_prefix('!').and_then(|rest| rest.split_once('|')) {
            Some((message, hosts)) => {
                let error = strict.unwrap_err();
                assert!(error.message.starts_with(message), "{pattern}: {error}");
                assert_eq!(lenient.hosts.join(" "), hosts, "{pattern}");
            }
            None => {
                assert_eq!(strict.unwrap().join(" "), *wanted, "{pattern}");
                assert_eq!(lenient.hosts.join(" "), *wanted, "{pattern}");
            }
        }
    }
    for pattern in ["", " ", ",", ":", "!", "prod:!", "masters[9]", "masters[-4]", "~(", "prod:es[0"] {
        assert!(inventory.select(pattern).is_err(), "{pattern:?}");
        assert!(inventory.select_with(pattern, Strictness::Ansible).is_err(), "{pattern:?}");
    }
    let lenient = inventory.select_with("prod:!typo", Strictness::Ansible).unwrap();
    assert_eq!(lenient.warnings, ["Could not match supplied host pattern, ignoring: typo"]);
}

#[test]
fn a_wrong_pattern_is_answered_with_what_to_write() {
    let inventory = ini("[masters]\nm1\n[slaves]\ns1\n");
    let help = |pattern: &str| inventory.select(pattern).unwrap_err().help.join(" / ");
    assert_eq!(
        help("all:!master"),
        "did you mean `masters`? / what is to be left out must be there: else a typing mistake would act on it"
    );
    assert!(help("m1:2222").contains("write `m1`"));
    assert!(help("masters[:1]").contains("[0:2]"));
    assert_eq!(help("masters[4]"), "they are counted from 0 to 0");
    let sources = Sources::new();
    let source = sources.add("site.yml", "- hosts: all:!mastres\n");
    let span = Span { source, start: 9, end: 21 };
    let shown = render_all(&[inventory.select("all:!mastres").unwrap_err().diagnostic(span)], &sources, false);
    insta::assert_snapshot!(shown);
}

#[test]
fn an_inventory_with_localhost_has_that_host_under_each_of_its_names() {
    let inventory = ini("localhost ansible_connection=ssh\n");
    assert_eq!(inventory.select("127.0.0.1").unwrap(), ["localhost"]);
    assert_eq!(inventory.select("::1").unwrap(), ["localhost"]);
}

#[test]
fn a_limit_cuts_and_never_widens() {
    let folder = folder(&[
        ("hosts", "[web]\nw1\nw2\nw3\n[db]\nd1\n"),
        ("retry", "w3\n\n# comment\nw1\n"),
        ("empty", "\n# nothing\n"),
    ]);
    let (inventory, _) = load(&folder, &["hosts"]);
    let sources = Sources::new();
    let play: Vec<String> = ["w1", "w2", "w3"].map(str::to_owned).to_vec();
    let limit = |limits: &[&str], strictness| {
        let limits: Vec<String> =
            limits.iter().map(|l| l.replace('@', &format!("@{}/", folder.path().display()))).collect();
        inventory.limit(&sources, &play, &limits, strictness).map(|selection| selection.hosts.join(" "))
    };
    let strict = |limits: &[&str]| limit(limits, Strictness::Strict);
    assert_eq!(strict(&[]).unwrap(), "w1 w2 w3");
    assert_eq!(strict(&["w3:w1"]).unwrap(), "w1 w3", "the play's order stays");
    assert_eq!(strict(&["web:!w2"]).unwrap(), "w1 w3");
    assert_eq!(strict(&["!w2"]).unwrap(), "w1 w3");
    assert_eq!(strict(&["db"]).unwrap(), "");
    assert_eq!(strict(&["@retry"]).unwrap(), "w1 w3");
    assert_eq!(strict(&["@retry,!w1"]).unwrap(), "w3");
    assert_eq!(strict(&["w1", "w2"]).unwrap(), "w1 w2");
    for wrong in ["", ",", "@empty", "@missing", "typo", "w1,typo"] {
        assert!(strict(&[wrong]).is_err(), "{wrong:?}");
    }
    // An empty limit never means everything, whatever name stagger was called by.
    for wrong in ["", "@empty", "@missing"] {
        assert!(limit(&[wrong], Strictness::Ansible).is_err(), "{wrong:?}");
    }
    assert_eq!(limit(&["w1,typo"], Strictness::Ansible).unwrap(), "w1");
}

#[test]
fn ten_thousand_hosts_are_no_trouble() {
    let mut text = String::from("[all:vars]\nx=1\n");
    for group in 0..100 {
        let site = group % 10;
        let hosts = format!("[g{group}]\nh{group}-[000:099] n={group}\n");
        let rest = format!("[g{group}:vars]\na=1\nb={{{{ x }}}}\n[site{site}:children]\ng{group}\n");
        text.extend([hosts, rest]);
    }
    let folder = folder(&[("hosts", text.as_str()), ("group_vars/g7.yml", "c: 1\n")]);
    let started = Instant::now();
    let (inventory, wrong) = load(&folder, &["hosts"]);
    assert_eq!(wrong, "");
    assert_eq!(inventory.hosts().len(), 10_000);
    for host in inventory.hosts() {
        assert!(inventory.variables(host, None).len() >= 4);
        assert_eq!(inventory.groups_of(host).len(), 2);
    }
    assert_eq!(inventory.select("site7:!g7").unwrap().len(), 900);
    // Without optimisation, on a busy machine; a quadratic step would take minutes.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(to_text(&variables(&inventory, "h7-042")["n"]), "7");
}

#[test]
fn a_list_of_an_earlier_run_is_a_name_that_shadows_nothing_and_is_never_empty() {
    let named = |text: &str| {
        let mut inventory = ini(text);
        inventory.name_lists(Box::new(|name: &str| match name {
            "last_failed" => Some(Ok(vec!["b".to_owned(), "gone".to_owned()])),
            "last_unreachable" => Some(Err("`last_unreachable` is empty".to_owned())),
            _ => None,
        }));
        inventory
    };
    let inventory = named("[web]\na\nb\nc\n");
    let chosen = inventory.select_with("web:&last_failed", Strictness::Strict).unwrap();
    assert_eq!(chosen.hosts, ["b"]);
    assert!(chosen.warnings[0].contains("gone"), "{:?}", chosen.warnings);
    assert_eq!(inventory.select("web:!last_failed").unwrap(), ["a", "c"]);
    assert!(inventory.select("last_unreachable").unwrap_err().message.contains("is empty"));
    assert!(inventory.select("last_other").is_err());
    let own = named("[last_failed]\nc\n[web]\na\nb\n");
    assert_eq!(own.select("last_failed").unwrap(), ["c"]);
}
