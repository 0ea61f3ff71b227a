//! What `mesos_master_ready` and `mesos_slave_ready` have in common: a daemon that was started, and what it must be.
//!
//! Not a module itself.

use std::time::Duration;

use super::mesos_look::{
    Before, LOG, Local, Masters, Process, ask_znodes, look, read_local, read_znodes, zk_of, zk_option,
};
use super::{Answer, Arguments, Controller, Failure, Opt, OptKind, Question, Timing, Verdict};
use crate::cluster::mesos::{Daemon, MasterZnode, Version, ZkUrl, last_fatal};

/// Option of both.
pub(super) const VERSION: Opt =
    Opt::new("version", OptKind::Text, "the version that it must run; not checked when not given");

/// What needs no host: that the version is one.
pub(super) fn check_version(arguments: &Arguments) -> Result<(), String> {
    match arguments.text(VERSION.name) {
        Some(text) if !text.contains("{{") => Version::parse(&text).map(|_| ()),
        _ => Ok(()),
    }
}

/// A daemon that was started on a host, and where the cluster is asked for it.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) host: String,
    daemon: Daemon,
    version: Option<Version>,
    pub(super) within: Duration,
    pub(super) masters: Masters,
    zk: Option<ZkUrl>,
    logs: Vec<String>,
    pub(super) before: Before,
}

impl Started {
    pub(super) fn of(arguments: &Arguments, here: &dyn Controller, daemon: Daemon) -> Result<Self, Failure> {
        let before = Before::of(here);
        let version = arguments.text(VERSION.name).map(|text| Version::parse(&text)).transpose();
        Ok(Self {
            host: here.host().to_owned(),
            daemon,
            version: version.map_err(Failure::new)?,
            within: arguments.duration("within").unwrap_or(Duration::from_secs(45)),
            masters: Masters::of(arguments, here)?,
            zk: zk_option(arguments)?.or_else(|| before.zk()),
            logs: arguments.list(LOG.name),
            before,
        })
    }

    pub(super) fn timing(&self) -> Timing {
        Timing { delay: Duration::ZERO, within: self.within, every: Duration::from_secs(1) }
    }

    /// The host's processes and the daemon's log: the first question, which [`Self::local`] reads.
    pub(super) fn look(&self) -> Question {
        look(Some(self.daemon), &self.logs)
    }

    /// The answer to [`Self::look`], or why there is none.
    pub(super) fn local(&self, answers: &[Answer]) -> Result<Local, String> {
        read_local(answers.first()).map_err(|why| format!("{} can't be looked at: {why}", self.host))
    }

    /// The URL that is asked: what the new process runs with, since that is where it registers.
    fn url(&self, answers: &[Answer]) -> Option<ZkUrl> {
        read_local(answers.first()).ok().as_ref().and_then(zk_of).or_else(|| self.zk.clone())
    }

    /// The question to `ZooKeeper`, after a first round of so many.
    pub(super) fn second_round(&self, answers: &[Answer], first: usize) -> Vec<Question> {
        match self.url(answers) {
            Some(url) if answers.len() == first => vec![ask_znodes(&url, &self.host)],
            _ => Vec::new(),
        }
    }

    /// The answer to [`Self::second_round`]; `None` without `ZooKeeper`.
    pub(super) fn znodes(&self, answers: &[Answer], first: usize) -> Option<Result<Vec<MasterZnode>, String>> {
        self.url(answers).map(|_| read_znodes(answers.get(first)))
    }

    /// The daemon has said why it ended.
    pub(super) fn ended(&self, local: &Local) -> Option<Verdict> {
        let fatal = last_fatal(&local.log)?;
        let (program, host, meaning) = (self.daemon.program(), &self.host, fatal.kind.meaning());
        let failure = format!("{program} ended on {host}: {meaning}; it said `{}`", fatal.line);
        Some(Verdict::Never(Failure::new(failure).with("said", fatal.line)))
    }

    /// That the process is not the one of before.
    pub(super) fn renewed(&self, process: &Process) -> Result<(), String> {
        let (program, host) = (self.daemon.program(), &self.host);
        if self.before.same_process(self.daemon, process) {
            return Err(format!("{host} still runs the {program} of before (process {})", process.pid));
        }
        Ok(())
    }

    /// What it runs, by its own word; before 0.13 it has none, and its files are believed.
    ///
    /// # Errors
    /// That is not what it must run.
    pub(super) fn right_version(
        &self,
        says: Option<Version>,
        process: Option<&Process>,
    ) -> Result<Option<Version>, Failure> {
        let runs = says.or_else(|| process?.version());
        let wrong = match (self.version, runs) {
            (Some(wanted), Some(runs)) if wanted != runs => runs.to_string(),
            (Some(wanted), None) if wanted >= Version::new(0, 13, 0) => "before 0.13".to_owned(),
            _ => return Ok(runs),
        };
        let wanted = self.version.map(|wanted| wanted.to_string()).unwrap_or_default();
        Err(Failure::new(format!(
            "{} runs Mesos {wrong}, not {wanted}: is the release in force that its service starts?",
            self.host
        )))
    }
}
