//! Requests that need a token: sent with the one that is known, and once more with a new one where it has expired.

use std::collections::HashMap;

use tokio::sync::Mutex;

use super::attempt::HostTask;
use super::connect::Way;
use crate::base::{Secret, Value};
use crate::modules::{HttpRequest, HttpResponse, TokenLogin};

/// The tokens that this run was given, by where and as whom. Never written down anywhere.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<String, Secret>>);

/// What tells one token from another: the place and the user, as the login's body says them.
fn key(login: &TokenLogin) -> Option<String> {
    let (url, body) = login.renew.as_ref()?;
    let body: Value = serde_json::from_str(body.reveal()).ok()?;
    Some(format!("{url} {}", body.get("uid").map(crate::base::to_text).unwrap_or_default()))
}

impl HostTask {
    /// Sends a request, with a token where it needs one.
    pub(super) async fn http(
        &self,
        request: &HttpRequest,
        via: Option<&str>,
        way: &Way,
    ) -> Result<HttpResponse, String> {
        let Some(login) = &request.login else { return self.send(request, via, way).await };
        let mut used = self.token(request, login, None, via, way).await?;
        for last in [false, true] {
            let mut whole = request.clone();
            if let Some(token) = &used {
                whole.headers.push(("Authorization".to_owned(), format!("{}{}", login.prefix, token.reveal())));
            }
            let answer = self.send(&whole, via, way).await?;
            if answer.status != 401 || last || login.renew.is_none() {
                return Ok(answer);
            }
            used = self.token(request, login, used.as_ref(), via, way).await?;
        }
        Err(format!("{}: no token is taken", request.url))
    }

    /// The token to use: the known one, or another where that one was refused. Whoever comes while one is asked for waits for it.
    async fn token(
        &self,
        request: &HttpRequest,
        login: &TokenLogin,
        refused: Option<&Secret>,
        via: Option<&str>,
        way: &Way,
    ) -> Result<Option<Secret>, String> {
        let (Some((url, body)), Some(key)) = (&login.renew, key(login)) else {
            login.token.iter().for_each(|token| self.run.masker.add(token));
            return Ok(login.token.clone());
        };
        let mut tokens = self.run.tokens.0.lock().await;
        let known = tokens.get(&key).or(login.token.as_ref());
        if let Some(known) = known.filter(|known| Some(*known) != refused) {
            self.run.masker.add(known);
            return Ok(Some(known.clone()));
        }
        if let Ok(Value::Object(secrets)) = serde_json::from_str(body.reveal()) {
            let said = secrets.iter().filter(|(name, _)| *name != "uid").filter_map(|(_, value)| value.as_str());
            said.for_each(|secret| self.run.masker.add(&Secret::new(secret)));
        }
        let ask = HttpRequest {
            method: "POST".to_owned(),
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            body: body.reveal().as_bytes().to_vec(),
            timeout: request.timeout,
            tls: request.tls.clone(),
            ..HttpRequest::get(url.clone())
        };
        let answer = self.send(&ask, via, way).await.map_err(|why| format!("no token was given: {why}"))?;
        let token = serde_json::from_slice::<Value>(&answer.body)
            .ok()
            .and_then(|body| body.get("token").and_then(Value::as_str).map(Secret::new));
        match token {
            Some(token) if answer.status == 200 => {
                self.run.masker.add(&token);
                tokens.insert(key, token.clone());
                Ok(Some(token))
            }
            _ => Err(format!("no token was given: {url} answers the login with HTTP {}", answer.status)),
        }
    }
}
