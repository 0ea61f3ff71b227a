//! What changes a host: steps, each with a line that says what it would do and its diff.

use std::path::PathBuf;
use std::time::Duration;

use super::{Applied, Failure};
use crate::base::{Content, Map, Script, Secret, quote};

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// What it does, in the present tense, for "would …": `replace /etc/hosts (120 → 134 bytes)`.
    pub(crate) summary: String,
    /// Before and after.
    pub(crate) diff: Option<Diff>,
    /// How.
    pub(crate) act: Act,
    /// Its effect can't be known beforehand (`command`): in check mode it is not previewed, and what it would
    /// have registered is unknown.
    pub(crate) opaque: bool,
    /// It must not be repeated blindly (a restart): when the line breaks in it, its outcome is unknown.
    pub(crate) once: bool,
    /// What a person would type on the host to do the same, where the module can say it; never a secret nor a content.
    pub(crate) by_hand: Option<String>,
}

impl Step {
    /// A step that a script does.
    pub(crate) fn script(summary: impl Into<String>, script: Script) -> Self {
        Self {
            summary: summary.into(),
            diff: None,
            act: Act::Script { script, stdin: None },
            opaque: false,
            once: false,
            by_hand: None,
        }
    }

    /// A step that a script does with content on its standard input.
    pub(crate) fn send(summary: impl Into<String>, script: Script, stdin: Content) -> Self {
        Self {
            summary: summary.into(),
            diff: None,
            act: Act::Script { script, stdin: Some(stdin) },
            opaque: false,
            once: false,
            by_hand: None,
        }
    }

    /// Adds a diff.
    #[must_use]
    pub(crate) fn diff(mut self, diff: Diff) -> Self {
        self.diff = Some(diff);
        self
    }

    /// Marks it as not to be repeated blindly.
    #[must_use]
    pub(crate) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Says what a person would type to do the same.
    #[must_use]
    pub(crate) fn by_hand(mut self, typed: impl Into<String>) -> Self {
        self.by_hand = Some(typed.into());
        self
    }

    /// The same, as one command made of words.
    #[must_use]
    pub(crate) fn by_command<'a>(self, words: impl IntoIterator<Item = &'a str>) -> Self {
        self.by_hand(words.into_iter().map(quote).collect::<Vec<_>>().join(" "))
    }

    /// Marks its effect as not knowable beforehand.
    #[must_use]
    pub(crate) fn opaque(mut self) -> Self {
        self.opaque = true;
        self
    }
}

/// A text or state before and after.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Diff {
    /// What the first is called.
    pub(crate) before_header: String,
    /// What the second is called.
    pub(crate) after_header: String,
    /// The text before; empty when there was none.
    pub(crate) before: String,
    /// The text after.
    pub(crate) after: String,
}

/// How a step is done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Act {
    /// A script on the host, with content on its standard input. It must be safe to be cut off at any point: files are
    /// written beside and renamed.
    Script {
        /// The script.
        script: Script,
        /// Its standard input.
        stdin: Option<Content>,
    },
    /// Writes a script's output to a local file, atomically, making folders as needed.
    Fetch {
        /// The script that prints the file.
        script: Script,
        /// Where to.
        to: PathBuf,
        /// The SHA-1 it must have; checked when given.
        sha1: Option<String>,
    },
    /// An HTTP request that changes something: from here first, and where nothing answers, through the SSH connection of the
    /// inventory host `via` (the task's host when `None`).
    Http {
        /// The request.
        request: HttpRequest,
        /// Through whom.
        via: Option<String>,
    },
}

/// How TLS is done; files of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    /// Whether the server's certificate is verified.
    pub(crate) verify: bool,
    /// Certificates that are trusted instead of the machine's: a PEM file, or a folder of such files.
    pub(crate) authorities: Option<PathBuf>,
    /// Our certificate (PEM), and its key where that is in a file of its own.
    pub(crate) client: Option<(PathBuf, Option<PathBuf>)>,
}

impl Default for Tls {
    fn default() -> Self {
        Self { verify: true, authorities: None, client: None }
    }
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HttpRequest {
    /// `GET`, …
    pub(crate) method: String,
    /// `http://host:port/path` or `https://…`.
    pub(crate) url: String,
    /// Headers.
    pub(crate) headers: Vec<(String, String)>,
    /// Basic authentication: user and password.
    pub(crate) basic: Option<(String, Secret)>,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// For how long to wait.
    pub(crate) timeout: Duration,
    /// How many redirects to follow.
    pub(crate) redirects: u8,
    /// How many bytes of the answer to keep; a longer one is an error.
    pub(crate) keep: usize,
    /// For `https://`: whom to trust, and who we are.
    pub(crate) tls: Box<Tls>,
    /// A token that goes with it, and how another one is got when it has expired.
    pub(crate) login: Option<Box<TokenLogin>>,
}

/// A token in the header `Authorization`, renewed when the answer is 401: nothing was done then, so the request is sent again once.
/// A run asks for one token a place and user, and keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenLogin {
    /// What stands before it in the header: `token=`.
    pub(crate) prefix: &'static str,
    /// The token to begin with.
    pub(crate) token: Option<Secret>,
    /// Where a JSON body is sent that is answered with `{"token": …}`, and that body; `None` where no other token can be got.
    pub(crate) renew: Option<(String, Secret)>,
}

impl HttpRequest {
    /// A plain GET with a timeout of 10 s and at most 64 MiB of answer.
    pub(crate) fn get(url: impl Into<String>) -> Self {
        Self {
            method: "GET".to_owned(),
            url: url.into(),
            headers: Vec::new(),
            basic: None,
            body: Vec::new(),
            timeout: Duration::from_secs(10),
            redirects: 0,
            keep: 64 << 20,
            tls: Box::default(),
            login: None,
        }
    }
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpResponse {
    /// Status code.
    pub(crate) status: u16,
    /// Header names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, gunzipped when it was sent so.
    pub(crate) body: Vec<u8>,
    /// The URL that answered, after redirects.
    pub(crate) url: String,
}

/// What a state module would do and the result it would have.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Change {
    /// What is missing; empty when all is as wanted.
    pub(crate) steps: Vec<Step>,
    /// The result's keys when the steps are done. `changed` is not among them, but where a step does not count as a change
    /// (an HTTP request, systemd's reload): then it is there and false.
    pub(crate) result: Map,
}

impl Change {
    /// Nothing to do.
    pub(crate) fn none(result: Map) -> Self {
        Self { steps: Vec::new(), result }
    }
}

/// The usual end of a state module: the planned result, or the failure of the first script that failed.
pub(super) fn finish_by_status(change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
    for applied in outputs {
        match applied {
            Applied::Output(output) if output.status != 0 => {
                let said = output.err();
                let said = said.trim();
                let message = if said.is_empty() {
                    format!("the change ended with status {}", output.status)
                } else {
                    said.to_owned()
                };
                return Err(Failure::new(message).with("rc", output.status).with("stderr", output.err()));
            }
            Applied::Http(Err(reason)) => return Err(Failure::new(reason.clone())),
            _ => {}
        }
    }
    Ok(change.result)
}
