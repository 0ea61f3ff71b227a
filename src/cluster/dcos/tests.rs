use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::package::path;
use super::tree::parse_tree;
use super::*;

fn heard(status: u16, kind: &'static str, body: &'static str) -> Heard<'static> {
    Heard { status, kind, body: body.as_bytes() }
}

#[test]
fn what_admin_router_says_in_the_schedulers_place_is_no_verdict() {
    for (status, kind, body) in [
        (500, "text/plain", "Service unknown"),
        (503, "text/html", "<html><head><title>503 Service Temporarily Unavailable</title></head></html>"),
        (503, "text/plain", "invalid Mesos state cache"),
        (502, "text/html", "<html>"),
        (404, "text/html", "<html><title>404 Not Found</title></html>"),
        (429, "", ""),
        (408, "application/json", "{\"timed_out\":true}"),
    ] {
        assert!(matches!(said(heard(status, kind, body)), Said::Away(_)), "{status} {body}");
    }
    assert_eq!(said(heard(503, "text/html", "<title>503 Busy</title>")), Said::Away("HTTP 503 (503 Busy)".to_owned()));
}

#[test]
fn garbage_is_said_to_be_strange_and_never_taken_for_success() {
    for (status, body) in [
        (200, "OK"),
        (200, "{\"phases\": \"none\", \"status\": \"COMPLETE\"}"),
        (200, "\"a string where an object was\""),
        (200, "{\"message\": 5}"),
        (405, "<html>"),
        (202, "{}"),
        (301, ""),
    ] {
        assert!(matches!(said(heard(status, "application/json", body)), Said::Strange(_)), "{status} {body}");
    }
    assert!(matches!(said(heard(200, "", "")), Said::Unknown(_)));
    assert!(matches!(said(heard(401, "text/html", "<html>")), Said::Denied(_)));
    let long = "x\u{1b}[31m".repeat(100);
    let Said::Strange(text) = said(Heard { status: 200, kind: "", body: long.as_bytes() }) else { panic!("strange") };
    assert!(text.len() < 200 && !text.contains('\u{1b}'), "{text}");
}

fn plan(text: &str) -> Plan {
    parse_tree(text).expect("a tree").1
}

const NEW: &str = "\
deploy (serial strategy) (WAITING)
├─ master-update (serial strategy) (IN_PROGRESS)
│  ├─ master-0:[node] (COMPLETE)
│  └─ master-1:[node] (PENDING)
└─ data-update (serial strategy) (PENDING)
   └─ data-0:[node, sidecar] (PENDING)
";

#[test]
fn the_guides_tree_and_the_one_with_strategies_are_read_and_printed_the_same() {
    let guide = NEW.replace(" (serial strategy)", "");
    for text in [NEW, guide.as_str()] {
        let (name, plan) = parse_tree(text).expect("a tree");
        assert_eq!(render_tree(&name, &plan), text);
        assert_eq!(plan.step("data-0").map(|(_, step)| step.task()), Some("data-0-node".to_owned()));
    }
    let failed = format!("{NEW}\nErrors:\n- it is wrong\n");
    assert_eq!(plan(&failed).errors, ["it is wrong"]);
    assert_eq!(render_tree("deploy", &plan(&failed)), failed);
    for wrong in ["", "deploy", "deploy (waiting)", "deploy (WAITING)\n│  ├─ a (PENDING)", "deploy (WAITING)\nabc"]
    {
        assert!(parse_tree(wrong).is_err(), "{wrong}");
    }
}

fn tasks(names: &[&str]) -> BTreeMap<String, Task> {
    let task = |name: &&str| ((*name).to_owned(), Task { id: format!("{name}__1"), status: "RUNNING".to_owned() });
    names.iter().map(task).collect()
}

#[test]
fn a_node_is_released_only_when_it_is_next_and_nothing_else_is_out() {
    let idle = plan("recovery (COMPLETE)");
    let why = |tree: &str, name: &str| match node(&plan(tree), Some(&idle), &tasks(&["data-0-node"]), name) {
        Ok(Node::Not(why) | Node::NotYet(why)) => why,
        other => format!("{other:?}"),
    };
    assert!(matches!(node(&plan(NEW), Some(&idle), &tasks(&[]), "master-1"), Ok(Node::Next { .. })));
    assert_eq!(why(NEW, "data-0"), "master-1 comes before it and is PENDING");
    assert_eq!(why(NEW, "master-0"), "Ok(Complete)");
    assert_eq!(why(NEW, "kibana-0"), "Err(\"the plan has no node `kibana-0`: it has master-0, master-1, data-0\")");
    let out = NEW.replace("master-1:[node] (PENDING)", "master-1:[node] (COMPLETE)");
    let ahead = NEW.replace("data-0:[node, sidecar] (PENDING)", "data-0:[node, sidecar] (STARTING)");
    assert!(matches!(node(&plan(&out), Some(&idle), &tasks(&[]), "data-0"), Ok(Node::Next { .. })));
    assert_eq!(why(&ahead, "master-1"), "data-0 is STARTING: two nodes would be out");
    let parallel = NEW.replace("master-update (serial", "master-update (parallel").replace("(COMPLETE)", "(PENDING)");
    assert_eq!(why(&parallel, "master-0"), "the phase master-update is parallel: it would take 2 nodes at once");
    let busy = plan("recovery (STARTED)\n└─ data-1:[node] (STARTED)\n   └─ data-1:[node] (STARTED)");
    let Ok(Node::NotYet(said)) = node(&plan(NEW), Some(&busy), &tasks(&[]), "master-1") else { panic!("not now") };
    assert_eq!(said, "recovery is at work: data-1:[node] is STARTED");
    let mut lost = tasks(&["data-0-node"]);
    lost.values_mut().for_each(|task| task.status = "FAILED".to_owned());
    let Ok(Node::NotYet(said)) = node(&plan(NEW), Some(&idle), &lost, "master-1") else { panic!("not now") };
    assert_eq!(said, "data-0-node does not run (FAILED)");
    let broken = format!("{NEW}\nErrors:\n- PodSpec\n");
    assert_eq!(why(&broken, "master-1"), "the scheduler refuses the configuration: PodSpec");
}

#[test]
fn a_gate_is_closed_only_where_that_is_seen() {
    assert_eq!(gate(&plan(NEW)), Gate::Plan);
    assert_eq!(gate(&plan(&NEW.replacen("WAITING", "IN_PROGRESS", 1))), Gate::Open);
    let phase = NEW.replacen("IN_PROGRESS", "WAITING", 1);
    assert_eq!(gate(&plan(&phase)), Gate::Phase);
    let held = phase.replace("master-1:[node] (PENDING)", "master-1:[node] (WAITING)");
    assert_eq!(gate(&plan(&held)), Gate::Step);
    // After the second continue of a canary the plan waits because of later phases: whether it was interrupted can't be seen.
    let canary =
        NEW.replace("data-update (serial strategy) (PENDING)", "data-update (serial-canary strategy) (WAITING)");
    assert_eq!(gate(&plan(&canary.replace("sidecar] (PENDING)", "sidecar] (WAITING)"))), Gate::Open);
    assert_eq!(gate(&plan(&NEW.replace("(PENDING)", "(COMPLETE)"))), Gate::Done);
}

fn version(text: &str) -> PackageVersion {
    PackageVersion::parse(text).expect("a version")
}

#[test]
fn packages_go_one_by_one_and_the_way_is_told() {
    let go = |from, to| direction(&version(from), &version(to), None, None);
    assert_eq!(go("3.1.2-7.6.0", "3.2.0-7.9.3"), Ok(Direction::Up));
    assert_eq!(go("3.2.0-7.9.3", "3.2.0-7.9.3"), Ok(Direction::Same));
    assert_eq!(go("3.1.2-7.6.0", "3.1.1-7.6.0"), Ok(Direction::Down));
    assert_eq!(go("3.2.0-7.9.3", "3.1.2-7.6.0"), Ok(Direction::DownElasticsearch));
    assert_eq!(go("2.4.0-5.6.14", "2.5.0-6.3.2"), Ok(Direction::Up));
    assert_eq!(
        go("2.6.0-6.6.1", "3.0.0-7.3.2"),
        Err("2.6.0-6.6.1 and 3.0.0-7.3.2 are no neighbours: packages go one by one; the way is 2.7.0-6.8.1, 3.0.0-7.3.2".to_owned())
    );
    assert!(go("3.2.0-7.9.3", "2.7.0-6.8.1").is_err());
    // What the package itself says counts more than the table.
    let listed = ["2.6.0-6.6.1".to_owned()];
    assert_eq!(direction(&version("2.6.0-6.6.1"), &version("9.0.0-7.0.0"), Some(&listed), None), Ok(Direction::Up));
    let refused = direction(&version("3.1.2-7.6.0"), &version("3.2.0-7.9.3"), Some(&listed), None);
    assert_eq!(refused, Err("3.1.2-7.6.0 and 3.2.0-7.9.3 are no neighbours: packages go one by one; 3.2.0-7.9.3 takes over from 2.6.0-6.6.1".to_owned()));
    for wrong in ["", "3.2.0", "3.2-7.9.3", "a.b.c-1.2.3", "3.2.0-7.9.3; rm"] {
        assert!(PackageVersion::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(version("2.1.0-5.6.4-beta").elasticsearch(), "5.6.4-beta");
}

#[test]
fn every_package_of_the_table_is_reached_from_the_first() {
    let way = path(&version("1.0.3-5.1.2"), &version("3.2.0-7.9.3")).expect("a way");
    assert_eq!(way.len(), 22);
    assert!(path(&version("3.2.0-7.9.3"), &version("1.0.3-5.1.2")).is_err());
    assert!(path(&version("1.0.3-5.1.2"), &version("8.0.0-8.0.0")).is_err());
}

fn environment(pairs: &[(&str, &str)]) -> serde_json::Map<String, Value> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect()
}

#[test]
fn a_strategy_that_takes_nodes_together_or_ends_the_scheduler_is_refused() {
    let why = |to, pairs: &[(&str, &str)]| refuses(&environment(pairs), &version(to)).unwrap_or_default();
    let new = "3.2.0-7.9.3";
    assert_eq!(why(new, &[("UPDATE_STRATEGY", "serial"), ("DEPLOY_STRATEGY", "parallel")]), "");
    assert!(why(new, &[("UPDATE_STRATEGY", "parallel")]).starts_with("UPDATE_STRATEGY is parallel: every node"));
    assert!(why(new, &[("UPDATE_STRATEGY", "serial-canary")]).contains("end itself again and again"));
    assert!(why(new, &[("UPDATE_STRATEGY", "safe")]).contains("end itself again and again"));
    assert_eq!(why("2.4.0-5.6.9", &[("UPDATE_STRATEGY", "serial-canary")]), "");
    assert_eq!(why("1.0.12-5.4.0", &[("UPDATE_STRATEGY", "safe")]), "");
    // Before 2.2.0 an upgrade goes by the strategy of the first deployment.
    assert!(why("2.1.1-5.6.5", &[("DEPLOY_STRATEGY", "parallel")]).contains("service.deploy_strategy"));
    assert!(why("2.1.1-5.6.5", &[]).contains("it may be all at once"));
}

#[test]
fn what_ends_a_scheduler_or_shrinks_a_service_is_found_in_the_environment() {
    let old = environment(&[("FRAMEWORK_USER", "nobody"), ("DATA_NODE_COUNT", "3"), ("FRAMEWORK_NAME", "elastic")]);
    assert!(crashes(&old, &old).is_empty());
    let new = environment(&[("FRAMEWORK_USER", "elastic"), ("DATA_NODE_COUNT", "2"), ("SDK_UNINSTALL", "true")]);
    let found = crashes(&old, &new);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("FRAMEWORK_USER changes from nobody to elastic"));
}

#[test]
fn options_are_laid_over_the_stored_ones_and_what_differs_is_told() {
    let stored = json!({"service": {"name": "elastic", "update_strategy": "serial"}, "data_nodes": {"count": 3}});
    let merged = merge(&stored, &json!({"data_nodes": {"count": 4}, "elasticsearch": {"plugins": ""}}));
    assert_eq!(merged["service"]["name"], "elastic");
    let told: Vec<String> = differences(&stored, &merged).iter().map(|one| one.path.clone()).collect();
    assert_eq!(told, ["data_nodes.count", "elasticsearch.plugins"]);
    assert!(differences(&stored, &stored).is_empty());
}

#[test]
fn apps_deployments_and_complaints_are_read() {
    use base64::Engine as _;
    let options = base64::engine::general_purpose::STANDARD.encode("{\"service\":{\"name\":\"elastic\"}}");
    let body = json!({"app": {"id": "/elastic", "env": {"A": "1", "S": {"secret": "x"}}, "deployments": [{"id": "d1"}],
        "labels": {"DCOS_PACKAGE_NAME": "elastic", "DCOS_PACKAGE_VERSION": "3.1.2-7.6.0", "DCOS_PACKAGE_OPTIONS": options}}});
    let app = parse_app(body.to_string().as_bytes()).expect("an app");
    assert_eq!((app.id.as_str(), app.environment.len(), app.deployments.len()), ("/elastic", 1, 1));
    assert_eq!(app.options, Some(json!({"service": {"name": "elastic"}})));
    assert!(parse_app(b"{}").is_err() && parse_app(b"garbage").is_err());
    let list = br#"[{"id": "d1", "affectedApps": ["/elastic"]}, {"id": "d2", "affectedApps": ["/other"]}]"#;
    assert_eq!(deployments(list, "/elastic"), Ok(vec!["d1".to_owned()]));
    assert!(deployments(b"{}", "/elastic").is_err());
    let error = br#"{"type": "JsonSchemaMismatch", "message": "Options JSON failed validation",
        "data": {"errors": [{"message": "not an enum", "instance": {"pointer": "/service/update_strategy"}}]}}"#;
    assert_eq!(
        complaint(error).as_deref(),
        Some("JsonSchemaMismatch: Options JSON failed validation (/service/update_strategy: not an enum)")
    );
    assert_eq!(running_tasks(br#"{"frameworks": [{"name": "elastic", "TASK_RUNNING": 7}]}"#, "elastic"), Ok(Some(7)));
    assert_eq!(running_tasks(br#"{"frameworks": []}"#, "elastic"), Ok(None));
}

#[test]
fn what_the_command_line_prints_is_an_answer_too() {
    let plan = cli_answer(0, NEW.as_bytes(), b"", false).map(said);
    assert!(matches!(plan, Some(Said::Plan(_))), "{plan:?}");
    let told = |status, err: &'static str| cli_answer(status, b"", err.as_bytes(), true).map(said);
    assert!(matches!(told(0, "\"deploy\" plan has been resumed."), Some(Said::Taken(_))));
    assert_eq!(told(1, "Command has already been issued or the plan has completed"), Some(Said::Already));
    assert!(matches!(told(1, "Got 401 Unauthorized response from x"), Some(Said::Denied(_))));
    assert!(matches!(told(1, "Could not reach the service scheduler with name 'elastic'"), Some(Said::Away(_))));
    assert!(matches!(told(1, "Plan, phase, and/or step does not exist"), Some(Said::Unknown(_))));
    assert_eq!(told(127, "sh: dcos: command missing"), None);
}
