//! The contract of a module: the three kinds, what they ask and answer, and how a task ends by them.

use std::fmt::Debug;
use std::time::Duration;

use super::{Arguments, Change, Controller, HttpRequest, HttpResponse, step};
use crate::base::{Map, Node, Output, Script, Value};

/// A module with its arguments for one host (and one loop item).
#[derive(Debug)]
pub(crate) enum Bound {
    /// Brings a part of the host into a state.
    State(Box<dyn State>),
    /// Waits for or looks at something.
    Gate(Box<dyn Gate>),
    /// Changes this run.
    Course(Box<dyn Course>),
}

/// Why a module can't go on: becomes a failed result with `msg`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    /// What happened and what to do, for a person.
    pub(crate) message: String,
    /// Further keys of the result (`rc`, `stderr`, …).
    pub(crate) result: Map,
}

impl Failure {
    /// A failure with a message only.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), result: Map::new() }
    }

    /// Adds a key of the result.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.result.insert(key.to_owned(), value.into());
        self
    }
}

/// Brings a part of the host into a state.
pub(crate) trait State: Debug + Send + Sync {
    /// The read-only questions as one script; empty when nothing needs to be asked. Runs in check mode too, and its
    /// non-zero exit status is the module's to judge.
    fn probe(&self) -> Script {
        Script::new()
    }

    /// An answer of the probe with which it is to be done: for a detached command that was begun before, whatever the host
    /// looks like since then.
    fn begun(&self) -> Output {
        Output::default()
    }

    /// How many bytes of the probe's output are kept. A module that reads a file wants more than the usual; what is
    /// longer is cut in the middle, and the module says so.
    fn keep(&self) -> usize {
        1 << 20
    }

    /// Wanted × seen → the steps that are missing, and the result as it will be when they are done.
    ///
    /// # Errors
    /// What was seen makes it impossible.
    fn steps(&self, seen: &Output) -> Result<Change, Failure>;

    /// What the probe is about, for previews: the answer of one probe is an answer to every other with the same subject.
    /// Two tasks about the same thing have the same one even where their probes look more or less closely.
    fn subject(&self) -> String {
        self.probe().as_str().to_owned()
    }

    /// What the probe would answer after these steps were done, for previews: a later task with the same subject is judged by it.
    /// `None` when that can't be said; what later tasks with this subject would do is unknown then.
    fn expect(&self, _seen: &Output, _change: &Change) -> Option<Output> {
        None
    }

    /// The subjects under which an earlier task of a preview may have left an answer; the first that is known counts.
    fn subjects(&self) -> Vec<String> {
        vec![self.subject()]
    }

    /// What a preview keeps for later tasks: subjects, and what looking at them would answer after these steps were done.
    fn leaves(&self, seen: &Output, change: &Change) -> Vec<(String, Option<Output>)> {
        vec![(self.subject(), self.expect(seen, change))]
    }

    /// What was seen of the part before the change, by name: `undo_before` for the arguments of the task's `undo`. Empty when
    /// the probe tells nothing that one could go back to.
    fn before(&self, _seen: &Output) -> Map {
        Map::new()
    }

    /// What it asks over HTTP, or in several rounds, instead of a probe, given all answers so far of this look; empty when it looks by
    /// [`Self::probe`], or when there is enough to judge.
    fn questions(&self, _answers: &[Answer]) -> Vec<Question> {
        Vec::new()
    }

    /// What the answers to [`Self::questions`] come to. `memory` is its own between the looks of one try (null at first).
    fn looked(&self, _answers: &[Answer], _memory: &mut Value) -> Looked {
        Looked::Seen(Output::default())
    }

    /// For one that asks questions: how long and how often they are asked until there is something to judge, and again after the
    /// steps until nothing is missing. The default asks once.
    fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: Duration::ZERO, every: Duration::from_secs(1) }
    }

    /// Whether it looks at anything.
    fn looks(&self) -> bool {
        !self.probe().is_empty() || !self.questions(&[]).is_empty()
    }

    /// Whether what it did is to be so for long: a run that is resumed looks at it again before it goes on.
    fn lasts(&self) -> bool {
        true
    }

    /// For one that asks questions: judges a look after the steps were done; `outputs` are as for [`Self::finish`], and may hold an
    /// HTTP request that has no answer. The default wants every act to have succeeded and nothing to be missing.
    fn settled(&self, change: &Change, outputs: &[Applied], seen: &Output) -> Verdict {
        let result = match self.finish(change.clone(), outputs) {
            Ok(result) => result,
            Err(failure) => return Verdict::Never(failure),
        };
        match self.steps(seen) {
            Ok(left) if left.steps.is_empty() => Verdict::Ready(result),
            Ok(left) => {
                let left: Vec<&str> = left.steps.iter().map(|step| step.summary.as_str()).collect();
                Verdict::NotYet(format!("read back, it is not so yet: it would still {}", left.join(", ")))
            }
            Err(failure) => Verdict::Never(failure),
        }
    }

    /// For one that asks questions: whether what was seen after the steps calls for steps again rather than for waiting (another
    /// program undid them meanwhile). It is then looked at and done anew, within the same time.
    fn begins_again(&self, _seen: &Output) -> bool {
        false
    }

    /// The result after all steps were done; `outputs` has one for each [`Act::Script`] and [`Act::Fetch`] in order
    /// (scripts without standard input that follow one another may have been joined: then the first has all output).
    /// The default takes the planned result, and fails when a script's status is not zero.
    ///
    /// # Errors
    /// An act failed.
    fn finish(&self, change: Change, outputs: &[Applied]) -> Result<Map, Failure> {
        step::finish_by_status(change, outputs)
    }
}

/// What a state's questions came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Looked {
    /// What [`State::steps`] is to read, in any form that suits it.
    Seen(Output),
    /// There is nothing to judge yet, and why: it is asked again until the time is over.
    NotYet(String),
    /// It can't be judged any more.
    Never(Failure),
}

/// What came of one act.
#[derive(Debug, Clone)]
pub(crate) enum Applied {
    /// A script's end.
    Output(Output),
    /// An answer to an HTTP request, or why there was none.
    Http(Result<HttpResponse, String>),
}

/// Something to look at. Questions of one round are asked at the same time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Question {
    /// A read-only script on the task's host.
    Script(Script),
    /// An HTTP request: from here first, and where nothing answers, through the SSH connection of the inventory
    /// host `via` (the task's host when `None`).
    Http {
        /// The request.
        request: HttpRequest,
        /// Through whom.
        via: Option<String>,
    },
    /// A TCP connection from the task's host, and up to `read` bytes of what the other side says first: what has come
    /// when it pauses for a second, closes, or `within` is over.
    Connect {
        /// Host name or address as the task's host sees it.
        host: String,
        /// Port.
        port: u16,
        /// For how long to try.
        within: Duration,
        /// How many bytes to take at most; 0 to only connect.
        read: usize,
    },
    /// A `ZooKeeper` node's children with their data, from the first server that answers; reached as HTTP is.
    Children {
        /// `host:port` each.
        servers: Vec<String>,
        /// The node.
        path: String,
        /// Through whom.
        via: Option<String>,
    },
    /// Whether the task's host can be logged in to (again): a new connection is made.
    Login {
        /// For how long to try.
        within: Duration,
    },
}

/// What was seen. `Err` is why nothing was.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// A script's end; `Err` when the host is unreachable.
    Script(Result<Output, String>),
    /// An HTTP answer, or why there is none.
    Http(Result<HttpResponse, String>),
    /// What the other side said first, or why there is no connection.
    Connect(Result<Vec<u8>, String>),
    /// The children.
    Children(Result<Vec<Znode>, String>),
    /// Logged in or why not.
    Login(Result<(), String>),
}

/// A child of a `ZooKeeper` node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Znode {
    /// Its name, without the parent's path.
    pub(crate) name: String,
    /// Its data.
    pub(crate) data: Vec<u8>,
    /// The session that owns it; 0 when it isn't ephemeral.
    pub(crate) owner: i64,
}

/// What a gate makes of the answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// It holds; the result's keys.
    Ready(Map),
    /// Not yet, and why: the text is what the screen shows while it waits.
    NotYet(String),
    /// It can't hold any more: no use waiting.
    Never(Failure),
}

/// How long and how often a gate is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    /// Wait so long before the first time.
    pub(crate) delay: Duration,
    /// Give up after so long. Zero asks once.
    pub(crate) within: Duration,
    /// Pause between two times.
    pub(crate) every: Duration,
}

/// Waits for or looks at something.
pub(crate) trait Gate: Debug + Send + Sync {
    /// How long and how often.
    fn timing(&self) -> Timing;

    /// The next round of questions, given all answers so far of this look; empty when there is enough to judge.
    fn questions(&self, answers: &[Answer]) -> Vec<Question>;

    /// Judges one look. `memory` is the gate's own between looks (null at first): for "two readings in a row".
    /// `elapsed` is the time since the task began.
    fn judge(&self, answers: &[Answer], memory: &mut Value, elapsed: Duration) -> Verdict;

    /// The failure when the time is over and the last verdict was `NotYet(why)`.
    fn expired(&self, why: &str, elapsed: Duration) -> Failure {
        Failure::new(format!("{why} (waited {})", crate::base::render_duration(elapsed)))
            .with("elapsed", elapsed.as_secs())
    }
}

/// What a run module does to the run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Nothing beyond its result.
    None,
    /// Sets variables of the host (`set_fact`).
    Facts {
        /// The variables.
        facts: Map,
        /// Kept between runs.
        cacheable: bool,
    },
    /// Sets variables of the host that are rendered when they are used (`include_vars`).
    Variables(Vec<(String, std::sync::Arc<Node>)>),
    /// Puts the host into a group of this run (`group_by`).
    Group {
        /// Its name; made when missing.
        name: String,
        /// Groups that it belongs to; made when missing.
        parents: Vec<String>,
    },
    /// Adds a host to the inventory of this run.
    AddHost {
        /// Its name.
        name: String,
        /// Groups it joins; made when missing.
        groups: Vec<String>,
        /// Its variables.
        variables: Map,
    },
    /// Changes the course: `meta:`.
    Meta(Meta),
    /// Waits for a time or a person.
    Pause {
        /// How long; `None` waits for a key.
        duration: Option<Duration>,
        /// Whether what is said of it counts minutes.
        minutes: bool,
        /// What to ask.
        prompt: Option<String>,
        /// Whether typed text is shown.
        echo: bool,
    },
}

/// The words of `meta:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meta {
    /// Nothing.
    Noop,
    /// Runs the notified handlers now.
    FlushHandlers,
    /// Failed hosts take part again from the next play on.
    ClearHostErrors,
    /// Forgets the facts of the hosts.
    ClearFacts,
    /// Reads the inventory again.
    RefreshInventory,
    /// Ends the play for all.
    EndPlay,
    /// Ends the batch.
    EndBatch,
    /// Ends the play for this host.
    EndHost,
    /// Ends the role that the task stands in, for this host.
    EndRole,
    /// Closes the connection; the next task makes a new one.
    ResetConnection,
    /// Takes back now what this run has changed for a time on the hosts.
    Undo,
}

/// What a run module came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Done {
    /// Whether it counts as changed.
    pub(crate) changed: bool,
    /// The result's keys.
    pub(crate) result: Map,
    /// What it does to the run.
    pub(crate) effect: Effect,
}

/// Changes this run.
pub(crate) trait Course: Debug + Send + Sync {
    /// Works it out.
    ///
    /// # Errors
    /// An assertion failed, and the like.
    fn run(&self, here: &dyn Controller) -> Result<Done, Failure>;
}

/// Builds a module for a host from checked arguments.
pub(crate) type Build = fn(&Arguments, &dyn Controller) -> Result<Bound, Failure>;
