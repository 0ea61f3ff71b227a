//! `uri`: an HTTP request to a daemon.
//!
//! GET and HEAD look and change nothing: they run in check mode too, and are a gate of one look (`until` asks again). Other
//! methods are a step whose effect can't be known beforehand; as in Ansible they do not count as a change by themselves
//! (`changed_when` says so). The request goes out from here, and where nothing answers through the SSH connection of the task's
//! host; Ansible sends it from the host. For `https` the certificates that count are those of this machine, and files that are
//! named are files here.

mod answer;
mod body;

use std::time::Duration;

use super::{
    Act, Answer, Applied, Arguments, Bound, Change, Controller, Failure, Folder, Gate, HttpRequest, ModuleSpec, Opt,
    OptKind, Question, Rule, State, Step, Timing, Tls, Verdict,
};
use crate::base::{Map, Output, Script, Secret, Value, to_text};

pub(super) const SPEC: ModuleSpec = ModuleSpec {
    name: "uri",
    aliases: &[],
    summary: "asks a daemon over HTTP, or tells it something",
    options: &[
        Opt::new("url", OptKind::Text, "http://host:port/path, or https://").required(),
        Opt::new("method", OptKind::Text, "GET, HEAD, POST, PUT, …").default("GET"),
        Opt::new("body", OptKind::Any, "what is sent: a text, or data that `body_format` writes"),
        Opt::new(
            "body_format",
            OptKind::Choice(&["raw", "json", "form-urlencoded", "form-multipart"]),
            "how data is written; sets the Content-Type unless `headers` does",
        )
        .default("raw"),
        Opt::new("status_code", OptKind::List, "which answers are right").default("200"),
        Opt::new("return_content", OptKind::Bool, "whether the result has the body as `content`").default("false"),
        Opt::new("headers", OptKind::Mapping, "further headers"),
        Opt::new("url_username", OptKind::Text, "user for basic authentication").aliases(&["user"]),
        Opt::new("url_password", OptKind::Text, "password for it").aliases(&["password"]),
        Opt::new("force_basic_auth", OptKind::Bool, "accepted: what is given is sent at once anyway").default("false"),
        Opt::new("timeout", OptKind::Duration, "how long to wait for the answer").default("30"),
        Opt::new(
            "follow_redirects",
            OptKind::Choice(&["safe", "all", "yes", "none", "no", "urllib2"]),
            "safe: of GET and HEAD only",
        )
        .default("safe"),
        Opt::new("creates", OptKind::Path, "nothing is sent when this is on the host"),
        Opt::new("removes", OptKind::Path, "nothing is sent when this is not on the host"),
        Opt::new("http_agent", OptKind::Text, "what the request says it is").default("ansible-httpget"),
        Opt::new("validate_certs", OptKind::Bool, "whether the server's certificate must be one that is trusted here")
            .default("true"),
        Opt::new(
            "ca_path",
            OptKind::LocalPath,
            "certificates that are trusted instead of this machine's: PEM, file or folder",
        ),
        Opt::new("client_cert", OptKind::LocalPath, "the certificate to show to the server: PEM; may hold the key too"),
        Opt::new("client_key", OptKind::LocalPath, "its key, in a file of its own"),
        Opt::new("force", OptKind::Bool, "ask caches on the way to ask again").default("false"),
        Opt::refused("src", "give the text in `body`, as with `lookup('file', …)`"),
        Opt::refused("remote_src", "it belongs to `src`"),
        Opt::refused("dest", "write `content` to a file with `copy`"),
        Opt::refused("unix_socket", "only TCP is"),
        Opt::refused("ciphers", "they are those of TLS 1.2 and 1.3 that are safe"),
        Opt::refused("use_gssapi", "only basic authentication is"),
        Opt::refused("unredirected_headers", "all headers go with a redirect to the same host, none elsewhere"),
        Opt::refused("decompress", "answers are always unpacked"),
        Opt::refused("use_netrc", "no .netrc is read"),
        Opt::refused("use_proxy", "no proxy is used"),
    ],
    free_form: None,
    open: false,
    rules: &[Rule::Needs("url_password", "url_username"), Rule::Needs("client_key", "client_cert")],
    check: Some(check),
    build,
};

#[derive(Debug)]
struct Uri {
    request: HttpRequest,
    wanted: Vec<u16>,
    content: bool,
    creates: Option<String>,
    removes: Option<String>,
}

fn check(arguments: &Arguments) -> Result<(), String> {
    match arguments.text("url") {
        Some(url) if !url.contains("{{") => refuse_scheme(&url),
        _ => Ok(()),
    }
}

fn refuse_scheme(url: &str) -> Result<(), String> {
    let lower = url.trim_start().to_ascii_lowercase();
    let known = lower.starts_with("http://") || lower.starts_with("https://");
    if known { Ok(()) } else { Err(format!("`url` must begin with http:// or https://, not `{url}`")) }
}

fn build(arguments: &Arguments, here: &dyn Controller) -> Result<Bound, Failure> {
    let mut url = arguments.required("url").trim().to_owned();
    refuse_scheme(&url).map_err(Failure::new)?;
    let method = arguments.required("method").to_ascii_uppercase();
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(Failure::new(format!("`method` must be a single word such as GET or POST, not `{method}`")));
    }
    let mut basic = arguments
        .text("url_username")
        .map(|user| (user, Secret::new(arguments.text("url_password").unwrap_or_default())));
    if let Some((clean, user, password)) = split_user(&url) {
        basic.get_or_insert((user, Secret::new(password)));
        url = clean;
    }
    let looks = method == "GET" || method == "HEAD";
    let redirects = match arguments.required("follow_redirects").as_str() {
        "all" | "yes" => 10,
        "safe" | "urllib2" if looks => 10,
        _ => 0,
    };
    let body = body::write(arguments)?;
    let mut headers: Vec<(String, String)> =
        arguments.mapping("headers").iter().map(|(name, value)| (name.clone(), to_text(value))).collect();
    let given = |headers: &[(String, String)], name: &str| headers.iter().any(|(h, _)| h.eq_ignore_ascii_case(name));
    if let Some((name, value)) =
        headers.iter().find(|(name, value)| name.is_empty() || (name.clone() + value).contains(['\r', '\n']))
    {
        return Err(Failure::new(format!("`headers`: `{name}: {value}` can't be a header")));
    }
    if let Some(kind) = body.content_type
        && !given(&headers, "content-type")
    {
        headers.push(("Content-Type".to_owned(), kind.to_owned()));
    }
    if !given(&headers, "user-agent") {
        headers.push(("User-Agent".to_owned(), arguments.required("http_agent")));
    }
    if arguments.flag("force") {
        headers.push(("cache-control".to_owned(), "no-cache".to_owned()));
    }
    let uri = Uri {
        request: HttpRequest {
            method,
            headers,
            basic,
            body: body.bytes,
            timeout: arguments.duration("timeout").unwrap_or(Duration::from_secs(30)),
            redirects,
            tls: Box::new(tls(arguments, here)?),
            ..HttpRequest::get(url)
        },
        wanted: codes(arguments)?,
        content: arguments.flag("return_content"),
        creates: arguments.text("creates"),
        removes: arguments.text("removes"),
    };
    Ok(if looks { Bound::Gate(Box::new(uri)) } else { Bound::State(Box::new(uri)) })
}

/// Whom to trust, and who we are.
fn tls(arguments: &Arguments, here: &dyn Controller) -> Result<Tls, Failure> {
    let file = |name: &str| arguments.text(name).map(|path| here.find(Folder::Files, &path)).transpose();
    let key = file("client_key")?;
    Ok(Tls {
        verify: arguments.flag("validate_certs"),
        authorities: file("ca_path")?,
        client: file("client_cert")?.map(|certificate| (certificate, key)),
    })
}

fn codes(arguments: &Arguments) -> Result<Vec<u16>, Failure> {
    let code = |text: &String| {
        let number = text.trim().parse().ok().filter(|code| (100..600).contains(code));
        number.ok_or_else(|| Failure::new(format!("`status_code` must be numbers such as 200, not `{text}`")))
    };
    arguments.list("status_code").iter().map(code).collect()
}

/// `http://user:password@host/…`: the URL without them, which is what results and messages show.
fn split_user(url: &str) -> Option<(String, String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, host) = authority.rsplit_once('@')?;
    let after = rest.get(authority.len()..)?;
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    Some((format!("{scheme}://{host}{after}"), body::decoded(user), body::decoded(password)))
}

/// Whether the files of `creates` and `removes` are there: `c` and `r`.
fn files_script(creates: Option<&String>, removes: Option<&String>) -> Script {
    if creates.is_none() && removes.is_none() {
        return Script::new();
    }
    Script::new()
        .set("creates", creates.map(String::as_str).unwrap_or_default())
        .set("removes", removes.map(String::as_str).unwrap_or_default())
        .line("at() { case $1 in '~') echo \"$HOME\" ;; '~/'*) echo \"$HOME/${1#??}\" ;; *) echo \"$1\" ;; esac; }")
        .line("[ -z \"$creates\" ] || { [ -e \"$(at \"$creates\")\" ] && echo c; }")
        .line("[ -z \"$removes\" ] || { [ -e \"$(at \"$removes\")\" ] && echo r; }")
        .line(":")
}

impl Uri {
    /// Why nothing is sent.
    fn skipped(&self, seen: &Output) -> Option<Map> {
        let text = seen.out();
        let there = |word: &str| text.lines().any(|line| line == word);
        let why = match (&self.creates, &self.removes) {
            (Some(path), _) if there("c") => format!("skipped, since '{path}' exists"),
            (_, Some(path)) if !there("r") => format!("skipped, since '{path}' does not exist"),
            _ => return None,
        };
        let mut result = Map::new();
        result.insert("stdout".to_owned(), Value::from(why.clone()));
        result.insert("msg".to_owned(), Value::from(why));
        Some(result)
    }
}

impl Gate for Uri {
    fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: Duration::ZERO, every: Duration::from_secs(1) }
    }

    fn questions(&self, answers: &[Answer]) -> Vec<Question> {
        let files = files_script(self.creates.as_ref(), self.removes.as_ref());
        let ask = || vec![Question::Http { request: self.request.clone(), via: None }];
        match answers {
            [] if files.is_empty() => ask(),
            [] => vec![Question::Script(files)],
            [Answer::Script(Ok(seen))] if self.skipped(seen).is_none() => ask(),
            _ => Vec::new(),
        }
    }

    fn judge(&self, answers: &[Answer], _memory: &mut Value, elapsed: Duration) -> Verdict {
        match answers {
            [.., Answer::Http(answered)] => match answer::judge(&self.request, answered, &self.wanted, self.content) {
                Ok(mut result) => {
                    result.insert("elapsed".to_owned(), Value::from(elapsed.as_secs()));
                    Verdict::Ready(result)
                }
                Err(failure) => Verdict::Never(failure.with("elapsed", elapsed.as_secs())),
            },
            [Answer::Script(Ok(seen))] => match self.skipped(seen) {
                Some(result) => Verdict::Ready(result),
                None => Verdict::NotYet(format!("{} was not asked yet", self.request.url)),
            },
            [Answer::Script(Err(reason))] => Verdict::NotYet(format!("the host can't be asked: {reason}")),
            _ => Verdict::NotYet(format!("{} was not asked yet", self.request.url)),
        }
    }
}

impl State for Uri {
    fn probe(&self) -> Script {
        files_script(self.creates.as_ref(), self.removes.as_ref())
    }

    fn steps(&self, seen: &Output) -> Result<Change, Failure> {
        if let Some(result) = self.skipped(seen) {
            return Ok(Change::none(result));
        }
        let step = Step {
            summary: format!("{} {}", self.request.method, self.request.url),
            diff: None,
            act: Act::Http { request: self.request.clone(), via: None },
            opaque: true,
            once: true,
            by_hand: None,
        };
        let mut result = Map::new();
        result.insert("url".to_owned(), Value::from(self.request.url.clone()));
        result.insert("changed".to_owned(), Value::Bool(false));
        Ok(Change { steps: vec![step], result })
    }

    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        match outputs.last() {
            Some(Applied::Http(answered)) => {
                let mut result = answer::judge(&self.request, answered, &self.wanted, self.content)?;
                result.insert("changed".to_owned(), Value::Bool(false));
                Ok(result)
            }
            _ => Ok(change.result),
        }
    }
}

#[cfg(test)]
mod tests;
