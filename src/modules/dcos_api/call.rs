//! What is asked and told, by either way. Only these: no `start`, no `stop`, not the alias `/v1/plan/`, no restart of more than
//! one step, and no `uninstall` can be said here.

use std::fmt::Write as _;

use super::{Api, Way};
use crate::base::{Script, Value, quote};
use crate::cluster::dcos::{Kind, describe_body, install_body};
use crate::modules::{Act, HttpRequest, Question};

/// Questions.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::modules) enum Ask {
    /// A plan by name.
    Plan(String),
    /// The tasks of all pods.
    Tasks,
    /// The same, as old schedulers name it.
    OldTasks,
    /// The tasks of one pod, as old schedulers name it.
    Pod(String),
    /// The names of the service's endpoints.
    Endpoints,
    /// One of them: addresses of nodes.
    Endpoint(String),
    /// The scheduler's app in Marathon.
    App,
    /// Marathon's deployments.
    Deployments,
    /// Mesos' frameworks, each with how many tasks run.
    Frameworks,
    /// What would be installed.
    Render { version: String, options: Value },
    /// What a package says of itself.
    Describe { version: String },
}

/// Commands.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::modules) enum Tell {
    /// Lets a plan, or a phase of it, go on.
    Continue { plan: String, phase: Option<Named> },
    /// Holds a plan, or a phase of it.
    Interrupt { plan: String, phase: Option<Named> },
    /// Puts one step back to PENDING.
    RestartStep { plan: String, phase: Named, step: Named },
    /// Removes the scheduler's app; its tasks go on.
    Destroy,
    /// Installs a package.
    Install { version: String, options: Value },
}

/// A phase or step: by its id where there is one.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::modules) struct Named {
    pub(in crate::modules) id: String,
    pub(in crate::modules) name: String,
}

impl Named {
    fn query(&self) -> String {
        encoded(if self.id.is_empty() { &self.name } else { &self.id })
    }
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

impl Api {
    /// The question.
    pub(in crate::modules) fn ask(&self, ask: &Ask) -> Question {
        match &self.way {
            Way::Http { via, .. } => Question::Http { request: self.asked(ask), via: via.clone() },
            Way::Cli { program } => Question::Script(self.typed(program, ask)),
        }
    }

    fn asked(&self, ask: &Ask) -> HttpRequest {
        let service = |path: &str| self.request("GET", &format!("/service/{}/v1/{path}", self.service));
        match ask {
            Ask::Plan(plan) => service(&format!("plans/{}", encoded(plan))),
            Ask::Tasks => service("pod/status"),
            Ask::OldTasks => service("pods/status"),
            Ask::Pod(pod) => service(&format!("pods/{}/info", encoded(pod))),
            Ask::Endpoints => service("endpoints"),
            Ask::Endpoint(name) => service(&format!("endpoints/{}", encoded(name))),
            Ask::App => self.request("GET", &format!("/service/marathon/v2/apps/{}", self.app())),
            Ask::Deployments => self.request("GET", "/service/marathon/v2/deployments"),
            Ask::Frameworks => self.request("GET", "/mesos/state-summary"),
            Ask::Render { version, options } => {
                self.cosmos(Kind::Render, &install_body(&self.package, version, options))
            }
            Ask::Describe { version } => self.cosmos(Kind::Describe, &describe_body(&self.package, version)),
        }
    }

    fn cosmos(&self, kind: Kind, body: &Value) -> HttpRequest {
        let [question, answer] = kind.media();
        let mut request = self.request("POST", &kind.path());
        request.headers = vec![("Content-Type".to_owned(), question), ("Accept".to_owned(), answer)];
        request.body = body.to_string().into_bytes();
        request
    }

    fn typed(&self, program: &str, ask: &Ask) -> Script {
        let name = format!("--name={}", self.service);
        let own = |words: &[&str]| {
            let head = [program, self.package.as_str(), name.as_str()];
            Script::new().command(head.into_iter().chain(words.iter().copied()))
        };
        let app = self.app();
        match ask {
            Ask::Plan(plan) => own(&["plan", "show", plan, "--json"]),
            Ask::Tasks => own(&["pod", "status", "--json"]),
            Ask::OldTasks => own(&["pods", "status"]),
            Ask::Pod(pod) => own(&["pods", "info", pod]),
            Ask::Endpoints => own(&["endpoints"]),
            Ask::Endpoint(name) => own(&["endpoints", name]),
            Ask::App => Script::new().command([program, "marathon", "app", "show", &app]),
            Ask::Deployments => Script::new().command([program, "marathon", "deployment", "list", "--json"]),
            Ask::Frameworks => Script::new().command([program, "service", "--json"]),
            Ask::Render { version, options } => {
                let version = format!("--package-version={version}");
                self.with_options(
                    &[program, "package", "describe", &self.package, &version, "--app", "--render"],
                    options,
                )
            }
            Ask::Describe { version } => {
                let version = format!("--package-version={version}");
                Script::new().command([program, "package", "describe", &self.package, &version])
            }
        }
    }

    /// A command with an options file: on no command line, and gone afterwards.
    fn with_options(&self, words: &[&str], options: &Value) -> Script {
        Script::new()
            .set("options", &options.to_string())
            .line("umask 077; file=$(mktemp) || exit 1; trap 'rm -f \"$file\"' EXIT")
            .line("printf '%s' \"$options\" >\"$file\" || exit 1")
            .arguments(words.iter().copied())
            .line("\"$@\" --options=\"$file\"")
    }

    /// The act, and what a person would type to do the same.
    pub(in crate::modules) fn tell(&self, tell: &Tell) -> (Act, String) {
        let words = self.words(tell);
        let typed = words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
        let act = match &self.way {
            Way::Http { via, .. } => Act::Http { request: self.told_over_http(tell), via: via.clone() },
            Way::Cli { program } => {
                let words: Vec<&str> =
                    std::iter::once(program.as_str()).chain(words.iter().skip(1).map(String::as_str)).collect();
                let script = match tell {
                    Tell::Install { options, .. } => {
                        let words: Vec<&str> =
                            words.into_iter().filter(|word| !word.starts_with("--options=")).collect();
                        self.with_options(&words, options)
                    }
                    _ => Script::new().command(words),
                };
                Act::Script { script, stdin: None }
            }
        };
        (act, typed)
    }

    fn told_over_http(&self, tell: &Tell) -> HttpRequest {
        let plan = |plan: &str, verb: &str, query: String| {
            self.request("POST", &format!("/service/{}/v1/plans/{}/{verb}{query}", self.service, encoded(plan)))
        };
        let of =
            |phase: &Option<Named>| phase.as_ref().map(|phase| format!("?phase={}", phase.query())).unwrap_or_default();
        match tell {
            Tell::Continue { plan: name, phase } => plan(name, "continue", of(phase)),
            Tell::Interrupt { plan: name, phase } => plan(name, "interrupt", of(phase)),
            Tell::RestartStep { plan: name, phase, step } => {
                plan(name, "restart", format!("?phase={}&step={}", phase.query(), step.query()))
            }
            Tell::Destroy => self.request("DELETE", &format!("/service/marathon/v2/apps/{}", self.app())),
            Tell::Install { version, options } => {
                self.cosmos(Kind::Install, &install_body(&self.package, version, options))
            }
        }
    }

    fn words(&self, tell: &Tell) -> Vec<String> {
        let plan = |verb: &str, rest: Vec<&str>| {
            let name = format!("--name={}", self.service);
            let head = ["dcos", self.package.as_str(), name.as_str(), "plan", verb];
            head.into_iter().chain(rest).map(str::to_owned).collect()
        };
        let list = |plan, phase: &'_ Option<Named>| {
            let mut words: Vec<String> = vec![plan];
            words.extend(phase.iter().map(|phase| phase.name.clone()));
            words
        };
        let command = |verb: &str, words: &[String]| plan(verb, words.iter().map(String::as_str).collect());
        match tell {
            Tell::Continue { plan: name, phase } => command("continue", &list(name.clone(), phase)),
            Tell::Interrupt { plan: name, phase } => command("interrupt", &list(name.clone(), phase)),
            Tell::RestartStep { plan: name, phase, step } => plan("restart", vec![name, &phase.name, &step.name]),
            Tell::Destroy => ["dcos", "marathon", "app", "remove", &self.app()].map(str::to_owned).to_vec(),
            Tell::Install { version, .. } => {
                let version = format!("--package-version={version}");
                let words =
                    ["dcos", "package", "install", &self.package, "--options=OPTIONS.json", &version, "--app", "--yes"];
                words.map(str::to_owned).to_vec()
            }
        }
    }
}
