use std::path::PathBuf;

use super::*;
use crate::yaml::parse_text;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inventory")
}

/// The cases: a folder each, with an inventory and what ansible-inventory said about it (see `tests/inventory/record`).
fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    cases.sort();
    assert!(cases.len() >= 15, "{cases:?}");
    cases
}

#[expect(clippy::disallowed_methods, reason = "recorded answers are read by the test itself")]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn request(inventory: &str, view: InventoryView) -> InventoryRequest {
    InventoryRequest {
        rules: Rules::Ansible,
        view,
        inventory: vec![inventory.to_owned()],
        limit: None,
        extra_vars: Vec::new(),
        yaml: false,
        vars: false,
        export: false,
        output: None,
        playbook_dir: None,
        vault: crate::cli::VaultKeys::default(),
        verbosity: 0,
    }
}

fn source(case: &Path) -> String {
    if case.join("spec").exists() {
        return read(&case.join("spec")).trim().to_owned();
    }
    let mut entries = std::fs::read_dir(case).unwrap().map(|e| e.unwrap().path());
    let hosts = entries.find(|p| p.file_name().unwrap().to_string_lossy().starts_with("hosts")).unwrap();
    hosts.display().to_string()
}

fn ask(request: &InventoryRequest) -> Result<String, String> {
    let sources = Sources::new();
    let mut found = Vec::new();
    let config = Config::default();
    answer(request, &config, &sources, &mut found).map_err(|(_, errors)| {
        found.extend(errors);
        render_all(&found, &sources, false)
    })
}

/// One kind of answer of every case, compared with the recorded file.
fn compare(file: &str, change: fn(&mut InventoryRequest), same: fn(&str, &str) -> bool) {
    let mut wrong = Vec::new();
    for case in cases() {
        let mut request = request(&source(&case), InventoryView::List);
        change(&mut request);
        let wanted = read(&case.join(file));
        let got = ask(&request).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
        if !same(&got, &wanted) {
            wrong.push(format!("{}/{file}:\n{}", case.display(), difference(&wanted, &got)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn difference(wanted: &str, got: &str) -> String {
    similar::TextDiff::from_lines(wanted, got).unified_diff().context_radius(2).to_string()
}

fn text(got: &str, wanted: &str) -> bool {
    got == wanted
}

/// Line breaks and quotes of long texts may differ, what a reader gets may not.
fn yaml(got: &str, wanted: &str) -> bool {
    let read = |text: &str| {
        let source = Sources::new().add("text", text);
        let (node, wrong) = parse_text(text, source);
        assert!(wrong.iter().all(|d| d.severity != Severity::Error), "{wrong:?}\n{text}");
        node.map(|node| plain(&node))
    };
    // The real one loses `!unsafe` in YAML, so that the text would be rendered when it is read again.
    let unmarked = |text: &str| text.replace("!unsafe ", "");
    read(&unmarked(got)) == read(wanted)
}

#[test]
fn lists_are_as_ansible_inventory_writes_them() {
    compare("list.json", |_| {}, text);
}

#[test]
fn exports_are_as_ansible_inventory_writes_them() {
    compare("export.json", |request| request.export = true, text);
}

#[test]
fn yaml_lists_say_what_ansible_inventory_says() {
    compare("list.yaml", |request| request.yaml = true, yaml);
}

#[test]
fn yaml_exports_say_what_ansible_inventory_says() {
    let change = |request: &mut InventoryRequest| (request.yaml, request.export) = (true, true);
    compare("export.yaml", change, yaml);
}

#[test]
fn graphs_are_as_ansible_inventory_draws_them() {
    compare("graph.txt", |request| request.view = InventoryView::Graph(None), text);
}

#[test]
fn graphs_with_variables_are_as_ansible_inventory_draws_them() {
    let change = |request: &mut InventoryRequest| {
        (request.view, request.vars) = (InventoryView::Graph(None), true);
    };
    compare("vars.txt", change, text);
}

/// An exported inventory is one again, and says the same.
#[test]
fn a_yaml_export_can_be_read_back() {
    for case in cases() {
        let mut request = request(&source(&case), InventoryView::List);
        (request.yaml, request.export) = (true, true);
        let exported = ask(&request).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("exported.yml");
        std::fs::write(&file, exported).unwrap();
        (request.yaml, request.export) = (false, false);
        let first = ask(&request).unwrap();
        request.inventory = vec![file.display().to_string()];
        let again = ask(&request).unwrap();
        let hostvars = |text: &str| serde_json::from_str::<Value>(text).unwrap()["_meta"]["hostvars"].clone();
        // Files lie above what the source says; inlined, a deeper group or a host may win where a file won before.
        if !case.join("group_vars").exists() {
            assert_eq!(hostvars(&first), hostvars(&again), "{}", case.display());
        }
    }
}

#[test]
fn a_limit_leaves_groups_and_takes_hosts_away() {
    let inventory = folder().join("children/hosts.ini").display().to_string();
    let mut request = request(&inventory, InventoryView::List);
    request.limit = Some("db:c1".to_owned());
    let list: Value = serde_json::from_str(&ask(&request).unwrap()).unwrap();
    let hosts: Vec<&String> = list["_meta"]["hostvars"].as_object().unwrap().keys().collect();
    assert_eq!(hosts, ["c1", "db1"]);
    assert_eq!(list["cache"]["hosts"], json!(["c1"]));
    assert_eq!(list.get("web"), None);
    request.limit = Some(String::new());
    assert!(ask(&request).unwrap_err().contains("the limit is empty"));
}

#[test]
fn one_host_is_shown_or_the_nearest_named() {
    let inventory = folder().join("children/hosts.ini").display().to_string();
    let host = |name: &str| ask(&request(&inventory, InventoryView::Host(name.to_owned())));
    let shown: Value = serde_json::from_str(&host("db1").unwrap()).unwrap();
    assert_eq!(shown, json!({"dc": 1, "ntp": "pool", "role": "db", "tier": "db"}));
    let mut extra = request(&inventory, InventoryView::Host("db1".to_owned()));
    extra.extra_vars = vec!["role=mine new=1".to_owned()];
    let shown: Value = serde_json::from_str(&ask(&extra).unwrap()).unwrap();
    assert_eq!(shown, json!({"dc": 1, "ntp": "pool", "role": "mine", "tier": "db", "new": "1"}));
    assert!(host("db11").unwrap_err().contains("did you mean `db1`?"));
    let graph = ask(&request(&inventory, InventoryView::Graph(Some("cahe".to_owned()))));
    assert!(graph.unwrap_err().contains("did you mean `cache`?"));
    assert!(ask(&request("/nonexistent/hosts", InventoryView::List)).unwrap_err().contains("there is no inventory"));
}

#[test]
fn a_vaulted_value_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("h.yml");
    std::fs::write(&file, "all: {hosts: {h: {s: !vault \"$ANSIBLE_VAULT;1.1;AES256\\n6162\\n\"}}}\n").unwrap();
    let mut request = request(&file.display().to_string(), InventoryView::Host("h".to_owned()));
    let shown: Value = serde_json::from_str(&ask(&request).unwrap()).unwrap();
    assert_eq!(shown, json!({"s": {"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\n6162\n"}}));
    request.yaml = true;
    assert_eq!(ask(&request).unwrap(), "s: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n");
}

#[test]
fn yaml_text_is_quoted_where_it_would_be_read_as_something_else() {
    let tricky = [
        "",
        " x",
        "x ",
        "yes",
        "null",
        "~",
        "0644",
        "1:30",
        "1e3",
        "1.0e+3",
        "2024-01-02",
        "a: b",
        "a:",
        "a #b",
        "a#b",
        "- x",
        "-",
        "-o x",
        "? x",
        ": x",
        "@x",
        "%x",
        "`x",
        "*x",
        "&x",
        "!x",
        "|",
        ">",
        "{x",
        "[x",
        "'x'",
        "\"x\"",
        "it's",
        "a\nb",
        "a\tb",
        "\u{1}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "---",
        "... x",
        "=",
        "<<",
        "é🚀",
        "http://x:80/",
        "{{ x }}",
        "a\\b",
        "\\n\n",
    ];
    for string in tricky {
        let value = json!({string: [string, {"k": string, "l": [[string]]}]});
        let rendered = yaml::render(&value);
        let (node, wrong) = parse_text(&rendered, Sources::new().add("text", rendered.as_str()));
        assert!(wrong.is_empty(), "{string:?}\n{rendered}\n{wrong:?}");
        assert_eq!(node.unwrap().to_value(), value, "{rendered}");
    }
}
