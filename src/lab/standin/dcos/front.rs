//! Admin Router: who may in, and who answers.

use std::time::Instant;

use serde_json::{Value, json};

use super::answers;
use super::commands::unknown;
use super::packages::{Era, Package};
use super::server::{Request, Response};
use super::world::{App, World};

const PAGE: &str = "text/html";

/// Answers a request.
pub(super) fn answer(world: &mut World, request: &Request, now: Instant) -> Response {
    let path = request.path.clone();
    if let Some(rest) = path.strip_prefix("/_standin/") {
        return world.control(rest, request, now);
    }
    if path == "/acs/api/v1/auth/login" {
        return login(world, request);
    }
    if world.login.is_some() && request.header("authorization") != format!("token={}", world.token) {
        let mut denied = Response::new(
            401,
            "Unauthorized",
            PAGE,
            "<html><head><title>401 Authorization Required</title></head></html>",
        );
        denied.more.push(("WWW-Authenticate", "acsjwt".to_owned()));
        return denied;
    }
    if let Some(rest) = path.strip_prefix("/service/marathon/v2/") {
        return marathon(world, rest, request, now);
    }
    if let Some(rest) = path.strip_prefix("/package/") {
        return cosmos(world, rest, request, now);
    }
    if path == "/mesos/state-summary" {
        let running = world.tasks.values().filter(|task| !task.life.is_dead()).count();
        return Response::json(
            200,
            &json!({"frameworks": [{"name": "elastic", "TASK_RUNNING": running}], "slaves": []}),
        );
    }
    match path.strip_prefix("/service/elastic/v1/") {
        Some(rest) => scheduler(world, rest, request, now),
        None => Response::new(404, "Not Found", PAGE, "<html><head><title>404 Not Found</title></head></html>"),
    }
}

fn login(world: &mut World, request: &Request) -> Response {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match &world.login {
        Some((user, password)) if body["uid"] == user.as_str() && body["password"] == password.as_str() => {
            world.note(Instant::now(), "login", user.clone().as_str());
            Response::json(200, &json!({"token": world.token}))
        }
        _ => Response::json(401, &json!({"title": "Unauthorized"})),
    }
}

fn scheduler(world: &mut World, rest: &str, request: &Request, now: Instant) -> Response {
    if world.app.is_none() {
        return Response::new(500, "Internal Server Error", "text/plain", "Service unknown");
    }
    let Some(mut own) = world.scheduler.take() else {
        return Response::new(502, "Bad Gateway", PAGE, "<html><head><title>502 Bad Gateway</title></head></html>");
    };
    if now < own.answers {
        world.scheduler = Some(own);
        return Response::new(502, "Bad Gateway", PAGE, "<html><head><title>502 Bad Gateway</title></head></html>");
    }
    let words: Vec<&str> = rest.split('/').collect();
    let response = match (request.method.as_str(), words.as_slice()) {
        ("GET", ["plans"]) => Response::json(200, &json!(["deploy", "recovery"])),
        ("GET", ["plans", "deploy"] | ["plan"]) => answers::deploy(&own),
        ("GET", ["plans", "recovery"]) => answers::recovery(&own),
        ("GET", ["plans", name]) => unknown(own.era, "Plan", name),
        ("POST", ["plans", name, verb]) => world.command(&mut own, name, verb, request, now),
        // It ignores the phase.
        ("POST", ["plan", verb @ ("continue" | "interrupt")]) => {
            world.command(&mut own, "deploy", verb, &Request::default(), now)
        }
        ("GET", ["plans", _, _]) => Response::new(
            405,
            "Method Not Allowed",
            "text/html;charset=iso-8859-1",
            "<html><title>Error 405 Method Not Allowed</title></html>",
        ),
        ("GET", ["endpoints"]) => {
            let suffix = if own.era == Era::Guide { "" } else { "-http" };
            let kinds = ["coordinator", "data", "ingest", "master"];
            Response::json(200, &kinds.iter().map(|kind| format!("{kind}{suffix}")).collect())
        }
        ("GET", ["endpoints", name]) => {
            let kind = name.trim_end_matches("-http");
            let own: Vec<&String> = world.tasks.keys().filter(|pod| pod.starts_with(kind)).collect();
            let port = |pod: &String| world.elastic.ports.get(pod).copied().unwrap_or_default();
            let address: Vec<String> = own.iter().map(|pod| format!("127.0.0.1:{}", port(pod))).collect();
            let dns = |pod: &&String| format!("{pod}-node.elastic.autoip.dcos.thisdcos.directory:{}", port(pod));
            let dns: Vec<String> = own.iter().map(dns).collect();
            Response::json(
                200,
                &json!({"address": address, "dns": dns, "vip": format!("{kind}.elastic.l4lb.thisdcos.directory:9200")}),
            )
        }
        ("GET", ["pod", "status"]) if own.era != Era::Guide => answers::pods(world),
        ("GET", ["pods", pod, "info"]) if own.era == Era::Guide => answers::pod_info(world, pod),
        _ => Response::new(
            404,
            "Not Found",
            "text/html;charset=iso-8859-1",
            "<html><title>Error 404 Not Found</title></html>",
        ),
    };
    if world.scheduler.is_none() && world.app.is_some() {
        world.scheduler = Some(own);
    }
    response
}

fn marathon(world: &mut World, rest: &str, request: &Request, now: Instant) -> Response {
    if rest == "deployments" {
        let list: Vec<Value> =
            world.deployments.iter().map(|(id, _)| json!({"id": id, "affectedApps": ["/elastic"]})).collect();
        return Response::json(200, &Value::Array(list));
    }
    let Some(id) = rest.strip_prefix("apps/") else {
        return Response::new(404, "Not Found", "application/json", "{\"message\":\"no such path\"}");
    };
    let missing = || Response::json(404, &json!({"message": format!("App '{id}' does not exist")}));
    let Some(app) = world.app.clone().filter(|app| app.json["id"] == id) else { return missing() };
    match request.method.as_str() {
        "GET" => {
            let mut json = app.json;
            let ids: Vec<Value> = world.deployments.iter().map(|(id, _)| json!({"id": id})).collect();
            json["deployments"] = Value::Array(ids);
            Response::json(200, &json!({"app": json}))
        }
        "DELETE" if !world.deployments.is_empty() => Response::json(
            409,
            &json!({"message": "App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.",
                "deployments": [{"id": world.deployments[0].0}]}),
        ),
        "DELETE" => {
            world.note(now, "destroy", id);
            world.app = None;
            world.scheduler = None;
            let deployment = super::nodes::uuid(world.number());
            let end = now + world.seconds(1.5);
            world.deployments.push((deployment.clone(), end));
            Response::json(200, &json!({"version": "2026-01-01T00:00:00.000Z", "deploymentId": deployment}))
        }
        _ => Response::new(405, "Method Not Allowed", "", ""),
    }
}

fn cosmos(world: &mut World, what: &str, request: &Request, now: Instant) -> Response {
    let wrong = |kind: &str, message: String, data: Value| {
        let body = json!({"type": kind, "message": message, "data": data});
        Response::new(
            if kind == "PackageAlreadyInstalled" { 409 } else { 400 },
            "Bad Request",
            "application/vnd.dcos.package.error+json;charset=utf-8;version=v1",
            body.to_string(),
        )
    };
    let media = format!("application/vnd.dcos.package.{what}-request+json;charset=utf-8;version=v1");
    if request.header("content-type") != media {
        return wrong(
            "UnsupportedContentType",
            format!("Unsupported Content-Type: {}", request.header("content-type")),
            json!({}),
        );
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if what == "uninstall" {
        world.note(now, "uninstall", "");
        world.uninstalled = true;
        world.tasks.clear();
        return Response::json(200, &json!({"results": []}));
    }
    let version = body["packageVersion"].as_str().unwrap_or_default();
    let Some(package) = Package::find(version).filter(|_| body["packageName"] == "elastic") else {
        return wrong("VersionNotFound", format!("Version [{version}] of package [elastic] not found"), json!({}));
    };
    if what == "describe" {
        return Response::json(200, &package.described());
    }
    let json = match package.app(&body["options"]) {
        Ok(json) => json,
        Err(at) => {
            let errors = json!({"errors": [{"level": "error", "instance": {"pointer": at}, "message": "instance value not found in enum"}]});
            return wrong("JsonSchemaMismatch", "Options JSON failed validation".to_owned(), errors);
        }
    };
    if what == "render" {
        return Response::json(200, &json!({"marathonJson": json}));
    }
    if what != "install" {
        return Response::new(404, "Not Found", "", "");
    }
    if world.app.is_some() {
        return wrong("PackageAlreadyInstalled", "Package is already installed".to_owned(), json!({}));
    }
    world.note(now, "install", version);
    let id = json["id"].clone();
    world.app = Some(App { package, json });
    world.start(now);
    let deployment = super::nodes::uuid(world.number());
    let end = now + world.seconds(1.5);
    world.deployments.push((deployment, end));
    Response::json(200, &json!({"packageName": "elastic", "packageVersion": version, "appId": id}))
}
