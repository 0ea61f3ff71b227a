use serde_json::json;

use super::*;
use crate::modules::HttpResponse;
use crate::modules::fixture::{Fixture, SHELLS, bind, gate, run_script};

fn response(status: u16, kind: &str, body: &str) -> Result<HttpResponse, String> {
    Ok(HttpResponse {
        status,
        headers: vec![
            ("content-type".to_owned(), kind.to_owned()),
            ("content-length".to_owned(), body.len().to_string()),
            ("set-cookie".to_owned(), "a=1; Path=/".to_owned()),
            ("set-cookie".to_owned(), "b=2".to_owned()),
        ],
        body: body.as_bytes().to_vec(),
        url: "http://m1:5050/state.json".to_owned(),
    })
}

const URL: &str = "http://m1:5050/state.json";

fn looked(arguments: Value, answered: Result<HttpResponse, String>) -> Verdict {
    let gate = gate(&SPEC, arguments, &Fixture::default()).expect("a gate");
    assert_eq!(gate.questions(&[]).len(), 1);
    gate.judge(&[Answer::Http(answered)], &mut Value::Null, Duration::from_secs(2))
}

fn request(arguments: Value) -> HttpRequest {
    match bind(&SPEC, arguments, &Fixture::default()).expect("binds") {
        Bound::State(state) => match state.steps(&Output::default()).expect("a step").steps.remove(0).act {
            Act::Http { request, .. } => request,
            other => panic!("{other:?}"),
        },
        Bound::Gate(gate) => match gate.questions(&[]).remove(0) {
            Question::Http { request, .. } => request,
            other => panic!("{other:?}"),
        },
        Bound::Course(other) => panic!("{other:?}"),
    }
}

fn refused(arguments: Value) -> String {
    bind(&SPEC, arguments, &Fixture::default()).expect_err("is refused").message
}

#[test]
fn a_right_answer_has_ansibles_keys() {
    let verdict =
        looked(json!({"url": URL, "return_content": true}), response(200, "application/json", "{\"a\": [1]}"));
    let Verdict::Ready(result) = verdict else { panic!("{verdict:?}") };
    assert_eq!(
        Value::Object(result),
        json!({"content_type": "application/json", "content_length": "10", "set_cookie": "a=1; Path=/, b=2",
               "cookies_string": "a=1; b=2", "cookies": {"a": "1", "b": "2"}, "url": URL, "status": 200,
               "redirected": false, "json": {"a": [1]}, "content": "{\"a\": [1]}", "msg": "OK (10 bytes)", "elapsed": 2})
    );
}

#[test]
fn a_wrong_status_fails_with_the_answer() {
    let verdict = looked(json!({"url": URL, "status_code": [200, "204"]}), response(503, "text/plain", "down"));
    let Verdict::Never(failure) = verdict else { panic!("{verdict:?}") };
    assert_eq!(failure.message, "Status code was 503 and not [200, 204]: HTTP Error 503: Service Unavailable");
    assert_eq!((failure.result.get("status"), failure.result.get("json")), (Some(&json!(503)), None));
    let verdict = looked(json!({"url": URL}), Err("connection refused".to_owned()));
    let Verdict::Never(failure) = verdict else { panic!("{verdict:?}") };
    assert_eq!(failure.message, "Status code was -1 and not [200]: Request failed: connection refused");
    assert_eq!(failure.result.get("status"), Some(&json!(-1)));
}

#[test]
fn a_post_is_a_step_that_is_not_repeated_and_no_change() {
    let arguments =
        json!({"url": URL, "method": "post", "body": {"a": "ü b"}, "body_format": "json", "status_code": 201});
    let Ok(Bound::State(state)) = bind(&SPEC, arguments, &Fixture::default()) else { panic!("a state") };
    assert!(state.probe().is_empty());
    let change = state.steps(&Output::default()).expect("a step");
    assert_eq!(change.steps[0].summary, format!("POST {URL}"));
    assert!(change.steps[0].opaque && change.steps[0].once);
    let result = state.finish(change.clone(), &[Applied::Http(response(201, "text/plain", "made"))]).expect("right");
    assert_eq!((result.get("status"), result.get("changed")), (Some(&json!(201)), Some(&json!(false))));
    assert!(state.finish(change, &[Applied::Http(Err("closed".to_owned()))]).is_err());
}

#[test]
fn bodies_are_written_as_asked() {
    let post = |more: Value| {
        let mut arguments = json!({"url": URL, "method": "POST"});
        if let (Some(all), Value::Object(more)) = (arguments.as_object_mut(), more) {
            all.extend(more);
        }
        let request = request(arguments);
        let kind = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        (String::from_utf8(request.body).expect("text"), kind.map(|(_, value)| value.clone()))
    };
    let json_kind = || Some("application/json".to_owned());
    assert_eq!(post(json!({"body": {"a": 1}, "body_format": "json"})), ("{\"a\":1}".to_owned(), json_kind()));
    assert_eq!(post(json!({"body": "{}", "body_format": "json"})), ("{}".to_owned(), json_kind()));
    let (text, kind) = post(json!({"body": {"a": "x&y", "b": ["1", "ü z"]}, "body_format": "form-urlencoded"}));
    assert_eq!(text, "a=x%26y&b=1&b=%C3%BC+z");
    assert_eq!(kind.as_deref(), Some("application/x-www-form-urlencoded"));
    let own = json!({"body": {}, "body_format": "json", "headers": {"content-type": "text/x"}});
    assert_eq!(post(own).1.as_deref(), Some("text/x"));
    assert_eq!(post(json!({"body": "plain"})), ("plain".to_owned(), None));
}

#[test]
fn passwords_never_stay_in_the_url() {
    let request = request(json!({"url": "http://bob:s%40crt@m1:5050/x?y"}));
    assert_eq!(request.url, "http://m1:5050/x?y");
    assert_eq!(request.basic, Some(("bob".to_owned(), Secret::new("s@crt"))));
    assert!(!format!("{request:?}").contains("s@crt"));
}

#[test]
fn redirects_are_followed_where_it_is_safe() {
    let redirects = |more: Value| {
        let mut arguments = json!({"url": URL});
        if let (Some(all), Value::Object(more)) = (arguments.as_object_mut(), more) {
            all.extend(more);
        }
        request(arguments).redirects
    };
    assert_eq!(redirects(json!({})), 10);
    assert_eq!(redirects(json!({"method": "POST"})), 0);
    assert_eq!(redirects(json!({"method": "POST", "follow_redirects": "all"})), 10);
    assert_eq!(redirects(json!({"follow_redirects": "no"})), 0);
}

#[test]
fn files_on_the_host_keep_it_from_asking() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a b");
    std::fs::write(&file, "").expect("written");
    let (there, missing) = (file.display().to_string(), folder.path().join("no").display().to_string());
    for shell in SHELLS {
        let asked = |arguments: Value| {
            let gate = gate(&SPEC, arguments, &Fixture::default()).expect("a gate");
            let Some(Question::Script(script)) = gate.questions(&[]).into_iter().next() else { panic!("a script") };
            let answers = [Answer::Script(Ok(run_script(shell, &script)))];
            let more = !gate.questions(&answers).is_empty();
            (more, gate.judge(&answers, &mut Value::Null, Duration::ZERO))
        };
        let (more, verdict) = asked(json!({"url": URL, "creates": there}));
        let Verdict::Ready(result) = verdict else { panic!("{verdict:?}") };
        assert!(!more && result.get("stdout") == Some(&json!(format!("skipped, since '{there}' exists"))));
        assert!(asked(json!({"url": URL, "creates": missing})).0);
        assert!(asked(json!({"url": URL, "removes": there})).0);
        assert!(!asked(json!({"url": URL, "removes": missing})).0);
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    assert!(refused(json!({"url": "https://m1/", "client_key": "k"})).contains("needs `client_cert`"));
    assert!(refused(json!({"url": "https://m1/", "ca_path": "none.pem"})).contains("none.pem"));
    assert!(refused(json!({"url": "m1:5050"})).contains("must begin with http://"));
    assert!(refused(json!({"url": URL, "dest": "/x"})).contains("`dest` is not supported"));
    assert!(refused(json!({"url": URL, "method": "P OST"})).contains("single word"));
    assert!(refused(json!({"url": URL, "body": {"a": 1}})).contains("say how to write it"));
    assert!(refused(json!({"url": URL, "body_format": "form-multipart"})).contains("form-multipart"));
    assert!(refused(json!({"url": URL, "status_code": "ok"})).contains("numbers such as 200"));
    assert!(refused(json!({"url": URL, "headers": {"a": "b\r\nc: d"}})).contains("can't be a header"));
}
