//! What an answer becomes: Ansible's keys.

use crate::base::{Map, Value};
use crate::modules::{Failure, HttpRequest, HttpResponse};

/// The result, or the failure when the status is none of the wanted.
pub(super) fn judge(
    request: &HttpRequest,
    answered: &Result<HttpResponse, String>,
    wanted: &[u16],
    content: bool,
) -> Result<Map, Failure> {
    let listed = wanted.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let response = match answered {
        Ok(response) => response,
        Err(reason) => {
            return Err(Failure::new(format!("Status code was -1 and not [{listed}]: Request failed: {reason}"))
                .with("status", -1)
                .with("redirected", false)
                .with("url", request.url.clone()));
        }
    };
    let mut result = headers(response);
    result.insert("url".to_owned(), Value::from(response.url.clone()));
    result.insert("status".to_owned(), Value::from(response.status));
    result.insert("redirected".to_owned(), Value::Bool(response.url != request.url));
    let text = String::from_utf8_lossy(&response.body).into_owned();
    if is_json(response)
        && let Ok(json) = serde_json::from_str(&text)
    {
        result.insert("json".to_owned(), json);
    }
    if content {
        result.insert("content".to_owned(), Value::from(text));
    }
    if wanted.contains(&response.status) {
        let length = header(response, "content-length").unwrap_or("unknown");
        result.insert("msg".to_owned(), Value::from(format!("OK ({length} bytes)")));
        return Ok(result);
    }
    let reason = hyper::StatusCode::from_u16(response.status).ok().and_then(|status| status.canonical_reason());
    let message = format!(
        "Status code was {status} and not [{listed}]: HTTP Error {status}: {}",
        reason.unwrap_or("unknown"),
        status = response.status
    );
    Err(Failure { message, result })
}

/// Headers as keys: lower case, `_` for `-`; one that came twice has both values.
fn headers(response: &HttpResponse) -> Map {
    let mut result = Map::new();
    let mut cookies = Map::new();
    for (name, value) in &response.headers {
        let key = name.to_ascii_lowercase().replace('-', "_");
        if key == "set_cookie"
            && let Some((name, value)) = value.split(';').next().and_then(|first| first.split_once('='))
        {
            cookies.insert(name.trim().to_owned(), Value::from(value.trim()));
        }
        let value = match result.get(&key).and_then(Value::as_str) {
            Some(before) => format!("{before}, {value}"),
            None => value.clone(),
        };
        result.insert(key, Value::from(value));
    }
    let all: Vec<String> =
        cookies.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
    result.insert("cookies_string".to_owned(), Value::from(all.join("; ")));
    result.insert("cookies".to_owned(), Value::Object(cookies));
    result
}

fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn is_json(response: &HttpResponse) -> bool {
    let kind = header(response, "content-type").unwrap_or_default().to_ascii_lowercase();
    let sub = kind.split(';').next().and_then(|kind| kind.trim().split_once('/')).map_or("", |(_, sub)| sub);
    matches!(sub.rsplit('+').next().unwrap_or(sub), "json" | "javascript")
}
