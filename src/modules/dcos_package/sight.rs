//! Answers of Marathon, Mesos and Cosmos.

use crate::cluster::dcos::{App, complaint, deployments, parse_app, running_tasks};
use crate::modules::dcos_api::Api;
use crate::modules::{Answer, Failure};

/// Why nothing can be judged.
#[derive(Debug)]
pub(super) enum Blind {
    NotYet(String),
    Never(Failure),
}

/// The body of a right answer.
pub(super) fn body(answer: Option<&Answer>, who: &str) -> Result<Option<Vec<u8>>, Blind> {
    let answer = answer.ok_or_else(|| Blind::NotYet(format!("{who} was not asked")))?;
    let reply = Api::heard(answer).map_err(|why| Blind::NotYet(format!("{who} does not answer: {why}")))?;
    match reply.status() {
        200 => Ok(Some(reply.body)),
        404 => Ok(None),
        401 | 403 => Err(Blind::Never(Failure::new(format!(
            "{who} refuses the login (HTTP {}): give `dcos_user` and `dcos_password`, or a new `dcos_token`",
            reply.status()
        )))),
        400 | 409 | 422 => {
            let why = complaint(&reply.body).unwrap_or_else(|| format!("HTTP {}", reply.status()));
            Err(Blind::Never(Failure::new(format!("{who} refuses: {why}"))))
        }
        status => Err(Blind::NotYet(format!("{who} answers with HTTP {status}"))),
    }
}

/// The scheduler's app; `None` when there is none.
pub(super) fn app(answer: Option<&Answer>) -> Result<Option<App>, Blind> {
    match body(answer, "Marathon")? {
        // Admin Router's own 404 is a page: only Marathon's words say that there is no app.
        None => match answer.and_then(|answer| Api::heard(answer).ok()) {
            Some(reply) if reply.body.starts_with(b"<") => {
                Err(Blind::NotYet("Marathon is not reached (HTTP 404)".to_owned()))
            }
            _ => Ok(None),
        },
        Some(body) => parse_app(&body)
            .map(Some)
            .map_err(|why| Blind::NotYet(format!("what answers for Marathon is no app: {why}"))),
    }
}

/// The deployments that work on the app.
pub(super) fn at_work(answer: Option<&Answer>, id: &str) -> Result<Vec<String>, Blind> {
    let body = body(answer, "Marathon")?.unwrap_or_default();
    deployments(&body, id).map_err(|why| Blind::NotYet(format!("Marathon's deployments can't be read: {why}")))
}

/// How many tasks run; `None` where Mesos does not say.
pub(super) fn tasks(answer: Option<&Answer>, framework: &str) -> Option<u64> {
    let body = body(answer, "Mesos").ok()??;
    running_tasks(&body, framework).ok()?
}
