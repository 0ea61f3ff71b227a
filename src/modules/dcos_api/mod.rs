//! How modules talk to DC/OS: over HTTP through Admin Router, or by the `dcos` command on a host where only that is there.
//!
//! Where and as whom is said by the host's variables (`dcos_url`, `dcos_user`, `dcos_password`, `dcos_token`, `dcos_ca`, `dcos_via`,
//! `dcos_cli`, `dcos_service`), so that no secret is ever an argument: arguments are written down before a change.

mod call;

use std::path::PathBuf;
use std::time::Duration;

use super::{Answer, Applied, Arguments, Controller, Failure, Folder, HttpRequest, Opt, OptKind, Tls, TokenLogin};
use crate::base::{Secret, Value, to_text};
use crate::cluster::dcos::{Heard, cli_answer};

pub(super) use call::{Ask, Named, Tell};

/// Options that every such module has.
pub(super) const URL: Opt = Opt::new("url", OptKind::Text, "DC/OS' address; else the variable `dcos_url`");
pub(super) const SERVICE: Opt =
    Opt::new("service", OptKind::Text, "the service's name; else the variable `dcos_service`, else `elastic`");
pub(super) const PACKAGE: Opt =
    Opt::new("package", OptKind::Text, "the package's name, which is the CLI's subcommand, too").default("elastic");
pub(super) const VIA: Opt = Opt::new(
    "via",
    OptKind::Text,
    "the inventory host through whose SSH connection DC/OS is reached when it is not from here; else the variable `dcos_via`",
);
pub(super) const CLI: Opt = Opt::new(
    "cli",
    OptKind::Text,
    "the `dcos` command on the task's host: it is used instead of HTTP; else the variable `dcos_cli`",
);

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(15);

/// How DC/OS is reached.
#[derive(Debug)]
enum Way {
    Http { base: String, via: Option<String>, tls: Tls, login: Option<Box<TokenLogin>> },
    Cli { program: String },
}

/// DC/OS, and one service of it.
#[derive(Debug)]
pub(super) struct Api {
    way: Way,
    /// Its name, without a slash before it: `elastic`, `team/elastic`.
    pub(super) service: String,
    package: String,
}

/// An answer, however it came.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    kind: String,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// As it is judged.
    pub(super) fn heard(&self) -> Heard<'_> {
        Heard { status: self.status, kind: &self.kind, body: &self.body }
    }

    /// Its code.
    pub(super) fn status(&self) -> u16 {
        self.status
    }
}

impl Api {
    /// Reads options and variables.
    ///
    /// # Errors
    /// It is not said where DC/OS is, or with a file that is not there.
    pub(super) fn read(arguments: &Arguments, here: &dyn Controller) -> Result<Self, Failure> {
        let variable = |name: &str| {
            let value = here.variable(name).filter(|value| !value.is_null());
            value.map(|value| to_text(&value)).filter(|text| !text.is_empty())
        };
        let given = |option: &str, name: &str| {
            arguments.text(option).filter(|text| !text.is_empty()).or_else(|| variable(name))
        };
        let service = given("service", "dcos_service").unwrap_or_else(|| "elastic".to_owned());
        let service = service.trim_matches('/').to_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        if service.is_empty() || !service.chars().all(plain) || service.contains("..") {
            return Err(Failure::new(format!("`{service}` can't be the name of a service")));
        }
        let package = arguments.required("package");
        if let Some(program) = given("cli", "dcos_cli") {
            return Ok(Self { way: Way::Cli { program }, service, package });
        }
        let Some(url) = given("url", "dcos_url") else {
            let what = "it is not said where DC/OS is: give `url` or the variable `dcos_url` (or `dcos_cli`, the `dcos` command on the host)";
            return Err(Failure::new(what));
        };
        // What people copy from the browser ends with `/#/dashboard`.
        let base = url.split("/#").next().unwrap_or(&url).trim().trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(Failure::new(format!("`url` must begin with http:// or https://, not `{base}`")));
        }
        let authorities: Option<PathBuf> =
            variable("dcos_ca").map(|path| here.find(Folder::Files, &path)).transpose()?;
        let verify = here.variable("dcos_verify").and_then(|value| super::to_bool(&value)).unwrap_or(true);
        let tls = Tls { verify, authorities, client: None };
        let token = variable("dcos_token").map(Secret::new);
        let renew = match (variable("dcos_user"), variable("dcos_password")) {
            (Some(user), Some(password)) => {
                let body = serde_json::json!({"uid": user, "password": password});
                Some((format!("{base}/acs/api/v1/auth/login"), Secret::new(body.to_string())))
            }
            (Some(user), None) => {
                return Err(Failure::new(format!("`dcos_user` is {user} and there is no `dcos_password`")));
            }
            (None, _) => None,
        };
        let login =
            (token.is_some() || renew.is_some()).then(|| Box::new(TokenLogin { prefix: "token=", token, renew }));
        Ok(Self { way: Way::Http { base, via: given("via", "dcos_via"), tls, login }, service, package })
    }

    /// `/elastic`.
    pub(super) fn app(&self) -> String {
        format!("/{}", self.service)
    }

    fn request(&self, method: &str, path: &str) -> HttpRequest {
        let (base, tls, login) = match &self.way {
            Way::Http { base, tls, login, .. } => (base.as_str(), tls.clone(), login.clone()),
            Way::Cli { .. } => ("", Tls::default(), None),
        };
        HttpRequest {
            method: method.to_owned(),
            headers: vec![("Accept".to_owned(), "application/json".to_owned())],
            timeout: ANSWER,
            keep: 32 << 20,
            tls: Box::new(tls),
            login,
            ..HttpRequest::get(format!("{base}{path}"))
        }
    }

    /// What came back, or why nothing did.
    pub(super) fn heard(answer: &Answer) -> Result<Reply, String> {
        match answer {
            Answer::Http(Ok(response)) => Ok(http(response)),
            Answer::Http(Err(why)) | Answer::Script(Err(why)) => Err(why.clone()),
            Answer::Script(Ok(output)) => cli(output, false),
            _ => Err("nothing was asked".to_owned()),
        }
    }

    /// What came of an act, or why that is not known.
    pub(super) fn told(applied: &Applied) -> Result<Reply, String> {
        match applied {
            Applied::Http(Ok(response)) => Ok(http(response)),
            Applied::Http(Err(why)) => Err(why.clone()),
            Applied::Output(output) => cli(output, true),
        }
    }
}

fn http(response: &super::HttpResponse) -> Reply {
    let kind = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    Reply {
        status: response.status,
        kind: kind.map(|(_, kind)| kind.to_ascii_lowercase()).unwrap_or_default(),
        body: response.body.clone(),
    }
}

fn cli(output: &crate::base::Output, command: bool) -> Result<Reply, String> {
    let answer = cli_answer(output.status, &output.stdout, &output.stderr, command);
    let answer =
        answer.map(|heard| Reply { status: heard.status, kind: heard.kind.to_owned(), body: heard.body.to_vec() });
    answer.ok_or_else(|| {
        let said: String = output.err().trim().chars().take(300).collect();
        format!("the dcos command ended with status {}: {said}", output.status)
    })
}

/// A JSON value of an answer, or its text where it is none (a tree that the CLI printed).
pub(super) fn value_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body).into_owned()))
}

/// The other way around.
pub(super) fn body_of(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.as_bytes().to_vec(),
        other => other.to_string().into_bytes(),
    }
}
